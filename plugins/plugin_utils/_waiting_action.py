# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that runs a flow: it calls C(ckpool_step), shows progress, and tells how an interruption left the pool."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.module_utils.common.text.converters import to_text
from ansible.utils.display import Display

from ..module_utils._text import printable
from ._action import ADDRESS, CallingAction
from ._clock import Interrupted, WorkerClock
from ._flows.flow import Flow
from ._screen import is_for_programs, is_terminal, tell_controller
from ._step import Step
from ._types import Json
from ._waiting import Watch

display = Display()

_STEP = "ckpool.fleet.ckpool_step"
#: the options that all flows have
COMMON: Json = {
    **ADDRESS,
    "poll": {"type": "float", "default": 2.0},
    "progress": {"type": "bool", "default": True},
}


class WaitingAction(CallingAction):
    """An action that looks at a pool by short calls of a module until the flow is done.

    :cvar flow: what it does.
    """

    flow: t.ClassVar[t.Type[Flow]]

    def work(self, options: Json, task_vars: Json) -> Json:
        """Run the flow, and give its results."""
        self._host = to_text(task_vars.get("inventory_hostname", "host"))
        with WorkerClock() as clock:
            watch = Watch(
                step=self._stepper(options, task_vars),
                clock=clock,
                poll=options["poll"],
                show=self._shower(options["progress"], clock.controller),
                reset=self._reset,
            )
            flow = self.flow(watch, options, check_mode=self._task.check_mode)
            try:
                result = flow.run()
            except Interrupted as exc:
                self._say_where_it_ended(flow, str(exc), clock.controller)
                clock.obey(exc)
            except BaseException:  # the task's own timeout, which is not an Exception: Ansible reports it
                display.warning(f"{self._host}: ended in phase {watch.phase}; the pool is {flow.left or watch.state}")
                raise
        if not self._task.diff:
            result.pop("diff", None)
        return result

    def _stepper(self, options: Json, task_vars: Json) -> Step:
        common = {name: options[name] for name in ADDRESS if options[name] is not None}

        def step(arguments: Json) -> Json:
            """
            :raises Lost: the connection was lost.
            """
            if arguments.get("step") == "restart":
                common.pop("pid", None)  # the step names the process that it is meant for, and another one will follow
            answer = self._call(_STEP, {**common, **arguments}, task_vars)
            if (answer.get("instance") or {}).get("root") == "/":
                common.pop("pid", None)  # from here on its directory leads to it, also after a restart
            return answer

        return step

    def _shower(self, is_wanted: bool, controller: int) -> t.Callable[[str], None]:
        if is_wanted and not self._task.no_log and not is_for_programs() and is_terminal(controller):
            return lambda text: display.display(printable(f"{self._host}: {text}"), color="bright blue")
        return lambda text: None

    def _say_where_it_ended(self, flow: Flow, why: str, controller: int) -> None:
        """Tell the person who interrupted it in what state the pool is.

        By then the controller no longer reads results, and shows nothing that a worker sends it.
        """
        phase = flow.watch.phase
        when = f"in phase {phase} after {flow.watch.elapsed:.0f} s"
        text = f"{self._host}: {self._task.action} was interrupted ({why}) {when}"
        text = printable(f"{text}: {flow.describe()} is left {flow.left or flow.watch.state}")
        if not tell_controller(f"[WARNING]: {text}", controller):
            with contextlib.suppress(OSError):
                display.warning(text)
