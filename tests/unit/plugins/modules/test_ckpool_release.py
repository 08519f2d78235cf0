# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is placed if it is the one that was meant and runs here, and never replaced."""

from __future__ import annotations

import os
import struct
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._host.checksum import digests_of

from .conftest import Run

GOOD = "#!/bin/sh\n[ \"$1\" = -h ] && echo '-h | --help'\n"
Place = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def place(run: Run, home: Path) -> Place:
    """Call the module with an artifact of that content, below a prefix of the test's own."""

    def call(
        content: t.Union[str, bytes, Path, None] = GOOD, version: t.Optional[str] = "1.0", **options: t.Any
    ) -> t.Dict[str, t.Any]:
        artifact = content if isinstance(content, Path) else home / "artifact"
        if isinstance(content, (str, bytes)):
            artifact.write_bytes(content if isinstance(content, bytes) else content.encode())
        given = {"src": str(artifact), "remote_src": True, "prefix": str(home / "opt"), "version": version, **options}
        return run(**{name: value for name, value in given.items() if value is not None})

    return call


def there(home: Path) -> t.List[str]:
    folder = home / "opt/releases"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_placed_made_current_and_left_alone(place: Place, home: Path) -> None:
    first = place(state="current")
    assert first["changed"] and first["msg"] == "1.0 was installed, and is current"
    assert first["release"]["program"] == f"{home}/opt/releases/1.0/ckpool"
    assert (home / "opt/current/ckpool").read_text() == GOOD
    again = place(state="current")
    assert not again["changed"] and again["msg"] == "1.0 is installed"
    other = place(GOOD + "#\n", "1.1")
    assert other["changed"] and other["current"] == "1.0" and other["releases"] == ["1.0", "1.1"]
    switched = place(None, "1.1", src=None, state="current")
    assert switched["msg"] == "1.1 is installed, and is current instead of 1.0" and switched["previous"] == "1.0"


@pytest.mark.parametrize("state", ["present", "current", "absent"])
def test_what_it_predicts_is_what_comes(place: Place, home: Path, state: str) -> None:
    for version in ("0.8", "0.9"):
        place(f"{GOOD}# {version}\n", version, state="current")
    place(f"{GOOD}# 0.7\n", "0.7")
    content, version = (None, "0.7") if state == "absent" else (GOOD, "1.0")
    options = {"state": state, "_ansible_diff": True, **({"src": None} if state == "absent" else {"keep": 0})}
    before = there(home)
    predicted = place(content, version, _ansible_check_mode=True, **options)
    assert there(home) == before
    done = place(content, version, **options)
    assert done["changed"] and predicted["changed"]
    for key in ("current", "previous", "releases", "removed", "msg", "diff"):
        assert predicted[key] == done[key], key
    again = place(content, version, **options)
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"]


def elf_for_another_machine() -> bytes:
    """The beginning of this Python, as it would be on a machine that does not exist."""
    head = bytearray(Path("/proc/self/exe").read_bytes()[:4096])
    struct.pack_into("<H", head, 18, 0xFEFE)
    return bytes(head)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(elf_for_another_machine(), "does_not_run", id="machine"),
        pytest.param("text", "does_not_run", id="text"),
        pytest.param("#!/nowhere/sh\n", "does_not_run", id="interpreter"),
        pytest.param("#!/bin/sh\necho out of order >&2; exit 1\n", "does_not_run", id="status"),
        pytest.param("#!/bin/sh\nkill -SEGV $$\n", "does_not_run", id="signal"),
        pytest.param("#!/bin/sh\nsleep 60\n", "does_not_run", id="hangs"),
        pytest.param("#!/bin/sh\nyes\n", "does_not_run", id="babbles"),
    ],
)
def test_what_does_not_run_here_is_not_placed(
    place: Place, home: Path, content: t.Union[str, bytes], reason: str
) -> None:
    place(state="current")
    failed = place(content, "2.0", state="current", try_timeout=1)
    assert failed["failed"] and failed["reason"] == reason and failed["phase"] == "try", failed
    assert "does not run on this host" in failed["msg"]
    assert there(home) == ["1.0"] and os.readlink(home / "opt/current") == "releases/1.0"


def test_it_is_placed_without_a_trial_where_that_is_wanted(place: Place, home: Path) -> None:
    assert place(elf_for_another_machine(), try_program=False)["changed"]


def test_a_wrong_checksum(place: Place, home: Path) -> None:
    failed = place(checksum="sha256:" + "0" * 64)
    assert failed["reason"] == "wrong_checksum" and there(home) == []
    digests = digests_of(str(home / "artifact"))
    assert place(checksum=f"sha512:{digests['sha512']}")["changed"]
    # As it is placed by now, its artifact is no longer needed.
    again = place(None, src=None, checksum=digests["sha256"])
    assert not again["changed"]


def test_a_release_is_never_replaced(place: Place, home: Path) -> None:
    place()
    failed = place(GOOD + "# another\n")
    assert failed["reason"] == "another_artifact" and "another version" in failed["hint"]
    assert (home / "opt/releases/1.0/ckpool").read_text() == GOOD


def test_nor_used_when_somebody_has_changed_it(place: Place, home: Path) -> None:
    place()
    (home / "opt/releases/1.0/ckpool").write_text(GOOD + "# changed\n")
    assert place(None, src=None, state="current")["reason"] == "changed"


def test_an_archive(place: Place, home: Path) -> None:
    source = home / "ckpool-1.2" / "src"
    source.mkdir(parents=True)
    (source / "ckpool").write_text(GOOD)
    (source / "ckpool").chmod(0o755)
    (source / "ckproxy").symlink_to("ckpool")
    with tarfile.open(home / "a.tar.xz", "w:xz") as tar:
        tar.add(home / "ckpool-1.2", "ckpool-1.2")
    assert place(home / "a.tar.xz", "1.2")["changed"]
    release = home / "opt/releases/1.2"
    assert os.readlink(release / "ckpool") == "src/ckpool" and (release / "ckpool").read_text() == GOOD
    assert not place(home / "a.tar.xz", "1.2")["changed"]
    assert place(home / "a.tar.xz", "1.3", program="src/none")["reason"] == "no_program"
    assert place(home / "a.tar.xz", "1.3", max_size=10)["reason"] == "unsafe_archive"
    assert there(home) == ["1.2"]


def test_what_is_needed_is_not_removed(place: Place, home: Path) -> None:
    for version in ("1", "2"):
        place(f"{GOOD}# {version}\n", version, state="current")
    for version in ("1", "2"):
        assert place(None, version, src=None, state="absent")["reason"] == "needed"
    assert not place(None, "3", src=None, state="absent")["changed"]


def test_old_ones_go(place: Place, home: Path) -> None:
    for version in ("1", "2", "3", "4"):
        result = place(f"{GOOD}# {version}\n", version, state="current", keep=0)
    assert result.get("removed") == ["2"] and result["msg"].endswith("; removed 2"), result
    assert there(home) == ["3", "4"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"src": None}, "no_release"),
        ({"src": "/nowhere"}, "unreadable"),
        ({"src": None, "url": "https://x/y"}, "bad_option"),
        ({"src": None, "checksum": "0" * 64}, "needs_artifact"),
        ({"version": "../x"}, "bad_input"),
        ({"version": None}, None),
        ({"prefix": "/"}, "bad_path"),
        ({"keep": -1}, "out_of_range"),
        ({"user": "nobody-of-that-name"}, "no_user"),
        ({"src": None, "package": "no-such-package"}, "no_package"),
    ],
)
def test_what_is_refused(place: Place, home: Path, options: t.Dict[str, t.Any], reason: t.Optional[str]) -> None:
    failed = place(**options)
    assert failed["failed"] and failed.get("reason") == reason, failed
    assert there(home) == []


def test_a_package(place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "usr").mkdir()
    (home / "usr/ckpool").write_text(GOOD)
    (home / "usr/ckpool").chmod(0o755)
    tool = home / "bin/dpkg-query"
    tool.parent.mkdir()
    tool.write_text(
        f"#!/bin/sh\ncase $1 in --show) echo installed 1:2.0-1;; *) echo {home}/usr; echo {home}/usr/ckpool;; esac\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    placed = place(None, None, src=None, remote_src=None, package="ckpool", state="current")
    assert placed["version"] == "2.0-1" and placed["release"]["source"] == "package ckpool 1:2.0-1"
    assert not place(None, None, src=None, remote_src=None, package="ckpool", state="current")["changed"]
    (home / "usr/ckpool").write_text(GOOD + "# upgraded\n")
    assert (home / "opt/current/ckpool").read_text() == GOOD
