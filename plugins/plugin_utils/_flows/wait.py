# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until conditions hold for a pool. No Ansible."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._errors import BadInput, PoolError
from ...module_utils._units import hashrate_of_person, human_hashrate
from ...module_utils._wording import listed
from .._observation import Observation
from .._types import Json, Options
from .flow import MOST, Flow, check_number


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition to wait for.

    :ivar expected: what should be observed, for a person.
    :ivar observe: finds the value in a look; None if it is not known.
    :ivar holds: judges the value.
    :ivar text: shows the value.
    """

    name: str
    expected: str
    observe: t.Callable[[Observation], t.Any]
    holds: t.Callable[[t.Any], bool]
    text: t.Callable[[t.Any], str] = str

    def judge(self, seen: Observation) -> Json:
        """The condition in one look, as the results list it."""
        observed = self.observe(seen)
        met = observed is not None and self.holds(observed)
        return {"name": self.name, "expected": self.expected, "observed": observed, "met": met}


class Wait(Flow):
    """Look until conditions hold, and have held for a time. Changes nothing."""

    @classmethod
    def check(cls, options: Options) -> None:
        """Raise unless the options make sense together."""
        check_number(options, "wait_timeout", 0)
        check_number(options, "stable_for", 0)
        for name in ("clients_min", "clients_max", "users_min", "workers_min", "work_age_max"):
            check_number(options, name, 0, MOST)
        if options["stable_for"] > options["wait_timeout"]:
            raise BadInput(
                f"stable_for ({options['stable_for']:g}) must not be more than wait_timeout"
                f" ({options['wait_timeout']:g}): it could never be reached",
                reason="out_of_range",
            )
        given = [name for name in _CONDITIONS if options[name] is not None]
        if options["state"] == "down" and given:
            raise BadInput(f"state: down goes without {listed(given)}: what is down has none", reason="bad_input")
        low, high = options["clients_min"], options["clients_max"]
        if low is not None and high is not None and low > high:
            raise BadInput(f"clients_min ({low}) must not be more than clients_max ({high})", reason="out_of_range")
        _hashrate(options["hashrate_min"])

    def work(self) -> str:
        """Look until all conditions hold."""
        conditions = conditions_of(self.options)
        wants = ("stats",) if any(condition.name in _FROM_STATS for condition in conditions) else ()
        self.watch.begin("wait", self.options["wait_timeout"])
        self.first = self.watch.look(*wants)
        left = self.describe_left(self.first)
        if left:
            self.warn(f"{left}, and still does not accept: ckpool_clients with state: accepting makes it accept")
        self._judge(conditions, self.first)
        if self.check_mode:
            return self._sentence("holds" if self.facts["met"] else "does not hold yet")
        reached = self._wait(conditions, wants)
        self.facts["waited"] = round(self.watch.elapsed, 2)
        if not reached:
            self._fail_unmet(conditions)
        return self._sentence(f"holds after {self.watch.elapsed:.0f} s")

    def _wait(self, conditions: t.List[Condition], wants: t.Tuple[str, ...]) -> bool:
        """Look until all conditions have held for as long as wanted; whether they did before the deadline."""
        stable, since, identity = self.options["stable_for"], -1.0, self.first.identity

        def is_done(seen: Observation) -> bool:
            nonlocal since, identity
            self._judge(conditions, seen)
            if not self.facts["met"] or seen.identity != identity:
                since = -1.0  # another process is another pool: its conditions have not held before
            identity = seen.identity
            if self.facts["met"] and since < 0:
                since = self.watch.elapsed
            return bool(self.facts["met"] and self.watch.elapsed - since >= stable)

        return self.watch.wait_for(is_done, lambda seen: self._progress(since), *wants)

    def _judge(self, conditions: t.List[Condition], seen: Observation) -> None:
        judged = [condition.judge(seen) for condition in conditions]
        met = all(entry["met"] for entry in judged)
        self.facts.update(conditions=judged, met=met, clients=seen.clients, stats=seen.stats or None)

    def _progress(self, since: float) -> str:
        if self.facts["met"]:
            return f"holds for {self.watch.elapsed - since:.0f} of {self.options['stable_for']:g} s"
        return self._unmet()

    def _unmet(self) -> str:
        texts = {condition.name: condition.text for condition in conditions_of(self.options)}
        return ", ".join(
            f"{entry['name']} is {_known_text(entry['observed'], texts[entry['name']])}, not {entry['expected']}"
            for entry in self.facts["conditions"]
            if not entry["met"]
        )

    def _fail_unmet(self, conditions: t.List[Condition]) -> t.NoReturn:
        names = listed([condition.name for condition in conditions])
        why = self._unmet() or f"{names} held, but not for {self.options['stable_for']:g} s"
        seen = self.watch.seen
        problems = "; ".join(str(text) for text in seen.problems.values())
        hint = problems or "raise wait_timeout, or look at ckpool_health_info"
        reason = "not_reached" if self._unmet() else "not_stable"
        self.fail(f"{why}, after {self.watch.spent}", reason, hint)

    def _sentence(self, how: str) -> str:
        wanted = ", ".join(f"{entry['name']} {entry['expected']}" for entry in self.facts["conditions"])
        return f"{self.describe()} is {self.watch.seen.describe()}: {wanted} {how}"


_CONDITIONS = ("clients_min", "clients_max", "users_min", "workers_min", "hashrate_min", "work_age_max")
_FROM_STATS = ("users", "workers", "hashrate", "work_age")


def conditions_of(options: Options) -> t.List[Condition]:
    """The conditions that the options set. Without any, the condition that the pool is ready."""
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
        return Condition("state", "down", lambda seen: seen.state, lambda value: bool(value == "down"))
    return Condition("state", "ready", _readiness, lambda value: bool(value == "ready"))


def _readiness(seen: Observation) -> str:
    return "ready" if seen.is_ready else "not ready" if seen.state == "ok" else seen.state


def _clients_low(options: Options) -> t.Optional[Condition]:
    low = options["clients_min"]
    if low is None:
        return None
    return Condition("clients", f"at least {low}", lambda seen: seen.clients, lambda value: bool(value >= low))


def _clients_high(options: Options) -> t.Optional[Condition]:
    high = options["clients_max"]
    if high is None or options.get("state") == "drained":  # which sets the same condition
        return None
    return Condition("clients", f"at most {high}", lambda seen: seen.clients, lambda value: bool(value <= high))


def _least(options: Options, name: str, option: str) -> t.Optional[Condition]:
    least = options[option]
    if least is None:
        return None
    return Condition(name, f"at least {least}", lambda seen: seen.stats.get(name), lambda value: bool(value >= least))


def _hashrate_condition(options: Options) -> t.Optional[Condition]:
    least = _hashrate(options["hashrate_min"])
    if least is None:
        return None
    return Condition(
        "hashrate",
        f"at least {human_hashrate(least)}",
        lambda seen: seen.stats.get("hashrate1m"),
        lambda value: bool(value >= least),
        human_hashrate,
    )


def _hashrate(value: t.Any) -> t.Optional[float]:
    try:
        return None if value is None else hashrate_of_person(value)
    except PoolError as exc:
        hint = "write H/s as a number, or with a suffix as 38.5M, 120T or 1.5P"
        raise BadInput(
            f"hashrate_min is no hashrate: {value!r}", reason="bad_hashrate", hint=exc.hint or hint
        ) from None


def _work_age_condition(options: Options) -> t.Optional[Condition]:
    most = options["work_age_max"]
    if most is None:
        return None
    expected = f"at most {most:g} s"
    seconds: t.Callable[[t.Any], str] = lambda value: f"{value:.0f} s"  # noqa: E731
    return Condition(
        "work_age", expected, lambda seen: seen.stats.get("work_age"), lambda value: bool(value <= most), seconds
    )


def _known_text(value: t.Any, text: t.Callable[[t.Any], str]) -> str:
    return "not known" if value is None else text(value)
