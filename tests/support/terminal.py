# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal of a test: what a program writes to it, as a person sees it."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import typing as t
import unicodedata

_END = "\x1b[H"  #: of a screen: the cursor goes to the top
_PIECE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(\r)|(\n)|([^\x00-\x1f\x7f]+)|(.)", re.DOTALL)


class Picture:
    """The screen of a terminal, from what was written to it.

    It knows the control sequences that the collection uses, and refuses others.

    :ivar rows: the text of each row, without blanks at its end.
    :ivar scrolled: how often a line was lost at the top of the alternate screen, or ran over its right edge.
    :ivar is_alternate: whether the alternate screen is shown.
    :ivar is_cursor_shown: whether the cursor is.
    :ivar colours: parameters of the colours that were used.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self._size = (columns, lines)
        self._cells: t.List[t.List[str]] = []
        self._at = (0, 0)
        self._rest = ""
        self.scrolled = 0
        self.is_alternate = self.does_wrap = False
        self.is_cursor_shown = self.does_wrap = True
        self.colours: t.Set[str] = set()
        self._clear()

    @property
    def rows(self) -> t.List[str]:
        return ["".join(row).rstrip() for row in self._cells]

    def resize(self, columns: int, lines: int) -> None:
        """Change its size. What was there is lost."""
        self._size = (columns, lines)
        self._clear()

    def write(self, text: str) -> None:
        """Take what a program writes, in pieces of any length."""
        text = self._rest + text
        started = re.search(r"\x1b(\[[?\d;]*)?\Z", text)
        self._rest = text[started.start() :] if started else ""
        for parameters, final, back, line, plain, odd in _PIECE.findall(text[: len(text) - len(self._rest)]):
            if final:
                self._control(parameters, final)
            elif back:
                self._at = (self._at[0], 0)
            elif line:
                self._down()
            elif plain:
                self._print(plain)
            else:
                assert not self.is_alternate, f"{odd!r} on the screen"

    def _control(self, parameters: str, final: str) -> None:
        row, column = self._at
        if final == "H":
            wanted = [int(number or 1) - 1 for number in (parameters or ";").split(";")]
            self._at = (min(wanted[0], self._size[1] - 1), min(wanted[1], self._size[0] - 1))
        elif final == "K" and parameters == "2":
            self._cells[row] = [" "] * self._size[0]
        elif final == "J":
            self._cells[row][column:] = [" "] * (self._size[0] - column)
            self._cells[row + 1 :] = [[" "] * self._size[0] for _row in self._cells[row + 1 :]]
        elif final == "m":
            self.colours |= {parameters} - {"0", ""}
        else:
            self._mode(parameters, final)

    def _mode(self, parameters: str, final: str) -> None:
        assert final in "hl", (parameters, final)
        is_set = final == "h"
        if parameters == "?1049":
            self.is_alternate = is_set
            self._clear()
        elif parameters == "?25":
            self.is_cursor_shown = is_set
        else:
            assert parameters == "?7", parameters
            self.does_wrap = is_set

    def _print(self, text: str) -> None:
        for character in text:
            columns = _columns(character)
            row, column = self._at
            if column + columns > self._size[0]:
                self.scrolled += self.is_alternate
                if not self.does_wrap:
                    continue
                self._at = (row, 0)
                self._down()
                row, column = self._at
            if columns:
                self._cells[row][column : column + columns] = [character, *[""] * (columns - 1)]
            self._at = (row, column + columns)

    def _down(self) -> None:
        row, column = self._at
        if row + 1 < self._size[1]:
            self._at = (row + 1, column)
            return
        self.scrolled += self.is_alternate
        self._cells = [*self._cells[1:], [" "] * self._size[0]]

    def _clear(self) -> None:
        self._at = (0, 0)
        self._cells = [[" "] * self._size[0] for _row in range(self._size[1])]


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Terminal:
    """A terminal of that size.

    :ivar inner: the handle for a program to read from and write to.
    :ivar path: the path of it.
    :ivar text: all that was written to it so far, after L(look).
    :ivar picture: what is seen then.
    """

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self._outer, self.inner = pty.openpty()
        os.set_blocking(self._outer, False)
        self.path = os.ttyname(self.inner)
        self.text = ""
        self._unseen = ""  #: what was read, and is not in the picture yet
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self.picture = Picture(columns, lines)
        self.resize(columns, lines)
        self.settings = termios.tcgetattr(self.inner)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    def close(self) -> None:
        for handle in (self._outer, self.inner):
            with contextlib.suppress(OSError):
                os.close(handle)

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size, as the person does who pulls at its corner."""
        self.look()
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.picture.resize(columns, lines)

    def type(self, keys: bytes) -> None:
        os.write(self._outer, keys)

    def look(self) -> Picture:
        """What is seen now."""
        for _seen in self.screens():
            pass
        return self.picture

    def screens(self) -> t.Iterator[Picture]:
        """What was seen since the last look, one whole screen after the other, however late it is looked at.

        What follows the one at which the caller stops is kept for the next look.
        """
        with contextlib.suppress(BlockingIOError, OSError):  # nothing more now, nothing more ever
            while more := os.read(self._outer, 65536):
                fresh = self._decoder.decode(more)  # a character of which a part is missing comes with the rest
                self.text += fresh
                self._unseen += fresh
        while _END in self._unseen:
            screen, end, self._unseen = self._unseen.partition(_END)
            self.picture.write(screen + end)
            yield self.picture
        begun = re.search(r"(?:\x1b\[?)?\Z", self._unseen)  # which may become an end
        assert begun
        self.picture.write(self._unseen[: begun.start()])
        self._unseen = begun[0]

    @property
    def is_as_before(self) -> bool:
        """Whether it takes keys as before, and shows what was there before, with its cursor."""
        seen = self.look()
        is_plain = not seen.is_alternate and seen.is_cursor_shown and seen.does_wrap
        return is_plain and termios.tcgetattr(self.inner) == self.settings
