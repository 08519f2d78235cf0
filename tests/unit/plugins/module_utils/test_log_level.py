# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log level of a daemon: what is known of it, setting it, and its return, now, later or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _memory
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import detached
from ansible_collections.ckpool.fleet.plugins.module_utils._host import systemd as real_systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import accepting, log_level, undo
from ansible_collections.ckpool.fleet.plugins.module_utils._orders.daemon import Daemon
from ansible_collections.ckpool.fleet.plugins.module_utils._orders.log_level import (
    Restore,
    change,
    current,
    parse_level,
    restore,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets

from tests.support import DEADLINE, HARMLESS, ROOT, Simulated, is_alive, wait_for

pytestmark = pytest.mark.usefixtures("memory")
LEVELS = {
    "emerg": 0, "alert": 1, "crit": 2, "err": 3, "error": 3, "warning": 4, "warn": 4, "notice": 5, "info": 6,
    "debug": 7,
    **{str(number): number for number in range(8)},
}  # fmt: skip
Start = t.Callable[..., Simulated]


class FakeSystemd:
    """What systemd would have been told to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.timers: t.Dict[str, t.Tuple[float, t.List[str]]] = {}
        self.told = 0.0  # when it was told of the last of them
        self.stopped: t.List[str] = []
        self.failure = ""
        monkeypatch.setattr(real_systemd, "has_systemd", lambda: True)
        monkeypatch.setattr(real_systemd, "start_timer", self.start_timer)
        monkeypatch.setattr(real_systemd, "stop_timer", self.stop_timer)

    def start_timer(self, unit: str, seconds: float, description: str, command: t.List[str]) -> None:
        if self.failure:
            raise PoolError(self.failure)
        assert unit not in self.timers, "systemd refuses a unit that is there"
        assert "Restore the log level" in description
        self.timers[unit] = (seconds, command)
        self.told = time.time()

    def stop_timer(self, unit: str) -> None:
        if self.failure:
            raise PoolError(self.failure)
        self.stopped.append(unit)
        self.timers.pop(unit, None)


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    return FakeSystemd(monkeypatch)


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd, also on a machine that it runs."""
    monkeypatch.setattr(real_systemd, "has_systemd", lambda: False)


def control_of(daemon: Simulated) -> Control:
    return Control.find(str(daemon.socket_dir))


def levels_sent(daemon: Simulated) -> t.List[t.Tuple[str, t.Optional[str]]]:
    return [entry for entry in daemon.record() if "loglevel" in (entry[1] or "")]


# Words for levels


@pytest.mark.parametrize("word", [*LEVELS, " Debug ", "NOTICE", 3])
def test_levels_by_name_and_number(word: t.Union[str, int]) -> None:
    assert parse_level(word) == LEVELS[str(word).strip().lower()]


@pytest.mark.parametrize("word", ["", "8", "-1", "07", "7.0", "loud", "5\n6", "٣", "notice5", "None", "x" * 900])
def test_a_bad_level_is_named(word: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_level(word)
    assert repr(word[:60]) in str(caught.value) and "emerg" in str(caught.value) and len(str(caught.value)) < 200
    assert (caught.value.phase, caught.value.reason) == ("options", "bad_level")
    assert "default" in caught.value.hint


# What is known


@pytest.mark.parametrize(("options", "level"), [((), 5), (("-l", "3"), 3), (("-l7",), 7), (("--loglevel", "0"), 0)])
def test_the_level_of_the_start_is_no_knowledge(options: t.Tuple[str, ...], level: int, simulate: Start) -> None:
    assert current(control_of(simulate(*options))) == (level, False)


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize("layout", ["2017", "2025", "2026"])
def test_setting_it_is_sent_where_it_is_checked(dialect: str, layout: str, simulate: Start) -> None:
    daemon = simulate(dialect=dialect, layout=layout)
    first = change(control_of(daemon), 7)
    second = change(control_of(daemon), 7)
    third = change(control_of(daemon), 4)
    assert [(step.previous, step.known, step.level, step.reply) for step in (first, second, third)] == [
        (5, False, 7, "success"), (7, True, 7, "success"), (7, True, 4, "success"),
    ]  # fmt: skip
    socket = "stratifier" if dialect == "guide" else "listener"
    assert levels_sent(daemon) == [(socket, "loglevel=7"), (socket, "loglevel=7"), (socket, "loglevel=4")]
    assert {message for _socket, message in daemon.record()} <= HARMLESS | {"loglevel=7", "loglevel=4"}
    assert first.returns is None and first.problems == {}


def test_the_daemon_has_it(simulate: Start) -> None:
    """At level 4 it is silent about being asked for its counts, at 5 it is not."""
    daemon = simulate()
    log = daemon.log_dir / "ckpool.log"
    change(control_of(daemon), 4)
    before = log.read_text().count("Connector stats")
    control_of(daemon).clients()
    assert log.read_text().count("Connector stats") == before
    change(control_of(daemon), 5)
    control_of(daemon).clients()
    assert log.read_text().count("Connector stats") > before


def test_only_looking_sends_only_reads(simulate: Start) -> None:
    daemon = simulate()
    predicted = change(control_of(daemon), 7, 60.0, only_look=True)
    assert (predicted.level, predicted.previous, predicted.reply) == (7, 5, None)
    assert predicted.returns and predicted.returns.to == 5 and predicted.returns.timer is None
    assert {message for _socket, message in daemon.record()} <= HARMLESS
    assert current(control_of(daemon)) == (5, False)


def test_a_new_process_is_not_known(simulate: Start) -> None:
    daemon = simulate("-l", "6")
    change(control_of(daemon), 2, 600.0)
    assert current(control_of(daemon)) == (2, True)
    pid = daemon.pid
    assert control_of(daemon).restart() == "restarting"
    wait_for(lambda: (daemon.socket_dir / "main.pid").exists() and daemon.pid != pid, "the next process")
    again = control_of(daemon)
    assert current(again) == (6, False)
    wait_for(lambda: again.look().is_ready, "the next process being ready")
    assert restore(control_of(daemon)).reply is None, "what was to return is void, too"
    assert levels_sent(daemon) == [("listener", "loglevel=2")]


@pytest.mark.parametrize("level", [None, "7", 8, -1, 5.0, [7], {"level": 7}])
def test_a_level_that_is_none_is_not_believed(level: t.Any, simulate: Start) -> None:
    control = control_of(simulate())
    control.remember(loglevel=level, gate=[level], returns={"to": level, "at": 1, "timer": None})
    assert current(control) == (5, False)
    assert log_level.pending_restore(control) is None
    assert restore(control).reply is None
    assert accepting.current(control) == ("accepting", False)


@pytest.mark.parametrize("returns", [7, [], {}, {"to": 5}, {"at": 5}, {"to": 5, "at": "soon"}])
def test_a_return_that_is_none_is_not_believed(returns: t.Any, simulate: Start) -> None:
    control = control_of(simulate())
    control.remember(returns=returns)
    assert log_level.pending_restore(control) is None


def test_a_level_is_set_though_it_cannot_be_remembered(simulate: Start, memory: Path) -> None:
    memory.write_text("")
    daemon = simulate()
    result = change(control_of(daemon), 7)
    assert result.reply == "success"
    assert "not ours alone" in result.problems["memory"] and "not trusted" in result.problems["memory"]
    assert change(control_of(daemon), 7).known is False


def test_no_return_is_promised_that_nothing_would_remember(simulate: Start, memory: Path, systemd: FakeSystemd) -> None:
    memory.write_text("")
    result = change(control_of(simulate()), 7, 60.0)
    assert result.reply == "success" and result.returns and result.returns.timer is None
    assert "not ours alone" in result.problems["memory"] and not systemd.timers
    assert "nothing on this host will restore the level" in result.problems["timer"]


# A task that is killed, and two at a time

_KILLED = r"""
import os, signal, sys
from ansible_collections.ckpool.fleet.plugins.module_utils import _memory
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._host import systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import accepting, log_level, undo
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets
place, folder, what, number = sys.argv[1:]
_memory.folder, systemd.has_systemd, undo._NAP = (lambda: place), (lambda: False), 0.1
control = Control.find(folder)
left = [int(number)]
def dying(function):
    def called(*arguments, **more):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = function(*arguments, **more)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return called
Sockets.text, _memory.remember, undo.arrange = map(dying, (Sockets.text, _memory.remember, undo.arrange))
if what == "level":
    log_level.change(control, 7, 3.0)
else:
    accepting.reject(control, 3.0, "test")
"""


@pytest.mark.parametrize("what", ["level", "accepting"])
def test_wherever_a_task_is_killed_the_host_undoes_what_it_did(what: str, simulate: Start, memory: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    for number in range(1, 100):
        daemon = simulate()
        words = [sys.executable, "-c", _KILLED, str(memory), str(daemon.socket_dir), what, str(number)]
        done = subprocess.run(words, capture_output=True, timeout=DEADLINE, check=False, env=environment)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr

        def is_undone(daemon: Simulated = daemon) -> bool:
            told = [message for _socket, message in daemon.told()]
            return not told or told[-1] in ("loglevel=5", "accept")

        wait_for(is_undone, f"the end of what a task did that was killed at step {number}")
    assert number > 6


def test_two_at_a_time_take_turns(simulate: Start, systemd: FakeSystemd) -> None:
    daemon = simulate()
    tasks = [threading.Thread(target=change, args=(control_of(daemon), 7, 60.0 + number)) for number in range(4)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join(DEADLINE)
    pending = log_level.pending_restore(control_of(daemon))
    assert pending and pending.to == 5 and list(systemd.timers) == [pending.timer]


# Its return without systemd


def test_a_process_of_our_own_sees_to_the_return(simulate: Start) -> None:
    daemon = simulate()
    result = change(control_of(daemon), 7, 3.0)
    assert result.returns and result.returns.timer and result.problems == {}
    watcher = int(result.returns.timer.rpartition(" ")[2])
    assert log_level.pending_restore(control_of(daemon)) in (result.returns, None), "None once it is restored"
    wait_for(lambda: current(control_of(daemon)) == (5, True), "the return of the level")
    assert levels_sent(daemon) == [("listener", "loglevel=7"), ("listener", "loglevel=5")]
    wait_for(lambda: not is_alive(watcher), "the end of the process that saw to it")
    assert log_level.pending_restore(control_of(daemon)) is None


def test_a_level_that_returns_before_the_task_has_ended(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy host the time may be over when the task goes on: it is restored when this has set it, and not before."""
    undoing: t.List[threading.Thread] = []

    def at_once(daemon: Daemon, work: undo.Undo, *_more: t.Any) -> str:
        undoing.append(threading.Thread(target=work.undo, args=(daemon,)))
        undoing[0].start()
        return "pid 1"

    monkeypatch.setattr(undo, "arrange", at_once)
    daemon = simulate()
    change(control_of(daemon), 7, 1.0)
    undoing[0].join(DEADLINE)
    assert (current(control_of(daemon)), log_level.pending_restore(control_of(daemon))) == ((5, True), None)
    assert levels_sent(daemon) == [("listener", "loglevel=7"), ("listener", "loglevel=5")]


def test_a_return_by_hand_leaves_that_process_nothing_to_do(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "_NAP", 0.1)
    daemon = simulate()
    first = change(control_of(daemon), 7, 60.0)
    assert first.returns and first.returns.timer
    back = restore(control_of(daemon))
    assert (back.previous, back.known, back.level, back.reply, back.returns) == (7, True, 5, "success", None)
    again = restore(control_of(daemon))
    assert (again.previous, again.level, again.reply) == (5, 5, None)
    assert first.returns and first.returns.timer
    watcher = int(first.returns.timer.rpartition(" ")[2])
    wait_for(lambda: not is_alive(watcher), "the end of the process")
    assert levels_sent(daemon) == [("listener", "loglevel=7"), ("listener", "loglevel=5")]


def test_where_no_process_can_be_had_the_level_is_set_and_that_is_said(
    simulate: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: t.Any) -> int:
        raise PoolError("cannot start a process: Resource temporarily unavailable")

    monkeypatch.setattr(detached, "leave", refuse)
    result = change(control_of(simulate()), 7, 60.0)
    assert result.reply == "success" and result.returns and result.returns.timer is None
    assert result.problems["timer"].startswith("cannot start a process")
    assert "nothing on this host will restore the level" in result.problems["timer"]


def test_a_second_time_keeps_the_first_return_level(simulate: Start) -> None:
    daemon = simulate("-l", "4")
    change(control_of(daemon), 7, 60.0)
    second = change(control_of(daemon), 6, 120.0)
    assert (second.previous, second.known) == (7, True)
    assert second.returns and second.returns.to == 4
    assert restore(control_of(daemon)).level == 4


def test_a_level_for_good_ends_what_was_to_return(simulate: Start) -> None:
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    assert change(control_of(daemon), 6).returns is None
    assert restore(control_of(daemon)).level == 6


def test_restoring_can_be_predicted(simulate: Start) -> None:
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    predicted = restore(control_of(daemon), only_look=True)
    assert (predicted.previous, predicted.level, predicted.reply) == (7, 5, None)
    assert levels_sent(daemon) == [("listener", "loglevel=7")]
    assert log_level.pending_restore(control_of(daemon)) is not None


# Its return by systemd


def test_a_timer_sees_to_the_return(simulate: Start, systemd: FakeSystemd) -> None:
    daemon = simulate()
    control = control_of(daemon)
    began = time.time()
    result = change(control, 7, 60.0)
    unit = f"ckpool-fleet-loglevel-{daemon.pid}-{control.instance.start_ticks}"
    assert result.problems == {}
    assert result.returns == Restore(5, result.returns.at if result.returns else 0, unit)
    assert list(systemd.timers) == [unit]
    seconds, command = systemd.timers[unit]
    at = result.returns.at if result.returns else 0
    assert began + 59 <= at <= systemd.told + 61
    assert began <= at - seconds <= systemd.told, "from the moment on at which systemd was told"
    assert command[-4:-1] == ["loglevel", str(daemon.pid), str(control.instance.start_ticks)]

    began = time.time()
    second = change(control_of(daemon), 6, 90.0)
    other = unit.replace("loglevel", "loglevel-again")  # at no time is there none
    assert second.returns and (second.returns.to, second.returns.timer) == (5, other)
    assert systemd.stopped == [unit]
    assert began <= second.returns.at - systemd.timers[other][0] <= systemd.told and second.returns.at >= began + 89

    back = restore(control_of(daemon))
    assert (back.level, back.problems) == (5, {})
    assert systemd.stopped == [unit, other] and not systemd.timers


def test_a_level_for_good_stops_the_timer(simulate: Start, systemd: FakeSystemd) -> None:
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    change(control_of(daemon), 6)
    assert len(systemd.stopped) == 1 and not systemd.timers


def test_where_systemd_does_not_let_us_a_process_of_our_own_does(simulate: Start, systemd: FakeSystemd) -> None:
    daemon = simulate()
    systemd.failure = "Access denied"
    result = change(control_of(daemon), 7, 60.0)
    assert result.reply == "success" and result.problems == {}
    assert result.returns and result.returns.timer and result.returns.timer.startswith("pid ")
    systemd.failure = ""
    assert restore(control_of(daemon)).level == 5 and systemd.stopped == []


def test_a_timer_that_cannot_be_stopped_is_told_of(simulate: Start, systemd: FakeSystemd) -> None:
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    systemd.failure = "Access denied"
    result = change(control_of(daemon), 6)
    assert result.reply == "success"
    assert "will still set level 5: Access denied" in result.problems["timer"]


def test_the_code_of_a_task_is_kept_for_the_timer_and_removed_with_it(
    simulate: Start, systemd: FakeSystemd, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ansible sends our code as an archive, which is gone when the task is over."""
    daemon = simulate()
    archive = daemon.folder / "sent.zip"
    archive.write_bytes(b"code")
    monkeypatch.setattr(undo, "__loader__", type("Loader", (), {"archive": str(archive)}))
    change(control_of(daemon), 7, 60.0)
    ((_seconds, command),) = systemd.timers.values()
    kept = Path(command[-1])
    assert kept.parent == memory and kept.read_bytes() == b"code"
    assert f"PYTHONPATH={kept}" in command
    restore(control_of(daemon))
    assert not kept.exists()


def test_code_that_cannot_be_kept(simulate: Start, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = simulate()
    monkeypatch.setattr(undo, "__loader__", type("Loader", (), {"archive": "/nowhere/sent.zip"}))
    result = change(control_of(daemon), 7, 60.0)
    assert result.reply == "success" and not systemd.timers
    assert result.returns and result.returns.timer and result.returns.timer.startswith("pid ")


def test_what_the_timer_runs_does_run(simulate: Start, systemd: FakeSystemd) -> None:
    """In a process that knows nothing of this one, nor of our memory: there it finds no level that is to return."""
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    ((_seconds, command),) = systemd.timers.values()
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd="/", env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("log level 5 -> 5"), "another memory: nothing is to return"


# What a timer runs


def arguments(control: Control, code: t.Union[str, Path] = "/nowhere") -> t.List[str]:
    instance = control.instance
    return ["loglevel", str(instance.pid), str(instance.start_ticks), str(code)]


def test_the_timer_restores_and_removes_its_code(
    simulate: Start, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    code = home / "kept.zip"
    code.write_bytes(b"")
    assert undo.main((log_level.RESTORE,), arguments(control_of(daemon), code)) == 0
    assert capsys.readouterr().out == "log level 7 -> 5: success\n"
    assert current(control_of(daemon)) == (5, True)
    assert not code.exists()


def test_the_timer_leaves_a_folder_of_code(simulate: Start, home: Path) -> None:
    assert undo.main((log_level.RESTORE,), arguments(control_of(simulate()), home)) == 0
    assert home.is_dir()


@pytest.mark.parametrize("number", [1, 2])
def test_the_timer_refuses_another_process(
    number: int, simulate: Start, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    code = home / "kept.zip"
    code.write_bytes(b"")
    words = arguments(control_of(daemon), code)
    words[number] = str(int(words[number]) + 1)
    assert undo.main((log_level.RESTORE,), words) == 0
    said = capsys.readouterr()
    assert said.out.startswith("nothing to do: ") and not said.err
    assert current(control_of(daemon)) == (7, True)
    assert levels_sent(daemon) == [("listener", "loglevel=7")]
    assert not code.exists()


def test_the_timer_of_a_pool_that_is_gone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = home / "kept.zip"
    code.write_bytes(b"")
    assert undo.main((log_level.RESTORE,), ["loglevel", "1", "1", str(code)]) == 0
    assert capsys.readouterr().out.startswith("nothing to do: ")
    assert not code.exists()


def test_the_timer_tries_a_daemon_again_that_hangs(
    simulate: Start, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = simulate()
    change(control_of(daemon), 7, 60.0)
    words = arguments(control_of(daemon), home)
    real, tries = log_level.restore, []

    def restore(control: Control) -> t.Any:
        tries.append(control)
        if len(tries) < 3:
            raise PoolError("it hangs", reason="unanswered")
        return real(control)

    monkeypatch.setattr(log_level, "restore", restore)
    monkeypatch.setattr(undo, "_PAUSE", 0.01)
    assert undo.main((log_level.RESTORE,), words) == 0
    assert "attempt 2 of 15: ask: it hangs" in capsys.readouterr().err
    assert current(control_of(daemon)) == (5, True)
    tries.clear()
    monkeypatch.setattr(undo, "_ATTEMPTS", 2)
    assert undo.main((log_level.RESTORE,), words) == 1


# Daemons that do not take it


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("hung", "unanswered"), ("refused", "refused"), ("no_reply", "no_reply"), ("garbage", "bad_reply")],
)
def test_a_daemon_that_does_not_take_it(fault: str, reason: str, simulate: Start, memory: Path) -> None:
    daemon = simulate(faults=[fault])
    for only_look in (False, True):
        control = Control.find(str(daemon.socket_dir), timeout=0.2 if fault == "hung" else DEADLINE)
        with pytest.raises(PoolError) as caught:
            change(control, 7, 60.0, only_look)
        assert caught.value.reason == reason
        assert caught.value.path == str(daemon.socket_dir / "listener") and caught.value.hint
    assert not memory.exists(), "nothing was set, so nothing is remembered"


def test_a_build_of_the_guide_that_does_not_know_it(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener takes it on every build."""
    daemon = simulate(dialect="public")
    control = Control.find(str(daemon.socket_dir), source="guide")
    assert change(control, 6).reply == "success"
    assert levels_sent(daemon) == [("stratifier", "loglevel=6"), ("listener", "loglevel=6")]


@pytest.mark.parametrize("reply", ["Invalid", "failed to parse", "unknown"])
def test_a_refusal_is_a_failure(reply: str, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for dialect in ("public", "guide"):
        control = control_of(simulate(dialect=dialect))
        assert (control.sources.live() is None) == (dialect == "public")
        with monkeypatch.context() as patch, pytest.raises(PoolError) as caught:
            patch.setattr(Sockets, "text", lambda *_words, **_more: reply)
            change(control, 7)
        assert caught.value.reason == "refused_command" and repr(reply) in str(caught.value) and caught.value.path


@pytest.mark.parametrize("level", [-1, 8, 99])
def test_no_number_outside_the_range_is_sent(level: int, simulate: Start) -> None:
    daemon = simulate()
    with pytest.raises(BadInput, match="from 0 to 7"):
        control_of(daemon).send_loglevel(level)
    assert levels_sent(daemon) == []


def test_the_memory_of_this_machine_is_left_alone(memory: Path, simulate: Start) -> None:
    daemon = simulate()
    change(control_of(daemon), 7)
    ((name, facts),) = json.loads((memory / "memory.json").read_text()).items()
    assert facts == {"loglevel": 7, "returns": None} and f":{daemon.pid}:" in name
    real = Path("/run/ckpool.fleet" if os.geteuid() == 0 else f"/tmp/ckpool.fleet-{os.geteuid()}") / "memory.json"
    assert name not in (real.read_text() if real.exists() else "")
    assert _memory.folder() == str(memory)
