# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a pool, the cause before its consequences. Pure functions."""

from __future__ import annotations

import typing as t

from ..module_utils._health import CRITICAL, FAIL_ON, WARNING
from ._rows import Row

#: checks whose failure makes others fail too, the deepest cause first; other checks come after them, and sockets last
_CAUSES = ("threads", "bitcoind", "process", "ready")
_SYMPTOMS = ("generator_silent",)


class Cause(t.NamedTuple):
    """Something that is wrong, and what to do about it."""

    summary: str
    hint: str

    def __str__(self) -> str:
        return f"{self.summary}: {self.hint}" if self.hint else self.summary


def causes(row: Row) -> t.List[Cause]:
    """What is wrong with a pool, the cause first and its consequences last. Checks with the same hint are one cause."""
    bad = [check for check in row["checks"] if check["status"] in FAIL_ON[WARNING]]
    if not bad:
        return [Cause(text, "") for text in row["wrong"]]
    summaries: t.Dict[str, t.List[str]] = {}
    for number, check in sorted(enumerate(bad), key=lambda pair: _depth(*pair)):
        summaries.setdefault(_on_command_line(check["hint"]) or f"\0{number}", []).append(check["summary"])
    return [Cause("; ".join(texts), "" if hint.startswith("\0") else hint) for hint, texts in summaries.items()]


def _depth(number: int, check: t.Mapping[str, t.Any]) -> t.Tuple[int, int, int]:
    """The place of a check in the order. Missing rights come first: without them, the other failures mean nothing."""
    gravity = 1 if check["status"] == CRITICAL else 2
    if "become" in check["hint"]:
        return (0, gravity, number)
    if check["name"].startswith("socket_") or check["reason"] in _SYMPTOMS:
        return (gravity, len(_CAUSES) + 1, number)
    return (gravity, _CAUSES.index(check["name"]) if check["name"] in _CAUSES else len(_CAUSES), number)


def _on_command_line(hint: str) -> str:
    """A hint as it is typed on the command line of a playbook."""
    return hint.replace("use become: true", "use --become")
