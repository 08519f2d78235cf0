# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that draws what all workers of a task tell, and that alone has the terminal meanwhile. No Ansible.

Ansible gives each host a worker process, ends them in any order, and starts more of them later if there are few forks. So
none of them can have the terminal for the whole time. This process outlives the worker that starts it, and ends when no
worker is at work, when the person types q, or when the controller is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import types
import typing as t
import warnings

from ..module_utils._host.terminal import Gone, Line, Terminal
from ..module_utils._host_board import Block, Head, host_board
from ..module_utils._wording import counted, utc_time
from ._board import SILENT, WAITING, fleet_board, old_row, silent_row, waiting_row
from ._report import summary
from ._rows import Row
from ._run import is_child, is_there
from ._screen_files import ScreenFiles
from ._types import Json

QUIT_SIGNAL = signal.SIGUSR1  #: tells a worker that the person has quit
_TICK = 0.1  #: seconds after which to look for news
_REDRAW = (
    1.0  #: seconds after which to draw again even without news, as something else may have written to the terminal
)
_LAST_LINES = 10  #: lines at most that stay on the terminal at the end
_KEYS = b"qQ\x03\x04"  #: q; Ctrl-C and Ctrl-D where they are no signals
_MOST_HANDLES = 65536  #: of which some may be open in a worker
_OLD = 10.0  #: seconds after the last round of a host after which a healthy pool of it no longer counts as healthy
_SLOW = 5.0  #: seconds without an answer after which that is said of a host that was not read yet


class View(t.NamedTuple):
    """What is to be drawn, and where.

    :ivar hosts: all of which something is expected. One alone is shown in detail.
    :ivar forks: how many of them are read at a time; 0 if that is not known.
    :ivar silence: seconds without an answer after which a host counts as silent.
    :ivar interval: seconds between two rounds.
    :ivar terminal: its path.
    :ivar controller: pid of the controller.
    """

    hosts: t.Sequence[str]
    forks: int
    silence: float
    interval: float
    terminal: str
    controller: int
    is_coloured: bool


def start(files: ScreenFiles, view: View) -> None:
    """Let a process draw, unless one does already."""
    try:
        lock = files.lock()
    except OSError:
        return
    if lock is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of a connection plugin
        child = os.fork()
    if child == 0:
        _become_a_process_of_its_own(files, view, lock)
    os.waitpid(child, 0)
    os.close(lock)


def _become_a_process_of_its_own(files: ScreenFiles, view: View, lock: int) -> t.NoReturn:
    """Draw until the end, in a child that no worker waits for."""
    try:
        os.setsid()  # out of reach of the signals of the terminal, and of those that end a worker
        if os.fork() == 0:
            _close_all_but(lock)
            Drawer(files, view).run()
    except BaseException as exc:  # nothing may return into the code of the worker
        files.say_failure(f"{type(exc).__name__}: {exc}")
    finally:
        os._exit(0)


def _close_all_but(lock: int) -> None:
    """Let the pipes and files of the worker go."""
    null = os.open(os.devnull, os.O_RDWR)
    for handle in range(3):
        os.dup2(null, handle)
    os.closerange(3, lock)
    os.closerange(lock + 1, _MOST_HANDLES)


class Drawer:
    """The loop of the process that draws."""

    def __init__(self, files: ScreenFiles, view: View) -> None:
        self._files, self._view = files, view
        self._signum = 0

    def run(self) -> None:
        """Draw until there is nothing left to draw, or somebody ends it."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._on_signal)
        signal.signal(QUIT_SIGNAL, signal.SIG_IGN)
        terminal = Terminal(self._view.terminal, self._view.is_coloured)
        is_quit = False
        try:
            before = self._files.settings()
            self._files.keep_settings(before or terminal.settings())
            terminal.enter(before)
            is_quit = self._draw_until_the_end(terminal)
            terminal.leave(self._last_words())
        except Gone as exc:
            self._files.say_failure(str(exc))
        finally:
            terminal.close()
            self._files.forget_settings()
        if is_quit:
            self._tell_workers()

    def _on_signal(self, signum: int, frame: t.Optional[types.FrameType]) -> None:
        self._signum = signum

    def _draw_until_the_end(self, terminal: Terminal) -> bool:
        """Whether the person has quit."""
        controller = _handle_of(self._view.controller)
        ends = [] if controller is None else [controller]
        drawn: t.Tuple[t.Any, ...] = ()
        due = 0.0
        while not self._is_over():
            entries, size = self._files.entries(), terminal.size()
            seen = (size, [(entry["host"], entry.get("asked"), entry.get("read")) for entry in entries])
            if seen != drawn or time.monotonic() >= due:
                terminal.draw(self._board(entries, size))
                drawn, due = seen, time.monotonic() + _REDRAW
            if set(terminal.keys(_TICK, *ends)) & set(_KEYS):
                self._files.quit()
                return True
        return False

    def _is_over(self) -> bool:
        if self._signum or self._files.is_quit or not is_there(self._view.controller):
            return True
        return not any(is_at_work(entry, self._view.controller) for entry in self._files.entries())

    def _tell_workers(self) -> None:
        """Interrupt what the workers are doing: a call may take as long as a host that hangs."""
        for entry in self._files.entries():
            if is_at_work(entry, self._view.controller):
                with contextlib.suppress(OSError):
                    os.kill(entry["pid"], QUIT_SIGNAL)

    def _board(self, entries: t.Sequence[Json], size: os.terminal_size) -> t.List[Line]:
        hosts, now = set(self._view.hosts), time.monotonic()
        known = {entry["host"]: entry for entry in entries if entry["host"] in hosts}
        head = Head(self._name(), _progress(list(known.values())), utc_time(time.time()))
        if len(self._view.hosts) == 1:
            return host_board(head, self._blocks(known, now), (size.columns, size.lines))
        return fleet_board(head, self._rows(known, now), (size.columns, size.lines))

    def _name(self) -> str:
        return self._view.hosts[0] if len(self._view.hosts) == 1 else counted(len(self._view.hosts), "host")

    def _blocks(self, known: t.Mapping[str, Json], now: float) -> t.List[Block]:
        (host,) = self._view.hosts
        entry = known.get(host) or {}
        blocks = [Block(state, lines) for state, lines in entry.get("blocks") or ()]
        late = self._late(entry, now)
        if late > (_SLOW if not blocks else self._view.silence):
            blocks.insert(0, Block(SILENT, [f"{host} has not answered for {late:.0f} s"]))
        return blocks or [Block(WAITING, [f"reading the pools of {host}"])]

    def _rows(self, known: t.Mapping[str, Json], now: float) -> t.List[Row]:
        rows: t.List[Row] = []
        for host in self._view.hosts:
            entry = known.get(host)
            if entry is None:
                rows.append(waiting_row(host, self._why_waiting()))
                continue
            late = self._late(entry, now)
            text = f"no answer for {late:.0f} s" if late > _SLOW else "is being read"
            found = entry.get("rows") or [waiting_row(host, text)]
            if late > self._view.silence:
                found = [silent_row(row, late) for row in found]
            elif self._is_old(entry, now):
                found = [old_row(row, now - float(entry["read"])) for row in found]
            rows += found
        return rows

    def _late(self, entry: Json, now: float) -> float:
        """Seconds since a host was asked that has not answered yet; 0 if it has."""
        if entry.get("done") or entry.get("asked") is None:
            return 0.0
        return max(now - float(entry["asked"]), 0.0)

    def _is_old(self, entry: Json, now: float) -> bool:
        """Whether a host should have been asked again since, or is no longer asked."""
        wait = self._view.interval + self._view.silence if is_at_work(entry, self._view.controller) else _OLD
        return now - float(entry.get("read") or now) > wait

    def _why_waiting(self) -> str:
        hosts, forks = len(self._view.hosts), self._view.forks
        if 0 < forks < hosts:
            return f"give --forks {hosts} to see it"  # in few words, as a line of a screen has little room
        return "was not asked yet"

    def _last_words(self) -> str:
        """What stays on the terminal: the fleet in one sentence, or the first line of each pool of a host."""
        if not is_there(self._view.controller):
            return ""
        known = [entry for entry in self._files.entries() if entry["host"] in self._view.hosts]
        rows = [row for entry in known for row in entry.get("rows") or ()]
        lines = [block[1][0] for entry in known for block in entry.get("blocks") or ()]
        return "".join(f"{line}\r\n" for line in [*([summary(rows)] if rows else []), *lines[:_LAST_LINES]])


def is_at_work(entry: Json, controller: int) -> bool:
    """Whether the worker of a host has not ended."""
    return not entry.get("done") and is_child(entry["pid"], controller)


def _progress(entries: t.Sequence[Json]) -> str:
    """The round that every host at work has reached."""
    rounds = [entry for entry in entries if not entry.get("done")] or entries
    if not rounds:
        return "round 1"
    return "round {round} of {count}".format(**min(rounds, key=lambda entry: entry["round"]))


def _handle_of(pid: int) -> t.Optional[int]:
    """A handle that can be read once the process has ended; None where there is none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
