# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unix socket that does with a message what a test tells it to."""

from __future__ import annotations

import json
import socket
import struct
import threading
import typing as t

from tests.support.waiting import DEADLINE

Script = t.Callable[["FakeSocket", socket.socket, str], None]


def framed(body: bytes) -> bytes:
    """A message as it goes over the wire."""
    return struct.pack("<I", len(body)) + body


class FakeSocket:
    """A listening unix socket. Its script is a function that gets each message, or the bytes to send back."""

    def __init__(self, path: str, script: t.Union[Script, bytes]) -> None:
        self.path = path
        self.messages: t.List[str] = []
        self.over = threading.Event()
        self._script = script
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(path)
        self._server.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *unused: object) -> None:
        self.over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(2 * DEADLINE)  # one who says nothing is waited for
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _peer = self._server.accept()
            except OSError:
                return
            with connection:
                try:
                    self._converse(connection)
                except OSError:  # the client left, as clients may
                    pass

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE)
        (length,) = struct.unpack("<I", read_exactly(connection, 4))
        message = read_exactly(connection, length).decode("utf-8")
        self.messages.append(message)
        if isinstance(self._script, bytes):
            connection.sendall(self._script)
        else:
            self._script(self, connection, message)


def read_exactly(connection: socket.socket, count: int) -> bytes:
    """Read a number of bytes.

    :raises OSError: the client closed before that.
    """
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise OSError("the client closed")
        data += piece
    return data


def silent(fake: FakeSocket, connection: socket.socket, message: str) -> None:
    """Keep the connection, and say nothing until the test is over."""
    fake.over.wait(DEADLINE)


def answers(replies: t.Mapping[str, t.Any]) -> Script:
    """Reply by message, texts as they are and anything else as JSON; close without a reply on all others."""

    def script(fake: FakeSocket, connection: socket.socket, message: str) -> None:
        if message in replies:
            reply = replies[message]
            connection.sendall(framed((reply if isinstance(reply, str) else json.dumps(reply)).encode()))

    return script
