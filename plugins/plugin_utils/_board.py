# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet as one screen of any size, the worst on top. Pure functions."""

from __future__ import annotations

import collections
import typing as t

from ..module_utils._health import CRITICAL, OK, STATES, WARNING
from ..module_utils._host_board import GAP, TITLE, Head, Line, cut, fitting, more_pools, padded, title, width
from ..module_utils._text import printable
from ..module_utils._units import human_hashrate
from ..module_utils._wording import counted, listed, one_line, or_dash
from ._causes import causes
from ._pool_results import mapping
from ._report import name_of, names_of, notes, totals
from ._rows import FAILED, UNREACHABLE, Row, row_without_verdict
from ._types import Json

SILENT, WAITING = "no answer", "waiting"
#: modes in front of another pool, which may have no statistics of their own
FRONT_MODES = ("proxy", "passthrough", "redirector", "node")
_HEADINGS = ("STATE", "HOST", "INSTANCE", "HASHRATE", "WORKERS", "USERS", "WORK AGE")
_ALWAYS = 3  #: of them, which a narrow screen shows as well
_LAST = "WHAT IS WRONG"
_STATUSES = (CRITICAL, WARNING, WAITING, OK)  #: from the worst to the best
_STATES = (SILENT, UNREACHABLE, FAILED, *reversed(STATES))
_COLOURS = {CRITICAL: "red", WARNING: "yellow", WAITING: "", OK: "green"}
_NARROWEST_NOTES, _WIDEST_NOTES = 20, 120  #: columns of the notes below the lines
_LEAST_WITH_HEADING = 5  #: rows of a screen without which the heading of the table is left out
_LEAST_NOTE, _LEAST_NAME = 12, 8  #: columns without which a note is left out, and that a name gets at least


def fleet_board(head: Head, rows: t.Sequence[Row], size: t.Tuple[int, int]) -> t.List[Line]:
    """The screen of a fleet: totals, and a line for each pool for which there is room.

    :arg rows: of the health report, and those of C(waiting_row) and C(silent_row), in any order.
    :arg size: columns and rows of the screen.
    """
    columns, height = size
    rows = sorted(rows, key=_rank)
    top = [title(head, columns), (fitting(_totals(rows), columns), TITLE)]
    heading, *lines = _table(rows, columns)
    if height >= _LEAST_WITH_HEADING:
        top.append((heading, TITLE))
    if height <= len(top):
        return top[: max(height, 0)]
    shown, more = _split(rows, lines, height - len(top))
    board = [*top, *shown]
    return board + ([(cut(more, columns), TITLE)] if more else _below(rows, columns, height - len(board)))


def waiting_row(host: str, why: str) -> Row:
    """The row of a host of which nothing is known yet."""
    return row_without_verdict(host, WAITING, why, status=WAITING)


def old_row(row: Row, seconds: float) -> Row:
    """What becomes of the row of a healthy pool that is no longer read."""
    if row["status"] != OK:
        return row
    return {**row, "status": WAITING, "wrong": [f"read {seconds:.0f} s ago, in the last of its rounds"], "checks": []}


def silent_row(row: Row, seconds: float) -> Row:
    """What becomes of a row while its host does not answer."""
    known = row["state"] not in (WAITING, SILENT)
    text = f"no answer for {seconds:.0f} s" + (f"; before that it was {row['state']}" if known else "")
    return {**row, "state": SILENT, "status": CRITICAL, "wrong": [text], "checks": []}


def _rank(row: Row) -> t.Tuple[int, int, str, str]:
    return (_STATUSES.index(row["status"]), _state_rank(row["state"]), row["host"], row["instance"] or "")


def _state_rank(state: str) -> int:
    return _STATES.index(state) if state in _STATES else len(_STATES) - 1


def _totals(rows: t.Sequence[Row]) -> t.List[str]:
    total, found = totals(rows), collections.Counter(row["status"] for row in rows)
    kinds = ((CRITICAL, "critical"), (WARNING, "with warnings"), (WAITING, "not being read"), (OK, "healthy"))
    parts = [f"{found[kind]} {text}" for kind, text in kinds if found[kind]] or ["nothing was read yet"]
    parts += [human_hashrate(total["hashrate"]), f"workers {or_dash(total['workers'])}"]
    return [*parts, f"users {or_dash(total['users'])}", counted(total["pools"], "pool")]


def _table(rows: t.Sequence[Row], columns: int) -> t.List[str]:
    """The rows as lines below a heading. A narrow screen has fewer columns, and cuts names and notes."""
    names = names_of(rows)
    cells = [_HEADINGS, *(_cells(row, names) for row in rows)]
    remarks = [_LAST, *(_note(row) for row in rows)]
    widest = [max(map(width, column)) for column in zip(*cells)]
    cap = max(_LEAST_NAME, columns // 4)
    widths = [widest[0], min(widest[1], cap), min(widest[2], cap)]
    wanted = min(max(map(width, remarks)), max(_LEAST_NOTE, columns // 3)) if any(remarks[1:]) else 0
    for more in widest[_ALWAYS:]:
        if sum(widths) + more + GAP * (len(widths) + 1) + wanted > columns:
            break
        widths.append(more)
    room = columns - sum(widths) - GAP * len(widths)
    return [
        cut(_line(row, widths, remark if room >= _LEAST_NOTE else "", room), columns)
        for row, remark in zip(cells, remarks)
    ]


def _line(cells: t.Sequence[str], widths: t.Sequence[int], remark: str, room: int) -> str:
    parts = [padded(text, columns) for text, columns in zip(cells, widths)]
    return (" " * GAP).join([*parts, cut(remark, max(room, 0))]).rstrip()


def _cells(row: Row, names: t.Mapping[t.Any, int]) -> t.Tuple[str, ...]:
    age = "-" if row["work_age"] is None else f"{row['work_age']:.0f} s"
    numbers = (human_hashrate(row["hashrate"]), or_dash(row["workers"]), or_dash(row["users"]), age)
    return tuple(map(printable, (row["state"], row["host"], name_of(row, names), *numbers)))


def _note(row: Row) -> str:
    """What is wrong with a pool; of a healthy one in front of another, what is known without statistics."""
    first = next(map(str, causes(row)), "")
    if first or row.get("mode") not in FRONT_MODES:
        return printable(one_line(first))
    upstream = [check["summary"] for check in row["checks"] if check["name"] == "upstream" and check["status"] == OK]
    return printable(listed([str(row["mode"]), counted(row["clients"], "client"), *upstream]))


def _split(rows: t.Sequence[Row], lines: t.Sequence[str], room: int) -> t.Tuple[t.List[Line], str]:
    """The lines for which there is room, and the one that says what is missing; empty if nothing is."""
    count = len(lines) if len(lines) <= room else room - 1
    shown = [(line, _COLOURS[row["status"]]) for row, line in zip(rows[:count], lines)]
    hidden = rows[count:]
    healthy = sum(row["status"] == OK for row in hidden)
    return shown, more_pools(len(hidden), healthy) if hidden else ""


def _below(rows: t.Sequence[Row], columns: int, room: int) -> t.List[Line]:
    """What a line has no room for, where rows of the screen are left: the notes of the report."""
    bad = [row for row in rows if row["status"] in (CRITICAL, WARNING)]
    lines = notes(bad, max(min(columns, _WIDEST_NOTES), _NARROWEST_NOTES), known=0)
    return [(cut(line, columns), "") for line in ["", *lines][: max(room, 0)]] if lines else []


def with_modes(rows: t.Sequence[Row], pools: t.Sequence[Json]) -> t.List[Row]:
    """Rows with C(mode), that of the daemon; None where that is not known.

    :arg pools: the results from which the rows are.
    """
    instances = [mapping(pool.get("instance")) for pool in pools]
    modes = {instance["pid"]: instance.get("mode") for instance in instances if isinstance(instance.get("pid"), int)}
    return [{**row, "mode": modes.get(row["pid"])} for row in rows]
