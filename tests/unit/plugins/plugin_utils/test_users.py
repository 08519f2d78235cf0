# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of a fleet: each pool's own, and one over all pools."""

from __future__ import annotations

import math
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from ansible_collections.ckpool.fleet.plugins.plugin_utils._users import FleetUsers, merged, table

from .fake_results import pool, user


def told(**hosts: t.Any) -> FleetUsers:
    found = FleetUsers()
    for host, registered in hosts.items():
        found.add(host, registered)
    return found


@pytest.mark.parametrize("key", ["results", "instances"])
def test_a_row_for_each_user_of_each_pool(key: str) -> None:
    found = told(h1={key: [pool(user(), name="a"), pool(user(), user("x"), name="b")]}, h2=pool(user()))
    assert [(row["host"], row["pool"], row["user"]) for row in found.users] == [
        ("h1", "a", "bc1q"), ("h1", "b", "bc1q"), ("h1", "b", "x"), ("h2", "ckpool", "bc1q"),
    ]  # fmt: skip
    assert found.missing == []


def test_one_user_over_all_pools() -> None:
    found = told(
        h1=pool(user(rate=1e12, shares=5, best_share=9, last_share=100), user("x", 5)),
        h2=pool(user(rate=2e12, shares=7, best_share=3, last_share=200)),
        h3=pool(user(rate=None)),
    )
    one, other = merged(found.users)
    assert (one["hashrate1m"], one["shares"], one["best_share"], one["last_share"]) == (3e12, 12, 9, 200)
    assert (one["hashrate7d"], [row["host"] for row in one["pools"]]) == (None, ["h1", "h2", "h3"])
    assert (other["user"], len(other["pools"])) == ("x", 1)
    lines = [" ".join(line.split()) for line in table([one, other])[1:]]
    assert lines[0] == "SUM 3 pools - 3.00 TH/s - - - 12 9 bc1q"
    assert lines[1] == "- h1 ckpool ok 1.00 TH/s - - - 5 9"
    assert lines[3] == "- h3 ckpool ok - - - - - -"
    assert lines[4] == "h1 ckpool ok 5.00 H/s - - - - - x"


@pytest.mark.parametrize(
    ("registered", "why"),
    [
        ("junk", "odd result: 'junk'"),
        ({"unreachable": True, "msg": "no\nroute"}, "no route"),
        ({"failed": True}, "no answer"),
        ({}, "no answer"),
        (pool(source=None, msg="it is down"), "it is down"),
        (pool(sources={"users": None}), "no answer"),
        (pool(sources=7), "no answer"),
        ({"results": ["junk"]}, "odd result: 'junk'"),
        ({"instances": ["junk"]}, "odd result: 'junk'"),
        ({"instances": [], "msg": "no ckpool runs here"}, "no ckpool runs here"),
        ({"instances": {}, "msg": "x"}, "x"),
        (pool("junk"), "odd result: a user is 'junk'"),
        (pool({"user": 7}), "odd result: a user is {'user': 7}"),
        ({**pool(), "users": "junk"}, "odd result: a user is 'junk'"),
    ],
)
def test_what_told_nothing_costs_no_other(registered: t.Any, why: str) -> None:
    found = told(h1=registered, h2=pool(user()))
    assert [(entry["host"], entry["why"]) for entry in found.missing] == [("h1", why)]
    assert [row["host"] for row in found.users] == ["h2"]


def test_who_passes_miners_on_has_no_users() -> None:
    front = pool(source=None, instance={"name": "ckproxy", "mode": "passthrough", "state": "ok"})
    assert told(h1=front).missing == []
    front["instance"]["state"] = "hung"
    assert len(told(h1=front).missing) == 1


@pytest.mark.parametrize("value", ["1T", True, math.nan, math.inf, [1], 10**400])
def test_an_odd_number_is_said_and_the_rest_is_kept(value: t.Any) -> None:
    found = told(h1=pool(user(shares=value)))
    assert (found.users[0]["shares"], found.users[0]["hashrate1m"]) == (None, 1e12)
    assert found.missing[0]["why"].startswith("odd result: shares of bc1q is ")


def test_no_name_moves_the_cursor() -> None:
    found = told(h1=pool(user("\x1b[2J\n\u202e"), name="\x07"), h2=pool(user("\x1b[2J\n\u202e")))
    assert all(line.isprintable() for line in (*table(found.users), *table(merged(found.users))))


def test_pools_of_one_name_are_told_apart_by_their_pids() -> None:
    def of(pid: int, name: str = "ckpool") -> Json:
        return pool(user(), instance={"name": name, "pid": pid, "mode": "pool", "state": "ok"})

    found = told(h1={"instances": [of(7), of(8), of(9, "solo")]}, h2=of(7))
    for lines in (table(found.users)[1:], table(merged(found.users))[2:]):
        names = [" ".join(line.lstrip("- ").split()).partition(" ok ")[0] for line in lines]
        assert names == ["h1 ckpool pid 7", "h1 ckpool pid 8", "h1 solo", "h2 ckpool"]
