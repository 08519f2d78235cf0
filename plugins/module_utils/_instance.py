# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance: a running daemon's process, the root that it lives in, and its socket directory there.

What a process says of itself (its command line, C(main.pid)) shows where to look; the kernel proves which process answers on
a socket. C(_discovery.py) finds instances, and C(_inspection.py) reads what is known of one.
"""

from __future__ import annotations

import os
import re
import typing as t

from ._errors import BadInput, PoolError
from ._host import process
from ._host.access import user_name
from ._host.command_line import PROGRAMS, CommandLine
from ._host.file import Files, user_of_file
from ._host.process import Owner
from ._record import field, record
from ._text import printable

SOCKETS = ("listener", "stratifier", "connector", "generator")
DEFAULT_UPDATE_INTERVAL = 30  #: seconds, the daemon's own default
#: The url of a bitcoind. Only where there are several of them, it is compiled.
_BITCOIND = r"(?s)(?:.*?//)?(?:\[(?P<inside>[^]]*)\]|(?P<host>[^:]*))(?::(?P<port>[^/]*))?.*"
KNOWN_NAMES = frozenset(map(os.fsencode, PROGRAMS))
_COMM_LENGTH = 14  #: of its name, in the name of its process
_LONGEST_NAME, _LONGEST_PATH = (
    255,
    107,
)  #: bytes of a file's name, as its log has it, and of the path of a socket, see unix(7)


class WrongPeer(PoolError):
    """A process that is not the instance's answers on its socket, so nothing is sent."""

    phase = "connect"
    reason = "another_peer"


@record
class Instance:
    """One running or ended daemon.

    C(root) is the path of its root directory as seen from here: empty, or C(/proc/PID/root) for another one.
    C(start_ticks) is when its process started, in clock ticks since the boot: with the pid, this identifies a process.
    C(owner) is the owner of the process; of an ended one, the owner of its socket directory.
    """

    socket_dir: str
    name: str
    mode: str = "pool"
    pid: t.Optional[int] = None
    pid_state: str = "absent"
    start_time: t.Optional[float] = None
    start_ticks: t.Optional[int] = None
    argv: t.List[str] = field(default_factory=list)
    root: str = ""
    log_dir: t.Optional[str] = None
    config: t.Optional[t.Dict[str, t.Any]] = None
    owner: t.Optional[Owner] = None
    unit: t.Optional[str] = None
    #: whether another user's files are in its socket directory: then another daemon answers there
    is_displaced: bool = False
    #: whether it is in a mount namespace that a regular user made: then not even its sockets are looked at
    is_closed: bool = False
    problems: t.Dict[str, str] = field(default_factory=dict)
    #: what C(_sources/log) keeps of its log
    log_cache: t.Any = field(default=None, repr=False, compare=False)

    def socket(self, name: str) -> str:
        """The path of one of its sockets, as seen from here."""
        return f"{self.root}{self.socket_dir}/{name}"

    def log_path(self, *parts: str) -> t.Optional[str]:
        """A path in its log directory, as seen from here; None if that directory is not known."""
        return None if self.log_dir is None else os.path.join(self.root + self.log_dir, *parts)

    @property
    def files(self) -> Files:
        """Opens its files, with the rights of its user; of an ended one, with those of the owner of its log directory."""
        owner = self.owner
        if self.log_dir and (owner is None or self.pid_state != "alive"):
            owner = Files(self.root).owner_of(self.root + self.log_dir)
        return Files(self.root, owner)

    @property
    def options(self) -> t.Dict[str, str]:
        """The options of its process, by letter; empty if there is no process."""
        return CommandLine(self.argv).options

    @property
    def log_file(self) -> t.Optional[str]:
        """Its log."""
        return self.log_path(f"{self.name}.log")

    @property
    def config_file(self) -> t.Optional[str]:
        """The path of the configuration that its process reads at the start, as it sees it; None if it does not run."""
        if not self.argv or self.pid is None:
            return None
        path = process.resolve(self.pid, CommandLine(self.argv).config)
        return path if path.startswith("/") else None

    def is_at(self, socket_dir: str) -> bool:
        """Whether a path leads to its socket directory, as seen by itself or from here."""
        folder = absolute(socket_dir)
        theirs = folder_id(folder)
        return folder == self.socket_dir or (theirs is not None and theirs == self.folder_id)

    @property
    def folder_id(self) -> t.Optional[t.Tuple[int, int]]:
        """Device and inode of its socket directory; None if it may not be looked at."""
        return None if self.is_closed else folder_id(self.root + self.socket_dir)

    @property
    def user(self) -> t.Optional[str]:
        """The name of its owner; None if it is not known."""
        return user_name(self.owner.user) if self.owner else None

    @property
    def is_of_a_person(self) -> bool:
        """Whether a regular user runs it, and neither root nor a system user."""
        return self.owner is not None and self.owner.is_person

    @property
    def update_interval(self) -> t.Optional[float]:
        """Seconds between two pieces of work; None if the configuration is not known."""
        if self.config is None:
            return None
        value = self.config.get("update_interval")
        return float(value) if isinstance(value, (int, float)) and 0 < value < 1e9 else DEFAULT_UPDATE_INTERVAL

    @property
    def bitcoinds(self) -> t.List[str]:
        """The bitcoinds of the configuration as the log names them, in its order; empty if there is one, or none is known."""
        nodes = (self.config or {}).get("btcd")
        urls = [node.get("url") for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
        return [_as_logged(url) for url in urls if isinstance(url, str)] if len(urls) > 1 else []

    def no_log(self) -> PoolError:
        """The failure that its log directory is not known, with the reason."""
        why = self.problems.get("config", "no process tells it")
        message = f"the log directory of {self.name} is not known: {why}"
        return PoolError(message, hint="set log_dir", phase="find", reason="no_log")

    def require_peer(self, pid: int, user: int) -> None:
        """Raise unless a process that answers on a socket is the instance's, or a child of it.

        :arg pid: the process that listens, by the kernel; 0 if it is in a pid namespace that we cannot see.
        :arg user: its effective user.
        :raises WrongPeer: naming that process.
        """
        if self._is_own_process(pid, user):
            return
        who = f"pid {pid} of {user_name(user)}" if pid else "a process that is not visible from here"
        if self.pid_state == "alive":
            ours = f"{self.name} is pid {self.pid}"
        else:
            ours = "that is no ckpool of this directory" if pid else "nobody can tell whether that is its ckpool"
        raise WrongPeer(
            f"{who} answers on the sockets in {self.socket_dir}, and {ours}",
            self.root + self.socket_dir,
            "nothing was sent; find out who that is: ss -xlp; if it is the daemon, name it by pid",
        )

    def _is_own_process(self, pid: int, user: int) -> bool:
        if self.pid_state == "hidden":
            return pid == self.pid
        if self.pid_state != "alive" or self.pid is None:
            return self.is_served_by(pid)
        if process.start_ticks(self.pid) != self.start_ticks:
            return False
        if self.owner is not None and user != self.owner.user:
            return False  # who listened may have ended, and ours have its pid now
        return pid == self.pid or (process.descends_from(pid, self.pid) and process.has_program_of(pid, self.pid))

    def is_served_by(self, pid: int) -> bool:
        """Whether a process is a ckpool that has its socket directory."""
        command = CommandLine(process.argv_of(pid))
        if not pid or not command.argv or not is_daemon(pid, command):
            return False
        if process.is_closed(pid):
            return False
        folder = process.resolve(pid, command.socket_dir)
        theirs = folder_id(process.root_of(pid) + folder) or folder_id(folder)
        return theirs is not None and theirs == self.folder_id and not self.has_files_of_others(pid)

    def has_files_of_others(self, pid: int) -> bool:
        """Whether the files in its directory belong to another user than a process: any process can name any directory."""
        owner = process.owner_of(pid)
        makers = (user_of_file(self.socket(name)) for name in ("main.pid", *SOCKETS))
        return any(maker is not None and (owner is None or maker != owner.user) for maker in makers)

    def as_dict(self, state: t.Optional[str] = None) -> t.Dict[str, t.Any]:
        """The identity, with the keys of the modules' results."""
        return {
            "name": printable(self.name),
            "mode": self.mode,
            "socket_dir": printable(self.socket_dir),
            "log_dir": None if self.log_dir is None else printable(self.log_dir),
            "pid": self.pid,
            "started": None if self.start_time is None else int(self.start_time),
            "root": self.root or "/",
            "user": self.user,
            "state": state,
        }


def absolute(folder: str) -> str:
    """A path from an option without what it is relative to.

    :raises BadInput: that is no longer there.
    """
    try:
        return os.path.normpath(os.path.abspath(folder))
    except OSError:
        raise BadInput(f"{folder!r} is relative to a working directory that is gone", reason="bad_path") from None


def folder_id(folder: str) -> t.Optional[t.Tuple[int, int]]:
    """Device and inode of a folder, which are the same for every path that leads to it."""
    try:
        info = Files(process.split_root(folder)[0]).stat(folder)
    except PoolError:
        return None
    return info.st_dev, info.st_ino


def is_daemon(pid: int, command: CommandLine) -> bool:
    """Whether a process is a ckpool with the rights of one user, and not another program with a ckpool in its command."""
    return has_name_of_daemon(pid, command) and not why_rights_are_mixed(pid)


def has_name_of_daemon(pid: int, command: CommandLine) -> bool:
    """Whether the process has the name that the daemon gives itself. This does not prove that it is a ckpool."""
    names = {os.fsencode(command.name)[:_COMM_LENGTH]}
    if command.is_known_program:
        names.add(os.fsencode(command.program)[: _COMM_LENGTH + 1])  # it may not have named itself yet
    comm = process.comm_of(pid)
    if command.is_ours:
        return False  # it has the same name
    if len(os.fsencode(command.name)) > _LONGEST_NAME or len(os.fsencode(command.socket_dir)) > _LONGEST_PATH:
        return False  # no daemon can serve with these, which would fill each sentence about it
    if comm.startswith(b"("):
        return False  # systemd calls a process so until it runs the program, of which it has no arguments yet
    return comm in names and (command.is_known_program or "n" in command.options or comm in KNOWN_NAMES)


def why_rights_are_mixed(pid: int) -> str:
    """Why a process does not belong to one user; empty if it does. Any user may start a set-user-id program."""
    if process.owner_of(pid) is None:
        return "it has the rights of more than one user"
    return "its program is set-user-id, or may not be seen" if process.is_set_id(pid) else ""


def _as_logged(url: str) -> str:
    """The address of a bitcoind as the daemon logs it: without scheme, brackets and path, and with a port."""
    address = t.cast(t.Match[str], re.fullmatch(_BITCOIND, url))
    return f"{address.group('inside') or address.group('host') or ''}:{address.group('port') or 80}"
