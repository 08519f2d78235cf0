# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports on arbitrary results, snapshots and records: each becomes a page that holds nothing but our own tags."""

from __future__ import annotations

import json
import typing as t
from html.parser import HTMLParser
from pathlib import Path

from ansible_collections.ckpool.fleet.plugins.module_utils._text import clean
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page import history
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.html import Parts, page
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.markdown import markdown
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.model import Inputs, model_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.names import REDACTIONS, Names
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.windows import recent, window_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from hypothesis import given
from hypothesis import strategies as st

from ..made import JSON, NUMBERS, TEXT, objects

ROLE = Path(__file__).parents[4] / "roles" / "report"
PARTS = Parts(
    *((ROLE / name).read_text() for name in ("templates/report.html.j2", "files/report.css", "files/report.js"))
)
NOW = 1795600000
MARKUP = st.sampled_from(["<script>x</script>", '"><img src=x>', "</style>", "{{ 1 }}", "--><b>", "a|b", "\u202e"])
NAMES = TEXT | MARKUP
STATS = objects(
    (
        "hashrate1m",
        "hashrate1hr",
        "users",
        "workers",
        "accepted",
        "rejected",
        "best_share",
        "network_difficulty",
        "user_agents",
    ),
    NUMBERS | JSON,
)
INSTANCE = st.fixed_dictionaries(
    {"name": NAMES, "socket_dir": NAMES | st.none(), "state": st.sampled_from(["ok", "hung"]) | JSON}
)
USER = st.fixed_dictionaries(
    {"user": NAMES, "workers": st.lists(objects(("worker", "user_agent", "stale")) | JSON, max_size=2) | JSON}
)
BLOCK = objects(
    ("time", "height", "hash", "worker", "accepted", "reason", "difficulty", "effort"), NUMBERS | NAMES | st.booleans()
)
POOL = st.fixed_dictionaries(
    {"instance": INSTANCE, "source": NAMES | st.none()},
    optional={
        "stats": STATS | JSON, "summary": JSON, "as_of": NUMBERS, "users": st.lists(USER | JSON, max_size=3) | JSON,
        "blocks": st.lists(BLOCK | JSON, max_size=2) | JSON, "workbase": JSON,
        "workers": st.lists(objects(("worker", "last_share", "hashrate1d"), NUMBERS | NAMES), max_size=2) | JSON,
    },
)  # fmt: skip
HEALTH = st.fixed_dictionaries({
    "instance": INSTANCE, "health": st.fixed_dictionaries({
        "state": st.sampled_from(["ok", "hung", "degraded"]), "status": st.sampled_from(["ok", "critical"]),
        "wrong": st.lists(NAMES, max_size=2), "checks": st.just([]),
    }), "log_tail": st.lists(NAMES, max_size=2),
})  # fmt: skip
RECORD = objects(
    ("run", "opened", "closed", "host", "owner", "reason", "outcome", "msg", "report", "instances"),
    NUMBERS | NAMES | JSON,
)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: t.Set[str] = set()
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: t.List[t.Tuple[str, t.Optional[str]]]) -> None:
        self.tags.add(tag)
        self.scripts += tag == "script"
        assert not [name for name, _value in attrs if name.startswith("on") or name in ("style", "src")]


OURS = Tags(
    page({**clean(model_of(Inputs((), (), NOW))), "outcome": "healthy"}, PARTS, with_charts=False)
).tags | {
    "table", "caption", "thead", "tbody", "tr", "th", "td", "article", "h3", "dd", "dl", "dt", "div", "code", "span", "time", "input", "label",
    "output",
}  # fmt: skip


@given(
    health=st.lists(HEALTH | JSON, max_size=3), pools=st.lists(POOL | JSON, max_size=3), idle=st.lists(POOL | JSON, max_size=2),
    snapshots=st.lists(st.fixed_dictionaries({"pools": st.lists(POOL | JSON, max_size=2) | JSON}) | JSON, max_size=3),
    records=st.lists(RECORD | JSON, max_size=3), names=st.sampled_from(REDACTIONS), title=NAMES,
)  # fmt: skip
def test_any_fleet_has_a_page(
    health: t.List[t.Any],
    pools: t.List[t.Any],
    idle: t.List[t.Any],
    snapshots: t.List[t.Any],
    records: t.List[t.Any],
    names: str,
    title: str,
) -> None:
    rows = [row for number, result in enumerate(health) for row in rows_of(f"h{number}", result)]
    past: t.Dict[history.PoolKey, t.List[history.Sample]] = {}
    labels: t.Dict[history.PoolKey, str] = {}
    for number, snapshot in enumerate(snapshots):
        for instance, sample in history.samples_of(snapshot, NOW - 3600 * number):
            key = history.key_of("h0", instance)
            past.setdefault(key, []).append(sample)
            labels[key] = str(instance.get("name"))
    model = model_of(
        Inputs(
            rows, [(f"h{number}", pool) for number, pool in enumerate(pools)], NOW, [(f"h{number}", pool) for number, pool in enumerate(idle)],
            snapshots=past, instances=labels, grid=history.grid_of(NOW - 86400, NOW),
            windows=recent(window for record in records if (window := window_of(record))), names=names, key=b"k", title=title,
        )
    )  # fmt: skip
    cleaned = {**clean(model), "outcome": "unhealthy"}
    json.dumps(cleaned, allow_nan=False).encode("utf-8")
    text = page(cleaned, PARTS, with_charts=False)
    text.encode("utf-8")
    found = Tags(text)
    assert found.tags <= OURS
    assert found.scripts == 1
    assert all(character.isprintable() or character in "\n" for character in text)
    assert "<" not in markdown(cleaned)


@given(name=TEXT, mode=st.sampled_from(REDACTIONS))
def test_any_name_can_be_redacted(name: str, mode: str) -> None:
    names = Names(mode, b"k", [name])
    for text in (names.user(name), names.worker(name), names.text(f"worker {name} left")):
        assert isinstance(text, str)
