# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records: the fields of each source to the names and units of the results."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _records
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._observation import Probe
from ansible_collections.ckpool.fleet.plugins.module_utils._records import (
    USER_WINDOWS,
    PoolStats,
    UserStats,
    WorkerStats,
    integer,
    mapping,
    number,
)

STATS = {
    "hashrate1m", "hashrate5m", "hashrate15m", "hashrate1hr", "hashrate6hr", "hashrate1d", "hashrate7d", "users",
    "workers", "idle", "disconnected", "accepted", "rejected", "best_share", "sps1m", "sps5m", "sps15m", "sps1h",
    "uptime", "network_difficulty",
}  # fmt: skip
RATES = {"hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d"}
USER = {"user", *RATES, "shares", "best_share", "last_share", "authorised", "updated", "workers"}
WORKER = {"worker", "user", *RATES, "shares", "best_share", "last_share", "idle"}


def test_what_a_source_does_not_give_is_null_and_never_0() -> None:
    assert PoolStats().as_dict() == dict.fromkeys(STATS)
    user = UserStats("u", workers=[WorkerStats("u.w", "u")]).as_dict()
    assert user == {
        **dict.fromkeys(USER),
        "user": "u",
        "workers": [{**dict.fromkeys(WORKER), "worker": "u.w", "user": "u"}],
    }


def test_two_users_do_not_share_their_workers() -> None:
    one, other = UserStats("a"), UserStats("b")
    one.workers.append(WorkerStats("a.w", "a"))
    assert other.workers == []


def test_texts_of_the_status_files() -> None:
    rates = _records.hashrates_from_text({"hashrate1m": "38.5M", "hashrate6hr": "0", "hashrate7d": "1e+03T"})
    assert rates == {
        "hashrate1m": 38.5e6, "hashrate5m": None, "hashrate15m": None, "hashrate1hr": None, "hashrate6hr": 0.0,
        "hashrate1d": None, "hashrate7d": 1e15,
    }  # fmt: skip


def test_shares_a_second_of_the_query_api() -> None:
    fields = {"dsps1": 1, "dsps5": 0.5, "dsps15": 2, "dsps60": 3, "dsps360": 4, "dsps1440": 5, "dsps10080": 0}
    rates = _records.hashrates_from_dsps(fields)
    assert [rates["hashrate" + window] for window in _records.WINDOWS] == [
        2**32, 2**31, 2**33, 3 * 2**32, 4 * 2**32, 5 * 2**32, 0,
    ]  # fmt: skip
    assert set(_records.hashrates_from_dsps(fields, USER_WINDOWS)) == RATES


@pytest.mark.parametrize("name", ["hashrate1h", "hashrate1hr"])
def test_gigahashes_of_the_guide_and_both_names_of_the_hour(name: str) -> None:
    rates = _records.hashrates_from_guide({"hashrate1m": 1.5, "hashrate5m": "2.5T", name: 3, "hashrate6h": 4})
    assert rates["hashrate1m"] == 1.5e9
    assert rates["hashrate5m"] == 2.5e12
    assert rates["hashrate1hr"] == 3e9
    assert rates["hashrate6hr"] == 4e9
    assert rates["hashrate7d"] is None


def test_a_bad_hashrate_is_said_so_whichever_source() -> None:
    for reading in (_records.hashrates_from_text, _records.hashrates_from_dsps, _records.hashrates_from_guide):
        with pytest.raises(Unparsable):
            reading({"hashrate1m": "junk", "dsps1": "junk"})


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, None),
        ({"a": None}, None),
        ({"a": 0}, 0),
        ({"a": 1.5}, 1.5),
        ({"a": "1.5"}, 1.5),
        ({"a": "1e13"}, 1e13),
        ({"a": None, "b": 2}, 2),
        ({"a": 1, "b": 2}, 1),
        ({"a": -1}, -1),
    ],
)
def test_a_number_is_the_first_field_that_is_there(fields: t.Dict[str, t.Any], found: t.Optional[float]) -> None:
    assert number(fields, "a", "b") == found


@pytest.mark.parametrize(
    "text",
    ['"x"', '""', "[]", "{}", "true", "false", "NaN", "Infinity", "-Infinity", '"nan"', '"inf"', "1" + "0" * 400],
)
def test_what_is_no_finite_number_is_said_so(text: str) -> None:
    """Python's JSON takes more than JSON has, and integers without bound."""
    for reading in (number, integer):
        with pytest.raises(Unparsable, match="a is not a number"):
            reading({"a": json.loads(text)}, "a")


@pytest.mark.parametrize(("value", "whole"), [(0, 0), (1795385425, 1795385425), (2.9, 2), ("7", 7), (None, None)])
def test_a_whole_number(value: t.Any, whole: t.Optional[int]) -> None:
    found = integer({"a": value}, "a")
    assert found == whole and not isinstance(found, float)


def test_a_mapping_and_what_is_none() -> None:
    assert mapping({"a": 1}, "the reply") == {"a": 1}
    for value in ([], [1], "text", 1, None, True):
        with pytest.raises(Unparsable, match="the reply is not a JSON object"):
            mapping(value, "the reply")


def test_what_is_no_mapping_is_quoted_in_part_however_deep_it_is() -> None:
    for depth in (100, 500, 900):
        with pytest.raises(Unparsable) as caught:
            mapping(json.loads("[" * depth + "]" * depth), "the reply")
        assert len(str(caught.value)) < 150


def test_only_a_reply_counts_as_an_answer() -> None:
    assert Probe("listener", "reply", 0.1, "pong").answered
    for outcome in ("no_reply", "unanswered", "absent", "refused", "not_permitted", "half_reply"):
        assert not Probe("listener", outcome, 0.1).answered


@pytest.mark.parametrize(
    ("value", "deep"),
    [
        (None, False),
        (5, False),
        ({"a": [1, {"b": "c"}]}, False),
        ([[]] * 100_000, False),
        (json.loads("[" * 30 + "1" + "]" * 30), True),
        (json.loads("[" * 29 + "1" + "]" * 29), False),
        (json.loads('{"a":' * 500 + "1" + "}" * 500), True),
    ],
    ids=range(7),
)
def test_what_is_nested_deep(value: t.Any, deep: bool) -> None:
    assert _records.is_deep(value) is deep
