# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of users and workers, whole, shortened or hashed."""

from __future__ import annotations

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.names import Names

ADDRESS = "bc1q28kkr5hk4gnqe3evma6runjrd2pvqyp8fpwfzu"
OTHER = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"


def test_whole_names_are_left_alone() -> None:
    names = Names("none", known=[ADDRESS])
    assert names.user(ADDRESS) == ADDRESS
    assert names.text(f"worker {ADDRESS}") == f"worker {ADDRESS}"
    assert names.user(None) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (ADDRESS, "bc1q28…wfzu"),
        (f"{ADDRESS}.garage", "bc1q28…wfzu.ga…"),
        ("alice", "a…"),
        ("alice.rig1", "a….r…"),
        ("x", "x…"),
        ("", ""),
    ],
)
def test_shortened(name: str, text: str) -> None:
    assert Names("shorten").worker(name) == text


def test_hashes_depend_on_the_key_and_on_nothing_else() -> None:
    one, again, other = Names("hash", b"k"), Names("hash", b"k"), Names("hash", b"l")
    found = one.user(ADDRESS)
    assert found == again.user(ADDRESS) != other.user(ADDRESS)
    assert found is not None
    assert len(found) == 12
    assert one.worker(f"{ADDRESS}.rig1") == f"{found}.{one.user('rig1')}"


@pytest.mark.parametrize("mode", ["shorten", "hash"])
@pytest.mark.parametrize(
    "line",
    [
        f"Authorised client 7 10.0.0.9 worker {ADDRESS}.garage as user {ADDRESS}",
        f"Dropped client 7 10.0.0.9 user {ADDRESS} worker {ADDRESS}.garage",
        f'User {OTHER}:{{"hashrate1m": "1T"}}',
        f'{{"workername": "{ADDRESS}.garage"}}',
        f"no shares of {ADDRESS.upper()}.",
        "Client 7 2001:db8:0:1::7 said hello worker garage",
        "Client of alice with two words left",
        f"cannot read /var/log/ckpool/users/{ADDRESS}: Permission denied",
        f"/var/log/ckpool/users/{OTHER}/x, /var/log/ckpool/workers/{ADDRESS}.garage: odd",
        f"http://pool/users?user={ADDRESS}&limit=1",
        f"Stratifier: {ADDRESS[:20]}...",
        f"Stratifier: {OTHER[:20]}...; {ADDRESS[:5]}...",
        "bob.garage2 came; bob_garage3 left",
        "/var/log/ckpool/users/bob: odd",
    ],
)
def test_names_in_texts(mode: str, line: str) -> None:
    text = Names(mode, b"k", ["alice with two words", "garage", "bob", OTHER]).text(line)
    assert text is not None
    secrets = (ADDRESS, ADDRESS.upper(), OTHER, "garage", "10.0.0.9", "2001:db8", "alice with", "bob")
    for secret in (*secrets, ADDRESS[:20], OTHER[:20]):
        assert secret not in text


def test_the_rest_of_a_line_stays() -> None:
    line = "[2026-11-26 09:00:00.123] 7.2 % of shares rejected, pid 42 in /run/ckpool/main: see dmesg"
    assert Names("hash", b"k", ["alice"]).text(line) == line
