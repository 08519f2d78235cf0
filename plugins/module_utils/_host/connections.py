# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that a process has accepted from miners, and which of them are stranded.

Sources: proc(5) (net/tcp, fd, fdinfo of an epoll).
"""

from __future__ import annotations

import socket
import struct
import time
import typing as t

from .process import descriptors

_ESTABLISHED, _LISTENING = "01", "0A"
_EPOLL = "anon_inode:[eventpoll]"
_SOCKET = "socket:["
_LOOKS = 5  #: at a queue, before it counts as unread


class Connection(t.NamedTuple):
    """One TCP connection, as the kernel lists it.

    :ivar inode: names the socket for as long as it lives.
    :ivar descriptor: its number in the process.
    :ivar waiting: bytes that have arrived and were not read.
    :ivar watched: whether the process waits for data on it; None if that cannot be seen.
    :ivar local: address and port, as the kernel has them.
    """

    inode: int
    descriptor: int
    family: int
    local: t.Tuple[bytes, int]
    remote: t.Tuple[bytes, int]
    waiting: int = 0
    watched: t.Optional[bool] = None


class _Row(t.NamedTuple):
    family: int
    local: t.Tuple[bytes, int]
    remote: t.Tuple[bytes, int]
    state: str
    waiting: int
    inode: int


def held(pid: int) -> t.Dict[int, Connection]:
    """The established connections that a process holds on the ports that it listens on, by inode.

    Those that it opened itself, as to its bitcoind, are on other ports.

    :raises Unreadable: we are neither root nor its owner.
    """
    opened = descriptors(pid)
    sockets = {int(link[len(_SOCKET) : -1]): number for number, link in opened.items() if link.startswith(_SOCKET)}
    rows = list(_rows(pid))
    ports = {row.local[1] for row in rows if row.state == _LISTENING and row.inode in sockets}
    watched = _watched(pid, opened)
    return {
        row.inode: Connection(
            row.inode,
            sockets[row.inode],
            row.family,
            row.local,
            row.remote,
            row.waiting,
            None if watched is None else row.inode in watched,
        )
        for row in rows
        if row.state == _ESTABLISHED and row.inode in sockets and row.local[1] in ports
    }


def outgoing(pid: int) -> t.Dict[int, int]:
    """The established connections that a process opened itself, on ports that it does not listen on: descriptor to inode.

    :raises Unreadable: we are neither root nor its owner.
    """
    links = {link: number for number, link in descriptors(pid).items() if link.startswith(_SOCKET)}
    rows = [row for row in _rows(pid) if f"{_SOCKET}{row.inode}]" in links]
    listening = {row.local[1] for row in rows if row.state == _LISTENING}
    own = [row.inode for row in rows if row.state == _ESTABLISHED and row.local[1] not in listening]
    return {links[f"{_SOCKET}{inode}]"]: inode for inode in own}


def ports(pid: int) -> t.Set[int]:
    """The TCP ports that a process listens on.

    :raises Unreadable: we are neither root nor its owner.
    """
    return {row.local[1] for row in _listening(pid)}


def addresses(pid: int) -> t.Set[t.Tuple[str, int]]:
    """The TCP addresses and ports that a process listens on; an empty address is every one of the host.

    :raises Unreadable: we are neither root nor its owner.
    """
    return {(_text_of(row.family, row.local[0]), row.local[1]) for row in _listening(pid)}


def _text_of(family: int, address: bytes) -> str:
    return socket.inet_ntop(family, address) if any(address) else ""


def listening(pid: int) -> t.Set[int]:
    """The inodes of the sockets with which a process listens on TCP ports.

    :raises Unreadable: we are neither root nor its owner.
    """
    return {row.inode for row in _listening(pid)}


def _listening(pid: int) -> t.List[_Row]:
    links = set(descriptors(pid).values())
    return [row for row in _rows(pid) if row.state == _LISTENING and f"{_SOCKET}{row.inode}]" in links]


def is_serving(pid: int) -> bool:
    """Whether a process waits for new connections on a port that it listens on, as far as that can be seen.

    :raises Unreadable: we are neither root nor its owner.
    """
    watched = _watched(pid, descriptors(pid))
    return watched is None or any(row.state == _LISTENING and row.inode in watched for row in _rows(pid))


def accepted(pid: int, at: t.Collection[int]) -> t.Set[int]:
    """The inodes of the established connections on some ports that any process has accepted. This is cheap.

    A connection that still waits in the queue of its port has no inode yet.
    """
    return {row.inode for row in _rows(pid) if row.state == _ESTABLISHED and row.local[1] in at and row.inode}


def stranded(
    pid: int, counted: t.Callable[[], t.Optional[int]], seconds: float = 2.0
) -> t.Optional[t.Tuple[int, t.List[Connection]]]:
    """The number of connections that are open but read by nobody, and those of them that can be named; None if not known.

    These are the ones that the process does not wait on (it inherited them from the one before it), and the ones on which
    bytes have arrived and were not read at any of several looks (it rejects, or its receiver is gone). A process that waits
    by other means than epoll is judged by its own count: it cannot serve more connections than that.

    A busy daemon reads within milliseconds, so one look is enough for a healthy one.

    :arg counted: asks the process for its own count; returns None if it does not give one.
    :arg seconds: the time over which the looks are spread.
    :raises Unreadable: we are neither root nor its owner.
    """
    looks = [held(pid)]
    # All that were there at the first look and are served are in what it counts after that.
    blind = any(one.watched is None for one in looks[0].values())
    own = counted() if blind else None
    surplus = len(looks[0]) - own if own is not None else 0
    if not any(_is_suspect(one) for one in looks[0].values()) and surplus <= 0:
        return None if blind and own is None else (0, [])
    for _look in range(_LOOKS - 1):
        time.sleep(seconds / (_LOOKS - 1))
        looks.append(held(pid))
    lasting = set(looks[0]).intersection(*looks[1:])
    known = [looks[-1][inode] for inode in sorted(lasting) if _is_unread([look[inode] for look in looks])]
    if blind and own is None:
        return (len(known), known) if known else None
    surplus = len(lasting) - own if blind and own is not None else 0
    return max(len(known), surplus), known


def queued(pid: int, seconds: float = 2.0) -> int:
    """The number of connections that wait to be accepted on the ports of a process, of which none was at several looks.

    A daemon accepts within milliseconds, unless it was told to reject, or the thread that accepts has ended.

    :arg seconds: the time over which the looks are spread.
    :raises Unreadable: we are neither root nor its owner.
    """
    numbers = [_queued(pid)]
    while numbers[-1] and len(numbers) < _LOOKS:
        time.sleep(seconds / (_LOOKS - 1))
        numbers.append(_queued(pid))
    return numbers[0] if numbers == sorted(numbers) else 0


def _queued(pid: int) -> int:
    # Of a socket that listens, the kernel shows its queue of connections in place of bytes.
    return sum(row.waiting for row in _listening(pid))


def _is_suspect(one: Connection) -> bool:
    return one.watched is False or one.waiting > 0


def _is_unread(seen: t.Sequence[Connection]) -> bool:
    """Whether a connection was not read, by several looks at it."""
    if all(one.watched is False for one in seen):
        return True
    queue = [one.waiting for one in seen]
    return min(queue) > 0 and queue == sorted(queue)


def _watched(pid: int, opened: t.Dict[int, str]) -> t.Optional[t.Set[int]]:
    """The inodes of what a process waits on with epoll; None if it does not use epoll, or the kernel does not say."""
    found: t.Set[int] = set()
    is_known = False
    for number, link in opened.items():
        if link == _EPOLL:
            lines = _lines(f"/proc/{pid}/fdinfo/{number}")
            targets = [line.partition("ino:")[2].split(None, 1)[:1] for line in lines if line.startswith("tfd:")]
            is_known = is_known or any(targets)
            found.update(int(words[0], 16) for words in targets if words)
    return found if is_known else None


def _rows(pid: int) -> t.Iterator[_Row]:
    """The TCP sockets of the process's own network namespace."""
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in _lines(f"/proc/{pid}/net/{name}")[1:]:
            words = line.split()
            if len(words) >= 10 and words[3] in (_ESTABLISHED, _LISTENING):
                waiting = int(words[4].partition(":")[2], 16)
                yield _Row(int(family), _end(words[1]), _end(words[2]), words[3], waiting, int(words[9]))


def _end(text: str) -> t.Tuple[bytes, int]:
    """Address and port. The address is printed as 32-bit numbers in the byte order of the machine."""
    address, _colon, port = text.partition(":")
    numbers = (int(address[place : place + 8], 16) for place in range(0, len(address), 8))
    return b"".join(struct.pack("=I", number) for number in numbers), int(port, 16)


def _lines(path: str) -> t.List[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return handle.read().splitlines()
    except OSError:
        return []
