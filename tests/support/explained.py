# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which section of docs/window-failures.md explains a message: each is quoted there as it is printed."""

from __future__ import annotations

import re
import typing as t

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "window-failures.md"
#: What differs from case to case besides what the page itself leaves out: times, numbers, the pool, runs, and who they are for.
VARIABLE = re.compile(
    r"…|main \(/run/ckpool/main\)|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\d{8}-\d{6}-\w+-\d+|\w+@\w+|'[^']+'|\bmain\b|/var/lib/ckpool\.fleet"
    r"|\bckpool-main\.service\b|\d+"
)
_LEAST = 12  #: characters of a quote that do not differ
_WIDEST_GAP = 300  #: characters of what differs


def quotes() -> t.Dict[str, str]:
    """The messages that the page quotes, each with the heading of its section."""
    found, heading = {}, ""
    for block in re.split(r"^(#{2,3} .+|```text\n.+\n```)$", PAGE.read_text("utf-8"), flags=re.M):
        if block.startswith("#"):
            heading = block.lstrip("# ")
        elif block.startswith("```text"):
            found[block.splitlines()[1]] = heading
    return found


def explained(text: str) -> t.Set[str]:
    """The headings of the sections that quote something in a text."""
    return {heading for quote, heading in quotes().items() if _is_in(text, quote)}


def _is_in(text: str, quote: str) -> bool:
    """Whether a text has the fixed parts of a quote in their order. No pattern: on a long text, one with gaps takes for ever."""
    first, *others = (part.strip() for part in VARIABLE.split(quote) if part.strip())
    if len("".join((first, *others))) < _LEAST:
        raise ValueError(f"{quote!r} says too little")
    begin = text.find(first)
    while begin >= 0:
        end = begin + len(first)
        for part in others:
            found = text.find(part, end, end + _WIDEST_GAP + len(part))
            if found < 0:
                break
            end = found + len(part)
        else:
            return True
        begin = text.find(first, begin + 1)
    return False
