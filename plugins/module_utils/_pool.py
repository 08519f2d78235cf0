# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool: what an operator can ask it, one method each, from the best source that the daemon has.

This is plain Python, of the standard library alone, and can be used without Ansible::

    from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool

    answer = Pool.find().stats()
    print(answer.stats.hashrate1m, answer.source, answer.as_of)
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
import typing as t

from . import _instance
from ._errors import BadInput, PoolError, SourceNotAnswered
from ._instance import SOCKETS, Instance
from ._names import MAX_USER_BYTES, check_user_name, check_worker_name, user_of
from ._observation import Observation, Probe, work_age
from ._parallel import in_parallel
from ._records import Block, Json, PoolStats, UserStats, Workbase, WorkerStats, is_deep
from ._sources import log
from ._sources.files import FileSource
from ._sources.log import LOG_LIMIT
from ._sources.socket import SocketSource
from ._sources.talk import Replies
from ._state import WORKING_MODES, count_of, first_sight, reached_state, workbases
from ._wire import MAX_REPLY

if t.TYPE_CHECKING:
    from ._health import Thresholds, Verdict

__all__ = [
    "ACTIVE_SECONDS",
    "LOG_LIMIT",
    "MAX_REPLY",
    "MAX_TRANSACTIONS",
    "MAX_USER_BYTES",
    "SORT_FIELDS",
    "WORKER_SORT_FIELDS",
    "Answer",
    "HealthOptions",
    "Instance",
    "Observation",
    "Pool",
    "check_user_name",
    "check_worker_name",
    "in_parallel",
    "select",
    "select_workers",
]
SORT_FIELDS = (
    "user", "hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d", "shares", "best_share", "last_share",
)  # fmt: skip
WORKER_SORT_FIELDS = ("worker", *SORT_FIELDS)
ACTIVE_SECONDS = 600.0  #: after so long without a share the daemon itself takes a client for idle
MAX_TRANSACTIONS = 20_000  #: of a template that are listed; a block has room for less
_LOG_WINDOW = 600.0  #: seconds within which an error in the log is recent
_LOG_LIMIT = 16 * 1024 * 1024


@dataclasses.dataclass
class Answer:
    """What a pool said, where it came from, and how old it is.

    :ivar reached: epoch seconds of the oldest line of log that was looked at for blocks.
    :ivar is_complete: whether all the blocks that were asked for were looked for.
    :ivar source: C(guide), C(api) or C(files); None where no source had anything.
    :ivar as_of: epoch seconds at which the source made it.
    :ivar state: how far one got with the pool: ok (it answers), starting, hung, down or unknown.
    :ivar raw: the replies or file objects as they came.
    :ivar problems: what could not be had, by area, and why.
    """

    stats: PoolStats = dataclasses.field(default_factory=PoolStats)
    users: t.List[UserStats] = dataclasses.field(default_factory=list)
    missing: t.List[str] = dataclasses.field(default_factory=list)
    workers: t.List[WorkerStats] = dataclasses.field(default_factory=list)
    blocks: t.List[Block] = dataclasses.field(default_factory=list)
    workbase: t.Optional[Workbase] = None
    reached: t.Optional[int] = None
    is_complete: bool = False
    source: t.Optional[str] = None
    as_of: t.Optional[int] = None
    state: str = "unknown"
    raw: t.Any = None
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class HealthOptions:
    """How to look for a verdict.

    :ivar thresholds: what still counts as well; None for the defaults.
    :ivar sample_seconds: watch the counter of workbases for so long; 0 for not at all.
    :ivar log_window: seconds within which an error in the log counts as recent.
    :ivar log_limit: bytes from the end of the log that may be read.
    :ivar skip: checks to leave out; without C(bitcoind) the generator is not asked for a block hash.
    """

    thresholds: t.Optional[Thresholds] = None
    sample_seconds: float = 0.0
    log_window: float = _LOG_WINDOW
    log_limit: int = _LOG_LIMIT
    skip: t.Sequence[str] = ()


class Pool:
    """One instance, ready to be asked.

    :arg source: C(auto), or the only source to use: C(guide), C(api) or C(files).
    :arg timeout: seconds of one exchange with a socket.
    :arg max_reply: bytes of one reply.
    :arg silent: C(hung) or C(down) if it is known to be that: then its sockets are not asked, which only takes time.
    :arg replies: keeps the counts of one visit, to be shared with a Control.
    """

    def __init__(
        self,
        instance: Instance,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
        silent: str = "",
        replies: t.Optional[Replies] = None,
    ) -> None:
        self.instance = instance
        self._wanted = source
        self._silent = silent
        self._sockets = SocketSource(instance.socket, timeout, max_reply, replies)
        folder = instance.log_path()
        self._files = FileSource(folder) if folder else None

    @classmethod
    def find(
        cls,
        socket_dir: t.Optional[str] = None,
        name: t.Optional[str] = None,
        log_dir: t.Optional[str] = None,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
    ) -> Pool:
        """The one pool that fits; with nothing given, the one of this host.

        :raises NotFound: none, or several, fit.
        """
        return cls(_instance.find(socket_dir, name, log_dir), source, timeout, max_reply)

    @classmethod
    def find_all(
        cls,
        socket_dirs: t.Sequence[str] = (),
        log_dir: t.Optional[str] = None,
        source: str = "auto",
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
    ) -> t.List[Pool]:
        """Every pool of this host, and those that should be in C(socket_dirs), running or not.

        :arg log_dir: the log directory of those that do not tell their own.
        """
        _instance.check_paths(*socket_dirs)
        instances = _instance.discover()
        known = {os.path.realpath(instance.socket_dir) for instance in instances}
        for folder in socket_dirs:
            if os.path.realpath(folder) not in known:
                known.add(os.path.realpath(folder))
                instances.append(_instance.find(folder))
        for instance in instances:
            instance.log_dir = instance.log_dir or log_dir
        return [cls(instance, source, timeout, max_reply) for instance in instances]

    def stats(self) -> Answer:
        """The pool's statistics.

        :raises PoolError: the pool answers, but nothing that may be read tells its statistics.
        """
        answer = self._ask(self._socket_stats, self._file_stats)
        if is_deep(answer.raw):
            answer.raw = None
            answer.problems["raw"] = "the reply is nested too deep to be passed on"
        return answer

    def users(
        self,
        names: t.Optional[t.Sequence[str]] = None,
        active_within: t.Optional[float] = None,
        sort_by: str = "user",
        limit: t.Optional[int] = None,
    ) -> Answer:
        """Users and their workers.

        :arg names: these users only; None for all. A name without a user goes to C(missing).
        :arg active_within: only users whose last share is at most so many seconds old.
        :arg sort_by: one of L(SORT_FIELDS); names ascend, all else descends.
        :arg limit: at most so many.
        :raises BadInput: a name that cannot be a user's.
        """
        names = None if names is None else list(dict.fromkeys(names))
        for name in names or ():
            check_user_name(name)
        since = 0.0 if active_within is None else time.time() - active_within

        def from_sockets(dialect: str, stats: Json, answer: Answer) -> None:
            if self._wanted != "auto":
                self._sockets.stats(dialect, stats)  # another dialect's users would be users without hashrates
            wanted = None if names is None else set(names)
            found = (user for user in self._sockets.users(dialect) if wanted is None or user.user in wanted)
            answer.users = select(found, since, sort_by, limit)
            self._sockets.add_workers(dialect, answer.users)
            answer.as_of = int(time.time())

        def from_files(files: FileSource, answer: Answer) -> None:
            answer.users = select(files.users(names, since), since, sort_by, limit)
            try:
                answer.as_of = files.stats()[1]
            except PoolError as exc:
                answer.problems["as_of"] = str(exc)

        answer = self._ask(from_sockets, from_files)
        if answer.source and limit is None and active_within is None:
            known = {user.user for user in answer.users}.union(answer.problems)
            answer.missing = [name for name in names or () if name not in known]
        return answer

    def workers(
        self,
        users: t.Optional[t.Sequence[str]] = None,
        names: t.Optional[t.Sequence[str]] = None,
        state: str = "any",
        active_within: float = ACTIVE_SECONDS,
        sort_by: str = "worker",
        limit: t.Optional[int] = None,
    ) -> Answer:
        """Workers, whosever they are. Only those that are returned are held in memory.

        :arg users: of these users only; None for all.
        :arg names: these workers only; None for all. A name without a worker goes to C(missing).
        :arg state: C(active), C(idle) or C(any).
        :arg active_within: seconds since its last share for which a worker is active.
        :arg sort_by: one of L(WORKER_SORT_FIELDS); names ascend, all else descends.
        :arg limit: at most so many.
        :raises BadInput: a name that cannot be a user's or worker's.
        """
        for name in users or ():
            check_user_name(name)
        for name in names or ():
            check_worker_name(name)
        since = time.time() - active_within
        seen: t.Set[str] = set()

        def chosen(found: t.Iterable[WorkerStats]) -> t.List[WorkerStats]:
            wanted = None if names is None else set(names)
            owners = None if users is None else set(users)
            rest = (w for w in found if (wanted is None or w.worker in wanted) and (owners is None or w.user in owners))
            return select_workers(_noted(rest, seen, wanted), state, since, sort_by, limit)

        def from_sockets(dialect: str, stats: Json, answer: Answer) -> None:
            if self._wanted != "auto":
                self._sockets.stats(dialect, stats)  # another dialect's workers would be workers without hashrates
            answer.workers = chosen(self._sockets.workers(dialect))
            answer.as_of = int(time.time())

        def from_files(files: FileSource, answer: Answer) -> None:
            owners = users
            if users is None and names is not None:
                owners = [user for user in dict.fromkeys(map(user_of, names)) if _can_be_user(user)]
            answer.workers = chosen(files.workers(owners, since if state == "active" else 0.0))
            try:
                answer.as_of = files.stats()[1]
            except PoolError as exc:
                answer.problems["as_of"] = str(exc)

        answer = self._ask(from_sockets, from_files)
        if answer.source and (answer.source != "files" or state != "active"):
            answer.missing = [name for name in dict.fromkeys(names or ()) if name not in seen]
        return answer

    def blocks(self, since: float = 0.0, limit: int = 20, log_limit: int = LOG_LIMIT) -> Answer:
        """The blocks that the pool found, the newest first, from its log and the rotated ones: nothing else tells them.

        :arg since: epoch seconds of the oldest find that is wanted.
        :arg log_limit: bytes of all logs together that may be read.
        :raises PoolError: the pool answers, but its log cannot be read.
        """
        from ._sources.blocks import find_blocks  # only who asks for blocks need compile that

        def from_files(_files: FileSource, answer: Answer) -> None:
            found = find_blocks(self.instance.log_file or "", since, limit, log_limit)
            answer.blocks, answer.is_complete = found.blocks, found.is_complete
            answer.problems.update(found.problems)
            answer.reached = None if found.reached is None else int(found.reached)
            answer.as_of = int(time.time())

        answer = Answer(problems=dict(self.instance.problems), state=self._state(None))
        try:
            if self._wanted not in ("auto", "files"):
                raise SourceNotAnswered(
                    "no build tells the blocks that it found over a socket: they are read from the log",
                    self.instance.socket("stratifier"),
                    "leave source at auto, or set it to files",
                )
            self._fill_from_files(from_files, answer)
        except PoolError as exc:
            answer.problems["files"] = str(exc)
            return self._without(answer, exc)
        return answer

    def workbase(self, with_transactions: bool = False) -> Answer:
        """The template that the pool makes its work from: the guide's, or what the generator gets of its bitcoind.

        A mode that has no bitcoind of its own has no template either, which is an answer.

        :arg with_transactions: list the transactions too, at most L(MAX_TRANSACTIONS).
        :raises PoolError: the pool answers, and gives no template.
        """
        answer = Answer(problems=dict(self.instance.problems))
        stats, failure = self._look(answer)
        if self._wanted == "files":
            failure = SourceNotAnswered(
                "no file holds the template of a pool", self.instance.log_path(), "leave source at auto"
            )
        elif stats is not None:
            try:
                self._fill_workbase(stats, answer)
            except PoolError as exc:
                failure = exc
        if answer.workbase is not None:
            self._complete_workbase(answer, answer.workbase, with_transactions)
        elif "workbase" not in answer.problems:
            return self._without(answer, failure)
        return answer

    def _fill_workbase(self, stats: Json, answer: Answer) -> None:
        """Ask for the template, by the guide's command where the build has it."""
        dialect = "api" if self._wanted == "api" else self._dialect(stats)
        if dialect == "guide":
            if self._wanted == "guide":
                self._sockets.stats(dialect, stats)  # no other dialect's build is to be asked what it does not know
            answer.workbase, answer.source = self._sockets.current_workbase(), "guide"
        elif self.instance.mode not in WORKING_MODES or self.instance.mode == "node":
            answer.problems["workbase"] = (
                f"a {self.instance.mode} makes no work from a bitcoind of its own: ask the pool that it is in front of"
            )
        else:
            answer.workbase, answer.source = self._sockets.template(), "api"

    def _complete_workbase(self, answer: Answer, workbase: Workbase, with_transactions: bool) -> None:
        now = time.time()
        answer.as_of = int(now)
        stored = self._work_stored(now, answer)
        if stored is None and answer.source == "guide":
            stored = workbase.time  # that of the generator is made anew for whoever asks
        workbase.age = None if stored is None else round(max(now - stored, 0.0), 3)
        if not with_transactions:
            workbase.transaction_list = []
        elif len(workbase.transaction_list) > MAX_TRANSACTIONS:
            del workbase.transaction_list[MAX_TRANSACTIONS:]
            answer.problems["transactions"] = f"only the first {MAX_TRANSACTIONS} are listed"

    def _work_stored(self, now: float, answer: Answer) -> t.Optional[float]:
        """When the pool last stored a piece of work, by its log."""
        path = self.instance.log_file
        try:
            return log.events(path, now, 0.0).stored_workbase if path else None
        except PoolError as exc:
            answer.problems["log"] = str(exc)
            return None

    def health(self, options: t.Optional[HealthOptions] = None) -> t.Tuple[Verdict, Observation]:
        """The verdict on this instance, and what it rests on. A down or hung pool is a verdict, not an error."""
        options = options or HealthOptions()
        seen = self.observe(options)
        # A verdict takes much code, which hosts need not compile that are only asked for numbers.
        from ._health import Thresholds, judge

        return judge(seen, options.thresholds or Thresholds(), options.skip), seen

    def observe(self, options: HealthOptions) -> Observation:
        """Look at everything that a verdict needs. Raises nothing that the pool can cause."""
        seen = first_sight(self.instance)
        seen.update_interval = self.instance.update_interval
        seen.problems.update(self.instance.problems)
        probes = in_parallel([functools.partial(self._sockets.probe, name) for name in SOCKETS])
        seen.probes = {probe.socket: probe for probe in probes}
        seen.leftovers = self._leftovers(seen.probes)
        self._observe_counts(seen, options)
        self._observe_stats(seen)
        self._observe_log(seen, options)
        self._observe_host(seen)
        return seen

    def _ask(
        self,
        from_sockets: t.Callable[[str, Json, Answer], None],
        from_files: t.Callable[[FileSource, Answer], None],
    ) -> Answer:
        """Put one question to the wanted source, or to the best one that has an answer."""
        answer = Answer(problems=dict(self.instance.problems))
        stats, failure = self._look(answer)
        if stats is not None:
            try:
                dialect = self._dialect(stats)
                if dialect != "public":
                    from_sockets(dialect, stats, answer)
                    answer.source = dialect
                    return answer
            except PoolError as exc:
                failure = exc
        if self._wanted in ("auto", "files"):
            try:
                self._fill_from_files(from_files, answer)
                return answer
            except PoolError as exc:
                failure = failure or exc
                answer.problems["files"] = str(exc)
        return self._without(answer, failure)

    def _look(self, answer: Answer) -> t.Tuple[t.Optional[Json], t.Optional[PoolError]]:
        """How far one gets with the pool, with the reply to the first question or the failure that it led to."""
        if self._silent:
            answer.state = self._silent
            return None, PoolError(f"{self.instance.name} is {self._silent}")
        try:
            stats = self._sockets.json("stratifier", "stats") if self._wanted != "files" else None
            answer.state = self._state(stats)
        except PoolError as exc:
            answer.state = self._state(None, exc)
            return None, exc
        return stats, None

    def _dialect(self, stats: Json) -> str:
        return self._sockets.dialect(stats) if self._wanted == "auto" else self._wanted

    def _fill_from_files(self, from_files: t.Callable[[FileSource, Answer], None], answer: Answer) -> None:
        if self._files is None:
            why = self.instance.problems.get("config", "no process tells it")
            raise PoolError(
                f"the log directory of {self.instance.name} is not known: {why}", phase="find", hint="set log_dir"
            )
        from_files(self._files, answer)
        answer.source = "files"
        answer.problems.update(self._files.problems)

    def _without(self, answer: Answer, failure: t.Optional[PoolError]) -> Answer:
        """A pool that is not up is an answer without values; one that is up and tells nothing is a failure."""
        if answer.state in ("down", "hung", "starting"):
            if failure:
                answer.problems.setdefault("stats", str(failure))
            return answer
        failure = failure or PoolError("the pool told nothing")
        failure.facts.update(problems=answer.problems, state=answer.state)
        raise failure

    def _state(self, stats: t.Optional[Json], failure: t.Optional[PoolError] = None) -> str:
        """How far one gets, from one exchange with the stratifier and, if that failed, a ping of the listener."""
        if self._silent:
            return self._silent
        seen = first_sight(self.instance)
        seen.counts = stats
        if stats is not None:
            seen.probes["stratifier"] = Probe("stratifier", "reply", 0.0)
        elif failure is None:
            seen.probes["stratifier"] = self._sockets.probe("stratifier")
        else:
            seen.probes["stratifier"] = Probe("stratifier", failure.reason, 0.0)
        if not seen.probes["stratifier"].answered:
            seen.probes["listener"] = self._sockets.probe("listener")
            seen.stats_as_of = self._files_as_of()
        return reached_state(seen)

    def _files_as_of(self) -> t.Optional[int]:
        try:
            return self._files.stats()[1] if self._files else None
        except PoolError:
            return None

    def _socket_stats(self, dialect: str, stats: Json, answer: Answer) -> None:
        answer.stats, answer.as_of, answer.raw = self._sockets.stats(dialect, stats)

    def _file_stats(self, files: FileSource, answer: Answer) -> None:
        answer.stats, answer.as_of, answer.raw = files.stats()
        if answer.stats.network_difficulty is None:
            answer.stats.network_difficulty = self._difficulty_from_log()

    def _difficulty_from_log(self) -> t.Optional[float]:
        path = self.instance.log_file
        try:
            return log.events(path, time.time(), 0.0, wants_work=False).network_difficulty if path else None
        except PoolError:
            return None

    def _observe_counts(self, seen: Observation, options: HealthOptions) -> None:
        """Object counts of stratifier and connector, and the generator's block hash, of those that answer at all."""
        if seen.probes["stratifier"].answered:
            seen.counts = self._counts("stratifier", seen)
            if options.sample_seconds > 0 and seen.counts is not None:
                seen.workbases_before = workbases(seen.counts, "generated")
                seen.sample_seconds = options.sample_seconds
                time.sleep(options.sample_seconds)
                seen.counts = self._counts("stratifier", seen)
                seen.now = time.time()
        if seen.probes["connector"].answered:
            seen.clients = count_of(self._counts("connector", seen), "clients")
        asks_bitcoind = "bitcoind" not in options.skip and seen.mode in WORKING_MODES
        if asks_bitcoind and seen.probes["generator"].answered:
            seen.best_block = self._sockets.probe("generator", "getbest")

    def _counts(self, socket: str, seen: Observation) -> t.Optional[Json]:
        try:
            return self._sockets.json(socket, "stats")
        except PoolError as exc:
            seen.problems[f"{socket}_stats"] = str(exc)
            return None

    def _observe_stats(self, seen: Observation) -> None:
        answer = Answer()
        try:
            dialect = self._dialect(seen.counts) if seen.counts is not None and self._wanted != "files" else "public"
            if dialect != "public":
                self._socket_stats(dialect, seen.counts or {}, answer)
                answer.source = dialect
        except PoolError as exc:
            seen.problems["stats"] = str(exc)
        try:
            if answer.source is None and self._wanted in ("auto", "files"):
                self._fill_from_files(self._file_stats, answer)
        except PoolError as exc:
            seen.problems.setdefault("stats", str(exc))
        seen.problems.update(answer.problems)
        if answer.source:
            seen.stats, seen.stats_source, seen.stats_as_of = answer.stats, answer.source, answer.as_of

    def _observe_log(self, seen: Observation, options: HealthOptions) -> None:
        path = self.instance.log_file
        try:
            if path:
                works = seen.mode in WORKING_MODES
                seen.log = log.events(path, seen.now, options.log_window, options.log_limit, works)
            else:
                seen.problems.setdefault("log", self.instance.problems.get("config", "log_dir is not known"))
        except PoolError as exc:
            seen.problems["log"] = str(exc)

    def _observe_host(self, seen: Observation) -> None:
        """The process's open files, and the disk of the log directory."""
        instance = self.instance
        if instance.pid is not None and instance.pid_state == "alive":
            try:
                seen.open_files, seen.max_files = _instance.open_files(instance.pid)
            except PoolError as exc:
                seen.problems["open_files"] = f"{exc} ({exc.hint})"
        folder = instance.log_path()
        try:
            disk = os.statvfs(folder) if folder else None
        except OSError as exc:
            seen.problems["disk"] = f"{folder}: {exc.strerror}"
        else:
            if disk is not None:
                seen.disk_free, seen.disk_total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    def _leftovers(self, probes: t.Dict[str, Probe]) -> t.List[str]:
        """Files of the socket directory that no process stands behind any more."""
        instance = self.instance
        stale = [name for name, probe in probes.items() if probe.outcome == "refused"]
        if instance.pid is not None and instance.pid_state in ("dead", "another"):
            stale.append("main.pid")
        return [] if instance.pid_state == "alive" else stale

    def figures(self) -> Json:
        """The few numbers that a wait may be for: users, workers, hashrate in H/s, age of the work in seconds.

        What is not known is None.
        """
        try:
            answer = self.stats()
        except PoolError:
            answer = Answer()
        stats = answer.stats
        return {
            "users": stats.users,
            "workers": stats.workers,
            "hashrate1m": stats.hashrate1m,
            "work_age": self.work_age(),
            "source": answer.source,
            "as_of": answer.as_of,
        }

    def work_age(self) -> t.Optional[float]:
        """Seconds since the last piece of work, from the log; None where that does not tell."""
        seen = first_sight(self.instance)
        self._observe_log(seen, HealthOptions())
        return work_age(seen.log, seen.now)


def _can_be_user(name: str) -> bool:
    try:
        check_user_name(name)
    except BadInput:
        return False
    return True


def _is_active(user: UserStats, since: float) -> bool:
    """Whether it shared since then; where the source keeps no such time, whether it had a hashrate in the last hour."""
    last = user.last_share or user.updated
    return last >= since if last else bool(user.hashrate1hr)


def select(users: t.Iterable[UserStats], since: float, sort_by: str, limit: t.Optional[int]) -> t.List[UserStats]:
    """The users that were active since then, in order, at most so many; holds no more in memory than it returns."""
    active = (user for user in users if not since or _is_active(user, since))
    return _first(active, ("user",) if sort_by == "user" else (), sort_by, limit)


def select_workers(
    workers: t.Iterable[WorkerStats], state: str, since: float, sort_by: str, limit: t.Optional[int]
) -> t.List[WorkerStats]:
    """The workers in that state, in order, at most so many; holds no more in memory than it returns.

    :arg since: epoch seconds; who shared since then is active, and C(idle) is set by that. Where the source keeps no
        time of the last share, its last writing of the worker counts.
    """

    def judged() -> t.Iterator[WorkerStats]:
        for worker in workers:
            last = worker.last_share or worker.updated
            worker.idle = last < since if last else not worker.hashrate1hr
            if state == "any" or worker.idle == (state == "idle"):
                yield worker

    names = {"worker": ("worker",), "user": ("user", "worker")}.get(sort_by, ())
    return _first(judged(), names, sort_by, limit)


_Row = t.TypeVar("_Row", UserStats, WorkerStats)


def _first(rows: t.Iterable[_Row], names: t.Sequence[str], sort_by: str, limit: t.Optional[int]) -> t.List[_Row]:
    """The first rows in order: by names, which ascend, or by a number, which descends."""
    import heapq

    def name(row: _Row) -> t.List[str]:
        return [getattr(row, field) for field in names]

    def rank(row: _Row) -> float:
        value = getattr(row, sort_by)
        return -1.0 if value is None else value

    if names:
        return sorted(rows, key=name) if limit is None else heapq.nsmallest(limit, rows, key=name)
    return sorted(rows, key=rank, reverse=True) if limit is None else heapq.nlargest(limit, rows, key=rank)


def _noted(
    workers: t.Iterable[WorkerStats], seen: t.Set[str], wanted: t.Optional[t.Set[str]]
) -> t.Iterator[WorkerStats]:
    """The workers as they come; the names that were asked for are noted."""
    for worker in workers:
        if wanted is not None:
            seen.add(worker.worker)
        yield worker
