# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a fleet, host by host: what its tasks registered, or what its services say, all asked by one process."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping

from ...module_utils._errors import BadInput, PoolError
from ...module_utils._wording import counted, listed
from .._asked import Asked
from .._registered import raw_variables, registered
from .._types import Json, Options, Variables
from .._values import shown
from .address import service_of, variable_of
from .service import PREFIX, NoAnswer, Service, failure

SSH, HTTP = "ssh", "http"
BY_HOST = "by_host"
VARIABLE = "health_check_via"
_NAMED = 3  #: hosts that a message names


class _Remembered(Mapping[str, t.Any]):
    """The variables of hosts, which Ansible puts together each time that they are read: about a millisecond a host."""

    def __init__(self, hostvars: t.Mapping[str, t.Any]) -> None:
        self._hostvars = hostvars
        self._known: t.Dict[str, t.Any] = {}
        self._raw: t.Dict[str, Variables] = {}

    def raw_get(self, host: str) -> Variables:
        """The same with their templates."""
        if host not in self._raw:
            self._raw[host] = raw_variables(self._hostvars, host)
        return self._raw[host]

    def __getitem__(self, host: str) -> t.Any:
        if host not in self._known:
            self._known[host] = self._hostvars[host]
        return self._known[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)


def gathered(options: Options, task_vars: Variables, loader: t.Any) -> t.Tuple[Asked, t.List[t.Tuple[str, t.Any]]]:
    """As C(registered), with the answer of its service for each host that is asked by HTTP.

    :arg options: those of C(registered), and C(via): C(ssh), C(http), which needs C(hosts), or C(by_host), with which the
        variable C(health_check_via) of each host decides.
    """
    via = options["via"]
    if via == SSH:
        return registered(options, task_vars, loader)
    hostvars = _Remembered(task_vars["hostvars"])
    asked, results = registered(options, {**task_vars, "hostvars": hostvars}, loader)
    answers = ask([host for host, _result in results], hostvars, via)
    return asked, [(host, answers.get(host, result)) for host, result in results]


def ask(hosts: t.Iterable[str], hostvars: t.Mapping[str, Variables], via: str = HTTP) -> t.Dict[str, Json]:
    """What a task on each host would have returned, of those that are asked by HTTP.

    That of a host without an answer has C(failed) or C(unreachable).

    :arg via: C(http) for all of them, or C(by_host).
    """
    results: t.Dict[str, Json] = {}
    services: t.Dict[str, Service] = {}
    for host in hosts:
        try:
            if via == HTTP or _via(hostvars, host) == HTTP:
                services[host] = service_of(host, _variables(hostvars, host))
        except PoolError as exc:
            results[host] = failure(exc)
    if services:
        from .asking import ask_all  # with asyncio and ssl, which a fleet without services does not need

        results.update(ask_all(services))
    results.update({host: failure(why) for host, why in _answered_twice(results).items()})
    return results


def _variables(hostvars: t.Mapping[str, Variables], host: str) -> Variables:
    found = hostvars[host]
    return found if isinstance(found, Mapping) else {}


def _via(hostvars: t.Mapping[str, Variables], host: str) -> str:
    if raw_variables(hostvars, host).get(VARIABLE) is None:
        return SSH
    found = variable_of(_variables(hostvars, host), VARIABLE)
    if found not in (None, SSH, HTTP):
        raise BadInput(f"{VARIABLE} is neither {SSH} nor {HTTP}: {shown(found)}")
    return found or SSH


def _answered_twice(results: t.Mapping[str, Json]) -> t.Dict[str, NoAnswer]:
    """The hosts for which the same service has answered, so that all of them but one were not looked at.

    The name that a service gives its host need not be that of the inventory, so one alone says nothing.
    """
    by_identity: t.Dict[t.Any, t.List[str]] = {}
    for host, result in results.items():
        identity = _identity(result)
        if identity:
            by_identity.setdefault(identity, []).append(host)
    found: t.Dict[str, NoAnswer] = {}
    for (name, *_rest), hosts in by_identity.items():
        if len(hosts) < 2:
            continue
        for host in hosts:
            others = [other for other in hosts if other != host]
            named = listed(others[:_NAMED]) if len(others) <= _NAMED else counted(len(others), "other host")
            found[host] = NoAnswer(
                f"the service that answers is that of {named} too; it calls its host {name}",
                f"does {PREFIX}url lead to this host? is one host in the inventory twice?",
            )
    return found


def _identity(result: Json) -> t.Any:
    """What two hosts cannot have in common: the processes of their pools, with their times. None if it has none."""
    processes = []
    for entry in result.get("instances") or ():
        instance = entry.get("instance") if isinstance(entry, dict) else None
        if isinstance(instance, dict) and instance.get("pid") and instance.get("started"):
            processes.append(tuple(repr(instance.get(name)) for name in ("pid", "started", "socket_dir", "root")))
    return (result["host"], *sorted(processes)) if processes else None
