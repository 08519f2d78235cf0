# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stamps of a log are in the daemon's time zone: by its environment, its root, or the time of the last line."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import clients, events
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Log, log_of
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.stamp import Clock, zone_of
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.zone import UTC, Zone, from_posix, from_tzif

NEW_YORK = "EST5EDT,M3.2.0,M11.1.0"
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
RULES = [
    "UTC0", BERLIN, NEW_YORK, "<+0530>-5:30", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "IST-2IDT,M3.4.4/26,M10.5.0",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "XXX3YYY,J60/0,J300", "XXX3YYY,59,300/5:30:01", "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "XXX+4:30:15YYY-1:02:03,M1.2.1/0,M12.2.6/167", "GMT0IST,J1/0,J365/25",
]  # fmt: skip


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[[str], None]]:
    """Let the C library use a zone, for the time of a test."""

    def choose(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield choose
    monkeypatch.undo()
    time.tzset()


@contextlib.contextmanager
def process(**environment: str) -> t.Iterator[int]:
    """The pid of a process with this environment."""
    command = [sys.executable, "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdout and running.stdin
        running.stdout.readline()
        yield running.pid
        running.stdin.close()


def local(zone: Zone, when: float) -> int:
    """What the clocks of a zone show, as if it were UTC."""
    return int(when) + zone.offset_at(when)


def line(text: str, when: float, zone: Zone) -> str:
    """One line as a daemon in that zone writes it."""
    shown = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(local(zone, when)))
    return f"[{shown}.{int(when % 1 * 1000):03d}] {text}\n"


def rule(text: str) -> Zone:
    """A zone by its rule."""
    zone = from_posix(text)
    assert zone is not None
    return zone


def tzif(
    offset: int, transitions: t.Sequence[t.Tuple[int, int]] = (), footer: str = "", version: bytes = b"2"
) -> bytes:
    """The content of a file of a zone, of which the part of the first version says nothing."""
    offsets = sorted({offset, *(east for _when, east in transitions)}, key=lambda east: east != offset)
    kinds = b"".join(struct.pack(">iBB", east, 0, 0) for east in offsets)

    def part(width: str, rows: t.Sequence[t.Tuple[int, int]]) -> bytes:
        counts = (0, 0, 0, len(rows), len(offsets), 4)
        times = struct.pack(f">{len(rows)}{width}", *(when for when, _east in rows))
        indexes = bytes(offsets.index(east) for _when, east in rows)
        return struct.pack(">4sc15x6I", b"TZif", version, *counts) + times + indexes + kinds + b"XXX\0"

    if version < b"2":
        return part("i", transitions)
    return part("i", ()) + part("q", transitions) + b"\n" + footer.encode() + b"\n"


def root_with(home: Path, *names: str, data: bytes) -> Files:
    """A file system with the file of a zone in it."""
    for name in names:
        path = home / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Files(str(home / "root"))


# Zones


@pytest.mark.parametrize("text", RULES)
def test_rules_are_what_the_c_library_makes_of_them(library: t.Callable[[str], None], text: str) -> None:
    library(text)
    zone, chance = rule(text), random.Random(text)
    for _attempt in range(3000):
        when = chance.randrange(0, 4102444800)
        assert zone.offset_at(when) == time.localtime(when).tm_gmtoff, when


def test_a_file_is_what_the_system_makes_of_it() -> None:
    known = [path for path in Path("/usr/share/zoneinfo").glob("[A-E]*/*") if path.is_file()]
    zones = pytest.importorskip("zoneinfo")
    if not known:
        pytest.skip("this machine has no time zones")
    import datetime

    chance = random.Random(1)
    for path in chance.sample(known, min(len(known), 60)):
        name = "/".join(path.parts[-2:])
        zone, theirs = from_tzif(path.read_bytes(), name), zones.ZoneInfo(name)
        assert zone is not None, name
        for _attempt in range(100):
            when = chance.randrange(0, 4102444800)
            offset = datetime.datetime.fromtimestamp(when, theirs).utcoffset()
            assert offset is not None and zone.offset_at(when) == offset.total_seconds(), (name, when)
            assert zone.offset_at(zone.epoch(local(zone, when))) == local(zone, when) - zone.epoch(local(zone, when))


def test_the_parts_of_a_file() -> None:
    moves = [(1000, 3600), (2000, 7200)]
    for version in (b"\0", b"2", b"3"):
        zone = from_tzif(tzif(0, moves, BERLIN if version > b"\0" else "", version), "x")
        assert zone is not None
        assert [zone.offset_at(when) for when in (999, 1000, 1999, 2000)] == [
            0,
            3600,
            3600,
            7200 if version < b"2" else 3600,
        ]
        assert zone.offset_at(1783000000) == 7200
        assert zone.offset_at(1795385500) == (7200 if version < b"2" else 3600), "the rule counts after the last"


@pytest.mark.parametrize("text", [BERLIN, NEW_YORK, "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "UTC0"])
def test_each_local_time_leads_back(text: str) -> None:
    zone = rule(text)
    for when in range(1767225600, 1767225600 + 366 * 86400, 5400):
        again = zone.epoch(local(zone, when))
        assert again == when or (again - when in (1800, 3600) and zone.offset_at(again) != zone.offset_at(when)), when
        assert zone.epoch(local(zone, when), latest=when) == when, "nothing comes from the future"


def test_an_hour_that_spring_leaves_out_is_after_the_one_before() -> None:
    zone = rule(BERLIN)
    spring = 1774746000  # 2026-03-29 01:00 UTC
    assert zone.epoch(spring + 3600 + 1800) == spring + 1800


def test_the_hour_that_autumn_repeats() -> None:
    """Nothing looks older than it is, and nothing comes from the future."""
    zone, second_pass = rule(BERLIN), 1792890000
    text = line("x", second_pass + 600, zone).encode()
    assert text == line("x", second_pass - 3000, zone).encode()
    assert Clock(zone).stamp(text) == second_pass + 600
    assert Clock(zone, second_pass - 2900).stamp(text) == second_pass - 3000


@pytest.mark.parametrize(
    "text",
    ["", "x", "GMT", "America/New_York", "EST5EDT,M13.2.0,M11.1.0", "EST5EDT,M3.6.0,M11.1.0", "EST99", "UTC0\n",
     "EST5EDT,M3.2.0", "A5", "EST5" + "0" * 500, "\udcff5", "EST\u0665", "<>5", "EST5EDT,,"],
)  # fmt: skip
def test_what_is_no_rule(text: str) -> None:
    assert from_posix(text) is None


def test_anything_may_stand_in_a_file() -> None:
    chance = random.Random(1)
    good = tzif(3600, [(1000, 3600), (2000, 7200)], BERLIN)
    for _attempt in range(3000):
        data = bytearray(good[: chance.randrange(len(good) + 1)])
        for _change in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        zone = from_tzif(bytes(data), "x")
        if zone is not None:
            for when in (-(2**63), -1e12, 0, 1.8e9, 1e12, 2.0**63):
                assert abs(zone.offset_at(when)) <= 26 * 3600
    for huge in (b"TZif2" + b"\0" * 15 + b"\xff" * 24, b"", b"TZif", good[:44] * 9):
        assert from_tzif(huge + b"\0" * 1000, "x") is None


# The zone of a process


@pytest.mark.parametrize(
    ("value", "offset"),
    [
        ("UTC", 0), ("", 0), (BERLIN, 3600), ("Some/Where", -5 * 3600), (":Some/Where", -5 * 3600), ("Nowhere", 0),
        ("/usr/share/zoneinfo/Some/Where", -5 * 3600), ("/else/where", -5 * 3600), (":/else/where", -5 * 3600),
        ("../../../../../../etc/passwd", 0), ("/etc/passwd", 0), ("/etc", 0), ("\udcff", 0), ("x" * 9000, 0),
    ],
)  # fmt: skip
def test_the_zone_of_its_environment(home: Path, value: str, offset: int) -> None:
    files = root_with(home, "usr/share/zoneinfo/Some/Where", "else/where", data=tzif(-5 * 3600))
    root_with(home, "etc/passwd", data=b"root:x:0:0:secret\n")
    root_with(home, "etc/localtime", data=tzif(7200))
    with process(TZ=value) as pid:
        zone, doubt = zone_of(pid, files, time.time())
        assert (zone.offset_at(1795385500), doubt) == (offset, "")


def test_the_folder_of_zones_may_be_another(home: Path) -> None:
    files = root_with(home, "zones/Some/Where", data=tzif(-5 * 3600))
    with process(TZ="Some/Where", TZDIR="/zones") as pid:
        assert zone_of(pid, files).zone.offset_at(0) == -5 * 3600


def test_without_one_it_is_that_of_its_root(home: Path) -> None:
    files = root_with(home, "usr/share/zoneinfo/Some/Where", data=tzif(-5 * 3600))
    with process(X="TZ=UTC") as pid:
        assert zone_of(pid, files).zone.offset_at(0) == 0, "there is no localtime: UTC"
        (home / "root" / "etc").mkdir()
        (home / "root" / "etc" / "localtime").symlink_to("/usr/share/zoneinfo/Some/Where")
        zone, doubt = zone_of(pid, files, time.time() + 60)
        assert (zone.offset_at(0), zone.name, doubt) == (-5 * 3600, "/etc/localtime", "")
        # Set after the start of the process, which may not have noticed.
        assert "after the daemon was started" in zone_of(pid, files, time.time() - 60).doubt


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.skipif(not os.path.exists("/etc/localtime"), reason="there is nothing to mount it over")
def test_a_container_may_have_one_of_its_own(home: Path) -> None:
    """Even if all else in it is as we see it."""
    (home / "localtime").write_bytes(tzif(-5 * 3600))
    script = 'mount --bind "$1" "$(readlink -f /etc/localtime)" && unset TZ && echo && exec cat'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(home / "localtime")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdin
        if not running.stdout.readline():
            pytest.skip("this machine has no mount namespaces")
        instance = Instance(str(home), "ckpool", pid=running.pid, pid_state="alive", log_dir=str(home))
        log = log_of(instance)
        assert log is not None and log.zone.offset_at(0) == -5 * 3600
        running.stdin.close()


# Whole logs


@pytest.mark.parametrize("text", [NEW_YORK, BERLIN, "<+1345>-13:45", "UTC0"])
def test_work_is_as_old_as_it_is(home: Path, text: str) -> None:
    now = time.time()
    path = home / "ckpool.log"
    path.write_text(line("Stored local workbase with 0 transactions", now - 20, rule(text)), encoding="utf-8")
    with process(TZ=text) as pid:
        log = Log(str(path), Files(), pid, now - 100)
        found = events.events(log, now, 600)
        assert found.stored_workbase == pytest.approx(now - 20, abs=0.01)
        assert (found.problem, log.zone_problem) == ("", "")


@pytest.mark.parametrize("text", [NEW_YORK, BERLIN, "<+1345>-13:45", "UTC0"])
def test_clients_of_a_daemon_in_another_zone(home: Path, text: str) -> None:
    now, zone = time.time(), rule(text)
    path = home / "ckpool.log"
    rows = [line("ckpool connector starting", now - 900, zone)]
    rows += [line("Authorised client 1 10.0.0.7 worker u.x as user u", now - 800, zone)]
    path.write_text("".join(rows), encoding="utf-8")
    with process(TZ=text) as pid:
        found = clients.find(Log(str(path), Files(), pid, now - 901), now - 901, ["u"])
    assert [client.client_id for client in found.clients] == [1]
    assert (found.reaches_start, found.problems) == (True, [])
    assert found.clients[0].since == pytest.approx(now - 800, abs=0.01)


@pytest.mark.parametrize("minutes", [-50, -10, 10, 50])
def test_a_run_that_began_in_the_hour_that_autumn_repeats(home: Path, minutes: int) -> None:
    zone, start = rule(BERLIN), 1792890000 + minutes * 60
    path = home / "ckpool.log"
    rows = [line("ckpool connector starting", start - 90000, zone)]
    rows += [line("Authorised client 1 10.0.0.7 worker u.old as user u", start - age, zone) for age in (9000, 300)]
    rows += [line("ckpool connector starting", start, zone)]
    rows += [line("Authorised client 2 10.0.0.7 worker u.new as user u", start + 60, zone)]
    path.write_text("".join(rows), encoding="utf-8")
    found = clients.find(Log(str(path), Files(), zone=zone), start, ["u"])
    assert [client.client_id for client in found.clients] == [2] and found.reaches_start


@pytest.mark.parametrize(("text", "name"), [(NEW_YORK, "UTC-0"), ("<+1345>-13:45", "UTC+13:45"), ("UTC0", "")])
def test_the_time_of_the_last_line_tells_an_unknown_zone(
    home: Path, library: t.Callable[[str], None], text: str, name: str
) -> None:
    library("UTC")
    now, zone = time.time(), rule(text)
    path = home / "ckpool.log"
    path.write_text(line("Stored local workbase", now - 7000, zone) + line("x", now - 2, zone), encoding="utf-8")
    for pid in (None, 2**22 + 1):  # none, and one whose environment cannot be read
        log = Log(str(path), Files(), pid)
        assert events.events(log, now, 600).stored_workbase == pytest.approx(now - 7000, abs=0.01)
        assert name in log.zone_problem if name else log.zone_problem == ""
    os.utime(path, (now - 90000.5, now - 90000.5))  # somebody copied it: its time says nothing
    assert Log(str(path), Files()).zone_problem == ""
    assert "time zone" in Log(str(path), Files(), 2**22 + 1).zone_problem


def test_a_zone_that_is_known_is_not_doubted_for_the_time_of_a_file(home: Path) -> None:
    now = time.time()
    path = home / "ckpool.log"
    path.write_text(line("Stored local workbase", now - 3600, UTC), encoding="utf-8")
    with process(TZ="UTC0") as pid:
        assert events.events(Log(str(path), Files(), pid, now), now, 600).stored_workbase == pytest.approx(
            now - 3600, abs=0.01
        )


def test_the_zone_is_found_out_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "ckpool.log").write_text(line("x", time.time(), UTC), encoding="utf-8")
    with process(TZ=NEW_YORK) as pid:
        log = Log(str(home / "ckpool.log"), Files(), pid)
        first = log.zone
    assert log.zone is first and first.offset_at(1795385500) == -5 * 3600


@pytest.mark.parametrize(
    "text",
    [
        b"[2026-11-22 22:09:25.734] ", b"[2024-02-29 00:00:00.000] ", b"[1970-01-01 00:00:00.001] ", b"[9999-12-31 23:59:59.999]",
    ],
)  # fmt: skip
def test_what_is_a_stamp(text: bytes) -> None:
    assert Clock(UTC).stamp(text + b"x") is not None


@pytest.mark.parametrize("zone", [UTC, rule(BERLIN), rule(NEW_YORK)])
def test_any_bytes_for_a_stamp(zone: Zone) -> None:
    chance, clock = random.Random(1), Clock(zone)
    good = b"[2026-11-22 22:09:25.734] x"
    for _attempt in range(20_000):
        text = bytearray(good)
        for _change in range(chance.randrange(1, 4)):
            text[chance.randrange(len(text))] = chance.choice(b"0123456789:-.[] +_e\xb2\xff\0")
        when = clock.stamp(bytes(text[: chance.randrange(20, 28)]))
        assert when is None or -1e11 < when < 1e12
