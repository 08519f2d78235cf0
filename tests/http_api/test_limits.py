# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What readers can do to the service: many, slow, silent, greedy. It stays small, quick, and gentle to the pool."""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import os
import resource
import shutil
import socket
import threading
import time

import pytest

from tests.http_api.conftest import PATIENT, Place
from tests.http_api.test_gate import certificate
from tests.support import DEADLINE, Simulated, is_alive, wait_for
from tests.support.http_service import PATHS, HttpService
from tests.support.target import SIMULATIONS

IDLE = 1000
MOST_MEMORY = 80_000_000  #: bytes
REQUEST = b"GET /pools HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connected(service: HttpService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), DEADLINE)


def ends(conn: socket.socket) -> bool:
    """Whether the service has closed a connection. What it sent before that is read."""
    conn.setblocking(False)
    try:
        while conn.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def test_a_thousand_idle_connections(host: Place) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 500:
        pytest.skip(f"no more than {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 500), hard))
    host.pool().wait_for_statistics()
    service = host.service(header_seconds=300)
    service.get("/health")
    with contextlib.ExitStack() as stack:
        for _unused in range(IDLE):
            stack.enter_context(connected(service))
        wait_for(lambda: f"ckpool_http_connections {IDLE + 1}.0" in service.get("/metrics").text, "the connections")
        worked = service.processor_seconds
        assert service.get("/health").status == 200
        assert service.processor_seconds - worked < 1
        assert service.memory < MOST_MEMORY


def test_a_silent_connection_is_closed(host: Place) -> None:
    service = host.service(header_seconds=1)
    began = time.monotonic()
    with connected(service) as conn:
        assert conn.recv(100) == b""
        assert 0.9 < time.monotonic() - began < DEADLINE


@pytest.mark.parametrize(
    "part", [b"G", REQUEST[:-2], b"GET /pools HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_request_that_is_not_completed(host: Place, part: bytes) -> None:
    """A byte now and then does not keep the connection open."""
    service = host.service(header_seconds=1, max_body=10)
    with connected(service) as conn:
        conn.sendall(part)
        found = b""
        deadline = time.monotonic() + DEADLINE
        conn.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                conn.sendall(b"X")
                chunk = conn.recv(65536)
            except socket.timeout:
                continue
            except OSError:
                break
            if not chunk:
                break
            found += chunk
        assert time.monotonic() < deadline, "it was closed"
        assert b" 408 " in found or found == b"" or b" 200 " in found
    assert service.get("/pools").status == 200


def test_a_connection_may_be_used_again(host: Place) -> None:
    service = host.service()
    with connected(service) as conn:
        for _unused in range(3):
            conn.sendall(REQUEST)
            read_answers(conn, 1)
        conn.sendall(REQUEST * 3)  # before the answers are read
        read_answers(conn, 3)


def read_answers(conn: socket.socket, count: int) -> None:
    found = b""
    while found.count(b'"pools":') < count:
        chunk = conn.recv(65536)
        assert chunk, "the connection was closed"
        found += chunk


def test_the_oldest_idle_connection_makes_room(host: Place) -> None:
    service = host.service(max_connections=3, header_seconds=300)
    with contextlib.ExitStack() as stack:
        first, *others = [stack.enter_context(connected(service)) for _unused in range(3)]
        assert service.get("/pools").status == 200
        wait_for(lambda: ends(first), "the oldest to be closed")
        assert not any(map(ends, others))


def test_handshakes_that_do_not_end(host: Place) -> None:
    """They hold up nobody, take no more file numbers than connections may, and are closed in time."""
    service = host.service(max_connections=50, header_seconds=12, **certificate(host.folder / "tls"))
    usual = len(os.listdir(f"/proc/{service.pid}/fd"))
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(service)) for _unused in range(400)]
        assert service.get("/pools").status == 200
        assert not ends(silent[-1]), "which did not wait for the others"
        wait_for(lambda: len(os.listdir(f"/proc/{service.pid}/fd")) < usual + 100, "the oldest to be closed")
        assert ends(silent[0])
        wait_for(lambda: all(map(ends, silent)), "all to be closed")
    wait_for(lambda: is_served(service), "room for others")


def is_served(service: HttpService) -> bool:
    try:
        return service.get("/pools").status == 200
    except OSError:
        return False


def test_connections_that_are_served_are_kept(host: Place) -> None:
    """While all are busy, a new one is closed."""
    host.pool(faults=[{"fault": "hung"}])
    service = host.service(max_connections=2, timeout=8)
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(connected(service)) for _unused in range(2)]
        for conn in busy:
            conn.sendall(b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(host.pools["ckpool"].record, "their question")
        third = stack.enter_context(connected(service))
        wait_for(lambda: ends(third), "the new one to be closed")
        for conn in busy:
            assert b" 503 " in conn.recv(65536)


def test_more_requests_than_there_are_places(host: Place) -> None:
    host.pool(faults=[{"fault": "hung"}])
    service = host.service(max_requests=1, timeout=5, cache_seconds=60)
    with concurrent.futures.ThreadPoolExecutor(60) as askers:
        found = list(askers.map(lambda _number: service.get("/stats"), range(60)))
    assert {reply.status for reply in found} == {503}
    assert {reply.error["reason"] for reply in found} <= {"busy", "hung", "too_late"}
    busy = [reply for reply in found if reply.error["reason"] == "busy"]
    assert busy and all(reply.headers["retry-after"] == "1" for reply in busy)
    wait_for(lambda: service.get("/stats").error["reason"] == "hung", "a place, and the verdict")


def make_users(pool: Simulated, count: int) -> None:
    """Give a pool many users, like the ones that it has."""
    folder = pool.log_dir / "users"
    source = next(path for path in folder.iterdir() if path.is_file())
    text = source.read_text()
    for number in range(count):
        (folder / f"1{number:033d}").write_text(text.replace(source.name, f"1{number:033d}"))


def test_a_reader_that_does_not_read(host: Place) -> None:
    pool = host.pool(users=1)
    pool.wait_for_statistics()
    make_users(pool, 3000)
    service = host.service(header_seconds=2)
    assert len(service.get("/users").json["users"]) == 1000
    before = service.memory
    with contextlib.ExitStack() as stack:
        greedy = []
        for _unused in range(50):
            conn = socket.socket()
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            conn.connect(("127.0.0.1", service.port))
            conn.sendall(b"GET /users HTTP/1.1\r\nHost: localhost\r\n\r\n")
            greedy.append(stack.enter_context(conn))
        assert service.get("/health").status == 200
        assert service.memory - before < 20_000_000
        wait_for(lambda: " 1.0" in connections(service), "the greedy ones to be closed")


def connections(service: HttpService) -> str:
    lines = service.get("/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("ckpool_http_connections "))


def test_memory_with_ten_thousand_users(host: Place) -> None:
    pool = host.pool(users=1)
    pool.wait_for_statistics()
    make_users(pool, 10_000)
    service = host.service(top_users=100, timeout=60)
    assert service.get("/users?limit=1000").json["total"] == 10_001
    assert service.get("/workers?limit=1000").json["total"] == 20_002
    assert 'ckpool_user_workers{pool="ckpool",user=' in service.get("/metrics").text
    assert service.memory < MOST_MEMORY


def test_messages_that_are_sent_side_by_side_count_before_they_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in PATHS:
        monkeypatch.syspath_prepend(str(folder))
    ledger = importlib.import_module("ckpool_http.meter").Ledger(1.0)
    assert [ledger.begin() for _unused in range(61)] == [True] * 60 + [False]
    for _unused in range(60):
        ledger.end(is_sent=False)
    assert (ledger.total, ledger.has_room(60)) == (0, True)
    assert all(ledger.begin() for _unused in range(60))
    for _unused in range(60):
        ledger.end(is_sent=True)
    assert (ledger.total, ledger.begin()) == (60, False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["2026", "guide", "api"])
def test_the_pool_is_asked_gently(host: Place, kind: str) -> None:
    """Whatever is asked, and however often: at most 60 messages in a minute, so at most 60 in any part of it."""
    pool = host.pool(**SIMULATIONS[kind])
    pool.wait_for_statistics()
    service = host.service()
    paths = ("stats", "users", "workers", "summary", "blocks", "health", "workbase", "metrics")
    wants = threading.Event()

    def ask(number: int) -> int:
        count = 0
        while not wants.is_set():
            assert service.get(f"/{paths[(number + count) % len(paths)]}").status == 200
            count += 1
        return count

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as askers:
        jobs = [askers.submit(ask, number) for number in range(4)]
        time.sleep(25)  # the length of the measurement
        wants.set()
        asked = sum(job.result() for job in jobs)
    assert asked > 100
    sent, seconds = len(pool.record()), time.monotonic() - began
    assert 4 <= sent <= min(seconds + 17, 60 * (1 + seconds // 60))

    def counted() -> bool:
        lines = service.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith("ckpool_http_messages_total")).split()[1]) >= sent

    wait_for(counted, "metrics that are as new as the record")


def test_a_full_disk_stops_nothing(host: Place) -> None:
    """Nothing is written: with files that may not have a byte, all paths answer."""
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit")
    host.pool().wait_for_statistics()
    limited = (*host.prefix, "prlimit", "--fsize=0")
    with HttpService(host.folder, limited, **PATIENT) as service:
        for path in (
            "stats",
            "users",
            "workers",
            "summary",
            "blocks",
            "health",
            "workbase",
            "metrics",
            "pools",
            "openapi.json",
        ):
            assert service.get(f"/{path}").status == 200
        assert service.log.read_bytes() == b"", "not even what it has to say could be written"


def test_it_ends_at_once(host: Place) -> None:
    host.pool(faults=[{"fault": "hung"}])
    service = host.service(timeout=3)
    with concurrent.futures.ThreadPoolExecutor(2) as askers:
        waiting = askers.submit(service.get, "/stats")
        wait_for(host.pools["ckpool"].record, "the question")
        pid = service.pid
        service.signal(15)
        assert waiting.result().status == 503, "what was asked before is answered"
        wait_for(lambda: not is_alive(pid), "its end")
