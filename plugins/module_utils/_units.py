# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashrates, durations and sizes: the daemon's texts to numbers in base units, and back for people."""

from __future__ import annotations

import math
import re
import typing as t

from ._errors import BadInput, Unparsable

DIFF1_HASHES = 2.0**32  #: hashes that one share of difficulty 1 takes on average
_SUFFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH = 1_000_000_000  #: a bare number from here on is a time, which was in 2001
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)\Z")


def parse_hashrate(value: t.Any, unit: float = 1.0) -> t.Optional[float]:
    """H/s from what a daemon writes: C("0"), C("488"), C("38.5M"), C("1e+03T"), or a number.

    :arg value: the text or number; None stays None.
    :arg unit: H/s that a bare number stands for (1e9 for the guide's GH/s, 2^32 for dsps).
    :raises Unparsable: it is none of these, or not finite, or negative.
    """
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        suffix = text[-1:].upper()
        factor = _SUFFIXES.get(suffix)
        number = text[:-1] if factor else text
        rate = _number(number, value) * (factor or unit)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        rate = _number(value, value) * unit
    else:
        rate = -1.0
    if not math.isfinite(rate) or rate < 0:
        raise Unparsable(f"not a hashrate: {value!r}", reason="bad_hashrate")
    return rate


def _number(text: t.Any, original: t.Any) -> float:
    try:
        return float(text)
    except (ValueError, OverflowError):
        raise Unparsable(f"not a hashrate: {original!r}", reason="bad_hashrate") from None


def hashrate_unit(name: str) -> float:
    """H/s in a unit: C(H/s), C(KH/s) and so on to C(ZH/s), whatever the case of its letters.

    :raises BadInput: it is none of these.
    """
    return _SUFFIXES[_suffix_of(name)]


def _suffix_of(unit: str) -> str:
    text = unit.strip().upper()
    suffix = text[: -len("H/S")]
    if not text.endswith("H/S") or suffix not in _SUFFIXES:
        names = ", ".join(f"{known}H/s" for known in _SUFFIXES)
        raise BadInput(f"not a unit of hashrates: {unit!r}; choose from {names}", reason="bad_unit")
    return suffix


def human_hashrate(rate: t.Optional[float], digits: int = 3, unit: t.Optional[str] = None) -> str:
    """Text for people from H/s: C(1.23 PH/s). None gives C(-).

    :arg unit: as C(hashrate_unit) takes it. By default the greatest one that leaves something before the point.
    :raises BadInput: it is no unit.
    """
    if unit is not None:
        suffix = _suffix_of(unit)
        return "-" if rate is None else f"{_significant(rate / _SUFFIXES[suffix], digits)} {suffix}H/s"
    if rate is None:
        return "-"
    for suffix in ("Z", "E", "P", "T", "G", "M", "K"):
        # Half a digit under the next step already rounds up to it: 999.9996K is 1.00M.
        if rate >= _SUFFIXES[suffix] * (1 - 0.5 * 10.0**-digits):
            return f"{_significant(rate / _SUFFIXES[suffix], digits)} {suffix}H/s"
    return f"{_significant(rate, digits)} H/s"


def _significant(value: float, digits: int) -> str:
    value = float(f"{value:.{digits}g}")  # 9.996 has as many digits before the point as the 10.0 that it rounds to
    whole = len(str(int(value))) if value >= 1 else 1
    return f"{value:.{max(digits - whole, 0)}f}"


def parse_duration(value: str) -> float:
    """Seconds from C(90), C(90s), C(10m), C(1.5h), C(7d), C(2w).

    :raises BadInput: it is none of these.
    """
    match = _DURATION.match(value.strip())
    if not match:
        raise BadInput(f"not a duration: {value!r}; write seconds or a number with s, m, h, d or w, such as 90s or 1h")
    return float(match.group(1)) * _SECONDS[match.group(2)]


def moment(text: str, now: float) -> float:
    """Epoch seconds from a time in epoch seconds, or from how long ago it was, such as C(12h).

    :arg now: epoch seconds.
    :raises BadInput: it is neither.
    """
    seconds = parse_duration(text)
    return seconds if seconds >= _EPOCH and text.strip()[-1:].isdigit() else now - seconds
