# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any message to any socket: what only reads, what is obeyed in silence, what is never sent, and what a reply is."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._messages import is_silent
from ansible_collections.ckpool.fleet.plugins.module_utils._orders.command import (
    SOCKETS,
    Reply,
    encoded,
    is_read,
    rehearse,
    send,
)

from tests.support import DEADLINE, FakeSocket, Simulated, answers, framed, silent

pytestmark = pytest.mark.usefixtures("fakes_are_ours")

SOON = 0.3
CREATING = ("getuser", "userclients", "ucinfo", "getworker", "workerclients", "wcinfo")


def control_of(place: t.Any, timeout: float = DEADLINE) -> Control:
    folder = place.socket_dir if isinstance(place, Simulated) else place
    return Control(_discovery.find(str(folder)), timeout=timeout)


def replied(home: Path, body: bytes, message: str = "ping") -> Reply:
    """What becomes of a reply."""
    with FakeSocket(str(home / "listener"), framed(body)):
        return send(control_of(home), "listener", message)


# What is known of messages

READS = {
    "listener": ["ping", "connectorstats", "summary"],
    "pool": ["ping", "summary"],
    "stratifier": [
        "ping", "stats", "poolstats", "users", "workers", "clients", "uptime", "proxyinfo", "user.info=alice",
        "current.workbase",
        '{"method": "stats", "params": []}', '{"params": [], "method": "Users"}',
    ],
    "connector": ["ping", "stats", '{"method":"stats"}'],
    "generator": ["ping", "getbase", "getbest", "getlast"],
}  # fmt: skip
CHANGES = {
    "listener": [
        "shutdown", "restart", "accept", "reject", "reconnect", "loglevel=3", "stats", "users", "resetshares", "",
        " ping", "stratifierstats", '{"method": "stats"}', "unheard.of",
    ],
    "pool": ["shutdown", "connectorstats", '{"method": "summary"}'],
    "stratifier": [
        "dropall", "dropclient=5", "reconnclient=5", "resetshares", "loglevel=3", "dropuser=alice", "shutdown",
        "getbase", "",
        '{"method": "shutdown"}', '{"method": 5}', '{"method"', '["stats"]', '{"params": []}', "{",
        "{" * 100_000, "user.inf",
        *(f"{name}=alice" for name in CREATING), *(f'{{"method": "{name}"}}' for name in CREATING),
    ],
    "connector": ["dropclient=5", "reject", "accept", "users", "getxfd5", "passthrough=5"],
    "generator": ["stats", "submitblock:00", "reconnect", "checkaddr:x", '{"method": "submitblock"}'],
}  # fmt: skip


@pytest.mark.parametrize(("socket", "message"), [(socket, word) for socket in SOCKETS for word in READS[socket]])
def test_what_only_reads_does_so_however_it_is_written(socket: str, message: str) -> None:
    assert is_read(socket, message)
    if not message.startswith("{"):
        assert is_read(socket, message.upper()) and is_read(socket, message + "XYZ 1")


@pytest.mark.parametrize(
    ("socket", "message"),
    [(socket, word) for socket in SOCKETS for word in CHANGES[socket]],
    ids=lambda text: text[:20] or "nothing",
)
def test_what_is_not_known_to_only_read_may_change_something(socket: str, message: str) -> None:
    assert not is_read(socket, message)
    assert not is_read(socket, message.upper())


@pytest.mark.parametrize(
    ("socket", "message", "expected"),
    [
        *(("stratifier", word, True) for word in ("dropclient=5", "DropAll", "resetsharesX", "loglevel=9")),
        *(("connector", word, True) for word in ("dropclient=5", "REJECT", "accept")),
        ("connector", "dropall", False),
        ("stratifier", "dropuser=alice", False),
        ("stratifier", "stats", False),
        ("listener", "resetshares", False),
        ("listener", "\0", False),
        ("generator", "dropall", False),
        ("pool", "dropall", False),
    ],
)  # fmt: skip
def test_what_is_obeyed_in_silence(socket: str, message: str, expected: bool) -> None:
    assert is_silent(socket, message) is expected


# What is sent


@pytest.mark.parametrize(
    ("message", "expected"),
    [("ping", "ping"), ("", ""), ({"method": "stats", "params": []}, '{"method": "stats", "params": []}'), ({}, "{}")],
)
def test_messages(message: t.Any, expected: str) -> None:
    assert encoded(message) == expected


def test_a_query_is_json_whatever_is_in_it() -> None:
    query: t.Dict[str, t.Any] = {"method": "é\udce9\n", "params": [1, 2.5, None, True, {"a": []}]}
    assert json.loads(encoded(query)) == query
    assert encoded(query).isascii()


@pytest.mark.parametrize("message", [5, 1.5, None, True, ["ping"], b"ping", "caf\udce9"])
def test_what_is_no_message(message: t.Any) -> None:
    with pytest.raises(BadInput) as caught:
        encoded(message)
    assert caught.value.reason == "bad_command" and str(caught.value).startswith("command ")


def spelt(*words: str) -> t.List[str]:
    """Each of them, as written, in other letters, and with more behind it."""
    return [form for word in words for form in (word, word.upper(), word.title(), word + "XYZ")]


HARMFUL = [
    *(("listener", word) for word in spelt("stratifierstats")),
    *(("listener", word) for word in ("{", '{"method": "stats"}', "")),
    ("pool", "{}"),
    *(("stratifier", word) for word in spelt(*CREATING)),
    *(("stratifier", f"{name}=alice") for name in CREATING),
    *(("stratifier", word) for word in spelt("loglevel=3")),
    ("stratifier", ""),
    ("connector", "loglevel=3"),
    ("connector", ""),
    ("generator", "LogLevel=3"),
    ("generator", ""),
]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Simulated]:
    with Simulated(tmp_path_factory.mktemp("p"), user_names=["alice"], workers_per_user=2) as simulated:
        yield simulated


@pytest.mark.parametrize(("socket", "message"), HARMFUL, ids=lambda text: text[:25] or "nothing")
def test_what_does_harm_is_never_sent(public: Simulated, socket: str, message: str) -> None:
    control, before = control_of(public), len(public.record())
    for attempt in (send, rehearse):
        with pytest.raises(PoolError) as caught:
            attempt(control, control.socket_called(socket), message)
        assert (caught.value.reason, caught.value.hint) == ("harmful_message", "unsafe: true sends it")
        assert "is never sent to" in str(caught.value) and str(caught.value.path).startswith(str(public.socket_dir))
    questions = {("stratifier", "stats"), ("stratifier", "poolstats")} if "loglevel" in message.lower() else set()
    assert set(public.record()[before:]) <= questions, "only its dialect is asked for, where that matters"


def test_a_log_level_is_sent_to_a_stratifier_that_checks_it(simulate: t.Callable[..., Simulated]) -> None:
    control = control_of(simulate(dialect="guide"))
    assert send(control, "stratifier", "loglevel=3").value == "success"
    assert send(control, "stratifier", "loglevel=99").value == "Invalid"
    for socket in ("connector", "generator"):
        with pytest.raises(PoolError, match="is never sent to"):
            send(control, socket, "loglevel=3")


def test_what_does_harm_is_sent_on_request(simulate: t.Callable[..., Simulated]) -> None:
    """And does it: the user is there afterwards."""
    daemon = simulate(user_names=["alice"])
    control = control_of(daemon)

    def users() -> t.Any:
        return send(control, "stratifier", "stats").value["users"]["count"]

    assert users() == 1
    message = 'getuser={"user": "mallory"}'
    rehearse(control, "stratifier", message, unsafe=True)
    assert users() == 1
    assert send(control, "stratifier", message, unsafe=True).kind == "none"
    assert users() == 2
    assert send(control, "stratifier", "loglevel=5", unsafe=True).kind == "none"
    assert send(control, "listener", "stratifierstats", unsafe=True).kind == "json"


def test_a_rehearsal_sends_a_ping(public: Simulated) -> None:
    before = len(public.record())
    rehearse(control_of(public), "stratifier", "dropall")
    rehearse(control_of(public), "listener", "shutdown")
    assert public.record()[before:] == [("stratifier", "ping"), ("listener", "ping")]


def test_a_rehearsal_is_content_with_somebody_who_is_there(home: Path) -> None:
    with FakeSocket(str(home / "connector"), answers({})):
        rehearse(control_of(home), "connector", "dropclient=5")


@pytest.mark.parametrize("attempt", [send, rehearse])
def test_nobody_is_there(home: Path, attempt: t.Callable[..., t.Any]) -> None:
    with pytest.raises(PoolError) as caught:
        attempt(control_of(home / "nowhere"), "stratifier", "dropall")
    assert (caught.value.phase, caught.value.reason) == ("connect", "absent")


@pytest.mark.parametrize("attempt", [send, rehearse])
def test_nothing_comes_in_time(home: Path, attempt: t.Callable[..., t.Any]) -> None:
    with FakeSocket(str(home / "stratifier"), silent):
        start = time.monotonic()
        with pytest.raises(PoolError) as caught:
            attempt(control_of(home, SOON), "stratifier", "dropall")
        assert caught.value.reason == "unanswered"
        assert SOON <= time.monotonic() - start < DEADLINE / 2


# What comes back


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        (b"pong", "text", "pong"),
        (b"", "text", ""),
        (b"5", "text", "5"),
        (b"null", "text", "null"),
        (b'{"a": [1, 2.5, null]}', "json", {"a": [1, 2.5, None]}),
        (b"{}", "json", {}),
        (b"[1]", "json", [1]),
        (b'{"a": ', "text", '{"a": '),
        (b"{} and more", "text", "{} and more"),
        ("é {".encode(), "text", "é {"),
    ],
)
def test_replies(home: Path, body: bytes, kind: str, value: t.Any) -> None:
    reply = replied(home, body)
    assert (reply.kind, reply.value) == (kind, value)
    assert 0 < reply.seconds < DEADLINE
    assert reply.text == (json.dumps(value) if kind == "json" else value)


@pytest.mark.parametrize("depth", [40, 900, 100_000])
def test_a_reply_that_is_too_deep_is_passed_on_as_text(home: Path, depth: int) -> None:
    reply = replied(home, b"[" * depth + b"]" * depth, "summary")
    assert reply.kind == "text" and len(reply.value) == 2 * depth


def test_a_reply_that_is_no_text_is_a_failure(home: Path) -> None:
    with pytest.raises(PoolError) as caught:
        replied(home, b"\xff\xfe")
    assert caught.value.reason == "bad_reply"


def test_silence(home: Path) -> None:
    with FakeSocket(str(home / "stratifier"), answers({})):
        reply = send(control_of(home), "stratifier", "dropall")
    assert (reply.kind, reply.value, reply.text) == ("none", None, "") and reply.seconds > 0


@pytest.mark.parametrize("dialect", ["public", "guide"])
def test_the_pool_is_the_listener_where_it_has_no_socket(simulate: t.Callable[..., Simulated], dialect: str) -> None:
    daemon = simulate(dialect=dialect)
    control = control_of(daemon)
    socket = control.socket_called("pool")
    assert socket == ("pool" if dialect == "guide" else "listener")
    reply = send(control, socket, "summary")
    assert daemon.record()[-1] == (socket, "summary")
    assert reply.kind == "json" if dialect == "guide" else reply.value == "unknown"


def test_queries_in_json(simulate: t.Callable[..., Simulated]) -> None:
    control = control_of(simulate(dialect="guide"))
    for socket in ("stratifier", "connector"):
        reply = send(control, socket, encoded({"method": "stats", "params": [], "id": 7}))
        assert reply.kind == "json" and reply.value["id"] == 7 and reply.value["result"]["users"] == 3
    assert control_of(simulate()).send("stratifier", "ping") == "pong"
