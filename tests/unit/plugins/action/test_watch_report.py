# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of the watch: its file, its lock, and its messages until they are sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleActionFail
from ansible_collections.ckpool.fleet.plugins.action import ckpool_watch_report as action
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_watch_report as stub
from ansible_collections.ckpool.fleet.plugins.plugin_utils._run import identity
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_task import run_on_fleet

LOST = {"unreachable": True, "msg": "no route"}
Step = t.Callable[..., Json]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watch.json"


@pytest.fixture
def step(path: Path) -> Step:
    """Take a step, with what each host's task registered."""

    def run(name: str, fleet: t.Optional[Json] = None, check_mode: bool = False, **more: t.Any) -> Json:
        options = {"step": name, "state_file": str(path), "channels": ["webhook", "ntfy"], "hosts": "all", **more}
        return run_on_fleet(action, "watch_result", fleet or {"a": LOST}, check_mode, **options)

    return run


def all_down(step: Step) -> t.List[Json]:
    """The messages of two runs in which a host was not reached."""
    for _run in range(2):
        step("begin")
        found = step("report")
        step("end")
    step("begin")
    messages: t.List[Json] = found["deliveries"]
    return messages


def test_a_message_stays_until_each_channel_has_it(step: Step, path: Path) -> None:
    first, second = all_down(step)
    assert [first["channel"], second["channel"]] == ["webhook", "ntfy"]
    assert first["message"] == second["message"]
    name = first["message"]["id"]
    assert (
        "connection \\x1b refused" in step("sent", id=name, channel="webhook", error="connection \x1b\nrefused")["msg"]
    )
    step("sent", id=name, channel="ntfy")
    (unsent,) = step("end")["unsent"]
    assert (unsent["to"], unsent["tries"], unsent["why"]) == (["webhook"], 1, "webhook: connection \\x1b refused")
    step("begin")
    (again,) = step("report")["deliveries"]
    assert (again["channel"], again["message"]) == ("webhook", first["message"])
    step("sent", id=name, channel="webhook")
    assert step("end") == {"changed": False, "unsent": [], "msg": "every message was sent"}
    with pytest.raises(AnsibleActionFail, match="is not used"):
        step("sent", id=name, channel="webhook")


def test_only_what_is_to_be_sent_can_be_sent(step: Step) -> None:
    first, _second = all_down(step)
    for name, channel in (("x-1", "webhook"), (first["message"]["id"], "tasks")):
        with pytest.raises(AnsibleActionFail, match="no message"):
            step("sent", id=name, channel=channel)


def test_a_channel_that_fails_thrice_is_paused_for_this_run(step: Step) -> None:
    first, _second = all_down(step)
    told = [step("sent", id=first["message"]["id"], channel="webhook", error="x")["paused"] for _try in range(3)]
    assert told == [[], [], ["webhook"]]
    step("end")
    step("begin")
    assert step("sent", id=first["message"]["id"], channel="webhook", error="x")["paused"] == []


def test_a_message_can_be_dropped(step: Step) -> None:
    first, _second = all_down(step)
    name = first["message"]["id"]
    assert step("report", drop=["x"])["dropped"] == []
    found = step("report", drop=[name])
    assert (found["dropped"], found["deliveries"]) == ([name], [])


def test_check_mode_changes_nothing(step: Step, path: Path) -> None:
    for name in ("begin", "report", "end"):
        step(name, check_mode=True)
    assert not list(path.parent.iterdir())
    step("begin")
    step("report")
    before = path.read_text()
    found = step("report", check_mode=True)
    assert [edge["event"] for edge in found["edges"]] == ["pool_down"]
    assert path.read_text() == before


def test_no_host_and_a_wrong_pattern_are_problems_and_nothing_is_lost(step: Step, path: Path) -> None:
    all_down(step)
    found = step("report", hosts="nosuch")
    assert found["failed"]
    assert "no host of the inventory matches nosuch" in found["msg"]
    assert len(found["deliveries"]) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fleet": []}'])
@pytest.mark.parametrize("name", ["begin", "report", "end"])
def test_a_broken_file_is_named_and_left(step: Step, path: Path, name: str, text: str) -> None:
    if name != "begin":
        step("begin")
    path.write_text(text)
    with pytest.raises(AnsibleActionFail, match=f"{path} is not the state of an earlier watch: .*messages"):
        step(name)
    assert path.read_text() == text
    path.unlink()
    step("begin")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"looks": 0}, "looks must be from 1 to 100, not 0"),
        ({"hashrate_drop": 101}, "hashrate_drop"),
        ({"work_age": float("nan")}, "work_age"),
        ({"idle_after": 5}, "idle_after"),
        ({"channels": []}, "channels is empty, so nobody would be told"),
        ({"tasks_file": "x.yml"}, "absolute"),
        ({"tasks_file": "/nowhere/at/all.yml"}, "/nowhere/at/all.yml"),
    ],
)
def test_a_wrong_option_is_named(step: Step, options: Json, why: str) -> None:
    with pytest.raises(AnsibleActionFail, match=why):
        step("begin", **options)


# The lock


def held_by(path: Path, **changes: t.Any) -> None:
    """Let another run hold the file."""
    run = identity(os.getpid())  # the step's own run is that of the parent
    run["controller"].update(changes.pop("controller", {}))
    record = {**run, "taken": changes.get("taken", time.time()), "notes": {}}
    Path(f"{path}.lock").write_text(json.dumps(record))


@pytest.mark.parametrize("name", ["begin", "report", "sent", "end"])
def test_another_run_holds_it(step: Step, path: Path, name: str) -> None:
    held_by(path)
    with pytest.raises(AnsibleActionFail, match=f"{path} is not used: "):
        step(name, id="x-1", channel="webhook")
    assert not path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"controller": {"started": 1}},
        {"controller": {"boot": "another"}},
        {"controller": {"host": "another"}, "taken": 1795385464.0 - 86400 * 365},
    ],
)
def test_a_run_that_has_ended_holds_nothing(step: Step, path: Path, change: Json) -> None:
    held_by(path, **change)
    step("begin")
    assert step("end")["unsent"] == []


def test_a_run_on_another_machine_holds_it(step: Step, path: Path) -> None:
    held_by(path, controller={"host": "another"})
    with pytest.raises(AnsibleActionFail, match=r"another run of .* of another"):
        step("begin")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"controller": 7, "notes": {}}', '{"notes": {}}'])
def test_a_record_that_was_cut_off_holds_nothing(step: Step, path: Path, text: str) -> None:
    Path(f"{path}.lock").write_text(text)
    step("begin")


def test_a_lock_that_is_a_link_is_not_followed(step: Step, path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    Path(f"{path}.lock").symlink_to(tmp_path / "other")
    with pytest.raises(AnsibleActionFail, match="cannot lock"):
        step("begin")
    assert (tmp_path / "other").read_text() == "x"


def test_a_process_that_has_it_locked_is_not_waited_for_endlessly(
    step: Step, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.ckpool.fleet.plugins.plugin_utils import _run_lock

    monkeypatch.setattr(_run_lock, "_DEADLINE", 0.2)
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('x', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, f"{path}.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline()
        with pytest.raises(AnsibleActionFail, match="another process has it locked"):
            step("begin")
        other.communicate(b"")
    step("begin")


def test_the_documentation_names_every_result(step: Step) -> None:
    documented = set(yaml.safe_load(stub.RETURN))
    first, _second = all_down(step)
    results = [step("report"), step("sent", id=first["message"]["id"], channel="webhook"), step("end")]
    assert {key for result in results for key in result} - {"changed", "failed"} == documented
    message = yaml.safe_load(stub.RETURN)["edges"]["contains"]
    assert set(first["message"]) == set(message)
