# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the plugins have in common: a socket that behaves as told, and simulated daemons."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[3]
SAMPLES = COLLECTION / "tests" / "unit" / "fixtures" / "samples"
SIMULATOR = COLLECTION / "roles" / "simulated_pool" / "files" / "simulated_ckpool.py"
DEADLINE = 10.0
#: What a test may be sure to find sent, whatever was asked: nothing that crashes, leaks or creates.
HARMLESS = {"ping", "stats", "poolstats", "users", "workers", "getbest"}

_Value = t.TypeVar("_Value")
Script = t.Callable[["FakeSocket", socket.socket, str], None]


def wait_for(condition: t.Callable[[], _Value], what: str, seconds: float = DEADLINE) -> _Value:
    """The first true value of a condition."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"in vain for {seconds} s: {what}")


def framed(body: bytes) -> bytes:
    """A message as it goes over the wire."""
    return struct.pack("<I", len(body)) + body


class FakeSocket:
    """A listening unix socket. What it does with a message is a script: a function, or the bytes to send back."""

    def __init__(self, path: str, script: t.Union[Script, bytes]) -> None:
        self.path = path
        self.messages: t.List[str] = []
        self.over = threading.Event()
        self._script = script
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(path)
        self._server.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *unused: object) -> None:
        self.over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _peer = self._server.accept()
            except OSError:
                return
            with connection:
                try:
                    self._converse(connection)
                except OSError:  # the client left, as clients may
                    pass

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE)
        (length,) = struct.unpack("<I", read_exactly(connection, 4))
        message = read_exactly(connection, length).decode("utf-8")
        self.messages.append(message)
        if isinstance(self._script, bytes):
            connection.sendall(self._script)
        else:
            self._script(self, connection, message)


def read_exactly(connection: socket.socket, count: int) -> bytes:
    """So many bytes, or an error."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise OSError("the client closed")
        data += piece
    return data


def silent(fake: FakeSocket, connection: socket.socket, message: str) -> None:
    """Keep the connection, and say nothing until the test is over."""
    fake.over.wait(DEADLINE)


def answers(replies: t.Mapping[str, t.Any]) -> Script:
    """Reply by message, texts as they are and anything else as JSON; close without a reply on all others."""

    def script(fake: FakeSocket, connection: socket.socket, message: str) -> None:
        if message in replies:
            reply = replies[message]
            connection.sendall(framed((reply if isinstance(reply, str) else json.dumps(reply)).encode()))

    return script


def is_alive(pid: int) -> bool:
    """Whether a process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def accepts(path: Path) -> bool:
    """Whether something listens on a socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


class Simulated:
    """One simulated daemon: its folders, its configuration, its life. The keywords are its "simulation"."""

    def __init__(
        self, home: Path, *options: str, name: str = "ckpool", start: bool = True, **simulation: t.Any
    ) -> None:
        self.home = home
        self.name = name
        self.sockets = home / "s"
        self.logs = home / "logs"
        self.config_path = home / f"{name}.conf"
        self._simulation = {"status_interval": 0.2, **simulation}
        self._pids: t.Set[int] = set()
        self._command = [sys.executable, str(SIMULATOR), "-n", name, "-s", str(self.sockets)]
        self._command += ["-c", str(self.config_path), *options, "-D"]
        home.mkdir(exist_ok=True)
        self._write()
        if start:
            self.start()

    def __enter__(self) -> Simulated:
        return self

    def __exit__(self, *unused: object) -> None:
        for pid in self._pids:
            if is_alive(pid) and SIMULATOR.name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        if self.sockets.is_dir():
            self.sockets.chmod(0o750)

    def start(self) -> None:
        """Start it, and wait until it serves."""
        done = subprocess.run(self._command, capture_output=True, text=True, timeout=30, cwd=self.home, check=False)
        pid_file = self.sockets / "main.pid"
        if pid_file.exists():
            self._pids.add(int(pid_file.read_text()))
        assert done.returncode == 0, done.stderr

    def _write(self) -> None:
        config = {"logdir": str(self.logs), "update_interval": 0.2, "simulation": self._simulation}
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(json.dumps(config))
        fresh.replace(self.config_path)

    def change(self, **simulation: t.Any) -> None:
        """Change the configuration, and wait until the daemon has taken it over."""
        self._simulation.update(simulation)
        self._write()
        stamp = str(self.config_path.stat().st_mtime_ns)
        wait_for(lambda: (self.logs / "simulation.applied").read_text() == stamp, "the configuration being taken over")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal, and wait until it is gone (or, for SIGSTOP, do not)."""
        (pid,) = self._pids
        os.kill(pid, number)
        if number != signal.SIGSTOP:
            # Its first thread may be gone while others still hold the sockets.
            sockets = list(self.sockets.glob("*r"))
            wait_for(lambda: not is_alive(pid) and not any(map(accepts, sockets)), "the end of the daemon")

    @property
    def pid(self) -> int:
        """The process that main.pid names."""
        return int((self.sockets / "main.pid").read_text())

    def record(self) -> t.List[t.Tuple[str, t.Optional[str]]]:
        """Every message that it ever got, and on which socket; None for a connection that said nothing."""
        path = self.logs / "simulation.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(entry["socket"], entry["message"]) for entry in map(json.loads, lines)]

    def wait_for_statistics(self) -> None:
        """Wait until its miners stand in the status file."""
        path = self.logs / "pool" / "pool.status"
        wait_for(lambda: path.exists() and '"Users": 0' not in path.read_text() and path.read_text(), "statistics")
