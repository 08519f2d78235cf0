# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails a fleet, and the outcome of a run."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._outcome import is_failure, outcome
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_results import check, result


@pytest.mark.parametrize(
    ("state", "status", "failing"),
    [
        ("ok", "ok", ()),
        ("starting", "ok", ("warning",)),
        ("degraded", "warning", ("warning",)),
        ("degraded", "critical", ("warning", "critical")),
        ("down", "critical", ("warning", "critical")),
        ("unreachable", "critical", ("warning", "critical")),
    ],
)
def test_what_fails_the_fleet(state: str, status: str, failing: t.Tuple[str, ...]) -> None:
    row = {"state": state, "status": status}
    assert tuple(level for level in ("warning", "critical", "never") if is_failure(row, level)) == failing


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([result()], "healthy"),
        ([], "undetermined"),
        ([result(), {"unreachable": True}], "undetermined"),
        ([result(), {"failed": True}], "undetermined"),
        ([result(), {"health": {}}], "undetermined"),
        ([result("unknown")], "undetermined"),
        ([result("down", check("critical")), {"unreachable": True}], "unhealthy"),
        ([result("degraded", check("critical"))], "unhealthy"),
    ],
)
def test_one_word_for_a_run(found: t.List[Json], word: str) -> None:
    for status in found:
        if status.get("health", {}).get("state") == "unknown":
            status["health"]["status"] = "critical"
    rows = [row for number, status in enumerate(found) for row in rows_of(f"h{number}", status)]
    assert [outcome(rows, level) for level in ("critical", "warning", "never")] == [word] * 3
    assert outcome(rows, "critical", ["no such host"]) == "invalid"


def test_a_warning_is_unhealthy_only_where_it_fails() -> None:
    rows = rows_of("h", result("degraded", check("warning")))
    assert [outcome(rows, level) for level in ("critical", "warning", "never")] == ["healthy", "unhealthy", "healthy"]
