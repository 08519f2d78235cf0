# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hashrate and rejected shares went, from kept snapshots: a value for each step of a grid of times. Pure functions.

Reading every snapshot of a month would take minutes and show no more than a screen has room for. So each step of the grid
takes the last snapshot in it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
import typing as t

from ...module_utils._units import is_number
from .._pool_results import mapping
from .._types import Json

WINDOWS = ("1m", "5m", "15m", "1hr", "6hr", "1d", "7d")
MOST = 124  #: steps of a grid: a month in steps of 6 h
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR,
    _DAY, 2 * _DAY, 7 * _DAY, 30 * _DAY, 365 * _DAY,
)  # fmt: skip
#: the shortest step for which a window says more about it than a shorter window
_BY_STEP = ((20 * _HOUR, "1d"), (3 * _HOUR, "6hr"), (30 * _MINUTE, "1hr"), (10 * _MINUTE, "15m"), (0, "5m"))
_OLDEST_STATISTICS = 600  #: seconds after which statistics say nothing about the time of a snapshot
SILENT = ("down", "hung", "unknown")  #: states of pools whose statistics are left over
_HOST_ROOTS = (None, "", "/")

#: what identifies a pool over restarts: host, socket directory or name, and the name once more if it is in a container
PoolKey = t.Tuple[str, str, str]
Number = t.Optional[float]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Steps of time, the last of which contains now.

    :ivar start: of the first step, in epoch seconds.
    :ivar step: seconds.
    :ivar count: how many steps.
    """

    start: int
    step: int
    count: int

    @property
    def times(self) -> t.List[int]:
        """The start of each step, in epoch seconds."""
        return [self.start + number * self.step for number in range(self.count)]

    def place(self, moment: float) -> t.Optional[int]:
        """The step that a time is in; None for a time outside."""
        number = int((moment - self.start) // self.step)
        return number if 0 <= number < self.count else None

    @property
    def window(self) -> str:
        """The window of hashrates that fits a step."""
        return next(window for least, window in _BY_STEP if self.step >= least)


def usual_interval(moments: t.Iterable[t.Iterable[float]]) -> float:
    """The seconds from one snapshot of a host to the next, as a median; 0 if no host has two.

    :arg moments: the times of each host's snapshots.
    """
    gaps = [after - before for times in moments for before, after in itertools.pairwise(sorted(times))]
    return statistics.median(gaps) if gaps else 0.0


def grid_of(oldest: float, now: float, interval: float = 0.0, most: int = MOST) -> Grid:
    """A grid over the time from the oldest snapshot to now.

    :arg oldest, now: epoch seconds.
    :arg interval: seconds between snapshots. A step is no shorter, or every other one would be empty.
    :arg most: steps.
    """
    for step in _STEPS:
        if step < 0.95 * interval:
            continue
        start = int(oldest // step) * step
        count = int((now - start) // step) + 1
        if count <= most:
            return Grid(start, step, max(count, 1))
    step = _STEPS[-1]
    return Grid(int(now // step - most + 1) * step, step, most)


def chosen(moments: t.Mapping[str, float], grid: Grid) -> t.List[str]:
    """The files that a host's series are made from: the last one of each step, in order.

    :arg moments: file to the time in its name, in epoch seconds.
    """
    last: t.Dict[int, str] = {}
    for name in sorted(moments, key=lambda name: (moments[name], name)):
        place = grid.place(moments[name])
        if place is not None:
            last[place] = name
    return [last[place] for place in sorted(last)]


@dataclasses.dataclass(frozen=True)
class Sample:
    """The figures of a pool at a time.

    :ivar taken: epoch seconds.
    :ivar hashrates: H/s by window; empty if the pool gave none, or only old ones.
    :ivar accepted, rejected: shares, as sums of difficulty, since the pool's counters began.
    """

    taken: float
    hashrates: t.Mapping[str, float]
    accepted: Number
    rejected: Number


def amount(value: t.Any) -> Number:
    """A number from 0 up; None for anything else."""
    return value if is_number(value) and value >= 0 else None


def key_of(host: str, instance: Json) -> PoolKey:
    """What identifies a pool over restarts. The root of a container is named by a pid, which does not last."""
    inside = "" if instance.get("root") in _HOST_ROOTS else str(instance.get("name"))
    return (host, str(instance.get("socket_dir") or instance.get("name")), inside)


def sample_of(taken: float, pool: Json) -> Sample:
    """The figures in what C(ckpool_info) returned of a pool, in a snapshot or in this run.

    :arg taken: when, in epoch seconds.
    """
    stats, as_of = mapping(pool.get("stats")), amount(pool.get("as_of"))
    is_old = as_of is not None and taken - as_of > _OLDEST_STATISTICS
    if is_old or mapping(pool.get("instance")).get("state") in SILENT:
        stats = {}
    rates = {window: amount(stats.get(f"hashrate{window}")) for window in WINDOWS}
    known = {window: rate for window, rate in rates.items() if rate is not None}
    return Sample(taken, known, amount(stats.get("accepted")), amount(stats.get("rejected")))


def samples_of(snapshot: t.Any, taken: float) -> t.List[t.Tuple[Json, Sample]]:
    """The instance and the figures of each pool of a snapshot. What is not of its form is left out.

    :arg snapshot: the content of a file, as read from JSON.
    :arg taken: the time in its name, in epoch seconds.
    """
    pools = mapping(snapshot).get("pools")
    entries = [mapping(pool) for pool in pools] if isinstance(pools, list) else []
    return [(mapping(pool["instance"]), sample_of(taken, pool)) for pool in entries if mapping(pool.get("instance"))]


@dataclasses.dataclass
class Series:
    """The values of a pool, or of the fleet, one for each step; None where none is known.

    :ivar hashrate: H/s.
    :ivar rejects: percent of the shares of a step, by difficulty, that were rejected.
    :ivar counted: how many pools the hashrate of a step is the sum of.
    """

    hashrate: t.List[Number]
    rejects: t.List[Number]
    counted: t.List[int] = dataclasses.field(default_factory=list)


def series_of(samples: t.Iterable[Sample], grid: Grid) -> t.Tuple[Series, t.List[t.Tuple[float, float]]]:
    """The values of a pool, and the accepted and rejected shares of each step.

    :arg samples: in any order.
    """
    last: t.Dict[int, Sample] = {}
    for sample in sorted(samples, key=lambda sample: sample.taken):
        place = grid.place(sample.taken)
        if place is not None:
            last[place] = sample
    series = Series([None] * grid.count, [None] * grid.count)
    shares = [(0.0, 0.0)] * grid.count
    before: t.Optional[Sample] = None
    for place, sample in sorted(last.items()):
        series.hashrate[place] = _rate(sample, grid.window)
        if sample.accepted is None or sample.rejected is None:
            continue
        if before is not None:
            shares[place] = _between(before, sample)
            series.rejects[place] = ratio(*shares[place])
        before = sample
    return series, shares


def _rate(sample: Sample, window: str) -> Number:
    """The hashrate over a window, or over the next shorter one that the pool gives."""
    place = WINDOWS.index(window)
    order = (*reversed(WINDOWS[: place + 1]), *WINDOWS[place + 1 :])
    return next((sample.hashrates[name] for name in order if name in sample.hashrates), None)


def _between(before: Sample, after: Sample) -> t.Tuple[float, float]:
    """The accepted and rejected shares between two samples. Counters that shrank began again, as they do at a block."""
    accepted, rejected = t.cast(float, after.accepted), t.cast(float, after.rejected)
    were = (t.cast(float, before.accepted), t.cast(float, before.rejected))
    if accepted < were[0] or rejected < were[1]:
        return accepted, rejected
    return accepted - were[0], rejected - were[1]


def ratio(accepted: Number, rejected: Number) -> Number:
    """The percentage of rejected shares; None if there are no shares, or they are not known."""
    if accepted is None or rejected is None or not accepted + rejected > 0:
        return None
    return 100.0 * rejected / (accepted + rejected)


def fleet_series(pools: t.Sequence[t.Tuple[Series, t.Sequence[t.Tuple[float, float]]]], grid: Grid) -> Series:
    """The sum of the pools in each step, and the ratio over their shares."""
    fleet = Series([], [], [])
    for place in range(grid.count):
        rates = [rate for series, _shares in pools if (rate := series.hashrate[place]) is not None]
        accepted, rejected = (math.fsum(shares[place][side] for _series, shares in pools) for side in (0, 1))
        fleet.hashrate.append(math.fsum(rates) if rates else None)
        fleet.rejects.append(ratio(accepted, rejected))
        fleet.counted.append(len(rates))
    return fleet
