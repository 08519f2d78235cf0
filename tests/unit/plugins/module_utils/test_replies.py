# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources over sockets, C(guide) and C(api): records from any reply of a daemon."""

from __future__ import annotations

import json
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._discovery import find
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError, SourceNotAnswered, Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._records import (
    USER_WINDOWS,
    WINDOWS,
    PoolStats,
    Query,
    UserStats,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.registry import LIVE, Sources
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.source import SocketSource

from tests.support import DEADLINE, HARMLESS, FakeSocket, Script, Simulated, answers, framed
from tests.support.instances import instance_of_ours

COUNTS = {"workbases": {"count": 3, "memory": 0, "generated": 3}}
GUIDE = {"hashrate1m": 1.5, "hashrate1h": 2, "workers": 4, "users": 2, "accounted_shares": 100, "elapsed": 60}
Ask = t.Callable[..., SocketSource]


def source_at(
    home: Path, dialect: str, counts: t.Optional[t.Dict[str, t.Any]] = None, timeout: float = DEADLINE
) -> SocketSource:
    """A source over the sockets in a folder, whose stratifier has answered its counts."""
    instance = instance_of_ours(home)
    made = LIVE[dialect]()(instance, Sockets(instance, timeout), lambda: counts or COUNTS)
    assert isinstance(made, SocketSource)
    return made


@pytest.fixture
def ask(home: Path) -> t.Iterator[Ask]:
    """A source of a dialect, whose stratifier behaves as told."""
    running: t.List[FakeSocket] = []

    def start(
        script: t.Union[Script, bytes], dialect: str, counts: t.Optional[t.Dict[str, t.Any]] = None
    ) -> SocketSource:
        running.append(FakeSocket(str(home / "stratifier"), script))
        return source_at(home, dialect, counts, 0.5)

    yield start
    for fake in running:
        fake.__exit__()


def stats_of(ask: Ask, dialect: str, row: t.Dict[str, t.Any]) -> PoolStats:
    """The statistics by a reply."""
    return ask(answers({"poolstats": row}), dialect, row).stats()[0]


def test_statistics_of_the_guide(ask: Ask) -> None:
    stats = stats_of(ask, "guide", {**GUIDE, "bestshare": 7, "sps1": 0.5, "rejected": 1, "network_diff": 9})
    assert (stats.hashrate1m, stats.hashrate1hr, stats.hashrate5m) == (1.5e9, 2e9, None)
    assert (stats.users, stats.workers, stats.accepted, stats.rejected, stats.uptime) == (2, 4, 100, 1, 60)
    assert (stats.best_share, stats.sps1m, stats.network_difficulty) == (7, 0.5, 9)


@pytest.mark.parametrize("name", ["hashrate1h", "hashrate1hr"])
def test_gigahashes_of_the_guide_and_both_names_of_the_hour(ask: Ask, name: str) -> None:
    stats = stats_of(ask, "guide", {"hashrate1m": 1.5, "hashrate5m": "2.5T", name: 3, "hashrate6h": 4})
    rates = (stats.hashrate1m, stats.hashrate5m, stats.hashrate1hr, stats.hashrate6hr, stats.hashrate7d)
    assert rates == (1.5e9, 2.5e12, 3e9, 4e9, None)


def test_shares_a_second_of_the_query_api(ask: Ask) -> None:
    minutes = {"dsps1": 1, "dsps5": 0.5, "dsps15": 2, "dsps60": 3, "dsps360": 4, "dsps1440": 5, "dsps10080": 0}
    stats = stats_of(ask, "api", minutes)
    rates = [getattr(stats, f"hashrate{window}") for window in WINDOWS]
    assert rates == [2**32, 2**31, 2**33, 3 * 2**32, 4 * 2**32, 5 * 2**32, 0]


@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_the_hashrates_of_users_and_workers(ask: Ask, dialect: str) -> None:
    row = {"user": "a", "worker": "a.x", **{f"hashrate{window}": 2**32 / 1e9 for window in USER_WINDOWS}}
    row.update({f"dsps{minutes}": 1 for minutes in (1, 5, 60, 1440, 10080)})
    source = ask(answers({"users": {"users": [row]}, "workers": {"workers": [row]}}), dialect)
    records: t.List[t.Any] = [*source.users(Query()), *source.workers(Query())]
    for record in records:
        assert [getattr(record, f"hashrate{window}") for window in USER_WINDOWS] == pytest.approx([2**32] * 5)


def test_statistics_of_the_query_api(home: Path) -> None:
    now = int(time.time())
    row: t.Dict[str, t.Any] = {"start": now - 60, "users": 2, "dsps1": 1, "dsps10080": 0.5, "sps60": 3, "accepted": 9}
    with FakeSocket(str(home / "stratifier"), lambda fake, connection, _message: answers({"poolstats": row})(
        fake, connection, "poolstats"
    )):  # fmt: skip
        stats, as_of, _raw = source_at(home, "api").stats()
        assert (stats.hashrate1m, stats.hashrate7d, stats.hashrate5m) == (2.0**32, 2.0**31, None)
        assert (stats.users, stats.workers, stats.accepted, stats.rejected, stats.sps1h) == (2, None, 9, None, 3)
        assert stats.uptime is not None and 60 <= stats.uptime <= 65
        assert as_of is not None and 0 <= as_of - now < 60
        row.update(start=now + 1000, update=now - 5)
        stats, as_of, _raw = source_at(home, "api").stats()
        assert (stats.uptime, as_of) == (0, now - 5), "its clock is not ours"
        del row["start"]
        assert source_at(home, "api").stats()[0].uptime is None


@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_a_dialect_that_the_build_does_not_speak_is_an_error(ask: Ask, dialect: str) -> None:
    source = ask(answers({"stats": COUNTS}), dialect)
    with pytest.raises(SourceNotAnswered) as caught:
        source.stats()
    assert caught.value.reason == "source_not_answered" and "auto" in caught.value.hint
    with pytest.raises(SourceNotAnswered):
        list(source.users(Query()))
    with pytest.raises(SourceNotAnswered):
        source.add_workers([UserStats("alice")])


@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_users_and_their_workers_of_a_simulated_daemon(simulate: t.Callable[..., Simulated], dialect: str) -> None:
    daemon = simulate(dialect=dialect, users=3, workers_per_user=2, idle=1, hashrate=6e15)
    instance = find(str(daemon.socket_dir))
    sockets = Sockets(instance, DEADLINE)
    source = Sources(instance, sockets, lambda: sockets.counts("stratifier")).live()
    assert source is not None and source.name == dialect
    users = list(source.users(Query()))
    assert len(users) == 3 and all(user.workers == [] for user in users)
    assert sum(user.hashrate1m or 0 for user in users) == pytest.approx(6e15, rel=0.1)
    source.add_workers(users[:2])
    assert [len(user.workers) for user in users] == [2, 2, 0]
    for user in users[:2]:
        assert all(worker.user == user.user and worker.worker.startswith(user.user + ".") for worker in user.workers)
        assert sum(worker.hashrate1m or 0 for worker in user.workers) == pytest.approx(user.hashrate1m, rel=0.1)
    assert {message for _socket, message in daemon.record()} <= HARMLESS


def test_the_workers_of_nobody_are_not_asked_for(home: Path) -> None:
    source_at(home / "nowhere", "api").add_workers([])


@pytest.mark.parametrize(
    "listing", ["unknown", "[]", "null", {}, {"users": None}, {"users": {}}, {"users": "x"}, {"users": 5}]
)
def test_a_listing_that_is_none_is_an_error_of_the_pool(ask: Ask, listing: t.Any) -> None:
    with pytest.raises(PoolError) as caught:
        list(ask(answers({"users": listing}), "api").users(Query()))
    assert caught.value.phase in ("parse", "ask")


@pytest.mark.parametrize(
    "row", [1, [], [[]], None, "x", True, {}, {"user": None}, {"user": ""}, {"user": 5}, {"user": ["a"]}, {"dsps1": 1}]
)
@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_an_odd_row_of_a_listing_is_named_and_the_others_are_kept(ask: Ask, dialect: str, row: t.Any) -> None:
    rows = [{"user": "alice"}, row, {"user": "bob"}]
    source = ask(answers({"users": {"users": rows}, "workers": {"workers": rows}}), dialect)
    assert [user.user for user in source.users(Query())] == ["alice", "bob"]
    assert set(source.problems) == {"list of users"} and "row 2 " in source.problems["list of users"]
    assert [worker.user for worker in source.workers(Query())] == ["alice", "bob"]
    assert "row 2 " in source.problems["list of workers"]


@pytest.mark.parametrize("bad", ["junk", -1, [], {}, True, 10**299, "1.5p", "1e400"])
@pytest.mark.parametrize(
    ("dialect", "field", "name"),
    [
        ("api", "dsps1", "hashrate1m"),
        ("api", "bestdiff", "best_share"),
        ("api", "lastshare", "last_share"),
        ("guide", "hashrate1m", "hashrate1m"),
        ("guide", "shares", "shares"),
        ("guide", "authorised", "authorised"),
    ],
)
def test_an_odd_field_of_a_row_is_null_and_named_and_the_rest_is_kept(
    ask: Ask, dialect: str, field: str, name: str, bad: t.Any
) -> None:
    whole = {
        "user": "alice", "dsps1": 1, "dsps5": 2, "bestdiff": 3, "lastshare": 1795385399, "hashrate1m": 1, "shares": 5,
        "authorised": 1795385399,
    }  # fmt: skip
    rows = [{**whole, field: bad}, {**whole, "user": "bob"}]
    source = ask(answers({"users": {"users": rows}}), dialect)
    alice, bob = (user.as_dict() for user in source.users(Query()))
    assert bob[name] is not None
    assert alice == {**bob, "user": "alice", name: None}
    assert set(source.problems) == {"alice"} and source.problems["alice"].startswith(f"{field} is ")


def test_many_odd_rows_cost_few_words(ask: Ask) -> None:
    source = ask(answers({"users": {"users": [5] * 50_000 + [{"user": "alice"}]}}), "api")
    assert [user.user for user in source.users(Query())] == ["alice"]
    assert len(source.problems["list of users"]) < 500


@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_an_odd_field_of_the_statistics_is_null_and_named(ask: Ask, dialect: str) -> None:
    counts = {**GUIDE, "users": "many"} if dialect == "guide" else COUNTS
    source = ask(answers({"poolstats": {"dsps1": 1, "users": "many", "accepted": 9}}), dialect, counts)
    stats = source.stats()[0]
    assert stats.hashrate1m and stats.accepted and stats.users is None
    assert source.problems == {"stats": "users is not a number: 'many'"}


def test_statistics_of_which_nothing_makes_sense_are_none(ask: Ask) -> None:
    with pytest.raises(Unparsable, match="holds no hashrate: dsps1 is not a hashrate: 'junk'"):
        ask(answers({"poolstats": {"dsps1": "junk"}}), "api").stats()


def test_text_in_a_listing_that_is_no_utf_8_is_told_escaped(ask: Ask) -> None:
    rows = '{"users": [{"user": "\\ud800", "dsps1": "x"}]}'
    source = ask(answers({"users": rows}), "api")
    assert [user.user for user in source.users(Query())] == ["\\ud800"]
    json.dumps(source.problems, ensure_ascii=False).encode()


def test_counts_of_shares_and_what_2026_tells_of_workers(ask: Ask) -> None:
    row = {"user": "a", "worker": "a.x", "started": 1795385369, "useragent": "cgminer/4.9", "bestever": 7.5}
    counts = {"dsps1": 1, "accepted_count": 95, "rejected_count": 5}
    source = ask(answers({"poolstats": counts, "workers": {"workers": [row]}}), "api")
    stats = source.stats()[0]
    assert (stats.accepted_count, stats.rejected_count) == (95, 5)
    (worker,) = source.workers(Query())
    assert (worker.started, worker.user_agent, worker.best_ever) == (1795385369, "cgminer/4.9", 7.5)


@pytest.mark.parametrize("user", [None, [1], {}, 5, True, "", "nobody", "\ud800"])
@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_a_row_of_somebody_else_is_passed_over_whatever_it_is(ask: Ask, dialect: str, user: t.Any) -> None:
    source = ask(
        answers({"workers": {"workers": [{"user": user, "worker": "w"}, {"user": "alice", "worker": "alice.x"}]}}),
        dialect,
    )
    alice = UserStats("alice")
    source.add_workers([alice])
    assert [worker.worker for worker in alice.workers] == ["alice.x"]


def test_rows_give_their_memory_back_as_they_are_walked(ask: Ask) -> None:
    """Of a large listing only what is kept may cost memory: no copy of all records beside the parsed reply."""
    rows = [{"user": f"user{number:06}", "dsps1": number, "lastshare": 5, "bestdiff": 1.5} for number in range(20_000)]
    source = ask(framed(json.dumps({"users": rows}).encode()), "api")
    users = source.users(Query())
    tracemalloc.start()
    try:
        next(users)
        before = tracemalloc.get_traced_memory()[0]
        count = 1 + sum(1 for _user in users)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert after <= before + 100_000
