# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_wait
short_description: Wait until a ckpool is ready, down, drained, or has what it should have
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Looks at one ckpool until all conditions hold, and have held for a while if that is wanted (O(stable_for)).
  - Without any condition it waits until the pool is ready, that is, its stratifier and connector answer, its
    generator has a bitcoind, and there is work for miners.
  - Fails after O(wait_timeout), naming the conditions that did not hold and what was seen last.
  - Changes nothing. A pool that is not there yet, or not any more, is waited for.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.waiting
attributes:
  check_mode:
    support: full
    details:
      - Looks once, and does not wait.
options:
  state:
    description:
      - V(ready) waits until the pool can serve miners, V(down) until its process is gone and nothing answers,
        V(drained) until no more than O(clients_max) clients are left, V(0) by default.
      - V(ready) is the default if no other condition is given. V(down) goes with no other condition.
    type: str
    choices: [ready, down, drained]
  clients_min:
    description:
      - Wait until there are at least so many clients, by the connector's count.
    type: int
  clients_max:
    description:
      - Wait until there are at most so many clients.
    type: int
  users_min:
    description:
      - Wait until at least so many users have workers.
    type: int
  workers_min:
    description:
      - Wait until there are at least so many workers.
    type: int
  hashrate_min:
    description:
      - Wait until the hashrate over 1 minute is at least this, in H/s, or as text with a suffix, such as V(1.5P).
      - Where it comes from the status files, it is up to a minute old.
    type: raw
  work_age_max:
    description:
      - Wait until the last piece of work is at most so many seconds old.
    type: float
  wait_timeout:
    description:
      - Seconds until all must hold, from V(0) to V(604800). O(timeout) is that of one exchange with a socket.
    type: float
    default: 300.0
  stable_for:
    description:
      - Seconds that all must hold without a break, in the same process, from V(0) to O(wait_timeout).
    type: float
    default: 0.0
  poll:
    description:
      - Seconds from the beginning of one look at the pool to that of the next, from V(1) to V(3600).
    type: float
    default: 2.0
  progress:
    description:
      - >-
        Show a line for this host every few seconds of waiting, such as
        C(pool1: wait: clients is 3, not at least 10, 12 of 300 s).
      - Nothing is shown where the controller's output is no terminal, under a callback that prints JSON, or with
        C(no_log).
    type: bool
    default: true
notes:
  - The waiting is done on the controller, by short calls of M(ckpool.fleet.ckpool_step) on the host, so that no
    connection has to last. O(timeout) bounds one exchange with a socket in such a call, not the wait.
  - One lost connection in a row is survived. A second makes the host unreachable, and the message says what had been
    done. A step whose connection was lost is not repeated; a look shows what became of it.
  - An interruption (Ctrl-C, C(SIGTERM) or the end of the controller) ends the wait, and C(stderr) of the controller
    says in what state the pool is, where that can still be written. The same goes for the keyword C(timeout) of a task.
  - In check mode it looks once, does not wait, and does not fail. RV(met) says what it saw.
  - A value that is not known, such as the hashrate of a pool without status files, meets no condition.
seealso:
  - module: ckpool.fleet.ckpool_shutdown
  - module: ckpool.fleet.ckpool_restart
  - module: ckpool.fleet.ckpool_health_info
  - module: ckpool.fleet.ckpool_step
"""

EXAMPLES = r"""
- name: Wait until the pool of this host is ready
  ckpool.fleet.ckpool_wait:

- name: Wait until the miners are back, and have stayed for a minute
  ckpool.fleet.ckpool_wait:
    clients_min: 100
    hashrate_min: 1.5P
    stable_for: 60
    wait_timeout: 900

- name: Wait until the miners have left
  ckpool.fleet.ckpool_wait:
    state: drained
    clients_max: 3

- name: Wait until the pool has ended
  ckpool.fleet.ckpool_wait:
    state: down
    socket_dir: /run/ckpool/solo
    wait_timeout: 30
"""

RETURN = r"""
phases:
  description: The phases that were gone through, in their order. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: V(wait).
      type: str
      sample: wait
    seconds:
      description: What it took, in seconds, on the controller's monotonic clock.
      type: float
      sample: 12.04
    clients:
      description: Clients at its end, from the connector's C(stats). Null if not known.
      type: int
      sample: 20
pid_before:
  description: The pool's process id at the first look, from C(main.pid). Null if none lived.
  returned: always
  type: int
  sample: 4242
pid_after:
  description: The pool's process id at the last look, from C(main.pid). Null if none lives.
  returned: always
  type: int
  sample: 4242
instance:
  description: The pool, as the last look found it. Null if there is none.
  returned: always
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
      description: Its state, V(ok), V(starting), V(degraded), V(hung), V(down) or V(unknown), as in
        M(ckpool.fleet.ckpool_stats).
      type: str
      sample: ok
conditions:
  description: What was waited for, and what was seen of it at the last look.
  returned: the options make sense, and the host was reached
  type: list
  elements: dict
  contains:
    name:
      description: V(state), V(clients), V(users), V(workers), V(hashrate) or V(work_age).
      type: str
      sample: clients
    expected:
      description: What it should be, for a person.
      type: str
      sample: at least 100
    observed:
      description: What it was, V(hashrate) in H/s and V(work_age) in seconds. Null if not known.
      type: raw
      sample: 37
    met:
      description: Whether it held.
      type: bool
      sample: false
met:
  description: Whether all held at the last look.
  returned: the options make sense, and the host was reached
  type: bool
  sample: true
waited:
  description: Seconds that it took.
  returned: the host was reached, except in check mode
  type: float
  sample: 41.32
clients:
  description: Clients at the last look, from the connector's C(stats). Null if not known.
  returned: the options make sense, and the host was reached
  type: int
  sample: 20
stats:
  description: Statistics at the last look. Null if no condition needs them, or there are none.
  returned: the options make sense, and the host was reached
  type: dict
  contains:
    users:
      description: Users with workers, by RV(stats.source). Null if not known.
      type: int
      sample: 3
    workers:
      description: Workers, by RV(stats.source). Null if not known.
      type: int
      sample: 12
    hashrate1m:
      description: Hashrate over 1 minute, in H/s, by RV(stats.source). Null if not known.
      type: float
      sample: 38500000.0
    work_age:
      description: Seconds since the last piece of work. Null if not known.
      type: float
      sample: 4.2
    source:
      description: Where they came from, V(guide), V(api) or V(files). Null if there are none.
      type: str
      sample: files
    as_of:
      description: When the source made them, in epoch seconds. Null if there are none.
      type: int
      sample: 1795385464
msg:
  description: What was done or found, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is accepting, 120 clients: clients at least 100 holds after 41 s"
phase:
  description: What failed, V(options) or the name of the phase.
  returned: failure
  type: str
  sample: wait
reason:
  description:
    - Why, as a short stable code. V(not_reached), V(not_stable) if all held, but not for O(stable_for),
      V(out_of_range), V(bad_hashrate) or V(bad_input) for an option.
    - Else the reason of M(ckpool.fleet.ckpool_step), or V(unreachable).
  returned: failure
  type: str
  sample: not_reached
hint:
  description: What to look at or try next.
  returned: failure
  type: str
  sample: raise wait_timeout, or look at ckpool_health_info
path:
  description: The socket, file or folder that it failed on. Null if it is about none.
  returned: failure
  type: str
  sample: /tmp/ckpool/listener
state:
  description: In what state the pool was left.
  returned: failure
  type: str
  sample: accepting, 12 clients
problems:
  description: What could not be had, by area, and why.
  returned: failure of a step
  type: dict
  sample: {}
log_tail:
  description: The last lines of its log, where they may be read.
  returned: failure, and the pool is down or hung
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
"""
