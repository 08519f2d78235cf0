# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one look found."""

from __future__ import annotations

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._observation import Observation
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"instance": None, "process": None, "answers": None, "clients": None, "stats": None, "leftovers": None},
        {"instance": "x", "process": [], "answers": 3, "clients": "many", "holders": ["x"], "handover": {}},
    ],
)
def test_what_an_answer_lacks_is_not_known(answer: Json) -> None:
    seen = Observation(answer)
    assert (seen.pid, seen.clients, seen.instance, seen.stats, seen.service) == (None, None, None, {}, {})
    assert (seen.is_alive, seen.is_down, seen.is_ready, seen.takes_orders) == (False, False, False, False)
    assert (seen.leftovers, seen.obstacles, seen.holders, seen.answering) == ([], [], "", [])
    assert seen.describe() == "unknown"


@pytest.mark.parametrize(
    ("answer", "rejecting", "text"),
    [
        ({"found": False}, False, "down"),
        ({"down": True, "instance": {"state": "ok"}}, False, "down"),
        ({"instance": {"state": "hung"}, "clients": 3}, True, "hung"),
        ({"instance": {"state": "ok"}, "clients": 1}, False, "accepting, 1 client"),
        ({"instance": {"state": "starting"}}, True, "rejecting, clients not known"),
    ],
)
def test_the_state_for_a_person(answer: Json, rejecting: bool, text: str) -> None:
    assert Observation(answer).describe(rejecting) == text
