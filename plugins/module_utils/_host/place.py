# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at a path, and putting a link, a file or nothing there, at once.

It is done with root's rights, so only where nobody but root can put anything.
Sources: rename(2), symlink(2), path_resolution(7).
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import typing as t

from .._errors import PoolError
from . import put
from .file import Files
from .put import Attributes

MOST_BYTES = 4 * 1024 * 1024  #: of a file that is put somewhere


class File(t.NamedTuple):
    """The content and the attributes of a file."""

    content: bytes
    attributes: Attributes


def look(path: str) -> t.Union[str, File, None]:
    """What is at a path: the target of a link, a file, or None for nothing.

    :raises PoolError: it is neither, cannot be read, or others could put something in its place.
    """
    require_safe(path)
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return os.readlink(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise PoolError(f"cannot read {path}: {exc.strerror}", path, "use become: true", "read", "unreadable") from None
    if not stat.S_ISREG(info.st_mode):
        raise PoolError(f"{path} is neither a link nor a file", path, phase="read", reason="not_a_file")
    return File(Files().read(path, MOST_BYTES), Attributes.of(info))


def put_nothing(path: str) -> bool:
    """Remove what is at a path; whether there was anything.

    :raises PoolError: it cannot be removed.
    """
    require_safe(path)
    try:
        os.unlink(path)
        put.sync_folder(os.path.dirname(path))
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise put.failure(exc, path) from None
    return True


def put_link(path: str, target: str) -> bool:
    """Have a link lead somewhere; whether that is new.

    :raises PoolError: it cannot be made.
    """
    require_safe(path)
    if os.path.islink(path) and os.readlink(path) == target:
        return False
    folder = os.path.dirname(path)
    try:
        place = tempfile.mkdtemp(prefix=".ckpool-fleet-", dir=folder)
        try:
            os.symlink(target, f"{place}/link")
            os.replace(f"{place}/link", path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{place}/link")
            os.rmdir(place)
        put.sync_folder(folder)
    except OSError as exc:
        raise put.failure(exc, path) from None
    return True


def put_file(path: str, content: bytes, attributes: Attributes) -> bool:
    """Have a file with that content and those attributes; whether that is new.

    :raises PoolError: it cannot be written.
    """
    if look(path) == File(content, attributes):
        return False
    try:
        with put.written(path, content, attributes):
            pass
    except PoolError as exc:
        if not _overwritten(path, content, attributes):
            raise exc from None
    return True


def _overwritten(path: str, content: bytes, attributes: Attributes) -> bool:
    """Write over a file that is there, which a full disk may still allow; whether that was done."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        os.posix_fallocate(handle, 0, max(len(content), 1))
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))
        attributes.apply(handle)
        os.fsync(handle)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def require_safe(path: str) -> None:
    """Raise unless nobody but root, or us, can put anything in the place of a path, link or file.

    :raises PoolError: others can.
    """
    if not os.path.isabs(path) or os.path.normpath(path) != path:
        raise PoolError(f"{path} is no absolute path without detours", path, phase="find", reason="bad_path")
    put.require_safe_folder(os.path.dirname(path), f"{path} is not changed: ")


def require_room(folders: t.Iterable[str], least: int) -> None:
    """Raise unless there is room in each folder.

    :arg least: bytes that have to be free.
    :raises PoolError: naming the folder that has not.
    """
    for folder in dict.fromkeys(folders):
        try:
            found = os.statvfs(folder)
        except OSError as exc:
            raise PoolError(f"cannot see how much room {folder} has: {exc.strerror}", folder) from None
        free = found.f_bavail * found.f_frsize
        if free < least:
            raise PoolError(
                f"{folder} has {free} bytes free, and {least} are wanted",
                folder,
                "make room: df -h",
                reason="disk_full",
            )
