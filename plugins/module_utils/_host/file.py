# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that opens files which another user may have written, named or linked.

A file is opened only if the daemon's user could read it, below the root directory that the daemon sees. Otherwise a link in
place of a log would reveal files that only root may read. Each part of a path is opened by itself, so that nothing can be
exchanged between check and use: links are followed here and not by the kernel, and a file is known to be regular before it is
opened, as opening a device or a pipe has effects.

Permissions are judged by the mode bits; what an access control list grants beyond these is ignored.

Sources: path_resolution(7), open(2) on O_PATH.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from .._errors import Unreadable
from .access import access_hint, describe_access, user_name
from .process import Owner

MAX_FILE = 16 * 1024 * 1024  #: bytes that a file may have unless told otherwise
_MOST_LINKS = 40  #: as the kernel has it
_DEEPEST = 128  #: folders of a path; each is kept open
_READ, _SEARCH = 4, 1
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENOTDIR)


class Files:
    """Opens files as the user of a daemon could, below the root that the daemon sees.

    :arg root: where its file system is seen from here: empty for our own, or C(/proc/PID/root).
    :arg owner: the user with whose rights to read; None for only our own.
    """

    def __init__(self, root: str = "", owner: t.Optional[Owner] = None) -> None:
        self.root = root
        self.owner = owner

    @property
    def _is_checked(self) -> bool:
        """Whether more than our own rights has to be checked."""
        return self.owner is not None and self.owner.user != 0

    def open(self, path: str, folder: t.Optional[int] = None) -> int:
        """A descriptor of a regular file, for reading. It never blocks.

        :arg path: as seen from here, so with the root in front.
        :arg folder: an open folder that the file is known to be in, if there is one.
        :raises Unreadable: it is absent, is no regular file, or may not be read by that user or by us.
        """
        return self._reopen(path, folder, stat.S_ISREG, "a regular file", os.O_NONBLOCK)

    def open_folder(self, path: str) -> int:
        """A descriptor of a folder, to be listed.

        :raises Unreadable: it is absent, is no folder, or may not be listed by that user or by us.
        """
        return self._reopen(path, None, stat.S_ISDIR, "a folder", os.O_DIRECTORY)

    def stat(self, path: str) -> os.stat_result:
        """The status of what a path leads to.

        :raises Unreadable: it is absent, or may not be reached by that user or by us.
        """
        place = self._place(path, None)
        try:
            return os.fstat(place)
        finally:
            os.close(place)

    def read(self, path: str, limit: int = MAX_FILE, folder: t.Optional[int] = None) -> bytes:
        """The content of a regular file.

        :arg limit: bytes that it may have.
        :raises Unreadable: it cannot be opened or read, or is larger.
        """
        handle = self.open(path, folder)
        try:
            return _all_of(handle, path, limit)
        finally:
            os.close(handle)

    def _reopen(
        self, path: str, folder: t.Optional[int], is_wanted: t.Callable[[int], bool], kind: str, flags: int
    ) -> int:
        """Find what a path leads to, check it, and open it for reading."""
        place = self._place(path, folder)
        try:
            info = os.fstat(place)
            if not is_wanted(info.st_mode):
                raise Unreadable(f"{path} is not {kind}", path, reason="not_a_file")
            if self._is_checked and not info.st_size and not os.fstatvfs(place).f_blocks:
                # The kernel's own files, as in /proc, check more than their mode, and would do so with our rights.
                raise Unreadable(f"{path} is no file of a disk", path, reason="not_a_file")
            self._require(info, _READ | _SEARCH if stat.S_ISDIR(info.st_mode) else _READ, path, path)
            return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC | flags)
        except OSError as exc:
            raise self._failure(exc, path) from None
        finally:
            os.close(place)

    def _place(self, path: str, folder: t.Optional[int]) -> int:
        """A descriptor that stands for what a path leads to, without opening it."""
        try:
            if folder is not None:
                place = os.open(os.path.basename(path), _PLACE, dir_fd=folder)
                if not stat.S_ISLNK(os.fstat(place).st_mode):
                    return place
                os.close(place)
        except (OSError, ValueError) as exc:
            raise self._failure(exc, path) from None
        with contextlib.closing(self._walk(path)) as way:
            return way.take()

    def remove(self, folder: str, names: t.Iterable[str]) -> None:
        """Remove sockets and regular files from a folder; those that are gone are removed already.

        :raises Unreadable: it is no folder; a link leads there that was made neither by root nor by the owner of the folder,
            and which may be meant to make us remove what its maker could not; or a file may not be removed.
        """
        links: t.List[os.stat_result] = []
        with contextlib.closing(self._walk(folder, links)) as way:
            info = os.fstat(way.last)
            if any(link.st_uid not in (0, info.st_uid) for link in links):
                raise Unreadable(
                    f"{folder} is behind a link that another user made; nothing there is removed",
                    folder,
                    "remove the link, and find out who made it",
                    reason="not_trusted",
                )
            for name in names:
                _unlink(name, way.last, folder)

    def resolve(self, path: str) -> str:
        """A path without links, as the daemon sees it: without its root in front.

        :raises Unreadable: it is absent, or may not be reached by that user or by us.
        """
        with contextlib.closing(self._walk(path)) as way:
            return "/" + "/".join(way.names)

    def owner_of(self, path: str) -> t.Optional[Owner]:
        """The owner of a folder; None if there is no such folder.

        A link that was made neither by root nor by that owner may be meant to make us read what its maker could not: then
        the maker is returned. Groups are left out, as a folder can inherit the group of the one above.
        """
        links: t.List[os.stat_result] = []
        try:
            with contextlib.closing(self._walk(path, links)) as way:
                info = os.fstat(way.last)
        except Unreadable:
            return None
        info = next((link for link in links if link.st_uid not in (0, info.st_uid)), info)
        return Owner(info.st_uid, info.st_gid, frozenset())

    def _walk(self, path: str, links: t.Optional[t.List[os.stat_result]] = None) -> _Way:
        """Go from folder to folder, following links below the root only; the links are recorded.

        :raises Unreadable: the path does not lead anywhere, or not for that user or for us.
        """
        try:
            way = _Way(self.root)
        except OSError as exc:
            raise self._failure(exc, path) from None
        try:
            self._follow(path, way, [] if links is None else links)
        except (OSError, ValueError) as exc:
            way.close()
            raise self._failure(exc, path) from None
        except Unreadable:
            way.close()
            raise
        return way

    def _follow(self, path: str, way: _Way, links: t.List[os.stat_result]) -> None:
        names = _names(path[len(self.root) :])
        while names:
            name = names.pop()
            self._require(os.fstat(way.last), _SEARCH, path, os.path.dirname(path))
            if name == "..":
                way.up()
                continue
            place = os.open(name, _PLACE, dir_fd=way.last)
            info = os.fstat(place)
            if not stat.S_ISLNK(info.st_mode):
                way.enter(place, name)
                continue
            try:
                target = os.readlink("", dir_fd=place)
            finally:
                os.close(place)
            links.append(info)
            if len(links) > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target.startswith("/"):
                way.to_root()
            names += _names(target)

    def _require(self, info: os.stat_result, bits: int, path: str, blocked: str) -> None:
        """Raise unless the daemon's user has these permissions.

        :raises Unreadable: naming that user.
        """
        owner = self.owner
        if owner is None or not self._is_checked:
            return
        shift = 6 if info.st_uid == owner.user else 3 if info.st_gid in owner.groups else 0
        if info.st_mode >> shift & bits != bits:
            who = user_name(owner.user)
            raise Unreadable(
                f"not permitted to read {path}: the daemon's user, {who}, may not",
                path,
                f"files are read with the rights of {who} only: see the mode of {blocked} and of what it leads to",
                reason="not_permitted",
            )

    def _failure(self, exc: Exception, path: str) -> Unreadable:
        if not isinstance(exc, OSError):
            return Unreadable(f"cannot read {path!r}: it cannot be a path", path)
        if exc.errno in (errno.EACCES, errno.EPERM):
            text = f"not permitted to read {path}: {describe_access(path)}"
            return Unreadable(text, path, access_hint(path), reason="not_permitted")
        reason = "absent" if exc.errno in _GONE else ""
        return Unreadable(f"cannot read {path}: {exc.strerror}", path, reason=reason)


class _Way:
    """The open folders from a root to the current one, and their names."""

    def __init__(self, root: str) -> None:
        self._open = [os.open(root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
        self.names: t.List[str] = []

    @property
    def last(self) -> int:
        """The current folder or file."""
        return self._open[-1]

    def enter(self, place: int, name: str) -> None:
        """Enter a folder or file, which is closed with the rest."""
        self._open.append(place)
        self.names.append(name)
        if len(self.names) > _DEEPEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))

    def up(self) -> None:
        """Go back to the folder above; the root stays the root."""
        if self.names:
            self.names.pop()
            os.close(self._open.pop())

    def to_root(self) -> None:
        """Go back to the root."""
        while self.names:
            self.up()

    def take(self) -> int:
        """Hand over the descriptor of the current folder or file to the caller."""
        return self._open.pop()

    def close(self) -> None:
        """Close all that is open."""
        while self._open:
            os.close(self._open.pop())


# What can be seen without opening anything, with our own rights


def exists(path: str) -> bool:
    """Whether a path exists, even as a link that leads nowhere."""
    return os.path.lexists(path)


def is_folder(path: str) -> bool:
    """Whether it is a folder, or a link to one."""
    return os.path.isdir(path)


def is_socket(path: str) -> bool:
    """Whether it is a unix socket, or a link to one."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


@contextlib.contextmanager
def shortened(path: str, most: int) -> t.Iterator[str]:
    """A path to the same file that has at most C(most) bytes, as the address of a socket is limited.

    :raises OSError: the folder cannot be reached.
    """
    if len(os.fsencode(path)) <= most:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def is_link(path: str) -> bool:
    """Whether it is a symbolic link."""
    return os.path.islink(path)


def user_of_file(path: str) -> t.Optional[int]:
    """The id of the user who owns a file or link; None if it cannot be seen."""
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None


def changed_at(path: str) -> t.Optional[float]:
    """When a file or link was made or changed, in epoch seconds; None if it cannot be seen."""
    try:
        return os.lstat(path).st_ctime
    except OSError:
        return None


def names_in(folder: str) -> t.List[str]:
    """The names in a folder, sorted; empty if it cannot be listed."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _names(path: str) -> t.List[str]:
    """The parts of a path, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _unlink(name: str, folder: int, path: str) -> None:
    try:
        info = os.lstat(name, dir_fd=folder)
        if stat.S_ISSOCK(info.st_mode) or stat.S_ISREG(info.st_mode):
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise Unreadable(
            f"cannot remove {path}/{name}: {exc.strerror}", f"{path}/{name}", "use become: true", reason="not_permitted"
        ) from None


def _all_of(handle: int, path: str, limit: int) -> bytes:
    try:
        size = os.fstat(handle).st_size
        if size > limit:
            raise Unreadable(f"{path} has {size} bytes, more than {limit}", path, reason="too_large")
        pieces: t.List[bytes] = []
        left = limit + 1
        while left > 0:
            piece = os.read(handle, min(left, max(size + 1, 4096)))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    except OSError as exc:
        raise Unreadable(f"cannot read {path}: {exc.strerror}", path) from None
