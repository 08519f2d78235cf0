# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of hosts as rows: no result of a host costs the other rows."""

from __future__ import annotations

import copy
import json
import math
import typing as t

import hypothesis
import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._junit import junit
from ansible_collections.ckpool.fleet.plugins.plugin_utils._outcome import outcome
from ansible_collections.ckpool.fleet.plugins.plugin_utils._report import notes, summary, table, totals
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from hypothesis import strategies as st

from .fake_results import KEYS, check, result


def test_a_row_of_one_instance() -> None:
    (row,) = rows_of("pool1", result("degraded", check("critical")))
    assert row == {
        "host": "pool1", "instance": "ckpool", "socket_dir": "/tmp/ckpool", "pid": 42, "root": "/", "user": None, "state": "degraded",
        "status": "critical", "hashrate": 38.5e6, "users": 3, "workers": 12, "clients": 12,
        "work_age": 4.2, "log_line": None,
        "wrong": ["process is critical"], "checks": [check("critical")],
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
        ({"unreachable": True}, "unreachable", "no answer"),
        ({"failed": True, "msg": "find: no ckpool runs here"}, "failed", "find: no ckpool runs here"),
        ({}, "failed", "no answer"),
        ({"failed": True, "msg": None}, "failed", "no answer"),
        ({"failed": True, "msg": "no json", "module_stderr": "no room\n"}, "failed", "no json: no room"),
    ],
)  # fmt: skip
def test_a_host_that_gave_no_verdict_has_a_row_too(found: Json, state: str, why: str) -> None:
    (row,) = rows_of("pool1", found)
    assert (row["state"], row["status"], row["wrong"], row["checks"]) == (state, "critical", [why], [])


def test_all_rows_have_the_same_keys() -> None:
    """Programs that read the report rely on it."""
    for found in (result(), {"unreachable": True}, {"failed": True}, {**result(), "instance": None, "stats": None}):
        for row in rows_of("pool1", found):
            assert set(row) == KEYS


def test_a_task_that_was_skipped_has_no_row() -> None:
    assert rows_of("pool1", {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}) == []


ODD: t.List[t.Tuple[t.Any, str]] = [
    ({"health": {}}, "health.state is missing"),
    ({"health": []}, "health is a list"),
    ({"health": None}, "health is null"),
    ({"health": "ok"}, "health is 'ok'"),
    ({**result(), "health": {**result()["health"], "state": "fine"}}, "health.state is 'fine'"),
    ({**result(), "health": {**result()["health"], "status": None}}, "health.status is null"),
    ({**result(), "health": {**result()["health"], "checks": {}}}, "health.checks is a dictionary"),
    ({**result(), "health": {**result()["health"], "checks": [1]}}, "an entry of health.checks is 1"),
    ({**result(), "health": {**result()["health"], "checks": [{"status": "ok"}]}}, "name of a check is null"),
    ({**result(), "health": {**result()["health"], "wrong": [None]}}, "an entry of health.wrong is null"),
    ({**result(), "stats": {"hashrate1m": "38.5M"}}, "stats.hashrate1m is '38.5M'"),
    ({**result(), "stats": {"users": [3]}}, "stats.users is a list"),
    ({**result(), "stats": {"workers": True}}, "stats.workers is True"),
    ({**result(), "stats": {"hashrate1m": math.nan}}, "stats.hashrate1m is nan"),
    ({**result(), "stats": {"hashrate1m": 10**400}}, "stats.hashrate1m is 1000"),
    ({**result(), "stats": {"hashrate1m": -1}}, "stats.hashrate1m is -1"),
    ({**result(), "stats": "none"}, "stats is 'none'"),
    ({**result(), "work_age": "old"}, "work_age is 'old'"),
    ({**result(), "instance": "ckpool"}, "instance is 'ckpool'"),
    ({**result(), "instance": {"name": 7}}, "instance.name is 7"),
    ({**result(), "instances": {"a": 1}}, "instances is a dictionary"),
    ({**result(), "instances": [7]}, "an entry of instances is 7"),
    ({**result(), "log_tail": [{}]}, "a line of log_tail is a dictionary"),
    ("junk", "the result is 'junk'"),
    ([result()], "the result is a list"),
    (7, "the result is 7"),
]


@pytest.mark.parametrize(("found", "why"), ODD, ids=[why for _found, why in ODD])
def test_an_odd_result_is_a_row_that_says_so(found: t.Any, why: str) -> None:
    (row,) = rows_of("pool1", found)
    assert set(row) == KEYS
    assert (row["host"], row["state"], row["status"]) == ("pool1", "failed", "critical")
    assert row["wrong"][0].startswith(f"odd result: {why}")


def test_an_odd_instance_costs_no_other_of_its_host() -> None:
    odd = {**result(name="odd"), "stats": {"users": "many"}}
    rows = rows_of("pool1", {**result(), "instances": [result(name="a"), odd, None, result(name="b")]})
    assert [(row["instance"], row["state"]) for row in rows] == [
        ("a", "ok"), ("odd", "failed"), (None, "failed"), ("b", "ok"),
    ]  # fmt: skip


def test_what_is_not_known_is_no_oddity() -> None:
    (row,) = rows_of("pool1", {**result(), "stats": None, "work_age": None, "log_tail": None})
    assert (row["state"], row["hashrate"]) == ("ok", None)


def test_a_result_in_itself_is_a_row() -> None:
    endless: Json = result()
    endless["stats"] = endless
    (row,) = rows_of("pool1", endless)
    assert row["state"] == "failed"


@hypothesis.given(
    place=st.integers(0, 99),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_whatever_stands_anywhere_the_report_is_made(place: int, value: t.Any) -> None:
    """A value of any kind in any one place of a result."""
    several = {**result(), "instances": [result("hung", check("critical"), check("warning", "disk"), log_tail=["x"])]}
    found = _with(several, place, value)
    rows = [*rows_of("pool1", found), *rows_of("pool2", result())]
    assert [row["state"] for row in rows if row["host"] == "pool2"] == ["ok"]
    assert all(set(row) == KEYS for row in rows)
    assert all(line.isprintable() for line in (*table(rows), *notes(rows), summary(rows)))
    json.dumps(rows, allow_nan=True)
    assert junit(rows, "warning") and outcome(rows, "critical") and totals(rows)["hosts"] <= 2


def _with(found: Json, place: int, value: t.Any) -> Json:
    """A copy with one value replaced, at any depth."""
    changed = copy.deepcopy(found)
    places: t.List[t.Tuple[t.Any, t.Any]] = []

    def walk(node: t.Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(changed)
    node, key = places[place % len(places)]
    node[key] = value
    return changed
