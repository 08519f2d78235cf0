# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that select an instance and say how to ask it."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that work on an instance."""

    DOCUMENTATION = r"""
options:
  socket_dir:
    description:
      - The daemon's socket directory, as set by its option C(-s). A symbolic link or a bind mount to it is accepted as well.
      - If none of O(socket_dir), O(name) and O(pid) is set, the module uses the only instance that runs on the host. If several
        run, those of root and of system users take precedence over those of regular users, and of several the one in
        C(/tmp/ckpool) is used; RV(ignore:problems) lists the others. If the choice is still ambiguous, the module fails, and
        lists each candidate in a form that can be used as an option.
      - A directory that only the daemon sees, in a container or with the C(PrivateTmp) of a systemd unit, is found too. This
        needs C(become). If several instances use the same directory, select one by O(pid), or by its path below
        C(/proc/PID/root).
    type: path
  name:
    description:
      - The daemon's name, as set by its option C(-n). If several instances have this name, the same precedence applies as for
        O(socket_dir).
    type: str
  log_dir:
    description:
      - The daemon's log directory, which also contains its status files.
      - By default, the module determines it from the process, that is, from its command line, working directory and
        configuration. Set it only if these cannot be read, or if the process is gone.
    type: path
  source:
    description:
      - Where to get answers from.
      - V(auto) asks the sockets, and falls back to the status files for what the build does not answer.
      - V(guide) uses the commands of the operator's guide, V(api) the daemon's native query API, and V(files) the status files
        and the log. The module fails if the build does not have this source.
    type: str
    choices: [auto, guide, api, files]
    default: auto
  timeout:
    description:
      - Seconds that one exchange with a socket may take, from V(0.01) to V(600).
    type: float
    default: 5.0
  max_reply:
    description:
      - Maximum size of a reply in bytes, from V(1) to V(2147483647).
      - A pool of a regular user that no option names has at most V(8388608).
    type: int
    default: 268435456
"""

    PID = r"""
options:
  pid:
    description:
      - The daemon's process ID, as seen from the host. It identifies an instance even if several have the same name or
        directory, as in containers. It changes with each start.
      - With O(socket_dir) or O(name), the process must be that of the instance that they select.
    type: int
    version_added: 0.4.0
"""

    REDIRECT = r"""
options:
  redirect_check:
    description:
      - Before miners are redirected, connect to O(redirect_to) from the host, and fail if nothing accepts connections there within
        3 seconds (RV(ignore:reason) is then V(redirect_unreachable)). This applies to check mode too. Miners that are redirected to
        an address on which nothing listens are lost.
      - Set this to V(false) if only the miners can connect to O(redirect_to).
    type: bool
    default: true
    version_added: 1.0.0
"""

    ALL_INSTANCES = r"""
options:
  all_instances:
    description:
      - Read every instance of the host instead of one, including those that have ended and left files behind. RV(ignore:instances) has
        a result for each, and RV(ignore:msg) combines theirs.
      - If one fails, the others are still read. The task then fails at the end, with everything that was learned.
      - Mutually exclusive with O(socket_dir), O(name) and O(pid).
    type: bool
    default: false
    version_added: 0.4.0
"""

    FAIL_WHEN_DOWN = r"""
options:
  fail_when_down:
    description:
      - Fail if the instance is V(down) or V(hung). With O(all_instances=true), fail if any of them is, or if there is none.
    type: bool
    default: false
"""

    LISTING = r"""
options:
  active_within:
    description:
      - Only return entries whose last share is at most this old, in seconds or with a unit, V(s), V(m), V(h), V(d) or V(w), such
        as V(90s) or V(1h).
      - Builds of 2017 do not record the time of the last share. For these, the time at which the status file was written is used.
    type: str
  sort_by:
    description:
      - The field to sort by. Names are sorted in ascending order, everything else in descending order.
    type: str
    choices: [user, hashrate1m, hashrate5m, hashrate1hr, hashrate1d, hashrate7d, shares, best_share, last_share]
  limit:
    description:
      - Maximum number of entries to return, the first in the order of O(sort_by), from V(1) to V(2147483647).
    type: int
  include_stale:
    description:
      - Also return users who have left, and their workers. The status file of a user remains when the user leaves, with the last
        hashrate in it.
      - A file is stale if it was not written by this run of the daemon, or not within the last 10 minutes. The daemon rewrites it
        every minute as long as it has the user in memory.
    type: bool
    default: false
    version_added: 0.4.0
"""
