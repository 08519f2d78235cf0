# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to an instance's sockets: a message, and what came of it. What the replies mean is for others to know."""

from __future__ import annotations

import time
import typing as t

from .._errors import PoolError, Unparsable
from .._observation import Probe
from .._wire import MAX_REPLY, ClosedWithoutReply, ask_json, ask_text

if t.TYPE_CHECKING:
    from .._records import Json

_COUNTS = ("stats", "poolstats")
Replies = t.Dict[t.Tuple[str, str], t.Dict[str, t.Any]]


class Talk:
    """The sockets of one instance.

    :arg path_of: gives the path of a socket by its name.
    :arg timeout: seconds of one exchange.
    :arg max_reply: bytes of one reply.
    :arg replies: keeps the counts that were asked for, so that one visit asks for them once; nothing may change them.
    """

    def __init__(
        self,
        path_of: t.Callable[[str], str],
        timeout: float,
        max_reply: int = MAX_REPLY,
        replies: t.Optional[Replies] = None,
    ) -> None:
        self._path_of = path_of
        self._timeout = timeout
        self._max_reply = max_reply
        self._replies = replies
        self._spoken = ""  #: the dialect, once it was found out in this visit

    def json(self, socket: str, message: str) -> Json:
        """A JSON object that a socket answers with."""
        if self._replies is not None and (socket, message) in self._replies:
            return self._replies[socket, message]
        reply = ask_json(self._path_of(socket), message, self._timeout, self._max_reply)
        if not isinstance(reply, dict):
            raise Unparsable(f"the reply to '{message}' is not a JSON object: {str(reply)[:60]!r}")
        if self._replies is not None and message in _COUNTS:
            self._replies[socket, message] = reply
        return reply

    def text(self, socket: str, message: str, dialect: str = "public", unsafe: bool = False) -> str:
        """The text that a socket answers with.

        :arg dialect: what the daemon is known to speak, where that makes the message harmless.
        :arg unsafe: send it even if it is known to do harm.
        """
        return ask_text(self._path_of(socket), message, self._timeout, self._max_reply, dialect, unsafe)

    def silent(self, socket: str, message: str) -> None:
        """Send a message that the daemon does not reply to; it has been read when this returns."""
        try:
            self.text(socket, message)
        except ClosedWithoutReply:
            pass

    def probe(self, socket: str, message: str = "ping") -> Probe:
        """Send a message and tell what came of it, and in how many seconds. Raises nothing."""
        start = time.monotonic()
        try:
            reply = ask_text(self._path_of(socket), message, self._timeout, self._max_reply)
        except PoolError as exc:
            return Probe(socket, exc.reason, time.monotonic() - start, detail=str(exc), hint=exc.hint)
        return Probe(socket, "reply", time.monotonic() - start, reply)

    def dialect(self, stats: Json) -> str:
        """Which dialect this build speaks: C(guide), C(api) or C(public).

        :arg stats: the stratifier's own reply to C(stats), which the guide's dialect fills with hashrates.
        """
        if self._replies is None or not self._spoken:
            self._spoken = self._find_dialect(stats)
        return self._spoken

    def _find_dialect(self, stats: Json) -> str:
        if any(name.startswith("hashrate") for name in stats):
            return "guide"
        try:
            self.json("stratifier", "poolstats")
        except ClosedWithoutReply:
            return "public"
        return "api"
