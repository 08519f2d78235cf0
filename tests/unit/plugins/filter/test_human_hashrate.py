# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that converts a hashrate to text for people."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible.errors import AnsibleFilterError
from ansible_collections.ckpool.fleet.plugins.filter.human_hashrate import FilterModule, human_hashrate
from jinja2 import StrictUndefined, UndefinedError


def test_it_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"human_hashrate": human_hashrate}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (38.5e6, "38.5 MH/s"),
        (0, "0.00 H/s"),
        (999.6e3, "1.00 MH/s"),
        ("38500000.0", "38.5 MH/s"),
        ("1e+03T", "1.00 PH/s"),
        ("1.5 TH/s", "1.50 TH/s"),
        ("370m", "0.37 H/s"),
        ("37m", "37.0 mH/s"),
        (None, "-"),
    ],
)
def test_a_text_for_people(value: t.Any, text: str) -> None:
    assert human_hashrate(value) == text


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (1.23456e15, {"digits": 5}, "1.2346 PH/s"),
        (1.23456e15, {"digits": "5"}, "1.2346 PH/s"),
        (1.23456e15, {"digits": 1}, "1 PH/s"),
        (1.23456e15, {"unit": "TH/s"}, "1230 TH/s"),
        (1.23456e15, {"unit": "th/s", "digits": 6}, "1234.56 TH/s"),
        (1.23456e15, {"unit": "H/s"}, "1230000000000000 H/s"),
        (38.5e6, {"unit": "TH/s"}, "0.00 TH/s"),
        (0, {"unit": "kH/s"}, "0.00 KH/s"),
        (None, {"unit": "TH/s"}, "-"),
        (5e24, {"unit": "ZH/s"}, "5000 ZH/s"),
    ],
)
def test_digits_and_unit(value: t.Any, options: t.Dict[str, t.Any], text: str) -> None:
    assert human_hashrate(value, **options) == text


@pytest.mark.parametrize("value", ["", "fast", -1, float("nan"), True, [], {}, b"1"])
def test_what_is_no_hashrate_is_an_error(value: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="not a hashrate") as caught:
        human_hashrate(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("digits", [0, -1, 16, 10**30, 2.5, "x", "", None, True, []])
def test_digits_out_of_range(digits: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="digits is not a whole number from 1 to 15"):
        human_hashrate(1, digits)


@pytest.mark.parametrize("value", [1, None])
@pytest.mark.parametrize("unit", ["", "T", "furlongs", 1, []])
def test_an_unknown_unit_is_said_so_also_without_a_value(value: t.Any, unit: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="unit"):
        human_hashrate(value, unit=unit)


def test_an_undefined_variable_is_undefined() -> None:
    with pytest.raises(UndefinedError, match="pool"):
        human_hashrate(StrictUndefined(name="pool"))
