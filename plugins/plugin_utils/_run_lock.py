# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file on the controller that one run of Ansible at a time holds, over all of its tasks.

Each task is a process of its own, so the kernel's lock cannot last for the whole run: it protects the record of who holds
the file. A run that has ended holds nothing, however it ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
import typing as t

from ansible.errors import AnsibleActionFail

from ..module_utils._host import own_folder
from ..module_utils._wording import utc_time
from ._run import has_ended
from ._types import Json

_DEADLINE = 10.0  #: seconds that another task may hold the kernel's lock
_LONGEST = 6 * 3600.0  #: seconds after which a run of which nothing is known is taken to have ended
_MOST_BYTES = 65536


class Held(Exception):
    """Another run holds the file, or this run does not."""


@contextlib.contextmanager
def holding(path: str, run: Json, take: bool = False) -> t.Iterator[Json]:
    """The notes of this run in the file, which are stored at the end of the block.

    :arg run: as C(identity) of C(_run) gives it.
    :arg take: take the file if nobody holds it.
    :raises Held: somebody else holds it, or nobody does.
    :raises AnsibleActionFail: it cannot be opened or locked.
    """
    with _opened(path) as handle:
        record = _read(handle)
        is_ours = record.get("controller") == run["controller"]
        if not is_ours and not take:
            raise Held("this run no longer holds it")
        if not is_ours:
            _check_free(record)
            record = {**run, "taken": time.time(), "notes": {}}
        yield record["notes"]
        _write(handle, record)


def release(path: str, run: Json) -> None:
    """Let the file go, if this run holds it."""
    with _opened(path) as handle:
        if _read(handle).get("controller") == run["controller"]:
            _write(handle, {})


def _check_free(record: Json) -> None:
    controller, taken = record.get("controller"), record.get("taken")
    if not isinstance(controller, dict) or not isinstance(taken, float) or has_ended(controller):
        return
    if abs(time.time() - taken) < _LONGEST:
        raise Held(
            f"another run of {record.get('owner')} uses it since {utc_time(taken)}: process {controller.get('pid')} of "
            f"{controller.get('host')}"
        )


def _read(handle: int) -> Json:
    """The record; an empty one if there is none, or if who wrote it died meanwhile."""
    try:
        found = json.loads(os.pread(handle, _MOST_BYTES, 0))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("notes"), dict) else {}


def _write(handle: int, record: Json) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(record).encode() if record else b"", 0)


@contextlib.contextmanager
def _opened(path: str) -> t.Iterator[int]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as exc:
        raise AnsibleActionFail(f"cannot lock {path}: {exc.strerror}") from exc
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise AnsibleActionFail(f"cannot lock {path}: it is not a regular file")
        _lock(handle, path)
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int, path: str) -> None:
    try:
        own_folder.wait_for_lock(handle, _DEADLINE)
    except TimeoutError:
        raise AnsibleActionFail(f"cannot lock {path}: another process has it locked") from None
    except OSError as exc:
        raise AnsibleActionFail(f"cannot lock {path}: {exc.strerror}") from exc
