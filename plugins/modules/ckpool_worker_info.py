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
  - Reads hashrates, shares and times of workers, whosever they are, in one list.
  - Never asks the daemon for a worker by name, as public builds would create its user. On builds that answer by socket
    workers are taken from the listing, on the others from the status files.
  - With many users O(users), O(workers) or O(state=active) is what makes it fast, as files of other users, and files
    that were not written lately, are then not opened.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  users:
    description:
      - Only workers of these users. By default of all.
      - A name with V(/), V(..), NUL or a newline in it, or of more than 127 bytes, is refused before anything is asked.
    type: list
    elements: str
  workers:
    description:
      - Only workers of these names, which begin with the user's. By default all.
      - A name that the pool does not know is no error; it is listed in RV(missing).
      - A name with NUL or a newline in it, or of more than 510 bytes, is refused before anything is asked.
    type: list
    elements: str
  state:
    description:
      - Only workers that are active, or only those that are idle.
    type: str
    choices: [active, idle, any]
    default: any
  active_within:
    description:
      - A worker is active if its last share is at most this old. Seconds, or a number with V(s), V(m), V(h), V(d) or
        V(w).
      - By default the 10 minutes after which the daemon itself takes a client for idle.
      - Builds of 2017 do not keep the time of the last share; there the last writing of the worker's file counts.
    type: str
    default: 10m
  sort_by:
    description:
      - What to order the workers by. Names ascend, all else descends.
    type: str
    choices: [worker, user, hashrate1m, hashrate5m, hashrate1hr, hashrate1d, hashrate7d, shares, best_share, last_share]
    default: worker
  limit:
    description:
      - At most so many workers, at least V(1).
    type: int
  fields:
    description:
      - Only these fields of each worker are returned. By default all.
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
  fail_when_down:
    description:
      - Fail if the pool is V(down) or V(hung).
    type: bool
    default: false
seealso:
  - module: ckpool.fleet.ckpool_user_info
  - module: ckpool.fleet.ckpool_stats
"""

EXAMPLES = r"""
- name: List the workers that sent no share for an hour
  ckpool.fleet.ckpool_worker_info:
    state: idle
    active_within: 1h
    fields: [worker, last_share]
  register: pool

- name: Show them
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
  description: The workers. A value that the source does not give is null. With O(fields) only those are there.
  returned: success
  type: list
  elements: dict
  contains:
    worker:
      description: The worker's name, the user's included.
      type: str
      sample: bc1qexampleaddress.rig0
    user:
      description: The user that it belongs to.
      type: str
      sample: bc1qexampleaddress
    hashrate1m:
      description: Hashrate over 1 minute, in H/s. From the user's or worker's file, or the listing C(workers).
      type: float
      sample: 14100000.0
    hashrate5m:
      description: Hashrate over 5 minutes, in H/s. Same sources.
      type: float
      sample: 8680000.0
    hashrate1hr:
      description: Hashrate over 1 hour, in H/s. Same sources.
      type: float
      sample: 1140000.0
    hashrate1d:
      description: Hashrate over 1 day, in H/s. Same sources.
      type: float
      sample: 49600.0
    hashrate7d:
      description: Hashrate over 7 days, in H/s. From the files and the guide; null by the query API.
      type: float
      sample: 7100.0
    shares:
      description: Accepted shares, in shares of difficulty 1. From the files; by socket where the build gives it.
      type: float
      sample: 2
    best_share:
      description: Difficulty of the best share. All sources.
      type: float
      sample: 2.37
    last_share:
      description: Time of the last share, in epoch seconds. All sources but the files of 2017.
      type: int
      sample: 1795385399
    idle:
      description: Whether its last share is older than O(active_within), by the same rule for all sources.
      type: bool
      sample: false
missing:
  description: Those of O(workers) that the pool does not know, or not under O(users). Empty where O(state=active) left
    files unread.
  returned: success
  type: list
  elements: str
  sample: []
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
  sample: "ckpool (/tmp/ckpool): 12 workers of 3 users, 1 of them idle (files)"
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

from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, describe, run
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import (
    WORKER_SORT_FIELDS,
    check_user_name,
    check_worker_name,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._reading import answered, find_pool
from ansible_collections.ckpool.fleet.plugins.module_utils._units import parse_duration

FIELDS = (*WORKER_SORT_FIELDS, "idle")


def read(module: PoolModule) -> Result:
    """Ask the pool for workers, and say how many there are."""
    options = module.params
    module.check_ranges(limit=(1, 2**31))
    for name in options["users"] or ():
        check_user_name(name)
    for name in options["workers"] or ():
        check_worker_name(name)
    within = parse_duration(options["active_within"])
    pool = find_pool(module)
    answer = pool.workers(
        options["users"], options["workers"], options["state"], within, options["sort_by"], options["limit"]
    )
    users = len({worker.user for worker in answer.workers})
    idle = sum(bool(worker.idle) for worker in answer.workers)
    found = f"{len(answer.workers)} workers of {users} users, {idle} of them idle ({answer.source or 'no source'})"
    missing = f"; unknown: {', '.join(answer.missing)}" if answer.missing else ""
    fields = options["fields"] or FIELDS
    rows = (worker.as_dict() for worker in answer.workers)
    workers = [{name: row[name] for name in fields} for row in rows]
    msg = f"{describe(pool.instance)}: {found}{missing}"
    return answered(module, pool, answer, msg, workers=workers, missing=answer.missing)


def main() -> None:
    """Run the module."""
    options = {
        "users": {"type": "list", "elements": "str"},
        "workers": {"type": "list", "elements": "str"},
        "state": {"type": "str", "default": "any", "choices": ["active", "idle", "any"]},
        "active_within": {"type": "str", "default": "10m"},
        "sort_by": {"type": "str", "default": "worker", "choices": list(WORKER_SORT_FIELDS)},
        "limit": {"type": "int"},
        "fields": {"type": "list", "elements": "str", "choices": list(FIELDS)},
        "fail_when_down": {"type": "bool", "default": False},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
