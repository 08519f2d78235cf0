# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a daemon, by code of the tests' own, so that a fault of the collection cannot hide itself."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import os
import random
import socket
import struct
import time
import typing as t

MAX_REPLY = 16 * 1024 * 1024


class Outcome(enum.Enum):
    """How an exchange with a socket ended; the words are those of the recordings."""

    REPLY = "reply"
    CLOSED = "closed without a reply"
    SILENT = "no reply, connection left open"
    REFUSED = "refused"
    ABSENT = "absent"


@dataclasses.dataclass(frozen=True)
class Answer:
    """The outcome of an exchange, the reply's bytes, the length that was announced, and the duration in seconds."""

    outcome: Outcome
    data: bytes = b""
    announced: int = 0
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The reply as text; empty without one."""
        return self.data.decode(errors="replace")

    @property
    def value(self) -> t.Any:
        """The reply as JSON."""
        return json.loads(self.data)


def ask(path: str, text: str, timeout: float = 10.0) -> Answer:
    """Send one message to one of the daemon's sockets.

    :arg timeout: seconds, for everything together.
    """
    started = time.monotonic()
    data, announced = b"", 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            payload = text.encode()
            connection.sendall(struct.pack("<I", len(payload)) + payload)
            head = _read(connection, 4, started + timeout)
            outcome = Outcome.REPLY if len(head) == 4 else Outcome.CLOSED
            if outcome is Outcome.REPLY:
                (announced,) = struct.unpack("<I", head)
                data = _read(connection, min(announced, MAX_REPLY), started + timeout)
        except FileNotFoundError:
            outcome = Outcome.ABSENT
        except ConnectionRefusedError:
            outcome = Outcome.REFUSED
        except socket.timeout:
            outcome = Outcome.SILENT
        except (ConnectionResetError, BrokenPipeError):
            outcome = Outcome.CLOSED
    return Answer(outcome, data, announced, time.monotonic() - started)


def accepts(path: t.Any) -> bool:
    """Whether something listens on a socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, below those that the kernel gives to outgoing connections.

    It is one of a block that is this process's alone: what tests of another process start does not take it meanwhile.
    """
    if _ports.owner != os.getpid():
        _ports.claim()
    while True:
        port = next(_ports.numbers)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class _Ports:
    """A block of ports. It is claimed by a name that the kernel gives to one process only, and takes back at its end."""

    size = 100

    def __init__(self) -> None:
        self.owner = 0
        self.numbers: t.Iterator[int] = iter(())
        self._claim: t.Optional[socket.socket] = None

    def claim(self) -> None:
        blocks = list(range(20000, 32000, self.size))
        random.SystemRandom().shuffle(blocks)
        for first in blocks:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0ckpool.fleet tests, ports from {first}")
            except OSError:
                claim.close()
                continue
            self._claim, self.owner = claim, os.getpid()
            self.numbers = itertools.cycle(range(first, first + self.size))
            return
        raise AssertionError("every block of ports is some other process's")


_ports = _Ports()


def _read(connection: socket.socket, length: int, deadline: float) -> bytes:
    """Bytes until there are enough, or until the daemon closes."""
    data = b""
    while len(data) < length:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        piece = connection.recv(min(length - len(data), 1 << 20))
        if not piece:
            break
        data += piece
    return data
