# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_metrics_report
short_description: Write the metrics of a fleet to a file for Prometheus
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Writes what M(ckpool.fleet.ckpool_metrics) returned on every host of an earlier play to one file on the controller, for the textfile
    collector of node_exporter. The label C(instance) is the name of the host in the inventory.
  - A host that was not reached or returned nothing has C(ckpool_host_up) 0, and every pool that is known of it C(ckpool_up) 0.
  - The file is also the memory of the next run. A pool that is no longer found stays in it with C(ckpool_up) 0 and the state V(gone),
    until O(forget) names it. Hosts that C(--limit) leaves out stay as they are, with the time of the last look at them.
  - Fails if a host returned nothing, after the file was written. A pool that is down is no failure.
  - Runs on the controller, and connects to no host. The playbook C(ckpool.fleet.metrics) uses it.
extends_documentation_fragment:
  - ckpool.fleet.report
options:
  variable:
    default: metrics_result
  textfile:
    description:
      - File on the controller to write, whose name ends in C(.prom), as the collector reads no other files. It is replaced atomically. Its
        directory must exist. A file without metrics of this collection is not replaced.
      - Prometheus needs C(honor_labels) for the target that serves it. Otherwise the name of the host is in C(exported_instance).
    type: path
    required: true
  forget:
    description:
      - Pools of the earlier file that were removed on purpose, as C(HOST), C(HOST:POOL) or V(all). RV(gone) lists the names.
    type: list
    elements: str
    default: []
seealso:
  - module: ckpool.fleet.ckpool_metrics
"""

EXAMPLES = r"""
- name: Measure every pool of every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Measure every pool on the host
      ckpool.fleet.ckpool_metrics:
        all_instances: true
      register: metrics_result
      ignore_errors: true

- name: Write the file
  hosts: localhost:all # never empty, whatever --limit says
  gather_facts: false
  tasks:
    - name: Write the metrics of the fleet for node_exporter
      ckpool.fleet.ckpool_metrics_report:
        hosts: pools
        textfile: /var/lib/prometheus/node-exporter/ckpool_fleet.prom
      run_once: true
"""

RETURN = r"""
textfile:
  description: The file that was written, or would be in check mode.
  returned: success, or failure after the file was written
  type: str
  sample: /var/lib/prometheus/node-exporter/ckpool_fleet.prom
pools:
  description: Number of pools in the file.
  returned: success, or failure after the file was written
  type: int
  sample: 12
down:
  description: The pools with C(ckpool_up) 0, as C(HOST:POOL), and the hosts of which no pool is known.
  returned: success, or failure after the file was written
  type: list
  elements: str
  sample: ["pool2:solo"]
gone:
  description: The pools that were in the earlier file and are no longer found, as O(forget) takes them.
  returned: success, or failure after the file was written
  type: list
  elements: str
  sample: []
forgotten:
  description: The pools that O(forget) removed from the file.
  returned: success, or failure after the file was written
  type: list
  elements: str
  sample: []
kept:
  description: The hosts that were not asked in this run, and whose metrics are those of an earlier one.
  returned: success, or failure after the file was written
  type: list
  elements: str
  sample: []
missing:
  description: The hosts that returned nothing, or something odd. The task fails unless this is empty.
  returned: success, or failure after the file was written
  type: list
  elements: dict
  contains:
    host:
      description: Name of the host in the inventory.
      type: str
      sample: pool2
    why:
      description: The reason, in one line.
      type: str
      sample: "unreachable: no route to host"
not_asked:
  description: The hosts of O(hosts) that C(--limit) left out.
  returned: success, or failure after the file was written
  type: list
  elements: str
  sample: []
problems:
  description: Every reason for which the task failed, each as a sentence. Empty if it did not.
  returned: success, or failure after the file was written
  type: list
  elements: str
  sample: []
msg:
  description: The result in one sentence, with failures first.
  returned: always
  type: str
  sample: 12 pools written to /var/lib/prometheus/node-exporter/ckpool_fleet.prom
"""
