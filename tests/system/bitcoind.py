# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for bitcoind: the part of its JSON-RPC that a ckpool needs, on 127.0.0.1.

It has no chain and checks no proof of work. What it does have is a state that a test can change while a pool
is connected: a new block, another difficulty, and three ways of being down (`State`).

    with FakeBitcoind() as node:
        node.new_block()
        node.state = State.REFUSE

By hand: `python bitcoind.py --port 18443`; it then reads commands from standard input, one a line.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import enum
import hashlib
import json
import socket
import sys
import threading
import time
from typing import Any, BinaryIO, final

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
TRUE_DIFF_ONE = 0xFFFF << 208
# What BIP 141 prescribes for a block that has nothing but its coinbase.
EMPTY_WITNESS_COMMITMENT = "6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9"
MAX_BODY = 16 * 1024 * 1024


class State(enum.Enum):
    """How the node behaves towards a caller."""

    UP = "up"
    REFUSE = "refuse"
    """Nothing listens: connections are refused, as when the process is gone."""
    HANG = "hang"
    """Connections are accepted and requests read, and no answer ever comes, as when its disk is stuck."""
    WARMUP = "warmup"
    """Every call fails with HTTP 500 and error -28, as while bitcoind loads its block index."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One request that was seen: epoch seconds, method and parameters."""

    when: float
    method: str
    params: list[Any]


class RpcError(Exception):
    """An error that goes back to the caller as JSON-RPC `error`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def double_sha256(data: bytes) -> bytes:
    """SHA-256 of the SHA-256: the hash that Bitcoin uses for nearly everything."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def target_of(difficulty: float) -> int:
    """The highest hash, as a number, that reaches a difficulty."""
    return min(int(TRUE_DIFF_ONE / difficulty), (1 << 256) - 1)


def bits_of(difficulty: float) -> str:
    """A difficulty in the compact form of a block header, eight hex digits."""
    target = target_of(difficulty)
    size = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (size - 3) if size > 3 else target << 8 * (3 - size)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return f"{size << 24 | mantissa:08x}"


def expand_bits(bits: str) -> int:
    """The target that a header's compact form stands for."""
    value = int(bits, 16)
    return (value & 0x7FFFFF) << 8 * ((value >> 24) - 3)


def address_kind(address: str) -> dict[str, Any]:
    """What `validateaddress` says. Base58 checksums are checked; of a bech32 address only the alphabet is."""
    prefix, _one, data = address.lower().partition("1")
    if prefix in ("bc", "tb", "bcrt") and len(data) >= 38 and all(letter in BECH32 for letter in data):
        return {"isvalid": True, "address": address, "isscript": len(data) > 42, "iswitness": True}
    if not 25 < len(address) < 36 or any(letter not in BASE58 for letter in address):
        return {"isvalid": False}
    number = 0
    for letter in address:
        number = number * 58 + BASE58.index(letter)
    raw = number.to_bytes(26, "big")[-25:]
    if number >> 200 or double_sha256(raw[:21])[:4] != raw[21:]:
        return {"isvalid": False}
    return {"isvalid": True, "address": address, "isscript": raw[0] in (5, 196), "iswitness": False}


@final
class FakeBitcoind:
    """A thread that listens on 127.0.0.1 and answers as bitcoind would.

    `difficulty` is the network's, `port` 0 takes a free one. Attributes to look at: `port`, `calls` (every request
    seen), `blocks` (hex of every block submitted), `height`, `best` (hash of the newest block, hex). `target`, if set, is
    what the next templates give as theirs, whatever their bits say.
    """

    def __init__(self, port: int = 0, *, difficulty: float = 1_000_000.0, state: State = State.UP) -> None:
        self.calls: list[Call] = []
        self.blocks: list[str] = []
        self.height = 850_000
        self.best = ""
        self.target: int | None = None
        self._bits = bits_of(difficulty)
        self._state = state
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = self._bind(port)
        self.port: int = self._listener.getsockname()[1]
        self.new_block()
        if state is not State.REFUSE:
            self._start_listening()

    def __enter__(self) -> FakeBitcoind:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    # What a test changes.

    @property
    def state(self) -> State:
        """How the node behaves now; assign to change it. Connections that are open are cut."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        with self._lock:
            was_refusing, self._state = self._state is State.REFUSE, state
            if state is State.REFUSE and not was_refusing:
                self._stop_listening()
                self._listener = self._bind(self.port)
            elif state is not State.REFUSE and was_refusing:
                self._start_listening()
            self._cut()

    @property
    def difficulty(self) -> float:
        """The network difficulty; assigning it takes effect with the next block template."""
        return TRUE_DIFF_ONE / expand_bits(self._bits)

    @difficulty.setter
    def difficulty(self, difficulty: float) -> None:
        self._bits = bits_of(difficulty)

    def new_block(self) -> str:
        """Somebody else found a block: the height rises and the best hash changes. Returns that hash."""
        with self._lock:
            self.height += 1
            digest = hashlib.sha256(f"block {self.height} {self._bits}".encode()).hexdigest()
            self.best = "0" * 20 + digest[20:]
            return self.best

    def seen(self, method: str) -> int:
        """How often a method has been called so far."""
        return sum(call.method == method for call in list(self.calls))

    def close(self) -> None:
        """Stop listening, cut every connection and end every thread."""
        self._stopping.set()
        with self._lock:
            self._stop_listening()
            self._cut()
        for thread in list(self._threads):
            thread.join(timeout=5)

    # Sockets.

    @staticmethod
    def _bind(port: int) -> socket.socket:
        """A socket that owns its port and does not listen: callers are refused, and nobody else can take the port."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        return listener

    def _start_listening(self) -> None:
        self._listener.listen(64)
        self._spawn(self._accept, self._listener)

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        self._listener.close()

    def _cut(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _spawn(self, function: Any, *args: object) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True, name="fake-bitcoind")
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self._spawn(self._converse, connection)

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError, ValueError):
                while (body := read_request(reader)) is not None:
                    if self._state is State.HANG:
                        reader.read(1)  # until the caller gives up, or the connection shall be cut
                        return
                    connection.sendall(self._respond(body))
        finally:
            self._open.discard(connection)

    # JSON-RPC.

    def _respond(self, body: bytes) -> bytes:
        request = json.loads(body)
        reply: dict[str, Any] = {"result": None, "error": None, "id": request.get("id")}
        status = "200 OK"
        try:
            reply["result"] = self._call(str(request.get("method")), request.get("params") or [])
        except RpcError as error:
            status = "500 Internal Server Error"
            reply["error"] = {"code": error.code, "message": str(error)}
        text = json.dumps(reply).encode() + b"\n"
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        return head.encode() + text

    def _call(self, method: str, params: list[Any]) -> Any:
        self.calls.append(Call(time.time(), method, params))
        if self._state is State.WARMUP:
            raise RpcError(-28, "Loading block index...")
        answer = getattr(self, f"_rpc_{method}", None)
        if answer is None:
            raise RpcError(-32601, "Method not found")
        with self._lock:
            try:
                return answer(*params)
            except (TypeError, ValueError) as error:
                raise RpcError(-1, f"bad parameters: {error}") from error

    def _rpc_getblocktemplate(self, *_request: object) -> dict[str, Any]:
        now = int(time.time())
        return {
            "capabilities": ["proposal"],
            "version": 0x20000000,
            "rules": ["csv", "!segwit", "taproot"],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": self.best,
            "transactions": [],
            "coinbaseaux": {"flags": ""},
            "coinbasevalue": 312_500_000,
            "longpollid": f"{self.best}{self.height}",
            "target": f"{expand_bits(self._bits) if self.target is None else self.target:064x}",
            "mintime": now - 600,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": 80_000,
            "sizelimit": 4_000_000,
            "weightlimit": 4_000_000,
            "curtime": now,
            "bits": self._bits,
            "height": self.height + 1,
            "default_witness_commitment": EMPTY_WITNESS_COMMITMENT,
        }

    def _rpc_submitblock(self, block: str, *_rest: object) -> str | None:
        if block in self.blocks:
            return "duplicate"
        self.blocks.append(block)
        self.height += 1
        self.best = double_sha256(bytes.fromhex(block[:160]))[::-1].hex()
        return None

    def _rpc_getbestblockhash(self) -> str:
        return self.best

    def _rpc_getblockcount(self) -> int:
        return self.height

    def _rpc_getblockhash(self, height: int) -> str:
        if height > self.height:
            raise RpcError(-8, "Block height out of range")
        return self.best if height == self.height else hashlib.sha256(str(height).encode()).hexdigest()

    def _rpc_validateaddress(self, address: str) -> dict[str, Any]:
        return address_kind(address)

    def _rpc_decoderawtransaction(self, transaction: str, *_rest: object) -> dict[str, Any]:
        return {"txid": double_sha256(bytes.fromhex(transaction))[::-1].hex(), "size": len(transaction) // 2}

    def _rpc_getrawtransaction(self, *_request: object) -> str:
        raise RpcError(-5, "No such mempool or blockchain transaction")

    def _rpc_sendrawtransaction(self, transaction: str, *_rest: object) -> str:
        return double_sha256(bytes.fromhex(transaction))[::-1].hex()

    def _rpc_preciousblock(self, _block_hash: str) -> None:
        return None

    def _rpc_getnetworkinfo(self) -> dict[str, Any]:
        return {"version": 270_000, "subversion": "/stand-in:1.0/", "networkactive": True, "connections": 8}

    def _rpc_getblockchaininfo(self) -> dict[str, Any]:
        return {
            "chain": "main",
            "blocks": self.height,
            "headers": self.height,
            "bestblockhash": self.best,
            "difficulty": self.difficulty,
            "initialblockdownload": False,
        }

    def _rpc_getmininginfo(self) -> dict[str, Any]:
        return {"blocks": self.height, "difficulty": self.difficulty, "chain": "main", "warnings": ""}


def read_request(reader: BinaryIO) -> bytes | None:
    """The body of the next HTTP request; None when the caller has gone. Lines may end in LF alone: ckpool's do."""
    length = 0
    started = False
    while line := reader.readline(8192):
        name, _colon, value = line.strip().partition(b":")
        if not name and not value:
            if started:
                return reader.read(length)
            continue
        started = True
        if name.lower() == b"content-length":
            length = min(int(value), MAX_BODY)
    return None


def obey(node: FakeBitcoind, line: str) -> None:
    """One command of standard input: a state's name, `block`, or `difficulty N`."""
    word, _space, value = line.strip().partition(" ")
    if word == "block":
        best = node.new_block()
        print(node.height, best, flush=True)
    elif word == "difficulty":
        node.difficulty = float(value)
    elif word in {state.value for state in State}:
        node.state = State(word)
    elif word:
        print("commands: up, refuse, hang, warmup, block, difficulty N", flush=True)


def main() -> None:
    """Serve until standard input ends, or for ever when it is closed from the start."""
    parser = argparse.ArgumentParser(description="A stand-in for bitcoind on 127.0.0.1, for tests of ckpool.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--difficulty", type=float, default=1_000_000.0, help="network difficulty")
    parser.add_argument("--stay", action="store_true", help="keep serving when standard input ends")
    options = parser.parse_args()
    with FakeBitcoind(options.port, difficulty=options.difficulty) as node, contextlib.suppress(KeyboardInterrupt):
        print(f"listening on 127.0.0.1:{node.port}", flush=True)
        for line in sys.stdin:
            obey(node, line)
        while options.stay:
            time.sleep(60)


if __name__ == "__main__":
    main()
