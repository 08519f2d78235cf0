# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the users of a fleet, and write them to a file for programs."""

from __future__ import annotations

import json
import time
import typing as t

from ansible.errors import AnsibleActionFail

from ..module_utils._text import clean, printable
from ..module_utils._wording import sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import not_asked_text
from ..plugin_utils._files import write_atomically
from ..plugin_utils._ranking import top
from ..plugin_utils._registered import registered
from ..plugin_utils._types import Json
from ..plugin_utils._users import NUMBERS, FleetUsers, merged, table

_ALL = 2**31


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "variable": {"type": "str", "default": "user_report_result"},
        "hosts": {"type": "str"},
        "count": {"type": "int", "default": 10},
        "by": {"type": "str", "default": "hashrate1m", "choices": list(NUMBERS)},
        "merge": {"type": "bool", "default": False},
        "user": {"type": "str"},
        "json_file": {"type": "path"},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Gather what the hosts' tasks registered, rank it, and write it to the file."""
        if options["count"] < 0:
            raise AnsibleActionFail(f"count must be at least 0, not {options['count']}")
        asked, results = registered(options, task_vars, self._loader)
        fleet = _users_of(results)
        users = _chosen(fleet, options)
        report = {"by": options["by"], "users": users, "missing": fleet.missing, "not_asked": asked.not_asked}
        if options["json_file"] and not self._task.check_mode:
            text = json.dumps(clean({"generated": int(time.time()), **report}), indent=2, default=str)
            write_atomically(options["json_file"], text + "\n")
        problems = [*asked.problems, *_unknown(users, options), *_missing(fleet)]
        count = f"{len(users)} of {len(fleet.users)} users" if options["user"] is None else ""
        parts = [*problems, count, not_asked_text(asked.not_asked)]
        return {
            **report,
            "problems": problems,
            "changed": bool(options["json_file"]),
            "failed": bool(problems),
            "table": table(users),
            "msg": printable(sentence(parts)),
        }


def _users_of(results: t.Sequence[t.Tuple[str, t.Any]]) -> FleetUsers:
    """The users of all hosts, in the order of the inventory."""
    fleet = FleetUsers()
    for host, result in results:
        fleet.add(host, result)
    if not results:
        fleet.miss("-", "pool", "no host was asked")
    return fleet


def _chosen(fleet: FleetUsers, options: Json) -> t.List[Json]:
    wanted = options["user"]
    users = [user for user in fleet.users if wanted is None or user["user"] == wanted]
    users = merged(users) if options["merge"] else users
    return top(users, options["count"] or _ALL, by=options["by"])


def _unknown(users: t.Sequence[Json], options: Json) -> t.List[str]:
    wanted = options["user"]
    return (
        [f"no pool that answered knows the user {wanted}: check the spelling"]
        if wanted is not None and not users
        else []
    )


def _missing(fleet: FleetUsers) -> t.List[str]:
    return [
        entry["why"] if entry["host"] == "-" else f"{entry['pool']} on {entry['host']}: {entry['why']}"
        for entry in fleet.missing
    ]
