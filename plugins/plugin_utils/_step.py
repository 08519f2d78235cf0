# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the module C(ckpool_step): how they fail, and the options that lead them to one instance. No Ansible."""

from __future__ import annotations

import typing as t

from ..module_utils._errors import PoolError
from ._observation import Identity
from ._pool_results import host_said, why_of
from ._types import Json

#: calls the module with these arguments and returns its answer; raises Lost
Step = t.Callable[[Json], Json]
#: keys of a failed answer that belong in the result of the task
_PASSED_ON = ("instance", "problems", "log_tail", "module_stdout", "module_stderr", "rc")


class Lost(Exception):
    """The connection to the host was lost during a call."""


class Stopped(PoolError):
    """A flow cannot go on."""


class StepFailed(Stopped):
    """The module failed.

    :ivar answer: all that it returned.
    """

    def __init__(self, answer: Json, phase: str) -> None:
        facts = {key: answer[key] for key in _PASSED_ON if answer.get(key)}
        why = _why(answer)
        reason, path = str(answer.get("reason") or "step_failed"), answer.get("path")
        hint = str(answer.get("hint") or "")
        why = why.removesuffix(f". Hint: {hint}") if hint else why  # the flow adds it again
        super().__init__(why, path=path, hint=hint, phase=phase, reason=reason, facts=facts)
        self.answer = answer


def _why(answer: Json) -> str:
    """Why the module failed. If it crashes, ansible-core 2.19 and newer return no C(msg), but an event."""
    if answer.get("msg"):
        return why_of(answer)
    event = getattr(answer.get("exception"), "event", None)
    said = host_said(answer) or str(getattr(event, "msg", "")).strip() or "it did not say why"
    return f"the module on the host failed: {said}"


class Unreachable(Stopped):
    """The connection was lost twice in a row, or before any answer."""


class Address:
    """The options that lead every call to the same instance.

    They come from the latest answer with a living process: once that has ended, nothing else leads to its files.

    :ivar options: for the next call.
    """

    def __init__(self) -> None:
        self.options: Json = {}
        self._names: t.Tuple[str, ...] = ("socket_dir", "name", "log_dir")
        self._log_dir: t.Optional[str] = None
        self._predecessor: t.Optional[str] = None

    def learn(self, instance: t.Optional[Json], is_alive: bool) -> None:
        """Take over what an answer says of the instance.

        Two containers may have the same directory. Then only the pid tells them apart, until a restart changes it.
        """
        instance = instance or {}
        self._log_dir = instance.get("log_dir") or self._log_dir
        if not (is_alive and instance):
            return
        self.options = {name: instance[name] for name in self._names if instance.get(name)}
        if self._predecessor:
            self.options["predecessor"] = self._predecessor
        elif instance.get("root") not in (None, "/"):
            self.options["pid"] = instance.get("pid")

    def follow_restart(self, identity: Identity) -> None:
        """From now on, lead to the successor of a process, if that is known, which reads its own configuration."""
        self._names = ("socket_dir", "name")
        self.options.pop("pid", None)
        if None not in identity:
            self._predecessor = "{}:{}".format(*identity)
            self.options["predecessor"] = self._predecessor

    def keep_log(self) -> None:
        """Lead to the log that the process wrote, although it has ended."""
        if self._log_dir:
            self.options.setdefault("log_dir", self._log_dir)
