# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated pool behind the calls of the waiting actions, on a simulated clock, and what each flow does to it."""

from __future__ import annotations

import contextlib
import copy
import typing as t

from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import Interrupted
from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.flow import Flow
from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.restart import Restart
from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.shutdown import Shutdown
from ansible_collections.ckpool.fleet.plugins.plugin_utils._flows.wait import Wait
from ansible_collections.ckpool.fleet.plugins.plugin_utils._observation import SOCKETS
from ansible_collections.ckpool.fleet.plugins.plugin_utils._step import Lost
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from ansible_collections.ckpool.fleet.plugins.plugin_utils._waiting import Watch

Effect = t.Callable[["FakePool"], None]

#: What every call after the first says of the pool.
WHERE = {"socket_dir": "/run/ckpool", "name": "ckpool", "log_dir": "/var/log/ckpool"}

SHUTDOWN: Json = {
    "redirect_to": None,
    "redirect_check": True,
    "drain_until": 0,
    "drain_timeout": 300.0,
    "on_drain_timeout": "fail",
    "shutdown_timeout": 60.0,
    "force_after": None,
    "kill_after": 10.0,
    "sever_after": None,
    "remove_leftovers": False,
    "service": None,
}
RESTART: Json = {
    "restart_timeout": 60.0,
    "ready_timeout": 60.0,
    "clients_percent": 0,
    "clients_timeout": 30.0,
    "force": False,
    "sever": "auto",
}
WAIT: Json = {
    "state": None,
    "clients_min": None,
    "clients_max": None,
    "users_min": None,
    "workers_min": None,
    "hashrate_min": None,
    "work_age_max": None,
    "wait_timeout": 300.0,
    "stable_for": 0.0,
}
ELSEWHERE = "pool2.example.com:3333"


class FakeClock:
    """A clock without waiting: sleeping moves it."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.interrupt_at: t.Optional[float] = None
        self.is_held = False

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.time += seconds
        self.check()

    def check(self) -> None:
        if self.interrupt_at is not None and self.time >= self.interrupt_at and not self.is_held:
            raise Interrupted("SIGINT", 2)

    @contextlib.contextmanager
    def held(self) -> t.Iterator[None]:
        self.is_held = True
        yield
        self.is_held = False


class FakePool:
    """Answers as C(ckpool_step) does. Tests set the effect of each step, immediate or delayed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cost = 0.1  #: seconds that a call takes
        self.calls: t.List[t.Tuple[float, str, Json]] = []
        self.effects: t.Dict[str, Effect] = {}
        self.later: t.List[t.Tuple[float, Effect]] = []
        self.failures: t.Dict[int, t.Union[Json, str]] = {}  #: by number of the call: a failed answer, or a loss
        self.lines: t.List[str] = []
        self.resets = 0
        self.found = True
        self.pid: t.Optional[int] = 100
        self.started: t.Optional[int] = 5000
        self.process = "alive"
        self.state = "ok"
        self.said: t.Dict[str, str] = dict.fromkeys(SOCKETS, "reply")
        self.clients: t.Optional[int] = 20
        self.ready = True
        self.leftovers: t.List[str] = []
        self.stats: Json = {"users": 3, "workers": 12, "hashrate1m": 2e12, "work_age": 4.0}
        self.service: t.Optional[Json] = None
        self.obstacles: t.List[Json] = []
        self.holders: t.List[Json] = []
        self.connections: t.Optional[Json] = {"held": 20, "stranded": 0, "sever": "pidfd"}
        self.takeover: t.Optional[Json] = None
        self.left_rejecting: t.Optional[Json] = None
        self.redirect: Json = {"reachable": True, "problem": None}
        self.log_tail: t.List[str] = ["[2026-11-22 22:09:25.734] the last line"]
        self.more: Json = {}

    def watch(self, poll: float = 2.0) -> Watch:
        return Watch(self.step, self.clock, poll, self.lines.append, self._reset)

    def _reset(self) -> None:
        self.resets += 1

    @property
    def steps(self) -> t.List[str]:
        """The steps that were ordered, without looks."""
        return [step for _time, step, _arguments in self.calls if step != "look"]

    def at(self, seconds: float, effect: Effect) -> None:
        """Apply an effect that many seconds from now."""
        self.later.append((self.clock.time + seconds, effect))

    def step(self, arguments: Json) -> Json:
        arguments = copy.deepcopy(arguments)
        name = arguments.pop("step")
        number = len(self.calls)
        self.calls.append((self.clock.time, name, arguments))
        self.clock.time += self.cost
        failure = self.failures.get(number)
        if failure == "lost before":
            raise Lost("no route to host")
        self._happen()
        if isinstance(failure, dict):
            return dict({"failed": True}, **failure)
        meant = (arguments.get("pid"), arguments.get("started"))
        is_meant = self.process == "alive" and meant == (self.pid, self.started)
        if name not in ("look", "clean") and not is_meant:
            return {"failed": True, "reason": "another_process", "msg": "not that process", "phase": "find"}
        if name in self.effects:
            self.effects[name](self)
        if failure == "lost after":
            raise Lost("connection reset")
        return self._answer(name, arguments)

    def _happen(self) -> None:
        due = [effect for when, effect in self.later if when <= self.clock.time]
        self.later = [entry for entry in self.later if entry[0] > self.clock.time]
        for effect in due:
            effect(self)

    def _answer(self, name: str, arguments: Json) -> Json:
        wants = arguments.get("wants", [])
        is_alive = self.process == "alive"
        down = not is_alive and not any(said in ("reply", "unanswered") for said in self.said.values())
        instance = {
            "name": "ckpool",
            "mode": "pool",
            "socket_dir": "/run/ckpool",
            "log_dir": "/var/log/ckpool",
            "pid": self.pid,
            "state": "down" if down else self.state,
        }
        return {
            "changed": name != "look",
            "found": self.found,
            "instance": instance if self.found else None,
            "process": {"pid": self.pid, "started": self.started, "state": self.process},
            "answers": dict(self.said),
            "clients": self.clients,
            "ready": self.ready and is_alive,
            "down": down,
            "leftovers": list(self.leftovers),
            "stats": self.stats if "stats" in wants else None,
            "handover": {"obstacles": self.obstacles} if "handover" in wants else None,
            "holders": self.holders if "holders" in wants else None,
            "service": self.service if "service" in wants else None,
            "connections": self.connections if "connections" in wants else None,
            "takeover": self.takeover if "takeover" in wants and "predecessor" in arguments else None,
            "left_rejecting": self.left_rejecting,
            "redirect": self.redirect if "redirect" in wants and "redirect_to" in arguments else None,
            **({"log_tail": self.log_tail} if "log_tail" in wants else {}),
            "problems": {},
            "msg": "looked",
            **self.more,
        }


def gone(pool: FakePool) -> None:
    """The process has ended, as after a shutdown."""
    pool.process, pool.pid, pool.started, pool.clients = "absent", None, None, None
    pool.said = dict.fromkeys(SOCKETS, "refused")
    pool.leftovers = list(SOCKETS)
    pool.ready = False


def born(pool: FakePool, pid: int = 200) -> None:
    """A new process serves."""
    pool.process, pool.pid, pool.started = "alive", pid, 9000 + pid
    pool.said = dict.fromkeys(SOCKETS, "reply")
    pool.state, pool.ready, pool.clients, pool.leftovers = "ok", True, 0, []


def hang(pool: FakePool) -> None:
    """The process is stopped: it accepts, and never answers."""
    pool.said, pool.state, pool.clients = dict.fromkeys(SOCKETS, "unanswered"), "hung", None


def have(clients: t.Optional[int]) -> Effect:
    """Set the number of clients."""

    def effect(pool: FakePool) -> None:
        pool.clients = clients

    return effect


def later(seconds: float, effect: Effect) -> Effect:
    """Delay an effect."""
    return lambda pool: pool.at(seconds, effect)


def obedient() -> FakePool:
    """A pool that follows every order, as a real one does."""
    pool = FakePool()
    pool.effects = {
        "shutdown": later(0.3, gone),
        "terminate": later(1.5, gone),
        "kill": gone,
        "stop_service": later(0.5, gone),
        "clean": lambda it: it.leftovers.clear(),
        "reconnect": have(0),
        "restart": _hand_over,
    }
    return pool


def _hand_over(pool: FakePool) -> None:
    pool.process, pool.pid, pool.started, pool.clients = "absent", None, None, None
    pool.said = {"listener": "unanswered", "stratifier": "refused", "connector": "refused", "generator": "refused"}
    pool.at(2, born)
    pool.at(7, have(20))


def shut_down(pool: FakePool, check_mode: bool = False, **options: t.Any) -> Json:
    """What a shutdown of the pool returns."""
    return _run(Shutdown, pool, {**SHUTDOWN, **options}, check_mode)


def restart(pool: FakePool, check_mode: bool = False, **options: t.Any) -> Json:
    """What a restart of the pool returns."""
    return _run(Restart, pool, {**RESTART, **options}, check_mode)


def wait(pool: FakePool, check_mode: bool = False, **options: t.Any) -> Json:
    """What waiting for the pool returns."""
    return _run(Wait, pool, {**WAIT, **options}, check_mode)


def _run(flow: t.Type[Flow], pool: FakePool, options: Json, check_mode: bool) -> Json:
    return flow(pool.watch(), {"poll": 2.0, **options}, check_mode).run()


def phases(result: Json) -> t.List[str]:
    """The names of the phases that a result lists."""
    return [phase["name"] for phase in result["phases"]]
