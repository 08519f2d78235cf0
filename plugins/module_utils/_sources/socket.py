# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers over the sockets: the guide's dialect, the native query API, and what every build answers.

Only reads that do no harm on any build are sent. A user's own record is taken from the listings: asking for one user
by name would create it on the public builds.
"""

from __future__ import annotations

import time
import typing as t

from .._errors import SourceNotAnswered
from .._records import (
    USER_WINDOWS,
    Json,
    PoolStats,
    UserStats,
    WorkerStats,
    hashrates_from_dsps,
    hashrates_from_guide,
    integer,
    mapping,
    number,
)
from .._wire import ClosedWithoutReply
from .talk import Talk


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
