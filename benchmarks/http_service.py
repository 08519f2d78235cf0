# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost of the HTTP service: its answers beside a static text, what it asks of the pool, and its memory."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import tools
from benchmarks.tools import CannotMeasure, Figure, megabytes
from tests.support.http_service import LIBRARIES, HttpService
from tests.support.simulated import Simulated

REQUESTS = 2000
RATE = 100  #: requests a second
MINUTE = 60.0
MOST_MEMORY = 80e6
USERS, TOP_USERS = 10_000, 20
PATHS = ("stats", "users?limit=100", "workers?limit=100", "summary", "blocks", "health", "workbase", "metrics")


class Static(HttpService):
    """The same server with a text of a size.

    :arg size: bytes.
    """

    def __init__(self, folder: Path, size: int) -> None:
        super().__init__(folder)
        self._size = size

    def command(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "benchmarks.static_http", str(self._size), "--config", str(self.config), *more]


class Client:
    """One connection, on which one request follows another."""

    def __init__(self, service: HttpService) -> None:
        self._conn = socket.create_connection(("127.0.0.1", service.port), 30)

    def get(self, path: str) -> int:
        """Ask, and read the whole answer; its status."""
        self._conn.sendall(f"GET {path} HTTP/1.1\r\nHost: pool\r\n\r\n".encode())
        found = b""
        while b"\r\n\r\n" not in found:
            found += self._conn.recv(262144)
        head, _end, body = found.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while length > len(body):
            body += self._conn.recv(262144)
        return int(head.split()[1])


def measure(folder: Path, rounds: int, make_users: Callable[[Path, int], None]) -> Iterator[Figure]:
    """All figures.

    :arg make_users: writes the files of a number of users into a folder.
    """
    if any(importlib.util.find_spec(name) is None for name in LIBRARIES):
        raise CannotMeasure(f"needs {', '.join(LIBRARIES)}")
    with tools.simulated_pool(folder / "pool", users=2) as pool:
        make_users(pool.log_dir / "users", USERS)
        for path in (pool.log_dir / "users").iterdir():
            os.utime(path)  # or they would be of an earlier run of the pool, and left out
        with HttpService(folder, top_users=TOP_USERS, timeout=20) as service:
            yield from answers(folder, rounds, service)
            yield from messages(service, pool)
            for name in ("users", "workers"):
                if service.get(f"/{name}?limit=1000").json["total"] < USERS:
                    raise CannotMeasure(f"/{name} does not have all of the pool")
            yield Figure(
                f"- its memory, with {USERS} users / 80 MB",
                megabytes(service.memory),
                "80 MB",
                service.memory / MOST_MEMORY,
                most=1,
            )


def answers(folder: Path, rounds: int, service: HttpService) -> Iterator[Figure]:
    """Seconds of each answer, one after the other on a connection, and of a static text of the same size."""
    size = len(service.get("/metrics").body)
    with Static(folder, size) as static:
        times: dict[str, list[float]] = {"ours": [], "static": []}
        clients = {"ours": Client(service), "static": Client(static)}
        for _round in range(rounds):
            for name, client in clients.items():
                client.get("/metrics")
                for _request in range(REQUESTS // rounds):
                    began = time.perf_counter()
                    if client.get("/metrics") != 200:
                        raise CannotMeasure("an answer is not 200")
                    times[name].append(time.perf_counter() - began)
    for name, percent in (("p50", 50), ("p99", 99)):
        ours, theirs = (statistics.quantiles(times[side], n=100)[percent - 1] for side in ("ours", "static"))
        what = f"/metrics of {USERS} users ({size // 1000} kB), {name} / a static text"
        yield Figure(what, milliseconds(ours), milliseconds(theirs), ours / theirs)


def messages(service: HttpService, pool: Simulated) -> Iterator[Figure]:
    """The messages that the pool gets in a minute, while all paths are asked."""
    before = len(pool.record())
    ends = time.monotonic() + MINUTE
    counts: list[int] = []

    def ask(number: int, threads: int) -> None:
        client, count = Client(service), 0
        due = time.monotonic()
        while (now := time.monotonic()) < ends:
            if now < due:
                time.sleep(due - now)
            with contextlib.suppress(OSError, ValueError):
                client.get(f"/{PATHS[(number + count) % len(PATHS)]}")
                count += 1
            due += threads / RATE
        counts.append(count)

    workers = [threading.Thread(target=ask, args=(number, 4)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sent, rate = len(pool.record()) - before, sum(counts) / MINUTE
    yield Figure(f"messages to the pool in a minute, at {rate:.0f} requests/s / 60", str(sent), "60", sent / 60, most=1)


def milliseconds(value: float) -> str:
    return f"{value * 1000:.2f} ms"
