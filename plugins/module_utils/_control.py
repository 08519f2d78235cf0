# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator can do to a pool, one method each, and the look that proves its effect.

The other half of this floor is C(_pool.py), which asks. Control is a room of its own so that a task that only sends a
word need not compile all that answers questions.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import time
import typing as t

from . import _instance, _memory
from ._errors import BadInput, PoolError
from ._instance import SOCKETS, Instance
from ._names import parse_address
from ._observation import Observation, Probe
from ._parallel import in_parallel
from ._sources.talk import Replies, Talk
from ._state import WORKING_MODES, count_of, first_sight, reached_state, workbases
from ._wire import MAX_REPLY, ClosedWithoutReply

if t.TYPE_CHECKING:
    from ._records import Json

__all__ = ["AnotherProcess", "Control", "Instance", "Sight"]
_MOST_LEVEL = 7
_GATES = {"accepting": "accept", "rejecting": "reject"}
_SIGNALS = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL}
_POLL = 0.05  #: seconds between two looks at a count that falls within moments


@dataclasses.dataclass
class Sight:
    """One look at an instance.

    :ivar state: C(ok), C(starting), C(degraded), C(hung), C(down) or C(unknown).
    :ivar answers: what came of a ping, by socket: C(reply), or the reason why there was none.
    :ivar clients: connections of miners, as the connector counts them; None if it does not tell.
    :ivar ready: whether miners can work.
    :ivar down: whether neither a process nor a socket of it is left.
    :ivar leftovers: files of its socket directory that nobody stands behind.
    :ivar problems: what could not be learned, by area, and why.
    """

    state: str = "unknown"
    answers: t.Dict[str, str] = dataclasses.field(default_factory=dict)
    clients: t.Optional[int] = None
    ready: bool = False
    down: bool = False
    leftovers: t.List[str] = dataclasses.field(default_factory=list)
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)


class AnotherProcess(PoolError):
    """The instance's process is not the one that a step was meant for."""

    phase = "find"
    reason = "another_process"


class Control:
    """One instance, ready to be told something.

    :arg source: C(guide) to take the guide's commands for granted, C(files) never to look for them; else they are used
        where the daemon is seen to speak them.
    :arg timeout: seconds of one exchange with a socket.
    :arg max_reply: bytes of one reply.
    :arg replies: keeps the counts of one visit, to be shared with a Pool.
    """

    def __init__(
        self,
        instance: Instance,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
        replies: t.Optional[Replies] = None,
    ) -> None:
        self.instance = instance
        self._dialect = {"auto": None, "files": "public"}.get(source, source)
        self._sockets = Talk(instance.socket, timeout, max_reply, replies)

    @classmethod
    def find(
        cls,
        socket_dir: t.Optional[str] = None,
        name: t.Optional[str] = None,
        log_dir: t.Optional[str] = None,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
    ) -> Control:
        """The one pool that fits; with nothing given, the one of this host.

        :raises NotFound: none, or several, fit.
        """
        return cls(_instance.find(socket_dir, name, log_dir), source, timeout, max_reply)

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
        running = [instance for instance in _instance.discover() if instance.pid_state == "alive"]
        for instance in running:
            instance.log_dir = instance.log_dir or log_dir
        return [cls(instance, source, timeout, max_reply) for instance in running]

    # Looking

    def look(self) -> Sight:
        """See how it is. Raises nothing that the pool can cause."""
        probes = in_parallel([functools.partial(self._sockets.probe, name) for name in SOCKETS])
        seen = first_sight(self.instance)
        seen.probes = {probe.socket: probe for probe in probes}
        sight = Sight(answers={name: probe.outcome for name, probe in seen.probes.items()})
        if seen.probes["stratifier"].answered:
            seen.counts = self._counts("stratifier", sight)
        if seen.probes["connector"].answered:
            sight.clients = count_of(self._counts("connector", sight), "clients")
        sight.state = self._state(seen)
        gone = self.instance.pid_state in ("dead", "another", "absent")
        sight.down = gone and all(_is_nobody(probe) for probe in probes)
        sight.ready = _is_ready(seen)
        sight.leftovers = self._leftovers(seen) if sight.down else []
        return sight

    def counts(self, socket: str) -> t.Dict[str, t.Optional[int]]:
        """How many objects of each kind the stratifier or the connector counts.

        :raises PoolError: it does not tell.
        """
        return {kind: count_of(reply, kind) for reply in [self._sockets.json(socket, "stats")] for kind in reply}

    def clients(self) -> t.Optional[int]:
        """How many connections of miners there are, as the connector counts them; None if it does not tell."""
        try:
            return count_of(self._sockets.json("connector", "stats"), "clients")
        except PoolError:
            return None

    def must_listen(self) -> None:
        """Hold that the listener answers, as a task in check mode has to know.

        :raises PoolError: it does not.
        """
        self._sockets.text("listener", "ping")

    def dialect(self) -> str:
        """C(guide), C(api) or C(public): what the daemon is seen to speak, or is said to by C(source).

        One that does not answer gets no benefit of the doubt.
        """
        if self._dialect is None:
            try:
                self._dialect = self._sockets.dialect(self._sockets.json("stratifier", "stats"))
            except PoolError:
                self._dialect = "public"
        return self._dialect

    def listing(self, what: str) -> t.List[t.Any]:
        """The rows of one of the daemon's listings: C(users), or C(clients) of the query API.

        :raises PoolError: this build does not answer it.
        """
        rows = self._sockets.json("stratifier", what).get(what)
        return rows if isinstance(rows, list) else []

    def _counts(self, socket: str, sight: Sight) -> t.Optional[Json]:
        try:
            return self._sockets.json(socket, "stats")
        except PoolError as exc:
            sight.problems[f"{socket}_stats"] = str(exc)
            return None

    def _state(self, seen: Observation) -> str:
        if seen.probes["stratifier"].outcome == "unanswered":
            folder = self.instance.log_path()
            seen.stats_as_of = _written(folder) if folder else None
        return reached_state(seen)

    def _leftovers(self, seen: Observation) -> t.List[str]:
        stale = [name for name, probe in seen.probes.items() if probe.outcome == "refused"]
        return [*stale, "main.pid"] if os.path.lexists(self.instance.socket("main.pid")) else stale

    def service(self) -> t.Optional[Json]:
        """The systemd unit of its process; None where it has none."""
        from ._host import service_of

        found = service_of(self.instance.pid) if self.instance.pid and self.instance.pid_state == "alive" else None
        return found.as_dict() if found else None

    def handover(self) -> Json:
        """What would make its handover to a new process fail, of what can be known beforehand."""
        from ._host import obstacles, service_of

        instance = self.instance
        if instance.pid_state != "alive" or not instance.pid:
            return {"obstacles": []}
        return {"obstacles": [obstacle.as_dict() for obstacle in obstacles(instance, service_of(instance.pid))]}

    def holders(self) -> t.List[Json]:
        """The processes that hold its listening sockets, with C(pid) and C(command)."""
        from ._host import holders

        return holders(self.instance)

    # Words

    def socket_called(self, name: str) -> str:
        """The socket by a name of the guide's: where there is no C(pool), the listener is that."""
        return "listener" if name == "pool" and not os.path.exists(self.instance.socket("pool")) else name

    def say(self, socket: str, message: str, unsafe: bool = False) -> str:
        """Send any message to any socket; the reply as text.

        :arg unsafe: send it even if it is known to do harm.
        """
        by_dialect = socket == "stratifier" and not unsafe and message.lower().startswith("loglevel")
        return self._sockets.text(socket, message, self.dialect() if by_dialect else "public", unsafe)

    def set_level(self, level: int) -> str:
        """Set the log level, 0 to 7, and return the daemon's reply. There is no way to read it back.

        :raises PoolError: it does not take it.
        """
        if not 0 <= level <= _MOST_LEVEL:
            raise BadInput(f"level must be from 0 to {_MOST_LEVEL}, not {level}", reason="out_of_range")
        message = f"loglevel={level}"
        if self.dialect() == "guide":
            try:
                reply = self._sockets.text("stratifier", message, "guide")
                return self._accepted(message, reply, not reply.lower().startswith(("invalid", "failed", "unknown")))
            except ClosedWithoutReply:
                pass  # it speaks the guide's dialect but for this: the listener takes it on every build
        reply = self._sockets.text("listener", message)
        return self._accepted(message, reply, reply == "success")

    def known_gate(self) -> t.Tuple[str, bool]:
        """C(accepting) or C(rejecting), and whether that is knowledge; a new process accepts."""
        gate = self.remembered("gate")
        return (gate, True) if isinstance(gate, str) and gate in _GATES else ("accepting", False)

    def set_gate(self, gate: str) -> str:
        """Have it accept miners, or not, and return its reply."""
        verb = _GATES[gate]
        reply = self._sockets.text("listener", verb)
        reply = self._accepted(verb, reply, reply.startswith(gate))
        # A handover that failed leaves a copy of the process: it shares the listener, replies, and does nothing.
        # The connector, which does what the listener passes on, is the old process's alone.
        if any(holder["pid"] != self.instance.pid for holder in self.holders()):
            self._sockets.silent("connector", verb)
        return reply

    def reconnect(self, redirect_to: t.Optional[str] = None) -> str:
        """Tell every miner to connect anew, here or at C(HOST:PORT), and return the daemon's reply."""
        message = "reconnect"
        if redirect_to is not None:
            message += ":" + ",".join(parse_address(redirect_to))
        reply = self._sockets.text("listener", message)
        return self._accepted("reconnect", reply, reply.startswith("reconnecting"))

    def shutdown(self) -> str:
        """Tell it to end, and return its reply. By the guide that goes to the socket C(pool), where there is one."""
        socket = self.socket_called("pool")
        reply = self._sockets.text(socket, "shutdown")
        return self._accepted("shutdown", reply, socket == "pool" or reply.startswith("exiting"))

    def restart(self) -> str:
        """Tell it to hand over to a new process, and return its reply."""
        reply = self._sockets.text("listener", "restart")
        return self._accepted("restart", reply, reply.startswith("restarting"))

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
        """Close every miner's connection. The daemon does not reply to that."""
        self._sockets.silent("stratifier", "dropall")

    def drop_client(self, client_id: int) -> None:
        """Close one miner's connection. The daemon does not reply to that.

        The connector is told, which closes the connection. The stratifier would forget the client and leave a miner
        hanging on a connection that nobody listens to (seen).
        """
        self._sockets.silent("connector", f"dropclient={client_id:d}")

    def drop_user(self, user: str) -> str:
        """Have a daemon that speaks the guide's dialect drop a user that it is known to have; its reply."""
        return self._sockets.text("stratifier", f"dropuser={user}")

    def wait_for_clients(self, most: int, seconds: float) -> t.Optional[int]:
        """Wait until no more than so many miners are connected; how many are then, or at the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            count = self.clients()
            if count is None or count <= most or time.monotonic() >= deadline:
                return count
            time.sleep(_POLL)

    # The process

    def expect(self, pid: int, started: int) -> None:
        """Hold that the instance's process is still that one.

        :raises AnotherProcess: it is not.
        """
        instance = self.instance
        if instance.pid_state != "alive" or (instance.pid, instance.start_ticks) != (pid, started):
            now = f"pid {instance.pid} ({instance.pid_state})" if instance.pid else "none"
            raise AnotherProcess(
                f"the process of {instance.name} in {instance.socket_dir} is not pid {pid} any more, but {now}",
                instance.socket("main.pid"),
                "nothing was done; look again",
            )

    def signal(self, how: str) -> None:
        """Send C(terminate) or C(kill) to the instance's process, which must have been verified a moment ago.

        :raises AnotherProcess: its pid is another process's by now.
        """
        pid, ticks = self.instance.pid, self.instance.start_ticks
        if self.instance.pid_state != "alive" or not pid or ticks is None:
            raise AnotherProcess(
                f"no process is known to be that of {self.instance.name}",
                self.instance.socket("main.pid"),
                "nothing was done; look again",
            )
        try:
            self._signal(pid, ticks, _SIGNALS[how])
        except ProcessLookupError:
            pass  # it has just ended, which is what was wanted
        except PermissionError:
            raise PoolError(
                f"not permitted to end pid {pid}", reason="not_permitted", hint="use become: true"
            ) from None

    def _signal(self, pid: int, ticks: int, number: int) -> None:
        """A handle on the process keeps the pid from passing to another between the look and the signal."""
        handle = _handle_on(pid)
        try:
            if _instance.start_ticks(pid) != ticks:
                raise AnotherProcess(
                    f"pid {pid} is another process by now, and not that of {self.instance.name}",
                    self.instance.socket("main.pid"),
                    "nothing was done; look again",
                )
            if handle >= 0:
                signal.pidfd_send_signal(handle, number)
            else:
                os.kill(pid, number)
        finally:
            if handle >= 0:
                os.close(handle)

    def stop_service(self, unit: str) -> None:
        """Have systemd stop a unit, which must be that of the instance's process; it does not wait for that.

        :raises PoolError: it is another's, or systemd cannot.
        """
        from ._host import stop_service

        own = (self.service() or {}).get("unit")
        if not own or own not in (unit, f"{unit}.service"):
            raise PoolError(
                f"{unit} is not the unit of pid {self.instance.pid}, which is {own or 'none'}",
                reason="another_unit",
                hint="nothing was stopped",
            )
        stop_service(own)

    def clean(self, only_look: bool = False) -> t.List[str]:
        """Remove the files that an ended daemon left in its socket directory; their names.

        :arg only_look: name them, and leave them.
        :raises PoolError: one may not be removed.
        """
        from ._host import bound_sockets  # few tasks need it

        sight = self.look()
        # A daemon that is just starting has bound sockets that do not listen yet, and refuse as stale ones do.
        if not sight.down or bound_sockets(self.instance):
            return []
        for name in () if only_look else sight.leftovers:
            _unlink(self.instance.socket(name))
        return sight.leftovers

    # What is remembered

    def remembered(self, what: str) -> t.Any:
        """What was last set on this process; None where that is not known."""
        return _memory.recall(self.instance).get(what)

    def remember(self, **facts: t.Any) -> str:
        """Remember what was set; the reason, if that cannot be done."""
        try:
            _memory.remember(self.instance, **facts)
        except PoolError as exc:
            return f"{exc} ({exc.hint})"
        return ""


def _is_nobody(probe: Probe) -> bool:
    return probe.outcome in ("absent", "refused", "not_a_socket")


def _is_ready(seen: Observation) -> bool:
    if not seen.probes["stratifier"].answered or not seen.probes["generator"].answered:
        return False
    if _is_nobody(seen.probes["connector"]) or seen.probes["connector"].outcome == "unanswered":
        return False  # seen: all else answers, and no miner is let in
    # The guide's reply to the same question has no count of them.
    return seen.mode not in WORKING_MODES or (seen.counts is not None and workbases(seen.counts) != 0)


def _written(log_dir: str) -> t.Optional[int]:
    try:
        return int(os.stat(os.path.join(log_dir, "pool", "pool.status")).st_mtime)
    except OSError:
        return None


def _handle_on(pid: int) -> int:
    """A handle on a process; -1 where this Python, this kernel or this container has none.

    :raises ProcessLookupError: there is no such process.
    """
    if not hasattr(os, "pidfd_open"):
        return -1
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return -1


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise PoolError(
            f"cannot remove {path}: {exc.strerror}", path, "use become: true", "read", "not_permitted"
        ) from None
