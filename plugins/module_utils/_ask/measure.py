# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the metrics of a pool need, in one visit. Nothing that a pool does raises an error here."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._errors import PoolError
from .._host.process import version_of
from .._metrics import MOST_USERS, UP_STATES, Reading
from .._state import COUNTING_MODES
from .survey import HealthOptions

if t.TYPE_CHECKING:
    from .._health import Verdict
    from .._instance import Instance
    from .._observation import Observation
    from .answer import Answer

    class Pool(t.Protocol):
        """What is asked: a Pool whose questions share a visit."""

        instance: Instance

        def health(self, options: t.Optional[HealthOptions]) -> t.Tuple[Verdict, Observation]:
            """The verdict, and what it rests on."""

        def users(self, *options: t.Any) -> Answer:
            """Its users."""

        def blocks(self, *options: t.Any) -> Answer:
            """The blocks that it found."""


BLOCKS_LIMIT = 64 * 1024 * 1024  #: bytes of logs that are read for blocks
_MOST_BLOCKS = 100_000


@dataclasses.dataclass
class MetricsOptions:
    """What to measure.

    :ivar top_users: number of users with series of their own, the strongest.
    :ivar blocks_limit: bytes of logs that may be read for blocks; 0 to leave blocks out.
    """

    health: HealthOptions = dataclasses.field(default_factory=HealthOptions)
    top_users: int = 0
    blocks_limit: int = BLOCKS_LIMIT


def measure(pool: Pool, options: MetricsOptions) -> Reading:
    """Look at everything that the metrics of a pool need. What could not be seen is among the problems, with the reason."""
    began = time.monotonic()
    verdict, seen = pool.health(options.health)
    instance = pool.instance
    reading = Reading(verdict, seen, seen.now, started=instance.start_time, problems=dict(seen.problems))
    if instance.pid is not None and instance.pid_state == "alive":
        reading.version = version_of(instance.pid)
    if options.blocks_limit and seen.mode in COUNTING_MODES:
        _read_blocks(pool, reading, options.blocks_limit)
    if options.top_users and verdict.state in UP_STATES and seen.mode in COUNTING_MODES:
        _read_users(pool, reading, min(options.top_users, MOST_USERS))
    reading.seconds = time.monotonic() - began
    return reading


def _read_blocks(pool: Pool, reading: Reading, limit: int) -> None:
    try:
        answer = pool.blocks(0.0, _MOST_BLOCKS, limit)
    except PoolError as exc:
        reading.problems["blocks"] = str(exc)
        return
    # That a limit ended the search is no problem: the metrics say from when on it counts.
    if answer.source is not None:
        reading.blocks, reading.reached = answer.blocks, answer.reached


def _read_users(pool: Pool, reading: Reading, count: int) -> None:
    try:
        answer = pool.users(None, None, "hashrate1m", count)
    except PoolError as exc:
        reading.problems["users"] = str(exc)
        return
    reading.users = answer.users
    if answer.source is None:
        reading.problems.setdefault("users", "the users could not be read")
