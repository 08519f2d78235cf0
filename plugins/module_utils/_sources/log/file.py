# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file of a log, read in pieces, by place or by time, within bounds.

It may be anything: a file of 64 GiB without a byte in it, or of lines that do not end. So a reader has a budget
of bytes and of time, what is a hole in the file is passed over, and nothing is read more often than once or twice.
"""

from __future__ import annotations

import os
import re
import time
import typing as t
import zlib

from ..._errors import PoolError, Unreadable
from ..._host.file import Files
from ..._host.process import root_of
from ..._text import printable
from .stamp import MESSAGE, STAMP, Clock, ZoneGuess, calibrated, zone_of
from .zone import Zone

if t.TYPE_CHECKING:
    from ..._instance import Instance
    from .stamp import Opener

LOG_LIMIT = 4 * 1024**3  #: bytes, of all files together, that are read by default
SECONDS = 30.0  #: within which reading ends by default
PIECE = 256 * 1024  #: bytes read at once: they stay in the processor's cache while they are searched again and again
_TAIL = 64 * 1024  #: bytes of the end in which the last stamp is looked for
_SKEW = 120.0  #: seconds by which the clock that stamps and the one of the file system may differ
_PAGE, _MOST_STEP = 4096, 1 << 40  #: bytes of a hole that are passed over at once
_STAMPED = re.compile(rb"\n\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] ")


class Budget:
    """How much may be read: a number of bytes, within a number of seconds."""

    def __init__(self, size: int = LOG_LIMIT, seconds: float = SECONDS) -> None:
        self.left = size
        self.taken = 0
        self._size, self._seconds = size, seconds
        self._deadline = time.monotonic() + seconds

    def take(self, size: int) -> None:
        """Count bytes that were read."""
        self.left -= size
        self.taken += size

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be read."""
        return self.left <= 0 or time.monotonic() > self._deadline

    @property
    def bound(self) -> str:
        """The bound that was reached, for a person."""
        if self.left <= 0:
            return f"log_limit is reached: {self._size} bytes"
        return f"it took longer than {self._seconds:g} s"


class Log:
    """The log of an instance: where it is, who opens it, and in which time zone it is written.

    :arg path: as seen from here.
    :arg files: opens it with the rights of the daemon.
    :arg pid: the process that writes it, if there is one.
    :arg start_time: of that process, epoch seconds.
    :arg zone: its time zone, if known; otherwise it is determined once.
    :arg root: opens the files of the file system that the process sees, for its time zone.
    """

    def __init__(
        self,
        path: str,
        files: Opener,
        pid: t.Optional[int] = None,
        start_time: t.Optional[float] = None,
        zone: t.Optional[Zone] = None,
        root: t.Optional[Opener] = None,
    ) -> None:
        self.path = path
        self.files = files
        self._root = files if root is None else root
        self._pid, self.start_time = pid, start_time
        self._guess = None if zone is None else ZoneGuess(zone, "")

    @property
    def zone(self) -> Zone:
        """The time zone of its stamps."""
        return self._known_zone().zone

    @property
    def zone_problem(self) -> str:
        """Why its time zone is in doubt; empty if it is not."""
        return self._known_zone().doubt

    def open(self, path: t.Optional[str] = None) -> LogFile:
        """Open it, or one that it was renamed to.

        :raises Unreadable: there is no such file, or it may not be read.
        """
        path = self.path if path is None else path
        try:
            handle = self.files.open(path)
        except Unreadable as exc:
            exc.hint = exc.hint or "is log_dir right? may we read it?"
            raise
        try:
            return LogFile(path, handle, self.zone)
        except BaseException:
            os.close(handle)
            raise

    def _known_zone(self) -> ZoneGuess:
        if self._guess is None:
            guess = zone_of(self._pid, self._root, self.start_time)
            settled = self._calibrated(guess) if guess.doubt else guess
            # After the daemon has ended, this is the best that can be known, unless the log says otherwise.
            is_plain = self._pid is None and settled.zone is guess.zone
            self._guess = ZoneGuess(settled.zone, "" if is_plain else settled.doubt)
        return self._guess

    def _calibrated(self, guess: ZoneGuess) -> ZoneGuess:
        try:
            with LogFile(self.path, self.files.open(self.path), guess.zone) as log:
                return calibrated(guess, log.last_time(), log.modified)
        except (PoolError, OSError):
            return guess  # the next reader names the problem


def log_of(instance: Instance) -> t.Optional[Log]:
    """The log of an instance; None if its place is not known. The time zone of its stamps is determined once."""
    path = instance.log_file
    if path is None:
        return None
    log: t.Optional[Log] = instance.log_cache
    if log is None or log.path != path:
        pid = instance.pid if instance.pid_state in ("alive", "hidden") else None
        # Also one whose directories are ours may have an /etc/localtime of its own.
        root = Files(root_of(pid), instance.owner) if pid else None
        log = instance.log_cache = Log(path, instance.files, pid, instance.start_time, root=root)
    return log


class LogFile:
    """One open file. It stays the same when it is renamed."""

    def __init__(self, path: str, handle: int, zone: Zone) -> None:
        self.path, self.handle = path, handle
        info = self.look()
        self.identity = (info.st_dev, info.st_ino)
        self.clock = Clock(zone, min(self.modified, time.time()) + _SKEW)

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def look(self) -> os.stat_result:
        """Its size by now."""
        info = os.fstat(self.handle)
        self.size, self.modified = info.st_size, info.st_mtime
        self._has_holes = info.st_blocks * 512 < info.st_size
        return info

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two places; fewer if it is shorter by now."""
        pieces = []
        while start < end:
            piece = os.pread(self.handle, end - start, start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)

    def data_before(self, end: int) -> int:
        """A place up to this one, behind which there is nothing but a hole up to it."""
        step = PIECE
        while self._has_holes and end > 0:
            start = max(end - step, 0)
            if self._data_from(start) >= end:
                end, step = start, min(step * 2, _MOST_STEP)
            elif step > _PAGE:
                step = PIECE if step > PIECE else _PAGE
            else:
                break
        return end

    def data_after(self, start: int) -> int:
        """A place from this one on, before which there is nothing but a hole down to it."""
        data = self._data_from(max(start, 0)) if self._has_holes else 0
        return data if data > max(start, 0) else start

    def head(self, size: int = PIECE) -> bytes:
        """The first bytes of its content, unpacked."""
        data = self.read(0, size)
        if not self.path.endswith(".gz"):
            return data
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, size)
        except zlib.error:
            return b""

    def whole_lines(self, budget: Budget) -> int:
        """Where the last complete line ends."""
        end, step = self.size, 4096
        while end > 0 and not budget.is_over:
            end = self.data_before(end)
            start = max(end - step, 0)
            at = self.read(start, end).rfind(b"\n")
            budget.take(end - start)
            if at >= 0:
                return start + at + 1
            end, step = start, PIECE
        return 0

    def first_time(self, budget: Budget) -> t.Optional[float]:
        """The time of the first line that has one, epoch seconds."""
        if self.path.endswith(".gz"):
            return next((when for when in map(self.clock.stamp, self.head().split(b"\n")) if when is not None), None)
        found = self._next(-1, self.size, budget)
        return found[1] if found else None

    def last_time(self) -> t.Optional[float]:
        """The time of the last line near its end that has one, epoch seconds."""
        end = self.data_before(self.size)
        rows = self.read(max(end - _TAIL, 0), end).rstrip(b"\0").split(b"\n")[:-1]
        return next((when for when in map(self.clock.stamp, reversed(rows)) if when is not None), None)

    def first_at(self, when: float, end: int, budget: Budget) -> int:
        """Where the first line of that time or later begins, of those before a place.

        Where the budget does not suffice, a place before that line.
        """
        low, high, best = -1, end, end
        while high - low > PIECE // 16 and not budget.is_over:
            middle = (low + high) // 2
            found = self._next(middle, high, budget)
            if found is None:
                high = high if budget.is_over else middle
            elif found[1] >= when:
                high = best = found[0]
            else:
                low = found[0]
        if budget.is_over:
            return max(low, 0)
        found = self._next(low, high, budget)
        while found and found[1] < when:
            found = self._next(found[0], high, budget)
        return found[0] if found else best

    def _data_from(self, start: int) -> int:
        try:
            return os.lseek(self.handle, start, os.SEEK_DATA)
        except OSError:
            return self.size

    def _next(self, start: int, end: int, budget: Budget) -> t.Optional[t.Tuple[int, float]]:
        """The first line with a stamp that begins after one place and before another: where, and the time."""
        step = 4096
        while start < end and not budget.is_over:
            start = self.data_after(start)
            data = self.read(max(start, 0), start + step + MESSAGE)
            budget.take(len(data))
            if start < 0:
                data = b"\n" + data
            for match in _STAMPED.finditer(data, 0, max(end - start + STAMP, 0)):
                when = self.clock.stamp(data[match.start() + 1 : match.end()])
                if when is not None:
                    return start + match.start() + 1, when
            start, step = start + step, min(step * 2, PIECE)
        return None


def shown(line: bytes, most: int = 300) -> str:
    """A line of a log as it may be shown: parts of it are chosen by miners."""
    return printable(line[:most].decode("utf-8", "surrogateescape"))


def shown_all(lines: t.Iterable[bytes]) -> t.List[str]:
    """Lines as they may be shown."""
    return [shown(line) for line in lines]
