# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Windows on a host without systemd, where a pool can hand over and nothing else: hooks, silences, several pools, records."""

from __future__ import annotations

import contextlib
import grp
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, SIMULATOR
from tests.support.ansible import Ansible, Json, Run
from tests.support.http_server import Handler, HttpServer
from tests.support.machine import Machine, needs_namespaces
from tests.support.waiting import wait_for
from tests.system.windows import FAST, Releases, outcome

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others"), needs_namespaces]
NOBODY_S_GROUP = grp.getgrgid(65534).gr_name
PATIENT = {**FAST, **{f"upgrade_{what}_timeout": 90 for what in ("verify", "ready", "handover", "start", "stop")}}
"""Where only what goes wrong waits for so long, and a busy machine needs 5 s to start a program."""
CONFIG = {
    "btcd": [{"url": "127.0.0.1:8332", "auth": "u", "pass": "p"}],
    "btcaddress": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
}


class Alertmanager(HttpServer):
    """A stand-in that takes silences, and ends them.

    :ivar asked: method and path of each request, with its body.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        alertmanager = self

        class Requests(Handler):
            def do_POST(self) -> None:
                alertmanager.asked.append(("POST", self.path, json.loads(self.body())))
                self.reply(200, b'{"silenceID": "an-id"}')

            def do_DELETE(self) -> None:
                alertmanager.asked.append(("DELETE", self.path, None))
                self.reply(200, b"{}")

        super().__init__(Requests)


class Host:
    """A host that is a machine of its own, whose pools run by the release that is current below a folder."""

    def __init__(self, ansible: Ansible, machine: Machine, home: Path, names: list[str]) -> None:
        self.ansible, self.machine, self.home, self.names = ansible, machine, home, names
        (home / "artifacts").mkdir()
        self.releases = Releases(home / "artifacts")
        self.wanted = self.releases.good()

    def play(self, role: str, *arguments: str, **variables: Any) -> Run:
        """Run a role on it."""
        instances = [
            {
                "name": name,
                "log_dir": str(self.home / f"logs/{name}"),
                "socket_dir": str(self.home / f"s-{name}"),
                "config": {
                    **CONFIG,
                    "serverurl": [f"127.0.0.1:{3333 + number}"],
                    "update_interval": 1,
                    "simulation": {"status_interval": 1, "users": 3},
                },
            }
            for number, name in enumerate(self.names)
        ]
        given = {
            **PATIENT, **self.wanted, "install_service": False, "install_user": "nobody", "install_group": NOBODY_S_GROUP,
            "install_prefix": str(self.home / "opt"), "install_config_dir": str(self.home / "etc"),
            "install_state_dir": str(self.home / "state"), "install_logrotate_dir": str(self.home),
            "install_instances": instances, "upgrade_folder": str(self.home / "w"),
            # As a person gives it: relative to where the run is started, and not to the play.
            "upgrade_record_dir": os.path.relpath(self.home / "records", ROOT), **variables,
        }  # fmt: skip
        play = {"hosts": "pool1", "gather_facts": False, "roles": [f"ckpool.fleet.{role}"], "vars": given}
        return self.ansible.playbook([play], *arguments, inventory={"pool1": self.machine.host()})

    def start(self) -> None:
        """Install a release, and start the pools by hand."""
        run = self.play("install")
        assert run.status == 0, run.text
        for name in self.names:
            command = [
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(self.home / "opt/current/ckpool"), "-n", name,
                "-c", str(self.home / f"etc/{name}.conf"), "-s", str(self.home / f"s-{name}"), "-D",
            ]  # fmt: skip
            done = self.machine.run(*command)
            assert done.returncode == 0, done.stderr
        wait_for(lambda: all(self.runs(name) for name in self.names), "the pools")

    def runs(self, name: str = "main") -> str:
        """The release that a pool runs, as that wrote down itself."""
        with contextlib.suppress(FileNotFoundError):
            return (self.home / f"logs/{name}/release").read_text()
        return ""

    @property
    def current(self) -> str:
        return os.path.basename(os.readlink(self.home / "opt/current"))

    def window(self) -> Json:
        """The record on the host."""
        found: Json = json.loads((self.home / "w/window.json").read_text())
        return found


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, folder: Path, place: Any) -> Path:
    """A folder that the daemons' user may enter, in one that nobody else can exchange."""
    made: Path = place()
    made.mkdir()
    made.chmod(0o755)
    return made


@pytest.fixture
def host(ansible: Ansible, machine: Machine, home: Path) -> Iterator[Host]:
    made = Host(ansible, machine, home, ["main"])
    made.start()
    yield made


def hook(home: Path, name: str, *, fails: bool = False) -> str:
    """A tasks file that leaves a mark, and may fail then."""
    path = home / f"{name}.yml"
    tasks: list[Json] = [
        {
            "name": f"Mark {name}",
            "ansible.builtin.lineinfile": {"path": str(home / "marks"), "line": name, "create": True, "mode": "0644"},
        }
    ]
    if fails:
        tasks.append({"name": "Fail", "ansible.builtin.fail": {"msg": "a hook of ours has failed"}})
    path.write_text(json.dumps(tasks))
    return str(path)


@pytest.mark.parametrize("fails", [False, True], ids=["passes", "fails"])
def test_hooks_and_a_silence(host: Host, fails: bool) -> None:
    before, release = host.runs(), host.releases.good()
    with Alertmanager() as alertmanager:
        run = host.play(
            "upgrade",
            "-vvv",
            **release,
            upgrade_reason="a test",
            upgrade_silence_url=alertmanager.url,
            upgrade_silence_headers={"Authorization": "Bearer secret-of-alertmanager"},
            upgrade_before=[hook(host.home, "before")],
            upgrade_after=[hook(host.home, "after", fails=fails)],
            upgrade_failed=[hook(host.home, "failed")],
        )
    assert outcome(run) == ("rolled_back" if fails else "done"), run.text
    assert host.runs() == host.current == (before if fails else release["install_version"])
    assert (host.home / "marks").read_text().split() == ["before", "after", *(["failed"] if fails else [])]
    (begun, path, body), ended = alertmanager.asked
    assert (begun, path, ended[:2]) == ("POST", "/api/v2/silences", ("DELETE", "/api/v2/silence/an-id"))
    assert body["matchers"] == [{"name": "instance", "value": "pool1(:[0-9]+)?", "isRegex": True}]
    assert body["startsAt"] < body["endsAt"] and body["comment"].startswith("a test on pool1, run 20")
    assert ("a hook of ours has failed" in run.text) is fails
    record = host.window()
    assert (record["outcome"], record["reason"]) == (outcome(run), "a test")
    (kept,) = (host.home / "records").iterdir()
    assert json.loads(kept.read_text())["outcome"] == outcome(run)
    assert (kept.name, kept.stat().st_mode & 0o777) == (f"pool1_{record['run']}.json", 0o600)
    assert "secret-of-alertmanager" not in run.text


def test_a_list_may_be_text_with_commas(host: Host) -> None:
    """As that of a module: with -e, or from a survey. A hook that is none would take back what is good."""
    release = host.releases.good()
    names = {"upgrade_before": f"{hook(host.home, 'first')}, {hook(host.home, 'second')}",
             "upgrade_after": hook(host.home, "after"), "upgrade_failed": "", "upgrade_skip_checks": "disk, users"}  # fmt: skip
    run = host.play("upgrade", **release, **names)
    assert outcome(run) == "done", run.text
    assert host.runs() == host.current == release["install_version"]
    assert (host.home / "marks").read_text().split() == ["first", "second", "after"]


def test_an_alertmanager_that_is_away_keeps_the_window_from_being_begun(host: Host) -> None:
    before = host.runs()
    run = host.play("upgrade", **host.releases.good(), upgrade_silence_url="http://127.0.0.1:9")
    assert (run.status, outcome(run)) == (2, "not_started"), run.text
    assert host.runs() == host.current == before


def test_a_hook_that_fails_before_changes_nothing(host: Host) -> None:
    before = host.runs()
    run = host.play("upgrade", **host.releases.good(), upgrade_before=[hook(host.home, "before", fails=True)])
    assert (run.status, outcome(run)) == (2, "not_started"), run.text
    assert host.runs() == host.current == before


def test_of_several_pools_all_go_back(ansible: Ansible, machine: Machine, home: Path) -> None:
    """The second one loses its miners; the first one serves, and goes back with it: a host has one release."""
    host = Host(ansible, machine, home, ["first", "second"])
    host.start()
    before = host.current
    text = SIMULATOR.read_text().replace(
        'if __name__ == "__main__":',
        "_handed_over = Readiness.handed_over\n"
        "Readiness.handed_over = lambda self: [] if self.arguments.name == 'second' else _handed_over(self)\n\n"
        'if __name__ == "__main__":',
    )
    path = home / "artifacts/loses"
    path.write_text(f"#!/usr/bin/env python3\n{text}")
    path.chmod(0o755)
    run = host.play("upgrade", install_version="loses", install_artifact=str(path))
    assert outcome(run) == "rolled_back", run.text
    assert [host.runs("first"), host.runs("second"), host.current] == [before] * 3
    ends = [pool["outcome"] for pool in host.window()["report"]["pools"]]
    assert ends == ["done", "rolled_back"]
    release = host.releases.good()
    assert outcome(host.play("upgrade", **release)) == "done"
    assert [host.runs("first"), host.runs("second"), host.current] == [release["install_version"]] * 3


def test_a_rollback_without_a_window_ends_alike_in_check_mode(host: Host) -> None:
    for arguments in (["--check"], []):
        run = host.play("rollback", *arguments)
        assert "there is no window" in run.text, run.text
        assert (run.status, outcome(run)) == (2, "not_started"), arguments


@pytest.mark.every_core
def test_a_rollback_by_hand_and_check_mode(host: Host) -> None:
    before, release = host.runs(), host.releases.good()
    predicted = host.play("upgrade", "--check", **release)
    assert predicted.status == 0 and "would upgrade main (6 clients)" in predicted.text, predicted.text
    assert host.runs() == host.current == before and not (host.home / "w/window.json").exists()
    assert outcome(host.play("upgrade", **release)) == "done"
    assert "release: " in host.play("rollback", "--check").text and host.runs() == release["install_version"]
    assert outcome(host.play("rollback")) == "done"
    assert host.runs() == host.current == before


def test_a_window_that_another_controller_holds(host: Host) -> None:
    folder = {"folder": str(host.home / "w")}
    elsewhere = {"run": "other-run", "owner": "bob@ci7", "controller": {"host": "ci7", "pid": 1, "started": 1}}

    def window(**options: Any) -> Json:
        play = {
            "hosts": "pool1",
            "gather_facts": False,
            "tasks": [{"ckpool.fleet.ckpool_window": {**folder, **options}}],
        }
        (record,) = host.ansible.playbook([play], inventory={"pool1": host.machine.host()}).records
        return {**record.result, "outcome_of_task": record.outcome}

    assert window(state="opened", reason="theirs", **elsewhere)["outcome_of_task"] == "ok"
    run = host.play("upgrade", **host.releases.good())
    assert (run.status, outcome(run)) == (2, "not_started"), run.text
    assert "held by bob@ci7 (run other-run) for 'theirs' since 20" in run.text
    assert host.window()["run"] == "other-run", "it is theirs still"
    assert "bob@ci7" in window()["msg"]
    assert window(state="broken")["changed"]
    taken = host.play("upgrade", **host.releases.good())
    assert outcome(taken) == "done", taken.text
    assert "bob@ci7 (run other-run) did not close the window" in taken.text
