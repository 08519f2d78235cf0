# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands of the guides mean what they seem to, as they are typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "roles").glob("*/README.md"))]


def extra_variables(text: str) -> list[str]:
    """What follows each -e in blocks of commands, after the shell has taken its quotes away."""
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if " -e " in line]
    words = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    return [value for line in words for option, value in zip(line, line[1:]) if option == "-e"]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_values_with_blanks_arrive_whole(path: Path) -> None:
    """Ansible splits NAME=VALUE at blanks once more: what follows the first one is lost without a word."""
    for value in extra_variables(path.read_text(encoding="utf-8")):
        assert value.startswith(("{", "@")) or all("=" in part for part in shlex.split(value)), value


def test_a_lost_part_is_found() -> None:
    (lost,) = extra_variables('```console\nansible-playbook x.yml -e reason="ckpool 1.2.0"\n```')
    assert not all("=" in part for part in shlex.split(lost))
