# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question at a time to an instance, and one answer for all tasks that ask the same within a second.

Many plays that watch one pool would otherwise all ask it at once. The answers are in the folder of the memory, for the same
user only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import typing as t

from . import _memory
from ._errors import PoolError
from ._host import own_folder
from ._instance import Instance

if t.TYPE_CHECKING:
    from ._types import Json

_MOST_BYTES = 64 * 1024 * 1024  #: of an answer that is shared
_PATIENCE = 60.0  #: seconds to wait for other tasks, which have deadlines themselves
_POLL = 0.02


def shared(instance: Instance, question: t.Any, seconds: float, ask: t.Callable[[], Json]) -> t.Tuple[Json, bool]:
    """The answer to a question, and whether it was given to another task.

    :arg question: what the answer depends on, as JSON.
    :arg seconds: the age that an answer may have; 0 to ask in any case, without waiting.
    """
    stem = _stem(instance) if seconds > 0 else ""
    if not stem:
        return ask(), False
    words = json.dumps([instance.pid, instance.start_ticks, question], default=str)
    with own_folder.locked(f"{stem}.lock", _PATIENCE):
        known = _kept(f"{stem}.json")
        answer = known.get("answer")
        if (
            known.get("question") == words
            and isinstance(answer, dict)
            and 0 <= time.monotonic() - known.get("at", 0.0) <= seconds
        ):
            return answer, True
        answer = ask()
        with contextlib.suppress(OSError):  # an answer that cannot be kept is returned all the same
            own_folder.store(f"{stem}.json", {"question": words, "at": time.monotonic(), "answer": answer}, _MOST_BYTES)
        return answer, False


def refusal() -> str:
    """Why no answer is shared: other users may write to the folder. Empty if they may not."""
    return _memory.refusal()


def _stem(instance: Instance) -> str:
    """The path of the answers of an instance, without extension; empty if this user cannot keep any."""
    folder = _memory.folder()
    try:
        own_folder.make(folder)
    except (OSError, PoolError):
        return ""
    _memory.tidy(folder)
    place = hashlib.sha256(os.fsencode(f"{instance.root}\0{instance.socket_dir}")).hexdigest()[:16]
    return f"{folder}/asked-{place}-{instance.pid or 0}-{instance.start_ticks or 0}"


def _kept(path: str) -> Json:
    known = own_folder.load(path, _MOST_BYTES)
    return known if isinstance(known.get("at"), float) else {}
