# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: the names of their files, what is kept of them, and what is in them."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._snapshot import (
    Taken,
    file_name,
    moment_of,
    outdated,
    safe_name,
    taken_of,
)

NOW = 1795404419.5
DAY = 86400
INSTANCE = {"name": "solo", "mode": "solo", "socket_dir": "/run/solo", "state": "ok"}
HOSTS = (
    "pool1", "pool1_20261123_031500", "a/b", "a%2Fb", "a_b", "..", ".", "~", "-", "pöl", "a b", "x\ny", "x\0y",
    "pool1.json", "p" * 150, "p" * 151, "p" * 300, "p" * 299 + "q", "ö" * 60, "\udc80",
)  # fmt: skip


def answer(**more: t.Any) -> t.Dict[str, t.Any]:
    return {"instance": INSTANCE, "source": "files", "stats": {"users": 1}, "changed": False, **more}


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


# What is in them


def taken(registered: t.Dict[str, t.Any]) -> Taken:
    found = taken_of("pool1", registered)
    assert found is not None
    return found


def test_one_answer() -> None:
    found = taken(answer(failed=False, invocation={}, _ansible_no_log=False, shared=False))
    assert (found.missing, found.pools) == ([], [{key: answer()[key] for key in ("instance", "source", "stats")}])
    assert found.as_dict(NOW) == {"host": "pool1", "taken": int(NOW), "pools": found.pools, "missing": []}


def test_a_loop() -> None:
    found = taken(
        {
            "results": [
                answer(ansible_loop_var="at", at={"instance": INSTANCE}),
                {"failed": True, "msg": "no\nreply", "ansible_loop_var": "at", "at": {"instance": INSTANCE}},
                {"unreachable": True, "msg": "no route", "ansible_loop_var": "item", "item": {}},
                {"ansible_loop_var": "item", "item": "a text"},
                "junk",
            ]
        }
    )
    assert [set(pool) for pool in found.pools] == [{"instance", "source", "stats"}]
    assert [(entry["instance"], entry["why"]) for entry in found.missing] == [
        ("solo", "no reply"),
        (None, "unreachable: no route"),
        (None, "no answer"),
        (None, "no answer"),
    ]
    assert found.missing[0]["socket_dir"] == "/run/solo"


@pytest.mark.parametrize(
    ("mode", "state", "is_missing"),
    [("pool", "hung", True), ("solo", "starting", True), ("redirector", "ok", False), ("passthrough", "down", True)],
)
def test_no_statistics(mode: str, state: str, is_missing: bool) -> None:
    found = taken(answer(source=None, instance={**INSTANCE, "mode": mode, "state": state}))
    assert len(found.pools) == 1
    assert bool(found.missing) is is_missing
    if is_missing:
        assert found.missing[0]["why"] == f"{state}, and no statistics are to be had"


def test_a_skipped_host_is_no_host() -> None:
    assert taken_of("pool1", {"skipped": True, "msg": "x"}) is None


def test_an_unreachable_host() -> None:
    found = taken({"unreachable": True, "msg": "no route"})
    assert (found.pools, len(found.missing)) == ([], 1)
