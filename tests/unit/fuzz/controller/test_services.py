# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of services with arbitrary content: each is a result or a failure, and none is healthy by mistake."""

from __future__ import annotations

import asyncio
import json
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services import address, answer, fleet, http, service
from hypothesis import example, given
from hypothesis import strategies as st

from ..made import JSON, TEXT, check_result, objects, written
from .test_report import ENTRY, show

NOW = 1795385500.0
SERVICE = service.Service(False, "127.0.0.1", 9333, timeout=30.0)
STATUS = st.sampled_from([200, 503]) | st.integers(100, 599)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "instances": st.lists(ENTRY | JSON, max_size=3) | JSON,
        "error": objects(("reason", "message"), st.just("not_found") | JSON) | JSON,
        "skipped": JSON,
        "unreachable": JSON,
    },
)
OWN = st.fixed_dictionaries({}, optional={"now": st.just(NOW) | JSON, "host": st.just("pool1") | JSON, "version": JSON})
BODY = st.tuples(ENTRY, FIELDS, OWN).map(lambda parts: {**parts[0], **parts[1], **parts[2]})


def result_of(status: int, headers: t.Mapping[str, str], body: bytes) -> t.Any:
    try:
        return answer.result_of(SERVICE, http.Answer(status, headers, body), NOW, NOW + 1)
    except service.NoAnswer as exc:
        return service.failure(exc)


@given(status=STATUS, body=(BODY | JSON).map(written) | st.binary(max_size=50), location=TEXT)
@example(status=503, body=b'{"error": {"reason": "not_found"}, "instances": []}', location="")
@example(status=200, body=b'{"health": {}, "instances": [], "now": 1795385500, "host": "a"}', location="")
@example(status=200, body=b"[" * 5000, location="")
@example(status=200, body=b'{"now": 1e999}', location="")
def test_an_answer_is_a_row(status: int, body: bytes, location: str) -> None:
    result = result_of(status, {"location": location}, body)
    check_result(result)
    rows = rows_of("pool1", result)
    assert rows, "silence is no health"
    show(rows, "critical")
    if any(row["state"] == "ok" for row in rows):
        read = json.loads(body)
        assert status in (200, 503)
        assert abs(read["now"] - NOW) < 70
        assert read["instances"]
    fleet._identity(result)


def read(data: bytes, end: bool, most: int) -> t.Any:
    """What the client makes of bytes that a service sends; None if it gives a failure."""

    async def main() -> t.Any:
        reader = asyncio.StreamReader(limit=http._MOST_HEAD)
        reader.feed_data(data)
        if end:
            reader.feed_eof()
        exchange = http._Exchange(SERVICE, "/health", None, most)
        return await asyncio.wait_for(exchange.read(reader), 30 if end else 0.001)

    try:
        return asyncio.run(main())
    except (service.NoAnswer, asyncio.TimeoutError) as exc:
        check_result({"msg": str(exc)})
        return None


HEADERS = st.lists(
    st.sampled_from([
        b"Content-Length: 3", b"Content-Length: 99", b"Content-Length: -1", b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip", b": x", b"x", b"\xff: \xfe",
    ]) | st.binary(max_size=10),
    max_size=3,
)  # fmt: skip
CHUNKS = st.lists(
    st.sampled_from([b"3\r\nabc\r\n", b"0\r\n\r\n", b"ffffffff\r\n", b"x\r\n", b";\r\n", b"\r\n"])
    | st.binary(max_size=10),
    max_size=4,
).map(b"".join)
FIRST = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 503", b"HTTP/1.1 204 x", b"HTTP/2 200", b""]) | st.binary(
    max_size=10
)
SENT = st.tuples(FIRST, HEADERS, CHUNKS).map(lambda parts: b"\r\n".join([parts[0], *parts[1], b"", parts[2]]))


@given(data=SENT | st.binary(max_size=100), end=st.booleans(), most=st.sampled_from([2, 1000]))
@example(data=b"HTTP/1.1 200 OK\r\n\r\nabc", end=True, most=2)
def test_bytes_are_an_answer_or_a_failure(data: bytes, end: bool, most: int) -> None:
    found = read(data, end, most)
    if found is not None:
        assert 100 <= found.status <= 599
        assert len(found.body) <= most


VARIABLES = st.dictionaries(
    st.sampled_from(
        [service.PREFIX + name for name in ("url", "port", "token", "ca_file", "validate_certs", "timeout")]
    )
    | st.sampled_from(["ansible_host", "health_check_thresholds", "health_check_log_dir"]),
    JSON
    | st.sampled_from(["http://[", "https://x:0", "http://x:99999999", "https://[::1%x]:1", "http://\u2100.example"]),
)


@given(host=TEXT, variables=VARIABLES)
def test_variables_are_a_service_or_refused(host: str, variables: t.Dict[str, t.Any]) -> None:
    try:
        found = address.service_of(host, variables)
    except BadInput as exc:
        check_result({"msg": exc.with_hint})
        return
    assert found.url.isascii()
    assert found.url.isprintable()
    assert 0 < found.timeout <= 3600
    assert b"\r\n\r\n" in http._Exchange(found, "/health", None, 1)._request()[-4:]
    assert http._Exchange(found, "/health", None, 1)._request().count(b"\r\n\r\n") == 1
