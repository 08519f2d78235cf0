# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed records of a pool's own data, in base units.

Hashrates are H/s, times are epoch seconds, shares are counted in shares of difficulty 1 (a sum of difficulty).
A value that a source does not give is None, never 0.
"""

from __future__ import annotations

import typing as t

from ._errors import Unparsable
from ._record import field, record
from ._units import DIFF1_HASHES, shown

if t.TYPE_CHECKING:
    from ._types import Json, Number

WINDOWS = ("1m", "5m", "15m", "1hr", "6hr", "1d", "7d")
USER_WINDOWS = ("1m", "5m", "1hr", "1d", "7d")


@record
class UserAgent:
    """One kind of miner, by the name that it gives itself, and the sums of all miners of this kind."""

    user_agent: str
    devices: t.Optional[int] = None
    hashrate5m: Number = None
    best_share: Number = None

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@record
class PoolStats:
    """The statistics of one pool.

    C(accepted) and C(rejected) are sums of difficulty, C(accepted_count) and C(rejected_count) are numbers of shares.
    C(effort) is the accepted difficulty in percent of the network's. C(user_workbases) is the number of
    pieces of work that a solo pool has for its users, each with a coinbase that pays one of them.
    """

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
    accepted_count: t.Optional[int] = None
    rejected_count: t.Optional[int] = None
    effort: Number = None
    best_share: Number = None
    sps1m: Number = None
    sps5m: Number = None
    sps15m: Number = None
    sps1h: Number = None
    uptime: t.Optional[int] = None
    network_difficulty: Number = None
    user_workbases: t.Optional[int] = None
    user_agents: t.Optional[t.List[UserAgent]] = None

    @property
    def share_difficulty(self) -> Number:
        """The mean difficulty of the shares that were accepted lately.

        A hashrate is the difficulty of the accepted shares a second, times 2^32, and SPS is their number a second. The
        daemon lets both decay in the same way, so over one window their quotient is the mean difficulty of a share,
        also while miners come and go and after they left. The longest window that has both is the steadiest.
        """
        if self.accepted_count and self.accepted:
            return self.accepted / self.accepted_count
        windows = (
            (self.hashrate1hr, self.sps1h), (self.hashrate15m, self.sps15m), (self.hashrate5m, self.sps5m),
            (self.hashrate1m, self.sps1m),
        )  # fmt: skip
        return next((rate / DIFF1_HASHES / shares for rate, shares in windows if rate and shares), None)

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        agents = self.user_agents
        return dict(self.__dict__, user_agents=None if agents is None else [agent.as_dict() for agent in agents])


@record
class WorkerStats:
    """One worker name under a user, of one or several clients.

    C(updated) is when the source last wrote about it. C(stale): that was before this run of the daemon or too long ago, so
    the hashrates are those of a worker that has left. C(started) is when it last connected.
    """

    worker: str
    user: str
    hashrate1m: Number = None
    hashrate5m: Number = None
    hashrate1hr: Number = None
    hashrate1d: Number = None
    hashrate7d: Number = None
    shares: Number = None
    best_share: Number = None
    best_ever: Number = None
    last_share: t.Optional[int] = None
    started: t.Optional[int] = None
    user_agent: t.Optional[str] = None
    idle: t.Optional[bool] = None
    updated: t.Optional[int] = None
    stale: bool = False

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@record
class UserStats:
    """One user and the workers under it.

    C(updated) is when the source last wrote about it. C(stale): that was before this run of the daemon or too long ago, so
    the hashrates are those of a user who has left. C(worker_count) is the number of workers that the daemon counts.
    C(source) is the source in which this user was found, or C(log).
    """

    user: str
    hashrate1m: Number = None
    hashrate5m: Number = None
    hashrate1hr: Number = None
    hashrate1d: Number = None
    hashrate7d: Number = None
    shares: Number = None
    best_share: Number = None
    best_ever: Number = None
    last_share: t.Optional[int] = None
    authorised: t.Optional[int] = None
    updated: t.Optional[int] = None
    stale: bool = False
    worker_count: t.Optional[int] = None
    source: t.Optional[str] = None
    workers: t.List[WorkerStats] = field(default_factory=list)

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__, workers=[worker.as_dict() for worker in self.workers])


@record
class Block:
    """One block that the pool found, by its log. C(time) is that of the first line about it."""

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


@record
class Transaction:
    """One transaction of a block template."""

    txid: str
    fee: t.Optional[int] = None
    weight: t.Optional[int] = None

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@record
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
    transaction_list: t.List[Transaction] = field(default_factory=list)

    def as_dict(self) -> Json:
        """The record under the names of the modules' results, without the list of transactions."""
        return {name: value for name, value in self.__dict__.items() if name != "transaction_list"}


@record
class Query:
    """Which users or workers a source is asked for. It may give more than that, never less.

    :ivar users: names of users; None for all.
    :ivar workers: names of workers; None for all.
    :ivar since: epoch seconds of the last share that still counts as active; 0 for all.
    :ivar include_stale: also those who left; a user who is named is given in any case.
    :ivar enough: after this many, users without a share are not wanted; None if they always are.
    """

    users: t.Optional[t.Sequence[str]] = None
    workers: t.Optional[t.Sequence[str]] = None
    since: float = 0.0
    include_stale: bool = False
    enough: t.Optional[int] = None


def is_deep(value: t.Any, most: int = 30) -> bool:
    """Whether containers are nested more than C(most) levels deep. Printing a value that is nested too deep fails."""
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
        raise Unparsable(f"{what} is not a JSON object: {shown(value)}")
    return value
