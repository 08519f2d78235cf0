# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller: reports that it writes, and reads again in the next run. Failures are those of a task."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from . import _disk


def write_atomically(path: str, text: str) -> None:
    """Write a file so that readers see the old or the new one, never a part.

    :raises AnsibleActionFail: naming the file.
    """
    try:
        _disk.replace(path, text)
    except OSError as exc:
        raise AnsibleActionFail(f"cannot write {path}: {exc.strerror}") from exc


def read_own_file(path: str, limit: int = 64 << 20) -> t.Optional[str]:
    """The text of a file that an earlier run wrote; None if there is no such file.

    :arg limit: bytes that it may have.
    :raises AnsibleActionFail: it is not a regular text file, too large, or not readable.
    """
    try:
        return _disk.read(path, limit)
    except OSError as exc:
        raise AnsibleActionFail(str(exc.strerror)) from exc
    except ValueError as exc:
        raise AnsibleActionFail(str(exc)) from None
