# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use a path, for the message about an access that was refused.

Sources: path_resolution(7), passwd(5), group(5).
"""

from __future__ import annotations

import os
import stat
import typing as t

from .._errors import BadInput
from .process import Owner


def describe_access(path: str) -> str:
    """Owner, group and mode of the part of a path that may not be accessed, and our own user and groups."""
    blocked = _blocking_part(path)
    who = f"we are {user_name(os.geteuid())} (groups {', '.join(sorted(group_name(g) for g in _our_groups()))})"
    try:
        info = os.stat(blocked)
    except OSError as exc:
        return f"{blocked}: {exc.strerror}; {who}"
    mode = stat.filemode(info.st_mode)
    return f"{blocked} is {mode} {user_name(info.st_uid)}:{group_name(info.st_gid)}; {who}"


def access_hint(path: str) -> str:
    """What would allow a refused access."""
    try:
        info = os.stat(_blocking_part(path))
    except OSError:
        return "use become: true"
    return f"use become: true, or become_user: {user_name(info.st_uid)}, or join the group {group_name(info.st_gid)}"


def _blocking_part(path: str) -> str:
    """The outermost folder of a path that may not be searched, or else the path itself."""
    parts = path.split("/")
    for end in range(2, len(parts)):
        folder = "/".join(parts[:end])
        if not os.access(folder, os.X_OK):
            return folder
    return path


def _our_groups() -> t.Set[int]:
    return set(os.getgroups()) | {os.getegid()}


def user_name(uid: int) -> str:
    """The name of a user, or the id if it has none."""
    import pwd  # only a failure needs it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of a group, or the id if it has none."""
    import grp  # only a failure needs it

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def permissions_of(path: str) -> t.Dict[str, t.Optional[str]]:
    """Who may use a file: its C(path), C(owner), C(group) and C(mode), each None where that cannot be seen."""
    try:
        info = os.stat(path)
    except OSError:
        return {"path": path, "owner": None, "group": None, "mode": None}
    mode = f"{stat.S_IMODE(info.st_mode):04o}"
    return {"path": path, "owner": user_name(info.st_uid), "group": group_name(info.st_gid), "mode": mode}


def owner_named(name: t.Optional[str]) -> Owner:
    """A user with all groups, by name; whoever runs this if there is no name.

    :raises BadInput: there is no such user.
    """
    if not name:
        return Owner(os.geteuid(), os.getegid(), frozenset(_our_groups()))
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise BadInput(f"there is no user {name!r}", hint=f"getent passwd {name}", reason="no_user") from None
    groups = os.getgrouplist(name, entry.pw_gid)
    return Owner(entry.pw_uid, entry.pw_gid, frozenset((entry.pw_gid, *groups)))


def group_named(name: str) -> int:
    """A group by name.

    :raises BadInput: there is no such group.
    """
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise BadInput(f"there is no group {name!r}", hint=f"getent group {name}", reason="no_group") from None
