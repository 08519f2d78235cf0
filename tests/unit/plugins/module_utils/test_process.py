# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of a process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process

from tests.support import DEADLINE, is_alive, wait_for


def ended_pid() -> int:
    """The pid of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(DEADLINE)
    return child.pid


def test_what_has_ended_is_not_alive() -> None:
    assert process.is_alive(os.getpid())
    assert not process.is_alive(ended_pid())
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    wait_for(lambda: not is_alive(zombie.pid), "the child to end")
    assert os.path.exists(f"/proc/{zombie.pid}")
    assert not process.is_alive(zombie.pid)
    zombie.wait(DEADLINE)


def test_the_open_files_of_a_process() -> None:
    gc.collect()  # sockets that tests before this one have left are closed by that
    count, limit = process.open_files(os.getpid())
    extra = [os.open("/dev/null", os.O_RDONLY) for _count in range(5)]
    more, _limit = process.open_files(os.getpid())
    for handle in extra:
        os.close(handle)
    assert more == count + 5
    assert limit is None or limit >= more
    with pytest.raises(Unreadable):
        process.open_files(ended_pid())


def test_all_descend_from_the_first_process() -> None:
    """Which in a container may be the daemon itself."""
    assert process.descends_from(os.getpid(), 1) and process.descends_from(1, 1)
    assert process.descends_from(os.getpid(), os.getppid() or 1)
    assert not process.descends_from(1, os.getpid()) or os.getpid() == 1


def test_a_command_line_that_is_too_long_for_a_daemon_is_not_read() -> None:
    """Any user can have thousands of processes with 2 MiB of words each, which a look at the host goes through."""
    for length, is_read in ((10_000, True), (20_000, False)):
        words = [sys.executable, "-c", "print(flush=True); input()", "-n", "A" * length]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout and child.stdout.readline()
            found = process.argv_of(child.pid)
            child.communicate(b"\n", DEADLINE)
        assert found == (words if is_read else [])
