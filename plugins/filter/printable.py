# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make text from other machines safe to show."""

from __future__ import annotations

DOCUMENTATION = r"""
name: printable
short_description: Make text from other machines safe to show
version_added: 0.4.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Escapes the characters that move a terminal's cursor, begin another line, or change the direction of writing, as in
    C(\x1b) or C(\u202e).
  - Any local user can start a pool and choose its name, and miners choose the names of users and workers. Use this filter
    on them in labels, prompts and messages. The C(msg) of a module is already escaped.
options:
  _input:
    description:
      - The text. Any other value is converted to text first.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Check every pool of the host
  ckpool.fleet.ckpool_health_info:
    all_instances: true
  register: pools

- name: Show each
  ansible.builtin.debug:
    msg: "{{ item.msg }}"
  loop: "{{ pools.instances }}"
  loop_control:
    label: "{{ item.instance.name | ckpool.fleet.printable }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
  sample: ckpool\x1b[2J
"""

import typing as t

from ..module_utils._text import printable as printable_text
from ..plugin_utils._values import defined, plain


def printable(value: t.Any) -> str:
    """The text of a value, with control characters escaped."""
    return printable_text(str(plain(defined(value))))


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"printable": printable}
