# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_restart
short_description: Restart a ckpool by its own handover, and keep its miners
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Has one running ckpool hand over to a new process of itself, which inherits its listening ports, and waits until
    that process answers on all its sockets, has fresh work, and has its miners back.
  - Looks first for what would make the handover fail, such as a systemd unit that would end with the old process, and
    does nothing then.
  - If no new process comes, the old one is told to accept miners again.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.waiting
attributes:
  idempotent:
    support: none
    details:
      - Every run restarts the pool.
options:
  restart_timeout:
    description:
      - Seconds until a new process must answer on all four sockets, from V(0) to V(604800).
    type: float
    default: 60.0
  ready_timeout:
    description:
      - Seconds until it must have fresh work after that, from V(0) to V(604800).
    type: float
    default: 60.0
  clients_percent:
    description:
      - How many of the clients before the restart must be back, in percent, from V(0) to V(100).
      - With V(0) their number is reported, and never fails the task.
    type: int
    default: 0
  clients_timeout:
    description:
      - Seconds to wait for all clients after that, from V(0) to V(604800). The wait is over as soon as there are as
        many as before.
    type: float
    default: 30.0
  force:
    description:
      - Restart in spite of RV(obstacles), or of a stratifier that does not answer.
    type: bool
    default: false
  poll:
    description:
      - Seconds from the beginning of one look at the pool to that of the next, from V(1) to V(3600).
    type: float
    default: 2.0
  progress:
    description:
      - >-
        Show a line for this host every few seconds of waiting, such as
        C(pool1: handover: no new process yet, 4 of 60 s).
      - Nothing is shown where the controller's output is no terminal, under a callback that prints JSON, or with
        C(no_log).
    type: bool
    default: true
notes:
  - The waiting is done on the controller, by short calls of M(ckpool.fleet.ckpool_step) on the host, so that no
    connection has to last. O(timeout) bounds one exchange with a socket in such a call, not the wait.
  - One lost connection in a row is survived. A second makes the host unreachable, and the message says what had been
    done. A step whose connection was lost is not repeated; a look shows what became of it.
  - An interruption (Ctrl-C, C(SIGTERM) or the end of the controller) before the handover has the pool accept miners
    again, and C(stderr) of the controller says in what state the pool is, where that can still be written. The same
    goes for the keyword C(timeout) of a task.
  - The daemon's C(restart) alone strands miners. With 20 of them, only 2 to 4 were seen to be taken over, while the
    others held on to dead connections. So the pool is told C(reject), then C(reconnect), and C(restart) a second later.
    All 20 came back then; they wait in the queue of the port, which the new process inherits, until it accepts.
  - Shares stand still from C(reject) until the new process is ready, which took 2 to 4 seconds.
  - In check mode it looks once, and fails where the run would be seen to fail.
seealso:
  - module: ckpool.fleet.ckpool_shutdown
  - module: ckpool.fleet.ckpool_wait
  - module: ckpool.fleet.ckpool_step
"""

EXAMPLES = r"""
- name: Restart the pool of this host
  ckpool.fleet.ckpool_restart:

- name: Restart one of several pools, and fail unless 9 of 10 miners are back within 2 minutes
  ckpool.fleet.ckpool_restart:
    socket_dir: /run/ckpool/solo
    clients_percent: 90
    clients_timeout: 120
  register: restarted

- name: Say which process serves now
  ansible.builtin.debug:
    msg: "pid {{ restarted.pid_before }} handed over to pid {{ restarted.pid_after }}"

- name: Restart the pools of a fleet one after the other, and stop at the first that does not come back
  hosts: pools
  serial: 1
  gather_facts: false
  tasks:
    - name: Restart
      ckpool.fleet.ckpool_restart:
        clients_percent: 80
"""

RETURN = r"""
phases:
  description: The phases that were gone through, in their order. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: V(verify), V(reconnect), V(handover), V(ready) or V(clients).
      type: str
      sample: handover
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
  sample: 4310
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
      sample: 4310
    state:
      description: Its state, V(ok), V(starting), V(degraded), V(hung), V(down) or V(unknown), as in
        M(ckpool.fleet.ckpool_stats).
      type: str
      sample: ok
clients_before:
  description: Clients at the first look, from the connector's C(stats). Null if not known.
  returned: the options make sense
  type: int
  sample: 20
stats_before:
  description: Statistics at the first look. Null if there are none.
  returned: the options make sense
  type: dict
  contains:
    users:
      description: Users with workers, by RV(stats_before.source). Null if not known.
      type: int
      sample: 3
    workers:
      description: Workers, by RV(stats_before.source). Null if not known.
      type: int
      sample: 12
    hashrate1m:
      description: Hashrate over 1 minute, in H/s, by RV(stats_before.source). Null if not known.
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
clients_after:
  description: Clients at the last look, from the connector's C(stats). Null if not known.
  returned: the options make sense
  type: int
  sample: 20
obstacles:
  description: What was found that would make a handover fail.
  returned: the options make sense
  type: list
  elements: dict
  contains:
    reason:
      description: A short stable code, as in M(ckpool.fleet.ckpool_step).
      type: str
      sample: exit_type
    message:
      description: What it is, in one sentence.
      type: str
      sample: ckpool.service ends with its main process, and takes the new one down
    hint:
      description: What would help.
      type: str
      sample: set ExitType=cgroup in the unit
diff:
  description: State and process before and after, as text; in check mode the state that is predicted.
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
  description: What was done or found, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) was handed over from pid 4242 to pid 4310, and is ready; 20 of 20 clients are back"
phase:
  description: What failed, V(options) or the name of the phase.
  returned: failure
  type: str
  sample: handover
reason:
  description:
    - Why, as a short stable code. V(down) or V(hung) if there is nothing to restart, the first of RV(obstacles),
      V(no_new_process), V(not_answering) if the new one does not answer on every socket, V(not_ready),
      V(clients_missing), V(clients_unknown), V(ended) if a process ended by itself, V(another_process), V(no_pid),
      V(dead) or V(not_permitted) if its process is not known for certain, V(out_of_range) for an option.
    - Else the reason of M(ckpool.fleet.ckpool_step), or V(unreachable).
  returned: failure
  type: str
  sample: no_new_process
hint:
  description: What to look at or try next.
  returned: failure
  type: str
  sample: look at its log; can its program and its configuration still be read?
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
