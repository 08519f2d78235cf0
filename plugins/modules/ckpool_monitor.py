# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_monitor
short_description: Watch the pools of a host
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Shows every ckpool of the host again and again, with its strongest users and its last blocks, which is what C(watch)
    does with a command. It ends by itself after O(count) rounds, or with Ctrl-C at once.
  - On a terminal, a round takes the place of the one before, if no other host is watched by the same play. Else each
    round prints a block that is headed by the host's name. Under a callback that prints JSON nothing is shown.
  - A pool that is down or hung, and a host that cannot be reached, are shown as that, and asked again in the next
    round. The task fails only if an option is wrong.
  - Users are those with a share in the last hour, by their hashrate over 1 minute.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.waiting
attributes:
  check_mode:
    support: full
    details:
      - The same as without.
options:
  socket_dir:
    description:
      - The daemon's socket directory. Without it, and without O(name), every pool of the host is watched.
    type: str
  log_dir:
    description:
      - The daemon's log directory, where that cannot be taken from its process.
    type: str
  interval:
    description:
      - Seconds from the beginning of one round to that of the next, from V(2) to V(3600).
      - A round that takes longer is followed by the next after a second.
    type: float
    default: 5.0
  count:
    description:
      - Rounds, from V(1) to V(17280), which is a day at the default interval. There is no number for endless ones.
    type: int
    default: 12
  users:
    description:
      - Users shown of each pool, from V(0) to V(100).
    type: int
    default: 5
  blocks:
    description:
      - Blocks shown of each pool, the newest, from V(0) to V(100).
    type: int
    default: 3
  redraw:
    description:
      - Whether a round may take the place of the one before.
    type: bool
    default: true
notes:
  - Each host is watched by a worker of its own, so that Ansible must be given as many C(--forks) as there are hosts to
    see all of them at once. The strategy P(ansible.builtin.free#strategy) keeps them from waiting for each other.
seealso:
  - module: ckpool.fleet.ckpool_info
"""

EXAMPLES = r"""
- name: Watch the pools of this host for a minute
  ckpool.fleet.ckpool_monitor:

- name: Watch one pool and its ten strongest users for five rounds
  ckpool.fleet.ckpool_monitor:
    socket_dir: /run/ckpool/solo
    interval: 2
    count: 5
    users: 10
    blocks: 0
"""

RETURN = r"""
rounds:
  description: The rounds.
  returned: success
  type: int
  sample: 12
pools:
  description:
    - What M(ckpool.fleet.ckpool_info) returned of each pool in the last round, or C(unreachable) or C(failed) and
      C(msg).
  returned: success
  type: list
  elements: dict
  sample: []
msg:
  description: How the pools were in the last round, in one sentence.
  returned: always
  type: str
  sample: after 12 rounds, ckpool (/tmp/ckpool) is ok
"""
