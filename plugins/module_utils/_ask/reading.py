# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pool answers, as results with a sentence for a person: those of the reading modules and of the command C(ckpool)."""

from __future__ import annotations

import time
import typing as t

from .._discovery import neighbours
from .._results import DOWN_STATES, describe
from .._units import human_hashrate

if t.TYPE_CHECKING:
    from .._types import Json
    from .answer import Answer
    from .gather import Pool


def answered(pool: Pool, answer: Answer, msg: str, **values: t.Any) -> Json:
    """What all results of reading have in common, with values of their own.

    :arg msg: the answer for a person.
    """
    result: Json = {
        "instance": pool.instance.as_dict(answer.state),
        "source": answer.source,
        "as_of": answer.as_of,
        "problems": answer.problems,
        **values,
    }
    msg = f"{describe(pool.instance)}: {msg}"
    if answer.left_out:
        result["left_out"] = answer.left_out
        msg += f"; {answer.left_out} stale users left out"
    if answer.state in (*DOWN_STATES, "unknown") or (answer.source is None and answer.state != "ok"):
        others = f" ({neighbours()})" if answer.state == "down" else ""
        msg = f"{describe(pool.instance)} is {answer.state}{others}; " + msg
    if answer.state in DOWN_STATES:
        result["log_tail"] = pool.log_tail()
    return dict(result, msg=msg)


def stats(pool: Pool, with_raw: bool = False) -> Json:
    """Its statistics.

    :arg with_raw: also the reply or the file as it came.
    """
    answer = pool.stats()
    result = answered(pool, answer, _statistics(answer), stats=answer.stats.as_dict())
    return dict(result, raw=answer.raw) if with_raw else result


def users(pool: Pool, *options: t.Any) -> Json:
    """Its users. The options are those of C(Pool.users), in their order."""
    answer = pool.users(*options)
    workers = sum(len(user.workers) for user in answer.users)
    found = f"{len(answer.users)} users, {workers} workers ({answer.source or 'no source'})"
    rows = [user.as_dict() for user in answer.users]
    return answered(pool, answer, found + _missing(answer), users=rows, missing=answer.missing)


def workers(pool: Pool, fields: t.Sequence[str], *options: t.Any) -> Json:
    """Its workers. The other options are those of C(Pool.workers), in their order.

    :arg fields: which of L(WORKER_FIELDS) of C(selection.py) each worker has.
    """
    answer = pool.workers(*options)
    owners = len({worker.user for worker in answer.workers})
    idle = sum(bool(worker.idle) for worker in answer.workers)
    found = f"{len(answer.workers)} workers of {owners} users, {idle} of them idle ({answer.source or 'no source'})"
    whole = (worker.as_dict() for worker in answer.workers)
    rows = [{name: row[name] for name in fields} for row in whole]
    return answered(pool, answer, found + _missing(answer), workers=rows, missing=answer.missing)


def blocks(pool: Pool, *options: t.Any) -> Json:
    """Its blocks. The options are those of C(Pool.blocks), in their order."""
    answer = pool.blocks(*options)
    rows = [block.as_dict() for block in answer.blocks]
    return answered(pool, answer, _blocks(answer), blocks=rows, complete=answer.is_complete, reached=answer.reached)


def missing_everywhere(result: Json, names: t.Optional[t.Sequence[str]]) -> Json:
    """The result of all instances, with the names that are missing from every one of them."""
    rows = result["instances"]
    return {**result, "missing": [name for name in names or () if all(name in row.get("missing", ()) for row in rows)]}


def _missing(answer: Answer) -> str:
    return f"; unknown: {', '.join(answer.missing)}" if answer.missing else ""


def _statistics(answer: Answer) -> str:
    if answer.source is None:
        return "no statistics"
    found = answer.stats
    age = f", {max(time.time() - answer.as_of, 0):.0f} s old" if answer.as_of else ""
    counts = f"{_count(found.users)} users, {_count(found.workers)} workers"
    return f"{human_hashrate(found.hashrate1m)}, {counts} ({answer.source}{age})"


def _count(value: t.Optional[int]) -> str:
    return "-" if value is None else str(value)


def _blocks(answer: Answer) -> str:
    from .._wording import span  # few questions need it

    if answer.source is None:
        return "no log to search for blocks"
    found = answer.blocks
    if not found:
        return f"no block found ({answer.source})"
    accepted = sum(block.accepted is True for block in found)
    rejected = sum(block.accepted is False for block in found)
    counts = f"{len(found)} block{'s' * (len(found) != 1)}, {accepted} accepted"
    if rejected:
        counts += f", {rejected} rejected"
    by = f" by {found[0].worker}" if found[0].worker else ""
    return f"{counts}, the last {span(time.time() - found[0].time)} ago{by} ({answer.source})"
