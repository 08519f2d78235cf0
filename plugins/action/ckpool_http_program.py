# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the program of the HTTP service on a host, as one file."""

from __future__ import annotations

import hashlib
import os
import tempfile
import typing as t

from ansible.errors import AnsibleActionFail

from ..plugin_utils._action import Action
from ..plugin_utils._http_program import NoSources, program_of
from ..plugin_utils._types import Json

_COLLECTION = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
_COPY = "ansible.builtin.copy"
_OWNER, _GROUP, _MODE = "root", "root", "0644"


class ActionModule(Action):
    """Builds the file on the controller, and leaves the rest to the action that copies files."""

    options: t.ClassVar[Json] = {"dest": {"type": "str", "required": True}}

    def work(self, options: Json, task_vars: Json) -> Json:
        """
        :raises AnsibleActionFail: the sources of the service are not here.
        """
        try:
            program = program_of(_COLLECTION)
        except NoSources as exc:
            raise AnsibleActionFail(str(exc)) from None
        dest = options["dest"]
        before = self._now(dest, task_vars) if self._task.diff else ""
        copied = self._copied(program, dest, task_vars)
        if copied.get("failed") or copied.get("unreachable"):
            return copied
        is_changed = bool(copied.get("changed"))
        result = {
            "changed": is_changed,
            "dest": dest,
            "checksum": f"sha256:{hashlib.sha256(program).hexdigest()}",
            "size": len(program),
            "msg": f"{dest} {self._verb(is_changed)} the HTTP service of ckpool.fleet",
        }
        if self._task.diff:
            after = _description(hashlib.sha1(program).hexdigest(), _MODE, _OWNER, _GROUP)
            headers = {"before_header": dest, "after_header": dest}
            result["diff"] = {"before": before if is_changed else after, "after": after, **headers}
        return result

    def _verb(self, is_changed: bool) -> str:
        if not is_changed:
            return "is"
        return "would become" if self._task.check_mode else "became"

    def _now(self, dest: str, task_vars: Json) -> str:
        """What a diff says of the file that is there."""
        found: Json = self._execute_remote_stat(dest, all_vars=task_vars, follow=False)  # type: ignore[no-untyped-call]
        if not found.get("exists"):
            return ""
        owner, group = (str(found.get(name, "")) for name in ("pw_name", "gr_name"))
        return _description(str(found.get("checksum", "")), str(found.get("mode", "")), owner, group)

    def _copied(self, program: bytes, dest: str, task_vars: Json) -> Json:
        """What the action that copies files returns, from a file of ours that is gone then."""
        task = self._task.copy()
        # A diff of the file's bytes would say nothing to anybody.
        task.diff = False
        with tempfile.NamedTemporaryFile(prefix="ckpool-http-") as built:
            built.write(program)
            built.flush()
            task.args = {"src": built.name, "dest": dest, "owner": _OWNER, "group": _GROUP, "mode": _MODE}
            copy = self._shared_loader_obj.action_loader.get(
                _COPY,
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            copied: Json = copy.run(task_vars=task_vars)
        return copied


def _description(checksum: str, mode: str, owner: str, group: str) -> str:
    """The file in a diff. The checksum is the one that Ansible itself compares."""
    return f"sha1: {checksum}\nmode: {mode}\nowner: {owner}:{group}\n"
