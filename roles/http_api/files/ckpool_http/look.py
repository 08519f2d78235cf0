# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a pool, which serves all readers until the next one. Everything here blocks, and runs in a thread."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import typing as t

from ckpool_fleet._ask import gather
from ckpool_fleet._ask.checkup import judgement
from ckpool_fleet._ask.measure import BLOCKS_LIMIT, MetricsOptions
from ckpool_fleet._errors import PoolError
from ckpool_fleet._host import process
from ckpool_fleet._pool import Pool
from ckpool_fleet._record import replaced
from ckpool_fleet._sources.registry import AUTO
from ckpool_fleet._visit import Visit

from .meter import Ledger, Metered

if t.TYPE_CHECKING:
    from ckpool_fleet._ask.answer import Answer
    from ckpool_fleet._instance import Instance
    from ckpool_fleet._metrics import Reading
    from ckpool_fleet._types import Json

    from .settings import Settings

MOST_REPLY = 64 * 1024 * 1024  #: bytes
MOST_ROWS = 50_000  #: users or workers that are kept
MOST_BLOCKS = 1000
_SEE_JOURNAL = "the journal of the service has the details"
_log = logging.getLogger("ckpool_http")


@dataclasses.dataclass
class Survey:
    """What a look found: the measurement without blocks, and the result of the health check."""

    reading: Reading
    health: Json


@dataclasses.dataclass
class Kept:
    """An answer, or why there is none.

    :ivar began: monotonic seconds at which the look began that it is from: what it rests on may be as old.
    """

    began: float
    value: t.Any = None
    error: t.Optional[PoolError] = None

    @property
    def age(self) -> float:
        """Its age in seconds."""
        return time.monotonic() - self.began


class Look:
    """One visit to a pool, with the answers to what was asked in it.

    :ivar began: monotonic seconds.
    """

    def __init__(self, instance: Instance, settings: Settings, ledger: Ledger) -> None:
        self.began = time.monotonic()
        self.instance = instance
        self._settings, self._ledger = settings, ledger
        self._sockets = Metered(instance, settings.timeout, MOST_REPLY, ledger)
        self._visit = Visit(instance, self._sockets)
        self.kept: t.Dict[str, Kept] = {}
        self._first = threading.Lock()
        self.lock = threading.Lock()  # of what renders the records that it keeps
        self._is_outlived = False
        self.bodies: t.Dict[t.Any, bytes] = {}

    @property
    def pool_state(self) -> str:
        """The state of the pool in this look. To be read after something was asked."""
        return self._visit.state

    @property
    def spent(self) -> int:
        """Messages that were sent so far."""
        return self._sockets.spent

    @property
    def is_over(self) -> bool:
        """Whether the next look may be taken, by the time that the messages of this one cost."""
        return time.monotonic() - self.began >= max(self.spent, 1) * self._settings.cache_seconds

    @property
    def is_outlived(self) -> bool:
        """Whether the process that was looked at has ended, or is another one."""
        pid, ticks = self.instance.pid, self.instance.start_ticks
        if not self._is_outlived and pid is not None and self.instance.pid_state == "alive":
            self._is_outlived = process.start_ticks(pid) != ticks or not process.is_alive(pid)
        return self._is_outlived

    @is_outlived.setter
    def is_outlived(self, is_so: bool) -> None:
        self._is_outlived = is_so

    def answer(self, question: str) -> Kept:
        """Ask a question, unless it was asked in this look. Raises nothing that a pool can cause.

        Different questions may be asked side by side.
        """
        kept = self.kept.get(question)
        if kept is None:
            self._sockets.begin()
            try:
                with self._first:
                    self._visit.seen  # noqa: B018  (what all questions begin with)
                kept = Kept(self.began, QUESTIONS[question](self._pool(), self._settings))
            except PoolError as exc:
                # Without the frames that it went through, which lead back to this look and all that it keeps.
                exc.__traceback__ = exc.__context__ = None
                kept = Kept(self.began, error=exc)
            except Exception:  # of this pool alone: the others have their answers
                _log.exception("%s of %s", question, self.instance.name)
                message = f"{question} cannot be found out: this is a fault of the service"
                kept = Kept(self.began, error=PoolError(message, hint=_SEE_JOURNAL, reason="unexpected"))
            self.kept[question] = kept
        return kept

    def forget(self) -> None:
        """Let go of what it keeps, as there is a newer look. Who still needs an answer has it."""
        self.kept, self.bodies = {}, {}

    def _pool(self) -> _SharingPool:
        return _SharingPool(self, self._settings, self._visit)


class _SharingPool(Pool):
    """The pool of a look, which reads its log for blocks once, and keeps each worker once."""

    def __init__(self, look: Look, settings: Settings, visit: Visit) -> None:
        super().__init__(look.instance, AUTO, settings.timeout, MOST_REPLY, visit)
        self._look_of_all = look

    def blocks(self, since: float = 0.0, limit: int = 20, log_limit: t.Optional[int] = None) -> Answer:
        if log_limit == BLOCKS_LIMIT:  # asked by the look itself
            return super().blocks(since, limit, log_limit)
        kept = self._look_of_all.answer("blocks")
        if kept.error:
            raise kept.error
        wanted = [block for block in kept.value.blocks if block.time >= since]
        return t.cast("Answer", replaced(kept.value, blocks=wanted[:limit]))

    def workers_of_users(self) -> Answer:
        """All workers, those of the users that the look knows."""
        kept = self._look_of_all.answer("users")
        if kept.error:
            raise kept.error
        found = [worker for user in kept.value.users[:MOST_ROWS] for worker in user.workers]
        return t.cast("Answer", replaced(kept.value, users=[], workers=found))


def _survey(pool: Pool, settings: Settings) -> Survey:
    options = MetricsOptions(settings.health_options(), settings.top_users, blocks_limit=0)
    reading = pool.measure(options)
    health = judgement(pool, reading.verdict, reading.seen)
    return Survey(reading, {**health, "problems": dict(reading.problems)})


def _summary(pool: Pool) -> Json:
    found = pool.gather(gather.Options(["summary"]))
    return {
        "summary": found.values["summary"],
        "source": found.sources.get("stats"),
        "as_of": found.as_of,
        "problems": found.problems,
    }


#: what can be asked in a look, each once
QUESTIONS: t.Dict[str, t.Callable[[_SharingPool, Settings], t.Any]] = {
    "survey": _survey,
    "stats": lambda pool, _settings: pool.stats(),
    "users": lambda pool, _settings: pool.users(limit=MOST_ROWS + 1),
    "workers": lambda pool, _settings: pool.workers_of_users(),
    "blocks": lambda pool, _settings: pool.blocks(0.0, MOST_BLOCKS, BLOCKS_LIMIT),
    "workbase": lambda pool, _settings: pool.workbase(),
    "summary": lambda pool, _settings: _summary(pool),
}


def find_pools(settings: Settings, expected: t.Sequence[str]) -> t.List[Instance]:
    """Every pool of this host, and those that should be in some directories. Nothing is asked of them."""
    found = Pool.find_all([*settings.socket_dirs, *expected], log_dir=settings.log_dir)
    return [pool.instance for pool in found]
