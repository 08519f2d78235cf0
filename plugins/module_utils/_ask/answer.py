# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer of a pool: its values, where they came from, and how old they are."""

from __future__ import annotations

import typing as t

from .._errors import PoolError
from .._record import field, record
from .._records import Block, PoolStats, UserStats, Workbase, WorkerStats

if t.TYPE_CHECKING:
    from .._types import Json
    from .._visit import Visit


@record
class Answer:
    """What a pool answered to one question.

    :ivar missing: names that were asked for, and that no user or worker has.
    :ivar reached: epoch seconds of the oldest line of log that was read for blocks.
    :ivar is_complete: whether all the blocks that were asked for were looked for.
    :ivar source: the name of the source; None if no source had an answer.
    :ivar as_of: epoch seconds at which the source made it.
    :ivar state: state of the instance: ok, degraded, starting, hung, down or unknown.
    :ivar raw: the replies or file objects as they came.
    :ivar counts: the stratifier's counts of its objects, if it was asked and gave them.
    :ivar left_out: how many users were left out, as their files are not of this run of the daemon, or too old.
    :ivar problems: what could not be determined, by area, with the reason.
    """

    stats: PoolStats = field(default_factory=PoolStats)
    users: t.List[UserStats] = field(default_factory=list)
    missing: t.List[str] = field(default_factory=list)
    workers: t.List[WorkerStats] = field(default_factory=list)
    blocks: t.List[Block] = field(default_factory=list)
    workbase: t.Optional[Workbase] = None
    reached: t.Optional[int] = None
    is_complete: bool = False
    source: t.Optional[str] = None
    as_of: t.Optional[int] = None
    state: str = "unknown"
    raw: t.Any = None
    counts: t.Optional[Json] = None
    left_out: int = 0
    problems: t.Dict[str, str] = field(default_factory=dict)


def begun(visit: Visit) -> Answer:
    """An answer with what the look at the instance has found, such as another process on its sockets."""
    return Answer(problems=dict(visit.seen.problems), state=visit.state)


def without(answer: Answer, failure: t.Optional[PoolError]) -> Answer:
    """The answer that no source has given: one without values if the pool is not up.

    :arg failure: the reason.
    :raises PoolError: the pool is up.
    """
    if answer.state in ("down", "hung", "starting"):
        if failure:
            answer.problems.setdefault("stats", str(failure))
        return answer
    failure = failure or PoolError("no source that may be used has an answer", hint="leave source at auto")
    failure.facts.update(problems=answer.problems, state=answer.state)
    raise failure
