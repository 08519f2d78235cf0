# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One message, one reply, one deadline, over one of the daemon's unix sockets.

A message is a 4-byte little-endian length and that many bytes. The daemon reads one request on a connection, answers at
most once and closes. Each other outcome has its exception: L(ClosedWithoutReply), L(Unanswered), and L(Absent), L(Refused)
and L(NotPermitted) if nothing can be sent.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
import typing as t

from ._errors import PoolError, Unparsable
from ._host.access import access_hint, describe_access
from ._host.file import is_socket, shortened
from ._messages import MAX_REPLY, harm, most_bytes
from ._text import JSON

MOST_OBJECTS = 2_000_000  #: in a reply: a million workers have as many
MOST_VALUES = 30_000_000
_HEADER = struct.Struct("<I")
_CHUNK = 4 * 1024 * 1024
_MAX_SUN_PATH = 107
_PEER = struct.Struct("3i")  #: pid, user and group of the process that listens, by the kernel
PeerCheck = t.Callable[[int, int], None]


class NotConnected(PoolError):
    """Nothing can be sent to this socket."""

    phase = "connect"


class Absent(NotConnected):
    """The path does not exist."""

    reason = "absent"


class Refused(NotConnected):
    """The socket file is there, but nothing listens behind it."""

    reason = "refused"


class NotPermitted(NotConnected):
    """This user may not use the socket."""

    reason = "not_permitted"


class NotASocket(NotConnected):
    """The path is something else."""

    reason = "not_a_socket"


class Unanswered(PoolError):
    """The connection was accepted, or queued, and not answered before the deadline."""

    reason = "unanswered"


class ClosedWithoutReply(PoolError):
    """The daemon read the message and closed the connection: it does not know the command, or does not reply to it."""

    reason = "no_reply"


class BadReply(Unparsable):
    """The reply is cut off, too large, or not text."""

    reason = "bad_reply"


def exchange(
    path: str,
    message: str,
    timeout: float,
    max_reply: int = MAX_REPLY,
    is_checked: bool = False,
    unsafe: bool = False,
    require_peer: t.Optional[PeerCheck] = None,
) -> bytearray:
    """Send one message and return the reply.

    :arg path: the socket.
    :arg message: the text to send; never empty.
    :arg timeout: seconds for the whole exchange, monotonic.
    :arg max_reply: bytes that the reply may have, if it is one that grows with the pool.
    :arg is_checked: whether this socket of this build refuses a wrong log level, which makes it harmless to send one.
    :arg unsafe: send it even if it is known to do harm.
    :arg require_peer: called with pid and user of the process that listens, before anything is sent; raises to prevent that.
    :raises PoolError: one of the types of this module, or what C(require_peer) raises.
    """
    why = "" if unsafe else harm(path, message, is_checked)
    if why:
        raise PoolError(f"'{_short(message)}' is never sent to {path}: {why}", path, reason="harmful_message")
    deadline = time.monotonic() + timeout
    data = message.encode("utf-8")
    conn = _connect(path, deadline, timeout)
    try:
        if require_peer:
            pid, user, _group = _PEER.unpack(conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            require_peer(pid, user)
        # At once, and in one write: the listener serves one connection at a time and waits for a silent one.
        conn.settimeout(_left(deadline))
        conn.sendall(_HEADER.pack(len(data)) + data)
        return _receive(conn, path, message, deadline, max_reply)
    except socket.timeout:
        raise Unanswered(
            f"{path} accepted '{_short(message)}' and did not answer within {timeout:g} s",
            path,
            "the process is stopped, stuck, or waits for its bitcoind; see the last lines of its log",
        ) from None
    except (BrokenPipeError, ConnectionResetError):
        raise ClosedWithoutReply(
            f"{path} closed the connection on '{_short(message)}'", path, "the daemon may just have ended"
        ) from None
    finally:
        conn.close()


def ask_text(
    path: str,
    message: str,
    timeout: float,
    max_reply: int = MAX_REPLY,
    is_checked: bool = False,
    unsafe: bool = False,
    require_peer: t.Optional[PeerCheck] = None,
) -> str:
    """Send one message and return the reply as text; the arguments are those of L(exchange).

    :raises BadReply: the reply is not UTF-8.
    """
    reply = exchange(path, message, timeout, max_reply, is_checked, unsafe, require_peer)
    _require_few_parts(reply, path, message)
    try:
        return reply.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadReply(
            f"{path} answered '{_short(message)}' with {len(reply)} bytes that are not UTF-8 (byte {exc.start})",
            path,
            "is this socket a ckpool's?",
        ) from None


def ask_json(
    path: str,
    message: str,
    timeout: float,
    max_reply: int = MAX_REPLY,
    require_peer: t.Optional[PeerCheck] = None,
) -> t.Any:
    """Send one message and return the reply, parsed from JSON; the arguments are those of L(exchange).

    :raises BadReply: the reply is not JSON; its beginning is quoted.
    """
    text = ask_text(path, message, timeout, max_reply, require_peer=require_peer)
    try:
        return JSON.decode(text)
    except (ValueError, RecursionError):
        raise BadReply(
            f"{path} answered '{_short(message)}' with text that is not JSON: {_short(text)!r}",
            path,
            "a reply such as 'unknown' or 'failed' means that this build does not know the command",
        ) from None


def _require_few_parts(reply: bytearray, path: str, message: str) -> None:
    """Raise if parsing a reply would take far more memory than its text, as with many empty objects.

    :raises BadReply: it has more objects or values than any pool's.
    """
    if reply.count(b"{") + reply.count(b"[") > MOST_OBJECTS or reply.count(b",") > MOST_VALUES:
        raise BadReply(
            f"{path} answered '{_short(message)}' with more than {MOST_OBJECTS} objects or {MOST_VALUES} values",
            path,
            "is this socket a ckpool's?",
            reason="oversized_reply",
        )


def _connect(path: str, deadline: float, timeout: float) -> socket.socket:
    """Connect. While the queue of the socket is full, as that of a stuck daemon, try again until the deadline."""
    with contextlib.ExitStack() as stack:
        try:
            target = stack.enter_context(shortened(path, _MAX_SUN_PATH))
        except OSError as exc:
            raise _not_connected(exc, path) from None
        while True:
            conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                conn.settimeout(_left(deadline))
                conn.connect(target)
                return conn
            except (BlockingIOError, socket.timeout):
                conn.close()
                if deadline - time.monotonic() < 0.05:
                    raise Unanswered(
                        f"{path} did not accept a connection within {timeout:g} s: its queue is full",
                        path,
                        "the process is stopped or stuck, and other clients are waiting already",
                    ) from None
                time.sleep(0.02)
            except OSError as exc:
                conn.close()
                raise _not_connected(exc, path) from None


def _not_connected(exc: OSError, path: str) -> PoolError:
    """What a failed connect means."""
    if exc.errno in (errno.ENOENT, errno.ENOTDIR):
        return Absent(f"{path} does not exist", path, "is the daemon running, and is this its socket directory?")
    if exc.errno in (errno.EACCES, errno.EPERM):
        return NotPermitted(f"not permitted to use {path}: {describe_access(path)}", path, access_hint(path))
    if exc.errno == errno.ECONNREFUSED:
        if not is_socket(path):
            return NotASocket(f"{path} is not a socket", path, "is this the socket directory of a ckpool?")
        return Refused(f"nothing listens on {path}", path, "the daemon has ended and left its socket file behind")
    if exc.errno in (errno.ENOTSOCK, errno.EPROTOTYPE):
        return NotASocket(f"{path} is not a stream socket", path, "is this the socket directory of a ckpool?")
    return NotConnected(f"cannot connect to {path}: {exc.strerror}", path, reason="cannot_connect")


def _receive(conn: socket.socket, path: str, message: str, deadline: float, max_reply: int) -> bytearray:
    header = _read(conn, _HEADER.size, deadline)
    if not header:
        is_known_to_all = message.lower() == "ping"
        raise ClosedWithoutReply(
            f"{path} closed without a reply to '{_short(message)}'",
            path,
            "every ckpool answers that: ask again, as the daemon may just have ended"
            if is_known_to_all
            else "this build does not answer that command",
        )
    if len(header) < _HEADER.size:
        raise BadReply(f"{path} ended its reply to '{_short(message)}' in the middle of the length", path)
    (length,) = _HEADER.unpack(header)
    most = most_bytes(message, max_reply)
    if length > most:
        raise BadReply(
            f"{path} announced a reply of {length} bytes to '{_short(message)}', more than {most}",
            path,
            "raise max_reply if the pool really is this large"
            if most == max_reply
            else "no ckpool says that much to it: find out who does, with ss -xlp",
            reason="oversized_reply",
        )
    body = _read(conn, length, deadline)
    if len(body) < length:
        raise BadReply(
            f"{path} ended its reply to '{_short(message)}' after {len(body)} of {length} bytes",
            path,
            "the daemon may just have ended",
            reason="half_reply",
        )
    return body


def _read(conn: socket.socket, length: int, deadline: float) -> bytearray:
    """Read C(length) bytes, or fewer at the end of the stream. Memory grows with what arrives, not with what is announced."""
    data = bytearray()
    while len(data) < length:
        conn.settimeout(_left(deadline))
        chunk = conn.recv(min(length - len(data), _CHUNK))
        if not chunk:
            break
        data += chunk
    return data


def _left(deadline: float) -> float:
    """Seconds until the deadline. Never 0, which would mean non-blocking.

    :raises socket.timeout: it has passed. A peer that sends without a pause would never cause this itself.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout
    return left


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most] + "..."
