# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies of sockets with anything in them, over a real socket: a record, or an error of ours."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
import types
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _wire
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._records import Query
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.registry import LIVE
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.source import SocketSource
from hypothesis import given
from hypothesis import strategies as st

from tests.support import FakeSocket

from ..made import JSON, TEXT, check_result, check_serializable, objects, written

LONG = 60.0
"""Seconds: no peer here is silent, so that none of it passes."""
COUNTS = (
    "hashrate1m", "hashrate5m", "hashrate1h", "hashrate1hr", "dsps1", "dsps5", "dsps60", "users", "workers", "idle",
    "disconnected", "accepted", "rejected", "bestshare", "bestdiff", "elapsed", "start", "update", "sps1", "netdiff",
)  # fmt: skip
ROW = (
    "user", "worker", "workername", "dsps1", "dsps60", "hashrate1m", "hashrate1h", "bestdiff", "bestshare", "shares",
    "lastshare", "authorised", "idle",
)  # fmt: skip
TEMPLATE = (
    "height", "previousblockhash", "transactions", "txns", "coinbasevalue", "bits", "nbit", "target", "version", "time",
    "curtime",
)  # fmt: skip
DIALECTS = st.sampled_from(["guide", "api"])
NOWHERE = types.SimpleNamespace(mode="pool", socket=lambda name: f"/nowhere/{name}", require_peer=None)


class Peer:
    """A socket of the daemon's that sends given bytes, in given pieces, and closes."""

    def __init__(self, *pieces: bytes, name: str = "stratifier") -> None:
        self._pieces, self._name = pieces, name

    def __enter__(self) -> str:
        self._folder = tempfile.mkdtemp(prefix="ckf-", dir="/tmp")
        path = os.path.join(self._folder, self._name)
        self._socket = FakeSocket(path, self._send)
        return path

    def _send(self, _fake: FakeSocket, connection: t.Any, _message: str) -> None:
        for piece in self._pieces:
            connection.sendall(piece)

    def __exit__(self, *_args: object) -> None:
        self._socket.__exit__()
        shutil.rmtree(self._folder)


def cut(data: bytes, places: t.Sequence[int]) -> t.List[bytes]:
    """The data in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends)]


@given(
    body=st.binary(max_size=60),
    announced=st.none() | st.integers(0, 100) | st.integers(0, 2**32 - 1),
    places=st.lists(st.integers(0, 100), max_size=4),
    most=st.integers(0, 80),
)
def test_a_reply_is_what_was_announced(body: bytes, announced: t.Optional[int], places: t.List[int], most: int) -> None:
    length = len(body) if announced is None else announced
    with Peer(*cut(struct.pack("<I", length) + body, places)) as path:
        try:
            reply = _wire.exchange(path, "users", LONG, most)
        except PoolError as exc:
            assert length > min(most, len(body)), exc
            assert (exc.reason == "oversized_reply") == (length > most)
            check_serializable({"msg": str(exc), "path": exc.path, "hint": exc.hint})
        else:
            assert bytes(reply) == body[:length]
            assert len(reply) == length <= most


@given(length=st.integers(100, 2**32 - 1), sent=st.binary(max_size=8))
def test_a_pong_is_short(length: int, sent: bytes) -> None:
    """A reply is read no further than its message can have an answer, however much it announces."""
    with Peer(struct.pack("<I", length) + sent) as path, pytest.raises(PoolError) as caught:
        _wire.exchange(path, "ping", LONG)
    assert caught.value.reason == "oversized_reply"


@given(data=st.binary(max_size=12), places=st.lists(st.integers(0, 20), max_size=3))
def test_any_bytes_are_a_reply_or_refused(data: bytes, places: t.List[int]) -> None:
    with Peer(*cut(data, places)) as path:
        try:
            json.dumps(_wire.ask_json(path, "ping", LONG))
        except PoolError as exc:
            check_serializable({"msg": str(exc), "path": exc.path, "hint": exc.hint})
            assert exc.reason


@given(text=TEXT | JSON.map(json.dumps))
def test_a_text_is_json_or_refused(text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")
    with Peer(struct.pack("<I", len(body)) + body) as path:
        try:
            value = _wire.ask_json(path, "ping", LONG)
        except PoolError as exc:
            check_serializable({"msg": str(exc), "path": exc.path, "hint": exc.hint})
        else:
            json.dumps(value)


class Said(Sockets):
    """The sockets of an instance that answers everything with the same."""

    def __init__(self, reply: t.Any) -> None:
        super().__init__(t.cast(t.Any, NOWHERE), LONG)
        self._reply = reply

    def json(self, socket: str, message: str) -> t.Any:
        reply = json.loads(written(self._reply))
        if not isinstance(reply, dict):
            raise _wire.BadReply(f"the reply to {message} is no object")
        return reply

    def text(self, socket: str, message: str, *_args: t.Any, **_options: t.Any) -> str:
        return json.dumps(self._reply)


def said(reply: t.Any, dialect: str) -> SocketSource:
    """A source of an instance that answers everything with the same."""
    counts = reply if isinstance(reply, dict) else {}
    source = LIVE[dialect]()(t.cast(t.Any, NOWHERE), Said(reply), lambda: counts)
    assert isinstance(source, SocketSource)
    return source


@given(reply=objects(COUNTS) | JSON, dialect=DIALECTS)
def test_statistics_are_read_or_refused(reply: t.Any, dialect: str) -> None:
    try:
        found, as_of, _raw = said(reply, dialect).stats()
    except PoolError as exc:
        check_serializable({"msg": str(exc), "path": exc.path, "hint": exc.hint})
    else:
        check_result({"stats": found.as_dict(), "as_of": as_of})


@given(users=st.lists(objects(ROW) | JSON, max_size=4) | JSON, workers=st.lists(objects(ROW) | JSON, max_size=4) | JSON,
       dialect=DIALECTS)  # fmt: skip
def test_listings_are_read_or_refused(users: t.Any, workers: t.Any, dialect: str) -> None:
    source = said({"users": users, "workers": workers}, dialect)
    for rows in (source.users, source.workers):
        try:
            check_result([row.as_dict() for row in t.cast(t.Any, rows)(Query())])
        except PoolError as exc:
            check_serializable({"msg": str(exc), "path": exc.path, "hint": exc.hint})


@given(odd=st.lists(objects(ROW), max_size=3), dialect=DIALECTS)
def test_an_odd_row_of_a_listing_costs_no_other(odd: t.List[t.Any], dialect: str) -> None:
    good = {"user": "good", "worker": "good.rig", "dsps1": 1.0, "hashrate1m": 1.0, "shares": 2}
    source = said({"users": [*odd, good], "workers": [good, *odd]}, dialect)
    users = list(source.users(Query()))
    named = [row for row in odd if isinstance(row.get("user"), str) and row["user"]]
    assert (users[-1].user, users[-1].shares) == ("good", 2)
    assert len(users) >= len(named) + 1
    source.add_workers(users)
    assert [worker.shares for worker in users[-1].workers if worker.worker == "good.rig"] == [2]
    check_result([user.as_dict() for user in users])


@given(reply=objects(TEMPLATE) | JSON, dialect=DIALECTS)
def test_a_template_is_read_or_refused(reply: t.Any, dialect: str) -> None:
    try:
        work = said(reply, dialect).workbase()
    except PoolError as exc:
        check_serializable({"msg": str(exc), "path": exc.path, "hint": exc.hint})
    else:
        assert work is not None
        check_result([work.as_dict(), *(transaction.as_dict() for transaction in work.transaction_list)])
