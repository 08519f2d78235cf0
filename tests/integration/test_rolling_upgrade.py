# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook rolling_upgrade, over hosts that are machines of their own, whose pools hand over from release to release."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_graceful_shutdown import typing
from tests.integration.test_upgrade import PATIENT
from tests.support.ansible import Ansible, Json, Run
from tests.support.machine import Machine, needs_namespaces
from tests.support.waiting import wait_for
from tests.system.windows import Releases

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others"), needs_namespaces]
PLAYBOOK = "ckpool.fleet.rolling_upgrade"
CONFIG: Json = {
    "btcd": [{"url": "127.0.0.1:8332", "auth": "u", "pass": "p"}],
    "btcaddress": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    "update_interval": 1,
    "simulation": {"status_interval": 1, "users": 3},
}
CLIENTS = 6
"""Of each pool."""
LOST: Json = {"ansible_host": "127.0.0.1", "ansible_ssh_retries": 0, "ansible_port": 9}


class Fleet:
    """Hosts with one pool each, which the role install has installed, and whose release a playbook changes."""

    def __init__(
        self, ansible: Ansible, stack: contextlib.ExitStack, place: Callable[[], Path], names: list[str]
    ) -> None:
        self.ansible = ansible
        self.homes = {name: _home(place()) for name in names}
        self.machines = {name: stack.enter_context(Machine(place())) for name in names}
        artifacts = place()
        artifacts.mkdir()
        self.releases = Releases(artifacts)
        self.reports = _home(place())
        self.wanted = self.releases.good()

    def variables(self, name: str) -> Json:
        """What the inventory says of a host."""
        home = self.homes[name]
        return self.machines[name].host(
            **PATIENT, install_service=False, install_user="nobody", install_group=grp.getgrgid(65534).gr_name,
            install_prefix=str(home / "opt"), install_config_dir=str(home / "etc"), install_state_dir=str(home / "state"),
            install_logrotate_dir=str(home), upgrade_folder=str(home / "w"), upgrade_record_dir="",
            install_instances=[
                {"name": "main", "log_dir": str(home / "logs"), "socket_dir": str(home / "s"), "config": {**CONFIG, "serverurl": ["127.0.0.1:3333"]}}
            ],
            **self.wanted,
        )  # fmt: skip

    def install(self) -> None:
        """Install a release, and start the pools by hand."""
        inventory = {name: self.variables(name) for name in self.homes}
        run = self.ansible.playbook("ckpool.fleet.install", inventory=inventory)
        assert run.status == 0, run.text
        for name, home in self.homes.items():
            command = [
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(home / "opt/current/ckpool"),
                "-n", "main", "-c", str(home / "etc/main.conf"), "-s", str(home / "s"), "-D",
            ]  # fmt: skip
            done = self.machines[name].run(*command)
            assert done.returncode == 0, done.stderr
        wait_for(lambda: all(self.runs().values()), "the pools")

    def runs(self) -> dict[str, str]:
        """The release that each pool runs, as it wrote down itself."""
        found = {}
        for name, home in self.homes.items():
            path = home / "logs/release"
            found[name] = path.read_text() if path.exists() else ""
        return found

    def play(
        self, *arguments: str, hosts: dict[str, Json] | None = None, prefix: Sequence[str] = (), **variables: Any
    ) -> Run:
        """The playbook over them.

        :param hosts: more variables of hosts, and hosts besides.
        """
        inventory = {name: {**self.variables(name), **(hosts or {}).get(name, {})} for name in self.homes}
        inventory.update({name: more for name, more in (hosts or {}).items() if name not in inventory})
        files = {f"rolling_upgrade_{kind}_file": str(self.reports / kind) for kind in ("json", "junit", "markdown")}
        for path in self.reports.iterdir():
            path.unlink()
        run = self.ansible.playbook(
            PLAYBOOK, *arguments, inventory=inventory, variables={**files, **variables}, prefix=prefix
        )
        assert "Traceback" not in run.text
        return run

    @property
    def report(self) -> Json:
        found: Json = json.loads((self.reports / "json").read_text())
        return found

    def outcomes(self) -> dict[str, str]:
        """Of each host, as the report says."""
        return {row["host"]: row["outcome"] for row in self.report["fleet"]}


def _home(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o755)
    return path


def ends(run: Run, fleet: Fleet, word: str, status: int) -> None:
    """Check that a run ends with an outcome: on its last line before the recap, in the files, and by its exit status."""
    assert run.status == status, run.text
    last = [record for record in run.records if record.action.endswith("ckpool_outcome")][-1]
    assert (last.result["outcome"], last.task) == (word, "Show the outcome"), run.text
    assert last.result["msg"].partition("outcome: ")[2].startswith(f"{word};")
    assert run.records[-1] == last
    assert (fleet.report["outcome"], fleet.report["ok"]) == (word, status == 0)
    suites = ET.parse(fleet.reports / "junit").getroot()
    assert (suites.find(".//failure") is None) == (status == 0)
    assert (fleet.reports / "markdown").read_text().startswith(f"## Rolling upgrade: {word}\n")


@pytest.fixture(scope="module")
def fleet(ansible: Ansible, place: Callable[[], Path]) -> Iterator[Fleet]:
    """A passthrough, as its host says, and two masters."""
    with contextlib.ExitStack() as stack:
        made = Fleet(ansible, stack, place, ["a", "b", "c"])
        made.install()
        yield made


def switched(run: Run) -> list[str]:
    """The hosts whose pools were switched, or would have been, in their order."""
    return [record.host for record in run.of("ckpool_upgrade")]


def hook(fleet: Fleet, task: Json) -> Json:
    """The variables of a host with a task of its own after the change."""
    path = fleet.reports.parent / f"{fleet.reports.name}-hook.yml"
    path.write_text(json.dumps([{"name": "Run a task of our own", **task}]))
    return {"upgrade_after": [str(path)]}


FAILS: Json = {"ansible.builtin.fail": {"msg": "a hook of ours has failed"}}


# Nothing is begun


def test_an_unhealthy_pool_anywhere(fleet: Fleet) -> None:
    """The last host that would be changed keeps the first one from it."""
    run = fleet.play(hosts={"c": {"health_check_thresholds": {"workers_min": 7}}}, **fleet.releases.good())
    ends(run, fleet, "not_started", 2)
    assert fleet.outcomes() == dict.fromkeys("abc", "not_started")
    assert [row["failed"] for row in fleet.report["fleet"]] == [False, False, True]
    assert "workers" in fleet.report["fleet"][2]["msg"]
    assert not run.of("ckpool_window")


def test_a_host_that_is_not_reached(fleet: Fleet) -> None:
    lost = {"lost": {**LOST, "ansible_connection": "ssh"}}
    run = fleet.play(hosts=lost, **fleet.releases.good())
    ends(run, fleet, "not_started", 4)
    assert fleet.report["fleet"][-1]["failed"]
    assert not run.of("ckpool_window")


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ((), {"rolling_upgrade_serial": [1, "0%"]}, "the size of a batch is a number from 1, or a percentage from 1% to 100%, not '0%'"),
        ((), {"rolling_upgrade_first": "slaves"}, "value of first must be one of: masters, passthroughs"),
        ((), {"rolling_upgrade_tier": "slave"}, "the tier of a host is master or passthrough, not a: 'slave'"),
        ((), {"rolling_upgrade_hosts": "nosuch"}, "no host of the inventory matches nosuch"),
        (("--limit", "a,nosuch"), {}, "no host of the inventory matches nosuch of --limit"),
    ],
)  # fmt: skip
def test_a_wrong_call(arguments: tuple[str, ...], variables: Json, message: str, fleet: Fleet) -> None:
    run = fleet.play(*arguments, **variables)
    ends(run, fleet, "invalid", 2)
    assert message in fleet.report["summary"]
    assert not run.of("ckpool_window")


def test_a_limit_without_hosts(fleet: Fleet) -> None:
    """Ansible itself refuses it."""
    assert fleet.play("--limit", "nosuch").status == 1


def test_a_report_that_cannot_be_written(fleet: Fleet) -> None:
    run = fleet.play("--limit", "a", rolling_upgrade_junit_file="/nowhere/junit.xml", **fleet.releases.good())
    assert run.status == 2
    assert "cannot write /nowhere/junit.xml: No such file or directory" in run.of("ckpool_outcome")[-1].result["msg"]
    assert fleet.report["outcome"] == "not_started"
    assert not run.of("ckpool_window")


def test_nobody_confirms(fleet: Fleet) -> None:
    """There is no terminal."""
    run = fleet.play("--limit", "a,b", rolling_upgrade_confirm_before=True, **fleet.releases.good())
    ends(run, fleet, "not_started", 2)
    assert "not confirmed" in fleet.report["summary"]
    assert not run.of("ckpool_window")


def test_a_person_confirms_each_batch(fleet: Fleet) -> None:
    run = fleet.play("--limit", "a", prefix=typing("yes"), rolling_upgrade_confirm_before=True)
    ends(run, fleet, "nothing_to_do", 0)
    assert "Batch 1 of 1: a" in run.text


def test_nobody_confirms_to_go_on(fleet: Fleet) -> None:
    run = fleet.play("--limit", "a,b", rolling_upgrade_confirm_after=True)
    ends(run, fleet, "not_started", 2)
    assert fleet.outcomes() == {"a": "nothing_to_do", "b": "not_started"}
    assert fleet.report["summary"].startswith("not confirmed after batch 1; ")


def test_a_host_that_leaves_the_run(fleet: Fleet) -> None:
    """As nothing fails then, only the check of the next batch notices."""
    leaves = hook(fleet, {"ansible.builtin.meta": "end_host"})["upgrade_after"]
    run = fleet.play("--limit", "a,b", hosts={"a": {"upgrade_before": leaves}}, **fleet.releases.good())
    ends(run, fleet, "failed", 2)
    assert fleet.outcomes() == {"a": "failed", "b": "not_started"}
    assert "a failed or could not be reached, so nothing was done on b" in fleet.report["summary"]
    assert switched(run) == []


# Hosts are changed


@pytest.mark.every_core
def test_check_mode_counts_miners(fleet: Fleet) -> None:
    before = fleet.runs()
    run = fleet.play("--check", "--limit", "a,b", rolling_upgrade_serial="100%", **fleet.releases.good())
    ends(run, fleet, "predicted", 0)
    assert fleet.runs() == before
    assert fleet.report["check_mode"] and fleet.report["not_asked"] == ["c"]
    assert fleet.report["totals"]["clients"] == 2 * CLIENTS
    summary = "would upgrade 2 pools with 12 clients on 2 of 2 hosts in 1 batch; not asked: 1 host by --limit (c)"
    assert fleet.report["summary"] == summary
    assert "would upgrade main (6 clients): release " in fleet.report["fleet"][0]["msg"]


def test_the_canary_is_taken_back(fleet: Fleet) -> None:
    """The hosts of later batches are left alone."""
    before = fleet.runs()
    run = fleet.play(hosts={"a": hook(fleet, FAILS)}, rolling_upgrade_serial=[1, "100%"], **fleet.releases.good())
    ends(run, fleet, "rolled_back", 2)
    assert fleet.outcomes() == {"a": "rolled_back", "b": "not_started", "c": "not_started"}
    assert fleet.runs() == before and switched(run) == ["a"]
    assert "a hook of ours has failed" in fleet.report["summary"]
    assert {record.host for record in run.of("ckpool_window")} == {"a"}


def test_a_host_that_is_lost_in_its_window(fleet: Fleet) -> None:
    """It is the only one of its batch, and yet the outcome is said."""
    before = fleet.runs()
    connection = {"ansible_connection": "{{ 'ssh' if upgrade__is_open | default(false) else 'local' }}", **LOST}
    run = fleet.play(hosts={"a": connection}, **fleet.releases.good())
    ends(run, fleet, "not_started", 4)
    assert "a: could not be reached: " in fleet.report["summary"]
    assert fleet.runs() == before and switched(run) == []


@pytest.mark.parametrize("lost", ["b", "a"], ids=["of the next batch", "of the batch before"])
def test_a_host_that_is_lost_between_two_batches(fleet: Fleet, lost: str) -> None:
    gone = "{{ 'ssh' if hostvars['a'].rolling_upgrade_result is defined else 'local' }}"
    run = fleet.play("--limit", "a,b", hosts={lost: {**LOST, "ansible_connection": gone}})
    ends(run, fleet, "not_started", 4)
    assert fleet.outcomes() == {"a": "nothing_to_do", "b": "not_started"}
    assert f"{lost} unhealthy: " in fleet.report["summary"] and switched(run) == []


def test_batches_in_order(fleet: Fleet) -> None:
    """Masters first; the sizes are the inventory's."""
    release = fleet.releases.good()
    inventory: dict[str, Json] = {
        "a": {"rolling_upgrade_tier": "passthrough", "rolling_upgrade_serial": ["100%"]},
        "c": {"health_check_skip_checks": "disk,users"},  # a list may be text with commas
    }
    run = fleet.play(hosts=inventory, rolling_upgrade_pause_after=1, **release)
    ends(run, fleet, "done", 0)
    fleet.wanted = release
    assert fleet.report["batches"] == [["b", "c"], ["a"]]
    assert (sorted(switched(run)[:2]), switched(run)[2:]) == (["b", "c"], ["a"])
    assert set(fleet.runs().values()) == {release["install_version"]}
    tiers = [(row["batch"], row["tier"]) for row in fleet.report["fleet"]]
    assert tiers == [(1, "master"), (1, "master"), (2, "passthrough")]
    looks = [record.result["results"] for record in run.of("ckpool_health_info") if "results" in record.result]
    looked = [[one["item"] for one in look] for look in looks]
    assert (sorted(looked[:2]), sorted(looked[2:4]), looked[4:]) == (
        [["b"], ["c"]],
        [["b"], ["c"]],
        [["a", "b", "c"], ["a"]],
    )
    (pool,) = fleet.report["fleet"][0]["pools"]
    assert (pool["name"], pool["outcome"], pool["clients_before"]) == ("main", "done", CLIENTS)
    suites = {suite.get("name"): suite for suite in ET.parse(fleet.reports / "junit").getroot()}
    assert [case.get("name") for case in suites["b"]] == ["host", "main"]
    assert "| b | 1 | master | done | main | 6 |" in (fleet.reports / "markdown").read_text()
    again = fleet.play(rolling_upgrade_serial="100%")
    ends(again, fleet, "nothing_to_do", 0)
    assert set(fleet.outcomes().values()) == {"nothing_to_do"} and switched(again) == []


def test_a_pool_that_ends_after_its_batch_stops_the_rest(fleet: Fleet) -> None:
    ends_it = {"ansible.builtin.shell": f"kill -9 $(cat {fleet.homes['a']}/s/main.pid)"}
    release = fleet.releases.good()
    run = fleet.play(hosts={"a": hook(fleet, ends_it)}, **release)
    ends(run, fleet, "stopped", 2)
    assert fleet.outcomes() == {"a": "done", "b": "not_started", "c": "not_started"}
    assert "a unhealthy: " in fleet.report["summary"]
    assert switched(run) == ["a"]
