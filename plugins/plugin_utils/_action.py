# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions have in common: their options, and calls of modules that outlive a lost connection."""

from __future__ import annotations

import abc
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._options import COMMON_OPTIONS
from ..module_utils._wording import one_line
from ._step import Lost
from ._types import Json


def with_host_paths(options: Json) -> Json:
    """The options of a module as its action takes them. Paths are the host's: type path would expand them here."""
    return {name: {**option, "type": "str"} if option["type"] == "path" else option for name, option in options.items()}


#: the options that select an instance and say how to ask it
ADDRESS: Json = with_host_paths(COMMON_OPTIONS)


class Action(ActionBase):
    """An action whose options are described as in a module's argument spec.

    :cvar options: the argument spec.
    """

    options: t.ClassVar[Json]
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[Json] = None) -> Json:
        """Check the options, do the work, and give its result."""
        result: Json = super().run(tmp, task_vars)
        try:
            _result, options = self.validate_argument_spec(argument_spec=self.options)  # type: ignore[no-untyped-call]
        except AnsibleError as exc:
            result.update(self.refuse(exc))
            return result
        result.update(self.work(options, task_vars or {}))
        return result

    @abc.abstractmethod
    def work(self, options: Json, task_vars: Json) -> Json:
        """Do it; what the task returns.

        :raises AnsibleError: it could not be done.
        """

    def refuse(self, exc: AnsibleError) -> Json:
        """What the task returns if its options are wrong.

        :raises AnsibleError: by default, the error itself.
        """
        raise exc


class ControllerAction(Action):
    """An action that runs on the controller and connects to no host."""

    _requires_connection = False


class CallingAction(Action):
    """An action that calls modules on its host repeatedly, and survives a connection that is lost meanwhile."""

    def _call(self, module: str, arguments: Json, task_vars: Json) -> Json:
        """The answer of a module, also of one that failed.

        :raises Lost: the connection was lost.
        """
        try:
            answer: Json = self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as exc:
            raise Lost(one_line(exc)) from exc
        except AnsibleError as exc:
            return {"failed": True, "msg": one_line(exc), "reason": "ansible"}
        if answer.get("unreachable"):
            raise Lost(one_line(answer.get("msg", "unreachable")))
        return answer

    def _reset(self) -> None:
        """Make the next call open a new connection."""
        # A host that was away may have lost its temporary files.
        self._connection._shell.tmpdir = None
        self._connection.reset()
