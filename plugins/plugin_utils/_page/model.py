# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a report on a fleet, as JSON data: what the hosts returned, joined by pool. Pure functions.

Hashrates are in H/s, times in epoch seconds, durations in seconds, ratios in percent, and what is not known is None.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import typing as t

from ...module_utils._health import CRITICAL, OK, STATUSES, WARNING
from ...module_utils._units import is_number
from ...module_utils._wording import one_line, shortened
from .._causes import causes
from .._pool_results import PoolResult, mapping, pool_results
from .._ranking import top
from .._report import name_of, names_of, summary, totals
from .._rows import FAILED, GONE, UNREACHABLE, Row
from .._types import Json
from .._users import FleetUsers, merged
from . import history, odds
from .names import NONE, Names, names_in
from .windows import Window

#: states, from the worst
_WORST = ("down", "hung", GONE, UNREACHABLE, FAILED, "unknown", "degraded", "starting", "ok")
_MOST_BLOCKS = 50
_LONGEST_LINE = 400  #: characters of a log's line
_MOST_AGENTS = 50
_SUMS = ("users", "workers", "idle", "disconnected", "accepted", "rejected")
HostResults = t.Sequence[t.Tuple[str, t.Any]]
Place = t.Tuple[
    str, t.Optional[str], t.Optional[str]
]  #: host, root and socket directory of a pool, the same within a run
Known = t.Mapping[Place, t.Tuple[str, PoolResult]]


@dataclasses.dataclass
class Inputs:
    """What a report is made from.

    :ivar rows: of the health of all instances.
    :ivar pools: host and what C(ckpool_info) returned there.
    :ivar idle: host and what C(ckpool_worker_info) returned there of the idle workers; None if nobody was asked.
    :ivar snapshots: pool to its figures of earlier times.
    :ivar instances: pool to its name in snapshots.
    :ivar grid: the times of the series; None without snapshots.
    :ivar windows: maintenance windows, in any order; None if nobody looked.
    :ivar read: how many users of each pool were read at most; 0 for all.
    :ivar problems: what could not be read, each as a sentence.
    """

    rows: t.Sequence[Row]
    pools: HostResults
    now: float
    idle: t.Optional[HostResults] = None
    snapshots: t.Dict[history.PoolKey, t.List[history.Sample]] = dataclasses.field(default_factory=dict)
    instances: t.Dict[history.PoolKey, str] = dataclasses.field(default_factory=dict)
    grid: t.Optional[history.Grid] = None
    windows: t.Optional[t.Sequence[Window]] = None
    not_asked: t.Sequence[str] = ()
    problems: t.Sequence[str] = ()
    title: str = "ckpool fleet"
    users: int = 20
    idle_workers: int = 100
    read: int = 0
    names: str = NONE
    key: bytes = b""


def model_of(inputs: Inputs) -> Json:
    """The content of a report. Its values are documented as RV(report) of C(ckpool_fleet_report)."""
    known = _known_pools(inputs.pools)
    fleet, missing = _users(inputs)
    idle, idle_missing = _idle(inputs)
    blocks = _blocks(known, inputs.now)
    names = Names(inputs.names, inputs.key, names_in([*fleet, *_workers_of(fleet)], idle, blocks))
    pools = _pools(inputs, known, names)
    content: Json = {
        "title": inputs.title,
        "generated": int(inputs.now),
        "names": inputs.names,
        "summary": names.text(summary(inputs.rows)),
        "not_asked": list(inputs.not_asked),
        "problems": [names.text(text) for text in inputs.problems],
        "missing": _missing([*missing, *idle_missing], inputs.rows, names),
        "pools": pools,
        "totals": _totals(inputs.rows, pools),
        "history": _history(inputs, known),
        "odds": _fleet_odds(pools),
        "blocks": [_with_names(block, names) for block in blocks],
        "users": [_user(user, names) for user in top(merged(fleet), inputs.users, by="hashrate1hr")],
        "users_known": len({user["user"] for user in fleet}),
        "users_cut": _cut(known, inputs.read),
        "idle_workers": [_with_names(worker, names) for worker in idle[: inputs.idle_workers]],
        "idle_known": len(idle) if inputs.idle is not None else None,
        "user_agents": _agents(known, fleet),
        "windows": None if inputs.windows is None else [window.as_dict() for window in inputs.windows],
    }
    return content


# Pools


def _place_of(host: str, instance: Json) -> Place:
    return (host, instance.get("root"), instance.get("socket_dir"))


def _known_pools(results: HostResults) -> t.Dict[Place, t.Tuple[str, PoolResult]]:
    """What is known of each pool that answered."""
    return {
        _place_of(host, pool.instance): (host, pool)
        for host, result in results
        for pool in pool_results(result)
        if pool.instance and not pool.is_failure
    }


def _pools(inputs: Inputs, known: Known, names: Names) -> t.List[Json]:
    """The pools, and the hosts without, the worst first."""
    called = names_of(inputs.rows)
    return [_pool(row, name_of(row, called), known, names) for row in sorted(inputs.rows, key=_badness)]


def _badness(row: Row) -> t.Tuple[int, int, str, str]:
    state = _WORST.index(row["state"]) if row["state"] in _WORST else len(_WORST)
    return (-STATUSES.index(row["status"]), state, row["host"], str(row["instance"]))


def _pool(row: Row, name: str, known: Known, names: Names) -> Json:
    _host, found = known.get(_place_of(row["host"], row), (row["host"], None))
    result = found.result if found else {}
    stats, about = mapping(result.get("stats")), mapping(result.get("summary"))
    rates = {window: history.amount(stats.get(f"hashrate{window}")) for window in history.WINDOWS}
    if rates["1m"] is None:
        rates["1m"] = row["hashrate"]
    numbers = {field: history.amount(stats.get(field)) for field in _SUMS}
    line = row["log_line"] if row["state"] != "ok" else None
    return {
        "host": row["host"],
        "pool": name,
        "socket_dir": row["socket_dir"],
        "pid": row["pid"],
        "state": row["state"],
        "status": row["status"],
        "causes": [{"summary": names.text(cause.summary), "cure": names.text(cause.hint)} for cause in causes(row)],
        "log_line": shortened(names.text(line) or "", _LONGEST_LINE) if line else None,
        "mode": _text(about.get("mode")),
        "version": _text(about.get("version")),
        "source": _text(result.get("source")),
        "as_of": history.amount(result.get("as_of")),
        "hashrate": rates,
        **numbers,
        "users": row["users"] if numbers["users"] is None else numbers["users"],
        "workers": row["workers"] if numbers["workers"] is None else numbers["workers"],
        "clients": row["clients"],
        "reject_ratio": history.ratio(numbers["accepted"], numbers["rejected"]),
        "best_share": history.amount(stats.get("best_share")),
        "work_age": row["work_age"],
        "uptime": history.amount(stats.get("uptime")),
        **_odds_of({} if row["state"] in history.SILENT else rates, _difficulty(result)),
    }


def _text(value: t.Any) -> t.Optional[str]:
    return shortened(one_line(value), 100) if isinstance(value, str) else None


def _difficulty(result: Json) -> history.Number:
    """The network's difficulty, as the pool's statistics, work or blocks tell it."""
    stats, workbase = mapping(result.get("stats")), mapping(result.get("workbase"))
    return history.amount(stats.get("network_difficulty")) or history.amount(workbase.get("difficulty"))


def _odds_of(rates: t.Mapping[str, history.Number], difficulty: history.Number) -> Json:
    rate, window = odds.usual_rate(rates)
    found = odds.odds(difficulty, rate)
    return {
        "network_difficulty": difficulty,
        "usual_hashrate": rate,
        "usual_window": window,
        "odds": found,
    }


def _fleet_odds(pools: t.Sequence[Json]) -> Json:
    """Those of all pools together. The difficulty is that of the youngest statistics: it is the same for all pools."""
    rates = [pool["usual_hashrate"] for pool in pools if pool["usual_hashrate"] is not None]
    known = [pool for pool in pools if pool["network_difficulty"]]
    youngest = max(known, key=lambda pool: pool["as_of"] or 0, default=None)
    difficulty = youngest["network_difficulty"] if youngest else None
    rate = math.fsum(rates) if rates else None
    return {
        "network_difficulty": difficulty,
        "difficulty_as_of": youngest["as_of"] if youngest else None,
        "usual_hashrate": rate,
        "counted": len(rates),
        "odds": odds.odds(difficulty, rate),
    }


def _totals(rows: t.Sequence[Row], pools: t.Sequence[Json]) -> Json:
    """The fleet in numbers: sums over the pools that gave a number, None if none did."""
    found = totals(rows)
    ages = [pool["as_of"] for pool in pools if pool["as_of"] is not None]
    sums = {field: _sum(pools, field) for field in (*_SUMS, "clients")}
    return {
        **{name: found[name] for name in ("hosts", "pools", "healthy")},
        "counted": sum(pool["hashrate"]["1m"] is not None for pool in pools),
        "critical": sum(row["status"] == CRITICAL for row in rows),
        "warning": sum(row["status"] == WARNING or (row["status"] == OK and row["state"] != "ok") for row in rows),
        "hashrate": {window: _sum([pool["hashrate"] for pool in pools], window) for window in history.WINDOWS},
        **sums,
        "reject_ratio": history.ratio(sums["accepted"], sums["rejected"]),
        "best_share": max((pool["best_share"] for pool in pools if pool["best_share"] is not None), default=None),
        "oldest": min(ages, default=None),
        "silent": sum(pool["state"] in history.SILENT and pool["hashrate"]["1m"] is not None for pool in pools),
    }


def _sum(records: t.Sequence[Json], field: str) -> history.Number:
    values = [record[field] for record in records if record[field] is not None]
    return math.fsum(values) if any(isinstance(value, float) for value in values) else sum(values) if values else None


# Users, workers, blocks, user agents


def _users(inputs: Inputs) -> t.Tuple[t.List[Json], t.List[Json]]:
    """The users of all pools, and what is missing."""
    fleet = FleetUsers()
    for host, result in inputs.pools:
        fleet.add(host, result)
    return fleet.users, fleet.missing


def _cut(known: Known, read: int) -> int:
    """Of how many pools not all users were read."""
    lists = [pool.result.get("users") for _host, pool in known.values()]
    return sum(isinstance(users, list) and len(users) >= read for users in lists) if read else 0


def _user(user: Json, names: Names) -> Json:
    rows = user["pools"]
    counts = [
        row.get("worker_count") if row.get("worker_count") is not None else len(_list(row, "workers")) for row in rows
    ]
    return {
        **{field: value for field, value in user.items() if field != "pools"},
        "user": names.user(user["user"]),
        "workers": sum(count for count in counts if is_number(count)),
        "pools": sorted({f"{row['pool']} on {row['host']}" for row in rows}),
    }


def _workers_of(users: t.Iterable[Json]) -> t.List[Json]:
    return [worker for user in users for worker in _list(user, "workers")]


def _list(record: t.Mapping[str, t.Any], field: str) -> t.List[Json]:
    """The dictionaries in a list of a record."""
    values = record.get(field)
    return [mapping(value) for value in values if mapping(value)] if isinstance(values, list) else []


def _idle(inputs: Inputs) -> t.Tuple[t.List[Json], t.List[Json]]:
    """The workers that sent no share lately, those that did last come first, and what is missing."""
    found: t.List[Json] = []
    missing: t.List[Json] = []
    for host, result in inputs.idle or ():
        for pool in pool_results(result):
            name = str(pool.instance.get("name") or "pool")
            if pool.is_failure:
                missing.append({"host": host, "pool": name, "why": pool.why})
            found += [_idle_worker(host, name, worker) for worker in _list(pool.result, "workers")]
    found.sort(key=lambda worker: -(worker["last_share"] or 0))
    return found, missing


def _idle_worker(host: str, pool: str, worker: Json) -> Json:
    return {
        "host": host,
        "pool": pool,
        "worker": str(worker.get("worker")),
        "last_share": history.amount(worker.get("last_share")),
        "hashrate1d": history.amount(worker.get("hashrate1d")),
        "has_left": bool(worker.get("stale")),
    }


def _missing(entries: t.Sequence[Json], rows: t.Sequence[Row], names: Names) -> t.List[Json]:
    """What is missing, each pool of a host once. A host or a pool that has a verdict of its own is not named again."""
    said = {
        (row["host"], row["instance"] or "pool") for row in rows if row["state"] not in ("ok", "degraded", "starting")
    }
    first = {(entry["host"], entry["pool"]): entry for entry in reversed(entries)}
    return [{**first[key], "why": names.text(first[key]["why"])} for key in reversed(list(first)) if key not in said]


def _with_names(record: Json, names: Names) -> Json:
    given = {"user": names.user, "worker": names.worker}
    return {**record, **{field: replace(record[field]) for field, replace in given.items() if field in record}}


def _blocks(known: Known, now: float) -> t.List[Json]:
    """The blocks that the pools found, the newest first."""
    found = [_block(host, pool, block) for host, pool in known.values() for block in _list(pool.result, "blocks")]
    found.sort(key=lambda block: -(block["time"] or 0))
    return found[:_MOST_BLOCKS]


def _block(host: str, pool: PoolResult, block: Json) -> Json:
    accepted, stale = block.get("accepted"), block.get("stale")
    return {
        "host": host,
        "pool": str(pool.instance.get("name") or "pool"),
        "time": history.amount(block.get("time")),
        "height": history.amount(block.get("height")),
        "hash": _text(block.get("hash")),
        "worker": block.get("worker") if isinstance(block.get("worker"), str) else None,
        "difficulty": history.amount(block.get("difficulty")),
        "network_difficulty": history.amount(block.get("network_difficulty")),
        "effort": history.amount(block.get("effort")),
        "accepted": accepted if isinstance(accepted, bool) else None,
        "stale": stale if isinstance(stale, bool) else None,
        "reason": _text(block.get("reason")),
    }


def _agents(known: Known, users: t.Sequence[Json]) -> t.List[Json]:
    """The kinds of miners, the strongest first. Where a pool does not sum them up, its workers are counted."""
    sums: t.Dict[str, t.List[float]] = collections.defaultdict(lambda: [0, 0.0, 0.0])
    counted = set()
    for host, pool in known.values():
        for agent in _list(mapping(pool.result.get("stats")), "user_agents"):
            counted.add((host, pool.instance.get("pid")))
            _add(sums, agent, history.amount(agent.get("devices")) or 0)
    for user in users:
        if (user["host"], user["pid"]) not in counted:
            for worker in _list(user, "workers"):
                if isinstance(worker.get("user_agent"), str) and not worker.get("stale"):
                    _add(sums, worker, 1)
    rows = [
        {"user_agent": name, "devices": int(devices), "hashrate5m": rate, "best_share": best or None}
        for name, (devices, rate, best) in sums.items()
    ]
    return sorted(rows, key=lambda row: (-t.cast(float, row["hashrate5m"]), -t.cast(int, row["devices"])))[
        :_MOST_AGENTS
    ]


def _add(sums: t.Dict[str, t.List[float]], record: Json, devices: float) -> None:
    entry = sums[_text(record.get("user_agent")) or ""]
    entry[0] += devices
    entry[1] += history.amount(record.get("hashrate5m")) or 0.0
    entry[2] = max(entry[2], history.amount(record.get("best_share")) or 0.0)


# Over time


def _history(inputs: Inputs, known: Known) -> t.Optional[Json]:
    """The series of the fleet and of each pool; None without snapshots."""
    if inputs.grid is None:
        return None
    grid = inputs.grid
    here = {history.key_of(host, pool.instance): pool for host, pool in known.values()}
    now = {key: history.sample_of(inputs.now, pool.result) for key, pool in here.items()}
    labels = {**inputs.instances, **{key: str(pool.instance.get("name")) for key, pool in here.items()}}
    keys = sorted({*inputs.snapshots, *now})
    made = {
        key: history.series_of([*inputs.snapshots.get(key, []), *([now[key]] if key in now else [])], grid)
        for key in keys
    }
    fleet = history.fleet_series(list(made.values()), grid)
    return {
        "step": grid.step,
        "window": grid.window,
        "times": grid.times,
        "fleet": dataclasses.asdict(fleet),
        "pools": [
            {
                "host": key[0],
                "pool": labels[key],
                "socket_dir": key[1],
                "is_here": key in now,
                "hashrate": series.hashrate,
                "rejects": series.rejects,
            }
            for key, (series, _shares) in made.items()
        ],
    }
