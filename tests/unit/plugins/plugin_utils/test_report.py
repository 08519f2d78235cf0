# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a fleet as rows, and those as a table, a sentence and JUnit XML."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _report
from ansible_collections.ckpool.fleet.plugins.plugin_utils._report import is_failure, junit, rows_of, summary, table

KEYS = {
    "host",
    "instance",
    "socket_dir",
    "state",
    "status",
    "hashrate",
    "users",
    "workers",
    "work_age",
    "wrong",
    "checks",
}


def check(status: str = "ok", name: str = "process", **changes: t.Any) -> t.Dict[str, t.Any]:
    usual = {"observed": 1, "expected": "", "reason": status, "hint": "look", "summary": f"{name} is {status}"}
    return {"name": name, "status": status, **usual, **changes}


def result(
    state: str = "ok", *checks: t.Dict[str, t.Any], name: str = "ckpool", **changes: t.Any
) -> t.Dict[str, t.Any]:
    """What the module returns of one instance."""
    statuses = [made["status"] for made in checks]
    status = next((found for found in ("critical", "warn") if found in statuses), "ok")
    wrong = [made["summary"] for made in checks if made["status"] in ("warn", "critical")]
    return {
        "instance": {"name": name, "socket_dir": f"/tmp/{name}", "state": state},
        "health": {"state": state, "ok": state == "ok", "status": status, "wrong": wrong, "checks": list(checks)},
        "stats": {"hashrate1m": 38.5e6, "users": 3, "workers": 12},
        "work_age": 4.2,
        **changes,
    }


def test_a_row_of_one_instance() -> None:
    (row,) = rows_of("pool1", result("degraded", check("critical")))
    assert row == {
        "host": "pool1", "instance": "ckpool", "socket_dir": "/tmp/ckpool", "state": "degraded", "status": "critical",
        "hashrate": 38.5e6, "users": 3, "workers": 12, "work_age": 4.2, "wrong": ["process is critical"],
        "checks": [check("critical")],
    }  # fmt: skip


def test_a_row_for_each_of_several_instances() -> None:
    several = {**result("down"), "instances": [result(name="a"), result("down", name="b")]}
    assert [(row["instance"], row["state"]) for row in rows_of("pool1", several)] == [("a", "ok"), ("b", "down")]


def test_a_row_of_a_host_without_any_pool() -> None:
    nothing = {**result("down", stats=None, work_age=None), "instance": None, "instances": []}
    (row,) = rows_of("pool1", nothing)
    assert (row["instance"], row["state"], row["hashrate"]) == (None, "down", None)


@pytest.mark.parametrize(
    ("found", "state", "why"),
    [
        ({"unreachable": True, "msg": "Failed to connect:\n  no route\tto host"}, "unreachable", "Failed to connect: no route to host"),
        ({"unreachable": True}, "unreachable", ""),
        ({"failed": True, "msg": "find: no ckpool runs here"}, "failed", "find: no ckpool runs here"),
        ({}, "failed", "no answer"),
        ({"failed": True, "msg": None}, "failed", "None"),
    ],
)  # fmt: skip
def test_a_host_that_gave_no_verdict_has_a_row_too(found: t.Dict[str, t.Any], state: str, why: str) -> None:
    (row,) = rows_of("pool1", found)
    assert (row["state"], row["status"], row["wrong"], row["checks"]) == (state, "critical", [why], [])


def test_all_rows_have_the_same_keys() -> None:
    """A program that reads the report need not ask first."""
    for found in (result(), {"unreachable": True}, {"failed": True}, {**result(), "instance": None, "stats": None}):
        for row in rows_of("pool1", found):
            assert set(row) == KEYS


@pytest.mark.parametrize(
    ("state", "status", "failing"),
    [
        ("ok", "ok", ()),
        ("starting", "ok", ("warning",)),
        ("degraded", "warn", ("warning",)),
        ("degraded", "critical", ("warning", "critical")),
        ("down", "critical", ("warning", "critical")),
        ("unreachable", "critical", ("warning", "critical")),
    ],
)
def test_what_fails_the_fleet(state: str, status: str, failing: t.Tuple[str, ...]) -> None:
    row = {"state": state, "status": status}
    assert tuple(level for level in ("warning", "critical", "never") if is_failure(row, level)) == failing


def test_the_table() -> None:
    rows = [
        *rows_of("pool1", result()),
        *rows_of(
            "a-much-longer-name", result("degraded", check("warn", "a"), check("critical", "b"), check("warn", "c"))
        ),
        *rows_of("pool3", {"unreachable": True, "msg": "no route"}),
    ]
    assert table(rows) == [
        "HOST                INSTANCE  STATE        HASHRATE   USERS  WORKERS  WORK AGE  WHAT IS WRONG",
        "pool1               ckpool    ok           38.5 MH/s  3      12       4 s",
        "a-much-longer-name  ckpool    degraded     38.5 MH/s  3      12       4 s       a is warn; b is critical (+1 more)",
        "pool3               -         unreachable  -          -      -        -         no route",
    ]


def test_no_name_moves_the_cursor_of_a_terminal() -> None:
    rows = rows_of("pool1", result("degraded", check("warn", summary="\x1b[2Jgone\nnext"), name="a\x1b[31m"))
    assert all(line.isprintable() for line in table(rows))


def test_a_task_that_was_skipped_has_no_row() -> None:
    assert rows_of("pool1", {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}) == []


def test_the_table_of_nothing_is_a_heading() -> None:
    assert len(table([])) == 1


def test_a_zero_is_shown_as_one_and_not_as_unknown() -> None:
    (row,) = rows_of("h", result(stats={"hashrate1m": 0.0, "users": 0, "workers": 0}, work_age=0.0))
    assert table([row])[1].split()[3:] == ["0.00", "H/s", "0", "0", "0", "s"]


def test_the_fleet_in_one_sentence() -> None:
    assert summary([]) == "no host was asked"
    assert summary(rows_of("pool1", result())) == "1 of 1 pools on 1 hosts are well"
    rows = [*rows_of("pool1", {**result(), "instances": [result(), result("down", name="b")]}), *rows_of("p2", {})]
    assert summary(rows) == "1 of 3 pools on 2 hosts are well; b on pool1 is down; pool on p2 is failed"


def suites(rows: t.Sequence[t.Dict[str, t.Any]], fail_on: str = "critical") -> t.List[ET.Element]:
    """The suites of the report, as a reader of it finds them."""
    text = junit(rows, fail_on)
    assert text.startswith("<?xml")
    root = ET.fromstring(text.encode("utf-8"))
    assert root.tag == "testsuites"
    return list(root)


def test_junit_has_a_suite_for_each_instance_and_a_case_for_each_check() -> None:
    checks = [check(), check("warn", "disk"), check("critical", "ready"), check("skipped", "users")]
    (suite,) = suites(rows_of("pool1", result("degraded", *checks)))
    assert suite.attrib == {"name": "pool1.ckpool", "tests": "4", "failures": "1", "skipped": "1"}
    assert [case.get("name") for case in suite] == ["process", "disk", "ready", "users"]
    assert [[part.tag for part in case] for case in suite] == [[], ["system-out"], ["failure"], ["skipped"]]
    failure = suite[2][0]
    assert (failure.get("type"), failure.get("message"), failure.text) == ("critical", "ready is critical", "look")


def test_junit_counts_warnings_as_failures_when_they_are() -> None:
    (suite,) = suites(rows_of("pool1", result("degraded", check("warn"), check("critical", "ready"))), "warning")
    assert suite.get("failures") == "2"


@pytest.mark.parametrize("found", [{"unreachable": True, "msg": "no route"}, {"failed": True, "msg": "broken"}])
def test_junit_of_a_host_without_a_verdict_is_one_failure(found: t.Dict[str, t.Any]) -> None:
    (suite,) = suites(rows_of("pool1", found))
    assert suite.attrib == {"name": "pool1.pool", "tests": "1", "failures": "1", "skipped": "0"}
    assert suite[0].get("name") == "reachable"
    assert suite[0][0].get("message") == found["msg"]


@pytest.mark.parametrize(
    "text", ["<&>\"'", "]]>", "é ☃ 𝄞", "\0\x01\x1f\x7f", "\ud800\udfff", "\ufffe\uffff", "a\tb\nc"]
)
@pytest.mark.parametrize("place", ["summary", "hint", "reason", "instance", "host"])
def test_junit_is_well_formed_whatever_a_log_holds(text: str, place: str) -> None:
    changes = {place: text} if place in ("summary", "hint", "reason") else {}
    for status in ("critical", "warn", "skipped"):
        found = result("degraded", check(status, **changes), name=text if place == "instance" else "ckpool")
        (suite,) = suites(rows_of(text if place == "host" else "pool1", found))
        assert len(suite) == 1


def test_every_state_that_is_not_well_is_shown_in_colour() -> None:
    assert _report.COLOURS["ok"] == "green"
    assert {_report.COLOURS.get(state, "red") for state in ("hung", "down", "unknown", "unreachable", "failed")} == {
        "red"
    }
