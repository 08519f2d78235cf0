# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the plugins."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery, _memory
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance


@pytest.fixture
def memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is set on daemons is remembered: a folder of the test's own, which is not there yet."""
    folder = home / "memory"
    monkeypatch.setattr(_memory, "folder", lambda: str(folder))
    return folder


@pytest.fixture
def alone(home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """This host has no instances but those of the tests."""
    real, places = _discovery.discover, (str(home), str(tmp_path_factory.getbasetemp()))

    def discover(log_dir: t.Optional[str] = None, with_units: bool = False, details: bool = True) -> t.List[Instance]:
        return [found for found in real(log_dir, with_units, details) if found.socket_dir.startswith(places)]

    monkeypatch.setattr(_discovery, "discover", discover)


@pytest.fixture
def fakes_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test's own process serves is taken for a daemon of any folder."""
    real = Instance.is_served_by
    monkeypatch.setattr(Instance, "is_served_by", lambda instance, pid: pid == os.getpid() or real(instance, pid))
