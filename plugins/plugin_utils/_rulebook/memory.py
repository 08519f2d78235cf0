# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event source remembers: in a file if its rulebook names one, for as long as it runs. It needs no Ansible."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t
import uuid

from ...module_utils._host import own_folder
from .. import _disk
from .._watch_state import BadState, Message, State, read_state
from .arguments import BadArgument

CHANNEL = "rulebook"
_PREFIX = f"{CHANNEL}-"
_PATIENCE = 5.0  #: seconds in which an earlier source may still have the file, while its rulebook is loaded again


class Memory:
    """The state, and its file. Everything here may wait for a disk: call it in a thread.

    :arg path: of the file; None to remember nothing when the source ends.
    :ivar state: what is remembered.
    """

    def __init__(self, path: t.Optional[str]) -> None:
        self._path, self._lock = path, -1
        self.state = State(_new_id())

    def open(self) -> None:
        """Read what an earlier source has left, and keep others out until C(close).

        :raises BadArgument: the file cannot be used.
        """
        if self._path is None:
            return
        try:
            self._lock = _locked(f"{self._path}.lock")
            text = _disk.read(self._path, is_ours=True)  # its events lead to actions
            if text is not None:
                self.state = read_state(text)
        except OSError as exc:
            self.close()
            raise BadArgument(f"state_file {self._path}: {exc.strerror}") from None
        except (BadState, ValueError) as exc:
            self.close()
            raise BadArgument(
                f"state_file {self._path} is not the state of an earlier run: {exc}. It is left as it is, because it may hold events that"
                " no rule has seen: look at it, then restore it or move it away"
            ) from None
        if not self.state.id.startswith(_PREFIX):
            self.close()
            raise BadArgument(f"state_file {self._path} is that of the playbook watch: name a file of its own")
        try:
            self.store()  # that it cannot be written is better known now
        except OSError as exc:
            self.close()
            raise BadArgument(f"state_file {self._path} cannot be written: {exc.strerror}") from None

    def close(self) -> None:
        """Let others use the file."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def waiting(self) -> t.List[Message]:
        """What no rule has seen yet."""
        return [message for message in self.state.outbox if CHANNEL in message.to]

    def forget(self, message: Message) -> None:
        """Note that it was handed over."""
        self.state.outbox = [each for each in self.state.outbox if each.id != message.id]

    def store(self) -> None:
        """Write the state down, if there is a file.

        :raises OSError: it cannot be written.
        """
        if self._path is not None and self._lock >= 0:
            _disk.replace(self._path, self.state.text(), is_private=True)


def _new_id() -> str:
    return f"{_PREFIX}{uuid.uuid4().hex[:12]}"


def _locked(path: str) -> int:
    """A handle on a file that only we have locked.

    :raises OSError: another process has, or the file cannot be opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, f"{path} is not a regular file")
        try:
            own_folder.wait_for_lock(handle, _PATIENCE)
        except TimeoutError:
            raise OSError(errno.EBUSY, "another source or run uses it") from None
        stack.pop_all()
        return handle
