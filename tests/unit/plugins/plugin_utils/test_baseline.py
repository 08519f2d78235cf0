# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an earlier run knew: instances that are gone are reported until they are forgotten."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._baseline import (
    BadBaseline,
    Compared,
    Known,
    compare,
    read_baseline,
)
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_results import KEYS, result

NOW = 1_795_385_464.0
EVERY_HOST = {"h1", "h2"}


def rows(host: str = "h1", *names: str, state: str = "ok", **instance: t.Any) -> t.List[Json]:
    entries = [
        result(state, instance={"name": name, "socket_dir": f"/tmp/{name}", "pid": 1, **instance}) for name in names
    ]
    return rows_of(host, {**result(), "instances": entries})


def run(known: t.Sequence[Known], found: t.List[Json], *forget: str, now: float = NOW) -> Compared:
    return compare(known, found, EVERY_HOST, forget, now)


def first(*names: str, **instance: t.Any) -> t.List[Known]:
    return run([], rows("h1", *names, **instance)).known


def test_what_is_still_there_is_no_news() -> None:
    found = run(first("a", "b"), rows("h1", "b", "a", pid=2), now=NOW + 60)
    assert found.gone == []
    assert [(known.instance, known.last_seen) for known in found.known] == [("b", NOW + 60), ("a", NOW + 60)]


def test_what_is_not_there_is_critical_and_stays_known_until_it_is_forgotten() -> None:
    known = first("a", "b")
    for later in (60, 120):
        found = run(known, rows("h1", "a"), now=NOW + later)
        (row,) = found.gone
        assert set(row) == KEYS
        assert (row["host"], row["instance"], row["state"], row["status"]) == ("h1", "b", "gone", "critical")
        assert row["wrong"] == ["was here at 2026-11-22 22:11:04 UTC, and is missing now"]
        assert row["checks"][0]["hint"] == "if it was removed on purpose: -e health_check_forget=h1:/tmp/b"
        known = found.known
        assert {entry.instance for entry in known} == {"a", "b"}


@pytest.mark.parametrize("name", ["all", "h1", "h1:/tmp/b", "h1:b", "b", "/tmp/b"])
def test_ways_to_forget(name: str) -> None:
    found = run(first("a", "b"), rows("h1", "a"), name, "other")
    assert (found.gone, found.forgotten) == ([], ["h1:/tmp/b"])
    assert found.not_forgotten == {"other": "not missing"}
    assert [known.instance for known in found.known] == ["a"]
    assert run(found.known, rows("h1", "a")).gone == []


@pytest.mark.parametrize("name", ["h2", "h2:b", "a", "h1:/tmp", "ALL"])
def test_another_name_forgets_nothing(name: str) -> None:
    found = run(first("a", "b"), rows("h1", "a"), name)
    assert (len(found.gone), found.not_forgotten) == (
        1,
        {name: "of a host that was left out" if "h2" in name else "not missing"},
    )


def test_only_what_is_gone_is_forgotten() -> None:
    assert {known.instance for known in run(first("a"), rows("h1", "a"), "all").known} == {"a"}


@pytest.mark.parametrize("found", [{"unreachable": True}, {"failed": True}, {"health": []}])
def test_a_host_of_which_nobody_knows_keeps_its_instances(found: Json) -> None:
    compared = run(first("a", "b"), rows_of("h1", found), "all")
    assert (compared.gone, {known.instance for known in compared.known}) == ([], {"a", "b"})
    assert compared.not_forgotten == {"all": "of a host without a verdict"}


def test_a_host_that_was_not_asked_keeps_its_instances() -> None:
    compared = run(first("a"), rows("h2", "z"), "all")
    assert (compared.gone, compared.kept) == ([], ["h1"])
    assert {(known.host, known.instance) for known in compared.known} == {("h1", "a"), ("h2", "z")}
    assert compared.not_forgotten == {"all": "of a host that was left out"}


@pytest.mark.parametrize("name", ["h1", "h1:a", "h1:/tmp/a", "a", "h1:unheard-of"])
def test_what_is_to_be_forgotten_of_a_host_that_was_left_out(name: str) -> None:
    """Whether it is missing is unknown."""
    compared = run(first("a"), rows("h2", "z"), name, "z")
    assert compared.not_forgotten == {name: "of a host that was left out", "z": "not missing"}
    assert [known.instance for known in compared.known if known.host == "h1"] == ["a"]


def test_a_name_that_forgets_one_of_two_is_used() -> None:
    known = [*first("a"), *run([], rows("h2", "a")).known]
    compared = run(known, rows("h1", "z"), "a")
    assert (compared.forgotten, compared.not_forgotten, compared.kept) == (["h1:/tmp/a"], {}, ["h2"])


def test_a_host_that_is_no_longer_in_the_inventory_is_gone() -> None:
    compared = compare(first("a"), rows("h2", "z"), {"h2"}, [], NOW)
    assert [row["host"] for row in compared.gone] == ["h1"]
    assert "no longer in the inventory" in compared.gone[0]["wrong"][0]


def test_a_container_with_the_same_directory_is_another() -> None:
    known = [*first("a"), *first("a", root="/proc/7/root")]
    assert run(known, [*rows("h1", "a", root="/"), *rows("h1", "a", root="/proc/9/root")]).gone == []
    assert len(run(known, rows("h1", "a")).gone) == 1
    two = [*known[1:], *known[1:]]
    assert len(run(two, rows("h1", "a", root="/proc/9/root")).gone) == 1


def test_when_one_that_is_down_was_last_seen() -> None:
    known = run(first("a"), rows("h1", "a", state="down"), now=NOW + 60).known
    assert [entry.last_seen for entry in known] == [NOW]


def test_a_report_can_be_read_again() -> None:
    known = first("a", "b", root="/proc/7/root")
    report = {"generated": 1, "fleet": [], "known": [entry.as_dict() for entry in known]}
    assert read_baseline(json.dumps(report)) == known


def test_a_report_of_an_earlier_version_can_be_read() -> None:
    old = {"host": "h1", "instance": "a", "socket_dir": "/tmp/a", "state": "ok"}
    none = {"host": "h2", "instance": None, "socket_dir": None, "state": "unreachable"}
    known = read_baseline(json.dumps({"generated": 7, "ok": True, "summary": "", "fleet": [old, none]}))
    assert known == [Known("h1", "a", "/tmp/a", None, 7)]


@pytest.mark.parametrize(
    "text",
    [
        "", " \n", "{", "null", "[]", "{}", "7", '{"fleet": []}', '{"fleet": {}, "generated": 1}',
        '{"fleet": [], "generated": "now"}', '{"fleet": [], "generated": 1, "known": 1}', "[" * 100_000,
        '{"fleet": [], "generated": 1, "known": [1]}', '{"fleet": [], "generated": 1, "known": [{}]}',
        '{"fleet": [], "generated": 1, "known": [{"host": "h", "last_seen": 1e99}]}',
        '{"fleet": [], "generated": 1, "known": [{"host": "h", "last_seen": 1, "instance": 1}]}',
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(BadBaseline):
        read_baseline(text)
