# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring an instance to the new side of its host's window, verify it, and go back if it does not serve."""

from __future__ import annotations

import os
import typing as t

from ..plugin_utils._flows import drain
from ..plugin_utils._flows.upgrade import Upgrade
from ..plugin_utils._run import identity
from ..plugin_utils._step import Step
from ..plugin_utils._types import Json
from ..plugin_utils._waiting_action import COMMON, WaitingAction

_WINDOW = "ckpool.fleet.ckpool_window"


class ActionModule(WaitingAction):
    """Waits on the controller; the host switches, and goes back."""

    flow = Upgrade
    options: t.ClassVar[Json] = {
        **COMMON,
        "instance": {"type": "str", "required": True},
        "folder": {"type": "str", "default": "/var/lib/ckpool.fleet"},
        **drain.OPTIONS,
        "switch_timeout": {"type": "float", "default": 300.0},
        "ready_timeout": {"type": "float", "default": 120.0},
        "verify_timeout": {"type": "float", "default": 300.0},
        "stable_for": {"type": "float", "default": 10.0},
        "clients_percent": {"type": "int", "default": 90},
        "users_percent": {"type": "int", "default": 90},
        "hashrate_percent": {"type": "int", "default": 50},
        "shares": {"type": "bool", "default": True},
        "work_age_max": {"type": "float", "default": 120.0},
        "stranded_max": {"type": "int", "default": 0},
        "require_healthy": {"type": "bool", "default": True},
        "on_failure": {"type": "str", "default": "rollback", "choices": ["rollback", "stop"]},
        "rollback_timeout": {"type": "float", "default": 300.0},
        "return_timeout": {"type": "float", "default": 30.0},
    }

    def _stepper(self, options: Json, task_vars: Json) -> Step:
        look = super()._stepper(options, task_vars)
        known = identity(os.getppid())

        def step(arguments: Json) -> Json:
            """
            :raises Lost: the connection was lost.
            """
            if "window" not in arguments:
                return look(arguments)
            asked = {"state": arguments["window"], "folder": options["folder"], **known}
            more = {name: value for name, value in arguments.items() if name != "window"}
            return self._call(_WINDOW, {**asked, **more}, task_vars)

        return step
