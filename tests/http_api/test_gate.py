# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is let in, and with what: the token, TLS, sizes, methods, and the form of errors."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import os
import socket
import ssl
import subprocess
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http_api.conftest import PATIENT, Place
from tests.support import DEADLINE, wait_for
from tests.support.http_service import PATHS, HttpService, Reply

EXAMPLES = int(os.environ.get("CKPOOL_FUZZ", "60"))
TOKEN = "0123456789abcdef-Token"


@pytest.fixture(scope="session")
def plain(shared: Callable[..., Place]) -> Iterator[HttpService]:
    """A service that everybody may ask."""
    host = shared("plain")
    with HttpService(host.folder, host.prefix, **PATIENT) as service:
        yield service


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o640) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "token"
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


def certificate(folder: Path, *, is_expired: bool = False) -> t.Dict[str, str]:
    """A certificate for 127.0.0.1, as settings."""
    folder.mkdir(parents=True, exist_ok=True)
    config, key, pem = folder / "tls.cnf", folder / "key.pem", folder / "cert.pem"
    config.write_text(
        "[req]\ndistinguished_name=dn\n[dn]\n[v3]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:TRUE\n"
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    ends = now + datetime.timedelta(days=-1 if is_expired else 30)
    request = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=pool",
    ]
    subprocess.run(
        [*request, "-config", str(config), "-keyout", str(key), "-out", str(folder / "req.pem")],
        check=True, capture_output=True, timeout=DEADLINE,
    )  # fmt: skip
    ca = folder / "ca.cnf"
    (folder / "index.txt").write_text("")
    ca.write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\nrand_serial=yes\ndefault_md=sha256\n"
        "policy=p\n[p]\ncommonName=supplied\n"
    )
    stamp = "%Y%m%d%H%M%SZ"
    begins = (now - datetime.timedelta(days=60)).strftime(stamp)
    sign = [
        "openssl",
        "ca",
        "-batch",
        "-selfsign",
        "-config",
        str(ca),
        "-keyfile",
        str(key),
        "-in",
        str(folder / "req.pem"),
    ]
    subprocess.run(
        [*sign, "-out", str(pem), "-notext", "-startdate", begins, "-enddate", ends.strftime(stamp),
         "-extfile", str(config), "-extensions", "v3"],
        check=True, capture_output=True, timeout=DEADLINE,
    )  # fmt: skip
    return {"tls_certificate": str(pem), "tls_key": str(key)}


def exchange(service: HttpService, data: bytes) -> bytes:
    """What the service answers to some bytes until it closes."""
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as conn:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may close before it has read all
            conn.sendall(data)
        found = b""
        while True:
            try:
                chunk = conn.recv(65536)
            except ConnectionResetError:  # what was sent was not read to its end
                return found
            if not chunk:
                return found
            found += chunk


def handshake(service: HttpService, trusting: ssl.SSLContext) -> t.Optional[str]:
    """The version of TLS that is agreed on, by a client that verifies the certificate."""
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as conn:
        secure = trusting.wrap_socket(conn, server_hostname="127.0.0.1")
        with secure:
            return secure.version()


def is_trusted(service: HttpService, trusting: ssl.SSLContext) -> bool:
    try:
        return bool(handshake(service, trusting))
    except OSError:  # that of TLS is one, too
        return False


def test_unknown_paths_and_methods(plain: HttpService) -> None:
    reply = plain.get("/nothing")
    assert (reply.status, reply.error["reason"]) == (404, "unknown_path")
    assert "/stats" in reply.error["hint"]
    for path in ("/stats/", "/pools/ckpool", "/users/x", "//stats", "/"):
        assert plain.get(path).status == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        reply = plain.get("/stats", method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
        assert reply.error["status"] == 405


def test_head_is_get_without_a_body(plain: HttpService) -> None:
    for path in ("/stats", "/health", "/metrics", "/pools", "/openapi.json"):
        reply = plain.get(path, "HEAD")
        assert (reply.status, reply.body) == (200, b"")
        assert int(reply.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/stats?x=1", "/users?limit=0", "/users?limit=1001", "/users?limit=-1", "/users?limit=1e3", "/users?limit=", "/users?offset=x",
        "/users?limit=1&limit=2", "/users?state=idle", "/workers?state=up", "/users?user=",
        "/users?sort_by=name", "/users?active_within=0", "/users?limit=%ff", "/users?limit", "/blocks?user=a", "/health?x", "/metrics?a=b",
        "/users?limit=%D9%A1",
    ],
)  # fmt: skip
def test_a_bad_parameter_is_named(plain: HttpService, path: str) -> None:
    reply = plain.get(path)
    assert (reply.status, reply.error["reason"]) == (400, "bad_parameter")
    assert reply.error["message"]


def test_every_answer_is_safe_to_look_at(plain: HttpService) -> None:
    for path in ("/stats", "/nothing", "/metrics", "/users?x"):
        headers = plain.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@pytest.mark.parametrize("name", ["127.0.0.1:9333", "localhost", "LOCALHOST:1", "localhost.", "[::1]:80", "127.9.9.9"])
def test_without_a_token_it_is_known_as_this_host(plain: HttpService, name: str) -> None:
    assert plain.get("/pools", Host=name).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "localhost.evil.example:9333",
        "127.0.0.1.evil.example",
        "",
        "[::1",
        "10.0.0.1",
        "a@localhost",
        "0x7f.1",
    ],
)
def test_a_name_that_points_to_this_host_is_not_believed(plain: HttpService, name: str) -> None:
    """A web page may have its own name point to 127.0.0.1, and ask through the browser of a user of this host."""
    for path in ("/pools", "/metrics", "/health", "/nothing"):
        reply = plain.get(path, Host=name)
        assert (reply.status, reply.error["reason"]) == (421, "unknown_host")


def test_with_a_token_the_name_does_not_matter(host: Place) -> None:
    service = host.service(token_file=str(token_file(host.folder)))
    assert service.get("/pools", Host="pool.example", Authorization=f"Bearer {TOKEN}").status == 200


def test_bodies_are_refused(plain: HttpService) -> None:
    assert plain.get("/stats", body=b"x").error["reason"] == "body_too_large"
    chunked = b"GET /stats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert b" 413 " in exchange(plain, chunked).splitlines()[0]
    for length, status in ((b"9" * 40, b" 4"), (b"9" * 19, b" 413 "), (b"1", b" 413 ")):
        endless = b"GET /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n"
        assert status in exchange(plain, endless).splitlines()[0]


def test_a_body_that_is_allowed(host: Place) -> None:
    service = host.service(max_body=10)
    assert service.get("/pools", body=b"0123456789").status == 200
    assert service.get("/pools", body=b"0123456789x").status == 413


def test_long_paths_and_headers_are_refused(plain: HttpService) -> None:
    assert plain.get(f"/stats?x={'a' * 9000}").error["reason"] == "uri_too_long"
    head = exchange(plain, b"GET /stats HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70000).splitlines()[0]
    assert b" 431 " in head
    many = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 50) for number in range(1000))
    assert b" 431 " in exchange(plain, b"GET /stats HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n").splitlines()[0]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET /stats\r\n\r\n", b"GET /stats HTTP/1.1\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_request_gets_an_error(plain: HttpService, data: bytes) -> None:
    found = exchange(plain, data)
    assert found.startswith(b"HTTP/1.1 4"), found
    assert b'{"error":{"status":4' in found
    assert plain.get("/pools").status == 200


@pytest.fixture(scope="session")
def impatient(shared: Callable[..., Place]) -> Iterator[HttpService]:
    """A service that waits for a request for a moment only."""
    host = shared("plain")
    with HttpService(host.folder, host.prefix, header_seconds=0.2) as service:
        yield service


PIECES = (
    b"GET ", b"HEAD ", b"/stats", b"/users?limit=1", b"/pools/", b"%2e%2e", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"Host: a", b"Content-Length: ",
    b"Transfer-Encoding: chunked", b"Connection: Upgrade", b"Upgrade: websocket", b"Expect: 100-continue", b"5", b"0", b"-1", b"\0", b"\xff",
    b"GET /pools HTTP/1.1\r\nHost: localhost\r\n\r\n",
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=20).map(b"".join))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_bytes(impatient: HttpService, data: bytes) -> None:
    """Each answer is one of HTTP, no fault of the service, and the connection ends."""
    found = exchange(impatient, data)
    assert found == b"" or found.startswith(b"HTTP/1.1 "), (data, found)
    assert b"HTTP/1.1 500" not in found, data
    assert "Traceback" not in impatient.log.read_text(), data


def test_another_version_of_http(plain: HttpService) -> None:
    for data in (b"GET /stats HTTP/9.9\r\nHost: localhost\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        assert b" 505 " in exchange(plain, data).splitlines()[0]


def test_the_token(host: Place) -> None:
    path = token_file(host.folder)
    service = host.service(token_file=str(path))

    def with_token(token: str, path: str = "/pools") -> Reply:
        return service.get(path, Authorization=f"Bearer {token}")

    for name in ("/pools", "/metrics", "/health", "/nothing", "/openapi.json"):
        reply = service.get(name)
        assert (reply.status, reply.error["reason"]) == (401, "unauthorized")
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert with_token(TOKEN).status == 200
    for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
        assert with_token(wrong).status == 401
    assert service.get("/pools", Authorization=f"Basic {TOKEN}").status == 401
    token_file(host.folder, "another-token-0123456789")
    assert with_token(TOKEN).status == 401
    assert with_token("another-token-0123456789").status == 200
    path.unlink()
    assert with_token("another-token-0123456789").status == 401
    assert with_token("").status == 401
    token_file(host.folder)
    assert with_token(TOKEN).status == 200


def test_a_token_that_could_not_be_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Too many open files, or a disk that fails for a moment."""
    for folder in PATHS:
        monkeypatch.syspath_prepend(str(folder))
    limits = importlib.import_module("ckpool_http.limits")
    token = limits.Token(str(token_file(tmp_path)))
    header = f"Bearer {TOKEN}".encode()
    with monkeypatch.context() as broken:
        broken.setattr(limits, "read_trusted", mock.Mock(side_effect=limits.BadSettings("too many open files")))
        assert not token.fits(header) and not token.fits(header) and not token.fits(b"Bearer ")
    assert [record.getMessage() for record in caplog.records] == ["nobody is let in: too many open files"]
    assert token.fits(header)


def test_public_metrics(host: Place) -> None:
    service = host.service(token_file=str(token_file(host.folder)), metrics_public=True)
    assert service.get("/metrics").status == 200
    assert service.get("/health").status == 401


def test_tls(host: Place) -> None:
    tls = certificate(host.folder / "tls")
    service = host.service(listen="0.0.0.0", token_file=str(token_file(host.folder)), **tls)
    assert service.get("/pools", Authorization=f"Bearer {TOKEN}").status == 200
    assert service.get("/pools").status == 401
    trusting = ssl.create_default_context(cafile=tls["tls_certificate"])
    assert handshake(service, trusting) in ("TLSv1.2", "TLSv1.3")
    assert exchange(service, b"GET /pools HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP") is False
    assert service.get("/pools").status == 401


def test_an_expired_certificate_is_seen_by_the_client(host: Place) -> None:
    tls = certificate(host.folder / "tls", is_expired=True)
    service = host.service(**tls)
    trusting = ssl.create_default_context(cafile=tls["tls_certificate"])
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(service, trusting)
    assert service.get("/pools").status == 200, "one who does not verify it is still served"
    assert "has expired" in service.log.read_text()


def test_a_renewed_certificate_is_taken_over(host: Place) -> None:
    tls = certificate(host.folder / "tls", is_expired=True)
    service = host.service(**tls)
    certificate(host.folder / "tls")
    trusting = ssl.create_default_context(cafile=tls["tls_certificate"])
    wait_for(lambda: is_trusted(service, trusting), "the new certificate")
