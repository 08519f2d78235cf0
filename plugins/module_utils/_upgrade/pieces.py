# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links and files that a window switches: what is there now, what is to come, and putting one side in place."""

from __future__ import annotations

import typing as t

from .._errors import PoolError
from .._host import place
from .._host.put import Attributes
from .._window import Piece, Store

if t.TYPE_CHECKING:
    from .._types import Json


def look(store: Store, path: str) -> t.Optional[Json]:
    """What is at a path now, the content of a file being kept; None for nothing.

    :raises PoolError: it is neither a link nor a file, or cannot be read or kept.
    """
    found = place.look(path)
    if isinstance(found, place.File):
        return _kept(store, found.content, found.attributes)
    return None if found is None else {"target": found}


def take(store: Store, source: str, attributes: Attributes) -> Json:
    """A new version of a file, from one that was put elsewhere; its content is kept.

    :raises PoolError: it cannot be read or kept.
    """
    found = place.look(source)
    if not isinstance(found, place.File):
        raise PoolError(f"{source} is no file", source, phase="read", reason="not_a_file")
    return _kept(store, found.content, attributes)


def _kept(store: Store, content: bytes, attributes: Attributes) -> Json:
    return {
        "sha256": store.keep(content),
        "mode": attributes.mode,
        "user": attributes.user,
        "group": attributes.group,
    }


def put(store: Store, piece: Piece, side: str) -> bool:
    """Put one side of a piece in its place, at once; whether that changed anything.

    :raises PoolError: it cannot be done.
    """
    version = piece.side(side)
    if version is None:
        return place.put_nothing(piece.path)
    if "target" in version:
        return place.put_link(piece.path, str(version["target"]))
    attributes = Attributes(version["user"], version["group"], version["mode"])
    return place.put_file(piece.path, store.kept(str(version["sha256"])), attributes)
