# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert a hashrate to text for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: human_hashrate
short_description: Convert a hashrate to text for people
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Converts H/s to a text such as V(1.23 PH/s), as in the messages and tables of this collection.
positional: _input, digits, unit
options:
  _input:
    description:
      - H/s, or a text that P(ckpool.fleet.hashrate#filter) accepts. Null, an unknown value, becomes V(-).
    type: raw
    required: true
  digits:
    description:
      - Number of significant digits, V(1) to V(15). The integer part is always written in full.
    type: int
    default: 3
  unit:
    description:
      - Unit of the text, such as for a column with the same unit. Defaults to the greatest unit in which the number is at
        least 1. Tenths of H/s stay in H/s, as in V(0.37 H/s). Lower hashrates are in V(mH/s), V(uH/s) or V(nH/s).
      - A hashrate far below the unit is written as V(0.00), and one far above it ends in zeros.
    type: str
    choices: [H/s, KH/s, MH/s, GH/s, TH/s, PH/s, EH/s, ZH/s, YH/s, mH/s, uH/s, nH/s]
seealso:
  - plugin: ckpool.fleet.hashrate
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Convert numbers and texts
  ansible.builtin.assert:
    that:
      - 38500000 | ckpool.fleet.human_hashrate == "38.5 MH/s"
      - 1234567890123456 | ckpool.fleet.human_hashrate == "1.23 PH/s"
      - 1234567890123456 | ckpool.fleet.human_hashrate(digits=5) == "1.2346 PH/s"
      - 1234567890123456 | ckpool.fleet.human_hashrate(unit="TH/s") == "1230 TH/s"
      - "'1e+03T' | ckpool.fleet.human_hashrate == '1.00 PH/s'"
      - "'370m' | ckpool.fleet.human_hashrate == '0.37 H/s'"
      - none | ckpool.fleet.human_hashrate == "-"

- name: Read the users
  ckpool.fleet.ckpool_user_info:
  register: pool

- name: Show the hashrate of each, all in the same unit
  ansible.builtin.debug:
    msg: "{{ item.user }} {{ item.hashrate1m | ckpool.fleet.human_hashrate(unit='TH/s') }}"
  loop: "{{ pool.users }}"
  loop_control:
    label: "{{ item.user }}"
"""

RETURN = r"""
_value:
  description: The hashrate with its unit, or V(-).
  type: str
  sample: 38.5 MH/s
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._errors import BadInput
from ..module_utils._units import human_hashrate as in_words
from ..plugin_utils._values import defined, rate_of, text_of, whole_number


def human_hashrate(value: t.Any, digits: t.Any = 3, unit: t.Optional[str] = None) -> str:
    """Text for people, C(-) for None.

    :raises AnsibleFilterError: it is not a hashrate, or an option is wrong.
    """
    count = whole_number(digits, "digits", 1, 15)  # a float has no more
    rate = None if defined(value) is None else rate_of(value)
    try:
        return in_words(rate, count, None if unit is None else text_of(unit, "unit"))
    except BadInput as exc:
        raise AnsibleFilterError(str(exc)) from None


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"human_hashrate": human_hashrate}
