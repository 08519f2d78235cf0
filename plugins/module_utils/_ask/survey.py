# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a verdict on an instance needs, in one look. Nothing that a pool does raises an error here."""

from __future__ import annotations

import os
import time
import typing as t

from .. import _memory
from .._errors import PoolError
from .._host import process
from .._record import record
from .._sources.log.events import events
from .._sources.log.file import log_of
from .._state import BITCOIND_MODES, FRONT_MODES, workbases

if t.TYPE_CHECKING:
    from .._health import Thresholds
    from .._instance import Instance
    from .._observation import Observation
    from .._sources.registry import Sources
    from .._sources.source import Source
    from .._visit import Visit

LOG_WINDOW = 600.0  #: seconds within which an error in the log is recent
LOG_LIMIT = 16 * 1024 * 1024  #: bytes from the end of the log that may be read
_STRANDED_SECONDS = 2.0  #: of looks at connections that nobody reads


@record
class HealthOptions:
    """How to look for a verdict.

    :ivar thresholds: limits within which a pool counts as healthy; None for the defaults.
    :ivar sample_seconds: watch the counter of workbases for this long; 0 to leave that out.
    :ivar log_window: seconds within which an error in the log counts as recent.
    :ivar log_limit: bytes from the end of the log that may be read.
    :ivar skip: checks to leave out; without C(bitcoind) the generator is not asked for a block hash.
    """

    thresholds: t.Optional[Thresholds] = None
    sample_seconds: float = 0.0
    log_window: float = LOG_WINDOW
    log_limit: int = LOG_LIMIT
    skip: t.Sequence[str] = ()


def observe(visit: Visit, sources: Sources, options: HealthOptions) -> Observation:
    """Look at everything that a verdict needs. What could not be seen is among the problems, with the reason."""
    seen, instance = visit.seen, visit.instance
    left = _memory.left_rejecting(instance)
    seen.rejecting = left.by if left else None
    seen.hides_rejecting = _memory.is_hidden()
    visit.clients()
    _sample_work(visit, options.sample_seconds)
    if "bitcoind" not in options.skip and seen.mode in BITCOIND_MODES and seen.probes["generator"].answered:
        seen.best_block = visit.sockets.probe("generator", "getbest")
    _observe_stats(visit, sources)
    visit.look_at_the_clock()
    _observe_log(instance, seen, options)
    _observe_disk(instance, seen)
    if instance.pid is not None and instance.pid_state == "alive":
        _observe_process(visit, instance.pid)
    return seen


def _sample_work(visit: Visit, seconds: float) -> None:
    """Watch the counter of workbases for this long."""
    seen = visit.seen
    if seconds <= 0 or seen.counts is None:
        return
    seen.workbases_before = workbases(seen.counts, "generated")
    seen.sample_seconds = seconds
    time.sleep(seconds)
    visit.count_again()


def _observe_stats(visit: Visit, sources: Sources) -> None:
    seen = visit.seen

    def work(source: Source) -> None:
        seen.stats, seen.stats_as_of, _raw = source.stats()

    source, failures = sources.ask("stats", work)
    for failure in failures.values():
        if failure is not visit.uncounted:  # which is a problem of the stratifier, and known as that
            seen.problems.setdefault("stats", str(failure))
    if source:
        seen.stats_source = source.name
        seen.problems.update(source.problems)


def _observe_log(instance: Instance, seen: Observation, options: HealthOptions) -> None:
    log = log_of(instance)
    if log is None:
        seen.problems.setdefault("log", instance.problems.get("config", "log_dir is not known"))
        return
    try:
        seen.log = events(log, seen.now, options.log_window, options.log_limit, seen.mode in BITCOIND_MODES)
    except PoolError as exc:
        seen.problems["log"] = str(exc)
    else:
        seen.problems.update({"log": seen.log.problem} if seen.log.problem else {})


def _observe_disk(instance: Instance, seen: Observation) -> None:
    """The room on the disk of the log directory."""
    folder = instance.log_path()
    try:
        disk = os.statvfs(folder) if folder else None
    except OSError as exc:
        seen.problems["disk"] = f"{folder}: {exc.strerror}"
        return
    if disk is not None:
        seen.disk_free, seen.disk_total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def _observe_process(visit: Visit, pid: int) -> None:
    """The open files and the connections of the process."""
    from .._host import connections  # only a process that runs has them

    seen = visit.seen
    try:
        seen.open_files, seen.max_files = process.open_files(pid)
    except PoolError as exc:
        seen.problems["open_files"] = exc.with_hint
    try:
        sockets = visit.sockets
        found = connections.stranded(pid, sockets.count_clients, sockets.time_for(_STRANDED_SECONDS))
        queued = connections.queued(pid, sockets.time_for(_STRANDED_SECONDS))
        seen.stranded = (found[0] if found else 0) + queued if found or queued else None
    except PoolError as exc:
        seen.problems["stranded"] = exc.with_hint
    if seen.mode in FRONT_MODES:
        _observe_upstream(visit, pid)


def _observe_upstream(visit: Visit, pid: int) -> None:
    """The connections of a front to the pool that it works for."""
    from .._host import connections, silence

    seen, config = visit.seen, visit.instance.config
    if config is not None and not config.get("proxy"):  # if it cannot be read, it was there at the start
        seen.problems["upstream"] = "its configuration, as far as it is known, names no upstream"
        return
    try:
        opened = connections.outgoing(pid)
    except PoolError as exc:
        seen.problems["upstream"] = exc.with_hint
        return
    seen.upstream, seen.upstream_silence = len(opened), silence.seconds_of_silence(pid, opened)
