# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances as the collection finds them."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import start_ticks
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance


def instance_of_ours(folder: Path, **more: t.Any) -> Instance:
    """An instance whose process is this one, which is the one that answers on a FakeSocket."""
    process = {"pid": os.getpid(), "pid_state": "alive", "start_ticks": start_ticks(os.getpid())}
    return Instance(str(folder), "ckpool", **{**process, **more})
