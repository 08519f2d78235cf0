# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a pool meets conditions."""

from __future__ import annotations

import typing as t

from ..plugin_utils._flows.wait import Wait
from ..plugin_utils._types import Json
from ..plugin_utils._waiting_action import COMMON, WaitingAction


class ActionModule(WaitingAction):
    """Waits on the controller, and looks on the host."""

    flow = Wait
    options: t.ClassVar[Json] = {
        **COMMON,
        "state": {"type": "str", "choices": ["ready", "down", "drained"]},
        "clients_min": {"type": "int"},
        "clients_max": {"type": "int"},
        "users_min": {"type": "int"},
        "workers_min": {"type": "int"},
        "hashrate_min": {"type": "raw"},
        "work_age_max": {"type": "float"},
        "wait_timeout": {"type": "float", "default": 300.0},
        "stable_for": {"type": "float", "default": 0.0},
    }
