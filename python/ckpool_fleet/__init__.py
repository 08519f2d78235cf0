# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the ckpools of this host, and control them, without Ansible::

    from ckpool_fleet import Pool

    answer = Pool.find().stats()
    print(answer.state, answer.stats.hashrate1m, answer.source, answer.as_of)

Hashrates are H/s, times epoch seconds, and what a source does not give is None. What is not named here may change.
"""

from __future__ import annotations

from ckpool_fleet._ask.answer import Answer
from ckpool_fleet._ask.measure import MetricsOptions
from ckpool_fleet._ask.survey import HealthOptions
from ckpool_fleet._control import Control
from ckpool_fleet._errors import BadInput, NotFound, PoolError, SourceNotAnswered, Unparsable, Unreadable
from ckpool_fleet._health import Check, Thresholds, Verdict
from ckpool_fleet._instance import Instance
from ckpool_fleet._metrics import Reading, exposition, samples_of
from ckpool_fleet._observation import Observation
from ckpool_fleet._orders.drop import Wanted
from ckpool_fleet._pool import Pool
from ckpool_fleet._records import Block, PoolStats, UserAgent, UserStats, Workbase, WorkerStats
from ckpool_fleet._text import printable
from ckpool_fleet._units import human_hashrate

__all__ = [
    "Answer",
    "BadInput",
    "Block",
    "Check",
    "Control",
    "HealthOptions",
    "Instance",
    "MetricsOptions",
    "NotFound",
    "Observation",
    "Pool",
    "PoolError",
    "PoolStats",
    "Reading",
    "SourceNotAnswered",
    "Thresholds",
    "Unparsable",
    "Unreadable",
    "UserAgent",
    "UserStats",
    "Verdict",
    "Wanted",
    "Workbase",
    "WorkerStats",
    "exposition",
    "human_hashrate",
    "printable",
    "samples_of",
]
