# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the plugins."""

from __future__ import annotations

import os
import threading
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery, _memory, _wire
from ansible_collections.ckpool.fleet.plugins.module_utils._ask import survey
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance

from tests.support import Simulated, wait_for, wait_until

SOON = 0.3  #: seconds in which no socket answers that never does


@pytest.fixture
def memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is set on daemons is remembered: a folder of the test's own, which is not there yet."""
    folder = home / "memory"
    monkeypatch.setattr(_memory, "folder", lambda: str(folder))
    return folder


@pytest.fixture
def alone(home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """This host has no instances but those of the tests."""
    real, places = _discovery.discover, (f"{home}/", f"{tmp_path_factory.getbasetemp()}/")

    def discover(log_dir: t.Optional[str] = None, with_units: bool = False, details: bool = True) -> t.List[Instance]:
        return [found for found in real(log_dir, with_units, details) if f"{found.socket_dir}/".startswith(places)]

    monkeypatch.setattr(_discovery, "discover", discover)


@pytest.fixture
def fakes_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test's own process serves is taken for a daemon of any folder."""
    real = Instance.is_served_by
    monkeypatch.setattr(Instance, "is_served_by", lambda instance, pid: pid == os.getpid() or real(instance, pid))


@pytest.fixture
def given_up_soon(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    """Have sockets that never answer given up soon, so that all others may take as long as a busy machine makes them.

    They are named by their name, or by their folder.
    """

    def give_up(*silent: object) -> None:
        real, places = _wire.exchange, tuple(map(str, silent))

        def exchange(path: str, message: str, timeout: float, *more: t.Any, **options: t.Any) -> bytearray:
            is_silent = os.path.basename(path) in places or os.path.dirname(path) in places
            return real(path, message, min(timeout, SOON) if is_silent else timeout, *more, **options)

        monkeypatch.setattr(_wire, "exchange", exchange)

    return give_up


@pytest.fixture
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[int], t.List[str]]:
    """Hold each of so many exchanges until all of them have begun; the sockets of these, once they have."""

    def hold(count: int) -> t.List[str]:
        real, lock = _wire.exchange, threading.Lock()
        begun: t.List[str] = []
        together: t.List[str] = []

        def exchange(path: str, *more: t.Any, **options: t.Any) -> bytearray:
            with lock:
                begun.append(path)
                is_one = len(begun) <= count
            if is_one and wait_until(lambda: len(begun) >= count):
                together.append(path)
            return real(path, *more, **options)

        monkeypatch.setattr(_wire, "exchange", exchange)
        return together

    return hold


@pytest.fixture
def work_while_sampled(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[Simulated], None]:
    """While the counter of work is watched, a daemon makes some, however long that takes it."""

    def watch(daemon: Simulated) -> None:
        def until_there_is_more(_seconds: float) -> None:
            before = daemon.log().count("Stored local workbase")
            wait_for(lambda: daemon.log().count("Stored local workbase") > before, "more work")

        monkeypatch.setattr(survey, "time", types.SimpleNamespace(sleep=until_there_is_more))

    return watch
