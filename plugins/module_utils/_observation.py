# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one visit to an instance saw of it, before anybody judges it. Times are epoch seconds."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ._records import Json, Number, PoolStats


@dataclasses.dataclass
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


@dataclasses.dataclass
class LogEvents:
    """What the end of the log says. Times are epoch seconds of the last such line, None if none was in reach."""

    path: str
    last_line: t.Optional[float] = None
    stored_workbase: t.Optional[float] = None
    bitcoind_down: t.Optional[float] = None
    bitcoind_connected: t.Optional[float] = None
    failed_over: t.Optional[float] = None
    failed_over_to: str = ""
    network_difficulty: Number = None
    fatal: t.Optional[float] = None
    fatal_line: str = ""
    errors: t.Dict[str, int] = dataclasses.field(default_factory=dict)
    error_line: str = ""
    error_time: float = 0.0
    last_lines: t.List[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Observation:
    """Everything that a verdict on one instance needs, gathered in one visit."""

    now: float
    mode: str
    pid: t.Optional[int] = None
    pid_state: str = "absent"
    process_age: t.Optional[float] = None
    leftovers: t.List[str] = dataclasses.field(default_factory=list)
    probes: t.Dict[str, Probe] = dataclasses.field(default_factory=dict)
    counts: t.Optional[Json] = None
    workbases_before: t.Optional[int] = None
    sample_seconds: float = 0.0
    clients: t.Optional[int] = None
    best_block: t.Optional[Probe] = None
    update_interval: t.Optional[float] = None
    stats: t.Optional[PoolStats] = None
    stats_source: str = ""
    stats_as_of: t.Optional[int] = None
    knows_files: bool = True
    log: t.Optional[LogEvents] = None
    open_files: t.Optional[int] = None
    max_files: t.Optional[int] = None
    disk_free: t.Optional[int] = None
    disk_total: t.Optional[int] = None
    #: area (stats, log, config, disk, ...) to what could not be learned there, and why
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)


def work_age(log: t.Optional[LogEvents], now: float) -> Number:
    """Seconds since the last piece of work that the log tells of."""
    if log is None or log.stored_workbase is None:
        return None
    return round(max(now - log.stored_workbase, 0.0), 1)
