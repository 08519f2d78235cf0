# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only opener of files that somebody else may have written, named or linked."""

from __future__ import annotations

import os
import socket
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import Owner

OTHER = 12345  #: a user of no account
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def test_files_are_read_up_to_a_limit(home: Path) -> None:
    path = home / "file"
    path.write_bytes(b"x" * 1000)
    assert Files().read(str(path)) == b"x" * 1000
    assert Files().read(str(path), 1000) == b"x" * 1000
    with pytest.raises(Unreadable, match="has 1000 bytes, more than 999") as caught:
        Files().read(str(path), 999)
    assert caught.value.reason == "too_large"
    assert b"Name:" in Files().read("/proc/self/status")  # which says that it has no bytes


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere", "absent"),
        ("file/x", "absent"),
        ("loop", "unreadable"),
        ("x" * 300, "unreadable"),
        (".", "not_a_file"),
    ],
)
def test_why_a_file_could_not_be_read(home: Path, path: str, reason: str) -> None:
    """Absent is what may be passed over in silence: nothing else may look like it."""
    (home / "file").touch()
    (home / "loop").symlink_to("loop")
    with pytest.raises(Unreadable) as caught:
        Files().read(str(home / path))
    assert caught.value.reason == reason


# What a daemon's user could not read


def of_user(user: int, *groups: int, root: t.Union[str, Path] = "") -> Files:
    """Opens files with the rights of a user."""
    return Files(str(root), Owner(user, user, frozenset((user, *groups))))


@pytest.fixture
def secret(home: Path) -> Path:
    """A file that only we may read, below a folder that everybody may search."""
    home.chmod(0o755)
    path = home / "secret"
    path.write_text("of root")
    path.chmod(0o600)
    return path


def reason(files: Files, path: t.Union[str, Path]) -> str:
    """Why it is not read."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(Unreadable) as caught:
        files.read(str(path))
    # What tests before this one have left may be closed meanwhile.
    assert set(os.listdir("/proc/self/fd")) <= before, "a descriptor is left open"
    assert "of root" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    "link", ["secret", "{home}/secret", "../{name}/secret", "{home}/./x/../secret", "again", "/proc/self/cwd/secret"]
)
def test_no_link_leads_to_what_the_user_may_not_read(
    home: Path, secret: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    monkeypatch.chdir(home)
    (home / "x").mkdir()
    (home / "again").symlink_to("secret")
    (home / "ckpool.log").symlink_to(link.format(home=home, name=home.name))
    assert reason(of_user(OTHER), home / "ckpool.log") == "not_permitted"
    secret.chmod(0o644)
    assert of_user(OTHER).read(str(home / "ckpool.log")) == b"of root"


@needs_root
def test_no_folder_on_the_way_is_one_that_the_user_may_not_search(home: Path) -> None:
    home.chmod(0o755)
    (home / "closed").mkdir(0o700)
    (home / "closed" / "file").write_text("of root")
    (home / "closed" / "file").chmod(0o644)
    (home / "link").symlink_to("closed/file")
    for path in ("link", "closed/file", "closed/../closed/file"):
        assert reason(of_user(OTHER), home / path) == "not_permitted"
    os.chown(home / "closed", 0, OTHER + 1)
    (home / "closed").chmod(0o710)
    assert reason(of_user(OTHER), home / "link") == "not_permitted"
    assert of_user(OTHER, OTHER + 1).read(str(home / "link")) == b"of root"


@needs_root
def test_the_class_of_the_user_decides_and_no_other(home: Path) -> None:
    """As the kernel has it: who owns a file has the rights of its owner, though all others have more."""
    home.chmod(0o755)
    path = home / "file"
    path.write_text("x")
    os.chown(path, OTHER, OTHER + 1)
    path.chmod(0o044)
    assert reason(of_user(OTHER), path) == "not_permitted"
    assert of_user(OTHER + 5).read(str(path)) == b"x"
    path.chmod(0o404)
    assert reason(of_user(OTHER + 5, OTHER + 1), path) == "not_permitted"


@pytest.mark.parametrize("link", ["/file", "../../../../file", "/a/../../file", "b/../../../file", "/root_again/file"])
def test_links_of_another_root_stay_in_it(home: Path, link: str) -> None:
    root = home / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "file").write_text("inside")
    (home / "file").write_text("outside")
    (root / "root_again").symlink_to("/")
    (root / "a" / "b" / "link").symlink_to(link if link.startswith(("/", "..")) else f"../{link}")
    assert Files(str(root)).read(f"{root}/a/b/link") == b"inside"
    assert Files(str(root)).resolve(f"{root}/a/b/link") == "/file"
    assert Files(str(root)).read(f"{root}/../../file") == b"inside"


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "device_of_a_link"])
def test_only_regular_files_are_opened(home: Path, kind: str) -> None:
    """To open a pipe waits for a writer, to open a device may act on it."""
    path = home / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "device_of_a_link":
        path.symlink_to("/dev/zero")
    else:
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(10, 130))  # a watchdog: to open it starts it
        except PermissionError:
            pytest.skip("no device can be made here (needs root)")
    opened: t.List[int] = []
    real = os.open

    def noting(name: t.Any, flags: int, *words: t.Any, **more: t.Any) -> int:
        opened.append(flags)
        return real(name, flags, *words, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", noting)
        assert reason(Files(), path) == "not_a_file"
    assert opened and all(flags & os.O_PATH for flags in opened)


@needs_root
def test_the_kernel_s_own_files_are_not_read_for_a_user(home: Path) -> None:
    """Their mode says that all may read them; what they show is then up to who asks, and that is us."""
    home.chmod(0o755)
    (home / "ckpool.log").symlink_to("/proc/1/maps")
    assert reason(of_user(OTHER), home / "ckpool.log") in ("not_a_file", "not_permitted")
    (home / "empty").touch()
    (home / "empty").chmod(0o644)
    assert of_user(OTHER).read(str(home / "empty")) == b""


@pytest.mark.parametrize(
    "path", ["a\0b", "a\ud800b", "x" * 300, "d/" * 5000 + "x", "x/" * 3000, "/" * 9000 + "nowhere"]
)
def test_no_path_is_a_crash(home: Path, path: str) -> None:
    (home / "d").symlink_to(".")
    assert reason(Files(), f"{home}/{path}") in ("unreadable", "absent")


def test_a_long_way_needs_few_open_files(home: Path) -> None:
    """Else a link of a user's, which goes up and down a thousand times, would take them from everything else here."""
    (home / "d").mkdir()
    (home / "file").write_text("x")
    (home / "link").symlink_to("d/../" * 800 + "file")
    most = 0
    real = os.open

    def counting(*words: t.Any, **more: t.Any) -> int:
        nonlocal most
        handle = real(*words, **more)
        most = max(most, handle)
        return handle

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", counting)
        assert Files().read(str(home / "link")) == b"x"
    assert most < len(os.listdir("/proc/self/fd")) + 60


@needs_root
def test_whose_a_folder_is(home: Path) -> None:
    (home / "folder").mkdir()
    (home / "link").symlink_to("folder")
    assert Files().owner_of(str(home / "nowhere")) is None
    ours = Files().owner_of(str(home / "link"))
    assert ours is not None and ours.user == os.geteuid()
    os.chown(home / "link", OTHER, OTHER, follow_symlinks=False)
    theirs = Files().owner_of(str(home / "link"))
    assert theirs is not None and (theirs.user, theirs.groups) == (OTHER, frozenset())


@needs_root
def test_nothing_is_removed_through_somebody_s_link(home: Path) -> None:
    (home / "real").mkdir()
    (home / "real" / "main.pid").write_text("1")
    (home / "link").symlink_to("real")
    os.chown(home / "link", OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(Unreadable, match="behind a link that another user made") as caught:
        Files().remove(str(home / "link"), ["main.pid"])
    assert caught.value.reason == "not_trusted" and (home / "real" / "main.pid").exists()
    os.chown(home / "link", 0, 0, follow_symlinks=False)
    Files().remove(str(home / "link"), ["main.pid", "gone"])
    assert not (home / "real" / "main.pid").exists()
    (home / "real" / "listener").mkdir()
    Files().remove(str(home / "real"), ["listener"])
    assert (home / "real" / "listener").is_dir(), "only what a daemon leaves is removed"


def test_a_file_that_is_exchanged_between_look_and_open(home: Path, secret: Path) -> None:
    """The file that was checked is the one that is opened, even if its name leads elsewhere by then."""
    (home / "file").write_text("own")
    (home / "file").chmod(0o644)
    real = os.fstat
    done: t.List[int] = []

    def swapping(handle: int) -> os.stat_result:
        info = real(handle)
        if stat.S_ISREG(info.st_mode) and not done:
            done.append(1)
            (home / "file").unlink()
            (home / "file").symlink_to("secret")
        return info

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fstat", swapping)
        assert of_user(OTHER).read(str(home / "file")) == b"own"
    assert done and reason(of_user(OTHER), home / "file") == "not_permitted"


def test_a_sparse_file_of_many_gigabytes_is_refused_by_its_size(home: Path) -> None:
    (home / "file").touch()
    os.truncate(home / "file", 64 * 1024**3)
    assert reason(Files(), home / "file") == "too_large"
