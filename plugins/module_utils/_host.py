# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host says of a daemon's process: its systemd unit, who holds its sockets, whether it could start again.

Sources: proc(5), unix(7), systemctl(1); what makes a handover fail is described in docs/what-ckpool-answers.md.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import typing as t

from ._errors import PoolError
from ._instance import SOCKETS, Instance, stat_fields

_SYSTEMCTL_SECONDS = 30.0
_TRIAL_SECONDS = 10.0
_UNCONNECTED = "01"  #: the state of a bound or listening socket in /proc/net/unix; its connections have others
_PROPERTIES = ("LoadState", "Restart", "ExitType", "KillMode", "MainPID", "Type")
#: What may stand between a unit and its daemon. Anything else that is a unit's main process, as cron, sshd or a
#: supervisor, has other work besides, and its unit is not the pool's.
_WRAPPERS = frozenset(
    ("sh", "bash", "dash", "ash", "ksh", "zsh", "su", "sudo", "doas", "runuser", "setpriv", "env", "nice", "conmon")
)


@dataclasses.dataclass
class Service:
    """The systemd unit that a process belongs to, in the words of systemd."""

    unit: str
    restart: str = ""
    exit_type: str = ""
    kill_mode: str = ""
    type: str = ""
    main_pid: int = 0

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@dataclasses.dataclass
class Obstacle:
    """Something that would make a handover fail: a code, a sentence, and what would help."""

    reason: str
    message: str
    hint: str

    def as_dict(self) -> t.Dict[str, str]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


def service_of(pid: int) -> t.Optional[Service]:
    """The system's unit of a process; None where it has none, as in a session or without systemd.

    A process that cron, sshd or a supervisor has started is in the unit of those, which is not its own: to stop that
    would end them, and perhaps not even the process.

    :raises PoolError: systemd does not tell.
    """
    unit = _unit_of(pid)
    if unit is None or not has_systemd():
        return None
    lines = systemctl("show", "--property", ",".join(_PROPERTIES), "--", unit).splitlines()
    known = {name: value for name, _sign, value in (line.partition("=") for line in lines)}
    main_pid = known.get("MainPID", "")
    service = Service(
        unit,
        known.get("Restart", ""),
        known.get("ExitType", ""),
        known.get("KillMode", ""),
        known.get("Type", ""),
        int(main_pid) if main_pid.isdigit() else 0,
    )
    is_own = known.get("LoadState") == "loaded" and (not service.main_pid or _is_wrapped(pid, service.main_pid))
    return service if is_own else None


def _is_wrapped(pid: int, main_pid: int) -> bool:
    """Whether a process is a unit's main one, or that one does nothing but wait for it."""
    while pid != main_pid:
        pid = _parent(pid)
        if _name(pid) not in _WRAPPERS:
            return False
    return True


def _parent(pid: int) -> int:
    try:
        return int(stat_fields(pid)[1])
    except (ValueError, IndexError):
        return 0


def _name(pid: int) -> str:
    """What a process was started as; a shell's script would hide the shell in C(comm)."""
    return os.path.basename(_command(pid).partition(" ")[0]).lstrip("-")


def stop_service(unit: str) -> None:
    """Ask systemd to stop a unit, without waiting for it.

    :raises PoolError: it cannot, or may not.
    """
    systemctl("stop", "--no-block", "--", unit)


def has_systemd() -> bool:
    """Whether systemd is what runs this host."""
    return os.path.isdir("/run/systemd/system")


def systemctl(*arguments: str) -> str:
    """What systemctl prints.

    :raises PoolError: it is not there, fails, or does not end in time.
    """
    return _run("systemctl", "--no-ask-password", *arguments)


def start_timer(unit: str, seconds: float, description: str, command: t.Sequence[str]) -> None:
    """Have systemd run a command after a time, by a transient timer that outlives us.

    :raises PoolError: it cannot, or may not.
    """
    when = (f"--on-active={seconds:.3f}s", "--timer-property=AccuracySec=100ms")
    unit_options = ("--collect", f"--unit={unit}", f"--description={description}", *when)
    _run("systemd-run", "--no-ask-password", "--quiet", *unit_options, "--", *command)


def stop_timer(unit: str) -> None:
    """Have systemd forget such a timer; one that is not there is forgotten already.

    :raises PoolError: it may not.
    """
    if "not-found" not in systemctl("show", "--property", "LoadState", "--", f"{unit}.timer"):
        systemctl("stop", "--", f"{unit}.timer")


def _run(*command: str) -> str:
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SYSTEMCTL_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": ""},
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise PoolError(f"cannot run {' '.join(command)}: {exc}", reason=command[0]) from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
        raise PoolError(f"{command[0]}: {why}", reason=command[0], hint="use become: true")
    return done.stdout.decode("utf-8", "replace")


def _unit_of(pid: int) -> t.Optional[str]:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as handle:
            lines = [line.rstrip("\n").split(":", 2) for line in handle]
    except OSError:
        return None
    paths = [path for _number, kind, path in (line for line in lines if len(line) == 3) if kind in ("", "name=systemd")]
    for path in paths:
        parts = path.split("/")
        if "user.slice" in parts:
            continue  # a unit of a user's own manager, which the system's does not know
        unit = next((part for part in reversed(parts) if part.endswith(".service")), None)
        if unit:
            return unit
    return None


def bound_sockets(instance: Instance) -> t.Dict[str, t.Set[str]]:
    """The inodes of the sockets that some process has bound to the instance's paths, by the socket's name.

    A socket that is bound but does not listen yet refuses connections too, so this tells it from a stale file.
    """
    found: t.Dict[str, t.Set[str]] = {}
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as handle:
            rows = [line.split(None, 7) for line in handle][1:]
    except OSError:
        return found
    folder = os.path.realpath(instance.socket_dir)
    for row in rows:
        if len(row) < 8 or row[5] != _UNCONNECTED:
            continue
        path = row[7].rstrip("\n")
        name = os.path.basename(path)
        # A daemon that was told a relative directory shows no more than that here.
        theirs = os.path.realpath(os.path.dirname(path)) if path.startswith("/") else folder
        if name in (*SOCKETS, "pool") and theirs == folder:
            found.setdefault(name, set()).add(row[6])
    return found


def holders(instance: Instance) -> t.List[t.Dict[str, t.Any]]:
    """The processes that hold the instance's listening sockets, with their commands; those that we may see."""
    wanted = {f"socket:[{inode}]" for inodes in bound_sockets(instance).values() for inode in inodes}
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if wanted else []
    found = [pid for pid in pids if wanted & _open_sockets(pid) and _has_folder(pid, instance)]
    return [{"pid": pid, "command": _command(pid)} for pid in found]


def _has_folder(pid: int, instance: Instance) -> bool:
    """Whether what a process knows by that path is the instance's directory, and not one in a C(/tmp) of its own."""
    theirs = f"/proc/{pid}/root{os.path.abspath(instance.socket_dir)}"
    try:
        return os.path.samefile(theirs, os.path.dirname(instance.socket("listener")))
    except OSError:
        return True  # nobody can tell


def _open_sockets(pid: int) -> t.Set[str]:
    links = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                links.add(os.readlink(f"/proc/{pid}/fd/{name}"))
            except OSError:
                pass  # closed meanwhile
    except OSError:
        pass  # gone, or not ours to look into
    return links


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            return handle.read(4096).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def obstacles(instance: Instance, service: t.Optional[Service]) -> t.List[Obstacle]:
    """What would make the daemon's own handover fail, of what can be known beforehand."""
    found = [_executable(instance), _configuration(instance), _unit(instance, service)]
    return [obstacle for obstacle in found if obstacle]


def _configuration(instance: Instance) -> t.Optional[Obstacle]:
    problem = instance.problems.get("config", "")
    if instance.config is not None or "permitted" in problem or "may not" in problem:
        return None
    hint = "the new process reads its configuration anew, and ends if it cannot"
    return Obstacle("bad_config", f"its configuration cannot be used: {problem}", hint)


def _unit(instance: Instance, service: t.Optional[Service]) -> t.Optional[Obstacle]:
    if service is None or service.exit_type == "cgroup" or not service.main_pid:
        return None  # it lasts as long as anything in it
    return Obstacle(
        "unit_would_kill",
        f"{service.unit} would end with the old process and kill the new one (ExitType={service.exit_type or 'main'})",
        f"set ExitType=cgroup in the unit (systemd 250 and newer), or restart it by systemctl restart {service.unit}",
    )


def _executable(instance: Instance) -> t.Optional[Obstacle]:
    """The daemon executes its first argument anew: that file must be there, and run."""
    hint = "put the program in that place, or start the daemon by a full path; the running process goes on until then"
    program = instance.argv[0] if instance.argv else ""
    path = _resolve_program(instance, program)
    if path is None:
        return Obstacle("no_executable", f"{program!r}, by which it was started, is not there or not executable", hint)
    if instance.root:
        return None  # it lives in another file system, whose libraries are not ours: it cannot be tried from here
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [path, "-h"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TRIAL_SECONDS,
            check=False,
            cwd="/",
            preexec_fn=_as_owner_of(instance.pid),
        )
    except (OSError, subprocess.SubprocessError) as exc:
        return Obstacle("executable_fails", f"{path} does not run: {exc}", hint)
    if done.returncode < 0 or done.returncode in (126, 127):
        why = done.stderr.decode("utf-8", "replace").strip()[:300]
        return Obstacle("executable_fails", f"{path} -h ends with status {done.returncode}: {why}", hint)
    return None


def _resolve_program(instance: Instance, program: str) -> t.Optional[str]:
    """The file that the daemon would execute, as seen from here. It does not search PATH (execv, not execvp)."""
    if not program.startswith("/"):
        try:
            program = os.path.join(os.readlink(f"/proc/{instance.pid}/cwd"), program)
        except OSError:
            return None
    path = instance.root + program
    return path if os.path.isfile(path) and os.access(path, os.X_OK) else None


def _as_owner_of(pid: t.Optional[int]) -> t.Optional[t.Callable[[], None]]:
    """What makes a child of ours run as the daemon's own user, where we may choose."""
    try:
        info = os.stat(f"/proc/{pid}")
    except OSError:
        return None
    if os.geteuid() != 0 or info.st_uid == 0:
        return None

    def become() -> None:
        os.setgroups([])
        os.setgid(info.st_gid)
        os.setuid(info.st_uid)

    return become
