# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes every result of a run to the file that CKPOOL_FLEET_RECORD names, one JSON object a line."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recorder
type: notification
short_description: Write down every result, for a test to read
description: For the tests only.
"""


class CallbackModule(CallbackBase):
    """Only listens; what is printed stays the stdout callback's."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorder"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def _write(self, outcome: str, result: Any) -> None:
        task = getattr(result, "task", None) or result._task
        host = getattr(result, "host", None) or result._host
        values = result.result if hasattr(result, "result") else result._result
        found = json.loads(self._dump_results(values))
        if "diff" in values:  # which is not meant for a screen
            found["diff"] = values["diff"]
        line = {
            "host": host.get_name(),
            "task": task.get_name(),
            "action": task.action,
            "outcome": outcome,
            "result": found,
        }
        with open(os.environ["CKPOOL_FLEET_RECORD"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
