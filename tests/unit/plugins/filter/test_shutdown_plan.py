# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prompt before pools are shut down."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible.errors import AnsibleFilterError
from ansible_collections.ckpool.fleet.plugins.filter.shutdown_plan import FilterModule

from ..plugin_utils.fake_results import check, result

plan = FilterModule().filters()["shutdown_plan"]


def host(name: str, health: t.Any, **more: t.Any) -> t.Dict[str, t.Any]:
    return {"inventory_hostname": name, "graceful_shutdown_health": health, **more}


def test_every_pool_that_would_end_is_named_with_its_miners() -> None:
    several = {
        **result(),
        "instances": [result(name="a"), result("hung", name="b", clients=None), result("down", name="c")],
    }
    none = {**result("down", check("critical", summary="no ckpool on this host")), "instance": None, "instances": []}
    found = plan(
        [host("h1", several), host("h2", result(clients=1), graceful_shutdown_redirect_to="x:1"), host("h3", none)]
    )
    assert (found["hosts"], found["pools"], found["miners"]) == (2, 3, 13)
    assert found["lines"] == [
        "To shut down: 3 pools with 13 miners or more on 2 hosts",
        "  h1: a (/tmp/a), pid 42, 12 miners, cut off",
        "  h1: b (/tmp/b), pid 42, miners not known, cut off; it is hung",
        "  h1: c (/tmp/c) is down already",
        "  h2: ckpool (/tmp/ckpool), pid 42, 1 miner, sent to x:1 first",
        "  h3: no ckpool runs here",
    ]


def test_nothing_to_do() -> None:
    assert plan([]) == {
        "hosts": 0,
        "pools": 0,
        "miners": 0,
        "lines": ["To shut down: 0 pools with 0 miners on 0 hosts"],
    }


def test_an_odd_result_is_said() -> None:
    found = plan([host("h1", {"health": []}), host("h2", None), host("h3", result(clients="many"))])
    assert found["pools"] == 0
    assert found["lines"][1:] == [
        "  h1: odd result: health is a list",
        "  h2: odd result: the result is null",
        "  h3: ckpool (/tmp/ckpool): odd result: clients is 'many'",
    ]


def test_no_name_forges_a_line() -> None:
    lines = plan([host("h1", result(name="x\n\x1b[31m\u202e"))])["lines"]
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 2


@pytest.mark.parametrize("value", ["h1", {"h1": 1}, 7, [7]])
def test_what_is_no_list_of_hosts(value: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="not "):
        plan(value)
