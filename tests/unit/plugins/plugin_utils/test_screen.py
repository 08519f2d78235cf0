# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen of the controller, as a worker sees it."""

from __future__ import annotations

import os
import pty
from unittest import mock

import pytest

pytest.importorskip("ansible")

from ansible_collections.ckpool.fleet.plugins.plugin_utils import _screen


def test_the_controllers_terminal_is_seen_from_a_worker() -> None:
    """A child without an output of its own, like a worker of ansible-core 2.19, sees the output of its parent."""
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


@pytest.mark.parametrize("is_in_background", [False, True])
def test_a_terminal_is_the_controllers_own_in_the_foreground(is_in_background: bool) -> None:
    pid, terminal = pty.fork()
    if pid == 0:  # a shell
        controller = os.fork()
        if controller == 0:
            if is_in_background:
                os.setpgid(0, 0)
            worker = os.fork()
            if worker == 0:
                os._exit(0 if (_screen.own_terminal(os.getppid()) is None) is is_in_background else 1)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
        os._exit(os.waitstatus_to_exitcode(os.waitpid(controller, 0)[1]))
    status = os.waitpid(pid, 0)[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


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
