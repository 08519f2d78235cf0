# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was set for a time is undone by the host itself, even if the task, its connection or the controller is gone.

A transient timer of systemd does that where systemd runs and lets us start one, elsewhere a process of our own that waits.
A timer runs the room of the order as a program, as C(python -m ..._orders.log_level), so this one need not know them.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
import typing as t

from .. import _discovery, _memory
from .._errors import NotFound, PoolError
from .._host import own_folder
from .daemon import AnotherProcess, Daemon

_ATTEMPTS, _PAUSE = 15, 30.0  #: how often a daemon that hangs is tried, and the most seconds between, from 1 up
_LONGEST_ATTEMPTS = 3600.0  #: seconds that all of them may take
_NAP = 20.0  #: seconds between two looks of a waiting process at whether it is still wanted
_PROCESS = "pid "


@dataclasses.dataclass(frozen=True)
class Undo:
    """Something that can be undone.

    :ivar what: names it in timers and on the command line.
    :ivar room: the module of the order, which is run as a program by a timer and calls L(main).
    :ivar due: when it is to be undone as far as is remembered, in epoch seconds, None for not at all; without it, what is
        remembered does not matter.
    :ivar undo: does so, and returns what was done.
    """

    what: str
    room: str
    due: t.Optional[t.Callable[[Daemon], t.Optional[int]]]
    undo: t.Callable[[Daemon], str]

    def is_wanted(self, daemon: Daemon, at: int) -> bool:
        """Whether it is still to be undone then."""
        return self.due is None or self.due(daemon) == at


def arrange(daemon: Daemon, work: Undo, at: int, description: str, beside: t.Optional[str] = None) -> str:
    """Have the host undo something later; what will do it, a unit of systemd or C(pid N).

    Do so before it is done, and in a L(turn) in which that time is remembered too: then a task that is killed leaves nothing.

    :arg at: when, in epoch seconds; if what is remembered says another time then, nothing is done.
    :arg beside: what was arranged before, and is to be cancelled after this.
    :raises PoolError: nothing on this host can.
    """
    from .._host import systemd

    if systemd.has_systemd():
        units = (
            f"ckpool-fleet-{work.what}{word}-{daemon.instance.pid}-{daemon.instance.start_ticks}"
            for word in ("", "-again")
        )
        unit = next(one for one in units if one != beside)
        try:
            _start_timer(daemon, work, at, unit, description)
            return unit
        except PoolError:
            own_folder.remove(_kept(unit))
    return _wait_in_background(daemon, work, at)


def cancel(timer: str) -> None:
    """Stop a timer of systemd; a process that waits learns from what is remembered that it is no longer wanted.

    :arg timer: what L(arrange) returned.
    :raises PoolError: it may not be stopped.
    """
    from .._host.systemd import stop_timer

    if timer.startswith(_PROCESS):
        return
    stop_timer(timer)
    own_folder.remove(_kept(timer))


# By a process of our own


def _wait_in_background(daemon: Daemon, work: Undo, at: int) -> str:
    from .._host import detached

    seconds = max(at - time.time(), 0.0)
    pid = detached.leave(lambda: _wait(daemon, work, at), seconds + _LONGEST_ATTEMPTS)
    return f"{_PROCESS}{pid}"


def _wait(daemon: Daemon, work: Undo, at: int) -> None:
    """Undo it when the time has come, unless it is no longer wanted."""
    from .._host.process import is_alive, start_ticks

    pid = daemon.instance.pid or 0
    end = time.monotonic() + at - time.time()
    while True:
        left = end - time.monotonic()
        time.sleep(max(0.0, min(left, _NAP)))
        if start_ticks(pid) != daemon.instance.start_ticks or not is_alive(pid):
            return
        with _memory.turn(daemon.instance):  # who arranged it may not have written that down yet
            if not work.is_wanted(daemon, at):
                return
        if left <= _NAP:
            break
    _try(lambda: daemon, work)


# By systemd


def _start_timer(daemon: Daemon, work: Undo, at: int, unit: str, description: str) -> None:
    from .._host.systemd import start_timer

    instance = daemon.instance
    code = _keep_code(unit)
    command = [
        "/usr/bin/env",
        f"PYTHONPATH={code}",
        sys.executable,
        # No site: Ansible leaves a sitecustomize in the archive that imports from a path in /tmp, by now anyone's.
        "-BS",
        "-m",
        work.room,
        work.what,
        str(instance.pid),
        str(instance.start_ticks),
        code,
    ]
    start_timer(unit, max(at - time.time(), 0.0), description, command)


def _keep_code(unit: str) -> str:
    """Where our own code can be imported from when this task is over. Ansible sends it in an archive, which is copied.

    :raises PoolError: it cannot be kept.
    """
    archive = getattr(globals()["__loader__"], "archive", None)
    if archive is None:
        return os.path.dirname(__file__)[: -len(__package__) - 1]
    kept = _kept(unit)
    try:
        own_folder.make(_memory.folder())
        shutil.copyfile(archive, kept)
    except OSError as exc:
        raise PoolError(f"cannot keep {kept}: {exc.strerror}", kept) from None
    return kept


def _kept(unit: str) -> str:
    """Where our own code is kept for a timer."""
    return f"{_memory.folder()}/{unit}.zip"


def main(works: t.Sequence[Undo], arguments: t.Sequence[str]) -> int:
    """What a timer runs: undo something, if the daemon is still the same process. The exit status.

    :arg works: what the room can undo.
    :arg arguments: which of them, the pid and the start of the process in clock ticks, and where our code is kept.
    """
    what, pid, started, code = arguments
    try:
        return _try(lambda: _find(int(pid), int(started)), next(work for work in works if work.what == what))
    finally:
        if code.endswith(".zip"):
            own_folder.remove(code)


def _find(pid: int, started: int) -> Daemon:
    """The daemon of that very process, in whatever file system it lives.

    :raises AnotherProcess: it has ended.
    """
    daemon = Daemon(_discovery.find(pid=pid))
    daemon.require_process(pid, started)
    return daemon


def _try(find: t.Callable[[], Daemon], work: Undo) -> int:
    """Undo it; a daemon that hangs is tried again. What was done goes to the journal."""
    for attempt in range(_ATTEMPTS):
        try:
            sys.stdout.write(f"{work.undo(find())}\n")
            return 0
        except (AnotherProcess, NotFound) as exc:
            sys.stdout.write(f"nothing to do: {exc}\n")
            return 0
        except PoolError as exc:
            sys.stderr.write(f"attempt {attempt + 1} of {_ATTEMPTS}: {exc.phase}: {exc}\n")
            time.sleep(min(_PAUSE, 2.0**attempt) if attempt + 1 < _ATTEMPTS else 0)
    return 1
