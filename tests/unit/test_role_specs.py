# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's argument specification says what its defaults do: the two are written apart, and must not drift apart.

And no expression of a role or playbook leaves the order of a list to chance.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

COLLECTION = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (COLLECTION / "roles").glob("*") if path.is_dir())


def _load(path: Path) -> dict[str, t.Any]:
    loaded: dict[str, t.Any] = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}
    return loaded


def _defaults(role: str) -> dict[str, t.Any]:
    folder = COLLECTION / "roles" / role / "defaults"
    merged: dict[str, t.Any] = {}
    for path in [folder / "main.yml", *sorted((folder / "main").glob("*.yml"))]:
        merged.update(_load(path))
    return merged


def _options(role: str) -> dict[str, t.Any]:
    """The options of all entry points: they share the role's defaults."""
    merged: dict[str, t.Any] = {}
    for entry_point in _load(COLLECTION / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"].values():
        merged.update(entry_point.get("options") or {})
    return merged


def _is_expression(value: object) -> bool:
    return isinstance(value, str) and re.search(r"{[{%]", value) is not None


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_documented(role: str) -> None:
    undocumented = {name for name in _defaults(role) if not name.startswith("_")} - set(_options(role))
    assert not undocumented


@pytest.mark.parametrize("role", ROLES)
def test_every_documented_default_is_the_real_one(role: str) -> None:
    documented = {name: option["default"] for name, option in _options(role).items() if "default" in option}
    real = {name: value for name, value in _defaults(role).items() if name in documented}
    assert real == documented


@pytest.mark.parametrize("role", ROLES)
def test_a_required_option_has_no_default(role: str) -> None:
    options, defaults = _options(role), _defaults(role)
    assert not [name for name, option in options.items() if option.get("required") and name in defaults]


@pytest.mark.parametrize("role", ROLES)
def test_a_documented_option_with_a_default_says_so(role: str) -> None:
    """A default that is an expression is described in words; any other is stated."""
    options = _options(role)
    unstated = [
        name
        for name, value in _defaults(role).items()
        if "default" not in options.get(name, {"default": None}) and value is not None and not _is_expression(value)
    ]
    assert not unstated


@pytest.mark.parametrize("role", ROLES)
def test_the_names_of_a_role_s_variables_begin_with_its_name(role: str) -> None:
    names = [name.lstrip("_") for name in {**_defaults(role), **_options(role)}]
    assert not [name for name in names if not name.startswith(f"{role}_")]


#: Ansible's filters that make sets of lists, so that each run has another order, unless that does not matter afterwards.
_OF_SETS = re.compile(r"\| *'?(?:difference|intersect|union|symmetric_difference)\b(?!.*(?:length|sort|unique }})).*")


@pytest.mark.parametrize("folder", ["roles", "playbooks"])
def test_lists_have_an_order(folder: str) -> None:
    files = sorted((COLLECTION / folder).rglob("*.yml"))
    assert [f"{path.name}: {found}" for path in files for found in _OF_SETS.findall(path.read_text("utf-8"))] == []


def test_a_list_without_an_order_is_found() -> None:
    assert _OF_SETS.search("{{ a | difference(b) | join(', ') }}") and _OF_SETS.search("{{ a |union(b) }}")
    assert not _OF_SETS.search("{{ a | difference(b) | sort }}") and not _OF_SETS.search(
        "a | difference(b) | length == 0"
    )
