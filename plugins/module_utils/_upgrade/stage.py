# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a window: what is there now is kept as the old side, what is to come as the new one, and what follows from both.

Nothing is changed yet but the record. What an earlier run has left unconfirmed is taken up if it is the same, and is
never taken for the old side.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._control import Control
from .._errors import NotFound, PoolError
from .._host import place, process
from .._host.file import exists
from .._instance import Instance
from .._text import JSON
from .._window import LIMITS, NEW, OLD, UNCONFIRMED, Member, Piece, Store, Window
from . import pieces
from .programs import executed_word, identity, path_of
from .switch import HANDOVER, STOP_START

if t.TYPE_CHECKING:
    from .._types import Json

#: Keys of a configuration that a handover does not apply: the new process inherits the open ports.
_PORTS = ("serverurl", "sv2url", "sv2jdurl")


@dataclasses.dataclass
class Wanted:
    """An instance that is to run the new side.

    :ivar program: the new program's file; None if the program stays the same.
    """

    name: str
    socket_dir: str
    unit: str = ""
    program: t.Optional[str] = None


@dataclasses.dataclass
class Staged:
    """What became of it.

    :ivar resumed: whether an earlier run has begun the same, which goes on.
    :ivar must_revert: whether an earlier run has left something else unconfirmed, which has to be reverted first.
    """

    window: Window
    resumed: bool = False
    must_revert: bool = False


def stage(
    store: Store,
    run: str,
    new: t.Sequence[Piece],
    wanted: t.Sequence[Wanted],
    strategy: str = "auto",
    confirm_within: float = 900.0,
    limits: t.Optional[t.Dict[str, float]] = None,
) -> Staged:
    """Write down both sides of a window.

    :arg new: the pieces with their new side.
    :arg strategy: C(auto), C(handover) or C(stop_start).
    :raises PoolError: a piece cannot be read, or the strategy is impossible.
    """
    with store.changing(run) as window:
        if window.state in UNCONFIRMED:
            same = _is_same(store, window, new, wanted)
            return Staged(window, resumed=same, must_revert=not same)
        window.pieces = [_with_old(store, piece) for piece in new]
        members = [_member(store, window, one, strategy) for one in wanted]
        for member in members:
            member.before = _figures_before(window, member)
        window.members = members
        window.state, window.confirm_within, window.confirm_by = "staged", confirm_within, None
        window.revert, window.limits = "", {**LIMITS, **(limits or {})}
        return Staged(window)


def require_room(store: Store, new: t.Sequence[Piece], least: int) -> None:
    """Raise unless there is room where the pieces and the record are.

    :arg least: bytes that have to be free.
    :raises PoolError: there is not.
    """
    store.prepare()
    place.require_room((store.folder, *(os.path.dirname(piece.path) for piece in new)), least)


def _with_old(store: Store, piece: Piece) -> Piece:
    """A piece with its old side. A configuration that says the same in other words stays as it is."""
    old, new = pieces.look(store, piece.path), piece.new
    made = dataclasses.replace(piece, old=old)
    if piece.kind == "config" and old and new and "sha256" in old and _configuration(store, old):
        rights = all(old[name] == new[name] for name in ("mode", "user", "group"))
        if rights and not _changed_keys(store, made):
            made.new = old
    return made


def _figures_before(window: Window, member: Member) -> t.Optional[Json]:
    """The figures that an earlier run has written down of the same process, before it drained it and was cut off."""
    for earlier in window.members:
        if window.earlier and (earlier.name, earlier.process) == (member.name, member.process):
            return earlier.before
    return None


def _is_same(store: Store, window: Window, new: t.Sequence[Piece], wanted: t.Sequence[Wanted]) -> bool:
    """Whether an earlier run, which has not gone back, wanted the very same.

    What this run does not name stays as it is now: after a switch, that is what the earlier run wanted of it.
    """
    if window.state in ("reverting", "stuck") or window.revert:
        return False
    ours = {piece.path: _with_old(store, piece).new for piece in new}
    theirs = {piece.path: piece.new for piece in window.pieces}
    found = {path: ours[path] if path in ours else pieces.look(store, path) for path in (*theirs, *ours)}
    return found == theirs and [one.name for one in window.members] == [one.name for one in wanted]


def _member(store: Store, window: Window, wanted: Wanted, strategy: str) -> Member:
    instance = _instance(wanted.socket_dir)
    old = path_of(instance) if instance else None
    service = Control(instance).service() if instance else None
    member = Member(
        wanted.name,
        wanted.socket_dir,
        wanted.unit,
        str(service["unit"]) if service else wanted.unit if not instance else "",
        programs={OLD: old, NEW: os.path.realpath(wanted.program) if wanted.program else old},
        process=identity(instance) if instance else None,
        user=instance.owner.user if instance and instance.owner else None,
    )
    member.changes = _changes(store, window, member)
    if member.changes:
        _require_programs(member)
        member.strategy, member.why = _strategy(store, window, member, instance, strategy)
    return member


def _require_programs(member: Member) -> None:
    """Raise unless the programs of both sides are there: one to switch to, and one to go back to.

    :raises PoolError: naming the one that is not.
    """
    for side, path in member.programs.items():
        if path and not exists(path):
            raise PoolError(
                f"{member.name}: {path}, the program of the {side} side, is not there",
                path,
                "was its release removed? Install it again" + ("" if side == NEW else ": the host could not go back"),
                phase="preflight",
                reason="no_program",
            )


def _instance(socket_dir: str) -> t.Optional[Instance]:
    try:
        instance = Control.find(socket_dir=socket_dir).instance
    except NotFound:
        return None
    return instance if identity(instance) else None


def _changes(store: Store, window: Window, member: Member) -> t.List[str]:
    """What is new for an instance, for a person. Values of a configuration may be secret, and are not shown."""
    found = []
    for piece in window.of(member):
        if piece.kind == "link" or not piece.differs:
            continue
        if piece.kind == "release":
            found.append(f"{piece.kind}: {_short(piece.old)} -> {_short(piece.new)}")
        elif piece.kind == "config":
            keys = ", ".join(_changed_keys(store, piece))
            found.append(f"{piece.path}: {keys or 'its text or mode'}")
        else:
            found.append(piece.path)
    if not found and member.programs[OLD] and member.programs[OLD] != member.programs[NEW]:
        found.append(f"program: {member.programs[OLD]} -> {member.programs[NEW]}")
    return found


def _short(version: t.Optional[Json]) -> str:
    return os.path.basename(str(version["target"])) if version and "target" in version else "none"


def _strategy(
    store: Store, window: Window, member: Member, instance: t.Optional[Instance], wanted: str
) -> t.Tuple[str, str]:
    """How the instance gets to the new side, and why so.

    :raises PoolError: a handover is wanted, and impossible.
    """
    if wanted == STOP_START:
        return STOP_START, "as wanted"
    why_not = _why_no_handover(store, window, member, instance)
    if why_not and wanted == HANDOVER:
        raise PoolError(
            f"{member.name} cannot hand over: {'; '.join(why_not)}",
            hint="strategy auto stops and starts it instead",
            phase="preflight",
            reason="no_handover",
        )
    return (STOP_START, "; ".join(why_not)) if why_not else (HANDOVER, "nothing is in its way")


def _why_no_handover(store: Store, window: Window, member: Member, instance: t.Optional[Instance]) -> t.List[str]:
    if instance is None:
        return ["it does not run"]
    control = Control(instance)
    why = [str(obstacle["message"]) for obstacle in control.obstacles()]
    seen = control.look()
    if not seen.is_ready:
        why.append(f"it is {seen.state}")
    for piece in window.of(member):
        if not piece.differs:
            continue
        if piece.kind == "unit" and _service_part(store, piece.old) != _service_part(store, piece.new):
            why.append(f"{piece.path} changes how it is started")
        if piece.kind == "config":
            ports = [key for key in _changed_keys(store, piece) if key in _PORTS]
            why += [f"{key} changes, and a handover keeps the open ports" for key in ports]
    word = executed_word(instance)
    reached = _after_switch(window, process.resolve(instance.pid or 0, word)) if word else ""
    if member.programs[NEW] and reached != member.programs[NEW]:
        why.append(f"its command line names {word}, which does not lead to {member.programs[NEW]}")
    return why


def _after_switch(window: Window, path: str) -> str:
    """Where a path leads once the new side is in place."""
    for piece in window.pieces:
        target = (piece.new or {}).get("target")
        if target and (path == piece.path or path.startswith(f"{piece.path}/")):
            path = os.path.join(os.path.dirname(piece.path), str(target)) + path[len(piece.path) :]
    return os.path.realpath(path)


def _service_part(store: Store, version: t.Optional[Json]) -> t.List[str]:
    """The lines of a unit that matter to a process that it starts."""
    if not version or "sha256" not in version:
        return []
    section, lines = "", []
    for line in store.kept(str(version["sha256"])).decode("utf-8", "replace").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line
        elif line and not line.startswith(("#", ";")) and section == "[Service]":
            lines.append(line)
    return lines


def _changed_keys(store: Store, piece: Piece) -> t.List[str]:
    old, new = (_configuration(store, version) for version in (piece.old, piece.new))
    return sorted(key for key in {**old, **new} if old.get(key) != new.get(key))


def _configuration(store: Store, version: t.Optional[Json]) -> Json:
    """The configuration of a side; empty where it is none. The daemon ignores what follows the closing brace."""
    if not version or "sha256" not in version:
        return {}
    text = store.kept(str(version["sha256"])).decode("utf-8", "replace").lstrip()
    try:
        value, _end = JSON.raw_decode(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
