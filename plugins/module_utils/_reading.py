# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reading modules share: the pool that their options mean, and the results around their own values."""

from __future__ import annotations

import typing as t

from ._instance import neighbours
from ._module import PoolModule, Result, describe
from ._pool import Answer, Pool

DOWN_STATES = ("down", "hung")


def find_pool(module: PoolModule) -> Pool:
    """The one pool that the options mean."""
    return Pool.find(module.params["socket_dir"], module.params["name"], **module.common())


def answered(module: PoolModule, pool: Pool, answer: Answer, msg: str, **values: t.Any) -> Result:
    """The results that all reading modules have in common, around their own values."""
    instance = pool.instance.as_dict(answer.state)
    result: Result = {
        "instance": instance,
        "source": answer.source,
        "as_of": answer.as_of,
        "problems": answer.problems,
        **values,
    }
    if answer.state in DOWN_STATES or (answer.source is None and answer.state != "ok"):
        others = f" ({neighbours()})" if answer.state == "down" else ""
        msg = f"{describe(pool.instance)} is {answer.state}{others}; " + msg
    if answer.state in DOWN_STATES:
        result["log_tail"] = pool.instance.last_log_lines()
        result["failed"] = bool(module.params.get("fail_when_down"))
    return dict(result, msg=msg)
