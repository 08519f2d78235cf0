# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the service of a host, which answers with any bytes, as slowly and as wrongly as a test wants."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
import typing as t

from tests.support.waiting import DEADLINE

Json = t.Dict[str, t.Any]
#: What is sent: bytes; and in place of more bytes, None to wait until the other side has gone.
Reply = t.Iterable[t.Optional[bytes]]


class FakeService:
    """Listens on 127.0.0.1 for as long as a C(with) block runs.

    :ivar requests: the head of each request.
    """

    def __init__(self, reply: t.Callable[[str], Reply], tls: ssl.SSLContext | None = None) -> None:
        """Listen.

        :arg reply: what to send to a request, by its path.
        """
        self._reply, self._tls = reply, tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.requests: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeService:
        self._thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):  # wakes up what accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(DEADLINE)

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(DEADLINE)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = connection.recv(4096)
            if not piece:
                return
            if piece.startswith(b"\x16") and not head:  # TLS, which a server of HTTP does not know
                connection.sendall(http(b"", "400 Bad Request"))
                return
            head += piece
        self.requests.append(head.decode())
        for part in self._reply(self.requests[-1].split()[1]):
            if part is None:
                while not self._ended.is_set() and connection.recv(1):
                    pass
                return
            connection.sendall(part)


def http(
    body: t.Union[bytes, Json], status: str = "200 OK", length: int | None = None, headers: t.Sequence[str] = ()
) -> bytes:
    """An answer by HTTP.

    :arg length: what Content-Length says, if it is not that of the body.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


def entry(name: str = "ckpool", state: str = "ok", status: str = "ok", **changes: t.Any) -> Json:
    """One of the instances of an answer."""
    instance = {
        "name": name,
        "socket_dir": f"/tmp/{name}",
        "pid": 42,
        "started": 1795385226,
        "root": "/",
        "state": state,
    }
    hint = "" if status == "ok" else "see its log"
    check = {"name": "process", "status": status, "observed": 42, "expected": "", "reason": status, "hint": hint}
    wrong = [] if status == "ok" else [f"it is {status}"]
    checks = [{**check, "summary": wrong[0] if wrong else "it runs"}]
    return {
        "instance": instance,
        "health": {"state": state, "ok": state == "ok", "status": status, "wrong": wrong, "checks": checks},
        "stats": {"hashrate1m": 1e15, "users": 2, "workers": 4},
        "work_age": 4.2,
        "clients": 4,
        "source": "files",
        "as_of": 1795385464,
        "problems": {},
        "msg": f"{name} is {state}",
        **changes,
    }


def health(*entries: Json, host: str = "pool1", now: float | None = None, **changes: t.Any) -> Json:
    """The body of an answer to C(GET /health); of one healthy pool, unless others are given."""
    found = list(entries) or [entry()]
    order = ("ok", "warning", "critical")
    worst = max(found, key=lambda one: order.index(one["health"]["status"]))
    own = {"host": host, "now": time.time() if now is None else now, "version": "0.6.0"}
    return {**worst, "instances": found, **own, **changes}
