# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator can do to a pool, one method each.

The other half of this floor is C(_pool.py), which asks. What an order takes beyond one message is in C(_orders/), and
compiled only by a task that gives it.
"""

from __future__ import annotations

import typing as t

from . import _discovery, _memory
from ._messages import MAX_REPLY
from ._orders.daemon import BOUND, AnotherProcess, Daemon

if t.TYPE_CHECKING:
    from ._memory import Rejecting
    from ._orders.accepting import AcceptingChange
    from ._orders.command import Reply
    from ._orders.drop import Dropped, Wanted
    from ._orders.log_level import LevelChange
    from ._orders.takeover import Report
    from ._types import Json

__all__ = ["AnotherProcess", "Control"]


class Control(Daemon):
    """One instance, to give orders to. Its base has what is seen of the daemon, and its single commands."""

    @classmethod
    def find(
        cls,
        socket_dir: t.Optional[str] = None,
        name: t.Optional[str] = None,
        log_dir: t.Optional[str] = None,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
        pid: t.Optional[int] = None,
    ) -> Control:
        """The one pool that fits; with nothing given, the one of this host.

        :raises NotFound: none, or several, fit.
        """
        return cls(_discovery.find(socket_dir, name, log_dir, pid), source, timeout, max_reply)

    @classmethod
    def find_all(
        cls,
        log_dir: t.Optional[str] = None,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
    ) -> t.List[Control]:
        """Every pool that runs on this host.

        :arg log_dir: the log directory of those that do not tell their own.
        """
        running = [instance for instance in _discovery.discover() if instance.pid_state == "alive"]
        for instance in running:
            instance.log_dir = instance.log_dir or log_dir
        return [cls(instance, source, timeout, max_reply) for instance in running]

    # Looking

    def service(self) -> t.Optional[Json]:
        """The systemd unit of its process; None where it has none."""
        from ._orders.process import service_of

        found = service_of(self)
        return found.as_dict() if found else None

    def obstacles(self) -> t.List[Json]:
        """What would make its handover to a new process fail, of what can be known beforehand."""
        from ._orders.handover import obstacles
        from ._orders.process import service_of

        instance = self.instance
        if instance.pid_state != "alive" or not instance.pid:
            return []
        return [obstacle.as_dict() for obstacle in obstacles(instance, service_of(self))]

    def connections(self) -> Json:
        """The connections of its miners as the kernel has them, with C(held), C(stranded) and C(sever).

        :raises PoolError: we are neither root nor its owner.
        """
        from ._orders.sever import connections_of

        return connections_of(self)

    def holders(self) -> t.List[Json]:
        """The processes that hold its listening sockets, with C(pid) and C(command)."""
        from ._host.sockets import holders

        return holders(self.folder, BOUND)

    def left_rejecting(self) -> t.Optional[Rejecting]:
        """Since when and by what it rejects miners; None if it accepts them, as far as is known."""
        return _memory.left_rejecting(self.instance)

    @staticmethod
    def handover_of(pid: int, started: int) -> t.Optional[Report]:
        """The progress of the restart of a process; None if nothing watched it.

        :arg started: when it started, in clock ticks.
        """
        from ._orders.takeover import report

        return report(pid, started)

    # Miners

    def accept(self) -> AcceptingChange:
        """Accept miners."""
        from ._orders.accepting import accept

        return accept(self)

    def reject(self, seconds: t.Optional[float], by: str) -> AcceptingChange:
        """Reject miners, for a time that the host itself ends.

        :arg seconds: after which it accepts again; None for never.
        :arg by: the module that does this.
        """
        from ._orders.accepting import reject

        return reject(self, seconds, by)

    @staticmethod
    def require_redirect(redirect_to: str) -> None:
        """Raise unless something accepts connections from this host at C(HOST:PORT).

        :raises PoolError: nothing does; miners that are redirected there would be lost.
        """
        from ._orders.redirect import require_reachable

        require_reachable(redirect_to)

    def reconnect(self, redirect_to: t.Optional[str] = None) -> str:
        """Tell every miner to connect again, here or to C(HOST:PORT); the daemon's reply."""
        return self.send_reconnect(redirect_to)

    def drop(self, wanted: Wanted, watch: float, only_look: bool = False) -> Dropped:
        """Drop some miners.

        :arg watch: seconds to look out for those that come back.
        :arg only_look: find them, and do nothing.
        :raises PoolError: where its clients are listed cannot be read.
        """
        from ._orders.drop import drop

        return drop(self, wanted, watch, only_look)

    def sever(self, all_miners: bool = False) -> int:
        """Close the connections of stranded miners, or of all miners, from outside; the number that were closed.

        :raises PoolError: it cannot be done here.
        """
        from ._orders.sever import sever

        return sever(self, all_miners)

    # What it logs, and what it is asked

    def set_log_level(self, level: int, seconds: t.Optional[float] = None, only_look: bool = False) -> LevelChange:
        """Set the log level, permanently or for a time.

        :arg seconds: after which the level from before is restored.
        :arg only_look: predict, and send nothing but reads.
        """
        from ._orders.log_level import change

        return change(self, level, seconds, only_look)

    def restore_log_level(self, only_look: bool = False) -> LevelChange:
        """Restore now the log level that was to be restored later."""
        from ._orders.log_level import restore

        return restore(self, only_look)

    def command(self, socket: str, message: str, unsafe: bool = False) -> Reply:
        """Send any message to any socket.

        :arg unsafe: send it even if it is known to do harm.
        """
        from ._orders.command import send

        return send(self, socket, message, unsafe)

    # The process

    def restart(self, sever: str = "auto", try_program: bool = True) -> str:
        """Have it hand over to a new process, and free its miners; the daemon's reply.

        :arg sever: how to free them, C(auto) or one of C(_orders.sever.WAYS).
        :arg try_program: try the daemon's program before.
        :raises PoolError: its program does not run, or it does not take the message.
        """
        from ._orders import handover, takeover

        if try_program:
            handover.require_program(self.instance)
        return takeover.restart(self, sever)

    def signal(self, name: str) -> None:
        """Send C(terminate) or C(kill) to its process.

        :raises AnotherProcess: its pid is another process's by now.
        """
        from ._orders.process import send_signal

        send_signal(self, name)

    def stop_service(self, unit: str) -> None:
        """Have systemd stop the unit of its process, without waiting for it.

        :raises PoolError: it is another's, or systemd cannot.
        """
        from ._orders.process import stop_service

        stop_service(self, unit)

    def clean(self, only_look: bool = False) -> t.List[str]:
        """Remove what it left in its socket directory when it ended; the names of the files.

        :arg only_look: name them, and leave them.
        """
        from ._orders.leftovers import remove

        return remove(self, only_look)
