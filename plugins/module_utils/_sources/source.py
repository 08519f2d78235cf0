# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of a source.

A source is one way to learn something about an instance: a dialect that the daemon speaks over its sockets, or the files
that it writes. What only one of them knows (messages, formats, spellings of fields) is in its own file.
"""

from __future__ import annotations

import time
import typing as t

from .._errors import SourceNotAnswered
from .._wire import ClosedWithoutReply

if t.TYPE_CHECKING:
    from .._instance import Instance
    from .._records import PoolStats, Query, UserStats, Workbase, WorkerStats
    from .._types import Json, Spellings
    from .exchange import Sockets
    from .log.blocks import Found
    from .log.clients import Client

Statistics = t.Tuple["PoolStats", t.Optional[int], t.Any]


class Source:
    """One source of answers about one instance. A class defines what its source has, and leaves the rest as it is here.

    :arg sockets: the instance's sockets.
    :arg counts: returns what the stratifier answers to C(stats), or raises PoolError.
    :arg is_named: whether the user named this source: it is used without looking whether the daemon speaks it.
    :ivar problems: user, file or listing to what in it could not be used, with the reason.
    :ivar left_out: how many users were left out as stale.
    :ivar as_of: epoch seconds at which the users or workers that were given last were written.
    """

    name: t.ClassVar[str]
    #: the questions that it answers: C(stats), C(users), C(workers), C(blocks), C(workbase)
    gives: t.ClassVar[t.FrozenSet[str]]
    #: whether users and workers that were not active since the time of a query are left out without a look at them
    skips_inactive: t.ClassVar[bool] = False
    #: the socket, besides the listener, that refuses a wrong log level
    level_socket: t.ClassVar[str] = ""
    #: whether it lists the clients
    lists_clients: t.ClassVar[bool] = False
    #: whether it has a command that drops a user
    drops_users: t.ClassVar[bool] = False

    def __init__(
        self, instance: Instance, sockets: Sockets, counts: t.Callable[[], Json], is_named: bool = False
    ) -> None:
        self.instance = instance
        self.sockets = sockets
        self.counts = counts
        self.is_named = is_named
        self.problems: t.Dict[str, str] = {}
        self.left_out = 0
        self.as_of: t.Optional[int] = None
        self._is_spoken: t.Optional[bool] = None

    def detect(self) -> bool:
        """Whether the daemon speaks it. Only C(ping), C(stats), C(poolstats), C(users) and C(workers) may be sent for that.

        :raises PoolError: that cannot be seen.
        """
        return True

    def is_spoken(self) -> bool:
        """Whether the daemon is seen to speak it, which is detected once, or the user says so.

        :raises PoolError: that cannot be seen.
        """
        if self._is_spoken is None:
            self._is_spoken = self.is_named or self.detect()
        return self._is_spoken

    def answers(self, question: str) -> bool:
        """Whether the daemon answers a question this way, of those that the source gives.

        :raises PoolError: that cannot be seen.
        """
        return self.is_spoken()

    # What is asked. Each raises PoolError if there is no answer.

    def stats(self) -> Statistics:
        """The pool's statistics, when they were made (epoch seconds), and the reply or the objects as they came."""
        raise NotImplementedError

    def users(self, query: Query) -> t.Iterator[UserStats]:
        """The users, one by one."""
        raise NotImplementedError

    def add_workers(self, users: t.Sequence[UserStats]) -> None:
        """Fill in the workers of these users, where L(users) has not."""

    def workers(self, query: Query) -> t.Iterator[WorkerStats]:
        """The workers, one by one."""
        raise NotImplementedError

    def blocks(self, since: float, limit: int, log_limit: t.Optional[int] = None) -> Found:
        """The blocks that the pool found since then (epoch seconds), the newest first.

        :arg log_limit: bytes of logs that may be read; None for the default.
        """
        raise NotImplementedError

    def workbase(self) -> t.Optional[Workbase]:
        """The template that the pool works on, with its C(age) if the source knows it; None if such a mode has none."""
        raise NotImplementedError

    def last_written(self) -> t.Optional[float]:
        """When the daemon last wrote its statistics, epoch seconds; None if that cannot be seen."""
        return None

    # What orders need

    def set_level(self, level: int) -> t.Optional[t.Tuple[str, bool]]:
        """Set the log level by C(level_socket): the reply, and whether it was accepted. None if there is no such command."""
        return None

    def clients(self) -> t.List[Client]:
        """The clients that are connected, if C(lists_clients)."""
        raise NotImplementedError

    def drop_user(self, user: str) -> str:
        """Drop all clients of a user whom the daemon knows, if C(drops_users); its reply."""
        raise NotImplementedError

    def user_names(self) -> t.Set[str]:
        """The users whom the daemon knows, if C(drops_users)."""
        raise NotImplementedError

    def connections_of(self, user: str) -> t.Optional[t.Tuple[float, int]]:
        """How many connections a user had, and when (epoch seconds), in this run of the daemon; None if unknown."""
        return None

    def has_never_seen(self, user: str) -> bool:
        """Whether it is certain that the daemon has never counted this user."""
        return False


class SocketSource(Source):
    """A source of JSON over the stratifier's socket: its listings, read by the source's spellings."""

    #: H/s that a number without a suffix stands for
    hashrate_unit: t.ClassVar[float] = 1.0
    pool_fields: t.ClassVar[Spellings]
    user_fields: t.ClassVar[Spellings]
    worker_fields: t.ClassVar[Spellings]
    gives = frozenset(("stats", "users", "workers", "workbase"))

    def ask(self, message: str) -> Json:
        """A JSON object from the stratifier, if that has answered before.

        :raises SourceNotAnswered: this build does not know the message.
        """
        self.counts()
        try:
            return self.sockets.json("stratifier", message)
        except ClosedWithoutReply as exc:
            raise SourceNotAnswered(
                f"this build does not answer '{message}'", exc.path, "leave source at auto: it falls back on files"
            ) from None

    def users(self, query: Query) -> t.Iterator[UserStats]:
        """The users in the order of the listing. They have no workers yet."""
        from . import replies  # only who wants records need compile that

        self.require()
        listing = self.ask("users")
        yield from replies.users(listing, self.user_fields, self.hashrate_unit, self.name, query.users, self.problems)
        self.as_of = int(time.time())

    def add_workers(self, users: t.Sequence[UserStats]) -> None:
        """Fill in the workers of these users from the listing of all workers."""
        by_name = {user.user: user for user in users}
        if by_name:
            for worker in self._workers(by_name):
                by_name[worker.user].workers.append(worker)

    def workers(self, query: Query) -> t.Iterator[WorkerStats]:
        """The workers in the order of the listing."""
        self.require()
        yield from self._workers(None)

    def _workers(self, owners: t.Optional[t.Container[str]]) -> t.Iterator[WorkerStats]:
        """The workers, or those of some users."""
        from . import replies

        yield from replies.workers(self.ask("workers"), self.worker_fields, self.hashrate_unit, owners, self.problems)
        self.as_of = int(time.time())

    def stats_from(self, row: Json) -> Statistics:
        """The statistics from a reply, with the time that it gives, or now.

        :raises Unparsable: it holds no hashrate that makes sense.
        """
        from . import replies

        path = self.instance.socket("stratifier")
        stats, as_of = replies.stats(row, self.pool_fields, self.hashrate_unit, path, self.problems)
        return stats, as_of or int(time.time()), row

    def require(self) -> None:
        """Raise unless the daemon speaks a source that was named: another's users would be users without hashrates."""
        if self.is_named:
            self.stats()
