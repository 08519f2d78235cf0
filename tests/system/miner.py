# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small stratum miner: it says hello, listens, writes down all that a miner gets to see, and can really mine.

    with Miner(port, "alice.rig1") as miner:
        miner.wait_for("mining.notify")
        miner.submit_garbage()                          # a share that every pool rejects
        outcome = mine(miner, Scanner(), seconds=600)   # a share that counts; minutes at difficulty 1
        print(miner.accepted, miner.rejected, miner.events)

One `Miner` is one connection. All times of events are `time.time()`, epoch seconds.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, final

from tests.system.bitcoind import double_sha256, target_of
from tests.system.scanner import NONCES, Scanner

CONNECTED = "connected"
DISCONNECTED = "disconnected"
REFUSED = "refused"
ACCEPTED = "accepted"
REJECTED = "rejected"


class StratumError(Exception):
    """The pool did not do what was asked in time, or refused."""


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that the miner saw: epoch seconds, what (a method of stratum, or a word of this module), the rest."""

    when: float
    kind: str
    data: Any = None


@dataclasses.dataclass(frozen=True)
class Job:
    """One `mining.notify`."""

    job_id: str
    previous_hash: str
    coinbase_1: str
    coinbase_2: str
    branches: tuple[str, ...]
    version: str
    bits: str
    ntime: str
    clean: bool


@dataclasses.dataclass(frozen=True)
class Share:
    """Work that is ready to be submitted; the strings are hex, as stratum wants them."""

    job_id: str
    nonce2: str
    ntime: str
    nonce: str


@dataclasses.dataclass(frozen=True)
class Mined:
    """What `mine` came to: the share found and the pool's verdict, and the work that went into it."""

    share: Share | None
    accepted: bool | None
    reason: str
    hashes: int
    seconds: float

    @property
    def rate(self) -> float:
        """Hashes a second, over all threads."""
        return self.hashes / self.seconds if self.seconds else 0.0


def job_of(params: list[Any]) -> Job:
    """The job in the parameters of a `mining.notify`."""
    number, previous, first, second, branches, version, bits, ntime, clean = params[:9]
    return Job(number, previous, first, second, tuple(branches), version, bits, ntime, bool(clean))


def swap_words(data: bytes) -> bytes:
    """The bytes of each 32-bit word the other way round."""
    return b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))


def header_of(job: Job, nonce1: str, nonce2: str) -> bytes:
    """The header of a job without its nonce, 76 bytes, just as it is hashed."""
    root = double_sha256(bytes.fromhex(job.coinbase_1 + nonce1 + nonce2 + job.coinbase_2))
    for branch in job.branches:
        root = double_sha256(root + bytes.fromhex(branch))
    numbers = [bytes.fromhex(field)[::-1] for field in (job.version, job.ntime, job.bits)]
    return numbers[0] + swap_words(bytes.fromhex(job.previous_hash)) + root + numbers[1] + numbers[2]


@final
class Miner:
    """One connection to a pool on 127.0.0.1, subscribed and, with `authorise`, authorised.

    `follow_reconnect` decides what the miner does when it is sent away (`client.reconnect`), or cut off: connect again
    within a second (to where it is told, if that is on 127.0.0.1), or stay away. A miner that is told to reconnect and
    does neither is had with `heed_reconnect=False`.
    """

    def __init__(
        self,
        port: int,
        worker: str,
        *,
        password: str = "x",
        agent: str = "fleet-test/1.0",
        authorise: bool = True,
        follow_reconnect: bool = False,
        heed_reconnect: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self.port = port
        self.worker = worker
        self.events: list[Event] = []
        self.difficulty = 1.0
        self.nonce1 = ""
        self.nonce2_bytes = 0
        self.job: Job | None = None
        self.authorised = False
        self._login = (password, agent, authorise)
        self._follow = follow_reconnect
        self._heed = heed_reconnect
        self._timeout = timeout
        self._changed = threading.Condition()
        self._replies: dict[int, dict[str, Any]] = {}
        self._last_id = 0
        self._closing = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._live, daemon=True, name=f"miner {worker}")

    def __enter__(self) -> Miner:
        self.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    # What it saw.

    @property
    def accepted(self) -> int:
        """Shares that the pool accepted."""
        return len(self.seen(ACCEPTED))

    @property
    def rejected(self) -> int:
        """Shares that the pool rejected."""
        return len(self.seen(REJECTED))

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._socket is not None

    def seen(self, kind: str) -> list[Event]:
        """All events of a kind so far."""
        return [event for event in list(self.events) if event.kind == kind]

    def wait_for(self, kind: str, *, count: int = 1, seconds: float | None = None) -> list[Event]:
        """Wait until an event has been seen a number of times since the miner was made; those events."""
        self._wait(lambda: len(self.seen(kind)) >= count, f"{count} x {kind}", seconds)
        return self.seen(kind)

    # What it does.

    def start(self) -> None:
        """Connect, subscribe, authorise; returns when that is done, or raises StratumError."""
        self._thread.start()
        try:
            self._wait(lambda: self.connected or bool(self.seen(REFUSED)), "a connection", None)
            self._hello()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._closing.set()
        self._hang_up()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def request(self, method: str, params: Sequence[object], *, seconds: float | None = None) -> dict[str, Any]:
        """Send a request and wait for its reply: the whole JSON object."""
        with self._changed:
            self._last_id += 1
            number = self._last_id
        self._send({"id": number, "method": method, "params": list(params)})
        self._wait(lambda: number in self._replies or not self.connected, f"a reply to {method}", seconds)
        if number not in self._replies:
            raise StratumError(f"{self.worker}: cut off before a reply to {method}")
        return self._replies.pop(number)

    def submit(self, share: Share, *, seconds: float | None = None) -> tuple[bool, str]:
        """Submit a share; whether it was accepted, and the pool's reason if not."""
        fields = [self.worker, share.job_id, share.nonce2, share.ntime, share.nonce]
        reply = self.request("mining.submit", fields, seconds=seconds)
        if reply.get("result") is True:
            self._note(ACCEPTED, share)
            return True, ""
        error = reply.get("error")
        reason = str(reply.get("reject-reason") or (error[1] if isinstance(error, list) else error))
        self._note(REJECTED, reason)
        return False, reason

    def submit_garbage(self) -> str:
        """Submit a share whose hash all but certainly misses any difficulty; the pool's reason for rejecting it."""
        job = self.wait_for_job()
        share = Share(job.job_id, os.urandom(self.nonce2_bytes).hex(), job.ntime, os.urandom(4).hex())
        return self.submit(share)[1]

    def wait_for_job(self, *, seconds: float | None = None) -> Job:
        """The newest job; waits for the first."""
        self._wait(lambda: self.job is not None, "a job", seconds)
        assert self.job is not None
        return self.job

    # The conversation.

    def _hello(self) -> None:
        password, agent, authorise = self._login
        reply = self.request("mining.subscribe", [agent])
        if not isinstance(reply.get("result"), list):
            raise StratumError(f"{self.worker}: subscribe was refused: {reply.get('error')}")
        self.nonce1, self.nonce2_bytes = reply["result"][1], int(reply["result"][2])
        if authorise:
            reply = self.request("mining.authorize", [self.worker, password])
            self.authorised = reply.get("result") is True
            if not self.authorised:
                raise StratumError(f"{self.worker}: authorise was refused: {reply.get('error')}")

    def _live(self) -> None:
        """The reading thread: a connection after the other, until `close` or the end of the only one."""
        again = False
        while not self._closing.is_set():
            try:
                connection = socket.create_connection(("127.0.0.1", self.port), timeout=self._timeout)
            except OSError as error:
                if not again:
                    self._note(REFUSED, str(error))
                    return
                self._closing.wait(0.2)
                continue
            self._read(connection, greet=again)
            if not self._follow:
                return
            again = True
            self._closing.wait(0.2)

    def _read(self, connection: socket.socket, *, greet: bool) -> None:
        connection.settimeout(None)
        self._socket, self.job = connection, None
        self._note(CONNECTED)
        if greet:
            threading.Thread(target=self._greet_again, daemon=True).start()
        with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError):
            while line := reader.readline(1 << 20):
                with contextlib.suppress(ValueError, LookupError, TypeError):
                    self._hear(json.loads(line))
        self._socket = None
        self._note(DISCONNECTED)

    def _greet_again(self) -> None:
        with contextlib.suppress(StratumError, OSError):
            self._hello()

    def _hear(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params")
        if method is None:
            with self._changed:
                self._replies[message["id"]] = message
                self._changed.notify_all()
            return
        if method == "mining.notify" and params:
            self.job = job_of(params)
        elif method == "mining.set_difficulty" and params:
            self.difficulty = float(params[0])
        elif method == "client.get_version":
            self._send({"id": message.get("id"), "result": self._login[1], "error": None})
        elif method == "mining.ping":
            self._send({"id": message.get("id"), "result": "pong", "error": None})
        self._note(method, params)
        if method == "client.reconnect" and self._heed:
            self._go_elsewhere(params or [])

    def _go_elsewhere(self, params: list[Any]) -> None:
        if len(params) >= 2 and params[0] in ("127.0.0.1", "localhost"):
            self.port = int(params[1])
        self._hang_up()

    def _send(self, message: dict[str, Any]) -> None:
        connection = self._socket
        if connection is None:
            raise StratumError(f"{self.worker}: not connected")
        try:
            connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise StratumError(f"{self.worker}: {error}") from error

    def _hang_up(self) -> None:
        if (connection := self._socket) is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _note(self, kind: str, data: Any = None) -> None:
        with self._changed:
            self.events.append(Event(time.time(), kind, data))
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float | None) -> None:
        limit = self._timeout if seconds is None else seconds
        with self._changed:
            if not self._changed.wait_for(condition, timeout=limit):
                raise StratumError(f"{self.worker}: no {what} within {limit:g} s (connected: {self.connected})")


class _Search:
    """The state that the threads of one `mine` share."""

    def __init__(self, miner: Miner, scanner: Scanner, difficulty: float | None, deadline: float) -> None:
        self.miner, self.scanner, self.difficulty, self.deadline = miner, scanner, difficulty, deadline
        self.hashes = 0
        self.found: collections.deque[Share] = collections.deque()
        self.lock = threading.Lock()

    def run(self) -> None:
        """Scan one chunk after the other, each of the newest job and with a nonce2 of its own."""
        while not self.found and time.monotonic() < self.deadline and self.miner.connected:
            job = self.miner.job
            if job is None:
                time.sleep(0.1)
                continue
            nonce2 = os.urandom(self.miner.nonce2_bytes).hex()
            header = header_of(job, self.miner.nonce1, nonce2)
            target = target_of(self.difficulty or self.miner.difficulty)
            first = int.from_bytes(os.urandom(4), "big") % NONCES
            result = self.scanner.find(header, target, first=first, count=self.scanner.chunk)
            with self.lock:
                self.hashes += result.hashes
            if result.nonce is not None:
                self.found.append(Share(job.job_id, nonce2, job.ntime, f"{result.nonce:08x}"))


def usable_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def mine(
    miner: Miner, scanner: Scanner, *, seconds: float, threads: int | None = None, difficulty: float | None = None
) -> Mined:
    """Search for one share of the pool's difficulty (or the one given) for at most `seconds`, and submit it."""
    miner.wait_for_job()
    started = time.monotonic()
    search = _Search(miner, scanner, difficulty, started + seconds)
    workers = [threading.Thread(target=search.run, daemon=True) for _thread in range(threads or usable_cpus())]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed = time.monotonic() - started
    if not search.found:
        return Mined(None, None, "no share found", search.hashes, elapsed)
    accepted, reason = miner.submit(search.found[0])
    return Mined(search.found[0], accepted, reason, search.hashes, elapsed)
