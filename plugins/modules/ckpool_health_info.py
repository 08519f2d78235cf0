# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the health of a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_health_info
short_description: Judge the health of a ckpool
version_added: 0.1.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Says whether a ckpool, or every ckpool of the host, is well, and if not, why. The verdict is a state and a list
    of checks.
  - Only sends messages that do no harm on any build (C(ping), C(stats), C(getbest), and C(poolstats) to learn what
    the build answers), and reads status files, a bounded end of the log, and C(/proc).
  - A pool that is down or hung is an answer, unless O(fail_when_down=true).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  all_instances:
    description:
      - Judge every instance of the host, those that run and what ended ones left in the default directories.
      - RV(health) is then that of the sickest.
    type: bool
    default: false
  socket_dirs:
    description:
      - Socket directories of instances that should be there. One that is not running is then C(down), where it would
        otherwise not be noticed, as nothing tells of an ended daemon outside the default directories.
      - Only with O(all_instances=true).
    type: list
    elements: path
    default: []
  fail_when_down:
    description:
      - Fail if the pool, or any of them, is V(down) or V(hung).
    type: bool
    default: false
  warn_on:
    description:
      - Also emit a warning of Ansible for each instance with a check of this status or worse.
    type: str
    choices: [never, warning, critical]
    default: never
  skip_checks:
    description:
      - Checks to leave out.
    type: list
    elements: str
    choices:
      [process, ready, threads, bitcoind, work_age, work_moves, statistics, socket_listener, socket_stratifier,
      socket_connector, socket_generator, hashrate, hashrate_drop, users, workers, reject_ratio, open_files, disk,
      log_errors, leftovers]
    default: []
  sample_seconds:
    description:
      - Watch the daemon's counter of workbases for so many seconds, at most V(600). V(0) does not, and goes by the log.
      - For a daemon whose log level hides its work. Choose more than its C(update_interval).
    type: float
    default: 0.0
  log_limit:
    description:
      - Bytes from the end of the log that may be read.
    type: int
    default: 16777216
  thresholds:
    description:
      - What still counts as well.
    type: dict
    default: {}
    suboptions:
      latency_warning:
        description:
          - Seconds that a socket may take to answer.
        type: float
        default: 1.0
      start_grace:
        description:
          - Seconds after its start within which a pool may be without work.
        type: float
        default: 120.0
      work_age_warning:
        description:
          - Seconds that the last piece of work may be old. By default three times the C(update_interval) of the
            daemon's configuration and 5 seconds.
        type: float
      work_age_critical:
        description:
          - The same, from which on it is critical. By default ten times C(update_interval) and 5 seconds.
        type: float
      statistics_age_warning:
        description:
          - Seconds that the statistics may be old. The daemon writes them each minute.
        type: float
        default: 150.0
      statistics_age_critical:
        description:
          - The same, from which on it is critical.
        type: float
        default: 600.0
      hashrate_min:
        description:
          - Least hashrate over 5 minutes. A number in H/s, or a text such as V(1.5P). Not asked for by default.
        type: str
      hashrate_drop_warning:
        description:
          - Percent by which the hashrate over 5 minutes may lie under that over 1 hour.
        type: float
        default: 50.0
      hashrate_drop_critical:
        description:
          - The same, from which on it is critical.
        type: float
        default: 90.0
      users_min:
        description:
          - Least number of users. Not asked for by default.
        type: int
      workers_min:
        description:
          - Least number of workers. Not asked for by default.
        type: int
      reject_ratio_warning:
        description:
          - Percent of the shares that may have been rejected.
        type: float
        default: 5.0
      reject_ratio_critical:
        description:
          - The same, from which on it is critical.
        type: float
        default: 25.0
      open_files_warning:
        description:
          - Percent of the process's limit of open files that may be in use.
        type: float
        default: 80.0
      open_files_critical:
        description:
          - The same, from which on it is critical.
        type: float
        default: 95.0
      open_files_spare:
        description:
          - How many files may be open beyond one for each client.
        type: int
        default: 500
      disk_free_warning:
        description:
          - Percent of the log directory's disk that should be free.
        type: float
        default: 10.0
      disk_free_critical:
        description:
          - The same, under which it is critical.
        type: float
        default: 3.0
      log_errors_critical:
        description:
          - How many recent errors in the log are critical. One is a warning. That no bitcoind answers does not count
            here.
        type: int
        default: 100
      log_window:
        description:
          - Seconds within which an error in the log counts as recent.
        type: float
        default: 600.0
seealso:
  - module: ckpool.fleet.ckpool_stats
  - module: ckpool.fleet.ckpool_health_report
"""

EXAMPLES = r"""
- name: Judge the pool of this host
  ckpool.fleet.ckpool_health_info:
  register: pool

- name: Stop here unless all is well
  ansible.builtin.assert:
    that: pool.health.ok
    fail_msg: "{{ pool.msg }}"

- name: Judge every pool of the host, with bounds of our own
  ckpool.fleet.ckpool_health_info:
    all_instances: true
    socket_dirs: [/run/ckpool/solo]
    skip_checks: [disk]
    thresholds:
      hashrate_min: 1.5P
      workers_min: 10

- name: Watch the work of a daemon that logs only errors
  ckpool.fleet.ckpool_health_info:
    sample_seconds: 40
"""

RETURN = r"""
health:
  description: The verdict. Of the sickest instance with O(all_instances=true).
  returned: success
  type: dict
  contains: &health
    state:
      description:
        - V(ok) if all is well, V(degraded) if it answers and a check fails, V(starting) if it has no work yet,
          V(hung) if it accepts and does not answer, V(down) if nothing listens, V(unknown) if its sockets may not be
          used.
      type: str
      sample: degraded
    ok:
      description: Whether the state is V(ok).
      type: bool
      sample: false
    status:
      description: The worst status of any check, V(ok), V(warn) or V(critical).
      type: str
      sample: critical
    wrong:
      description: What is wrong, for a person, the worst first.
      type: list
      elements: str
      sample: ["work is 312 s old"]
    checks:
      description: Every check that was made, or skipped for a reason.
      type: list
      elements: dict
      contains:
        name:
          description: Its name, one of the choices of O(skip_checks).
          type: str
          sample: work_age
        status:
          description: V(ok), V(warn), V(critical) or V(skipped).
          type: str
          sample: critical
        observed:
          description: The value that was judged, in seconds, H/s, percent or a count. Null if skipped.
          type: raw
          sample: 312.4
        expected:
          description: What would have been well.
          type: str
          sample: at most 95 s
        reason:
          description: Why, as a short stable code. V(ok) if well.
          type: str
          sample: stale_work
        hint:
          description: What to look at next. Empty if well.
          type: str
          sample: is bitcoind reachable, in sync, and answering getblocktemplate?
        summary:
          description: What was seen, for a person.
          type: str
          sample: work is 312 s old
stats:
  description: The pool's statistics, with the keys of RV(ckpool.fleet.ckpool_stats#module:stats). Null if not known.
  returned: success
  type: dict
  sample: {"hashrate1m": 38500000.0, "users": 3, "workers": 12}
work_age:
  description: Seconds since the last piece of work, from the log. Null if not known.
  returned: success
  type: float
  sample: 4.2
clients:
  description: Connected clients, from the connector. Null if it does not answer.
  returned: success
  type: int
  sample: 12
instance:
  description: The instance judged; the sickest with O(all_instances=true), null if there is none.
  returned: success
  type: dict
  contains: &instance
    name:
      description: The daemon's name, from its command line.
      type: str
      sample: ckpool
    mode:
      description: V(pool), V(solo), V(proxy), V(passthrough), V(redirector) or V(node), from its command line.
      type: str
      sample: pool
    socket_dir:
      description: Its socket directory, as the daemon sees it.
      type: str
      sample: /tmp/ckpool
    log_dir:
      description: Its log directory, from its configuration. Null if not known.
      type: str
      sample: /var/log/ckpool
    pid:
      description: Its process id, from C(main.pid). Null if there is none.
      type: int
      sample: 4242
    state:
      description:
        - V(ok) if it answers, V(starting) if it has no work yet, V(hung) if it accepts and does not answer, V(down) if
          nothing listens, V(degraded) if a check fails, V(unknown) if its sockets may not be used.
      type: str
      sample: ok
instances:
  description: Every instance of the host, with what is said of one above.
  returned: O(all_instances=true)
  type: list
  elements: dict
  contains:
    instance:
      description: The instance.
      type: dict
      contains: *instance
    health:
      description: Its verdict.
      type: dict
      contains: *health
    stats:
      description: Its statistics, as above.
      type: dict
      sample: {"hashrate1m": 38500000.0, "users": 3, "workers": 12}
    work_age:
      description: Seconds since its last piece of work.
      type: float
      sample: 4.2
    clients:
      description: Its connected clients.
      type: int
      sample: 12
    source:
      description: Where its statistics came from.
      type: str
      sample: files
    as_of:
      description: When they were made, in epoch seconds.
      type: int
      sample: 1795385464
    problems:
      description: What could not be had of it, by area, and why.
      type: dict
      sample: {}
    log_tail:
      description: The last lines of its log, if it is down or hung.
      type: list
      elements: str
      sample: []
    msg:
      description: What was found, in one sentence.
      type: str
      sample: "ckpool (/tmp/ckpool) is ok: 38.5 MH/s, 3 users, 12 workers, work 4 s old"
source:
  description: Where the answer came from, V(guide), V(api) or V(files). Null if there is no answer.
  returned: success
  type: str
  sample: files
as_of:
  description: When the source made it, in epoch seconds. Null if there is no answer.
  returned: success
  type: int
  sample: 1795385464
problems:
  description: What could not be had, by area, and why.
  returned: success, or failure after the pool was found
  type: dict
  sample: {}
log_tail:
  description: The last lines of its log, where they may be read.
  returned: the pool is down or hung
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
msg:
  description: What was found, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is ok: 38.5 MH/s, 3 users, 12 workers, work 4 s old"
phase:
  description: What failed, V(options), V(find), V(connect), V(ask), V(read) or V(parse).
  returned: failure
  type: str
  sample: connect
path:
  description: The socket, file or folder that it failed on.
  returned: failure
  type: str
  sample: /tmp/ckpool/stratifier
reason:
  description: Why, as a short stable code.
  returned: failure
  type: str
  sample: not_permitted
hint:
  description: What to look at or try next.
  returned: failure
  type: str
  sample: "use become: true"
"""

import dataclasses
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._health import CHECKS, Thresholds, Verdict, worst
from ansible_collections.ckpool.fleet.plugins.module_utils._module import (
    PoolModule,
    Result,
    check_range,
    describe,
    run,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._observation import Observation, work_age
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import HealthOptions, Pool, in_parallel
from ansible_collections.ckpool.fleet.plugins.module_utils._reading import DOWN_STATES, find_pool
from ansible_collections.ckpool.fleet.plugins.module_utils._units import human_hashrate, parse_hashrate

_STATUSES = {"never": (), "warning": ("warn", "critical"), "critical": ("critical",)}


def read(module: PoolModule) -> Result:
    """Judge the one pool, or all of them."""
    options = health_options(module)
    if not module.params["all_instances"]:
        if module.params["socket_dirs"]:
            raise BadInput("socket_dirs only goes with all_instances: true", reason="bad_option")
        return finish(module, judged(find_pool(module), options))
    if module.params["socket_dir"] or module.params["name"]:
        raise BadInput("socket_dir and name choose one instance: not with all_instances: true", reason="bad_option")
    pools = Pool.find_all(module.params["socket_dirs"], **module.common())
    found = in_parallel([_judging(pool, options) for pool in pools])
    if not found:
        nothing = {
            "state": "down",
            "ok": False,
            "status": "critical",
            "wrong": ["no ckpool on this host"],
            "checks": [],
        }
        empty = {"health": nothing, "instance": None, "stats": None, "work_age": None, "clients": None, "source": None}
        return finish(module, {**empty, "as_of": None, "problems": {}, "msg": "no ckpool runs on this host"}, [])
    sickest = found[worst([row["verdict"] for row in found])]
    return finish(module, sickest, found)


def finish(module: PoolModule, result: Result, all_of_them: t.Optional[t.List[Result]] = None) -> Result:
    """The result of the module from that of the sickest instance, and whether to warn and to fail."""
    rows = [result] if all_of_them is None else all_of_them
    for row in rows or [result]:
        row.pop("verdict", None)
        if row["health"]["status"] in _STATUSES[module.params["warn_on"]]:
            module.warn(row["msg"])
    if all_of_them is not None:
        sick = [row["msg"] for row in rows if not row["health"]["ok"]]
        well = f"{len(rows) - len(sick)} of {len(rows)} instances are well"
        msg = result["msg"] if len(rows) < 2 else "; ".join([well, *sick])
        result = {**result, "instances": rows, "msg": msg}
    result["failed"] = module.params["fail_when_down"] and result["health"]["state"] in DOWN_STATES
    return result


def _judging(pool: Pool, options: HealthOptions) -> t.Callable[[], Result]:
    return lambda: judged(pool, options)


def judged(pool: Pool, options: HealthOptions) -> Result:
    """What is said of one instance."""
    verdict, seen = pool.health(options)
    result = {
        "instance": pool.instance.as_dict(verdict.state),
        "health": verdict.as_dict(),
        "verdict": verdict,
        "stats": seen.stats.as_dict() if seen.stats else None,
        "work_age": work_age(seen.log, seen.now),
        "clients": seen.clients,
        "source": seen.stats_source or None,
        "as_of": seen.stats_as_of,
        "problems": seen.problems,
        "msg": sentence(verdict, seen, describe(pool.instance)),
    }
    if verdict.state in DOWN_STATES:
        result["log_tail"] = pool.instance.last_log_lines()
    return result


def sentence(verdict: Verdict, seen: Observation, name: str) -> str:
    """The verdict for a person."""
    if verdict.wrong:
        return f"{name} is {verdict.state}: {'; '.join(verdict.wrong)}"
    facts = []
    if seen.stats:
        facts = [human_hashrate(seen.stats.hashrate1m)]
        counts = (("users", seen.stats.users), ("workers", seen.stats.workers))
        facts += [f"{count} {what}" for what, count in counts if count is not None]
    age = work_age(seen.log, seen.now)
    if age is not None:
        facts.append(f"work {age:.0f} s old")
    return f"{name} is {verdict.state}" + (f": {', '.join(facts)}" if facts else "")


def health_options(module: PoolModule) -> HealthOptions:
    """How to judge, from the module's options."""
    options = module.params
    module.check_ranges(sample_seconds=(0, 600), log_limit=(0, 2**40))
    limits = dict(options["thresholds"])
    for name, value in limits.items():
        check_range(f"thresholds.{name}", value, 0, 100 if name.startswith(_PERCENT) else 1e9)
    log_window = limits.pop("log_window")
    try:
        limits["hashrate_min"] = parse_hashrate(limits["hashrate_min"])
    except PoolError as exc:
        raise BadInput(f"thresholds.hashrate_min is {exc}", reason="bad_hashrate") from None
    return HealthOptions(
        Thresholds(**limits), options["sample_seconds"], log_window, options["log_limit"], options["skip_checks"]
    )


_PERCENT = ("hashrate_drop_", "reject_ratio_", "open_files_w", "open_files_c", "disk_free_")
#: the types of the thresholds that have no default to tell it
_TYPES = {"hashrate_min": "str", "users_min": "int", "workers_min": "int"}


def _threshold_options() -> t.Dict[str, t.Any]:
    options: t.Dict[str, t.Any] = {"log_window": {"type": "float", "default": 600.0}}
    for field in dataclasses.fields(Thresholds):
        kind = _TYPES.get(field.name, "int" if isinstance(field.default, int) else "float")
        options[field.name] = {"type": kind} if field.default is None else {"type": kind, "default": field.default}
    return options


def main() -> None:
    """Run the module."""
    options = {
        "all_instances": {"type": "bool", "default": False},
        "socket_dirs": {"type": "list", "elements": "path", "default": []},
        "fail_when_down": {"type": "bool", "default": False},
        "warn_on": {"type": "str", "default": "never", "choices": list(_STATUSES)},
        "skip_checks": {"type": "list", "elements": "str", "default": [], "choices": list(CHECKS)},
        "sample_seconds": {"type": "float", "default": 0.0},
        "log_limit": {"type": "int", "default": 16777216},
        "thresholds": {"type": "dict", "default": {}, "options": _threshold_options(), "apply_defaults": True},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
