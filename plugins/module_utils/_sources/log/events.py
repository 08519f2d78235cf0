# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events at the end of the daemon's log, which is read backwards in bounded pieces.

A log that was rotated goes on in the files that it was renamed to: otherwise a fault would seem to be over with it.
"""

from __future__ import annotations

import re
import typing as t

from ..._errors import PoolError, Unreadable
from ..._observation import LogEvents
from .file import Budget, Log, LogFile, log_of, shown, shown_all
from .rotation import SLACK, LogFiles
from .stamp import STAMP

if t.TYPE_CHECKING:
    from ..._instance import Instance

SECONDS = 5.0  #: within which reading ends by default
_PIECE = 1024 * 1024
_HEADS = 16 * 1024 * 1024  #: bytes in which the first lines of all files are looked for
_OVERLAP = 512  #: bytes by which pieces overlap, so that no line that is looked for is cut in two
_LAST_LINES = 5
_LONGEST = 1024  #: bytes of a line that are looked at
_NUMBER = re.compile(rb"\d{1,40}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?")
_STORED = b"Stored local workbase"
_DOWN = b"CRITICAL: No bitcoinds active!"
_CONNECTED = b"Connected to bitcoind"
_FAILED_OVER = b"Failed over to bitcoind"
_BITCOIND = b"bitcoind"  #: in each of these three
_DIFFICULTY = b"Network diff set to"
_FATAL = b"FATAL"

#: Beginnings of messages that mean trouble, by reason; the first that fits counts. Only beginnings, as the rest of a
#: message may be a name that a miner chose.
SIGNATURES: t.Tuple[t.Tuple[str, bytes], ...] = (
    ("no_bitcoind", _DOWN),
    ("block_refused", b"SUBMIT BLOCK RETURNED"),
    ("block_unanswered", b"SUBMIT BLOCK GOT NO RESPONSE"),
    ("template_failed", b"Failed to get block template"),
    ("work_failed", b"Generator failed in update_base"),
    ("process_failed", b"Generator failure"),
    ("process_failed", b"Stratifier failure"),
    ("process_failed", b"Connector failure"),
    ("accept_failed", b"Failed to accept"),
    ("file_failed", b"Failed to fopen"),
    ("file_failed", b"Failed to fwrite"),
    ("fatal", _FATAL),
    ("critical", b"CRITICAL"),
)


def events(
    log: Log, now: float, window: float, limit: int = _PIECE, wants_work: bool = True, seconds: float = SECONDS
) -> LogEvents:
    """The events at the end of a log.

    :arg now: epoch seconds.
    :arg window: seconds back from now within which an error counts as recent.
    :arg limit: bytes from the end that may be read, of all files of this run of the daemon together. All is looked for in
        the last MiB; in what is before that, the last piece of work, the last end of a thread and the last word on the
        bitcoind, if they were not there.
    :arg wants_work: whether this mode logs pieces of work at all.
    :arg seconds: within which reading ends; where it ended early, the problem says so.
    :raises Unreadable: there is no log that may be read.
    """
    found = LogEvents(log.path, problem=log.zone_problem)
    look = _Look(found, now - window, limit, wants_work, Budget(limit + _PIECE, seconds))
    since = float("inf") if log.start_time is None else log.start_time - SLACK
    try:
        with LogFiles(log, since, Budget(_HEADS, seconds)) as logs:
            if logs.failure and (not logs.files or logs.failure.reason != "absent"):
                raise logs.failure
            look.at(logs)
    except OSError as exc:
        raise Unreadable(f"cannot read {log.path}: {exc.strerror}", log.path) from None
    return found


def log_tail(instance: Instance) -> t.List[str]:
    """The last lines of the log of an instance, to be shown with a failure; empty if it cannot be read."""
    log = log_of(instance)
    return last_lines(log) if log else []


def last_lines(log: Log, count: int = _LAST_LINES) -> t.List[str]:
    """The last lines of a log; empty if it cannot be read."""
    try:
        with log.open() as file:
            end = file.data_before(file.size)
            return shown_all(_last_of(file.read(max(end - 8192, 0), end), count))
    except (PoolError, OSError):
        return []


class _Look:
    """One look at the end of a log, from the last line back, over all of its files."""

    def __init__(self, found: LogEvents, recent: float, limit: int, wants_work: bool, budget: Budget) -> None:
        self._found, self._recent, self._wants_work, self._budget = found, recent, wants_work, budget
        self._left = limit  # bytes that may still be looked at
        self._near = min(limit, _PIECE)  # of these, the bytes in which everything is looked for

    def at(self, logs: LogFiles) -> None:
        """Fill in the events of these files, the newest first."""
        newer: t.Optional[float] = None
        for file in logs.files:
            # A file that was copied, not renamed, contains lines that were read already.
            end = file.size if newer is None else file.first_at(newer + SLACK, file.size, self._budget)
            self._read(file, end)
            newer = logs.first_time(file) or newer
            if self._left <= 0 or self._budget.is_over:
                break
        missed = [f"{name}: {why}" for name, why in logs.problems.items()]
        if self._left > 0 and logs.packed:
            missed.append(f"not read, as compressed: {', '.join(logs.packed)}")
        if self._budget.is_over:
            missed.append(f"the log was read in part: {self._budget.bound}")
        self._found.problem = "; ".join(filter(None, (self._found.problem, *missed)))

    def _read(self, file: LogFile, end: int) -> None:
        """Fill in the events of one file up to a place, and what is missing then from the part before."""
        floor = max(end - self._left, 0)
        self._left -= end - floor
        end = file.data_before(end)
        start = max(end - self._near, 0)
        scan = _Scan(file, file.read(start, end))
        self._near -= end - start
        self._budget.take(end - start)
        scan.fill(self._found, self._recent)
        end = min(start + _OVERLAP, end)
        while end > floor and self._lacks and not self._budget.is_over:
            end = file.data_before(end)
            start = max(end - _PIECE, floor)
            _Scan(file, file.read(max(start - _OVERLAP, floor), end)).fill_last(self._found, self._wants_work)
            self._budget.take(end - start)
            end = start

    @property
    def _lacks(self) -> bool:
        """Whether there is anything left that is looked for far back."""
        found = self._found
        return found.fatal is None or (self._wants_work and (found.stored_workbase is None or not found.tells_bitcoind))


def _last_of(tail: bytes, count: int) -> t.List[bytes]:
    """The last lines of a piece of log, including one that is not complete yet."""
    lines = tail.rstrip(b"\0").rsplit(b"\n", count + 1)
    return (lines if lines[-1] else lines[:-1])[-count:]


class _Scan:
    """A piece of log. Most lines do not matter here, so the piece is searched for marks."""

    def __init__(self, file: LogFile, data: bytes) -> None:
        self._stamp = file.clock.stamp
        self._data = data

    def fill(self, found: LogEvents, recent: float) -> None:
        """Fill in the events that are not known from what is newer.

        :arg recent: epoch seconds since when an error counts as recent.
        """
        found.last_lines = found.last_lines or shown_all(_last_of(self._data, _LAST_LINES))
        if found.last_line is None:
            lines = reversed(_last_of(self._data, 50))
            found.last_line = next((when for when in map(self._stamp, lines) if when), None)
        self.fill_last(found, wants_work=True)
        if found.network_difficulty is None:
            words = self.last(_DIFFICULTY)[1].partition(_DIFFICULTY)[2][:100].split()
            found.network_difficulty = float(words[0]) if words and _NUMBER.fullmatch(words[0]) else None
        seen: t.Set[int] = set()
        for reason, mark in SIGNATURES:
            self._count(reason, mark, recent, seen, found)

    def fill_last(self, found: LogEvents, wants_work: bool) -> None:
        """Fill in the last event of each kind that is not known from what is newer."""
        if found.fatal is None:
            found.fatal, line = self.last(_FATAL)
            found.fatal_line = shown(line)
        if not wants_work:
            return
        if found.stored_workbase is None:
            found.stored_workbase = self.last(_STORED)[0]
        if not found.tells_bitcoind and _BITCOIND in self._data:
            found.bitcoind_down = self.last(_DOWN)[0]
            found.bitcoind_connected, line = self.last(_CONNECTED)
            found.connected_to = shown(line.partition(_CONNECTED)[2].strip(b" :"))
            found.failed_over, line = self.last(_FAILED_OVER)
            found.failed_over_to = shown(line.partition(_FAILED_OVER)[2].strip(b" :"))

    def last(self, mark: bytes) -> t.Tuple[t.Optional[float], bytes]:
        """The time and the text of the last line that begins with a mark."""
        for start, when in self._lines_with(mark):
            return when, self._line(start)
        return None, b""

    def _count(self, reason: str, mark: bytes, recent: float, seen: t.Set[int], found: LogEvents) -> None:
        """Count the recent lines that begin with a mark, from the end, and keep the newest of all."""
        for start, when in self._lines_with(mark):
            if when < recent:
                return
            if start not in seen:
                seen.add(start)
                found.errors[reason] = found.errors.get(reason, 0) + 1
                if when >= found.error_time:
                    found.error_time, found.error_line = when, shown(self._line(start))

    def _lines_with(self, mark: bytes) -> t.Iterator[t.Tuple[int, float]]:
        """Where the lines start whose message begins with a mark, and their times, the newest first."""
        mark, data = b"] " + mark, self._data
        position = data.rfind(mark)
        while position >= 0:
            start = position - STAMP + 1
            if start == 0 or data[max(start - 1, 0) : max(start, 0)] == b"\n":
                when = self._stamp(data[start : start + STAMP])
                if when is not None:
                    yield start, when
            position = data.rfind(mark, 0, position)

    def _line(self, start: int) -> bytes:
        end = self._data.find(b"\n", start, start + _LONGEST)
        return self._data[start : end if end >= 0 else start + _LONGEST]
