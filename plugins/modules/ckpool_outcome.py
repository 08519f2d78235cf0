# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_outcome
short_description: End a run with the outcome of a report or of a window
version_added: 0.4.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Shows the outcome of M(ckpool.fleet.ckpool_health_report) in one sentence, and fails accordingly, so that the exit status of
    C(ansible-playbook) distinguishes V(unhealthy) from V(undetermined).
  - C(ansible-playbook) has a separate exit status for unreachable hosts only. With V(undetermined), the host that the task runs for is
    therefore shown as unreachable, and takes no further part in the play.
  - It does the same for the outcome of a maintenance window, RV(ckpool.fleet.ckpool_window#module:window.outcome), and for that of a
    rolling upgrade, RV(ckpool.fleet.ckpool_rolling_report#module:outcome).
  - Runs on the controller, and connects to no host. Use it as the last task of a play, with C(run_once).
extends_documentation_fragment:
  - ckpool.fleet.attributes.controller
options:
  outcome:
    description:
      - The outcome, as RV(ckpool.fleet.ckpool_health_report#module:outcome), RV(ckpool.fleet.ckpool_window#module:window.outcome), or
        RV(ckpool.fleet.ckpool_rolling_report#module:outcome).
      - With V(healthy), V(done), V(nothing_to_do) and V(predicted), the task passes. With V(undetermined), the host counts as unreachable,
        and the exit status is 4. With the others, it fails, and the exit status is 2.
    type: str
    choices:
      [healthy, unhealthy, undetermined, invalid, nothing_to_do, done, rolled_back, rollback_failed, failed, not_started, stopped, unfinished,
      predicted]
    required: true
  msg:
    description:
      - The message to show.
    type: str
    required: true
  fail:
    description:
      - Whether to fail. By default, every outcome except V(healthy), V(done), V(nothing_to_do) and V(predicted) does.
    type: bool
  unreachable:
    description:
      - Whether a failure is one of hosts that could not be reached, with an exit status of 4. By default, only V(undetermined) is.
    type: bool
    version_added: 1.0.0
seealso:
  - module: ckpool.fleet.ckpool_health_report
  - module: ckpool.fleet.ckpool_window
  - module: ckpool.fleet.ckpool_rolling_report
"""

EXAMPLES = r"""
- name: Check every pool on the host
  ckpool.fleet.ckpool_health_info:
    all_instances: true
  register: health_check_result

- name: Show the fleet
  ckpool.fleet.ckpool_health_report:
    hosts: pools
  register: report
  run_once: true
  failed_when: false

- name: Show the outcome, and fail unless it is healthy
  ckpool.fleet.ckpool_outcome:
    outcome: "{{ report.outcome }}"
    msg: "{{ report.msg }}"
  run_once: true
"""

RETURN = r"""
outcome:
  description: The outcome that was passed.
  returned: always
  type: str
  sample: healthy
msg:
  description: The message that was passed, without control characters.
  returned: always
  type: str
  sample: "outcome: healthy; 3 of 3 pools on 3 hosts are healthy"
"""
