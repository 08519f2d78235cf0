# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One GET to services that answer rightly, wrongly, slowly and not at all."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible")

from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services import http as client
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services.service import NoAnswer, Service

from tests.support.certificates import Authority
from tests.support.exchange import free_port
from tests.support.fake_service import FakeService, http
from tests.support.waiting import DEADLINE

SHORT = 0.3  #: seconds, where a test waits for a timeout
LONG = 3.0  #: the same, where something has to come before that, on a busy machine too


def get(service: Service, most: int = 1000, path: str = "/health") -> client.Answer:
    async def main() -> client.Answer:
        return await client.get(service, path, client.Contexts().of(service), most)

    return asyncio.run(main())


def at(port: int, **changes: t.Any) -> Service:
    return dataclasses.replace(Service(False, "127.0.0.1", port, timeout=DEADLINE), **changes)


def answer_to(*sent: t.Optional[bytes], most: int = 1000, **changes: t.Any) -> client.Answer:
    with FakeService(lambda _path: sent) as fake:
        return get(at(fake.port, **changes), most)


def failure_of(*sent: t.Optional[bytes], most: int = 1000, **changes: t.Any) -> NoAnswer:
    with pytest.raises(NoAnswer) as caught:
        answer_to(*sent, most=most, **changes)
    assert caught.value.hint
    assert caught.value.with_hint.isprintable()
    return caught.value


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        (http(b"{body}"),),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"{bo", b"dy}"),
        (b"HTTP/1.0 200 OK\r\n\r\n{body}",),
        (b"HTTP/1.1 200\r\ncontent-LENGTH:6\r\n\r\n{body}trailing",),
        (CHUNKED, b"1;x=y\r\n{\r\n", b"5\r\nbody}\r\n0\r\n\r\n"),
        (*(bytes([byte]) for byte in http(b"{body}")),),
        (http(b"{body}"), None),  # it keeps the connection
        (CHUNKED + b"6\r\n{body}\r\n0\r\n\r\n", None),
    ],
)
def test_answer(sent: t.Tuple[t.Optional[bytes], ...]) -> None:
    found = answer_to(*sent)
    assert (found.status, found.body) == (200, b"{body}")


def test_request() -> None:
    with FakeService(lambda _path: [http(b"")]) as fake:
        get(at(fake.port, path="/pool-1", token="s3cret"))
        get(at(fake.port, address="localhost"))
        first, second = fake.requests
    assert first.startswith("GET /pool-1/health HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{fake.port}\r\n" in first
    assert "\r\nAuthorization: Bearer s3cret\r\n" in first
    assert "\r\nConnection: close\r\n" in first
    assert f"\r\nHost: localhost:{fake.port}\r\n" in second
    assert "Authorization" not in second


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with FakeService(lambda _path: [http(b"", "302 Found", headers=["Location: /elsewhere"])]) as fake:
        found = get(at(fake.port))
    assert (found.status, found.headers["location"], len(fake.requests)) == (302, "/elsewhere", 1)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ((), "closes the connection without an answer"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), "speaks no HTTP"),
        ((b"HTTP/1.1 999 x\r\n\r\n",), "speaks no HTTP"),
        ((b"HTTP/1.1 2000 x\r\n\r\n",), "speaks no HTTP"),
        ((b"\x1b[31m\xff\r\n\r\n",), "speaks no HTTP"),
        ((b"HTTP/1.1 200 OK\r\n",), "cut off"),
        ((b"x" * 100_000,), "headers of more than 32 KiB"),
        ((http(b"half", length=8),), "broke off after 4 bytes"),
        ((CHUNKED + b"8\r\nhalf",), "broke off after 4 bytes"),
        ((CHUNKED + b"4\r\nhalf\r\n",), "broke off after 4 bytes"),
        ((CHUNKED + b"x\r\n",), "an odd chunk"),
        ((CHUNKED + b"-1\r\n",), "an odd chunk"),
        ((CHUNKED + b"1\r\nlonger\r\n",), "an odd chunk"),
        ((CHUNKED + b"1" * 100_000,), "an odd chunk"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",), "transfer encoding"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",), "an odd Content-Length"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",), "an odd Content-Length"),
        ((http(b"", length=1001),), "larger than 1000 bytes"),
        ((http(b"", length=10**15),), "larger than 1000 bytes"),
        ((b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1001, None), "larger than 1000 bytes"),
        ((CHUNKED + b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n",), "larger than 1000 bytes"),
    ],
)
def test_what_is_no_answer(sent: t.Tuple[t.Optional[bytes], ...], message: str) -> None:
    found = failure_of(*sent)
    assert message in str(found)
    assert not found.is_unreachable


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ((None,), "accepts the connection, and answers nothing within 3 s"),
        ((b"HTTP/1.1 200", None), "accepts the connection, and answers nothing within 3 s"),
        ((http(b"half", length=8), None), "not complete within 3 s: 4 bytes came"),
        ((CHUNKED + b"8\r\nhalf", None), "not complete within 3 s: 4 bytes came"),
        ((b"HTTP/1.1 200 OK\r\n\r\nhalf", None), "not complete within 3 s: 4 bytes came"),
    ],
)
def test_a_service_that_hangs(sent: t.Tuple[t.Optional[bytes], ...], message: str) -> None:
    started = time.monotonic()
    found = failure_of(*sent, timeout=LONG)
    assert message in str(found)
    assert not found.is_unreachable
    assert time.monotonic() - started < DEADLINE


def test_a_trickle_does_not_prolong_the_time() -> None:
    def trickle(_path: str) -> t.Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        for _number in range(1000):
            time.sleep(0.02)
            yield b"x"

    with FakeService(trickle) as fake, pytest.raises(NoAnswer, match=r"not complete within 3 s"):
        get(at(fake.port, timeout=LONG))


def test_nobody_listens() -> None:
    with pytest.raises(NoAnswer, match="Connection refused") as caught:
        get(at(free_port()))
    assert caught.value.is_unreachable
    assert "does the service run there" in caught.value.hint


def test_a_full_queue_of_connections() -> None:
    """As a firewall that drops what it does not like: nothing comes back."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _number in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        with pytest.raises(NoAnswer, match=r"within 0\.3 s"):
            get(at(port, timeout=SHORT))
        for one in waiting:
            one.close()


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(NoAnswer, match=r"the name pool1\.invalid cannot be resolved") as caught:
        get(at(1, address="pool1.invalid"))
    assert caught.value.is_unreachable
    assert "ansible_host" in caught.value.hint


def slow_lookup(*_args: t.Any, **_more: t.Any) -> t.List[t.Any]:
    time.sleep(DEADLINE)
    return []


def test_a_name_service_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for its thread, at the end neither."""
    monkeypatch.setattr(socket, "getaddrinfo", slow_lookup)
    started = time.monotonic()
    with pytest.raises(NoAnswer, match=r"was not resolved within 0\.3 s") as caught:
        get(at(1, address="pool1.invalid", timeout=SHORT))
    assert caught.value.is_unreachable
    assert time.monotonic() - started < DEADLINE


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeService(lambda _path: [http(b"{}")]) as fake:
        infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (free_port(), fake.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: infos)
        assert get(at(fake.port, address="pool1.example.org")).status == 200


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def secure(fake: FakeService, authority: Authority, **changes: t.Any) -> Service:
    return at(fake.port, **{"is_tls": True, "ca_file": str(authority.file), **changes})


def test_tls(authority: Authority) -> None:
    with FakeService(lambda _path: [http(b"{}")], authority.server()) as fake:
        assert get(secure(fake, authority, token="s3cret")).body == b"{}"
        assert "Bearer s3cret" in fake.requests[0]


@pytest.mark.parametrize(
    ("server", "changes", "message", "hint"),
    [
        ({"days": -2}, {}, "certificate has expired", "renew"),
        ({"signed": False}, {}, "self-signed certificate", "health_check_http_ca_file"),
        ({}, {"ca_file": None}, "unable to get local issuer certificate", "health_check_http_ca_file"),
        ({"address": "127.0.0.2"}, {}, "IP address mismatch", "health_check_http_url"),
        ({}, {"address": "localhost"}, "Hostname mismatch", "health_check_http_url"),
    ],
)
def test_a_certificate_that_is_not_accepted(
    authority: Authority, server: t.Any, changes: t.Any, message: str, hint: str
) -> None:
    with FakeService(lambda _path: [http(b"{}")], authority.server(**server)) as fake:
        with pytest.raises(NoAnswer, match=r"certificate of .* is not accepted") as caught:
            get(secure(fake, authority, token="s3cret", **changes))
        assert message in str(caught.value)
        assert hint in caught.value.hint
        assert not caught.value.is_unreachable
        assert fake.requests == []
        assert get(secure(fake, authority, verifies=False, **changes)).status == 200


def test_tls_where_there_is_none(authority: Authority) -> None:
    with FakeService(lambda _path: [http(b"{}")]) as fake, pytest.raises(NoAnswer, match="no TLS with") as caught:
        get(secure(fake, authority))
    assert "does the service expect http?" in caught.value.hint


def test_no_tls_where_there_is(authority: Authority) -> None:
    tls = authority.server()
    with FakeService(lambda _path: [http(b"{}")], tls) as fake, pytest.raises(NoAnswer) as caught:
        get(at(fake.port))
    assert "does it expect https?" in caught.value.hint or "broke off" in str(caught.value)


def test_a_tls_that_hangs(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = at(listener.getsockname()[1], is_tls=True, timeout=LONG)
        with pytest.raises(NoAnswer, match=r"accepts the connection, and no TLS within 3 s"):
            get(service)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_of_certificates_that_is_none(tmp_path: Path, content: t.Optional[str]) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    contexts = client.Contexts()
    for _again in range(2):
        with pytest.raises(PoolError, match=r"health_check_http_ca_file .*ca\.pem cannot be used"):
            contexts.of(at(1, is_tls=True, ca_file=str(path)))


def test_certificates_are_loaded_once_for_all_hosts(authority: Authority) -> None:
    contexts = client.Contexts()
    first, second = (contexts.of(at(port, is_tls=True, ca_file=str(authority.file))) for port in (1, 2))
    assert first is second
    assert contexts.of(at(1)) is None
