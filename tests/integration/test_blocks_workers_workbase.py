# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blocks, workers and the current work, on healthy and unhealthy pools of every layout and dialect, and bad input."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import HARMLESS, Simulated
from tests.support.ansible import Ansible, Direct, Json, Modules, Task
from tests.support.log_lines import DAY, stamped, with_blocks
from tests.support.privileges import without_privileges
from tests.support.target import SIMULATIONS

PATIENCE = 30.0
"""Seconds, for pools whose sockets all answer, however busy the machine is."""
SILENCE = 5.0
"""The same for pools of which a socket never answers: the others have to answer within it."""
BY_ANSIBLE = ("guide",)  # the kinds of pools on which Ansible itself runs the modules
NAMES = ("ckpool_block_info", "ckpool_worker_info", "ckpool_workbase_info")
VALUE = {"ckpool_block_info": "blocks", "ckpool_worker_info": "workers", "ckpool_workbase_info": "workbase"}
OURS = HARMLESS | {"getbase", "current.workbase"}
COMMON = {"instance", "source", "as_of", "problems", "msg"}
WORKBASE = {
    "height", "previous_block", "transactions", "coinbase_value", "bits", "difficulty", "version", "time", "age",
}  # fmt: skip
TRANSACTION = {
    "txid": "ab" * 32,
    "data": "00",
    "hash": "ab" * 32,
    "depends": [],
    "fee": 1410,
    "sigops": 1,
    "weight": 561,
}


QUESTIONS: dict[str, Task] = {
    "blocks": ("ckpool_block_info", {}),
    "blocks again": ("ckpool_block_info", {}),
    "this week": ("ckpool_block_info", {"since": "7d"}),
    "the last": ("ckpool_block_info", {"limit": 1}),
    "workers": ("ckpool_worker_info", {}),
    "workers again": ("ckpool_worker_info", {}),
    "from files": ("ckpool_worker_info", {"source": "files"}),
    "idle": ("ckpool_worker_info", {"state": "idle"}),
    "active": ("ckpool_worker_info", {"state": "active", "sort_by": "hashrate1hr", "limit": 3}),
    "names": ("ckpool_worker_info", {"fields": ["worker"]}),
    "unknown": ("ckpool_worker_info", {"workers": ["nobody.we.know"]}),
    "work": ("ckpool_workbase_info", {"with_transactions": True}),
    "work again": ("ckpool_workbase_info", {}),
    "getbase": ("ckpool_workbase_info", {"source": "api"}),
}


class Readings:
    """The results of all questions to one pool, and of some of them in check mode."""

    def __init__(self, runner: Modules, pool: Simulated, source: str) -> None:
        self.pool, self.source = pool, source
        where = {"socket_dir": str(pool.socket_dir)}
        tasks = {word: (name, {**where, **options}) for word, (name, options) in QUESTIONS.items()}
        self.results = dict(zip(tasks, runner.modules(tasks.values()), strict=True))
        checked = {word: tasks[word] for word in ("blocks", "workers", "work")}
        self.checked = dict(zip(checked, runner.modules(checked.values(), check=True), strict=True))

    def __getitem__(self, word: str) -> Json:
        return self.results[word]


@pytest.fixture(scope="module", params=[*SIMULATIONS])
def readings(
    request: pytest.FixtureRequest, ansible: Ansible, direct: Direct, place: Callable[[], Path]
) -> Iterator[Readings]:
    options = {"users": 4, "template": {"transactions": [TRANSACTION] * 5}, **SIMULATIONS[request.param]}
    with Simulated(place(), **options) as pool:
        source = "files" if pool.dialect == "public" else pool.dialect
        yield Readings(ansible if request.param in BY_ANSIBLE else direct, with_blocks(pool), source)


def test_every_result_has_the_common_keys(readings: Readings) -> None:
    for word, result in readings.results.items():
        assert not result["failed"], result["msg"]
        assert set(result) >= COMMON | {VALUE[QUESTIONS[word][0]]}
        assert result["problems"] == {}, word
        assert (result["instance"]["state"], result["instance"]["name"]) == ("ok", "ckpool")
        assert abs(result["as_of"] - time.time()) < 300
    assert set(readings.pool.asked()) <= OURS
    counts = json.loads(readings.pool.ask("stratifier", "stats").text)["users"]
    assert (counts["count"] if isinstance(counts, dict) else counts) == 4, "nobody was made"


def test_blocks(readings: Readings) -> None:
    result = readings["blocks"]
    assert [(block["height"], block["accepted"], block["worker"], block["user"]) for block in result["blocks"]] == [
        (5, True, "alice.rig1", "alice"), (4, False, None, None), (3, True, "bob.rig2", "bob"),
        (2, True, "carol_x", "carol"),
    ]  # fmt: skip
    assert [block["difficulty"] for block in result["blocks"]] == [5.5, 4.5, 3.5, 2.5]
    assert [block["reason"] for block in result["blocks"]] == [None, "inconclusive", None, None]
    network = result["blocks"][0]["network_difficulty"]
    assert network == (None if readings.pool.layout == "2017" else pytest.approx(8.64e13, rel=0.01))
    assert (result["source"], result["complete"]) == ("files", True)
    assert [block["height"] for block in readings["this week"]["blocks"]] == [5, 4, 3]
    assert [block["height"] for block in readings["the last"]["blocks"]] == [5]
    assert readings["the last"]["complete"] is False


def test_workers(readings: Readings) -> None:
    expected = sorted(name for names in readings.pool.users.values() for name in names)
    for word, source in (("workers", readings.source), ("from files", "files")):
        result = readings[word]
        assert [worker["worker"] for worker in result["workers"]] == expected
        assert result["source"] == source
        assert all(worker["hashrate1hr"] > 0 and not worker["idle"] for worker in result["workers"])
        assert {worker["user"] for worker in result["workers"]} == set(readings.pool.users)
    assert readings["idle"]["workers"] == []
    rates = [worker["hashrate1hr"] for worker in readings["active"]["workers"]]
    assert len(rates) == 3 and rates == sorted(rates, reverse=True)
    assert [set(worker) for worker in readings["names"]["workers"]] == [{"worker"}] * len(expected)
    assert (readings["unknown"]["workers"], readings["unknown"]["missing"]) == ([], ["nobody.we.know"])


def test_the_current_work(readings: Readings) -> None:
    result = readings["work"]
    told = json.loads(readings.pool.ask("generator", "getbase").text)
    work = result["workbase"]
    assert set(work) == WORKBASE
    assert (work["height"], work["previous_block"]) == (told["height"], told["previousblockhash"])
    assert (work["transactions"], work["coinbase_value"], work["bits"]) == (5, told["coinbasevalue"], told["bits"])
    assert work["difficulty"] == pytest.approx(told["diff"])
    assert 0 <= work["age"] < 60
    assert result["transactions"] == [{"txid": "ab" * 32, "fee": 1410, "weight": 561}] * 5
    assert "transactions" not in readings["work again"]
    assert result["source"] == ("guide" if readings.source == "guide" else "api")
    assert readings["getbase"]["source"] == "api"


def test_second_run_and_check_mode_say_the_same(readings: Readings) -> None:
    def steady(result: Json) -> Json:
        kept: Json = {key: result[key] for key in ("source", "instance", "problems", "blocks") if key in result}
        kept["workers"] = [row["worker"] for row in result.get("workers", [])]
        kept["height"] = (result.get("workbase") or {}).get("height")
        return kept

    for word in readings.checked:
        assert steady(readings.checked[word]) == steady(readings[word]), word
    for word in ("blocks", "workers", "work"):
        assert steady(readings[f"{word} again"]) == steady(readings[word]), word


# Faults

#: fault to the state, and to what is said of the work: a reason of a failure, or None for a template
FAULTS: dict[str, tuple[Json, str, str | None]] = {
    "down": ({"fault": "down"}, "down", ""),
    "hung": ({"fault": "hung"}, "hung", ""),
    "hung generator": ({"fault": "hung", "sockets": ["generator"]}, "degraded", "unanswered"),
    "garbage": ({"fault": "garbage", "sockets": ["generator"]}, "degraded", "bad_reply"),
    "half_reply": ({"fault": "half_reply", "sockets": ["generator"]}, "degraded", "half_reply"),
    "no_reply": ({"fault": "no_reply", "sockets": ["generator"]}, "degraded", "no_bitcoind"),
    "bitcoind_down": ({"fault": "bitcoind_down"}, "degraded", "unanswered"),
    "garbage!": ({"fault": "garbage", "sockets": ["stratifier"]}, "degraded", "garbage"),
    "half_reply!": ({"fault": "half_reply", "sockets": ["stratifier"]}, "degraded", "half_reply"),
    "slow": ({"fault": "slow", "delay": 0.2}, "ok", None),
}


@pytest.fixture(scope="module")
def sick(direct: Direct, place: Callable[[], Path]) -> Iterator[dict[tuple[str, str], Json]]:
    """The results of each module for a pool with each of the faults; with '?' when it shall fail if the pool is down."""
    with contextlib.ExitStack() as stack:
        tasks: dict[tuple[str, str], Task] = {}
        for fault, (wrong, _state, _reason) in FAULTS.items():
            pool = with_blocks(stack.enter_context(Simulated(place(), users=2, uptime=7200, faults=[wrong])))
            timeout = SILENCE if wrong["fault"] in ("hung", "bitcoind_down") else PATIENCE
            where: Json = {"socket_dir": str(pool.socket_dir), "timeout": timeout, "log_dir": str(pool.log_dir)}
            tasks |= {(name, fault): (name, where) for name in NAMES}
            if fault in ("down", "hung"):
                tasks |= {(name, f"{fault}?"): (name, {**where, "fail_when_down": True}) for name in NAMES}
        yield direct.beside(tasks, lambda key: key[1] if tasks[key][1]["timeout"] == SILENCE else "answers")


@pytest.mark.parametrize("fault", FAULTS)
def test_what_files_tell_is_told_of_a_sick_pool_too(fault: str, sick: dict[tuple[str, str], Json]) -> None:
    for name in NAMES[:2]:
        result = sick[name, fault]
        assert not result["failed"], result["msg"]
        assert (result["instance"]["state"], result["source"]) == (FAULTS[fault][1], "files")
        assert ("log_tail" in result) == (fault in ("down", "hung"))
    assert [block["height"] for block in sick["ckpool_block_info", fault]["blocks"]] == [5, 4, 3, 2]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_work_of_a_sick_pool(fault: str, sick: dict[tuple[str, str], Json]) -> None:
    result, (_wrong, state, reason) = sick["ckpool_workbase_info", fault], FAULTS[fault]
    if reason:
        assert (result["failed"], result["reason"]) == (True, reason), result
        assert result["state"] == state
        assert result["path"] and result["hint"]
        return
    assert not result["failed"], result["msg"]
    assert result["instance"]["state"] == state
    assert (result["workbase"] is None) == (reason == "")


@pytest.mark.parametrize("state", ["down", "hung"])
def test_failing_when_down(state: str, sick: dict[tuple[str, str], Json]) -> None:
    for name in NAMES:
        result = sick[name, f"{state}?"]
        assert result["failed"] and f"is {state}" in result["msg"], name
        assert result["log_tail"] and result["instance"]["state"] == state


def test_without_permission(direct: Direct, place: Callable[[], Path]) -> None:
    """A log that may not be read is named; if none may be read, the module fails and says so."""
    unprivileged = without_privileges()
    faults = [{"fault": "no_permission", "sockets": ["stratifier", "generator"]}]
    with Simulated(place(), users=2, faults=faults) as pool:
        with_blocks(pool)
        where = {"socket_dir": str(pool.socket_dir), "timeout": PATIENCE, "log_dir": str(pool.log_dir)}
        blocks, workers, work = direct.modules([(name, where) for name in NAMES], prefix=unprivileged)
        assert (len(blocks["blocks"]), len(workers["workers"])) == (4, 4)
        assert (work["failed"], work["phase"], work["reason"]) == (True, "connect", "not_permitted")
        (pool.log_dir / "ckpool.log.1").chmod(0)
        (some,) = direct.modules([(NAMES[0], where)], prefix=unprivileged)
        assert [block["height"] for block in some["blocks"]] == [5, 4, 2]
        assert some["complete"] is False and "not permitted to read" in some["problems"]["ckpool.log.1"]
        for path in pool.log_dir.glob("ckpool.log*"):
            path.chmod(0)
        (none,) = direct.modules([(NAMES[0], where)], prefix=unprivileged)
        assert (none["failed"], none["phase"], none["reason"]) == (True, "read", "unreadable")
        assert "not permitted to read" in none["msg"] and "become" in none["hint"]
        for path in pool.log_dir.glob("ckpool.log*"):
            path.chmod(0o640)


@pytest.mark.parametrize("option", ["-p", "-P", "-R", "-N"])
def test_a_pool_in_front_of_others(option: str, direct: Direct, place: Callable[[], Path]) -> None:
    with Simulated(place(), option) as pool:
        blocks, work = direct.modules(
            [(name, {"socket_dir": str(pool.socket_dir)}) for name in ("ckpool_block_info", "ckpool_workbase_info")]
        )
        assert not blocks["failed"] and blocks["blocks"] == []
        assert not work["failed"] and work["workbase"] is None
        assert "makes no work from a bitcoind of its own" in work["problems"]["workbase"]
        assert "getbase" not in pool.asked()


# What is given and found that is no good

BAD_NAMES = {
    "a\nb": "holds a newline",
    "a\0b": "holds a NUL",
    "x" * 511: "has more than 510 bytes",
    "é" * 256: "has more than 510 bytes",
    "": "is empty",
}
BAD_VALUES: list[tuple[str, Json, str]] = [
    *((name, {"timeout": value}, "timeout must be from") for name in NAMES for value in (0, 601)),
    *((name, {"source": "hearsay"}, "source") for name in NAMES),
    ("ckpool_block_info", {"limit": 0}, "limit must be from"),
    ("ckpool_block_info", {"limit": 10001}, "limit must be from"),
    ("ckpool_block_info", {"log_limit": 0}, "log_limit must be from"),
    ("ckpool_block_info", {"since": "the dawn of time"}, "not a duration"),
    ("ckpool_worker_info", {"state": "asleep"}, "state"),
    ("ckpool_worker_info", {"fields": ["beauty"]}, "fields"),
    ("ckpool_worker_info", {"sort_by": "beauty"}, "sort_by"),
    ("ckpool_worker_info", {"limit": 0}, "limit must be from"),
    ("ckpool_worker_info", {"active_within": "a while"}, "not a duration"),
    ("ckpool_worker_info", {"users": ["a/b"]}, "user name 'a/b' holds '/'"),
    ("ckpool_workbase_info", {"with_transactions": "some"}, "with_transactions"),
]


@pytest.fixture(scope="module")
def refusals(direct: Direct, place: Callable[[], Path]) -> Iterator[list[Json]]:
    """The results of every bad name and value, in their order."""
    with Simulated(place(), users=1) as pool:
        where = {"socket_dir": str(pool.socket_dir)}
        names: list[Task] = [("ckpool_worker_info", {**where, "workers": ["good.one", name]}) for name in BAD_NAMES]
        asked = len(pool.asked())
        found = direct.modules(names + [(module, {**where, **options}) for module, options, _text in BAD_VALUES])
        assert len(pool.asked()) == asked, "nothing is asked because of them"
        yield found


@pytest.mark.parametrize("number", range(len(BAD_NAMES)))
def test_worker_names_that_cannot_be(number: int, refusals: list[Json]) -> None:
    result = refusals[number]
    assert (result["failed"], result["phase"], result["reason"]) == (True, "options", "bad_worker_name")
    assert list(BAD_NAMES.values())[number] in result["msg"]


@pytest.mark.parametrize("number", range(len(BAD_VALUES)))
def test_values_that_cannot_be(number: int, refusals: list[Json]) -> None:
    result = refusals[len(BAD_NAMES) + number]
    assert result["failed"] and BAD_VALUES[number][2] in result["msg"]


def test_logs_that_are_no_good(direct: Direct, place: Callable[[], Path]) -> None:
    with Simulated(place(), users=2) as pool:
        with_blocks(pool)
        where = {"socket_dir": str(pool.socket_dir)}
        with open(pool.log_dir / "ckpool.log", "ab") as stream:
            stream.write(os.urandom(200_000) + b"\n" + b"BLOCK!O" * 1000 + b"\n" + stamped(5, "x" * 9000).encode())
        packed = pool.log_dir / "ckpool.log.2.gz"
        packed.write_bytes(packed.read_bytes()[:-12])
        os.utime(packed, (time.time() - 8 * DAY,) * 2)
        (pool.log_dir / "ckpool.log.3.xz").write_bytes(b"x")
        os.mkfifo(pool.log_dir / "ckpool.log.4")
        blocks = direct.module("ckpool_block_info", **where)
        assert [block["height"] for block in blocks["blocks"]][:3] == [5, 4, 3]
        assert set(blocks["problems"]) == {"ckpool.log.2.gz", "ckpool.log.3.xz", "ckpool.log.4"}
        assert blocks["complete"] is False
        empty = place()
        empty.mkdir()
        (gone,) = direct.modules([("ckpool_block_info", {**where, "log_dir": str(empty)})])
        assert (gone["failed"], gone["phase"], gone["reason"]) == (True, "read", "absent")
        assert gone["path"] == str(empty / "ckpool.log") and gone["state"] == "ok"
