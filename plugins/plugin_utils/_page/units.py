# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of a report as a person reads them, each with its unit. Pure functions."""

from __future__ import annotations

import datetime
import math
import typing as t

from ...module_utils._units import human_hashrate
from ...module_utils._wording import or_dash
from .history import Number

_MINUTE, _HOUR, _DAY, _YEAR = 60.0, 3600.0, 86400.0, 365.25 * 86400.0
_SPANS = ((_MINUTE, "s", 1.0), (_HOUR, "min", _MINUTE), (2 * _DAY, "h", _HOUR), (2 * _YEAR, "days", _DAY))
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k"))
_LAST = 253402300799  #: seconds, the end of the year 9999


def hashrate(value: Number) -> str:
    """H/s with an SI prefix."""
    return human_hashrate(value)


def duration(seconds: Number) -> str:
    """Seconds in the unit that fits: C(42 s), C(17 min), C(5.2 h), C(3.1 days), C(1.2 million years)."""
    if seconds is None:
        return "-"
    for end, name, unit in _SPANS:
        if seconds < end:
            return f"{_three(seconds / unit)} {name}"
    return f"{_many(seconds / _YEAR)} years"


def age(moment: Number, now: float) -> str:
    """How long ago a time was."""
    if moment is None:
        return "-"
    return f"{duration(max(now - moment, 0.0))} ago"


def count(value: Number) -> str:
    """A whole number with commas between the thousands."""
    return or_dash(value, ",.0f")


def amount(value: Number) -> str:
    """A large number without a unit, such as a difficulty: C(126 T)."""
    if value is None:
        return "-"
    for least, suffix in _LARGE:
        if value >= least:
            divisor = 1e3 if suffix == "k" else least
            return f"{_three(value / divisor)} {suffix}"
    return _three(value)


def percent(value: Number) -> str:
    """A percentage."""
    return "-" if value is None else f"{_three(value)} %"


def chance(value: Number) -> str:
    """A probability from 0 to 1: as a percentage, or as C(1 in 52,000) where that says more."""
    if value is None:
        return "-"
    if 0 < value < 0.001:
        return f"1 in {_many(1 / value)}"
    return "> 99.9 %" if 0.999 < value < 1 else percent(100 * value)


def utc(moment: Number) -> str:
    """A time in UTC, to the minute."""
    stamp = _date(moment)
    return "-" if stamp is None else stamp.strftime("%Y-%m-%d %H:%M UTC")


def iso(moment: Number) -> str:
    """A time for programs; empty if there is none."""
    stamp = _date(moment)
    return "" if stamp is None else stamp.strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(moment: Number) -> t.Optional[datetime.datetime]:
    if moment is None or not 0 <= moment <= _LAST:
        return None
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)


def _three(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _many(value: float) -> str:
    for least, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= least:
            return f"{count(value / least) if value / least >= 1000 else _three(value / least)} {name}"
    return count(value) if value >= 1000 else _three(value)
