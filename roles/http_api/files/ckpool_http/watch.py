# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools of the host, each with its current look: many readers wait for one look, and none waits longer than its deadline."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
import typing as t

from ckpool_fleet._errors import PoolError
from ckpool_fleet._host.file import exists
from ckpool_fleet._metrics import pool_labels

from .errors import ApiError
from .look import Kept, Look, find_pools
from .meter import Ledger

if t.TYPE_CHECKING:
    from ckpool_fleet._ask.answer import Answer
    from ckpool_fleet._instance import Instance
    from ckpool_fleet._types import Json

    from .look import Survey
    from .settings import Settings

_THREADS = 32
_LONG = ("users", "workers", "blocks", "summary")  #: questions that may read many files
_SEARCH_SECONDS = 5.0  #: for which the list of pools is kept
_COST, _LEAST_COST = 16, 4  #: messages that a look may send, until one was seen; and at least
_BLOCKS_SECONDS = 30.0  #: for which blocks are kept, as logs are long
_MOST_EXPECTED = 100  #: socket directories in which pools were seen
_REMEMBERED = "if it was removed on purpose, restart the service ckpool-http, which remembers it"
_log = logging.getLogger("ckpool_http")


class TooLate(ApiError):
    """The answer was not there in time. It may be later."""

    def __init__(self, what: str, seconds: float, health: t.Any) -> None:
        super().__init__(
            503,
            "too_late",
            f"{what} did not answer within {seconds:g} s",
            "the pool hangs, or a disk does: see /health, and the last lines of the pool's log",
            {"Retry-After": "5"},
            health,
        )


class Threads:
    """Where looks are taken. What reads many files has threads of its own, so that it delays no verdict."""

    def __init__(self) -> None:
        self.short = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="look")
        self.long = concurrent.futures.ThreadPoolExecutor(_THREADS // 2, thread_name_prefix="read")


class Watched:
    """One pool: its current look, and the questions that are being answered.

    :ivar health: the last verdict; None before the first one.
    """

    def __init__(self, instance: Instance, settings: Settings, threads: Threads) -> None:
        self.instance = instance
        self.ledger = Ledger(settings.cache_seconds)
        self.health: t.Optional[Json] = None
        self.look: t.Optional[Look] = None
        self._settings, self._threads = settings, threads
        self._cost = _COST
        self._flights: t.Dict[str, asyncio.Task[t.Tuple[Look, Kept]]] = {}

    @property
    def is_changed(self) -> bool:
        """Whether its process has ended since it was found."""
        return self.look is not None and self.look.instance is self.instance and self.look.is_outlived

    async def ask(self, question: str, seconds: t.Optional[float] = None) -> t.Tuple[Look, Kept]:
        """The answer of the current look to a question, and that look.

        :arg seconds: to wait for it.
        :raises ApiError: it was not there in time.
        """
        known = self._known(question)
        if known is None:
            known = await self._joined(question, self._settings.deadline if seconds is None else seconds)
        look, kept = known
        if kept.error is not None and kept.error.phase == "connect":
            look.is_outlived = True  # the next question looks again: this pool was just ended, or started again
        return known

    async def _joined(self, question: str, seconds: float) -> t.Tuple[Look, Kept]:
        """The answer of the one who asks for all that wait for it."""
        flight = self._flights.get(question)
        if flight is None:
            flight = self._flights[question] = asyncio.ensure_future(self._fly(question))
            flight.add_done_callback(lambda _done: self._flights.pop(question, None))
        try:
            return await asyncio.wait_for(asyncio.shield(flight), seconds)
        except asyncio.TimeoutError:
            raise TooLate(self.instance.name, seconds, self.health) from None

    async def survey(self) -> t.Tuple[Look, Survey]:
        """The health of the pool and what its metrics need.

        :raises ApiError: it was not there in time, or cannot be found out.
        """
        look, kept = await self.ask("survey")
        if kept.error is not None:
            raise ApiError(503, kept.error.reason, str(kept.error), kept.error.hint)
        return look, t.cast("Survey", kept.value)

    def _known(self, question: str) -> t.Optional[t.Tuple[Look, Kept]]:
        look = self.look
        if look is None or self._wants_new_look(look) or question not in look.kept:
            return None
        return look, look.kept[question]

    def _wants_new_look(self, look: Look) -> bool:
        return (look.is_over or look.is_outlived) and self.ledger.has_room(self._cost)

    async def _fly(self, question: str) -> t.Tuple[Look, Kept]:
        look = self.look
        if look is None or self._wants_new_look(look):
            look = self.look = self._next_look(look)
        threads = self._threads.long if question in _LONG else self._threads.short
        kept = await asyncio.get_running_loop().run_in_executor(threads, look.answer, question)
        if question == "survey" and kept.error is None:
            self.health = kept.value.health["health"]
        return look, kept

    def _next_look(self, last: t.Optional[Look]) -> Look:
        look = Look(self.instance, self._settings, self.ledger)
        if last is not None:
            self._cost = max(last.spent, _LEAST_COST)
            blocks = last.kept.get("blocks")
            if blocks and blocks.error is None and blocks.age < _BLOCKS_SECONDS and not last.is_outlived:
                look.kept["blocks"] = blocks
            last.forget()
        return look

    async def blocks(self, seconds: float) -> t.Optional[Answer]:
        """The blocks that the pool found; None if they cannot be read, or not in that many seconds."""
        try:
            _look, kept = await self.ask("blocks", seconds)
        except TooLate:
            return None
        return kept.value if kept.error is None and kept.value.source else None


class Host:
    """The pools of this host, found again every few seconds and whenever one of their processes has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = Threads()
        self._threads_of_users: t.Dict[t.Optional[int], Threads] = {}
        self._pools: t.Dict[t.Tuple[str, str], Watched] = {}
        self._labels: t.Dict[str, Watched] = {}
        self._found_at = float("-inf")
        self._search: t.Optional[asyncio.Task[None]] = None

    async def pools(self) -> t.Dict[str, Watched]:
        """The pools of this host by name.

        :raises ApiError: they could not be found in time.
        """
        is_old = time.monotonic() - self._found_at > _SEARCH_SECONDS
        if is_old or any(pool.is_changed for pool in self._labels.values()):
            if self._search is None:
                self._search = asyncio.ensure_future(self._find())
            try:
                await asyncio.wait_for(asyncio.shield(self._search), self._settings.timeout)
            except asyncio.TimeoutError:
                if self._found_at < 0:
                    raise TooLate("the search for pools", self._settings.timeout, None) from None
        return self._labels

    async def in_thread(self, work: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
        """The result of a call that takes processor time."""
        return await asyncio.get_running_loop().run_in_executor(self._threads.short, work, *arguments)

    def _threads_of(self, instance: Instance) -> Threads:
        """Those of its user: who starts many pools that hang delays no verdict on those of others."""
        return self._threads_of_users.setdefault(instance.owner.user if instance.owner else None, Threads())

    def _expected(self) -> t.List[str]:
        """Where pools have been seen, other than those of regular users, who may start and end what they like.

        A pool that ends is down then, until this service is started again: that it is gone is no reason to be silent.
        """
        seen = [pool.instance for pool in self._pools.values()]
        own = [each.socket_dir for each in seen if not each.root and not each.is_of_a_person]
        return own[:_MOST_EXPECTED]

    def _is_only_expected(self, instance: Instance) -> bool:
        """Whether nothing but that it was seen tells of a pool: no file, no unit, no configuration."""
        is_told = "unit" in instance.problems or instance.socket_dir in self._settings.socket_dirs
        return not is_told and not exists(instance.socket_dir)

    async def _find(self) -> None:
        try:
            found = await self.in_thread(find_pools, self._settings, self._expected())
        except PoolError as exc:
            _log.error("cannot look for pools: %s", exc)
            found = []
        finally:
            self._search = None
        known, self._pools = self._pools, {}
        for instance in found:
            place = (instance.root, instance.socket_dir)
            pool = known.get(place) or Watched(instance, self._settings, self._threads_of(instance))
            pool.instance = _remembered(pool.instance, instance)
            if instance.pid_state != "alive" and self._is_only_expected(instance):
                instance.problems["remembered"] = _REMEMBERED
            self._pools[place] = pool
        labels = pool_labels([pool.instance.as_dict() for pool in self._pools.values()])
        self._labels = dict(zip(labels, self._pools.values()))
        self._found_at = time.monotonic()


def _remembered(before: Instance, now: Instance) -> Instance:
    """The instance as it is now. What only a process tells is remembered after its end, so that its log is still found."""
    if (before.pid, before.start_ticks, before.log_dir) == (now.pid, now.start_ticks, now.log_dir):
        now.log_cache = before.log_cache  # the time zone of its stamps
    elif now.pid_state != "alive":
        now.name, now.mode, now.log_dir = before.name, before.mode, now.log_dir or before.log_dir
        now.owner = now.owner or before.owner
    return now
