# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports on a fleet as JUnit XML: test suites, of which each check is a test case. Pure functions."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ..module_utils._health import CRITICAL, FAIL_ON, SKIPPED, WARNING
from ..module_utils._text import printable
from ._outcome import INVALID, is_failure, judged_by
from ._rows import Row
from ._types import Json


def junit(rows: t.Sequence[Row], fail_on: str, problems: t.Sequence[str] = ()) -> str:
    """A test suite for each instance, and in it a test case for each check.

    A critical check is a failure, and with C(fail_on=warning) a warning too. Every row that fails the fleet has at
    least one failure, and each of the problems of the call is one.
    """
    suites = [(f"{row['host']}.{row['instance'] or 'pool'}", _cases(row, fail_on)) for row in rows]
    if problems:
        suites.append(("ckpool.fleet", [case_of("invocation", INVALID, text) for text in problems]))
    return suites_as_xml("ckpool.fleet health", suites, fail_on)


def suites_as_xml(title: str, suites: t.Iterable[t.Tuple[str, t.Sequence[t.Mapping[str, t.Any]]]], fail_on: str) -> str:
    """A document of test suites.

    :arg suites: the name of each, and its checks, as C(case_of) makes them.
    :arg fail_on: a key of C(FAIL_ON).
    """
    root = ET.Element("testsuites", name=title)
    for name, checks in suites:
        _add_suite(root, name, checks, fail_on)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cases(row: Row, fail_on: str) -> t.List[Json]:
    if not row["checks"]:
        return [case_of("reachable", row["state"], "; ".join(row["wrong"]), row["status"])]
    checks = list(row["checks"])
    failing = FAIL_ON[judged_by(fail_on)]
    if is_failure(row, fail_on) and not any(check["status"] in failing for check in checks):
        checks.append(case_of("state", row["state"], f"it is {row['state']}"))
    return checks


def case_of(name: str, reason: str, summary: str, status: str = CRITICAL) -> Json:
    """A check, to be a test case."""
    return {"name": name, "status": status, "reason": reason, "summary": summary, "hint": ""}


def _add_suite(root: ET.Element, name: str, checks: t.Sequence[t.Mapping[str, t.Any]], fail_on: str) -> None:
    name = _xml_text(printable(name))
    failing = FAIL_ON[judged_by(fail_on)]
    suite = ET.SubElement(root, "testsuite", name=name)
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname=name, name=_xml_text(check["name"]))
        _add_result(case, check, check["status"] in failing)
    suite.set("tests", str(len(checks)))
    suite.set("failures", str(sum(check["status"] in failing for check in checks)))
    suite.set("skipped", str(sum(check["status"] == SKIPPED for check in checks)))


def _add_result(case: ET.Element, check: t.Mapping[str, t.Any], fails: bool) -> None:
    message = _xml_text(check["summary"])
    if fails:
        failure = ET.SubElement(case, "failure", type=_xml_text(check["reason"]), message=message)
        failure.text = _xml_text(check["hint"])
    elif check["status"] == SKIPPED:
        ET.SubElement(case, "skipped", message=message)
    elif check["status"] == WARNING:
        ET.SubElement(case, "system-out").text = message


def _xml_text(text: str) -> str:
    """Text without the characters that XML forbids: the log of a pool can hold any byte."""
    return "".join(
        c if c in "\t\n" or " " <= c < "\ud800" or "\ue000" <= c < "\ufffe" or c > "\uffff" else "?" for c in text
    )
