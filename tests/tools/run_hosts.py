# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests on hosts with a systemd of their own, or say why this machine cannot: that is no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.system import hosts
from tests.tools import matrix

# What the units of the tests need of the kernel.
_TRIAL = "sudo systemd-run --quiet --wait -p ProtectSystem=strict -p PrivateDevices=yes -p ProtectProc=invisible true"


def find_out(cache: Path) -> tuple[list[str], list[str]]:
    """The releases of Debian that hosts can be made of, and why others cannot, a line each."""
    why = hosts.why_not()
    if not why and not matrix.possible(matrix.link_interpreters()):
        why = "no Python that ansible-core runs on"
    if why:
        return [], [why]
    suites: list[str] = []
    reasons: list[str] = []
    for suite in sorted(hosts.SUITES, key=hosts.ANY.__ne__):  # that one first: without it, no other is tried
        try:
            hosts.tree(suite, cache)
        except (OSError, RuntimeError) as exc:
            reasons.append(str(exc))
            if suite == hosts.ANY:
                return [], reasons
        else:
            suites.append(suite)
    if why := why_not_boot(cache):
        return [], [*reasons, why]
    return suites, reasons


def why_not_boot(cache: Path) -> str:
    """Why a host does not boot here, with nothing of the collection on it; empty if it does."""
    try:
        with hosts.booted({"trial": hosts.ANY}, cache) as fleet:
            fleet["trial"].run(_TRIAL)
    except (OSError, RuntimeError, subprocess.SubprocessError) as exc:
        return str(exc)
    return ""


def main() -> int:
    suites, reasons = find_out(Path(os.environ.get("CKPOOL_FLEET_TREES") or matrix.CACHE / "trees"))
    for reason in reasons:
        print(f"Not possible here: tests on hosts with a systemd of their own: {reason}", flush=True)
    if not suites:
        print("No test ran on a host with a systemd of its own.")
        return 0
    print(f"Tests on hosts with a systemd of their own: {', '.join(suites)}", flush=True)
    matrix.stay_in_checkout()
    command = [sys.executable, "-m", "nox", "--reuse-venv", "yes", "--session", "hosts", "--", *sys.argv[1:]]
    where = {**os.environ, "CKPOOL_FLEET_SUITES": " ".join(suites)}
    return subprocess.run(command, cwd=matrix.ROOT, env=where, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
