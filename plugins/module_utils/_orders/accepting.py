# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accepting miners, or rejecting them for a time that the host itself ends, and what an earlier run left rejecting."""

from __future__ import annotations

import sys
import time
import typing as t

from .. import _memory
from .._errors import PoolError
from .._host import sockets  # now: when the background process accepts again, the archive with this code may be gone
from .._record import field, record
from . import undo
from .daemon import BOUND, NOT_TOLD, Daemon

ACCEPTING, REJECTING = "accepting", "rejecting"


@record
class AcceptingChange:
    """What was changed.

    :ivar reply: the daemon's; None if nothing was sent.
    :ivar accepts_at: when the host has it accept again, in epoch seconds; None if it does not.
    :ivar timer: what does that, a unit of systemd or C(pid N); None if nothing does.
    """

    reply: t.Optional[str] = None
    accepts_at: t.Optional[int] = None
    timer: t.Optional[str] = None
    problems: t.Dict[str, str] = field(default_factory=dict)


def current(daemon: Daemon) -> t.Tuple[str, bool]:
    """C(accepting) or C(rejecting), and whether that is known. If not, it is C(accepting), as a new process does."""
    state = daemon.remembered("gate")
    return (state, True) if state in (ACCEPTING, REJECTING) else (ACCEPTING, False)


def accept(daemon: Daemon) -> AcceptingChange:
    """Have it accept miners and read what they send.

    :raises PoolError: the daemon does not take it.
    """
    with _memory.turn(daemon.instance):
        return _accept(daemon)


def _accept(daemon: Daemon) -> AcceptingChange:
    reply = _send(daemon, "accept", ACCEPTING)
    return AcceptingChange(reply, problems=_forget(daemon))


def reject(daemon: Daemon, seconds: t.Optional[float], by: str) -> AcceptingChange:
    """Have it reject miners.

    What ends that is arranged before the daemon is told: a task that is cut off in between does not leave it rejecting.

    :arg seconds: after which the host has it accept again; None for never.
    :arg by: the module that does this.
    :raises PoolError: the daemon does not take it, or the time was over before it did: then it accepts again.
    """
    with _memory.turn(daemon.instance):
        return _reject(daemon, seconds, by)


def _reject(daemon: Daemon, seconds: t.Optional[float], by: str) -> AcceptingChange:
    now = int(time.time())
    change = AcceptingChange(accepts_at=None if seconds is None else max(int(now + seconds), now + 1))
    ends = None if change.accepts_at is None else time.monotonic() + change.accepts_at - time.time()
    earlier = daemon.remembered("gate_timer")
    _arrange(daemon, change, ACCEPT, earlier)  # first: this task may be killed at any moment
    facts = {"gate": REJECTING, "gate_since": now, "gate_until": change.accepts_at, "gate_by": by}
    problem = daemon.remember(**facts, gate_timer=change.timer)
    if problem:
        change.problems["memory"] = problem
        _arrange(daemon, change, ACCEPT_ANYWAY, earlier)
    _stop(earlier, change.problems)
    try:
        change.reply = _send(daemon, "reject", REJECTING)
    except PoolError as exc:
        if exc.reason in NOT_TOLD:
            _forget(daemon)
        raise
    if ends is not None and time.monotonic() >= ends:
        _accept(daemon)  # the host may have done so before it was told to reject, and does it only once
        raise PoolError(
            f"{daemon.instance.name} was to reject miners for {seconds:g} s, which were over before it did; it accepts again",
            reason="over_before_sent",
            hint="this host is very busy; reject for longer",
        )
    return change


def _send(daemon: Daemon, message: str, reply_begins: str) -> str:
    reply = daemon.send_to_listener(message, reply_begins)
    # A handover that failed leaves a copy of the process: it shares the listener, replies, and does nothing.
    # The connector, which does what the listener passes on, is the old process's alone.
    if any(holder["pid"] != daemon.instance.pid for holder in sockets.holders(daemon.folder, BOUND)):
        daemon.send_silently("connector", message)
    return reply


def _forget(daemon: Daemon) -> t.Dict[str, str]:
    """Stop what would have it accept, and note that it accepts."""
    problems: t.Dict[str, str] = {}
    _stop(daemon.remembered("gate_timer"), problems)
    problem = _note_accepting(daemon)
    if problem:
        problems["memory"] = problem
    return problems


def _note_accepting(daemon: Daemon) -> str:
    return daemon.remember(gate=ACCEPTING, gate_since=None, gate_until=None, gate_by=None, gate_timer=None)


def _arrange(daemon: Daemon, change: AcceptingChange, work: undo.Undo, earlier: t.Any) -> None:
    if change.accepts_at is None:
        return
    try:
        text = f"{daemon.instance.name} accepts miners again"
        change.timer = undo.arrange(daemon, work, change.accepts_at, text, earlier)
    except PoolError as exc:
        change.problems["timer"] = f"{exc}: nothing on this host will have it accept again"


def _stop(timer: t.Any, problems: t.Dict[str, str]) -> None:
    if isinstance(timer, str):
        try:
            undo.cancel(timer)
        except PoolError as exc:
            problems["timer"] = f"{timer} will still have it accept: {exc}"


def _due(daemon: Daemon) -> t.Optional[int]:
    left = _memory.left_rejecting(daemon.instance)
    return left.accepts_at if left else None


def _accept_again(daemon: Daemon) -> str:
    with _memory.turn(daemon.instance):
        if _memory.left_rejecting(daemon.instance) is None:
            return f"{daemon.instance.name} was told to accept already"
        reply = _send(daemon, "accept", ACCEPTING)
        _note_accepting(daemon)
    return f"{daemon.instance.name} accepts again: {reply}"


def _accept_anyway(daemon: Daemon) -> str:
    """Where nothing can be remembered: to accept twice does no harm, and to reject for ever does."""
    return f"{daemon.instance.name} accepts again: {_send(daemon, 'accept', ACCEPTING)}"


ACCEPT_ANYWAY = undo.Undo("accept-anyway", __name__, None, _accept_anyway)
ACCEPT = undo.Undo("accept", __name__, _due, _accept_again)

if __name__ == "__main__":
    raise SystemExit(undo.main((ACCEPT, ACCEPT_ANYWAY), sys.argv[1:]))
