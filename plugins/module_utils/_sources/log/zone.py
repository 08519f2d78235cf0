# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time zones as data: the rule of a POSIX TZ string, or the transitions of a TZif file. Pure functions.

The C library could do it, but only for the one zone of our own process, and that for all of its threads.

Sources: RFC 8536 (TZif), POSIX.1-2017 chapter 8.3 (TZ), tzset(3).
"""

from __future__ import annotations

import bisect
import calendar
import datetime
import re
import struct
import typing as t

_DAY = 86400
_MOST_OFFSET = 26 * 3600  #: seconds; more than any zone has. An invented file can do no harm then
_MOST_TRANSITIONS = 20_000
_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_CLOCK = r"[+-]?\d{1,3}(?::\d{1,2}(?::\d{1,2})?)?"
_DATE = r"(?:M\d{1,2}\.[1-5]\.[0-6]|J\d{1,3}|\d{1,3})"
_POSIX = re.compile(
    rf"{_NAME}(?P<std>{_CLOCK})"
    rf"(?:{_NAME}(?P<dst>{_CLOCK})?"
    rf"(?:,(?P<start>{_DATE})(?:/(?P<start_at>{_CLOCK}))?,(?P<end>{_DATE})(?:/(?P<end_at>{_CLOCK}))?)?)?",
    re.ASCII,
)  # fmt: skip
_HAS_DST = re.compile(rf"{_NAME}{_CLOCK}{_NAME}", re.ASCII)
_DEFAULT_DATES = ("M3.2.0", "M11.1.0")  #: what the C library takes if a rule names no dates
_HEADER = struct.Struct(">4sc15x6I")
_TYPE = struct.Struct(">iBB")


class Zone:
    """A time zone: its known transitions, and the rule for the time after them.

    :arg name: for a person.
    :arg offset: seconds east of UTC before the first transition.
    :arg transitions: epoch seconds, and the seconds east of UTC from then on; in order.
    :arg rule: for the time after the last transition.
    """

    def __init__(
        self,
        name: str = "UTC",
        offset: int = 0,
        transitions: t.Sequence[t.Tuple[int, int]] = (),
        rule: t.Optional[Rule] = None,
    ) -> None:
        self.name = name
        self._offset = offset
        self._times = [when for when, _offset in transitions]
        self._offsets = [east for _when, east in transitions]
        self._rule = rule

    def offset_at(self, when: float) -> int:
        """Seconds east of UTC at a time (epoch seconds)."""
        index = bisect.bisect_right(self._times, when)
        if self._rule is not None and index == len(self._times):
            return self._rule.offset_at(when)
        return self._offsets[index - 1] if index else self._offset

    def epoch(self, local: int, latest: float = float("inf")) -> int:
        """Epoch seconds of a local time, which is given as if it were UTC.

        Of an hour that autumn repeats, the later one, so that nothing looks older than it is; but nothing that is later
        than C(latest), if that can be.
        """
        near = local - self.offset_at(local)
        offsets = {self.offset_at(near - _DAY), self.offset_at(near + _DAY)}
        fitting = sorted(local - offset for offset in offsets if self.offset_at(local - offset) == offset)
        if not fitting:  # an hour that spring leaves out
            return local - self.offset_at(near - _DAY)
        return max((when for when in fitting if when <= latest), default=fitting[0])


class Rule:
    """The rule of a POSIX TZ string: an offset, and another one for a part of each year."""

    def __init__(
        self, standard: int, summer: t.Optional[int], start: t.Tuple[str, int], end: t.Tuple[str, int]
    ) -> None:
        self.standard = standard
        self._summer = summer
        self._start, self._end = start, end
        self._years: t.Dict[int, t.Tuple[int, int]] = {}

    def offset_at(self, when: float) -> int:
        """Seconds east of UTC at a time."""
        if self._summer is None:
            return self.standard
        year = _year(when + self.standard)
        if year not in self._years:
            start = _date_of(self._start[0], year) + self._start[1] - self.standard
            end = _date_of(self._end[0], year) + self._end[1] - self._summer
            self._years[year] = (start, end)
        start, end = self._years[year]
        is_summer = start <= when < end if start < end else not end <= when < start
        return self._summer if is_summer else self.standard


UTC = Zone()


def fixed(offset: int) -> Zone:
    """A zone that is always this many seconds east of UTC."""
    minutes = abs(offset) // 60
    return Zone(f"UTC{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}", offset)


def from_posix(text: str) -> t.Optional[Zone]:
    """The zone of a string like C(EST5EDT,M3.2.0,M11.1.0); None if it is not such a string."""
    rule = _rule(text)
    return None if rule is None else Zone(text, rule.standard, (), rule)


def from_tzif(data: bytes, name: str) -> t.Optional[Zone]:
    """The zone of a TZif file's content; None if it is something else."""
    try:
        version, zone, end = _block(data, 0, 4, name)
        if version < b"2":
            return zone
        _version, zone, end = _block(data, end, 8, name)
        footer = data[end : end + 200].split(b"\n")
        text = footer[1].decode("ascii") if len(footer) > 2 and not footer[0] else ""
    except (struct.error, ValueError, IndexError, OverflowError):
        return None
    if text:
        zone._rule = _rule(text)
    return zone


def _block(data: bytes, start: int, width: int, name: str) -> t.Tuple[bytes, Zone, int]:
    """One of the two parts of a TZif file: its version, the zone by it, and where it ends.

    :raises ValueError: it is something else.
    """
    magic, version, is_utc, is_std, leaps, times, types, letters = _HEADER.unpack_from(data, start)
    if magic != b"TZif" or not types or times > _MOST_TRANSITIONS or max(types, letters, leaps) > 10_000:
        raise ValueError("no TZif file")
    at = start + _HEADER.size
    when = struct.unpack_from(f">{times}{'q' if width == 8 else 'i'}", data, at)
    at += times * width
    kinds = data[at : at + times]
    at += times
    offsets = [_TYPE.unpack_from(data, at + _TYPE.size * index)[0] for index in range(types)]
    if max(map(abs, offsets)) > _MOST_OFFSET or list(when) != sorted(when):
        raise ValueError("no zone has such times")
    transitions = [(moment, offsets[kind]) for moment, kind in zip(when, kinds)]
    end = at + types * _TYPE.size + letters + leaps * (width + 4) + is_std + is_utc
    return version, Zone(name, offsets[0], transitions), end


def _rule(text: str) -> t.Optional[Rule]:
    match = _POSIX.fullmatch(text) if len(text) < 200 else None
    if match is None:
        return None
    standard = -_seconds(match.group("std"))
    summer = None
    if _HAS_DST.match(text):
        summer = -_seconds(match.group("dst")) if match.group("dst") else standard + 3600
    if max(abs(standard), abs(summer or 0)) > _MOST_OFFSET:
        return None
    dates = [match.group(name) or default for name, default in zip(("start", "end"), _DEFAULT_DATES)]
    if any(date.startswith("M") and not 1 <= int(date[1:].split(".")[0]) <= 12 for date in dates):
        return None
    clocks = [_seconds(match.group(name) or "2") for name in ("start_at", "end_at")]
    return Rule(standard, summer, (dates[0], clocks[0]), (dates[1], clocks[1]))


def _seconds(clock: str) -> int:
    parts = [int(part) for part in clock.lstrip("+-").split(":")] + [0, 0]
    seconds = parts[0] * 3600 + parts[1] * 60 + parts[2]
    return -seconds if clock.startswith("-") else seconds


def _year(local: float) -> int:
    try:
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=local)).year
    except OverflowError:
        return 1970


def _date_of(date: str, year: int) -> int:
    """When the day of a rule begins, as if its local time were UTC."""
    first = calendar.timegm((year, 1, 1, 0, 0, 0))
    if date.startswith("J"):  # February 29 is never counted
        day = int(date[1:])
        return first + (day - 1 + (calendar.isleap(year) and day >= 60)) * _DAY
    if not date.startswith("M"):
        return first + int(date) * _DAY
    month, week, weekday = (int(part) for part in date[1:].split("."))
    begins, days = calendar.monthrange(year, month)
    # Of the rule's days, 0 is Sunday; of the calendar's, Monday.
    day = 1 + (weekday - 1 - begins) % 7 + 7 * (week - 1)
    while day > days:
        day -= 7
    return calendar.timegm((year, month, day, 0, 0, 0))
