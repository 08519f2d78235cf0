# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the files of snapshots, and which of them are kept."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._snapshot_files import (
    file_name,
    moment_of,
    outdated,
    safe_name,
)

NOW = 1795404419.5
DAY = 86400
HOSTS = (
    "pool1", "pool1_20261123_031500", "a/b", "a%2Fb", "a_b", "..", ".", "~", "-", "pöl", "a b", "x\ny", "x\0y",
    "pool1.json", "p" * 150, "p" * 151, "p" * 300, "p" * 299 + "q", "ö" * 60, "\udc80",
)  # fmt: skip


# Names


def test_a_name() -> None:
    assert file_name("pool1.example.org", NOW) == "pool_stats_pool1.example.org_20261123_032659.json"


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_knows_its_own_file(host: str) -> None:
    name = file_name(host, NOW)
    assert moment_of(name, host) == int(NOW)
    assert [other for other in HOSTS if moment_of(name, other) is not None] == [host]
    assert "/" not in name
    assert name.isascii()
    assert name.isprintable()
    assert len(name) < 200


def test_hosts_have_different_names() -> None:
    assert len({safe_name(host) for host in HOSTS}) == len(HOSTS)


@pytest.mark.parametrize(
    "name",
    [
        "", "pool_stats_pool1.json", "pool_stats_pool1_20261123_032659.json.bak",
        "xpool_stats_pool1_20261123_032659.json",
        "pool_stats_pool1_20261123_032659.json\n", "pool_stats_pool1_2026112_032659.json",
        "pool_stats_pool10_20261123_032659.json",
        "pool_stats_pool1_20261199_032659.json", "pool_stats_pool1_20261123_996699.json",
        "pool_stats_Pool1_20261123_032659.json",
        "pool_stats_pool1_٢٠٢٦١١٢٣_032659.json", "pool_stats_pool1_20261123_032659_20261123_032659.json",
    ],
)  # fmt: skip
def test_what_is_no_file_of_the_host(name: str) -> None:
    assert moment_of(name, "pool1") is None


# What is kept


def files(*days: float) -> t.List[str]:
    return [file_name("pool1", NOW - day * DAY) for day in days]


@pytest.mark.parametrize(
    ("keep", "keep_days", "gone"),
    [
        (None, None, ()),
        (1, None, (-1, 1, 2, 9)),
        (2, None, (1, 2, 9)),
        (5, None, ()),
        (4, None, (9,)),
        (None, 1.5, (2, 9)),
        (None, 0.001, (1, 2, 9)),
        (4, 1.5, (2, 9)),
        (None, 1e9, ()),
    ],
)
def test_what_is_removed(keep: t.Optional[int], keep_days: t.Optional[float], gone: t.Tuple[float, ...]) -> None:
    fresh = file_name("pool1", NOW)
    others = ["pool_stats_pool2_20201123_032659.json", "notes.txt", "pool_stats_pool1_20201199_032659.json"]
    names = [*files(2, 9, -1, 1), fresh, *others]  # one is from the future: the clock was put back
    assert outdated(names, "pool1", fresh, NOW, keep, keep_days) == files(*gone)


def test_a_prediction_counts_the_file_that_is_not_there_yet() -> None:
    assert outdated(files(1, 2), "pool1", file_name("pool1", NOW), NOW, 2, None) == files(2)
