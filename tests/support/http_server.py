# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of HTTP on a port of its own, for stand-ins of other services."""

from __future__ import annotations

import http.server
import threading
import typing as t

_Server = t.TypeVar("_Server", bound="HttpServer")


class Handler(http.server.BaseHTTPRequestHandler):
    """Handles a request, and prints nothing about it."""

    def body(self) -> bytes:
        """What was sent with the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, body: bytes = b"", kind: str = "application/json") -> None:
        """Answer the request."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: t.Any) -> None:
        pass


class HttpServer:
    """Serves for as long as a C(with) block runs.

    :ivar address: HOST:PORT.
    :ivar url: the same, as a URL without a path.
    """

    def __init__(self, handler: t.Callable[..., http.server.BaseHTTPRequestHandler]) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name=self.address)

    def __enter__(self: _Server) -> _Server:
        self._thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
