# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a snapshot holds of a host."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._snapshot import Snapshot, snapshot_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

NOW = 1795404419.5
INSTANCE = {"name": "solo", "mode": "solo", "socket_dir": "/run/solo", "state": "ok"}


def answer(**more: t.Any) -> Json:
    return {"instance": INSTANCE, "source": "files", "stats": {"users": 1}, "changed": False, **more}


def taken(registered: Json) -> Snapshot:
    found = snapshot_of("pool1", registered)
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
        (None, "odd result: 'junk'"),
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
        assert found.missing[0]["why"] == f"{state}, and its statistics could not be read"


def test_a_skipped_host_is_no_host() -> None:
    assert snapshot_of("pool1", {"skipped": True, "msg": "x"}) is None


def test_an_unreachable_host() -> None:
    found = taken({"unreachable": True, "msg": "no route"})
    assert (found.pools, len(found.missing)) == ([], 1)


def test_all_instances_of_a_host() -> None:
    found = taken({"instances": [answer(), {"failed": True, "msg": "no\nreply", "instance": INSTANCE}]})
    assert [set(pool) for pool in found.pools] == [{"instance", "source", "stats"}]
    assert [(entry["instance"], entry["why"]) for entry in found.missing] == [("solo", "no reply")]
    assert taken({"instances": [], "msg": "no ckpool runs here"}).missing[0]["why"] == "no ckpool runs here"
    alone = answer(instances=[INSTANCE])  # the subset of that name
    assert len(taken(alone).pools) == 1
