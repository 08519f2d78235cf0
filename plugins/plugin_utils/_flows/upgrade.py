# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring one instance to the new side of its host's window, prove that it serves, and go back if it does not. No Ansible.

The host does the work (C(module_utils/_upgrade)): this asks for it, watches the daemon and judges it. What cannot be judged
is neither kept nor reverted: the window is held for a person. If this is cut off, the host goes back by itself.
"""

from __future__ import annotations

import contextlib
import math
import typing as t

from ...module_utils._errors import PoolError
from ...module_utils._names import parse_address
from ...module_utils._units import human_hashrate
from ...module_utils._wording import counted, listed, utc_time
from .._observation import Observation
from .._step import StepFailed, Stopped, Unreachable
from .._types import Json, Options
from .._waiting import Watch
from .drain import Draining
from .flow import MOST, check_number
from .wait import Condition

DONE, ROLLED_BACK, ROLLBACK_FAILED = "done", "rolled_back", "rollback_failed"
FAILED, NOT_STARTED, NOTHING_TO_DO = "failed", "not_started", "nothing_to_do"
_NEW, _OLD = "new", "old"
_UNCONFIRMED = ("switching", "switched", "held")
_BACK = ("reverted", "stuck")
_FEW_SHARES = 5.0  #: expected in all of the wait: fewer may as well be none
_FIGURES = ("users", "workers", "hashrate1m", "accepted", "rejected", "shares_per_second")
_NO_FORCE = {"force_after": None, "sever_after": None}  #: in a drain


class Undetermined(Stopped):
    """Nobody can tell whether the new side serves."""


class Upgrade(Draining):
    """Switch an instance to the new side, and prove that it serves."""

    def __init__(self, watch: Watch, options: Options, check_mode: bool = False) -> None:
        super().__init__(watch, {**_NO_FORCE, **options}, check_mode)
        self.window: Json = {}
        self.before: Json = {}
        self._is_switched = False
        self._moved: t.Optional[bool] = None
        self._renewed = 0.0
        self._first_written: t.Dict[t.Tuple[t.Any, ...], int] = {}  #: epoch seconds, by process

    @classmethod
    def check(cls, options: Options) -> None:
        """Refuse options that make no sense."""
        for name in (
            "drain_timeout", "switch_timeout", "ready_timeout", "verify_timeout", "stable_for", "rollback_timeout", "return_timeout", "work_age_max",
        ):  # fmt: skip
            check_number(options, name, 0)
        for name in ("clients_percent", "users_percent", "hashrate_percent"):
            check_number(options, name, 0, 100)
        for name in ("drain_until", "stranded_max"):
            check_number(options, name, 0, MOST)
        if options["redirect_to"] is not None:
            parse_address(options["redirect_to"])

    def work(self) -> str:
        """Switch it and verify; go back, or hold, if that fails."""
        self.facts.update(
            outcome=NOT_STARTED, strategy=None, changes=[], resumed=False, conditions=[], before=None, after=None, clients_after=None,
            stranded_before=None, stranded_after=None, severed=None, longest_gap=None, sent_away=None, shares=None, window=None,
        )  # fmt: skip
        try:
            msg = self._work()
        except Unreachable:
            if self._is_switched:
                self.facts["outcome"] = FAILED
                self.left = f"{self.watch.state}; {self._deadline()}"
            raise
        except Undetermined as exc:
            self._hold(exc)
        except PoolError as exc:
            if not self._is_switched:
                raise
            self._note_after()
            if self.options["on_failure"] == "stop" and self.window.get("state") == "switched":
                self._hold(exc)
            self._go_back(exc)
        self._note_after()
        return msg

    def _work(self) -> str:
        wants, arguments = self.wants()
        seen = self.look_first(*wants, phase="preflight", **arguments)
        member = self._member()
        self.facts.update(strategy=member.get("strategy") or None, changes=member.get("changes") or [])
        if member.get("at") == _NEW and self.window.get("state") in _UNCONFIRMED:
            self._resume(member)
        elif not member.get("changes"):
            self.facts["outcome"] = NOTHING_TO_DO
            return f"{self.describe()} runs what is wanted; nothing to do"
        else:
            self._preflight(seen, member)
            if self.check_mode:
                return self._predicted(seen, member)
            self._begin(seen, member)
        self._wait_until_ready()
        self._verify()
        self._free_stranded()
        self.facts["outcome"] = DONE
        return self._sentence_of(member)

    # The window

    def _ask(self, state: str, **more: t.Any) -> Json:
        """One call about the window; what is known of it then."""
        answer = self.watch.ask(window=state, **more)
        self.window = answer.get("window") or self.window
        self.facts["window"] = {key: self.window.get(key) for key in ("run", "state", "confirm_by", "revert", "msg")}
        return self.window

    def _member(self) -> Json:
        """This instance in the window."""
        self._ask("query")
        return self._part()

    def _part(self) -> Json:
        """What the window says of this instance."""
        name = self.options["instance"]
        found = [one for one in self.window.get("instances") or [] if one.get("name") == name]
        if found:
            return dict(found[0])
        return self.fail(
            f"{name} is not in the window of this host", "not_in_window", "stage it first: ckpool_window state=staged"
        )

    def _renew(self) -> None:
        """Tell the host now and then that somebody still looks, so that it does not go back by itself."""
        seconds = float(self.window.get("confirm_within") or 0)
        if self.watch.elapsed - self._renewed >= seconds / 3 or self.watch.elapsed < self._renewed:
            self._renewed = self.watch.elapsed
            try:
                self._ask("switched", instance=self.options["instance"])
            except StepFailed:
                self._ask("query")
                self._fail_if_taken_back()
                raise

    def _fail_if_taken_back(self) -> None:
        """Give up where the host goes back, for whatever reason."""
        if self.window.get("state") not in _UNCONFIRMED:
            why = self.window.get("revert") or f"the window is {self.window.get('state')}"
            self.fail(f"the host goes back: {why}", "taken_back", "see the record of the window")

    def _deadline(self) -> str:
        """What the host does by itself, for a person."""
        by = self.window.get("confirm_by")
        when = f"at {utc_time(by)}" if isinstance(by, int) else "in time"
        return f"the host switches back by itself {when} unless it is confirmed; run this again to go on"

    # Before

    def _preflight(self, seen: Observation, member: Json) -> None:
        """Fail where the pool is not as a change should find it. Nothing was done yet."""
        if not self.options["require_healthy"]:
            return
        if not seen.is_found or seen.is_down:
            self.fail("it is down, and a change needs a pool that serves", "down", "start it, and look at its health")
        self.require_process(seen)
        if not seen.takes_orders or not seen.is_ready:
            self.fail(
                f"it is {seen.state}, and a change needs a pool that serves", "not_ready", "look at its health first"
            )
        if self.options["clients_percent"] and seen.clients is None:
            hint = "clients_percent: 0 goes on without"
            self.fail("the connector does not tell how many clients there are", "clients_unknown", hint)
        if list(seen.identity) != member.get("process"):
            self.fail(
                f"its process is pid {seen.pid}, and was another one when the window was staged",
                "another_process",
                "run this again",
            )

    def _predicted(self, seen: Observation, member: Json) -> str:
        how = "hand over" if member["strategy"] == "handover" else f"stop and start ({member.get('why')})"
        drain = f", its miners sent to {self.options['redirect_to']} before" if self._drains(member) else ""
        text = f"would {how} with {counted(seen.clients, 'client')}{drain}: {listed(member['changes'])}"
        return self.predict(text, f"state: {seen.describe()}\npid: a new one\n")

    def _drains(self, member: Json) -> bool:
        return bool(self.options["redirect_to"]) and member["strategy"] != "handover"

    def _resume(self, member: Json) -> None:
        """Go on where an earlier run was cut off."""
        self.facts["resumed"] = self._is_switched = True
        self.before = member.get("before") or {}
        self.facts["before"] = self.before
        self.watch.follow()
        self._leave()
        earlier = (self.window.get("earlier") or [{}])[-1]
        who = f" by {earlier.get('owner')} (run {earlier.get('run')})" if earlier else ""
        self.warn(f"it was switched already{who}, and not confirmed; this run goes on from there")
        self._ask("switched", instance=self.options["instance"])  # its deadline counts from now

    def _begin(self, seen: Observation, member: Json) -> None:
        """Drain it if that is wanted, and have the host switch it."""
        self.before = {"clients": seen.clients, **{name: seen.stats.get(name) for name in _FIGURES}}
        self.before.update({"as_of": seen.stats.get("as_of"), "sent_to": None, "stranded": seen.stranded})
        self.before = {**self.before, **(member.get("before") or {})}  # an earlier run may have drained it already
        self.facts.update(before=self.before, stranded_before=seen.stranded)
        if self._drains(member):
            self.require_redirect()
            self.before["sent_to"] = self.options["redirect_to"]
            self._ask("noted", instance=self.options["instance"], before=self.before)
            self.drain()
        self.watch.begin("switch", self.options["switch_timeout"])
        self.watch.follow()
        self._is_switched = True
        self._leave()
        self._ask("switched", instance=self.options["instance"], before=self.before)
        self.watch.changed = True
        self._await_switch()

    def _leave(self) -> None:
        """From here on, an interruption leaves the rest to the host."""
        self.left = "to its host, which switches it back by itself unless this is run again or the window is confirmed"

    def _await_switch(self) -> None:
        """Wait until the host has switched it.

        :raises Stopped: it could not, or has gone back.
        """
        while True:
            part = self._part()
            problem = (part.get("switch") or {}).get("problem")
            state = self.window.get("state")
            if state not in _UNCONFIRMED:
                why = problem or self.window.get("revert") or f"the window is {state}"
                why = why.removeprefix(f"{self.options['instance']}: ")
                self.fail(
                    f"it was not switched: {why}", "switch_failed", "look at its log, and at the journal of its unit"
                )
            if part.get("at") == _NEW:
                return
            if self.watch.elapsed >= self.watch.limit:
                self.fail(
                    f"the host has not switched it after {self.watch.spent}", "switch_timeout", "is its guard alive?"
                )
            self.watch.say("the host switches it")
            self.watch.rest()
            self._ask("query")

    # After

    def _wait_until_ready(self) -> None:
        self.watch.begin("ready", self.options["ready_timeout"])
        self.watch.look("takeover")
        new: t.List[t.Any] = [self.watch.seen.identity if self.watch.seen.is_alive else None]

        def is_ready(seen: Observation) -> bool:
            self._renew()
            if seen.is_alive and new[0] is None:
                new[0] = seen.identity
            self._fail_if_lost(seen, new[0])
            return bool(seen.is_ready and seen.identity != self._old())

        if not self.watch.wait_for(is_ready, lambda seen: f"pid {seen.pid} is {seen.state}", "takeover"):
            seen = self.watch.seen
            said = {"unknown": "cannot be asked"}.get(seen.state, f"is {seen.state}, without work")
            if seen.state == "unknown":
                raise Undetermined(
                    f"{self.describe()}: it {said} after {self.watch.spent}", phase="ready", reason="undetermined"
                )
            self.fail(
                f"pid {seen.pid} {said} after {self.watch.spent}",
                "not_ready",
                "does its bitcoind answer? Look at its log",
            )

    def _old(self) -> t.Tuple[t.Any, ...]:
        """The process from before the switch."""
        return tuple(self._part().get("process") or (None, None))

    def _fail_if_lost(self, seen: Observation, new: t.Any) -> None:
        """Give up at once where the new process has ended by itself, or was started again."""
        if new is None:
            return
        is_other = seen.is_alive and seen.identity != new
        if seen.is_down or is_other or seen.process in ("dead", "another"):
            now = f", and pid {seen.pid} runs now" if is_other else ""
            self.fail(f"the new process, pid {new[0]}, ended by itself{now}", "ended", "look at the end of its log")

    def _verify(self) -> None:
        """Wait until all conditions have held for a while.

        :raises Stopped: one does not hold.
        :raises Undetermined: of one nobody can tell.
        """
        self.watch.begin("verify", self.options["verify_timeout"])
        conditions = self._conditions()
        new, since = self.watch.seen.identity, -1.0

        def is_verified(seen: Observation) -> bool:
            nonlocal since
            self._renew()
            self._fail_if_lost(seen, new)
            self._note(seen)
            if not self._judge(conditions, seen):
                since = -1.0
                return False
            since = self.watch.elapsed if since < 0 else since
            return bool(self.watch.elapsed - since >= self.options["stable_for"])

        self.watch.look("stats", "takeover")
        if self.watch.wait_for(is_verified, lambda seen: self._unmet_text(), "stats", "takeover"):
            return
        self._fail_unverified()

    def _conditions(self) -> t.List[Condition]:
        """What has to hold, as far as it can be expected to: who was sent elsewhere is not waited for."""
        before, options = self.before, self.options
        found = [Condition("ready", "ready", lambda seen: seen.is_ready, bool)]
        if options["work_age_max"]:
            found.append(
                Condition(
                    "work_age",
                    f"at most {options['work_age_max']:g} s",
                    lambda seen: seen.stats.get("work_age"),
                    lambda seen: bool(seen <= options["work_age_max"]),
                    lambda seen: f"{seen:.0f} s",
                )
            )
        sent_to = before.get("sent_to")
        if sent_to:
            self.warn(f"its miners were sent to {sent_to}, so it is not waited until they are back")
            return found
        return [*found, *self._miners_conditions(before)]

    def _miners_conditions(self, before: Json) -> t.List[Condition]:
        options, found = self.options, []
        clients: t.Callable[[Observation], t.Any] = lambda seen: seen.clients  # noqa: E731
        users: t.Callable[[Observation], t.Any] = lambda seen: self._fresh(seen, "users")  # noqa: E731
        hashrate: t.Callable[[Observation], t.Any] = lambda seen: self._fresh(seen, "hashrate1m")  # noqa: E731
        for name, key, percent, observe, text in (
            ("clients", "clients", options["clients_percent"], clients, str),
            ("users", "users", options["users_percent"], users, str),
            ("hashrate", "hashrate1m", options["hashrate_percent"], hashrate, human_hashrate),
        ):
            value = before.get(key)
            if not percent or not value:
                continue
            least = value * percent / 100 if name == "hashrate" else math.ceil(value * percent / 100)
            found.append(_at_least(name, least, observe, text, f"{percent} % of {text(value)}"))
        if options["shares"] and self._expects_shares():
            found.append(
                Condition("shares", "accepted again", self._shares_moved, bool, lambda seen: "yes" if seen else "none")
            )
        return found

    def _expects_shares(self) -> bool:
        """Whether so many shares can be expected that none would mean something."""
        rate = self.before.get("shares_per_second")
        if not self.before.get("clients") or not self.before.get("hashrate1m"):
            return False
        return rate is None or float(rate) * self.options["verify_timeout"] >= _FEW_SHARES

    def _fresh(self, seen: Observation, name: str) -> t.Any:
        """A figure that the new process has made; None while there are those of the old one only.

        The first statistics that a daemon writes are those that it has read, of the process before.
        """
        started, as_of = (seen.instance or {}).get("started"), seen.stats.get("as_of")
        if not isinstance(started, int) or not isinstance(as_of, int) or as_of <= started:
            return None
        first = self._first_written.setdefault(seen.identity, as_of)
        return seen.stats.get(name) if as_of > first else None

    def _shares_moved(self, seen: Observation) -> t.Optional[bool]:
        """Whether shares were accepted since the switch; None where no counter tells."""
        made = seen.stats.get("shares")
        accepted, earlier = self._fresh(seen, "accepted"), self.before.get("accepted")
        known = [made > 0] if isinstance(made, int) else []
        if accepted is not None and earlier is not None:
            known.append(accepted > earlier or 0 < accepted < earlier)  # some builds count from 0 again
        if known:
            self._moved = bool(self._moved) or any(known)
        return self._moved

    def _judge(self, conditions: t.Sequence[Condition], seen: Observation) -> bool:
        self.facts["conditions"] = [condition.judge(seen) for condition in conditions]
        self._texts = {condition.name: condition for condition in conditions}
        return all(one["met"] for one in self.facts["conditions"])

    def _unmet_text(self) -> str:
        return listed(self._text_of(one) for one in self.facts["conditions"] if not one["met"]) or "all holds"

    def _text_of(self, one: Json) -> str:
        seen = one["observed"]
        shown = "not known" if seen is None else self._texts[one["name"]].text(seen)
        return f"{one['name']} {shown} ({one['expected']})"

    def _fail_unverified(self) -> t.NoReturn:
        unmet = [one for one in self.facts["conditions"] if not one["met"]]
        if unmet and all(one["observed"] is None for one in unmet):
            names = listed(one["name"] for one in unmet)
            raise Undetermined(
                f"{self.describe()}: {names} could not be determined after {self.watch.spent}",
                phase=self.watch.phase,
                reason="undetermined",
            )
        known = [one for one in unmet if one["observed"] is not None]
        text = listed(self._text_of(one) for one in known) or "it did not hold for long enough"
        name = known[0]["name"] if known else "stable"
        self.fail(f"{text} after {self.watch.spent}", f"{name}_missing", "look at its log")

    def _note(self, seen: Observation) -> None:
        self.facts["clients_after"] = seen.clients
        if seen.takeover:
            self.facts["longest_gap"] = seen.takeover.get("longest_gap")
            severed = seen.takeover.get("severed")
            self.facts["severed"] = severed if isinstance(severed, int) else self.facts["severed"]

    def _free_stranded(self) -> None:
        """Free the stranded miners; more than may be is a failure."""
        seen = self.watch.look("connections", "stats")
        if seen.stranded:
            with contextlib.suppress(StepFailed):
                severed = self.watch.do("sever").answer.get("severed")
                self.facts["severed"] = (self.facts["severed"] or 0) + (severed if isinstance(severed, int) else 0)
            seen = self.watch.look("connections", "stats")
        self.facts["stranded_after"] = seen.stranded
        most = self.options["stranded_max"]
        if seen.stranded is not None and seen.stranded > most:
            self.fail(f"{seen.stranded} miners are stranded, more than {most}", "stranded", "look at its log")

    def _note_after(self) -> None:
        """The figures of the latest look, and what the counters say was lost."""
        seen = self.watch.seen
        after = {"clients": seen.clients, **{name: self._fresh(seen, name) for name in _FIGURES}}
        self.facts.update(after=after, clients_after=seen.clients)
        self.facts["shares"] = {
            f"{name}_{when}": side.get(name)
            for name in ("accepted", "rejected")
            for when, side in (("before", self.before), ("after", after))
        }
        before, rejected = self.before.get("rejected"), after["rejected"]
        is_known = before is not None and rejected is not None and rejected >= before
        self.facts["shares"]["lost"] = rejected - before if is_known else None

    def _sentence_of(self, member: Json) -> str:
        how = "was handed over" if member["strategy"] == "handover" else "was stopped and started"
        how = "goes on with what an earlier run has switched" if self.facts["resumed"] else how
        parts = [f"{self.describe()} {how}: {listed(member['changes'])}", f"pid {self.watch.seen.pid} is ready"]
        if self.before.get("clients") is not None:
            parts.append(f"{self.watch.seen.clients} of {counted(self.before['clients'], 'client')} are there")
        gap = self.facts["longest_gap"]
        if isinstance(gap, (int, float)):
            parts.append(f"back after {gap:.1f} s at most")
        return "; ".join(parts)

    # Where it fails

    def _hold(self, exc: PoolError) -> t.NoReturn:
        """Keep what there is, for a person to decide.

        :raises Stopped: always.
        """
        self.facts["outcome"] = FAILED
        phase = self.watch.phase or exc.phase
        held = "it stays as it is until you decide"
        try:
            self._ask("held", why=str(exc))
        except PoolError as not_held:
            held = f"it could not be held ({not_held}); {self._deadline()}"
        self.left = f"{self.watch.state}, switched and not confirmed"
        raise Stopped(
            f"{exc}; {held}",
            phase=phase,
            reason=exc.reason,
            hint="to keep it: ckpool_window with state: confirmed; to go back: playbook ckpool.fleet.rollback",
            facts=exc.facts,
        )

    def _go_back(self, exc: PoolError) -> t.NoReturn:
        """Have the host go back, and see that it does.

        :raises Stopped: always, saying whether it did.
        """
        phase = self.watch.phase or exc.phase
        self._add_log_tail(exc)  # of the new side, before the old one writes there
        self.facts["outcome"] = FAILED
        why = str(exc)
        self.watch.begin("rollback", self.options["rollback_timeout"])
        self._ask("reverted", why=why)
        while self.window.get("state") not in _BACK and self.watch.elapsed < self.watch.limit:
            self.watch.say("the host goes back")
            self.watch.rest()
            self._ask("reverted", why=why)  # again, so that a guard that has died is started again
        self.facts["failed_phase"] = phase
        state = self.window.get("state")
        with contextlib.suppress(PoolError):
            self._await_clients()
        self.left = self.watch.state
        if state == "reverted":
            self.facts["outcome"] = ROLLED_BACK
            text, hint = "it runs again what it ran before", exc.hint
        else:
            self.facts["outcome"] = ROLLBACK_FAILED
            said = self.window.get("msg") if state == "stuck" else f"the host has not finished after {self.watch.spent}"
            text, hint = f"AND THE ROLLBACK FAILED: {said}", "" if state == "stuck" else self._by_hand()
        raise Stopped(f"{why}; {text}", phase="rollback", reason=exc.reason, hint=hint, facts=exc.facts)

    def _await_clients(self) -> None:
        """See the miners come back to the old side; how many did is told, and judged by nobody."""
        before, percent = self.before.get("clients"), self.options["clients_percent"]
        if self.before.get("sent_to"):
            before = None
        enough = (before or 0) * percent / 100
        deadline = min(self.watch.elapsed + self.options["return_timeout"], self.watch.limit)
        while True:
            seen = self.watch.look()
            self.facts["clients_after"] = seen.clients
            if (
                seen.clients is not None and seen.clients >= enough and seen.is_ready
            ) or self.watch.elapsed >= deadline:
                return
            self.watch.say(f"{counted(seen.clients, 'client')} are back")
            self.watch.rest()

    def _by_hand(self) -> str:
        unit = self._part().get("unit")
        start = f"systemctl restart {unit}; journalctl -u {unit}" if unit else "start the old program"
        return f"on the host: {start}"


def _at_least(
    name: str, least: float, observe: t.Callable[[Observation], t.Any], text: t.Callable[[t.Any], str], why: str
) -> Condition:
    return Condition(name, f"at least {text(least)}, {why}", observe, lambda seen: bool(seen >= least), text)
