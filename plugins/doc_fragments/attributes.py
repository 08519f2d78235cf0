# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules say of check mode and the like."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes that modules share."""

    DOCUMENTATION = r"""
options: {}
attributes:
  platform:
    platforms: linux
    description: Target OS/families that can be operated against.
    support: full
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - The module only reads.
  diff_mode:
    support: N/A
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    details:
      - The module changes nothing.
  idempotent:
    support: full
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
"""

    ACTIONGROUP_CKPOOL = r"""
options: {}
attributes:
  action_group:
    support: full
    description: >-
      Use C(group/ckpool.fleet.ckpool) in C(module_defaults) to set options that the modules have in common.
    membership:
      - ckpool.fleet.ckpool
"""

    CONTROL_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Only reads are sent then.
  diff_mode:
    support: full
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
"""

    WAITING = r"""
options: {}
attributes:
  action:
    support: full
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    details:
      - The wait is on the controller, and asks the host in short calls, so that a lost connection does not end it.
  async:
    support: none
    description: Supports being used with the C(async) keyword.
"""
