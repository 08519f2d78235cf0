# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program behind the role: from the present instances to the described ones, and back to none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.support import SIMULATOR, argv_of, ask, wait_for


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *options: str, **fleet: Any) -> subprocess.CompletedProcess[str]:
        """As the role does it: the program comes over standard input."""
        arguments = ["--dir", str(self.path), "--fleet", json.dumps(fleet), *options]
        program = SIMULATOR.with_name("simulated_fleet.py").read_text()
        return subprocess.run(
            [sys.executable, "-", *arguments], input=program, capture_output=True, text=True, timeout=60, check=False
        )

    def apply(self, *options: str, **fleet: Any) -> dict[str, Any]:
        done = self.run(*options, **fleet)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def install(self) -> None:
        self.path.mkdir()
        shutil.copy(SIMULATOR, self.path)

    def processes(self) -> dict[str, int]:
        """The running instances by their names."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            words = argv_of(int(entry))
            if str(self.path / "simulated_ckpool.py") in words:
                found[words[words.index("-n") + 1]] = int(entry)
        return found


@pytest.fixture
def folder(home: Path) -> Iterator[Folder]:
    folder = Folder(home / "fleet")
    folder.install()
    yield folder
    folder.run()
    assert folder.processes() == {}


def test_from_nothing_to_nothing(folder: Folder) -> None:
    predicted = folder.apply("--check", count=3)
    assert folder.processes() == {}
    assert folder.apply(count=3) == predicted
    assert predicted["started"] == ["pool01", "pool02", "pool03"]
    assert sorted(folder.processes()) == predicted["started"]
    again = folder.apply(count=3)
    assert (again["differs"], again["instances"]) == (False, predicted["instances"])
    assert folder.apply("--check")["stopped"] == predicted["started"]
    assert len(folder.processes()) == 3
    folder.apply()
    assert folder.processes() == {}
    assert not folder.path.exists()
    assert folder.apply()["differs"] is False


def test_changes_are_taken_over_by_running_instances(folder: Folder) -> None:
    instance = {"name": "a", "users": 2}
    folder.apply(instances=[instance])
    before = folder.processes()
    changed = {**instance, "users": 5, "faults": [{"fault": "hung"}]}
    assert folder.apply("--check", instances=[changed])["reconfigured"] == ["a"]
    assert folder.apply(instances=[changed])["reconfigured"] == ["a"]
    assert folder.processes() == before
    moved = {**changed, "mode": "proxy"}
    assert folder.apply(instances=[moved])["started"] == ["a"]
    assert folder.processes()["a"] != before["a"]


def test_an_instance_that_shall_be_down_stays_down(folder: Folder) -> None:
    down = {"name": "a", "faults": [{"fault": "down"}]}
    assert folder.apply(instances=[down])["started"] == ["a"]
    assert folder.processes() == {}
    assert folder.apply(instances=[down])["differs"] is False
    assert folder.apply(instances=[{"name": "a"}])["started"] == ["a"]
    assert folder.apply(instances=[down])["reconfigured"] == ["a"]
    assert folder.processes() == {}


def test_what_a_failed_restart_leaves_is_replaced(folder: Folder) -> None:
    failing = {"name": "a", "faults": [{"fault": "restart_fails"}]}
    folder.apply(instances=[failing])
    before = folder.processes()["a"]
    assert ask(str(folder.path / "a" / "sockets" / "listener"), "restart").text == "restarting"
    wait_for(lambda: folder.processes().get("a") not in (None, before), "another process")
    assert folder.apply(instances=[failing])["started"] == ["a"]
    assert folder.apply(instances=[failing])["differs"] is False


def test_folders_elsewhere_are_left_as_they_were(folder: Folder, home: Path) -> None:
    logs = home / "logs"
    logs.mkdir()
    (logs / "mine").write_text("keep")
    forbidden = [{"fault": "no_permission"}]
    places = {"socket_dir": str(home / "sockets"), "log_dir": str(logs)}
    folder.apply(instances=[{"name": "a", "faults": forbidden, **places}])
    assert (logs / "a.log").exists()
    assert folder.apply(instances=[{"name": "b"}])["stopped"] == ["a"]
    assert os.listdir(logs) == ["mine"]
    assert not (home / "sockets").exists()


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ([{"name": "a" * 60, "socket_dir": "/tmp/" + "b" * 100}], "but Unix allows 107"),
        ([{"name": "../a"}], "no name for an instance"),
        ([{"name": "a"}, {"name": "a"}], "share the name a"),
        ([{"name": "a", "faults": [{"fault": "misspelt"}]}], "misspelt"),
    ],
)
def test_what_cannot_be_done_is_refused(instances: list[dict[str, Any]], reason: str, folder: Folder) -> None:
    done = folder.run(instances=instances)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert folder.processes() == {}
