# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/awx.md says: surveys that are answered as they are, slices, and the playbook that makes the job templates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ansible import Ansible, Json
from tests.support.machine import fleet_of, needs_namespaces
from tests.support.paths import ROOT

yaml = pytest.importorskip("yaml")

AWX = ROOT / "docs" / "awx"
GUIDE = (ROOT / "docs" / "awx.md").read_text(encoding="utf-8")
TEMPLATES: list[Json] = yaml.safe_load((AWX / "job_templates.yml").read_text(encoding="utf-8"))["ckpool_job_templates"]
FILES = ("metrics_file", "report_file", "snapshot_dir", "watch_state_file")
ANSWERS: dict[str, Any] = {"user_name": "user1", "loglevel_level": "notice", "drop_user_users": ""}
"""Answers to questions without a default."""
SETTLED = {
    "health_check": 0, "metrics": 0, "report": 0, "snapshot": 0, "top_users": 0, "user": 2, "watch": 2, "loglevel": 0,
    "drop_user": 2, "graceful_shutdown": 2,
}  # fmt: skip
"""The exit status with these answers: nobody is called user1, nobody is told or dropped, and the shutdown is not confirmed."""
SAID = {"user": "no pool knows", "watch": "nobody", "graceful_shutdown": "not confirmed; nothing was done"}
"""The reason of a failure."""
AWX_MODULE = """
from ansible.module_utils.basic import AnsibleModule

spec = {name: {"type": kind} for name, kind in %r.items()}
module = AnsibleModule(argument_spec=spec)
module.exit_json(changed=True, template=module.params)
"""
OPTIONS = {
    **dict.fromkeys(["name", "description", "job_type", "playbook", "inventory", "project", "execution_environment"], "str"),
    **dict.fromkeys(["become_enabled", "allow_simultaneous", "survey_enabled"], "bool"),
    **dict.fromkeys([f"ask_{what}_on_launch" for what in ("limit", "job_type", "diff_mode", "job_slice_count")], "bool"),
    "survey_spec": "dict", "credentials": "list",
}  # fmt: skip


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    with fleet_of({"one": [{"name": "alpha"}], "two": [{"name": "bravo"}]}, place) as (inventory, _pools):
        del inventory["lost"]
        yield inventory


@needs_namespaces
@pytest.mark.parametrize("playbook", SETTLED)
def test_a_survey_with_nothing_changed_is_as_no_variables(
    playbook: str, fleet: dict[str, Json], ansible: Ansible, tmp_path: Path
) -> None:
    """AWX sets each variable of a survey, to an empty text where nothing was answered."""
    (template,) = (template for template in TEMPLATES if template["playbook"] == f"{playbook}.yml")
    questions = template["survey_spec"]["spec"]
    answers = {q["variable"]: q["default"] if "default" in q else ANSWERS[q["variable"]] for q in questions}
    answers.update({name: str(tmp_path / Path(answers[name]).name) for name in FILES if name in answers})
    run = ansible.playbook(f"ckpool.fleet.{playbook}", inventory=fleet, variables=answers)
    assert run.status == SETTLED[playbook], run.text
    assert SAID.get(playbook, "") in run.text


@needs_namespaces
def test_each_slice_reports_on_its_own_hosts(fleet: dict[str, Json], ansible: Ansible) -> None:
    for host, pool in (("one", "alpha"), ("two", "bravo")):
        run = ansible.playbook("ckpool.fleet.health_check", inventory={host: fleet[host]})
        (report,) = run.results("ckpool_health_report")
        assert run.status == 0, run.text
        assert [row["instance"] for row in report["fleet"]] == [pool]


@needs_namespaces
def test_slices_that_share_a_file_find_each_other_s_pools_gone(
    fleet: dict[str, Json], ansible: Ansible, tmp_path: Path
) -> None:
    variables = {"health_check_json_file": str(tmp_path / "health.json")}
    first = ansible.playbook("ckpool.fleet.health_check", inventory={"one": fleet["one"]}, variables=variables)
    second = ansible.playbook("ckpool.fleet.health_check", inventory={"two": fleet["two"]}, variables=variables)
    assert (first.status, second.status) == (0, 2), second.text
    (report,) = second.results("ckpool_health_report")
    assert {row["host"]: row["state"] for row in report["fleet"]} == {"one": "gone", "two": "ok"}


def test_the_playbook_of_the_guide_makes_the_job_templates(ansible: Ansible, tmp_path: Path) -> None:
    """With a stand-in for the module of awx.awx that has the options which the job templates use."""
    module = tmp_path / "ansible_collections" / "awx" / "awx" / "plugins" / "modules" / "job_template.py"
    module.parent.mkdir(parents=True)
    module.write_text(AWX_MODULE % OPTIONS, encoding="utf-8")
    (shown,) = (block for block in re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL) if "awx.awx" in block)
    plays = yaml.safe_load(shown)
    plays[0]["vars_files"] = str(AWX / plays[0]["vars_files"])
    where = {"ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.collections'}:{tmp_path}"}
    run = ansible.playbook(plays, environment=where)
    assert run.status == 0, run.text
    made = [result["template"] for result in run.results("job_template")[-1]["results"]]
    assert json.loads(json.dumps(TEMPLATES)) == [
        {name: value for name, value in each.items() if value is not None} for each in made
    ]
