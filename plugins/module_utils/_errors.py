# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, in terms that an operator can act on."""

from __future__ import annotations

import typing as t

from ._text import printable


class PoolError(Exception):
    """A failure in one phase of the work on an instance.

    :ivar phase: C(options), C(find), C(connect), C(ask), C(read) or C(parse).
    :ivar reason: a short stable code, for programs.
    :ivar path: the socket, file or folder concerned, if there is one.
    :ivar hint: the next thing to look at.
    :ivar facts: what was learned before the failure.
    """

    phase = "ask"
    reason = "failed"

    def __init__(
        self,
        message: str,
        path: t.Optional[str] = None,
        hint: str = "",
        phase: str = "",
        reason: str = "",
        facts: t.Optional[t.Dict[str, t.Any]] = None,
    ) -> None:
        super().__init__(printable(message))
        self.path = path
        self.hint = printable(hint)
        self.phase = phase or self.phase
        self.reason = reason or self.reason
        self.facts: t.Dict[str, t.Any] = facts or {}

    @property
    def with_hint(self) -> str:
        """The message, with the hint in parentheses if there is one."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class NotFound(PoolError):
    """No instance, or more than one, matches the options."""

    phase = "find"
    reason = "no_instance"


class BadInput(PoolError):
    """A value that must not reach a socket or a file name."""

    phase = "options"
    reason = "bad_input"


class Unreadable(PoolError):
    """A file of the daemon cannot be opened or read."""

    phase = "read"
    reason = "unreadable"


class Unparsable(PoolError):
    """A file or a reply is there, but is not what it should be."""

    phase = "parse"
    reason = "unparsable"


class SourceNotAnswered(PoolError):
    """The build does not have the source that was requested."""

    phase = "ask"
    reason = "source_not_answered"
