# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a value in a playbook says about pools: the results that the tests of this collection take."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..module_utils._health import CRITICAL, STATES
from ._report import is_failure
from ._values import defined, shown

#: states in which something of the pool answers
_ANSWERS = ("ok", "starting", "degraded")
#: those of the table too: the host was not reached, or its task failed
_STATES = (*STATES, "unreachable", "failed")
_EXPECTED = "not a result of ckpool_health_info, nor its health, nor an entry of its instances, nor a row of the report"


def is_healthy(value: t.Any, warnings: t.Any = False) -> bool:
    """Whether all the pools that a result tells of are well.

    :arg warnings: whether one with warnings still is.
    :raises AnsibleFilterError: it is no result with a verdict.
    """
    if not isinstance(defined(warnings), bool):
        raise AnsibleFilterError(f"warnings is neither true nor false: {shown(warnings)}")
    found = [_judged(part) for part in parts_of(value)]
    return not any(is_failure(part, "critical" if warnings else "warning") for part in found)


def is_reachable(value: t.Any) -> bool:
    """Whether something of all the pools that a result tells of answers.

    :raises AnsibleFilterError: it is no result that tells it.
    """
    return all(part["state"] in _ANSWERS for part in parts_of(value))


def parts_of(value: t.Any) -> t.List[t.Dict[str, t.Any]]:
    """What a result says of each of its pools: C(state), and C(status) where there is a verdict.

    :raises AnsibleFilterError: it is no such result.
    """
    if not isinstance(defined(value), Mapping):
        raise _unexpected(value)
    if value.get("skipped"):
        raise AnsibleFilterError("the task was skipped, so its result says nothing of the pool")
    if value.get("unreachable"):
        return [{"state": "unreachable", "status": CRITICAL}]
    if "health" in value:
        return [_part(found.get("health")) for found in value.get("instances") or [value]]
    if value.get("failed"):
        return [{"state": "failed", "status": CRITICAL}]
    # What the other modules return has no verdict, but the state that they found the pool in.
    return [_part(value["instance"] if isinstance(value.get("instance"), Mapping) else value)]


def _part(found: t.Any) -> t.Dict[str, t.Any]:
    if not isinstance(found, Mapping) or found.get("state") not in _STATES:
        raise _unexpected(found)
    return {name: found[name] for name in ("state", "status") if name in found}


def _judged(part: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    if "status" not in part:
        raise AnsibleFilterError(f"this result has a state, {part['state']}, but no verdict: ask ckpool_health_info")
    return part


def _unexpected(value: t.Any) -> AnsibleFilterError:
    if not isinstance(value, Mapping):
        hint = "; test its entries one by one" if isinstance(value, (list, tuple)) else ""
        return AnsibleFilterError(f"{_EXPECTED}: {shown(value)}{hint}")
    keys = ", ".join(map(str, value)) or "nothing"
    hint = "; a loop's result: test its results one by one" if "results" in value else ""
    return AnsibleFilterError(f"{_EXPECTED}: a dictionary with {keys[:200]}{hint}")
