# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(ckpool_release), which its action plugin and its module share."""

from __future__ import annotations

import typing as t

OPTIONS: t.Dict[str, t.Any] = {
    "version": {"type": "str"},
    "state": {"type": "str", "default": "present", "choices": ["present", "current", "absent"]},
    "src": {"type": "path"},
    "remote_src": {"type": "bool", "default": False},
    "url": {"type": "str"},
    "origin": {"type": "str"},
    "package": {"type": "str"},
    "checksum": {"type": "str"},
    "prefix": {"type": "path", "default": "/opt/ckpool"},
    "program": {"type": "str"},
    "user": {"type": "str"},
    "try_program": {"type": "bool", "default": True},
    "try_timeout": {"type": "float", "default": 10.0},
    "keep": {"type": "int"},
    "max_size": {"type": "int", "default": 512 * 1024 * 1024},
}
RANGES: t.Dict[str, t.Tuple[float, float]] = {"try_timeout": (1, 300), "keep": (0, 1000), "max_size": (1, 2**40)}
NEEDS_ARTIFACT = "needs_artifact"  #: the reason by which the action plugin knows that it has to bring one
