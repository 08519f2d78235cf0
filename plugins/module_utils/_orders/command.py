# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any message to any socket, and the reply to it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import typing as t

from .. import _messages
from .._errors import BadInput, PoolError
from .._records import is_deep
from .._wire import ClosedWithoutReply
from .daemon import Daemon

SOCKETS = ("listener", "stratifier", "connector", "generator", "pool")


@dataclasses.dataclass
class Reply:
    """The reply to a message.

    :ivar kind: C(json), C(text), or C(none) for a connection that was closed without a reply.
    :ivar value: the parsed JSON, the text, or None.
    :ivar seconds: how long the exchange took.
    """

    kind: str
    value: t.Any
    seconds: float

    @property
    def text(self) -> str:
        """The reply as text, in which a pattern can be searched."""
        if self.kind == "none":
            return ""
        return str(self.value) if self.kind == "text" else json.dumps(self.value)


def is_read(socket: str, message: str) -> bool:
    """Whether a message, which may be a JSON query, is known to change nothing on any build."""
    if _messages.harm(socket, message):
        return False
    return _messages.is_read(socket, _method(message) if message.startswith("{") else message)


def rehearse(daemon: Daemon, socket: str, message: str, unsafe: bool = False) -> None:
    """Do the same as L(send), but send a ping instead of the message.

    :raises PoolError: the socket does not answer, or the message is never sent.
    """
    if not unsafe:
        _require_harmless(daemon, socket, message)
    with contextlib.suppress(ClosedWithoutReply):
        daemon.send(socket, "ping")


def send(daemon: Daemon, socket: str, message: str, unsafe: bool = False) -> Reply:
    """Send a message, and return the reply.

    :arg unsafe: send it even if it is known to do harm.
    :raises PoolError: the socket does not answer, or the message is never sent.
    """
    if not unsafe:
        _require_harmless(daemon, socket, message)
    start = time.monotonic()
    try:
        text = daemon.send(socket, message, unsafe)
    except ClosedWithoutReply:
        return Reply("none", None, time.monotonic() - start)
    seconds = time.monotonic() - start
    try:
        value = json.loads(text) if text[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        value = None
    # JSON that is nested too deep to be printed is passed on as text.
    return Reply("text", text, seconds) if value is None or is_deep(value) else Reply("json", value, seconds)


def _require_harmless(daemon: Daemon, socket: str, message: str) -> None:
    """Raise unless a message may be sent, before anything is. Some builds check a log level at the stratifier, too.

    :raises PoolError: it is known to do harm.
    """
    path = daemon.instance.socket(socket)
    why = _messages.harm(path, message)
    if why:
        why = _messages.harm(path, message, daemon.checks_level(socket, message))
    if why:
        raise PoolError(
            f"'{message[:60]}' is never sent to {path}: {why}", path, "unsafe: true sends it", reason="harmful_message"
        )


def encoded(message: t.Any) -> str:
    """The text of a message, which may be given as a JSON query.

    :raises BadInput: it is neither text nor a dictionary.
    """
    if isinstance(message, dict):
        return json.dumps(message)
    if not isinstance(message, str):
        raise BadInput(f"command must be a text or a dictionary, not {type(message).__name__}", reason="bad_command")
    try:
        message.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(f"command {message[:60]!r} is not text", reason="bad_command") from None
    return message


def _method(message: str) -> str:
    """The method of a JSON query."""
    try:
        query = json.loads(message)
    except (ValueError, RecursionError):
        return ""
    method = query.get("method") if isinstance(query, dict) else None
    return method.lower() if isinstance(method, str) else ""
