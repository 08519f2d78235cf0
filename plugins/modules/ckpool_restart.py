# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_restart
short_description: Restart a ckpool by a handover, and keep its miners
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Makes a running ckpool hand over to a new process, which inherits its listening sockets. Waits until the new process answers on all
    control sockets, has new work, and has its miners back.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), O(name) or O(pid).
  - First checks for what would make the handover fail, such as a systemd unit that ends with the old process, or being the first process of
    a container. If anything is found, nothing is done.
  - The new process inherits the connections of all miners, but never reads them. They are closed from outside once the old process is gone,
    so that each miner notices and connects again (O(sever)). A process on the host does this, even if the controller goes away.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.polling
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
      - Seconds after that until it must have new work, from V(0) to V(604800).
    type: float
    default: 60.0
  clients_percent:
    description:
      - Percentage of the clients before the restart that must be back, from V(0) to V(100).
      - With V(0), their number is reported, and the task does not fail because of it.
      - The default was V(0) before 0.4.0.
    type: int
    default: 90
  clients_timeout:
    description:
      - Seconds after that to wait for all clients, from V(0) to V(604800). The wait ends once there are as many as before.
    type: float
    default: 30.0
  force:
    description:
      - Restart despite RV(obstacles), or although the stratifier does not answer.
    type: bool
    default: false
  sever:
    description:
      - How to free the miners whose connections the new process inherits. RV(sever) contains the choice, which is made before anything is done,
        and also in check mode.
      - V(auto) closes the connections from outside. This needs root, and Linux 5.6 or newer, or a kernel with C(INET_DIAG_DESTROY). If neither
        is possible, V(dropall) is used, with a warning.
      - V(dropall) makes the pool reject, and drop all of its miners one second later, before the restart. In tests, all of them returned, one
        second later than with V(auto). Connections that the daemon itself no longer knows are not dropped.
      - V(none) does nothing about them. In tests, all miners that ignore C(client.reconnect) were stranded, and occasionally all miners.
    type: str
    choices: [auto, dropall, none]
    default: auto
    version_added: 0.4.0
notes:
  - If the pool was told to reject before the handover, an interruption (Ctrl-C, C(SIGTERM), or the end of the controller) makes it accept again.
    The host itself does this after one minute at the latest. C(stderr) of the controller says in which state the pool is, if it can still
    be written to. The same applies to the task keyword C(timeout).
  - In measured restarts with 16 miners, 4 of which ignore C(client.reconnect), all 16 were back within 0.1 to 0.8 seconds after the request.
    Rejecting and redirecting miners before the restart, as 0.3.0 did, only takes longer.
  - In check mode, the module looks once, and fails if the actual run is expected to fail.
seealso:
  - module: ckpool.fleet.ckpool_shutdown
  - module: ckpool.fleet.ckpool_wait
  - module: ckpool.fleet.ckpool_step
"""

EXAMPLES = r"""
- name: Restart the pool on this host
  ckpool.fleet.ckpool_restart:

- name: Restart one of several pools, and fail unless 9 of 10 miners are back within 2 minutes
  ckpool.fleet.ckpool_restart:
    socket_dir: /run/ckpool/solo
    clients_percent: 90
    clients_timeout: 120
  register: restarted

- name: Show the old and the new process
  ansible.builtin.debug:
    msg: "pid {{ restarted.pid_before }} handed over to pid {{ restarted.pid_after }}"

- name: Restart the pools of a fleet one after the other, and stop at the first failure
  hosts: pools
  serial: 1
  gather_facts: false
  tasks:
    - name: Restart the pool
      ckpool.fleet.ckpool_restart:
        clients_percent: 95
"""

RETURN = r"""
phases:
  description: The phases that were completed or attempted, in order. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the phase. One of V(verify), V(handover), V(ready) and V(clients).
      type: str
      sample: handover
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
sever:
  description: How the miners are freed whose connections the new process inherits. One of V(pidfd), V(sock_destroy), V(dropall) and V(none), see
    O(ckpool.fleet.ckpool_step#module:sever).
  returned: the options are valid
  type: str
  sample: pidfd
  version_added: 0.4.0
severed:
  description: Number of connections that were closed from outside because the new process does not read them. Null if the handover was not
    reached or not watched.
  returned: the options are valid
  type: int
  sample: 20
  version_added: 0.4.0
stranded_before:
  description: Number of connections of miners that were open but read by nobody at the first look. Null if this cannot be determined.
  returned: the options are valid
  type: int
  sample: 0
  version_added: 0.4.0
stranded_after:
  description: The same at the end. Null if this cannot be determined.
  returned: the options are valid
  type: int
  sample: 0
  version_added: 0.4.0
longest_gap:
  description:
    - Seconds from the request to restart, or with V(dropall) from the request to reject, until the new process had accepted as many connections of
      miners as the old one served. No miner waited longer for this.
    - Measured on the host, by its monotonic clock, with a look at the connections every 50 ms. Null if not all of them were back within a
      minute, or if this cannot be determined.
  returned: the options are valid
  type: float
  sample: 0.31
  version_added: 0.4.0
obstacles:
  description: What would make a handover fail.
  returned: the options are valid
  type: list
  elements: dict
  contains:
    reason:
      description: A short, stable code, as in RV(ckpool.fleet.ckpool_step#module:handover.obstacles).
      type: str
      sample: unit_would_kill
    message:
      description: The obstacle in one sentence.
      type: str
      sample: ckpool.service ends with its main process, and takes the new one down
    hint:
      description: What would help.
      type: str
      sample: set ExitType=cgroup in the unit
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
  sample: "ckpool (/tmp/ckpool) was handed over from pid 4242 to pid 4310, and is ready; 20 of 20 clients are back, after 0.3 s at most"
phase:
  description: The phase that failed. V(options), or one of the names in RV(phases).
  returned: failure
  type: str
  sample: handover
reason:
  description:
    - The reason for the failure, as a short, stable code. V(down) or V(hung) if there is nothing to restart. The first of RV(obstacles)
      (V(mixed_rights), V(first_process), V(not_reaped), V(no_executable), V(executable_fails), V(bad_config) or V(unit_would_kill)).
      V(no_new_process). V(not_answering) if the new process does not answer on every socket. V(not_ready). V(clients_missing).
      V(clients_unknown). V(ended) if a process ended by itself. V(another_process), V(no_pid), V(dead) or V(not_permitted) if its process is
      not known for certain. V(out_of_range) for an option.
    - Otherwise the reason of M(ckpool.fleet.ckpool_step), or V(unreachable).
  returned: failure
  type: str
  sample: no_new_process
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: look at its log; can its program and its configuration still be read?
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
