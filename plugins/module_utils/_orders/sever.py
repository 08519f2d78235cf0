# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections of a daemon's miners, which of them are stranded, and closing them from outside."""

from __future__ import annotations

import typing as t

from .._errors import PoolError
from .._host import connections, severing
from .daemon import Daemon

if t.TYPE_CHECKING:
    from .._instance import Instance
    from .._types import Json

WAYS = (*severing.WAYS, "dropall", "none")
_LOOK_SECONDS = 2.0  #: in which what comes on a connection has to be read


def best_way(instance: Instance) -> str:
    """The best way to free the miners of a daemon after a handover, determined beforehand without doing anything.

    C(dropall) makes the daemon itself close all connections that it knows of, before the handover.
    """
    way = severing.way_to_sever(instance.pid) if instance.pid else "none"
    return "dropall" if way == "none" else way


def connections_of(daemon: Daemon) -> Json:
    """The connections of its miners as the kernel has them, whatever it counts itself.

    C(held) is their number, C(stranded) the number of those that are read by nobody, None if that cannot be seen, and
    C(sever) the best way to free them after a handover.

    :raises PoolError: we are neither root nor its owner.
    """
    pid = daemon.living_pid()
    found = connections.stranded(pid, daemon.clients, _LOOK_SECONDS)
    return {
        "held": len(connections.held(pid)),
        "stranded": None if found is None else found[0],
        "sever": best_way(daemon.instance),
    }


def sever(daemon: Daemon, all_miners: bool = False) -> int:
    """Close the connections of stranded miners, or of all miners, from outside; the number that were closed.

    :raises PoolError: it cannot be done here.
    """
    pid, ticks = daemon.living_pid(), daemon.instance.start_ticks or 0
    way = severing.way_to_sever(pid)
    if way == "none":
        raise PoolError(
            f"the connections of pid {pid} cannot be closed from outside",
            reason="not_severed",
            hint="use become: true; it takes Linux 5.6, or one with INET_DIAG_DESTROY",
        )
    if all_miners:
        return severing.sever(pid, ticks, connections.held(pid).values(), way)
    found = connections.stranded(pid, daemon.clients, _LOOK_SECONDS)
    return severing.sever(pid, ticks, found[1], way) if found else 0
