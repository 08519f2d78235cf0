# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for a condition, never for a time."""

from __future__ import annotations

import time
import typing as t

#: Seconds, far more than anything takes on an idle machine: only a test that fails waits for so long.
DEADLINE = 30.0

_Value = t.TypeVar("_Value")


def wait_for(condition: t.Callable[[], _Value], what: str, seconds: float = DEADLINE) -> _Value:
    """The first true value of a condition.

    :raises AssertionError: there was none in time.
    """
    value = _poll(condition, seconds)
    assert value, f"waited {seconds} s in vain for {what}"
    return value


def wait_until(condition: t.Callable[[], object], seconds: float = DEADLINE) -> bool:
    """Whether a condition came true in time."""
    return bool(_poll(condition, seconds))


def _poll(condition: t.Callable[[], _Value], seconds: float) -> _Value:
    """The first true value of a condition, or its last one."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.02)
