# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When to expect the next block. Pure functions.

Blocks come at random: at a hashrate, the time between two is distributed exponentially, whatever came before.
"""

from __future__ import annotations

import math
import typing as t

from ...module_utils._units import DIFF1_HASHES
from .._types import Json
from .history import Number

_DAY = 86400.0
#: the windows to take the hashrate from: long ones say more about the next days, and the last week may be over
_BY_PREFERENCE = ("1d", "6hr", "1hr", "7d", "15m", "5m", "1m")
_HIGHEST = 1e18  #: seconds


def usual_rate(hashrates: t.Mapping[str, Number]) -> t.Tuple[Number, t.Optional[str]]:
    """The hashrate to expect blocks by, in H/s, and its window; None if none is known."""
    for window in _BY_PREFERENCE:
        rate = hashrates.get(window)
        if rate is not None:
            return rate, window
    return None, None


def odds(difficulty: Number, rate: Number) -> t.Optional[Json]:
    """The expected time to a block in seconds, and the probability of at least one a day, from 0 to 1.

    :arg difficulty: of the network.
    :arg rate: H/s.
    :returns: None if either is not known, or no block can be expected.
    """
    if not difficulty or not rate:
        return None
    seconds = difficulty * DIFF1_HASHES / rate
    if not math.isfinite(seconds) or seconds > _HIGHEST:
        return None
    return {"expected_seconds": seconds, "chance_per_day": -math.expm1(-_DAY / seconds) if seconds else 1.0}
