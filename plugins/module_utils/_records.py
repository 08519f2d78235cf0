# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed records of what a pool says of itself, in base units.

Hashrates are H/s, times are epoch seconds, shares are counted in shares of difficulty 1.
A value that a source does not give is None, never 0.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ._errors import Unparsable
from ._units import DIFF1_HASHES, parse_hashrate

WINDOWS = ("1m", "5m", "15m", "1hr", "6hr", "1d", "7d")
USER_WINDOWS = ("1m", "5m", "1hr", "1d", "7d")
#: the query API's minutes a window
_DSPS = {"1m": "1", "5m": "5", "15m": "15", "1hr": "60", "6hr": "360", "1d": "1440", "7d": "10080"}
#: the guide's names of windows that differ from the daemon's
_GUIDE = {"1hr": "1h", "6hr": "6h"}
_GIGA = 1e9

Json = t.Dict[str, t.Any]
Number = t.Optional[float]


@dataclasses.dataclass
class PoolStats:
    """The statistics of one pool."""

    hashrate1m: Number = None
    hashrate5m: Number = None
    hashrate15m: Number = None
    hashrate1hr: Number = None
    hashrate6hr: Number = None
    hashrate1d: Number = None
    hashrate7d: Number = None
    users: t.Optional[int] = None
    workers: t.Optional[int] = None
    idle: t.Optional[int] = None
    disconnected: t.Optional[int] = None
    accepted: Number = None
    rejected: Number = None
    best_share: Number = None
    sps1m: Number = None
    sps5m: Number = None
    sps15m: Number = None
    sps1h: Number = None
    uptime: t.Optional[int] = None
    network_difficulty: Number = None

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@dataclasses.dataclass
class WorkerStats:
    """One worker name under a user, of one or several clients. C(updated) is when the source last wrote of it."""

    worker: str
    user: str
    hashrate1m: Number = None
    hashrate5m: Number = None
    hashrate1hr: Number = None
    hashrate1d: Number = None
    hashrate7d: Number = None
    shares: Number = None
    best_share: Number = None
    last_share: t.Optional[int] = None
    idle: t.Optional[bool] = None
    updated: t.Optional[int] = None

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return {name: value for name, value in self.__dict__.items() if name != "updated"}


@dataclasses.dataclass
class UserStats:
    """One user and the workers under it. C(updated) is when the source last wrote of it."""

    user: str
    hashrate1m: Number = None
    hashrate5m: Number = None
    hashrate1hr: Number = None
    hashrate1d: Number = None
    hashrate7d: Number = None
    shares: Number = None
    best_share: Number = None
    last_share: t.Optional[int] = None
    authorised: t.Optional[int] = None
    updated: t.Optional[int] = None
    workers: t.List[WorkerStats] = dataclasses.field(default_factory=list)

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__, workers=[worker.as_dict() for worker in self.workers])


@dataclasses.dataclass
class Block:
    """One block that the pool found, as its log tells of it. C(time) is that of the first line about it."""

    time: int
    height: t.Optional[int] = None
    hash: t.Optional[str] = None
    worker: t.Optional[str] = None
    user: t.Optional[str] = None
    difficulty: Number = None
    network_difficulty: Number = None
    accepted: t.Optional[bool] = None
    reason: t.Optional[str] = None
    stale: t.Optional[bool] = None
    shares: Number = None
    effort: Number = None

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@dataclasses.dataclass
class Transaction:
    """One transaction of a block template."""

    txid: str
    fee: t.Optional[int] = None
    weight: t.Optional[int] = None

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@dataclasses.dataclass
class Workbase:
    """The template that a pool makes its work from. Values are in satoshi, C(difficulty) follows from the target."""

    height: t.Optional[int] = None
    previous_block: t.Optional[str] = None
    transactions: t.Optional[int] = None
    coinbase_value: t.Optional[int] = None
    bits: t.Optional[str] = None
    difficulty: Number = None
    version: t.Optional[int] = None
    time: t.Optional[int] = None
    age: Number = None
    transaction_list: t.List[Transaction] = dataclasses.field(default_factory=list)

    def as_dict(self) -> Json:
        """The record under the names of the modules' results, without the list of transactions."""
        return {name: value for name, value in self.__dict__.items() if name != "transaction_list"}


def hashrates_from_text(fields: Json, windows: t.Sequence[str] = WINDOWS) -> t.Dict[str, t.Any]:
    """C(hashrate1m) and so on from a status file's texts."""
    return {f"hashrate{w}": parse_hashrate(fields.get(f"hashrate{w}")) for w in windows}


def hashrates_from_dsps(fields: Json, windows: t.Sequence[str] = WINDOWS) -> t.Dict[str, t.Any]:
    """The same from the query API's C(dsps1) and so on: shares of difficulty 1 a second."""
    return {f"hashrate{w}": parse_hashrate(fields.get(f"dsps{_DSPS[w]}"), DIFF1_HASHES) for w in windows}


def hashrates_from_guide(fields: Json, windows: t.Sequence[str] = WINDOWS) -> t.Dict[str, t.Any]:
    """The same from the guide's replies: numbers in GH/s, or texts with a suffix; C(1h) for C(1hr)."""
    rates: t.Dict[str, t.Any] = {}
    for window in windows:
        value = fields.get(f"hashrate{window}")
        if value is None:
            value = fields.get(f"hashrate{_GUIDE.get(window, window)}")
        rates[f"hashrate{window}"] = parse_hashrate(value, _GIGA)
    return rates


def number(fields: Json, *names: str) -> Number:
    """The first of these fields that is there, as a number; a text that holds one counts.

    :raises Unparsable: it is something else.
    """
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        try:
            found: float = float(value) if isinstance(value, str) else value
            # Python's JSON knows true, NaN and integers that no float can hold.
            if isinstance(value, bool) or not math.isfinite(found):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise Unparsable(f"{name} is not a number: {str(value)[:60]!r}", reason="bad_number") from None
        return found
    return None


def integer(fields: Json, *names: str) -> t.Optional[int]:
    """Like C(number), cut to a whole number."""
    value = number(fields, *names)
    return None if value is None else int(value)


def is_deep(value: t.Any, most: int = 30) -> bool:
    """Whether there are more than so many containers in one another: enough of them, and whoever prints it fails."""
    level = [value]
    for _depth in range(most):
        containers = (outer for outer in level if isinstance(outer, (dict, list)))
        level = [item for outer in containers for item in (outer.values() if isinstance(outer, dict) else outer)]
        if not level:
            return False
    return True


def mapping(value: t.Any, what: str) -> Json:
    """The value, if it is a JSON object.

    :raises Unparsable: it is something else.
    """
    if not isinstance(value, dict):
        raise Unparsable(f"{what} is not a JSON object: {str(value)[:60]!r}")
    return value
