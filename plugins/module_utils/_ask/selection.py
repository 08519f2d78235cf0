# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which users and workers are wanted, and in which order. Only those that are returned are held in memory."""

from __future__ import annotations

import heapq
import time
import typing as t

from .._observation import is_future
from .._records import UserStats, WorkerStats

SORT_FIELDS = (
    "user", "hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d", "shares", "best_share", "last_share",
)  # fmt: skip
WORKER_SORT_FIELDS = ("worker", *SORT_FIELDS)
#: fields of a worker in a result
WORKER_FIELDS = (*WORKER_SORT_FIELDS, "idle", "best_ever", "started", "user_agent", "updated", "stale")
_Row = t.TypeVar("_Row", UserStats, WorkerStats)


def select(users: t.Iterable[UserStats], since: float, sort_by: str, limit: t.Optional[int]) -> t.List[UserStats]:
    """The users that were active since then, in order.

    :arg since: epoch seconds; 0 for all users.
    :arg sort_by: one of L(SORT_FIELDS); names ascend, all else descends.
    :arg limit: how many at most; None for all.
    """
    active = (user for user in users if not since or _is_active(user, since))
    return _first(active, ("user",) if sort_by == "user" else (), sort_by, limit)


def select_workers(
    workers: t.Iterable[WorkerStats], state: str, since: float, sort_by: str, limit: t.Optional[int]
) -> t.List[WorkerStats]:
    """The workers in that state, in order.

    :arg state: C(active), C(idle) or C(any).
    :arg since: epoch seconds; a worker that shared since then is active, which sets C(idle). If the source has no time of
        the last share, the time at which it last wrote of the worker counts.
    :arg sort_by: one of L(WORKER_SORT_FIELDS); names ascend, all else descends.
    :arg limit: how many at most; None for all.
    """

    def judged() -> t.Iterator[WorkerStats]:
        for worker in workers:
            last = _last_sign(worker, time.time())
            worker.idle = last < since if last else not worker.hashrate1hr
            if state == "any" or worker.idle == (state == "idle"):
                yield worker

    names = {"worker": ("worker",), "user": ("user", "worker")}.get(sort_by, ())
    return _first(judged(), names, sort_by, limit)


def _first(rows: t.Iterable[_Row], names: t.Sequence[str], sort_by: str, limit: t.Optional[int]) -> t.List[_Row]:
    """The first rows in order: by names, which ascend, or by a number, which descends."""

    def name(row: _Row) -> t.List[str]:
        return [getattr(row, field) for field in names]

    def rank(row: _Row) -> float:
        value = getattr(row, sort_by)
        return -1.0 if value is None else value

    if names:
        return sorted(rows, key=name) if limit is None else heapq.nsmallest(limit, rows, key=name)
    return sorted(rows, key=rank, reverse=True) if limit is None else heapq.nlargest(limit, rows, key=rank)


def _is_active(user: UserStats, since: float) -> bool:
    """Whether a user shared since then; if that is unknown, whether it had a hashrate in the last hour."""
    last = _last_sign(user, time.time())
    return last >= since if last else bool(user.hashrate1hr)


def _last_sign(record: t.Union[UserStats, WorkerStats], now: float) -> t.Optional[int]:
    """The time of the last share, or else of the record; None if it is from the future, as a clock was set back."""
    last = record.last_share or record.updated
    return None if is_future(last, now) else last
