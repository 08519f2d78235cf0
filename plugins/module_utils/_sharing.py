# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One visit at a time to an instance, and one answer for all who ask the same within a second.

Many plays that watch one pool would otherwise all ask it at once. The answers are in the folder of the memory, for the
same user only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
import typing as t

from . import _memory
from ._errors import PoolError
from ._instance import Instance

_MOST_BYTES = 256 * 1024 * 1024  #: of an answer that is shared
_PATIENCE = 60.0  #: seconds to queue for; whoever is before us has a deadline of his own
_POLL = 0.02
Answer = t.Dict[str, t.Any]


def shared(instance: Instance, question: t.Any, seconds: float, ask: t.Callable[[], Answer]) -> t.Tuple[Answer, bool]:
    """The answer to a question, and whether it is one that another task was given.

    :arg question: whatever the answer depends on, as JSON.
    :arg seconds: how old another's answer may be; 0 to ask in any case, without queueing.
    """
    stem = _stem(instance) if seconds > 0 else ""
    if not stem:
        return ask(), False
    words = json.dumps([instance.pid, instance.start_ticks, question], default=str)
    with _turn(f"{stem}.lock"):
        known = _kept(f"{stem}.json")
        answer = known.get("answer")
        if (
            known.get("question") == words
            and isinstance(answer, dict)
            and 0 <= time.monotonic() - known.get("at", 0.0) <= seconds
        ):
            return answer, True
        answer = ask()
        with contextlib.suppress(OSError):  # one that cannot be kept is given all the same
            _memory.store(f"{stem}.json", {"question": words, "at": time.monotonic(), "answer": answer})
        return answer, False


def _stem(instance: Instance) -> str:
    """Where the answers of an instance are; empty where this user may keep none."""
    folder = _memory.folder()
    try:
        _memory.make(folder)
    except (OSError, PoolError):
        return ""
    return f"{folder}/asked-{hashlib.sha256(os.fsencode(instance.root + instance.socket_dir)).hexdigest()[:16]}"


@contextlib.contextmanager
def _turn(path: str) -> t.Iterator[None]:
    """Queue, and go on when it is our turn, our patience is over, or there is no queueing here."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_POLL)
            except OSError:  # this file system has no locks
                break
        yield
    finally:
        os.close(handle)


def _kept(path: str) -> Answer:
    known = _memory.load(path, _MOST_BYTES)
    return known if isinstance(known.get("at"), float) else {}
