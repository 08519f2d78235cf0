# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that reports on a fleet: what it shows, writes and fails on."""

from __future__ import annotations

import json
import os
import stat
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path
from unittest import mock

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.ckpool.fleet.plugins.action import ckpool_health_report as action
from ansible_collections.ckpool.fleet.plugins.plugin_utils._screen import is_for_programs

from ..plugin_utils.test_report import KEYS, check, result

SICK = result("degraded", check("warn"))
DEAD = result("down", check("critical"))
Report = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> t.List[str]:
    """What is shown on the screen."""
    lines: t.List[str] = []
    monkeypatch.setattr(action.display, "display", lambda text, color=None: lines.append(text))
    return lines


@pytest.fixture
def report(shown: t.List[str]) -> Report:
    """Run the plugin on a fleet: what each host's task registered."""

    def run(fleet: t.Mapping[str, t.Any], check_mode: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        task = mock.Mock(args=options, check_mode=check_mode, async_val=0, diff=False, action="ckpool_health_report")
        variable = options.get("variable", "health_check_result")
        hostvars = {host: ({} if found is None else {variable: found}) for host, found in fleet.items()}
        plugin = action.ActionModule(
            task=task,
            connection=mock.Mock(),
            play_context=mock.Mock(check_mode=check_mode),
            loader=mock.Mock(),
            templar=mock.Mock(),
            shared_loader_obj=mock.Mock(),
        )
        plugin._load_name = "ckpool_health_report"  # as the loader does
        return dict(plugin.run(task_vars={"hostvars": hostvars}))

    return run


def test_the_results_have_the_keys_of_the_documentation(report: Report, shown: t.List[str]) -> None:
    found = report({"pool1": result(), "pool2": result(name="solo")})
    assert {"fleet", "well", "table", "msg", "changed", "failed"} <= set(found)
    assert (found["well"], found["changed"], found["failed"]) == (True, False, False)
    assert found["msg"] == "2 of 2 pools on 2 hosts are well"
    assert [set(row) for row in found["fleet"]] == [KEYS, KEYS]
    assert "\n".join(found["table"]) in "\n".join(shown)


@pytest.mark.parametrize(
    ("fleet", "failing"),
    [
        ({"a": result()}, set()),
        ({"a": result(), "b": SICK}, {"warning"}),
        ({"a": result(), "b": DEAD}, {"warning", "critical"}),
        ({"a": result(), "b": {"unreachable": True, "msg": "no route"}}, {"warning", "critical"}),
        ({"a": result(), "b": {"failed": True, "msg": "broken"}}, {"warning", "critical"}),
        ({"a": result(), "b": None}, set()),
        ({"a": result(), "b": "junk"}, set()),
    ],
    ids=["well", "sick", "dead", "unreachable", "failed", "not asked", "junk"],
)
@pytest.mark.parametrize("fail_on", ["critical", "warning", "never"])
def test_what_fails_the_task(report: Report, fleet: t.Dict[str, t.Any], failing: t.Set[str], fail_on: str) -> None:
    found = report(fleet, fail_on=fail_on)
    assert found["failed"] == (not found["well"]) == (fail_on in failing)
    assert len(found["fleet"]) == sum(isinstance(entry, dict) for entry in fleet.values())


@pytest.mark.parametrize("fail_on", ["critical", "warning", "never"])
def test_a_fleet_without_any_host_always_fails(report: Report, fail_on: str) -> None:
    found = report({"a": None}, fail_on=fail_on)
    assert (found["failed"], found["msg"]) == (True, "no host was asked")


def test_another_variable(report: Report) -> None:
    assert len(report({"a": result()}, variable="mine")["fleet"]) == 1


def test_the_files_for_programs(report: Report, tmp_path: Path) -> None:
    paths = {"json_file": str(tmp_path / "health.json"), "junit_file": str(tmp_path / "health.xml")}
    found = report({"a": result(), "b": DEAD}, **paths)
    assert found["changed"] is True
    written = json.loads((tmp_path / "health.json").read_text(encoding="utf-8"))
    assert set(written) == {"generated", "ok", "summary", "fleet"}
    assert (written["ok"], written["summary"], written["fleet"]) == (False, found["msg"], found["fleet"])
    suites = ET.parse(str(tmp_path / "health.xml")).getroot()
    assert [suite.get("failures") for suite in suites] == ["0", "1"]
    assert sorted(os.listdir(tmp_path)) == ["health.json", "health.xml"]  # nothing temporary is left
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "health.json").stat().st_mode) == 0o666 & ~umask


def test_check_mode_predicts_and_writes_nothing(report: Report, tmp_path: Path) -> None:
    found = report({"a": result()}, check_mode=True, json_file=str(tmp_path / "health.json"))
    assert found["changed"] is True
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_is_a_failure_that_names_the_file(report: Report, tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"cannot write .*/nowhere/health\.xml"):
        report({"a": result()}, junit_file=str(tmp_path / "nowhere" / "health.xml"))


@pytest.mark.parametrize("options", [{"fail_on": "fire"}, {"unheard_of": 1}, {"fail_on": ["critical"]}])
def test_a_wrong_option_is_refused(report: Report, options: t.Dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleError) as caught:
        report({"a": result()}, **options)
    assert next(iter(options)) in str(caught.value)


@pytest.mark.parametrize(
    ("callback", "for_programs"),
    [("default", False), ("ansible.builtin.default", False), ("json", True), ("ansible.posix.json", True), ("ansible.posix.jsonl", True)],
)  # fmt: skip
def test_no_table_where_the_output_is_for_a_program(
    report: Report, shown: t.List[str], monkeypatch: pytest.MonkeyPatch, callback: str, for_programs: bool
) -> None:
    monkeypatch.setattr(constants.config, "get_config_value", lambda *_names, **_more: callback)
    assert is_for_programs() is for_programs
    monkeypatch.undo()
    monkeypatch.setattr(action, "is_for_programs", lambda: for_programs)
    monkeypatch.setattr(action.display, "display", lambda text, color=None: shown.append(text))
    assert report({"a": result()})["table"]
    assert bool(shown) is not for_programs
