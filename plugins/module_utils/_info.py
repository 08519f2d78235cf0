# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about an instance in one visit: the subsets of C(ckpool_info), each in the shape of its own module."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import stat
import typing as t

from ._control import Control
from ._errors import BadInput, PoolError
from ._instance import SOCKETS, Instance
from ._parallel import in_parallel
from ._pool import Answer, Pool
from ._records import PoolStats, is_deep
from ._sources.talk import Replies
from ._wire import group_name, user_name

SUBSETS = (
    "summary", "stats", "users", "workers", "clients", "workbase", "blocks", "config", "instances", "sockets",
)  # fmt: skip
_SECRETS = ("pass", "auth", "secret", "token", "key", "cookie")
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+(?=@)")  #: the user and password that a URL may have
_SILENT = ("down", "hung")
_HIDDEN = "********"
_VERSION = re.compile(rb"\0(?:ckpool|elopool)[a-z-]{0,20}/(\d[\w.-]{0,30})\0", re.IGNORECASE)
_MOST_PROGRAM = 64 * 1024 * 1024
Json = t.Dict[str, t.Any]


@dataclasses.dataclass
class Options:
    """What to gather, and how much of it.

    :ivar limit: users and workers at most; None for all.
    :ivar active_within: seconds since the last share; None for whoever there is.
    :ivar blocks_since: epoch seconds of the oldest block that is wanted.
    """

    subsets: t.Sequence[str]
    limit: t.Optional[int] = None
    sort_by: str = "hashrate1m"
    active_within: t.Optional[float] = None
    blocks_limit: int = 20
    blocks_since: float = 0.0


def chosen(words: t.Sequence[str]) -> t.List[str]:
    """The subsets that are meant, much as Ansible's own C(setup) has it: C(all), C(min), names, each also with a C(!).

    What is only excluded is taken from all. C(!all) leaves the minimum, which is C(summary), and C(!min) leaves that
    out unless it is named.

    :raises BadInput: a word is none of these.
    """
    for word in words:
        if word.lstrip("!") not in (*SUBSETS, "all", "min") or word.startswith("!!"):
            raise BadInput(
                f"gather_subset {word!r} is none of all, min, {', '.join(SUBSETS)}, nor that with a !",
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


class Gathering:
    """One visit to one instance. What two subsets need is asked for once.

    :arg how: C(source), C(timeout) and C(max_reply) of a Pool.
    :ivar sources: subset to where it came from.
    :ivar problems: what could not be had, by subset or area, and why.
    """

    def __init__(self, instance: Instance, options: Options, **how: t.Any) -> None:
        self._options, self._how = options, how
        replies: Replies = {}
        self._control = Control(instance, **how, replies=replies)
        self._sight = self._control.look()
        is_silent = self.state in _SILENT or (self.state == "starting" and not self._replies("stratifier"))
        self._pool = Pool(instance, **how, silent=self.state if is_silent else "", replies=replies)
        self.sources: t.Dict[str, t.Optional[str]] = {}
        self.problems: t.Dict[str, str] = {**instance.problems, **self._sight.problems}
        self._answers: t.Dict[str, Answer] = {}
        self._failures: t.Dict[str, PoolError] = {}

    @property
    def state(self) -> str:
        """How far one gets with the instance."""
        return self._sight.state

    @property
    def as_of(self) -> t.Optional[int]:
        """When its statistics were made, in epoch seconds."""
        return self._answers["stats"].as_of if "stats" in self._answers else None

    def gather(self) -> Json:
        """The subsets; None for one that cannot be had, with the reason among the problems."""
        gathered: Json = {}
        for name in self._options.subsets:
            try:
                gathered[name] = getattr(self, f"_{name}")()
            except PoolError as exc:
                gathered[name] = None
                self.problems[name] = _text(exc)
            if gathered[name] is None:
                self.problems.setdefault(name, f"{self._pool.instance.name} is {self.state}")
        return gathered

    def _replies(self, socket: str) -> bool:
        return self._sight.answers.get(socket) == "reply"

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
        """What is known without statistics is told without them, too."""
        try:
            stats = self._stats()
        except PoolError as exc:
            self.problems["stats"] = _text(exc)
            stats = PoolStats().as_dict()
        instance = self._pool.instance
        return {
            "name": instance.name,
            "mode": instance.mode,
            "pid": instance.pid,
            "state": self.state,
            "version": version(instance.pid) if instance.pid_state == "alive" else None,
            **stats,
            "work_age": self._pool.work_age(),
            "last_block": self._last_block(),
        }

    def _last_block(self) -> t.Optional[Json]:
        """The last block, however long ago that was."""
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
        question = functools.partial(self._pool.users, None, options.active_within, options.sort_by, options.limit)
        return [user.as_dict() for user in self._ask("users", question).users]

    def _workers(self) -> t.List[Json]:
        options = self._options
        state, within = ("any", 600.0) if options.active_within is None else ("active", options.active_within)
        sort_by = "worker" if options.sort_by == "user" else options.sort_by
        question = functools.partial(self._pool.workers, None, None, state, within, sort_by, options.limit)
        return [worker.as_dict() for worker in self._ask("workers", question).workers]

    def _workbase(self) -> t.Optional[Json]:
        workbase = self._ask("workbase", self._pool.workbase).workbase
        return workbase.as_dict() if workbase else None

    def _clients(self) -> Json:
        """The connector counts connections, the stratifier those that talk; neither says whose they are."""
        stratifier, connector = self._counts("stratifier"), self._counts("connector")
        if stratifier is None and connector is None:
            raise PoolError("neither the stratifier nor the connector tells its counts")
        stratifier, connector = stratifier or {}, connector or {}
        return {
            "connected": connector.get("clients"),
            "authorised_or_new": stratifier.get("clients"),
            "disconnected": stratifier.get("disconnected"),
            "dead": connector.get("dead"),
        }

    def _counts(self, socket: str) -> t.Optional[t.Dict[str, t.Optional[int]]]:
        """The counts of a socket that has answered before; None where it does not tell them."""
        if not self._replies(socket):
            return None
        try:
            return self._control.counts(socket)
        except PoolError as exc:
            self.problems[f"{socket}_stats"] = str(exc)
            return None

    def _config(self) -> t.Optional[Json]:
        config = self._pool.instance.config
        if config is None:
            raise PoolError(self._pool.instance.problems.get("config", "no process tells where its configuration is"))
        if is_deep(config):
            raise PoolError("the configuration is nested too deep to be passed on")
        return t.cast(Json, without_secrets(config))

    def _instances(self) -> t.List[Json]:
        found = [pool.instance for pool in Pool.find_all()]
        states = in_parallel([functools.partial(self._state_of, instance) for instance in found])
        return [instance.as_dict(state) for instance, state in zip(found, states)]

    def _state_of(self, instance: Instance) -> str:
        """How far one gets with an instance of the host, of which one is known already."""
        own = self._pool.instance
        if (instance.root, instance.socket_dir) == (own.root, own.socket_dir):
            return self.state
        return Control(instance, **self._how).look().state

    def _sockets(self) -> t.List[Json]:
        return [
            {"name": name, "outcome": self._sight.answers.get(name), **_file_of(self._pool.instance.socket(name))}
            for name in SOCKETS
        ]


def _text(exc: PoolError) -> str:
    return f"{exc}" + (f" ({exc.hint})" if exc.hint else "")


def _file_of(path: str) -> Json:
    """Who may use a socket, by its file."""
    try:
        info = os.stat(path)
    except OSError:
        return {"path": path, "owner": None, "group": None, "mode": None}
    mode = f"{stat.S_IMODE(info.st_mode):04o}"
    return {"path": path, "owner": user_name(info.st_uid), "group": group_name(info.st_gid), "mode": mode}


def without_secrets(value: t.Any, is_secret: bool = False) -> t.Any:
    """A configuration with the values hidden whose names say that they are secrets, at any depth, and in URLs."""
    if isinstance(value, dict):
        return {key: without_secrets(item, is_secret or _is_secret(str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item, is_secret) for item in value]
    if is_secret:
        return value if value is None or value == "" else _HIDDEN
    return _CREDENTIALS.sub(_HIDDEN, value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRETS)


def version(pid: t.Optional[int]) -> t.Optional[str]:
    """The version that a daemon's program bears; no reply and no log tells it. None where it may not be read."""
    try:
        with open(f"/proc/{pid}/exe", "rb") as program:
            found = _VERSION.search(program.read(_MOST_PROGRAM))
    except OSError:
        return None
    return found.group(1).decode("ascii", "replace") if found else None
