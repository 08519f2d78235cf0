# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run asks, and which of them C(--limit) leaves out."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager, split_host_pattern

from ..module_utils._wording import counted, listed
from ._types import Variables

_NAMED = 10  #: hosts that a sentence names


@dataclasses.dataclass
class Asked:
    """The hosts of a pattern.

    :ivar hosts: those that the run was to ask.
    :ivar not_asked: those that C(--limit) left out.
    :ivar problems: what is wrong with the pattern or the limit, each as a sentence.
    """

    hosts: t.List[str] = dataclasses.field(default_factory=list)
    not_asked: t.List[str] = dataclasses.field(default_factory=list)
    problems: t.List[str] = dataclasses.field(default_factory=list)


def asked_of(pattern: str, variables: Variables, loader: t.Any) -> Asked:
    """The hosts of a pattern, seen from a play over C(localhost:all).

    :arg pattern: as C(hosts) of a play takes it.
    :arg variables: of the task.
    """
    inventory = _inventory(variables, loader)
    limit = str(variables.get("ansible_limit") or "")
    in_play = {str(host) for host in variables.get("ansible_play_hosts_all") or ()}
    expected = _matched(inventory, pattern)
    found = Asked([host for host in expected if host in in_play], [host for host in expected if host not in in_play])
    for option, text in (("the pattern of hosts", pattern), ("--limit", limit)):
        unknown = [part for part in _parts(text) if not _matched(inventory, part)]
        if unknown:
            found.problems.append(f"no host of the inventory matches {listed(unknown)} of {option}")
    if not expected and not found.problems:
        found.problems.append(f"no host of the inventory matches {pattern}")
    elif expected and not found.hosts:
        found.problems.append(f"--limit {limit} leaves none of the {len(expected)} hosts of {pattern}")
    return found


def not_asked_text(hosts: t.Sequence[str], by: str = "--limit") -> str:
    """The part of a sentence that names hosts that were not asked; empty if there are none.

    :arg by: what left them out.
    """
    if not hosts:
        return ""
    more = f" and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else ""
    return f"not asked: {counted(len(hosts), 'host')} by {by} ({listed(hosts[:_NAMED])}{more})"


def inventory_hosts(variables: Variables) -> t.Set[str]:
    """Every host of the inventory, whatever C(--limit) says."""
    return {str(host) for hosts in (variables.get("groups") or {}).values() for host in hosts}


def _inventory(variables: Variables, loader: t.Any) -> InventoryManager:
    """The inventory of the run without its limit, built as the lookup C(inventory_hostnames) does."""
    manager = InventoryManager(loader, parse=False)
    for group, hosts in (variables.get("groups") or {}).items():
        manager.add_group(group)
        for host in hosts:
            manager.add_host(host, group=group)
    return manager


def _matched(inventory: InventoryManager, pattern: str) -> t.List[str]:
    try:
        return [str(host.name) for host in inventory.get_hosts(pattern=pattern)]
    except AnsibleError:  # where HOST_PATTERN_MISMATCH is error
        return []


def _parts(pattern: str) -> t.List[str]:
    """The parts of a pattern that each should match a host, without their signs."""
    parts: t.List[str] = []
    for part in split_host_pattern(pattern):
        if part.startswith("@"):  # a file with names: only the command line knows where to read it from
            continue
        name = part.lstrip("!&")
        if name and name not in (*C.LOCALHOST, "all", "*"):
            parts.append(name)
    return parts
