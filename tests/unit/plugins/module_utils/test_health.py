# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict: what was seen, to a state, and to the checks that say why."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._health import (
    CHECKS,
    STATES,
    Check,
    Thresholds,
    Verdict,
    judge,
    worst,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._observation import LogEvents, Observation, Probe, work_age
from ansible_collections.ckpool.fleet.plugins.module_utils._record import replaced
from ansible_collections.ckpool.fleet.plugins.module_utils._records import PoolStats
from ansible_collections.ckpool.fleet.plugins.module_utils._state import reached_state

NOW = 1795385500.0
SOCKETS = ("listener", "stratifier", "connector", "generator")
MODES = ("pool", "solo", "node", "proxy", "passthrough", "redirector")


def probes(outcome: str = "reply", seconds: float = 0.001, **others: str) -> t.Dict[str, Probe]:
    """One outcome of all sockets, but for the others."""
    return {name: Probe(name, others.get(name, outcome), seconds, hint="look") for name in SOCKETS}


IDLE = {"hashrate1m": 0.0, "hashrate5m": 0.0, "hashrate1hr": 0.0}


def stats(**changes: t.Any) -> PoolStats:
    """Statistics of a pool that is well."""
    usual: t.Dict[str, t.Any] = {
        "hashrate1m": 1e15, "hashrate5m": 1e15, "hashrate1hr": 1e15, "users": 3, "workers": 12, "accepted": 1e6,
        "rejected": 1e3,
    }  # fmt: skip
    return PoolStats(**{**usual, **changes})


def shares(accepted: float, rejected: float, difficulty: float = 1.0, **changes: t.Any) -> PoolStats:
    """A pool with so much accepted and rejected, in shares of this difficulty."""
    rate = 1e15 / 2**32 / difficulty
    return stats(accepted=accepted, rejected=rejected, sps1h=rate, **changes)


def log(**changes: t.Any) -> LogEvents:
    """The log of a pool that is well."""
    usual: t.Dict[str, t.Any] = {"stored_workbase": NOW - 10, "bitcoind_connected": NOW - 86400}
    return LogEvents("ckpool.log", **{**usual, **changes})


def seen(**changes: t.Any) -> Observation:
    """A pool that is well, but for the changes."""
    usual: t.Dict[str, t.Any] = {
        "pid": 4242, "pid_state": "alive", "process_age": 86400.0, "probes": probes(),
        "counts": {"workbases": {"count": 20, "generated": 100}}, "clients": 12,
        "best_block": Probe("generator", "reply", 0.001, "0" * 64), "update_interval": 30.0, "stats": stats(),
        "stats_source": "files", "stats_as_of": int(NOW - 30), "log": log(), "open_files": 40, "max_files": 1000, "stranded": 0,
        "disk_free": 50, "disk_total": 100,
    }  # fmt: skip
    mode = changes.pop("mode", "pool")
    return Observation(NOW, mode, **{**usual, **changes})


def nobody(pid_state: str = "absent", **changes: t.Any) -> Observation:
    """A pool that is not running."""
    usual: t.Dict[str, t.Any] = {
        "pid": None, "pid_state": pid_state, "process_age": None, "probes": probes("refused"), "counts": None,
        "clients": None, "best_block": None, "open_files": None, "stranded": None,
    }  # fmt: skip
    return seen(**{**usual, **changes})


def best(outcome: str = "reply", reply: str = "") -> Probe:
    """The outcome of asking for the best block."""
    return Probe("generator", outcome, 0.001, reply)


NO_WORK: t.Dict[str, t.Any] = {"counts": {"workbases": {"count": 0, "generated": 0}}}

# name of the check, status, reason, state of the pool, what was seen, thresholds
Case = t.Tuple[str, str, str, str, Observation, t.Dict[str, t.Any]]
# What ckpool 1.1.1 logs when its bitcoind goes away: it tries six times to get a template first.
LOST = {"template_failed": 6, "work_failed": 1, "no_bitcoind": 1}
BEGAN = log(connected_to="a:8332")
FAILED_OVER = log(connected_to="a:8332", failed_over=NOW - 20, failed_over_to="b:8332")
CASES: t.List[Case] = [
    ("process", "ok", "ok", "ok", seen(), {}),
    ("process", "critical", "pid_dead", "down", nobody("dead", pid=4242), {}),
    ("process", "critical", "pid_is_another", "down", nobody("another", pid=4242), {}),
    ("process", "critical", "pid_hidden", "down", nobody("hidden", pid=4242), {}),
    ("process", "critical", "no_process", "down", nobody(), {}),
    ("process", "warning", "pid_dead", "degraded", seen(pid_state="dead"), {}),
    ("process", "warning", "pid_is_another", "degraded", seen(pid_state="another"), {}),
    ("process", "warning", "pid_hidden", "degraded", seen(pid_state="hidden"), {}),
    ("process", "warning", "no_process", "degraded", seen(pid_state="absent", pid=None), {}),
    ("process", "critical", "pid_dead", "hung", seen(pid_state="dead", probes=probes("unanswered")), {}),
    ("ready", "ok", "ok", "ok", seen(), {}),
    ("ready", "critical", "down", "down", nobody(), {}),
    ("ready", "critical", "hung", "hung", seen(probes=probes("unanswered")), {}),
    ("ready", "critical", "unknown", "unknown", seen(probes=probes("not_permitted")), {}),
    ("ready", "warning", "starting", "starting", seen(process_age=119.0, **NO_WORK), {}),
    ("ready", "warning", "starting", "starting", seen(process_age=120.0, **NO_WORK), {}),
    ("ready", "critical", "starting_too_long", "starting", seen(process_age=120.1, **NO_WORK), {}),
    ("ready", "warning", "starting", "starting", seen(process_age=500.0, **NO_WORK), {"start_grace": 600.0}),
    ("ready", "ok", "ok", "ok", seen(mode="proxy", **NO_WORK), {}),
    ("ready", "critical", "not_ready", "degraded", seen(probes=probes(stratifier="refused")), {}),
    ("socket_listener", "ok", "ok", "ok", seen(), {}),
    ("socket_listener", "critical", "listener_dead", "degraded", seen(probes=probes(listener="refused")), {}),
    ("socket_listener", "critical", "listener_dead", "degraded", seen(probes=probes(listener="unanswered")), {}),
    ("socket_listener", "critical", "unanswered", "hung", seen(probes=probes("unanswered")), {}),
    ("socket_listener", "critical", "refused", "down", nobody(), {}),
    ("socket_listener", "critical", "absent", "down", nobody(probes=probes("absent")), {}),
    ("socket_listener", "critical", "not_a_socket", "down", nobody(probes=probes("not_a_socket")), {}),
    ("socket_listener", "critical", "not_permitted", "unknown", seen(probes=probes("not_permitted")), {}),
    ("socket_listener", "warning", "absent", "starting", seen(probes=probes("absent"), process_age=9.0), {}),
    ("socket_listener", "warning", "slow", "degraded", seen(probes=probes(seconds=1.01)), {}),
    ("socket_listener", "ok", "ok", "ok", seen(probes=probes(seconds=1.0)), {}),
    ("socket_listener", "ok", "ok", "ok", seen(probes=probes(seconds=2.0)), {"latency_warning": 2.0}),
    ("socket_listener", "skipped", "not_asked", "ok", seen(probes={"stratifier": Probe("stratifier", "reply", 0)}), {}),
    ("socket_stratifier", "critical", "unanswered", "hung", seen(probes=probes(stratifier="unanswered")), {}),
    ("socket_stratifier", "critical", "refused", "degraded", seen(probes=probes(stratifier="refused")), {}),
    ("socket_stratifier", "critical", "half_reply", "degraded", seen(probes=probes(stratifier="half_reply")), {}),
    (
        "socket_stratifier", "warning", "unanswered", "starting",
        seen(probes=probes(stratifier="unanswered"), process_age=100.0, stats_as_of=None), {},
    ),
    ("socket_stratifier", "warning", "slow", "degraded", seen(probes=probes(seconds=3.0)), {}),
    ("socket_connector", "critical", "unanswered", "degraded", seen(probes=probes(connector="unanswered")), {}),
    ("socket_connector", "critical", "no_reply", "degraded", seen(probes=probes(connector="no_reply")), {}),
    ("socket_connector", "warning", "slow", "degraded", seen(probes=probes(seconds=3.0)), {}),
    ("socket_generator", "critical", "unanswered", "degraded", seen(probes=probes(generator="unanswered")), {}),
    ("socket_generator", "warning", "slow", "degraded", seen(probes=probes(seconds=3.0)), {}),
    ("leftovers", "ok", "ok", "ok", seen(), {}),
    ("leftovers", "warning", "stale", "down", nobody("dead", leftovers=["listener", "main.pid"]), {}),
    ("leftovers", "warning", "stale", "down", nobody(leftovers=["listener"]), {}),
    ("work_age", "ok", "ok", "ok", seen(), {}),
    ("work_age", "ok", "ok", "ok", seen(log=log(stored_workbase=NOW - 95)), {}),
    ("work_age", "warning", "stale_work", "degraded", seen(log=log(stored_workbase=NOW - 95.2)), {}),
    ("work_age", "warning", "stale_work", "degraded", seen(log=log(stored_workbase=NOW - 305)), {}),
    ("work_age", "critical", "stale_work", "degraded", seen(log=log(stored_workbase=NOW - 305.2)), {}),
    ("work_age", "warning", "from_the_future", "degraded", seen(log=log(stored_workbase=NOW + 3600)), {}),
    ("work_age", "ok", "ok", "ok", seen(log=log(stored_workbase=NOW + 1)), {}),
    ("work_age", "warning", "stale_work", "degraded", seen(update_interval=10.0, log=log(stored_workbase=NOW - 36)), {}),
    ("work_age", "ok", "ok", "ok", seen(update_interval=None, log=log(stored_workbase=NOW - 95)), {}),
    ("work_age", "warning", "stale_work", "degraded", seen(update_interval=None, log=log(stored_workbase=NOW - 96)), {}),
    ("work_age", "warning", "stale_work", "degraded", seen(), {"work_age_warning": 9.0}),
    ("work_age", "warning", "stale_work", "degraded", seen(), {"work_age_warning": 0.0}),
    ("work_age", "critical", "stale_work", "degraded", seen(), {"work_age_critical": 9.0}),
    ("work_age", "critical", "stale_work", "degraded", seen(), {"work_age_warning": 5.0, "work_age_critical": 0.0}),
    (
        "work_age", "warning", "stale_work", "degraded",
        seen(log=log(stored_workbase=NOW - 600)), {"work_age_warning": 500.0, "work_age_critical": 700.0},
    ),
    ("work_age", "ok", "ok", "ok", seen(log=log(stored_workbase=NOW - 600)), {"work_age_warning": 900.0}),
    (
        "work_age", "critical", "no_work_in_this_run", "degraded",
        seen(process_age=60.0, log=log(stored_workbase=NOW - 62)), {},
    ),
    ("work_age", "ok", "ok", "ok", seen(process_age=60.0, log=log(stored_workbase=NOW - 60.5)), {}),
    ("work_age", "skipped", "no_log", "ok", seen(log=None), {}),
    ("work_age", "skipped", "not_logged", "ok", seen(log=log(stored_workbase=None)), {}),
    ("work_age", "skipped", "mode", "ok", seen(mode="proxy"), {}),
    ("work_moves", "skipped", "not_sampled", "ok", seen(), {}),
    ("work_moves", "ok", "ok", "ok", seen(workbases_before=99, sample_seconds=40.0), {}),
    ("work_moves", "critical", "stale_work", "degraded", seen(workbases_before=100, sample_seconds=40.0), {}),
    ("work_moves", "skipped", "not_sampled", "ok", seen(workbases_before=100, counts=None), {}),
    ("bitcoind", "ok", "ok", "ok", seen(), {}),
    ("bitcoind", "ok", "ok", "ok", seen(best_block=best(reply="notify")), {}),
    ("bitcoind", "ok", "ok", "ok", seen(log=log(bitcoind_down=NOW - 20, bitcoind_connected=NOW - 10)), {}),
    ("bitcoind", "ok", "ok", "ok", seen(log=log(bitcoind_down=NOW - 20)), {}),  # it says so no more, and has a hash
    ("bitcoind", "ok", "ok", "ok", seen(log=log(failed_over=NOW - 20, bitcoind_connected=NOW - 10)), {}),
    ("bitcoind", "warning", "failed_over", "degraded", seen(log=log(failed_over=NOW - 20, failed_over_to="b:8332")), {}),
    ("bitcoind", "warning", "failed_over", "degraded", seen(log=FAILED_OVER, bitcoinds=["a:8332", "b:8332"]), {}),
    ("bitcoind", "warning", "failed_over", "degraded", seen(log=FAILED_OVER, bitcoinds=["a:8332", "c:8332"]), {}),
    ("bitcoind", "ok", "ok", "ok", seen(log=FAILED_OVER, bitcoinds=["b:8332", "a:8332"]), {}),  # it came back
    ("bitcoind", "warning", "failed_over", "degraded", seen(log=BEGAN, bitcoinds=["b:8332", "a:8332"]), {}),
    ("bitcoind", "ok", "ok", "ok", seen(log=BEGAN, bitcoinds=["a:8332", "b:8332"]), {}),
    ("bitcoind", "ok", "ok", "ok", seen(log=BEGAN, bitcoinds=["c:8332", "b:8332"]), {}),
    ("bitcoind", "ok", "ok", "ok", seen(log=BEGAN), {}),
    (
        "bitcoind", "critical", "bitcoind_down", "degraded",
        seen(log=log(bitcoind_down=NOW - 5), best_block=best("unanswered")), {},
    ),
    (
        "bitcoind", "critical", "bitcoind_down", "degraded",
        seen(log=log(bitcoind_down=NOW - 5), best_block=best(reply="failed")), {},
    ),
    ("bitcoind", "critical", "bitcoind_failed", "degraded", seen(best_block=best(reply="failed")), {}),
    ("bitcoind", "critical", "bitcoind_failed", "degraded", seen(best_block=best("unanswered")), {}),
    ("bitcoind", "critical", "bitcoind_failed", "degraded", seen(log=None, best_block=best("no_reply")), {}),
    (
        "bitcoind", "critical", "generator_silent", "degraded",
        seen(probes=probes(generator="unanswered"), best_block=None), {},
    ),
    ("bitcoind", "skipped", "down", "down", nobody(), {}),
    ("bitcoind", "skipped", "unknown", "unknown", seen(probes=probes("not_permitted"), best_block=None), {}),
    ("bitcoind", "skipped", "mode", "ok", seen(mode="proxy"), {}),
    ("statistics", "ok", "ok", "ok", seen(), {}),
    ("statistics", "ok", "ok", "ok", seen(stats_as_of=int(NOW) - 150), {}),
    ("statistics", "warning", "stale_statistics", "degraded", seen(stats_as_of=int(NOW) - 151), {}),
    ("statistics", "warning", "stale_statistics", "degraded", seen(stats_as_of=int(NOW) - 600), {}),
    ("statistics", "critical", "stale_statistics", "degraded", seen(stats_as_of=int(NOW) - 601), {}),
    ("statistics", "ok", "ok", "ok", seen(stats_as_of=int(NOW) - 601), {"statistics_age_warning": 700.0, "statistics_age_critical": 800.0}),
    ("statistics", "critical", "stale_statistics", "hung", seen(stats_as_of=int(NOW) - 601, probes=probes("unanswered")), {}),
    ("statistics", "warning", "from_the_future", "degraded", seen(stats_as_of=int(NOW) + 3600), {}),
    ("statistics", "warning", "no_statistics", "degraded", seen(stats=None, stats_as_of=None), {}),
    ("statistics", "skipped", "no_statistics", "ok", seen(stats=None, stats_as_of=None, process_age=100.0), {}),
    ("statistics", "skipped", "down", "down", nobody(stats_as_of=int(NOW) - 86400), {}),
    ("statistics", "skipped", "starting", "starting", seen(process_age=10.0, stats_as_of=int(NOW) - 86400, **NO_WORK), {}),
    ("statistics", "skipped", "mode", "ok", seen(mode="passthrough", stats=None, stats_as_of=None), {}),
    ("hashrate", "skipped", "no_minimum", "ok", seen(), {}),
    ("hashrate", "ok", "ok", "ok", seen(), {"hashrate_min": 1e15}),
    ("hashrate", "critical", "low_hashrate", "degraded", seen(), {"hashrate_min": 1.001e15}),
    ("hashrate", "critical", "low_hashrate", "degraded", seen(stats=stats(hashrate5m=0.0)), {"hashrate_min": 1.0}),
    ("hashrate", "warning", "no_statistics", "degraded", seen(stats=None), {"hashrate_min": 1.0}),
    ("accepting", "ok", "ok", "ok", seen(), {}),
    ("accepting", "warning", "rejecting", "degraded", seen(rejecting="ckpool_clients"), {}),
    ("accepting", "warning", "rejecting", "degraded", seen(rejecting="ckpool_clients", hides_rejecting=True), {}),
    ("accepting", "skipped", "not_permitted", "ok", seen(hides_rejecting=True), {}),
    ("process", "critical", "displaced", "degraded", seen(problems={"socket_dir": "it holds files of another user"}), {}),
    ("process", "warning", "pid_file_wrong", "degraded", seen(problems={"pid": "main.pid names pid 7"}), {}),
    ("process", "critical", "unlisted", "degraded", seen(problems={"unlisted": "3 more"}), {}),
    ("process", "warning", "pid_file_hidden", "degraded", seen(problems={"pid_file": "not permitted to read main.pid"}), {}),
    ("figures", "ok", "ok", "ok", seen(), {}),
    ("figures", "skipped", "no_statistics", "ok", seen(stats=None), {}),
    ("figures", "skipped", "mode", "ok", seen(mode="passthrough", stats=None, upstream=1), {}),
    ("figures", "warning", "no_figures", "degraded", seen(stats=stats(workers=None, hashrate1m=None, hashrate5m=None)), {}),
    ("figures", "warning", "no_hashrate", "degraded", seen(stats=stats(workers=3, **IDLE)), {}),
    ("figures", "warning", "no_hashrate", "degraded", seen(stats=stats(workers=3, hashrate1m=None, hashrate5m=None, hashrate1hr=None)), {}),
    ("figures", "ok", "ok", "ok", seen(process_age=200.0, stats=stats(workers=3, uptime=200, **IDLE), log=log(stored_workbase=NOW - 5)), {}),
    ("figures", "warning", "left_over_hashrate", "degraded", seen(stats=stats(workers=0)), {}),
    ("figures", "ok", "ok", "ok", seen(stats=stats(workers=0, **IDLE)), {}),
    ("figures", "warning", "all_idle", "degraded", seen(stats=stats(workers=3, idle=3)), {}),
    ("figures", "ok", "ok", "ok", seen(stats=stats(workers=3, idle=2)), {}),
    ("upstream", "ok", "ok", "ok", seen(mode="proxy", upstream=1), {}),
    ("upstream", "warning", "upstream_silent", "degraded", seen(mode="passthrough", stats=None, upstream=0), {}),
    ("upstream", "skipped", "not_known", "ok", seen(mode="proxy", upstream=None), {}),
    ("upstream", "ok", "ok", "ok", seen(mode="proxy", upstream=1, upstream_silence=299.0), {}),
    ("upstream", "warning", "upstream_silent", "degraded", seen(mode="proxy", upstream=1, upstream_silence=301.0), {}),
    ("upstream", "warning", "upstream_silent", "degraded", seen(mode="proxy", upstream=1, upstream_silence=301.0, clients=0), {}),
    ("upstream", "warning", "upstream_silent", "degraded", seen(mode="passthrough", upstream=1, upstream_silence=301.0, clients=1), {}),
    ("upstream", "ok", "ok", "ok", seen(mode="passthrough", upstream=1, upstream_silence=9999.0, clients=0), {}),
    ("upstream", "ok", "ok", "ok", seen(mode="redirector", upstream=1, upstream_silence=9999.0, clients=None), {}),
    ("upstream", "skipped", "mode", "ok", seen(), {}),
    ("bitcoind", "critical", "garbage", "degraded", seen(best_block=best(reply="unknown")), {}),
    ("bitcoind", "critical", "garbage", "degraded", seen(best_block=best(reply="")), {}),
    ("bitcoind", "critical", "garbage", "degraded", seen(best_block=best(reply="0" * 63)), {}),
    ("bitcoind", "skipped", "mode", "ok", seen(mode="node", best_block=None), {}),
    ("work_age", "skipped", "mode", "ok", seen(mode="node", log=log(stored_workbase=None)), {}),
    ("socket_listener", "critical", "garbage", "degraded", seen(probes=probes(listener="garbage")), {}),
    ("socket_stratifier", "critical", "garbage", "degraded", seen(garbage={"stratifier": "{}"}), {}),
    ("hashrate", "skipped", "no_statistics", "ok", seen(mode="passthrough", stats=None), {"hashrate_min": 1}),
    ("hashrate_drop", "ok", "ok", "ok", seen(), {}),
    ("hashrate_drop", "ok", "ok", "ok", seen(stats=stats(hashrate5m=5e15)), {}),
    ("hashrate_drop", "ok", "ok", "ok", seen(stats=stats(hashrate5m=0.5e15)), {}),
    ("hashrate_drop", "warning", "hashrate_drop", "degraded", seen(stats=stats(hashrate5m=0.499e15)), {}),
    ("hashrate_drop", "warning", "hashrate_drop", "degraded", seen(stats=stats(hashrate5m=0.1e15)), {}),
    ("hashrate_drop", "critical", "hashrate_drop", "degraded", seen(stats=stats(hashrate5m=0.099e15)), {}),
    ("hashrate_drop", "ok", "ok", "ok", seen(stats=stats(hashrate5m=0.3e15)), {"hashrate_drop_warning": 70.0}),
    ("hashrate_drop", "skipped", "no_hashrate", "ok", seen(stats=stats(hashrate1hr=0.0)), {}),
    ("hashrate_drop", "skipped", "no_statistics", "ok", seen(stats=stats(hashrate5m=None)), {}),
    ("hashrate_drop", "skipped", "no_statistics", "ok", seen(stats=stats(hashrate1hr=None)), {}),
    ("hashrate_drop", "skipped", "no_statistics", "ok", seen(stats=None), {}),
    ("users", "skipped", "no_minimum", "ok", seen(), {}),
    ("users", "ok", "ok", "ok", seen(), {"users_min": 3}),
    ("users", "critical", "few_users", "degraded", seen(), {"users_min": 4}),
    ("users", "warning", "no_statistics", "degraded", seen(stats=None), {"users_min": 4}),
    ("users", "skipped", "no_statistics", "ok", seen(mode="passthrough", stats=None), {"users_min": 1}),
    ("workers", "skipped", "no_minimum", "ok", seen(), {}),
    ("workers", "ok", "ok", "ok", seen(), {"workers_min": 12}),
    ("workers", "critical", "few_workers", "degraded", seen(), {"workers_min": 13}),
    ("workers", "warning", "no_statistics", "degraded", seen(stats=stats(workers=None)), {"workers_min": 13}),
    ("workers", "skipped", "no_statistics", "ok", seen(mode="passthrough", stats=None), {"workers_min": 1}),
    ("reject_ratio", "ok", "ok", "ok", seen(), {}),
    ("reject_ratio", "ok", "ok", "ok", seen(stats=shares(950, 50)), {}),
    ("reject_ratio", "warning", "rejects", "degraded", seen(stats=shares(949, 51)), {}),
    ("reject_ratio", "warning", "rejects", "degraded", seen(stats=shares(750, 250)), {}),
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=shares(749, 251)), {}),
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=shares(0, 100)), {}),
    ("reject_ratio", "ok", "ok", "ok", seen(stats=shares(9, 91)), {"reject_ratio_warning": 91.0, "reject_ratio_critical": 95.0}),
    ("reject_ratio", "skipped", "few_shares", "ok", seen(stats=shares(0, 99)), {}),
    # two of six at difficulty 10000, and 118000 of 238000 at difficulties that are as low as that asks for
    ("reject_ratio", "skipped", "few_shares", "ok", seen(stats=shares(40_000, 20_000, 10_000)), {}),
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=shares(120_000, 118_000, 42)), {}),
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=shares(120_000, 118_000, 2_380)), {}),
    ("reject_ratio", "skipped", "few_shares", "ok", seen(stats=shares(120_000, 118_000, 2_381)), {}),
    # the counts of a build go before any estimate, for the number of shares and for the ratio
    ("reject_ratio", "skipped", "few_shares", "ok", seen(stats=shares(950, 50, accepted_count=4, rejected_count=2)), {}),
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=shares(99, 1, accepted_count=50, rejected_count=50)), {}),
    ("reject_ratio", "ok", "ok", "ok", seen(stats=shares(0.0072, 0.0, accepted_count=195, rejected_count=0)), {}),
    ("reject_ratio", "skipped", "few_shares", "ok", seen(stats=shares(0.0072, 0.0, accepted_count=0, rejected_count=0)), {}),
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=shares(5000, 5000, 10, accepted_count=500)), {}),
    # nothing tells the difficulty: shares are taken for high ones
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=stats(accepted=120_000, rejected=118_000)), {}),
    ("reject_ratio", "critical", "rejects", "degraded", seen(stats=stats(accepted=0, rejected=200_000, sps1h=0.0)), {}),
    ("reject_ratio", "skipped", "few_shares", "ok", seen(stats=stats(accepted=40_000, rejected=20_000)), {}),
    ("reject_ratio", "skipped", "few_shares", "ok", seen(stats=stats(accepted=0, rejected=0)), {}),
    ("reject_ratio", "skipped", "no_statistics", "ok", seen(stats=stats(accepted=None)), {}),
    ("reject_ratio", "skipped", "no_statistics", "ok", seen(stats=stats(rejected=None)), {}),
    ("reject_ratio", "skipped", "no_statistics", "ok", seen(stats=None), {}),
    ("stranded", "ok", "ok", "ok", seen(), {}),
    ("stranded", "warning", "stranded_miners", "degraded", seen(stranded=1), {}),
    ("stranded", "skipped", "not_known", "ok", seen(stranded=None), {}),
    ("open_files", "ok", "ok", "ok", seen(), {}),
    ("open_files", "ok", "ok", "ok", seen(open_files=800, clients=700), {}),
    ("open_files", "warning", "many_open_files", "degraded", seen(open_files=801, clients=700), {}),
    ("open_files", "warning", "many_open_files", "degraded", seen(open_files=950, clients=900), {}),
    ("open_files", "critical", "many_open_files", "degraded", seen(open_files=951, clients=900), {}),
    ("open_files", "ok", "ok", "ok", seen(open_files=512, clients=12), {}),
    ("open_files", "warning", "leaking_files", "degraded", seen(open_files=513, clients=12), {}),
    ("open_files", "ok", "ok", "ok", seen(open_files=513, clients=12), {"open_files_spare": 501}),
    ("open_files", "ok", "ok", "ok", seen(open_files=513, clients=None), {}),
    ("open_files", "ok", "ok", "ok", seen(open_files=400, clients=12, max_files=None), {}),  # without a limit
    ("open_files", "warning", "leaking_files", "degraded", seen(open_files=5000, clients=12, max_files=None), {}),
    ("open_files", "skipped", "not_known", "ok", seen(open_files=None), {}),
    ("disk", "ok", "ok", "ok", seen(), {}),
    ("disk", "ok", "ok", "ok", seen(disk_free=10), {}),
    ("disk", "warning", "disk_full", "degraded", seen(disk_free=9.9), {}),
    ("disk", "warning", "disk_full", "degraded", seen(disk_free=3), {}),
    ("disk", "critical", "disk_full", "degraded", seen(disk_free=2.9), {}),
    ("disk", "critical", "disk_full", "degraded", seen(disk_free=0), {}),
    ("disk", "ok", "ok", "ok", seen(disk_free=5), {"disk_free_warning": 5.0}),
    ("disk", "skipped", "not_known", "ok", seen(disk_free=None), {}),
    ("disk", "skipped", "not_known", "ok", seen(disk_total=0), {}),
    ("log_errors", "ok", "ok", "ok", seen(), {}),
    ("log_errors", "warning", "template_failed", "degraded", seen(log=log(errors={"template_failed": 1})), {}),
    ("log_errors", "warning", "fatal", "degraded", seen(log=log(errors={"critical": 40, "fatal": 59})), {}),
    ("log_errors", "critical", "fatal", "degraded", seen(log=log(errors={"critical": 40, "fatal": 60})), {}),
    ("log_errors", "critical", "fatal", "degraded", seen(log=log(errors={"fatal": 1})), {"log_errors_critical": 1}),
    ("log_errors", "warning", "no_bitcoind", "degraded", seen(log=log(errors={"no_bitcoind": 300})), {}),
    ("log_errors", "warning", "no_bitcoind", "degraded", seen(log=log(errors=LOST)), {"log_errors_critical": 5}),
    ("log_errors", "warning", "fatal", "degraded", seen(log=log(errors={**LOST, "fatal": 2})), {"log_errors_critical": 5}),
    ("log_errors", "critical", "fatal", "degraded", seen(log=log(errors={**LOST, "fatal": 5})), {"log_errors_critical": 5}),
    ("log_errors", "critical", "template_failed", "degraded", seen(log=log(errors={"template_failed": 5})), {"log_errors_critical": 5}),
    ("log_errors", "skipped", "no_log", "ok", seen(log=None), {}),
    ("threads", "ok", "ok", "ok", seen(), {}),
    ("threads", "ok", "ok", "ok", seen(process_age=10.0, log=log(fatal=NOW - 100, stored_workbase=NOW)), {}),
    ("threads", "critical", "thread_ended", "degraded", seen(log=log(fatal=NOW - 100, fatal_line="FATAL")), {}),
    ("threads", "critical", "thread_ended", "degraded", seen(process_age=99.0, log=log(fatal=NOW - 100)), {}),
    ("threads", "ok", "ok", "ok", seen(process_age=99.0, log=log(fatal=NOW - 100.1)), {}),
    ("threads", "critical", "thread_ended", "degraded", seen(process_age=None, log=log(fatal=NOW - 100)), {}),
    ("threads", "skipped", "no_log", "ok", seen(log=None), {}),
]  # fmt: skip


def named(case: Case) -> str:
    name, status, reason, state = case[:4]
    return f"{name}-{status}-{reason}-{state}"


@pytest.mark.parametrize(
    ("name", "status", "reason", "state", "observation", "limits"), CASES, ids=[named(case) for case in CASES]
)
def test_what_was_seen_to_a_check_and_a_state(
    name: str, status: str, reason: str, state: str, observation: Observation, limits: t.Dict[str, t.Any]
) -> None:
    verdict = judge(observation, Thresholds(**limits))
    (check,) = [check for check in verdict.checks if check.name == name]
    assert (check.status, check.reason, verdict.state) == (status, reason, state)
    assert check.summary
    assert bool(check.hint) == (status in ("warning", "critical"))
    assert verdict.ok == (state == "ok")
    if status == "skipped":
        assert check.observed is None
    else:
        assert check.expected


def test_the_table_above_has_every_check_with_every_status_that_it_can_have() -> None:
    provoked: t.Dict[str, t.Set[str]] = {}
    for name, status, *_rest in CASES:
        provoked.setdefault(name, set()).add(status)
    all_four = {"ok", "warning", "critical", "skipped"}
    sockets = {f"socket_{name}" for name in SOCKETS}
    two_sided = {"process", "ready"}
    assert provoked.pop("threads") == {"ok", "critical", "skipped"}
    for name in ("figures", "upstream", "stranded", "accepting"):
        assert provoked.pop(name) == {"ok", "warning", "skipped"}
    assert provoked.pop("leftovers") == {"ok", "warning"}
    assert provoked.pop("work_moves") == {"ok", "critical", "skipped"}
    for name in two_sided:
        assert provoked.pop(name) == all_four - {"skipped"}
    for name in sockets:
        assert provoked.pop(name) >= {"warning", "critical"}
    assert all(statuses == all_four for statuses in provoked.values())
    assert set(CHECKS) == {name for name, *_rest in CASES}
    assert {state for _name, _status, _reason, state, *_rest in CASES} == set(STATES)


def test_what_was_observed_is_a_number_in_base_units_or_what_it_is_called() -> None:
    observed = {check.name: check.observed for check in judge(seen(workbases_before=98, sample_seconds=40.0)).checks}
    assert observed == {
        "process": 4242, "ready": "ok", "accepting": None, "threads": None, "bitcoind": "0" * 64, "work_age": 10.0, "work_moves": 2, "statistics": 30.0,
        "figures": None, "upstream": None,
        "socket_listener": 0.001, "socket_stratifier": 0.001, "socket_connector": 0.001, "socket_generator": 0.001,
        "hashrate": None, "hashrate_drop": 0.0, "users": None, "workers": None, "reject_ratio": 0.1,
        "stranded": 0, "open_files": 40, "disk": 50.0, "log_errors": {}, "leftovers": [],
    }  # fmt: skip


def test_what_is_said_of_it_has_the_figures() -> None:
    unlimited = seen(max_files=None, probes=probes(seconds=0.0123), best_block=best("unanswered"))
    checks = {check.name: check for check in judge(unlimited).checks}
    assert checks["open_files"].summary == "40 of unlimited files open"
    assert checks["socket_listener"].summary == "listener answers in 12.3 ms"
    assert checks["bitcoind"].observed == "unanswered"
    assert checks["work_age"].expected == "at most 95 s"


def test_a_pool_that_is_well_is_ok_and_nothing_is_wrong() -> None:
    verdict = judge(seen())
    assert (verdict.state, verdict.ok, verdict.status, verdict.wrong) == ("ok", True, "ok", [])
    assert [check.name for check in verdict.checks] == list(CHECKS)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_can_be_well(mode: str) -> None:
    counts = mode in ("pool", "solo", "node", "proxy")
    works = mode in ("pool", "solo")
    observation = seen(
        mode=mode,
        stats=stats() if counts else None,
        stats_as_of=int(NOW) if counts else None,
        log=log(stored_workbase=NOW - 5 if works else None),
        counts={"workbases": {"count": 0, "generated": 0}} if mode not in ("pool", "solo", "node") else seen().counts,
        upstream=None if works else 1,
        best_block=seen().best_block if works else None,
    )
    verdict = judge(observation)
    assert verdict.ok, verdict.wrong
    skipped = {check.name for check in verdict.checks if check.reason == "mode"}
    without_work = {"upstream"} if works else {"work_age", "bitcoind"}
    assert skipped == ({"statistics", "figures"} if not counts else set()) | without_work


def silent_stratifier(**changes: t.Any) -> Observation:
    return seen(probes=probes(stratifier="unanswered", generator="unanswered"), counts=None, best_block=None, **changes)


@pytest.mark.parametrize(
    ("state", "observation"),
    [
        ("ok", seen()),
        ("ok", seen(counts=None)),
        ("ok", seen(counts={"workbases": "junk"})),
        ("ok", seen(counts={"workbases": {"count": "0"}})),
        ("down", Observation(NOW, "pool")),
        ("down", nobody()),
        ("down", nobody(probes=probes("absent", listener="refused", connector="not_a_socket", generator="cannot_connect"))),
        ("unknown", seen(probes=probes("absent"), process_age=10.0)),
        ("unknown", seen(probes=probes("absent"), process_age=None)),
        ("down", seen(probes=probes("refused"), process_age=10.0)),
        ("down", nobody(process_age=1.0)),
        ("starting", seen(probes=probes("absent"), process_age=9.9)),
        ("starting", seen(probes=probes("refused"), process_age=0.0)),
        ("unknown", seen(probes=probes("not_permitted"))),
        ("unknown", seen(probes=probes("refused", listener="not_permitted"))),
        ("degraded", seen(probes=probes("not_permitted", stratifier="reply"))),
        ("hung", seen(probes=probes("unanswered"))),
        ("hung", seen(probes=probes("refused", listener="unanswered"))),
        ("hung", seen(probes=probes("unanswered"), process_age=1.0)),
        ("starting", silent_stratifier(knows_files=False, stats_as_of=None, process_age=119.0)),
        ("hung", silent_stratifier(knows_files=False, stats_as_of=None, process_age=121.0)),
        ("hung", silent_stratifier()),
        ("hung", silent_stratifier(process_age=119.0)),
        ("starting", silent_stratifier(stats_as_of=None)),  # never wrote statistics, so never was ready
        ("starting", silent_stratifier(process_age=1000.0, stats_as_of=int(NOW) - 1002)),  # another run's
        ("hung", silent_stratifier(process_age=1000.0, stats_as_of=int(NOW) - 999)),
        ("hung", silent_stratifier(process_age=None)),
        ("hung", silent_stratifier(mode="passthrough", stats_as_of=None)),
        ("degraded", seen(probes=probes(stratifier="refused"))),
        ("degraded", seen(probes=probes(stratifier="no_reply"))),
        ("starting", seen(**NO_WORK)),
        ("starting", seen(mode="node", **NO_WORK)),
        ("ok", seen(mode="redirector", **NO_WORK)),
    ],
)  # fmt: skip
def test_how_far_one_gets(state: str, observation: Observation) -> None:
    assert reached_state(observation) == state


def test_a_check_that_is_left_out_is_not_made_and_degrades_nothing() -> None:
    full = seen(disk_free=1)
    assert judge(full).state == "degraded"
    verdict = judge(full, skip=["disk"])
    assert (verdict.state, verdict.status) == ("ok", "ok")
    assert [check.name for check in verdict.checks] == [name for name in CHECKS if name != "disk"]
    assert judge(seen(), skip=list(CHECKS)).checks == []


def test_what_is_wrong_has_the_worst_first() -> None:
    verdict = judge(seen(disk_free=1, leftovers=["listener"]))
    assert verdict.status == "critical"
    assert verdict.wrong == ["1 % of disk free", "left over: listener"]


@pytest.mark.parametrize(
    "huge",
    [
        stats(accepted=1e308, rejected=1e308), stats(accepted=-1e308, rejected=1e308), stats(hashrate5m=1e308, hashrate1hr=5e-324),
        stats(accepted=10**300, rejected=10**300), stats(users=10**300, workers=10**300),
    ],
)  # fmt: skip
def test_no_number_makes_it_fail(huge: PoolStats) -> None:
    limits = Thresholds(users_min=1, workers_min=1, hashrate_min=1.0)
    assert len(judge(seen(stats=huge, stats_as_of=10**300), limits).checks) == len(CHECKS)


def test_the_hint_of_leftovers_tells_a_crash_from_a_clean_end() -> None:
    hints = [
        next(check.hint for check in judge(nobody(leftovers=left)).checks if check.name == "leftovers")
        for left in (["listener", "main.pid"], ["listener"])
    ]
    assert "crash" in hints[0] and "clean shutdown" in hints[1]


@pytest.mark.parametrize(("count", "summary"), [(1, "1 recent error in the log"), (2, "2 recent errors in the log")])
def test_the_errors_are_counted_in_plain_english(count: int, summary: str) -> None:
    checks = judge(seen(log=log(errors={"fatal": count}))).checks
    assert next(check.summary for check in checks if check.name == "log_errors") == summary


def test_a_thread_that_ended_before_the_whole_pool_did_is_no_reason_to_say_that_it_answers() -> None:
    died = log(fatal=NOW - 100, fatal_line="FATAL: no room")
    hints = [
        next(check.hint for check in judge(look).checks if check.name == "threads")
        for look in (seen(log=died), nobody(log=died))
    ]
    assert "may answer" in hints[0]
    assert "may answer" not in hints[1] and "start it" in hints[1]


def verdict_of(state: str, status: str = "ok") -> Verdict:
    return Verdict(state, [Check("process", status)])


def test_the_sickest_of_several() -> None:
    for better, worse in zip(STATES, STATES[1:]):
        assert worst([verdict_of(better, "critical"), verdict_of(worse, "critical")]) == 1
        assert worst([verdict_of(worse, "critical"), verdict_of(better, "critical")]) == 0
    # What fails a fleet counts before the state: a pool that never gets work is worse than one with a warning.
    assert worst([verdict_of("starting", "critical"), verdict_of("degraded", "warning")]) == 0
    assert worst([verdict_of("degraded", "warning"), verdict_of("degraded", "critical")]) == 1
    assert worst([verdict_of("ok"), verdict_of("ok")]) == 0


def test_the_results_have_the_names_of_the_contract() -> None:
    result = judge(seen(disk_free=1)).as_dict()
    assert set(result) == {"state", "ok", "status", "wrong", "checks"}
    assert {frozenset(check) for check in result["checks"]} == {
        frozenset(("name", "status", "observed", "expected", "reason", "hint", "summary"))
    }


@pytest.mark.parametrize(
    ("events", "age"),
    [(None, None), (log(stored_workbase=None), None), (log(), 10.0), (log(stored_workbase=NOW + 5), 0)],
)
def test_the_age_of_the_work(events: t.Optional[LogEvents], age: t.Optional[float]) -> None:
    assert work_age(events, NOW) == age


TIGHTER: t.Dict[str, t.Any] = {
    "latency_warning": 0.0001, "start_grace": 0.0, "work_age_warning": 1.0, "work_age_critical": 1.0,
    "statistics_age_warning": 1.0, "statistics_age_critical": 1.0, "hashrate_min": 1e18,
    "hashrate_drop_warning": 5.0, "hashrate_drop_critical": 5.0, "users_min": 1000, "workers_min": 1000,
    "reject_ratio_warning": 0.05, "reject_ratio_critical": 0.05, "open_files_warning": 1.0,
    "open_files_critical": 1.0, "open_files_spare": 0, "disk_free_warning": 60.0, "disk_free_critical": 60.0,
    "log_errors_critical": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", list(Thresholds.__annotations__))
def test_each_threshold_has_an_effect(name: str) -> None:
    """One that no check reads would be an option that does nothing."""
    observation = seen(stats=stats(hashrate5m=0.9e15), log=log(errors={"fatal": 1}))
    if name == "start_grace":
        observation = seen(process_age=60.0, **NO_WORK)
    loose = Thresholds(disk_free_warning=60.0) if name == "disk_free_critical" else Thresholds()
    tight = replaced(loose, **{name: TIGHTER[name]})
    assert judge(observation, tight).checks != judge(observation, loose).checks
