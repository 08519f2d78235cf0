# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program an instance's process runs, and of which side of a window that is.

The kernel knows the file of a program. Of a script it knows the interpreter alone: there the command line tells the path,
and which file was behind it is known of a process that was seen before the switch, or that began after it.
"""

from __future__ import annotations

import os
import typing as t

from .._host import process
from .._host.command_line import CommandLine
from .._instance import Instance
from .._window import NEW, OLD, Member

_DELETED = " (deleted)"


def identity(instance: Instance) -> t.Optional[t.List[int]]:
    """Pid and start, in clock ticks, of the instance's living process; None where there is none."""
    if instance.pid_state != "alive" or instance.pid is None or instance.start_ticks is None:
        return None
    return [instance.pid, instance.start_ticks]


def path_of(instance: Instance) -> t.Optional[str]:
    """The file of the program that the process runs, links resolved; of a script, the script as it is now."""
    if instance.pid is None or instance.pid_state != "alive":
        return None
    word = executed_word(instance)
    if _is_script(instance):
        return os.path.realpath(process.resolve(instance.pid, word)) if word else None
    program = process.program_of(instance.pid)
    program = program[: -len(_DELETED)] if program.endswith(_DELETED) else program
    return program or None


def executed_word(instance: Instance) -> str:
    """The word of the command line that names the program, which a handover executes again."""
    return instance.argv[1 if _is_script(instance) else 0] if instance.argv else ""


def _is_script(instance: Instance) -> bool:
    argv = instance.argv
    return len(argv) > 1 and CommandLine(argv).program != os.path.basename(argv[0])


def side_of(member: Member, instance: Instance) -> t.Optional[str]:
    """The side that the process runs; None where it does not run, or runs neither.

    Where both sides have the same program, as with a new configuration, it is the process that tells them apart.
    """
    now = identity(instance)
    if now is None:
        return None
    if now == member.process:
        return OLD
    path = path_of(instance)
    fitting = [side for side in (NEW, OLD) if member.programs.get(side) in (path, None)]
    if len(fitting) == 1:
        return fitting[0]
    last = member.switch or {}
    return str(last.get("side") or NEW) if fitting else None
