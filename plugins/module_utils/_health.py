# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From records to a verdict: pure functions, no input or output.

A check is C(ok), C(warn), C(critical), or C(skipped) with the reason why it could not be made.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ._observation import Observation, Probe
from ._records import Json, Number
from ._state import COUNTING_MODES, WORKING_MODES, reached_state, workbases
from ._units import human_hashrate

OK, WARN, CRITICAL, SKIPPED = "ok", "warn", "critical", "skipped"
_STATUSES = (OK, WARN, CRITICAL)
#: how bad a state is, the best first; also the order in which several instances are summed up
STATES = ("ok", "starting", "degraded", "unknown", "hung", "down")
_MIN_SHARES = 100.0  #: shares of difficulty 1 under which a ratio says nothing
_UNREAD = "is log_dir right, and may we read it? does its disk have room?"
_MINERS_LEFT = "did miners leave? see the Dropped client lines, and the network before the pool"


@dataclasses.dataclass
class Thresholds:
    """What still counts as well. Times are seconds, ratios percent; None means: do not ask for it."""

    latency_warning: float = 1.0
    start_grace: float = 120.0
    work_age_warning: Number = None
    work_age_critical: Number = None
    statistics_age_warning: float = 150.0
    statistics_age_critical: float = 600.0
    hashrate_min: Number = None
    hashrate_drop_warning: float = 50.0
    hashrate_drop_critical: float = 90.0
    users_min: Number = None
    workers_min: Number = None
    reject_ratio_warning: float = 5.0
    reject_ratio_critical: float = 25.0
    open_files_warning: float = 80.0
    open_files_critical: float = 95.0
    open_files_spare: int = 500
    disk_free_warning: float = 10.0
    disk_free_critical: float = 3.0
    log_errors_critical: int = 100


@dataclasses.dataclass
class Check:
    """One question that was put to an observation, and its answer.

    :ivar observed: the value that was judged, in base units.
    :ivar expected: what would have been well, as text.
    :ivar reason: a stable code; C(ok) when well.
    :ivar summary: what was seen, for a person.
    """

    name: str
    status: str = OK
    observed: t.Any = None
    expected: str = ""
    reason: str = OK
    hint: str = ""
    summary: str = ""

    def as_dict(self) -> Json:
        """The check under the names of the modules' results."""
        return dict(self.__dict__)


@dataclasses.dataclass
class Verdict:
    """The state of one instance, and the checks that it rests on."""

    state: str
    checks: t.List[Check]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.state == "ok"

    @property
    def status(self) -> str:
        """The worst status of any check. A pool that cannot be asked is critical, whatever checks were left out."""
        if self.state in ("down", "hung", "unknown"):
            return CRITICAL
        statuses = {check.status for check in self.checks}
        return next((status for status in (CRITICAL, WARN) if status in statuses), OK)

    @property
    def wrong(self) -> t.List[str]:
        """What is wrong, for a person, the worst first."""
        return [c.summary for status in (CRITICAL, WARN) for c in self.checks if c.status == status]

    def as_dict(self) -> Json:
        """The verdict under the names of the modules' results."""
        return {
            "state": self.state,
            "ok": self.ok,
            "status": self.status,
            "wrong": self.wrong,
            "checks": [check.as_dict() for check in self.checks],
        }


def judge(seen: Observation, limits: t.Optional[Thresholds] = None, skip: t.Container[str] = ()) -> Verdict:
    """The verdict on one instance.

    :arg skip: names of checks to leave out.
    """
    limits = limits or Thresholds()
    state = reached_state(seen)
    checks = [make(seen, limits, state) for name, make in CHECKS.items() if name not in skip]
    verdict = Verdict(state, checks)
    if state == "ok" and verdict.status != OK:
        verdict.state = "degraded"
    return verdict


def _process(seen: Observation, limits: Thresholds, state: str) -> Check:
    check = Check("process", OK, seen.pid, "the process that main.pid names is this daemon's", summary="it runs")
    if seen.pid_state == "alive":
        return check
    check.status = CRITICAL
    check.reason, check.summary, check.hint = {
        "dead": ("pid_dead", f"pid {seen.pid} is gone", "it crashed or was killed: see the end of its log, and dmesg"),
        "another": ("pid_is_another", f"pid {seen.pid} is another program", "main.pid is left over: do not kill it"),
        "hidden": ("pid_hidden", f"may not look at pid {seen.pid}", "use become: true"),
    }.get(seen.pid_state, ("no_process", "no process", "start it; systemctl status and its log say why not"))
    if any(probe.answered for probe in seen.probes.values()):
        # Something answers: main.pid is missing or wrong, which only shutting down by pid would notice.
        check.status = WARN
    return check


def _socket(name: str) -> t.Callable[[Observation, Thresholds, str], Check]:
    def check(seen: Observation, limits: Thresholds, state: str) -> Check:
        probe = seen.probes.get(name)
        made = Check(f"socket_{name}", expected=f"an answer within {limits.latency_warning:g} s")
        if probe is None:
            made.status, made.reason, made.summary = SKIPPED, "not_asked", f"{name} was not asked"
            return made
        made.observed = round(probe.seconds, 4)
        if probe.answered:
            made.summary = f"{name} answers in {probe.seconds * 1000:.1f} ms"
            if probe.seconds > limits.latency_warning:
                made.status, made.reason = WARN, "slow"
                made.hint = "the host or the daemon is overloaded, or another client keeps it busy"
            return made
        return _unanswered(made, probe, seen, state)

    return check


def _unanswered(made: Check, probe: Probe, seen: Observation, state: str) -> Check:
    made.status, made.reason, made.hint = CRITICAL, probe.outcome, probe.hint
    made.summary = f"{probe.socket}: {probe.outcome.replace('_', ' ')}"
    if state == "starting":
        made.status = WARN
    elif probe.socket == "listener" and any(other.answered for other in seen.probes.values()):
        made.reason = "listener_dead"
        made.summary = f"listener dead ({probe.outcome.replace('_', ' ')}) while the rest lives"
        made.hint = "it mines on, but cannot be controlled: restart it in a maintenance window"
    return made


def _ready(seen: Observation, limits: Thresholds, state: str) -> Check:
    check = Check("ready", OK, state, "stratifier answers and has work", summary="ready")
    if state in ("down", "hung", "unknown"):
        check.status, check.reason = CRITICAL, state
        check.summary, check.hint = {
            "down": ("nothing listens", "start it"),
            "hung": ("accepts and does not answer", "stopped, stuck, or without its bitcoind: see its log"),
            "unknown": (
                "its sockets may not be used, or are not to be seen",
                "use become: true, or join their group; a unit with PrivateTmp shows them to root only",
            ),
        }[state]
    elif state == "degraded":
        check.status, check.reason, check.summary = CRITICAL, "not_ready", "the stratifier is gone"
        check.hint = "the other processes answer: see the log, and restart it"
    elif state == "starting":
        age = seen.process_age or 0.0
        late = age > limits.start_grace
        check.status, check.reason = (CRITICAL, "starting_too_long") if late else (WARN, "starting")
        check.summary = f"no work yet, {age:.0f} s after its start"
        check.hint = "it waits for its bitcoind: is that reachable and in sync?"
    return check


def _leftovers(seen: Observation, limits: Thresholds, state: str) -> Check:
    check = Check("leftovers", OK, seen.leftovers, "no main.pid or sockets without a process", summary="no leftovers")
    if seen.leftovers:
        check.status, check.reason = WARN, "stale"
        check.summary = "left over: " + ", ".join(seen.leftovers)
        crashed = "main.pid" in seen.leftovers
        check.hint = (
            "main.pid is only left by a crash or a kill: find out which before starting"
            if crashed
            else "what a clean shutdown leaves; the next start replaces them"
        )
    return check


def _work_age(seen: Observation, limits: Thresholds, state: str) -> Check:
    interval = seen.update_interval or 30.0
    warning = 3 * interval + 5 if limits.work_age_warning is None else limits.work_age_warning
    critical = max(10 * interval + 5, warning) if limits.work_age_critical is None else limits.work_age_critical
    if seen.mode not in WORKING_MODES:
        return _skipped("work_age", "mode", f"in {seen.mode} mode work comes from upstream")
    if seen.log is None:
        return _skipped("work_age", "no_log", seen.problems.get("log", "no log"))
    if seen.log.stored_workbase is None:
        return _skipped("work_age", "not_logged", "no piece of work in the log's end; is the log level below 5?")
    age = max(seen.now - seen.log.stored_workbase, 0.0)
    if seen.process_age is not None and age > seen.process_age + 1:
        return Check(
            "work_age", WARN if state == "starting" else CRITICAL, round(age, 1), "work made in this run", "no_work_in_this_run",
            "it waits for its bitcoind, or its log level hides the work", "no work since its start",
        )  # fmt: skip
    return _at_most(
        "work_age", round(age, 1), warning, critical, f"work is {age:.0f} s old", "stale_work",
        "is bitcoind reachable, in sync, and answering getblocktemplate?", "s",
    )  # fmt: skip


def _work_moves(seen: Observation, limits: Thresholds, state: str) -> Check:
    now = workbases(seen.counts, "generated")
    if now is None or seen.workbases_before is None:
        return _skipped("work_moves", "not_sampled", "set sample_seconds to watch the counter of workbases")
    made = now - seen.workbases_before
    check = Check("work_moves", OK, made, f"at least one workbase in {seen.sample_seconds:g} s")
    check.summary = f"{made} workbases in {seen.sample_seconds:g} s"
    if made <= 0:
        check.status, check.reason = CRITICAL, "stale_work"
        check.hint = "is bitcoind reachable? is sample_seconds longer than update_interval?"
    return check


def _bitcoind(seen: Observation, limits: Thresholds, state: str) -> Check:
    if seen.mode not in WORKING_MODES:
        return _skipped("bitcoind", "mode", f"in {seen.mode} mode there is none")
    check = Check("bitcoind", OK, None, "the generator gets a block hash from its first bitcoind", summary="answers")
    best = seen.best_block
    log = seen.log
    if log and _after(log.bitcoind_down, log.bitcoind_connected, log.failed_over) and not (best and _is_hash(best)):
        check.status, check.reason, check.summary = CRITICAL, "bitcoind_down", "no bitcoind answers"
        check.hint = "start bitcoind, or look at url, auth and pass of btcd in the configuration"
    elif best is None:
        generator = seen.probes.get("generator")
        if state in ("down", "unknown") or generator is None:
            return _skipped("bitcoind", state, "the generator could not be asked")
        check.status = WARN if state == "starting" else CRITICAL
        check.reason, check.summary = "generator_silent", "the generator does not answer"
        check.hint = "it waits for bitcoind: is that running and in sync?"
    elif not best.answered or best.reply == "failed":
        check.status, check.reason = CRITICAL, "bitcoind_failed"
        check.summary, check.hint = "bitcoind gives no block hash", "look at bitcoind's debug.log"
    elif log and _after(log.failed_over, log.bitcoind_connected):
        check.status, check.reason, check.observed = WARN, "failed_over", log.failed_over_to
        check.summary = f"failed over to {log.failed_over_to}"
        check.hint = "the first bitcoind of the configuration does not answer"
    if check.observed is None and best is not None:
        check.observed = best.reply[:64] or best.outcome
    return check


def _is_hash(best: Probe) -> bool:
    return best.answered and best.reply != "failed"


def _after(event: Number, *others: Number) -> bool:
    """Whether an event was seen, and none of the others since."""
    return event is not None and all(other is None or other < event for other in others)


def _statistics(seen: Observation, limits: Thresholds, state: str) -> Check:
    if seen.mode not in COUNTING_MODES:
        return _skipped("statistics", "mode", f"{seen.mode} mode writes none")
    if state in ("down", "starting", "unknown"):
        return _skipped("statistics", state, seen.problems.get("stats", f"it is {state}"))
    if seen.stats_as_of is None:
        why = seen.problems.get("stats", "there are none")
        if (seen.process_age or 0.0) <= limits.statistics_age_warning:
            return _skipped("statistics", "no_statistics", why)
        return Check("statistics", WARN, None, "statistics", "no_statistics", _UNREAD, f"no statistics: {why}")
    age = max(seen.now - seen.stats_as_of, 0.0)
    return _at_most(
        "statistics", round(age, 1), limits.statistics_age_warning, limits.statistics_age_critical,
        f"statistics are {age:.0f} s old", "stale_statistics",
        "the statistics thread is stuck, or the log directory cannot be written", "s",
    )  # fmt: skip


def _hashrate_drop(seen: Observation, limits: Thresholds, state: str) -> Check:
    stats = seen.stats
    if stats is None or stats.hashrate5m is None or stats.hashrate1hr is None:
        return _skipped("hashrate_drop", "no_statistics", "the hashrates are not known")
    if stats.hashrate1hr <= 0:
        return _skipped("hashrate_drop", "no_hashrate", "no hashrate in the last hour")
    drop = round(max(100.0 * (1 - stats.hashrate5m / stats.hashrate1hr), 0.0), 1)
    now, hour = human_hashrate(stats.hashrate5m), human_hashrate(stats.hashrate1hr)
    return _at_most(
        "hashrate_drop", drop, limits.hashrate_drop_warning, limits.hashrate_drop_critical,
        f"{now} over 5 min, {drop:g} % under the hour's {hour}", "hashrate_drop", _MINERS_LEFT, "%",
    )  # fmt: skip


def _rejects(seen: Observation, limits: Thresholds, state: str) -> Check:
    stats = seen.stats
    if stats is None or stats.accepted is None or stats.rejected is None:
        return _skipped("reject_ratio", "no_statistics", "shares are not known")
    total = stats.accepted + stats.rejected
    if total < _MIN_SHARES:
        return _skipped("reject_ratio", "few_shares", f"{total:g} shares are too few to tell")
    ratio = round(100.0 * stats.rejected / total, 2)
    return _at_most(
        "reject_ratio", ratio, limits.reject_ratio_warning, limits.reject_ratio_critical,
        f"{ratio:g} % of shares rejected", "rejects", "stale work, a slow network, or miners that fail", "%",
    )  # fmt: skip


def _open_files(seen: Observation, limits: Thresholds, state: str) -> Check:
    if seen.open_files is None:
        return _skipped("open_files", "not_known", seen.problems.get("open_files", "no process"))
    most = seen.max_files or 0
    used = round(100.0 * seen.open_files / most, 1) if most else 0.0
    check = _at_most(
        "open_files", used, limits.open_files_warning, limits.open_files_critical,
        f"{seen.open_files} of {most or 'unlimited'} files open", "many_open_files",
        "raise LimitNOFILE of the unit: new miners are refused at the limit", "%",
    )  # fmt: skip
    beyond = seen.open_files - (seen.clients or 0)
    if check.status == OK and seen.clients is not None and beyond > limits.open_files_spare:
        check.status, check.reason = WARN, "leaking_files"
        check.summary = f"{seen.open_files} files open for {seen.clients} clients"
        check.hint = "something sends messages that the daemon never answers, such as JSON to the listener"
    check.observed = seen.open_files
    return check


def _disk(seen: Observation, limits: Thresholds, state: str) -> Check:
    if seen.disk_free is None or not seen.disk_total:
        return _skipped("disk", "not_known", seen.problems.get("disk", "the log directory is not known"))
    free = round(100.0 * seen.disk_free / seen.disk_total, 1)
    check = Check("disk", OK, free, f"over {limits.disk_free_warning:g} % free", summary=f"{free:g} % of disk free")
    if free < limits.disk_free_warning:
        check.status = CRITICAL if free < limits.disk_free_critical else WARN
        check.reason = "disk_full"
        check.hint = "rotate the log, and remove old share logs: without room statistics are lost"
    return check


def _threads(seen: Observation, limits: Thresholds, state: str) -> Check:
    """A thread that ended leaves a daemon that answers on all its sockets, and serves no miner."""
    log = seen.log
    if log is None:
        return _skipped("threads", "no_log", seen.problems.get("log", "no log"))
    if log.fatal is None or (seen.process_age is not None and seen.now - log.fatal > seen.process_age + 1):
        return Check("threads", OK, None, "no thread has ended in this run", summary="no thread has ended")
    hint = "it may answer and yet serve no miner: restart it, and see whether it was stopped or ran out of something"
    return Check("threads", CRITICAL, log.fatal_line, "no thread has ended in this run", "thread_ended", hint,
                 "a thread of it has ended")  # fmt: skip


def _log_errors(seen: Observation, limits: Thresholds, state: str) -> Check:
    log = seen.log
    if log is None:
        return _skipped("log_errors", "no_log", seen.problems.get("log", "no log"))
    count = sum(log.errors.values())
    # How a lost bitcoind fills the log is for the check of bitcoind to judge; here it only stays visible for a while.
    grave = count - log.errors.get("no_bitcoind", 0)
    check = Check("log_errors", OK, dict(log.errors), "no recent errors", summary="no recent errors in the log")
    if count:
        check.status = CRITICAL if grave >= limits.log_errors_critical else WARN
        check.reason = max(log.errors, key=lambda reason: log.errors[reason])
        check.summary = f"{count} recent errors in the log"
        check.hint = f"the last: {log.error_line}"
    return check


def _skipped(name: str, reason: str, why: str) -> Check:
    return Check(name, SKIPPED, None, "", reason, "", why)


def _at_most(
    name: str, observed: float, warning: float, critical: float, summary: str, reason: str, hint: str, unit: str
) -> Check:
    """A check of a value that should stay under two bounds."""
    check = Check(name, OK, observed, f"at most {warning:g} {unit}", summary=summary)
    if observed > min(warning, critical):
        check.status = CRITICAL if observed > critical else WARN
        check.reason, check.hint = reason, hint
    return check


def _at_least(
    name: str,
    field: str,
    bound: str,
    reason: str,
    text: t.Callable[[float], str],
) -> t.Callable[[Observation, Thresholds, str], Check]:
    """A check of a statistic that should reach a minimum, if one is set and this pool has statistics at all."""

    def check(seen: Observation, limits: Thresholds, state: str) -> Check:
        least: Number = getattr(limits, bound)
        observed: Number = getattr(seen.stats, field) if seen.stats else None
        if least is None:
            return _skipped(name, "no_minimum", f"no minimum of {name} is set")
        if observed is None and (state != "ok" or seen.mode not in COUNTING_MODES):
            return _skipped(name, "no_statistics", f"{name}: not known")
        made = Check(name, OK, observed, f"at least {text(least)}")
        if observed is None:
            made.status, made.reason, made.summary = WARN, "no_statistics", f"{name}: not known"
            made.hint = _UNREAD
        else:
            made.summary = f"{name} {text(observed)}"
            if observed < least:
                made.status, made.reason, made.hint = CRITICAL, reason, _MINERS_LEFT
        return made

    return check


def _plain(value: float) -> str:
    return f"{value:g}"


_Maker = t.Callable[[Observation, Thresholds, str], Check]
#: every check, in the order in which they are shown: causes before what follows from them
CHECKS: t.Dict[str, _Maker] = {
    "process": _process,
    "ready": _ready,
    "threads": _threads,
    "bitcoind": _bitcoind,
    "work_age": _work_age,
    "work_moves": _work_moves,
    "statistics": _statistics,
    "socket_listener": _socket("listener"),
    "socket_stratifier": _socket("stratifier"),
    "socket_connector": _socket("connector"),
    "socket_generator": _socket("generator"),
    "hashrate": _at_least("hashrate", "hashrate5m", "hashrate_min", "low_hashrate", human_hashrate),
    "hashrate_drop": _hashrate_drop,
    "users": _at_least("users", "users", "users_min", "few_users", _plain),
    "workers": _at_least("workers", "workers", "workers_min", "few_workers", _plain),
    "reject_ratio": _rejects,
    "open_files": _open_files,
    "disk": _disk,
    "log_errors": _log_errors,
    "leftovers": _leftovers,
}


def worst(verdicts: t.Sequence[Verdict]) -> int:
    """Which of several instances is the sickest: its index."""
    rank = [(_STATUSES.index(verdict.status), STATES.index(verdict.state)) for verdict in verdicts]
    return rank.index(max(rank))
