# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs with anything in them: names in lines come from miners, and bytes from a full disk."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import blocks, clients, events
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Log
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.zone import fixed, from_posix, from_tzif
from hypothesis import example, given
from hypothesis import strategies as st

from ..made import TEXT, check_result, check_serializable

NOW = 1795385500.0
HOUR = 3600.0
MOMENTS = st.sampled_from([0.0, NOW, 4102444800.0, 1e11]) | st.floats(0, 1e10)
GOOD_USER = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
GOOD_HEIGHT = 850001
#: What messages begin with that mean something, and what they go on with.
BEGINNINGS = (
    "Stored local workbase with 0 transactions", "CRITICAL: No bitcoinds active!", "Connected to bitcoind: ",
    "Failed over to bitcoind: ", "Network diff set to ", "Block hash changed to ", "FATAL: ", "CRITICAL ",
    "Failed to get block template from ", "BLOCK ACCEPTED!", "Possible block solve diff ", "Submitting block data!",
    "SUBMIT BLOCK RETURNED: ", "Solved and confirmed block ", "Block solved after ", "Hash for block height ",
    "Authorised client ", "Dropped client ", "Dropped 10 instances for dropall request", "Pool:{", "User ", "Worker ",
    "Listener received request to send reconnect to clients", "ckpool connector starting", "",
)  # fmt: skip
WORDS = st.sampled_from(
    ["1", "850000", "27.3", "1e400", "9" * 400, " !", "!", "}", " worker ", " as user ", " by ", " user ", "10.0.0.7",
     "passthrough:5 subclient:7 ", "alice.rig", "lazily", " with diff 1", "nan", "0" * 64, "O", "BLOCK FOUND"]
)  # fmt: skip
STAMPS = st.sampled_from(
    ["[2026-11-22 22:09:25.734] ", "[2026-11-22 22:09:25.734]", "[1970-01-01 00:00:00.000] ", "[9999-99-99 99:99:99.999] ",
     "[2026-02-30 10:00:00.000] ", "[2026-11-22 22:09:2", "", "[0000-00-00 00:00:00.000] ", "[2026-11-22 22:09:25.xyz] "]
)  # fmt: skip
LINES = st.tuples(STAMPS, st.sampled_from(BEGINNINGS), st.lists(WORDS | TEXT, max_size=5)).map(
    lambda parts: (parts[0] + parts[1] + "".join(parts[2])).encode("utf-8", "surrogatepass")
) | st.binary(max_size=60)
LOGS = st.lists(LINES, max_size=12).map(b"\n".join)


def line(text: str, when: float) -> bytes:
    """One line as the daemon writes it."""
    return f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(when))}.000] {text}\n".encode()


class Written:
    """The log of one example, and perhaps a rotated one."""

    def __init__(self, data: bytes, rotated: t.Optional[bytes] = None, packed: bool = False) -> None:
        self._data, self._rotated, self._packed = data, rotated, packed

    def __enter__(self) -> Log:
        self._folder = Path(tempfile.mkdtemp(prefix="ckf-"))
        path = self._folder / "ckpool.log"
        path.write_bytes(self._data)
        if self._rotated is not None:
            older = self._folder / ("ckpool.log.1.gz" if self._packed else "ckpool.log.1")
            older.write_bytes(gzip.compress(self._rotated) if self._packed else self._rotated)
            os.utime(older, (NOW, NOW))
        os.utime(path, (NOW, NOW))
        return Log(str(path), Files(), zone=fixed(0))

    def __exit__(self, *_args: object) -> None:
        shutil.rmtree(self._folder)


@example(data=b"[2026-11-22 22:09:25.734] Network diff set to 1e400", window=300.0, limit=1 << 20)
@given(data=LOGS, window=st.sampled_from([0.0, 300.0, 1e9]), limit=st.sampled_from([1, 100, 1 << 20]))
def test_events_are_read(data: bytes, window: float, limit: int) -> None:
    with Written(data) as log:
        found = events.events(log, NOW, window, limit)
        check_result(vars(found))
        for text in (*found.last_lines, *events.last_lines(log)):
            check_serializable(text)
            assert "\n" not in text


@given(before=LOGS, after=LOGS)
def test_an_event_is_found_among_others(before: bytes, after: bytes) -> None:
    """Stored work is seen among any other lines; later lines can only make it later."""
    good = line("Stored local workbase with 7 transactions", NOW)
    with Written(before + b"\n" + good + after) as log:
        found = events.events(log, NOW, 300.0)
    assert found.stored_workbase is not None
    assert found.stored_workbase == NOW or b"Stored local workbase" in after


@given(data=LOGS, rotated=st.none() | LOGS, packed=st.booleans(), since=st.sampled_from([0.0, NOW, 1e10]))
def test_blocks_are_read(data: bytes, rotated: t.Optional[bytes], packed: bool, since: float) -> None:
    with Written(data, rotated, packed) as log:
        found = blocks.find_blocks(log, since)
    check_result([block.as_dict() for block in found.blocks])
    check_serializable(found.problems)


@given(before=LOGS, after=LOGS)
def test_a_block_is_found_among_others(before: bytes, after: bytes) -> None:
    when = NOW + 24 * HOUR  # from the stamps of the others, no line of this find can be taken for theirs
    good = b"".join(
        line(text, when)
        for text in (
            "Possible block solve diff 27.325928 !",
            "BLOCK ACCEPTED!",
            f"Solved and confirmed block {GOOD_HEIGHT} by {GOOD_USER}.rig0",
        )
    )
    with Written(before + b"\n" + good + after) as log:
        found = blocks.find_blocks(log, limit=1000)
    assert (GOOD_HEIGHT, f"{GOOD_USER}.rig0", True) in [
        (block.height, block.worker, block.accepted) for block in found.blocks
    ]


@given(data=LOGS, rotated=st.none() | LOGS, start=st.none() | st.just(NOW - HOUR), names=st.lists(TEXT, max_size=2))
def test_clients_are_read(
    data: bytes, rotated: t.Optional[bytes], start: t.Optional[float], names: t.List[str]
) -> None:
    users = [name.encode("utf-8", "replace").decode() for name in names]
    with Written(data, rotated) as log:
        found = clients.find(log, start, ["alice", *users], ["alice.rig"], [1, 850000])
    check_result([{name: getattr(client, name) for name in client.__slots__} for client in found.clients])
    check_serializable(found.problems)


@given(before=LOGS, after=st.lists(STAMPS.map(str.encode) | st.binary(max_size=30), max_size=5).map(b"\n".join))
def test_a_client_is_found_among_others(before: bytes, after: bytes) -> None:
    good = line(f"Authorised client 77 10.0.0.7 worker {GOOD_USER}.rig as user {GOOD_USER}", NOW)
    with Written(before + b"\n" + good + after + b"\n") as log:
        found = clients.find(log, NOW - HOUR, [GOOD_USER])
    assert [(client.client_id, client.address) for client in found.clients] == [(77, "10.0.0.7")]


@given(pieces=st.lists(LINES.map(lambda data: data + b"\n") | st.binary(max_size=20), max_size=8))
def test_what_is_written_later_is_followed(pieces: t.List[bytes]) -> None:
    with Written(line("ckpool connector starting", NOW)) as log:
        found = clients.find(log, NOW - HOUR, ["alice"])
        with clients.Follower(found.end, ["alice"], ["alice.rig"]) as follower:
            for piece in pieces:
                with open(log.path, "ab") as stream:
                    stream.write(piece)
                for event in follower.poll():
                    assert event.kind in ("authorised", "dropped", "dropped_all", "told_to_leave")
            with open(log.path, "ab") as stream:
                stream.write(b"\n" + line("Authorised client 77 10.0.0.7 worker alice.rig as user alice", NOW))
            last = list(follower.poll())[-1]
    assert last.client is not None
    assert last.client.client_id == 77


@given(
    text=TEXT | st.from_regex(r"<?[A-Z+0-9-]{1,6}>?[-+]?[\\d:]{0,9}([A-Z]{3}[\\d:]{0,5}(,[MJ]?[\\d./:]{0,9}){0,2})?"),
    when=MOMENTS,
)
@example(text="EST5EDT,M3.2.0,M11.1.0", when=NOW)
def test_a_zone_in_the_environment_is_one_or_none(text: str, when: float) -> None:
    hold_zone(from_posix(text), when)


@given(head=st.sampled_from([b"", b"TZif", b"TZif2", b"TZif" + bytes(16)]), rest=st.binary(max_size=80), when=MOMENTS)
def test_a_zone_in_a_file_is_one_or_none(head: bytes, rest: bytes, when: float) -> None:
    hold_zone(from_tzif(head + rest, "x"), when)


@given(
    places=st.dictionaries(st.integers(0, 3000), st.integers(0, 255), max_size=4),
    end=st.integers(0, 4000),
    when=MOMENTS,
)
def test_a_damaged_zone_is_one_or_none(places: t.Dict[int, int], end: int, when: float) -> None:
    data = bytearray(made_zone())
    for place, value in places.items():
        data[place % len(data)] = value
    hold_zone(from_tzif(bytes(data[:end]), "x"), when)


def made_zone() -> bytes:
    """A file of a zone with three changes and a rule, as RFC 8536 has it."""
    old = struct.pack(">4s c 15x 6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    times = struct.pack(">3q", 0, 1_000_000_000, 1_700_000_000) + bytes([0, 1, 0])
    types = struct.pack(">lbb", -18000, 0, 0) + struct.pack(">lbb", -14400, 1, 4) + b"EST\0EDT\0"
    new = struct.pack(">4s c 15x 6l", b"TZif", b"2", 0, 0, 0, 3, 2, 8) + times + types
    return old + new + b"\nEST5EDT,M3.2.0,M11.1.0\n"


def hold_zone(zone: t.Any, when: float) -> None:
    """Raise unless a zone that was read gives times near those in question."""
    if zone is None:
        return
    assert abs(zone.offset_at(when)) <= 15 * 24 * HOUR
    assert abs(zone.epoch(int(when)) - when) <= 15 * 24 * HOUR
