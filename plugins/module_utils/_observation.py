# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one visit to an instance observed, before it is judged. Times are epoch seconds."""

from __future__ import annotations

import typing as t

from ._record import field, record

if t.TYPE_CHECKING:
    from ._records import PoolStats
    from ._types import Json, Number


FUTURE_SECONDS = 5.0  #: by which two times of one host may differ, as they are read one after the other


@record
class Probe:
    """One exchange with one socket: C(reply), or the reason why there was none."""

    socket: str
    outcome: str
    seconds: float
    reply: str = ""
    detail: str = ""
    hint: str = ""

    @property
    def answered(self) -> bool:
        """Whether a reply came."""
        return self.outcome == "reply"


@record
class LogEvents:
    """What the end of the log contains. Times are those of the last such line, None if none was within reach."""

    path: str
    last_line: t.Optional[float] = None
    stored_workbase: t.Optional[float] = None
    bitcoind_down: t.Optional[float] = None
    bitcoind_connected: t.Optional[float] = None
    failed_over: t.Optional[float] = None
    failed_over_to: str = ""
    connected_to: str = ""
    network_difficulty: Number = None
    fatal: t.Optional[float] = None
    fatal_line: str = ""
    errors: t.Dict[str, int] = field(default_factory=dict)
    error_line: str = ""
    error_time: float = 0.0
    last_lines: t.List[str] = field(default_factory=list)
    #: why it may be incomplete, or its times wrong
    problem: str = ""

    @property
    def tells_bitcoind(self) -> bool:
        """Whether it has a word on the bitcoind: one that is older no longer counts then."""
        return any(when is not None for when in (self.bitcoind_down, self.bitcoind_connected, self.failed_over))


@record
class Observation:
    """Everything that a verdict on one instance needs, gathered in one visit."""

    now: float
    mode: str
    pid: t.Optional[int] = None
    pid_state: str = "absent"
    process_age: t.Optional[float] = None
    leftovers: t.List[str] = field(default_factory=list)
    state: str = "unknown"
    is_down: bool = False
    is_ready: bool = False
    has_pid_file: bool = False
    #: when the statistics were last written; looked at only if the stratifier does not answer
    stats_written: Number = None
    probes: t.Dict[str, Probe] = field(default_factory=dict)
    #: socket to its reply to a question after its counts, if no ckpool replies that
    garbage: t.Dict[str, str] = field(default_factory=dict)
    counts: t.Optional[Json] = None
    workbases_before: t.Optional[int] = None
    sample_seconds: float = 0.0
    clients: t.Optional[int] = None
    #: what told the pool to reject miners, as far as is remembered
    rejecting: t.Optional[str] = None
    #: whether what root remembers of the pool cannot be read
    hides_rejecting: bool = False
    #: connections of a pool in front of another one to that one
    upstream: t.Optional[int] = None
    #: seconds since anything arrived on any of these; None if that cannot be seen
    upstream_silence: Number = None
    best_block: t.Optional[Probe] = None
    update_interval: t.Optional[float] = None
    #: the bitcoinds of the configuration, as the log names them, in its order; empty if it is not known
    bitcoinds: t.List[str] = field(default_factory=list)
    stats: t.Optional[PoolStats] = None
    stats_source: str = ""
    stats_as_of: t.Optional[int] = None
    knows_files: bool = True
    log: t.Optional[LogEvents] = None
    #: connections of miners that are open and read by nobody; None if not determined
    stranded: t.Optional[int] = None
    open_files: t.Optional[int] = None
    max_files: t.Optional[int] = None
    disk_free: t.Optional[int] = None
    disk_total: t.Optional[int] = None
    #: area (stats, log, config, disk, ...) to what could not be determined there, with the reason
    problems: t.Dict[str, str] = field(default_factory=dict)

    @property
    def outcomes(self) -> t.Dict[str, str]:
        """Socket to C(reply), or to the reason why there was none."""
        return {name: probe.outcome for name, probe in self.probes.items()}


def work_age(log: t.Optional[LogEvents], now: float) -> Number:
    """Seconds since the last piece of work in the log; None also if it is from the future."""
    if log is None or log.stored_workbase is None or is_future(log.stored_workbase, now):
        return None
    return round(max(now - log.stored_workbase, 0.0), 1)


def is_future(when: Number, now: float) -> bool:
    """Whether a time is ahead of the clock, as after that was set back, so that an age cannot be determined."""
    return when is not None and when - now > FUTURE_SECONDS
