# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of flows."""

from __future__ import annotations

import pytest

from .fake_step import FakePool, obedient


@pytest.fixture
def pool() -> FakePool:
    """A pool that follows every order, as a real one does."""
    return obedient()
