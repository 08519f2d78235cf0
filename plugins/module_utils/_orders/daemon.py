# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon to give orders to: its own commands, one method each, with their replies checked, and what was last set on it.

An order of the operator consists of these commands, the verification of their effect, and what has to be undone later.
"""

from __future__ import annotations

import functools
import time
import typing as t

from .. import _memory
from .._errors import PoolError
from .._host.file import exists
from .._instance import SOCKETS, Instance
from .._messages import MAX_REPLY, count_of
from .._options import check_range
from .._sources.exchange import Sockets

if t.TYPE_CHECKING:
    from .._observation import Observation
    from .._sources.registry import Sources

_MOST_LEVEL = 7
_POLL = 0.05  #: seconds between two looks at a count that falls within moments
#: reasons of failures that prove that a daemon was not told something
NOT_TOLD = ("refused", "absent", "refused_command", "not_permitted", "not_a_socket")
BOUND = (*SOCKETS, "pool")  #: what the daemon binds in its socket directory


class AnotherProcess(PoolError):
    """The instance's process is not the one that a step is for."""

    phase = "find"
    reason = "another_process"


class Daemon:
    """One instance, to send commands to.

    :arg source: C(auto), or the source whose commands are used without looking whether the daemon knows them.
    :arg timeout: seconds of one exchange with a socket.
    :arg max_reply: bytes of one reply.
    """

    def __init__(
        self,
        instance: Instance,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
    ) -> None:
        self.instance = instance
        self._wanted = source
        self._known_sources: t.Optional[Sources] = None
        self._timeout, self._max_reply = timeout, max_reply

    @property
    def folder(self) -> str:
        """Its socket directory, as seen from here."""
        return self.instance.root + self.instance.socket_dir

    @property
    def _sockets(self) -> Sockets:
        """The sockets, without any replies."""
        return Sockets(self.instance, self._timeout, self._max_reply)

    # Looking

    def look(self) -> Observation:
        """Look at the instance, and count its clients. Raises nothing that the pool can cause."""
        from .._visit import Visit  # many orders need no look

        visit = Visit(self.instance, self._sockets)
        visit.clients()
        return visit.seen

    def counts(self, socket: str) -> t.Dict[str, t.Optional[int]]:
        """The counts of the stratifier or the connector, by kind of object.

        :raises PoolError: it does not give them.
        """
        return {kind: count_of(reply, kind) for reply in [self._sockets.json(socket, "stats")] for kind in reply}

    def clients(self) -> t.Optional[int]:
        """The number of connections of miners, by the connector; None if it does not give it."""
        return self._sockets.count_clients()

    def require_listener(self) -> None:
        """Raise unless the listener answers; check mode needs this too.

        :raises PoolError: saying how it does not.
        """
        self._sockets.text("listener", "ping")

    @property
    def sources(self) -> Sources:
        """Its sources, with what an order has to know of them."""
        if self._known_sources is None:
            from .._sources.registry import Sources  # few orders depend on what the daemon speaks

            sockets = Sockets(self.instance, self._timeout, self._max_reply)
            counts = functools.partial(sockets.json, "stratifier", "stats")
            self._known_sources = Sources(self.instance, sockets, counts, self._wanted)
        return self._known_sources

    def checks_level(self, socket: str, message: str) -> bool:
        """Whether a message sets the log level on a socket that is seen to refuse a wrong one."""
        if socket != "stratifier" or not message.lower().startswith("loglevel"):
            return False
        source = self.sources.live()
        return source is not None and source.level_socket == socket

    # Commands

    def socket_called(self, name: str) -> str:
        """The name of the socket to use for a name from the guide: without a socket C(pool), this is the listener."""
        return "listener" if name == "pool" and not exists(self.instance.socket("pool")) else name

    def send(self, socket: str, message: str, unsafe: bool = False) -> str:
        """Send any message to any socket, and return the reply as text.

        :arg unsafe: send it even if it is known to do harm.
        """
        return self._sockets.text(socket, message, not unsafe and self.checks_level(socket, message), unsafe)

    def send_loglevel(self, level: int) -> str:
        """Set the log level, from 0 to 7, and return the daemon's reply. It cannot be read back.

        :raises PoolError: the daemon refuses it.
        """
        check_range("level", level, 0, _MOST_LEVEL)
        message = f"loglevel={level}"
        source = self.sources.live()
        answer = source.set_level(level) if source else None
        if answer is not None:
            return self._accepted(message, *answer)
        reply = self._sockets.text("listener", message)
        return self._accepted(message, reply, reply == "success")

    def send_to_listener(self, message: str, reply_begins: str) -> str:
        """Send a command to the listener, and return the daemon's reply.

        :arg reply_begins: the beginning of the reply if the daemon accepts the command.
        :raises PoolError: the daemon refuses it.
        """
        reply = self._sockets.text("listener", message)
        return self._accepted(message.partition(":")[0], reply, reply.startswith(reply_begins))

    def send_silently(self, socket: str, message: str) -> None:
        """Send a command to which the daemon does not reply."""
        self._sockets.silent(socket, message)

    def send_reconnect(self, redirect_to: t.Optional[str] = None) -> str:
        """Tell every miner to connect again, here or to C(HOST:PORT), and return the daemon's reply."""
        message = "reconnect"
        if redirect_to is not None:
            from .._names import parse_address

            message += ":" + ",".join(parse_address(redirect_to))
        return self.send_to_listener(message, "reconnecting")

    def shutdown(self) -> str:
        """Tell the daemon to shut down, and return its reply. By the guide, C(pool) is the socket for this, if it exists."""
        socket = self.socket_called("pool")
        reply = self._sockets.text(socket, "shutdown")
        return self._accepted("shutdown", reply, socket == "pool" or reply.startswith("exiting"))

    def send_restart(self) -> str:
        """Tell the daemon to hand over to a new process, and return its reply."""
        return self.send_to_listener("restart", "restarting")

    def _accepted(self, message: str, reply: str, is_accepted: bool) -> str:
        if not is_accepted:
            raise PoolError(
                f"{self.instance.name} refuses '{message}': {reply[:200]!r}",
                self.instance.socket("listener"),
                "this build does not know the command, or not this value",
                reason="refused_command",
            )
        return reply

    # Miners

    def drop_all(self) -> None:
        """Close the connections of all miners. The daemon does not reply to this."""
        self._sockets.silent("stratifier", "dropall")

    def drop_client(self, client_id: int) -> None:
        """Close the connection of one miner. The daemon does not reply to this.

        The command goes to the connector, which closes the connection. The stratifier would only forget the client, and
        leave its miner stranded (seen).
        """
        self._sockets.silent("connector", f"dropclient={client_id:d}")

    def wait_for_clients(self, most: int, seconds: float) -> t.Optional[int]:
        """Wait until at most C(most) miners are connected; the number that are, then or at the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            count = self.clients()
            if count is None or count <= most or time.monotonic() >= deadline:
                return count
            time.sleep(_POLL)

    # The process

    def living_pid(self) -> int:
        """The id of its running process.

        :raises PoolError: no running process is known to be the instance's.
        """
        if self.instance.pid_state != "alive" or not self.instance.pid:
            raise PoolError(f"no process is known to be that of {self.instance.name}", reason="no_pid")
        return self.instance.pid

    def require_process(self, pid: int, started: int) -> None:
        """Raise unless the instance's process is still that one.

        :arg started: when it started, in clock ticks.
        :raises AnotherProcess: it is another one by now, or has ended.
        """
        instance = self.instance
        if instance.pid_state != "alive" or (instance.pid, instance.start_ticks) != (pid, started):
            now = f"pid {instance.pid} ({instance.pid_state})" if instance.pid else "none"
            raise AnotherProcess(
                f"the process of {instance.name} in {instance.socket_dir} is no longer pid {pid}, but {now}",
                instance.socket("main.pid"),
                "nothing was done by this step; look again",
            )

    # What is remembered

    def remembered(self, what: str) -> t.Any:
        """A value that was last set on this process; None if it is not known."""
        return _memory.recall(self.instance).get(what)

    def remember(self, **facts: t.Any) -> str:
        """Remember what was set; the reason if that fails, else empty."""
        try:
            _memory.remember(self.instance, **facts)
        except PoolError as exc:
            return exc.with_hint
        return ""
