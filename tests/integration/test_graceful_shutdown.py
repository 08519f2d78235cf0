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

from tests.support import HARMLESS, ROOT, SOCKETS, Simulated, free_port
from tests.support.ansible import TERMINAL, Ansible, Json, Run
from tests.support.machine import Machine, needs_namespaces

pytestmark = needs_namespaces

PLAYBOOK = "ckpool.fleet.graceful_shutdown"
ELSEWHERE = "spare.example.org:3333"
SENT_THERE = "reconnect:spare.example.org,3333"
#: to where nothing listens, which simulated miners do not mind
DRAIN: Json = {
    "graceful_shutdown_redirect_to": ELSEWHERE,
    "graceful_shutdown_redirect_check": False,
    "graceful_shutdown_poll": 1,
}
MEANT: Json = {"graceful_shutdown_confirm": "yes"}
HINT = "not confirmed; nothing was done. Without a terminal, set -e graceful_shutdown_confirm=yes"
ANSWER = """
import os, pty, sys, threading
asked, answered = threading.Event(), threading.Event()
def type_it(terminal):
    asked.wait()
    while not answered.wait(0.3):  # input that comes too early is discarded
        try:
            os.write(terminal, sys.argv[1].encode() + b"\\r")
        except OSError:
            return  # it has ended
seen = b""
def read(terminal):
    global seen
    data = os.read(terminal, 4096)
    seen += data
    question, mark, after = seen.partition(b"(yes or no)")  # of which each may come in pieces
    if mark and not asked.is_set():
        threading.Thread(target=type_it, args=(terminal,), daemon=True).start()
        asked.set()
    if b"TASK [" in after:
        answered.set()
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))
"""
"""Runs a command on a terminal, and answers its question."""


def typing(answer: str) -> tuple[str, ...]:
    return (sys.executable, "-c", ANSWER, answer)


class Fleet:
    """Hosts with pools, by name. Each pool has four clients."""

    def __init__(self, place: Callable[[], Path], stack: contextlib.ExitStack, **hosts: list[Json]) -> None:
        self.pools: dict[str, list[Simulated]] = {}
        self.inventory: dict[str, Json] = {}
        for host, pools in hosts.items():
            machine = stack.enter_context(Machine(place()))
            self.inventory[host] = machine.host()
            self.pools[host] = [
                Simulated(machine.folder / pool["name"], prefix=machine.prefix, users=2, **pool).start()
                for pool in pools
            ]

    def told(self) -> dict[str, list[list[str]]]:
        """The messages that each pool was sent, by host, without questions."""
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
    return {record.host: record.result["msg"] for record in run.of("debug") if record.task.endswith("Show the report")}


def plan_of(run: Run) -> list[str]:
    """What it said before it did anything."""
    (plan,) = (record.result["msg"] for record in run.of("debug") if record.task == "Show the plan")
    assert isinstance(plan, list)
    return plan


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
    """A host whose second pool is stubborn, and after it one with an unhealthy pool beside a healthy one."""
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
    """One run after the other: refused in every way, in check mode, for real, and once more."""
    nothing: Json = {"two": [[], []], "one": [[]], "none": []}
    all_three = ["two ckpool", "two solo", "one ckpool"]
    runs = {
        "refused": play(ansible, stage, graceful_shutdown_confirm="no"),
        "unasked": play(ansible, stage),
        "answered no": play(ansible, stage, prefix=typing("no")),
        "answered nothing": play(ansible, stage, prefix=typing("")),
        "no such host": play(ansible, stage, graceful_shutdown_hosts="two,nosuch", **MEANT),
        "limit without hosts": play(ansible, stage, "--limit", "one", graceful_shutdown_hosts="two", **MEANT),
        "checked": play(
            ansible, stage, "--check", "--limit", "two,none", graceful_shutdown_serial=2, prefix=typing("no")
        ),
    }
    assert (stage.told(), stage.living()) == (nothing, all_three), "nothing was done"
    runs["answered yes"] = play(ansible, stage, "--limit", "one,none", prefix=typing("yes"))
    both = [SENT_THERE, "shutdown"]
    assert (stage.told(), stage.living()) == ({**nothing, "one": [both]}, all_three[:2])
    runs["done"] = play(ansible, stage, "--limit", "two,none", **MEANT)
    assert (stage.told(), stage.living()) == ({"two": [both, both], "one": [both], "none": []}, [])
    runs["again"] = play(ansible, stage, "--limit", "two,one", graceful_shutdown_serial=2)
    return runs


@pytest.mark.parametrize("name", ["refused", "unasked", "answered no", "answered nothing"])
def test_not_confirmed(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert run.status == 2
    assert HINT in run.text
    assert not run.of("ckpool_shutdown") and not run.of("ckpool_step")
    assert ("Go ahead (yes or no) [no]" in run.output) == name.startswith("answered")


@pytest.mark.parametrize("name", ["no such host", "limit without hosts"])
def test_hosts_that_do_not_exist(name: str, runs: dict[str, Run]) -> None:
    assert runs[name].status == 2
    assert "nothing was done" in runs[name].text
    assert not runs[name].of("ckpool_health_info")


@pytest.mark.parametrize("name", ["refused", "answered no", "answered yes", "checked", "done"])
def test_it_says_what_it_would_end(name: str, runs: dict[str, Run], stage: Fleet) -> None:
    hosts = {"checked": ["two"], "done": ["two"], "answered yes": ["one"]}.get(name, ["two", "one"])
    pools = [(host, pool) for host in hosts for pool in stage.pools[host]]
    first, *lines = plan_of(runs[name])
    number, miners = (f"{len(pools)} pool{'s' * (len(pools) > 1)}", 4 * len(pools))
    assert first == f"To shut down: {number} with {miners} miners on {len(hosts)} host{'s' * (len(hosts) > 1)}"
    for host, pool in pools:
        (line,) = (line for line in lines if f"{pool.socket_dir})" in line)
        assert line.startswith(f"  {host}: {pool.name} ({pool.socket_dir}), pid ")
        assert f", 4 miners, sent to {ELSEWHERE} first" in line  # and its state, if a busy machine made it slow
    assert "  none: no ckpool runs here" in lines
    if name.startswith("answered"):
        question = runs[name].output.partition("[Ask for confirmation]")[2].partition("(yes or no)")[0]
        assert all(line in question for line in (first, *lines))


def test_an_answer_of_yes(runs: dict[str, Run]) -> None:
    run = runs["answered yes"]
    assert run.status == 0
    assert len(shutdowns_of(run)["one"]) == 1


def test_check_mode_asks_nobody(runs: dict[str, Run]) -> None:
    assert "(yes or no)" not in runs["checked"].output


def test_there_is_nothing_to_ask_where_nothing_runs(runs: dict[str, Run]) -> None:
    assert [record.outcome for record in runs["again"].of("pause")] == ["skipped"]
    assert plan_of(runs["again"])[0] == "To shut down: 0 pools with 0 miners on 0 hosts"


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
    assert list(shutdowns_of(run)) == ["two", "none"]
    results = [result for found in shutdowns_of(run).values() for result in found]
    assert len(results) == 2
    for result in results:
        assert result["changed"] and (result["clients_before"], result["sent_away"]) == (4, 4)
        assert result["removed"] == list(SOCKETS)
        assert [phase["name"] for phase in result["phases"]] == ["verify", "drain", "shutdown", "clean"]


def test_report(runs: dict[str, Run]) -> None:
    reports = reports_of(runs["done"])
    assert [len(lines) for lines in reports.values()] == [2, 1]
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
        variables={**DRAIN, **MEANT, "graceful_shutdown_drain_timeout": 8},
    )  # fmt: skip
    assert sick.living() == ["stays ckpool", "sick ckpool", "sick solo"], run.text
    assert sick.told()["sick"] == [[], []], "the hosts after it are left alone"
    return run


def keep_the_sick(ansible: Ansible, sick: Fleet) -> Run:
    """The role on all pools of the unhealthy host, and then on its other pool alone."""
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
    assert {record.host for record in (*run.of("ckpool_step"), *run.of("ckpool_shutdown"))} == {"stays"}
    assert sick.told()["stays"] == [[SENT_THERE, "shutdown"], [SENT_THERE, "accept"]]
    (failure,) = run.results("fail")
    assert "3 of 4 clients are still there" in failure["msg"]
    assert "These accept miners: ckpool" in failure["msg"]
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


# Batches


@pytest.fixture
def batches(place: Callable[[], Path]) -> Iterator[Fleet]:
    """Three hosts, of which the first vanishes once it is known, or was never there."""
    with contextlib.ExitStack() as stack:
        yield Fleet(place, stack, a=[{"name": "ckpool"}], b=[{"name": "ckpool"}], c=[{"name": "ckpool"}])


LOST: Json = {"ansible_host": "127.0.0.1", "ansible_ssh_retries": 0}


def test_a_host_that_cannot_be_looked_at_ends_it_before_anything(ansible: Ansible, batches: Fleet) -> None:
    lost = {**LOST, "ansible_connection": "ssh", "ansible_port": free_port()}
    batches.inventory = {"lost": lost, **batches.inventory}
    run = play(ansible, batches, graceful_shutdown_serial=2, **MEANT)
    assert run.status != 0
    assert "lost could not be looked at, or may not be shut down; nothing was done" in run.text
    assert len(batches.living()) == 3


@pytest.mark.every_core
@pytest.mark.parametrize(
    ("name", "message", "variables"),
    [
        ("graceful_shutdown", "shutdown", {**DRAIN, **MEANT}),
        ("loglevel", "loglevel=7", {"loglevel_level": 7}),
        ("drop_user", "dropuser", {"drop_user_users": "nobody"}),
    ],
)
def test_no_batch_begins_where_an_earlier_host_was_lost(
    ansible: Ansible, batches: Fleet, name: str, message: str, variables: Json
) -> None:
    known = "graceful_shutdown_health is defined" if name == "graceful_shutdown" else "true"
    gone = {"ansible_connection": f"{{{{ 'ssh' if {known} else 'local' }}}}", "ansible_port": free_port(), **LOST}
    batches.inventory["a"].update(gone)
    run = ansible.playbook(
        f"ckpool.fleet.{name}", inventory=batches.inventory, variables={**variables, f"{name}_serial": 2}
    )
    assert run.status != 0
    assert "a failed or could not be reached, so nothing was done on c and on later hosts" in run.text
    asked = {
        record.host for record in run.of({"drop_user": "ckpool_dropuser"}.get(name, f"ckpool_{name.split('_')[-1]}"))
    }
    assert asked - {"a"} == {"b"}
    assert batches.told()["c"] == [[]]


def test_no_batch_begins_where_a_failure_was_rescued(ansible: Ansible, place: Callable[[], Path]) -> None:
    check = {"import_tasks": str(ROOT / "playbooks/tasks/check_earlier.yml"), "vars": {"earlier_done": "done"}}
    fails = {"fail": {"msg": "broken"}, "when": "inventory_hostname == 'a'"}
    work = {"block": [fails, {"set_fact": {"done": {}}}], "rescue": [{"debug": {"msg": "rescued"}}]}
    plays = [{"hosts": "all", "gather_facts": False, "serial": 1, "tasks": [check, work]}]
    run = ansible.playbook(plays, inventory={host: {"ansible_connection": "local"} for host in "abc"})
    assert run.status == 2
    assert "a failed or could not be reached, so nothing was done on b" in run.text
    assert not [record for record in run.of("set_fact") if record.outcome == "ok"]
