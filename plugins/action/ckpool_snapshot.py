# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save the results of a fleet's pools, a file for each host, and remove old files."""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..module_utils._text import clean, printable
from ..module_utils._wording import counted, sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import not_asked_text
from ..plugin_utils._files import write_atomically
from ..plugin_utils._registered import registered
from ..plugin_utils._screen import is_for_programs
from ..plugin_utils._snapshot import Snapshot, snapshot_of
from ..plugin_utils._snapshot_files import file_name, outdated
from ..plugin_utils._types import Json, Options

display = Display()


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "variable": {"type": "str", "default": "snapshot_result"},
        "hosts": {"type": "str"},
        "dest": {"type": "path", "default": "./snapshots"},
        "keep": {"type": "int"},
        "keep_days": {"type": "float"},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Gather what the hosts' tasks registered, and write it to files."""
        _check(options)
        asked, results = registered(options, task_vars, self._loader)
        found = (snapshot_of(host, result) for host, result in results)
        snapshots = [snapshot for snapshot in found if snapshot is not None]
        save = Save(options, time.time(), self._task.check_mode)
        for snapshot in snapshots:
            save.take(snapshot)
        left_out = not_asked_text(asked.not_asked)
        if not is_for_programs():
            for line in (*save.lines(), *([left_out] if left_out else [])):
                display.display(printable(line))
        parts = [*asked.problems, save.summary() if snapshots else "no host was asked", left_out]
        return {
            "changed": bool(save.written or save.removed),
            "failed": not snapshots or bool(save.missing or asked.problems),
            "msg": printable(sentence(parts)),
            "written": save.written,
            "removed": save.removed,
            "missing": save.missing,
            "not_asked": asked.not_asked,
        }


def _check(options: Options) -> None:
    if options["keep"] is not None and options["keep"] < 1:
        raise AnsibleActionFail(f"keep must be at least 1, not {options['keep']}")
    if options["keep_days"] is not None and not options["keep_days"] > 0:
        raise AnsibleActionFail(f"keep_days must be more than 0, not {options['keep_days']}")
    if not options["dest"]:
        raise AnsibleActionFail("dest is empty; name a folder")


class Save:
    """The files of one run.

    :ivar written: the files that were written, or in check mode would be.
    :ivar removed: the files that were removed, or in check mode would be.
    :ivar missing: what could not be read or saved, and why.
    """

    def __init__(self, options: Options, now: float, check_mode: bool) -> None:
        self._folder, self._now, self._check_mode = options["dest"], now, check_mode
        self._keep, self._keep_days = options["keep"], options["keep_days"]
        self.written: t.List[str] = []
        self.removed: t.List[str] = []
        self.missing: t.List[Json] = []

    def take(self, snapshot: Snapshot) -> None:
        """Save the snapshot of a host. Its old files are removed only after a new one that lacks nothing."""
        self.missing += snapshot.missing
        if not snapshot.pools:
            return
        name = file_name(snapshot.host, self._now)
        try:
            self._write(name, json.dumps(clean(snapshot.as_dict(self._now)), indent=2, default=str) + "\n")
            if not snapshot.missing:
                self._remove(snapshot.host, name)
        except AnsibleActionFail as exc:
            self.missing.append({"host": snapshot.host, "instance": None, "socket_dir": None, "why": str(exc)})

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self._folder, name)
        if not self._check_mode:
            try:
                os.makedirs(self._folder, exist_ok=True)
            except OSError as exc:
                raise AnsibleActionFail(f"cannot make the folder {self._folder}: {exc.strerror}") from exc
            write_atomically(path, text)
        self.written.append(path)

    def _remove(self, host: str, fresh: str) -> None:
        for name in outdated(self._files(), host, fresh, self._now, self._keep, self._keep_days):
            path = os.path.join(self._folder, name)
            try:
                if not self._check_mode:
                    os.unlink(path)
            except FileNotFoundError:  # another run was faster
                continue
            except OSError as exc:
                raise AnsibleActionFail(f"cannot remove {path}: {exc.strerror}") from exc
            self.removed.append(path)

    def _files(self) -> t.List[str]:
        """The regular files of the folder; none if it does not exist, as in check mode before the first run."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        return []

    @property
    def _would(self) -> str:
        return "would be " if self._check_mode else ""

    def lines(self) -> t.List[str]:
        """What was done, for a person, a line for each file and each problem."""
        written = [f"{path} {self._would}written" for path in self.written]
        return [*written, *(f"{path} {self._would}removed" for path in self.removed), *self._problems()]

    def summary(self) -> str:
        """The run in one sentence."""
        written, removed = counted(len(self.written), "file"), counted(len(self.removed), "file")
        text = f"{written} {self._would}written to {self._folder}, {removed} {self._would}removed"
        return sentence([text, *self._problems()])

    def _problems(self) -> t.List[str]:
        return [f"{_name(entry)}: {entry['why']}" for entry in self.missing]


def _name(entry: Json) -> str:
    return f"{entry['instance']} on {entry['host']}" if entry["instance"] else str(entry["host"])
