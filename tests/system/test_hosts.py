# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pools that are units of a real systemd, on hosts that boot, reached over ssh by a user who uses sudo."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ansible import Ansible, Json
from tests.support.paths import SIMULATOR
from tests.support.waiting import wait_for
from tests.system import hosts
from tests.system.hosts import Fleet, Host, booted

pytestmark = [pytest.mark.hosts, pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not() or "never")]
UNIT = """\
[Unit]
Description=A simulated pool

[Service]
{type}
User=pool
RuntimeDirectory=ckpool
ExecStart={start}/opt/pool/ckpool -s /run/ckpool -c /opt/pool/ckpool.conf
"""
FORKING = ("Type=forking\nGuessMainPID=no", "/usr/bin/setsid --fork ")
"""How a handover survives a systemd that has no ExitType=."""


@pytest.fixture(scope="module")
def fleet(trees: Path) -> Iterator[Fleet]:
    with booted({f"on-{suite}": suite for suite in hosts.SUITES}, trees) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def pools() -> set[str]:
    """The names of the hosts that have their pool."""
    return set()


def install(host: Host) -> None:
    """Make a simulated pool that is a unit."""
    kind, start = FORKING if int(hosts.SUITES[host.suite]) < 250 else ("ExitType=cgroup", "")
    root = host.root
    host.run("sudo useradd --system pool; sudo mkdir -p /opt/pool /var/log/pool; sudo chown pool: /var/log/pool")
    (root / "opt/pool/ckpool").write_text("#!/usr/bin/python3\n" + SIMULATOR.read_text())
    (root / "opt/pool/ckpool").chmod(0o755)
    config = {"logdir": "/var/log/pool", "simulation": {"status_interval": 1, "users": 3}}
    (root / "opt/pool/ckpool.conf").write_text(json.dumps(config))
    (root / "etc/systemd/system/ckpool.service").write_text(UNIT.format(type=kind, start=start))
    host.run("sudo systemctl daemon-reload && sudo systemctl restart ckpool")
    wait_for(lambda: "pong" in ask(host, "listener", "ping"), f"the pool of {host.name}")


def ask(host: Host, socket: str, message: str) -> str:
    """What the pool of a host replies."""
    script = (
        "import socket,struct,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]);"
        "m=sys.argv[2].encode(); s.sendall(struct.pack('<I',len(m))+m); n=struct.unpack('<I',s.recv(4))[0]; print(s.recv(n).decode())"
    )
    return host.run(f'sudo python3 -c "{script}" /run/ckpool/{socket} {message}', check=False).stdout


def on(host: Host, ansible: Ansible, *tasks: tuple[str, dict[str, Any]]) -> list[Json]:
    """The results of modules on a host, with sudo."""
    steps = [{f"ckpool.fleet.{name}": options, "ignore_errors": True} for name, options in tasks]
    play = {"hosts": host.name, "gather_facts": False, "become": True, "tasks": steps}
    run = ansible.playbook([play], inventory={host.name: host.variables()})
    assert len(run.records) == len(steps), run.text
    return [{**record.result, "failed": record.outcome == "failed"} for record in run.records]


@pytest.fixture(params=list(hosts.SUITES))
def host(request: pytest.FixtureRequest, fleet: Fleet, pools: set[str]) -> Host:
    """A host of each release, with a simulated pool that runs as a unit."""
    host = fleet[f"on-{request.param}"]
    if host.name not in pools:
        pools.add(host.name)
        install(host)
    return host


def test_its_unit_is_found(host: Host, ansible: Ansible) -> None:
    (result,) = on(host, ansible, ("ckpool_instance_info", {}))
    (found,) = result["instances"]
    assert (found["unit"], found["user"], found["socket_dir"]) == ("ckpool.service", "pool", "/run/ckpool")


def test_a_level_returns_by_a_timer_of_systemd(host: Host, ansible: Ansible) -> None:
    (result,) = on(host, ansible, ("ckpool_loglevel", {"level": "debug", "restore_after": "4s"}))
    assert result["changed"] and result["returns"]["timer"].startswith("ckpool-fleet-loglevel-"), result
    told = host.root / "var/log/pool/simulation.jsonl"

    def levels() -> list[str]:
        return [json.loads(line)["message"] for line in told.read_text().splitlines() if "loglevel" in line]

    wait_for(lambda: levels()[-2:] == ["loglevel=7", "loglevel=5"], "the level that returns", 60)
    # Its service ends, and takes its timer along, after it has sent the level.
    wait_for(lambda: "ckpool-fleet" not in host.run("systemctl list-timers --all").stdout, "the end of the timer")


def test_a_handover_survives_its_unit(host: Host, ansible: Ansible) -> None:
    before = (
        host.run("cat /run/ckpool/main.pid", check=False).stdout or host.run("sudo cat /run/ckpool/main.pid").stdout
    )
    (result,) = on(host, ansible, ("ckpool_restart", {"clients_percent": 0}))
    assert not result["failed"], result["msg"]
    assert str(result["pid_before"]) == before.strip() or result["pid_after"] != result["pid_before"]
    time.sleep(2)
    assert "pong" in ask(host, "listener", "ping")
    assert host.run("systemctl is-active ckpool", check=False).stdout.strip() == "active"


def test_the_unit_is_stopped(host: Host, ansible: Ansible) -> None:
    (result,) = on(host, ansible, ("ckpool_shutdown", {"service": "auto"}))
    assert not result["failed"], result["msg"]
    assert host.run("systemctl is-active ckpool", check=False).stdout.strip() in ("inactive", "failed")
    assert host.run("pgrep -f /opt/pool/ckpool", check=False).stdout.strip() in ("",)
