# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the guide, as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from tests.support import ROOT

from .conftest import Host

GUIDE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", GUIDE, flags=re.DOTALL)
    for line in block.splitlines()
    if line.startswith("ckpool-fleet ")
]


def test_there_are_examples() -> None:
    assert len(PROGRAMS) == 4 and len(COMMANDS) == 8


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs(host: Host, number: int) -> None:
    with host.pool("solo") as pool:
        pool.wait_for_statistics()
        command = [*host.machine.prefix, host.installed.python, "-I", "-c", PROGRAMS[number]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")
        assert (done.returncode, done.stderr) == (0, "")
        assert "ok" in done.stdout or "level" in done.stdout or "ckpool_up" in done.stdout, done.stdout


def test_commands(host: Host) -> None:
    with host.pool() as pool:
        pool.wait_for_statistics()
        for line in COMMANDS:
            words = shlex.split(line.partition(" > ")[0])[1:]
            done = host.ckpool(*words)
            assert (done.returncode, done.stderr) == (0, ""), line
