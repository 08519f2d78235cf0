# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The map in CONTRIBUTING.md names every room, and no room that is gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def named(folder: str) -> list[str]:
    """The rooms in the first column of the table about a folder."""
    section = re.split(r"^#+ ", MAP.partition(f"`{folder}/`\n")[2], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    return [room for row in rows for room in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize(
    "folder",
    ["plugins/module_utils", "plugins/plugin_utils", "roles/http_api/files/ckpool_http", "python/ckpool_fleet"],
)
def test_the_map_names_every_room_once(folder: str) -> None:
    rooms = [path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*.py")]
    assert sorted(named(folder)) == sorted(room for room in rooms if not room.endswith("__init__.py"))


def test_paths_in_the_text_exist() -> None:
    """Those that are written in full, such as `tests/unit/test_architecture.py`; NAME stands for a new file."""
    words = re.findall(r"`((?:plugins|tests|docs|roles|playbooks|changelogs|benchmarks|demo)/[\w./-]*)`", MAP)
    assert [word for word in words if "NAME" not in word and not (ROOT / word).exists()] == []
