# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that a rulebook gives to the event source, checked. It needs no Ansible."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t
from collections.abc import Mapping

from ...module_utils._errors import BadInput, PoolError
from ...module_utils._text import without_credentials
from ...module_utils._units import is_number, shown
from ...module_utils._wording import listed
from .._disk import read
from .._services.http import Contexts
from .._services.service import TOKEN, Service, is_loopback, service_at
from .._types import Json
from .._watch import EVENTS, Limits

_MOST_TOKEN = 4096  #: bytes
_OF_SERVICE = ("url", "host", "token", "token_file", "ca_file", "validate_certs")
_NAMES = (
    "services", "interval", "timeout", "token", "token_file", "ca_file", "validate_certs", "events", "looks", "hashrate_drop",
    "work_age", "idle_after", "users", "state_file", "forget", "feedback", "eda_feedback_queue",
)  # fmt: skip
_RANGES: t.Dict[str, t.Tuple[float, float, float]] = {
    "interval": (1, 86400, 60),
    "timeout": (1, 300, 10),
    "looks": (1, 100, 2),
    "hashrate_drop": (1, 100, 50),
    "work_age": (1, 2**31, 300),
    "idle_after": (60, 2**31, 900),
}
#: A name of the inventory. What means something else to --limit could make a playbook run on other hosts.
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_WORDS = {"true": True, "yes": True, "false": False, "no": False}


class BadArgument(ValueError):
    """An argument is wrong. The message names it, and shows no secret."""


@dataclasses.dataclass(frozen=True)
class Host:
    """A host to look at.

    :ivar name: in events, as in the inventory.
    :ivar service: how to ask its service.
    :ivar token_file: the file of the token, read again for each look; None if there is none.
    """

    name: str
    service: Service
    token_file: t.Optional[str] = None

    def current(self) -> Service:
        """Its service with the token of now.

        :raises BadArgument: the file of the token cannot be used.
        """
        if self.token_file is None:
            return self.service
        what = f"token_file {self.token_file}"
        try:
            text = read(self.token_file, _MOST_TOKEN)
        except OSError as exc:
            raise BadArgument(f"{what}: {exc.strerror}") from None
        except ValueError as exc:
            raise BadArgument(f"{what}: {exc}") from None
        if text is None:
            raise BadArgument(f"{what}: there is no such file")
        return dataclasses.replace(self.service, token=_token(text.strip(), what))


@dataclasses.dataclass(frozen=True)
class Arguments:
    """All of them.

    :ivar interval: seconds from the start of one look to that of the next.
    :ivar forget: pools that are gone on purpose, as those of the watch.
    """

    hosts: t.Sequence[Host]
    interval: float
    limits: Limits
    state_file: t.Optional[str]
    forget: t.Sequence[str]


def arguments_of(given: t.Mapping[str, t.Any]) -> Arguments:
    """The arguments of a source, as its rulebook has them.

    :raises BadArgument: naming the first that is wrong.
    """
    unknown = sorted(str(name) for name in given if name not in _NAMES)
    if unknown:
        raise BadArgument(f"there is no argument {unknown[0]}; there are {listed(_NAMES[:-2])}")
    numbers = {name: _number(given, name) for name in _RANGES}
    hosts = _hosts(given, numbers["timeout"])
    if numbers["looks"] != int(numbers["looks"]):
        raise BadArgument(f"looks is not a whole number: {shown(given['looks'])}")
    kinds = _texts(given, "events") or list(EVENTS)
    for kind in kinds:
        if kind not in EVENTS:
            raise BadArgument(f"events: {shown(kind)} is not one of {listed(EVENTS)}")
    limits = Limits(
        int(numbers["looks"]), numbers["hashrate_drop"] / 100, numbers["work_age"], numbers["idle_after"],
        _texts(given, "users"), kinds,
    )  # fmt: skip
    state_file = _path(given, "state_file", "state_file")
    return Arguments(hosts, numbers["interval"], limits, state_file, _texts(given, "forget"))


def _hosts(given: t.Mapping[str, t.Any], timeout: float) -> t.List[Host]:
    rows = given.get("services")
    if isinstance(rows, str):
        rows = [row.strip() for row in rows.split(",") if row.strip()]
    if not isinstance(rows, (list, tuple)) or not rows:
        raise BadArgument(f"services is not a list of URLs, such as https://pool1.example.org:9333: {shown(rows)}")
    usual = {name: given[name] for name in _OF_SERVICE if name in given}
    found: t.Dict[str, Host] = {}
    contexts = Contexts()
    for number, row in enumerate(rows, 1):
        host = _host(row, f"services, entry {number}", usual, timeout)
        if host.name in found:
            raise BadArgument(
                f"services, entry {number}: another entry has the host {host.name} too: give each its own"
            )
        found[host.name] = host
        try:
            contexts.of(host.service)
        except PoolError as exc:
            raise BadArgument(f"services, entry {number}: {exc.with_hint}") from None
    return list(found.values())


def _host(row: t.Any, where: str, usual: Json, timeout: float) -> Host:
    own = {"url": row} if isinstance(row, str) else row
    if not isinstance(own, Mapping):
        raise BadArgument(f"{where} is neither a URL nor a dictionary with url: {shown(row)}")
    unknown = sorted(str(name) for name in own if name not in _OF_SERVICE)
    if unknown:
        raise BadArgument(f"{where}: there is no {unknown[0]}; there are {listed(_OF_SERVICE)}")
    if "token" in own or "token_file" in own:
        usual = {name: value for name, value in usual.items() if name not in ("token", "token_file")}
    chosen = {**usual, **own}
    service = dataclasses.replace(
        _service(chosen.get("url"), where),
        ca_file=_path(chosen, "ca_file", where),
        verifies=_boolean(chosen.get("validate_certs", True), f"{where}: validate_certs"),
        timeout=timeout,
        settings="",
    )
    token, token_file = _tokens(chosen, where)
    if (token or token_file) and not service.is_tls and not is_loopback(service.address):
        raise BadArgument(
            f"{where}: url {shown(service.url)} would send the token without encryption: use https, or a tunnel to 127.0.0.1"
        )
    return Host(_name(chosen, service, where), dataclasses.replace(service, token=token), token_file)


def _service(url: t.Any, where: str) -> Service:
    if not isinstance(url, str):
        raise BadArgument(f"{where}: url is not a text: {shown(url)}")
    try:
        return service_at(url, f"{where}: url {shown(without_credentials(url)[0])}")
    except BadInput as exc:
        raise BadArgument(exc.with_hint) from None


def _name(chosen: Json, service: Service, where: str) -> str:
    name = chosen.get("host", service.address)
    if not isinstance(name, str) or len(name) > 253 or not _HOST.fullmatch(name):
        raise BadArgument(f"{where}: host {shown(name)} is not a name as in an inventory; give one by host")
    return name


def _tokens(chosen: Json, where: str) -> t.Tuple[t.Optional[str], t.Optional[str]]:
    path = _path(chosen, "token_file", where)
    token = chosen.get("token")
    if token in (None, ""):
        return None, path
    if path:
        raise BadArgument(f"{where}: token and token_file: give one of them")
    if not isinstance(token, str):
        raise BadArgument(f"{where}: token is not a text")
    return _token(token, f"{where}: token"), None


def _token(token: str, what: str) -> str:
    if not TOKEN.fullmatch(token):
        raise BadArgument(f"{what} is empty, or has characters that a token cannot have")
    return token


def _boolean(value: t.Any, what: str) -> bool:
    found = _WORDS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise BadArgument(f"{what} is neither true nor false: {shown(value)}")
    return found


def _path(given: t.Mapping[str, t.Any], name: str, where: str) -> t.Optional[str]:
    path = given.get(name)
    if path in (None, ""):
        return None
    if not isinstance(path, str) or not os.path.isabs(path):
        what = name if where == name else f"{where}: {name}"
        raise BadArgument(f"{what} is not an absolute path: {shown(path)}")
    return path


def _number(given: t.Mapping[str, t.Any], name: str) -> float:
    least, most, usual = _RANGES[name]
    value = given.get(name, usual)
    try:
        number = float(value) if isinstance(value, str) else value  # a template makes a text
    except ValueError:
        number = None
    if not is_number(number) or not least <= t.cast(float, number) <= most:
        raise BadArgument(f"{name} is not a number from {least:g} to {most:g}: {shown(value)}")
    return float(t.cast(float, number))


def _texts(given: t.Mapping[str, t.Any], name: str) -> t.List[str]:
    value = given.get(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [text.strip() for text in value.split(",") if text.strip()]
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) and text for text in value):
        raise BadArgument(f"{name} is not a list of texts: {shown(value)}")
    return list(value)
