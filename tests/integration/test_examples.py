# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the README, the guides, the roles and the modules, run as they stand.

They run in a place that looks as the guides say: `/srv/fleet` with an inventory, and hosts with a pool in `/run/ckpool/solo`. All of this is in mount
namespaces of the test. `tests/support/examples.yml` lists the examples that are tested otherwise.
"""

from __future__ import annotations

import collections
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import Simulated, guides
from tests.support.ansible import RUN_DEADLINE, UNHURRIED, Ansible, Json
from tests.support.guides import Example
from tests.support.machine import Machine
from tests.support.paths import ROOT

needs_mounts = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
USERS = ["bc1qexampleaddress", "alice", "bob", "carol", "dave", "erin"]
HOSTS = ("pool1.example.org", "pool2.example.org")
#: folders of a host and of the controller that the examples name, empty and for the test alone
FOLDERS = (
    "/var/lib/ckpool-snapshots",
    "/var/lib/ckpool-watch",
    "/var/lib/prometheus/node-exporter",
    "/srv/fleet",
    "/srv/www",
)
PLACE = f"mount -t tmpfs none /var/lib && mount -t tmpfs none /srv && mkdir -p {' '.join(FOLDERS)}"
TOGETHER = 6  #: examples that only read, in one playbook
#: what changes a pool
ORDERS = re.compile(
    r"ckpool_(?:clients|command|dropuser|loglevel|restart|shutdown|step)|fleet\.(?:drop_user|graceful_shutdown|loglevel)"
)
#: variables that an example takes from a play around it
GIVEN = {"web_root": "/srv/fleet", "fleet_thresholds": {}, "known_height": 1}


class World:
    """What an operator has: a folder with an inventory, hosts, and the commands of the examples.

    :ivar mails: what was mailed: the command lines of mail and sendmail, and their input.
    """

    def __init__(self, folder: Path, machines: list[Machine]) -> None:
        self.folder, self.mails = folder / "fleet", folder / "mails"
        self.is_changed = False
        self.interpreter = machines[0].interpreter
        self.pools = []
        for host, machine in zip(HOSTS, machines, strict=True):
            machine.run("sh", "-ec", f"{PLACE}; mount -t tmpfs none /run; mkdir -p /run/ckpool")
            pool = Simulated(
                folder / host, name="solo", prefix=machine.prefix, socket_dir=Path("/run/ckpool/solo"), user_names=USERS,
                hashrate=3e15,
            )  # fmt: skip
            self.pools.append(pool)
        programs = folder / "bin"
        for path in (self.folder, programs):
            path.mkdir()
        self._environment = Ansible(folder / "ansible").environment(folder / "record", {})
        self._environment["PATH"] = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
        for name in ("mail", "sendmail"):
            (programs / name).write_text(f'#!/bin/sh\n{{ echo "$0" "$@"; cat; }} >> {self.mails}\n')
            (programs / name).chmod(0o755)
        hosts = {host: machine.host() for host, machine in zip(HOSTS, machines, strict=True)}
        # sudo would start as another process than the one that entered the host.
        pools = {"hosts": hosts, "vars": {"ansible_become": False, **GIVEN}}
        self._write("inventory.yml", {"pools": pools})
        self._write("report-key.yml", {"report_redact_key": "a key of our own"})
        self._write(
            "watch.yml", {"watch_state_file": "/srv/fleet/watch.json", "watch_webhook_url": "http://127.0.0.1:9/"}
        )

    def _write(self, name: str, content: object) -> None:
        (self.folder / name).write_text(json.dumps(content))

    def renew(self) -> None:
        """Start the pools, and those anew to which an example has given orders."""
        for pool in self.pools:
            if pool.pids and self.is_changed:
                pool.stop()
            if not pool.pids:
                pool.start()
        self.is_changed = False

    def shell(self, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run commands of the controller, in its folder."""
        self.is_changed |= bool(ORDERS.search(text))
        mounts = f'{PLACE} && mount --bind "$1" /srv/fleet && cd /srv/fleet && exec bash -euo pipefail -c "$2"'
        command = ["unshare", "--mount", "sh", "-ec", mounts, "sh", str(self.folder), text]
        return subprocess.run(
            command, env={**self._environment, **variables}, input="\n", capture_output=True, text=True,
            timeout=RUN_DEADLINE, check=False,
        )  # fmt: skip

    def play(self, content: list[Json]) -> subprocess.CompletedProcess[str]:
        """Run plays, or tasks on all pools."""
        for each in content:
            each.setdefault("module_defaults", {"ckpool.fleet.ckpool_health_info": {"thresholds": UNHURRIED}})
        self._write("example.yml", content)
        self.is_changed |= bool(ORDERS.search(json.dumps(content)))
        return self.shell("ansible-playbook -i inventory.yml example.yml")

    def python(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a program in Python on the first host, which has the collection and nothing else."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
        return subprocess.run(
            [str(self.interpreter), "-c", text], env=environment, capture_output=True, text=True, timeout=RUN_DEADLINE,
            check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def running(place: Callable[[], Path]) -> Iterator[World]:
    folder = place()
    folder.mkdir()
    with Machine(place()) as one, Machine(place()) as two:
        yield World(folder, [one, two])


@pytest.fixture
def world(running: World) -> World:
    running.renew()
    return running


def plays_of(each: Example) -> list[Json]:
    """The plays of a block; tasks that stand by themselves in a play as the guides have it around them."""
    plays: list[Json] = []
    tasks: list[Json] = []
    for entry in yaml.safe_load(each.text):
        if "hosts" in entry:
            plays.append(entry)
            tasks = []
            continue
        if not tasks:
            plays.append({"hosts": "pools", "gather_facts": False, "become": True, "tasks": tasks})
        tasks.append(entry)
    return plays


def name_of(each: Example) -> str:
    return f"{each.page}-{each.label}"


def groups() -> dict[str, list[Example]]:
    """The examples that are run together: several that only read are plays of one playbook, as the start of Ansible costs more than a task."""
    found: dict[str, list[Example]] = {}
    counts: collections.Counter[str] = collections.Counter()
    for each in guides.runnable():
        name = name_of(each)
        if each.language == "yaml" and not ORDERS.search(each.text):
            folder = each.page.partition("/")[0]
            name = f"{folder} {counts[folder] // TOGETHER + 1}"
            counts[folder] += 1
        found.setdefault(name, []).append(each)
    return found


@needs_mounts
@pytest.mark.parametrize("together", groups().values(), ids=groups())
def test_it_works(world: World, together: list[Example]) -> None:
    if together[0].language == "yaml":
        done = world.play([play for each in together for play in plays_of(each)])
    elif together[0].language == "python":
        done = world.python(together[0].text)
    else:
        done = world.shell("\n".join(together[0].commands))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipping: no hosts matched" not in done.stdout


@needs_mounts
@pytest.mark.parametrize("each", guides.of_kind("cron"), ids=name_of)
def test_a_line_of_cron(world: World, each: Example) -> None:
    """What it runs says nothing if all is well, and tells if a pool hangs."""
    path, line = each.text.splitlines()
    when = re.match(r"(?:\*/\d+|\*) \* \* \* \* (\w+) cd /srv/fleet && ", line)
    assert when and "%" not in line
    assert path == f"PATH=/home/{when[1]}/ansible/bin:/usr/bin:/bin"  # cron's own has no Ansible
    command = line.split(maxsplit=6)[6]
    done = world.shell(command)
    assert (done.stdout, done.stderr) == ("", "")
    assert not world.mails.exists()
    world.pools[0].change(faults=["hung"])
    try:
        done = world.shell(command)
        told = world.mails.read_text() if world.mails.exists() else done.stdout
    finally:
        world.pools[0].stop()
        world.pools[0].simulation["faults"] = []
        world.mails.unlink(missing_ok=True)
    if "health_check" in line:
        assert "ckpool: exit status 2 operators@example.org" in told
        assert "outcome: unhealthy; 1 of 2 pools on 2 hosts are healthy; solo on pool1.example.org is hung" in told
    else:
        assert told == ""  # the watch tells after two looks


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_a_push() -> None:
    """The end of a pipe that sends a message: curl knows its options, and it reads what it is given."""
    (each,) = (each for each in guides.examples() if each.page == "docs/recipes.md" and "ntfy.sh/" in each.text)
    done = subprocess.run(
        ["sh", "-c", each.text.replace("https://ntfy.sh/my-secret-topic", "http://127.0.0.1:9/")],
        input="x", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr  # nothing listens there


@pytest.mark.parametrize("each", guides.of_kind("inventory"), ids=name_of)
def test_an_inventory(each: Example, home: Path, ansible: Ansible) -> None:
    (home / "inventory.yml").write_text(each.text)
    command = [sys.executable, "-m", "ansible", "inventory", "-i", str(home / "inventory.yml"), "--list"]
    done = subprocess.run(
        command, cwd=ROOT, env=ansible.environment(home / "record", {}), capture_output=True, text=True, timeout=RUN_DEADLINE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert json.loads(done.stdout)["pools"]["hosts"] == list(yaml.safe_load(each.text)["pools"]["hosts"])


@pytest.mark.parametrize("each", guides.of_kind("syntax"), ids=name_of)
def test_ansible_reads_it(each: Example, ansible: Ansible) -> None:
    run = ansible.playbook(plays_of(each), "--syntax-check", inventory={"pools": {}})
    assert run.status == 0, run.text


@pytest.mark.parametrize("each", guides.of_kind("schema"), ids=name_of)
def test_it_has_the_form_that_is_wanted(each: Example, home: Path) -> None:
    {
        "schema: compose": is_compose, "schema: gitlab": is_gitlab, "schema: kubernetes": is_stateful_set,
        "schema: prometheus": is_prometheus, "schema: rules": is_rules, "schema: systemd": is_unit,
    }[guides.treatment(each)](each.text, home)  # fmt: skip


def is_compose(text: str, _home: Path) -> None:
    content = yaml.safe_load(text)
    assert set(content) == {"services"}
    for service in content["services"].values():
        assert set(service) <= {"image", "command", "network_mode", "restart", "stop_grace_period", "volumes"}
        targets = [volume.split(":")[1] for volume in service["volumes"]]
        assert service["command"][-1] in targets


def is_stateful_set(text: str, _home: Path) -> None:
    content = yaml.safe_load(text)
    assert (content["apiVersion"], content["kind"]) == ("apps/v1", "StatefulSet")
    spec = content["spec"]
    pod = spec["template"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert spec["replicas"] == 1 and pod["shareProcessNamespace"] is True
    claims = [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]]
    volumes = {*claims, *(volume["name"] for volume in pod["volumes"])}
    mounts = [
        {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} for container in pod["containers"]
    ]
    assert set().union(*mounts) == volumes
    assert mounts[0]["run"] == mounts[1]["run"] and mounts[0]["log"] == mounts[1]["log"]


def is_gitlab(text: str, home: Path) -> None:
    """The test of docs/ci checks GitLab's own schema; here: the commands are those of the guide."""
    (job,) = yaml.safe_load(text).values()
    commands = Example("recipe", "", "console", "\n".join(job["script"][2:]))
    assert commands.is_safe
    assert set(job["artifacts"]["paths"]) | {job["artifacts"]["reports"]["junit"]} == {"health.json", "health.xml"}
    assert all(name in commands.text for name in ("health.json", "health.xml"))


def is_prometheus(text: str, home: Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("there is no promtool")
    shutil.copy2(ROOT / "docs" / "monitoring" / "ckpool-alerts.yml", home)
    (home / "prometheus.yml").write_text(text)
    done = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", "prometheus.yml"], cwd=home, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def is_rules(text: str, home: Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("there is no promtool")
    (home / "rules.yml").write_text(text)
    done = subprocess.run(
        ["promtool", "check", "rules", "rules.yml"], cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def is_unit(text: str, _home: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    assert "Description" in parser["Unit"]
    if "Service" in parser:
        command = Example("unit", "", "console", parser["Service"]["ExecStart"].partition("/usr/bin/")[2])
        assert command.is_safe and parser["Service"]["Type"] == "oneshot"
    else:
        assert parser["Install"]["WantedBy"] == "timers.target" and "OnUnitInactiveSec" in parser["Timer"]
