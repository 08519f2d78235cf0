# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sockets are bound in a folder, and who holds them."""

from __future__ import annotations

import os
import socket
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process
from ansible_collections.ckpool.fleet.plugins.module_utils._host.sockets import bound_sockets, holders
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import SOCKETS

from tests.support import Simulated, wait_for

Start = t.Callable[..., Simulated]


def test_who_holds_the_sockets(simulate: Start) -> None:
    daemon, other = simulate(), simulate()
    for each in (daemon, other):
        control = Control.find(str(each.socket_dir))
        assert [holder["pid"] for holder in control.holders()] == [each.pid]
        assert str(each.config_path) in control.holders()[0]["command"]
        assert set(bound_sockets(str(each.socket_dir), SOCKETS)) == set(SOCKETS)


def test_nobody_holds_what_is_left(simulate: Start, home: Path) -> None:
    daemon = simulate()
    daemon.stop()
    control = Control.find(str(daemon.socket_dir))
    # The kernel goes on clearing away after an end that was seen.
    wait_for(lambda: not bound_sockets(str(daemon.socket_dir), SOCKETS), "its sockets being gone")
    assert control.holders() == []
    assert Control.find(str(home / "nowhere")).holders() == []


def test_a_socket_that_is_bound_only_has_a_holder(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "connector"))
        assert set(bound_sockets(str(home), SOCKETS)) == {"connector"}
        assert [holder["pid"] for holder in holders(str(home), SOCKETS)] == [os.getpid()]
        bound.listen(1)
        assert set(bound_sockets(str(home), SOCKETS)) == {"connector"}


def test_a_link_to_the_folder_is_the_same_folder(home: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "real" / "listener"))
        assert set(bound_sockets(str(home / "link"), SOCKETS)) == {"listener"}


def test_other_names_and_connections_do_not_count(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as caller:
        bound.bind(str(home / "control"))
        bound.listen(1)
        caller.connect(str(home / "control"))
        assert bound_sockets(str(home), SOCKETS) == {}


def test_a_connection_that_outlives_its_socket_does_not_count(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as caller:
        bound.bind(str(home / "listener"))
        bound.listen(1)
        caller.connect(str(home / "listener"))
        with bound.accept()[0]:
            bound.close()
            assert bound_sockets(str(home), SOCKETS) == {}


def test_what_regular_users_have_open_does_not_make_the_search_last(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them can have a thousand processes with a million open files."""
    ours, passed = process.Owner(0, 0, frozenset()), 0.0
    theirs = process.Owner(12345, 12345, frozenset())
    looked: t.List[int] = []
    descriptors = process.descriptors

    def slow(pid: int) -> t.Dict[int, str]:
        nonlocal passed
        passed += 1000.0 if pid != os.getpid() else 0.0
        looked.append(pid)
        return descriptors(pid)

    monkeypatch.setattr(process, "pids", lambda: iter([os.getppid(), 1, os.getpid()]))
    monkeypatch.setattr(process, "owner_of", lambda pid: ours if pid == os.getpid() else theirs)
    monkeypatch.setattr(process, "descriptors", slow)
    monkeypatch.setattr(time, "monotonic", lambda: passed)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "listener"))
        assert set(bound_sockets(str(home), SOCKETS)) == {"listener"}
    assert looked == [os.getpid(), os.getppid()]
