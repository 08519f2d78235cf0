# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run on hosts that boot leaves when it is killed does not last beyond the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, wait_until
from tests.system import hosts, remains

pytestmark = [pytest.mark.hosts, pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not() or "never")]
RUN = """
import subprocess, sys, time
from tests.system import remains
with remains.workspace() as folder:
    (folder / "mounted").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", folder / "mounted"], check=True)
    group = remains.unified() / f"{folder.name}-host"
    (group / "inner").mkdir(parents=True)
    sleeper = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, start_new_session=True)
    (group / "inner" / "cgroup.procs").write_text(str(sleeper.pid))
    print(folder, sleeper.pid, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_run_leaves() -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    folder, sleeper = run.stdout.readline().split()
    group = remains.unified() / f"{Path(folder).name}-host"
    with remains.workspace():
        assert os.path.ismount(f"{folder}/mounted") and group.exists(), "it goes on"
    run.send_signal(signal.SIGKILL)
    run.wait(20)
    run.stdout.close()
    with remains.workspace() as next_one:
        assert not os.path.exists(folder) and not group.exists() and folder not in Path("/proc/mounts").read_text()
        assert wait_until(lambda: not os.path.exists(f"/proc/{sleeper}"))
        assert next_one.exists()
    assert not next_one.exists()
