# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards of Grafana and the guide about metrics: whole, consistent, and about the metrics that there are.

That every query returns data is tested with a real Prometheus, in C(tests/integration/test_metrics.py).
"""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import METRICS

from tests.support import ROOT
from tests.support.dashboards import BOARDS, board, queries

GUIDE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
NAMES = {metric.name for metric in METRICS}


def test_the_guide_lists_every_metric_as_the_code_has_it() -> None:
    rows = re.findall(r"^\| (`ckpool_\w+` \|.*) \|$", GUIDE, re.MULTILINE)
    expected = [
        " | ".join(
            (f"`{metric.name}`", metric.kind, metric.unit, " ".join(f"`{label}`" for label in metric.labels), metric.help,
             metric.source)
        )
        for metric in METRICS
    ]  # fmt: skip
    assert rows == expected


@pytest.mark.parametrize("name", BOARDS)
class TestBoard:
    """One dashboard."""

    def test_it_can_be_imported_anywhere(self, name: str) -> None:
        found = board(name)
        assert found["uid"] == f"ckpool-{name}" and found["id"] is None and found["schemaVersion"] >= 36
        variables = {variable["name"]: variable for variable in found["templating"]["list"]}
        assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
        text = json.dumps({**found, "annotations": None})
        assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}", f"ckpool-{name}"}
        used = set(re.findall(r"\$(?:\{)?(\w+)", " ".join(query for _title, query in queries(name))))
        assert used <= {*variables, "__rate_interval"}

    def test_its_panels_are_told_apart(self, name: str) -> None:
        panels = board(name)["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels) and all(panel["title"] for panel in panels)
        cells = [cell for panel in panels for cell in cells_of(panel["gridPos"])]
        assert len(set(cells)) == len(cells), "panels overlap"
        assert max(x for x, _y in cells) < 24

    def test_it_shows_what_there_is(self, name: str) -> None:
        text = " ".join(query for _title, query in queries(name))
        assert set(re.findall(r"ckpool_[a-z_]+", text)) <= NAMES
        for target in (target for panel in board(name)["panels"] for target in panel.get("targets", ())):
            assert target["datasource"]["uid"] == "${datasource}"

    def test_its_links_lead_to_boards(self, name: str) -> None:
        links = set(re.findall(r'"/d/([a-z-]+)', json.dumps(board(name))))
        assert links <= {f"ckpool-{each}" for each in BOARDS} and links


def cells_of(place: t.Mapping[str, int]) -> t.Iterator[t.Tuple[int, int]]:
    return ((place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"]))


def test_together_they_show_every_metric() -> None:
    shown = {
        word for name in BOARDS for _title, query in queries(name) for word in re.findall(r"ckpool_[a-z_]+", query)
    }
    not_shown = {"ckpool_user_workers", "ckpool_user_best_share_difficulty", "ckpool_user_last_share_timestamp_seconds"}
    assert NAMES - shown == not_shown
