# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program behind the role: from what is there to what is wanted, and back to nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

FILES = Path(__file__).parents[3] / "roles" / "simulated_pool" / "files"


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *options: str, **fleet: Any) -> subprocess.CompletedProcess[str]:
        """As the role does it: the program comes over standard input."""
        arguments = ["--dir", str(self.path), "--fleet", json.dumps(fleet), *options]
        program = (FILES / "simulated_fleet.py").read_text()
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
        shutil.copy(FILES / "simulated_ckpool.py", self.path)

    def processes(self) -> dict[str, int]:
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path("/proc", entry, "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if str(self.path / "simulated_ckpool.py") in words:
                found[words[words.index("-n") + 1]] = int(entry)
        return found


@pytest.fixture
def folder(short_tmp: Path) -> Iterator[Folder]:
    folder = Folder(short_tmp / "fleet")
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
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder.path / "a" / "sockets" / "listener"))
        connection.sendall(struct.pack("<I", 7) + b"restart")
        assert connection.recv(100)[4:] == b"restarting"
        connection.recv(1)
    deadline = time.monotonic() + 10
    while folder.processes().get("a") in (None, before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert folder.processes()["a"] != before
    assert folder.apply(instances=[failing])["started"] == ["a"]
    assert folder.apply(instances=[failing])["differs"] is False


def test_folders_elsewhere_are_left_as_they_were(folder: Folder, short_tmp: Path) -> None:
    logs = short_tmp / "logs"
    logs.mkdir()
    (logs / "mine").write_text("keep")
    forbidden = [{"fault": "no_permission"}]
    places = {"socket_dir": str(short_tmp / "sockets"), "log_dir": str(logs)}
    folder.apply(instances=[{"name": "a", "faults": forbidden, **places}])
    assert (logs / "a.log").exists()
    assert folder.apply(instances=[{"name": "b"}])["stopped"] == ["a"]
    assert os.listdir(logs) == ["mine"]
    assert not (short_tmp / "sockets").exists()


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
