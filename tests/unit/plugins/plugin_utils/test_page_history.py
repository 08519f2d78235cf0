# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashrate and rejected shares over time, and the odds of the next block."""

from __future__ import annotations

import math

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page import odds, units
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.history import (
    Grid,
    Sample,
    chosen,
    fleet_series,
    grid_of,
    key_of,
    samples_of,
    series_of,
    usual_interval,
)  # fmt: skip

HOUR, DAY = 3600, 86400
NOW = 20000 * DAY + 7 * HOUR + 5


@pytest.mark.parametrize(
    ("age", "interval", "step", "count", "window"),
    [
        (30 * DAY, HOUR, 6 * HOUR, 121, "6hr"),
        (29 * DAY, HOUR, 6 * HOUR, 117, "6hr"),
        (2 * DAY, HOUR, HOUR, 49, "1hr"),
        (5 * DAY, 3 * HOUR, 3 * HOUR, 41, "6hr"),
        (HOUR, 60, 60, 61, "5m"),
        (0, 0, 60, 1, "5m"),
        (3000 * DAY, DAY, 30 * DAY, 101, "1d"),
    ],
)
def test_a_grid_is_as_fine_as_the_snapshots_and_the_screen_allow(
    age: float, interval: float, step: int, count: int, window: str
) -> None:
    grid = grid_of(NOW - age, NOW, interval)
    assert (grid.step, grid.count, grid.window) == (step, count, window)
    assert grid.start % step == 0
    assert grid.place(NOW) == grid.count - 1
    assert grid.place(NOW - age) == 0


def test_a_very_long_time_is_cut() -> None:
    grid = grid_of(0, 1e11, most=10)
    assert grid.count == 10
    assert grid.place(1e11) == 9


def test_the_last_file_of_each_step_is_read() -> None:
    grid = Grid(0, 100, 3)
    files = {"a": 10.0, "b": 99.0, "c": 100.0, "old": -1.0, "d": 250.0, "future": 300.0}
    assert chosen(files, grid) == ["b", "c", "d"]


def test_the_usual_interval() -> None:
    assert usual_interval([[0, 100, 200, 900], [50, 150]]) == 100
    assert usual_interval([[5.0], []]) == 0


def sample(taken: float, rate: float, accepted: float, rejected: float) -> Sample:
    return Sample(taken, {"1m": rate}, accepted, rejected)


def test_counters_that_shrink_began_again() -> None:
    grid = Grid(0, 10, 5)
    samples = [sample(1, 5, 100, 10), sample(11, 6, 190, 20), sample(31, 7, 30, 10), sample(41, 8, 30, 10)]
    series, shares = series_of(samples, grid)
    assert series.hashrate == [5, 6, None, 7, 8]
    assert series.rejects == [None, 10.0, None, 25.0, None]
    assert shares[3] == (30, 10)


def test_the_fleet_is_the_sum_of_what_is_known() -> None:
    grid = Grid(0, 10, 2)
    one = series_of([sample(1, 5, 0, 0), sample(11, 6, 90, 10)], grid)
    other = series_of([sample(12, 1, 7, 7)], grid)
    fleet = fleet_series([one, other], grid)
    assert (fleet.hashrate, fleet.rejects, fleet.counted) == ([5, 7], [None, 10.0], [1, 2])


def test_left_over_statistics_are_no_hashrate() -> None:
    def of(state: str, as_of: float) -> bool:
        pool = {
            "instance": {"name": "a", "state": state},
            "as_of": as_of,
            "stats": {"hashrate1m": 5, "hashrate1d": "odd"},
        }
        ((_instance, found),) = samples_of({"pools": [pool, "odd", {}]}, 10000)
        return found.hashrates == {"1m": 5}

    assert of("ok", 9990)
    assert not of("ok", 9000)
    assert not of("hung", 9990)
    assert not of("down", 9990)


def test_a_pool_is_the_same_after_a_restart() -> None:
    before = key_of("h", {"name": "a", "socket_dir": "/s", "root": "/", "pid": 1})
    assert before == key_of("h", {"name": "a", "socket_dir": "/s", "root": None, "pid": 2})
    inside = [key_of("h", {"name": "a", "socket_dir": "/s", "root": f"/proc/{pid}/root"}) for pid in (1, 2)]
    assert inside[0] == inside[1] != before


def test_odds() -> None:
    found = odds.odds(1e14, 1e14 * 2**32 / 86400)
    assert found is not None
    assert math.isclose(found["expected_seconds"], 86400)
    assert math.isclose(found["chance_per_day"], 1 - math.exp(-1))
    small = odds.odds(1e14, 1e6)
    assert small is not None
    assert small["chance_per_day"] > 0
    assert odds.odds(None, 1) is None
    assert odds.odds(1, 0) is None
    assert odds.odds(1e300, 1e-300) is None


def test_odds_rest_on_the_window_of_a_day() -> None:
    assert odds.usual_rate({"1m": 5, "1d": 3, "7d": 9}) == (3, "1d")
    assert odds.usual_rate({"1m": 5, "1d": None}) == (5, "1m")
    assert odds.usual_rate({}) == (None, None)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (units.duration(None), "-"),
        (units.duration(0), "0 s"),
        (units.duration(4.2), "4.2 s"),
        (units.duration(150), "2.5 min"),
        (units.duration(36 * 3600), "36 h"),
        (units.duration(40 * 86400), "40 days"),
        (units.duration(4e7 * 365.25 * 86400), "40 million years"),
        (units.age(100, 160), "1 min ago"),
        (units.age(200, 160), "0 s ago"),
        (units.count(1234567), "1,234,567"),
        (units.amount(1.26e14), "126 T"),
        (units.amount(9999.4), "9999"),
        (units.amount(12345), "12.3 k"),
        (units.percent(0.25), "0.25 %"),
        (units.chance(0.5), "50 %"),
        (units.chance(1 / 52000), "1 in 52,000"),
        (units.chance(1e-10), "1 in 10 billion"),
        (units.chance(0.9999), "> 99.9 %"),
        (units.chance(1.0), "100 %"),
        (units.hashrate(1.5e15), "1.50 PH/s"),
        (units.utc(0), "1970-01-01 00:00 UTC"),
        (units.utc(1e18), "-"),
        (units.iso(None), ""),
    ],
)
def test_units(shown: str, text: str) -> None:
    assert shown == text
