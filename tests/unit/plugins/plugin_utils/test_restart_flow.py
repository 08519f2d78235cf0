# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarting, on a fake pool and a fake clock."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import Interrupted
from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.restart import Restart
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_step import RESTART, FakePool, born, gone, hang, have, phases, restart


def test_a_restart(pool: FakePool) -> None:
    result = restart(pool, clients_percent=100)
    assert "failed" not in result, result
    assert phases(result) == ["verify", "handover", "ready", "clients"]
    assert (result["pid_before"], result["pid_after"], result["changed"]) == (100, 200, True)
    assert (result["clients_before"], result["clients_after"]) == (20, 20)
    assert pool.steps == ["restart"]
    (told,) = (arguments for _time, name, arguments in pool.calls if name == "restart")
    assert (told["sever"], told["try_program"], told["pid"]) == ("pidfd", True, 100)
    assert {arguments.get("predecessor") for _time, _name, arguments in pool.calls[2:]} == {"100:5000"}
    assert (result["sever"], result["stranded_before"], result["stranded_after"]) == ("pidfd", 0, 0)
    assert result["msg"].endswith("from pid 100 to pid 200, and is ready; 20 of 20 clients are back")
    assert "warnings" not in result


def test_what_the_watcher_on_the_host_has_seen_is_told(pool: FakePool) -> None:
    pool.left_rejecting = {"since": 1795385464, "accepts_at": None, "by": "ckpool_clients"}
    pool.takeover = {"state": "taken_over", "severed": 18, "longest_gap": 0.42, "is_over": True}
    result = restart(pool)
    assert (result["severed"], result["longest_gap"]) == (18, 0.42)
    assert result["msg"].endswith("20 of 20 clients are back, after 0.4 s at most")
    (warning,) = result["warnings"]
    assert "pid 100 was left rejecting by an earlier run (ckpool_clients) at 2026-11-2" in warning


def test_the_watcher_is_waited_for_and_not_for_ever(pool: FakePool) -> None:
    def again(it: FakePool) -> None:
        born(it)
        have(20)(it)

    pool.effects["restart"] = again
    pool.takeover = {"state": "taken_over", "severed": 0, "longest_gap": None, "is_over": False}
    result = restart(pool, clients_timeout=10)
    assert "failed" not in result and phases(result)[-1] == "clients"
    assert 10 <= result["phases"][-1]["seconds"] < 14


def test_those_who_are_still_stranded_are_freed(pool: FakePool) -> None:
    def lose(it: FakePool) -> None:
        born(it)
        it.clients, it.connections = 18, {"held": 20, "stranded": 2, "sever": "pidfd"}

    def free(it: FakePool) -> None:
        it.clients, it.connections, it.more = 20, {"held": 20, "stranded": 0, "sever": "pidfd"}, {"severed": 2}

    pool.effects.update(restart=lose, sever=free)
    pool.takeover = {"state": "taken_over", "severed": 5, "longest_gap": None, "is_over": True}
    result = restart(pool, clients_timeout=5)
    assert pool.steps == ["restart", "sever"]
    assert (result["severed"], result["stranded_after"], result["clients_after"]) == (7, 0, 20)


@pytest.mark.parametrize(
    ("wanted", "connections", "way", "said"),
    [
        ("auto", None, "dropall", "rejects for a second and drops 20 clients"),
        ("auto", {"held": 20, "stranded": 0, "sever": "dropall"}, "dropall", "does not let connections be closed"),
        ("none", {"held": 20, "stranded": 0, "sever": "pidfd"}, "none", "20 clients could be stranded"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_the_way_is_chosen_and_said_beforehand(
    pool: FakePool, wanted: str, connections: t.Optional[Json], way: str, said: str, check_mode: bool
) -> None:
    pool.connections = connections
    result = restart(pool, check_mode, sever=wanted)
    assert result["sever"] == way
    assert any(said in text for text in result["warnings"])
    told = [arguments["sever"] for _time, name, arguments in pool.calls if name == "restart"]
    assert told == ([] if check_mode else [way])


@pytest.mark.parametrize(
    ("state", "text"), [("ended", "the new process, pid 201, has ended"), ("none", "no new process")]
)
def test_a_new_process_that_has_ended_is_noticed_at_once(pool: FakePool, state: str, text: str) -> None:
    pool.effects["restart"] = lambda it: setattr(it, "takeover", {"state": state, "pid": 201})
    result = restart(pool, restart_timeout=60)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "handover", "no_new_process")
    assert result["phases"][-1]["seconds"] < 10
    assert text in result["msg"] and "done before: restart" in result["msg"]
    assert result["log_tail"] == pool.log_tail


def test_looks_may_fail_while_it_hands_over(pool: FakePool) -> None:
    pool.failures.update({4: {"msg": "no instance", "phase": "find"}, 3: {"msg": "half", "phase": "read"}})
    pool.effects["restart"] = lambda it: None
    pool.at(3, lambda it: born(it, 200))
    result = restart(pool, clients_timeout=0)
    assert result["pid_after"] == 200, result
    assert "failed" not in result


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("state", "reason"), [(gone, "down"), (hang, "hung"), (lambda it: setattr(it, "state", "hung"), "hung")]
)
def test_what_cannot_be_restarted(
    pool: FakePool, state: t.Callable[[FakePool], None], reason: str, check_mode: bool
) -> None:
    state(pool)
    result = restart(pool, check_mode)
    assert (result["failed"], result["reason"], pool.steps) == (True, reason, [])
    assert result["hint"]


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_obstacles(pool: FakePool, force: bool, check_mode: bool) -> None:
    pool.obstacles = [
        {"reason": "exit_type", "message": "its unit would end", "hint": "set ExitType=cgroup"},
        {"reason": "no_program", "message": "its program is gone", "hint": "install it"},
    ]
    result = restart(pool, check_mode, force=force)
    assert bool(result.get("failed")) is not force
    assert result["obstacles"] == pool.obstacles
    if not force:
        assert result["reason"] == "exit_type"
        assert "its unit would end; its program is gone" in result["msg"]
        assert pool.steps == []


def test_no_new_process_puts_the_old_one_back(pool: FakePool) -> None:
    pool.effects["restart"] = lambda it: None
    pool.holders = [{"pid": 100, "command": "ckpool"}]
    result = restart(pool, restart_timeout=10)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "handover", "no_new_process")
    assert pool.steps == ["restart"]
    assert "pid 100, goes on" in result["msg"]
    assert "held by pid 100 (ckpool)" in result["msg"]
    assert result["state"] == "accepting, 20 clients"
    assert (result["pid_after"], result["log_tail"]) == (100, pool.log_tail)


def test_a_pool_that_was_told_to_reject_is_put_back(pool: FakePool) -> None:
    """Where connections cannot be closed from outside, the restart rejects first."""
    pool.effects["restart"], pool.connections = lambda it: None, None
    result = restart(pool, restart_timeout=10)
    assert pool.steps == ["restart", "accept"]
    assert result["state"] == "accepting, 20 clients, as before"


def test_a_copy_beside_the_old_one_is_named(pool: FakePool) -> None:
    pool.effects["restart"] = lambda it: None
    pool.holders = [{"pid": 100, "command": "ckpool"}, {"pid": 150, "command": "ckpool"}]
    result = restart(pool, restart_timeout=10)
    assert result["reason"] == "no_new_process"
    assert "End pid 150, which is a copy of the old one" in result["hint"]


def test_neither_process_is_left(pool: FakePool) -> None:
    pool.effects["restart"] = gone
    pool.service = {"unit": "ckpool.service"}
    result = restart(pool, restart_timeout=10)
    assert (result["reason"], result["state"]) == ("no_new_process", "down")
    assert "systemctl start ckpool.service" in result["hint"]
    assert (pool.steps, result["log_tail"]) == (["restart"], pool.log_tail)
    assert pool.calls[-1][2]["log_dir"] == "/var/log/ckpool", "no process leads to its log"


def test_a_new_process_that_does_not_answer(pool: FakePool) -> None:
    def half(it: FakePool) -> None:
        born(it)
        it.said["generator"] = "unanswered"

    pool.effects["restart"] = half
    result = restart(pool, restart_timeout=10)
    assert (result["reason"], result["phase"]) == ("not_answering", "handover")
    assert "pid 200 has taken over, and does not answer on generator after 10 of 10 s" in result["msg"]
    assert "accept" not in pool.steps


@pytest.mark.parametrize(("phase", "reason"), [("connect", "not_permitted"), ("ask", "executable_fails")])
def test_a_restart_that_cannot_be_said(pool: FakePool, phase: str, reason: str) -> None:
    pool.failures[1] = {"phase": phase, "reason": reason, "msg": "no"}
    result = restart(pool)
    assert (result["failed"], result["reason"], result["changed"]) == (True, reason, False)
    assert "done before" not in result["msg"] and result["log_tail"] == pool.log_tail
    assert pool.steps == ["restart"]


def test_a_new_process_without_work(pool: FakePool) -> None:
    def idle(it: FakePool) -> None:
        born(it)
        it.ready, it.state = False, "starting"

    pool.effects["restart"] = idle
    result = restart(pool, ready_timeout=10)
    assert (result["reason"], result["phase"], result["pid_after"]) == ("not_ready", "ready", 200)


def test_a_new_process_that_ends(pool: FakePool) -> None:
    pool.effects["restart"] = born
    pool.at(6, gone)
    result = restart(pool)
    assert (result["reason"], result["phase"], result["state"]) == ("ended", "clients", "down")


@pytest.mark.parametrize(("percent", "fails"), [(0, False), (15, False), (16, True), (100, True)])
def test_how_many_clients_must_be_back(pool: FakePool, percent: int, fails: bool) -> None:
    def few(it: FakePool) -> None:
        born(it)
        it.clients = 3

    pool.effects["restart"] = few
    result = restart(pool, clients_percent=percent)
    assert bool(result.get("failed")) is fails
    assert result["clients_after"] == 3
    assert "3 of 20 clients are back" in result["msg"]
    if fails:
        assert result["reason"] == "clients_missing"


@pytest.mark.parametrize(("percent", "fails"), [(0, False), (50, True)])
def test_clients_that_nobody_counts(pool: FakePool, percent: int, fails: bool) -> None:
    pool.clients = None
    result = restart(pool, clients_percent=percent)
    assert bool(result.get("failed")) is fails
    assert (pool.steps == []) is fails


@pytest.mark.parametrize("seconds", [1.2, 1.5, 5])
def test_an_interrupted_restart_puts_the_pool_back(pool: FakePool, seconds: float) -> None:
    pool.effects["restart"], pool.connections = lambda it: None, None
    pool.clock.interrupt_at = pool.clock.time + seconds
    flow = Restart(pool.watch(), {"poll": 2.0, **RESTART})
    with pytest.raises(Interrupted):
        flow.run()
    assert pool.steps[-1] == "accept"
    assert flow.left == f"accepting, {pool.clients} clients, as before"


def test_an_interrupted_restart_leaves_a_new_process_alone(pool: FakePool) -> None:
    pool.effects["restart"], pool.connections = lambda it: it.at(0.05, born), None
    pool.clock.interrupt_at = pool.clock.time + 0.25
    flow = Restart(pool.watch(), {"poll": 2.0, **RESTART})
    with pytest.raises(Interrupted):
        flow.run()
    assert flow.left == "accepting, 0 clients"
    assert flow.watch.seen.pid == 200


@pytest.mark.parametrize("when", ["lost before", "lost after"])
def test_a_restart_whose_connection_is_lost_is_not_said_twice(pool: FakePool, when: str) -> None:
    pool.failures[1] = when
    result = restart(pool, restart_timeout=20)
    assert pool.steps.count("restart") == 1
    if when == "lost after":
        assert "failed" not in result
    else:
        assert (result["reason"], pool.steps) == ("no_new_process", ["restart"])


def test_a_restart_that_loses_its_host_while_rejecting(pool: FakePool) -> None:
    pool.effects["restart"], pool.connections = lambda it: None, None
    pool.failures.update(dict.fromkeys(range(2, 9), "lost before"))
    result = restart(pool)
    assert result["unreachable"] is True
    assert pool.steps[-1] == "accept"
    assert "could not be told to accept again" in result["msg"]
    assert "rejecting" in result["state"]
