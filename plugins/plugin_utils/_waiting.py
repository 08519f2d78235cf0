# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a pool: a pace, phases with deadlines, lines of progress, connections that are lost. No Ansible."""

from __future__ import annotations

import contextlib
import math
import typing as t

from ..module_utils._errors import PoolError
from ._clock import Clock
from ._observation import Observation
from ._step import Address, Lost, Step, StepFailed, Unreachable
from ._types import Json

LEAST_POLL = 1.0  #: seconds from the start of one look to the start of the next, at least
_LINE_SECONDS = 3.0  #: between two lines of progress


class Progress:
    """Lines for a person who waits: one at the start of each phase, and then one every few seconds."""

    def __init__(self, show: t.Callable[[str], None], clock: Clock) -> None:
        self._show = show
        self._clock = clock
        self._phase = ""
        self._shown = -math.inf

    def say(self, phase: str, text: str) -> None:
        """Show a line, unless the latest line of the same phase is too recent."""
        now = self._clock.now()
        if phase != self._phase or now - self._shown >= _LINE_SECONDS:
            self._phase, self._shown = phase, now
            self._show(f"{phase}: {text}")


class Watch:
    """One pool under observation, by short calls of the module C(ckpool_step).

    :ivar seen: what the latest look found.
    :ivar phases: the phases that have ended, as the result lists them.
    :ivar changed: whether a step changed something, or may have.
    :ivar taken: the steps that were taken, or may have been, in order.
    :ivar is_rejecting: whether the pool was told to reject miners, and not yet to accept them again.
    :ivar phase: the current phase.
    :ivar limit: seconds that it may take.
    """

    def __init__(
        self,
        step: Step,
        clock: Clock,
        poll: float = 2.0,
        show: t.Callable[[str], None] = lambda text: None,
        reset: t.Callable[[], None] = lambda: None,
    ) -> None:
        """
        :arg step: calls C(ckpool_step).
        :arg poll: seconds between two looks.
        :arg show: shows a line to a person.
        :arg reset: closes a lost connection, so that the next call opens a new one.
        """
        self._step = step
        self._clock = clock
        self._poll = max(poll, LEAST_POLL)
        self._progress = Progress(show, clock)
        self._reset = reset
        self._address = Address()
        self._began = -math.inf
        self._losses = 0
        self._has_looked = False
        self.seen = Observation({})
        self.phases: t.List[Json] = []
        self.changed = False
        self.taken: t.List[str] = []
        self.is_rejecting = False
        self.phase = ""
        self.limit = math.inf
        self._phase_began = clock.now()

    def begin(self, phase: str, limit: float = math.inf) -> None:
        """End the current phase, and begin another.

        :arg limit: seconds that it may take.
        """
        self.end()
        self.phase, self.limit, self._phase_began = phase, limit, self._clock.now()

    def end(self) -> None:
        """End the current phase, and record its duration."""
        if self.phase:
            seconds = round(self.elapsed, 2)
            self.phases.append({"name": self.phase, "seconds": seconds, "clients": self.seen.clients})
        self.phase = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the phase began."""
        return self._clock.now() - self._phase_began

    @property
    def spent(self) -> str:
        """C(12 of 300 s)."""
        limit = f" of {self.limit:g}" if math.isfinite(self.limit) else ""
        return f"{self.elapsed:.0f}{limit} s"

    @property
    def state(self) -> str:
        """The state of the pool for a person, as far as it is known."""
        if not self._has_looked:
            return "unknown: it was not seen"
        state = self.seen.describe(self.is_rejecting)
        return f"unknown since the connection was lost, last seen {state}" if self._losses else state

    def say(self, text: str) -> None:
        """Show a line of progress, unless the latest one is too recent."""
        self._progress.say(self.phase, f"{text}, {self.spent}")

    def look(self, *wants: str, **arguments: t.Any) -> Observation:
        """Look at the pool, no sooner than a second after the latest look. A lost connection is tried once more.

        :arg arguments: what some of C(wants) need to know.
        :raises Unreachable: the connection was lost twice in a row, or before any answer.
        :raises StepFailed: the module failed.
        """
        while True:
            self._rest_until(self._began + LEAST_POLL)
            try:
                return self._call({"step": "look", "wants": list(wants), **arguments})
            except Lost as exc:
                self._recover(exc)

    def ask(self, **arguments: t.Any) -> Json:
        """Make a call whose answer is no look, and that may be made twice. A lost connection is tried once more.

        :raises Unreachable: the connection was lost twice in a row, or before any answer.
        :raises StepFailed: the module failed.
        """
        while True:
            self._rest_until(self._began + LEAST_POLL)
            try:
                return self._answer(arguments)
            except Lost as exc:
                self._recover(exc)

    def last_lines(self) -> t.List[str]:
        """The last lines of the pool's log, to explain a failure; empty if they cannot be read. Does not raise."""
        with contextlib.suppress(PoolError, Lost):
            if not self._has_looked or self._losses:
                return []
            if not self.seen.is_alive:
                self._address.keep_log()
            tail = self.look("log_tail").answer.get("log_tail")
            return [str(line) for line in tail] if isinstance(tail, list) else []
        return []

    def do(self, step: str, **arguments: t.Any) -> Observation:
        """Take a step on the process of the latest look; what the pool is like after it.

        A step whose connection is lost is not repeated, since it may have been taken: a look follows.

        :raises Unreachable: the connection of that look was lost too.
        :raises StepFailed: the module failed.
        """
        self.is_rejecting = self.is_rejecting or step == "reject"
        if step == "restart":
            self.follow()
        if step != "clean":
            arguments["pid"], arguments["started"] = self.seen.identity
        try:
            seen = self._call({"step": step, **arguments})
        except Lost as exc:
            self._record(step, True)
            self._recover(exc)
            return self.look()
        except StepFailed as exc:
            self._record(step, bool(exc.answer.get("changed")))
            raise
        self.is_rejecting = self.is_rejecting and step != "accept"
        self._record(step, bool(seen.answer.get("changed", True)))
        return seen

    def follow(self) -> None:
        """From now on, expect a successor of the process of the latest look."""
        self._address.follow_restart(self.seen.identity)

    def _record(self, step: str, is_change: bool) -> None:
        self.changed = self.changed or is_change
        if is_change and self.taken[-1:] != [step]:
            self.taken.append(step)

    def wait_for(
        self, is_done: t.Callable[[Observation], bool], progress: t.Callable[[Observation], str], *wants: str
    ) -> bool:
        """Look until it is done, or until the phase's limit. If the latest look already shows it, do not look again.

        :arg progress: the text of a line of progress.
        :returns: whether it is done.
        """
        while not is_done(self.seen):
            if self.elapsed >= self.limit:
                return False
            self.say(progress(self.seen))
            self.rest()
            self.look(*wants)
        return True

    def rest(self) -> None:
        """Wait until the next look is due, and at most until the phase's limit."""
        due = self._began + self._poll
        self._rest_until(max(min(due, self._phase_began + self.limit), self._began + LEAST_POLL))

    def undisturbed(self) -> t.ContextManager[None]:
        """A context that nothing interrupts."""
        return self._clock.held()

    def _rest_until(self, due: float) -> None:
        seconds = due - self._clock.now()
        if seconds > 0:
            self._clock.sleep(seconds)
        self._clock.check()

    def _call(self, arguments: Json) -> Observation:
        """Look once, or take a step and look.

        :raises Lost: the connection was lost.
        :raises StepFailed: the module failed.
        """
        answer = self._answer({**arguments, **self._address.options})
        self._has_looked = True
        self.seen = Observation(answer)
        self._address.learn(self.seen.instance, self.seen.is_alive)
        self._clock.check()
        return self.seen

    def _answer(self, arguments: Json) -> Json:
        """Call the module once.

        :raises Lost: the connection was lost.
        :raises StepFailed: the module failed.
        """
        self._began = self._clock.now()
        try:
            answer = self._step(arguments)
        except Lost:
            self._losses += 1
            self._clock.check()
            raise
        self._losses = 0
        if answer.get("failed"):
            self._clock.check()  # an interruption may have ended the module too
            raise StepFailed(answer, self.phase)
        return answer

    def _recover(self, exc: Lost) -> None:
        """After a lost connection, prepare another attempt.

        :raises Unreachable: the connection was lost twice in a row, or before any answer.
        """
        if self._losses > 1 or not self._has_looked:
            raise Unreachable(
                str(exc),
                phase=self.phase,
                reason="unreachable",
                hint="look at the host; then run this again, it continues from what it finds",
            )
        self.say(f"the connection was lost ({exc}), trying again")
        with contextlib.suppress(Exception):  # a broken connection may fail to close
            self._reset()
        self.rest()
