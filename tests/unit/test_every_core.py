# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests that run on every ansible-core use each module, role and playbook: by name, or by a playbook or role that does."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"(?:ckpool\.fleet\.|\b)([a-z_]+)\b")


def contents() -> t.Dict[str, str]:
    """Each module, role and playbook, and the text of what it consists of, for all but modules."""
    found = {path.stem: "" for path in (ROOT / "plugins" / "modules").glob("*.py")}
    for folder in (ROOT / "roles").iterdir():
        found[folder.name] = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*/*.yml"))
    shared = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "playbooks" / "tasks").glob("*.yml")}
    for path in (ROOT / "playbooks").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        for _round in range(2):  # tasks include tasks
            text += "".join(more for name, more in shared.items() if name in text)
        found[path.stem] = found.get(path.stem, "") + text
    return found


def used(texts: t.Iterable[str], known: t.Mapping[str, str]) -> t.Set[str]:
    """What texts name, and what that names in turn."""
    todo = list(texts)
    found: t.Set[str] = set()
    while todo:
        text = re.sub(r"^\s*#.*$", "", todo.pop(), flags=re.MULTILINE)
        for name in set(NAME.findall(text)) & set(known) - found:
            found.add(name)
            todo.append(known[name])
    return found


def marked() -> t.List[str]:
    """The texts of the files with a test that runs on every ansible-core, and of the page whose tasks one of them runs."""
    files = (ROOT / "tests" / "integration").glob("test_*.py")
    texts = [text for path in files if "@pytest.mark.every_core" in (text := path.read_text(encoding="utf-8"))]
    return [*texts, (ROOT / "docs" / "from-ckpmsg.md").read_text(encoding="utf-8")]


def test_everything_is_used() -> None:
    known = contents()
    assert set(known) - used(marked(), known) == set()


def test_what_is_not_used_is_noticed() -> None:
    known = {"ckpool_a": "", "role": "ckpool.fleet.ckpool_a:\n# ckpool_b", "ckpool_b": ""}
    assert used(["include_role: ckpool.fleet.role"], known) == {"role", "ckpool_a"}
