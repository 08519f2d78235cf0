# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a log that contain one of some texts, from the last to the first.

Only these lines are looked at, in pieces of one buffer, so memory depends neither on the size of a log nor on the number of
its lines.
"""

from __future__ import annotations

import os
import typing as t

from ..._errors import Unreadable
from .file import PIECE, Budget, LogFile

_BEGIN = ord("[")  #: of each line


class Search:
    """Lines that contain one of some texts, from the last to the first, by one buffer that is reused."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._buffer = bytearray(PIECE)
        self._memmem: t.Optional[t.Callable[[int, int, bytes, int], t.Optional[int]]] = None
        try:
            import ctypes  # some Pythons do not have it

            # The C library looks for a text two to three times as fast as Python.
            self._base = ctypes.addressof((ctypes.c_char * PIECE).from_buffer(self._buffer))
            memmem = ctypes.CDLL(None).memmem
            memmem.restype = ctypes.c_void_p
            memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
            self._memmem = memmem
        except (ImportError, AttributeError, OSError):
            pass

    def lines(self, log: LogFile, begin: int, end: int, needles: t.Sequence[bytes]) -> t.Iterator[bytes]:
        """The lines between two places that contain one of the texts; a line begins at both places.

        They end early if the budget is used up.

        :raises Unreadable: the log was cut meanwhile.
        """
        while end > begin and not self._budget.is_over:
            end = max(log.data_before(end), begin)
            start = max(begin, end - PIECE)
            size = os.preadv(log.handle, [memoryview(self._buffer)[: end - start]], start)
            self._budget.take(size)
            if size < end - start:
                raise Unreadable("the log was cut while it was read", log.path, reason="cut")
            # A line that begins before this piece is left for the next.
            first = 0 if start == begin else self._buffer.find(b"\n", 0, size) + 1
            starts = {at for needle in needles for at in self._starts(needle, size) if at >= first}
            for at in sorted(starts, reverse=True):
                until = self._buffer.find(b"\n", at, size) if self._buffer[at] == _BEGIN else -1
                if until >= 0:
                    yield bytes(self._buffer[at:until])
            # No line of the daemon is as long as a piece: such a line is left out.
            end = start + first if first < size else start

    def _starts(self, needle: bytes, size: int) -> t.Iterator[int]:
        """Where the lines begin that contain a text."""
        at = self._find(needle, 0, size)
        while at >= 0:
            yield self._buffer.rfind(b"\n", 0, at) + 1
            line_end = self._buffer.find(b"\n", at, size)
            at = self._find(needle, line_end, size) if line_end >= 0 else -1

    def _find(self, needle: bytes, start: int, end: int) -> int:
        if self._memmem is None:
            return self._buffer.find(needle, start, end)
        found = self._memmem(self._base + start, end - start, needle, len(needle))
        return found - self._base if found else -1
