# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_health_report
short_description: Show the health of a fleet of ckpools as a table
version_added: 0.1.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Shows what M(ckpool.fleet.ckpool_health_info) found on every host of the play before, as one table, and fails if
    the fleet is not well. Hosts that could not be reached are in the table too.
  - Can write the same as JSON and as JUnit XML, for CI.
  - Runs on the controller and asks no host. The table is not shown under a callback that prints JSON.
options:
  variable:
    description:
      - Name of the variable that the health task was registered under. Hosts without it are left out.
    type: str
    default: health_check_result
  fail_on:
    description:
      - What makes the task fail. V(critical) is a critical check, or a host that could not be reached or asked;
        V(warning) any pool that is not V(ok); V(never) nothing.
      - A fleet without any host always fails.
    type: str
    choices: [critical, warning, never]
    default: critical
  json_file:
    description:
      - File on the controller to write the report to as JSON. Written whole or not at all. Its directory must exist.
    type: path
  junit_file:
    description:
      - File on the controller to write the report to as JUnit XML, with a test suite for each instance and a test
        case for each check. Written whole or not at all. Its directory must exist.
    type: path
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Shows the table, and writes no file.
  diff_mode:
    support: none
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff
      mode.
  idempotent:
    support: N/A
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates
      no change.
    details:
      - A report is of its time, so writing one is always a change.
  platform:
    platforms: posix
    description: Target OS/families that can be operated against.
    support: full
seealso:
  - module: ckpool.fleet.ckpool_health_info
"""

EXAMPLES = r"""
- name: Ask every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Judge every pool of the host
      ckpool.fleet.ckpool_health_info:
        all_instances: true
      register: health_check_result

- name: Report
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Show the fleet, and fail unless all is well
      ckpool.fleet.ckpool_health_report:
        fail_on: warning
        junit_file: health.xml
"""

RETURN = r"""
fleet:
  description: A row for each instance of each host.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: The inventory's name of the host.
      type: str
      sample: pool1
    instance:
      description: The daemon's name. Null if none was found.
      type: str
      sample: ckpool
    socket_dir:
      description: Its socket directory.
      type: str
      sample: /tmp/ckpool
    state:
      description: The state of M(ckpool.fleet.ckpool_health_info), or V(unreachable), or V(failed) if the task
        failed there.
      type: str
      sample: ok
    status:
      description: V(ok), V(warn) or V(critical).
      type: str
      sample: ok
    hashrate:
      description: Hashrate over 1 minute, in H/s.
      type: float
      sample: 38500000.0
    users:
      description: Users with workers.
      type: int
      sample: 3
    workers:
      description: Workers.
      type: int
      sample: 12
    work_age:
      description: Seconds since the last piece of work.
      type: float
      sample: 4.2
    wrong:
      description: What is wrong, the worst first.
      type: list
      elements: str
      sample: []
    checks:
      description: The checks, as in RV(ckpool.fleet.ckpool_health_info#module:health.checks).
      type: list
      elements: dict
      sample: []
well:
  description: Whether the fleet is well, by O(fail_on).
  returned: always
  type: bool
  sample: true
table:
  description: The table as lines of text.
  returned: always
  type: list
  elements: str
  sample: ["HOST   INSTANCE  STATE  HASHRATE   USERS  WORKERS  WORK AGE  WHAT IS WRONG"]
msg:
  description: The fleet in one sentence.
  returned: always
  type: str
  sample: 3 of 3 pools on 3 hosts are well
"""
