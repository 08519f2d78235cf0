# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a line of a log was written: its stamp is in the daemon's local time, which need not be ours.

The daemon's zone is that of its environment and of the file system that it sees. If this is not known, the time at which
the log was last written shows how far its last stamp is off.
"""

from __future__ import annotations

import calendar
import datetime
import os
import re
import typing as t

from ..._errors import Unreadable
from ..._host.file import changed_at
from ..._host.process import environment_of
from ..._text import printable
from .zone import UTC, Zone, fixed, from_posix, from_tzif

STAMP = len("[2026-11-22 22:09:25.734]")
MESSAGE = STAMP + 1  #: where the message of a line begins
_ENVIRON = 4 * 1024 * 1024  #: bytes of a process's environment that are looked at
_FILE = 256 * 1024  #: bytes that the file of a zone may have; it has a few thousand
_LOCAL = "/etc/localtime"
_FOLDERS = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo")
_STEP = 900  #: seconds by which zones differ
_WESTMOST, _EASTMOST = -12 * 3600, 14 * 3600  #: seconds that zones have
_LONGEST = 1000  #: bytes of a name of a zone
_NEAR = 60.0  #: seconds by which the last line may be older than the file
_MINUTE = re.compile(rb"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)")

if t.TYPE_CHECKING:

    class Opener(t.Protocol):
        """An opener of untrusted files."""

        root: str

        def open(self, path: str) -> int:
            """A descriptor of a regular file."""

        def open_folder(self, path: str) -> int:
            """A descriptor of a folder."""

        def read(self, path: str, limit: int = ...) -> bytes:
            """The content of a regular file."""


class Clock:
    """Reads the stamps of one file.

    :arg latest: epoch seconds after which no line was written; it decides in the hour that autumn repeats.
    """

    def __init__(self, zone: Zone, latest: float = float("inf")) -> None:
        self.zone = zone
        self._latest = latest
        self._minute: t.Tuple[bytes, int] = (b"", 0)

    def stamp(self, line: bytes) -> t.Optional[float]:
        """Epoch seconds of a line's stamp; None if it has none."""
        text = line[:STAMP]
        digits = text[18:20] + text[21:24]
        if text[:1] != b"[" or text[24:] != b"]" or text[17:18] + text[20:21] != b":." or not digits.isdigit():
            return None
        minute, begins = self._minute
        if text[1:17] != minute:
            try:
                begins = self._begins(text[1:17])
            except (ValueError, OverflowError):
                return None
            self._minute = (text[1:17], begins)
        return begins + int(digits) / 1000

    def _begins(self, minute: bytes) -> int:
        """Epoch seconds at which a minute begins.

        :raises ValueError: there is no such minute.
        """
        match = _MINUTE.fullmatch(minute)
        year, month, day, hour, past = (int(part) for part in match.groups()) if match else (0,) * 5
        local = datetime.datetime(year, month, day, hour, past)
        return self.zone.epoch(calendar.timegm(local.timetuple()), self._latest)


class ZoneGuess(t.NamedTuple):
    """A zone, and why it is in doubt; C(doubt) is empty if it is known."""

    zone: Zone
    doubt: str


def zone_of(pid: t.Optional[int], files: Opener, start_time: t.Optional[float] = None) -> ZoneGuess:
    """The zone in which a process writes its log.

    :arg pid: None if there is no process.
    :arg files: opens files as the process sees them, below its root.
    :arg start_time: epoch seconds of its start. It may not have noticed what was changed since then.
    """
    if pid is None:
        return ZoneGuess(_of_environment(dict(os.environ), files)[0], "no process shows its time zone")
    try:
        environment = _environment(pid)
    except OSError as exc:
        problem = f"the time zone of process {pid} cannot be read: {exc.strerror}"
        return ZoneGuess(_of_environment({}, files)[0], problem)
    zone, problem = _of_environment(environment, files)
    if not problem and "TZ" not in environment and start_time is not None:
        problem = _changed_since(files.root + _LOCAL, start_time)
    return ZoneGuess(zone, problem)


def calibrated(guess: ZoneGuess, last_local: t.Optional[float], modified: float) -> ZoneGuess:
    """A zone in doubt, compared with the time at which the log was last written.

    :arg last_local: the stamp of its last line by the guess, epoch seconds.
    :arg modified: when the log was last written, epoch seconds.
    """
    if not guess.doubt or last_local is None:
        return guess
    off = modified - last_local
    rounded = round(off / _STEP) * _STEP
    offset = guess.zone.offset_at(last_local) - rounded
    if not -1.0 <= off - rounded <= _NEAR or not _WESTMOST <= offset <= _EASTMOST:
        return guess
    if rounded == 0:
        return ZoneGuess(guess.zone, "")
    zone = fixed(offset)
    return ZoneGuess(zone, f"{guess.doubt}; by the time at which the log was last written it is {zone.name}")


def _environment(pid: int) -> t.Dict[str, str]:
    """The environment that a process was started with. Of a name that is there twice, the first counts, as for the C library."""
    if pid == os.getpid():
        return dict(os.environ)  # which may have been changed since
    found: t.Dict[str, str] = {}
    for entry in environment_of(pid, _ENVIRON):
        if entry.startswith((b"TZ=", b"TZDIR=")):
            name, _sign, value = os.fsdecode(entry).partition("=")
            found.setdefault(name, value)
    return found


def _of_environment(environment: t.Dict[str, str], files: Opener) -> t.Tuple[Zone, str]:
    """The zone by an environment, as the C library determines it, and why it is not known."""
    text = environment.get("TZ")
    if text == "":
        return UTC, ""
    name = (_LOCAL if text is None else text).lstrip(":")
    folders = (environment.get("TZDIR") or "", *_FOLDERS)
    paths = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in folders if folder]
    problem = ""
    for path in paths if len(name) < _LONGEST else ():
        try:
            zone = _of_file(files, path)
        except Unreadable as exc:
            problem = problem or printable(f"the time zone of the daemon cannot be read: {exc}")
            continue
        if zone is not None:
            return zone, ""
    # A name that is neither a file nor a rule is UTC for the C library.
    zone = from_posix(name)
    return zone or UTC, "" if zone else problem


def _of_file(files: Opener, path: str) -> t.Optional[Zone]:
    """The zone of a file; None if it is not the file of a zone.

    :raises Unreadable: it may be one, but it cannot be read.
    """
    try:
        return from_tzif(files.read(files.root + path, _FILE), path.rpartition("zoneinfo/")[2])
    except Unreadable as exc:
        if exc.reason in ("absent", "not_a_file", "too_large"):
            return None
        raise


def _changed_since(path: str, start_time: float) -> str:
    """Why a zone that a file sets is in doubt: the file was changed after the start. Empty if it was not."""
    changed = changed_at(path) or 0.0
    return "the time zone of the host was set after the daemon was started" if changed > start_time else ""
