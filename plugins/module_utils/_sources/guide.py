# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's dialect: the commands that the operator's guide describes. Hashrates are numbers in GH/s, or texts."""

from __future__ import annotations

import time
import typing as t

from .._errors import SourceNotAnswered
from .._wire import ClosedWithoutReply
from .source import SocketSource, Statistics

if t.TYPE_CHECKING:
    from .._records import Workbase
    from .._types import Spellings

_HASHRATES = {
    "hashrate1m": ("hashrate", "hashrate1m"),
    "hashrate5m": ("hashrate", "hashrate5m"),
    "hashrate15m": ("hashrate", "hashrate15m"),
    "hashrate1hr": ("hashrate", "hashrate1hr", "hashrate1h"),
    "hashrate6hr": ("hashrate", "hashrate6hr", "hashrate6h"),
    "hashrate1d": ("hashrate", "hashrate1d"),
    "hashrate7d": ("hashrate", "hashrate7d"),
}
_USER_HASHRATES = {name: how for name, how in _HASHRATES.items() if name not in ("hashrate15m", "hashrate6hr")}
_REFUSALS = ("invalid", "failed", "unknown")


class Guide(SocketSource):
    """What a build answers to the commands of the operator's guide.

    Its C(stats) holds the statistics, where the other builds count objects.
    """

    name = "guide"
    level_socket = "stratifier"
    drops_users = True
    hashrate_unit = 1e9
    pool_fields: t.ClassVar[Spellings] = {
        "users": ("integer", "users"),
        "workers": ("integer", "workers"),
        "idle": ("integer", "idle"),
        "disconnected": ("integer", "disconnected"),
        "accepted": ("number", "accepted", "accounted_diff_shares", "accepted_shares", "accounted_shares"),
        "rejected": ("number", "rejected", "accounted_rejects", "rejected_shares"),
        "accepted_count": ("integer", "accepted_count"),
        "rejected_count": ("integer", "rejected_count"),
        "best_share": ("number", "bestshare", "best_share", "best_diff"),
        "uptime": ("integer", "elapsed", "uptime", "runtime"),
        "network_difficulty": ("number", "network_diff", "netdiff", "network_difficulty"),
        "sps1m": ("number", "sps1", "sps1m", "SPS1m"),
        "sps5m": ("number", "sps5", "sps5m", "SPS5m"),
        "sps15m": ("number", "sps15", "sps15m", "SPS15m"),
        "sps1h": ("number", "sps60", "sps1h", "SPS1h"),
        **_HASHRATES,
    }
    user_fields: t.ClassVar[Spellings] = {
        "best_share": ("number", "bestshare", "bestdiff"),
        "best_ever": ("number", "bestever"),
        "shares": ("number", "shares"),
        "last_share": ("time", "lastshare"),
        "authorised": ("time", "authorised"),
        "worker_count": ("count", "workers"),
        **_USER_HASHRATES,
    }
    worker_fields: t.ClassVar[Spellings] = {
        "worker": ("text", "worker", "workername"),
        "best_share": ("number", "bestshare", "bestdiff"),
        "best_ever": ("number", "bestever"),
        "shares": ("number", "shares"),
        "last_share": ("time", "lastshare"),
        "started": ("time", "started"),
        "user_agent": ("text", "useragent"),
        "idle": ("flag", "idle"),
        **_USER_HASHRATES,
    }

    def detect(self) -> bool:
        """Whether the stratifier's C(stats) holds hashrates."""
        return any(name.startswith("hashrate") for name in self.counts())

    def stats(self) -> Statistics:
        """The pool's statistics.

        :raises SourceNotAnswered: the reply to C(stats) holds none.
        """
        row = self.counts()
        if "hashrate1m" not in row:
            raise SourceNotAnswered(
                "this build's 'stats' holds no hashrates: it does not speak the guide's dialect",
                self.instance.socket("stratifier"),
                "leave source at auto",
            )
        return self.stats_from(row)

    def workbase(self) -> t.Optional[Workbase]:
        """The stratifier's own template, with its age by its own time."""
        from . import template

        self.require()
        found = template.read(self.ask("current.workbase"), self.problems)
        found.age = None if found.time is None else max(time.time() - found.time, 0.0)
        return found

    def set_level(self, level: int) -> t.Optional[t.Tuple[str, bool]]:
        """Set the log level at the stratifier, which checks it; None where only the listener knows the command."""
        try:
            reply = self.sockets.text(self.level_socket, f"loglevel={level}", is_checked=True)
        except ClosedWithoutReply:
            return None
        return reply, bool(reply.strip()) and not reply.lower().startswith(_REFUSALS)

    def user_names(self) -> t.Set[str]:
        """The users in the listing: another name would be created by the command to drop it."""
        rows = self.sockets.json("stratifier", "users").get("users")
        return {str(row.get("user")) for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()

    def drop_user(self, user: str) -> str:
        """Drop all clients of a user; the daemon's reply."""
        return self.sockets.text("stratifier", f"dropuser={user}")
