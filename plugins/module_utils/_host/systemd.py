# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking systemd about units and processes, and making it stop a unit or run a command later.

Sources: systemctl(1), systemd-run(1), proc(5).
"""

from __future__ import annotations

import os
import subprocess
import typing as t

from .._errors import PoolError
from .._record import record
from .process import argv_of, parent_of

_SYSTEMCTL_SECONDS = 30.0
_PROPERTIES = ("LoadState", "ActiveState", "ControlGroup", "Restart", "ExitType", "KillMode", "MainPID", "Type")
#: What may be the main process of a unit and parent of the daemon. Any other main process, such as cron, sshd or a
#: supervisor, does other work too, and its unit is not the daemon's.
_WRAPPERS = frozenset(
    ("sh", "bash", "dash", "ash", "ksh", "zsh", "su", "sudo", "doas", "runuser", "setpriv", "env", "nice", "conmon")
)


@record
class Service:
    """The systemd unit of a process, with the values that systemd shows."""

    unit: str
    restart: str = ""
    exit_type: str = ""
    kill_mode: str = ""
    type: str = ""
    main_pid: int = 0

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


def service_of(pid: int) -> t.Optional[Service]:
    """The system unit of a process; None if it has none, as in a session or without systemd.

    A process that cron, sshd or a supervisor started is in their unit, which does not count: stopping it would end these,
    and perhaps not even the process.

    :raises PoolError: systemd could not be asked.
    """
    group = _group_of(pid)
    if group is None or not has_systemd():
        return None
    unit = os.path.basename(group)
    known = show(unit, *_PROPERTIES)
    main_pid = known.get("MainPID", "")
    service = Service(
        unit,
        known.get("Restart", ""),
        known.get("ExitType", ""),
        known.get("KillMode", ""),
        known.get("Type", ""),
        int(main_pid) if main_pid.isdigit() else 0,
    )
    if known.get("LoadState") != "loaded":
        return None
    if service.main_pid:
        return service if _is_wrapped(pid, service.main_pid) else None
    # After a handover systemd knows no main process. A control group can be given any name by users who may make one.
    is_own = known.get("ActiveState") == "active" and known.get("ControlGroup") == group
    return service if is_own else None


def _is_wrapped(pid: int, main_pid: int) -> bool:
    """Whether a process is the main process of a unit, or this only waits for it."""
    while pid != main_pid:
        pid = parent_of(pid)
        if not is_wrapper(pid):
            return False
    return True


def is_wrapper(pid: int) -> bool:
    """Whether a process may be one that only waits for what it has started, such as a shell or su."""
    return _program_name(pid) in _WRAPPERS


def _program_name(pid: int) -> str:
    """The name of the program that a process was started with. C(comm) would be the name of a shell's script."""
    return os.path.basename("".join(argv_of(pid)[:1])).lstrip("-")


class Unit(t.NamedTuple):
    """A service that systemd has loaded, with its command."""

    name: str
    argv: t.Tuple[str, ...]
    working_dir: str
    active_state: str
    file_state: str

    @property
    def is_active(self) -> bool:
        """Whether it runs, or is being started or stopped."""
        return self.active_state not in ("inactive", "failed", "")

    @property
    def is_wanted(self) -> bool:
        """Whether it should run: it is enabled, or it failed."""
        return self.active_state == "failed" or self.file_state.startswith("enabled")

    @property
    def state(self) -> str:
        """Its state for a person."""
        return f"{self.active_state} ({self.file_state})"


def service_commands() -> t.List[Unit]:
    """The services that systemd has loaded, with their commands.

    :raises PoolError: systemd does not run here, or could not be asked.
    """
    if not has_systemd():
        raise PoolError("systemd does not run here")
    wanted = "Id,ExecStart,WorkingDirectory,ActiveState,UnitFileState"
    units = []
    for paragraph in systemctl("show", "--property", wanted, "--", "*.service").split("\n\n"):
        known = {name: value for name, _sign, value in (line.partition("=") for line in paragraph.splitlines())}
        words = known.get("ExecStart", "").partition("argv[]=")[2].partition(" ; ")[0].split()
        if words:
            place = known.get("WorkingDirectory", "").lstrip("!-")
            states = known.get("ActiveState", ""), known.get("UnitFileState", "")
            units.append(Unit(known.get("Id", ""), tuple(words), place, *states))
    return units


def stop_service(unit: str) -> None:
    """Make systemd stop a unit, without waiting for it.

    :raises PoolError: it cannot, or may not.
    """
    systemctl("stop", "--no-block", "--", unit)


def has_systemd() -> bool:
    """Whether systemd is the init of this host."""
    return os.path.isdir("/run/systemd/system")


def systemctl(*arguments: str) -> str:
    """The output of systemctl.

    :raises PoolError: it is not there, fails, or does not end in time.
    """
    return _run("systemctl", "--no-ask-password", *arguments)


def show(unit: str, *properties: str) -> t.Dict[str, str]:
    """Properties of a unit, by name, as systemd has them now; those that this version does not know are left out.

    :raises PoolError: systemd does not tell.
    """
    lines = systemctl("show", "--property", ",".join(properties), "--", unit).splitlines()
    return {name: value for name, _sign, value in (line.partition("=") for line in lines)}


def start_timer(unit: str, seconds: float, description: str, command: t.Sequence[str]) -> None:
    """Make systemd run a command later, by a transient timer.

    :raises PoolError: it cannot, or may not.
    """
    when = (f"--on-active={seconds:.3f}s", "--timer-property=AccuracySec=100ms")
    unit_options = ("--collect", f"--unit={unit}", f"--description={description}", *when)
    _run("systemd-run", "--no-ask-password", "--quiet", *unit_options, "--", *command)


def stop_timer(unit: str) -> None:
    """Stop such a timer, if it exists.

    :raises PoolError: it could not be stopped.
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


def _group_of(pid: int) -> t.Optional[str]:
    """The control group of the system unit of a process: the outermost one, as other users may name those inside it."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as handle:
            lines = [line.rstrip("\n").split(":", 2) for line in handle]
    except OSError:
        return None
    paths = [path for _number, kind, path in (line for line in lines if len(line) == 3) if kind in ("", "name=systemd")]
    for path in paths:
        parts = path.split("/")
        if "user.slice" in parts:
            continue  # a unit of a user's own systemd
        for end, part in enumerate(parts, 1):
            if part.endswith(".service"):
                return "/".join(parts[:end])
    return None
