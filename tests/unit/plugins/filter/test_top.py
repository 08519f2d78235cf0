# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that takes the first records by a field."""

from __future__ import annotations

import random
import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible.errors import AnsibleFilterError
from ansible_collections.ckpool.fleet.plugins.filter.top import FilterModule
from ansible_collections.ckpool.fleet.plugins.plugin_utils._ranking import top
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from jinja2 import StrictUndefined, UndefinedError


def users(*rates: t.Any) -> t.List[Json]:
    return [{"user": f"u{number}", "hashrate1m": rate} for number, rate in enumerate(rates)]


def names(found: t.List[Json]) -> str:
    return "".join(record["user"][1:] for record in found)


def test_it_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"top": top}


@pytest.mark.parametrize(
    ("rates", "count", "order"),
    [
        ((1, 3, 2), 5, "120"),
        ((1, 3, 2), 2, "12"),
        ((1, 3, 2), "2", "12"),
        ((1, 3, 2), 0, ""),
        ((), 3, ""),
        ((1.5, "38.5M", "1.23P", 2), 4, "2130"),
        (("900 GH/s", "1.5 TH/s"), 2, "10"),
        ((None, 0, None, 1), 4, "3102"),
        ((2, 1, 2, 1, 2), 5, "02413"),  # those alike keep their order
        ((-1, 0, -2), 3, "102"),
    ],
)
def test_the_greatest_first(rates: t.Tuple[t.Any, ...], count: t.Any, order: str) -> None:
    assert names(top(users(*rates), count)) == order


@pytest.mark.parametrize(
    ("rates", "order"), [((1, 3, 2), "021"), ((None, 0, None, 1), "1302"), ((2, 1, 2, 1, 2), "13024")]
)
def test_the_least_first_and_null_still_last(rates: t.Tuple[t.Any, ...], order: str) -> None:
    assert names(top(users(*rates), 9, ascending=True)) == order


def test_the_records_are_the_same_and_in_their_list_nothing_moves() -> None:
    records = users(1, 2)
    found = top(records, 2)
    assert found[0] is records[1]
    assert records == users(1, 2)


def test_as_sorted_does_it() -> None:
    source = random.Random(1)
    for _round in range(50):
        rates = [source.choice([None, 0, 1, 2.5, 10**15]) for _number in range(20)]
        expected = sorted(users(*rates), key=lambda user: (user["hashrate1m"] is None, -(user["hashrate1m"] or 0)))
        assert top(users(*rates), 7) == expected[:7]


def test_any_field_and_any_iterable() -> None:
    records = [{"last_share": 5}, {"last_share": 9}]
    assert top(iter(records), 1, by="last_share") == [{"last_share": 9}]
    assert top(tuple(records), 1, "last_share", True) == [{"last_share": 5}]


def test_a_field_of_a_dictionary_in_the_record() -> None:
    pools = [{"stats": {"hashrate1m": 1}}, {"stats": None}, {"stats": {"hashrate1m": 2}}, {"stats.hashrate1m": 3}]
    assert top(pools, 4, by="stats.hashrate1m") == [pools[3], pools[2], pools[0], pools[1]]


@pytest.mark.parametrize(
    ("records", "by", "message"),
    [
        (users(1), "hashrate1x", r"record 0 has no field 'hashrate1x'; its fields: user, hashrate1m"),
        ([*users(1), {"user": "x"}], "hashrate1m", r"record 1 has no field 'hashrate1m'; its fields: user"),
        ([{}], "hashrate1m", "record 0 has no field 'hashrate1m'; its fields: none"),
        ([{"stats": {"users": 1}}], "stats.hashrate1m", "stats of record 0 has no field 'hashrate1m'"),
        ([{"stats": 5}], "stats.hashrate1m", "stats of record 0 is no dictionary: 5"),
        (users(1, "fast"), "hashrate1m", "hashrate1m of record 1 is neither a number nor a hashrate: 'fast'"),
        (users(""), "hashrate1m", "neither a number nor a hashrate: ''"),
        (users(True), "hashrate1m", "neither a number nor a hashrate: True"),
        (users(float("nan")), "hashrate1m", "neither a number nor a hashrate: nan"),
        (users(10**400), "hashrate1m", "neither a number nor a hashrate: 1000"),
        (users([1]), "hashrate1m", r"neither a number nor a hashrate: \[1\]"),
        ([1], "hashrate1m", "record 0 is no dictionary: 1"),
        (users(1), 5, "by is not a text: 5"),
        ({"users": []}, "hashrate1m", r"not a list of records: \{'users': \[\]\}"),
        ("users", "hashrate1m", "not a list of records: 'users'"),
        (None, "hashrate1m", "not a list of records: None"),
        (5, "hashrate1m", "not a list of records: 5"),
    ],
)  # fmt: skip
def test_an_error_names_what_is_wrong(records: t.Any, by: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        top(records, 1, by)


@pytest.mark.parametrize("count", [-1, "x", "", None, 1.5, True, 2**40, []])
def test_a_count_that_is_none(count: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="count is not a whole number"):
        top(users(1), count)


@pytest.mark.parametrize("ascending", ["yes", 1, None])
def test_ascending_is_true_or_false(ascending: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="ascending is neither true nor false"):
        top(users(1), 1, ascending=ascending)


def test_an_error_is_short_whatever_a_pool_has_sent() -> None:
    for records in (users("x" * 10000), [{"k" * 10000: 1}], "x" * 10000):
        with pytest.raises(AnsibleFilterError) as caught:
            top(records, 1)
        assert len(str(caught.value)) < 400


def test_an_undefined_variable_is_undefined() -> None:
    for records in (StrictUndefined(name="pool"), users(StrictUndefined(name="pool"))):
        with pytest.raises(UndefinedError, match="pool"):
            top(records, 1)
