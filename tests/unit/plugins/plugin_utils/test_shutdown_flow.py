# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shutting down and draining, on a fake pool and a fake clock."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import Interrupted
from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.shutdown import Shutdown
from ansible_collections.ckpool.fleet.plugins.plugin_utils._observation import SOCKETS

from .fake_step import ELSEWHERE, SHUTDOWN, WHERE, FakePool, born, gone, hang, have, later, phases, shut_down


def test_a_shutdown_ends_when_the_process_is_gone(pool: FakePool) -> None:
    result = shut_down(pool)
    assert "failed" not in result
    assert (result["changed"], result["pid_before"], result["pid_after"]) == (True, 100, None)
    assert (result["clients_before"], result["forced"], result["removed"]) == (20, None, [])
    assert result["stats_before"]["hashrate1m"] == 2e12
    assert phases(result) == ["verify", "shutdown"]
    assert result["msg"] == "ckpool (/run/ckpool) is down: pid 100 is gone, nothing answers"
    assert pool.steps == ["shutdown"]
    assert result["diff"]["before"] == "state: accepting, 20 clients\npid: 100\n"
    assert result["diff"]["after"] == "state: down\npid: none\n"


def test_looks_keep_a_second_apart_and_know_the_directory(pool: FakePool) -> None:
    pool.effects["shutdown"] = later(30, gone)
    shut_down(pool)
    looks = [when for when, name, _arguments in pool.calls]
    assert all(after - before >= 1 for before, after in zip(looks[1:], looks[2:]))
    assert len(looks) < 20
    assert all(arguments["socket_dir"] == "/run/ckpool" for _when, _name, arguments in pool.calls[1:])
    assert "socket_dir" not in pool.calls[0][2]


def test_nothing_runs(pool: FakePool) -> None:
    gone(pool)
    pool.found, pool.leftovers = False, []
    result = shut_down(pool, remove_leftovers=True)
    assert (result["changed"], result["msg"]) == (False, "nothing runs here, and nothing is left of it")
    assert pool.steps == []


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("clean", [False, True])
def test_it_is_down_already(pool: FakePool, clean: bool, check_mode: bool) -> None:
    gone(pool)
    result = shut_down(pool, check_mode, remove_leftovers=clean)
    assert "failed" not in result
    assert result["changed"] is clean
    assert result["removed"] == (list(SOCKETS) if clean else [])
    assert pool.steps == (["clean"] if clean and not check_mode else [])


def test_a_stale_pid_file_that_names_another_process(pool: FakePool) -> None:
    gone(pool)
    pool.process, pool.pid = "another", 77
    result = shut_down(pool)
    assert (result["changed"], result["pid_before"], pool.steps) == (False, None, [])


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_hung_pool_takes_no_shutdown(pool: FakePool, check_mode: bool) -> None:
    hang(pool)
    result = shut_down(pool, check_mode)
    assert (result["failed"], result["reason"], result["changed"]) == (True, "hung", False)
    assert "force_after" in result["hint"]
    assert result["state"] == "hung"
    assert pool.steps == []


def test_a_hung_pool_is_ended_by_signals_at_once(pool: FakePool) -> None:
    hang(pool)
    result = shut_down(pool, force_after=30, redirect_to=ELSEWHERE)
    assert "failed" not in result
    assert (result["forced"], pool.steps) == ("terminate", ["terminate"])
    assert "by SIGTERM" in result["msg"]
    assert "its listener did not answer" in result["msg"]


def test_a_hung_pool_may_be_stopped_by_its_unit(pool: FakePool) -> None:
    hang(pool)
    result = shut_down(pool, service="ckpool.service")
    assert "failed" not in result
    assert pool.calls[2][1:] == (
        "stop_service",
        {"service": "ckpool.service", "pid": 100, "started": 5000, **WHERE},
    )
    assert "ckpool.service was stopped" in result["msg"]


def test_a_pool_that_is_just_ending_is_not_hung(pool: FakePool) -> None:
    hang(pool)
    later(0.5, gone)(pool)
    result = shut_down(pool)
    assert "failed" not in result and not result["changed"]
    assert "is down already" in result["msg"]
    assert (pool.steps, len(pool.calls)) == ([], 2)


def test_sockets_that_may_not_be_used_are_no_hung_pool(pool: FakePool) -> None:
    pool.said = dict.fromkeys(SOCKETS, "not_permitted")
    result = shut_down(pool, force_after=1)
    assert (result["reason"], result["hint"], pool.steps) == ("not_permitted", "use become: true", [])


def test_force_comes_after_its_time_and_then_kill(pool: FakePool) -> None:
    pool.effects.update(shutdown=lambda it: None, terminate=lambda it: None)
    result = shut_down(pool, force_after=20, kill_after=5)
    assert "failed" not in result
    assert (result["forced"], pool.steps) == ("kill", ["shutdown", "terminate", "kill"])
    when = {name: time for time, name, _arguments in pool.calls}
    assert 20 <= when["terminate"] - when["shutdown"] <= 22
    assert 5 <= when["kill"] - when["terminate"] <= 7
    assert phases(result) == ["verify", "shutdown", "terminate", "kill"]


def test_without_force_it_fails_and_names_what_is_left(pool: FakePool) -> None:
    pool.effects["shutdown"] = lambda it: None
    result = shut_down(pool, shutdown_timeout=10)
    assert (result["failed"], result["reason"], result["phase"]) == (True, "still_running", "shutdown")
    assert (
        "pid 100 still runs after 10 of 10 s, listener, stratifier, connector, generator still answer" in result["msg"]
    )
    assert result["state"] == "accepting, 20 clients"
    assert result["changed"] is True
    assert pool.steps == ["shutdown"]


def test_a_socket_that_somebody_else_holds(pool: FakePool) -> None:
    def forked(it: FakePool) -> None:
        gone(it)
        it.said["listener"] = "unanswered"
        it.holders = [{"pid": 101, "command": "ckpool"}]

    pool.effects["shutdown"] = forked
    result = shut_down(pool, shutdown_timeout=5)
    assert "pid 100 is gone after" in result["msg"]
    assert "held by pid 101 (ckpool)" in result["msg"]


def test_a_unit_that_starts_it_again(pool: FakePool) -> None:
    pool.service = {"unit": "ckpool.service", "restart": "always"}
    pool.effects["shutdown"] = later(0.3, lambda it: born(it, 222))
    result = shut_down(pool)
    assert (result["failed"], result["reason"]) == (True, "resurrected")
    assert "pid 222" in result["msg"]
    assert "ckpool.service" in result["msg"]
    assert "service: auto" in result["hint"]
    assert result["pid_after"] == 222


@pytest.mark.parametrize(("seconds", "is_seen"), [(1.5, True), (100, False)])
def test_a_unit_that_starts_it_again_later(pool: FakePool, seconds: float, is_seen: bool) -> None:
    pool.service = {"unit": "ckpool.service", "restart": "always"}

    def ended(it: FakePool) -> None:
        gone(it)
        it.at(seconds, born)

    pool.effects["shutdown"] = ended
    result = shut_down(pool)
    if is_seen:
        assert result["reason"] == "resurrected"
    else:
        assert "Restart=always" in result["warnings"][0]


def test_its_own_unit(pool: FakePool) -> None:
    pool.service = {"unit": "ckpool.service", "restart": "always"}
    result = shut_down(pool, service="auto")
    assert "failed" not in result
    assert "warnings" not in result
    assert pool.calls[1][2]["service"] == "ckpool.service"


def test_no_unit_of_its_own(pool: FakePool) -> None:
    for check_mode in (False, True):
        result = shut_down(pool, check_mode, service="auto")
        assert (result["failed"], result["reason"], pool.steps) == (True, "no_service", [])


def test_a_reply_that_the_daemon_did_not_live_to_send(pool: FakePool) -> None:
    pool.effects["shutdown"] = gone
    pool.failures[1] = {"phase": "ask", "reason": "no_reply", "msg": "closed without a reply"}
    pool.later = [(pool.clock.time, lambda it: None), (pool.clock.time + 0.15, gone)]
    result = shut_down(pool)
    assert "failed" not in result
    assert result["pid_after"] is None


def test_a_shutdown_that_could_not_be_said(pool: FakePool) -> None:
    pool.failures[1] = {"phase": "connect", "reason": "not_permitted", "msg": "no", "hint": "use become: true"}
    result = shut_down(pool)
    assert (result["failed"], result["reason"], result["phase"]) == (True, "not_permitted", "shutdown")
    assert result["changed"] is False


def test_a_connection_lost_in_the_step_does_not_repeat_it(pool: FakePool) -> None:
    pool.failures[1] = "lost after"
    result = shut_down(pool)
    assert "failed" not in result
    assert pool.steps == ["shutdown"]
    assert pool.resets == 1


def test_files_are_removed(pool: FakePool) -> None:
    result = shut_down(pool, remove_leftovers=True)
    assert (result["removed"], pool.steps) == (list(SOCKETS), ["shutdown", "clean"])
    assert phases(result) == ["verify", "shutdown", "clean"]
    assert result["diff"]["after"] == "state: down\npid: none\nleftovers: none\n"


# Draining


def test_a_drain(pool: FakePool) -> None:
    pool.effects["reconnect"] = later(5, have(0))
    result = shut_down(pool, redirect_to=ELSEWHERE)
    assert "failed" not in result
    assert pool.steps == ["reconnect", "shutdown"]
    assert pool.calls[1][2]["redirect_to"] == ELSEWHERE
    assert result["phases"][1] == {"name": "drain", "seconds": pytest.approx(6.1, abs=1), "clients": 0}
    assert result["sent_away"] == 20
    assert "20 clients sent to pool2.example.com:3333 before" in result["msg"]
    assert any("drain: 20 clients left, " in line and "of 300 s" in line for line in pool.lines)


NOWHERE = {"reachable": False, "problem": f"nothing accepts connections at {ELSEWHERE}: Connection refused"}


@pytest.mark.parametrize("check_mode", [False, True])
def test_no_drain_to_where_nothing_listens(pool: FakePool, check_mode: bool) -> None:
    pool.redirect = NOWHERE
    result = shut_down(pool, check_mode, redirect_to=ELSEWHERE)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "verify", "redirect_unreachable")
    assert NOWHERE["problem"] in result["msg"] and "redirect_check: false" in result["hint"]
    assert pool.steps == [] and result["changed"] is False


def test_a_drain_without_that_check(pool: FakePool) -> None:
    pool.redirect = NOWHERE
    pool.effects["reconnect"] = have(0)
    assert "failed" not in shut_down(pool, redirect_to=ELSEWHERE, redirect_check=False)
    assert "redirect" not in pool.calls[0][2]["wants"] and pool.calls[1][2]["redirect_check"] is False


def test_a_drain_is_not_done_in_the_moment_when_all_reconnect(pool: FakePool) -> None:
    def come_back(it: FakePool) -> None:
        it.clients = 0
        it.at(1, have(20))

    pool.effects["reconnect"] = come_back
    result = shut_down(pool, redirect_to=ELSEWHERE, drain_timeout=20)
    assert (result["reason"], result["sent_away"], result["state"]) == ("drain_timeout", 0, "accepting, 20 clients")


def test_no_drain_where_nobody_is(pool: FakePool) -> None:
    pool.clients = 2
    assert shut_down(pool, redirect_to=ELSEWHERE, drain_until=2)["sent_away"] == 0
    assert pool.steps == ["shutdown"]


def test_miners_that_reconnect_are_sent_away_again(pool: FakePool) -> None:
    pool.effects["reconnect"] = later(1, have(5))
    pool.at(35, have(0))
    result = shut_down(pool, redirect_to=ELSEWHERE)
    assert "failed" not in result
    sent = [when for when, name, _arguments in pool.calls if name == "reconnect"]
    assert len(sent) == 4
    assert all(after - before >= 10 for before, after in zip(sent, sent[1:]))


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_drain_that_is_never_done(pool: FakePool, goes_on: bool) -> None:
    pool.effects["reconnect"] = later(1, have(7))
    choice = "continue" if goes_on else "fail"
    result = shut_down(pool, redirect_to=ELSEWHERE, drain_timeout=20, on_drain_timeout=choice)
    assert bool(result.get("failed")) is not goes_on
    assert ("shutdown" in pool.steps) is goes_on
    assert result["sent_away"] == 13
    if not goes_on:
        assert (result["reason"], result["phase"], result["state"]) == (
            "drain_timeout",
            "drain",
            "accepting, 7 clients",
        )
        assert "7 of 20 clients are still there after 20 of 20 s" in result["msg"]
        assert "13 were sent away" in result["msg"]
        assert result["pid_after"] == 100


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_drain_that_cannot_be_followed(pool: FakePool, check_mode: bool) -> None:
    pool.clients, pool.said["connector"] = None, "no_reply"
    result = shut_down(pool, check_mode, redirect_to=ELSEWHERE)
    assert (result["reason"], pool.steps) == ("clients_unknown", [])
    assert "no_reply" in result["msg"]


@pytest.mark.parametrize("again", [False, True])
def test_a_pool_that_dies_while_it_drains(pool: FakePool, again: bool) -> None:
    pool.effects["reconnect"] = later(5, (lambda it: born(it, 333)) if again else gone)
    result = shut_down(pool, redirect_to=ELSEWHERE)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "drain", "ended")
    assert "ended by itself" in result["msg"]
    assert ("pid 333 runs now" in result["msg"]) is again
    assert pool.steps == ["reconnect"]


@pytest.mark.parametrize("ends", [True, False])
def test_a_pool_that_cannot_be_told_to_drain(pool: FakePool, ends: bool) -> None:
    """If it has just ended, that is the reason."""
    pool.failures[1] = {"msg": "closed without a reply", "reason": "no_reply", "phase": "ask"}
    if ends:
        later(0.9, gone)(pool)
    result = shut_down(pool, redirect_to=ELSEWHERE)
    assert (result["phase"], result["reason"]) == ("drain", "ended" if ends else "no_reply")
    assert result["state"] == ("down" if ends else "accepting, 20 clients")


def test_a_pool_that_hangs_while_it_drains(pool: FakePool) -> None:
    pool.effects["reconnect"] = later(5, hang)
    result = shut_down(pool, redirect_to=ELSEWHERE)
    assert (result["phase"], result["reason"], result["state"]) == ("drain", "hung", "hung")
    assert "done before: reconnect" in result["msg"] and "force_after" in result["hint"]
    assert result["log_tail"] == pool.log_tail


@pytest.mark.parametrize("when", [0.05, 1, 5])
def test_a_pool_that_hangs_while_it_drains_can_be_forced(pool: FakePool, when: float) -> None:
    pool.effects.update(reconnect=later(when, hang), terminate=lambda it: None, kill=gone)
    result = shut_down(pool, redirect_to=ELSEWHERE, force_after=5.0)
    assert "failed" not in result, result
    assert (pool.steps, result["forced"]) == (["reconnect", "terminate", "kill"], "kill")
    assert phases(result) == ["verify", "drain", "terminate", "kill"]
    assert any("the drain was ended" in text for text in result["warnings"])


def test_a_pool_that_hangs_in_the_middle_of_a_look_can_be_forced(pool: FakePool) -> None:
    def half(it: FakePool) -> None:
        it.clients = None
        it.at(0.5, hang)

    pool.effects.update(reconnect=later(3, half), terminate=gone)
    result = shut_down(pool, redirect_to=ELSEWHERE, force_after=5.0)
    assert "failed" not in result, result
    assert result["forced"] == "terminate"


def test_a_pool_that_refuses_to_shut_down_can_be_forced(pool: FakePool) -> None:
    pool.failures[1] = {"phase": "connect", "reason": "refused", "msg": "nobody"}
    result = shut_down(pool, force_after=2.0)
    assert (result.get("failed"), result["forced"]) == (None, "terminate")


def test_a_pool_that_was_left_rejecting_accepts_before_it_drains(pool: FakePool) -> None:
    """It would not notice which clients leave."""
    pool.left_rejecting = {"since": 1795385464, "accepts_at": None, "by": "ckpool_step"}
    pool.effects["accept"] = lambda it: setattr(it, "left_rejecting", None)
    result = shut_down(pool, redirect_to=ELSEWHERE)
    assert pool.steps == ["accept", "reconnect", "shutdown"]
    (warning,) = result["warnings"]
    assert warning.startswith("pid 100 was left rejecting by an earlier run (ckpool_step) at 2026-")
    assert warning.endswith(" UTC, accepting again")


def test_those_who_do_not_leave_can_be_cut_off(pool: FakePool) -> None:
    pool.connections = {"held": 23, "stranded": 3, "sever": "pidfd"}
    pool.effects["reconnect"] = have(4)

    def cut(it: FakePool) -> None:
        it.clients, it.more = 0, {"severed": 7}

    pool.effects["sever"] = cut
    result = shut_down(pool, redirect_to=ELSEWHERE, sever_after=6.0)
    assert pool.steps == ["reconnect", "sever", "shutdown"]
    (which,) = (arguments["which"] for _time, name, arguments in pool.calls if name == "sever")
    assert (which, result["severed"], result["stranded"], result["sent_away"]) == ("all", 7, 3, 20)


def test_an_interrupted_drain_leaves_the_pool_as_it_is(pool: FakePool) -> None:
    pool.effects["reconnect"] = later(1, have(7))
    pool.clock.interrupt_at = pool.clock.time + 8
    flow = Shutdown(pool.watch(), {"poll": 2.0, **SHUTDOWN, "redirect_to": ELSEWHERE})
    with pytest.raises(Interrupted):
        flow.run()
    assert (pool.steps, flow.watch.state) == (["reconnect"], "accepting, 7 clients")


@pytest.mark.parametrize(("losses", "is_survived"), [((3,), True), ((3, 5), True), ((3, 4), False)])
def test_a_lost_connection_is_survived_and_two_in_a_row_are_not(
    pool: FakePool, losses: t.Tuple[int, ...], is_survived: bool
) -> None:
    pool.failures.update(dict.fromkeys(losses, "lost before"))
    pool.effects["reconnect"] = later(10, have(0))
    result = shut_down(pool, redirect_to=ELSEWHERE)
    assert bool(result.get("unreachable")) is not is_survived
    if not is_survived:
        assert (result["phase"], result["changed"]) == ("drain", True)
        assert "taken before: reconnect; state of the pool: unknown" in result["msg"]
        assert result["state"] == "unknown since the connection was lost, last seen accepting, 20 clients"
