# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_monitor
short_description: Watch the pools of a fleet, or of a host
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Shows every ckpool repeatedly, as C(watch) does with a command. It ends after O(count) rounds, or immediately with the key C(q) or
    with Ctrl-C.
  - On a terminal, all hosts of the play share one screen that fits the terminal, also after its size has changed. It has totals, and a
    line for each pool. The line has its state, host, name and hashrate, and what is wrong with it, as the report of
    M(ckpool.fleet.ckpool_health_report) does. The worst pools come first. If there is not enough room, the last line has the number
    of pools that are left out.
  - If the play watches one host alone, the screen shows each of its pools in detail, with its strongest users and its last blocks. Only
    users with a share in the last hour are shown, sorted by their hashrate over 1 minute.
  - The screen is not used if O(redraw=false), if the output is not a terminal, if the run is in the background, if the environment
    variable C(TERM) is C(dumb) or not set, with C(-vvv) and higher, or if the terminal belongs to another user. Then each host prints a
    block of lines for each round, with the details of each of its pools. C(NO_COLOR) and C(ANSIBLE_NOCOLOR) turn colors off. Nothing is
    shown under a callback that prints JSON.
  - A pool that is down or hung, or a host that cannot be reached, is shown as such, and asked again in the next round. A host that does
    not answer at all is shown as that after a while. The task only fails if an option is invalid.
  - A daemon in mode C(passthrough) or C(redirector) has no statistics of its own. If it is healthy, its clients are shown, and on the
    screen of a fleet also whether its upstream is connected.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.waiting
attributes:
  check_mode:
    support: full
    details:
      - Check mode makes no difference.
options:
  socket_dir:
    description:
      - The daemon's socket directory. If none of O(socket_dir), O(name) and O(pid) is set, every pool of the host is watched.
  log_dir:
    description:
      - The daemon's log directory, if it cannot be determined from the process.
  interval:
    description:
      - Seconds from the start of one round to the start of the next, from V(2) to V(3600). A round that takes longer is followed by the
        next after one second.
    type: float
    default: 5.0
  count:
    description:
      - Number of rounds, from V(1) to V(17280), which is one day with the default O(interval). It cannot be unlimited.
    type: int
    default: 12
  users:
    description:
      - Number of users to show of each pool, from V(0) to V(100). The screen of a fleet shows none.
    type: int
    default: 5
  blocks:
    description:
      - Number of blocks to show of each pool, the newest ones, from V(0) to V(100). The screen of a fleet shows none.
    type: int
    default: 3
  redraw:
    description:
      - Whether a terminal may show a screen that each round replaces. Otherwise, rounds follow each other.
    type: bool
    default: true
notes:
  - Ansible watches as many hosts at a time as there are C(--forks). The screen names the hosts that are not watched yet. The strategy
    P(ansible.builtin.free#strategy) keeps hosts from waiting for each other.
  - The key C(q) ends the tasks of all hosts successfully, also during a call of a host that hangs. Ctrl-C ends the run of Ansible, with
    exit status 99. Both leave the terminal as it was. C(Ctrl-Z) and C(Ctrl-S) have no effect on the screen.
seealso:
  - module: ckpool.fleet.ckpool_info
"""

EXAMPLES = r"""
- name: Watch the pools on this host for a minute
  ckpool.fleet.ckpool_monitor:

- name: Watch one pool and its ten strongest users for five rounds
  ckpool.fleet.ckpool_monitor:
    socket_dir: /run/ckpool/solo
    interval: 2
    count: 5
    users: 10
    blocks: 0
"""

RETURN = r"""
rounds:
  description: Number of rounds that were completed. Less than O(count) if it was ended with C(q).
  returned: success
  type: int
  sample: 12
pools:
  description:
    - The result of M(ckpool.fleet.ckpool_info) for each pool in the last round, or C(unreachable) or C(failed) with C(msg). On the screen
      of a fleet, the result of M(ckpool.fleet.ckpool_health_info) instead. Both have C(instance) and C(msg).
    - Empty if it was ended before the first round was complete.
  returned: success
  type: list
  elements: dict
  sample: []
msg:
  description: The state of the pools in the last round, in one sentence, and whether it was ended with C(q).
  returned: always
  type: str
  sample: after 12 rounds, ckpool (/tmp/ckpool) is ok
"""
