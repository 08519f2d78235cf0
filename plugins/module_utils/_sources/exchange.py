# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchanges with the sockets of an instance: a message and its reply. What a reply means is known to the sources."""

from __future__ import annotations

import time
import typing as t

from .._errors import PoolError, Unparsable
from .._messages import MAX_REPLY, count_of, is_answer, is_counts
from .._wire import BadReply, ClosedWithoutReply, ask_json, ask_text

if t.TYPE_CHECKING:
    from .._instance import Instance
    from .._observation import Probe
    from .._types import Json

_NO_CKPOOL = ("bad_reply", "oversized_reply")  #: reasons why a reply is not a ckpool's, such as that of a web server
_KEPT = ("stats", "poolstats")  #: messages whose reply is kept


class Sockets:
    """The sockets of one instance.

    :arg instance: nothing is sent to any other process than this instance's own.
    :arg timeout: seconds of one exchange.
    :arg max_reply: bytes of one reply.

    Counts and statistics are kept, so that one visit asks for them once. Callers must not change them.
    """

    def __init__(self, instance: Instance, timeout: float, max_reply: int = MAX_REPLY) -> None:
        self._path_of = instance.socket
        self._require_peer = instance.require_peer
        self._timeout = timeout
        self._max_reply = max_reply
        self._replies: t.Dict[t.Tuple[str, str], Json] = {}

    def of(self, instance: Instance) -> Sockets:
        """The sockets of another instance, with the same deadline and bound."""
        return Sockets(instance, self._timeout, self._max_reply)

    def json(self, socket: str, message: str) -> Json:
        """The JSON object that a socket answers.

        :raises PoolError: there is no reply, or it is something else.
        """
        if (socket, message) in self._replies:
            return self._replies[socket, message]
        return self._ask(socket, message)

    def _ask(self, socket: str, message: str) -> Json:
        reply = ask_json(self._path_of(socket), message, self._timeout, self._max_reply, self._require_peer)
        if not isinstance(reply, dict):
            raise Unparsable(f"the reply to '{message}' is not a JSON object: {str(reply)[:60]!r}")
        if message in _KEPT:
            self._replies[socket, message] = reply
        return reply

    def counts(self, socket: str, again: bool = False) -> Json:
        """What a socket answers to C(stats): counts of its objects.

        :arg again: ask even if a reply is kept, which the new one replaces.
        :raises BadReply: it is something else.
        """
        reply = self._ask(socket, "stats") if again else self.json(socket, "stats")
        if not is_counts(reply):
            raise BadReply(
                f"{self._path_of(socket)} answered 'stats' with what no ckpool answers: {str(reply)[:60]}",
                self._path_of(socket),
                "no ckpool says that: find out who does, with ss -xlp",
                reason="garbage",
            )
        return reply

    def time_for(self, seconds: float) -> float:
        """How many of these seconds there are for something else than an exchange."""
        return seconds

    def count_clients(self) -> t.Optional[int]:
        """How many connections of miners the connector counts now; None if it does not say."""
        try:
            return count_of(self.counts("connector", again=True), "clients")
        except PoolError:
            return None

    def text(self, socket: str, message: str, is_checked: bool = False, unsafe: bool = False) -> str:
        """The text that a socket answers.

        :arg is_checked: whether this socket of this build refuses a wrong log level.
        :arg unsafe: send it even if it is known to do harm.
        """
        path = self._path_of(socket)
        return ask_text(path, message, self._timeout, self._max_reply, is_checked, unsafe, self._require_peer)

    def silent(self, socket: str, message: str) -> None:
        """Send a message that the daemon does not reply to. It has read the message when this returns."""
        try:
            self.text(socket, message)
        except ClosedWithoutReply:
            pass

    def probe(self, socket: str, message: str = "ping") -> Probe:
        """Send a message: the reply or why there was none, and how many seconds it took. Raises nothing.

        A reply that no working ckpool gives is C(garbage).
        """
        from .._observation import Probe

        start = time.monotonic()
        try:
            reply = self.text(socket, message)
        except PoolError as exc:
            outcome = "garbage" if exc.reason in _NO_CKPOOL else exc.reason
            return Probe(socket, outcome, time.monotonic() - start, detail=str(exc), hint=exc.hint)
        seconds = time.monotonic() - start
        if is_answer(message, reply):
            return Probe(socket, "reply", seconds, reply)
        detail = f"{self._path_of(socket)} answered '{message}' with {reply[:60]!r}"
        return Probe(socket, "garbage", seconds, reply, detail, "no ckpool says that: find out who does, with ss -xlp")
