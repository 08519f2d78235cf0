# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to wait for a pool: a pace, deadlines, lines of progress, a connection that may be lost. No Ansible.

A Watch looks at one pool by way of short calls of the module C(ckpool_step), and remembers what it saw and did.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import typing as t

from ..module_utils._errors import PoolError

Answer = t.Dict[str, t.Any]
Step = t.Callable[[t.Dict[str, t.Any]], Answer]
Identity = t.Tuple[t.Optional[int], t.Optional[int]]

SOCKETS = ("listener", "stratifier", "connector", "generator")
LEAST_POLL = 1.0  #: seconds from the beginning of one look to that of the next, at least
_LINE_SECONDS = 3.0  #: between two lines of progress


_PASSED_ON = ("instance", "problems", "log_tail", "module_stdout", "module_stderr", "rc")


class Lost(Exception):
    """The connection to the host was lost in the middle of a call."""


class Stopped(PoolError):
    """A flow that cannot go on, and why."""


class StepFailed(Stopped):
    """The module said that it failed; C(answer) is all that it said."""

    def __init__(self, answer: Answer, phase: str) -> None:
        facts = {key: answer[key] for key in _PASSED_ON if answer.get(key)}
        why = str(answer.get("msg") or f"the module on the host failed: {_last_words(answer)}")
        reason, path = str(answer.get("reason") or "step_failed"), answer.get("path")
        super().__init__(why, path=path, hint=str(answer.get("hint") or ""), phase=phase, reason=reason, facts=facts)
        self.answer = answer


def _last_words(answer: Answer) -> str:
    """What a module that crashed leaves: ansible-core 2.19 and newer give no C(msg) then, but a record of the event."""
    event = getattr(answer.get("exception"), "event", None)
    said = str(answer.get("module_stderr") or answer.get("module_stdout") or getattr(event, "msg", "")).split("\n")
    return next((line.strip() for line in reversed(said) if line.strip()), "it did not say why")


class Unreachable(Stopped):
    """The connection was lost twice in a row."""


class Interrupted(BaseException):
    """Somebody ended the wait from outside. Not an Exception, so that nothing in between takes it for a failure."""

    def __init__(self, why: str, signum: int = 0) -> None:
        super().__init__(why)
        self.signum = signum


class Clock(t.Protocol):
    """Time, and whatever may end a wait from outside."""

    def now(self) -> float:
        """Seconds on a clock that is never set back."""

    def sleep(self, seconds: float) -> None:
        """Wait.

        :raises Interrupted: somebody wants it to end.
        """

    def check(self) -> None:
        """Nothing, unless somebody wants the wait to end.

        :raises Interrupted: somebody does.
        """

    def held(self) -> t.ContextManager[None]:
        """A stretch that nobody may interrupt, because it puts things back."""


@dataclasses.dataclass(frozen=True)
class View:
    """What one look found. Whatever is missing or odd in the answer counts as not known."""

    answer: Answer

    def _part(self, name: str) -> Answer:
        value = self.answer.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def pid(self) -> t.Optional[int]:
        """The process id that the instance has now."""
        pid = self._part("process").get("pid")
        return pid if isinstance(pid, int) else None

    @property
    def identity(self) -> Identity:
        """Process id and start, which no two processes share."""
        return self.pid, self._part("process").get("started")

    @property
    def process(self) -> str:
        """What there is of the process: C(alive), C(dead), C(another), C(hidden) or C(absent)."""
        return str(self._part("process").get("state") or "absent")

    @property
    def is_alive(self) -> bool:
        """Whether the instance's own process lives."""
        return self.process == "alive"

    @property
    def is_found(self) -> bool:
        """Whether there is an instance at all."""
        return bool(self.answer.get("found", True))

    @property
    def is_down(self) -> bool:
        """Whether no process lives, and nothing answers."""
        return not self.is_found or bool(self.answer.get("down"))

    @property
    def is_ready(self) -> bool:
        """Whether it answers and has work for miners."""
        return bool(self.answer.get("ready")) and not self.is_down

    @property
    def state(self) -> str:
        """The state of the instance, in the word that all modules have for it."""
        return "down" if self.is_down else str(self._part("instance").get("state") or "unknown")

    @property
    def takes_orders(self) -> bool:
        """Whether its listener answers, which is what takes a shutdown or restart."""
        return bool(self.answers.get("listener") == "reply")

    @property
    def answers(self) -> t.Dict[str, str]:
        """What each socket did."""
        return self._part("answers")

    @property
    def answering(self) -> t.List[str]:
        """The sockets that answer."""
        return [name for name in SOCKETS if self.answers.get(name) == "reply"]

    @property
    def clients(self) -> t.Optional[int]:
        """Clients, by the connector's count."""
        clients = self.answer.get("clients")
        return clients if isinstance(clients, int) else None

    @property
    def instance(self) -> t.Optional[Answer]:
        """The instance under the names of the modules' results."""
        return self._part("instance") or None

    @property
    def stats(self) -> Answer:
        """Users, workers, hashrate1m and work_age, where they were wanted and are known."""
        return self._part("stats")

    @property
    def service(self) -> Answer:
        """The systemd unit of the process; empty without one."""
        return self._part("service")

    @property
    def leftovers(self) -> t.List[str]:
        """Files that nobody stands behind any more."""
        return list(self.answer.get("leftovers") or [])

    @property
    def obstacles(self) -> t.List[t.Dict[str, str]]:
        """What would make a handover fail."""
        return list(self._part("handover").get("obstacles") or [])

    @property
    def holder_pids(self) -> t.List[int]:
        """The processes that hold the sockets; empty where nobody is known to."""
        return [
            entry["pid"] for entry in self.answer.get("holders") or [] if isinstance(entry, dict) and "pid" in entry
        ]

    @property
    def holders(self) -> str:
        """Who holds the sockets, as text; empty where nobody is known to."""
        holders = [entry for entry in self.answer.get("holders") or [] if isinstance(entry, dict)]
        return ", ".join(f"pid {entry.get('pid')} ({entry.get('command')})" for entry in holders)

    def describe(self, is_rejecting: bool = False) -> str:
        """The state for a person: C(accepting, 12 clients)."""
        if self.state in ("down", "hung", "unknown"):
            return self.state
        return f"{'rejecting' if is_rejecting else 'accepting'}, {count(self.clients, 'client')}"


def count(number: t.Optional[int], noun: str) -> str:
    """C(1 client), C(12 clients), C(clients not known)."""
    if number is None:
        return f"{noun}s not known"
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Progress:
    """Lines for a person who waits: one when a phase begins to wait, and then one every few seconds."""

    def __init__(self, show: t.Callable[[str], None], clock: Clock) -> None:
        self._show = show
        self._clock = clock
        self._phase = ""
        self._shown = -math.inf

    def say(self, phase: str, text: str) -> None:
        """Show a line, unless the last one of the same phase is too young."""
        now = self._clock.now()
        if phase != self._phase or now - self._shown >= _LINE_SECONDS:
            self._phase, self._shown = phase, now
            self._show(f"{phase}: {text}")


class Watch:
    """One pool under observation.

    :ivar view: what the latest look found.
    :ivar phases: the phases that are over, as the result lists them.
    :ivar changed: whether any step did something, or may have.
    :ivar taken: the steps that were taken, or may have been, in their order.
    :ivar is_rejecting: whether the pool was told to reject, and not yet to accept again.
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
        :arg step: calls C(ckpool_step) with these arguments; raises Lost.
        :arg poll: seconds between two looks.
        :arg show: shows a line to a person.
        :arg reset: ends a connection that was lost, so that the next call makes a new one.
        """
        self._step = step
        self._clock = clock
        self._poll = max(poll, LEAST_POLL)
        self._progress = Progress(show, clock)
        self._reset = reset
        self._where: t.Dict[str, t.Any] = {}
        self._keeps: t.Tuple[str, ...] = ("socket_dir", "name", "log_dir")
        self._began = -math.inf
        self._losses = 0
        self._has_looked = False
        self.view = View({})
        self.phases: t.List[t.Dict[str, t.Any]] = []
        self.changed = False
        self.taken: t.List[str] = []
        self.is_rejecting = False
        self.phase = ""
        self.limit = math.inf
        self._phase_began = clock.now()

    def begin(self, phase: str, limit: float = math.inf) -> None:
        """End the phase before, and begin another.

        :arg limit: seconds that it may take.
        """
        self.end()
        self.phase, self.limit, self._phase_began = phase, limit, self._clock.now()

    def end(self) -> None:
        """End the phase, and write down what it took."""
        if self.phase:
            seconds = round(self.elapsed, 2)
            self.phases.append({"name": self.phase, "seconds": seconds, "clients": self.view.clients})
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
        """In what state the pool is, as far as is known."""
        if not self._has_looked:
            return "unknown: it was not seen"
        seen = self.view.describe(self.is_rejecting)
        return f"unknown since the connection was lost, last seen {seen}" if self._losses else seen

    def say(self, text: str) -> None:
        """Show a line of progress, unless there was one just now."""
        self._progress.say(self.phase, f"{text}, {self.spent}")

    def look(self, *wants: str) -> View:
        """Look at the pool, no sooner than a second after the look before. One lost connection is survived.

        :raises Unreachable: two were lost in a row, or the very first.
        :raises StepFailed: the module failed.
        """
        while True:
            self._rest_until(self._began + LEAST_POLL)
            try:
                return self._call({"step": "look", "wants": list(wants)})
            except Lost as exc:
                self._recover(exc)

    def do(self, step: str, **arguments: t.Any) -> View:
        """Take a step, meant for the process of the latest look, and see what it led to.

        A step whose connection is lost is not taken again, since it may have been taken: a look follows.

        :raises Unreachable: that look's connection was lost too.
        :raises StepFailed: the module failed.
        """
        self.is_rejecting = self.is_rejecting or step == "reject"
        if step == "restart":  # the next process reads its configuration anew
            self._keeps = ("socket_dir", "name")
        if step != "clean":
            arguments["pid"], arguments["started"] = self.view.identity
        try:
            view = self._call({"step": step, **arguments})
        except Lost as exc:
            self._note(step, True)
            self._recover(exc)
            return self.look()
        except StepFailed as exc:
            self._note(step, bool(exc.answer.get("changed")))
            raise
        self.is_rejecting = self.is_rejecting and step != "accept"
        self._note(step, bool(view.answer.get("changed", True)))
        return view

    def _note(self, step: str, is_change: bool) -> None:
        self.changed = self.changed or is_change
        if is_change and self.taken[-1:] != [step]:
            self.taken.append(step)

    def wait_for(self, is_done: t.Callable[[View], bool], tells: t.Callable[[View], str], *wants: str) -> bool:
        """Look until it is done, or until the phase's limit. The latest look may already show it.

        :arg tells: what a line of progress says.
        :returns: whether it is done.
        """
        while not is_done(self.view):
            if self.elapsed >= self.limit:
                return False
            self.say(tells(self.view))
            self.rest()
            self.look(*wants)
        return True

    def rest(self, poll: t.Optional[float] = None) -> None:
        """Wait until the next look is due, and at most until the phase's limit."""
        due = self._began + (poll or self._poll)
        self._rest_until(max(min(due, self._phase_began + self.limit), self._began + LEAST_POLL))

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._clock.sleep(seconds)

    @contextlib.contextmanager
    def undisturbed(self) -> t.Iterator[None]:
        """A stretch that nobody may interrupt."""
        with self._clock.held():
            yield

    def _rest_until(self, due: float) -> None:
        seconds = due - self._clock.now()
        if seconds > 0:
            self._clock.sleep(seconds)
        self._clock.check()

    def _call(self, arguments: t.Dict[str, t.Any]) -> View:
        """One call of the module.

        :raises Lost: the connection was.
        :raises StepFailed: the module failed.
        """
        self._began = self._clock.now()
        try:
            answer = self._step({**arguments, **self._where})
        except Lost:
            self._losses += 1
            self._clock.check()
            raise
        self._losses = 0
        if answer.get("failed"):
            self._clock.check()  # an interruption can also end the module, whose failure is then no news
            raise StepFailed(answer, self.phase)
        self._has_looked = True
        self.view = View(answer)
        if self.view.is_alive and self.view.instance:
            # Once the process is gone, nothing else leads back to its directory, its name and its log.
            self._where = {name: self.view.instance[name] for name in self._keeps if self.view.instance.get(name)}
        self._clock.check()
        return self.view

    def _recover(self, exc: Lost) -> None:
        """After a lost connection: be ready for another.

        :raises Unreachable: it was not the first in a row, or nothing ever came over it.
        """
        if self._losses > 1 or not self._has_looked:
            raise Unreachable(
                str(exc),
                phase=self.phase,
                reason="unreachable",
                hint="look at the host; then run this again, it takes up from what it finds",
            )
        self.say(f"the connection was lost ({exc}), trying again")
        with contextlib.suppress(Exception):  # whatever a connection does when it is broken already
            self._reset()
        self.rest()
