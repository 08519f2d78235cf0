# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unix sockets that processes of this host have bound in a folder, and the processes that hold them.

Sources: proc(5), unix(7).
"""

from __future__ import annotations

import os
import time
import typing as t

from .._errors import PoolError
from . import process

_UNCONNECTED = "01"  #: the state of a bound or listening socket in /proc/net/unix; its connections have others
_LONGEST_SEARCH = 5.0  #: seconds of looking at what processes have open


def bound_sockets(folder: str, names: t.Container[str]) -> t.Dict[str, t.Set[str]]:
    """The inodes of the sockets that a process has bound in a folder, by the socket's name.

    A socket that is bound but does not listen yet refuses connections too; this distinguishes it from a stale file. The
    path of a socket may be relative, or below another root, so it is resolved for the process that holds it. If that is
    hidden from us, only an absolute path counts.
    """
    rows = [row for row in _rows() if os.path.basename(row[1]) in names]
    by_inode = _holders({inode for inode, _path in rows}) if rows else {}
    found: t.Dict[str, t.Set[str]] = {}
    for inode, path in rows:
        pids = by_inode.get(inode, [])
        is_here = any(_is_in(pid, path, folder) for pid in pids) if pids else os.path.dirname(path) == folder
        if is_here:
            found.setdefault(os.path.basename(path), set()).add(inode)
    return found


def holders(folder: str, names: t.Container[str]) -> t.List[t.Dict[str, t.Any]]:
    """The processes that hold the sockets in a folder, with their commands, as far as they may be seen."""
    inodes = {inode for found in bound_sockets(folder, names).values() for inode in found}
    pids = sorted({pid for found in _holders(inodes).values() for pid in found})
    return [{"pid": pid, "command": process.command_of(pid)} for pid in pids]


def _rows() -> t.Iterator[t.Tuple[str, str]]:
    """Inode and path of each bound socket."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as handle:
            for line in handle:
                row = line.rstrip("\n").split(None, 7)
                if len(row) == 8 and row[5] == _UNCONNECTED:
                    yield row[6], row[7]
    except OSError:
        return


def _holders(inodes: t.Set[str]) -> t.Dict[str, t.List[int]]:
    """The processes that have these sockets open, by inode.

    Regular users can have any number of files open, so their processes come last, and only while there is time.
    """
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: t.Dict[str, t.List[int]] = {}
    deadline = time.monotonic() + _LONGEST_SEARCH
    for pid in sorted(process.pids(), key=_is_of_a_person) if wanted else ():
        if time.monotonic() > deadline and _is_of_a_person(pid):
            break
        try:
            opened = set(process.descriptors(pid).values())
        except PoolError:
            continue  # gone, or not ours to look into
        for link in opened & set(wanted):
            found.setdefault(wanted[link], []).append(pid)
    return found


def _is_of_a_person(pid: int) -> bool:
    owner = process.owner_of(pid)
    return owner is not None and owner.is_person


def _is_in(pid: int, path: str, folder: str) -> bool:
    """Whether a path of a process leads to a file in a folder, as seen from here."""
    theirs = os.path.dirname(process.resolve(pid, path))
    if process.is_closed(pid):
        return False
    try:
        return os.path.samefile(f"/proc/{pid}/root{theirs}", folder)
    except OSError:
        return theirs == folder  # that cannot be seen
