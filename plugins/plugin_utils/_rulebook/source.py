# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source: look at the services again and again, and hand every change to the rules, once. It needs no Ansible."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import re
import time
import typing as t

from ...module_utils._wording import counted, listed
from .._pool_results import mapping
from .._types import Json
from .._watch import Watch
from .._watch_state import Message
from .arguments import Arguments, arguments_of
from .look import Looker
from .memory import CHANNEL, Memory

KEY = "ckpool"
_LEAST_PAUSE = 1.0  #: seconds between two looks that take longer than the interval
_TAKEN, _CONFIRMED = 10.0, 60.0  #: seconds in which the engine takes an event, and confirms it if it was asked to
_POLL = 0.02
_BETWEEN = 1.0  #: seconds between two writings of the state while many events are handed over
#: What begins a template. Ansible reads templates in variables that come from a rulebook, and miners choose names.
_TEMPLATE = re.compile(r"\{(?=[{%#])")
_logger = logging.getLogger(__name__)


class Queue(t.Protocol):
    """What takes events."""

    async def put(self, event: Json) -> None:
        """Take an event, as soon as there is room."""


async def run(queue: Queue, given: t.Mapping[str, t.Any]) -> None:
    """Look, and tell what has changed, until this is cancelled.

    :arg given: the arguments of the rulebook.
    :raises BadArgument: naming the one that is wrong.
    """
    arguments = arguments_of(given)
    memory = Memory(arguments.state_file)
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="ckpool.fleet") as thread:
        source = _Source(queue, given.get("eda_feedback_queue"), arguments, memory, thread)
        try:
            await source.run()
        finally:
            thread.submit(memory.close)


class _Source:
    """One source.

    :arg feedback: where the engine confirms events; None if it was not asked to.
    :arg thread: what may wait for a disk, and compares, is done there, one after the other.
    """

    def __init__(
        self,
        queue: Queue,
        feedback: t.Optional[asyncio.Queue[t.Any]],
        arguments: Arguments,
        memory: Memory,
        thread: concurrent.futures.Executor,
    ) -> None:
        self._queue, self._feedback, self._arguments, self._memory = queue, feedback, arguments, memory
        self._thread = thread
        self._looker = Looker(arguments.limits.kinds)
        self._failing: t.List[str] = []
        self._is_stored = True

    async def run(self) -> None:
        await self._in_thread(self._memory.open)
        while True:
            began = time.monotonic()
            await self._hand_over()  # what an earlier run could not, too
            await self._look()
            await self._hand_over()
            await asyncio.sleep(max(began + self._arguments.interval - time.monotonic(), _LEAST_PAUSE))

    async def _in_thread(self, work: t.Callable[..., None], *arguments: t.Any) -> None:
        """Do it in the thread, and to its end, even if this is cancelled meanwhile."""
        done = asyncio.wrap_future(self._thread.submit(work, *arguments))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    async def _look(self) -> None:
        hosts = self._arguments.hosts
        results = await asyncio.gather(*(self._looker.look(host) for host in hosts))
        await self._in_thread(self._compare, dict(zip((host.name for host in hosts), results)))

    def _compare(self, results: t.Mapping[str, Json]) -> None:
        arguments = self._arguments
        watch = Watch(self._memory.state, arguments.limits, [CHANNEL], time.time(), "add {} to forget")
        for host, result in results.items():
            watch.add(host, result, arguments.forget)
        watch.finish(results, arguments.forget)
        if watch.failing != self._failing and not watch.kept:
            _logger.warning("without an answer: %s", listed(watch.failing) or "none any more")
            self._failing = watch.failing
        _logger.debug("%s, %s", counted(len(self._memory.state.pools), "pool"), counted(len(watch.edges), "change"))
        self._store()

    def _store(self) -> None:
        """Write the state down. If that fails, say so, and go on: what happens is told all the same."""
        try:
            self._memory.store()
        except OSError as exc:
            _logger.error(
                "state_file %s cannot be written: %s; after a restart, events are repeated",
                self._arguments.state_file,
                exc,
            )

    async def _hand_over(self) -> None:
        """Give the rules what they have not seen. An event is forgotten only when it was taken."""
        waiting, stored, is_new = self._memory.waiting, time.monotonic(), False
        try:
            for message in waiting:
                await self._queue.put(event_of(message))
                if not await self._is_taken(message):
                    _logger.warning("event %s was not taken; it is told again", message.id)
                    return
                self._memory.forget(message)
                is_new = True
                if time.monotonic() - stored > _BETWEEN:
                    await self._in_thread(self._store)
                    stored, is_new = time.monotonic(), False
        finally:
            if is_new:
                await self._in_thread(self._store)

    async def _is_taken(self, message: Message) -> bool:
        """Whether the engine has the event, and not only the queue, which a killed process loses."""
        if self._feedback is not None:
            try:
                await asyncio.wait_for(self._confirmed(self._feedback, message), _CONFIRMED)
            except asyncio.TimeoutError:
                return False
            return True
        is_empty = getattr(getattr(self._queue, "queue", self._queue), "empty", None)
        deadline = time.monotonic() + _TAKEN
        while is_empty is not None and not is_empty() and time.monotonic() < deadline:
            await asyncio.sleep(_POLL)
        return True

    @staticmethod
    async def _confirmed(feedback: asyncio.Queue[t.Any], message: Message) -> None:
        """Wait for the event itself: one before it may be confirmed late."""
        while mapping(mapping(await feedback.get()).get(KEY)).get("id") != message.id:
            pass


def event_of(message: Message) -> Json:
    """What the rules get: nothing in it is a template."""
    return {KEY: _harmless(message.payload())}


def _harmless(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return _TEMPLATE.sub(r"\\x7b", value)
    if isinstance(value, dict):
        return {key: _harmless(item) for key, item in value.items()}
    return [_harmless(item) for item in value] if isinstance(value, (list, tuple)) else value
