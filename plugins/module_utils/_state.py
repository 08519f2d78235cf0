# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an instance, from what one look found. Pure functions: this is the only place that makes a state."""

from __future__ import annotations

import typing as t

from ._messages import count_of

if t.TYPE_CHECKING:
    from ._observation import Observation
    from ._types import Json

BITCOIND_MODES = ("pool", "solo")  #: modes that make work from a bitcoind of their own
WORKING_MODES = ("pool", "solo", "node")  #: modes that count the work that they have
COUNTING_MODES = ("pool", "solo", "node", "proxy")  #: modes that write pool.status
FRONT_MODES = ("proxy", "passthrough", "redirector", "node")  #: modes that work for another pool, their upstream
NOBODY = ("absent", "refused", "not_a_socket", "cannot_connect")  #: outcomes of a socket on which nothing listens
GARBAGE = ("garbage", "another_peer", "bad_reply", "oversized_reply", "unparsable")  #: outcomes that no ckpool causes
_BORN_SECONDS = 10.0  #: within which a new process may not have opened its sockets yet
_LONG_START_SECONDS = 120.0  #: within which a silent stratifier may still be starting, if there are no files


def reached_state(seen: Observation) -> str:
    """C(ok), C(degraded), C(starting), C(hung), C(down) or C(unknown).

    C(ok): all sockets answer as those of a ckpool, the process is known, and it has work. C(degraded): a part of this does not
    hold. C(starting): it has no work yet. C(hung): it accepts connections and does not answer. C(down): neither a process nor
    a listening socket is left. C(unknown): it cannot be asked, as its sockets may not be used or seen, or as another process
    answers on them, or something that no ckpool says.
    """
    if any(probe.answered for probe in seen.probes.values()):
        return _partly_answering(seen)
    outcomes = {probe.outcome for probe in seen.probes.values()}
    if outcomes & {"not_permitted", "not_looked_into", *GARBAGE}:
        return "unknown"
    if not outcomes <= set(NOBODY):
        return "hung"
    if seen.pid_state not in ("alive", "hidden"):
        return "down"
    if seen.process_age is not None and seen.process_age < _BORN_SECONDS:
        return "starting"
    return "unknown" if outcomes <= {"absent"} else "down"


def _partly_answering(seen: Observation) -> str:
    stratifier = seen.probes.get("stratifier")
    if stratifier is not None and not stratifier.answered:
        if stratifier.outcome != "unanswered":
            return "degraded"
        return "starting" if _never_ready(seen) else "hung"
    if _has_no_work(seen):
        return "starting"
    is_whole = all(probe.answered for probe in seen.probes.values()) and not seen.garbage
    return "ok" if is_whole and seen.pid_state in ("alive", "hidden") else "degraded"


def is_down(seen: Observation) -> bool:
    """Whether neither its process nor a listening socket is left."""
    gone = ("absent", "refused", "not_a_socket")
    return seen.pid_state in ("dead", "another", "absent") and all(p.outcome in gone for p in seen.probes.values())


def is_ready(seen: Observation) -> bool:
    """Whether miners can work: stratifier and generator answer, the connector may be slow, and there is work."""
    if not seen.probes["stratifier"].answered or not seen.probes["generator"].answered:
        return False
    if seen.probes["connector"].outcome in (*NOBODY, "unanswered", *GARBAGE):
        return False  # everything else can answer, and no miner is accepted (seen)
    # The guide's reply to the same question has no count of workbases.
    return seen.mode not in WORKING_MODES or (seen.counts is not None and workbases(seen.counts) != 0)


def leftovers(seen: Observation) -> t.List[str]:
    """Files of the socket directory that no process uses."""
    if seen.pid_state == "alive":
        return []
    stale = [name for name, probe in seen.probes.items() if probe.outcome == "refused"]
    return [*stale, "main.pid"] if seen.has_pid_file and seen.pid_state != "hidden" else stale


def _has_no_work(seen: Observation) -> bool:
    return seen.mode in WORKING_MODES and workbases(seen.counts) == 0


def workbases(counts: t.Optional[Json], field: str = "count") -> t.Optional[int]:
    """A count of workbases from the stratifier's object counts; None if they do not have it."""
    return count_of(counts, "workbases", field)


def _never_ready(seen: Observation) -> bool:
    """Whether a silent stratifier still waits for its first work: it has written no statistics in this run."""
    if seen.process_age is None or seen.mode not in COUNTING_MODES:
        return False
    if not seen.knows_files:
        return seen.process_age < _LONG_START_SECONDS
    written = seen.stats_as_of if seen.stats_written is None else seen.stats_written
    return written is None or seen.now - written > seen.process_age + 1
