# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers of a task tell the process that draws, and that tells them: files in a private folder of the run. No Ansible.

Each host has a worker process of its own, and writes a file of its own. One process at a time draws: it has a lock, which
the kernel takes back when the process ends, however it does.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
import typing as t

from ._types import Json

_QUIT, _LOCK, _FAILURE, _SETTINGS = "quit", "lock", "failure", "settings"
_HOST = "host-"
_NAP = 0.02


class ScreenFiles:
    """The files of one task.

    :arg folder: only our own user can write to it. It is made if it is missing.
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._folder = folder
        self._read: t.Dict[str, t.Tuple[int, Json]] = {}

    # Of the workers

    def tell(self, host: str, entry: Json) -> None:
        """Replace what is known of a host. Where this fails, the entry becomes old, which is seen."""
        path = self._path(_HOST + hashlib.sha256(host.encode(errors="replace")).hexdigest())
        with contextlib.suppress(OSError):
            with open(f"{path}.new", "w", encoding="utf-8") as stream:
                json.dump({**entry, "host": host}, stream)
            os.replace(f"{path}.new", path)

    def entries(self) -> t.List[Json]:
        """What the workers have told, a host each."""
        found: t.Dict[str, t.Tuple[int, Json]] = {}
        for name in self._names():
            with contextlib.suppress(OSError, ValueError):  # replaced or removed at this moment
                changed = os.stat(self._path(name)).st_mtime_ns
                known = self._read.get(name)
                found[name] = known if known and known[0] == changed else (changed, self._load(name))
        self._read = found
        return [entry for _changed, entry in found.values()]

    def _names(self) -> t.List[str]:
        try:
            return sorted(name for name in os.listdir(self._folder) if name.startswith(_HOST) and "." not in name)
        except OSError:
            return []

    def _load(self, name: str) -> Json:
        with open(self._path(name), encoding="utf-8") as stream:
            return dict(json.load(stream))

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    # The end, and what went wrong

    def quit(self) -> None:
        """Ask everybody to end."""
        self._write(_QUIT, "")

    @property
    def is_quit(self) -> bool:
        """Whether everybody is to end. Also where the folder is gone, as at the end of the run."""
        return os.path.exists(self._path(_QUIT)) or not os.path.isdir(self._folder)

    def say_failure(self, text: str) -> None:
        """Leave behind why nothing can be drawn."""
        self._write(_FAILURE, text)

    def failure(self) -> str:
        """Why nothing can be drawn; empty if it can."""
        try:
            with open(self._path(_FAILURE), encoding="utf-8") as stream:
                return stream.read()
        except OSError:
            return ""

    def _write(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError), open(self._path(name), "w", encoding="utf-8") as stream:
            stream.write(text)

    # Of the process that draws

    def keep_settings(self, settings: t.List[t.Any]) -> None:
        """Leave behind how the terminal was, until C(forget_settings): the process that draws may be killed."""
        self._write(_SETTINGS, json.dumps(settings))

    def settings(self) -> t.Optional[t.List[t.Any]]:
        """How the terminal was before a process drew that was killed; None if none was."""
        try:
            with open(self._path(_SETTINGS), encoding="utf-8") as stream:
                return list(json.load(stream))
        except (OSError, ValueError):
            return None

    def forget_settings(self) -> None:
        """The terminal is as it was."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(_SETTINGS))

    def lock(self) -> t.Optional[int]:
        """A handle that has the lock until it is closed everywhere; None if another process has it.

        :raises OSError: the folder is gone, or cannot be written.
        """
        handle = os.open(self._path(_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def wait_until_free(self, seconds: float) -> bool:
        """Wait until no process draws; whether that is so."""
        until = time.monotonic() + seconds
        while True:
            try:
                handle = self.lock()
            except OSError:
                return True
            if handle is not None:
                os.close(handle)
                return True
            if time.monotonic() > until:
                return False
            time.sleep(_NAP)
