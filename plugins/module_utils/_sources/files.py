# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers from the status files that public builds write to their log directory.

Three layouts: 2017 keeps workers in files beside the users, 2025 and 2026 keep them inside. The files are rewritten in
place, so one may be caught half written: it is read once more, and what is whole of it is kept.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from .._errors import PoolError, Unparsable, Unreadable
from .._instance import read_file
from .._names import user_of
from .._records import (
    USER_WINDOWS,
    Json,
    PoolStats,
    UserStats,
    WorkerStats,
    hashrates_from_text,
    integer,
    mapping,
    number,
)

_STATUS_LINES = 3
_MOST_LINES = 10  #: of pool.status that are looked at
_REWRITE_SECONDS = 0.05
_PATIENCE = 20  #: how many broken files are read a second time
_PERMANENT = ("absent", "not_permitted", "not_a_file", "too_large")
_Result = t.TypeVar("_Result")


class FileSource:
    """The status files of one instance.

    :arg log_dir: the log directory, as seen from here.
    """

    def __init__(self, log_dir: str) -> None:
        self._log_dir = log_dir
        #: file name to why it, or a line of it, could not be used
        self.problems: t.Dict[str, str] = {}
        self._patience = _PATIENCE

    def stats(self) -> t.Tuple[PoolStats, t.Optional[int], t.List[Json]]:
        """The pool's statistics, when they were written (epoch seconds), and the objects as they stand there.

        :raises Unreadable: there is no status file, or it may not be read.
        :raises Unparsable: nothing in it can be used.
        """
        path = os.path.join(self._log_dir, "pool", "pool.status")
        try:
            rows = self._status_rows(path)
        except Unreadable as exc:
            exc.hint = exc.hint or "is this its log directory? the first is written a minute after the start"
            raise
        if len(rows) < _STATUS_LINES:
            time.sleep(_REWRITE_SECONDS)
            rows = self._status_rows(path)
        if not rows:
            raise Unparsable(f"no status in {self.problems['pool.status']}", path, "does the disk have room?")
        fields: Json = {}
        for row in rows:
            fields.update(row)
        return status_stats(fields), integer(fields, "lastupdate"), rows

    def _status_rows(self, path: str) -> t.List[Json]:
        """The lines of pool.status that are whole; the others are named in C(problems)."""
        rows, broken = [], []
        for count, line in enumerate(read_file(path).splitlines()[:_MOST_LINES], 1):
            try:
                rows.append(_parse(line, path))
            except Unparsable as exc:
                broken.append(f"line {count}: {exc}")
        if len(rows) < _STATUS_LINES:
            if not broken:
                broken.append(f"{len(rows)} lines instead of {_STATUS_LINES}: caught half written")
            self.problems["pool.status"] = f"{path}: {'; '.join(broken[:_STATUS_LINES])}"
        else:
            self.problems.pop("pool.status", None)
        return rows

    def users(self, names: t.Optional[t.Sequence[str]], active_since: float = 0.0) -> t.Iterator[UserStats]:
        """Users with their workers.

        A user's file is rewritten each minute while the user is active, so a file that was last written before
        C(active_since) is not opened: old pools keep a file for everybody who ever came.

        :arg names: these only, checked names; None for all.
        :arg active_since: epoch seconds of the last share that still counts as active.
        :raises Unreadable: the folder cannot be listed.
        """
        folder = os.path.join(self._log_dir, "users")
        workers_of: t.Optional[t.Dict[str, t.List[WorkerStats]]] = None
        for name in self._listed(folder, active_since) if names is None else names:
            row = self._row(os.path.join(folder, name))
            if row is None:
                continue
            try:
                user = file_user(name, row)
                if "worker" in row:
                    user.workers = [_worker(name, worker) for worker in row["worker"] or ()]
                else:
                    if workers_of is None:
                        workers_of = self._workers_beside(names, active_since)
                    user.workers = workers_of.get(name, [])
            except (PoolError, TypeError) as exc:
                self.problems[name] = str(exc)
                continue
            yield user

    def workers(self, users: t.Optional[t.Sequence[str]], active_since: float = 0.0) -> t.Iterator[WorkerStats]:
        """Workers of these users, or of all.

        :arg users: checked names.
        :arg active_since: as for users.
        """
        for user in self.users(users, active_since):
            yield from user.workers

    def _listed(self, folder: str, written_since: float) -> t.Iterator[str]:
        """The names in a folder, of files written since then."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        if not written_since or entry.stat().st_mtime >= written_since:
                            yield entry.name
                    except OSError as exc:  # gone in between
                        self.problems[entry.name] = str(exc)
        except OSError as exc:
            raise Unreadable(f"cannot list {folder}: {exc.strerror}", folder, "is this the log directory?") from None

    def _workers_beside(
        self, names: t.Optional[t.Sequence[str]], active_since: float
    ) -> t.Dict[str, t.List[WorkerStats]]:
        """Workers by user, where the layout of 2017 has them in files of their own."""
        folder = os.path.join(self._log_dir, "workers")
        found: t.Dict[str, t.List[WorkerStats]] = {}
        if not os.path.isdir(folder):
            return found
        wanted = None if names is None else set(names)
        for worker in self._listed(folder, active_since):
            user = user_of(worker)
            if wanted is not None and user not in wanted:
                continue
            row = self._row(os.path.join(folder, worker))
            try:
                if row is not None:
                    found.setdefault(user, []).append(_worker(user, dict(row, workername=worker)))
            except PoolError as exc:
                self.problems[worker] = str(exc)
        for workers in found.values():
            workers.sort(key=lambda worker: worker.worker)  # a folder has no order of its own
        return found

    def _row(self, path: str) -> t.Optional[Json]:
        """One user's or worker's file; None where it is absent or broken, the latter named in C(problems)."""
        try:
            return self._twice(lambda: _parse(read_file(path), path))
        except PoolError as exc:
            if exc.reason != "absent":
                self.problems[os.path.basename(path)] = str(exc)
            return None

    def _twice(self, read: t.Callable[[], _Result]) -> _Result:
        """Read, and once more a moment later if what was read was broken: it may just be being rewritten."""
        try:
            return read()
        except PoolError as exc:
            # A full disk leaves thousands of empty files: do not wait for each of them.
            if exc.reason in _PERMANENT or self._patience <= 0:
                raise
        self._patience -= 1
        time.sleep(_REWRITE_SECONDS)
        return read()


def status_stats(fields: Json) -> PoolStats:
    """Statistics from the merged lines of pool.status."""
    return PoolStats(
        users=integer(fields, "Users"),
        workers=integer(fields, "Workers"),
        idle=integer(fields, "Idle"),
        disconnected=integer(fields, "Disconnected"),
        accepted=number(fields, "accepted"),
        rejected=number(fields, "rejected"),
        best_share=number(fields, "bestshare"),
        sps1m=number(fields, "SPS1m"),
        sps5m=number(fields, "SPS5m"),
        sps15m=number(fields, "SPS15m"),
        sps1h=number(fields, "SPS1h"),
        uptime=integer(fields, "runtime"),
        network_difficulty=number(fields, "netdiff"),
        **hashrates_from_text(fields),
    )


def file_user(name: str, row: Json) -> UserStats:
    """A user from its file, without its workers."""
    return UserStats(
        name,
        shares=number(row, "shares"),
        best_share=number(row, "bestshare"),
        last_share=integer(row, "lastshare"),
        authorised=integer(row, "authorised"),
        updated=integer(row, "lastupdate"),
        **hashrates_from_text(row, USER_WINDOWS),
    )


def _worker(user: str, value: t.Any) -> WorkerStats:
    row = mapping(value, f"a worker of {user}")
    return WorkerStats(
        str(row.get("workername", "")),
        user,
        shares=number(row, "shares"),
        best_share=number(row, "bestshare"),
        last_share=integer(row, "lastshare"),
        updated=integer(row, "lastupdate"),
        **hashrates_from_text(row, USER_WINDOWS),
    )


def _parse(data: bytes, path: str) -> Json:
    try:
        return mapping(json.loads(data), path)
    except (ValueError, RecursionError) as exc:
        raise Unparsable(f"{path} is not whole JSON: {exc}", path, reason="half_written") from None
