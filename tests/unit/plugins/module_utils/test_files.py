# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status files: three layouts, caught half written, corrupt, or not ours to read."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError, Unparsable, Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._records import UserStats
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.files import FileSource

from ..support import SAMPLES

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


def laid_out(build: str, folder: Path) -> Path:
    """The log directory that a build left, as the daemon has it."""
    for path in (SAMPLES / build).rglob("*"):
        inside = path.relative_to(SAMPLES / build)
        target = folder / ("pool/pool.status" if str(inside) == "pool.status" else inside)
        if path.is_file():
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder


def by_name(
    source: FileSource, names: t.Optional[t.Sequence[str]] = None, since: float = 0.0
) -> t.Dict[str, UserStats]:
    """The users, by their names."""
    return {user.user: user for user in source.users(names, since)}


def test_the_status_of_2017_which_has_no_shares_yet(tmp_path: Path) -> None:
    stats, as_of, raw = FileSource(str(laid_out("ckpool-0.9.4-2017", tmp_path))).stats()
    assert as_of == 1795385425
    assert (stats.users, stats.workers, stats.idle, stats.disconnected, stats.uptime) == (3, 4, 4, 0, 60)
    assert (stats.hashrate1m, stats.hashrate7d, stats.sps1m) == (0.0, 0.0, 0.0)
    assert (stats.accepted, stats.rejected, stats.best_share, stats.network_difficulty) == (None, None, None, None)
    assert len(raw) == 3


def test_the_status_of_2025(tmp_path: Path) -> None:
    source = FileSource(str(laid_out("elopool-0.9.9-2025", tmp_path)))
    stats, as_of, _raw = source.stats()
    assert as_of == 1795385524
    rates = [stats.as_dict()[f"hashrate{window}"] for window in ("1m", "5m", "15m", "1hr", "6hr", "1d", "7d")]
    assert rates == pytest.approx([14.6e6, 17.8e6, 8.14e6, 2.29e6, 395e3, 99.3e3, 14.2e3])
    assert (stats.users, stats.workers, stats.idle, stats.disconnected, stats.uptime) == (1, 1, 1, 1, 300)
    assert (stats.accepted, stats.rejected, stats.best_share) == (1, 0, 0)
    assert (stats.sps1m, stats.sps5m, stats.sps15m, stats.sps1h) == (0.0034, 0.00415, 0.0019, 0.000534)
    assert source.problems == {}


def test_the_status_of_2026_with_fields_of_its_own(tmp_path: Path) -> None:
    stats, as_of, raw = FileSource(str(laid_out("ckpool-lhr-1.0.0-2026", tmp_path))).stats()
    assert as_of == 1795385427
    assert (stats.hashrate1m, stats.hashrate1d, stats.hashrate7d) == (340e3, 357.0, 51.1)
    assert (stats.network_difficulty, stats.accepted, stats.best_share) == (8.63886e13, 0.00719, 0.0243463)
    assert raw[0]["UserAgents"][0]["ua"] == "sharer"


def test_the_users_of_2017_have_their_workers_beside_them(tmp_path: Path) -> None:
    source = FileSource(str(laid_out("ckpool-0.9.4-2017", tmp_path)))
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
    source = FileSource(str(laid_out(build, tmp_path)))
    (user,) = by_name(source).values()
    (worker,) = user.workers
    assert worker.user == user.user
    assert worker.worker.startswith(user.user + ".rig")
    assert worker.hashrate1m == user.hashrate1m and worker.last_share == user.last_share
    assert user.authorised is not None and user.updated is None
    assert source.problems == {}


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (COUNTS, {"users": 1, "hashrate1m": None, "accepted": None}),
        (COUNTS + "\n", {"users": 1, "hashrate1m": None, "accepted": None}),
        (f"{COUNTS}\n{RATES}\n", {"users": 1, "hashrate1m": 38.5e6, "accepted": None}),
        (f"{COUNTS}\n{RATES[:30]}", {"users": 1, "hashrate1m": None, "accepted": None}),
        (f"{COUNTS}\n{RATES}\n{SHARES[:-1]}", {"users": 1, "hashrate1m": 38.5e6, "accepted": None}),
        (f"junk\n{RATES}\n{SHARES}\n", {"users": None, "hashrate1m": 38.5e6, "accepted": 10}),
        (f"[1]\n{RATES}\n\xff\n", {"users": None, "hashrate1m": 38.5e6, "accepted": None}),
    ],
)
def test_of_a_half_written_status_what_is_whole_is_kept(logs: Path, text: str, has: t.Dict[str, t.Any]) -> None:
    (logs / "pool" / "pool.status").write_bytes(text.encode("latin-1"))
    source = FileSource(str(logs))
    stats = source.stats()[0].as_dict()
    assert {name: stats[name] for name in has} == has
    assert "pool.status" in source.problems["pool.status"]


@pytest.mark.parametrize(
    "text", ["", "\n\n\n", "{", "junk", COUNTS[:-1], "[]", "\0" * 4096, "\n" * 10**6, "[" * 100_000, '{"a":' * 100_000]
)
def test_a_status_without_a_whole_line_is_an_error(logs: Path, text: str) -> None:
    (logs / "pool" / "pool.status").write_text(text)
    with pytest.raises(Unparsable) as caught:
        FileSource(str(logs)).stats()
    assert caught.value.path == str(logs / "pool" / "pool.status")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("first", ["", COUNTS, f"{COUNTS}\n{RATES}\n", f"{COUNTS}\n{RATES}\n{SHARES[:9]}"])
def test_a_status_that_is_just_being_written_is_read_once_more(
    logs: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    path = logs / "pool" / "pool.status"
    path.write_text(first)
    monkeypatch.setattr(time, "sleep", lambda _seconds: path.write_text(f"{COUNTS}\n{RATES}\n{SHARES}\n"))
    source = FileSource(str(logs))
    stats = source.stats()[0]
    assert (stats.users, stats.hashrate1m, stats.accepted) == (1, 38.5e6, 10)
    assert source.problems == {}


def test_a_user_that_is_just_being_written_is_read_once_more(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = logs / "users" / "alice"
    path.write_text("")
    monkeypatch.setattr(time, "sleep", lambda _seconds: path.write_text(user_text("alice")))
    source = FileSource(str(logs))
    assert by_name(source)["alice"].shares == 2
    assert source.problems == {}


@pytest.mark.parametrize(
    "fields", [{"hashrate1m": "junk"}, {"Users": "many"}, {"lastupdate": "now"}, {"runtime": [1]}, {"accepted": True}]
)
def test_a_field_of_the_status_that_makes_no_sense_is_named(logs: Path, fields: t.Dict[str, t.Any]) -> None:
    (logs / "pool" / "pool.status").write_text(f"{COUNTS}\n{RATES}\n{SHARES}\n{json.dumps(fields)}\n")
    with pytest.raises(Unparsable):
        FileSource(str(logs)).stats()


@pytest.mark.parametrize(
    ("kind", "reason"), [("absent", "absent"), ("folder", "not_a_file"), ("pipe", "not_a_file"), ("huge", "too_large")]
)
def test_a_status_that_is_no_readable_file_is_said_so_at_once(logs: Path, kind: str, reason: str) -> None:
    path = logs / "pool" / "pool.status"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.touch()
        os.truncate(path, 10 * 1024**3)
    start = time.monotonic()
    with pytest.raises(Unreadable) as caught:
        FileSource(str(logs)).stats()
    assert (caught.value.reason, caught.value.phase, caught.value.path) == (reason, "read", str(path))
    assert time.monotonic() - start < 2


def test_without_the_folder_of_users_there_is_an_error_and_a_name_is_unknown(tmp_path: Path) -> None:
    source = FileSource(str(tmp_path))
    with pytest.raises(Unreadable, match="cannot list"):
        by_name(source)
    assert by_name(source, ["alice"]) == {}


CORRUPT = [
    "", "{", "junk", "[]", "null", '"text"', "\0\0\0", '{"hashrate1m": "junk", "worker": []}', '{"shares": [], "worker": []}',
    '{"worker": 5}', '{"worker": [5]}', '{"worker": ["x"]}', '{"worker": {"a": 1}}', '{"worker": [{"hashrate1m": {}}]}',
    '{"worker": [], "lastshare": "soon"}', '{"worker": [], "shares": NaN}', "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", CORRUPT)
def test_a_corrupt_user_is_named_and_the_others_are_kept(logs: Path, text: str) -> None:
    (logs / "users" / "broken").write_text(text)
    for name in ("alice", "bob"):
        (logs / "users" / name).write_text(user_text(name))
    source = FileSource(str(logs))
    assert set(by_name(source)) == {"alice", "bob"}
    assert set(source.problems) == {"broken"}
    assert "broken" in source.problems["broken"] or "not" in source.problems["broken"]
    assert set(by_name(FileSource(str(logs)), ["broken", "bob"])) == {"bob"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hashrate1m": "junk"}', '{"shares": {}}'])
def test_a_corrupt_worker_beside_is_named_and_the_others_are_kept(tmp_path: Path, text: str) -> None:
    logs = laid_out("ckpool-0.9.4-2017", tmp_path)
    (logs / "workers" / "1BoatSLRHtKNngkdXEeobR76b53LETtpyT.bad").write_text(text)
    source = FileSource(str(logs))
    assert {name: len(user.workers) for name, user in by_name(source).items()} == {
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa": 1,
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT": 2,
        "1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp": 1,
    }
    assert set(source.problems) == {"1BoatSLRHtKNngkdXEeobR76b53LETtpyT.bad"}


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
    start = time.monotonic()
    assert set(by_name(FileSource(str(logs)))) == {"alice"}
    assert set(by_name(FileSource(str(logs)), None, 1.0)) == {"alice"}
    assert time.monotonic() - start < 2


def test_thousands_of_empty_files_as_a_full_disk_leaves_them_are_not_waited_for(logs: Path) -> None:
    for number in range(2000):
        (logs / "users" / f"user{number}").touch()
    (logs / "users" / "alice").write_text(user_text("alice"))
    start = time.monotonic()
    assert set(by_name(FileSource(str(logs)))) == {"alice"}
    assert time.monotonic() - start < 5


def test_a_file_that_was_not_written_lately_is_not_opened(logs: Path) -> None:
    for name in ("old", "new"):
        (logs / "users" / name).write_text(user_text(name))
    (logs / "users" / "old").write_text("whoever opens this notices")
    os.utime(logs / "users" / "old", (NOW - 5000, NOW - 5000))
    os.utime(logs / "users" / "new", (NOW - 50, NOW - 50))
    source = FileSource(str(logs))
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
    assert len(list(FileSource(str(logs)).users(None, NOW - 3600))) == 10
    assert len([path for path in opened if "/users/" in path]) == 10


def test_users_come_one_by_one_and_not_all_in_memory(logs: Path) -> None:
    for number in range(50):
        (logs / "users" / f"user{number}").write_text(user_text(f"user{number}"))
    users = FileSource(str(logs)).users(None)
    first = next(users)
    for path in (logs / "users").iterdir():
        if path.name != first.user:
            path.write_text(user_text(path.name, shares=99))
    assert all(user.shares == 99 for user in users)


def test_problems_are_errors_of_the_pool_and_nothing_else() -> None:
    with pytest.raises(PoolError):
        FileSource("/nonexistent").stats()
