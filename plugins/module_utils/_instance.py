# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an instance lives: socket directory, process, mode, configuration, log directory; and how to find one.

Everything is read from C(/proc) and the file system; nothing is asked of the daemon.
Sources: proc(5); the daemon's options and files as described in docs/what-ckpool-answers.md.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import stat
import time
import typing as t

from ._errors import BadInput, NotFound, PoolError, Unparsable, Unreadable
from ._wire import access_hint, describe_access

SOCKETS = ("listener", "stratifier", "connector", "generator")
DEFAULT_UPDATE_INTERVAL = 30  #: seconds, the daemon's own default
MODE_NAMES = {
    "pool": "ckpool",
    "solo": "ckpool",
    "proxy": "ckproxy",
    "passthrough": "ckpassthrough",
    "redirector": "ckredirector",
    "node": "cknode",
}
_MODE_FLAGS = {"N": "node", "R": "redirector", "P": "passthrough", "p": "proxy", "u": "proxy", "B": "solo"}
_MODE_ORDER = ("node", "redirector", "passthrough", "proxy", "solo")
_WITH_VALUE = {
    "c": "config",
    "d": "ckdb-name",
    "g": "group",
    "l": "loglevel",
    "n": "name",
    "S": "ckdb-sockdir",
    "s": "sockdir",
}
_LONG = {name: letter for letter, name in _WITH_VALUE.items()}
_LONG.update({"btcsolo": "B", "passthrough": "P", "proxy": "p", "redirector": "R", "node": "N", "userproxy": "u"})
_PROGRAMS = tuple(sorted(set(MODE_NAMES.values())))
_INTERPRETERS = ("python", "sh", "bash", "dash", "env", "valgrind", "gdbserver")
_COMM_LENGTH = 14  #: of its name, in the name of its process
MAX_FILE = 16 * 1024 * 1024  #: bytes that a file may have unless told otherwise


@dataclasses.dataclass
class Process:
    """One process that may be a ckpool."""

    pid: int
    argv: t.List[str]
    options: t.Dict[str, str]
    start_time: t.Optional[float] = None
    start_ticks: t.Optional[int] = None

    @property
    def mode(self) -> str:
        """pool, solo, proxy, passthrough, redirector or node."""
        return next((mode for mode in _MODE_ORDER if self.options.get("mode:" + mode)), "pool")

    @property
    def name(self) -> str:
        """The daemon's name: C(-n), or the default of its mode."""
        return self.options.get("n") or MODE_NAMES[self.mode]

    @property
    def socket_dir(self) -> str:
        """The socket directory as the daemon itself sees it."""
        folder = self.options.get("s") or f"/tmp/{self.name}"
        return _resolve(self.pid, folder)


@dataclasses.dataclass
class Instance:
    """One running or ended daemon: a socket directory and what belongs to it.

    C(root) is where this instance's file system is seen from here: empty, or C(/proc/PID/root) for a private one.
    C(start_ticks) is when its process started, in the kernel's clock ticks: with the pid, that names a process for good.
    """

    socket_dir: str
    name: str
    mode: str = "pool"
    pid: t.Optional[int] = None
    pid_state: str = "absent"
    start_time: t.Optional[float] = None
    start_ticks: t.Optional[int] = None
    argv: t.List[str] = dataclasses.field(default_factory=list)
    root: str = ""
    log_dir: t.Optional[str] = None
    config: t.Optional[t.Dict[str, t.Any]] = None
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)

    def socket(self, name: str) -> str:
        """The path of one of its sockets, as seen from here."""
        return f"{self.root}{self.socket_dir}/{name}"

    def log_path(self, *parts: str) -> t.Optional[str]:
        """A path in its log directory, as seen from here; None where that directory is not known."""
        return None if self.log_dir is None else os.path.join(self.root + self.log_dir, *parts)

    @property
    def options(self) -> t.Dict[str, str]:
        """The options of its process, by letter; empty where there is none."""
        return _options(self.argv) if self.argv else {}

    @property
    def log_file(self) -> t.Optional[str]:
        """Its log."""
        return self.log_path(f"{self.name}.log")

    @property
    def update_interval(self) -> t.Optional[float]:
        """Seconds between two pieces of work; None where the configuration is not known."""
        if self.config is None:
            return None
        value = self.config.get("update_interval")
        return float(value) if isinstance(value, (int, float)) and 0 < value < 1e9 else DEFAULT_UPDATE_INTERVAL

    def last_log_lines(self) -> t.List[str]:
        """The end of its log, for a failure to show; empty where there is none to be had."""
        from ._sources import log  # few tasks need it

        return log.last_lines(self.log_file) if self.log_file else []

    def as_dict(self, state: t.Optional[str] = None) -> t.Dict[str, t.Any]:
        """The identity under the names of the modules' results."""
        return {
            "name": self.name,
            "mode": self.mode,
            "socket_dir": self.socket_dir,
            "log_dir": self.log_dir,
            "pid": self.pid,
            "state": state,
        }


def find(socket_dir: t.Optional[str] = None, name: t.Optional[str] = None, log_dir: t.Optional[str] = None) -> Instance:
    """The one instance that fits.

    With nothing given: C(/tmp/ckpool) if a daemon lives there, else the only one that runs, else what is left in
    C(/tmp/ckpool).

    :raises NotFound: none, or several, fit; the message says what was found.
    :raises BadInput: what was given cannot be a path.
    """
    check_paths(socket_dir, name, log_dir)
    if socket_dir:
        return _find_at(os.path.normpath(os.path.abspath(socket_dir)), name, log_dir)
    default = f"/tmp/{name or 'ckpool'}"
    found = [i for i in discover(log_dir) if name is None or i.name == name]
    living = [i for i in found if i.pid_state == "alive"]
    at_default = [i for i in found if i.socket_dir == default]
    if len(living) > 1:
        living = [i for i in living if i.socket_dir == default] or living
    if len(living) == 1:
        return living[0]
    if living:
        raise NotFound(
            "several ckpools run here: " + "; ".join(f"{i.name} (pid {i.pid}) in {i.socket_dir}" for i in living),
            hint="name one by socket_dir or name, or ask all of them where the module allows it",
            reason="several_instances",
        )
    if at_default:
        return at_default[0]
    others = f"; {neighbours()}" if name else ""
    raise NotFound(
        f"no ckpool{' named ' + name if name else ''} runs here, and {default} does not exist{others}",
        default,
        "is it running? systemctl status ckpool; if it keeps its sockets elsewhere, set socket_dir",
    )


def _find_at(folder: str, name: t.Optional[str], log_dir: t.Optional[str]) -> Instance:
    instance = _at(folder, name, log_dir)
    if instance.pid_state == "alive" and name in (None, instance.name):
        return instance
    # A unit's PrivateTmp shows the directory to its own processes only. Outside, another may have the same.
    there = (i for i in discover(log_dir) if i.socket_dir == folder and i.pid_state == "alive")
    private = next((i for i in there if name in (None, i.name)), None)
    if private is None and instance.pid_state == "alive":
        raise NotFound(f"the ckpool in {folder} is {instance.name}, not {name}", folder, reason="no_instance")
    return private or instance


def discover(log_dir: t.Optional[str] = None) -> t.List[Instance]:
    """Every instance of this host: the running ones, and what ended ones left in the default directories.

    :raises BadInput: C(log_dir) cannot be a path.
    """
    check_paths(log_dir)
    instances: t.Dict[t.Tuple[str, str], Instance] = {}
    for process in processes():
        instance = _of_process(process, log_dir)
        if instance:
            instances.setdefault((instance.root, instance.socket_dir), instance)
    for name in _PROGRAMS:
        folder = f"/tmp/{name}"
        if ("", folder) not in instances and _has_sockets(folder):
            instances["", folder] = _at(folder, None, log_dir)
    return sorted(instances.values(), key=lambda i: (i.socket_dir, i.root))


def neighbours() -> str:
    """What ckpools this host has, for a failure to name: those that run, and where ended ones left something."""
    found = discover()
    running = "; ".join(f"{i.name} (pid {i.pid}) in {i.socket_dir}" for i in found if i.pid_state == "alive")
    left = ", ".join(i.socket_dir for i in found if i.pid_state != "alive")
    text = f"running here: {running}" if running else "no ckpool runs here"
    return f"{text}; ended ones left {left}" if left else text


def processes() -> t.Iterator[Process]:
    """Every process that looks like a ckpool by its command."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            process = _process(int(entry))
            if process:
                yield process


def is_alive(pid: int) -> bool:
    """Whether the process exists and is more than a zombie. One that /proc hides from us is taken to be alive."""
    fields = stat_fields(pid)
    if fields:
        return fields[0] not in ("Z", "X")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def check_paths(*paths: t.Optional[str]) -> None:
    """Refuse what cannot be a path, before a system call trips over it.

    :raises BadInput: naming it.
    """
    for path in paths:
        if path and not _can_be_path(path):
            raise BadInput(f"{path!r} cannot be a path", reason="bad_path")


def _can_be_path(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _process(pid: int) -> t.Optional[Process]:
    argv = _argv(pid)
    if not argv or not _looks_like_ckpool(argv) or not is_alive(pid):
        return None
    return _seen(pid, argv)


def _seen(pid: int, argv: t.List[str]) -> Process:
    ticks = start_ticks(pid)
    return Process(pid, argv, _options(argv), _start_time(ticks), ticks)


def _argv(pid: int) -> t.List[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            return [os.fsdecode(word) for word in handle.read().split(b"\0")[:-1]]
    except OSError:
        return []


def _looks_like_ckpool(argv: t.List[str]) -> bool:
    program = os.path.basename(argv[0])
    if program.startswith(_INTERPRETERS) and len(argv) > 1:
        program = os.path.basename(argv[1])
    return any(known in program for known in _PROGRAMS)


def _options(argv: t.List[str]) -> t.Dict[str, str]:
    """The daemon's options, by letter; flags that choose a mode as C(mode:NAME). What is no option is passed over."""
    found: t.Dict[str, str] = {}
    words = iter(argv[1:])
    for word in words:
        if word.startswith("--"):
            name, _sign, value = word[2:].partition("=")
            letters = _LONG[name] + value if name in _LONG else ""
        else:
            letters = word[1:] if word.startswith("-") else ""
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _WITH_VALUE:
                found[letter] = letters or next(words, "")
                break
            if letter in _MODE_FLAGS:
                found["mode:" + _MODE_FLAGS[letter]] = "yes"
    return found


def stat_fields(pid: int) -> t.List[str]:
    """The fields of C(/proc/PID/stat) after the command's name, which may hold anything; the state comes first."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            return handle.read().rpartition(")")[2].split()
    except OSError:
        return []


def start_ticks(pid: int) -> t.Optional[int]:
    """When a process started, in clock ticks since the boot; None where it is gone or hidden. Never changes."""
    try:
        return int(stat_fields(pid)[19])
    except (IndexError, ValueError):
        return None


def _start_time(ticks: t.Optional[int]) -> t.Optional[float]:
    """Epoch seconds. The clock is the kernel's own: in a container /proc/uptime may be the container's."""
    if ticks is None:
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def _resolve(pid: int, path: str) -> str:
    """A path of a process, made absolute by its working directory."""
    if not path.startswith("/"):
        try:
            path = os.path.join(os.readlink(f"/proc/{pid}/cwd"), path)
        except OSError:
            pass
    return os.path.normpath(path)


def _of_process(process: Process, log_dir: t.Optional[str]) -> t.Optional[Instance]:
    """The instance of a process; None where the process turns out not to own the directory that it names."""
    folder = process.socket_dir
    root = _root_of(process.pid, folder)
    owner = _read_pid(f"{root}{folder}/main.pid")
    ours = owner in (process.pid, _inner_pid(process.pid))
    if not _is_daemon(process) or (not ours and owner is not None and is_alive(owner)):
        return None
    instance = Instance(folder, process.name, process.mode, process.pid, root=root, log_dir=log_dir)
    _take(instance, process)
    return instance


def _is_daemon(process: Process) -> bool:
    """Whether it is a ckpool and no other program that has one in its command, as a monitor or a task of ours may.

    The daemon gives its process its own name.
    """
    try:
        with open(f"/proc/{process.pid}/comm", "rb") as handle:
            comm = handle.read().rstrip(b"\n")
    except OSError:
        return False
    return comm == os.fsencode(process.name)[:_COMM_LENGTH] or os.path.basename(process.argv[0]) in _PROGRAMS


def _inner_pid(pid: int) -> t.Optional[int]:
    """The number that a process has in its own pid namespace, which is what a daemon in a container writes down."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as handle:
            numbers = next((line.split()[1:] for line in handle if line.startswith("NSpid:")), [])
    except OSError:
        return None
    return int(numbers[-1]) if numbers else None


def _root_of(pid: int, folder: str) -> str:
    """Empty, or the process's root if it sees another directory under that path than we do (a unit's PrivateTmp)."""
    root = f"/proc/{pid}/root"
    try:
        theirs = os.stat(root + folder)
    except OSError:
        return ""
    try:
        ours = os.stat(folder)
    except OSError:
        return root
    return "" if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino) else root


def _at(folder: str, name: t.Optional[str], log_dir: t.Optional[str]) -> Instance:
    """The instance at a path that no process was seen to own by its command."""
    base = os.path.basename(folder)
    modes = {program: mode for mode, program in reversed(list(MODE_NAMES.items())) if mode != "solo"}
    instance = Instance(folder, name or (base if base in modes else "ckpool"), modes.get(base, "pool"), log_dir=log_dir)
    pid_file = f"{folder}/main.pid"
    instance.pid = _read_pid(pid_file)
    if instance.pid is not None:
        _adopt(instance, instance.pid)
    elif os.path.exists(pid_file):
        instance.problems["pid"] = f"{pid_file} does not hold a process id, or may not be read"
    return instance


def _adopt(instance: Instance, pid: int) -> None:
    """Judge the process that main.pid names: gone, this daemon under an unknown command, or somebody else."""
    if not is_alive(pid):
        instance.pid_state = "dead"
        return
    argv = _argv(pid)
    process = _seen(pid, argv)
    if argv and _is_daemon(process) and _same_folder(process, instance.socket_dir):
        instance.mode, instance.name = process.mode, process.name
        _take(instance, process)
    else:
        # A process without a command line is the kernel's; one without a state is hidden from us.
        instance.pid_state = "another" if stat_fields(pid) else "hidden"


def _take(instance: Instance, process: Process) -> None:
    """Fill in what the living process of an instance tells."""
    instance.pid_state, instance.argv = "alive", process.argv
    instance.start_time, instance.start_ticks = process.start_time, process.start_ticks
    _read_config(instance, process)


def _same_folder(process: Process, folder: str) -> bool:
    """Whether the process's socket directory is this one, whatever links lead there."""
    theirs = process.socket_dir
    try:
        return theirs == folder or os.path.samefile(f"/proc/{process.pid}/root{theirs}", folder)
    except OSError:
        return os.path.realpath(theirs) == os.path.realpath(folder)


def _read_pid(path: str) -> t.Optional[int]:
    try:
        text = read_file(path, 64).decode("ascii", "replace").strip()
    except PoolError:
        return None
    return int(text) if text.isdigit() and 0 < int(text) < 2**31 else None


def _has_sockets(folder: str) -> bool:
    return any(os.path.lexists(f"{folder}/{name}") for name in (*SOCKETS, "main.pid"))


def _read_config(instance: Instance, process: Process) -> None:
    """Take the configuration and the log directory from where the process has them."""
    path = _resolve(process.pid, process.options.get("c") or f"{process.name}.conf")
    if not path.startswith("/"):
        instance.problems["config"] = (
            f"may not read /proc/{process.pid}/cwd, so {path} is not found: use become, or set log_dir"
        )
        return
    try:
        instance.config = parse_config(read_file(instance.root + path), path)
    except PoolError as exc:
        instance.problems["config"] = f"{exc}" + (f" ({exc.hint})" if exc.hint else "")
        return
    folder = instance.config.get("logdir")
    if not isinstance(folder, str) or not folder or not _can_be_path(folder):
        folder = "logs"
    if instance.log_dir is None:
        absolute = _resolve(process.pid, folder)
        if absolute.startswith("/"):
            instance.log_dir = absolute


def parse_config(data: bytes, path: str) -> t.Dict[str, t.Any]:
    """The daemon's configuration. What follows the closing brace is comment, as the daemon has it.

    :raises Unparsable: it does not begin with a JSON object.
    """
    try:
        value, _end = json.JSONDecoder().raw_decode(data.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError) as exc:
        raise Unparsable(f"{path} is not JSON: {exc}", path) from None
    if not isinstance(value, dict):
        raise Unparsable(f"{path} is not a JSON object", path)
    return value


def read_file(path: str, limit: int = MAX_FILE) -> bytes:
    """The content of a regular file. Never blocks on a pipe that somebody put there.

    :arg limit: bytes that it may have.
    :raises Unreadable: it cannot be opened, is no regular file, or is larger.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise Unreadable(
            f"not permitted to read {path}: {describe_access(path)}", path, access_hint(path), reason="not_permitted"
        ) from None
    except OSError as exc:
        gone = exc.errno in (errno.ENOENT, errno.ENOTDIR)
        raise Unreadable(f"cannot read {path}: {exc.strerror}", path, reason="absent" if gone else "") from None
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise Unreadable(f"{path} is not a regular file", path, reason="not_a_file")
        if info.st_size > limit:
            raise Unreadable(f"{path} has {info.st_size} bytes, more than {limit}", path, reason="too_large")
        data = b""
        while len(data) <= limit:
            chunk = os.read(handle, min(limit + 1, max(info.st_size + 1, 4096)))
            if not chunk:
                break
            data += chunk
        return data
    except OSError as exc:
        raise Unreadable(f"cannot read {path}: {exc.strerror}", path) from None
    finally:
        os.close(handle)


def open_files(pid: int) -> t.Tuple[int, t.Optional[int]]:
    """How many files a process has open, and how many it may.

    :raises Unreadable: we are neither root nor its owner.
    """
    try:
        count = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/limits", encoding="ascii") as handle:
            line = next((row for row in handle if row.startswith("Max open files")), "")
    except OSError as exc:
        raise Unreadable(f"cannot count the open files of pid {pid}: {exc.strerror}", hint="use become: true") from None
    limit = line[len("Max open files") :].split()[:1]
    return count, int(limit[0]) if limit and limit[0].isdigit() else None
