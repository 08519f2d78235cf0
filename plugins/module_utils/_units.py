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
#: suffixes as daemons write them: case counts, as M is mega and m is milli, a factor of 10^9 apart
_SUFFIXES = {
    "": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24,
    "m": 1e-3, "u": 1e-6, "n": 1e-9,
}  # fmt: skip
_SAME = {
    "k": "K",
    "\u00b5": "u",
    "\u03bc": "u",
}  #: other spellings that mean nothing else: the micro sign, and a Greek mu
_KNOWN = "suffixes are K M G T P E Z Y, and below 1 m u n; upper and lower case differ"
_SMALL = ("m", "u", "n")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_HASHES = "h/s"
_MOST = 1e33  #: H/s; a larger value, above a thousand million YH/s, must be something else
_LEAST_PLAIN = 0.1  #: H/s; from here on a fraction reads better than mH/s, which is too like MH/s
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH = 1_000_000_000  #: a bare number from here on is a time, which was in 2001
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)\Z", re.ASCII)
_SHOWN = 60  #: characters of a value that a message shows


def is_number(value: t.Any) -> bool:
    """Whether a value is a finite number that a float can hold, and not a boolean."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def shown(value: t.Any) -> str:
    """A value for a message: text is quoted, long values are cut, and lists and objects are only named as such."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, int) and not -(2**64) < value < 2**64:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write out the largest of them
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def scaled(value: t.Any, unit: float = 1.0) -> float:
    """A number from what a daemon writes: a number, or a text of one with or without a suffix (C(1e+03T), C(370m)).

    :arg unit: what a bare number is to be multiplied by; a suffix goes before it.
    :raises ValueError: it is neither, or too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(shown(value))
    if isinstance(value, str):
        text = value.strip()
        factor = 0.0 if _NUMBER.match(text) else _factor(text[-1:])
        text = text[:-1].rstrip() if factor else text
        if not _NUMBER.match(text):
            raise ValueError(shown(value))
        found = float(text) * (factor or unit)
    else:
        try:
            found = float(value) * unit
        except OverflowError:
            raise ValueError(shown(value)) from None
    if not math.isfinite(found):
        raise ValueError(shown(value))
    return found


def _factor(suffix: str) -> float:
    return _SUFFIXES.get(_SAME.get(suffix, suffix), 0.0) if suffix else 0.0


def parse_hashrate(value: t.Any, unit: float = 1.0) -> t.Optional[float]:
    """H/s from what a daemon writes: C("0"), C("488"), C("38.5M"), C("370m"), C("1e+03T"), or a number.

    Suffixes are the daemon's, and case-sensitive: C(370m) is 0.37 H/s. C(k) is accepted as K, since it is unambiguous.

    :arg value: the text or number; None stays None.
    :arg unit: H/s per unit of a bare number (1e9 for the guide's GH/s, 2^32 for dsps).
    :raises Unparsable: it is not a hashrate, not finite, or negative.
    """
    if value is None:
        return None
    try:
        rate = scaled(value, unit)
        if not 0 <= rate <= _MOST:
            raise ValueError
    except ValueError:
        raise _no_hashrate(value, _advice(value)) from None
    return rate


def _no_hashrate(value: t.Any, hint: str = "") -> Unparsable:
    return Unparsable(f"not a hashrate: {shown(value)}", hint=hint, reason="bad_hashrate")


def read_hashrate(value: t.Any, unit: float = 1.0) -> float:
    """Like C(parse_hashrate), but also with a unit (C(1.5 TH/s)).

    :raises Unparsable: it is not a hashrate, or None.
    :raises BadInput: its unit is unknown.
    """
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and text.lower().endswith(_HASHES):
        number, hashes = text[: -len(_HASHES)].rstrip(), text[-len(_HASHES) :]
        has_suffix = number[-1:].isalpha()
        text, unit = (number[:-1], hashrate_unit(number[-1] + hashes)) if has_suffix else (number, 1.0)
        if not _NUMBER.match(text.rstrip()):
            text = ""
    try:
        return t.cast(float, parse_hashrate("" if text is None else text, unit))
    except Unparsable as exc:
        raise _no_hashrate(value, exc.hint) from None


def hashrate_of_person(value: t.Any) -> float:
    """H/s from what an operator writes, such as a threshold: like C(read_hashrate), but an ambiguous value is refused.

    By C(m) the daemon means milli, and a person most likely mega, so it is refused without C(H/s).

    :raises Unparsable: it is not a hashrate, or ambiguous.
    :raises BadInput: its unit is unknown.
    """
    text = value.strip() if isinstance(value, str) else ""
    digits, suffix = text[:-1].rstrip(), text[-1:]
    if suffix and _SAME.get(suffix, suffix) in _SMALL and _NUMBER.match(digits):
        other = f"{digits}M or " if suffix == "m" else ""
        raise _no_hashrate(value, f"{suffix} makes it less than 1 H/s: write {other}{digits} {suffix}H/s")
    return read_hashrate(value)


def _advice(value: t.Any) -> str:
    """What to write instead, if only the suffix is wrong."""
    text = value.strip() if isinstance(value, str) else ""
    return _KNOWN if text[-1:].isalpha() and _NUMBER.match(text[:-1].rstrip()) else ""


def hashrate_unit(name: str) -> float:
    """H/s in a unit: C(H/s), C(KH/s) and so on to C(YH/s), and C(mH/s), C(uH/s), C(nH/s).

    Case is ignored where it is unambiguous: C(th/s) is TH/s. C(mh/s) is refused, and C(mH/s) is milli.

    :raises BadInput: it is not a unit.
    """
    return _SUFFIXES[_suffix_of(name)]


def _suffix_of(unit: str) -> str:
    text = unit.strip()
    suffix = text[: -len(_HASHES)]
    suffix = _SAME.get(suffix, suffix)
    if suffix in ("m", "n", "u") and text[-len(_HASHES) :] != "H/s":
        suffix = "?"
    elif suffix not in _SMALL:
        suffix = suffix.upper()
    if not text.lower().endswith(_HASHES) or suffix not in _SUFFIXES:
        names = ", ".join(f"{known}H/s" for known in _SUFFIXES)
        raise BadInput(
            f"not a unit of hashrates: {shown(unit)}; choose from {names} (case counts in MH/s and mH/s)",
            reason="bad_unit",
        )
    return suffix


def human_hashrate(rate: t.Optional[float], digits: int = 3, unit: t.Optional[str] = None) -> str:
    """Text for people from H/s: C(1.23 PH/s), C(0.37 H/s), C(3.70 mH/s). None gives C(-).

    :arg unit: as C(hashrate_unit) takes it. By default the greatest one that leaves something before the point; tenths
        of H/s stay H/s.
    :raises BadInput: it is not a unit.
    """
    suffix = None if unit is None else _suffix_of(unit)
    if rate is None:
        return "-"
    if suffix is None:
        suffix = "" if rate == 0 else _fitting(rate, digits)
    return f"{_significant(rate / _SUFFIXES[suffix], digits)} {suffix}H/s"


def _fitting(rate: float, digits: int) -> str:
    for suffix in ("Y", "Z", "E", "P", "T", "G", "M", "K", "", "m", "u"):
        least = _SUFFIXES[suffix] if suffix else _LEAST_PLAIN
        # Half a digit under the next step already rounds up to it: 999.9996K is 1.00M.
        if rate >= least * (1 - 0.5 * 10.0**-digits):
            return suffix
    return "n"


def _significant(value: float, digits: int) -> str:
    value = float(f"{value:.{digits}g}")  # 9.996 has as many digits before the point as the 10.0 that it rounds to
    whole = len(str(int(value))) if value >= 1 else 1
    return f"{value:.{max(digits - whole, 0)}f}"


def parse_duration(value: str) -> float:
    """Seconds from C(90), C(90s), C(10m), C(1.5h), C(7d), C(2w).

    :raises BadInput: it is not a duration.
    """
    match = _DURATION.match(value.strip())
    if not match:
        raise BadInput(f"not a duration: {value!r}; write seconds or a number with s, m, h, d or w, such as 90s or 1h")
    return float(match.group(1)) * _SECONDS[match.group(2)]


def moment(text: str, now: float) -> float:
    """Epoch seconds from a time in epoch seconds, or from a time ago such as C(12h).

    :arg now: epoch seconds.
    :raises BadInput: it is neither.
    """
    seconds = parse_duration(text)
    return seconds if seconds >= _EPOCH and text.strip()[-1:].isdigit() else now - seconds
