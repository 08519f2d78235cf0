# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program is tried within its time, even if its user interferes."""

from __future__ import annotations

import os
import signal
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process, program

from tests.support import DEADLINE


@pytest.fixture
def script(home: Path) -> t.Iterator[int]:
    path = home / "ckpool"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    handle = os.open(path, os.O_RDONLY)
    yield handle
    os.close(handle)


def ours() -> process.Owner:
    return process.Owner(os.geteuid(), os.getegid(), frozenset(os.getgroups()))


def children() -> t.Set[int]:
    """The living child processes of this one: other tests, and libraries, may have started some."""
    return {pid for pid in process.pids() if process.parent_of(pid) == os.getpid() and process.is_alive(pid)}


def test_a_program_that_runs(script: int) -> None:
    program.try_out(script, "-h", ours(), DEADLINE)


def test_one_that_is_stopped_before_it_begins_does_not_hold_us(script: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its user may send it signals from the moment on at which it is that user's."""
    before = children()
    monkeypatch.setattr(program, "_becoming", lambda _owner, _seconds: lambda: os.kill(os.getpid(), signal.SIGSTOP))
    with pytest.raises(program.DoesNotRun):
        program.try_out(script, "-h", ours(), 0.5)
    assert children() <= before
