# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and the playbook health_check, over hosts that each see only their own pools."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import Simulated
from tests.support.ansible import UNHURRIED, Ansible, Json, Run
from tests.support.machine import Machine, fleet_of, needs_namespaces
from tests.support.paths import remove

pytestmark = needs_namespaces

PLAYBOOK = "ckpool.fleet.health_check"
QUICK = {"health_check_timeout": 5}
HOSTS: dict[str, list[Json]] = {
    "well": [{"name": "one", "layout": "2026"}, {"name": "two", "dialect": "api"}],
    "warned": [{"name": "ckpool", "faults": ["rejects"], "uptime": 7200}],
    "sick": [{"name": "ckpool", "faults": ["hung"]}, {"name": "other"}],
    "empty": [],
}


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    """The inventory: a host of each kind, and one that nobody can reach."""
    with fleet_of(HOSTS, place) as (inventory, _pools):
        yield inventory


def some(fleet: dict[str, Json], *hosts: str) -> dict[str, Json]:
    return {host: fleet[host] for host in hosts}


# The role


def role(**variables: object) -> Json:
    name = "ckpool.fleet.health_check"
    return {"include_role": {"name": name, "apply": {"ignore_errors": True}}, "vars": {**QUICK, **variables}}


CASES: list[tuple[str, Json, bool]] = [
    ("well", {}, True),
    ("well", {"health_check_fail_on": "warning"}, True),
    ("well", {"health_check_socket_dirs": ["/nowhere/sockets"]}, False),
    ("well", {"health_check_socket_dirs": ["/nowhere/sockets"], "health_check_fail_on": "never"}, True),
    ("well", {"health_check_thresholds": {"workers_min": 5}}, False),
    ("well", {"health_check_thresholds": {"workers_min": 4, "users_min": 2}}, True),
    ("well", {"health_check_thresholds": {"hashrate_min": "2P"}}, False),
    ("well", {"health_check_thresholds": {"hashrate_min": "2P"}, "health_check_skip_checks": ["hashrate"]}, True),
    ("well", {"health_check_thresholds": {"latency_warning": 0}, "health_check_fail_on": "warning"}, False),
    ("warned", {}, True),
    ("warned", {"health_check_fail_on": "warning"}, False),
    ("warned", {"health_check_thresholds": {"reject_ratio_critical": 10}}, False),
    (
        "warned",
        {"health_check_thresholds": {**UNHURRIED, "reject_ratio_warning": 30}, "health_check_fail_on": "warning"},
        True,
    ),
    ("warned", {"health_check_skip_checks": ["reject_ratio"], "health_check_fail_on": "warning"}, True),
    ("sick", {}, False),
    ("sick", {"health_check_fail_on": "never"}, True),
    ("sick", {"health_check_defer": True}, True),
    ("empty", {}, False),
    ("empty", {"health_check_fail_on": "never"}, True),
]


@pytest.fixture(scope="module")
def role_run(ansible: Ansible, fleet: dict[str, Json]) -> Run:
    """The role in every case."""
    tasks = [{**role(**variables), "when": f"inventory_hostname == '{host}'"} for host, variables, _passes in CASES]
    play = {"hosts": "all", "gather_facts": False, "tasks": tasks, "strategy": "free"}
    run = ansible.playbook([play], inventory=some(fleet, *HOSTS))
    assert "Traceback" not in run.text
    return run


@pytest.fixture(scope="module")
def cases(role_run: Run) -> list[tuple[bool, Json]]:
    """Whether the role passed in each case, and its result."""
    asked = {host: iter([r for r in role_run.of("ckpool_health_info") if r.host == host]) for host in HOSTS}
    records = [next(asked[host]) for host, _variables, _passes in CASES]
    return [(record.outcome == "ok", record.result) for record in records]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_role(number: int, cases: list[tuple[bool, Json]]) -> None:
    host, variables, passes = CASES[number]
    passed, result = cases[number]
    assert passed == passes, result["msg"]
    extra = len(variables.get("health_check_socket_dirs", ()))
    assert len(result["instances"]) == len(HOSTS[host]) + extra
    assert not result.get("changed")


def test_role_warns_of_what_does_not_fail(role_run: Run) -> None:
    """Ansible shows the same warning only once; the healthy host has none unless a threshold is set."""
    text = " ".join(role_run.text.replace("[WARNING]", "\n[WARNING]").split("\n"))
    assert "[WARNING]" in text
    assert "% of shares rejected" in text


def test_role_does_not_warn_of_what_is_well(ansible: Ansible, fleet: dict[str, Json]) -> None:
    play = {"hosts": "all", "gather_facts": False, "tasks": [role()]}
    sick = {**play, "tasks": [role(health_check_defer=True)]}
    for host, plays in (("well", [play]), ("sick", [sick])):
        run = ansible.playbook(plays, inventory=some(fleet, host))
        assert run.status == 0
        assert "[WARNING]" not in run.text


def test_role_refuses_wrong_types(ansible: Ansible, fleet: dict[str, Json]) -> None:
    wrong: list[Json] = [
        {"health_check_fail_on": "sometimes"},
        {"health_check_timeout": "soon"},
        {"health_check_socket_dirs": {"a": 1}},
        {"health_check_thresholds": "few"},
        {"health_check_skip_checks": ["no_such_check"]},
    ]
    play = {"hosts": "all", "gather_facts": False, "tasks": [role(**variables) for variables in wrong]}
    run = ansible.playbook([play], inventory=some(fleet, "well"))
    failures = [r.result["msg"] for r in run.of("validate_argument_spec") if r.outcome == "failed"]
    assert len(failures) == len(wrong) - 1
    for variables, message in zip(wrong, failures, strict=False):
        assert next(iter(variables)) in str(message)
    # What the checks are called, only the module knows.
    assert "skip_checks must be one or more of" in run.of("ckpool_health_info")[-1].result["msg"]
    assert "Traceback" not in run.text


# The playbook


@pytest.fixture(scope="module")
def report(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> Iterator[tuple[Run, Path]]:
    """One run over all hosts, with every file that it can write."""
    folder = place()
    folder.mkdir()
    files = {
        "health_check_json_file": str(folder / "health.json"),
        "health_check_junit_file": str(folder / "health.xml"),
    }
    yield ansible.playbook(PLAYBOOK, inventory=fleet, variables={**QUICK, **files}), folder


def line_of(run: Run, host: str, number: int = 0) -> list[str]:
    """The words of one of a host's lines of the table."""
    lines = [line for line in run.output.splitlines() if line.startswith(f"{host} ") and "ok=" not in line]
    return lines[number].split()


def test_one_task_a_host(report: tuple[Run, Path]) -> None:
    run, _folder = report
    for host in HOSTS:
        (record,) = (record for record in run.records if record.host == host)
        assert record.action == "ckpool.fleet.ckpool_health_info"
        assert record.outcome == "ok"
    assert run.output.count("TASK [") == 3


def test_table(report: tuple[Run, Path]) -> None:
    run, _folder = report
    assert run.status == 2
    (heading,) = (line for line in run.output.splitlines() if line.startswith("HOST "))
    assert heading.split() == [
        "HOST",
        "INSTANCE",
        "STATE",
        "HASHRATE",
        "USERS",
        "WORKERS",
        "WORK",
        "AGE",
        "WHAT",
        "IS",
        "WRONG",
    ]
    assert [line_of(run, "well", n)[:3] for n in (0, 1)] == [["well", "one", "ok"], ["well", "two", "ok"]]
    assert line_of(run, "well")[4:7] == ["PH/s", "2", "4"] or line_of(run, "well")[4:7] == ["TH/s", "2", "4"]
    assert line_of(run, "warned")[1:3] == ["ckpool", "degraded"]
    assert {tuple(line_of(run, "sick", n)[1:3]) for n in (0, 1)} == {("ckpool", "hung"), ("other", "ok")}
    assert line_of(run, "lost")[1:3] == ["-", "unreachable"]
    assert line_of(run, "empty")[1:3] == ["-", "down"]
    assert "no ckpool on this host" in " ".join(line_of(run, "empty"))
    assert line_of(run, "TOTAL")[1:5] == ["5", "pools", "3", "ok"]
    assert line_of(run, "TOTAL")[-2:] == ["10", "20"]
    assert "ckpool on sick is hung, and:" in run.output
    assert "more)" not in run.output


def test_verdict_in_a_sentence(report: tuple[Run, Path]) -> None:
    (message,) = (result["msg"] for result in report[0].results("ckpool_outcome"))
    assert message.startswith("outcome: unhealthy; 3 of 7 pools on 5 hosts are healthy; ")
    assert "ckpool on sick is hung" in message
    assert "pool on lost is unreachable" in message


def test_json_report(report: tuple[Run, Path]) -> None:
    read = json.loads((report[1] / "health.json").read_text())
    assert read["ok"] is False
    states = {(row["host"], row["instance"]): (row["state"], row["status"]) for row in read["fleet"]}
    assert states == {
        ("well", "one"): ("ok", "ok"),
        ("well", "two"): ("ok", "ok"),
        ("warned", "ckpool"): ("degraded", "warning"),
        ("sick", "ckpool"): ("hung", "critical"),
        ("sick", "other"): ("ok", "ok"),
        ("empty", None): ("down", "critical"),
        ("lost", None): ("unreachable", "critical"),
    }
    one = next(row for row in read["fleet"] if row["instance"] == "one")
    assert one["hashrate"] == pytest.approx(1e15, rel=0.1)
    assert (one["users"], one["workers"]) == (2, 4)
    assert one["checks"]


def test_junit_report(report: tuple[Run, Path]) -> None:
    suites = {suite.get("name"): suite for suite in ET.parse(report[1] / "health.xml").getroot()}
    assert set(suites) == {
        "well.one", "well.two", "warned.ckpool", "sick.ckpool", "sick.other", "empty.pool", "lost.pool",
    }  # fmt: skip
    for suite in suites.values():
        assert int(suite.get("tests", 0)) == len(suite.findall("testcase")) > 0
        assert int(suite.get("failures", 0)) == len(suite.findall("testcase/failure"))
    bad = {name for name, suite in suites.items() if suite.get("failures") != "0"}
    assert bad == {"sick.ckpool", "empty.pool", "lost.pool"}
    assert [path.name for path in sorted(report[1].iterdir())] == ["health.json", "health.xml"]


STATUSES = {"healthy": 0, "unhealthy": 2, "undetermined": 4, "invalid": 2}


def assert_outcome(run: Run, word: str) -> None:
    """The outcome is in the result and on the last line before the recap, and determines the exit status."""
    assert run.status == STATUSES[word], run.text
    (result,) = run.results("ckpool_outcome")
    assert result["outcome"] == word
    (before, _recap) = run.output.split("PLAY RECAP")
    assert f'"msg": "outcome: {word}; ' in before.rpartition("TASK [")[2]


@pytest.mark.parametrize(
    ("hosts", "fail_on", "word"),
    [
        (("well",), "warning", "healthy"),
        (("well", "warned"), "critical", "healthy"),
        (("well", "warned"), "warning", "unhealthy"),
        (("well", "lost"), "critical", "undetermined"),
        (("sick", "lost"), "critical", "unhealthy"),
    ],
)
def test_outcome(hosts: tuple[str, ...], fail_on: str, word: str, ansible: Ansible, fleet: dict[str, Json]) -> None:
    run = ansible.playbook(
        PLAYBOOK, inventory=some(fleet, *hosts), variables={**QUICK, "health_check_fail_on": fail_on}
    )
    assert_outcome(run, word)
    for host in hosts:
        assert line_of(run, host)


@pytest.mark.every_core
def test_never_fails_and_yet_says_the_outcome(ansible: Ansible, fleet: dict[str, Json]) -> None:
    run = ansible.playbook(
        PLAYBOOK, inventory=some(fleet, "sick", "lost"), variables={**QUICK, "health_check_fail_on": "never"}
    )
    assert run.status == 0
    assert run.results("ckpool_outcome")[0]["outcome"] == "unhealthy"


@pytest.mark.parametrize(
    ("limit", "word", "left_out"),
    [
        ("sick", "unhealthy", 4),
        ("well", "healthy", 4),
        ("lost", "undetermined", 4),
        ("lost,well", "undetermined", 3),
        ("lost,sick", "unhealthy", 3),
        ("all:!sick:!empty:!lost", "healthy", 3),
        ("well,nosuch", "invalid", 4),
    ],
)
def test_limit(limit: str, word: str, left_out: int, ansible: Ansible, fleet: dict[str, Json]) -> None:
    """There is a report for any limit, and it names the hosts outside it."""
    run = ansible.playbook(PLAYBOOK, "--limit", limit, inventory=fleet, variables=QUICK)
    assert_outcome(run, word)
    assert f"not asked: {left_out} hosts by --limit (" in run.results("ckpool_outcome")[0]["msg"]
    for host in {"well", "sick", "lost"} & set(limit.split(",")):
        assert line_of(run, host)
    assert len(run.of("ckpool_health_info")) == 5 - left_out


@pytest.mark.parametrize(
    ("arguments", "hosts"), [((), "nosuch"), ((), "well,nosuch"), (("--limit", "sick"), "well"), ((), "all:!all")]
)
def test_a_pattern_that_matches_nothing(
    arguments: tuple[str, ...], hosts: str, ansible: Ansible, fleet: dict[str, Json]
) -> None:
    run = ansible.playbook(
        PLAYBOOK, *arguments, inventory=some(fleet, "well", "sick"), variables={**QUICK, "health_check_hosts": hosts}
    )
    assert_outcome(run, "invalid")


def test_a_limit_that_leaves_nothing(ansible: Ansible, fleet: dict[str, Json]) -> None:
    run = ansible.playbook(PLAYBOOK, "--limit", "nosuch", inventory=some(fleet, "well"))
    assert run.status == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"health_check_timeout": "soon"},
        {"health_check_thresholds": "{{ nowhere }}"},
        {"health_check_defer": "{{ nowhere }}", "health_check_skip_checks": "{{ nowhere }}"},
    ],
)
def test_a_task_that_fails_everywhere_has_its_rows(wrong: Json, ansible: Ansible, fleet: dict[str, Json]) -> None:
    run = ansible.playbook(PLAYBOOK, inventory=some(fleet, "well", "empty"), variables={**QUICK, **wrong})
    assert_outcome(run, "undetermined")
    assert [line_of(run, host)[2] for host in ("well", "empty")] == ["failed", "failed"]


def test_hosts_that_failed_before_are_said(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    """The playbook as one of several."""
    site = place().with_suffix(".yml")
    before = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"fail": {"msg": "x"}, "when": "inventory_hostname == 'well'"}],
    }
    site.write_text(json.dumps([before, {"import_playbook": PLAYBOOK}]))
    run = ansible.playbook(str(site), inventory=some(fleet, "well", "warned"), variables=QUICK)
    assert run.results("ckpool_outcome")[0]["outcome"] == "undetermined"
    assert line_of(run, "well")[2] == "failed"
    assert "was not asked: it failed earlier in this run" in run.output


def test_a_pool_that_vanishes_is_missed_until_it_is_forgotten(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]
) -> None:
    report = place()
    variables = {**QUICK, "health_check_json_file": str(report)}
    with Machine(place()) as machine:
        hosts = {"own": machine.host(), **some(fleet, "well")}
        stays, goes = (
            Simulated(machine.folder / name, name=name, prefix=machine.prefix).start() for name in ("stays", "goes")
        )
        assert_outcome(ansible.playbook(PLAYBOOK, inventory=hosts, variables=variables), "healthy")
        goes.stop()
        remove(goes.socket_dir)
        for limit in ("own", "all"):
            run = ansible.playbook(PLAYBOOK, "--limit", limit, inventory=hosts, variables=variables)
            assert_outcome(run, "unhealthy")
            assert re.search(
                r"own +goes +gone .*was here at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, and is missing now", run.output
            )
        typed = f"own:{goes.socket_dir}"
        assert f"-e health_check_forget={typed}" in run.output
        assert_outcome(ansible.playbook(PLAYBOOK, "--limit", "well", inventory=hosts, variables=variables), "healthy")
        forget = ("-e", f"health_check_forget={typed}")
        assert_outcome(ansible.playbook(PLAYBOOK, *forget, inventory=hosts, variables=variables), "healthy")
        assert_outcome(ansible.playbook(PLAYBOOK, inventory=hosts, variables=variables), "healthy")
        stays.stop()
    assert {known["instance"] for known in json.loads(report.read_text())["known"]} == {"one", "two", "stays"}


def test_a_foreign_file_is_no_baseline(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    other = place()
    other.write_text("precious")
    run = ansible.playbook(
        PLAYBOOK, inventory=some(fleet, "well"), variables={**QUICK, "health_check_json_file": str(other)}
    )
    assert_outcome(run, "invalid")
    assert other.read_text() == "precious"
    assert line_of(run, "well")


EVIL = "x\x1b[31m\n\u202ey"


def test_a_name_forges_no_output(ansible: Ansible, place: Callable[[], Path]) -> None:
    with Machine(place()) as machine:
        Simulated(machine.folder / "e", "-n", EVIL, name="e", prefix=machine.prefix, faults=["hung"]).start()
        run = ansible.playbook(PLAYBOOK, inventory={"host": machine.host()}, variables=QUICK)
        assert_outcome(run, "unhealthy")
        assert_printable(run)


def assert_printable(run: Run) -> None:
    odd = {character for character in run.text if not character.isprintable()} - {"\n"}
    assert not odd, sorted(odd)
    assert not re.search("(?m)^\u202e|^y", run.text)


def test_nobody_can_be_reached(ansible: Ansible, fleet: dict[str, Json]) -> None:
    hosts = {"lost1": fleet["lost"], "lost2": fleet["lost"]}
    run = ansible.playbook(PLAYBOOK, inventory=hosts)
    assert run.status != 0
    assert [line_of(run, host)[2] for host in hosts] == ["unreachable", "unreachable"]
    assert "0 of 2 pools on 2 hosts are healthy" in run.output


def test_output_for_programs_has_no_table(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    written = place()
    run = ansible.playbook(
        PLAYBOOK, "--check", inventory=some(fleet, "well"), environment={"ANSIBLE_STDOUT_CALLBACK": "json"},
        variables={"health_check_json_file": str(written)},
    )  # fmt: skip
    assert run.status == 0
    assert ["well", "ok"] in json.loads(run.output)["results"]
    assert not written.exists(), "check mode writes no file"


def test_a_file_that_cannot_be_written(ansible: Ansible, fleet: dict[str, Json]) -> None:
    run = ansible.playbook(
        PLAYBOOK, inventory=some(fleet, "well"), variables={"health_check_json_file": "/nowhere/health.json"}
    )
    assert run.status != 0
    assert "cannot write /nowhere/health.json" in run.text
    assert line_of(run, "well")
    assert "Traceback" not in run.text
