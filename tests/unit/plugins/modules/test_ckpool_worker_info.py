# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_worker_info."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from tests.support import HARMLESS, FakeSocket, Simulated, answers, wait_for

from .conftest import Run

pytestmark = pytest.mark.usefixtures("fakes_are_ours")

RATES = {"hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d"}
WORKER = {
    "worker", "user", *RATES, "shares", "best_share", "best_ever", "last_share", "started", "user_agent", "idle", "updated",
    "stale",
}  # fmt: skip
KEYS = {"workers", "missing", "instance", "source", "as_of", "problems", "msg", "changed"}
NAMES = ["alice", "bob", "carol"]


@pytest.fixture(params=["2017", "2025", "2026", "api", "guide"])
def daemon(request: pytest.FixtureRequest, simulate: t.Callable[..., Simulated]) -> Simulated:
    """A daemon with three users of two workers, in each of the layouts and dialects."""
    kind = {"dialect": request.param} if request.param in ("api", "guide") else {"layout": request.param}
    simulated = simulate(user_names=NAMES, workers_per_user=2, **kind)
    simulated.wait_for_statistics()
    return simulated


def test_the_results_have_the_keys_of_the_contract(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir))
    assert set(result) == KEYS and result["changed"] is False
    assert all(set(worker) == WORKER for worker in result["workers"])
    names = [worker["worker"] for worker in result["workers"]]
    assert len(names) == 6 and names == sorted(names)
    assert [worker["user"] for worker in result["workers"]] == sorted(NAMES * 2)
    assert all(worker["hashrate1m"] > 0 and worker["idle"] is False for worker in result["workers"])
    assert "6 workers of 3 users, 0 of them idle" in result["msg"]
    assert {message for _name, message in daemon.record()} <= HARMLESS


def test_some_users_and_some_workers(run: Run, daemon: Simulated) -> None:
    where = str(daemon.socket_dir)
    every = [worker["worker"] for worker in run(socket_dir=where)["workers"]]
    result = run(socket_dir=where, users=["bob", "nobody"])
    assert {worker["user"] for worker in result["workers"]} == {"bob"} and len(result["workers"]) == 2
    assert result["missing"] == []
    result = run(socket_dir=where, workers=[every[0], "nobody.rig"])
    assert [worker["worker"] for worker in result["workers"]] == every[:1]
    assert result["missing"] == ["nobody.rig"] and "unknown: nobody.rig" in result["msg"]
    result = run(socket_dir=where, workers=every[:1], users=["bob"])
    assert (result["workers"], result["missing"]) == ([], every[:1])
    assert {message for _name, message in daemon.record()} <= HARMLESS


def test_a_workers_name_is_no_path(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES, status_interval=3600)
    daemon.wait_for_statistics()
    (daemon.log_dir / "users" / "sub").mkdir()
    (daemon.log_dir / "users" / "sub" / "x").write_text('{"worker": [{"workername": "sub/x.rig"}]}')
    names = ["sub/x.rig", "../x.rig", "_rig", ".rig"]
    result = run(socket_dir=str(daemon.socket_dir), workers=names)
    assert (result["workers"], result["missing"], result["problems"]) == ([], names, {})


def test_order_and_limit(run: Run, daemon: Simulated) -> None:
    where = str(daemon.socket_dir)
    rates = [worker["hashrate1m"] for worker in run(socket_dir=where, sort_by="hashrate1m", limit=3)["workers"]]
    assert len(rates) == 3 and rates == sorted(rates, reverse=True)
    users = [worker["user"] for worker in run(socket_dir=where, sort_by="user")["workers"]]
    assert users == sorted(users)


def test_only_some_fields(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir), fields=["worker", "idle"])
    assert all(set(worker) == {"worker", "idle"} for worker in result["workers"]) and len(result["workers"]) == 6


def test_active_and_idle(run: Run, daemon: Simulated) -> None:
    where = str(daemon.socket_dir)
    assert len(run(socket_dir=where, state="active")["workers"]) == 6
    assert run(socket_dir=where, state="idle")["workers"] == []
    daemon.change(idle=6)  # their last share is an hour old; where a source does not say so, the last writing counts

    def idle() -> t.List[t.Dict[str, t.Any]]:
        return t.cast(t.List[t.Dict[str, t.Any]], run(socket_dir=where, state="idle", active_within="0s")["workers"])

    wait_for(lambda: len(idle()) == 6, "all to be idle")
    assert all(worker["idle"] for worker in idle())
    assert run(socket_dir=where, state="active", active_within="0s")["workers"] == []
    assert all(worker["idle"] for worker in run(socket_dir=where, active_within="0s")["workers"])


def test_one_that_is_gone_among_those_that_are_there(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(layout="2025", user_names=NAMES, status_interval=3600)
    daemon.wait_for_statistics()
    path = daemon.log_dir / "users" / "bob"
    user = json.loads(path.read_text())
    user["worker"][0]["lastshare"] = int(time.time()) - 3000
    name = user["worker"][0]["workername"]
    path.write_text(json.dumps(user))
    for options, expected in (({}, True), ({"active_within": "1h"}, False)):
        (idle,) = (
            row["idle"] for row in run(socket_dir=str(daemon.socket_dir), **options)["workers"] if row["worker"] == name
        )
        assert idle is expected
    assert [row["worker"] for row in run(socket_dir=str(daemon.socket_dir), state="idle")["workers"]] == [name]
    assert name not in {row["worker"] for row in run(socket_dir=str(daemon.socket_dir), state="active")["workers"]}


def test_in_the_layout_of_2017_the_last_writing_counts(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(layout="2017", user_names=NAMES, status_interval=3600)
    daemon.wait_for_statistics()
    for folder, name in (("users", "bob"), ("workers", "bob.rig0")):
        path = next((daemon.log_dir / folder).glob(name if folder == "users" else "bob*"))
        row = json.loads(path.read_text())
        row["lastupdate"] = int(time.time()) - 3000
        path.write_text(json.dumps(row))
        os.utime(path, (row["lastupdate"],) * 2)
    idle = run(socket_dir=str(daemon.socket_dir), state="idle")["workers"]
    assert [row["user"] for row in idle] == ["bob"] and idle[0]["last_share"] is None


def test_a_file_that_is_broken_is_named(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES, status_interval=3600)
    daemon.wait_for_statistics()
    (daemon.log_dir / "users" / "bob").write_bytes(b"\xff{")
    result = run(socket_dir=str(daemon.socket_dir))
    assert {worker["user"] for worker in result["workers"]} == {"alice", "carol"}
    assert "bob" in result["problems"]


@pytest.mark.parametrize("source", ["guide", "api"])
def test_a_source_that_is_not_answered(run: Run, simulate: t.Callable[..., Simulated], source: str) -> None:
    daemon = simulate()
    result = run(socket_dir=str(daemon.socket_dir), source=source)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "ask", "source_not_answered")


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"limit": 0}, "limit must be from 1"),
        ({"sort_by": "beauty"}, "sort_by"),
        ({"fields": ["beauty"]}, "fields"),
        ({"state": "asleep"}, "state"),
        ({"active_within": "soon"}, "not a duration: 'soon'"),
        ({"active_within": ""}, "not a duration"),
        ({"users": ["../../etc/passwd"]}, "user name '../../etc/passwd' holds '/'"),
        ({"users": ["x" * 128]}, "has more than 127 bytes"),
        ({"workers": ["a\0b"]}, "holds a NUL"),
        ({"workers": ["a\nb"]}, "holds a newline"),
        ({"workers": [""]}, "is empty"),
        ({"workers": ["x" * 511]}, "has more than 510 bytes"),
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


def test_of_a_pool_that_is_down_no_worker_is_unknown(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"), workers=["alice.rig0"])
    assert set(result) == KEYS | {"log_tail"}
    assert (result["workers"], result["missing"], result["instance"]["state"]) == ([], [], "down")
    assert run(socket_dir=str(home / "nowhere"), fail_when_down=True)["failed"] is True


def test_workers_of_users_who_left_are_passed_over_unless_asked_for(
    run: Run, simulate: t.Callable[..., Simulated]
) -> None:
    daemon = simulate(user_names=NAMES, workers_per_user=1)
    daemon.wait_for_statistics()
    path = daemon.log_dir / "users" / "ghost"
    row = {"workername": "ghost.rig", "hashrate1m": "999E", "lastshare": int(time.time())}
    path.write_text(json.dumps({"hashrate1m": "999E", "worker": [row]}))
    os.utime(path, (time.time() - 10_000, time.time() - 10_000))
    where = str(daemon.socket_dir)
    for state in ("any", "active"):
        result = run(socket_dir=where, sort_by="hashrate1m", limit=1, state=state)
        assert [worker["user"] in NAMES for worker in result["workers"]] == [True]
    assert "ghost" not in str(run(socket_dir=where)["workers"])
    for options in ({"include_stale": True, "sort_by": "hashrate1m"}, {"users": ["ghost"]}, {"workers": ["ghost.rig"]}):
        found = run(socket_dir=where, **options)["workers"][0]
        assert (found["worker"], found["stale"]) == ("ghost.rig", True)
