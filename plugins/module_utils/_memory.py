# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was last set on a running daemon, as the daemon itself cannot be asked.

It is remembered beside the pid and the start of the process, and the boot of the host, so it is void for any other
process. Every user has a memory of his own: root in C(/run/ckpool.fleet), others in C(/tmp/ckpool.fleet-UID).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import typing as t

from ._errors import PoolError, Unreadable
from ._instance import MAX_FILE, Instance, read_file

_MOST = 200  #: processes that are remembered; the oldest is forgotten first
_FILE = "memory.json"
Facts = t.Dict[str, t.Any]


def recall(instance: Instance) -> Facts:
    """What is remembered of the instance's process; empty where there is nothing, or no process."""
    name = key(instance)
    if name is None:
        return {}
    try:
        facts = _load(folder()).get(name)
    except PoolError:
        return {}
    return facts if isinstance(facts, dict) else {}


def remember(instance: Instance, **facts: t.Any) -> None:
    """Add to what is remembered of the instance's process.

    :raises Unreadable: it cannot be written down.
    """
    name = key(instance)
    if name is None:
        return
    place = folder()
    try:
        make(place)
        with _locked(place):
            known = _load(place)
            old = known.pop(name, None)
            known[name] = {**(old if isinstance(old, dict) else {}), **facts}  # at the end, as the newest
            store(f"{place}/{_FILE}", dict(list(known.items())[-_MOST:]))
    except OSError as exc:
        raise Unreadable(
            f"cannot write to {place}: {exc.strerror}", place, "the next task will not know of it"
        ) from None


def key(instance: Instance) -> t.Optional[str]:
    """Names the process for good: on one boot no other has had its pid at that time."""
    if instance.pid_state != "alive" or instance.start_ticks is None:
        return None
    return f"{_boot()}:{instance.pid}:{instance.start_ticks}"


def _boot() -> str:
    try:
        return read_file("/proc/sys/kernel/random/boot_id", 4096).decode("ascii", "replace").strip()
    except PoolError:
        return ""


def folder() -> str:
    """Where this user's memory is."""
    return "/run/ckpool.fleet" if os.geteuid() == 0 else f"/tmp/ckpool.fleet-{os.geteuid()}"


def make(place: str) -> None:
    """Have a folder that is ours alone.

    :raises Unreadable: somebody else has put one there.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(place, 0o700)
    if not _is_ours_alone(place):
        raise Unreadable(f"{place} is not ours alone", place, "remove it: what it holds is not trusted")


def _is_ours_alone(place: str) -> bool:
    """Whether it is a folder, no link to one, and only we may write to it."""
    info = os.lstat(place)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o022


@contextlib.contextmanager
def _locked(place: str) -> t.Iterator[None]:
    """One writer at a time; each holds it for less than a millisecond."""
    handle = os.open(f"{place}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _load(place: str) -> t.Dict[str, Facts]:
    """All that is remembered; what is broken is as good as forgotten."""
    try:
        return load(f"{place}/{_FILE}") if _is_ours_alone(place) else {}
    except OSError:
        return {}


def load(path: str, limit: int = MAX_FILE) -> Facts:
    """A dictionary that was stored; empty where there is none, or none that can be read.

    :arg limit: bytes that it may have.
    """
    try:
        known = json.loads(read_file(path, limit))
    except (PoolError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def store(path: str, known: Facts) -> None:
    """Store a dictionary whole at once, so that a reader sees the old or the new. The folder must be ours alone.

    :raises OSError: it cannot be written.
    """
    handle = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(known, stream)
    os.replace(f"{path}.new", path)
