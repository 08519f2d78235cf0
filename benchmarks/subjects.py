# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that is measured in a separate process. Each subject prints the seconds of its work, without those of its start."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".collections"))

from ansible_collections.ckpool.fleet.plugins.module_utils._health import CHECKS
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import clients
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Log

from tests.support.fleets import Fleet

HOUR = 3600.0
_CHECK = {"status": "ok", "observed": 1, "expected": "1", "reason": "ok", "hint": "", "summary": "as it should be"}
TOP = 5
_RATES = '"hashrate1m": {0}.25, "hashrate5m": {0}.5, "hashrate1h": {0}.75, "hashrate1d": {0}.125, "hashrate7d": {0}.5'
_ROW = '{{"user": "1{0:033d}", ' + _RATES + ', "shares": {0}, "bestshare": {0}.5, "lastshare": 1795393093}}'


def timed(work: Callable[[], int], expected: int) -> None:
    """Print the duration of the work; exit with an error unless it finds the expected number."""
    print(measured(work, expected))


def measured(work: Callable[[], int], expected: int) -> float:
    start = time.perf_counter()
    found = work()
    passed = time.perf_counter() - start
    if found != expected:
        sys.exit(f"found {found} instead of {expected}")
    return passed


def scan(folder: str, active: str) -> None:
    """The minimal cost of reading active users: list, stat, and parse the files written within the hour."""

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
    """Read active users through the code of the collection."""
    pool = Pool.find(socket_dir)
    timed(lambda: len(pool.users(None, HOUR, "hashrate1m", TOP).users), TOP)


def reply(socket_dir: str) -> None:
    """Receive, parse and reduce a large reply."""
    pool = Pool.find(socket_dir, timeout=120)
    timed(lambda: len(pool.users(None, None, "hashrate1m", TOP).users), TOP)


def blocks(log_dir: str, count: str) -> None:
    """Find the blocks in a whole log."""
    pool = Pool.find(os.path.join(log_dir, "nowhere"), log_dir=log_dir)
    timed(lambda: len(pool.blocks(limit=1000).blocks), int(count))


def connected(log_file: str, start_time: str, user: str, written: str = "") -> None:
    """Find the clients of a user in the whole log, or backwards until the count in the user's file is reached."""
    known = {user: (float(written), 1)} if written else None

    def work() -> int:
        found = clients.find(Log(log_file, Files()), float(start_time), [user], known=known)
        return len(found.clients) if found.reaches_start and not found.problems else -1

    timed(work, 1)


def serve(socket_dir: str, size: str) -> None:
    """Serve as a stratifier of the guide's dialect, with a list of users of that many bytes, until killed."""
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
    """Read one message, and send the reply in pieces."""
    connection.settimeout(60)
    (length,) = struct.unpack("<I", connection.recv(4, socket.MSG_WAITALL))
    pieces = replies.get(connection.recv(length, socket.MSG_WAITALL), [b"pong"])
    connection.sendall(struct.pack("<I", sum(map(len, pieces))))
    for piece in pieces:
        connection.sendall(piece)


def report(folder: str, pools: str) -> None:
    """Write the report of a made-up fleet whose snapshots are in a folder."""
    options = {"hosts": "all", "html_file": f"{folder}/report.html", "snapshots": f"{folder}/snapshots"}
    fleet_action("ckpool_fleet_report", int(pools), options, lambda result: result["pools"])


def rows(folder: str, pools: str) -> None:
    """Show the table, and write the JSON and the JUnit, of a fleet of that many pools, each on a host of its own."""
    files = {f"{kind}_file": f"{folder}/rows.{kind}" for kind in ("json", "junit")}
    fleet_action("ckpool_health_report", int(pools), {"hosts": "all", **files}, lambda result: len(result["fleet"]))


def fleet_action(name: str, pools: int, options: dict[str, str], count: Callable[[Any], int]) -> None:
    """Run an action of the controller on what a made-up fleet has registered.

    :arg count: from its result, the number of hosts in it.
    """
    from unittest import mock

    fleet = Fleet(pools, bad=5, now=time.time())
    health = fleet.health()
    for result in health.values():
        if result.get("health", {}).get("checks") == []:
            result["health"]["checks"] = [{**_CHECK, "name": check} for check in CHECKS]
    results = {"health_check_result": health, "report_pools": fleet.pools(), "report_idle": fleet.idle()}
    hosts = list(results["health_check_result"])
    hostvars = {host: {name: of_hosts[host] for name, of_hosts in results.items()} for host in hosts}
    variables = {"hostvars": hostvars, "groups": {"all": hosts, "ungrouped": hosts}, "ansible_play_hosts_all": hosts}
    others = {key: mock.Mock() for key in ("connection", "play_context", "loader", "templar", "shared_loader_obj")}
    task = mock.Mock(
        args=options, check_mode=False, async_val=0, diff=False, no_log=False, action=f"ckpool.fleet.{name}"
    )
    module = importlib.import_module(f"ansible_collections.ckpool.fleet.plugins.action.{name}")
    plugin = module.ActionModule(task=task, **others)
    plugin._load_name = name

    def work() -> int:
        return count(plugin.run(task_vars=variables))

    with contextlib.redirect_stdout(io.StringIO()):  # only the seconds are the output, not the table
        passed = measured(work, len(hosts))
    print(passed)


def parse(folder: str) -> None:
    """Parse every snapshot of a folder."""
    names = os.listdir(folder)

    def work() -> int:
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as stream:
                json.load(stream)
        return len(names)

    timed(work, len(names))


SUBJECTS: dict[str, Callable[..., None]] = {
    "scan": scan,
    "users": users,
    "reply": reply,
    "blocks": blocks,
    "connected": connected,
    "serve": serve,
    "report": report,
    "rows": rows,
    "parse": parse,
}

if __name__ == "__main__":
    SUBJECTS[sys.argv[1]](*sys.argv[2:])
