# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters and tests on any value that a template may pass: they return, or raise an error of Ansible."""

from __future__ import annotations

import math
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.ckpool.fleet.plugins.filter import ckpool_query, hashrate, human_hashrate
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _ranking, _verdicts
from hypothesis import example, given
from hypothesis import strategies as st

from ..made import JSON, TEXT, check_serializable, objects
from .test_report import RESULT, STATES

RECORDS = st.lists(objects(("hashrate1m", "user", "stats")) | JSON, max_size=5)
WORDS = st.sampled_from(
    ["a", "stats", "users", "[*]", "[?", "]", ".", "*", "hashrate(", "human_hashrate(", "ago(", "sort_by(", ")", "@", ",",
     "&", "|", "`1`", "`null`", "'x'", "length(", "==", "sum(", "to_number(", "max(", "[0]", "{", "}", ":", "[::0]"]
)  # fmt: skip


def refused(error: AnsibleFilterError) -> None:
    """Check that an error can be shown."""
    check_serializable(str(error.message))


@given(value=JSON, unit=st.sampled_from(["H/s", "th/s", "GH/s"]) | TEXT)
def test_hashrate(value: t.Any, unit: str) -> None:
    try:
        rate = hashrate.hashrate(value, unit)
    except AnsibleFilterError as exc:
        refused(exc)
    else:
        assert math.isfinite(rate)
        assert rate >= 0


@given(value=JSON, digits=st.integers(-2, 20) | JSON, unit=st.none() | st.sampled_from(["H/s", "ZH/s"]) | TEXT)
def test_human_hashrate(value: t.Any, digits: t.Any, unit: t.Any) -> None:
    try:
        text = human_hashrate.human_hashrate(value, digits, unit)
    except AnsibleFilterError as exc:
        refused(exc)
    else:
        assert text.isprintable()
        assert text == "-" or text.endswith("H/s")


@given(
    records=RECORDS | JSON, count=st.integers(-1, 6) | JSON, by=st.just("hashrate1m") | TEXT, ascending=st.booleans()
)
def test_top(records: t.Any, count: t.Any, by: str, ascending: bool) -> None:
    try:
        found = _ranking.top(records, count, by, ascending)
    except AnsibleFilterError as exc:
        refused(exc)
    else:
        assert len(found) <= min(int(count), len(records))
        assert all(any(row is record for record in records) for row in found)


@given(data=JSON, words=st.lists(WORDS | TEXT, max_size=6), now=st.none() | JSON)
def test_query(data: t.Any, words: t.List[str], now: t.Any) -> None:
    try:
        ckpool_query.ckpool_query(data, "".join(words), now)
    except AnsibleFilterError as exc:
        refused(exc)


@given(value=RESULT | JSON | st.fixed_dictionaries({"instance": st.fixed_dictionaries({"state": st.sampled_from(STATES)})}),
       warnings=st.booleans() | JSON)  # fmt: skip
def test_verdicts(value: t.Any, warnings: t.Any) -> None:
    asked: t.List[t.Callable[[], bool]] = [
        lambda: _verdicts.is_healthy(value, warnings),
        lambda: _verdicts.is_reachable(value),
    ]
    for ask in asked:
        try:
            assert ask() in (True, False)
        except AnsibleFilterError as exc:
            refused(exc)


@given(value=RESULT)
@example(value={"health": {}, "instances": 1})
@example(value={"health": {}, "instances": [None]})
@example(value={"health": {"state": "ok", "status": "nonsense"}})
def test_healthy_is_reachable_and_healthy_with_warnings(value: t.Any) -> None:
    try:
        healthy = _verdicts.is_healthy(value)
    except AnsibleFilterError:
        return
    if healthy:
        assert {part["status"] for part in _verdicts.parts_of(value)} == {"ok"}
        assert _verdicts.is_reachable(value)
        assert _verdicts.is_healthy(value, True)
