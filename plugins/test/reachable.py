# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a pool answer?"""

from __future__ import annotations

DOCUMENTATION = r"""
name: reachable
short_description: Does a pool answer?
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Whether something of a pool answers, well or not. That is so if its state is V(ok), V(degraded) or V(starting), and
    not if it is V(hung), V(down) or V(unknown). Of several instances all must be.
  - If the host could not be reached or the task failed there, the pool is not. A task that was skipped says nothing,
    and is an error.
options:
  _input:
    description:
      - A result of M(ckpool.fleet.ckpool_health_info), or its C(health), or one of its C(instances), or a row of
        RV(ckpool.fleet.ckpool_health_report#module:fleet).
      - Also a result of another module of this collection that has C(instance.state). Anything else is an error.
    type: dict
    required: true
seealso:
  - plugin: ckpool.fleet.healthy
    plugin_type: test
"""

EXAMPLES = r"""
- name: Judge the pool
  ckpool.fleet.ckpool_health_info:
  register: pool
  ignore_unreachable: true

- name: Stop here if nobody answers
  ansible.builtin.assert:
    that: pool is ckpool.fleet.reachable
    fail_msg: "{{ pool.msg }}"

- name: Read the statistics
  ckpool.fleet.ckpool_stats:
  register: pool

- name: Show them if there are any
  ansible.builtin.debug:
    var: pool.stats
  when: pool is ckpool.fleet.reachable

- name: Judge every pool of the host
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
  description: Whether something answers.
  type: bool
  sample: true
"""

import typing as t

from ..plugin_utils._verdicts import is_reachable


class TestModule:
    """The test of this file."""

    def tests(self) -> t.Dict[str, t.Callable[..., bool]]:
        """By its name."""
        return {"reachable": is_reachable}
