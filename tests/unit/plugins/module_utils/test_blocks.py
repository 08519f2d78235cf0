# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks from logs: what each build writes of a find, rotated and packed files, and what only looks like a find."""

from __future__ import annotations

import gzip
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._records import Block
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import blocks
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.blocks import Found
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Log
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.zone import UTC, Zone, from_posix

from tests.support import SAMPLES

NOW = 1795385500.0
PIECE = 1024 * 1024
WORKER = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT.rig0"
HASH = "0000000000000000000" + "1ab" * 15
NOISE = "User bc1qnobody:{'some': 'thing that happens all the time, and says nothing here'}"


def find_blocks(path: str, zone: Zone = UTC, **options: t.Any) -> Found:
    """The blocks of a log and of what it was before."""
    return blocks.find_blocks(Log(path, Files(), zone=zone), **options)


def line(text: str, when: float = NOW) -> str:
    """One line as the daemon writes it."""
    return f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(when))}.{int(when % 1 * 1000):03d}] {text}\n"


def lines(when: float, *texts: str) -> str:
    """Lines that follow each other within milliseconds."""
    return "".join(line(text, when + number / 128) for number, text in enumerate(texts))


def find(when: float, difficulty: str = "27.325928", height: int = 850001, worker: str = WORKER) -> str:
    """A find as builds of 2025 write it."""
    return lines(
        when,
        f"Possible block solve diff {difficulty} !",
        "Submitting block data!",
        "BLOCK ACCEPTED!",
        f"Solved and confirmed block {height} by {worker}",
        f'User {worker.partition(".")[0]}:{{"shares": 1}}',
        f'Worker {worker}:{{"hashrate1m": "0"}}',
        "Block solved after 1234 shares at 56.7% diff",
        f"Submitting possible block solve share diff {difficulty} !",
    )


def noise(size: int, when: float = NOW - 100) -> str:
    """At least that many bytes of meaningless lines."""
    one = line(NOISE, when)
    return one * (size // len(one) + 1)


def written(folder: Path, *texts: str, name: str = "ckpool.log", age: float = 0.0) -> str:
    """The path of the log, after one of its files was written."""
    path = folder / name
    data = "".join(texts).encode("utf-8", "surrogateescape")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    os.utime(path, (NOW - age, NOW - age))
    return str(folder / "ckpool.log")


def found(folder: Path, *texts: str, **options: t.Any) -> t.List[Block]:
    """The blocks of one log."""
    return find_blocks(written(folder, *texts), **options).blocks


def the_only(folder: Path, *texts: str) -> Block:
    """The one block of a log."""
    (block,) = found(folder, *texts)
    return block


def heights(result: Found) -> t.List[t.Optional[int]]:
    """The heights of blocks in their order."""
    return [block.height for block in result.blocks]


# What the builds write


def test_the_log_of_2025() -> None:
    result = find_blocks(str(SAMPLES / "elopool-0.9.9-2025" / "ckpool.log"))
    user = WORKER.partition(".")[0]
    second = Block(1795385399, 850001, None, WORKER, user, 2.371304, 1.0, True, None, False, 1.0, 100.0)
    first = Block(1795385365, 850001, None, WORKER, user, 27.325928, 1.0, True, None, False, 0.0, 0.0)
    assert result.blocks == [second, first]
    assert (result.is_complete, result.problems, int(result.reached or 0)) == (True, {}, 1795385224)


@pytest.mark.parametrize("build", ["ckpool-0.9.4-2017", "ckpool-lhr-1.0.0-2026"])
def test_logs_without_a_block(build: str) -> None:
    result = find_blocks(str(SAMPLES / build / "ckpool.log"))
    assert (result.blocks, result.is_complete, result.problems) == ([], True, {})
    assert result.reached is not None


def test_a_find_of_2017(home: Path) -> None:
    """It has no line about the share behind it, and none about the network."""
    block = the_only(
        home,
        lines(
            NOW,
            "Possible block solve diff 1234567.000000 !",
            "Submitting block data!",
            "BLOCK ACCEPTED!",
            f"Solved and confirmed block 470001 by {WORKER}",
            "Block solved after 900000 shares at 73.1% diff",
        ),
    )
    assert (block.height, block.accepted, block.difficulty, block.network_difficulty) == (470001, True, 1234567.0, None)
    assert (block.shares, block.effort) == (900000.0, 73.1)


def test_a_refused_block(home: Path) -> None:
    block = the_only(
        home,
        lines(
            NOW,
            "Possible stale share block solve diff 99.5 !",
            "Submitting block data!",
            "SUBMIT BLOCK RETURNED: high-hash",
            "Hash for forced possibly stale block, height 850002 confirms block was REJECTED",
            "Submitted, but had block 850002 rejected",
            "Submitting possible block solve share diff 99.5 !",
        ),
    )
    assert (block.accepted, block.reason, block.height, block.stale) == (False, "high-hash", 850002, True)
    assert (block.worker, block.user, block.shares) == (None, None, None)


def test_a_block_that_bitcoind_first_refuses_and_then_has(home: Path) -> None:
    for told in ("duplicate", "inconclusive"):
        block = the_only(
            home,
            lines(
                NOW,
                "Possible block solve diff 99.5 !",
                f"SUBMIT BLOCK RETURNED: {told}",
                "Hash for block height 850002 confirms block was ACCEPTED"
                if told != "duplicate"
                else "BLOCK ACCEPTED!",
                f"Solved and confirmed block 850002 by {WORKER}",
            ),
        )
        assert (block.accepted, block.reason, block.height, block.worker) == (True, None, 850002, WORKER)


def test_a_block_without_a_response(home: Path) -> None:
    block = the_only(
        home,
        lines(
            NOW,
            "Possible block solve diff 99.5 !",
            "SUBMIT BLOCK GOT NO RESPONSE!",
            "Submitted, but had block 7 rejected",
        ),
    )
    assert (block.accepted, block.reason, block.height) == (False, "no response", 7)


def test_a_block_of_which_bitcoind_said_nothing_that_could_be_read(home: Path) -> None:
    said = "Failed to get result in json response to submitblock"
    block = the_only(
        home, lines(NOW, "Possible block solve diff 99.5 !", said, said, "Submitted, but had block 7 rejected")
    )
    assert (block.accepted, block.reason, block.height) == (False, None, 7)


def test_in_proxy_mode_nobody_tells_what_came_of_it(home: Path) -> None:
    share = "Submitting possible block solve share diff 99.5 !"
    block = the_only(home, lines(NOW, "Possible block solve diff 99.5 !", share))
    assert (block.accepted, block.difficulty, block.height, block.worker) == (None, 99.5, None, None)
    own = find(NOW + 30, "200.0", 9)
    mine, theirs = found(home, lines(NOW, "Possible block solve diff 99.5 !", share), own)
    assert (mine.height, mine.accepted, theirs.accepted, theirs.difficulty) == (9, True, None, 99.5)


def test_blocks_of_nodes_and_remote_servers(home: Path) -> None:
    upstream = lines(
        NOW, "Possible upstream block solve diff 5.5 !", "BLOCK ACCEPTED!", "Solved and confirmed block!",
        "Block solved after 3 shares at 1.0% diff",
    )  # fmt: skip
    remote = lines(
        NOW + 300, "Possible remote block solve diff 6.5 !", "Submitting block data!", "BLOCK ACCEPTED!",
        "Block solved after 3 shares at 1.0% diff", f"Block 77 solved by {WORKER} @ far away!",
    )  # fmt: skip
    second, first = found(home, upstream, remote)
    assert (first.difficulty, first.accepted, first.height, first.worker) == (5.5, True, None, None)
    assert (second.difficulty, second.accepted, second.height, second.worker) == (6.5, True, 77, WORKER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (None, None, None, None)),
        ("!", (None, None, None, None)),
        (f" height 850003 hash {HASH} by alice.rig1", (850003, HASH, "alice.rig1", None)),
        (f": height=850003, diff=12.5, worker: alice_rig1, {HASH}", (850003, HASH, "alice_rig1", 12.5)),
        (" in the 3rd attempt", (None, None, None, None)),
        (" block 850004", (850004, None, None, None)),
    ],
)
def test_what_the_guide_looks_for(home: Path, text: str, expected: t.Tuple[t.Any, ...]) -> None:
    block = the_only(home, line("BLOCK FOUND" + text))
    assert (block.height, block.hash, block.worker, block.difficulty) == expected
    assert block.accepted is None and block.user == ("alice" if block.worker else None)


@pytest.mark.parametrize("first", [True, False])
def test_what_the_guide_looks_for_belongs_to_the_lines_around_it(home: Path, first: bool) -> None:
    told = line("BLOCK FOUND height 850001", NOW - 0.5 if first else NOW + 0.5)
    block = the_only(home, told + find(NOW) if first else find(NOW) + told)
    assert (block.height, block.accepted, block.difficulty) == (850001, True, 27.325928)


def test_two_finds_at_once_are_told_apart(home: Path) -> None:
    mixed = lines(
        NOW,
        "Possible block solve diff 11.0 !",
        "Submitting block data!",
        "Possible block solve diff 22.0 !",
        "Submitting block data!",
        "BLOCK ACCEPTED!",
        "Solved and confirmed block 5 by alice.a",
        "Block solved after 1 shares at 1.0% diff",
        "Submitting possible block solve share diff 11.0 !",
        "SUBMIT BLOCK RETURNED: inconclusive",
        "Submitted, but had block 5 rejected",
        "Submitting possible block solve share diff 22.0 !",
    )
    second, first = found(home, mixed)
    assert (first.difficulty, first.accepted, first.worker, first.effort) == (11.0, True, "alice.a", 1.0)
    assert (second.difficulty, second.accepted, second.reason, second.worker) == (22.0, False, "inconclusive", None)


@pytest.mark.parametrize("kept", range(1, 8))
def test_a_find_of_which_the_log_has_only_the_end(home: Path, kept: int) -> None:
    rest = find(NOW).splitlines(keepends=True)[kept:]
    block = the_only(home, *rest)
    assert block.difficulty == 27.325928  # the share is told of once more
    assert block.accepted is (True if kept < 7 else None)
    assert block.height == (850001 if kept < 4 else None)


def test_the_networks_difficulty_is_that_of_the_time(home: Path) -> None:
    text = (
        find(NOW - 900, height=1) + line("Network diff set to 100.5", NOW - 800) + find(NOW - 700, height=2)
        + noise(3 * PIECE, NOW - 650) + find(NOW - 600, height=3)
        + line("Network diff set to 200.5", NOW - 500) + find(NOW - 400, height=4)
        + line("Authorised client 1 x worker x] Network diff set to 7.0", NOW - 300) + find(NOW - 200, height=5)
    )  # fmt: skip
    known = {block.height: block.network_difficulty for block in found(home, text)}
    assert known == {1: None, 2: 100.5, 3: 100.5, 4: 200.5, 5: None}
    written(home, "", name="ckpool.log")
    packed = find_blocks(written(home, text, name="ckpool.log.1.gz", age=10))
    assert {block.height: block.network_difficulty for block in packed.blocks if block.height != 3} == {
        1: None, 2: 100.5, 4: 200.5, 5: None,
    }  # fmt: skip


# What only looks like it


@pytest.mark.parametrize(
    "text",
    [
        "Authorised client 1 127.0.0.1 worker u.BLOCK ACCEPTED! as user u",
        "Authorised client 1 127.0.0.1 worker u] BLOCK ACCEPTED!",
        "Dropped client 1 127.0.0.1 user u worker [2026-11-22 22:09:25.734] BLOCK ACCEPTED!",
        "BLOCK ACCEPTED! or so",
        " BLOCK ACCEPTED!",
        "BLOCK FOUNDRY joined",
        "Possible block solve diff much !",
        "Possible block solve diff nan !",
        "Possible block solve diff 1" + "0" * 400 + " !",
        "Possible block solve diff 5.0",
        "Block hash changed to " + HASH + "!",
        "Block solved after lunch",
        "User BLOCK!:{}",
    ],
)
def test_lines_that_are_none(home: Path, text: str) -> None:
    assert found(home, line(text), line("Solved by nobody!")) == []


@pytest.mark.parametrize(
    "text",
    [
        "BLOCK ACCEPTED!\n",
        "[2026-11-22 22:09:25] BLOCK ACCEPTED!\n",
        "[2026-99-22 22:09:2x.734] BLOCK ACCEPTED!\n",
        "x[2026-11-22 22:09:25.734] BLOCK ACCEPTED!\n",
        "[2026-11-22 22:09:25.734] BLOCK ACCEPTED!",  # it is still being written
        "[] BLOCK ACCEPTED!\n",
        "\0" * 5000 + "!O",
        "!O" * 5000,
        "\n!\nO\n",
        "BLOCK" * 5000,
        "",
    ],
)
def test_lines_without_a_stamp_or_an_end(home: Path, text: str) -> None:
    assert found(home, text) == []


def test_what_a_long_line_was_cut_into_says_nothing(home: Path) -> None:
    """A miner can choose a name of which the cut leaves just what begins a line."""
    long = line('User u:{"worker": [' + "x" * 491, NOW)
    assert len(long) == 26 + 510 + 1
    forged = line(f'Solved and confirmed block 1 by {WORKER}", "hashrate1m": "0"}}', NOW)
    assert found(home, find(NOW - 900) + long + forged)[0].time == int(NOW - 900)
    assert len(found(home, find(NOW - 900) + long + forged)) == 1
    assert len(found(home, long + lines(NOW + 1, "BLOCK ACCEPTED!"))) == 1


def test_names_are_taken_as_they_are(home: Path) -> None:
    for name in ("a by b.c", "é.ü", "x!", "BLOCK", '"}', "\udce9.x", "_x"):
        block = the_only(home, find(NOW, worker=name))
        assert block.worker == name.replace("\udce9", "\\xe9")
        assert block.accepted is True


# Where pieces meet


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_find_where_two_pieces_meet(home: Path, pieces: int) -> None:
    text = find(NOW - 50)
    for cut in (0, 1, 10, 25, 26, 27, 40, len(text) // 2, len(text) - 40, len(text) - 1, len(text)):
        after = (noise(1000) + "x" * pieces * PIECE)[: pieces * PIECE - (len(text) - cut) - 1] + "\n"
        (block,) = found(home, noise(3000), text, after)
        assert (block.time, block.height, block.effort) == (int(NOW - 50), 850001, 56.7), cut


def test_lines_of_one_find_with_others_between_them(home: Path) -> None:
    """And across the border of two pieces, and of two files."""
    parts = find(NOW - 50).splitlines(keepends=True)
    between = noise(3000, NOW - 49)
    for size in (0, PIECE, PIECE - 8000):
        (block,) = found(home, between.join(parts), noise(size, NOW - 40) if size else "")
        assert (block.time, block.height, block.effort) == (int(NOW - 50), 850001, 56.7)
    for cut in range(1, len(parts)):
        written(home, noise(5000), *parts[:cut], name="ckpool.log.1", age=40)
        (block,) = found(home, *parts[cut:], noise(5000))
        assert (block.time, block.height, block.effort) == (int(NOW - 50), 850001, 56.7), cut


def test_packed_files_are_read_in_pieces_too(home: Path) -> None:
    size = blocks._WINDOW
    text = find(NOW - 50)
    written(home, "")
    for cut in (0, 1, 26, 100, len(text) // 2, len(text) - 1, len(text)):
        before = (noise(size + 2000, NOW - 60))[: size - cut - 1] + "\n"
        result = find_blocks(written(home, before, text, noise(9000), name="ckpool.log.1.gz", age=10))
        assert [(b.time, b.height, b.effort) for b in result.blocks] == [(int(NOW - 50), 850001, 56.7)], cut


# Files


def test_rotated_files_of_every_name_the_newest_first(home: Path) -> None:
    names = [
        "ckpool.log", "ckpool.log.1", "ckpool.log.2.gz", "ckpool.log-20261120", "ckpool.log-20261119.gz",
        "ckpool.log.old", "ckpool.log-20261118-1795385500.gz", "ckpool.log.10",
    ]  # fmt: skip
    for number, name in enumerate(names):
        written(home, find(NOW - number * 1000, height=100 - number), name=name, age=number * 1000)
    for other in ("ckpool.log.txt", "ckpool.log_dir", "other.log", "ckpool.log.1.orig", "xckpool.log.1", "ckpool.log~"):
        written(home, find(NOW, height=1), name=other)
    (home / "ckpool.log.2").mkdir()
    result = find_blocks(str(home / "ckpool.log"))
    assert heights(result) == [100 - number for number in range(len(names))]
    assert list(result.problems) == ["ckpool.log.2"] and "not a regular file" in result.problems["ckpool.log.2"]


def test_only_what_is_needed_is_opened(home: Path) -> None:
    for number, name in enumerate(["ckpool.log", "ckpool.log.1.gz", "ckpool.log.2.gz"]):
        begin = line("ckpool starting", NOW - number * 86400 - 70000)
        written(home, begin, find(NOW - number * 86400, height=100 - number), name=name, age=number * 86400)
    (home / "ckpool.log.2.gz").write_bytes(b"nobody looks")
    os.utime(home / "ckpool.log.2.gz", (NOW - 3 * 86400,) * 2)
    path = str(home / "ckpool.log")
    for limit in (1, 2):
        few = find_blocks(path, limit=limit)
        assert (heights(few), few.problems, few.is_complete) == ([100, 99][:limit], {}, False)
    recent = find_blocks(path, since=NOW - 86400 - 100)
    assert (heights(recent), recent.problems, recent.is_complete) == ([100, 99], {}, True)
    whole = find_blocks(path)
    assert heights(whole) == [100, 99] and not whole.is_complete
    assert "ckpool.log.2.gz" in whole.problems


def test_since_is_exact(home: Path) -> None:
    path = written(home, *[find(NOW - age, height=age) for age in (5000, 3601, 3600, 120, 60)])
    assert heights(find_blocks(path, since=NOW - 3600)) == [60, 120, 3600]
    assert heights(find_blocks(path, since=NOW + 1)) == []


def test_since_ends_the_reading(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(
        home, find(NOW - 90000), noise(9 * PIECE, NOW - 80000), noise(2 * PIECE, NOW - 90), find(NOW - 10, height=2)
    )
    read: t.List[int] = []
    real = os.preadv

    def counting(handle: int, buffers: t.Sequence[t.Any], offset: int) -> int:
        read.append(real(handle, buffers, offset))
        return read[-1]

    monkeypatch.setattr(os, "preadv", counting)
    assert heights(find_blocks(path, since=NOW - 3600)) == [2]
    assert len(read) <= 4
    del read[:]
    assert heights(find_blocks(path, limit=1)) == [2]
    assert len(read) == 1


def test_the_limit_of_what_is_read(home: Path) -> None:
    path = written(home, find(NOW - 900, height=1), noise(3 * PIECE), find(NOW - 10, height=2))
    result = find_blocks(path, log_limit=PIECE)
    assert (heights(result), result.is_complete) == ([2], False)
    assert "log_limit" in result.problems["ckpool.log"]
    assert heights(find_blocks(path, log_limit=100)) == [None]  # the last line tells of a share only
    assert heights(find_blocks(path, log_limit=1)) == []
    assert heights(find_blocks(path)) == [2, 1]
    written(home, find(NOW - 990, height=3) + noise(3 * PIECE), name="ckpool.log.1.gz", age=800)
    result = find_blocks(path, log_limit=5 * PIECE)
    assert (heights(result), result.is_complete, list(result.problems)) == ([2, 1, 3], False, ["ckpool.log.1.gz"])


def test_a_packed_file_that_is_cut_off_or_none(home: Path) -> None:
    path = written(home, find(NOW - 10, height=2))
    text = find(NOW - 900, height=1) + noise(4 * PIECE)
    packed = gzip.compress(text.encode())
    for data in (packed[:-1000], packed[: len(packed) // 2], b"", b"\x1f\x8b", b"not packed at all", packed + b"rest"):
        (home / "ckpool.log.1.gz").write_bytes(data)
        result = find_blocks(path)
        assert heights(result)[0] == 2
        assert ("ckpool.log.1.gz" in result.problems) == bool(data)
        assert result.is_complete == (not data)
        assert heights(result)[1:] == ([1] if len(data) > len(packed) // 2 else heights(result)[1:])
    small = gzip.compress(find(NOW - 900, height=1).encode() + b"\n" * 9000)
    (home / "ckpool.log.1.gz").write_bytes(small[:-9])
    assert heights(find_blocks(path)) == [2, 1], "what could be unpacked counts"


def test_other_packers_are_named(home: Path) -> None:
    path = written(home, find(NOW))
    for packer in ("xz", "bz2", "zst"):
        (home / f"ckpool.log.1.{packer}").write_bytes(b"x")
    result = find_blocks(path)
    assert set(result.problems) == {"ckpool.log.1.xz", "ckpool.log.1.bz2", "ckpool.log.1.zst"}
    assert (len(result.blocks), result.is_complete) == (1, False)
    for packer in ("xz", "bz2", "zst"):
        os.utime(home / f"ckpool.log.1.{packer}", (NOW - 90000,) * 2)
    result = find_blocks(path, since=NOW - 3600)
    assert (result.problems, len(result.blocks), result.is_complete) == ({}, 1, True)


def test_a_file_with_two_names_is_read_once(home: Path) -> None:
    path = written(home, find(NOW))
    os.link(path, home / "ckpool.log.1")
    (home / "ckpool.log.2").symlink_to("ckpool.log")
    assert len(find_blocks(path).blocks) == 1
    (home / "ckpool.log.3").write_text(find(NOW))  # and a copy tells nothing new
    assert len(find_blocks(path).blocks) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(home: Path) -> None:
    path = written(home, find(NOW))
    written(home, find(NOW - 9), name="ckpool.log.1", age=9)
    os.chmod(home / "ckpool.log.1", 0)
    result = find_blocks(path)
    assert (len(result.blocks), result.is_complete, list(result.problems)) == (1, False, ["ckpool.log.1"])
    os.chmod(path, 0)
    with pytest.raises(Unreadable, match="no log can be read"):
        find_blocks(path)


class Picky(Files):
    """Opens all files but some."""

    refused: t.ClassVar[t.Set[str]] = set()

    def open(self, path: str, folder: t.Optional[int] = None) -> int:
        """A descriptor, or as if it were not permitted."""
        if path in self.refused:
            raise Unreadable(f"not permitted to read {path}", path, reason="not_permitted")
        return super().open(path, folder)


def test_files_that_fail_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(home, find(NOW))
    written(home, find(NOW - 9), name="ckpool.log.1", age=9)
    log = Log(path, Picky(), zone=UTC)
    monkeypatch.setattr(Picky, "refused", {path + ".1"})
    result = blocks.find_blocks(log)
    assert (len(result.blocks), result.is_complete) == (1, False)
    assert "not permitted" in result.problems["ckpool.log.1"]
    monkeypatch.setattr(Picky, "refused", {path})
    result = blocks.find_blocks(log)
    assert (len(result.blocks), result.is_complete, list(result.problems)) == (1, False, ["ckpool.log"])
    monkeypatch.setattr(Picky, "refused", {path, path + ".1"})
    with pytest.raises(Unreadable, match="no log can be read"):
        blocks.find_blocks(log)


@pytest.mark.parametrize("kind", ["no folder", "empty", "folder", "pipe"])
def test_where_there_is_no_log(home: Path, kind: str) -> None:
    path = home / "ckpool.log"
    if kind == "no folder":
        path = home / "nowhere" / "ckpool.log"
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(Unreadable) as caught:
        find_blocks(str(path))
    assert caught.value.phase == "read" and caught.value.hint


def test_an_empty_log_has_no_block(home: Path) -> None:
    result = find_blocks(written(home, ""))
    assert (result.blocks, result.reached, result.is_complete, result.problems) == ([], None, True, {})


# How long it takes, and how much it holds


def test_blocks_without_end(home: Path) -> None:
    """As on a test network: every line a hit."""
    count = 4000
    text = "".join(find(NOW - 3 * (count - number), f"{number}.0", number) for number in range(count))
    path = written(home, text)
    start = time.process_time()
    result = find_blocks(path, limit=count + 1)
    assert heights(result) == list(range(count - 1, -1, -1))
    assert all(block.difficulty == block.height and block.effort == 56.7 for block in result.blocks)
    assert time.process_time() - start < 10
    assert heights(find_blocks(path, limit=3)) == [count - 1, count - 2, count - 3]
    written(home, "")
    packed = find_blocks(written(home, text, name="ckpool.log.1.gz", age=1), limit=5)
    assert heights(packed) == [count - 1, count - 2, count - 3, count - 4, count - 5]


@pytest.mark.parametrize("name", ["BLOCK", "BLOCK FOUND", "!!!!", "OOOO", "] Block ", "] Submitt"])
def test_names_that_look_like_a_mark_cost_little(home: Path, name: str) -> None:
    text = line(f"Authorised client 1 127.0.0.1 worker {name} as user {name}") * 40_000
    start = time.process_time()
    assert len(found(home, find(NOW), text)) == 1
    assert time.process_time() - start < 5


def test_the_hour_that_autumn_repeats(home: Path) -> None:
    berlin = from_posix("CET-1CEST,M3.5.0,M10.5.0/3") or UTC
    second_pass = 1792890000.0
    local = [second_pass - 7200 + 7200, second_pass - 1800 + 7200, second_pass + 1800 + 3600]  # as its clocks show it
    path = written(home, *(find(when, height=number) for number, when in enumerate(local, 1)))
    assert heights(find_blocks(path, berlin)) == [3, 2, 1]
    assert heights(find_blocks(path, berlin, since=second_pass - 60)) == [3, 2]
