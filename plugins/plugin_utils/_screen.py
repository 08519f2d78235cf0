# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller's output is: a person's terminal, or something that a program parses."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible import constants as C

_STDOUT, _STDERR = 1, 2
#: Seen at import. The strategy loads an action in the controller's own process, before it forks a worker for it, so
#: this is known even where there is no /proc to look at the controller from a worker.
_TERMINAL_AT_IMPORT = os.isatty(_STDOUT)


def printable(text: str) -> str:
    """Text without what would move a terminal's cursor: names come from other machines."""
    return "".join(character if character.isprintable() else "?" for character in text)


def is_for_programs() -> bool:
    """Whether the output is for a program to parse, and text of ours would spoil it."""
    return str(C.config.get_config_value("DEFAULT_STDOUT_CALLBACK")).rpartition(".")[2] in ("json", "jsonl")


def is_terminal(controller: t.Optional[int] = None) -> bool:
    """Whether the controller writes its output to a terminal.

    A worker of ansible-core 2.19 and newer has given its own output away, so the question is what its parent has.

    :arg controller: pid of the controller; the parent by default.
    """
    path = f"/proc/{controller or os.getppid()}/fd/{_STDOUT}"
    try:
        # Without O_NOCTTY the terminal would become ours: a worker leads a session that has none.
        handle = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return _TERMINAL_AT_IMPORT
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


def tell_controller(text: str, controller: int) -> bool:
    """Write a line to the controller's stderr without the controller's help; whether that was possible.

    For the moment after an interruption: the controller has stopped to read what workers send it then.
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
    """Whether it is /dev/null, which workers of ansible-core 2.19 and newer have for their output."""
    info = os.fstat(handle)
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.stat(os.devnull).st_rdev
