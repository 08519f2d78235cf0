# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sort records by a number in them, and take the first."""

from __future__ import annotations

DOCUMENTATION = r"""
name: top
short_description: Sort records by a number in them, and take the first
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Returns the records with the greatest values of a field, the greatest first. Records with the same value keep their
    order. Records with null, an unknown value, come last.
positional: _input, count, by
options:
  _input:
    description:
      - Records, such as RV(ckpool.fleet.ckpool_user_info#module:users).
    type: list
    elements: dict
    required: true
  count:
    description:
      - Maximum number of records.
    type: int
    required: true
  by:
    description:
      - Field to sort by, with numbers, null, or texts that P(ckpool.fleet.hashrate#filter) accepts. Every record must have
        it.
      - A dot leads to a field of a dictionary in the record, as in V(stats.hashrate1m). If the dictionary is null, so is
        the field.
    type: str
    default: hashrate1m
  ascending:
    description:
      - Return the records with the least values instead, the least first. Null still comes last.
    type: bool
    default: false
seealso:
  - plugin: ckpool.fleet.ckpool_query
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the users
  ckpool.fleet.ckpool_user_info:
  register: pool

- name: Show the five users with the highest hashrate over 1 minute
  ansible.builtin.debug:
    msg: "{{ pool.users | ckpool.fleet.top(5, by='hashrate1m') | map(attribute='user') }}"

- name: Show the two workers that have been silent for the longest time
  ansible.builtin.debug:
    msg: "{{ workers | ckpool.fleet.top(2, by='last_share', ascending=true) | map(attribute='worker') }}"
  vars:
    workers: "{{ pool.users | map(attribute='workers') | flatten }}"

- name: Check every pool of the host
  ckpool.fleet.ckpool_health_info:
    all_instances: true
  register: pools

- name: Show the pool of the host with the highest hashrate
  ansible.builtin.debug:
    msg: "{{ pools.instances | ckpool.fleet.top(1, by='stats.hashrate1m') | map(attribute='msg') | first }}"
"""

RETURN = r"""
_value:
  description: The records, unchanged.
  type: list
  elements: dict
  sample: [{"user": "bc1qexampleaddress", "hashrate1m": 38500000.0}]
"""

import typing as t

from ..plugin_utils._ranking import top


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"top": top}
