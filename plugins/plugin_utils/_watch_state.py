# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watch remembers from run to run: its pools, and the messages that are still to be sent. Pure functions.

All of it is in one file. A file that is not whole is named and never replaced: it may hold messages that nobody has seen.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ..module_utils._text import clean
from ..module_utils._units import is_number
from ._types import Json

FORMAT = 1
#: a user or worker: None while active, the time at which it went idle, or 0 if it was idle when it was first seen
Idle = t.Optional[float]


class BadState(Exception):
    """The file is not the state of a watch."""


@dataclasses.dataclass
class PoolState:
    """What is remembered of one pool.

    :ivar place: what identifies it on its host: its socket directory, and more in a container; empty if the host has no pool.
    :ivar seen: epoch seconds of the last look at which it answered; None if there was none.
    :ivar since: epoch seconds since which it answers again after failed looks; None if it never failed.
    :ivar failed: how many of the last looks failed.
    :ivar partial: how many of the last looks lacked data.
    :ivar open: what was told and has not ended, with the time in epoch seconds.
    :ivar level: the hashrate in H/s before it dropped.
    :ivar blocks: those that were seen, the newest first; None if they never were.
    :ivar searched: epoch seconds of the last search for blocks.
    :ivar users: name to whether it is idle; None if they were never seen.
    :ivar workers: as users.
    """

    host: str
    place: str
    name: str = ""
    socket_dir: str = ""
    seen: t.Optional[float] = None
    since: t.Optional[float] = None
    failed: int = 0
    partial: int = 0
    open: t.Dict[str, float] = dataclasses.field(default_factory=dict)
    level: t.Optional[float] = None
    version: t.Optional[str] = None
    blocks: t.Optional[t.List[Json]] = None
    searched: t.Optional[float] = None
    users: t.Optional[t.Dict[str, Idle]] = None
    workers: t.Optional[t.Dict[str, Idle]] = None

    def forget_the_future(self, now: float) -> None:
        """Take what a clock noted that was ahead, and has been set back since, as of now: it would be waited for."""

        def past(time: Idle) -> Idle:
            return None if time is None else min(time, now)

        self.seen, self.since, self.searched = past(self.seen), past(self.since), past(self.searched)
        self.open = {condition: min(time, now) for condition, time in self.open.items()}
        for people in (self.users or {}, self.workers or {}):
            people.update({name: past(time) for name, time in people.items()})


@dataclasses.dataclass
class Message:
    """One edge, until it is sent.

    :ivar id: the same in every try, and of no other message.
    :ivar time: epoch seconds of the look.
    :ivar to: the channels that it was not yet sent to.
    :ivar tries: how often a channel refused it.
    :ivar why: why the last try failed.
    """

    id: str
    event: str
    severity: str
    host: str
    pool: str
    socket_dir: str
    time: float
    text: str
    facts: Json
    to: t.List[str]
    tries: int = 0
    why: str = ""

    def payload(self) -> Json:
        """What a receiver gets."""
        hidden = ("to", "tries", "why")
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in hidden}


@dataclasses.dataclass
class State:
    """Everything that is remembered.

    :ivar id: of this state, of which the ids of messages are made.
    :ivar next: the number of the next message.
    """

    id: str
    next: int = 1
    pools: t.List[PoolState] = dataclasses.field(default_factory=list)
    outbox: t.List[Message] = dataclasses.field(default_factory=list)

    def text(self) -> str:
        """The state as its file has it."""
        return json.dumps(clean({"format": FORMAT, **dataclasses.asdict(self)}), indent=1) + "\n"


def read_state(text: str) -> State:
    """The state of a file.

    :raises BadState: saying what is wrong with it.
    """
    if not text.strip():
        raise BadState("it is empty")
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise BadState(f"it is not JSON: {exc}") from None
    if not isinstance(found, dict) or "outbox" not in found:
        raise BadState("it is not the state of a watch")
    if found.pop("format", None) != FORMAT:
        raise BadState("it was written by another version of this collection")
    state = t.cast(State, _made(State, found, "it"))
    state.pools = [t.cast(PoolState, _made(PoolState, each, "a pool")) for each in state.pools]
    state.outbox = [t.cast(Message, _made(Message, each, "a message")) for each in state.outbox]
    return state


def _refuse(constant: str) -> t.NoReturn:
    raise ValueError(f"{constant} is no number")


def _made(kind: t.Any, values: t.Any, what: str) -> t.Any:
    """A record of JSON data, with each field checked."""
    names = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(values, dict) or set(values) != set(names):
        raise BadState(f"{what} has not the fields {', '.join(names)}")
    for name, value in values.items():
        if not _CHECKS[name](value):
            raise BadState(f"{name} of {what} is wrong")
    return kind(**values)


def _is_text(value: t.Any) -> bool:
    return isinstance(value, str)


def _is_count(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_amount(value: t.Any) -> bool:
    return is_number(value) and value >= 0


def _is_time(value: t.Any) -> bool:
    return _is_amount(value) and value < 2**36  # what a date can show


def _is_list(value: t.Any) -> bool:
    return isinstance(value, list)


def _is_texts(value: t.Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_times(value: t.Any) -> bool:
    return isinstance(value, dict) and all(map(_is_time, value.values()))


def _is_people(value: t.Any) -> bool:
    return isinstance(value, dict) and all(since is None or _is_time(since) for since in value.values())


def _is_facts(value: t.Any) -> bool:
    return isinstance(value, dict)


def _is_blocks(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) and _is_time(each.get("time")) for each in value)


def _or_none(check: t.Callable[[t.Any], bool]) -> t.Callable[[t.Any], bool]:
    return lambda value: value is None or check(value)


_CHECKS: t.Dict[str, t.Callable[[t.Any], bool]] = {
    **dict.fromkeys(
        ("id", "host", "place", "name", "socket_dir", "event", "severity", "pool", "text", "why"), _is_text
    ),
    **dict.fromkeys(("next", "failed", "partial", "tries"), _is_count),
    **dict.fromkeys(("pools", "outbox"), _is_list),
    **dict.fromkeys(("seen", "since", "searched"), _or_none(_is_time)),
    **dict.fromkeys(("users", "workers"), _or_none(_is_people)),
    "time": _is_time,
    "open": _is_times,
    "level": _or_none(_is_amount),
    "version": _or_none(_is_text),
    "blocks": _or_none(_is_blocks),
    "facts": _is_facts,
    "to": _is_texts,
}
