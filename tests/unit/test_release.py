# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What refuses a release; and versions that are written in more than one place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

from tests.tools import release

ROOT = Path(__file__).parents[2]
GALAXY = (ROOT / "galaxy.yml").read_text(encoding="utf-8")
SUMMARY = "ancestor: null\nreleases: {1.0.0: {changes: {release_summary: It works.}}}\n"
READY = {
    "galaxy.yml": re.sub(r"(?m)^version: .*$", "version: 1.0.0", GALAXY),
    "changelogs/changelog.yaml": SUMMARY,
    "CHANGELOG.md": '<a id="v1-0-0"></a>\n## v1\\.0\\.0\n',
    release.SERVICE: 'VERSION = "1.0.0"  #: that of the collection\n',
    "plugins/modules/ckpool_stats.py": "version_added: 0.1.0\n",
}
"""The files of a checkout that is ready."""

Checkout = Callable[..., Path]


def git(root: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words], cwd=root, check=True, timeout=60
    )


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A commit of the files of a ready checkout, some of them replaced, with its tag. antsibull-changelog finds no mistake."""
    program = tmp_path / "bin" / "antsibull-changelog"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\ntest ! -e mistake || { echo a mistake; exit 3; }\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    def make(tag: str = "v1.0.0", **files: str) -> Path:
        root = tmp_path / "checkout"
        for name, text in {**READY, **files}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        git(root, "init", "--quiet")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "Release 1.0.0")
        git(root, "tag", tag)
        return root

    return make


def test_a_ready_checkout_is_not_refused(checkout: Checkout) -> None:
    assert list(release.reasons_against(checkout())) == []


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"galaxy.yml": READY["galaxy.yml"].replace("1.0.0", "1.0")}, "1.0 in galaxy.yml is no version such as 1.2.3"),
        ({"galaxy.yml": READY["galaxy.yml"].replace("issues:", "other:")}, "galaxy.yml has no issues"),
        ({"mistake": ""}, "antsibull-changelog lint failed: a mistake"),
        (
            {"changelogs/fragments/a.yml": ""},
            "1 fragments are not in the changelog yet, such as a.yml: run make changelog",
        ),
        (
            {"changelogs/changelog.yaml": "releases: {0.9.0: {}}\n"},
            "the changelog has no section about 1.0.0: run make changelog",
        ),
        (
            {"changelogs/changelog.yaml": "releases: {1.0.0: {changes: {}}}\n"},
            "the changelog has no summary of 1.0.0: add a fragment with release_summary",
        ),
        (
            {"changelogs/changelog.yaml": SUMMARY.replace("1.0.0:", "1.0.1: {}, 1.0.0:")},
            "the changelog has 1.0.1, which is newer than 1.0.0",
        ),
        ({"CHANGELOG.md": "# Nothing\n"}, "CHANGELOG.md has no section about 1.0.0: run make changelog"),
        ({release.SERVICE: 'VERSION = "0.9.0"\n'}, f"VERSION in {release.SERVICE} is not 1.0.0"),
        (
            {"roles/a/meta/argument_specs.yml": 'version_added: "1.1.0"\n'},
            "roles/a/meta/argument_specs.yml has version_added: 1.1.0, which is newer than 1.0.0",
        ),
    ],
)
def test_what_is_not_ready_is_refused(files: dict[str, str], reason: str, checkout: Checkout) -> None:
    assert reason in list(release.reasons_against(checkout(**files)))


def test_an_unclean_tree_is_refused(checkout: Checkout) -> None:
    root = checkout()
    (root / "CHANGELOG.md").write_text(READY["CHANGELOG.md"] + "more\n", encoding="utf-8")
    (root / "new").touch()
    assert list(release.reasons_against(root)) == ["there are changes that are not committed: CHANGELOG.md, new"]


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_not_to_see_is_refused(flag: str, checkout: Checkout) -> None:
    root = checkout()
    git(root, "config", "status.showUntrackedFiles", "no")
    git(root, "update-index", flag, "CHANGELOG.md")
    (root / "CHANGELOG.md").write_text(READY["CHANGELOG.md"] + "more\n", encoding="utf-8")
    (root / "new").touch()
    assert list(release.reasons_against(root)) == ["there are changes that are not committed: new, CHANGELOG.md"]


@pytest.mark.parametrize("how", ["as it is", "odd name", "line ends", "link", "not committed"])
def test_an_archive_holds_what_was_committed_alone(how: str, checkout: Checkout, tmp_path: Path) -> None:
    root = checkout(**({"docs/\u00fc b.md": "text\n"} if how == "odd name" else {}))
    source = tmp_path / "source"
    if how == "link":
        (root / "docs").mkdir()
        (root / "docs" / "a.md").symlink_to(tmp_path / "bin" / "antsibull-changelog")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "A link")
    shutil.copytree(root, source, symlinks=False, ignore=shutil.ignore_patterns(".git"))
    (source / "MANIFEST.json").touch()  # as ansible-galaxy does
    if how == "line ends":
        (source / "CHANGELOG.md").write_bytes(b"<a>\r\n")
    if how == "not committed":
        (source / "secret").touch()
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        made.add(source, arcname="")
    expected = {"line ends": ["CHANGELOG.md"], "link": ["docs/a.md"], "not committed": ["secret"]}.get(how, [])
    assert list(release._different(root, archive)) == expected


def test_a_commit_without_the_tag_of_its_version_is_refused(checkout: Checkout) -> None:
    root = checkout(tag="v0.9.0")
    assert list(release.reasons_against(root)) == ["the commit has no tag v1.0.0"]
    git(root, "tag", "v1.0.0")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "One more")
    assert list(release.reasons_against(root)) == ["the tag v1.0.0 is on another commit"]


def test_nothing_is_built_of_what_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    with pytest.raises(release.Refused, match=r"no tag v1\.0\.0"):
        release.make(checkout(tag="other"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content", encoding="utf-8")
    release.write_checksums([tmp_path / "a"])
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, timeout=60)


def test_the_service_has_the_version_of_the_collection() -> None:
    assert f'VERSION = "{release.version_of(ROOT)}"' in (ROOT / release.SERVICE).read_text(encoding="utf-8")


def test_nothing_was_added_by_a_later_version() -> None:
    assert list(release.too_new(ROOT, release.version_of(ROOT))) == []
