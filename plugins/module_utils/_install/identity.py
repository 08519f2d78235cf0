# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of Stratum V2, by which miners know a pool: where they are, and that they stay what they are.

The daemon makes them at its first start, and makes others where it does not find them. Miners that hold the old public
key cannot connect then. So a configuration that names another place takes the keys along, and one that would lead to
others is refused.

Source: upstream 1.2.
"""

from __future__ import annotations

import os
import stat
import typing as t

from .._errors import PoolError
from .._host import put
from .._host.file import Files
from .._host.process import Owner
from .daemon_config import speaks_stratum_v2

#: the keys of a configuration, and how their files are called where it names none
FILES: t.Mapping[str, str] = {"sv2_authority_key": "sv2_authority.key", "sv2_static_key": "sv2_static.key"}
_MOST_KEY = 64 * 1024
Config = t.Dict[str, t.Any]


def with_places(config: t.Mapping[str, t.Any], mode: str, state_dir: t.Optional[str]) -> Config:
    """A configuration that names places for its keys, where it needs them and names none.

    :arg state_dir: a folder that lasts; None to name none.
    """
    if not state_dir or not speaks_stratum_v2(config, mode):
        return dict(config)
    return {**{key: os.path.join(state_dir, name) for key, name in FILES.items() if not config.get(key)}, **config}


def places(config: t.Mapping[str, t.Any], mode: str, socket_dir: str) -> t.Dict[str, str]:
    """Where the daemon has its keys, by the keys of its configuration; empty where it needs none."""
    if not speaks_stratum_v2(config, mode):
        return {}
    return {key: str(config.get(key) or os.path.join(socket_dir, name)) for key, name in FILES.items()}


def moves(before: t.Mapping[str, str], after: t.Mapping[str, str], owner: Owner) -> t.List[t.Tuple[str, str]]:
    """The key files that have to be copied, from where to where, so that the pool stays the one that miners know.

    :arg before: where they are, as C(places) gives them.
    :arg after: where they will be looked for.
    :arg owner: the daemon's user.
    :raises PoolError: others are there already.
    """
    found = []
    for key, source in before.items():
        target = after.get(key)
        if not target or target == source:
            continue
        old, new = _read(source, owner), _read(target, owner)
        if old is None or old == new:
            continue
        if new is not None:
            raise PoolError(
                f"{key} would change from {source} to {target}, which holds another key: miners that know the pool by the "
                "old one could not connect",
                target,
                f"name {source} in the configuration, or move {target} away",
                phase="find",
                reason="identity",
            )
        found.append((source, target))
    return found


def copy(source: str, target: str, owner: Owner) -> None:
    """Copy a key file to where there is none yet, for the daemon's user alone.

    :raises PoolError: it cannot be read or written, or something is there by now.
    """
    data = _read(source, owner)
    if data is None:
        raise PoolError(f"{source} is no longer there", source, phase="read", reason="absent")
    put.write_once(target, data, owner)


def _read(path: str, owner: Owner) -> t.Optional[bytes]:
    """A key file of the daemon's user; None where there is none.

    :raises PoolError: it is somebody else's, or may not be read.
    """
    files = Files("", owner)
    try:
        info = files.stat(path)
        if not stat.S_ISREG(info.st_mode) or info.st_uid not in (0, owner.user):
            raise PoolError(f"{path} is no file of the daemon's user", path, phase="read", reason="not_trusted")
        return files.read(path, _MOST_KEY)
    except PoolError as exc:
        if exc.reason == "absent":
            return None
        raise
