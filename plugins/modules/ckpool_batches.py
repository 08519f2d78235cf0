# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_batches
short_description: Put the hosts of a fleet in growing batches, masters and passthroughs apart
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Returns the hosts of a pattern in the order in which to change them, and the sizes of their batches, for C(hosts) and C(serial) of a later
    play. These keywords do not see variables of the inventory, but the facts of hosts, by C(hostvars).
  - The hosts of one tier are all done before the first host of the other, and no batch has hosts of both. Each tier begins with the first of the
    sizes, so that each has a canary of its own.
  - Runs on the controller, and connects to no host. Use it in a play over C(localhost:all), with C(run_once).
extends_documentation_fragment:
  - ckpool.fleet.attributes.controller
options:
  hosts:
    description:
      - The pattern of hosts, as for C(hosts) of a play. Hosts that C(--limit) leaves out are listed in RV(not_asked).
    type: str
    default: all
  variable:
    description:
      - Name of the variable under which a result of M(ckpool.fleet.ckpool_health_info), or of another module with the instances of the host, was
        registered there. It gives the modes of the instances.
    type: str
    default: health_check_result
  serial:
    description:
      - The sizes of the batches of a tier, as for C(serial) of a play, each a number of hosts or a percentage of the hosts of the tier. The last one
        repeats.
    type: list
    elements: str
    default: ["1", "10%", "25%", "100%"]
  first:
    description:
      - The tier that is done first.
    type: str
    choices: [masters, passthroughs]
    default: masters
  tier_variable:
    description:
      - Name of a variable of hosts and groups that says the tier, V(master) or V(passthrough). Without it, a host is a passthrough if all of
        its instances pass on to a pool elsewhere, which those of the modes V(passthrough), V(proxy) and V(redirector) do.
    type: str
    default: rolling_upgrade_tier
seealso:
  - module: ckpool.fleet.ckpool_rolling_report
"""

EXAMPLES = r"""
- name: Plan
  hosts: localhost:all
  gather_facts: false
  tasks:
    - name: Put the hosts in batches
      ckpool.fleet.ckpool_batches:
        hosts: pools
        serial: [1, "20%", "100%"]
        first: passthroughs
      register: plan
      run_once: true

- name: Work on one batch after the other
  hosts: "{{ (hostvars.values() | selectattr('plan', 'defined') | first).plan.hosts }}"
  serial: "{{ (hostvars.values() | selectattr('plan', 'defined') | first).plan.sizes }}"
  tasks: []
"""

RETURN = r"""
hosts:
  description: The hosts of the pattern within C(--limit), in the order in which to change them.
  returned: success
  type: list
  elements: str
  sample: [pool1, pool2, pool3]
sizes:
  description: The number of hosts of each batch.
  returned: success
  type: list
  elements: int
  sample: [1, 2]
batches:
  description: The hosts of each batch.
  returned: success
  type: list
  elements: list
  sample: [[pool1], [pool2, pool3]]
number_of:
  description: The number of the batch of each host, from 1 up.
  returned: success
  type: dict
  sample: {pool1: 1, pool2: 2, pool3: 2}
tiers:
  description: The tier of each host, V(master) or V(passthrough).
  returned: success
  type: dict
  sample: {pool1: master, pool2: master, pool3: master}
not_asked:
  description: The hosts of the pattern that C(--limit) left out.
  returned: success
  type: list
  elements: str
  sample: []
outcome:
  description: V(invalid), if the pattern, the limit, a size or a tier is wrong.
  returned: failure
  type: str
  sample: invalid
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "3 hosts in 2 batches: (pool1), (pool2 pool3)"
"""
