# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a daemon hand over to a new process, and freeing the miners whose connections this inherits and never reads.

The daemon forks, and the copy becomes the new process with all descriptors of the old one, including the connections of its
miners, which therefore notice nothing. So the new process inherits what the copy held right after the fork. A background
process watches the handover and closes these connections, even if the task or the controller ends.
Measurements are in docs/what-ckpool-answers.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from .. import _memory
from .._errors import PoolError
from .._host import connections, detached, severing
from .._host.process import children_of, is_alive, owner_of, pids, start_ticks
from .._instance import Instance
from . import accepting
from .daemon import Daemon
from .sever import best_way

_FORK_SECONDS = 10.0  #: that the daemon has to fork
_TAKEOVER_SECONDS = 120.0  #: that the copy has to end the old process
_RETURN_SECONDS = 60.0  #: that the miners are watched while they return
_SETTLED_SECONDS = 1.0  #: after which a connection that the new process does not read is stranded, and not just new
_REJECT_SECONDS = 60.0
_LAST_ACCEPT_SECONDS = 1.0  #: that a daemon may still accept miners after it was told to reject: it waits for that long
_POLL = 0.005
_SLOW_POLL = 0.05
_MARGIN = 30.0


@dataclasses.dataclass
class Report:
    """The progress of a handover, as far as it is known.

    :ivar state: C(waiting), C(taken_over), C(ended) if the new process has ended, or C(none) if there never was one.
    :ivar pid: the new process.
    :ivar inherited: number of connections of miners that it inherited; None if that could not be seen.
    :ivar severed: number of these that were closed.
    :ivar longest_gap: seconds from the request until the new process had accepted as many miners as the old one had, so the
        longest time that any of them waited; None if it has not, or if that could not be seen.
    :ivar is_over: whether the watch has ended.
    """

    state: str = "waiting"
    pid: t.Optional[int] = None
    inherited: t.Optional[int] = None
    severed: int = 0
    longest_gap: t.Optional[float] = None
    is_over: bool = False
    problem: str = ""

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


def restart(daemon: Daemon, way: str) -> str:
    """Have it hand over to a new process, while a process of our own watches and frees its miners; the daemon's reply.

    :arg way: how to free them, one of C(sever.WAYS), or C(auto) for the best of these.
    :raises PoolError: it does not take it, or no process could be started to watch.
    """
    if way == "auto":
        way = best_way(daemon.instance)
    watcher = _Watcher(daemon.instance, way)
    if way == "dropall":
        # Miners that are dropped return at once, some of them before the fork. They must not be accepted then.
        accepting.reject(daemon, _REJECT_SECONDS, "ckpool_restart")
        time.sleep(_LAST_ACCEPT_SECONDS)
        daemon.drop_all()
    try:
        watcher.look()
        detached.leave(watcher.run, _FORK_SECONDS + _TAKEOVER_SECONDS + _RETURN_SECONDS + _MARGIN)
        return daemon.send_restart()
    except PoolError:
        if way == "dropall":
            with contextlib.suppress(PoolError):
                accepting.accept(daemon)
        raise


def report(pid: int, started: int) -> t.Optional[Report]:
    """What is known of the handover of a process; None if nothing watched it."""
    facts = _memory.recall_process(pid, started).get("takeover")
    if not isinstance(facts, dict):
        return None
    known = {field.name for field in dataclasses.fields(Report)}
    return Report(**{name: value for name, value in facts.items() if name in known})


class _Watcher:
    """Watches one handover, in a background process."""

    def __init__(self, instance: Instance, way: str) -> None:
        pid, ticks = instance.pid, instance.start_ticks
        if not pid or ticks is None:
            raise PoolError(f"no process is known to be that of {instance.name}", reason="no_pid")
        self.old, self.old_ticks, self.way, self.began = pid, ticks, way, time.monotonic()
        self.owner = owner_of(pid)
        self.report = Report()
        self.look()
        self.served = sum(one.watched is not False for one in self.before.values())

    def look(self) -> None:
        """Record the connections and children of the process, as late as possible before the request."""
        self.before: t.Dict[int, connections.Connection] = {}
        self.listening: t.Set[int] = set()
        self.ports: t.Set[int] = set()
        self.can_see = True
        try:
            self.before, self.listening = connections.held(self.old), connections.listening(self.old)
            self.ports = connections.ports(self.old)
        except PoolError:
            self.can_see = False
        self.children = set(children_of(self.old))
        self._write()

    def run(self) -> None:
        """Watch until it is over, and store the report."""
        try:
            self._watch()
        except PoolError as exc:
            self.report.problem = str(exc)
        self.report.is_over = True
        self._write()

    def _write(self) -> None:
        try:
            _memory.remember_process(self.old, self.old_ticks, takeover=self.report.as_dict())
        except PoolError:
            pass  # the report is lost; the miners are freed all the same

    def _watch(self) -> None:
        new = self._await_copy()
        if new is None:
            self.report.state = "none"
            return
        self.report.pid = new
        inherited = self._inherited(new)
        survivor = self._await_end_of_old(new)
        ticks = start_ticks(survivor) if survivor else None
        if survivor is None or ticks is None:
            self.report.state = "ended"
            return
        new = self.report.pid = survivor
        self.report.state = "taken_over"
        if inherited is not None:
            self.report.inherited = len(inherited)
            self._sever(new, ticks, inherited)
            self._write()
            self._await_miners(new, ticks, set(inherited))

    def _await_copy(self) -> t.Optional[int]:
        """The copy of itself that the daemon forks; None if it does not."""
        deadline = time.monotonic() + _FORK_SECONDS
        while time.monotonic() < deadline:
            for pid in children_of(self.old):
                if pid not in self.children and self._is_ours(pid):
                    return pid
            if not self._is_old():
                return self._heir()
            time.sleep(_POLL)
        return None

    def _is_ours(self, pid: int) -> bool:
        return self.owner is not None and owner_of(pid) == self.owner

    def _is_old(self) -> bool:
        return start_ticks(self.old) == self.old_ticks and is_alive(self.old)

    def _heir(self) -> t.Optional[int]:
        """The process that listens on the ports of the old one, if the fork itself was too quick to be seen."""
        for pid in sorted(pids(), reverse=True):  # it is one of the newest, and miners wait
            if pid != self.old and self._is_ours(pid) and self.listening & self._listening(pid):
                return pid
        return None

    @staticmethod
    def _listening(pid: int) -> t.Set[int]:
        try:
            return connections.listening(pid)
        except PoolError:
            return set()

    def _inherited(self, new: int) -> t.Optional[t.Dict[int, connections.Connection]]:
        """The connections that the new process has inherited; None if they cannot be seen."""
        if not self.can_see:
            return None
        now = connections.held(new)
        if not self._is_old():
            # It may have accepted some by now.
            now = {inode: one for inode, one in now.items() if inode in self.before}
        return now

    def _await_end_of_old(self, new: int) -> t.Optional[int]:
        """The process that outlives the old one: the copy, or its child if it daemonises; None if neither does."""
        ticks, deadline = start_ticks(new), time.monotonic() + _TAKEOVER_SECONDS
        while time.monotonic() < deadline:
            if start_ticks(new) != ticks or not is_alive(new):
                heir = self._heir()
                if heir is None:
                    return None
                new, ticks = heir, start_ticks(heir)
            if not self._is_old():
                return new
            time.sleep(_POLL)
        return None

    def _sever(self, new: int, ticks: int, lost: t.Mapping[int, connections.Connection]) -> None:
        if self.way not in severing.WAYS or not lost:
            return
        try:
            self._sever_in(new, ticks, lost)
        except PoolError:
            heir = None if is_alive(new) and start_ticks(new) == ticks else self._heir()
            heir_ticks = start_ticks(heir) if heir else None
            if heir is None or heir_ticks is None:
                raise
            self._sever_in(heir, heir_ticks, lost)

    def _sever_in(self, pid: int, ticks: int, lost: t.Mapping[int, connections.Connection]) -> None:
        if self._is_ours(pid):
            self.report.severed += severing.sever(pid, ticks, lost.values(), self.way)

    def _await_miners(self, new: int, ticks: int, inherited: t.Set[int]) -> None:
        """Watch the miners return, and free those that were accepted after the first look."""
        at = self.ports
        begin, is_settled = time.monotonic(), False
        while time.monotonic() < begin + _RETURN_SECONDS:
            if start_ticks(new) != ticks or not is_alive(new):
                heir = self._heir()  # it has just daemonised: its child goes on
                heir_ticks = start_ticks(heir) if heir else None
                if heir is None or heir_ticks is None:
                    return
                new = self.report.pid = heir
                ticks = heir_ticks
            back = len(connections.accepted(new, at) - inherited)
            if self.report.longest_gap is None and back >= self.served:
                self.report.longest_gap = round(time.monotonic() - self.began, 3)
                self._write()
            if not is_settled and time.monotonic() > begin + _SETTLED_SECONDS:
                is_settled = self._free_late_ones(new, ticks)
            if is_settled and self.report.longest_gap is not None:
                return
            time.sleep(_SLOW_POLL)

    def _free_late_ones(self, new: int, ticks: int) -> bool:
        """Free stranded miners; whether the new process was ready, so that they could be seen."""
        try:
            if not connections.is_serving(new):
                return False
            found = connections.stranded(new, lambda: None, _SETTLED_SECONDS)
        except PoolError:
            return False  # it has just daemonised
        self._sever(new, ticks, {one.inode: one for one in found[1]} if found else {})
        self._write()
        return True
