# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_hosts
short_description: Fail unless a pattern and --limit leave hosts to work on
version_added: 0.4.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - C(ansible-playbook) skips a play over hosts that do not exist, or that C(--limit) leaves out, and exits successfully. This module fails
    instead, even if only one of several names matches nothing.
  - Runs on the controller, and connects to no host. Use it in a play over C(localhost:all) before the play in question. There is always a
    host in such a play, whatever C(--limit) says.
extends_documentation_fragment:
  - ckpool.fleet.attributes.controller
options:
  pattern:
    description:
      - The pattern, as for C(hosts) of a play.
    type: str
    default: all
"""

EXAMPLES = r"""
- name: Check the hosts
  hosts: localhost:all # never empty, whatever --limit says
  gather_facts: false
  tasks:
    - name: Fail unless there are such hosts
      ckpool.fleet.ckpool_hosts:
        pattern: pools
      run_once: true

- name: Work on the hosts
  hosts: pools
  tasks: []
"""

RETURN = r"""
hosts:
  description: The hosts of the pattern within C(--limit).
  returned: always
  type: list
  elements: str
  sample: [pool1]
not_asked:
  description: The hosts of the pattern that C(--limit) left out.
  returned: always
  type: list
  elements: str
  sample: [pool2, pool3]
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "1 host; not asked: 2 hosts by --limit (pool2, pool3)"
"""
