# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool: the best source for each question, in the three dialects, and nothing sent that could do harm."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _instance
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError, SourceNotAnswered
from ansible_collections.ckpool.fleet.plugins.module_utils._health import Thresholds
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import (
    SORT_FIELDS,
    HealthOptions,
    Pool,
    check_user_name,
    in_parallel,
    select,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._records import UserStats

from ..support import DEADLINE, HARMLESS, FakeSocket, Simulated, answers, framed, silent, wait_for

DIALECTS = ("public", "api", "guide")
NAMES = ("alice", "bob", "carol")
COUNTS = {"workbases": {"count": 3, "memory": 0, "generated": 3}}
SOON = 0.3


@pytest.fixture(scope="module", params=DIALECTS)
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Simulated]:
    """A daemon that the tests only read from, one for each dialect."""
    home = tmp_path_factory.mktemp(request.param[0])
    simulation = {"dialect": request.param, "user_names": list(NAMES), "workers_per_user": 2, "hashrate": 6e15}
    with Simulated(home, **simulation) as simulated:
        simulated.wait_for_statistics()
        yield simulated


def dialect_of(daemon: Simulated) -> str:
    dialect: str = daemon._simulation["dialect"]
    return dialect


def pool_of(daemon: Simulated, source: str = "auto", timeout: float = DEADLINE) -> Pool:
    """The pool of a simulated daemon."""
    return Pool.find(str(daemon.sockets), source=source, timeout=timeout)


def harm(daemon: Simulated) -> t.Set[t.Tuple[str, t.Optional[str]]]:
    """What was sent that could have done some, by the daemon's own record; also silence, and any other socket's."""
    return {(name, message) for name, message in daemon.record() if message not in HARMLESS}


# Which source answers


@pytest.mark.parametrize("source", ["auto", "files", "api", "guide"])
def test_the_source_of_statistics(daemon: Simulated, source: str) -> None:
    dialect = dialect_of(daemon)
    if source not in ("auto", "files", dialect):
        with pytest.raises(SourceNotAnswered) as caught:
            pool_of(daemon, source).stats()
        assert caught.value.facts["state"] == "ok" and "auto" in caught.value.hint
        return
    answer = pool_of(daemon, source).stats()
    expected = "files" if source == "files" or dialect == "public" else dialect
    assert (answer.source, answer.state, answer.problems) == (expected, "ok", {})
    assert answer.as_of is not None and abs(time.time() - answer.as_of) < 30
    assert answer.stats.hashrate1m == pytest.approx(6e15, rel=0.1)
    assert (answer.stats.users, answer.stats.workers) == (3, 6)
    assert answer.raw
    assert harm(daemon) == set()


@pytest.mark.parametrize("source", ["auto", "files", "api", "guide"])
def test_the_source_of_users(daemon: Simulated, source: str) -> None:
    dialect = dialect_of(daemon)
    if source not in ("auto", "files", dialect):
        with pytest.raises(SourceNotAnswered):
            pool_of(daemon, source).users()
        return
    answer = pool_of(daemon, source).users()
    assert answer.source == ("files" if source == "files" or dialect == "public" else dialect)
    assert [user.user for user in answer.users] == list(NAMES)
    for user in answer.users:
        assert [worker.worker for worker in user.workers] == [f"{user.user}.rig0", f"{user.user}.rig1"]
        assert user.hashrate1m is not None and user.hashrate1m > 1e14
    assert answer.as_of is not None and abs(time.time() - answer.as_of) < 30
    assert harm(daemon) == set()


def test_an_unknown_user_is_missing_and_is_not_created_by_being_asked_for(daemon: Simulated) -> None:
    answer = pool_of(daemon).users(["bob", "nobody", "1Unknown", "bob"])
    assert [user.user for user in answer.users] == ["bob"]
    assert answer.missing == ["nobody", "1Unknown"]
    assert len(answer.users[0].workers) == 2
    assert harm(daemon) == set()
    # The daemon's own count: asking it by name would have made two more.
    fresh = pool_of(daemon).users()
    assert [user.user for user in fresh.users] == list(NAMES)
    if dialect_of(daemon) != "guide":
        assert pool_of(daemon)._sockets.json("stratifier", "stats")["users"]["count"] == 3


def test_with_a_limit_or_a_time_nobody_is_said_to_be_missing(daemon: Simulated) -> None:
    pool = pool_of(daemon)
    assert pool.users(["nobody"], limit=5).missing == []
    assert pool.users(["nobody"], active_within=60).missing == []


@pytest.mark.parametrize("field", [field for field in SORT_FIELDS if field != "user"])
def test_users_in_order(daemon: Simulated, field: str) -> None:
    answer = pool_of(daemon).users(sort_by=field, limit=2)
    values = [getattr(user, field) or 0 for user in answer.users]
    assert len(values) == 2 and values == sorted(values, reverse=True)
    everybody = [getattr(user, field) or 0 for user in pool_of(daemon).users().users]
    assert values[0] == pytest.approx(max(everybody), rel=0.2)


def test_users_who_were_not_active_lately_are_left_out(daemon: Simulated) -> None:
    pool = pool_of(daemon)
    assert len(pool.users(active_within=600).users) == 3
    assert pool.users(active_within=0).users == []


def test_a_verdict_in_each_dialect_and_what_was_sent_for_it(daemon: Simulated) -> None:
    before = len(daemon.record())
    verdict, seen = pool_of(daemon).health()
    dialect = dialect_of(daemon)
    assert verdict.state == "ok", verdict.wrong
    assert seen.stats_source == ("files" if dialect == "public" else dialect)
    assert seen.stats is not None and seen.stats.hashrate1m == pytest.approx(6e15, rel=0.1)
    assert seen.log is not None and seen.log.stored_workbase is not None
    assert (seen.pid, seen.pid_state, seen.leftovers, seen.problems) == (daemon.pid, "alive", [], {})
    assert seen.open_files and seen.disk_total and seen.update_interval == 0.2
    assert seen.clients == 6
    sent = daemon.record()[before:]
    assert harm(daemon) == set()
    assert sorted(name for name, message in sent if message == "ping") == sorted(_instance.SOCKETS)
    assert ("generator", "getbest") in sent
    assert len(sent) <= 9  # one each, so that it may be done often


def test_without_the_check_of_bitcoind_the_generator_is_not_asked_for_a_block(daemon: Simulated) -> None:
    before = len(daemon.record())
    verdict, _seen = pool_of(daemon).health(HealthOptions(skip=["bitcoind"]))
    assert verdict.ok
    assert "getbest" not in [message for _name, message in daemon.record()[before:]]


def test_the_counter_of_work_is_watched_when_wanted(daemon: Simulated) -> None:
    verdict, seen = pool_of(daemon).health(HealthOptions(sample_seconds=0.5))
    (check,) = [check for check in verdict.checks if check.name == "work_moves"]
    if dialect_of(daemon) == "guide":  # whose reply to stats holds no counts
        assert check.reason == "not_sampled"
    else:
        assert (check.status, seen.sample_seconds) == ("ok", 0.5)


@pytest.mark.parametrize("layout", ["2017", "2026"])
def test_the_other_layouts(simulate: t.Callable[..., Simulated], layout: str) -> None:
    daemon = simulate(layout=layout, user_names=list(NAMES), workers_per_user=2)
    daemon.wait_for_statistics()
    pool = pool_of(daemon)
    answer = pool.users(["alice"])
    assert [len(user.workers) for user in answer.users] == [2]
    assert pool.stats().stats.network_difficulty == (None if layout == "2017" else pytest.approx(86388558925171.0))
    assert pool.health()[0].ok
    assert harm(daemon) == set()


def test_the_difficulty_of_the_network_is_taken_from_the_log_where_the_files_have_none(
    simulate: t.Callable[..., Simulated],
) -> None:
    daemon = simulate(layout="2025")
    daemon.wait_for_statistics()
    assert pool_of(daemon).stats().stats.network_difficulty == 86388558925171.0


# A pool that is not well


def test_a_pool_that_was_never_there_is_an_answer(home: Path) -> None:
    pool = Pool.find(str(home / "nowhere"))
    answer = pool.stats()
    assert (answer.state, answer.source, answer.as_of) == ("down", None, None)
    assert "does not exist" in answer.problems["stats"]
    assert set(answer.stats.as_dict().values()) == {None}
    verdict, _seen = pool.health()
    assert (verdict.state, verdict.status) == ("down", "critical")
    assert pool.instance.last_log_lines() == []


def test_of_a_pool_that_is_down_nobody_is_said_to_be_missing(home: Path) -> None:
    answer = Pool.find(str(home / "nowhere")).users(["alice"])
    assert (answer.state, answer.users, answer.missing) == ("down", [], [])


def test_a_pool_that_went_down_still_has_its_files(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=list(NAMES))
    daemon.wait_for_statistics()
    daemon.stop(signal.SIGKILL)
    pool = Pool.find(str(daemon.sockets), log_dir=str(daemon.logs))
    answer = pool.stats()
    assert (answer.state, answer.source, answer.stats.users) == ("down", "files", 3)
    assert [user.user for user in pool.users().users] == list(NAMES)
    verdict, seen = pool.health()
    assert verdict.state == "down"
    assert set(seen.leftovers) == {*_instance.SOCKETS, "main.pid"}
    assert pool.instance.last_log_lines() != []
    reasons = {check.name: check.reason for check in verdict.checks if check.status != "ok"}
    assert (reasons["process"], reasons["ready"], reasons["socket_listener"]) == ("pid_dead", "down", "refused")


def test_a_pool_that_was_stopped_is_hung(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    daemon.wait_for_statistics()
    pool = pool_of(daemon, timeout=SOON)
    os.kill(daemon.pid, signal.SIGSTOP)
    start = time.monotonic()
    answer = pool.stats()
    assert (answer.state, answer.source, answer.stats.users) == ("hung", "files", 3)
    verdict, _seen = pool.health()
    assert verdict.state == "hung"
    assert time.monotonic() - start < 5
    os.kill(daemon.pid, signal.SIGCONT)
    wait_for(lambda: pool_of(daemon).stats().state == "ok", "it to go on")


@pytest.mark.parametrize(
    ("fault", "state", "check", "reason"),
    [
        ("starting", "starting", "bitcoind", "bitcoind_down"),
        ("bitcoind_down", "degraded", "bitcoind", "bitcoind_down"),
        ("listener_dead", "degraded", "socket_listener", "listener_dead"),
        ("stale_work", "degraded", "work_age", "no_work_in_this_run"),  # older than the process that pretends it
        ("dead_stats", "degraded", "statistics", "stale_statistics"),
        ({"fault": "half_reply", "sockets": ["connector"]}, "degraded", "socket_connector", "half_reply"),
        ({"fault": "oversized", "sockets": ["stratifier"]}, "degraded", "socket_stratifier", "oversized_reply"),
        ({"fault": "garbage", "sockets": ["generator"]}, "degraded", "socket_generator", "bad_reply"),
        ({"fault": "no_reply", "sockets": ["connector"]}, "degraded", "socket_connector", "no_reply"),
        ({"fault": "hung", "sockets": ["connector"]}, "degraded", "socket_connector", "unanswered"),
        ({"fault": "slow", "delay": 0.2}, "degraded", "socket_listener", "slow"),
        ({"fault": "hashrate_drop", "factor": 0.2}, "degraded", "hashrate_drop", "hashrate_drop"),
        ({"fault": "rejects", "ratio": 0.2}, "degraded", "reject_ratio", "rejects"),
        ("failover", "degraded", "bitcoind", "failed_over"),
    ],
)
def test_a_fault_and_the_check_that_finds_it(
    simulate: t.Callable[..., Simulated], fault: t.Any, state: str, check: str, reason: str
) -> None:
    daemon = simulate(faults=[fault], uptime=3000)
    pool = pool_of(daemon, timeout=0.8)
    options = HealthOptions(Thresholds(latency_warning=0.15))

    def found() -> t.Optional[str]:
        verdict, _seen = pool.health(options)
        reasons = {made.name: made.reason for made in verdict.checks if made.status in ("warn", "critical")}
        return verdict.state if reasons.get(check) == reason else None

    assert wait_for(found, f"{check} to say {reason}") == state
    assert harm(daemon) == set()


def stratifier(home: Path, script: t.Any) -> FakeSocket:
    """A stratifier that behaves as told."""
    return FakeSocket(str(home / "stratifier"), script)


def with_files(home: Path) -> Pool:
    """A pool in this folder, with a log directory that holds a status."""
    (home / "pool").mkdir()
    status = [{"lastupdate": int(time.time()), "Users": 7}, {"hashrate1m": "5M"}, {"accepted": 1}]
    (home / "pool" / "pool.status").write_text("".join(json.dumps(row) + "\n" for row in status))
    (home / "users").mkdir()
    (home / "users" / "alice").write_text(json.dumps({"hashrate1m": "5M", "worker": []}))
    return Pool(Instance(str(home), "ckpool", log_dir=str(home)), timeout=SOON)


BROKEN_API: t.Dict[str, t.Any] = {
    "another text": "unknown",
    "no object": [],
    "no numbers": {"dsps1": "junk"},
    "true and false": {"dsps1": 1, "accepted": True},
}


@pytest.mark.parametrize("reply", BROKEN_API.values(), ids=BROKEN_API)
def test_files_stand_in_for_a_socket_that_answers_nonsense(home: Path, reply: t.Any) -> None:
    pool = with_files(home)
    with stratifier(
        home, answers({"ping": "pong", "stats": COUNTS, "poolstats": reply, "users": {"users": [{"user": []}]}})
    ):
        answer = pool.stats()
        assert (answer.source, answer.stats.users, answer.state) == ("files", 7, "ok")
        _verdict, seen = pool.health()
        assert (seen.stats_source, seen.stats and seen.stats.users) == ("files", 7)
        assert "stats" in seen.problems


def test_files_stand_in_for_a_listing_that_breaks_off(home: Path) -> None:
    pool = with_files(home)
    replies = {
        "stats": COUNTS,
        "poolstats": {"dsps1": 1},
        "users": {"users": [{"user": "x", "dsps1": 1}]},
        "workers": "no",
    }
    with stratifier(home, answers(replies)):
        answer = pool.users()
    assert (answer.source, [user.user for user in answer.users]) == ("files", ["alice"])


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"clients": None},
        {"clients": []},
        {"clients": {"count": "x"}},
        {"clients": {"count": [1]}},
        {"clients": {"count": 1.5}},
    ],
)
def test_counts_that_make_no_sense_are_not_known_and_no_failure(home: Path, counts: t.Dict[str, t.Any]) -> None:
    with FakeSocket(str(home / "connector"), answers({"ping": "pong", "stats": counts})):
        _verdict, seen = with_files(home).health()
    assert seen.clients is None


NASTY = [
    b"", b"\x01", framed(b"\xff"), framed(b"unknown"), framed(b"[]"), framed(b"{}"), framed(b"{}")[:-1], b"\xff" * 8,
    framed(b"[" * 100_000), framed(b'{"hashrate1m": "x"}'), framed(b'{"hashrate1m": NaN}'),
    framed(b'{"workbases": 5, "dsps1": 1e400}'), framed(b'{"hashrate1m": 1, "users": [], "accepted": {}}'),
    framed(b'{"users": [{}], "workers": [{"user": {}}]}'),
    framed(b'{"workbases": {"count": ' + b"9" * 400 + b', "generated": true}}'),
]  # fmt: skip


@pytest.mark.parametrize("reply", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("source", ["auto", "api", "guide", "files"])
def test_whatever_all_sockets_reply_there_is_an_answer_or_an_error_of_the_pool(
    home: Path, reply: bytes, source: str
) -> None:
    running = [FakeSocket(str(home / name), reply) for name in _instance.SOCKETS]
    try:
        pool = Pool(Instance(str(home), "ckpool", log_dir=str(home)), source, SOON)
        verdict, seen = pool.health(HealthOptions(sample_seconds=0.01))
        assert verdict.state in ("ok", "degraded", "starting", "hung") and seen.problems
        for question in (pool.stats, pool.users):
            try:
                assert question().state in ("ok", "degraded", "starting", "hung")
            except PoolError as error:
                assert error.phase and error.facts["state"]
    finally:
        for fake in running:
            fake.__exit__()


def test_a_pool_that_is_up_and_tells_nothing_is_a_failure_with_what_was_learned(home: Path) -> None:
    with stratifier(home, answers({"stats": COUNTS})), pytest.raises(PoolError) as caught:
        Pool(Instance(str(home), "ckpool"), timeout=SOON).stats()
    assert "log directory of ckpool is not known" in str(caught.value)
    assert caught.value.hint == "set log_dir"
    assert caught.value.facts["state"] == "ok"


def test_a_silent_pool_costs_two_timeouts_and_no_more(home: Path) -> None:
    with FakeSocket(str(home / "listener"), silent), stratifier(home, silent):
        start = time.monotonic()
        assert Pool(Instance(str(home), "ckpool"), timeout=SOON).stats().state in ("hung", "starting")
        assert time.monotonic() - start < 2 * SOON + 1


# All instances of a host


def test_all_pools_of_a_host_and_those_that_should_be_there(simulate: t.Callable[..., Simulated], home: Path) -> None:
    one, two = simulate(), simulate()
    wanted = [str(one.sockets), str(home / "gone"), str(home / "gone") + "/"]
    folders = [pool.instance.socket_dir for pool in Pool.find_all(wanted)]
    assert {str(one.sockets), str(two.sockets), str(home / "gone")} <= set(folders)
    assert folders.count(str(one.sockets)) == 1
    assert folders.count(str(home / "gone")) == 1


# Names and lists of users


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("", "is empty"), ("a/b", "holds '/'"), ("/etc/passwd", "holds '/'"), ("../x", "holds"), ("..", "holds '..'"),
        ("a..b", "holds '..'"), ("a\0", "holds a NUL"), ("a\nb", "a newline"), ("a\r", "carriage return"),
        ("x" * 128, "more than 127 bytes"), ("é" * 64, "more than 127 bytes"), ("\ud800", "is not text"),
    ],
)  # fmt: skip
def test_a_name_that_no_user_can_have_is_refused_before_anything_is_sent_or_opened(
    home: Path, name: str, wrong: str
) -> None:
    with pytest.raises(BadInput) as caught:
        check_user_name(name)
    assert wrong in str(caught.value) and caught.value.reason == "bad_user_name"
    with stratifier(home, answers({"stats": COUNTS})) as fake, pytest.raises(BadInput):
        with_files(home).users(["alice", name])
    assert fake.messages == []


@pytest.mark.parametrize(
    "name", ["a", "bc1qexampleaddress", "user.name", "user name", "x" * 127, "é" * 63, "{}", "-rf", "%s", "\udce9"]
)
def test_any_other_name_is_a_users(name: str) -> None:
    check_user_name(name)


def test_a_user_whose_file_is_broken_is_a_problem_and_not_unknown(home: Path) -> None:
    pool = with_files(home)
    (home / "users" / "bob").write_text("junk")
    answer = pool.users(["alice", "bob", "carol"])
    assert [user.user for user in answer.users] == ["alice"]
    assert answer.missing == ["carol"]
    assert "bob" in answer.problems


def users(count: int) -> t.Iterator[UserStats]:
    for number in range(count):
        yield UserStats(f"user{number * 7919 % count}", hashrate1m=float(number), last_share=number)


def test_selection_by_each_field() -> None:
    some = [UserStats("b", hashrate1m=1.0), UserStats("a", hashrate1m=None), UserStats("c", hashrate1m=0.0)]
    assert [user.user for user in select(some, 0.0, "user", None)] == ["a", "b", "c"]
    assert [user.user for user in select(some, 0.0, "user", 2)] == ["a", "b"]
    assert [user.user for user in select(some, 0.0, "hashrate1m", None)] == ["b", "c", "a"]
    assert [user.user for user in select(some, 0.0, "hashrate1m", 1)] == ["b"]
    assert len(select(some, 0.0, "hashrate1m", 2**31)) == 3


def test_selection_by_time_takes_the_last_share_or_else_the_file() -> None:
    some = [
        UserStats("share", last_share=100),
        UserStats("file", updated=100),
        UserStats("old", last_share=99, updated=100),
    ]
    assert [user.user for user in select(some, 100.0, "user", None)] == ["file", "share"]
    assert [user.user for user in select([UserStats("none")], 100.0, "user", None)] == []


@pytest.mark.parametrize("sort_by", ["hashrate1m", "user"])
def test_the_top_of_many_costs_no_memory_for_the_others(sort_by: str) -> None:
    tracemalloc.start()
    start = time.monotonic()
    try:
        top = select(users(50_000), 0.0, sort_by, 5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(top) == 5
    assert time.monotonic() - start < 5
    assert peak < 2_000_000
    expected = ["user0", "user1", "user10", "user100", "user1000"]
    assert sort_by != "user" or [user.user for user in top] == expected


# Several calls at once


def test_calls_in_parallel_keep_their_order_and_wait_together() -> None:
    barrier = threading.Barrier(4)

    def call(number: int) -> t.Callable[[], int]:
        def work() -> int:
            barrier.wait(DEADLINE)  # reached by all four only if they run at once
            return number

        return work

    assert in_parallel([call(number) for number in range(4)]) == [0, 1, 2, 3]
    assert in_parallel([]) == []
    assert in_parallel([lambda: 1] * 100) == [1] * 100


def test_the_first_failure_of_calls_in_parallel_is_raised_again() -> None:
    def fails() -> int:
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        in_parallel([lambda: 1, fails, lambda: 2])
