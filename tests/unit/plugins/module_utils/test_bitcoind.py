# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bitcoind says how far it is, or why it does not."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._install import bitcoind

from tests.support import DEADLINE

SYNCED = {"chain": "main", "blocks": 7, "headers": 8, "verificationprogress": 1, "initialblockdownload": False}
Answers = t.Dict[str, t.Tuple[int, t.Any]]


@pytest.fixture
def node() -> t.Iterator[t.Tuple[t.Dict[str, t.Any], Answers, t.List[str]]]:
    """An entry of btcd, what it answers by method, and by whose key it was asked."""
    answers: Answers = {"getblockchaininfo": (200, {"result": SYNCED, "error": None})}
    keys: t.List[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.append(self.headers["Authorization"])
            method = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["method"]
            status, body = answers.get(
                method, (404, {"result": None, "error": {"code": -32601, "message": "Method not found"}})
            )
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"url": f"127.0.0.1:{server.server_port}", "auth": "me", "pass": "secret"}, answers, keys
    server.shutdown()
    server.server_close()


def test_one_that_has_all_blocks(node: t.Tuple[t.Dict[str, t.Any], Answers, t.List[str]]) -> None:
    entry, answers, keys = node
    published = [{"type": "pubhashblock", "address": "tcp://127.0.0.1:28332"}, {"type": "pubrawtx", "address": "x"}]
    answers["getzmqnotifications"] = (200, {"result": published})
    found = bitcoind.look(entry, DEADLINE, Files())
    assert (found.synced, found.reachable, found.problem) == (True, True, "")
    assert (found.chain, found.blocks, found.headers, found.progress) == ("main", 7, 8, 1.0)
    assert found.publishes == ["tcp://127.0.0.1:28332"]
    assert base64.b64decode(keys[0].split()[1]) == b"me:secret"


def test_one_without_zmq_does_not_tell(node: t.Tuple[t.Dict[str, t.Any], Answers, t.List[str]]) -> None:
    assert bitcoind.look(node[0], DEADLINE, Files()).publishes is None


def test_a_cookie(node: t.Tuple[t.Dict[str, t.Any], Answers, t.List[str]], home: Path) -> None:
    entry, _answers, keys = node
    (home / ".cookie").write_text("__cookie__:abc\n")
    assert bitcoind.look({"url": entry["url"], "cookie": str(home / ".cookie")}, DEADLINE, Files()).synced
    assert base64.b64decode(keys[0].split()[1]) == b"__cookie__:abc"
    gone = bitcoind.look({"url": entry["url"], "cookie": str(home / "gone")}, DEADLINE, Files())
    assert "gone" in gone.problem and not gone.reachable


@pytest.mark.parametrize(
    ("status", "body", "reachable", "problem"),
    [
        (200, {"result": {**SYNCED, "initialblockdownload": True}}, True, ""),
        (200, {"result": {**SYNCED, "headers": 10}}, True, ""),
        (200, {"result": {**SYNCED, "initialblockdownload": "no"}}, True, ""),
        (
            500,
            {"result": None, "error": {"code": -28, "message": "Loading block index..."}},
            True,
            "Loading block index...",
        ),
        (401, b"", True, "auth"),
        (200, b"<html>", True, "not as bitcoind"),
        (200, {"result": [1]}, True, "not what bitcoind says"),
        (200, b"[1]", True, "None"),
    ],
)
def test_one_that_is_not_ready(
    node: t.Tuple[t.Dict[str, t.Any], Answers, t.List[str]], status: int, body: t.Any, reachable: bool, problem: str
) -> None:
    entry, answers, _keys = node
    answers["getblockchaininfo"] = (status, body)
    found = bitcoind.look(entry, DEADLINE, Files())
    assert not found.synced and found.reachable == reachable and problem in found.problem
    assert "secret" not in json.dumps(found.as_dict())


@pytest.mark.parametrize("url", ["127.0.0.1:1", "no address at all", "[::1]:1"])
def test_one_that_is_not_there(url: str) -> None:
    found = bitcoind.look({"url": url, "auth": "a", "pass": "b"}, 2, Files())
    assert found.problem and not found.reachable and not found.synced


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.0 200 OK\r\n\r\n"], ids=["header", "body"])
def test_one_that_answers_too_slowly_is_not_waited_for(begins: bytes) -> None:
    """Each piece comes in time, and the whole does not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server, begins), daemon=True).start()
        began = time.monotonic()
        found = bitcoind.look({"url": f"127.0.0.1:{server.getsockname()[1]}"}, 1.0, Files())
    assert (found.synced, found.reachable) == (False, False) and time.monotonic() - began < 20
    assert found.problem == "it does not answer within 1 s"


def drip(server: socket.socket, begins: bytes) -> None:
    """Answer a client without an end, a letter at a time."""
    client = server.accept()[0]
    with client, contextlib.suppress(OSError):
        client.sendall(begins)
        for _letter in range(300):
            client.sendall(b"x")
            time.sleep(0.1)
