# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have an instance run one side of a window: its pieces are put in place, and the daemon hands over, or is stopped and started.

Forward and back are the same work. Back there is one more way: a handover that fails is followed by a stop and a start.
It runs on the host alone, so that nothing that happens to the controller or the link leaves a pool stopped.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from .._control import Control
from .._errors import NotFound, PoolError
from .._host import process, systemd
from .._instance import Instance
from .._window import NEW, OLD, Member, Store, Window
from . import pieces
from .programs import identity, path_of, side_of

if t.TYPE_CHECKING:
    from .._types import Json

HANDOVER, STOP_START = "handover", "stop_start"
_POLL = 0.2  #: seconds between two looks at processes, of which nothing is asked
_ASK = 1.0  #: seconds between two questions to a daemon
_KILL_SECONDS = 20.0
_MOST_STARTS = 2  #: of a unit that systemd starts again and again


class Failed(PoolError):
    """An instance could not be brought to a side."""

    phase = "switch"
    reason = "switch_failed"


class Switch:
    """The work on one instance of a window."""

    def __init__(self, store: Store, window: Window, member: Member) -> None:
        self.store = store
        self.window = window
        self.member = member
        self.limits = window.limits
        self._is_back_in_place = False

    def forward(self) -> Json:
        """Have it run the new side, up to an answer of its listener; how it went.

        :raises PoolError: it does not.
        """
        began, member = time.monotonic(), self.member
        if member.strategy == HANDOVER:
            before = self._running()
            self._place(NEW)
            made = self._hand_over(before)
        else:
            self._stop()
            self._place(NEW)
            made = self._start(NEW)
        self._require_program(made, NEW)
        return _noted(NEW, member.strategy, began, made)

    def back(self) -> Json:
        """Have it run the old side again, until it has work; how it went.

        :raises PoolError: it does not.
        """
        began = time.monotonic()
        self._place(OLD)
        self._is_back_in_place = True
        instance = self._found()
        if instance is not None and not _listens(instance):
            instance = None  # one that does not answer takes no orders, and to ask it more would take seconds each time
        if instance is not None and identity(instance) == self.member.process:
            how, made = "none", instance
            Control(instance).accept()
        else:
            how, made = self._return(instance)
        self._await_work()
        self._require_program(self._running(), OLD)
        return _noted(OLD, how, began, made)

    def _return(self, instance: t.Optional[Instance]) -> t.Tuple[str, Instance]:
        """Have the old program take over from a new one: by a handover where that serves, else by a stop and a start."""
        if instance is not None and self.member.strategy == HANDOVER and _can_hand_over(instance):
            try:
                return HANDOVER, self._hand_over(instance)
            except PoolError:
                pass  # the unit can still be stopped and started
        self._stop()
        return STOP_START, self._start(OLD)

    def _require_program(self, instance: Instance, side: str) -> None:
        """Raise unless the process runs the program of a side, by what the kernel says.

        :raises Failed: it runs another one.
        """
        programs = self.member.programs
        if programs.get(NEW) != programs.get(OLD) and side_of(self.member, instance) != side:
            raise Failed(
                f"{self.member.name}: pid {instance.pid} runs {path_of(instance)}, and not {programs.get(side)}",
                reason="wrong_program",
            )

    def _place(self, side: str) -> None:
        """Put the pieces of one side in place, for what all of the host share and for this instance."""
        is_unit_changed = False
        for piece in self.window.of(self.member):
            changed = pieces.put(self.store, piece, side)
            is_unit_changed = is_unit_changed or (changed and piece.kind == "unit")
        if is_unit_changed and systemd.has_systemd():
            systemd.systemctl("daemon-reload")

    # The process

    def _found(self) -> t.Optional[Instance]:
        """The instance whose process lives; None where there is none."""
        try:
            instance = Control.find(socket_dir=self.member.socket_dir).instance
        except NotFound:
            return None
        return instance if identity(instance) and self._is_own(instance) else None

    def _is_own(self, instance: Instance) -> bool:
        """Whether a process is the pool's: of its user, or in its unit. Anybody can start one that names its directory."""
        user = self.member.user
        if user is None or (instance.owner is not None and instance.owner.user == user):
            return True
        service = systemd.service_of(instance.pid) if instance.pid else None
        return service is not None and service.unit in (self.member.old_unit, self.member.unit)

    def _running(self) -> Instance:
        """The instance.

        :raises Failed: its process does not live.
        """
        instance = self._found()
        if instance is None:
            raise Failed(f"{self.member.name} does not run", reason="down")
        return instance

    def _await_listener(self, old: t.Optional[t.List[int]], seconds: float, why_not: t.Callable[[], str]) -> Instance:
        """The instance as soon as a process other than the old one answers on its listener.

        :arg why_not: why there will never be one; empty while there may be.
        :raises Failed: there is none in time.
        """
        name = self.member.name
        deadline, asked, seen = time.monotonic() + seconds, 0.0, None
        while time.monotonic() < deadline:
            instance = self._found()
            now = identity(instance) if instance else None
            if instance is not None and now != old:
                seen = now
                if time.monotonic() - asked >= _ASK:
                    asked = time.monotonic()
                    if _listens(instance):
                        return instance
            elif seen is not None and not _lives(seen):
                raise Failed(f"{name}: the new process, pid {seen[0]}, has ended", reason="ended")
            reason = why_not()
            if reason:
                raise Failed(f"{name}: {reason}", reason="no_new_process")
            time.sleep(_POLL)
        new = f"pid {seen[0]} does not answer" if seen else "there is no new process"
        raise Failed(f"{name}: {new} after {seconds:g} s", reason="not_answering" if seen else "no_new_process")

    def _await_work(self) -> None:
        """Wait until miners can work.

        :raises Failed: they cannot in time.
        """
        seconds = self.limits["ready"]
        deadline = time.monotonic() + seconds
        state = "unknown"
        while time.monotonic() < deadline:
            found = self._found()
            seen = Control(found).look() if found else None
            if seen is not None and seen.is_ready:
                return
            state = seen.state if seen else "down"
            time.sleep(_ASK)
        raise Failed(f"{self.member.name} is {state} after {seconds:g} s", reason="not_ready")

    # Handing over

    def _hand_over(self, before: Instance) -> Instance:
        """Have the daemon hand over, and free its miners.

        :raises PoolError: no new process answers.
        """
        old = identity(before)
        Control(before).restart()

        def why_not() -> str:
            report = Control.handover_of(*old) if old else None
            if report and report.state == "ended":
                return f"the new process, pid {report.pid}, has ended"
            if report and report.state == "none" and report.is_over:
                return "the daemon started no new process"
            return ""

        return self._await_listener(old, self.limits["handover"], why_not)

    # Stopping and starting

    def _stop(self) -> None:
        """Stop the units of both sides, and make sure that no process of the instance is left.

        :raises Failed: there is no unit, or a process is left.
        """
        units = self._units()
        for seconds, how in ((self.limits["stop"], ""), (_KILL_SECONDS, "SIGKILL")):
            for unit in units:
                if how:
                    with contextlib.suppress(PoolError):  # one without processes
                        systemd.systemctl("kill", "--signal", how, "--", unit)
                else:
                    systemd.systemctl("stop", "--no-block", "--", unit)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                states = {systemd.show(unit, "ActiveState").get("ActiveState") for unit in units}
                if states <= {"inactive", "failed"} and not self._found():
                    return
                time.sleep(_POLL)
        raise Failed(f"{' and '.join(units)} does not stop", reason="still_running")

    def _units(self) -> t.List[str]:
        """The units that may run a process of the instance: its own, and those of both sides.

        :raises Failed: there is none.
        """
        instance = self._found()
        found = systemd.service_of(instance.pid) if instance is not None and instance.pid else None
        named = [found.unit] if found else [self._unit(OLD)]
        others = [unit for unit in (self.member.old_unit, self.member.unit) if unit and unit not in named]
        return named + [unit for unit in others if systemd.show(unit, "LoadState").get("LoadState") == "loaded"]

    def _start(self, side: str) -> Instance:
        """Start the unit of a side, up to an answer of the listener.

        :raises Failed: it does not answer.
        """
        unit = self._unit(side)
        systemd.systemctl("reset-failed", "--", unit)
        systemd.systemctl("start", "--no-block", "--", unit)
        began = time.monotonic()

        def why_not() -> str:
            known = systemd.show(unit, "ActiveState", "NRestarts", "Result", "Job")
            starts = known.get("NRestarts", "")
            if known.get("ActiveState") == "failed":
                return f"{unit} does not start ({known.get('Result')})"
            if starts.isdigit() and int(starts) >= _MOST_STARTS:
                return f"{unit} does not start: it has ended {starts} times in a row"
            is_settled = known.get("Job", "0") in ("", "0") and time.monotonic() - began > _ASK
            return f"{unit} has ended at once" if known.get("ActiveState") == "inactive" and is_settled else ""

        return self._await_listener(None, self.limits["start"], why_not)

    def _unit(self, side: str) -> str:
        """The unit of a side.

        :raises Failed: it has none.
        """
        unit = self.member.old_unit if side == OLD else self.member.unit
        if not unit or not systemd.has_systemd():
            raise Failed(
                f"{self.member.name} belongs to no systemd unit, so it cannot be stopped and started here",
                reason="no_service",
            )
        return unit

    def by_hand(self) -> str:
        """What a person types to have the old side serve, after it could not be brought back."""
        unit, program = self.member.old_unit, self.member.programs.get(OLD)
        start = f"systemctl restart {unit}; journalctl -u {unit}" if unit else f"start {program}"
        if self._is_back_in_place:
            return f"the old release, configuration and unit are in place: {start}"
        return f"have the host go back again when the cause is gone: ckpool_window with state: reverted. Or put back by hand {self._old_side()}, then {start}"

    def _old_side(self) -> str:
        """What is in place on the old side, for a person, and where the content of its files is kept."""
        found = []
        for piece in self.window.of(self.member):
            if piece.differs:
                old = piece.old or {}
                digest = old.get("sha256")
                found.append(
                    f"{piece.path} ({old.get('target') or (f'{self.store.folder}/kept/{digest}' if digest else 'nothing')})"
                )
        return ", ".join(found) or "nothing"


def _can_hand_over(instance: Instance) -> bool:
    control = Control(instance)
    return control.look().is_ready and not control.obstacles()


def _listens(instance: Instance) -> bool:
    try:
        Control(instance).require_listener()
    except PoolError:
        return False
    return True


def _lives(one: t.List[int]) -> bool:
    return process.is_alive(one[0]) and process.start_ticks(one[0]) == one[1]


def _noted(side: str, how: str, began: float, instance: Instance) -> Json:
    seconds = round(time.monotonic() - began, 2)
    return {"side": side, "how": how, "seconds": seconds, "pid": instance.pid, "at": int(time.time()), "problem": ""}
