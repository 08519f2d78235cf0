# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The templates for CI in docs/ci: their commands are shell, and what they set exists. The session lint checks them by their schemas, and by actionlint."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "docs" / "ci").glob("*.yml"))


def scripts_of(value: Any) -> list[str]:
    """The scripts of a template, at any depth: text of `run`, and the lines of `script` and of those before and after it."""
    found = []
    for key, part in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else []):
        if key in ("run", "script", "before_script", "after_script"):
            found.append(part if isinstance(part, str) else "\n".join(part))
        else:
            found += scripts_of(part)
    return found


def test_there_is_one_for_each_kind() -> None:
    assert [path.name.partition("-")[0] for path in TEMPLATES] == ["github", "gitlab"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_scripts_are_shell_without_values_of_others(path: Path) -> None:
    """An expression that is put into a script can be anybody's text, and would be run."""
    scripts = scripts_of(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert len(scripts) >= 4
    for script in scripts:
        assert "${{" not in script
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_what_they_set_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (playbook,) = set(re.findall(r"ckpool\.fleet\.(\w+)", text))
    comment = (ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8").partition("\n- name:")[0]
    upgrade = (ROOT / "roles" / "upgrade" / "defaults" / "main.yml").read_text(encoding="utf-8")
    for name in set(re.findall(r"-e (\w+)=", text)):
        assert name in comment or f"\n{name}:" in upgrade, name
