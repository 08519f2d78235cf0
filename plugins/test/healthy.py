# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a pool well?"""

from __future__ import annotations

DOCUMENTATION = r"""
name: healthy
short_description: Is a pool well?
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Whether a pool is well, by what M(ckpool.fleet.ckpool_health_info) found. Of several instances all must be.
  - Says the same as O(ckpool.fleet.ckpool_health_report#module:fail_on) of M(ckpool.fleet.ckpool_health_report), for
    V(warning) as it is, and for V(critical) with O(warnings=true).
  - If the host could not be reached or the task failed there, the pool is not. A task that was skipped says nothing,
    and is an error.
positional: _input, warnings
options:
  _input:
    description:
      - A result of M(ckpool.fleet.ckpool_health_info), or its C(health), or one of its C(instances), or a row of
        RV(ckpool.fleet.ckpool_health_report#module:fleet). Anything else is an error.
    type: dict
    required: true
  warnings:
    description:
      - Whether a pool still counts as well as long as no check is critical. That includes one that is V(starting), as
        long as it takes no longer than it may.
    type: bool
    default: false
seealso:
  - plugin: ckpool.fleet.reachable
    plugin_type: test
"""

EXAMPLES = r"""
- name: Judge the pool
  ckpool.fleet.ckpool_health_info:
  register: pool

- name: Say what is wrong, if anything is
  ansible.builtin.debug:
    msg: "{{ pool.msg }}"
  when: pool is not ckpool.fleet.healthy

- name: Stop here only if a check is critical
  ansible.builtin.assert:
    that: pool is ckpool.fleet.healthy(warnings=true)
    fail_msg: "{{ pool.msg }}"

- name: Wait until all is well
  ckpool.fleet.ckpool_health_info:
  register: pool
  until: pool is ckpool.fleet.healthy
  retries: 24
  delay: 5

- name: Judge every pool of the host
  ckpool.fleet.ckpool_health_info:
    all_instances: true
  register: health_check_result

- name: Name those with a critical check
  ansible.builtin.debug:
    msg: "{{ sick | map(attribute='instance.name') }}"
  vars:
    sick: "{{ health_check_result.instances | reject('ckpool.fleet.healthy', warnings=true) }}"

- name: Report on the fleet
  ckpool.fleet.ckpool_health_report:
    fail_on: never
  register: report

- name: Name the hosts of the fleet where all is well
  ansible.builtin.debug:
    msg: "{{ report.fleet | select('ckpool.fleet.healthy') | map(attribute='host') | unique }}"
"""

RETURN = r"""
_value:
  description: Whether all is well.
  type: bool
  sample: true
"""

import typing as t

from ..plugin_utils._verdicts import is_healthy


class TestModule:
    """The test of this file."""

    def tests(self) -> t.Dict[str, t.Callable[..., bool]]:
        """By its name."""
        return {"healthy": is_healthy}
