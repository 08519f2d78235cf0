# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A minimal stdout callback that prints one JSON document and nothing else, as those of other collections do."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: json
type: stdout
short_description: Print the results as JSON
description: For the tests only. Stands for C(ansible.posix.json), which is no part of ansible-core.
"""


class CallbackModule(CallbackBase):
    """Gathers names and outcomes, and prints them at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "json"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[str]] = []

    def v2_runner_on_ok(self, result: Any) -> None:
        self._add("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._add("failed", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._display.display(json.dumps({"results": self.seen}))

    def _add(self, outcome: str, result: Any) -> None:
        host = getattr(result, "host", None) or result._host
        self.seen.append([host.get_name(), outcome])
