# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of hosts registered."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleError

from ._asked import Asked, asked_of
from ._types import Json, Options, Variables
from ._values import plain

_TEMPLATES = ("{{", "{%", "{#")  #: what a template begins with
#: the result of a host that has none
_NOT_ASKED: Json = {"failed": True, "msg": "was not asked: it failed earlier in this run, see above"}


def registered(options: Options, task_vars: Variables, loader: t.Any) -> t.Tuple[Asked, t.List[t.Tuple[str, t.Any]]]:
    """Which hosts a run was to ask, and what each of them registered, in the order of the inventory.

    :arg options: C(variable), the name that the results are registered under, and C(hosts), the pattern of hosts. A host
        of the pattern without a result counts as failed. If the pattern is None, every host with a result counts.
    """
    pattern, variable, hostvars = options["hosts"], options["variable"], task_vars["hostvars"]
    asked = Asked() if pattern is None else asked_of(pattern, task_vars, loader)
    results = (
        (str(host), _registered(hostvars, host, variable)) for host in (hostvars if pattern is None else asked.hosts)
    )
    if pattern is None:
        return asked, [(host, result) for host, result in results if result is not None]
    return asked, [(host, _NOT_ASKED if result is None else result) for host, result in results]


def _registered(hostvars: t.Mapping[str, t.Any], host: str, variable: str) -> t.Any:
    """What one host registered; None if nothing. A result that cannot be read is a failed one."""
    try:
        found = raw_variables(hostvars, host).get(variable)
        if any(mark in repr(found) for mark in _TEMPLATES):
            found = hostvars[host].get(variable)
        return None if found is None else plain(found)
    except (AnsibleError, KeyError) as exc:
        return {"failed": True, "msg": f"{variable} cannot be read: {exc}"}


def raw_variables(hostvars: t.Mapping[str, t.Any], host: str) -> Variables:
    """The variables of a host, with their templates. To look for templates in a result costs more than all that is made of it.

    :raises KeyError: there is no such host.
    """
    get: t.Callable[[str], t.Any] = getattr(hostvars, "raw_get", hostvars.__getitem__)
    found = get(host)
    if not isinstance(found, Mapping):  # Ansible's undefined value
        raise KeyError(host)
    return found
