# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a value in a playbook says about pools: the results that the tests of this collection take."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..module_utils._health import CRITICAL, STATES, STATUSES, WARNING
from ._outcome import is_failure
from ._rows import FAILED, GONE, UNREACHABLE
from ._types import Json
from ._values import boolean, defined, shown

#: states in which at least one socket of the pool answers
_ANSWERS = ("ok", "starting", "degraded")
#: all states of a row: the host was not reached, its task failed, or an earlier run found the pool and this one did not
_STATES = (*STATES, UNREACHABLE, FAILED, GONE)
_EXPECTED = "not a result of ckpool_health_info, nor its health, nor an entry of its instances, nor a row of the report"
_LONGEST = 200  #: characters of the keys that a message shows


def is_healthy(value: t.Any, warnings: t.Any = False) -> bool:
    """Whether all pools of a result are healthy.

    :arg warnings: whether a pool with warnings counts as healthy.
    :raises AnsibleFilterError: it is not a result with a verdict.
    """
    fail_on = CRITICAL if boolean(warnings, "warnings") else WARNING
    judged = [_judged(part) for part in parts_of(value)]
    return not any(is_failure(part, fail_on) for part in judged)


def is_reachable(value: t.Any) -> bool:
    """Whether all pools of a result answer on at least one socket.

    :raises AnsibleFilterError: it is not a result with the state of a pool.
    """
    return all(part["state"] in _ANSWERS for part in parts_of(value))


def parts_of(value: t.Any) -> t.List[Json]:
    """What a result says of each of its pools: C(state), and C(status) where there is a verdict.

    :raises AnsibleFilterError: it is not such a result.
    """
    if not isinstance(defined(value), Mapping):
        raise _unexpected(value)
    if value.get("skipped"):
        raise AnsibleFilterError("the task was skipped, so its result says nothing of the pool")
    if value.get("unreachable"):
        return [{"state": UNREACHABLE, "status": CRITICAL}]
    if "health" in value:
        return [_part(_mapping(found).get("health")) for found in _list(value.get("instances")) or [value]]
    if value.get("failed"):
        return [{"state": FAILED, "status": CRITICAL}]
    # Results of other modules have no verdict, only the state in which the module found the pool.
    return [_part(value["instance"] if isinstance(value.get("instance"), Mapping) else value)]


def _list(value: t.Any) -> t.List[t.Any]:
    if not isinstance(value, (list, tuple, type(None))):
        raise AnsibleFilterError(f"{_EXPECTED}: its instances are {shown(value)}")
    return list(value or ())


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    if not isinstance(value, Mapping):
        raise _unexpected(value)
    return value


def _part(found: t.Any) -> Json:
    if not isinstance(found, Mapping) or found.get("state") not in _STATES:
        raise _unexpected(found)
    return {name: found[name] for name in ("state", "status") if name in found}


def _judged(part: Json) -> Json:
    if "status" not in part:
        raise AnsibleFilterError(f"this result has a state, {part['state']}, but no verdict: run ckpool_health_info")
    if part["status"] not in STATUSES:
        raise AnsibleFilterError(f"{_EXPECTED}: its status is {shown(part['status'])}")
    return part


def _unexpected(value: t.Any) -> AnsibleFilterError:
    if not isinstance(value, Mapping):
        hint = "; test its entries one by one" if isinstance(value, (list, tuple)) else ""
        return AnsibleFilterError(f"{_EXPECTED}: {shown(value)}{hint}")
    keys = ", ".join(map(str, value)) or "nothing"
    hint = "; a loop's result: test its results one by one" if "results" in value else ""
    return AnsibleFilterError(f"{_EXPECTED}: a dictionary with {keys[:_LONGEST]}{hint}")
