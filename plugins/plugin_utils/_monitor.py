# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person who watches pools sees: blocks of lines from what C(ckpool_info) returned. Pure functions."""

from __future__ import annotations

import datetime
import typing as t

from ..module_utils._units import human_hashrate
from ._screen import printable

Json = t.Dict[str, t.Any]
_Cells = t.List[t.Tuple[str, ...]]

_WINDOWS = ("1m", "5m", "1hr", "1d")
_FATES: t.Dict[t.Any, str] = {True: "accepted", False: "refused"}
_SPANS = ((86400, "d"), (3600, "h"), (60, "m"))


def lines_of(head: str, pools: t.Sequence[Json], now: float) -> t.List[str]:
    """What is shown of one host in one round.

    :arg pools: what C(ckpool_info) returned of each pool, or what became of its call.
    """
    lines = [head]
    for pool in pools:
        lines += ["", *_pool_lines(pool, now)]
    return [printable(line) for line in lines]


def state_of(pool: Json) -> str:
    """C(unreachable), C(failed), or the state that the pool was found in."""
    for state in ("unreachable", "failed"):
        if pool.get(state):
            return state
    return str((pool.get("instance") or {}).get("state") or "unknown")


def name_of(pool: Json) -> str:
    """C(ckpool (/tmp/ckpool))."""
    instance = pool.get("instance") or {}
    place = f" ({instance['socket_dir']})" if instance.get("socket_dir") else ""
    return f"{instance.get('name') or 'pool'}{place}"


def _pool_lines(pool: Json, now: float) -> t.List[str]:
    state, summary = state_of(pool), pool.get("summary")
    if not isinstance(summary, dict):
        why = " ".join(str(pool.get("msg") or "it did not say why").split())
        return [f"{name_of(pool)} is {state}: {why}"]
    lines = [f"{name_of(pool)} is {state}: {_rates(summary)}, {_counts(summary)}", f"  {_shares(summary)}"]
    lines.append(f"  {_ages(summary, pool, now)}")
    lines += [f"  {area}: {' '.join(str(why).split())}" for area, why in (pool.get("problems") or {}).items()]
    if "users" in pool:
        lines += _indented(_users(pool["users"], now), "no user has sent a share in the last hour")
    if "blocks" in pool:
        lines += _indented(_blocks(pool["blocks"], now), "no block in reach of the log")
    return lines


def _rates(summary: Json) -> str:
    return ", ".join(f"{human_hashrate(summary.get(f'hashrate{window}'))} ({window})" for window in _WINDOWS)


def _counts(summary: Json) -> str:
    idle = "" if summary.get("idle") is None else f" ({summary['idle']} idle)"
    return f"users {_number(summary.get('users'))}, workers {_number(summary.get('workers'))}{idle}"


def _shares(summary: Json) -> str:
    accepted, rejected = summary.get("accepted"), summary.get("rejected")
    part = ""
    if accepted is not None and rejected is not None and accepted + rejected > 0:
        part = f" ({100 * rejected / (accepted + rejected):.2f} %)"
    best = _number(summary.get("best_share"))
    return f"shares accepted {_number(accepted)}, rejected {_number(rejected)}{part}, best {best}"


def _ages(summary: Json, pool: Json, now: float) -> str:
    source = pool.get("source")
    told = "no statistics" if source is None else f"statistics by {source}"
    if source is not None and pool.get("as_of") is not None:
        told += f", {_span(now - pool['as_of'])} old"
    return f"work {_span(summary.get('work_age'))} old, up {_span(summary.get('uptime'))}, {told}"


def _users(users: t.Optional[t.Sequence[Json]], now: float) -> t.Optional[_Cells]:
    if users is None:
        return None
    heads = ("TOP USERS", *(window.upper() for window in _WINDOWS), "LAST SHARE")
    cells: _Cells = [heads]
    for user in users:
        rates = (human_hashrate(user.get(f"hashrate{window}")) for window in _WINDOWS)
        cells.append((str(user.get("user")), *rates, _ago(user.get("last_share"), now)))
    return cells


def _blocks(blocks: t.Optional[t.Sequence[Json]], now: float) -> t.Optional[_Cells]:
    if blocks is None:
        return None
    heads = ("BLOCKS", "HEIGHT", "FATE", "FOUND BY")
    cells: _Cells = [heads]
    for block in blocks:
        fate = _FATES.get(block.get("accepted"), "not known")
        height, worker = str(block.get("height") or "-"), str(block.get("worker") or "-")
        cells.append((_ago(block.get("time"), now), height, fate, worker))
    return cells


def _indented(cells: t.Optional[_Cells], nothing: str) -> t.List[str]:
    """A table below a line of a pool, a sentence instead of an empty one, and nothing for what cannot be had."""
    if cells is None:  # the problems say why
        return []
    if len(cells) == 1:
        return ["", f"  {nothing}"]
    widths = [max(len(printable(line[column])) for line in cells) for column in range(len(cells[0]))]
    rows = ("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in cells)
    return ["", *(f"  {row}" for row in rows)]


def _number(value: t.Any) -> str:
    return "-" if value is None else f"{value:.0f}"


def _ago(moment: t.Optional[float], now: float) -> str:
    return "-" if moment is None else f"{_span(now - moment)} ago"


def _span(seconds: t.Optional[float]) -> str:
    """A time span in the largest unit that it fills."""
    if seconds is None:
        return "-"
    seconds = max(seconds, 0.0)
    for size, unit in _SPANS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock_time(now: float) -> str:
    """The time for a person, in UTC."""
    return datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
