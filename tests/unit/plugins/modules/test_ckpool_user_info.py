# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_user_info."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from tests.support import HARMLESS, FakeSocket, Simulated, answers

from .conftest import Run

pytestmark = pytest.mark.usefixtures("fakes_are_ours")

RATES = {"hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d"}
BOTH = {*RATES, "shares", "best_share", "best_ever", "last_share", "updated", "stale"}
USER = {"user", *BOTH, "authorised", "worker_count", "source", "workers"}
WORKER = {"worker", "user", *BOTH, "started", "user_agent", "idle"}
KEYS = {"users", "missing", "instance", "source", "as_of", "problems", "msg", "changed"}
NAMES = ["alice", "bob", "carol"]


@pytest.fixture(params=["public", "api", "guide"])
def daemon(request: pytest.FixtureRequest, simulate: t.Callable[..., Simulated]) -> Simulated:
    """A daemon with three users, in each of the dialects."""
    simulated = simulate(dialect=request.param, user_names=NAMES, workers_per_user=2)
    simulated.wait_for_statistics()
    return simulated


def test_the_results_have_the_keys_of_the_contract(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir))
    assert set(result) == KEYS and result["changed"] is False
    assert [user["user"] for user in result["users"]] == NAMES
    assert all(set(user) == USER for user in result["users"])
    assert all(set(worker) == WORKER for user in result["users"] for worker in user["workers"])
    assert "3 users, 6 workers" in result["msg"]


def test_one_user_and_one_that_is_unknown(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir), users=["bob", "nobody"])
    assert [user["user"] for user in result["users"]] == ["bob"]
    assert result["missing"] == ["nobody"] and "unknown: nobody" in result["msg"]
    assert {message for _name, message in daemon.record()} <= HARMLESS


def test_an_unknown_user_alone_is_an_empty_list(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir), users="nobody", fail_when_down=True)
    assert (result["users"], result["missing"]) == ([], ["nobody"])


def test_the_strongest(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir), sort_by="hashrate1m", limit=2, active_within="1h")
    rates = [user["hashrate1m"] for user in result["users"]]
    assert len(rates) == 2 and rates[0] >= rates[1] > 0
    assert result["missing"] == []


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"limit": 0}, "limit must be from 1"),
        ({"limit": -5}, "limit must be from 1"),
        ({"limit": 10**400}, "limit must be from 1"),
        ({"limit": "all"}, "limit"),
        ({"sort_by": "beauty"}, "sort_by"),
        ({"active_within": "soon"}, "not a duration: 'soon'"),
        ({"active_within": "-1h"}, "not a duration"),
        ({"users": ["../../etc/passwd"]}, "holds '/'"),
        ({"users": ["a\0b"]}, "holds a NUL"),
        ({"users": ["a\nb"]}, "holds a newline"),
        ({"users": [".."]}, "holds '..'"),
        ({"users": [""]}, "is empty"),
        ({"users": ["alice", "x" * 128]}, "has more than 127 bytes"),
        ({"users": {"a": 1}}, "users"),
        ({"timeout": 0}, "timeout must be from 0.01 to 600"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_is_refused_before_anything_is_sent(
    run: Run, home: Path, option: t.Dict[str, t.Any], text: str
) -> None:
    with FakeSocket(str(home / "stratifier"), answers({})) as fake:
        result = run(socket_dir=str(home), **option)
        assert fake.messages == []
    assert result["failed"] is True and text in result["msg"]


def test_of_a_pool_that_is_down_no_user_is_unknown(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"), users=["alice"])
    assert set(result) == KEYS | {"log_tail"}
    assert (result["users"], result["missing"], result["instance"]["state"]) == ([], [], "down")
    assert run(socket_dir=str(home / "nowhere"), fail_when_down=True)["failed"] is True


def test_a_file_with_a_name_that_is_not_text(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES)
    daemon.wait_for_statistics()
    (daemon.log_dir / "users" / "caf\udce9").write_text('{"hashrate1m": "1M", "worker": []}')
    assert len(run(socket_dir=str(daemon.socket_dir))["users"]) == 4


def ghost(daemon: Simulated, name: str = "ghost", age: float = 10_000) -> Path:
    """A user with a high hashrate who has left."""
    path = daemon.log_dir / "users" / name
    path.write_text(json.dumps({"hashrate1m": "999E", "lastshare": int(time.time()), "worker": []}))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_who_left_is_not_ranked_unless_asked_for(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES)
    daemon.wait_for_statistics()
    ghost(daemon)
    where = str(daemon.socket_dir)
    result = run(socket_dir=where, sort_by="hashrate1m", limit=1)
    assert [user["user"] in NAMES for user in result["users"]] == [True]
    assert result["left_out"] == 1 and "1 stale users left out" in result["msg"]
    result = run(socket_dir=where)
    assert [(user["user"], user["stale"]) for user in result["users"]] == [(name, False) for name in NAMES]
    result = run(socket_dir=where, sort_by="hashrate1m", limit=1, include_stale=True)
    assert [(user["user"], user["stale"]) for user in result["users"]] == [("ghost", True)]
    assert "left_out" not in result
    (user,) = run(socket_dir=where, users=["ghost"])["users"]
    assert user["stale"] is True and user["updated"] == pytest.approx(time.time() - 10_000, abs=60)


def test_who_was_not_written_in_this_run_has_left(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES)
    daemon.wait_for_statistics()
    started = time.time() - float(Path(f"/proc/{daemon.pid}").stat().st_mtime)
    ghost(daemon, "before", started + 120)  # less than 10 minutes ago, but before this process
    result = run(socket_dir=str(daemon.socket_dir), sort_by="hashrate1m")
    assert sorted(user["user"] for user in result["users"]) == NAMES


def test_an_odd_field_costs_no_user_its_rank(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES)
    daemon.wait_for_statistics()
    (daemon.log_dir / "users" / "odd").write_text(
        '{"hashrate1m": "999E", "hashrate5m": "fast", "shares": 1e400, "worker": [7]}'
    )
    result = run(socket_dir=str(daemon.socket_dir), sort_by="hashrate1m", limit=1)
    (user,) = result["users"]
    assert (user["user"], user["hashrate1m"], user["hashrate5m"], user["shares"]) == ("odd", 999e18, None, None)
    assert "hashrate5m is not a hashrate: 'fast'" in result["problems"]["odd"]
    assert "shares" in result["problems"]["odd"] and "a worker is not an object: 7" in result["problems"]["odd"]
