# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Debian package has installed.

Sources: dpkg-query(1).
"""

from __future__ import annotations

import os
import subprocess
import typing as t

from .._errors import NotFound, PoolError


def program_of_package(name: str, program: str) -> t.Tuple[str, str]:
    """The daemon's program that a Debian package has installed, and the package's version.

    :raises PoolError: it is not installed, or has none.
    """
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}\n", "--", name]
    listing = ["dpkg-query", "--listfiles", "--", name]
    try:
        status, files = (
            subprocess.run(  # pylint: disable=ansible-bad-function
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            ).stdout.decode("utf-8", "replace")
            for words in (command, listing)
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise PoolError(f"cannot ask dpkg-query for {name}: {exc}", phase="find", reason="no_package") from None
    state, _space, version = status.strip().partition(" ")
    if state != "installed":
        raise NotFound(f"the package {name} is not installed", hint=f"apt install {name}", reason="no_package")
    programs = [path for path in files.splitlines() if os.path.basename(path) == program and os.access(path, os.X_OK)]
    programs = [path for path in programs if os.path.isfile(path)]
    if len(programs) != 1:
        found = ", ".join(programs) or "none"
        raise PoolError(
            f"the package {name} should have one program named {program}, and has {found}",
            phase="find",
            reason="no_program",
        )
    return programs[0], version
