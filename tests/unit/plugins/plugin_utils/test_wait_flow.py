# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting, on a fake pool and a fake clock."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_step import FakePool, born, gone, have, phases, wait


def test_a_wait_says_that_the_pool_was_left_rejecting(pool: FakePool) -> None:
    pool.left_rejecting = {"since": None, "accepts_at": None, "by": "ckpool_clients"}
    (warning,) = wait(pool)["warnings"]
    assert warning.startswith(
        "pid 100 was left rejecting by an earlier run (ckpool_clients), and still does not accept"
    )


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({}, born),
        ({"state": "ready"}, born),
        ({"state": "down"}, gone),
        ({"state": "drained"}, have(0)),
        ({"state": "drained", "clients_max": 5}, have(5)),
        ({"clients_min": 30}, have(30)),
        ({"clients_max": 3}, have(3)),
        ({"users_min": 4}, lambda it: it.stats.update(users=4)),
        ({"workers_min": 13}, lambda it: it.stats.update(workers=13)),
        ({"hashrate_min": "1.5P"}, lambda it: it.stats.update(hashrate1m=1.5e15)),
        ({"hashrate_min": 3e12}, lambda it: it.stats.update(hashrate1m=3e12)),
        ({"work_age_max": 2.0}, lambda it: it.stats.update(work_age=1.9)),
    ],
)
def test_what_can_be_waited_for(pool: FakePool, options: Json, change: t.Callable[[FakePool], None]) -> None:
    if options in ({}, {"state": "ready"}):
        gone(pool)
    pool.at(20, change)
    result = wait(pool, **options)
    assert "failed" not in result, result
    assert (result["changed"], result["met"], pool.steps) == (False, True, [])
    assert 19 <= result["waited"] <= 23
    assert phases(result) == ["wait"]


def test_what_did_not_come_is_named(pool: FakePool) -> None:
    pool.stats["users"] = None
    result = wait(pool, clients_min=30, workers_min=2, users_min=1, hashrate_min="1P", wait_timeout=10)
    assert (result["failed"], result["reason"], result["changed"]) == (True, "not_reached", False)
    assert "clients is 20, not at least 30" in result["msg"]
    assert "hashrate is 2.00 TH/s, not at least 1.00 PH/s" in result["msg"]
    assert "users is not known, not at least 1" in result["msg"]
    assert "workers" not in result["msg"]
    assert "10 of 10 s" in result["msg"]
    assert [entry["observed"] for entry in result["conditions"]] == [20, None, 12, 2e12]


def test_it_must_hold_for_a_while(pool: FakePool) -> None:
    pool.at(5, have(30))
    pool.at(15, have(0))
    pool.at(20, have(30))
    result = wait(pool, clients_min=30, stable_for=20)
    assert 40 <= result["waited"] <= 45


def test_another_process_does_not_hold_for_the_one_before(pool: FakePool) -> None:
    pool.at(10, born)
    assert 19 <= wait(pool, stable_for=10)["waited"] <= 25


def test_what_never_holds_for_long_enough(pool: FakePool) -> None:
    for second in range(0, 100, 8):
        pool.at(second, have(30))
        pool.at(second + 4, have(0))
    result = wait(pool, clients_min=30, stable_for=10, wait_timeout=60)
    assert result["reason"] in ("not_stable", "not_reached")


def test_a_wait_in_check_mode_looks_once(pool: FakePool) -> None:
    result = wait(pool, check_mode=True, clients_min=30)
    assert "failed" not in result
    assert (result["met"], len(pool.calls)) == (False, 1)
    assert result["msg"].endswith("clients at least 30 does not hold yet")


def test_a_wait_passes_the_modules_failure_on(pool: FakePool) -> None:
    pool.failures[2] = {"phase": "find", "reason": "several_instances", "msg": "find: several", "hint": "name one"}
    result = wait(pool, clients_min=30)
    assert (result["phase"], result["reason"], result["hint"]) == ("wait", "several_instances", "name one")
    assert result["msg"] == "wait: find: several. Hint: name one"


def test_numbers_are_only_asked_for_where_they_are_needed(pool: FakePool) -> None:
    wait(pool)
    wait(pool, workers_min=1)
    assert [arguments["wants"] for _when, _name, arguments in pool.calls] == [[], ["stats"]]
