# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real connections between real processes: who holds them, who reads them, and what closing them from outside does."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError, Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host import connections, pidfd, severing, silence
from ansible_collections.ckpool.fleet.plugins.module_utils._host.connections import stranded
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import start_ticks
from ansible_collections.ckpool.fleet.plugins.module_utils._host.severing import sever, way_to_sever

from tests.support import DEADLINE, wait_for

# A server that does as it is told, a word a line: it accepts connections, waits on them or not, reads or not, opens one
# of its own, and becomes another process that inherits everything, as the daemon does in its handover.
SERVER = r"""
import os, select, socket, sys, threading, time
kept, reading = [], threading.Event()
if sys.argv[1] == "new":
    server = socket.socket(family=int(sys.argv[3]), fileno=int(sys.argv[2]))
else:
    family = {"4": socket.AF_INET, "6": socket.AF_INET6}[sys.argv[2]]
    server = socket.socket(family)
    server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    server.listen(64)
watch = select.epoll() if sys.argv[1] != "blind" else None
if watch:
    watch.register(server.fileno(), select.EPOLLIN)
def read():
    while True:
        reading.wait()
        time.sleep(0.001)
        for connection in list(kept):
            try:
                connection.recv(65536, socket.MSG_DONTWAIT)
            except OSError:
                pass
threading.Thread(target=read, daemon=True).start()
print(server.getsockname()[1], flush=True)
for line in sys.stdin:
    word, _space, argument = line.strip().partition(" ")
    if word == "accept":
        kept.append(server.accept()[0])
        if watch and argument != "unwatched":
            watch.register(kept[-1].fileno(), select.EPOLLIN)
    elif word == "read":
        reading.set()
    elif word == "rest":
        reading.clear()
    elif word == "open":
        kept.append(socket.create_connection(("127.0.0.1", int(argument))))
    elif word == "become":
        for one in (server, *kept):
            os.set_inheritable(one.fileno(), True)
        os.execv(sys.executable, [sys.executable, sys.argv[0], "new", str(server.fileno()), str(int(server.family))])
    print("done", flush=True)
"""


class Server:
    """The server as seen from here."""

    def __init__(self, source: Path, kind: str = "watching", family: str = "4") -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(source), kind, family], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._host = "::1" if family == "6" else "127.0.0.1"
        self._clients: t.List[socket.socket] = []
        self.port = self._hear()

    def _hear(self) -> int:
        assert self._process.stdout
        word = self._process.stdout.readline().strip()
        return int(word) if word.isdigit() else 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ticks(self) -> int:
        ticks = start_ticks(self.pid)
        assert ticks is not None
        return ticks

    def tell(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()
        self._hear()

    def connect(self) -> socket.socket:
        self._clients.append(socket.create_connection((self._host, self.port), timeout=DEADLINE))
        return self._clients[-1]

    def serve(self, how: str = "") -> socket.socket:
        client = self.connect()
        self.tell(f"accept {how}".strip())
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> t.Iterator[t.Callable[..., Server]]:
    running: t.List[Server] = []
    source = tmp_path / "server.py"
    source.write_text(SERVER)

    def begin(*options: str) -> Server:
        running.append(Server(source, *options))
        return running[-1]

    yield begin
    for server in running:
        server.close()


Start = t.Callable[..., Server]
ways = pytest.mark.parametrize("way", severing.WAYS)


def of(server: Server, client: socket.socket) -> connections.Connection:
    """What the server holds of a client's connection."""
    port = client.getsockname()[1]
    return next(one for one in connections.held(server.pid).values() if one.remote[1] == port)


def is_cut_off(client: socket.socket, seconds: float = DEADLINE) -> bool:
    """Whether the other side has ended the connection."""
    if not select.select([client], [], [], seconds)[0]:
        return False
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def need(server: Server, way: str) -> None:
    works = {"pidfd": severing._has_pidfd, "sock_destroy": severing._has_sock_destroy}[way]
    if not works(server.pid):
        pytest.skip(f"{way} needs a newer kernel, or root")


@pytest.mark.parametrize("kind", ["watching", "blind"])
@pytest.mark.parametrize("family", ["4", "6"])
def test_connections_that_nobody_accepts_are_counted(start: Start, kind: str, family: str) -> None:
    server = start(kind, family)
    assert connections.queued(server.pid, 0.1) == 0
    for _client in range(3):
        server.connect()
    # The kernel may finish the last handshake of each after a busy machine has come to that.
    wait_for(lambda: connections.queued(server.pid, 0.1) == 3, "all three to be counted")
    server.tell("accept")
    assert connections.queued(server.pid, 0.1) == 2


def test_a_queue_that_moves_is_none(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    for _client in range(3):
        server.connect()
    monkeypatch.setattr(time, "sleep", lambda _seconds: server.tell("accept"))
    assert connections.queued(server.pid) == 0


def silent_for(server: Server) -> t.Optional[float]:
    """For how long nothing has come on the connections that a server opened itself."""
    return silence.seconds_of_silence(server.pid, connections.outgoing(server.pid))


def test_how_long_nothing_has_come_on_what_it_opened(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        server = start()
        need(server, "pidfd")
        assert silent_for(server) is None
        server.tell(f"open {upstream.getsockname()[1]}")
        accepted = upstream.accept()[0]
        server.serve().send(b"of a miner")
        before = silent_for(server)
        assert before is not None
        wait_for(lambda: (silent_for(server) or 0) > before + 0.2, "it to stay silent")
        wait_for(lambda: accepted.send(b"work") and (silent_for(server) or 0) <= before + 0.2, "it to be heard")
        accepted.close()


def test_without_handles_the_silence_is_not_known(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server, upstream = start(), start()
    server.tell(f"open {upstream.port}")

    def refused(_handle: int, _descriptor: int) -> int:
        raise PermissionError(1, "no")

    monkeypatch.setattr(pidfd, "copy_descriptor", refused)
    assert silent_for(server) is None
    assert len(connections.outgoing(server.pid)) == 1


@pytest.mark.parametrize("family", ["4", "6"])
def test_what_it_accepted_is_told_from_what_it_opened_and_from_what_waits(start: Start, family: str) -> None:
    server, upstream = start("watching", family), start()
    client = server.serve()
    server.connect()  # and nobody accepts it
    server.tell(f"open {upstream.port}")
    client.sendall(b"12345")
    (one,) = connections.held(server.pid).values()
    assert (one.local[1], one.remote[1]) == (server.port, client.getsockname()[1])
    assert (one.watched, connections.ports(server.pid)) == (True, {server.port})
    assert connections.accepted(server.pid, {server.port}) == {one.inode}
    loopback = "::1" if family == "6" else "127.0.0.1"
    assert connections.addresses(server.pid) == {(loopback, server.port)}
    address = socket.inet_pton(one.family, loopback)
    assert one.local[0] == address
    wait_for(lambda: of(server, client).waiting == 5, "what was sent")


def test_a_busy_server_strands_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    clients = [server.serve() for _number in range(5)]
    server.tell("read")

    def pause(_seconds: float) -> None:
        """Between two looks, it reads: in milliseconds, unless this machine is busy."""
        wait_for(lambda: not any(of(server, client).waiting for client in clients), "it to read")

    monkeypatch.setattr(connections, "time", types.SimpleNamespace(sleep=pause))
    for _turn in range(3):
        for client in clients:
            client.sendall(b"x" * 500)
        assert stranded(server.pid, lambda: None) == (0, [])


def test_what_nobody_waits_on_is_stranded_even_while_it_is_silent(start: Start) -> None:
    server = start()
    served, lost = server.serve(), server.serve("unwatched")
    server.tell("read")
    found = stranded(server.pid, lambda: 2, 0.2)
    assert found == (1, [of(server, lost)])
    served.close()


def test_what_comes_and_is_never_read_is_stranded(start: Start) -> None:
    """A receiver that has ended, or rejects, still waits on them as far as the kernel knows."""
    server = start()
    silent, talking = server.serve(), server.serve()
    server.tell("rest")
    talking.sendall(b"a share")
    wait_for(lambda: of(server, talking).waiting, "the arrival of what was sent")
    found = stranded(server.pid, lambda: 2, 0.2)
    assert found is not None
    assert (found[0], [one.inode for one in found[1]]) == (1, [of(server, talking).inode])
    server.tell("read")
    wait_for(lambda: stranded(server.pid, lambda: 2, 0.2) == (0, []), "it to read again")
    assert not is_cut_off(silent, 0)


@pytest.mark.parametrize(("own", "expected"), [(3, 0), (4, 0), (1, 2), (None, None)])
def test_a_server_that_does_not_wait_by_epoll_is_held_to_its_count(
    start: Start, own: t.Optional[int], expected: t.Optional[int]
) -> None:
    server = start("blind")
    for _number in range(3):
        server.serve()
    found = stranded(server.pid, lambda: own, 0.2)
    assert (found[0] if found else None) == expected


def test_a_process_of_somebody_else_cannot_be_looked_into(start: Start) -> None:
    with pytest.raises(Unreadable, match="open files of pid"):
        connections.held(2**22 + 1)


@ways
@pytest.mark.parametrize("family", ["4", "6"])
def test_the_ones_that_are_meant_are_closed_and_no_other(start: Start, way: str, family: str) -> None:
    server, upstream = start("watching", family), start()
    need(server, way)
    kept, lost = server.serve(), server.serve("unwatched")
    queued = server.connect()
    server.tell(f"open {upstream.port}")

    def ours() -> t.Set[t.Any]:
        """Of all connections here those of this test: others come and go meanwhile."""
        ports = {server.port, upstream.port}
        return {row for row in connections._rows(server.pid) if {row.local[1], row.remote[1]} & ports}

    everything = ours()
    assert sever(server.pid, server.ticks, [of(server, lost)], way) == 1
    assert is_cut_off(lost)
    assert not is_cut_off(kept, 0.1)
    assert not is_cut_off(queued, 0.1)
    gone = {row.local[1] for row in everything - ours()}
    assert gone <= {server.port, lost.getsockname()[1]}
    server.tell("accept")  # it listens on


@ways
def test_inherited_connections_are_closed_from_outside(start: Start, way: str) -> None:
    server = start()
    need(server, way)
    clients = [server.serve() for _number in range(3)]
    before = connections.held(server.pid)
    server.tell("become")
    fresh = server.serve()
    now = connections.held(server.pid)
    assert [now[inode].watched for inode in before] == [False] * 3
    found = stranded(server.pid, lambda: 1, 0.2)
    assert found is not None and found[0] == 3
    assert sever(server.pid, server.ticks, found[1], way) == 3
    assert [is_cut_off(client) for client in clients] == [True] * 3
    assert not is_cut_off(fresh, 0.1)
    assert stranded(server.pid, lambda: 1, 0.2) == (0, [])


@ways
def test_nothing_is_closed_that_is_not_a_connection_of_a_miner(start: Start, way: str) -> None:
    """Not the port itself, what it opened, a pipe, a connection of another process, or one that is gone."""
    server, upstream = start(), start()
    need(server, way)
    server.tell(f"open {upstream.port}")
    upstream.tell("accept")
    client = server.serve()
    foreign = upstream.serve()
    one = of(server, client)
    rows = connections._rows(server.pid)
    asked = [
        connections.Connection(row.inode, number, row.family, row.local, row.remote)
        for row in rows
        if row.inode != one.inode
        for number in range(3)
    ]
    assert sever(server.pid, server.ticks, asked, way) == 0
    assert not is_cut_off(client, 0.1)
    assert not is_cut_off(foreign, 0.1)
    client.close()
    wait_for(lambda: one.inode not in connections.held(server.pid), "the end of the connection")
    assert sever(server.pid, server.ticks, [one], way) == 0


@ways
def test_another_process_with_the_same_number_keeps_its_connections(start: Start, way: str) -> None:
    server = start()
    need(server, way)
    client = server.serve()
    with pytest.raises(PoolError, match="another process by now"):
        sever(server.pid, server.ticks + 1, [of(server, client)], way)
    assert not is_cut_off(client, 0.1)


def test_the_way_is_known_beforehand(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    client = server.serve()
    assert way_to_sever(server.pid) in (*severing.WAYS, "none")
    monkeypatch.setattr(pidfd, "_system_call", refuse)
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert way_to_sever(server.pid) in ("sock_destroy", "none")
    monkeypatch.setattr(severing, "_request_destroy", lambda one: -95)  # EOPNOTSUPP
    assert way_to_sever(server.pid) == "none"
    assert not is_cut_off(client, 0.1)


def refuse(*_arguments: int) -> int:
    raise OSError(38, "Function not implemented")
