# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_fleet_report
short_description: Write a report on a fleet as an HTML page, as Markdown and as JSON
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Combines what M(ckpool.fleet.ckpool_health_info), M(ckpool.fleet.ckpool_info) and M(ckpool.fleet.ckpool_worker_info) returned on the
    hosts of an earlier play with kept snapshots and with records of maintenance windows, and writes a report on it.
  - The HTML page is one file that loads nothing. It begins with the pools that are not healthy, the worst first, each with the cause, what
    to do, and the last line of its log.
  - Names of users, workers and miners are never taken for markup. The page has a policy by which the browser runs no script but its own.
  - Returns an outcome, and does not fail by it. Pass it to M(ckpool.fleet.ckpool_outcome), as the role P(ckpool.fleet.report#role) does.
  - Runs on the controller, and connects to no host.
extends_documentation_fragment:
  - ckpool.fleet.report
  - ckpool.fleet.report.json_file
requirements:
  - pygal (on the controller), for O(html_file) with O(charts=true)
options:
  variable:
    description:
      - Name of the variable under which the task of M(ckpool.fleet.ckpool_health_info) was registered.
    default: health_check_result
  pools_variable:
    description:
      - Name of the variable under which a task of M(ckpool.fleet.ckpool_info) was registered, with the subsets V(summary), V(stats), V(users),
        V(workbase) and V(blocks).
    type: str
    default: report_pools
  idle_variable:
    description:
      - Name of the variable under which a task of M(ckpool.fleet.ckpool_worker_info) for idle workers was registered. If that was skipped
        on every host, the report does not mention idle workers.
    type: str
    default: report_idle
  fail_on:
    description:
      - What makes the outcome V(unhealthy), as O(ckpool.fleet.ckpool_health_report#module:fail_on). With V(never), RV(well) is true whatever
        the outcome is, unless the call is wrong.
    type: str
    choices: [critical, warning, never]
    default: critical
  html_file:
    description:
      - File on the controller to write the page to. It is replaced atomically. Its directory must exist.
    type: path
  markdown_file:
    description:
      - File on the controller to write the same to as Markdown. It is replaced atomically. Its directory must exist.
    type: path
  baseline:
    description:
      - The JSON file of M(ckpool.fleet.ckpool_health_report). An instance in it that is gone now is a row of the report, and critical. The
        file is only read.
    type: path
  snapshots:
    description:
      - Directory on the controller with the files of M(ckpool.fleet.ckpool_snapshot), for everything over time. One that does not exist has
        no snapshots.
    type: path
  windows:
    description:
      - Directory on the controller with the records of maintenance windows, as the role P(ckpool.fleet.upgrade#role) leaves them.
        One that does not exist has no records.
    type: path
  days:
    description:
      - Days to look back in O(snapshots), from V(0) to V(3660).
    type: float
    default: 30.0
  charts:
    description:
      - Whether the page has charts. They require the Python package pygal on the controller.
    type: bool
    default: true
  redact:
    description:
      - What is written in place of the names of users and workers, also in lines of logs. V(none) writes them as they are. V(shorten) keeps a
        few characters at both ends of long names, and a third of short ones. V(hash) writes 12 hexadecimal digits.
      - Without V(none), IP addresses of miners in lines of logs are left out as well. Names of hosts and pools stay.
    type: str
    choices: [none, shorten, hash]
    default: none
  redact_key:
    description:
      - The secret for O(redact=hash). With the same key, a name has the same hash in each report. By default, a random key is used for each
        report. Without a secret, anybody could find the address of a hash, because all addresses are public.
    type: str
  title:
    description:
      - Heading of the report.
    type: str
    default: ckpool fleet
  users:
    description:
      - Maximum number of users in the report, from V(0) to V(10000), by their hashrate over 1 hour, summed over all pools.
    type: int
    default: 20
  users_read:
    description:
      - How many users of each pool the task of O(pools_variable) asked for, from V(0) to V(10000000). V(0) is all of them. If a pool has that many, the
        report says that its sums may lack a part.
    type: int
    default: 0
  idle_workers:
    description:
      - Maximum number of idle workers in the report, from V(0) to V(10000).
    type: int
    default: 100
seealso:
  - module: ckpool.fleet.ckpool_health_report
  - module: ckpool.fleet.ckpool_snapshot
"""

EXAMPLES = r"""
- name: Ask every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Check the health of every pool
      ckpool.fleet.ckpool_health_info:
        all_instances: true
      register: health_check_result
      ignore_errors: true

    - name: Read every pool
      ckpool.fleet.ckpool_info:
        all_instances: true
        gather_subset: [summary, stats, users, workbase, blocks]
        limit: 0
      register: report_pools
      ignore_errors: true

- name: Report
  hosts: localhost:all # never empty, whatever --limit says
  gather_facts: false
  tasks:
    - name: Write the report
      ckpool.fleet.ckpool_fleet_report:
        hosts: pools
        html_file: /srv/www/fleet.html
        json_file: /srv/www/fleet.json
        snapshots: /var/lib/ckpool-snapshots
        redact: shorten
      run_once: true
      delegate_to: localhost
"""

RETURN = r"""
outcome:
  description: >-
    V(healthy), V(unhealthy), V(undetermined) or V(invalid), as RV(ckpool.fleet.ckpool_health_report#module:outcome). It is also
    V(undetermined) if something could not be read, such as the users of a healthy pool.
  returned: success
  type: str
  sample: healthy
well:
  description: Whether a run should end with success.
  returned: success
  type: bool
  sample: true
files:
  description: The files that were written, or in check mode would be, with their C(path) and their C(size) in bytes.
  returned: success
  type: list
  elements: dict
  sample: [{"path": "/srv/www/fleet.html", "size": 174080}]
pools:
  description: How many pools, and hosts without an answer, the report has.
  returned: success
  type: int
  sample: 12
problems:
  description: What could not be read on the controller, and what is wrong with the call, each as a sentence.
  returned: success
  type: list
  elements: str
  sample: []
missing:
  description: The pools whose users, blocks or idle workers are not known, with C(host), C(pool) and C(why).
  returned: success
  type: list
  elements: dict
  sample: [{"host": "pool2", "pool": "ckpool", "why": "no answer"}]
not_asked:
  description: The hosts of O(hosts) that C(--limit) left out.
  returned: success
  type: list
  elements: str
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "outcome: healthy; 12 of 12 pools on 12 hosts are healthy; written: /srv/www/fleet.html"
"""
