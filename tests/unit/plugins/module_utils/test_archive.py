# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive is unpacked as it is meant, or not at all."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._host import archive
from ansible_collections.ckpool.fleet.plugins.module_utils._host.archive import Refused, Unpacker

Entry = t.Tuple[str, t.Dict[str, t.Any]]
LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def packed(path: Path, entries: t.Iterable[Entry], kind: str = "gz") -> Path:
    """An archive of entries, each a name and what is special to it, its content as C(data)."""
    mode: t.Any = f"w:{kind}"
    with tarfile.open(path, mode) as tar:
        for name, special in entries:
            info = tarfile.TarInfo(name)
            data = special.pop("data", b"")
            for key, value in special.items():
                setattr(info, key, value)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def unpack(path: Path, folder: t.Optional[Path], most: int = archive.MOST_BYTES) -> Unpacker:
    handle = os.open(path, os.O_RDONLY)
    place = os.open(folder, os.O_RDONLY) if folder else None
    try:
        unpacker = Unpacker(place, most)
        unpacker.unpack(handle, str(path))
        return unpacker
    finally:
        os.close(handle)
        if place is not None:
            os.close(place)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def everything_below(folder: Path) -> t.List[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", ""])
def test_files_folders_and_links(tmp_path: Path, target: Path, kind: str) -> None:
    entries: t.List[Entry] = [
        ("ckpool-1.2/", {"type": FOLDER, "mode": 0o700}),
        ("ckpool-1.2/src/ckpool", {"data": b"program", "mode": 0o4755 & 0o777}),
        ("ckpool-1.2/src/ckproxy", {"type": LINK, "linkname": "ckpool"}),
        ("ckpool-1.2/copy", {"type": HARD, "linkname": "ckpool-1.2/src/ckpool"}),
        ("./ckpool-1.2/README", {"data": b"text", "mode": 0o666}),
    ]
    unpacker = unpack(packed(tmp_path / "a.tar", entries, kind), target)
    assert unpacker.files == {"ckpool-1.2/src/ckpool": True, "ckpool-1.2/copy": True, "ckpool-1.2/README": False}
    top = target / "ckpool-1.2"
    assert (top / "src/ckpool").read_bytes() == b"program"
    assert os.readlink(top / "src/ckproxy") == "ckpool"
    assert (top / "copy").samefile(top / "src/ckpool")
    assert stat.S_IMODE((top / "README").stat().st_mode) == 0o644
    assert stat.S_IMODE((top / "src/ckpool").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("/etc/x", {})], id="absolute"),
        pytest.param([("a/../../x", {})], id="up"),
        pytest.param([("l", {"type": LINK, "linkname": "/etc"})], id="link-absolute"),
        pytest.param([("a/l", {"type": LINK, "linkname": "../../x"})], id="link-up"),
        pytest.param([("l", {"type": LINK, "linkname": "l"})], id="link-circle"),
        pytest.param([("l", {"type": LINK, "linkname": "gone"})], id="link-dangling"),
        pytest.param([("l", {"type": LINK, "linkname": ""})], id="link-empty"),
        pytest.param(
            [
                ("a/b/c/", {"type": FOLDER}),
                ("r/", {"type": FOLDER}),
                ("a/b/c/p", {"type": LINK, "linkname": "../../../r"}),
                ("y", {"type": LINK, "linkname": "a/b/c/p/../../q"}),
            ],
            id="link-through-link",
        ),
        pytest.param([("l", {"type": LINK, "linkname": "."}), ("l/x", {"data": b"x"})], id="write-through-link"),
        pytest.param([("h", {"type": HARD, "linkname": "/etc/passwd"})], id="hard-absolute"),
        pytest.param([("h", {"type": HARD, "linkname": "gone"})], id="hard-dangling"),
        pytest.param([("d", {"type": tarfile.CHRTYPE})], id="device"),
        pytest.param([("d", {"type": tarfile.FIFOTYPE})], id="pipe"),
        pytest.param([("s", {"mode": 0o4755})], id="set-user-id"),
        pytest.param([("s", {"mode": 0o2755})], id="set-group-id"),
        pytest.param([("x", {}), ("x", {"data": b"2"})], id="twice"),
        pytest.param([("x", {}), ("x/y", {})], id="file-as-folder"),
        pytest.param([("x/y", {}), ("x", {})], id="folder-as-file"),
        pytest.param([("\x1b[2J", {})], id="control"),
        pytest.param([("n" * 2000, {})], id="long"),
        pytest.param([("", {"data": b"x"})], id="no-name"),
    ],
)
def test_it_is_refused(tmp_path: Path, target: Path, entries: t.List[Entry]) -> None:
    path = packed(tmp_path / "a.tar", [("ckpool", {"data": b"program", "mode": 0o755}), *entries])
    with pytest.raises(Refused) as refused:
        unpack(path, target)
    assert str(path) in str(refused.value)
    assert everything_below(tmp_path) == sorted(["a.tar", "target", *everything_below(tmp_path)[2:]])
    assert all(name.startswith("target/") for name in everything_below(tmp_path)[2:])


def test_a_link_does_not_leave_the_only_outermost_folder(tmp_path: Path, target: Path) -> None:
    """What is in it becomes the release: such a link would then lead to another release of that name."""
    entries: t.List[Entry] = [
        ("1.0/ckpool", {"data": b"program", "mode": 0o755}),
        ("1.0/bin/link", {"type": LINK, "linkname": "../../1.0/ckpool"}),
    ]
    with pytest.raises(Refused, match="leads out of it"):
        unpack(packed(tmp_path / "a.tar", [(name, {**special}) for name, special in entries]), target)
    entries = [*entries[:1], ("1.0/bin/link", {"type": LINK, "linkname": "../ckpool"})]
    other = tmp_path / "other"
    other.mkdir()
    unpack(packed(tmp_path / "b.tar", entries), other)
    assert (other / "1.0/bin/link").read_bytes() == b"program"


def test_a_look_alone_refuses_it_too_and_writes_nothing(tmp_path: Path, target: Path) -> None:
    good = packed(tmp_path / "good.tar", [("b/ckpool", {"data": b"program", "mode": 0o755})])
    assert unpack(good, None).files == {"b/ckpool": True}
    with pytest.raises(Refused):
        unpack(packed(tmp_path / "bad.tar", [("/x", {})]), None)
    assert everything_below(target) == []


def test_bytes_are_counted_as_they_come(tmp_path: Path, target: Path) -> None:
    path = packed(tmp_path / "a.tar", [("big", {"data": b"0" * 3_000_000})])
    assert path.stat().st_size < 10_000
    with pytest.raises(Refused, match="more than"):
        unpack(path, target, 1_000_000)


def test_so_are_entries(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_ENTRIES", 3)
    with pytest.raises(Refused, match="entries"):
        unpack(packed(tmp_path / "a.tar", [(f"f{number}", {}) for number in range(5)]), target)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", ""])
def test_one_that_is_cut_off(tmp_path: Path, target: Path, kind: str) -> None:
    path = packed(tmp_path / "a.tar", [("ckpool", {"data": os.urandom(100_000), "mode": 0o755})], kind)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(Unparsable):
        unpack(path, target)


def test_what_is_no_archive(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\x7fELF" + bytes(1000))
    assert archive.compression_of(path.read_bytes()[:512]) is None
    with pytest.raises(Unparsable):
        unpack(path, target)


def header(name: str, size: int, kind: bytes) -> bytes:
    """One header, with any claim."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_cannot_fill_the_memory(tmp_path: Path, target: Path, kind: bytes) -> None:
    """What precedes an entry is read into memory: on a small host that would end the pool."""
    size = 48 * 1024 * 1024
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", 1) as stream:
        stream.write(header("ckpool", size, kind))
        for _piece in range(48):
            stream.write(bytes(1024 * 1024))
        stream.write(bytes(1024))
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="before an entry"):
            unpack(path, target)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert everything_below(target) == []


def test_a_header_that_goes_on_without_end_is_refused(tmp_path: Path, target: Path) -> None:
    """A sparse file may have any number of further headers, and the reader stumbles over a cut one."""
    block = bytearray(header("ckpool", 0, tarfile.GNUTYPE_SPARSE))
    block[482], block[148:156] = 1, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    more = (b"00000000001\0" * 42 + b"\1").ljust(512, b"\0")
    for number, problem in ((4096, "before an entry"), (3, "no tar archive")):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(bytes(block) + more * number)
        with pytest.raises(Unparsable, match=problem):
            unpack(path, target)
