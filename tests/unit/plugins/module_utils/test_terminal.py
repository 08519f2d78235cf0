# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal that shows one screen, and is left as it was found."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
import typing as t

import pytest

pytest.importorskip("ansible")

from ansible_collections.ckpool.fleet.plugins.module_utils._host import terminal as _terminal
from ansible_collections.ckpool.fleet.plugins.module_utils._host.terminal import Gone, Terminal

from tests.support import DEADLINE
from tests.support import terminal as seen


@pytest.fixture
def outside() -> t.Iterator[seen.Terminal]:
    with seen.Terminal(20, 4) as made:
        yield made


@pytest.fixture
def inside(outside: seen.Terminal) -> t.Iterator[Terminal]:
    made = Terminal(outside.path, is_coloured=True)
    made.enter()
    yield made
    made.close()
    assert termios.tcgetattr(outside.inner) == outside.settings


def test_screens_replace_each_other_and_scroll_nothing(outside: seen.Terminal, inside: Terminal) -> None:
    inside.draw([("a" * 20, "red"), ("b", ""), ("c" * 20, "green"), ("d" * 20, "")])
    assert outside.look().rows == ["a" * 20, "b", "c" * 20, "d" * 20]
    inside.draw([("new", "")])
    picture = outside.look()
    assert picture.rows == ["new", "", "", ""]
    assert picture.scrolled == 0
    assert picture.colours == {"31", "32"}
    assert picture.is_alternate and not picture.is_cursor_shown
    inside.leave("the end\r\n")
    assert outside.is_as_before
    assert outside.picture.rows[0] == "the end"


def test_more_lines_than_rows_are_left_out(outside: seen.Terminal, inside: Terminal) -> None:
    inside.draw([(str(number), "") for number in range(9)])
    assert outside.look().rows == ["0", "1", "2", "3"]


def test_a_line_of_somebody_else_scrolls_nothing(outside: seen.Terminal, inside: Terminal) -> None:
    inside.draw([("a", ""), ("b", ""), ("c", ""), ("d", "")])
    os.write(outside.inner, b"[WARNING]: x\n")
    assert outside.look().scrolled == 0
    inside.draw([("a", ""), ("b", ""), ("c", ""), ("d", "")])
    assert outside.look().rows == ["a", "b", "c", "d"]


def test_without_colours(outside: seen.Terminal) -> None:
    terminal = Terminal(outside.path, is_coloured=False)
    terminal.enter()
    terminal.draw([("a", "red")])
    terminal.close()
    assert outside.look().colours == set()
    assert outside.is_as_before


def test_a_key_is_read_as_it_is_typed_and_not_shown(outside: seen.Terminal, inside: Terminal) -> None:
    assert inside.keys(0.01) == b""
    outside.type(b"q")
    assert inside.keys(30) == b"q"
    outside.type(b"\x13\x1a")  # Ctrl-S and Ctrl-Z
    assert inside.keys(30) == b"\x13\x1a"
    assert "q" not in outside.look().rows


def test_another_handle_ends_the_wait_for_a_key(inside: Terminal) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    assert inside.keys(30, reader) == b""
    os.close(reader)


def test_keys_that_nobody_read_are_dropped(outside: seen.Terminal, inside: Terminal) -> None:
    outside.type(b"rm -rf\n")
    assert select.select([outside.inner], [], [], DEADLINE)[0]  # the kernel brings keys a moment after they are typed
    inside.leave()
    os.set_blocking(outside.inner, False)
    with pytest.raises(BlockingIOError):
        os.read(outside.inner, 100)


def test_settings_that_a_shell_has_changed_meanwhile_stay(outside: seen.Terminal) -> None:
    terminal = Terminal(outside.path, is_coloured=False)
    terminal.enter()
    changed = termios.tcgetattr(outside.inner)
    changed[3] |= termios.ECHO
    termios.tcsetattr(outside.inner, termios.TCSANOW, changed)
    terminal.close()
    assert termios.tcgetattr(outside.inner) == changed
    assert not outside.look().is_alternate


def test_its_size_is_that_of_this_moment(outside: seen.Terminal, inside: Terminal) -> None:
    assert inside.size() == (20, 4)
    outside.resize(100, 30)
    assert inside.size() == (100, 30)
    fcntl.ioctl(outside.inner, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    assert inside.size() == (80, 24)


def test_a_terminal_that_takes_nothing_is_not_waited_for(
    outside: seen.Terminal, inside: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_terminal, "_WRITE_SECONDS", 0.1)
    began = time.monotonic()
    for _screen in range(5):
        inside.draw([("x" * 30000, "")] * 4)
    assert time.monotonic() - began < 20
    outside.look()


def test_a_closed_terminal_is_said() -> None:
    outside = seen.Terminal()
    terminal = Terminal(outside.path, is_coloured=False)
    terminal.enter()
    outside.close()
    with pytest.raises(Gone):
        terminal.keys(30)
    with pytest.raises(Gone):
        terminal.draw([("x", "")])
    terminal.close()


def test_it_is_not_usable(outside: seen.Terminal) -> None:
    assert _terminal.is_usable(outside.path)
    assert not _terminal.is_usable("/nowhere/at/all")


@pytest.mark.parametrize(
    ("environment", "screen", "colour"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "dumb"}, False, True),
        ({"TERM": ""}, False, True),
        ({}, False, True),
        ({"TERM": "screen", "NO_COLOR": "1"}, True, False),
        ({"TERM": "screen", "NO_COLOR": ""}, True, True),
    ],
)
def test_what_a_person_wants(environment: t.Dict[str, str], screen: bool, colour: bool) -> None:
    assert _terminal.wants_screen(environment) is screen
    assert _terminal.wants_colour(environment) is colour
