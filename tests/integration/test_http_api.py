# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the HTTP service on a host, and the role http_api as far as it comes without systemd."""

from __future__ import annotations

import grp
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, Simulated
from tests.support.ansible import Ansible, Json, Run, local
from tests.support.machine import Machine

ROLE = ROOT / "roles" / "http_api"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


@pytest.mark.every_core
@needs_root
def test_the_program_is_placed_once(ansible: Ansible, home: Path) -> None:
    dest = home / "ckpool-http.pyz"
    task = ("ckpool_http_program", {"dest": str(dest)})
    (predicted,) = ansible.control([task], check=True)
    assert predicted["changed"] and "would become" in predicted["msg"] and not dest.exists()
    first, again = ansible.control([task, task])
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["diff"] == predicted["diff"] and "\0" not in str(first["diff"])
    assert (first["checksum"], first["size"]) == (again["checksum"], dest.stat().st_size)
    assert (dest.stat().st_uid, dest.stat().st_mode & 0o777) == (0, 0o644)
    dest.chmod(0o666)
    (mended,) = ansible.control([task])
    assert mended["changed"] and "mode: 0666" in mended["diff"]["before"] and "mode: 0644" in mended["diff"]["after"]
    assert os.listdir(home) == [dest.name]


def test_a_host_that_does_not_take_it(ansible: Ansible, home: Path) -> None:
    (failed,) = ansible.control([("ckpool_http_program", {"dest": str(home / "gone/ckpool-http.pyz")})])
    assert failed["failed"] and "does not exist" in failed["msg"]


class Role:
    """The role below a folder, on a host that sees only its own processes."""

    def __init__(self, ansible: Ansible, machine: Machine, home: Path) -> None:
        self.ansible = ansible
        self.machine = machine
        self.home = home
        self.variables: Json = {
            "service": False, "user": "nobody", "prefix": f"{home}/opt", "config_dir": f"{home}/etc", "unit_dir": str(home),
            "packages": ["coreutils"],  # which is there: nothing is to be installed on the machine of the tests
        }  # fmt: skip

    def run(self, *arguments: str, **variables: Any) -> Run:
        given = {f"http_api_{name}": value for name, value in {**self.variables, **variables}.items()}
        play = {"hosts": "localhost", "gather_facts": False, "roles": ["ckpool.fleet.http_api"], "vars": given}
        run = self.ansible.playbook([play], *arguments, inventory={"localhost": self.machine.host()})
        assert "Traceback" not in run.text
        return run


@pytest.fixture
def role(ansible: Ansible, machine: Machine, home: Path) -> Role:
    return Role(ansible, machine, home)


@pytest.mark.every_core
@needs_root
def test_check_mode_says_what_would_be(role: Role) -> None:
    with Simulated(role.home / "pool", prefix=role.machine.prefix):
        before = sorted(os.listdir(role.home))
        group = grp.getgrgid(os.getegid()).gr_name
        run = role.run("--check", "--diff", groups=[group])
    assert run.status == 0, run.text
    changed = {record.task.rpartition(" : ")[2] for record in run.records if record.result.get("changed")}
    assert {"Place the program", "Write the configuration", f"Make {role.home}/opt"} <= changed
    assert sorted(os.listdir(role.home)) == before
    report = run.results("set_fact")[-1]["ansible_facts"]["http_api_report"]
    assert report == {
        "url": "http://127.0.0.1:9333", "groups": [group], "not_served": [],
        "lines": [f"http://127.0.0.1:9333 would serve the pools of localhost as nobody, in the groups {group}"],
    }  # fmt: skip


@needs_root
def test_a_group_of_root_is_not_joined_unless_it_is_named(role: Role) -> None:
    """That of the pool, which runs as root as the tests do."""
    with Simulated(role.home / "pool", prefix=role.machine.prefix):
        run = role.run("--check")
        assert "is not served: its group is root" in run.text, run.text
        run = role.run(install_group="no-such-group")
    assert run.status == 2 and "The group of the sockets is not known: 1 instance: ckpool" in run.text, run.text
    assert not (role.home / "opt").exists()


def test_every_wrong_value_is_named(role: Role) -> None:
    wrong = {
        "port": 0, "start_timeout": 601, "token": "with a blank in the middle", "tls_key": "/x", "user": "root", "groups": ["a b"],
        "unit": "../x", "memory_max": "much", "prefix": "/opt/../etc", "log_dir": "logs",
    }  # fmt: skip
    run = role.run("--check", **wrong)
    said = str(run.records[-1].result["msg"])
    assert run.status == 2 and said.endswith("Nothing was changed"), run.text
    assert [part.partition(" ")[0] for part in said.split("; ")] == [
        "http_api_port", "http_api_start_timeout", "http_api_token", "http_api_tls_certificate", "http_api_user", "http_api_groups",
        "http_api_unit", "http_api_memory_max", "http_api_prefix,", "http_api_log_dir,",
    ]  # fmt: skip
    assert "in the middle" not in run.text


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"listen": "192.0.2.1", "token": "x" * 16},
            "http_api_listen is 192.0.2.1, where others can connect: this needs",
        ),
        ({"listen": "127.0.0.1.example.org"}, "where others can connect"),
        ({"listen": "::", "tls_certificate": "/x", "tls_key": "/y"}, "http_api_listen is ::"),
        ({"from": "source"}, "source"),
        ({"service": True}, "systemd does not run this host"),
        ({"groups": ["no-such-group"]}, "There is no group no-such-group"),
        ({"tls_certificate": "/nowhere/x", "tls_key": "/nowhere/y"}, "/nowhere/x, /nowhere/y is no file on localhost"),
    ],
)
def test_what_it_refuses(role: Role, variables: Json, says: str) -> None:
    run = role.run("--check", **variables)
    assert run.status != 0 and says in run.text, run.text
    assert "x" * 16 not in run.text


def test_a_host_whose_python_is_too_old(role: Role) -> None:
    run = role.run("--check", "-e", "http_api__least_python=99.1", groups=[grp.getgrgid(os.getegid()).gr_name])
    assert run.status == 2 and "and the service needs 99.1: ask the pools of localhost by ssh" in run.text, run.text


def test_a_system_whose_packages_cannot_be_installed(role: Role) -> None:
    """As of one without the repository that has them. No package can have this name."""
    group = grp.getgrgid(os.getegid()).gr_name
    run = role.run("--check", "-e", "http_api__family=RedHat", groups=[group], packages=["No Such Package"])
    said = str(run.records[-1].result["msg"])
    assert run.status == 2 and said.startswith("No Such Package cannot be installed: "), run.text
    assert "no reason" not in said
    assert said.endswith(
        "Set http_api_from=venv, or http_api_packages to the packages that have them. The service was not changed"
    )


@needs_root
def test_only_what_is_its_own_is_removed(role: Role) -> None:
    files = ("etc/config.json", "etc/token", "etc/main.conf", "opt/ckpool-http.pyz")
    for name in files:
        (role.home / name).parent.mkdir(exist_ok=True)
        (role.home / name).write_text("x")
    assert role.run("--check", state="absent").status == 0
    assert all((role.home / name).exists() for name in files)
    run = role.run(state="absent")
    assert run.status == 0, run.text
    assert sorted(path.name for path in role.home.rglob("*")) == ["etc", "main.conf"]
    unit = role.home / "ckpool-http.service"
    unit.write_text("[Unit]\n")
    run = role.run(state="absent")
    assert run.status == 2 and "was not made by this role" in run.text and unit.exists()


def rendered(ansible: Ansible, home: Path, template: str, **variables: Any) -> str:
    """A file of the role as it is made with these variables, without their prefix, on a host where group C(ckpool) is found."""
    task = {"ansible.builtin.template": {"src": str(ROLE / "templates" / template), "dest": str(home / "made")}}
    play = {
        "hosts": "localhost", "gather_facts": False, "tasks": [task],
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
    }  # fmt: skip
    pool = {"socket_dir": "/run/ckpool/main", "log_dir": "/var/log/ckpool", "config_file": "/etc/ckpool/main.conf"}
    found = {"http_api__found": {"instances": [pool]}, "http_api__unit_read": {}, "http_api__groups": ["ckpool"]}
    given = {f"http_api_{name}": value for name, value in variables.items()}
    run = ansible.playbook([play], inventory={"localhost": local()}, variables={**found, **given})
    assert run.status == 0, run.text
    return (home / "made").read_text()


def test_units(ansible: Ansible, home: Path) -> None:
    usual = rendered(ansible, home, "ckpool-http.service.j2")
    for line in (
        "User=ckpool-http", "SupplementaryGroups=ckpool", "CapabilityBoundingSet=", "ProtectHome=yes", "IPAddressDeny=any",
        "IPAddressAllow=localhost", "MemoryMax=256M", "LimitNOFILE=3024",
        "ExecStart=/usr/bin/python3 -I /opt/ckpool-http/ckpool-http.pyz --config /etc/ckpool-http/config.json",
    ):  # fmt: skip
        assert f"\n{line}\n" in usual
    assert "ReadWrite" not in usual and "Directory=" not in usual, "no path can be written"
    public = rendered(
        ansible, home, "ckpool-http.service.j2", listen="::", port=443, token="t" * 16, tls_certificate="/home/x/c",
        tls_key="/etc/k", max_connections=10000,
    )  # fmt: skip
    assert "IPAddress" not in public and "ProtectHome=read-only" in public and "LimitNOFILE=11024" in public
    assert "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n" in public
    assert "t" * 16 not in public
    venv = rendered(ansible, home, "ckpool-http.service.j2", **{"from": "venv"})
    assert "\nExecStart=/opt/ckpool-http/venv/bin/python3 -I /opt/" in venv


def test_configurations(ansible: Ansible, home: Path) -> None:
    usual = json.loads(rendered(ansible, home, "config.json.j2"))
    assert usual == {
        "listen": "127.0.0.1", "port": 9333, "socket_dirs": [], "log_dir": None, "token_file": None, "tls_certificate": None,
        "tls_key": None, "timeout": 3.0, "cache_seconds": 1.0, "top_users": 0, "max_connections": 2000, "max_requests": 64,
        "header_seconds": 10.0, "thresholds": {}, "skip_checks": [], "metrics_public": False,
    }  # fmt: skip
    full = json.loads(
        rendered(
            ansible,
            home,
            "config.json.j2",
            listen="0.0.0.0",
            port="9444",
            socket_dirs=["/run/a"],
            log_dir='/var/"log"',
            token="t" * 16,
            tls_certificate="/c",
            tls_key="/k",
            timeout="1",
            thresholds={"workers_min": 3},
            skip_checks=["files"],
            metrics_public="yes",
            top_users=5,
        )
    )
    assert full == {
        **usual, "listen": "0.0.0.0", "port": 9444, "socket_dirs": ["/run/a"], "log_dir": '/var/"log"',
        "token_file": "/etc/ckpool-http/token", "tls_certificate": "/c", "tls_key": "/k", "timeout": 1.0,
        "thresholds": {"workers_min": 3}, "skip_checks": ["files"], "metrics_public": True, "top_users": 5,
    }  # fmt: skip


def test_a_list_may_be_text_with_commas(ansible: Ansible, home: Path) -> None:
    """As that of a module: with -e, or from a survey."""
    made = json.loads(rendered(ansible, home, "config.json.j2", socket_dirs="/run/a, /run/b", skip_checks="files"))
    assert (made["socket_dirs"], made["skip_checks"]) == (["/run/a", "/run/b"], ["files"])


def test_groups_as_text_are_groups(role: Role) -> None:
    run = role.run("--check", groups="no-such-group,nor-this", socket_dirs="/run/a", packages="x")
    assert run.status == 2 and "There is no group no-such-group, nor-this" in run.text, run.text
