# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file is put in its place as a whole, or stays as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import put

ATTRIBUTES = put.Attributes(os.geteuid(), os.getegid(), 0o640)


def write(path: Path, text: str) -> None:
    with put.written(str(path), text.encode(), ATTRIBUTES):
        pass


def test_it_is_there_with_its_attributes(home: Path) -> None:
    path = home / "x.conf"
    assert put.look(str(path)) is None
    write(path, "first")
    info = put.look(str(path))
    assert info and not ATTRIBUTES.differ(info) and path.read_text() == "first"
    write(path, "second")
    assert path.read_text() == "second" and os.listdir(home) == ["x.conf"]
    path.chmod(0o644)
    info = put.look(str(path))
    assert info and ATTRIBUTES.differ(info)
    assert str(put.Attributes.of(info)).endswith("mode 0644")


def test_what_fails_its_trial_is_not(home: Path) -> None:
    path = home / "x.conf"
    write(path, "good")
    with pytest.raises(PoolError), put.written(str(path), b"bad", ATTRIBUTES) as fresh:
        assert Path(fresh).read_bytes() == b"bad" and Path(fresh).stat().st_mode & 0o777 == 0o640
        raise PoolError("it does not pass")
    assert path.read_text() == "good" and os.listdir(home) == ["x.conf"]


def test_a_disk_without_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "x.conf"
    write(path, "good")

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(put.WriteFailed) as failed:
        write(path, "bad")
    assert "df -h" in failed.value.hint
    assert path.read_text() == "good" and os.listdir(home) == ["x.conf"]


def test_what_is_not_ours_to_write(home: Path) -> None:
    (home / "link").symlink_to(home / "target")
    (home / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(PoolError) as refused:
            put.look(str(home / name))
        assert refused.value.reason == "not_a_file"
    for mode in (0o777, 0o1777):  # the other one such as /tmp, where anybody can be the first to make a file
        (home / "folder").chmod(mode)
        for path in (home / "folder/x", home / "gone/x"):
            with pytest.raises(PoolError) as refused:
                put.look(str(path))
            assert refused.value.reason == "not_trusted"
