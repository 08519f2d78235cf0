# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch the pools of a host, round after round: on a screen for the whole fleet, or as blocks of lines."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_text
from ansible.utils.display import Display

from ..module_utils._errors import BadInput
from ..module_utils._host.terminal import is_usable, wants_colour, wants_screen
from ..module_utils._monitor import lines_of, name_of, pool_lines, state_of
from ..module_utils._options import check_ranges
from ..module_utils._wording import counted, utc_time
from ..plugin_utils._action import ADDRESS, CallingAction
from ..plugin_utils._board import with_modes
from ..plugin_utils._clock import Interrupted, WorkerClock
from ..plugin_utils._drawer import QUIT_SIGNAL, View
from ..plugin_utils._fleet_screen import FleetScreen
from ..plugin_utils._pool_results import pool_results
from ..plugin_utils._rows import FAILED, row_without_verdict, rows_of
from ..plugin_utils._screen import is_for_programs, own_terminal
from ..plugin_utils._screen_files import ScreenFiles
from ..plugin_utils._step import Lost
from ..plugin_utils._types import Json, Options, Variables

display = Display()

_FIND, _READ, _CHECK = (
    f"ckpool.fleet.{name}" for name in ("ckpool_instance_info", "ckpool_info", "ckpool_health_info")
)
_RANGES = {"interval": (2, 3600), "count": (1, 17280), "users": (0, 100), "blocks": (0, 100)}
_LEAST_REST = 1.0  #: seconds between two rounds, however long one takes
_NAP = 2.0  #: seconds of sleep after which to check that the controller still runs
_FIND_EVERY = 12  #: rounds after which to look for new pools
_WITHIN = "1h"  #: users that have been silent for longer have no hashrate over 1 minute, and need not be read
_SILENT = ("unreachable", "failed", "down", "hung", "unknown")
_SILENCE = 15.0  #: seconds that a call may take beyond its exchanges, before the host counts as silent
_EXCHANGES = 6  #: that a call may have to wait for in vain
_CHATTY = 3  #: the verbosity from which on every call writes lines of its own


class ActionModule(CallingAction):
    """Waits on the controller, and reads on the host.

    It changes nothing that would have to be undone, so a signal ends it like any task: at once, also during a call. On a
    screen it first waits until the terminal is as it was.
    """

    options: t.ClassVar[Json] = {
        **ADDRESS,
        "interval": {"type": "float", "default": 5.0},
        "count": {"type": "int", "default": 12},
        "users": {"type": "int", "default": 5},
        "blocks": {"type": "int", "default": 3},
        "redraw": {"type": "bool", "default": True},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Read and show the pools of the host, round after round."""
        _check(options)
        self._options, self._vars = options, task_vars
        self._known: t.List[Json] = []
        self._pools: t.List[Json] = []
        self._rounds = 0
        self._host = to_text(task_vars.get("inventory_hostname", "host"))
        self._hosts = _hosts_of(task_vars, self._host, bool(self._task.run_once))
        self._screen = self._own_screen(os.getppid())
        self._clock = WorkerClock(*([QUIT_SIGNAL] if self._screen else []))
        if self._screen is not None:
            return self._result(self._watch_on(self._screen))
        _warn_of_few_forks(task_vars)
        try:
            self._watch()
        except Interrupted as exc:
            self._clock.obey(exc)
        return self._result(False)

    def _result(self, is_quit: bool) -> Json:
        states = ", ".join(f"{name_of(pool)} is {state_of(pool)}" for pool in self._pools) or "no pool was read"
        msg = f"after {counted(self._rounds, 'round')}, {states}{'; ended with q' if is_quit else ''}"
        return {"changed": False, "rounds": self._rounds, "pools": self._pools, "msg": msg}

    def _watch_on(self, screen: FleetScreen) -> bool:
        """Run all rounds on a screen; whether the person has quit."""
        screen.open()
        is_quit, is_patient = False, True
        with self._clock:
            try:
                self._watch()
            except Interrupted as exc:
                self._obey_unless_quit(screen, exc)
                is_quit = True
            except Exception as exc:
                screen.show(rows=[row_without_verdict(self._host, FAILED, exc)])
                raise
            except BaseException:  # the task's own timeout
                is_patient = False
                raise
            finally:
                try:
                    screen.finish(self._clock, is_patient)
                except Interrupted as exc:
                    self._obey_unless_quit(screen, exc)
        return is_quit

    def _obey_unless_quit(self, screen: FleetScreen, exc: Interrupted) -> None:
        if exc.signum == QUIT_SIGNAL:
            _end_calls()
            return
        screen.abandon()
        self._clock.obey(exc)

    def _watch(self) -> None:
        """Run all rounds.

        :raises Interrupted: the controller is gone, or, on a screen, a signal came or the person has quit.
        """
        for number in range(1, self._options["count"] + 1):
            began = self._clock.now()
            pools = self._round(number)
            self._pools, self._rounds = pools, number
            self._show(number, pools)
            if number < self._options["count"]:
                _sleep_until(self._clock, max(began + self._options["interval"], self._clock.now() + _LEAST_REST))

    def _round(self, number: int) -> t.List[Json]:
        """Read every pool once. A pool that cannot be read is in the result with the reason."""
        self._number = number
        try:
            if self._is_fleet:
                return self._check_all()
            if not self._known or number % _FIND_EVERY == 0:
                self._known = self._find()
            pools = [self._read(where) for where in self._known]
        except Lost as exc:
            self._known = []
            with contextlib.suppress(Exception), self._interruptible():  # a broken connection may fail to close
                self._reset()
            return [{"unreachable": True, "msg": str(exc)}]
        if any(state_of(pool) in _SILENT for pool in pools):
            self._known = []
        return pools

    @property
    def _is_fleet(self) -> bool:
        """Whether the screen shows more than this host, a line for each pool."""
        return self._screen is not None and len(self._hosts) > 1

    def _call(self, module: str, arguments: Json, task_vars: Json) -> Json:
        """As of all actions; a screen shows that the host is asked, and a signal ends the call.

        :raises Lost: the connection was lost.
        :raises Interrupted: a signal came, or the person has quit.
        """
        if self._screen is not None:
            self._screen.asking(self._number)
        with self._interruptible():
            return super()._call(module, arguments, task_vars)

    def _interruptible(self) -> t.ContextManager[None]:
        return self._clock.open() if self._screen is not None else contextlib.nullcontext()

    def _check_all(self) -> t.List[Json]:
        """The health of every pool, as C(ckpool_health_info) returns it.

        :raises Lost: the connection was lost.
        """
        where = self._given() or {"all_instances": True}
        answer = self._call(_CHECK, {**self._common("log_dir", "source", "timeout", "max_reply"), **where}, self._vars)
        _refuse_bad_options(answer)
        return [found.result for found in pool_results(answer)]

    def _given(self) -> Json:
        """The options that name one pool."""
        return {name: self._options[name] for name in ("socket_dir", "name", "pid") if self._options[name]}

    def _find(self) -> t.List[Json]:
        """The options that lead to each pool; none if there is no pool, so that the reading module says why.

        :raises Lost: the connection was lost.
        """
        if given := self._given():
            return [given]
        instances = self._call(_FIND, self._common("log_dir"), self._vars).get("instances") or []
        known = [_address_of(found) for found in instances]
        return known or [{}]

    def _read(self, where: Json) -> Json:
        """What C(ckpool_info) returns of one pool.

        :raises Lost: the connection was lost.
        """
        counts = {name: self._options[name] for name in ("users", "blocks") if self._options[name]}
        arguments = {
            **self._common("log_dir", "source", "timeout", "max_reply"),
            **where,
            "gather_subset": ["summary", "clients", *counts],
            "active_within": _WITHIN,
            "limit": counts.get("users", 1),
            "blocks_limit": counts.get("blocks", 1),
        }
        answer = self._call(_READ, arguments, self._vars)
        _refuse_bad_options(answer)
        if answer.get("failed") and where:
            answer.setdefault("instance", where)
        return answer

    def _common(self, *names: str) -> Json:
        return {name: self._options[name] for name in names if self._options[name] is not None}

    def _own_screen(self, controller: int) -> t.Optional[FleetScreen]:
        """The part of this host on a screen; None where each round is printed."""
        if not self._options["redraw"] or not self._is_shown() or not wants_screen(os.environ):
            return None
        terminal = own_terminal(controller)
        if display.verbosity >= _CHATTY or terminal is None or not is_usable(terminal):
            return None
        silence = _SILENCE + _EXCHANGES * self._options["timeout"]
        is_coloured = wants_colour(os.environ) and not C.ANSIBLE_NOCOLOR  # type: ignore[attr-defined]
        forks = int(context.CLIARGS.get("forks") or 0)
        view = View(self._hosts, forks, silence, self._options["interval"], terminal, controller, is_coloured)
        try:
            # The folder is private to this run of Ansible, which removes it. The name is that of the task.
            folder = C.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
            files = ScreenFiles(os.path.join(folder, f"ckpool_monitor-{self._task._uuid}"))
        except OSError as exc:
            display.warning(f"{self._host}: no screen: {exc.filename}: {exc.strerror}")
            return None
        return FleetScreen(files, view, self._host, self._options["count"])

    def _is_shown(self) -> bool:
        return not is_for_programs() and not self._task.no_log

    def _show(self, number: int, pools: t.Sequence[Json]) -> None:
        if not self._is_shown():
            return
        now = time.time()
        if self._screen is not None:
            self._draw(self._screen, pools, now)
            if not self._screen.failure:
                return
            if number == 1:
                display.warning(f"{self._host}: no screen: {self._screen.failure}")
        head = f"{self._host}, round {number} of {self._options['count']}, {utc_time(now)}"
        lines = lines_of(head, pools, now)
        display.display("\n" + "\n".join(lines))

    def _draw(self, screen: FleetScreen, pools: t.Sequence[Json], now: float) -> None:
        if self._is_fleet:
            rows = [row for pool in pools for row in rows_of(self._host, pool)]
            screen.show(rows=with_modes(rows, pools))
        else:
            screen.show(blocks=[(state_of(pool), pool_lines(pool, now)) for pool in pools])


def _check(options: Options) -> None:
    try:
        check_ranges(options, _RANGES)
    except BadInput as exc:
        raise AnsibleActionFail(str(exc)) from None


def _refuse_bad_options(answer: Json) -> None:
    """An option that the module refuses is wrong in every round."""
    if answer.get("failed") and answer.get("phase") == "options":
        raise AnsibleActionFail(str(answer.get("msg")))


def _hosts_of(task_vars: Variables, host: str, is_alone: bool) -> t.List[str]:
    """The hosts that run this task beside each other."""
    hosts = task_vars.get("ansible_play_batch") or task_vars.get("ansible_play_hosts_all") or ()
    names = [to_text(name) for name in hosts]
    return names if host in names and not is_alone else [host]


def _end_calls() -> None:
    """End what a call that was interrupted has started, such as ssh to a host that hangs, if this worker is a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGTERM)  # which the worker itself survives: it has a handler


def _sleep_until(clock: WorkerClock, due: float) -> None:
    """Sleep in naps, so as to notice when the controller ends.

    :raises Interrupted: the controller is gone.
    """
    while (left := due - clock.now()) > 0:
        clock.sleep(min(left, _NAP))


def _warn_of_few_forks(task_vars: Variables) -> None:
    """Each host occupies a worker; a host without one waits until another host is done."""
    hosts, forks = len(task_vars.get("ansible_play_batch") or ()), context.CLIARGS.get("forks") or 0
    if hosts > forks > 0:
        display.warning(f"only {forks} of {hosts} hosts are watched at a time; give --forks {hosts} to see all at once")


def _address_of(found: Json) -> Json:
    """The options that name a pool. In containers that is the pid, as two of them may have the same directory."""
    if found.get("root") not in (None, "/") and found.get("pid"):
        return {"pid": found["pid"]}
    return {"socket_dir": found["socket_dir"], "name": found["name"]}
