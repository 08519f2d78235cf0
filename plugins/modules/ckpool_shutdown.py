# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_shutdown
short_description: Shut down a ckpool, and verify that it is gone
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Shuts down a running ckpool, and waits until its process is gone and nothing answers on its sockets. The reply of the daemon alone is
    not taken as proof.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), O(name) or O(pid).
  - Optionally redirects the miners to another pool first, and waits until they have left (O(redirect_to)).
  - Optionally sends signals to a pool that does not answer (O(force_after)), and stops its systemd unit instead of its process
    (O(service)).
  - A pool that is already down is left as it is, without a change. So is a process that merely has the process ID in a stale C(main.pid).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.redirect
  - ckpool.fleet.pool.pid
  - ckpool.fleet.polling
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.waiting
options:
  redirect_to:
    description:
      - The pool to which all clients are redirected before the shutdown, as V(HOST:PORT). The host is a name, an IPv4 address, or an IPv6
        address in brackets.
      - Clients that connect during the drain are redirected too, every 10 seconds at most.
      - If omitted, the shutdown drops all clients.
    type: str
  drain_until:
    description:
      - Number of clients that may be left when the drain ends, from V(0) to V(2147483647).
    type: int
    default: 0
  drain_timeout:
    description:
      - Seconds that the drain may take, from V(0) to V(604800).
    type: float
    default: 300.0
  on_drain_timeout:
    description:
      - What to do if more than O(drain_until) clients are left after O(drain_timeout).
      - V(fail) leaves the pool running, and accepting. V(continue) shuts it down nevertheless.
    type: str
    choices: [fail, continue]
    default: fail
  shutdown_timeout:
    description:
      - Seconds that the process may take to end, from V(0) to V(604800). O(force_after) takes its place if set.
    type: float
    default: 60.0
  force_after:
    description:
      - Seconds after the request to shut down at which C(SIGTERM) is sent to the process, from V(0) to V(604800), and at most
        O(shutdown_timeout).
      - It is sent immediately, without a drain, to a pool whose listener does not answer, or that stops answering during the drain.
      - If omitted, no process is ended by force, and the module fails if a pool does not answer.
    type: float
  sever_after:
    description:
      - Seconds after the first redirection at which the connections of all remaining clients are closed from outside, from V(0) to
        V(604800). Clients notice this at once. Most of them treat it as a network failure, and go to the next pool in their list, or
        connect to this one again, which redirects them again.
      - This needs root, and Linux 5.6 or newer, or a kernel with C(INET_DIAG_DESTROY).
      - If omitted, clients that ignore the redirection stay until the pool is shut down.
    type: float
    version_added: 0.4.0
  kill_after:
    description:
      - Seconds after C(SIGTERM) at which C(SIGKILL) is sent to the process, from V(0) to V(604800).
    type: float
    default: 10.0
  remove_leftovers:
    description:
      - Remove the sockets and the C(main.pid) that the process left in its socket directory, once no process uses them. Also if the pool was
        already down.
    type: bool
    default: false
  service:
    description:
      - Stop this systemd unit instead of the process, so that C(Restart=always) does not start the pool again.
      - V(auto) stops the unit that the process belongs to, and fails if there is none.
      - This needs the permission to stop units, such as C(become).
    type: str
notes:
  - An interruption (Ctrl-C, C(SIGTERM), or the end of the controller) leaves the pool as it is. C(stderr) of the controller says in which
    state the pool is, if it can still be written to. The same applies to the task keyword C(timeout).
  - If the module fails during the drain, the pool continues to run and accept miners. It is never told to reject. A pool that an earlier run
    left rejecting is told to accept before the drain, because otherwise it would not notice that clients leave. A warning says so.
  - What the daemon leaves behind depends on how it ended. Its four sockets remain after a shutdown, and C(main.pid) too after C(SIGTERM) or
    C(SIGKILL). Neither prevents the next start.
  - In check mode, the module looks once, and fails if the actual run is expected to fail.
seealso:
  - module: ckpool.fleet.ckpool_restart
  - module: ckpool.fleet.ckpool_wait
  - module: ckpool.fleet.ckpool_step
"""

EXAMPLES = r"""
- name: Shut down the pool on this host
  ckpool.fleet.ckpool_shutdown:

- name: Redirect the miners to another pool, and shut down once no more than 5 are left
  ckpool.fleet.ckpool_shutdown:
    redirect_to: pool2.example.com:3333
    drain_until: 5
    drain_timeout: 600
  register: ended

- name: Show how many have left
  ansible.builtin.debug:
    msg: "{{ ended.sent_away }} of {{ ended.clients_before }} clients have left"

- name: End one of several pools, by force if necessary, and remove what it leaves behind
  ckpool.fleet.ckpool_shutdown:
    name: solo
    force_after: 30
    kill_after: 5
    remove_leftovers: true

- name: Stop the unit that the pool belongs to, so that systemd does not start it again
  ckpool.fleet.ckpool_shutdown:
    service: auto
  become: true
"""

RETURN = r"""
phases:
  description: The phases that were completed or attempted, in order. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the phase. One of V(verify), V(drain), V(shutdown), V(terminate), V(kill) and V(clean).
      type: str
      sample: drain
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
  sample: null
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
sent_away:
  description: Number of clients that left during the drain. Null if there was no drain.
  returned: the options are valid
  type: int
  sample: 20
stranded:
  description: Number of connections of miners that were open but read by nobody at the first look. The daemon does not count them, and a drain
    does not reach them. Null if this cannot be determined.
  returned: the options are valid
  type: int
  sample: 0
  version_added: 0.4.0
severed:
  description: Number of connections that O(sever_after) closed. Null if it was not reached.
  returned: the options are valid
  type: int
  sample: 4
  version_added: 0.4.0
forced:
  description: The strongest signal that was necessary, V(terminate) or V(kill). Null if none was.
  returned: the options are valid
  type: str
  sample: null
removed:
  description: The files that were removed from the socket directory. In check mode, those of a pool that is down that would be removed.
  returned: the options are valid
  type: list
  elements: str
  sample: [listener, stratifier, connector, generator]
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
      sample: "state: down\npid: none\n"
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is down: pid 4242 is gone, nothing answers"
phase:
  description: The phase that failed. V(options), or one of the names in RV(phases).
  returned: failure
  type: str
  sample: drain
reason:
  description:
    - The reason for the failure, as a short, stable code. V(hung) if its listener does not answer. V(drain_timeout). V(clients_unknown) if the
      drain cannot be followed. V(ended) if it ended by itself during the drain. V(still_running). V(resurrected) if it was started again.
      V(no_service). V(another_process), V(no_pid), V(dead) or V(not_permitted) if its process is not known for certain. V(out_of_range),
      V(bad_address) or V(bad_service) for an option.
    - Otherwise the reason of M(ckpool.fleet.ckpool_step), or V(unreachable).
  returned: failure
  type: str
  sample: drain_timeout
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: "raise drain_timeout or drain_until, or set on_drain_timeout: continue"
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
