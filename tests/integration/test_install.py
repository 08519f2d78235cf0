# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases that are brought from the controller or a server, and the role install without systemd, below folders of its own."""

from __future__ import annotations

import contextlib
import functools
import grp
import hashlib
import http.server
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, SIMULATOR
from tests.support.ansible import Ansible, Json, Run, local
from tests.support.http_server import HttpServer
from tests.support.machine import Machine

SECRET = "correct-horse-battery"
PROGRAM = "#!/bin/sh\necho '-h | --help'\n"
NOBODY_S_GROUP = grp.getgrgid(65534).gr_name if os.geteuid() == 0 else ""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a server for a folder, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            asked.append(self.path)

    with HttpServer(functools.partial(Handler, directory=str(folder))) as server:
        yield server.url, asked


@pytest.fixture
def artifact(home: Path) -> Path:
    path = home / "ckpool-artifact"
    path.write_text(PROGRAM)
    return path


def release(ansible: Ansible, *tasks: Json, check: bool = False) -> list[Json]:
    """The results of ckpool_release."""
    return ansible.control([("ckpool_release", task) for task in tasks], check=check)


def test_an_artifact_of_the_controller_is_brought_once(ansible: Ansible, home: Path, artifact: Path) -> None:
    task = {"src": str(artifact), "version": "1.0", "prefix": str(home / "opt"), "state": "current"}
    (predicted,) = release(ansible, task, check=True)
    assert predicted["changed"] and not (home / "opt").exists()
    first, again = release(ansible, task, task)
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["release"]["source"] == str(artifact) and (home / "opt/current/ckpool").read_text() == PROGRAM
    assert predicted["diff"] == first["diff"]
    artifact.write_text(PROGRAM + "# another\n")
    (failed,) = release(ansible, task)
    assert failed["reason"] == "another_artifact" and (home / "opt/current/ckpool").read_text() == PROGRAM


def test_credentials_of_a_server_are_not_kept(ansible: Ansible, home: Path, artifact: Path) -> None:
    """What a release was made from is written down where everybody may read it."""
    with served(home) as (address, _asked):
        digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
        secret = address.replace("//", "//user:hunter2@")
        task = {"url": f"{secret}/{artifact.name}?token=hunter3", "checksum": digest, "prefix": str(home / "opt")}
        made, again, gone = release(
            ansible,
            {**task, "version": "1.0"},
            {**task, "version": "1.0"},
            {**task, "version": "2.0", "url": f"{secret}/gone?token=hunter3"},
        )
    assert (made["changed"], again["changed"], gone["reason"]) == (True, False, "download"), (made, gone)
    assert made["release"]["source"] == f"{address}/{artifact.name}"
    kept = (home / "opt/releases/1.0/release.json").read_text()
    assert "hunter" not in f"{made} {again} {gone} {kept}"


@pytest.mark.parametrize("place", ["inventory", "current"])
def test_a_relative_path_is_found_where_the_operator_is(
    ansible: Ansible, home: Path, artifact: Path, place: str
) -> None:
    """A playbook of a collection has no files of the operator beside it."""
    # Not below the folder of the play, where Ansible itself would find it.
    name = artifact.name if place == "inventory" else os.path.relpath(artifact)
    task = {"src": name, "version": "1.0", "prefix": str(home / "opt")}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ckpool.fleet.ckpool_release": task}]}
    folder = home if place == "inventory" else home.parent
    run = ansible.playbook([play], variables={"inventory_dir": str(folder)})
    assert run.status == 0, run.text
    (record,) = run.records
    assert os.path.realpath(record.result["release"]["source"]) == str(artifact)


def test_one_that_is_nowhere_is_looked_for_in_places_that_are_named(ansible: Ansible) -> None:
    (gone,) = release(ansible, {"src": "files/gone", "version": "1.0"})
    assert gone["reason"] == "absent" and "find: files/gone is not on the controller. Hint: not in " in gone["msg"]
    assert str(ROOT) in gone["hint"] and "\n" not in gone["msg"]


def test_one_with_a_wrong_checksum_is_not_brought(ansible: Ansible, home: Path, artifact: Path) -> None:
    task = {"src": str(artifact), "version": "1.0", "prefix": str(home / "opt")}
    wrong, gone = release(ansible, {**task, "checksum": "sha256:" + "0" * 64}, {**task, "src": str(home / "gone")})
    assert wrong["reason"] == "wrong_checksum" and str(artifact) in wrong["msg"]
    assert gone["reason"] == "absent" and "is not on the controller" in gone["msg"]
    assert not (home / "opt").exists()


def test_one_that_does_not_run_is_named_as_it_was_given(ansible: Ansible, home: Path, artifact: Path) -> None:
    why = "error while loading shared libraries: libzmq.so.5: cannot open shared object file: No such file or directory"
    artifact.write_text(f'#!/bin/sh\necho "$0: {why}" >&2\nexit 127\n')
    (failed,) = release(ansible, {"src": str(artifact), "version": "1.0", "prefix": str(home / "opt")})
    guide = (ROOT / "docs" / "install.md").read_text().partition("<!-- output: does_not_run -->")[2]
    shown = " ".join(guide.partition("```text\n")[2].partition("\n```")[0].split())
    assert failed["reason"] == "does_not_run" and failed["msg"] == shown.replace("files/ckpool", str(artifact))
    assert os.listdir(home / "opt/releases") == []


@pytest.mark.every_core
def test_one_from_a_server(ansible: Ansible, home: Path, artifact: Path) -> None:
    with served(home) as (address, asked):
        digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
        task = {"url": f"{address}/{artifact.name}", "checksum": digest, "version": "1.0", "prefix": str(home / "opt")}
        first, again = release(ansible, task, task)
        assert (first["changed"], again["changed"]) == (True, False) and asked == [f"/{artifact.name}"]
        assert first["release"]["source"] == task["url"]
        wrong, gone, unnamed = release(
            ansible,
            {**task, "version": "2.0", "checksum": "0" * 64},
            {**task, "version": "2.0", "url": f"{address}/gone"},
            {**task, "version": "2.0", "checksum": None},
        )
    assert wrong["reason"] == gone["reason"] == "download" and "404" in gone["msg"], (wrong, gone)
    assert unnamed["reason"] == "bad_option"
    assert os.listdir(home / "opt/releases") == ["1.0"]


class Role:
    """The role install below a folder, as it makes an image: without systemd, and with no pool but its own."""

    def __init__(self, ansible: Ansible, machine: Machine, home: Path, artifact: Path) -> None:
        self.ansible = ansible
        self.machine = machine
        self.home = home
        self.config: Json = {
            "btcd": [{"url": "127.0.0.1:8332", "auth": "rpc-user", "pass": SECRET}],
            "btcaddress": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
            "serverurl": "127.0.0.1:3333",
        }
        self.variables: Json = {
            "install_artifact": str(artifact), "install_version": "1.0", "install_service": False,
            "install_user": "nobody", "install_group": NOBODY_S_GROUP,
            "install_prefix": str(home / "opt"), "install_config_dir": str(home / "etc"),
            "install_state_dir": str(home / "state"), "install_logrotate_dir": str(home),
        }  # fmt: skip

    def run(self, *arguments: str, instances: list[Json] | None = None, **variables: Any) -> Run:
        one = {
            "name": "main",
            "log_dir": str(self.home / "logs/main"),
            "socket_dir": str(self.home / "sockets"),
            "config": self.config,
        }
        given = {**self.variables, "install_instances": [one] if instances is None else instances, **variables}
        play = {"hosts": "localhost", "gather_facts": False, "roles": ["ckpool.fleet.install"], "vars": given}
        run = self.ansible.playbook([play], *arguments, inventory={"localhost": self.machine.host()})
        assert SECRET not in run.text and "rpc-user" not in run.text
        return run

    def changed(self, *arguments: str, **variables: Any) -> list[str]:
        """The tasks that changed something."""
        run = self.run(*arguments, **variables)
        assert run.status == 0, run.text
        return [record.task.partition(" : ")[2] for record in run.records if record.result.get("changed")]


@pytest.fixture
def role(ansible: Ansible, machine: Machine, home: Path) -> Role:
    artifact = home / "artifact"
    artifact.write_text("#!/usr/bin/env python3\n" + SIMULATOR.read_text())
    home.chmod(0o755)
    return Role(ansible, machine, home, artifact)


@needs_root
def test_the_role_without_systemd(role: Role) -> None:
    before = sorted(os.listdir(role.home))
    assert "Configure it" in role.changed("--check", "--diff", "-vvv")
    assert sorted(os.listdir(role.home)) == before
    first = role.changed("-vvv")
    assert "Place the release" in first and "Configure it" in first
    assert role.changed() == [] and role.changed("--check") == []
    config = (role.home / "etc/main.conf").read_text()
    assert json.loads(config[: config.rindex("}") + 1]) == {
        **role.config, "serverurl": ["127.0.0.1:3333"], "logdir": str(role.home / "logs/main"),
    }  # fmt: skip
    assert (role.home / "ckpool-fleet-main").read_text().startswith("# Managed by Ansible")
    assert (role.home / "opt/current/ckpool").stat().st_uid == 0
    assert (role.home / "state/main").stat().st_uid == (role.home / "logs/main").stat().st_uid == 65534
    role.config["startdiff"] = 99
    assert role.changed() == ["Configure it"]


@needs_root
def test_nothing_is_changed_within_the_window_of_another_run(role: Role) -> None:
    """The host may put back what was there when that window began."""
    windows = str(role.home / "windows")
    (opened,) = role.ansible.control(
        [("ckpool_window", {"state": "opened", "reason": "an upgrade", "folder": windows, "run": "another"})]
    )
    run = role.run(upgrade_folder=windows)
    (failed,) = run.of("assert")[-1:]
    assert run.status == 2 and not (role.home / "opt").exists(), run.text
    assert opened["window"]["owner"] in failed.result["msg"] and "nothing was done" in failed.result["msg"]
    assert role.changed("--check", upgrade_folder=windows), "that changes nothing"


@needs_root
def test_a_host_without_packages_of_debian(role: Role) -> None:
    """Where nothing of Debian is to be covered, there is nothing anyway."""
    role.machine.run("mount", "--bind", "/dev/null", "/usr/bin/dpkg-query")
    del role.variables["install_artifact"]
    run = role.run(install_package="ckpool")
    assert run.status == 2 and "install_package takes a Debian package, and localhost has none" in run.text, run.text
    assert not (role.home / "opt").exists()


@pytest.mark.every_core
@needs_root
def test_the_configuration_is_tested_by_the_daemon(role: Role) -> None:
    role.config["simulation"] = {"no such key": 1}
    run = role.run()
    assert run.status != 0 and "unknown simulation keys: no such key" in run.text
    assert not (role.home / "etc/main.conf").exists()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"install_url": "https://x/y"}, "Give one of install_artifact"),
        ({"install_artifact": None, "install_url": "https://x/y"}, "install_checksum"),
        ({"install_version": None}, "install_version unless it is a package"),
        ({"install_artifact": None, "install_version": None}, "No release is current"),
        ({"install_service": True, "install_unit_dir": "/nowhere"}, "systemd does not run this host"),
        ({"install_instances": [{"name": "a"}, {"name": "a"}]}, "are different from each other"),
        ({"install_instances": [{"name": "a.b"}]}, "letters, digits"),
        ({"install_instances": [{"name": "a", "mode": "node"}]}, "node"),
        ({"install_instances": [{"name": "a", "options": ["-Pk"]}]}, "none of those that the role gives itself"),
        ({"install_instances": [{"name": "a", "options": ["--config=x"]}]}, "none of those that the role gives itself"),
        ({"install_instances": [{"name": "a", "options": ["-l 6"]}]}, "words without blanks"),
        ({"install_instances": [{"name": "a", "config": {"logdir": "/x"}}]}, "is given by log_dir"),
        ({"install_instances": [{"name": "a", "confg": {}}]}, "confg"),
    ],
)
def test_what_it_refuses(role: Role, variables: Json, says: str) -> None:
    given = {name: value for name, value in {**role.variables, **variables}.items() if value is not None}
    role.variables = {}
    run = role.run("--check", **{"instances": given.pop("install_instances", None), **given})
    assert run.status != 0 and says in run.text, run.text


def rendered(ansible: Ansible, home: Path, systemd: int, **one: Any) -> str:
    """The unit of an instance, as the role writes it on a host with that version of systemd."""
    role = ROOT / "roles" / "install"
    unit = {"name": "ckpool-main.service"}
    places = {
        "config_file": "/etc/ckpool/main.conf",
        "socket_dir": "/run/ckpool/main",
        "log_dir": "/var/log/ckpool/main",
    }
    found = {"name": "main", "mode": "pool", "kind": "absent", "running": None, "unit": unit, **places}
    given = {"name": "main", "config": {"serverurl": "0.0.0.0:3333"}, **one}
    task = {"ansible.builtin.template": {"src": str(role / "templates/ckpool.service.j2"), "dest": str(home / "unit")}}
    play = {
        "hosts": "localhost", "gather_facts": False, "tasks": [task],
        "vars_files": [str(role / "defaults/main.yml"), str(role / "vars/main.yml")],
    }  # fmt: skip
    variables = {
        "install_instances": [given],
        "install_found": {"systemd": {"version": systemd}},
        "install__one": {**found, **{key: one[key] for key in found if key in one}},
    }
    run = ansible.playbook([play], inventory={"localhost": local()}, variables=variables)
    assert run.status == 0, run.text
    return (home / "unit").read_text()


def test_the_guide_shows_the_unit(ansible: Ansible, home: Path) -> None:
    guide = (ROOT / "docs" / "install.md").read_text().partition("<!-- unit -->")[2]
    assert rendered(ansible, home, 252) == guide.partition("```ini\n")[2].partition("```\n")[0]


def test_units_of_other_instances(ansible: Ansible, home: Path) -> None:
    old = rendered(ansible, home, 247)
    assert "Type=forking\nGuessMainPID=no\nExecStart=/usr/bin/setsid --fork /opt/ckpool/current/ckpool -n main" in old
    assert "ExitType=cgroup" not in old
    proxy = rendered(
        ansible, home, 257, mode="redirector", log_dir="/home/pool/logs", socket_dir="/srv/sockets", options=["-l", "6"],
        config={"serverurl": ["0.0.0.0:80", "[::]:3333"]},
    )  # fmt: skip
    assert "ExecStart=/opt/ckpool/current/ckpool -R -n main -c /etc/ckpool/main.conf -s /srv/sockets -l 6\n" in proxy
    assert "ProtectHome=read-only" in proxy and "ReadWritePaths=/home/pool/logs /srv/sockets\n" in proxy
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in proxy and "RuntimeDirectory=" not in proxy
    cookie = rendered(ansible, home, 257, config={"btcd": [{"url": "x:1", "cookie": "/home/btc/.cookie"}]})
    assert "ProtectHome=read-only" in cookie
