# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all system tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the run like Ctrl-C, once: `timeout` sends its signal twice, and the second would cut the tidying short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.fixture(scope="session", autouse=True)
def stop_pools_when_terminated() -> Iterator[None]:
    """A test run that is told to end (SIGTERM, as `timeout` and CI send it) stops its daemons like one by Ctrl-C."""
    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)
