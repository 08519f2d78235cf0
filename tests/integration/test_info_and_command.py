# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ckpool_info and ckpool_command: everything about a pool in one task, and any message to any socket."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import HARMLESS, Simulated, argv_of, processes_with, wait_for, wait_until
from tests.support.ansible import Ansible, Direct, Json, Modules, Task, local
from tests.support.log_lines import with_blocks
from tests.support.machine import Machine
from tests.support.privileges import without_privileges
from tests.support.target import SIMULATIONS

PATIENCE = 30.0
"""Seconds, for pools whose sockets all answer, however busy the machine is."""
SILENCE = 5.0
"""The same for pools of which a socket never answers: the others have to answer within it."""
BY_ANSIBLE = ("guide",)  # the kinds of pools on which Ansible itself runs the modules
SUBSETS = (
    "summary", "stats", "users", "workers", "clients", "workbase", "blocks", "config", "instances", "sockets",
)  # fmt: skip
COMMON = {"instance", "source", "as_of", "sources", "problems", "shared", "msg"}
WITHOUT_INSTANCES = ["!instances"]
"""The instances of this machine include those of tests that run at the same time."""
OWN: dict[str, Task] = {
    "stats": ("ckpool_stats", {}),
    "users": ("ckpool_user_info", {"sort_by": "user"}),
    "workers": ("ckpool_worker_info", {"sort_by": "worker"}),
    "workbase": ("ckpool_workbase_info", {}),
    "blocks": ("ckpool_block_info", {}),
}
MOVING = {"uptime", "age", "work_age", "time", "last_share", "updated"}


def info(pool: Simulated, *subsets: str, **options: Any) -> Task:
    where = {"socket_dir": str(pool.socket_dir), "timeout": PATIENCE}
    return "ckpool_info", {**where, "gather_subset": list(subsets) or WITHOUT_INSTANCES, **options}


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """The paths at which two values differ, without what changes with time. Rates differ by 6 % at most from moment to moment."""
    if isinstance(one, dict) and isinstance(other, dict) and set(one) == set(other):
        return [found for key in one for found in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [found for at, pair in enumerate(zip(one, other)) for found in differences(*pair, f"{path}[{at}]")]
    is_number = type(one) is type(other) and not isinstance(one, bool) and isinstance(one, (int, float))
    if is_number and (path.rpartition(".")[2] in MOVING or one == pytest.approx(other, rel=0.1)):
        return []
    return [] if one == other else [f"{path}: {one!r} and {other!r}"]


# Everything


@pytest.fixture(scope="module", params=[*SIMULATIONS])
def gathered(
    request: pytest.FixtureRequest, ansible: Ansible, direct: Direct, place: Callable[[], Path]
) -> Iterator[Json]:
    """The results for one pool: everything at once, in check mode, in parts, and from the other modules."""
    steady: Json = {"uptime": 90000, "accepted": 1e6, "rejected": 2000, "bestshare": 7e5}
    with Simulated(place(), users=4, disconnected=1, **steady, **SIMULATIONS[request.param]) as pool:
        with_blocks(pool)
        tasks: dict[str, Task] = {
            "all": info(pool, sort_by="user"),
            "again": info(pool, sort_by="user"),
            "few": info(pool, "users", "workers", "blocks", limit=2, sort_by="hashrate1hr", blocks_since="7d"),
            "min": info(pool, "min"),
            **{name: (module, {"socket_dir": str(pool.socket_dir), **how}) for name, (module, how) in OWN.items()},
        }
        tasks["checked"] = ("ckpool_info?", info(pool, sort_by="user", share_within=0)[1])
        runner: Modules = ansible if request.param in BY_ANSIBLE else direct
        results = dict(zip(tasks, runner.modules(tasks.values()), strict=True))
        assert not any(result["failed"] for result in results.values())
        yield {**results, "pool": pool}


def test_every_subset_is_there(gathered: Json) -> None:
    result, pool = gathered["all"], gathered["pool"]
    assert set(result) >= COMMON | set(SUBSETS) - {"instances"} and "instances" not in result
    assert result["problems"] == {} and result["instance"]["state"] == "ok"
    source = "files" if pool.dialect == "public" else pool.dialect
    assert result["source"] == source and result["sources"]["blocks"] == "files"
    assert set(pool.asked()) <= HARMLESS | {"getbase", "current.workbase"}
    assert {row["outcome"] for row in result["sockets"]} == {"reply"}
    assert result["clients"]["connected"] == 8 and result["config"]["logdir"] == str(pool.log_dir)


@pytest.mark.parametrize("name", OWN)
def test_each_is_what_its_own_module_returns(gathered: Json, name: str) -> None:
    assert differences(gathered["all"][name], gathered[name][name]) == []
    assert gathered["all"]["sources"][name] == gathered[name]["source"]


def test_the_quick_summary(gathered: Json) -> None:
    pool, summary = gathered["pool"], gathered["min"]["summary"]
    assert {name for name in SUBSETS if name in gathered["min"]} == {"summary"}
    assert (summary["name"], summary["mode"], summary["state"], summary["pid"]) == ("ckpool", "pool", "ok", *pool.pids)
    assert (summary["users"], summary["workers"]) == (4, 8) and summary["hashrate1m"] > 0
    assert summary["last_block"]["height"] == 5 and 0 <= summary["work_age"] < 60


def test_a_second_task_gets_the_same_answer_or_a_new_one(gathered: Json) -> None:
    again = gathered["again"]
    assert differences({**again, "shared": 0, "as_of": 0}, {**gathered["all"], "shared": 0, "as_of": 0}) == []
    assert gathered["all"]["shared"] is False


def test_check_mode_tells_the_same(gathered: Json) -> None:
    assert gathered["checked"]["shared"] is False
    for name in (*SUBSETS[1:8], "sockets"):
        assert differences(gathered["checked"][name], gathered["all"][name]) == [], name


def test_how_much_of_it(gathered: Json) -> None:
    few = gathered["few"]
    for name in ("users", "workers"):
        rates = [row["hashrate1hr"] for row in few[name]]
        assert len(rates) == 2 and rates == sorted(rates, reverse=True)
    assert [block["height"] for block in few["blocks"]] == [5, 4, 3]


def test_six_plays_at_a_time_visit_it_once(ansible: Ansible, place: Callable[[], Path]) -> None:
    """Six hosts that are one machine, each with three tasks in a row."""
    with Simulated(place(), users=2) as pool:
        name, options = info(pool)
        task = {f"ckpool.fleet.{name}": dict(options)}
        play = {"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": [task] * 3}
        hosts = {f"watcher{number}": local() for number in range(6)}
        run = ansible.playbook([play], "--forks", "6", inventory=hosts)
        assert run.status == 0, run.text
        results = run.results(name)
        assert len(results) == 18 and all(len(result["users"]) == 2 for result in results)
        times = zip(pool.times(), pool.record(), strict=True)
    visits = [when for when, entry in times if entry == ("connector", "ping")]
    assert len(visits) == sum(not result["shared"] for result in results)
    # How many these are, depends on the machine: one that is busy starts the 18 tasks at other times.
    gaps = [after - before for before, after in zip(visits, visits[1:], strict=False)]
    assert all(gap > 0.95 for gap in gaps), "another visit only once the answer is a second old"


def test_a_host_with_several_pools_of_which_one_hangs(machine: Machine, direct: Direct) -> None:
    with contextlib.ExitStack() as stack:
        kinds: dict[str, list[str]] = {"first": [], "second": [], "third": ["-p"]}
        first, second, third = (
            stack.enter_context(Simulated(machine.folder / name, *options, prefix=machine.prefix, name=name))
            for name, options in kinds.items()
        )
        second.change(faults=["hung"])
        start = time.monotonic()
        result, proxy = direct.modules([info(first, "all", timeout=SILENCE), info(third)], host=machine.host())
        assert time.monotonic() - start < 2 * SILENCE + 120
        states = {row["name"]: (row["mode"], row["state"]) for row in result["instances"]}
        assert states == {"first": ("pool", "ok"), "second": ("pool", "hung"), "third": ("proxy", "ok")}
        assert all(set(row) == set(result["instance"]) for row in result["instances"])
        assert result["problems"] == {}
        assert proxy["workbase"] is None and "bitcoind of its own" in proxy["problems"]["workbase"]
        assert proxy["instance"]["mode"] == proxy["summary"]["mode"] == "proxy"


@pytest.mark.parametrize("mark", ["ckpool/0.9.9", "ckpool-lhr/1.0.0"])
def test_the_version_of_a_program(mark: str, machine: Machine, direct: Direct) -> None:
    """The program has the name of the daemon, and contains the words that the daemon contains."""
    folder = machine.folder / "bin"
    folder.mkdir()
    program = shutil.copy(str(shutil.which("sleep")), folder / "ckpool")
    with open(program, "ab") as stream:
        stream.write(f"\0{mark}\0".encode())
    machine.run("sh", "-c", f"cd {folder} && exec setsid -f {program} 100 >/dev/null 2>&1 </dev/null")
    wait_for(lambda: any(argv_of(pid)[:1] == [str(program)] for pid in processes_with(str(program))), "the program")
    task: Task = ("ckpool_info", {"name": "ckpool", "gather_subset": ["min"], "timeout": 1})
    (result,) = direct.modules([task], host=machine.host())
    assert not result["failed"], result["msg"]
    assert result["summary"]["version"] == mark.partition("/")[2] and result["summary"]["pid"] > 0


# Unhealthy pools


#: what each of them is asked in two visits; of the one that is starting, the connector answers
ASKED = {"hung": ["ping"] * 8, "down": [], "starting": ["ping"] * 8 + ["stats"] * 2}


@pytest.fixture(scope="module")
def sick(direct: Direct, place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    """The results for pools that hang, are down and are starting; with '?' when they shall fail."""
    faults = ("hung", "down", "starting")
    pools = {fault: Simulated(place(), users=2) for fault in faults}
    try:
        for fault, pool in pools.items():
            with_blocks(pool.start())
            pool.change(faults=[fault])
        wait_for(lambda: not pools["down"].pids, "its end")
        asked = {fault: len(pool.asked()) for fault, pool in pools.items()}
        where = {fault: {"log_dir": str(pool.log_dir), "timeout": SILENCE} for fault, pool in pools.items()}
        tasks = {fault: info(pool, **where[fault]) for fault, pool in pools.items()}
        for fault, pool in pools.items():
            tasks[f"{fault}?"] = info(pool, **where[fault], fail_when_down=True, share_within=0)
        results = direct.beside(tasks, lambda name: name.rstrip("?"))
        for fault, pool in pools.items():
            # What a silent socket was sent is written down when it comes to it, which may be after the client has left.
            wait_until(lambda: len(pool.asked()) - asked[fault] >= len(ASKED[fault]))  # noqa: B023
            results[fault]["asked"] = sorted(pool.asked()[asked[fault] :])
        yield results
    finally:
        for pool in pools.values():
            pool.stop()


@pytest.mark.parametrize("state", ["hung", "down"])
def test_a_pool_that_is_not_up_is_an_answer(state: str, sick: dict[str, Json]) -> None:
    result, forced = sick[state], sick[f"{state}?"]
    assert not result["failed"] and result["instance"]["state"] == state and result["log_tail"]
    assert result["asked"] == ASKED[state]
    assert forced["failed"] and f"is {state}" in forced["msg"] and forced["instance"] == result["instance"]
    for name in ("clients", "workbase"):
        assert result[name] is None and result["problems"][name]
    assert result["summary"]["state"] == state
    if state == "hung":
        assert len(result["users"]) == 2 and [block["height"] for block in result["blocks"]] == [5, 4, 3, 2]
        assert {row["outcome"] for row in result["sockets"]} == {"unanswered"}


def test_a_pool_that_is_starting(sick: dict[str, Json]) -> None:
    assert sick["starting"]["asked"] == ASKED["starting"]
    for word in ("starting", "starting?"):
        result = sick[word]
        assert not result["failed"] and result["instance"]["state"] == "starting"
        assert result["workbase"] is None and "is starting" in result["problems"]["workbase"]


def test_without_permission(direct: Direct, place: Callable[[], Path]) -> None:
    unprivileged = without_privileges()
    with Simulated(place(), users=2) as pool:
        with_blocks(pool)
        pool.change(faults=["no_permission"])
        where = {"log_dir": str(pool.log_dir), "share_within": 0}
        (result,) = direct.modules([info(pool, **where)], prefix=unprivileged)
        assert not result["failed"] and result["instance"]["state"] == "unknown"
        assert {(row["outcome"], row["mode"], row["owner"]) for row in result["sockets"]} == {
            ("not_permitted", None, None)
        }
        assert len(result["users"]) == 2 and len(result["blocks"]) == 4 and result["summary"]["users"] == 2
        for name in ("clients", "workbase"):
            assert result[name] is None and result["problems"][name]
        pool.change(faults=[{"fault": "no_permission", "sockets": ["generator"]}])
        (some,) = direct.modules([info(pool, **where)], prefix=unprivileged)
        modes = {row["name"]: (row["outcome"], row["mode"]) for row in some["sockets"]}
        assert modes["generator"] == ("not_permitted", "0000") and modes["listener"] == ("reply", "0770")
        assert some["clients"]["connected"] == 4 and "not permitted" in some["problems"]["workbase"]


# Any message to any socket


class Told:
    """The results of messages to one pool, in their order, and the record of the pool."""

    def __init__(self, runner: Modules, pool: Simulated, messages: dict[str, Json], check: bool) -> None:
        self.pool = pool
        where = {"socket_dir": str(pool.socket_dir), "timeout": PATIENCE}
        before = len(pool.asked())
        tasks = [("ckpool_command", {**where, **one}) for one in messages.values()]
        self.results = dict(zip(messages, runner.run(tasks, check=check), strict=True))
        self.asked = pool.asked()[before:]


RPC = {"method": "stats", "params": []}
MESSAGES: dict[str, Json] = {
    "text": {"socket": "stratifier", "command": "ping", "expect": "^pong$"},
    "json": {"socket": "connector", "command": "stats"},
    "query": {"socket": "stratifier", "command": RPC, "reply": "optional"},
    "mismatch": {"socket": "listener", "command": "ping", "expect": "^pang$"},
    "summary": {"socket": "pool", "command": "summary"},
    "unknown": {"socket": "listener", "command": "unheard.of"},
    "level": {"socket": "stratifier", "command": "loglevel=5"},
    "silent": {"socket": "stratifier", "command": "resetshares"},
    "harm": {"socket": "stratifier", "command": 'getuser={"user": "mallory"}', "reply": "optional"},
    "crash": {"socket": "listener", "command": "StratifierStats"},
    "leak": {"socket": "listener", "command": RPC},
    "drop all": {"socket": "stratifier", "command": "dropall"},
    "bad pattern": {"command": "ping", "expect": "("},
    "bad socket": {"command": "ping", "socket": "main"},
    "unsafe": {"socket": "stratifier", "command": 'getuser={"user": "eve"}', "reply": "optional", "unsafe": True},
}
REFUSED = {
    "harm": "harmful_message",
    "crash": "harmful_message",
    "leak": "harmful_message",
    "bad pattern": "bad_pattern",
}


@pytest.fixture(scope="module", params=["guide", "public"])
def told(
    request: pytest.FixtureRequest, ansible: Ansible, direct: Direct, place: Callable[[], Path]
) -> Iterator[dict[bool, Told]]:
    """In check mode, and then for real."""
    with Simulated(place(), users=2, dialect=request.param, reconnect_after=3600) as pool:
        runner: Modules = ansible if request.param in BY_ANSIBLE else direct
        yield {check: Told(runner, pool, MESSAGES, check) for check in (True, False)}


def test_replies_and_silence(told: dict[bool, Told]) -> None:
    results, guide = told[False].results, told[False].pool.dialect == "guide"
    assert (results["text"]["reply"], results["text"]["reply_type"]) == ("pong", "text")
    assert results["json"]["reply"]["clients"]["count"] == 4
    assert results["query"]["reply_type"] == ("json" if guide else "none") and not results["query"]["failed"]
    assert results["mismatch"]["failed"] and results["mismatch"]["reply"] == "pong"
    assert results["summary"]["failed"] != guide
    assert results["summary"]["reply_type"] == ("json" if guide else "text")
    assert (results["unknown"]["failed"], results["unknown"]["reason"]) == (True, "unknown_command")
    assert (results["level"]["failed"], results["level"]["changed"]) == (not guide, guide)
    for word in ("silent", "drop all"):
        assert not results[word]["failed"] and results[word]["changed"] and results[word]["reply_type"] == "none"
    assert results["unsafe"]["sent"] and results["unsafe"]["changed"]
    for word in ("text", "json", "query"):
        assert not results[word]["changed"] and results[word]["sent"]


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_refusals(told: dict[bool, Told], check: bool) -> None:
    for word, reason in REFUSED.items():
        result = told[check].results[word]
        assert (result["failed"], result["reason"]) == (True, reason), word
    assert told[check].results["bad socket"]["failed"] and "socket" in told[check].results["bad socket"]["msg"]
    forbidden = ("mallory", "stratifierstats")
    assert not [message for message in told[check].asked if any(part in message.lower() for part in forbidden)]


def test_check_mode_only_reads_and_predicts_the_rest(told: dict[bool, Told]) -> None:
    allowed = {"ping", "stats", "poolstats", "summary", json.dumps(RPC)}
    assert set(told[True].asked) <= allowed
    for word, result in told[True].results.items():
        assert result.get("changed", False) == told[False].results[word].get("changed", False) or word == "unknown", (
            word
        )
        assert result.get("sent", False) == (word in ("text", "json", "query", "mismatch", "summary")), word


def test_the_record_shows_what_was_done(told: dict[bool, Told]) -> None:
    pool = told[False].pool
    assert {"resetshares", "dropall"} <= set(told[False].asked)
    assert json.loads(pool.ask("connector", "stats").text)["clients"]["count"] == 0
    if pool.dialect == "public":
        assert json.loads(pool.ask("stratifier", "stats").text)["users"]["count"] == 3, "eve was made"


def test_a_message_to_a_pool_that_hangs_ends_in_time(direct: Direct, place: Callable[[], Path]) -> None:
    with Simulated(place(), faults=["hung"]) as pool:
        where: Json = {"socket_dir": str(pool.socket_dir), "timeout": 0.5}
        found = direct.modules(
            [("ckpool_command", {**where, "command": word, "reply": "optional"}) for word in ("ping", "accept")]
        )
    assert [(result["failed"], result["reason"]) for result in found] == [(True, "unanswered")] * 2
    assert all(result["instance"]["socket_dir"] == str(pool.socket_dir) for result in found)
