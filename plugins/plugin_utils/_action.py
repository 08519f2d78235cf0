# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waiting actions have in common: options, calls of C(ckpool_step), progress, and how they are interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import types
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ._flows import Flow
from ._screen import is_for_programs, is_terminal, printable, tell_controller
from ._waiting import Answer, Interrupted, Lost, Watch

display = Display()

_STEP = "ckpool.fleet.ckpool_step"
#: the options that say which pool is meant, and how to ask it
ADDRESS: t.Dict[str, t.Any] = {
    # Paths are the host's: type path would expand them on the controller.
    "socket_dir": {"type": "str"},
    "name": {"type": "str"},
    "log_dir": {"type": "str"},
    "source": {"type": "str", "default": "auto", "choices": ["auto", "guide", "api", "files"]},
    "timeout": {"type": "float", "default": 5.0},
    "max_reply": {"type": "int", "default": 268435456},
}
_COMMON: t.Dict[str, t.Any] = {
    **ADDRESS,
    "poll": {"type": "float", "default": 2.0},
    "progress": {"type": "bool", "default": True},
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class WorkerClock:
    """Time as a worker has it, who is told by signals to end.

    A signal ends a sleep at once. In the middle of a call of the module it is remembered until the call is over: what
    is known of the pool stays true then, and the connection can be used to put things back.

    In ansible-core 2.18 a worker is in the controller's process group, and gets the terminal's SIGINT itself, and its
    SIGHUP where it is closed. From 2.19 on it leads a session of its own, and the controller passes SIGINT and SIGTERM
    on; the worker's own handler would end it at once, with all that it started. A controller that is killed tells
    nobody: its workers find themselves with another parent.
    """

    def __init__(self) -> None:
        self.controller = os.getppid()
        self._signum = 0
        self._is_asleep = False
        self._is_held = False
        self._before: t.Dict[int, t.Any] = {}

    def __enter__(self) -> WorkerClock:
        if threading.current_thread() is threading.main_thread():
            for signum in _SIGNALS:
                if signal.getsignal(signum) != signal.SIG_IGN:  # as with nohup
                    self._before[signum] = signal.signal(signum, self._on_signal)
        return self

    def __exit__(self, *exc: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before.clear()

    def _on_signal(self, signum: int, frame: t.Optional[types.FrameType]) -> None:
        self._signum = self._signum or signum
        if self._is_asleep and not self._is_held:
            self._is_asleep = False
            raise Interrupted(signal.Signals(signum).name, signum)

    def now(self) -> float:
        """Seconds on a clock that is never set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait.

        :raises Interrupted: somebody wants it to end.
        """
        self._is_asleep = True
        try:
            self.check()
            time.sleep(seconds)
        finally:
            self._is_asleep = False
        self.check()

    def check(self) -> None:
        """Nothing, unless somebody wants the wait to end.

        :raises Interrupted: somebody does, or there is nobody left who would want it to go on.
        """
        if self._is_held:
            return
        if self._signum:
            raise Interrupted(signal.Signals(self._signum).name, self._signum)
        if os.getppid() != self.controller:
            raise Interrupted("the controller is gone", signal.SIGTERM)

    @contextlib.contextmanager
    def held(self) -> t.Iterator[None]:
        """A stretch that nobody may interrupt. A signal that comes meanwhile is acted on by the next check after it."""
        was_held, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = was_held

    def obey(self, exc: Interrupted) -> t.NoReturn:
        """End this process as the signal would have, now that everything is said."""
        self.__exit__()
        os.kill(os.getpid(), exc.signum or signal.SIGTERM)
        time.sleep(1)  # the handler of the signal does not return
        os._exit(1)


class CallingAction(ActionBase):
    """An action that calls modules on its host again and again, and outlives a connection that is lost meanwhile."""

    _supports_check_mode = True
    _supports_async = False

    def _call(self, module: str, arguments: t.Dict[str, t.Any], task_vars: t.Dict[str, t.Any]) -> Answer:
        """
        :raises Lost: the connection was.
        """
        try:
            answer: Answer = self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as exc:
            raise Lost(one_line(exc)) from exc
        except AnsibleError as exc:
            return {"failed": True, "msg": one_line(exc), "reason": "ansible"}
        if answer.get("unreachable"):
            raise Lost(one_line(answer.get("msg", "unreachable")))
        return answer

    def _reset(self) -> None:
        # A host that was away may have lost its temporary files.
        self._connection._shell.tmpdir = None
        self._connection.reset()


class WaitingAction(CallingAction):
    """An action that looks at a pool, by short calls of a module, until what it waits for has come."""

    flow: t.ClassVar[t.Type[Flow]]
    options: t.ClassVar[t.Dict[str, t.Any]]

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Run the flow, and give what it found."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        spec = {**_COMMON, **self.options}
        _result, options = self.validate_argument_spec(argument_spec=spec)  # type: ignore[no-untyped-call]
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
                result.update(flow.run())
            except Interrupted as exc:
                self._say_where_it_ended(flow, str(exc), clock.controller)
                clock.obey(exc)
            except BaseException:  # the task's own timeout: it is not an Exception, and Ansible reports it
                display.warning(f"{self._host}: ended in phase {watch.phase}; the pool is {flow.left or watch.state}")
                raise
        if not self._task.diff:
            result.pop("diff", None)
        return result

    def _stepper(
        self, options: t.Dict[str, t.Any], task_vars: t.Dict[str, t.Any]
    ) -> t.Callable[[t.Dict[str, t.Any]], Answer]:
        common = {name: options[name] for name in ADDRESS if options[name] is not None}

        def step(arguments: t.Dict[str, t.Any]) -> Answer:
            """
            :raises Lost: the connection was.
            """
            return self._call(_STEP, {**common, **arguments}, task_vars)

        return step

    def _shower(self, is_wanted: bool, controller: int) -> t.Callable[[str], None]:
        if is_wanted and not self._task.no_log and not is_for_programs() and is_terminal(controller):
            return lambda text: display.display(printable(f"{self._host}: {text}"), color="bright blue")
        return lambda text: None

    def _say_where_it_ended(self, flow: Flow, why: str, controller: int) -> None:
        """Tell the person who interrupted it in what state the pool is.

        The controller reads no results any more by then, and shows nothing that a worker sends it.
        """
        phase = flow.watch.phase
        when = f"in phase {phase} after {flow.watch.elapsed:.0f} s"
        text = f"{self._host}: {self._task.action} was interrupted ({why}) {when}"
        text = printable(f"{text}: {flow.describe()} is left {flow.left or flow.watch.state}")
        if not tell_controller(f"[WARNING]: {text}", controller):
            with contextlib.suppress(OSError):
                display.warning(text)


def one_line(value: t.Any) -> str:
    """Text without its line breaks."""
    return " ".join(to_text(value).split())
