# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records from the replies of a source over a socket: its statistics and listings, read by its spellings.

A user's own record is taken from the listing: asking for one user by name would create it on the public builds.
"""

from __future__ import annotations

import typing as t

from .._errors import SourceNotAnswered, Unparsable
from .._fields import Reader, note
from .._records import WINDOWS, PoolStats, UserStats, WorkerStats
from .._text import utf8
from .._units import shown

if t.TYPE_CHECKING:
    from .._types import Json, Spellings

_NAMED = 10  #: rows of a listing whose fault is named


def stats(
    row: Json, spellings: Spellings, hashrate_unit: float, path: str, problems: t.Dict[str, str]
) -> t.Tuple[PoolStats, t.Optional[int]]:
    """The pool's statistics from a reply, and when they were made, epoch seconds, if it says so.

    :arg spellings: what the source calls the fields.
    :arg hashrate_unit: H/s that a number without a suffix stands for.
    :arg path: the socket that replied.
    :arg problems: takes what made no sense.
    :raises Unparsable: it holds no hashrate that makes sense.
    """
    found: t.List[str] = []
    values = Reader(spellings, hashrate_unit).read(row, found)
    as_of = values.pop("as_of", None)
    made = PoolStats(**values)
    if found and not any(getattr(made, f"hashrate{window}") is not None for window in WINDOWS):
        raise Unparsable(f"the reply holds no hashrate: {'; '.join(found[:_NAMED])}", path)
    note(problems, "stats", found)
    return made, as_of


def users(
    listing: Json,
    spellings: Spellings,
    hashrate_unit: float,
    source: str,
    names: t.Optional[t.Sequence[str]],
    problems: t.Dict[str, str],
) -> t.Iterator[UserStats]:
    """Every user, or those with these names, without workers, in the order of the listing.

    The listing is taken apart as it is walked, so that only the records that are kept cost memory.

    :arg source: the name of the source.
    """
    reader = Reader(spellings, hashrate_unit)
    wanted = None if names is None else set(names)
    for row in _rows(listing, "users", problems):
        found: t.List[str] = []
        user = UserStats(utf8(row["user"]), source=source, **reader.read(row, found))
        note(problems, user.user, found)
        if wanted is None or user.user in wanted:
            yield user


def workers(
    listing: Json,
    spellings: Spellings,
    hashrate_unit: float,
    owners: t.Optional[t.Container[str]],
    problems: t.Dict[str, str],
) -> t.Iterator[WorkerStats]:
    """Every worker, or those of these users, in the order of the listing, which is taken apart as it is walked."""
    reader = Reader(spellings, hashrate_unit)
    for row in _rows(listing, "workers", problems):
        if owners is not None and utf8(row["user"]) not in owners:
            continue
        found: t.List[str] = []
        values = reader.read(row, found)
        worker = WorkerStats(values.pop("worker") or "", utf8(row["user"]), **values)
        note(problems, worker.user, [f"{worker.worker}: {problem}" for problem in found])
        yield worker


def _rows(listing: Json, key: str, problems: t.Dict[str, str]) -> t.Iterator[Json]:
    """Take the rows out of a listing from the front, giving each one's memory back as the next is taken.

    A row that is no object, or names no user, is left out and named in the problems.
    """
    rows = listing.get(key)
    if not isinstance(rows, list):
        raise SourceNotAnswered(f"the reply holds no list of {key}", reason="unparsable", phase="parse")
    rows.reverse()
    odd: t.List[str] = []
    number = count = 0
    while rows:
        row, number = rows.pop(), number + 1
        if isinstance(row, dict) and isinstance(row.get("user"), str) and row["user"]:
            yield row
            continue
        count += 1
        if len(odd) < _NAMED:
            is_object = isinstance(row, dict)
            odd.append(
                f"row {number} "
                + (f"names no user: {shown(row.get('user'))}" if is_object else f"is not an object: {shown(row)}")
            )
    note(problems, f"list of {key}", odd + [f"and {count - len(odd)} more"] * (count > len(odd)))
