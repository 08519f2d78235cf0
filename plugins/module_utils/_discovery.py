# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding instances: all of the host, or the one that the options select.

Everything is read from C(/proc), systemd and the file system; nothing is asked of a daemon.
"""

from __future__ import annotations

import os
import typing as t

from . import _inspection
from ._errors import BadInput, NotFound, PoolError
from ._host import process
from ._host.command_line import PROGRAMS, CommandLine, without_setsid
from ._host.file import exists, is_folder, is_link, names_in, user_of_file
from ._host.process import is_person
from ._inspection import (
    can_be_path,
    from_folder,
    from_process,
    is_named_by_pid_file,
    with_details,
)
from ._instance import (
    SOCKETS,
    Instance,
    absolute,
    folder_id,
    has_name_of_daemon,
    is_daemon,
    why_rights_are_mixed,
)

_MOST_OF_PEOPLE = 20  #: instances of regular users that are listed; they can start any number of them
_MOST_LEFT = 100  #: folders of regular users that are looked into; they can make any number of these too
_MOST_NAMES = 1000  #: that are looked at where a regular user chose the place


def find(
    socket_dir: t.Optional[str] = None,
    name: t.Optional[str] = None,
    log_dir: t.Optional[str] = None,
    pid: t.Optional[int] = None,
) -> Instance:
    """The one instance that matches.

    Without arguments: the only one that runs; of several, the one in C(/tmp/ckpool); if none runs, the one that left files
    there. Those of root and of system users take precedence over those of regular users.

    An empty text is no argument.

    :arg socket_dir: its socket directory; below C(/proc/PID/root) that of a process in another root.
    :arg pid: its process.
    :raises NotFound: none or several match; the message lists the candidates, with the options that select them.
    :raises BadInput: an argument cannot be a path.
    """
    check_paths(socket_dir, name, log_dir)
    name = name or None
    if pid is not None:
        return _find_by_pid(pid, socket_dir, name, log_dir)
    if socket_dir:
        return _find_at(absolute(socket_dir), name, log_dir)
    default = f"{_inspection.TEMPORARY}/{name or 'ckpool'}"
    chosen = _choose(_named(name, discover(log_dir, details=False)), default)
    if chosen and chosen.is_of_a_person and chosen.pid_state == "alive":  # while a unit of the system may be down
        chosen = _choose(_named(name, discover(log_dir, with_units=True, details=False)), default)
    if chosen:
        return with_details(chosen)
    if is_folder(default):
        return from_folder(default, name, log_dir)
    others = f"; {neighbours()}" if name else ""
    raise NotFound(
        f"no ckpool{' named ' + name if name else ''} runs here, and {default} does not exist{others}",
        default,
        "is it running? systemctl status ckpool; if it keeps its sockets elsewhere, set socket_dir",
    )


def _named(name: t.Optional[str], found: t.Sequence[Instance]) -> t.List[Instance]:
    return [i for i in found if name in (None, i.name)]


def _choose(found: t.Sequence[Instance], default: str) -> t.Optional[Instance]:
    """The instance to use if neither a directory nor a process is given.

    :raises NotFound: the choice is ambiguous.
    """
    found = [i for i in found if not (i.is_of_a_person and (i.is_displaced or i.is_closed))]
    living = [i for i in found if i.pid_state == "alive"]
    fitting = [i for i in living if not i.is_of_a_person]
    if living and not fitting:
        fitting = living
        users = {i.owner.user for i in living if i.owner}
        left = [i for i in found if i.pid_state != "alive" and (i.owner is None or i.owner.user not in users)]
        if left:  # that of a regular user must not stand in for that of somebody else, which has ended
            raise Several([*left, *living])
    if len(fitting) > 1:
        fitting = [i for i in fitting if i.socket_dir == default and not i.root] or fitting
    if len(fitting) > 1:
        raise Several(fitting)
    if fitting:
        # One in another root must not stand in for that of ours which has ended in the same directory.
        ended = [i for i in found if i.pid_state != "alive" and not i.root and not i.is_of_a_person]
        ended = [i for i in ended if fitting[0].root and i.socket_dir == fitting[0].socket_dir]
        if ended:
            raise Several([*ended, fitting[0]])
        _note_others(fitting[0], found)
        return fitting[0]
    left = [i for i in found if i.socket_dir == default] or found
    if len(left) > 1:
        raise Several(left)
    return left[0] if left else None


def _note_others(instance: Instance, found: t.Sequence[Instance]) -> None:
    others = [i for i in found if i is not instance]
    if others:
        instance.problems["instances"] = f"others are here: {_choices(others)}"


class Several(NotFound):
    """More than one instance matches.

    :ivar instances: those.
    """

    reason = "several_instances"

    def __init__(self, instances: t.Sequence[Instance]) -> None:
        super().__init__(
            f"several ckpools run here: {_choices(instances)}",
            hint="name one by pid, socket_dir or name, or ask all of them where the module allows it (all_instances)",
        )
        self.instances = instances


def _choices(instances: t.Sequence[Instance]) -> str:
    """Instances for a message: all of the system, and the first ones of regular users."""
    shown = _bounded(instances)
    more = len(instances) - len(shown)
    return "; ".join(map(_choice, shown)) + (f"; and {more} more of regular users" if more else "")


def _choice(instance: Instance) -> str:
    """An instance for a message, with the option that selects it."""
    user = f" of {instance.user}" if instance.is_of_a_person else ""
    if instance.pid_state == "alive":
        return f"{instance.name}{user} (pid: {instance.pid}) in {instance.root}{instance.socket_dir}"
    return f"{instance.name}{user}, ended, in {instance.root}{instance.socket_dir}"


def _find_by_pid(pid: int, socket_dir: t.Optional[str], name: t.Optional[str], log_dir: t.Optional[str]) -> Instance:
    command = CommandLine(process.argv_of(pid))
    if not process.is_alive(pid):
        raise NotFound(f"pid {pid} does not run; {neighbours()}", hint="look again: its pid changes at each start")
    if not has_name_of_daemon(pid, command):
        raise NotFound(f"pid {pid} is not a ckpool; {neighbours()}", reason="no_instance")
    why = why_rights_are_mixed(pid)
    if why:
        raise NotFound(
            f"pid {pid} is not taken for a ckpool: {why}; {neighbours()}",
            hint="start the daemon as the user that it shall have",
            reason="mixed_rights",
        )
    instance = from_process(pid, command, log_dir, is_named=True)
    if instance is None:
        raise NotFound(f"pid {pid} is not a ckpool of its own; {neighbours()}", reason="no_instance")
    if name not in (None, instance.name) or (socket_dir and not instance.is_at(socket_dir)):
        raise NotFound(f"pid {pid} is {_choice(instance)}, and not what else was named", reason="no_instance")
    return with_details(instance)


def _find_at(folder: str, name: t.Optional[str], log_dir: t.Optional[str]) -> Instance:
    """The instance with a socket directory, given by any path that leads to it."""
    instance = from_folder(folder, name, log_dir)
    if instance.pid_state == "alive" and not instance.is_of_a_person:
        return with_details(_called([instance], name, folder))
    living = [i for i in discover(log_dir, details=False) if i.pid_state == "alive" and not i.is_closed]
    there = folder_id(folder)
    claiming = [i for i in living if there is not None and i.folder_id == there]
    displaced = [i for i in claiming if i.is_displaced and not i.is_of_a_person]
    if displaced:  # files of a regular user are in the directory of the system's pool
        raise Several([*claiming])
    named = [i for i in claiming if not i.is_displaced]
    if instance.pid_state == "alive" or named:
        return with_details(_called(named or [instance], name, folder))
    private = _private(folder, name, living)
    own = _own(instance, log_dir) if private else instance
    if own:
        _note_others(own, [own, *private])
        return own
    if len(private) > 1:
        raise Several(private)
    return with_details(private[0])


def _private(folder: str, name: t.Optional[str], living: t.Sequence[Instance]) -> t.List[Instance]:
    """The instances whose directory has that path in another root: in a container, or a unit with PrivateTmp.

    One of a regular user has to be selected by its full path, as users can have a directory of any name there.
    """
    found = [i for i in living if i.socket_dir == folder and name in (None, i.name)]
    return [i for i in found if not i.is_of_a_person or _is_of_us(i)]


def _own(instance: Instance, log_dir: t.Optional[str]) -> t.Optional[Instance]:
    """The instance of our own root, which has ended, if its directory is there or a unit should run it: no other stands in for it."""
    if instance.owner is not None and (not instance.is_of_a_person or _is_of_us(instance)):
        return instance
    units: t.Dict[t.Any, Instance] = {}
    _add_units(units, log_dir)
    return next((i for i in units.values() if i.socket_dir == instance.socket_dir), None)


def _is_of_us(instance: Instance) -> bool:
    return instance.owner is not None and instance.owner.user == os.geteuid()


def _called(found: t.Sequence[Instance], name: t.Optional[str], folder: str) -> Instance:
    instance = next((i for i in found if name in (None, i.name)), None)
    if instance is None:
        raise NotFound(f"the ckpool in {folder} is {found[0].name}, not {name}", folder, reason="no_instance")
    return instance


def discover(log_dir: t.Optional[str] = None, with_units: bool = False, details: bool = True) -> t.List[Instance]:
    """Every instance of this host: those that run, and those that ended and left files.

    It looks at the processes, at the daemon's default directories, and at directories with a C(main.pid) in C(/tmp) and
    beside those of running instances.

    :arg with_units: also ask systemd for units of a ckpool that should run and do not.
    :arg details: also read the configurations, and determine the log directories.
    :raises BadInput: C(log_dir) cannot be a path.
    """
    check_paths(log_dir)
    found: t.Dict[t.Any, Instance] = {}
    for pid, command in _candidates():
        instance = from_process(pid, command, log_dir)
        if instance:
            # If we may not look at the folder, it may be another one for each process.
            own: t.Any = None if instance.is_displaced else instance.folder_id
            place = own or (instance.root, instance.socket_dir, pid)
            if place not in found or is_named_by_pid_file(instance):
                found[place] = instance
    for folder in _left_folders(list(found.values())):
        left = folder_id(folder)
        if left is not None and left not in found:
            found[left] = from_folder(folder, None, log_dir)
    if with_units:
        _add_units(found, log_dir)
    instances = sorted(found.values(), key=lambda i: (i.socket_dir, i.root))
    return list(map(with_details, instances)) if details else instances


def find_all(socket_dirs: t.Sequence[str] = ()) -> t.List[Instance]:
    """Every instance of this host, those that systemd should run, and those that are expected in C(socket_dirs).

    :raises BadInput: one of C(socket_dirs) cannot be a path.
    """
    check_paths(*socket_dirs)
    instances = _bounded(discover(with_units=True, details=False))
    for folder in socket_dirs:
        try:
            wanted = _find_at(absolute(folder), None, None)
        except NotFound:
            continue  # several match, and all of them have been found already
        if not any(_is_same(wanted, i) for i in instances):
            instances.append(wanted)
    return list(map(with_details, instances))


def _bounded(found: t.Sequence[Instance]) -> t.List[Instance]:
    """All instances of the system, and the first ones of regular users; the last one names the number of the others."""
    people = [i for i in found if i.is_of_a_person]
    more = len(people) - _MOST_OF_PEOPLE
    if more > 0:
        people[_MOST_OF_PEOPLE - 1].problems["unlisted"] = f"{more} more of regular users are not listed"
    left_out = {id(i) for i in people[_MOST_OF_PEOPLE:]}
    return [i for i in found if id(i) not in left_out]


def _is_same(one: Instance, other: Instance) -> bool:
    """Whether two instances are the same one, found by two paths."""
    if one.pid_state == other.pid_state == "alive":
        return (one.pid, one.start_ticks) == (other.pid, other.start_ticks)
    place = one.folder_id
    return (one.root, one.socket_dir) == (other.root, other.socket_dir) or (
        place is not None and place == other.folder_id
    )


def _candidates() -> t.Iterator[t.Tuple[int, CommandLine]]:
    """All processes that may be a daemon, with their command lines."""
    for pid in process.pids():
        command = CommandLine(process.argv_of(pid))
        if command.argv and is_daemon(pid, command) and process.is_alive(pid):
            yield pid, command


def _left_folders(instances: t.Sequence[Instance]) -> t.List[str]:
    """Folders that an ended daemon may have left: the default ones, and those with a main.pid beside others."""
    parents = {_inspection.TEMPORARY, *(_parents(i for i in instances if not i.is_of_a_person))}
    of_people = sorted(set(_parents(i for i in instances if i.is_of_a_person)) - parents)[:_MOST_OF_PEOPLE]
    names = [(parent, name) for parent in sorted(parents) for name in names_in(parent)]
    names += [(parent, name) for parent in of_people for name in names_in(parent)[:_MOST_NAMES]]
    folders = [
        f"{_inspection.TEMPORARY}/{name}" for name in PROGRAMS if _has_sockets(f"{_inspection.TEMPORARY}/{name}")
    ]
    found = [f"{parent}/{name}" for parent, name in names if _is_left_by_daemon(f"{parent}/{name}")]
    left_out = set([folder for folder in found if is_person(user_of_file(folder) or 0)][_MOST_LEFT:])
    return list(dict.fromkeys([*folders, *(folder for folder in found if folder not in left_out)]))


def _parents(instances: t.Iterable[Instance]) -> t.Iterator[str]:
    """The folders that hold the socket directories of instances of our own root."""
    return (os.path.dirname(i.socket_dir) for i in instances if not i.root)


def _is_left_by_daemon(folder: str) -> bool:
    """Whether a folder, which is no link, has the files that a daemon leaves if it ends without a shutdown."""
    if is_link(folder) or not exists(f"{folder}/main.pid"):
        return False
    return any(exists(f"{folder}/{name}") for name in SOCKETS)


def _has_sockets(folder: str) -> bool:
    return any(exists(f"{folder}/{name}") for name in (*SOCKETS, "main.pid"))


def _add_units(found: t.Dict[t.Any, Instance], log_dir: t.Optional[str]) -> None:
    """Add the daemons that systemd should run, and does not."""
    from ._host import systemd  # most tasks do not ask for units

    try:
        units = systemd.service_commands()
    except PoolError:
        return  # systemd does not run here, or could not be asked
    for unit in units:
        command = CommandLine(without_setsid(unit.argv))
        if not command.is_known_program or unit.is_active or not unit.is_wanted:
            continue
        folder = os.path.normpath(os.path.join(unit.working_dir or "/", command.socket_dir))
        instance = found.setdefault(folder_id(folder) or ("", folder), from_folder(folder, command.name, log_dir))
        if instance.pid_state != "alive":
            instance.mode, instance.name, instance.unit = command.mode, command.name, unit.name
            instance.problems["unit"] = f"{unit.name} is {unit.state}: systemctl status {unit.name}"


def neighbours() -> str:
    """The ckpools of this host, for the message of a failure: those that run, and the directories that others left."""
    found = _bounded(discover(details=False))
    running = "; ".join(_choice(i) for i in found if i.pid_state == "alive")
    left = ", ".join(i.socket_dir for i in found if i.pid_state != "alive")
    text = f"running here: {running}" if running else "no ckpool runs here"
    return f"{text}; ended ones left {left}" if left else text


def check_paths(*paths: t.Optional[str]) -> None:
    """Raise unless the arguments can be paths, as a system call would.

    :raises BadInput: naming the one that cannot.
    """
    for path in paths:
        if path and not can_be_path(path):
            raise BadInput(f"{path!r} cannot be a path", reason="bad_path")
