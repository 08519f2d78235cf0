# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that report on what the hosts of an earlier play returned."""

from __future__ import annotations


class ModuleDocFragment:
    """Whose results to report on, and where to write the report."""

    DOCUMENTATION = r"""
options:
  variable:
    description:
      - Name of the variable under which the task on the hosts was registered. Its result may also be that of a loop, or of a
        task with C(all_instances). Hosts without this variable are left out, unless O(hosts) says that they should have it.
    type: str
  hosts:
    description:
      - Pattern of the hosts that should have been asked, as for C(hosts) of a play. Hosts that C(--limit) leaves out are listed in
        RV(ignore:not_asked).
      - Run the module in a play over C(localhost:all). Otherwise, hosts outside of the play count as left out.
    type: str
attributes:
  platform:
    platforms: posix
    description: Target OS/families that can be operated against.
    support: full
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Writes no file.
  diff_mode:
    support: none
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: N/A
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - A report shows the state of its time, so writing it is always a change.
"""

    JSON_FILE = r"""
options:
  json_file:
    description:
      - File on the controller to write the report to, as JSON. It is replaced atomically. Its directory must exist.
    type: path
"""
