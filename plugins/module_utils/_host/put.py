# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a file in its place as a whole: written beside it, on the disk, tried, and renamed over it.

Sources: rename(2), path_resolution(7).
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
import tempfile
import typing as t

from .._errors import PoolError
from . import program
from .access import group_name, user_name
from .process import Owner

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class WriteFailed(PoolError):
    """Something could not be written; what was there before is as it was."""

    phase = "write"
    reason = "write"


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Owner, group and mode of a file; None for an owner or a group that stays as it is."""

    user: t.Optional[int]
    group: t.Optional[int]
    mode: int

    @classmethod
    def of(cls, info: os.stat_result) -> Attributes:
        """Those of a file."""
        return cls(info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))

    def __str__(self) -> str:
        owner = "" if self.user is None else f"owner {user_name(self.user)}, "
        group = "" if self.group is None else f"group {group_name(self.group)}, "
        return f"{owner}{group}mode {self.mode:04o}"

    def differ(self, info: os.stat_result) -> bool:
        """Whether a file has others."""
        return (
            stat.S_IMODE(info.st_mode) != self.mode
            or self.user not in (None, info.st_uid)
            or self.group not in (None, info.st_gid)
        )

    def apply(self, handle: int) -> None:
        """Give them to an open file; its owner first, as that takes away bits of the mode."""
        if self.user is not None or self.group is not None:
            os.fchown(handle, -1 if self.user is None else self.user, -1 if self.group is None else self.group)
        os.fchmod(handle, self.mode)


def require_safe_folder(folder: str, before: str = "") -> None:
    """Raise unless nobody but root, or us, can put anything into a folder, or another in its place.

    :arg before: what the message begins with.
    :raises PoolError: others can.
    """
    if not program.is_safe(folder, (os.geteuid(),), stat.S_ISDIR):
        raise PoolError(
            f"{before}{folder} is not there, or it or a folder above it can be changed by others than root",
            folder,
            f"see: namei -l {folder}",
            phase="find",
            reason="not_trusted",
        )


def look(path: str) -> t.Optional[os.stat_result]:
    """What is at a path that is ours to write; None where nothing is.

    :raises PoolError: it is no regular file, or others can change it or put another in its place.
    """
    require_safe_folder(os.path.dirname(path))
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise failure(exc, path) from None
    if not stat.S_ISREG(info.st_mode):
        raise PoolError(
            f"{path} is no regular file",
            path,
            "name the file itself, not a link to it",
            phase="find",
            reason="not_a_file",
        )
    return info


@contextlib.contextmanager
def written(path: str, data: bytes, attributes: Attributes) -> t.Iterator[str]:
    """A file beside its place, by its path, to be tried in the block; put in its place when the block ends without error."""
    folder = os.path.dirname(path)
    try:
        handle, fresh = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    except OSError as exc:
        raise failure(exc, path) from None
    try:
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                attributes.apply(stream.fileno())
                os.fsync(stream.fileno())
        except OSError as exc:
            raise failure(exc, path) from None
        yield fresh
        try:
            os.rename(fresh, path)
            sync_folder(folder)
        except OSError as exc:
            raise failure(exc, path) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)


def write_once(path: str, data: bytes, owner: Owner) -> None:
    """Write a file where there is none yet, for its owner alone. No link leads it elsewhere.

    :raises WriteFailed: something is there, or it cannot be written.
    """
    try:
        folder = os.open(os.path.dirname(path), _FOLDER)
        try:
            _write_new(folder, os.path.basename(path), data, owner)
        finally:
            os.close(folder)
        sync_folder(os.path.dirname(path))
    except OSError as exc:
        raise failure(exc, path) from None


def _write_new(folder: int, name: str, data: bytes, owner: Owner) -> None:
    handle = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), owner.user, owner.group)
            os.fsync(stream.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)  # half a file would be taken for a whole one
        raise


def sync_folder(path: str) -> None:
    """Have the names in a folder outlast a crash of the host."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def failure(exc: OSError, path: str) -> WriteFailed:
    """What an operator can act on where the system refuses to write."""
    hints = dict.fromkeys(_NO_SPACE, "make room: df -h; nothing was changed")
    hints.update(dict.fromkeys((errno.EACCES, errno.EPERM), "use become: true"))
    hints[errno.EROFS] = "the file system is read-only"
    return WriteFailed(f"cannot write {path}: {exc.strerror}", path, hints.get(exc.errno or 0, ""))
