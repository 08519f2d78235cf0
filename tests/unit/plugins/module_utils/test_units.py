# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of the daemon to numbers in base units, and numbers to texts for people."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._units import (
    DIFF1_HASHES,
    hashrate_of_person,
    hashrate_unit,
    human_hashrate,
    parse_duration,
    parse_hashrate,
    read_hashrate,
    scaled,
)


@pytest.mark.parametrize(
    ("value", "unit", "rate"),
    [
        ("0", 1.0, 0.0),
        ("488", 1.0, 488.0),
        ("51.1", 1.0, 51.1),
        ("8.51K", 1.0, 8510.0),
        ("38.5M", 1.0, 38.5e6),
        ("370m", 1.0, 0.37),
        ("38.5m", 1.0, 0.0385),
        ("12u", 1.0, 12e-6),
        ("12\u00b5", 1.0, 12e-6),
        ("5.1n", 1.0, 5.1e-9),
        ("8.51k", 1.0, 8510.0),
        ("1.23P", 1.0, 1.23e15),
        ("1e+03T", 1.0, 1e15),
        ("1e3", 1.0, 1000.0),
        ("2E", 1.0, 2e18),
        ("3Z", 1.0, 3e21),
        ("4Y", 1.0, 4e24),
        ("370m", 1e9, 0.37),  # of the guide too: a suffix says it itself
        (" 1.5 G ", 1.0, 1.5e9),
        (None, 1.0, None),
        (0, 1.0, 0.0),
        (12345, 1.0, 12345.0),
        (1.5, 1e9, 1.5e9),  # the guide's GH/s
        ("1.5", 1e9, 1.5e9),
        ("1.5T", 1e9, 1.5e12),  # a suffix says it itself
        (2.0, DIFF1_HASHES, 8589934592.0),  # dsps
    ],
)
def test_a_hashrate_of_the_daemon(value: t.Any, unit: float, rate: t.Optional[float]) -> None:
    assert parse_hashrate(value, unit) == (pytest.approx(rate) if rate is not None else None)


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "K", "M5", "fast", "1.5X", "1.5 PH/s", "1,5M", "--1", "-1", "-1K", -1, -0.5, "nan", "inf", "-inf",
        "infinity", "1e999", "1e308E", "1.5g", "1.5t", "1.5p", "1.5e", "1.5z", "1.5y", "1.5U", "1.5N", "1_000",
        "\u0661", "1.5 m H", "0x10", "1e40", 10**300, float("nan"), float("inf"), 10**400, True, False, [], {}, [1], {"a": 1}, b"1",
    ],
)  # fmt: skip
def test_what_is_no_hashrate_is_said_so(value: t.Any) -> None:
    with pytest.raises(Unparsable, match="not a hashrate") as caught:
        parse_hashrate(value)
    assert caught.value.reason == "bad_hashrate"


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "-"),
        (0, "0.00 H/s"),
        (0.5, "0.50 H/s"),
        (0.37, "0.37 H/s"),
        (0.1, "0.10 H/s"),
        (0.0385, "38.5 mH/s"),
        (0.00123, "1.23 mH/s"),
        (0.0009999, "1.00 mH/s"),
        (12.34e-6, "12.3 uH/s"),
        (5.1e-9, "5.10 nH/s"),
        (1e-12, "0.00 nH/s"),
        (9.99, "9.99 H/s"),
        (9.996, "10.0 H/s"),
        (488, "488 H/s"),
        (999.4, "999 H/s"),
        (999.5, "1.00 KH/s"),
        (1000, "1.00 KH/s"),
        (9.994e3, "9.99 KH/s"),
        (9.996e3, "10.0 KH/s"),
        (99.94e3, "99.9 KH/s"),
        (99.96e3, "100 KH/s"),
        (999.4e3, "999 KH/s"),
        (999.6e3, "1.00 MH/s"),
        (38.5e6, "38.5 MH/s"),
        (1.234e9, "1.23 GH/s"),
        (1e12, "1.00 TH/s"),
        (1.23e15, "1.23 PH/s"),
        (600e18, "600 EH/s"),
        (1e21, "1.00 ZH/s"),
        (5e24, "5.00 YH/s"),
        (5e27, "5000 YH/s"),
    ],
)
def test_a_hashrate_for_people_has_three_digits(rate: t.Optional[float], text: str) -> None:
    assert human_hashrate(rate) == text


@pytest.mark.parametrize("digits", [2, 4, 5])
def test_a_hashrate_for_people_has_as_many_digits_as_wanted(digits: int) -> None:
    assert len(human_hashrate(1.23456789e15, digits).split()[0].replace(".", "")) == digits


@pytest.mark.parametrize(
    ("rate", "unit", "text"),
    [
        (None, "TH/s", "-"),
        (1.234e15, "PH/s", "1.23 PH/s"),
        (1.234e15, "ph/s", "1.23 PH/s"),
        (1.236e15, "TH/s", "1240 TH/s"),
        (1.234e12, "PH/s", "0.00 PH/s"),
        (488, "H/s", "488 H/s"),
        (999.6e3, "KH/s", "1000 KH/s"),
        (0, "KH/s", "0.00 KH/s"),
    ],
)
def test_a_hashrate_for_people_in_a_unit_of_their_choice(rate: t.Optional[float], unit: str, text: str) -> None:
    assert human_hashrate(rate, unit=unit) == text


def test_every_unit_is_a_thousand_times_the_one_before() -> None:
    for power, suffix in enumerate(("", "K", "M", "G", "T", "P", "E", "Z", "Y")):
        assert hashrate_unit(f"{suffix}H/s") == hashrate_unit(f" {suffix}h/S ") == pytest.approx(1000.0**power)
    for power, suffix in enumerate(("m", "u", "n"), 1):
        assert hashrate_unit(f" {suffix}H/s ") == pytest.approx(1000.0**-power)


@pytest.mark.parametrize("suffix", ["k", "g", "t", "p", "e", "z", "y"])
def test_the_case_of_a_unit_does_not_matter_where_one_thing_only_can_be_meant(suffix: str) -> None:
    assert hashrate_unit(f"{suffix}h/s") == hashrate_unit(f"{suffix.upper()}H/s")


@pytest.mark.parametrize(
    "unit", ["", "T", "TH", "H", "/s", "XH/s", "T H/s", "TH/s/s", "mh/s", "mH/S", "nh/s", "?H/s", "TTH/s"]
)
def test_what_is_no_unit_is_said_so_with_those_that_are(unit: str) -> None:
    for use in (
        lambda: hashrate_unit(unit),
        lambda: human_hashrate(1, unit=unit),
        lambda: human_hashrate(None, 3, unit),
    ):
        with pytest.raises(BadInput, match=r"not a unit of hashrates: .*choose from H/s, .*ZH/s"):
            use()


def test_what_is_written_for_people_reads_back_as_about_the_same() -> None:
    for exponent in range(-9, 25):
        for mantissa in (1.0, 1.004, 2.5, 9.994, 9.996):
            rate = mantissa * 10.0**exponent
            text = human_hashrate(rate)
            assert parse_hashrate(text[: -len("H/s")].replace(" ", "")) == pytest.approx(rate, rel=0.006)
            assert read_hashrate(text) == pytest.approx(rate, rel=0.006)
            assert hashrate_of_person(text) == pytest.approx(rate, rel=0.006)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("7d", 604800),
        ("2w", 1209600), (" 3 m ", 180),
    ],
)  # fmt: skip
def test_a_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "-1h", "1y", "1h30m", "1.h", ".5h", "1e3", "nan", "inf", "one hour", "1h\n2", "\u0661h"]
)
def test_what_is_no_duration_is_said_so_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"not a duration.*90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("1.5P", 1.5e15),
        ("1.5 PH/s", 1.5e15),
        ("1.5ph/s", 1.5e15),
        (1e15, 1e15),
        ("0", 0.0),
        ("500 mH/s", 0.5),
        ("5k", 5e3),
    ],
)
def test_a_hashrate_of_an_operator(value: t.Any, rate: float) -> None:
    assert hashrate_of_person(value) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("500m", "write 500M or 500 mH/s"),
        ("500 m", "write 500M or 500 mH/s"),
        ("12u", "write 12 uH/s"),
        ("12n", "write 12 nH/s"),
        ("1.5p", "suffixes are K M G T P E Z Y"),
        ("1.5ph", ""),
        (None, ""),
        ("fast", ""),
    ],
)
def test_what_an_operator_may_mean_otherwise_is_refused_with_what_to_write(value: t.Any, says: str) -> None:
    """A threshold that is a thousand million times too low is never reached, and nobody notices."""
    with pytest.raises(Unparsable, match="not a hashrate") as caught:
        hashrate_of_person(value)
    assert says in caught.value.hint


def test_milli_in_a_unit_is_clear_only_as_it_is_written_everywhere() -> None:
    assert read_hashrate("1.5 mH/s") == 0.0015
    assert read_hashrate("1.5 MH/S") == 1.5e6
    with pytest.raises(BadInput, match="case counts in MH/s and mH/s"):
        read_hashrate("1.5 mh/s")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("86.4T", 86.4e12),
        ("1e+03T", 1e15),
        ("0", 0.0),
        (5, 5.0),
        ("-1", -1.0),
        ("8.63886e13", 8.63886e13),
        ("500m", 0.5),
    ],
)
def test_any_number_of_a_daemon(value: t.Any, number: float) -> None:
    assert scaled(value) == pytest.approx(number)


@pytest.mark.parametrize("value", [True, None, [], {}, "", "x", "1" * 400, 10**400, float("inf"), "nan", 10**4000])
def test_what_is_no_number_of_a_daemon_is_said_so_in_few_words(value: t.Any) -> None:
    with pytest.raises(ValueError) as caught:
        scaled(value)
    assert len(str(caught.value)) < 100
