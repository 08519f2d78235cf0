# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a hashrate."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hashrate
short_description: Read a hashrate
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - H/s from a number or a text, be it as a daemon writes it or as people do.
  - The modules of this collection return H/s already. This is for what comes from elsewhere, such as variables,
    status files, and the guide's replies.
positional: _input, unit, default
options:
  _input:
    description:
      - A number, or a text of a number with or without a suffix (V(38.5M), V(1e+03T)) or a unit (V(1.5 TH/s)).
        The suffixes are K, M, G, T, P, E and Z, each a thousand times the one before, in either case.
    type: raw
    required: true
  unit:
    description:
      - What a bare number is in. A suffix or a unit in the text goes before it. In either case.
    type: str
    choices: [H/s, KH/s, MH/s, GH/s, TH/s, PH/s, EH/s, ZH/s]
    default: H/s
  default:
    description:
      - What to return for null and for an empty text. Without it these are errors, as a value that is not known is
        not 0.
    type: raw
seealso:
  - plugin: ckpool.fleet.human_hashrate
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read texts as the daemon and as people write them
  ansible.builtin.assert:
    that:
      - "'38.5M' | ckpool.fleet.hashrate == 38500000"
      - "'1e+03T' | ckpool.fleet.hashrate == 1e15"
      - "'1.5 TH/s' | ckpool.fleet.hashrate == 1.5e12"
      - "1234 | ckpool.fleet.hashrate == 1234"

- name: Read the guide's numbers, which are GH/s
  ansible.builtin.assert:
    that:
      - "38.5 | ckpool.fleet.hashrate(unit='GH/s') == 38.5e9"
      - "'1.5T' | ckpool.fleet.hashrate(unit='GH/s') == 1.5e12"

- name: Take what is not known for nothing
  ansible.builtin.assert:
    that: "none | ckpool.fleet.hashrate(default=0) == 0"

- name: Read the statistics
  ckpool.fleet.ckpool_stats:
  register: pool

- name: Compare the pool with what was promised
  ansible.builtin.debug:
    msg: The pool has {{ (100 * pool.stats.hashrate1m / promised | ckpool.fleet.hashrate) | round }} % of its hashrate
  vars:
    promised: 1.5 PH/s
"""

RETURN = r"""
_value:
  description: The hashrate in H/s, or O(default).
  type: float
  sample: 38500000.0
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._values import defined, rate_of, shown

_NO_DEFAULT = object()


def hashrate(value: t.Any, unit: str = "H/s", default: t.Any = _NO_DEFAULT) -> t.Any:
    """H/s, or the default if there is no value."""
    if defined(value) is not None and not (isinstance(value, str) and not value.strip()):
        return rate_of(value, unit)
    if default is _NO_DEFAULT:
        raise AnsibleFilterError(f"no hashrate: {shown(value)}; give a default for what is not known")
    return default


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """By its name."""
        return {"hashrate": hashrate}
