# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart a pool by its own handover, in a way that keeps the miners. No Ansible."""

from __future__ import annotations

import contextlib
import typing as t

from ...module_utils._errors import PoolError
from ...module_utils._wording import counted, listed
from .._observation import SOCKETS, Observation
from .._step import StepFailed
from .._types import Json, Options
from .._waiting import Watch
from .flow import Flow, check_number

#: ways to close connections that need nothing of the daemon
_FROM_OUTSIDE = ("pidfd", "sock_destroy")
#: reasons and phases of a failed restart of which the daemon has seen nothing
_BEFORE_THE_ORDER = ("no_executable", "executable_fails", "no_process", "no_pid")
_PHASES_BEFORE = ("options", "find", "connect")


class Restart(Flow):
    """Make the daemon hand over to a new process, so that the miners stay."""

    def __init__(self, watch: Watch, options: Options, check_mode: bool = False) -> None:
        super().__init__(watch, options, check_mode)
        self._last_failure = ""
        self._also_severed = 0

    @classmethod
    def check(cls, options: Options) -> None:
        """Raise unless the options make sense together."""
        for name in ("restart_timeout", "ready_timeout", "clients_timeout"):
            check_number(options, name, 0)
        check_number(options, "clients_percent", 0, 100)

    def work(self) -> str:
        """Look, hand over, wait until the new process is ready, and wait for the miners."""
        self.facts.update(
            clients_after=None, obstacles=[], sever=None, severed=None, stranded_before=None, stranded_after=None,
            longest_gap=None,
        )  # fmt: skip
        seen = self.look_first("handover", "stats", "service", "connections")
        self._verify(seen)
        self._choose_sever(seen)
        if self.check_mode:
            after = f"state: {seen.describe()}\npid: a new one\n"
            return self.predict(f"would restart pid {seen.pid} with {counted(seen.clients, 'client')}", after)
        self._hand_over()
        self._wait_until_ready()
        self._wait_for_clients()
        return self._sentence()

    def _choose_sever(self, seen: Observation) -> None:
        """Choose how to free the miners whose connections the new process inherits, and warn if some may be lost."""
        wanted = self.options["sever"]
        best = str(seen.connections.get("sever") or "dropall")
        self.facts.update(sever=best if wanted == "auto" else wanted, stranded_before=seen.stranded)
        many = counted(seen.clients, "client")
        if self.facts["sever"] == "none":
            self.warn(f"{many} could be stranded: nobody closes the connections that the new process inherits")
        elif self.facts["sever"] == "dropall":
            why = seen.problems.get("connections") or "this host does not let connections be closed from outside"
            self.warn(
                f"{why}: the pool rejects for a second and drops {many} before the restart; miners that it does not know"
                " could be stranded without anybody seeing it"
            )
        left = self.describe_left(seen)
        if left:
            self.warn(f"{left}; the new process accepts")

    def _verify(self, seen: Observation) -> None:
        if not seen.is_found:
            self.fail(f"there is nothing to restart: {seen.answer.get('msg')}", "down", self._start_hint())
        if seen.is_down:
            self.fail("it is down, so there is nothing to restart", "down", self._start_hint())
        self.require_process(seen)
        self.facts["obstacles"] = seen.obstacles
        if not seen.takes_orders:
            said = seen.answers.get("listener", "nothing")
            permitted = "use become: true" if said == "not_permitted" else ""
            hint = permitted or "look at its log; shut it down with force_after, and start it"
            reason = said if permitted else "hung"
            self.fail(f"its listener does not answer ({said}), so it takes no restart", reason, hint)
        if self.options["force"]:
            return
        if seen.state == "hung":
            silent = listed(seen.silent)
            self.fail(f"{silent} does not answer", "hung", "does its bitcoind run? force: true restarts it anyway")
        if seen.obstacles:
            why = "; ".join(str(obstacle.get("message")) for obstacle in seen.obstacles)
            first = seen.obstacles[0]
            self.fail(why, str(first.get("reason")), f"{first.get('hint')}; force: true goes on in spite of it")
        if self.options["clients_percent"] and seen.clients is None:
            hint = "clients_percent: 0 restarts it anyway"
            self.fail("the connector does not give the number of clients", "clients_unknown", hint)

    def _hand_over(self) -> None:
        """Order the restart, and wait for the new process. If anything fails, tell the old one to accept again."""
        try:
            self.watch.begin("handover", self.options["restart_timeout"])
            self._order()
            if not self._is_handed_over() or self._has_failed(self.watch.seen):
                self._fail_without_new()
        except BaseException:
            self._put_back()
            raise
        self.watch.is_rejecting = False

    def _order(self) -> None:
        """Order the restart. From here on looks may fail, as files and sockets are being replaced."""
        self.watch.is_rejecting = self.facts["sever"] == "dropall"
        try:
            self.watch.do("restart", sever=self.facts["sever"], try_program=not self.options["force"])
        except StepFailed as exc:
            self._last_failure = str(exc)
            if exc.answer.get("phase") in _PHASES_BEFORE or exc.reason in _BEFORE_THE_ORDER:
                raise

    def _is_handed_over(self) -> bool:
        """Look until a new process answers on every socket, or none can come; whether that is known in time."""
        while True:
            try:
                return self.watch.wait_for(self._is_over, self._handover_progress, "takeover")
            except StepFailed as exc:
                self._last_failure = str(exc)
                if self.watch.elapsed >= self.watch.limit:
                    return False
                self.watch.rest()

    def _is_over(self, seen: Observation) -> bool:
        """Whether there is nothing left to wait for: a new process answers, or none will come."""
        return self._is_new(seen) or self._has_failed(seen)

    def _has_failed(self, seen: Observation) -> bool:
        """Whether it is known that no new process will come."""
        return not self._has_new(seen) and seen.takeover.get("state") in ("ended", "none")

    def _has_new(self, seen: Observation) -> bool:
        return seen.is_alive and seen.identity != self.first.identity

    def _is_new(self, seen: Observation) -> bool:
        return self._has_new(seen) and seen.answering == list(SOCKETS)

    def _handover_progress(self, seen: Observation) -> str:
        if self._has_new(seen):
            return f"pid {seen.pid} is new, {listed(seen.answering) or 'no socket'} answers"
        return "no new process yet"

    def _fail_without_new(self) -> t.NoReturn:
        """Give up, naming the processes that there are instead of a new one that answers."""
        spent, takeover = self.watch.spent, self.watch.seen.takeover
        with contextlib.suppress(StepFailed):
            self.watch.look("holders", "takeover")
        seen = self.watch.seen
        held = f"; the sockets are held by {seen.holders}" if seen.holders else ""
        failure = f"; the last look failed: {self._last_failure}" if self._last_failure else ""
        if self._has_new(seen):
            self.watch.is_rejecting = False
            if seen.answering:
                silent = listed(seen.silent) or "its sockets"
                why = f"pid {seen.pid} has taken over, and does not answer on {silent} after {spent}"
                self.fail(why + held + failure, "not_answering", "look at the end of its log")
        old, hint = self._describe_old(seen)
        new = self._describe_missing(seen.takeover or takeover, spent)
        self.fail(f"{new}; {old}{held}{failure}", "no_new_process", hint)

    def _describe_missing(self, takeover: Json, spent: str) -> str:
        """What happened to the new process."""
        if takeover.get("state") == "ended":
            return f"the new process, pid {takeover.get('pid')}, has ended, {spent}"
        if takeover.get("state") == "none":
            return f"it started no new process, {spent}"
        return f"no new process after {spent}"

    def _describe_old(self, seen: Observation) -> t.Tuple[str, str]:
        """What happened to the old process, and what to do next."""
        if self._has_new(seen):  # a copy of the old one that found no program to become
            old = f"the old one, pid {self.first.pid}, is gone, and pid {seen.pid} has its command and answers nobody"
            return old, f"end that by ckpool_shutdown with force_after: 0, and {self._start_hint()}"
        if not seen.is_alive:
            return f"the old one, pid {self.first.pid}, is gone", self._start_hint()
        hint = "look at its log; can its program and its configuration still be read?"
        copies = listed(str(pid) for pid in seen.holder_pids if pid != seen.pid) if len(seen.holder_pids) > 1 else ""
        if copies:
            hint += f" End pid {copies}, which is a copy of the old one: it takes orders in its place and does nothing"
        return f"the old one, pid {seen.pid}, goes on", hint

    def _put_back(self) -> None:
        """Tell the old process to accept again, if it is still there."""
        if not self.watch.is_rejecting:
            return
        with self.watch.undisturbed(), contextlib.suppress(PoolError):
            if self.watch.seen.identity == self.first.identity:
                self._accept()
        if self._has_new(self.watch.seen):
            self.watch.is_rejecting = False
        self.left = self.watch.state
        if not self.watch.is_rejecting:
            self.left += ", as before" if self.watch.seen.identity == self.first.identity else ""
        elif not self.watch.seen.is_down:
            self.left += "; it could not be told to accept again"

    def _accept(self) -> None:
        try:
            self.watch.do("accept")
        except StepFailed:
            self.watch.look()  # the step is for the old process alone, so this shows what there is instead

    def _wait_until_ready(self) -> None:
        new = self.watch.seen.identity
        self.watch.begin("ready", self.options["ready_timeout"])

        def is_ready(seen: Observation) -> bool:
            self._fail_if_lost(seen, new)
            return seen.is_ready

        if not self.watch.wait_for(is_ready, lambda seen: f"pid {seen.pid} has no work yet"):
            seen = self.watch.seen
            why = f"pid {seen.pid} has taken over, and is {seen.state} without fresh work after {self.watch.spent}"
            self.fail(why, "not_ready", "does its bitcoind answer? Look at the end of its log")

    def _fail_if_lost(self, seen: Observation, new: t.Tuple[t.Optional[int], t.Optional[int]]) -> None:
        is_other = seen.is_alive and seen.identity != new
        if seen.is_down or is_other or seen.process in ("dead", "another"):
            now = f", and pid {seen.pid} runs now" if is_other else ""
            self.fail(f"the new process, pid {new[0]}, ended by itself{now}", "ended", "look at the end of its log")

    def _wait_for_clients(self) -> None:
        self.watch.begin("clients", self.options["clients_timeout"])
        are_back = self._are_back()
        if self._free_the_rest():
            are_back = self._are_back()
        before, after, percent = self.first.clients, self.watch.seen.clients, self.options["clients_percent"]
        if are_back or before is None or not percent:
            return
        if after is None or after * 100 < before * percent:
            have = f"{_known_number(after)} of {counted(before, 'client')} are back after {self.watch.spent}"
            self.fail(f"{have}, fewer than {percent} %", "clients_missing", "the others may be on another pool")

    def _are_back(self) -> bool:
        """Look until as many miners are back as before, and the watcher on the host is done; whether they are in time."""
        before, new = self.first.clients, self.watch.seen.identity

        def are_back(seen: Observation) -> bool:
            self._fail_if_lost(seen, new)
            self._record(seen)
            enough = before is None or (seen.clients is not None and seen.clients >= before)
            return enough and bool(seen.takeover.get("is_over", True))

        back = f"of {counted(before, 'client')} are back"
        self.watch.look("takeover")  # which the latest look did not ask for
        return self.watch.wait_for(are_back, lambda seen: f"{_known_number(seen.clients)} {back}", "takeover")

    def _record(self, seen: Observation) -> None:
        self.facts["clients_after"] = seen.clients
        if seen.takeover:
            severed = seen.takeover.get("severed")
            self.facts["severed"] = (severed if isinstance(severed, int) else 0) + self._also_severed
            self.facts["longest_gap"] = seen.takeover.get("longest_gap")

    def _free_the_rest(self) -> bool:
        """Free the miners that are still stranded; whether any was."""
        seen = self.watch.look("connections", "takeover")
        self._record(seen)
        self.facts["stranded_after"] = seen.stranded
        if not seen.stranded or self.facts["sever"] not in _FROM_OUTSIDE:
            return False
        severed = self.watch.do("sever").answer.get("severed")
        self.facts["stranded_after"] = self.watch.look("connections").stranded
        if isinstance(severed, int):
            self._also_severed += severed
        return bool(severed)

    def _sentence(self) -> str:
        seen = self.watch.seen
        back = f"{_known_number(self.facts['clients_after'])} of {counted(self.first.clients, 'client')} are back"
        text = f"{self.describe()} was handed over from pid {self.first.pid} to pid {seen.pid}, and is ready"
        text += f"; {back}" if self.first.clients is not None else ""
        lost = self.facts["stranded_after"]
        text += f", {lost} are stranded" if lost else ""
        gap = self.facts["longest_gap"]
        return f"{text}, after {gap:.1f} s at most" if isinstance(gap, (int, float)) else text

    def _start_hint(self) -> str:
        """How to start this pool, as a hint."""
        unit = self.first.service.get("unit")
        return f"start it: systemctl start {unit}" if unit else "start it, as with systemctl start ckpool"


def _known_number(value: t.Any) -> str:
    return "an unknown number" if value is None else str(value)
