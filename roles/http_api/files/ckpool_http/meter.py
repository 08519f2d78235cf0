# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pool is sent: each message is counted, and there is a bound for each minute and a deadline for each look."""

from __future__ import annotations

import collections
import copy
import threading
import time
import typing as t

from ckpool_fleet._errors import PoolError
from ckpool_fleet._sources.exchange import Sockets
from ckpool_fleet._wire import ClosedWithoutReply, Unanswered

if t.TYPE_CHECKING:
    from ckpool_fleet._instance import Instance
    from ckpool_fleet._types import Json

WINDOW = 60  #: messages for which there is a bound of time
_MOMENT = 0.2  #: seconds


class Ledger:
    """The messages that a pool was sent: at most 60 within the time of 60, whatever is asked.

    :arg seconds_each: of one message.
    :ivar total: messages since the start of the service.
    """

    def __init__(self, seconds_each: float) -> None:
        self._span = WINDOW * seconds_each
        self._times: t.Deque[float] = collections.deque(maxlen=WINDOW)
        self._lock = threading.Lock()
        self._under_way = 0
        self.total = 0

    def begin(self) -> bool:
        """Whether a message may be sent now. It counts from now on, until C(end)."""
        with self._lock:
            is_free = self._has_room(1)
            self._under_way += is_free
            return is_free

    def end(self, is_sent: bool) -> None:
        """Count a message that was begun, or let it go if it was not sent."""
        with self._lock:
            self._under_way -= 1
            if is_sent:
                self.total += 1
                self._times.append(time.monotonic())

    def has_room(self, count: int) -> bool:
        """Whether that many messages may be sent now."""
        with self._lock:
            return self._has_room(count)

    def _has_room(self, count: int) -> bool:
        oldest = time.monotonic() - self._span
        recent = sum(when > oldest for when in self._times)
        return recent + self._under_way + min(count, WINDOW) <= WINDOW


class Metered(Sockets):
    """The sockets of an instance in one look. A socket that has not answered is not asked again in the same look.

    :arg seconds: of all exchanges of the look together.
    """

    def __init__(self, instance: Instance, seconds: float, max_reply: int, ledger: Ledger) -> None:
        super().__init__(instance, seconds, max_reply)
        self._seconds, self._ledger = seconds, ledger
        self._silent: t.Dict[str, Unanswered] = {}
        self._unknown: t.Dict[t.Tuple[str, str], ClosedWithoutReply] = {}
        self._deadline = time.monotonic() + seconds
        self._before = ledger.total

    @property
    def spent(self) -> int:
        """Messages that were sent so far. Of a pool there is one look at a time."""
        return self._ledger.total - self._before

    def begin(self) -> None:
        """Start the time of another question of the same look."""
        self._deadline = time.monotonic() + self._seconds

    def time_for(self, seconds: float) -> float:
        """What is left of the look, and a moment in any case: a verdict that comes too late is none."""
        return min(seconds, max(self._deadline - time.monotonic(), _MOMENT))

    def text(self, socket: str, message: str, is_checked: bool = False, unsafe: bool = False) -> str:
        """The text that a socket answers. Nothing that could do harm is ever sent."""
        return str(self._counted(socket, message, lambda: super(Metered, self).text(socket, message)))

    def _ask(self, socket: str, message: str) -> Json:
        reply: Json = self._counted(socket, message, lambda: super(Metered, self)._ask(socket, message))
        return reply

    def _counted(self, socket: str, message: str, exchange: t.Callable[[], t.Any]) -> t.Any:
        self._begin(socket, message)
        is_sent = True
        try:
            return exchange()
        except Unanswered as exc:
            self._silent[socket] = copy.copy(exc)  # without the frames that it went through, and all that these hold
            raise
        except ClosedWithoutReply as exc:
            self._unknown[socket, message] = copy.copy(exc)
            raise
        except PoolError as exc:
            is_sent = exc.phase != "connect"
            raise
        finally:
            self._ledger.end(is_sent)

    def _begin(self, socket: str, message: str) -> None:
        """Begin a message. Raise if the outcome is known, if there is no time left, or if the pool was sent enough."""
        known = self._silent.get(socket) or self._unknown.get((socket, message))
        if known:
            raise copy.copy(known)
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Unanswered(f"{socket} was not asked: the look took too long", self._path_of(socket))
        if not self._ledger.begin():
            raise PoolError(
                f"{socket} was not asked: the pool was sent enough for now", hint="ask again later", reason="busy"
            )
        self._timeout = left  # of threads side by side, all have the same deadline
