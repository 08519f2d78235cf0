# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test whether a pool answers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: reachable
short_description: Test whether a pool answers
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Tests whether a pool answers, healthy or not. It does if its state is V(ok), V(degraded) or V(starting), and does not
    if its state is V(hung), V(down) or V(unknown). If the result has several instances, all of them must answer.
  - If the host could not be reached or the task failed, the pool does not answer. The result of a skipped task is an
    error.
options:
  _input:
    description:
      - A result of M(ckpool.fleet.ckpool_health_info), or its C(health), or one of its C(instances), or a row of
        RV(ckpool.fleet.ckpool_health_report#module:fleet).
      - Also a result of any other module of this collection that has C(instance.state). Any other value is an error.
    type: dict
    required: true
seealso:
  - plugin: ckpool.fleet.healthy
    plugin_type: test
"""

EXAMPLES = r"""
- name: Check the health of the pool
  ckpool.fleet.ckpool_health_info:
  register: pool
  ignore_unreachable: true

- name: Fail if the pool does not answer
  ansible.builtin.assert:
    that: pool is ckpool.fleet.reachable
    fail_msg: "{{ pool.msg }}"

- name: Read the statistics
  ckpool.fleet.ckpool_stats:
  register: pool

- name: Show them if the pool answers
  ansible.builtin.debug:
    var: pool.stats
  when: pool is ckpool.fleet.reachable

- name: Check every pool of the host
  ckpool.fleet.ckpool_health_info:
    all_instances: true
  register: health_check_result

- name: Report on the fleet
  ckpool.fleet.ckpool_health_report:
    fail_on: never
  register: report

- name: Name the hosts with a pool that does not answer
  ansible.builtin.debug:
    msg: "{{ report.fleet | reject('ckpool.fleet.reachable') | map(attribute='host') | unique }}"
"""

RETURN = r"""
_value:
  description: Whether the pool answers.
  type: bool
  sample: true
"""

import typing as t

from ..plugin_utils._verdicts import is_reachable


class TestModule:
    """Offers the test to Ansible."""

    def tests(self) -> t.Dict[str, t.Callable[..., bool]]:
        """The test by its name."""
        return {"reachable": is_reachable}
