# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of the daemon on a host: C(PREFIX/releases/VERSION), and which of them C(PREFIX/current) leads to.

A release is made beside its place and renamed into it, so that it is there as a whole or not at all, wherever a run is
cut off; what such a run has left is removed by the next one. A release that is there is never written to again. The
links C(current) and C(previous) are renamed over the old ones: at no time is there none.

Sources: rename(2), flock(2).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import stat
import tempfile
import time
import typing as t

from .._errors import BadInput, NotFound, PoolError
from . import own_folder, process, program
from .archive import MOST_BYTES, Unpacker, compression_of, head_of
from .checksum import ALGORITHMS, copied, digests_of, parse_checksum, wrong_checksum
from .put import WriteFailed, failure, sync_folder

PROGRAM = "ckpool"
RECORD = "release.json"  #: in each release, what it was made from
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
_NEW = ".new-"  #: what a release is called while it is made
_MOST_RECORD = 64 * 1024
_LOCK_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Release:
    """One release.

    :ivar version: its name.
    :ivar path: its folder.
    :ivar program: the daemon's program in it, as a path; None where there is none.
    :ivar checksums: of the artifact that it was made from, by algorithm; empty where nobody knows.
    :ivar source: what it was made from, for a person.
    :ivar bears: the version that the program itself bears.
    :ivar placed: when, in epoch seconds.
    """

    version: str
    path: str
    program: t.Optional[str]
    checksums: t.Mapping[str, str]
    program_sha256: str
    source: str
    bears: t.Optional[str]
    placed: int

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The record under the names of the modules' results."""
        return {
            "version": self.version,
            "path": self.path,
            "program": self.program,
            "checksum": f"sha256:{self.checksums['sha256']}" if "sha256" in self.checksums else None,
            "source": self.source,
            "bears": self.bears,
            "placed": self.placed,
        }

    def is_made_from(self, checksum: str) -> bool:
        """Whether an artifact with this checksum is what it was made from."""
        algorithm, digest = parse_checksum(checksum)
        return self.checksums.get(algorithm) == digest


def check_version(version: str) -> str:
    """A version that can name a folder.

    :raises BadInput: it cannot.
    """
    if not _VERSION.fullmatch(version):
        raise BadInput(
            f"{version!r} cannot name a release: letters, digits and ._+~- only, and a letter or digit first"
        )
    return version


class Releases:
    """The releases below one prefix. Only root, or whoever owns the prefix, may change them."""

    def __init__(self, prefix: str) -> None:
        if not prefix.startswith("/") or not os.path.normpath(prefix).strip("/"):
            raise BadInput(f"{prefix!r} cannot be a prefix: an absolute path, and not /", reason="bad_path")
        self.prefix = os.path.normpath(prefix)
        self.folder = os.path.join(self.prefix, "releases")

    # Reading

    def all(self) -> t.List[Release]:
        """The releases that are there, the oldest first."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        found = [self._read(name) for name in names if _VERSION.fullmatch(name)]
        return sorted((one for one in found if one), key=lambda one: (one.placed, one.version))

    def find(self, version: str) -> t.Optional[Release]:
        """One release, if it is there."""
        return self._read(check_version(version))

    def current(self) -> t.Optional[str]:
        """The version that C(current) leads to."""
        return self._linked("current")

    def previous(self) -> t.Optional[str]:
        """The version that was current before."""
        return self._linked("previous")

    def _linked(self, name: str) -> t.Optional[str]:
        path = os.path.join(self.prefix, name)
        try:
            target = os.path.normpath(os.path.join(self.prefix, os.readlink(path)))
        except FileNotFoundError:
            return None
        except OSError:
            raise PoolError(
                f"{path} is there, and is no link", path, "move it away; it is replaced by nothing", reason="not_ours"
            ) from None
        folder, version = os.path.split(target)
        if folder != self.folder or not _VERSION.fullmatch(version):
            raise PoolError(
                f"{path} leads to {target}, which is no release in {self.folder}",
                path,
                "move it away",
                reason="not_ours",
            )
        return version

    def _read(self, version: str) -> t.Optional[Release]:
        path = os.path.join(self.folder, version)
        if not os.path.isdir(path) or os.path.islink(path):
            return None
        record = _record_of(path)
        checksums = record.get("checksums")
        place = os.path.join(path, PROGRAM)
        return Release(
            version,
            path,
            place if os.path.isfile(place) else None,
            {name: str(checksums[name]) for name in ALGORITHMS if name in checksums}
            if isinstance(checksums, dict)
            else {},
            str(record.get("program_sha256", "")),
            str(record.get("source", "")),
            str(record["bears"]) if record.get("bears") else None,
            int(record["placed"]) if isinstance(record.get("placed"), int) else int(os.lstat(path).st_mtime),
        )

    def require_unchanged(self, release: Release) -> None:
        """Raise unless the program of a release is what was placed, and nobody but root can change it.

        :raises PoolError: it is not.
        """
        if release.program is None:
            raise PoolError(f"{release.path} holds no {PROGRAM}", release.path, reason="no_program")
        if release.program_sha256 and digests_of(release.program)["sha256"] != release.program_sha256:
            raise PoolError(
                f"{release.program} was modified after it was installed",
                release.program,
                f"find out by whom; then remove {release.path} and install it again, or under another version",
                reason="changed",
            )
        if not program.is_safe(release.program, (os.geteuid(),)):
            raise PoolError(
                f"{release.program}, or a folder above it, can be changed by others than root",
                release.program,
                f"see: namei -l {release.program}",
                reason="not_trusted",
            )

    # Changing

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[None]:
        """A stretch in which nobody else changes the releases; it begins by making the folders, and by tidying up.

        :raises PoolError: somebody else does so for a long time, or others can write to the prefix.
        """
        self._make_folders()
        handle = os.open(
            os.path.join(self.prefix, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                own_folder.wait_for_lock(handle, _LOCK_SECONDS)
            except TimeoutError:
                raise PoolError(
                    f"another run changes {self.prefix}", self.prefix, "wait for it", reason="locked"
                ) from None
            self._tidy()
            yield
        finally:
            os.close(handle)

    def _make_folders(self) -> None:
        try:
            for path in (self.prefix, self.folder):
                if not os.path.isdir(path):
                    os.makedirs(path, mode=0o755, exist_ok=True)
                    os.chmod(path, 0o755)
        except OSError as exc:
            raise failure(exc, self.folder) from None
        if not program.is_safe(self.folder, (os.geteuid(),), stat.S_ISDIR):
            raise PoolError(
                f"{self.folder}, or a folder above it, can be changed by others than root",
                self.folder,
                f"see: namei -l {self.folder}",
                reason="not_trusted",
            )

    def _tidy(self) -> None:
        """Remove what a run that was cut off has left."""
        for name in os.listdir(self.folder):
            if name.startswith(_NEW):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)
        for name in os.listdir(self.prefix):
            if name.startswith(_NEW) and os.path.islink(os.path.join(self.prefix, name)):
                os.unlink(os.path.join(self.prefix, name))

    @contextlib.contextmanager
    def draft(self) -> t.Iterator[Draft]:
        """A release in the making; it is gone after the block, unless it was placed."""
        try:
            path = tempfile.mkdtemp(prefix=_NEW, dir=self.folder)
        except OSError as exc:
            raise failure(exc, self.folder) from None
        try:
            yield Draft(self, path)
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def switch(self, version: str) -> None:
        """Have C(current) lead to a release, and C(previous) to the one that it led to.

        :raises NotFound: there is no such release.
        """
        release = self.find(version)
        if release is None:
            raise NotFound(f"there is no release {version} in {self.folder}", self.folder, reason="no_release")
        self.require_unchanged(release)
        before = self.current()
        if before == version:
            return
        if before:
            self._link("previous", before)
        self._link("current", version)

    def _link(self, name: str, version: str) -> None:
        fresh = os.path.join(self.prefix, f"{_NEW}{name}")
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh)
            os.symlink(os.path.join("releases", version), fresh)
            os.rename(fresh, os.path.join(self.prefix, name))
            sync_folder(self.prefix)
        except OSError as exc:
            raise failure(exc, os.path.join(self.prefix, name)) from None

    def superfluous(self, keep: t.Optional[int], needed: t.Iterable[t.Optional[str]]) -> t.List[str]:
        """The releases that may go: all but the newest so many of those that nothing needs.

        :arg keep: how many old ones stay; None for all.
        :arg needed: versions that stay in any case, beside those that run.
        """
        if keep is None:
            return []
        stay = {*needed, *self._running()}
        old = [release.version for release in self.all() if release.version not in stay]
        return old[: max(len(old) - keep, 0)]

    def _running(self) -> t.Set[str]:
        """The versions that a process was started from: it executes its program again when it hands over."""
        found = set()
        for pid in process.pids():
            for path in (process.program_of(pid), *process.argv_of(pid)[:2]):
                if path.startswith(f"{self.folder}/"):
                    found.add(path[len(self.folder) + 1 :].partition("/")[0])
        return found

    def remove(self, version: str) -> None:
        """Remove a release: first out of its place, then for good.

        :raises PoolError: it is the current or the previous one, or it runs.
        """
        needed = {"current": self.current(), "previous": self.previous()}
        for name, linked in needed.items():
            if linked == version:
                raise PoolError(f"release {version} is the {name} one, and stays", self.folder, reason="needed")
        if version in self._running():
            raise PoolError(f"release {version} runs, and stays", self.folder, reason="needed")
        try:
            doomed = tempfile.mkdtemp(prefix=_NEW, dir=self.folder)
            os.rename(os.path.join(self.folder, version), os.path.join(doomed, version))
            shutil.rmtree(doomed)
        except OSError as exc:
            raise failure(exc, os.path.join(self.folder, version)) from None


class Draft:
    """A release in the making, in a folder that only we can write to."""

    def __init__(self, releases: Releases, path: str) -> None:
        self._releases = releases
        self._artifact = os.path.join(path, "artifact")
        self._tree = os.path.join(path, "tree")
        self._path = path
        self.digests: t.Dict[str, str] = {}
        self.program = ""

    def take(self, path: str, name: str) -> None:
        """Copy an artifact, so that nobody can exchange it after its checksum was taken.

        :arg name: what a failure calls it.
        :raises PoolError: it cannot be read, or there is no room.
        """
        with program.opened(path) as source:
            try:
                with open(self._artifact, "xb") as target:
                    self.digests = copied(source, target)
            except OSError as exc:
                raise failure(exc, name) from None

    def require_checksum(self, checksum: str, name: str) -> None:
        """Raise unless the artifact has this checksum.

        :raises PoolError: it has another one.
        """
        algorithm, digest = parse_checksum(checksum)
        if self.digests[algorithm] != digest:
            raise wrong_checksum(name, algorithm, self.digests[algorithm], digest)

    def unpack(self, name: str, wanted: t.Optional[str], most_bytes: int = MOST_BYTES) -> None:
        """Make the release's files of the artifact, and find the daemon's program among them.

        :arg name: what a failure calls the artifact.
        :arg wanted: where the program is in an archive; None to look for it.
        """
        try:
            files = self._files(name, most_bytes)
            self._finish(place_of_program(files, wanted, name), name)
        except OSError as exc:
            raise failure(exc, name) from None

    def _files(self, name: str, most_bytes: int) -> t.Dict[str, bool]:
        """The files of the release in the making, each with whether it is executable."""
        os.mkdir(self._tree, 0o755)
        handle = os.open(self._artifact, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if compression_of(head_of(handle)) is not None:
                return self._unpack(handle, name, most_bytes)
        finally:
            os.close(handle)
        os.rename(self._artifact, os.path.join(self._tree, PROGRAM))
        return {PROGRAM: True}

    def _unpack(self, handle: int, name: str, most_bytes: int) -> t.Dict[str, bool]:
        folder = os.open(self._tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            unpacker = Unpacker(folder, most_bytes)
            unpacker.unpack(handle, name)
        finally:
            os.close(folder)
        os.unlink(self._artifact)
        inner = os.listdir(self._tree)
        if len(inner) != 1 or not os.path.isdir(os.path.join(self._tree, inner[0])):
            return unpacker.files
        # As most archives have it: all in one folder, which is named after the version.
        os.rename(os.path.join(self._tree, inner[0]), f"{self._tree}-inner")
        os.rmdir(self._tree)
        self._tree += "-inner"
        return {path.partition("/")[2]: is_program for path, is_program in unpacker.files.items()}

    def _finish(self, place: str, name: str) -> None:
        """The program under its usual name, and modes that let everybody read and nobody write."""
        self.program = os.path.join(self._tree, PROGRAM)
        os.chmod(os.path.join(self._tree, place), 0o755)
        if place != PROGRAM:
            if os.path.lexists(self.program):
                raise BadInput(f"{name} holds both {place} and another {PROGRAM}", reason="ambiguous_program")
            os.symlink(place, self.program)
        for folder, _folders, _files in os.walk(self._tree):
            os.chmod(folder, 0o755)
            sync_folder(folder)
        os.chmod(self._path, 0o755)

    def place(self, version: str, source: str) -> Release:
        """Put the release in its place."""
        record = {
            "version": version,
            "checksums": self.digests,
            "program_sha256": digests_of(self.program)["sha256"],
            "source": source,
            "bears": process.version_in(self.program),
            "placed": int(time.time()),
        }
        target = os.path.join(self._releases.folder, version)
        try:
            with open(os.path.join(self._tree, RECORD), "x", encoding="utf-8") as handle:
                json.dump(record, handle, indent=1, sort_keys=True)
                handle.write("\n")
                handle.flush()
                os.fchmod(handle.fileno(), 0o644)
                os.fsync(handle.fileno())
            sync_folder(self._tree)
            if os.path.lexists(target):
                raise WriteFailed(f"{target} is there already", target, reason="exists")
            os.rename(self._tree, target)
            sync_folder(self._releases.folder)
        except OSError as exc:
            raise failure(exc, target) from None
        return t.cast("Release", self._releases.find(version))


def place_of_program(files: t.Mapping[str, bool], wanted: t.Optional[str], name: str) -> str:
    """Where the daemon's program is among the files of an archive.

    :arg files: the paths, each with whether it is executable.
    :raises PoolError: it is not there, or could be several.
    """
    if wanted:
        plain = "/".join(part for part in wanted.split("/") if part not in ("", "."))
        found = [path for path in files if path == plain]
    else:
        found = [path for path in files if os.path.basename(path) == PROGRAM and files[path]]
        found = [path for path in found if path in (PROGRAM, f"bin/{PROGRAM}")] or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise PoolError(
            f"{name} holds no {wanted or 'executable file named ' + PROGRAM}",
            hint="name it by program, as the archive has it without its outermost folder",
            phase="parse",
            reason="no_program",
        )
    raise PoolError(
        f"{name} holds several files named {PROGRAM}: {', '.join(sorted(found)[:10])}",
        hint="name one by program",
        phase="parse",
        reason="ambiguous_program",
    )


def _record_of(path: str) -> t.Dict[str, t.Any]:
    try:
        with open(os.path.join(path, RECORD), "rb") as handle:
            record = json.loads(handle.read(_MOST_RECORD))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
