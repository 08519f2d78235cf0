# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a fleet as rows, and those as a table, as JSON and as JUnit XML. Pure functions."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ..module_utils._units import human_hashrate
from ._screen import printable

Row = t.Dict[str, t.Any]

#: state to the colour that it is shown in
COLOURS = {"ok": "green", "starting": "yellow", "degraded": "yellow"}
_HEADINGS = ("HOST", "INSTANCE", "STATE", "HASHRATE", "USERS", "WORKERS", "WORK AGE", "WHAT IS WRONG")
_SHOWN = 2  #: how many wrong things a line of the table names


def rows_of(host: str, result: t.Mapping[str, t.Any]) -> t.List[Row]:
    """One row for each instance of a host, or one that says why there is none.

    :arg result: what C(ckpool_health_info) returned there, or what became of its task.
    """
    if result.get("unreachable"):
        return [_without(host, "unreachable", str(result.get("msg", "")))]
    if result.get("skipped"):
        return []
    if "health" not in result:
        return [_without(host, "failed", str(result.get("msg", "no answer")))]
    return [_row(host, found) for found in result.get("instances") or [result]]


def _without(host: str, state: str, why: str) -> Row:
    empty: Row = dict.fromkeys(("instance", "socket_dir", "hashrate", "users", "workers", "work_age"))
    why = " ".join(why.split())
    return {"host": host, **empty, "state": state, "status": "critical", "wrong": [why], "checks": []}


def _row(host: str, found: t.Mapping[str, t.Any]) -> Row:
    health = found["health"]
    stats = found.get("stats") or {}
    instance = found.get("instance") or {}
    return {
        "host": host,
        "instance": instance.get("name"),
        "socket_dir": instance.get("socket_dir"),
        "state": health["state"],
        "status": health["status"],
        "hashrate": stats.get("hashrate1m"),
        "users": stats.get("users"),
        "workers": stats.get("workers"),
        "work_age": found.get("work_age"),
        "wrong": list(health["wrong"]),
        "checks": list(health["checks"]),
    }


def is_failure(row: Row, fail_on: str) -> bool:
    """Whether a row fails the fleet.

    :arg fail_on: C(critical), C(warning) or C(never).
    """
    if fail_on == "never":
        return False
    return row["status"] == "critical" or (fail_on == "warning" and row["state"] != "ok")


def table(rows: t.Sequence[Row]) -> t.List[str]:
    """The rows as lines of text under a heading, in columns."""
    named = [(row["host"], row["instance"]) for row in rows]
    cells = [_HEADINGS, *(_cells(row, named.count((row["host"], row["instance"])) > 1) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS) - 1)]
    return ["  ".join([text.ljust(width) for text, width in zip(line, widths)] + [line[-1]]).rstrip() for line in cells]


def _cells(row: Row, is_namesake: bool) -> t.Tuple[str, ...]:
    """One line of the table. Instances of one host that share a name are told apart by their directories."""
    wrong = row["wrong"]
    more = f" (+{len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
    age = "-" if row["work_age"] is None else f"{row['work_age']:.0f} s"
    name = f"{row['instance']} {row['socket_dir']}" if is_namesake else row["instance"] or "-"
    numbers = (human_hashrate(row["hashrate"]), _number(row["users"]), _number(row["workers"]), age)
    return tuple(map(printable, (row["host"], name, row["state"], *numbers, "; ".join(wrong[:_SHOWN]) + more)))


def _number(value: t.Any) -> str:
    return "-" if value is None else str(value)


def summary(rows: t.Sequence[Row]) -> str:
    """The fleet in one sentence."""
    if not rows:
        return "no host was asked"
    well = sum(row["state"] == "ok" for row in rows)
    hosts = len({row["host"] for row in rows})
    text = f"{well} of {len(rows)} pools on {hosts} hosts are well"
    sick = [f"{row['instance'] or 'pool'} on {row['host']} is {row['state']}" for row in rows if row["state"] != "ok"]
    return "; ".join([text, *sick])


def junit(rows: t.Sequence[Row], fail_on: str) -> str:
    """The rows as JUnit XML: a test suite for each instance, a test case for each check.

    A check that is critical, or any that is not well with C(fail_on=warning), is a failure.
    """
    root = ET.Element("testsuites", name="ckpool.fleet health")
    for row in rows:
        _suite(root, row, fail_on)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: ET.Element, row: Row, fail_on: str) -> None:
    suite = ET.SubElement(root, "testsuite", name=_xml_text(f"{row['host']}.{row['instance'] or 'pool'}"))
    checks = row["checks"] or [
        {
            "name": "reachable",
            "status": row["status"],
            "reason": row["state"],
            "summary": "; ".join(row["wrong"]),
            "hint": "",
        }
    ]
    bad = ("critical", "warn") if fail_on == "warning" else ("critical",)
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname=suite.get("name", ""), name=check["name"])
        if check["status"] in bad:
            reason, message = _xml_text(check["reason"]), _xml_text(check["summary"])
            failure = ET.SubElement(case, "failure", type=reason, message=message)
            failure.text = _xml_text(check["hint"])
        elif check["status"] == "skipped":
            ET.SubElement(case, "skipped", message=_xml_text(check["summary"]))
        elif check["status"] == "warn":
            ET.SubElement(case, "system-out").text = _xml_text(check["summary"])
    suite.set("tests", str(len(checks)))
    suite.set("failures", str(sum(check["status"] in bad for check in checks)))
    suite.set("skipped", str(sum(check["status"] == "skipped" for check in checks)))


def _xml_text(text: str) -> str:
    """Text without what XML may not hold: the log of a pool can have any byte in it."""
    return "".join(
        c if c in "\t\n" or " " <= c < "\ud800" or "\ue000" <= c < "\ufffe" or c > "\uffff" else "?" for c in text
    )
