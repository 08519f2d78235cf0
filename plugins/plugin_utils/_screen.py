# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of the controller: a person's terminal, or input of a program."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ansible import constants as C

_STDOUT, _STDERR = 1, 2
#: Known since the import: the strategy loads an action in the controller's own process, before it forks a worker. This
#: serves where there is no /proc through which a worker could look at the controller.
_TERMINAL_AT_IMPORT = os.isatty(_STDOUT)
_GROUP, _FOREGROUND = (
    2,
    5,
)  #: fields of /proc/PID/stat after the name: the process group, and the one that the terminal serves


def is_for_programs() -> bool:
    """Whether a program parses the output, so that additional text would break it."""
    return str(C.config.get_config_value("DEFAULT_STDOUT_CALLBACK")).rpartition(".")[2] in ("json", "jsonl")


def is_terminal(controller: t.Optional[int] = None) -> bool:
    """Whether the controller writes its output to a terminal.

    A worker of ansible-core 2.19 and newer has no output of its own, so its parent's counts.

    :arg controller: pid of the controller; the parent by default.
    """
    path = f"/proc/{controller or os.getppid()}/fd/{_STDOUT}"
    try:
        # Without O_NOCTTY it would become this worker's controlling terminal, as its session has none.
        handle = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return _TERMINAL_AT_IMPORT
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


def own_terminal(controller: int) -> t.Optional[str]:
    """The path of the terminal that the controller writes to, if it is there for the controller alone; None otherwise.

    A run in the background shares its terminal with a shell.
    """
    path = f"/proc/{controller}/fd/{_STDOUT}"
    if not os.path.exists(path):
        with contextlib.suppress(OSError):
            return os.ttyname(_STDOUT)
        return None
    return path if is_terminal(controller) and _is_in_foreground(controller) else None


def _is_in_foreground(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
        group, foreground = int(fields[_GROUP]), int(fields[_FOREGROUND])
    except (OSError, ValueError, IndexError):
        return True
    return foreground in (-1, group)


def tell_controller(text: str, controller: int) -> bool:
    """Write a line to the stderr of the controller without its help; whether that succeeded.

    After an interruption the controller no longer reads what its workers send.
    """
    data = f"{text}\n".encode(errors="replace")
    for path in (f"/proc/self/fd/{_STDERR}", f"/proc/{controller}/fd/{_STDERR}"):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if not _is_null(handle):
                return os.write(handle, data) == len(data)
        except OSError:
            continue
        finally:
            os.close(handle)
    return False


def _is_null(handle: int) -> bool:
    """Whether it is /dev/null, the output of workers of ansible-core 2.19 and newer."""
    info = os.fstat(handle)
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.stat(os.devnull).st_rdev
