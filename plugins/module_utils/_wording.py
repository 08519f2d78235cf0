# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, times, lists and tables as a person reads them. Pure functions."""

from __future__ import annotations

import datetime
import typing as t

_SPANS = ((86400, "d"), (3600, "h"), (60, "m"))


def counted(number: t.Optional[int], noun: str) -> str:
    """C(1 client), C(12 clients), C(clients not known)."""
    if number is None:
        return f"{noun}s not known"
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: t.Iterable[str]) -> str:
    """Names with commas between them."""
    return ", ".join(names)


def sentence(parts: t.Iterable[str]) -> str:
    """The parts that are not empty, with semicolons between them."""
    return "; ".join(part for part in parts if part)


def one_line(value: t.Any) -> str:
    """Text without its line breaks, and with single spaces."""
    return " ".join(str(value).split())


def shortened(text: str, most: int) -> str:
    """Text of at most that many characters, with dots where the rest was."""
    return text if len(text) <= most else f"{text[:most]}..."


def or_dash(value: t.Any, form: str = "") -> str:
    """A value for a table, and C(-) for None.

    :arg form: how to format the value, as C(format) takes it.
    """
    return "-" if value is None else format(value, form)


def utc_time(seconds: float) -> str:
    """A time in epoch seconds, in UTC: C(2026-11-22 22:09:25 UTC)."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: t.Optional[float]) -> str:
    """A time span in the largest unit that it fills, and C(-) for None."""
    if seconds is None:
        return "-"
    seconds = max(seconds, 0.0)
    for size, unit in _SPANS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(moment: t.Optional[float], now: float) -> str:
    """How long ago a time was, both in epoch seconds; C(-) for None."""
    return "-" if moment is None else f"{span(now - moment)} ago"


def columns(cells: t.Sequence[t.Sequence[str]]) -> t.List[str]:
    """Rows of cells as lines with aligned columns. All rows have as many cells as the first."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    return ["  ".join([*(text.ljust(width) for text, width in zip(row, widths)), row[-1]]).rstrip() for row in cells]
