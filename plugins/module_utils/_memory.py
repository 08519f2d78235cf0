# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was last set on a running daemon, which the daemon itself does not tell.

It is stored with the pid and the start of the process, and the boot of the host, so it does not apply to any other process.
Each user has a memory: root in C(/run/ckpool.fleet), others in C(/tmp/ckpool.fleet-UID). Other files there are named after
the process that they belong to, and are removed when it is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import typing as t

from ._errors import PoolError, Unreadable
from ._host import own_folder, process
from ._host.file import exists
from ._instance import Instance
from ._record import record

if t.TYPE_CHECKING:
    from ._types import Json

_MOST = 200  #: processes that are remembered; the oldest is forgotten first
_MOST_ENDED = 50  #: of these, the ones that have ended: after a restart the old process is asked for once more
_ROOTS = "/run/ckpool.fleet"  #: the folder of root's memory, which nobody else may read
_FILE = "memory.json"
#: files that belong to one process, named after its pid and start: answers with their locks, and the code of timers
_KEPT = re.compile(
    r"(?P<unit>asked-[0-9a-f]{16}|ckpool-fleet-[a-z]+(?:-[a-z]+)*)(?:-(?P<pid>\d{1,10})-(?P<start>\d{1,20}))?(?P<kind>\.json|\.json\.new|\.lock|\.zip)"
)
_TRANSIENT = "/run/systemd/transient"  #: where systemd keeps timers that were not there when it started
_IN_USE = 60.0  #: seconds within which a file may be in use, even if its process is gone
_PATIENCE = 60.0  #: seconds to wait for another order, which has deadlines itself
_FORGOTTEN = 3600.0  #: seconds after which a file that names no process is no longer in use


def recall(instance: Instance) -> Json:
    """What is remembered of the instance's process; empty if nothing is, or there is no process."""
    return _recall(key(instance))


@record
class Rejecting:
    """A process that was told to reject miners, and not to accept them again. Times are epoch seconds.

    :ivar since: when it was told; None if that is not known.
    :ivar accepts_at: when the host has it accept again; None if it does not.
    :ivar by: the module that told it.
    """

    since: t.Optional[int]
    accepts_at: t.Optional[int]
    by: str

    def as_dict(self) -> Json:
        """The record under the names of the modules' results."""
        return dict(self.__dict__)


def left_rejecting(instance: Instance) -> t.Optional[Rejecting]:
    """Since when and by what the instance's process rejects miners; None if it accepts, as far as is remembered."""
    facts = recall(instance)
    if facts.get("gate") != "rejecting":
        return None
    since, until = (value if isinstance(value, int) else None for value in map(facts.get, ("gate_since", "gate_until")))
    by = facts.get("gate_by")
    return Rejecting(since, until, by if isinstance(by, str) else "an earlier run")


def recall_process(pid: int, started: int) -> Json:
    """What is remembered of a process, which may have ended.

    :arg started: when it started, in clock ticks.
    """
    return _recall(_key_of(pid, started))


def remember(instance: Instance, **facts: t.Any) -> None:
    """Add to what is remembered of the instance's process.

    :raises Unreadable: it cannot be written down.
    """
    _remember(key(instance), facts)


def remember_process(pid: int, started: int, **facts: t.Any) -> None:
    """Add to what is remembered of a process, which may have ended.

    :raises Unreadable: it cannot be written down.
    """
    _remember(_key_of(pid, started), facts)


@contextlib.contextmanager
def turn(instance: Instance) -> t.Iterator[None]:
    """One task at a time sets something on the instance's process; for a limited time, and not where no lock can be had."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, PoolError):
            own_folder.make(folder())
            path = f"{folder()}/ckpool-fleet-order-{instance.pid or 0}-{instance.start_ticks or 0}.lock"
            stack.enter_context(own_folder.locked(path, _PATIENCE))
        yield


def _recall(name: t.Optional[str]) -> Json:
    if name is None:
        return {}
    try:
        facts = _load(folder()).get(name)
    except PoolError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _remember(name: t.Optional[str], facts: Json) -> None:
    if name is None:
        return
    place = folder()
    try:
        own_folder.make(place)
        with own_folder.locked(f"{place}/lock"):
            known = _load(place)
            old = known.pop(name, None)
            known[name] = {**(old if isinstance(old, dict) else {}), **facts}  # at the end, as the newest
            own_folder.store(f"{place}/{_FILE}", _worth_keeping(known))
    except OSError as exc:
        raise Unreadable(
            f"cannot write to {place}: {exc.strerror}", place, "the next task will not know of it"
        ) from None


def _worth_keeping(known: t.Dict[str, Json]) -> t.Dict[str, Json]:
    """The newest entries, with few of processes that have ended, and none from before the last boot."""
    boot, kept, ended = process.boot_id(), [], 0
    for name, facts in reversed(list(known.items())[-2 * _MOST :]):
        words = name.split(":")
        names_process = len(words) == 3 and words[1].isdigit() and words[2].isdigit()
        if names_process and words[0] != boot:
            continue
        if not (names_process and _lives(int(words[1]), int(words[2]))):
            ended += 1
            if ended > _MOST_ENDED:
                continue
        kept.append((name, facts))
    return dict(reversed(kept[:_MOST]))


def _lives(pid: int, started: int) -> bool:
    """Whether that process still runs. One that is hidden from us counts as running."""
    return process.is_alive(pid) and process.start_ticks(pid) in (None, started)


def tidy(place: str) -> None:
    """Remove what was kept for processes that are gone, a bounded number of files at a time."""
    own_folder.tidy(place, _is_left)


def _is_left(name: str, written: float) -> bool:
    found = _KEPT.fullmatch(name)
    if not found:
        return False
    age = time.time() - written
    pid, kind = int(found.group("pid") or 0), found.group("kind")
    if age < _IN_USE:
        return False
    if kind not in (".lock", ".zip"):
        return pid > 0 or age > _FORGOTTEN  # an answer is given for a second
    if not pid:
        return age > _FORGOTTEN
    if kind == ".zip" and exists(f"{_TRANSIENT}/{name[: -len(kind)]}.timer"):
        return False  # which removes it itself
    return not _lives(pid, int(found.group("start")))


def key(instance: Instance) -> t.Optional[str]:
    """Identifies the process; None if there is none. No other process of this boot had its pid at that time."""
    if instance.pid_state != "alive" or instance.pid is None or instance.start_ticks is None:
        return None
    return _key_of(instance.pid, instance.start_ticks)


def _key_of(pid: int, started: int) -> str:
    return f"{process.boot_id()}:{pid}:{started}"


def folder() -> str:
    """The folder of this user's memory."""
    return _ROOTS if os.geteuid() == 0 else f"/tmp/ckpool.fleet-{os.geteuid()}"


def is_hidden() -> bool:
    """Whether root remembers something that this user may not read."""
    return os.geteuid() != 0 and exists(_ROOTS)


def refusal() -> str:
    """Why this user's folder is not used: others may write to it. Empty if they may not."""
    try:
        why = own_folder.why_not_ours(folder())
    except OSError:
        return ""  # there is none yet
    return f"{folder()} is not ours alone: {why} ({own_folder.NOT_TRUSTED})" if why else ""


def _load(place: str) -> t.Dict[str, Json]:
    """Everything that is remembered; empty if it cannot be read."""
    try:
        return own_folder.load(f"{place}/{_FILE}") if not own_folder.why_not_ours(place) else {}
    except OSError:
        return {}
