# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save what the pools of a fleet told, a file for each host, and remove the old ones."""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils._files import write_atomically
from ..plugin_utils._screen import is_for_programs, printable
from ..plugin_utils._snapshot import Taken, file_name, outdated, taken_of
from ..plugin_utils._values import plain

display = Display()
Json = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """Runs on the controller; asks no host."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[Json] = None) -> Json:
        """Gather what the hosts' tasks registered, and write it down."""
        result: Json = super().run(tmp, task_vars)
        _spec, options = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            argument_spec={
                "variable": {"type": "str", "default": "snapshot_result"},
                "dest": {"type": "path", "default": "./snapshots"},
                "keep": {"type": "int"},
                "keep_days": {"type": "float"},
            }
        )
        _check(options)
        fleet = taken_on((task_vars or {})["hostvars"], options["variable"])
        save = Save(options["dest"], time.time(), options["keep"], options["keep_days"], self._task.check_mode)
        for taken in fleet:
            save.take(taken)
        if not is_for_programs():
            for line in save.lines():
                display.display(printable(line))
        failed = not fleet or bool(save.missing)
        changed = bool(save.written or save.removed)
        result.update(changed=changed, failed=failed, msg=save.summary() if fleet else "no host was asked")
        result.update(written=save.written, removed=save.removed, missing=save.missing)
        return result


def _check(options: Json) -> None:
    if options["keep"] is not None and options["keep"] < 1:
        raise AnsibleActionFail(f"keep must be at least 1, not {options['keep']}")
    if options["keep_days"] is not None and not options["keep_days"] > 0:
        raise AnsibleActionFail(f"keep_days must be more than 0, not {options['keep_days']}")
    if not options["dest"]:
        raise AnsibleActionFail("dest is empty; name a folder")


def taken_on(hostvars: t.Mapping[str, t.Any], variable: str) -> t.List[Taken]:
    """What every host told that has a result under that name, in the inventory's order."""
    found = []
    for host in hostvars:
        registered = hostvars[host].get(variable)
        if isinstance(registered, dict):
            found.append(taken_of(str(host), plain(registered)))
    return [taken for taken in found if taken is not None]


class Save:
    """The files of one run.

    :ivar written: those that were written, or would be.
    :ivar removed: those that were removed, or would be.
    :ivar missing: what could not be had or saved, and why.
    """

    def __init__(
        self, folder: str, now: float, keep: t.Optional[int], keep_days: t.Optional[float], check_mode: bool
    ) -> None:
        self._folder, self._now, self._check_mode = folder, now, check_mode
        self._keep, self._keep_days = keep, keep_days
        self.written: t.List[str] = []
        self.removed: t.List[str] = []
        self.missing: t.List[Json] = []

    def take(self, taken: Taken) -> None:
        """Save what a host told. Its old files go only after a new one has come that lacks nothing."""
        self.missing += taken.missing
        if not taken.pools:
            return
        name = file_name(taken.host, self._now)
        try:
            self._write(name, json.dumps(taken.as_dict(self._now), indent=2, default=str) + "\n")
            if not taken.missing:
                self._remove(taken.host, name)
        except AnsibleActionFail as exc:
            self.missing.append({"host": taken.host, "instance": None, "socket_dir": None, "why": str(exc)})

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
        """The regular files of the folder; none if it is not there, as in check mode before the first run."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        return []

    def lines(self) -> t.List[str]:
        """What was done, for a person."""
        would = "would be " if self._check_mode else ""
        done = [f"{path} {would}written" for path in self.written] + [f"{path} {would}removed" for path in self.removed]
        return done + [f"{_named(entry)}: {entry['why']}" for entry in self.missing]

    def summary(self) -> str:
        """The run in one sentence."""
        would = "would be " if self._check_mode else ""
        written, removed = _files(len(self.written)), _files(len(self.removed))
        text = f"{written} {would}written to {self._folder}, {removed} {would}removed"
        return "; ".join([text, *(f"{_named(entry)}: {entry['why']}" for entry in self.missing)])


def _named(entry: Json) -> str:
    return f"{entry['instance']} on {entry['host']}" if entry["instance"] else str(entry["host"])


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"
