# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert a hashrate to H/s."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hashrate
short_description: Convert a hashrate to H/s
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Converts a number or a text, as the daemon or a person writes it, to H/s.
  - The modules of this collection already return H/s. Use this filter for other values, such as variables, status files
    and replies of the guide.
positional: _input, unit, default
options:
  _input:
    description:
      - A number, or a text with a number and optionally a suffix (V(38.5M), V(1e+03T)) or a unit (V(1.5 TH/s)).
      - The suffixes are those of the daemon. V(K), V(M), V(G), V(T), V(P), V(E), V(Z) and V(Y) are each a thousand times
        the one before, and V(m), V(u) and V(n) each a thousandth. They are case-sensitive. V(370M) is 370 MH/s, and
        V(370m) is 0.37 H/s. Only V(k) is accepted for V(K). Any other suffix in the wrong case, such as V(1.5p), is an
        error.
      - A unit is not case-sensitive unless that makes it ambiguous. V(1.5 th/s) is V(1.5 TH/s). V(mH/s) is milli, V(MH/s)
        is mega, and V(mh/s) is an error.
    type: raw
    required: true
  unit:
    description:
      - Unit of a number without one. A suffix or a unit in the text takes precedence.
    type: str
    choices: [H/s, KH/s, MH/s, GH/s, TH/s, PH/s, EH/s, ZH/s, YH/s, mH/s, uH/s, nH/s]
    default: H/s
  default:
    description:
      - Value to return for null and for an empty text. If it is not set, these are errors, as an unknown value is not 0.
    type: raw
seealso:
  - plugin: ckpool.fleet.human_hashrate
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Convert texts as the daemon and as people write them
  ansible.builtin.assert:
    that:
      - "'38.5M' | ckpool.fleet.hashrate == 38500000"
      - "'370m' | ckpool.fleet.hashrate == 0.37"
      - "'1e+03T' | ckpool.fleet.hashrate == 1e15"
      - "'1.5 TH/s' | ckpool.fleet.hashrate == 1.5e12"
      - "1234 | ckpool.fleet.hashrate == 1234"

- name: Convert the numbers of the guide, which are in GH/s
  ansible.builtin.assert:
    that:
      - "38.5 | ckpool.fleet.hashrate(unit='GH/s') == 38.5e9"
      - "'1.5T' | ckpool.fleet.hashrate(unit='GH/s') == 1.5e12"

- name: Count an unknown value as 0
  ansible.builtin.assert:
    that: "none | ckpool.fleet.hashrate(default=0) == 0"

- name: Read the statistics
  ckpool.fleet.ckpool_stats:
  register: pool

- name: Compare the pool with the hashrate that was promised
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
    """H/s, or the default if there is no value.

    :arg unit: of a number without one.
    :raises AnsibleFilterError: it is not a hashrate, or there is neither a value nor a default.
    """
    if defined(value) is not None and not (isinstance(value, str) and not value.strip()):
        return rate_of(value, unit)
    if default is _NO_DEFAULT:
        raise AnsibleFilterError(f"no hashrate: {shown(value)}; set default to accept unknown values")
    return default


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"hashrate": hashrate}
