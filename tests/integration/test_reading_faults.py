# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault that the simulator knows: the state of the pool, the checks that fail, and the reasons.

All faults are looked at in one run, as the start of Ansible costs more than a module.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Simulated
from tests.support.ansible import UNHURRIED, Direct, Json, Task, check_of, failing
from tests.support.privileges import without_privileges

PATIENCE = 30.0
"""Seconds, for pools whose sockets all answer, however busy the machine is."""
SILENCE = 5.0
"""The same for pools of which a socket never answers: the others have to answer within it."""

Failing = dict[str, tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Expected:
    """What is to be said of a pool with a fault.

    `state` by ckpool_health_info and, where that differs, `reached` by ckpool_stats; `source` of its statistics;
    `failing` checks, all of them.
    """

    fault: Json
    state: str
    failing: Failing
    reached: str = ""
    source: str | None = "files"
    options: Json = dataclasses.field(default_factory=lambda: {"thresholds": UNHURRIED})


def silent(*sockets: str) -> Failing:
    return {f"socket_{name}": ("critical", "unanswered") for name in sockets}


GONE = {f"socket_{name}": ("critical", "refused") for name in ("listener", "stratifier", "connector", "generator")}
ALL_SILENT = silent("listener", "stratifier", "connector", "generator")
LEFT = ("warning", "stale")
WELL: Failing = {}

FAULTS: dict[str, Expected] = {
    "none": Expected({}, "ok", WELL),
    "down": Expected(
        {"fault": "down"}, "down",
        {"process": ("critical", "no_process"), "ready": ("critical", "down"), "leftovers": LEFT, **GONE}, source=None,
    ),
    "refused": Expected(
        {"fault": "refused"}, "down",
        {"process": ("critical", "pid_dead"), "ready": ("critical", "down"), "leftovers": LEFT, **GONE}, source=None,
    ),
    "hung": Expected(
        {"fault": "hung"}, "hung",
        {"ready": ("critical", "hung"), "bitcoind": ("critical", "generator_silent"), **ALL_SILENT},
    ),
    "hung stratifier": Expected(
        {"fault": "hung", "sockets": ["stratifier"]}, "hung", {"ready": ("critical", "hung"), **silent("stratifier")},
        options={"thresholds": {**UNHURRIED, "start_grace": 0}},
    ),
    "hung connector": Expected(
        {"fault": "hung", "sockets": ["connector"]}, "degraded", silent("connector"),
    ),
    "hung listener": Expected(
        {"fault": "hung", "sockets": ["listener"]}, "degraded", {"socket_listener": ("critical", "listener_dead")},
    ),
    "hung generator": Expected(
        {"fault": "hung", "sockets": ["generator"]}, "degraded",
        {"bitcoind": ("critical", "generator_silent"), **silent("generator")},
    ),
    "starting": Expected(
        {"fault": "starting"}, "starting",
        {
            "ready": ("warning", "starting"), "socket_stratifier": ("warning", "unanswered"),
            "socket_generator": ("warning", "unanswered"), "bitcoind": ("critical", "bitcoind_down"),
            "log_errors": ("warning", "no_bitcoind"),
        }, source=None, options={"thresholds": {**UNHURRIED, "start_grace": 36000}},
    ),
    "slow": Expected(
        {"fault": "slow", "delay": 0.3}, "degraded",
        {f"socket_{name}": ("warning", "slow") for name in ("listener", "stratifier", "connector", "generator")},
        reached="ok", options={"thresholds": {"latency_warning": 0.2}},
    ),
    "slow listener": Expected(
        {"fault": "slow", "delay": 0.3, "sockets": ["listener"]}, "degraded", {"socket_listener": ("warning", "slow")},
        reached="ok", options={"thresholds": {"latency_warning": 0.2}},
    ),
    "half_reply": Expected(
        {"fault": "half_reply", "sockets": ["connector"]}, "degraded", {"socket_connector": ("critical", "half_reply")},
    ),
    "oversized": Expected(
        {"fault": "oversized", "sockets": ["connector"]}, "degraded",
        {"socket_connector": ("critical", "garbage")},
    ),
    "garbage": Expected(
        {"fault": "garbage", "sockets": ["connector"]}, "degraded", {"socket_connector": ("critical", "garbage")},
    ),
    "no_reply": Expected(
        {"fault": "no_reply", "sockets": ["connector"]}, "degraded", {"socket_connector": ("critical", "no_reply")},
    ),
    "stale_work": Expected(
        # The process is younger than the work that it claims to have made.
        {"fault": "stale_work", "age": 1000}, "degraded", {"work_age": ("critical", "no_work_in_this_run")},
        reached="ok",
    ),
    "bitcoind_down": Expected(
        {"fault": "bitcoind_down"}, "degraded",
        {
            "bitcoind": ("critical", "bitcoind_down"), "log_errors": ("warning", "no_bitcoind"), **silent("generator"),
        },
    ),
    "dead_stats": Expected(
        {"fault": "dead_stats", "age": 700}, "degraded", {"statistics": ("critical", "stale_statistics")},
        reached="ok",
    ),
    "listener_dead": Expected(
        {"fault": "listener_dead"}, "degraded", {"socket_listener": ("critical", "listener_dead")},
    ),
    "hashrate_drop": Expected(
        {"fault": "hashrate_drop", "factor": 0.3}, "degraded", {"hashrate_drop": ("warning", "hashrate_drop")},
        reached="ok",
    ),
    "hashrate gone": Expected(
        {"fault": "hashrate_drop", "factor": 0.01}, "degraded", {"hashrate_drop": ("critical", "hashrate_drop")},
        reached="ok",
    ),
    "failover": Expected(
        {"fault": "failover"}, "degraded", {"bitcoind": ("warning", "failed_over")}, reached="ok",
    ),
    "rejects": Expected(
        {"fault": "rejects", "ratio": 0.2}, "degraded", {"reject_ratio": ("warning", "rejects")}, reached="ok",
    ),
    "many rejects": Expected(
        {"fault": "rejects", "ratio": 0.5}, "degraded", {"reject_ratio": ("critical", "rejects")}, reached="ok",
    ),
}  # fmt: skip
#: bad replies of the socket that everything is asked on
BAD_STRATIFIER = {
    "half_reply": "half_reply", "oversized": "garbage", "garbage": "garbage", "no_reply": "no_reply",
}  # fmt: skip
GOING_BY_FILES = [name for name, expected in FAULTS.items() if expected.source and expected.state != "hung"]


@pytest.fixture(scope="session")
def sick(place: Callable[[], Path]) -> Iterator[dict[str, Simulated]]:
    """A pool with each of the faults; and those whose stratifier answers badly, by the name of a fault and '!'."""
    faults: dict[str, list[Json]] = {name: [e.fault] if e.fault else [] for name, e in FAULTS.items()}
    faults.update({f"{name}!": [{"fault": name, "sockets": ["stratifier"]}] for name in BAD_STRATIFIER})
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(Simulated(place(), users=2, uptime=7200, faults=fault))
            for name, fault in faults.items()
        }


def place_of(name: str, pool: Simulated) -> Json:
    """Where it is, and how long it is waited for."""
    is_silent = name in FAULTS and FAULTS[name].fault.get("fault") in ("hung", "starting", "bitcoind_down")
    return {"socket_dir": str(pool.socket_dir), "timeout": SILENCE if is_silent else PATIENCE}


class Findings:
    """The results of the modules for every unhealthy pool."""

    def __init__(self, direct: Direct, sick: dict[str, Simulated]) -> None:
        self.sick = sick
        tasks: dict[tuple[str, str], Task] = {}
        where: dict[str, Json] = {name: place_of(name, pool) for name, pool in sick.items()}
        for name in sick:
            options = FAULTS[name].options if name in FAULTS else {}
            tasks["health", name] = ("ckpool_health_info", {**where[name], **options})
            tasks["stats", name] = ("ckpool_stats", where[name])
        for name in ("down", "hung", "none"):
            tasks |= {
                (f"fail {what}", name): (f"ckpool_{what}", {**where[name], "fail_when_down": True})
                for what in ("stats", "user_info", "health_info")
            }
        for name in BAD_STRATIFIER:
            tasks["guide", f"{name}!"] = ("ckpool_stats", {**where[f"{name}!"], "source": "guide"})
        self.results = direct.beside(tasks, lambda key: key[1] if where[key[1]]["timeout"] == SILENCE else "answers")
        #: seconds since the first pool was started, at most
        self.age = time.time() - min(pool.config_path.stat().st_mtime for pool in sick.values())


@pytest.fixture(scope="session")
def findings(direct: Direct, sick: dict[str, Simulated]) -> Findings:
    return Findings(direct, sick)


@pytest.mark.parametrize("name", FAULTS)
def test_state_and_failing_checks(name: str, findings: Findings) -> None:
    expected, result = FAULTS[name], findings.results["health", name]
    health = result["health"]
    assert not result["failed"]
    assert (health["state"], failing(health)) == (expected.state, expected.failing), result["msg"]
    assert health["ok"] == (expected.state == "ok")
    assert len(health["wrong"]) == len(expected.failing)
    assert all(check["hint"] and check["summary"] for check in health["checks"] if check["name"] in expected.failing)
    assert result["instance"]["state"] == (expected.reached or expected.state), "one state in all modules"
    assert expected.state in result["msg"]


@pytest.mark.parametrize("name", FAULTS)
def test_statistics_say_how_far_they_got(name: str, findings: Findings) -> None:
    expected, result = FAULTS[name], findings.results["stats", name]
    assert not result["failed"]
    assert result["instance"]["state"] == (expected.reached or expected.state)
    assert result["source"] == expected.source
    if expected.source:
        assert result["stats"]["workers"] == 4
        assert result["stats"]["hashrate1hr"] == pytest.approx(1e15, rel=0.1)
    else:
        assert set(result["stats"].values()) == {None}
        assert result["problems"]["stats"]
    assert ("log_tail" in result) == (result["instance"]["state"] in ("down", "hung"))


@pytest.mark.parametrize("name", BAD_STRATIFIER)
def test_bad_replies_of_the_stratifier_fall_back_on_files(name: str, findings: Findings) -> None:
    result = findings.results["stats", f"{name}!"]
    assert (result["source"], result["stats"]["workers"]) == ("files", 4)
    health = findings.results["health", f"{name}!"]["health"]
    assert check_of(health, "socket_stratifier")["reason"] == BAD_STRATIFIER[name]
    assert not health["ok"]


@pytest.mark.parametrize("name", BAD_STRATIFIER)
def test_bad_replies_are_failures_where_only_they_were_wanted(name: str, findings: Findings) -> None:
    result = findings.results["guide", f"{name}!"]
    assert result["failed"]
    assert result["reason"] == BAD_STRATIFIER[name]
    assert result["phase"] in ("ask", "parse")
    assert result["path"] == str(findings.sick[f"{name}!"].socket_dir / "stratifier")
    assert result["path"] in result["msg"]


@pytest.mark.parametrize("what", ["stats", "user_info", "health_info"])
def test_fail_when_down(what: str, findings: Findings) -> None:
    for name, state in (("down", "down"), ("hung", "hung"), ("none", "ok")):
        result = findings.results[f"fail {what}", name]
        assert result["failed"] == (state != "ok"), result["msg"]
        assert result["instance"]["state"] == state
        assert state == "ok" or state in result["msg"]


def test_hints_name_what_to_look_at(findings: Findings) -> None:
    health = {name: findings.results["health", name]["health"] for name in FAULTS}
    assert check_of(health["refused"], "process")["summary"].endswith("is gone")
    assert "main.pid" in check_of(health["refused"], "leftovers")["observed"]
    assert "main.pid" not in check_of(health["down"], "leftovers")["observed"]
    assert check_of(health["failover"], "bitcoind")["observed"] == "127.0.0.1:8333"
    assert 999 <= check_of(health["stale_work"], "work_age")["observed"] <= 1001 + findings.age
    assert 699 <= check_of(health["dead_stats"], "statistics")["observed"] <= 701 + findings.age
    assert 0.3 <= check_of(health["slow"], "socket_generator")["observed"] < PATIENCE
    assert findings.results["health", "hung"]["log_tail"]


def test_a_deadline_holds(findings: Findings) -> None:
    """Four silent sockets are waited for at once, not one after the other."""
    seconds = [check_of(findings.results["health", "hung"]["health"], f"socket_{name}")["observed"] for name in SILENT]
    assert min(seconds) >= SILENCE and max(seconds) < 2 * SILENCE
    pool = findings.sick["hung"]
    first = pool.times()[: len(SILENT)]
    assert {socket for socket, _message in pool.record()[: len(SILENT)]} == set(SILENT)
    assert first[-1] - first[0] < SILENCE


SILENT = ("listener", "stratifier", "connector", "generator")


def test_a_pool_that_never_got_work(direct: Direct, sick: dict[str, Simulated]) -> None:
    where = place_of("starting", sick["starting"])
    result = direct.module("ckpool_health_info", **where, thresholds={**UNHURRIED, "start_grace": 0.01})
    assert result["health"]["state"] == "starting"
    assert failing(result["health"])["ready"] == ("critical", "starting_too_long")


def test_watching_the_counter_of_work(direct: Direct, sick: dict[str, Simulated]) -> None:
    """For a daemon whose log hides its work."""
    names = ("none", "stale_work")
    tasks = [
        (
            "ckpool_health_info",
            {**place_of(name, sick[name]), "thresholds": UNHURRIED, "sample_seconds": 5, "skip_checks": ["work_age"]},
        )
        for name in names
    ]
    well, stale = (result["health"] for result in direct.modules(tasks))
    assert (well["state"], check_of(well, "work_moves")["status"]) == ("ok", "ok")
    assert failing(stale) == {"work_moves": ("critical", "stale_work")}


def test_work_that_becomes_stale(direct: Direct, simulate: Callable[..., Simulated]) -> None:
    pool = simulate()
    pool.change(faults=["stale_work"])
    time.sleep(2.5)  # until it is old
    tasks: list[Task] = [
        (
            "ckpool_health_info",
            {"socket_dir": str(pool.socket_dir), "timeout": PATIENCE, "thresholds": {**UNHURRIED, **limits}},
        )
        for limits in (
            {"work_age_warning": 2, "work_age_critical": 600},
            {"work_age_warning": 1, "work_age_critical": 2},
            {"work_age_warning": 600, "work_age_critical": 900},
        )
    ]
    found = [failing(result["health"]) for result in direct.modules(tasks)]
    assert found == [{"work_age": ("warning", "stale_work")}, {"work_age": ("critical", "stale_work")}, {}]


def test_minimums(direct: Direct, sick: dict[str, Simulated]) -> None:
    where = place_of("none", sick["none"])
    bounds: list[Json] = [
        {"thresholds": {**UNHURRIED, "hashrate_min": "0.9P", "users_min": 2, "workers_min": 4}},
        {"thresholds": {**UNHURRIED, "hashrate_min": "2e15", "users_min": 3, "workers_min": 5}},
        {"thresholds": {**UNHURRIED, "hashrate_min": "2P", "users_min": 3}, "skip_checks": ["hashrate", "users"]},
    ]
    enough, few, skipped = (
        r["health"] for r in direct.modules([("ckpool_health_info", {**where, **b}) for b in bounds])
    )
    assert failing(enough) == failing(skipped) == {}
    assert failing(few) == {
        "hashrate": ("critical", "low_hashrate"),
        "users": ("critical", "few_users"),
        "workers": ("critical", "few_workers"),
    }
    assert {check["name"] for check in enough["checks"]} - {check["name"] for check in skipped["checks"]} == {
        "hashrate", "users",
    }  # fmt: skip


@pytest.mark.parametrize("sockets", [[], ["stratifier"]], ids=["the folder", "one socket"])
def test_no_permission(sockets: list[str], direct: Direct, place: Callable[[], Path]) -> None:
    fault = {"fault": "no_permission", **({"sockets": sockets} if sockets else {})}
    with Simulated(place(), faults=[fault]) as pool:
        where: Json = {"socket_dir": str(pool.socket_dir), "timeout": PATIENCE}
        guide = {**where, "source": "guide"}
        tasks: list[Task] = [("ckpool_health_info", where), ("ckpool_stats", where), ("ckpool_stats", guide)]
        health, stats, forced = direct.modules(tasks, prefix=without_privileges())
    assert check_of(health["health"], "socket_stratifier")["reason"] == "not_permitted"
    assert health["health"]["state"] == ("degraded" if sockets else "unknown")
    assert "become" in check_of(health["health"], "socket_stratifier")["hint"]
    if sockets:
        assert (stats["failed"], stats["source"]) == (False, "files")
    assert forced["failed"]
    blocked = pool.socket_dir / "stratifier" if sockets else pool.socket_dir
    assert (forced["phase"], forced["reason"]) == ("connect", "not_permitted")
    assert forced["path"] == str(pool.socket_dir / "stratifier")
    assert f"{blocked} is " in forced["msg"]
    assert "we are root" in forced["msg"] or os.geteuid()


def test_faults_are_all_looked_at() -> None:
    """A fault that the simulator learns must not be forgotten here, nor under control, where some only show."""
    text = (Path(__file__).parents[2] / "roles" / "simulated_pool" / "files" / "simulated_ckpool.py").read_text()
    names: dict[str, Any] = {}
    exec(text[text.index("FAULTS = (") : text.index(")", text.index("FAULTS = ("))] + ")", names)
    looked_at = {expected.fault.get("fault") for expected in FAULTS.values()}
    control = Path(__file__).with_name("test_shutdown_restart_wait.py").read_text()
    under_control = {name for name in names["FAULTS"] if f'"{name}"' in control}
    assert set(names["FAULTS"]) - looked_at - under_control == {"no_permission"}
