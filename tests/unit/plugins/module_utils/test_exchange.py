# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchanges with sockets: a probe says what came, and raises nothing; what is kept, and what is asked again."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import Owner
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets

from tests.support import DEADLINE, FakeSocket, Script, answers, framed, silent
from tests.support.instances import instance_of_ours


def sockets_at(home: Path, timeout: float = DEADLINE) -> Sockets:
    return Sockets(instance_of_ours(home), timeout)


@pytest.fixture
def ask(home: Path) -> t.Iterator[t.Callable[[t.Union[Script, bytes]], Sockets]]:
    """Sockets whose stratifier behaves as told."""
    running: t.List[FakeSocket] = []

    def start(script: t.Union[Script, bytes]) -> Sockets:
        running.append(FakeSocket(str(home / "stratifier"), script))
        return sockets_at(home, 0.5 if script is silent else DEADLINE)

    yield start
    for fake in running:
        fake.__exit__()


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (framed(b"pong"), "reply"),
        (framed(b""), "garbage"),
        (framed(b"PONG but no"), "garbage"),
        (b"", "no_reply"),
        (silent, "unanswered"),
        (b"\x04\x00", "garbage"),
        (framed(b"pong")[:-1], "half_reply"),
        (b"\xff\xff\xff\xff", "garbage"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "garbage"),
        (framed(b"\xff"), "garbage"),
    ],
)
def test_a_probe_tells_what_came_of_it_and_raises_nothing(
    ask: t.Callable[[t.Union[Script, bytes]], Sockets], script: t.Union[Script, bytes], outcome: str
) -> None:
    probe = ask(script).probe("stratifier")
    assert (probe.socket, probe.outcome, probe.answered) == ("stratifier", outcome, outcome == "reply")
    assert 0 <= probe.seconds < DEADLINE / 2
    assert probe.answered or probe.detail


def test_a_probe_of_nobody(home: Path) -> None:
    assert sockets_at(home).probe("listener").outcome == "absent"
    (home / "listener").touch()
    assert sockets_at(home).probe("listener").outcome == "not_a_socket"


def test_counts_are_asked_once_unless_they_are_wanted_again(home: Path) -> None:
    counts = {"clients": {"count": 1}}
    with FakeSocket(str(home / "connector"), answers({"stats": counts})) as fake:
        sockets = sockets_at(home)
        assert [sockets.counts("connector") for _twice in range(2)] == [counts] * 2 and fake.messages == ["stats"]
        counts["clients"] = {"count": 2}
        assert sockets.counts("connector")["clients"] == {"count": 1}
        assert sockets.counts("connector", again=True) == sockets.counts("connector") == counts
        assert fake.messages == ["stats"] * 2


@pytest.mark.parametrize("count", [-1, 1.5, 2**63, 1e400, True, "4", None, [4], {}])
def test_a_count_that_is_none_makes_garbage_of_the_reply(home: Path, count: t.Any) -> None:
    """Otherwise a pool that says -1 or "junk" has work, and is ready for miners."""
    for odd in (
        {"workbases": {"count": count}},
        {"workbases": count},
        {"users": {"count": 1}, "clients": {"count": count}},
    ):
        with FakeSocket(str(home / "stratifier"), answers({"stats": odd})), pytest.raises(PoolError) as refused:
            sockets_at(home).counts("stratifier")
        assert refused.value.reason == "garbage"
        (home / "stratifier").unlink()


def test_who_listens_has_the_user_of_the_daemon(home: Path) -> None:
    """A socket keeps the pid of who listened on it first, and another one can have it by now: the daemon, by chance."""
    stranger = Owner(os.geteuid() + 1, os.getegid(), frozenset())
    with FakeSocket(str(home / "stratifier"), framed(b"pong")) as fake:
        probe = Sockets(instance_of_ours(home, owner=stranger), DEADLINE).probe("stratifier")
    assert (probe.outcome, fake.messages) == ("another_peer", [])
