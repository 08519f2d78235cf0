# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of users and workers in the log directory, which are part of the source C(files).

There are three layouts: 2017 keeps workers in files beside the users, 2025 and 2026 keep them inside. The files are
rewritten in place, so one may be caught half written: it is read once more, and what is whole of it is used.

Files are never deleted. The daemon rewrites one every minute while it has the user in memory, which after a restart is
only so once the user has come back. A file that was not written in this run, or not for some minutes, holds the last
hashrate of a user who left: it is stale.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import typing as t

from .._errors import PoolError, Unparsable, Unreadable
from .._fields import Reader, note
from .._host.file import Files
from .._names import user_of
from .._observation import is_future
from .._records import UserStats, WorkerStats
from .._text import utf8
from .._units import shown
from .status_file import REWRITE_SECONDS, parse

if t.TYPE_CHECKING:
    from .._types import Json

STALE_SECONDS = 600.0  #: ten rewrites that did not happen; the daemon itself counts a client as idle then
_START_SLACK = 1.0  #: seconds; the start of a process is known in ticks only, and the time of a boot in whole seconds
_WHOLE = 256 * 1024  #: bytes of a file that is parsed as a whole
_MOST_USER = 256 * 1024 * 1024  #: bytes of one user's file that are read, in bounded memory: about 900,000 workers
_MOST_SECONDS = 30.0  #: for one user's file
MOST_WORKERS = 100_000  #: of one user that are held in memory
_SECOND_READS = 20  #: how many broken files are read a second time
_WORKERS = "worker"  #: the list of workers in a user's file
_MOST_MEMBERS = 100  #: fields of a user besides its workers
_HASHRATES = {f"hashrate{window}": ("hashrate", f"hashrate{window}") for window in ("1m", "5m", "1hr", "1d", "7d")}
_BOTH = {
    "shares": ("number", "shares"),
    "best_share": ("number", "bestshare"),
    "best_ever": ("number", "bestever"),
    "last_share": ("time", "lastshare"),
    "updated": ("time", "lastupdate"),
}
_USER = Reader({
    **_BOTH, "authorised": ("time", "authorised"), "worker_count": ("integer", "workers"), **_HASHRATES,
})  # fmt: skip
_WORKER = Reader({
    "worker": ("text", "workername"), **_BOTH, "started": ("time", "started"), "user_agent": ("text", "useragent"),
    **_HASHRATES,
})  # fmt: skip
_Members = t.Iterator[t.Tuple[str, t.Any]]
_WorkersOf = t.Callable[[str], t.Iterator[WorkerStats]]
_Record = t.TypeVar("_Record", UserStats, WorkerStats)


class _Beside:
    """The workers of a user, which the layout of 2017 has in files of their own.

    No other layout needs their folder, so it is opened for the first user.
    """

    def __init__(self, files: UserFiles, since: float, include_stale: bool) -> None:
        self._files, self._since, self._include_stale = files, since, include_stale
        self._handle: t.Optional[int] = None
        self._names: t.Optional[t.Dict[str, t.List[str]]] = None

    def __enter__(self) -> _Beside:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def __call__(self, user: str) -> t.Iterator[WorkerStats]:
        """The workers of a user."""
        if self._names is None:
            self._handle = self._files.open_workers()
            self._names = {} if self._handle is None else self._files.names_beside(self._handle, self._since)
        if self._handle is None:
            return
        for worker in self._files.workers_beside(self._handle, self._names.get(user, ()), user):
            if self._include_stale or not worker.stale:
                yield worker


class UserFiles:
    """The files of the users of one instance.

    :arg log_dir: the log directory, as seen from here.
    :arg files: opens what is in it; by default with the rights of the directory's owner.
    :arg started: epoch seconds of the start of the daemon's process; None where none runs.
    :arg problems: takes, by user, worker or file, what could not be used, with the reason.
    :ivar left_out: how many users were left out as stale.
    """

    def __init__(
        self,
        log_dir: str,
        files: t.Optional[Files] = None,
        started: t.Optional[float] = None,
        problems: t.Optional[t.Dict[str, str]] = None,
    ) -> None:
        self._log_dir = log_dir
        self._files = files or Files("", Files().owner_of(log_dir))
        self._started = started
        self.problems: t.Dict[str, str] = {} if problems is None else problems
        self.left_out = 0
        self._second_reads = _SECOND_READS

    def users(
        self, names: t.Optional[t.Sequence[str]], active_since: float = 0.0, include_stale: bool = True
    ) -> t.Iterator[UserStats]:
        """Users with their workers.

        A file that was last written before C(active_since) is not opened, nor is a stale one, unless these are wanted: old
        pools have a file for every user that ever connected.

        :arg names: these users only, even if stale; the names are checked. None for all.
        :arg active_since: epoch seconds of the last share that still counts as active.
        :raises Unreadable: the folder cannot be listed.
        """
        include_stale = include_stale or names is not None
        with self._beside(active_since, include_stale) as workers_of:
            for name, members, written in self._user_files(names, active_since, include_stale):
                user = self._user(utf8(name), members, written, workers_of)
                if user is not None and user.stale and not include_stale:
                    self.left_out += 1
                elif user is not None:
                    yield user

    def _user(self, name: str, members: _Members, written: float, workers_of: _WorkersOf) -> t.Optional[UserStats]:
        """A user from the members of its file; None if none of them could be read."""
        problems: t.List[str] = []
        row: Json = {}
        workers: t.List[WorkerStats] = []
        is_inside, left = False, 0
        for member, value in _until_broken(members, problems):
            if member == _WORKERS and value is None:
                is_inside = True
            elif member == _WORKERS and is_inside:
                if len(workers) < MOST_WORKERS:
                    workers += self._worker(name, value, written, problems)
                else:
                    left += 1
            elif len(row) < _MOST_MEMBERS:
                row[member] = value
        if left:
            problems.append(f"{left} workers are not listed, only the first {MOST_WORKERS}")
        if _WORKERS in row:
            problems.append(f"{_WORKERS} is not a list: {shown(row[_WORKERS])}")
        user = UserStats(name, **_USER.read(row, problems))
        user = self._dated(user, written, problems)
        note(self.problems, name, problems)
        if not row and not is_inside:
            return None
        user.workers = workers if is_inside else list(itertools.islice(workers_of(name), MOST_WORKERS))
        return user

    def workers(
        self, users: t.Optional[t.Sequence[str]], active_since: float = 0.0, include_stale: bool = True
    ) -> t.Iterator[WorkerStats]:
        """Workers of these users, or of all, one by one: they are not kept in memory.

        :arg users: names that are checked; None for all.
        :arg active_since: as for L(users).
        """
        include_stale = include_stale or users is not None
        with self._beside(active_since, include_stale) as workers_of:
            for name, members, written in self._user_files(users, active_since, include_stale):
                for worker in self._workers(utf8(name), members, written, workers_of):
                    if include_stale or not worker.stale:
                        yield worker

    def _workers(self, user: str, members: _Members, written: float, workers_of: _WorkersOf) -> t.Iterator[WorkerStats]:
        """The workers of a user, from the members of its file or from files of their own."""
        is_inside = False
        problems: t.List[str] = []
        for member, value in _until_broken(members, problems):
            if member == _WORKERS and value is None:
                is_inside = True
            elif member == _WORKERS and is_inside:
                yield from self._worker(user, value, written, problems)
                note(self.problems, user, problems)
                problems.clear()
        note(self.problems, user, problems)
        if not is_inside:
            yield from workers_of(user)

    def _beside(self, active_since: float, include_stale: bool) -> _Beside:
        return _Beside(self, self._since(active_since, include_stale), include_stale)

    def workers_beside(self, handle: int, names: t.Iterable[str], user: str) -> t.Iterator[WorkerStats]:
        """The workers of a user that have files of their own.

        :arg handle: their folder, open.
        :arg names: the names of the files.
        """
        for name in sorted(names):
            yield from self._worker_beside(self._workers_folder, name, handle, user)

    def names_beside(self, handle: int, since: float) -> t.Dict[str, t.List[str]]:
        """The files of workers by their user.

        :arg handle: their folder, open.
        :arg since: epoch seconds of the oldest file that is wanted.
        """
        names: t.Dict[str, t.List[str]] = {}
        for name in self._listed(self._workers_folder, handle, since):
            names.setdefault(user_of(utf8(name)), []).append(name)
        return names

    @property
    def _workers_folder(self) -> str:
        return os.path.join(self._log_dir, "workers")

    def open_workers(self) -> t.Optional[int]:
        """The folder of files of workers, open; None if this layout has none, or if it cannot be read."""
        try:
            return self._files.open_folder(self._workers_folder)
        except Unreadable as exc:
            if exc.reason != "absent":
                note(self.problems, "workers", [str(exc)])
            return None

    def _worker_beside(self, folder: str, name: str, handle: t.Optional[int], user: str) -> t.Iterator[WorkerStats]:
        """The worker of one file; nothing if it cannot be read."""
        for members, written in self._opened(folder, name, handle):
            problems: t.List[str] = []
            row = dict(_until_broken(members, problems))
            if row:
                yield from self._worker(user, {**row, "workername": utf8(name)}, written, problems)
            note(self.problems, name, problems)

    def _worker(self, user: str, value: t.Any, written: float, problems: t.List[str]) -> t.List[WorkerStats]:
        """The worker of an object; nothing if the value is not an object, which becomes a problem."""
        if not isinstance(value, dict):
            problems.append(f"a worker is not an object: {shown(value)}")
            return []
        found: t.List[str] = []
        fields = _WORKER.read(value, found)
        name = fields.pop("worker")
        if name is None:
            found.append("it has no name")
        worker = self._dated(WorkerStats(name or "", user, **fields), written, found)
        problems.extend(f"{worker.worker or 'a worker'}: {problem}" for problem in found)
        return [worker]

    def _user_files(
        self, names: t.Optional[t.Sequence[str]], active_since: float, include_stale: bool
    ) -> t.Iterator[t.Tuple[str, _Members, float]]:
        """Each file of a user: its name, its members, and when it was written (epoch seconds)."""
        folder = os.path.join(self._log_dir, "users")
        if names is not None:
            for name in names:
                for members, written in self._opened(folder, name, None):
                    yield name, members, written
            return
        try:
            handle = self._files.open_folder(folder)
        except Unreadable as exc:
            raise Unreadable(
                f"cannot list the users: {exc}", folder, exc.hint or "is this the log directory?", reason=exc.reason
            ) from None
        with _closing(handle):
            for name in self._listed(folder, handle, self._since(active_since, include_stale), not include_stale):
                for members, written in self._opened(folder, name, handle):
                    yield name, members, written

    def _listed(self, folder: str, handle: int, since: float, counts_stale: bool = False) -> t.Iterator[str]:
        """The names in a folder, of files written since then."""
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    try:
                        written = entry.stat().st_mtime if since else 0.0
                    except OSError as exc:  # gone in between, or a link to nowhere
                        note(self.problems, entry.name, [f"cannot read it: {exc.strerror}"])
                        continue
                    if written >= since:
                        yield entry.name
                    elif counts_stale and written < self._since(0.0, False):
                        self.left_out += 1
        except OSError as exc:
            raise Unreadable(f"cannot list {folder}: {exc.strerror}", folder, "is this the log directory?") from None

    def _opened(self, folder: str, name: str, handle: t.Optional[int]) -> t.Iterator[t.Tuple[_Members, float]]:
        """One file, open while it is used: its members, and when it was written. Nothing if it cannot be opened.

        A short file is parsed as a whole, and once more a moment later if it was broken: it may be rewritten just now. A long
        file comes piece by piece, and so do the intact members of a broken one.
        """
        path = os.path.join(folder, name)
        try:
            opened = self._files.open(path, handle)
        except PoolError as exc:
            if exc.reason != "absent":
                note(self.problems, name, [str(exc)])
            return
        with _closing(opened):
            try:
                info = os.fstat(opened)
                row = self._whole(opened) if info.st_size <= _WHOLE else None
            except OSError as exc:
                note(self.problems, name, [f"cannot read {path}: {exc.strerror}"])
                return
            if row is None:
                os.lseek(opened, 0, os.SEEK_SET)
                from .stream import Stream  # few files are long or broken

                yield Stream(opened, path, _MOST_USER, _MOST_SECONDS).members(_WORKERS), info.st_mtime
            else:
                yield _members(row), info.st_mtime

    def _whole(self, handle: int) -> t.Optional[Json]:
        """A short file; None if it is not complete JSON."""
        for attempt in range(2):
            os.lseek(handle, 0, os.SEEK_SET)
            try:
                return parse(os.read(handle, _WHOLE + 1), "it")
            except Unparsable:
                # A full disk leaves thousands of empty files: do not wait for every one.
                if attempt or self._second_reads <= 0:
                    break
            self._second_reads -= 1
            time.sleep(REWRITE_SECONDS)
        return None

    def _since(self, active_since: float, include_stale: bool) -> float:
        """The time (epoch seconds) since which a file must have been written to be opened."""
        if include_stale:
            return active_since
        started = 0.0 if self._started is None else self._started - _START_SLACK
        return max(active_since, started, time.time() - STALE_SECONDS)

    def _dated(self, record: _Record, written: float, problems: t.List[str]) -> _Record:
        """A record with the time of its file. If the file was copied since, the time in the file is the right one."""
        now = time.time()
        is_ahead = is_future(written, now)
        if is_ahead:
            problems.append(f"its file is from the future, by {written - now:.0f} s: has a clock been set back?")
        record.updated = min(int(written), record.updated or int(written))
        # A file from the future was not written since the clock was set back.
        record.stale = is_ahead or min(written, record.updated + 1) < self._since(0.0, False)
        return record


def _members(row: Json) -> _Members:
    """The members of an object. The list of workers comes as None and then each item."""
    for name, value in row.items():
        if name != _WORKERS or not isinstance(value, list):
            yield name, value
            continue
        yield name, None
        for item in value:
            yield name, item


def _until_broken(members: _Members, problems: t.List[str]) -> _Members:
    """The members that can be read; the fault that ends them becomes a problem."""
    try:
        yield from members
    except Unparsable as exc:
        problems.append(str(exc))


@contextlib.contextmanager
def _closing(handle: int) -> t.Iterator[int]:
    try:
        yield handle
    finally:
        os.close(handle)
