# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of a process. Nothing here trusts what a process says of itself.

Sources: proc(5), credentials(7), pid_namespaces(7).
"""

from __future__ import annotations

import os
import re
import stat
import time
import typing as t

from .._errors import Unreadable

_MOST_TEXT = 1024 * 1024  #: bytes of what the kernel tells that are read
_MOST_WORDS = 16 * 1024  #: bytes of a command line: any user can start many processes, and each is looked at
_SYSTEM_USERS = 1000  #: user ids from here on are people's, as login.defs(5) has it
_SERVICE_USERS = range(61184, 65536)  #: except those that systemd gives to units with DynamicUser, and the user nobody
_SET_ID = stat.S_ISUID | stat.S_ISGID
_VERSION = re.compile(rb"\0(?:ckpool|elopool)[a-z-]{0,20}/(\d[\w.-]{0,30})\0", re.IGNORECASE)
_FOREIGN_ROOT = re.compile(r"(/proc/\d+/root)(/.*)?\Z")
_MOST_PROGRAM = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_OVERLAP = 64  #: bytes that no version is longer than


class Owner(t.NamedTuple):
    """A user with all groups, with whose rights something runs or is read.

    :ivar user: the user id, in our user namespace.
    :ivar group: the main group's id.
    :ivar groups: the ids of all groups, with the main one.
    """

    user: int
    group: int
    groups: t.FrozenSet[int]

    @property
    def is_person(self) -> bool:
        """Whether it is a regular user, and neither root nor a system user."""
        return is_person(self.user)


def is_person(user: int) -> bool:
    """Whether a user id is that of a regular user.

    Higher ids are given to regular users for the containers that they run (subuid(5)).
    """
    return user >= _SYSTEM_USERS and user not in _SERVICE_USERS


def pids() -> t.Iterator[int]:
    """Every process that we can see."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def stat_fields(pid: int) -> t.List[str]:
    """The fields of C(/proc/PID/stat) after the command's name, which may hold anything; the state comes first."""
    return _text(pid, "stat").rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie. One that /proc hides from us counts as alive."""
    fields = stat_fields(pid)
    if fields:
        return fields[0] not in ("Z", "X")
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def start_ticks(pid: int) -> t.Optional[int]:
    """When a process started, in clock ticks since the boot; None if it is gone or hidden. This never changes."""
    try:
        return int(stat_fields(pid)[19])
    except (IndexError, ValueError):
        return None


def boot_id() -> str:
    """The id of this boot of the host; empty if it may not be read."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii", errors="replace") as handle:
            return handle.read(4096).strip()
    except OSError:
        return ""


def environment_of(pid: int, most: int) -> t.List[bytes]:
    """What a process was started with, as C(NAME=VALUE), in order.

    :arg most: bytes that are read.
    :raises OSError: it is gone, or we are neither root nor its owner.
    """
    with open(f"/proc/{pid}/environ", "rb") as handle:
        return handle.read(most).split(b"\0")


def start_time(ticks: t.Optional[int]) -> t.Optional[float]:
    """Epoch seconds. The clock is the kernel's own: in a container /proc/uptime may be the container's."""
    if ticks is None:
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def owner_of(pid: int) -> t.Optional[Owner]:
    """The owner of a process; None if it is gone or hidden, or has the rights of more than one user.

    A set-user-id program keeps the user who started it as its real user, and so this user may control it: a process has
    one owner only if its real, effective and saved user and group agree.
    """
    status = _status(pid)
    users, groups = (set(status.get(name, "").split()[:3]) for name in ("Uid", "Gid"))
    if len(users) != 1 or len(groups) != 1:
        return None
    group = int(groups.pop())
    return Owner(int(users.pop()), group, frozenset((group, *map(int, status.get("Groups", "").split()))))


def is_set_id(pid: int) -> bool:
    """Whether its program is set-user-id or set-group-id. Then any user can start it with any command line.

    A process that is just ending no longer has a program, and may have given up its rights: for root it counts as one too.
    """
    try:
        return bool(os.stat(f"/proc/{pid}/exe").st_mode & _SET_ID)
    except OSError:
        return os.geteuid() == 0


def has_program_of(pid: int, other: int) -> bool:
    """Whether two processes run the same file."""
    try:
        ours, theirs = os.stat(f"/proc/{pid}/exe"), os.stat(f"/proc/{other}/exe")
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def parent_of(pid: int) -> int:
    """The parent process; 0 if there is none."""
    try:
        return int(stat_fields(pid)[1])
    except (IndexError, ValueError):
        return 0


def children_of(pid: int) -> t.List[int]:
    """The processes that a process, any thread of it, has started."""
    found: t.List[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as handle:
                found += [int(word) for word in handle.read().split()]
    except FileNotFoundError:  # a thread has ended, or the kernel keeps no such list
        found = [one for one in pids() if parent_of(one) == pid]
    except OSError:
        pass
    return found


def descends_from(pid: int, ancestor: int) -> bool:
    """Whether a process is another one, or was started by it."""
    for _generation in range(64):
        if pid == ancestor:
            return True
        if pid <= 1:
            break
        pid = parent_of(pid)
    return False


def inner_pid(pid: int) -> t.Optional[int]:
    """The pid of a process in its own pid namespace, which is what a daemon in a container writes into main.pid."""
    numbers = _status(pid).get("NSpid", "").split()
    return int(numbers[-1]) if numbers else None


def comm_of(pid: int) -> bytes:
    """The name of its first thread; empty if it is gone or hidden."""
    return _bytes(pid, "comm", 64).rstrip(b"\n")


def argv_of(pid: int) -> t.List[str]:
    """The words of its command line, which it can choose freely; empty if it is gone, hidden, or a kernel thread.

    One that is longer than that of any daemon is empty too.
    """
    line = _bytes(pid, "cmdline", _MOST_WORDS + 1)
    return [os.fsdecode(word) for word in line.split(b"\0")[:-1]] if len(line) <= _MOST_WORDS else []


def command_of(pid: int) -> str:
    """Its command line for a person."""
    return _bytes(pid, "cmdline", 4096).replace(b"\0", b" ").decode("utf-8", "replace").strip()


def program_of(pid: int) -> str:
    """The path of its program, in its own file system; empty if it may not be seen."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def version_of(pid: int) -> t.Optional[str]:
    """The version in a daemon's program, as neither a reply nor the log contains it; None if it may not be read."""
    return version_in(f"/proc/{pid}/exe")


def version_in(path: str) -> t.Optional[str]:
    """The version in the file of a daemon's program; None if there is none, or it may not be read."""
    end = b""
    try:
        with open(path, "rb") as program:
            for _piece in range(_MOST_PROGRAM // _PIECE):
                piece = program.read(_PIECE)
                found = _VERSION.search(end + piece)
                if found:
                    return found.group(1).decode("ascii", "replace")
                if not piece:
                    break
                end = piece[-_OVERLAP:]
    except OSError:
        pass
    return None


def root_of(pid: int) -> str:
    """Where the root directory of a process is seen from here."""
    return f"/proc/{pid}/root"


def split_root(path: str) -> t.Tuple[str, str]:
    """A path below C(/proc/PID/root) as that root and the path that the process has; any other one behind an empty root."""
    found = _FOREIGN_ROOT.match(path)
    return (found.group(1), found.group(2) or "/") if found else ("", path)


def has_other_root(pid: int) -> bool:
    """Whether a process sees another root directory than we do."""
    try:
        ours, theirs = os.stat("/"), os.stat(f"{root_of(pid)}/")
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino)


def below_root(pid: int, path: str) -> str:
    """A path from the kernel about a process, below the root of that process, which is in front of it in a chroot."""
    try:
        root = os.readlink(root_of(pid))
    except OSError:
        return path
    return path[len(root) :] if root != "/" and path.startswith(f"{root}/") else path


def resolve(pid: int, path: str) -> str:
    """A path of a process, made absolute by its working directory; unchanged if that may not be seen."""
    if not path.startswith("/"):
        try:
            path = os.path.join(below_root(pid, os.readlink(f"/proc/{pid}/cwd")), path)
        except OSError:
            return path
    return os.path.normpath(path)


def is_closed(pid: int) -> bool:
    """Whether a process has a mount namespace of its own that another regular user made.

    Its maker can make every access to it hang, even that of root.
    """
    owner = owner_of(pid)
    if owner is not None and (not owner.is_person or owner.user == os.geteuid()):
        return False
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False  # we may not look into it either


def descriptors(pid: int, most: t.Optional[int] = None) -> t.Dict[int, str]:
    """What a process has open, by descriptor.

    :arg most: the number of descriptors to look at, from the lowest; None for all.
    :raises Unreadable: we are neither root nor its owner.
    """
    folder = f"/proc/{pid}/fd"
    found: t.Dict[int, str] = {}
    try:
        for entry in os.listdir(folder)[:most]:
            try:
                found[int(entry)] = os.readlink(f"{folder}/{entry}")
            except OSError:
                pass  # closed meanwhile
    except OSError as exc:
        raise Unreadable(f"cannot see the open files of pid {pid}: {exc.strerror}", hint="use become: true") from None
    return found


def open_files(pid: int) -> t.Tuple[int, t.Optional[int]]:
    """The number of files that a process has open, and the limit.

    :raises Unreadable: we are neither root nor its owner.
    """
    try:
        count = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError as exc:
        raise Unreadable(f"cannot count the open files of pid {pid}: {exc.strerror}", hint="use become: true") from None
    line = next((row for row in _text(pid, "limits").splitlines() if row.startswith("Max open files")), "")
    limit = line[len("Max open files") :].split()[:1]
    return count, int(limit[0]) if limit and limit[0].isdigit() else None


def _status(pid: int) -> t.Dict[str, str]:
    rows = (line.partition(":") for line in _text(pid, "status").splitlines())
    return {name: value.strip() for name, _colon, value in rows}


def _text(pid: int, name: str) -> str:
    return _bytes(pid, name, _MOST_TEXT).decode("utf-8", "replace")


def _bytes(pid: int, name: str, most: int) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as handle:
            return handle.read(most)
    except OSError:
        return b""
