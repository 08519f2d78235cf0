# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests are made of: Ansible in a subprocess, simulated pools, and hosts that see no process but their own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.system.daemon import SOCKETS, Answer, ask, process_alive

ROOT = Path(__file__).parents[2]
CALLBACKS = Path(__file__).parent / "callbacks"
SIMULATED = ROOT / "roles" / "simulated_pool" / "files" / "simulated_ckpool.py"
DEADLINE = 15.0
RUN_DEADLINE = 120.0
HARMLESS = {"ping", "stats", "getbest", "poolstats", "users", "workers"}
"""All that the collection may ever ask a pool of its own accord."""
TERMINAL = (sys.executable, "-c", "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))")
"""Runs a command on a terminal of its own, on which nobody types."""

Json = dict[str, Any]
Task = tuple[str, Mapping[str, Any]]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """The first true value of a condition; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in vain for {seconds} s: {what}"
        time.sleep(0.02)
    return value


def processes_with(word: str) -> list[int]:
    """The living processes, except ourselves, that have this text in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid() and process_alive(pid)]


# Ansible


@dataclasses.dataclass(frozen=True)
class Record:
    """One task on one host, as the recorder saw it. `outcome`: ok, failed, unreachable or skipped."""

    host: str
    task: str
    action: str
    outcome: str
    result: Json


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of Ansible that has come to its end."""

    status: int
    output: str
    errors: str
    records: list[Record]

    def of(self, action: str) -> list[Record]:
        """The records of one module."""
        return [record for record in self.records if record.action.rpartition(".")[2] == action]

    def results(self, action: str) -> list[Json]:
        """The results of one module."""
        return [record.result for record in self.of(action)]

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return self.output + self.errors


class Ansible:
    """Runs it in the repository's root, with whatever it writes of its own in a folder of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._count = 0

    def environment(self, record: Path, extra: Mapping[str, str]) -> dict[str, str]:
        """The caller's, without its settings of Ansible."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        ours = {
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "recorder",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "CKPOOL_FLEET_RECORD": str(record),
            "COLUMNS": "400",
        }
        return {**kept, **ours, **extra}

    def playbook(
        self,
        playbook: str | Sequence[Json],
        *arguments: str,
        inventory: Mapping[str, Json] | None = None,
        variables: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Run:
        """Run a playbook by its name, or one that is given as plays.

        `inventory` is host to its variables; `prefix` a command to run the whole in.
        """
        self._count += 1
        stem = self.folder / f"run{self._count}"
        if not isinstance(playbook, str):
            stem.with_suffix(".json").write_text(json.dumps(playbook))
            playbook = str(stem.with_suffix(".json"))
        hosts = stem.with_suffix(".inventory.json")
        hosts.write_text(json.dumps({"all": {"hosts": {**(inventory or {"localhost": local()})}}}))
        command = [*prefix, sys.executable, "-m", "ansible", "playbook", "-i", str(hosts), playbook, *arguments]
        command += ["-e", json.dumps(dict(variables or {}))]
        record = stem.with_suffix(".jsonl")
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment(record, environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_DEADLINE,
            check=False,
        )
        lines = record.read_text().splitlines() if record.exists() else []
        return Run(done.returncode, done.stdout, done.stderr, [Record(**json.loads(line)) for line in lines])

    def modules(
        self, tasks: Iterable[Task], *, host: Json | None = None, prefix: Sequence[str] = (), check: bool = False
    ) -> list[Json]:
        """The results of several modules of the collection, run one after the other; a failure is a result too.

        Also asserts what must hold of each: it says what it found, changes nothing, and shows no traceback.
        """
        results = self._each(tasks, host or local(), ["--check"] if check else [], prefix, {})
        for result in results:
            assert not result.get("changed"), result
        return results

    def control(
        self,
        tasks: Iterable[Task],
        *,
        host: Json | None = None,
        prefix: Sequence[str] = (),
        check: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> list[Json]:
        """As `modules`, of modules that change something, with a diff. One task alone is predicted by a name with '?'.

        Also asserts that what succeeds is said to be changed just if its diff has two sides.
        """
        arguments = ["--diff", "--check"] if check else ["--diff"]
        results = self._each(tasks, host or local(), arguments, prefix, environment or {})
        for result in results:
            sides = result.get("diff", [])
            for side in [sides] if isinstance(sides, dict) else sides:
                assert {"before", "after", "before_header", "after_header"} == set(side), result
            if not result["failed"] and isinstance(sides, dict):
                assert result["changed"] == (sides["before"] != sides["after"]), result
        return results

    def _each(
        self, tasks: Iterable[Task], host: Json, arguments: list[str], prefix: Sequence[str], extra: Mapping[str, str]
    ) -> list[Json]:
        steps = [
            {
                f"ckpool.fleet.{name.rstrip('?')}": dict(options),
                "ignore_errors": True,
                **({"check_mode": True} if name.endswith("?") else {}),
            }
            for name, options in tasks
        ]
        play = {"hosts": "localhost", "gather_facts": False, "tasks": steps}
        run = self.playbook([play], *arguments, inventory={"localhost": host}, prefix=prefix, environment=extra)
        assert len(run.records) == len(steps), run.text
        assert "Traceback" not in run.text
        for record in run.records:
            assert record.result.get("msg"), record
            assert "exception" not in record.result, record
        return [{**record.result, "failed": record.outcome == "failed"} for record in run.records]

    def module(self, name: str, **options: Any) -> Json:
        """The result of one module."""
        return self.modules([(name, options)])[0]


def local(interpreter: str = sys.executable, **variables: Any) -> Json:
    """The variables of a host that is this machine."""
    return {"ansible_connection": "local", "ansible_python_interpreter": interpreter, **variables}


def check_of(health: Json, name: str) -> Json:
    """One check of a verdict, by its name."""
    (found,) = (check for check in health["checks"] if check["name"] == name)
    assert isinstance(found, dict)
    return found


def failing(health: Json) -> dict[str, tuple[str, str]]:
    """The checks that are not well: name to status and reason."""
    bad = (check for check in health["checks"] if check["status"] in ("warn", "critical"))
    return {check["name"]: (check["status"], check["reason"]) for check in bad}


# Hosts


@functools.cache
def namespaces() -> tuple[str, ...]:
    """The options of unshare with which we may have namespaces of our own; empty where we may not."""
    for options in ((), ("--user", "--map-root-user")):
        command = ["unshare", *options, "--fork", "--pid", "--mount", "--mount-proc", "--kill-child", "true"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False).returncode == 0:
                return tuple(command[1:-1])
    return ()


class Machine:
    """A host that sees only processes of its own, for all that looks at every pool of a host.

    `interpreter` is a Python that runs there, `prefix` a command that runs a command there. Its end ends everything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.interpreter = folder / "python"

    def __enter__(self) -> Machine:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["unshare", *namespaces(), "sleep", "900"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        first = wait_for(self._first, "a first process")
        user = ["--user", "--preserve-credentials"] if "--user" in namespaces() else []
        self.prefix = ["nsenter", "--target", str(first), *user, "--pid", "--mount", "--"]
        line = shlex.join([*self.prefix, sys.executable])
        self.interpreter.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        self.interpreter.chmod(0o755)
        return self

    def __exit__(self, *_args: object) -> None:
        self._process.kill()  # and the kernel ends the first process, and with it all the others
        self._process.wait(DEADLINE)

    def _first(self) -> int:
        """Once it has become what it shall be, which is when its view of /proc is in place."""
        pid = self._process.pid
        assert self._process.poll() is None, "unshare does not work"
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "sleep":
            return int(children[0])
        return 0

    def host(self, **variables: Any) -> Json:
        """Its variables in an inventory."""
        return local(str(self.interpreter), **variables)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, timeout=DEADLINE, check=False)


# Pools


class Simulated:
    """One simulated instance in a folder of its own; the keywords are its "simulation"."""

    layout: str
    dialect: str

    def __init__(
        self, folder: Path, *, name: str = "ckpool", machine: Machine | None = None, options: Sequence[str] = (),
        socket_dir: Path | None = None, **simulation: Any,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.name = name
        self.socket_dir = socket_dir or folder / "s"
        self.log_dir = folder / "logs"
        self.layout, self.dialect = simulation.get("layout", "2025"), simulation.get("dialect", "public")
        self.config = folder / f"{name}.conf"
        # Statistics that stay as they are can be compared.
        self.simulation = {"status_interval": 3600, **simulation}
        self._prefix = machine.prefix if machine else []
        self._options = options

    def start(self) -> Simulated:
        """Returns when its sockets answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write()
        done = subprocess.run(self.command("-D"), capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, done.stderr
        return self

    def change(self, **simulation: Any) -> None:
        """Change its "simulation", and wait until it has taken that over."""
        self.simulation.update(simulation)
        self.write()
        stamp = str(self.config.stat().st_mtime_ns)
        applied = self.log_dir / "simulation.applied"
        wait_for(lambda: applied.read_text() == stamp, "the configuration being taken over")

    def write(self) -> None:
        """Its configuration, whole at once, as it may be being read."""
        settings = {"logdir": str(self.log_dir), "update_interval": 1, "simulation": self.simulation}
        fresh = self.config.with_suffix(".new")
        fresh.write_text(json.dumps(settings))
        fresh.replace(self.config)

    def command(self, *more: str) -> list[str]:
        """Its command line."""
        places = ["-n", self.name, "-s", str(self.socket_dir), "-c", str(self.config)]
        return [*self._prefix, sys.executable, str(SIMULATED), *places, *self._options, *more]

    @property
    def pids(self) -> list[int]:
        """Its living processes, as seen from here."""
        return processes_with(str(self.config))

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it and wait for the end; its files stay."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        wait_for(lambda: not self.pids, f"the end of {self.name}")

    def ask(self, socket: str, message: str) -> Answer:
        """An exchange by code of the tests' own."""
        return ask(str(self.socket_dir / socket), message)

    def asked(self) -> list[str]:
        """Every message that it was sent so far."""
        record = self.log_dir / "simulation.jsonl"
        lines = record.read_text().splitlines() if record.exists() else []
        return [json.loads(line)["message"] for line in lines]

    def told(self) -> list[tuple[str, str]]:
        """Every message besides mere questions that it was sent so far, with the socket."""
        record = self.log_dir / "simulation.jsonl"
        entries = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return [
            (entry["socket"], entry["message"]) for entry in entries if entry["message"] not in HARMLESS | {"clients"}
        ]

    @property
    def users(self) -> dict[str, list[str]]:
        """The users it has, and their workers, from what it logged."""
        found: dict[str, list[str]] = {}
        for line in (self.log_dir / f"{self.name}.log").read_text().splitlines():
            if "] Authorised client" in line:
                words = line.partition(" worker ")[2].split()
                found.setdefault(words[3], []).append(words[0])
        return found


@contextlib.contextmanager
def simulated(folder: Path, **options: Any) -> Iterator[Simulated]:
    """A simulated instance, from start to end."""
    pool = Simulated(folder, **options)
    try:
        yield pool.start()
    finally:
        pool.stop()
        with contextlib.suppress(OSError):
            pool.socket_dir.chmod(0o750)


def status_of(log_dir: Path) -> Json:
    """pool.status, read by code of the tests' own."""
    merged: Json = {}
    for line in (log_dir / "pool" / "pool.status").read_text().splitlines():
        merged.update(json.loads(line))
    return merged


def rate_of(text: str | float) -> float:
    """H/s from a text of a status file, by code of the tests' own."""
    text = str(text)
    power = " KMGTPE".find(text[-1])
    return float(text[:-1]) * 1000**power if power > 0 else float(text)


def remove(folder: Path) -> None:
    """A folder and all in it, also what nobody may enter."""
    for path, _folders, _files in os.walk(folder):
        os.chmod(path, 0o755)
    shutil.rmtree(folder)


__all__ = [
    "DEADLINE", "HARMLESS", "ROOT", "SIMULATED", "SOCKETS", "TERMINAL", "Ansible", "Json", "Machine", "Record", "Run",
    "Simulated", "Task", "check_of", "failing", "local", "namespaces", "processes_with", "rate_of", "remove",
    "simulated", "status_of", "wait_for",
]  # fmt: skip
