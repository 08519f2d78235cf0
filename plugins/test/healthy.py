# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test whether a pool is healthy."""

from __future__ import annotations

DOCUMENTATION = r"""
name: healthy
short_description: Test whether a pool is healthy
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Tests whether a pool is healthy, from a result of M(ckpool.fleet.ckpool_health_info). If the result has several
    instances, all of them must be.
  - Agrees with O(ckpool.fleet.ckpool_health_report#module:fail_on) of M(ckpool.fleet.ckpool_health_report), for
    V(warning) by default, and for V(critical) with O(warnings=true).
  - If the host could not be reached or the task failed, the pool is not healthy. The result of a skipped task is an error.
positional: _input, warnings
options:
  _input:
    description:
      - A result of M(ckpool.fleet.ckpool_health_info), or its C(health), or one of its C(instances), or a row of
        RV(ckpool.fleet.ckpool_health_report#module:fleet). Any other value is an error.
    type: dict
    required: true
  warnings:
    description:
      - Count a pool as healthy if no check is critical. That includes a pool that is V(starting), unless it takes longer
        than allowed.
    type: bool
    default: false
seealso:
  - plugin: ckpool.fleet.reachable
    plugin_type: test
"""

EXAMPLES = r"""
- name: Check the health of the pool
  ckpool.fleet.ckpool_health_info:
  register: pool

- name: Show what is wrong, if anything is
  ansible.builtin.debug:
    msg: "{{ pool.msg }}"
  when: pool is not ckpool.fleet.healthy

- name: Fail only if a check is critical
  ansible.builtin.assert:
    that: pool is ckpool.fleet.healthy(warnings=true)
    fail_msg: "{{ pool.msg }}"

- name: Wait until the pool is healthy
  ckpool.fleet.ckpool_health_info:
  register: pool
  until: pool is ckpool.fleet.healthy
  retries: 24
  delay: 5

- name: Check every pool of the host
  ckpool.fleet.ckpool_health_info:
    all_instances: true
  register: health_check_result

- name: Name the pools with a critical check
  ansible.builtin.debug:
    msg: "{{ unhealthy | map(attribute='instance.name') }}"
  vars:
    unhealthy: "{{ health_check_result.instances | reject('ckpool.fleet.healthy', warnings=true) }}"

- name: Report on the fleet
  ckpool.fleet.ckpool_health_report:
    fail_on: never
  register: report

- name: Name the hosts of the fleet with a healthy pool
  ansible.builtin.debug:
    msg: "{{ report.fleet | select('ckpool.fleet.healthy') | map(attribute='host') | unique }}"
"""

RETURN = r"""
_value:
  description: Whether the pool is healthy.
  type: bool
  sample: true
"""

import typing as t

from ..plugin_utils._verdicts import is_healthy


class TestModule:
    """Offers the test to Ansible."""

    def tests(self) -> t.Dict[str, t.Callable[..., bool]]:
        """The test by its name."""
        return {"healthy": is_healthy}
