# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shut a pool down: drain it, end it, prove that it is gone."""

from __future__ import annotations

import typing as t

from ..plugin_utils._flows import drain
from ..plugin_utils._flows.shutdown import Shutdown
from ..plugin_utils._types import Json
from ..plugin_utils._waiting_action import COMMON, WaitingAction


class ActionModule(WaitingAction):
    """Waits on the controller, and acts and looks on the host."""

    flow = Shutdown
    options: t.ClassVar[Json] = {
        **COMMON,
        **drain.OPTIONS,
        "shutdown_timeout": {"type": "float", "default": 60.0},
        "force_after": {"type": "float"},
        "sever_after": {"type": "float"},
        "kill_after": {"type": "float", "default": 10.0},
        "remove_leftovers": {"type": "bool", "default": False},
        "service": {"type": "str"},
    }
