# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End a run with the outcome of a report, as a sentence and as an exit status."""

from __future__ import annotations

import typing as t

from ..module_utils._text import printable
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._outcome import OUTCOMES, PASSING, ROLLOUT_OUTCOMES, UNDETERMINED_OUTCOME
from ..plugin_utils._types import Json


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "outcome": {"type": "str", "required": True, "choices": [*OUTCOMES, *ROLLOUT_OUTCOMES]},
        "msg": {"type": "str", "required": True},
        "fail": {"type": "bool"},
        "unreachable": {"type": "bool"},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Show the outcome, and fail by it. Only an unreachable host gives a run an exit status of its own."""
        word = options["outcome"]
        result = {"changed": False, "outcome": word, "msg": printable(options["msg"]), "_ansible_verbose_always": True}
        fails = word not in PASSING if options["fail"] is None else options["fail"]
        is_unreachable = word == UNDETERMINED_OUTCOME if options["unreachable"] is None else options["unreachable"]
        if fails:
            result["unreachable" if is_unreachable else "failed"] = True
        return result
