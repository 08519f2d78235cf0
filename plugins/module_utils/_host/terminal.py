# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal that shows one screen, and is left as it was found. No Ansible.

It needs a few control sequences, which every terminal knows that has an alternate screen. The module curses takes over the
standard output of its process, which a worker does not have, and needs descriptions of terminals, which many containers do
not have. A library would be a dependency for a few sequences.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
import typing as t

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  #: the alternate screen, no cursor, and no line that continues on the next
_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_REST, _PLAIN = "\x1b[H", "\x1b[2K", "\x1b[J", "\x1b[0m"
_COLOURS = {"red": "\x1b[31m", "green": "\x1b[32m", "yellow": "\x1b[33m", "bright blue": "\x1b[94m"}
_USUAL = os.terminal_size((80, 24))  #: of a terminal that does not know its size
_WRITE_SECONDS = 1.0  #: after which a terminal that takes no output misses the rest of a screen
_INPUT, _LOCAL, _KEYS = 0, 3, 6  #: places in what tcgetattr returns

Line = t.Tuple[str, str]  #: text without control characters, and the name of its colour; empty for none


class Gone(Exception):
    """The terminal is closed."""


class Terminal:
    """The terminal at a path, from the first C(enter) to C(leave).

    :arg is_coloured: whether lines are shown in their colours.
    """

    def __init__(self, path: str, is_coloured: bool) -> None:
        self._is_coloured = is_coloured
        # It must not become the controlling terminal of this process. Nothing may wait for a terminal that has stopped.
        self._handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: t.Optional[t.List[t.Any]] = None
        self._ours: t.Optional[t.List[t.Any]] = None

    def settings(self) -> t.List[t.Any]:
        """How it takes keys, as JSON can have it."""
        *numbers, keys = termios.tcgetattr(self._handle)
        return [*numbers, [ord(key) if isinstance(key, bytes) else key for key in keys]]

    def enter(self, before: t.Optional[t.List[t.Any]] = None) -> None:
        """Show an empty screen, and from now on take each key as it is typed, without showing it.

        Ctrl-C stays the signal that it is. Ctrl-Z and Ctrl-S do nothing: either would leave the terminal as it is now.

        :arg before: the settings to return to, of a process that has entered it and was killed.
        """
        self._before = before or termios.tcgetattr(self._handle)
        ours = termios.tcgetattr(self._handle)
        ours[_INPUT] &= ~(termios.IXON | termios.IXOFF)
        ours[_LOCAL] &= ~(termios.ICANON | termios.ECHO)
        ours[_KEYS][termios.VMIN], ours[_KEYS][termios.VTIME] = 1, 0
        ours[_KEYS][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._handle, termios.TCSANOW, ours)
        self._ours = termios.tcgetattr(self._handle)
        if not before:
            self._write(_ENTER)

    def leave(self, text: str = "") -> None:
        """Show what was there before, and take keys as before. Keys that nobody read are dropped.

        :arg text: lines to show there, with their line breaks.
        """
        if self._before is None:
            return
        with contextlib.suppress(Gone, termios.error):
            # Settings that somebody has changed meanwhile, such as the shell that is back, are not ours to undo.
            if termios.tcgetattr(self._handle) == self._ours:
                termios.tcsetattr(self._handle, termios.TCSANOW, self._before)
                termios.tcflush(self._handle, termios.TCIFLUSH)
            self._write(_LEAVE + text)
        self._before = None

    def close(self) -> None:
        """Leave it, and let it go."""
        self.leave()
        os.close(self._handle)

    def size(self) -> os.terminal_size:
        """Its columns and rows at this moment."""
        try:
            found = os.get_terminal_size(self._handle)
        except OSError as exc:
            raise Gone(str(exc)) from exc
        return found if min(found) > 0 else _USUAL

    def keys(self, seconds: float, *others: int) -> bytes:
        """What was typed, as soon as something was, or after that time.

        :arg others: handles that end the wait as well when they can be read.
        :raises Gone: it is closed.
        """
        ready, _writable, _odd = select.select([self._handle, *others], [], [], seconds)
        if self._handle not in ready:
            return b""
        try:
            typed = os.read(self._handle, 1024)
        except BlockingIOError:
            return b""
        except OSError as exc:
            raise Gone(str(exc)) from exc
        if not typed:
            raise Gone("it is closed")
        return typed

    def draw(self, lines: t.Sequence[Line]) -> None:
        """Replace the whole screen. No line starts a new one, so nothing scrolls.

        At the end the cursor is at the top, where a line of somebody else scrolls nothing either.

        :raises Gone: it is closed.
        """
        rows = self.size().lines
        parts: t.List[str] = []
        for number, (text, colour) in enumerate(lines[:rows], 1):
            shown = coloured(text, colour) if self._is_coloured else text
            parts.append(f"\x1b[{number};1H{_CLEAR_LINE}{shown}")
        if len(lines) < rows:
            parts.append(f"\x1b[{len(lines) + 1};1H{_CLEAR_REST}")
        self._write("".join(parts) + _HOME)

    def _write(self, text: str) -> None:
        data, until = text.encode(errors="replace"), time.monotonic() + _WRITE_SECONDS
        while data and (left := until - time.monotonic()) > 0:
            _readable, writable, _odd = select.select([], [self._handle], [], left)
            if not writable:
                return
            try:
                data = data[os.write(self._handle, data) :]
            except BlockingIOError:
                continue
            except OSError as exc:
                raise Gone(str(exc)) from exc


def coloured(text: str, colour: str) -> str:
    """Text in a colour, if its name is known."""
    sign = _COLOURS.get(colour, "")
    return f"{sign}{text}{_PLAIN}" if sign else text


def is_usable(path: str) -> bool:
    """Whether we may open the terminal at a path, which may belong to another user."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def wants_colour(environment: t.Mapping[str, str]) -> bool:
    """Whether the person wants colours, see L(no-color.org,https://no-color.org)."""
    return not environment.get("NO_COLOR")


def wants_screen(environment: t.Mapping[str, str]) -> bool:
    """Whether the terminal can show one screen after the other. One of unknown kind is taken for one that only prints."""
    return environment.get("TERM", "dumb") not in ("", "dumb", "unknown")
