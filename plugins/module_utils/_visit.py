# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at an instance: which of its sockets answer, what they count, and the state that follows.

Every question and every order begins here, so that no two modules see different states.
"""

from __future__ import annotations

import functools
import time
import typing as t

from ._errors import PoolError
from ._host.file import exists
from ._instance import SOCKETS, Instance
from ._messages import count_of
from ._observation import Observation, Probe
from ._parallel import in_parallel
from ._sources.exchange import Sockets
from ._state import GARBAGE, NOBODY, is_down, is_ready, leftovers, reached_state

if t.TYPE_CHECKING:
    from ._types import Json


class Visit:
    """One visit to one instance. What was asked once in a visit is not asked again.

    :arg sockets: the instance's sockets, new for each visit, as they keep the replies.
    :ivar uncounted: why the stratifier's counts are not known; None if they are.
    """

    def __init__(self, instance: Instance, sockets: Sockets) -> None:
        self.instance = instance
        self.sockets = sockets
        self.uncounted: t.Optional[PoolError] = None
        self._seen: t.Optional[Observation] = None

    def to(self, instance: Instance) -> Visit:
        """A visit to another instance, with the same deadline and bound of an exchange."""
        return Visit(instance, self.sockets.of(instance))

    @property
    def seen(self) -> Observation:
        """What the look of this visit found. Raises nothing that the pool can cause."""
        if self._seen is None:
            self._seen = self._look()
        return self._seen

    @property
    def state(self) -> str:
        """The state of the instance."""
        return self.seen.state

    def counts(self) -> Json:
        """What the stratifier answered to C(stats).

        :raises PoolError: it has not answered, or something else.
        """
        if self.seen.counts is None:
            raise self.uncounted or PoolError("the stratifier was not asked")
        return self.seen.counts

    def count_again(self) -> None:
        """Ask the stratifier for its counts once more. They stay as they are if it does not answer."""
        seen = self.seen
        try:
            seen.counts = self.sockets.counts("stratifier", again=True)
        except PoolError as exc:
            seen.problems["stratifier_stats"] = str(exc)
        self.look_at_the_clock()

    def look_at_the_clock(self) -> None:
        """Count ages from now on: sockets may have taken seconds, in which the daemon wrote to its log."""
        seen, started = self.seen, self.instance.start_time
        seen.now = time.time()
        if started is not None:
            seen.process_age = max(seen.now - started, 0.0)

    def clients(self) -> t.Optional[int]:
        """How many connections of miners the connector counted in this visit; None if it did not say."""
        if self.seen.clients is None:
            self.seen.clients = count_of(self.counts_of("connector"), "clients")
        return self.seen.clients

    def counts_of(self, socket: str) -> t.Optional[Json]:
        """What a socket that answers counts; None if it does not say, with the reason among the problems."""
        return self._counts(socket, self.seen) if self.seen.probes[socket].answered else None

    def _look(self) -> Observation:
        instance = self.instance
        seen = Observation(time.time(), instance.mode, instance.pid, instance.pid_state)
        seen.update_interval, seen.bitcoinds = instance.update_interval, instance.bitcoinds
        seen.problems.update(instance.problems)
        seen.knows_files = instance.log_dir is not None
        if not instance.is_closed:
            seen.has_pid_file = exists(instance.socket("main.pid"))
        if instance.start_time is not None:
            seen.process_age = max(seen.now - instance.start_time, 0.0)
        if instance.is_closed:
            probes = [Probe(name, "not_looked_into", 0.0, detail=instance.problems.get("root", "")) for name in SOCKETS]
        else:
            probes = in_parallel([functools.partial(self.sockets.probe, name) for name in SOCKETS])
        seen.probes = {probe.socket: probe for probe in probes}
        self._note_wrong_peers(probes, seen)
        if seen.probes["stratifier"].answered:
            seen.counts = self._counts("stratifier", seen)
        else:
            self.uncounted = self._why_uncounted(seen.probes["stratifier"])
            if seen.probes["stratifier"].outcome == "unanswered":
                seen.stats_written = self._stats_written()
        seen.state = reached_state(seen)
        seen.is_down, seen.is_ready = is_down(seen), is_ready(seen)
        seen.leftovers = leftovers(seen)
        return seen

    def _note_wrong_peers(self, probes: t.Sequence[Probe], seen: Observation) -> None:
        for probe in probes:
            if probe.outcome in ("another_peer", "garbage"):
                seen.problems[f"socket_{probe.socket}"] = probe.detail

    def _counts(self, socket: str, seen: Observation) -> t.Optional[Json]:
        try:
            return self.sockets.counts(socket)
        except PoolError as exc:
            seen.problems[f"{socket}_stats"] = str(exc)
            if exc.reason in GARBAGE:
                seen.garbage[socket] = str(exc)
            if socket == "stratifier":
                self.uncounted = exc
            return None

    def _why_uncounted(self, probe: Probe) -> PoolError:
        phase = "connect" if probe.outcome in (*NOBODY, "not_permitted", "another_peer") else "ask"
        return PoolError(probe.detail, self.instance.socket(probe.socket), probe.hint, phase, probe.outcome)

    def _stats_written(self) -> t.Optional[float]:
        """When the daemon last wrote its statistics; None if that cannot be seen."""
        from ._sources.registry import Sources  # only a stratifier that is silent needs it

        stored = Sources(self.instance, self.sockets, self.counts).stored()
        return next((when for when in (source.last_written() for source in stored) if when is not None), None)
