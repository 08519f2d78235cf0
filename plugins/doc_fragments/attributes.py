# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules support: check mode, diff mode and the like."""

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
      - This module does not modify anything.
  diff_mode:
    support: N/A
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    details:
      - This module does not modify anything.
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
      Use C(group/ckpool.fleet.ckpool) in C(module_defaults) to set defaults for the options that the modules share.
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
      - In check mode, only messages without side effects are sent.
  diff_mode:
    support: full
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
"""

    CONTROLLER = r"""
options: {}
attributes:
  platform:
    platforms: posix
    description: Target OS/families that can be operated against.
    support: full
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    support: none
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
      - The controller waits, and asks the host in short calls, so that a lost connection does not end the wait.
  async:
    support: none
    description: Supports being used with the C(async) keyword.
"""
