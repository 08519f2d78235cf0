# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One visit at a time: those who ask the same share an answer, and nothing that is in the way keeps anyone from one."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _answer_cache, _discovery, _memory
from ansible_collections.ckpool.fleet.plugins.module_utils._answer_cache import shared
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.gather import Options
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import start_ticks
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool

from tests.support import DEADLINE, ROOT, Simulated, wait_until

POOL = Instance("/tmp/x/ckpool", "ckpool", pid=4242, start_ticks=77)
LONG = 600.0  #: seconds that an answer may be old, where it shall be shared however busy the machine is
THREADS = 20
Given = t.Tuple[t.Dict[str, t.Any], bool]


@pytest.fixture(autouse=True)
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The memory of a user who has none yet."""
    place = home / "memory"
    monkeypatch.setattr(_memory, "folder", lambda: str(place))
    return place


class Source:
    """Something to ask, which counts how often it was, and by how many at once.

    :arg together: it answers nobody before it was asked by so many at once.
    """

    def __init__(self, seconds: float = 0.0, together: int = 1) -> None:
        self.seconds, self.asked, self.now, self.most = seconds, 0, 0, 0
        self._together, self._lock = together, threading.Lock()

    def __call__(self) -> t.Dict[str, t.Any]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        wait_until(lambda: self.most >= self._together)
        time.sleep(self.seconds)
        with self._lock:
            self.asked += 1
            self.now -= 1
            return {"number": self.asked, "name": "caf\udce9", "none": None}


def at_once(count: int, ask: t.Callable[[int], Given]) -> t.List[Given]:
    """The answers to several that ask at the same moment."""
    given: t.List[t.Optional[Given]] = [None] * count
    gate = threading.Barrier(count)

    def go(number: int) -> None:
        gate.wait(DEADLINE)
        given[number] = ask(number)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * DEADLINE)
    found = [one for one in given if one is not None]
    assert len(found) == count
    return found


def the_only(folder: Path, ending: str) -> Path:
    (path,) = folder.glob(f"asked-*{ending}")
    return path


def test_one_asks_and_the_others_are_given_the_answer() -> None:
    source = Source(0.05)
    given = at_once(THREADS, lambda _number: shared(POOL, ["all"], LONG, source))
    assert source.asked == 1
    assert [answer for answer, _taken in given] == [given[0][0]] * THREADS
    assert given[0][0] == {"number": 1, "name": "caf\udce9", "none": None}
    assert sorted(taken for _answer, taken in given) == [False] + [True] * (THREADS - 1)


def test_other_questions_wait_for_their_turn_and_get_their_own_answers() -> None:
    source = Source(0.02)
    given = at_once(8, lambda number: shared(POOL, [number], LONG, source))
    assert (source.asked, source.most) == (8, 1)
    assert sorted(answer["number"] for answer, _taken in given) == list(range(1, 9))
    assert not any(taken for _answer, taken in given)


@pytest.mark.parametrize("field", ["pid", "start_ticks"])
def test_a_pool_that_was_restarted_is_asked_anew(field: str) -> None:
    source = Source()
    assert shared(POOL, ["all"], LONG, source)[1] is False
    assert shared(POOL, ["all"], LONG, source)[1] is True
    next_one = Instance(**{**POOL.__dict__, field: 5000})
    assert shared(next_one, ["all"], LONG, source) == ({"number": 2, "name": "caf\udce9", "none": None}, False)


def test_another_pool_is_asked_by_itself(folder: Path) -> None:
    """At the same time, too; and a path under another root is another pool."""
    source = Source(together=3)
    pools = [POOL, Instance("/tmp/y", "ckpool", pid=4242, start_ticks=77), Instance(**{**POOL.__dict__, "root": "/r"})]
    assert [taken for _answer, taken in at_once(3, lambda number: shared(pools[number], [], LONG, source))] == [
        False
    ] * 3
    assert source.most == 3 and len(list(folder.glob("asked-*.json"))) == 3


def test_nothing_is_shared_with_who_wants_to_ask(folder: Path) -> None:
    source = Source(together=3)
    assert at_once(3, lambda _number: shared(POOL, [], 0.0, source))[0][1] is False
    assert (source.asked, source.most) == (3, 3)
    assert not folder.exists()


def test_an_answer_that_is_too_old_is_not_given() -> None:
    source = Source()
    shared(POOL, [], LONG, source)
    time.sleep(0.06)
    assert shared(POOL, [], 0.05, source)[1] is False
    assert shared(POOL, [], LONG, source)[1] is True


def test_one_from_the_time_to_come_is_not_given(folder: Path) -> None:
    """The clock started again with the host."""
    source = Source()
    shared(POOL, [], LONG, source)
    path = the_only(folder, ".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "at": time.monotonic() + 1000}))
    assert shared(POOL, [], LONG, source)[1] is False


def test_a_failure_is_not_an_answer() -> None:
    def fails() -> t.Dict[str, t.Any]:
        raise PoolError("no")

    with pytest.raises(PoolError, match="no"):
        shared(POOL, [], LONG, fails)
    assert shared(POOL, [], LONG, Source()) == ({"number": 1, "name": "caf\udce9", "none": None}, False)


def test_nobody_else_may_read_it(folder: Path) -> None:
    shared(POOL, [], LONG, Source())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600] * 2


# What is in the way


def spoil_words(path: Path) -> None:
    """The same question, just asked, and no answer to it."""
    known = json.loads(path.read_text())
    del known["answer"]
    path.write_text(json.dumps({**known, "at": time.monotonic()}))


def spoil_answer(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "at": time.monotonic(), "answer": ["no", "answer"]}))


def spoil_time(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "at": "now"}))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/status")


SPOILERS: t.Dict[str, t.Tuple[str, t.Callable[[Path], object]]] = {
    "empty": (".json", lambda path: path.write_text("")),
    "half": (".json", lambda path: path.write_text(path.read_text()[:40])),
    "garbage": (".json", lambda path: path.write_bytes(b"\xff\0" * 99)),
    "a list": (".json", lambda path: path.write_text("[1, 2]")),
    "deep": (".json", lambda path: path.write_text("[" * 100_000)),
    "no answer": (".json", spoil_words),
    "not an answer": (".json", spoil_answer),
    "no time": (".json", spoil_time),
    "a folder": (".json", a_folder),
    "a pipe": (".json", a_pipe),
    "a link": (".json", a_link),
    "the lock a folder": (".lock", a_folder),
    "the lock a link": (".lock", a_link),
    "the lock a pipe": (".lock", a_pipe),
}


@pytest.mark.parametrize("word", SPOILERS)
def test_broken_files_are_no_obstacle(folder: Path, word: str) -> None:
    source = Source()
    shared(POOL, [], LONG, source)
    ending, spoil = SPOILERS[word]
    spoil(the_only(folder, ending))
    start = time.monotonic()
    answer, _taken = shared(POOL, [], LONG, source)
    assert answer["name"] == "caf\udce9" and answer["number"] == (2 if ending == ".json" else 1)
    assert time.monotonic() - start < DEADLINE / 2


def foreign(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 4711, 4711)


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def a_link_elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


FOLDERS: t.Dict[str, t.Callable[[Path], object]] = {
    "foreign": foreign,
    "open to all": open_to_all,
    "a link": a_link_elsewhere,
    "a file": lambda folder: folder.write_text(""),
}


@pytest.mark.parametrize("word", FOLDERS)
def test_a_folder_that_is_not_ours_alone_is_not_used(folder: Path, word: str) -> None:
    if word == "foreign" and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    FOLDERS[word](folder)
    source = Source()
    given = at_once(3, lambda _number: shared(POOL, [], LONG, source))
    assert source.asked == 3 and not any(taken for _answer, taken in given)
    assert not folder.is_dir() or not list(folder.iterdir())


def test_without_a_place_for_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "folder", lambda: "/proc/ckpool.fleet")
    assert shared(POOL, [], LONG, Source())[1] is False


def test_a_folder_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As on a file system that was mounted read-only meanwhile."""
    folder.mkdir(mode=0o700)
    real = os.open

    def refuse(path: t.Any, flags: int, *more: t.Any, **how: t.Any) -> int:
        if str(path).startswith(str(folder)) and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *more, **how)

    monkeypatch.setattr(os, "open", refuse)
    source = Source()
    assert [shared(POOL, [], LONG, source)[1] for _turn in range(2)] == [False, False] and source.asked == 2


def test_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: t.Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    source = Source()
    assert [shared(POOL, [], LONG, source)[1] for _turn in range(2)] == [False, True]


# Who holds the lock

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.ckpool.fleet.plugins.module_utils import _answer_cache, _memory
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
_memory.folder = lambda: sys.argv[2]
def ask():
    print("holding", flush=True)
    time.sleep(60)
_answer_cache.shared(Instance("/tmp/x/ckpool", "ckpool", pid=4242, start_ticks=77), [], 1.0, ask)
"""


@pytest.fixture
def holder(folder: Path) -> t.Iterator[subprocess.Popen[str]]:
    """A task that asks, and is not done with that."""
    command = [sys.executable, "-c", HOLDER, str(ROOT / ".collections"), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_one_that_was_killed_is_not_waited_for(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    start = time.monotonic()
    assert shared(POOL, [], LONG, Source())[1] is False
    assert time.monotonic() - start < DEADLINE / 2


def test_those_who_wait_go_on_when_it_is_killed(holder: subprocess.Popen[str]) -> None:
    source = Source()
    start = time.monotonic()
    threading.Timer(0.2, holder.kill).start()
    given = at_once(5, lambda _number: shared(POOL, [], LONG, source))
    assert 0.15 < time.monotonic() - start < DEADLINE / 2
    assert source.asked == 1 and sum(taken for _answer, taken in given) == 4


def test_one_that_is_stopped_is_not_waited_for_forever(
    holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(_answer_cache, "_PATIENCE", 0.3)
    start = time.monotonic()
    assert shared(POOL, [], LONG, Source())[1] is False
    assert 0.25 < time.monotonic() - start < DEADLINE / 2


# On a pool


def visits(daemon: Simulated) -> int:
    """How often it was visited: each visit pings the connector once."""
    return daemon.record().count(("connector", "ping"))


def test_a_pool_that_many_watch_is_visited_about_once_a_second(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    daemon.wait_for_statistics()
    instance = _discovery.find(str(daemon.socket_dir))
    until = time.monotonic() + DEADLINE

    def watch(_number: int) -> Given:
        """As a play that begins again as soon as it is over."""
        while True:  # at least once, also where the others have done it all
            given = shared(instance, [], 1.0, lambda: Pool(instance).gather(Options(["stats", "clients"])).values)
            if visits(daemon) >= 3 or time.monotonic() > until:
                return given

    given = at_once(THREADS, watch)
    assert all(answer["stats"]["users"] == 3 for answer, _taken in given)
    assert any(taken for _answer, taken in given)
    moments = [moment for moment, entry in zip(daemon.times(), daemon.record()) if entry == ("connector", "ping")]
    assert len(moments) >= 3
    assert all(after - before > 0.7 for before, after in zip(moments, moments[1:]))


def test_a_pool_that_hangs_is_asked_for_all_at_once(simulate: t.Callable[..., Simulated]) -> None:
    """Not by one after the other, which would take as many timeouts."""
    daemon = simulate(faults=["hung"])
    instance = _discovery.find(str(daemon.socket_dir))
    at_once(
        6, lambda _number: shared(instance, [], LONG, lambda: Pool(instance, timeout=0.5).gather(Options([])).values)
    )
    assert visits(daemon) == 1


# What is left


def test_nothing_is_left_of_instances_that_are_gone(folder: Path) -> None:
    """Nor of earlier processes in the same directory."""
    source = Source()
    for pid in range(5000, 5020):
        shared(Instance(**{**POOL.__dict__, "pid": pid}), [], LONG, source)
    assert len(list(folder.iterdir())) == 40
    for path in folder.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    own = Instance(**{**POOL.__dict__, "pid": os.getpid(), "start_ticks": start_ticks(os.getpid())})
    shared(own, [], LONG, source)
    assert len(list(folder.iterdir())) == 2


def test_an_answer_too_large_to_keep_is_given_and_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is memory of the host until the next question."""
    monkeypatch.setattr(_answer_cache, "_MOST_BYTES", 1000)
    large = {"number": 1, "text": "x" * 1000}
    assert [shared(POOL, [], LONG, lambda: dict(large))[1] for _turn in range(2)] == [False, False]
    assert not list(folder.glob("*.json*"))
