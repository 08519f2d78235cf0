# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that converts a hashrate to H/s."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible.errors import AnsibleFilterError
from ansible_collections.ckpool.fleet.plugins.filter.hashrate import FilterModule, hashrate
from jinja2 import StrictUndefined, UndefinedError


def test_it_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"hashrate": hashrate}


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("38.5M", 38.5e6),
        ("1.23P", 1.23e15),
        ("1e+03T", 1e15),
        ("0", 0.0),
        (0, 0.0),
        (1234, 1234.0),
        (1234.5, 1234.5),
        ("1234", 1234.0),
        ("1.5 TH/s", 1.5e12),
        ("1.5TH/s", 1.5e12),
        ("1.5 th/S", 1.5e12),
        (" 900 GH/s ", 900e9),
        ("900 H/s", 900.0),
        ("3 ZH/s", 3e21),
        ("3Y", 3e24),
        ("370m", 0.37),
        ("370 mH/s", 0.37),
        ("12u", 12e-6),
        ("8k", 8e3),
    ],
)
def test_a_hashrate(value: t.Any, rate: float) -> None:
    found = hashrate(value)
    assert (type(found), found) == (float, pytest.approx(rate))


@pytest.mark.parametrize(
    ("value", "unit", "rate"),
    [
        (38.5, "GH/s", 38.5e9),
        ("38.5", "GH/s", 38.5e9),
        (38.5, " gh/s", 38.5e9),
        (7, "H/s", 7.0),
        (2, "KH/s", 2e3),
        (2, "kH/s", 2e3),
        ("1.5T", "GH/s", 1.5e12),
        ("1.5 TH/s", "GH/s", 1.5e12),
        ("900 H/s", "GH/s", 900.0),
    ],
)
def test_only_a_bare_number_is_in_the_unit(value: t.Any, unit: str, rate: float) -> None:
    assert hashrate(value, unit) == hashrate(value, unit=unit) == pytest.approx(rate)


@pytest.mark.parametrize(
    "value",
    [
        "fast", "1.5 X", "1.5p", "1.5g", "TH/s", "H/s", "/s", "1.5 TH", "1,5M", "-1", -1, "nan", float("nan"), float("inf"), "1e999",
        10**400, True, False, [], {}, [1], b"1", object(),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [{}, {"default": 0}])
def test_what_is_no_hashrate_is_an_error_even_with_a_default(value: t.Any, more: t.Dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleFilterError, match=r"not a hashrate: .*1\.5 TH/s") as caught:
        hashrate(value, **more)
    assert repr(value)[:20] in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_value_needs_a_default(value: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="no hashrate: ") as caught:
        hashrate(value)
    assert repr(value) in str(caught.value)
    assert hashrate(value, default=0) == 0
    assert hashrate(value, default=None) is None
    assert hashrate(value, "GH/s", "-") == "-"


@pytest.mark.parametrize("unit", ["", "GH", "G", "XH/s", "H/s/s", "Gh / s", None, 1e9, []])
def test_an_unknown_unit_is_said_so(unit: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="unit") as caught:
        hashrate(1, unit)
    assert repr(unit) in str(caught.value)


def test_an_undefined_variable_is_undefined_and_no_hashrate() -> None:
    with pytest.raises(UndefinedError, match="pool"):
        hashrate(StrictUndefined(name="pool"), default=0)
