# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far one gets with an instance: the state that every module reports, from what its sockets said. No input or output."""

from __future__ import annotations

import time
import typing as t

from ._instance import Instance
from ._observation import Observation

if t.TYPE_CHECKING:
    from ._records import Json

WORKING_MODES = ("pool", "solo", "node")  #: modes that make work from a bitcoind of their own
COUNTING_MODES = ("pool", "solo", "node", "proxy")  #: modes that write pool.status
_NOBODY = ("absent", "refused", "not_a_socket", "cannot_connect")
_BORN_SECONDS = 10.0  #: within which a new process may not have opened its sockets
_LONG_START_SECONDS = 120.0  #: within which a silent stratifier may still be starting, where no file tells


def first_sight(instance: Instance) -> Observation:
    """What is known of an instance before anything is asked."""
    seen = Observation(time.time(), instance.mode, instance.pid, instance.pid_state)
    seen.knows_files = instance.log_dir is not None
    if instance.start_time is not None:
        seen.process_age = max(seen.now - instance.start_time, 0.0)
    return seen


def reached_state(seen: Observation) -> str:
    """How far one gets with an instance: C(down), C(hung), C(starting), C(unknown) or C(ok).

    C(unknown) is a pool whose sockets we are not permitted to use, or cannot see although it runs. C(degraded) is for
    a verdict to say.
    """
    probes = list(seen.probes.values())
    stratifier = seen.probes.get("stratifier")
    if not any(probe.answered for probe in probes):
        if any(probe.outcome == "not_permitted" for probe in probes):
            return "unknown"
        if not all(probe.outcome in _NOBODY for probe in probes):
            return "hung"
        if seen.pid_state != "alive":
            return "down"
        if seen.process_age is not None and seen.process_age < _BORN_SECONDS:
            return "starting"
        return "unknown" if all(probe.outcome == "absent" for probe in probes) else "down"
    if stratifier is None or stratifier.answered:
        return "starting" if _has_no_work(seen) else "ok"
    if stratifier.outcome == "unanswered":
        return "starting" if _never_ready(seen) else "hung"
    return "degraded"


def _has_no_work(seen: Observation) -> bool:
    return seen.mode in WORKING_MODES and workbases(seen.counts) == 0


def workbases(counts: t.Optional[Json], field: str = "count") -> t.Optional[int]:
    """A count of workbases from the stratifier's object counts; None where there are none."""
    return count_of(counts, "workbases", field)


def count_of(counts: t.Optional[Json], kind: str, field: str = "count") -> t.Optional[int]:
    """A count of one kind of object; None where there are none."""
    value = (counts or {}).get(kind)
    found = value.get(field) if isinstance(value, dict) else None
    return found if isinstance(found, int) else None


def _never_ready(seen: Observation) -> bool:
    """Whether a silent stratifier still waits for its first work: it has written no statistics in this run."""
    if seen.process_age is None or seen.mode not in COUNTING_MODES:
        return False
    if not seen.knows_files:
        return seen.process_age < _LONG_START_SECONDS
    return seen.stats_as_of is None or seen.now - seen.stats_as_of > seen.process_age + 1
