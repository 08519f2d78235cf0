# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(ckpool_window), which its action plugin and its module share."""

from __future__ import annotations

import typing as t

from .._window import FOLDER, LIMITS, OUTCOMES

_LONGEST = 604800.0
_TEXT: t.Dict[str, t.Any] = {"type": "str", "default": ""}
_PIECE: t.Dict[str, t.Any] = {
    "path": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": ["release", "link", "config", "unit"], "required": True},
    "instance": _TEXT,
    "target": {"type": "str"},
    "src": {"type": "str"},
    "mode": {"type": "str", "default": "0644"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
_INSTANCE: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "socket_dir": {"type": "str", "required": True},
    "unit": _TEXT,
    "program": {"type": "str"},
}
OPTIONS: t.Dict[str, t.Any] = {
    "state": {
        "type": "str",
        "default": "query",
        "choices": [
            "query",
            "opened",
            "staged",
            "noted",
            "switched",
            "reverted",
            "held",
            "confirmed",
            "closed",
            "broken",
        ],
    },
    "run": {"type": "str"},
    "owner": {"type": "str"},
    "controller": {"type": "dict"},
    "reason": _TEXT,
    "expires_after": {"type": "float", "default": 7200.0},
    "take_over": {"type": "str"},
    "pieces": {"type": "list", "elements": "dict", "options": _PIECE},
    "instances": {"type": "list", "elements": "dict", "options": _INSTANCE},
    "restore": {"type": "str"},
    "strategy": {"type": "str", "default": "auto", "choices": ["auto", "handover", "stop_start"]},
    "min_free": {"type": "int", "default": 32 * 1024 * 1024},
    "confirm_within": {"type": "float", "default": 900.0},
    "limits": {
        "type": "dict",
        "options": {name: {"type": "float", "default": value} for name, value in LIMITS.items()},
    },
    "instance": {"type": "str"},
    "before": {"type": "dict"},
    "why": {"type": "str", "default": "by hand"},
    "outcome": {"type": "str", "choices": list(OUTCOMES)},
    "msg": _TEXT,
    "report": {"type": "dict"},
    "history": {"type": "int", "default": 0},
    "folder": {"type": "str", "default": FOLDER},
}
RANGES: t.Dict[str, t.Tuple[float, float]] = {
    "expires_after": (1, _LONGEST),
    "confirm_within": (1, _LONGEST),
    "min_free": (0, 2**50),
    "history": (0, 1000),
}
