# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of a host: its address, how to speak to it, and what it is that none answers. It needs no Ansible."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t
import urllib.parse

from ...module_utils._errors import BadInput, PoolError
from ...module_utils._units import shown
from .._types import Json

PREFIX = "health_check_http_"
PORT = 9333  #: of the service, unless it is told otherwise
TIMEOUT = 10.0
HOST = re.compile("[A-Za-z0-9._:%-]{1,253}")
TOKEN = re.compile("[!-~]{1,4096}")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")


@dataclasses.dataclass(frozen=True)
class Service:
    """The service of one host.

    :ivar address: a name or an IP address, without brackets.
    :ivar path: what the paths of the service come after; empty, or it starts with a slash.
    :ivar ca_file: certificates to trust in place of the system's.
    :ivar timeout: seconds that the whole answer may take.
    :ivar settings: what the names of its settings begin with, for hints: C(url), C(token), C(ca_file) and C(timeout).
    :ivar judged_by: what it should have been told to judge by: C(thresholds) and the like, if they are not the usual ones.
    """

    is_tls: bool
    address: str
    port: int
    path: str = ""
    token: t.Optional[str] = dataclasses.field(default=None, repr=False)
    ca_file: t.Optional[str] = None
    verifies: bool = True
    timeout: float = TIMEOUT
    settings: str = PREFIX
    judged_by: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def authority(self) -> str:
        """HOST:PORT, as a URL has it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """Its URL, which has no secrets."""
        return f"{'https' if self.is_tls else 'http'}://{self.authority}{self.path}"


class NoAnswer(PoolError):
    """A service gave no answer.

    :ivar is_unreachable: whether no connection was made, so nothing is known of the service.
    """

    def __init__(self, message: str, hint: str = "", is_unreachable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_unreachable = is_unreachable


def failure(exc: PoolError) -> Json:
    """The result of a host without an answer."""
    kind = "unreachable" if isinstance(exc, NoAnswer) and exc.is_unreachable else "failed"
    return {kind: True, "msg": exc.with_hint}


def is_loopback(address: str) -> bool:
    """Whether what is sent to an address stays on this machine."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def service_at(url: str, name: str, port: t.Optional[int] = None) -> Service:
    """The service of a URL.

    :arg name: what the URL was given as, for the message.
    :arg port: that of a URL without one, in place of C(PORT).
    :raises BadInput: it is not such a URL.
    """
    hint = "give https://HOST:PORT, or http://HOST:PORT"
    try:
        parts = urllib.parse.urlsplit(url)
        address, own_port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadInput(f"{name} is not a URL: {exc}", hint=hint) from None
    if parts.username is not None or parts.password is not None or "?" in url or "#" in url:
        raise BadInput(
            f"{name} has a user, a password, a query or a fragment", hint=f"{hint}; the token is a setting of its own"
        )
    path = parts.path.rstrip("/")
    if parts.scheme not in ("http", "https") or not HOST.fullmatch(address or "") or not _PATH.fullmatch(path):
        raise BadInput(f"{name} is not a URL of a service: {shown(url)}", hint=hint)
    chosen = own_port if own_port is not None else port
    return Service(parts.scheme == "https", address or "", PORT if chosen is None else chosen, path)
