# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every exchange that was recorded with a real daemon gives the same outcome and bytes with the simulated one."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from tests.support import RECORDINGS, Answer, Outcome, Simulated, wait_for

Simulate = Callable[..., Simulated]
LAYOUTS = {
    "ckpool-0.9.4-2017": "2017",
    "elopool-0.9.9-2025": "2025",
    "ckpool-lhr-1.0.0-2026": "2026",
}
OPEN_TIMEOUT = 0.5


def exchanges(build: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDINGS / f"{build}.jsonl").read_text().splitlines()]


def replies(build: str, *questions: tuple[str, str]) -> list[dict[str, Any]]:
    asked = [entry for entry in exchanges(build) if (entry["socket"], entry["send"]) in questions]
    return [json.loads(entry["reply"]) for entry in asked]


def settings(build: str) -> dict[str, Any]:
    """Only what no simulation can know: the counters of that daemon, and the answers of its bitcoind."""
    (template,) = replies(build, ("generator", "getbase"))
    return {
        "layout": LAYOUTS[build],
        "counters": {
            "stratifier": replies(build, ("listener", "stratifierstats"), ("stratifier", "stats")),
            "connector": replies(build, ("listener", "connectorstats"), ("connector", "stats")),
        },
        "template": {key: template[key] for key in ("curtime", "bits", "height", "target")},
    }


def as_recorded(answer: Answer) -> dict[str, str]:
    if answer.outcome is not Outcome.REPLY:
        return {"outcome": answer.outcome.value}
    assert answer.announced == len(answer.data)
    return {"outcome": "reply", "reply": answer.data.decode()}


@pytest.mark.parametrize("build", sorted(LAYOUTS))
def test_every_recorded_exchange(build: str, simulate: Simulate) -> None:
    instance = simulate(**settings(build))
    recorded = exchanges(build)
    assert len(recorded) == 47
    for number, entry in enumerate(recorded, 1):
        timeout = OPEN_TIMEOUT if entry["outcome"] == Outcome.SILENT.value else 30.0
        expected = {key: entry[key] for key in ("outcome", "reply") if key in entry}
        seen = as_recorded(instance.ask(entry["socket"], entry["send"], timeout))
        assert seen == expected, (entry["socket"], entry["send"])
        wait_for(lambda number=number: len(instance.record()) == number, "the record")  # type: ignore[misc]
    assert instance.record() == [(entry["socket"], entry["send"]) for entry in recorded]


@pytest.mark.parametrize("build", sorted(LAYOUTS))
def test_stats_without_fixed_counters_have_the_recorded_shape(build: str, simulate: Simulate) -> None:
    instance = simulate(layout=LAYOUTS[build])
    for name in ("stratifier", "connector"):
        (recorded,) = replies(build, (name, "stats"))
        seen = instance.ask(name, "stats").value
        assert [(key, list(value)) for key, value in seen.items()] == [
            (key, list(value)) for key, value in recorded.items()
        ]
