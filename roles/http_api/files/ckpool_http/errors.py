# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as the client sees them: a status, a stable reason, a message and a hint, as JSON."""

from __future__ import annotations

import json
import typing as t

from ckpool_fleet._text import clean, printable

#: of every answer: nobody stores one, guesses its type, or shows it inside a page
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
JSON = "application/json"


class ApiError(Exception):
    """A request that is not answered as it was meant.

    :arg reason: a short stable code, for programs.
    :arg more: more keys of the body, beside C(error).
    :arg health: the verdict on the pool, if that is the reason.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        hint: str = "",
        headers: t.Optional[t.Dict[str, str]] = None,
        health: t.Any = None,
        more: t.Optional[t.Dict[str, t.Any]] = None,
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.hint = status, reason, hint
        self.headers = headers or {}
        self.health, self.more = health, more or {}

    def body(self) -> bytes:
        """The error as JSON."""
        error = {
            "status": self.status,
            "reason": self.reason,
            "message": printable(str(self)),
            "hint": printable(self.hint),
        }
        if self.health is not None:
            error["health"] = self.health
        return encoded({"error": error, **self.more})


def encoded(value: t.Any) -> bytes:
    r"""JSON in ASCII. C(<), C(>) and C(&) are escaped too: names come from miners, and somebody may put them into a page."""
    text = json.dumps(clean(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode("ascii") + b"\n"
