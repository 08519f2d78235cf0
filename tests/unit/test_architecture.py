# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house stands as CONTRIBUTING.md draws it: imports lead down, in no circle, and each kind of access has one room.

Imports are read from the source, those within functions and for annotations alone too: a circle that is only hidden by
one of these is a circle all the same.
"""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UTILS = ROOT / "plugins" / "module_utils"
CONTROLLER = ROOT / "plugins" / "plugin_utils"
SERVICE = ROOT / "roles" / "http_api" / "files" / "ckpool_http"
COMMAND = ROOT / "python" / "ckpool_fleet"
PACKAGE = "ansible_collections.ckpool.fleet."
KNOWS_ANSIBLE = {"_module", "_info_module", "_host_module"}
#: From the ground up: a room may import from its own floor and from those below. A wing is named with a dot at its end.
FLOORS: t.Tuple[t.Tuple[str, ...], ...] = (
    ("_types", "_compile_once", "_record", "_text", "_errors", "_units", "_names", "_parallel", "_wording"),
    ("_host.",),
    ("_messages", "_wire", "_records", "_fields", "_observation", "_state"),
    ("_instance", "_inspection", "_discovery", "_memory", "_answer_cache", "_window"),
    ("_sources.",),
    ("_visit", "_health", "_metrics", "_options", "_results", "_monitor", "_host_board"),
    ("_orders.", "_ask.", "_install."),
    ("_control", "_pool"),
    ("_upgrade.",),
    ("_module", "_info_module", "_host_module", "_health_options"),
)
#: A wing, and the rooms that lead into it.
DOORS = {"_orders.": ("_control",), "_ask.": ("_pool",), "_sources.": ("_visit", "_pool", "_control")}
#: What looks at files, and who may do so besides C(_host/): the sources list folders that were opened there.
LOOKS = {
    "open", "os.open", "os.stat", "os.lstat", "os.listdir", "os.scandir", "os.readlink", "os.unlink", "os.mkdir", "os.access",
    "os.path.exists", "os.path.lexists", "os.path.isdir", "os.path.isfile", "os.path.islink", "os.path.samefile",
}  # fmt: skip


def rooms(folder: Path) -> t.Dict[str, ast.Module]:
    """The rooms of a folder by dotted name, with their source."""
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): ast.parse(path.read_text("utf-8"), str(path))
        for path in sorted(folder.rglob("*.py"))
        if path.name != "__init__.py"
    }


def imports_of(name: str, tree: ast.Module, known: t.Container[str]) -> t.Iterator[str]:
    """The rooms of the same folder that one imports, and other modules by their whole names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".")[: -node.level] if node.level else []
            base = [*package, *(node.module or "").split(".")] if node.module else package
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in known else ".".join(base)


def arrows(folder: Path) -> t.Dict[str, t.Set[str]]:
    """Room to the rooms of the same folder that it imports."""
    known = rooms(folder)
    return {name: {room for room in imports_of(name, tree, known) if room in known} for name, tree in known.items()}


def circles(graph: t.Mapping[str, t.Set[str]]) -> t.List[t.List[str]]:
    """The rooms that lead back to themselves, as the ways that do so; one way for each room at most."""
    found: t.List[t.List[str]] = []
    done: t.Set[str] = set()

    def visit(room: str, way: t.List[str]) -> None:
        if room in way:
            found.append([*way[way.index(room) :], room])
        elif room not in done:
            for other in sorted(graph[room]):
                visit(other, [*way, room])
            done.add(room)

    for room in sorted(graph):
        visit(room, [])
    return found


def floor_of(room: str) -> int:
    """The floor of a room, from 0 up."""
    for number, names in enumerate(FLOORS):
        if any(room.startswith(name) if name.endswith(".") else room == name for name in names):
            return number
    raise AssertionError(f"{room} has no floor: add it to FLOORS, and to the map in CONTRIBUTING.md")


@pytest.mark.parametrize(
    "folder", [UTILS, CONTROLLER, SERVICE, COMMAND], ids=["host", "controller", "service", "command"]
)
def test_there_are_no_circles(folder: Path) -> None:
    assert [" -> ".join(way) for way in circles(arrows(folder))] == []


def test_a_circle_is_found() -> None:
    """Or the test before this one would say nothing."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_imports_lead_down() -> None:
    up = [
        f"{room} -> {other}"
        for room, others in arrows(UTILS).items()
        for other in sorted(others)
        if floor_of(other) > floor_of(room)
    ]
    assert up == []


@pytest.mark.parametrize("wing", DOORS)
def test_a_wing_does_not_know_its_door(wing: str) -> None:
    graph = arrows(UTILS)
    found = {room: others.intersection(DOORS[wing]) for room, others in graph.items() if room.startswith(wing)}
    assert {room: doors for room, doors in found.items() if doors} == {}


def test_only_the_top_knows_ansible() -> None:
    known = rooms(UTILS)
    found = {
        name
        for name, tree in known.items()
        for module in imports_of(name, tree, known)
        if module.split(".")[0] in ("ansible", "ansible_collections")
    }
    assert found <= KNOWS_ANSIBLE


def test_the_controller_uses_pure_rooms_of_the_host() -> None:
    """What runs on a host looks at that host; on the controller only what computes makes sense, and two rooms for its own files and screen."""
    known = rooms(CONTROLLER)
    pure = {
        "_errors", "_names", "_text", "_units", "_health", "_metrics", "_types", "_wording", "_host_board", "_options", "_state",
        "_host.own_folder", "_host.terminal",
    }  # fmt: skip
    found = {
        used
        for name, tree in known.items()
        for module in imports_of(name, tree, {*known, "module_utils._host.own_folder"})
        for package, _dot, used in [module.removeprefix(f"{PACKAGE}plugins.").partition(".")]
        if package == "module_utils" and used
    }
    assert "_text" in found, "no import is seen"
    assert found <= pure


def test_packages_are_empty() -> None:
    """Every host compiles them."""
    full = [path for path in (ROOT / "plugins").rglob("__init__.py") if path.read_bytes()]
    assert [str(path.relative_to(ROOT)) for path in full] == []


def texts(tree: ast.Module) -> t.Iterator[t.Tuple[int, str]]:
    """The texts of a room that are no documentation, with their lines; f-strings by their parts."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def test_only_the_host_s_rooms_read_proc() -> None:
    found = [
        f"{name}:{line} {text}"
        for name, tree in rooms(UTILS).items()
        if not name.startswith("_host.")
        for line, text in texts(tree)
        if text.startswith("/proc")
    ]
    assert found == []


def _lists_what_is_open(call: ast.Call) -> bool:
    """Whether a folder is listed that C(_host/) has opened: by its descriptor, and not by a path."""
    return ast.unparse(call) == "os.scandir(handle)"


def test_only_the_host_s_rooms_look_at_files() -> None:
    found = [
        f"{name}:{node.lineno} {ast.unparse(node.func)}"
        for name, tree in rooms(UTILS).items()
        if not name.startswith("_host.")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in LOOKS and not _lists_what_is_open(node)
    ]
    assert found == []


def test_a_command_line_is_read_in_one_place() -> None:
    found = {
        name
        for folder in (UTILS, CONTROLLER)
        for name, tree in rooms(folder).items()
        for _line, text in texts(tree)
        if "cmdline" in text
    }
    assert found == {"_host.process"}
