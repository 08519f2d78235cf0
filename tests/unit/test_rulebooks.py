# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks name what is in this collection, and variables that say what they are for."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.arguments import _NAMES, arguments_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch import EVENTS

ROOT = Path(__file__).parents[2]
RULEBOOKS = sorted((ROOT / "extensions" / "eda" / "rulebooks").glob("*.yml"))
OURS = "ckpool.fleet."

GUIDE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")

each_rulebook = pytest.mark.parametrize("path", RULEBOOKS, ids=lambda path: path.stem)


def rulesets(path: Path) -> t.List[t.Any]:
    found: t.List[t.Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def playbooks(path: Path) -> t.Iterator[t.Any]:
    """The arguments of each run of a playbook."""
    for ruleset in rulesets(path):
        for rule in ruleset["rules"]:
            for action in rule.get("actions", [rule.get("action")]):
                yield action["run_playbook"]


@each_rulebook
def test_its_playbooks_are_in_the_collection(path: Path) -> None:
    found = list(playbooks(path))
    assert found
    for each in found:
        assert each["name"].startswith(OURS)
        text = (ROOT / "playbooks" / f"{each['name'][len(OURS) :]}.yml").read_text(encoding="utf-8")
        roles = "".join(readme.read_text(encoding="utf-8") for readme in (ROOT / "roles").glob("*/README.md"))
        for name in each["extra_vars"]:
            assert re.search(rf"^#.*\b{name}\b", text, re.MULTILINE) or f"`{name}`" in roles, name


@each_rulebook
def test_its_conditions_can_come_true(path: Path) -> None:
    alerts = (ROOT / "docs" / "monitoring" / "ckpool-alerts.yml").read_text(encoding="utf-8")
    known = {name for events in EVENTS.values() for name in events} | set(re.findall(r"- alert: (\w+)", alerts))
    for ruleset in rulesets(path):
        for rule in ruleset["rules"]:
            names = re.findall(r'"(\w+)"', rule["condition"])
            assert known.intersection(names), rule
            assert known.union({"hung", "firing"}).issuperset(names), rule


@each_rulebook
def test_its_source_takes_its_arguments(path: Path) -> None:
    for ruleset in rulesets(path):
        for source in ruleset["sources"]:
            given = source.get("ckpool.fleet.watch")
            if given is not None:
                rendered = {**given, "services": ["http://127.0.0.1"], "interval": 60}
                empty = {name: "" if "default('')" in str(value) else value for name, value in rendered.items()}
                assert arguments_of(empty).limits.kinds == given["events"]


@each_rulebook
def test_its_variables_are_explained(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    explained = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    used = set(re.findall(r"{{ (ckpool_\w+)", text))
    assert [name for name in sorted(used) if name not in explained] == []


def test_the_guide_has_every_argument() -> None:
    table = GUIDE.partition("| argument |")[2].partition("\n\n")[0]
    names = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(names) == sorted(name for name in _NAMES if name != "eda_feedback_queue")


def test_the_rulebook_of_the_guide() -> None:
    (text,) = re.findall(r"^```yaml\n(# watch\.yml\n.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    ((source,),) = [ruleset["sources"] for ruleset in yaml.safe_load(text)]
    given = {name: value for name, value in source["ckpool.fleet.watch"].items() if name != "ca_file"}
    assert [host.name for host in arguments_of(given).hosts] == ["pool1", "pool2"]


def test_the_guide_names_every_rulebook() -> None:
    table = GUIDE.partition("| rulebook |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `ckpool\.fleet\.(\w+)`", table, re.MULTILINE) == [
        "hung_pool",
        "block_found",
        "alertmanager",
    ]
    assert sorted(path.stem for path in RULEBOOKS) == ["alertmanager", "block_found", "hung_pool"]
