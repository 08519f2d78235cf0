# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_command: what it sends, how it checks the reply, and what it refuses."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from tests.support import DEADLINE, FakeSocket, Simulated, answers, framed, silent

from .conftest import Run

pytestmark = pytest.mark.usefixtures("fakes_are_ours")

KEYS = {"reply", "reply_type", "seconds", "sent", "instance", "msg", "changed"}
SHOWN = {"reply", "reply_type", "seconds", "sent", "instance"}
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}
RPC = {"method": "stats", "params": []}


@pytest.fixture(scope="module", params=["public", "guide"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Simulated]:
    """A daemon of each dialect, whose miners no test drops."""
    home = tmp_path_factory.mktemp("c")
    with Simulated(home, dialect=request.param, user_names=["alice", "bob"], workers_per_user=2) as simulated:
        yield simulated


def is_guide(daemon: Simulated) -> bool:
    return bool(daemon.simulation["dialect"] == "guide")


def tell(
    run: Run, daemon: Simulated, message: t.Any, socket: str = "stratifier", **options: t.Any
) -> t.Dict[str, t.Any]:
    return run(socket_dir=str(daemon.socket_dir), socket=socket, command=message, **options)


# Replies


@pytest.mark.parametrize("socket", ["listener", "stratifier", "connector", "generator", "pool"])
def test_a_text(run: Run, daemon: Simulated, socket: str) -> None:
    result = tell(run, daemon, "ping", socket, expect="^pong$")
    assert set(result) == KEYS
    assert (result["reply"], result["reply_type"], result["sent"], result["changed"]) == ("pong", "text", True, False)
    assert 0 < result["seconds"] < 5
    assert result["instance"]["pid"] == daemon.pid and result["instance"]["state"] is None
    there = "listener" if socket == "pool" and not is_guide(daemon) else socket
    assert result["msg"].endswith(f"{there} replied to 'ping' with text of 4 characters")
    assert daemon.record()[-1] == (there, "ping")


def test_json(run: Run, daemon: Simulated) -> None:
    result = tell(run, daemon, "stats", expect='"users"')
    assert result["reply_type"] == "json" and result["changed"] is False
    users = result["reply"]["users"]
    assert (users if is_guide(daemon) else users["count"]) == 2
    assert tell(run, daemon, "STATS", "connector")["reply"]["clients"]["count"] == 4


def test_a_query_in_json(run: Run, daemon: Simulated) -> None:
    result = tell(run, daemon, RPC, reply="optional")
    assert daemon.record()[-1] == ("stratifier", '{"method": "stats", "params": []}')
    assert result["changed"] is False and result["sent"] is True
    if is_guide(daemon):
        assert (result["reply_type"], result["reply"]["result"]["users"]) == ("json", 2)
    else:
        assert (result["reply_type"], result["reply"]) == ("none", None)
        assert tell(run, daemon, RPC)["reason"] == "no_reply"


@pytest.mark.parametrize("command", ["summary", "SUMMARY"])
def test_the_guides_summary(run: Run, daemon: Simulated, command: str) -> None:
    result = tell(run, daemon, command, "pool")
    if is_guide(daemon):
        assert result["reply"]["users"] == 2 and daemon.record()[-1] == ("pool", command)
    else:
        assert (result["failed"], result["reason"]) == (True, "unknown_command")
        assert daemon.record()[-1] == ("listener", command)


def test_a_reply_that_was_not_expected_is_shown(run: Run, daemon: Simulated) -> None:
    result = tell(run, daemon, "ping", expect="^pang$")
    assert set(result) >= FAILURE | SHOWN and result["reason"] == "unexpected_reply"
    assert "'^pang$'" in result["msg"] and "'pong'" in result["msg"]
    assert (result["reply"], result["reply_type"], result["sent"]) == ("pong", "text", True)
    assert result["instance"]["pid"] == daemon.pid
    assert tell(run, daemon, "stats", expect="no such word")["reply"]["users"]


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<x"])
def test_a_pattern_that_is_none_is_refused_before_anything_is_sent(run: Run, daemon: Simulated, pattern: str) -> None:
    before = len(daemon.record())
    for check in (False, True):
        result = tell(run, daemon, "dropall", expect=pattern, _ansible_check_mode=check)
        assert (result["reason"], result["phase"]) == ("bad_pattern", "options")
        assert result["msg"].startswith("options: expect is not a valid regular expression")
    assert len(daemon.record()) == before


def test_what_a_build_does_not_know_is_a_failure(run: Run, daemon: Simulated) -> None:
    result = tell(run, daemon, "unheard.of", "listener")
    assert set(result) >= FAILURE | SHOWN and result["reason"] == "unknown_command"
    assert "does not know 'unheard.of'" in result["msg"] and result["hint"] and result["reply"] == "unknown"
    expected = tell(run, daemon, "unheard.of", "listener", expect="unknown")
    assert (expected.get("failed", False), expected["reply"], expected["changed"]) == (False, "unknown", True)
    assert tell(run, daemon, "unheard.of")["reason"] == "no_reply"


@pytest.mark.parametrize(
    ("wanted", "pattern", "message", "reason"),
    [
        ("required", None, "ping", ""),
        ("optional", None, "ping", ""),
        ("none", None, "ping", "unexpected_reply"),
        ("none", "pong", "ping", "unexpected_reply"),
        ("optional", "pang", "ping", "unexpected_reply"),
        ("required", None, "quiet", "no_reply"),
        ("required", "x", "quiet", "no_reply"),
        ("required", "", "quiet", "no_reply"),
        ("optional", None, "quiet", ""),
        ("optional", "x", "quiet", ""),
        ("none", None, "quiet", ""),
        ("none", "x", "quiet", "unexpected_reply"),
        ("required", None, "dropall", ""),
        ("required", "x", "dropall", "no_reply"),
    ],
)
def test_whether_a_reply_has_to_come(
    run: Run, home: Path, wanted: str, pattern: t.Optional[str], message: str, reason: str
) -> None:
    with FakeSocket(str(home / "stratifier"), answers({"ping": "pong"})) as fake:
        result = run(socket_dir=str(home), socket="stratifier", command=message, reply=wanted, expect=pattern)
        assert fake.messages == [message]
    assert result.get("failed", False) == bool(reason) and result.get("reason", "") == reason
    assert result["sent"] is True and result["reply_type"] == ("text" if message == "ping" else "none")


@pytest.mark.parametrize("reply", [b"[" * 900 + b"]" * 900, b'{"a": NaN}', b'{"a": "\\ud800 \\u0000"}', b"\0", b""])
def test_nothing_that_a_pool_replies_breaks_the_result(run: Run, home: Path, reply: bytes) -> None:
    with FakeSocket(str(home / "listener"), framed(reply)):
        result = run(socket_dir=str(home), command="summary")
    assert result["reply_type"] in ("json", "text") and result["sent"] is True


# Obeyed in silence


@pytest.mark.parametrize("message", ["dropclient=1", "dropall", "resetshares", "DropAll", "reconnclient=2"])
def test_what_is_obeyed_in_silence_is_no_failure(run: Run, simulate: t.Callable[..., Simulated], message: str) -> None:
    daemon = simulate(user_names=["alice", "bob"], reconnect_after=60)
    result = tell(run, daemon, message)
    assert (result["reply"], result["reply_type"], result["sent"], result["changed"]) == (None, "none", True, True)
    assert result["msg"].endswith(f"stratifier accepted '{message}' without a reply")
    assert daemon.record()[-1] == ("stratifier", message)
    if message.lower() == "dropall":
        assert tell(run, daemon, "stats", "connector")["reply"]["clients"]["count"] == 0


# Refused

REFUSED = [
    *(("listener", word) for word in ("stratifierstats", "StratifierStats", "STRATIFIERSTATSXYZ", "{", "", RPC)),
    *(("pool", word) for word in ("stratifierstats", "")),
    *(("stratifier", word) for word in ("getuser=alice", "GETUSER", "GetUser={}", "userclients=a", "ucinfo=a", "")),
    *(("stratifier", word) for word in ("getworker=a.b", "workerclients=a.b", "WcInfo=a.b")),
    *((socket, "loglevel=3") for socket in ("connector", "generator")),
]


@pytest.mark.parametrize(("socket", "message"), REFUSED, ids=str)
@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_what_does_harm_is_refused(run: Run, daemon: Simulated, socket: str, message: t.Any, check: bool) -> None:
    """In check mode too."""
    before = len(daemon.record())
    result = tell(run, daemon, message, socket, _ansible_check_mode=check)
    assert set(result) >= FAILURE | {"instance"} and result["reason"] == "harmful_message"
    assert "is never sent to" in result["msg"] and result["hint"] == "unsafe: true sends it"
    assert {said for _name, said in daemon.record()[before:]} <= {"stats", "poolstats"}


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_log_level_is_for_a_stratifier_that_checks_it(run: Run, daemon: Simulated, check: bool) -> None:
    result = tell(run, daemon, "LogLevel=5" if not is_guide(daemon) else "loglevel=5", _ansible_check_mode=check)
    if is_guide(daemon):
        assert result["changed"] is True and result["reply"] == (None if check else "success")
    else:
        assert result["reason"] == "harmful_message" and "the listener checks it" in result["msg"]


def test_harm_can_be_done_on_request(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(user_names=["alice"])

    def users() -> t.Any:
        return tell(run, daemon, "stats")["reply"]["users"]["count"]

    message = 'getuser={"user": "mallory"}'
    checked = tell(run, daemon, message, unsafe=True, reply="optional", _ansible_check_mode=True)
    assert (checked["sent"], checked["changed"], users()) == (False, True, 1)
    done = tell(run, daemon, message, unsafe=True, reply="optional")
    assert (done["sent"], done["changed"], done["reply_type"], users()) == (True, True, "none", 2)


def test_harm_that_is_never_answered_ends_in_time(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    result = tell(run, simulate(), RPC, "listener", unsafe=True, timeout=0.3)
    assert (result["reason"], result["phase"]) == ("unanswered", "ask")


# Check mode


@pytest.mark.parametrize("message", ["ping", "stats", "users", "user.info=alice", "current.workbase", RPC], ids=str)
def test_what_is_known_to_read_is_sent_in_check_mode(run: Run, daemon: Simulated, message: t.Any) -> None:
    before = len(daemon.record())
    usual, checked = (tell(run, daemon, message, reply="optional", _ansible_check_mode=on) for on in (False, True))
    assert len(daemon.record()) == before + 2 and daemon.record()[-1] == daemon.record()[-2]
    assert (checked["sent"], checked["changed"], usual["changed"]) == (True, False, False)
    assert checked["reply_type"] == usual["reply_type"]


@pytest.mark.parametrize(
    ("socket", "message"),
    [
        *(("listener", word) for word in ("shutdown", "ShutdownXYZ", "restart", "reject", "loglevel=3", "stats")),
        *(("stratifier", word) for word in ("dropall", "dropclient=1", "dropuser=alice", "unheard.of")),
        ("stratifier", {"method": "shutdown"}),
        ("connector", "reject"),
        ("generator", "submitblock"),
        ("pool", "shutdown"),
    ],
    ids=str,
)
def test_anything_else_is_not(run: Run, daemon: Simulated, socket: str, message: t.Any) -> None:
    before, pid = len(daemon.record()), daemon.pid
    result = tell(run, daemon, message, socket, _ansible_check_mode=True)
    assert set(result) == KEYS
    assert (result["sent"], result["changed"], result["reply"], result["seconds"]) == (False, True, None, None)
    assert "would be sent '" in result["msg"] and result["reply_type"] == "none"
    assert {said for _name, said in daemon.record()[before:]} <= {"ping", "stats"}
    assert daemon.pid == pid


def test_check_mode_knows_whether_somebody_is_there(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    """On the requested socket, and on no other."""
    daemon = simulate(faults=["listener_dead"])
    assert tell(run, daemon, "dropall", _ansible_check_mode=True)["changed"] is True
    for check in (False, True):
        assert tell(run, daemon, "shutdown", "listener", _ansible_check_mode=check)["reason"] == "refused"


# Unhealthy pools and bad input


@pytest.mark.parametrize(
    ("socket", "message"), [("stratifier", "ping"), ("stratifier", "dropall"), ("generator", "getbase")]
)
@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_pool_that_hangs(run: Run, home: Path, socket: str, message: str, check: bool) -> None:
    with FakeSocket(str(home / socket), silent):
        start = time.monotonic()
        result = run(
            socket_dir=str(home),
            socket=socket,
            command=message,
            timeout=0.4,
            reply="optional",
            _ansible_check_mode=check,
        )
        assert 0.4 <= time.monotonic() - start < DEADLINE / 2
    assert set(result) >= FAILURE | {"instance"}
    assert (result["reason"], result["phase"], result["path"]) == ("unanswered", "ask", f"{home}/{socket}")


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_pool_that_is_down(run: Run, home: Path, check: bool) -> None:
    result = run(socket_dir=str(home / "nowhere"), command="shutdown", _ansible_check_mode=check)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "connect", "absent")
    assert result["path"] == f"{home}/nowhere/listener" and result["instance"]["socket_dir"] == f"{home}/nowhere"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({}, "command"),
        ({"command": 5}, "command must be a text or a dictionary, not int"),
        ({"command": True}, "command must be a text or a dictionary, not bool"),
        ({"command": ["ping"]}, "command must be a text or a dictionary, not list"),
        ({"command": "ping", "socket": "main"}, "socket"),
        ({"command": "ping", "socket": "../stratifier"}, "socket"),
        ({"command": "ping", "reply": "perhaps"}, "reply"),
        ({"command": "ping", "unsafe": "perhaps"}, "unsafe"),
        ({"command": "ping", "timeout": 0}, "timeout must be from 0.01"),
        ({"command": "ping", "max_reply": 0}, "max_reply must be from 1"),
        ({"command": "ping", "unheard_of": 1}, "unheard_of"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_bad_input_is_refused_by_name_before_anything_is_sent(
    run: Run, home: Path, option: t.Dict[str, t.Any], text: str
) -> None:
    with FakeSocket(str(home / "listener"), framed(b"pong")) as fake:
        result = run(socket_dir=str(home), **option)
        assert fake.messages == []
    assert result["failed"] is True and text in result["msg"]


def test_a_reply_that_is_too_large(run: Run, daemon: Simulated) -> None:
    result = tell(run, daemon, "stats", max_reply=10)
    assert result["reason"] == "oversized_reply" and result["instance"]["pid"] == daemon.pid
