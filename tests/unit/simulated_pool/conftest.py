# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulated instances for one test each, and a conversation with them that always comes to an end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

ROLE_FILES = Path(__file__).parents[3] / "roles" / "simulated_pool" / "files"
SCRIPT = ROLE_FILES / "simulated_ckpool.py"
DEADLINE = 10.0
LEFT_OPEN = "no reply, connection left open"
CLOSED = "closed without a reply"


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"in vain for {DEADLINE} s: {what}")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Simulated:
    """One instance: its folders, its configuration, its life."""

    def __init__(self, home: Path, name: str, options: tuple[str, ...], config: dict[str, Any]) -> None:
        self.home = home
        self.name = name
        self.sockets = home / "s"
        self.logs = home / "logs"
        self.config_path = home / f"{name}.conf"
        self.config = config
        self.pids: set[int] = set()
        self.command = [sys.executable, str(SCRIPT), "-n", name, "-s", str(self.sockets)]
        self.command += ["-c", str(self.config_path), *options]

    def start(self) -> subprocess.CompletedProcess[str]:
        self.write()
        done = subprocess.run(
            [*self.command, "-D"], capture_output=True, text=True, timeout=30, cwd=self.home, check=False
        )
        if (self.sockets / "main.pid").exists():
            self.pids.add(self.pid)
        return done

    def write(self, **simulation: Any) -> None:
        self.config["simulation"].update(simulation)
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(json.dumps(self.config))
        fresh.replace(self.config_path)

    def change(self, **simulation: Any) -> None:
        """Change the configuration of the running instance, and wait until it has noticed."""
        self.write(**simulation)
        stamp = str(self.config_path.stat().st_mtime_ns)
        applied = self.logs / "simulation.applied"
        wait_for(lambda: applied.read_text() == stamp, "the changed configuration being taken over")

    @property
    def pid(self) -> int:
        return int((self.sockets / "main.pid").read_text())

    def alive(self) -> bool:
        return any(is_alive(pid) for pid in self.pids)

    def processes(self) -> set[int]:
        """Those of this instance that are there now, whoever started them."""
        return {int(entry) for entry in os.listdir("/proc") if entry.isdigit() and self.owns(int(entry))}

    def owns(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return str(SCRIPT).encode() in words and str(self.config_path).encode() in words

    def connected(self) -> tuple[int, int]:
        """How many clients the connector counts, and how many the stratifier."""
        counts = [self.ask_json(name, "stats")["clients"]["count"] for name in ("connector", "stratifier")]
        return counts[0], counts[1]

    def ask(self, name: str, message: str, timeout: float = 5.0) -> bytes | str:
        """The reply's bytes, or in words what happened instead."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.sockets / name))
            body = message.encode()
            connection.sendall(struct.pack("<I", len(body)) + body)
            return self.read_reply(connection)

    def read_reply(self, connection: socket.socket) -> bytes | str:
        received = b""
        while True:
            try:
                chunk = connection.recv(1 << 16)
            except socket.timeout:
                return LEFT_OPEN
            if not chunk:
                break
            received += chunk
        if not received:
            return CLOSED
        length = struct.unpack("<I", received[:4])[0]
        if length != len(received) - 4:
            return f"{length} bytes promised, {len(received) - 4} sent"
        return received[4:]

    def ask_json(self, name: str, message: str) -> Any:
        reply = self.ask(name, message)
        assert isinstance(reply, bytes), reply
        return json.loads(reply)

    def status(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.logs / "pool" / "pool.status").read_text().splitlines()]

    def log(self) -> str:
        return (self.logs / f"{self.name}.log").read_text()

    def record(self) -> list[tuple[str, str | None]]:
        lines = (self.logs / "simulation.jsonl").read_text().splitlines()
        return [(entry["socket"], entry["message"]) for entry in map(json.loads, lines)]

    def end(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.processes(), "the end of killed processes")
        if self.sockets.is_dir():
            self.sockets.chmod(0o750)


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """Socket paths are limited to 107 bytes, which pytest's own folders come close to."""
    folder = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def simulate(short_tmp: Path) -> Iterator[Callable[..., Simulated]]:
    """Start an instance; the keywords are its "simulation". `start=False` leaves the start to the test."""
    instances: list[Simulated] = []

    def make(*options: str, name: str = "ckpool", start: bool = True, **simulation: Any) -> Simulated:
        home = short_tmp / f"{len(instances)}"
        home.mkdir()
        config = {"logdir": str(home / "logs"), "update_interval": 0.2, "simulation": simulation}
        instance = Simulated(home, name, options, config)
        instances.append(instance)
        if start:
            done = instance.start()
            assert done.returncode == 0, done.stderr
        return instance

    yield make
    for instance in instances:
        instance.end()
