# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring an artifact to a host, from the controller or from a URL, if the host does not have it."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase

from ..module_utils._errors import PoolError
from ..module_utils._host.checksum import digests_of, parse_checksum, wrong_checksum
from ..module_utils._install.release_options import NEEDS_ARTIFACT, OPTIONS, RANGES
from ..module_utils._options import check_ranges
from ..module_utils._results import failure
from ..module_utils._text import without_credentials
from ..plugin_utils._action import with_host_paths

_MODULE = "ckpool.fleet.ckpool_release"
_GET_URL = "ansible.builtin.get_url"
Result = t.Dict[str, t.Any]
_OPTIONS = with_host_paths(OPTIONS)


class ActionModule(ActionBase):
    """Asks the host by checksum first. What is transferred lies in Ansible's own temporary folder there, until the end."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[Result] = None) -> Result:
        """Run the module, and once more with the artifact where that is missing."""
        result: Result = super().run(tmp, task_vars)
        _spec, options = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            argument_spec=_OPTIONS,
            mutually_exclusive=[("src", "package"), ("url", "package"), ("src", "url")],
            required_one_of=[("version", "package")],
        )
        try:
            check_ranges(options, RANGES)
            arguments = {name: value for name, value in options.items() if value is not None}
            result.update(self._with_artifact(arguments, task_vars or {}))
        except PoolError as exc:
            result.update(failed=True, changed=False, **failure(exc))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # type: ignore[no-untyped-call]
        return result

    def _with_artifact(self, arguments: Result, task_vars: Result) -> Result:
        """What the module returns, with the artifact if the host has to have it.

        :raises PoolError: there is none, or it is not the one that it should be.
        """
        local = self._local_artifact(arguments, task_vars)
        if local:
            arguments.setdefault("checksum", f"sha256:{digests_of(local)['sha256']}")
            arguments.setdefault("origin", local)
        found = self._call(arguments, task_vars)
        if found.get("reason") != NEEDS_ARTIFACT:
            return found
        there = self._transferred(local) if local else self._downloaded(arguments, task_vars)
        return self._call({**arguments, "src": there, "remote_src": True}, task_vars)

    def _local_artifact(self, arguments: Result, task_vars: Result) -> t.Optional[str]:
        """The artifact on the controller, which is then no more among the arguments; None where it is elsewhere.

        :raises PoolError: it is not there, or has another checksum than it should.
        """
        source = arguments.get("src")
        if not source or arguments["remote_src"]:
            return None
        path = self._found(source, task_vars)
        del arguments["src"]
        checksum = arguments.get("checksum")
        if checksum:
            algorithm, digest = parse_checksum(to_text(checksum))
            found = digests_of(path)[algorithm]
            if found != digest:
                raise wrong_checksum(path, algorithm, found, digest)
        return path

    def _found(self, source: str, task_vars: Result) -> str:
        """Where the artifact is: a relative path is searched for as Ansible does, then where the operator's own files are.

        A playbook of a collection has no files of the operator beside it.

        :raises PoolError: it is in none of these places.
        """
        needle = os.path.expanduser(source)
        with contextlib.suppress(AnsibleError):
            return str(self._find_needle("files", needle))  # type: ignore[no-untyped-call]
        folders = [os.getcwd(), *filter(None, [task_vars.get("inventory_dir")])]
        for folder in folders:
            path = os.path.join(folder, needle)
            if os.path.isfile(path):
                return path
        hint = "" if os.path.isabs(needle) else f"not in {' nor in '.join(dict.fromkeys(folders))}, nor beside the play"
        raise PoolError(f"{source} is not on the controller", source, hint, phase="find", reason="absent")

    def _call(self, arguments: Result, task_vars: Result) -> Result:
        answer: Result = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        return answer

    def _folder(self) -> str:
        """A folder on the host that is removed at the end."""
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        return str(self._connection._shell.tmpdir)

    def _transferred(self, local: str) -> str:
        folder = self._folder()
        # Under its own name, as that is what the release is said to be made from.
        target: str = self._connection._shell.join_path(folder, os.path.basename(local))
        transfer: t.Any = self._transfer_file  # some versions of ansible-core say its type, others do not
        transfer(local, target)
        self._fixup_perms2((folder, target))  # type: ignore[no-untyped-call]
        return target

    def _downloaded(self, arguments: Result, task_vars: Result) -> str:
        """
        :raises PoolError: it could not be downloaded, or is not what it should be.
        """
        target: str = self._connection._shell.join_path(self._folder(), "artifact")
        options = {
            "url": arguments["url"],
            "dest": target,
            "checksum": _with_algorithm(arguments["checksum"]),
            "mode": "0600",
        }
        done = self._execute_module(module_name=_GET_URL, module_args=options, task_vars=task_vars)
        if done.get("failed"):
            why = ": ".join(to_text(done[key]) for key in ("msg", "response") if done.get(key)) or "no reason given"
            raise PoolError(
                f"cannot get {without_credentials(arguments['url'])[0]}: {why}",
                hint="see whether the host can reach it, and whether the checksum is that of this artifact",
                phase="read",
                reason="download",
            )
        return target


def _with_algorithm(checksum: str) -> str:
    return ":".join(parse_checksum(checksum))
