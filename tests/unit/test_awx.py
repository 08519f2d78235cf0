# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The job templates in docs/awx: AWX takes them, and their surveys ask for variables as the roles and playbooks have them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.tools import docsite

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
TEMPLATES: list[dict[str, Any]] = yaml.safe_load((ROOT / "docs/awx/job_templates.yml").read_text(encoding="utf-8"))[
    "ckpool_job_templates"
]
GUIDE = (ROOT / "docs" / "awx.md").read_text(encoding="utf-8")
NO_TEMPLATE = {"announce", "monitor"}
"""Playbooks that nobody launches in AWX; docs/awx.md says why."""
TYPES: dict[str, type] = {
    "text": str, "textarea": str, "password": str, "multiplechoice": str, "multiselect": str, "integer": int, "float": float,
}  # fmt: skip
"""What AWX asks, and the type of an answer."""
ASKS = {"str": "text", "path": "text", "int": "integer", "float": "float"}
FIELDS: dict[str, type] = {
    **dict.fromkeys(["name", "description", "job_type", "playbook", "inventory", "project", "execution_environment"], str),
    "become_enabled": bool, "allow_simultaneous": bool, "survey_enabled": bool, "survey_spec": dict, "credentials": list,
    **dict.fromkeys([f"ask_{what}_on_launch" for what in ("limit", "job_type", "diff_mode", "job_slice_count")], bool),
}  # fmt: skip
"""Options of awx.awx.job_template that are used here, and their types."""

Question = dict[str, Any]


def playbook_of(template: dict[str, Any]) -> str:
    return str(template["playbook"]).removesuffix(".yml")


QUESTIONS = [
    pytest.param(playbook_of(template), question, id=f"{playbook_of(template)}-{question['variable']}")
    for template in TEMPLATES
    for question in template["survey_spec"]["spec"]
]
each_template = pytest.mark.parametrize("template", TEMPLATES, ids=playbook_of)
each_question = pytest.mark.parametrize(("playbook", "question"), QUESTIONS)


def in_roles() -> dict[str, dict[str, Any]]:
    """Each variable of a role, as its argument specification has it."""
    found: dict[str, dict[str, Any]] = {}
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found.update(entry.get("options") or {})
    return found


def in_comment(playbook: str) -> dict[str, str]:
    """Each variable that the comment of a playbook explains, and what it says of it."""
    _words, variables = docsite.comment_of((ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for names, escaped in variables:
        meaning = re.sub(r"\\(.)", r"\1", escaped)
        found.update(dict.fromkeys(re.findall(r"``(\w+)``", names), meaning))
        found.update(re.findall(r"(\w+_\w+): ([^;]+)", meaning))  # two in one line
    return found


ROLES = in_roles()


def test_every_playbook_that_a_person_runs_has_one() -> None:
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    assert sorted(map(playbook_of, TEMPLATES)) == sorted(playbooks - NO_TEMPLATE)
    assert len({template["name"] for template in TEMPLATES}) == len(TEMPLATES)
    assert all(f"`{name}`" in GUIDE for name in NO_TEMPLATE)


def test_the_command_of_the_guide_makes_each_playbook_of_the_project(tmp_path: Path) -> None:
    (command,) = (
        block for block in re.findall(r"```console\n(.*?)```", GUIDE, flags=re.DOTALL) if block.startswith("for ")
    )
    subprocess.run(["bash", "-e", "-c", command], cwd=tmp_path, check=True, timeout=60)
    made = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()}
    assert made == {
        template["playbook"]: [
            {"name": playbook_of(template), "ansible.builtin.import_playbook": f"ckpool.fleet.{playbook_of(template)}"}
        ]
        for template in TEMPLATES
    }


@each_template
def test_its_fields_are_options_of_the_module(template: dict[str, Any]) -> None:
    assert {name: type(value) for name, value in template.items()} == {name: FIELDS[name] for name in template}
    assert template["survey_enabled"] is True


@each_template
def test_its_survey_is_complete(template: dict[str, Any]) -> None:
    survey = template["survey_spec"]
    assert set(survey) == {"name", "description", "spec"}
    names = [question["variable"] for question in survey["spec"]]
    assert names
    assert len(set(names)) == len(names)


@each_template
def test_nothing_is_left_that_would_prompt(template: dict[str, Any]) -> None:
    """Nobody could answer: a job has a terminal, and waits. A question with a default always sets its variable."""
    playbook = yaml.safe_load((ROOT / "playbooks" / template["playbook"]).read_text(encoding="utf-8"))
    prompts = [prompt["name"] for play in playbook for prompt in play.get("vars_prompt", [])]
    if playbook_of(template) == "graceful_shutdown":
        prompts.append("graceful_shutdown_confirm")
    asked = {question["variable"]: question for question in template["survey_spec"]["spec"]}
    assert all(asked[name]["required"] or "default" in asked[name] for name in prompts)


@each_question
def test_awx_takes_the_question(playbook: str, question: Question) -> None:
    """By the rules by which AWX refuses a survey."""
    assert set(question) - {"default", "choices", "min", "max"} == {
        "question_name", "question_description", "variable", "type", "required",
    }  # fmt: skip
    assert all(isinstance(question[key], str) for key in ("question_name", "question_description", "variable"))
    assert isinstance(question["required"], bool)
    assert all(isinstance(question[key], int) for key in ("min", "max") if key in question)
    expected = TYPES[question["type"]]
    default = question.get("default", "")
    assert default == "" or isinstance(default, expected)
    assert not str(default).startswith("$encrypted$")
    assert ("choices" in question) == (question["type"] in ("multiplechoice", "multiselect"))
    if "choices" in question:
        assert all(isinstance(choice, str) for choice in question["choices"])
        assert default == "" or default in question["choices"]
    if "min" in question and default != "":
        size = len(default) if isinstance(default, str) else default
        assert question["min"] <= size <= question["max"]


@each_question
def test_a_role_or_the_playbook_has_the_variable(playbook: str, question: Question) -> None:
    name, default = question["variable"], question.get("default", "")
    option = ROLES.get(name)
    if option is None:
        meaning = in_comment(playbook)[name]
        assert default in ("", "no") or f"({default}" in meaning or f"{default} (default)" in meaning, meaning
        choices = [choice for choice in question.get("choices", []) if choice != "no"]
        assert all(re.search(rf"\b{re.escape(choice)}\b", meaning) for choice in choices), meaning
        return
    kind = option.get("type", "str")
    asked = "password" if option.get("no_log") or name.endswith("_token") else ASKS[kind]
    asked = "multiplechoice" if "choices" in question else asked
    assert question["type"] == asked
    assert default == option.get("default", "")
    if "choices" in option:
        assert question["choices"] == option["choices"]


def test_the_guide_says_which_may_be_sliced() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (yes|no)\b", GUIDE, flags=re.MULTILINE))
    sliced = {playbook_of(template): bool(template.get("ask_job_slice_count_on_launch")) for template in TEMPLATES}
    assert {name: answer == "yes" for name, answer in rows.items()} == sliced
