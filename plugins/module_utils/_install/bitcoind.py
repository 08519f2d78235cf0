# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the bitcoinds of a configuration how far they are, with the user and the password that it has for them.

Source: Bitcoin Core's JSON-RPC, C(getblockchaininfo) and C(getzmqnotifications).
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import json
import socket
import threading
import typing as t

from .._errors import PoolError
from .._host.file import Files
from .daemon_config import split_address

_DEFAULT_PORT = 8332
_MOST_ANSWER = 4 * 1024 * 1024
_MOST_COOKIE = 4096
_MOST_BEHIND = 1  #: blocks that a node may lack and still be in step: one may just be on its way


@dataclasses.dataclass
class Node:
    """One bitcoind, as it answers.

    :ivar url: as the configuration has it.
    :ivar synced: whether it has the whole chain.
    :ivar progress: of the verification, from 0 to 1.
    :ivar publishes: where it publishes new blocks by ZMQ; None where it does not tell.
    :ivar problem: why it could not be asked; empty if it could.
    """

    url: str
    reachable: bool = False
    synced: bool = False
    chain: t.Optional[str] = None
    blocks: t.Optional[int] = None
    headers: t.Optional[int] = None
    progress: t.Optional[float] = None
    publishes: t.Optional[t.List[str]] = None
    problem: str = ""

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


def look(entry: t.Mapping[str, t.Any], timeout: float, files: Files) -> Node:
    """What a node says of itself.

    :arg entry: one of C(btcd) of a configuration.
    :arg files: opens its cookie.
    """
    node = Node(str(entry.get("url") or "localhost:8332"))
    try:
        address = split_address(node.url, _DEFAULT_PORT)
        if address is None:
            raise PoolError("its url is no HOST:PORT")
        key = _key_of(entry, files)
        info = _ask(address, key, "getblockchaininfo", timeout)
        node.reachable = True
        _take(node, info)
        node.publishes = _published(address, key, timeout)
    except _Refused as exc:
        node.reachable, node.problem = True, str(exc)
    except PoolError as exc:
        node.problem = str(exc)
    return node


class _Refused(PoolError):
    """It answers, and not what was asked."""


def _take(node: Node, info: t.Any) -> None:
    if not isinstance(info, dict):
        raise _Refused("its answer is not what bitcoind says")
    counts = [info.get(name) for name in ("blocks", "headers")]
    node.blocks, node.headers = (count if isinstance(count, int) else None for count in counts)
    node.chain = str(info["chain"])[:20] if info.get("chain") else None
    progress = info.get("verificationprogress")
    node.progress = float(progress) if isinstance(progress, (int, float)) else None
    behind = None if node.blocks is None or node.headers is None else node.headers - node.blocks
    node.synced = info.get("initialblockdownload") is False and (behind is None or behind <= _MOST_BEHIND)


def _published(address: t.Tuple[str, int], key: str, timeout: float) -> t.Optional[t.List[str]]:
    try:
        found = _ask(address, key, "getzmqnotifications", timeout)
    except PoolError:
        return None
    if not isinstance(found, list):
        return None
    blocks = (one for one in found if isinstance(one, dict) and one.get("type") == "pubhashblock")
    return [str(one.get("address"))[:200] for one in blocks]


def _key_of(entry: t.Mapping[str, t.Any], files: Files) -> str:
    """What is sent to be let in."""
    if entry.get("cookie"):
        text = files.read(str(entry["cookie"]), _MOST_COOKIE).strip()
    else:
        text = f"{entry.get('auth') or 'user'}:{entry.get('pass') or 'pass'}".encode()
    return base64.b64encode(text).decode()


def _ask(address: t.Tuple[str, int], key: str, method: str, timeout: float) -> t.Any:
    """What a node replies.

    :raises _Refused: it refuses.
    :raises PoolError: it does not reply.
    """
    status, data = _post(address, key, method, timeout)
    if status in (401, 403):
        raise _Refused(f"it refuses us (HTTP {status}): see auth and pass, and its rpcallowip")
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        raise _Refused(f"it answers with HTTP {status}, and not as bitcoind does") from None
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or error:
        text = error.get("message") if isinstance(error, dict) else error
        raise _Refused(str(text)[:200])
    return answer.get("result")


def _post(address: t.Tuple[str, int], key: str, method: str, timeout: float) -> t.Tuple[int, bytes]:
    """The status and the text of a node's answer, all of which has to come in time.

    :raises PoolError: it does not.
    """
    connection = http.client.HTTPConnection(address[0].strip("[]"), address[1], timeout=timeout)
    body = json.dumps({"jsonrpc": "1.0", "id": "ckpool.fleet", "method": method, "params": []})
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    late = threading.Event()
    try:
        connection.connect()
        with _cut_after(timeout, connection.sock, late):
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            found = response.status, response.read(_MOST_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise PoolError(f"it does not answer{f' within {timeout:g} s' if late.is_set() else f': {exc}'}") from None
    finally:
        connection.close()
    if late.is_set():  # what was cut off may look complete
        raise PoolError(f"it does not answer within {timeout:g} s")
    return found


@contextlib.contextmanager
def _cut_after(seconds: float, sock: socket.socket, late: threading.Event) -> t.Iterator[None]:
    """End a conversation that takes too long, whatever it waits for: the timeout of a socket is for each read."""

    def cut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
