# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example of the guides is run by a test, or listed with the reason why not; and names what there is."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import typing as t
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch_state import Message

from tests.support import explained, guides
from tests.support.guides import Example
from tests.support.paths import ROOT

ALL = guides.examples()
OF_MODULES = guides.module_examples()


def name_of(each: Example) -> str:
    return f"{each.page}-{each.label}"


@pytest.mark.parametrize("each", [*ALL, *OF_MODULES], ids=name_of)
def test_it_is_run_or_listed(each: Example) -> None:
    """A new block that no test runs fails here: add it to tests/support/examples.yml."""
    known = guides.treatment(each)
    assert each.is_safe or known, f"no test runs it, and {guides.REGISTER} does not list it"
    if known.startswith("tests/"):
        path, _separator, test = known.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^ *def {test}\(", text, re.MULTILINE), known
    elif known:
        assert known.partition(":")[0] in guides.KINDS, known
        assert known.partition(":")[0] not in ("schema", "shown") or known.partition(": ")[2], known


def test_nothing_is_listed_that_is_gone() -> None:
    labels = {(each.page, each.label) for each in [*ALL, *OF_MODULES]}
    labels |= {(each.page, f"*: {each.language}") for each in ALL}
    assert [(page, label) for page, entries in guides.register().items() for label in entries
            if (page, label) not in labels] == []  # fmt: skip


def test_a_page_of_all_kinds() -> None:
    text = "# A\n```console\n$ ansible-playbook -i inventory.yml ckpool.fleet.user\n# no heading\n```\n\n- x\n\n  ```json\n  {}\n  ```\n"
    text += "## B\n```\nout\n```\n```yaml\n- name: Remove\n  ansible.builtin.file: {path: /}\n```\n```yaml\na: 1\n```\n"
    found = guides.examples_of("p.md", text)
    assert [each.label for each in found] == ["A: console", "A: json", "B: text", "B: yaml", "B: yaml #2"]
    assert [each.is_safe for each in found] == [True, False, False, False, False]
    assert found[1].text == "{}\n"


@pytest.mark.parametrize(
    "line",
    ["rm -r /tmp/ckpool", "ansible-playbook -i inventory.yml ckpool.fleet.install", "ansible all -m ansible.builtin.command -a id",
     "ansible-playbook ckpool.fleet.watch -e watch_ntfy_topic=x", "curl http://127.0.0.1/"],
)  # fmt: skip
def test_what_may_change_more_than_a_pool_is_not_run(line: str) -> None:
    assert not Example("p.md", "x", "console", line).is_safe


def variables_of(path: Path) -> t.Set[str]:
    """Those of a playbook: the words of its comment."""
    return set(re.findall(r"\b[a-z]+_\w+", path.read_text(encoding="utf-8")))


def known_variables() -> t.Set[str]:
    """The variables of all roles and playbooks."""
    found = {name for path in (ROOT / "playbooks").rglob("*.yml") for name in variables_of(path)}
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found |= set(entry.get("options", {}))
    return found


def commands() -> t.List[t.Tuple[str, str]]:
    shells = [each for each in ALL if each.language in ("console", "sh")]
    return [(each.page, line) for each in shells for line in each.commands if "ckpool.fleet" in line]


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_names_what_there_is(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] not in ("ansible-playbook", "ansible", "ansible-doc"):
        return
    for name in (word[len("ckpool.fleet.") :] for word in words if word.startswith("ckpool.fleet.")):
        places = ["modules/{}.py"] if words[0] == "ansible" else ["../playbooks/{}.yml", "modules/{}.py"]
        assert any((ROOT / "plugins" / place.format(name)).exists() for place in places), name
    given = [value for option, value in zip(words, words[1:]) if option == "-e" and not value.startswith(("@", "{"))]
    names = {part.partition("=")[0] for value in given for part in shlex.split(value)}
    assert names <= known_variables()


@pytest.mark.parametrize("each", guides.of_kind("variables"), ids=name_of)
def test_variables_are_those_of_a_role_or_a_playbook(each: Example) -> None:
    content = yaml.safe_load(each.text)
    assert isinstance(content, dict) and content
    assert set(content) <= known_variables()


@pytest.mark.parametrize(("page", "inside"), [("docs/watch.md", ""), ("docs/events.md", "ckpool")])
def test_a_message_has_the_keys_of_the_code(page: str, inside: str) -> None:
    (shown,) = (json.loads(each.text) for each in ALL if (each.page, each.language) == (page, "json"))
    message = shown[inside] if inside else shown
    names = [field.name for field in dataclasses.fields(Message) if field.name not in ("to", "tries", "why")]
    assert sorted(message) == sorted(names)


def test_quotes_of_windows_are_said_by_the_code() -> None:
    """Each two words of a message in docs/window-failures.md are next to each other in the code, but for what differs from case to case."""
    paths = [path for folder in ("plugins", "roles", "playbooks") for path in (ROOT / folder).rglob("*.*")]
    code = "".join(path.read_text(encoding="utf-8") for path in paths if path.suffix in (".py", ".yml"))
    code = re.sub(r"\s+", " ", re.sub(r'"\s*f?"', "", code))
    for quote in explained.quotes():
        parts = explained.VARIABLE.split(re.sub(r"\bpid |\b(?:starting|previous)\b|\bat (?=\d{4}-)", "…", quote))
        pairs = [pair for part in parts for pair in re.findall(r"(?=\b([a-z]{2,} [a-z]{2,})\b)", part)]
        assert pairs, quote
        assert [pair for pair in pairs if pair not in code] == [], quote
