# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dropping some of a pool's miners: who they are, that they are gone, and who came back.

A build with the query API lists its clients. The others write of them in their log, the only place where ids stand.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
import typing as t

from ._control import Control
from ._errors import PoolError
from ._instance import read_file
from ._level import current
from ._names import check_user_name, check_worker_name, user_of
from ._sources.clients import Client, Follower, Found, find

__all__ = ["Client", "Dropped", "Wanted", "drop"]
_POLL = 0.1  #: seconds between two looks at what has come of it
_PROOF_SECONDS = 3.0  #: within which a client that was dropped is gone; they are gone within milliseconds
_FRESH_SECONDS = 180.0  #: within which a status file still tells who is connected; it is rewritten every 60 s
_COUNTED_SECONDS = 10.0  #: by which its count may be older than the file
_NOTICE = 5  #: the log level under which the daemon does not write of clients


@dataclasses.dataclass
class Wanted:
    """Whose clients are meant: these users', those of workers with these names, or those with these ids."""

    users: t.List[str]
    workers: t.List[str]
    client_ids: t.List[int]

    def check(self) -> None:
        """Refuse names that no user or worker can have.

        :raises BadInput: naming it.
        """
        for name in self.users:
            check_user_name(name)
        for name in self.workers:
            check_worker_name(name)

    def has_name(self, client: Client) -> bool:
        """Whether a client is one of them by its name. One that comes back has a new id."""
        return client.user in self.users or client.worker in self.workers

    def has(self, client: Client) -> bool:
        """Whether a client is one of them."""
        return self.has_name(client) or client.client_id in self.client_ids


@dataclasses.dataclass
class Dropped:
    """What came of it.

    :ivar connected: the clients that were connected before.
    :ivar dropped: those of them that are gone by the daemon's own word.
    :ivar returned: those that came since then.
    :ivar unknown: users of whom it cannot be known who is connected, and why.
    :ivar replies: what the daemon replied, by user, where it has a command for that.
    :ivar source: where the clients were found: C(api), or C(files) for the log.
    :ivar problems: what else could not be known, by area, and why.
    :ivar fell: by how many the connector's count of clients fell; None if it does not tell.
    """

    connected: t.List[Client] = dataclasses.field(default_factory=list)
    dropped: t.List[Client] = dataclasses.field(default_factory=list)
    returned: t.List[Client] = dataclasses.field(default_factory=list)
    unknown: t.Dict[str, str] = dataclasses.field(default_factory=dict)
    replies: t.Dict[str, str] = dataclasses.field(default_factory=dict)
    source: str = "files"
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)
    fell: t.Optional[int] = None


def drop(control: Control, wanted: Wanted, watch: float, only_look: bool = False) -> Dropped:
    """Drop the wanted clients, and see that they are gone.

    :arg watch: seconds to look out for those who come back.
    :arg only_look: find them, and do nothing.
    :raises PoolError: it cannot be known of anybody who is connected.
    """
    result = Dropped()
    roster = _open(control, wanted, result)
    with roster:
        if not only_look and roster.to_drop:
            before = control.clients()
            _send(control, wanted, roster.to_drop, result)
            _prove(control, roster, result, before)
            _watch(roster, result, watch)
    return result


class Roster:
    """Who is connected, by one source."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.to_drop: t.List[int] = []  #: ids, also of those who may have left already

    def __enter__(self) -> Roster:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Let go of what is open."""

    def news(self) -> t.Tuple[t.Set[int], t.List[Client]]:
        """The ids that went and the wanted clients that came since the last call."""
        return set(), []


class ListedRoster(Roster):
    """By the query API's list of clients."""

    def __init__(self, control: Control, wanted: Wanted, result: Dropped) -> None:
        super().__init__(wanted)
        self._control = control
        result.source = "api"
        result.connected = self._list()
        self._known = {client.client_id for client in result.connected}
        self.to_drop = sorted(self._known)

    def _list(self) -> t.List[Client]:
        return [client for client in map(_listed, self._control.listing("clients")) if self.wanted.has(client)]

    def news(self) -> t.Tuple[t.Set[int], t.List[Client]]:
        """The ids that went and the wanted clients that came since the last call."""
        now = {client.client_id: client for client in self._list()}
        gone = self._known - set(now)
        came = [client for client_id, client in now.items() if client_id not in self._known]
        self._known = set(now)
        return gone, [client for client in came if self.wanted.has_name(client)]


class LoggedRoster(Roster):
    """By the log: authorised and not dropped since the process started."""

    def __init__(self, control: Control, wanted: Wanted, result: Dropped) -> None:
        super().__init__(wanted)
        path = control.instance.log_file
        if path is None:
            why = control.instance.problems.get("config", "no process tells it")
            raise PoolError(f"the log directory is not known: {why}", hint="set log_dir", phase="find", reason="no_log")
        counts = _counts_by_file(control, wanted)
        names = (wanted.users, wanted.workers, wanted.client_ids)
        found = find(path, control.instance.start_time, *names, known=counts)
        known = sorted(found.clients, key=lambda client: client.client_id)
        result.connected = [client for client in known if not client.told_to_leave]
        result.problems.update({"log": "; ".join(found.problems)} if found.problems else {})
        _say_doubts(result, [client for client in found.clients if client.told_to_leave])
        result.unknown = _unknown(control, wanted, found, counts)
        ids = {client.client_id for client in found.clients}
        self.to_drop = sorted(ids.union(wanted.client_ids))
        self._follower = Follower(found.end, wanted.users, wanted.workers, self.to_drop)

    def __exit__(self, *_exception: object) -> None:
        self._follower.close()

    def news(self) -> t.Tuple[t.Set[int], t.List[Client]]:
        """The ids that went and the wanted clients that came since the last call."""
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


def _open(control: Control, wanted: Wanted, result: Dropped) -> Roster:
    if control.dialect() == "api":
        return ListedRoster(control, wanted, result)
    return LoggedRoster(control, wanted, result)


def _listed(row: t.Any) -> Client:
    """A client of the query API's listing."""
    fields = row if isinstance(row, dict) else {}
    worker, client_id, since = str(fields.get("workername", "")), fields.get("id"), fields.get("starttime")
    return Client(
        client_id=client_id if isinstance(client_id, int) else 0,
        user=user_of(worker),
        worker=worker,
        address=str(fields.get("address", "")) or None,
        since=float(since) if isinstance(since, (int, float)) else 0.0,
        told_to_leave=False,
    )


def _counts_by_file(control: Control, wanted: Wanted) -> t.Dict[str, t.Tuple[float, int]]:
    """User to when its status file was written in this run, and how many clients it had then."""
    counts: t.Dict[str, t.Tuple[float, int]] = {}
    for user in wanted.users:
        path = control.instance.log_path("users", user) or ""
        try:
            written = os.stat(path).st_mtime
            fields = json.loads(read_file(path))
        except (OSError, ValueError, RecursionError, PoolError):
            continue  # there is none, or it is just being written: the log is read to the start then
        count = fields.get("workers") if isinstance(fields, dict) else None
        if isinstance(count, int) and written > (control.instance.start_time or written):
            counts[user] = (written, count)
    return counts


def _unknown(
    control: Control,
    wanted: Wanted,
    found: Found,
    counts: t.Dict[str, t.Tuple[float, int]],
) -> t.Dict[str, str]:
    """The users and workers that have no client in the log although they may have one, and why."""
    level, known = current(control)
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
        elif common and not seen and not (count == 0 and name in counts):
            unknown[name] = common
    present = {client.worker for client in found.clients}
    unknown.update({name: common for name in wanted.workers if common and name not in present})
    return unknown


def _say_doubts(result: Dropped, doubtful: t.Sequence[Client]) -> None:
    if doubtful:
        result.problems["told_to_leave"] = (
            f"{len(doubtful)} more clients were told to reconnect before and may have left: they are dropped too if not"
        )


def _send(control: Control, wanted: Wanted, client_ids: t.Sequence[int], result: Dropped) -> None:
    """Tell the daemon, by its own command where the guide gives it one."""
    by_command: t.Set[str] = set()
    if control.dialect() == "guide":
        known = {str(row.get("user")) for row in control.listing("users") if isinstance(row, dict)}
        by_command = known.intersection(wanted.users)
        for user in sorted(by_command):
            result.replies[user] = control.drop_user(user)
    done = {client.client_id for client in result.connected if client.user in by_command}
    for client_id in client_ids:
        if client_id not in done:
            control.drop_client(client_id)


def _prove(control: Control, roster: Roster, result: Dropped, before: t.Optional[int]) -> None:
    """Wait until the daemon says of each that it is gone."""
    missing = {client.client_id: client for client in result.connected}
    deadline = time.monotonic() + _PROOF_SECONDS
    while True:
        gone, came = roster.news()
        result.dropped += [missing.pop(client_id) for client_id in sorted(gone) if client_id in missing]
        result.returned += came
        after = control.clients()
        result.fell = None if before is None or after is None else before - after
        if missing and (result.fell or 0) >= len(result.connected):
            result.dropped += missing.values()  # a log level under 5 hides the word of it, and the count does not
            missing = {}
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(_POLL)
    if missing:
        ids = ", ".join(map(str, sorted(missing)[:20]))
        result.problems["not_proven"] = f"the daemon did not say that these clients are gone: {ids}"


def _watch(roster: Roster, result: Dropped, seconds: float) -> None:
    """Look out for those who come back, until all of them have or the time is over."""
    deadline = time.monotonic() + seconds
    # One that was meant by its id has another when it returns.
    expected = sum(map(roster.wanted.has_name, result.dropped))
    while len(result.returned) < expected and time.monotonic() < deadline:
        time.sleep(min(_POLL, max(deadline - time.monotonic(), 0)))
        result.returned += roster.news()[1]
