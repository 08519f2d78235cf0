# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_rolling_report
short_description: Report on a rolling upgrade, as a table, JSON, JUnit XML and Markdown
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Reports what happened to each host of a plan of M(ckpool.fleet.ckpool_batches), from the fact that the playbook
    C(ckpool.fleet.rolling_upgrade) sets on each, and gives the fleet an outcome in one word.
  - The playbook writes the report at the begin and at the end of each batch, so that a run that was cut off leaves one, too.
  - Runs on the controller, and connects to no host. No table is shown under a callback that prints JSON.
extends_documentation_fragment:
  - ckpool.fleet.attributes.controller
  - ckpool.fleet.report.json_file
options:
  plan:
    description:
      - The return values of M(ckpool.fleet.ckpool_batches).
    type: dict
    default: {}
  variable:
    description:
      - Name of the fact with what happened to the host, a dictionary with C(failed), C(unreachable), C(outcome), C(msg), C(pools), C(started) and
        C(ended). A host without it was not begun.
    type: str
    default: rolling_upgrade_result
  begun_variable:
    description:
      - Name of a fact that a host has once its upgrade was begun. With it and without O(variable), the host left the run, and has V(failed).
    type: str
    default: rolling_upgrade_began
  health_variable:
    description:
      - Name of the variable under which the health before was registered, with M(ckpool.fleet.ckpool_health_info). It gives the numbers of clients.
    type: str
    default: health_check_result
  fail_on:
    description:
      - With O(outcome=not_started), which health is why.
    type: str
    choices: [critical, warning]
    default: critical
  batch:
    description:
      - The number of the batch that is being worked on, from V(0) to V(999999). Hosts of it without a result count as V(unfinished), and
        no table is shown. V(0) is the end of the run.
    type: int
    default: 0
  refused:
    description:
      - Why the run ended before its last batch, as a sentence that begins that of the report.
    type: str
  outcome:
    description:
      - The outcome of a run that ended before its first batch.
    type: str
    choices: [not_started, invalid]
  junit_file:
    description:
      - File on the controller to write the report to, as JUnit XML, with a test suite for the run and one for each host. It is replaced
        atomically. Its directory must exist.
    type: path
  markdown_file:
    description:
      - File on the controller to write the report to, as Markdown, for the page of a job. It is replaced atomically. Its directory must exist.
    type: path
attributes:
  check_mode:
    details:
      - Shows the table, and writes no file. The playbook sets C(check_mode=false) for it.
  idempotent:
    support: N/A
    details:
      - A report shows the state of its time, so writing it is always a change.
seealso:
  - module: ckpool.fleet.ckpool_batches
  - module: ckpool.fleet.ckpool_outcome
"""

EXAMPLES = r"""
- name: Report on the fleet
  hosts: localhost:all
  gather_facts: false
  tasks:
    - name: Show the table, and write it for programs
      ckpool.fleet.ckpool_rolling_report:
        plan: "{{ plan }}"
        json_file: rolling.json
        junit_file: rolling.xml
        markdown_file: rolling.md
      register: report
      run_once: true
      failed_when: report.outcome is not defined

    - name: Show the outcome, and fail unless it is good
      ckpool.fleet.ckpool_outcome:
        outcome: "{{ report.outcome }}"
        msg: "{{ report.msg }}"
        unreachable: "{{ report.unreachable_only }}"
      run_once: true
"""

RETURN = r"""
outcome:
  description:
    - The outcome of the fleet in one word. The gravest of its hosts decides.
    - V(nothing_to_do) and V(done), or V(predicted) in check mode.
    - V(not_started), if no host was changed. V(stopped), if some are done and the others were not begun.
    - V(rolled_back), V(failed) and V(rollback_failed), as RV(ckpool.fleet.ckpool_window#module:window.outcome) of a host.
    - V(unfinished), in the file of a run that was cut off. V(invalid), if the call was wrong.
  returned: always
  type: str
  sample: rolled_back
well:
  description: Whether the outcome is V(done), V(nothing_to_do) or V(predicted), and every file was written.
  returned: always
  type: bool
  sample: false
unreachable_only:
  description: Whether nothing failed but to reach hosts.
  returned: always
  type: bool
  sample: false
goes_on:
  description: Whether there are hosts that were not begun, and nothing failed.
  returned: always
  type: bool
  sample: false
written:
  description: Whether all files that were asked for could be written.
  returned: always
  type: bool
  sample: true
fleet:
  description: What happened to each host, in the order of the batches.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: The host.
      type: str
      sample: pool1
    batch:
      description: The number of its batch, from 1 up. Null if there is no plan.
      type: int
      sample: 1
    tier:
      description: Its tier, V(master) or V(passthrough). Null if there is no plan.
      type: str
      sample: master
    outcome:
      description: Its outcome, in the same words as RV(outcome). V(not_started) if it was not begun.
      type: str
      sample: rolled_back
    failed:
      description: Whether it is a reason for the run to fail.
      type: bool
      sample: true
    unreachable:
      description: Whether it could not be reached.
      type: bool
      sample: false
    msg:
      description: The same in one sentence, or what would happen to it.
      type: str
      sample: "verify: only 3 of 12 clients came back after 300 s"
    instances:
      description: The names of its instances before.
      type: list
      elements: str
      sample: [main]
    clients:
      description: The number of clients of all its instances before. Null if it is not known.
      type: int
      sample: 12
    started:
      description: When its upgrade began, in epoch seconds. Null if it did not.
      type: int
      sample: 1795212000
    ended:
      description: When it ended, in epoch seconds. Null if it was not begun.
      type: int
      sample: 1795212360
    pools:
      description: What was measured of each instance, as C(upgrade_report.pools) of the role P(ckpool.fleet.upgrade#role).
      type: list
      elements: dict
      sample: []
table:
  description: The table, line by line.
  returned: always
  type: list
  elements: str
  sample:
    - "HOST   BATCH  TIER    OUTCOME  POOLS  CLIENTS  WHAT HAPPENED"
    - "pool1  1      master  done     main   12       main runs 1.2.0"
totals:
  description: The fleet in numbers, C(hosts), C(pools), C(clients) (null if none is known), and C(outcomes) with the number of hosts of each.
  returned: always
  type: dict
  sample: {hosts: 1, pools: 1, clients: 12, outcomes: {done: 1}}
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "outcome: rolled_back; 1 of 3 hosts rolled back (pool1); 2 of 3 hosts not started (pool2, pool3); pool1: a hook has failed"
"""
