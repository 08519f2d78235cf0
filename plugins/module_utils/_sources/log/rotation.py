# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a log that was renamed, copied or packed: which they are, and in which order.

Only names and content show that. C(ckpool.log.1), C(ckpool.log-20261101.gz) and the like can only be from C(ckpool.log).
C(ckpool.1.log) or C(ckpool-2.log) may also be the log of another instance: it counts as that if a run in it begins with
another name, or if it was still written long after our log was begun.
"""

from __future__ import annotations

import heapq
import os
import re
import typing as t

from ..._errors import PoolError
from ..._text import printable
from .file import Budget, Log, LogFile

SLACK = 2.0  #: seconds by which the start of a process, as /proc has it, may be late
_MOST_NAMES = 200_000  #: names that are looked at in one folder
_MOST_FILES = 500  #: files that are opened; a process may have 1024
_STILL_WRITTEN = 150.0  #: seconds in which the daemon may write to a renamed log; it opens the log every 60 s
_HEAD = 256 * 1024
_WHEN = r"(?:\d[\d.:TZ_+-]*|old|bak|prev|last)"
_PACKED = r"(?P<packed>\.(?:gz|bz2|xz|zst|lz4|lzma|Z|zip))?"
_RUN_BEGINS = re.compile(
    rb"^\[[\d :.-]{23}\] ([^\n]{1,200}) (?:generator|stratifier|connector) (?:starting|ready)$", re.MULTILINE
)


class Listed(t.NamedTuple):
    """A name in the folder that fits. C(inode) is None for a link; C(is_certain): it cannot be of another instance."""

    modified: float
    path: str
    inode: t.Optional[int]
    packed: str
    is_certain: bool


class LogFiles:
    """The files of a log, open, the newest content first. They stay the same when they are renamed.

    :arg since: epoch seconds; files that were last written before are left out. None for all.
    :arg unpack: whether packed files are wanted too; only C(.gz) can be read.
    :ivar packed: the names of the packed files that are left out.
    :ivar problems: name of a file that is left out to the reason.
    :ivar failure: why the log itself cannot be opened.
    """

    def __init__(self, log: Log, since: t.Optional[float], budget: Budget, unpack: bool = False) -> None:
        self.files: t.List[LogFile] = []
        self.problems: t.Dict[str, str] = {}
        self.packed: t.List[str] = []
        self.failure: t.Optional[PoolError] = None
        self._log = log
        self._since = float("-inf") if since is None else since
        self._unpack = unpack
        self._first: t.Dict[t.Tuple[int, int], t.Optional[float]] = {}
        for _attempt in range(3):
            self._forget()
            if self._look(budget):
                break
        self.files.sort(key=self._order, reverse=True)

    def __enter__(self) -> LogFiles:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        while self.files:
            self.files.pop().close()

    def first_time(self, file: LogFile) -> t.Optional[float]:
        """The time of the first line of one of them, epoch seconds."""
        return self._first[file.identity]

    def _order(self, file: LogFile) -> t.Tuple[bool, float, float]:
        first = self._first[file.identity]
        return file.path == self._log.path, file.modified if first is None else first, file.modified

    def _forget(self) -> None:
        self.close()
        self.problems.clear()
        self.packed.clear()
        self.failure = None

    def _look(self, budget: Budget) -> bool:
        """Open the files; whether none was renamed meanwhile."""
        try:
            self._add(self._log.open(), budget)
        except PoolError as exc:
            self.failure = exc
        try:
            names = self._listed()
        except PoolError as exc:
            self.problems[printable(os.path.dirname(self._log.path))] = str(exc)
            return True
        for listed in names:
            name = printable(os.path.basename(listed.path))
            if listed.packed and not (self._unpack and listed.packed == ".gz"):
                self.packed.append(name)
                if self._unpack:
                    self.problems[name] = f"packed as {listed.packed[1:]}, which is not read: only gz is"
                continue
            try:
                file = self._log.open(listed.path)
            except PoolError as exc:
                if exc.reason == "absent" and listed.inode is not None:
                    return False
                self.problems[name] = str(exc)
                continue
            if listed.inode not in (None, file.identity[1]):
                file.close()
                return False
            self._add(file, budget, listed.is_certain)
        return True

    def _add(self, file: LogFile, budget: Budget, is_certain: bool = True) -> None:
        """Keep a file, unless it is known by another name, was not written since, or is of another instance."""
        is_current = file.path == self._log.path
        is_new = file.identity not in {other.identity for other in self.files}
        if is_new and (is_current or file.modified >= self._since) and (is_certain or self._is_ours(file)):
            self._first[file.identity] = file.first_time(budget)
            self.files.append(file)
        else:
            file.close()

    def _is_ours(self, file: LogFile) -> bool:
        stem = os.fsencode(os.path.basename(self._log.path)[: -len(".log")])
        match = _RUN_BEGINS.search(file.head(_HEAD))
        if match:
            return match.group(1) == stem
        current = next((other for other in self.files if other.path == self._log.path), None)
        begun = None if current is None else self._first[current.identity] or current.modified
        last = None if file.path.endswith(".gz") else file.last_time()
        return begun is None or last is None or last <= begun + _STILL_WRITTEN

    def _listed(self) -> t.List[Listed]:
        """The names in the folder that fit, of files that were written since.

        :raises Unreadable: the folder cannot be listed.
        """
        folder, name = os.path.split(self._log.path)
        patterns = _patterns(name)
        found: t.List[Listed] = []
        handle = self._log.files.open_folder(folder or ".")
        try:
            with os.scandir(handle) as entries:
                for count, entry in enumerate(entries):
                    if count >= _MOST_NAMES:
                        self.problems[printable(folder)] = f"only {_MOST_NAMES} of its names were looked at"
                        break
                    if entry.name == name:
                        continue
                    for pattern in patterns:
                        match = pattern.fullmatch(entry.name)
                        if match:
                            self._note(entry, folder, match.group("packed") or "", pattern is patterns[0], found)
                            break
        except OSError as exc:
            self.problems[printable(folder)] = f"cannot list it: {exc.strerror}"
        finally:
            os.close(handle)
        if len(found) > _MOST_FILES:
            self.problems[printable(folder)] = (
                f"only the {_MOST_FILES} newest of {len(found)} files of the log are read"
            )
        return heapq.nlargest(_MOST_FILES, found)

    def _note(self, entry: os.DirEntry[str], folder: str, packed: str, is_certain: bool, found: t.List[Listed]) -> None:
        try:
            info = entry.stat(follow_symlinks=False)
            inode = None if entry.is_symlink() else info.st_ino
        except OSError:
            return  # it is gone
        if inode is None or info.st_mtime >= self._since:
            found.append(Listed(info.st_mtime, os.path.join(folder, entry.name), inode, packed, is_certain))


def _patterns(name: str) -> t.List[t.Pattern[str]]:
    """Patterns of the other names of a log: names that can be nothing else, and names that can."""
    patterns = [rf"{re.escape(name)}(?:[._-]{_WHEN})?{_PACKED}"]
    if name.endswith(".log"):
        patterns.append(rf"{re.escape(name[:-4])}[._-]{_WHEN}\.log{_PACKED}")
    return [re.compile(pattern, re.ASCII) for pattern in patterns]
