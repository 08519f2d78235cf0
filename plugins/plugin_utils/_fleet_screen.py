# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen that the workers of a task share, as the worker of one host sees it. No Ansible."""

from __future__ import annotations

import os
import signal
import time
import typing as t

from . import _drawer
from ._clock import Interrupted, WorkerClock
from ._screen_files import ScreenFiles
from ._types import Json

_NAP = 0.2  #: seconds after which to look at the other workers again
_LEAVE_SECONDS = 3.0  #: that the terminal may take to be as it was


class FleetScreen:
    """The part of a host on the screen, from C(open) to one of C(finish) and C(abandon).

    :arg view: what the screen shows.
    :arg host: the name of the host.
    :arg count: rounds that it is to be read.
    """

    def __init__(self, files: ScreenFiles, view: _drawer.View, host: str, count: int) -> None:
        self._files, self._view, self._host = files, view, host
        self._entry: Json = {"pid": os.getpid(), "done": False, "round": 1, "count": count, "asked": None, "read": None}

    def open(self) -> None:
        """Take part. From now on the quit signal may come."""
        # It is also ignored after the clock of the worker has given it back, as it may still be on its way then.
        signal.signal(_drawer.QUIT_SIGNAL, signal.SIG_IGN)
        self._tell()

    @property
    def failure(self) -> str:
        """Why there is no screen; empty if there is one."""
        return self._files.failure()

    def asking(self, number: int) -> None:
        """Say that the host is being asked.

        :arg number: of the round.
        :raises Interrupted: the person has quit.
        """
        if self._files.is_quit:
            raise Interrupted("quit", _drawer.QUIT_SIGNAL)
        self._entry.update(round=number, asked=time.monotonic())
        self._tell()
        if not self.failure:
            _drawer.start(self._files, self._view)

    def show(self, **found: t.Any) -> None:
        """Show what was found in a round.

        :arg found: C(rows) on the screen of a fleet, or C(blocks) on that of one host.
        """
        self._entry.update(found, asked=None, read=time.monotonic())
        self._tell()

    def finish(self, clock: WorkerClock, is_patient: bool) -> None:
        """Stop taking part, and return when the terminal is as it was, unless other workers still need it.

        A task that ends while the others are shown writes over them. So a worker waits for the others, unless a host waits
        for its place.

        :arg is_patient: whether to wait for the others.
        :raises Interrupted: a signal came.
        """
        self._entry.update(done=True, asked=None)
        self._tell()
        while not self._files.is_quit and self._others_at_work():
            if not is_patient or self._is_awaited():
                return
            clock.sleep(_NAP)
        self._wait_for_the_terminal()

    def abandon(self) -> None:
        """End the screen for all, as the run is interrupted, and return when the terminal is as it was."""
        self._files.quit()
        self._wait_for_the_terminal()

    def _wait_for_the_terminal(self) -> None:
        """Return when it is as it was. If the process that drew was killed, another one restores it."""
        if self._files.wait_until_free(_LEAVE_SECONDS) and self._files.settings():
            _drawer.start(self._files, self._view)
            self._files.wait_until_free(_LEAVE_SECONDS)

    def _tell(self) -> None:
        self._files.tell(self._host, self._entry)

    def _others_at_work(self) -> bool:
        return any(
            entry["host"] != self._host and _drawer.is_at_work(entry, self._view.controller)
            for entry in self._files.entries()
        )

    def _is_awaited(self) -> bool:
        """Whether hosts have no worker yet."""
        return bool(set(self._view.hosts) - {entry["host"] for entry in self._files.entries()})
