# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of answers, from what a look found. A pool that is down or hung gives no data, but its verdict."""

from __future__ import annotations

import time
import typing as t

from ckpool_fleet._ask.selection import select, select_workers
from ckpool_fleet._results import DOWN_STATES

from .errors import ApiError, encoded
from .look import MOST_ROWS, Kept, Look
from .queries import DEFAULT_WITHIN, Query

if t.TYPE_CHECKING:
    from ckpool_fleet._ask.answer import Answer
    from ckpool_fleet._types import Json

    from .watch import Watched

_MOST_KEPT = 2_000_000  #: bytes of the answers of one look that are kept as text
_MOST_PAGE = 2_000_000  #: bytes of rows, roughly


async def require_answer(pool: Watched, question: str) -> t.Tuple[Look, Kept]:
    """The answer of a pool to a question, with the look that has it.

    :raises ApiError: there is none; with the verdict on the pool.
    """
    look, kept = await pool.ask(question)
    state = look.pool_state
    if kept.error is not None or state in DOWN_STATES or _is_empty(question, kept, state):
        raise await _refusal(pool, question, kept, state)
    return look, kept


def _is_empty(question: str, kept: Kept, state: str) -> bool:
    """Whether no source had an answer. A template that a mode does not have is an answer."""
    return question in ("stats", "users", "workers") and kept.value.source is None and state != "ok"


async def _refusal(pool: Watched, question: str, kept: Kept, state: str) -> ApiError:
    _look, survey = await pool.survey()
    error, health = kept.error, survey.health["health"]
    if error is not None and state not in DOWN_STATES:
        later = {"Retry-After": "1"} if error.reason == "busy" else None
        return ApiError(503, error.reason, str(error), error.hint, later, health)
    message = f"{survey.health['msg']}; there is no answer for /{question}"
    return ApiError(503, state, message, "see /health, which has the end of the log", health=health)


def rendered(look: Look, question: str, kept: Kept, query: Query, path: str) -> bytes:
    """An answer as JSON. This takes processor time."""
    key = (question, query, path)
    with look.lock:
        if key not in look.bodies:
            if sum(map(len, look.bodies.values())) > _MOST_KEPT:
                look.bodies.clear()
            look.bodies[key] = _BODIES[question](look, kept.value, query, path)
        return look.bodies[key]


def _common(look: Look, answer: Answer) -> Json:
    return {
        "instance": look.instance.as_dict(look.pool_state),
        "source": answer.source,
        "as_of": answer.as_of,
        "problems": answer.problems,
    }


def _stats(look: Look, answer: Answer, _query: Query, _path: str) -> bytes:
    """The figures are also at the top level, where clients of the guide's wrapper look for them."""
    stats = answer.stats.as_dict()
    return encoded({**stats, "stats": stats, **_common(look, answer)})


def _users(look: Look, answer: Answer, query: Query, path: str) -> bytes:
    rows = [user for user in answer.users if query.user in (None, user.user)]
    since = 0.0 if query.active_within is None else time.time() - query.active_within
    fitting = select(rows, since, query.sort_by or "user", None)
    return _list(look, answer, query, path, "users", fitting)


def _workers(look: Look, answer: Answer, query: Query, path: str) -> bytes:
    rows = [
        worker
        for worker in answer.workers
        if query.user in (None, worker.user) and query.worker in (None, worker.worker)
    ]
    since = time.time() - (query.active_within or DEFAULT_WITHIN)
    state = "active" if query.active_within is not None and query.state == "any" else query.state
    try:
        fitting = select_workers(rows, state, since, query.sort_by or "worker", None)
        return _list(look, answer, query, path, "workers", fitting)
    finally:
        for worker in rows:  # which are those of /users too
            worker.idle = None


def _blocks(look: Look, answer: Answer, query: Query, path: str) -> bytes:
    more = {"is_complete": answer.is_complete, "reached": answer.reached}
    return _list(look, answer, query, path, "blocks", answer.blocks, more)


def _workbase(look: Look, answer: Answer, _query: Query, _path: str) -> bytes:
    return encoded({"workbase": answer.workbase.as_dict() if answer.workbase else None, **_common(look, answer)})


def _summary(look: Look, found: Json, _query: Query, _path: str) -> bytes:
    return encoded({"summary": found["summary"], "instance": look.instance.as_dict(look.pool_state), **found})


def _list(
    look: Look,
    answer: Answer,
    query: Query,
    path: str,
    name: str,
    fitting: t.Sequence[t.Any],
    more: t.Optional[Json] = None,
) -> bytes:
    """A page of a list, and where the next one is. It ends early where its rows are long."""
    rows: t.List[bytes] = []
    size = 0
    for record in fitting[query.offset : query.offset + query.limit]:
        rows.append(encoded(record.as_dict())[:-1])
        size += len(rows[-1])
        if size > _MOST_PAGE:
            break
    common = _common(look, answer)
    if len(getattr(answer, name)) > MOST_ROWS:
        common["problems"] = {
            **answer.problems,
            "limit": f"only the first {MOST_ROWS} {name} are known to this service",
        }
    end = query.offset + len(rows)
    page = {"total": len(fitting), "offset": query.offset, "limit": query.limit}
    following = query.href(path, end) if rows and end < len(fitting) else None
    rest = encoded({**page, "next": following, "left_out": answer.left_out, **common, **(more or {})})
    return b'{"%s":[%s],%s' % (name.encode(), b",".join(rows), rest[1:])


_BODIES: t.Dict[str, t.Callable[[Look, t.Any, Query, str], bytes]] = {
    "stats": _stats,
    "users": _users,
    "workers": _workers,
    "blocks": _blocks,
    "workbase": _workbase,
    "summary": _summary,
}
