# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all flows share: options, a process that is not known, check mode, a host that cannot be reached."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_step import ELSEWHERE, FakePool, restart, shut_down, wait


@pytest.mark.parametrize(
    ("process", "reason"),
    [("another", "another_process"), ("hidden", "not_permitted"), ("absent", "no_pid"), ("dead", "dead")],
)
@pytest.mark.parametrize("run", [shut_down, restart])
def test_a_process_that_is_not_known_is_left_alone(
    pool: FakePool, run: t.Callable[..., Json], process: str, reason: str
) -> None:
    pool.process = process
    result = run(pool)
    assert (result["failed"], result["reason"], result["phase"]) == (True, reason, "verify")
    assert result["hint"]
    assert pool.steps == []


@pytest.mark.parametrize(
    ("run", "options", "names_it"),
    [
        (shut_down, {"poll": 0.5}, "poll must be from 1 to 3600, not 0.5"),
        (shut_down, {"poll": float("nan")}, "poll must be"),
        (shut_down, {"redirect_to": "nowhere"}, "redirect_to must be"),
        (shut_down, {"drain_timeout": -1.0}, "drain_timeout must be"),
        (shut_down, {"force_after": 61.0}, "force_after (61) must not be more than shutdown_timeout (60)"),
        (shut_down, {"service": "-x"}, "service '-x' cannot be"),
        (shut_down, {"service": "a b"}, "service 'a b' cannot be"),
        (restart, {"clients_percent": 101}, "clients_percent must be from 0 to 100"),
        (restart, {"restart_timeout": float("inf")}, "restart_timeout must be"),
        (wait, {"stable_for": 301.0}, "stable_for (301) must not be more than wait_timeout (300)"),
        (wait, {"clients_min": 5, "clients_max": 4}, "clients_min (5) must not be more"),
        (wait, {"state": "down", "users_min": 1}, "state: down goes without users_min"),
        (wait, {"hashrate_min": "fast"}, "hashrate_min is no hashrate: 'fast'"),
        (wait, {"hashrate_min": "500m"}, "hashrate_min is no hashrate: '500m'"),
    ],
)
def test_options_that_make_no_sense(pool: FakePool, run: t.Callable[..., Json], options: Json, names_it: str) -> None:
    result = run(pool, **options)
    assert (result["failed"], result["phase"], result["changed"]) == (True, "options", False)
    assert names_it in result["msg"]
    assert pool.calls == []


def test_check_mode_only_looks(pool: FakePool) -> None:
    result = shut_down(pool, check_mode=True, redirect_to=ELSEWHERE, remove_leftovers=True)
    assert (result["changed"], result["phases"], pool.steps) == (True, [], [])
    assert result["msg"] == f"ckpool (/run/ckpool): would send 20 clients to {ELSEWHERE}, then shut it down"
    assert result["diff"]["after"] == "state: down\npid: none\nleftovers: none\n"
    result = restart(pool, check_mode=True)
    assert (result["changed"], result["phases"], pool.steps) == (True, [], [])
    assert "would restart pid 100 with 20 clients" in result["msg"]
    assert result["diff"]["after"].endswith("pid: a new one\n")


@pytest.mark.parametrize("run", [shut_down, restart, wait])
def test_a_host_that_cannot_be_reached_at_first(pool: FakePool, run: t.Callable[..., Json]) -> None:
    pool.failures[0] = "lost before"
    result = run(pool)
    assert (result["unreachable"], result["changed"]) == (True, False)
    assert "failed" not in result
    assert len(pool.calls) == 1
