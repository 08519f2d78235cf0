# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was written for release 0.3.0 still works: playbooks, variables, results that programs read, and files.

The files in fixtures/from_0_3_0 were written by that release, with three simulated pools on two hosts. promises.json lists its
options with their choices, its results, and the variables of its roles and playbooks. None of them is ever changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool

from tests.support import ROOT, Simulated
from tests.support.ansible import RUN_DEADLINE, UNHURRIED, Ansible, Direct, Json
from tests.support.machine import Machine, fleet_of, needs_namespaces
from tests.support.target import Target

FILES = Path(__file__).parent / "fixtures" / "from_0_3_0"
PROMISES: Json = json.loads((FILES / "promises.json").read_text())
HOSTS: dict[str, list[Json]] = {
    "eu": [{"name": "solo", "uptime": 90000}, {"name": "second", "dialect": "api"}],
    "us": [{"name": "ckpool", "layout": "2017"}],
}
VARIABLES: Json = {
    "health_check_hosts": "all", "health_check_fail_on": "warning", "health_check_socket_dirs": [], "health_check_timeout": 5,
    "health_check_skip_checks": ["disk", "open_files"], "health_check_sample_seconds": 0,
    "health_check_thresholds": {**UNHURRIED, "workers_min": 2, "work_age_critical": 300, "hashrate_min": "1.5T"},
}  # fmt: skip
"""As the guides of that release show them."""


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path]) -> Iterator[tuple[dict[str, Json], dict[str, Simulated]]]:
    """The same hosts and pools as then."""
    with fleet_of(HOSTS, place) as (inventory, pools):
        del inventory["lost"]
        for pool in pools.values():
            pool.wait_for_statistics()
        yield inventory, pools


def keys(value: object, path: str = "") -> set[str]:
    """The path of each key, of lists without their indices."""
    if isinstance(value, list):
        return {found for entry in value for found in keys(entry, path)}
    if not isinstance(value, dict):
        return set()
    return {found for key, inner in value.items() for found in {f"{path}.{key}", *keys(inner, f"{path}.{key}")}}


# Names


def documented(kind: str, names: list[str]) -> Json:
    """What ansible-doc says."""
    command = [
        sys.executable,
        "-m",
        "ansible",
        "doc",
        "--json",
        "--type",
        kind,
        *(f"ckpool.fleet.{name}" for name in names),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return {name.rpartition(".")[2]: found for name, found in json.loads(done.stdout).items()}


def parts(described: Json | None, before: str = "") -> dict[str, set[str]]:
    """The path of each option or result, with its choices."""
    found: dict[str, set[str]] = {}
    for name, entry in (described or {}).items():
        found[f"{before}{name}"] = set(entry.get("choices") or ())
        for inner in ("options", "suboptions", "contains"):
            found.update(parts(entry.get(inner), f"{before}{name}."))
    return found


def lost(old: dict[str, list[str]], new: dict[str, set[str]]) -> list[str]:
    """The options that are gone, and those that take fewer values."""
    return [name for name, choices in old.items() if name not in new or (new[name] and set(choices) - new[name])]


def test_every_option_and_result_of_a_module_is_there() -> None:
    modules = PROMISES["modules"]
    now = documented("module", list(modules))
    assert set(now) == set(modules)
    for name, old in modules.items():
        assert lost(old["options"], parts(now[name]["doc"].get("options"))) == [], name
        assert set(old["returns"]) - set(parts(now[name].get("return"))) == set(), name


def test_every_variable_of_a_role_is_there() -> None:
    now = documented("role", list(PROMISES["roles"]))
    for name, entries in PROMISES["roles"].items():
        for entry, options in entries.items():
            assert lost(options, parts(now[name]["entry_points"][entry]["options"])) == [], (name, entry)


@pytest.mark.parametrize("name", PROMISES["playbooks"])
def test_every_variable_of_a_playbook_is_read(name: str) -> None:
    paths = [ROOT / "playbooks" / f"{name}.yml", *(ROOT / "roles" / name).glob("*/*.yml")]
    text = "\n".join(line for path in paths for line in path.read_text().splitlines() if not line.startswith("#"))
    assert [variable for variable in PROMISES["playbooks"][name] if not re.search(rf"\b{variable}\b", text)] == []


# Playbooks and their files


@needs_namespaces
def test_the_report_of_then_is_the_baseline_of_now(
    ansible: Ansible, fleet: tuple[dict[str, Json], dict[str, Simulated]], place: Callable[[], Path]
) -> None:
    """A pool that it knows and that is gone is noticed; whoever reads the report finds each key."""
    inventory, pools = fleet
    folder = place()
    folder.mkdir()
    report, junit = folder / "health.json", folder / "health.xml"
    text = (FILES / "health.json").read_text()
    for name, pool in pools.items():
        text = re.sub(rf"/srv/\w+/{name}/s\b", str(pool.socket_dir), text)
    old = json.loads(text)
    gone = {**old["fleet"][0], "instance": "moved", "socket_dir": "/srv/moved"}
    report.write_text(json.dumps({**old, "fleet": [*old["fleet"], gone]}))
    files = {"health_check_json_file": str(report), "health_check_junit_file": str(junit)}
    run = ansible.playbook("ckpool.fleet.health_check", inventory=inventory, variables={**VARIABLES, **files})
    assert run.status == 2, run.text
    now = json.loads(report.read_text())
    assert {row["instance"]: row["status"] for row in now["fleet"]} == {
        "solo": "ok", "second": "ok", "ckpool": "ok", "moved": "critical",
    }  # fmt: skip
    assert keys(old) - keys(now) == set()
    run = ansible.playbook(
        "ckpool.fleet.health_check",
        inventory=inventory,
        variables={**VARIABLES, **files, "health_check_forget": "eu:moved"},
    )
    assert run.status == 0, run.text
    now = json.loads(report.read_text())
    assert (now["ok"], len(now["fleet"])) == (True, 3)
    names = {case.get("name") for case in ET.parse(FILES / "health.xml").iter("testcase")}
    assert names - {case.get("name") for case in ET.parse(junit).iter("testcase")} == {"disk", "open_files"}


@needs_namespaces
def test_snapshots_go_on(
    ansible: Ansible, fleet: tuple[dict[str, Json], dict[str, Simulated]], place: Callable[[], Path]
) -> None:
    """In the same folder, by the same rules; the report shows those of then."""
    folder = place()
    shutil.copytree(FILES / "snapshots", folder)
    (old,) = folder.glob("pool_stats_us_*")
    before = json.loads(old.read_text())
    variables = {"snapshot_dir": str(folder), "snapshot_keep": 2, "snapshot_timeout": 5}
    for count in (2, 2):
        run = ansible.playbook("ckpool.fleet.snapshot", inventory=fleet[0], variables=variables)
        assert run.status == 0, run.text
        found = sorted(folder.glob("pool_stats_us_*"))
        assert len(found) == count
        assert keys(before) - keys(json.loads(found[-1].read_text())) == set()
    assert old not in found
    pages = place()
    pages.mkdir()
    shutil.rmtree(folder)
    shutil.copytree(FILES / "snapshots", folder)
    variables = {
        "report_snapshot_dir": str(folder),
        "report_file": str(pages / "report.html"),
        "report_json_file": str(pages / "report.json"),
        "report_days": 3660,
    }
    run = ansible.playbook("ckpool.fleet.report", inventory=fleet[0], variables=variables)
    assert run.status == 0, run.text
    assert "pool_stats_" not in run.text, "no snapshot is refused"


@needs_namespaces
def test_top_users(
    ansible: Ansible, fleet: tuple[dict[str, Json], dict[str, Simulated]], place: Callable[[], Path]
) -> None:
    path = place()
    variables = {
        "top_users_json_file": str(path),
        "top_users_count": 3,
        "top_users_by": "hashrate1d",
        "top_users_timeout": 5,
    }
    run = ansible.playbook("ckpool.fleet.top_users", inventory=fleet[0], variables=variables)
    assert run.status == 0, run.text
    assert keys(json.loads((FILES / "top_users.json").read_text())) - keys(json.loads(path.read_text())) == set()


@needs_namespaces
@pytest.mark.every_core
def test_the_playbook_of_the_readme(ansible: Ansible, place: Callable[[], Path]) -> None:
    """Its tasks as they stood there, and those of the page about a maintenance window, on a pool of each kind."""
    tasks: list[Json] = [
        {"ckpool.fleet.ckpool_stats": {}, "register": "pool"},
        {
            "ckpool.fleet.ckpool_user_info": {"sort_by": "hashrate1m", "limit": 5, "active_within": "1h"},
            "register": "top",
        },
        {
            "ckpool.fleet.ckpool_health_info": {"thresholds": {**UNHURRIED, "workers_min": 1}},
            "register": "verdict", "failed_when": "not verdict.health.ok",
        },
        {"ckpool.fleet.ckpool_clients": {"state": "rejecting"}},
        {"ckpool.fleet.ckpool_clients": {"state": "accepting"}},
        {"ckpool.fleet.ckpool_restart": {"clients_percent": 90}},
        {
            "ckpool.fleet.ckpool_wait": {
                "state": "ready", "clients_min": 1, "stable_for": 1, "wait_timeout": 120, "poll": 1,
            }
        },
    ]  # fmt: skip
    kinds: dict[str, list[Json]] = {"public": [{"name": "a"}], "guide": [{"name": "b", "dialect": "guide"}]}
    with fleet_of(kinds, place) as (inventory, _pools):
        del inventory["lost"]
        run = ansible.playbook([{"hosts": "all", "gather_facts": False, "tasks": tasks}], inventory=inventory)
        assert run.status == 0, run.text
        assert len(run.records) == len(tasks) * len(kinds)
        levels = {"loglevel_level": "debug", "loglevel_all_instances": True, "loglevel_timeout": 5}
        run = ansible.playbook("ckpool.fleet.loglevel", inventory=inventory, variables=levels)
        assert run.status == 0, run.text
        drops = {"drop_user_users": "nobody", "drop_user_watch": 0, "drop_user_hosts": "all"}
        run = ansible.playbook("ckpool.fleet.drop_user", inventory=inventory, variables=drops)
        assert run.status == 2, "it said nothing of a name that no pool knows"
        assert "nobody" in run.text
        run = ansible.playbook(
            "ckpool.fleet.drop_user", inventory=inventory, variables={**drops, "drop_user_fail_when_missing": False}
        )
        assert run.status == 0, run.text
        window = {"graceful_shutdown_serial": 1, "graceful_shutdown_health_fail_on": "never"}
        run = ansible.playbook("ckpool.fleet.graceful_shutdown", inventory=inventory, variables=window)
        assert run.status == 2, "it went on where nobody can be asked; now that has to be meant"
        assert "graceful_shutdown_confirm=yes" in run.text
        meant = {**window, "graceful_shutdown_confirm": "yes", "graceful_shutdown_drain_until": 100}
        run = ansible.playbook("ckpool.fleet.graceful_shutdown", inventory=inventory, variables=meant)
        assert run.status == 0, run.text


# On the hosts


@needs_namespaces
def test_a_level_that_is_to_return_does(machine: Machine, direct: Direct) -> None:
    """What the host remembers of a level that was set for a time, before the collection was upgraded."""
    assert machine.run("mount", "-t", "tmpfs", "tmpfs", "/run").returncode == 0
    with Simulated(machine.folder / "one", prefix=machine.prefix, users=2) as pool:
        (pid,) = machine.run("cat", str(pool.socket_dir / "main.pid")).stdout.split()
        stat = machine.run("cat", f"/proc/{pid}/stat").stdout
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        text = (FILES / "memory.json").read_text()
        text = text.replace("BOOT:PID:STARTED", f"{boot}:{pid}:{stat.rpartition(')')[2].split()[19]}")
        keep = 'umask 077; mkdir /run/ckpool.fleet; printf %s "$1" > /run/ckpool.fleet/memory.json'
        assert machine.run("sh", "-c", keep, "-", text).returncode == 0
        options = {"restore": True, "socket_dir": str(pool.socket_dir)}
        (result,) = direct.control([("ckpool_loglevel", options)], host=machine.host())
        assert not result["failed"] and (result["previous"], result["level"]) == (6, 5), result


def test_a_pool_from_python(pool: Target) -> None:
    """The page's code."""
    if pool.kind == "real":
        pytest.skip("it lives with the others")
    found = Pool.find(socket_dir=str(pool.socket_dir))
    answer = found.stats()
    assert (answer.state, answer.source) == ("ok", pool.source)
    assert answer.stats.hashrate1m is not None and answer.as_of
    users = found.users(sort_by="hashrate1m", limit=5, active_within=3600).users
    assert all(user.user and [worker.worker for worker in user.workers] for user in users)
    verdict, _seen = found.health()
    assert all(check.name and check.status and check.summary is not None for check in verdict.checks)
    assert os.path.isdir(str(pool.socket_dir))
