# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of users and workers: three layouts, caught half written, corrupt, stale, or of any length."""

from __future__ import annotations

import json
import os
import re
import textwrap
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._records import UserStats
from ansible_collections.ckpool.fleet.plugins.module_utils._sources import user_files as files
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.user_files import UserFiles

from tests.support import laid_out

NOW = 1795385500
COUNTS = json.dumps({"runtime": 60, "lastupdate": NOW, "Users": 1, "Workers": 2, "Idle": 0, "Disconnected": 0})
RATES = json.dumps({"hashrate1m": "38.5M", "hashrate5m": "1e+03T", "hashrate1hr": "0"})
SHARES = json.dumps({"diff": 0.1, "accepted": 10, "rejected": 1, "bestshare": 5, "SPS1m": 0.5})
USER = {
    "hashrate1m": "14.1M",
    "lastshare": NOW - 60,
    "workers": 1,
    "shares": 2,
    "bestshare": 2.5,
    "authorised": NOW - 600,
}


def user_text(name: str, **changes: t.Any) -> str:
    """A user's file in the layout of 2025."""
    worker = {"workername": f"{name}.rig0", "hashrate1m": "14.1M", "lastshare": NOW - 60, "shares": 2}
    return json.dumps({**USER, "worker": [worker], **changes}, indent=1)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """An empty log directory."""
    for folder in ("pool", "users"):
        (tmp_path / folder).mkdir()
    return tmp_path


def by_name(source: UserFiles, names: t.Optional[t.Sequence[str]] = None, since: float = 0.0) -> t.Dict[str, UserStats]:
    """The users, by their names."""
    return {user.user: user for user in source.users(names, since)}


def test_the_users_of_2017_have_their_workers_beside_them(tmp_path: Path) -> None:
    source = UserFiles(str(laid_out("ckpool-0.9.4-2017", tmp_path)))
    found = by_name(source)
    assert {name: [worker.worker for worker in user.workers] for name, user in found.items()} == {
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa": ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.rig1"],
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT": [
            "1BoatSLRHtKNngkdXEeobR76b53LETtpyT.rig0",
            "1BoatSLRHtKNngkdXEeobR76b53LETtpyT.rig3",
        ],
        "1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp": ["1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp.rig2"],
    }
    user = found["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"]
    assert (user.updated, user.last_share, user.authorised, user.shares) == (1795385485, None, None, 0)
    assert all(worker.user == user.user and worker.hashrate1m == 0.0 for worker in user.workers)
    only = by_name(source, ["1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp", "nobody"])
    assert [len(user.workers) for user in only.values()] == [1]


@pytest.mark.parametrize("build", ["elopool-0.9.9-2025", "ckpool-lhr-1.0.0-2026"])
def test_the_users_of_later_builds_have_their_workers_inside(tmp_path: Path, build: str) -> None:
    source = UserFiles(str(laid_out(build, tmp_path)))
    (user,) = by_name(source).values()
    (worker,) = user.workers
    assert worker.user == user.user
    assert worker.worker.startswith(user.user + ".rig")
    assert worker.hashrate1m == user.hashrate1m and worker.last_share == user.last_share
    assert user.authorised is not None
    assert user.updated == pytest.approx(time.time(), abs=60)  # of the file, as no field tells
    assert source.problems == {}


def test_a_user_that_is_just_being_written_is_read_once_more(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = logs / "users" / "alice"
    path.write_text("")
    monkeypatch.setattr(time, "sleep", lambda _seconds: path.write_text(user_text("alice")))
    source = UserFiles(str(logs))
    assert by_name(source)["alice"].shares == 2
    assert source.problems == {}


def test_without_the_folder_of_users_there_is_an_error_and_a_name_is_unknown(tmp_path: Path) -> None:
    source = UserFiles(str(tmp_path))
    with pytest.raises(Unreadable, match="cannot list"):
        by_name(source)
    assert by_name(source, ["alice"]) == {}


def test_an_integer_that_is_too_long_costs_nothing_else_of_its_user(logs: Path) -> None:
    text = user_text("alice")
    (logs / "users" / "alice").write_text(f'{text.rstrip()[:-1]}, "shares": {"9" * 5000}}}')
    source = UserFiles(str(logs))
    (alice,) = by_name(source).values()
    assert (alice.shares, alice.hashrate1m is None) == (None, False)
    assert "shares" in source.problems["alice"]


CORRUPT = ["", "{", "junk", "[]", "null", '"text"', "\0\0\0", "{}", '{"worker', "[" * 100_000, '{"a":' + "[" * 100_000]


@pytest.mark.parametrize("text", CORRUPT)
def test_a_corrupt_user_is_named_and_the_others_are_kept(logs: Path, text: str) -> None:
    (logs / "users" / "broken").write_text(text)
    for name in ("alice", "bob"):
        (logs / "users" / name).write_text(user_text(name))
    source = UserFiles(str(logs))
    assert set(by_name(source)) == {"alice", "bob"}
    assert set(source.problems) == {"broken"} or text == "{}"
    assert set(by_name(UserFiles(str(logs)), ["broken", "bob"])) == {"bob"}


ODD = [
    ({"hashrate1m": "junk"}, ["hashrate1m"], 1),
    ({"hashrate1m": "1.5p"}, ["hashrate1m"], 1),
    ({"shares": []}, ["shares"], 1),
    ({"lastshare": "soon"}, ["last_share"], 1),
    ({"lastshare": 10**18}, ["last_share"], 1),
    ({"bestshare": float("nan")}, ["best_share"], 1),
    ({"shares": float("inf"), "authorised": 10**299}, ["shares", "authorised"], 1),
    ({"worker": 5}, [], 0),
    ({"worker": {"a": 1}}, [], 0),
    ({"worker": [5]}, [], 0),
    ({"worker": [5, {"workername": "alice.rig0", "hashrate1m": "14.1M"}, "x"]}, [], 1),
]


@pytest.mark.parametrize("fields,empty,workers", ODD)
@pytest.mark.parametrize("long", [False, True])
def test_an_odd_field_of_a_user_is_null_and_named_and_the_rest_is_kept(
    logs: Path, fields: t.Dict[str, t.Any], empty: t.List[str], workers: int, long: bool
) -> None:
    padding = {"padding": "x" * 300_000} if long else {}  # then it is not parsed at once
    (logs / "users" / "alice").write_text(user_text("alice"))
    (logs / "users" / "bob").write_text(user_text("bob"))
    expected = by_name(UserFiles(str(logs)))["alice"].as_dict()
    (logs / "users" / "alice").write_text(user_text("alice", **padding, **fields))
    source = UserFiles(str(logs))
    found = by_name(source)
    assert set(found) == {"alice", "bob"} and set(source.problems) == {"alice"}
    user = found["alice"].as_dict()
    assert all(expected[name] is not None for name in empty)
    known = {name: expected[name] for name in expected if name not in (*empty, "workers", "updated")}
    assert {name: user[name] for name in known} == known and all(user[name] is None for name in empty)
    assert len(user["workers"]) == workers
    assert all(name in source.problems["alice"] for name in fields)


def test_an_odd_field_of_a_worker_costs_neither_it_nor_its_user(logs: Path) -> None:
    rows = [
        {"workername": "alice.a", "hashrate1m": "junk", "hashrate5m": "2M"},
        {"workername": "alice.b", "hashrate1m": "1M", "lastshare": []},
        {"hashrate1m": "3M"},
        {"workername": ["x"], "hashrate1m": "4M"},
    ]
    (logs / "users" / "alice").write_text(user_text("alice", worker=rows))
    source = UserFiles(str(logs))
    user = by_name(source)["alice"]
    assert [(worker.worker, worker.hashrate1m, worker.hashrate5m) for worker in user.workers] == [
        ("alice.a", None, 2e6), ("alice.b", 1e6, None), ("", 3e6, None), ("", 4e6, None),
    ]  # fmt: skip
    for text in ("alice.a: hashrate1m is not a hashrate: 'junk'", "alice.b: lastshare", "has no name"):
        assert text in source.problems["alice"]
    again = UserFiles(str(logs))
    assert [worker.as_dict() for worker in again.workers(None)] == [worker.as_dict() for worker in user.workers]
    assert again.problems["alice"].startswith("alice.a: hashrate1m")


def test_what_is_whole_of_a_half_written_user_is_kept(logs: Path) -> None:
    text = user_text("alice", worker=[{"workername": f"alice.{n}", "hashrate1m": "1M"} for n in range(3)])
    for cut, workers in ((text.index('"alice.1"') + 3, 1), (text.index('"alice.2"') + 3, 2), (text.index("]"), 3)):
        (logs / "users" / "alice").write_text(text[:cut])
        source = UserFiles(str(logs))
        user = by_name(source)["alice"]
        assert (user.hashrate1m, user.shares, len(user.workers)) == (14.1e6, 2, workers)
        assert "not whole" in source.problems["alice"]


def test_thousands_of_problems_are_not_all_told(logs: Path) -> None:
    for number in range(1200):
        (logs / "users" / f"user{number}").write_text(user_text(f"user{number}", shares="x"))
    rows = [{"workername": "w", "hashrate1m": "junk"}] * 5000
    (logs / "users" / "alice").write_text(user_text("alice", worker=rows))
    source = UserFiles(str(logs))
    assert len(by_name(source)) == 1201
    assert len(source.problems) == 1001 and "others" in source.problems
    source = UserFiles(str(logs))
    assert sum(1 for _worker in source.workers(["alice"])) == 5000
    assert len(source.problems["alice"]) < 2000


# What is no UTF-8


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes")
def test_a_file_whose_name_is_no_utf_8_is_told_escaped(logs: Path) -> None:
    for name in (b"b\xff", b"bad\xfe"):
        with open(os.fsencode(logs / "users") + b"/" + name, "w") as handle:
            handle.write(user_text("x") if name == b"b\xff" else "junk")
    source = UserFiles(str(logs))
    assert set(by_name(source)) == {"b\\xff"}
    assert set(source.problems) == {"bad\\xfe"}
    json.dumps(source.problems, ensure_ascii=False).encode()


@pytest.mark.parametrize("long", [False, True])
def test_text_in_a_file_that_is_no_utf_8_is_told_escaped_and_costs_nothing(logs: Path, long: bool) -> None:
    worker = b'{"workername": "alice.\xff", "hashrate1m": "1M", "useragent": "\\ud800"}'
    padding = b'"padding": "' + b"x" * 300_000 * long + b'", '
    (logs / "users" / "alice").write_bytes(
        b'{"hashrate1m": "2M", ' + padding + b'"\xfe": 1, "worker": [' + worker + b', {"workername": "\\ud800"}]}'
    )
    source = UserFiles(str(logs))
    user = by_name(source)["alice"]
    assert user.hashrate1m == 2e6
    assert [(found.worker, found.hashrate1m) for found in user.workers] == [("alice.\\xff", 1e6), ("\\ud800", None)]
    assert user.workers[0].user_agent == "\\ud800"
    json.dumps([user.as_dict(), source.problems], ensure_ascii=False).encode()


# Who left


def aged(path: Path, seconds: float) -> None:
    """Make a file that old."""
    when = time.time() - seconds
    os.utime(path, (when, when))


def test_who_was_not_written_in_this_run_or_for_minutes_is_stale(logs: Path) -> None:
    ages = {"now": 0, "minute": 60, "before": 200, "hours": 3 * 3600}
    for name, age in ages.items():
        (logs / "users" / name).write_text(user_text(name))
        aged(logs / "users" / name, age)
    source = UserFiles(str(logs), started=time.time() - 100)
    users = by_name(source)
    assert {name: user.stale for name, user in users.items()} == {
        "now": False, "minute": False, "before": True, "hours": True,
    }  # fmt: skip
    assert users["hours"].updated == pytest.approx(time.time() - 3 * 3600, abs=30)
    assert all(worker.stale == user.stale for user in users.values() for worker in user.workers)
    assert [name for name, user in by_name(UserFiles(str(logs))).items() if user.stale] == ["hours"]
    current = UserFiles(str(logs), started=time.time() - 100)
    assert {user.user for user in current.users(None, include_stale=False)} == {"now", "minute"}
    assert current.left_out == 2
    assert {worker.user for worker in current.workers(None, include_stale=False)} == {"now", "minute"}
    assert {user.user for user in current.users(["hours"], include_stale=False)} == {"hours"}
    assert {worker.user for worker in current.workers(["hours"], include_stale=False)} == {"hours"}


def test_what_a_file_says_of_its_time_counts_where_it_was_copied_since(logs: Path) -> None:
    old = int(time.time()) - 3 * 3600
    (logs / "users" / "alice").write_text(user_text("alice", lastupdate=old))
    user = by_name(UserFiles(str(logs)))["alice"]
    assert (user.updated, user.stale) == (old, True)
    assert list(UserFiles(str(logs)).users(None, include_stale=False)) == []


def test_workers_beside_that_left_are_stale_by_their_own_files(tmp_path: Path) -> None:
    logs = laid_out("ckpool-0.9.4-2017", tmp_path)
    now = int(time.time())
    for path in [*(logs / "users").iterdir(), *(logs / "workers").iterdir()]:
        is_gone = path.name.endswith("rig3")
        path.write_text(json.dumps({**json.loads(path.read_text()), "lastupdate": now - 5000 * is_gone}))
        aged(path, 5000 * is_gone)
    user = by_name(UserFiles(str(logs)), ["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"])["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"]
    assert [worker.stale for worker in user.workers] == [False, True]
    current = list(UserFiles(str(logs)).users(None, include_stale=False))
    assert [len(user.workers) for user in sorted(current, key=lambda user: user.user)] == [1, 1, 1]
    assert len(list(UserFiles(str(logs)).workers(None, include_stale=False))) == 3


def test_a_file_from_the_future_was_not_written_since_the_clock_was_set_back(logs: Path) -> None:
    (logs / "users" / "alice").write_text(user_text("alice"))
    aged(logs / "users" / "alice", -7200)
    source = UserFiles(str(logs))
    assert by_name(source)["alice"].stale is True
    assert "from the future" in source.problems["alice"]


@pytest.mark.parametrize("field", ["lastshare", "authorised"])
def test_a_time_of_a_user_from_the_future_is_kept_and_named(logs: Path, field: str) -> None:
    ahead = int(time.time()) + 7200
    (logs / "users" / "alice").write_text(user_text("alice", **{field: ahead}))
    source = UserFiles(str(logs))
    user = by_name(source)["alice"]
    assert ahead in (user.last_share, user.authorised)
    assert f"{field} is from the future" in source.problems["alice"]


# Files of any length


def write_many(path: Path, count: int) -> int:
    """A user with a number of workers, as the build of 2025 writes it, and its size in bytes."""
    with path.open("w") as handle:
        handle.write(user_text(path.name, worker=[])[:-3].rstrip().rstrip("]").rstrip())
        for number in range(count):
            row = {
                "workername": f"{path.name}.rig{number:06}", "hashrate1m": f"{number}G", "hashrate5m": "1.23T",
                "hashrate1hr": "1.23T", "hashrate1d": "1.23T", "hashrate7d": "1.23T", "lastshare": NOW, "shares": number,
                "bestshare": 2.371304023361478, "bestever": 27,
            }  # fmt: skip
            handle.write(("," if number else "") + "\n" + textwrap.indent(json.dumps(row, indent=1), "  "))
        handle.write("\n ]\n}\n")
    return path.stat().st_size


def test_the_user_with_the_most_workers_is_not_dropped_for_the_length_of_its_file(logs: Path) -> None:
    assert write_many(logs / "users" / "whale", 65_000) > 16 * 1024 * 1024
    (logs / "users" / "alice").write_text(user_text("alice"))
    source = UserFiles(str(logs))
    users = by_name(source)
    assert source.problems == {}
    assert (users["whale"].hashrate1m, len(users["whale"].workers)) == (14.1e6, 65_000)
    assert [worker.shares for worker in users["whale"].workers[::30_000]] == [0, 30_000, 60_000]


def test_the_workers_of_a_long_file_come_one_by_one_and_not_all_in_memory(logs: Path) -> None:
    size = write_many(logs / "users" / "whale", 12_000)
    peaks = []
    for count in (1_500, 12_000):
        write_many(logs / "users" / "whale", count)
        tracemalloc.start()
        try:
            assert sum(1 for _worker in UserFiles(str(logs)).workers(None)) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] and peaks[1] < size / 2


def test_a_user_with_more_workers_than_can_be_held_keeps_its_own_figures(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_WORKERS", 100)
    write_many(logs / "users" / "whale", 250)
    source = UserFiles(str(logs))
    user = by_name(source)["whale"]
    assert (user.hashrate1m, user.worker_count, len(user.workers)) == (14.1e6, 1, 100)
    assert "150 workers are not listed" in source.problems["whale"]
    assert sum(1 for _worker in source.workers(None)) == 250


@pytest.mark.parametrize("text", CORRUPT)
def test_a_corrupt_worker_beside_is_named_and_the_others_are_kept(tmp_path: Path, text: str) -> None:
    logs = laid_out("ckpool-0.9.4-2017", tmp_path)
    (logs / "workers" / "1BoatSLRHtKNngkdXEeobR76b53LETtpyT.bad").write_text(text)
    source = UserFiles(str(logs))
    assert {name: len(user.workers) for name, user in by_name(source).items()} == {
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa": 1,
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT": 2,
        "1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp": 1,
    }
    assert set(source.problems) == {"1BoatSLRHtKNngkdXEeobR76b53LETtpyT.bad"} or text == "{}"


def test_an_odd_field_of_a_worker_beside_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    logs = laid_out("ckpool-0.9.4-2017", tmp_path)
    name = "1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp.bad"
    (logs / "workers" / name).write_text('{"hashrate1m": "junk", "hashrate5m": "2M", "shares": {}}')
    source = UserFiles(str(logs))
    found = [worker for worker in source.workers(None) if worker.worker == name]
    assert [(worker.hashrate1m, worker.hashrate5m, worker.shares) for worker in found] == [(None, 2e6, None)]
    assert "hashrate1m is not a hashrate: 'junk'" in source.problems[name]


@pytest.mark.parametrize("kind", ["folder", "pipe", "huge", "dangling link"])
def test_what_is_no_file_of_a_user_hangs_nothing(logs: Path, kind: str) -> None:
    path = logs / "users" / "odd"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.touch()
        os.truncate(path, 10 * 1024**3)
    else:
        path.symlink_to("nowhere")
    (logs / "users" / "alice").write_text(user_text("alice"))
    start = time.process_time()
    assert set(by_name(UserFiles(str(logs)))) == {"alice"}
    assert set(by_name(UserFiles(str(logs)), None, 1.0)) == {"alice"}
    assert time.process_time() - start < 2


def test_thousands_of_empty_files_as_a_full_disk_leaves_them_are_not_waited_for(logs: Path) -> None:
    for number in range(2000):
        (logs / "users" / f"user{number}").touch()
    (logs / "users" / "alice").write_text(user_text("alice"))
    start = time.process_time()
    assert set(by_name(UserFiles(str(logs)))) == {"alice"}
    assert time.process_time() - start < 5


def test_a_file_that_was_not_written_lately_is_not_opened(logs: Path) -> None:
    for name in ("old", "new"):
        (logs / "users" / name).write_text(user_text(name))
    (logs / "users" / "old").write_text("whoever opens this notices")
    os.utime(logs / "users" / "old", (NOW - 5000, NOW - 5000))
    os.utime(logs / "users" / "new", (NOW - 50, NOW - 50))
    source = UserFiles(str(logs))
    assert set(by_name(source, None, NOW - 600)) == {"new"}
    assert source.problems == {}
    assert set(by_name(source, None, NOW - 50)) == {"new"}  # just in time
    by_name(source, None, NOW - 5001)
    assert set(source.problems) == {"old"}


def test_files_of_idle_users_are_not_opened_as_the_system_sees_it(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        path = logs / "users" / f"user{number}"
        path.write_text(user_text(path.name))
        when = NOW if number % 20 == 0 else NOW - 90 * 86400
        os.utime(path, (when, when))
    opened: t.List[str] = []
    real = os.open

    def counting(path: t.Any, *arguments: t.Any, **more: t.Any) -> int:
        opened.append(str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", counting)
    assert len(list(UserFiles(str(logs)).users(None, NOW - 3600))) == 10
    assert len({path for path in opened if re.search(r"user\d", path)}) == 10


def test_users_come_one_by_one_and_not_all_in_memory(logs: Path) -> None:
    for number in range(50):
        (logs / "users" / f"user{number}").write_text(user_text(f"user{number}"))
    users = UserFiles(str(logs)).users(None)
    first = next(users)
    for path in (logs / "users").iterdir():
        if path.name != first.user:
            path.write_text(user_text(path.name, shares=99))
    assert all(user.shares == 99 for user in users)
