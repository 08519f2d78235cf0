# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that writes the report on a fleet: its files, its outcome, its errors."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleError
from ansible_collections.ckpool.fleet.plugins.action import ckpool_fleet_report as action
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page import charts
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.files import past_of, windows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from tests.support.fleets import NOW, Fleet

from .fake_task import plugin_of

HOUR, DAY = 3600, 86400


def run(fleet: Fleet, check_mode: bool = False, **options: t.Any) -> Json:
    """The result on a fleet of which all hosts were asked."""
    told = {"health_check_result": fleet.health(), "report_pools": fleet.pools(), "report_idle": fleet.idle()}
    hosts = list(told["health_check_result"])
    hostvars = {host: {name: results[host] for name, results in told.items() if host in results} for host in hosts}
    variables = {
        "hostvars": hostvars, "groups": {"all": hosts, "ungrouped": hosts}, "ansible_play_hosts_all": ["localhost", *hosts]
    }  # fmt: skip
    plugin = plugin_of(action, args={"hosts": "all", "charts": False, **options}, check_mode=check_mode)
    return dict(plugin.run(task_vars=variables))


@pytest.mark.parametrize(
    ("bad", "fail_on", "word", "well"),
    [(0, "critical", "healthy", True), (2, "critical", "unhealthy", False), (2, "never", "unhealthy", True)],
)
def test_outcomes(bad: int, fail_on: str, word: str, well: bool) -> None:
    found = run(Fleet(4, bad), fail_on=fail_on)
    assert (found["outcome"], found["well"], found["changed"], found["failed"]) == (word, well, False, False)
    assert found["msg"].startswith(f"outcome: {word}; ")


def test_a_pool_whose_users_are_not_known_is_not_healthy() -> None:
    fleet = Fleet(2, 0)
    fleet.pools = lambda: {host: {"failed": True, "msg": "odd"} for host in fleet.hosts}  # type: ignore[method-assign]
    found = run(fleet)
    assert found["outcome"] == "undetermined"
    assert [entry["why"] for entry in found["missing"]] == ["odd", "odd"]
    assert "not known: users of pool on pool001.example.org (odd)" in found["msg"]


def test_files_and_check_mode(tmp_path: Path) -> None:
    files: t.Dict[str, t.Any] = {kind: str(tmp_path / kind) for kind in ("html_file", "markdown_file", "json_file")}
    would = run(Fleet(2, 0), check_mode=True, **files)
    assert would["changed"] is True
    assert os.listdir(tmp_path) == []
    found = run(Fleet(2, 0), **files)
    assert sorted(os.listdir(tmp_path)) == sorted(files)
    assert {entry["path"]: entry["size"] for entry in found["files"]} == {
        path: os.path.getsize(path) for path in files.values()
    }
    assert json.loads(Path(files["json_file"]).read_text())["outcome"] == "healthy"
    assert Path(files["html_file"]).read_text().startswith("<!DOCTYPE html>")
    assert Path(files["markdown_file"]).read_text().startswith("# ckpool fleet\n")


def test_an_instance_of_the_baseline_that_is_gone_comes_first(tmp_path: Path) -> None:
    baseline, out = tmp_path / "health.json", tmp_path / "out.json"
    known = {
        "host": "pool001.example.org",
        "instance": "gone",
        "socket_dir": "/run/gone",
        "root": None,
        "last_seen": NOW,
    }
    baseline.write_text(json.dumps({"generated": NOW, "fleet": [], "known": [known]}))
    found = run(Fleet(2, 0), baseline=str(baseline), json_file=str(out))
    assert found["outcome"] == "unhealthy"
    assert json.loads(out.read_text())["pools"][0]["state"] == "gone"
    baseline.write_text("{}")
    assert run(Fleet(2, 0), baseline=str(baseline))["outcome"] == "invalid"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"days": -1}, "days must be from 0 to 3660, not -1"),
        ({"users": 10001}, "users must be from 0 to 10000, not 10001"),
        ({"html_file": "/tmp/x", "json_file": "/tmp/../tmp/x"}, "two forms of the report have the same file"),
        ({"json_file": "/nowhere/at/all/x"}, "cannot write /nowhere/at/all/x: No such file or directory"),
        ({"redact": "maybe"}, "none, shorten, hash"),
    ],
)
def test_wrong_options(options: Json, text: str) -> None:
    with pytest.raises(AnsibleError, match=text.replace("/", "/")):
        run(Fleet(1, 0), **options)


def test_a_missing_library_costs_only_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def library() -> None:
        raise charts.Missing("the Python package pygal is missing on the controller (no)")

    monkeypatch.setattr(charts, "library", library)
    with pytest.raises(
        AnsibleError, match=r"pygal is missing on the controller .*; install it there: pip install pygal; or set"
    ):
        run(Fleet(1, 0), charts=True, html_file=str(tmp_path / "x"), json_file=str(tmp_path / "y"))
    assert os.listdir(tmp_path) == []
    assert run(Fleet(1, 0), charts=True, json_file=str(tmp_path / "y"))["outcome"] == "healthy"


def test_snapshots_are_read_as_far_as_needed(tmp_path: Path) -> None:
    fleet = Fleet(2, 0)
    fleet.write_snapshots(tmp_path, days=4, every=HOUR)
    (tmp_path / "pool_stats_pool001.example.org_20250101_000000.json").write_text("old")
    (tmp_path / "pool_stats_other_20261120_000000.json").write_text("of another host")
    os.mkfifo(tmp_path / "pool_stats_pool001.example.org_20261120_000000.json")
    past = past_of(str(tmp_path), fleet.hosts, NOW, 30)
    assert past.unreadable == []
    assert past.grid is not None
    assert past.grid.step == HOUR
    assert [len(samples) for samples in past.snapshots.values()] == [95, 95]
    half = past_of(str(tmp_path), fleet.hosts[:1], NOW, 2)
    assert [len(samples) for samples in half.snapshots.values()] == [48]
    assert past_of(str(tmp_path / "none"), fleet.hosts, NOW, 30).grid is None


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    snapshots, windows = tmp_path / "snapshots", tmp_path / "windows"
    fleet = Fleet(1, 0, now=time.time())
    fleet.write_snapshots(snapshots, days=1, every=6 * HOUR)
    broken = sorted(snapshots.iterdir())[0]
    broken.write_text("{")
    fleet.write_windows(windows)
    (windows / "odd.json").write_bytes(b"\xff")
    (windows / "more.txt").write_text("not a record")
    found = run(fleet, snapshots=str(snapshots), windows=str(windows))
    assert found["outcome"] == "undetermined"
    assert str(broken) in found["problems"][0]
    assert "odd.json" in found["problems"][1]
    records, unreadable = windows_of(str(windows), set(fleet.hosts))
    assert [record.closed is None for record in records] == [True, False, False]
    assert len(unreadable) == 1
    assert run(fleet, snapshots=str(broken))["problems"] == [f"cannot read {broken}: Not a directory"]
