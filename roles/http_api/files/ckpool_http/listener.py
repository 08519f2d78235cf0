# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket that listens for TLS. asyncio tells nobody of a connection before its handshake is done, so it is counted here."""

from __future__ import annotations

import contextlib
import socket
import typing as t


class Handshakes:
    """The connections that are in their handshake.

    :arg most: of them. For the sake of a new one the oldest is ended if there are too many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: t.Dict[int, Accepted] = {}  # by the number of their file, the oldest first

    def begin(self, accepted: Accepted) -> None:
        """Count a connection."""
        if len(self._open) >= self._most:
            self._open.pop(next(iter(self._open))).end()
        self._open[accepted.fileno()] = accepted

    def end(self, number: int) -> None:
        """A handshake is over, or its connection is closed.

        :arg number: of its file.
        """
        self._open.pop(number, None)


class Listener(socket.socket):
    """Accepts connections, and counts their handshakes."""

    handshakes: Handshakes

    def accept(self) -> t.Tuple[socket.socket, t.Any]:
        plain, address = super().accept()
        accepted = Accepted(plain.family, plain.type, plain.proto, plain.detach())
        accepted.handshakes = self.handshakes
        self.handshakes.begin(accepted)
        return accepted, address


class Accepted(socket.socket):
    """A connection."""

    handshakes: Handshakes

    def close(self) -> None:
        self.handshakes.end(self.fileno())
        super().close()

    def end(self) -> None:
        """Let what waits for the other side see its end."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


def listener(host: str, port: int, handshakes: Handshakes) -> Listener:
    """A socket that is bound as asyncio does it.

    :arg host: an IP address.
    :raises OSError: it cannot be.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = Listener(family, socket.SOCK_STREAM)
    made.handshakes = handshakes
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)[0][4])
    except OSError as exc:
        made.close()
        raise OSError(exc.errno, f"cannot listen on {host} port {port}: {exc.strerror}") from None
    return made
