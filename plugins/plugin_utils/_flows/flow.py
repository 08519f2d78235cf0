# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all flows share: options, the first look, failures and results. No Ansible."""

from __future__ import annotations

import abc
import typing as t

from ...module_utils._errors import BadInput, PoolError
from ...module_utils._options import check_range
from ...module_utils._wording import listed, utc_time
from .._observation import Observation
from .._step import Stopped, Unreachable
from .._types import Json, Options
from .._waiting import LEAST_POLL, Watch

LONGEST = 604800.0  #: seconds, the longest wait that an option may set
MOST = 2**31 - 1  #: the largest number that an option may count


def check_number(options: Options, name: str, least: float, most: float = LONGEST) -> None:
    """Raise unless an option is None or within a range, both ends included.

    :raises BadInput: naming the option.
    """
    check_range(name, options.get(name), least, most)


class Flow(abc.ABC):
    """What an operator wants of a pool, with the options of the task."""

    def __init__(self, watch: Watch, options: Options, check_mode: bool = False) -> None:
        self.watch = watch
        self.options = options
        self.check_mode = check_mode
        self.first = Observation({})
        self.facts: Json = {}
        self.left = ""  #: the state in which the pool was left, if the latest look does not show it
        self.predicted = ""  #: in check mode, the state that would follow

    @classmethod
    @abc.abstractmethod
    def check(cls, options: Options) -> None:
        """Raise unless the options make sense together.

        :raises BadInput: naming the option.
        """

    @abc.abstractmethod
    def work(self) -> str:
        """Do everything; a sentence about what was done.

        :raises PoolError: it could not be done.
        """

    def run(self) -> Json:
        """Do everything; the result of the task, also of a failure. Only an interruption raises."""
        try:
            check_number(self.options, "poll", LEAST_POLL, 3600)
            self.check(self.options)
            msg = self.work()
        except PoolError as exc:
            return self._failure(exc)
        self.watch.end()
        return self._result(msg=msg)

    def describe(self) -> str:
        """The pool for a person: its name and socket directory."""
        instance = self.watch.seen.instance or self.first.instance
        return f"{instance.get('name')} ({instance.get('socket_dir')})" if instance else "the pool"

    def look_first(self, *wants: str, phase: str = "verify", **arguments: t.Any) -> Observation:
        """The look that later ones are compared with.

        :arg phase: the name of the phase of this look.
        """
        self.watch.begin(phase)
        self.first = self.watch.look(*wants, **arguments)
        self.facts.update(clients_before=self.first.clients, stats_before=self.first.stats or None)
        return self.first

    def require_process(self, seen: Observation) -> None:
        """Raise unless the process of the pool is known for certain.

        :raises Stopped: saying why it is not.
        """
        if seen.is_alive and None not in seen.identity:
            return
        answering = f", and yet {listed(seen.answering)} answer" if seen.answering else ""
        process = f"process {seen.pid}"
        look = "find out who holds the sockets: ss -xlp"
        reasons = {
            "another": (f"main.pid names {process}, which is another program{answering}; it is left alone", "another_process", look),
            "hidden": (f"{process} cannot be seen by this user", "not_permitted", "use become: true"),
            "alive": (f"the start of {process} cannot be read", "not_permitted", "use become: true"),
            "dead": (f"{process}, which main.pid names, has ended{answering}", "dead", look),
        }  # fmt: skip
        absent = (
            f"there is no main.pid that names its process{answering}",
            "no_pid",
            "is a restart going on? try again",
        )
        why, reason, hint = reasons.get(seen.process, absent)
        self.fail(why, reason, hint)

    def fail(self, why: str, reason: str, hint: str = "", **facts: t.Any) -> t.NoReturn:
        """Give up.

        :arg facts: for the result.
        :raises Stopped: always.
        """
        raise Stopped(f"{self.describe()}: {why}", phase=self.watch.phase, reason=reason, hint=hint, facts=facts)

    def warn(self, text: str) -> None:
        """Add a warning to the result."""
        self.facts.setdefault("warnings", []).append(text)

    def describe_left(self, seen: Observation) -> str:
        """Which earlier run left the pool rejecting, and when; empty if it accepts."""
        left = seen.left_rejecting
        if not left:
            return ""
        since = left.get("since")
        when = f" at {utc_time(since)}" if isinstance(since, int) else ""
        return f"pid {seen.pid} was left rejecting by an earlier run ({left.get('by')}){when}"

    def _add_log_tail(self, exc: PoolError) -> None:
        """Add the end of the pool's log to a failure that is about the pool."""
        if isinstance(exc, (BadInput, Unreachable)) or exc.facts.get("log_tail"):
            return
        tail = self.watch.seen.answer.get("log_tail") or self.watch.last_lines()
        if tail:
            exc.facts["log_tail"] = tail

    def _failure(self, exc: PoolError) -> Json:
        phase = self.watch.phase or exc.phase
        self.watch.end()
        self._add_log_tail(exc)
        left = self.left or self.watch.state
        done = f"; done before: {listed(self.watch.taken)}" if self.watch.taken else ""
        msg = f"{phase}: {exc}{done}" + (f". Hint: {exc.hint}" if exc.hint else "")
        result = self._result(msg=msg, failed=True, phase=phase, reason=exc.reason, hint=exc.hint, path=exc.path)
        result.update(exc.facts, state=left)
        if isinstance(exc, Unreachable):
            taken = f"taken before: {listed(self.watch.taken)}" if self.watch.taken else "nothing was done before"
            text = f"{phase}: the connection was lost ({exc}); {taken}; state of the pool: {left}"
            result.update(unreachable=True, msg=text)
            del result["failed"]
        return result

    def _result(self, **more: t.Any) -> Json:
        seen = self.watch.seen
        return {
            "changed": self.watch.changed,
            "phases": [] if self.check_mode else self.watch.phases,
            "instance": seen.instance or self.first.instance,
            "pid_before": self.first.pid if self.first.is_alive else None,
            "pid_after": seen.pid if seen.is_alive else None,
            "diff": {"before": self._text(self.first), "after": self.predicted or self._text(seen)},
            **self.facts,
            **more,
        }

    def _text(self, seen: Observation) -> str:
        """The state as a diff shows it."""
        pid = seen.pid if seen.is_alive else "none"
        files = f"leftovers: {listed(seen.leftovers) or 'none'}\n" if self.options.get("remove_leftovers") else ""
        return f"state: {seen.describe()}\npid: {pid}\n{files}"

    def predict(self, msg: str, after: str) -> str:
        """The sentence of check mode about a change, which is recorded.

        :arg after: the state that would follow, for a diff.
        """
        self.watch.changed = True
        self.predicted = after
        return f"{self.describe()}: {msg}"
