# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run of Ansible this is, for windows that one run at a time may hold, and whether another has ended. No Ansible.

A run is a process on a controller: its pid and start name it in one namespace of pids, on one boot of one machine.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
import typing as t

from ._types import Json


def identity(controller: int) -> Json:
    """What names the run: C(run), C(owner), and C(controller) with C(host boot pids pid started).

    :arg controller: the pid of the process that all workers of the run are children of.
    """
    host, ticks = socket.gethostname(), _start(controller)
    began = _seconds(ticks)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(began)) if began is not None else time.strftime("%Y%m%d")
    name = re.sub(r"[^A-Za-z0-9-]", "", host.partition(".")[0])[:40] or "controller"
    return {
        "run": f"{stamp}-{name}-{controller}",
        "owner": f"{_user()}@{host}",
        "controller": {"host": host, "boot": _boot(), "pids": _pids(), "pid": controller, "started": ticks},
    }


def has_ended(controller: Json) -> bool:
    """Whether a run is known to have ended: it was one of this machine, and its process is gone."""
    pid, started = controller.get("pid"), controller.get("started")
    if controller.get("host") != socket.gethostname() or not isinstance(pid, int) or started is None:
        return False
    if controller.get("boot") != _boot():
        return bool(controller.get("boot"))
    # Of a job in another container, which may have our name, the pid says nothing.
    return bool(_pids()) and controller.get("pids") == _pids() and _start(pid) != started


def is_child(pid: int, parent: int) -> bool:
    """Whether a process runs that this parent started; where /proc does not say so, whether one with this pid runs."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
        return fields[0] not in ("Z", "X") and int(fields[1]) == parent
    except (ValueError, IndexError):
        return False
    except OSError:
        return not os.path.exists("/proc/self/stat") and is_there(pid)


def is_there(pid: int) -> bool:
    """Whether a process runs, as far as can be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _start(pid: int) -> t.Optional[int]:
    """When a process of this machine started, in clock ticks since its boot; None where it is gone, or that is not told."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _seconds(ticks: t.Optional[int]) -> t.Optional[float]:
    """Epoch seconds of a start in clock ticks; None where that is not known."""
    if ticks is None or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an id without a name, as in a container
        return str(os.getuid())


def _pids() -> str:
    """The namespace of pids that we are in; empty where that is not told."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
            return handle.read().strip()
    except OSError:
        return ""
