# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected according to the log: every layout, names that pretend, runs before, and logs that are renamed."""

from __future__ import annotations

import os
import random
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log import clients, file, search
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import Log
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.stamp import Clock
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.zone import UTC

from tests.support import SAMPLES

START = 1795385400.0
U = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
DROPALL = "Dropped 10 instances for dropall request"
RECONNECT = "Listener received request to send reconnect to clients"


@pytest.fixture(autouse=True, params=["library", "python"])
def searched_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to search: with the C library, and without it."""
    if request.param == "python":
        real = search.Search._find

        def find(one: t.Any, needle: bytes, start: int, end: int) -> int:
            one._memmem = None
            return real(one, needle, start, end)

        monkeypatch.setattr(search.Search, "_find", find)


def line(text: str, age: float = 10.0) -> str:
    """One line as the daemon writes it, a number of seconds after the start of the process."""
    when = START + age
    return f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(when))}.{int(when % 1 * 1000):03d}] {text}\n"


def came(number: object, worker: str = f"{U}.rig", age: float = 10.0, user: str = "") -> str:
    """A line on a client that is authorised."""
    user = user or worker.replace("_", ".").split(".")[0]
    return line(f"Authorised client {number} 10.0.0.7 worker {worker} as user {user} with diff 1", age)


def left(number: object, worker: str = f"{U}.rig", age: float = 20.0, lazily: str = "") -> str:
    """A line on one that is dropped."""
    user = worker.replace("_", ".").split(".")[0]
    return line(f"Dropped client {number} 10.0.0.7 user {user} worker {worker} {lazily}", age)


def statistics(age: float) -> str:
    """What the daemon says each minute."""
    return line('Pool:{"runtime": 120, "lastupdate": 1795385399, "Users": 1, "Workers": 1}', age)


BEGIN = "".join(line(f"ckpool {process} starting", 0.2) for process in ("generator", "connector", "stratifier"))


def written(folder: Path, *lines: str, name: str = "ckpool.log", begin: str = BEGIN) -> str:
    """The path of a log with these lines."""
    path = folder / name
    path.write_bytes((begin + "".join(lines)).encode("utf-8", "surrogateescape"))
    os.utime(path, (START + 9000, START + 9000))  # this machine's clock does not matter
    return str(path)


def the_log(path: object) -> Log:
    """The log there, in UTC."""
    return Log(str(path), Files(), zone=UTC)


def find(path: str, *users: str, **more: t.Any) -> t.Any:
    """What is found of one user, if no other is named."""
    if not users and "workers" not in more and "client_ids" not in more:
        users = (U,)
    return clients.find(the_log(path), more.pop("start_time", START), users, **more)


def ids(path: str, *users: str, **more: t.Any) -> t.List[int]:
    """The ids found, the newest first."""
    return [client.client_id for client in find(path, *users, **more).clients]


@pytest.mark.parametrize(
    ("build", "user", "expected"),
    [
        ("ckpool-0.9.4-2017", U, {1: None, 4: None}),
        ("elopool-0.9.9-2025", U, {1: "127.0.0.1"}),
        ("ckpool-lhr-1.0.0-2026", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", {1: "127.0.0.1"}),
    ],
)
def test_the_log_of_each_build(build: str, user: str, expected: t.Dict[int, t.Optional[str]]) -> None:
    found = clients.find(the_log(SAMPLES / build / "ckpool.log"), None, [user])
    assert {client.client_id: client.address for client in found.clients} == expected
    assert (found.reaches_start, found.problems) == (True, [])


@pytest.mark.parametrize(
    ("text", "number", "address"),
    [
        ("client 3 127.0.0.1 worker {w} as user {u} with diff 1", 3, "127.0.0.1"),
        ("client 3 127.0.0.1 worker {w} as user {u}", 3, "127.0.0.1"),
        ("client 3 2001:db8::7 worker {w} as user {u}", 3, "2001:db8::7"),
        ("client 3 worker {w} as user {u}", 3, None),
        ("client 3  worker {w} as user {u}", 3, None),
        ("client 3 to proxy 0:12, worker {w} as user {u}", 3, None),
        ("client 3 to proxy 0:0, worker {w} as user {u} with diff 42", 3, None),
        ("client passthrough:5 subclient:7 10.0.0.1 worker {w} as user {u}", 5 * 2**32 + 7, "10.0.0.1"),
        ("client remote:5 subclient:7 10.0.0.1 worker {w} as user {u}", 5 * 2**32 + 7, "10.0.0.1"),
        ("client node:5 subclient:7 10.0.0.1 worker {w} as user {u} with diff 9", 5 * 2**32 + 7, "10.0.0.1"),
    ],
)
@pytest.mark.parametrize("worker", [U, f"{U}.rig", f"{U}_rig.x", f"{U}.a b", f"{U}.x as user {U}", f"{U}.é"])
def test_each_layout(home: Path, text: str, number: int, address: t.Optional[str], worker: str) -> None:
    authorised = line("Authorised " + text.format(w=worker, u=U), 30.5)
    path = written(home, authorised)
    client = clients.Client(number, U, worker, address, START + 30.5, False)
    assert find(path).clients == [client]
    assert find(path, workers=[worker]).clients == [client]
    assert find(path, client_ids=[number]).clients == [client]
    assert find(path, *(f"other{count}" for count in range(9)), U).clients == [client]
    assert (find(path, workers=[worker + "x"]).clients, find(path, client_ids=[number + 1]).clients) == ([], [])
    who = text.split(" worker")[0].split(" to proxy")[0]
    for end in ("", "lazily"):
        dropped = line(f"Dropped {who} user {U} worker {worker} {end}", 40)
        for asked in ({}, {"workers": [worker]}, {"client_ids": [number]}):
            assert ids(written(home, authorised, dropped), **asked) == []
        assert (
            ids(written(home, authorised, line(f"Dropped {who} no user worker {worker} {end}")), workers=[worker]) == []
        )
    assert ids(written(home, authorised, dropped, authorised)) == [number]  # a connection may be authorised again


def test_one_who_came_and_left_as_another_of_the_same_name_stayed(home: Path) -> None:
    path = written(home, came(1), came(2), came(3), left(2), came(40), left(4), left(3, lazily="lazily"))
    assert ids(path) == [40, 1]
    assert find(path).reaches_start


@pytest.mark.parametrize(
    "text",
    [
        "Authorised client 9 10.0.0.7 worker x as user {u} as user x as user {u}",
        "Authorised client 9 10.0.0.7 worker x.as user {u} as user x",
        "Authorised client 9 10.0.0.7 worker {u}x as user {u}",
        "Authorised client 9 10.0.0.7 worker {u}x as user {u}x",
        "Authorised client 9 10.0.0.7 worker {u}x.rig as user {u}x",
        "Authorised client 9 10.0.0.7 worker {u} x as user {u} x",
        "Authorised client 9 10.0.0.7 worker {u} with diff 5 as user {u} with diff 5",
        "Authorised client 9 10.0.0.7 worker {u} with diff 5 as user {u} with diff 5 with diff 5",
        "Authorised client 9 10.0.0.7 worker {u}.rig as user {u} ",
        "Authorised client 9 10.0.0.7 worker {u}.rig as user {u} with diff",
        "Authorised client 9 10.0.0.7 worker {u}.rig as user {u} with diff 1x",
        "Authorised client 9 10.0.0.7 worker {u}.rig",
        "Authorised client 9 10.0.0.7 worker .{u} as user {u}",
        "Authorised client 9 not.an.address worker {u}.rig as user {u}",
        "Authorised client 9x 10.0.0.7 worker {u}.rig as user {u}",
        "Authorised client 99999999999999999999 10.0.0.7 worker {u}.rig as user {u}",
        "Authorised client passthrough:1 subclient:4294967296 10.0.0.7 worker {u}.rig as user {u}",
        "authorised client 9 10.0.0.7 worker {u}.rig as user {u}",
        " Authorised client 9 10.0.0.7 worker {u}.rig as user {u}",
        "x] Authorised client 9 10.0.0.7 worker {u}.rig as user {u}",
        "Client 9 10.0.0.7 worker {u}.rig failed to authorise as user {u}",
        "Authorised client 9 10.0.0.7 worker x\nAuthorised client 9 10.0.0.7 worker {u}.rig as user {u}",
        "Authorised client 9 10.0.0.7 worker x\n[2026] Authorised client 9 10.0.0.7 worker {u}.rig as user {u}",
        "Authorised client 9 10.0.0.7 worker {u}.rig as user {u}\nx with diff 1\nAuthorised client 8 worker {u} as user {u}.",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_client_of_the_user(home: Path, text: str) -> None:
    text = text.format(u=U)
    only = [9] if text.endswith("as user " + U + ".") else []  # of that one, the first line is perfect
    assert ids(written(home, line(text))) == only
    assert ids(written(home, line(text)), *(f"other{count}" for count in range(9)), U) == only


@pytest.mark.parametrize(
    "text",
    [
        "Dropped client 1 10.0.0.7 user x worker x {u} ",
        "Dropped client 1 10.0.0.7 user {u} worker x ",
        "Dropped client 1 10.0.0.7 user {u} worker {u}x ",
        "Dropped client 1 10.0.0.7 user {u} worker {u}.rig",
        "Dropped client 1 10.0.0.7 user {u} worker {u}.rig lazil",
        "Dropped client 11 10.0.0.7 user {u} worker {u}.rig ",
        "Dropped client passthrough:1 subclient:1 10.0.0.7 user {u} worker {u}.rig ",
        "Dropped client 5 10.0.0.7 user x worker x.Dropped client 1 10.0.0.7 user {u} worker {u}.rig ",
        "Stratifier asked to drop client 1 user {u} worker {u} ",
        "Dropped x instances for dropall request",
        "Dropped client 5 10.0.0.7 user x worker x.Dropped 10 instances for dropall request ",
        "User Dropped 10 instances for dropall request",
    ],
)
def test_what_only_looks_as_if_a_client_was_gone(home: Path, text: str) -> None:
    path = written(home, came(1), line(text.format(u=U), 20))
    assert ids(path) == ids(path, client_ids=[1]) == ids(path, workers=[f"{U}.rig"]) == [1]


def test_a_name_that_the_daemon_cuts(home: Path) -> None:
    for worker in ("x" * 127, "x" * 128, "x" * 300, "x" * 300 + ".rig"):
        path = written(home, came(1, worker, user="x" * 127))
        assert ids(path, "x" * 127) == [1], worker
        gone = line(f"Dropped client 1 10.0.0.7 user {'x' * 127} worker {worker} ")
        assert ids(written(home, came(1, worker, user="x" * 127), gone), "x" * 127) == [], worker


def test_a_dropall_ends_all_before(home: Path) -> None:
    path = written(home, came(1), came(2), line(DROPALL, 15), came(3))
    assert ids(path) == [3]
    assert find(path).reaches_start
    assert ids(path, client_ids=[1, 2, 3]) == [3]


def test_who_was_told_to_leave_is_in_doubt(home: Path) -> None:
    path = written(home, came(1), came(2), line(RECONNECT, 15), left(2, lazily="lazily"), came(3))
    assert [(client.client_id, client.told_to_leave) for client in find(path).clients] == [(3, False), (1, True)]
    path = written(home, came(1), line(f"Authorised client 2 10.0.0.7 worker x.] {RECONNECT} as user x"))
    assert not find(path).clients[0].told_to_leave


@pytest.mark.parametrize("gap", [0.1, 1.5, 3, 300])
def test_a_run_before_in_the_same_file(home: Path, gap: float) -> None:
    before = BEGIN.replace(line("", 0.2)[:26], line("", -500)[:26])
    path = written(
        home, before, came(1, age=-400), came(2, age=-gap), came(3, age=0.1), BEGIN, came(1, f"{U}.now"), begin=""
    )
    for start in (START, START + 1.5, START - 1, None):
        found = find(path, start_time=start)
        assert [client.worker for client in found.clients] == [f"{U}.now"], start
        assert (found.reaches_start, found.problems) == (True, [])


def test_without_the_first_words_of_the_run_its_time_counts(home: Path) -> None:
    path = written(home, came(1, age=-400), came(2, age=-1), came(3, age=1), begin="")
    assert ids(path) == [3] and find(path).reaches_start
    assert not find(path, start_time=START - 500).reaches_start
    assert not find(path, start_time=None).reaches_start


def test_a_worker_called_like_the_first_words(home: Path) -> None:
    path = written(home, came(1), came(2, "x.] ckpool connector starting"), came(3))
    assert ids(path) == ids(path, start_time=None) == [3, 1]
    path = written(home, came(1), line("ckpool connector starting", 100), came(3, age=101))
    assert ids(path) == [3, 1]  # by the time of the process, this is somebody's forgery


def test_names_of_users_with_strange_bytes(home: Path) -> None:
    for name in ("\udcff\udcfe", "é", "a b", "(.*", "x" * 60):
        name = name.replace(".", "")
        assert [client.user for client in find(written(home, came(5, f"{name}.rig")), name).clients] == [name]


def test_a_last_line_that_is_not_complete_waits(home: Path) -> None:
    text = came(2)
    path = written(home, came(1), text[:-5])
    found = find(path)
    assert [client.client_id for client in found.clients] == [1]
    with clients.Follower(found.end, [U]) as follower:
        assert list(follower.poll()) == []
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(text[-5:-1])
            stream.flush()
            assert list(follower.poll()) == []
            stream.write("\n" + left(1))
        assert [(e.kind, e.client.client_id) for e in follower.poll() if e.client] == [
            ("authorised", 2),
            ("dropped", 1),
        ]
        assert list(follower.poll()) == []


def test_no_line_is_lost_where_pieces_meet(home: Path) -> None:
    for cut in (0, 1, 24, 27, 60, 100):
        noise = "x" * 99 + "\n"
        path = written(
            home, came(1), came(2), noise * 2622, "y" * cut + "\n", came(3), noise * 2600, "z" * cut + "\n", came(4)
        )
        assert ids(path) == [4, 3, 2, 1], cut
    assert ids(written(home, came(1), "x" * 900_000 + "\n", came(2))) == [2, 1]


def test_a_log_that_was_renamed(home: Path) -> None:
    written(home, came(9, age=-9000), name="ckpool.log.3", begin="")
    written(home, came(1, age=-5), BEGIN, came(2), came(3), came(4), name="ckpool.log.2", begin="")
    written(home, came(5, age=100), left(4, age=101), name="ckpool.log.1", begin="")
    path = written(home, left(3, age=200), came(6, age=201), begin="")
    found = find(path)
    assert [client.client_id for client in found.clients] == [6, 5, 2]
    assert [os.path.basename(name) for name in found.files] == ["ckpool.log", "ckpool.log.1", "ckpool.log.2"]
    assert (found.reaches_start, found.problems) == (True, [])
    os.unlink(path)  # the daemon goes on writing to the renamed one until it opens its log again
    assert ids(path) == [5, 3, 2]
    assert find(path).end.identity[1] == os.stat(path + ".1").st_ino
    Path(path).write_bytes(b"")
    assert ids(path) == [5, 3, 2]
    assert find(path).end.identity[1] == os.stat(path + ".1").st_ino


def test_a_copy_of_the_log_is_not_counted_again(home: Path) -> None:
    path = written(home, came(1), came(2), left(2, age=100))
    written(home, came(1), came(2), name="ckpool.log.bak")
    assert ids(path) == [1]
    path = written(home, came(3, age=60), left(2, age=100), begin="")
    assert ids(path) == [3, 1]
    written(home, came(1), came(2), came(3, age=60), name="ckpool.log-20261122")
    assert ids(path) == [3, 1]


def test_a_copy_that_lacks_what_came_later(home: Path) -> None:
    written(home, came(1), came(2), came(3, age=70), name="ckpool.log-20261122")
    path = written(home, came(5, age=60), came(3, age=70), left(3, age=100), begin="")
    assert ids(path) == [5, 2, 1]


def test_a_file_of_two_names_is_read_once(home: Path) -> None:
    path = written(home, came(5, age=60), begin="")
    os.link(path, path + ".link")
    assert find(path).files == [path]


def test_a_client_that_is_authorised_again_is_one_client(home: Path) -> None:
    found = find(written(home, came(1, age=10), came(1, age=15)))
    assert [client.since for client in found.clients] == [START + 15]


def test_what_is_compressed_is_missed_and_said_to_be(home: Path) -> None:
    path = written(home, came(5, age=100), begin="")
    (home / "ckpool.log.1.gz").write_bytes(b"x")
    found = find(path)
    assert ([client.client_id for client in found.clients], found.reaches_start) == ([5], False)
    assert len(found.problems) == 1 and "ckpool.log.1.gz" in found.problems[0]
    os.utime(home / "ckpool.log.1.gz", (START - 100, START - 100))
    assert "gz" not in find(path).problems[0]
    assert find(written(home, came(5, age=100))).problems == []


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe"])
def test_a_log_that_is_none(home: Path, kind: str) -> None:
    path = home / "ckpool.log"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(Unreadable):
        find(str(path))


@pytest.mark.parametrize("content", [b"", b"x", b"\n\n", b"\0" * 400_000, b"[" * 300_000 + b"\n" + b"\xff" * 9])
def test_a_log_without_lines(home: Path, content: bytes) -> None:
    path = home / "ckpool.log"
    path.write_bytes(content)
    found = find(str(path))
    assert (found.clients, found.reaches_start) == ([], False)
    with clients.Follower(found.end, [U]) as follower:
        with open(path, "ab") as stream:
            stream.write(b"\n" + came(1).encode())
        assert [event.kind for event in follower.poll()] == ["authorised"]


def test_a_limit(home: Path) -> None:
    path = written(home, *(came(number) for number in range(1, 9)))
    found = find(path, limit=3)
    assert [client.client_id for client in found.clients] == [8, 7, 6]
    assert not found.reaches_start and "3 newest" in found.problems[0]
    assert find(path, limit=8).problems == []


# Counts of a status file: where reading may end, and where not.

T = 600.0  #: when it was written, after the start of the process


def known(count: int, age: float = T) -> t.Dict[str, t.Any]:
    return {"known": {U: (START + age, count)}}


def counted(home: Path, *lines: t.Tuple[float, str], minutes: t.Sequence[int] = range(1, 14)) -> str:
    """A log with statistics each minute."""
    both = [*lines, *((minute * 60 + 0.5, statistics(minute * 60 + 0.5)) for minute in minutes)]
    return written(home, *(text for age, text in sorted(both, key=lambda entry: entry[0])))


def at(age: float, kind: t.Callable[..., str], number: int, worker: str = f"{U}.rig") -> t.Tuple[float, str]:
    return age, kind(number, worker, age)


def reads_all(path: str, *users: str, **more: t.Any) -> bool:
    """Whether reading came to the oldest line on a client."""
    seen: t.List[bytes] = []
    real = clients._Roll.ends_with

    def recording(roll: t.Any, text: bytes, clock: Clock) -> bool:
        seen.append(text)
        return real(roll, text, clock)

    clients._Roll.ends_with = recording  # type: ignore[assignment,method-assign]
    try:
        found = find(path, *users, **more)
    finally:
        clients._Roll.ends_with = real  # type: ignore[method-assign]
    assert found.reaches_start
    return any(b"client 1 " in text for text in seen)


OLD = at(20, came, 1, f"{U}.old")


def test_reading_ends_where_the_count_is_met(home: Path) -> None:
    path = counted(
        home, OLD, at(30, left, 1, f"{U}.old"), at(300, came, 2), at(400, came, 3), at(500, left, 3), at(700, came, 4)
    )
    assert not reads_all(path, **known(1))
    assert ids(path, **known(1)) == [4, 2] == ids(path)
    assert reads_all(path, **known(2))


def test_a_count_of_none_needs_no_more_than_what_came_since(home: Path) -> None:
    path = counted(home, OLD, at(30, left, 1, f"{U}.old"), at(700, came, 4))
    assert not reads_all(path, **known(0)) and ids(path, **known(0)) == [4]


def test_who_left_after_the_count_was_one_of_those_counted(home: Path) -> None:
    path = counted(home, OLD, at(300, came, 2), at(400, came, 3), at(700, left, 3), at(710, came, 4))
    assert not reads_all(path, **known(2)) and ids(path, **known(2)) == [4, 2]
    assert reads_all(path, **known(3)) and ids(path, **known(3)) == [4, 2, 1]


@pytest.mark.parametrize("age", [T - 9, T - 1, T, T + 1.5])
@pytest.mark.parametrize("kind", [came, left])
def test_what_happened_while_it_was_counted_leaves_the_count_in_doubt(home: Path, age: float, kind: t.Any) -> None:
    lines = [OLD, at(300, came, 2), at(310, came, 3), at(age, kind, 4 if kind is came else 3)]
    path = counted(home, *lines)
    for count in range(4):
        assert reads_all(path, **known(count)), count


def test_a_silent_log_leaves_it_in_doubt(home: Path) -> None:
    """Client 2 may have been dropped in the silence, so that the one counted is client 1."""
    lines = [OLD, at(200, came, 2)]
    assert not reads_all(counted(home, *lines), **known(1))
    assert reads_all(counted(home, *lines, minutes=[1, 2, 3, 4, 8, 9, 10, 11]), **known(1))
    assert reads_all(counted(home, *lines, minutes=[1, 2, 3, 4, 5, 6]), **known(1))
    assert reads_all(counted(home, *lines, minutes=[]), **known(1))


def test_other_things_that_leave_it_in_doubt(home: Path) -> None:
    lines = [OLD, at(300, came, 2)]
    throttled = line(f"Client 7 10.0.0.7 worker {U}.rig rate limited due to failed auth attempts", 400)
    other = line("Client 7 10.0.0.7 worker x rate limited due to failed auth attempts", 400)
    assert reads_all(counted(home, *lines, (400, throttled)), **known(1))
    assert not reads_all(counted(home, *lines, (400, other)), **known(1))
    assert reads_all(counted(home, *lines, (400, line(RECONNECT, 400))), **known(1))
    assert reads_all(counted(home, *lines), **known(1, age=-5))  # a file that a run before left
    assert reads_all(counted(home, *lines), U, "other", **known(1))
    assert reads_all(counted(home, *lines), U, workers=["x.y"], **known(1))
    both = {U: (START + T, 1), "other": (START + T, 0)}
    assert not reads_all(counted(home, *lines), U, "other", known=both)
    both["other"] = (START + T, 1)
    assert reads_all(counted(home, *lines), U, "other", known=both)


def test_ids_end_the_reading_when_all_are_found(home: Path) -> None:
    path = counted(home, OLD, at(100, came, 2), at(200, came, 3), at(300, left, 3))
    assert not reads_all(path, client_ids=[2, 3]) and ids(path, client_ids=[2, 3]) == [2]
    assert ids(path, client_ids=[1, 2, 3, 4]) == [2, 1]


def naive(texts: t.Sequence[str], user: str) -> t.List[int]:
    """The same, read forward."""
    alive: t.Dict[int, None] = {}
    for text in texts:
        words = text[26:].split()
        if words[1] == "client":
            alive.pop(int(words[2]), None)
            if text.rstrip("\n").endswith(f" as user {user} with diff 1"):
                alive[int(words[2])] = None
        elif "dropall" in words:
            alive.clear()
    return list(reversed(alive))


@pytest.mark.parametrize("seed", range(25))
def test_like_a_naive_reader(home: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (file, search):
        monkeypatch.setattr(module, "PIECE", 4096)
    monkeypatch.setattr(clients, "PIECE", 4096)
    chance = random.Random(seed)
    users = ["a", "b", "ab", "a b", U, U + "x"]
    alive: t.Dict[int, str] = {}
    texts: t.List[str] = []
    number, age, minute, counts = 0, 1.0, 0, {}
    for _step in range(chance.choice((30, 300, 900))):
        age += chance.choice((0.1, 1, 7))
        what = chance.random()
        if age // 60 > minute:
            minute = int(age // 60)
            texts.append(statistics(age))
            counts = {name: (START + age, sum(w.split(".")[0] == name for w in alive.values())) for name in users}
        elif what < 0.45:
            number += 1
            worker = chance.choice(users) + chance.choice(("", ".rig", ".] Dropped 3 instances for dropall request"))
            alive[number] = worker
            texts.append(came(number, worker, age))
        elif what < 0.85 and alive:
            gone = chance.choice(list(alive))
            texts.append(left(gone, alive.pop(gone), age))
        elif what > 0.995:
            alive.clear()
            texts.append(line(DROPALL, age))
    cuts = sorted(chance.randrange(len(texts)) for _cut in range(chance.randrange(3)))
    for index, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(texts)])):
        name = "ckpool.log" if index == len(cuts) else f"ckpool.log.{len(cuts) - index}"
        written(home, *texts[begin:end], name=name, begin="" if index else BEGIN)
    path = str(home / "ckpool.log")
    for user in users:
        expected = naive(texts, user)
        assert ids(path, user) == expected
        assert sorted(ids(path, user, known=counts)) == sorted(expected)
    together = sorted(number for user in users for number in naive(texts, user))
    assert sorted(ids(path, *users)) == together
    assert sorted(ids(path, client_ids=list(range(1, number + 1)))) == together


# Following.


def appended(path: object, *lines: str) -> None:
    with open(str(path), "a", encoding="utf-8") as stream:
        stream.write("".join(lines))


def kinds(follower: t.Any) -> t.List[t.Tuple[str, t.Optional[int]]]:
    return [(event.kind, event.client and event.client.client_id) for event in follower.poll()]


def test_following(home: Path) -> None:
    path = written(home, came(1), came(2, "x.y"))
    with clients.Follower(find(path).end, [U], client_ids=[2]) as follower:
        assert kinds(follower) == []
        appended(path, left(1), left(2, "x.y"), left(3, "x.y"), came(4), came(5, "x.y"), line(DROPALL), line(RECONNECT))
        assert kinds(follower) == [
            ("dropped", 1), ("dropped", 2), ("authorised", 4), ("dropped_all", None), ("told_to_leave", None),
        ]  # fmt: skip
        assert (kinds(follower), follower.problems) == ([], [])


def test_following_a_log_that_is_renamed(home: Path) -> None:
    path = written(home, came(1))
    with clients.Follower(find(path).end, [U]) as follower:
        os.rename(path, path + ".1")
        appended(path + ".1", came(2))
        assert kinds(follower) == [("authorised", 2)]
        appended(path)  # as logrotate creates it
        appended(path + ".1", came(3))
        assert kinds(follower) == [("authorised", 3)]
        appended(path + ".1", came(4))
        appended(path, came(5))
        assert kinds(follower) == [("authorised", 4), ("authorised", 5)]
        os.rename(path, path + ".0")
        appended(path + ".0", came(6, age=20))
        appended(path, came(7, age=30))
        assert kinds(follower) == [("authorised", 6), ("authorised", 7)]
        for name in (".8", ".9"):  # twice between two looks
            os.rename(path, path + name)
            appended(path, came(int(name[1:]), age=40 + int(name[1:])))
        assert kinds(follower) == [("authorised", 8), ("authorised", 9)]
        assert follower.problems == []


def test_following_begins_in_a_log_that_was_renamed_since(home: Path) -> None:
    path = written(home, came(1))
    end = find(path).end
    appended(path, came(2))
    os.rename(path, path + ".1")
    appended(path, came(3, age=50))
    with clients.Follower(end, [U]) as follower:
        assert kinds(follower) == [("authorised", 2), ("authorised", 3)]
    os.unlink(path + ".1")
    with clients.Follower(end, [U]) as follower:
        assert kinds(follower) == [("authorised", 3)]
        assert len(follower.problems) == 1


def test_following_a_log_that_is_cut(home: Path) -> None:
    path = written(home, came(1))
    with clients.Follower(find(path).end, [U]) as follower:
        written(home, came(2), begin="")
        assert kinds(follower) == [("authorised", 2)]
        assert "cut" in follower.problems[0]


def test_following_more_than_one_look_takes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left in a renamed log is not passed over."""
    monkeypatch.setattr(clients, "_AT_ONCE", 1000)
    monkeypatch.setattr(clients, "PIECE", 500)
    path = written(home, came(1))
    with clients.Follower(find(path).end, [U]) as follower:
        appended(path, *(came(number) for number in range(2, 90)))
        os.rename(path, path + ".1")
        appended(path, came(90, age=50))
        numbers: t.List[t.Optional[int]] = []
        for _look in range(99):
            numbers += [number for _kind, number in kinds(follower)]
        assert numbers == list(range(2, 91))


def test_following_much(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PIECE", 1000)
    path = written(home, came(1))
    with clients.Follower(find(path).end, [U]) as follower:
        appended(path, *(came(number) for number in range(2, 99)), "x" * 5000, "\n", came(99))
        assert [number for _kind, number in kinds(follower)] == list(range(2, 100))


# What it costs.


def test_only_what_was_written_since_the_start_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = (line("x" * 100, -9000) * 1000, line("x" * 100, -100) * 1000, line("x" * 100, 50) * 10)
    path = written(home, came(1, age=-9000), noise[0] * 50, noise[1] * 50, BEGIN, came(2), noise[2], begin="")
    assert os.path.getsize(path) > 12_000_000
    read: t.List[int] = []
    real = os.pread

    def counting(handle: int, size: int, offset: int) -> bytes:
        read.append(size)
        return real(handle, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    found = find(path)
    assert [client.client_id for client in found.clients] == [2]
    assert found.read_bytes < 1_000_000
    assert sum(read) < 4_000_000


def test_a_log_without_stamps_is_read_in_time(home: Path) -> None:
    path = home / "ckpool.log"
    with open(path, "wb") as stream:
        stream.write(came(1, age=-9000).encode())
        stream.truncate(300_000_000)  # without taking room on the disk
        stream.seek(0, os.SEEK_END)
        stream.write(("\n" + line("x", -100) * 9000 + BEGIN + came(2)).encode())
    start = time.process_time()
    assert ids(str(path)) == [2]
    assert time.process_time() - start < 20


def test_many_who_were_dropped_take_little_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropped without having been authorised: nothing else would end the waiting for their lines."""
    monkeypatch.setattr(clients, "_MOST_GONE", 100)
    path = written(home, came(1), came(2), *(left(number) for number in range(2, 1000)))
    roll = clients._Roll(clients._Asked([U], [], []), None)
    for number in range(2000, 1000, -1):
        roll.ends_with(left(number).encode()[:-1], Clock(UTC))
        assert len(roll._gone) <= 100
    assert ids(path) == [1]


def test_more_clients_than_fit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_ROOM", 5000)
    found = find(written(home, *(came(number) for number in range(1, 99))))
    assert 5 < len(found.clients) < 15 and found.clients[0].client_id == 98
    assert not found.reaches_start and found.problems
