# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines as the daemon logs them."""

from __future__ import annotations

import gzip
import os
import time

from tests.support.simulated import Simulated

HOUR, DAY = 3600, 86400


def stamped(age: float, *texts: str) -> str:
    """Lines that the daemon logged a number of seconds ago."""
    stamp = time.strftime("[%Y-%m-%d %H:%M:%S.250] ", time.localtime(time.time() - age))
    return "".join(f"{stamp}{text}\n" for text in texts)


def accepted(age: float, height: int, worker: str) -> str:
    return stamped(
        age, f"Possible block solve diff {height}.5 !", "Submitting block data!", "BLOCK ACCEPTED!",
        f"Solved and confirmed block {height} by {worker}", "Block solved after 10 shares at 20.0% diff",
    )  # fmt: skip


def refused(age: float, height: int) -> str:
    return stamped(
        age, f"Possible block solve diff {height}.5 !", "SUBMIT BLOCK RETURNED: inconclusive",
        f"Submitted, but had block {height} rejected",
    )  # fmt: skip


def with_blocks(pool: Simulated) -> Simulated:
    """Write the blocks that it found to its log: two to the file, one to each of two rotated files."""
    log = pool.log_dir / f"{pool.name}.log"
    with open(log, "a", encoding="utf-8") as stream:
        stream.write(refused(2 * HOUR, 4) + accepted(60, 5, "alice.rig1"))
    log.with_name(f"{log.name}.1").write_text(accepted(2 * DAY, 3, "bob.rig2"), encoding="utf-8")
    packed = log.with_name(f"{log.name}.2.gz")
    packed.write_bytes(gzip.compress(accepted(9 * DAY, 2, "carol_x").encode()))
    for path, age in ((log.with_name(f"{log.name}.1"), DAY), (packed, 8 * DAY)):
        os.utime(path, (time.time() - age,) * 2)
    return pool
