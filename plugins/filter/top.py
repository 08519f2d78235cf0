# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the first of some records by a number in them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: top
short_description: Take the first of some records by a number in them
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - The records with the greatest value of a field, the greatest first. Records with the same value stay in their
    order, and those with null, which is a value that is not known, come last.
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
      - At most so many.
    type: int
    required: true
  by:
    description:
      - The field, with numbers, null, or texts that P(ckpool.fleet.hashrate#filter) reads. Every record must have it.
      - One of a dictionary in the record is named with a dot, as in V(stats.hashrate1m). If that dictionary is null,
        so is the field.
    type: str
    default: hashrate1m
  ascending:
    description:
      - Take the least first instead. Null still comes last.
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

- name: Show the five strongest of the last minute
  ansible.builtin.debug:
    msg: "{{ pool.users | ckpool.fleet.top(5, by='hashrate1m') | map(attribute='user') }}"

- name: Show the two workers that have been silent for the longest time
  ansible.builtin.debug:
    msg: "{{ workers | ckpool.fleet.top(2, by='last_share', ascending=true) | map(attribute='worker') }}"
  vars:
    workers: "{{ pool.users | map(attribute='workers') | flatten }}"

- name: Judge every pool of the host
  ckpool.fleet.ckpool_health_info:
    all_instances: true
  register: pools

- name: Show the strongest pool of the host
  ansible.builtin.debug:
    msg: "{{ pools.instances | ckpool.fleet.top(1, by='stats.hashrate1m') | map(attribute='msg') | first }}"
"""

RETURN = r"""
_value:
  description: The records, as they are.
  type: list
  elements: dict
  sample: [{"user": "bc1qexampleaddress", "hashrate1m": 38500000.0}]
"""

import math
import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._values import defined, rate_of, shown, text_of, whole_number

_MOST = 2**31


def top(records: t.Any, count: t.Any, by: str = "hashrate1m", ascending: t.Any = False) -> t.List[t.Any]:
    """The first records by a field."""
    if isinstance(defined(records), (str, bytes, Mapping)) or not isinstance(records, Iterable):
        raise AnsibleFilterError(f"not a list of records: {shown(records)}")
    if not isinstance(defined(ascending), bool):
        raise AnsibleFilterError(f"ascending is neither true nor false: {shown(ascending)}")
    name = text_of(by, "by")
    most = whole_number(count, "count", 0, _MOST)
    ranked = [(_rank(record, name, f"record {number}"), record) for number, record in enumerate(records)]
    sign = 1 if ascending else -1
    ranked.sort(key=lambda pair: math.inf if pair[0] is None else sign * pair[0])
    return [record for _rank_of_it, record in ranked[:most]]


def _rank(record: t.Any, name: str, where: str) -> t.Optional[float]:
    """The number to order by. None stays None."""
    value = _field(record, name, where)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return value
    try:
        return rate_of(value)
    except AnsibleFilterError:
        raise AnsibleFilterError(f"{name} of {where} is neither a number nor a hashrate: {shown(value)}") from None


def _field(record: t.Any, name: str, where: str) -> t.Any:
    """The value of a field, of one in a dictionary if it has a dot."""
    if not isinstance(record, Mapping):
        raise AnsibleFilterError(f"{where} is no dictionary: {shown(record)}")
    if name in record:
        return defined(record[name])
    outer, dot, inner = name.partition(".")
    if dot and outer in record:
        return None if record[outer] is None else _field(record[outer], inner, f"{outer} of {where}")
    there = ", ".join(map(str, record)) or "none"
    raise AnsibleFilterError(f"{where} has no field {name!r}; its fields: {there[:200]}")


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """By its name."""
        return {"top": top}
