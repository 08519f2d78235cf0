# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clients are connected, from the daemon's log alone: authorised since the process started, and not dropped since.

The log is read backwards. Only lines with a name, an id or an event that concerns all clients are looked at. Miners choose
names: a line counts only if the whole of it is what the daemon would write about exactly that worker.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ..._errors import PoolError, Unreadable
from .file import LOG_LIMIT, PIECE, Budget, Log, LogFile
from .rotation import SLACK, LogFiles
from .search import Search
from .stamp import MESSAGE, Clock

SECONDS = 15.0  #: within which reading ends by default
_START_UP = 60.0  #: seconds from the start of a process to its first line; a handover takes some
_BEFORE, _AFTER = 10.0, 2.0  #: seconds around the writing of a status file in which its count may have been taken
_TICK = 150.0  #: seconds; with statistics further apart than this, the log was silent in between
_MOST_NEEDLES = 4  #: names or ids that are looked for one by one
_MOST_GONE = 100_000  #: dropped clients whose lines of authorisation have not been reached
_AT_ONCE, _SECONDS_AT_ONCE = 64 * 1024 * 1024, 2.0  #: bytes and seconds of one look at what was added
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
    """One line about clients. C(kind) is authorised, dropped, or for all clients dropped_all, told_to_leave.

    C(time) is epoch seconds; C(client) is None where all are meant. Of a dropped one, C(since) is when it was dropped.
    """

    kind: str
    time: float
    client: t.Optional[Client] = None


@dataclasses.dataclass
class Position:
    """A place between two lines of a log that may be renamed: its device and inode, and bytes from its start.

    C(since), epoch seconds: files that were last written before do not belong to this run of the daemon.
    """

    log: Log
    since: t.Optional[float] = None
    identity: t.Tuple[int, int] = (0, 0)
    offset: int = 0


@dataclasses.dataclass
class Found:
    """The clients that are connected by the log, the newest first.

    C(reaches_start): nothing before what was read can matter: it is the whole of this run, or ended where all clients were
    dropped, where the known counts were reached or where every id was found. C(end) is where a L(Follower) continues.
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
    log: Log,
    start_time: t.Optional[float],
    users: t.Sequence[str] = (),
    workers: t.Sequence[str] = (),
    client_ids: t.Sequence[int] = (),
    known: t.Optional[t.Dict[str, t.Tuple[float, int]]] = None,
    limit: t.Optional[int] = None,
    budget: t.Optional[Budget] = None,
) -> Found:
    """The connected clients of these users, with these names of workers, or with these ids.

    :arg start_time: epoch seconds of the start of the process; None for the last start in the log.
    :arg known: user to the time (epoch seconds) of its status file and the count of workers there. If every name asked for
        is here, and the log is not silent in between, reading ends once the log accounts for these counts.
    :arg limit: how many clients are enough, the newest.
    :arg budget: how much may be read.
    :raises Unreadable: there is no log, or it may not be read.
    """
    roll = _Roll(_Asked(users, workers, client_ids), limit)
    if known and not workers and not client_ids:
        roll.trust(known, (start_time or 0.0) + _START_UP)
    return _find(log, start_time, roll, budget)


def connected(
    log: Log, start_time: t.Optional[float], limit: t.Optional[int] = None, budget: t.Optional[Budget] = None
) -> Found:
    """The connected clients of all users, also of those that have no status file yet.

    The arguments are those of L(find).

    :raises Unreadable: there is no log, or it may not be read.
    """
    return _find(log, start_time, _Roll(_Everybody(), limit), budget)


def _find(log: Log, start_time: t.Optional[float], roll: _Roll, budget: t.Optional[Budget]) -> Found:
    """Read the files of the log from the last line to the first that can matter."""
    budget = budget or Budget(LOG_LIMIT, SECONDS)
    started = os.fsencode(os.path.basename(log.path)[: -len(".log")]) + b" connector starting"
    if start_time is None:
        roll.started = started
        roll.needles.append(b"] " + started)
    since = None if start_time is None else start_time - SLACK
    found = Found([], False, 0, [], roll.problems, Position(log, since))
    logs = LogFiles(log, since, budget)
    try:
        if logs.failure and (not logs.files or logs.failure.reason != "absent"):
            raise logs.failure
        found.problems.extend([log.zone_problem] if log.zone_problem else [])
        found.problems.extend(f"{name}: {why}" for name, why in logs.problems.items())
        _read(logs, start_time, started, roll, budget, found)
    except OSError as exc:
        raise Unreadable(f"cannot read {log.path}: {exc.strerror}", log.path) from None
    finally:
        logs.close()
    found.read_bytes = budget.taken
    if budget.is_over and not found.reaches_start:
        found.problems.append(f"the log was read in part: {budget.bound}")
    elif not found.reaches_start and not roll.full:
        packed = f"; not read, as compressed: {', '.join(logs.packed)}" if logs.packed else ""
        found.problems.append(f"the log does not go back to the start of the process{packed}")
    found.clients, found.left, found.emptied = list(roll.clients.values()), roll.left, roll.emptied
    return found


def _read(
    logs: LogFiles, start_time: t.Optional[float], started: bytes, roll: _Roll, budget: Budget, found: Found
) -> None:
    """Process the lines of one file after the other, until no older one can matter."""
    search, newer = Search(budget), None
    for log in logs.files:
        end = whole = log.whole_lines(budget)
        if not whole:
            continue
        if not found.files:
            found.end = dataclasses.replace(found.end, identity=log.identity, offset=whole)
        begin, reaches_start = _run(log, whole, start_time, started, budget)
        # A file that was copied, not renamed, contains lines that were read already.
        if newer is not None:
            end = log.first_at(newer + SLACK, whole, budget)
        found.files.append(log.path)
        newer = logs.first_time(log)
        for line in search.lines(log, begin, end, roll.needles):
            if roll.ends_with(line, log.clock):
                found.reaches_start = not roll.full
                return
        found.reaches_start = reaches_start and not budget.is_over
        if reaches_start or budget.is_over:
            return


class Follower:
    """What is written after a place in a log, also when the log is renamed meanwhile.

    The daemon continues to write to a renamed log for up to a minute: it is left once the next one has lines.
    """

    def __init__(
        self,
        end: Position,
        users: t.Sequence[str] = (),
        workers: t.Sequence[str] = (),
        client_ids: t.Sequence[int] = (),
    ) -> None:
        self._log, self._since = end.log, end.since
        self._asked = _Asked(users, workers, client_ids)
        self._file: t.Optional[LogFile] = None
        self._identity, self._offset = end.identity, end.offset
        #: what may have been missed
        self.problems: t.List[str] = []
        self._next()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the log."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def poll(self) -> t.Iterator[Event]:
        """The events since the last call about the clients asked for, and about all clients, in the log's order.

        :raises Unreadable: the log can no longer be read.
        """
        try:
            yield from self._rest()
            while self._is_left():
                yield from self._rest()  # what was written between the look at the end and the look at the next
                if self._is_behind() or not self._next():
                    break
                yield from self._rest()
        except OSError as exc:
            raise Unreadable(f"cannot read {self._log.path}: {exc.strerror}", self._log.path) from None

    def _rest(self) -> t.Iterator[Event]:
        """The complete lines from here to the end."""
        file, budget = self._file, Budget(_AT_ONCE, _SECONDS_AT_ONCE)
        if file is None:
            return
        size = file.look().st_size
        if size < self._offset:
            self.problems.append(f"{self._log.path} was cut while it was followed")
            self._offset = 0
        while not budget.is_over:
            self._offset = file.data_after(self._offset)
            data = file.read(self._offset, min(size, self._offset + PIECE))
            budget.take(len(data))
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) == PIECE:
                whole = PIECE  # no line of the daemon is as long
            if not whole:
                return
            self._offset += whole
            for line in data[:whole].split(b"\n"):
                if b" client" in line or _DROPALL in line:
                    event = _event(line, self._asked, file.clock)
                    if event:
                        yield event

    def _is_behind(self) -> bool:
        """Whether there is more to be read here than one look takes."""
        return self._file is not None and self._file.data_after(self._offset) + PIECE < self._file.look().st_size

    def _is_left(self) -> bool:
        """Whether the daemon writes to another file by now."""
        try:
            with self._log.open() as log:
                return log.identity != self._identity and log.size > 0
        except PoolError as exc:
            if exc.reason == "absent":
                return False
            raise

    def _next(self) -> bool:
        """Go to the file that was begun after this one; at first, to the one of the position."""
        with LogFiles(self._log, self._since, Budget()) as logs:
            files = [log for log in logs.files if log.size]
            order = [log.identity for log in files]
            if self._file is None and self._identity in order:
                self._take(files[order.index(self._identity)], self._offset, logs)
                return True
            if self._identity in order:
                newer = files[: order.index(self._identity)]
            else:
                newer = [log for log in files if log.path == self._log.path]
                if self._identity != (0, 0):
                    self.problems.append(f"what was followed before {self._log.path} is gone: lines may be missing")
            if not newer:
                return False
            self._take(newer[-1], 0, logs)
            return True

    def _take(self, log: LogFile, offset: int, logs: LogFiles) -> None:
        """Go on in one of these files."""
        self.close()
        logs.files.remove(log)
        self._file, self._identity, self._offset = log, log.identity, offset


class _Asked:
    """The clients that are asked for."""

    def __init__(self, users: t.Sequence[str], workers: t.Sequence[str], client_ids: t.Sequence[int]) -> None:
        self.users = {name.encode("utf-8", "surrogateescape") for name in users}
        self.workers = {name.encode("utf-8", "surrogateescape") for name in workers}
        self.ids = set(client_ids)

    def has(self, user: bytes, worker: bytes, number: int) -> bool:
        """Whether a client is one of them."""
        return user in self.users or worker in self.workers or number in self.ids

    def needles(self) -> t.List[bytes]:
        """Texts, one of which is in every line about them."""
        needles = [b" user " + name for name in self.users] + [b" worker " + name for name in self.workers]
        for number in self.ids:
            parent, own = number >> 32, number & 0xFFFFFFFF
            needles.append(b":%d subclient:%d " % (parent, own) if parent else b" client %d " % own)
        return needles if len(needles) <= _MOST_NEEDLES else [_AUTHORISED, _DROPPED]


class _Everybody(_Asked):
    """All clients."""

    def __init__(self) -> None:
        super().__init__((), (), ())

    def has(self, user: bytes, worker: bytes, number: int) -> bool:
        """Whether a client is one of them: every client is."""
        return True

    def needles(self) -> t.List[bytes]:
        """Texts, one of which is in every line about a client."""
        return [_AUTHORISED, _DROPPED]


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
        """End where the log accounts for these counts, if there is one for every user that was taken after that time."""
        counts = {name.encode("utf-8", "surrogateescape"): value for name, value in known.items()}
        if all(user in counts and counts[user][0] > since for user in self._asked.users):
            self._known = {user: counts[user] for user in self._asked.users}
            self._counted = dict.fromkeys(self._known, 0)
            self.needles += [_STATISTICS, _THROTTLED]

    def ends_with(self, line: bytes, clock: Clock) -> bool:
        """Process a line; whether no older one can matter."""
        if self._known and self._accounted(line, clock):
            return True
        event = _event(line, self._asked, clock)
        if event is None:
            return bool(self.started) and line[MESSAGE:] == self.started and clock.stamp(line) is not None
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
        """Whether a count is uncertain, as something happened while its status file was written."""
        written = self._known.get(user, (0.0, 0))[0]
        if written - _BEFORE <= when <= written + _AFTER:
            self._doubt()

    def _doubt(self) -> None:
        """Trust no counts: everything is read then."""
        self._known = {}

    def _accounted(self, line: bytes, clock: Clock) -> bool:
        """Whether the log has, down to this line of statistics, all the clients that were counted.

        Where the log was silent, lines on dropped clients may be missing, and so may those of users that are throttled:
        such clients would be taken for some of those counted.
        """
        if _THROTTLED in line and any(user in line for user in self._known):
            self._doubt()
        when = clock.stamp(line) if line[MESSAGE - 2 :].startswith(_STATISTICS) else None
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


def _event(line: bytes, asked: _Asked, clock: Clock) -> t.Optional[Event]:
    """The event in a line about those asked for, or about all clients; None for a line that the daemon does not write so."""
    message = line[MESSAGE:]
    fit = _EVENT.fullmatch(message) if line[MESSAGE - 2 : MESSAGE] == b"] " else None
    if fit is None:
        all_dropped = bool(_ALL_DROPPED.fullmatch(message))
        when = clock.stamp(line) if all_dropped or line[MESSAGE - 2 :] == _RECONNECT else None
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
    if not asked.has(user, worker, number):
        return None
    when = clock.stamp(line)
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
        # Without a dot, the worker has the user's name, so that this name is half of it.
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


def _run(log: LogFile, end: int, start_time: t.Optional[float], started: bytes, budget: Budget) -> t.Tuple[int, bool]:
    """Where the lines of this run of the daemon begin in a file, and whether its first lines are there.

    No client is older than the first words of the connector, and the run before may have written until shortly before them.
    """
    if start_time is None:
        return 0, False
    # In the hour that autumn repeats, the first lines are those of the start even if they may be an hour younger.
    stamp = Clock(log.clock.zone, start_time + _START_UP).stamp
    near = log.first_at(start_time - SLACK, end, budget)
    text = b"\n" + log.read(near, min(near + 4 * PIECE, end))
    at = text.rfind(b"] " + started + b"\n")
    while at >= 0:
        begin = at - MESSAGE + 2
        when = stamp(text[begin : at + 1]) if text[begin - 1 : begin] == b"\n" else None
        if when is not None and when <= start_time + _START_UP:
            return near + begin - 1, True
        at = text.rfind(b"] " + started + b"\n", 0, at)
    first = log.first_time(budget)
    return log.first_at(start_time, end, budget), first is not None and first < start_time
