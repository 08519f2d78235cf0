# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of a process: by whom, for whom, and what becomes of a memory that is broken or another's."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _memory
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host import own_folder
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process as own_process
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import start_ticks
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance

from tests.support import DEADLINE

BROKEN = {
    "empty": b"",
    "half": b'{"a": {"b": 1',
    "no text": b"\xff\xfe\0",
    "a list": b"[1, 2]",
    "a number": b"7",
    "deep": b"[" * 100_000,
    "too large": b" " * (16 * 1024 * 1024 + 1),
}


def process(pid: int = 4242, ticks: t.Optional[int] = 99, state: str = "alive") -> Instance:
    """An instance with that process."""
    return Instance("/tmp/s", "ckpool", pid=pid, pid_state=state, start_ticks=ticks)


def key_of(instance: Instance) -> str:
    key = _memory.key(instance)
    assert key is not None
    return key


def test_what_is_remembered_adds_up(memory: Path) -> None:
    _memory.remember(process(), loglevel=7)
    _memory.remember(process(), gate="rejecting")
    assert _memory.recall(process()) == {"loglevel": 7, "gate": "rejecting"}
    _memory.remember(process(), loglevel=5, returns=None)
    assert _memory.recall(process()) == {"loglevel": 5, "gate": "rejecting", "returns": None}


def test_it_is_void_for_any_other_process(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _memory.remember(process(), loglevel=7)
    for other in (process(pid=4243), process(ticks=100), process(ticks=None), process(state="dead")):
        assert _memory.recall(other) == {}
    monkeypatch.setattr(own_process, "boot_id", lambda: "another boot")
    assert _memory.recall(process()) == {}


def test_nothing_is_written_of_no_process(memory: Path) -> None:
    _memory.remember(process(state="dead"), loglevel=7)
    _memory.remember(process(ticks=None), loglevel=7)
    assert not memory.exists()


def test_the_key_has_the_boot_of_this_machine() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot and key_of(process()) == f"{boot}:4242:99"


def test_nobody_else_may_look_into_it(memory: Path) -> None:
    _memory.remember(process(), loglevel=7)
    assert memory.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in memory.iterdir())
    assert {path.name for path in memory.iterdir()} == {"lock", "memory.json"}


def test_every_user_has_a_memory_of_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert _memory.folder() == "/run/ckpool.fleet"
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert _memory.folder() == "/tmp/ckpool.fleet-1234"


def test_a_user_knows_that_root_may_know_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_memory, "_ROOTS", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not _memory.is_hidden()
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert _memory.is_hidden()
    monkeypatch.setattr(_memory, "_ROOTS", str(tmp_path / "none"))
    assert not _memory.is_hidden(), "root has told no pool anything"


def test_the_oldest_are_forgotten_first(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "_MOST", 3)
    for pid in (1, 2, 3):
        _memory.remember(process(pid), loglevel=pid)
    _memory.remember(process(1), gate="accepting")  # which makes it the newest
    _memory.remember(process(4), loglevel=4)
    assert [bool(_memory.recall(process(pid))) for pid in (1, 2, 3, 4)] == [True, False, True, True]
    assert _memory.recall(process(1)) == {"loglevel": 1, "gate": "accepting"}


def test_writers_do_not_undo_one_another(memory: Path) -> None:
    threads = [
        threading.Thread(target=_memory.remember, args=(process(pid),), kwargs={"n": pid}) for pid in range(1, 41)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert [_memory.recall(process(pid)) for pid in range(1, 41)] == [{"n": pid} for pid in range(1, 41)]


@pytest.mark.parametrize("word", BROKEN)
def test_a_broken_memory_is_forgotten_and_written_anew(word: str, memory: Path) -> None:
    memory.mkdir(mode=0o700)
    (memory / "memory.json").write_bytes(BROKEN[word])
    assert _memory.recall(process()) == {}
    _memory.remember(process(), loglevel=6)
    assert _memory.recall(process()) == {"loglevel": 6}


@pytest.mark.parametrize("facts", [None, 7, "text", [1], True])
def test_facts_that_are_none_are_forgotten_and_written_anew(facts: t.Any, memory: Path) -> None:
    memory.mkdir(mode=0o700)
    (memory / "memory.json").write_text(json.dumps({key_of(process()): facts, "other": {"kept": 1}}))
    assert _memory.recall(process()) == {}
    _memory.remember(process(), loglevel=6)
    assert _memory.recall(process()) == {"loglevel": 6}
    assert json.loads((memory / "memory.json").read_text())["other"] == {"kept": 1}


# Folders that are not ours alone


def foreign_folder(folder: Path) -> None:
    """One that holds what would be believed."""
    folder.mkdir(mode=0o700)
    (folder / "memory.json").write_text(json.dumps({key_of(process()): {"loglevel": 0}}))


def a_link(folder: Path) -> None:
    foreign_folder(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def a_dangling_link(folder: Path) -> None:
    folder.symlink_to(folder.with_name("nowhere"))


def a_file(folder: Path) -> None:
    folder.write_text("")


def writable_by_all(folder: Path) -> None:
    foreign_folder(folder)
    folder.chmod(0o777)


def writable_by_the_group(folder: Path) -> None:
    foreign_folder(folder)
    folder.chmod(0o770)


@pytest.mark.parametrize("spoil", [a_link, a_dangling_link, a_file, writable_by_all, writable_by_the_group])
def test_a_folder_that_is_not_ours_alone_is_neither_read_nor_written(
    spoil: t.Callable[[Path], None], memory: Path
) -> None:
    spoil(memory)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in memory.parent.rglob("*.json"))
    assert _memory.recall(process()) == {}
    with pytest.raises(Unreadable) as caught:
        _memory.remember(process(), loglevel=7)
    assert str(memory) in str(caught.value) and caught.value.path == str(memory)
    assert caught.value.phase == "read" and caught.value.hint
    assert sorted((str(path), path.stat().st_mtime_ns) for path in memory.parent.rglob("*.json")) == before


def test_another_user_s_folder_is_neither_read_nor_written(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign_folder(memory)
    assert _memory.recall(process()) == {"loglevel": 0}
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert _memory.recall(process()) == {}
    with pytest.raises(Unreadable, match="not ours alone"):
        _memory.remember(process(), loglevel=7)
    assert [path.name for path in memory.iterdir()] == ["memory.json"]


def test_a_folder_that_cannot_be_made(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "folder", lambda: str(memory / "not" / "there"))
    assert _memory.recall(process()) == {}
    with pytest.raises(Unreadable, match="No such file") as caught:
        _memory.remember(process(), loglevel=7)
    assert "next task" in caught.value.hint


# Files in it that are not ours, or no files


@pytest.mark.parametrize("name", ["lock", "memory.json.new"])
def test_links_in_it_are_not_followed(name: str, memory: Path) -> None:
    memory.mkdir(mode=0o700)
    target = memory.with_name("target")
    target.write_text("precious")
    (memory / name).symlink_to(target)
    with pytest.raises(Unreadable):
        _memory.remember(process(), loglevel=7)
    assert target.read_text() == "precious"


def test_a_memory_that_is_a_link_is_replaced_and_its_target_kept(memory: Path) -> None:
    memory.mkdir(mode=0o700)
    target = memory.with_name("target")
    target.write_text("precious")
    (memory / "memory.json").symlink_to(target)
    _memory.remember(process(), loglevel=7)
    assert target.read_text() == "precious" and not (memory / "memory.json").is_symlink()
    assert _memory.recall(process()) == {"loglevel": 7}


@pytest.mark.parametrize("name", ["lock", "memory.json", "memory.json.new"])
def test_folders_in_its_place(name: str, memory: Path) -> None:
    (memory / name / "full").mkdir(parents=True)
    memory.chmod(0o700)
    assert _memory.recall(process()) == {}
    with pytest.raises(Unreadable):
        _memory.remember(process(), loglevel=7)


def test_a_pipe_in_its_place_does_not_block(memory: Path) -> None:
    memory.mkdir(mode=0o700)
    os.mkfifo(memory / "memory.json")
    assert _memory.recall(process()) == {}
    _memory.remember(process(), loglevel=7)
    assert _memory.recall(process()) == {"loglevel": 7}


# What is left of processes that are gone


@pytest.fixture
def ended() -> t.Tuple[int, int]:
    """The pid and the start of a process that is gone."""
    child = subprocess.Popen(["sleep", "60"])
    started = start_ticks(child.pid)
    child.kill()
    child.wait()
    assert started is not None
    return child.pid, started


def old(path: Path, seconds: float = 7200.0) -> Path:
    """A file that was written a while ago."""
    path.write_text("x")
    os.utime(path, (time.time() - seconds,) * 2)
    return path


KINDS = ["asked-0123456789abcdef-{}-{}.json", "asked-0123456789abcdef-{}-{}.lock", "asked-0123456789abcdef-{}-{}.json.new",
         "ckpool-fleet-loglevel-{}-{}.zip", "ckpool-fleet-accept-anyway-{}-{}.zip"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_kept_for_a_process_that_is_gone_is_removed(memory: Path, ended: t.Tuple[int, int], kind: str) -> None:
    memory.mkdir(mode=0o700)
    own = old(memory / kind.format(os.getpid(), start_ticks(os.getpid())))
    gone, other_start = old(memory / kind.format(*ended)), old(memory / kind.format(os.getpid(), 5))
    fresh = old(memory / kind.format(ended[0], 77), 0)
    _memory.tidy(str(memory))
    assert not gone.exists() and not other_start.exists() and fresh.exists()
    assert own.exists() is (not kind.endswith((".json", ".new"))), "an answer is old after a second"


def test_what_names_no_process_is_removed_by_its_age(memory: Path) -> None:
    memory.mkdir(mode=0o700)
    names = ["asked-0123456789abcdef.lock", "asked-0123456789abcdef.json", "asked-0123456789abcdef-0-0.lock"]
    kept = [old(memory / name, 30) for name in names]
    _memory.tidy(str(memory))
    assert all(path.exists() for path in kept)
    left = [old(memory / name) for name in names]
    others = [
        old(memory / name) for name in ("memory.json", "lock", "asked-x.lock", "mine.zip", "asked-0123456789abcdef.txt")
    ]
    _memory.tidy(str(memory))
    assert not any(path.exists() for path in left) and all(path.exists() for path in others)


def test_the_code_of_a_timer_that_waits_is_kept(
    memory: Path, ended: t.Tuple[int, int], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fail without, where it has only to find that the process is gone, and it removes its code itself."""
    monkeypatch.setattr(_memory, "_TRANSIENT", str(home / "units"))
    memory.mkdir(mode=0o700)
    unit = "ckpool-fleet-loglevel-{}-{}".format(*ended)
    code = old(memory / f"{unit}.zip")
    (home / "units").mkdir()
    (home / "units" / f"{unit}.timer").write_text("")
    _memory.tidy(str(memory))
    assert code.exists()
    (home / "units" / f"{unit}.timer").unlink()
    _memory.tidy(str(memory))
    assert not code.exists()


def test_so_many_at_a_time(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_folder, "_MOST_REMOVED", 10)
    memory.mkdir(mode=0o700)
    for number in range(25):
        old(memory / f"asked-{number:016x}.lock")
    left = []
    for _turn in range(3):
        _memory.tidy(str(memory))
        left.append(len(list(memory.iterdir())))
    assert left == [15, 5, 0]


def test_odd_things_are_left_alone(memory: Path) -> None:
    """A link is removed and not what it leads to; a folder stays, and stops nothing."""
    memory.mkdir(mode=0o700)
    target = old(memory.with_name("target"))
    (memory / "asked-0000000000000000.lock").mkdir()
    link = memory / "asked-0000000000000001.lock"
    link.symlink_to(target)
    os.utime(link, (1.0, 1.0), follow_symlinks=False)
    last = old(memory / "asked-0000000000000002.lock")
    _memory.tidy(str(memory))
    assert target.exists() and not link.is_symlink() and not last.exists()
    _memory.tidy(str(memory / "nowhere"))


def test_other_boots_are_forgotten_and_of_ended_processes_the_oldest(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_memory, "_MOST_ENDED", 2)
    own = process(os.getpid(), start_ticks(os.getpid()))
    with monkeypatch.context() as earlier:
        earlier.setattr(own_process, "boot_id", lambda: "11111111-2222-3333-4444-555555555555")
        _memory.remember(process(9), n=9)
    _memory.remember(own, n=0)
    for pid in (1, 2, 3):
        _memory.remember(process(pid), n=pid)
    known = json.loads((memory / "memory.json").read_text())
    assert list(known) == [key_of(own), key_of(process(2)), key_of(process(3))]
    assert _memory.recall(own) == {"n": 0}


# Whose folder it is


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (a_link, "is a link"), (a_dangling_link, "is a link"), (a_file, "is no folder"),
        (writable_by_all, "others may write"), (writable_by_the_group, "others may write"),
    ],
)  # fmt: skip
def test_why_it_is_refused_is_said(memory: Path, spoil: t.Callable[[Path], None], why: str) -> None:
    assert _memory.refusal() == "" and not memory.exists()
    spoil(memory)
    assert why in _memory.refusal() and str(memory) in _memory.refusal()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_is_refused_by_name(memory: Path) -> None:
    foreign_folder(memory)
    os.chown(memory, 4711, 4711)
    assert "belongs to" in _memory.refusal() and "4711" in _memory.refusal()


def test_a_place_where_others_could_exchange_it_is_refused(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = memory.parent / "open"
    parent.mkdir()
    monkeypatch.setattr(_memory, "folder", lambda: str(parent / "memory"))
    parent.chmod(0o777)
    with pytest.raises(Unreadable, match="exchange"):
        _memory.remember(process(), loglevel=7)
    assert "exchange" in _memory.refusal()
    parent.chmod(0o1777)
    assert _memory.refusal() == ""


def test_a_folder_that_others_may_look_into_is_closed(memory: Path) -> None:
    memory.mkdir(mode=0o755)
    memory.chmod(0o755)
    _memory.remember(process(), loglevel=7)
    assert memory.stat().st_mode & 0o777 == 0o700 and _memory.recall(process()) == {"loglevel": 7}
