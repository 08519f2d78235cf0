# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the plugins."""

from __future__ import annotations

import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _memory

from .support import Simulated


@pytest.fixture
def home() -> t.Iterator[Path]:
    """An empty folder with a short name: a socket's path is limited to 107 bytes, which pytest's own come close to."""
    folder = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is set on daemons is remembered: a folder of the test's own, which is not there yet."""
    folder = home / "memory"
    monkeypatch.setattr(_memory, "folder", lambda: str(folder))
    return folder


@pytest.fixture
def simulate(home: Path) -> t.Iterator[t.Callable[..., Simulated]]:
    """Start simulated daemons, which end with the test."""
    running: t.List[Simulated] = []

    def start(*options: str, **simulation: t.Any) -> Simulated:
        running.append(Simulated(home / str(len(running)), *options, start=False, **simulation))
        running[-1].start()
        return running[-1]

    yield start
    for daemon in running:
        daemon.__exit__()
