# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users with arbitrary content: odd values are reported, and nothing else is lost."""

from __future__ import annotations

import typing as t

from ansible_collections.ckpool.fleet.plugins.filter import printable
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _users
from hypothesis import given
from hypothesis import strategies as st

from ..made import JSON, TEXT, check_result, check_serializable, objects

USERS = st.lists(objects((*_users.NUMBERS, "user", "workers")) | JSON, max_size=3) | JSON
TOLD = st.fixed_dictionaries(
    {},
    optional={
        "users": USERS,
        "info": objects(("users", "stats")) | JSON,
        "instance": objects(("name", "state", "mode")) | JSON,
        "source": st.just("files") | JSON,
        "sources": objects(("users",)) | JSON,
        "failed": JSON,
        "skipped": st.sampled_from([False, None]),
        "msg": TEXT | JSON,
        "ansible_loop_var": st.just("item") | JSON,
        "item": JSON,
    },
)
GOOD = {"source": "files", "instance": {"name": "good", "state": "ok", "mode": "pool"},
        "users": [{"user": "alice", "hashrate1m": 2.0, "shares": 3}]}  # fmt: skip


@given(odd=st.lists(TOLD | st.fixed_dictionaries({"results": st.lists(TOLD | JSON, max_size=3)}) | JSON, max_size=3))
def test_an_odd_host_costs_no_user_of_another(odd: t.List[t.Any]) -> None:
    told = _users.FleetUsers()
    for number, registered in enumerate(odd):
        told.add(f"odd{number}", registered)
    told.add("good", GOOD)
    assert [(row["user"], row["hashrate1m"]) for row in told.users if row["host"] == "good"] == [("alice", 2.0)]
    check_result({"users": told.users, "missing": told.missing})
    rows = _users.merged(told.users)
    check_result(rows)
    assert "alice" in [row["user"] for row in rows]


@given(value=JSON)
def test_anything_can_be_printed(value: t.Any) -> None:
    text = printable.printable(value)
    assert text.isprintable()
    check_serializable(text)
