# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run this is, and which others are known to have ended. Whoever is wrong here takes a window from a run that goes on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._run import has_ended, identity


def test_a_run_that_goes_on_and_one_that_has_ended() -> None:
    known = identity(os.getpid())
    assert known["run"].endswith(f"-{os.getpid()}") and "@" in known["owner"]
    assert not has_ended(known["controller"])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = identity(process.pid)["controller"]
        assert not has_ended(other)
        process.kill()
    assert has_ended(other)
    assert has_ended({**other, "boot": "an earlier one"})


@pytest.mark.parametrize("key", ["host", "pids"])
def test_nothing_is_known_of_a_run_elsewhere(key: str) -> None:
    """Jobs in containers can have the name and the boot of their machine, and processes of their own."""
    gone = {**identity(os.getpid())["controller"], "pid": 2**22 + 1}
    assert has_ended(gone)
    assert not has_ended({**gone, key: "another"})
    assert not has_ended({name: value for name, value in gone.items() if name != key})
