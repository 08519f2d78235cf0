# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each message does to a daemon, and which form its reply has. This is the only list.

The daemon compares prefixes and ignores case, so all of this does too.
Sources: docs/what-ckpool-answers.md; recordings of running daemons.
"""

from __future__ import annotations

import os
import re
import typing as t

MAX_REPLY = 256 * 1024 * 1024  #: bytes, the default limit of a reply
_CREATES = "it creates the user that it asks about"
#: Messages that a public build answers by crashing, or by creating the user that they ask about. The user is created on
#: the stratifier only.
_HARMFUL = (
    ("stratifierstats", "it crashes a daemon that is not ready"),
    *((name, _CREATES) for name in ("getuser", "userclients", "ucinfo", "getworker", "workerclients", "wcinfo")),
)
_LISTENERS = ("listener", "pool")  #: the listener, and its name in the guide
#: Messages that change nothing, by socket.
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
#: The form of the reply to a message, where it is the same on every build.
_FORMS: t.Dict[str, t.Pattern[str]] = {
    "ping": re.compile(r"pong\Z"),
    "getbest": re.compile(r"(?:[0-9A-Fa-f]{64}|notify|failed)\Z", re.IGNORECASE),
    "getlast": re.compile(r"(?:[0-9A-Fa-f]{64}|notify|failed)\Z", re.IGNORECASE),
}
_MOST_COUNTED = 2**63  #: no daemon can count further
#: Keys of which the reply to C(stats) has some on every build.
_COUNTED = frozenset(
    (
        "workbases",
        "users",
        "clients",
        "disconnected",
        "shares",
        "dead",
        "workers",
        "elapsed",
        "connections",
        "transactions",
    )
)
#: Most bytes of a reply, by the beginning of its message. Listings and templates grow with the pool, so only the caller
#: limits them.
_MOST_BYTES = (
    ("ping", 64), ("getbest", 1024), ("getlast", 1024), ("stats", 1048576), ("poolstats", 1048576),
    ("connectorstats", 1048576), ("uptime", 65536), ("summary", 1048576), ("loglevel", 65536), ("shutdown", 65536),
    ("restart", 65536), ("accept", 65536), ("reject", 65536), ("reconnect", 65536), ("drop", 65536),
)  # fmt: skip


def harm(path: str, message: str, is_checked: bool = False) -> str:
    """The harm that a message does to a public build; empty if none is known.

    :arg path: the socket, or its name.
    :arg is_checked: whether this socket of this build refuses a wrong log level. Most builds take any number there.
    """
    lowered = message.lower()
    listener = os.path.basename(path) in _LISTENERS
    if not message:
        return "the daemon waits for the rest of it"
    if listener and lowered.startswith("{"):
        return "it is never answered, and leaks an open file of the daemon"
    if not listener and lowered.startswith("loglevel") and not is_checked:
        return "any number is taken there; the listener checks it"
    return next((why for beginning, why in _HARMFUL if lowered.startswith(beginning)), "")


def is_read(socket: str, message: str) -> bool:
    """Whether a message is known to change nothing on any build."""
    return not harm(socket, message) and message.lower().startswith(_READS[socket])


def is_silent(socket: str, message: str) -> bool:
    """Whether a message is known to be obeyed without a reply."""
    return message.lower().startswith(_SILENT.get(socket, ()))


def is_answer(message: str, reply: str) -> bool:
    """Whether a reply has the form of the reply to a message. If no form is known, any text has it."""
    form = _FORMS.get(message.lower())
    return form is None or bool(form.match(reply))


def is_counts(reply: t.Mapping[str, t.Any]) -> bool:
    """Whether an object is a daemon's reply to C(stats): the guide's statistics, or counts of objects, each of which is one."""
    if any(name.startswith("hashrate") for name in reply):
        return True
    kinds = _COUNTED.intersection(reply)
    return bool(kinds) and all(count_of(reply, kind) is not None for kind in kinds)


def count_of(counts: t.Optional[t.Mapping[str, t.Any]], kind: str, field: str = "count") -> t.Optional[int]:
    """How many objects of a kind a reply to C(stats) counts; None if it does not say."""
    value = (counts or {}).get(kind)
    found = value.get(field) if isinstance(value, dict) else None
    is_count = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _MOST_COUNTED
    return found if is_count else None


def most_bytes(message: str, limit: int) -> int:
    """The number of bytes that the reply to a message may have.

    :arg limit: the limit for a listing or a template, which grow with the pool.
    """
    lowered = message.lower()
    return min(next((most for beginning, most in _MOST_BYTES if lowered.startswith(beginning)), limit), limit)
