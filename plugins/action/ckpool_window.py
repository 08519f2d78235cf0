# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which run asks for a window, and take it over from a run of this controller that has ended."""

from __future__ import annotations

import os
import typing as t

from ..module_utils._errors import PoolError
from ..module_utils._options import check_ranges
from ..module_utils._results import failure
from ..module_utils._upgrade.options import OPTIONS, RANGES
from ..plugin_utils._action import Action
from ..plugin_utils._run import has_ended, identity
from ..plugin_utils._types import Json

_MODULE = "ckpool.fleet.ckpool_window"
#: States that a person may ask for as well as the run that holds the window.
_FOR_ANYBODY = ("query", "reverted", "confirmed", "broken")


class ActionModule(Action):
    """Runs the module, with what only the controller knows."""

    options: t.ClassVar[Json] = OPTIONS

    def work(self, options: Json, task_vars: Json) -> Json:
        """Run the module, and once more where the run that holds the window has ended."""
        try:
            check_ranges(options, RANGES)
        except PoolError as exc:
            return {"failed": True, **failure(exc)}
        given = {name: value for name, value in options.items() if value is not None}
        known = identity(os.getppid())
        if options["state"] in _FOR_ANYBODY:
            known.pop("run")
        arguments = {**known, **given}
        answer = self._call(arguments, task_vars)
        holder = answer.get("window") or {}
        if answer.get("reason") == "window_held" and has_ended(holder.get("controller") or {}):
            answer = self._call({**arguments, "take_over": holder["run"]}, task_vars)
        return answer

    def _call(self, arguments: Json, task_vars: Json) -> Json:
        answer: Json = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        return answer
