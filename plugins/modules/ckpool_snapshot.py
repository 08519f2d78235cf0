# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_snapshot
short_description: Save what the pools of a fleet returned
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Writes the results of M(ckpool.fleet.ckpool_info) on every host of an earlier play to C(pool_stats_HOST_YYYYmmdd_HHMMSS.json) on the
    controller, one file for each host. The time is UTC.
  - Removes old files if O(keep) or O(keep_days) is set. Only regular files in O(dest) are removed whose name has exactly this form for a
    host with a new file, and only if all pools of that host returned their statistics.
  - Fails if a host or a pool returned nothing, after the files of the others have been written.
  - In C(HOST), every character except ASCII letters, digits, dots, hyphens and underscores is percent-encoded, as in C(%2F). A name of
    more than 150 characters is shortened, and ends in a digest.
  - Runs on the controller, and connects to no host.
extends_documentation_fragment:
  - ckpool.fleet.report
options:
  variable:
    default: snapshot_result
  hosts:
    description:
      - Pattern of the hosts that should have been asked, as for C(hosts) of a play. A host that returned nothing is listed in RV(missing)
        then, and hosts that C(--limit) leaves out in RV(not_asked). The task fails if the pattern matches no host.
      - Run the module in a play over C(localhost:all). Otherwise, hosts outside of the play count as left out.
    version_added: 0.4.0
  dest:
    description:
      - Directory on the controller. It is created if it does not exist.
    type: path
    default: ./snapshots
  keep:
    description:
      - Maximum number of files of each host to keep, including the new one, at least V(1). The newest ones by their names are kept. By
        default, all of them are kept.
    type: int
  keep_days:
    description:
      - Maximum age of files of each host to keep, in days, by the time in their names, more than V(0). By default, files of any age are
        kept.
    type: float
attributes:
  check_mode:
    details:
      - Returns which files would be written and removed.
  idempotent:
    details:
      - A snapshot shows the state of its time, so writing it is always a change.
seealso:
  - module: ckpool.fleet.ckpool_info
"""

EXAMPLES = r"""
- name: Read every pool of every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Read every pool on the host
      ckpool.fleet.ckpool_info:
        all_instances: true
        gather_subset: [summary, stats]
      register: snapshot_result
      ignore_errors: true

- name: Save
  hosts: localhost:all # never empty, whatever --limit says
  gather_facts: false
  tasks:
    - name: Save one file for each host, and keep those of the last week, up to a hundred
      ckpool.fleet.ckpool_snapshot:
        hosts: pools
        dest: /var/lib/ckpool-snapshots
        keep: 100
        keep_days: 7
      run_once: true
"""

RETURN = r"""
written:
  description: The files that were written, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [./snapshots/pool_stats_pool1_20261123_031500.json]
removed:
  description: The files that were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: []
missing:
  description: The hosts and pools whose statistics could not be read or saved. The task fails unless this is empty.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: Name of the host in the inventory.
      type: str
      sample: pool2
    instance:
      description: The daemon's name. Null if unknown.
      type: str
      sample: ckpool
    socket_dir:
      description: Its socket directory. Null if unknown.
      type: str
      sample: /tmp/ckpool
    why:
      description: The reason, in one line.
      type: str
      sample: hung, and its statistics could not be read
not_asked:
  description: The hosts of O(hosts) that C(--limit) left out.
  returned: always
  type: list
  elements: str
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: 2 files written to ./snapshots, 0 files removed
"""
