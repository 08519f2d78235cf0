# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools that tests only read from, of every kind."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.exchange import Answer
from tests.system.daemon import ENVIRONMENT

#: The kinds of simulated pools. On the first, Ansible runs the modules; on the others, they are run without it.
SIMULATIONS: dict[str, dict[str, Any]] = {
    "guide": {"dialect": "guide"},
    "2017": {"layout": "2017"},
    "2025": {"layout": "2025"},
    "2026": {"layout": "2026"},
    "api": {"dialect": "api"},
}

needs_real = pytest.mark.skipif(not os.environ.get(ENVIRONMENT), reason=f"{ENVIRONMENT} is not set")


@dataclasses.dataclass(frozen=True)
class Target:
    """A healthy pool that tests only read from.

    `source` is where its answers come from. `asked` gives the messages that it was sent, where it records them.
    """

    kind: str
    source: str
    socket_dir: Path
    log_dir: Path
    users: dict[str, list[str]]
    ask: Callable[[str, str], Answer]
    asked: Callable[[], list[str]] | None = None

    @property
    def is_real(self) -> bool:
        return self.kind == "real"
