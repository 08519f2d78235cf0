# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack a tar archive into a folder that is ours alone, so that nothing of it lands or leads outside.

What an archive may hold: folders, regular files, links to these within it. Everything else is refused, the archive as a
whole: absolute names, names that lead up, devices, set-user-id files, the same name twice. What is read is bounded in
bytes and in entries, counted as they come and not as the archive claims. So is what precedes an entry: the reader keeps
that in memory, and archives may claim any length of it.

Sources: tar(5); tarfile of Python's standard library.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
import tarfile
import typing as t
import zlib

from .._errors import PoolError, Unparsable

MOST_BYTES = 512 * 1024 * 1024  #: of an archive, unpacked, unless told otherwise
_MOST_ENTRIES = 20000
_MOST_BEFORE_ENTRY = 1024 * 1024  #: bytes of headers, as of a long name
_LONGEST_NAME = 1000
_SET_ID = stat.S_ISUID | stat.S_ISGID
_PIECE = 256 * 1024
_HEAD = 512
_USTAR = slice(257, 262)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(Unparsable):
    """An archive holds what no release may hold."""

    reason = "unsafe_archive"


def compression_of(head: bytes) -> t.Optional[str]:
    """How an archive is packed, by its first bytes: C(gz), C(bz2), C(xz), or empty for a bare tar; None if it is none.

    :arg head: its first 512 bytes.
    """
    for magic, name in ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "xz")):
        if head.startswith(magic):
            return name
    return "" if head[_USTAR] == b"ustar" else None


def head_of(handle: int) -> bytes:
    """The first bytes of an open file, which stays where it is."""
    return os.pread(handle, _HEAD, 0)


class Unpacker:
    """Writes the entries of one archive into a folder, or only looks at them.

    :arg folder: an open folder that nobody else can write to; None to write nothing.
    :arg most_bytes: what all of it may have, unpacked.
    """

    def __init__(self, folder: t.Optional[int], most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes = 0
        self._links: t.Dict[str, str] = {}
        self._folders: t.Set[str] = {""}
        #: the regular files, each with whether it is executable
        self.files: t.Dict[str, bool] = {}

    def unpack(self, handle: int, path: str) -> None:
        """Unpack an open archive. After a failure the folder holds a part of it.

        :arg path: what a failure calls it.
        :raises Refused: it holds what no release may hold.
        :raises Unparsable: it is no archive, is cut off, or is packed in a way that this Python cannot read.
        """
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            with contextlib.ExitStack() as stack:
                stream = stack.enter_context(_opened(handle, path))
                bounded = _Bounded(stream, 2 * self._most_bytes + _MOST_ENTRIES * _HEAD)
                with tarfile.open(fileobj=t.cast("t.IO[bytes]", bounded), mode="r|") as archive:
                    for number, member in enumerate(_entries(archive, bounded)):
                        if number >= _MOST_ENTRIES:
                            raise Refused(f"it has more than {_MOST_ENTRIES} entries")
                        self._take(archive, member)
            floor = self._floor()
            for name, target in self._links.items():
                self._link(name, target, floor)
        except Refused as exc:
            raise Refused(f"{path} is not unpacked: {exc}", path, "ask the maker of the archive") from None
        except (tarfile.TarError, EOFError, zlib.error, ValueError, LookupError) as exc:
            raise Unparsable(f"{path} is no tar archive, or is cut off: {exc}", path) from None
        except OSError as exc:
            if exc.errno is None:  # what the readers of compressed files raise for wrong content
                raise Unparsable(f"{path} is damaged: {exc}", path) from None
            raise PoolError(f"cannot unpack {path}: {exc.strerror}", path, phase="write", reason="write") from None

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = _plain(member.name)
        if member.isdir():
            self._require_folder(name)
            return
        if not name or name in self.files or name in self._links or name in self._folders:
            raise Refused(f"{member.name!r} is in it twice")
        self._require_folder(posixpath.dirname(name))
        if member.issym():
            self._links[name] = member.linkname
        elif member.islnk():
            self._hard_link(name, _plain(member.linkname))
        elif member.isreg():
            self._file(archive, member, name)
        else:
            raise Refused(f"{member.name!r} is a device, a pipe or something else that is no file")

    def _file(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        if member.mode & _SET_ID:
            raise Refused(f"{member.name!r} is set-user-id or set-group-id")
        is_program = bool(member.mode & 0o111)
        content = archive.extractfile(member)
        if content is None:
            raise Refused(f"{member.name!r} has no content")
        with self._created(name, 0o755 if is_program else 0o644) as target:
            piece = content.read(_PIECE)
            while piece:
                self._count(len(piece))
                _write(target, piece)
                piece = content.read(_PIECE)
        self.files[name] = is_program

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._most_bytes:
            raise Refused(f"it has more than {self._most_bytes} bytes, unpacked")

    @contextlib.contextmanager
    def _created(self, name: str, mode: int) -> t.Iterator[t.Optional[int]]:
        """A new file to write to; None where nothing is written. It is on the disk when the block ends."""
        if self._folder is None:
            yield None
            return
        with self._parent(name) as parent:
            target = os.open(posixpath.basename(name), _NEW_FILE, 0o600, dir_fd=parent)
        try:
            yield target
            os.fchmod(target, mode)
            os.fsync(target)
        finally:
            os.close(target)

    def _hard_link(self, name: str, first: str) -> None:
        if first not in self.files:
            raise Refused(f"{name!r} is a link to {first!r}, which is no file of it")
        self.files[name] = self.files[first]
        if self._folder is not None:
            with self._parent(first) as there, self._parent(name) as here:
                os.link(
                    posixpath.basename(first),
                    posixpath.basename(name),
                    src_dir_fd=there,
                    dst_dir_fd=here,
                    follow_symlinks=False,
                )

    def _floor(self) -> int:
        """How many folders of the top no link may leave: a release is made of what is in the only outermost one."""
        tops = {name.partition("/")[0] for name in (*self.files, *self._links, *self._folders) if name}
        return 1 if len(tops) == 1 and tops <= self._folders else 0

    def _link(self, name: str, target: str, floor: int) -> None:
        """Make a link when all files are there, as where it leads to depends on other links."""
        place = self._resolved(name, floor)
        if place not in self.files and place not in self._folders:
            raise Refused(f"{name!r} is a link to {target!r}, which is not in it")
        if self._folder is not None:
            with self._parent(name) as parent:
                os.symlink(target, posixpath.basename(name), dir_fd=parent)

    def _resolved(self, name: str, floor: int) -> str:
        """Where a name leads to, link by link, as the kernel would find it.

        :arg floor: the number of outermost folders that it may not leave.

        :raises Refused: it leads out of the archive, or round in a circle.
        """
        here: t.List[str] = []
        left = list(reversed(name.split("/")))
        followed = 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if len(here) <= floor:
                    raise Refused(f"{name!r} is a link that leads out of it")
                here.pop()
                continue
            place = "/".join([*here, part])
            target = self._links.get(place)
            if target is None:
                here.append(part)
                continue
            followed += 1
            if target.startswith("/") or followed > 40 or not target or len(target) > _LONGEST_NAME:
                raise Refused(f"{name!r} is a link that leads out of it")
            left += reversed(target.split("/"))
        return "/".join(here)

    def _require_folder(self, name: str) -> None:
        """Make a folder and those above it, unless they are there.

        :raises Refused: one of them is something else.
        """
        if name in self._folders:
            return
        if name in self.files or name in self._links:
            raise Refused(f"{name!r} is in it twice")
        self._require_folder(posixpath.dirname(name))
        self._folders.add(name)
        if self._folder is not None:
            with self._parent(name) as parent:
                os.mkdir(posixpath.basename(name), 0o755, dir_fd=parent)

    @contextlib.contextmanager
    def _parent(self, name: str) -> t.Iterator[int]:
        """The open folder that a name is in."""
        handle = os.dup(t.cast("int", self._folder))
        try:
            for part in posixpath.dirname(name).split("/"):
                if part:
                    inner = os.open(part, _FOLDER, dir_fd=handle)
                    os.close(handle)
                    handle = inner
            yield handle
        finally:
            os.close(handle)


class _Bounded:
    """A stream of which no more than so many bytes are read: a small file may unpack to any number of them.

    :ivar before_entry: bytes that may still be read before the next entry; None while an entry is read.
    """

    def __init__(self, stream: t.IO[bytes], most: int) -> None:
        self._stream = stream
        self._left = most
        self.before_entry: t.Optional[int] = _MOST_BEFORE_ENTRY

    def read(self, size: int) -> bytes:
        """
        :raises Refused: there is more.
        """
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise Refused("it unpacks to more than it may have")
        if self.before_entry is not None:
            self.before_entry -= len(piece)
            if self.before_entry < 0:
                raise Refused(f"it has more than {_MOST_BEFORE_ENTRY} bytes before an entry")
        return piece


def _entries(archive: tarfile.TarFile, stream: _Bounded) -> t.Iterator[tarfile.TarInfo]:
    """The entries of an archive, with what is read before each of them bounded."""
    while True:
        stream.before_entry = _MOST_BEFORE_ENTRY
        member = archive.next()
        stream.before_entry = None
        if member is None:
            return
        yield member


def _plain(name: str) -> str:
    """A name within the archive, without what means nothing; empty for the top.

    :raises Refused: it leads elsewhere, or cannot be shown.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise Refused(f"{name!r} leads out of it")
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise Refused(f"{name[:100]!r} is no name for a file")
    return "/".join(parts)


@contextlib.contextmanager
def _opened(handle: int, path: str) -> t.Iterator[t.IO[bytes]]:
    """What an archive unpacks to, before its entries are taken apart.

    :raises Unparsable: it is no archive, or this Python cannot unpack it.
    """
    kind = compression_of(head_of(handle))
    if kind is None:
        raise Unparsable(f"{path} is no tar archive", path, "as tar, tar.gz, tar.bz2 or tar.xz")
    raw = os.fdopen(os.dup(handle), "rb")
    with raw:
        if not kind:
            yield raw
            return
        import importlib  # few archives are packed in more than one way

        try:
            module = importlib.import_module({"gz": "gzip", "bz2": "bz2", "xz": "lzma"}[kind])
        except ImportError as exc:
            raise Unparsable(f"{path}: this host's Python cannot unpack {kind}: {exc}", path, "use tar.gz") from None
        try:
            with module.open(raw, "rb") as stream:
                yield stream
        except Exception as exc:
            if type(exc).__name__ == "LZMAError":  # of a module that may not be there
                raise Unparsable(f"{path} is damaged: {exc}", path) from None
            raise


def _write(target: t.Optional[int], data: bytes) -> None:
    view = memoryview(data)
    while target is not None and view:
        view = view[os.write(target, view) :]
