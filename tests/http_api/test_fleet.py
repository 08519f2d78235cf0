# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook health_check asks real services, and reports what it reports by ssh."""

from __future__ import annotations

import contextlib
import tempfile
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http_api.conftest import PATIENT, Place
from tests.http_api.test_gate import certificate, token_file
from tests.support import wait_for
from tests.support.ansible import Ansible, Json, Run, local
from tests.support.http_service import HttpService
from tests.support.paths import remove

PLAYBOOK = "ckpool.fleet.health_check"
BY_HTTP = ("-e", "health_check_via=http")
POOLS: t.Dict[str, t.List[Json]] = {
    "well": [{"name": "one", "layout": "2026"}, {"name": "two", "dialect": "api"}],
    "sick": [{"name": "ckpool", "faults": ["hung"]}, {"name": "other"}],
    "empty": [],
}
THRESHOLDS: Json = {"thresholds": PATIENT["thresholds"]}
AT_LEISURE: Json = {"health_check_http_timeout": 60}
LIMITS: Json = {"thresholds": {"workers_min": 1000, "hashrate_min": "1k"}, "skip_checks": ["disk", "log_errors"]}


class Fleet(t.NamedTuple):
    """Hosts as an inventory has them, with their services."""

    hosts: t.Dict[str, Json]
    services: t.Dict[str, HttpService]


def settle(services: t.Iterable[HttpService]) -> None:
    """Let services have a verdict on each of their pools, which they keep for a while: on a busy host, one may come too late."""

    def is_judged(service: HttpService) -> bool:
        return not any(row.get("failed") for row in service.get("/health").json["instances"])

    wait_for(lambda: all(map(is_judged, services)), "verdicts", 120)


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    return Ansible(tmp_path_factory.mktemp("ansible"))


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    folder = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    hosts: t.Dict[str, Json] = {}
    services: t.Dict[str, HttpService] = {}
    with contextlib.ExitStack() as stack:
        for host, pools in POOLS.items():
            place = Place(folder / host, stack)
            for pool in pools:
                place.pool(**pool)
            services[host] = place.service(timeout=5, cache_seconds=5, **THRESHOLDS)
            url = f"http://127.0.0.1:{services[host].port}"
            limits: Json = {f"health_check_{name}": value for name, value in THRESHOLDS.items()}
            limits["health_check_timeout"] = 5
            hosts[host] = local(str(place.interpreter), health_check_http_url=url, **AT_LEISURE, **limits)
        yield Fleet(hosts, services)
    remove(folder)


def rows(run: Run) -> t.List[Json]:
    (report,) = run.results("ckpool_health_report")
    return t.cast(t.List[Json], report["fleet"])


def steady(row: Json) -> Json:
    """What does not change from one look to the next, and is not seen differently by another process on the host."""
    checks = [(check["name"], check["status"], check["reason"]) for check in row["checks"]]
    names = ("host", "instance", "socket_dir", "pid", "root", "user", "state", "status", "users", "workers", "clients")
    return {**{name: row[name] for name in names}, "checks": checks}


def test_the_rows_and_the_outcome_are_those_of_ssh(ansible: Ansible, fleet: Fleet) -> None:
    ssh = ansible.playbook(PLAYBOOK, inventory=fleet.hosts)
    settle(fleet.services.values())
    web = ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=fleet.hosts)
    assert [steady(row) for row in rows(web)] == [steady(row) for row in rows(ssh)]
    assert {row["state"] for row in rows(web)} == {"ok", "hung", "down"}
    assert ssh.results("ckpool_outcome")[0]["msg"] == web.results("ckpool_outcome")[0]["msg"]
    assert (ssh.status, web.status) == (2, 2)


def test_tls_and_a_token(ansible: Ansible, host: Place) -> None:
    host.pool()
    tls = certificate(host.folder / "tls")
    token = token_file(host.folder)
    service = host.service(listen="0.0.0.0", token_file=str(token), **tls, **PATIENT)
    right = {"ansible_host": "127.0.0.1", "health_check_http_url": f"https://127.0.0.1:{service.port}", **AT_LEISURE}
    right.update(health_check_http_ca_file=tls["tls_certificate"], health_check_thresholds=PATIENT["thresholds"])
    wrong = {
        "token": {**right, "http_api_token": "another-token-0123456789"},
        "none": right,
        "authority": {**right, "health_check_http_ca_file": ""},
        "plain": {**right, "health_check_http_url": f"http://127.0.0.1:{service.port}"},
    }
    found = {"right": {**right, "http_api_token": "{{ lookup('file', '" + str(token) + "') }}"}}
    run = ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=found)
    assert (run.status, [row["state"] for row in rows(run)]) == (0, ["ok"]), run.text
    run = ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=wrong)
    assert {row["host"]: row["state"] for row in rows(run)} == dict.fromkeys(wrong, "failed")
    causes = {row["host"]: row["wrong"][0] for row in rows(run)}
    assert "does not accept the token (status 401)" in causes["token"]
    assert "wants a token (status 401)" in causes["none"]
    assert "is not accepted: self-signed certificate" in causes["authority"]
    assert "https" in causes["plain"]
    assert run.status == 4


def test_the_limits_of_the_inventory_are_those_of_the_service(ansible: Ansible, host: Place) -> None:
    host.pool().wait_for_statistics()
    service = host.service(**LIMITS)
    inventory = {"pool1": {"health_check_http_url": f"http://127.0.0.1:{service.port}", **AT_LEISURE}}
    for limits, states in (
        ({}, ["degraded"]),
        ({f"health_check_{name}": value for name, value in LIMITS.items()}, ["degraded"]),
        ({"health_check_thresholds": {"workers_min": 5}}, ["failed"]),
        ({"health_check_skip_checks": []}, ["degraded"]),
        ({"health_check_skip_checks": ["disk"]}, ["failed"]),
        ({"health_check_socket_dirs": ["/run/ckpool"]}, ["failed"]),
    ):
        run = ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=inventory, variables=limits)
        assert [row["state"] for row in rows(run)] == states, limits
    assert "does not judge by health_check_socket_dirs of this host" in rows(run)[0]["wrong"][0]


def test_two_names_of_one_host(ansible: Ansible, fleet: Fleet) -> None:
    inventory = dict.fromkeys(("one", "two"), fleet.hosts["well"])
    run = ansible.playbook(PLAYBOOK, *BY_HTTP, inventory=inventory)
    assert (run.status, [row["state"] for row in rows(run)]) == (4, ["failed", "failed"])
    assert "the service that answers is that of two too" in run.output
