# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a report: their columns and cells as text, the same for all forms of the report. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._text import printable
from ...module_utils._wording import counted, listed
from .._types import Json
from . import history, units
from .history import Number

TEXT, NUMBER, TIME, CHART = "text", "number", "time", "chart"
WORDS = {
    "1m": "1 min", "5m": "5 min", "15m": "15 min", "1hr": "1 h", "6hr": "6 h", "1d": "1 day", "7d": "7 days"
}  # fmt: skip
_NOT_KNOWN = "-"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A value in a table.

    :ivar text: for a person.
    :ivar value: what to sort by; the text if None.
    :ivar moment: epoch seconds, of a cell about a time.
    :ivar tone: C(critical), C(warning) or C(ok) for a word that is a verdict.
    :ivar series: values of a chart, for columns of that kind.
    """

    text: str
    value: Number = None
    moment: Number = None
    tone: str = ""
    series: t.Optional[t.Sequence[Number]] = None


@dataclasses.dataclass(frozen=True)
class Column:
    """A column.

    :ivar title: with the unit, if all of its numbers have one unit.
    :ivar kind: C(text), C(number), C(time) or C(chart).
    """

    title: str
    kind: str = TEXT


@dataclasses.dataclass
class Table:
    """A table.

    :ivar key: names it within the page.
    :ivar caption: what it shows, its units, and how old it is.
    :ivar empty: what is said if it has no rows.
    :ivar heads: how many columns at the start name the row.
    """

    key: str
    title: str
    caption: str
    columns: t.Sequence[Column]
    rows: t.List[t.List[Cell]]
    empty: str
    heads: int = 1
    note: str = ""


def text(value: t.Any, tone: str = "") -> Cell:
    """A cell with text that anybody may have written."""
    shown = _NOT_KNOWN if value in (None, "") else printable(str(value))
    return Cell(shown, tone=tone)


def number(value: Number, form: t.Callable[[Number], str]) -> Cell:
    """A cell with a number.

    :arg form: one of those in C(units).
    """
    return Cell(form(value), value)


def ago(moment: Number, now: float) -> Cell:
    """A cell with an age."""
    return Cell(units.age(moment, now), moment, moment)


def tables_of(model: Json) -> t.List[Table]:
    """The tables of a report, in their order. Without those that nobody asked for."""
    found = [
        _pools(model), _hashrates(model), _odds(model), _blocks(model), _users(model), _idle(model), _agents(model),
        _windows(model), _missing(model), _over_time(model),
    ]  # fmt: skip
    return [table for table in found if table is not None]


def state_tone(pool: Json) -> str:
    """The tone of a pool's state."""
    return pool["status"] if pool["status"] != "ok" or pool["state"] == "ok" else "warning"


def _heads(pool: Json) -> t.List[Cell]:
    return [text(pool["pool"]), text(pool["host"]), text(pool["state"], state_tone(pool))]


_HEADS = (Column("Pool"), Column("Host"), Column("State"))


def _pools(model: Json) -> Table:
    now = model["generated"]
    columns = (
        *_HEADS, Column("Users", NUMBER), Column("Workers", NUMBER), Column("Idle workers", NUMBER),
        Column("Connections", NUMBER), Column("Accepted shares (difficulty)", NUMBER), Column("Rejected (% of difficulty)", NUMBER),
        Column("Best share (difficulty)", NUMBER), Column("Age of work", NUMBER), Column("Uptime", NUMBER), Column("Version"),
        Column("Source"), Column("Statistics of", TIME),
    )  # fmt: skip
    rows = [
        [
            *_heads(pool),
            *(number(pool[field], units.count) for field in ("users", "workers", "idle", "clients")),
            number(pool["accepted"], units.amount), number(pool["reject_ratio"], units.percent),
            number(pool["best_share"], units.amount), number(pool["work_age"], units.duration),
            number(pool["uptime"], units.duration), text(pool["version"]), text(pool["source"]), ago(pool["as_of"], now),
        ]
        for pool in model["pools"]
    ]  # fmt: skip
    caption = (
        "Every pool, and every host that gave no answer, the worst first. Shares are sums of difficulty since the counters "
        "began. The last column is the age of a row's numbers."
    )
    return Table("pools", "Pools", caption, columns, rows, "No host was asked.")


def _hashrates(model: Json) -> Table:
    past, now = model["history"], model["generated"]
    windows = [Column(WORDS[window], NUMBER) for window in history.WINDOWS]
    trends = {(entry["host"], entry["socket_dir"]): entry for entry in past["pools"]} if past else {}
    charts = (Column("Hashrate over time", CHART), Column("Rejected over time", CHART)) if past else ()
    rows = []
    for pool in model["pools"]:
        if pool["socket_dir"] is None:
            continue
        trend = trends.get((pool["host"], pool["socket_dir"]))
        cells = [number(pool["hashrate"][window], units.hashrate) for window in history.WINDOWS]
        rows.append([*_heads(pool), *cells, *(_trends(trend) if past else []), ago(pool["as_of"], now)])
    caption = "Hashrate of every pool, as the mean over the time in the heading. The last column is the age of a row's numbers."
    if past:
        caption += (
            f" The charts begin at {units.utc(past['times'][0])}, with a value every {units.duration(past['step'])}."
        )
    columns = (*_HEADS, *windows, *charts, Column("Statistics of", TIME))
    return Table("hashrates", "Hashrate", caption, columns, rows, "No pool answered.")


def _trends(trend: t.Optional[Json]) -> t.List[Cell]:
    if trend is None:
        return [Cell(_NOT_KNOWN), Cell(_NOT_KNOWN)]
    forms = (("hashrate", units.hashrate), ("rejects", units.percent))
    return [Cell(_course(trend[field], form), series=trend[field]) for field, form in forms]


def _course(values: t.Sequence[Number], form: t.Callable[[Number], str]) -> str:
    """What a chart shows, in words."""
    known = [value for value in values if value is not None]
    if not known:
        return _NOT_KNOWN
    return f"{form(min(known))} to {form(max(known))}, last {form(known[-1])}"


def _odds(model: Json) -> Table:
    now = model["generated"]
    fleet = model["odds"]
    columns = (
        Column("Pool"), Column("Host"), Column("Hashrate", NUMBER), Column("Measured over"), Column("Network difficulty", NUMBER),
        Column("Expected time to a block", NUMBER), Column("Probability of a block in 24 h", NUMBER), Column("Statistics of", TIME),
    )  # fmt: skip
    rows = [
        [
            text(pool["pool"]),
            text(pool["host"]),
            *_chances(pool, WORDS.get(pool["usual_window"] or "")),
            ago(pool["as_of"], now),
        ]
        for pool in model["pools"]
        if pool["usual_hashrate"]
    ]
    if len(rows) > 1:
        whole = {**fleet, "usual_window": None}
        rows.insert(
            0, [Cell("All pools"), Cell("-"), *_chances(whole, "as below"), ago(fleet["difficulty_as_of"], now)]
        )
    caption = (
        "When to expect the next block, if the hashrate stays as it is. Blocks come at random: the expected time is "
        "a mean, and after it the probability of a block by then is 63 %."
    )
    return Table("odds", "Odds of the next block", caption, columns, rows, "No pool has a hashrate.")


def _chances(record: Json, window: t.Optional[str]) -> t.List[Cell]:
    found = record["odds"] or {"expected_seconds": None, "chance_per_day": None}
    return [
        number(record["usual_hashrate"], units.hashrate), text(window), number(record["network_difficulty"], units.amount),
        number(found["expected_seconds"], units.duration), number(found["chance_per_day"], units.chance),
    ]  # fmt: skip


def _blocks(model: Json) -> Table:
    now = model["generated"]
    columns = (
        Column("Height", NUMBER), Column("Found", TIME), Column("Time"), Column("Pool"), Column("Host"), Column("Result"), Column("Worker"),
        Column("Effort (% of difficulty)", NUMBER), Column("Difficulty of the share", NUMBER), Column("Hash"),
    )  # fmt: skip
    rows = [
        [
            Cell("-" if block["height"] is None else f"{block['height']:.0f}", block["height"]),
            ago(block["time"], now), Cell(units.utc(block["time"]), block["time"]), text(block["pool"]), text(block["host"]),
            _block_result(block), text(block["worker"]), number(block["effort"], units.percent),
            number(block["difficulty"], units.amount), text(block["hash"]),
        ]
        for block in model["blocks"]
    ]  # fmt: skip
    return Table("blocks", "Blocks found", "The blocks in the logs of the pools, the newest first.", columns, rows,
                 "The logs that could be read name no block.")  # fmt: skip


def _block_result(block: Json) -> Cell:
    if block["accepted"] is None:
        return Cell("not known")
    if block["accepted"]:
        return text("stale", "warning") if block["stale"] else text("accepted", "ok")
    return text(f"rejected: {block['reason']}" if block["reason"] else "rejected", "critical")


def _users(model: Json) -> Table:
    now = model["generated"]
    rates = ("1m", "5m", "1hr", "1d", "7d")
    columns = (
        Column("User"), *(Column(f"Hashrate {WORDS[window]}", NUMBER) for window in rates), Column("Workers", NUMBER),
        Column("Shares (difficulty)", NUMBER), Column("Best share (difficulty)", NUMBER), Column("Last share", TIME), Column("Pools", NUMBER),
    )  # fmt: skip
    rows = [
        [
            text(user["user"]), *(number(user[f"hashrate{window}"], units.hashrate) for window in rates),
            number(user["workers"], units.count), number(user["shares"], units.amount), number(user["best_share"], units.amount),
            ago(user["last_share"], now), number(len(user["pools"]), units.count),
        ]
        for user in model["users"]
    ]  # fmt: skip
    caption = (
        f"The first {len(rows)} of {model['users_known']} users by their hashrate over 1 h, added up over all pools."
    )
    cut = model["users_cut"]
    note = f"Of {counted(cut, 'pool')} only the strongest users were read, so sums may lack a part." if cut else ""
    return Table("users", "Top users", caption, columns, rows, "No user is known.", note=note)


def _idle(model: Json) -> t.Optional[Table]:
    if model["idle_known"] is None:
        return None
    now = model["generated"]
    columns = (
        Column("Worker"), Column("Pool"), Column("Host"), Column("Last share", TIME), Column("Hashrate 1 day", NUMBER), Column("Connected"),
    )  # fmt: skip
    rows = [
        [
            text(worker["worker"]), text(worker["pool"]), text(worker["host"]), ago(worker["last_share"], now),
            number(worker["hashrate1d"], units.hashrate), Cell("has left" if worker["has_left"] else "yes"),
        ]
        for worker in model["idle_workers"]
    ]  # fmt: skip
    caption = (
        f"The first {len(rows)} of {model['idle_known']} workers without a share in the last 10 min, those that fell silent "
        "last come first."
    )
    return Table("idle", "Idle workers", caption, columns, rows, "No idle worker is known.")


def _agents(model: Json) -> Table:
    columns = (
        Column("User agent"), Column("Devices", NUMBER), Column("Hashrate 5 min", NUMBER), Column("Best share (difficulty)", NUMBER)
    )  # fmt: skip
    rows = [
        [
            text(agent["user_agent"] or "(none)"), number(agent["devices"], units.count),
            number(agent["hashrate5m"], units.hashrate), number(agent["best_share"], units.amount),
        ]
        for agent in model["user_agents"]
    ]  # fmt: skip
    caption = "The programs that miners say they run, the strongest first."
    return Table("agents", "User agents", caption, columns, rows, "No pool gives the user agents of its miners.")


def _windows(model: Json) -> t.Optional[Table]:
    if model["windows"] is None:
        return None
    now = model["generated"]
    columns = (
        Column("Host"), Column("Opened", TIME), Column("Took", NUMBER), Column("Outcome"), Column("Reason"), Column("By"), Column("Pools"),
        Column("Miners away at most", NUMBER), Column("Result"),
    )  # fmt: skip
    rows = [
        [
            text(window["host"]), ago(window["opened"], now), _window_length(window), _window_outcome(window),
            text(window["reason"]), text(window["owner"]), text(listed(window["instances"])),
            number(window["gap"], units.duration), text(window["msg"]),
        ]
        for window in model["windows"]
    ]  # fmt: skip
    caption = "The last maintenance windows, open ones first, then the newest."
    return Table("windows", "Maintenance windows", caption, columns, rows, "No record of a window was found.")


def _window_length(window: Json) -> Cell:
    if window["closed"] is None:
        return Cell("still open")
    return number(max(window["closed"] - window["opened"], 0), units.duration)


def _window_outcome(window: Json) -> Cell:
    tones = {"done": "ok", "nothing_to_do": "ok", "rolled_back": "warning", "not_started": "warning"}
    if window["outcome"] is None:
        return text(window["state"] or "not known", "warning")
    return text(window["outcome"].replace("_", " "), tones.get(window["outcome"], "critical"))


def _missing(model: Json) -> t.Optional[Table]:
    if not model["missing"]:
        return None
    rows = [[text(entry["pool"]), text(entry["host"]), text(entry["why"])] for entry in model["missing"]]
    columns = (Column("Pool"), Column("Host"), Column("Why"))
    return Table(
        "missing", "Not known", "Pools whose users, workers or blocks are not in this report.", columns, rows, ""
    )


def _over_time(model: Json) -> t.Optional[Table]:
    """The numbers of the fleet's charts."""
    past = model["history"]
    if past is None:
        return None
    fleet = past["fleet"]
    columns = (
        Column("From", TIME), Column("Hashrate of the fleet", NUMBER), Column("Pools counted", NUMBER),
        Column("Rejected (% of difficulty)", NUMBER),
    )  # fmt: skip
    rows = [
        [
            Cell(units.utc(moment), moment),
            number(rate, units.hashrate),
            number(pools, units.count),
            number(rejects, units.percent),
        ]
        for moment, rate, pools, rejects in zip(past["times"], fleet["hashrate"], fleet["counted"], fleet["rejects"])
    ]
    caption = f"The numbers of the charts, one row every {units.duration(past['step'])}. - is a time without snapshots."
    return Table("history", "The fleet over time", caption, columns, rows[::-1], "There are no snapshots.")


@dataclasses.dataclass(frozen=True)
class Total:
    """One of the large numbers at the top.

    :ivar note: what it is the sum of.
    """

    title: str
    text: str
    note: str = ""


def totals_of(model: Json) -> t.List[Total]:
    """The fleet in large numbers."""
    found = model["totals"]
    left_out = found["pools"] - found["counted"]
    without = f"without {counted(left_out, 'pool')} of unknown hashrate" if left_out > 0 else "all pools"
    rates = [
        Total(f"Hashrate, {WORDS[window]}", units.hashrate(found["hashrate"][window]), without)
        for window in history.WINDOWS
    ]
    odds = model["odds"]["odds"] or {"expected_seconds": None, "chance_per_day": None}
    return [
        Total(
            "Pools", units.count(found["pools"]), f"{found['healthy']} healthy, on {counted(found['hosts'], 'host')}"
        ),
        *rates,
        Total("Users", units.count(found["users"]), "summed over pools"),
        Total("Workers", units.count(found["workers"]), f"{units.count(found['idle'])} idle"),
        Total("Connections", units.count(found["clients"]), "summed over pools"),
        Total("Rejected", units.percent(found["reject_ratio"]), "of the difficulty of all shares"),
        Total("Best share", units.amount(found["best_share"]), "difficulty"),
        Total(
            "Next block",
            units.duration(odds["expected_seconds"]),
            f"expected; in 24 h: {units.chance(odds['chance_per_day'])}",
        ),
    ]
