# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images and containers by podman, made of a tree of Debian: no registry is asked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system import hosts

RUN = ("--runtime", "runc", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
"""What a container needs to run also on a machine with the older hierarchies of control groups."""


def why_not() -> str:
    """Why no container can be run on this machine, as far as that can be seen at once; empty if nothing is in the way."""
    missing = [tool for tool in ("podman", "runc") if not shutil.which(tool)]
    return hosts.why_not() or (f"{', '.join(missing)} not installed" if missing else "")


def podman(*words: str) -> str:
    """Run podman, and return what it printed."""
    done = subprocess.run(
        ["podman", *words], capture_output=True, text=True, errors="replace", timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def base_image(name: str, tree: Path) -> str:
    """Make an image of a tree of Debian, of which containers run. Skip the test if this machine can do neither."""
    packed = subprocess.Popen(
        ["tar", "-C", str(tree), "--exclude=./var/cache", "--exclude=./dev", "-cf", "-", "."], stdout=subprocess.PIPE
    )
    done = subprocess.run(
        ["podman", "import", "-", name], stdin=packed.stdout, capture_output=True, timeout=300, check=False
    )
    assert packed.stdout is not None
    packed.stdout.close()  # or tar waits for ever for podman to read, when it has ended
    if packed.wait(60) != 0 or done.returncode != 0:
        pytest.skip(f"no image can be made here: {done.stderr.decode(errors='replace').strip()[-500:]}")
    image = f"localhost/{name}:latest"
    trial = subprocess.run(
        ["podman", "run", "--rm", "--name", f"{name}-trial", *RUN, "--network=host", image, "true"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if trial.returncode != 0:
        pytest.skip(f"no container can be run here: {trial.stderr.strip()[-500:]}")
    return image
