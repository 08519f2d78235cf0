# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a program: what can be seen without running it, who may change it, and trying it as another user.

Sources: elf(5), execve(2), path_resolution(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import select
import signal
import stat
import struct
import subprocess
import threading
import time
import typing as t

from .checksum import open_file
from .process import Owner, parent_of, pids

_ELF, _SCRIPT = b"\x7fELF", b"#!"
_KIND = struct.Struct("=4sBB10x2s2s")  #: of the file: magic, class, order of bytes; type and machine as they come
_MOST_LINKS = 40
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MOST_SAID = 4096  #: bytes of its output that are kept
_MOST_HEARD = 1024 * 1024  #: bytes of output that it may write
_NO_NEW_PRIVILEGES = 38


class DoesNotRun(Exception):
    """A program was tried, and does not run."""


@dataclasses.dataclass(frozen=True)
class Said:
    """How a program ended, and the beginning of what it said: at most C(_MOST_SAID) bytes of each, as text.

    :ivar status: its exit status; negative for the signal that ended it.
    """

    status: int
    output: str
    errors: str


def fault_of(head: bytes, running: bytes) -> str:
    """Why the kernel would not execute a file, by its first bytes; empty if no reason is seen.

    :arg running: the first bytes of a program that runs on this machine.
    """
    if head.startswith(_SCRIPT):
        return ""
    if not head.startswith(_ELF):
        return "it is no program"
    if len(head) < _KIND.size:
        return "it is cut off"
    ours, theirs = (_KIND.unpack_from(one) for one in (running.ljust(_KIND.size, b"\0"), head))
    if running.startswith(_ELF) and (ours[1:3], ours[4]) != (theirs[1:3], theirs[4]):
        return "it is made for another machine"
    return ""


def is_safe(path: str, users: t.Collection[int], is_wanted: t.Callable[[int], bool] = stat.S_ISREG) -> bool:
    """Whether only root and these users can change what a path leads to, or put another file in its place.

    A folder on the way may be sticky, as /tmp is; what the path leads to may not, as others can put files into it.

    :arg is_wanted: the kind of file, by its mode; a regular file unless told otherwise.
    """
    trusted = {0, *users}
    links = 0
    place, names = "/", _parts(path)
    while True:
        try:
            info = os.lstat(place)
        except OSError:
            return False
        if info.st_uid not in trusted:
            return False
        if stat.S_ISLNK(info.st_mode):
            links += 1
            target = os.path.join(os.path.dirname(place), os.readlink(place))
            place, names = "/", _parts(target) + names
            if links > _MOST_LINKS:
                return False
            continue
        if info.st_mode & _OTHERS_WRITE and not (names and _is_sticky_folder(info)):
            return False
        if not names:
            return is_wanted(info.st_mode)
        place = os.path.join(place, names.pop(0))


def head_of(pid: int, size: int) -> bytes:
    """The first bytes of the program that a process runs; those of a script if they may not be read."""
    try:
        with open(f"/proc/{pid}/exe", "rb") as handle:
            return handle.read(size)
    except OSError:
        return _SCRIPT  # with which any file is compatible


@contextlib.contextmanager
def opened(path: str) -> t.Iterator[int]:
    """The open file of a program, to be judged and run.

    :raises PoolError: it cannot be read.
    """
    handle = open_file(path, "try")
    try:
        yield handle
    finally:
        os.close(handle)


def try_if_trusted(path: str, pid: int, owner: Owner, seconds: float) -> None:
    """Run a program with C(-h) as a user, if it is the one that a process runs, or if only root and that user can change it.

    :raises OSError: it cannot be opened.
    :raises DoesNotRun: it cannot be executed, is ended by a signal, or does not end in time.
    """
    handle = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    try:
        if _is_program_of(handle, pid) or _is_trusted(path, handle, owner):
            try_out(handle, "-h", owner, seconds)
    finally:
        os.close(handle)


def _is_program_of(handle: int, pid: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(f"/proc/{pid}/exe"))
    except OSError:
        return False


def _is_trusted(path: str, handle: int, owner: Owner) -> bool:
    try:
        return is_safe(path, (owner.user,)) and os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _parts(path: str) -> t.List[str]:
    """The names in an absolute path. C(..) is kept, as the path then leads through the folder above too."""
    return [name for name in path.split("/") if name not in ("", ".")]


def _is_sticky_folder(info: os.stat_result) -> bool:
    """Whether all users may make files in a folder, but not replace those of others, as in /tmp."""
    return stat.S_ISDIR(info.st_mode) and bool(info.st_mode & stat.S_ISVTX)


def try_out(handle: int, argument: str, owner: Owner, seconds: float) -> None:
    """Run a program with one argument, with no rights but those of its user, and see whether it runs at all.

    :arg handle: a descriptor of its file: what was judged is what is run.
    :raises DoesNotRun: it cannot be executed, is ended by a signal, or does not end in time.
    """
    said = run(handle, (argument,), owner, seconds)
    if said.status < 0 or said.status in (126, 127):
        raise DoesNotRun(f"it ends with status {said.status}: {said.errors.strip()[:300]}")


def run(handle: int, arguments: t.Sequence[str], owner: Owner, seconds: float) -> Said:
    """Run a program to its end, with no rights but those of its user.

    :arg handle: a descriptor of its file: what was judged is what is run.
    :raises DoesNotRun: it cannot be executed, does not end in time, or says too much.
    """
    os.set_inheritable(handle, True)
    watchdog = threading.Timer(seconds, _kill_children, (set(_children()),))
    watchdog.daemon = True
    watchdog.start()
    try:
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function,subprocess-popen-preexec-fn
            [path_of(handle), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            pass_fds=(handle,),
            start_new_session=True,
            preexec_fn=_becoming(owner, seconds),
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise DoesNotRun(str(exc)) from None
    finally:
        watchdog.cancel()
    try:
        said = _listen(process, time.monotonic() + seconds)
    finally:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
        process.kill()
        process.wait()
    if said is None:
        raise DoesNotRun(f"it has not ended in {seconds:g} s, or says too much")
    output, errors = (text.decode("utf-8", "replace") for text in said)
    return Said(process.returncode, output, errors)


def path_of(handle: int) -> str:
    """The path by which a program is run that was opened, and by which it calls itself."""
    return f"/proc/self/fd/{handle}"


def _children() -> t.Iterator[int]:
    """The child processes of this one."""
    return (pid for pid in pids() if parent_of(pid) == os.getpid())


def _kill_children(known: t.Container[int]) -> None:
    """End a child that has not executed its program yet: until it does, its new user can stop it forever."""
    for pid in _children():
        if pid not in known:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _listen(process: subprocess.Popen[bytes], deadline: float) -> t.Optional[t.Tuple[bytes, bytes]]:
    """The beginning of what a process prints, and of its errors, until it ends; None if it does not, or says too much."""
    streams = {pipe.fileno(): pipe for pipe in (process.stdout, process.stderr) if pipe}
    said = dict.fromkeys(streams, b"")
    heard = 0
    with contextlib.ExitStack() as stack:
        for pipe in streams.values():
            stack.enter_context(pipe)
        waiting = list(streams)
        while waiting:
            left = deadline - time.monotonic()
            ready = select.select(waiting, [], [], left)[0] if left > 0 else []
            if not ready:
                return None
            for number in ready:
                piece = os.read(number, 65536)
                heard += len(piece)
                said[number] = (said[number] + piece)[:_MOST_SAID]
                if not piece:
                    waiting.remove(number)
            if heard > _MOST_HEARD:
                return None
    try:
        process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return None
    first, second = list(streams)
    return said[first], said[second]


def _becoming(owner: Owner, seconds: float) -> t.Callable[[], None]:
    """What a child process does before it executes the program: give up all rights that its user does not have."""
    prctl = _prctl()
    is_root = os.geteuid() == 0

    def become() -> None:
        for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, int(seconds) + 1)):
            resource.setrlimit(limit, (most, most))
        if is_root:
            os.setgroups(sorted(owner.groups))
            os.setresgid(owner.group, owner.group, owner.group)
            os.setresuid(owner.user, owner.user, owner.user)
        prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)

    return become


def _prctl() -> t.Callable[..., int]:
    try:
        import ctypes  # a Python may be built without it

        call: t.Callable[..., int] = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return lambda *_arguments: 0
    return call
