# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Status files, read by code of the tests' own."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path


def status_of(log_dir: Path) -> t.Dict[str, t.Any]:
    """The three objects of pool.status as one."""
    merged: t.Dict[str, t.Any] = {}
    for line in (log_dir / "pool" / "pool.status").read_text().splitlines():
        merged.update(json.loads(line))
    return merged


def rate_of(text: t.Union[str, float]) -> float:
    """H/s from a text of a status file."""
    text = str(text)
    power = " KMGTPE".find(text[-1])
    return float(text[:-1]) * 1000**power if power > 0 else float(text)
