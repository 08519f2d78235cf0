# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a fleet as JUnit XML."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._junit import junit
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_results import check, result


def suites(rows: t.Sequence[Json], fail_on: str = "critical") -> t.List[ET.Element]:
    """The suites of the report, parsed."""
    text = junit(rows, fail_on)
    assert text.startswith("<?xml")
    root = ET.fromstring(text.encode("utf-8"))
    assert root.tag == "testsuites"
    return list(root)


def test_junit_has_a_suite_for_each_instance_and_a_case_for_each_check() -> None:
    checks = [check(), check("warning", "disk"), check("critical", "ready"), check("skipped", "users")]
    (suite,) = suites(rows_of("pool1", result("degraded", *checks)))
    assert suite.attrib == {"name": "pool1.ckpool", "tests": "4", "failures": "1", "skipped": "1"}
    assert [case.get("name") for case in suite] == ["process", "disk", "ready", "users"]
    assert [[part.tag for part in case] for case in suite] == [[], ["system-out"], ["failure"], ["skipped"]]
    failure = suite[2][0]
    assert (failure.get("type"), failure.get("message"), failure.text) == (
        "critical",
        "ready is critical",
        "look at ready",
    )


def test_junit_counts_warnings_as_failures_when_they_are() -> None:
    (suite,) = suites(rows_of("pool1", result("degraded", check("warning"), check("critical", "ready"))), "warning")
    assert suite.get("failures") == "2"


def test_junit_fails_wherever_the_fleet_does() -> None:
    """Also if the failing checks are missing, and if the call itself is wrong."""
    (suite,) = suites(
        rows_of(
            "pool1", {**result("down", check()), "health": {**result("down", check())["health"], "status": "critical"}}
        )
    )
    assert (suite.get("failures"), suite[-1].get("name")) == ("1", "state")
    (suite,) = suites(rows_of("pool1", result("starting", check())), "warning")
    assert (suite.get("failures"), suite[-1][0].get("message")) == ("1", "it is starting")
    root = ET.fromstring(junit([], "critical", ["no such host"]).encode())
    assert [case.get("name") for case in root.iter("testcase")] == ["invocation"]
    assert [failure.get("message") for failure in root.iter("failure")] == ["no such host"]


@pytest.mark.parametrize("found", [{"unreachable": True, "msg": "no route"}, {"failed": True, "msg": "broken"}])
def test_junit_of_a_host_without_a_verdict_is_one_failure(found: Json) -> None:
    (suite,) = suites(rows_of("pool1", found))
    assert suite.attrib == {"name": "pool1.pool", "tests": "1", "failures": "1", "skipped": "0"}
    assert suite[0].get("name") == "reachable"
    assert suite[0][0].get("message") == found["msg"]


@pytest.mark.parametrize(
    "text", ["<&>\"'", "]]>", "é ☃ 𝄞", "\0\x01\x1f\x7f", "\ud800\udfff", "\ufffe\uffff", "a\tb\nc"]
)
@pytest.mark.parametrize("place", ["summary", "hint", "reason", "instance", "host"])
def test_junit_is_valid_xml_with_any_log(text: str, place: str) -> None:
    changes = {place: text} if place in ("summary", "hint", "reason") else {}
    for status in ("critical", "warning", "skipped"):
        found = result("degraded", check(status, **changes), name=text if place == "instance" else "ckpool")
        (suite,) = suites(rows_of(text if place == "host" else "pool1", found))
        assert len(suite) == 1
