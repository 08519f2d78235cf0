# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have modules that Ansible runs in tests compile their code once, not each time.

Python imports this file where its folder is on PYTHONPATH. A module comes as an archive of sources, of which Python keeps
no bytecode; to compile them takes a third of the time of a task.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import typing as t
import zipimport

_FOLDER = os.environ.get("CKPOOL_FLEET_CODE", "")
_compile: t.Any = getattr(zipimport, "_compile_source", None)


def _compile_once(pathname: str, source: bytes) -> t.Any:
    """The code of a file in an archive."""
    name = f"{sys.hexversion} {pathname.rpartition('.zip' + os.sep)[2]}"
    kept = os.path.join(_FOLDER, hashlib.sha256(os.fsencode(name) + b"\0" + source).hexdigest())
    with contextlib.suppress(OSError, EOFError, ValueError, TypeError), open(kept, "rb") as stream:
        return marshal.load(stream)
    code = _compile(pathname, source)
    with contextlib.suppress(OSError):  # another user may not write there
        fresh = f"{kept}.{os.urandom(8).hex()}"  # hosts of tests, which share the folder, have the same numbers of processes
        with open(fresh, "wb") as stream:
            marshal.dump(code, stream)
        os.replace(fresh, kept)
    return code


if _FOLDER and _compile:
    setattr(zipimport, "_compile_source", _compile_once)  # noqa: B010
