# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as Markdown. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ...module_utils._text import printable
from .._types import Json
from . import units
from .sections import CHART, Table, tables_of, totals_of

#: what has a meaning anywhere in Markdown: marks, the start of a link that is made without marks, and at the start of a line
_SPECIAL = re.compile(r"([\\`*_\[\]|~$@]|:(?=//)|(?<=www)\.|\A[#+=-])", re.IGNORECASE)
_ITEM = re.compile(r"\A([0-9]+)([.)])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown(model: Json) -> str:
    """The report as Markdown, with tables as GitHub and GitLab show them."""
    lines = [f"# {escaped(model['title'])}", "", f"At {units.utc(model['generated'])}. {escaped(model['summary'])}", ""]
    lines += [f"- {escaped(problem)}" for problem in model["problems"]]
    if model["not_asked"]:
        lines.append(f"- not asked: {escaped(', '.join(model['not_asked']))}")
    lines += ["", "## Verdicts", "", *_verdicts(model["pools"]), "", "## Totals", ""]
    lines += ["| what | value | note |", "| --- | ---: | --- |"]
    lines += [
        f"| {escaped(total.title)} | {escaped(total.text)} | {escaped(total.note)} |" for total in totals_of(model)
    ]
    for table in tables_of(model):
        lines += ["", *_table(table)]
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def escaped(value: t.Any) -> str:
    """Text that means nothing but itself."""
    text = _ITEM.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", printable(str(value))))
    return "".join(_HTML.get(character, character) for character in text)


def _verdicts(pools: t.Sequence[Json]) -> t.List[str]:
    bad = [pool for pool in pools if pool["state"] != "ok"]
    if not bad:
        return ["Every pool is healthy." if pools else "No host was asked."]
    lines: t.List[str] = []
    for pool in bad:
        lines.append(f"- **{escaped(pool['pool'])}** on {escaped(pool['host'])} is **{escaped(pool['state'])}**")
        for cause in pool["causes"]:
            lines.append(f"  - {escaped(cause['summary'])}")
            lines += [f"    - cure: {escaped(cause['cure'])}"] if cause["cure"] else []
        lines += [f"  - its log ends: {escaped(pool['log_line'])}"] if pool["log_line"] else []
    return lines


def _table(table: Table) -> t.List[str]:
    lines = [f"## {escaped(table.title)}", "", escaped(table.caption), ""]
    if not table.rows:
        return [*lines[:2], escaped(table.empty)]
    columns = table.columns
    lines.append(_row([column.title for column in columns]))
    lines.append("| " + " | ".join("---" if column.kind in ("text", CHART) else "---:" for column in columns) + " |")
    lines += [_row([cell.text for cell in row]) for row in table.rows]
    return [*lines, *(["", escaped(table.note)] if table.note else [])]


def _row(texts: t.Iterable[str]) -> str:
    return "| " + " | ".join(map(escaped, texts)) + " |"
