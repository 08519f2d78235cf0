# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards of docs/monitoring, and their queries."""

from __future__ import annotations

import json
import typing as t

from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "monitoring"
BOARDS = sorted(path.stem[len("grafana-") :] for path in FOLDER.glob("grafana-*.json"))


def board(name: str) -> t.Dict[str, t.Any]:
    """One dashboard."""
    found: t.Dict[str, t.Any] = json.loads((FOLDER / f"grafana-{name}.json").read_text(encoding="utf-8"))
    return found


def queries(name: str) -> t.List[t.Tuple[str, str]]:
    """The queries of its panels, each with the title of its panel."""
    panels = board(name)["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]
