# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that a pattern of hosts and C(--limit) leave hosts to work on."""

from __future__ import annotations

import typing as t

from ..module_utils._text import printable
from ..module_utils._wording import counted, sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import asked_of, not_asked_text
from ..plugin_utils._types import Json


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {"pattern": {"type": "str", "default": "all"}}

    def work(self, options: Json, task_vars: Json) -> Json:
        """Resolve the pattern, and fail if a part of it or of the limit matches nothing."""
        asked = asked_of(options["pattern"], task_vars, self._loader)
        effect = "nothing was done" if asked.problems else ""
        parts = [*asked.problems, effect, counted(len(asked.hosts), "host"), not_asked_text(asked.not_asked)]
        return {
            "changed": False,
            "failed": bool(asked.problems),
            "hosts": asked.hosts,
            "not_asked": asked.not_asked,
            "msg": printable(sentence(parts)),
        }
