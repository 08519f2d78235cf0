# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pace of looks, lines of progress, and connections that are lost."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._observation import SOCKETS
from ansible_collections.ckpool.fleet.plugins.plugin_utils._step import StepFailed, Unreachable
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from ansible_collections.ckpool.fleet.plugins.plugin_utils._waiting import Progress, Watch

from .fake_step import WHERE, FakeClock, FakePool, gone


def test_a_line_every_few_seconds_and_at_each_phase() -> None:
    clock, lines = FakeClock(), t.cast(t.List[str], [])
    progress = Progress(lines.append, clock)
    for _second in range(8):
        progress.say("drain", "waits")
        clock.time += 1
    progress.say("shutdown", "waits")
    assert lines == ["drain: waits"] * 3 + ["shutdown: waits"]


@pytest.mark.parametrize("poll", [1.0, 0.0, 5.0])
@pytest.mark.parametrize("cost", [0.0, 0.4, 3.0])
def test_the_pace(poll: float, cost: float) -> None:
    pool = FakePool()
    pool.cost = cost
    watch = pool.watch(poll)
    watch.begin("wait", 20)
    watch.look()
    began = pool.calls[0][0]
    assert watch.wait_for(lambda seen: False, lambda seen: "waits") is False
    looks = [when for when, _name, _arguments in pool.calls]
    assert all(after - before >= 1 for before, after in zip(looks, looks[1:]))
    assert looks[-1] + cost - began >= 20
    assert looks[-1] - began <= 20 + 1 + cost


def test_what_holds_already_needs_no_look() -> None:
    pool = FakePool()
    watch = pool.watch()
    watch.begin("wait", 0)
    watch.look()
    assert watch.wait_for(lambda seen: seen.is_alive, lambda seen: "waits")
    assert len(pool.calls) == 1
    assert pool.lines == []


def test_a_step_says_whom_it_means_and_clean_does_not() -> None:
    pool = FakePool()
    watch = pool.watch()
    watch.look()
    watch.do("reject")
    assert pool.calls[1][2] == {"pid": 100, "started": 5000, **WHERE}
    assert watch.state == "rejecting, 20 clients"
    watch.do("accept")
    assert (watch.state, watch.taken, watch.changed) == ("accepting, 20 clients", ["reject", "accept"], True)
    gone(pool)
    watch.look()
    watch.do("clean")
    assert pool.calls[-1][2] == WHERE


def test_the_next_process_tells_its_own_log() -> None:
    pool = FakePool()
    watch = pool.watch()
    watch.look()
    watch.do("restart")
    assert pool.calls[-1][2]["log_dir"] == "/var/log/ckpool"
    watch.look()
    assert "log_dir" not in pool.calls[-1][2]


def test_the_phases_are_written_down() -> None:
    pool = FakePool()
    watch = pool.watch()
    watch.begin("one")
    watch.look()
    watch.begin("two", 10)
    pool.clock.sleep(4)
    assert watch.spent == "4 of 10 s"
    watch.end()
    watch.end()
    assert watch.phases == [
        {"name": "one", "seconds": 0.1, "clients": 20},
        {"name": "two", "seconds": 4.0, "clients": 20},
    ]


def test_a_failure_of_the_module_is_passed_on() -> None:
    pool = FakePool()
    pool.failures[0] = {"msg": "several", "reason": "several_instances", "hint": "name one", "log_tail": ["x"]}
    watch = pool.watch()
    watch.begin("verify")
    with pytest.raises(StepFailed, match="several") as caught:
        watch.look()
    assert (caught.value.phase, caught.value.reason, caught.value.hint) == ("verify", "several_instances", "name one")
    assert caught.value.facts == {"log_tail": ["x"]}
    assert watch.state == "unknown: it was not seen"


def test_losses_count_only_in_a_row() -> None:
    pool = FakePool()
    watch = pool.watch()
    watch.look()
    for number in (1, 3, 5):
        pool.failures[number] = "lost before"
    for _round in range(3):
        watch.look()
    assert pool.resets == 3
    pool.failures.update({7: "lost before", 8: "lost before"})
    with pytest.raises(Unreachable, match="no route"):
        for _round in range(3):
            watch.look()
    assert watch.state.startswith("unknown since the connection was lost")


def test_a_broken_reset_is_no_failure() -> None:
    pool = FakePool()
    watch = pool.watch()
    watch._reset = mock.Mock(side_effect=KeyError)
    watch.look()
    pool.failures[1] = "lost before"
    assert watch.look().answering == list(SOCKETS)


def test_an_instance_of_another_root_is_led_to_by_its_process_until_it_hands_over() -> None:
    """Two containers may have the same directory."""
    pool = FakePool()
    real = pool.step

    def contained(arguments: t.Mapping[str, t.Any]) -> Json:
        answer = dict(real(dict(arguments)))
        answer["instance"] = {**answer["instance"], "root": "/proc/100/root", "pid": 100}
        return answer

    watch = Watch(contained, pool.clock, 2.0, pool.lines.append, lambda: None)
    watch.begin("verify")
    watch.look()
    watch.look()
    assert pool.calls[-1][2]["pid"] == 100
    watch.do("restart")
    watch.look()
    assert "pid" not in pool.calls[-1][2]
