# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a window: a process on the host that switches its instances, and goes back by itself unless that is confirmed.

Runs only ask for things, by way of the record: an instance on the new side, everything back, a confirmation. The guard
does them. So nothing is left half done when a controller or a link dies, and two of them never work at the same time.
Where systemd runs it is a service of its own, which a reboot starts again; elsewhere a process that outlives the task.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
import typing as t

from .._errors import PoolError
from .._host import detached, own_folder, process, put, systemd
from .._host.file import Files, exists
from .._text import printable
from .._window import FOLDER, NEW, OLD, Member, Store, Window
from . import switch

if t.TYPE_CHECKING:
    from .._types import Json

UNIT = "ckpool-fleet-window.service"
_UNIT_FILE = f"/etc/systemd/system/{UNIT}"
_FOR_ALL = put.Attributes(None, None, 0o644)
_PROCESS = "pid "
_NAP = 0.5  #: seconds between two looks at the record
_LONGEST = 7 * 86400.0  #: seconds that a process without systemd may go on
_WORKING = ("switching", "switched", "held", "reverting")
_UNIT_TEXT = """\
[Unit]
Description=ckpool.fleet: switches the pools of this host back unless the maintenance window is confirmed
After=network.target
StartLimitIntervalSec=0

[Service]
Environment=PYTHONPATH={code}
ExecStart={python} -BS -m {module} {folder}
KillMode=process
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
"""


# Asking for something


def ask_switch(store: Store, run: str, name: str, before: t.Optional[Json] = None) -> Window:
    """Have the guard bring one instance to the new side.

    :arg before: the figures before; those of an earlier run that has begun it stay.
    :raises PoolError: it is not staged, or no guard can be started.
    """
    with store.changing(run) as window:
        member = window.member(name)
        if window.state not in ("staged", "switching", "switched", "held"):
            raise PoolError(
                f"the window is {window.state}, so nothing can be switched", phase="window", reason="not_staged"
            )
        member.wanted = NEW
        member.before = member.before or before
        window.state = "switched" if member.at == NEW and window.state in ("switched", "held") else "switching"
        window.confirm_by = int(time.time() + window.confirm_within)
        _ensure(store, window)
    return window


def note(store: Store, run: str, name: str, before: Json) -> Window:
    """Keep the figures of an instance from before anything is done to it, for whoever goes on if this run is cut off."""
    with store.changing(run) as window:
        window.member(name).before = before
    return window


def ask_back(store: Store, run: t.Optional[str], why: str) -> Window:
    """Have the guard bring everything back to the old side. What is back already stays.

    :arg run: whose window it must be; None for whoever's.
    """
    with store.changing(run) as window:
        # One that is stuck is tried again for a person: the run that asked for it is told, and gives up.
        if window.state in ("switching", "switched", "held", "reverting", *([] if run else ["stuck"])):
            window.revert = window.revert or printable(why)
            window.state = "reverting"
            _ensure(store, window)
    return window


def hold(store: Store, run: str, why: str) -> Window:
    """Keep what was switched, without a deadline: a person has to decide.

    :raises PoolError: nothing was switched, or it is being reverted.
    """
    with store.changing(run) as window:
        if window.state != "switched":
            raise PoolError(
                f"the window is {window.state}, so nothing can be held", phase="window", reason="not_switched"
            )
        window.state, window.confirm_by, window.msg = "held", None, printable(why)
    return window


def confirm(store: Store, run: t.Optional[str]) -> Window:
    """Keep the new side for good.

    :arg run: whose window it must be; None for whoever's.
    :raises PoolError: it is not switched, or no longer so.
    """
    with store.changing(run) as window:
        if window.state not in ("switched", "held", "staged", "open", "confirmed"):
            raise PoolError(
                f"the window is {window.state}: there is nothing that could be confirmed"
                + (f" ({window.revert})" if window.revert else ""),
                phase="window",
                reason="not_switched",
            )
        if window.state in ("switched", "held"):
            window.state, window.confirm_by = "confirmed", None
    retire(store, window)
    return window


# Its life


def _ensure(store: Store, window: Window) -> None:
    """Make sure that a guard runs.

    :raises PoolError: none can be started.
    """
    if systemd.has_systemd() and store.folder == FOLDER:
        if not (exists(_UNIT_FILE) and systemd.show(UNIT, "ActiveState").get("ActiveState") == "active"):
            _start_service(store)
        window.guard = UNIT
        return
    if not _is_process(window.guard):
        window.guard = _start_process(store)


def _is_process(guard: str) -> bool:
    pid = guard[len(_PROCESS) :].partition(":")[0]
    if not guard.startswith(_PROCESS) or not pid.isdigit():
        return False
    return process.is_alive(int(pid)) and _process_name(int(pid)) == guard


def _start_process(store: Store) -> str:
    """Start a guard that outlives this task, from code of its own; what names it."""
    command = [sys.executable, "-BS", "-m", __name__, store.folder]
    pid = detached.start(command, {"PYTHONPATH": _keep_code(store)}, f"{store.folder}/guard.log", _LONGEST)
    return _process_name(pid)


def _process_name(pid: int) -> str:
    return f"{_PROCESS}{pid}:{process.start_ticks(pid)}"


def _start_service(store: Store) -> None:
    text = _UNIT_TEXT.format(code=_keep_code(store), python=sys.executable, module=__name__, folder=store.folder)
    with put.written(_UNIT_FILE, text.encode("ascii"), _FOR_ALL):
        pass
    systemd.systemctl("daemon-reload")
    systemd.systemctl("enable", "--", UNIT)
    systemd.systemctl("restart", "--", UNIT)


def _keep_code(store: Store) -> str:
    """Where our own code can be imported from when this task is over, and after a reboot.

    :raises PoolError: it cannot be kept.
    """
    archive = getattr(globals()["__loader__"], "archive", None)
    if archive is None:
        return os.path.dirname(__file__)[: -len(__package__) - 1]
    kept = f"{store.folder}/guard.zip"
    with put.written(kept, Files().read(archive), put.Attributes(None, None, 0o600)):
        pass  # it is on the disk now: after a loss of power it has to be whole
    return kept


def retire(store: Store, window: Window, is_guard: bool = False) -> None:
    """Take the guard away; nothing is left for it to do. Without systemd it sees that by itself.

    :arg is_guard: whether it is the guard that does this, which then ends by itself.
    """
    if window.guard != UNIT:
        return
    with contextlib.suppress(PoolError):
        systemd.systemctl("disable", "--", UNIT)
        if not is_guard:
            systemd.systemctl("stop", "--", UNIT)
    own_folder.remove(_UNIT_FILE)
    own_folder.remove(f"{store.folder}/guard.zip")
    with contextlib.suppress(PoolError):
        systemd.systemctl("daemon-reload")


# Its work


def watch(store: Store) -> None:
    """Do what the record asks for, until nothing is left to be done."""
    guard = _Guard(store)
    while guard.step() or not _end(store):
        time.sleep(_NAP)


def _has_work(window: t.Optional[Window]) -> bool:
    return window is not None and window.is_open and window.state in _WORKING


def _end(store: Store) -> bool:
    """Take this guard away, in a moment in which nobody asks for one, so that the next switch does not rely on it; whether it may end."""
    with contextlib.suppress(PoolError), store.locked():
        window = store.load()
        if _has_work(window):
            return False
        if window is not None:
            retire(store, window, is_guard=True)
        if window is not None and window.guard == _process_name(os.getpid()):
            window.guard = ""
            store.save(window)
            own_folder.remove(f"{store.folder}/guard.zip")
    return True


class _Guard:
    """What the guard knows besides the record: what it did and could not write down, as on a full disk."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.unsaved: t.List[t.Callable[[Window], None]] = []
        self.last: t.Optional[Window] = None
        self.is_fresh = True

    def step(self) -> bool:
        """Do the next thing; whether there may be more to do."""
        window = self._load()
        if window is None or not _has_work(window):
            return False
        if self.is_fresh:
            self.is_fresh = False
            self._take_up(window)
            return True
        if window.state == "reverting":
            self._go_back(window)
            return bool(self.unsaved)
        if window.state == "switching":
            self._go_forward(window)
        elif window.confirm_by is not None:
            self._await_confirmation(window, window.confirm_by - time.time())
        return True

    def _await_confirmation(self, window: Window, left: float) -> None:
        """Go back when nobody confirms it in time. A clock that was set back does not put that off for long."""
        if left <= 0:
            self._change(_reverting(f"nobody confirmed it in {window.confirm_within:g} s"))
        elif left > window.confirm_within + 1:
            self._change(_due(time.time() + window.confirm_within))

    def _take_up(self, window: Window) -> None:
        """Go on after another guard that was cut off, as by a reboot: what was half done is taken back."""
        if window.state == "switching" and any(not member.at for member in window.members):
            self._change(_reverting("the host was interrupted while it was switched"))

    def _go_forward(self, window: Window) -> None:
        for member in window.members:
            if member.wanted == NEW and member.at != NEW:
                self._change(_at(member.name, ""))
                try:
                    made = switch.Switch(self.store, window, member).forward()
                except Exception as exc:  # nothing may end the guard
                    problem = _described(exc)
                    self._change(_noted(member.name, "", _problem(NEW, problem)))
                    self._change(_reverting(problem))
                    return
                self._change(_noted(member.name, NEW, made))
                window = self._load() or window
                if window.state != "switching":
                    return
        self._change(_switched())

    def _go_back(self, window: Window) -> None:
        problems = []
        for member in reversed(window.members):
            if member.wanted == OLD and member.at == OLD:
                continue
            self._change(_at(member.name, ""))
            work = switch.Switch(self.store, window, member)
            try:
                self._change(_noted(member.name, OLD, work.back()))
            except Exception as exc:  # nothing may end the guard
                problems.append(f"{_described(exc)}. Hint: {work.by_hand()}")
                self._change(_noted(member.name, "", _problem(OLD, problems[-1])))
        self._change(_reverted(problems))

    def _load(self) -> t.Optional[Window]:
        """The record, with what could not be written down; the last one where it cannot be read now."""
        try:
            with self.store.locked():
                window = self.store.load()
                for change in self.unsaved if window else ():
                    change(t.cast("Window", window))
                self.last = window
                if self.unsaved and window:
                    self.store.save(window)
                    self.unsaved = []
        except PoolError as exc:
            sys.stderr.write(f"{exc}\n")
        return self.last

    def _change(self, change: t.Callable[[Window], None]) -> None:
        """Change the record; what cannot be written down now is written later."""
        try:
            with self.store.changing() as window:
                for one in (*self.unsaved, change):
                    one(window)
            self.unsaved = []
        except PoolError as exc:
            sys.stderr.write(f"{exc}\n")
            self.unsaved.append(change)
            if self.last is not None:
                change(self.last)


def _at(name: str, side: str) -> t.Callable[[Window], None]:
    def change(window: Window) -> None:
        window.member(name).at = side

    return change


def _noted(name: str, side: str, made: Json) -> t.Callable[[Window], None]:
    def change(window: Window) -> None:
        member: Member = window.member(name)
        member.at, member.switch = side, made
        if side == OLD:
            member.wanted = OLD

    return change


def _problem(side: str, problem: str) -> Json:
    return {"side": side, "how": "", "seconds": None, "pid": None, "at": int(time.time()), "problem": problem}


def _described(exc: Exception) -> str:
    """What went wrong, for a person. What nobody foresaw goes to the log as well, where it happened."""
    if isinstance(exc, PoolError):
        return f"{exc}"
    traceback.print_exc()
    return f"{type(exc).__name__}: {exc}"


def _reverting(why: str) -> t.Callable[[Window], None]:
    def change(window: Window) -> None:
        window.state, window.revert = "reverting", window.revert or why

    return change


def _due(when: float) -> t.Callable[[Window], None]:
    def change(window: Window) -> None:
        window.confirm_by = int(when)

    return change


def _switched() -> t.Callable[[Window], None]:
    now = time.time()  # and not when it comes to be written down

    def change(window: Window) -> None:
        if window.state == "switching":
            window.state = "switched"
            window.confirm_by = int(now + window.confirm_within)

    return change


def _reverted(problems: t.Sequence[str]) -> t.Callable[[Window], None]:
    def change(window: Window) -> None:
        window.state = "stuck" if problems else "reverted"
        window.confirm_by = None
        window.outcome = "rollback_failed" if problems else "rolled_back"
        window.msg = "; ".join((window.revert, *problems))

    return change


if __name__ == "__main__":
    watch(Store(sys.argv[1] if len(sys.argv) > 1 else FOLDER))
