# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the guides as docs.ansible.com takes them: docs/NAME.md, their only source, as docs/docsite/rst/NAME.rst.

That site reads reStructuredText alone, from the collection's archive. With `--check`, say what is not as the source has it.
"""

from __future__ import annotations

import re
import sys
from pathlib import PurePosixPath

import yaml
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from tests.tools import matrix

GUIDES = matrix.ROOT / "docs"
PAGES = GUIDES / "docsite" / "rst"
_LABELS = "ansible_collections.ckpool.fleet."
_HEAD = """\
..
  Copyright (c) 2026, The ckpool.fleet contributors
  GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later

..
  Made of docs/{name}.md by the session guides of noxfile.py. Change the guide, and run that.

"""
_LINES = "=-~^"
"""What underlines a heading of each level."""


class Writer:
    """One guide as reStructuredText.

    :arg name: the name of the guide, without a suffix.
    :arg repository: the address below which the files of the checkout are.
    """

    def __init__(self, name: str, repository: str) -> None:
        self._name = name
        self._repository = repository

    def write(self, text: str) -> str:
        """The guide's text, converted.

        :raises ValueError: it has something that this does not know.
        """
        tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text))
        return _HEAD.format(name=self._name) + f".. _{self._label()}:\n\n" + self._blocks(tree.children)

    def _label(self, anchor: str = "", name: str = "") -> str:
        return f"{_LABELS}docsite.{name or self._name}{'.' if anchor else ''}{anchor}"

    def _blocks(self, nodes: list[SyntaxTreeNode]) -> str:
        return "\n".join(text for text in map(self._block, nodes) if text)

    def _block(self, node: SyntaxTreeNode) -> str:
        if node.type == "heading":
            return self._heading(node)
        if node.type == "paragraph":
            return self._inline(node.children[0]) + "\n"
        if node.type == "fence":
            language = node.info or "text"
            return f".. code-block:: {language}\n\n{_indented(node.content, 3)}"
        if node.type in ("bullet_list", "ordered_list"):
            mark = "- " if node.type == "bullet_list" else "#. "
            items = [_indented(self._blocks(item.children), len(mark)) for item in node.children]
            return "\n".join(mark + item[len(mark) :] for item in items)
        if node.type == "table":
            return self._table(node)
        if node.type == "html_block" and node.content.startswith("<!--"):
            return ""
        raise ValueError(f"docs/{self._name}.md, line {(node.map or (0, 0))[0] + 1}: no words for {node.type}")

    def _heading(self, node: SyntaxTreeNode) -> str:
        level = int(node.tag[1:])
        title = self._inline(node.children[0])
        label = f".. _{self._label(slug(node.children[0].content))}:\n\n" if level > 1 else ""
        return f"{label}{title}\n{_LINES[level - 1] * len(title)}\n"

    def _table(self, node: SyntaxTreeNode) -> str:
        rows = [row for part in node.children for row in part.children]
        text = ".. list-table::\n   :header-rows: 1\n\n"
        for row in rows:
            for mark, cell in zip(["* - ", *["  - "] * len(row.children)], row.children):
                text += f"   {mark}{self._inline(cell.children[0]) if cell.children else ''}".rstrip() + "\n"
        return text

    def _inline(self, node: SyntaxTreeNode) -> str:
        parts = [self._part(child) for child in node.children]
        text = ""
        for (markup, part), before in zip(parts, [(False, ""), *parts]):
            # Markup is only seen between blanks and some punctuation: an escaped blank does, which is not shown.
            needs = (markup and re.search(r"[^\s(\[{<\"'/-]\Z", text)) or (
                before[0] and re.match(r"[^\s)\]}>.,:;!?\"'/-]", part)
            )
            text += ("\\ " if needs else "") + part
        return text

    def _part(self, node: SyntaxTreeNode) -> tuple[bool, str]:
        """A part of a sentence, and whether it is markup."""
        if node.type == "text":
            return False, escaped(node.content)
        if node.type == "softbreak":
            return False, "\n"
        if node.type == "code_inline":
            return True, f"``{node.content}``"
        words = escaped(_plain(node))
        if node.type in ("strong", "em"):
            mark = "**" if node.type == "strong" else "*"
            return True, f"{mark}{words}{mark}"
        if node.type == "link":
            return True, self._link(words, str(node.attrs["href"]))
        raise ValueError(f"docs/{self._name}.md: no words for {node.type}")

    def _link(self, words: str, target: str) -> str:
        if "://" in target:
            return f"`{words} <{target}>`__"
        path, _hash, anchor = target.partition("#")
        file = _resolved(f"docs/{path}") if path else f"docs/{self._name}.md"
        if not (matrix.ROOT / file).exists():
            raise ValueError(f"docs/{self._name}.md: there is no {target}")
        if PurePosixPath(file).match("docs/*.md"):
            return f":ref:`{words} <{self._label(anchor, PurePosixPath(file).stem)}>`"
        if PurePosixPath(file).match("roles/*/README.md"):
            return f":ref:`{words} <{_LABELS}{PurePosixPath(file).parent.name}_role>`"
        return f"`{words} <{self._repository}/{file}>`__"


def slug(title: str) -> str:
    """The anchor of a heading, as links between the guides have it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def escaped(text: str) -> str:
    """Text without markup of reStructuredText."""
    return re.sub(r"([\\`*_|])", r"\\\1", text)


def _plain(node: SyntaxTreeNode) -> str:
    """The text of a node and those in it. Markup cannot be nested."""
    return "".join(_plain(child) for child in node.children) if node.children else str(node.content) or " "


def _indented(text: str, blanks: int) -> str:
    return "".join(" " * blanks + line if line.strip() else line for line in text.splitlines(keepends=True))


def _resolved(path: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def pages() -> dict[str, str]:
    """Each page of docs/docsite/rst as it should be."""
    repository = yaml.safe_load((matrix.ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    guides = sorted(GUIDES.glob("*.md"))
    made = {
        f"{path.stem}.rst": Writer(path.stem, repository).write(path.read_text(encoding="utf-8")) for path in guides
    }
    text = "".join(made.values())
    missing = sorted(
        set(re.findall(rf"<({re.escape(_LABELS)}docsite\.[^>]+)>", text)) - set(re.findall(r"\.\. _(\S+):\n", text))
    )
    if missing:
        raise ValueError(f"the guides link to headings that are not there: {', '.join(missing)}")
    return made


def stale(made: dict[str, str]) -> list[str]:
    """The pages that are not as they should be, or should not be."""
    kept = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.rst")}
    return sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))


def main() -> int:
    made = pages()
    if "--check" in sys.argv[1:]:
        wrong = stale(made)
        if wrong:
            print(
                f"docs/docsite/rst is not as the guides are: {', '.join(wrong)}. Run the session guides",
                file=sys.stderr,
            )
        return int(bool(wrong))
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.glob("*.rst"):
        path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
