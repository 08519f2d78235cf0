# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch the pools of a host: the pool itself, its strongest users and its last blocks, again and again."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_text
from ansible.utils.display import Display

from ..plugin_utils._action import ADDRESS, CallingAction, WorkerClock
from ..plugin_utils._monitor import clock_time, lines_of, name_of, state_of
from ..plugin_utils._screen import is_for_programs, is_terminal
from ..plugin_utils._waiting import Interrupted, Lost
from ..plugin_utils._waiting import count as in_words

display = Display()
Json = t.Dict[str, t.Any]

_FIND, _READ = "ckpool.fleet.ckpool_health_info", "ckpool.fleet.ckpool_info"
_RANGES = {"interval": (2, 3600), "count": (1, 17280), "users": (0, 100), "blocks": (0, 100)}
_LEAST_REST = 1.0  #: seconds between two rounds, however long one takes
_NAP = 2.0  #: seconds of sleep after which to see whether the controller is still there
_ANEW = 12  #: rounds after which to look for pools that have come since
_WITHIN = "1h"  #: who has been silent for longer has no hashrate of a minute, and need not be read
_CLEAR = "\x1b[H\x1b[J"
_SILENT = ("unreachable", "failed", "down", "hung", "unknown")


class ActionModule(CallingAction):
    """Waits on the controller, and reads on the host.

    Nothing has to be put back, so signals end it as they end any task: at once, in the middle of a call too.
    """

    options: t.ClassVar[Json] = {
        "interval": {"type": "float", "default": 5.0},
        "count": {"type": "int", "default": 12},
        "users": {"type": "int", "default": 5},
        "blocks": {"type": "int", "default": 3},
        "redraw": {"type": "bool", "default": True},
    }

    def run(self, tmp: t.Any = None, task_vars: t.Optional[Json] = None) -> Json:
        """Read and show the pools of the host, round after round."""
        result: Json = super().run(tmp, task_vars)
        self._vars = task_vars or {}
        spec = {**ADDRESS, **self.options}
        _result, self._options = self.validate_argument_spec(argument_spec=spec)  # type: ignore[no-untyped-call]
        for name, (least, most) in _RANGES.items():
            if not least <= self._options[name] <= most:
                raise AnsibleActionFail(f"{name} must be from {least} to {most}, not {self._options[name]:g}")
        self._known: t.List[Json] = []
        self._host = to_text(self._vars.get("inventory_hostname", "host"))
        _warn_of_few_forks(self._vars)
        clock = WorkerClock()
        try:
            pools = self._watch(clock)
        except Interrupted as exc:
            clock.obey(exc)
        count = self._options["count"]
        states = ", ".join(f"{name_of(pool)} is {state_of(pool)}" for pool in pools)
        result.update(changed=False, rounds=count, pools=pools, msg=f"after {in_words(count, 'round')}, {states}")
        return result

    def _watch(self, clock: WorkerClock) -> t.List[Json]:
        """All rounds; what the last one found.

        :raises Interrupted: the controller is gone.
        """
        is_redrawn = self._is_redrawn(clock.controller)
        pools: t.List[Json] = []
        for number in range(1, self._options["count"] + 1):
            began = clock.now()
            pools = self._round(number)
            self._show(number, pools, is_redrawn)
            if number < self._options["count"]:
                _sleep_until(clock, max(began + self._options["interval"], clock.now() + _LEAST_REST))
        return pools

    def _round(self, number: int) -> t.List[Json]:
        """Read every pool once. Whatever goes wrong is what the round found."""
        try:
            if not self._known or number % _ANEW == 0:
                self._known = self._find()
            pools = [self._read(where) for where in self._known]
        except Lost as exc:
            self._known = []
            with contextlib.suppress(Exception):  # whatever a connection does when it is broken already
                self._reset()
            return [{"unreachable": True, "msg": str(exc)}]
        if any(state_of(pool) in _SILENT for pool in pools):
            self._known = []
        return pools

    def _find(self) -> t.List[Json]:
        """Where the pools are. Where that cannot be told, the reading module says why.

        :raises Lost: the connection was.
        """
        options = self._options
        if options["socket_dir"] or options["name"]:
            return [{name: options[name] for name in ("socket_dir", "name") if options[name]}]
        arguments = {"all_instances": True, **self._common("log_dir", "timeout", "max_reply")}
        instances = [found.get("instance") for found in self._call(_FIND, arguments, self._vars).get("instances") or []]
        known = [{"socket_dir": found["socket_dir"], "name": found["name"]} for found in instances if found]
        return known or [{}]

    def _read(self, where: Json) -> Json:
        """What one pool tells.

        :raises Lost: the connection was.
        """
        counts = {name: self._options[name] for name in ("users", "blocks") if self._options[name]}
        arguments = {
            **self._common("log_dir", "source", "timeout", "max_reply"),
            **where,
            "gather_subset": ["summary", *counts],
            "active_within": _WITHIN,
            "limit": counts.get("users", 1),
            "blocks_limit": counts.get("blocks", 1),
        }
        answer = self._call(_READ, arguments, self._vars)
        if answer.get("failed") and answer.get("phase") == "options":
            raise AnsibleActionFail(str(answer.get("msg")))
        if answer.get("failed") and where:
            answer.setdefault("instance", where)
        return answer

    def _common(self, *names: str) -> Json:
        return {name: self._options[name] for name in names if self._options[name] is not None}

    def _is_redrawn(self, controller: int) -> bool:
        """Whether each round takes the place of the one before: on a terminal that no other host writes to."""
        is_alone = len(self._vars.get("ansible_play_hosts_all") or ()) < 2
        is_dumb = os.environ.get("TERM", "dumb") == "dumb"
        return bool(self._options["redraw"]) and is_alone and not is_dumb and is_terminal(controller)

    def _show(self, number: int, pools: t.Sequence[Json], is_redrawn: bool) -> None:
        if is_for_programs() or self._task.no_log:
            return
        now = time.time()
        head = f"{self._host}, round {number} of {self._options['count']}, {clock_time(now)}"
        text = "\n".join(lines_of(head, pools, now))
        if is_redrawn:  # what moves the cursor is nothing for the log
            display.display(f"{_CLEAR}{text}", screen_only=True)
        else:
            display.display(f"\n{text}")


def _sleep_until(clock: WorkerClock, due: float) -> None:
    """
    :raises Interrupted: the controller is gone.
    """
    while (left := due - clock.now()) > 0:
        clock.sleep(min(left, _NAP))


def _warn_of_few_forks(task_vars: Json) -> None:
    """A host is watched by a worker of its own; whoever finds none waits until another host is done."""
    hosts, forks = len(task_vars.get("ansible_play_batch") or ()), context.CLIARGS.get("forks") or 0
    if hosts > forks > 0:
        display.warning(f"only {forks} of {hosts} hosts are watched at a time; give --forks {hosts} to see all at once")
