# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_user_report
short_description: Rank the users of a fleet, or show one user over all its pools
version_added: 0.4.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Combines what M(ckpool.fleet.ckpool_info) or M(ckpool.fleet.ckpool_user_info) returned about the users of every pool of a fleet, and
    ranks them.
  - Fails if a host or a pool returned nothing. The result still contains the users of the others.
  - Runs on the controller, and connects to no host. The playbooks C(ckpool.fleet.top_users) and C(ckpool.fleet.user) use it.
extends_documentation_fragment:
  - ckpool.fleet.report
  - ckpool.fleet.report.json_file
options:
  variable:
    default: user_report_result
  count:
    description:
      - Maximum number of users to return, at least V(0). V(0) returns all of them.
    type: int
    default: 10
  by:
    description:
      - The field to sort by, in descending order.
    type: str
    choices: [hashrate1m, hashrate5m, hashrate1hr, hashrate1d, hashrate7d, shares, best_share, last_share]
    default: hashrate1m
  merge:
    description:
      - Whether a user of several pools is one row with the sum, instead of one row for each pool. The sum is only correct if the pools
        returned all of their users.
    type: bool
    default: false
  user:
    description:
      - Only return the user with this name. The task fails if no pool knows it.
    type: str
seealso:
  - module: ckpool.fleet.ckpool_user_info
  - plugin: ckpool.fleet.top
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the users of every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Read the users of every pool on the host
      ckpool.fleet.ckpool_user_info:
        all_instances: true
      register: user_report_result
      ignore_errors: true

- name: Report
  hosts: localhost:all # never empty, whatever --limit says
  gather_facts: false
  tasks:
    - name: Add up each user over all pools, and return the five strongest
      ckpool.fleet.ckpool_user_report:
        hosts: pools
        merge: true
        count: 5
      register: report
      run_once: true
"""

RETURN = r"""
users:
  description: The users, ranked. Without O(merge), each also has the keys of RV(ckpool.fleet.ckpool_user_info#module:users).
  returned: always
  type: list
  elements: dict
  contains:
    user:
      description: Name of the user.
      type: str
      sample: bc1qexampleaddress
    host:
      description: Name of the pool's host in the inventory. Only without O(merge).
      type: str
      sample: pool1
    pool:
      description: Name of the pool. Only without O(merge).
      type: str
      sample: ckpool
    pid:
      description: The pool's process ID. Null if there is none. Only without O(merge).
      type: int
      sample: 4242
    state:
      description: State of the pool. Only without O(merge).
      type: str
      sample: ok
    hashrate1m:
      description: Hashrate over 1 minute, in H/s. With O(merge), this and the values up to RV(users[].shares) are the sums over the pools.
      type: float
      sample: 14100000.0
    hashrate5m:
      description: Hashrate over 5 minutes, in H/s.
      type: float
      sample: 8680000.0
    hashrate1hr:
      description: Hashrate over 1 hour, in H/s.
      type: float
      sample: 1140000.0
    hashrate1d:
      description: Hashrate over 1 day, in H/s.
      type: float
      sample: 49600.0
    hashrate7d:
      description: Hashrate over 7 days, in H/s.
      type: float
      sample: 7100.0
    shares:
      description: Accepted shares, in shares of difficulty 1.
      type: float
      sample: 2
    best_share:
      description: Difficulty of the best share. With O(merge), the highest of all pools.
      type: float
      sample: 2.37
    last_share:
      description: Time of the last share, in epoch seconds. With O(merge), the latest of all pools.
      type: int
      sample: 1795385399
    pools:
      description: The user's row for each pool, with RV(users[].host), RV(users[].pool), RV(users[].pid) and RV(users[].state). Only with
        O(merge).
      type: list
      elements: dict
      sample: []
missing:
  description: The hosts and pools whose users are not known. The task fails unless this is empty.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: Name of the host in the inventory.
      type: str
      sample: pool2
    pool:
      description: Name of the pool, or C(pool) if it is unknown.
      type: str
      sample: ckpool
    why:
      description: The reason, in one line.
      type: str
      sample: no answer
problems:
  description: Every reason for which the task failed, each as a sentence. Empty if it did not.
  returned: always
  type: list
  elements: str
  sample: []
by:
  description: The field that the users are sorted by.
  returned: always
  type: str
  sample: hashrate1m
not_asked:
  description: The hosts of O(hosts) that C(--limit) left out.
  returned: always
  type: list
  elements: str
  sample: []
table:
  description: The users as lines of text, below a heading.
  returned: always
  type: list
  elements: str
  sample: ["HOST                 POOL         STATE             1M          5M         1HR          1D         SHARES"]
msg:
  description: The result in one sentence, with failures first.
  returned: always
  type: str
  sample: 10 of 212 users
"""
