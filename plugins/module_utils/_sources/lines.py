# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a log, and of what it was before it was renamed, looked for from the last to the first.

Only lines with certain texts in them are looked at, in pieces of one buffer, so neither the size of a log nor the number of its
lines matters to memory.
"""

from __future__ import annotations

import os
import typing as t

from .._errors import PoolError, Unreadable
from .log import open_log, read_piece, stamp

PIECE = 256 * 1024  #: bytes read at once: they stay in the processor's cache while they are searched again and again
SLACK = 2.0  #: seconds by which the start of a process, as /proc has it, may be late
MESSAGE = len("[2026-11-22 22:09:25.734] ")  #: where the message of a line begins
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".Z", ".zip")


class Search:
    """Lines with certain texts in them, from the last to the first, in one buffer that is used again and again."""

    def __init__(self) -> None:
        self.read_bytes = 0
        self._buffer = bytearray(PIECE)
        self._memmem: t.Optional[t.Callable[[int, int, bytes, int], t.Optional[int]]] = None
        try:
            import ctypes  # some Pythons are without

            # The C library looks for a text two to three times as fast as Python.
            self._base = ctypes.addressof((ctypes.c_char * PIECE).from_buffer(self._buffer))
            memmem = ctypes.CDLL(None).memmem
            memmem.restype = ctypes.c_void_p
            memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
            self._memmem = memmem
        except (ImportError, AttributeError, OSError):
            pass

    def lines(self, handle: int, begin: int, end: int, needles: t.Sequence[bytes]) -> t.Iterator[bytes]:
        """The lines between two places, both of them where a line begins, that have one of the texts in them."""
        while end > begin:
            start = max(begin, end - PIECE)
            size = os.preadv(handle, [memoryview(self._buffer)[: end - start]], start)
            self.read_bytes += size
            if size < end - start:
                raise Unreadable("the log was cut while it was read", reason="cut")
            # A line that begins before this piece is left for the next.
            first = 0 if start == begin else self._buffer.find(b"\n", 0, size) + 1
            starts = {at for needle in needles for at in self._starts(needle, size) if at >= first}
            for at in sorted(starts, reverse=True):
                until = self._buffer.find(b"\n", at, size)
                if until >= 0:
                    yield bytes(self._buffer[at:until])
            # No line of the daemon's is as long as a piece: of such a one, nothing is taken.
            end = start + first if first < size else start

    def _starts(self, needle: bytes, size: int) -> t.Iterator[int]:
        """Where the lines begin that have a text in them."""
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


class LogFile:
    """One file of the log. C(end) is where its last complete line ends, C(first) the time of its first."""

    def __init__(self, path: str, handle: int) -> None:
        info = os.fstat(handle)
        self.path, self.handle, self.identity = path, handle, (info.st_dev, info.st_ino)
        self.end = end = info.st_size
        while end > 0:
            start = max(end - PIECE, 0)
            self.end = start + read_piece(handle, start, end).rfind(b"\n") + 1
            if self.end > start:
                break
            end = start
        found = self._next(-1, self.end)
        self.first = found[1] if found else None

    def first_at(self, when: float) -> int:
        """Where the first line of that time or later begins."""
        low, high = -1, self.end
        while high - low > PIECE // 16:
            middle = (low + high) // 2
            found = self._next(middle, high)
            if found is None:
                high = middle
            elif found[1] >= when:
                high = found[0]
            else:
                low = found[0]
        found = self._next(low, high)
        while found and found[1] < when:
            found = self._next(found[0], high)
        return found[0] if found else high

    def _next(self, start: int, end: int) -> t.Optional[t.Tuple[int, float]]:
        """The first line with a stamp that begins after one place and before another: where, and the time."""
        step = 4096
        while start < end:
            data = read_piece(self.handle, max(start, 0), start + step + MESSAGE)
            if start < 0:
                data = b"\n" + data
            at = data.find(b"\n[")
            while 0 <= at < end - start - 1:
                when = stamp(data[at + 1 : at + MESSAGE])
                if when is not None and len(data) >= at + MESSAGE:
                    return start + at + 1, when
                at = data.find(b"\n[", at + 1)
            start, step = start + step, min(step * 2, PIECE)
        return None


class LogFiles:
    """A log and what it was before it was renamed, the newest first. They stay what they are once they are open."""

    def __init__(self, log_file: str, start_time: t.Optional[float]) -> None:
        self.files: t.List[LogFile] = []
        self._log_file = log_file
        self._since = 0.0 if start_time is None else start_time - SLACK
        for _attempt in range(3):
            self.close()
            self.packed: t.List[str] = []
            self.problems: t.List[str] = []
            self.failure: t.Optional[PoolError] = None
            try:
                if self._look():
                    break
            except OSError as exc:
                self.problems.append(f"cannot list {os.path.dirname(log_file)}: {exc.strerror}")
                break
        self.files.sort(key=lambda log: (log.path == log_file, log.first or 0.0), reverse=True)

    def close(self) -> None:
        """Let go of all files."""
        while self.files:
            os.close(self.files.pop().handle)

    def _look(self) -> bool:
        """Open what is there; whether nothing was renamed meanwhile."""
        self._add(self._log_file, None)
        folder, name = os.path.split(self._log_file)
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                if not entry.name.startswith((name + ".", name + "-")):
                    continue
                try:
                    if entry.stat().st_mtime < self._since:
                        continue
                except FileNotFoundError:
                    return False
                if entry.name.endswith(_PACKED):
                    self.packed.append(entry.name)
                elif not self._add(os.path.join(folder, entry.name), entry.stat().st_ino):
                    return False
        return True

    def _add(self, path: str, inode: t.Optional[int]) -> bool:
        """Open one that has lines; False if it is not the one meant."""
        try:
            handle = open_log(path)
        except PoolError as exc:
            if inode is None:
                self.failure = exc
            elif os.path.lexists(path):
                self.problems.append(str(exc))
            return inode is None or os.path.lexists(path)
        log = LogFile(path, handle)
        same = inode in (None, log.identity[1])
        if same and log.end and log.identity not in [other.identity for other in self.files]:
            self.files.append(log)
        else:
            os.close(handle)
        return same
