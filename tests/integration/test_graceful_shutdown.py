# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and the playbook graceful_shutdown, over hosts that each see only their own pools."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.conftest import needs_namespaces
from tests.integration.harness import HARMLESS, SOCKETS, TERMINAL, Ansible, Json, Machine, Run, Simulated

pytestmark = needs_namespaces

PLAYBOOK = "ckpool.fleet.graceful_shutdown"
ELSEWHERE = "spare.example.org:3333"
SENT_THERE = "reconnect:spare.example.org,3333"
DRAIN: Json = {"graceful_shutdown_redirect_to": ELSEWHERE, "graceful_shutdown_poll": 1}
TYPE_NO = """
import os, pty, sys
def answer(terminal):
    data = os.read(terminal, 4096)
    if b"(yes or no)" in data:
        os.write(terminal, b"no\\n")
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], answer)))
"""
"""Runs a command on a terminal, and answers its question."""


class Fleet:
    """Hosts with pools, by name. Each pool has four clients."""

    def __init__(self, place: Callable[[], Path], stack: contextlib.ExitStack, **hosts: list[Json]) -> None:
        self.pools: dict[str, list[Simulated]] = {}
        self.inventory: dict[str, Json] = {}
        for host, pools in hosts.items():
            machine = stack.enter_context(Machine(place()))
            self.inventory[host] = machine.host()
            self.pools[host] = [
                Simulated(machine.folder / pool["name"], machine=machine, users=2, **pool).start() for pool in pools
            ]

    def told(self) -> dict[str, list[list[str]]]:
        """What each pool was told, by host, without what it was only asked."""
        return {
            host: [[word for word in pool.asked() if word not in HARMLESS] for pool in pools]
            for host, pools in self.pools.items()
        }

    def living(self) -> list[str]:
        """The names of the pools that run, after those of their hosts."""
        return [f"{host} {pool.name}" for host, pools in self.pools.items() for pool in pools if pool.pids]


def play(ansible: Ansible, fleet: Fleet, *arguments: str, prefix: Sequence[str] = (), **variables: object) -> Run:
    """The playbook over a fleet."""
    run = ansible.playbook(
        PLAYBOOK, *arguments, inventory=fleet.inventory, variables={**DRAIN, **variables}, prefix=prefix
    )
    assert "Traceback" not in run.text
    return run


def reports_of(run: Run) -> dict[str, list[str]]:
    """The report on each host, as it was shown."""
    return {record.host: record.result["msg"] for record in run.of("debug")}


def shutdowns_of(run: Run) -> dict[str, list[Json]]:
    """What ckpool_shutdown returned, by host."""
    return {record.host: record.result.get("results", []) for record in run.of("ckpool_shutdown")}


@pytest.fixture(scope="module")
def stage(place: Callable[[], Path]) -> Iterator[Fleet]:
    """A host with two pools, one with one, and one with none."""
    with contextlib.ExitStack() as stack:
        yield Fleet(place, stack, two=[{"name": "ckpool"}, {"name": "solo"}], one=[{"name": "ckpool"}], none=[])


@pytest.fixture(scope="module")
def sick(place: Callable[[], Path]) -> Iterator[Fleet]:
    """A host whose second pool is stubborn, and one after it with a sick pool beside a good one."""
    stale = [{"fault": "stale_work", "age": 1000}]
    with contextlib.ExitStack() as stack:
        yield Fleet(
            place,
            stack,
            stays=[{"name": "aged"}, {"name": "ckpool", "stubborn": 3}],
            sick=[{"name": "ckpool", "faults": stale}, {"name": "solo"}],
        )


@pytest.fixture(scope="module")
def runs(ansible: Ansible, stage: Fleet, sick: Fleet) -> dict[str, Run]:
    """All runs. Much of each is waiting, so that the two fleets have theirs at the same time."""
    other = Ansible(ansible.folder / "other")
    with ThreadPoolExecutor(1) as beside:
        wrong = beside.submit(lambda: {"failed": fail_in_the_middle(other, sick), "strict": keep_the_sick(other, sick)})
        return {**have_a_window(ansible, stage), **wrong.result()}


# A window: asked for, predicted, done, and done again


def have_a_window(ansible: Ansible, stage: Fleet) -> dict[str, Run]:
    """One run after the other: refused twice, in check mode, in earnest, and once more."""
    nothing: Json = {"two": [[], []], "one": [[]], "none": []}
    all_three = ["two ckpool", "two solo", "one ckpool"]
    runs = {
        "refused": play(ansible, stage, graceful_shutdown_confirm="no"),
        "answered": play(ansible, stage, prefix=(sys.executable, "-c", TYPE_NO)),
        "checked": play(ansible, stage, "--check", "--limit", "two,none", graceful_shutdown_serial=2),
    }
    assert (stage.told(), stage.living()) == (nothing, all_three), "nothing was done"
    runs["done"] = play(ansible, stage)
    both = [SENT_THERE, "shutdown"]
    assert (stage.told(), stage.living()) == ({"two": [both, both], "one": [both], "none": []}, [])
    runs["again"] = play(ansible, stage, "--limit", "two,one", graceful_shutdown_serial=2)
    return runs


@pytest.mark.parametrize("name", ["refused", "answered"])
def test_not_confirmed(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert run.status != 0
    assert "not confirmed; nothing was done" in run.text
    assert [record.action.rpartition(".")[2] for record in run.records] == ["assert"]
    assert ("Shut down the pools of these hosts (yes or no)" in run.output) == (name == "answered")


def test_nobody_is_asked_without_a_terminal(runs: dict[str, Run]) -> None:
    assert runs["done"].status == 0
    assert "(yes or no)" not in runs["done"].output


def test_check_mode(runs: dict[str, Run]) -> None:
    run = runs["checked"]
    assert run.status == 0
    assert {record.host: record.result.get("changed", False) for record in run.of("ckpool_shutdown")} == {
        "two": True, "none": False,
    }  # fmt: skip
    assert all(f"would send 4 clients to {ELSEWHERE}" in line for line in reports_of(run)["two"])


def test_window(runs: dict[str, Run]) -> None:
    run = runs["done"]
    assert run.status == 0
    assert list(dict.fromkeys(record.host for record in run.records)) == ["two", "one", "none"]
    results = [result for found in shutdowns_of(run).values() for result in found]
    assert len(results) == 3
    for result in results:
        assert result["changed"] and (result["clients_before"], result["sent_away"]) == (4, 4)
        assert result["removed"] == list(SOCKETS)
        assert [phase["name"] for phase in result["phases"]] == ["verify", "drain", "shutdown", "clean"]


def test_report(runs: dict[str, Run]) -> None:
    reports = reports_of(runs["done"])
    assert [len(lines) for lines in reports.values()] == [2, 1, 1]
    assert reports["none"] == ["no ckpool runs here"]
    for name, line in zip(("ckpool", "solo"), reports["two"], strict=True):
        assert line.startswith(f"{name} (")
        assert "is down: pid" in line and f"4 clients sent to {ELSEWHERE} before" in line


def test_second_window(runs: dict[str, Run]) -> None:
    run = runs["again"]
    assert run.status == 0
    assert not any(record.result.get("changed") for record in run.records)
    assert reports_of(run) == {host: ["no ckpool runs here"] for host in ("two", "one")}


# Windows that go wrong


def fail_in_the_middle(ansible: Ansible, sick: Fleet) -> Run:
    run = ansible.playbook(
        PLAYBOOK, inventory=sick.inventory, environment={"ANSIBLE_STDOUT_CALLBACK": "json"}, prefix=TERMINAL,
        variables={**DRAIN, "graceful_shutdown_confirm": "yes", "graceful_shutdown_drain_timeout": 2},
    )  # fmt: skip
    assert sick.living() == ["stays ckpool", "sick ckpool", "sick solo"], run.text
    assert sick.told()["sick"] == [[], []], "the hosts after it are left alone"
    return run


def keep_the_sick(ansible: Ansible, sick: Fleet) -> Run:
    """The role on all pools of the sick host, and then on the other one alone."""
    strict = {"graceful_shutdown_health_fail_on": "critical", "graceful_shutdown_poll": 1}
    every, other = (
        {"include_role": {"name": PLAYBOOK}, "vars": {**strict, **only}}
        for only in ({}, {"graceful_shutdown_name": "solo"})
    )
    tasks = [{"block": [every], "rescue": [{"debug": {"msg": ["kept"]}}]}, other]
    return ansible.playbook([{"hosts": "sick", "gather_facts": False, "tasks": tasks}], inventory=sick.inventory)


def test_failure_in_the_middle(runs: dict[str, Run], sick: Fleet) -> None:
    """What still runs is put back, and the failure says so."""
    run = runs["failed"]
    assert run.status != 0
    assert {record.host for record in run.records} == {"stays"}
    assert sick.told()["stays"] == [[SENT_THERE, "shutdown"], [SENT_THERE, "accept"]]
    (failure,) = run.results("fail")
    assert "3 of 4 clients are still there" in failure["msg"]
    assert "Put back to accepting: ckpool" in failure["msg"]
    ended, kept = shutdowns_of(run)["stays"]
    assert (ended["changed"], ended["sent_away"]) == (True, 4)
    assert (kept["changed"], kept["reason"], kept["sent_away"]) == (True, "drain_timeout", 1)


def test_output_for_programs_has_no_progress(runs: dict[str, Run]) -> None:
    """Although it was on a terminal."""
    assert ["stays", "failed"] in json.loads(runs["failed"].output)["results"]


def test_a_sick_pool_is_kept_for_a_person_to_look_at(runs: dict[str, Run], sick: Fleet) -> None:
    """Another one of the same host may end."""
    run = runs["strict"]
    assert run.status == 0, run.text
    health, other = run.of("ckpool_health_info")
    assert (health.outcome, other.outcome) == ("failed", "ok")
    assert "no_work_in_this_run" in str(health.result["instances"])
    assert [len(record.result["results"]) for record in run.of("ckpool_shutdown")] == [1]
    assert sick.told()["sick"] == [[], ["shutdown"]]
    assert sick.living() == ["stays ckpool", "sick ckpool"]
