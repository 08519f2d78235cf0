# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task returned of each pool of a host. Pure functions, which need no Ansible."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ..module_utils._units import shown
from ..module_utils._wording import one_line
from ._types import Json

#: modes that pass miners on, and so have no users of their own
PASSING_MODES = ("passthrough", "redirector")


@dataclasses.dataclass(frozen=True)
class PoolResult:
    """What a task returned of one pool.

    :ivar result: all that it returned.
    :ivar instance: the instance, as the result names it, or else the loop's item; empty if neither does.
    :ivar loop_var: the key that holds the loop's item.
    """

    result: Json
    instance: Json
    loop_var: str

    @property
    def is_failure(self) -> bool:
        """Whether the task failed there, or the host could not be reached."""
        return bool(self.result.get("unreachable") or self.result.get("failed"))

    @property
    def why(self) -> str:
        """Why it failed, in one line."""
        return why_of(self.result)


def pool_results(result: t.Any) -> t.List[PoolResult]:
    """The result of each pool of a host: of a task with C(all_instances), in a loop, or on a single pool.

    A task that was skipped has none. Anything that is not a result counts as a failed one.
    """
    result = _mapping_or_failure(result)
    return [] if result.get("skipped") else [_pool_result(entry) for entry in _entries(result)]


def _entries(result: Json) -> t.List[t.Any]:
    instances, looped = result.get("instances"), result.get("results")
    if isinstance(instances, list) and instances and "instance" not in result:
        return instances
    return looped if isinstance(looped, list) and looped else [result]


def _pool_result(entry: t.Any) -> PoolResult:
    result = _mapping_or_failure(entry)
    loop_var = str(result.get("ansible_loop_var"))
    instance = mapping(result.get("instance")) or mapping(mapping(result.get(loop_var)).get("instance"))
    return PoolResult(result, instance, loop_var)


def _mapping_or_failure(value: t.Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else {"failed": True, "msg": f"odd result: {shown(value)}"}


def why_of(result: t.Mapping[str, t.Any]) -> str:
    """Why a task failed, in one line."""
    said = host_said(result)
    return one_line(result.get("msg") or "no answer") + (f": {said}" if said else "")


def host_said(result: t.Mapping[str, t.Any]) -> str:
    """What a host said in place of a module's result, which Ansible's message leaves out; empty if nothing.

    What Python says ends with the cause; what a shell or a wrapper of Python says begins with it.
    """
    text = str(result.get("module_stderr") or result.get("module_stdout") or "")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    is_of_python = lines[0].startswith(("Traceback", "  File "))
    return one_line(lines[-1 if is_of_python else 0])


def mapping(value: t.Any) -> Json:
    """A dictionary; an empty one in place of any other value."""
    return dict(value) if isinstance(value, Mapping) else {}
