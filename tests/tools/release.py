# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release ready, or say why not: RELEASES.md. Nothing is published.

What is built comes from the tagged commit alone, and is tried outside of the checkout.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.tools import matrix

OUT = matrix.CACHE / "release"
SERVICE = "roles/http_api/files/ckpool_http/__init__.py"
_FIELDS = ("authors", "description", "documentation", "homepage", "issues", "license", "readme", "repository", "tags")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_ADDED = re.compile(r"version_added: *[\"']?([0-9.]+)")
#: What ansible-galaxy adds to the files of the checkout.
_ADDED_FILES = {"FILES.json", "MANIFEST.json"}


class Refused(Exception):
    """The release is not made. The text says why, a line for each reason."""


def version_of(root: Path) -> str:
    """The version in galaxy.yml."""
    return str(_galaxy(root)["version"])


def reasons_against(root: Path) -> Iterator[str]:
    """Why the checkout is not ready for a release, a sentence each."""
    version = version_of(root)
    if not _VERSION.fullmatch(version):
        yield f"{version} in galaxy.yml is no version such as 1.2.3"
        return
    missing = [field for field in _FIELDS if not _galaxy(root).get(field)]
    if missing:
        yield f"galaxy.yml has no {', '.join(missing)}"
    yield from _against_commit(root, f"v{version}")
    yield from _against_changelog(root, version)
    yield from _against_versions(root, version)


def _galaxy(root: Path) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))
    return loaded


def _git(root: Path, *words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def _against_commit(root: Path, tag: str) -> Iterator[str]:
    changed = [line[3:] for line in _git(root, "status", "--porcelain", "--untracked-files=all")]
    # Of these, git does not say whether they have changed.
    changed += [line[2:] for line in _git(root, "ls-files", "-v") if line[0].islower() or line[0] == "S"]
    if changed:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        yield f"there are changes that are not committed: {', '.join(changed[:5])}{more}"
    if tag not in _git(root, "tag", "--points-at", "HEAD"):
        is_elsewhere = tag in _git(root, "tag", "--list", tag)
        yield f"the tag {tag} is on another commit" if is_elsewhere else f"the commit has no tag {tag}"


def _against_changelog(root: Path, version: str) -> Iterator[str]:
    folder = root / "changelogs"
    left = sorted(path.name for path in (folder / "fragments").glob("*.y*ml"))
    if left:
        yield f"{len(left)} fragments are not in the changelog yet, such as {left[0]}: run make changelog"
    releases = yaml.safe_load((folder / "changelog.yaml").read_text(encoding="utf-8"))["releases"]
    if version not in releases:
        yield f"the changelog has no section about {version}: run make changelog"
    elif "release_summary" not in releases[version].get("changes", {}):
        yield f"the changelog has no summary of {version}: add a fragment with release_summary"
    newer = [each for each in releases if _order(each) > _order(version)]
    if newer:
        yield f"the changelog has {', '.join(newer)}, which is newer than {version}"
    if f'<a id="v{version.replace(".", "-")}"></a>' not in (root / "CHANGELOG.md").read_text(encoding="utf-8"):
        yield f"CHANGELOG.md has no section about {version}: run make changelog"
    for command in (["lint"], ["lint-changelog-yaml", "changelogs/changelog.yaml"]):
        done = subprocess.run(
            ["antsibull-changelog", *command], cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            yield f"antsibull-changelog {command[0]} failed: {done.stdout.strip()}"


def _against_versions(root: Path, version: str) -> Iterator[str]:
    """Versions that are written elsewhere."""
    if f'VERSION = "{version}"' not in (root / SERVICE).read_text(encoding="utf-8"):
        yield f"VERSION in {SERVICE} is not {version}"
    yield from too_new(root, version)


def too_new(root: Path, version: str) -> Iterator[str]:
    """Options and the like that say they were added by a later release, a sentence for each file."""
    for path in sorted(each for name in ("plugins", "roles", "extensions") for each in (root / name).rglob("*")):
        if path.suffix in (".py", ".yml", ".yaml"):
            added = set(_ADDED.findall(path.read_text(encoding="utf-8")))
            later = sorted(each for each in added if _order(each) > _order(version))
            if later:
                yield f"{path.relative_to(root)} has version_added: {', '.join(later)}, which is newer than {version}"


def _order(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def build(root: Path, out: Path) -> list[Path]:
    """Build what would be published of the commit, in an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=root, capture_output=True, timeout=120, check=True)
        subprocess.run(["tar", "-xf", "-"], cwd=source, input=archive.stdout, timeout=120, check=True)
        _run(source, "ansible-galaxy", "collection", "build", "--output-path", str(out))
        if "\n[build-system]" in (source / "pyproject.toml").read_text(encoding="utf-8"):
            _run(source, sys.executable, "-m", "build", "--outdir", str(out))
    return sorted(out.iterdir())


def try_collection(root: Path, archive: Path) -> int:
    """Check the content of the archive, install it in an empty folder, and read its documentation. How many modules it has.

    :raises Refused: it is not what the commit is, or does not work.
    """
    different = sorted(_different(root, archive))
    if different:
        raise Refused(f"{archive.name} has files that are not those of the commit, such as {different[0]}")
    modules = sorted(path.stem for path in (root / "plugins" / "modules").glob("ckpool_*.py"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": name, "ANSIBLE_HOME": f"{name}/home"}
        _run(folder, "ansible-galaxy", "collection", "install", "--collections-path", name, str(archive), where=where)
        _keep_what_runs(folder / "ansible_collections" / "ckpool" / "fleet")
        shown = _run(folder, "ansible-doc", "--json", *(f"ckpool.fleet.{module}" for module in modules), where=where)
    missing = [module for module in modules if f'"ckpool.fleet.{module}"' not in shown]
    if missing:
        raise Refused(f"ansible-doc shows no documentation of {', '.join(missing)}")
    return len(modules)


def _different(root: Path, archive: Path) -> Iterator[str]:
    """The files of the archive that the commit does not have, or not with this content.

    Settings of git can change line ends, and a link can lead out of the checkout.
    """
    entries = (line.partition("\t") for line in _git(root, "ls-tree", "-r", "-z", "HEAD")[0].split("\0") if line)
    committed = {name: about.split()[2] for about, _tab, name in entries}
    with tarfile.open(archive) as content:
        for member in content:
            handle = None if member.isdir() or member.name in _ADDED_FILES else content.extractfile(member)
            if handle:
                data = handle.read()
                found = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
                if found != committed.get(member.name):
                    yield member.name


def _keep_what_runs(collection: Path) -> None:
    """Remove what Ansible does not promise to be there: a collection works without."""
    for path in collection.iterdir():
        if path.is_dir() and path.name not in ("meta", "plugins", "roles", "playbooks"):
            shutil.rmtree(path)


def _run(folder: Path, *words: str, where: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        words, cwd=folder, env=where, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        raise Refused(f"{' '.join(words[:3])} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout


def write_checksums(files: list[Path]) -> str:
    """Write the checksums of files beside them, as sha256sum takes them."""
    lines = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (files[0].parent / "SHA256SUMS").write_text(lines, encoding="utf-8")
    return lines


def make(root: Path, out: Path) -> str:
    """Check, build and try a release. What was made, for a person.

    :raises Refused: with each reason.
    """
    reasons = list(reasons_against(root))
    if reasons:
        raise Refused("\n".join(reasons))
    version = version_of(root)
    files = build(root, out / version)
    count = try_collection(root, out / version / f"ckpool-fleet-{version}.tar.gz")
    return (
        f"{write_checksums(files)}{version} is ready in {out / version}, and nothing was published. "
        f"Installed in an empty folder, the collection documents {count} modules."
    )


def main() -> int:
    try:
        print(make(matrix.ROOT, OUT))
    except Refused as refusal:
        print(*(f"No release: {line}" for line in str(refusal).splitlines()), sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
