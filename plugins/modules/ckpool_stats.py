# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the statistics of a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_stats
short_description: Read the statistics of a ckpool
version_added: 0.1.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Reads the hashrates, users, workers, shares and uptime of a running ckpool.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - Asks the daemon's sockets if its build answers, and reads its status files if it does not. RV(source) says which was used,
    and RV(as_of) how old the answer is.
  - A value that makes no sense is null, and RV(problems) names it. A time in the future is kept, and named too.
  - A pool that is down or hung is not an error, see RV(instance.state), unless O(fail_when_down=true).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.pool.fail_when_down
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  raw:
    description:
      - Also return the reply or the status file as it was received.
    type: bool
    default: false
seealso:
  - module: ckpool.fleet.ckpool_user_info
  - module: ckpool.fleet.ckpool_health_info
"""

EXAMPLES = r"""
- name: Read the statistics of the pool on this host
  ckpool.fleet.ckpool_stats:
  register: pool

- name: Show them in one sentence
  ansible.builtin.debug:
    msg: "{{ pool.msg }}"

- name: Read the statistics of one of several pools, and fail if it is down
  ckpool.fleet.ckpool_stats:
    socket_dir: /run/ckpool/solo
    fail_when_down: true

- name: Read the statistics of every pool on the host
  ckpool.fleet.ckpool_stats:
    all_instances: true
  register: pools

- name: Show the number of workers of each pool
  ansible.builtin.debug:
    msg: "{{ item.instance.name }} (pid {{ item.instance.pid }}): {{ item.stats.workers }}"
  loop: "{{ pools.instances }}"

- name: Read the status files only, and return their content too
  ckpool.fleet.ckpool_stats:
    name: solo
    source: files
    raw: true
"""

RETURN = r"""
stats:
  description: The statistics. A value that the source does not provide is null, never 0.
  returned: success, unless O(all_instances=true)
  type: dict
  contains:
    hashrate1m:
      description: Hashrate over 1 minute, in H/s. From C(pool.status), C(poolstats) or the guide's C(stats).
      type: float
      sample: 38500000.0
    hashrate5m:
      description: Hashrate over 5 minutes, in H/s. From the same sources.
      type: float
      sample: 21800000.0
    hashrate15m:
      description: Hashrate over 15 minutes, in H/s. From the same sources. Null if the guide does not provide it.
      type: float
      sample: 8700000.0
    hashrate1hr:
      description: Hashrate over 1 hour, in H/s. From the same sources.
      type: float
      sample: 2330000.0
    hashrate6hr:
      description: Hashrate over 6 hours, in H/s. From the same sources. Null if the guide does not provide it.
      type: float
      sample: 396000.0
    hashrate1d:
      description: Hashrate over 1 day, in H/s. From the same sources.
      type: float
      sample: 99300.0
    hashrate7d:
      description: Hashrate over 7 days, in H/s. From the same sources.
      type: float
      sample: 14200.0
    users:
      description: Number of users with workers. From all sources.
      type: int
      sample: 3
    workers:
      description: Number of workers. From all sources.
      type: int
      sample: 12
    idle:
      description: Number of workers that have not sent a share recently. From C(pool.status).
      type: int
      sample: 1
    disconnected:
      description: Number of clients that have left and may resume. From C(pool.status) and C(poolstats).
      type: int
      sample: 0
    accepted:
      description: Accepted shares since the last block, as the sum of their difficulties. From all sources. Null for a build of
        2017 without shares.
      type: float
      sample: 1234567
    rejected:
      description: Rejected shares since the last block, as the sum of their difficulties. From the same sources.
      type: float
      sample: 1234
    accepted_count:
      description: Number of accepted shares since the last block. From C(pool.status) and C(poolstats) of builds of 2026.
      type: int
      version_added: 0.4.0
      sample: 95
    rejected_count:
      description: Number of rejected shares since the last block. From the same sources.
      type: int
      version_added: 0.4.0
      sample: 0
    effort:
      description: Accepted difficulty since the last block, in percent of the network difficulty. From the field C(diff) of
        C(pool.status) of builds of 2025 and 2026.
      type: float
      version_added: 0.4.0
      sample: 12.5
    best_share:
      description: Difficulty of the best share. From C(pool.status), or from a socket if the build provides it there.
      type: float
      sample: 65536.2
    sps1m:
      description: Shares per second over 1 minute. From C(pool.status) and C(poolstats).
      type: float
      sample: 0.716198
    sps5m:
      description: Shares per second over 5 minutes. From the same sources.
      type: float
      sample: 0.267914
    sps15m:
      description: Shares per second over 15 minutes. From the same sources.
      type: float
      sample: 0.0997886
    sps1h:
      description: Shares per second over 1 hour. From the same sources.
      type: float
      sample: 0.0260197
    uptime:
      description: Seconds since the daemon was started, by its own count. From all sources.
      type: int
      sample: 86400
    network_difficulty:
      description: Difficulty of the network. From C(pool.status) of builds of 2026, otherwise from the end of the log.
      type: float
      sample: 86388558925171.0
    user_workbases:
      description: Number of workbases that a solo pool holds for its users, each with a coinbase that pays one of them. From the
        stratifier's own counts (C(userwbs)). Null in other modes.
      type: int
      version_added: 0.4.0
      sample: 12
    user_agents:
      description: The most frequent user agents of the miners, with their number and hashrate. From C(pool.status) of builds of
        2026. Null otherwise.
      type: list
      elements: dict
      version_added: 0.4.0
      contains:
        user_agent:
          description: The user agent, without a version.
          type: str
          sample: cgminer
        devices:
          description: Number of clients with this user agent.
          type: int
          sample: 4
        hashrate5m:
          description: Their hashrate over 5 minutes, in H/s.
          type: float
          sample: 93600.0
        best_share:
          description: Difficulty of their best share.
          type: float
          sample: 65536.2
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  contains:
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
source:
  description: Where the answer came from, as O(source). Null if there is no answer.
  returned: success, unless O(all_instances=true)
  type: str
  sample: files
as_of:
  description: Time at which the source produced the answer, in epoch seconds. Null if there is no answer.
  returned: success, unless O(all_instances=true)
  type: int
  sample: 1795385464
problems:
  description: What could not be determined, by area, with the reason.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  sample: {}
raw:
  description: The reply of the socket as a dictionary, or the objects of the status file as a list.
  returned: O(raw=true)
  type: raw
  sample: {"users": 3, "workers": 12}
log_tail:
  description: The last lines of the log, if it can be read.
  returned: the pool is down or hung, unless O(all_instances=true)
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
instances:
  description:
    - The result for each instance, with the same keys as for one. If an instance failed, its result has C(failed), and C(phase), C(path),
      C(reason), C(hint) and C(msg) of the failure. The task fails as well then, with the results of the other instances.
  returned: O(all_instances=true)
  type: list
  elements: dict
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): 38.5 MH/s, 3 users, 12 workers (files, 12 s old)"
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

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._ask import reading
from ansible_collections.ckpool.fleet.plugins.module_utils._info_module import read_each
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._options import READING_OPTIONS


def read(module: PoolModule) -> Result:
    """Read the statistics of one pool or of all."""
    return read_each(module, lambda pool: reading.stats(pool, module.params["raw"]))


def main() -> None:
    """Run the module."""
    options = {
        **READING_OPTIONS,
        "raw": {"type": "bool", "default": False},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
