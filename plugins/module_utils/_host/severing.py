# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closing the connections of another process from outside.

Sources: pidfd_getfd(2), sock_diag(7) (SOCK_DESTROY), setns(2).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import typing as t

from .._errors import PoolError, Unreadable
from . import pidfd
from .connections import Connection, held
from .process import descriptors, start_ticks

_CLONE_NEWNET = 0x40000000
_NETLINK_SOCK_DIAG, _SOCK_DESTROY, _REQUEST_ACK = 4, 21, 0x0005
_NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")

#: Ways to close a connection from outside, best first: by a copy of the process's own descriptor, or by the kernel.
WAYS = ("pidfd", "sock_destroy")


def way_to_sever(pid: int) -> str:
    """The best way to close connections of a process here, determined without closing any; C(none) if there is none."""
    for way, works in (("pidfd", _has_pidfd), ("sock_destroy", _has_sock_destroy)):
        if works(pid):
            return way
    return "none"


def sever(pid: int, ticks: int, connections: t.Iterable[Connection], way: str) -> int:
    """Close connections of a process on both sides; the number that were closed. The miner at the other end notices at once.

    Only established connections on ports that the process listens on, and that it holds at this moment, are closed: never a
    listening socket, and never a connection that it opened itself.

    :arg ticks: when the process started, in clock ticks.
    :raises PoolError: the process is another one by now, or this is not permitted.
    """
    wanted = {one.inode for one in connections}
    try:
        now = [one for inode, one in held(pid).items() if inode in wanted]
        return _copies(pid, ticks, now) if way == "pidfd" else _destroy(pid, ticks, now)
    except OSError as exc:
        hint = "use become: true" if isinstance(exc, PermissionError) else ""
        raise PoolError(
            f"cannot close connections of pid {pid}: {exc.strerror}", hint=hint, reason="not_severed"
        ) from None


def _copies(pid: int, ticks: int, connections: t.Sequence[Connection]) -> int:
    """Close connections by copies of the process's own descriptors.

    :raises OSError: the kernel does not give them.
    """
    done = 0
    with pidfd.handle_on(pid) as handle:
        _expect(pid, ticks)
        for one in connections:
            try:
                copy = socket.socket(fileno=pidfd.copy_descriptor(handle, one.descriptor))
            except OSError as exc:
                if isinstance(exc, PermissionError):
                    raise
                continue  # it was closed meanwhile
            with copy:
                if os.fstat(copy.fileno()).st_ino == one.inode and _is_connection(copy, one):
                    with contextlib.suppress(OSError):  # its miner has just left
                        copy.shutdown(socket.SHUT_RDWR)
                        done += 1
    return done


def _is_connection(copy: socket.socket, one: Connection) -> bool:
    """Whether a socket is the connection that was listed: a descriptor may be reused at any moment."""
    try:
        is_listening = bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        return not is_listening and (copy.getsockname()[1], copy.getpeername()[1]) == (one.local[1], one.remote[1])
    except OSError:
        return False


def _expect(pid: int, ticks: int) -> None:
    """Raise unless the process is the one that started then.

    :raises PoolError: it is another one.
    """
    if start_ticks(pid) != ticks:
        raise PoolError(f"pid {pid} is another process by now", reason="another_process", hint="look again")


def _has_pidfd(pid: int) -> bool:
    """Whether descriptors of a process can be copied: tried with one whose copy is closed at once."""
    try:
        with pidfd.handle_on(pid) as handle:
            os.close(pidfd.copy_descriptor(handle, min(descriptors(pid))))
    except (OSError, ValueError, Unreadable):
        return False
    return True


def _has_sock_destroy(pid: int) -> bool:
    """Whether the kernel closes connections on request: tried with an impossible one, from port 0 to port 0."""
    impossible = Connection(0, 0, int(socket.AF_INET), (bytes(4), 0), (bytes(4), 0))
    try:
        return _in_network_of(pid, lambda: _request_destroy(impossible)) == -2  # ENOENT
    except OSError:
        return False


def _destroy(pid: int, ticks: int, connections: t.Sequence[Connection]) -> int:
    """Make the kernel close connections; the number that were closed.

    :raises OSError: it does not.
    """
    _expect(pid, ticks)
    return _in_network_of(pid, lambda: sum(not _request_destroy(one) for one in connections))


def _request_destroy(one: Connection) -> int:
    """The kernel's answer to SOCK_DESTROY, 0 or a negative error.

    :raises OSError: it did not answer.
    """
    ends = struct.pack("!HH", one.local[1], one.remote[1])
    ends += one.local[0].ljust(16, b"\0") + one.remote[0].ljust(16, b"\0")
    body = struct.pack("=BBBBI", one.family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + ends
    body += struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(5.0)
        link.bind((0, 0))
        link.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DESTROY, _REQUEST_ACK, 1, 0) + body)
        answer = link.recv(4096)
    return int(struct.unpack_from("=i", answer, _HEADER.size)[0])


def _in_network_of(pid: int, work: t.Callable[[], int]) -> int:
    """Do something in the network namespace of a process, such as that of a container. This process stays in its own.

    :raises OSError: it may not be entered.
    """
    theirs, ours = (os.stat(f"/proc/{which}/ns/net") for which in (pid, "self"))
    if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
        return work()
    results: t.List[t.Union[int, OSError]] = []

    def there() -> None:
        try:
            _enter_network(pid)
            results.append(work())
        except OSError as exc:
            results.append(exc)

    thread = threading.Thread(target=there)  # each thread has a namespace, which ends with it
    thread.start()
    thread.join()
    if isinstance(results[0], OSError):
        raise results[0]
    return results[0]


def _enter_network(pid: int) -> None:
    """Enter the network namespace of a process, with this thread alone.

    :raises OSError: it may not be entered.
    """
    import ctypes

    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(handle, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(handle)
