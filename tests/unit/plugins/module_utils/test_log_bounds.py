# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a log costs that somebody made to cost much: bounds of bytes and of time, and nothing is read again and again."""

from __future__ import annotations

import os
import random
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import blocks, clients, events
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Budget, Log, LogFile
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.zone import UTC

NOW = 1795385500.0
START = NOW - 1000
MIB = 1024 * 1024
NOISE = b"[2026-11-22 22:09:25.734] User bc1qnobody:{'some': 'thing that happens all the time, and says nothing'}\n"
CAME = b"Authorised client 1 10.0.0.1 worker u.x as user u"
_Question = t.Callable[[Log], t.Any]
QUESTIONS: t.Dict[str, _Question] = {
    "clients": lambda log: clients.find(log, START, ["u"]),
    "clients of the last run": lambda log: clients.find(log, None, ["u"]),
    "all clients": lambda log: clients.connected(log, START),
    "blocks": blocks.find_blocks,
    "events": lambda log: events.events(log, NOW, 600, 16 * MIB),
    "last lines": events.last_lines,
}


def line(text: bytes, when: float = NOW - 100) -> bytes:
    """One line as the daemon writes it."""
    return time.strftime("[%Y-%m-%d %H:%M:%S.000] ", time.gmtime(when)).encode() + text + b"\n"


def the_log(home: Path, data: bytes = b"") -> Log:
    """A log with that content, if any is given, in UTC."""
    if data:
        (home / "ckpool.log").write_bytes(data)
    return Log(str(home / "ckpool.log"), Files(), zone=UTC)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> t.List[int]:
    """How much is read, by each call."""
    sizes: t.List[int] = []
    pread, preadv = os.pread, os.preadv

    def counting(handle: int, size: int, offset: int) -> bytes:
        data = pread(handle, size, offset)
        sizes.append(len(data))
        return data

    def counting_too(handle: int, buffers: t.Sequence[t.Any], offset: int) -> int:
        sizes.append(preadv(handle, buffers, offset))
        return sizes[-1]

    monkeypatch.setattr(os, "pread", counting)
    monkeypatch.setattr(os, "preadv", counting_too)
    return sizes


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("where", ["nowhere", "first", "last", "in the middle"])
def test_a_log_of_64_gib_with_nothing_in_it(home: Path, question: str, where: str, read: t.List[int]) -> None:
    size = 64 * 1024**3
    with open(home / "ckpool.log", "wb") as stream:
        stream.truncate(size)
        if where != "nowhere":
            stream.seek({"first": 0, "last": size - 80, "in the middle": size // 2}[where])
            stream.write(b"\n" + line(CAME))
    QUESTIONS[question](the_log(home))
    assert sum(read) < 40 * MIB


def test_what_stands_between_holes_is_found(home: Path) -> None:
    block = line(b"Possible block solve diff 5.5 !") + line(b"Solved and confirmed block 7 by u.x")
    with open(home / "ckpool.log", "wb") as stream:
        stream.write(line(b"ckpool connector starting", START) + line(CAME, START + 1))
        for place in (1024**3, 20 * 1024**3 + 12345):
            stream.seek(place)
            stream.write(b"\n" + line(b"Stored local workbase", NOW - 50) + block)
        stream.truncate(64 * 1024**3)
    log = the_log(home)
    assert [client.client_id for client in clients.find(log, START, ["u"]).clients] == [1]
    assert [found.height for found in blocks.find_blocks(log).blocks] == [7]
    assert events.events(log, NOW, 600, 16 * MIB).stored_workbase == NOW - 50
    assert events.last_lines(log)[-1].endswith("by u.x")


PATTERNS = [
    b"!", b"O", b"\0", b"\xff", b"[", b"BLOCK", b"] BLOCK ", b"] Block ", b"] FATAL", b" as user u", b"] Authorised client ",
    b"] ckpool connector starting", b"x" * 5000 + b"!", b"] CRITICAL", b"] Pool:{\"runtime\"", line(b"")[:-1],
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: repr(pattern[:20]))
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_line_without_an_end_is_read_once_or_twice(
    home: Path, question: str, pattern: bytes, read: t.List[int]
) -> None:
    """And costs no more than a hundred times what ordinary lines of that size do."""
    size = 2 * MIB

    def seconds(data: bytes) -> float:
        log = the_log(home, data)
        start = time.process_time()
        QUESTIONS[question](log)
        return time.process_time() - start

    ordinary = max(min(seconds(NOISE * (size // len(NOISE))) for _attempt in range(2)), 0.002)
    del read[:]
    assert seconds((pattern * (size // len(pattern) + 1))[:size]) < 100 * ordinary + 0.2
    assert sum(read) < 6 * size


@pytest.mark.parametrize(
    "pattern", [b"!\n", b"\n!", b"\n[", b"\n", b"\n] BLOCK ", b" user u\n", b"OOOO\n", line(b"BLOCK")]
)
@pytest.mark.parametrize("question", QUESTIONS)
def test_twice_as_much_costs_about_twice_as_much(home: Path, question: str, pattern: bytes, read: t.List[int]) -> None:
    def cost(size: int) -> int:
        del read[:]
        QUESTIONS[question](the_log(home, pattern * (size // len(pattern))))
        return sum(read)

    assert cost(MIB) <= 2.5 * cost(MIB // 2) + MIB


@pytest.mark.parametrize("question", ["clients", "all clients", "blocks", "events"])
@pytest.mark.parametrize("bound", ["bytes", "seconds"])
def test_a_bound_that_is_reached_is_said(home: Path, question: str, bound: str) -> None:
    data = line(b"ckpool connector starting", START) + line(CAME, START + 1) + NOISE * (4 * MIB // len(NOISE))
    log = the_log(home, data)
    size, seconds = (MIB, 99.0) if bound == "bytes" else (64 * MIB, 0.0)
    if question == "blocks":
        result = blocks.find_blocks(log, log_limit=size, seconds=seconds)
        assert not result.is_complete
        said = " ".join(result.problems.values())
    elif question == "events":
        if bound == "bytes":
            return  # it reads the end only, as it says
        said = events.events(log, NOW, 600, size, seconds=seconds).problem
    else:
        budget = Budget(size, seconds)
        found = clients.find(log, START, ["u"], budget=budget) if question == "clients" else None
        found = found or clients.connected(log, START, budget=budget)
        assert not found.reaches_start
        said = " ".join(found.problems)
    assert "read in part" in said and ("log_limit" if bound == "bytes" else "longer than") in said


def test_a_log_that_grows_by_64_gib_while_it_is_followed(home: Path, read: t.List[int]) -> None:
    log = the_log(home, line(b"ckpool connector starting", START) + line(CAME, START + 1))
    with clients.Follower(clients.find(log, START, ["u"]).end, ["u"]) as follower:
        os.truncate(log.path, 64 * 1024**3)
        with open(log.path, "ab") as stream:
            stream.write(b"\n" + line(CAME))
        del read[:]
        assert [event.kind for event in follower.poll()] == ["authorised"]
        assert sum(read) < 4 * MIB


def test_many_marks_of_which_none_begins_a_find_are_not_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most: t.List[int] = []
    real = blocks._Search.close

    def close(search: t.Any, oldest: t.Optional[float]) -> None:
        real(search, oldest)
        most.append(len(search._pending))

    monkeypatch.setattr(blocks._Search, "close", close)
    found = blocks.find_blocks(the_log(home, line(b"BLOCK ACCEPTED!") * (2 * MIB // 42)))
    assert found.blocks and max(most) < 10_000


@pytest.mark.parametrize("seed", range(40))
def test_any_bytes_at_all(home: Path, seed: int) -> None:
    chance = random.Random(seed)
    pieces = [
        NOISE, line(CAME), line(b"Dropped client 1 10.0.0.1 user u worker u.x "), line(b"BLOCK ACCEPTED!"), b"\n", b"\0" * 99,
        line(b"Possible block solve diff 1.5 !"), b"\xff\xfe", b"\r", b"[", b"] ", line(b"Network diff set to 1e999"), line(b"\xe2\x80\xae"),
        line(b"Network diff set to nan"), line(b"Stored local workbase"), line(b"FATAL \x1b[2J\xff"), line(b"x" * 600),
        line(b"BLOCK FOUND height 5 by \x1b\xff"), line(b"SUBMIT BLOCK RETURNED: \x1b]0;x\x07"), bytes(range(256)),
        line(b"Failed over to bitcoind: \x1b[0m\xff"), line(b"ckpool connector starting"), line(b'Pool:{"runtime": 1'),
    ]  # fmt: skip
    data = b"".join(
        piece[chance.randrange(len(piece)) :] if chance.random() < 0.2 else piece
        for piece in chance.choices(pieces, k=chance.randrange(1, 600))
    )
    (home / "ckpool.log.1").write_bytes(data[: len(data) // 3])
    log = the_log(home, data[len(data) // 3 :] or b"x")
    for question in QUESTIONS.values():
        try:
            question(log)
        except Unreadable:
            pass
    found = events.events(log, NOW, 600)
    for text in (*found.last_lines, found.fatal_line, found.error_line, found.failed_over_to, *events.last_lines(log)):
        assert text.isprintable()
        text.encode("utf-8")
    for block in blocks.find_blocks(log).blocks:
        assert (block.reason or "").isprintable()
        (block.worker or "").encode("utf-8")


@pytest.mark.parametrize("seed", range(20))
def test_places_by_time_in_a_file_with_holes(home: Path, seed: int) -> None:
    """Like a naive reader: the first line of that time or later."""
    chance = random.Random(seed)
    places: t.List[t.Tuple[int, float]] = []
    with open(home / "ckpool.log", "wb") as stream:
        when = NOW
        for _line in range(chance.randrange(1, 400)):
            if chance.random() < 0.05:
                stream.seek(chance.choice((5, 70_000, 3_000_000, 10**9)), os.SEEK_CUR)
                stream.write(b"\n")
            if chance.random() < 0.1:
                stream.write(b"x" * chance.choice((1, 40, 9000, 70_000)) + b"\n")
            when += chance.choice((0, 1, 3, 900))
            places.append((stream.tell(), when))
            stream.write(line(b"x" * chance.choice((1, 50, 400)), when))
    log = the_log(home)
    with LogFile(log.path, os.open(log.path, os.O_RDONLY), UTC) as file:
        budget = Budget()
        end = file.whole_lines(budget)
        assert end == file.size and file.first_time(budget) == places[0][1]
        for wanted in (NOW, NOW + 1, when, when + 1, chance.uniform(NOW, when)):
            expected = next((place for place, time_of in places if time_of >= wanted), None)
            found = file.first_at(wanted, end, budget)
            assert found == expected if expected is not None else found > places[-1][0]
