# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests healthy and reachable, on every kind of result of a pool."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible.errors import AnsibleFilterError
from ansible_collections.ckpool.fleet.plugins.plugin_utils._outcome import is_failure
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from ansible_collections.ckpool.fleet.plugins.plugin_utils._verdicts import is_healthy, is_reachable
from ansible_collections.ckpool.fleet.plugins.test import healthy, reachable
from jinja2 import StrictUndefined, UndefinedError

from ..plugin_utils.fake_results import check, result

#: state, the worst check, then: healthy, healthy with warnings, reachable
CASES = [
    ("ok", "ok", True, True, True),
    ("starting", "ok", False, True, True),
    ("starting", "warning", False, True, True),
    ("starting", "critical", False, False, True),
    ("degraded", "warning", False, True, True),
    ("degraded", "critical", False, False, True),
    ("unknown", "critical", False, False, False),
    ("hung", "critical", False, False, False),
    ("down", "critical", False, False, False),
]
HEALTHY = result("ok", check())
WARNED = result("degraded", check("warning"))
DEAD = result("down", check("critical"))


def forms(state: str, status: str) -> t.Dict[str, Json]:
    """One verdict in each form that the tests accept."""
    one = result(state, check(status))
    (row,) = rows_of("pool1", one)
    return {
        "result": {**one, "changed": False, "failed": False},
        "failed_when": {**one, "failed": True, "failed_when_result": True},
        "several": {**one, "instances": [HEALTHY, one]},
        "none there": {**one, "instances": []},
        "health": one["health"],
        "row": row,
    }


def test_they_are_found_under_their_names() -> None:
    assert healthy.TestModule().tests() == {"healthy": is_healthy}
    assert reachable.TestModule().tests() == {"reachable": is_reachable}


@pytest.mark.parametrize(("state", "status", "healthy", "without_critical", "answers"), CASES)
def test_every_state_in_every_form(
    state: str, status: str, healthy: bool, without_critical: bool, answers: bool
) -> None:
    for form, value in forms(state, status).items():
        assert is_healthy(value) is healthy, form
        assert is_healthy(value, warnings=True) is is_healthy(value, True) is without_critical, form
        assert is_reachable(value) is answers, form


@pytest.mark.parametrize(("state", "status"), [case[:2] for case in CASES])
def test_they_say_the_same_as_the_report(state: str, status: str) -> None:
    (row,) = rows_of("pool1", result(state, check(status)))
    assert is_healthy(row) is not is_failure(row, "warning")
    assert is_healthy(row, warnings=True) is not is_failure(row, "critical")


@pytest.mark.parametrize(
    "found",
    [
        {"unreachable": True, "changed": False, "msg": "no route to host"},
        {"failed": True, "changed": False, "msg": "find: no ckpool runs here"},
        rows_of("pool1", {"unreachable": True})[0],
        rows_of("pool1", {"failed": True, "msg": "broken"})[0],
    ],
)
def test_a_host_without_an_answer_is_neither(found: Json) -> None:
    assert is_healthy(found) is is_healthy(found, warnings=True) is is_reachable(found) is False


def test_of_several_instances_all_must_be() -> None:
    several = {**DEAD, "instances": [HEALTHY, DEAD]}
    assert not is_reachable(several)
    assert not is_healthy(several)
    assert [is_reachable(entry) for entry in several["instances"]] == [True, False]
    assert is_healthy({**HEALTHY, "instances": [HEALTHY, HEALTHY]})
    assert is_healthy({**WARNED, "instances": [HEALTHY, WARNED]}, warnings=True)


@pytest.mark.parametrize(("state", "answers"), [("ok", True), ("degraded", True), ("hung", False), ("down", False)])
def test_what_other_modules_return_says_whether_somebody_answers(state: str, answers: bool) -> None:
    value = {"instance": {"name": "ckpool", "state": state}, "stats": {}, "failed": False}
    assert is_reachable(value) is answers
    with pytest.raises(AnsibleFilterError, match=f"a state, {state}, but no verdict: run ckpool_health_info"):
        is_healthy(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ok", ": 'ok'$"),
        (True, ": True$"),
        (None, ": None$"),
        (5, ": 5$"),
        ([HEALTHY], "test its entries one by one"),
        ({}, "a dictionary with nothing"),
        ({"stdout": "", "rc": 0}, "a dictionary with stdout, rc"),
        ({"changed": False, "results": [HEALTHY]}, "a loop's result: test its results one by one"),
        ({"state": "started", "status": {}}, "a dictionary with state, status"),
        ({"state": ["ok"], "status": "ok"}, "a dictionary with state, status"),
        ({"health": "healthy"}, ": 'healthy'$"),
        ({"health": None}, ": None$"),
        ({"health": {"Status": "healthy"}}, "a dictionary with Status"),
        ({"instance": {"id": "i-1"}}, "a dictionary with id"),
        ({"skipped": True, "changed": False}, "the task was skipped"),
        ({"k" * 9999: 1}, "a dictionary with kkk"),
    ],
)
@pytest.mark.parametrize("test", [is_healthy, is_reachable])
def test_anything_else_is_an_error_that_names_it(test: t.Callable[..., bool], value: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message) as caught:
        test(value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("warnings", ["yes", 1, None])
def test_warnings_is_true_or_false(warnings: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="warnings is neither true nor false"):
        is_healthy(HEALTHY, warnings=warnings)


def test_an_undefined_variable_is_undefined() -> None:
    for test in (is_healthy, is_reachable):
        with pytest.raises(UndefinedError, match="pool"):
            test(StrictUndefined(name="pool"))
