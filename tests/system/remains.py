# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of a run on hosts that boot, and what is left of runs that were interrupted.

The name of the folder is in the name of everything that a run makes elsewhere: control groups, images, containers. The run
holds a lock on its folder. What has no such lock was left, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = Path("/var/tmp")
_PREFIX = "ckf-run-"
_LOCK = "/run/ckf-runs.lock"  # held while a folder is made or folders are looked through
_CGROUPS = Path("/sys/fs/cgroup")
_PODMAN = "uses-podman"
_END_SECONDS = 20.0


def unified() -> Path:
    """Where the unified hierarchy of control groups is: in a folder of its own beside the older ones, or the only one."""
    hybrid = _CGROUPS / "unified"
    return hybrid if hybrid.is_dir() else _CGROUPS


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A folder for a run. It and all that bears its name are gone afterwards."""
    with _only_one():
        for left in _left():
            remove(left)
        # Images are called after it: their names may have no two signs side by side, which mkdtemp would make of its "_".
        folder = _FOLDERS / f"{_PREFIX}{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        held = (folder / "lock").open("w")
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        remove(folder)
        held.close()


def uses_podman(folder: Path) -> None:
    """Note that a run has images and containers, called after its folder."""
    (folder / _PODMAN).touch()


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    with open(_LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _left() -> list[Path]:
    """The folders of runs that have ended."""
    left = []
    for folder in _FOLDERS.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
        except FileNotFoundError:  # its run has just removed it
            continue
        if stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not _is_held(folder):
            left.append(folder)
    return left


def _is_held(folder: Path) -> bool:
    try:
        with (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def remove(folder: Path) -> None:
    """End the processes of a run, and take away its mounts, control groups, images and files."""
    groups = list(unified().glob(f"{folder.name}-*"))
    for group in groups:
        _end(group)
    unmount(folder)
    for group in groups:
        for inner in sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
            _rmdir(inner)
        _rmdir(group)
    if (folder / _PODMAN).exists() and shutil.which("podman"):
        _remove_images(folder.name)
    shutil.rmtree(folder, ignore_errors=True)


def unmount(folder: Path) -> None:
    """Unmount everything below a folder, the innermost first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    below = [name for name in (line.split()[1] for line in lines) if name.startswith(f"{folder}/")]
    for name in sorted(below, reverse=True):
        subprocess.run(["umount", "-l", name], check=False, capture_output=True, timeout=60)


def _rmdir(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _end(group: Path) -> None:
    """End every process in a control group and in those below it."""
    deadline = time.monotonic() + _END_SECONDS
    while (pids := _processes(group)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _processes(group: Path) -> list[int]:
    pids: list[int] = []
    for path in [group / "cgroup.procs", *group.rglob("cgroup.procs")]:
        with contextlib.suppress(OSError):
            pids += [int(line) for line in path.read_text().split()]
    return [pid for pid in pids if pid > 1]  # 0 stands for a process that this one cannot name


def _remove_images(stem: str) -> None:
    for find, end in (
        (["ps", "-a", "--filter", f"name={stem}", "--format", "{{.Names}}"], ["rm", "-f", "-t", "2"]),
        (["images", "--filter", f"reference=localhost/{stem}*", "--format", "{{.Repository}}:{{.Tag}}"], ["rmi", "-f"]),
    ):
        names = subprocess.run(
            ["podman", *find], check=False, capture_output=True, text=True, timeout=120
        ).stdout.split()
        if names:
            subprocess.run(["podman", *end, *names], check=False, capture_output=True, timeout=120)
