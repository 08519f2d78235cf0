# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated host with a window and a guard, behind the calls of an upgrade, on a simulated clock."""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.upgrade import Upgrade
from ansible_collections.ckpool.fleet.plugins.plugin_utils._step import Lost
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_step import FakePool, born, have

EPOCH = 1795384000  #: epoch seconds at 0 of the clock
Effect = t.Callable[["FakeHost"], None]

UPGRADE: Json = {
    "instance": "main",
    "redirect_to": None,
    "redirect_check": True,
    "drain_until": 0,
    "drain_timeout": 300.0,
    "on_drain_timeout": "fail",
    "switch_timeout": 300.0,
    "ready_timeout": 120.0,
    "verify_timeout": 300.0,
    "stable_for": 10.0,
    "clients_percent": 90,
    "users_percent": 90,
    "hashrate_percent": 50,
    "shares": True,
    "work_age_max": 120.0,
    "stranded_max": 0,
    "require_healthy": True,
    "on_failure": "rollback",
    "rollback_timeout": 300.0,
    "return_timeout": 30.0,
}


class FakeHost(FakePool):
    """Answers as C(ckpool_step) and C(ckpool_window) do.

    :ivar asked: the states that the window was asked for, without queries.
    :ivar on_switch: what the guard makes of the pool on its way to the new side.
    :ivar on_revert: the same on its way back.
    :ivar written: seconds between two statistics of the daemon; 0 for always fresh ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: t.List[str] = []
        self.on_switch: Effect = switched
        self.on_revert: Effect = reverted
        self.written = 0.0
        self.began = 0.0
        self.window_losses: t.Dict[str, int] = {}
        self.effects = {"reconnect": have(0), "sever": strand(0)}
        self.stats = {
            "users": 3, "workers": 12, "hashrate1m": 2e12, "work_age": 4.0, "accepted": 5000.0, "rejected": 10.0,
            "shares_per_second": 3.0, "shares": 900,
        }  # fmt: skip
        self.window: Json = {
            "run": "run1",
            "state": "staged",
            "confirm_by": None,
            "confirm_within": 900.0,
            "revert": "",
            "msg": "",
            "earlier": [],
            "instances": [
                {
                    "name": "main",
                    "unit": "ckpool-main.service",
                    "wanted": "old",
                    "at": "old",
                    "strategy": "handover",
                    "why": "nothing is in its way",
                    "changes": ["release: 1 -> 2"],
                    "process": [100, 5000],
                    "before": None,
                    "switch": None,
                }
            ],
        }

    @property
    def member(self) -> Json:
        made: Json = self.window["instances"][0]
        return made

    def at(self, seconds: float, effect: t.Any) -> None:
        """Apply an effect that many seconds from now."""
        super().at(seconds, effect)

    def step(self, arguments: Json) -> Json:
        if "window" not in arguments:
            return super().step(arguments)
        state = arguments["window"]
        self.clock.time += self.cost
        if self.window_losses.get(state):
            self.window_losses[state] -= 1
            raise Lost("no route to host")
        self._happen()
        if state != "query":
            self.asked.append(state)
        failed = self._do(state, arguments)
        return failed or {"changed": state != "query", "window": copy.deepcopy(self.window), "msg": "asked"}

    def _do(self, state: str, arguments: Json) -> t.Optional[Json]:
        if state in ("noted", "switched"):
            self.member["before"] = self.member["before"] or arguments.get("before")
        if state == "switched" and self.window["state"] not in ("staged", "switching", "switched", "held"):
            return {"failed": True, "msg": f"the window is {self.window['state']}", "reason": "not_staged"}
        if state == "switched":
            self.window["confirm_by"] = int(EPOCH + self.clock.time + 900)
            if self.member["at"] != "new":
                self.window["state"] = "switching"
                self.at(2, self.on_switch)
        if state == "reverted" and self.window["state"] not in ("reverted", "stuck"):
            self.window.update(state="reverting", revert=self.window["revert"] or arguments["why"])
            self.at(2, self.on_revert)
        if state == "held":
            if self.window["state"] != "switched":
                return {"failed": True, "msg": f"the window is {self.window['state']}", "reason": "not_switched"}
            self.window.update(state="held", confirm_by=None)
        return None

    def _answer(self, name: str, arguments: Json) -> Json:
        answer = super()._answer(name, arguments)
        if answer["instance"]:
            answer["instance"]["started"] = int(EPOCH + self.began)
        if answer["stats"] is not None:
            now = self.clock.time
            as_of = now if not self.written else now // self.written * self.written
            answer["stats"] = {**self.stats, "as_of": int(EPOCH + as_of)}
        return answer


def both(*effects: t.Any) -> t.Any:
    """Effects one after the other."""

    def effect(host: FakeHost) -> None:
        for one in effects:
            one(host)

    return effect


def new_process(pid: int) -> t.Any:
    """A new process serves."""
    return lambda host: take_over(host, pid)


def in_window(**values: t.Any) -> t.Any:
    """The record of the window says so."""
    return lambda host: host.window.update(values)


def having(**values: t.Any) -> t.Any:
    """The pool is as said."""

    def effect(host: FakeHost) -> None:
        for name, value in values.items():
            setattr(host, name, value)

    return effect


def alone(host: FakeHost) -> None:
    """No miner comes back."""
    host.later.clear()


def strand(count: int) -> t.Any:
    """So many miners are stranded."""
    return lambda host: host.connections.update(stranded=count)


def after(seconds: float, effect: t.Any) -> t.Any:
    """An effect that comes later."""
    return lambda host: host.at(seconds, effect)


def take_over(host: FakeHost, pid: int) -> None:
    """A new process serves, and its miners come back."""
    born(host, pid)
    host.began = host.clock.time - 1
    host.at(5, have(20))


def switched(host: FakeHost) -> None:
    """The guard has switched it."""
    take_over(host, 200)
    host.stats["shares"] = 1
    host.window["state"] = "switched"
    host.member.update(at="new", switch={"side": "new", "how": "handover", "seconds": 1.5, "problem": ""})


def reverted(host: FakeHost) -> None:
    """The guard has gone back."""
    take_over(host, 300)
    host.window["state"] = "reverted"
    host.member.update(at="old", wanted="old")


def upgrade(host: FakeHost, check_mode: bool = False, **options: t.Any) -> Json:
    """What an upgrade of the host returns."""
    return Upgrade(host.watch(), {"poll": 2.0, **UPGRADE, **options}, check_mode).run()
