# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles on processes: they keep referring to the same process, even if another one gets its pid.

Sources: pidfd_open(2), pidfd_getfd(2), pidfd_send_signal(2).
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from .process import start_ticks

_PIDFD_OPEN, _PIDFD_GETFD = 434, 438  #: numbers of system calls, the same on every machine


@contextlib.contextmanager
def handle_on(pid: int) -> t.Iterator[int]:
    """A handle on a process.

    :raises OSError: this kernel has no handles, or there is no such process.
    """
    handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else _system_call(_PIDFD_OPEN, pid, 0)
    try:
        yield handle
    finally:
        os.close(handle)


def copy_descriptor(handle: int, descriptor: int) -> int:
    """A copy of a descriptor of the process, for this one.

    :raises OSError: the kernel does not give it.
    """
    return _system_call(_PIDFD_GETFD, handle, descriptor, 0)


def _system_call(number: int, *arguments: int) -> int:
    """The result of a system call that this Python may not know.

    :raises OSError: it failed.
    """
    try:
        import ctypes  # a Python may be built without it
    except ImportError:
        raise OSError("this Python has no ctypes") from None
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    result = int(library.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def send_signal(pid: int, ticks: int, number: int) -> bool:
    """Send a signal to a process, if it is the one that started at that time; whether it is.

    Without handles, as with an older Python or kernel or in some containers, the pid is used.

    :raises ProcessLookupError: there is no such process.
    :raises PermissionError: it may not be sent.
    """
    with contextlib.ExitStack() as stack:
        handle = _handle_or_none(pid, stack)
        if start_ticks(pid) != ticks:
            return False
        if handle is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
        return True


def _handle_or_none(pid: int, stack: contextlib.ExitStack) -> t.Optional[int]:
    if not hasattr(signal, "pidfd_send_signal"):
        return None
    try:
        return stack.enter_context(handle_on(pid))
    except ProcessLookupError:
        raise
    except OSError:
        return None
