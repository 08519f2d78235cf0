# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waiting actions as Ansible runs them: options, calls of the module, progress, interruption, documentation."""

from __future__ import annotations

import importlib
import os
import pty
import signal
import threading
import time
import typing as t
from unittest import mock

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _action, _screen
from ansible_collections.ckpool.fleet.plugins.plugin_utils._waiting import Interrupted

from ..plugin_utils.fake_step import FakePool, gone, have

Answer = t.Dict[str, t.Any]
NAMES = ("ckpool_shutdown", "ckpool_restart", "ckpool_wait")
ROOT = "ansible_collections.ckpool.fleet.plugins"


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    """A pool on a clock that nobody has to wait for."""
    pool = FakePool()
    pool.effects = {"shutdown": gone, "reconnect": have(0)}

    def sleep(seconds: float) -> None:
        pool.clock.time += seconds

    monkeypatch.setattr(time, "monotonic", pool.clock.now)
    monkeypatch.setattr(time, "sleep", sleep)
    return pool


class Task:
    """One run of an action, as a worker would do it."""

    def __init__(self, name: str, pool: FakePool, check_mode: bool = False, diff: bool = False, no_log: bool = False):
        self.asked: t.List[Answer] = []
        self.pool = pool
        self.connection = mock.Mock()
        task = mock.Mock(check_mode=check_mode, async_val=0, diff=diff, no_log=no_log, action=f"ckpool.fleet.{name}")
        self.task = task
        module = importlib.import_module(f"{ROOT}.action.{name}")
        self.plugin = module.ActionModule(
            task=task,
            connection=self.connection,
            play_context=mock.Mock(check_mode=check_mode),
            loader=mock.Mock(),
            templar=mock.Mock(),
            shared_loader_obj=mock.Mock(),
        )
        self.plugin._load_name = name
        self.plugin._execute_module = self._execute

    def _execute(self, module_name: str, module_args: Answer, task_vars: Answer) -> Answer:
        assert module_name == "ckpool.fleet.ckpool_step"
        self.asked.append(module_args)
        answer: Answer = self.pool.step(dict(module_args))
        return answer

    def run(self, **options: t.Any) -> Answer:
        self.task.args = options
        return dict(self.plugin.run(task_vars={"inventory_hostname": "pool1"}))


@pytest.mark.parametrize("name", NAMES)
def test_the_common_options_reach_the_module(pool: FakePool, name: str) -> None:
    task = Task(name, pool, check_mode=True)
    result = task.run(socket_dir="~/here", name="solo", timeout="2.5", source="files")
    assert "failed" not in result
    common = {"socket_dir": "~/here", "name": "solo", "source": "files", "timeout": 2.5, "max_reply": 268435456}
    assert {key: task.asked[0].get(key) for key in common} == common
    assert "log_dir" not in task.asked[0]


@pytest.mark.parametrize("name", NAMES)
def test_options_and_results_are_those_of_the_documentation(pool: FakePool, name: str) -> None:
    stub = importlib.import_module(f"{ROOT}.modules.{name}")
    documented = yaml.safe_load(stub.DOCUMENTATION)["options"]
    action = importlib.import_module(f"{ROOT}.action.{name}").ActionModule
    own = {"poll": _action._COMMON["poll"], "progress": _action._COMMON["progress"], **action.options}
    assert {key: (entry["type"], entry.get("default"), entry.get("choices")) for key, entry in documented.items()} == {
        key: (entry["type"], entry.get("default"), entry.get("choices")) for key, entry in own.items()
    }
    returned = yaml.safe_load(stub.RETURN)
    pool.effects["restart"] = lambda it: setattr(it, "pid", 200)
    for options in ({}, {"poll": 0.1}):
        result = Task(name, pool, diff=True).run(**options)
        assert set(result) - {"changed", "failed", "diff"} <= set(returned), options
    assert set(returned) - {"phase", "reason", "hint", "path", "state", "log_tail", "problems", "diff"} <= set(
        Task(name, FakePool(), check_mode=True).run(**options) | {"waited": 0, **result}
    ) | {"sent_away", "forced", "removed", "clients_after", "obstacles", "clients_before", "stats_before", *_WAIT_ONLY}


_WAIT_ONLY = ("conditions", "met", "clients", "stats")


def test_a_diff_only_in_diff_mode(pool: FakePool) -> None:
    assert "diff" not in Task("ckpool_shutdown", pool).run()
    assert "diff" in Task("ckpool_shutdown", FakePool(), check_mode=True, diff=True).run()


def test_a_connection_failure_is_a_loss(pool: FakePool) -> None:
    task = Task("ckpool_wait", pool)
    answers: t.List[t.Any] = [
        pool.step({"step": "look"}),
        AnsibleConnectionFailure("ssh: no\nroute"),
        pool.step({"step": "look"}),
        {"unreachable": True, "msg": "gone"},
        AnsibleConnectionFailure("ssh: no\nroute"),
    ]
    task.plugin._execute_module = mock.Mock(side_effect=answers)
    result = task.run(clients_min=30)
    assert (result["unreachable"], result["phase"]) == (True, "wait")
    assert "the connection was lost (ssh: no route); nothing was done before" in result["msg"]
    assert task.connection.reset.call_count == 2
    assert task.connection._shell.tmpdir is None


def test_what_ansible_refuses_is_a_failure_without_a_traceback(pool: FakePool) -> None:
    task = Task("ckpool_wait", pool)
    task.plugin._execute_module = mock.Mock(side_effect=AnsibleError("Missing sudo password"))
    result = task.run()
    assert (result["failed"], result["phase"], result["reason"]) == (True, "wait", "ansible")
    assert "Missing sudo password" in result["msg"]


@pytest.mark.parametrize(
    ("terminal", "programs", "progress", "no_log", "is_shown"),
    [
        (True, False, True, False, True),
        (False, False, True, False, False),
        (True, True, True, False, False),
        (True, False, False, False, False),
        (True, False, True, True, False),
    ],
)
def test_progress(
    pool: FakePool,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    programs: bool,
    progress: bool,
    no_log: bool,
    is_shown: bool,
) -> None:
    lines: t.List[str] = []
    monkeypatch.setattr(_action.display, "display", lambda text, color=None: lines.append(text))
    monkeypatch.setattr(_action, "is_terminal", lambda controller: terminal)
    monkeypatch.setattr(_action, "is_for_programs", lambda: programs)
    Task("ckpool_wait", pool, no_log=no_log).run(clients_min=30, wait_timeout=12, progress=progress)
    assert bool(lines) is is_shown
    if is_shown:
        assert lines[0] == "pool1: wait: clients is 20, not at least 30, 0 of 12 s"
        assert 3 <= len(lines) <= 5


def test_the_tasks_own_timeout_puts_the_pool_back(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    class TaskTimeout(BaseException):
        pass

    def restart(it: FakePool) -> None:
        raise TaskTimeout

    shown: t.List[str] = []
    monkeypatch.setattr(_action.display, "warning", shown.append)
    pool.effects["restart"] = restart
    with pytest.raises(TaskTimeout):
        Task("ckpool_restart", pool).run()
    assert pool.steps == ["reject", "reconnect", "restart", "accept"]
    assert shown == ["pool1: ended in phase handover; the pool is accepting, 0 clients, as before"]


# Interruption


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_sleep_and_is_restored(signum: signal.Signals) -> None:
    before = signal.getsignal(signum)
    with _action.WorkerClock() as clock, pytest.raises(Interrupted, match=signum.name) as caught:
        threading.Timer(0.1, os.kill, (os.getpid(), signum)).start()
        clock.sleep(30)
    assert caught.value.signum == signum
    assert signal.getsignal(signum) == before


def test_a_signal_waits_for_the_end_of_a_call_and_of_putting_back() -> None:
    with _action.WorkerClock() as clock:
        os.kill(os.getpid(), signal.SIGINT)  # in the middle of a call
        with clock.held():
            clock.sleep(0)
            clock.check()
        with pytest.raises(Interrupted):
            clock.check()


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _action.WorkerClock() as clock:
            os.kill(os.getpid(), signal.SIGHUP)
            clock.check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_worker_whose_controller_is_gone_stops() -> None:
    clock = _action.WorkerClock()
    clock.controller = -1
    with pytest.raises(Interrupted, match="the controller is gone"):
        clock.check()


def test_an_interrupted_task_says_where_it_ended(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    said: t.List[str] = []

    def tell(text: str, controller: int) -> bool:
        said.append(text)
        return True

    monkeypatch.setattr(_action, "tell_controller", tell)

    def obey(self: t.Any, exc: Interrupted) -> t.NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(_action.WorkerClock, "obey", obey)
    pool.effects["restart"] = lambda it: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Task("ckpool_restart", pool).run()
    assert pool.steps[-1] == "accept"
    assert len(said) == 1
    assert "pool1: ckpool.fleet.ckpool_restart was interrupted (SIGINT) in phase handover" in said[0]
    assert said[0].endswith("ckpool (/run/ckpool) is left accepting, 0 clients, as before")


# The controller's screen


def test_the_controllers_terminal_is_seen_from_a_worker() -> None:
    """A child that has given its output away, as workers of ansible-core 2.19 do, sees what its parent has."""
    pid, terminal = pty.fork()
    if pid == 0:  # the controller, on a terminal
        worker = os.fork()
        if worker == 0:
            os.setsid()
            null = os.open(os.devnull, os.O_WRONLY)
            for handle in (0, 1, 2):
                os.dup2(null, handle)
            seen = _screen.is_terminal()
            told = _screen.tell_controller("left as it was", os.getppid())
            os._exit(0 if seen and told else 1)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
    shown = os.read(terminal, 1000)
    status = os.waitpid(pid, 0)[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"left as it was" in shown


def test_a_controller_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        worker = os.fork()
        if worker == 0:
            os._exit(0 if not _screen.is_terminal() and _screen.tell_controller("said", os.getppid()) else 1)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert os.read(reader, 100) == b"said\n"
    os.close(reader)


def test_without_proc_it_is_what_was_seen_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", mock.Mock(side_effect=OSError))
    for seen in (True, False):
        monkeypatch.setattr(_screen, "_TERMINAL_AT_IMPORT", seen)
        assert _screen.is_terminal() is seen
    assert _screen.tell_controller("x", 1) is False
