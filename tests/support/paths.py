# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are in the repository, and folders of the tests."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "unit" / "fixtures" / "samples"
RECORDINGS = ROOT / "tests" / "unit" / "fixtures" / "recordings"
SIMULATOR = ROOT / "roles" / "simulated_pool" / "files" / "simulated_ckpool.py"


def remove(folder: Path) -> None:
    """Remove a folder and all in it, also what nobody may enter, and what a process that ends still writes."""
    wait_for(lambda: _is_removed(folder), f"{folder} to stay empty")


def _is_removed(folder: Path) -> bool:
    for path, _folders, _files in os.walk(folder):
        with contextlib.suppress(FileNotFoundError):  # the process that ends has removed it
            os.chmod(path, 0o755)
    try:
        shutil.rmtree(folder)
    except OSError as exc:
        if exc.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise
    return not folder.exists()


def laid_out(build: str, folder: Path) -> Path:
    """The log directory that a build left, as the daemon has it."""
    for path in (SAMPLES / build).rglob("*"):
        inside = path.relative_to(SAMPLES / build)
        target = folder / ("pool/pool.status" if str(inside) == "pool.status" else inside)
        if path.is_file():
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder
