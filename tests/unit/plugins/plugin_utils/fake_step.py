# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool that is not there, behind the calls that the waiting actions make, on a clock that nobody has to wait for."""

from __future__ import annotations

import contextlib
import copy
import typing as t

from ansible_collections.ckpool.fleet.plugins.plugin_utils._waiting import SOCKETS, Interrupted, Lost, Watch

Answer = t.Dict[str, t.Any]
Effect = t.Callable[["FakePool"], None]

#: What every call after the first says of the pool.
WHERE = {"socket_dir": "/run/ckpool", "name": "ckpool", "log_dir": "/var/log/ckpool"}


class FakeClock:
    """Time that passes as fast as it is asked to."""

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
    """Answers as C(ckpool_step) does. Tests set what each step leads to, at once or seconds later."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cost = 0.1  #: seconds that a call takes
        self.calls: t.List[t.Tuple[float, str, Answer]] = []
        self.effects: t.Dict[str, Effect] = {}
        self.later: t.List[t.Tuple[float, Effect]] = []
        self.failures: t.Dict[int, t.Union[Answer, str]] = {}  #: by number of the call: a failed answer, or a loss
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
        self.stats: Answer = {"users": 3, "workers": 12, "hashrate1m": 2e12, "work_age": 4.0}
        self.service: t.Optional[Answer] = None
        self.obstacles: t.List[Answer] = []
        self.holders: t.List[Answer] = []
        self.more: Answer = {}

    def watch(self, poll: float = 2.0) -> Watch:
        return Watch(self.step, self.clock, poll, self.lines.append, self._reset)

    def _reset(self) -> None:
        self.resets += 1

    @property
    def steps(self) -> t.List[str]:
        """The steps that were asked for, without looks."""
        return [step for _time, step, _arguments in self.calls if step != "look"]

    def at(self, seconds: float, effect: Effect) -> None:
        """Have something happen that many seconds from now."""
        self.later.append((self.clock.time + seconds, effect))

    def step(self, arguments: Answer) -> Answer:
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

    def _answer(self, name: str, arguments: Answer) -> Answer:
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
    """So many clients are left."""

    def effect(pool: FakePool) -> None:
        pool.clients = clients

    return effect


def later(seconds: float, effect: Effect) -> Effect:
    """An effect that takes its time."""
    return lambda pool: pool.at(seconds, effect)
