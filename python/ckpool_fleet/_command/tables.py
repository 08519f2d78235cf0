# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the command as lines for a person. Pure functions."""

from __future__ import annotations

import re
import textwrap
import time
import typing as t

from ckpool_fleet._health import CRITICAL, OK, WARNING
from ckpool_fleet._host_board import cut, width
from ckpool_fleet._monitor import fate_of, pool_lines
from ckpool_fleet._results import DOWN_STATES
from ckpool_fleet._text import printable
from ckpool_fleet._units import human_hashrate
from ckpool_fleet._wording import ago, columns, or_dash, span

if t.TYPE_CHECKING:
    from ckpool_fleet._host_board import Line
    from ckpool_fleet._types import Json

_Cells = t.List[t.Tuple[str, ...]]
_WINDOWS = ("1m", "5m", "1hr", "1d", "7d")
_COLOURS = {CRITICAL: "red", WARNING: "yellow", OK: "green"}
_WIDEST = 120  #: columns of sentences
_HASHRATE, _TIMES = "hashrate", ("uptime",)
#: words of playbooks, and what is typed in a shell
_IN_HINTS = (
    (re.compile(r"\b(?:use|try) become(?:: true)?"), "try it as root"),
    (re.compile(r"\bbecome_user: "), "as "),
    (re.compile(r"\bask all of them where the module allows it \(all_instances\)"), "ask all of them with --all"),
    (re.compile(r"\b(set|by|leave|or) (source|name|pid|timeout)\b"), r"\1 --\2"),
)
_OPTIONS = re.compile(r"\b(?:socket_dir|log_dir|all_instances|sample_seconds)\b")


def lines_of(command: str, result: Json, most: t.Optional[int] = None) -> t.List[Line]:
    """What is shown of a result, with the colour of each line.

    :arg most: columns of the terminal; None if lines may have any length.
    """
    rows = result.get("instances")
    if rows is None:
        rows = [result]
    lines: t.List[Line] = []
    for row in rows:
        lines += (
            [("", ""), *_LINES[command](row, time.time(), most)] if lines else _LINES[command](row, time.time(), most)
        )
    if not rows:
        lines = [(result["msg"], _COLOURS[CRITICAL])]
    return [(text if most is None else cut(text, most), colour) for text, colour in map(_safe, lines)]


def for_shell(text: str) -> str:
    """A sentence for a person who types commands: options as they are typed, and no words of playbooks."""
    for words, others in _IN_HINTS:
        text = words.sub(others, text)
    return _OPTIONS.sub(lambda found: "--" + found.group().replace("_", "-"), text)


def _safe(line: Line) -> Line:
    return printable(line[0]), line[1]


def _head(row: Json, most: t.Optional[int]) -> t.List[Line]:
    """The sentence of a result, what could not be determined, and the end of the log of a pool that is down."""
    state = (row.get("health") or row.get("instance") or {}).get("state")
    is_bad = bool(row.get("failed")) or state in (*DOWN_STATES, "unknown")
    lines: t.List[Line] = [(text, "red" if is_bad else "") for text in _wrapped(for_shell(row["msg"]), most, "")]
    lines += [
        (text, "")
        for area, why in (row.get("problems") or {}).items()
        for text in _wrapped(f"{area}: {for_shell(why)}", most)
    ]
    return lines + [(f"  log: {text}", "") for text in row.get("log_tail") or ()]


def _wrapped(text: str, most: t.Optional[int], indent: str = "  ") -> t.List[str]:
    if most is None:
        return [indent + text]
    room = max(20, min(most, _WIDEST))
    return textwrap.wrap(
        printable(text), room, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )  # fmt: skip


def _health(row: Json, now: float, most: t.Optional[int]) -> t.List[Line]:
    health = row["health"]
    name = row["msg"].partition(" is ")[0] if health["checks"] else row["msg"]
    lines: t.List[Line] = [(f"{name} is {health['state']}" if health["checks"] else name, _COLOURS[health["status"]])]
    checks = health["checks"]
    shown = (
        columns([(check["status"], check["name"], printable(for_shell(check["summary"]))) for check in checks])
        if checks
        else []
    )
    for check, line in zip(checks, shown):
        lines.append((f"  {line}", _COLOURS.get(check["status"], "")))
        if check["hint"] and check["status"] in (WARNING, CRITICAL):
            lines += [(text, "") for text in _wrapped(for_shell(check["hint"]), most, " " * 6)]
    return lines + [(f"  log: {text}", "") for text in row.get("log_tail") or ()]


def _stats(row: Json, now: float, most: t.Optional[int]) -> t.List[Line]:
    values = dict(row.get("stats") or {})
    agents = values.pop("user_agents", None) or ()
    cells: _Cells = [(name, _figure(name, value)) for name, value in values.items() if value is not None]
    cells += [
        (f"agent {agent['user_agent']}", f"{or_dash(agent['devices'])} devices, {human_hashrate(agent['hashrate5m'])}")
        for agent in agents
    ]
    return [*_head(row, most), *_table(cells)]


def _figure(name: str, value: t.Any) -> str:
    if name.startswith(_HASHRATE):
        return human_hashrate(value)
    if name in _TIMES:
        return span(value)
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _users(row: Json, now: float, most: t.Optional[int]) -> t.List[Line]:
    heads = ("USER", *(window.upper() for window in _WINDOWS), "WORKERS", "BEST SHARE", "LAST SHARE")
    cells: _Cells = [heads]
    for user in row.get("users") or ():
        count = len(user["workers"]) or or_dash(user["worker_count"])
        cells.append(
            (user["user"], *_rates(user), str(count), _number(user["best_share"]), ago(user["last_share"], now))
        )
    return [*_head(row, most), *_table(cells, has_heading=True, most=most)]


def _workers(row: Json, now: float, most: t.Optional[int]) -> t.List[Line]:
    heads = ("WORKER", *(window.upper() for window in _WINDOWS), "STATE", "BEST SHARE", "LAST SHARE")
    cells: _Cells = [heads]
    for worker in row.get("workers") or ():
        state = "idle" if worker["idle"] else "active"
        cells.append(
            (worker["worker"], *_rates(worker), state, _number(worker["best_share"]), ago(worker["last_share"], now))
        )
    return [*_head(row, most), *_table(cells, has_heading=True, most=most)]


def _blocks(row: Json, now: float, most: t.Optional[int]) -> t.List[Line]:
    cells: _Cells = [("FOUND", "HEIGHT", "FATE", "EFFORT", "BY", "HASH")]
    for block in row.get("blocks") or ():
        effort = "-" if block["effort"] is None else f"{block['effort']:.0f} %"
        found = (ago(block["time"], now), or_dash(block["height"]), fate_of(block), effort)
        cells.append((*found, or_dash(block["worker"]), or_dash(block["hash"])))
    return [*_head(row, most), *_table(cells, has_heading=True, most=most)]


def _summary(row: Json, now: float, most: t.Optional[int]) -> t.List[Line]:
    lines = pool_lines(row, now)
    return [(text, "") for line in lines for text in _wrapped(line.strip(), most, "  " if line.startswith(" ") else "")]


def _rates(row: Json) -> t.Tuple[str, ...]:
    return tuple(human_hashrate(row[f"hashrate{window}"]) for window in _WINDOWS)


def _number(value: t.Any) -> str:
    return or_dash(value, ",.0f")


def _table(cells: _Cells, has_heading: bool = False, most: t.Optional[int] = None) -> t.List[Line]:
    """Rows of cells as lines. A narrow terminal gets fewer columns: the first one, the last one, and what fits between."""
    if len(cells) <= has_heading:
        return []
    safe = [tuple(map(printable, row)) for row in cells]
    while most is not None and len(safe[0]) > 2 and _width(safe) > most:
        safe = [(*row[:-2], row[-1]) for row in safe]
    lines = [f"  {line}" for line in columns(safe)]
    return [(line, "bright blue" if has_heading and not number else "") for number, line in enumerate(lines)]


def _width(cells: t.Sequence[t.Tuple[str, ...]]) -> int:
    return 2 * len(cells[0]) + sum(max(map(width, column)) for column in zip(*cells))


_LINES: t.Dict[str, t.Callable[[Json, float, t.Optional[int]], t.List[Line]]] = {
    "health": _health,
    "stats": _stats,
    "users": _users,
    "workers": _workers,
    "blocks": _blocks,
    "summary": _summary,
}
