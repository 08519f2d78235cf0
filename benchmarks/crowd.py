# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stratum clients on a booted host, and the time that they are without service.

    python -m benchmarks.crowd PORT CLIENTS [NODE_PORT]

It runs in the network of the host, with a fake bitcoind on NODE_PORT if that is given. Every line of its standard input asks
for a line of JSON: "look", or "mark", which starts counting from 0. A client connects again at once when its connection ends,
and after five seconds when it is refused, as some descendants of cgminer do. One in four ignores client.reconnect. No client
gives up on a connection, so one that is stranded stays so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.tools import CannotMeasure
from tests.support.paths import ROOT
from tests.system.bitcoind import FakeBitcoind
from tests.system.hosts import Host

PERIOD = 0.25  #: seconds from a reply to the next question of a client
_ENDED, _REFUSED = 0.02, 5.0  #: seconds from the end of a connection, and from a refused one, to the next attempt
_AGAIN = 0.2  #: seconds between two looks at all clients
_LATE = 1.0  #: seconds without a reply that count as without service, on the same connection
_DEADLINE = 30.0  #: seconds for an answer of the crowd
_SERVED = 3.0  #: seconds within which a client that is served got a reply
_VERSION_ROLLING = [["version-rolling"], {"version-rolling.mask": "1fffe000", "version-rolling.min-bit-count": 2}]


class Client:
    """One client. It asks something harmless now and then, as a miner sends shares."""

    def __init__(self, port: int, number: int) -> None:
        self._port, self._worker = port, f"user{number % 5}.rig{number}"
        self._heeds = number % 4 != 0
        self._replied = time.monotonic()
        self._without = self._longest = 0.0
        self._is_authorised = False

    @property
    def is_served(self) -> bool:
        return self._is_authorised and time.monotonic() - self._replied < _SERVED

    def mark(self) -> None:
        self._without = self._longest = 0.0

    @property
    def without(self) -> float:
        """Seconds without service: from the latest reply before it to the one that authorises the client again."""
        return self._without + (0.0 if self.is_served else time.monotonic() - self._replied)

    @property
    def longest(self) -> float:
        return max(self._longest, 0.0 if self.is_served else time.monotonic() - self._replied)

    async def live(self) -> None:
        while True:
            try:
                await self._session()
            except ConnectionRefusedError:
                await asyncio.sleep(_REFUSED)
            except (OSError, EOFError, ValueError):
                await asyncio.sleep(_ENDED)

    async def _session(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await self._ask(reader, writer, "mining.subscribe", ["fleet-bench/1.0"])
            await self._ask(reader, writer, "mining.authorize", [self._worker, "x"])
            self._note(is_new=True)
            while True:
                await asyncio.sleep(PERIOD)
                await self._ask(reader, writer, "mining.configure", _VERSION_ROLLING)
                self._note()
        finally:
            self._is_authorised = False
            writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, params: Sequence[object]
    ) -> None:
        """
        :raises EOFError: the connection has ended, or the pool has sent the client away.
        """
        writer.write(json.dumps({"id": method, "method": method, "params": params}).encode() + b"\n")
        while line := await reader.readline():
            message = json.loads(line)
            if message.get("method") == "client.reconnect" and self._heeds:
                break
            if message.get("id") == method and "result" in message:
                return
        raise EOFError

    def _note(self, is_new: bool = False) -> None:
        now = time.monotonic()
        passed, self._replied, self._is_authorised = now - self._replied, now, True
        if is_new or passed > _LATE:
            self._without += passed
            self._longest = max(self._longest, passed)


async def serve(port: int, count: int) -> None:
    """Run all clients, and answer questions until the standard input ends."""
    clients = [Client(port, number) for number in range(count)]
    tasks = [asyncio.create_task(client.live()) for client in clients]
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        if line.strip() == b"mark":
            for client in clients:
                client.mark()
        totals = {
            "served": sum(client.is_served for client in clients),
            "without": sum(client.without for client in clients),
            "longest": max(client.longest for client in clients),
        }
        print(json.dumps(totals), flush=True)
    for task in tasks:
        task.cancel()


class Crowd:
    """The clients of a host, as the benchmarks see them."""

    def __init__(self, host: Host, port: int, count: int, node_port: int = 0) -> None:
        self.count = count
        words = [sys.executable, "-m", __name__, str(port), str(count), *([str(node_port)] if node_port else [])]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(host.enter_network(*words), cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_args: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)

    def ask(self, word: str = "look") -> dict[str, float]:
        """How many are served, and since the last "mark" the client-seconds without service, and the most of one client."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _DEADLINE)[0]:
            raise CannotMeasure("the clients do not answer")
        answer: dict[str, float] = json.loads(self._process.stdout.readline() or "{}")
        if not answer:
            raise CannotMeasure("the clients have ended")
        return answer

    def stranded(self, seconds: float = 30.0) -> int:
        """How many are not served, after all had a while to come back."""
        deadline = time.monotonic() + seconds
        while (left := self.count - int(self.ask()["served"])) and time.monotonic() < deadline:
            time.sleep(_AGAIN)
        return left


def main() -> None:
    port, count, *node = map(int, sys.argv[1:])
    with FakeBitcoind(node[0]) if node else contextlib.nullcontext():
        asyncio.run(serve(port, count))


if __name__ == "__main__":
    main()
