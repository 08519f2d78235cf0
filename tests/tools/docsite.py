# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the sources of the site of `make docs`.

The Markdown files keep their places, so that a link between two of them works here as it does in the repository.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.tools import matrix

BUILD = matrix.ROOT / "docs" / "build"
SOURCE = BUILD / "source"
SITE = BUILD / "html"
PAGES = (
    "*.md",
    "MAINTAINERS",
    "docs/*.md",
    "docs/awx/*",
    "docs/ci/*",
    "docs/monitoring/*",
    "docs/pictures/*",
    "roles/*/README.md",
    "LICENSES/*",
)
_VARIABLES = re.compile(r"(\w+(?:, \w+)*)(?:\s{2,}|$)(.*)")


def assemble() -> Path:
    """Create the folder of sources; the pages about modules, filters, tests and roles are not in it yet."""
    shutil.rmtree(BUILD, ignore_errors=True)
    for page in (path for pattern in PAGES for path in sorted(matrix.ROOT.glob(pattern))):
        target = SOURCE / page.relative_to(matrix.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(page, target)
    shutil.copy2(matrix.ROOT / "docs" / "index.rst", SOURCE)
    (SOURCE / "playbooks.rst").write_text(playbooks(), encoding="utf-8")
    (SOURCE / "reference").mkdir()
    return SOURCE


def playbooks() -> str:
    """A page about all playbooks, from the comments at their beginning."""
    parts = [title("Playbooks", "=")]
    for path in sorted((matrix.ROOT / "playbooks").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        words, variables = comment_of(text)
        if not words:
            raise SystemExit(f"{path} does not begin with a comment about its purpose")
        label = "playbook-" + path.stem.replace("_", "-")  # as docutils writes it
        parts += [f".. _{label}:\n", title(f"ckpool.fleet.{path.stem}", "-"), words + "\n"]
        if variables:
            rows = "".join(f"   * - {name}\n     - {meaning}\n" for name, meaning in variables)
            parts.append(f".. list-table::\n   :widths: 30 70\n\n{rows}")
        code = re.sub(r"\A(?:#.*\n)+", "", text.partition("---\n")[2])
        body = "".join(f"   {line}\n" if line else "\n" for line in code.splitlines())
        parts.append(f".. code-block:: yaml+jinja\n\n{body}")
    return "\n".join(parts)


def title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def comment_of(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The prose of a playbook's first comment, and the variables that it lists, each with its meaning."""
    words: list[str] = []
    variables: list[tuple[str, str]] = []
    for line in text.partition("---\n")[2].splitlines():
        if not line.startswith("#"):
            break
        said = line[1:].rstrip()
        indent = len(said) - len(said.lstrip())
        found = _VARIABLES.match(said.strip())
        if indent > 1 and found and "_" in found[1]:
            names = ", ".join(f"``{name}``" for name in found[1].split(", "))
            variables.append((names, literal(found[2])))
        elif indent > 1 and variables:
            variables[-1] = (variables[-1][0], f"{variables[-1][1]} {literal(said.strip())}".strip())
        else:
            words.append(literal(said.strip()))
    return " ".join(words).strip(), variables


def literal(text: str) -> str:
    """Prose with its markup characters escaped."""
    return re.sub(r"([\\`*|_])", r"\\\1", text)
