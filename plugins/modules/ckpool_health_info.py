# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the health of a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_health_info
short_description: Check the health of a ckpool
version_added: 0.1.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Checks whether a ckpool, or every ckpool on the host, is healthy, and what is wrong if it is not. The verdict is a state and a list
    of checks.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - Only sends messages that are harmless on every build (C(ping), C(stats), C(getbest), and C(poolstats) to detect what the build
    answers), and reads status files, a limited part of the end of the log, and C(/proc).
  - A pool that is down or hung is not an error, unless O(fail_when_down=true).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.pool.fail_when_down
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.health
options:
  all_instances:
    description:
      - Check every instance of the host. This includes those that run, those that ended unexpectedly and left a C(main.pid) in C(/tmp) or beside
        the directories of running instances, and those of systemd units that are enabled or failed and do not run.
      - RV(health) is that of the instance in the worst state. RV(instances) has a result for each.
      - Mutually exclusive with O(socket_dir), O(name) and O(pid).
    version_added: 0.1.0
  socket_dirs:
    description:
      - Socket directories of instances that should run. One that does not run is V(down). Otherwise this would not be noticed, because
        a daemon that was shut down leaves nothing outside C(/tmp) that is searched for.
      - Only with O(all_instances=true).
    type: list
    elements: path
    default: []
  warn_on:
    description:
      - Emit a warning for each instance that has a check with this status or a worse one.
    type: str
    choices: [critical, warning, never]
    default: never
seealso:
  - module: ckpool.fleet.ckpool_stats
  - module: ckpool.fleet.ckpool_health_report
"""

EXAMPLES = r"""
- name: Check the pool on this host
  ckpool.fleet.ckpool_health_info:
  register: pool

- name: Fail unless it is healthy
  ansible.builtin.assert:
    that: pool.health.ok
    fail_msg: "{{ pool.msg }}"

- name: Check every pool on the host with custom thresholds
  ckpool.fleet.ckpool_health_info:
    all_instances: true
    socket_dirs: [/run/ckpool/solo]
    skip_checks: [disk]
    thresholds:
      hashrate_min: 1.5P
      workers_min: 10

- name: Watch the work of a daemon that only logs errors
  ckpool.fleet.ckpool_health_info:
    sample_seconds: 40
"""

RETURN = r"""
health:
  description: The verdict. With O(all_instances=true), that of the instance in the worst state.
  returned: success
  type: dict
  contains: &health
    state:
      description:
        - V(ok) if it answers on all sockets and every check passes. V(degraded) if a part of it does not answer, or a check fails. V(starting)
          if it has no work yet. V(hung) if it accepts connections and does not answer. V(down) if nothing listens. V(unknown) if it cannot
          be asked, because its sockets are not accessible, or because another process or nonsense answers on them.
        - RV(instance.state) is the same without the checks, as returned by all modules.
      type: str
      sample: degraded
    ok:
      description: Whether the state is V(ok).
      type: bool
      sample: false
    status:
      description: The worst status of all checks. One of V(ok), V(warning) and V(critical).
      type: str
      sample: critical
    wrong:
      description: What is wrong, for a person, the worst first.
      type: list
      elements: str
      sample: ["work is 312 s old"]
    checks:
      description: Every check that was made, or that was skipped for a reason.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the check, one of the choices of O(skip_checks).
          type: str
          sample: work_age
        status:
          description: One of V(ok), V(warning), V(critical) and V(skipped).
          type: str
          sample: critical
        observed:
          description: The value that was checked, in seconds, H/s, percent or as a count. Null if the check was skipped.
          type: raw
          sample: 312.4
        expected:
          description: The value that counts as healthy, for a person.
          type: str
          sample: at most 95 s
        reason:
          description: The reason for the status, as a short, stable code. V(ok) if the check passed.
          type: str
          sample: stale_work
        hint:
          description: What to check next. Empty if the check passed.
          type: str
          sample: is bitcoind reachable, in sync, and answering getblocktemplate?
        summary:
          description: What was found, for a person.
          type: str
          sample: work is 312 s old
stats:
  description: The pool's statistics, with the keys of RV(ckpool.fleet.ckpool_stats#module:stats). Null if unknown.
  returned: success
  type: dict
  sample: {"hashrate1m": 38500000.0, "users": 3, "workers": 12}
work_age:
  description: Seconds since the last piece of work, from the log. Null if unknown.
  returned: success
  type: float
  sample: 4.2
clients:
  description: Number of connected clients, by the connector's count. Null if it does not answer.
  returned: success
  type: int
  sample: 12
instance:
  description: The instance, as it was last seen. Null if there is none. With O(all_instances=true), the one in the worst state.
  returned: success
  type: dict
  contains: &instance
    name:
      description: The daemon's name, from its command line, or from its directory if it has ended.
      type: str
      sample: ckpool
    mode:
      description: The daemon's mode, from its command line. One of V(pool), V(solo), V(proxy), V(passthrough), V(redirector) and V(node).
      type: str
      sample: pool
    socket_dir:
      description: Its socket directory, as the daemon sees it.
      type: str
      sample: /tmp/ckpool
    log_dir:
      description: Its log directory, as the daemon sees it, from its open files or its configuration. Null if unknown.
      type: str
      sample: /var/log/ckpool
    pid:
      description: Its process ID, as seen from the host. Null if there is none.
      type: int
      sample: 4242
    started:
      description: Time at which its process was started, in epoch seconds. Null if it does not run.
      type: int
      sample: 1795385226
    root:
      description: Where the host sees its file system. V(/), or C(/proc/PID/root) for a container or a unit with C(PrivateTmp).
      type: str
      sample: /
    user:
      description: Owner of its process, or of its directory if it has ended. Null if unknown.
      type: str
      sample: ckpool
    state:
      description:
        - V(ok) if it answers and has work. V(degraded) if a part of it does not answer. V(starting) if it has no work yet. V(hung) if it
          accepts connections and does not answer. V(down) if nothing listens. V(unknown) if it cannot be asked, because its sockets
          are not accessible, or because another process or nonsense answers on them. Null if it was not asked.
      type: str
      sample: ok
instances:
  description:
    - Every instance of the host, with the values that are described for one.
    - If an instance could not be checked, its result has C(failed), and C(phase), C(path), C(reason), C(hint) and C(msg) of the failure. The
      task fails as well then, with the results of the other instances.
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
      description: Its statistics, with the keys of RV(ckpool.fleet.ckpool_stats#module:stats). Null if unknown.
      type: dict
      sample: {"hashrate1m": 38500000.0, "users": 3, "workers": 12}
    work_age:
      description: Seconds since its last piece of work, from the log. Null if unknown.
      type: float
      sample: 4.2
    clients:
      description: Number of its connected clients, by the connector's count. Null if it does not answer.
      type: int
      sample: 12
    source:
      description: Where its statistics came from, as O(source). Null if there are none.
      type: str
      sample: files
    as_of:
      description: Time at which the source produced them, in epoch seconds. Null if there are none.
      type: int
      sample: 1795385464
    problems:
      description: What could not be determined, by area, with the reason.
      type: dict
      sample: {}
    log_tail:
      description: The last lines of its log, if it is down or hung and the log can be read.
      type: list
      elements: str
      sample: []
    msg:
      description: The result in one sentence.
      type: str
      sample: "ckpool (/tmp/ckpool) is ok: 38.5 MH/s, 3 users, 12 workers, work 4 s old"
source:
  description: Where the statistics came from, as O(source). Null if there are none.
  returned: success
  type: str
  sample: files
as_of:
  description: Time at which the source produced the statistics, in epoch seconds. Null if there are none.
  returned: success
  type: int
  sample: 1795385464
problems:
  description: What could not be determined, by area, with the reason.
  returned: success, or failure after the instance was found
  type: dict
  sample: {}
log_tail:
  description: The last lines of the log, if it can be read.
  returned: the pool is down or hung
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is ok: 38.5 MH/s, 3 users, 12 workers, work 4 s old"
phase:
  description: The phase that failed. One of V(options), V(find), V(connect), V(ask), V(read) and V(parse).
  returned: failure
  type: str
  sample: connect
path:
  description: The socket, file or directory that the failure is about. Null if it is about none.
  returned: failure
  type: str
  sample: /tmp/ckpool/listener
reason:
  description: The reason for the failure, as a short, stable code.
  returned: failure
  type: str
  sample: not_permitted
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: "use become: true"
"""

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.checkup import judged, together
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput
from ansible_collections.ckpool.fleet.plugins.module_utils._health import FAIL_ON
from ansible_collections.ckpool.fleet.plugins.module_utils._health_options import HEALTH_OPTIONS, health_options
from ansible_collections.ckpool.fleet.plugins.module_utils._info_module import find_pool
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, for_each, run
from ansible_collections.ckpool.fleet.plugins.module_utils._options import READING_OPTIONS
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._results import DOWN_STATES


def read(module: PoolModule) -> Result:
    """Check one pool, or all of them."""
    options = health_options(module)
    if not module.params["all_instances"]:
        if module.params["socket_dirs"]:
            raise BadInput("socket_dirs needs all_instances: true", reason="bad_option")
        return finish(module, judged(find_pool(module), options))

    def find_all() -> t.List[Pool]:
        return Pool.find_all(module.params["socket_dirs"], **module.search_options())

    return finish(module, together(for_each(module, find_all, lambda pool: judged(pool, options))))


def finish(module: PoolModule, result: Result) -> Result:
    """The result of the module, after its warnings."""
    rows = result.get("instances") or [result]
    result.pop("verdict", None)
    for row in rows:
        if row["health"]["status"] in FAIL_ON[module.params["warn_on"]]:
            module.warn_of(row["msg"])
    is_down = result["health"]["state"] in DOWN_STATES
    result["failed"] = (module.params["fail_when_down"] and is_down) or any(row.get("failed") for row in rows)
    return result


def main() -> None:
    """Run the module."""
    options = {
        **READING_OPTIONS,
        **HEALTH_OPTIONS,
        "socket_dirs": {"type": "list", "elements": "path", "default": []},
        "warn_on": {"type": "str", "default": "never", "choices": list(FAIL_ON)},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
