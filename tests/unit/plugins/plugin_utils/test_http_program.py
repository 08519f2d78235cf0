# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the HTTP service as one file."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._http_program import NoSources, program_of

ROOT = Path(__file__).parents[4]
STANDS = "import sys\nfrom ckpool_fleet._units import human_hashrate\n"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """The collection with a small service in the place of the real one."""
    root = tmp_path / "fleet"
    service = root / "roles/http_api/files/ckpool_http"
    service.mkdir(parents=True)
    (root / "plugins").mkdir()
    (root / "plugins/module_utils").symlink_to(ROOT / "plugins/module_utils")
    (service / "__init__.py").write_text("VERSION = '1.2.3'\n")
    (service / "late.py").write_text("WORD = 'late'\n")
    (service / "__main__.py").write_text(
        STANDS + "import ckpool_http\n"
        "loaded = sorted(name for name in sys.modules if name.startswith('ckpool_'))\n"
        "print(ckpool_http.VERSION, 'ckpool_http.late' in loaded, 'ckpool_fleet._sources.log.zone' in loaded, *sys.argv[1:])\n"
    )
    return root


def names(program: bytes) -> t.List[str]:
    return zipfile.ZipFile(io.BytesIO(program)).namelist()


def test_the_same_sources_make_the_same_bytes(collection: Path) -> None:
    first = program_of(str(collection))
    for path in collection.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    cache = collection / "roles/http_api/files/ckpool_http/__pycache__"
    cache.mkdir()
    (cache / "late.cpython-311.pyc").write_bytes(b"x")
    (cache / "odd.py").write_bytes(b"x")
    assert program_of(str(collection)) == first
    (collection / "roles/http_api/files/ckpool_http/late.py").write_text("WORD = 'later'\n")
    assert program_of(str(collection)) != first


def test_nothing_in_it_depends_on_the_controller(collection: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(program_of(str(collection)))) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    facts = {(entry.date_time, entry.external_attr, entry.create_system, entry.compress_type) for entry in entries}
    assert facts == {((1980, 1, 1, 0, 0, 0), 0o100644 << 16, 3, zipfile.ZIP_STORED)}


def test_it_has_the_files_of_the_modules_as_they_are(collection: Path) -> None:
    shared = ROOT / "plugins/module_utils"
    expected = {f"ckpool_fleet/{path.relative_to(shared).as_posix()}" for path in shared.rglob("*.py")}
    expected -= {f"ckpool_fleet/{name}.py" for name in ("_module", "_info_module", "_host_module")}
    program = program_of(str(collection))
    own = ["__init__", "__main__", "late"]
    assert set(names(program)) == {
        *expected, "ckpool_fleet/__init__.py", "__main__.py", *(f"ckpool_http/{name}.py" for name in own)
    }  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        for name in expected:
            assert archive.read(name) == (shared / name.partition("/")[2]).read_bytes()


def imports(text: bytes) -> t.Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def test_nothing_in_it_needs_ansible() -> None:
    with zipfile.ZipFile(io.BytesIO(program_of(str(ROOT)))) as archive:
        found = [(name, module) for name in archive.namelist() for module in imports(archive.read(name))]
    assert [pair for pair in found if pair[1].split(".")[0] in ("ansible", "ansible_collections")] == []
    left_out = {"_module", "_info_module", "_host_module"}
    own = [pair for pair in found if pair[0].startswith("ckpool_http/")]
    assert own and [pair for pair in own if left_out.intersection(pair[1].split("."))] == []


def test_it_reads_nothing_from_its_file_once_it_runs(collection: Path, tmp_path: Path) -> None:
    """An upgrade replaces the file of a service that runs."""
    path = tmp_path / "ckpool-http.pyz"
    path.write_bytes(program_of(str(collection)))
    done = subprocess.run(
        [sys.executable, "-I", str(path), "--config", "x"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("1.2.3 True True --config x\n", "")


def test_what_the_service_cannot_import_is_left_for_it_to_say(collection: Path, tmp_path: Path) -> None:
    (collection / "roles/http_api/files/ckpool_http/late.py").write_text("import no_such_package\n")
    path = tmp_path / "ckpool-http.pyz"
    path.write_bytes(program_of(str(collection)))
    done = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("1.2.3 False True\n", "")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda root: (root / "plugins/module_utils").unlink(), "plugins/module_utils: No such file"),
        (
            lambda root: (root / "roles/http_api/files/ckpool_http/__main__.py").unlink(),
            "has no ckpool_http/__main__.py",
        ),
    ],
)
def test_sources_that_are_not_there(collection: Path, spoil: t.Callable[[Path], None], text: str) -> None:
    spoil(collection)
    with pytest.raises(NoSources, match=text):
        program_of(str(collection))
