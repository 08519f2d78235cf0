# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_instance_info: identity, user, version and directories of each instance, without asking it."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import systemd

from tests.support import FakeSocket, Simulated, answers, argv_of, wait_for

from .conftest import Run

pytestmark = pytest.mark.usefixtures("alone", "memory")
Start = t.Callable[..., Simulated]
KEYS = {
    "name", "mode", "socket_dir", "log_dir", "config_file", "pid", "pid_state", "started", "root", "user", "program",
    "version", "unit", "state", "problems", "group", "regular_user",
}  # fmt: skip


def test_what_is_known_of_each_without_asking_it(run: Run, simulate: Start) -> None:
    before = time.time()
    one, proxy = simulate(), simulate("-p", "-l", "4")
    told = [daemon.record() for daemon in (one, proxy)]
    result = run()
    assert result["changed"] is False and [set(row) for row in result["instances"]] == [KEYS] * 2
    assert [daemon.record() for daemon in (one, proxy)] == told, "nothing was said to any"
    for row, daemon, mode in zip(result["instances"], (one, proxy), ("pool", "proxy")):
        assert (row["name"], row["mode"], row["pid"], row["pid_state"]) == ("ckpool", mode, daemon.pid, "alive")
        assert (row["socket_dir"], row["log_dir"]) == (str(daemon.socket_dir), str(daemon.log_dir))
        assert (row["config_file"], row["root"]) == (str(daemon.config_path), "/")
        assert row["user"] == pwd.getpwuid(os.geteuid()).pw_name
        assert (row["group"], row["regular_user"]) == (grp.getgrgid(os.getegid()).gr_name, os.geteuid() >= 1000)
        assert row["program"] == os.path.realpath(sys.executable)
        assert before - 5 < row["started"] < time.time() + 5
        assert (row["state"], row["unit"], row["version"], row["problems"]) == (None, None, None, {})
        assert f"ckpool ({daemon.socket_dir}), pid {daemon.pid} of {row['user']}" in result["msg"]
    assert result["msg"].startswith("2 instances: ")


def test_one_that_hangs_costs_nothing(run: Run, simulate: Start) -> None:
    """A connection to a silent socket would take 600 seconds."""
    daemon = simulate(faults=["hung"])
    assert [row["pid"] for row in run(timeout=600)["instances"]] == [daemon.pid]


def test_what_ended_ones_left(run: Run, simulate: Start, home: Path) -> None:
    daemon = simulate()
    pid = daemon.pid
    daemon.stop(9)
    (home / "none").mkdir()
    (home / "other").mkdir()
    (home / "other" / "main.pid").write_text(str(os.getpid()))
    places = [str(daemon.socket_dir), str(home / "none"), str(home / "other"), str(home / "gone")]
    rows = {row["socket_dir"]: row for row in run(socket_dirs=places)["instances"]}
    assert list(rows) == places and [set(row) for row in rows.values()] == [KEYS] * 4
    assert [row["pid_state"] for row in rows.values()] == ["dead", "absent", "another", "absent"]
    assert [row["pid"] for row in rows.values()] == [pid, None, os.getpid(), None]
    for row in rows.values():
        assert [row[key] for key in ("started", "program", "version", "config_file", "unit", "state")] == [None] * 6
    assert f"ckpool ({daemon.socket_dir}), ended" in run(socket_dirs=places)["msg"]


@pytest.mark.parametrize("kind", ["socket_dir", "name", "pid", "link", "all"])
def test_filters(run: Run, simulate: Start, home: Path, kind: str) -> None:
    one, two = simulate(), simulate("-n", "other")
    (home / "link").symlink_to(two.socket_dir)
    options: t.Dict[str, t.Any] = {
        "socket_dir": {"socket_dir": str(two.socket_dir)}, "name": {"name": "other"}, "pid": {"pid": two.pid},
        "link": {"socket_dir": str(home / "link")},
        "all": {"socket_dir": str(two.socket_dir), "name": "other", "pid": two.pid},
    }  # fmt: skip
    options = options[kind]
    assert [row["pid"] for row in run(**options)["instances"]] == [two.pid]
    assert run(**{**options, "pid": one.pid, "name": "other"})["instances"] == []


@pytest.mark.parametrize("options", [{"socket_dir": "/nowhere/s"}, {"name": "x\x1b[2J"}, {"pid": 1}])
def test_none_fits(run: Run, simulate: Start, options: t.Dict[str, t.Any]) -> None:
    daemon = simulate()
    result = run(**options)
    assert result["instances"] == [] and "failed" not in result and "\x1b" not in result["msg"]
    assert result["msg"].startswith("no ckpool with ") and str(daemon.socket_dir) in result["msg"]


def test_none_at_all(run: Run) -> None:
    assert run() == {"instances": [], "changed": False, "msg": "no ckpool runs here"}


def test_a_folder_that_is_named_is_looked_into(run: Run, home: Path) -> None:
    """Nothing else reveals an instance that neither runs nor is in a default directory."""
    (home / "left").mkdir()
    (home / "left" / "main.pid").write_text("4194303")
    (row,) = run(socket_dir=str(home / "left"))["instances"]
    assert (row["pid"], row["pid_state"], row["socket_dir"]) == (4194303, "dead", str(home / "left"))


def test_the_log_directory_of_those_that_do_not_tell_it(run: Run, home: Path) -> None:
    (home / "left").mkdir()
    (row,) = run(socket_dirs=[str(home / "left")], log_dir="/var/log/x")["instances"]
    assert row["log_dir"] == "/var/log/x"


def test_the_unit_and_why_it_is_not_known(run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    daemons = [simulate(), simulate(), simulate()]
    units: t.Dict[int, t.Any] = {daemons[0].pid: systemd.Service("ckpool.service"), daemons[1].pid: None}

    def service_of(pid: int) -> t.Optional[systemd.Service]:
        if pid not in units:
            raise PoolError("systemctl: it is not our day")
        return t.cast(t.Optional[systemd.Service], units[pid])

    monkeypatch.setattr(systemd, "service_of", service_of)
    rows = run()["instances"]
    assert [row["unit"] for row in rows] == ["ckpool.service", None, None]
    assert [row["problems"] for row in rows] == [{}, {}, {"unit": "systemctl: it is not our day"}]


def test_a_unit_that_should_run(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = systemd.Unit(
        "solo.service", ("/usr/bin/ckpool", "-B", "-n", "solo", "-s", f"{home}/s"), "", "failed", "enabled"
    )
    monkeypatch.setattr(systemd, "service_commands", lambda: [unit])
    (row,) = [row for row in run()["instances"] if row["unit"] == "solo.service"]
    assert (row["name"], row["mode"], row["pid_state"], row["pid"]) == ("solo", "solo", "absent", None)
    assert "solo.service is failed" in row["problems"]["unit"]


def test_a_version_and_a_program_that_was_replaced(run: Run, home: Path) -> None:
    program = home / "ckpool"
    shutil.copy(str(shutil.which("cat")), program)
    with open(program, "ab") as stream:
        stream.write(b"\0ckpool/0.9.9\0")
    os.mkfifo(home / "pipe")
    process = subprocess.Popen([str(program), "-s", str(home / "pipe")])  # which waits there for ever
    try:
        # The kernel shows a new program before its words, so its words are what to wait for.
        wait_for(lambda: argv_of(process.pid)[:1] == [str(program)], "the program being run")
        rows = run(pid=process.pid)["instances"]
        assert [(row["version"], row["program"], row["problems"].get("program")) for row in rows] == [
            ("0.9.9", str(program), None)
        ]
        program.unlink()
        (row,) = run(pid=process.pid)["instances"]
        assert (row["version"], row["program"]) == ("0.9.9", str(program))
        assert "replaced or removed" in row["problems"]["program"]
    finally:
        process.kill()
        process.wait()


def test_names_and_paths_move_no_cursor(run: Run, home: Path, simulate: Start) -> None:
    with Simulated(home / "evil\x1b[2J", name="e\x1b\u202ed") as daemon:
        result = run(pid=daemon.pid)
        text = json.dumps(result["instances"][0], ensure_ascii=False) + result["msg"]
        assert "\\x1b" in result["msg"] and "\\u001b" not in text and "\u202e" not in text
        assert result["instances"][0]["pid"] == daemon.pid


@pytest.mark.parametrize("option", ["socket_dir", "log_dir", "name"])
def test_what_can_be_no_path(run: Run, option: str) -> None:
    result = run(**{option: "a\0b"})
    assert (result["phase"], result["reason"]) == ("options", "bad_path")
    assert run(socket_dirs=["a\0b"])["reason"] == "bad_path"


def test_a_folder_that_several_have_hides_none(run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """As two containers have."""
    daemon = simulate()
    twins = [_discovery.find(str(daemon.socket_dir)) for _number in range(2)]
    for twin, pid in zip(twins, (11, 12)):
        twin.root, twin.pid = f"/proc/{pid}/root", pid
        twin.socket_dir = "/nowhere/at/all"
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: twins)
    result = run(socket_dirs=["/nowhere/at/all"])
    assert [row["pid"] for row in result["instances"]] == [11, 12]


def test_in_check_mode_too(run: Run, simulate: Start) -> None:
    simulate()
    assert run(_ansible_check_mode=True) == run()


def test_the_options_of_the_group_do_no_harm(run: Run, home: Path) -> None:
    with FakeSocket(str(home / "listener"), answers({})) as fake:
        run(socket_dirs=[str(home)], source="api", timeout=1, max_reply=5)
        assert fake.messages == []
