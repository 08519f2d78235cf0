# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection under the strategy of mitogen: the same results as under Ansible's own, and the limits that the guide names."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Simulated
from tests.support.ansible import Ansible, Json, Run
from tests.support.machine import Machine, needs_namespaces
from tests.support.paths import remove

pytestmark = needs_namespaces
ansible_mitogen = pytest.importorskip("ansible_mitogen")
MITOGEN = {
    "ANSIBLE_STRATEGY": "mitogen_linear",
    "ANSIBLE_STRATEGY_PLUGINS": str(Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"),
}
STOCK: dict[str, str] = {}
THRESHOLDS = {"latency_warning": 30}  #: what a busy host takes longer for is not slow
#: what is another one in each run
_MOVING = {
    "time",
    "as_of", "work_age", "process_age", "observed", "summary", "msg", "generated", "seconds", "waited", "uptime", "elapsed", "timings",
    "age", "idle", "last_share", "now", "hint", "lastshare", "lastupdate", "runtime",
}  # fmt: skip

#: what a simulated pool counts on
_FIGURES = ("hashrate", "best", "share", "accepted", "rejected")


class Fleet:
    """Two hosts with a pool each; the second rejects shares."""

    def __init__(self, folder: Path) -> None:
        self.ansible = Ansible(folder / "ansible")
        self.machines = [Machine(folder / name) for name in ("one", "two")]
        self.folder = folder

    def pools(self) -> list[Simulated]:
        simulations: list[dict[str, Any]] = [{"users": 3}, {"users": 3, "faults": ["rejects"], "uptime": 7200}]
        return [
            Simulated(machine.folder / "pool", prefix=machine.prefix, **simulation)
            for machine, simulation in zip(self.machines, simulations)
        ]

    def run(self, playbook: str | list[Json], environment: dict[str, str], **variables: Any) -> Run:
        inventory = {machine.folder.name: machine.host() for machine in self.machines}
        return self.ansible.playbook(playbook, inventory=inventory, variables=variables, environment=environment)

    def tasks(self, environment: dict[str, str], *tasks: tuple[str, Json], hosts: str = "all") -> list[list[Json]]:
        """The results of each of the tasks, in one run, by the names of the hosts."""
        steps = [{f"ckpool.fleet.{module}": options, "ignore_errors": True} for module, options in tasks]
        run = self.run([{"hosts": hosts, "gather_facts": False, "tasks": steps}], environment)
        assert "Traceback" not in run.text
        return [
            [
                {**record.result, "failed": record.outcome == "failed"}
                for record in sorted(run.of(module), key=lambda one: one.host)
            ]
            for module, _options in tasks
        ]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    folder = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    made = Fleet(folder)
    with made.machines[0], made.machines[1]:
        first, second = made.pools()
        with first, second:
            yield made
    remove(folder)


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two results differ, without what is another one in each run."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in {**one, **other} if name not in _MOVING and not name.startswith(_FIGURES)]
        missing = object()
        return [
            text
            for name in names
            for text in differences(one.get(name, missing), other.get(name, missing), f"{place}.{name}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            text for number, pair in enumerate(zip(one, other)) for text in differences(*pair, f"{place}[{number}]")
        ]
    return [] if one == other else [f"{place}: {one!r} / {other!r}"]


def test_the_health_check_reports_the_same(fleet: Fleet, tmp_path: Path) -> None:
    reports = []
    for number, environment in enumerate((STOCK, MITOGEN)):
        path = tmp_path / f"report{number}.json"
        given = {"health_check_json_file": str(path), "health_check_thresholds": THRESHOLDS}
        run = fleet.run("playbooks/health_check.yml", environment, **given)
        assert "Traceback" not in run.text
        reports.append((run.status, json.loads(path.read_text(encoding="utf-8"))))
    (stock_status, stock), (status, report) = reports
    assert [row["host"] for row in report["fleet"]] == ["one", "two"]
    assert [row["state"] for row in report["fleet"]] == [row["state"] for row in stock["fleet"]] == ["ok", "degraded"]
    assert differences(report["fleet"], stock["fleet"]) == []
    assert (status, report["outcome"]) == (stock_status, stock["outcome"])


def test_modules_return_the_same(fleet: Fleet) -> None:
    tasks: list[tuple[str, Json]] = [
        ("ckpool_info", {}),
        ("ckpool_health_info", {"all_instances": True, "thresholds": THRESHOLDS}),
        ("ckpool_user_info", {}),
        ("ckpool_instance_info", {}),
        ("ckpool_stats", {"socket_dir": "/nowhere", "fail_when_down": True}),
        ("ckpool_dropuser", {"users": ["nobody"]}),
    ]
    stock, ours = (fleet.tasks(environment, *tasks) for environment in (STOCK, MITOGEN))
    assert [len(results) for results in ours] == [2] * len(tasks)
    assert [one["failed"] for one in ours[4]] == [True, True]
    assert differences(stock, ours) == []


def test_orders_work(fleet: Fleet) -> None:
    """A drop, which runs in one task, and an action that calls a module again and again."""
    ((before,),) = fleet.tasks(STOCK, ("ckpool_user_info", {}), hosts="one")
    name = before["users"][0]["user"]
    wait = ("ckpool_wait", {"state": "ready", "poll": 1})
    (dropped,), (waited,) = fleet.tasks(MITOGEN, ("ckpool_dropuser", {"users": [name]}), wait, hosts="one")
    assert dropped["changed"] and not dropped["failed"], dropped
    assert not waited["failed"], waited
    ((expected,),) = fleet.tasks(STOCK, wait, hosts="one")
    assert set(waited) == set(expected)
