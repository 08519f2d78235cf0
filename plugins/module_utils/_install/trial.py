# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try the daemon's program on this host, as its user and with no other right: that it runs, and what it says of a configuration."""

from __future__ import annotations

import os
import re
import typing as t

from .._errors import PoolError
from .._host import program
from .._host.process import Owner
from .daemon_config import MODE_FLAGS

_TEST_SECONDS = 20.0
_HEAD = 64  #: bytes of a program that tell for which machine it is
_CAN_TEST = re.compile(r"^\s*-T\b", re.MULTILINE)  #: of the daemon's help


def require_runs(path: str, name: str, owner: Owner, seconds: float) -> None:
    """Raise unless a program runs on this host, and prints its help.

    :arg name: what a failure calls it.
    :raises PoolError: it does not, and what it said.
    """
    try:
        with program.opened(path) as handle:
            fault = program.fault_of(os.pread(handle, _HEAD, 0), program.head_of(os.getpid(), _HEAD))
            if fault:
                raise program.DoesNotRun(fault)
            said = program.run(handle, ("-h",), owner, seconds)
            if said.status:
                words = " ".join(f"{said.errors} {said.output}".split()).replace(program.path_of(handle), name)[:300]
                raise program.DoesNotRun(f"with -h it ends with status {said.status}: {words}")
    except program.DoesNotRun as exc:
        raise PoolError(
            f"{name} does not run on this host: {exc}",
            hint="it is for another machine or release of the system, or a library is missing: ldd shows which",
            phase="try",
            reason="does_not_run",
        ) from None


def fault_of_config(path: str, config: str, name: str, mode: str, socket_dir: str, owner: Owner) -> t.Optional[str]:
    """Have the daemon test a configuration.

    :arg path: the daemon's program.
    :arg config: the file.
    :return: why it does not pass, in its own words; empty if it does; None where the build cannot test one. A build that
        does not know C(-T) would start on it, so its help is asked first.
    :raises PoolError: the program does not run.
    """
    if not program.is_safe(path, (owner.user, os.geteuid())):
        return None
    try:
        with program.opened(path) as handle:
            if not _CAN_TEST.search(program.run(handle, ("-h",), owner, _TEST_SECONDS).output):
                return None
            flag = MODE_FLAGS[mode]
            words = ["-T", *([flag] if flag else []), "-n", name, "-c", config, "-s", socket_dir]
            said = program.run(handle, words, owner, _TEST_SECONDS)
    except program.DoesNotRun as exc:
        raise PoolError(f"{path} cannot test it: {exc}", path, phase="try", reason="does_not_run") from None
    if not said.status:
        return ""
    return " ".join((said.errors or said.output).split())[-600:] or f"it ends with status {said.status}"
