# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options and notes of the modules that wait on the controller."""

from __future__ import annotations


class ModuleDocFragment:
    """How to wait, and what happens when a connection is lost meanwhile."""

    DOCUMENTATION = r"""
options:
  poll:
    description:
      - Seconds from the start of one look at the pool to the start of the next, from V(1) to V(3600).
    type: float
    default: 2.0
  progress:
    description:
      - >-
        Show a line for the host every few seconds of waiting, such as C(pool1: drain: 37 clients left, 12 of 300 s).
      - Nothing is shown if the controller's output is not a terminal, under a callback that prints JSON, or with C(no_log).
    type: bool
    default: true
notes:
  - The controller waits, and calls M(ckpool.fleet.ckpool_step) on the host for each look, so no connection has to last. O(timeout)
    limits one exchange with a socket in such a call, not the wait.
  - A single lost connection is tolerated. If the connection for the next call fails too, the host counts as unreachable, and the message says what
    was done before. A step is never repeated after its connection was lost; the next look shows whether it took effect.
"""
