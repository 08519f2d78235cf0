# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log level of a running daemon: what it is as far as one can know, setting it, and its return after a time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import time
import typing as t

from . import _memory
from ._control import Control
from ._errors import BadInput, PoolError

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
DEFAULT_LEVEL = 5  #: the daemon's own
_NUMBERS = {**{name: number for number, name in enumerate(LEVELS)}, "warn": 4, "error": 3}
_DIGITS = tuple("01234567")


@dataclasses.dataclass
class Return:
    """The end of a log level that was set for a time.

    :ivar to: the level that returns.
    :ivar at: when, in epoch seconds.
    :ivar timer: the systemd unit that will see to it; None where nothing on the host does.
    """

    to: int
    at: int
    timer: t.Optional[str] = None

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@dataclasses.dataclass
class Change:
    """What became of the level of one instance.

    :ivar known: whether C(previous) is what was last set on this very process, and no assumption.
    :ivar reply: the daemon's; None if nothing was sent.
    """

    level: int
    previous: int
    known: bool
    reply: t.Optional[str] = None
    returns: t.Optional[Return] = None
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)


def parse_level(text: t.Any) -> int:
    """A log level from its name, as syslog and people write it, or its number.

    :raises BadInput: it is none.
    """
    word = str(text).strip().lower()
    if word in _NUMBERS:
        return _NUMBERS[word]
    if word in _DIGITS:
        return int(word)
    raise BadInput(
        f"level {str(text)[:60]!r} is none of {', '.join(LEVELS)}, warn, error, 0-7",
        reason="bad_level",
        hint="5 (notice) is the daemon's default; under it the lines are hidden by which clients are found",
    )


def current(control: Control) -> t.Tuple[int, bool]:
    """The level as far as it can be known, and whether that is knowledge: what was last set on this very process.

    Else it is what its command line says, or the daemon's default, unless somebody changed it by other means.
    """
    level = control.remembered("loglevel")
    if _is_level(level):
        return level, True
    text = control.instance.options.get("l", "")
    return (int(text), False) if text in _DIGITS else (DEFAULT_LEVEL, False)


def change(control: Control, level: int, seconds: t.Optional[float] = None, only_look: bool = False) -> Change:
    """Set the level, for good or for a time.

    :arg seconds: after so many the level from before returns. If one was to return already, it is that one.
    :arg only_look: predict, and send nothing but reads.
    :raises PoolError: the daemon does not take it.
    """
    previous, known = current(control)
    pending = returning(control)
    result = Change(level, previous, known)
    if seconds is not None:
        result.returns = Return(pending.to if pending else previous, int(time.time() + seconds))
    control.must_listen()  # a word to one that hangs would be obeyed when it wakes, when nobody expects that any more
    if only_look:
        return result
    result.reply = control.set_level(level)
    _forget(pending, result)
    if result.returns and seconds is not None:
        _arrange(control, result, seconds)
    _remember(control, result)
    return result


def restore(control: Control, only_look: bool = False) -> Change:
    """Have the level return now that was to return later; where none was, nothing is done."""
    pending = returning(control)
    previous, known = current(control)
    if pending is None:
        control.must_listen()
        return Change(previous, previous, known)
    return change(control, pending.to, only_look=only_look)


def returning(control: Control) -> t.Optional[Return]:
    """The level that is to return, if one is."""
    facts = control.remembered("returns")
    if not isinstance(facts, dict) or not _is_level(facts.get("to")) or not isinstance(facts.get("at"), int):
        return None
    timer = facts.get("timer")
    return Return(facts["to"], facts["at"], timer if isinstance(timer, str) else None)


def _is_level(value: t.Any) -> bool:
    return isinstance(value, int) and 0 <= value < len(LEVELS)


def _forget(pending: t.Optional[Return], result: Change) -> None:
    """Undo a timer whose time has not come, so that it does not undo what was set now."""
    if pending is None or pending.timer is None:
        return
    from ._host import stop_timer  # few tasks need it

    try:
        stop_timer(pending.timer)
        with contextlib.suppress(OSError):
            os.unlink(_kept(pending.timer))
    except PoolError as exc:
        result.problems["timer"] = f"{pending.timer} will still set level {pending.to}: {exc}"


def _arrange(control: Control, result: Change, seconds: float) -> None:
    """Have the host see to the return, by a timer that outlives us and the controller."""
    from . import _return_level  # what the timer runs: Ansible sends what is imported
    from ._host import has_systemd, start_timer

    if not has_systemd() or result.returns is None:
        result.problems["timer"] = "systemd does not run here: nothing on this host will see to the return of the level"
        return
    instance = control.instance
    unit = f"ckpool-fleet-loglevel-{instance.pid}-{instance.start_ticks}"
    try:
        code = _keep_code(unit)
        words = (instance.socket_dir, str(instance.pid), str(instance.start_ticks), code)
        command = [
            "/usr/bin/env",
            f"PYTHONPATH={code}",
            sys.executable,
            # No site: Ansible leaves a sitecustomize in the archive that imports from a path in /tmp, by now anyone's.
            "-BS",
            "-m",
            _return_level.__name__,
            *words,
        ]
        start_timer(unit, seconds, f"Return of the log level of {instance.name} to {result.returns.to}", command)
        result.returns.timer = unit
    except PoolError as exc:
        with contextlib.suppress(OSError):
            os.unlink(_kept(unit))
        result.problems["timer"] = f"{exc}: nothing on this host will see to the return of the level"


def _keep_code(unit: str) -> str:
    """Where our own code is importable from when this task is over. Ansible sends it in an archive, which is copied.

    :raises PoolError: it cannot be kept.
    """
    archive = getattr(globals()["__loader__"], "archive", None)
    if archive is None:
        return os.path.dirname(__file__)[: -len(__package__) - 1]
    kept = _kept(unit)
    try:
        _memory.make(_memory.folder())
        shutil.copyfile(archive, kept)
    except OSError as exc:
        raise PoolError(f"cannot keep {kept}: {exc.strerror}", kept) from None
    return kept


def _kept(unit: str) -> str:
    """Where our own code is kept for a timer."""
    return f"{_memory.folder()}/{unit}.zip"


def _remember(control: Control, result: Change) -> None:
    problem = control.remember(loglevel=result.level, returns=result.returns.as_dict() if result.returns else None)
    if problem:
        result.problems["memory"] = problem
