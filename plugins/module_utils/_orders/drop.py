# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dropping some of a pool's miners: finding their clients, verifying that they are gone, and watching which return.

Some builds list their clients. Of others, only the log has the ids of clients.
"""

from __future__ import annotations

import time
import typing as t

from .._errors import PoolError
from .._names import check_user_name, check_worker_name, user_of
from .._record import field, record
from .._records import Query
from .._sources.log.clients import Client, Follower, Found, find
from .._sources.log.file import log_of
from .._sources.registry import LOG_SOURCE
from .daemon import Daemon
from .log_level import current

if t.TYPE_CHECKING:
    from .._sources.source import Source

__all__ = ["Client", "Dropped", "Wanted", "drop"]
_POLL = 0.1  #: seconds between two looks at what has changed
_PROOF_SECONDS = 3.0  #: within which a dropped client has to be gone; it takes milliseconds
_FRESH_SECONDS = 180.0  #: within which the count in a status file is current; it is rewritten every 60 s
_COUNTED_SECONDS = 10.0  #: by which this count may be older than the file
_NOTICE = 5  #: the log level below which the daemon does not log clients


@record
class Wanted:
    """The clients to drop: those of these users, those of these workers, and those with these ids."""

    users: t.List[str]
    workers: t.List[str]
    client_ids: t.List[int]

    def check(self) -> None:
        """Raise unless users and workers can have these names.

        :raises BadInput: naming the first that cannot.
        """
        for name in self.users:
            check_user_name(name)
        for name in self.workers:
            check_worker_name(name)

    def has_name(self, client: Client) -> bool:
        """Whether a client is one of them by its name. A client that returns has a new id."""
        return client.user in self.users or client.worker in self.workers

    def has(self, client: Client) -> bool:
        """Whether a client is one of them."""
        return self.has_name(client) or client.client_id in self.client_ids


@record
class Dropped:
    """The result of dropping miners.

    :ivar connected: the clients that were connected before.
    :ivar dropped: those of them that are gone, by the daemon's log, list or count of clients.
    :ivar returned: those that connected since then.
    :ivar unknown: users and workers whose clients could not be determined, with the reason.
    :ivar strangers: those of them for which the pool has never written a status file, as it does within about a minute.
    :ivar missing: users and workers that the pool does not know, as neither a client nor a source has them.
    :ivar replies: the daemon's replies, by user, if it has a command to drop a user.
    :ivar source: where the clients were found: the source that lists them, or the one that has the log.
    :ivar log_file: the log in which they were searched, if any.
    :ivar problems: what else could not be determined, by area, with the reason.
    :ivar fell: by how much the connector's count of clients fell; None if it does not give one.
    """

    connected: t.List[Client] = field(default_factory=list)
    dropped: t.List[Client] = field(default_factory=list)
    returned: t.List[Client] = field(default_factory=list)
    unknown: t.Dict[str, str] = field(default_factory=dict)
    strangers: t.Set[str] = field(default_factory=set)
    missing: t.List[str] = field(default_factory=list)
    replies: t.Dict[str, str] = field(default_factory=dict)
    source: str = LOG_SOURCE
    log_file: t.Optional[str] = None
    problems: t.Dict[str, str] = field(default_factory=dict)
    fell: t.Optional[int] = None


def drop(daemon: Daemon, wanted: Wanted, watch: float, only_look: bool = False) -> Dropped:
    """Drop clients, and verify that they are gone.

    :arg watch: seconds to watch for clients that return.
    :arg only_look: find them, and do nothing.
    :raises PoolError: the clients of the pool cannot be determined at all.
    """
    result = Dropped()
    tracker = _open(daemon, wanted, result)
    result.missing = _missing(daemon, wanted, result, tracker.left)
    with tracker:
        if not only_look and tracker.to_drop:
            before = daemon.clients()
            _send(daemon, wanted, tracker.to_drop, result)
            _prove(daemon, tracker, result, before)
            _watch(tracker, result, watch)
    return result


class ClientTracker:
    """The clients that are connected, by one source, and how that changes."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.to_drop: t.List[int] = []  #: ids, also of clients that may have left already
        self.left: t.Container[str] = ()  #: users who were connected in this run of the daemon, and have left

    def __enter__(self) -> ClientTracker:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close what is open."""

    def changes(self) -> t.Tuple[t.Set[int], t.List[Client]]:
        """The ids that disappeared and the wanted clients that appeared since the last call."""
        return set(), []


class ListingTracker(ClientTracker):
    """By the daemon's own list of clients."""

    def __init__(self, source: Source, wanted: Wanted, result: Dropped) -> None:
        super().__init__(wanted)
        self._source = source
        result.source = source.name
        result.connected = self._list()
        self._known = {client.client_id for client in result.connected}
        self.to_drop = sorted(self._known)

    def _list(self) -> t.List[Client]:
        return [client for client in self._source.clients() if self.wanted.has(client)]

    def changes(self) -> t.Tuple[t.Set[int], t.List[Client]]:
        """The ids that disappeared and the wanted clients that appeared since the last call."""
        now = {client.client_id: client for client in self._list()}
        gone = self._known - set(now)
        came = [client for client_id, client in now.items() if client_id not in self._known]
        self._known = set(now)
        return gone, [client for client in came if self.wanted.has_name(client)]


class LogTracker(ClientTracker):
    """By the log: authorised and not dropped since the process started."""

    def __init__(self, daemon: Daemon, wanted: Wanted, result: Dropped) -> None:
        super().__init__(wanted)
        log = log_of(daemon.instance)
        if log is None:
            raise daemon.instance.no_log()
        result.log_file = daemon.instance.log_file
        counts = _counts_by_file(daemon, wanted)
        names = (wanted.users, wanted.workers, wanted.client_ids)
        found = find(log, daemon.instance.start_time, *names, known=counts)
        known = sorted(found.clients, key=lambda client: client.client_id)
        result.connected = [client for client in known if not client.told_to_leave]
        result.problems.update({"log": "; ".join(found.problems)} if found.problems else {})
        _note_doubts(result, [client for client in found.clients if client.told_to_leave])
        result.unknown = _unknown(daemon, wanted, found, counts)
        result.strangers = {name for name in result.unknown if _is_stranger(daemon, name, wanted)}
        ids = {client.client_id for client in found.clients}
        self.to_drop = sorted(ids.union(wanted.client_ids))
        self.left = found.left
        self._follower = Follower(found.end, wanted.users, wanted.workers, self.to_drop)
        self._problems = result.problems

    def __exit__(self, *_exception: object) -> None:
        self._follower.close()
        if self._follower.problems:
            self._problems["log_followed"] = "; ".join(self._follower.problems)

    def changes(self) -> t.Tuple[t.Set[int], t.List[Client]]:
        """The ids that disappeared and the wanted clients that appeared since the last call."""
        gone: t.Set[int] = set()
        came: t.List[Client] = []
        for event in self._follower.poll():
            if event.kind == "dropped_all":
                gone.update(self.to_drop)
            elif event.client and event.kind == "dropped":
                gone.add(event.client.client_id)
            elif event.client and event.kind == "authorised" and self.wanted.has_name(event.client):
                came.append(event.client)
        return gone, came


def _open(daemon: Daemon, wanted: Wanted, result: Dropped) -> ClientTracker:
    source = daemon.sources.live()
    if source is not None and source.lists_clients:
        return ListingTracker(source, wanted, result)
    return LogTracker(daemon, wanted, result)


def _counts_by_file(daemon: Daemon, wanted: Wanted) -> t.Dict[str, t.Tuple[float, int]]:
    """User to when its status file was written in this run, and the number of its clients then."""
    counts: t.Dict[str, t.Tuple[float, int]] = {}
    for source in daemon.sources.stored():
        for user in wanted.users:
            found = source.connections_of(user)
            if found:
                counts[user] = found
    return counts


def _unknown(
    daemon: Daemon,
    wanted: Wanted,
    found: Found,
    counts: t.Dict[str, t.Tuple[float, int]],
) -> t.Dict[str, str]:
    """The users and workers that have no client in the log, but may have one, with the reason."""
    level, known = current(daemon)
    hides = f"the log level {'is' if known else 'was started at'} {level}, which hides who connects"
    short = "the log does not go back to the start of the daemon"
    common = hides if level < _NOTICE else "" if found.reaches_start else short
    unknown: t.Dict[str, str] = {}
    for name in wanted.users:
        written, count = counts.get(name, (0.0, 0))
        seen = any(client.user == name for client in found.clients)
        left = max(found.left.get(name, 0.0), found.emptied or 0.0)
        if count and not seen and written > left + _COUNTED_SECONDS and time.time() - written < _FRESH_SECONDS:
            unknown[name] = (
                f"its status file has {count} clients, and the log none: the log level was below 5 meanwhile"
            )
        elif common and not seen and (common == hides or count or name not in counts):
            unknown[name] = (
                common  # a client that connected after the file was written is in the log, unless that hides it
            )
    present = {client.worker for client in found.clients}
    unknown.update({name: common for name in wanted.workers if common and name not in present})
    return unknown


def _is_stranger(daemon: Daemon, name: str, wanted: Wanted) -> bool:
    """Whether the pool has never written a status file for a user, or for the user of a worker."""
    user = name if name in wanted.users else user_of(name)
    return any(source.has_never_seen(user) for source in daemon.sources.stored())


def _missing(daemon: Daemon, wanted: Wanted, result: Dropped, left: t.Container[str]) -> t.List[str]:
    """The users and workers that the pool certainly does not know: a mistyped name, for one."""
    users = {client.user for client in result.connected}.union(result.unknown)
    workers = {client.worker for client in result.connected}.union(result.unknown)

    def is_missing(user: str) -> bool:
        return user not in users and user not in left and _is_stranger(daemon, user, wanted)

    missing = [name for name in wanted.users if is_missing(name)]
    return missing + [
        name
        for name in wanted.workers
        if name not in workers and (is_missing(user_of(name)) or _has_no_worker(daemon, name))
    ]


def _has_no_worker(daemon: Daemon, name: str) -> bool:
    """Whether the pool has written of the user of a worker, in this run, and not of that worker."""
    user = user_of(name)
    query = Query([user], [name], include_stale=True)
    try:
        return any(
            source.connections_of(user) is not None and all(row.worker != name for row in source.workers(query))
            for source in daemon.sources.stored()
        )
    except PoolError:
        return False


def _note_doubts(result: Dropped, doubtful: t.Sequence[Client]) -> None:
    if doubtful:
        result.problems["told_to_leave"] = (
            f"{len(doubtful)} more clients were told to reconnect before and may have left: they are dropped too if not"
        )


def _send(daemon: Daemon, wanted: Wanted, client_ids: t.Sequence[int], result: Dropped) -> None:
    """Drop the clients, by the daemon's own command if it has one."""
    by_command: t.Set[str] = set()
    source = daemon.sources.live()
    if source is not None and source.drops_users:
        by_command = source.user_names().intersection(wanted.users)
        for user in sorted(by_command):
            result.replies[user] = source.drop_user(user)
    done = {client.client_id for client in result.connected if client.user in by_command}
    for client_id in client_ids:
        if client_id not in done:
            daemon.drop_client(client_id)


def _prove(daemon: Daemon, tracker: ClientTracker, result: Dropped, before: t.Optional[int]) -> None:
    """Wait until every client is gone, by what the daemon writes or counts."""
    missing = {client.client_id: client for client in result.connected}
    deadline = time.monotonic() + _PROOF_SECONDS
    while True:
        gone, came = tracker.changes()
        result.dropped += [missing.pop(client_id) for client_id in sorted(gone) if client_id in missing]
        result.returned += came
        after = daemon.clients()
        result.fell = None if before is None or after is None else before - after
        if missing and (result.fell or 0) >= len(result.connected):
            result.dropped += missing.values()  # a log level below 5 hides that they are gone, and the count does not
            missing = {}
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(_POLL)
    if missing:
        ids = ", ".join(map(str, sorted(missing)[:20]))
        result.problems["not_proven"] = f"the daemon did not say that these clients are gone: {ids}"


def _watch(tracker: ClientTracker, result: Dropped, seconds: float) -> None:
    """Watch for clients that return, until all of them have, or the time is over."""
    deadline = time.monotonic() + seconds
    # A client that was selected by its id has another one when it returns.
    expected = sum(map(tracker.wanted.has_name, result.dropped))
    while len(result.returned) < expected and time.monotonic() < deadline:
        time.sleep(min(_POLL, max(deadline - time.monotonic(), 0)))
        result.returned += tracker.changes()[1]
