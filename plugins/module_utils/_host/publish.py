# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that we write, in a folder that may belong to somebody else, such as that of the textfile collector.

Who owns the folder, or one above it, can put anything in our way. So each part of the path is opened by itself and no link is
followed. All that is done is done in the folder that was opened: a new file is made there, and takes the place of ours.

Sources: open(2) on O_PATH, rename(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import typing as t

from .._errors import BadInput, PoolError
from .access import user_name
from .put import WriteFailed, failure

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_BYTES = 64 * 1024 * 1024


class Place:
    """A path of a file to be written.

    :ivar before: the content of our file there; None if there is none.
    :ivar mode: its mode; None if there is none.
    """

    def __init__(self, path: str, folder: int) -> None:
        self.path = path
        self._folder, self._name = folder, os.path.basename(path)
        self.before: t.Optional[bytes] = None
        self.mode: t.Optional[int] = None
        try:
            self._look()
        except OSError as exc:
            raise failure(exc, path) from None

    def _look(self) -> None:
        try:
            info = os.lstat(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            return
        why = _why_not_ours(info)
        if not why:
            handle = os.open(self._name, _READ, dir_fd=self._folder)
            with os.fdopen(handle, "rb") as stream:
                info = os.fstat(handle)
                why = _why_not_ours(info)
                self.before, self.mode = b"" if why else stream.read(_MOST_BYTES), stat.S_IMODE(info.st_mode)
        if why:
            raise PoolError(
                f"{self.path} is not replaced: {why}",
                self.path,
                "remove it, or name another file",
                "find",
                "not_trusted",
            )

    def replace(self, data: bytes, mode: int) -> None:
        """Put a new file there, as a whole.

        :raises WriteFailed: it cannot be written; what was there before is as it was.
        """
        fresh = f".{self._name}.{secrets.token_hex(8)}"
        try:
            handle = os.open(fresh, _NEW, 0o600, dir_fd=self._folder)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fchmod(handle, mode)
                    os.fsync(handle)
                os.rename(fresh, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(fresh, dir_fd=self._folder)
                raise
        except OSError as exc:
            raise failure(exc, self.path) from None


@contextlib.contextmanager
def opened(path: str) -> t.Iterator[Place]:
    """The place of a file, for as long as the block runs.

    :raises BadInput: it is no absolute path of a file.
    :raises PoolError: a part of it is missing, or is a link, or what is there is not ours.
    """
    parts = path.split("/")
    if not path.startswith("/") or parts[-1] in ("", ".", "..") or ".." in parts or "\0" in path:
        raise BadInput(f"{path!r} is no absolute path of a file", reason="bad_path")
    folder = os.open("/", _FOLDER)
    try:
        gone = ""
        for name in filter(None, parts[:-1]):
            gone += f"/{name}"
            try:
                inner = os.open(name, _FOLDER, dir_fd=folder)
            except OSError as exc:
                raise _no_folder(exc, gone, path) from None
            os.close(folder)
            folder = inner
        yield Place(path, folder)
    finally:
        os.close(folder)


def _why_not_ours(info: os.stat_result) -> str:
    """Why a file is not one that we wrote; empty if it can be."""
    if stat.S_ISLNK(info.st_mode):
        return "it is a link"
    if not stat.S_ISREG(info.st_mode):
        return "it is no regular file"
    if info.st_uid != os.geteuid():
        return f"it belongs to {user_name(info.st_uid)}, and we are {user_name(os.geteuid())}"
    if info.st_nlink > 1:
        return "it has other names too"
    return ""


def _no_folder(exc: OSError, folder: str, path: str) -> PoolError:
    if exc.errno in (errno.ENOTDIR, errno.ELOOP) and os.path.islink(folder):
        return WriteFailed(
            f"cannot write {path}: {folder} is a link, and no link is followed",
            path,
            f"name the real path, below {os.path.realpath(folder)}",
        )
    found = failure(exc, path)
    found.hint = found.hint or f"make the folder: {os.path.dirname(path)}"
    return found
