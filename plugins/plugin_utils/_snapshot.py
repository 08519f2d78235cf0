# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a snapshot holds of one host: the results of its pools, and what is missing. No files."""

from __future__ import annotations

import dataclasses
import typing as t

from ..module_utils._state import COUNTING_MODES
from ._pool_results import PoolResult, pool_results
from ._types import Json

#: keys that Ansible adds to a result, and that hold nothing of the pool
_OF_ANSIBLE = ("ansible_loop_var", "changed", "failed", "invocation", "shared", "warnings", "deprecations")


@dataclasses.dataclass
class Snapshot:
    """What is known of one host.

    :ivar pools: the result of each pool that answered.
    :ivar missing: what could not be read, and why, an entry for each pool.
    """

    host: str
    pools: t.List[Json] = dataclasses.field(default_factory=list)
    missing: t.List[Json] = dataclasses.field(default_factory=list)

    def as_dict(self, now: float) -> Json:
        """The contents of its file.

        :arg now: epoch seconds.
        """
        return {"host": self.host, "taken": int(now), "pools": self.pools, "missing": self.missing}

    def add(self, pool: PoolResult) -> None:
        """Add what one pool answered, or why it did not."""
        instance = pool.instance
        if pool.is_failure or not isinstance(pool.result.get("instance"), dict):
            self._miss(instance, ("unreachable: " if pool.result.get("unreachable") else "") + pool.why)
            return
        unwanted = (*_OF_ANSIBLE, pool.loop_var)
        self.pools.append(
            {
                name: value
                for name, value in pool.result.items()
                if name not in unwanted and not name.startswith("_ansible")
            }
        )
        if pool.result.get("source") is None and (
            instance.get("mode") in COUNTING_MODES or instance.get("state") != "ok"
        ):
            self._miss(instance, f"{instance.get('state') or 'unknown'}, and its statistics could not be read")

    def _miss(self, instance: Json, why: str) -> None:
        names = {"instance": instance.get("name"), "socket_dir": instance.get("socket_dir")}
        self.missing.append({"host": self.host, **names, "why": why})


def snapshot_of(host: str, result: t.Any) -> t.Optional[Snapshot]:
    """The snapshot of a host; None if its task was skipped.

    :arg result: what C(ckpool_info) returned, on one pool, with C(all_instances), or in a loop; or the failure of its
        task.
    """
    pools = pool_results(result)
    if not pools:
        return None
    snapshot = Snapshot(host)
    for pool in pools:
        snapshot.add(pool)
    return snapshot
