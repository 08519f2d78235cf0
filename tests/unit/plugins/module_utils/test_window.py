# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock and the record of a window: who holds it, who may take it over, and what is kept."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _window
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import own_folder
from ansible_collections.ckpool.fleet.plugins.module_utils._window import Held, Member, NotOpen, Piece, Store

from tests.support.explained import explained

NO_TIMES: t.Tuple[t.Any, ...] = ("x", [], float("nan"), 1e300)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "w"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> t.List[float]:
    """The time, in its only element."""
    now = [1795385226.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def opened(store: Store, run: str = "run1", **more: t.Any) -> _window.Window:
    return _window.open_window(store, run, f"alice@{run}", "1.2.0", **more)


def test_one_run_holds_it(store: Store, clock: t.List[float]) -> None:
    assert store.load() is None
    window = opened(store)
    assert (window.state, window.is_open, store.load()) == ("open", True, window)
    with pytest.raises(Held) as caught:
        opened(store, "run2")
    said = str(caught.value)
    assert explained(said) == {"Another run holds the window"}
    for part in (
        "alice@run1 (run run1) for '1.2.0' since 2026-11-22 22:07:06 UTC",
        "until 2026-11-23 00:07:06 UTC",
        "it is open",
    ):
        assert part in said
    assert "state=broken" in caught.value.hint
    assert caught.value.facts["window"]["run"] == "run1"
    assert opened(store).run == "run1", "a run that opens it again has it still"


@pytest.mark.parametrize(
    "edited",
    [
        *({name: value} for name in ("opened", "expires", "confirm_by") for value in NO_TIMES),
        *({name: 1} for name in ("report", "limits", "earlier", "controller", "state", "run")),
    ],
    ids=str,
)
def test_a_record_that_was_edited_is_refused_by_name(store: Store, edited: t.Dict[str, t.Any]) -> None:
    opened(store)
    Path(store.path).write_text(json.dumps({**json.loads(Path(store.path).read_text()), **edited}))
    with pytest.raises(PoolError, match=f"cannot be understood: {next(iter(edited))}"):
        store.load()


def test_a_lock_that_is_not_released_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.prepare()
    monkeypatch.setattr(own_folder, "LONGEST_HELD", 0.1)
    with store.locked(), pytest.raises(PoolError, match="another process holds its lock") as caught:
        opened(store)
    assert caught.value.path == f"{store.folder}/lock"
    assert opened(store).run == "run1"


def test_what_a_run_writes_down_is_printable(store: Store) -> None:
    opened(store)
    window = _window.close(store, "run1", "failed", "banner of \x1b[2J\u202e a host", {})
    assert window.msg == "banner of \\x1b[2J\\u202e a host"


def test_an_expired_hold_is_taken_over_with_all_that_is_known(store: Store, clock: t.List[float]) -> None:
    opened(store, seconds=100)
    with store.changing("run1") as window:
        window.state, window.members = "switched", [Member("main", "/run/ckpool/main", at="new")]
    clock[0] += 99
    with pytest.raises(Held):
        opened(store, "run2")
    clock[0] += 1
    window = opened(store, "run2")
    assert (window.run, window.state, window.members[0].at) == ("run2", "switched", "new")
    assert window.earlier == [{"run": "run1", "owner": "alice@run1", "opened": 1795385226, "state": "switched"}]
    with pytest.raises(NotOpen, match="was taken over by alice@run2") as caught, store.changing("run1"):
        pass
    assert explained(str(caught.value)) == {"Another run holds the window"}


@pytest.mark.parametrize("how", ["broken", "take_over"])
def test_a_hold_that_is_broken(store: Store, how: str) -> None:
    assert _window.break_hold(store) is None
    opened(store)
    if how == "broken":
        assert _window.break_hold(store) is not None
    assert opened(store, "run2", take_over="run1" if how == "take_over" else "").run == "run2"


def test_the_take_over_of_another_run_does_not_help(store: Store) -> None:
    opened(store)
    with pytest.raises(Held):
        opened(store, "run2", take_over="run0")


@pytest.mark.parametrize("run", ["", "../x", "a b", "x" * 101, "-x"])
def test_what_cannot_name_a_run(store: Store, run: str) -> None:
    with pytest.raises(BadInput):
        opened(store, run)


@pytest.mark.parametrize(
    ("state", "closes"),
    [("open", True), ("staged", True), ("confirmed", True), ("reverted", True), ("stuck", True)]
    + [(state, False) for state in ("switching", "switched", "held", "reverting")],
)
def test_what_nobody_confirmed_stays_open(store: Store, state: str, closes: bool) -> None:
    opened(store)
    with store.changing("run1") as window:
        window.state = state
    window = _window.close(store, "run1", "failed", "why", {"pools": []})
    assert (window.closed is not None) is closes
    assert (window.outcome, window.msg, window.report) == ("failed", "why", {"pools": []})
    assert [one.run for one in store.history()] == (["run1"] if closes else [])
    if closes:
        assert opened(store, "run2").earlier == []
        with pytest.raises(NotOpen):
            _window.close(store, "run1", "failed", "", {})


def test_a_window_without_changes_is_not_kept(store: Store) -> None:
    opened(store)
    _window.close(store, "run1", "nothing_to_do", "", {})
    assert store.history() == []


def test_records_and_contents_that_nobody_needs_are_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_window, "_KEPT_WINDOWS", 3)
    for number in range(5):
        opened(store, f"run{number}")
        with store.changing(f"run{number}") as window:
            old = {"sha256": store.keep(b"content %d" % number), "mode": 0o644, "user": 0, "group": 0}
            window.pieces = [Piece("/etc/x", "config", old=old)]
        _window.close(store, f"run{number}", "done", "", {})
    assert [one.run for one in store.history()] == ["run4", "run3", "run2"]
    assert len(list(Path(store.folder, "kept").iterdir())) == 3
    assert store.kept(store.history()[0].pieces[0].old["sha256"]) == b"content 4"  # type: ignore[index]


def test_content_that_was_changed_is_not_believed(store: Store) -> None:
    digest = store.keep(b"as it was")
    Path(store.folder, "kept", digest).write_bytes(b"another")
    with pytest.raises(PoolError, match="is not what was kept"):
        store.kept(digest)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"run": 1}', '{"run": "x", "expires": "soon"}'])
def test_a_broken_record_is_no_free_window(store: Store, text: str) -> None:
    """It may be that of an open one."""
    store.prepare()
    Path(store.path).write_text(text)
    with pytest.raises(PoolError) as caught:
        opened(store)
    assert caught.value.reason == "bad_record"
    assert explained(str(caught.value)) == {"The record cannot be used"}
    assert Path(store.path).read_text() == text


def test_a_record_of_a_later_version_is_read(store: Store) -> None:
    window = opened(store)
    known = json.loads(Path(store.path).read_text())
    known["from_the_future"] = 1
    Path(store.path).write_text(json.dumps(known))
    assert store.load() == window


@pytest.mark.parametrize("how", ["link", "open to others", "file"])
def test_a_folder_that_is_not_ours_alone(store: Store, tmp_path: Path, how: str) -> None:
    place = Path(store.folder)
    if how == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    elif how == "file":
        place.write_text("")
    else:
        place.mkdir()
        place.chmod(0o777)
    with pytest.raises(PoolError, match="is not ours alone") as caught:
        opened(store)
    assert explained(str(caught.value)) == {"The record cannot be used"}


def test_modes(store: Store) -> None:
    opened(store)
    store.keep(b"secret")
    for place in (Path(store.folder), *Path(store.folder).rglob("*")):
        assert place.lstat().st_mode & 0o077 == 0, place


def _race(folder: str, run: str, results: t.Any) -> None:
    try:
        opened(Store(folder), run)
        results.put(run)
    except Held:
        results.put("")


def test_of_many_at_once_one_gets_it(store: Store) -> None:
    results: t.Any = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=_race, args=(store.folder, f"run{number}", results)) for number in range(8)
    ]
    for process in processes:
        process.start()
    winners = [results.get(timeout=60) for _process in processes]
    for process in processes:
        process.join(60)
    assert len([winner for winner in winners if winner]) == 1


def test_a_write_that_is_cut_off_leaves_the_record_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(store)

    def full(*_arguments: t.Any) -> t.NoReturn:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PoolError, match="No space left"), store.changing("run1") as window:
        window.state = "switched"
    monkeypatch.undo()
    assert store.load() == before
    assert [path.name for path in Path(store.folder).iterdir() if path.name.startswith(".")] == []
