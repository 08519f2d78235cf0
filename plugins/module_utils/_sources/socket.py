# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers over the sockets: the guide's dialect, the native query API, and what every build answers.

Only reads that do no harm on any build are sent. A user's own record is taken from the listings: asking for one user
by name would create it on the public builds.
"""

from __future__ import annotations

import json
import re
import time
import typing as t

from .._errors import PoolError, SourceNotAnswered, Unparsable
from .._records import (
    USER_WINDOWS,
    Json,
    PoolStats,
    Transaction,
    UserStats,
    Workbase,
    WorkerStats,
    hashrates_from_dsps,
    hashrates_from_guide,
    integer,
    mapping,
    number,
)
from .._wire import BadReply, ClosedWithoutReply
from .talk import Talk

_HASH = re.compile(r"[0-9A-Fa-f]{64}\Z")
_BITS = re.compile(r"[0-9A-Fa-f]{8}\Z")
_TARGET_1 = 0xFFFF << 208  #: the target of difficulty 1
#: what the generator answers instead of a template
_NO_TEMPLATE = {
    "failed": "its bitcoind gave it no block template",
    "notify": "it is told of new blocks and has no template to give",
}
_LOOK_AT = "does its bitcoind run, and is it in sync? see the last lines of the log"


class SocketSource(Talk):
    """What one instance answers, as records."""

    def stats(self, dialect: str, stats: Json) -> t.Tuple[PoolStats, int, Json]:
        """The pool's statistics, when they were made (epoch seconds), and the reply as it came.

        :raises SourceNotAnswered: the build does not speak that dialect.
        """
        if dialect == "guide":
            if "hashrate1m" not in stats:
                raise SourceNotAnswered(
                    "this build's 'stats' holds no hashrates: it does not speak the guide's dialect",
                    self._path_of("stratifier"),
                    "leave source at auto",
                )
            return guide_stats(stats), int(time.time()), stats
        reply = self._listing("poolstats")
        return api_stats(reply), integer(reply, "update") or int(time.time()), reply

    def users(self, dialect: str) -> t.Iterator[UserStats]:
        """Every user, without workers, in the order of the listing.

        The listing is taken apart as it is walked, so that only the records that are kept cost memory.
        """
        make_user = _MAKERS[dialect][0]
        return map(make_user, _rows(self._listing("users"), "users"))

    def add_workers(self, dialect: str, users: t.Sequence[UserStats]) -> None:
        """Fill in the workers of these users from the listing of all workers."""
        by_name = {user.user: user for user in users}
        make_worker = _MAKERS[dialect][1]
        for row in _rows(self._listing("workers") if by_name else {"workers": []}, "workers"):
            user = by_name.get(str(row.get("user", "")))
            if user is not None:
                user.workers.append(make_worker(row))

    def workers(self, dialect: str) -> t.Iterator[WorkerStats]:
        """Every worker, in the order of the listing, which is taken apart as it is walked."""
        return map(_MAKERS[dialect][1], _rows(self._listing("workers"), "workers"))

    def current_workbase(self) -> Workbase:
        """The stratifier's own template, by the guide's command.

        :raises SourceNotAnswered: the build does not know that command.
        """
        return workbase(self._listing("current.workbase"))

    def template(self) -> Workbase:
        """A template that the generator gets from its bitcoind. Every build with a bitcoind of its own answers that.

        :raises PoolError: it has no bitcoind that gives one, or its reply is something else.
        """
        path = self._path_of("generator")
        try:
            reply = self.text("generator", "getbase")
        except ClosedWithoutReply as exc:
            # Every build with a bitcoind knows the command; one that has just lost it closes, and later says nothing.
            raise PoolError(
                "the generator closed the connection on 'getbase': it has lost its bitcoind",
                exc.path,
                _LOOK_AT,
                reason="no_bitcoind",
            ) from None
        word = reply.strip().lower()
        if word in _NO_TEMPLATE:
            raise PoolError(
                f"the generator answered '{reply.strip()}': {_NO_TEMPLATE[word]}", path, _LOOK_AT, reason="no_bitcoind"
            )
        try:
            return workbase(mapping(json.loads(reply), "the reply to 'getbase'"))
        except (ValueError, RecursionError):
            raise BadReply(
                f"{path} answered 'getbase' with text that is not JSON: {reply[:60]!r}", path, "is this a ckpool's?"
            ) from None

    def _listing(self, message: str) -> Json:
        try:
            return self.json("stratifier", message)
        except ClosedWithoutReply as exc:
            raise SourceNotAnswered(
                f"this build does not answer '{message}'", exc.path, "leave source at auto: it falls back on files"
            ) from None


def guide_stats(fields: Json) -> PoolStats:
    """Statistics from the guide's C(stats)."""
    return PoolStats(
        users=integer(fields, "users"),
        workers=integer(fields, "workers"),
        idle=integer(fields, "idle"),
        disconnected=integer(fields, "disconnected"),
        accepted=number(fields, "accepted", "accounted_diff_shares", "accepted_shares", "accounted_shares"),
        rejected=number(fields, "rejected", "accounted_rejects", "rejected_shares"),
        best_share=number(fields, "bestshare", "best_share", "best_diff"),
        uptime=integer(fields, "elapsed", "uptime", "runtime"),
        network_difficulty=number(fields, "network_diff", "netdiff", "network_difficulty"),
        **_shares_per_second(fields),
        **hashrates_from_guide(fields),
    )


def api_stats(fields: Json) -> PoolStats:
    """Statistics from the query API's C(poolstats)."""
    start = integer(fields, "start")
    return PoolStats(
        users=integer(fields, "users"),
        workers=integer(fields, "workers"),
        disconnected=integer(fields, "disconnected"),
        accepted=number(fields, "accepted"),
        rejected=number(fields, "rejected"),
        best_share=number(fields, "bestshare", "bestdiff"),
        uptime=max(int(time.time()) - start, 0) if start else None,
        **_shares_per_second(fields),
        **hashrates_from_dsps(fields),
    )


def _shares_per_second(fields: Json) -> Json:
    return {
        "sps1m": number(fields, "sps1", "sps1m", "SPS1m"),
        "sps5m": number(fields, "sps5", "sps5m", "SPS5m"),
        "sps15m": number(fields, "sps15", "sps15m", "SPS15m"),
        "sps1h": number(fields, "sps60", "sps1h", "SPS1h"),
    }


def workbase(fields: Json) -> Workbase:
    """A template from getblocktemplate's fields, or the daemon's own names of them.

    :raises Unparsable: it is none.
    """
    rows = fields.get("transactions", fields.get("txns"))
    listed = rows if isinstance(rows, list) else []
    count = len(listed) if isinstance(rows, list) else integer(fields, "transactions", "txns")
    bits = _hex(fields, _BITS, "bits", "nbit")
    found = Workbase(
        height=integer(fields, "height"),
        previous_block=_hex(fields, _HASH, "previousblockhash", "previous_block"),
        transactions=count,
        coinbase_value=integer(fields, "coinbasevalue", "coinbase_value"),
        bits=bits,
        difficulty=difficulty_of(_hex(fields, _HASH, "target"), bits),
        version=integer(fields, "version"),
        time=integer(fields, "curtime", "time"),
        transaction_list=[_transaction(row) for row in listed],
    )
    if found.height is None and found.previous_block is None:
        raise Unparsable("the reply holds no template: it has neither a height nor a previous block")
    return found


def difficulty_of(target: t.Optional[str], bits: t.Optional[str]) -> t.Optional[float]:
    """The difficulty of a target, given whole or in its compact form, both in hexadecimal digits."""
    number_of_target = int(target, 16) if target else 0
    if not number_of_target and bits:
        exponent, mantissa = int(bits[:2], 16), int(bits[2:], 16)
        number_of_target = mantissa << 8 * (exponent - 3) if exponent >= 3 else mantissa >> 8 * (3 - exponent)
    return _TARGET_1 / number_of_target if 0 < number_of_target < 2**256 else None


def _hex(fields: Json, pattern: t.Pattern[str], *names: str) -> t.Optional[str]:
    """The first of these fields, if it is made of so many hexadecimal digits."""
    value = next((fields[name] for name in names if fields.get(name) is not None), None)
    return value.lower() if isinstance(value, str) and pattern.match(value) else None


def _transaction(row: t.Any) -> Transaction:
    fields = mapping(row, "a transaction of the template")
    txid = _hex(fields, _HASH, "txid", "hash")
    return Transaction(txid or "", integer(fields, "fee"), integer(fields, "weight"))


def _rows(reply: Json, key: str) -> t.Iterator[Json]:
    """Take the rows out of a listing from the front, giving each one's memory back as the next is taken."""
    rows = reply.get(key)
    if not isinstance(rows, list):
        raise SourceNotAnswered(f"the reply holds no list of {key}", reason="unparsable", phase="parse")
    rows.reverse()
    while rows:
        yield mapping(rows.pop(), f"a row of {key}")


def _api_user(row: Json) -> UserStats:
    return UserStats(
        str(row.get("user", "")),
        best_share=number(row, "bestdiff"),
        shares=number(row, "shares"),
        last_share=integer(row, "lastshare"),
        **hashrates_from_dsps(row, USER_WINDOWS),
    )


def _api_worker(row: Json) -> WorkerStats:
    return WorkerStats(
        str(row.get("worker", "")),
        str(row.get("user", "")),
        best_share=number(row, "bestdiff"),
        shares=number(row, "shares"),
        last_share=integer(row, "lastshare"),
        idle=row.get("idle") if isinstance(row.get("idle"), bool) else None,
        **hashrates_from_dsps(row, USER_WINDOWS),
    )


def _guide_user(row: Json) -> UserStats:
    return UserStats(
        str(row.get("user", "")),
        best_share=number(row, "bestshare", "bestdiff"),
        shares=number(row, "shares"),
        last_share=integer(row, "lastshare"),
        authorised=integer(row, "authorised"),
        **hashrates_from_guide(row, USER_WINDOWS),
    )


def _guide_worker(row: Json) -> WorkerStats:
    return WorkerStats(
        str(row.get("worker", row.get("workername", ""))),
        str(row.get("user", "")),
        best_share=number(row, "bestshare", "bestdiff"),
        shares=number(row, "shares"),
        last_share=integer(row, "lastshare"),
        idle=row.get("idle") if isinstance(row.get("idle"), bool) else None,
        **hashrates_from_guide(row, USER_WINDOWS),
    )


_MAKERS: t.Dict[str, t.Tuple[t.Callable[[Json], UserStats], t.Callable[[Json], WorkerStats]]] = {
    "guide": (_guide_user, _guide_worker),
    "api": (_api_user, _api_worker),
}
