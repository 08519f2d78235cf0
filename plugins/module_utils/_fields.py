# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a JSON object that a pool wrote, one by one: what makes no sense is None and named, the rest is kept.

Numbers differ from build to build: integers, floats, C("0"), C("1e+03T"). Python's JSON also knows NaN, infinity, and
integers without bound, which no result may hold. What a source calls its fields is in the source's own file.
"""

from __future__ import annotations

import time
import typing as t

from ._errors import Unparsable
from ._observation import is_future
from ._text import utf8
from ._units import parse_hashrate, scaled, shown

if t.TYPE_CHECKING:
    from ._types import Json, Number, Spellings

_MOST = 1e100  #: the best share that any hash can be has under 1e68
_MOST_WHOLE = 2**63
_LAST_TIME = 253_402_300_799  #: the end of the year 9999, where calendars end
_MOST_TEXT = 1024  #: characters; the longest text that a daemon writes is a worker's name of 510 bytes
_MOST_PROBLEMS = 1000  #: records that are named
_MOST_TEXTS = 5  #: of one record at a time
_MOST_LENGTH = 1000  #: characters of all texts of one record, roughly
_MORE = "; and more"


class Fields:
    """Reads the fields of one object.

    :arg problems: takes what made no sense, such as C(hashrate1m is not a hashrate: 'junk').
    :arg now: epoch seconds that times are compared with.
    :arg hashrate_unit: H/s that a number without a suffix stands for.
    """

    def __init__(
        self,
        row: Json,
        problems: t.Optional[t.List[str]] = None,
        now: t.Optional[float] = None,
        hashrate_unit: float = 1.0,
    ) -> None:
        self.row = row
        self.problems: t.List[str] = [] if problems is None else problems
        self._now, self._unit = now, hashrate_unit

    def number(self, *names: str) -> Number:
        """The first of these fields that is there, as a number; a text that holds one counts, with or without suffix."""
        for name in names:
            value = self.row.get(name)
            if value is None:
                continue
            try:
                found = scaled(value)
                if not abs(found) <= _MOST or (isinstance(value, int) and abs(value) >= _MOST_WHOLE):
                    raise ValueError
            except ValueError:
                self.problems.append(f"{name} is not a number: {shown(value)}")
                continue
            if found < 0:
                self.problems.append(f"{name} is negative: {shown(value)}")
                continue
            return value if isinstance(value, int) else found
        return None

    def integer(self, *names: str) -> t.Optional[int]:
        """Like C(number), cut to a whole number."""
        found = self.number(*names)
        if found is not None and found >= _MOST_WHOLE:
            self.problems.append(f"{names[0]} is not a whole number: {found:g}")
            return None
        return None if found is None else int(found)

    def count(self, *names: str) -> t.Optional[int]:
        """Like C(integer); None where a build lists the things themselves under that name."""
        return None if any(isinstance(self.row.get(name), list) for name in names) else self.integer(*names)

    def time(self, *names: str) -> t.Optional[int]:
        """Epoch seconds. 0 is no time, and None. A time from the future is kept, and named."""
        found = self.integer(*names)
        if found is not None and found > _LAST_TIME:
            self.problems.append(f"{names[0]} is not a time: {found}")
            return None
        if found:
            now = self._time()
            if is_future(found, now):
                self.problems.append(
                    f"{names[0]} is from the future, by {found - now:.0f} s: has a clock been set back?"
                )
        return found or None

    def seconds_since(self, *names: str) -> t.Optional[int]:
        """How long ago a time was, in seconds; 0 for one from the future, as its clock is not ours."""
        start = self.time(*names)
        return max(int(self._time()) - start, 0) if start else None

    def text(self, *names: str) -> t.Optional[str]:
        """The first of these fields that is there and not empty, as valid UTF-8."""
        for name in names:
            value = self.row.get(name)
            if isinstance(value, str):
                if value:
                    return utf8(value[:_MOST_TEXT])
            elif value is not None:
                self.problems.append(f"{name} is not text: {shown(value)}")
        return None

    def flag(self, name: str) -> t.Optional[bool]:
        """A field that is true or false; None if it is neither."""
        value = self.row.get(name)
        return value if isinstance(value, bool) else None

    def hashrate(self, *names: str) -> Number:
        """The first of these fields that is there, in H/s."""
        for name in names:
            try:
                found = parse_hashrate(self.row.get(name), self._unit)
            except Unparsable as exc:
                self.problems.append(f"{name} is {exc}")
                continue
            if found is not None:
                return found
        return None

    def objects(self, name: str, what: str) -> t.Iterator[Json]:
        """The objects of a list; what else is in it is named.

        :arg what: what one of them is called, for a person.
        """
        rows = self.row.get(name)
        if rows is None:
            return
        if not isinstance(rows, list):
            self.problems.append(f"{name} is not a list: {shown(rows)}")
            return
        for row in rows:
            if isinstance(row, dict):
                yield row
            else:
                self.problems.append(f"{what} is not an object: {shown(row)}")

    def _time(self) -> float:
        return time.time() if self._now is None else self._now


class Reader:
    """Reads the records of one kind, by what their source calls the fields.

    :arg spellings: field of a record to the way to read it, which is a method of L(Fields), and its names at the source.
    :arg hashrate_unit: H/s that a number without a suffix stands for.
    """

    def __init__(self, spellings: Spellings, hashrate_unit: float = 1.0) -> None:
        self._steps = [(field, getattr(Fields, how), names) for field, (how, *names) in spellings.items()]
        self._unit = hashrate_unit

    def read(self, row: Json, problems: t.List[str]) -> Json:
        """The fields of one record, each with its value, or None.

        :arg problems: takes what made no sense.
        """
        fields = Fields(row, problems, hashrate_unit=self._unit)
        return {field: how(fields, *names) for field, how, names in self._steps}


def note(problems: t.Dict[str, str], name: str, texts: t.Sequence[str]) -> None:
    """Name what is wrong with a record. Of thousands of such records, and of many faults of one record, the first are named."""
    if not texts:
        return
    key = utf8(name)
    if key not in problems and len(problems) >= _MOST_PROBLEMS:
        problems["others"] = f"more than {_MOST_PROBLEMS} records have problems"
        return
    before = problems.get(key, "")
    if len(before) > _MOST_LENGTH:
        problems[key] = before if before.endswith(_MORE) else before + _MORE
        return
    named = "; ".join(texts[:_MOST_TEXTS])
    more = f"; and {len(texts) - _MOST_TEXTS} more" if len(texts) > _MOST_TEXTS else ""
    problems[key] = utf8(f"{before}; {named}{more}" if before else named + more)


def bounded(value: t.Any) -> t.Any:
    """JSON data as it came, without numbers that no float or 64-bit integer can hold: these are None."""
    if isinstance(value, dict):
        return {key: bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [bounded(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return value if abs(value) < _MOST_WHOLE or (isinstance(value, float) and abs(value) <= _MOST) else None
