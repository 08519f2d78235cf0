# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller, as failures of the system tell it. It needs no Ansible."""

from __future__ import annotations

import os
import stat
import tempfile
import typing as t


def replace(path: str, text: str, is_private: bool = False) -> None:
    """Write a file so that readers see the old or the new one, never a part.

    :arg is_private: nobody else reads it; otherwise as the umask says, which threads must not ask for.
    :raises OSError: it cannot be written.
    """
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".ckpool_fleet-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())  # or the power may fail between the new name and the content
        if not is_private:
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read(path: str, limit: int = 64 << 20, is_ours: bool = False) -> t.Optional[str]:
    """The text of a file that an earlier run wrote; None if there is no such file.

    :arg limit: bytes that it may have.
    :arg is_ours: it has to belong to our own user or to root.
    :raises OSError: it is not readable.
    :raises ValueError: it is not a regular text file, or too large, or not ours.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as stream:
            info = os.fstat(stream.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise ValueError("it is not a regular file")
            if is_ours and info.st_uid not in (0, os.geteuid()):
                raise ValueError("it belongs to another user")
            data = stream.read(limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise ValueError(f"it has more than {limit >> 20} MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError(f"it is not text: {exc}") from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
