# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook health_check with health_check_via: http: the same table and outcome as by ssh."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.ansible import UNHURRIED, Ansible, Direct, Json, Run
from tests.support.certificates import Authority
from tests.support.exchange import free_port
from tests.support.fake_service import FakeService, Reply, entry, health, http
from tests.support.machine import fleet_of, needs_namespaces

pytestmark = needs_namespaces

PLAYBOOK = "ckpool.fleet.health_check"
QUICK = {"health_check_timeout": 5}
BY_HTTP = ("-e", "health_check_via=http")
HOSTS: dict[str, list[Json]] = {
    "well": [{"name": "one", "layout": "2026"}, {"name": "two", "dialect": "api"}],
    "warned": [{"name": "ckpool", "faults": ["rejects"], "uptime": 7200}],
    "sick": [{"name": "ckpool", "faults": ["hung"]}, {"name": "other"}],
    "empty": [],
}
STATUSES = {"healthy": 0, "unhealthy": 2, "undetermined": 4, "invalid": 2}


class StandIn:
    """The services of some hosts. Each answer is what the module of the ssh way returns on the host at that moment."""

    def __init__(self, hosts: dict[str, Json]) -> None:
        self._hosts = hosts
        self.fake = FakeService(self._reply)

    def _reply(self, path: str) -> Reply:
        host = path.split("/")[1]
        options = {"all_instances": True, "timeout": 5, "thresholds": UNHURRIED}
        (found,) = Direct().modules([("ckpool_health_info", options)], host=self._hosts[host])
        if not found["instances"]:
            yield http({"error": {"reason": "not_found", "message": found["msg"]}, "instances": []}, "503 x")
            return
        critical = any(one["health"]["status"] == "critical" for one in found["instances"])
        own = {
            "host": socket.gethostname(),
            "now": time.time(),
            "version": "0.6.0",
            "judged_by": {"thresholds": UNHURRIED},
        }
        yield http({**found, **own}, "503 x" if critical else "200 OK")


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    """The inventory: hosts that can be asked either way, and one that nobody can reach."""
    with fleet_of(HOSTS, place) as (inventory, _pools):
        lost = inventory.pop("lost")
        stand_in = StandIn(inventory)
        with stand_in.fake as fake:
            hosts = {
                host: {**known, "health_check_http_url": f"{fake.url}/{host}", "health_check_http_timeout": 300}
                for host, known in inventory.items()
            }
            yield {**hosts, "lost": {**lost, "health_check_http_url": f"http://127.0.0.1:{free_port()}"}}


def some(fleet: dict[str, Json], *hosts: str) -> dict[str, Json]:
    return {host: fleet[host] for host in hosts}


def rows(run: Run) -> list[Json]:
    (report,) = run.results("ckpool_health_report")
    found: list[Json] = report["fleet"]
    return found


def assert_outcome(run: Run, word: str) -> None:
    """The outcome is in the result and on the last line before the recap, and determines the exit status."""
    assert run.status == STATUSES[word], run.text
    (result,) = run.results("ckpool_outcome")
    assert result["outcome"] == word
    (before, _recap) = run.output.split("PLAY RECAP")
    assert f'"msg": "outcome: {word}; ' in before.rpartition("TASK [")[2]


@pytest.fixture(scope="module")
def both(ansible: Ansible, fleet: dict[str, Json]) -> tuple[Run, Run]:
    """The playbook by ssh, and by HTTP."""
    ssh = ansible.playbook(PLAYBOOK, inventory=fleet, variables=QUICK)
    return ssh, ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=fleet, variables=QUICK)


def steady(row: Json) -> Json:
    """What does not change from one look to the next."""
    checks = [(check["name"], check["status"], check["reason"]) for check in row["checks"]]
    names = ("host", "instance", "socket_dir", "pid", "root", "user", "state", "status", "users", "workers", "clients")
    return {**{name: row[name] for name in names}, "checks": checks}


def test_the_rows_are_those_of_ssh(both: tuple[Run, Run]) -> None:
    ssh, web = (rows(run) for run in both)
    assert [steady(row) for row in web] == [steady(row) for row in ssh]
    by_state = {row["state"]: row for row in web}
    assert set(by_state) == {"ok", "degraded", "hung", "down", "unreachable"}
    assert by_state["ok"]["hashrate"] == pytest.approx(1e15, rel=0.1)
    assert by_state["hung"]["log_line"]
    assert by_state["down"]["wrong"] == ["no ckpool on this host"]
    assert "Connection refused" in by_state["unreachable"]["wrong"][0]


def test_the_table_and_the_outcome_are_those_of_ssh(both: tuple[Run, Run]) -> None:
    tables = [[line.split()[:3] for line in run.results("ckpool_health_report")[0]["table"]] for run in both]
    assert tables[0] == tables[1]
    for run in both:
        assert_outcome(run, "unhealthy")
        assert "ckpool on sick is hung, and:" in run.output
    sentences = [run.results("ckpool_outcome")[0]["msg"] for run in both]
    assert sentences[0] == sentences[1]


def test_no_host_runs_a_task(both: tuple[Run, Run]) -> None:
    _ssh, web = both
    assert web.output.count("TASK [") == 2
    assert [record.action.rpartition(".")[2] for record in web.records] == ["ckpool_health_report", "ckpool_outcome"]


@pytest.mark.parametrize(
    ("hosts", "fail_on", "word"),
    [
        (("well",), "warning", "healthy"),
        (("well", "warned"), "warning", "unhealthy"),
        (("well", "lost"), "critical", "undetermined"),
    ],
)
def test_outcome(hosts: tuple[str, ...], fail_on: str, word: str, ansible: Ansible, fleet: dict[str, Json]) -> None:
    variables = {**QUICK, "health_check_fail_on": fail_on}
    run = ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=some(fleet, *hosts), variables=variables)
    assert_outcome(run, word)


@pytest.mark.parametrize(
    ("limit", "pattern", "word", "left_out"),
    [("well", "all", "healthy", 4), ("lost,well", "all", "undetermined", 3), ("well,nosuch", "all", "invalid", 4)],
)
def test_limit(limit: str, pattern: str, word: str, left_out: int, ansible: Ansible, fleet: dict[str, Json]) -> None:
    variables = {**QUICK, "health_check_hosts": pattern}
    run = ansible.playbook(PLAYBOOK, *BY_HTTP, "--limit", limit, inventory=fleet, variables=variables)
    assert_outcome(run, word)
    assert f"not asked: {left_out} hosts by --limit (" in run.results("ckpool_outcome")[0]["msg"]
    assert len({row["host"] for row in rows(run)}) == 5 - left_out


def test_a_pattern(ansible: Ansible, fleet: dict[str, Json]) -> None:
    for pattern, word in (("well", "healthy"), ("nosuch", "invalid")):
        variables = {**QUICK, "health_check_hosts": pattern}
        assert_outcome(ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=fleet, variables=variables), word)


def test_the_inventory_may_choose_for_each_host(ansible: Ansible, fleet: dict[str, Json]) -> None:
    hosts = some(fleet, "well", "empty", "warned")
    hosts = {**hosts, "well": {**hosts["well"], "health_check_via": "http"}}
    hosts["warned"] = {**hosts["warned"], "health_check_via": "smoke"}
    run = ansible.playbook(PLAYBOOK, inventory=hosts, variables=QUICK)
    assert {record.host: record.outcome for record in run.of("ckpool_health_info")} == {
        "well": "skipped", "empty": "ok", "warned": "ok"
    }  # fmt: skip
    assert {(row["host"], row["instance"]): row["state"] for row in rows(run)} == {
        ("well", "one"): "ok", ("well", "two"): "ok", ("warned", None): "failed", ("empty", None): "down",
    }  # fmt: skip
    assert "neither ssh nor http: 'smoke'" in run.output


def test_the_role_alone_asks_by_ssh(ansible: Ansible, fleet: dict[str, Json]) -> None:
    """So do other playbooks, with the same inventory: a check that is skipped would be green."""
    hosts = {"sick": {**fleet["sick"], "health_check_via": "http"}}
    for defer in (False, True):
        variables = {**QUICK, "health_check_defer": defer}
        tasks = [{"include_role": {"name": "ckpool.fleet.health_check"}, "vars": variables}]
        run = ansible.playbook([{"hosts": "all", "gather_facts": False, "tasks": tasks}], inventory=hosts)
        (found,) = run.of("ckpool_health_info")
        assert (run.status, found.outcome) == ((0, "ok") if defer else (2, "failed"))
        assert found.result["health"]["state"] == "hung"


# A service that says what a test wants


def asked(ansible: Ansible, fake: FakeService, *arguments: str, **variables: object) -> Run:
    hosts: dict[str, Json] = {"pool1": {"health_check_http_url": fake.url}}
    return ansible.playbook(PLAYBOOK, *BY_HTTP, *arguments, inventory=hosts, variables=variables)


def test_files_forget_and_check_mode(ansible: Ansible, place: Callable[[], Path]) -> None:
    folder = place()
    folder.mkdir()
    paths = {
        "health_check_json_file": str(folder / "health.json"),
        "health_check_junit_file": str(folder / "health.xml"),
    }
    bodies = [health(entry("stays"), entry("goes")), health(entry("stays"))]
    with FakeService(lambda _path: [http({**bodies[0], "now": time.time()})]) as fake:
        assert_outcome(asked(ansible, fake, "--check", **paths), "healthy")
        assert not list(folder.iterdir()), "check mode writes no file"
        assert_outcome(asked(ansible, fake, **paths), "healthy")
        del bodies[0]
        run = asked(ansible, fake, **paths)
        assert_outcome(run, "unhealthy")
        assert "-e health_check_forget=pool1:/tmp/goes" in run.output
        assert_outcome(asked(ansible, fake, **paths, health_check_forget="pool1:/tmp/goes"), "healthy")
    assert 'name="pool1.stays"' in (folder / "health.xml").read_text()
    assert json.loads((folder / "health.json").read_text())["outcome"] == "healthy"


def test_tls_and_a_templated_token_from_a_vault(ansible: Ansible, place: Callable[[], Path]) -> None:
    """The token is shown nowhere, whatever is printed."""
    folder = place()
    authority = Authority(folder)
    password, secrets = folder / "password", folder / "secrets.yml"
    password.write_text("open sesame")
    secrets.write_text("fleet_tokens: {pool1: s3cret-of-pool1}\n")
    vault = [sys.executable, "-m", "ansible", "vault", "encrypt", "--vault-password-file", str(password), str(secrets)]
    subprocess.run(vault, check=True, capture_output=True, env=ansible.environment(folder / "record", {}))
    variables = {
        "health_check_http_token": "{{ fleet_tokens[inventory_hostname] }}",
        "health_check_http_ca_file": str(authority.file),
    }
    with FakeService(lambda _path: [http(health())], authority.server()) as fake:
        more = ("-vvvv", "-e", f"@{secrets}", "--vault-password-file", str(password))
        run = asked(ansible, fake, *more, **variables)
        assert_outcome(run, "healthy")
        assert "Authorization: Bearer s3cret-of-pool1" in fake.requests[0]
        assert "s3cret" not in run.text
        run = asked(ansible, fake, **variables)
        assert_outcome(run, "undetermined")
        assert "health_check_http_token cannot be templated" in run.text
    with FakeService(lambda _path: [http(b"", "401 Unauthorized")], authority.server()) as fake:
        run = asked(ansible, fake, *more, **variables)
        assert_outcome(run, "undetermined")
        assert "does not accept the token (status 401)" in run.text
        assert "s3cret" not in run.text


def test_text_of_a_pool_is_no_template_and_forges_no_output(ansible: Ansible) -> None:
    evil = "{{ 7 * 7 }}\x1b[31m\n\u202e{% raw %}"
    body = health(entry(evil, "down", "critical", log_tail=[evil]), host=evil)
    with FakeService(lambda _path: [http(body, "503 x")]) as fake:
        run = asked(ansible, fake)
    assert_outcome(run, "unhealthy")
    assert r"{{ 7 * 7 }}\x1b[31m\x0a\u202e{% raw %}" in run.output
    assert "49" not in run.output.split("HOST")[1].split("TOTAL")[0]
    assert {character for character in run.text if not character.isprintable()} == {"\n"}


FAULTS: dict[str, tuple[Callable[[], list[bytes | None]], str]] = {
    "hangs": (lambda: [http(b"{", length=100), None], "was not complete within 15 s: 1 bytes came"),
    "junk": (lambda: [http(b"<html>")], "not in JSON"),
    "redirected": (lambda: [http(b"", "302 Found", headers=["Location: https://elsewhere"])], "which is not followed"),
    "old": (lambda: [http(health(now=1795385464))], "is of 2026-11-22"),
    "empty": (lambda: [http({**health(), "instances": []})], "calls a host healthy that has no pool"),
    "large": (lambda: [b"HTTP/1.1 200 OK\r\n\r\n", b" " * (5 << 20)], "is larger than 4194304 bytes"),
}


def test_faults_are_rows_with_a_cause(ansible: Ansible) -> None:
    with FakeService(lambda path: FAULTS[path.split("/")[1]][0]()) as fake:
        hosts: dict[str, Json] = {name: {"health_check_http_url": f"{fake.url}/{name}"} for name in FAULTS}
        hosts["hangs"]["health_check_http_timeout"] = 15
        hosts["timid"] = {"health_check_http_timeout": 0}
        hosts["unresolved"] = {"ansible_host": "pool1.invalid"}
        run = ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=hosts)
    assert_outcome(run, "undetermined")
    found = {row["host"]: row for row in rows(run)}
    for name, (_reply, message) in FAULTS.items():
        assert (found[name]["state"], found[name]["status"]) == ("failed", "critical")
        assert message in found[name]["wrong"][0]
    assert found["timid"]["wrong"] == [
        "health_check_http_timeout is not a number of seconds above 0, and 3600 at most: 0"
    ]
    assert found["unresolved"]["state"] == "unreachable"
    assert "Traceback" not in run.text
