# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders to pools that hang, are down, or may not be used fail clearly and change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import Simulated, wait_for
from tests.support.ansible import Direct, Json, Task
from tests.support.privileges import UNPRIVILEGED

TIMEOUT = 0.3
FAULTS: dict[str, tuple[str, str]] = {
    "hung": ("ask", "unanswered"), "down": ("connect", "refused"), "no_permission": ("connect", "not_permitted"),
}  # fmt: skip
TASKS: dict[str, Task] = {
    "level": ("ckpool_loglevel", {"level": "debug"}),
    "restore": ("ckpool_loglevel", {"restore": True}),
    "drop": ("ckpool_dropuser", {"users": ["alice"]}),
    "accepting": ("ckpool_clients", {"state": "accepting"}),
    "redirected": ("ckpool_clients", {"state": "redirected", "redirect_to": "spare:3333", "redirect_check": False}),
    "look": ("ckpool_step", {"wants": ["stats", "service", "handover", "holders"]}),
    "kill": ("ckpool_step", {"step": "kill", "pid": 1, "started": 1}),
    "clean": ("ckpool_step", {"step": "clean"}),
}
PREDICTED = ("level", "drop")
STEPS = ("look", "kill", "clean")


@pytest.fixture(scope="module")
def pools(place: Callable[[], Path]) -> Iterator[dict[str, Simulated]]:
    with contextlib.ExitStack() as stack:
        yield {fault: stack.enter_context(Simulated(place(), user_names=["alice"], faults=[fault])) for fault in FAULTS}


@pytest.fixture(scope="module")
def results(direct: Direct, pools: dict[str, Simulated]) -> dict[tuple[str, str], Json]:
    """The result of each task on each pool, by fault and task; with '?' in check mode."""
    wait_for(lambda: not pools["down"].pids, "its end")
    found: dict[tuple[str, str], Json] = {}
    for faults, prefix in ((("hung", "down"), ()), (("no_permission",), UNPRIVILEGED)):
        tasks: dict[tuple[str, str], Task] = {}
        for fault in faults:
            where = {"socket_dir": str(pools[fault].socket_dir), "timeout": TIMEOUT}
            for word, (name, options) in TASKS.items():
                tasks[fault, word] = (name, {**where, **options})
                if word in PREDICTED:
                    tasks[fault, f"{word}?"] = (f"{name}?", {**where, **options})
        found.update(zip(tasks, direct.control(tasks.values(), prefix=prefix), strict=True))
    return found


@pytest.mark.parametrize("word", [word for word in TASKS if word not in STEPS] + [f"{word}?" for word in PREDICTED])
@pytest.mark.parametrize("fault", FAULTS)
def test_failures_say_what_and_why(
    fault: str, word: str, results: dict[tuple[str, str], Json], pools: dict[str, Simulated]
) -> None:
    result = results[fault, word]
    assert result["failed"] and not result.get("changed"), result["msg"]
    assert (result["phase"], result["reason"]) == FAULTS[fault]
    assert result["path"] == str(pools[fault].socket_dir / "listener")
    assert result["path"] in result["msg"] and result["hint"] in result["msg"] and result["hint"]


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_was_done(fault: str, results: dict[tuple[str, str], Json], pools: dict[str, Simulated]) -> None:
    assert results and pools[fault].told() == []
    assert bool(pools[fault].pids) == (fault != "down")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_look_is_no_failure(fault: str, results: dict[tuple[str, str], Json]) -> None:
    result = results[fault, "look"]
    assert not result["failed"] and not result["changed"] and result["found"]
    state = {"hung": "hung", "down": "down", "no_permission": "unknown"}[fault]
    assert (result["instance"]["state"], result["down"], result["ready"]) == (state, fault == "down", False)
    assert set(result["answers"].values()) == {FAULTS[fault][1]}
    assert ("log_tail" in result) == (fault != "no_permission")


@pytest.mark.parametrize("fault", FAULTS)
def test_no_step_on_another_process(fault: str, results: dict[tuple[str, str], Json]) -> None:
    result = results[fault, "kill"]
    assert (result["failed"], result["phase"], result["reason"]) == (True, "find", "another_process")


def test_only_what_is_down_is_cleaned(results: dict[tuple[str, str], Json], pools: dict[str, Simulated]) -> None:
    assert set(results["down", "clean"]["removed"]) == {"listener", "stratifier", "connector", "generator"}
    assert not any(pools["down"].socket_dir.iterdir())
    for fault in ("hung", "no_permission"):
        assert (results[fault, "clean"]["changed"], results[fault, "clean"]["removed"]) == (False, [])
