# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import json
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once

ROOT = Path(__file__).parents[4]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))
UTILS = "ansible_collections.ckpool.fleet.plugins.module_utils"
#: prints which files were compiled, and the path of each module
PROGRAM = """
import builtins, json, sys
names, real = [], builtins.compile
def compile(source, name, *others, **more):
    names.append(name)
    return real(source, name, *others, **more)
builtins.compile = compile
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
print(json.dumps([names, {name: module.__file__ for name, module in sys.modules.items() if name.startswith("room")}]))
"""
#: has several threads import the same room, and prints what is missing in it
THREADS = """
import sys, threading
sys.path.insert(0, sys.argv[1])
import _compile_once, rooms
def load():
    try:
        from rooms.slow import VALUE
    except ImportError as exc:
        print(exc)
threads = [threading.Thread(target=load) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip with this room, and with rooms that import each other."""
    path = tmp_path / "payload.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.write(str(_compile_once.__file__), "_compile_once.py")
        made.writestr("rooms/__init__.py", "")
        made.writestr("rooms/one.py", "from . import wing\nfrom .wing import two\n")
        made.writestr("rooms/wing/__init__.py", "")
        made.writestr("rooms/wing/two.py", "VALUE = 2\n")
        made.writestr("rooms/slow.py", "import time\ntime.sleep(0.5)\nVALUE = 3\n")
    return path


def load(archive: Path, *names: str) -> t.Tuple[t.List[str], t.Dict[str, str]]:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(archive), *names], capture_output=True, check=True, timeout=60
    )
    compiled, files = json.loads(ran.stdout)
    return [name for name in compiled if "/rooms/" in name], files


def test_each_room_is_compiled_once_and_knows_its_file(archive: Path) -> None:
    without, expected = load(archive, "rooms.one")
    compiled, files = load(archive, "_compile_once", "rooms.one")
    assert len(expected) == 4
    assert files == expected
    assert sorted(compiled) == sorted(files.values())
    assert len(without) >= len(compiled)


def test_a_room_that_is_missing_is_not_found(archive: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        load(archive, "_compile_once", "rooms.three")
    assert b"No module named 'rooms.three'" in caught.value.stderr


def test_no_thread_sees_half_of_what_another_one_imports(archive: Path) -> None:
    """Python before 3.10 shows it: several pools of a host are asked at the same time."""
    ran = subprocess.run([sys.executable, "-c", THREADS, str(archive)], capture_output=True, check=True, timeout=60)
    assert ran.stdout == b""


@pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])
def test_every_module_imports_it_before_all_other_rooms(path: Path) -> None:
    """What is imported before it costs twice as much."""
    imports = [
        (node.module, name.name)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(UTILS)
        for name in node.names
    ]
    assert imports[:1] in ([], [(UTILS, "_compile_once")])
