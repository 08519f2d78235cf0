# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong options, wrong paths and broken files: each failure says what, where and why."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Simulated
from tests.support.ansible import Direct, Json, Task
from tests.support.status_files import status_of

EVERY = ("ckpool_stats", "ckpool_user_info", "ckpool_health_info")
#: user names to what is said of them
BAD_NAMES = {
    "a/b": "holds '/'",
    "/etc/passwd": "holds '/'",
    "..": "holds '..'",
    "a..b": "holds '..'",
    "a\nb": "holds a newline",
    "a\0b": "holds a NUL",
    "x" * 128: "has more than 127 bytes",
    "é" * 64: "has more than 127 bytes",
    "": "is empty",
}
BAD_VALUES: list[tuple[str, Json, str]] = [
    *((name, {"timeout": value}, "timeout must be from") for name in EVERY for value in (0, -1, 601)),
    ("ckpool_stats", {"timeout": "soon"}, "timeout"),
    ("ckpool_stats", {"max_reply": 0}, "max_reply must be from"),
    ("ckpool_stats", {"source": "hearsay"}, "source"),
    ("ckpool_stats", {"sockets": "x"}, "sockets"),
    ("ckpool_user_info", {"limit": 0}, "limit must be from"),
    ("ckpool_user_info", {"limit": "few"}, "limit"),
    ("ckpool_user_info", {"sort_by": "beauty"}, "sort_by"),
    ("ckpool_user_info", {"active_within": "a while"}, "not a duration"),
    ("ckpool_health_info", {"skip_checks": ["all"]}, "skip_checks"),
    ("ckpool_health_info", {"thresholds": {"hashrate_min": "much"}}, "not a hashrate"),
    ("ckpool_health_info", {"thresholds": {"reject_ratio_warning": 101}}, "reject_ratio_warning must be from"),
    ("ckpool_health_info", {"sample_seconds": 601}, "sample_seconds must be from"),
    ("ckpool_health_info", {"thresholds": {"users_min": -1}}, "users_min must be from"),
    ("ckpool_health_info", {"socket_dirs": ["/x"]}, "socket_dirs"),
]


@pytest.fixture(scope="module")
def pool(place: Callable[[], Path]) -> Iterator[Simulated]:
    with Simulated(place(), users=2) as made:
        yield made


@pytest.fixture(scope="module")
def refusals(direct: Direct, pool: Simulated) -> list[Json]:
    """The results of every bad name and value, in their order."""
    where = {"socket_dir": str(pool.socket_dir)}
    names: list[Task] = [("ckpool_user_info", {**where, "users": ["good", name]}) for name in BAD_NAMES]
    before = pool.asked()
    found = direct.modules(names + [(module, {**where, **options}) for module, options, _text in BAD_VALUES])
    assert pool.asked() == before, "nothing is asked because of them"
    return found


@pytest.mark.parametrize("number", range(len(BAD_NAMES)))
def test_user_names_that_cannot_be(number: int, refusals: list[Json]) -> None:
    result = refusals[number]
    assert result["failed"]
    assert (result["phase"], result["reason"]) == ("options", "bad_user_name")
    assert list(BAD_NAMES.values())[number] in result["msg"]
    assert repr(list(BAD_NAMES)[number]) in result["msg"]


@pytest.mark.parametrize("number", range(len(BAD_VALUES)))
def test_values_that_cannot_be(number: int, refusals: list[Json]) -> None:
    result = refusals[len(BAD_NAMES) + number]
    assert result["failed"]
    assert BAD_VALUES[number][2] in result["msg"]


# Paths


@pytest.fixture(scope="module")
def paths(direct: Direct, place: Callable[[], Path]) -> Iterator[dict[tuple[str, str], Json]]:
    """The results of each module for paths without a pool, by module and kind of path."""
    folder = place()
    folder.mkdir()
    (folder / "empty").mkdir()
    (folder / "file").write_text("")
    (folder / "files").mkdir()
    (folder / "datagrams").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(folder / "datagrams" / "stratifier"))
        for name in ("listener", "stratifier", "connector", "generator"):
            (folder / "files" / name).write_text("")
        kinds = ("absent", "empty", "file", "files", "datagrams")
        tasks: dict[tuple[str, str], Task] = {
            (module, kind): (module, {"socket_dir": str(folder / kind)}) for module in EVERY for kind in kinds
        }
        for kind in kinds:
            options = {"socket_dir": str(folder / kind), "source": "guide", "fail_when_down": True}
            tasks["forced", kind] = ("ckpool_stats", options)
        yield dict(zip(tasks, direct.modules(tasks.values()), strict=True))


@pytest.mark.parametrize("kind", ["absent", "empty", "file", "files", "datagrams"])
def test_paths_where_no_pool_is(kind: str, paths: dict[tuple[str, str], Json]) -> None:
    for module in EVERY:
        result = paths[module, kind]
        assert not result["failed"], result["msg"]
        assert result["instance"]["state"] == "down"
        assert result["instance"]["pid"] is None
        assert "down" in result["msg"]
    checks = {check["name"]: check for check in paths["ckpool_health_info", kind]["health"]["checks"]}
    reasons = {"files": "not_a_socket", "datagrams": "not_a_socket"}
    assert checks["socket_stratifier"]["reason"] == reasons.get(kind, "absent")
    assert checks["socket_stratifier"]["hint"]
    assert paths["forced", kind]["failed"]
    assert paths["ckpool_stats", kind]["problems"]["stats"]


# Files


def cut(text: str) -> str:
    return text[: len(text) // 2]


BROKEN: dict[str, Callable[[str], bytes]] = {
    "empty": lambda _text: b"",
    "half": lambda text: cut(text).encode(),
    "one line": lambda text: text.splitlines()[0].encode(),
    "garbage": lambda _text: b"\xff\xfe\0\x80" * 100,
    "no object": lambda _text: b"[1, 2]\n3\n4\n",
    "deep": lambda _text: b"[" * 100_000,
    "bad numbers": lambda text: text.replace('"hashrate1m": "', '"hashrate1m": "x').encode(),
}
#: those of which some lines can still be used
PARTLY = {"half", "one line"}


@pytest.fixture(scope="module")
def broken(direct: Direct, pool: Simulated, place: Callable[[], Path]) -> dict[tuple[str, str], Json]:
    """The results for a running pool whose files are broken in one way each."""
    good = (pool.log_dir / "pool" / "pool.status").read_text()
    tasks: dict[tuple[str, str], Task] = {}
    for word, spoil in BROKEN.items():
        logs = copy_of(pool, place())
        (logs / "pool" / "pool.status").write_bytes(spoil(good))
        for user in list((logs / "users").iterdir())[:1]:
            user.write_bytes(spoil(user.read_text()))
        for module in EVERY:
            tasks[module, word] = (module, {"socket_dir": str(pool.socket_dir), "log_dir": str(logs)})
    for word, folder in (("no folder", str(place())), ("a pipe", str(piped(place())))):
        for module in EVERY:
            tasks[module, word] = (module, {"socket_dir": str(pool.socket_dir), "log_dir": folder})
    return dict(zip(tasks, direct.modules(tasks.values()), strict=True))


def copy_of(pool: Simulated, folder: Path) -> Path:
    """A copy of its log directory."""
    for path in [pool.log_dir / "pool" / "pool.status", *(pool.log_dir / "users").iterdir()]:
        target = folder / path.relative_to(pool.log_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (folder / "ckpool.log").write_bytes((pool.log_dir / "ckpool.log").read_bytes())
    return folder


def piped(folder: Path) -> Path:
    """A log directory whose status file blocks a reader that opens it."""
    import os

    (folder / "pool").mkdir(parents=True)
    (folder / "users").mkdir()
    os.mkfifo(folder / "pool" / "pool.status")
    os.mkfifo(folder / "users" / "alice")
    return folder


@pytest.mark.parametrize("word", BROKEN)
def test_broken_status_file(word: str, pool: Simulated, broken: dict[tuple[str, str], Json]) -> None:
    result = broken["ckpool_stats", word]
    if word == "bad numbers":
        assert not result["failed"], result["msg"]
        assert (result["stats"]["hashrate1m"], result["stats"]["users"]) == (None, 2)
        assert "hashrate1m" in result["problems"]["pool.status"]
        return
    if word in PARTLY:
        assert not result["failed"], result["msg"]
        assert result["stats"]["workers"] == status_of(pool.log_dir)["Workers"]
        assert result["stats"]["accepted"] is None
        assert "pool.status" in result["problems"]
        return
    assert result["failed"]
    assert result["phase"] == "parse"
    assert result["state"] == "ok", "what was learned before it failed is kept"
    assert result["path"].endswith("pool/pool.status")
    assert result["hint"]


@pytest.mark.parametrize("word", BROKEN)
def test_broken_user_file(word: str, broken: dict[tuple[str, str], Json]) -> None:
    """The other user is returned, and what is whole of the broken one; problems name it, with the reason."""
    result = broken["ckpool_user_info", word]
    assert not result["failed"], result["msg"]
    assert len(result["users"]) == (2 if word in ("half", "bad numbers") else 1)
    assert [why for name, why in result["problems"].items() if name not in ("as_of", "pool.status")]


@pytest.mark.parametrize("word", [*BROKEN, "no folder", "a pipe"])
def test_health_is_told_without_files(word: str, broken: dict[tuple[str, str], Json]) -> None:
    result = broken["ckpool_health_info", word]
    assert not result["failed"]
    assert result["health"]["state"] in ("ok", "degraded")
    assert result["clients"] == 4
    assert result["problems"]
    if word not in PARTLY | {"bad numbers"}:
        assert result["stats"] is None


@pytest.mark.parametrize("word", ["no folder", "a pipe"])
def test_files_that_are_none(word: str, broken: dict[tuple[str, str], Any]) -> None:
    stats, users = broken["ckpool_stats", word], broken["ckpool_user_info", word]
    assert stats["failed"]
    assert (stats["phase"], stats["reason"]) == ("read", "absent" if word == "no folder" else "not_a_file")
    assert stats["path"].endswith("pool/pool.status")
    assert users["failed"] == (word == "no folder")
