# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several questions in one visit: the subsets of C(ckpool_info), each in the shape of its own module."""

from __future__ import annotations

import functools
import typing as t

from .. import _discovery
from .._errors import BadInput, PoolError
from .._host.access import permissions_of
from .._host.process import version_of
from .._messages import count_of
from .._parallel import in_parallel
from .._record import record
from .._records import PoolStats, is_deep
from .._results import DOWN_STATES, describe
from .config import shown

if t.TYPE_CHECKING:
    from .._instance import Instance
    from .._types import Json
    from .._visit import Visit
    from .answer import Answer

    class Pool(t.Protocol):
        """What is asked: a Pool."""

        instance: Instance

        def stats(self) -> Answer:
            """Its statistics."""

        def users(self, *options: t.Any) -> Answer:
            """Its users."""

        def workers(self, *options: t.Any) -> Answer:
            """Its workers."""

        def blocks(self, *options: t.Any) -> Answer:
            """The blocks that it found."""

        def workbase(self) -> Answer:
            """The template that it works on."""

        def work_age(self) -> t.Optional[float]:
            """Seconds since it had new work."""

        def gather(self, options: Options) -> Gathered:
            """All of these that the options name."""

        def log_tail(self) -> t.List[str]:
            """The end of its log."""


SUBSETS = (
    "summary", "stats", "users", "workers", "clients", "workbase", "blocks", "config", "instances", "sockets",
)  # fmt: skip


@record
class Options:
    """What to gather, and how much of it.

    :ivar limit: how many users and workers at most; None for all.
    :ivar active_within: only those whose last share is at most this many seconds old; None for all.
    :ivar blocks_since: epoch seconds of the oldest block that is wanted.
    :ivar include_stale: also users who left.
    """

    subsets: t.Sequence[str]
    limit: t.Optional[int] = None
    sort_by: str = "hashrate1m"
    active_within: t.Optional[float] = None
    blocks_limit: int = 20
    blocks_since: float = 0.0
    include_stale: bool = False


def chosen(words: t.Sequence[str]) -> t.List[str]:
    """The subsets that the words choose, as in C(setup) of Ansible: C(all), C(min), names, each also with a C(!).

    Exclusions alone are taken from all. C(!all) leaves the minimum, which is C(summary), and C(!min) leaves that out
    unless it is named.

    :raises BadInput: a word is unknown.
    """
    for word in words:
        if word.lstrip("!") not in (*SUBSETS, "all", "min") or word.startswith("!!"):
            raise BadInput(
                f"gather_subset {word!r} is not one of all, min, {', '.join(SUBSETS)}, nor that with a !",
                reason="bad_subset",
            )
    wanted = {word for word in words if not word.startswith("!")}
    unwanted = {word[1:] for word in words if word.startswith("!")}
    named = {name for name in wanted if name in SUBSETS}
    taken = set(SUBSETS) if "all" in wanted or not wanted else named
    if "all" in unwanted:
        taken = named
    if "min" in unwanted:
        taken = (taken - {"summary"}) | named
    elif ("all" in unwanted and not named) or "min" in wanted:
        taken = taken | {"summary"}
    return [name for name in SUBSETS if name in taken and name not in unwanted]


class Gathered:
    """The answers to several questions, asked in one visit. What two subsets need is asked once.

    :arg pool: what is asked.
    :arg visit: the look that its questions share.
    :ivar values: the subsets; None for one that could not be determined, with the reason among the problems.
    :ivar sources: subset to where it came from.
    :ivar problems: what could not be determined, by subset or area, with the reason.
    """

    def __init__(self, pool: Pool, visit: Visit, options: Options) -> None:
        self._pool, self._visit, self._options = pool, visit, options
        visit.clients()  # which may add to the problems of the visit
        self.sources: t.Dict[str, t.Optional[str]] = {}
        self.problems: t.Dict[str, str] = {**pool.instance.problems, **visit.seen.problems}
        self._answers: t.Dict[str, Answer] = {}
        self._failures: t.Dict[str, PoolError] = {}
        self.values = self._gather()

    @property
    def state(self) -> str:
        """The state of the instance."""
        return self._visit.state

    @property
    def as_of(self) -> t.Optional[int]:
        """When its statistics were made, in epoch seconds."""
        return self._answers["stats"].as_of if "stats" in self._answers else None

    def _gather(self) -> Json:
        gathered: Json = {}
        for name in self._options.subsets:
            try:
                gathered[name] = getattr(self, f"_{name}")()
            except PoolError as exc:
                gathered[name] = None
                self.problems[name] = exc.with_hint
            if gathered[name] is None:
                self.problems.setdefault(name, f"{self._pool.instance.name} is {self.state}")
        return gathered

    def _ask(self, name: str, question: t.Callable[[], Answer]) -> Answer:
        if name in self._failures:
            raise self._failures[name]
        if name not in self._answers:
            self.sources[name] = None
            try:
                self._answers[name] = question()
            except PoolError as exc:
                self._failures[name] = exc
                raise
            self.problems.update(self._answers[name].problems)
        self.sources[name] = self._answers[name].source
        return self._answers[name]

    def _stats(self) -> Json:
        return self._ask("stats", self._pool.stats).stats.as_dict()

    def _summary(self) -> Json:
        """The statistics, and what is known even without them."""
        try:
            stats = self._stats()
        except PoolError as exc:
            self.problems["stats"] = exc.with_hint
            stats = PoolStats().as_dict()
        instance = self._pool.instance
        return {
            "name": instance.name,
            "mode": instance.mode,
            "pid": instance.pid,
            "state": self.state,
            "version": version_of(instance.pid) if instance.pid and instance.pid_state == "alive" else None,
            **stats,
            "work_age": self._pool.work_age(),
            "last_block": self._last_block(),
        }

    def _last_block(self) -> t.Optional[Json]:
        """The last block, regardless of its age."""
        is_gathered, since = "blocks" in self._options.subsets, self._options.blocks_since
        try:
            blocks = self._blocks() if is_gathered else []
            if not blocks and (since or not is_gathered):
                blocks = [block.as_dict() for block in self._pool.blocks(0.0, 1).blocks]
        except PoolError as exc:
            self.problems["last_block"] = str(exc)
            return None
        return blocks[0] if blocks else None

    def _blocks(self) -> t.List[Json]:
        options = self._options
        question = functools.partial(self._pool.blocks, options.blocks_since, options.blocks_limit)
        return [block.as_dict() for block in self._ask("blocks", question).blocks]

    def _users(self) -> t.List[Json]:
        options = self._options
        question = functools.partial(
            self._pool.users, None, options.active_within, options.sort_by, options.limit, options.include_stale
        )
        return [user.as_dict() for user in self._ask("users", question).users]

    def _workers(self) -> t.List[Json]:
        options = self._options
        state, within = ("any", 600.0) if options.active_within is None else ("active", options.active_within)
        sort_by = "worker" if options.sort_by == "user" else options.sort_by
        question = functools.partial(
            self._pool.workers, None, None, state, within, sort_by, options.limit, options.include_stale
        )
        return [worker.as_dict() for worker in self._ask("workers", question).workers]

    def _workbase(self) -> t.Optional[Json]:
        workbase = self._ask("workbase", self._pool.workbase).workbase
        return workbase.as_dict() if workbase else None

    def _clients(self) -> Json:
        """The connector counts connections, the stratifier those that talk; neither says whose they are."""
        stratifier, connector = self._visit.counts_of("stratifier"), self._visit.counts_of("connector")
        if stratifier is None and connector is None:
            raise PoolError("neither the stratifier nor the connector gave its counts")
        return {
            "connected": count_of(connector, "clients"),
            "authorised_or_new": count_of(stratifier, "clients"),
            "disconnected": count_of(stratifier, "disconnected"),
            "dead": count_of(connector, "dead"),
        }

    def _config(self) -> t.Optional[Json]:
        config = self._pool.instance.config
        if config is None:
            raise PoolError(self._pool.instance.problems.get("config", "no process shows where its configuration is"))
        if is_deep(config):
            raise PoolError("the configuration is nested too deep to be passed on")
        return shown(config)

    def _instances(self) -> t.List[Json]:
        found = _discovery.find_all()
        states = in_parallel([functools.partial(self._state_of, instance) for instance in found])
        return [instance.as_dict(state) for instance, state in zip(found, states)]

    def _state_of(self, instance: Instance) -> str:
        """The state of an instance of the host, of which one is known already."""
        own = self._pool.instance
        if (instance.root, instance.socket_dir) == (own.root, own.socket_dir):
            return self.state
        return self._visit.to(instance).state

    def _sockets(self) -> t.List[Json]:
        probes, instance = self._visit.seen.probes, self._pool.instance
        return [
            {"name": name, "outcome": probe.outcome, **permissions_of(instance.socket(name))}
            for name, probe in probes.items()
        ]


def gathered(pool: Pool, options: Options) -> Json:
    """The answers of a pool, as the result of C(ckpool_info)."""
    instance, found = pool.instance, pool.gather(options)
    values = found.values
    missing = [name for name in values if values[name] is None]
    present = ", ".join(name for name in values if name not in missing)
    msg = f"{describe(instance)} is {found.state}: {present or 'nothing'}"
    result: Json = {
        "instance": instance.as_dict(found.state),
        "source": found.sources.get("stats"),
        "as_of": found.as_of,
        "sources": found.sources,
        "problems": found.problems,
        **values,
        "msg": msg + (f"; not determined: {', '.join(missing)}" if missing else ""),
    }
    if found.state in DOWN_STATES:
        result["log_tail"] = pool.log_tail()
    return result
