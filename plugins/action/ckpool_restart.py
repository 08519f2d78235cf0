# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart a pool by its own handover, and prove that the new process serves."""

from __future__ import annotations

import typing as t

from ..plugin_utils._flows.restart import Restart
from ..plugin_utils._types import Json
from ..plugin_utils._waiting_action import COMMON, WaitingAction


class ActionModule(WaitingAction):
    """Waits on the controller, and acts and looks on the host."""

    flow = Restart
    options: t.ClassVar[Json] = {
        **COMMON,
        "restart_timeout": {"type": "float", "default": 60.0},
        "ready_timeout": {"type": "float", "default": 60.0},
        "clients_percent": {"type": "int", "default": 90},
        "clients_timeout": {"type": "float", "default": 30.0},
        "force": {"type": "bool", "default": False},
        "sever": {"type": "str", "default": "auto", "choices": ["auto", "dropall", "none"]},
    }
