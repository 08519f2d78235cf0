# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a fleet as a person reads it: a table, its totals, notes below it, and a sentence. Pure functions."""

from __future__ import annotations

import collections
import textwrap
import typing as t

from ..module_utils._health import CRITICAL, STATUSES, WARNING
from ..module_utils._text import printable
from ..module_utils._units import human_hashrate
from ..module_utils._wording import columns, counted, listed, or_dash, shortened
from ._causes import causes
from ._rows import GONE, Row
from ._types import Json

#: state to the colour that it is shown in
COLOURS = {"ok": "green", "starting": "yellow", "degraded": "yellow"}
_HEADINGS = ("HOST", "INSTANCE", "STATE", "HASHRATE", "USERS", "WORKERS", "WORK AGE", "WHAT IS WRONG")
_WIDTH = 100  #: columns that the notes under the table take
_NAMED = 10  #: pools that the sentence names
_LONGEST_LINE = 200  #: characters of a line of a log
#: owners that a table need not name
_USUAL_USERS = (None, "root", "ckpool")


def table(rows: t.Sequence[Row]) -> t.List[str]:
    """The rows as lines of text in columns, between a heading and a line of totals."""
    names = names_of(rows)
    cells = [_HEADINGS, *(_cells(row, names) for row in rows)]
    if rows:
        cells.append(_total_cells(totals(rows)))
    return columns(cells)


def names_of(rows: t.Sequence[Row]) -> t.Mapping[t.Any, int]:
    """How many instances of each name a host has."""
    return collections.Counter((row["host"], row["instance"]) for row in rows)


def _cells(row: Row, names: t.Mapping[t.Any, int]) -> t.Tuple[str, ...]:
    """One line of the table."""
    first = next(map(str, causes(row)), "")
    return tuple(map(printable, (row["host"], name_of(row, names), row["state"], *_numbers(row), first)))


def name_of(row: Row, names: t.Mapping[t.Any, int]) -> str:
    """What an instance is called. Instances of one host that share a name are told apart by pid, as it can be typed.

    The user that runs it is named unless it is the usual one.
    """
    name = row["instance"] or "-"
    if row.get("user") not in (*_USUAL_USERS, name):
        name = f"{name} of {row['user']}"
    if names[row["host"], row["instance"]] < 2:
        return name
    return f"{name} pid {row['pid']}" if row["pid"] is not None else f"{name} {row['socket_dir'] or ''}".rstrip()


def _numbers(row: t.Mapping[str, t.Any]) -> t.Tuple[str, ...]:
    age = "-" if row["work_age"] is None else f"{row['work_age']:.0f} s"
    return (human_hashrate(row["hashrate"]), or_dash(row["users"]), or_dash(row["workers"]), age)


def totals(rows: t.Sequence[Row]) -> Json:
    """The fleet in numbers: sums over the pools that gave a number of now, null if none did."""
    pools = [row for row in rows if row["instance"] is not None and row["state"] != GONE]
    current = [row for row in rows if _is_current(row)]
    sums = {name: [row[name] for row in current if row[name] is not None] for name in ("hashrate", "users", "workers")}
    return {
        "hosts": len({row["host"] for row in rows}),
        "pools": len(pools),
        "healthy": sum(row["state"] == "ok" for row in rows),
        **{name: sum(values) if values else None for name, values in sums.items()},
        "counted": len(sums["hashrate"]),
    }


def _is_current(row: Row) -> bool:
    """Whether the numbers of a pool are of now: not those of one that ended, or that it wrote long ago."""
    is_old = any(check["name"] == "statistics" and check["status"] == CRITICAL for check in row["checks"])
    return row["state"] != "down" and not is_old


def _total_cells(total: t.Mapping[str, t.Any]) -> t.Tuple[str, ...]:
    *numbers, _age = _numbers({**total, "work_age": None})
    left_out = total["pools"] - total["counted"]
    note = f"without {counted(left_out, 'pool')} of unknown hashrate" if left_out > 0 else ""
    return ("TOTAL", counted(total["pools"], "pool"), f"{total['healthy']} ok", *numbers, "", note)


def notes(rows: t.Sequence[Row], width: int = _WIDTH, known: int = 1) -> t.List[str]:
    """What a table has no room for: the further causes of each pool that is not healthy, and its log's last line.

    :arg width: columns to fill, as far as words allow.
    :arg known: causes of each pool that the table shows.
    """
    names = names_of(rows)
    lines: t.List[str] = []
    for row in rows:
        further = [str(cause) for cause in causes(row)[known:]]
        if row["log_line"] and row["state"] != "ok":
            further.insert(0, f"its log ends: {shortened(row['log_line'], _LONGEST_LINE)}")
        if further:
            title = printable(f"{name_of(row, names) if row['instance'] else 'pool'} on {row['host']}")
            lines.append(f"{title} is {row['state']}{', and:' if known else ':'}")
            lines += [line for text in further for line in _wrapped(printable(text), width)]
    return lines


def _wrapped(text: str, width: int) -> t.List[str]:
    return textwrap.wrap(
        text, width, initial_indent="  - ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def summary(rows: t.Sequence[Row]) -> str:
    """The fleet in one sentence, which names the pools that are not healthy, the worst first."""
    if not rows:
        return "no host was asked"
    bad = sorted((row for row in rows if row["state"] != "ok"), key=lambda row: -STATUSES.index(row["status"]))
    named = [f"{row['instance'] or 'pool'} on {row['host']} is {row['state']}" for row in bad[:_NAMED]]
    more = [f"{len(bad) - _NAMED} more are not"] if len(bad) > _NAMED else []
    return printable("; ".join([_verdict(rows, bad), *named, *more]))


def _verdict(rows: t.Sequence[Row], bad: t.Sequence[Row]) -> str:
    """How many pools are healthy. Where none is critical it says so, as the outcome may be healthy then.

    :arg bad: the rows that are not healthy, the worst first.
    """
    pools = f"{len(rows)} pools on {counted(len({row['host'] for row in rows}), 'host')}"
    if not bad or bad[0]["status"] == CRITICAL:
        return f"{len(rows) - len(bad)} of {pools} are healthy"
    kinds = collections.Counter("with warnings" if row["status"] == WARNING else row["state"] for row in bad)
    return f"none of {pools} is critical; {listed(f'{number} {kind}' for kind, number in kinds.items())}"
