# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of a fleet's pools: those of each pool, or each user summed over all pools. Pure functions."""

from __future__ import annotations

import collections
import dataclasses
import typing as t
from collections.abc import Mapping

from ..module_utils._text import printable
from ..module_utils._units import human_hashrate, is_number
from ..module_utils._wording import counted, one_line, or_dash
from ._pool_results import PASSING_MODES, PoolResult, mapping, pool_results
from ._types import Json
from ._values import shown

SUMMED = ("hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d", "shares")
_GREATEST = ("best_share", "last_share")
NUMBERS = (*SUMMED, *_GREATEST)
_FORM = "%-20s %-12s %-8s %11s %11s %11s %11s %14s %14s  %s"
_HEADINGS = ("HOST", "POOL", "STATE", "1M", "5M", "1HR", "1D", "SHARES", "BEST SHARE", "USER")


@dataclasses.dataclass
class FleetUsers:
    """The users of the pools of some hosts.

    :ivar users: a row for each user of each pool.
    :ivar missing: what is not known, and why, an entry for each pool.
    """

    users: t.List[Json] = dataclasses.field(default_factory=list)
    missing: t.List[Json] = dataclasses.field(default_factory=list)

    def miss(self, host: str, pool: str, why: t.Any) -> None:
        """Note what is not known, in one line."""
        self.missing.append({"host": host, "pool": pool, "why": one_line(why)})

    def add(self, host: str, result: t.Any) -> None:
        """Add the users of the pools of a host.

        :arg result: what C(ckpool_info) or C(ckpool_user_info) returned, on one pool, with C(all_instances), or in a
            loop; or the failure of its task.
        """
        for pool in pool_results(result):
            self._add_pool(host, pool)

    def _add_pool(self, host: str, pool: PoolResult) -> None:
        name = str(pool.instance.get("name") or "pool")
        if pool.is_failure or not _has_users(pool):
            self.miss(host, name, pool.why)
            return
        users = pool.result.get("users") or []
        for user in users if isinstance(users, list) else [users]:
            if isinstance(user, Mapping) and isinstance(user.get("user"), str):
                self.users.append(self._row(host, name, pool.instance, user))
            else:
                self.miss(host, name, f"odd result: a user is {shown(user)}")

    def _row(self, host: str, pool: str, instance: Json, user: t.Mapping[str, t.Any]) -> Json:
        state = str(instance.get("state") or "unknown")
        row: Json = {**user, "host": host, "pool": pool, "pid": instance.get("pid"), "state": state}
        for field in NUMBERS:
            row[field] = self._number(row, field)
        return row

    def _number(self, row: Json, field: str) -> t.Union[int, float, None]:
        """A number of a user. Anything else is noted, and counts as not known."""
        value = row.get(field)
        if value is None or is_number(value):
            return t.cast(t.Union[int, float, None], value)
        self.miss(row["host"], row["pool"], f"odd result: {field} of {row['user']} is {shown(value)}")
        return None


def _has_users(pool: PoolResult) -> bool:
    """Whether the pool was asked for its users and answered, or has none of its own."""
    result, instance = pool.result, pool.instance
    source = mapping(result["sources"]).get("users") if "sources" in result else result.get("source")
    return source is not None or (instance.get("mode") in PASSING_MODES and instance.get("state") == "ok")


def merged(users: t.Sequence[Json]) -> t.List[Json]:
    """One row for each user, with the sum over the pools, and the row of each pool in C(pools)."""
    by_name: t.Dict[str, t.List[Json]] = {}
    for user in users:
        by_name.setdefault(user["user"], []).append(user)
    return [_merged(name, rows) for name, rows in by_name.items()]


def _merged(name: str, rows: t.List[Json]) -> Json:
    known = {field: [row[field] for row in rows if row[field] is not None] for field in NUMBERS}
    return {
        "user": name,
        **{field: sum(known[field]) if known[field] else None for field in SUMMED},
        **{field: max(known[field]) if known[field] else None for field in _GREATEST},
        "pools": rows,
    }


def table(users: t.Sequence[Json]) -> t.List[str]:
    """The rows as lines of text under a heading. Below a user of several pools stands a line for each of them."""
    rows = [row for user in users for row in user.get("pools", [user])]
    namesakes = collections.Counter((host, pool) for host, pool, _pid in {_identity(row) for row in rows})
    lines = [_FORM % _HEADINGS]
    for user in users:
        pools = [_told_apart(row, namesakes) for row in user.get("pools", [user])]
        if len(pools) == 1:
            lines.append(_line(pools[0], user["user"]))
        else:
            total = {**user, "host": "SUM", "pool": counted(len(pools), "pool"), "state": "-"}
            lines.append(_line(total, user["user"]))
            lines += [_line({**row, "host": f"- {row['host']}"}, "") for row in pools]
    return lines


def _identity(row: Json) -> t.Tuple[str, str, str]:
    return (row["host"], row["pool"], str(row["pid"]))


def _told_apart(row: Json, namesakes: t.Mapping[t.Tuple[str, str], int]) -> Json:
    """A row with the pid of its pool where another pool of the host has the same name."""
    if namesakes[row["host"], row["pool"]] < 2:
        return row
    return {**row, "pool": f"{row['pool']} pid {row['pid']}"}


def _line(row: Json, name: str) -> str:
    rates = [human_hashrate(row[field]) for field in ("hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d")]
    rest = [or_dash(row[field], ".0f") for field in ("shares", "best_share")]
    return (_FORM % tuple(map(printable, (row["host"], row["pool"], row["state"], *rates, *rest, name)))).rstrip()
