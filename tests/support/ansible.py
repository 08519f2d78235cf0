# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible in a process of its own, and what it printed and returned; modules run by it, and without it."""

from __future__ import annotations

import abc
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tests.support.paths import ROOT

CALLBACKS = Path(__file__).parent / "callbacks"
ON_TARGET = Path(__file__).parent / "on_target"
RUN_DEADLINE = 900.0
"""Seconds, many times what any run takes: only one that hangs needs them."""
UNHURRIED = {"latency_warning": 300, "work_age_warning": 300, "work_age_critical": 600}
"""Thresholds for the health of pools of tests: a busy machine is slow to answer for them, which is not what is tested."""
TERMINAL = (sys.executable, "-c", "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))")
"""Runs a command on a terminal of its own, on which nobody types."""

Json = dict[str, Any]
Task = tuple[str, Mapping[str, Any]]
_Key = TypeVar("_Key")


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
    """A run of Ansible that has ended."""

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


class Modules(abc.ABC):
    """Something that runs modules of the collection."""

    def modules(
        self, tasks: Iterable[Task], *, host: Json | None = None, prefix: Sequence[str] = (), check: bool = False
    ) -> list[Json]:
        """As `run`, of modules that only read. Also asserts that they change nothing."""
        results = self.run(tasks, host=host, prefix=prefix, check=check)
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
        """As `run`, of modules that change something. Also asserts that a result is changed just if its diff has two sides."""
        results = self.run(tasks, host=host, prefix=prefix, check=check, environment=environment)
        for result in results:
            sides = result.get("diff", [])
            for side in [sides] if isinstance(sides, dict) else sides:
                assert {"before", "after", "before_header", "after_header"} == set(side), result
            if not result["failed"] and isinstance(sides, dict):
                assert result["changed"] == (sides["before"] != sides["after"]), result
        return results

    def module(self, name: str, **options: Any) -> Json:
        """The result of one module."""
        return self.modules([(name, options)])[0]

    def run(
        self,
        tasks: Iterable[Task],
        *,
        host: Json | None = None,
        prefix: Sequence[str] = (),
        check: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> list[Json]:
        """The results of several modules, run one after the other; a name with '?' is run in check mode.

        Also asserts that each says something, and shows no traceback.
        """
        results = self._each(list(tasks), host or local(), prefix, check, environment or {})
        for result in results:
            assert result.get("msg") and "exception" not in result and "Traceback" not in str(result), result
        return results

    @abc.abstractmethod
    def _each(
        self, tasks: Sequence[Task], host: Json, prefix: Sequence[str], check: bool, extra: Mapping[str, str]
    ) -> list[Json]:
        """The results, in their order, each with `failed`."""


class Ansible(Modules):
    """Runs Ansible in the root of the repository. What it writes of its own goes to a folder of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._code = folder / "code"
        self._code.mkdir(mode=0o700, parents=True, exist_ok=True)
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
            "CKPOOL_FLEET_CODE": str(self._code),
            "CKPOOL_FLEET_RECORD": str(record),
            "COLUMNS": "400",
            "PYTHONPATH": str(ON_TARGET),
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

    def _each(
        self, tasks: Sequence[Task], host: Json, prefix: Sequence[str], check: bool, extra: Mapping[str, str]
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
        arguments = ["--diff", *(["--check"] if check else [])]
        run = self.playbook([play], *arguments, inventory={"localhost": host}, prefix=prefix, environment=extra)
        assert len(run.records) == len(steps), run.text
        assert "Traceback" not in run.text
        return [{**record.result, "failed": record.outcome == "failed"} for record in run.records]


class Direct(Modules):
    """Runs modules without Ansible, many in one process: for questions to which Ansible makes no difference.

    It gives a module what Ansible gives it, and reads what it prints. Every module is run by Ansible too, on some pool.
    """

    def beside(self, tasks: Mapping[_Key, Task], group: Callable[[_Key], object]) -> dict[_Key, Json]:
        """As `modules`, by the keys of the tasks; groups of them run beside each other, as most of each is waiting for silence."""
        groups: dict[object, dict[_Key, Task]] = {}
        for key, task in tasks.items():
            groups.setdefault(group(key), {})[key] = task
        with ThreadPoolExecutor(8) as together:
            results = list(together.map(lambda some: self.modules(some.values()), groups.values()))
        found = {key: result for some, each in zip(groups.values(), results) for key, result in zip(some, each)}
        return {key: found[key] for key in tasks}

    def _each(
        self, tasks: Sequence[Task], host: Json, prefix: Sequence[str], check: bool, extra: Mapping[str, str]
    ) -> list[Json]:
        calls = []
        for name, options in tasks:
            own = {"_ansible_check_mode": check or name.endswith("?"), "_ansible_diff": True, "_ansible_no_log": True}
            calls.append((name.rstrip("?"), {"_ansible_remote_tmp": "/tmp", **own, **options}))
        command = [*prefix, host["ansible_python_interpreter"], "-m", "tests.support.run_modules"]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / '.collections'}:{ROOT}", **extra}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, input=json.dumps(calls), capture_output=True, text=True,
            timeout=RUN_DEADLINE, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and not done.stderr, done.stderr
        results: list[Json] = json.loads(done.stdout)
        for result in results:
            result.pop("invocation", None)
        return [{"changed": False, "failed": False, **result} for result in results]


def local(interpreter: str = sys.executable, **variables: Any) -> Json:
    """The variables of a host that is this machine."""
    return {"ansible_connection": "local", "ansible_python_interpreter": interpreter, **variables}


def check_of(health: Json, name: str) -> Json:
    """One check of a verdict, by its name."""
    (found,) = (check for check in health["checks"] if check["name"] == name)
    assert isinstance(found, dict)
    return found


def failing(health: Json) -> dict[str, tuple[str, str]]:
    """The checks that are not healthy: name to status and reason."""
    bad = (check for check in health["checks"] if check["status"] in ("warning", "critical"))
    return {check["name"]: (check["status"], check["reason"]) for check in bad}
