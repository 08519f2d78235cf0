# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a connection may do: uvicorn's protocol, with a time for its requests, and with errors as JSON."""

from __future__ import annotations

import asyncio
import collections
import sys
import typing as t

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .errors import HEADERS, JSON, ApiError
from .limits import MOST_HEADER

if t.TYPE_CHECKING:
    from .listener import Handshakes

_CLOSING_SECONDS = 5.0  #: for which a closed connection may take to send what is left


class Connections:
    """The open connections, of which a limited number may be open.

    :arg most: connections.
    :arg seconds: within which a connection has to send a complete request, and to take a piece of an answer.
    :arg handshakes: of TLS, which end when a connection is admitted.
    """

    def __init__(self, most: int, seconds: float, handshakes: Handshakes) -> None:
        self.most, self.seconds, self.handshakes = most, seconds, handshakes
        self._idle: t.Dict[Connection, None] = collections.OrderedDict()  # the oldest first
        self._busy: t.Set[Connection] = set()

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def admit(self, connection: Connection) -> bool:
        """Take a new connection. For its sake the one that has been idle for the longest is closed; False if none is idle."""
        if len(self) >= self.most:
            if not self._idle:
                return False
            oldest = next(iter(self._idle))
            self.leave(oldest)
            oldest.transport.abort()
        self._idle[connection] = None
        return True

    def is_busy(self, connection: Connection) -> None:
        """It has sent a complete request."""
        self._idle.pop(connection, None)
        self._busy.add(connection)

    def is_idle(self, connection: Connection) -> None:
        """Its request has been answered."""
        self._busy.discard(connection)
        self._idle.pop(connection, None)
        self._idle[connection] = None

    def leave(self, connection: Connection) -> None:
        """It is closed."""
        self._idle.pop(connection, None)
        self._busy.discard(connection)


class Connection(H11Protocol):
    """One connection.

    :cvar all: where it is counted.
    """

    all: t.ClassVar[Connections]
    _timer: t.Optional[asyncio.TimerHandle] = None
    _writing: t.Optional[asyncio.TimerHandle] = None
    _is_counted = False

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = h11.Connection(h11.SERVER, MOST_HEADER)

    def connection_made(self, transport: t.Any) -> None:
        super().connection_made(transport)
        self.all.handshakes.end(transport.get_extra_info("socket").fileno())
        if not self.all.admit(self):
            transport.abort()
            return
        self._is_counted = True
        self._expect_request()

    def connection_lost(self, exc: t.Optional[Exception]) -> None:
        self._stop(self._timer, self._writing)
        self.all.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._count_as_busy()

    def on_response_complete(self) -> None:
        self.all.is_idle(self)
        self._expect_request()
        super().on_response_complete()
        if self.transport.is_closing():
            self._close_soon()
        else:
            self._count_as_busy()  # if the next request has been here already

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop(self._writing)
        self._writing = self.loop.call_later(self.all.seconds, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(self._writing)
        self._writing = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request. Uvicorn calls this while it handles the exception of h11."""
        hint = getattr(sys.exc_info()[1], "error_status_hint", 400)
        self._refuse(
            ApiError(431, "headers_too_large", f"the first line and the headers have more than {MOST_HEADER} bytes")
            if hint == 431
            else ApiError(400, "bad_request", "this is not a request of HTTP/1.1", "is TLS on at both ends?")
        )

    def _count_as_busy(self) -> None:
        """If a request is complete, wait for none, and count as busy until it is answered."""
        if self._timer and self._is_answering():
            self._stop(self._timer)
            self._timer = None
            self.all.is_busy(self)

    def _is_answering(self) -> bool:
        """Whether there is a complete request that has not been answered."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def _expect_request(self) -> None:
        self._stop(self._timer)
        self._timer = self.loop.call_later(self.all.seconds, self._too_slow)

    def _too_slow(self) -> None:
        has_begun = bool(self.conn.trailing_data[0]) and (self.cycle is None or self.cycle.response_complete)
        if has_begun:
            self._refuse(ApiError(408, "too_slow", f"no complete request within {self.all.seconds:g} s"))
        else:
            self._abort()

    def _refuse(self, error: ApiError) -> None:
        """Send an error and close."""
        if self.conn.our_state is h11.IDLE or self.conn.our_state is h11.SEND_RESPONSE:
            body = error.body()
            headers = {**HEADERS, "Content-Type": JSON, "Content-Length": str(len(body)), "Connection": "close"}
            start = h11.Response(status_code=error.status, headers=list(headers.items()))
            for event in (start, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._close_soon()

    def _close_soon(self) -> None:
        self._stop(self._timer)
        self._timer = self.loop.call_later(_CLOSING_SECONDS, self._abort)

    def _abort(self) -> None:
        self.transport.abort()

    @staticmethod
    def _stop(*timers: t.Optional[asyncio.TimerHandle]) -> None:
        for timer in timers:
            if timer:
                timer.cancel()


def connection_class(connections: Connections) -> t.Type[Connection]:
    """The class of the connections of a server."""
    return type("Connection", (Connection,), {"all": connections})
