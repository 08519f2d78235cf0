# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather everything about a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_info
short_description: Gather everything about a ckpool
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Gathers the results of the other information modules about one pool, in one task and in one process on the host. Each subset has
    the same structure as the result of its module.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - What cannot be determined is null, and RV(problems) says why. A pool that is down or hung is not an error, see
    RV(instance.state), unless O(fail_when_down=true).
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
  gather_subset:
    description:
      - What to gather. V(all), V(min), which is V(summary), or names of subsets. A leading V(!) excludes a subset, as in
        M(ansible.builtin.setup).
      - V(summary) is the quick summary of the operator's guide. V(stats), V(users), V(workers), V(workbase) and V(blocks) are returned
        as by M(ckpool.fleet.ckpool_stats), M(ckpool.fleet.ckpool_user_info), M(ckpool.fleet.ckpool_worker_info),
        M(ckpool.fleet.ckpool_workbase_info) and M(ckpool.fleet.ckpool_block_info).
      - V(clients) contains counts of connections, V(config) the daemon's configuration without secrets, V(instances) all pools of the
        host, and V(sockets) the permissions of each socket and the outcome of a ping.
    type: list
    elements: str
    default: [all]
  limit:
    description:
      - Maximum number of users and of workers to return, the first in the order of O(sort_by), from V(0) to V(10000000). V(0) returns all
        of them.
    default: 100
  sort_by:
    default: hashrate1m
  blocks_limit:
    description:
      - Maximum number of blocks to return, the newest ones, from V(1) to V(10000).
    type: int
    default: 20
  blocks_since:
    description:
      - Only return blocks that were found since this time, as with O(ckpool.fleet.ckpool_block_info#module:since).
    type: str
  share_within:
    description:
      - If several tasks gather from one pool at the same time, they do so one after the other. A task reuses the answer to the same
        question of the task before it if that is at most this many seconds old, from V(0) to V(1). RV(shared) says whether it did.
    type: float
    default: 1.0
seealso:
  - module: ckpool.fleet.ckpool_health_info
"""

EXAMPLES = r"""
- name: Gather everything
  ckpool.fleet.ckpool_info:
  register: pool

- name: Gather the quick summary
  ckpool.fleet.ckpool_info:
    gather_subset: [summary]
  register: pool

- name: Show name, state and hashrate
  ansible.builtin.debug:
    msg: >-
      {{ pool.summary.name }} is {{ pool.summary.state }}
      with {{ pool.summary.hashrate1m | ckpool.fleet.human_hashrate }}

- name: Gather everything except users and workers
  ckpool.fleet.ckpool_info:
    gather_subset: ["!users", "!workers"]

- name: Gather the summary of every pool on the host
  ckpool.fleet.ckpool_info:
    gather_subset: [summary]
    all_instances: true
  register: pools

- name: Show the state of each pool
  ansible.builtin.debug:
    msg: "{{ item.instance.name }} (pid {{ item.instance.pid }}): {{ item.instance.state }}"
  loop: "{{ pools.instances }}"

- name: Gather the five strongest users of the last hour, and the blocks of the last week
  ckpool.fleet.ckpool_info:
    gather_subset: [users, blocks]
    active_within: 1h
    limit: 5
    blocks_since: 7d
"""

RETURN = r"""
summary:
  description: The pool in short. Contains the keys of RV(stats), and the following.
  returned: the subset was requested, unless O(all_instances=true)
  type: dict
  contains:
    name:
      description: The daemon's name, from its command line.
      type: str
      sample: ckpool
    mode:
      description: The daemon's mode, from its command line.
      type: str
      sample: pool
    pid:
      description: Its process ID. Null if there is none.
      type: int
      sample: 4242
    state:
      description: As RV(instance.state).
      type: str
      sample: ok
    version:
      description: The version number that its program contains. Null if the program cannot be read or contains none.
      type: str
      sample: 0.9.9
    work_age:
      description: Seconds since the last piece of work, from the log. Null if unknown.
      type: float
      sample: 12.3
    last_block:
      description: The last block that was found, as in RV(blocks). Null if the logs contain none.
      type: dict
      sample: null
stats:
  description: As RV(ckpool.fleet.ckpool_stats#module:stats). Hashrates are in H/s.
  returned: the subset was requested, unless O(all_instances=true)
  type: dict
  sample: {"hashrate1m": 38500000.0, "users": 3, "workers": 12}
users:
  description: As RV(ckpool.fleet.ckpool_user_info#module:users).
  returned: the subset was requested, unless O(all_instances=true)
  type: list
  elements: dict
  sample: []
workers:
  description: As RV(ckpool.fleet.ckpool_worker_info#module:workers).
  returned: the subset was requested, unless O(all_instances=true)
  type: list
  elements: dict
  sample: []
clients:
  description: Connections of miners, by the daemon's own counts. What a build does not count is null.
  returned: the subset was requested, unless O(all_instances=true)
  type: dict
  contains:
    connected:
      description: Number of connections, by the connector's count.
      type: int
      sample: 120
    authorised_or_new:
      description: Number of clients, by the stratifier's count. Too high for a while after miners were told to reconnect.
      type: int
      sample: 120
    disconnected:
      description: Number of clients that have left and may resume, by the stratifier's count.
      type: int
      sample: 3
    dead:
      description: Number of connections that are being closed, by the connector's count.
      type: int
      sample: 0
workbase:
  description: As RV(ckpool.fleet.ckpool_workbase_info#module:workbase).
  returned: the subset was requested, unless O(all_instances=true)
  type: dict
  sample: {"height": 850001, "transactions": 3012}
blocks:
  description: As RV(ckpool.fleet.ckpool_block_info#module:blocks).
  returned: the subset was requested, unless O(all_instances=true)
  type: list
  elements: dict
  sample: []
config:
  description:
    - The daemon's configuration. Only the values of keys that are known to contain no secret are shown, such as C(mindiff), C(logdir) and
      C(btcaddress). Of addresses, such as C(url), C(serverurl) and C(zmqblock), host and port are shown, if there is nothing else but a
      scheme before them or a path after them.
    - Every other value is C(********), including those of unknown keys. The number of values in a list or a dictionary remains visible,
      and so do null and empty strings.
  returned: the subset was requested, unless O(all_instances=true)
  type: dict
  sample: {"logdir": "/var/log/ckpool", "update_interval": 30}
instances:
  description:
    - Every pool of the host, with the keys of RV(instance).
    - With O(all_instances=true), the result for each instance instead, with the same keys as for one. If an instance failed, its result has
      C(failed), and C(phase), C(path), C(reason), C(hint) and C(msg) of the failure. The task fails as well then, with the results of the
      other instances.
  returned: the subset was requested, or O(all_instances=true)
  type: list
  elements: dict
  sample: []
sockets:
  description: The sockets.
  returned: the subset was requested, unless O(all_instances=true)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the socket.
      type: str
      sample: stratifier
    outcome:
      description: Outcome of a ping, C(reply) or the reason why there was none.
      type: str
      sample: reply
    path:
      description: Path of the socket.
      type: str
      sample: /tmp/ckpool/stratifier
    owner:
      description: Owner of the file. Null if it is not accessible.
      type: str
      sample: ckpool
    group:
      description: Group of the file. Null if it is not accessible.
      type: str
      sample: ckpool
    mode:
      description: Permissions of the file. Null if it is not accessible.
      type: str
      sample: "0770"
sources:
  description: Where each subset came from, as O(source). Null for a subset that could not be determined.
  returned: success, unless O(all_instances=true)
  type: dict
  sample: {"stats": "files", "users": "files"}
shared:
  description: Whether this is the answer that another task received within O(share_within).
  returned: success, unless O(all_instances=true)
  type: bool
  sample: false
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
  description: Where the statistics came from, as O(source). Null if there are none.
  returned: success, unless O(all_instances=true)
  type: str
  sample: files
as_of:
  description: Time at which the source produced the statistics, in epoch seconds. Null if there are none.
  returned: success, unless O(all_instances=true)
  type: int
  sample: 1795385464
problems:
  description: What could not be determined, by area, with the reason. C(sharing) if O(share_within) has no effect, because another user
    can write to the directory in which answers are kept.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  sample: {}
log_tail:
  description: The last lines of the log, if it can be read.
  returned: the pool is down or hung, unless O(all_instances=true)
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is ok: summary, stats, users"
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

import time

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._answer_cache import refusal, shared
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.gather import Options, chosen, gathered
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.selection import SORT_FIELDS
from ansible_collections.ckpool.fleet.plugins.module_utils._info_module import read_each
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._options import LISTING_OPTIONS, READING_OPTIONS
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._units import moment, parse_duration


def read(module: PoolModule) -> Result:
    """Gather what was asked for, or reuse the answer of another task."""
    options = module.params
    module.check_ranges(limit=(0, 10_000_000), blocks_limit=(1, 10_000), share_within=(0, 1))
    subsets = chosen(options["gather_subset"])
    if options["all_instances"]:
        subsets = [name for name in subsets if name != "instances"]  # they are the result
    within, since = options["active_within"], options["blocks_since"]
    wanted = Options(
        subsets,
        options["limit"] or None,
        options["sort_by"],
        None if within is None else parse_duration(within),
        options["blocks_limit"],
        0.0 if since is None else moment(since, time.time()),
        options["include_stale"],
    )
    question = [options[name] for name in sorted(options) if name not in ("share_within", "fail_when_down")]

    def one(pool: Pool) -> Result:
        result, taken = shared(pool.instance, question, options["share_within"], lambda: gathered(pool, wanted))
        refused = refusal() if options["share_within"] > 0 else ""
        if refused:
            result["problems"] = {**result["problems"], "sharing": refused}
        return dict(result, shared=taken)

    return read_each(module, one)


def main() -> None:
    """Run the module."""
    options = {
        "gather_subset": {"type": "list", "elements": "str", "default": ["all"]},
        **LISTING_OPTIONS,
        "limit": {"type": "int", "default": 100},
        "sort_by": {"type": "str", "default": "hashrate1m", "choices": list(SORT_FIELDS)},
        "blocks_limit": {"type": "int", "default": 20},
        "blocks_since": {"type": "str"},
        "share_within": {"type": "float", "default": 1.0},
        **READING_OPTIONS,
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
