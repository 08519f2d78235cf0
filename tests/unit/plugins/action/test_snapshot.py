# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that saves the results of a fleet: what it writes, removes, predicts and fails on."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path
from unittest import mock

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.ckpool.fleet.plugins.action import ckpool_snapshot as action
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_snapshot as stub
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_task import run_on_fleet

NOW = 1795404419.5
STAMP = "20261123_032659"
LOST = {"unreachable": True, "msg": "no route"}
Save = t.Callable[..., Json]


def told(**more: t.Any) -> Json:
    instance = {"name": "solo", "mode": "solo", "socket_dir": "/run/solo", "state": "ok"}
    return {"instance": instance, "source": "files", "stats": {"users": 1}, **more}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> t.List[str]:
    """What is shown on the screen."""
    lines: t.List[str] = []
    monkeypatch.setattr(action.display, "display", lambda text, **_more: lines.append(text))
    return lines


@pytest.fixture
def save(shown: t.List[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Save:
    """Run the plugin on a fleet: what each host's task registered."""
    monkeypatch.setattr(time, "time", lambda: NOW)

    def run(fleet: t.Mapping[str, t.Any], **options: t.Any) -> Json:
        options = {"dest": str(tmp_path / "made" / "here"), **options}
        return run_on_fleet(action, options.get("variable", "snapshot_result"), fleet, **options)

    return run


def files(folder: Path) -> t.List[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


def old(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("old")
    return folder


def test_a_file_for_each_host(save: Save, tmp_path: Path, shown: t.List[str]) -> None:
    found = save({"a/b": told(), "pool1": {"results": [told(), told()]}, "other": None})
    folder = tmp_path / "made" / "here"
    names = [f"pool_stats_a%2Fb_{STAMP}.json", f"pool_stats_pool1_{STAMP}.json"]
    assert files(folder) == names
    assert found["written"] == [str(folder / name) for name in names]
    assert (found["changed"], found["failed"], found["missing"], found["removed"]) == (True, False, [], [])
    assert found["msg"] == f"2 files written to {folder}, 0 files removed"
    assert shown == [f"{folder / name} written" for name in names]
    read = json.loads((folder / names[1]).read_text())
    assert (read["host"], read["taken"], len(read["pools"]), read["missing"]) == ("pool1", int(NOW), 2, [])
    assert read["pools"][0]["stats"] == {"users": 1}


def test_results_are_those_of_the_documentation(save: Save) -> None:
    assert set(save({"a": told()})) == {*yaml.safe_load(stub.RETURN), "changed", "failed"}


def test_the_others_are_written_and_the_lost_one_is_named(save: Save, tmp_path: Path) -> None:
    found = save({"lost": LOST, "pool1": told(), "broken": {"failed": True, "msg": "no ckpool runs here"}})
    assert (found["failed"], found["changed"], len(found["written"])) == (True, True, 1)
    assert [entry["host"] for entry in found["missing"]] == ["lost", "broken"]
    assert found["msg"].endswith("; lost: unreachable: no route; broken: no ckpool runs here")


def test_nobody_was_asked(save: Save) -> None:
    found = save({"a": None, "b": {"skipped": True}})
    assert (found["failed"], found["changed"], found["msg"]) == (True, False, "no host was asked")


def test_a_pool_without_statistics_is_written_and_named(save: Save) -> None:
    found = save({"a": told(source=None)})
    assert (found["failed"], len(found["written"])) == (True, 1)
    assert "solo on a: ok, and its statistics could not be read" in found["msg"]


# Old files

NAMES = [f"pool_stats_pool1_2026112{day}_000000.json" for day in (0, 1, 2)]
STRANGE = ["notes.txt", "pool_stats_pool1_20261120_000000.json.bak", "pool_stats_pool2_20261120_000000.json"]


def test_only_the_hosts_own_files_are_removed(save: Save, tmp_path: Path) -> None:
    folder = old(tmp_path / "s", *NAMES, *STRANGE)
    (folder / "pool_stats_pool1_20261101_000000.json").symlink_to(tmp_path / "elsewhere")
    (folder / "pool_stats_pool1_20261102_000000.json").mkdir()
    before = files(folder)
    found = save({"pool1": told()}, dest=str(folder), keep=2)
    assert found["removed"] == [str(folder / name) for name in (NAMES[1], NAMES[0])]
    fresh = f"pool_stats_pool1_{STAMP}.json"
    assert files(folder) == sorted({*before, fresh} - {NAMES[0], NAMES[1]})
    assert found["msg"] == f"1 file written to {folder}, 2 files removed"


def test_age(save: Save, tmp_path: Path) -> None:
    folder = old(tmp_path / "s", *NAMES)
    assert save({"pool1": told()}, dest=str(folder), keep_days=2.5)["removed"] == [str(folder / NAMES[0])]


@pytest.mark.parametrize("registered", [LOST, told(source=None), {"results": [told(), LOST]}])
def test_who_lacks_something_keeps_all(save: Save, tmp_path: Path, registered: Json) -> None:
    folder = old(tmp_path / "s", *NAMES)
    assert save({"pool1": registered}, dest=str(folder), keep=1, keep_days=0.1)["removed"] == []
    assert set(NAMES) <= set(files(folder))


def test_check_mode_says_what_would_be(save: Save, tmp_path: Path, shown: t.List[str]) -> None:
    folder = old(tmp_path / "s", *NAMES)
    predicted = save({"pool1": told()}, check_mode=True, dest=str(folder), keep=2)
    assert files(folder) == NAMES
    assert shown[0].endswith(f"{STAMP}.json would be written")
    assert shown[1].endswith("would be removed")
    assert predicted["msg"] == f"1 file would be written to {folder}, 2 files would be removed"
    done = save({"pool1": told()}, dest=str(folder), keep=2)
    assert {key: done[key] for key in ("written", "removed", "changed")} == {
        key: predicted[key] for key in ("written", "removed", "changed")
    }


def test_check_mode_before_the_first_run(save: Save, tmp_path: Path) -> None:
    found = save({"pool1": told()}, check_mode=True, keep=1)
    assert (found["changed"], len(found["written"]), files(tmp_path)) == (True, 1, [])


# What goes wrong


def test_a_folder_that_cannot_be_made(save: Save, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = save({"pool1": told()}, dest=str(tmp_path / "file" / "s"))
    assert (found["failed"], found["changed"], found["written"]) == (True, False, [])
    assert f"cannot make the folder {tmp_path}/file/s: Not a directory" in found["msg"]


def test_a_file_that_cannot_be_written_does_not_stop_the_others(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = action.__dict__["write_atomically"]

    def fail(path: str, text: str) -> None:
        if "pool1" in path:
            raise AnsibleActionFail(f"cannot write {path}: No space left on device")
        write(path, text)

    monkeypatch.setattr(action, "write_atomically", fail)
    folder = old(tmp_path / "s", *NAMES)
    found = save({"pool1": told(), "pool2": told()}, dest=str(folder), keep=1)
    assert found["failed"] is True
    assert (len(found["written"]), found["removed"]) == (1, [])
    assert "No space left on device" in found["missing"][0]["why"]


def test_a_file_that_another_run_removed(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = old(tmp_path / "s", *NAMES)
    monkeypatch.setattr(os, "unlink", mock.Mock(side_effect=FileNotFoundError))
    found = save({"pool1": told()}, dest=str(folder), keep=1)
    assert (found["failed"], found["removed"]) == (False, [])


def test_a_file_that_cannot_be_removed(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = old(tmp_path / "s", *NAMES)
    monkeypatch.setattr(os, "unlink", mock.Mock(side_effect=PermissionError(1, "Operation not permitted")))
    found = save({"pool1": told()}, dest=str(folder), keep=1)
    assert found["failed"] is True
    assert f"cannot remove {folder / NAMES[2]}: Operation not permitted" in found["msg"]


@pytest.mark.parametrize(
    "options",
    [
        {"keep": 0},
        {"keep": -1},
        {"keep": "few"},
        {"keep_days": 0},
        {"keep_days": "nan"},
        {"dest": ""},
        {"unheard_of": 1},
    ],
)
def test_a_wrong_option_is_refused(save: Save, options: Json) -> None:
    with pytest.raises(AnsibleError) as caught:
        save({"a": told()}, **options)
    assert next(iter(options)) in str(caught.value)


def test_nothing_is_shown_where_the_output_is_for_a_program(
    save: Save, shown: t.List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action, "is_for_programs", lambda: True)
    assert save({"a": told()})["written"]
    assert shown == []


def test_what_limit_left_out_is_said(save: Save, shown: t.List[str]) -> None:
    limit = {"ansible_limit": "a", "ansible_play_hosts_all": ["a"]}
    found = save({"a": told(), "b": None}, hosts="all", magic=limit)
    assert (found["failed"], found["not_asked"]) == (False, ["b"])
    assert found["msg"].endswith("; not asked: 1 host by --limit (b)")
    assert shown[-1] == "not asked: 1 host by --limit (b)"


@pytest.mark.parametrize(
    ("fleet", "hosts", "why"),
    [
        ({"a": told(), "b": None}, "all", "b: was not asked"),
        ({"a": told()}, "a,nosuch", "no host of the inventory matches nosuch"),
        ({"a": told()}, "nosuch", "no host of the inventory matches nosuch"),
        ({"a": told(), "b": "junk"}, "all", "b: odd result: 'junk'"),
        ({"a": told(), "b": {"results": [told(), {"instance": []}]}}, "a,b", "b: no answer"),
    ],
)
def test_what_told_nothing_fails(save: Save, fleet: Json, hosts: str, why: str, tmp_path: Path) -> None:
    found = save(fleet, hosts=hosts)
    assert found["failed"] is True
    assert why in found["msg"]
    if hosts != "nosuch":
        assert f"pool_stats_a_{STAMP}.json" in files(tmp_path / "made" / "here"), "what the others told is saved"
