# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tools of the system tests, without any ckpool: the stand-in node and the search for nonces."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from tests.support import DEADLINE
from tests.system.bitcoind import FakeBitcoind, State, address_kind, bits_of, expand_bits, target_of
from tests.system.miner import Job, header_of
from tests.system.scanner import Scanner

GENESIS_NONCE = 2083236893
GENESIS_COINBASE = (
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054"
    "696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420"
    "666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61"
    "deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)
GENESIS_JOB = Job(
    "1", "00" * 32, GENESIS_COINBASE[:80], GENESIS_COINBASE[96:], (), "00000001", "1d00ffff", "495fab29", True
)


def call(node: FakeBitcoind, method: str, *params: object, timeout: float = DEADLINE) -> dict[str, Any]:
    """One JSON-RPC call."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=timeout)
    try:
        connection.request("POST", "/", json.dumps({"method": method, "params": params}))
        reply: dict[str, Any] = json.loads(connection.getresponse().read())
        return reply
    finally:
        connection.close()


class TestNode:
    """FakeBitcoind."""

    def test_template_and_block(self) -> None:
        with FakeBitcoind(difficulty=1) as node:
            template = call(node, "getblocktemplate")["result"]
            assert (template["bits"], template["height"]) == ("1d00ffff", node.height + 1)
            assert template["previousblockhash"] == call(node, "getbestblockhash")["result"]
            assert node.new_block() == call(node, "getbestblockhash")["result"] != template["previousblockhash"]
            assert node.seen("getbestblockhash") == 2

    def test_unknown_method_is_an_error(self) -> None:
        with FakeBitcoind() as node:
            assert call(node, "mint")["error"]["code"] == -32601

    def test_states(self) -> None:
        with FakeBitcoind(state=State.REFUSE) as node:
            with pytest.raises(ConnectionRefusedError):
                call(node, "getblockcount")
            node.state = State.HANG
            with pytest.raises(TimeoutError):
                call(node, "getblockcount", timeout=0.3)
            node.state = State.WARMUP
            assert call(node, "getblockcount")["error"]["code"] == -28
            node.state = State.REFUSE
            with pytest.raises(ConnectionRefusedError):
                call(node, "getblockcount")
            node.state = State.UP
            assert call(node, "getblockcount")["result"] == node.height

    def test_close_does_not_wait_for_callers(self) -> None:
        with FakeBitcoind(state=State.HANG) as node:
            with pytest.raises(TimeoutError):
                call(node, "getblockcount", timeout=0.1)
            started = time.monotonic()
        assert time.monotonic() - started < 5, "it waits for so long for a thread that does not end"

    @pytest.mark.parametrize(
        ("address", "valid"),
        [
            ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", True),
            ("1BoatSLRHtKNngkdXEeobR76b53LETtpyU", False),
            ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", True),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", True),
            ("alice", False),
        ],
    )
    def test_addresses(self, address: str, valid: bool) -> None:
        assert address_kind(address)["isvalid"] is valid

    @pytest.mark.parametrize("difficulty", [0.001, 1, 2, 16307.42, 1e6, 1.2e14])
    def test_bits_stand_for_the_difficulty(self, difficulty: float) -> None:
        assert expand_bits(bits_of(difficulty)) == pytest.approx(target_of(difficulty), rel=1e-4)


@pytest.mark.parametrize("options", [{}, {"shani": False}, {"native": False}], ids=["best", "plain C", "Python"])
def test_the_first_block_is_found_again(options: dict[str, bool]) -> None:
    scanner = Scanner(**options)
    header = header_of(GENESIS_JOB, GENESIS_COINBASE[80:88], GENESIS_COINBASE[88:96])
    found = scanner.find(header, target_of(1), first=GENESIS_NONCE - 499, count=1000)
    assert (found.nonce, found.hashes) == (GENESIS_NONCE, 500)
    assert scanner.find(header, 0, first=0, count=1000).nonce is None
    assert scanner.seconds_for(1) > 0
