# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the service of a host is, and how to ask it, from the variables of the host."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible.errors import AnsibleError

from ...module_utils._errors import BadInput
from .._types import Variables
from .._values import defined, plain, shown
from .service import HOST, PORT, PREFIX, TIMEOUT, TOKEN, Service, is_loopback, service_at

_LONGEST_TIMEOUT = 3600.0
#: variables of the role that installs the service, for hosts without our own
_OF_ROLE = {"port": "http_api_port", "token": "http_api_token"}
_SECRET = (f"{PREFIX}token", _OF_ROLE["token"])
#: what a service may be told to judge by: the variables of the ssh way, with the values that change nothing
_JUDGED_BY: t.Mapping[str, t.Any] = {"thresholds": {}, "skip_checks": [], "socket_dirs": [], "log_dir": ""}
_NAMES = ("url", "port", "token", "ca_file", "validate_certs", "timeout")


def service_of(host: str, variables: Variables) -> Service:
    """The service of a host.

    :arg host: its name in the inventory.
    :arg variables: of the host, templated when they are read.
    :raises BadInput: naming the variable that is wrong, and never the token.
    """
    given = {name: _setting(variables, name) for name in _NAMES}
    url, port = given["url"].value, _port(given["port"])
    found = _of_url(url, port) if url is not None else _of_address(host, variable_of(variables, "ansible_host"), port)
    found = dataclasses.replace(
        found,
        token=_token(given["token"]),
        ca_file=os.path.expanduser(_text(given["ca_file"])) if given["ca_file"].value else None,
        verifies=_boolean(given["validate_certs"]),
        timeout=_timeout(given["timeout"]),
        judged_by=_judged_by(variables),
    )
    if found.token and not found.is_tls and not is_loopback(found.address):
        raise BadInput(
            f"the token would be sent to {found.url} unencrypted", hint=f"use an https:// URL in {PREFIX}url"
        )
    return found


class _Setting(t.NamedTuple):
    """The value of a variable, None if it is not set, and its name."""

    name: str
    value: t.Any


def _setting(variables: Variables, name: str) -> _Setting:
    own, of_role = PREFIX + name, _OF_ROLE.get(name)
    value = variable_of(variables, own)
    if value is None and of_role:
        return _Setting(of_role, variable_of(variables, of_role))
    return _Setting(own, value)


def _judged_by(variables: Variables) -> t.Dict[str, t.Any]:
    if variable_of(variables, "health_check_sample_seconds"):
        hint = "set it to 0 for this run, or use health_check_via=ssh"
        raise BadInput("health_check_sample_seconds is set, and a service does not wait for that", hint=hint)
    given = {name: variable_of(variables, f"health_check_{name}") for name in _JUDGED_BY}
    return {name: value for name, value in given.items() if value not in (None, _JUDGED_BY[name])}


def variable_of(variables: Variables, name: str) -> t.Any:
    """The value of a variable in Python's own types; None if it is not set.

    :raises BadInput: it cannot be templated.
    """
    if name not in variables:
        return None
    try:
        value = plain(defined(variables[name]))
    except AnsibleError as exc:
        why = "" if name in _SECRET else f": {exc}"  # which may quote the template
        raise BadInput(f"{name} cannot be templated{why}") from None
    # ansible-core 2.18 leaves a template as it is if it uses an undefined variable.
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        raise BadInput(f"{name} cannot be templated: a variable in it is not defined")
    return value


def _of_address(host: str, ansible_host: t.Any, port: t.Optional[int]) -> Service:
    """The service at the address of a host: by https, or by http on this machine, as the service listens by default."""
    address = host if ansible_host in (None, "") else str(ansible_host)
    if not HOST.fullmatch(address):
        raise BadInput(f"not an address: {shown(address)}", hint=f"set {PREFIX}url")
    return Service(not is_loopback(address), address, PORT if port is None else port)


def _of_url(url: t.Any, port: t.Optional[int]) -> Service:
    return service_at(_text(_Setting(f"{PREFIX}url", url)), f"{PREFIX}url", port)


def _text(given: _Setting) -> str:
    if not isinstance(given.value, str):
        raise BadInput(f"{given.name} is not a text: {shown(given.value)}")
    return given.value


def _port(given: _Setting) -> t.Optional[int]:
    if given.value is None:
        return None
    text = str(given.value)
    if isinstance(given.value, bool) or not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 65535:
        raise BadInput(f"{given.name} is not a port from 1 to 65535: {shown(given.value)}")
    return int(text)


def _token(given: _Setting) -> t.Optional[str]:
    """The token, without the line break of a file that it was read from."""
    if given.value is None or given.value == "":
        return None
    token = given.value.strip("\r\n") if isinstance(given.value, str) else ""
    if not TOKEN.fullmatch(token):
        hint = "a token is a text of letters, digits and signs without spaces; its value is not shown here"
        raise BadInput(f"{given.name} is not a token", hint=hint)
    return token


def _boolean(given: _Setting) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    found = True if given.value is None else words.get(str(given.value).lower())
    if found is None:
        raise BadInput(f"{given.name} is neither true nor false: {shown(given.value)}")
    return found


def _timeout(given: _Setting) -> float:
    try:
        seconds = TIMEOUT if given.value is None else float(given.value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if isinstance(given.value, bool) or not 0 < seconds <= _LONGEST_TIMEOUT:
        what = f"a number of seconds above 0, and {_LONGEST_TIMEOUT:.0f} at most"
        raise BadInput(f"{given.name} is not {what}: {shown(given.value)}")
    return seconds
