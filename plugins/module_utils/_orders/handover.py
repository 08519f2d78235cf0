# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The obstacles to a daemon's handover to a new process, as far as they can be known beforehand.

A look runs nothing, and reports what it can see. The program itself is tried only before an actual restart.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import time
import typing as t

from .._errors import PoolError, Unreadable
from .._host import process, program
from .._host.command_line import CommandLine
from .._host.systemd import Service, is_wrapper
from .._instance import Instance

_TRIAL_SECONDS = 10.0
_HEAD = 64  #: bytes of a program that show for which machine it is
_REAPED_SECONDS = 2.0  #: within which a parent that reaps its children has reaped one that ended
#: programs that are the first process of a container for one child, and end when it does
_SMALL_INITS = {b"catatonit", b"docker-init", b"dumb-init", b"podman-init", b"tini", b"tini-static"}
#: what container engines start the main process of a container with, as far as the kernel keeps names
_ENGINES = {b"conmon", b"conmonrs", b"containerd-shim"}
_PUT_BACK = "put the program in that place, or start the daemon by a full path; the running process goes on until then"


@dataclasses.dataclass
class Obstacle:
    """Something that would make a handover fail: a code, a sentence, and what would help."""

    reason: str
    message: str
    hint: str

    def as_dict(self) -> t.Dict[str, str]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


def obstacles(instance: Instance, service: t.Optional[Service]) -> t.List[Obstacle]:
    """The obstacles that can be seen without running anything."""
    checks = (_rights, _first_process, _parent, _executable, _configuration)
    found = [*(check(instance) for check in checks), _unit(service)]
    return [obstacle for obstacle in found if obstacle]


def require_program(instance: Instance) -> None:
    """Raise unless the program that the daemon would execute runs, as the daemon's user.

    It is tried only if it is the file that runs already, or if only root and that user could have put it there.

    :raises PoolError: it does not run.
    """
    found = _trial(instance)
    if found:
        raise PoolError(found.message, _program(instance), found.hint, reason=found.reason)


def _rights(instance: Instance) -> t.Optional[Obstacle]:
    pid = instance.pid
    if not pid or (process.owner_of(pid) and not process.is_set_id(pid)):
        return None
    return Obstacle(
        "mixed_rights",
        f"pid {pid} has the rights of more than one user, or its program is set-user-id: the one who started it chose its words",
        "start the daemon as the user that it shall have",
    )


def _first_process(instance: Instance) -> t.Optional[Obstacle]:
    # After -D, and after a handover (-H), nothing waits for it: its parent is whatever adopted it.
    is_adopted = bool({"D", "H"} & set(CommandLine(instance.argv).options))
    found = _ends_with(instance.pid, is_adopted) if instance.pid else ""
    if not found:
        return None
    return Obstacle(
        "first_process",
        f"pid {instance.pid} is {found}, which ends with it",
        "restart the container, in a maintenance window: no init of --init outlives the process that it has started",
    )


def _ends_with(pid: int, is_adopted: bool = False) -> str:
    """The container that ends when a process does, in words; empty if there is none."""
    if process.inner_pid(pid) == 1:
        return "the first process of its container or pid namespace"
    parent = process.parent_of(pid)
    name = process.comm_of(parent)
    if name in _SMALL_INITS and process.inner_pid(parent) == 1:
        return f"what {name.decode()} runs as the first process of a container"
    # Where containers share a pid namespace, none of their processes is the first there.
    is_from_outside = not parent and bool(process.stat_fields(pid))
    if is_from_outside or name in _ENGINES:
        return "the main process of its container"
    if is_adopted or not is_wrapper(parent) or process.children_of(parent) != [pid]:
        return ""
    found = _ends_with(parent)  # as of an entrypoint that is a script and does not exec
    return f"all that pid {parent} waits for, {found}" if found else ""


def _parent(instance: Instance) -> t.Optional[Obstacle]:
    """The new process waits until the old one is gone, not until it has ended: its parent has to reap it."""
    parent = process.parent_of(instance.pid) if instance.pid else 0
    state = (process.stat_fields(parent) or ["?"])[0] if parent else "?"
    if state not in ("T", "t") and not (parent > 1 and _has_unreaped(parent)):
        return None
    why = "is stopped" if state in ("T", "t") else "does not reap the children that have ended"
    return Obstacle(
        "not_reaped",
        f"pid {parent}, which started it, {why}: the new process would wait in vain for the end of the old one",
        f"see what pid {parent} ({process.command_of(parent)[:100]}) is; start the daemon under an init, or by setsid -f",
    )


def _has_unreaped(parent: int) -> bool:
    """Whether a process leaves ended children unreaped for a while."""
    ended = _ended_children(parent)
    if ended:
        time.sleep(_REAPED_SECONDS)
    return bool(ended and ended & _ended_children(parent))


def _ended_children(parent: int) -> t.Set[int]:
    return {pid for pid in process.pids() if process.stat_fields(pid)[:2] == ["Z", str(parent)]}


def _configuration(instance: Instance) -> t.Optional[Obstacle]:
    problem = instance.problems.get("config", "")
    if instance.config is not None or "permitted" in problem or "may not" in problem:
        return None
    hint = "the new process reads its configuration again, and ends if it cannot"
    return Obstacle("bad_config", f"its configuration cannot be used: {problem}", hint)


def _unit(service: t.Optional[Service]) -> t.Optional[Obstacle]:
    # It lasts as long as any process in it. A pid file does not help: the new process writes it when the old one has ended.
    if service is None or service.exit_type == "cgroup" or not service.main_pid:
        return None
    return Obstacle(
        "unit_would_kill",
        f"{service.unit} would end with the old process and kill the new one (ExitType={service.exit_type or 'main'})",
        "set ExitType=cgroup in the unit (systemd 250 and newer), or Type=forking with GuessMainPID=no, without PIDFile=,"
        f" and start it by setsid --fork; or restart it by systemctl restart {service.unit}",
    )


def _executable(instance: Instance) -> t.Optional[Obstacle]:
    """The daemon executes its first argument: that file must exist, and be a program for this machine."""
    path = _program(instance)
    word = instance.argv[0] if instance.argv else ""
    try:
        info = instance.files.stat(path) if path else None
    except PoolError:
        info = None
    if not path or info is None or not _may_execute(instance, info):
        message = f"{word!r}, by which it was started, is not there or not executable"
        return Obstacle("no_executable", message, _PUT_BACK)
    fault = program.fault_of(_head(instance, path), program.head_of(instance.pid or 0, _HEAD))
    return Obstacle("executable_fails", f"{path} does not run: {fault}", _PUT_BACK) if fault else None


def _program(instance: Instance) -> t.Optional[str]:
    """The file that the daemon would execute, as seen from here. It does not search PATH (execv, not execvp)."""
    word = instance.argv[0] if instance.argv else ""
    if not word or not instance.pid:
        return None
    path = process.resolve(instance.pid, word)
    return instance.root + path if path.startswith("/") else None


def _may_execute(instance: Instance, info: os.stat_result) -> bool:
    if not stat.S_ISREG(info.st_mode):
        return False
    owner = instance.owner
    if owner is None or owner.user == 0:
        return bool(info.st_mode & 0o111)
    shift = 6 if info.st_uid == owner.user else 3 if info.st_gid in owner.groups else 0
    return bool(info.st_mode >> shift & 1)


def _head(instance: Instance, path: str) -> bytes:
    """The first bytes of the program; those of the running one if it may be executed but not read."""
    try:
        handle = instance.files.open(path)
    except Unreadable:
        return program.head_of(instance.pid or 0, _HEAD)
    try:
        return os.read(handle, _HEAD)
    finally:
        os.close(handle)


def _trial(instance: Instance) -> t.Optional[Obstacle]:
    path, owner = _program(instance), process.owner_of(instance.pid) if instance.pid else None
    if instance.root or not path or owner is None or os.geteuid() not in (0, owner.user):
        return None  # it needs the libraries of another root, or its user is not known, or we cannot become that user
    try:
        program.try_if_trusted(path, instance.pid or 0, owner, _TRIAL_SECONDS)
    except program.DoesNotRun as exc:
        return Obstacle("executable_fails", f"{path} -h does not run: {exc}", _PUT_BACK)
    except OSError as exc:
        return Obstacle("no_executable", f"cannot open {path}: {exc.strerror}", _PUT_BACK)
    return None
