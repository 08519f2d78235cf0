# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any message to any socket, and what is known of messages: which only read, and which are obeyed without a reply."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import typing as t

from ._control import Control
from ._errors import BadInput, PoolError
from ._records import is_deep
from ._wire import ClosedWithoutReply, harm

SOCKETS = ("listener", "stratifier", "connector", "generator", "pool")
#: Messages that change nothing, by socket. The daemon compares prefixes and ignores case.
_READS: t.Dict[str, t.Tuple[str, ...]] = {
    "listener": ("ping", "connectorstats", "summary"),
    "pool": ("ping", "summary"),
    "stratifier": (
        "ping", "stats", "poolstats", "users", "workers", "clients", "uptime", "proxyinfo", "user.info=",
        "current.workbase",
    ),
    "connector": ("ping", "stats"),
    "generator": ("ping", "getbase", "getbest", "getlast"),
}  # fmt: skip
#: Messages that a public build obeys and closes the connection on.
_SILENT: t.Dict[str, t.Tuple[str, ...]] = {
    "stratifier": ("dropclient", "reconnclient", "dropall", "reconnect", "resetshares", "loglevel"),
    "connector": ("dropclient", "accept", "reject", "loglevel"),
}


@dataclasses.dataclass
class Reply:
    """What came of a message.

    :ivar kind: C(json), C(text), or C(none) for a connection that was closed without a reply.
    :ivar value: the parsed JSON, the text, or None.
    :ivar seconds: how long the exchange took.
    """

    kind: str
    value: t.Any
    seconds: float

    @property
    def text(self) -> str:
        """The reply as text, for a pattern to be looked for in."""
        if self.kind == "none":
            return ""
        return str(self.value) if self.kind == "text" else json.dumps(self.value)


def is_read(socket: str, message: str) -> bool:
    """Whether a message is known to change nothing on any build."""
    if harm(socket, message):
        return False
    return (_method(message) if message.startswith("{") else message.lower()).startswith(_READS[socket])


def is_silent(socket: str, message: str) -> bool:
    """Whether a message is known to be obeyed without a reply."""
    return message.lower().startswith(_SILENT.get(socket, ()))


def rehearse(control: Control, socket: str, message: str, unsafe: bool = False) -> None:
    """Do all of sending but the sending: a ping is sent instead.

    :raises PoolError: nobody is there, nothing came in time, or the message is never sent.
    """
    if not unsafe:
        _must_be_harmless(control, socket, message)
    with contextlib.suppress(ClosedWithoutReply):
        control.say(socket, "ping")


def send(control: Control, socket: str, message: str, unsafe: bool = False) -> Reply:
    """Send a message, and say what came.

    :arg unsafe: send it even if it is known to do harm.
    :raises PoolError: nobody is there, nothing came in time, or it is never sent.
    """
    if not unsafe:
        _must_be_harmless(control, socket, message)
    start = time.monotonic()
    try:
        text = control.say(socket, message, unsafe)
    except ClosedWithoutReply:
        return Reply("none", None, time.monotonic() - start)
    seconds = time.monotonic() - start
    try:
        value = json.loads(text) if text[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        value = None
    # What is nested too deep to be printed is passed on as it came.
    return Reply("text", text, seconds) if value is None or is_deep(value) else Reply("json", value, seconds)


def _must_be_harmless(control: Control, socket: str, message: str) -> None:
    """Hold that a message may be sent, before anything is. The guide's stratifier checks a log level.

    :raises PoolError: it may not.
    """
    path = control.instance.socket(socket)
    why = harm(path, message)
    if why and socket == "stratifier" and message.lower().startswith("loglevel"):
        why = harm(path, message, control.dialect())
    if why:
        raise PoolError(
            f"'{message[:60]}' is never sent to {path}: {why}", path, "unsafe: true sends it", reason="harmful_message"
        )


def encoded(message: t.Any) -> str:
    """The text of a message, which may be given as a JSON-RPC style query.

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
    """The method of a JSON-RPC style query."""
    try:
        query = json.loads(message)
    except (ValueError, RecursionError):
        return ""
    method = query.get("method") if isinstance(query, dict) else None
    return method.lower() if isinstance(method, str) else ""
