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
  - Gathers what the other reading modules tell of one pool, in one task and one process on the host. Each subset has
    the shape of its own module.
  - What cannot be had is null, and RV(problems) says why. A pool that is down or hung is an answer
    (RV(instance.state)), unless O(fail_when_down=true).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  gather_subset:
    description:
      - What to gather. V(all), V(min) which is V(summary), names of subsets, or each of these with a V(!) to leave it
        out, as in M(ansible.builtin.setup).
      - V(summary) is the guide's quick summary. V(stats), V(users), V(workers), V(workbase) and V(blocks) are what
        M(ckpool.fleet.ckpool_stats), M(ckpool.fleet.ckpool_user_info), M(ckpool.fleet.ckpool_worker_info),
        M(ckpool.fleet.ckpool_workbase_info) and M(ckpool.fleet.ckpool_block_info) return.
      - V(clients) counts connections, V(config) is the daemon's configuration without its secrets, V(instances) are all
        pools of the host, V(sockets) says who may use each socket, and what came of a ping.
    type: list
    elements: str
    default: [all]
  limit:
    description:
      - Users and workers at most, the first in the order of O(sort_by). V(0) for all of them.
    type: int
    default: 100
  sort_by:
    description:
      - In which order. V(user) ascends, all else descends.
    type: str
    choices: [user, hashrate1m, hashrate5m, hashrate1hr, hashrate1d, hashrate7d, shares, best_share, last_share]
    default: hashrate1m
  active_within:
    description:
      - Only users and workers whose last share is at most this old, in seconds or as V(90s), V(10m), V(1h), V(7d).
    type: str
  blocks_limit:
    description:
      - Blocks at most, the newest, from V(1) to V(10000).
    type: int
    default: 20
  blocks_since:
    description:
      - Only blocks found since then, in epoch seconds or as V(12h), V(7d).
    type: str
  share_within:
    description:
      - Tasks that gather from one pool at the same time do so one after the other, and one that asks the same takes the
        answer of the one before if that is at most so many seconds old, from V(0) to V(1). RV(shared) says if that was
        so.
    type: float
    default: 1.0
  fail_when_down:
    description:
      - Fail if the pool is V(down) or V(hung).
    type: bool
    default: false
seealso:
  - module: ckpool.fleet.ckpool_health_info
"""

EXAMPLES = r"""
- name: Gather everything
  ckpool.fleet.ckpool_info:
  register: pool

- name: Take the guide's quick summary
  ckpool.fleet.ckpool_info:
    gather_subset: [summary]
  register: pool

- name: Show it
  ansible.builtin.debug:
    msg: >-
      {{ pool.summary.name }} is {{ pool.summary.state }}
      with {{ pool.summary.hashrate1m | ckpool.fleet.human_hashrate }}

- name: Take everything but the lists of users and workers
  ckpool.fleet.ckpool_info:
    gather_subset: ["!users", "!workers"]

- name: Take the five strongest users of the last hour, and the blocks of the last week
  ckpool.fleet.ckpool_info:
    gather_subset: [users, blocks]
    active_within: 1h
    limit: 5
    blocks_since: 7d
"""

RETURN = r"""
summary:
  description: The pool in short. All that RV(stats) has, and what follows.
  returned: the subset was asked for
  type: dict
  contains:
    name:
      description: The daemon's name, from its command line.
      type: str
      sample: ckpool
    mode:
      description: Its mode, from its command line.
      type: str
      sample: pool
    pid:
      description: Its process id. Null if there is none.
      type: int
      sample: 4242
    state:
      description: As RV(instance.state).
      type: str
      sample: ok
    version:
      description: The version that its program bears. Null where the program may not be read or bears none.
      type: str
      sample: 0.9.9
    work_age:
      description: Seconds since the last piece of work, from the log. Null where that does not tell.
      type: float
      sample: 12.3
    last_block:
      description: The last block found, as in RV(blocks). Null if there is none in reach.
      type: dict
      sample: null
stats:
  description: What M(ckpool.fleet.ckpool_stats) returns as C(stats). Hashrates in H/s.
  returned: the subset was asked for
  type: dict
  sample: {"hashrate1m": 38500000.0, "users": 3, "workers": 12}
users:
  description: What M(ckpool.fleet.ckpool_user_info) returns as C(users).
  returned: the subset was asked for
  type: list
  elements: dict
  sample: []
workers:
  description: What M(ckpool.fleet.ckpool_worker_info) returns as C(workers).
  returned: the subset was asked for
  type: list
  elements: dict
  sample: []
clients:
  description: Connections of miners, by the daemon's own counts. Null for what a build does not count.
  returned: the subset was asked for
  type: dict
  contains:
    connected:
      description: Connections, as the connector counts them.
      type: int
      sample: 120
    authorised_or_new:
      description: Clients, as the stratifier counts them. Too high for a while after miners were told to reconnect.
      type: int
      sample: 120
    disconnected:
      description: Clients that left and may resume, as the stratifier counts them.
      type: int
      sample: 3
    dead:
      description: Connections that are being cleared away, as the connector counts them.
      type: int
      sample: 0
workbase:
  description: What M(ckpool.fleet.ckpool_workbase_info) returns as C(workbase).
  returned: the subset was asked for
  type: dict
  sample: {"height": 850001, "transactions": 3012}
blocks:
  description: What M(ckpool.fleet.ckpool_block_info) returns as C(blocks).
  returned: the subset was asked for
  type: list
  elements: dict
  sample: []
config:
  description: The daemon's configuration, with the values of secrets replaced by C(********).
  returned: the subset was asked for
  type: dict
  sample: {"logdir": "/var/log/ckpool", "update_interval": 30}
instances:
  description: Every pool of the host, with the same keys as RV(instance).
  returned: the subset was asked for
  type: list
  elements: dict
  sample: []
sockets:
  description: The sockets.
  returned: the subset was asked for
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: stratifier
    outcome:
      description: What came of a ping, C(reply) or the reason why there was none.
      type: str
      sample: reply
    path:
      description: Its path.
      type: str
      sample: /tmp/ckpool/stratifier
    owner:
      description: The owner of the file. Null if it may not be looked at.
      type: str
      sample: ckpool
    group:
      description: Its group.
      type: str
      sample: ckpool
    mode:
      description: Its mode.
      type: str
      sample: "0770"
sources:
  description: Where each subset came from, V(guide), V(api) or V(files). Null if it could not be had.
  returned: success
  type: dict
  sample: {"stats": "files", "users": "files"}
shared:
  description: Whether this is the answer that another task was given within O(share_within).
  returned: success
  type: bool
  sample: false
instance:
  description: The pool that answered.
  returned: success, or failure after the pool was found
  type: dict
  contains:
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
          nothing listens, V(degraded) if only its stratifier is gone, V(unknown) if its sockets may not be used.
      type: str
      sample: ok
source:
  description: Where the statistics came from, V(guide), V(api) or V(files). Null if there is no answer.
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
  sample: "ckpool (/tmp/ckpool) is ok: summary, stats, users"
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

import time

from ansible_collections.ckpool.fleet.plugins.module_utils._info import Gathering, Options, chosen
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, describe, run
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import SORT_FIELDS, Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._reading import DOWN_STATES, find_pool
from ansible_collections.ckpool.fleet.plugins.module_utils._sharing import shared
from ansible_collections.ckpool.fleet.plugins.module_utils._units import moment, parse_duration


def read(module: PoolModule) -> Result:
    """Gather what was asked for, or take what another task was given just now."""
    options = module.params
    module.check_ranges(limit=(0, 10_000_000), blocks_limit=(1, 10_000), share_within=(0, 1))
    subsets = chosen(options["gather_subset"])
    within, since = options["active_within"], options["blocks_since"]
    wanted = Options(
        subsets,
        options["limit"] or None,
        options["sort_by"],
        None if within is None else parse_duration(within),
        options["blocks_limit"],
        0.0 if since is None else moment(since, time.time()),
    )
    instance = find_pool(module).instance
    question = [options[name] for name in sorted(options) if name not in ("share_within", "fail_when_down")]
    result, taken = shared(instance, question, options["share_within"], lambda: gathered(module, instance, wanted))
    result["failed"] = options["fail_when_down"] and result["instance"]["state"] in DOWN_STATES
    return dict(result, shared=taken)


def gathered(module: PoolModule, instance: Instance, options: Options) -> Result:
    """The answer of the pool."""
    visit = Gathering(instance, options, **module.how())
    values = visit.gather()
    missing = [name for name in values if values[name] is None]
    present = ", ".join(name for name in values if name not in missing)
    msg = f"{describe(instance)} is {visit.state}: {present or 'nothing'}"
    result: Result = {
        "instance": instance.as_dict(visit.state),
        "source": visit.sources.get("stats"),
        "as_of": visit.as_of,
        "sources": visit.sources,
        "problems": visit.problems,
        **values,
        "msg": msg + (f"; not to be had: {', '.join(missing)}" if missing else ""),
    }
    if visit.state in DOWN_STATES:
        result["log_tail"] = instance.last_log_lines()
    return result


def main() -> None:
    """Run the module."""
    options = {
        "gather_subset": {"type": "list", "elements": "str", "default": ["all"]},
        "limit": {"type": "int", "default": 100},
        "sort_by": {"type": "str", "default": "hashrate1m", "choices": list(SORT_FIELDS)},
        "active_within": {"type": "str"},
        "blocks_limit": {"type": "int", "default": 20},
        "blocks_since": {"type": "str"},
        "share_within": {"type": "float", "default": 1.0},
        "fail_when_down": {"type": "bool", "default": False},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
