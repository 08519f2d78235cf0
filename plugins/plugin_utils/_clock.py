# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time as a worker of the controller has it, and what interrupts a wait from outside. No Ansible."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import types
import typing as t

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal or the end of the controller interrupts a wait. Not an Exception, so that no handler takes it for a failure."""

    def __init__(self, why: str, signum: int = 0) -> None:
        super().__init__(why)
        self.signum = signum


class Clock(t.Protocol):
    """Time, and what interrupts a wait from outside."""

    def now(self) -> float:
        """Seconds on a clock that is never set back."""

    def sleep(self, seconds: float) -> None:
        """Wait.

        :raises Interrupted: the wait is to end.
        """

    def check(self) -> None:
        """Raise if the wait is to end.

        :raises Interrupted: it is.
        """

    def held(self) -> t.ContextManager[None]:
        """A context that nothing interrupts, for undoing what was done."""


class WorkerClock:
    """The time of a worker, which signals interrupt.

    A signal ends a sleep at once. During a call of a module it takes effect after the call: then the latest look is
    still true, and the connection can be used to undo things.

    In ansible-core 2.18 a worker belongs to the controller's process group. It gets SIGINT from the terminal itself, and
    SIGHUP when the terminal closes. From 2.19 on it leads a session of its own, and the controller passes on SIGINT and
    SIGTERM; the worker's own handler would end it at once, with all that it started. A controller that is killed passes
    on nothing: its workers only get another parent.

    :arg also: further signals that interrupt.
    :ivar controller: pid of the controller.
    """

    def __init__(self, *also: signal.Signals) -> None:
        self.controller = os.getppid()
        self._also = also
        self._signum = 0
        self._is_asleep = False
        self._is_held = False
        self._before: t.Dict[int, t.Any] = {}

    def __enter__(self) -> WorkerClock:
        if threading.current_thread() is threading.main_thread():
            for signum in _SIGNALS:
                if signal.getsignal(signum) != signal.SIG_IGN:  # as with nohup
                    self._before[signum] = signal.signal(signum, self._on_signal)
            for signum in self._also:
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

        :raises Interrupted: the wait is to end.
        """
        self._is_asleep = True
        try:
            self.check()
            time.sleep(seconds)
        finally:
            self._is_asleep = False
        self.check()

    @contextlib.contextmanager
    def open(self) -> t.Iterator[None]:
        """A context that a signal ends at once, as it does a sleep: for calls after which nothing has to be undone.

        :raises Interrupted: a signal came, or the controller is gone.
        """
        self._is_asleep = True
        try:
            self.check()
            yield
        finally:
            self._is_asleep = False

    def check(self) -> None:
        """Raise if the wait is to end.

        :raises Interrupted: a signal came, or the controller is gone.
        """
        if self._is_held:
            return
        if self._signum:
            raise Interrupted(signal.Signals(self._signum).name, self._signum)
        if os.getppid() != self.controller:
            raise Interrupted("the controller is gone", signal.SIGTERM)

    @contextlib.contextmanager
    def held(self) -> t.Iterator[None]:
        """A context that nothing interrupts. The first check after it acts on a signal that came meanwhile."""
        was_held, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = was_held

    def obey(self, exc: Interrupted) -> t.NoReturn:
        """End this process as the signal would have done at once."""
        self.__exit__()
        os.kill(os.getpid(), exc.signum or signal.SIGTERM)
        time.sleep(1)  # the handler of the signal does not return
        os._exit(1)
