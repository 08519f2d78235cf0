# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person who watches pools sees."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.ckpool.fleet.plugins.module_utils._monitor import lines_of, name_of, state_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

NOW = 1795404419.0
RATES = {"hashrate1m": 38.5e6, "hashrate5m": 1.5e12, "hashrate1hr": 2e15, "hashrate1d": None}
SUMMARY = {
    **RATES, "users": 3, "workers": 12, "idle": 1, "accepted": 998, "rejected": 2, "best_share": 65536.2,
    "work_age": 4.2, "uptime": 90000,
}  # fmt: skip


def pool(**more: t.Any) -> Json:
    instance = {"name": "solo", "socket_dir": "/run/solo", "state": "ok"}
    return {"instance": instance, "summary": SUMMARY, "source": "files", "as_of": NOW - 30, "problems": {}, **more}


def lines(*pools: Json) -> t.List[str]:
    return lines_of("pool1, round 1", pools, NOW)


def test_a_pool() -> None:
    assert lines(pool()) == [
        "pool1, round 1",
        "",
        "solo (/run/solo) is ok: 38.5 MH/s (1m), 1.50 TH/s (5m), 2.00 PH/s (1hr), - (1d), users 3, workers 12 (1 idle)",
        "  shares accepted 998, rejected 2 (0.20 %), best 65536",
        "  work 4 s old, up 1 d, statistics by files, 30 s old",
    ]


def test_nothing_known_is_no_zero() -> None:
    empty = lines(pool(summary=dict.fromkeys(SUMMARY), source=None, as_of=None, problems={"stats": "no\nreply"}))
    assert empty[2:] == [
        "solo (/run/solo) is ok: - (1m), - (5m), - (1hr), - (1d), users -, workers -",
        "  shares accepted -, rejected -, best -",
        "  work - old, up -, no statistics",
        "  stats: no reply",
    ]


@pytest.mark.parametrize("mode", ["passthrough", "redirector"])
def test_a_healthy_pool_without_statistics_of_its_own_is_no_error(mode: str) -> None:
    problems = {"stats": "cannot read pool.status", "as_of": "cannot read pool.status"}
    summary = {**dict.fromkeys(SUMMARY), "mode": mode}
    found = pool(summary=summary, source=None, as_of=None, problems=problems, clients={"connected": 6})
    assert lines(found)[2:] == [f"solo (/run/solo) is ok: a {mode}, 6 clients"]
    assert lines({**found, "clients": None})[2:] == [f"solo (/run/solo) is ok: a {mode}, clients not known"]
    told = lines({**found, "problems": {**problems, "log": "not permitted"}})
    assert told[3:] == ["  log: not permitted"]
    proxy = lines({**found, "summary": {**summary, "mode": "proxy"}})
    assert "  stats: cannot read pool.status" in proxy


def test_users_and_blocks() -> None:
    user = {"user": "bc1q", **RATES, "last_share": NOW - 5}
    blocks = [
        {"time": NOW - 7200, "height": 850001, "accepted": True, "worker": "bc1q.rig0"},
        {"time": NOW - 7300, "height": None, "accepted": False, "worker": None},
        {"time": NOW - 7400, "height": None, "accepted": None, "worker": None},
    ]
    assert lines(pool(users=[user], blocks=blocks))[5:] == [
        "",
        "  TOP USERS  1M         5M         1HR        1D  LAST SHARE",
        "  bc1q       38.5 MH/s  1.50 TH/s  2.00 PH/s  -   5 s ago",
        "",
        "  BLOCKS   HEIGHT  FATE       FOUND BY",
        "  2 h ago  850001  accepted   bc1q.rig0",
        "  2 h ago  -       refused    -",
        "  2 h ago  -       not known  -",
    ]


def test_empty_lists_are_said_and_unknown_ones_are_not_shown() -> None:
    assert lines(pool(users=[], blocks=[]))[5:] == [
        "",
        "  no user has sent a share in the last hour",
        "",
        "  no block in the part of the log that was read",
    ]
    assert len(lines(pool(users=None, blocks=None))) == 5


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"unreachable": True, "msg": "no\nroute"}, "pool is unreachable: no route"),
        ({"failed": True, "msg": "no ckpool runs here"}, "pool is failed: no ckpool runs here"),
        ({"failed": True, "instance": {"name": "solo", "socket_dir": "/s"}}, "solo (/s) is failed: it did not say why"),
        ({"failed": True, "msg": "x", "instance": {"socket_dir": "/s"}}, "pool (/s) is failed: x"),
        ({}, "pool is unknown: it did not say why"),
    ],
)
def test_what_told_nothing(found: Json, text: str) -> None:
    assert lines(found)[2:] == [text]


def test_nothing_moves_the_cursor() -> None:
    evil = "\x1b[2J\r\x07\u202e\n\x9b1A"
    user = {"user": evil, **RATES, "last_share": None}
    shown = lines(pool(users=[user], problems={evil: evil}, blocks=[{"worker": evil}]), {"failed": True, "msg": evil})
    assert all(line.isprintable() for line in shown)


def test_names_and_states() -> None:
    assert name_of(pool()) == "solo (/run/solo)"
    assert [state_of(found) for found in (pool(), {"failed": True}, {"unreachable": True}, {})] == [
        "ok",
        "failed",
        "unreachable",
        "unknown",
    ]
