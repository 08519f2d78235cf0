# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who are connected and have no status file of this run yet, by the log.

The daemon writes a user's file after the first accepted share, which takes up to a minute.
"""

from __future__ import annotations

import typing as t

from ..._errors import PoolError
from ..._records import UserStats, WorkerStats
from ..._text import utf8
from .clients import connected, find
from .file import Budget, Log

_MOST_BYTES = (
    8 * 1024 * 1024
)  #: from the end of the log; a user who connected before that has shares by now, or never will
_MOST_SECONDS = 3.0
_MOST_CLIENTS = 10_000


def connected_users(
    log: Log, started: t.Optional[float], known: t.Container[str], names: t.Optional[t.Sequence[str]] = None
) -> t.Tuple[t.List[UserStats], str]:
    """The connected users that are not known, with what the log has of them; and why there may be more, or nothing.

    :arg started: epoch seconds of the start of the daemon.
    :arg known: users who are not wanted.
    :arg names: these users only; None for all.
    """
    budget = Budget(_MOST_BYTES, _MOST_SECONDS)
    try:
        found = (
            connected(log, started, _MOST_CLIENTS, budget)
            if names is None
            else find(log, started, users=names, limit=_MOST_CLIENTS, budget=budget)
        )
    except PoolError as exc:
        return [], str(exc)
    users: t.Dict[str, UserStats] = {}
    workers: t.Set[t.Tuple[str, str]] = set()
    for client in reversed(found.clients):  # the oldest first
        name, when = utf8(client.user), int(client.since)
        # A client that was told to reconnect may have gone without a line that says so.
        if name in known or client.told_to_leave:
            continue
        user = users.setdefault(name, UserStats(name, authorised=when, source="log"))
        worker = utf8(client.worker)
        if (name, worker) not in workers:
            workers.add((name, worker))
            user.workers.append(WorkerStats(worker, name, started=when))
    return list(users.values()), "; ".join(found.problems[:3])
