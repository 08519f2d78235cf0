# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrading, on a simulated host and a simulated clock."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import Interrupted
from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.upgrade import Upgrade
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from tests.support.explained import explained

from .fake_step import ELSEWHERE, gone, hang, have, phases
from .fake_window import (
    UPGRADE,
    FakeHost,
    after,
    alone,
    both,
    having,
    in_window,
    new_process,
    strand,
    switched,
    take_over,
    upgrade,
)  # fmt: skip


@pytest.fixture
def host() -> FakeHost:
    """A host whose window is staged."""
    return FakeHost()


def test_an_upgrade(host: FakeHost) -> None:
    result = upgrade(host)
    assert "failed" not in result, result
    assert (result["outcome"], result["strategy"], result["changed"]) == ("done", "handover", True)
    assert phases(result) == ["preflight", "switch", "ready", "verify"]
    assert host.asked == ["switched"]
    assert (result["pid_before"], result["pid_after"]) == (100, 200)
    assert [one["name"] for one in result["conditions"]] == [
        "ready", "work_age", "clients", "users", "hashrate", "shares",
    ]  # fmt: skip
    assert all(one["met"] for one in result["conditions"])
    assert (result["clients_before"], result["clients_after"], result["stranded_after"]) == (20, 20, 0)
    assert result["before"]["accepted"] == 5000 and result["shares"]["lost"] == 0
    assert result["msg"].startswith("ckpool (/run/ckpool) was handed over: release: 1 -> 2; pid 200 is ready; 20 of 20")
    assert host.member["before"] == result["before"]


def test_nothing_to_do(host: FakeHost) -> None:
    host.member["changes"] = []
    result = upgrade(host)
    assert (result["outcome"], result["changed"], host.asked) == ("nothing_to_do", False, [])


@pytest.mark.parametrize("strategy", ["handover", "stop_start"])
def test_check_mode(host: FakeHost, strategy: str) -> None:
    host.member.update(strategy=strategy, why="it was wanted")
    result = upgrade(host, True, redirect_to=ELSEWHERE)
    assert (result["outcome"], result["changed"], host.asked) == ("not_started", True, [])
    assert (
        f"20 clients{', its miners sent to ' + ELSEWHERE + ' before' if strategy == 'stop_start' else ''}"
        in result["msg"]
    )


# Before


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (gone, "down"),
        (hang, "not_ready"),
        (lambda it: setattr(it, "ready", False), "not_ready"),
        (have(None), "clients_unknown"),
        (lambda it: it.member.update(process=[100, 1]), "another_process"),
        (lambda it: it.member.update(name="other"), "not_in_window"),
        (lambda it: setattr(it, "process", "another"), "another_process"),
    ],
)
def test_a_pool_that_is_not_as_a_change_should_find_it(
    host: FakeHost, make: t.Callable[[FakeHost], None], reason: str
) -> None:
    make(host)
    result = upgrade(host)
    assert (result["failed"], result["outcome"], result["reason"]) == (True, "not_started", reason)
    assert host.asked == [] and host.steps == []
    section = {"not_in_window": None, "clients_unknown": "The miners cannot be sent elsewhere"}.get(
        reason, "A pool is not healthy"
    )
    assert host.process == "another" or explained(result["msg"]) == ({section} if section else set())


def test_a_pool_need_not_be_healthy_to_be_rolled_back(host: FakeHost) -> None:
    hang(host)
    host.member["strategy"] = "stop_start"
    result = upgrade(host, require_healthy=False)
    assert result["outcome"] == "done", result
    assert [one["name"] for one in result["conditions"]] == ["ready", "work_age", "users", "hashrate"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("clients_percent", 101), ("stable_for", -1), ("stranded_max", -1), ("redirect_to", "nowhere")],
)
def test_options(host: FakeHost, option: str, value: t.Any) -> None:
    result = upgrade(host, **{option: value})
    assert result["failed"] and host.calls == [] and host.asked == []


# The drain


def test_miners_are_sent_elsewhere_and_not_waited_for(host: FakeHost) -> None:
    host.member["strategy"] = "stop_start"
    host.on_switch = both(switched, alone, have(0))
    result = upgrade(host, redirect_to=ELSEWHERE)
    assert result["outcome"] == "done", result
    assert phases(result) == ["preflight", "drain", "switch", "ready", "verify"]
    assert host.asked == ["noted", "switched"] and host.steps == ["reconnect"]
    assert (result["sent_away"], result["before"]["sent_to"], result["before"]["clients"]) == (20, ELSEWHERE, 20)
    assert [one["name"] for one in result["conditions"]] == ["ready", "work_age"]
    assert "not waited until they are back" in result["warnings"][0]


def test_a_handover_needs_no_drain(host: FakeHost) -> None:
    assert phases(upgrade(host, redirect_to=ELSEWHERE)) == ["preflight", "switch", "ready", "verify"]


def test_a_drain_that_does_not_end_changes_nothing(host: FakeHost) -> None:
    host.member["strategy"] = "stop_start"
    host.effects["reconnect"] = have(5)
    result = upgrade(host, redirect_to=ELSEWHERE, drain_timeout=30)
    assert (result["outcome"], result["reason"]) == ("not_started", "drain_timeout")
    assert explained(result["msg"]) == {"The miners cannot be sent elsewhere"}
    assert "switched" not in host.asked and "reverted" not in host.asked


def test_a_drained_pool_is_judged_by_what_it_had_before(host: FakeHost) -> None:
    """An earlier run has sent its miners away, and was cut off."""
    host.member.update(strategy="stop_start", before={"clients": 20, "sent_to": ELSEWHERE})
    host.clients = 0
    host.on_switch = both(switched, alone)
    result = upgrade(host, redirect_to=ELSEWHERE)
    assert result["outcome"] == "done" and result["before"]["clients"] == 20


# What the host could not switch


def test_a_switch_that_fails_on_the_host(host: FakeHost) -> None:
    def fail(it: FakeHost) -> None:
        problem = "main: the new process, pid 201, has ended"
        it.window.update(state="reverting", revert=problem)
        it.member.update(at="", switch={"side": "new", "problem": problem})
        it.at(3, both(new_process(300), in_window(state="reverted")))

    host.on_switch = fail
    result = upgrade(host)
    assert (result["failed"], result["outcome"], result["reason"]) == (True, "rolled_back", "switch_failed")
    assert "it was not switched: the new process, pid 201, has ended; it runs again what it ran before" in result["msg"]
    assert explained(result["msg"]) == {"It could not be switched"}
    assert (result["phase"], result["failed_phase"]) == ("rollback", "switch")
    assert phases(result) == ["preflight", "switch", "rollback"]
    assert result["clients_after"] == 20


def test_a_guard_that_is_dead(host: FakeHost) -> None:
    host.on_switch = lambda it: None
    host.on_revert = lambda it: None
    result = upgrade(host, switch_timeout=30, rollback_timeout=30)
    assert (result["outcome"], result["reason"]) == ("rollback_failed", "switch_timeout")
    assert "AND THE ROLLBACK FAILED: the host has not finished after 3" in result["msg"]
    assert "outcome: rollback_failed" in explained(result["msg"])
    assert result["hint"] == "on the host: systemctl restart ckpool-main.service; journalctl -u ckpool-main.service"


def test_a_rollback_that_fails(host: FakeHost) -> None:
    host.on_switch = both(switched, having(ready=False))
    told = "main is down after 120 s. Hint: systemctl restart ckpool-main.service"
    host.on_revert = in_window(state="stuck", msg=told)
    result = upgrade(host, ready_timeout=20)
    assert (result["failed"], result["outcome"], result["reason"]) == (True, "rollback_failed", "not_ready")
    assert f"AND THE ROLLBACK FAILED: {told}" in result["msg"]


# What does not serve


def lacking(**stats: t.Any) -> t.Callable[[FakeHost], None]:
    """A new process with other figures."""

    def effect(host: FakeHost) -> None:
        switched(host)
        host.stats.update(stats)

    return effect


def losing(host: FakeHost) -> None:
    """A new process to which few miners come back."""
    switched(host)
    host.later.clear()
    host.clients = 17


@pytest.mark.parametrize(
    ("make", "reason", "said"),
    [
        (losing, "clients_missing", "clients 17 (at least 18, 90 % of 20)"),
        (lacking(users=2), "users_missing", "users 2 (at least 3, 90 % of 3)"),
        (lacking(hashrate1m=9e11), "hashrate_missing", "hashrate 900 GH/s (at least 1.00 TH/s, 50 % of 2.00 TH/s)"),
        (lacking(work_age=500.0), "work_age_missing", "work_age 500 s (at most 120 s)"),
        (lacking(shares=0), "shares_missing", "shares none (accepted again)"),
    ],
    ids=["clients", "users", "hashrate", "work_age", "shares"],
)
def test_a_release_that_does_not_serve_goes_back(
    host: FakeHost, make: t.Callable[[FakeHost], None], reason: str, said: str
) -> None:
    host.on_switch = make
    result = upgrade(host, verify_timeout=60)
    assert (result["failed"], result["outcome"], result["reason"]) == (True, "rolled_back", reason)
    assert said in result["msg"] and "it runs again what it ran before" in result["msg"]
    assert explained(result["msg"]) == ({"What was there does not come back"} if reason == "clients_missing" else set())
    assert list(dict.fromkeys(host.asked)) == ["switched", "reverted"]
    assert result["log_tail"] == host.log_tail
    assert result["pid_after"] == 300


def test_a_release_that_never_gets_work(host: FakeHost) -> None:
    host.on_switch = both(switched, having(ready=False, state="starting"))
    result = upgrade(host, ready_timeout=20)
    assert (result["outcome"], result["reason"]) == ("rolled_back", "not_ready")
    assert "pid 200 is starting, without work after 2" in result["msg"]
    assert explained(result["msg"]) == {"It has no work"}


@pytest.mark.parametrize("ends", [gone, new_process(201)], ids=["gone", "started again"])
def test_a_release_that_ends_by_itself_is_not_waited_for(host: FakeHost, ends: t.Any) -> None:
    host.on_switch = both(switched, after(8, ends))
    result = upgrade(host)
    assert (result["outcome"], result["reason"]) == ("rolled_back", "ended")
    assert explained(result["msg"]) == {"It has no work"}
    assert result["phases"][-2]["seconds"] < 30


def test_stranded_miners(host: FakeHost) -> None:
    host.on_switch = both(switched, strand(3))
    result = upgrade(host)
    assert (result["outcome"], result["stranded_after"], host.steps) == ("done", 0, ["sever"])

    host = FakeHost()
    host.on_switch = both(switched, strand(3))
    host.effects["sever"] = lambda it: None
    result = upgrade(host)
    assert (result["outcome"], result["reason"]) == ("rolled_back", "stranded")
    assert explained(result["msg"]) == {"What was there does not come back"}


# What takes its time


def test_a_release_gets_the_time_to_warm_up(host: FakeHost) -> None:
    """Nothing is judged before the end: not the miners that are not back, nor the work that is not there yet."""

    def slowly(it: FakeHost) -> None:
        switched(it)
        it.later.clear()
        it.ready = False
        it.at(100, having(ready=True))
        it.at(300, have(20))

    host.on_switch = slowly
    assert upgrade(host)["outcome"] == "done"


def test_figures_of_the_old_process_are_not_believed(host: FakeHost) -> None:
    """The status file of before says that all is well, for up to a minute."""
    host.written = 60.0
    result = upgrade(host)
    assert result["outcome"] == "done"
    assert result["phases"][-1]["seconds"] > 80
    assert result["after"]["users"] == 3


def test_figures_that_a_new_process_has_only_read_are_not_believed(host: FakeHost) -> None:
    """What it writes first are the statistics of the process before."""
    host.written = 60.0
    host.on_switch = both(switched, after(80, lambda it: it.stats.update(users=1)))
    assert upgrade(host)["reason"] == "users_missing"


def test_what_holds_for_a_moment_only_does_not_count(host: FakeHost) -> None:
    def flapping(it: FakeHost) -> None:
        switched(it)
        for second in range(0, 400, 8):
            it.at(second, have(20))
            it.at(second + 4, have(3))

    host.on_switch = flapping
    result = upgrade(host, verify_timeout=100)
    assert result["outcome"] == "rolled_back"


def test_counters_that_begin_again_are_no_loss(host: FakeHost) -> None:
    host.on_switch = lacking(shares=None, accepted=20.0, rejected=0.0)
    result = upgrade(host)
    assert result["outcome"] == "done" and result["shares"]["lost"] is None


def test_too_few_shares_to_tell(host: FakeHost) -> None:
    host.stats["shares_per_second"] = 0.001
    host.on_switch = lacking(shares=0, accepted=5000.0)
    result = upgrade(host)
    assert result["outcome"] == "done"
    assert "shares" not in [one["name"] for one in result["conditions"]]


# What nobody can tell


@pytest.mark.parametrize(
    "make",
    [lacking(users=None, hashrate1m=None), both(switched, alone, have(None))],
    ids=["no statistics", "no count of clients"],
)
def test_unknown_is_neither_kept_nor_reverted(host: FakeHost, make: t.Any) -> None:
    host.on_switch = make
    result = upgrade(host, verify_timeout=60)
    assert (result["failed"], result["outcome"], result["reason"]) == (True, "failed", "undetermined")
    assert host.asked == ["switched", "held"]
    assert "could not be determined after 6" in result["msg"] and "it stays as it is until you decide" in result["msg"]
    if host.stats["users"] is None:
        assert explained(result["msg"]) == {"Nobody can tell whether it serves"}
    assert "state: confirmed" in result["hint"] and "ckpool.fleet.rollback" in result["hint"]
    assert host.window["state"] == "held"


def test_what_is_known_to_be_bad_goes_back_whatever_is_unknown(host: FakeHost) -> None:
    host.on_switch = both(losing, lambda it: it.stats.update(users=None))
    assert upgrade(host, verify_timeout=60)["outcome"] == "rolled_back"


def test_what_was_not_known_before_is_not_asked_after(host: FakeHost) -> None:
    host.stats.update(users=None, hashrate1m=None)
    result = upgrade(host)
    assert [one["name"] for one in result["conditions"]] == ["ready", "work_age", "clients"]


def test_stop_on_failure(host: FakeHost) -> None:
    host.on_switch = losing
    result = upgrade(host, verify_timeout=60, on_failure="stop")
    assert (result["outcome"], result["reason"], host.asked) == ("failed", "clients_missing", ["switched", "held"])


# Cut off


def test_a_lost_connection_is_survived(host: FakeHost) -> None:
    host.window_losses = {"switched": 1, "query": 1}
    assert upgrade(host)["outcome"] == "done"


def test_a_host_that_is_lost_goes_back_by_itself(host: FakeHost) -> None:
    host.on_switch = both(switched, having(failures=dict.fromkeys(range(3, 50), "lost before")))
    result = upgrade(host)
    assert result["unreachable"] and result["outcome"] == "failed"
    assert "the host switches back by itself at 2026-11-2" in result["msg"]
    assert explained(result["msg"]) == {"The host was lost"}
    assert host.asked == ["switched"]


def test_an_interruption_leaves_the_rest_to_the_host(host: FakeHost) -> None:
    host.clock.interrupt_at = host.clock.time + 12
    flow = Upgrade(host.watch(), {"poll": 2.0, **UPGRADE})
    with pytest.raises(Interrupted):
        flow.run()
    assert "which switches it back by itself unless this is run again" in flow.left
    assert host.asked == ["switched"]


def test_a_run_goes_on_where_another_was_cut_off(host: FakeHost) -> None:
    take_over(host, 200)
    before: Json = {"clients": 20, "users": 3, "hashrate1m": 2e12, "sent_to": None}
    host.member.update(at="new", wanted="new", before=before)
    host.window.update(state="switched", earlier=[{"run": "run0", "owner": "alice@ci"}])
    result = upgrade(host)
    assert (result["outcome"], result["resumed"], result["before"]) == ("done", True, before)
    assert phases(result) == ["preflight", "ready", "verify"]
    assert host.asked == ["switched"], "so that its deadline counts from now"
    assert "by alice@ci (run run0)" in result["warnings"][0]


def test_a_window_that_the_host_takes_back_meanwhile(host: FakeHost) -> None:
    """Somebody else, or its deadline, has the host go back while this verifies."""

    def taken_back(it: FakeHost) -> None:
        switched(it)
        it.at(9, both(new_process(300), in_window(state="reverted", revert="x")))

    host.on_switch = taken_back
    result = upgrade(host)
    assert (result["outcome"], result["reason"]) == ("rolled_back", "ended")


def test_the_host_is_told_that_somebody_still_looks(host: FakeHost) -> None:
    """Or it would go back while a slow pool warms up."""

    def slowly(it: FakeHost) -> None:
        switched(it)
        it.later.clear()
        it.at(250, have(20))

    host.window["confirm_within"] = 60.0
    host.on_switch = slowly
    result = upgrade(host)
    assert result["outcome"] == "done"
    assert 12 <= host.asked.count("switched") <= 16


def test_it_notices_that_the_host_goes_back(host: FakeHost) -> None:
    def taken_back(it: FakeHost) -> None:
        switched(it)
        it.later.clear()
        it.at(30, in_window(state="reverting", revert="by hand"))
        it.at(50, both(new_process(300), in_window(state="reverted")))

    host.window["confirm_within"] = 30.0
    host.on_switch = taken_back
    result = upgrade(host)
    assert (result["outcome"], result["reason"]) == ("rolled_back", "taken_back")
    assert explained(result["msg"]) == {"Nobody confirmed it"} and "the host goes back: by hand" in result["msg"]
