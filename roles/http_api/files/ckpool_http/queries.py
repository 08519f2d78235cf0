# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a request. One that is unknown, given twice or wrong is an error that names it."""

from __future__ import annotations

import dataclasses
import re
import typing as t
import urllib.parse

from ckpool_fleet._ask.selection import SORT_FIELDS, WORKER_SORT_FIELDS
from ckpool_fleet._names import MAX_USER_BYTES
from ckpool_fleet._pool import ACTIVE_SECONDS

from .errors import ApiError

MOST_LIMIT = 1000  #: rows of one answer
LIMIT = 1000
MOST_OFFSET = 10_000_000
MOST_SECONDS = 31_536_000  #: a year
MOST_WORKER = 510  #: characters; the daemon cuts its lines there
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_MOST_FIELDS = 20


@dataclasses.dataclass(frozen=True)
class Query:
    """Which rows of a list are wanted.

    :ivar active_within: seconds since the last share; None for all, which of workers sets only what counts as idle.
    """

    limit: int = LIMIT
    offset: int = 0
    user: t.Optional[str] = None
    worker: t.Optional[str] = None
    state: str = "any"
    active_within: t.Optional[int] = None
    sort_by: str = ""

    def href(self, path: str, offset: int) -> str:
        """The path of another page of the same list."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        shown = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
        return f"{path}?{urllib.parse.urlencode({**shown, 'offset': offset})}"


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Query)}
_PAGE: t.Dict[str, t.Any] = {"limit": (1, MOST_LIMIT), "offset": (0, MOST_OFFSET)}
#: parameters by path: the least and the most of a number, the choices of a word, or the most characters of a name
PARAMETERS: t.Dict[str, t.Dict[str, t.Any]] = {
    "users": {**_PAGE, "user": MAX_USER_BYTES, "active_within": (1, MOST_SECONDS), "sort_by": SORT_FIELDS},
    "workers": {
        **_PAGE,
        "user": MAX_USER_BYTES,
        "worker": MOST_WORKER,
        "state": ("active", "idle", "any"),
        "active_within": (1, MOST_SECONDS),
        "sort_by": WORKER_SORT_FIELDS,
    },
    "blocks": _PAGE,
}
DEFAULT_WITHIN = int(ACTIVE_SECONDS)  #: of workers


def parsed(query: bytes, question: str) -> Query:
    """The parameters of a request.

    :arg question: the last part of its path.
    :raises ApiError: naming the one that is wrong.
    """
    allowed = PARAMETERS.get(question, {})
    found: t.Dict[str, t.Any] = {}
    for name, value in _pairs(query):
        if name not in allowed:
            known = f"/{question} has the parameters {', '.join(allowed)}" if allowed else f"/{question} has none"
            raise _bad(f"{name[:60]!r} is not a parameter", known)
        if name in found:
            raise _bad(f"{name} is there twice", "send it once")
        found[name] = _checked(name, value, allowed[name])
    return Query(**found)


def _pairs(query: bytes) -> t.List[t.Tuple[str, str]]:
    try:
        return urllib.parse.parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise _bad("the query cannot be understood", "it is name=value&name=value, percent-encoded UTF-8") from None


def _checked(name: str, value: str, rule: t.Any) -> t.Union[int, str]:
    if isinstance(rule, int):  # a name is only compared with those that are known: it may be anything
        if not 1 <= len(value) <= rule:
            raise _bad(f"{name} has to have from 1 to {rule} characters, not {len(value)}", "")
        return value
    if isinstance(rule[0], str):
        if value not in rule:
            raise _bad(f"{name} has to be one of {', '.join(rule)}, not {value[:60]!r}", "")
        return value
    least, most = rule
    if not _NUMBER.fullmatch(value) or not least <= int(value) <= most:
        raise _bad(f"{name} has to be a whole number from {least} to {most}, not {value[:60]!r}", "")
    return int(value)


def _bad(message: str, hint: str) -> ApiError:
    return ApiError(400, "bad_parameter", message, hint)
