# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of users and workers, before they are sent, looked for, or become part of a path."""

from __future__ import annotations

import typing as t

from ._errors import BadInput

MAX_USER_BYTES = 127  #: the daemon refuses longer names
_MAX_WORKER_BYTES = 510  #: the daemon cuts its lines there
_NO_LINE = (("\0", "a NUL"), ("\n", "a newline"), ("\r", "a carriage return"))
_NO_PATH = (("/", "'/'"), ("..", "'..'"), *_NO_LINE)


def check_user_name(name: str) -> None:
    """Refuse what no user of the daemon can be called, before it is sent or becomes part of a path.

    :raises BadInput: the name, and what is wrong with it.
    """
    _check("user", name, _NO_PATH, MAX_USER_BYTES, "a user is a payout address or name")


def check_worker_name(name: str) -> None:
    """Refuse what no worker of the daemon can be called.

    :raises BadInput: the name, and what is wrong with it.
    """
    _check("worker", name, _NO_LINE, _MAX_WORKER_BYTES, "a worker is a user's name, or that with a dot and more")


def user_of(worker: str) -> str:
    """The user that a worker's name belongs to, as the daemon has it: all before the first dot or underscore."""
    return worker.replace("_", ".").partition(".")[0]


def _check(kind: str, name: str, bad_parts: t.Sequence[t.Tuple[str, str]], most: int, hint: str) -> None:
    wrong = next((f"holds {text}" for part, text in bad_parts if part in name), "")
    try:
        if not name:
            wrong = "is empty"
        elif len(name.encode("utf-8", "surrogateescape")) > most:
            wrong = f"has more than {most} bytes"
    except UnicodeEncodeError:
        wrong = "is not text"
    if wrong:
        raise BadInput(f"{kind} name {name!r} {wrong}", reason=f"bad_{kind}_name", hint=hint)
