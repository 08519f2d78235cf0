# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a timer runs on the host when the time of a log level is over: the level from before returns."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import typing as t

from . import _level
from ._control import AnotherProcess, Control
from ._errors import NotFound, PoolError

_ATTEMPTS, _PAUSE = 15, 30.0  #: how often a daemon that hangs is tried, and the most seconds between, from 1 up


def main(arguments: t.Sequence[str]) -> int:
    """Restore the level, if the daemon is still the same process.

    :arg arguments: the socket directory, the pid and the start of the process in clock ticks, and where our code is
        kept.
    """
    socket_dir, pid, started, code = arguments
    try:
        for attempt in range(_ATTEMPTS):
            try:
                control = _find(socket_dir, int(pid), int(started))
                control.expect(int(pid), int(started))
                change = _level.restore(control)
                sys.stdout.write(f"log level {change.previous} -> {change.level}: {change.reply}\n")
                return 0
            except (AnotherProcess, NotFound) as exc:
                sys.stdout.write(f"nothing to do: {exc}\n")
                return 0
            except PoolError as exc:
                sys.stderr.write(f"attempt {attempt + 1} of {_ATTEMPTS}: {exc.phase}: {exc}\n")
                time.sleep(min(_PAUSE, 2.0**attempt) if attempt + 1 < _ATTEMPTS else 0)
    finally:
        if code.endswith(".zip"):
            with contextlib.suppress(FileNotFoundError):  # to set a level removes it, too
                os.unlink(code)
    return 1


def _find(socket_dir: str, pid: int, started: int) -> Control:
    """The control of that process; of two pools, one may have the directory in a private C(/tmp) of its unit."""
    control = Control.find(socket_dir)
    known = [control, *Control.find_all()]
    return next((one for one in known if (one.instance.pid, one.instance.start_ticks) == (pid, started)), control)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
