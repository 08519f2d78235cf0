# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shut a pool down: drain it, end it, prove that it is gone."""

from __future__ import annotations

import typing as t

from ..plugin_utils._action import WaitingAction
from ..plugin_utils._flows import Shutdown


class ActionModule(WaitingAction):
    """Waits on the controller, and looks on the host."""

    flow = Shutdown
    options: t.ClassVar[t.Dict[str, t.Any]] = {
        "redirect_to": {"type": "str"},
        "drain_until": {"type": "int", "default": 0},
        "drain_timeout": {"type": "float", "default": 300.0},
        "on_drain_timeout": {"type": "str", "default": "fail", "choices": ["fail", "continue"]},
        "shutdown_timeout": {"type": "float", "default": 60.0},
        "force_after": {"type": "float"},
        "kill_after": {"type": "float", "default": 10.0},
        "remove_leftovers": {"type": "bool", "default": False},
        "service": {"type": "str"},
    }
