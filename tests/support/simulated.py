# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated daemon: its folder, its configuration, its life, and what it was sent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tests.support.exchange import Answer, accepts, ask
from tests.support.messages import HARMLESS, SOCKETS
from tests.support.paths import SIMULATOR
from tests.support.processes import argv_of, is_alive
from tests.support.waiting import DEADLINE, wait_for

Record = t.List[t.Tuple[str, t.Optional[str]]]


class Simulated:
    """One simulated daemon, from `start` to `stop`, or for as long as a `with` block runs.

    :arg folder: holds everything of it; it is made if it is missing.
    :arg options: more words for its command line.
    :arg prefix: a command that runs a command, as that of a machine.
    :arg simulation: the keys of "simulation" in its configuration. Statistics are written every 100 s: they never become too
        old, however long a test takes, and most tests see only one version of them.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        name: str = "ckpool",
        prefix: t.Sequence[str] = (),
        socket_dir: t.Optional[Path] = None,
        update_interval: float = 0.2,
        **simulation: t.Any,
    ) -> None:
        self.folder = folder
        self.name = name
        self.socket_dir = socket_dir or folder / "s"
        self.log_dir = folder / "logs"
        self.config_path = folder / f"{name}.conf"
        self.simulation: t.Dict[str, t.Any] = {"status_interval": 100, **simulation}
        self._update_interval = update_interval
        self._options = options
        self._prefix = prefix
        self._written = 0

    def __enter__(self) -> Simulated:
        return self if self.pids else self.start()

    def __exit__(self, *unused: object) -> None:
        self.stop()
        if self.socket_dir.is_dir():
            self.socket_dir.chmod(0o750)

    # Life

    def start(self) -> Simulated:
        """Start it, and return when it serves."""
        done = self.launch()
        assert done.returncode == 0, done.stderr
        return self

    def launch(self) -> subprocess.CompletedProcess[str]:
        """Start it, and return when it serves or says why it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write()
        command = self.command("-D")
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=2 * DEADLINE, check=False
        )

    def command(self, *more: str) -> t.List[str]:
        """Its command line."""
        places = ["-n", self.name, "-s", str(self.socket_dir), "-c", str(self.config_path)]
        return [*self._prefix, sys.executable, str(SIMULATOR), *places, *self._options, *more]

    def write(self) -> None:
        """Write its configuration, whole at once, as it may be being read, and newer than the one before by its time."""
        config = {
            "logdir": str(self.log_dir),
            "update_interval": self._update_interval,
            "simulation": self.simulation,
        }
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(json.dumps(config))
        self._written = max(self._written + 1, time.time_ns())
        os.utime(fresh, ns=(self._written, self._written))
        fresh.replace(self.config_path)

    def change(self, **simulation: t.Any) -> None:
        """Change the configuration, and return when the daemon has taken it over."""
        self.simulation.update(simulation)
        self.write()
        stamp = str(self.config_path.stat().st_mtime_ns)
        wait_for(
            lambda: (self.log_dir / "simulation.applied").read_text() == stamp, "the configuration to be taken over"
        )

    def stop(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to all of its processes and return when they are gone (with SIGSTOP, at once). Files stay."""
        told = self._signal(number, set())
        if number != signal.SIGSTOP:
            # One that restarts may have started the next process while the signals were sent.
            wait_for(lambda: not self._signal(number, told), f"the end of {self.name}")
            # The first thread of a process may be gone while others still hold the sockets.
            own = [path for path in (self.socket_dir / name for name in SOCKETS) if not path.is_symlink()]
            wait_for(lambda: not any(map(accepts, own)), "the end of its sockets")

    def _signal(self, number: int, told: t.Set[int]) -> t.Set[int]:
        """Send a signal to each of its living processes that was not sent it before, and return all that live."""
        living = set(self.pids)
        for pid in living - told:
            told.add(pid)
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        return living

    @property
    def pids(self) -> t.List[int]:
        """Its living processes, as seen from here: those with its configuration file in their command line."""
        config = str(self.config_path)
        found = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in found if config in argv_of(pid) and is_alive(pid)]

    @property
    def pid(self) -> int:
        """The process that main.pid names. It is empty for a moment while it is written, and away while it restarts."""

        def text() -> str:
            try:
                return (self.socket_dir / "main.pid").read_text()
            except FileNotFoundError:
                return ""

        return int(wait_for(text, "a pid in main.pid"))

    # What it says

    @property
    def layout(self) -> str:
        """That of its status files."""
        return str(self.simulation.get("layout", "2025"))

    @property
    def dialect(self) -> str:
        """What it speaks on its sockets."""
        return str(self.simulation.get("dialect", "public"))

    def ask(self, socket: str, message: str, timeout: float = 10.0) -> Answer:
        """Send a message to one of its sockets."""
        return ask(str(self.socket_dir / socket), message, timeout)

    def record(self) -> Record:
        """Every message that it was sent so far, and on which socket; None for a connection that said nothing."""
        return [(entry["socket"], entry["message"]) for entry in self._entries()]

    def times(self) -> t.List[float]:
        """When each message of the record arrived."""
        return [entry["time"] for entry in self._entries()]

    def _entries(self) -> t.List[t.Dict[str, t.Any]]:
        """The lines of the record, without one that is being written."""
        path = self.log_dir / "simulation.jsonl"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def asked(self) -> t.List[str]:
        """Every message that it was sent so far."""
        return [message for _socket, message in self.record() if message is not None]

    def told(self) -> t.List[t.Tuple[str, str]]:
        """Every message besides mere questions that it was sent so far, and on which socket."""
        questions = HARMLESS | {"clients"}
        return [(name, message) for name, message in self.record() if message is not None and message not in questions]

    def log(self) -> str:
        """All of its log so far."""
        return (self.log_dir / f"{self.name}.log").read_text()

    def find_block(self, height: int, worker: str, ago: float = 5.0) -> None:
        """Write to its log, as it was some seconds ago, that a worker has found a block."""
        lines = (
            "Possible block solve diff 5.5 !",
            "BLOCK ACCEPTED!",
            f"Solved and confirmed block {height} by {worker}",
        )
        stamp = time.strftime("[%Y-%m-%d %H:%M:%S.000]", time.localtime(time.time() - ago))
        with (self.log_dir / f"{self.name}.log").open("a") as log:
            log.writelines(f"{stamp} {line}\n" for line in lines)

    @property
    def users(self) -> t.Dict[str, t.List[str]]:
        """The users that have connected, each with its workers, from its log."""
        found: t.Dict[str, t.List[str]] = {}
        for line in self.log().splitlines():
            if "] Authorised client" in line:
                words = line.partition(" worker ")[2].split()
                found.setdefault(words[3], []).append(words[0])
        return found

    def wait_for_statistics(self) -> None:
        """Return when its miners are in the status file."""
        path = self.log_dir / "pool" / "pool.status"
        wait_for(lambda: path.exists() and '"Users": 0' not in path.read_text() and path.read_text(), "statistics")
