# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet on a screen of any size."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible")

from ansible_collections.ckpool.fleet.plugins.module_utils._host_board import Block, Head, Line, cut, host_board, width
from ansible_collections.ckpool.fleet.plugins.plugin_utils._board import (
    SILENT,
    fleet_board,
    old_row,
    silent_row,
    waiting_row,
    with_modes,
)
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import Row, rows_of

from .fake_results import check, result

HEAD = Head("300 hosts", "round 2 of 12", "2026-11-26 13:20:31 UTC")
EVIL = "\x1b[2J\r\n\x9b\u202e" + "挖矿" * 40 + "e\u0301" * 40


def healthy(host: str) -> t.List[Row]:
    return rows_of(host, result(name="main"))


def hung(host: str) -> t.List[Row]:
    return rows_of(host, result("hung", check("critical", "ready", summary="it does not answer"), name="solo"))


def fleet(count: int) -> t.List[Row]:
    """That many pools, every tenth of which is not healthy, the last ones with names of a miner who means harm."""
    kinds: t.List[t.Callable[[str], t.List[Row]]] = [
        hung, *[healthy] * 9, lambda host: rows_of(host, {"unreachable": True, "msg": EVIL}),
        *[healthy] * 8, lambda host: rows_of(host + EVIL, result(name=EVIL, stats={"hashrate1m": 9e99, "users": 1e12})),
    ]  # fmt: skip
    return [row for number in range(count) for row in kinds[number % len(kinds)](f"host{number}")]


def texts(board: t.Sequence[Line]) -> t.List[str]:
    return [text for text, _colour in board]


def check_fit(board: t.Sequence[Line], columns: int, height: int) -> None:
    assert len(board) <= height
    for text, _colour in board:
        assert width(text) <= columns, text
        assert text.isprintable()


@pytest.mark.parametrize("count", [0, 1, 2, 20, 21, 300])
@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 24, 60])
@pytest.mark.parametrize("columns", [1, 10, 40, 80, 200])
def test_it_fits(columns: int, height: int, count: int) -> None:
    board = fleet_board(HEAD, fleet(count), (columns, height))
    check_fit(board, columns, height)
    if count > height:
        assert len(board) == height, "room was left"


def test_the_screen_of_a_fleet() -> None:
    rows = [*healthy("b"), *healthy("a"), *hung("c"), *rows_of("d", {"unreachable": True, "msg": "no route"})]
    assert texts(fleet_board(HEAD, rows, (100, 8))) == [
        "300 hosts, round 2 of 12, 2026-11-26 13:20:31 UTC" + " " * 44 + "q quits",
        "2 critical, 2 healthy, 116 MH/s, workers 36, users 9, 3 pools",
        "STATE        HOST  INSTANCE  HASHRATE   WORKERS  USERS  WORK AGE  WHAT IS WRONG",
        "unreachable  d     -         -          -        -      -         no route",
        "hung         c     solo      38.5 MH/s  12       3      4 s       it does not answer: look at ready",
        "ok           a     main      38.5 MH/s  12       3      4 s",
        "ok           b     main      38.5 MH/s  12       3      4 s",
        "",
    ]


def test_colours_go_by_status() -> None:
    warned = rows_of("w", result("ok", check("warning")))
    board = fleet_board(HEAD, [*healthy("a"), *warned, *hung("c")], (80, 6))
    assert [colour for _text, colour in board] == [*["bright blue"] * 3, "red", "yellow", "green"]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (fleet(9)[1:], "6 more healthy pools"),
        ([*healthy("a"), *healthy("b"), *hung("c"), *hung("d")], "2 more healthy pools"),
        ([*hung("a"), *hung("b"), *hung("c"), *healthy("d")], "2 more pools, 1 not healthy"),
    ],
)
def test_what_there_is_no_room_for_is_said(rows: t.List[Row], text: str) -> None:
    board = texts(fleet_board(HEAD, rows, (80, 6)))
    assert len(board) == 6
    assert board[-1] == text


def test_a_narrow_screen_has_the_states_and_names() -> None:
    heading = texts(fleet_board(HEAD, [*healthy("a"), *hung("b")], (40, 8)))[2]
    assert heading.split("  ")[0] == "STATE"
    assert "WHAT IS WRONG" in heading
    assert "WORK AGE" not in heading
    title = texts(fleet_board(HEAD, [], (40, 8)))[0]
    assert title.startswith("round 2 of 12, 300 hosts")
    assert title.endswith(" q quits")


def test_the_worst_come_first() -> None:
    late = silent_row(healthy("z")[0], 70)
    rows = [
        *healthy("a"), waiting_row("b", "is being read"), *rows_of("c", result("starting", check("warning"))), *hung("d"),
        *rows_of("e", result("down", check("critical"))), *rows_of("f", {"failed": True, "msg": "x"}),
        *rows_of("g", {"unreachable": True, "msg": "x"}), late,
    ]  # fmt: skip
    board = texts(fleet_board(HEAD, rows, (120, 30)))
    assert [line.split("  ")[0] for line in board[3:11]] == [
        SILENT, "unreachable", "failed", "down", "hung", "starting", "waiting", "ok",
    ]  # fmt: skip
    assert "no answer for 70 s; before that it was ok" in board[3]


def test_what_is_not_read_any_more_is_not_healthy() -> None:
    assert old_row(hung("a")[0], 30) == hung("a")[0]
    row = old_row(healthy("a")[0], 30)
    assert "0 healthy" not in texts(fleet_board(HEAD, [row], (80, 8)))[1]
    assert "1 not being read" in texts(fleet_board(HEAD, [row], (80, 8)))[1]
    assert "read 30 s ago" in texts(fleet_board(HEAD, [row], (80, 8)))[3]


def test_a_healthy_passthrough_is_no_error() -> None:
    front = result(
        "ok", check("ok", "upstream", summary="its upstream is connected"), stats=None, work_age=None, clients=6
    )
    front["instance"]["mode"] = "passthrough"
    (row,) = with_modes(rows_of("edge", front), [front])
    board = fleet_board(HEAD, [row], (120, 8))
    assert board[3][1] == "green"
    assert board[3][0].split() == [
        "ok", "edge", "ckpool", "-", "-", "-", "-", "passthrough,", "6", "clients,", "its", "upstream", "is", "connected",
    ]  # fmt: skip
    assert texts(board)[1].startswith("1 healthy, ")
    assert len(board) == 4


@pytest.mark.parametrize("pid", [None, [1], "x", {}])
def test_the_mode_of_an_odd_result_is_not_known(pid: t.Any) -> None:
    assert with_modes(healthy("a"), [{"instance": {"pid": pid, "mode": "proxy"}}, {"instance": 3}])[0]["mode"] is None


def test_notes_fill_the_rest() -> None:
    bad = rows_of("b", result("hung", check("critical", "ready"), log_tail=["one", "the last"], name="solo"))
    board = texts(fleet_board(HEAD, [*healthy("a"), *bad], (80, 24)))
    assert board[5:] == ["", "solo on b is hung:", "  - its log ends: the last", "  - ready is critical: look at ready"]


# One host


def blocks(*states: str) -> t.List[Block]:
    return [
        Block(state, [f"{state} pool is {state}: {EVIL}", "  shares", "", "  TOP USERS " + "x" * 300])
        for state in states
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 300])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 24])
@pytest.mark.parametrize("columns", [1, 10, 40, 80, 200])
def test_the_pools_of_a_host_fit(columns: int, height: int, count: int) -> None:
    check_fit(host_board(HEAD, blocks(*["ok"] * count), (columns, height)), columns, height)


def test_the_screen_of_a_host() -> None:
    lines = ["a is ok: " + "38.5 MH/s (1m), " * 6 + "users 3", "  shares 1", "", "  TOP USERS  1M", "  " + "x" * 90]
    board = texts(host_board(HEAD, [Block("ok", lines), Block("hung", ["b is hung"])], (80, 24)))
    assert board[1:4] == ["", "b is hung", ""]
    assert board[4].startswith("a is ok: 38.5")
    assert board[5].endswith("users 3")
    assert board[6:] == ["  shares 1", "", "  TOP USERS  1M", "  " + "x" * 75 + "..."]


def test_pools_without_room_are_counted() -> None:
    board = texts(host_board(HEAD, [Block("ok", ["a"]), Block("ok", ["b"]), Block("down", ["c"])], (80, 4)))
    assert board[1:] == ["", "c", "2 more healthy pools"]


# Text


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abcdefg..."),
        ("abcdefghijk", 3, "abc"),
        ("abc", 0, ""),
        ("挖矿挖矿挖矿", 8, "挖矿..."),
        ("挖矿挖矿", 3, "挖"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
        ("\x1b[2J", 20, "\\x1b[2J"),
    ],
)
def test_text_is_cut_to_columns(text: str, most: int, shown: str) -> None:
    assert cut(text, most) == shown
    assert width(shown) <= most
