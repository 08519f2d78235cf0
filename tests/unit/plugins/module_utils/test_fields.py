# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields one by one: any value that makes no sense is null and named."""

from __future__ import annotations

import json
import math
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._fields import Fields, Reader, bounded, note
from hypothesis import given
from hypothesis import strategies as st

NOW = 1795385500.0


def test_hashrates_with_and_without_a_unit() -> None:
    row = {"a": "38.5M", "b": "0", "c": "1e+03T", "d": "370m", "e": 2}
    assert [Fields(row).hashrate(name) for name in "abcdef"] == [38.5e6, 0.0, 1e15, 0.37, 2.0, None]
    fields = Fields(row, hashrate_unit=1e9)
    assert [fields.hashrate(name) for name in "ae"] == [38.5e6, 2e9]
    assert fields.hashrate("f", "e", "a") == 2e9 and fields.problems == []


def test_a_bad_hashrate_is_named_and_another_spelling_is_tried() -> None:
    fields = Fields({"a": "junk", "b": 1})
    assert fields.hashrate("a", "b") == 1
    assert fields.problems == ["a is not a hashrate: 'junk'"]


def test_a_count_is_none_where_the_things_are_listed() -> None:
    fields = Fields({"a": [1, 2], "b": 2, "c": "x"})
    assert [fields.count(name) for name in "abcd"] == [None, 2, None, None]
    assert fields.problems == ["c is not a number: 'x'"]


def test_seconds_since_a_time() -> None:
    fields = Fields({"a": NOW - 60, "b": NOW + 3600, "c": 0}, now=NOW)
    assert [fields.seconds_since(name) for name in "abcd"] == [60, 0, None, None]


def test_a_record_is_read_by_the_spellings_of_its_source() -> None:
    reader = Reader({"shares": ("number", "s", "n"), "name": ("text", "who"), "rate": ("hashrate", "r")}, 1e9)
    problems: t.List[str] = []
    assert reader.read({"n": 5, "who": 7, "r": 2, "more": 1}, problems) == {"shares": 5, "name": None, "rate": 2e9}
    assert problems == ["who is not text: 7"]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({}, None),
        ({"a": None}, None),
        ({"a": 0}, 0),
        ({"a": 1.5}, 1.5),
        ({"a": "1.5"}, 1.5),
        ({"a": "1e13"}, 1e13),
        ({"a": "86.4T"}, 86.4e12),
        ({"a": "1e+03T"}, 1e15),
        ({"a": "0"}, 0),
        ({"a": None, "b": 2}, 2),
        ({"a": 1, "b": 2}, 1),
        ({"a": "x", "b": 2}, 2),
    ],
)
def test_a_number_is_the_first_field_that_is_one(row: t.Dict[str, t.Any], found: t.Optional[float]) -> None:
    fields = Fields(row)
    assert fields.number("a", "b") == found
    assert len(fields.problems) == (row.get("a") == "x")


@pytest.mark.parametrize(
    "text",
    [
        '"x"', '""', "[]", "{}", "true", "false", "NaN", "Infinity", "-Infinity", '"nan"', '"inf"', "1e400", "-1", "-0.5",
        "1" + "0" * 400, "1" + "0" * 299, str(2**63), "1e101",
    ],
)  # fmt: skip
def test_what_is_no_number_is_null_and_named(text: str) -> None:
    """Python's JSON takes more than JSON has, and integers without bound."""
    for reading in (Fields.number, Fields.integer, Fields.time):
        fields = Fields({"a": json.loads(text)}, now=NOW)
        assert reading(fields, "a") is None
        assert len(fields.problems) == 1 and fields.problems[0].startswith("a is ") and len(fields.problems[0]) < 120


@pytest.mark.parametrize(
    ("value", "whole"), [(0, 0), (1795385425, 1795385425), (2.9, 2), ("7", 7), (None, None), (1e19, None)]
)
def test_a_whole_number(value: t.Any, whole: t.Optional[int]) -> None:
    found = Fields({"a": value}).integer("a")
    assert found == whole and not isinstance(found, float)


@pytest.mark.parametrize(
    ("value", "found", "says"),
    [
        (0, None, ""),
        (NOW - 5, int(NOW - 5), ""),
        (NOW + 5, int(NOW + 5), ""),
        (NOW + 3600, int(NOW + 3600), "a is from the future, by 3600 s"),
        (10**15, None, "a is not a time"),
    ],
)
def test_a_time_and_one_from_the_future(value: float, found: t.Optional[int], says: str) -> None:
    fields = Fields({"a": value}, now=NOW)
    assert fields.time("a") == found
    assert "; ".join(fields.problems).startswith(says) and bool(fields.problems) == bool(says)


def test_text_that_is_none_or_long_or_no_utf_8() -> None:
    fields = Fields({"a": "x", "b": "", "c": 5, "d": "\ud800", "e": "y" * 10**6})
    assert [fields.text(name) for name in "abcdf"] == ["x", None, None, "\\ud800", None]
    assert fields.text("b", "a") == "x"
    assert len(fields.text("e") or "") < 2000
    assert fields.problems == ["c is not text: 5"]


def test_objects_of_a_list_and_what_else_is_in_it() -> None:
    fields = Fields({"a": [{"x": 1}, 5, None, {}], "b": 7})
    assert list(fields.objects("a", "one")) == [{"x": 1}, {}]
    assert list(fields.objects("b", "one")) == list(fields.objects("c", "one")) == []
    assert fields.problems == ["one is not an object: 5", "one is not an object: None", "b is not a list: 7"]


def test_a_record_with_many_faults_and_many_records_with_one() -> None:
    problems: t.Dict[str, str] = {}
    note(problems, "none", [])
    note(problems, "many", ["x"] * 9)
    assert problems == {"many": "x; x; x; x; x; and 4 more"}
    for _again in range(1000):
        note(problems, "many", ["again"])
    assert len(problems["many"]) < 1100 and problems["many"].endswith("; and more")
    for number in range(5000):
        note(problems, str(number), ["y\udcff"])
    assert len(problems) == 1001 and problems["0"] == "y\\xff"


Anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.integers(10**18, 10**320),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(Anything)
def test_no_value_of_a_field_is_an_error_or_gets_into_a_result_that_cannot_hold_it(value: t.Any) -> None:
    fields = Fields({"a": value}, now=NOW)
    ways = (fields.number, fields.integer, fields.count, fields.time, fields.seconds_since, fields.hashrate)
    numbers = [way("a") for way in ways]
    for number in numbers:
        assert number is None or (0 <= number <= 1e100 and math.isfinite(number))
        assert not isinstance(number, int) or number < 2**63
    list(fields.objects("a", "one"))
    text = [fields.text("a"), fields.flag("a"), fields.problems]
    json.dumps(text, ensure_ascii=False, allow_nan=False).encode()
    assert all(len(problem) < 200 for problem in fields.problems)


@given(Anything)
def test_bounded_data_holds_only_numbers_that_can_be_carried(value: t.Any) -> None:
    found = bounded(value)
    json.dumps(found, allow_nan=False)
    if isinstance(value, int):
        assert found == (value if abs(value) < 2**63 else None)
