# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at a path, and putting a link, a file or nothing there."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import place
from ansible_collections.ckpool.fleet.plugins.module_utils._host.put import Attributes

OURS = Attributes(os.geteuid(), os.getegid(), 0o640)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that nobody else can write to, on no way that others can."""
    return tmp_path


def test_a_file(folder: Path) -> None:
    path = str(folder / "x")
    assert place.look(path) is None
    assert place.put_file(path, b"one", OURS)
    assert place.look(path) == place.File(b"one", OURS)
    assert not place.put_file(path, b"one", OURS), "nothing new"
    assert place.put_file(path, b"one", Attributes(OURS.user, OURS.group, 0o600))
    assert place.put_file(path, b"two", OURS)
    assert place.put_nothing(path) and not place.put_nothing(path)
    assert list(folder.iterdir()) == []


def test_a_link(folder: Path) -> None:
    path = str(folder / "current")
    assert place.put_link(path, "releases/1")
    assert place.look(path) == "releases/1"
    assert not place.put_link(path, "releases/1")
    assert place.put_link(path, "releases/2")
    assert os.readlink(path) == "releases/2"
    assert place.put_file(path, b"x", OURS), "a file in the place of a link"
    assert not os.path.islink(path)
    assert [entry.name for entry in folder.iterdir()] == ["current"]


def test_a_link_is_replaced_and_not_followed(folder: Path) -> None:
    target = folder / "target"
    target.write_text("kept")
    (folder / "x").symlink_to(target)
    place.put_file(str(folder / "x"), b"new", OURS)
    assert target.read_text() == "kept"


def test_a_full_disk_may_still_allow_to_write_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(folder / "x")
    place.put_file(path, b"before, and longer", OURS)

    def full(**_arguments: t.Any) -> t.NoReturn:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert place.put_file(path, b"after", OURS)
    assert place.look(path) == place.File(b"after", OURS)
    with pytest.raises(PoolError, match="No space left on device"):
        place.put_file(str(folder / "new"), b"x", OURS)


@pytest.mark.parametrize("path", ["x", "/etc/../x", "/etc//x", "/etc/x/"])
def test_odd_paths(path: str) -> None:
    with pytest.raises(PoolError, match="no absolute path without detours"):
        place.look(path)


@pytest.mark.parametrize("what", ["open to others", "absent"])
def test_a_folder_that_others_can_write_to(folder: Path, what: str) -> None:
    inner = folder / "inner"
    if what != "absent":
        inner.mkdir()
        inner.chmod(0o777)
    for work in (
        lambda path: place.put_file(path, b"", OURS),
        lambda path: place.put_link(path, "y"),
        place.put_nothing,
    ):
        with pytest.raises(PoolError, match="can be changed by others than root"):
            work(str(inner / "x"))


def test_neither_a_link_nor_a_file(folder: Path) -> None:
    (folder / "x").mkdir()
    with pytest.raises(PoolError, match="neither a link nor a file"):
        place.look(str(folder / "x"))


def test_room(folder: Path) -> None:
    place.require_room([str(folder), str(folder)], 1)
    with pytest.raises(PoolError, match="are wanted") as caught:
        place.require_room([str(folder)], 2**60)
    assert caught.value.reason == "disk_full"
