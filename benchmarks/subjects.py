# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured in a process of its own. Each subject prints the seconds that its work took, without its start."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".collections"))

from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._sources import clients

HOUR = 3600.0
TOP = 5
_RATES = '"hashrate1m": {0}.25, "hashrate5m": {0}.5, "hashrate1h": {0}.75, "hashrate1d": {0}.125, "hashrate7d": {0}.5'
_ROW = '{{"user": "1{0:033d}", ' + _RATES + ', "shares": {0}, "bestshare": {0}.5, "lastshare": 1795393093}}'


def timed(work: Callable[[], int], expected: int) -> None:
    """Print how long the work takes, which must find as much as expected."""
    start = time.perf_counter()
    found = work()
    passed = time.perf_counter() - start
    if found != expected:
        sys.exit(f"found {found} instead of {expected}")
    print(passed)


def scan(folder: str, active: str) -> None:
    """The least that the question about active users can cost: list, stat, parse the files written within the hour."""

    def work() -> int:
        since = time.time() - HOUR
        rows = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.stat().st_mtime >= since:
                    with open(entry.path, "rb") as stream:
                        rows.append(json.loads(stream.read()))
        return len(rows)

    timed(work, int(active))


def users(socket_dir: str) -> None:
    """The question itself, through the whole of our code."""
    pool = Pool.find(socket_dir)
    timed(lambda: len(pool.users(None, HOUR, "hashrate1m", TOP).users), TOP)


def reply(socket_dir: str) -> None:
    """A large listing, received, parsed and reduced."""
    pool = Pool.find(socket_dir, timeout=120)
    timed(lambda: len(pool.users(None, None, "hashrate1m", TOP).users), TOP)


def blocks(log_dir: str, count: str) -> None:
    """The blocks of a log, all of which is to be read."""
    pool = Pool.find(os.path.join(log_dir, "nowhere"), log_dir=log_dir)
    timed(lambda: len(pool.blocks(limit=1000).blocks), int(count))


def connected(log_file: str, start_time: str, user: str, written: str = "") -> None:
    """The clients of a user, from the whole log; or back to where the count in the user's file is met."""
    known = {user: (float(written), 1)} if written else None

    def work() -> int:
        found = clients.find(log_file, float(start_time), [user], known=known)
        return len(found.clients) if found.reaches_start and not found.problems else -1

    timed(work, 1)


def serve(socket_dir: str, size: str) -> None:
    """A stratifier of the guide's dialect with a listing of users of so many bytes, until somebody ends it."""
    block = "".join(_ROW.format(number) + ", " for number in range(5000)).encode()
    last = _ROW.format(9999).encode() + b"]}"
    listing = [b'{"users": ['] + [block] * (int(size) // len(block)) + [last]
    replies = {b"users": listing, b"workers": [b'{"workers": []}'], b"stats": [b'{"hashrate1m": 1.0, "users": 1}']}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(socket_dir, "stratifier"))
        listener.listen()
        while True:
            connection, _address = listener.accept()
            with connection:
                answer(connection, replies)


def answer(connection: socket.socket, replies: dict[bytes, list[bytes]]) -> None:
    """Read one message, and send its reply piece by piece."""
    connection.settimeout(60)
    (length,) = struct.unpack("<I", connection.recv(4, socket.MSG_WAITALL))
    pieces = replies.get(connection.recv(length, socket.MSG_WAITALL), [b"pong"])
    connection.sendall(struct.pack("<I", sum(map(len, pieces))))
    for piece in pieces:
        connection.sendall(piece)


SUBJECTS: dict[str, Callable[..., None]] = {
    "scan": scan,
    "users": users,
    "reply": reply,
    "blocks": blocks,
    "connected": connected,
    "serve": serve,
}

if __name__ == "__main__":
    SUBJECTS[sys.argv[1]](*sys.argv[2:])
