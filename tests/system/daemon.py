# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts and stops a real ckpool, on loopback, in a temporary folder of its own.

    with RealPool() as pool:                        # the program that CKPOOL_BIN names, with a FakeBitcoind of its own
        pool.ask("stratifier", "ping").text         # 'pong'
        Miner(pool.stratum_port, "alice.rig1")

    with RealPool() as pool, RealPool(Mode.PASSTHROUGH, upstream=pool) as front: ...
    with RealPool(node_state=State.REFUSE, wait=Wait.LISTENING) as pool: ...

What is asked here is asked by code of the tests' own, so that a fault of the collection cannot hide itself.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any, final

from tests.support.exchange import Answer, Outcome, ask, free_port
from tests.support.processes import argv_of, is_alive
from tests.support.waiting import DEADLINE, wait_until
from tests.system.bitcoind import FakeBitcoind, State

ENVIRONMENT = "CKPOOL_BIN"
BTC_ADDRESS = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
LONGEST_SOCKET_PATH = 100


class PoolError(Exception):
    """The daemon did not start, stop or answer as it must."""


class Mode(enum.Enum):
    """What the daemon is, the argument that makes it so, and its default name."""

    POOL = ("", "ckpool")
    PROXY = ("-p", "ckproxy")
    PASSTHROUGH = ("-P", "ckpassthrough")
    REDIRECTOR = ("-R", "ckredirector")

    @property
    def argument(self) -> str:
        """The daemon's option; empty for a plain pool."""
        return self.value[0]

    @property
    def default_name(self) -> str:
        """What the daemon calls itself without `-n`."""
        return self.value[1]


class Wait(enum.Enum):
    """What `RealPool` waits for before it hands over."""

    READY = "ready"
    """Miners can work: the stratifier answers and, in a plain pool, has work."""
    LISTENING = "listening"
    """The listener and the connector answer; nothing is said of the rest."""
    NOTHING = "nothing"


@final
class RealPool:
    """A real daemon, from `__enter__` to `__exit__`.

    `settings` are merged into the daemon's configuration (None removes an entry), `arguments` are put after the
    command line's own, and `prefix` before it. Without `node` a plain pool gets a FakeBitcoind of its own, in `node_state`.
    """

    def __init__(
        self,
        mode: Mode = Mode.POOL,
        *,
        binary: str | None = None,
        name: str | None = None,
        upstream: RealPool | None = None,
        node: FakeBitcoind | None = None,
        node_state: State = State.UP,
        settings: dict[str, Any] | None = None,
        arguments: Sequence[str] = (),
        wait: Wait = Wait.READY,
        timeout: float = 2 * DEADLINE,
        prefix: Sequence[str] = (),
    ) -> None:
        self.mode = mode
        self.name = name or mode.default_name
        self.timeout = timeout
        self.stratum_port = 0
        self._binary = binary or os.environ.get(ENVIRONMENT, "")
        self._upstream = upstream
        self._node, self._own_node, self._node_state = node, False, node_state
        self._settings, self._arguments, self._wait = settings or {}, list(arguments), wait
        self._prefix = list(prefix)
        self._folder: pathlib.Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # Where things are.

    @property
    def folder(self) -> pathlib.Path:
        """The temporary folder that holds everything of this daemon, and is its working directory."""
        if self._folder is None:
            raise PoolError("the pool is not running")
        return self._folder

    @property
    def socket_dir(self) -> pathlib.Path:
        """Where its sockets and main.pid are."""
        return self.folder / "run"

    @property
    def log_dir(self) -> pathlib.Path:
        """Its `logdir`."""
        return self.folder / "logs"

    @property
    def log_file(self) -> pathlib.Path:
        """Its log."""
        return self.log_dir / f"{self.name}.log"

    @property
    def config(self) -> pathlib.Path:
        """Its configuration file."""
        return self.folder / f"{self.name}.conf"

    @property
    def bitcoind(self) -> FakeBitcoind:
        """The node behind it."""
        if self._node is None:
            raise PoolError("a pool of this mode has no bitcoind")
        return self._node

    @property
    def pid(self) -> int | None:
        """The pid in main.pid, which a restart changes; None when there is no such file."""
        try:
            return int((self.socket_dir / "main.pid").read_text())
        except (OSError, ValueError):
            return None

    # What can be asked.

    def ask(self, name: str, text: str, timeout: float = 10.0) -> Answer:
        """Send a message to one of the four sockets."""
        return ask(str(self.socket_dir / name), text, timeout)

    def counts(self, name: str = "stratifier") -> dict[str, Any]:
        """The `stats` of the stratifier (workbases, users, clients and more) or of the connector (connections)."""
        answer = self.ask(name, "stats")
        if answer.outcome is not Outcome.REPLY:
            raise PoolError(f"stats: {answer.outcome.value}")
        counts: dict[str, Any] = json.loads(answer.text)
        return counts

    def status(self) -> dict[str, Any]:
        """The three objects of pool.status as one; empty before it is first written."""
        for path in (self.log_dir / "pool" / "pool.status", self.log_dir / "pool.status"):
            with contextlib.suppress(OSError, ValueError):
                merged: dict[str, Any] = {}
                for line in path.read_text().splitlines():
                    merged.update(json.loads(line))
                return merged
        return {}

    def log(self) -> str:
        """All of its log so far."""
        try:
            return self.log_file.read_text(errors="replace")
        except OSError:
            return ""

    def wait_for_log(self, text: str, seconds: float) -> bool:
        """Whether a text appears in the log in time."""
        return wait_until(lambda: text in self.log(), seconds)

    def is_ready(self) -> bool:
        """Whether miners can work."""
        # The stratifier of a front pongs once before it waits for its generator to reach the upstream pool.
        if any(self.ask(socket, "ping", 1.0).text != "pong" for socket in ("generator", "stratifier")):
            return False
        try:
            return self.mode is not Mode.POOL or bool(self.counts()["workbases"]["count"])
        except PoolError:
            return False

    def has_connector(self) -> bool:
        """Whether its connector answers. In about 1 of 50 starts it never does, by a race of the daemon's own."""
        return wait_until(lambda: self.ask("connector", "ping", 1.0).text == "pong", 10)

    def processes(self) -> list[int]:
        """The living processes of this daemon: those with its configuration file in their command line."""
        found = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in found if str(self.config) in argv_of(pid) and is_alive(pid)]

    # Life.

    def __enter__(self) -> RealPool:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_args: object) -> None:
        self.stop()

    def start(self) -> None:
        """Make the folder, start the daemon and wait for it."""
        if not self._binary:
            raise PoolError(f"{ENVIRONMENT} is not set: no ckpool to start")
        self._folder = self._make_folder()
        if self.mode is Mode.POOL and self._node is None:
            self._node, self._own_node = FakeBitcoind(free_port(), state=self._node_state), True
        self.stratum_port = free_port()
        self.config.write_text(json.dumps(self._configuration(), indent=2) + "\n")
        for _attempt in range(5):
            self.launch()
            self._await()
            if self._wait is Wait.NOTHING or self.has_connector():
                return
            self.kill()
            wait_until(self.gone)
        raise PoolError("its connector never answers")

    def launch(self) -> None:
        """Start the daemon's process on what is there; for a second start after it has been shut down or killed."""
        command = [self._binary, "-c", str(self.config), "-s", str(self.socket_dir), "-n", self.name]
        command += [self.mode.argument] if self.mode.argument else []
        with (self.folder / "console.txt").open("ab") as console:
            self._process = subprocess.Popen(
                self._prefix + command + self._arguments,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # A restart waits for the old process to be reaped, and gives up when nobody does it: not the pool's fault.
        threading.Thread(target=self._process.wait, daemon=True, name="reaper of ckpool").start()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the daemon, and nothing else: what it leaves behind stays."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def gone(self) -> bool:
        """Whether no process of this daemon is left."""
        return self._exit_status() is not None and not self.processes()

    def stop(self) -> None:
        """End every process of this daemon, gently and then not, and remove its folder."""
        if self._folder is None:
            return
        ended = self._end()
        if self._own_node and self._node is not None:
            self._node.close()
            self._node, self._own_node = None, False
        if not ended:
            raise PoolError(f"processes {self.processes()} do not end; see {self.folder}")
        shutil.rmtree(self._folder)
        self._folder = None

    # How.

    def _end(self) -> bool:
        """End every process, gently and then not; whether they did."""
        if self._process is None:
            return True
        self.kill(signal.SIGTERM)
        self.kill(signal.SIGCONT)  # or a stopped one does not hear it
        if not wait_until(self.gone, 5):
            self.kill(signal.SIGKILL)
        return wait_until(self.gone)

    def _make_folder(self) -> pathlib.Path:
        """A folder with a short path: the path of a unix socket has room for little over a hundred bytes."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ckf-"))
        if len(str(folder / "run" / "stratifier")) > LONGEST_SOCKET_PATH:
            folder.rmdir()
            folder = pathlib.Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
        return folder

    def _configuration(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "serverurl": [f"127.0.0.1:{self.stratum_port}"],
            "logdir": str(self.log_dir),
            "update_interval": 5,
            "mindiff": 1,
            "startdiff": 1,
            "highdiff": 1,  # what a daemon demands on ports above 4000, and ours is one
            "btcaddress": BTC_ADDRESS,
            "btcsig": "/fleet tests/",
            "zmqblock": f"tcp://127.0.0.1:{free_port()}",
            **self._behind(),
            **self._settings,
        }
        return {key: value for key, value in settings.items() if value is not None}

    def _behind(self) -> dict[str, Any]:
        """What stands behind the daemon: a node, or another pool."""
        if self.mode is Mode.POOL:
            node = {"url": f"127.0.0.1:{self.bitcoind.port}", "auth": "user", "pass": "pass", "notify": False}
            return {"btcd": [node], "blockpoll": 100}
        if self._upstream is None:
            raise PoolError(f"a {self.name} needs an upstream pool")
        url = f"127.0.0.1:{self._upstream.stratum_port}"
        behind: dict[str, Any] = {"proxy": [{"url": url, "auth": f"{BTC_ADDRESS}.proxy", "pass": "x"}]}
        return {**behind, "redirecturl": [url]} if self.mode is Mode.REDIRECTOR else behind

    def _await(self) -> None:
        conditions: dict[Wait, Callable[[], bool]] = {
            Wait.READY: self.is_ready,
            Wait.LISTENING: lambda: self.ask("listener", "ping", 1.0).text == "pong",
            Wait.NOTHING: lambda: True,
        }
        reached = conditions[self._wait]
        ended_or_reached = wait_until(lambda: self._exit_status() is not None or reached(), self.timeout)
        if self._exit_status() is not None or not ended_or_reached:
            console = (self.folder / "console.txt").read_text(errors="replace")[-2000:]
            raise PoolError(f"not {self._wait.value} in time (exit status {self._exit_status()}): {console}")

    def _exit_status(self) -> int | None:
        return self._process.poll() if self._process is not None else None
