# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending a daemon from outside: a signal to its process, or systemd, which stops its unit."""

from __future__ import annotations

import signal
import typing as t

from .._errors import PoolError
from .._host import pidfd, systemd
from .daemon import AnotherProcess, Daemon

_SIGNALS = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL}
_LOOK_AGAIN = "nothing was done by this step; look again"


def service_of(daemon: Daemon) -> t.Optional[systemd.Service]:
    """The systemd unit of its process; None where it has none.

    :raises PoolError: systemd does not tell.
    """
    instance = daemon.instance
    return systemd.service_of(instance.pid) if instance.pid and instance.pid_state == "alive" else None


def send_signal(daemon: Daemon, name: str) -> None:
    """Send C(terminate) or C(kill) to the instance's process, which must have been verified a moment ago.

    :raises AnotherProcess: its pid is another process's by now.
    :raises PoolError: it may not be sent.
    """
    instance = daemon.instance
    pid, ticks = instance.pid, instance.start_ticks
    if instance.pid_state != "alive" or not pid or ticks is None:
        raise AnotherProcess(
            f"no process is known to be that of {instance.name}", instance.socket("main.pid"), _LOOK_AGAIN
        )
    try:
        is_sent = pidfd.send_signal(pid, ticks, _SIGNALS[name])
    except ProcessLookupError:
        return  # it has just ended, which is what was wanted
    except PermissionError:
        raise PoolError(f"not permitted to end pid {pid}", reason="not_permitted", hint="use become: true") from None
    if not is_sent:
        raise AnotherProcess(
            f"pid {pid} is another process by now, and not that of {instance.name}",
            instance.socket("main.pid"),
            _LOOK_AGAIN,
        )


def stop_service(daemon: Daemon, unit: str) -> None:
    """Have systemd stop a unit, which must be that of the instance's process; it does not wait for that.

    :raises PoolError: it is another's, or systemd cannot.
    """
    found = service_of(daemon)
    if found is None or found.unit not in (unit, f"{unit}.service"):
        raise PoolError(
            f"{unit} is not the unit of pid {daemon.instance.pid}, which is {found.unit if found else 'none'}",
            reason="another_unit",
            hint="nothing was stopped",
        )
    systemd.stop_service(found.unit)
