# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters and tests in playbooks: the examples of their documentation as they stand, and how Ansible uses them."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, Simulated
from tests.support.ansible import UNHURRIED, Ansible, Json, Record, Run
from tests.support.machine import Machine, needs_namespaces, unreachable
from tests.support.status_files import rate_of

pytestmark = needs_namespaces

PLUGINS = sorted(path for kind in ("filter", "test") for path in (ROOT / "plugins" / kind).glob("*.py"))
USER = "bc1qexampleaddress"
"""The user that the examples ask for."""
EVIL = "{{ 6 * 7 }}"
"""A name that a miner may choose."""
USERS = [USER, "bc1qother", EVIL]
SHOWN: dict[str, Callable[[Simulated, Any], bool]] = {
    "Compare the pool with the hashrate that was promised": lambda pool, msg: (
        msg.startswith("The pool has ") and "%" in msg
    ),
    "Show the five users with the highest hashrate over 1 minute": lambda pool, msg: msg == strongest(pool),
    "Show the two workers that have been silent for the longest time": lambda pool, msg: len(set(msg)) == 2,
    "Show the pool of the host with the highest hashrate": lambda pool, msg: (
        msg.startswith("ckpool (") and "is ok" in msg
    ),
    "Show what a shutdown would end": lambda pool, msg: msg[0].startswith("To shut down: 1 pool") and "pid " in msg[1],
    "Watch the statistics": lambda pool, msg: msg["users"] == 3 and msg["workers"] == 6 and is_text(msg["hashrate"]),
    "Show one user's hashrate over 1 minute": lambda pool, msg: is_text(msg),
    "Show the active workers, with hashrate and the seconds since their last share": lambda pool, msg: (
        sorted(row["worker"] for row in msg) == workers(pool)
        and all(is_text(row["hashrate"]) and isinstance(row["silent"], int) for row in msg)
    ),
    "Show the top five users by hashrate over 1 minute": lambda pool, msg: [r["user"] for r in msg] == strongest(pool),
    "Name the users that sent nothing in the 10 minutes before the answer": lambda pool, msg: msg == [],
    "Show the hashrate in it, in H/s": lambda pool, msg: any(float(msg) == pytest.approx(rate) for rate in rates(pool)),
    "Name the pools with a critical check": lambda pool, msg: msg == [],
    "Name the hosts of the fleet with a healthy pool": lambda pool, msg: msg == ["localhost"],
    "Name the hosts with a pool that does not answer": lambda pool, msg: msg == [],
}
"""The output of the examples on a healthy pool."""


def is_text(value: object) -> bool:
    return isinstance(value, str) and value.endswith("H/s")


def workers(pool: Simulated) -> list[str]:
    """All workers, by the pool's own files."""
    files = [json.loads(path.read_text()) for path in (pool.log_dir / "users").iterdir()]
    return sorted(worker["workername"] for record in files for worker in record["worker"])


def rates(pool: Simulated) -> list[float]:
    """The hashrates over 1 minute of each version of its status file so far, by its log."""
    found = re.findall(r'\] Pool:\{"hashrate1m": "([^"]+)"', pool.log())
    return [rate_of(rate) for rate in found]


def strongest(pool: Simulated) -> list[str]:
    """The users in the order of their hashrates over 1 minute, by the pool's own files."""
    files = {path.name: json.loads(path.read_text()) for path in (pool.log_dir / "users").iterdir()}
    return sorted(files, key=lambda user: -rate_of(files[user]["hashrate1m"]))


def documentation(path: Path, name: str) -> str:
    """One of the texts that document a plugin."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"no {name} in {path}")


@pytest.fixture(scope="module")
def well(place: Callable[[], Path]) -> Iterator[tuple[Machine, Simulated]]:
    """A host with one pool, and that pool."""
    with Machine(place()) as machine:
        pool = Simulated(machine.folder, prefix=machine.prefix, layout="2026", user_names=USERS, uptime=90000)
        yield machine, pool.start()


@pytest.fixture(scope="module")
def examples(ansible: Ansible, well: tuple[Machine, Simulated]) -> Run:
    """All examples in one run."""
    usual = json.dumps({"ckpool.fleet.ckpool_health_info": {"thresholds": UNHURRIED}})
    head = f"- hosts: localhost\n  gather_facts: false\n  module_defaults: {usual}\n  tasks:\n"
    texts = [head + textwrap.indent(documentation(path, "EXAMPLES"), "    ") for path in PLUGINS]
    playbook = well[0].folder / "examples.yml"
    playbook.write_text("".join(texts))
    return ansible.playbook(str(playbook), inventory={"localhost": well[0].host()})


@pytest.mark.every_core
def test_every_example_runs_as_it_stands(examples: Run) -> None:
    assert examples.status == 0, examples.text
    assert "Traceback" not in examples.text
    assert "DEPRECAT" not in examples.text
    assert {record.outcome for record in examples.records} <= {"ok", "skipped"}


def test_every_plugin_has_an_example_of_its_use() -> None:
    assert len(PLUGINS) == 8
    for path in PLUGINS:
        assert f"ckpool.fleet.{path.stem}" in documentation(path, "EXAMPLES")


def test_the_examples_show_what_they_say(examples: Run, well: tuple[Machine, Simulated]) -> None:
    said = {record.task: record.result["msg"] for record in examples.of("debug") if set(record.result) >= {"msg"}}
    looped = {"Show the hashrate of each, all in the same unit", "Show each"}
    assert set(said) - looped == set(SHOWN)
    wrong = {task: said[task] for task, is_right in SHOWN.items() if not is_right(well[1], said[task])}
    assert not wrong
    lines = [row["msg"] for record in examples.of("debug") for row in record.result.get("results", ())]
    assert [line.rpartition(" ")[0].split(" ")[0] for line in lines if line.startswith(USER)] == [USER]


# How Ansible uses them


def query(expression: str) -> str:
    return f"{{{{ miners | ckpool.fleet.ckpool_query({expression!r}) }}}}"


@pytest.fixture(scope="module")
def by_host(ansible: Ansible, well: tuple[Machine, Simulated], place: Callable[[], Path]) -> dict[str, list[Record]]:
    """The tests on a host of each kind, and names that are templates; the records by host."""
    told = {name: f"{{{{ pool is ckpool.fleet.{name} }}}}" for name in ("healthy", "reachable")}
    enough = {"enough": "{{ pool is ckpool.fleet.healthy(warnings=true) }}"}
    options = {"timeout": "{{ 2 if inventory_hostname == 'hung' else 30 }}", "thresholds": UNHURRIED}
    ask = {"ckpool.fleet.ckpool_health_info": options, "register": "pool", "ignore_errors": True}
    plays = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {**ask, "ignore_unreachable": True},
                {"name": "told", "ansible.builtin.debug": {"msg": {**told, **enough}}, "ignore_errors": True},
                {
                    "name": "sick ones",
                    "ansible.builtin.debug": {
                        "msg": "{{ ansible_play_hosts_all | map('extract', hostvars, 'pool') | "
                        "reject('ckpool.fleet.healthy') | length }}"
                    },
                },
            ],
        },
        {
            "hosts": "well",
            "gather_facts": False,
            "tasks": [
                {"ckpool.fleet.ckpool_user_info": {}, "register": "miners"},
                {
                    "ansible.builtin.set_fact": {
                        "names": query("users[].user"),
                        "name": query("users[].user|join(' ',@)"),
                    }
                },
                {"ansible.builtin.set_fact": {"first": "{{ miners.users | ckpool.fleet.top(9) }}"}},
                {
                    "ansible.builtin.set_fact": {
                        "afar": "{{ hostvars.well.miners | ckpool.fleet.ckpool_query('users[].user') }}"
                    }
                },
                {"name": "afar", "ansible.builtin.debug": {"msg": "{{ afar }}"}},
                {"name": "names", "ansible.builtin.debug": {"msg": "{{ names }}"}},
                {"name": "name", "ansible.builtin.debug": {"msg": "{{ name }}"}},
                {"name": "first", "ansible.builtin.debug": {"msg": "{{ first | map(attribute='user') }}"}},
            ],
        },
        {"hosts": "well", "gather_facts": False, "tasks": [{**task, "ignore_errors": True} for task in MISTAKES]},
    ]
    with Machine(place()) as hung, Machine(place()) as warned, Machine(place()) as empty:
        Simulated(hung.folder, prefix=hung.prefix, faults=["hung"]).start()
        Simulated(warned.folder, prefix=warned.prefix, faults=["rejects"], uptime=7200).start()
        hosts = {"well": well[0], "hung": hung, "warned": warned, "empty": empty}
        inventory = {name: machine.host() for name, machine in hosts.items()}
        run = ansible.playbook(plays, inventory={**inventory, "lost": unreachable()})
    assert "Traceback" not in run.text, run.text
    return {host: [r for r in run.records if r.host == host] for host in (*inventory, "lost")}


MISTAKES: list[Json] = [
    {"name": name, "ansible.builtin.debug": {"msg": f"{{{{ {expression} }}}}"}}
    for name, expression in {
        "not a hashrate: 'fast'": "'fast' | ckpool.fleet.hashrate",
        "not a hashrate: {'a': ['b']}": "{'a': ['b']} | ckpool.fleet.hashrate",
        "no hashrate: None": "none | ckpool.fleet.hashrate",
        "at position 7": "miners | ckpool.fleet.ckpool_query('users..user')",
        "has no field 'hashrate1x'": "miners.users | ckpool.fleet.top(5, by='hashrate1x')",
        "takes array-number, not str: 'bc1q": "miners | ckpool.fleet.ckpool_query('sum(users[].user)')",
        "but no verdict": "miners is ckpool.fleet.healthy",
        "test its entries one by one": "miners.users is ckpool.fleet.reachable",
        "a dictionary with stdout": "{'stdout': ''} is ckpool.fleet.reachable",
        "'nowhere' is undefined": "nowhere is ckpool.fleet.reachable",
        "'nothing' is undefined": "nothing | ckpool.fleet.hashrate(default=0)",
    }.items()
]


@pytest.mark.parametrize(
    ("host", "healthy", "enough", "reachable"),
    [
        ("well", True, True, True),
        ("warned", False, True, True),
        ("hung", False, False, False),
        ("empty", False, False, False),
        ("lost", False, False, False),
    ],
)
def test_what_the_tests_say_of_a_host(
    by_host: dict[str, list[Record]], host: str, healthy: bool, enough: bool, reachable: bool
) -> None:
    (told,) = (record.result["msg"] for record in by_host[host] if record.task == "told")
    assert told == {"healthy": healthy, "enough": enough, "reachable": reachable}


def test_they_choose_among_the_results_of_all_hosts(by_host: dict[str, list[Record]]) -> None:
    (sick,) = (record.result["msg"] for record in by_host["well"] if record.task == "sick ones")
    assert int(sick) == 4


def test_a_miner_that_calls_itself_a_template_is_not_one(by_host: dict[str, list[Record]]) -> None:
    shown: Json = {record.task: record.result.get("msg") for record in by_host["well"]}
    assert sorted(shown["names"]) == sorted(shown["afar"]) == sorted(shown["first"]) == sorted(USERS)
    assert EVIL in shown["name"]


def test_a_mistake_fails_the_task_and_says_what_it_is(by_host: dict[str, list[Record]]) -> None:
    records = {record.task: record for record in by_host["well"]}
    for mistake in MISTAKES:
        record = records[mistake["name"]]
        assert record.outcome == "failed"
        assert mistake["name"] in record.result["msg"]
