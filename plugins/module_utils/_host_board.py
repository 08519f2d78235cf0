# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools of a host as one screen of any size, the worst on top, and the parts of any screen. Pure functions."""

from __future__ import annotations

import textwrap
import typing as t
import unicodedata

from ._health import STATES
from ._text import printable
from ._wording import counted

Line = t.Tuple[str, str]  #: text, and the name of its colour; empty for none

TITLE = "bright blue"
GAP = 2  #: columns between two cells
_NARROWEST = 20  #: columns that a line of a pool is broken to at least
_RANKS = ("unreachable", "failed", *reversed(STATES))  #: from the worst to the best


class Head(t.NamedTuple):
    """The first line of a screen.

    :ivar name: what is watched.
    :ivar progress: C(round 2 of 12).
    :ivar moment: the time of day.
    """

    name: str
    progress: str
    moment: str


class Block(t.NamedTuple):
    """A pool as several lines, for the screen of one host."""

    state: str
    lines: t.Sequence[str]


def host_board(head: Head, blocks: t.Sequence[Block], size: t.Tuple[int, int]) -> t.List[Line]:
    """The screen of one host: the lines of each pool for which there is room."""
    columns, height = size
    board = [title(head, columns)][: max(height, 0)]
    left = sorted(blocks, key=_rank)
    while left and (room := height - len(board) - (len(left) > 1)) > 1:
        lines = ["", *_wrapped(left[0].lines, columns)]
        if len(lines) > room and len(board) > 1:
            break
        board += [(cut(line, columns), "") for line in lines[:room]]
        left.pop(0)
    if left and len(board) < height:
        healthy = sum(block.state == "ok" for block in left)
        board.append((cut(more_pools(len(left), healthy), columns), TITLE))
    return board


def _rank(block: Block) -> int:
    return _RANKS.index(block.state) if block.state in _RANKS else len(_RANKS) - 1


def _wrapped(lines: t.Sequence[str], columns: int) -> t.List[str]:
    """The lines of a pool, of which those before its tables may take several lines each."""
    tables = lines.index("") if "" in lines else len(lines)
    options: t.Dict[str, t.Any] = {"subsequent_indent": "    ", "break_long_words": False, "break_on_hyphens": False}
    before = [piece for line in lines[:tables] for piece in textwrap.wrap(line, max(columns, _NARROWEST), **options)]
    return [*before, *lines[tables:]]


def title(head: Head, columns: int) -> Line:
    """What is watched on the left, and how to end it on the right."""
    hint = "q quits"
    if columns < 2 * len(hint):
        return cut(hint, columns), TITLE
    room = columns - len(hint) - GAP
    # What takes turns is worth more than what stays the same.
    whole = ", ".join([head.name, head.progress, head.moment])
    text = whole if width(printable(whole)) <= room else fitting([head.progress, head.name, head.moment], room)
    return padded(text, columns - len(hint)) + hint, TITLE


def fitting(parts: t.Sequence[str], columns: int) -> str:
    """The first of the parts, as many as there is room for."""
    text = parts[0]
    for part in parts[1:]:
        if width(printable(f"{text}, {part}")) > columns:
            break
        text += f", {part}"
    return cut(text, columns)


def more_pools(hidden: int, healthy: int) -> str:
    """What is said of pools for which there is no room."""
    if healthy == hidden:
        return f"{hidden} more healthy {'pool' if hidden == 1 else 'pools'}"
    return f"{counted(hidden, 'more pool')}, {hidden - healthy} not healthy"


def padded(text: str, columns: int) -> str:
    """Text of any source in exactly that many columns."""
    text = cut(text, columns)
    return text + " " * (columns - width(text))


def cut(text: str, most: int) -> str:
    """Text of any source in at most that many columns, without control characters, with dots where a part is missing."""
    text = printable(text)
    if width(text) <= most:
        return text
    dots = "..." if most > 6 else ""
    left, kept = most - len(dots), []
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + dots


def width(text: str) -> int:
    """The columns of a terminal that printable text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
