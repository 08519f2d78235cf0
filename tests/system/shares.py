# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shares that cost next to no work, on any build: without shares a daemon writes no statistics of a user.

    way = cheapest()
    with RealPool(settings=way.settings) as pool, Miner(pool.stratum_port, "alice.rig1") as miner:
        Shares(way, pool).submit(miner)

What a build takes is found out by trying it, once for each program.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support import wait_until
from tests.system.daemon import ENVIRONMENT, PoolError, RealPool
from tests.system.miner import Job, Miner, Share, StratumError, mine
from tests.system.scanner import Scanner

LOW = 0.0001
"""Of a difficulty that takes some 400000 hashes: no second, even in Python."""
MINING_SECONDS = 30.0
JOB_SECONDS = 10.0
WORK_SECONDS = 20.0
EASIEST = (1 << 256) - 1
"""The target that any hash reaches."""


class Way(enum.Enum):
    """A way to a share that counts, with the settings that the daemon needs for it."""

    ANY = "a negative mindiff: any share is accepted"
    LOW = "a fraction of a difficulty: a share is soon mined"
    STALE = "work of before the last block: rejected, and yet counted as work of the user"

    @property
    def settings(self) -> dict[str, Any]:
        """What it takes in the daemon's configuration."""
        if self is Way.LOW:
            return {"mindiff": LOW, "startdiff": LOW, "highdiff": LOW}
        return {"mindiff": -1} if self is Way.ANY else {}

    @property
    def is_accepted(self) -> bool:
        """Whether such a share is accepted."""
        return self is not Way.STALE


class Shares:
    """Shares of one way, for one pool that was started with its settings."""

    def __init__(self, way: Way, pool: RealPool) -> None:
        self.way, self._pool = way, pool
        self._late: Job | None = None

    def submit(self, miner: Miner) -> str:
        """Submit one; the pool's reason if it rejects it."""
        if self.way is Way.ANY:
            return miner.submit_garbage()
        if self.way is Way.STALE:
            return self._submit_late(miner)
        miner.wait_for_job()
        if miner.difficulty > LOW:
            return f"the difficulty is {miner.difficulty:g}"
        return mine(miner, Scanner(), seconds=MINING_SECONDS).reason

    @contextlib.contextmanager
    def kept_coming(self, miners: Sequence[Miner]) -> Iterator[None]:
        """Miners that stay at work: one without a share for a minute is idle."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(WORK_SECONDS):
                for miner in miners:
                    with contextlib.suppress(StratumError):
                        self.submit(miner)

        worker = threading.Thread(target=work, daemon=True, name="miners at work")
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join(MINING_SECONDS)

    def _submit_late(self, miner: Miner) -> str:
        """Work of before the last block.

        A daemon counts such work if the hash reaches the target of its template, which all do here; whether it is a
        block is another matter, and a matter of the template's bits.
        """
        if self._late is None:
            self._pool.bitcoind.target = EASIEST
            try:
                self._late = self._job_of_a_new_block(miner)
            finally:
                self._pool.bitcoind.target = None
            self._job_of_a_new_block(miner)
        nonce2 = os.urandom(miner.nonce2_bytes).hex()
        return miner.submit(Share(self._late.job_id, nonce2, self._late.ntime, os.urandom(4).hex()))[1]

    def _job_of_a_new_block(self, miner: Miner) -> Job:
        """The first job on top of a new block; others may come in between."""
        before = miner.wait_for_job()
        self._pool.bitcoind.new_block()
        if not wait_until(lambda: miner.wait_for_job().previous_hash != before.previous_hash, JOB_SECONDS):
            raise StratumError(f"{miner.worker}: no job of the new block")
        return miner.wait_for_job()


def cheapest() -> Way:
    """What the program that CKPOOL_BIN names takes."""
    return cheapest_of(os.environ[ENVIRONMENT])


@functools.cache
def cheapest_of(binary: str) -> Way:
    """What a program takes."""
    return next((way for way in (Way.ANY, Way.LOW) if _works(way, binary)), Way.STALE)


def _works(way: Way, binary: str) -> bool:
    """Whether a pool starts with the settings, and accepts the share."""
    try:
        with RealPool(binary=binary, settings=way.settings) as pool, Miner(pool.stratum_port, "probe.rig1") as miner:
            return not Shares(way, pool).submit(miner)
    except (PoolError, StratumError):
        return False
