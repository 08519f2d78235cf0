# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person who watches pools sees: blocks of lines from the results of C(ckpool_info). Pure functions."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ._text import printable
from ._units import human_hashrate
from ._wording import ago, columns, counted, one_line, or_dash, span

if t.TYPE_CHECKING:
    from ._types import Json

_Cells = t.List[t.Tuple[str, ...]]

_WINDOWS = ("1m", "5m", "1hr", "1d")
_FATES: t.Dict[t.Any, str] = {True: "accepted", False: "refused"}
_WITHOUT_STATISTICS = ("passthrough", "redirector")  #: modes that write none, as they only pass on what miners send
_OF_STATISTICS = ("stats", "as_of")  #: problems that only say so


def lines_of(head: str, pools: t.Sequence[Json], now: float) -> t.List[str]:
    """What is shown of one host in one round.

    :arg head: the first line.
    :arg pools: the result of C(ckpool_info) of each pool, or the failure of its call.
    :arg now: epoch seconds.
    """
    lines = [head]
    for pool in pools:
        lines += ["", *pool_lines(pool, now)]
    return [printable(line) for line in lines]


def pool_lines(pool: Json, now: float) -> t.List[str]:
    """What is shown of one pool, with its name and state in the first line."""
    return [printable(line) for line in _pool_lines(pool, now)]


def state_of(pool: Json) -> str:
    """C(unreachable), C(failed), or the state of the pool."""
    for state in ("unreachable", "failed"):
        if pool.get(state):
            return state
    return str(_identity(pool).get("state") or "unknown")


def name_of(pool: Json) -> str:
    """C(ckpool (/tmp/ckpool))."""
    instance = _identity(pool)
    place = f" ({instance['socket_dir']})" if instance.get("socket_dir") else ""
    return f"{instance.get('name') or 'pool'}{place}"


def _identity(pool: Json) -> t.Mapping[str, t.Any]:
    instance = pool.get("instance")
    return instance if isinstance(instance, Mapping) else {}


def _pool_lines(pool: Json, now: float) -> t.List[str]:
    state, summary = state_of(pool), pool.get("summary")
    if not isinstance(summary, dict):
        return [f"{name_of(pool)} is {state}: {one_line(pool.get('msg') or 'it did not say why')}"]
    problems = dict(pool.get("problems") or {})
    if summary.get("mode") in _WITHOUT_STATISTICS and pool.get("source") is None:
        connected = (pool.get("clients") or {}).get("connected")
        lines = [f"{name_of(pool)} is {state}: a {summary['mode']}, {counted(connected, 'client')}"]
        problems = {area: why for area, why in problems.items() if area not in _OF_STATISTICS}
    else:
        lines = [f"{name_of(pool)} is {state}: {_rates(summary)}, {_counts(summary)}", f"  {_shares(summary)}"]
        lines.append(f"  {_ages(summary, pool, now)}")
    lines += [f"  {area}: {one_line(why)}" for area, why in problems.items()]
    if "users" in pool:
        lines += _indented(_users(pool["users"], now), "no user has sent a share in the last hour")
    if "blocks" in pool:
        lines += _indented(_blocks(pool["blocks"], now), "no block in the part of the log that was read")
    return lines


def _rates(summary: Json) -> str:
    return ", ".join(f"{human_hashrate(summary.get(f'hashrate{window}'))} ({window})" for window in _WINDOWS)


def _counts(summary: Json) -> str:
    idle = "" if summary.get("idle") is None else f" ({summary['idle']} idle)"
    return f"users {_number(summary.get('users'))}, workers {_number(summary.get('workers'))}{idle}"


def _shares(summary: Json) -> str:
    accepted, rejected = summary.get("accepted"), summary.get("rejected")
    part = ""
    if accepted is not None and rejected is not None and accepted + rejected > 0:
        part = f" ({100 * rejected / (accepted + rejected):.2f} %)"
    best = _number(summary.get("best_share"))
    return f"shares accepted {_number(accepted)}, rejected {_number(rejected)}{part}, best {best}"


def _ages(summary: Json, pool: Json, now: float) -> str:
    source = pool.get("source")
    statistics = "no statistics" if source is None else f"statistics by {source}"
    if source is not None and pool.get("as_of") is not None:
        statistics += f", {span(now - pool['as_of'])} old"
    return f"work {span(summary.get('work_age'))} old, up {span(summary.get('uptime'))}, {statistics}"


def _users(users: t.Optional[t.Sequence[Json]], now: float) -> t.Optional[_Cells]:
    if users is None:
        return None
    heads = ("TOP USERS", *(window.upper() for window in _WINDOWS), "LAST SHARE")
    cells: _Cells = [heads]
    for user in users:
        rates = (human_hashrate(user.get(f"hashrate{window}")) for window in _WINDOWS)
        cells.append((str(user.get("user")), *rates, ago(user.get("last_share"), now)))
    return cells


def _blocks(blocks: t.Optional[t.Sequence[Json]], now: float) -> t.Optional[_Cells]:
    if blocks is None:
        return None
    heads = ("BLOCKS", "HEIGHT", "FATE", "FOUND BY")
    cells: _Cells = [heads]
    for block in blocks:
        fate = fate_of(block)
        height, worker = str(block.get("height") or "-"), str(block.get("worker") or "-")
        cells.append((ago(block.get("time"), now), height, fate, worker))
    return cells


def fate_of(block: Json) -> str:
    """What the network did with a block."""
    return _FATES.get(block.get("accepted"), "not known")


def _indented(cells: t.Optional[_Cells], nothing: str) -> t.List[str]:
    """A table below a line of a pool.

    :arg cells: its rows after a heading; None if they could not be read, which the problems explain.
    :arg nothing: the sentence that replaces a table without rows.
    """
    if cells is None:
        return []
    if len(cells) == 1:
        return ["", f"  {nothing}"]
    return ["", *(f"  {line}" for line in columns([tuple(map(printable, row)) for row in cells]))]


def _number(value: t.Any) -> str:
    return or_dash(value, ".0f")
