# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_upgrade
short_description: Bring a ckpool to what its host's window has staged, and back if it does not serve
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Has the host switch one instance to the new side of its maintenance window (M(ckpool.fleet.ckpool_window)), by a handover or by a stop and
    a start. Waits until it has work, and verifies that it serves as before, by what its sockets, its statistics and the kernel say.
  - If it does not, the host goes back to the release, the configuration and the unit from before, and this fails. If nobody can tell, the
    window is held for a person, and this fails too.
  - The window stays open. The caller has to confirm it (M(ckpool.fleet.ckpool_window) with O(ckpool.fleet.ckpool_window#module:state=confirmed)).
    If that is cut off, the host goes back by itself. The role P(ckpool.fleet.upgrade#role) does all of it.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.polling
  - ckpool.fleet.pool.redirect
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.waiting
attributes:
  idempotent:
    support: full
    details:
      - An instance that was switched is verified, and not switched again.
options:
  instance:
    description:
      - The name of the instance in the window.
    type: str
    required: true
  folder:
    description:
      - Where the record of the window is on the host.
    type: str
    default: /var/lib/ckpool.fleet
  redirect_to:
    description:
      - Where miners are sent before a stop, as V(HOST:PORT). Without it they are cut off. It is not waited for their return then.
    type: str
  drain_until:
    description:
      - How many clients may be left when the drain is over, from V(0) to V(2147483647).
    type: int
    default: 0
  drain_timeout:
    description:
      - Seconds that the drain may take, from V(0) to V(604800).
    type: float
    default: 300.0
  on_drain_timeout:
    description:
      - Whether to V(fail) or to V(continue) if clients are left then.
    type: str
    choices: [fail, continue]
    default: fail
  switch_timeout:
    description:
      - Seconds to wait for the host to switch it, from V(0) to V(604800). It should be more than the limits of the window.
    type: float
    default: 300.0
  ready_timeout:
    description:
      - Seconds after that until it must have work, from V(0) to V(604800).
    type: float
    default: 120.0
  verify_timeout:
    description:
      - Seconds after that until all conditions must hold, from V(0) to V(604800). Only what does not hold at the end counts.
    type: float
    default: 300.0
  stable_for:
    description:
      - Seconds that they have to hold without a break, from V(0) to V(604800).
    type: float
    default: 10.0
  clients_percent:
    description:
      - Percentage of the clients from before that must be back, from V(0) to V(100). V(0) for no matter how many.
    type: int
    default: 90
  users_percent:
    description:
      - The same of the users, from V(0) to V(100).
    type: int
    default: 90
  hashrate_percent:
    description:
      - The same of the hashrate over one minute, from V(0) to V(100).
    type: int
    default: 50
  shares:
    description:
      - Whether shares must be accepted again. Not asked of a pool that has so few that none would mean nothing.
    type: bool
    default: true
  work_age_max:
    description:
      - Seconds that the newest work may be old, from V(0) to V(604800). V(0) for no matter how old.
    type: float
    default: 120.0
  stranded_max:
    description:
      - How many miners may be left on a connection that nobody reads, from V(0) to V(2147483647).
    type: int
    default: 0
  require_healthy:
    description:
      - Whether the pool has to serve before. Without it, a pool that is down or hung is stopped and started, too.
    type: bool
    default: true
  on_failure:
    description:
      - V(rollback) has the host go back. V(stop) holds the window for a person.
    type: str
    choices: [rollback, stop]
    default: rollback
  rollback_timeout:
    description:
      - Seconds to wait for the host to go back, from V(0) to V(604800).
    type: float
    default: 300.0
  return_timeout:
    description:
      - Seconds to wait for the clients after a rollback, from V(0) to V(604800). How many are back is told.
    type: float
    default: 30.0
notes:
  - An interruption (Ctrl-C, C(SIGTERM), or the end of the controller) leaves the rest to the host, which goes back by itself unless this is run
    again in time or the window is confirmed.
  - Statistics of the old process are not counted. The new one writes its own once a minute, and first those that it has read, so that this takes
    one to two minutes.
  - In check mode, it looks once, and fails if the actual run is expected to fail. The window has to be staged for that.
seealso:
  - module: ckpool.fleet.ckpool_window
  - module: ckpool.fleet.ckpool_restart
"""

EXAMPLES = r"""
- name: Switch the instance, and verify it
  ckpool.fleet.ckpool_upgrade:
    instance: main
    socket_dir: /run/ckpool/main
  register: switched

- name: Keep it
  ckpool.fleet.ckpool_window:
    state: confirmed
"""

RETURN = r"""
outcome:
  description:
    - The outcome in one word. V(done), V(nothing_to_do), V(not_started) if nothing was changed, V(rolled_back), V(rollback_failed), or
      V(failed) if the pool runs what nobody has confirmed. Then a person has to decide, or the host goes back by itself.
  returned: the options are valid
  type: str
  sample: done
phases:
  description: The phases that were completed or attempted, in order. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the phase. One of V(preflight), V(drain), V(switch), V(ready), V(verify) and V(rollback).
      type: str
      sample: switch
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
  sample: 4310
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
clients_before:
  description: Number of clients at the first look, from the connector's C(stats). Null if unknown.
  returned: the options are valid
  type: int
  sample: 20
stats_before:
  description: Statistics at the first look. Null if there are none.
  returned: the options are valid
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
clients_after:
  description: Number of clients at the last look, from the connector's C(stats). Null if unknown.
  returned: the options are valid
  type: int
  sample: 20
strategy:
  description: How it was, or would be, switched. V(handover) or V(stop_start). Null if there is nothing to switch.
  returned: the options are valid
  type: str
  sample: handover
changes:
  description: What is new for this instance, for a person. Of a configuration only the keys.
  returned: the options are valid
  type: list
  elements: str
  sample: ["release: 1.1.1 -> 1.2.0"]
resumed:
  description: Whether an earlier run had switched it already, so that this one went on from there.
  returned: the options are valid
  type: bool
  sample: false
conditions:
  description: What was verified, as it was at the last look.
  returned: the options are valid
  type: list
  elements: dict
  contains:
    name:
      description: V(ready), V(work_age), V(clients), V(users), V(hashrate) or V(shares).
      type: str
      sample: clients
    expected:
      description: What was expected, for a person.
      type: str
      sample: at least 108, 90 % of 120
    observed:
      description: What was observed. Null if unknown.
      type: raw
      sample: 119
    met:
      description: Whether it holds.
      type: bool
      sample: true
before:
  description: The figures before anything was done to the pool. Null if it did not get that far.
  returned: the options are valid
  type: dict
  contains:
    clients:
      description: Number of clients, from the connector's C(stats). Null if unknown.
      type: int
      sample: 120
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
    rejected:
      description: The same of rejected shares. Null if unknown.
      type: float
      sample: 5123.0
    shares_per_second:
      description: Mean number of accepted shares per second in the last 5 minutes. Null if unknown.
      type: float
      sample: 3.6
    as_of:
      description: Time at which the source produced them, in epoch seconds. Null if there are none.
      type: int
      sample: 1795385464
    sent_to:
      description: Where its miners were sent by this window or an earlier run. Null if they were not.
      type: str
      sample: spare.example.org:3333
    stranded:
      description: Number of connections of miners that were open but read by nobody. Null if this cannot be determined.
      type: int
      sample: 0
after:
  description: The figures that the new process has made, at the last look at it. Null if it did not get that far.
  returned: the options are valid
  type: dict
  contains:
    clients:
      description: Number of clients, from the connector's C(stats). Null if unknown.
      type: int
      sample: 120
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
    rejected:
      description: The same of rejected shares. Null if unknown.
      type: float
      sample: 5123.0
    shares_per_second:
      description: Mean number of accepted shares per second in the last 5 minutes. Null if unknown.
      type: float
      sample: 3.6
shares:
  description: What the counters of shares say, as sums of difficulty. Null if it did not get that far.
  returned: the options are valid
  type: dict
  contains:
    accepted_before:
      description: Accepted shares before the switch, as a sum of difficulty. Null if unknown.
      type: float
      sample: 36712811.0
    accepted_after:
      description: The same at the last look. Null if unknown.
      type: float
      sample: 36713954.0
    rejected_before:
      description: Rejected shares before the switch, as a sum of difficulty. Null if unknown.
      type: float
      sample: 5123.0
    rejected_after:
      description: The same at the last look. Null if unknown.
      type: float
      sample: 5140.0
    lost:
      description: Rejected in between, as stale shares are. Null if unknown, as with a build that counts from 0 again.
      type: float
      sample: 17.0
sent_away:
  description: Number of clients that were sent elsewhere. Null without a drain.
  returned: the options are valid
  type: int
  sample: 120
severed:
  description: Number of connections that were closed from outside because the new process does not read them. Null if the handover was not
    reached or not watched.
  returned: the options are valid
  type: int
  sample: 20
stranded_before:
  description: Number of connections of miners that were open but read by nobody at the first look. Null if this cannot be determined.
  returned: the options are valid
  type: int
  sample: 0
stranded_after:
  description: The same at the end. Null if this cannot be determined.
  returned: the options are valid
  type: int
  sample: 0
longest_gap:
  description:
    - Seconds from the request to restart, or with V(dropall) from the request to reject, until the new process had accepted as many connections of
      miners as the old one served. No miner waited longer for this.
    - Measured on the host, by its monotonic clock, with a look at the connections every 50 ms. Null if not all of them were back within a
      minute, or if this cannot be determined.
  returned: the options are valid
  type: float
  sample: 0.31
window:
  description: The window, as it was last seen. Null if it was not.
  returned: the options are valid
  type: dict
  contains:
    run:
      description: The run that holds it.
      type: str
      sample: 20261126-060000-ci1-4242
    state:
      description: How far it is, as RV(ckpool.fleet.ckpool_window#module:window.state).
      type: str
      sample: switched
    confirm_by:
      description: When the host goes back by itself, in epoch seconds. Null if it does not.
      type: int
      sample: 1795386126
    revert:
      description: Why it goes, or went, back. Empty if it does not.
      type: str
      sample: ""
    msg:
      description: What the host says of that. Empty if nothing.
      type: str
      sample: ""
failed_phase:
  description: The phase whose failure led to the rollback.
  returned: the host went back, or tried to
  type: str
  sample: verify
diff:
  description: State and process before and after, as text. In check mode, the state that is predicted.
  returned: diff mode
  type: dict
  contains:
    before:
      description: At the first look.
      type: str
      sample: "state: accepting, 20 clients\npid: 4242\n"
    after:
      description: At the last look.
      type: str
      sample: "state: accepting, 20 clients\npid: 4310\n"
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/run/ckpool) was handed over: release: 1.1.1 -> 1.2.0; pid 4310 is ready; 119 of 120 clients are there; back after 0.4 s at most"
phase:
  description: The phase that failed. V(options), or one of the names in RV(phases).
  returned: failure
  type: str
  sample: rollback
reason:
  description:
    - The reason for the failure, as a short, stable code. V(down), V(not_ready), V(clients_unknown) or V(another_process) if the pool is not as
      a change should find it. V(not_in_window). V(redirect_unreachable). V(drain_timeout). V(switch_failed) or V(switch_timeout).
      V(ended) if the new process ended by itself. V(clients_missing), V(users_missing), V(hashrate_missing), V(shares_missing),
      V(work_age_missing) or V(stranded) if it does not serve. V(undetermined) if nobody can tell. V(out_of_range) for an option.
    - Otherwise the reason of M(ckpool.fleet.ckpool_step) or M(ckpool.fleet.ckpool_window), or V(unreachable).
  returned: failure
  type: str
  sample: clients_missing
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: look at its log
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
