# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a timer runs on the host when the time of a log level is over: the level from before returns."""

from __future__ import annotations

import contextlib
import os
import sys
import typing as t

from . import _level
from ._control import Control
from ._errors import PoolError


def main(arguments: t.Sequence[str]) -> int:
    """Restore the level, if the daemon is still the same process.

    :arg arguments: the socket directory, the pid and the start of the process in clock ticks, and where our code is kept.
    """
    socket_dir, pid, started, code = arguments
    try:
        control = Control.find(socket_dir)
        control.expect(int(pid), int(started))
        change = _level.restore(control)
        print(f"log level {change.previous} -> {change.level}: {change.reply}")
    except PoolError as exc:
        print(f"{exc.phase}: {exc}", file=sys.stderr)
        return 1
    finally:
        if code.endswith(".zip"):
            with contextlib.suppress(FileNotFoundError):  # to set a level removes it, too
                os.unlink(code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
