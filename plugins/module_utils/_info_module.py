# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that read share: the pools that their options select, and what becomes of their results."""

from __future__ import annotations

import typing as t

from ._module import PoolModule, Result, for_each
from ._pool import Pool
from ._results import DOWN_STATES, together


def find_pool(module: PoolModule) -> Pool:
    """The one pool that the options select."""
    return Pool.find(**module.instance_options())


def read_each(module: PoolModule, read: t.Callable[[Pool], Result]) -> Result:
    """The result of the one pool that the options select, or of every pool of the host with C(all_instances)."""

    def one(pool: Pool) -> Result:
        result = read(pool)
        return {**result, "failed": module.params["fail_when_down"] and result["instance"]["state"] in DOWN_STATES}

    if not module.params["all_instances"]:
        return one(find_pool(module))
    result = together(for_each(module, lambda: Pool.find_all(**module.search_options()), one))
    if not result["instances"]:
        result["failed"] = bool(module.params["fail_when_down"])
    return result
