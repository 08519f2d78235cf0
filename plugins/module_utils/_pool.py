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

import time
import typing as t

from . import _discovery
from ._ask.answer import Answer, begun, without
from ._errors import PoolError, SourceNotAnswered
from ._instance import Instance
from ._messages import MAX_REPLY, count_of
from ._names import check_user_name, check_worker_name
from ._records import Query, WorkerStats
from ._sources.exchange import Sockets
from ._sources.registry import AUTO, LIVE, Sources
from ._state import BITCOIND_MODES
from ._visit import Visit

if t.TYPE_CHECKING:
    from ._ask.gather import Gathered, Options
    from ._ask.measure import MetricsOptions
    from ._ask.survey import HealthOptions
    from ._health import Verdict
    from ._metrics import Reading
    from ._observation import Observation
    from ._sources.source import Source
    from ._types import Json

__all__ = ["ACTIVE_SECONDS", "Answer", "Instance", "Pool"]
ACTIVE_SECONDS = 600.0  #: the daemon itself counts a client without a share for this long as idle
_LOG_TAIL = 16 * 1024 * 1024  #: bytes from the end of the log in which the last piece of work is looked for
_MOST_OF_A_PERSON = 8 * 1024 * 1024  #: bytes of a reply of a pool of a regular user that was not named
MAX_TRANSACTIONS = 20_000  #: of a template that are listed; a block has room for fewer


class Pool:
    """One instance, ready to be asked.

    :arg source: C(auto), or the name of the only source to use.
    :arg timeout: seconds of one exchange with a socket.
    :arg max_reply: bytes of one reply.
    :arg visit: the look that all questions share, with what they have asked; by default each question looks again.
    """

    def __init__(
        self,
        instance: Instance,
        source: str = AUTO,
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
        visit: t.Optional[Visit] = None,
    ) -> None:
        self.instance = instance
        self._wanted, self._timeout, self._max_reply = source, timeout, max_reply
        self._shared = (visit, self._sources(visit)) if visit else None

    @classmethod
    def find(
        cls,
        socket_dir: t.Optional[str] = None,
        name: t.Optional[str] = None,
        log_dir: t.Optional[str] = None,
        source: str = AUTO,
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
        pid: t.Optional[int] = None,
    ) -> Pool:
        """The one pool that fits; with nothing given, the one of this host.

        :raises NotFound: no pool fits, or several do.
        """
        return cls(_discovery.find(socket_dir, name, log_dir, pid), source, timeout, max_reply)

    @classmethod
    def find_all(
        cls,
        socket_dirs: t.Sequence[str] = (),
        log_dir: t.Optional[str] = None,
        source: str = AUTO,
        timeout: float = 5.0,
        max_reply: int = MAX_REPLY,
    ) -> t.List[Pool]:
        """Every pool of this host, and those that should be in C(socket_dirs), running or not.

        :arg log_dir: the log directory of pools whose own is not known.
        """
        instances = _discovery.find_all(socket_dirs)
        for instance in instances:
            instance.log_dir = instance.log_dir or log_dir
        of_person = min(max_reply, _MOST_OF_A_PERSON)
        return [cls(i, source, timeout, of_person if i.is_of_a_person else max_reply) for i in instances]

    def stats(self) -> Answer:
        """The pool's statistics.

        :raises PoolError: the pool answers, but no source that may be used has its statistics.
        """
        from ._fields import bounded
        from ._records import is_deep

        def work(source: Source, answer: Answer) -> None:
            answer.stats, answer.as_of, answer.raw = source.stats()

        answer = self._ask("stats", work)
        answer.stats.user_workbases = count_of(answer.counts, "userwbs")
        if is_deep(answer.raw):
            answer.raw = None
            answer.problems["raw"] = "the reply is nested too deep to be passed on"
        answer.raw = bounded(answer.raw)
        return answer

    def users(
        self,
        names: t.Optional[t.Sequence[str]] = None,
        active_within: t.Optional[float] = None,
        sort_by: str = "user",
        limit: t.Optional[int] = None,
        include_stale: bool = False,
    ) -> Answer:
        """Users and their workers.

        :arg names: these users only; None for all. A name that no user has goes to C(missing).
        :arg active_within: only users whose last share is at most this many seconds old.
        :arg sort_by: one of L(SORT_FIELDS) of C(_ask/selection.py); names ascend, all else descends.
        :arg limit: how many at most; None for all.
        :arg include_stale: also users who left. A user who is named is given in any case.
        :raises BadInput: no user can have such a name.
        """
        from ._ask.selection import select  # few questions need it

        names = None if names is None else list(dict.fromkeys(names))
        for name in names or ():
            check_user_name(name)
        since = 0.0 if active_within is None else time.time() - active_within
        query = Query(names, None, since, include_stale)
        if active_within is not None:
            query.enough = 0  # a user without a share is not active
        elif sort_by != "user":
            query.enough = limit  # and ranks last by any number

        def work(source: Source, answer: Answer) -> None:
            answer.users = select(source.users(query), since, sort_by, limit)
            source.add_workers(answer.users)
            answer.as_of = source.as_of

        answer = self._ask("users", work)
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
        include_stale: bool = False,
    ) -> Answer:
        """Workers of all users, or of some. Only those that are returned are held in memory.

        :arg users: of these users only; None for all.
        :arg names: these workers only; None for all. A name that no worker has goes to C(missing).
        :arg state: C(active), C(idle) or C(any).
        :arg active_within: seconds since its last share for which a worker is active.
        :arg sort_by: one of L(WORKER_SORT_FIELDS) of C(_ask/selection.py); names ascend, all else descends.
        :arg limit: how many at most; None for all.
        :arg include_stale: also workers of users who left. Those who are named, or whose user is, are given in any case.
        :raises BadInput: no user or worker can have such a name.
        """
        from ._ask.selection import select_workers

        for name in users or ():
            check_user_name(name)
        for name in names or ():
            check_worker_name(name)
        since = time.time() - active_within
        include_stale = include_stale or state == "idle"  # users who left are idle above all
        is_active = state == "active"
        query = Query(users, names, since if is_active else 0.0, include_stale, 0 if is_active else None)
        wanted = None if names is None else set(names)
        owners = None if users is None else set(users)
        seen: t.Set[str] = set()
        sees_all = True

        def fitting(found: t.Iterable[WorkerStats]) -> t.Iterator[WorkerStats]:
            for worker in found:
                if (wanted is None or worker.worker in wanted) and (owners is None or worker.user in owners):
                    if wanted is not None:
                        seen.add(worker.worker)
                    yield worker

        def work(source: Source, answer: Answer) -> None:
            nonlocal sees_all
            seen.clear()
            sees_all = not (source.skips_inactive and is_active)
            answer.workers = select_workers(fitting(source.workers(query)), state, since, sort_by, limit)
            answer.as_of = source.as_of

        answer = self._ask("workers", work)
        if answer.source and sees_all:
            answer.missing = [name for name in dict.fromkeys(names or ()) if name not in seen]
        return answer

    def blocks(self, since: float = 0.0, limit: int = 20, log_limit: t.Optional[int] = None) -> Answer:
        """The blocks that the pool found, the newest first, from its log and the rotated ones.

        :arg since: epoch seconds of the oldest block that is wanted.
        :arg log_limit: bytes of all logs together that may be read.
        :raises PoolError: the pool answers, but its log cannot be read.
        """

        def work(source: Source, answer: Answer) -> None:
            found = source.blocks(since, limit, log_limit)
            answer.blocks, answer.is_complete = found.blocks, found.is_complete
            answer.reached = None if found.reached is None else int(found.reached)
            answer.as_of = int(time.time())

        no_source = SourceNotAnswered(
            "no build reports its blocks over a socket: they are read from the log",
            self.instance.socket("stratifier"),
            "leave source at auto, or set it to files",
        )
        return self._ask("blocks", work, no_source)

    def workbase(self, with_transactions: bool = False) -> Answer:
        """The template that the pool makes its work from.

        A mode that has no bitcoind of its own has no template, which is an answer too.

        :arg with_transactions: list the transactions too, at most L(MAX_TRANSACTIONS).
        :raises PoolError: the pool answers, and gives no template.
        """

        def work(source: Source, answer: Answer) -> None:
            answer.workbase = source.workbase()

        no_source = SourceNotAnswered(
            "no file holds the template of a pool", self.instance.log_path(), "leave source at auto"
        )
        answer = self._ask("workbase", work, no_source)
        workbase = answer.workbase
        if workbase is None:
            answer.source = None
            return answer
        now = time.time()
        answer.as_of = int(now)
        stored = self._work_stored(now, answer)
        age = workbase.age if stored is None else max(now - stored, 0.0)
        workbase.age = None if age is None else round(age, 3)
        if not with_transactions:
            workbase.transaction_list = []
        elif len(workbase.transaction_list) > MAX_TRANSACTIONS:
            del workbase.transaction_list[MAX_TRANSACTIONS:]
            answer.problems["transactions"] = f"only the first {MAX_TRANSACTIONS} are listed"
        return answer

    def health(self, options: t.Optional[HealthOptions] = None) -> t.Tuple[Verdict, Observation]:
        """The verdict on this instance, and what it rests on. A pool that is down or hung is a verdict, not an error."""
        from ._ask import survey
        from ._health import Thresholds, judge  # a verdict takes much code

        options = options or survey.HealthOptions()
        seen = self.observe(options)
        return judge(seen, options.thresholds or Thresholds(), options.skip), seen

    def observe(self, options: HealthOptions) -> Observation:
        """Look at everything that a verdict needs. Raises nothing that the pool can cause."""
        from ._ask.survey import observe

        return observe(*self._look(), options)

    def gather(self, options: Options) -> Gathered:
        """The answers to several questions, in one visit: what two of them need is asked once."""
        from ._ask.gather import Gathered

        visit, _sources = self._look()
        return Gathered(self._during(visit), visit, options)

    def measure(self, options: MetricsOptions) -> Reading:
        """Everything that metrics need, in one visit. A pool that is down or hung has metrics too."""
        from ._ask.measure import measure

        return measure(self._during(self._look()[0]), options)

    def _during(self, visit: Visit) -> Pool:
        """The same pool, whose questions share a visit."""
        if self._shared and self._shared[0] is visit:
            return self  # with its sources, which know already what the daemon speaks
        return Pool(self.instance, self._wanted, self._timeout, self._max_reply, visit)

    def figures(self) -> Json:
        """The few numbers that a wait may be for: users, workers, hashrate in H/s, age of the work in seconds, shares.

        C(accepted) and C(rejected) are sums of difficulty over the life of the pool, C(shares) is how many this process has
        accepted, and C(shares_per_second) a mean. What is not known is None.
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
            "accepted": stats.accepted,
            "rejected": stats.rejected,
            "shares_per_second": next((one for one in (stats.sps5m, stats.sps1m) if one is not None), None),
            "shares": _made(answer.counts, "shares"),
            "work_age": self.work_age(),
            "source": answer.source,
            "as_of": answer.as_of,
        }

    def work_age(self) -> t.Optional[float]:
        """Seconds since the last piece of work, from the log; None if that does not say."""
        from ._observation import work_age
        from ._sources.log.events import events
        from ._sources.log.file import log_of

        log, now = log_of(self.instance), time.time()
        try:
            found = events(log, now, 0.0, _LOG_TAIL, self.instance.mode in BITCOIND_MODES) if log else None
        except PoolError:
            return None
        return work_age(found, now)

    def log_tail(self) -> t.List[str]:
        """The last lines of its log; none if it cannot be read."""
        from ._sources.log.events import log_tail

        return log_tail(self.instance)

    def _work_stored(self, now: float, answer: Answer) -> t.Optional[float]:
        """When the pool last stored a piece of work, by its log."""
        from ._sources.log.events import events
        from ._sources.log.file import log_of

        log = log_of(self.instance)
        try:
            return events(log, now, 0.0).stored_workbase if log else None
        except PoolError as exc:
            answer.problems["log"] = str(exc)
            return None

    def _look(self) -> t.Tuple[Visit, Sources]:
        """The shared visit, or a new one, with its sources."""
        if self._shared:
            return self._shared
        visit = Visit(self.instance, Sockets(self.instance, self._timeout, self._max_reply))
        return visit, self._sources(visit)

    def _sources(self, visit: Visit) -> Sources:
        return Sources(self.instance, visit.sockets, visit.counts, self._wanted)

    def _ask(
        self,
        question: str,
        work: t.Callable[[Source, Answer], None],
        otherwise: t.Optional[PoolError] = None,
    ) -> Answer:
        """Put one question to the best source that answers it.

        :arg work: asks a source, and fills in the answer.
        :arg otherwise: what is wrong where none of the sources that may be used gives such an answer.
        """
        visit, sources = self._look()
        answer = begun(visit)
        answer.counts = visit.seen.counts if sources.asks_the_daemon else None
        source, failures = sources.ask(question, lambda source: work(source, answer))
        if source is None:
            answer.problems.update({name: str(exc) for name, exc in failures.items() if name not in LIVE})
            return without(answer, next(iter(failures.values()), otherwise))
        answer.source, answer.left_out = source.name, source.left_out
        answer.problems.update(source.problems)
        return answer


def _made(counts: t.Optional[Json], kind: str) -> t.Optional[int]:
    """How many objects of a kind the stratifier has made since it began; None where it does not tell."""
    found = (counts or {}).get(kind)
    made = found.get("generated") if isinstance(found, dict) else None
    return made if isinstance(made, int) and not isinstance(made, bool) and made >= 0 else None
