# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are a log: rotated, copied, packed ones of every name; in the order of what they hold; and no one else's."""

from __future__ import annotations

import gzip
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import Owner
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import blocks, clients, rotation
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Budget, Log
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.rotation import LogFiles
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.zone import UTC

START = 1795385400.0


def line(text: str, age: float) -> str:
    """One line, a number of seconds after the start of the process."""
    return time.strftime("[%Y-%m-%d %H:%M:%S.000] ", time.gmtime(START + age)) + text + "\n"


def begins(name: str, age: float) -> str:
    """The first words of a run."""
    return "".join(line(f"{name} {part} starting", age) for part in ("generator", "stratifier", "connector"))


def came(number: int, age: float) -> str:
    """A client that is authorised."""
    return line(f"Authorised client {number} 10.0.0.7 worker u.x as user u", age)


def solved(height: int, age: float) -> str:
    """A block."""
    return line(f"Possible block solve diff {height}.5 !", age) + line(
        f"Solved and confirmed block {height} by u.x", age
    )


def written(home: Path, name: str, *texts: str, modified: t.Optional[float] = None) -> None:
    """A file with these lines, last written then (after the start of the process)."""
    data = "".join(texts).encode()
    (home / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    when = START + (9000 if modified is None else modified)
    os.utime(home / name, (when, when))


def the_log(home: Path, name: str = "ckpool.log", files: t.Optional[Files] = None) -> Log:
    """The log there, in UTC."""
    return Log(str(home / name), files or Files(), zone=UTC)


def names(log: Log, unpack: bool = True) -> t.List[str]:
    """The names of the files of a log, in their order."""
    with LogFiles(log, None, Budget(), unpack) as logs:
        return [os.path.basename(file.path) for file in logs.files]


ROTATED = [
    "ckpool.log.1", "ckpool.log.0", "ckpool.log.10", "ckpool.log-20261101", "ckpool.log.20261101", "ckpool.log.2026-11-01",
    "ckpool.log.2026-11-01T10:00:00Z", "ckpool.log-20261101-1795385500", "ckpool.log_20261101", "ckpool.log.old",
    "ckpool.log.bak", "ckpool.1.log", "ckpool-1.log", "ckpool_1.log", "ckpool.20261101.log", "ckpool-20261101.log",
    "ckpool-2026-11-01.log", "ckpool-2026-11-01_10-00-00.log", "ckpool.old.log",
]  # fmt: skip
OTHERS = [
    "ckpool2.log", "ckpool-proxy.log", "ckpool-proxy.log.1", "ckpool2.log.1", "ckproxy.log", "xckpool.log.1", "ckpool.log.txt",
    "ckpool.log_dir", "ckpool.log~", "ckpool.log.1.orig", "ckpool.conf", "ckpool.log.conf", "ckpool-.log", "1ckpool.log", "ckpool..log",
]  # fmt: skip


@pytest.mark.parametrize("name", [*ROTATED, *(f"{name}.gz" for name in ROTATED)])
def test_each_name_of_a_rotated_log(home: Path, name: str) -> None:
    written(home, name, begins("ckpool", 0), came(1, 10), solved(7, 20))
    written(home, "ckpool.log", came(2, 100), solved(8, 120))
    assert names(the_log(home)) == ["ckpool.log", name]
    found = blocks.find_blocks(the_log(home))
    assert ([block.height for block in found.blocks], found.problems) == ([8, 7], {})
    connected = clients.find(the_log(home), START, ["u"])
    if name.endswith(".gz"):
        assert [client.client_id for client in connected.clients] == [2]
        assert not connected.reaches_start and name in connected.problems[0]
    else:
        assert [client.client_id for client in connected.clients] == [2, 1]
        assert (connected.reaches_start, connected.problems) == (True, [])


@pytest.mark.parametrize("name", [*OTHERS, *(f"{name}.gz" for name in OTHERS)])
def test_the_names_of_other_files(home: Path, name: str) -> None:
    written(home, name, begins("ckpool", 0), came(1, 10), solved(7, 20))
    written(home, "ckpool.log", came(2, 100), solved(8, 120))
    assert names(the_log(home)) == ["ckpool.log"]


@pytest.mark.parametrize("name", ["ckpool-2", "ckpool.1", "ckpool_20261101"])
def test_another_instance_that_is_called_like_a_rotated_log(home: Path, name: str) -> None:
    written(home, "ckpool.log", begins("ckpool", 50), came(2, 100))
    written(home, f"{name}.log", begins(name, 0), came(1, 10))
    assert names(the_log(home)) == ["ckpool.log"]
    assert names(the_log(home, f"{name}.log")) == [f"{name}.log"]
    # Its first words were rotated away, but it is still written.
    written(home, f"{name}.log", came(1, 10), came(3, 5000))
    assert names(the_log(home)) == ["ckpool.log"]
    written(home, f"{name}.log", came(1, 10), came(3, 60))
    assert names(the_log(home)) == ["ckpool.log", f"{name}.log"]
    written(home, "ckpool.log", "", modified=100)  # just rotated
    assert names(the_log(home)) == ["ckpool.log", f"{name}.log"]
    written(home, f"{name}.log", came(1, 10), came(3, 5000))
    assert names(the_log(home)) == ["ckpool.log"]


def test_what_they_hold_tells_their_order(home: Path) -> None:
    """Not their names, and not when somebody touched them."""
    written(home, "ckpool.log", line("x", 900), modified=900)
    for number, name in enumerate(["ckpool.log.7", "ckpool.2.log", "ckpool.log-20261101", "ckpool.log.1.gz"]):
        written(home, name, line("x", 800 - 100 * number), modified=1000 + 100 * number)
    expected = ["ckpool.log", "ckpool.log.7", "ckpool.2.log", "ckpool.log-20261101", "ckpool.log.1.gz"]
    assert names(the_log(home)) == expected


def test_a_log_that_was_copied_and_cut(home: Path) -> None:
    written(home, "ckpool.log.1", begins("ckpool", 0), came(1, 10), came(2, 20), solved(7, 30))
    written(home, "ckpool.log", came(3, 40), solved(8, 50))
    assert [client.client_id for client in clients.find(the_log(home), START, ["u"]).clients] == [3, 2, 1]
    assert [block.height for block in blocks.find_blocks(the_log(home)).blocks] == [8, 7]
    written(home, "ckpool.log", "")  # just after the cut
    assert [client.client_id for client in clients.find(the_log(home), START, ["u"]).clients] == [2, 1]


def test_each_file_once(home: Path) -> None:
    written(home, "ckpool.log", begins("ckpool", 0), came(1, 10))
    os.link(home / "ckpool.log", home / "ckpool.log.1")
    (home / "ckpool.log.2").symlink_to("ckpool.log")
    (home / "ckpool.log.3").symlink_to("ckpool.log.3")
    (home / "ckpool.log.4").symlink_to("gone")
    os.mkfifo(home / "ckpool.log.5")
    (home / "ckpool.log.6").mkdir()
    assert names(the_log(home)) == ["ckpool.log"]
    found = blocks.find_blocks(the_log(home))
    assert sorted(found.problems) == [f"ckpool.log.{number}" for number in (3, 4, 5, 6)]


def test_names_with_odd_bytes(home: Path) -> None:
    written(home, "ckpool.log", came(1, 10))
    for name in (b"ckpool.log.1\xff", b"ckpool.log.1\n", b"ckpool.log.\x1b[31m", "ckpool.log.\u0661".encode()):
        Path(os.fsdecode(os.fsencode(home) + b"/" + name)).write_bytes(b"x")
    assert names(the_log(home)) == ["ckpool.log"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could read what a daemon's user may not")
def test_what_the_daemons_user_may_not_read_is_not_read(home: Path) -> None:
    home.chmod(0o755)
    written(home, "secret", begins("ckpool", 0), came(9, 10), solved(9, 20))
    (home / "secret").chmod(0o600)
    written(home, "ckpool.log", came(1, 100), solved(8, 120))
    (home / "ckpool.log").chmod(0o644)
    (home / "ckpool.log.1").symlink_to("secret")
    files = Files(owner=Owner(12345, 12345, frozenset((12345,))))
    found = blocks.find_blocks(the_log(home, files=files))
    assert ([block.height for block in found.blocks], list(found.problems)) == ([8], ["ckpool.log.1"])
    assert [client.client_id for client in clients.find(the_log(home, files=files), START, ["u"]).clients] == [1]
    (home / "ckpool.log").unlink()
    (home / "ckpool.log").symlink_to("secret")
    for look in (blocks.find_blocks, lambda log: clients.find(log, START, ["u"])):
        with pytest.raises(Unreadable):
            look(the_log(home, files=files))


def test_more_files_than_one_may_open(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "_MOST_FILES", 5)
    for number in range(9):
        written(home, f"ckpool.log.{number}", line("x", -number), modified=-number)
    written(home, "ckpool.log", line("x", 1))
    assert names(the_log(home)) == ["ckpool.log", *(f"ckpool.log.{number}" for number in range(5))]
    assert "5 newest of 9" in next(iter(blocks.find_blocks(the_log(home)).problems.values()))
    monkeypatch.setattr(rotation, "_MOST_NAMES", 3)
    with LogFiles(the_log(home), None, Budget()) as logs:
        assert len(logs.files) <= 4 and "3 of its names" in next(iter(logs.problems.values()))


def test_only_what_was_written_since(home: Path) -> None:
    written(home, "ckpool.log", line("x", 1), modified=-9000)
    written(home, "ckpool.log.1", line("x", 0), modified=10)
    written(home, "ckpool.log.2", line("x", -10), modified=-10)
    with LogFiles(the_log(home), START, Budget()) as logs:
        assert [os.path.basename(file.path) for file in logs.files] == ["ckpool.log", "ckpool.log.1"]


def test_all_who_are_connected(home: Path) -> None:
    written(
        home, "ckpool.log.1", begins("ckpool", 0), came(1, 10), line("Authorised client 2 worker new as user new", 20)
    )
    rows = [
        line("Dropped client 1 10.0.0.7 user u worker u.x ", 30),
        line("Authorised client 3 10.0.0.8 worker o.] x as user o", 40),
    ]
    written(home, "ckpool.log", *rows)
    found = clients.connected(the_log(home), START)
    assert [(client.client_id, client.user, client.worker) for client in found.clients] == [
        (3, "o", "o.] x"),
        (2, "new", "new"),
    ]
    assert (found.reaches_start, found.problems) == (True, [])
    few = clients.connected(the_log(home), START, limit=1)
    assert [client.client_id for client in few.clients] == [3] and few.problems
