# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the metrics of a fleet to one file for Prometheus."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ..module_utils._errors import Unparsable
from ..module_utils._metrics import Sample, exposition, owners, parse
from ..module_utils._text import printable
from ..module_utils._wording import counted, listed, sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import inventory_hosts, not_asked_text
from ..plugin_utils._files import read_own_file, write_atomically
from ..plugin_utils._fleet_metrics import FleetMetrics
from ..plugin_utils._registered import registered
from ..plugin_utils._types import Json
from ..plugin_utils._values import plain


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "variable": {"type": "str", "default": "metrics_result"},
        "hosts": {"type": "str"},
        "textfile": {"type": "path", "required": True},
        "forget": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Gather what the hosts' tasks registered, and write the file."""
        path = options["textfile"]
        before = _before(path)
        asked, results = registered(options, task_vars, self._loader)
        fleet = FleetMetrics(before, options["forget"])
        for host, result in results:
            fleet.add(host, plain(result))
        fleet.finish(inventory_hosts(task_vars))
        if not self._task.check_mode:
            write_atomically(path, exposition(fleet.samples))
        problems = [*asked.problems, *(f"{entry['host']}: {entry['why']}" for entry in fleet.missing)]
        problems += [] if results else ["no host was asked"]
        return {
            "changed": True,
            "failed": bool(problems),
            "textfile": path,
            "pools": len(owners(fleet.samples)),
            "down": _down(fleet.samples),
            "gone": fleet.gone,
            "forgotten": fleet.forgotten,
            "kept": fleet.kept,
            "missing": fleet.missing,
            "not_asked": asked.not_asked,
            "problems": problems,
            "msg": self._sentence(path, fleet, problems, not_asked_text(asked.not_asked)),
        }

    def _sentence(self, path: str, fleet: FleetMetrics, problems: t.Sequence[str], not_asked: str) -> str:
        down = _down(fleet.samples)
        written = "would be written" if self._task.check_mode else "written"
        parts = [
            *problems,
            f"{counted(len(owners(fleet.samples)), 'pool')} {written} to {path}",
            f"{len(down)} not up: {listed(down)}" if down else "",
            f"gone: {listed(fleet.gone)}" if fleet.gone else "",
            f"forgotten: {listed(fleet.forgotten)}" if fleet.forgotten else "",
            not_asked,
        ]
        return printable(sentence(parts))


def _before(path: str) -> t.List[Sample]:
    """The samples of the earlier file; empty if there is none.

    :raises AnsibleActionFail: the file has another form, or cannot be one that the collector reads.
    """
    if not path.endswith(".prom"):
        raise AnsibleActionFail(f"textfile must end in .prom, as the collector reads no other files: {path}")
    try:
        return parse(read_own_file(path) or "")
    except (Unparsable, AnsibleActionFail) as exc:
        raise AnsibleActionFail(
            f"{path} is not a file of this module: {exc}; move it away, or name another textfile"
        ) from None


def _down(samples: t.Iterable[Sample]) -> t.List[str]:
    """What is not up: C(HOST:POOL), or C(HOST) where no pool of it is known."""
    found = (sample.owner for sample in samples if sample.name == "ckpool_up" and not sample.value)
    return [f"{host}:{pool}" if pool else host for host, pool in found]
