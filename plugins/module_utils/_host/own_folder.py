# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that only our own user can write to, and the files in it.

If others could write to it, nothing in it is trusted. No link in it is followed when a file is written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import stat
import time
import typing as t

from .._errors import PoolError, Unreadable
from .access import user_name
from .file import MAX_FILE, Files

if t.TYPE_CHECKING:
    from .._types import Json

NOT_TRUSTED = "remove it: what it holds is not trusted"
_LOCK = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
LONGEST_HELD = 120.0  #: seconds; who starts the guard of a window holds its lock for longest
_POLL = 0.02  #: seconds between two attempts at a lock
_MOST_SEEN, _MOST_REMOVED = 2000, 100  #: files at a time


def make(folder: str) -> None:
    """Make the folder if it is not there, and close it to others.

    :raises Unreadable: it is not ours alone.
    :raises OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    why = why_not_ours(folder)
    if why:
        raise Unreadable(f"{folder} is not ours alone: {why}", folder, NOT_TRUSTED)
    if os.lstat(folder).st_mode & 0o077:
        os.chmod(folder, 0o700)


def why_not_ours(folder: str) -> str:
    """Why others could write to a folder, or put another one in its place; empty if they cannot.

    :raises OSError: it does not exist.
    """
    info, parent = os.lstat(folder), os.stat(os.path.dirname(folder))
    if stat.S_ISLNK(info.st_mode):
        return "it is a link"
    if not stat.S_ISDIR(info.st_mode):
        return "it is no folder"
    if info.st_uid != os.geteuid():
        return f"it belongs to {user_name(info.st_uid)} ({info.st_uid})"
    if info.st_mode & 0o022:
        return "others may write to it"
    if parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX:
        return f"others may exchange it, as {os.path.dirname(folder)} is open to them and not sticky"
    return ""


@contextlib.contextmanager
def locked(path: str, patience: t.Optional[float] = None) -> t.Iterator[None]:
    """Hold a lock file, so that only one process continues at a time.

    :arg patience: seconds after which this process continues without the lock, as it does where none can be had; None if it
        never does.
    :raises OSError: without a patience: the lock file cannot be opened, or another process does not release the lock.
    """
    with contextlib.ExitStack() as stack:
        try:
            handle = os.open(path, _LOCK, 0o600)
            stack.callback(os.close, handle)
            wait_for_lock(handle, LONGEST_HELD if patience is None else patience)
        except OSError:
            if patience is None:
                raise
        yield


def wait_for_lock(handle: int, patience: float) -> None:
    """Lock an open file.

    :arg patience: seconds that another process may hold its lock.
    :raises TimeoutError: another process does not release it.
    :raises OSError: this file system has no locks.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_POLL)
    raise TimeoutError(errno.ETIMEDOUT, f"another process holds its lock for more than {patience:g} s")


def load(path: str, limit: int = MAX_FILE) -> Json:
    """A dictionary that was stored; empty if it cannot be read.

    :arg limit: bytes that it may have.
    """
    try:
        known = json.loads(Files().read(path, limit))
    except (PoolError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def store(path: str, known: Json, limit: int = MAX_FILE) -> None:
    """Store a dictionary atomically, so that a reader sees the old or the new one.

    :arg limit: bytes that it may have; more would not be read back.
    :raises OSError: it cannot be written.
    """
    text = json.dumps(known).encode("ascii")
    if len(text) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    handle = os.open(f"{path}.new", _WRITE, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text)
    os.replace(f"{path}.new", path)


def names(folder: str) -> t.List[str]:
    """The files of a folder, the one that was written longest ago first; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.name) for entry in entries]
    except OSError:
        return []
    return [name for _time, name in sorted(found)]


def remove(path: str) -> None:
    """Remove a file, if it exists and can be removed."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def tidy(folder: str, is_left: t.Callable[[str, float], bool]) -> None:
    """Remove files that are no longer needed, a bounded number at a time.

    :arg is_left: whether a file is no longer needed, by its name and the time of its last change in epoch seconds.
    """
    removed = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in itertools.islice(entries, _MOST_SEEN):
            with contextlib.suppress(OSError):
                if is_left(entry.name, entry.stat(follow_symlinks=False).st_mtime):
                    os.unlink(entry.path)
                    removed += 1
            if removed >= _MOST_REMOVED:
                return
