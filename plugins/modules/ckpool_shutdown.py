# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_shutdown
short_description: Shut a ckpool down, and see that it is gone
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Ends one running ckpool, and waits until its process is gone and nothing answers on its sockets. The daemon's reply
    alone is not taken for it.
  - Can send the miners to another pool first, and wait until they have left (O(redirect_to)).
  - Can end a pool that does not listen any more by signals (O(force_after)), and stop its systemd unit instead of its
    process (O(service)).
  - A pool that is down already is left as it is, without a change. So is a process that merely has the number which a
    stale C(main.pid) names.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.waiting
options:
  redirect_to:
    description:
      - Send all clients there before the shutdown, C(HOST:PORT). The host is a name, an IPv4 address, or an IPv6
        address in brackets.
      - Clients that come anew while it drains are sent away again, every 10 seconds at most.
      - Without it, clients are cut off by the shutdown.
    type: str
  drain_until:
    description:
      - Clients that may be left when the drain is done.
    type: int
    default: 0
  drain_timeout:
    description:
      - Seconds that the drain may take, from V(0) to V(604800).
    type: float
    default: 300.0
  on_drain_timeout:
    description:
      - What to do when more than O(drain_until) clients are left after O(drain_timeout).
      - V(fail) leaves the pool running, and still accepting; V(continue) shuts it down all the same.
    type: str
    choices: [fail, continue]
    default: fail
  shutdown_timeout:
    description:
      - Seconds that the process may take to end, from V(0) to V(604800). With O(force_after), that takes its place.
    type: float
    default: 60.0
  force_after:
    description:
      - Seconds after the request to shut down at which the process gets C(SIGTERM). At most O(shutdown_timeout).
      - A pool whose listener does not answer gets it at once, without a drain.
      - Without it, no process is ever ended by force, and a pool that does not listen makes the task fail.
    type: float
  kill_after:
    description:
      - Seconds after C(SIGTERM) at which the process gets C(SIGKILL), from V(0) to V(604800).
    type: float
    default: 10.0
  remove_leftovers:
    description:
      - Remove the sockets and the C(main.pid) that the process left in its socket directory, once nobody stands behind
        them any more. Also if the pool was down before.
    type: bool
    default: false
  service:
    description:
      - Stop this systemd unit instead of the process. Its C(Restart=always) then does not start the pool again.
      - V(auto) stops the unit that the process belongs to, and fails if it belongs to none.
      - Needs the right to stop units, such as C(become).
    type: str
  poll:
    description:
      - Seconds from the beginning of one look at the pool to that of the next, from V(1) to V(3600).
    type: float
    default: 2.0
  progress:
    description:
      - >-
        Show a line for this host every few seconds of waiting, such as
        C(pool1: drain: 37 clients left, 12 of 300 s).
      - Nothing is shown where the controller's output is no terminal, under a callback that prints JSON, or with
        C(no_log).
    type: bool
    default: true
notes:
  - The waiting is done on the controller, by short calls of M(ckpool.fleet.ckpool_step) on the host, so that no
    connection has to last. O(timeout) bounds one exchange with a socket in such a call, not the wait.
  - One lost connection in a row is survived. A second makes the host unreachable, and the message says what had been
    done. A step whose connection was lost is not repeated; a look shows what became of it.
  - An interruption (Ctrl-C, C(SIGTERM) or the end of the controller) leaves the pool as it is, and C(stderr) of the
    controller says in what state the pool is, where that can still be written. The same goes for the keyword C(timeout)
    of a task.
  - If it fails while it drains, the pool goes on and accepts miners; it is never told to reject.
  - What the daemon leaves depends on how it ended. After a shutdown its four sockets stay, after C(SIGTERM) or
    C(SIGKILL) C(main.pid) too. The next start takes no offence at either.
  - In check mode it looks once, and fails where the run would be seen to fail.
seealso:
  - module: ckpool.fleet.ckpool_restart
  - module: ckpool.fleet.ckpool_wait
  - module: ckpool.fleet.ckpool_step
"""

EXAMPLES = r"""
- name: Shut the pool of this host down
  ckpool.fleet.ckpool_shutdown:

- name: Send the miners to another pool first, and go on once no more than 5 are left
  ckpool.fleet.ckpool_shutdown:
    redirect_to: pool2.example.com:3333
    drain_until: 5
    drain_timeout: 600
  register: ended

- name: Say how many were sent away
  ansible.builtin.debug:
    msg: "{{ ended.sent_away }} of {{ ended.clients_before }} clients were sent away"

- name: End one of several pools whatever it takes, and leave nothing of it
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
  description: The phases that were gone through, in their order. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: V(verify), V(drain), V(shutdown), V(terminate), V(kill) or V(clean).
      type: str
      sample: drain
    seconds:
      description: What it took, in seconds, on the controller's monotonic clock.
      type: float
      sample: 12.04
    clients:
      description: Clients at its end, from the connector's C(stats). Null if not known.
      type: int
      sample: 0
pid_before:
  description: The pool's process id at the first look, from C(main.pid). Null if none lived.
  returned: always
  type: int
  sample: 4242
pid_after:
  description: The pool's process id at the last look, from C(main.pid). Null if none lives.
  returned: always
  type: int
  sample: null
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
      sample: null
    state:
      description: Its state, V(ok), V(starting), V(degraded), V(hung), V(down) or V(unknown), as in
        M(ckpool.fleet.ckpool_stats).
      type: str
      sample: down
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
sent_away:
  description: Clients that left while it drained. Null if there was no drain.
  returned: the options make sense
  type: int
  sample: 20
forced:
  description: The strongest signal that was needed, V(terminate) or V(kill). Null if none was.
  returned: the options make sense
  type: str
  sample: null
removed:
  description: Files that were removed from the socket directory; in check mode those that would be, of a pool that is
    down.
  returned: the options make sense
  type: list
  elements: str
  sample: [listener, stratifier, connector, generator]
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
      sample: "state: down\npid: none\n"
msg:
  description: What was done or found, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is down: pid 4242 is gone, nothing answers"
phase:
  description: What failed, V(options) or the name of the phase.
  returned: failure
  type: str
  sample: drain
reason:
  description:
    - Why, as a short stable code. V(hung) if it does not listen, V(drain_timeout), V(clients_unknown) if the drain
      cannot be followed, V(ended) if it ended by itself while it drained, V(still_running), V(resurrected) if something
      started it again, V(no_service), V(another_process), V(no_pid), V(dead) or V(not_permitted) if its process is not
      known for certain, V(out_of_range), V(bad_address) or V(bad_service) for an option.
    - Else the reason of M(ckpool.fleet.ckpool_step), or V(unreachable).
  returned: failure
  type: str
  sample: drain_timeout
hint:
  description: What to look at or try next.
  returned: failure
  type: str
  sample: "raise drain_timeout or drain_until, or set on_drain_timeout: continue"
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
