# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers from the daemon's log: its end only, read backwards in bounded pieces."""

from __future__ import annotations

import os
import stat
import time
import typing as t

from .._errors import PoolError, Unreadable
from .._observation import LogEvents

LOG_LIMIT = 4 * 1024**3  #: bytes, of all files together, that are read for blocks unless told otherwise
_STAMP = len("[2026-11-22 22:09:25.734]")
_PIECE = 1024 * 1024
_OVERLAP = 512  #: bytes by which pieces overlap, so that no line that is looked for is cut in two
_LAST_LINES = 5
_STORED = b"Stored local workbase"
_DOWN = b"CRITICAL: No bitcoinds active!"
_CONNECTED = b"Connected to bitcoind"
_FAILED_OVER = b"Failed over to bitcoind"
_DIFFICULTY = b"Network diff set to"
_FATAL = b"FATAL"

#: What a message begins with when it means trouble, by reason; the first that fits counts. Only beginnings, as what
#: stands further on may be a name that a miner chose.
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


def events(path: str, now: float, window: float, limit: int = _PIECE, wants_work: bool = True) -> LogEvents:
    """What the end of a log says.

    :arg path: the log.
    :arg now: epoch seconds.
    :arg window: seconds back from now within which an error counts as recent.
    :arg limit: bytes from the end that may be read. All is looked for in the last MiB; in what is before that, the last
        piece of work and the last end of a thread, if they were not there.
    :arg wants_work: whether this mode logs pieces of work at all.
    :raises Unreadable: there is no log, or it may not be read.
    """
    found = LogEvents(path)
    handle = open_log(path)
    try:
        end = os.fstat(handle).st_size
        start = max(end - min(_PIECE, limit), 0)
        tail = read_piece(handle, start, end)
        _scan(tail, found, now - window)
        before, floor = min(start + _OVERLAP, end), max(end - limit, 0)
        if found.stored_workbase is None and wants_work:
            found.stored_workbase = _earlier(handle, before, floor, _STORED)[0]
        if found.fatal is None:
            found.fatal, line = _earlier(handle, before, floor, _FATAL)
            found.fatal_line = _texts([line])[0]
    except OSError as exc:
        raise Unreadable(f"cannot read {path}: {exc.strerror}", path) from None
    finally:
        os.close(handle)
    return found


def last_lines(path: str, count: int = _LAST_LINES) -> t.List[str]:
    """The last lines of a log, for a failure to show; empty where there are none to be had."""
    try:
        handle = open_log(path)
    except PoolError:
        return []
    try:
        end = os.fstat(handle).st_size
        return _texts(read_piece(handle, max(end - 8192, 0), end).splitlines()[-count:])
    except OSError:
        return []
    finally:
        os.close(handle)


def stamp(line: bytes) -> t.Optional[float]:
    """Epoch seconds of a line's stamp, which is in the host's local time; None where it has none."""
    try:
        text = line[1:_STAMP].decode("ascii")
        if line[:1] != b"[" or text[4] + text[7] + text[10] != "-- ":
            return None
        day = (int(text[:4]), int(text[5:7]), int(text[8:10]))
        clock = (int(text[11:13]), int(text[14:16]), int(text[17:19]))
        when = time.mktime((*day, *clock, 0, 0, 0))
        if time.localtime(when).tm_isdst:
            # It was summer time. (Of the hour that autumn repeats, the later one: nothing looks older than it is.)
            when = time.mktime((*day, *clock, 0, 0, -1))
        return when + float("0" + text[19:23])
    except (ValueError, IndexError, OverflowError):
        return None


def _scan(tail: bytes, found: LogEvents, recent: float) -> None:
    """Fill in the events of a piece of log. Most lines say nothing here, so the marks are searched, not the lines."""
    lines = tail.splitlines()
    found.last_lines = _texts(lines[-_LAST_LINES:])
    found.last_line = next((when for when in map(stamp, reversed(lines[-50:])) if when), None)
    found.stored_workbase = _last(tail, _STORED)[0]
    found.bitcoind_down = _last(tail, _DOWN)[0]
    found.bitcoind_connected = _last(tail, _CONNECTED)[0]
    found.failed_over, line = _last(tail, _FAILED_OVER)
    found.failed_over_to = line.partition(_FAILED_OVER)[2].decode("utf-8", "replace").strip(" :")
    found.fatal, line = _last(tail, _FATAL)
    found.fatal_line = _texts([line])[0]
    line = _last(tail, _DIFFICULTY)[1].partition(_DIFFICULTY)[2]
    try:
        found.network_difficulty = float(line.split()[0]) if line.split() else None
    except ValueError:
        pass
    seen: t.Set[int] = set()
    for reason, mark in SIGNATURES:
        _count(tail, reason, mark, recent, seen, found)


def _count(tail: bytes, reason: str, mark: bytes, recent: float, seen: t.Set[int], found: LogEvents) -> None:
    """Count the recent lines that begin with a mark, from the end, and keep the newest of all."""
    for start, when in _lines_with(tail, mark):
        if when < recent:
            return
        if start not in seen:
            seen.add(start)
            found.errors[reason] = found.errors.get(reason, 0) + 1
            if when >= found.error_time:
                found.error_time, found.error_line = when, _texts([_line(tail, start)])[0]


def _last(tail: bytes, mark: bytes) -> t.Tuple[t.Optional[float], bytes]:
    """The time and the text of the last line that begins with a mark."""
    for start, when in _lines_with(tail, mark):
        return when, _line(tail, start)
    return None, b""


def _lines_with(tail: bytes, mark: bytes) -> t.Iterator[t.Tuple[int, float]]:
    """Where the lines start whose message begins with a mark, and their times, the newest first."""
    mark = b"] " + mark
    position = tail.rfind(mark)
    while position >= 0:
        start = position - _STAMP + 1
        if start == 0 or tail[max(start - 1, 0) : max(start, 0)] == b"\n":
            when = stamp(tail[start : start + _STAMP])
            if when is not None:
                yield start, when
        position = tail.rfind(mark, 0, position)


def _line(tail: bytes, start: int) -> bytes:
    end = tail.find(b"\n", start)
    return tail[start : end if end >= 0 else len(tail)]


def _earlier(handle: int, end: int, floor: int, mark: bytes) -> t.Tuple[t.Optional[float], bytes]:
    """The last line that begins with a mark before a place in the log, down to a floor: its time and text."""
    while end > floor:
        start = max(end - _PIECE, floor)
        when, line = _last(read_piece(handle, max(start - _OVERLAP, floor), end), mark)
        if when is not None:
            return when, line
        end = start
    return None, b""


def _texts(lines: t.Sequence[bytes]) -> t.List[str]:
    return [line[:300].decode("utf-8", "replace") for line in lines]


def open_log(path: str) -> int:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise Unreadable(f"cannot read {path}: {exc.strerror}", path, "is log_dir right? may we read it?") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unreadable(f"{path} is not a regular file", path, reason="not_a_file")
    return handle


def read_piece(handle: int, start: int, end: int) -> bytes:
    pieces = []
    while start < end:
        piece = os.pread(handle, end - start, start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)
