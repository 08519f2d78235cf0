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
    PoolStats,
    UserAgent,
    UserStats,
    WorkerStats,
    mapping,
)

STATS = {
    "hashrate1m", "hashrate5m", "hashrate15m", "hashrate1hr", "hashrate6hr", "hashrate1d", "hashrate7d", "users",
    "workers", "idle", "disconnected", "accepted", "rejected", "accepted_count", "rejected_count", "effort", "best_share",
    "sps1m", "sps5m", "sps15m", "sps1h", "uptime", "network_difficulty", "user_workbases", "user_agents",
}  # fmt: skip
RATES = {"hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d"}
BOTH = {*RATES, "shares", "best_share", "best_ever", "last_share", "updated", "stale"}
USER = {"user", *BOTH, "authorised", "worker_count", "source", "workers"}
WORKER = {"worker", "user", *BOTH, "started", "user_agent", "idle"}


def test_what_a_source_does_not_give_is_null_and_never_0() -> None:
    assert PoolStats().as_dict() == dict.fromkeys(STATS)
    user = UserStats("u", workers=[WorkerStats("u.w", "u")]).as_dict()
    assert user == {
        **dict.fromkeys(USER),
        "user": "u",
        "stale": False,
        "workers": [{**dict.fromkeys(WORKER), "worker": "u.w", "user": "u", "stale": False}],
    }


def test_two_users_do_not_share_their_workers() -> None:
    one, other = UserStats("a"), UserStats("b")
    one.workers.append(WorkerStats("a.w", "a"))
    assert other.workers == []


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


def test_user_agents_are_told_as_records() -> None:
    found = PoolStats(user_agents=[UserAgent("cgminer", 2)]).as_dict()["user_agents"]
    assert found == [{"user_agent": "cgminer", "devices": 2, "hashrate5m": None, "best_share": None}]


@pytest.mark.parametrize(
    ("stats", "difficulty"),
    [
        (PoolStats(), None),
        (
            PoolStats(hashrate1hr=2.29e6, sps1h=0.000534),
            0.9985,
        ),  # the sample of 2025, all of whose shares have difficulty 1
        (PoolStats(hashrate1hr=8.51e3, sps1h=0.0260197), 0.0000761),  # the sample of 2026
        (PoolStats(hashrate1hr=2**32 * 50.0, sps1h=0.5, hashrate1m=1.0, sps1m=1.0), 100.0),
        (PoolStats(hashrate1hr=1e9, hashrate15m=2**32 * 50.0, sps15m=0.5), 100.0),
        (PoolStats(hashrate1hr=0.0, sps1h=0.1, hashrate5m=2**32, sps5m=0.5), 2.0),
        (PoolStats(hashrate1m=2**32, sps1m=0.5), 2.0),
        (PoolStats(hashrate1hr=1e9, sps1h=0.0), None),
        (PoolStats(accepted=0.00719, accepted_count=95, hashrate1hr=1e15, sps1h=1), 0.0000757),
        (PoolStats(accepted=0.0, accepted_count=0), None),
    ],
)
def test_the_mean_difficulty_of_a_share(stats: PoolStats, difficulty: t.Optional[float]) -> None:
    assert stats.share_difficulty == (None if difficulty is None else pytest.approx(difficulty, rel=0.01))
