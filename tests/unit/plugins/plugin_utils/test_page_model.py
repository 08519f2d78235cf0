# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a report, and its forms: HTML and Markdown."""

from __future__ import annotations

import json
import re
import typing as t
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._text import clean
from ansible_collections.ckpool.fleet.plugins.module_utils._window import Member, Window
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page import charts, history
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.html import Parts, page
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.markdown import escaped, markdown
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.model import Inputs, model_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._page.windows import recent, window_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from tests.support.fleets import DIFFICULTY, EVIL, NOW, Fleet

ROLE = Path(__file__).parents[4] / "roles" / "report"
PARTS = Parts(
    *((ROLE / name).read_text() for name in ("templates/report.html.j2", "files/report.css", "files/report.js"))
)
HOUR = 3600


def inputs_of(fleet: Fleet, **more: t.Any) -> Inputs:
    rows = [row for host, result in fleet.health().items() for row in rows_of(host, result)]
    return Inputs(rows, list(fleet.pools().items()), NOW, list(fleet.idle().items()), **more)


def content(fleet: Fleet, **more: t.Any) -> Json:
    return {**t.cast(Json, clean(model_of(inputs_of(fleet, **more)))), "outcome": "unhealthy"}


@pytest.fixture(scope="module")
def model() -> Json:
    return content(Fleet())


class Tags(HTMLParser):
    """The tags of a page, with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: t.List[t.Tuple[str, t.Dict[str, t.Optional[str]]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: t.List[t.Tuple[str, t.Optional[str]]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def names(self) -> t.List[str]:
        return [name for name, _attributes in self.tags]


def test_the_worst_come_first(model: Json) -> None:
    states = [pool["state"] for pool in model["pools"]]
    assert states == ["down", "hung", "unreachable", "degraded", *["ok"] * 9]
    assert model["pools"][0]["causes"] == [
        {"summary": "pid 4242 is gone", "cure": "it crashed or was killed: see the end of its log, and dmesg"}
    ]
    assert model["pools"][0]["log_line"].endswith("Connector loop stopped")
    assert model["pools"][4]["log_line"] is None


def test_totals_are_sums_and_say_of_what(model: Json) -> None:
    totals = model["totals"]
    assert (totals["pools"], totals["healthy"], totals["critical"], totals["warning"], totals["silent"]) == (
        12,
        9,
        3,
        1,
        2,
    )
    assert totals["users"] == 12 * 30
    assert totals["hashrate"]["1d"] == pytest.approx(sum(pool["hashrate"]["1d"] or 0 for pool in model["pools"]))
    assert 0.2 < totals["reject_ratio"] < 0.7
    assert totals["oldest"] == NOW - 20


def test_users_are_merged_over_pools(model: Json) -> None:
    assert model["users_known"] == 30
    (first, *others) = model["users"]
    assert len(others) == 19
    assert first["workers"] == 36
    assert len(first["pools"]) == 12
    assert first["hashrate1hr"] >= others[0]["hashrate1hr"]


def test_pools_that_do_not_answer_have_no_odds(model: Json) -> None:
    assert [pool["odds"] for pool in model["pools"][:3]] == [None] * 3
    fleet = model["odds"]
    assert fleet["network_difficulty"] == DIFFICULTY
    assert fleet["counted"] == 10
    assert fleet["odds"]["expected_seconds"] == pytest.approx(DIFFICULTY * 2**32 / fleet["usual_hashrate"])


def test_user_agents_are_counted_from_workers_or_taken_from_the_pool(model: Json) -> None:
    assert {agent["user_agent"]: agent["devices"] for agent in model["user_agents"]} == {
        "cgminer/4.12.1": 360, "bitaxe/2.6": 360, "NerdMiner": 360
    }  # fmt: skip
    fleet = Fleet(1, 0)
    pools = fleet.pools()
    pools[fleet.hosts[0]]["stats"]["user_agents"] = [
        {"user_agent": "x", "devices": 7, "hashrate5m": 5.0, "best_share": 1.0}
    ]
    inputs = inputs_of(fleet)
    inputs.pools = list(pools.items())
    assert [(agent["user_agent"], agent["devices"]) for agent in model_of(inputs)["user_agents"]] == [("x", 7)]


def test_what_is_missing_is_said_once_and_not_of_hosts_with_a_verdict() -> None:
    fleet = Fleet(2, 0)
    inputs = inputs_of(fleet)
    inputs.pools = [
        (fleet.hosts[0], {"failed": True, "msg": "no"}),
        (fleet.hosts[1], {"unreachable": True, "msg": "gone"}),
    ]
    inputs.idle = [(host, {"failed": True, "msg": "no idle"}) for host in fleet.hosts]
    assert model_of(inputs)["missing"] == [
        {"host": fleet.hosts[0], "pool": "pool", "why": "no"}, {"host": fleet.hosts[1], "pool": "pool", "why": "gone"}
    ]  # fmt: skip


def test_history_ends_with_this_run() -> None:
    fleet = Fleet(2, 0)
    key = history.key_of(fleet.hosts[0], {"name": "solo", "socket_dir": "/run/ckpool/main", "root": "/"})
    past = {key: [history.Sample(NOW - HOUR, {"1hr": 5.0}, 1.0, 1.0)]}
    model = content(fleet, snapshots=past, instances={key: "solo"}, grid=history.grid_of(NOW - HOUR, NOW, HOUR))
    one, other = model["history"]["pools"]
    assert one["hashrate"][0] == 5.0
    assert one["hashrate"][-1] > 1e15
    assert one["rejects"][-1] < 1
    assert [value is None for value in other["hashrate"]] == [True, False]
    assert model["history"]["fleet"]["counted"] == [1, 2]


@pytest.mark.parametrize("mode", ["shorten", "hash"])
def test_redacted_names_are_nowhere(mode: str) -> None:
    fleet = Fleet(evil=True)
    model = content(fleet, names=mode, key=b"k", users=100)
    texts = [json.dumps(model, ensure_ascii=False), markdown(model), page(model, PARTS, with_charts=False)]
    for user in fleet.pools()[fleet.hosts[0]]["users"]:
        if len(user["user"]) > 30 and user["user"] not in EVIL:
            assert not [text for text in texts if user["user"] in text]
    assert not [user for user in model["users"] if "document.title" in user["user"]]
    assert model["pools"][0]["log_line"].startswith("[2026-11-26 09:00:00.123] Authorised client 7 (address) worker ")


def test_names_that_mean_harm_are_text() -> None:
    model = content(Fleet(evil=True), users=100, title="<b>title</b>")
    text = page(model, PARTS, with_charts=False)
    found = Tags(text)
    assert found.names.count("script") == found.names.count("style") == 1
    assert not {"img", "b", "iframe", "object"} & {name for name, given in found.tags if name != "b" or given}
    assert not [
        name for _tag, attributes in found.tags for name in attributes if name.startswith("on") or name == "style"
    ]
    assert all(str(attributes.get("href", "#")).startswith("#") for _tag, attributes in found.tags)
    for name in EVIL[:2]:
        assert name in found.text
    assert not re.search("[\u202e\x00-\x08\x0b-\x1f\ud800-\udfff]", text)
    lines = markdown(model)
    assert "<" not in lines
    assert not re.search("[\u202e\x00-\x08\x0b-\x1f\ud800-\udfff]", lines)
    assert "\n# head" not in lines


def test_every_table_has_a_caption_and_scopes(model: Json) -> None:
    found = Tags(page(model, PARTS, with_charts=False))
    assert found.names.count("table") == found.names.count("caption") >= 6
    assert {attributes.get("scope") for name, attributes in found.tags if name == "th"} == {"col", "row"}
    ids = [attributes["id"] for _name, attributes in found.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = {str(attributes["href"])[1:] for name, attributes in found.tags if name == "a"}
    assert links <= set(ids)


def test_columns_of_markdown_are_whole() -> None:
    lines = markdown(content(Fleet(evil=True), users=100)).splitlines()
    columns = 0
    for before, line in zip(lines, lines[1:]):
        if line.startswith("| ---"):
            columns = len(re.findall(r"(?<!\\)\|", before))
        if line.startswith("|") and columns:
            assert len(re.findall(r"(?<!\\)\|", line)) == columns, line
        elif not line.startswith("|"):
            columns = 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b|c", r"a\_b\|c"),
        ("1. x", r"1\. x"),
        ("- x", r"\- x"),
        ("# x", r"\# x"),
        ("https://x www.x.org @y", r"https\://x www\.x.org \@y"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("\u202ex", r"\\u202ex"),
        ("3 min", "3 min"),
    ],
)
def test_markdown_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_windows() -> None:
    record: Json = {
        "run": "r",
        "opened": 5,
        "closed": 9,
        "host": "h",
        "report": {"pools": [{"longest_gap": 2}, "odd"]},
        "instances": [{"name": "a"}],
    }
    closed = window_of(record)
    assert closed is not None
    assert (closed.host, closed.gap, closed.instances) == ("h", 2, ("a",))
    still = window_of({**record, "opened": 1, "closed": None})
    newer = window_of({**record, "opened": 7})
    assert still is not None
    assert newer is not None
    assert [window.opened for window in recent([closed, newer, still])] == [1, 7, 5]
    odd: t.Any
    for odd in (
        {},
        [],
        None,
        {"run": 5, "opened": 5},
        {"run": "r", "opened": "x"},
        {"run": "r", "opened": float("nan")},
    ):
        assert window_of(odd) is None


def test_the_record_of_an_upgrade_is_understood() -> None:
    """As the role upgrade writes it: the window of the host, with the host's name, the outcome and what was measured."""
    member = Member("main", "/run/ckpool/main", at="new")
    window = Window("r1", "alice@ci1", "ckpool 1.2.0", opened=NOW, expires=NOW + 60, closed=NOW + 30, members=[member])
    pools = [{"name": "main", "longest_gap": 0.8}, {"name": "other", "longest_gap": None}]
    found = window_of(
        {**window.as_dict(), "host": "h", "outcome": "done", "msg": "it runs", "report": {"pools": pools}}
    )
    assert found is not None
    assert found.as_dict() == {
        "host": "h", "opened": NOW, "closed": NOW + 30, "owner": "alice@ci1", "reason": "ckpool 1.2.0", "state": "open",
        "outcome": "done", "msg": "it runs", "instances": ["main"], "gap": 0.8,
    }  # fmt: skip


def test_charts_have_neither_style_nor_script_and_say_what_they_show() -> None:
    pytest.importorskip("pygal")
    times = [NOW + HOUR * number for number in range(10)]
    values = [None, 1e15, 2e15, None, 3e15, 3e15, 3e15, 3e15, 3e15, 2.5e15]
    text = charts.chart("a", "Hash<rate>\u202e", times, values, lambda value: f"{value:.0f}")
    found = Tags(text)
    (_svg, attributes) = found.tags[0]
    assert attributes["role"] == "img"
    assert (
        attributes["aria-label"]
        == "Hash<rate>\\u202e: from 1000000000000000 to 3000000000000000, last 2500000000000000, 2 gaps"
    )
    assert not {"script", "style", "title", "desc", "rect", "circle"} & set(found.names)
    assert not [
        name for _tag, given in found.tags for name in given if name.startswith("on") or name in ("style", "fill")
    ]
    assert len(charts.sparkline("a", values * 12, str)) < 2500
    assert "no values" in charts.sparkline("a", [None, None], str)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pygal", None)
    with pytest.raises(charts.Missing, match="the Python package pygal is missing on the controller"):
        charts.library()
