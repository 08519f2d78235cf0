# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One message, one reply, one deadline, over one of the daemon's unix sockets.

A message is a 4-byte little-endian length and that many bytes. The daemon reads one request on a connection, answers at
most once and closes. The four outcomes that are not a reply are exceptions of their own:
L(ClosedWithoutReply), L(Unanswered), and nobody there: L(Absent), L(Refused), L(NotPermitted).
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import struct
import time
import typing as t

from ._errors import PoolError, Unparsable

MAX_REPLY = 256 * 1024 * 1024  #: bytes, the default bound of a reply
_HEADER = struct.Struct("<I")
_CHUNK = 4 * 1024 * 1024
_MAX_SUN_PATH = 107

_CREATES = "it creates the user that it asks about"
#: Messages that a public build answers by crashing, or by creating the user that they ask about. The daemon compares
#: prefixes and ignores case, so these do too. The user is created on the stratifier only.
_HARMFUL = (
    ("stratifierstats", "it crashes a daemon that is not ready"),
    *((name, _CREATES) for name in ("getuser", "userclients", "ucinfo", "getworker", "workerclients", "wcinfo")),
)
_LISTENERS = ("listener", "pool")  #: the listener, and what the guide calls it


class NobodyThere(PoolError):
    """Nothing can be said to this socket."""

    phase = "connect"


class Absent(NobodyThere):
    """The path does not exist."""

    reason = "absent"


class Refused(NobodyThere):
    """The socket file is there, but nothing listens behind it."""

    reason = "refused"


class NotPermitted(NobodyThere):
    """This user may not use the socket."""

    reason = "not_permitted"


class NotASocket(NobodyThere):
    """The path is something else."""

    reason = "not_a_socket"


class Unanswered(PoolError):
    """Accepted, or queued, and not answered before the deadline."""

    reason = "unanswered"


class ClosedWithoutReply(PoolError):
    """The daemon read the message and closed: the command is unknown to it, or has no reply."""

    reason = "no_reply"


class BadReply(Unparsable):
    """A reply came, and it is cut off, too large, or not text."""

    reason = "bad_reply"


def exchange(
    path: str, message: str, timeout: float, max_reply: int = MAX_REPLY, dialect: str = "public", unsafe: bool = False
) -> bytearray:
    """Send one message and return the reply.

    :arg path: the socket.
    :arg message: the text to send; never empty.
    :arg timeout: seconds for the whole exchange, monotonic.
    :arg max_reply: bytes that the reply may have.
    :arg dialect: what the daemon is known to speak; the guide's stratifier checks a log level, others take any number.
    :arg unsafe: send it even if it is known to do harm.
    :raises PoolError: one of the types of this module.
    """
    why = "" if unsafe else harm(path, message, dialect)
    if why:
        raise PoolError(f"'{_short(message)}' is never sent to {path}: {why}", path, reason="harmful_message")
    deadline = time.monotonic() + timeout
    data = message.encode("utf-8")
    conn = _connect(path, deadline, timeout)
    try:
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
    path: str, message: str, timeout: float, max_reply: int = MAX_REPLY, dialect: str = "public", unsafe: bool = False
) -> str:
    """Send one message and return the reply as text.

    :raises BadReply: the reply is not UTF-8.
    """
    reply = exchange(path, message, timeout, max_reply, dialect, unsafe)
    try:
        return reply.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadReply(
            f"{path} answered '{_short(message)}' with {len(reply)} bytes that are not UTF-8 (byte {exc.start})",
            path,
            "is this socket a ckpool's?",
        ) from None


def ask_json(path: str, message: str, timeout: float, max_reply: int = MAX_REPLY) -> t.Any:
    """Send one message and return the reply, parsed from JSON.

    :raises BadReply: the reply is not JSON; its beginning is quoted.
    """
    text = ask_text(path, message, timeout, max_reply)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadReply(
            f"{path} answered '{_short(message)}' with text that is not JSON: {_short(text)!r}",
            path,
            "a reply such as 'unknown' or 'failed' means that this build does not know the command",
        ) from None


def harm(path: str, message: str, dialect: str = "public") -> str:
    """What harm a message does to a public build; empty if none is known."""
    lowered = message.lower()
    listener = os.path.basename(path) in _LISTENERS
    if not message:
        return "the daemon waits for the rest of it"
    if listener and lowered.startswith("{"):
        return "it is never answered, and leaks an open file of the daemon"
    if not listener and lowered.startswith("loglevel") and dialect != "guide":
        return "any number is taken there; the listener checks it"
    return next((why for beginning, why in _HARMFUL if lowered.startswith(beginning)), "")


def _connect(path: str, deadline: float, timeout: float) -> socket.socket:
    """Connect; a full backlog is waited for until the deadline, as only a stuck daemon has one."""
    folder = -1
    target = path
    if len(os.fsencode(path)) > _MAX_SUN_PATH:
        folder = _open_folder(path)
        target = f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    try:
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
                raise _nobody(exc, path) from None
    finally:
        if folder >= 0:
            os.close(folder)


def _open_folder(path: str) -> int:
    try:
        return os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise _nobody(exc, path) from None


def _nobody(exc: OSError, path: str) -> PoolError:
    """Which kind of nobody a failed connect means."""
    if exc.errno in (errno.ENOENT, errno.ENOTDIR):
        return Absent(f"{path} does not exist", path, "is the daemon running, and is this its socket directory?")
    if exc.errno in (errno.EACCES, errno.EPERM):
        return NotPermitted(f"not permitted to use {path}: {describe_access(path)}", path, access_hint(path))
    if exc.errno == errno.ECONNREFUSED:
        if not _is_socket(path):
            return NotASocket(f"{path} is not a socket", path, "is this the socket directory of a ckpool?")
        return Refused(f"nothing listens on {path}", path, "the daemon has ended and left its socket file behind")
    if exc.errno in (errno.ENOTSOCK, errno.EPROTOTYPE):
        return NotASocket(f"{path} is not a stream socket", path, "is this the socket directory of a ckpool?")
    return NobodyThere(f"cannot connect to {path}: {exc.strerror}", path, reason="cannot_connect")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _receive(conn: socket.socket, path: str, message: str, deadline: float, max_reply: int) -> bytearray:
    header = _read(conn, _HEADER.size, deadline)
    if not header:
        raise ClosedWithoutReply(
            f"{path} closed without a reply to '{_short(message)}'", path, "this build does not answer that command"
        )
    if len(header) < _HEADER.size:
        raise BadReply(f"{path} ended its reply to '{_short(message)}' in the middle of the length", path)
    (length,) = _HEADER.unpack(header)
    if length > max_reply:
        raise BadReply(
            f"{path} announced a reply of {length} bytes to '{_short(message)}', more than {max_reply}",
            path,
            "raise max_reply if the pool really is this large",
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
    """Read that many bytes, fewer only at the end. Memory grows with what arrives, not with what is promised."""
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

    :raises socket.timeout: it has passed, which a peer that never pauses would otherwise keep us from noticing.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout
    return left


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most] + "..."


def describe_access(path: str) -> str:
    """Owner, group and mode of the part of a path that stops us, and who we are."""
    blocked = _blocking_part(path)
    who = f"we are {user_name(os.geteuid())} (groups {', '.join(sorted(group_name(g) for g in _our_groups()))})"
    try:
        info = os.stat(blocked)
    except OSError as exc:
        return f"{blocked}: {exc.strerror}; {who}"
    mode = stat.filemode(info.st_mode)
    return f"{blocked} is {mode} {user_name(info.st_uid)}:{group_name(info.st_gid)}; {who}"


def access_hint(path: str) -> str:
    """What would help against a refused access."""
    try:
        info = os.stat(_blocking_part(path))
    except OSError:
        return "use become: true"
    return f"use become: true, or become_user: {user_name(info.st_uid)}, or join the group {group_name(info.st_gid)}"


def _blocking_part(path: str) -> str:
    """The outermost folder of a path that may not be searched, or the path itself."""
    parts = path.split("/")
    for end in range(2, len(parts)):
        folder = "/".join(parts[:end])
        if not os.access(folder, os.X_OK):
            return folder
    return path


def _our_groups() -> t.Set[int]:
    return set(os.getgroups()) | {os.getegid()}


def user_name(uid: int) -> str:
    """A user by name, or by number where it has none."""
    import pwd  # only a failure needs it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """A group by name, or by number where it has none."""
    import grp  # only a failure needs it

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
