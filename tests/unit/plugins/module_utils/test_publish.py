# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file in a folder of somebody else: written as a whole, through no link, over nothing that is not ours."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import publish, put


def write(path: Path, text: str, mode: int = 0o644) -> t.Optional[bytes]:
    """Write it; what was there before."""
    with publish.opened(str(path)) as place:
        place.replace(text.encode(), mode)
        return place.before


def test_it_is_there_with_its_mode(home: Path) -> None:
    path = home / "x.prom"
    assert write(path, "first") is None
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("first", 0o644)
    first = path.stat().st_ino
    assert write(path, "second", 0o600) == b"first"
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("second", 0o600)
    assert path.stat().st_ino != first and os.listdir(home) == ["x.prom"]
    with publish.opened(str(path)) as place:
        assert (place.before, place.mode) == (b"second", 0o600)


def test_the_umask_makes_no_difference(home: Path) -> None:
    before = os.umask(0o077)
    try:
        write(home / "x.prom", "text")
    finally:
        os.umask(before)
    assert (home / "x.prom").stat().st_mode & 0o7777 == 0o644


def link(home: Path) -> Path:
    (home / "elsewhere").mkdir()
    (home / "folder").symlink_to("elsewhere")
    return home / "folder" / "x.prom"


def linked_file(home: Path) -> Path:
    (home / "elsewhere").write_text("precious")
    (home / "x.prom").symlink_to("elsewhere")
    return home / "x.prom"


def dangling(home: Path) -> Path:
    (home / "x.prom").symlink_to("elsewhere")
    return home / "x.prom"


def hard_link(home: Path) -> Path:
    (home / "elsewhere").write_text("precious")
    (home / "x.prom").hardlink_to(home / "elsewhere") if hasattr(Path, "hardlink_to") else os.link(
        home / "elsewhere", home / "x.prom"
    )
    return home / "x.prom"


def folder(home: Path) -> Path:
    (home / "x.prom").mkdir()
    return home / "x.prom"


def pipe(home: Path) -> Path:
    os.mkfifo(home / "x.prom")
    return home / "x.prom"


def nowhere(home: Path) -> Path:
    return home / "nowhere" / "x.prom"


def below_a_file(home: Path) -> Path:
    (home / "file").write_text("precious")
    return home / "file" / "x.prom"


def of_another(home: Path) -> Path:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    (home / "x.prom").write_text("precious")
    os.chown(home / "x.prom", 65534, 65534)
    return home / "x.prom"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (link, "folder is a link, and no link is followed"),
        (linked_file, "is not replaced: it is a link"),
        (dangling, "is not replaced: it is a link"),
        (hard_link, "is not replaced: it has other names too"),
        (folder, "is not replaced: it is no regular file"),
        (pipe, "is not replaced: it is no regular file"),
        (nowhere, "No such file or directory"),
        (below_a_file, "Not a directory"),
        (of_another, "is not replaced: it belongs to nobody"),
    ],
)
def test_what_is_in_the_way_stays(home: Path, make: t.Callable[[Path], Path], why: str) -> None:
    path = make(home)
    before = sorted((str(each), os.lstat(each).st_ino) for each in home.rglob("*"))
    with pytest.raises(PoolError) as failed:
        write(path, "text")
    assert why in str(failed.value) and failed.value.path == str(path) and failed.value.hint
    assert sorted((str(each), os.lstat(each).st_ino) for each in home.rglob("*")) == before
    assert all(each.read_text() == "precious" for each in home.rglob("*") if each.is_file() and not each.is_symlink())


@pytest.mark.parametrize("path", ["x.prom", "", "/", "/tmp/", "/tmp/..", "/tmp/../etc/x.prom", "/tmp/a\0b"])
def test_what_is_no_path_of_a_file(path: str) -> None:
    with pytest.raises(BadInput, match="is no absolute path"), publish.opened(path):
        pass


def test_a_disk_without_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "x.prom"
    write(path, "good")

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(put.WriteFailed) as failed:
        write(path, "bad")
    assert "df -h" in failed.value.hint
    assert path.read_text() == "good" and os.listdir(home) == ["x.prom"]


def test_a_folder_that_is_exchanged_meanwhile(home: Path) -> None:
    """Who owns the folder above can do that: the file is then where the folder went, and nowhere else."""
    (home / "mine").mkdir()
    (home / "precious").mkdir()
    (home / "precious" / "x.prom").write_text("precious")
    with publish.opened(str(home / "mine" / "x.prom")) as place:
        (home / "mine").rename(home / "away")
        (home / "mine").symlink_to("precious")
        place.replace(b"text", 0o644)
    assert (home / "precious" / "x.prom").read_text() == "precious"
    assert (home / "away" / "x.prom").read_text() == "text"
