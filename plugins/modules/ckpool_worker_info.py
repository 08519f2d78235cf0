# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the workers of a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_worker_info
short_description: Read the workers of a ckpool
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Reads hashrates, shares and times of the workers of all users, in one list.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - Never asks the daemon for a worker by name, because public builds would create its user. Workers are taken from the listing of
    a build that answers by socket, and otherwise from the status files.
  - With many users, set O(users), O(workers) or O(state=active) to save time. Files of other users and files that were not
    written recently are not opened then. The files of users who have left are ignored unless O(include_stale=true).
  - A value that makes no sense is null, and RV(problems) names it.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.pool.fail_when_down
  - ckpool.fleet.pool.listing
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  users:
    description:
      - Only return workers of these users. By default, workers of all users are returned.
      - A name that contains V(/), V(..), NUL or a newline, or that is longer than 127 bytes, is rejected before the pool is asked.
    type: list
    elements: str
  workers:
    description:
      - Only return workers with these names, each of which begins with that of its user. By default, all are returned.
      - A name that the pool does not know is not an error. It is listed in RV(missing).
      - A name that contains NUL or a newline, or that is longer than 510 bytes, is rejected before the pool is asked.
    type: list
    elements: str
  state:
    description:
      - Only return active workers, or only idle ones.
    type: str
    choices: [active, idle, any]
    default: any
  active_within:
    description:
      - A worker is active if its last share is at most this old, in seconds or with a unit, V(s), V(m), V(h), V(d) or V(w), such
        as V(90s) or V(1h).
      - The default is the time after which the daemon itself considers a client idle.
      - Builds of 2017 do not record the time of the last share. For these, the time at which the status file was written is used.
    default: 10m
  sort_by:
    choices: [worker, user, hashrate1m, hashrate5m, hashrate1hr, hashrate1d, hashrate7d, shares, best_share, last_share]
    default: worker
  include_stale:
    description:
      - Also return workers of users who have left. The status file of a user remains when the user leaves, with the last hashrate
        in it.
      - A file is stale if it was not written by this run of the daemon, or not within the last 10 minutes. The daemon rewrites it
        every minute as long as it has the user in memory.
      - With O(state=idle), these workers are always returned, and so are workers that O(users) or O(workers) select.
        RV(workers[].stale) marks them.
  fields:
    description:
      - Only return these fields of each worker. By default, all fields are returned.
    type: list
    elements: str
    choices:
      - worker
      - user
      - hashrate1m
      - hashrate5m
      - hashrate1hr
      - hashrate1d
      - hashrate7d
      - shares
      - best_share
      - last_share
      - idle
      - best_ever
      - started
      - user_agent
      - updated
      - stale
seealso:
  - module: ckpool.fleet.ckpool_user_info
  - module: ckpool.fleet.ckpool_stats
"""

EXAMPLES = r"""
- name: List the workers that have not sent a share for an hour
  ckpool.fleet.ckpool_worker_info:
    state: idle
    active_within: 1h
    fields: [worker, last_share]
  register: pool

- name: Show their names
  ansible.builtin.debug:
    msg: "{{ pool.workers | map(attribute='worker') | join(', ') }}"

- name: Find the ten strongest workers of one user
  ckpool.fleet.ckpool_worker_info:
    users: [bc1qexampleaddress]
    state: active
    sort_by: hashrate1hr
    limit: 10
"""

RETURN = r"""
workers:
  description: The workers. A value that the source does not provide is null. With O(fields), only these fields are present.
  returned: success, unless O(all_instances=true)
  type: list
  elements: dict
  contains:
    worker:
      description: Name of the worker, including that of its user.
      type: str
      sample: bc1qexampleaddress.rig0
    user:
      description: Name of its user.
      type: str
      sample: bc1qexampleaddress
    hashrate1m:
      description: Hashrate over 1 minute, in H/s. From the file of the user or worker, or the listing C(workers).
      type: float
      sample: 14100000.0
    hashrate5m:
      description: Hashrate over 5 minutes, in H/s. From the same sources.
      type: float
      sample: 8680000.0
    hashrate1hr:
      description: Hashrate over 1 hour, in H/s. From the same sources.
      type: float
      sample: 1140000.0
    hashrate1d:
      description: Hashrate over 1 day, in H/s. From the same sources.
      type: float
      sample: 49600.0
    hashrate7d:
      description: Hashrate over 7 days, in H/s. From the files and the guide. Null for the query API.
      type: float
      sample: 7100.0
    shares:
      description: Accepted shares, in shares of difficulty 1. From the files, or from a socket if the build provides them there.
      type: float
      sample: 2
    best_share:
      description: Difficulty of the best share. From all sources.
      type: float
      sample: 2.37
    last_share:
      description: Time of the last share, in epoch seconds. From all sources except the files of builds of 2017.
      type: int
      sample: 1795385399
    best_ever:
      description: Difficulty of the best share ever, including those before the last block. From the files of builds of 2025 and 2026.
      type: float
      version_added: 0.4.0
      sample: 27
    started:
      description: Time of its last connection, in epoch seconds. From the files of builds of 2026, and their C(workers) of the query API.
      type: int
      version_added: 0.4.0
      sample: 1795385369
    user_agent:
      description: User agent of its miner. From the same sources.
      type: str
      version_added: 0.4.0
      sample: cgminer/4.9.0
    updated:
      description: Time at which the file was written, in epoch seconds. Null for sockets.
      type: int
      version_added: 0.4.0
      sample: 1795385485
    stale:
      description: Whether its file was not written by this run of the daemon, or is too old. The worker has left then.
      type: bool
      version_added: 0.4.0
      sample: false
    idle:
      description: Whether its last share is older than O(active_within), whatever the source.
      type: bool
      sample: false
missing:
  description: The names in O(workers) that the pool does not know, or that no pool knows with O(all_instances=true), or that do not
    belong to any of O(users). Empty if O(state=active) left files unread.
  returned: success
  type: list
  elements: str
  sample: []
left_out:
  description: Number of users who were left out because their files are stale, see O(include_stale).
  returned: there are such users
  type: int
  version_added: 0.4.0
  sample: 3
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
  sample: "ckpool (/tmp/ckpool): 12 workers of 3 users, 1 of them idle (files)"
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
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.selection import WORKER_FIELDS, WORKER_SORT_FIELDS
from ansible_collections.ckpool.fleet.plugins.module_utils._info_module import read_each
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._names import check_user_name, check_worker_name
from ansible_collections.ckpool.fleet.plugins.module_utils._options import LISTING_OPTIONS, READING_OPTIONS
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._units import parse_duration


def read(module: PoolModule) -> Result:
    """Read the workers of one pool or of all."""
    options = module.params
    module.check_ranges(limit=(1, 2**31 - 1))
    for name in options["users"] or ():
        check_user_name(name)
    for name in options["workers"] or ():
        check_worker_name(name)
    within = parse_duration(options["active_within"])

    def one(pool: Pool) -> Result:
        return reading.workers(
            pool, options["fields"] or WORKER_FIELDS, options["users"], options["workers"], options["state"], within,
            options["sort_by"], options["limit"], options["include_stale"],
        )  # fmt: skip

    result = read_each(module, one)
    return reading.missing_everywhere(result, options["workers"]) if options["all_instances"] else result


def main() -> None:
    """Run the module."""
    options = {
        "users": {"type": "list", "elements": "str"},
        "workers": {"type": "list", "elements": "str"},
        "state": {"type": "str", "default": "any", "choices": ["active", "idle", "any"]},
        **LISTING_OPTIONS,
        "active_within": {"type": "str", "default": "10m"},
        "sort_by": {"type": "str", "default": "worker", "choices": list(WORKER_SORT_FIELDS)},
        "fields": {"type": "list", "elements": "str", "choices": list(WORKER_FIELDS)},
        **READING_OPTIONS,
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
