# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions of the command to pools: each gives what the module of the same kind returns."""

from __future__ import annotations

import argparse
import typing as t

from ckpool_fleet._ask import checkup, gather, reading
from ckpool_fleet._ask.selection import WORKER_FIELDS
from ckpool_fleet._ask.survey import HealthOptions
from ckpool_fleet._errors import BadInput
from ckpool_fleet._health import fails
from ckpool_fleet._pool import Pool
from ckpool_fleet._results import DOWN_STATES, each_of, together

if t.TYPE_CHECKING:
    from ckpool_fleet._types import Json

ANSWERED, UNHEALTHY, UNDETERMINED = 0, 2, 4  #: exit statuses
INVALID = 2  #: that of a wrong call, as argparse has it
_ALL_SECONDS = 600.0  #: for all pools of a host; each exchange with one has a deadline of its own
_SUMMARY = ("summary", "clients")


def asked(options: argparse.Namespace) -> t.Tuple[Json, int]:
    """The result of one of the commands that read, and the exit status.

    :raises PoolError: no pool could be asked, or the one that is meant has failed.
    """
    ask = _QUESTIONS[options.command]
    if not options.all:
        result = ask(pool_of(options), options)
        rows = [result]
    else:
        rows = each_of(pools_of(options), lambda pool: ask(pool, options), _ALL_SECONDS)
        result = checkup.together(rows) if options.command == "health" else together(rows)
        rows = result["instances"]
    wanted = getattr(options, options.command, None)
    if options.all and wanted is not None:
        result = reading.missing_everywhere(result, wanted)
    result.pop("verdict", None)
    return _without_changed(result), _status(result, rows, options)


def pool_of(options: argparse.Namespace) -> Pool:
    """The one pool that the options select.

    :raises NotFound: none, or several.
    """
    return Pool.find(
        options.socket_dir, options.name, options.log_dir, options.source, options.timeout, pid=options.pid
    )


def pools_of(options: argparse.Namespace) -> t.List[Pool]:
    """Every pool of this host.

    :raises BadInput: the options name one.
    """
    if any(value is not None for value in (options.socket_dir, options.name, options.pid)):
        raise BadInput("--all takes neither --socket-dir nor --name nor --pid, as each of them names one pool")
    return Pool.find_all((), options.log_dir, options.source, options.timeout)


def summary(pool: Pool, **more: t.Any) -> Json:
    """A pool in a few lines.

    :arg more: options of L(gather.Options).
    """
    subsets = (*_SUMMARY, *more.pop("subsets", ()))
    return gather.gathered(pool, gather.Options(subsets, **more))


def _health(pool: Pool, options: argparse.Namespace) -> Json:
    return checkup.judged(pool, HealthOptions(sample_seconds=options.sample_seconds, skip=options.skip))


def _stats(pool: Pool, options: argparse.Namespace) -> Json:
    return reading.stats(pool)


def _users(pool: Pool, options: argparse.Namespace) -> Json:
    return reading.users(
        pool, options.users or None, options.active_within, options.sort_by, options.limit, options.include_stale
    )


def _workers(pool: Pool, options: argparse.Namespace) -> Json:
    return reading.workers(
        pool, WORKER_FIELDS, options.users, options.workers or None, options.state, options.active_within, options.sort_by,
        options.limit, options.include_stale,
    )  # fmt: skip


def _blocks(pool: Pool, options: argparse.Namespace) -> Json:
    return reading.blocks(pool, options.since, options.limit)


def _summary(pool: Pool, options: argparse.Namespace) -> Json:
    return summary(pool)


_QUESTIONS: t.Dict[str, t.Callable[[Pool, argparse.Namespace], Json]] = {
    "health": _health,
    "stats": _stats,
    "users": _users,
    "workers": _workers,
    "blocks": _blocks,
    "summary": _summary,
}


def _without_changed(result: Json) -> Json:
    """A result without what Ansible alone needs."""
    return {
        name: [_without_changed(row) for row in value] if name == "instances" else value
        for name, value in result.items()
        if name != "changed"
    }


def _status(result: Json, rows: t.Sequence[Json], options: argparse.Namespace) -> int:
    """The exit status: that of the worst row. A pool, a user or a worker that is not there is as bad as one that is down."""
    if not rows or result.get("missing"):
        return UNHEALTHY
    found = {_status_of(row, options) for row in rows}
    return next(status for status in (UNHEALTHY, UNDETERMINED, ANSWERED) if status in found)


def _status_of(row: Json, options: argparse.Namespace) -> int:
    health = row.get("health")
    state = (health or row.get("instance") or {}).get("state")
    if health:
        if not fails(health["status"], health["state"], options.fail_on):
            # One that is started again and again never answers.
            return UNDETERMINED if state == "starting" else ANSWERED
        return UNDETERMINED if state == "unknown" else UNHEALTHY
    if state in DOWN_STATES:
        return UNHEALTHY
    if "unlisted" in (row.get("problems") or {}):
        return UNDETERMINED
    is_without = row.get("source") is None and state != "ok"
    return UNDETERMINED if row.get("failed") or state == "unknown" or is_without else ANSWERED
