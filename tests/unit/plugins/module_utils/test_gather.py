# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about an instance: which subsets are meant, what each holds, and what a sick pool costs."""

from __future__ import annotations

import getpass
import grp
import json
import os
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery, _wire
from ansible_collections.ckpool.fleet.plugins.module_utils._ask import gather
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.gather import (
    SUBSETS,
    Gathered,
    Options,
    chosen,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import version_of
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool

from tests.support import DEADLINE, HARMLESS, FakeSocket, Simulated, answers, argv_of, wait_for, wait_until

pytestmark = pytest.mark.usefixtures("fakes_are_ours", "alone")
ALLOWED = HARMLESS | {"getbase", "current.workbase"}
ALL = list(SUBSETS)
NAMES = ["alice", "bob", "carol"]


def without(*names: str) -> t.List[str]:
    return [name for name in SUBSETS if name not in names]


def visit(
    daemon: Simulated, *subsets: str, timeout: float = DEADLINE, source: str = "auto", **options: t.Any
) -> Gathered:
    """A visit to a daemon, for these subsets, or for all."""
    instance = _discovery.find(str(daemon.socket_dir))
    return Pool(instance, source=source, timeout=timeout).gather(Options(subsets or SUBSETS, **options))


def sent(daemon: Simulated) -> t.List[str]:
    return [str(message) for _name, message in daemon.record()]


def logged(daemon: Simulated, *lines: t.Tuple[float, str]) -> None:
    """Write lines to the log, each a number of seconds old."""
    with open(daemon.log_dir / "ckpool.log", "a", encoding="utf-8") as stream:
        for age, text in lines:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - age))
            stream.write(f"[{stamp}.250] {text}\n")


def solved(age: float, height: int) -> t.List[t.Tuple[float, str]]:
    return [(age, "BLOCK ACCEPTED!"), (age, f"Solved and confirmed block {height} by alice.rig1")]


# Which subsets


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ALL),
        (["all"], ALL),
        (["min"], ["summary"]),
        (["users"], ["users"]),
        (["blocks", "users", "blocks"], ["users", "blocks"]),
        (["min", "users"], ["summary", "users"]),
        (["all", "users"], ALL),
        (["!users"], without("users")),
        (["!users", "!workers"], without("users", "workers")),
        (["all", "!users"], without("users")),
        (["!all"], ["summary"]),
        (["all", "!all"], ["summary"]),
        (["!all", "users"], ["users"]),
        (["!all", "min", "users"], ["summary", "users"]),
        (["!min"], without("summary")),
        (["all", "!min"], without("summary")),
        (["!all", "!min"], []),
        (["!all", "!min", "users"], ["users"]),
        (["min", "!min"], []),
        (["summary", "!min"], ["summary"]),
        (["!min", "!users"], without("summary", "users")),
        (["users", "!min"], ["users"]),
        (["users", "!users"], []),
        (["users", "stats", "!users"], ["stats"]),
        (["!all", "!summary"], []),
    ],
    ids=lambda value: ",".join(value) or "nothing",
)
def test_the_subsets_that_are_meant(words: t.List[str], expected: t.List[str]) -> None:
    assert chosen(words) == expected


@pytest.mark.parametrize("word", ["hardware", "!hardware", "!!users", "!", "", "Users", " users", "users,stats"])
def test_an_unknown_word_is_named(word: str) -> None:
    with pytest.raises(BadInput) as caught:
        chosen(["users", word])
    assert caught.value.reason == "bad_subset"
    assert repr(word) in str(caught.value) and all(name in str(caught.value) for name in SUBSETS)


# The configuration


def test_a_configuration_that_is_too_deep_is_no_crash(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    instance = _discovery.find(str(daemon.socket_dir))
    instance.config = {"deep": json.loads("[" * 300 + "]" * 300)}
    gathering = Pool(instance).gather(Options(["config"]))
    assert gathering.values == {"config": None}
    assert "too deep" in gathering.problems["config"]


def test_a_configuration_that_is_not_found_says_why(home: Path) -> None:
    instance = Instance(str(home), "ckpool", problems={"config": "cannot read it"})
    gathering = Pool(instance, timeout=DEADLINE).gather(Options(["config"]))
    assert gathering.values == {"config": None} and gathering.problems["config"] == "cannot read it"


# The version


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (b"\0ckpool/0.9.9\0", "0.9.9"),
        (b"\0ckpool-lhr/1.0.0\0", "1.0.0"),
        (b"\0elopool/0.9.9-rc1\0", "0.9.9-rc1"),
        (b"\0ckpool\0ckpool/\0", None),
        (b"\0ckpool/x1\0", None),
        (b"see ckpool/0.9.9 there", None),
        (b"", None),
        (b"." * (1024 * 1024 - 30_000) + b"\0ckpool/1.1.1\0", "1.1.1"),
    ],
    ids=range(8),
)
def test_the_version_that_a_program_bears(home: Path, mark: bytes, expected: t.Optional[str]) -> None:
    program = home / "ckpool"
    shutil.copy(str(shutil.which("sleep")), program)
    with open(program, "ab") as stream:
        stream.write(b"\0" * 5000 + mark + b"\0rest")
    process = subprocess.Popen([str(program), "60"])
    try:
        # The kernel shows a new program before its words, so its words are what to wait for.
        wait_for(lambda: argv_of(process.pid)[:1] == [str(program)], "the program being run")
        assert version_of(process.pid) == expected
    finally:
        process.kill()
        process.wait()


def test_a_program_that_may_not_be_read_has_no_version() -> None:
    assert version_of(2**22 + 1) is None


# What a pool tells


@pytest.fixture(scope="module", params=["public", "api", "guide", "2017", "2026"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Simulated]:
    """A daemon that the tests only read from, of each dialect and layout."""
    kind = {"layout": request.param} if request.param.isdigit() else {"dialect": request.param}
    simulation = {"user_names": NAMES, "workers_per_user": 2, "hashrate": 6e15, "disconnected": 1, **kind}
    with Simulated(tmp_path_factory.mktemp("i"), **simulation) as simulated:
        simulated.wait_for_statistics()
        yield simulated


def test_everything_in_one_visit(daemon: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_args: t.Any, **_more: t.Any) -> t.Any:
        raise AssertionError("another process is started")

    for module, name in ((os, "fork"), (os, "posix_spawn"), (os, "system"), (subprocess, "Popen")):
        monkeypatch.setattr(module, name, no_process)
    asked = len(daemon.record())
    logged(daemon, *solved(60, 850000))
    gathering = visit(daemon)
    gathered = gathering.values
    assert list(gathered) == ALL and gathering.problems == {}
    dialect = daemon.simulation.get("dialect", "public")
    source = "files" if dialect == "public" else dialect
    expected = {"stats": source, "users": source, "workers": source, "blocks": "files"}
    assert gathering.sources == {**expected, "workbase": "guide" if dialect == "guide" else "api"}
    assert gathering.state == "ok" and isinstance(gathering.as_of, int)
    assert set(sent(daemon)[asked:]) <= ALLOWED
    assert len(sent(daemon)) - asked <= 15

    summary, stats = gathered["summary"], gathered["stats"]
    extra = {"name", "mode", "pid", "state", "version", "work_age", "last_block"}
    assert set(summary) == set(stats) | extra and not set(stats) & extra
    assert {name: summary[name] for name in stats} == stats
    assert (summary["name"], summary["mode"], summary["state"], summary["pid"]) == ("ckpool", "pool", "ok", daemon.pid)
    assert stats["hashrate1m"] == pytest.approx(6e15, rel=0.1) and (stats["users"], stats["workers"]) == (3, 6)
    assert 0 <= summary["work_age"] < 60
    assert summary["last_block"] == gathered["blocks"][0] and summary["last_block"]["height"] == 850000
    assert summary["last_block"]["worker"] == "alice.rig1"

    assert sorted(user["user"] for user in gathered["users"]) == NAMES
    rates = [user["hashrate1m"] for user in gathered["users"]]
    assert rates == sorted(rates, reverse=True)
    assert len(gathered["workers"]) == 6 and all(len(user["workers"]) == 2 for user in gathered["users"])
    assert gathered["workbase"]["height"] == 850001
    guide = dialect == "guide"  # whose reply to the stratifier's question holds no such counts
    counts = {
        "connected": 6,
        "authorised_or_new": None if guide else 6,
        "disconnected": None if guide else 1,
        "dead": 0,
    }
    assert gathered["clients"] == counts
    assert gathered["config"]["logdir"] == str(daemon.log_dir)
    own = [row for row in gathered["instances"] if row["pid"] == daemon.pid]
    assert own == [Pool.find(str(daemon.socket_dir)).instance.as_dict("ok")]
    whose = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getegid()).gr_name, "mode": "0770"}
    assert gathered["sockets"] == [
        {"name": name, "outcome": "reply", "path": str(daemon.socket_dir / name), **whose}
        for name in ("listener", "stratifier", "connector", "generator")
    ]


@pytest.mark.parametrize("name", SUBSETS)
def test_one_subset_brings_nothing_else(daemon: Simulated, name: str) -> None:
    gathering = visit(daemon, name)
    gathered = gathering.values
    assert list(gathered) == [name] and gathered[name] is not None
    own = {"summary": {"stats"}, **{key: {key} for key in ("stats", "users", "workers", "workbase", "blocks")}}
    assert set(gathering.sources) == own.get(name, set())


def test_nothing_is_an_answer_too(daemon: Simulated) -> None:
    assert Pool(_discovery.find(str(daemon.socket_dir))).gather(Options([])).values == {}


@pytest.mark.parametrize("sort_by", ["user", "hashrate1hr"])
def test_how_much_of_it(daemon: Simulated, sort_by: str) -> None:
    gathered = visit(daemon, "users", "workers", limit=2, sort_by=sort_by, active_within=3600.0).values
    field = "hashrate1hr" if sort_by != "user" else "user"
    users = [user[field] for user in gathered["users"]]
    workers = [worker[field if sort_by != "user" else "worker"] for worker in gathered["workers"]]
    assert len(users) == len(workers) == 2
    assert users == sorted(users, reverse=sort_by != "user")
    assert workers == sorted(workers, reverse=sort_by != "user")


def test_who_shared_too_long_ago_is_left_out(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES, workers_per_user=1, idle=1)
    daemon.wait_for_statistics()
    everybody, active = (visit(daemon, "workers", active_within=age).values["workers"] for age in (None, 600.0))
    assert len(everybody) == 3 and len(active) == 2
    assert [worker["idle"] for worker in active] == [False, False]


def test_the_last_block_is_told_however_old_it_is(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    daemon.wait_for_statistics()
    assert visit(daemon, "summary", "blocks").values["summary"]["last_block"] is None
    logged(daemon, *solved(9000, 3), *solved(8000, 4), *solved(7000, 5))
    since = time.time() - 3600
    gathered = visit(daemon, "summary", "blocks", blocks_since=since).values
    assert gathered["blocks"] == [] and gathered["summary"]["last_block"]["height"] == 5
    assert visit(daemon, "summary", blocks_since=since).values["summary"]["last_block"]["height"] == 5
    blocks = visit(daemon, "blocks", blocks_limit=2).values["blocks"]
    assert [block["height"] for block in blocks] == [5, 4]
    blocks = visit(daemon, "blocks", blocks_since=time.time() - 7500).values["blocks"]
    assert [block["height"] for block in blocks] == [5]


def test_the_summary_bears_the_version(simulate: t.Callable[..., Simulated], monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = simulate()
    monkeypatch.setattr(gather, "version_of", lambda pid: "0.9.9" if pid == daemon.pid else None)
    assert visit(daemon, "summary").values["summary"]["version"] == "0.9.9"


def test_the_counts_of_the_daemon(home: Path) -> None:
    """Connector and stratifier do not always agree, and one that is gone takes nothing from the other."""
    counts = {"clients": {"count": 7}, "disconnected": {"count": 3}, "workbases": {"count": 1}}
    with FakeSocket(str(home / "stratifier"), answers({"ping": "pong", "stats": counts})):
        gathering = Pool(_discovery.find(str(home)), timeout=DEADLINE).gather(Options(["clients"]))
        expected = {"connected": None, "authorised_or_new": 7, "disconnected": 3, "dead": None}
        assert gathering.values["clients"] == expected
        replies = {"ping": "pong", "stats": {"clients": {"count": 5}, "dead": {"count": 2}}}
        with FakeSocket(str(home / "connector"), answers(replies)):
            gathering = Pool(_discovery.find(str(home)), timeout=DEADLINE).gather(Options(["clients"]))
            assert gathering.values["clients"] == {**expected, "connected": 5, "dead": 2}
    with FakeSocket(str(home / "generator"), answers({"ping": "pong"})):
        gathering = Pool(_discovery.find(str(home)), timeout=DEADLINE).gather(Options(["clients"]))
        assert gathering.values["clients"] is None and "gave its counts" in gathering.problems["clients"]


def test_without_statistics_there_is_a_summary_and_they_are_asked_for_once(home: Path) -> None:
    with FakeSocket(str(home / "stratifier"), answers({"ping": "pong", "stats": {"workbases": {"count": 1}}})) as fake:
        asked: t.List[int] = []
        for subsets in (["summary"], ["summary", "stats"]):
            before = len(fake.messages)
            gathering = Pool(_discovery.find(str(home), log_dir=str(home / "logs")), timeout=DEADLINE).gather(
                Options(subsets)
            )
            gathered = gathering.values
            asked.append(len(fake.messages) - before)
        assert asked[0] == asked[1]
    assert gathered["stats"] is None and gathering.sources == {"stats": None}
    summary = gathered["summary"]
    assert (summary["name"], summary["state"], summary["hashrate1m"]) == (home.name, "degraded", None)
    assert "pool.status" in gathering.problems["stats"] and "summary" not in gathering.problems


# Sick pools


def complete(gathering: Gathered) -> t.Tuple[Gathered, t.Dict[str, t.Any]]:
    return gathering, gathering.values


@pytest.mark.parametrize(("fault", "state"), [("hung", "hung"), ("starting", "starting")])
def test_a_pool_that_does_not_answer_costs_one_timeout(
    simulate: t.Callable[..., Simulated],
    fault: str,
    state: str,
    given_up_soon: t.Callable[..., None],
    asked_at_once: t.Callable[[int], t.List[str]],
) -> None:
    """Its sockets are pinged once, and not asked again."""
    daemon = simulate(user_names=NAMES, faults=[] if fault == "hung" else [fault])
    if fault == "hung":
        daemon.wait_for_statistics()
        logged(daemon, *solved(60, 850000))
        daemon.change(faults=[fault])
    before = len(sent(daemon))
    silent = (
        ("stratifier", "generator") if fault == "starting" else ("listener", "stratifier", "connector", "generator")
    )
    given_up_soon(*silent)
    together = asked_at_once(4)
    gathering, gathered = complete(visit(daemon))
    assert gathering.state == state
    assert len(set(together)) == 4, "all at once"
    messages = wait_for(lambda: sorted(sent(daemon)[before:]), "what was sent")
    assert [message for message in messages if message != "stats"] == ["ping"] * 4
    assert len(messages) == (4 if fault == "hung" else 5), "a connector that answers is asked for its counts"
    assert list(gathered) == ALL
    assert gathered["workbase"] is None and gathering.problems["workbase"] == f"ckpool is {state}"
    assert [row["state"] for row in gathered["instances"] if row["pid"] == daemon.pid] == [state]
    assert gathered["config"]["logdir"] == str(daemon.log_dir)
    for row in gathered["sockets"]:
        assert row["outcome"] == ("unanswered" if row["name"] in silent else "reply")
        assert row["mode"] == "0770"
    if fault == "hung":
        assert gathered["clients"] is None and gathering.problems["clients"]
        assert len(gathered["users"]) == 3 and gathered["stats"]["users"] == 3, "the files still tell"
        assert gathered["summary"]["last_block"]["height"] == 850000


def test_a_pool_that_is_down(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=NAMES)
    daemon.stop()
    gathering, gathered = complete(visit(daemon))
    assert (gathering.state, list(gathered)) == ("down", ALL)
    for name in ("clients", "workbase", "config"):
        assert gathered[name] is None and gathering.problems[name], name
    assert gathered["summary"]["state"] == "down" and gathered["summary"]["version"] is None
    assert set(gathered["stats"].values()) == {None} and gathered["users"] == gathered["workers"] == []
    assert {row["outcome"] for row in gathered["sockets"]} == {"refused"}
    assert {row["mode"] for row in gathered["sockets"]} == {"0770"}
    assert set(gathering.sources.values()) == {None}


def test_where_nothing_ever_was(home: Path) -> None:
    gathering = Pool(_discovery.find(str(home / "nowhere")), timeout=DEADLINE).gather(Options(SUBSETS))
    gathered = gathering.values
    assert gathering.state == "down"
    assert gathered["sockets"][0] == {
        "name": "listener", "outcome": "absent", "path": f"{home}/nowhere/listener", "owner": None, "group": None,
        "mode": None,
    }  # fmt: skip


def test_all_pools_of_the_host_one_of_them_hung(
    simulate: t.Callable[..., Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is looked at once, side by side."""
    daemons = [simulate(faults=["hung"] if number == 1 else []) for number in range(4)]
    daemons[1].wait_for_statistics()
    before = [len(daemon.record()) for daemon in daemons]
    real, waited = _wire.exchange, []

    def are_looked_at() -> bool:
        others = (
            sent(daemon)[count:].count("ping") for daemon, count in zip(daemons, before) if daemon is not daemons[1]
        )
        return all(count == 4 for count in others)

    def exchange(path: str, message: str, timeout: float, *more: t.Any, **options: t.Any) -> bytearray:
        """The one that hangs does so until all the others have been looked at."""
        if not path.startswith(f"{daemons[1].socket_dir}/"):
            return real(path, message, timeout, *more, **options)
        waited.append(wait_until(are_looked_at))
        return real(path, message, 0.3, *more, **options)

    monkeypatch.setattr(_wire, "exchange", exchange)
    gathering, gathered = complete(visit(daemons[0], "instances"))
    assert waited == [True] * 4, "nobody waits for the one that hangs"
    states = {row["pid"]: row["state"] for row in gathered["instances"]}
    assert {daemon.pid: states[daemon.pid] for daemon in daemons} == {
        daemon.pid: "hung" if daemon is daemons[1] else "ok" for daemon in daemons
    }
    assert set(gathered["instances"][0]) == {
        "name",
        "mode",
        "socket_dir",
        "log_dir",
        "pid",
        "started",
        "root",
        "user",
        "state",
    }
    assert sent(daemons[0])[before[0] :].count("ping") == 4 and gathering.problems == {}


def test_a_generator_without_bitcoind_takes_only_the_work(
    simulate: t.Callable[..., Simulated], given_up_soon: t.Callable[..., None]
) -> None:
    given_up_soon("generator")
    daemon = simulate(user_names=NAMES)
    daemon.wait_for_statistics()
    daemon.change(faults=["bitcoind_down"])
    gathering, gathered = complete(visit(daemon))
    assert gathering.state == "degraded" and [name for name in gathered if gathered[name] is None] == ["workbase"]
    assert "did not answer" in gathering.problems["workbase"] and gathering.sources["workbase"] is None
    asked = [message for socket, message in daemon.record() if socket == "generator"]
    assert asked == ["ping", "getbase"], "each costs no more than one timeout"
