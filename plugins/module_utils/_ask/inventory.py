# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of a host, with everything that can be known about them without asking them.

Everything is from C(/proc), files and systemd. No socket is used, so the state of an instance is not known.
"""

from __future__ import annotations

import typing as t

from .. import _discovery
from .._errors import PoolError
from .._host import process
from .._host.access import group_name
from .._host.file import is_folder
from .._instance import Instance
from .._text import printable

_DELETED = " (deleted)"  #: what the kernel adds to the path of a program that is no longer there


def inventory(
    socket_dirs: t.Sequence[str] = (),
    log_dir: t.Optional[str] = None,
    socket_dir: t.Optional[str] = None,
    name: t.Optional[str] = None,
    pid: t.Optional[int] = None,
) -> t.List[t.Dict[str, t.Any]]:
    """Every instance of this host, running or ended, or those that fit.

    :arg socket_dirs: where instances should be, running or not.
    :arg log_dir: the log directory of instances whose own is not known.
    :arg socket_dir: only those with this socket directory, by any path to it.
    :arg name: only those of this name.
    :arg pid: only the one with this process.
    :raises BadInput: it cannot be a path.
    """
    _discovery.check_paths(socket_dir, name, log_dir)
    places = [*socket_dirs, *([socket_dir] if socket_dir and is_folder(socket_dir) else [])]
    return [
        entry(instance, log_dir)
        for instance in _discovery.find_all(places)
        if (not socket_dir or instance.is_at(socket_dir))
        and name in (None, instance.name)
        and pid in (None, instance.pid)
    ]


def entry(instance: Instance, log_dir: t.Optional[str] = None) -> t.Dict[str, t.Any]:
    """Everything that is known about one instance."""
    instance.log_dir = instance.log_dir or log_dir
    is_alive = instance.pid is not None and instance.pid_state == "alive"
    problems = dict(instance.problems)
    program, unit = _facts(instance.pid or 0, problems) if is_alive else (None, instance.unit)
    return {
        **instance.as_dict(),
        "pid_state": instance.pid_state,
        "group": group_name(instance.owner.group) if instance.owner else None,
        "regular_user": instance.is_of_a_person,
        "program": program,
        "version": process.version_of(instance.pid or 0) if is_alive else None,
        "config_file": _printable(instance.config_file),
        "unit": _printable(unit),
        "problems": {area: printable(why) for area, why in problems.items()},
    }


def _facts(pid: int, problems: t.Dict[str, str]) -> t.Tuple[t.Optional[str], t.Optional[str]]:
    """The program and the unit of a process.

    :arg problems: takes what cannot be known about them, with the reason.
    """
    from .._host import systemd

    program: t.Optional[str] = process.program_of(pid) or None
    if program is None:
        problems["program"] = f"may not read /proc/{pid}/exe: use become: true"
    elif program.endswith(_DELETED):
        program = program[: -len(_DELETED)]
        problems["program"] = "the program was replaced or removed since it started"
    try:
        service = systemd.service_of(pid)
    except PoolError as exc:
        problems["unit"] = str(exc)
        service = None
    return _printable(program), service.unit if service else None


def _printable(text: t.Optional[str]) -> t.Optional[str]:
    return None if text is None else printable(text)
