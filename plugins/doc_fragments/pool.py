# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """How to find a pool, and how to ask it."""

    DOCUMENTATION = r"""
options:
  socket_dir:
    description:
      - The daemon's socket directory, the one that its option C(-s) names.
      - Without it, and without O(name), the module takes C(/tmp/ckpool) if a daemon lives there, else the only one that
        runs on the host. Several running ones are an error that names them.
      - A directory that a systemd unit keeps in its own C(PrivateTmp) is found too, which needs C(become).
    type: path
  name:
    description:
      - The daemon's name, the one that its option C(-n) gives, where several run on the host.
    type: str
  log_dir:
    description:
      - The daemon's log directory, which holds its status files.
      - By default this is taken from the process (its command line, working directory and configuration), so it is only
        needed where that may not be read or the process is gone.
    type: path
  source:
    description:
      - Where answers are to come from.
      - V(auto) asks the sockets, and falls back on the status files for what this build does not answer.
      - V(guide) takes the commands of the operator's guide, V(api) the daemon's native query API, V(files) the status
        files and the log. A source that this build does not have is then an error.
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
      - Bytes that one reply may have, at most V(2147483647).
    type: int
    default: 268435456
"""
