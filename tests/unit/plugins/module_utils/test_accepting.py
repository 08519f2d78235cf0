# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Miners are rejected for a time that the host itself ends, wherever the task was cut off."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import detached, systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import accepting, undo

from tests.support import HARMLESS, Simulated, is_alive, wait_for

pytestmark = pytest.mark.usefixtures("memory")
Start = t.Callable[..., Simulated]


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd, also on a machine that it runs."""
    monkeypatch.setattr(systemd, "has_systemd", lambda: False)


def control_of(daemon: Simulated) -> Control:
    return Control.find(str(daemon.socket_dir))


def told(daemon: Simulated) -> t.List[t.Optional[str]]:
    return [message for _socket, message in daemon.record() if message not in HARMLESS]


@pytest.fixture
def over(home: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[], None]:
    """The time of what the host is to do is over when this is called, however long a busy machine takes until then."""
    sign, real = home / "over", undo._wait

    def wait(daemon: t.Any, work: undo.Undo, at: int) -> None:  # in a process of its own
        wait_for(sign.exists, "the end of the time", 600)
        time.time = lambda: float(at)
        real(daemon, work, at)

    monkeypatch.setattr(undo, "_wait", wait)
    return sign.touch


def watcher_of(done: accepting.AcceptingChange) -> int:
    assert done.timer and done.timer.startswith("pid ")
    return int(done.timer[4:])


def test_it_accepts_again_by_itself(simulate: Start, over: t.Callable[[], None]) -> None:
    daemon = simulate()
    done = accepting.reject(control_of(daemon), 600.0, "a test")
    assert (done.reply, done.problems) == ("rejecting", {})
    left = control_of(daemon).left_rejecting()
    assert left and (left.by, left.accepts_at) == ("a test", done.accepts_at)
    assert left.since and abs(left.since - time.time()) < 30
    assert told(daemon) == ["reject"]
    over()
    wait_for(lambda: told(daemon) == ["reject", "accept"], "its accepting")
    wait_for(lambda: control_of(daemon).left_rejecting() is None, "the end of what is remembered")
    wait_for(lambda: not is_alive(watcher_of(done)), "the end of the watcher")


@pytest.mark.parametrize("moment", ["before the word", "after it"])
def test_whoever_did_so_may_be_killed(
    simulate: Start, monkeypatch: pytest.MonkeyPatch, moment: str, over: t.Callable[[], None]
) -> None:
    daemon = simulate()
    control = control_of(daemon)
    real = Control.send_to_listener

    def send_to_listener(self: Control, *words: str) -> str:
        if os.getpid() == child and moment == "after it":
            real(self, *words)
        if os.getpid() == child:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *words)

    monkeypatch.setattr(Control, "send_to_listener", send_to_listener)
    child = 0
    pid = os.fork()
    if not pid:
        child = os.getpid()
        accepting.reject(control, 600.0, "a test")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    over()
    wait_for(lambda: told(daemon)[-1:] == ["accept"], "its accepting")
    assert told(daemon) == (["reject", "accept"] if moment == "after it" else ["accept"])
    wait_for(lambda: control_of(daemon).left_rejecting() is None, "the end of what is remembered")


def test_an_order_that_comes_after_its_end_is_undone(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host that is very busy, the time may be over before it was told to reject."""
    daemon = simulate()
    real, end = Control.send_to_listener, time.time() + 2.0

    def send_late(self: Control, message: str, *words: str) -> str:
        if message == "reject":
            wait_for(lambda: time.time() > end, "the end of its time")
        return real(self, message, *words)

    monkeypatch.setattr(Control, "send_to_listener", send_late)
    with pytest.raises(PoolError, match="over before it did; it accepts again") as caught:
        accepting.reject(control_of(daemon), 1.0, "a test")
    assert caught.value.reason == "over_before_sent" and told(daemon) == ["reject", "accept"]
    assert control_of(daemon).left_rejecting() is None


def test_it_stays_as_long_as_is_wanted(simulate: Start) -> None:
    daemon = simulate()
    done = accepting.reject(control_of(daemon), None, "a test")
    assert (done.accepts_at, done.timer) == (None, None)
    left = control_of(daemon).left_rejecting()
    assert left and left.as_dict() == {"since": left.since, "accepts_at": None, "by": "a test"}


def test_an_accept_leaves_the_watcher_nothing_to_do(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "_NAP", 0.1)
    daemon = simulate()
    first = accepting.reject(control_of(daemon), 60.0, "a test")
    assert accepting.accept(control_of(daemon)).reply == "accepting"
    assert control_of(daemon).left_rejecting() is None
    wait_for(lambda: not is_alive(watcher_of(first)), "the end of the watcher")
    assert told(daemon) == ["reject", "accept"]


def test_only_the_last_deadline_counts(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "_NAP", 0.1)
    daemon = simulate()
    first = accepting.reject(control_of(daemon), 60.0, "a test")
    second = accepting.reject(control_of(daemon), 600.0, "a test")
    wait_for(lambda: not is_alive(watcher_of(first)), "the end of the first watcher")
    assert told(daemon) == ["reject", "reject"] and is_alive(watcher_of(second))
    accepting.accept(control_of(daemon))


def test_another_process_is_left_alone(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "_NAP", 0.1)
    daemon = simulate()
    done = accepting.reject(control_of(daemon), 60.0, "a test")
    daemon.stop()
    daemon.start()
    wait_for(lambda: not is_alive(watcher_of(done)), "the end of the watcher")
    assert "accept" not in told(daemon)
    assert control_of(daemon).left_rejecting() is None


def test_where_nothing_can_be_remembered_it_accepts_all_the_same(
    simulate: Start, memory: Path, over: t.Callable[[], None]
) -> None:
    daemon = simulate()
    memory.mkdir()
    memory.chmod(0o777)  # which is not ours alone, so that nothing in it is trusted
    done = accepting.reject(control_of(daemon), 600.0, "a test")
    assert done.timer and "not ours alone" in done.problems["memory"]
    over()
    wait_for(lambda: told(daemon) == ["reject", "accept"], "its accepting")


def opened_by(pid: int) -> t.Set[str]:
    """What a process has open; what it closes meanwhile may be missing."""
    found = set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def test_a_watcher_holds_nothing_of_the_task(simulate: Start) -> None:
    """A caller that waits for the end of the task's output would wait for the watcher."""
    reader, writer = os.pipe()
    done = accepting.reject(control_of(simulate()), 600.0, "a test")
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    pid = watcher_of(done)
    # Last of all it closes the pipe by which it said its pid.
    wait_for(lambda: opened_by(pid) == {"/dev/null"}, "it to hold nothing")
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGKILL)


def test_where_nothing_can_see_to_it_that_is_said(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: t.Any) -> int:
        raise PoolError("cannot start a process: Resource temporarily unavailable")

    monkeypatch.setattr(detached, "leave", refuse)
    done = accepting.reject(control_of(simulate()), 60.0, "a test")
    assert (done.reply, done.timer) == ("rejecting", None)
    assert "nothing on this host will have it accept again" in done.problems["timer"]


def test_one_that_did_not_hear_it_is_not_remembered_as_closed(simulate: Start) -> None:
    daemon = simulate(faults=["listener_dead"])
    with pytest.raises(PoolError):
        accepting.reject(control_of(daemon), 60.0, "a test")
    assert control_of(daemon).left_rejecting() is None


def test_a_detached_process_has_a_bounded_life() -> None:
    pid = detached.leave(lambda: time.sleep(600), 5)  # on a busy machine, it takes a while until it says its pid
    wait_for(lambda: not is_alive(pid), "its end")
