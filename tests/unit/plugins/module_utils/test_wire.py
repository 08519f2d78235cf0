# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One message, one reply, one deadline: each outcome of a conversation over a real socket."""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _wire
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._messages import MAX_REPLY

from tests.support import DEADLINE, ROOT, FakeSocket, Script, framed, silent

SOON = 0.3  #: a timeout that is meant to pass
LATE = DEADLINE / 2  #: by when a test that waits for SOON must be through, on a busy machine too


def sending(*pieces: bytes, pause: float = 0.0) -> Script:
    """Send these and close."""

    def script(fake: FakeSocket, connection: socket.socket, message: str) -> None:
        for piece in pieces:
            connection.sendall(piece)
            fake.over.wait(pause)

    return script


def failure(path: Path, message: str = "ping", timeout: float = DEADLINE, **more: t.Any) -> PoolError:
    """The error that an exchange ends in."""
    with pytest.raises(PoolError) as caught:
        _wire.ask_json(str(path), message, timeout, **more)
    return caught.value


def test_a_reply_comes_back_as_it_was_sent(home: Path) -> None:
    with FakeSocket(str(home / "listener"), framed("pong é".encode())) as fake:
        assert _wire.ask_text(fake.path, "ping", DEADLINE) == "pong é"
        assert fake.messages == ["ping"]


def test_an_empty_reply_is_a_reply(home: Path) -> None:
    with FakeSocket(str(home / "s"), framed(b"")) as fake:
        assert _wire.exchange(fake.path, "ping", DEADLINE) == b""


def test_a_large_reply_in_many_pieces_is_put_together(home: Path) -> None:
    body = os.urandom(1 << 20) * 9
    with FakeSocket(str(home / "s"), framed(body)) as fake:
        assert _wire.exchange(fake.path, "users", DEADLINE) == body


def test_json_is_parsed(home: Path) -> None:
    with FakeSocket(str(home / "s"), framed(b'{"a": [1, null]}')) as fake:
        assert _wire.ask_json(fake.path, "stats", DEADLINE) == {"a": [1, None]}


@pytest.mark.parametrize("message", ["ping", "stats", "é" * 1000])
def test_a_message_goes_out_in_one_write_behind_its_length(
    home: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    """The listener serves one connection at a time: what comes late keeps everybody waiting."""
    writes: t.List[bytes] = []

    class Recording(socket.socket):
        def sendall(self, data: t.Any, flags: int = 0) -> None:
            writes.append(bytes(data))
            super().sendall(data, flags)

        def send(self, data: t.Any, flags: int = 0) -> int:
            writes.append(bytes(data))
            return super().send(data, flags)

    def script(fake: FakeSocket, connection: socket.socket, _message: str) -> None:
        socket.socket.sendall(connection, framed(b"pong"))

    with FakeSocket(str(home / "s"), script) as fake:
        monkeypatch.setattr(socket, "socket", Recording)
        _wire.exchange(fake.path, message, DEADLINE)
        monkeypatch.undo()
    body = message.encode()
    assert [write for write in writes if write != framed(b"pong")] == [struct.pack("<I", len(body)) + body]


def test_closed_without_a_reply(home: Path) -> None:
    with FakeSocket(str(home / "stratifier"), b"") as fake:
        error = failure(home / "stratifier", "users")
    assert isinstance(error, _wire.ClosedWithoutReply)
    assert (error.phase, error.reason, error.path) == ("ask", "no_reply", fake.path)
    assert "closed without a reply to 'users'" in str(error)


def test_closed_before_the_message_was_read_counts_as_closed_without_a_reply(home: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(home / "s"))
    server.listen(1)

    def close_at_once() -> None:
        connection, _peer = server.accept()
        connection.close()

    thread = threading.Thread(target=close_at_once)
    thread.start()
    try:
        assert isinstance(failure(home / "s"), _wire.ClosedWithoutReply)
    finally:
        thread.join(DEADLINE)
        server.close()


def test_accepted_and_never_answered(home: Path) -> None:
    start = time.monotonic()
    with FakeSocket(str(home / "stratifier"), silent):
        error = failure(home / "stratifier", timeout=SOON)
        assert SOON * 0.9 <= time.monotonic() - start < LATE
    assert isinstance(error, _wire.Unanswered)
    assert (error.phase, error.reason) == ("ask", "unanswered")
    assert "accepted 'ping' and did not answer within 0.3 s" in str(error)
    assert "log" in error.hint


@pytest.mark.parametrize("missing", ["s", "nowhere/s", "file/s"])
def test_absent(home: Path, missing: str) -> None:
    (home / "file").touch()
    error = failure(home / missing)
    assert isinstance(error, _wire.Absent)
    assert (error.phase, error.reason, error.path) == ("connect", "absent", str(home / missing))
    assert "does not exist" in str(error)


def test_refused_by_what_a_daemon_left_behind(home: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(home / "listener"))
    server.close()
    error = failure(home / "listener")
    assert isinstance(error, _wire.Refused)
    assert (error.phase, error.reason) == ("connect", "refused")
    assert "left its socket file behind" in error.hint


_ASK_AS_NOBODY = """
import grp, json, os, pwd, sys  # grp and pwd while we may still read them
path, nobody = sys.argv[1], int(sys.argv[2])
from ansible_collections.ckpool.fleet.plugins.module_utils import _wire
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(nobody)
    os.setuid(nobody)
try:
    _wire.exchange(path, "ping", 5)
except _wire.PoolError as error:
    print(json.dumps([type(error).__name__, error.phase, error.reason, str(error), error.hint]))
"""


@pytest.mark.parametrize("forbidden", ["socket", "folder", "folder above"])
def test_not_permitted_says_who_may_and_who_we_are(home: Path, forbidden: str) -> None:
    folder = home / "above" / "ckpool"
    folder.mkdir(parents=True)
    home.chmod(0o755)
    with FakeSocket(str(folder / "listener"), framed(b"pong")):
        closed = {"socket": folder / "listener", "folder": folder, "folder above": folder.parent}[forbidden]
        closed.chmod(0)
        try:
            done = subprocess.run(
                [sys.executable, "-c", _ASK_AS_NOBODY, str(folder / "listener"), "65534"],
                env={"PYTHONPATH": str(ROOT / ".collections"), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        finally:
            closed.chmod(0o755)
    assert done.returncode == 0, done.stderr
    kind, phase, reason, text, hint = json.loads(done.stdout)
    assert (kind, phase, reason) == ("NotPermitted", "connect", "not_permitted")
    assert f"not permitted to use {folder}/listener" in text
    assert f"{closed} is " in text and "---------" in text  # its mode and owner
    assert "we are " in text
    assert "become" in hint


@pytest.mark.parametrize("kind", ["file", "folder", "datagram socket", "link to a file"])
def test_not_a_socket(home: Path, kind: str) -> None:
    path = home / "listener"
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if kind == "file":
        path.write_text("hello")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a file":
        (home / "file").touch()
        path.symlink_to(home / "file")
    else:
        datagram.bind(str(path))
    error = failure(path)
    datagram.close()
    assert isinstance(error, _wire.NotASocket)
    assert (error.phase, error.reason) == ("connect", "not_a_socket")


def test_a_link_that_leads_to_itself_is_nobody(home: Path) -> None:
    (home / "listener").symlink_to(home / "listener")
    error = failure(home / "listener")
    assert isinstance(error, _wire.NotConnected)
    assert (error.phase, error.reason) == ("connect", "cannot_connect")


@pytest.mark.parametrize(
    ("sent", "reason", "text"),
    [
        (b"\x04", "bad_reply", "in the middle of the length"),
        (b"\x04\x00\x00", "bad_reply", "in the middle of the length"),
        (struct.pack("<I", 4) + b"po", "half_reply", "after 2 of 4 bytes"),
        (struct.pack("<I", 4), "half_reply", "after 0 of 4 bytes"),
        (struct.pack("<I", 1001) + b"x" * 1001, "oversized_reply", "1001 bytes to 'users', more than 1000"),
        (struct.pack("<I", 2**32 - 1), "oversized_reply", "4294967295 bytes"),
        (framed(b"\xff\xfe"), "bad_reply", "2 bytes that are not UTF-8 (byte 0)"),
        (framed(b'{"user": "\xc3"}'), "bad_reply", "not UTF-8"),
        (framed(b"unknown"), "bad_reply", "not JSON: 'unknown'"),
        (framed(b""), "bad_reply", "not JSON: ''"),
        (framed(b'{"a": 1'), "bad_reply", "not JSON"),
        (framed(b'{"a": 1} trailing'), "bad_reply", "not JSON"),
        (framed(b"x" * 500), "bad_reply", "not JSON: '" + "x" * 60 + "...'"),
    ],
)
def test_a_reply_that_cannot_be_used_says_why(home: Path, sent: bytes, reason: str, text: str) -> None:
    with FakeSocket(str(home / "s"), sent) as fake:
        error = failure(home / "s", "users", max_reply=1000)
    assert isinstance(error, _wire.BadReply)
    assert (error.phase, error.reason, error.path) == ("parse", reason, fake.path)
    assert text in str(error)


def test_an_integer_that_is_too_long_costs_nothing_else_of_a_reply(home: Path) -> None:
    with FakeSocket(str(home / "s"), framed(b'{"a": 1, "b": -' + b"9" * 5000 + b"}")) as fake:
        reply = _wire.ask_json(fake.path, "stats", DEADLINE)
    assert (reply["a"], abs(reply["b"])) == (1, float("inf"))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [5_000, 1_000_000])
def test_json_nested_without_end_is_an_error_and_no_crash(home: Path, opening: bytes, depth: int) -> None:
    with FakeSocket(str(home / "s"), framed(opening * depth)):
        assert isinstance(failure(home / "s"), _wire.BadReply)


def test_a_reply_may_have_256_mib_unless_told_otherwise() -> None:
    assert MAX_REPLY == 256 * 1024**2


def test_a_reply_of_just_the_allowed_size_is_taken(home: Path) -> None:
    with FakeSocket(str(home / "s"), framed(b"x" * 1000)) as fake:
        assert len(_wire.exchange(fake.path, "users", DEADLINE, max_reply=1000)) == 1000


def test_a_full_queue_is_waited_for_and_no_longer_than_the_deadline(home: Path) -> None:
    path = str(home / "listener")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        queued = []
        for _count in range(8):  # until there is no more room
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            queued.append(client)
            try:
                client.connect(path)
            except BlockingIOError:
                break
        else:
            raise AssertionError("the queue does not fill")
        start = time.monotonic()
        error = failure(home / "listener", timeout=SOON)
        assert time.monotonic() - start < LATE
        for client in queued:
            client.close()
    assert isinstance(error, _wire.Unanswered)
    assert "its queue is full" in str(error)


def test_a_queue_that_clears_in_time_is_no_failure(home: Path) -> None:
    path = str(home / "listener")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(path)

        def clear() -> None:
            time.sleep(0.1)
            server.accept()[0].close()
            connection, _peer = server.accept()
            connection.recv(100)
            connection.sendall(framed(b"pong"))
            connection.close()

        thread = threading.Thread(target=clear)
        thread.start()
        assert _wire.ask_text(path, "ping", DEADLINE) == "pong"
        thread.join(DEADLINE)
        waiting.close()


@pytest.mark.parametrize("length", [107, 108, 150, 400])
def test_a_path_longer_than_a_socket_address_can_hold(home: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    folder = home
    while len(str(folder)) < length - 60:
        folder = folder / ("x" * 40)
    folder = folder / ("y" * (length - len(str(folder)) - len("//listener")))
    folder.mkdir(parents=True)
    path = str(folder / "listener")
    assert len(path) == length
    monkeypatch.chdir(folder)
    gc.collect()  # sockets that tests before this one have left are closed by that
    files = len(os.listdir("/proc/self/fd"))
    with FakeSocket("listener", framed(b"pong")):
        assert _wire.ask_text(path, "ping", DEADLINE) == "pong"
    assert len(os.listdir("/proc/self/fd")) == files
    assert isinstance(failure(folder / "listener"), _wire.Refused)
    assert isinstance(failure(folder / "other"), _wire.Absent)
    assert isinstance(failure(folder / "nowhere" / "listener"), _wire.Absent)


def test_a_reply_that_dribbles_in_meets_the_deadline(home: Path) -> None:
    """Each byte comes in time, all of them would not."""
    start = time.monotonic()
    with FakeSocket(str(home / "s"), sending(struct.pack("<I", 1500), *[b"x"] * 1500, pause=0.02)):
        error = failure(home / "s", "users", timeout=SOON)
        assert time.monotonic() - start < LATE
    assert isinstance(error, _wire.Unanswered)


def test_a_reply_that_never_pauses_meets_the_deadline_too(home: Path) -> None:
    """There is always something to read, so that no single wait ever ends in a timeout."""

    def stream(fake: FakeSocket, connection: socket.socket, message: str) -> None:
        connection.sendall(struct.pack("<I", 2**31 - 1))
        end = time.monotonic() + DEADLINE
        while not fake.over.is_set() and time.monotonic() < end:
            connection.sendall(b"x")

    start = time.monotonic()
    with FakeSocket(str(home / "s"), stream):
        error = failure(home / "s", "users", timeout=SOON, max_reply=2**31 - 1)
        assert time.monotonic() - start < LATE
    assert isinstance(error, _wire.Unanswered)


def test_memory_grows_with_what_arrives_and_not_with_what_is_promised(home: Path) -> None:
    with FakeSocket(str(home / "s"), struct.pack("<I", MAX_REPLY) + b"x" * 100_000):
        tracemalloc.start()
        try:
            error = failure(home / "s", "users")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error.reason == "half_reply"
    assert peak < 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("listener", ""),
        ("stratifier", ""),
        ("listener", "stratifierstats"),
        ("stratifier", "stratifierstats"),
        ("listener", "STRATIFIERSTATS"),
        ("listener", "stratifierstatsXYZ"),
        ("listener", '{"method": "stats", "params": []}'),
        ("listener", "{"),
        ("stratifier", 'getuser={"user": "a"}'),
        ("stratifier", "GetUser"),
        ("stratifier", 'userclients={"user": "a"}'),
        ("stratifier", 'ucinfo={"user": "a"}'),
        ("stratifier", 'getworker={"worker": "a.b"}'),
        ("stratifier", 'workerclients={"worker": "a.b"}'),
        ("stratifier", 'wcinfo={"worker": "a.b"}'),
        ("connector", 'getuser={"user": "a"}'),
    ],
)
def test_a_harmful_message_is_refused_before_connecting(home: Path, name: str, message: str) -> None:
    with FakeSocket(str(home / name), framed(b"pong")) as fake:
        error = failure(home / name, message)
        assert _wire.ask_text(fake.path, "ping", DEADLINE) == "pong"
        assert fake.messages == ["ping"]  # one connection, which is this one
    assert error.reason == "harmful_message"
    # Refused for what it is, not for want of somebody to say it to.
    assert failure(home / "nowhere" / name, message).reason == "harmful_message"


def test_json_may_go_to_the_other_sockets(home: Path) -> None:
    with FakeSocket(str(home / "stratifier"), framed(b"{}")) as fake:
        assert _wire.ask_json(fake.path, '{"method": "stats"}', DEADLINE) == {}


def test_no_file_descriptor_is_left_open_whatever_comes_of_it(home: Path) -> None:
    (home / "file").touch()

    def all_outcomes() -> None:
        failure(home / "file")
        failure(home / "nowhere")
        failure(home / ("x" * 120) / "listener")
        for sent in (b"", b"\x01", framed(b"x"), framed(b"{}")[:-1]):
            with FakeSocket(str(home / "s"), sent):
                failure(home / "s")
            (home / "s").unlink()

    all_outcomes()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    all_outcomes()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("length", [65, MAX_REPLY, 2**32 - 1])
def test_the_answer_to_a_ping_has_a_few_bytes(home: Path, length: int) -> None:
    """However much the caller would take: nothing of what is announced is waited for."""
    with FakeSocket(str(home / "s"), struct.pack("<I", length) + b"x" * 65):
        error = failure(home / "s")
    assert (error.reason, "more than 64" in str(error)) == ("oversized_reply", True)


@pytest.mark.parametrize("pieces", [[b"\x04", b"\0", b"\0", b"\0", b"p"], [struct.pack("<I", 4), b"p"]])
def test_a_ping_that_is_answered_a_byte_at_a_time_meets_the_deadline(home: Path, pieces: t.List[bytes]) -> None:
    start = time.monotonic()
    with FakeSocket(str(home / "s"), sending(*pieces, *[b""] * 300, pause=0.1)):
        assert isinstance(failure(home / "s", "ping", timeout=SOON), _wire.Unanswered)
    assert time.monotonic() - start < LATE


def test_what_is_announced_for_a_ping_costs_nothing(home: Path) -> None:
    tracemalloc.start()
    try:
        with FakeSocket(str(home / "s"), struct.pack("<I", 256 * 1024 * 1024) + b"x" * 1024):
            assert failure(home / "s", "ping").reason == "oversized_reply"
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()
