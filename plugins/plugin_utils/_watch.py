# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a watch remembers and what its hosts returned to what has changed. Pure functions.

Only a change is told, once: what begins, and when it ends. A pool that is seen for the first time tells nothing of what is
already so. Where a value is not known, all stays as it was, and that it is not known is a change too.
"""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ..module_utils._metrics import FAILED, GONE, UNREACHABLE, UP_STATES
from ..module_utils._names import user_of
from ..module_utils._text import printable, utf8
from ..module_utils._units import human_hashrate, is_number
from ..module_utils._wording import counted, listed, one_line, shortened, utc_time
from ._pool_results import PASSING_MODES, PoolResult, mapping, pool_results
from ._types import Json
from ._watch_state import Idle, Message, PoolState, State

#: kinds of edges, each with its events
EVENTS = {
    "pool": ("pool_down", "pool_recovered"),
    "block": ("block_found",),
    "hashrate": ("hashrate_drop", "hashrate_recovered"),
    "work": ("work_stale", "work_recovered"),
    "user": ("user_idle", "user_back"),
    "worker": ("worker_idle", "worker_back"),
    "version": ("version_changed",),
    "data": ("data_missing", "data_back"),
}
CRITICAL, WARNING, INFO = "critical", "warning", "info"
_SEVERITIES = {
    "pool_down": CRITICAL, "work_stale": CRITICAL, "hashrate_drop": WARNING, "data_missing": WARNING, "user_idle": WARNING,
    "worker_idle": WARNING,
}  # fmt: skip
_DAY = 86400.0
_SETTLING = 900.0  #: seconds after a failed look in which a hashrate over 5 minutes says nothing
_UNSETTLED = 60.0  #: seconds in which bitcoind may still answer about a block
_FORGOTTEN = 30 * _DAY  #: seconds after which an idle name that is no longer listed is forgotten
_MOST_NAMES = 20_000  #: users, and workers, of a pool
_MOST_REMEMBERED = 2 * _MOST_NAMES  #: with those that have left: miners choose names, and may choose new ones all day
_MOST_BLOCKS = 200  #: that are remembered of a pool
_NAMED = 5  #: names of one message; more of them make one message for all
_MOST_FACTS = 100  #: names in the facts of a message
_LONGEST, _LONGEST_NAME = 300, 100  #: characters of a reason, and of a name, in a text
_LATEST = 2**36  #: epoch seconds


@dataclasses.dataclass(frozen=True)
class Limits:
    """When something counts as changed.

    :ivar looks: failed looks in a row after which a pool is down.
    :ivar drop: part of the hashrate that must be lost.
    :ivar work_age: seconds.
    :ivar idle_after: seconds without a share.
    :ivar users: names of users to watch; all if empty.
    :ivar kinds: keys of C(EVENTS) to tell.
    """

    looks: int = 2
    drop: float = 0.5
    work_age: float = 300.0
    idle_after: float = 900.0
    users: t.Sequence[str] = ()
    kinds: t.Sequence[str] = tuple(EVENTS)


class Watch:
    """One run.

    :arg state: what the earlier run left; it is changed.
    :arg channels: where to send each message.
    :arg now: epoch seconds.
    :arg to_forget: what a person does for a pool that is gone on purpose, with C({}) in place of its name.
    :ivar edges: what has changed, in the order in which it was found.
    :ivar failing: what did not answer in this run, also if that is not told yet, each as a sentence.
    :ivar kept: hosts that were left out.
    :ivar forgotten: the pools that are gone on purpose.
    """

    def __init__(
        self, state: State, limits: Limits, channels: t.Sequence[str], now: float, to_forget: str = "-e watch_forget={}"
    ) -> None:
        self.state, self._limits, self._channels, self._now = state, limits, channels, now
        self._to_forget = to_forget
        self.edges: t.List[Message] = []
        self.failing: t.List[str] = []
        self.kept: t.List[str] = []
        self.forgotten: t.List[str] = []
        for pool in state.pools:
            pool.forget_the_future(now)
        self._pools = {(pool.host, pool.place): pool for pool in state.pools}
        self._looked: t.Set[t.Tuple[str, str]] = set()
        self._done: t.Set[str] = set()

    def add(self, host: str, result: t.Any, forget: t.Sequence[str] = ()) -> None:
        """Compare what the task of a host returned. One that was skipped counts as left out.

        :arg forget: what is gone on purpose: C(all), C(HOST), C(HOST:NAME) or C(HOST:SOCKET_DIR).
        """
        entries = pool_results(result)
        if not entries:
            return
        self._done.add(host)
        known = [entry for entry in entries if entry.instance]
        for place, entry in zip(_places([entry.instance for entry in known]), known):
            self._add_pool(host, place, entry)
        nameless = next((entry for entry in entries if not entry.instance), None)
        if nameless is None:
            self._add_gone(host, "was found before, and is missing now", forget)
        elif nameless.is_failure:
            self._add_silent(host, nameless)
        else:
            self._add_gone(host, "no ckpool runs on this host", forget)
        if not any(pool.host == host and pool.place for pool in self._pools.values()):
            is_failure = nameless is not None and nameless.is_failure
            why, state = _reason(nameless) if nameless and is_failure else ("no ckpool runs on this host", GONE)
            self._fail(self._pool(host, ""), why, state)
        elif known:
            self._end_of_nothing(host)

    def finish(self, inventory: t.Container[str], forget: t.Sequence[str] = ()) -> None:
        """Compare the pools of hosts that were not asked, and make the new state.

        :arg inventory: every host of the inventory; one that left it is gone with all its pools.
        """
        for host in sorted({host for host, _place in self._pools} - self._done):
            if host in inventory:
                self.kept.append(host)
            else:
                self._add_gone(host, "its host is no longer in the inventory", forget)
        self.state.pools = list(self._pools.values())
        self.state.outbox += self.edges

    # One host

    def _pool(self, host: str, place: str) -> PoolState:
        self._looked.add((host, place))
        return self._pools.setdefault((host, place), PoolState(host, place))

    def _add_pool(self, host: str, place: str, entry: PoolResult) -> None:
        instance = entry.instance
        is_new = (host, place) not in self._pools
        pool = self._pool(host, place)
        state = str(instance.get("state") or "unknown")
        is_up = state in UP_STATES and not entry.is_failure
        if is_up or is_new or not pool.name:  # the name of one that has ended may be that of its directory
            pool.name, pool.socket_dir = _text(instance.get("name")) or "ckpool", _text(instance.get("socket_dir"))
        if is_up:
            self._succeed(pool, entry.result, instance)
        else:
            self._fail(pool, *((entry.why, FAILED) if entry.is_failure else (f"it is {printable(state)}", state)))

    def _unseen(self, host: str) -> t.List[PoolState]:
        return [
            pool for key, pool in self._pools.items() if pool.host == host and pool.place and key not in self._looked
        ]

    def _add_silent(self, host: str, failure: PoolResult) -> None:
        for pool in self._unseen(host):
            self._fail(pool, *_reason(failure))

    def _add_gone(self, host: str, why: str, forget: t.Sequence[str]) -> None:
        for pool in self._unseen(host):
            names = {"all", host, f"{host}:{pool.name}", f"{host}:{pool.socket_dir}"}
            if names.intersection(forget):
                self.forgotten.append(_shown(pool))
                del self._pools[host, pool.place]
            else:
                hint = self._to_forget.replace("{}", f"{host}:{pool.socket_dir or pool.name}")
                self._fail(pool, f"{why}; if it was removed on purpose: {hint}", GONE)

    def _end_of_nothing(self, host: str) -> None:
        """A host without a pool has one now."""
        pool = self._pools.pop((host, ""), None)
        if pool and self._close(pool, "down") is not None:
            self._tell(pool, "pool_recovered", "has a pool now")

    # One pool

    def _fail(self, pool: PoolState, why: str, state: str) -> None:
        pool.failed += 1
        why = shortened(one_line(why), _LONGEST)
        self.failing.append(f"{_shown(pool)}: {why}")
        if pool.failed >= self._limits.looks and self._open(pool, "down"):
            seen = f", last seen {utc_time(pool.seen)}" if pool.seen is not None else ""
            text = f"is down after {counted(pool.failed, 'failed look')}{seen}: {why}"
            self._tell(pool, "pool_down", text, why=why, state=state)

    def _succeed(self, pool: PoolState, result: Json, instance: Json) -> None:
        since = self._close(pool, "down")
        if pool.failed:
            pool.since = self._now
        if since is not None:
            away = max(self._now - since, 0)
            how_long = f"{away:.0f} s" if away < 60 else f"{away / 60:.0f} min"
            self._tell(pool, "pool_recovered", f"answers again, {how_long} after it was told to be down")
        pool.failed, pool.seen = 0, self._now
        summary = mapping(result.get("summary"))
        self._version(pool, summary.get("version"))
        self._work(pool, _number(summary.get("work_age")))
        self._hashrate(pool, summary)
        self._blocks(pool, result.get("blocks"))
        self._people(pool, result, instance)
        self._data(pool, result, instance)

    def _version(self, pool: PoolState, version: t.Any) -> None:
        text = _text(version)
        if not text:
            return
        if pool.version not in (None, text):
            self._tell(pool, "version_changed", f"runs version {_name(text)}, before {_name(pool.version or '')}",
                       version=text, before=pool.version)  # fmt: skip
        pool.version = text

    def _work(self, pool: PoolState, age: t.Optional[float]) -> None:
        if age is None:
            return
        if age > self._limits.work_age:
            if self._open(pool, "work"):
                self._tell(
                    pool, "work_stale", f"has no new work for {age:.0f} s: is its bitcoind in sync?", work_age=age
                )
        elif self._close(pool, "work") is not None:
            self._tell(pool, "work_recovered", f"has new work again, {max(age, 0):.0f} s old", work_age=age)

    def _hashrate(self, pool: PoolState, stats: Json) -> None:
        rate, usual = _number(stats.get("hashrate5m")), _number(stats.get("hashrate1hr"))
        if rate is None or usual is None:
            return
        since = pool.open.get("hashrate")
        if since is None:
            is_settled = pool.since is None or self._now - pool.since >= _SETTLING
            if is_settled and rate < usual * (1 - self._limits.drop) and self._open(pool, "hashrate"):
                pool.level = usual
                facts = {"hashrate5m": rate, "hashrate1hr": usual}
                self._tell(
                    pool, "hashrate_drop", f"has {human_hashrate(rate)}, before {human_hashrate(usual)}", **facts
                )
            return
        level = pool.level or 0.0
        is_back = rate >= level * (1 - self._limits.drop / 2)
        if is_back or self._now - since > _DAY:
            self._close(pool, "hashrate")
            pool.level = None
            what = (
                "has its hashrate back" if is_back else "stays at another hashrate for a day, which counts as usual now"
            )
            self._tell(
                pool, "hashrate_recovered", f"{what}: {human_hashrate(rate)}", hashrate5m=rate, hashrate1hr=usual
            )

    # Blocks

    def _blocks(self, pool: PoolState, blocks: t.Any) -> None:
        if not isinstance(blocks, list):
            return
        found = [_block(each) for each in blocks if isinstance(each, Mapping) and _time(each.get("time")) is not None]
        settled = [each for each in found if each["accepted"] is not None or each["time"] <= self._now - _UNSETTLED]
        known = pool.blocks
        fresh = [each for each in settled if not any(_is_same(each, old) for old in known or ())]
        if known is not None:
            # Older ones come from a log that was not there before, and are no news.
            floor = (pool.searched or 0.0) - _DAY
            for block in reversed(fresh):
                if block["time"] > floor:
                    self._tell(pool, "block_found", _block_text(block), **block)
        newest = sorted([*fresh, *(known or ())], key=lambda each: float(each["time"]), reverse=True)
        pool.blocks, pool.searched = newest[:_MOST_BLOCKS], self._now

    # Users and workers

    def _people(self, pool: PoolState, result: Json, instance: Json) -> None:
        as_of, started = _time(result.get("as_of")), _time(instance.get("started"))
        # Shares have the host's time, and so has as_of.
        moment = self._now if as_of is None else as_of
        may_tell = pool.since is None or self._now - pool.since >= self._limits.idle_after
        may_tell = may_tell and (started is None or moment - started >= self._limits.idle_after)
        users = self._active(result.get("users"), "user", moment)
        workers = self._active(result.get("workers"), "worker", moment)
        owners = _owners(result.get("workers"))
        gone: t.FrozenSet[str] = frozenset()
        back: t.FrozenSet[str] = frozenset()
        if users is not None:
            pool.users, gone, back = self._compared(pool.users, users, may_tell)
            self._tell_people(pool, "user", gone, back)
        if workers is not None:
            before = pool.workers or {}
            pool.workers, idle, active = self._compared(pool.workers, workers, may_tell)
            owners.update({name: user_of(name) for name in before if name not in owners})
            idle = frozenset(name for name in idle if owners.get(name) not in gone)
            active = frozenset(name for name in active if owners.get(name) not in back)
            self._tell_people(pool, "worker", idle, active)

    def _active(self, rows: t.Any, field: str, moment: float) -> t.Optional[t.Dict[str, t.Optional[bool]]]:
        """Name to whether it has sent a share lately; None if the names are not known."""
        if not isinstance(rows, list) or len(rows) > _MOST_NAMES:
            return None
        found: t.Dict[str, t.Optional[bool]] = {}
        for row in rows:
            name, user = mapping(row).get(field), mapping(row).get("user")
            if isinstance(name, str) and name and (not self._limits.users or user in self._limits.users):
                share = _number(row.get("last_share"))
                found[utf8(name)] = None if share is None else share >= moment - self._limits.idle_after
        return found

    def _compared(
        self, known: t.Optional[t.Dict[str, Idle]], now: t.Mapping[str, t.Optional[bool]], may_tell: bool
    ) -> t.Tuple[t.Dict[str, Idle], t.FrozenSet[str], t.FrozenSet[str]]:
        """The new state of names, those that went idle, and those that are back."""
        if known is None:
            return {name: None if active else 0.0 for name, active in now.items()}, frozenset(), frozenset()
        new, idle, back = dict(known), set(), set()
        for name, active in now.items():
            if active:
                if known.get(name):
                    back.add(name)
                new[name] = None
            elif active is False and name in known and known[name] is None:
                idle.add(name)
            elif name not in known:
                new[name] = 0.0
        for name, since in known.items():
            if name in now:
                continue
            if since is None:  # it has left
                idle.add(name)
            elif self._now - since > _FORGOTTEN:
                del new[name]
        if may_tell:
            new.update(dict.fromkeys(idle, self._now))
        else:
            idle.clear()
        left = sorted((name for name in new if name not in now), key=lambda name: new[name] or 0.0)
        for name in left[: max(len(new) - _MOST_REMEMBERED, 0)]:
            del new[name]
        return new, frozenset(idle), frozenset(back)

    def _tell_people(self, pool: PoolState, kind: str, idle: t.Collection[str], back: t.Collection[str]) -> None:
        for event, names, what in (
            (f"{kind}_idle", sorted(idle), f"sent no share for {self._limits.idle_after / 60:.0f} min, or left"),
            (f"{kind}_back", sorted(back), "sent shares again"),
        ):
            if len(names) > _NAMED:
                shown = listed(map(_name, names[:_NAMED]))
                text = f": {counted(len(names), kind)} {what}: {shown} and {len(names) - _NAMED} more"
                self._tell(pool, event, text, names=names[:_MOST_FACTS], count=len(names))
            else:
                for name in names:
                    self._tell(pool, event, f": {kind} {_name(name)} {what}", names=[name], count=1)

    # What is not known

    def _data(self, pool: PoolState, result: Json, instance: Json) -> None:
        missing = self._missing(result, instance)
        if not missing:
            pool.partial = 0
            if self._close(pool, "data") is not None:
                self._tell(pool, "data_back", "gives all of its data again")
            return
        pool.partial += 1
        if pool.partial >= self._limits.looks and self._open(pool, "data"):
            self._tell(pool, "data_missing", f"answers, but not all is known: {listed(missing)}", missing=missing)

    def _missing(self, result: Json, instance: Json) -> t.List[str]:
        sources, problems = mapping(result.get("sources")), mapping(result.get("problems"))
        passes = instance.get("mode") in PASSING_MODES
        found = []
        for area, source in sources.items():
            if area in ("users", "workers") and passes:
                continue
            rows = result.get(area)
            if source is None:
                why = _text(problems.get(area))
                text = f"{area}{': ' if why else ''}{why}"
            elif area in ("users", "workers") and isinstance(rows, list) and len(rows) > _MOST_NAMES:
                text = f"{area}: more than {_MOST_NAMES} are not watched"
            else:
                continue
            found.append(printable(shortened(one_line(text), _LONGEST)))
        return found

    # Edges

    def _open(self, pool: PoolState, condition: str) -> bool:
        """Note that something begins; whether it was not so before."""
        if condition in pool.open:
            return False
        pool.open[condition] = self._now
        return True

    def _close(self, pool: PoolState, condition: str) -> t.Optional[float]:
        """Note that something ends; when it began, None if it had not."""
        return pool.open.pop(condition, None)

    def _tell(self, pool: PoolState, event: str, text: str, **facts: t.Any) -> None:
        kind = next(kind for kind, events in EVENTS.items() if event in events)
        if kind not in self._limits.kinds:
            return
        severity = _SEVERITIES.get(event, WARNING if facts.get("accepted") is False else INFO)
        whole = printable(utf8(f"{_shown(pool)}{text if text[0] == ':' else f' {text}'}"))
        number, self.state.next = self.state.next, self.state.next + 1
        self.edges.append(
            Message(
                f"{self.state.id}-{number}", event, severity, pool.host, _name(pool.name), _name(pool.socket_dir), self._now,
                whole, _clean(facts), list(self._channels),
            )
        )  # fmt: skip


def _reason(entry: PoolResult) -> t.Tuple[str, str]:
    """Why a host gave nothing, and the state that its pools have by that."""
    return (f"unreachable: {entry.why}", UNREACHABLE) if entry.result.get("unreachable") else (entry.why, FAILED)


def _places(instances: t.Sequence[Json]) -> t.List[str]:
    """What identifies each instance of a host in every run. The pid and the start change, and so may the name of one that has ended."""
    found: t.List[str] = []
    places = []
    for instance in instances:
        place = _text(instance.get("socket_dir")) or _text(instance.get("name")) or "?"
        if instance.get("root") not in (None, "", "/"):  # in a container, where each may have the same directory
            place = f"{_text(instance.get('name'))}@{place}"
        places.append(place)
    order = sorted(range(len(places)), key=lambda number: (_started(instances[number]), number))
    names: t.Dict[int, str] = {}
    for number in order:
        same = sum(name == places[number] for name in found)
        found.append(places[number])
        names[number] = f"{places[number]}#{same + 1}" if same else places[number]
    return [names[number] for number in range(len(places))]


def _started(instance: Json) -> float:
    return _time(instance.get("started")) or 0.0


def _shown(pool: PoolState) -> str:
    if not pool.place:
        return pool.host
    return printable(f"{pool.host}: {_name(pool.name)} ({_name(pool.socket_dir)})")


def _text(value: t.Any) -> str:
    return utf8(value) if isinstance(value, str) else ""


def _name(text: str) -> str:
    """A name for a message."""
    return shortened(printable(utf8(text)), _LONGEST_NAME)


def _number(value: t.Any) -> t.Optional[float]:
    """A number; None in place of any other value."""
    return value if is_number(value) else None


def _time(value: t.Any) -> t.Optional[float]:
    """Epoch seconds; None in place of any other value."""
    return value if is_number(value) and 0 <= value < _LATEST else None


def _block(row: t.Mapping[str, t.Any]) -> Json:
    accepted = row.get("accepted")
    texts = {name: _text(row.get(name)) or None for name in ("hash", "worker", "reason")}
    numbers = {name: _number(row.get(name)) for name in ("height", "difficulty", "effort")}
    return {
        "time": row["time"],
        "accepted": accepted if isinstance(accepted, bool) else None,
        **texts,
        **numbers,
    }


def _is_same(block: Json, other: Json) -> bool:
    """Whether two records are about one block. Its time may shift with the time zone that is assumed."""
    heights = (block["height"], other.get("height"))
    if None not in heights:
        same = all(block[name] == other.get(name) for name in ("worker", "accepted"))
        return heights[0] == heights[1] and (same or block["time"] == other["time"])
    return bool(abs(block["time"] - other["time"]) <= 1)


def _block_text(block: Json) -> str:
    height = f" {block['height']:.0f}" if block["height"] is not None else ""
    by = f" by {_name(block['worker'])}" if block["worker"] else ""
    effort = f", effort {block['effort']:.1f} %" if block["effort"] is not None else ""
    outcome = {True: "accepted", False: "REJECTED", None: "acceptance not known"}[block["accepted"]]
    why = f" ({shortened(one_line(block['reason']), _LONGEST)})" if block["reason"] else ""
    return f"found block{height} at {utc_time(block['time'])}{by}: {outcome}{why}{effort}"


def _owners(rows: t.Any) -> t.Dict[str, str]:
    pairs = (mapping(row) for row in (rows if isinstance(rows, list) else ()))
    return {utf8(row["worker"]): _text(row.get("user")) for row in pairs if isinstance(row.get("worker"), str)}


def _clean(value: t.Any) -> t.Any:
    """Facts, with names as a message may show them."""
    if isinstance(value, str):
        return shortened(printable(utf8(value)), _LONGEST)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, (list, tuple)) else value
