# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every instance of a host in one task: results have one structure in all modules, and a failure of one instance does not affect another."""

from __future__ import annotations

import threading
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils import (  # before a test replaces what one takes from the other
    _discovery,
    _instance,
    _module,
    _parallel,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._host import systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool

from tests.support import DEADLINE, Simulated, wait_for

from .conftest import Run

pytestmark = pytest.mark.usefixtures("alone", "memory")
Start = t.Callable[..., Simulated]
READING: t.Dict[str, t.Dict[str, t.Any]] = {
    "ckpool_stats": {},
    "ckpool_info": {"share_within": 0},
    "ckpool_user_info": {},
    "ckpool_worker_info": {},
    "ckpool_block_info": {},
    "ckpool_workbase_info": {},
}
HEALTH: t.Dict[str, t.Dict[str, t.Any]] = {"ckpool_health_info": {"skip_checks": ["disk"]}}
TELLING: t.Dict[str, t.Dict[str, t.Any]] = {
    "ckpool_loglevel": {"level": 5},
    "ckpool_dropuser": {"users": ["alice"], "watch": 0},
}
EVERY = {**READING, **HEALTH, **TELLING}
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}


def by_place(result: t.Dict[str, t.Any]) -> t.Dict[str, t.Dict[str, t.Any]]:
    return {row["instance"]["socket_dir"]: row for row in result["instances"]}


@pytest.mark.parametrize("name", READING)
def test_each_has_the_result_that_it_has_alone(run_any: Run, simulate: Start, name: str) -> None:
    daemons = [simulate(user_names=names) for names in (["alice"], ["alice", "bob"])]
    for daemon in daemons:
        daemon.wait_for_statistics()
    result = run_any(name, all_instances=True, **READING[name])
    assert "failed" not in result and result["changed"] is False
    rows = by_place(result)
    assert list(rows) == sorted(str(daemon.socket_dir) for daemon in daemons)
    for daemon in daemons:
        row = rows[str(daemon.socket_dir)]
        alone = run_any(name, socket_dir=str(daemon.socket_dir), **READING[name])
        assert set(row) == set(alone) - {"changed", "instances"}
        assert row["instance"] == alone["instance"] and row["instance"]["pid"] == daemon.pid
        assert row["msg"].startswith(f"ckpool ({daemon.socket_dir})") and row["msg"] in result["msg"]
    assert set(result) <= {"instances", "changed", "msg", "missing"}


@pytest.mark.parametrize("name", EVERY)
def test_one_that_fails_costs_no_other(
    run_any: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With a known failure, and with an unexpected exception."""
    one, odd, worse = (simulate(user_names=["alice"]) for _number in range(3))
    faults = {
        str(odd.socket_dir): Unparsable("it says \x1b[2Jnonsense", "/some/file", "look there"),
        str(worse.socket_dir): OverflowError("int too large"),
    }

    def failing(method: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def call(self: t.Any, *args: t.Any, **more: t.Any) -> t.Any:
            fault = faults.get(self.instance.socket_dir)
            if fault:
                raise fault
            return method(self, *args, **more)

        return call

    for method in ("stats", "users", "workers", "blocks", "workbase", "health", "gather"):
        monkeypatch.setattr(Pool, method, failing(getattr(Pool, method)))
    for method in ("look", "require_listener"):
        monkeypatch.setattr(Control, method, failing(getattr(Control, method)))
    result = run_any(name, all_instances=True, **EVERY[name])
    rows = by_place(result)
    assert result["failed"] is True and len(rows) == 3
    assert not rows[str(one.socket_dir)].get("failed") and rows[str(one.socket_dir)]["instance"]["pid"] == one.pid
    failed = rows[str(odd.socket_dir)]
    assert failed["failed"] is True and set(failed) >= FAILURE and failed["instance"]["pid"] == odd.pid
    assert (failed["phase"], failed["reason"], failed["path"]) == ("parse", "unparsable", "/some/file")
    assert (
        failed["hint"] == "look there" and "\\x1b[2Jnonsense" in failed["msg"] and str(odd.socket_dir) in failed["msg"]
    )
    unexpected = rows[str(worse.socket_dir)]
    assert unexpected["failed"] is True and unexpected["reason"] == "unexpected"
    assert "OverflowError: int too large" in unexpected["msg"]
    for text in ("nonsense", "OverflowError"):
        assert text in result["msg"]
    if name not in HEALTH:
        assert result["msg"].startswith("2 of 3 instances failed: ")
        assert {result[key] for key in ("phase", "reason", "hint")} <= {
            row[key] for row in (failed, unexpected) for key in ("phase", "reason", "hint")
        }
    else:
        assert failed["health"]["state"] == "unknown" and failed["health"]["status"] == "critical"
        assert failed["health"]["ok"] is False and result["health"]["ok"] is False


@pytest.mark.parametrize("name", READING)
def test_one_that_is_down_is_an_answer_and_a_failure_on_request(
    run_any: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    one, gone = simulate(), simulate()
    one.wait_for_statistics()
    gone.stop(9)
    found = [_discovery.find(str(daemon.socket_dir)) for daemon in (one, gone)]
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: found)
    result = run_any(name, all_instances=True, timeout=DEADLINE, **READING[name])
    rows = by_place(result)
    assert "failed" not in result and rows[str(gone.socket_dir)]["instance"]["state"] == "down"
    assert rows[str(one.socket_dir)]["instance"]["state"] in ("ok", "degraded") and "is down" in result["msg"]
    result = run_any(name, all_instances=True, fail_when_down=True, timeout=DEADLINE, **READING[name])
    rows = by_place(result)
    assert result["failed"] is True and result["msg"].startswith("1 of 2 instances failed: ckpool (")
    assert rows[str(gone.socket_dir)]["failed"] is True and not rows[str(one.socket_dir)].get("failed")


@pytest.mark.parametrize("name", READING)
def test_one_that_hangs_costs_its_own_time_only(
    run_any: Run, simulate: Start, name: str, given_up_soon: t.Callable[..., None]
) -> None:
    one, hung = simulate(), simulate(faults=["hung"])
    given_up_soon(hung.socket_dir)
    one.wait_for_statistics()
    result = run_any(name, all_instances=True, timeout=DEADLINE, **READING[name])
    rows = by_place(result)
    assert rows[str(hung.socket_dir)]["instance"]["state"] == "hung"
    assert rows[str(one.socket_dir)]["instance"]["state"] == "ok" and not rows[str(one.socket_dir)].get("failed")


@pytest.mark.parametrize("option", [{"socket_dir": "/tmp/x"}, {"name": "x"}, {"pid": 1}])
@pytest.mark.parametrize("name", EVERY)
def test_all_and_one_exclude_each_other(
    run_any: Run, monkeypatch: pytest.MonkeyPatch, name: str, option: t.Dict[str, t.Any]
) -> None:
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: pytest.fail("nothing should be looked for"))
    result = run_any(name, all_instances=True, **option, **EVERY[name])
    assert set(result) == FAILURE and (result["phase"], result["reason"]) == ("options", "bad_option")
    assert "neither socket_dir nor name nor pid" in result["msg"]


@pytest.mark.parametrize("name", EVERY)
def test_a_host_without_any(run_any: Run, name: str) -> None:
    result = run_any(name, all_instances=True, **EVERY[name])
    assert result["instances"] == [] and "failed" not in result and "no ckpool runs" in result["msg"]
    if name in (*READING, *HEALTH):
        result = run_any(name, all_instances=True, fail_when_down=True, **EVERY[name])
        assert result["failed"] is True and result["instances"] == [] and "no ckpool runs" in result["msg"]


def test_users_that_no_pool_knows(run_any: Run, simulate: Start) -> None:
    for names in (["alice"], ["bob"]):
        simulate(user_names=names).wait_for_statistics()
    result = run_any("ckpool_user_info", all_instances=True, users=["alice", "bob", "carol"])
    assert result["missing"] == ["carol"]
    assert sorted(tuple(row["missing"]) for row in result["instances"]) == [("alice", "carol"), ("bob", "carol")]
    result = run_any("ckpool_worker_info", all_instances=True, workers=["alice.rig0", "carol.rig0"])
    assert result["missing"] == ["carol.rig0"]


def test_the_subset_of_all_instances_is_not_gathered_of_each(run_any: Run, simulate: Start) -> None:
    daemons = [simulate(), simulate()]
    result = run_any("ckpool_info", all_instances=True, gather_subset=["instances", "sockets"])
    assert len(result["instances"]) == len(daemons)
    assert all("instances" not in row and len(row["sockets"]) == 4 for row in result["instances"])


# Dropping users


def dropped(row: t.Dict[str, t.Any]) -> t.List[str]:
    return [client["worker"] for client in row["dropped"]]


def clients_of(daemon: Simulated, count: int) -> Simulated:
    """A daemon with this number of clients in its log."""
    log = daemon.log_dir / "ckpool.log"
    wait_for(lambda: log.exists() and log.read_text().count("Authorised client") >= count, "clients")
    return daemon


@pytest.fixture
def pools(simulate: Start) -> t.List[Simulated]:
    """Alice on two pools, bob on one, and a third without either."""
    users = (["alice", "bob"], ["alice", "dora"], ["carol", "dora"])
    return [clients_of(simulate(user_names=names, reconnect_after=60), 4) for names in users]


def test_a_user_is_dropped_from_every_pool(run_any: Run, pools: t.List[Simulated]) -> None:
    options = {"all_instances": True, "users": ["alice"], "watch": 0, "_ansible_diff": True}
    predicted = run_any("ckpool_dropuser", **options, _ansible_check_mode=True)
    assert not any("dropclient" in str(message) for daemon in pools for _socket, message in daemon.record())
    done = run_any("ckpool_dropuser", **options)
    again = run_any("ckpool_dropuser", **options)
    assert [result["changed"] for result in (predicted, done, again)] == [True, True, False]
    for result in (predicted, done):
        rows = [by_place(result)[str(daemon.socket_dir)] for daemon in pools]
        assert [row["changed"] for row in rows] == [True, True, False]
        assert [dropped(row) for row in rows] == [["alice.rig0", "alice.rig1"]] * 2 + [[]]
        assert result["users"] == [{"user": "alice", "connected": 4, "dropped": 4, "returned": 0}]
        assert len(result["diff"]) == 3 and sum("alice" in diff["before"] for diff in result["diff"]) == 2
        assert {diff["before_header"] for diff in result["diff"]} == {
            f"ckpool ({daemon.socket_dir})" for daemon in pools
        }
    assert "failed" not in done and not any("diff" in row for row in done["instances"])


def test_ids_are_one_daemons_own(run_any: Run, pools: t.List[Simulated]) -> None:
    result = run_any("ckpool_dropuser", all_instances=True, client_ids=[1], watch=0)
    assert set(result) == FAILURE and result["reason"] == "bad_option" and "client_ids" in result["msg"]
    assert not any("dropclient" in str(message) for daemon in pools for _socket, message in daemon.record())


def forget_the_start(daemon: Simulated) -> None:
    """Make the log begin later than the daemon, as after a rotation."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 1))
    (daemon.log_dir / "ckpool.log").write_text(f"[{stamp}.000] a line\n")


def test_a_pool_that_does_not_have_the_user_is_no_failure_if_another_has(
    run_any: Run, pools: t.List[Simulated]
) -> None:
    """Its log does not go back to its start, but it has never written a status file of that user."""
    pools[2].wait_for_statistics()
    forget_the_start(pools[2])
    options = {"all_instances": True, "users": ["alice"], "watch": 0}
    for is_check in (True, False):
        result = run_any("ckpool_dropuser", **options, _ansible_check_mode=is_check)
        row = by_place(result)[str(pools[2].socket_dir)]
        assert "failed" not in result and "failed" not in row and result["changed"] is True
        assert list(row["unknown"]) == ["alice"] and "alice" in row["problems"]["unknown"]


def test_a_persons_pool_is_no_evidence_for_the_systems(
    run_any: Run, pools: t.List[Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    pools[2].wait_for_statistics()
    forget_the_start(pools[2])
    people = {pools[0].pid, pools[1].pid}
    monkeypatch.setattr(_instance.Instance, "is_of_a_person", property(lambda self: self.pid in people))
    result = run_any("ckpool_dropuser", all_instances=True, users=["alice"], watch=0, _ansible_check_mode=True)
    assert by_place(result)[str(pools[2].socket_dir)]["failed"] is True
    people.add(pools[2].pid)
    result = run_any("ckpool_dropuser", all_instances=True, users=["alice"], watch=0, _ansible_check_mode=True)
    assert "failed" not in result and not any("of_a_person" in row for row in result["instances"])


def test_a_pool_that_may_have_the_user_is_a_failure(run_any: Run, pools: t.List[Simulated]) -> None:
    pools[1].wait_for_statistics()
    forget_the_start(pools[1])
    user = pools[1].log_dir / "users" / "alice"
    assert user.exists()
    result = run_any("ckpool_dropuser", all_instances=True, users=["alice"], watch=0)
    rows = [by_place(result)[str(daemon.socket_dir)] for daemon in pools]
    assert result["failed"] is True and result["changed"] is True and result["reason"] == "clients_unknown"
    assert [bool(row.get("failed")) for row in rows] == [False, True, False]
    assert dropped(rows[0]) == ["alice.rig0", "alice.rig1"]


def test_a_user_whom_no_pool_has_for_sure_is_a_failure_where_that_is_not_known(
    run_any: Run, pools: t.List[Simulated]
) -> None:
    pools[2].wait_for_statistics()
    forget_the_start(pools[2])
    result = run_any("ckpool_dropuser", all_instances=True, users=["zoe"], watch=0)
    assert result["failed"] is True and result["changed"] is False and "zoe" in result["msg"]


# Time


def test_those_that_take_too_long_are_failures_and_the_others_have_their_results(
    run_any: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, slow = simulate(), simulate()
    over = threading.Event()
    real = Pool.stats

    def stats(self: Pool) -> t.Any:
        if self.instance.pid == slow.pid:
            over.wait(60)
        return real(self)

    monkeypatch.setattr(Pool, "stats", stats)
    # In this time, the other one is read on a busy machine too.
    monkeypatch.setattr(_module.for_each, "__defaults__", (5.0,))
    result = run_any("ckpool_stats", all_instances=True)
    over.set()
    rows = by_place(result)
    assert result["failed"] is True and "failed" not in rows[str(one.socket_dir)]
    late = rows[str(slow.socket_dir)]
    assert (late["failed"], late["reason"]) == (True, "too_late") and "not done within 5 s" in late["msg"]


def test_people_s_come_last_and_keep_their_places(
    run_any: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemons = [simulate() for _number in range(3)]
    found = [_discovery.find(str(daemon.socket_dir)) for daemon in daemons]
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: found)
    people = {daemons[0].pid, daemons[2].pid}
    monkeypatch.setattr(_instance.Instance, "is_of_a_person", property(lambda self: self.pid in people))
    monkeypatch.setattr(_parallel, "_THREADS", 1)
    asked: t.List[t.Optional[int]] = []
    real = Pool.stats

    def noted(self: Pool) -> t.Any:
        asked.append(self.instance.pid)
        return real(self)

    monkeypatch.setattr(Pool, "stats", noted)
    result = run_any("ckpool_stats", all_instances=True)
    assert [row["instance"]["pid"] for row in result["instances"]] == [daemon.pid for daemon in daemons]
    assert asked == [daemons[1].pid, daemons[0].pid, daemons[2].pid]


@pytest.mark.parametrize("name", [*READING, *HEALTH])
def test_one_that_systemd_should_run_is_among_them(
    run_any: Run, simulate: Start, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It has left nothing in any folder, so nothing else would reveal it."""
    simulate().wait_for_statistics()
    words = ("/usr/bin/ckpool", "-n", "solo", "-s", f"{home}/solo")
    unit = systemd.Unit("solo.service", words, "", "failed", "enabled")
    monkeypatch.setattr(systemd, "service_commands", lambda: [unit])
    options = EVERY[name]
    row = by_place(run_any(name, all_instances=True, timeout=1, **options))[f"{home}/solo"]
    assert (row["instance"]["state"], row["instance"]["name"]) == ("down", "solo")
    assert "solo.service is failed" in row["problems"]["unit"]
    assert run_any(name, all_instances=True, fail_when_down=True, timeout=1, **options)["failed"] is True
