# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shutting down, restarting and waiting, on a fake pool and a fake clock."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _flows as flows
from ansible_collections.ckpool.fleet.plugins.plugin_utils._waiting import SOCKETS, Interrupted

from .fake_step import WHERE, Answer, FakePool, born, gone, hang, have, later

SHUTDOWN: Answer = {
    "redirect_to": None,
    "drain_until": 0,
    "drain_timeout": 300.0,
    "on_drain_timeout": "fail",
    "shutdown_timeout": 60.0,
    "force_after": None,
    "kill_after": 10.0,
    "remove_leftovers": False,
    "service": None,
}
RESTART: Answer = {
    "restart_timeout": 60.0,
    "ready_timeout": 60.0,
    "clients_percent": 0,
    "clients_timeout": 30.0,
    "force": False,
}
WAIT: Answer = {
    "state": None,
    "clients_min": None,
    "clients_max": None,
    "users_min": None,
    "workers_min": None,
    "hashrate_min": None,
    "work_age_max": None,
    "wait_timeout": 300.0,
    "stable_for": 0.0,
}
ELSEWHERE = "pool2.example.com:3333"


@pytest.fixture
def pool() -> FakePool:
    """A pool that does what it is told, as a real one does."""
    pool = FakePool()
    pool.effects = {
        "shutdown": later(0.3, gone),
        "terminate": later(1.5, gone),
        "kill": gone,
        "stop_service": later(0.5, gone),
        "clean": lambda it: it.leftovers.clear(),
        "reconnect": have(0),
        "restart": _hand_over,
    }
    return pool


def _hand_over(pool: FakePool) -> None:
    pool.process, pool.pid, pool.started, pool.clients = "absent", None, None, None
    pool.said = {"listener": "unanswered", "stratifier": "refused", "connector": "refused", "generator": "refused"}
    pool.at(2, born)
    pool.at(7, have(20))


def shut_down(pool: FakePool, check_mode: bool = False, **options: t.Any) -> Answer:
    return flows.Shutdown(pool.watch(), {"poll": 2.0, **SHUTDOWN, **options}, check_mode).run()


def restart(pool: FakePool, check_mode: bool = False, **options: t.Any) -> Answer:
    return flows.Restart(pool.watch(), {"poll": 2.0, **RESTART, **options}, check_mode).run()


def wait(pool: FakePool, check_mode: bool = False, **options: t.Any) -> Answer:
    return flows.Wait(pool.watch(), {"poll": 2.0, **WAIT, **options}, check_mode).run()


def names(result: Answer) -> t.List[str]:
    return [phase["name"] for phase in result["phases"]]


# Shutting down


def test_a_shutdown_ends_when_the_process_is_gone(pool: FakePool) -> None:
    result = shut_down(pool)
    assert "failed" not in result
    assert (result["changed"], result["pid_before"], result["pid_after"]) == (True, 100, None)
    assert (result["clients_before"], result["forced"], result["removed"]) == (20, None, [])
    assert result["stats_before"]["hashrate1m"] == 2e12
    assert names(result) == ["verify", "shutdown"]
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


@pytest.mark.parametrize(
    ("process", "reason"),
    [("another", "another_process"), ("hidden", "not_permitted"), ("absent", "no_pid"), ("dead", "dead")],
)
@pytest.mark.parametrize("run", [shut_down, restart])
def test_a_process_that_is_not_known_is_left_alone(
    pool: FakePool, run: t.Callable[..., Answer], process: str, reason: str
) -> None:
    pool.process = process
    result = run(pool)
    assert (result["failed"], result["reason"], result["phase"]) == (True, reason, "verify")
    assert result["hint"]
    assert pool.steps == []


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
    assert names(result) == ["verify", "shutdown", "terminate", "kill"]


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
    assert names(result) == ["verify", "shutdown", "clean"]
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


def test_miners_that_come_anew_are_sent_away_again(pool: FakePool) -> None:
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
    """If it ended just then, that is the reason."""
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
    ],
)
def test_options_that_make_no_sense(
    pool: FakePool, run: t.Callable[..., Answer], options: Answer, names_it: str
) -> None:
    result = run(pool, **options)
    assert (result["failed"], result["phase"], result["changed"]) == (True, "options", False)
    assert names_it in result["msg"]
    assert pool.calls == []


# Check mode


def test_check_mode_only_looks(pool: FakePool) -> None:
    result = shut_down(pool, check_mode=True, redirect_to=ELSEWHERE, remove_leftovers=True)
    assert (result["changed"], result["phases"], pool.steps) == (True, [], [])
    assert result["msg"] == f"ckpool (/run/ckpool): would send 20 clients to {ELSEWHERE}, then shut it down"
    assert result["diff"]["after"] == "state: down\npid: none\nleftovers: none\n"
    result = restart(pool, check_mode=True)
    assert (result["changed"], result["phases"], pool.steps) == (True, [], [])
    assert "would restart pid 100 with 20 clients" in result["msg"]
    assert result["diff"]["after"].endswith("pid: a new one\n")


# Restarting


def test_a_restart(pool: FakePool) -> None:
    result = restart(pool, clients_percent=100)
    assert "failed" not in result, result
    assert names(result) == ["verify", "reconnect", "handover", "ready", "clients"]
    assert (result["pid_before"], result["pid_after"], result["changed"]) == (100, 200, True)
    assert (result["clients_before"], result["clients_after"]) == (20, 20)
    assert pool.steps == ["reject", "reconnect", "restart"]
    when = {name: time for time, name, _arguments in pool.calls}
    assert 1 <= when["restart"] - when["reconnect"] <= 1.5
    assert "redirect_to" not in pool.calls[2][2]
    assert result["msg"].endswith("from pid 100 to pid 200, and is ready; 20 of 20 clients are back")


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
    assert pool.steps == ["reject", "reconnect", "restart", "accept"]
    assert "pid 100, goes on" in result["msg"]
    assert "held by pid 100 (ckpool)" in result["msg"]
    assert result["state"] == "accepting, 0 clients, as before"
    assert result["pid_after"] == 100


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
    assert pool.steps == ["reject", "reconnect", "restart"]


def test_a_new_process_that_does_not_answer(pool: FakePool) -> None:
    def half(it: FakePool) -> None:
        born(it)
        it.said["generator"] = "unanswered"

    pool.effects["restart"] = half
    result = restart(pool, restart_timeout=10)
    assert (result["reason"], result["phase"]) == ("not_answering", "handover")
    assert "pid 200 has taken over, and does not answer on generator after 10 of 10 s" in result["msg"]
    assert "accept" not in pool.steps


@pytest.mark.parametrize("step", ["reconnect", "restart"])
def test_a_step_that_cannot_be_said_puts_it_back(pool: FakePool, step: str) -> None:
    number = {"reconnect": 2, "restart": 3}[step]
    pool.failures[number] = {"phase": "connect", "reason": "not_permitted", "msg": "no"}
    result = restart(pool)
    assert (result["failed"], result["reason"]) == (True, "not_permitted")
    assert pool.steps[-1] == "accept"
    assert "accepting" in result["state"]


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


@pytest.mark.parametrize("seconds", [0.5, 1.5, 5])
def test_an_interrupted_restart_puts_the_pool_back(pool: FakePool, seconds: float) -> None:
    pool.effects["restart"] = lambda it: None
    pool.clock.interrupt_at = pool.clock.time + seconds
    flow = flows.Restart(pool.watch(), {"poll": 2.0, **RESTART})
    with pytest.raises(Interrupted):
        flow.run()
    assert pool.steps[-1] == "accept"
    assert flow.left == f"accepting, {pool.clients} clients, as before"


def test_an_interrupted_restart_leaves_a_new_process_alone(pool: FakePool) -> None:
    pool.effects["restart"] = lambda it: it.at(0.05, born)
    pool.clock.interrupt_at = pool.clock.time + 1.35
    flow = flows.Restart(pool.watch(), {"poll": 2.0, **RESTART})
    with pytest.raises(Interrupted):
        flow.run()
    assert flow.left == "accepting, 0 clients"
    assert flow.watch.view.pid == 200


def test_an_interrupted_drain_leaves_the_pool_as_it_is(pool: FakePool) -> None:
    pool.effects["reconnect"] = later(1, have(7))
    pool.clock.interrupt_at = pool.clock.time + 8
    flow = flows.Shutdown(pool.watch(), {"poll": 2.0, **SHUTDOWN, "redirect_to": ELSEWHERE})
    with pytest.raises(Interrupted):
        flow.run()
    assert (pool.steps, flow.watch.state) == (["reconnect"], "accepting, 7 clients")


# Lost connections


@pytest.mark.parametrize("run", [shut_down, restart, wait])
def test_a_host_that_cannot_be_reached_at_first(pool: FakePool, run: t.Callable[..., Answer]) -> None:
    pool.failures[0] = "lost before"
    result = run(pool)
    assert (result["unreachable"], result["changed"]) == (True, False)
    assert "failed" not in result
    assert len(pool.calls) == 1


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


@pytest.mark.parametrize("when", ["lost before", "lost after"])
def test_a_restart_whose_connection_is_lost_is_not_said_twice(pool: FakePool, when: str) -> None:
    pool.failures[3] = when
    result = restart(pool, restart_timeout=20)
    assert pool.steps.count("restart") == 1
    if when == "lost after":
        assert "failed" not in result
    else:
        assert (result["reason"], pool.steps[-1]) == ("no_new_process", "accept")


def test_a_restart_that_loses_its_host_while_rejecting(pool: FakePool) -> None:
    pool.failures.update(dict.fromkeys(range(2, 9), "lost before"))
    result = restart(pool)
    assert result["unreachable"] is True
    assert pool.steps[-1] == "accept"
    assert "could not be told to accept again" in result["msg"]
    assert "rejecting" in result["state"]


# Waiting


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
def test_what_can_be_waited_for(pool: FakePool, options: Answer, change: t.Callable[[FakePool], None]) -> None:
    if options in ({}, {"state": "ready"}):
        gone(pool)
    pool.at(20, change)
    result = wait(pool, **options)
    assert "failed" not in result, result
    assert (result["changed"], result["met"], pool.steps) == (False, True, [])
    assert 19 <= result["waited"] <= 23
    assert names(result) == ["wait"]


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
