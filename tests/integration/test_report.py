# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and the playbook report: a page of the fleet, the same as Markdown and JSON, and an outcome."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.ansible import Ansible, Json, Run
from tests.support.machine import fleet_of, needs_namespaces

pytest.importorskip("pygal")
pytestmark = needs_namespaces

REPORT, SNAPSHOT = "ckpool.fleet.report", "ckpool.fleet.snapshot"
EVIL = "<img src=x onerror=alert(1)>"
"""A name that a miner may choose."""
BOTH = "bc1qboth"
"""A user of two pools."""
HOSTS: dict[str, list[Json]] = {
    "public": [{"name": "one", "layout": "2026", "user_names": [EVIL, BOTH]}],
    "others": [{"name": "guide", "dialect": "guide", "user_names": [BOTH]}, {"name": "api", "dialect": "api"}],
    "stuck": [{"name": "hung", "faults": ["hung"]}],
}


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    """The inventory: hosts with healthy pools of every dialect, one with a hung pool, and one that cannot be reached."""
    with fleet_of(HOSTS, place) as (inventory, pools):
        pools["one"].find_block(850001, f"{BOTH}.rig0", ago=3600)
        yield inventory


class Page(HTMLParser):
    """The tables of a page, by id: a list of the texts of each row. And the names of all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(str(dict(attrs)["id"]).removesuffix("-table"), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._rows and self._rows[-1]:
            self._rows[-1][-1] += data


class Written:
    """A run of the playbook, and what it wrote."""

    def __init__(self, ansible: Ansible, folder: Path, inventory: Json, *options: str, **variables: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.html, self.markdown, self.json = (folder / f"report.{kind}" for kind in ("html", "md", "json"))
        files = {"report_file": self.html, "report_markdown_file": self.markdown, "report_json_file": self.json}
        given = {
            "report_snapshot_dir": str(folder / "snapshots"), "report_window_dir": str(folder / "windows"), "report_timeout": 5,
            **{name: str(path) for name, path in files.items()}, **variables,
        }  # fmt: skip
        self.run: Run = ansible.playbook(REPORT, *options, inventory=inventory, variables=given)

    @property
    def content(self) -> Json:
        content: Json = json.loads(self.json.read_text())
        return content

    @property
    def page(self) -> Page:
        return Page(self.html.read_text())


@pytest.fixture(scope="module")
def whole(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> Written:
    """A report on all hosts, after a snapshot of the healthy ones."""
    folder = place()
    folder.mkdir()
    (folder / "windows").mkdir()
    record = {
        "run": "r1",
        "opened": int(time.time()) - 900,
        "closed": None,
        "host": "public",
        "owner": "alice@ci1",
        "state": "switched",
    }
    (folder / "windows" / "public_r1.json").write_text(json.dumps(record))
    (folder / "windows" / "broken.json").write_text("{")
    taken = ansible.playbook(
        SNAPSHOT, "--limit", "public,others", inventory=fleet, variables={"snapshot_dir": str(folder / "snapshots")}
    )
    assert taken.status == 0, taken.text
    return Written(ansible, folder, fleet)


@pytest.mark.every_core
def test_the_outcome_and_every_host(whole: Written) -> None:
    assert whole.run.status == 2, whole.run.text
    assert "outcome: unhealthy; 1 file could not be read: " in whole.run.text
    assert "Traceback" not in whole.run.text
    rows = [(pool["host"], pool["pool"], pool["state"]) for pool in whole.content["pools"]]
    assert rows[:2] == [("stuck", "hung", "hung"), ("lost", "-", "unreachable")]
    assert sorted(rows[2:]) == [("others", "api", "ok"), ("others", "guide", "ok"), ("public", "one", "ok")]
    assert whole.content["outcome"] == "unhealthy"
    assert [row[2] for row in whole.page.tables["pools"][1:3]] == ["hung", "unreachable"]


def test_the_hung_pool_has_cause_and_cure(whole: Written) -> None:
    (hung, *_others) = whole.content["pools"]
    assert hung["causes"][0]["summary"].startswith("accepts and does not answer")
    assert hung["causes"][0]["cure"]
    assert hung["log_line"]
    text = whole.html.read_text()
    assert text.index("accepts and does not answer") < text.index('id="totals"')


def test_a_user_of_two_pools_is_one(whole: Written) -> None:
    (both,) = (user for user in whole.content["users"] if user["user"] == BOTH)
    assert both["pools"] == ["guide on others", "one on public"]
    assert both["hashrate1m"] > 0


def test_blocks_windows_and_history(whole: Written) -> None:
    content = whole.content
    (block,) = content["blocks"]
    assert (block["height"], block["worker"], block["accepted"]) == (850001, f"{BOTH}.rig0", True)
    (window,) = content["windows"]
    assert (window["host"], window["closed"], window["owner"]) == ("public", None, "alice@ci1")
    assert any("broken.json" in problem for problem in content["problems"])
    past = {(entry["host"], entry["pool"]): entry["hashrate"][-1] for entry in content["history"]["pools"]}
    assert past["public", "one"] > 0
    assert past["stuck", "hung"] is None
    assert content["odds"]["odds"]["expected_seconds"] > 0


def test_names_are_text_in_every_form(whole: Written) -> None:
    page = whole.page
    assert page.tags.count("script") == 1 and "img" not in page.tags
    assert EVIL in [row[0] for row in page.tables["users"]]
    assert EVIL not in whole.html.read_text()
    assert "<img" not in whole.markdown.read_text()
    assert EVIL in [user["user"] for user in whole.content["users"]]


def test_nothing_is_loaded(whole: Written) -> None:
    text = whole.html.read_text()
    words = ("http://", "https://", " src=", "@import", "url(")
    assert [word for word in words if word in text.replace("&lt;img src=", "")] == []


def test_limit_redaction_and_check_mode(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    folder = place()
    few = Written(ansible, folder, fleet, "--limit", "public", report_redact="hash", report_redact_key="k")
    assert few.run.status == 0, few.run.text
    assert "outcome: healthy; 1 of 1 pools on 1 host are healthy; not asked: 3 hosts by --limit" in few.run.text
    assert few.content["not_asked"] == ["others", "stuck", "lost"]
    for path in (few.html, few.markdown, few.json):
        assert BOTH not in path.read_text()
        assert "alert" not in path.read_text()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = Written(ansible, folder, fleet, "--check", "--limit", "public")
    assert again.run.status == 0, again.run.text
    assert "would write: " in again.run.text
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (result,) = again.run.results("ckpool_fleet_report")
    assert result["changed"] is True


def test_the_role_in_a_play(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    folder = place()
    folder.mkdir()
    play = {
        "hosts": "public:lost",
        "gather_facts": False,
        "roles": [
            {
                "role": "ckpool.fleet.report",
                "report_file": str(folder / "r.html"),
                "report_snapshot_dir": "",
                "report_window_dir": "",
            }
        ],
    }
    run = ansible.playbook([play], inventory=fleet)
    assert run.status == 4, run.text
    assert "outcome: undetermined; 1 of 2 pools on 2 hosts are healthy; pool on lost is unreachable" in run.text
    assert Page((folder / "r.html").read_text()).tables["pools"][1][1] == "lost"


def test_the_playbook_s_errors_name_what_is_wrong(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]
) -> None:
    folder = place()
    gone = Written(ansible, folder, fleet, "--limit", "public", report_file=str(folder / "none" / "r.html"))
    assert gone.run.status == 2
    assert f"cannot write {folder}/none/r.html: No such file or directory" in gone.run.text
    odd = Written(ansible, folder, fleet, "--limit", "public", report_redact="maybe")
    assert odd.run.status == 2
    assert "redact" in odd.run.text and "none, shorten, hash" in odd.run.text
    assert os.listdir(folder) == []
