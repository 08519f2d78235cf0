# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A background process that outlives the task, its connection and the controller, for a bounded time.

It starts as a copy of this process, and may stay one: then it needs no code on the host, and what it uses must have been
imported before. If the end of a session kills everything in it (KillUserProcesses of logind), it ends with the session.
"""

from __future__ import annotations

import os
import signal
import typing as t

from .._errors import PoolError

_MOST_FILES = 65536  #: descriptors that are closed, where the system does not say how many there are
_ENDED_BY = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD)


def leave(work: t.Callable[[], None], seconds: float) -> int:
    """Do something in a background process, and return its process id as soon as it runs.

    :arg seconds: that it may take; then the kernel ends it.
    :raises PoolError: no process could be started.
    """
    reader, writer = os.pipe()
    try:
        child = os.fork()
    except OSError as exc:
        os.close(reader)
        os.close(writer)
        raise PoolError(f"cannot start a process: {exc.strerror}", reason="no_process") from None
    if not child:
        try:
            os.setsid()
            if not os.fork():
                _close_all(writer, seconds)
                os.write(writer, f"{os.getpid()}".encode("ascii"))
                os.close(writer)
                work()
        finally:
            os._exit(0)  # in any case: the task that this is a copy of must not continue here
    os.close(writer)
    os.waitpid(child, 0)  # it ends at once, and init reaps the other one
    said = os.read(reader, 32)
    os.close(reader)
    if not said:
        raise PoolError("cannot start a process", reason="no_process")
    return int(said)


def start(command: t.Sequence[str], environment: t.Mapping[str, str], log: str, seconds: float) -> int:
    """Start a program in the background, and return its process id.

    :arg command: the path of the program and its arguments.
    :arg environment: what it gets besides ours.
    :arg log: the file that has what it says, in a folder that is ours alone; what was there before is lost.
    :arg seconds: that it may take; then the kernel ends it.
    :raises PoolError: no process could be started.
    """
    everything = {**os.environ, **environment}

    def become() -> None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.execve(command[0], list(command), everything)

    return leave(become, seconds)


def _close_all(kept: int, seconds: float) -> None:
    """Close everything that is open: Ansible waits until the output of the task is closed."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for one in _ENDED_BY:
        signal.signal(one, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    try:
        opened = [int(entry) for entry in os.listdir("/proc/self/fd")]
    except OSError:
        opened = list(range(_MOST_FILES))
    for number in opened:
        if number > 2 and number != kept:
            try:
                os.close(number)
            except OSError:
                pass
