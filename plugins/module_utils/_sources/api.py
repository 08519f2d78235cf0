# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's native query API, which a few builds answer. Hashrates are shares of difficulty 1 a second."""

from __future__ import annotations

import typing as t

from .._wire import ClosedWithoutReply
from .source import SocketSource, Statistics

if t.TYPE_CHECKING:
    from .._records import Workbase
    from .._types import Spellings
    from .log.clients import Client

#: the fields count the minutes of a window
_HASHRATES = {
    "hashrate1m": ("hashrate", "dsps1"),
    "hashrate5m": ("hashrate", "dsps5"),
    "hashrate15m": ("hashrate", "dsps15"),
    "hashrate1hr": ("hashrate", "dsps60"),
    "hashrate6hr": ("hashrate", "dsps360"),
    "hashrate1d": ("hashrate", "dsps1440"),
    "hashrate7d": ("hashrate", "dsps10080"),
}
_USER_HASHRATES = {name: how for name, how in _HASHRATES.items() if name not in ("hashrate15m", "hashrate6hr")}


class Api(SocketSource):
    """What a build answers to C(poolstats), C(users), C(workers) and C(clients)."""

    name = "api"
    lists_clients = True
    hashrate_unit = 2.0**32
    pool_fields: t.ClassVar[Spellings] = {
        "as_of": ("time", "update"),
        "users": ("integer", "users"),
        "workers": ("integer", "workers"),
        "disconnected": ("integer", "disconnected"),
        "accepted": ("number", "accepted"),
        "rejected": ("number", "rejected"),
        "accepted_count": ("integer", "accepted_count"),
        "rejected_count": ("integer", "rejected_count"),
        "best_share": ("number", "bestshare", "bestdiff"),
        "uptime": ("seconds_since", "start"),
        "sps1m": ("number", "sps1", "sps1m", "SPS1m"),
        "sps5m": ("number", "sps5", "sps5m", "SPS5m"),
        "sps15m": ("number", "sps15", "sps15m", "SPS15m"),
        "sps1h": ("number", "sps60", "sps1h", "SPS1h"),
        **_HASHRATES,
    }
    user_fields: t.ClassVar[Spellings] = {
        "best_share": ("number", "bestdiff"),
        "best_ever": ("number", "bestever"),
        "shares": ("number", "shares"),
        "last_share": ("time", "lastshare"),
        **_USER_HASHRATES,
    }
    worker_fields: t.ClassVar[Spellings] = {
        "worker": ("text", "worker", "workername"),
        "best_share": ("number", "bestdiff"),
        "best_ever": ("number", "bestever"),
        "shares": ("number", "shares"),
        "last_share": ("time", "lastshare"),
        "started": ("time", "started"),
        "user_agent": ("text", "useragent"),
        "idle": ("flag", "idle"),
        **_USER_HASHRATES,
    }

    def detect(self) -> bool:
        """Whether the stratifier answers C(poolstats)."""
        self.counts()
        try:
            self.sockets.json("stratifier", "poolstats")
        except ClosedWithoutReply:
            return False
        return True

    def answers(self, question: str) -> bool:
        """As of any source; but every build with a bitcoind of its own gives a template."""
        return question == "workbase" or super().answers(question)

    def stats(self) -> Statistics:
        """The pool's statistics from C(poolstats)."""
        return self.stats_from(self.ask("poolstats"))

    def workbase(self) -> t.Optional[Workbase]:
        """A template that the generator gets from its bitcoind; None in a mode without one."""
        from . import template

        self.counts()
        return template.of_generator(self.instance, self.sockets, self.problems)

    def clients(self) -> t.List[Client]:
        """The clients that are connected."""
        from .._names import user_of
        from .log.clients import Client

        rows = self.sockets.json("stratifier", "clients").get("clients")
        found = []
        for row in rows if isinstance(rows, list) else ():
            fields = row if isinstance(row, dict) else {}
            worker, client_id, since = str(fields.get("workername", "")), fields.get("id"), fields.get("starttime")
            found.append(
                Client(
                    client_id=client_id if isinstance(client_id, int) else 0,
                    user=user_of(worker),
                    worker=worker,
                    address=str(fields.get("address", "")) or None,
                    since=float(since) if isinstance(since, (int, float)) else 0.0,
                    told_to_leave=False,
                )
            )
        return found
