# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases are there as a whole or not at all, and the links lead to one at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import checksum
from ansible_collections.ckpool.fleet.plugins.module_utils._host import releases as room
from ansible_collections.ckpool.fleet.plugins.module_utils._host.releases import Releases

SCRIPT = b"#!/bin/sh\nexit 0\n"


@pytest.fixture
def store(home: Path) -> Releases:
    return Releases(str(home / "opt"))


def place(store: Releases, version: str, data: bytes = SCRIPT) -> room.Release:
    """Place a release of a program."""
    artifact = Path(store.prefix).parent / f"artifact-{version}"
    artifact.write_bytes(data)
    with store.locked(), store.draft() as draft:
        draft.take(str(artifact), "artifact")
        draft.unpack("artifact", None)
        return draft.place(version, "artifact")


def test_an_artifact_is_a_regular_file(store: Releases, home: Path) -> None:
    """Who can write to its folder could put a pipe in its place, and the task would hold the lock for ever."""
    os.mkfifo(home / "pipe")
    for path in (home / "pipe", Path("/dev/zero"), home):
        with pytest.raises(PoolError, match="not a regular file"):
            checksum.digests_of(str(path))
        with store.locked(), store.draft() as draft, pytest.raises(PoolError, match="not a regular file"):
            draft.take(str(path), "artifact")
    assert store.all() == []


def test_a_program_becomes_a_release(store: Releases) -> None:
    release = place(store, "1.0")
    assert release.program == f"{store.folder}/1.0/ckpool"
    assert os.access(release.program, os.X_OK)
    assert os.stat(release.path).st_mode & 0o777 == 0o755
    assert release.is_made_from(f"sha256:{checksum.digests_of(release.program)['sha256']}")
    assert release.is_made_from(checksum.digests_of(release.program)["sha512"])
    assert abs(release.placed - time.time()) < 60
    assert os.listdir(store.folder) == ["1.0"]


def test_the_version_that_it_bears(store: Releases) -> None:
    assert place(store, "a", b"#!/bin/sh\n\0ckpool/1.2.3\0").bears == "1.2.3"
    assert place(store, "b").bears is None


def test_it_is_switched_and_the_one_before_is_known(store: Releases) -> None:
    for version in ("1.0", "1.1"):
        place(store, version)
        store.switch(version)
    assert (store.current(), store.previous()) == ("1.1", "1.0")
    assert os.path.realpath(f"{store.prefix}/current/ckpool") == f"{store.folder}/1.1/ckpool"
    store.switch("1.1")
    assert (store.current(), store.previous()) == ("1.1", "1.0")
    store.switch("1.0")
    assert (store.current(), store.previous()) == ("1.0", "1.1")


def test_there_is_a_current_one_at_any_time(store: Releases) -> None:
    for version in ("1.0", "1.1"):
        place(store, version)
    store.switch("1.0")
    watch = (
        "import os, sys, time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end:\n"
        "    os.stat(sys.argv[1])\nprint('never missed')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", watch, f"{store.prefix}/current/ckpool"], stdout=subprocess.PIPE, text=True
    ) as watcher:
        while watcher.poll() is None:
            for version in ("1.1", "1.0"):
                store.switch(version)
        assert watcher.stdout and watcher.stdout.read() == "never missed\n"


def test_what_is_not_there_is_not_switched_to(store: Releases) -> None:
    place(store, "1.0")
    with pytest.raises(NotFound):
        store.switch("2.0")
    assert store.current() is None


@pytest.mark.parametrize("version", ["../x", "", ".new-x", "a/b", "a b", "-x", "x" * 65, "1.0\n"])
def test_what_cannot_be_a_version(store: Releases, version: str) -> None:
    with pytest.raises(BadInput):
        store.find(version)


@pytest.mark.parametrize("prefix", ["relative", "/", "//", "/x/.."])
def test_what_cannot_be_a_prefix(prefix: str) -> None:
    with pytest.raises(BadInput):
        Releases(prefix)


def test_what_a_run_has_left_that_was_cut_off_is_removed(store: Releases) -> None:
    place(store, "1.0")
    store.switch("1.0")
    left = Path(store.folder, ".new-left")
    left.mkdir()
    (left / "artifact").write_bytes(b"half")
    Path(store.prefix, ".new-current").symlink_to("releases/2.0")
    assert [release.version for release in store.all()] == ["1.0"]
    with store.locked():
        pass
    assert sorted(os.listdir(store.folder)) == ["1.0"]
    assert sorted(os.listdir(store.prefix)) == [".lock", "current", "releases"]


@pytest.mark.parametrize("step", ["rename", "symlink", "fsync", "chmod"])
def test_a_failure_leaves_what_was(store: Releases, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    place(store, "1.0")
    store.switch("1.0")

    def fail(*_arguments: object, **_options: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(PoolError) as failed:
            place(store, "2.0")
            store.switch("2.0")
    assert failed.value.reason == "write" and "df -h" in failed.value.hint
    assert store.current() == "1.0"
    with store.locked():
        assert {release.version for release in store.all()} <= {"1.0", "2.0"}
        assert not [name for name in os.listdir(store.folder) if name.startswith(".")]


def test_the_second_waits_for_the_first(store: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOCK_SECONDS", 0.3)
    with store.locked(), pytest.raises(PoolError) as failed, store.locked():
        pass
    assert failed.value.reason == "locked"


def test_old_ones_go_but_never_those_that_are_needed(store: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1000, 1010))
    monkeypatch.setattr(time, "time", lambda: next(moments))
    for version in ("1", "2", "3", "4", "5"):
        place(store, version)
    store.switch("2")
    store.switch("1")
    needed = ("5", store.current(), store.previous())
    assert store.superfluous(None, needed) == []
    assert store.superfluous(1, needed) == ["3"]
    assert store.superfluous(0, needed) == ["3", "4"]
    for version in ("1", "2"):
        with pytest.raises(PoolError) as refused:
            store.remove(version)
        assert refused.value.reason == "needed"
    store.remove("3")
    assert [release.version for release in store.all()] == ["1", "2", "4", "5"]


def test_one_that_runs_stays(store: Releases) -> None:
    release = place(store, "1.0", Path("/bin/sleep").read_bytes())
    with subprocess.Popen([str(release.program), "60"]) as running:
        try:
            assert store.superfluous(0, ()) == []
            with pytest.raises(PoolError, match="runs"):
                store.remove("1.0")
        finally:
            running.kill()
    assert store.superfluous(0, ()) == ["1.0"]


def test_one_that_was_changed_is_not_used(store: Releases) -> None:
    release = place(store, "1.0")
    Path(str(release.program)).write_bytes(SCRIPT + b"# more\n")
    with pytest.raises(PoolError) as refused:
        store.switch("1.0")
    assert refused.value.reason == "changed"
    assert store.current() is None


def test_nor_one_that_others_can_change(store: Releases) -> None:
    release = place(store, "1.0")
    os.chmod(release.path, 0o777)
    with pytest.raises(PoolError) as refused:
        store.switch("1.0")
    assert refused.value.reason == "not_trusted"


def test_a_prefix_that_others_can_write_to_is_refused(home: Path) -> None:
    (home / "open").mkdir(mode=0o777)
    (home / "open").chmod(0o777)
    with pytest.raises(PoolError) as refused, Releases(str(home / "open/opt")).locked():
        pass
    assert refused.value.reason == "not_trusted"


@pytest.mark.parametrize("kind", ["folder", "elsewhere"])
def test_a_current_that_is_not_ours(store: Releases, kind: str) -> None:
    place(store, "1.0")
    path = Path(store.prefix, "current")
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/usr/local/bin")
    with pytest.raises(PoolError) as refused:
        store.switch("1.0")
    assert refused.value.reason == "not_ours"


def test_a_record_that_is_none_costs_nothing(store: Releases) -> None:
    release = place(store, "1.0")
    record = Path(release.path, room.RECORD)
    for text in ("", "[]", "{", '{"checksums": 1, "placed": "x"}', "[" * 100_000):
        record.write_text(text)
        (found,) = store.all()
        assert found.version == "1.0" and not found.checksums and found.placed > 0
    record.write_text(json.dumps({"checksums": {"sha256": "ab"}, "placed": 7}))
    assert store.all()[0].as_dict()["checksum"] == "sha256:ab"


@pytest.mark.parametrize(
    ("files", "wanted", "found"),
    [
        ({"ckpool": True}, None, "ckpool"),
        ({"src/ckpool": True, "doc/ckpool": False}, None, "src/ckpool"),
        ({"bin/ckpool": True, "test/ckpool": True}, None, "bin/ckpool"),
        ({"a/ckpool": True, "b/ckpool": True}, None, "ambiguous_program"),
        ({"a/ckpool": True, "b/ckpool": True}, "./b//ckpool", "b/ckpool"),
        ({"elopool": True}, None, "no_program"),
        ({"elopool": False}, "elopool", "elopool"),
        ({}, "x", "no_program"),
    ],
)
def test_where_the_program_is(files: t.Dict[str, bool], wanted: t.Optional[str], found: str) -> None:
    try:
        assert room.place_of_program(files, wanted, "archive") == found
    except PoolError as exc:
        assert exc.reason == found


HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HEX, ("sha256", HEX)),
        (f"sha256:{HEX.upper()}", ("sha256", HEX)),
        (f"sha512:{HEX}{HEX}", ("sha512", HEX + HEX)),
        (f"sha256:{HEX}{HEX}", None),
        (f"sha512:{HEX}", None),
        (f"md5:{HEX[:32]}", None),
        ("sha256:https://x/SHA256SUMS", None),
        ("", None),
    ],
)
def test_checksums(text: str, found: t.Optional[t.Tuple[str, str]]) -> None:
    if found:
        assert checksum.parse_checksum(text) == found
    else:
        with pytest.raises(BadInput):
            checksum.parse_checksum(text)
