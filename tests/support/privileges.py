# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run a command with fewer rights."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.waiting import DEADLINE

#: gives up root's right to pass over the modes of files: as good as another user
UNPRIVILEGED = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)


def without_privileges() -> tuple[str, ...]:
    """A command that runs a command which may not pass over the modes of files. The test is skipped without one."""
    if os.geteuid():
        return ()
    trial = [*UNPRIVILEGED, "true"]
    if not shutil.which("setpriv") or subprocess.run(trial, check=False, timeout=DEADLINE).returncode:
        pytest.skip("root, and no setpriv that can give up root's rights")
    return UNPRIVILEGED
