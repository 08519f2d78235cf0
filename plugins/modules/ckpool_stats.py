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
  - Reads hashrates, users, workers, shares and uptime of one running ckpool.
  - Asks the daemon's sockets where its build answers, and reads its status files where it does not. RV(source) says
    which, RV(as_of) how old the answer is.
  - A pool that is down or hung is an answer (RV(instance.state)), unless O(fail_when_down=true).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  fail_when_down:
    description:
      - Fail if the pool is V(down) or V(hung).
    type: bool
    default: false
  raw:
    description:
      - Also return the reply or the status file as it came.
    type: bool
    default: false
seealso:
  - module: ckpool.fleet.ckpool_user_info
  - module: ckpool.fleet.ckpool_health_info
"""

EXAMPLES = r"""
- name: Read the statistics of the pool of this host
  ckpool.fleet.ckpool_stats:
  register: pool

- name: Show its hashrate
  ansible.builtin.debug:
    msg: "{{ pool.msg }}"

- name: Read the statistics of one of several pools, and stop the play if it does not answer
  ckpool.fleet.ckpool_stats:
    socket_dir: /run/ckpool/solo
    fail_when_down: true

- name: Take the status files only, with the reply as it came
  ckpool.fleet.ckpool_stats:
    name: ckpool
    source: files
    raw: true
"""

RETURN = r"""
stats:
  description: The statistics. A value that the source does not give is null, never 0.
  returned: success
  type: dict
  contains:
    hashrate1m:
      description: Hashrate over 1 minute, in H/s. From C(pool.status), C(poolstats) or the guide's C(stats).
      type: float
      sample: 38500000.0
    hashrate5m:
      description: Hashrate over 5 minutes, in H/s. Same sources.
      type: float
      sample: 21800000.0
    hashrate15m:
      description: Hashrate over 15 minutes, in H/s. Same sources; null by the guide if it does not give it.
      type: float
      sample: 8700000.0
    hashrate1hr:
      description: Hashrate over 1 hour, in H/s. Same sources.
      type: float
      sample: 2330000.0
    hashrate6hr:
      description: Hashrate over 6 hours, in H/s. Same sources; null by the guide if it does not give it.
      type: float
      sample: 396000.0
    hashrate1d:
      description: Hashrate over 1 day, in H/s. Same sources.
      type: float
      sample: 99300.0
    hashrate7d:
      description: Hashrate over 7 days, in H/s. Same sources.
      type: float
      sample: 14200.0
    users:
      description: Users with workers. All sources.
      type: int
      sample: 3
    workers:
      description: Workers. All sources.
      type: int
      sample: 12
    idle:
      description: Workers that sent no share lately. From C(pool.status).
      type: int
      sample: 1
    disconnected:
      description: Clients that left and may resume. From C(pool.status) and C(poolstats).
      type: int
      sample: 0
    accepted:
      description: Accepted shares, in shares of difficulty 1. All sources; null in a 2017 build without shares.
      type: float
      sample: 1234567
    rejected:
      description: Rejected shares, in shares of difficulty 1. Same sources.
      type: float
      sample: 1234
    best_share:
      description: Difficulty of the best share. From C(pool.status); by socket where the build gives it.
      type: float
      sample: 65536.2
    sps1m:
      description: Shares a second over 1 minute. From C(pool.status) and C(poolstats).
      type: float
      sample: 0.716198
    sps5m:
      description: Shares a second over 5 minutes. Same sources.
      type: float
      sample: 0.267914
    sps15m:
      description: Shares a second over 15 minutes. Same sources.
      type: float
      sample: 0.0997886
    sps1h:
      description: Shares a second over 1 hour. Same sources.
      type: float
      sample: 0.0260197
    uptime:
      description: Seconds since the daemon's start, as the daemon counts them. All sources.
      type: int
      sample: 86400
    network_difficulty:
      description: Difficulty of the network. From C(pool.status) in 2026 builds, else from the end of the log.
      type: float
      sample: 86388558925171.0
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
raw:
  description: The socket's reply, a dictionary, or the objects of the status file, a list.
  returned: O(raw=true)
  type: raw
  sample: {"users": 3, "workers": 12}
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
  sample: "ckpool (/tmp/ckpool): 38.5 MH/s, 3 users, 12 workers (files, 12 s old)"
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

from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, describe, run
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Answer
from ansible_collections.ckpool.fleet.plugins.module_utils._reading import answered, find_pool
from ansible_collections.ckpool.fleet.plugins.module_utils._units import human_hashrate


def read(module: PoolModule) -> Result:
    """Ask the pool, and say what it answered."""
    pool = find_pool(module)
    answer = pool.stats()
    result = answered(module, pool, answer, sentence(answer, describe(pool.instance)), stats=answer.stats.as_dict())
    return dict(result, raw=answer.raw) if module.params["raw"] else result


def sentence(answer: Answer, name: str) -> str:
    """The answer for a person."""
    if answer.source is None:
        return f"{name}: no statistics"
    stats = answer.stats
    age = f", {max(time.time() - answer.as_of, 0):.0f} s old" if answer.as_of else ""
    counts = f"{_count(stats.users)} users, {_count(stats.workers)} workers"
    return f"{name}: {human_hashrate(stats.hashrate1m)}, {counts} ({answer.source}{age})"


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def main() -> None:
    """Run the module."""
    options = {
        "fail_when_down": {"type": "bool", "default": False},
        "raw": {"type": "bool", "default": False},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
