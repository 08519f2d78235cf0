# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool: the best source for each question, in the three dialects, and nothing sent that could do harm."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _instance
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.selection import SORT_FIELDS, select
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.survey import HealthOptions
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError, SourceNotAnswered
from ansible_collections.ckpool.fleet.plugins.module_utils._health import Thresholds, judge
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import start_ticks
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._names import check_user_name
from ansible_collections.ckpool.fleet.plugins.module_utils._parallel import in_parallel
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._records import UserStats
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.events import log_tail

from tests.support import DEADLINE, HARMLESS, FakeSocket, Simulated, answers, framed, silent, wait_for
from tests.support.instances import instance_of_ours

DIALECTS = ("public", "api", "guide")
NAMES = ("alice", "bob", "carol")
COUNTS = {"workbases": {"count": 3, "memory": 0, "generated": 3}}
SOON = 1.0  #: a timeout of pools of which all hangs
WRITTEN = 100 + DEADLINE  #: seconds that statistics are old at most: simulated daemons write them every 100 s
PATIENT = Thresholds(latency_warning=DEADLINE)  #: limits within which a pool on a busy machine is healthy


@pytest.fixture(scope="module", params=DIALECTS)
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Simulated]:
    """A daemon that the tests only read from, one for each dialect."""
    home = tmp_path_factory.mktemp(request.param[0])
    simulation = {"dialect": request.param, "user_names": list(NAMES), "workers_per_user": 2, "hashrate": 6e15}
    with Simulated(home, **simulation) as simulated:
        simulated.wait_for_statistics()
        yield simulated


def dialect_of(daemon: Simulated) -> str:
    dialect: str = daemon.simulation["dialect"]
    return dialect


def pool_of(daemon: Simulated, source: str = "auto", timeout: float = DEADLINE) -> Pool:
    """The pool of a simulated daemon."""
    return Pool.find(str(daemon.socket_dir), source=source, timeout=timeout)


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
    assert answer.as_of is not None and abs(time.time() - answer.as_of) < WRITTEN
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
    assert answer.as_of is not None and abs(time.time() - answer.as_of) < WRITTEN
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
        assert (pool_of(daemon).observe(HealthOptions()).counts or {})["users"]["count"] == 3


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


@pytest.mark.parametrize("dialect", DIALECTS)
def test_users_who_were_not_active_lately_are_left_out(simulate: t.Callable[..., Simulated], dialect: str) -> None:
    daemon = simulate(dialect=dialect, user_names=list(NAMES), workers_per_user=2, idle=2)  # carol's, for an hour
    daemon.wait_for_statistics()
    pool = pool_of(daemon)
    assert [user.user for user in pool.users(active_within=7200).users] == list(NAMES)
    assert [user.user for user in pool.users(active_within=600).users] == list(NAMES)[:2]


def test_a_verdict_in_each_dialect_and_what_was_sent_for_it(daemon: Simulated) -> None:
    before = len(daemon.record())
    verdict, seen = pool_of(daemon).health(HealthOptions(PATIENT))
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
    verdict, _seen = pool_of(daemon).health(HealthOptions(PATIENT, skip=["bitcoind"]))
    assert verdict.ok
    assert "getbest" not in [message for _name, message in daemon.record()[before:]]


def test_the_counter_of_work_is_watched_when_wanted(
    daemon: Simulated, work_while_sampled: t.Callable[[Simulated], None]
) -> None:
    work_while_sampled(daemon)
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
    assert pool.health(HealthOptions(PATIENT))[0].ok
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
    assert log_tail(pool.instance) == []


def test_of_a_pool_that_is_down_nobody_is_said_to_be_missing(home: Path) -> None:
    answer = Pool.find(str(home / "nowhere")).users(["alice"])
    assert (answer.state, answer.users, answer.missing) == ("down", [], [])


def test_a_pool_that_went_down_still_has_its_files(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=list(NAMES))
    daemon.wait_for_statistics()
    daemon.stop(signal.SIGKILL)
    pool = Pool.find(str(daemon.socket_dir), log_dir=str(daemon.log_dir))
    answer = pool.stats()
    assert (answer.state, answer.source, answer.stats.users) == ("down", "files", 3)
    assert [user.user for user in pool.users().users] == list(NAMES)
    verdict, seen = pool.health()
    assert verdict.state == "down"
    assert set(seen.leftovers) == {*_instance.SOCKETS, "main.pid"}
    assert log_tail(pool.instance) != []
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
    assert time.monotonic() - start < DEADLINE / 2
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
        ({"fault": "oversized", "sockets": ["stratifier"]}, "degraded", "socket_stratifier", "garbage"),
        ({"fault": "garbage", "sockets": ["generator"]}, "degraded", "socket_generator", "garbage"),
        ({"fault": "no_reply", "sockets": ["connector"]}, "degraded", "socket_connector", "no_reply"),
        ({"fault": "hung", "sockets": ["connector"]}, "degraded", "socket_connector", "unanswered"),
        ({"fault": "slow", "delay": 0.2}, "degraded", "socket_listener", "slow"),
        ({"fault": "hashrate_drop", "factor": 0.2}, "degraded", "hashrate_drop", "hashrate_drop"),
        ({"fault": "rejects", "ratio": 0.2}, "degraded", "reject_ratio", "rejects"),
        ("failover", "degraded", "bitcoind", "failed_over"),
    ],
)
def test_a_fault_and_the_check_that_finds_it(
    simulate: t.Callable[..., Simulated],
    fault: t.Any,
    state: str,
    check: str,
    reason: str,
    given_up_soon: t.Callable[..., None],
) -> None:
    silent = {"starting": ("stratifier", "generator"), "bitcoind_down": ("generator",), "unanswered": ("connector",)}
    given_up_soon(*silent.get(fault if isinstance(fault, str) else reason, ()))
    daemon = simulate(faults=[fault], uptime=3000)
    pool = pool_of(daemon)
    options = HealthOptions(Thresholds(latency_warning=0.15))

    def found() -> t.Optional[str]:
        verdict, _seen = pool.health(options)
        reasons = {made.name: made.reason for made in verdict.checks if made.status in ("warning", "critical")}
        return verdict.state if reasons.get(check) == reason else None

    assert wait_for(found, f"{check} to say {reason}") == state
    assert harm(daemon) == set()


@pytest.mark.parametrize("zone", ["EST5EDT,M3.2.0,M11.1.0", "<+1345>-13:45", "UTC0"])
def test_work_of_a_daemon_in_another_time_zone(
    simulate: t.Callable[..., Simulated], zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    daemon = simulate()
    monkeypatch.setenv("TZ", "CET-1")
    pool = pool_of(daemon)
    verdict, seen = pool.health()
    age = wait_for(pool.work_age, "some work")
    assert age is not None and 0 <= age < DEADLINE and "log" not in seen.problems
    assert [check.reason for check in verdict.checks if check.name == "work_age" and check.status != "ok"] == []
    reached = pool.blocks().reached
    assert reached is not None and abs(reached - time.time()) < 600


@pytest.mark.parametrize("zone", ["EST5EDT,M3.2.0,M11.1.0", "<+1345>-13:45", "UTC0"])
def test_stale_work_of_a_daemon_in_another_time_zone(
    simulate: t.Callable[..., Simulated], zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not look fresh."""
    monkeypatch.setenv("TZ", zone)
    daemon = simulate(faults=["stale_work"])
    monkeypatch.setenv("TZ", "CET-1")
    found = pool_of(daemon).work_age()
    assert found is not None and found > 300


def stratifier(home: Path, script: t.Any) -> FakeSocket:
    """A stratifier that behaves as told."""
    return FakeSocket(str(home / "stratifier"), script)


@contextlib.contextmanager
def daemon_with(home: Path, stratifier_script: t.Any) -> t.Iterator[FakeSocket]:
    """A daemon whose stratifier behaves as told; its other sockets answer a ping."""
    others = [
        FakeSocket(str(home / name), answers({"ping": "pong"})) for name in _instance.SOCKETS if name != "stratifier"
    ]
    try:
        with stratifier(home, stratifier_script) as fake:
            yield fake
    finally:
        for other in others:
            other.__exit__()


def with_files(home: Path) -> Pool:
    """A pool in this folder, with a log directory that holds a status."""
    (home / "pool").mkdir()
    status = [{"lastupdate": int(time.time()), "Users": 7}, {"hashrate1m": "5M"}, {"accepted": 1}]
    (home / "pool" / "pool.status").write_text("".join(json.dumps(row) + "\n" for row in status))
    (home / "users").mkdir()
    (home / "users" / "alice").write_text(json.dumps({"hashrate1m": "5M", "worker": []}))
    return Pool(instance_of_ours(home, log_dir=str(home)), timeout=DEADLINE)


BROKEN_API: t.Dict[str, t.Any] = {
    "another text": "unknown",
    "no object": [],
    "no numbers": {"dsps1": "junk", "accepted": True},
}


@pytest.mark.parametrize("reply", BROKEN_API.values(), ids=BROKEN_API)
def test_files_stand_in_for_a_socket_that_answers_nonsense(home: Path, reply: t.Any) -> None:
    pool = with_files(home)
    with daemon_with(
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
        "ping": "pong",
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
        pool = Pool(instance_of_ours(home, log_dir=str(home)), source, DEADLINE)
        verdict, seen = pool.health(HealthOptions(sample_seconds=0.01))
        assert verdict.status == "critical" and verdict.state in ("unknown", "hung") and seen.problems
        for question in (pool.stats, pool.users):
            try:
                assert question().state in ("unknown", "hung")
            except PoolError as error:
                assert error.phase and error.facts["state"]
    finally:
        for fake in running:
            fake.__exit__()


def test_a_pool_that_is_up_and_tells_nothing_is_a_failure_with_what_was_learned(home: Path) -> None:
    with daemon_with(home, answers({"ping": "pong", "stats": COUNTS})), pytest.raises(PoolError) as caught:
        Pool(instance_of_ours(home), timeout=DEADLINE).stats()
    assert "log directory of ckpool is not known" in str(caught.value)
    assert caught.value.hint == "set log_dir"
    assert caught.value.facts["state"] == "ok"


def test_a_silent_pool_costs_two_timeouts_and_no_more(home: Path) -> None:
    with FakeSocket(str(home / "listener"), silent) as listener, stratifier(home, silent) as other:
        assert Pool(instance_of_ours(home), timeout=SOON).stats().state in ("hung", "starting")
        assert len(listener.messages) + len(other.messages) <= 2, "each costs one"


# All instances of a host


def test_all_pools_of_a_host_and_those_that_should_be_there(simulate: t.Callable[..., Simulated], home: Path) -> None:
    one, two = simulate(), simulate()
    wanted = [str(one.socket_dir), str(home / "gone"), str(home / "gone") + "/"]
    folders = [pool.instance.socket_dir for pool in Pool.find_all(wanted)]
    assert {str(one.socket_dir), str(two.socket_dir), str(home / "gone")} <= set(folders)
    assert folders.count(str(one.socket_dir)) == 1
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


# Users who have no file yet


def authorised(home: Path, *names: str, ago: float = 1.0) -> None:
    """Lines of the log that say so."""
    with (home / "ckpool.log").open("a") as log:
        for number, name in enumerate(names, 1):
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - ago))
            user = name.partition(".")[0]
            log.write(f"[{stamp}.000] Authorised client {number} 127.0.0.1 worker {name} as user {user}\n")


def without_counts(pool: Pool, ask: str, **options: t.Any) -> t.Any:
    """What a public build answers, by its files."""
    (Path(pool.instance.socket_dir) / "stratifier").unlink(missing_ok=True)
    with stratifier(Path(pool.instance.socket_dir), answers({"ping": "pong", "stats": COUNTS})):
        return getattr(pool, ask)(**options)


def test_a_user_who_has_sent_no_share_is_told_by_the_log(home: Path) -> None:
    pool = with_files(home)
    authorised(home, "alice.rig", "dave.rig0", "dave.rig1", "dave.rig0")
    answer = without_counts(pool, "users")
    assert [(user.user, user.source) for user in answer.users] == [("alice", "files"), ("dave", "log")]
    dave = answer.users[1]
    assert (dave.hashrate1m, dave.last_share, dave.stale) == (None, None, False)
    assert dave.authorised == pytest.approx(time.time(), abs=60)
    assert [worker.worker for worker in dave.workers] == ["dave.rig0", "dave.rig1"]
    assert [(user.user, user.source) for user in without_counts(pool, "users", names=["dave", "eve"]).users] == [
        ("dave", "log")
    ]
    assert without_counts(pool, "users", names=["dave", "eve"]).missing == ["eve"]
    ranked = without_counts(pool, "users", sort_by="hashrate1m", limit=2).users
    assert [user.user for user in ranked] == ["alice", "dave"]
    assert [user.user for user in without_counts(pool, "users", sort_by="hashrate1m", limit=1).users] == ["alice"]
    assert [user.user for user in without_counts(pool, "users", active_within=60).users] == ["alice"]
    workers = without_counts(pool, "workers").workers
    assert [(worker.worker, worker.idle) for worker in workers] == [
        ("alice.rig", True), ("dave.rig0", True), ("dave.rig1", True),
    ]  # fmt: skip
    assert [worker.worker for worker in without_counts(pool, "workers", names=["dave.rig1"]).workers] == ["dave.rig1"]


def test_a_user_who_came_back_after_a_restart_and_has_sent_no_share_yet_is_there(home: Path) -> None:
    pool = with_files(home)
    (home / "users" / "dave").write_text(json.dumps({"hashrate1m": "999E", "worker": []}))
    os.utime(home / "users" / "dave", (1, 1))
    authorised(home, "dave.rig")
    found = {user.user: user for user in without_counts(pool, "users", sort_by="hashrate1m").users}
    assert (found["dave"].hashrate1m, found["dave"].source) == (None, "log")


def test_users_that_neither_file_nor_log_tells_of_are_said_to_be_missing(home: Path) -> None:
    pool = with_files(home)  # its status counts seven
    authorised(home, "dave.rig")
    assert without_counts(pool, "users").problems["users"].startswith("5 connected users are in no file")
    (home / "ckpool.log").unlink()
    assert without_counts(pool, "users").problems["users"].startswith("6 connected users are in no file")
    assert "users" not in without_counts(pool, "users", names=["alice"]).problems


# Fields of sockets and files


def test_what_a_solo_pool_holds_for_its_users_is_counted(home: Path) -> None:
    pool = with_files(home)
    assert without_counts(pool, "stats").stats.user_workbases is None
    (home / "stratifier").unlink()
    with stratifier(
        home, answers({"ping": "pong", "stats": {**COUNTS, "userwbs": {"count": 12, "memory": 5, "generated": 40}}})
    ):
        assert pool.stats().stats.user_workbases == 12


def test_numbers_that_nothing_can_hold_reach_no_result(home: Path) -> None:
    pool = with_files(home)
    text = f'{{"hashrate1m": "5M", "accepted": {10**299}, "rejected": 1e400, "SPS1m": NaN, "x": [Infinity, {{"y": -1e999}}]}}'
    (home / "pool" / "pool.status").write_text(f'{{"lastupdate": {int(time.time())}}}\n{{}}\n{text}\n')
    answer = without_counts(pool, "stats")
    assert (answer.stats.hashrate1m, answer.stats.accepted, answer.stats.rejected, answer.stats.sps1m) == (
        5e6,
        None,
        None,
        None,
    )
    assert all(name in answer.problems["pool.status"] for name in ("accepted", "rejected", "SPS1m"))
    assert answer.raw[2]["x"] == [None, {"y": None}] and answer.raw[2]["accepted"] is None


def test_a_share_from_the_future_does_not_make_a_user_active() -> None:
    now = time.time()
    some = [
        UserStats("ahead", last_share=int(now) + 7200, updated=int(now), hashrate1hr=0.0),
        UserStats("strong", last_share=int(now) + 7200, hashrate1hr=5.0),
        UserStats("now", last_share=int(now)),
    ]
    assert [user.user for user in select(some, now - 600, "user", None)] == ["now", "strong"]


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
    try:
        top = select(users(50_000), 0.0, sort_by, 5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(top) == 5
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


def test_a_front_without_a_connection_to_its_upstream_is_a_warning(home: Path) -> None:
    with socket.socket() as upstream:
        upstream.bind(("127.0.0.1", 0))
        upstream.listen(1)
        child = subprocess.Popen(["sleep", "60"])
        try:
            instance = Instance(
                str(home), "ckproxy", "proxy", child.pid, "alive", config={"proxy": [{"url": "x:3333"}]}
            )
            instance.start_ticks = start_ticks(child.pid)
            seen = Pool(instance, timeout=SOON).observe(HealthOptions())
            assert seen.upstream == 0
            check = next(check for check in judge(seen).checks if check.name == "upstream")
            assert (check.status, check.reason) == ("warning", "upstream_silent")
        finally:
            child.kill()
            child.wait(10)


def test_a_front_that_is_connected_is_counted_and_one_that_names_no_upstream_is_not_judged(home: Path) -> None:
    code = "import socket, sys, time; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
    with socket.socket() as upstream:
        upstream.bind(("127.0.0.1", 0))
        upstream.listen(1)
        child = subprocess.Popen([sys.executable, "-c", code, str(upstream.getsockname()[1])])
        try:
            with upstream.accept()[0]:
                instance = Instance(
                    str(home), "ckproxy", "proxy", child.pid, "alive", config={"proxy": [{"url": "x:1"}]}
                )
                assert Pool(instance, timeout=SOON).observe(HealthOptions()).upstream == 1
                instance.config = {}
                seen = Pool(instance, timeout=SOON).observe(HealthOptions())
                assert seen.upstream is None and "names no upstream" in seen.problems["upstream"]
        finally:
            child.kill()
            child.wait(10)


def test_what_was_logged_while_a_socket_took_its_time_is_not_from_the_future(
    simulate: t.Callable[..., Simulated],
) -> None:
    daemon = simulate(update_interval=0.1, faults=[{"fault": "slow", "sockets": ["connector"], "delay": 3.5}])
    pool = pool_of(daemon)
    seen = pool.observe(HealthOptions())
    work = next(check for check in judge(seen).checks if check.name == "work_age")
    assert work.reason != "from_the_future", work.summary
    assert seen.process_age == pytest.approx(seen.now - (pool.instance.start_time or 0.0))
