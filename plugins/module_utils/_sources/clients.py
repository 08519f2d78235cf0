# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clients are connected, from the daemon's log alone: authorised since the process started, and not dropped since.

The log is read backwards, line by line only where a name, an id or an event that concerns all clients stands. Names are
chosen by miners: a line counts only if the whole of it is what the daemon would write of exactly that worker.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._errors import Unreadable
from .lines import MESSAGE, PIECE, SLACK, LogFile, LogFiles, Search
from .log import read_piece, stamp

_START_UP = 60.0  #: seconds from the start of a process to its first words; a handover takes some
_BEFORE, _AFTER = 10.0, 2.0  #: seconds around the writing of a status file in which its count may have been taken
_TICK = 150.0  #: seconds; with statistics further apart than this, the log was silent in between
_MOST_NEEDLES = 4  #: names or ids that are looked for one by one
_MOST_GONE = 100_000  #: dropped clients whose lines of authorisation have not been reached
_ROOM = 30_000_000  #: bytes, roughly, that the clients found may take
_LONGEST_USER = 127  #: bytes; the daemon cuts longer names of users

_AUTHORISED, _DROPPED = b"] Authorised client ", b"] Dropped client "
_DROPALL, _RECONNECT = b" instances for dropall request", b"] Listener received request to send reconnect to clients"
_STATISTICS, _THROTTLED = b'] Pool:{"runtime"', b" rate limited due to failed auth attempts"
_WHO = rb" client (?:(?:passthrough|remote|node):(\d{1,10}) subclient:)?(\d{1,19})"
_ADDRESS = rb"(?: ([0-9A-Fa-f:.]{0,45}))?"
_EVENT = re.compile(
    rb"(?:Authorised" + _WHO + rb"(?:" + _ADDRESS + rb"| to proxy -?\d+:-?\d+,) worker (.+)"
    rb"|Dropped" + _WHO + _ADDRESS + rb"( no)? user (.+) (?:lazily)?)",
    re.DOTALL,
)  # fmt: skip
_WITH_DIFF = re.compile(rb" with diff \d{1,20}\Z")
_ALL_DROPPED = re.compile(rb"Dropped \d{1,10}" + _DROPALL)


@dataclasses.dataclass
class Client:
    """One connection of a miner. C(client_id) is what the daemon's dropclient takes.

    C(since) is epoch seconds. C(told_to_leave): all clients were told to reconnect after this one was authorised; it may
    be gone without a line that says so.
    """

    __slots__ = ("address", "client_id", "since", "told_to_leave", "user", "worker")
    client_id: int
    user: str
    worker: str
    address: t.Optional[str]
    since: float
    told_to_leave: bool


@dataclasses.dataclass
class Event:
    """One line on clients. C(kind) is authorised, dropped, or for all clients dropped_all, told_to_leave.

    C(time) is epoch seconds; C(client) is None where all are meant. Of a dropped one, C(since) is when it was dropped.
    """

    kind: str
    time: float
    client: t.Optional[Client] = None


@dataclasses.dataclass
class Position:
    """A place between two lines of a log that may be renamed: its path, its device and inode, and bytes from its start."""

    log_file: str
    identity: t.Tuple[int, int] = (0, 0)
    offset: int = 0


@dataclasses.dataclass
class Found:
    """The clients that the log has as connected, the newest first.

    C(reaches_start): nothing before what was read can matter: it is the whole of this run, or ended where all clients were
    dropped, where the known counts were reached or where every id was found. C(end) is where a L(Follower) goes on.
    C(left) is when a client of a user was dropped last, C(emptied) when all were; epoch seconds.
    """

    clients: t.List[Client]
    reaches_start: bool
    read_bytes: int
    files: t.List[str]
    problems: t.List[str]
    end: Position
    left: t.Dict[str, float] = dataclasses.field(default_factory=dict)
    emptied: t.Optional[float] = None


def find(
    log_file: str,
    start_time: t.Optional[float],
    users: t.Sequence[str] = (),
    workers: t.Sequence[str] = (),
    client_ids: t.Sequence[int] = (),
    known: t.Optional[t.Dict[str, t.Tuple[float, int]]] = None,
    limit: t.Optional[int] = None,
) -> Found:
    """The connected clients of these users, with these names of workers, or with these ids.

    :arg start_time: epoch seconds of the start of the process; None for the last start that the log tells of.
    :arg known: user to the time (epoch seconds) of its status file and the count of workers there. If every name asked for
        is here, and the log is not silent in between, reading ends once the log accounts for these counts.
    :arg limit: this many clients are enough, the newest.
    :raises Unreadable: there is no log, or it may not be read.
    """
    roll = _Roll(_Asked(users, workers, client_ids), limit)
    if known and not workers and not client_ids:
        roll.trust(known, (start_time or 0.0) + _START_UP)
    started = os.fsencode(os.path.basename(log_file)[: -len(".log")]) + b" connector starting"
    if start_time is None:
        roll.started = started
        roll.needles.append(b"] " + started)
    found = Found([], False, 0, [], roll.problems, Position(log_file))
    logs = LogFiles(log_file, start_time)
    try:
        if logs.failure and (not logs.files or os.path.lexists(log_file)):
            raise logs.failure
        found.problems.extend(logs.problems)
        if logs.files:
            found.end = Position(log_file, logs.files[0].identity, logs.files[0].end)
        search, newer = Search(), None
        for log in logs.files:
            begin, found.reaches_start = _run(log, start_time, started)
            # What is copied, not renamed, holds lines that were read already.
            end = log.end if newer is None else log.first_at(newer + SLACK)
            found.files.append(log.path)
            newer = log.first
            for line in search.lines(log.handle, begin, end, roll.needles):
                if roll.ends_with(line):
                    found.reaches_start = not roll.full
                    break
            else:
                if not found.reaches_start:
                    continue
            break
        found.read_bytes = search.read_bytes
    except OSError as exc:
        raise Unreadable(f"cannot read {log_file}: {exc.strerror}", log_file) from None
    finally:
        logs.close()
    if not found.reaches_start and not roll.full:
        packed = f"; not read, as compressed: {', '.join(logs.packed)}" if logs.packed else ""
        found.problems.append(f"the log does not go back to the start of the process{packed}")
    found.clients, found.left, found.emptied = list(roll.clients.values()), roll.left, roll.emptied
    return found


class Follower:
    """What is written after a place in a log, also when the log is renamed meanwhile.

    The daemon goes on writing to a renamed log for up to a minute: it is left once the next has lines.
    """

    def __init__(
        self,
        end: Position,
        users: t.Sequence[str] = (),
        workers: t.Sequence[str] = (),
        client_ids: t.Sequence[int] = (),
    ) -> None:
        self._log_file = end.log_file
        self._asked = _Asked(users, workers, client_ids)
        self._handle: t.Optional[int] = None
        self._identity, self._offset = end.identity, end.offset
        #: what may have been missed
        self.problems: t.List[str] = []
        self._next()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the log."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def poll(self) -> t.Iterator[Event]:
        """What came since the last call of the clients asked for, and of all clients, in the log's order.

        :raises Unreadable: the log cannot be read any more.
        """
        try:
            yield from self._rest()
            while self._is_left():
                yield from self._rest()  # what was written between the look at the end and the look at the next
                if not self._next():
                    break
                yield from self._rest()
        except OSError as exc:
            raise Unreadable(f"cannot read {self._log_file}: {exc.strerror}", self._log_file) from None

    def _rest(self) -> t.Iterator[Event]:
        """The complete lines from here to the end."""
        while self._handle is not None:
            size = os.fstat(self._handle).st_size
            if size < self._offset:
                self.problems.append(f"{self._log_file} was cut while it was followed")
                self._offset = 0
            data = read_piece(self._handle, self._offset, min(size, self._offset + PIECE))
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) == PIECE:
                whole = PIECE  # no line of the daemon's is as long
            if not whole:
                return
            self._offset += whole
            for line in data[:whole].split(b"\n"):
                if b" client" in line or _DROPALL in line:
                    event = _event(line, self._asked)
                    if event:
                        yield event

    def _is_left(self) -> bool:
        """Whether the daemon writes to another file by now."""
        try:
            info = os.stat(self._log_file)
        except FileNotFoundError:
            return False
        return (info.st_dev, info.st_ino) != self._identity and info.st_size > 0

    def _next(self) -> bool:
        """Go to the file that was begun after this one; at first, to the one of the position."""
        logs = LogFiles(self._log_file, None)
        try:
            order = [log.identity for log in logs.files]
            if self._handle is None and self._identity in order:
                log = logs.files[order.index(self._identity)]
                self._handle = os.dup(log.handle)
                return True
            if self._identity in order:
                newer = logs.files[: order.index(self._identity)]
            else:
                newer = [log for log in logs.files if log.path == self._log_file]
                if self._identity != (0, 0):
                    self.problems.append(f"what was followed before {self._log_file} is gone: lines may be missing")
            if not newer:
                return False
            self.close()
            self._handle, self._identity, self._offset = os.dup(newer[-1].handle), newer[-1].identity, 0
            return True
        finally:
            logs.close()


class _Asked:
    """Whom the question is about."""

    def __init__(self, users: t.Sequence[str], workers: t.Sequence[str], client_ids: t.Sequence[int]) -> None:
        self.users = {name.encode("utf-8", "surrogateescape") for name in users}
        self.workers = {name.encode("utf-8", "surrogateescape") for name in workers}
        self.ids = set(client_ids)

    def needles(self) -> t.List[bytes]:
        """Texts, one of which stands in every line on them."""
        needles = [b" user " + name for name in self.users] + [b" worker " + name for name in self.workers]
        for number in self.ids:
            parent, own = number >> 32, number & 0xFFFFFFFF
            needles.append(b":%d subclient:%d " % (parent, own) if parent else b" client %d " % own)
        return needles if len(needles) <= _MOST_NEEDLES else [_AUTHORISED, _DROPPED]


class _Roll:
    """Who is connected, taken from the lines of a log from the last to the first."""

    def __init__(self, asked: _Asked, limit: t.Optional[int]) -> None:
        self.needles = [_DROPALL, _RECONNECT, *asked.needles()]
        self.clients: t.Dict[int, Client] = {}
        self.left: t.Dict[str, float] = {}
        self.emptied: t.Optional[float] = None
        self.problems: t.List[str] = []
        self.full = False
        self.started = b""
        self._asked, self._limit, self._room = asked, limit, _ROOM
        self._asked_users = {name.decode("utf-8", "surrogateescape") for name in asked.users}
        self._left = set() if asked.users or asked.workers else set(asked.ids)
        self._only_ids = bool(self._left)
        self._gone: t.Dict[int, float] = {}
        self._told = False
        self._known: t.Dict[bytes, t.Tuple[float, int]] = {}
        self._counted: t.Dict[bytes, int] = {}
        self._tick: t.Optional[float] = None

    def trust(self, known: t.Dict[str, t.Tuple[float, int]], since: float) -> None:
        """End where the log accounts for these counts, if there is one for every user, taken after that time."""
        counts = {name.encode("utf-8", "surrogateescape"): value for name, value in known.items()}
        if all(user in counts and counts[user][0] > since for user in self._asked.users):
            self._known = {user: counts[user] for user in self._asked.users}
            self._counted = dict.fromkeys(self._known, 0)
            self.needles += [_STATISTICS, _THROTTLED]

    def ends_with(self, line: bytes) -> bool:
        """Take a line; whether no older one can matter."""
        if self._known and self._accounted(line):
            return True
        event = _event(line, self._asked)
        if event is None:
            return bool(self.started) and line[MESSAGE:] == self.started and stamp(line) is not None
        client = event.client
        if client is None:
            self._told = True
            self._doubt()
            self.emptied = event.time if event.kind == "dropped_all" else None
            return event.kind == "dropped_all"
        user = client.user.encode("utf-8", "surrogateescape")
        if event.kind == "dropped":
            if client.user in self._asked_users:
                self.left.setdefault(client.user, event.time)
            self._drop(client.client_id, event.time, user)
        else:
            self._authorise(client, event.time, user)
        self._left.discard(client.client_id)
        return self.full or (self._only_ids and not self._left)

    def _drop(self, number: int, when: float, user: bytes) -> None:
        self._near(user, when)
        self._gone[number] = when
        if len(self._gone) > _MOST_GONE:
            # Ids rise with time: the lines of authorisation of the highest would have come by now.
            for high in sorted(self._gone)[_MOST_GONE // 2 :]:
                del self._gone[high]
            self._doubt()

    def _authorise(self, client: Client, when: float, user: bytes) -> None:
        self._near(user, when)
        gone = self._gone.pop(client.client_id, None)
        if user in self._known:
            written = self._known[user][0]
            self._counted[user] += when < written and (gone is None or gone > written)
        if gone is not None or client.client_id in self.clients:
            return
        self._room -= 400 + 4 * len(client.worker)
        if self._room < 0 or len(self.clients) == self._limit:
            self.full = True
            self.problems.append(f"only the {len(self.clients)} newest clients are listed, there are more")
            return
        client.told_to_leave = self._told
        self.clients[client.client_id] = client

    def _near(self, user: bytes, when: float) -> None:
        """What happened while a status file was written may be counted there, or not."""
        written = self._known.get(user, (0.0, 0))[0]
        if written - _BEFORE <= when <= written + _AFTER:
            self._doubt()

    def _doubt(self) -> None:
        """Trust no counts: all there is will be read."""
        self._known = {}

    def _accounted(self, line: bytes) -> bool:
        """Whether the log has, down to this line of statistics, all the clients that were counted.

        Where the log was silent, lines on dropped clients may be missing, and so may those of users that are throttled:
        such clients would be taken for some of those counted.
        """
        if _THROTTLED in line and any(user in line for user in self._known):
            self._doubt()
        when = stamp(line) if line[MESSAGE - 2 :].startswith(_STATISTICS) else None
        if when is None or not self._known:
            return False
        newer = self._tick if self._tick is not None else max(written for written, _count in self._known.values())
        self._tick = when
        if newer - when > _TICK:
            self._doubt()
            return False
        return all(
            when < written - _BEFORE and self._counted[user] == count for user, (written, count) in self._known.items()
        )


def _event(line: bytes, asked: _Asked) -> t.Optional[Event]:
    """What a line says of those asked for, or of all clients; None for a line that is not exactly as the daemon's."""
    message = line[MESSAGE:]
    fit = _EVENT.fullmatch(message) if line[MESSAGE - 2 : MESSAGE] == b"] " else None
    if fit is None:
        all_dropped = bool(_ALL_DROPPED.fullmatch(message))
        when = stamp(line) if all_dropped or line[MESSAGE - 2 :] == _RECONNECT else None
        return None if when is None else Event("dropped_all" if all_dropped else "told_to_leave", when)
    dropped = fit.group(4) is None
    parent, own, address = fit.group(5, 6, 7) if dropped else fit.group(1, 2, 3)
    names = _of_dropped(fit.group(9), bool(fit.group(8))) if dropped else _of_authorised(fit.group(4))
    number = int(own)
    if parent:
        number = number | int(parent) << 32 if number < 2**32 and int(parent) < 2**31 else 2**63
    if names is None or number >= 2**63:
        return None
    user, worker = names
    if user not in asked.users and worker not in asked.workers and number not in asked.ids:
        return None
    when = stamp(line)
    if when is None:
        return None
    texts = [name.decode("utf-8", "surrogateescape") for name in names]
    client = Client(number, texts[0], texts[1], address.decode("ascii") if address else None, when, False)
    return Event("dropped" if dropped else "authorised", when, client)


def _user(worker: bytes) -> bytes:
    return _name(worker)[:_LONGEST_USER]


def _name(worker: bytes) -> bytes:
    return worker.replace(b"_", b".").partition(b".")[0]


def _of_authorised(text: bytes) -> t.Optional[t.Tuple[bytes, bytes]]:
    """User and worker of C(WORKER as user USER), the only way to part it so that the one is the name of the other's."""
    for rest in (text, _WITH_DIFF.sub(b"", text)):
        name = _name(rest)
        # Without a dot, the worker is called like the user, so that this name is half of it.
        user = (name if name != rest else rest[: max(len(rest) - len(b" as user "), 0) // 2])[:_LONGEST_USER]
        tail = b" as user " + user
        worker = rest[: -len(tail)]
        if user and rest.endswith(tail) and _user(worker) == user:
            return user, worker
    return None


def _of_dropped(text: bytes, unknown: bool) -> t.Optional[t.Tuple[bytes, bytes]]:
    """The same of C(USER worker WORKER); of C(worker WORKER) where the daemon knows no user."""
    user, between = b"", b" worker "
    if unknown:
        text = b" " + text
    else:
        user = text[: max(len(_name(text)) - len(between), 0) // 2][:_LONGEST_USER]
    worker = text[len(user) + len(between) :]
    if not text.startswith(user + between) or not worker or (user != _user(worker) and not unknown):
        return None
    return _user(worker), worker


def _run(log: LogFile, start_time: t.Optional[float], started: bytes) -> t.Tuple[int, bool]:
    """Where the lines of this run of the daemon begin in a file, and whether its first lines are there.

    No client is older than the first words of the connector, and the run before may have written until shortly before them.
    """
    if start_time is None:
        return 0, False
    near = log.first_at(start_time - SLACK)
    text = b"\n" + read_piece(log.handle, near, min(near + 4 * PIECE, log.end))
    at = text.rfind(b"] " + started + b"\n")
    while at >= 0:
        begin = at - MESSAGE + 2
        when = stamp(text[begin : at + 1]) if text[begin - 1 : begin] == b"\n" else None
        if when is not None and when <= start_time + _START_UP:
            return near + begin - 1, True
        at = text.rfind(b"] " + started + b"\n", 0, at)
    return log.first_at(start_time), log.first is not None and log.first < start_time
