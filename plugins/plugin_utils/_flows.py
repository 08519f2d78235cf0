# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waiting actions do, step by step: shut a pool down, restart it, wait for a condition. No Ansible."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import math
import re
import typing as t

from ..module_utils._errors import BadInput, PoolError
from ..module_utils._names import parse_address
from ..module_utils._units import human_hashrate, parse_hashrate
from ._waiting import LEAST_POLL, SOCKETS, StepFailed, Stopped, Unreachable, View, Watch, count

Result = t.Dict[str, t.Any]
Options = t.Mapping[str, t.Any]

LONGEST = 604800.0  #: seconds that any wait may be given
_AGAIN_SECONDS = 10.0  #: between two reconnects of a drain: miners that come anew are sent away again
_KILL_SECONDS = 10.0  #: for the kernel to end a process after SIGKILL
_HANDOVER_PAUSE = 1.0  #: between reconnect and restart: the miners are in the TCP backlog by then
_UNIT = re.compile(r"(?!-)[A-Za-z0-9:_.@\\-]{1,255}\Z")
#: What systemd brings back after a shutdown, which it takes for a success, and after a SIGKILL, which it does not.
_COMES_BACK = ("always", "on-success")
_COMES_BACK_KILLED = ("always", "on-failure", "on-abnormal", "on-abort")


def check_number(options: Options, name: str, least: float, most: float = LONGEST) -> None:
    """Refuse a number outside a range, both ends included; None is none.

    :raises BadInput: naming the option.
    """
    value = options.get(name)
    if value is not None and not least <= value <= most:
        raise BadInput(f"{name} must be from {least:g} to {most:g}, not {value:g}", reason="out_of_range")


class Flow(abc.ABC):
    """One thing that an operator wants of a pool, with the options as the operator gave them."""

    def __init__(self, watch: Watch, options: Options, check_mode: bool = False) -> None:
        self.watch = watch
        self.options = options
        self.check_mode = check_mode
        self.first = View({})
        self.facts: Result = {}
        self.left = ""  #: in what state the pool was left, where that is more than the latest look shows
        self.predicted = ""  #: what the state would be, in check mode

    @classmethod
    @abc.abstractmethod
    def check(cls, options: Options) -> None:
        """Refuse options that make no sense.

        :raises BadInput: naming the option.
        """

    @abc.abstractmethod
    def work(self) -> str:
        """Do it all; a sentence about what was done.

        :raises PoolError: it could not be done.
        """

    def run(self) -> Result:
        """Do it all, and give the results of the module. Does not raise, unless it is interrupted."""
        try:
            check_number(self.options, "poll", LEAST_POLL, 3600)
            self.check(self.options)
            msg = self.work()
        except PoolError as exc:
            return self._failure(exc)
        self.watch.end()
        return self._result(msg=msg)

    def describe(self) -> str:
        """The pool for a person, by name and place."""
        instance = self.watch.view.instance or self.first.instance
        return f"{instance.get('name')} ({instance.get('socket_dir')})" if instance else "the pool"

    def look_first(self, *wants: str) -> View:
        """The look that everything else is judged by."""
        self.watch.begin("verify")
        self.first = self.watch.look(*wants)
        self.facts.update(clients_before=self.first.clients, stats_before=self.first.stats or None)
        return self.first

    def require_process(self, view: View) -> None:
        """Refuse to go on with a pool whose process is not known for certain.

        :raises Stopped: saying why it is not.
        """
        if view.is_alive and None not in view.identity:
            return
        answering = f", and yet {_names(view.answering)} answer" if view.answering else ""
        pid = f"process {view.pid}"
        ask = "find out who holds the sockets: ss -xlp"
        why, reason, hint = {
            "another": (
                f"main.pid names {pid}, which is another program{answering}; it is left alone",
                "another_process",
                ask,
            ),
            "hidden": (f"{pid} cannot be seen by this user", "not_permitted", "use become: true"),
            "alive": (f"the start of {pid} cannot be read", "not_permitted", "use become: true"),
            "dead": (f"{pid}, which main.pid names, has ended{answering}", "dead", ask),
        }.get(
            view.process,
            (f"there is no main.pid to know its process by{answering}", "no_pid", "is a restart going on? try again"),
        )  # fmt: skip
        raise Stopped(f"{self.describe()}: {why}", phase=self.watch.phase, reason=reason, hint=hint)

    def fail(self, why: str, reason: str, hint: str = "", **facts: t.Any) -> t.NoReturn:
        """Give up.

        :raises Stopped: always.
        """
        tail = self.watch.view.answer.get("log_tail")
        if tail:
            facts.setdefault("log_tail", tail)
        raise Stopped(f"{self.describe()}: {why}", phase=self.watch.phase, reason=reason, hint=hint, facts=facts)

    def fail_if_ended(self, view: View) -> None:
        """Give up if the process of the first look is not there any more.

        :raises Stopped: it is not.
        """
        if view.is_alive and view.identity == self.first.identity:
            return
        if view.process == "alive":
            self.fail(f"ended by itself: pid {self.first.pid} is gone, and pid {view.pid} runs now", "ended")
        if view.is_down or view.process in ("dead", "another", "absent"):
            self.fail(f"ended by itself: pid {self.first.pid} is gone", "ended", "look at the end of its log")

    def restart_hint(self) -> str:
        """How this pool would be started."""
        unit = self.first.service.get("unit")
        return f"start it: systemctl start {unit}" if unit else "start it, as with systemctl start ckpool"

    def _failure(self, exc: PoolError) -> Result:
        phase = self.watch.phase or exc.phase
        self.watch.end()
        left = self.left or self.watch.state
        msg = f"{phase}: {exc}" + (f". Hint: {exc.hint}" if exc.hint else "")
        result = self._result(msg=msg, failed=True, phase=phase, reason=exc.reason, hint=exc.hint, path=exc.path)
        result.update(exc.facts, state=left)
        if isinstance(exc, Unreachable):
            taken = f"taken before: {_names(self.watch.taken)}" if self.watch.taken else "nothing was done before"
            text = f"{phase}: the connection was lost ({exc}); {taken}; state of the pool: {left}"
            result.update(unreachable=True, msg=text)
            del result["failed"]
        return result

    def _result(self, **more: t.Any) -> Result:
        view = self.watch.view
        return {
            "changed": self.watch.changed,
            "phases": [] if self.check_mode else self.watch.phases,
            "instance": view.instance or self.first.instance,
            "pid_before": self.first.pid if self.first.is_alive else None,
            "pid_after": view.pid if view.is_alive else None,
            "diff": {"before": self._text(self.first), "after": self.predicted or self._text(view)},
            **self.facts,
            **more,
        }

    def _text(self, view: View) -> str:
        """The state for a diff."""
        pid = view.pid if view.is_alive else "none"
        files = f"leftovers: {_names(view.leftovers) or 'none'}\n" if self.options.get("remove_leftovers") else ""
        return f"state: {view.describe()}\npid: {pid}\n{files}"

    def predict(self, msg: str, after: str) -> str:
        """What check mode says, where a change would follow.

        :arg after: the state then, for a diff.
        """
        self.watch.changed = True
        self.predicted = after
        return f"{self.describe()}: {msg}"


class Shutdown(Flow):
    """Send the miners elsewhere if asked to, end the process, and see that it is gone."""

    @classmethod
    def check(cls, options: Options) -> None:
        """Refuse options that make no sense."""
        for name in ("drain_timeout", "shutdown_timeout", "force_after", "kill_after"):
            check_number(options, name, 0)
        check_number(options, "drain_until", 0, 2**31 - 1)
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
        """Look, drain, shut down, force, clean."""
        self.facts.update(forced=None, removed=[], sent_away=None)
        view = self.look_first("stats", "service")
        if not (view.is_down or view.takes_orders or view.state == "unknown" or self.check_mode):
            # It may have been about to end: somebody else may shut it down, too.
            view = self.first = self.watch.look("stats", "service")
        if view.is_down:
            return self._already_down(view)
        self.require_process(view)
        unit = self._unit(view)
        self._require_orders(view, unit)
        if self.check_mode:
            return self._prediction(view, unit)
        if self.options["redirect_to"] and view.takes_orders:
            self._drain()
        self._end(unit)
        self._warn_of_return(unit)
        self._clean()
        return self._sentence(unit)

    def _already_down(self, view: View) -> str:
        if not view.is_found:
            return "nothing runs here, and nothing is left of it"
        self._clean()
        removed = self.facts["removed"]
        return f"{self.describe()} is down already" + (f"; removed {_names(removed)}" if removed else "")

    def _unit(self, view: View) -> t.Optional[str]:
        """The unit to stop instead of the process."""
        service: t.Optional[str] = self.options["service"]
        if service != "auto":
            return service
        unit = view.service.get("unit")
        if not unit:
            why = (view.answer.get("problems") or {}).get("service") or f"pid {view.pid} belongs to no systemd unit"
            self.fail(f"service is auto, and {why}", "no_service", "name the unit, or leave service out")
        return str(unit)

    def _require_orders(self, view: View, unit: t.Optional[str]) -> None:
        """Fail where nobody would hear what is to be said."""
        said = view.answers.get("listener", "nothing")
        if said == "not_permitted":
            self.fail("its sockets may not be used by this user", said, "use become: true")
        if not view.takes_orders and not unit and self.options["force_after"] is None:
            self.fail(
                f"its listener does not answer ({said}): a hung pool takes no shutdown",
                "hung",
                "set force_after to end its process by signals, or service to have systemd stop it",
            )
        if self.options["redirect_to"] and view.takes_orders and view.clients is None:
            self._fail_without_clients(view)

    def _fail_without_clients(self, view: View) -> t.NoReturn:
        said = view.answers.get("connector", "nothing")
        self.fail(
            f"the connector does not tell how many clients there are ({said}), so a drain cannot be followed",
            "clients_unknown",
            "leave redirect_to out to shut it down without a drain",
        )

    def _prediction(self, view: View, unit: t.Optional[str]) -> str:
        drain = f"send {count(view.clients, 'client')} to {self.options['redirect_to']}, then "
        drain = drain if self.options["redirect_to"] and view.takes_orders else ""
        how = f"stop {unit}" if unit else "shut it down" if view.takes_orders else "end its process by signals"
        self._warn_of_return(unit)
        files = "leftovers: none\n" if self.options["remove_leftovers"] else ""
        return self.predict(f"would {drain}{how}", f"state: down\npid: none\n{files}")

    def _drain(self) -> None:
        """Send clients elsewhere until few enough are left."""
        enough, limit = self.options["drain_until"], self.options["drain_timeout"]
        self.watch.begin("drain", limit)
        sent = -math.inf
        while not self._is_drained(self.watch.view, enough):
            if self.watch.elapsed >= limit:
                self._give_up_drain()
                return
            if self.watch.elapsed - sent >= _AGAIN_SECONDS:
                # What that step sees at once is no proof: all are gone for a moment, and some come back.
                sent = self.watch.elapsed
                self._send_away()
            self.watch.say(f"{count(self.watch.view.clients, 'client')} left")
            self.watch.rest()
            self.watch.look()

    def _send_away(self) -> None:
        try:
            self.watch.do("reconnect", redirect_to=self.options["redirect_to"])
        except StepFailed:
            self.fail_if_ended(self.watch.look())  # which is why it could not be told, then
            raise

    def _is_drained(self, view: View, enough: int) -> bool:
        self.fail_if_ended(view)
        if not view.takes_orders:
            self.fail("its listener does not answer any more", "hung", "look at the end of its log")
        if view.clients is None:
            self._fail_without_clients(view)
        self.facts["sent_away"] = max((self.first.clients or 0) - view.clients, 0)
        return view.clients <= enough

    def _give_up_drain(self) -> None:
        view, allowed = self.watch.view, self.options["drain_until"]
        left = f"{view.clients} of {count(self.first.clients, 'client')} are still there after {self.watch.spent}"
        if self.options["on_drain_timeout"] == "fail":
            self.fail(
                f"{left}, more than {allowed}; {self.facts['sent_away']} were sent away, the pool goes on",
                "drain_timeout",
                "raise drain_timeout or drain_until, or set on_drain_timeout: continue",
            )

    def _end(self, unit: t.Optional[str]) -> None:
        """End the process, by ever stronger means as far as those are allowed."""
        force, view = self.options["force_after"], self.watch.view
        if unit or view.takes_orders:
            limit = self.options["shutdown_timeout"] if force is None else force
            self.watch.begin("shutdown", limit)
            why = self._order("stop_service", service=unit) if unit else self._order("shutdown")
            if self._is_gone():
                return
            if force is None:
                self._look_last(why)
                return
        for step, seconds in (("terminate", self.options["kill_after"]), ("kill", _KILL_SECONDS)):
            self.watch.begin(step, seconds)
            why = self._order(step)
            self.facts["forced"] = self.facts["forced"] if why else step
            if self._is_gone():
                return
        self._look_last(why)

    def _order(self, step: str, **arguments: t.Any) -> str:
        """Take a step that ends the process; what the module said against it, empty if nothing.

        The daemon may be gone before its reply came through, and the process before the step was taken. What became
        of it is seen by looking.
        """
        try:
            self.watch.do(step, **arguments)
        except StepFailed as exc:
            view = self.watch.look()
            is_over = view.is_down or exc.reason == "another_process"
            if not is_over and (step != "shutdown" or exc.answer.get("phase") not in ("ask", "read")):
                raise
            return str(exc)
        return ""

    def _is_gone(self) -> bool:
        """Look until it is down."""
        return self.watch.wait_for(self._is_down_for_good, self._still)

    def _is_down_for_good(self, view: View) -> bool:
        if view.is_alive and view.identity != self.first.identity:
            unit = view.service.get("unit") or self.first.service.get("unit")
            by = f" by {unit}" if unit else ""
            self.fail(
                f"pid {self.first.pid} ended, and was started again{by} as pid {view.pid}",
                "resurrected",
                "set service: auto to stop the unit" if unit else "stop what starts it again",
            )
        return view.is_down

    def _still(self, view: View) -> str:
        if view.is_alive:
            return f"pid {view.pid} still runs"
        return f"pid {self.first.pid} is gone, {_names(view.answering) or 'a socket'} still accepts"

    def _look_last(self, why: str) -> None:
        """Look who is still there, and fail if anybody is."""
        spent = self.watch.spent
        view = self.watch.look("holders")
        if self._is_down_for_good(view):
            return
        answering = f", {_names(view.answering)} still answer" if view.answering else ", no socket answers"
        process = f"pid {view.pid} still runs" if view.is_alive else f"pid {self.first.pid} is gone"
        held = f", the sockets are held by {view.holders}" if view.holders and not view.is_alive else ""
        hint = "set force_after" if self.options["force_after"] is None else "look at its log and at the process"
        self.fail(f"{process} after {spent}{answering}{held}" + (f" ({why})" if why else ""), "still_running", hint)

    def _warn_of_return(self, unit: t.Optional[str]) -> None:
        """Say so where systemd is going to start it again, and see whether it does so at once."""
        service = self.first.service
        kinds = _COMES_BACK_KILLED if self.facts["forced"] == "kill" else _COMES_BACK
        if unit or service.get("restart") not in kinds:
            return
        if not self.check_mode:
            self.watch.rest()
            self._is_down_for_good(self.watch.look())
        text = f"{service.get('unit')} has Restart={service['restart']} and may start it again; service: auto stops it"
        self.facts["warnings"] = [text]

    def _clean(self) -> None:
        """Remove what the process left, if that is wanted."""
        left = self.watch.view.leftovers
        if not self.options["remove_leftovers"] or not left:
            return
        if self.check_mode:
            self.watch.changed = True
            self.facts["removed"] = left
            return
        self.watch.begin("clean")
        view = self.watch.do("clean")
        self.facts["removed"] = [name for name in left if name not in view.leftovers]

    def _sentence(self, unit: t.Optional[str]) -> str:
        forced = {"terminate": ", by SIGTERM", "kill": ", by SIGKILL"}.get(self.facts["forced"], "")
        hung = "" if self.first.takes_orders else "; its listener did not answer, so it took no shutdown"
        parts = [f"{self.describe()} is down{forced}: pid {self.first.pid} is gone, nothing answers{hung}"]
        if unit:
            parts.append(f"{unit} was stopped")
        if self.facts["sent_away"] is not None:
            parts.append(f"{count(self.facts['sent_away'], 'client')} sent to {self.options['redirect_to']} before")
        if self.facts["removed"]:
            parts.append(f"removed {_names(self.facts['removed'])}")
        return "; ".join(parts)


class Restart(Flow):
    """Have the daemon hand over to a new process, in a way that keeps the miners."""

    def __init__(self, watch: Watch, options: Options, check_mode: bool = False) -> None:
        super().__init__(watch, options, check_mode)
        self._last_failure = ""

    @classmethod
    def check(cls, options: Options) -> None:
        """Refuse options that make no sense."""
        for name in ("restart_timeout", "ready_timeout", "clients_timeout"):
            check_number(options, name, 0)
        check_number(options, "clients_percent", 0, 100)

    def work(self) -> str:
        """Verify, send the miners into the backlog, hand over, wait until ready, wait for the miners."""
        self.facts.update(clients_after=None, obstacles=[])
        view = self.look_first("handover", "stats", "service")
        self._verify(view)
        if self.check_mode:
            after = f"state: {view.describe()}\npid: a new one\n"
            return self.predict(f"would restart pid {view.pid} with {count(view.clients, 'client')}", after)
        self._hand_over()
        self._wait_until_ready()
        self._wait_for_clients()
        return self._sentence()

    def _verify(self, view: View) -> None:
        if view.is_down:
            self.fail("it is down, so there is nothing to restart", "down", self.restart_hint())
        self.require_process(view)
        self.facts["obstacles"] = view.obstacles
        if not view.takes_orders:
            said = view.answers.get("listener", "nothing")
            permitted = "use become: true" if said == "not_permitted" else ""
            hint = permitted or "look at its log; shut it down with force_after, and start it"
            reason = said if permitted else "hung"
            self.fail(f"its listener does not answer ({said}), so it takes no restart", reason, hint)
        if self.options["force"]:
            return
        if view.state == "hung":
            silent = _names([name for name, said in view.answers.items() if said != "reply"])
            self.fail(f"{silent} does not answer", "hung", "does its bitcoind run? force: true restarts it anyway")
        if view.obstacles:
            why = "; ".join(str(obstacle.get("message")) for obstacle in view.obstacles)
            first = view.obstacles[0]
            self.fail(why, str(first.get("reason")), f"{first.get('hint')}; force: true goes on in spite of it")
        if self.options["clients_percent"] and view.clients is None:
            hint = "leave clients_percent out"
            self.fail("the connector does not tell how many clients there are", "clients_unknown", hint)

    def _hand_over(self) -> None:
        """From the first word to the new process. Whatever goes wrong, the old one is told to accept again."""
        try:
            self.watch.begin("reconnect")
            self.watch.do("reject")
            self.fail_if_ended(self.watch.view)
            self.watch.do("reconnect")
            self.fail_if_ended(self.watch.view)
            self.watch.pause(_HANDOVER_PAUSE)
            self.watch.begin("handover", self.options["restart_timeout"])
            self._order()
            if not self._is_handed_over():
                self._fail_without_new()
        except BaseException:
            self._put_back()
            raise
        self.watch.is_rejecting = False

    def _order(self) -> None:
        """Say restart. From here on looks may fail: files and sockets are being replaced."""
        try:
            self.watch.do("restart")
        except StepFailed as exc:
            self._last_failure = str(exc)
            if exc.answer.get("phase") in ("options", "find", "connect"):
                raise

    def _is_handed_over(self) -> bool:
        """Look until a new process answers on every socket."""
        while True:
            try:
                return self.watch.wait_for(self._is_new, self._tell_handover)
            except StepFailed as exc:
                self._last_failure = str(exc)
                if self.watch.elapsed >= self.watch.limit:
                    return False
                self.watch.rest()

    def _has_new(self, view: View) -> bool:
        return view.is_alive and view.identity != self.first.identity

    def _is_new(self, view: View) -> bool:
        return self._has_new(view) and view.answering == list(SOCKETS)

    def _tell_handover(self, view: View) -> str:
        if self._has_new(view):
            return f"pid {view.pid} is new, {_names(view.answering) or 'no socket'} answers"
        return "no new process yet"

    def _fail_without_new(self) -> t.NoReturn:
        """Give up, naming what there is instead."""
        spent = self.watch.spent
        with contextlib.suppress(StepFailed):
            self.watch.look("holders")
        view = self.watch.view
        held = f"; the sockets are held by {view.holders}" if view.holders else ""
        failure = f"; the last look failed: {self._last_failure}" if self._last_failure else ""
        has_new = self._has_new(view)
        if has_new:
            self.watch.is_rejecting = False
        if has_new and view.answering:
            silent = _names([name for name, said in view.answers.items() if said != "reply"])
            why = f"pid {view.pid} has taken over, and does not answer on {silent or 'its sockets'} after {spent}"
            self.fail(why + held + failure, "not_answering", "look at the end of its log")
        if has_new:  # a copy of the old one that found no program to become
            old = f"the old one, pid {self.first.pid}, is gone, and pid {view.pid} has its command and answers nobody"
            hint = f"end that by ckpool_shutdown with force_after: 0, and {self.restart_hint()}"
        elif view.is_alive:
            old = f"the old one, pid {view.pid}, goes on"
            hint = "look at its log; can its program and its configuration still be read?"
            if len(view.holder_pids) > 1:
                copies = _names(str(pid) for pid in view.holder_pids if pid != view.pid)
                hint += (
                    f" End pid {copies}, which is a copy of the old one: it takes orders in its place and does nothing"
                )
        else:
            old, hint = f"the old one, pid {self.first.pid}, is gone", self.restart_hint()
        self.fail(f"no new process after {spent}; {old}{held}{failure}", "no_new_process", hint)

    def _put_back(self) -> None:
        """Have the old process accept again, if it is still there."""
        if not self.watch.is_rejecting:
            return
        with self.watch.undisturbed(), contextlib.suppress(PoolError):
            if self.watch.view.identity == self.first.identity:
                self._tell_to_accept()
        if self._has_new(self.watch.view):
            self.watch.is_rejecting = False
        self.left = self.watch.state
        if not self.watch.is_rejecting:
            self.left += ", as before" if self.watch.view.identity == self.first.identity else ""
        elif not self.watch.view.is_down:
            self.left += "; it could not be told to accept again"

    def _tell_to_accept(self) -> None:
        try:
            self.watch.do("accept")
        except StepFailed:
            self.watch.look()  # the module tells no process but the old one, so this shows what there is instead

    def _wait_until_ready(self) -> None:
        new = self.watch.view.identity
        self.watch.begin("ready", self.options["ready_timeout"])

        def is_ready(view: View) -> bool:
            self._fail_if_lost(view, new)
            return view.is_ready

        if not self.watch.wait_for(is_ready, lambda view: f"pid {view.pid} has no work yet"):
            view = self.watch.view
            why = f"pid {view.pid} has taken over, and is {view.state} without fresh work after {self.watch.spent}"
            self.fail(why, "not_ready", "does its bitcoind answer? Look at the end of its log")

    def _fail_if_lost(self, view: View, new: t.Tuple[t.Optional[int], t.Optional[int]]) -> None:
        if view.is_down or (view.is_alive and view.identity != new):
            now = f", and pid {view.pid} runs now" if view.is_alive else ""
            self.fail(f"the new process, pid {new[0]}, ended by itself{now}", "ended", "look at the end of its log")

    def _wait_for_clients(self) -> None:
        before, new = self.first.clients, self.watch.view.identity
        if before is None:
            return
        self.watch.begin("clients", self.options["clients_timeout"])

        def are_back(view: View) -> bool:
            self._fail_if_lost(view, new)
            self.facts["clients_after"] = view.clients
            return view.clients is not None and view.clients >= before

        tells = f"of {count(before, 'client')} are back"
        if self.watch.wait_for(are_back, lambda view: f"{_number(view.clients)} {tells}"):
            return
        after, percent = self.watch.view.clients, self.options["clients_percent"]
        if percent and (after is None or after * 100 < before * percent):
            have = f"{_number(after)} {tells} after {self.watch.spent}"
            self.fail(f"{have}, fewer than {percent} %", "clients_missing", "the others may be on another pool")

    def _sentence(self) -> str:
        view = self.watch.view
        back = f"{_number(self.facts['clients_after'])} of {count(self.first.clients, 'client')} are back"
        text = f"{self.describe()} was handed over from pid {self.first.pid} to pid {view.pid}, and is ready"
        return f"{text}; {back}" if self.first.clients is not None else text


@dataclasses.dataclass(frozen=True)
class Condition:
    """Something to wait for.

    :ivar expected: for a person.
    :ivar observe: what there is of it; None where it is not known.
    :ivar holds: judges what was observed.
    """

    name: str
    expected: str
    observe: t.Callable[[View], t.Any]
    holds: t.Callable[[t.Any], bool]
    text: t.Callable[[t.Any], str] = str

    def judge(self, view: View) -> Result:
        """The condition at one moment, as the results list it."""
        observed = self.observe(view)
        met = observed is not None and self.holds(observed)
        return {"name": self.name, "expected": self.expected, "observed": observed, "met": met}


class Wait(Flow):
    """Look until conditions hold, and have held for a while. Changes nothing."""

    @classmethod
    def check(cls, options: Options) -> None:
        """Refuse options that make no sense."""
        check_number(options, "wait_timeout", 0)
        check_number(options, "stable_for", 0)
        for name in ("clients_min", "clients_max", "users_min", "workers_min", "work_age_max"):
            check_number(options, name, 0, 2**31 - 1)
        if options["stable_for"] > options["wait_timeout"]:
            raise BadInput(
                f"stable_for ({options['stable_for']:g}) must not be more than wait_timeout"
                f" ({options['wait_timeout']:g}): it could never be reached",
                reason="out_of_range",
            )
        given = [name for name in _CONDITIONS if options[name] is not None]
        if options["state"] == "down" and given:
            raise BadInput(f"state: down goes without {_names(given)}: what is down has none", reason="bad_input")
        low, high = options["clients_min"], options["clients_max"]
        if low is not None and high is not None and low > high:
            raise BadInput(f"clients_min ({low}) must not be more than clients_max ({high})", reason="out_of_range")
        _hashrate(options["hashrate_min"])

    def work(self) -> str:
        """Look until all holds."""
        conditions = conditions_of(self.options)
        wants = ("stats",) if any(condition.name in _FROM_STATS for condition in conditions) else ()
        self.watch.begin("wait", self.options["wait_timeout"])
        self.first = self.watch.look(*wants)
        self._judge(conditions, self.first)
        if self.check_mode:
            return self._sentence("holds" if self.facts["met"] else "does not hold yet")
        reached = self._wait(conditions, wants)
        self.facts["waited"] = round(self.watch.elapsed, 2)
        if not reached:
            self._fail_unmet(conditions)
        return self._sentence(f"holds after {self.watch.elapsed:.0f} s")

    def _wait(self, conditions: t.List[Condition], wants: t.Tuple[str, ...]) -> bool:
        """Whether all held for as long as wanted, before the deadline."""
        stable, since, identity = self.options["stable_for"], -1.0, self.first.identity

        def is_done(view: View) -> bool:
            nonlocal since, identity
            self._judge(conditions, view)
            if not self.facts["met"] or view.identity != identity:
                since = -1.0  # another process is another pool, however well it does
            identity = view.identity
            if self.facts["met"] and since < 0:
                since = self.watch.elapsed
            return bool(self.facts["met"] and self.watch.elapsed - since >= stable)

        return self.watch.wait_for(is_done, lambda view: self._tell(since), *wants)

    def _judge(self, conditions: t.List[Condition], view: View) -> None:
        judged = [condition.judge(view) for condition in conditions]
        met = all(entry["met"] for entry in judged)
        self.facts.update(conditions=judged, met=met, clients=view.clients, stats=view.stats or None)

    def _tell(self, since: float) -> str:
        if self.facts["met"]:
            return f"holds for {self.watch.elapsed - since:.0f} of {self.options['stable_for']:g} s"
        return self._unmet()

    def _unmet(self) -> str:
        texts = {condition.name: condition.text for condition in conditions_of(self.options)}
        return ", ".join(
            f"{entry['name']} is {_known(entry['observed'], texts[entry['name']])}, not {entry['expected']}"
            for entry in self.facts["conditions"]
            if not entry["met"]
        )

    def _fail_unmet(self, conditions: t.List[Condition]) -> t.NoReturn:
        names = _names([condition.name for condition in conditions])
        why = self._unmet() or f"{names} held, but not for {self.options['stable_for']:g} s"
        view = self.watch.view
        problems = "; ".join(str(text) for text in (view.answer.get("problems") or {}).values())
        hint = problems or "raise wait_timeout, or look at ckpool_health_info"
        reason = "not_reached" if self._unmet() else "not_stable"
        self.fail(f"{why}, after {self.watch.spent}", reason, hint)

    def _sentence(self, how: str) -> str:
        wanted = ", ".join(f"{entry['name']} {entry['expected']}" for entry in self.facts["conditions"])
        return f"{self.describe()} is {self.watch.view.describe()}: {wanted} {how}"


_CONDITIONS = ("clients_min", "clients_max", "users_min", "workers_min", "hashrate_min", "work_age_max")
_FROM_STATS = ("users", "workers", "hashrate", "work_age")


def conditions_of(options: Options) -> t.List[Condition]:
    """The conditions that the options of a wait mean. Without any, that the pool is ready."""
    found = [make(options) for make in (_state_condition, _clients_low, _clients_high)]
    found += [_least(options, name, name + "_min") for name in ("users", "workers")]
    found += [_hashrate_condition(options), _work_age_condition(options)]
    return [condition for condition in found if condition is not None]


def _state_condition(options: Options) -> t.Optional[Condition]:
    state = options["state"]
    if state is None:
        if any(options[name] is not None for name in _CONDITIONS):
            return None
        state = "ready"
    if state == "drained":
        return _clients_high({"clients_max": options["clients_max"] or 0})
    if state == "down":
        return Condition("state", "down", lambda view: view.state, lambda seen: bool(seen == "down"))
    return Condition("state", "ready", _readiness, lambda seen: bool(seen == "ready"))


def _readiness(view: View) -> str:
    return "ready" if view.is_ready else "not ready" if view.state == "ok" else view.state


def _clients_low(options: Options) -> t.Optional[Condition]:
    low = options["clients_min"]
    if low is None:
        return None
    return Condition("clients", f"at least {low}", lambda view: view.clients, lambda seen: bool(seen >= low))


def _clients_high(options: Options) -> t.Optional[Condition]:
    high = options["clients_max"]
    if high is None or options.get("state") == "drained":  # which is the same condition
        return None
    return Condition("clients", f"at most {high}", lambda view: view.clients, lambda seen: bool(seen <= high))


def _least(options: Options, name: str, option: str) -> t.Optional[Condition]:
    least = options[option]
    if least is None:
        return None
    return Condition(name, f"at least {least}", lambda view: view.stats.get(name), lambda seen: bool(seen >= least))


def _hashrate_condition(options: Options) -> t.Optional[Condition]:
    least = _hashrate(options["hashrate_min"])
    if least is None:
        return None
    return Condition(
        "hashrate",
        f"at least {human_hashrate(least)}",
        lambda view: view.stats.get("hashrate1m"),
        lambda seen: bool(seen >= least),
        human_hashrate,
    )


def _hashrate(value: t.Any) -> t.Optional[float]:
    try:
        return parse_hashrate(value)
    except PoolError:
        hint = "write H/s as a number, or with a suffix as 38.5M, 120T or 1.5P"
        raise BadInput(f"hashrate_min is no hashrate: {value!r}", reason="bad_hashrate", hint=hint) from None


def _work_age_condition(options: Options) -> t.Optional[Condition]:
    most = options["work_age_max"]
    if most is None:
        return None
    expected = f"at most {most:g} s"
    seconds: t.Callable[[t.Any], str] = lambda seen: f"{seen:.0f} s"  # noqa: E731
    return Condition(
        "work_age", expected, lambda view: view.stats.get("work_age"), lambda seen: bool(seen <= most), seconds
    )


def _names(names: t.Iterable[str]) -> str:
    return ", ".join(names)


def _number(value: t.Any) -> str:
    return "an unknown number" if value is None else str(value)


def _known(value: t.Any, text: t.Callable[[t.Any], str]) -> str:
    return "not known" if value is None else text(value)
