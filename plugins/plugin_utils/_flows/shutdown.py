# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shut a pool down: drain it if wanted, end its process, prove that it is gone. No Ansible."""

from __future__ import annotations

import re
import typing as t

from ...module_utils._errors import BadInput
from ...module_utils._names import parse_address
from ...module_utils._wording import counted, listed
from .._observation import Observation
from .._step import StepFailed
from .._types import Options
from .drain import Draining
from .flow import MOST, check_number

_KILL_SECONDS = 10.0  #: that the kernel has to end a process after SIGKILL
_UNIT = re.compile(r"(?!-)[A-Za-z0-9:_.@\\-]{1,255}\Z")
#: values of Restart= with which systemd starts a unit again after a shutdown, which is a success, and after a SIGKILL
_RESTARTED = ("always", "on-success")
_RESTARTED_KILLED = ("always", "on-failure", "on-abnormal", "on-abort")


class Shutdown(Draining):
    """Send the miners elsewhere if wanted, end the process, and prove that it is gone."""

    @classmethod
    def check(cls, options: Options) -> None:
        """Raise unless the options make sense together."""
        for name in ("drain_timeout", "shutdown_timeout", "force_after", "kill_after", "sever_after"):
            check_number(options, name, 0)
        check_number(options, "drain_until", 0, MOST)
        if options["redirect_to"] is not None:
            parse_address(options["redirect_to"])
        if options["force_after"] is not None and options["force_after"] > options["shutdown_timeout"]:
            raise BadInput(
                f"force_after ({options['force_after']:g}) must not be more than shutdown_timeout"
                f" ({options['shutdown_timeout']:g}): the wait is over before",
                reason="out_of_range",
            )
        if options["service"] is not None and not _UNIT.match(options["service"]):
            raise BadInput(f"service {options['service']!r} cannot be the name of a unit", reason="bad_service")

    def work(self) -> str:
        """Look, drain, end the process, and remove its files."""
        self.facts.update(forced=None, removed=[], sent_away=None, stranded=None, severed=None)
        wants, arguments = self.wants()
        seen = self.look_first(*wants, **arguments)
        self.facts["stranded"] = seen.stranded
        if not (seen.is_down or seen.takes_orders or seen.state == "unknown" or self.check_mode):
            # It may be about to end, because somebody else shuts it down too.
            seen = self.first = self.watch.look(*wants, **arguments)
        if seen.is_down:
            return self._already_down(seen)
        self.require_process(seen)
        unit = self._unit(seen)
        self._require_orders(seen, unit)
        if self.check_mode:
            return self._prediction(seen, unit)
        if self.options["redirect_to"] and seen.takes_orders:
            self.drain()
        self._end(unit)
        self._warn_of_systemd(unit)
        self._clean()
        return self._sentence(unit)

    def _already_down(self, seen: Observation) -> str:
        if not seen.is_found:
            return "nothing runs here, and nothing is left of it"
        self._clean()
        removed = self.facts["removed"]
        return f"{self.describe()} is down already" + (f"; removed {listed(removed)}" if removed else "")

    def _unit(self, seen: Observation) -> t.Optional[str]:
        """The unit to stop instead of the process, if any."""
        service: t.Optional[str] = self.options["service"]
        if service != "auto":
            return service
        unit = seen.service.get("unit")
        if not unit:
            why = seen.problems.get("service") or f"pid {seen.pid} belongs to no systemd unit"
            self.fail(f"service is auto, and {why}", "no_service", "name the unit, or leave out service")
        return str(unit)

    def _require_orders(self, seen: Observation, unit: t.Optional[str]) -> None:
        """Give up if the pool would not take the orders that are to come."""
        said = seen.answers.get("listener", "nothing")
        if said == "not_permitted":
            self.fail("its sockets may not be used by this user", said, "use become: true")
        if not seen.takes_orders and not unit and self.options["force_after"] is None:
            self.fail(
                f"its listener does not answer ({said}): a hung pool takes no shutdown",
                "hung",
                "set force_after to end its process by signals, or service to have systemd stop it",
            )
        if self.options["redirect_to"] and seen.takes_orders:
            self.require_redirect()
            if seen.clients is None:
                self._fail_without_clients(seen)

    def _prediction(self, seen: Observation, unit: t.Optional[str]) -> str:
        drain = f"send {counted(seen.clients, 'client')} to {self.options['redirect_to']}, then "
        drain = drain if self.options["redirect_to"] and seen.takes_orders else ""
        how = f"stop {unit}" if unit else "shut it down" if seen.takes_orders else "end its process by signals"
        self._warn_of_systemd(unit)
        files = "leftovers: none\n" if self.options["remove_leftovers"] else ""
        return self.predict(f"would {drain}{how}", f"state: down\npid: none\n{files}")

    def _end(self, unit: t.Optional[str]) -> None:
        """End the process: by its unit or its listener, then by signals if those are allowed."""
        force, seen = self.options["force_after"], self.watch.seen
        if unit or seen.takes_orders:
            limit = self.options["shutdown_timeout"] if force is None else force
            self.watch.begin("shutdown", limit)
            why = self._order("stop_service", service=unit) if unit else self._order("shutdown")
            if self._is_down_in_time():
                return
            if force is None:
                self._fail_unless_down(why)
                return
        for step, seconds in (("terminate", self.options["kill_after"]), ("kill", _KILL_SECONDS)):
            self.watch.begin(step, seconds)
            why = self._order(step)
            self.facts["forced"] = self.facts["forced"] if why else step
            if self._is_down_in_time():
                return
        self._fail_unless_down(why)

    def _order(self, step: str, **arguments: t.Any) -> str:
        """Take a step that ends the process; why the module failed, empty if it did not.

        The daemon may end before it has sent its reply, and the process before the step is taken. So a look decides
        whether the failure counts.
        """
        try:
            self.watch.do(step, **arguments)
        except StepFailed as exc:
            seen = self.watch.look()
            is_over = seen.is_down or exc.reason == "another_process"
            may_be_forced = step == "shutdown" and self.options["force_after"] is not None
            has_no_reply = step == "shutdown" and exc.answer.get("phase") in ("ask", "read")
            if not is_over and not has_no_reply and not may_be_forced:
                raise
            return str(exc)
        return ""

    def _is_down_in_time(self) -> bool:
        """Look until it is down; whether it is before the limit."""
        return self.watch.wait_for(self._is_down_for_good, self._shutdown_progress)

    def _is_down_for_good(self, seen: Observation) -> bool:
        if seen.is_alive and seen.identity != self.first.identity:
            unit = seen.service.get("unit") or self.first.service.get("unit")
            by = f" by {unit}" if unit else ""
            self.fail(
                f"pid {self.first.pid} ended, and was started again{by} as pid {seen.pid}",
                "resurrected",
                "set service: auto to stop the unit" if unit else "stop what starts it again",
            )
        return seen.is_down

    def _shutdown_progress(self, seen: Observation) -> str:
        if seen.is_alive:
            return f"pid {seen.pid} still runs"
        return f"pid {self.first.pid} is gone, {listed(seen.answering) or 'a socket'} still accepts"

    def _fail_unless_down(self, why: str) -> None:
        """Look at what is left of it, and fail if anything is."""
        spent = self.watch.spent
        seen = self.watch.look("holders")
        if self._is_down_for_good(seen):
            return
        answering = f", {listed(seen.answering)} still answer" if seen.answering else ", no socket answers"
        process = f"pid {seen.pid} still runs" if seen.is_alive else f"pid {self.first.pid} is gone"
        held = f", the sockets are held by {seen.holders}" if seen.holders and not seen.is_alive else ""
        hint = "set force_after" if self.options["force_after"] is None else "look at its log and at the process"
        self.fail(f"{process} after {spent}{answering}{held}" + (f" ({why})" if why else ""), "still_running", hint)

    def _warn_of_systemd(self, unit: t.Optional[str]) -> None:
        """Warn if systemd may start it again, and fail if it does so at once."""
        service = self.first.service
        kinds = _RESTARTED_KILLED if self.facts["forced"] == "kill" else _RESTARTED
        if unit or service.get("restart") not in kinds:
            return
        if not self.check_mode:
            self.watch.rest()
            self._is_down_for_good(self.watch.look())
        text = f"{service.get('unit')} has Restart={service['restart']} and may start it again; service: auto stops it"
        self.warn(text)

    def _clean(self) -> None:
        """Remove the files that the process left, if wanted."""
        left = self.watch.seen.leftovers
        if not self.options["remove_leftovers"] or not left:
            return
        if self.check_mode:
            self.watch.changed = True
            self.facts["removed"] = left
            return
        self.watch.begin("clean")
        seen = self.watch.do("clean")
        self.facts["removed"] = [name for name in left if name not in seen.leftovers]

    def _sentence(self, unit: t.Optional[str]) -> str:
        forced = {"terminate": ", by SIGTERM", "kill": ", by SIGKILL"}.get(self.facts["forced"], "")
        hung = "" if self.first.takes_orders else "; its listener did not answer, so it took no shutdown"
        parts = [f"{self.describe()} is down{forced}: pid {self.first.pid} is gone, nothing answers{hung}"]
        if unit:
            parts.append(f"{unit} was stopped")
        if self.facts["sent_away"] is not None:
            parts.append(f"{counted(self.facts['sent_away'], 'client')} sent to {self.options['redirect_to']} before")
        if self.facts["removed"]:
            parts.append(f"removed {listed(self.facts['removed'])}")
        return "; ".join(parts)
