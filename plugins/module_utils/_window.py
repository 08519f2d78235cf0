# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maintenance window of a host: one run at a time, and a record of all that it changes.

One file, C(window.json), is both the lock and the record: whoever opened the window last, and has not closed it, holds it.
It is kept in a folder that is root's alone, survives a reboot, and tells another run, or the host itself, how to go on.
What was in force before and what is to come are two sides, C(old) and C(new), of the same pieces: a link, or files.

This room stores. What switches the host from one side to the other is in C(_upgrade/).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import time
import typing as t

from ._errors import BadInput, PoolError, Unreadable
from ._host import own_folder, put
from ._host.file import Files
from ._text import printable

if t.TYPE_CHECKING:
    from ._types import Json

FOLDER = "/var/lib/ckpool.fleet"
OLD, NEW = "old", "new"
OUTCOMES = ("nothing_to_do", "done", "rolled_back", "rollback_failed", "failed", "not_started")
#: States in which the host runs, or may run, something that nobody has confirmed.
UNCONFIRMED = ("switching", "switched", "held", "reverting", "stuck")
#: Seconds from the order to hand over, or from a start, until the listener answers; that a unit may take to stop before it is
#: killed; until a pool that was switched back has work.
LIMITS = {"handover": 60.0, "start": 60.0, "stop": 60.0, "ready": 120.0}
_FILE = "window.json"
_KEPT_WINDOWS = 20  #: records of closed windows that are kept
_LATEST = 2.0**40  #: epoch seconds that a record may name
_OURS = put.Attributes(None, None, 0o600)
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


class Held(PoolError):
    """Another run holds the window."""

    phase = "window"
    reason = "window_held"


class NotOpen(PoolError):
    """The window is not open, or no longer this run's."""

    phase = "window"
    reason = "window_lost"


@dataclasses.dataclass
class Piece:
    """A link or a file that a window switches.

    :ivar path: where it is.
    :ivar kind: C(release), C(config) or C(unit), for a person.
    :ivar instance: the instance that it belongs to; empty for what all of the host share.
    :ivar old: what is there on the old side: C(target) of a link, or C(sha256 user group mode) of a file whose content is
        kept; None for nothing.
    :ivar new: the same of the new side.
    """

    path: str
    kind: str
    instance: str = ""
    old: t.Optional[Json] = None
    new: t.Optional[Json] = None

    @property
    def differs(self) -> bool:
        """Whether the two sides differ."""
        return self.old != self.new

    def side(self, side: str) -> t.Optional[Json]:
        """What is there on one side."""
        return self.old if side == OLD else self.new


@dataclasses.dataclass
class Member:
    """An instance in a window.

    :ivar unit: the systemd unit that starts the new side; empty without one.
    :ivar old_unit: the one that its process belonged to when the window was staged, which mostly is the same.
    :ivar wanted: the side that it is to run.
    :ivar at: the side that it runs; empty while that is being changed.
    :ivar strategy: C(handover) or C(stop_start).
    :ivar why: why that one.
    :ivar programs: the program's file on each side, links resolved; None where it is not known.
    :ivar process: pid and start, in clock ticks, of the process when the window was staged.
    :ivar user: the id of its user then; None where it did not run.
    :ivar before: the figures before anything was done to it.
    :ivar switch: how the last switch went: C(side how seconds began problem pid longest_gap).
    """

    name: str
    socket_dir: str
    unit: str = ""
    old_unit: str = ""
    wanted: str = OLD
    at: str = OLD
    strategy: str = ""
    why: str = ""
    changes: t.List[str] = dataclasses.field(default_factory=list)
    programs: t.Dict[str, t.Optional[str]] = dataclasses.field(default_factory=dict)
    process: t.Optional[t.List[int]] = None
    user: t.Optional[int] = None
    before: t.Optional[Json] = None
    switch: t.Optional[Json] = None


@dataclasses.dataclass
class Window:
    """A maintenance window of a host. Times are epoch seconds.

    :ivar run: names the run that holds it.
    :ivar owner: for whom, as C(who@controller).
    :ivar controller: where that run lives: C(host boot pids pid started).
    :ivar state: C(open), C(staged), C(switching), C(switched), C(held), C(confirmed), C(reverting), C(reverted), C(stuck).
    :ivar confirm_by: when the host goes back to the old side by itself unless it is confirmed; None for never.
    :ivar limits: seconds that things may take on the host, by L(LIMITS).
    :ivar guard: what on the host does that: a unit of systemd, or C(pid N).
    :ivar earlier: the runs that held it before this one, and how far each got.
    """

    run: str
    owner: str
    reason: str
    opened: int
    expires: int
    controller: Json = dataclasses.field(default_factory=dict)
    closed: t.Optional[int] = None
    state: str = "open"
    outcome: t.Optional[str] = None
    msg: str = ""
    confirm_by: t.Optional[int] = None
    confirm_within: float = 900.0
    limits: t.Dict[str, float] = dataclasses.field(default_factory=lambda: dict(LIMITS))
    guard: str = ""
    revert: str = ""
    earlier: t.List[Json] = dataclasses.field(default_factory=list)
    pieces: t.List[Piece] = dataclasses.field(default_factory=list)
    members: t.List[Member] = dataclasses.field(default_factory=list)
    report: Json = dataclasses.field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether a run holds it, or held it and was cut off."""
        return self.closed is None

    @property
    def is_expired(self) -> bool:
        """Whether another run may take it over."""
        return time.time() >= self.expires

    def member(self, name: str) -> Member:
        """An instance of it, by name.

        :raises BadInput: it has none of that name.
        """
        for member in self.members:
            if member.name == name:
                return member
        names = ", ".join(member.name for member in self.members) or "none"
        raise BadInput(f"{name} is not in this window, which has {names}", reason="not_in_window")

    def of(self, member: Member) -> t.List[Piece]:
        """The pieces that an instance depends on."""
        return [piece for piece in self.pieces if piece.instance in ("", member.name)]

    def as_dict(self) -> Json:
        """The record under the names of the modules' results. Contents of files are not in it."""
        made = dataclasses.asdict(self)
        made["instances"] = made.pop("members")
        return made

    def holder(self) -> str:
        """Who holds it, for a person."""
        until = f"until {_clock(self.expires)}" if not self.is_expired else f"which expired at {_clock(self.expires)}"
        why = f" for {self.reason!r}" if self.reason else ""
        return f"{self.owner} (run {self.run}){why} since {_clock(self.opened)}, {until}; it is {self.state}"


def from_dict(known: Json) -> Window:
    """The window of a record.

    :raises PoolError: it is none.
    """
    try:
        pieces = [_made(Piece, one) for one in known.get("pieces") or []]
        members = [_made(Member, one) for one in known.get("instances") or []]
        window = _made(Window, {**known, "pieces": pieces, "members": members})
        _check(window)
    except (TypeError, AttributeError, KeyError) as exc:
        raise PoolError(f"the record of the window cannot be understood: {exc}", reason="bad_record") from None
    return window


def _check(window: Window) -> None:
    """Raise if a record holds what no run wrote there, as when a person has edited it.

    :raises TypeError: naming the first such field.
    """
    if not isinstance(window.run, str):
        raise TypeError("run")
    for name in ("opened", "expires", "confirm_within", "confirm_by"):
        value = getattr(window, name)
        is_time = isinstance(value, (int, float)) and 0 <= value <= _LATEST
        if not is_time and (name != "confirm_by" or value is not None):
            raise TypeError(name)
    for name, kind in (("controller", dict), ("limits", dict), ("report", dict), ("earlier", list), ("state", str)):
        if not isinstance(getattr(window, name), kind):
            raise TypeError(name)


_Record = t.TypeVar("_Record")


def _made(kind: t.Type[_Record], known: Json) -> _Record:
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in known.items() if name in names})


class Store:
    """The folder of the windows of this host.

    :arg folder: root's alone, or whoever's we are.
    """

    def __init__(self, folder: str = FOLDER) -> None:
        self.folder = folder

    @property
    def path(self) -> str:
        """The file that is lock and record."""
        return f"{self.folder}/{_FILE}"

    def prepare(self) -> None:
        """Make the folder, if it is not there.

        :raises PoolError: it cannot be made, or others could write to it.
        """
        try:
            for place in (self.folder, f"{self.folder}/windows", f"{self.folder}/kept"):
                own_folder.make(place)
        except OSError as exc:
            raise put.failure(exc, self.folder) from None

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[None]:
        """A moment in which nobody else reads or writes. It is short: whoever holds the window does not hold this.

        :raises PoolError: the folder cannot be used.
        """
        self.prepare()
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(own_folder.locked(f"{self.folder}/lock"))
            except OSError as exc:
                raise put.failure(exc, f"{self.folder}/lock") from None
            yield

    def load(self) -> t.Optional[Window]:
        """The window that is open, or was last; None where there never was one.

        :raises PoolError: the record cannot be read. A record that cannot be read may be that of an open window.
        """
        try:
            why = own_folder.why_not_ours(self.folder)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise Unreadable(f"cannot read {self.folder}: {exc.strerror}", self.folder, "use become: true") from None
        if why:
            raise Unreadable(
                f"{self.folder} is not ours alone: {why}", self.folder, "use become: true", reason="not_trusted"
            )
        try:
            return from_dict(self._read(self.path))
        except Unreadable as exc:
            if exc.reason == "absent":
                return None
            raise

    def save(self, window: Window) -> None:
        """Write the record, whole at once, and make sure that it survives a loss of power.

        :raises PoolError: it cannot be written.
        """
        self._write(self.path, json.dumps(window.as_dict(), indent=1).encode("ascii"))

    def _read(self, path: str) -> Json:
        """A record.

        :raises PoolError: it is not there, or is none.
        """
        try:
            known = json.loads(Files().read(path))
        except (ValueError, RecursionError):
            known = None
        if not isinstance(known, dict):
            hint = f"look at it; remove it if no run goes on: rm {path}"
            raise PoolError(f"{path} is no record of a window", path, hint, "read", "bad_record")
        return known

    def _write(self, path: str, content: bytes) -> None:
        with put.written(path, content, _OURS):
            pass

    @contextlib.contextmanager
    def changing(self, run: t.Optional[str] = None) -> t.Iterator[Window]:
        """The open window, to be changed; what was changed is saved at the end.

        :arg run: whose it must be; None for whoever's.
        :raises NotOpen: it is not open, or another run's.
        """
        with self.locked():
            window = self.load()
            if window is None or not window.is_open:
                raise NotOpen("the window of this host is not open", self.path, "open it first", reason="window_closed")
            if run is not None and window.run != run:
                raise NotOpen(
                    f"the window of this host was taken over by {window.holder()}",
                    self.path,
                    "nothing more was done by this run",
                )
            yield window
            self.save(window)

    # Contents

    def keep(self, content: bytes) -> str:
        """Keep the content of a file, and return its SHA-256 in hex, by which it is found again.

        :raises PoolError: it cannot be kept.
        """
        digest = hashlib.sha256(content).hexdigest()
        self.prepare()
        self._write(f"{self.folder}/kept/{digest}", content)
        return digest

    def kept(self, digest: str) -> bytes:
        """The content that was kept.

        :raises PoolError: it is not there, or was changed.
        """
        path = f"{self.folder}/kept/{digest}"
        content = Files().read(path)
        if hashlib.sha256(content).hexdigest() != digest:
            raise PoolError(f"{path} is not what was kept", path, phase="read", reason="not_kept")
        return content

    # History

    def archive(self, window: Window) -> None:
        """Keep the record of a closed window beside those before, and drop the oldest."""
        self._write(f"{self.folder}/windows/{window.run}.json", json.dumps(window.as_dict(), indent=1).encode("ascii"))
        for name in self._records()[:-_KEPT_WINDOWS]:
            own_folder.remove(f"{self.folder}/windows/{name}")
        self._drop_unused(window)

    def history(self) -> t.List[Window]:
        """The closed windows, the newest first; what cannot be read is left out."""
        found = []
        for name in reversed(self._records()):
            with contextlib.suppress(PoolError):
                found.append(from_dict(self._read(f"{self.folder}/windows/{name}")))
        return found

    def _records(self) -> t.List[str]:
        """The names of the records, the oldest first."""
        return [name for name in own_folder.names(f"{self.folder}/windows") if name.endswith(".json")]

    def _drop_unused(self, window: Window) -> None:
        """Remove the contents that no record names."""
        named = {
            version["sha256"]
            for one in (window, *self.history())
            for piece in one.pieces
            for version in (piece.old, piece.new)
            if version and "sha256" in version
        }
        for name in own_folder.names(f"{self.folder}/kept"):
            if name not in named:
                own_folder.remove(f"{self.folder}/kept/{name}")


def open_window(
    store: Store,
    run: str,
    owner: str,
    reason: str = "",
    seconds: float = 7200.0,
    controller: t.Optional[Json] = None,
    take_over: str = "",
) -> Window:
    """Open the window of this host for a run. A run that opens it again has it still.

    :arg seconds: after which another run may take it over.
    :arg take_over: the run that is known to have ended without closing it.
    :raises Held: another run holds it.
    """
    if not _RUN.match(run):
        raise BadInput(f"run {run[:120]!r} cannot name a run", reason="bad_run")
    now = int(time.time())
    fresh = Window(run, printable(owner), printable(reason), now, int(now + seconds), dict(controller or {}))
    with store.locked():
        before = store.load()
        if before is not None and before.is_open:
            require_free(store, before, run, take_over)
            fresh = _continued(before, fresh)
        store.save(fresh)
    return fresh


def require_free(store: Store, window: Window, run: str, take_over: str = "") -> None:
    """Raise unless a run may take over a window that is open.

    :raises Held: another run holds it.
    """
    if window.run not in (run, take_over) and not window.is_expired:
        raise _held(store, window)


def _continued(before: Window, fresh: Window) -> Window:
    """A window that was not closed goes on under another run, with all that is known of it."""
    if before.run == fresh.run:
        return dataclasses.replace(before, expires=fresh.expires)
    left = {"run": before.run, "owner": before.owner, "opened": before.opened, "state": before.state}
    return dataclasses.replace(
        before,
        run=fresh.run,
        owner=fresh.owner,
        reason=fresh.reason,
        opened=fresh.opened,
        expires=fresh.expires,
        controller=fresh.controller,
        earlier=[*before.earlier, left],
        outcome=None,
        msg="",
        report={},
    )


def _held(store: Store, window: Window) -> Held:
    return Held(
        f"the window of this host is held by {window.holder()}",
        store.path,
        "wait for that run; if it is dead, break its hold: ansible HOST -b -m ckpool.fleet.ckpool_window -a state=broken",
        facts={"window": window.as_dict()},
    )


def break_hold(store: Store) -> t.Optional[Window]:
    """Let another run take the window over; what the host itself has to do goes on. None where nobody holds it."""
    with store.locked():
        window = store.load()
        if window is None or not window.is_open:
            return None
        window.expires = min(window.expires, int(time.time()))
        store.save(window)
    return window


def close(store: Store, run: str, outcome: str, msg: str, report: Json) -> Window:
    """Close the window of a run with its outcome. While something is not confirmed it stays open: the host or a person has to act.

    :raises NotOpen: it is another run's.
    """
    if outcome not in OUTCOMES:
        raise BadInput(f"outcome {outcome!r} is not one of {', '.join(OUTCOMES)}", reason="bad_outcome")
    with store.changing(run) as window:
        window.outcome, window.msg, window.report = outcome, printable(msg), {**window.report, **report}
        if window.state not in UNCONFIRMED or window.state == "stuck":
            window.closed = int(time.time())
            if outcome != "nothing_to_do":
                store.archive(window)
    return window


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
