# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the files that an ended daemon left in its socket directory."""

from __future__ import annotations

import typing as t

from .._host.sockets import bound_sockets
from .daemon import BOUND, Daemon


def remove(daemon: Daemon, only_look: bool = False) -> t.List[str]:
    """Remove what an ended daemon left in its socket directory; the names of the files.

    :arg only_look: name them, and leave them.
    :raises PoolError: one may not be removed.
    """
    folder = daemon.folder
    seen = daemon.look()
    # A daemon that is just starting has bound sockets that do not listen yet, and refuse as stale ones do.
    if not seen.is_down or bound_sockets(folder, BOUND):
        return []
    if seen.leftovers and not only_look:
        daemon.instance.files.remove(folder, seen.leftovers)
    return seen.leftovers
