# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that sees only processes of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.ansible import UNHURRIED, Json, local
from tests.support.exchange import free_port
from tests.support.processes import STARTER_LOCK
from tests.support.simulated import Simulated
from tests.support.waiting import DEADLINE, wait_for


@functools.cache
def namespaces() -> tuple[str, ...]:
    """The options with which unshare makes namespaces for us; empty where it may not."""
    for options in ((), ("--user", "--map-root-user")):
        command = ["unshare", *options, "--fork", "--pid", "--mount", "--mount-proc", "--kill-child", "true"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False).returncode == 0:
                return tuple(command[1:-1])
    return ()


needs_namespaces = pytest.mark.skipif(not namespaces(), reason="no namespaces: neither root nor allowed to unshare")


class Machine:
    """A host that sees only processes of its own, for all that looks at every pool of a host.

    `interpreter` is a Python that runs there, `prefix` a command that runs a command there. Its end ends everything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.interpreter = folder / "python"

    def __enter__(self) -> Machine:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["unshare", *namespaces(), "flock", "--shared", os.environ[STARTER_LOCK], "true"]  # ends with us
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        first = wait_for(self._first, "a first process")
        user = ["--user", "--preserve-credentials"] if "--user" in namespaces() else []
        self.prefix = ["nsenter", "--target", str(first), *user, "--pid", "--mount", "--"]
        line = shlex.join([*self.prefix, sys.executable])
        self.interpreter.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        self.interpreter.chmod(0o755)
        return self

    def __exit__(self, *_args: object) -> None:
        self._process.kill()  # and the kernel ends the first process, and with it all the others
        self._process.wait(DEADLINE)

    def _first(self) -> int:
        """The pid of the first process, once its view of /proc is in place; 0 before."""
        pid = self._process.pid
        assert self._process.poll() is None, "unshare does not work"
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "flock":
            return int(children[0])
        return 0

    def host(self, **variables: Any) -> Json:
        """Its variables in an inventory."""
        return local(str(self.interpreter), **{"health_check_thresholds": UNHURRIED, **variables})

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, timeout=DEADLINE, check=False)


def unreachable() -> Json:
    """The variables of a host that nobody can reach."""
    return {
        "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": free_port(), "ansible_ssh_retries": 0,
    }  # fmt: skip


@contextlib.contextmanager
def fleet_of(
    hosts: Mapping[str, Sequence[Json]], place: Callable[[], Path]
) -> Iterator[tuple[dict[str, Json], dict[str, Simulated]]]:
    """An inventory of hosts that see only processes of their own, and C(lost), which nobody can reach; and their pools, by name.

    :arg hosts: the pools of each host, as L(Simulated) takes them.
    """
    pools: dict[str, Simulated] = {}
    with contextlib.ExitStack() as stack:
        inventory: dict[str, Json] = {}
        for host, kinds in hosts.items():
            machine = stack.enter_context(Machine(place()))
            for pool in kinds:
                made = Simulated(machine.folder / pool["name"], prefix=machine.prefix, **{"users": 2, **pool})
                pools[pool["name"]] = made.start()
            inventory[host] = machine.host()
        yield {**inventory, "lost": unreachable()}, pools
