# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_snapshot
short_description: Save what the pools of a fleet told
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Writes what M(ckpool.fleet.ckpool_info) told of every host of the play before to
    C(pool_stats_HOST_YYYYmmdd_HHMMSS.json), a file for each host, on the controller. The time is UTC.
  - Removes old files, if it is told what old is. It only ever removes regular files in O(dest) whose name is exactly
    such a name of a host that it writes a new file for, and only if all pools of that host told their statistics.
  - Fails if a host or a pool told nothing, after the files of the others were written.
  - In C(HOST), whatever is no ASCII letter, digit, dot, hyphen or underscore is written as in a URL (C(%2F)). A name
    of more than 150 characters is cut and ends in a digest.
  - Runs on the controller and asks no host.
options:
  variable:
    description:
      - Name of the variable that the task was registered under, which may be a loop. Hosts without it are left out.
    type: str
    default: snapshot_result
  dest:
    description:
      - The folder on the controller. It is made if it is not there.
    type: path
    default: ./snapshots
  keep:
    description:
      - So many files of each host at most, the newest by their names, at least V(1). The new one counts.
      - By default any number.
    type: int
  keep_days:
    description:
      - Files of a host that are older than so many days are removed, by the time in their names. More than V(0).
      - By default they may become as old as they like.
    type: float
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Says what would be written and removed.
  diff_mode:
    support: none
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff
      mode.
  idempotent:
    support: N/A
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates
      no change.
    details:
      - A snapshot is of its time, so writing one is always a change.
  platform:
    platforms: posix
    description: Target OS/families that can be operated against.
    support: full
seealso:
  - module: ckpool.fleet.ckpool_info
"""

EXAMPLES = r"""
- name: Read the pool of every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Read it
      ckpool.fleet.ckpool_info:
        gather_subset: [summary, stats]
      register: snapshot_result
      ignore_errors: true

- name: Save
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Save a file for each host, and keep those of the last week, at most a hundred
      ckpool.fleet.ckpool_snapshot:
        dest: /var/lib/ckpool-snapshots
        keep: 100
        keep_days: 7
"""

RETURN = r"""
written:
  description: The files that were written, or would be.
  returned: always
  type: list
  elements: str
  sample: [./snapshots/pool_stats_pool1_20261123_031500.json]
removed:
  description: The files that were removed, or would be.
  returned: always
  type: list
  elements: str
  sample: []
missing:
  description: What could not be had or saved. The task failed unless this is empty.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: The inventory's name of the host.
      type: str
      sample: pool2
    instance:
      description: The daemon's name. Null if it is not known.
      type: str
      sample: ckpool
    socket_dir:
      description: Its socket directory. Null if it is not known.
      type: str
      sample: /tmp/ckpool
    why:
      description: Why, in one line.
      type: str
      sample: hung, and no statistics are to be had
msg:
  description: The run in one sentence.
  returned: always
  type: str
  sample: 2 files written to ./snapshots, 0 files removed
"""
