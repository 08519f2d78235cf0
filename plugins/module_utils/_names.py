# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the names of users, workers and other pools, before they are sent, searched for, or used in a path."""

from __future__ import annotations

import re
import typing as t

from ._errors import BadInput

MAX_USER_BYTES = 127  #: the daemon refuses longer names
_MAX_WORKER_BYTES = 510  #: the daemon cuts its lines there
_NO_LINE = (("\0", "a NUL"), ("\n", "a newline"), ("\r", "a carriage return"))
_NO_PATH = (("/", "'/'"), ("..", "'..'"), *_NO_LINE)

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")


def parse_address(text: str, option: str = "redirect_to") -> t.Tuple[str, str]:
    """Host and port of C(HOST:PORT), the host being a name, an IPv4 address, or an IPv6 address in brackets.

    :arg option: the name of the option, for the error.
    :raises BadInput: it is not an address.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) and 1 <= int(port) <= 65535 and _is_host(host)):
        raise BadInput(
            f"{option} must be HOST:PORT with a port from 1 to 65535, not {text[:80]!r}",
            reason="bad_address",
            hint="a name or IPv4 address as in spare.example.org:3333, an IPv6 address as in [2001:db8::1]:3333",
        )
    return host.strip("[]"), port


def _is_host(host: str) -> bool:
    import ipaddress  # few tasks need it

    if host.startswith("["):
        try:
            return host.endswith("]") and "%" not in host and bool(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return False
    labels = host.split(".")
    if not (host and len(host) <= 253 and all(_LABEL.match(label) for label in labels)):
        return False
    if not labels[-1].isdigit():
        return True
    try:  # a name whose last label is a number is an address
        return bool(ipaddress.IPv4Address(host))
    except ValueError:
        return False


def check_user_name(name: str) -> None:
    """Raise unless a user of the daemon can have this name.

    :raises BadInput: saying what is wrong with it.
    """
    _check("user", name, _NO_PATH, MAX_USER_BYTES, "a user is a payout address or name")


def check_worker_name(name: str) -> None:
    """Raise unless a worker of the daemon can have this name.

    :raises BadInput: saying what is wrong with it.
    """
    _check("worker", name, _NO_LINE, _MAX_WORKER_BYTES, "a worker is a user's name, or that with a dot and more")


def user_of(worker: str) -> str:
    """The user of a worker: the part of its name before the first dot or underscore, as for the daemon."""
    return worker.replace("_", ".").partition(".")[0]


def _check(kind: str, name: str, bad_parts: t.Sequence[t.Tuple[str, str]], most: int, hint: str) -> None:
    wrong = next((f"holds {text}" for part, text in bad_parts if part in name), "")
    try:
        if not name:
            wrong = "is empty"
        elif len(name.encode("utf-8", "surrogateescape")) > most:
            wrong = f"has more than {most} bytes"
    except UnicodeEncodeError:
        wrong = "is not text"
    if wrong:
        raise BadInput(f"{kind} name {name!r} {wrong}", reason=f"bad_{kind}_name", hint=hint)
