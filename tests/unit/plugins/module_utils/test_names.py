# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of users and workers that can be, and those that cannot."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput
from ansible_collections.ckpool.fleet.plugins.module_utils._names import (
    check_user_name,
    check_worker_name,
    parse_address,
    user_of,
)

GOOD_USERS = ["alice", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "a b", "müller", "a.b", "x" * 127, "ü" * 63, "{", "."]
BAD_USERS = {
    "": "is empty",
    "a/b": "holds '/'",
    "a..b": "holds '..'",
    "..": "holds '..'",
    "a\nb": "holds a newline",
    "alice\n": "holds a newline",
    "a\rb": "holds a carriage return",
    "a\0b": "holds a NUL",
    "x" * 128: "has more than 127 bytes",
    "ü" * 64: "has more than 127 bytes",
    "a\ud800": "is not text",
}
GOOD_WORKERS = ["alice.rig1", "alice", "a/b.rig", "alice..1", "x" * 510]
BAD_WORKERS = {
    "": "is empty",
    "a.b\nc": "holds a newline",
    "a.b\r": "holds a carriage return",
    "a\0": "holds a NUL",
    "x" * 511: "has more than 510 bytes",
}


@pytest.mark.parametrize("name", GOOD_USERS)
def test_users_that_can_be(name: str) -> None:
    check_user_name(name)


@pytest.mark.parametrize("name", BAD_USERS, ids=ascii)
def test_users_that_cannot_be(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_user_name(name)
    assert str(caught.value) == f"user name {name!r} {BAD_USERS[name]}"
    assert (caught.value.phase, caught.value.reason) == ("options", "bad_user_name")
    assert "payout address" in caught.value.hint


@pytest.mark.parametrize("name", GOOD_WORKERS)
def test_workers_that_can_be(name: str) -> None:
    check_worker_name(name)


@pytest.mark.parametrize("name", BAD_WORKERS, ids=ascii)
def test_workers_that_cannot_be(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_worker_name(name)
    assert str(caught.value) == f"worker name {name!r} {BAD_WORKERS[name]}"
    assert (caught.value.phase, caught.value.reason) == ("options", "bad_worker_name")


@pytest.mark.parametrize(
    ("worker", "user"),
    [
        ("alice.rig1", "alice"),
        ("alice_rig1", "alice"),
        ("alice.a_b", "alice"),
        ("a_b.c", "a"),
        ("alice", "alice"),
        (".x", ""),
    ],
)
def test_the_user_of_a_worker(worker: str, user: str) -> None:
    assert user_of(worker) == user


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pool2:3333", ("pool2", "3333")), ("pool2.example.com:1", ("pool2.example.com", "1")),
        ("192.0.2.7:65535", ("192.0.2.7", "65535")), ("[2001:db8::1]:3333", ("2001:db8::1", "3333")),
        ("_x.pool-2.example:3333", ("_x.pool-2.example", "3333")),
    ],
)  # fmt: skip
def test_where_clients_can_be_sent(text: str, parts: t.Tuple[str, str]) -> None:
    assert parse_address(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "host", "host:", ":3333", "host:0", "host:65536", "host:-1", "host:+1", "host:1.0", "host:1e3", "host:٣",
        "host:333333", "a,b:1", "host:1,2", "a b:1", "host: 1", "a\nb:1", "host:1\n", "host:1\n2", "host:1 ", " host:1", "{:1",
        '{"a":1', "::1:3333", "2001:db8::1:3333", "[::1]", "[]:1", "[2001:db8::1:3333", "[fe80::1%eth0]:1", "[x]:1", "a/b:1",
        "müll.example:1", "host:0x10", "http://host:3333", "stratum+tcp://a:1", "\x1bpool:3333", "192.0.2.256:1", "192.0.2:1",
        "-a:1", "a-:1", "a..b:1", ".a:1", "pool2.:1", "a" * 64 + ":1", "x" * 300,
    ],
    ids=ascii,
)  # fmt: skip
def test_where_clients_cannot_be_sent(text: str) -> None:
    with pytest.raises(BadInput, match="redirect_to must be HOST:PORT") as caught:
        parse_address(text)
    assert repr(text[:80]) in str(caught.value) and "example.org:3333" in caught.value.hint
    assert (caught.value.phase, caught.value.reason) == ("options", "bad_address")
