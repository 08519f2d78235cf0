# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that draws, on a terminal, with workers that are processes of the tests."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible")

from ansible_collections.ckpool.fleet.plugins.plugin_utils import _drawer
from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import Interrupted, WorkerClock
from ansible_collections.ckpool.fleet.plugins.plugin_utils._drawer import View
from ansible_collections.ckpool.fleet.plugins.plugin_utils._fleet_screen import FleetScreen
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._screen_files import ScreenFiles
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from tests.support import wait_for
from tests.support.terminal import Terminal

from .fake_results import check, result

WORKER = "import signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7)); print('x', flush=True); time.sleep(600)"


@pytest.fixture
def terminal() -> t.Iterator[Terminal]:
    with Terminal(80, 24) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> t.Iterator[ScreenFiles]:
    made = ScreenFiles(str(tmp_path / "run"))
    yield made
    made.quit()
    assert made.wait_until_free(30), "a process still draws"


@pytest.fixture
def worker() -> t.Iterator[subprocess.Popen[bytes]]:
    """A child of this process, which is the controller."""
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE) as made:
        assert made.stdout and made.stdout.readline()
        yield made
        made.kill()


def view(terminal: Terminal, *hosts: str, **more: t.Any) -> View:
    usual = {
        "forks": 5,
        "silence": 60.0,
        "interval": 5.0,
        "terminal": terminal.path,
        "controller": os.getpid(),
        "is_coloured": False,
    }
    return View(hosts, **{**usual, **more})


def entry(pid: int, **more: t.Any) -> Json:
    usual = {"pid": pid, "done": False, "round": 2, "count": 12, "asked": None, "read": time.monotonic()}
    return {**usual, **more}


def rows(host: str) -> t.List[Json]:
    return rows_of(host, result("ok", name="main"))


def shown(terminal: Terminal, text: str) -> t.List[str]:
    wait_for(lambda: any(text in row for row in terminal.look().rows), text)
    return terminal.picture.rows


def test_what_workers_tell_is_drawn_until_they_end(
    terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes]
) -> None:
    files.tell("a", entry(worker.pid, rows=rows("a")))
    _drawer.start(files, view(terminal, "a", "b", "c", forks=2))
    seen = shown(terminal, "main")
    assert seen[0].startswith("3 hosts, round 2 of 12, ")
    assert "give --forks 3 to see it" in seen[3]
    assert sum("waiting" in row for row in seen) == 2
    files.tell("b", entry(worker.pid, round=3, rows=rows_of("b", result("hung", check("critical")))))
    assert shown(terminal, "hung")[3].startswith("hung ")
    terminal.resize(40, 5)
    wait_for(lambda: terminal.look().rows[-1] == "2 more pools, 1 not healthy", "the screen in its new size")
    terminal.resize(100, 10)
    shown(terminal, "WORK AGE")
    assert terminal.picture.scrolled == 0
    for host in ("a", "b"):
        files.tell(host, entry(worker.pid, done=True, rows=rows(host)))
    assert files.wait_until_free(30)
    assert terminal.is_as_before
    assert "2 of 2 pools on 2 hosts are healthy" in terminal.picture.rows
    assert not files.is_quit


def test_only_one_process_draws(terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes]) -> None:
    files.tell("a", entry(worker.pid, rows=rows("a")))
    for _start in range(3):
        _drawer.start(files, view(terminal, "a", "b"))
    shown(terminal, "main")
    terminal.type(b"q")
    assert files.wait_until_free(30)
    assert terminal.look() and terminal.text.count("\x1b[?1049h") == 1


@pytest.mark.parametrize("key", [b"q", b"Q", b"\x04"])
def test_a_key_ends_it_and_what_the_workers_do(
    terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes], key: bytes
) -> None:
    files.tell("a", entry(worker.pid, asked=time.monotonic()))
    _drawer.start(files, view(terminal, "a", "b"))
    shown(terminal, "is being read")
    terminal.type(b"xyz" + key)
    assert worker.wait(30) == 7
    assert files.is_quit
    assert files.wait_until_free(30)
    assert terminal.is_as_before


def test_a_host_that_does_not_answer(terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes]) -> None:
    """Its pools do not stay healthy, and it is not left out."""
    long_ago = time.monotonic() - 100
    files.tell("a", entry(worker.pid, asked=long_ago, rows=rows("a")))
    files.tell("b", entry(worker.pid, asked=long_ago, read=None))
    files.tell("c", entry(worker.pid, done=True, read=long_ago, rows=rows("c")))
    _drawer.start(files, view(terminal, "a", "b", "c"))
    seen = shown(terminal, "before that it was ok")
    assert "2 critical, 1 not being read, " in seen[1]
    assert seen[3].startswith("no answer  a ")
    assert seen[4].startswith("no answer  b ")
    assert re.search(r"read 1\d\d s ago, in the", seen[5])


def test_a_worker_that_is_gone_or_cannot_tell_leaves_nothing_healthy(
    terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes]
) -> None:
    files.tell("gone", entry(2**22 + 1, read=time.monotonic() - 20, rows=rows("gone")))
    files.tell("mute", entry(worker.pid, read=time.monotonic() - 100, rows=rows("mute")))
    files.tell("waits", entry(worker.pid, read=time.monotonic() - 50, rows=rows("waits")))
    _drawer.start(files, view(terminal, "gone", "mute", "waits"))
    assert "2 not being read, 1 healthy" in shown(terminal, "main")[1]


def test_one_host_in_detail(terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes]) -> None:
    files.tell("a", entry(worker.pid, asked=time.monotonic() - 100, read=None))
    _drawer.start(files, view(terminal, "a"))
    shown(terminal, "a has not answered for 1")
    files.tell("a", entry(worker.pid, blocks=[("ok", ["main is ok", "  shares"]), ("hung", ["solo is hung"])]))
    assert shown(terminal, "main is ok")[:5] == [
        terminal.picture.rows[0], "", "solo is hung", "", "main is ok",
    ]  # fmt: skip
    files.tell("a", entry(worker.pid, done=True, blocks=[("ok", ["main is ok", "  shares"])]))
    assert files.wait_until_free(30)
    assert terminal.is_as_before and "main is ok" in terminal.picture.rows


def test_a_controller_that_is_killed(terminal: Terminal, files: ScreenFiles) -> None:
    script = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {WORKER!r}]); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout
        pid = next(int(line) for line in controller.stdout if line.strip().isdigit())
        files.tell("a", entry(pid, asked=time.monotonic()))
        _drawer.start(files, view(terminal, "a", "b", controller=controller.pid))
        shown(terminal, "is being read")
        controller.kill()
        controller.wait(30)
        try:
            assert files.wait_until_free(30)
            assert terminal.is_as_before
            assert not any(terminal.picture.rows)
        finally:
            os.kill(pid, signal.SIGKILL)


def target_of(link: Path) -> str:
    """Where a link leads to; empty for one of a process that has ended, or is not ours to look into."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def drawing(files: ScreenFiles) -> t.List[int]:
    """The processes that have the lock."""
    lock = str(Path(files._folder) / "lock")
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found += [
                int(pid)
                for handle in os.listdir(f"/proc/{pid}/fd")
                if target_of(Path("/proc", pid, "fd", handle)) == lock
            ]
    return found


def test_a_process_that_is_killed_while_it_draws(
    terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes]
) -> None:
    """The next one leaves the terminal as the first one has found it, also if it comes for that alone."""
    shows = view(terminal, "a", "b")
    files.tell("b", entry(worker.pid, rows=rows("b")))
    _drawer.start(files, shows)
    shown(terminal, "main")
    for number in range(2):
        (pid,) = drawing(files)
        os.kill(pid, signal.SIGKILL)
        assert files.wait_until_free(30)
        assert not terminal.is_as_before
        files.tell("b", entry(worker.pid, round=3 + number, rows=rows("b")))
        if not number:
            _drawer.start(files, shows)
            shown(terminal, "round 3")
    files.tell("b", entry(worker.pid, done=True, rows=rows("b")))
    screen(files, shows, "a").finish(FakeClock(), is_patient=True)
    assert terminal.is_as_before
    assert files.settings() is None


def test_a_terminal_that_cannot_be_opened_is_said(
    terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes]
) -> None:
    files.tell("a", entry(worker.pid))
    _drawer.start(files, view(terminal, "a")._replace(terminal="/nowhere/tty"))
    assert files.wait_until_free(30)
    assert "/nowhere/tty" in files.failure()


# The part of a worker


def screen(files: ScreenFiles, made: View, host: str) -> FleetScreen:
    part = FleetScreen(files, made, host, 12)
    part.open()
    return part


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process draws."""
    monkeypatch.setattr(_drawer, "start", lambda files, view: None)


def test_a_worker_waits_for_the_others(
    terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes], quiet: None
) -> None:
    part, clock = screen(files, view(terminal, "a", "b"), "a"), FakeClock()
    files.tell("b", entry(worker.pid))
    clock.then = lambda: files.tell("b", entry(worker.pid, done=True))
    part.finish(clock, is_patient=True)
    assert clock.naps == 1


def test_a_worker_does_not_wait_where_its_place_is_needed_or_the_task_has_to_end(
    terminal: Terminal, files: ScreenFiles, worker: subprocess.Popen[bytes], quiet: None
) -> None:
    files.tell("b", entry(worker.pid))
    clock = FakeClock()
    screen(files, view(terminal, "a", "b", "c"), "a").finish(clock, is_patient=True)
    screen(files, view(terminal, "a", "b"), "a").finish(clock, is_patient=False)
    assert clock.naps == 0


def test_a_worker_that_comes_after_the_end_does_nothing(terminal: Terminal, files: ScreenFiles, quiet: None) -> None:
    part = screen(files, view(terminal, "a", "b"), "a")
    part.asking(1)
    part.abandon()
    with pytest.raises(Interrupted) as caught:
        part.asking(2)
    assert caught.value.signum == _drawer.QUIT_SIGNAL


def test_a_quit_signal_that_comes_too_late_ends_nothing(terminal: Terminal, files: ScreenFiles) -> None:
    before = signal.getsignal(_drawer.QUIT_SIGNAL)
    try:
        screen(files, view(terminal, "a", "b"), "a")
        with WorkerClock(_drawer.QUIT_SIGNAL) as clock, pytest.raises(Interrupted), clock.open():
            os.kill(os.getpid(), _drawer.QUIT_SIGNAL)
            clock.sleep(30)
        os.kill(os.getpid(), _drawer.QUIT_SIGNAL)
    finally:
        signal.signal(_drawer.QUIT_SIGNAL, before)


class FakeClock(WorkerClock):
    """A clock that counts its sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.naps = 0
        self.then: t.Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.naps += 1
        self.then()


# Files


def test_a_half_written_or_foreign_file_is_left_out(files: ScreenFiles, tmp_path: Path) -> None:
    files.tell("a\n../b", entry(1))
    (tmp_path / "run" / "host-odd").write_text('{"pid"')
    (tmp_path / "run" / "host-gone.new").write_text("{}")
    assert [found["host"] for found in files.entries()] == ["a\n../b"]
    assert files.entries() == files.entries()


def test_a_folder_that_is_gone_ends_it(tmp_path: Path) -> None:
    assert not ScreenFiles(str(tmp_path / "x")).is_quit
    files = ScreenFiles(str(tmp_path / "y"))
    (tmp_path / "y").rmdir()
    files.tell("a", {})
    assert files.entries() == []
    assert files.is_quit
    assert files.wait_until_free(0.1)
