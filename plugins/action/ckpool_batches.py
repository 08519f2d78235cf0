# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the hosts of a fleet in order, and in batches."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

from ..module_utils._text import printable
from ..module_utils._wording import counted, listed, sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._batches import FIRST, BadBatches, batches, tier_of
from ..plugin_utils._outcome import INVALID
from ..plugin_utils._pool_results import pool_results
from ..plugin_utils._registered import registered
from ..plugin_utils._types import Json, Variables
from ..plugin_utils._values import plain


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "hosts": {"type": "str", "default": "all"},
        "variable": {"type": "str", "default": "health_check_result"},
        "serial": {"type": "list", "elements": "str", "default": ["1", "10%", "25%", "100%"]},
        "first": {"type": "str", "default": "masters", "choices": list(FIRST)},
        "tier_variable": {"type": "str", "default": "rolling_upgrade_tier"},
    }

    def refuse(self, exc: AnsibleError) -> Json:
        """A call that is wrong has an outcome too."""
        return _invalid([str(exc.message)])

    def work(self, options: Json, task_vars: Json) -> Json:
        """Find out the tier of each host, and cut the hosts of each tier into batches."""
        asked, results = registered(options, task_vars, self._loader)
        tiers = {host: _tier(host, result, options["tier_variable"], task_vars) for host, result in results}
        try:
            found = batches(tiers, options["serial"], options["first"])
        except BadBatches as exc:
            asked.problems.append(str(exc))
            found = []
        if asked.problems:
            return _invalid(asked.problems)
        return {
            "changed": False,
            "hosts": [host for batch in found for host in batch],
            "sizes": [len(batch) for batch in found],
            "batches": found,
            "number_of": {host: number for number, batch in enumerate(found, 1) for host in batch},
            "tiers": tiers,
            "not_asked": asked.not_asked,
            "msg": printable(f"{counted(len(tiers), 'host')} in {len(found)} batches: {_described(found)}"),
        }


def _invalid(problems: t.Sequence[str]) -> Json:
    return {"changed": False, "failed": True, "outcome": INVALID, "msg": printable(sentence(problems))}


def _tier(host: str, result: t.Any, variable: str, task_vars: Variables) -> str:
    """The tier that a variable of the host says, or else that of the modes of its instances."""
    said = task_vars["hostvars"][host].get(variable)
    if said is not None:
        return str(plain(said))
    return tier_of([pool.instance.get("mode") for pool in pool_results(result) if pool.instance])


def _described(found: t.Sequence[t.Sequence[str]]) -> str:
    return listed(f"({' '.join(batch)})" for batch in found)
