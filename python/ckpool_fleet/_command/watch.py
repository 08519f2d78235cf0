# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools of a host on one screen, until a person has seen enough.

Each pool is asked in a thread of its own: one that hangs holds up neither the others nor the keys.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
import typing as t

from ckpool_fleet._errors import BadInput, PoolError
from ckpool_fleet._host.terminal import Gone, Terminal, wants_colour, wants_screen
from ckpool_fleet._host_board import Block, Head, host_board
from ckpool_fleet._metrics import UP_STATES
from ckpool_fleet._monitor import pool_lines, state_of
from ckpool_fleet._pool import Pool
from ckpool_fleet._results import describe, failure, result_of
from ckpool_fleet._text import printable
from ckpool_fleet._wording import counted, utc_time

from .questions import ANSWERED, UNDETERMINED, pool_of, pools_of, summary

if t.TYPE_CHECKING:
    from ckpool_fleet._host_board import Line
    from ckpool_fleet._types import Json

_TICK = 0.2  #: seconds between two looks at what is known
_REDRAW = 1.0  #: seconds after which ages on the screen are new
_SLOW = 3.0  #: seconds after which it is said that an answer is awaited
_QUIT = b"qQ\x04"
_USERS, _BLOCKS, _WITHIN = 5, 3, 3600.0  #: how many are shown, and of users only those of the last hour
_FIND_EVERY = 12  #: looks after which to search for new pools, while all known ones answer
_LAST_LINES = 20  #: pools that are named when the screen is gone
_MOST_KNOWN = 100  #: pools that are looked at: anybody can start and end any number of them
_ORDER: t.Mapping[str, t.Any] = {
    "subsets": ("users", "blocks"),
    "limit": _USERS,
    "active_within": _WITHIN,
    "blocks_limit": _BLOCKS,
}


class NoTerminal(BadInput):
    """There is nothing to show a screen on."""

    reason = "no_terminal"


def watch(options: argparse.Namespace) -> int:
    """Show the pools until q is typed; the exit status.

    :raises NoTerminal: the output is no terminal.
    """
    terminal = Terminal(_own_terminal(), not options.no_color and wants_colour(os.environ))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    looks = Looks(options)
    try:
        terminal.enter()
        looks.start()
        _show(terminal, looks)
        terminal.leave("".join(f"{line}\r\n" for line in looks.last_words()))
    except Gone:
        return UNDETERMINED
    finally:
        looks.stop()
        terminal.close()
    return ANSWERED


def _own_terminal() -> str:
    """The path of the terminal to show the screen on.

    :raises NoTerminal: there is none.
    """
    try:
        path = os.ttyname(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        raise NoTerminal(
            "watch needs a terminal to show its screen on", hint="use summary --all, with --json for a program"
        ) from None
    if not wants_screen(os.environ):
        raise NoTerminal(
            "watch needs a terminal that can show a screen", hint="TERM says that this one cannot; use summary --all"
        )
    return path


def _end(number: int, frame: t.Any) -> t.NoReturn:
    sys.exit(128 + number)


def _show(terminal: Terminal, looks: Looks) -> None:
    """Draw what is known, at once when there is news, until a key ends it."""
    drawn: t.Any = None
    due = 0.0
    while True:
        size, news = terminal.size(), looks.news
        if (size, news) != drawn or time.monotonic() >= due:
            terminal.draw(looks.board(size))
            drawn, due = (size, news), time.monotonic() + _REDRAW
        if set(terminal.keys(_TICK)) & set(_QUIT):
            return


class _Look:
    """What is known of one pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.result: t.Optional[Json] = None
        self.asked: t.Optional[float] = None  #: since when an answer is awaited
        self.is_over = False


class Looks:
    """Looks at the pools of this host, again and again.

    :ivar news: a number that changes when something new is known.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._is_alone = any(value is not None for value in (options.socket_dir, options.name, options.pid))
        self._known: t.Dict[t.Any, _Look] = {}
        self._forgotten = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._why: t.List[str] = []  #: why no pool is found
        self._is_found = False
        self.news = 0

    def start(self) -> None:
        """Begin to look, in threads that end with this process."""
        threading.Thread(target=self._find_again, daemon=True).start()

    def stop(self) -> None:
        """Let no further look begin."""
        self._over.set()

    def board(self, size: os.terminal_size) -> t.List[Line]:
        """The screen of what is known now."""
        with self._lock:
            known = list(self._known.values())
        now = time.monotonic()
        blocks = [self._block(look, now) for look in known] or [self._nothing()]
        if self._forgotten:
            blocks.append(Block("unknown", [f"{counted(self._forgotten, 'pool')} that ended: no longer looked at"]))
        head = Head(os.uname().nodename, f"every {self._options.interval:g} s", utc_time(time.time()))
        return host_board(head, blocks, (size.columns, size.lines))

    def last_words(self) -> t.List[str]:
        """The first line of each pool, the worst first, for a terminal without its screen."""
        with self._lock:
            known = list(self._known.values())
        blocks = [self._block(look, time.monotonic()) for look in known]
        lines = [block.lines[0] for block in sorted(blocks, key=lambda block: block.state == "ok")]
        more = len(lines) - _LAST_LINES
        return [*lines[:_LAST_LINES], *([f"and {counted(more, 'more pool')}"] if more > 0 else [])]

    def _block(self, look: _Look, now: float) -> Block:
        late = 0.0 if look.asked is None else now - look.asked
        waiting = f"no answer for {late:.0f} s"
        if look.result is None:
            name = describe(look.pool.instance)
            return Block("unknown", [f"{name}: {waiting if late > _SLOW else 'is being asked'}"])
        lines = pool_lines(look.result, time.time())
        if late <= max(_SLOW, self._options.interval, 2 * self._options.timeout):
            return Block(state_of(look.result), lines)
        return Block("unknown", [f"{describe(look.pool.instance)}: {waiting}; before that:", *lines])

    def _nothing(self) -> Block:
        if self._why:
            return Block("failed", self._why)
        return Block("down", ["no ckpool runs on this host" if self._is_found else "looking for pools"])

    def _find_again(self) -> None:
        number = 0
        while not self._over.is_set():
            if number % _FIND_EVERY == 0 or self._is_search_due():
                self._find()
            number += 1
            self._over.wait(self._options.interval)

    def _is_search_due(self) -> bool:
        """Whether no pool is known, or one is not up: it may come back as another process."""
        with self._lock:
            results = [look.result for look in self._known.values()]
        return not results or any(result is not None and state_of(result) not in UP_STATES for result in results)

    def _find(self) -> None:
        try:
            found = [pool_of(self._options)] if self._is_alone else pools_of(self._options)
            self._why, self._is_found = [], True
            for pool in found:
                self._take(pool)
            self._forget({_key(pool) for pool in found})
        except PoolError as exc:
            self._why = [printable(str(failure(exc)["msg"]))]
        except Exception as exc:  # pylint: disable=broad-except
            self._why = [printable(f"{type(exc).__name__}: {exc}")]
        self.news += 1

    def _take(self, pool: Pool) -> None:
        """Look at a pool from now on. What was there once stays on the screen, also when it is gone."""
        key = _key(pool)
        with self._lock:
            look = self._known.get(key)
            if look:
                look.pool = pool  # which may be another process by now
                return
            look = self._known[key] = _Look(pool)
        threading.Thread(target=self._look_again, args=(look,), daemon=True).start()

    def _forget(self, found: t.Container[t.Any]) -> None:
        """Make room, if there are too many, by pools that are no longer there: first those of regular users."""
        with self._lock:
            gone = [key for key in self._known if key not in found]
            gone.sort(key=lambda key: not self._known[key].pool.instance.is_of_a_person)
            for key in gone[: max(0, len(self._known) - _MOST_KNOWN)]:
                self._known.pop(key).is_over = True
                self._forgotten += 1

    def _look_again(self, look: _Look) -> None:
        while not (self._over.is_set() or look.is_over):
            look.asked = time.monotonic()
            look.result = result_of(look.pool, lambda pool: summary(pool, **_ORDER))
            look.asked = None
            self.news += 1
            self._over.wait(self._options.interval)


def _key(pool: Pool) -> t.Any:
    """What stays the same when a pool is restarted. Any process can name the directory of another one's pool."""
    instance = pool.instance
    return (instance.root, instance.socket_dir, instance.pid if instance.is_displaced else None)
