# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an observation to a verdict. Pure functions.

A check is C(ok), C(warning), C(critical), or C(skipped) with the reason why it could not be made.
"""

from __future__ import annotations

import typing as t

from ._messages import is_answer
from ._observation import LogEvents, Observation, Probe, is_future
from ._record import record
from ._state import BITCOIND_MODES, COUNTING_MODES, FRONT_MODES, reached_state, workbases
from ._units import human_hashrate

if t.TYPE_CHECKING:
    from ._types import Json, Number

OK, WARNING, CRITICAL, SKIPPED = "ok", "warning", "critical", "skipped"
STATUSES = (OK, WARNING, CRITICAL)
#: the statuses that fail, by the value of an option such as fail_on
FAIL_ON = {"critical": (CRITICAL,), "warning": (WARNING, CRITICAL), "never": ()}
#: states, from the best to the worst
STATES = ("ok", "starting", "degraded", "unknown", "hung", "down")
_MIN_SHARES = 100.0  #: number of shares below which a ratio means nothing
_HIGH_DIFFICULTY = 10_000.0  #: with which builds of 2026 start miners; variable difficulty then mostly lowers it
_MIN_HIGH_SHARES = 20.0  #: the same for shares of that difficulty: most pools have far more shares than this estimate
_UPSTREAM_SECONDS = 300.0  #: ten times the interval at which pools send work
_WINDOW_SECONDS = 300.0  #: of the window of hashrate5m
_WHO_ANSWERS = "no ckpool says that: find out who does, with ss -xlp"
_NO_SHARES = "do miners get work, and are their shares accepted? see the log, and one user's figures"
_WHY_NOT = "systemctl status and its log say why not"
_UNREAD = "is log_dir right, and may we read it? does its disk have room?"
_MINERS_LEFT = "did miners leave? see the Dropped client lines, and the network before the pool"


@record
class Thresholds:
    """Limits within which a pool counts as healthy. Times are seconds, ratios percent; None is no limit."""

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


@record
class Check:
    """The result of one check of an observation.

    :ivar observed: the value that was checked, in base units.
    :ivar expected: what a healthy pool would have, as text.
    :ivar reason: a stable code; C(ok) if healthy.
    :ivar summary: what was observed, for a person.
    """

    name: str
    status: str = OK
    observed: t.Any = None
    expected: str = ""
    reason: str = OK
    hint: str = ""
    summary: str = ""

    def as_dict(self) -> Json:
        """The check, with the keys of the modules' results."""
        return dict(self.__dict__)


@record
class Verdict:
    """The state of one instance, and the checks that it rests on."""

    state: str
    checks: t.List[Check]

    @property
    def ok(self) -> bool:
        """Whether the pool is healthy."""
        return self.state == "ok"

    @property
    def status(self) -> str:
        """The worst status of any check. A pool that cannot be asked is critical, even if checks were left out."""
        if self.state in ("down", "hung", "unknown"):
            return CRITICAL
        statuses = {check.status for check in self.checks}
        return next((status for status in (CRITICAL, WARNING) if status in statuses), OK)

    @property
    def wrong(self) -> t.List[str]:
        """What is wrong, for a person, the worst first."""
        return [c.summary for status in (CRITICAL, WARNING) for c in self.checks if c.status == status]

    def as_dict(self) -> Json:
        """The verdict, with the keys of the modules' results."""
        return {
            "state": self.state,
            "ok": self.ok,
            "status": self.status,
            "wrong": self.wrong,
            "checks": [check.as_dict() for check in self.checks],
        }


def fails(status: str, state: str, fail_on: str) -> bool:
    """Whether an instance with such a verdict fails.

    :arg fail_on: a key of L(FAIL_ON).
    """
    failing = FAIL_ON[fail_on]
    return status in failing or (WARNING in failing and state != OK)


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
        if "socket_dir" in seen.problems:
            check.status, check.reason, check.summary = CRITICAL, "displaced", seen.problems["socket_dir"]
            check.hint = "find out who made it: ls -la; give the daemon a directory that nobody else can write to"
        elif "pid" in seen.problems:
            check.status, check.reason, check.summary = (
                WARNING,
                "pid_file_wrong",
                f"it runs, and {seen.problems['pid']}",
            )
            check.hint = (
                "a second one could be started beside it: write its pid there, or restart it in a maintenance window"
            )
        elif "pid_file" in seen.problems:
            check.status, check.reason, check.hint = WARNING, "pid_file_hidden", "use become: true"
            check.summary = f"it runs, and whether main.pid names it is not known: {seen.problems['pid_file']}"
        return check if check.status == CRITICAL else _unlisted(seen) or check
    check.status = CRITICAL
    check.reason, check.summary, check.hint = {
        "dead": ("pid_dead", f"pid {seen.pid} is gone", "it crashed or was killed: see the end of its log, and dmesg"),
        "another": ("pid_is_another", f"pid {seen.pid} is another program", "main.pid is left over: do not kill it"),
        "hidden": ("pid_hidden", f"may not look at pid {seen.pid}", "use become: true"),
    }.get(seen.pid_state, ("no_process", "no process", f"start it; {seen.problems.get('remembered', _WHY_NOT)}"))
    if any(probe.answered for probe in seen.probes.values()):
        # Something answers: main.pid is missing or wrong, which only shutting down by pid would notice.
        check.status = WARNING
    return check


def _unlisted(seen: Observation) -> t.Optional[Check]:
    """What is said, with the last one that was asked, of those that were not: any of them may be a pool that is down."""
    why = seen.problems.get("unlisted")
    if why is None:
        return None
    hint = "who starts so many? ps -C ckpool -o user,pid,args; name a pool by pid to ask it alone"
    return Check("process", CRITICAL, seen.pid, "every pool is asked", "unlisted", hint, f"it runs, and {why}")


def _socket(name: str) -> t.Callable[[Observation, Thresholds, str], Check]:
    def check(seen: Observation, limits: Thresholds, state: str) -> Check:
        probe = seen.probes.get(name)
        made = Check(f"socket_{name}", expected=f"an answer within {limits.latency_warning:g} s")
        if probe is None:
            made.status, made.reason, made.summary = SKIPPED, "not_asked", f"{name} was not asked"
            return made
        made.observed = round(probe.seconds, 4)
        if name in seen.garbage:
            made.status, made.reason, made.hint = CRITICAL, "garbage", _WHO_ANSWERS
            made.summary = f"{name} answers nonsense: {seen.garbage[name]}"
            return made
        if probe.answered:
            made.summary = f"{name} answers in {probe.seconds * 1000:.1f} ms"
            if probe.seconds > limits.latency_warning:
                made.status, made.reason = WARNING, "slow"
                made.hint = "the host or the daemon is overloaded, or another client keeps it busy"
            return made
        return _unanswered(made, probe, seen, state)

    return check


def _unanswered(made: Check, probe: Probe, seen: Observation, state: str) -> Check:
    made.status, made.reason, made.hint = CRITICAL, probe.outcome, probe.hint
    made.summary = f"{probe.socket}: {probe.outcome.replace('_', ' ')}"
    if probe.outcome in ("garbage", "another_peer"):
        made.summary += f": {probe.detail}"
    elif state == "starting":
        made.status = WARNING
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
                "its sockets cannot be used or seen, or something else answers on them",
                _why_unknown(seen),
            ),
        }[state]
    elif state == "degraded" and not _answers(seen, "stratifier"):
        check.status, check.reason, check.summary = CRITICAL, "not_ready", "the stratifier is gone"
        check.hint = "the other processes answer: see the log, and restart it"
    elif state == "starting":
        age = seen.process_age or 0.0
        late = age > limits.start_grace
        check.status, check.reason = (CRITICAL, "starting_too_long") if late else (WARNING, "starting")
        check.summary = f"no work yet, {age:.0f} s after its start"
        check.hint = "it waits for its bitcoind: is that reachable and in sync?"
    return check


def _why_unknown(seen: Observation) -> str:
    outcomes = {probe.outcome for probe in seen.probes.values()}
    if "not_looked_into" in outcomes:
        return seen.problems.get("root", "name it by pid")
    if outcomes & {"another_peer", "garbage"}:
        return _WHO_ANSWERS
    return "use become: true, or join their group; a unit with PrivateTmp shows them to root only"


def _accepting(seen: Observation, limits: Thresholds, state: str) -> Check:
    """Whether miners are accepted, as far as is remembered: no reply of the daemon tells it."""
    check = Check("accepting", OK, None, "not told to reject miners", summary="it was not told to reject miners")
    if seen.rejecting:
        check.status, check.reason, check.observed = WARNING, "rejecting", seen.rejecting
        check.summary = f"it was told to reject miners, by {seen.rejecting}"
        check.hint = "ckpool_clients with state: accepting lets them in"
    elif seen.hides_rejecting:
        return _skipped("accepting", "not_permitted", "only root knows whether it was told to reject miners")
    return check


def _answers(seen: Observation, name: str) -> bool:
    probe = seen.probes.get(name)
    return probe is None or probe.answered


def _leftovers(seen: Observation, limits: Thresholds, state: str) -> Check:
    check = Check("leftovers", OK, seen.leftovers, "no main.pid or sockets without a process", summary="no leftovers")
    if seen.leftovers:
        check.status, check.reason = WARNING, "stale"
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
    if seen.mode not in BITCOIND_MODES:
        return _skipped("work_age", "mode", f"in {seen.mode} mode work comes from upstream")
    if seen.log is None:
        return _skipped("work_age", "no_log", seen.problems.get("log", "no log"))
    if seen.log.stored_workbase is None:
        return _skipped("work_age", "not_logged", "no piece of work in the log's end; is the log level below 5?")
    if is_future(seen.log.stored_workbase, seen.now):
        return _from_the_future("work_age", seen.log.stored_workbase - seen.now, "the last piece of work is")
    age = max(seen.now - seen.log.stored_workbase, 0.0)
    if seen.process_age is not None and age > seen.process_age + 1:
        return Check(
            "work_age", WARNING if state == "starting" else CRITICAL, round(age, 1), "work made in this run", "no_work_in_this_run",
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
    if seen.mode not in BITCOIND_MODES:
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
        check.status = WARNING if state == "starting" else CRITICAL
        check.reason, check.summary = "generator_silent", "the generator does not answer"
        check.hint = "it may wait for bitcoind: is that running and in sync?"
    elif best.outcome == "garbage" or (best.answered and not is_answer("getbest", best.reply)):
        check.status, check.reason, check.hint = CRITICAL, "garbage", _WHO_ANSWERS
        check.summary = f"the generator answers nonsense: {best.detail or best.reply[:60]!r}"
    elif not best.answered or best.reply.lower() == "failed":
        check.status, check.reason = CRITICAL, "bitcoind_failed"
        check.summary, check.hint = "bitcoind gives no block hash", "look at bitcoind's debug.log"
    elif log and (spare := _spare(log, seen.bitcoinds)):
        check.status, check.reason, check.observed = WARNING, "failed_over", spare
        check.summary = f"failed over to {spare}"
        check.hint = "the first bitcoind of the configuration does not answer"
    if check.observed is None and best is not None:
        check.observed = best.reply[:64] or best.outcome
    return check


def _spare(log: LogEvents, bitcoinds: t.Sequence[str]) -> str:
    """The bitcoind that it works with, if that is not the first one; empty if it is.

    The daemon also writes "failed over" when it comes back to the first, and "connected" if it starts with another one. Only
    where the configuration does not tell which is the first, the word decides.
    """
    has_failed_over = _after(log.failed_over, log.bitcoind_connected)
    used = log.failed_over_to if has_failed_over else log.connected_to
    is_spare = used != bitcoinds[0] if used in bitcoinds else has_failed_over
    return used if is_spare else ""


def _is_hash(best: Probe) -> bool:
    return best.answered and best.reply.lower() != "failed" and is_answer("getbest", best.reply)


def _after(event: Number, *others: Number) -> bool:
    """Whether an event was seen, and none of the others after it."""
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
        return Check("statistics", WARNING, None, "statistics", "no_statistics", _UNREAD, f"no statistics: {why}")
    if is_future(seen.stats_as_of, seen.now):
        return _from_the_future("statistics", seen.stats_as_of - seen.now, "the statistics are")
    age = max(seen.now - seen.stats_as_of, 0.0)
    return _at_most(
        "statistics", round(age, 1), limits.statistics_age_warning, limits.statistics_age_critical,
        f"statistics are {age:.0f} s old", "stale_statistics",
        "the statistics thread is stuck, or the log directory cannot be written", "s",
    )  # fmt: skip


def _figures(seen: Observation, limits: Thresholds, state: str) -> Check:
    """Whether the statistics can be those of a working pool, and are complete."""
    stats = seen.stats
    if seen.mode not in COUNTING_MODES:
        return _skipped("figures", "mode", f"{seen.mode} mode writes none")
    if stats is None:
        return _skipped("figures", "no_statistics", seen.problems.get("stats", "there are none"))
    check = Check("figures", OK, None, "hashrates that fit the miners", summary="the figures fit together")
    shown = [rate for rate in (stats.hashrate1m, stats.hashrate5m) if rate is not None]
    age = seen.process_age if stats.uptime is None else stats.uptime
    if stats.workers is None and not shown:
        check.status, check.reason = WARNING, "no_figures"
        check.summary, check.hint = "the statistics hold no figures", _UNREAD
    elif stats.workers and not any(shown) and (age or 0.0) > _WINDOW_SECONDS:
        check.status, check.reason, check.observed = WARNING, "no_hashrate", stats.workers
        check.summary, check.hint = f"{stats.workers} workers and no hashrate for 5 min", _NO_SHARES
    elif stats.workers == 0 and any(shown):
        check.status, check.reason, check.observed = WARNING, "left_over_hashrate", max(shown)
        check.summary = f"no workers, and {human_hashrate(max(shown))} left over from those who were there"
        check.hint = _MINERS_LEFT
    elif stats.workers and stats.idle is not None and stats.idle >= stats.workers:
        check.status, check.reason, check.observed = WARNING, "all_idle", stats.idle
        check.summary, check.hint = f"all {stats.workers} workers are idle", _NO_SHARES
    return check


def _upstream(seen: Observation, limits: Thresholds, state: str) -> Check:
    """Whether a pool in front of another one is connected to it."""
    if seen.mode not in FRONT_MODES:
        return _skipped("upstream", "mode", f"in {seen.mode} mode there is none")
    if seen.upstream is None:
        return _skipped("upstream", "not_known", seen.problems.get("upstream", "its connections cannot be seen"))
    check = Check("upstream", OK, seen.upstream, "a connection to its upstream", summary="its upstream is connected")
    if seen.upstream == 0:
        check.status, check.reason = WARNING, "upstream_silent"
        check.summary, check.hint = "no connection to its upstream", "does the pool that it works for run? see its log"
    elif (seen.upstream_silence or 0) > _UPSTREAM_SECONDS and (seen.clients or seen.mode == "proxy"):
        # New work comes every 30 s or so: to a proxy always, to others for each of their miners.
        check.status, check.reason = WARNING, "upstream_silent"
        check.summary = f"nothing has come from its upstream for {seen.upstream_silence:.0f} s"
        check.hint = "does the pool that it works for hang? check its health"
    return check


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
    """The percentage of rejected shares, if there are enough shares.

    C(accepted) and C(rejected) are sums of difficulty: two rejected shares of difficulty 10000 weigh as much as 20000 of
    difficulty 1, and mean nothing. So the number of shares has to be large enough. Builds that count shares are judged by
    these counts. For others the number is estimated, as the sum divided by the mean difficulty of a share
    (L(PoolStats.share_difficulty)); this is the mean of accepted shares, and rejected ones come from the same miners. If a
    build does not give it, or nothing was accepted for long, every share is assumed to have a difficulty that is higher than
    most, so that the estimate is rather too low.
    """
    stats = seen.stats
    if stats is None or stats.accepted is None or stats.rejected is None:
        return _skipped("reject_ratio", "no_statistics", "shares are not known")
    accepted, rejected, least = stats.accepted, stats.rejected, _MIN_SHARES
    if stats.accepted_count is not None and stats.rejected_count is not None:
        accepted, rejected = float(stats.accepted_count), float(stats.rejected_count)
        shares, about = accepted + rejected, ""
    else:
        difficulty = stats.share_difficulty
        if difficulty is None:
            difficulty, least = _HIGH_DIFFICULTY, _MIN_HIGH_SHARES
        shares, about = (accepted + rejected) / difficulty, "about "
    if shares < least or accepted + rejected <= 0:
        return _skipped("reject_ratio", "few_shares", f"{about}{shares:.0f} shares are too few to tell")
    ratio = round(100.0 * rejected / (accepted + rejected), 2)
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
        check.status, check.reason = WARNING, "leaking_files"
        check.summary = f"{seen.open_files} files open for {seen.clients} clients"
        check.hint = "something sends messages that the daemon never answers, such as JSON to the listener"
    check.observed = seen.open_files
    return check


def _stranded(seen: Observation, limits: Thresholds, state: str) -> Check:
    """Miners on a connection that nobody reads: they neither work here nor connect elsewhere."""
    if seen.stranded is None:
        return _skipped("stranded", "not_known", seen.problems.get("stranded", "its connections cannot be seen"))
    check = Check("stranded", OK, seen.stranded, "nobody", summary="no miner is stranded")
    if seen.stranded:
        check.status, check.reason = WARNING, "stranded_miners"
        many = "1 connection of a miner is" if seen.stranded == 1 else f"{seen.stranded} connections of miners are"
        check.summary = f"{many} open and read by nobody"
        check.hint = (
            "a restart by hand leaves them: ckpool_step with step: sever and its pid and started frees them, and so does"
            " ckpool_restart; if it was told to reject, ckpool_clients with state: accepting"
        )
    return check


def _disk(seen: Observation, limits: Thresholds, state: str) -> Check:
    if seen.disk_free is None or not seen.disk_total:
        return _skipped("disk", "not_known", seen.problems.get("disk", "the log directory is not known"))
    free = round(100.0 * seen.disk_free / seen.disk_total, 1)
    check = Check("disk", OK, free, f"over {limits.disk_free_warning:g} % free", summary=f"{free:g} % of disk free")
    if free < limits.disk_free_warning:
        check.status = CRITICAL if free < limits.disk_free_critical else WARNING
        check.reason = "disk_full"
        check.hint = "rotate the log, and remove old share logs: without room statistics are lost"
    return check


def _threads(seen: Observation, limits: Thresholds, state: str) -> Check:
    """A daemon of which a thread has ended can answer on all its sockets, and serve no miner."""
    log = seen.log
    if log is None:
        return _skipped("threads", "no_log", seen.problems.get("log", "no log"))
    if log.fatal is None or (seen.process_age is not None and seen.now - log.fatal > seen.process_age + 1):
        return Check("threads", OK, None, "no thread has ended in this run", summary="no thread has ended")
    if state == "down":
        hint = "it ended after that: see the last lines of its log, and start it"
    else:
        hint = (
            "it may answer and yet serve no miner: restart it, and see whether it was stopped or ran out of something"
        )
    return Check("threads", CRITICAL, log.fatal_line, "no thread has ended in this run", "thread_ended", hint,
                 "a thread of it has ended")  # fmt: skip


def _log_errors(seen: Observation, limits: Thresholds, state: str) -> Check:
    log = seen.log
    if log is None:
        return _skipped("log_errors", "no_log", seen.problems.get("log", "no log"))
    count = sum(log.errors.values())
    grave = _without_a_lost_bitcoind(log.errors)
    check = Check("log_errors", OK, dict(log.errors), "no recent errors", summary="no recent errors in the log")
    if count:
        check.status = CRITICAL if sum(grave.values()) >= limits.log_errors_critical else WARNING
        check.reason = max(grave, key=lambda reason: grave[reason]) if grave else "no_bitcoind"
        check.summary = f"{count} recent error{'s' if count != 1 else ''} in the log"
        check.hint = f"the last: {log.error_line}"
    return check


def _without_a_lost_bitcoind(errors: t.Mapping[str, int]) -> t.Dict[str, int]:
    """The errors that are not caused by a lost bitcoind.

    The check of bitcoind reports that; here it only stays visible for a while. Builds that ask several times before they
    give up log more failures of templates than losses of the bitcoind, for a single fault.
    """
    lost = ("no_bitcoind", "template_failed", "work_failed") if "no_bitcoind" in errors else ()
    return {reason: count for reason, count in errors.items() if reason not in lost}


def _skipped(name: str, reason: str, why: str) -> Check:
    return Check(name, SKIPPED, None, "", reason, "", why)


def _from_the_future(name: str, seconds: float, what: str) -> Check:
    """A check of an age that cannot be determined, as its time is ahead of the clock."""
    hint = "was the clock set back? is it the daemon's own zone? see date, and the TZ of the daemon"
    text = f"{what} from the future, by {seconds:.0f} s"
    return Check(name, WARNING, round(-seconds, 1), "a time that has passed", "from_the_future", hint, text)


def _at_most(
    name: str, observed: float, warning: float, critical: float, summary: str, reason: str, hint: str, unit: str
) -> Check:
    """A check of a value with two upper limits."""
    check = Check(name, OK, observed, f"at most {warning:g} {unit}", summary=summary)
    if observed > min(warning, critical):
        check.status = CRITICAL if observed > critical else WARNING
        check.reason, check.hint = reason, hint
    return check


def _at_least(
    name: str,
    field: str,
    bound: str,
    reason: str,
    text: t.Callable[[float], str],
) -> t.Callable[[Observation, Thresholds, str], Check]:
    """A check of a statistic with a minimum, if one is set and the pool has statistics."""

    def check(seen: Observation, limits: Thresholds, state: str) -> Check:
        least: Number = getattr(limits, bound)
        observed: Number = getattr(seen.stats, field) if seen.stats else None
        if least is None:
            return _skipped(name, "no_minimum", f"no minimum of {name} is set")
        if observed is None and (state != "ok" or seen.mode not in COUNTING_MODES):
            return _skipped(name, "no_statistics", f"{name}: not known")
        made = Check(name, OK, observed, f"at least {text(least)}")
        if observed is None:
            made.status, made.reason, made.summary = WARNING, "no_statistics", f"{name}: not known"
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
    "accepting": _accepting,
    "threads": _threads,
    "bitcoind": _bitcoind,
    "work_age": _work_age,
    "work_moves": _work_moves,
    "statistics": _statistics,
    "figures": _figures,
    "upstream": _upstream,
    "socket_listener": _socket("listener"),
    "socket_stratifier": _socket("stratifier"),
    "socket_connector": _socket("connector"),
    "socket_generator": _socket("generator"),
    "hashrate": _at_least("hashrate", "hashrate5m", "hashrate_min", "low_hashrate", human_hashrate),
    "hashrate_drop": _hashrate_drop,
    "users": _at_least("users", "users", "users_min", "few_users", _plain),
    "workers": _at_least("workers", "workers", "workers_min", "few_workers", _plain),
    "reject_ratio": _rejects,
    "stranded": _stranded,
    "open_files": _open_files,
    "disk": _disk,
    "log_errors": _log_errors,
    "leftovers": _leftovers,
}


def worst(verdicts: t.Sequence[Verdict]) -> int:
    """The index of the least healthy of several instances."""
    rank = [(STATUSES.index(verdict.status), STATES.index(verdict.state)) for verdict in verdicts]
    return rank.index(max(rank))
