# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the health of a fleet as a table, and write it down for programs."""

from __future__ import annotations

import json
import time
import typing as t

from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils._files import write_atomically
from ..plugin_utils._report import COLOURS, Row, is_failure, junit, rows_of, summary, table
from ..plugin_utils._screen import is_for_programs

display = Display()


class ActionModule(ActionBase):
    """Runs on the controller; asks no host."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Gather what the hosts' health tasks registered, and report on it."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _spec, options = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            argument_spec={
                "variable": {"type": "str", "default": "health_check_result"},
                "fail_on": {"type": "str", "default": "critical", "choices": ["critical", "warning", "never"]},
                "json_file": {"type": "path"},
                "junit_file": {"type": "path"},
            }
        )
        rows = fleet_rows((task_vars or {})["hostvars"], options["variable"])
        lines = table(rows)
        if not is_for_programs():
            _show(rows, lines)
        changed = self._write(rows, options)
        well = bool(rows) and not any(is_failure(row, options["fail_on"]) for row in rows)
        result.update(changed=changed, failed=not well, well=well, msg=summary(rows), fleet=rows, table=lines)
        return result

    def _write(self, rows: t.Sequence[Row], options: t.Dict[str, t.Any]) -> bool:
        """Write the files that were asked for; whether any was."""
        ok = not any(is_failure(row, "warning") for row in rows)
        report = {"generated": int(time.time()), "ok": ok, "summary": summary(rows), "fleet": rows}
        contents = {
            "json_file": json.dumps(report, indent=2, default=to_text) + "\n",
            "junit_file": junit(rows, options["fail_on"]),
        }
        wanted = {name: text for name, text in contents.items() if options[name]}
        if not self._task.check_mode:
            for name, text in wanted.items():
                write_atomically(options[name], text)
        return bool(wanted)


def fleet_rows(hostvars: t.Mapping[str, t.Any], variable: str) -> t.List[Row]:
    """The rows of every host that has a result under that name, in the inventory's order."""
    rows: t.List[Row] = []
    for host in hostvars:
        result = hostvars[host].get(variable)
        if isinstance(result, dict):
            rows.extend(rows_of(str(host), result))
    return rows


def _show(rows: t.Sequence[Row], lines: t.Sequence[str]) -> None:
    display.display("\n" + lines[0], color="bright blue")
    for row, line in zip(rows, lines[1:]):
        display.display(line, color=COLOURS.get(row["state"], "red"))
    display.display("")
