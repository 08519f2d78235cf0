# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsers of numbers: any input gives a number in base units, nothing, or an error of ours."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _names, _units
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, Unparsable
from hypothesis import given
from hypothesis import strategies as st

from ..made import JSON, NUMBERS, TEXT

SUFFIXED = st.tuples(NUMBERS, st.sampled_from("numkKMGTPEZY ") | TEXT).map(lambda pair: f"{pair[0]}{pair[1]}")


@given(value=JSON | SUFFIXED, unit=st.sampled_from([1.0, 1e9, 2.0**32]))
def test_a_hashrate_is_a_number_or_refused(value: t.Any, unit: float) -> None:
    try:
        rate = _units.parse_hashrate(value, unit)
    except Unparsable as exc:
        str(exc).encode()
        return
    assert (rate is None) == (value is None)
    assert rate is None or (math.isfinite(rate) and rate >= 0)


@given(rate=st.none() | st.floats(0, allow_infinity=False, allow_nan=False), digits=st.integers(1, 15))
def test_a_hashrate_can_be_shown_and_read_back(rate: t.Optional[float], digits: int) -> None:
    text = _units.human_hashrate(rate, digits)
    assert text.isprintable()
    if rate is None:
        assert text == "-"
    elif 1e-3 <= rate < 1e24:
        read = _units.parse_hashrate(text[: -len("H/s")].replace(" ", ""))
        # Under one, as many places after the point are shown as there are digits.
        assert read is not None
        assert abs(read - rate) <= max(rate, 1.0) * 10.0 ** (1 - digits)


@given(text=TEXT | SUFFIXED, now=st.floats(0, 1e10))
def test_a_duration_is_a_number_or_refused(text: str, now: float) -> None:
    for parse in (_units.parse_duration, lambda value: _units.moment(value, now)):
        try:
            seconds = parse(text)
        except BadInput as exc:
            str(exc).encode()
        else:
            assert math.isfinite(seconds)


@given(name=TEXT)
def test_a_unit_is_known_or_refused(name: str) -> None:
    try:
        assert _units.hashrate_unit(name) > 0
    except BadInput as exc:
        str(exc).encode()


@given(text=TEXT | st.from_regex(r"[\[\w.:%-]{0,12}:\d{0,6}", fullmatch=True))
def test_an_address_is_one_or_refused(text: str) -> None:
    try:
        host, port = _names.parse_address(text)
    except BadInput:
        return
    assert f"{host}{port}".isascii()
    assert 1 <= int(port) <= 65535
