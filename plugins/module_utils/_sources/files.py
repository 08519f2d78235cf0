# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that every build writes to its log directory: C(pool/pool.status), the files of users, and the log."""

from __future__ import annotations

import time
import typing as t

from .._errors import BadInput, PoolError, Unreadable
from .._names import check_user_name, user_of
from .._state import COUNTING_MODES
from .source import Source, Statistics

if t.TYPE_CHECKING:
    from .._records import Query, UserStats, WorkerStats
    from .log.blocks import Found
    from .log.file import Log
    from .user_files import UserFiles


class FileSource(Source):
    """The status files and the log of one instance, read with the rights of its user."""

    name = "files"
    gives = frozenset(("stats", "users", "workers", "blocks"))
    skips_inactive = True

    def stats(self) -> Statistics:
        """The pool's statistics, when they were written (epoch seconds), and the objects as they stand in the file.

        Where the file has no difficulty of the network, the log has.

        :raises Unreadable: there is no status file, or it may not be read.
        :raises Unparsable: nothing in it can be used.
        """
        found, as_of, rows = self._status()
        if found.network_difficulty is None:
            found.network_difficulty = self._difficulty_from_log()
        return found, as_of, rows

    def users(self, query: Query) -> t.Iterator[UserStats]:
        """The users by their files, with their workers; then those who have no file yet, by the log."""
        files, known = self._user_files(), t.cast(t.Set[str], set())
        self.problems.pop("users", None)
        count = 0
        for user in files.users(query.users, query.since, query.include_stale):
            count += 1
            known.add(user.user)
            user.source = self.name
            yield user
        self.left_out = files.left_out
        counted = self._date()
        if query.enough is None or count < query.enough:
            yield from self._connected(known, query.users, counted)

    def workers(self, query: Query) -> t.Iterator[WorkerStats]:
        """The workers by the files of their users; then those of users who have no file yet, by the log."""
        owners = query.users
        if owners is None and query.workers is not None:
            owners = _owners(query.workers)
        files, known = self._user_files(), t.cast(t.Set[str], set())
        for worker in files.workers(owners, query.since, query.include_stale):
            known.add(worker.user)
            yield worker
        self.left_out = files.left_out
        if query.enough is None:
            for user in self._connected(known, owners, None):
                yield from user.workers
        self._date()

    def blocks(self, since: float, limit: int, log_limit: t.Optional[int] = None) -> Found:
        """The blocks that the log and the rotated ones tell of: nothing else does.

        :raises PoolError: the log cannot be read.
        """
        from .log.blocks import find_blocks
        from .log.file import LOG_LIMIT

        found = find_blocks(self._log(), since, limit, LOG_LIMIT if log_limit is None else log_limit)
        self.problems.update(found.problems)
        return found

    def connections_of(self, user: str) -> t.Optional[t.Tuple[float, int]]:
        """How many connections a user had when its file was last written, and when that was.

        None if that was not in this run of the daemon, or if the file is being written just now.
        """
        from . import status_file

        path = self.instance.log_path("users", user) or ""
        files, started = self.instance.files, self.instance.start_time
        try:
            written = files.stat(path).st_mtime
            fields = status_file.parse(files.read(path), path)
        except (OSError, PoolError):
            return None
        count = fields.get("workers")
        return (written, count) if isinstance(count, int) and written > (started or written) else None

    def has_never_seen(self, user: str) -> bool:
        """Whether the files of users can be seen, and this user has none. One is written within a minute or so."""
        files, path = self.instance.files, self.instance.log_path("users", user)
        try:
            files.stat(self.instance.log_path("users") or "")
            files.stat(path or "")
        except Unreadable as exc:
            return exc.reason == "absent" and exc.path == path
        return False

    def last_written(self) -> t.Optional[float]:
        """When C(pool.status) was last written, epoch seconds; None if it cannot be seen."""
        path = self.instance.log_path("pool", "pool.status")
        try:
            return self.instance.files.stat(path).st_mtime if path else None
        except PoolError:
            return None

    def _status(self) -> Statistics:
        """The statistics of C(pool.status) alone. In a mode that writes none, they are of an earlier life of the folder."""
        from . import status_file

        if self.instance.mode not in COUNTING_MODES:
            raise Unreadable(f"{self.instance.mode} mode writes no statistics", self._path(), reason="absent")
        return status_file.read(self._path("pool", "pool.status"), self.instance.files, self.problems)

    def _date(self) -> t.Optional[int]:
        """Note when the status files were written; how many users the daemon counted then, if that was in this run."""
        self.problems.pop("as_of", None)
        try:
            stats, self.as_of, _rows = self._status()
        except PoolError as exc:
            self.as_of, self.problems["as_of"] = None, str(exc)
            return None
        return stats.users if (self.as_of or 0) >= (self.instance.start_time or 0.0) else None

    def _connected(
        self, known: t.Set[str], names: t.Optional[t.Sequence[str]], counted: t.Optional[int]
    ) -> t.List[UserStats]:
        """Users who are connected and have no file yet.

        :arg known: those who have one.
        :arg names: these only; None for all.
        :arg counted: how many there are, by the daemon's own count.
        """
        known = known.union(self.problems)
        wanted = None if names is None else [name for name in names if name not in known]
        if self.instance.pid_state != "alive" or wanted == []:
            return []
        from .log.connected_users import connected_users

        found, problem = connected_users(self._log(), self.instance.start_time, known, wanted)
        missing = (counted or 0) - len(known) - len(found)
        if names is None and missing > 0:
            self.problems["users"] = (
                f"{missing} connected users are in no file of this run, nor in the log: {problem or 'is its level below 5?'}"
            )
        return found

    def _difficulty_from_log(self) -> t.Optional[float]:
        from .log.events import events

        try:
            return events(self._log(), time.time(), 0.0, wants_work=False).network_difficulty
        except PoolError:
            return None

    def _user_files(self) -> UserFiles:
        from .user_files import UserFiles

        folder, instance = self._path(), self.instance
        started = instance.start_time if instance.pid_state == "alive" else None
        return UserFiles(folder, instance.files, started, self.problems)

    def _path(self, *parts: str) -> str:
        """A path in the log directory.

        :raises PoolError: it is not known where that is.
        """
        path = self.instance.log_path(*parts)
        if path is None:
            raise self.instance.no_log()
        return path

    def _log(self) -> Log:
        """The log.

        :raises PoolError: it is not known where that is.
        """
        from .log.file import log_of

        log = log_of(self.instance)
        if log is None:
            raise self.instance.no_log()
        return log


def _owners(workers: t.Sequence[str]) -> t.List[str]:
    """The users that these workers belong to by their names, if a user can have that name."""
    owners = []
    for user in dict.fromkeys(map(user_of, workers)):
        try:
            check_user_name(user)
        except BadInput:
            continue
        owners.append(user)
    return owners
