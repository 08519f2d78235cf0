# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One simulated ckpool instance: sockets, status files and log of the daemon, with miners that exist only on paper.

The command line, the configuration file and all behaviour follow the daemon. What is special to the simulation is in
the key "simulation" of the configuration, which is read again whenever the file changes. Every message that arrives
is recorded in <logdir>/simulation.jsonl, so that a test can prove what was sent.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import IO, Any, Callable, Collection, Dict, Iterable, Mapping, NoReturn, Union

EMERG, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(8)
NONCES = 2**32
NETWORK_DIFF = 86388558925171.0
WITNESS_COMMITMENT = "6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9"
BEST_HASH = "00000000000000000001abababababababababababababababababababababab"
MAX_LENGTH = 0x80000000
SILENCE = 5.0  # seconds that the daemon waits for a client to say something
TICK = 0.1
START_DEADLINE = 15.0
SECONDS_PER_SHARE = 3.33  # what variable difficulty aims at
LEAVING = 0.5  # seconds over which miners follow a client.reconnect
HANDOVER = 0.2  # seconds from the end of main.pid to the start of the process that follows
NEVER = math.inf
SOCKETS = ("listener", "stratifier", "connector", "generator")
WINDOWS: dict[str, int] = {"1m": 60, "5m": 300, "15m": 900, "1hr": 3600, "6hr": 21600, "1d": 86400, "7d": 604800}
DSPS: dict[str, str] = {
    "1": "1m", "5": "5m", "15": "15m", "60": "1hr", "360": "6hr", "1440": "1d", "10080": "7d",
}  # fmt: skip
# Bytes that one object takes, as the builds report them.
MEMORY: dict[str, dict[str, int]] = {
    "2017": {"workbases": 2428, "users": 920, "clients": 200, "shares": 440, "connections": 552},
    "2025": {"workbases": 2419, "users": 1360, "clients": 632, "shares": 440, "connections": 1000},
    "2026": {"workbases": 2444, "users": 1376, "clients": 632, "shares": 158, "connections": 1000},
}
LAYOUTS = tuple(MEMORY)
DIALECTS = ("public", "api", "guide")
# The sockets that a fault concerns unless it says otherwise; the others concern all.
FAULT_SOCKETS: dict[str, tuple[str, ...]] = {
    "listener_dead": ("listener",),
    "starting": ("stratifier", "generator"),
    "bitcoind_down": ("generator",),  # as seen on a running daemon; one that never had a bitcoind is "starting"
}
FAULTS = (
    "down", "refused", "hung", "starting", "slow", "half_reply", "oversized", "garbage", "no_reply", "no_permission",
    "stale_work", "bitcoind_down", "dead_stats", "listener_dead", "hashrate_drop", "failover", "rejects",
    "lingers", "ignores_term", "dies_on_shutdown", "restart_fails", "restart_old", "strands_clients", "slow_restart",
)  # fmt: skip
SILENT_FAULTS = ("hung", "starting", "bitcoind_down")

Reply = Union[str, None]
Json = Dict[str, Any]


class ConfigError(Exception):
    """The configuration cannot be used; the text says why."""


class KeepOpen(Exception):
    """The message gets no answer and its connection stays open."""


def encode(value: Any, digits: int = 17, compact: bool = False, indent: int | None = None, depth: int = 1) -> str:
    """JSON as the daemon's library writes it: reals with so many digits, `1e13` rather than `1e+13`."""
    if isinstance(value, float):
        return encode_real(value, digits)
    if not isinstance(value, (dict, list)) or not value:
        return json.dumps(value)
    inner: Iterable[str]
    if isinstance(value, dict):
        colon = ":" if compact else ": "
        inner = [
            json.dumps(str(key)) + colon + encode(item, digits, compact, indent, depth + 1)
            for key, item in value.items()
        ]
    else:
        inner = [encode(item, digits, compact, indent, depth + 1) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if indent is not None:
        pad = "\n" + " " * indent * depth
        return opening + pad + ("," + pad).join(inner) + "\n" + " " * indent * (depth - 1) + closing
    return opening + ("," if compact else ", ").join(inner) + closing


def encode_real(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent)}"
    return text if "." in text else text + ".0"


def si_text(value: float, fine: bool = False) -> str:
    """A hashrate as the status files have it: three digits and a suffix; `fine` keeps digits below a thousand."""
    for power, suffix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "K")):
        if value >= 10**power:
            return f"{value / 10**power:.3g}{suffix}"
    return f"{value:.3g}" if fine else str(int(value))


@dataclass(frozen=True)
class Fault:
    name: str
    sockets: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Any) -> Fault:
        entry = {"fault": raw} if isinstance(raw, str) else raw
        if not isinstance(entry, dict) or entry.get("fault") not in FAULTS:
            raise ConfigError("unknown fault {!r}, expected one of {}".format(raw, ", ".join(FAULTS)))
        name = str(entry["fault"])
        sockets = tuple(entry.get("sockets") or FAULT_SOCKETS.get(name, ()))
        return cls(name, sockets, {key: value for key, value in entry.items() if key not in ("fault", "sockets")})

    def concerns(self, socket_name: str) -> bool:
        return not self.sockets or socket_name in self.sockets

    def number(self, option: str, default: float) -> float:
        return float(self.options.get(option, default))


@dataclass(frozen=True)
class Settings:
    """What the configuration says; the fields after `bitcoinds` are the keys of "simulation"."""

    logdir: str = "logs"
    update_interval: float = 30
    bitcoinds: tuple[str, ...] = ("127.0.0.1:8332",)
    layout: str = "2025"
    dialect: str = "public"
    users: int = 3
    workers_per_user: int = 2
    user_names: tuple[str, ...] = ()
    dead_users: int = 0
    hashrate: float = 1e15
    idle: int = 0
    disconnected: int = 0
    seed: int = 1
    bestshare: float | None = None
    accepted: float | None = None
    rejected: float | None = None
    status_interval: float = 60
    uptime: float = 0
    reconnect_after: float = 3
    share_interval: float = 2
    lazy_drop_after: float = 60
    stubborn: int = 0
    counters: Mapping[str, list[Json]] = field(default_factory=dict)
    template: Json = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @classmethod
    def load(cls, path: str) -> Settings:
        try:
            with open(path, encoding="utf-8") as stream:
                config, _comment = json.JSONDecoder().raw_decode(stream.read().lstrip())
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read configuration {path}: {error}") from error
        if not isinstance(config, dict) or not isinstance(config.get("simulation", {}), dict):
            raise ConfigError(f"configuration {path} is not a JSON object")
        simulation: Json = dict(config.get("simulation", {}))
        unknown = set(simulation) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError("unknown simulation keys: {}".format(", ".join(sorted(unknown))))
        if "faults" in simulation:
            simulation["faults"] = tuple(Fault.parse(raw) for raw in simulation["faults"])
        if "user_names" in simulation:
            simulation["user_names"] = tuple(simulation["user_names"])
        for key in ("logdir", "update_interval"):
            simulation.update({key: config[key]} if key in config else {})
        try:
            servers = tuple(str(entry.get("url", "")) for entry in config.get("btcd", []))
            settings = cls(bitcoinds=servers or ("127.0.0.1:8332",), **cls.numbers(simulation))
            settings.check()
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"a value in {path} has the wrong type: {error}") from error
        return settings

    @classmethod
    def numbers(cls, simulation: Json) -> Json:
        """YAML takes 2.5e15 for a text: what should be a number becomes one."""
        kinds = {"int": int, "float": float, "float | None": float}
        types = {name: kinds.get(str(spec.type)) for name, spec in cls.__dataclass_fields__.items()}
        return {
            name: kind(value) if (kind := types[name]) and isinstance(value, str) else value
            for name, value in simulation.items()
        }

    def check(self) -> None:
        if self.layout not in LAYOUTS or self.dialect not in DIALECTS:
            raise ConfigError(f"layout must be one of {LAYOUTS}, dialect one of {DIALECTS}")
        if any("/" in name or "\0" in name or name in ("", ".", "..") for name in self.user_names):
            raise ConfigError("user_names must be plain file names")
        if min(self.users, self.workers_per_user, self.hashrate, self.status_interval - 0.05) < 0:
            raise ConfigError(
                "users, workers_per_user and hashrate must not be negative, status_interval at least 0.05"
            )

    def fault(self, name: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.name == name), None)

    def fault_on(self, name: str, socket_name: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.name == name and fault.concerns(socket_name)), None)

    def age_at_start(self) -> float:
        """How long the instance pretends to run already: at least as long as what it pretends to be stale."""
        ages = (self.stale_age(name) + 60 for name in ("stale_work", "dead_stats") if self.fault(name))
        return max((self.uptime, *ages))

    def stale_age(self, name: str) -> float:
        fault = self.fault(name)
        return fault.number("age", 600) if fault else 0.0

    def population(self) -> tuple[Any, ...]:
        """What the miners are made from: when it changes, there are others."""
        return (self.users, self.workers_per_user, self.user_names, self.seed, self.idle)


@dataclass
class Worker:
    name: str
    user: str
    number: int
    weight: float
    idle: bool


@dataclass
class Client:
    """One stratum connection of a worker."""

    id: int
    worker: Worker
    started: int
    leaves: float = NEVER  # when the connection ends
    lapses: float = NEVER  # when the stratifier lets go of it, which has marked it as dropped
    returns: bool = True  # False: sent elsewhere

    @property
    def address(self) -> str:
        return f"127.0.{self.worker.number // 250}.{self.worker.number % 250 + 1}"


def random_address(source: random.Random) -> str:
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return "1" + "".join(source.choice(alphabet) for _index in range(33))


def make_workers(settings: Settings) -> list[Worker]:
    """All workers, their weights adding up to one; the last `idle` of them do nothing."""
    source = random.Random(settings.seed)
    names = list(settings.user_names) or [random_address(source) for _index in range(settings.users)]
    pairs = [(user, f"{user}.rig{index}") for user in names for index in range(settings.workers_per_user)]
    busy = len(pairs) - settings.idle
    raw = [source.uniform(0.3, 1.7) if number < busy else 0.0 for number in range(len(pairs))]
    total = sum(raw) or 1.0
    return [
        Worker(worker, user, number, raw[number] / total, number >= busy) for number, (user, worker) in enumerate(pairs)
    ]


class Pool:
    """The miners and what they have achieved, at any moment.

    Connector and stratifier each have a view of who is connected. After most commands these differ for a while.
    """

    def __init__(self, settings: Settings, age: float) -> None:
        self.settings = settings
        self.began = time.time()
        self.last_client_id = 0
        self.connections: dict[int, Client] = {}  # what the connector counts
        self.clients: dict[int, Client] = {}  # what the stratifier counts
        self.away: list[tuple[float, Worker]] = []  # those who come back, and when
        self.queried: set[str] = set()  # users that exist only because somebody asked about them
        self.accepting = True
        self.reset_at: float | None = None
        self.started = self.began - age
        self.populate()

    def adopt(self, settings: Settings) -> bool:
        """Take over changed settings; true when the miners are others now."""
        changed = settings.population() != self.settings.population()
        if settings.uptime != self.settings.uptime:
            self.started = self.began - settings.uptime
        self.settings = settings
        if changed:
            self.populate()
            self.clear()
        return changed

    def clear(self) -> None:
        """Nobody is connected, and nobody comes back."""
        self.connections.clear()
        self.clients.clear()
        self.away.clear()

    def populate(self) -> None:
        self.workers = make_workers(self.settings)
        self.by_user: dict[str, list[Worker]] = {}
        for worker in self.workers:
            self.by_user.setdefault(worker.user, []).append(worker)
        self.user_ids = {user: number for number, user in enumerate(self.by_user, 1)}
        self.phase = random.Random(self.settings.seed).uniform(0, 2 * math.pi)

    def runtime(self) -> int:
        return int(time.time() - self.started)

    def of_user(self, user: str) -> list[Worker]:
        return self.by_user.get(user, [])

    def connect(self, worker: Worker, moment: float | None = None) -> Client:
        self.last_client_id += 1
        client = Client(self.last_client_id, worker, int(moment or time.time()))
        self.connections[client.id] = self.clients[client.id] = client
        return client

    def is_stubborn(self, worker: Worker) -> bool:
        return worker.number >= len(self.workers) - self.settings.stubborn

    def expect(self, workers: Iterable[Worker]) -> None:
        """They will connect when the time has come for that."""
        due = time.time() + self.settings.reconnect_after
        self.away += [(due, worker) for worker in workers]

    def close(self, clients: Iterable[Client]) -> list[Client]:
        """End connections. The result is whom the stratifier, told by the connector, drops because of that."""
        closed = [client for client in list(clients) if self.connections.pop(client.id, None)]
        self.expect(client.worker for client in closed if client.returns)
        return self.forget(closed)

    def forget(self, clients: Iterable[Client]) -> list[Client]:
        """The stratifier drops clients, but those that it has marked only when they lapse."""
        known = [client for client in clients if client.id in self.clients and client.lapses == NEVER]
        for client in known:
            del self.clients[client.id]
        return known

    def disown(self, clients: Iterable[Client]) -> list[Client]:
        """The stratifier drops clients. Each connection stays until its miner says something: silent ones for good."""
        now = time.time()
        disowned = self.forget(clients)
        for client in disowned:
            if not client.worker.idle and not self.is_stubborn(client.worker):
                client.leaves = min(client.leaves, now + self.settings.share_interval)
        return disowned

    def send_away(self, clients: Collection[Client], elsewhere: bool = False) -> None:
        """Send client.reconnect. Whoever heeds it leaves soon."""
        now = time.time()
        for position, client in enumerate(clients):
            if not self.is_stubborn(client.worker):
                client.leaves = min(client.leaves, now + LEAVING * position / len(clients))
                client.returns = not elsewhere

    def mark(self, clients: Iterable[Client]) -> None:
        """The stratifier takes clients for dropped, and goes on counting them for a while."""
        due = time.time() + self.settings.lazy_drop_after
        for client in clients:
            client.lapses = min(client.lapses, due)

    def leave(self) -> list[Client]:
        """End the connections of miners that leave now; the result is as with `close`.

        While the pool rejects, nobody notices: the thread that takes new miners is the one that reads the others.
        """
        now = time.time()
        leaving = [client for client in self.connections.values() if client.leaves <= now]
        return self.close(leaving) if self.accepting else []

    def lapse(self) -> list[Client]:
        """Marked clients of which the stratifier lets go now."""
        now = time.time()
        lapsed = [client for client in self.clients.values() if client.lapses <= now]
        for client in lapsed:
            del self.clients[client.id]
        return lapsed

    def returning(self) -> list[Worker]:
        """The workers whose time to come back has come."""
        if not self.accepting:
            return []
        now = time.time()
        back = [worker for due, worker in self.away if due <= now]
        self.away = [entry for entry in self.away if entry[0] > now]
        return back

    def hashrate(self, window: str) -> float:
        """Of the whole pool: waves of a few percent, which longer windows smooth out."""
        settings = self.settings
        moment = time.time()
        wave = math.sin(moment / 13 + self.phase) + 0.5 * math.sin(moment / 41 + 2 * self.phase)
        rate = settings.hashrate * (1 + 0.02 * wave / math.sqrt(WINDOWS[window] / 60))
        drop = settings.fault("hashrate_drop")
        return rate * drop.number("factor", 0.1) if drop and window in ("1m", "5m") else rate

    def accepted(self) -> float:
        """In shares of difficulty one."""
        settings = self.settings
        if self.reset_at is not None:
            return settings.hashrate * (time.time() - self.reset_at) / NONCES
        if settings.accepted is not None:
            return settings.accepted
        return settings.hashrate * self.runtime() / NONCES

    def rejected(self) -> float:
        fault = self.settings.fault("rejects")
        if fault:
            ratio = min(fault.number("ratio", 0.2), 0.99)
            return self.accepted() * ratio / (1 - ratio)
        if self.settings.rejected is not None and self.reset_at is None:
            return self.settings.rejected
        return self.accepted() * 0.002

    def best_share(self) -> float:
        if self.settings.bestshare is not None and self.reset_at is None:
            return self.settings.bestshare
        return self.accepted() * 0.7

    def shares_per_second(self) -> float:
        return sum(not worker.idle for worker in self.workers) / SECONDS_PER_SHARE

    def share_count(self) -> int:
        return int(self.shares_per_second() * self.runtime())

    def last_share(self, worker: Worker) -> int:
        """Idle workers stopped an hour ago, the others have just been at it."""
        return int(time.time()) - (3600 if worker.idle else worker.number % 5)


def user_of(worker: str) -> str:
    """The user that a worker's name belongs to."""
    return worker.partition(".")[0]


class Queries:
    """The native query API: names and units as in the daemon (dsps = hashrate / 2^32)."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def dsps(self, weight: float, minutes: Iterable[str]) -> Json:
        return {"dsps" + name: self.pool.hashrate(DSPS[name]) * weight / NONCES for name in minutes}

    def user(self, user: str) -> Json:
        pool = self.pool
        workers = pool.of_user(user)
        weight = sum(worker.weight for worker in workers)
        return {
            "user": user,
            "id": pool.user_ids.get(user, len(pool.user_ids) + 1),
            "workers": len(workers),
            "bestdiff": pool.best_share() * weight,
            **self.dsps(weight, ("1", "5", "60", "1440", "10080")),
            "lastshare": max((pool.last_share(worker) for worker in workers), default=0),
        }

    def worker(self, worker: Worker) -> Json:
        return {
            "user": worker.user,
            "worker": worker.name,
            "id": self.pool.user_ids[worker.user],
            **self.dsps(worker.weight, ("1", "5", "60", "1440")),
            "lastshare": self.pool.last_share(worker),
            "bestdiff": self.pool.best_share() * worker.weight,
            "mindiff": 1,
            "idle": worker.idle,
        }

    def client(self, client: Client) -> Json:
        worker = client.worker
        return {
            "id": client.id,
            "enonce1": f"{client.id:08x}",
            "enonce1var": f"{client.id:08x}",
            "enonce1_64": client.id,
            "diff": 1.0,
            **self.dsps(worker.weight, ("1", "5", "60", "1440", "10080")),
            "lastshare": self.pool.last_share(worker),
            "starttime": client.started,
            "address": client.address,
            "subscribed": True,
            "authorised": True,
            "idle": worker.idle,
            "useragent": "simulated/1.0",
            "workername": worker.name,
            "userid": self.pool.user_ids[worker.user],
            "server": 0,
            "bestdiff": self.pool.best_share() * worker.weight,
            "proxyid": 0,
            "subproxyid": 0,
        }

    def pool_stats(self) -> Json:
        pool = self.pool
        rate = pool.shares_per_second()
        connected = [client.worker for client in pool.clients.values()]
        return {
            "start": int(pool.started),
            "update": int(time.time()),
            "workers": len(connected),
            "users": len({worker.user for worker in connected}),
            "disconnected": pool.settings.disconnected + len(pool.away),
            "shares": pool.share_count(),
            **{"sps" + name: rate for name in ("1", "5", "15", "60")},
            "accepted": int(pool.accepted()),
            "rejected": int(pool.rejected()),
            **self.dsps(1.0, DSPS),
        }

    def about_user(self, argument: str) -> Json:
        user = self.named(argument, "user")
        if user not in self.pool.by_user:
            self.pool.queried.add(user)  # asking creates: a trap that software must not step into
        return self.user(user)

    def named(self, argument: str, key: str) -> str:
        try:
            name = json.loads(argument)[key]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        return str(name)

    def clients_of(self, argument: str, key: str, full: bool) -> Json:
        name = self.named(argument, key)
        if user_of(name) not in self.pool.by_user:
            self.pool.queried.add(user_of(name))
        found = [
            client
            for client in self.pool.clients.values()
            if name == (client.worker.user if key == "user" else client.worker.name)
        ]
        return {key: name, "clients": [self.client(client) if full else client.id for client in found]}

    def about_worker(self, argument: str) -> Json:
        name = self.named(argument, "worker")
        found = next((worker for worker in self.pool.workers if worker.name == name), None)
        if found:
            return self.worker(found)
        self.pool.queried.add(user_of(name))
        return {"user": user_of(name), "worker": name, "id": 0, "lastshare": 0, "bestdiff": 0.0, "idle": True}

    def answer(self, message: str) -> Json | None:
        """None when this is no query."""
        pool = self.pool
        command, _sign, argument = message.partition("=")
        answers: dict[str, Callable[[], Json]] = {
            "clients": lambda: {"clients": [self.client(client) for client in pool.clients.values()]},
            "workers": lambda: {"workers": [self.worker(worker) for worker in pool.workers]},
            "users": lambda: {"users": [self.user(user) for user in [*pool.by_user, *sorted(pool.queried)]]},
            "getuser": lambda: self.about_user(argument),
            "getworker": lambda: self.about_worker(argument),
            "userclients": lambda: self.clients_of(argument, "user", False),
            "workerclients": lambda: self.clients_of(argument, "worker", False),
            "ucinfo": lambda: self.clients_of(argument, "user", True),
            "wcinfo": lambda: self.clients_of(argument, "worker", True),
            "poolstats": self.pool_stats,
            "proxyinfo": lambda: {"proxies": []},
            "uptime": lambda: {"uptime": pool.runtime()},
        }
        found = next((name for name in answers if command.lower().startswith(name)), None)
        return answers[found]() if found else None


class GuideQueries:
    """The commands of the operator's guide, hashrates in GH/s."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def rates(self, weight: float) -> Json:
        names = ("1m", "5m", "15m", "1hr", "1d", "7d")
        return {"hashrate" + name.replace("hr", "h"): self.pool.hashrate(name) * weight / 1e9 for name in names}

    def stats(self) -> Json:
        pool = self.pool
        connected = [client.worker for client in pool.clients.values()]
        return {
            **self.rates(1.0),
            "workers": len(connected),
            "users": len({worker.user for worker in connected}),
            "idle": sum(worker.idle for worker in connected),
            "disconnected": pool.settings.disconnected + len(pool.away),
            "accounted_shares": int(pool.accepted()),
            "accepted": int(pool.accepted()),
            "rejected": int(pool.rejected()),
            "bestshare": pool.best_share(),
            "elapsed": pool.runtime(),
        }

    def user(self, user: str) -> Json:
        workers = self.pool.of_user(user)
        weight = sum(worker.weight for worker in workers)
        return {
            "user": user,
            **self.rates(weight),
            "workers": len(workers),
            "shares": int(self.pool.accepted() * weight),
            "bestshare": self.pool.best_share() * weight,
            "lastshare": max((self.pool.last_share(worker) for worker in workers), default=0),
        }

    def worker(self, worker: Worker) -> Json:
        return {
            "user": worker.user,
            "worker": worker.name,
            **self.rates(worker.weight),
            "shares": int(self.pool.accepted() * worker.weight),
            "bestshare": self.pool.best_share() * worker.weight,
            "lastshare": self.pool.last_share(worker),
        }

    def user_info(self, user: str) -> Json:
        if user not in self.pool.by_user:
            return {"error": f"user {user} not found"}
        detail = [self.worker(worker) for worker in self.pool.of_user(user)]
        return {**self.user(user), "worker": detail}

    def listing(self, what: str) -> Json:
        if what == "users":
            return {"users": [self.user(user) for user in self.pool.by_user]}
        return {"workers": [self.worker(worker) for worker in self.pool.workers]}


class Log:
    """<logdir>/<name>.log: local time, and only what the level lets through."""

    def __init__(self, path: str, level: int, layout: str) -> None:
        self.path = path
        self.level = level
        self.width = 510 if layout != "2017" else 1 << 20  # later builds cut long lines
        with open(path, "a", encoding="utf-8"):
            pass  # it is there even if the level lets nothing through

    def write(self, level: int, *texts: str, moment: float | None = None) -> None:
        if level > self.level or not texts:
            return
        now = time.time() if moment is None else moment
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
        with open(self.path, "a", encoding="utf-8", errors="replace") as stream:
            for text in texts:
                for start in range(0, len(text), self.width):
                    stream.write(f"[{stamp}] {text[start : start + self.width]}\n")


def overwrite(path: str, text: str, stamp: float | None = None) -> None:
    """In place, as the daemon does it."""
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    if stamp is not None:
        os.utime(path, (stamp, stamp))


class StatusFiles:
    """pool/pool.status, users/* and workers/* of the three layouts."""

    def __init__(self, pool: Pool, logdir: str, log: Log) -> None:
        self.pool = pool
        self.logdir = logdir
        self.log = log

    @property
    def layout(self) -> str:
        return self.pool.settings.layout

    def path(self, *parts: str) -> str:
        return os.path.join(self.logdir, *parts)

    def prepare(self) -> None:
        for folder in ("pool", "users") + (("workers",) if self.layout == "2017" else ()):
            os.makedirs(self.path(folder), exist_ok=True)
        source = random.Random(self.pool.settings.seed + 1)
        long_ago = time.time() - 90 * 86400
        for _index in range(self.pool.settings.dead_users):
            user = random_address(source)
            overwrite(self.path("users", user), self.user_text(user, [], int(long_ago)), long_ago)

    def write(self, age: float = 0.0) -> None:
        """Everything at once, as if it had been written `age` seconds ago."""
        stamp = time.time() - age if age else None
        users = list(dict.fromkeys(client.worker.user for client in self.pool.clients.values()))
        for user in users:
            self.write_user(user, age, stamp)
        lines = self.pool_lines(int(time.time() - age))
        overwrite(self.path("pool", "pool.status"), "".join(line + "\n" for line in lines), stamp)
        self.log.write(NOTICE, *("Pool:" + line for line in lines))

    def write_user(self, user: str, age: float, stamp: float | None) -> None:
        workers = self.pool.of_user(user)
        moment = int(time.time() - age)
        overwrite(self.path("users", user), self.user_text(user, workers, moment), stamp)
        if self.layout == "2017":
            for worker in workers:
                text = encode({**self.rates(worker.weight), "lastupdate": moment, **self.achieved(worker.weight)}, 16)
                overwrite(self.path("workers", worker.name), text + "\n", stamp)
        if not all(worker.idle for worker in workers):
            record = self.user_record(user, workers, moment)
            self.log.write(NOTICE, "User {}:{}".format(user, encode(record, 17, compact=self.layout != "2017")))

    def rates(self, weight: float) -> Json:
        names = ("1m", "5m", "1hr", "1d", "7d")
        return {"hashrate" + name: si_text(self.pool.hashrate(name) * weight) for name in names}

    def achieved(self, weight: float) -> Json:
        shares, best = self.pool.accepted() * weight, self.pool.best_share() * weight
        if self.layout == "2017":
            return {"shares": int(shares), "bestshare": best}
        if self.layout == "2025":
            return {"shares": int(shares), "bestshare": best, "bestever": int(best)}
        return {"shares": shares, "bestshare": best, "bestever": best}

    def user_record(self, user: str, workers: list[Worker], moment: int) -> Json:
        weight = sum(worker.weight for worker in workers)
        rates, achieved = self.rates(weight), self.achieved(weight)
        if self.layout == "2017":
            return {**rates, "lastupdate": moment, "workers": len(workers), **achieved}
        last = max((self.last_share(worker, moment) for worker in workers), default=moment)
        joined = int(self.pool.started)
        return {**rates, "lastshare": last, "workers": len(workers), **achieved, "authorised": joined}

    def last_share(self, worker: Worker, moment: int) -> int:
        return min(self.pool.last_share(worker), moment)

    def worker_record(self, worker: Worker, moment: int) -> Json:
        record: Json = {"workername": worker.name, **self.rates(worker.weight)}
        record["lastshare"] = self.last_share(worker, moment)
        if self.layout == "2026":
            record["started"] = int(self.pool.started)
        record.update(self.achieved(worker.weight))
        if self.layout == "2026":
            record["useragent"] = "simulated/1.0"
        return record

    def user_text(self, user: str, workers: list[Worker], moment: int) -> str:
        record = self.user_record(user, workers, moment)
        if self.layout == "2017":
            return encode(record, 16) + "\n"
        record["worker"] = [self.worker_record(worker, moment) for worker in workers]
        return encode(record, 16, indent=1) + "\n"

    def pool_lines(self, moment: int) -> list[str]:
        connected = [client.worker for client in self.pool.clients.values()]
        counts: Json = {
            "runtime": self.pool.runtime(),
            "lastupdate": moment,
            "Users": len({worker.user for worker in connected}),
            "Workers": len(connected),
            "Idle": sum(worker.idle for worker in connected),
            "Disconnected": self.pool.settings.disconnected + len(self.pool.away),
        }
        fine = self.layout == "2026"
        rates = {"hashrate" + name: si_text(self.pool.hashrate(name), fine) for name in WINDOWS}
        if fine and connected:
            agent: Json = {"ua": "simulated", "devices": len(connected), "hashrate5m": rates["hashrate5m"]}
            counts["UserAgents"] = [{**agent, "bestshare": self.pool.best_share()}]
        return [encode(counts), encode(rates), encode(self.share_counts(), 6 if fine else 3)]

    def share_counts(self) -> Json:
        pool = self.pool
        accepted, rejected, best = pool.accepted(), pool.rejected(), pool.best_share()
        rates = {"SPS" + window: pool.shares_per_second() for window in ("1m", "5m", "15m", "1h")}
        progress = {"diff": round(accepted / NETWORK_DIFF * 100, 1)}
        if self.layout == "2026":
            real = {"netdiff": NETWORK_DIFF, "accepted": accepted, "rejected": rejected, "bestshare": best}
            counts = {"accepted_count": pool.share_count(), "rejected_count": int(pool.share_count() * 0.002)}
            return {**progress, **real, **rates, **counts}
        whole = {"accepted": int(accepted), "rejected": int(rejected), "bestshare": int(best)}
        return dict(rates) if self.layout == "2017" and not accepted else {**progress, **whole, **rates}


class Recorder:
    """Every message that arrived, in order: the proof of what software sends."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()

    def add(self, socket_name: str, message: str | None) -> None:
        line = json.dumps({"time": round(time.time(), 6), "socket": socket_name, "message": message})
        with self.lock, open(self.path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")


class Endpoint:
    """One listening socket. The listener serves one connection at a time, as the daemon's does."""

    def __init__(self, name: str, path: str, instance: Instance) -> None:
        self.name = name
        self.path = path
        self.instance = instance
        self.serial = name == "listener"
        self.kept: list[socket.socket] = []
        self.server: socket.socket | None = None

    def open(self) -> None:
        if os.path.lexists(self.path):
            os.unlink(self.path)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(self.path)
        os.chmod(self.path, 0o770)
        server.listen(128)
        self.server = server
        threading.Thread(target=self.accept, args=(server,), daemon=True).start()

    def close(self) -> None:
        """Nobody listens any more; the file stays behind."""
        if self.server:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            self.server = None

    def accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _peer = server.accept()
            except OSError:
                return
            if self.serial:
                self.serve(connection)
            else:
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            self.converse(connection)
            connection.close()
        except KeepOpen:
            self.kept.append(connection)
        except OSError:
            connection.close()  # the client went away, which is its right
        self.instance.end_if_asked()

    def converse(self, connection: socket.socket) -> None:
        message, whole = receive(connection)
        self.instance.recorder.add(self.name, message)
        self.wait_while_silent(connection)
        slow = self.instance.settings.fault_on("slow", self.name)
        if slow:
            time.sleep(slow.number("delay", 1.0))
        with self.instance.lock:
            reply = self.instance.answer(self.name, message if whole else None)
        if reply is not None:
            self.deliver(connection, reply.encode("utf-8", "surrogateescape"))

    def wait_while_silent(self, connection: socket.socket) -> None:
        """Something keeps us from answering until it has passed or the client has given up."""
        watch = select.poll()
        watch.register(connection, select.POLLHUP)
        while self.instance.is_silent(self.name):
            if watch.poll(TICK * 1000):
                raise OSError("the client gave up")

    def deliver(self, connection: socket.socket, body: bytes) -> None:
        settings = self.instance.settings
        if settings.fault_on("no_reply", self.name):
            return
        header = struct.pack("<I", len(body))
        if settings.fault_on("half_reply", self.name):
            body = body[: len(body) // 2]
        elif settings.fault_on("oversized", self.name):
            header = struct.pack("<I", 3 << 30)
        elif settings.fault_on("garbage", self.name):
            body = b"\xff\xfe\x80" * (len(body) // 3) + b"\xc3" * (len(body) % 3)
        connection.settimeout(SILENCE)
        connection.sendall(header + body)


def receive(connection: socket.socket) -> tuple[str | None, bool]:
    """The text that was sent (None: nothing at all), and whether it is a whole message."""
    deadline = time.monotonic() + SILENCE
    header = receive_bytes(connection, 4, deadline)
    if len(header) < 4:
        return None, False
    length = struct.unpack("<I", header)[0]
    if not 0 < length <= MAX_LENGTH:
        return "", False
    body = receive_bytes(connection, length, deadline)
    return body.decode("utf-8", "surrogateescape"), len(body) == length


def receive_bytes(connection: socket.socket, count: int, deadline: float) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection.settimeout(left)
        try:
            chunk = connection.recv(min(count - len(chunks), 1 << 20))
        except socket.timeout:
            break
        if not chunk:
            break
        chunks += chunk
    return bytes(chunks)


@dataclass(frozen=True)
class Arguments:
    """The daemon's own options, as given."""

    name: str
    socket_dir: str
    config: str
    level: int
    mode: str
    daemonise: bool
    replace: bool
    handover: bool

    @classmethod
    def parse(cls, argv: list[str]) -> Arguments:
        parser = argparse.ArgumentParser(description="A simulated ckpool instance.")
        parser.add_argument("-n", "--name", help="name of the instance (default: by mode)")
        parser.add_argument("-s", "--sockdir", help="socket directory (default: /tmp/NAME)")
        parser.add_argument("-c", "--config", help="configuration (default: NAME.conf)")
        parser.add_argument("-l", "--loglevel", type=int, default=NOTICE, choices=range(8))
        parser.add_argument("-D", "--daemonise", action="store_true", help="return when the sockets answer")
        parser.add_argument("-k", "--killold", action="store_true", help="replace an instance that runs")
        parser.add_argument("-H", "--handover", action="store_true", help=argparse.SUPPRESS)
        modes = parser.add_mutually_exclusive_group()
        for letter, mode in (("p", "proxy"), ("P", "passthrough"), ("R", "redirector"), ("N", "node")):
            modes.add_argument("-" + letter, "--" + mode, dest="mode", action="store_const", const=mode, default="pool")
        given = parser.parse_args(argv)
        name = given.name or ("ckpool" if given.mode == "pool" else "ck" + given.mode)
        return cls(
            name=name,
            socket_dir=os.path.abspath(given.sockdir or os.path.join("/tmp", name)),
            config=os.path.abspath(given.config or name + ".conf"),
            level=given.loglevel,
            mode=given.mode,
            daemonise=given.daemonise,
            replace=given.killold or given.handover,
            handover=given.handover,
        )


class Instance:
    """The process: its sockets, what happens with time, and how it ends."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.settings = Settings.load(arguments.config)
        self.config_stamp = stamp_of(arguments.config)
        self.logdir = os.path.abspath(self.settings.logdir)
        os.makedirs(self.logdir, exist_ok=True)
        self.log = Log(os.path.join(self.logdir, arguments.name + ".log"), arguments.level, self.settings.layout)
        self.recorder = Recorder(os.path.join(self.logdir, "simulation.jsonl"))
        # What follows a running instance has just been started, whatever that one claimed.
        age = 0.0 if arguments.handover else self.settings.age_at_start()
        self.pool = Pool(self.settings, age)
        self.files = StatusFiles(self.pool, self.logdir, self.log)
        self.counted: dict[str, int] = {}
        self.workbases = int(age / max(self.settings.update_interval, 0.1))
        self.ready = False
        self.ending = ""
        self.wake = threading.Event()
        self.lock = threading.Lock()  # one at a time: a conversation, or what time brings
        self.work_due = self.alarm_due = self.last_work = 0.0
        self.status_due = time.time() + self.settings.status_interval if arguments.handover else 0.0
        self.endpoints: dict[str, Endpoint] = {}

    # Life

    @property
    def pid_file(self) -> str:
        return os.path.join(self.arguments.socket_dir, "main.pid")

    def start(self) -> None:
        """Sockets first, then the rest, as the daemon does."""
        signal.signal(signal.SIGTERM, self.terminated)
        signal.signal(signal.SIGINT, self.terminated)
        os.makedirs(self.arguments.socket_dir, mode=0o750, exist_ok=True)
        os.chmod(self.arguments.socket_dir, 0o750)
        self.make_room()
        with open("/proc/self/comm", "w", encoding="utf-8") as stream:
            stream.write(self.arguments.name[:14])
        overwrite(self.pid_file, str(os.getpid()))
        self.files.prepare()
        with self.lock:  # nobody gets an answer before all sockets are there
            for name in SOCKETS + (("pool",) if self.settings.dialect == "guide" else ()):
                self.endpoints[name] = Endpoint(name, os.path.join(self.arguments.socket_dir, name), self)
                self.endpoints[name].open()
            name = self.arguments.name
            self.log.write(
                NOTICE,
                "Setting maxclients to 18000 due to max open file limit of 20000",
                *(f"{name} {process} starting" for process in ("generator", "stratifier", "connector")),
                f"{name} connector ready",
                moment=self.pool.started,
            )
            self.tick()
            self.apply_faults(())
            self.acknowledge()

    def make_room(self) -> None:
        """An instance that runs is left alone, or replaced when that was asked for."""
        old = running_pid(self.pid_file)
        if old is None:
            return
        if not self.arguments.replace:
            raise ConfigError(f"{self.arguments.name} runs already with pid {old}; -k replaces it")
        os.kill(old, signal.SIGTERM)
        deadline = time.monotonic() + SILENCE
        while running_pid(self.pid_file) is not None:
            if time.monotonic() > deadline:
                raise ConfigError(f"{self.arguments.name} with pid {old} does not end")
            time.sleep(TICK / 2)

    def run(self) -> NoReturn:
        while True:
            self.wake.wait(TICK)
            self.wake.clear()
            if not self.ending:
                with self.lock:
                    self.tick()
            elif self.ending == "restart" and self.settings.fault("restart_old"):
                self.go_on()
            else:
                self.end()

    def terminated(self, _signal: int, _frame: object) -> None:
        if not self.settings.fault("ignores_term"):
            self.ending = "terminated"

    def end_if_asked(self) -> None:
        if self.ending:
            self.wake.set()

    def end(self) -> NoReturn:
        os.chmod(self.arguments.socket_dir, 0o750)
        if self.ending != "terminated":
            time.sleep(TICK)  # the reply may still be on its way
        lingers = self.settings.fault("lingers")
        if self.ending == "shutdown" and lingers:
            self.stay(lingers.number("seconds", NEVER))
        if self.ending in ("shutdown", "restart"):
            self.remove_pid_file()
        if self.ending == "restart":
            self.hand_over()
        for endpoint in self.endpoints.values():
            endpoint.close()
        os._exit(0)

    def remove_pid_file(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.pid_file)

    def stay(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Do nothing for so long, or until something is so; false when SIGTERM ends it."""
        deadline = time.monotonic() + seconds
        while self.ending != "terminated" and time.monotonic() < deadline and not until():
            time.sleep(TICK / 2)
        return self.ending != "terminated"

    def wait_for_handover(self) -> bool:
        """For as long as a restart takes; false when SIGTERM ends it."""
        slow = self.settings.fault("slow_restart")
        return self.stay(slow.number("seconds", 5) if slow else HANDOVER)

    def hand_over(self) -> None:
        """Start the process that follows this one, and stay until it is there. Its sockets replace ours."""
        if self.settings.fault("restart_fails"):
            self.leave_a_copy()
        if not self.wait_for_handover():
            return
        handover = [] if self.arguments.handover else ["-H"]
        null = subprocess.DEVNULL
        command = [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:], *handover]
        subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
        self.stay(START_DEADLINE, until=lambda: os.path.exists(self.pid_file))

    def leave_a_copy(self) -> NoReturn:
        """A copy of this process holds the listener, and answers nobody there; nothing else is left."""
        for name in ("stratifier", "connector", "generator"):
            self.endpoints[name].close()
        if os.fork() == 0:
            self.stay(NEVER)
        os._exit(0)

    def go_on(self) -> None:
        """A restart that came to nothing: after a while, this process is what it was."""
        self.remove_pid_file()
        if self.wait_for_handover():
            overwrite(self.pid_file, str(os.getpid()))
            self.ending = ""

    # Time

    def tick(self) -> None:
        now = time.time()
        if stamp_of(self.arguments.config) != self.config_stamp:
            self.reload()
        if self.settings.fault("down") or self.settings.fault("refused"):
            self.ending = "shutdown" if self.settings.fault("down") else "terminated"
        if not self.settings.fault("starting") and not self.ready:
            self.become_ready()
        stuck = self.settings.fault("bitcoind_down") or self.settings.fault("starting")
        if stuck and now >= self.alarm_due:
            self.alarm_due = now + 5
            self.log.write(WARNING, "CRITICAL: No bitcoinds active!")
        if self.ready:
            self.log_dropped(self.pool.leave())
            self.log_dropped(self.pool.lapse(), "lazily")
            self.welcome(self.pool.returning())
            self.work(now, bool(stuck))
            self.report(now)

    def reload(self) -> None:
        """A configuration that cannot be used changes nothing."""
        self.config_stamp = stamp_of(self.arguments.config)
        try:
            fresh = Settings.load(self.arguments.config)
        except ConfigError as error:
            self.log.write(WARNING, f"Configuration not taken over: {error}")
            return
        before, self.settings = self.settings.faults, fresh
        others = self.pool.adopt(fresh)
        self.counted.clear()
        self.status_due = 0.0
        self.work_due = min(self.work_due, time.time() + fresh.update_interval)
        if fresh.fault("starting"):
            self.fall_silent()
        elif others and self.ready:
            self.welcome(self.pool.workers)
        self.apply_faults(before)
        self.acknowledge()

    def acknowledge(self) -> None:
        """Say which version of the configuration is in force."""
        overwrite(os.path.join(self.logdir, "simulation.applied"), str(self.config_stamp))

    def fall_silent(self) -> None:
        """Like a daemon that has just been started: no miners, no work, no statistics yet."""
        self.ready = False
        self.workbases = 0
        self.last_work = 0.0
        self.pool.clear()
        status = os.path.join(self.logdir, "pool", "pool.status")
        if os.path.exists(status):
            os.unlink(status)

    def apply_faults(self, before: tuple[Fault, ...]) -> None:
        """The faults that show outside of a conversation."""
        directory = self.arguments.socket_dir
        forbidden = self.settings.fault("no_permission")
        os.chmod(directory, 0o750)
        for name, endpoint in self.endpoints.items():
            dead = self.settings.fault_on("listener_dead", name) is not None
            if dead and endpoint.server:
                endpoint.close()
            elif not dead and not endpoint.server:
                endpoint.open()
            os.chmod(endpoint.path, 0 if forbidden and forbidden.concerns(name) else 0o770)
        if forbidden and not forbidden.sockets:
            os.chmod(directory, 0)
        if self.settings.fault("dead_stats") and self.ready and self.statistics():
            self.files.write(self.settings.stale_age("dead_stats"))
        if self.settings.fault("failover") and not any(fault.name == "failover" for fault in before):
            spare = self.settings.bitcoinds[1] if len(self.settings.bitcoinds) > 1 else "127.0.0.1:8333"
            self.log.write(WARNING, f"Failed over to bitcoind: {spare}")

    def statistics(self) -> bool:
        return self.arguments.mode not in ("passthrough", "redirector")

    def become_ready(self) -> None:
        self.ready = True
        now = time.time()
        moment = self.pool.started if now - self.pool.began < 1 else now  # at the start, whenever that is said to be
        name, server = self.arguments.name, self.settings.bitcoinds[0]
        self.log.write(
            NOTICE,
            f"Server alive: {server}",
            f"{name} generator ready",
            f"Connected to bitcoind: {server}",
            f"{name} stratifier ready",
            *(() if self.settings.layout == "2017" else (f"Network diff set to {NETWORK_DIFF:.1f}",)),
            f"Block hash changed to {BEST_HASH}",
            moment=moment,
        )
        if self.arguments.handover:
            self.pool.expect(self.handed_over())
        else:
            self.welcome(self.pool.workers, moment)

    def handed_over(self) -> list[Worker]:
        """The workers that the process before this one has told to come back."""
        workers = self.pool.workers
        strands = self.settings.fault("strands_clients")
        stranded = int(strands.number("count", len(workers))) if strands else 0
        return workers[: max(0, len(workers) - stranded)]

    def welcome(self, workers: list[Worker], moment: float | None = None) -> None:
        lines: list[str] = []
        for worker in workers:
            client = self.pool.connect(worker, moment)
            where = "" if self.settings.layout == "2017" else " " + client.address
            after = " with diff 1" if self.settings.layout == "2025" else ""
            text = "Authorised client %d%s worker %s as user %s%s"
            lines.append(text % (client.id, where, worker.name, worker.user, after))
        self.log.write(NOTICE, *lines, moment=moment)

    def work(self, now: float, stuck: bool) -> None:
        stale = self.settings.fault("stale_work") is not None
        if stuck or (stale and self.last_work) or now < self.work_due or not self.statistics():
            return
        self.last_work = now - self.settings.stale_age("stale_work")
        self.work_due = now + self.settings.update_interval
        self.workbases += 1
        self.log.write(NOTICE, "Stored local workbase with 0 transactions", moment=self.last_work)

    def report(self, now: float) -> None:
        if self.settings.fault("dead_stats") or now < self.status_due or not self.statistics():
            return
        self.status_due = now + self.settings.status_interval
        self.files.write()

    # Conversations

    def is_silent(self, socket_name: str) -> bool:
        """A process that is about to end answers nobody."""
        return bool(self.ending) or any(self.settings.fault_on(name, socket_name) for name in SILENT_FAULTS)

    def answer(self, socket_name: str, message: str | None) -> Reply:
        """The reply, or None to close without one. `message` is None when there was no whole message."""
        if message is None:
            if socket_name == "listener":
                self.log.write(WARNING, "Failed to get message in listener")
                return "failed"
            return None
        if self.settings.dialect == "guide" and socket_name != "listener":
            reply = self.answer_guide(socket_name, message)
            if reply is not None:
                return reply
        conversations: dict[str, Callable[[str], Reply]] = {
            "listener": self.answer_listener,
            "pool": self.answer_listener,
            "stratifier": self.answer_stratifier,
            "connector": self.answer_connector,
            "generator": self.answer_generator,
        }
        return conversations[socket_name](message)

    def answer_listener(self, message: str) -> Reply:
        if message.startswith("{"):
            raise KeepOpen
        lower = message.lower()
        if lower.startswith("shutdown"):
            self.log.write(WARNING, "Listener received shutdown message, terminating ckpool")
            self.ending = "death" if self.settings.fault("dies_on_shutdown") else "shutdown"
            return "exiting"
        if lower.startswith("ping"):
            return "pong"
        if lower.startswith("loglevel"):
            return self.set_level(message)
        if lower.startswith("restart"):
            self.log.write(WARNING, "Listener received restart message, attempting handover")
            self.ending = "restart"
            return "restarting"
        if lower.startswith("stratifierstats"):
            return self.crash() if self.settings.fault("starting") else encode(self.stratifier_counts())
        if lower.startswith("connectorstats"):
            return encode(self.connector_counts())
        return self.command_miners(lower)

    def command_miners(self, lower: str) -> Reply:
        if lower.startswith(("accept", "reject")):
            verb = lower[:6] + "ing"
            self.log.write(WARNING, f"Listener received {lower[:6]} message, {verb} clients")
            self.pool.accepting = verb == "accepting"
            return verb
        if lower.startswith("reconnect"):
            self.log.write(WARNING, "Listener received request to send reconnect to clients")
            self.reconnect(elsewhere=lower.startswith("reconnect:"))
            return "reconnecting"
        if lower.startswith("resetshares") and self.settings.layout != "2017":
            self.pool.reset_at = time.time()
            return "resetting"
        return "unknown"

    def set_level(self, message: str) -> str:
        number = leading_number(message, "loglevel=")
        if number is None:
            self.log.write(WARNING, f"Failed to parse loglevel message {message}")
            return "Failed"
        if not EMERG <= number <= DEBUG:
            self.log.write(WARNING, f"Invalid loglevel {number} sent")
            return "Invalid"
        self.log.level = number
        return "success"

    def crash(self) -> NoReturn:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(SILENCE)
        os._exit(1)

    def reconnect(self, elsewhere: bool) -> None:
        everybody = list(self.pool.clients.values())
        self.pool.send_away(everybody, elsewhere)
        self.pool.mark(everybody)

    def drop_all(self) -> None:
        count = len(self.pool.clients)
        self.pool.close(self.pool.connections.values())
        self.pool.clients.clear()
        if count:
            self.log.write(NOTICE, f"Dropped {count} instances for dropall request")

    def log_dropped(self, clients: list[Client], how: str = "") -> None:
        text = "Dropped client %d %s user %s worker %s %s"
        lines = (text % (gone.id, gone.address, gone.worker.user, gone.worker.name, how) for gone in clients)
        self.log.write(NOTICE, *lines)

    def answer_stratifier(self, message: str) -> Reply:
        lower = message.lower()
        if message.startswith("{"):
            return None
        if lower.startswith("ping"):
            return "pong"
        if lower.startswith("stats"):
            return encode(self.stratifier_counts())
        query = Queries(self.pool).answer(message)
        if query is not None:  # the public builds do the work, with its side effects, and keep the result to themselves
            return encode(query) if self.settings.dialect == "api" else None
        if lower.startswith("dropclient"):
            self.log_dropped(self.pool.disown(client_named(message, self.pool.clients)))
        elif lower.startswith("reconnclient"):
            self.pool.send_away(client_named(message, self.pool.clients))
        elif lower.startswith("dropall"):
            self.drop_all()
        elif lower.startswith("reconnect"):
            self.reconnect(elsewhere=lower.startswith("reconnect:"))
        elif lower.startswith("loglevel"):
            number = leading_number(message, "loglevel=")
            self.log.level = self.log.level if number is None else number
        elif lower.startswith("resetshares"):
            self.pool.reset_at = time.time()
        else:
            self.log.write(WARNING, f"Unhandled stratifier message: {message}")
        return None

    def answer_connector(self, message: str) -> Reply:
        lower = message.lower()
        if lower.startswith("ping"):
            return "pong"
        if lower.startswith("stats"):
            return encode(self.connector_counts())
        if lower.startswith(("accept", "reject")):
            self.pool.accepting = lower.startswith("accept")
        elif lower.startswith("dropclient"):
            self.log_dropped(self.pool.close(client_named(message, self.pool.connections)))
        elif not lower.startswith(("testclient", "loglevel", "passthrough", "getxfd", "{")):
            self.log.write(WARNING, f"Unhandled connector message: {message}")
        return None

    def answer_generator(self, message: str) -> Reply:
        lower = message.lower()
        if lower.startswith("ping"):
            return "pong"
        if lower.startswith("getbase"):
            return encode(self.template())
        if lower.startswith(("getbest", "getlast")):
            return BEST_HASH
        return None

    def answer_guide(self, socket_name: str, message: str) -> Reply:
        """None: not one of the guide's commands, or not on this socket."""
        guide = GuideQueries(self.pool)
        lower = message.lower()
        if message.startswith("{"):
            return self.answer_rpc(guide, message)
        if socket_name == "pool" and lower.startswith("summary"):
            return encode(guide.stats())
        if socket_name != "stratifier":
            return None
        if lower.startswith("stats"):
            return encode(guide.stats())
        if lower.startswith("user.info="):
            return encode(guide.user_info(message.partition("=")[2]))
        if lower.startswith("current.workbase"):
            return encode(self.template())
        if lower.startswith("loglevel"):
            return self.set_level(message)
        if lower.startswith("dropuser="):
            return self.drop_user(message.partition("=")[2])
        listing = next((what for what in ("users", "workers") if lower.startswith(what)), None)
        return encode(guide.listing(listing)) if listing else None

    def answer_rpc(self, guide: GuideQueries, message: str) -> str:
        try:
            request = json.loads(message)
            method, number = request.get("method"), request.get("id")
        except (ValueError, AttributeError, RecursionError):
            return encode({"result": None, "error": "invalid JSON", "id": None})
        if method == "stats":
            return encode({"result": guide.stats(), "error": None, "id": number})
        return encode({"result": None, "error": "unknown method", "id": number})

    def drop_user(self, user: str) -> str:
        mine = [client for client in self.pool.clients.values() if client.worker.user == user]
        if not mine:
            return f"user {user} not found"
        self.log_dropped(self.pool.close(mine))
        return f"dropped {len(mine)} clients of user {user}"

    # Counts

    def counted_objects(self, counts: dict[str, Json], which: str) -> dict[str, Json]:
        """The counts, with what the configuration fixes for this question in turn; the last one stays."""
        fixed = self.settings.counters.get(which)
        if not fixed:
            return counts
        turn = self.counted.get(which, 0)
        self.counted[which] = turn + 1
        for name, values in fixed[min(turn, len(fixed) - 1)].items():
            counts.setdefault(name, {}).update(values)
        return counts

    def objects(self, count: int, kind: str, generated: int | None = None) -> Json:
        made = count if generated is None else generated
        return {"count": count, "memory": count * MEMORY[self.settings.layout].get(kind, 0), "generated": made}

    def stratifier_counts(self) -> dict[str, Json]:
        pool = self.pool
        live = int(min(self.workbases, 600 / max(self.settings.update_interval, 0.1) + 1))
        away = len(pool.away) + pool.settings.disconnected
        counts = {
            "workbases": self.objects(live, "workbases", self.workbases),
            "remote_workbases": {"count": 0, "memory": 0},
            "users": self.objects(len(pool.by_user) + len(pool.queried), "users"),
            "clients": self.objects(len(pool.clients), "clients", pool.last_client_id),
            "disconnected": self.objects(away, "clients"),
            "shares": self.objects(0, "shares", pool.share_count()),
            "transactions": self.objects(0, ""),
            "ssends": self.objects(0, "", self.workbases * len(pool.clients)),
            "srecvs": self.objects(0, "", pool.share_count() + 2 * pool.last_client_id),
            "stxnq": self.objects(0, ""),
        }
        del counts["users"]["generated"]
        counts = self.counted_objects(counts, "stratifier")
        self.log.write(NOTICE, "Stratifier stats: " + encode(counts))
        return counts

    def connector_counts(self) -> dict[str, Json]:
        pool = self.pool
        counts = {
            "clients": self.objects(len(pool.connections), "connections", pool.last_client_id),
            "dead": self.objects(0, "", pool.last_client_id - len(pool.connections)),
            "sends": self.objects(0, "", self.workbases * len(pool.connections)),
            "delays": self.objects(0, ""),
        }
        counts = self.counted_objects(counts, "connector")
        self.log.write(NOTICE, "Connector stats: " + encode(counts))
        return counts

    def template(self) -> Json:
        """A block template without transactions; `template` of the configuration replaces what it names."""
        fixed = self.settings.template
        now = int(fixed.get("curtime", self.last_work if self.settings.fault("stale_work") else time.time()))
        bits = str(fixed.get("bits", "17034219"))
        target = str(fixed.get("target", target_of(bits)))
        template: Json = {
            "capabilities": ["proposal"],
            "version": 0x20000000,
            "rules": ["csv", "!segwit"],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": BEST_HASH,
            "transactions": [],
            "coinbaseaux": {"flags": ""},
            "coinbasevalue": 312500000,
            "longpollid": "x",
            "target": target,
            "mintime": now - 600,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": 80000,
            "sizelimit": 4000000,
            "weightlimit": 4000000,
            "curtime": now,
            "bits": bits,
            "height": 850001,
            "default_witness_commitment": WITNESS_COMMITMENT,
            "diff": (0xFFFF << 208) / int(target, 16),
            "ntime": f"{now:08x}",
            "bbversion": "20000000",
            "nbit": bits,
        }
        template.update(fixed)
        return template


def target_of(bits: str) -> str:
    """The 256-bit target that the compact form stands for."""
    return "%064x" % (int(bits[2:], 16) << 8 * (int(bits[:2], 16) - 3))


def leading_number(message: str, prefix: str) -> int | None:
    """The integer that follows the prefix (spelt exactly so), whatever comes after it."""
    if not message.startswith(prefix):
        return None
    rest = message[len(prefix) :].lstrip()
    sign, digits = (rest[:1], rest[1:]) if rest[:1] in ("-", "+") else ("", rest)
    length = next((index for index, letter in enumerate(digits) if letter not in "0123456789"), len(digits))
    return int(sign + digits[: min(length, 20)]) if length else None


def client_named(message: str, clients: dict[int, Client]) -> list[Client]:
    """The one whose id follows the equals sign, if it is there."""
    number = leading_number(message, message.partition("=")[0] + "=")
    return [clients[number]] if number in clients else []


def stamp_of(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def running_pid(pid_file: str) -> int | None:
    """The pid in the file, if it is alive and one of ours."""
    try:
        with open(pid_file, encoding="ascii") as stream:
            pid = int(stream.read(20))
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            ours = os.path.basename(__file__).encode() in command.read()
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as status:
            alive = status.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, ValueError, IndexError):
        return None
    return pid if ours and alive and pid != os.getpid() else None


def daemonise() -> IO[str] | None:
    """In the daemon: where to say how the start went. The parent waits for that and leaves."""
    read_end, write_end = os.pipe()
    if os.fork():
        os.close(write_end)
        sys.exit(start_result(read_end))
    os.close(read_end)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return os.fdopen(write_end, "w", encoding="utf-8")


def start_result(read_end: int) -> int:
    """What the daemon had to say until it closed the pipe: when it serves, or has ended because it shall."""
    deadline = time.monotonic() + START_DEADLINE
    said = b""
    while True:
        ready, _writable, _failed = select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(read_end, 4096) if ready else b""
        said += chunk
        if not chunk:
            break
    if ready and said == b"started":
        return 0
    reason = said.decode("utf-8", "replace") if ready else "did not start in time"
    sys.stderr.write((reason.strip() or "ended while starting") + "\n")
    return 1


def main(argv: list[str]) -> NoReturn:
    arguments = Arguments.parse(argv)
    report = daemonise() if arguments.daemonise else None
    try:
        instance = Instance(arguments)
        instance.start()
    except (ConfigError, OSError, TypeError, ValueError) as error:
        (report or sys.stderr).write(f"{error}\n")
        sys.exit(1)
    if report:
        report.write("started")
        report.flush()
        if not instance.ending:
            report.close()
    instance.run()


if __name__ == "__main__":
    main(sys.argv[1:])
