# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the health of a fleet as a table, and write it to files for programs."""

from __future__ import annotations

import json
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.utils.display import Display

from ..module_utils._health import FAIL_ON, WARNING
from ..module_utils._text import clean, printable
from ..module_utils._wording import listed, sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import inventory_hosts, not_asked_text
from ..plugin_utils._baseline import BadBaseline, Compared, compare, read_baseline
from ..plugin_utils._files import read_own_file, write_atomically
from ..plugin_utils._junit import junit
from ..plugin_utils._outcome import HEALTHY, INVALID, is_failure, outcome
from ..plugin_utils._report import COLOURS, notes, summary, table, totals
from ..plugin_utils._rows import Row, rows_of
from ..plugin_utils._screen import is_for_programs
from ..plugin_utils._services.fleet import BY_HOST, HTTP, SSH, gathered
from ..plugin_utils._types import Json, Options, Variables

display = Display()


class ActionModule(ControllerAction):
    """Runs on the controller. Connects to no host, but to the services of those that are asked by HTTP."""

    options: t.ClassVar[Json] = {
        "variable": {"type": "str", "default": "health_check_result"},
        "fail_on": {"type": "str", "default": "critical", "choices": list(FAIL_ON)},
        "hosts": {"type": "str"},
        "via": {"type": "str", "default": SSH, "choices": [SSH, HTTP, BY_HOST]},
        "forget": {"type": "list", "elements": "str", "default": []},
        "json_file": {"type": "path"},
        "junit_file": {"type": "path"},
    }

    def refuse(self, exc: AnsibleError) -> Json:
        """A call that is wrong has an outcome too."""
        return {"failed": True, "well": False, "outcome": INVALID, "msg": f"outcome: {INVALID}; {exc.message}"}

    def work(self, options: Json, task_vars: Json) -> Json:
        """Gather what the hosts' health tasks registered, or their services say, and report on it."""
        if options["via"] == HTTP and options["hosts"] is None:
            return self.refuse(AnsibleActionFail("via: http needs hosts, the pattern of the hosts to ask"))
        report = Report(options, task_vars, self._loader, time.time())
        if not is_for_programs():
            report.show()
        changed = report.write(self._task.check_mode)
        return {"changed": changed, **report.result()}


class Report:
    """The report on one run."""

    def __init__(self, options: Options, task_vars: Variables, loader: t.Any, now: float) -> None:
        self._options, self._now = options, now
        self._asked, results = gathered(options, task_vars, loader)
        self._problems = list(self._asked.problems)
        self._is_baseline_bad = False
        rows = [row for host, result in results for row in rows_of(host, result)]
        self._compared = self._compare(rows, inventory_hosts(task_vars))
        self._rows = _in_order(rows, self._compared.gone)

    def _compare(self, rows: t.Sequence[Row], inventory: t.Set[str]) -> Compared:
        path = self._options["json_file"]
        try:
            text = read_own_file(path) if path else None
            known = read_baseline(text) if text is not None else []
        except (BadBaseline, AnsibleActionFail) as exc:
            self._is_baseline_bad = True
            advice = "move it away, or name another json_file"
            self._problems.append(f"{path} is not the report of an earlier run: {exc}; {advice}")
            known = []
        return compare(known, rows, inventory, self._options["forget"], self._now)

    def show(self) -> None:
        """Show the table, and below it what it has no room for."""
        first, *lines = table(self._rows)
        display.display("\n" + first, color="bright blue")
        colours = [COLOURS.get(row["state"], "red") for row in self._rows]
        for colour, line in zip([*colours, "bright blue"], lines):
            display.display(line, color=colour)
        for line in notes(self._rows):
            display.display(line)
        display.display("")

    def write(self, check_mode: bool) -> bool:
        """Write the requested files; whether any was written, or would be. A file that cannot be written is a problem."""
        wanted = [name for name in ("junit_file", "json_file") if self._options[name]]
        if self._is_baseline_bad and "json_file" in wanted:
            wanted.remove("json_file")  # it belongs to somebody else, or holds all that is known of the earlier runs
        for name in () if check_mode else wanted:
            try:
                write_atomically(self._options[name], self._json() if name == "json_file" else self._junit())
            except AnsibleActionFail as exc:
                self._problems.append(str(exc))
        return bool(wanted)

    def _junit(self) -> str:
        return junit(self._rows, self._options["fail_on"], self._problems)

    def _json(self) -> str:
        report = {
            "generated": int(self._now),
            "ok": not self._problems and bool(self._rows) and not any(is_failure(row, WARNING) for row in self._rows),
            "outcome": self._outcome,
            "summary": self._sentence(),
            "not_asked": self._asked.not_asked,
            "totals": totals(self._rows),
            "fleet": self._rows,
            "known": [known.as_dict() for known in self._compared.known],
        }
        return json.dumps(clean(report), indent=2, default=to_text) + "\n"

    @property
    def _outcome(self) -> str:
        return outcome(self._rows, self._options["fail_on"], self._problems)

    def _sentence(self) -> str:
        kept = [host for host in self._compared.kept if host not in self._asked.not_asked]
        forgotten = self._compared.forgotten
        not_forgotten = [f"{name} ({why})" for name, why in self._compared.not_forgotten.items()]
        parts = [
            *self._problems,
            summary(self._rows),
            not_asked_text(self._asked.not_asked),
            not_asked_text(kept, "the pattern of hosts"),
            f"forgotten: {listed(forgotten)}" if forgotten else "",
            f"not forgotten: {listed(not_forgotten)}" if not_forgotten else "",
        ]
        return printable(sentence(parts))

    def result(self) -> Json:
        """What the task returns."""
        word = self._outcome
        is_tolerated = self._options["fail_on"] == "never" and self._rows and not self._problems
        well = word == HEALTHY or bool(is_tolerated)
        return {
            "failed": not well,
            "well": well,
            "outcome": word,
            "msg": f"outcome: {word}; {self._sentence()}",
            "fleet": self._rows,
            "table": table(self._rows),
            "notes": notes(self._rows),
            "totals": totals(self._rows),
            "not_asked": self._asked.not_asked,
            "forgotten": self._compared.forgotten,
        }


def _in_order(rows: t.Sequence[Row], gone: t.Sequence[Row]) -> t.List[Row]:
    """The rows of each host together, and those of hosts that have only missing instances at the end."""
    hosts = dict.fromkeys(row["host"] for row in (*rows, *gone))
    places = {host: place for place, host in enumerate(hosts)}
    return sorted((*rows, *gone), key=lambda row: places[row["host"]])
