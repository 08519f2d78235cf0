# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a fleet as a table, notes and a sentence."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._outcome import outcome
from ansible_collections.ckpool.fleet.plugins.plugin_utils._report import COLOURS, notes, summary, table, totals
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import row_without_verdict, rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_results import check, result


def test_the_table() -> None:
    rows = [
        *rows_of("pool1", result()),
        *rows_of(
            "a-much-longer-name",
            result("degraded", check("warning", "a"), check("critical", "b"), check("warning", "c")),
        ),
        *rows_of("pool3", {"unreachable": True, "msg": "no route"}),
    ]
    assert table(rows) == [
        "HOST                INSTANCE  STATE        HASHRATE   USERS  WORKERS  WORK AGE  WHAT IS WRONG",
        "pool1               ckpool    ok           38.5 MH/s  3      12       4 s",
        "a-much-longer-name  ckpool    degraded     38.5 MH/s  3      12       4 s       b is critical: look at b",
        "pool3               -         unreachable  -          -      -        -         no route",
        "TOTAL               2 pools   1 ok         77.0 MH/s  6      24",
    ]
    assert notes(rows) == [
        "ckpool on a-much-longer-name is degraded, and:",
        "  - a is warning: look at a",
        "  - c is warning: look at c",
    ]


def test_instances_of_one_name_are_told_apart_by_their_pids() -> None:
    def of(pid: t.Optional[int], place: str) -> Json:
        found = result(instance={"name": "ckpool", "socket_dir": place, "pid": pid, "state": "ok"})
        return {**found, "log_tail": ["the end"], "health": {**found["health"], "state": "hung", "status": "critical"}}

    several = {**result(), "instances": [of(7, "/tmp/x"), of(8, "/tmp/x"), of(None, "/tmp/y"), result(name="solo")]}
    rows = rows_of("pool1", several)
    names = [" ".join(line.split()[1:4]) for line in table(rows)[1:4]]
    assert names == ["ckpool pid 7", "ckpool pid 8", "ckpool /tmp/y hung"]
    assert table(rows)[4].split()[1] == "solo"
    assert notes(rows)[0] == "ckpool pid 7 on pool1 is hung, and:"


def test_nothing_that_is_wrong_is_left_out() -> None:
    checks = [check("critical", f"c{number}", hint=f"h{number}") for number in range(9)]
    rows = rows_of("pool1", {**result("hung", *checks), "log_tail": ["early", "the last one ", ""]})
    text = "\n".join([*table(rows), *notes(rows)])
    assert all(f"c{number} is critical: h{number}" in text for number in range(9))
    assert "its log ends: the last one" in text
    assert "more)" not in text


def test_the_notes_fit_into_a_hundred_columns() -> None:
    rows = rows_of("pool1", result("degraded", *(check("warning", name, hint="so " * 99 + name) for name in "abc")))
    assert len(notes(rows)) > 6
    assert max(map(len, notes(rows))) <= 100


def test_the_total_says_what_it_lacks() -> None:
    rows = [*rows_of("a", result()), *rows_of("b", result("down", stats=None)), *rows_of("c", {"unreachable": True})]
    assert totals(rows) == {
        "hosts": 3, "pools": 2, "healthy": 1, "hashrate": 38.5e6, "users": 3, "workers": 12, "counted": 1,
    }  # fmt: skip
    assert table(rows)[-1].endswith("without 1 pool of unknown hashrate")
    assert totals([]) == {
        "hosts": 0, "pools": 0, "healthy": 0, "hashrate": None, "users": None, "workers": None, "counted": 0,
    }  # fmt: skip


def test_the_total_has_no_numbers_of_a_pool_that_ended_or_that_are_old() -> None:
    old = check("critical", "statistics", reason="stale_statistics")
    rows = [*rows_of("a", result()), *rows_of("b", result("down")), *rows_of("c", result("degraded", old))]
    rows += rows_of("d", result("degraded", check("warning", "statistics", reason="stale_statistics")))
    assert [row["workers"] for row in rows] == [12] * 4, "each pool's own row has what is known"
    assert [totals(rows)[name] for name in ("hashrate", "users", "workers", "counted")] == [77e6, 6, 24, 2]
    assert table(rows)[-1].endswith("without 2 pools of unknown hashrate")


def test_no_name_moves_the_cursor_of_a_terminal() -> None:
    rows = rows_of("pool1", result("degraded", check("warning", summary="\x1b[2Jgone\nnext"), name="a\x1b[31m"))
    rows += rows_of(
        "pool2", {**result("hung", check("warning"), check("warning", "\u202eb")), "log_tail": ["\x1b]0;t\x07"]}
    )
    assert all(line.isprintable() for line in (*table(rows), *notes(rows), summary(rows)))


def test_the_table_of_nothing_is_a_heading() -> None:
    assert len(table([])) == 1


def test_a_zero_is_shown_as_one_and_not_as_unknown() -> None:
    (row,) = rows_of("h", result(stats={"hashrate1m": 0.0, "users": 0, "workers": 0}, work_age=0.0))
    assert table([row])[1].split()[3:] == ["0.00", "H/s", "0", "0", "0", "s"]


def test_the_fleet_in_one_sentence() -> None:
    assert summary([]) == "no host was asked"
    assert summary(rows_of("pool1", result())) == "1 of 1 pools on 1 host are healthy"
    rows = [
        *rows_of("pool1", {**result(), "instances": [result(), result("down", check("critical"), name="b")]}),
        *rows_of("p2", {}),
    ]
    assert summary(rows) == "1 of 3 pools on 2 hosts are healthy; b on pool1 is down; pool on p2 is failed"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            [result("degraded", check("warning"))],
            "none of 1 pools on 1 host is critical; 1 with warnings; ckpool on h0 is degraded",
        ),
        ([result("starting")], "none of 1 pools on 1 host is critical; 1 starting; ckpool on h0 is starting"),
        (
            [result(), result("starting"), result("starting", check("warning"))],
            "none of 3 pools on 3 hosts is critical; 1 with warnings, 1 starting; ckpool on h2 is starting; ckpool on h1 is starting",
        ),
    ],
)
def test_a_sentence_without_anything_critical_says_so(found: t.List[Json], text: str) -> None:
    """It stands beside the outcome, which is healthy unless warnings fail."""
    rows = [row for number, one in enumerate(found) for row in rows_of(f"h{number}", one)]
    assert outcome(rows, "critical") == "healthy"
    assert summary(rows) == text


def test_a_critical_pool_is_named_before_any_with_warnings() -> None:
    rows = [row for number in range(20) for row in rows_of(f"h{number}", result("degraded", check("warning")))]
    rows += rows_of("last", result("down", check("critical")))
    assert summary(rows).startswith("0 of 21 pools on 21 hosts are healthy; ckpool on last is down; ")


def test_the_sentence_names_no_more_than_one_can_read() -> None:
    rows = [row_without_verdict(f"h{number}", "unreachable", "no route") for number in range(300)]
    assert summary(rows).endswith("pool on h9 is unreachable; 290 more are not")
    assert len(summary(rows)) < 400


def test_the_colour_of_an_unhealthy_state() -> None:
    assert COLOURS["ok"] == "green"
    assert {COLOURS.get(state, "red") for state in ("hung", "down", "unknown", "unreachable", "failed")} == {"red"}


def test_whose_a_pool_is_stands_in_the_table_unless_it_goes_without_saying() -> None:
    rows = []
    for user in ("root", "ckpool", "eve"):
        found = result()
        found["instance"]["user"] = user
        rows += rows_of("pool1", found)
    assert [line.split("  ")[1].strip() for line in table(rows)[1:4]] == [
        "ckpool pid 42",
        "ckpool pid 42",
        "ckpool of eve pid 42",
    ]
