# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, seen by code of the tests' own."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

#: In the environment: a file that the test process keeps locked. What waits for the lock ends with the tests.
STARTER_LOCK = "SIMULATED_CKPOOL_STARTER_LOCK"


def is_alive(pid: int) -> bool:
    """Whether any thread of a process runs: its first one can be a zombie while others still write files."""
    try:
        return any(map(_runs, Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return False


def _runs(task: Path) -> bool:
    try:
        return (task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def argv_of(pid: int) -> t.List[str]:
    """The words of a process's command line; none where it is gone or may not be seen."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
    except OSError:
        return []


def processes_with(text: str, session: t.Optional[int] = None) -> t.List[int]:
    """The living processes, except this one, that have a text in their command line; only those of a session, where one is given."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]
    found = [pid for pid in pids if any(text in word for word in argv_of(pid)) and is_alive(pid)]
    return [pid for pid in found if session in (None, _session_of(pid))]


def without_children(pids: t.Iterable[int]) -> t.List[int]:
    """Processes, without those whose parent is one of them: before it runs its program, a child has its parent's command line."""
    known = list(pids)
    return [pid for pid in known if _parent_of(pid) not in known]


def _parent_of(pid: int) -> t.Optional[int]:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return None


def _session_of(pid: int) -> t.Optional[int]:
    try:
        return os.getsid(pid)
    except OSError:
        return None
