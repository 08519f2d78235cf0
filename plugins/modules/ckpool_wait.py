# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_wait
short_description: Wait until a ckpool is ready, down or drained, or meets other conditions
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Looks at a ckpool until all conditions are met, and have been met for a while if requested (O(stable_for)).
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), O(name) or O(pid).
  - Without any condition, it waits until the pool is ready, that is, its stratifier and connector answer, its generator has a bitcoind,
    and there is work for miners.
  - Fails after O(wait_timeout), with the conditions that are not met and what was seen last.
  - Changes nothing. Also waits for a pool that does not run yet, or no longer.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.polling
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
      - V(ready) waits until the pool can serve miners. V(down) waits until its process is gone and nothing answers. V(drained) waits until
        at most O(clients_max) clients are left, V(0) by default.
      - V(ready) is the default if no other condition is set. V(down) cannot be combined with other conditions.
    type: str
    choices: [ready, down, drained]
  clients_min:
    description:
      - Wait for at least this number of clients, by the connector's count, from V(0) to V(2147483647).
    type: int
  clients_max:
    description:
      - Wait for at most this number of clients, by the connector's count, from V(0) to V(2147483647).
    type: int
  users_min:
    description:
      - Wait for at least this number of users with workers, from V(0) to V(2147483647).
    type: int
  workers_min:
    description:
      - Wait for at least this number of workers, from V(0) to V(2147483647).
    type: int
  hashrate_min:
    description:
      - Wait for at least this hashrate over 1 minute, as a number in H/s, or as a string such as V(1.5P) or V(1.5 PH/s).
      - Units are case-sensitive. V(M) is mega, and V(m) is milli. V(500m) is rejected because it could mean either.
      - A hashrate from the status files is up to one minute old.
    type: raw
  work_age_max:
    description:
      - Wait until the last piece of work is at most this many seconds old, from V(0) to V(2147483647).
    type: float
  wait_timeout:
    description:
      - Seconds until all conditions must be met, from V(0) to V(604800). O(timeout) is that of one exchange with a socket.
    type: float
    default: 300.0
  stable_for:
    description:
      - Seconds for which all conditions must be met without interruption, and by the same process, from V(0) to V(604800), and at most
        O(wait_timeout).
    type: float
    default: 0.0
notes:
  - An interruption (Ctrl-C, C(SIGTERM), or the end of the controller) ends the wait. C(stderr) of the controller says in which state the
    pool is, if it can still be written to. The same applies to the task keyword C(timeout).
  - In check mode, the module looks once, and does not wait or fail. RV(met) says what it found.
  - A value that is not known, such as the hashrate of a pool without status files, meets no condition.
seealso:
  - module: ckpool.fleet.ckpool_shutdown
  - module: ckpool.fleet.ckpool_restart
  - module: ckpool.fleet.ckpool_health_info
  - module: ckpool.fleet.ckpool_step
"""

EXAMPLES = r"""
- name: Wait until the pool on this host is ready
  ckpool.fleet.ckpool_wait:

- name: Wait until the miners are back, and have stayed for a minute
  ckpool.fleet.ckpool_wait:
    clients_min: 100
    hashrate_min: 1.5P
    stable_for: 60
    wait_timeout: 900

- name: Wait until most miners have left
  ckpool.fleet.ckpool_wait:
    state: drained
    clients_max: 3

- name: Wait until the pool is down
  ckpool.fleet.ckpool_wait:
    state: down
    socket_dir: /run/ckpool/solo
    wait_timeout: 30
"""

RETURN = r"""
phases:
  description: The phases that were completed or attempted, in order. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the phase. V(wait).
      type: str
      sample: wait
    seconds:
      description: Duration in seconds, on the controller's monotonic clock.
      type: float
      sample: 12.04
    clients:
      description: Number of clients at its end, from the connector's C(stats). Null if unknown.
      type: int
      sample: 20
pid_before:
  description: The pool's process ID at the first look, from C(main.pid). Null if no process ran.
  returned: always
  type: int
  sample: 4242
pid_after:
  description: The pool's process ID at the last look, from C(main.pid). Null if no process ran.
  returned: always
  type: int
  sample: 4242
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: always
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
conditions:
  description: The conditions, and what was found at the last look.
  returned: the options are valid and the host was reached
  type: list
  elements: dict
  contains:
    name:
      description: One of V(state), V(clients), V(users), V(workers), V(hashrate) and V(work_age).
      type: str
      sample: clients
    expected:
      description: The expected value, for a person.
      type: str
      sample: at least 100
    observed:
      description: The value at the last look. V(hashrate) is in H/s, and V(work_age) in seconds. Null if unknown.
      type: raw
      sample: 37
    met:
      description: Whether the condition is met.
      type: bool
      sample: false
met:
  description: Whether all conditions are met.
  returned: the options are valid and the host was reached
  type: bool
  sample: true
waited:
  description: Duration of the wait in seconds.
  returned: the host was reached, except in check mode
  type: float
  sample: 41.32
clients:
  description: Number of clients at the last look, from the connector's C(stats). Null if unknown.
  returned: the options are valid and the host was reached
  type: int
  sample: 20
stats:
  description: Statistics at the last look. Null if no condition needs them, or if there are none.
  returned: the options are valid and the host was reached
  type: dict
  contains:
    users:
      description: Number of users with workers. Null if unknown.
      type: int
      sample: 3
    workers:
      description: Number of workers. Null if unknown.
      type: int
      sample: 12
    hashrate1m:
      description: Hashrate over 1 minute, in H/s. Null if unknown.
      type: float
      sample: 38500000.0
    accepted:
      description: Sum of the difficulty of accepted shares over the life of the pool. Null if unknown.
      type: float
      sample: 36712811.0
      version_added: 1.0.0
    rejected:
      description: The same of rejected shares. Null if unknown.
      type: float
      sample: 5123.0
      version_added: 1.0.0
    shares_per_second:
      description: Mean number of accepted shares per second in the last 5 minutes. Null if unknown.
      type: float
      sample: 3.6
      version_added: 1.0.0
    shares:
      description: Number of shares that this process has accepted, from the stratifier's C(stats). Null if unknown.
      type: int
      sample: 5310
      version_added: 1.0.0
    work_age:
      description: Seconds since the last piece of work, from the log. Null if unknown.
      type: float
      sample: 12.3
    source:
      description: Where these statistics came from, as O(source). Null if there are none.
      type: str
      sample: files
    as_of:
      description: Time at which the source produced them, in epoch seconds. Null if there are none.
      type: int
      sample: 1795385464
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is accepting, 120 clients: clients at least 100 holds after 41 s"
phase:
  description: The phase that failed. V(options), or one of the names in RV(phases).
  returned: failure
  type: str
  sample: wait
reason:
  description:
    - The reason for the failure, as a short, stable code. V(not_reached). V(not_stable) if all conditions were met, but not for
      O(stable_for). V(out_of_range), V(bad_hashrate) or V(bad_input) for an option.
    - Otherwise the reason of M(ckpool.fleet.ckpool_step), or V(unreachable).
  returned: failure
  type: str
  sample: not_reached
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: raise wait_timeout, or look at ckpool_health_info
path:
  description: The socket, file or directory that the failure is about. Null if it is about none.
  returned: failure
  type: str
  sample: /tmp/ckpool/listener
state:
  description: The state that the pool was left in.
  returned: failure
  type: str
  sample: accepting, 12 clients
problems:
  description: What could not be determined, by area, with the reason.
  returned: failure of a step
  type: dict
  sample: {}
log_tail:
  description: The last lines of the log, if it can be read.
  returned: failure
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
"""
