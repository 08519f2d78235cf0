# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a log: what counts, what only looks like it, and how little of it is read."""

from __future__ import annotations

import calendar
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import events as log
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Log
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.stamp import Clock
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.zone import UTC

from tests.support import SAMPLES

NOW = 1795385500.0
PIECE = 1024 * 1024
NOISE = "Pool:{'some': 'thing that happens all the time, and says nothing here'}"


def line(text: str, when: float) -> str:
    """One line as the daemon writes it."""
    return f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(when))}.{int(when % 1 * 1000):03d}] {text}\n"


def written(folder: Path, *lines: str) -> str:
    """The path of a log with these lines."""
    path = folder / "ckpool.log"
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def noise(size: int, when: float = NOW - 100) -> str:
    """At least that many bytes of meaningless lines."""
    one = line(NOISE, when)
    return one * (size // len(one) + 1)


def the_log(path: object) -> Log:
    """The log there, in UTC."""
    return Log(str(path), Files(), zone=UTC)


def events(path: str, **more: t.Any) -> t.Any:
    """What the log says, with the last ten minutes as recent."""
    return log.events(the_log(path), NOW, more.pop("window", 600.0), **more)


@pytest.mark.parametrize("build", ["ckpool-0.9.4-2017", "elopool-0.9.9-2025", "ckpool-lhr-1.0.0-2026"])
def test_the_log_of_each_build(build: str) -> None:
    path = SAMPLES / build / "ckpool.log"
    found = events(str(path))
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()

    def last(text: str) -> t.Optional[float]:
        stamps = [entry[1:24] for entry in lines if entry[26:].startswith(text)]
        if not stamps:
            return None
        return calendar.timegm(time.strptime(stamps[-1][:19], "%Y-%m-%d %H:%M:%S")) + float(stamps[-1][19:])

    assert found.stored_workbase == pytest.approx(last("Stored local workbase"))
    assert found.bitcoind_connected == pytest.approx(last("Connected to bitcoind"))
    assert found.bitcoind_down == last("CRITICAL: No bitcoinds active!")
    told = [float(entry.split()[-1]) for entry in lines if entry[26:].startswith("Network diff set to")]
    assert found.network_difficulty == (told[-1] if told else None)
    assert found.last_lines == [entry[:300] for entry in lines[-5:]]


def test_everything_that_is_looked_for(home: Path) -> None:
    path = written(
        home,
        line("Connected to bitcoind: 127.0.0.1:8332", NOW - 500),
        line("Network diff set to 1000.5", NOW - 490),
        line("Network diff set to 2000.5", NOW - 480),
        line("Stored local workbase with 0 transactions", NOW - 60.5),
        line("Stored local workbase with 7 transactions", NOW - 30.25),
        line("CRITICAL: No bitcoinds active!", NOW - 20),
        line("Failed over to bitcoind: 10.0.0.2:8332", NOW - 10),
        line("User x:{}", NOW - 1.5),
    )
    found = events(path)
    assert found.path == path
    assert found.bitcoind_connected == NOW - 500
    assert found.network_difficulty == 2000.5
    assert found.stored_workbase == NOW - 30.25
    assert found.bitcoind_down == NOW - 20
    assert (found.failed_over, found.failed_over_to) == (NOW - 10, "10.0.0.2:8332")
    assert found.last_line == NOW - 1.5
    assert found.errors == {"no_bitcoind": 1}
    assert found.error_line.endswith("] CRITICAL: No bitcoinds active!")


@pytest.mark.parametrize(("reason", "mark"), log.SIGNATURES)
def test_each_signature_counts_at_the_start_of_a_message_and_only_there(home: Path, reason: str, mark: bytes) -> None:
    text = mark.decode()
    assert events(written(home, line(text + " and more", NOW - 1))).errors == {reason: 1}
    for other in (
        f"Authorised client 1 127.0.0.1 worker u.{text} as user u",
        f"Authorised client 1 127.0.0.1 worker u] {text} as user u",
        f"Authorised client 1 127.0.0.1 worker [2026-11-22 22:09:25.734] {text} as user u",
        f" {text}",
    ):
        found = events(written(home, line(other, NOW - 1)))
        assert (found.errors, found.error_line, found.bitcoind_down) == ({}, "", None), other


def test_a_worker_with_the_name_of_an_alarm_raises_none(home: Path) -> None:
    name = "CRITICAL: No bitcoinds active!"
    path = written(
        home,
        line(f"Authorised client 7 10.0.0.9 worker {name} as user {name}", NOW - 5),
        line(f"User {name}:{{}}", NOW - 4),
        line("Failed over to bitcoindish things in a name", NOW - 9000),
    )
    found = events(path)
    assert (found.errors, found.bitcoind_down) == ({}, None)


def test_a_line_that_counts_twice_is_counted_once(home: Path) -> None:
    """CRITICAL is the beginning of more than one signature."""
    found = events(written(home, *[line("CRITICAL: No bitcoinds active!", NOW - age) for age in (20, 15, 10)]))
    assert found.errors == {"no_bitcoind": 3}


def test_only_recent_errors_count(home: Path) -> None:
    path = written(home, *[line("FATAL error", NOW - age) for age in (86400, 601, 599, 1)])
    assert events(path).errors == {"fatal": 2}
    assert events(path).fatal == NOW - 1 and events(path).fatal_line.endswith("FATAL error")
    assert events(path, window=0.5).errors == {}
    assert events(path, window=90000).errors == {"fatal": 4}


@pytest.mark.parametrize(
    "text",
    [
        "CRITICAL: No bitcoinds active!\n",  # no stamp
        "[2026-11-22 22:09:25] CRITICAL: No bitcoinds active!\n",  # a shorter stamp
        "[2026-99-22 22:09:2x.734] CRITICAL: No bitcoinds active!\n",
        "[................... ...] CRITICAL: No bitcoinds active!\n",
        "[] CRITICAL\n] CRITICAL: No bitcoinds active!",
        "",
        "\n\n\n",
        "\0" * 5000,
        "\x00\xff" * 1000 + "] CRITICAL",
    ],
)  # fmt: skip
def test_a_line_without_a_stamp_says_nothing(home: Path, text: str) -> None:
    found = events(written(home, text))
    assert (found.errors, found.bitcoind_down, found.stored_workbase, found.last_line) == ({}, None, None, None)


def test_a_log_that_is_not_text(home: Path) -> None:
    path = home / "ckpool.log"
    path.write_bytes(os.urandom(50_000) + b"\n" + line("Stored local workbase", NOW - 3).encode() + b"\xff\xfe")
    found = events(str(path))
    assert found.stored_workbase == NOW - 3
    assert all(isinstance(entry, str) for entry in found.last_lines)


def test_a_long_line_that_was_split_has_a_stamp_for_each_piece_and_none_is_lost(home: Path) -> None:
    path = written(
        home,
        line('Stratifier stats: {"workbases": ' + "x" * 470, NOW - 9),
        line(', "stxnq": {"count": 0}}', NOW - 9),
        line("Stored local workbase with 0 transactions", NOW - 8),
        line("y" * 510, NOW - 7),
    )
    found = events(path)
    assert (found.stored_workbase, found.last_line, found.errors) == (NOW - 8, NOW - 7, {})
    assert all(len(entry) <= 300 for entry in found.last_lines)


@pytest.mark.parametrize("work_at", [0.0, 0.3, 0.9])
def test_the_last_work_is_found_far_back(home: Path, work_at: float) -> None:
    size = 3 * PIECE
    before = noise(int(size * work_at))
    path = written(home, before, line("Stored local workbase", NOW - 7777), noise(size - len(before)))
    assert events(path, limit=16 * PIECE).stored_workbase == NOW - 7777


def test_a_thread_that_ended_long_ago_is_found_far_back_too(home: Path) -> None:
    fatal = line("FATAL: Failed to epoll_wait in receiver with errno 4", NOW - 9000)
    path = written(home, fatal, noise(2 * PIECE), line("Stored local workbase with 0 transactions", NOW - 5))
    found = events(path, limit=16 * PIECE)
    assert found.fatal == NOW - 9000 and "epoll_wait" in found.fatal_line
    assert (found.stored_workbase, found.errors) == (NOW - 5, {})
    assert events(path, limit=PIECE).fatal is None


def test_the_error_that_is_shown_is_the_last(home: Path) -> None:
    path = written(home, line("CRITICAL: No bitcoinds active!", NOW - 9), line("Failed to fopen x", NOW - 5))
    assert events(path).error_line.endswith("Failed to fopen x")


def test_the_last_work_is_not_looked_for_beyond_the_limit(home: Path) -> None:
    path = written(home, line("Stored local workbase", NOW - 7777), noise(3 * PIECE))
    assert events(path, limit=2 * PIECE).stored_workbase is None
    assert events(path, limit=1000).stored_workbase is None
    assert events(path, limit=0).stored_workbase is None
    assert events(path, limit=16 * PIECE, wants_work=False).stored_workbase is None
    assert events(path, limit=16 * PIECE).stored_workbase == NOW - 7777


@pytest.mark.parametrize("pieces", [1, 2])
def test_the_last_work_is_found_where_two_pieces_meet(home: Path, pieces: int) -> None:
    """The line lies across the border, at each place where that could cut it."""
    work = line("Stored local workbase with 0 transactions", NOW - 60)
    older = line("Stored local workbase with 0 transactions", NOW - 90)
    for cut in (1, 24, 25, 26, 27, 30, len(work) - 1):
        after = "x" * (pieces * PIECE - (len(work) - cut) - 1) + "\n"
        path = written(home, older, noise(2000), work, after)
        assert events(path, limit=16 * PIECE).stored_workbase == NOW - 60, cut


def test_a_huge_log_costs_no_more_than_its_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "ckpool.log"
    with open(path, "wb") as stream:
        stream.truncate(50 * 1024**3)  # without taking room on the disk
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n" + line("FATAL", NOW - 1).encode())
    read: t.List[int] = []
    real = os.pread

    def counting(handle: int, size: int, offset: int) -> bytes:
        read.append(size)
        return real(handle, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    start = time.process_time()
    assert events(str(path), limit=4 * PIECE).errors == {"fatal": 1}
    assert time.process_time() - start < 5
    assert sum(read) <= 4 * PIECE + 4 * 1024
    assert len(read) < 10


def test_many_errors_are_counted_in_time(home: Path) -> None:
    """Every line a hit: no step may be quadratic."""
    lines = [line("CRITICAL: No bitcoinds active!", NOW - 1)] * 18_000
    start = time.process_time()
    assert events(written(home, *lines)).errors == {"no_bitcoind": 18_000}
    assert time.process_time() - start < 5


def test_the_log_of_a_run_before_is_told_by_its_times(home: Path) -> None:
    """It is for the verdict to compare them with the age of the process."""
    path = written(home, line("Stored local workbase", NOW - 5000), line("ckpool stratifier starting", NOW - 5))
    found = events(path)
    assert (found.stored_workbase, found.last_line) == (NOW - 5000, NOW - 5)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"[", b"[2026", b"2026-11-22 22:09:25.734] x", b"(2026-11-22 22:09:25.734] x",
        b"[2026/11/22 22:09:25.734] x", b"[9999999-11-22 22:09:25] ", b"[\xff\xff\xff\xff-11-22 22:09:25.734] x",
        b"[2026-11-22T22:09:25.734] x", b"[2026-1a-22 22:09:25.734] x",
    ],
)  # fmt: skip
def test_what_is_no_stamp(text: bytes) -> None:
    assert Clock(UTC).stamp(text) is None


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe"])
def test_a_log_that_is_none(home: Path, kind: str) -> None:
    path = home / "ckpool.log"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)  # a reader that opens it waits for a writer
    with pytest.raises(Unreadable) as caught:
        events(str(path))
    assert (caught.value.phase, caught.value.path) == ("read", str(path))
    assert log.last_lines(the_log(path)) == []


def test_the_last_lines(home: Path) -> None:
    path = written(home, *[f"line {number}\n" for number in range(10_000)])
    assert log.last_lines(the_log(path)) == [f"line {number}" for number in range(9995, 10_000)]
    assert log.last_lines(the_log(path), 1) == ["line 9999"]
    assert log.last_lines(the_log(written(home, "é" * 9000))) != []


ROTATED_FAULTS = [
    ("FATAL: Failed to epoll_wait in receiver", "fatal"),
    ("Stored local workbase with 0 transactions", "stored_workbase"),
    ("Failed over to bitcoind: 10.0.0.2:8332", "failed_over"),
    ("CRITICAL: No bitcoinds active!", "bitcoind_down"),
]


@pytest.mark.parametrize("size", [0, 1, 2 * PIECE], ids=["just rotated", "a line", "more than the end"])
@pytest.mark.parametrize(("text", "field"), ROTATED_FAULTS)
def test_a_fault_is_not_over_as_the_log_was_rotated(home: Path, text: str, field: str, size: int) -> None:
    """Thrice since: the log of this run goes on in the files that it was renamed to."""
    begins = NOW - 9000
    written(home, line("ckpool stratifier starting", begins), line(text, NOW - 5000))
    (home / "ckpool.log").rename(home / "ckpool.log.2")
    written(home, line(NOISE, NOW - 4000))
    (home / "ckpool.log").rename(home / "ckpool-20261101.log")
    path = written(home, noise(size) if size else "")
    started = Log(path, Files(), start_time=begins - 1, zone=UTC)
    assert getattr(log.events(started, NOW, 600.0, 16 * PIECE), field) == NOW - 5000
    # Of a run before, it says nothing about this one.
    later = Log(path, Files(), start_time=NOW - 4500, zone=UTC)
    os.utime(home / "ckpool.log.2", (NOW - 5000, NOW - 5000))
    assert getattr(log.events(later, NOW, 600.0, 16 * PIECE), field) is None


@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "absent"])
def test_errors_of_the_last_minutes_count_though_the_log_was_rotated_just_now(home: Path, is_there: bool) -> None:
    """For up to a minute, the daemon even writes to the file that was renamed."""
    written(home, line("ckpool stratifier starting", NOW - 900), *[line("CRITICAL: x", NOW - 9)] * 3)
    (home / "ckpool.log").rename(home / "ckpool.log.1")
    if is_there:
        written(home, line("Failed to fopen x", NOW - 1))
    found = log.events(Log(str(home / "ckpool.log"), Files(), start_time=NOW - 901, zone=UTC), NOW, 600.0)
    assert found.errors == ({"critical": 3, "file_failed": 1} if is_there else {"critical": 3})
    assert found.error_line.endswith("fopen x" if is_there else "CRITICAL: x")
    assert found.last_line == NOW - (1 if is_there else 9)


def test_lines_of_a_copy_count_once(home: Path) -> None:
    path = written(home, line("x", NOW - 500), *[line("CRITICAL: x", NOW - 90)] * 3)
    (home / "ckpool.log.1").write_bytes(Path(path).read_bytes())
    assert log.events(Log(path, Files(), start_time=NOW - 9000, zone=UTC), NOW, 600.0).errors == {"critical": 3}


def test_a_failover_is_found_far_back_unless_a_newer_word_ends_it(home: Path) -> None:
    over = line("Failed over to bitcoind: 10.0.0.2:8332", NOW - 9000)
    assert events(written(home, over, noise(3 * PIECE)), limit=16 * PIECE).failed_over == NOW - 9000
    back = line("Connected to bitcoind: 10.0.0.1:8332", NOW - 8000)
    found = events(written(home, over, noise(2 * PIECE), back, noise(2 * PIECE)), limit=16 * PIECE)
    assert (found.failed_over, found.bitcoind_connected) == (None, NOW - 8000)


def test_what_is_packed_is_said(home: Path) -> None:
    path = written(home, line(NOISE, NOW - 9))
    (home / "ckpool.log.1.gz").write_bytes(b"\x1f\x8b")
    found = log.events(Log(path, Files(), start_time=NOW - 9000, zone=UTC), NOW, 600.0)
    assert found.problem == "not read, as compressed: ckpool.log.1.gz"
