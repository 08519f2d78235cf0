# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report on a change of a fleet in batches, for persons and for programs."""

from __future__ import annotations

import json
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_text
from ansible.utils.display import Display

from ..module_utils._errors import PoolError
from ..module_utils._health import CRITICAL, WARNING
from ..module_utils._options import check_range
from ..module_utils._text import clean, printable
from ..module_utils._wording import sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import not_asked_text
from ..plugin_utils._batches import MOST_HOSTS
from ..plugin_utils._files import write_atomically
from ..plugin_utils._outcome import INVALID, PASSING, is_failure
from ..plugin_utils._registered import registered
from ..plugin_utils._rollout import (
    NO_END,
    is_only_unreachable,
    markdown,
    refused_rows,
    rollout_junit,
    rollout_outcome,
    rollout_row,
    rollout_summary,
    rollout_table,
    rollout_totals,
)
from ..plugin_utils._rows import UNDETERMINED, Row, rows_of
from ..plugin_utils._screen import is_for_programs
from ..plugin_utils._types import Json, Variables
from ..plugin_utils._values import plain

display = Display()
_FILES = ("junit_file", "markdown_file", "json_file")


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "plan": {"type": "dict", "default": {}},
        "variable": {"type": "str", "default": "rolling_upgrade_result"},
        "begun_variable": {"type": "str", "default": "rolling_upgrade_began"},
        "health_variable": {"type": "str", "default": "health_check_result"},
        "fail_on": {"type": "str", "default": CRITICAL, "choices": [CRITICAL, WARNING]},
        "batch": {"type": "int", "default": 0},
        "refused": {"type": "str"},
        "outcome": {"type": "str", "choices": ["not_started", INVALID]},
        "json_file": {"type": "path"},
        "junit_file": {"type": "path"},
        "markdown_file": {"type": "path"},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Gather what the hosts registered, and report on it."""
        try:
            check_range("batch", options["batch"], 0, MOST_HOSTS)
        except PoolError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        report = Report(options, task_vars, self._loader)
        if not options["batch"] and not is_for_programs():
            report.show()
        return report.result([] if self._task.check_mode else report.write())


class Report:
    """The report on one run, at its end or meanwhile."""

    def __init__(self, options: Json, task_vars: Variables, loader: t.Any) -> None:
        self._options, self._check_mode = options, bool(task_vars.get("ansible_check_mode"))
        self._plan = plain(options["plan"]) or {}
        health = self._health(task_vars, loader)
        hosts = self._plan.get("hosts") or list(health)
        begun = self._registered(options["begun_variable"], task_vars, loader)
        number_of = self._plan.get("number_of") or {}
        ended = {host: NO_END for host in begun if not options["batch"] or number_of.get(host) != options["batch"]}
        ended.update(self._registered(options["variable"], task_vars, loader))
        self._rows = [
            rollout_row(host, self._plan, ended.get(host), health.get(host, ()), options["batch"]) for host in hosts
        ]
        self._is_unreachable = is_only_unreachable(self._rows)
        self._outcome = rollout_outcome(self._rows)
        if options["outcome"]:
            self._refuse(health)

    def _health(self, task_vars: Variables, loader: t.Any) -> t.Dict[str, t.List[Row]]:
        found = self._registered(self._options["health_variable"], task_vars, loader)
        return {host: rows_of(host, result) for host, result in found.items()}

    def _registered(self, variable: str, task_vars: Variables, loader: t.Any) -> t.Dict[str, t.Any]:
        return dict(registered({"hosts": None, "variable": variable}, task_vars, loader)[1])

    def _refuse(self, health: t.Mapping[str, t.Sequence[Row]]) -> None:
        """The run has not begun, and that is how it ends."""
        self._outcome = self._options["outcome"]
        failing = [row for rows in health.values() for row in rows if is_failure(row, self._options["fail_on"])]
        if self._outcome != INVALID:
            self._rows = refused_rows(self._rows, health, {row["host"] for row in failing})
            self._is_unreachable = bool(failing) and all(row["state"] in UNDETERMINED for row in failing)

    def show(self) -> None:
        """Show the table."""
        for number, line in enumerate(["", *rollout_table(self._rows), ""]):
            display.display(line, color="bright blue" if number == 1 else None)

    def write(self) -> t.List[str]:
        """Write the requested files; why those that could not be were not."""
        problems = []
        wanted = [name for name in _FILES if self._options[name]]
        for name in wanted:
            try:
                write_atomically(self._options[name], self._text(name))
            except AnsibleActionFail as exc:
                problems.append(str(exc))
        return problems

    def _text(self, name: str) -> str:
        if name == "json_file":
            return self._json()
        as_text = rollout_junit if name == "junit_file" else markdown
        return as_text(self._rows, self._outcome, self._sentence())

    def _json(self) -> str:
        report = {
            "generated": int(time.time()),
            "ok": self._outcome in PASSING,
            "outcome": self._outcome,
            "summary": self._sentence(),
            "check_mode": self._check_mode,
            "batches": self._plan.get("batches") or [],
            "not_asked": self._plan.get("not_asked") or [],
            "totals": rollout_totals(self._rows),
            "fleet": self._rows,
        }
        return json.dumps(clean(report), indent=2, default=to_text) + "\n"

    def _sentence(self) -> str:
        parts = [
            self._options["refused"],
            rollout_summary(self._rows),
            not_asked_text(self._plan.get("not_asked") or []),
        ]
        return printable(sentence(part for part in parts if part))

    def result(self, problems: t.Sequence[str]) -> Json:
        """What the task returns.

        :arg problems: files that could not be written.
        """
        is_over = not self._options["batch"] or bool(problems) or any(row["failed"] for row in self._rows)
        return {
            "changed": any(self._options[name] for name in _FILES),
            "failed": bool(problems),
            "written": not problems,
            "outcome": self._outcome,
            "well": self._outcome in PASSING and not problems,
            "unreachable_only": self._is_unreachable,
            "goes_on": not is_over and any(row["outcome"] == "not_started" for row in self._rows),
            "msg": sentence([*map(printable, problems), f"outcome: {self._outcome}", self._sentence()]),
            "fleet": self._rows,
            "table": rollout_table(self._rows),
            "totals": rollout_totals(self._rows),
        }
