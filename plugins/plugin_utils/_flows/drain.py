# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the miners of a pool elsewhere until few enough are left. No Ansible."""

from __future__ import annotations

import math
import typing as t

from ...module_utils._wording import counted
from .._observation import Observation
from .._step import StepFailed
from .._types import Json
from .flow import Flow

#: the options of every flow that drains
OPTIONS: Json = {
    "redirect_to": {"type": "str"},
    "redirect_check": {"type": "bool", "default": True},
    "drain_until": {"type": "int", "default": 0},
    "drain_timeout": {"type": "float", "default": 300.0},
    "on_drain_timeout": {"type": "str", "default": "fail", "choices": ["fail", "continue"]},
}
_AGAIN_SECONDS = 10.0  #: between two reconnects of a drain, for miners that connected since


class Draining(Flow):
    """A flow that drains: it ends or replaces a process, and has somewhere else to send its miners.

    Its options are C(redirect_to redirect_check drain_until drain_timeout on_drain_timeout force_after sever_after).
    """

    def wants(self) -> t.Tuple[t.List[str], Json]:
        """What the first look looks for, and the arguments of that: also the pool to which the miners shall go."""
        wants, arguments = ["stats", "service", "connections"], {}
        if self.options["redirect_to"] is not None and self.options["redirect_check"]:
            wants.append("redirect")
            arguments["redirect_to"] = self.options["redirect_to"]
        return wants, arguments

    def drain(self) -> None:
        """Send clients elsewhere until no more than drain_until are left."""
        enough, limit = self.options["drain_until"], self.options["drain_timeout"]
        self.watch.begin("drain", limit)
        sent = -math.inf
        self._accept()
        while not self._is_drained(self.watch.seen, enough):
            if self.watch.elapsed >= limit:
                self._give_up_drain()
                return
            if self.watch.elapsed - sent >= _AGAIN_SECONDS:
                # The count right after that step proves nothing: all are gone for a moment, and some come back.
                sent = self.watch.elapsed
                self._send_away()
            self._sever()
            self.watch.say(f"{counted(self.watch.seen.clients, 'client')} left")
            self.watch.rest()
            self.watch.look()

    def require_redirect(self) -> None:
        """Give up if nothing would take the miners."""
        problem = self.first.redirect_problem
        if problem:
            hint = "is the address right, and does the pool there run? redirect_check: false redirects them without this check"
            self.fail(problem, "redirect_unreachable", hint)

    def _accept(self) -> None:
        """End a rejection that an earlier run left: a pool that rejects does not notice which clients leave."""
        left = self.describe_left(self.first)
        if left:
            self.warn(f"{left}, accepting again")
            self.watch.do("accept")

    def _send_away(self) -> None:
        try:
            options = {name: self.options[name] for name in ("redirect_to", "redirect_check")}
            self.watch.do("reconnect", **options)
        except StepFailed:
            seen = self.watch.look()
            self._fail_if_ended(seen)  # which explains why the step failed
            if not self._is_to_be_forced(seen):
                raise

    def _sever(self) -> None:
        """Close the connections of clients that did not follow the reconnect, if wanted."""
        after = self.options["sever_after"]
        if after is None or self.watch.elapsed < after or self.facts["severed"] is not None:
            return
        seen = self.watch.do("sever", which="all")
        severed = seen.answer.get("severed")
        self.facts["severed"] = severed if isinstance(severed, int) else None

    def _is_to_be_forced(self, seen: Observation) -> bool:
        """Whether it no longer takes orders, and may be ended by signals."""
        return not seen.takes_orders and self.options["force_after"] is not None

    def _fail_if_ended(self, seen: Observation) -> None:
        """Give up if the process of the first look has ended.

        :raises Stopped: it has.
        """
        if seen.is_alive and seen.identity == self.first.identity:
            return
        if seen.process == "alive":
            self.fail(f"ended by itself: pid {self.first.pid} is gone, and pid {seen.pid} runs now", "ended")
        if seen.is_down or seen.process in ("dead", "another", "absent"):
            self.fail(f"ended by itself: pid {self.first.pid} is gone", "ended", "look at the end of its log")

    def _is_drained(self, seen: Observation, enough: int) -> bool:
        self._fail_if_ended(seen)
        if seen.clients is None and seen.takes_orders:
            seen = self.watch.look()  # it may have been stopped during the look
            self._fail_if_ended(seen)
        if self._is_to_be_forced(seen):
            self.warn(f"the drain was ended: its listener no longer answers, {self.watch.spent}")
            return True
        if not seen.takes_orders:
            hint = "look at the end of its log; set force_after to end its process by signals"
            self.fail("its listener no longer answers", "hung", hint)
        if seen.clients is None:
            self._fail_without_clients(seen)
        self.facts["sent_away"] = max((self.first.clients or 0) - seen.clients, 0)
        return seen.clients <= enough

    def _give_up_drain(self) -> None:
        seen, allowed = self.watch.seen, self.options["drain_until"]
        left = f"{seen.clients} of {counted(self.first.clients, 'client')} are still there after {self.watch.spent}"
        if self.options["on_drain_timeout"] == "fail":
            self.fail(
                f"{left}, more than {allowed}; {self.facts['sent_away']} were sent away, the pool goes on",
                "drain_timeout",
                "raise drain_timeout or drain_until, or set on_drain_timeout: continue",
            )

    def _fail_without_clients(self, seen: Observation) -> t.NoReturn:
        said = seen.answers.get("connector", "nothing")
        self.fail(
            f"the connector does not give the number of clients ({said}), so a drain cannot be followed",
            "clients_unknown",
            "leave out redirect_to to shut it down without a drain",
        )
