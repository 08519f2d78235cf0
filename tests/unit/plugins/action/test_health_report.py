# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that reports on a fleet: what it shows, writes and fails on."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible import constants
from ansible_collections.ckpool.fleet.plugins.action import ckpool_health_report as action
from ansible_collections.ckpool.fleet.plugins.plugin_utils._screen import is_for_programs
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services import fleet
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from tests.support.fake_service import FakeService, entry, health, http

from ..plugin_utils.fake_results import KEYS, check, result
from .fake_task import run_on_fleet

WARNED = result("degraded", check("warning"))
DEAD = result("down", check("critical"))
Report = t.Callable[..., Json]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> t.List[str]:
    """What is shown on the screen."""
    lines: t.List[str] = []
    monkeypatch.setattr(action.display, "display", lambda text, color=None, **_more: lines.append(text))
    return lines


@pytest.fixture
def report(shown: t.List[str]) -> Report:
    """Run the plugin on a fleet: what each host's task registered."""

    def run(fleet: t.Mapping[str, t.Any], **options: t.Any) -> Json:
        return run_on_fleet(action, options.get("variable", "health_check_result"), fleet, **options)

    return run


def test_the_results_have_the_keys_of_the_documentation(report: Report, shown: t.List[str]) -> None:
    found = report({"pool1": result(), "pool2": result(name="solo")})
    keys = {
        "fleet",
        "well",
        "outcome",
        "table",
        "notes",
        "totals",
        "not_asked",
        "forgotten",
        "msg",
        "changed",
        "failed",
    }
    assert keys <= set(found)
    assert (found["well"], found["changed"], found["failed"]) == (True, False, False)
    assert found["msg"] == "outcome: healthy; 2 of 2 pools on 2 hosts are healthy"
    assert [set(row) for row in found["fleet"]] == [KEYS, KEYS]
    assert "\n".join(found["table"]) in "\n".join(shown)


@pytest.mark.parametrize(
    ("fleet", "failing"),
    [
        ({"a": result()}, set()),
        ({"a": result(), "b": WARNED}, {"warning"}),
        ({"a": result(), "b": DEAD}, {"warning", "critical"}),
        ({"a": result(), "b": {"unreachable": True, "msg": "no route"}}, {"warning", "critical"}),
        ({"a": result(), "b": {"failed": True, "msg": "broken"}}, {"warning", "critical"}),
        ({"a": result(), "b": None}, set()),
        ({"a": result(), "b": "junk"}, {"warning", "critical"}),
        ({"a": result(), "b": {"health": {}}}, {"warning", "critical"}),
    ],
    ids=["healthy", "warned", "dead", "unreachable", "failed", "not asked", "junk", "odd"],
)
@pytest.mark.parametrize("fail_on", ["critical", "warning", "never"])
def test_what_fails_the_task(report: Report, fleet: Json, failing: t.Set[str], fail_on: str) -> None:
    found = report(fleet, fail_on=fail_on)
    assert found["failed"] == (not found["well"]) == (fail_on in failing)
    assert len(found["fleet"]) == sum(entry is not None for entry in fleet.values())


@pytest.mark.parametrize("fail_on", ["critical", "warning", "never"])
def test_a_fleet_without_any_host_always_fails(report: Report, fail_on: str) -> None:
    found = report({"a": None}, fail_on=fail_on)
    assert (found["failed"], found["msg"]) == (True, "outcome: undetermined; no host was asked")


def test_another_variable(report: Report) -> None:
    assert len(report({"a": result()}, variable="mine")["fleet"]) == 1


def test_the_files_for_programs(report: Report, tmp_path: Path) -> None:
    paths = {"json_file": str(tmp_path / "health.json"), "junit_file": str(tmp_path / "health.xml")}
    found = report({"a": result(), "b": DEAD}, **paths)
    assert found["changed"] is True
    written = json.loads((tmp_path / "health.json").read_text(encoding="utf-8"))
    assert set(written) == {"generated", "ok", "outcome", "summary", "not_asked", "totals", "fleet", "known"}
    assert (written["ok"], written["outcome"], written["fleet"]) == (False, "unhealthy", found["fleet"])
    assert found["msg"] == f"outcome: unhealthy; {written['summary']}"
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
    """Everything else is written and returned."""
    written = tmp_path / "health.json"
    found = report({"a": result()}, junit_file=str(tmp_path / "nowhere" / "health.xml"), json_file=str(written))
    assert (found["failed"], found["outcome"]) == (True, "invalid")
    assert f"cannot write {tmp_path}/nowhere/health.xml" in found["msg"]
    assert json.loads(written.read_text())["outcome"] == "invalid"
    assert len(found["fleet"]) == 1


@pytest.mark.parametrize("options", [{"fail_on": "fire"}, {"unheard_of": 1}, {"fail_on": ["critical"]}])
def test_a_wrong_option_is_refused(report: Report, options: Json) -> None:
    found = report({"a": result()}, **options)
    assert (found["failed"], found["well"], found["outcome"]) == (True, False, "invalid")
    assert next(iter(options)) in found["msg"]


# Who was asked


LIMIT = {"ansible_limit": "a", "ansible_play_hosts_all": ["a"]}


def test_what_limit_left_out_is_said_and_does_not_fail(report: Report) -> None:
    found = report({"a": result(), "b": None, "c": None}, hosts="all", magic=LIMIT)
    assert (found["outcome"], found["not_asked"], len(found["fleet"])) == ("healthy", ["b", "c"], 1)
    assert found["msg"].endswith("; not asked: 2 hosts by --limit (b, c)")


def test_a_host_that_gave_nothing_is_a_failure(report: Report) -> None:
    found = report({"a": result(), "b": None}, hosts="all", fail_on="critical")
    assert (found["outcome"], [row["state"] for row in found["fleet"]]) == ("undetermined", ["ok", "failed"])


def test_only_hosts_of_the_pattern_are_in_the_report(report: Report) -> None:
    found = report({"a": result(), "b": DEAD}, hosts="all:!b")
    assert (found["outcome"], [row["host"] for row in found["fleet"]]) == ("healthy", ["a"])


@pytest.mark.parametrize(
    ("hosts", "magic", "why"),
    [
        ("nosuch", {}, "matches nosuch of the pattern"),
        ("a,nosuch", {}, "matches nosuch of the pattern"),
        ("a", {"ansible_limit": "a,nosuch", "ansible_play_hosts_all": ["a"]}, "matches nosuch of --limit"),
        ("a", {"ansible_limit": "a:!nosuch", "ansible_play_hosts_all": ["a"]}, "matches nosuch of --limit"),
        ("b", LIMIT, "--limit a leaves none of the 1 hosts of b"),
        ("a:&b", {}, "no host of the inventory matches a:&b"),
    ],
)
def test_a_pattern_that_matches_nothing_is_invalid(report: Report, hosts: str, magic: Json, why: str) -> None:
    for fail_on in ("critical", "never"):
        found = report({"a": result(), "b": None}, hosts=hosts, magic=magic, fail_on=fail_on)
        assert (found["failed"], found["outcome"]) == (True, "invalid")
        assert why in found["msg"]


@pytest.mark.parametrize(
    "limit", ["a", "a,b", "~a.*", "all:!b", "ungrouped:&a", "@hosts.retry", "a,localhost", "a[0:1]"]
)
def test_a_limit_that_matches_is_no_problem(report: Report, limit: str) -> None:
    fleet = {"a": result(), "b": result(), "a0": result()}
    found = report(fleet, hosts="all", magic={"ansible_limit": limit, "ansible_play_hosts_all": list(fleet)})
    assert found["outcome"] == "healthy", found["msg"]


# By HTTP


def test_services_are_asked_in_place_of_results(report: Report) -> None:
    """A host of the pattern that gives no answer has a row."""
    with FakeService(lambda _path: [http(health(entry("web")))]) as service:
        magic = {"ansible_limit": "a,b", "ansible_play_hosts_all": ["a", "b"]}
        fleet = {"a": DEAD, "b": None, "c": None}
        hostvars = {
            "a": {"health_check_http_url": service.url, "health_check_result": DEAD},
            "b": {"health_check_http_url": "nonsense"},
            "c": {},
        }
        found = report(fleet, hosts="all", via="http", magic={**magic, "hostvars": hostvars})
    assert [(row["host"], row["instance"], row["state"]) for row in found["fleet"]] == [
        ("a", "web", "ok"),
        ("b", None, "failed"),
    ]
    assert (found["outcome"], found["not_asked"]) == ("undetermined", ["c"])


@pytest.mark.parametrize(
    ("via", "states"),
    [(None, ["down", "down"]), ("ssh", ["down", "down"]), ("http", ["ok", "failed"]), ("by_host", ["ok", "down"])],
)
def test_the_variable_of_each_host_counts_only_where_it_shall(
    report: Report, via: t.Optional[str], states: t.List[str]
) -> None:
    with FakeService(lambda _path: [http(health())]) as service:
        web = {"health_check_via": "http", "health_check_http_url": service.url, "health_check_result": DEAD}
        hostvars = {"web": web, "usual": {"health_check_http_url": "nonsense", "health_check_result": DEAD}}
        options = {} if via is None else {"via": via}
        found = report({"web": DEAD, "usual": DEAD}, hosts="all", magic={"hostvars": hostvars}, **options)
    assert [row["state"] for row in found["fleet"]] == states


def test_a_service_that_is_silent_leaves_the_baseline(report: Report, tmp_path: Path) -> None:
    path = str(tmp_path / "health.json")

    def run(*replies: t.Any) -> Json:
        with FakeService(lambda _path: replies) as service:
            hostvars = {"a": {"health_check_http_url": service.url}}
            return report({"a": None}, hosts="all", via="http", json_file=path, magic={"hostvars": hostvars})

    assert run(http(health(entry("one"), entry("two"))))["outcome"] == "healthy"
    assert run(http(b"no JSON"))["outcome"] == "undetermined"
    found = run(http(health(entry("one"))))
    assert [(row["instance"], row["state"]) for row in found["fleet"]] == [("one", "ok"), ("two", "gone")]


def test_http_needs_to_know_whom_to_ask(report: Report) -> None:
    found = report({"a": result()}, via="http")
    assert (found["failed"], found["outcome"]) == (True, "invalid")
    assert "needs hosts" in found["msg"]


# The run before


def test_the_report_is_the_baseline_of_the_next(report: Report, tmp_path: Path) -> None:
    path = str(tmp_path / "health.json")
    both = {**result(), "instances": [result(name="a"), result(name="b")]}
    one = {**result(), "instances": [result(name="a")]}
    assert report({"h": both}, json_file=path)["outcome"] == "healthy"
    for _again in range(2):
        found = report({"h": one}, json_file=path)
        assert (found["outcome"], [row["state"] for row in found["fleet"]]) == ("unhealthy", ["ok", "gone"])
    assert "health_check_forget=h:/tmp/b" in "\n".join(found["table"])
    found = report({"h": one}, json_file=path, forget=["h:b"])
    assert (found["outcome"], found["forgotten"]) == ("healthy", ["h:/tmp/b"])
    assert report({"h": one}, json_file=path)["outcome"] == "healthy"


def test_check_mode_forgets_nothing(report: Report, tmp_path: Path) -> None:
    path = str(tmp_path / "health.json")
    report({"h": {**result(), "instances": [result(name="a"), result(name="b")]}}, json_file=path)
    one = {"h": {**result(), "instances": [result(name="a")]}}
    assert report(one, json_file=path, forget=["all"], check_mode=True)["outcome"] == "healthy"
    assert report(one, json_file=path)["outcome"] == "unhealthy"


def test_a_limited_run_keeps_what_the_others_had(report: Report, tmp_path: Path) -> None:
    path = str(tmp_path / "health.json")
    report({"a": result(name="x"), "b": result(name="y")}, hosts="all", json_file=path)
    found = report({"a": result(name="x"), "b": None}, hosts="all", json_file=path, magic=LIMIT)
    assert found["outcome"] == "healthy"
    for forget in ("b", "b:/tmp/y"):
        found = report(
            {"a": result(name="x"), "b": None}, hosts="all", json_file=path, magic=LIMIT, forget=[forget, "x"]
        )
        assert found["msg"].endswith(f"; not forgotten: {forget} (of a host that was left out), x (not missing)")
        assert found["forgotten"] == []
    found = report({"a": result(name="x"), "b": result(name="z")}, hosts="all", json_file=path)
    assert [(row["instance"], row["state"]) for row in found["fleet"]] == [("x", "ok"), ("z", "ok"), ("y", "gone")]


@pytest.mark.parametrize("text", ["", "not json", "{}", '{"fleet": 1, "generated": 2}', "\udcff"])
def test_a_foreign_file_is_refused_and_left_alone(report: Report, tmp_path: Path, text: str) -> None:
    path = tmp_path / "health.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    for fail_on in ("critical", "never"):
        found = report({"a": result()}, json_file=str(path), fail_on=fail_on)
        assert (found["failed"], found["outcome"], len(found["fleet"])) == (True, "invalid", 1)
        assert f"{path} is not the report of an earlier run" in found["msg"]
    assert path.read_bytes() == text.encode(errors="surrogateescape")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself"])
def test_no_file_at_all(report: Report, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "health.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    assert report({"a": result()}, json_file=str(path))["outcome"] == "invalid"
    assert os.listdir(tmp_path) == ["health.json"]


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
    monkeypatch.setattr(action.display, "display", lambda text, color=None, **_more: shown.append(text))
    assert report({"a": result()})["table"]
    assert bool(shown) is not for_programs


def test_a_report_without_services_does_not_load_what_asks_them() -> None:
    """With asyncio and ssl, which an ansible-core may have loaded itself."""
    asking = f"{fleet.__name__.rpartition('.')[0]}.asking"
    program = (
        f"import sys, {action.__name__}\n"
        f"from {fleet.__name__} import ask\n"
        f"print({asking!r} in sys.modules)\n"
        "ask(['pool1'], {'pool1': {'ansible_host': '127.0.0.1', 'health_check_http_port': 'none'}})\n"
        f"print({asking!r} in sys.modules)\n"
        "ask(['pool1'], {'pool1': {'ansible_host': '127.0.0.1', 'health_check_http_port': 1}})\n"
        f"print({asking!r} in sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env=env
    )
    assert ran.stdout.split() == ["False", "False", "True"]
