# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and their workers, as a module."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ..support import HARMLESS, FakeSocket, Simulated, answers
from .conftest import Run

RATES = {"hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d"}
USER = {"user", *RATES, "shares", "best_share", "last_share", "authorised", "updated", "workers"}
WORKER = {"worker", "user", *RATES, "shares", "best_share", "last_share", "idle"}
KEYS = {"users", "missing", "instance", "source", "as_of", "problems", "msg", "changed"}
NAMES = ["alice", "bob", "carol"]


@pytest.fixture(params=["public", "api", "guide"])
def daemon(request: pytest.FixtureRequest, simulate: t.Callable[..., Simulated]) -> Simulated:
    """A daemon with three users, in each of the dialects."""
    simulated = simulate(dialect=request.param, user_names=NAMES, workers_per_user=2)
    simulated.wait_for_statistics()
    return simulated


def test_the_results_have_the_keys_of_the_contract(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.sockets))
    assert set(result) == KEYS and result["changed"] is False
    assert [user["user"] for user in result["users"]] == NAMES
    assert all(set(user) == USER for user in result["users"])
    assert all(set(worker) == WORKER for user in result["users"] for worker in user["workers"])
    assert "3 users, 6 workers" in result["msg"]


def test_one_user_and_one_that_is_unknown(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.sockets), users=["bob", "nobody"])
    assert [user["user"] for user in result["users"]] == ["bob"]
    assert result["missing"] == ["nobody"] and "unknown: nobody" in result["msg"]
    assert {message for _name, message in daemon.record()} <= HARMLESS


def test_an_unknown_user_alone_is_an_empty_list(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.sockets), users="nobody", fail_when_down=True)
    assert (result["users"], result["missing"]) == ([], ["nobody"])


def test_the_strongest(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.sockets), sort_by="hashrate1m", limit=2, active_within="1h")
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
    (daemon.logs / "users" / "caf\udce9").write_text('{"hashrate1m": "1M", "worker": []}')
    assert len(run(socket_dir=str(daemon.sockets))["users"]) == 4
