# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waiting actions as Ansible runs them: options, calls of the module, progress, interruption, documentation."""

from __future__ import annotations

import importlib
import os
import signal
import time
import typing as t
from unittest import mock

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _waiting_action
from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import Interrupted, WorkerClock
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from ..plugin_utils.fake_step import FakePool, gone, have
from .fake_task import plugin_of

NAMES = ("ckpool_shutdown", "ckpool_restart", "ckpool_wait")
ROOT = "ansible_collections.ckpool.fleet.plugins"


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    """A pool on a simulated clock."""
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
        self.asked: t.List[Json] = []
        self.pool = pool
        self.connection = mock.Mock()
        action = importlib.import_module(f"{ROOT}.action.{name}")
        self.plugin = plugin_of(action, self.connection, check_mode=check_mode, diff=diff, no_log=no_log)
        self.plugin._execute_module = self._execute

    def _execute(self, module_name: str, module_args: Json, task_vars: Json) -> Json:
        assert module_name == "ckpool.fleet.ckpool_step"
        self.asked.append(module_args)
        answer: Json = self.pool.step(dict(module_args))
        return answer

    def run(self, **options: t.Any) -> Json:
        self.plugin._task.args = options
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
def test_results_are_those_of_the_documentation(pool: FakePool, name: str) -> None:
    stub = importlib.import_module(f"{ROOT}.modules.{name}")
    returned = yaml.safe_load(stub.RETURN)
    pool.effects["restart"] = lambda it: setattr(it, "pid", 200)
    for options in ({}, {"poll": 0.1}):
        result = Task(name, pool, diff=True).run(**options)
        assert set(result) - {"changed", "failed", "diff"} <= set(returned), options
    assert set(returned) - {"phase", "reason", "hint", "path", "state", "log_tail", "problems", "diff"} <= set(
        Task(name, FakePool(), check_mode=True).run(**options) | {"waited": 0, **result}
    ) | {
        "sent_away",
        "forced",
        "removed",
        "clients_after",
        "obstacles",
        "clients_before",
        "stats_before",
        *_WAIT_ONLY,
        *_SEVERING,
    }


_SEVERING = ("sever", "severed", "stranded", "stranded_before", "stranded_after", "longest_gap")
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
    monkeypatch.setattr(_waiting_action.display, "display", lambda text, color=None: lines.append(text))
    monkeypatch.setattr(_waiting_action, "is_terminal", lambda controller: terminal)
    monkeypatch.setattr(_waiting_action, "is_for_programs", lambda: programs)
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
    monkeypatch.setattr(_waiting_action.display, "warning", shown.append)
    pool.effects["restart"] = restart
    with pytest.raises(TaskTimeout):
        Task("ckpool_restart", pool).run(sever="dropall")
    assert pool.steps == ["restart", "accept"]
    assert shown == ["pool1: ended in phase handover; the pool is accepting, 20 clients, as before"]


def test_an_interrupted_task_says_where_it_ended(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    said: t.List[str] = []

    def tell(text: str, controller: int) -> bool:
        said.append(text)
        return True

    monkeypatch.setattr(_waiting_action, "tell_controller", tell)

    def obey(self: t.Any, exc: Interrupted) -> t.NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(WorkerClock, "obey", obey)
    pool.effects["restart"] = lambda it: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Task("ckpool_restart", pool).run(sever="dropall")
    assert pool.steps[-1] == "accept"
    assert len(said) == 1
    assert "pool1: ckpool.fleet.ckpool_restart was interrupted (SIGINT) in phase handover" in said[0]
    assert said[0].endswith("ckpool (/run/ckpool) is left accepting, 20 clients, as before"), said[0]
