# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of hosts with arbitrary content: each has a row at least, and the other rows stay."""

from __future__ import annotations

import json
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.ckpool.fleet.plugins.module_utils import _host_board
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _baseline, _board, _junit, _outcome, _report, _rows
from hypothesis import example, given
from hypothesis import strategies as st

from ..made import JSON, TEXT, check_numbers, check_result, check_serializable, objects

STATES = ("ok", "starting", "degraded", "hung", "down", "unknown")
FAIL_ON = st.sampled_from(["critical", "warning", "never"])
CHECK = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["process", "ready"]) | JSON,
        "status": st.sampled_from(["ok", "warning", "critical", "skipped"]) | JSON,
        "reason": JSON,
        "summary": JSON,
        "hint": JSON,
        "observed": JSON,
    },
)
HEALTH = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(STATES) | JSON,
        "status": st.sampled_from(["ok", "warning", "critical"]) | JSON,
        "wrong": st.lists(TEXT | JSON, max_size=3) | JSON,
        "checks": st.lists(CHECK | JSON, max_size=3) | JSON,
        "ok": JSON,
    },
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "health": HEALTH | JSON,
        "instance": objects(("name", "socket_dir", "pid", "root", "user"), TEXT | JSON) | JSON,
        "stats": objects(("hashrate1m", "users", "workers"), JSON) | JSON,
        "work_age": JSON,
        "log_tail": st.lists(TEXT | JSON, max_size=2) | JSON,
    },
)
RESULT = st.tuples(
    ENTRY,
    st.fixed_dictionaries(
        {},
        optional={
            "instances": st.lists(ENTRY | JSON, max_size=3) | JSON,
            "unreachable": JSON,
            "skipped": st.sampled_from([False, None, 0]),
            "failed": JSON,
            "msg": TEXT | JSON,
        },
    ),
).map(lambda parts: {**parts[0], **parts[1]})
GOOD = {
    "instance": {"name": "good", "socket_dir": "/run/ckpool", "pid": 4242, "root": "/"},
    "health": {"state": "ok", "status": "ok", "ok": True, "wrong": [], "checks": []},
    "stats": {"hashrate1m": 1e12, "users": 2, "workers": 3},
    "work_age": 7.0,
}


@given(result=RESULT, host=TEXT, fail_on=FAIL_ON)
@example(result={"health": {}}, host="h", fail_on="critical")
@example(result={"health": None}, host="h", fail_on="critical")
@example(result={"health": {"state": "ok", "status": "ok"}, "instances": [None]}, host="h", fail_on="critical")
def test_a_result_is_a_row(result: t.Dict[str, t.Any], host: str, fail_on: str) -> None:
    rows = _rows.rows_of(host, result)
    assert rows
    assert all(row["host"] == host for row in rows)
    check_numbers([row[name] for row in rows for name in ("hashrate", "users", "workers", "work_age")])
    show(rows, fail_on)


@given(result=RESULT, fail_on=FAIL_ON)
@example(result={"health": {}}, fail_on="critical")
@example(result={}, fail_on="warning")
def test_what_is_no_verdict_is_no_health(result: t.Dict[str, t.Any], fail_on: str) -> None:
    """A row is ok only if its result is."""
    for row in _rows.rows_of("host", result):
        if row["state"] == "ok":
            entries = result.get("instances") or [result]
            assert any(entry["health"].get("state") == "ok" for entry in entries if is_judged(entry))
        elif row["status"] == "critical":
            assert _outcome.is_failure(row, fail_on) == (fail_on != "never")


def is_judged(entry: t.Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("health"), dict)


@given(odd=st.lists(RESULT, max_size=3), entries=st.lists(ENTRY | JSON, max_size=3), fail_on=FAIL_ON)
def test_an_odd_result_costs_no_other(odd: t.List[t.Any], entries: t.List[t.Any], fail_on: str) -> None:
    results = {f"odd{number}": result for number, result in enumerate(odd)}
    results["several"] = {**GOOD, "instances": [*entries, GOOD]}
    results["good"] = GOOD
    rows = [row for host, result in results.items() for row in _rows.rows_of(host, result)]
    assert {row["host"] for row in rows} == set(results)
    several = [row for row in rows if row["host"] == "several"]
    assert len(several) == len(entries) + 1
    for row in (several[-1], rows[-1]):
        assert (row["instance"], row["state"], row["hashrate"], row["workers"]) == ("good", "ok", 1e12, 3)
    show(rows, fail_on)


def show(rows: t.List[t.Any], fail_on: str) -> None:
    """Show the rows in every form, and check each."""
    lines = _report.table(rows)
    assert len(lines) >= len(rows) + 1
    assert all(line.isprintable() for line in [*lines, *_report.notes(rows)])
    for columns, height in ((40, 5), (80, 24)):
        board = _board.fleet_board(
            _host_board.Head("fleet", "round 1", "now"), _board.with_modes(rows, rows), (columns, height)
        )
        assert len(board) <= height
        assert all(text.isprintable() and _host_board.width(text) <= columns for text, _colour in board)
    check_result(_report.totals(rows))
    failing = [row for row in rows if _outcome.is_failure(row, "critical" if fail_on == "never" else fail_on)]
    assert (_outcome.outcome(rows, fail_on) == "healthy") == (not failing)
    assert "\n" not in _report.summary(rows)
    check_serializable(_report.summary(rows))
    text = _junit.junit(rows, fail_on)
    text.encode("utf-8")
    suites = ET.fromstring(text)
    assert len(suites) >= len(rows)
    check_result(rows)


BASELINE = st.fixed_dictionaries(
    {},
    optional={
        name: st.lists(
            objects(("host", "instance", "socket_dir", "root", "last_seen", "state"), TEXT | JSON), max_size=3
        )
        | JSON
        for name in ("fleet", "instances", "known", "gone", "kept", "time", "finished", "as_of", "outcome")
    },
)


@given(text=(BASELINE | JSON).map(json.dumps) | TEXT, forget=st.lists(TEXT, max_size=2))
def test_the_report_of_the_run_before_is_one_or_refused(text: str, forget: t.List[str]) -> None:
    try:
        known = _baseline.read_baseline(text)
    except _baseline.BadBaseline as exc:
        check_serializable(str(exc))
        return
    rows = _rows.rows_of("good", GOOD)
    compared = _baseline.compare(known, rows, ["good"], forget, 1795385500.0)
    check_result([one.as_dict() for one in compared.known])
    show([*rows, *compared.gone], "critical")
