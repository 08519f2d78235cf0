# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file C(pool/pool.status), which is part of the source C(files): the pool's statistics, rewritten every minute.

Files are rewritten in place, so one may be caught half written: it is read once more, and what is whole of it is used.
"""

from __future__ import annotations

import time
import typing as t

from .._errors import Unparsable, Unreadable
from .._fields import Fields, Reader, note
from .._records import PoolStats, UserAgent, mapping
from .._text import JSON

if t.TYPE_CHECKING:
    from .._host.file import Files
    from .._types import Json
    from .source import Statistics

REWRITE_SECONDS = 0.05  #: within which a file that is being rewritten is whole again
_LINES = 3
_MOST_LINES = 10  #: that are looked at
_MOST_BYTES = 1024 * 1024
_MOST_AGENTS = 1000  #: user agents
_AGENTS = "UserAgents"
_READER = Reader({
    "as_of": ("time", "lastupdate"),
    "users": ("integer", "Users"),
    "workers": ("integer", "Workers"),
    "idle": ("integer", "Idle"),
    "disconnected": ("integer", "Disconnected"),
    "accepted": ("number", "accepted"),
    "rejected": ("number", "rejected"),
    "accepted_count": ("integer", "accepted_count"),
    "rejected_count": ("integer", "rejected_count"),
    "effort": ("number", "diff"),
    "best_share": ("number", "bestshare"),
    "sps1m": ("number", "SPS1m"),
    "sps5m": ("number", "SPS5m"),
    "sps15m": ("number", "SPS15m"),
    "sps1h": ("number", "SPS1h"),
    "uptime": ("integer", "runtime"),
    "network_difficulty": ("number", "netdiff"),
    "hashrate1m": ("hashrate", "hashrate1m"),
    "hashrate5m": ("hashrate", "hashrate5m"),
    "hashrate15m": ("hashrate", "hashrate15m"),
    "hashrate1hr": ("hashrate", "hashrate1hr"),
    "hashrate6hr": ("hashrate", "hashrate6hr"),
    "hashrate1d": ("hashrate", "hashrate1d"),
    "hashrate7d": ("hashrate", "hashrate7d"),
})  # fmt: skip
_AGENT_READER = Reader({
    "user_agent": ("text", "ua"),
    "devices": ("integer", "devices"),
    "hashrate5m": ("hashrate", "hashrate5m"),
    "best_share": ("number", "bestshare"),
})  # fmt: skip


def read(path: str, files: Files, problems: t.Dict[str, str]) -> Statistics:
    """The statistics, when they were written (epoch seconds), and the objects as they stand in the file.

    :arg files: opens the file.
    :arg problems: takes what could not be used of it, with the reason.
    :raises Unreadable: there is no such file, or it may not be read.
    :raises Unparsable: nothing in it can be used.
    """
    try:
        rows, problem = _rows(path, files)
    except Unreadable as exc:
        exc.hint = exc.hint or "is this its log directory? the first is written a minute after the start"
        raise
    if problem:
        time.sleep(REWRITE_SECONDS)
        rows, problem = _rows(path, files)
    if not rows:
        raise Unparsable(f"no status in {problem}", path, "does the disk have room?")
    row: Json = {}
    for each in rows:
        row.update(each)
    found = [problem] if problem else []
    values = _READER.read(row, found)
    as_of = values.pop("as_of")
    agents = _user_agents(row, found) if _AGENTS in row else None
    problems.pop("pool.status", None)
    note(problems, "pool.status", found)
    return PoolStats(**values, user_agents=agents), as_of, rows


def parse(data: bytes, path: str) -> Json:
    """A JSON object. Bytes that are not UTF-8 become lone surrogates.

    :raises Unparsable: it is something else, or not whole.
    """
    try:
        return mapping(JSON.decode(data.decode("utf-8", "surrogateescape")), path)
    except (ValueError, RecursionError) as exc:
        raise Unparsable(f"{path} is not whole JSON: {exc}", path, reason="half_written") from None


def _rows(path: str, files: Files) -> t.Tuple[t.List[Json], str]:
    """The lines that are whole, and what is wrong with the others."""
    rows, broken = [], []
    for count, line in enumerate(files.read(path, _MOST_BYTES).splitlines()[:_MOST_LINES], 1):
        try:
            rows.append(parse(line, path))
        except Unparsable as exc:
            broken.append(f"line {count}: {exc}")
    if len(rows) >= _LINES:
        return rows, ""
    if not broken:
        broken.append(f"{len(rows)} lines instead of {_LINES}: caught half written")
    return rows, f"{path}: {'; '.join(broken[:_LINES])}"


def _user_agents(row: Json, problems: t.List[str]) -> t.List[UserAgent]:
    agents: t.List[UserAgent] = []
    for each in Fields(row, problems).objects(_AGENTS, "a user agent"):
        if len(agents) >= _MOST_AGENTS:
            break
        values = _AGENT_READER.read(each, problems)
        agents.append(UserAgent(values.pop("user_agent") or "", **values))
    return agents
