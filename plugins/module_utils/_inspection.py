# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process or a directory tells about an instance: its identity, its files, its configuration.

Everything is read from C(/proc) and the file system; nothing is asked of the daemon.
Sources: proc(5); the daemon's options and files as described in docs/what-ckpool-answers.md.
"""

from __future__ import annotations

import os
import typing as t

from ._errors import PoolError, Unparsable, Unreadable
from ._host import process
from ._host.command_line import MODE_NAMES, CommandLine
from ._host.file import Files, exists
from ._instance import KNOWN_NAMES, Instance, folder_id
from ._text import JSON

TEMPORARY = "/tmp"  #: where the daemon makes its socket directory unless told otherwise
_MOST_DESCRIPTORS = 4096  #: of a process that are looked at for its log, which it opens when it starts
_MOST_CONFIG = 256 * 1024  #: bytes of a configuration, which with all of its upstream pools has some thousand
_DELETED = " (deleted)"


def from_process(
    pid: int, command: CommandLine, log_dir: t.Optional[str], is_named: bool = False
) -> t.Optional[Instance]:
    """The instance of a process; None if another running process of its user has its directory.

    :arg is_named: whether an operator selected this process: then it is looked at in any mount namespace.
    """
    folder = process.resolve(pid, command.socket_dir)
    if process.is_closed(pid) and not is_named:
        return _closed(Instance(folder, command.name, command.mode, pid, root=process.root_of(pid)), command)
    root = _root_of(pid, folder)
    if root:
        folder = _resolved(root, folder)
    instance = Instance(folder, command.name, command.mode, pid, root=root, log_dir=log_dir)
    named = _read_pid(instance)
    instance.is_displaced = instance.has_files_of_others(pid)
    if named not in (pid, process.inner_pid(pid)):
        if not command.is_known_program and process.comm_of(pid) not in KNOWN_NAMES:
            return None  # other programs may rename themselves too
        if named is not None and not instance.is_displaced and instance.is_served_by(named):
            return None
        instance.problems.update(_problem_of_pid_file(instance, named))
    if instance.is_displaced:
        instance.problems["socket_dir"] = f"{root}{folder} holds files of another user than the one that runs it"
    _take(instance, command)
    return instance


def _closed(instance: Instance, command: CommandLine) -> Instance:
    """What is known of a process without looking at its files, in a mount namespace that a regular user made."""
    _take(instance, command)
    instance.is_closed = True
    instance.problems["root"] = (
        f"it runs in a file system that {instance.user or 'somebody'} made, which is only looked into if it is named by pid"
    )
    return instance


def _root_of(pid: int, folder: str) -> str:
    """The root of a process that sees another directory at that path than we do (a container, PrivateTmp); else empty."""
    root = process.root_of(pid)
    ours, theirs = folder_id(folder), folder_id(root + folder)
    if theirs is None:
        # Without its own, as it was removed there, it must not be taken for one with ours.
        is_ours_alone = ours is not None and folder_id(root) is not None
        return root if is_ours_alone or process.has_other_root(pid) else ""
    return "" if theirs == ours else root


def _resolved(root: str, folder: str) -> str:
    """A folder of another root without links, which the kernel would follow in ours; unchanged if it does not exist."""
    try:
        return Files(root).resolve(root + folder)
    except PoolError:
        return folder


def from_folder(folder: str, name: t.Optional[str], log_dir: t.Optional[str]) -> Instance:
    """The instance with a socket directory, by its C(main.pid)."""
    root, folder = process.split_root(folder)
    if root:
        folder = _resolved(root, folder)
    base = os.path.basename(folder)
    modes = {program: mode for mode, program in reversed(list(MODE_NAMES.items())) if mode != "solo"}
    default = base if os.path.dirname(folder) == TEMPORARY or base in modes else "ckpool"
    instance = Instance(folder, name or default, modes.get(base, "pool"), root=root, log_dir=log_dir)
    instance.owner = Files(root).owner_of(root + folder)
    instance.pid = _read_pid(instance)
    if instance.pid is not None:
        _adopt(instance, instance.pid)
    elif exists(instance.socket("main.pid")):
        instance.problems["pid"] = f"{instance.socket('main.pid')} does not hold a process id, or may not be read"
    return instance


def _adopt(instance: Instance, pid: int) -> None:
    """Determine what the process in main.pid is: gone, this daemon, or another program."""
    if not process.is_alive(pid):
        instance.pid_state = "dead"
    elif instance.is_served_by(pid):
        command = CommandLine(process.argv_of(pid))
        instance.mode, instance.name = command.mode, command.name
        _take(instance, command)
    else:
        # A process without a state is hidden from us.
        instance.pid_state = "another" if process.stat_fields(pid) else "hidden"


def _take(instance: Instance, command: CommandLine) -> None:
    """Fill in what the running process of an instance tells."""
    pid = instance.pid or 0
    instance.pid_state, instance.argv = "alive", command.argv
    instance.start_ticks = process.start_ticks(pid)
    instance.start_time = process.start_time(instance.start_ticks)
    instance.owner = process.owner_of(pid)


def _read_pid(instance: Instance) -> t.Optional[int]:
    try:
        text = _text_of_pid_file(instance)
    except PoolError:
        return None
    return int(text) if text.isdigit() and 0 < int(text) < 2**31 else None


def _text_of_pid_file(instance: Instance) -> str:
    owner = instance.owner or Files(instance.root).owner_of(instance.root + instance.socket_dir)
    return Files(instance.root, owner).read(instance.socket("main.pid"), 64).decode("ascii", "replace").strip()


def _problem_of_pid_file(instance: Instance, named: t.Optional[int]) -> t.Dict[str, str]:
    """What is wrong with a file that does not name the running process, or that nobody may read who looks."""
    path = instance.socket("main.pid")
    if named:
        return {"pid": f"{path} names pid {named}, which is another process"}
    try:
        _text_of_pid_file(instance)
    except PoolError as exc:
        if exc.reason == "not_permitted":
            return {"pid_file": str(exc)}
    return {"pid": f"{path} does not name it"}


def is_named_by_pid_file(instance: Instance) -> bool:
    return not instance.is_closed and _read_pid(instance) in (instance.pid, process.inner_pid(instance.pid or 0))


def with_details(instance: Instance) -> Instance:
    """The instance with its configuration and its log directory, if it runs and may be looked at."""
    if instance.pid_state == "alive" and not instance.is_closed and instance.config is None:
        _read_config(instance, CommandLine(instance.argv))
        if instance.log_dir is None:
            instance.log_dir = _open_log_dir(instance) or _configured_log_dir(instance)
    return instance


def _read_config(instance: Instance, command: CommandLine) -> None:
    """Read the configuration of the process. It may have been changed since the process read it."""
    path = process.resolve(instance.pid or 0, command.config)
    if not path.startswith("/"):
        instance.problems["config"] = (
            f"may not read /proc/{instance.pid}/cwd, so {path} is not found: use become, or set log_dir"
        )
        return
    try:
        instance.config = parse_config(instance.files.read(instance.root + path, _MOST_CONFIG), path)
    except PoolError as exc:
        instance.problems["config"] = exc.with_hint


def _open_log_dir(instance: Instance) -> t.Optional[str]:
    """The directory of the log that the process has open, even if its configuration has been changed."""
    try:
        opened = process.descriptors(instance.pid or 0, _MOST_DESCRIPTORS).values()
    except Unreadable:
        return None
    logs = [path for path in opened if path.startswith("/") and _is_log_of(path, instance.name)]
    # A log that was renamed by rotation stays open until the daemon reopens it.
    logs.sort(key=lambda path: os.path.basename(path) != f"{instance.name}.log")
    return process.below_root(instance.pid or 0, os.path.dirname(logs[0])) if logs else None


def _is_log_of(path: str, name: str) -> bool:
    """Whether an open file is a log of that name, also after it was renamed."""
    base = os.path.basename(path[: -len(_DELETED)] if path.endswith(_DELETED) else path)
    return base.startswith((f"{name}.", f"{name}-")) and "log" in base[len(name) :].split(".")


def _configured_log_dir(instance: Instance) -> t.Optional[str]:
    if instance.config is None:
        return None
    folder = instance.config.get("logdir")
    if not isinstance(folder, str) or not folder or not can_be_path(folder):
        folder = "logs"
    absolute = process.resolve(instance.pid or 0, folder)
    return absolute if absolute.startswith("/") else None


def can_be_path(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def parse_config(data: bytes, path: str) -> t.Dict[str, t.Any]:
    """The daemon's configuration. What follows the closing brace is a comment, as for the daemon.

    :raises Unparsable: it does not begin with a JSON object.
    """
    try:
        value, _end = JSON.raw_decode(data.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError) as exc:
        raise Unparsable(f"{path} is not JSON: {exc}", path) from None
    if not isinstance(value, dict):
        raise Unparsable(f"{path} is not a JSON object", path)
    return value
