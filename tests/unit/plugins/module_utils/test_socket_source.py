# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance answers over its sockets, in three dialects, and what no reply can do to us."""

from __future__ import annotations

import json
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError, SourceNotAnswered, Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._records import UserStats
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.socket import SocketSource, api_stats, guide_stats

from ..support import DEADLINE, HARMLESS, FakeSocket, Script, Simulated, answers, framed, silent

COUNTS = {"workbases": {"count": 3, "memory": 0, "generated": 3}}
GUIDE = {"hashrate1m": 1.5, "hashrate1h": 2, "workers": 4, "users": 2, "accounted_shares": 100, "elapsed": 60}


def source_at(home: Path, timeout: float = DEADLINE) -> SocketSource:
    """The source for the sockets in a folder."""
    return SocketSource(lambda name: str(home / name), timeout)


@pytest.fixture
def ask(home: Path) -> t.Iterator[t.Callable[[t.Union[Script, bytes]], SocketSource]]:
    """A source whose stratifier behaves as told."""
    running: t.List[FakeSocket] = []

    def start(script: t.Union[Script, bytes]) -> SocketSource:
        running.append(FakeSocket(str(home / "stratifier"), script))
        return source_at(home, 0.5)

    yield start
    for fake in running:
        fake.__exit__()


@pytest.mark.parametrize(
    ("replies", "dialect"),
    [
        ({"stats": COUNTS}, "public"),
        ({"stats": COUNTS, "poolstats": {"dsps1": 1}}, "api"),
        ({"stats": GUIDE}, "guide"),
        ({"stats": {"hashrate5m": 1}}, "guide"),
        ({"stats": GUIDE, "poolstats": {"dsps1": 1}}, "guide"),
    ],
)
def test_the_dialect_of_a_build(
    ask: t.Callable[[Script], SocketSource], replies: t.Dict[str, t.Any], dialect: str
) -> None:
    assert ask(answers(replies)).dialect(replies["stats"]) == dialect


@pytest.mark.parametrize("reply", ["unknown", "", "[]", "5"])
def test_a_build_with_another_answer_to_poolstats_speaks_no_dialect_that_we_know(
    ask: t.Callable[[Script], SocketSource], reply: str
) -> None:
    with pytest.raises(Unparsable):
        ask(answers({"poolstats": reply})).dialect(COUNTS)


def test_statistics_of_the_guide() -> None:
    stats = guide_stats({**GUIDE, "bestshare": 7, "sps1": 0.5, "rejected": 1, "network_diff": 9})
    assert (stats.hashrate1m, stats.hashrate1hr, stats.hashrate5m) == (1.5e9, 2e9, None)
    assert (stats.users, stats.workers, stats.accepted, stats.rejected, stats.uptime) == (2, 4, 100, 1, 60)
    assert (stats.best_share, stats.sps1m, stats.network_difficulty) == (7, 0.5, 9)


def test_statistics_of_the_query_api() -> None:
    stats = api_stats(
        {"start": int(time.time()) - 60, "users": 2, "dsps1": 1, "dsps10080": 0.5, "sps60": 3, "accepted": 9}
    )
    assert (stats.hashrate1m, stats.hashrate7d, stats.hashrate5m) == (2.0**32, 2.0**31, None)
    assert (stats.users, stats.workers, stats.accepted, stats.rejected, stats.sps1h) == (2, None, 9, None, 3)
    assert stats.uptime is not None and 60 <= stats.uptime <= 65
    assert api_stats({}).uptime is None
    assert api_stats({"start": int(time.time()) + 1000}).uptime == 0  # its clock is not ours


@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_a_dialect_that_the_build_does_not_speak_is_an_error(
    ask: t.Callable[[Script], SocketSource], dialect: str
) -> None:
    source = ask(answers({"stats": COUNTS}))
    with pytest.raises(SourceNotAnswered) as caught:
        source.stats(dialect, COUNTS)
    assert caught.value.reason == "source_not_answered" and "auto" in caught.value.hint
    with pytest.raises(SourceNotAnswered):
        list(source.users(dialect))
    with pytest.raises(SourceNotAnswered):
        source.add_workers(dialect, [UserStats("alice")])


@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_users_and_their_workers_of_a_simulated_daemon(simulate: t.Callable[..., Simulated], dialect: str) -> None:
    daemon = simulate(dialect=dialect, users=3, workers_per_user=2, idle=1, hashrate=6e15)
    source = source_at(daemon.sockets)
    users = list(source.users(dialect))
    assert len(users) == 3 and all(user.workers == [] for user in users)
    assert sum(user.hashrate1m or 0 for user in users) == pytest.approx(6e15, rel=0.1)
    source.add_workers(dialect, users[:2])
    assert [len(user.workers) for user in users] == [2, 2, 0]
    for user in users[:2]:
        assert all(worker.user == user.user and worker.worker.startswith(user.user + ".") for worker in user.workers)
        assert sum(worker.hashrate1m or 0 for worker in user.workers) == pytest.approx(user.hashrate1m, rel=0.1)
    assert {message for _socket, message in daemon.record()} <= HARMLESS


def test_the_workers_of_nobody_are_not_asked_for(home: Path) -> None:
    source_at(home / "nowhere").add_workers("api", [])


@pytest.mark.parametrize(
    "listing",
    [
        "unknown", "[]", "null", {}, {"users": None}, {"users": {}}, {"users": "x"}, {"users": [1]}, {"users": [[]]},
        {"users": [None]}, {"users": [{"user": "a", "dsps1": "junk"}]}, {"users": [{"user": "a", "dsps1": -1}]},
        {"users": [{"user": "a", "lastshare": {}}]}, {"users": [{"user": "a", "bestdiff": True}]},
    ],
)  # fmt: skip
def test_a_listing_that_is_none_is_an_error_of_the_pool(
    ask: t.Callable[[Script], SocketSource], listing: t.Any
) -> None:
    with pytest.raises(PoolError) as caught:
        list(ask(answers({"users": listing})).users("api"))
    assert caught.value.phase in ("parse", "ask")


@pytest.mark.parametrize("user", [None, [1], {}, 5, True, "", "nobody", "\ud800"])
@pytest.mark.parametrize("dialect", ["api", "guide"])
def test_a_row_of_somebody_else_is_passed_over_whatever_it_is(
    ask: t.Callable[[Script], SocketSource], dialect: str, user: t.Any
) -> None:
    source = ask(
        answers({"workers": {"workers": [{"user": user, "worker": "w"}, {"user": "alice", "worker": "alice.x"}]}})
    )
    alice = UserStats("alice")
    source.add_workers(dialect, [alice])
    assert [worker.worker for worker in alice.workers] == ["alice.x"]


def test_a_row_without_a_name_is_no_crash(ask: t.Callable[[Script], SocketSource]) -> None:
    (user,) = ask(answers({"users": {"users": [{}]}})).users("api")
    assert (user.user, user.hashrate1m) == ("", None)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (framed(b"pong"), "reply"),
        (framed(b""), "reply"),
        (b"", "no_reply"),
        (silent, "unanswered"),
        (b"\x04\x00", "bad_reply"),
        (framed(b"pong")[:-1], "half_reply"),
        (b"\xff\xff\xff\xff", "oversized_reply"),
        (framed(b"\xff"), "bad_reply"),
    ],
)
def test_a_probe_tells_what_came_of_it_and_raises_nothing(
    ask: t.Callable[[t.Union[Script, bytes]], SocketSource], script: t.Union[Script, bytes], outcome: str
) -> None:
    probe = ask(script).probe("stratifier")
    assert (probe.socket, probe.outcome, probe.answered) == ("stratifier", outcome, outcome == "reply")
    assert 0 <= probe.seconds < 2
    assert probe.answered or (probe.detail and probe.reply == "")


def test_a_probe_of_nobody(home: Path) -> None:
    assert source_at(home).probe("listener").outcome == "absent"
    (home / "listener").touch()
    assert source_at(home).probe("listener").outcome == "not_a_socket"


def test_rows_give_their_memory_back_as_they_are_walked(ask: t.Callable[[bytes], SocketSource]) -> None:
    """Of a large listing only what is kept may cost memory: no copy of all records beside the parsed reply."""
    rows = [{"user": f"user{number:06}", "dsps1": number, "lastshare": 5, "bestdiff": 1.5} for number in range(20_000)]
    source = ask(framed(json.dumps({"users": rows}).encode()))
    users = source.users("api")
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
