# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report reads on the controller: kept snapshots, and records of maintenance windows."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

from ansible.errors import AnsibleActionFail

from .._files import read_own_file
from .._snapshot_files import parts_of, safe_name
from .._types import Json
from . import history
from .windows import Window, recent, window_of

_LONGEST_SNAPSHOT, _LONGEST_RECORD = 16 << 20, 4 << 20  #: bytes of a file
_MOST_RECORDS = 500  #: files of windows that are read, the newest
_DAY = 86400.0


@dataclasses.dataclass
class Past:
    """What is known of earlier times.

    :ivar grid: None without snapshots.
    :ivar snapshots: pool to its figures.
    :ivar instances: pool to its name.
    :ivar unreadable: files that could not be read, and why.
    """

    grid: t.Optional[history.Grid] = None
    snapshots: t.Dict[history.PoolKey, t.List[history.Sample]] = dataclasses.field(default_factory=dict)
    instances: t.Dict[history.PoolKey, str] = dataclasses.field(default_factory=dict)
    unreadable: t.List[str] = dataclasses.field(default_factory=list)


def past_of(folder: str, hosts: t.Sequence[str], now: float, days: float) -> Past:
    """The snapshots of some hosts.

    :arg folder: as the playbook C(snapshot) fills it.
    :arg now: epoch seconds.
    :arg days: how far to look back.
    :raises AnsibleActionFail: the folder cannot be read. One that does not exist has no snapshots.
    """
    moments = _moments(folder, hosts, now - days * _DAY, now)
    oldest = min((moment for files in moments.values() for moment in files.values()), default=None)
    if oldest is None:
        return Past()
    interval = history.usual_interval(files.values() for files in moments.values())
    past = Past(history.grid_of(oldest, now, interval))
    for host, files in moments.items():
        for name in history.chosen(files, t.cast(history.Grid, past.grid)):
            _take(past, host, os.path.join(folder, name), files[name])
    return past


def _moments(folder: str, hosts: t.Sequence[str], first: float, last: float) -> t.Dict[str, t.Dict[str, float]]:
    """Host to its files, and the time of each."""
    by_name = {safe_name(host): host for host in hosts}
    found: t.Dict[str, t.Dict[str, float]] = {}
    for name in _listed(folder):
        parts = parts_of(name)
        if parts and parts[0] in by_name and first <= parts[1] <= last:
            found.setdefault(by_name[parts[0]], {})[name] = parts[1]
    return found


def _listed(folder: str) -> t.List[str]:
    """The regular files of a folder; none if it does not exist."""
    try:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError as exc:
        raise AnsibleActionFail(f"cannot read {folder}: {exc.strerror}") from None
    return []


def _take(past: Past, host: str, path: str, moment: float) -> None:
    try:
        content = _json(path, _LONGEST_SNAPSHOT)
    except AnsibleActionFail as exc:
        past.unreadable.append(f"{path}: {exc}")
        return
    for instance, sample in history.samples_of(content, moment):
        key = history.key_of(host, instance)
        past.snapshots.setdefault(key, []).append(sample)
        past.instances[key] = str(instance.get("name") or "pool")


def _json(path: str, most: int) -> t.Any:
    """The content of a file of ours.

    :raises AnsibleActionFail: it is not JSON, or cannot be read. One that was removed meanwhile is None.
    """
    text = read_own_file(path, most)
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise AnsibleActionFail(f"it is not JSON: {exc}") from None


def windows_of(folder: str, hosts: t.Container[str]) -> t.Tuple[t.List[Window], t.List[str]]:
    """The last maintenance windows of some hosts, and the files that could not be read.

    :arg folder: as the playbook C(upgrade) fills it.
    :raises AnsibleActionFail: the folder cannot be read. One that does not exist has no windows.
    """
    names = [name for name in _listed(folder) if name.endswith(".json")]
    paths = sorted((os.path.join(folder, name) for name in names), key=_changed, reverse=True)
    found: t.List[Window] = []
    unreadable: t.List[str] = []
    for path in paths[:_MOST_RECORDS]:
        try:
            record: Json = _json(path, _LONGEST_RECORD)
        except AnsibleActionFail as exc:
            unreadable.append(f"{path}: {exc}")
            continue
        window = window_of(record)
        if window is not None and (window.host in hosts or window.host == "-"):
            found.append(window)
    return recent(found), unreadable


def _changed(path: str) -> float:
    with contextlib.suppress(OSError):
        return os.stat(path, follow_symlinks=False).st_mtime
    return 0.0
