# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the controller writes for programs to read."""

from __future__ import annotations

import os
import tempfile

from ansible.errors import AnsibleActionFail


def write_atomically(path: str, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, never a part.

    :raises AnsibleActionFail: naming the file.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".ckpool_fleet-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as exc:
        raise AnsibleActionFail(f"cannot write {path}: {exc.strerror}") from exc
