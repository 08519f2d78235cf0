# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a fleet: its rows, its outcome in one word, and what it says to persons and programs."""

from __future__ import annotations

import html
import re
import typing as t
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rollout import (
    is_only_unreachable,
    markdown,
    refused_rows,
    rollout_junit,
    rollout_outcome,
    rollout_row,
    rollout_summary,
    rollout_totals,
)
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_results import check, result

PLAN: Json = {"number_of": {"a": 1, "b": 2, "c": 2}, "tiers": dict.fromkeys("abc", "master")}


def ended(word: str, **more: t.Any) -> Json:
    """What a host registers."""
    passes = word in ("done", "nothing_to_do", "predicted")
    return {"failed": not passes, "unreachable": False, "outcome": word, "msg": f"it is {word}", "pools": [], **more}


def rows(*results: t.Any, batch: int = 0) -> t.List[Json]:
    """The rows of hosts that registered these, a first."""
    health = rows_of("x", {**result("ok", check()), "clients": 6})
    return [rollout_row(host, PLAN, found, health, batch) for host, found in zip("abc", results)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["done", "done"], "done"),
        (["done", "nothing_to_do"], "done"),
        (["nothing_to_do"] * 3, "nothing_to_do"),
        (["predicted", "nothing_to_do"], "predicted"),
        (["rolled_back", None], "rolled_back"),
        (["done", "rolled_back", None], "rolled_back"),
        (["rolled_back", "failed"], "failed"),
        (["failed", "rollback_failed", "done"], "rollback_failed"),
        (["not_started", None], "not_started"),
        (["nothing_to_do", "not_started"], "not_started"),
        (["done", "not_started", None], "stopped"),
        (["done", None], "stopped"),
        ([None, None], "not_started"),
        (["anything else"], "failed"),
        ([{"outcome": "done", "failed": True}], "failed"),
        (["an odd result"], "failed"),
        ([], "not_started"),
    ],
)
def test_the_gravest_host_decides(words: t.List[t.Any], expected: str) -> None:
    results = [None if word is None else word if isinstance(word, dict) else ended(word) for word in words]
    assert rollout_outcome(rows(*results)) == expected
    (odd,) = rows("no dictionary")
    assert (odd["outcome"], odd["failed"]) == ("failed", True)


def test_a_batch_that_is_being_worked_on_is_unfinished() -> None:
    found = rows(ended("done"), None, None, batch=2)
    assert [row["outcome"] for row in found] == ["done", "unfinished", "unfinished"]
    assert rollout_outcome(found) == "unfinished"


@pytest.mark.parametrize(
    ("lost", "expected"), [([True, None], True), ([True, True], True), ([True, False], False), ([None, None], False)]
)
def test_whether_nothing_failed_but_to_reach_hosts(lost: t.List[t.Optional[bool]], expected: bool) -> None:
    results = [ended("done") if one is None else ended("failed", unreachable=one) for one in lost]
    assert is_only_unreachable(rows(*results)) == expected


def test_the_sentence_names_who_is_not_done_and_why() -> None:
    found = rows(ended("rolled_back", msg="only 3 of 12\nclients"), None, ended("done"))
    expected = "1 of 3 hosts done; 1 of 3 hosts rolled back (a); 1 of 3 hosts not started (b); a: only 3 of 12 clients"
    assert sorted(rollout_summary(found).split("; ")) == sorted(expected.split("; "))
    assert rollout_summary([]) == "no host was asked"


def test_check_mode_counts_the_miners_of_what_would_change() -> None:
    found = rows(ended("predicted"), ended("predicted"), ended("nothing_to_do"))
    assert "would upgrade 2 pools with 12 clients on 2 of 3 hosts in 2 batches" in rollout_summary(found)
    assert rollout_totals(found) == {
        "hosts": 3, "pools": 3, "clients": 18, "outcomes": {"nothing_to_do": 1, "predicted": 2},
    }  # fmt: skip


def test_hosts_that_are_why_nothing_was_begun() -> None:
    health = {"a": rows_of("a", {"unreachable": True, "msg": "no route"}), "b": rows_of("b", result("ok", check()))}
    found = refused_rows(rows(None, None), health, {"a"})
    assert [(row["failed"], row["msg"]) for row in found] == [(True, "no route"), (False, "")]


def test_markdown_has_no_markup_but_its_own() -> None:
    found = rows(ended("failed", msg="[x](https://evil) <img src=y> @all | `z`"))
    text = markdown(found, "failed", "a | b")
    assert text.startswith("## Rolling upgrade: failed\n\na \\| b\n\n| HOST |")
    (row,) = [line for line in text.splitlines() if line.startswith("| a ")]
    for harmful in ("[x]", "](", "<img", "@all", "://", "`z`"):
        assert harmful not in row.replace("\\`", "")
    assert len(re.findall(r"(?<!\\)\|", row)) == 8, "seven columns"


def test_a_reader_of_markdown_sees_the_text_as_it_is() -> None:
    """And none of it is a link: GitHub makes one of www. too."""
    said = "AT&T <b> &lt; a@b https://evil WWW.evil.example #1 [x](y) a_b * \\ ~ $ |"
    row = markdown(rows(ended("failed", msg=said)), "failed", "").splitlines()[-1]
    assert not re.search(r"://|www\.|@|<", row, re.IGNORECASE)
    shown = html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", lambda found: f"&#{ord(found[1])};", row))
    assert said in shown


@pytest.mark.parametrize("word", ["done", "nothing_to_do", "predicted", "stopped", "rolled_back", "not_started"])
def test_junit_has_a_failure_unless_the_run_passes(word: str) -> None:
    pool = {"name": "main\x00\x1b", "outcome": "rolled_back", "msg": "only 3 came back \ud800"}
    found = rows(ended("rolled_back", pools=[pool]) if word == "rolled_back" else None)
    root = ET.fromstring(rollout_junit(found, word, "the sentence").encode())
    whole, host = root
    assert (whole.get("name"), host.get("name")) == ("ckpool.fleet.rolling_upgrade", "a")
    assert (whole.find(".//failure") is None) == (word in ("done", "nothing_to_do", "predicted"))
    assert [case.find("failure") is None for case in host] == ([False, False] if word == "rolled_back" else [True])
