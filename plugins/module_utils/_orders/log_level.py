# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log level of a running daemon: what it is as far as is known, setting it, and restoring it after a time."""

from __future__ import annotations

import contextlib
import sys
import time
import typing as t

from .. import _memory
from .._errors import BadInput, PoolError
from .._record import field, record
from . import undo
from .daemon import NOT_TOLD, Daemon

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
DEFAULT_LEVEL = 5  #: the daemon's own
_NUMBERS = {**{name: number for number, name in enumerate(LEVELS)}, "warn": 4, "error": 3}
_DIGITS = tuple("01234567")


@record
class Restore:
    """The end of a log level that was set for a time.

    :ivar to: the level that is restored.
    :ivar at: when, in epoch seconds.
    :ivar timer: what restores it, a unit of systemd or C(pid N); None if nothing on the host does.
    """

    to: int
    at: int
    timer: t.Optional[str] = None

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


@record
class LevelChange:
    """A change of the level of one instance, made or predicted.

    :ivar known: whether C(previous) is what was last set on this very process, and no assumption.
    :ivar reply: the daemon's; None if nothing was sent.
    """

    level: int
    previous: int
    known: bool
    reply: t.Optional[str] = None
    returns: t.Optional[Restore] = None
    problems: t.Dict[str, str] = field(default_factory=dict)


def parse_level(text: t.Any) -> int:
    """A log level from its name, as syslog and people write it, or its number.

    :raises BadInput: it is no level.
    """
    word = str(text).strip().lower()
    if word in _NUMBERS:
        return _NUMBERS[word]
    if word in _DIGITS:
        return int(word)
    raise BadInput(
        f"level {str(text)[:60]!r} is not one of {', '.join(LEVELS)}, warn, error, 0-7",
        reason="bad_level",
        hint="5 (notice) is the daemon's default; under it the lines are hidden by which clients are found",
    )


def current(daemon: Daemon) -> t.Tuple[int, bool]:
    """The level, and whether it is known, as it was set on this very process before.

    If not, it is what the command line says, or the daemon's default, unless it was changed by other means.
    """
    level = daemon.remembered("loglevel")
    if _is_level(level):
        return level, True
    text = daemon.instance.options.get("l", "")
    return (int(text), False) if text in _DIGITS else (DEFAULT_LEVEL, False)


def change(daemon: Daemon, level: int, seconds: t.Optional[float] = None, only_look: bool = False) -> LevelChange:
    """Set the level, permanently or for a time.

    :arg seconds: after which the level from before is restored. If one is to be restored already, it is that one.
    :arg only_look: predict, and send nothing but reads.
    :raises PoolError: the daemon does not take it.
    """
    daemon.require_listener()  # one that hangs would obey when it wakes, when nobody expects it
    with contextlib.nullcontext() if only_look else _memory.turn(daemon.instance):
        return _change(daemon, level, seconds, only_look)


def _change(daemon: Daemon, level: int, seconds: t.Optional[float], only_look: bool) -> LevelChange:
    previous, known = current(daemon)
    pending = pending_restore(daemon)
    result = LevelChange(level, previous, known)
    if seconds is not None:
        result.returns = Restore(pending.to if pending else previous, int(time.time() + seconds))
    if only_look:
        return result
    if result.returns:
        daemon.sources.live()  # now: when the background process restores it, the archive with this code may be gone
        _arrange(daemon, result.returns, pending, result)  # first: this task may be killed at any moment
    try:
        result.reply = daemon.send_loglevel(level)
    except PoolError as exc:
        if exc.reason in NOT_TOLD and result.returns:
            _take_back(daemon, result.returns, pending)
        raise
    problem = daemon.remember(loglevel=level, returns=result.returns.as_dict() if result.returns else None)
    if problem:
        result.problems["memory"] = problem
    _forget(pending, result)
    return result


def restore(daemon: Daemon, only_look: bool = False) -> LevelChange:
    """Restore now the level that was to be restored later; if there is none, do nothing."""
    daemon.require_listener()
    with contextlib.nullcontext() if only_look else _memory.turn(daemon.instance):
        return _restore_now(daemon, only_look)


def _restore_now(daemon: Daemon, only_look: bool) -> LevelChange:
    pending = pending_restore(daemon)
    previous, known = current(daemon)
    if pending is None:
        refused = _memory.refusal()  # then it is not known whether there is one
        return LevelChange(previous, previous, known, problems={"memory": refused} if refused else {})
    return _change(daemon, pending.to, None, only_look)


def pending_restore(daemon: Daemon) -> t.Optional[Restore]:
    """The level that is to be restored, and when; None if there is none."""
    facts = daemon.remembered("returns")
    if not isinstance(facts, dict) or not _is_level(facts.get("to")) or not isinstance(facts.get("at"), int):
        return None
    timer = facts.get("timer")
    return Restore(facts["to"], facts["at"], timer if isinstance(timer, str) else None)


def _is_level(value: t.Any) -> bool:
    return isinstance(value, int) and 0 <= value < len(LEVELS)


def _forget(pending: t.Optional[Restore], result: LevelChange) -> None:
    """Stop a timer whose time has not come, so that it does not undo what was set now."""
    if pending is None or pending.timer is None:
        return
    try:
        undo.cancel(pending.timer)
    except PoolError as exc:
        result.problems["timer"] = f"{pending.timer} will still set level {pending.to}: {exc}"


def _arrange(daemon: Daemon, returns: Restore, pending: t.Optional[Restore], result: LevelChange) -> None:
    """Have the host restore it later, by something that outlives us and the controller, and write that down."""
    try:
        text = f"Restore the log level of {daemon.instance.name} to {returns.to}"
        returns.timer = undo.arrange(daemon, RESTORE, returns.at, text, pending.timer if pending else None)
    except PoolError as exc:
        result.problems["timer"] = f"{exc}: nothing on this host will restore the level"
    problem = daemon.remember(returns=returns.as_dict())
    if problem and returns.timer:  # which will not know that it is wanted
        _cancel(returns.timer)
        returns.timer = None
        result.problems["timer"] = f"{problem}: nothing on this host will restore the level"


def _take_back(daemon: Daemon, returns: Restore, pending: t.Optional[Restore]) -> None:
    """What was arranged for a level that was not set; what was arranged before still is."""
    daemon.remember(returns=pending.as_dict() if pending else None)
    if returns.timer:
        _cancel(returns.timer)


def _cancel(timer: str) -> None:
    with contextlib.suppress(PoolError):  # then it has nothing to do when its time has come
        undo.cancel(timer)


def _due(daemon: Daemon) -> t.Optional[int]:
    pending = pending_restore(daemon)
    return pending.at if pending else None


def _restore(daemon: Daemon) -> str:
    back = restore(daemon)
    return f"log level {back.previous} -> {back.level}: {back.reply}"


RESTORE = undo.Undo("loglevel", __name__, _due, _restore)

if __name__ == "__main__":
    raise SystemExit(undo.main((RESTORE,), sys.argv[1:]))
