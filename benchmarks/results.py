# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the benchmarks as JSON: what was measured, on which machine, of which commit."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.tools import ROOT, Figure

FOLDER = ROOT / ".cache" / "bench"
Json = dict[str, Any]


def machine() -> Json:
    """What figures depend on besides the code."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "ansible_core": version("ansible-core"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def git(*arguments: str) -> str:
    """What git says about the checkout; empty if it fails."""
    ran = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False, timeout=60)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def commit() -> str:
    """The commit of the checkout, with C(-changed) if its files differ from it; C(unknown) without git."""
    found = git("rev-parse", "HEAD") or "unknown"
    return f"{found}-changed" if git("status", "--porcelain", "--untracked-files=no") else found


def document(sections: Mapping[str, Json], rounds: int) -> Json:
    """Everything of a run.

    :arg sections: the figures of each section, with its seconds, as L(section) makes them, or why it was not measured.
    """
    return {
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "rounds": rounds,
        "load": os.getloadavg()[0],
        "sections": dict(sections),
    }


def section(figures: Sequence[Figure], seconds: float, busy: float) -> Json:
    """What is kept of a section.

    :arg seconds: that it took.
    :arg busy: processor seconds of all its processes.
    """
    rows = [figure.as_dict() for figure in figures]
    return {"seconds": round(seconds, 1), "busy": round(busy, 1), "figures": rows}


def write(path: Path, found: Json) -> None:
    """Write the document, over that of an earlier run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def read(name: str) -> Json:
    """The results of a file, or of a commit.

    :raises LookupError: there are none, with what to do.
    """
    path = Path(name)
    if not path.is_file():
        revision = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") or name
        path = FOLDER / f"{revision}.json"
    if not path.is_file():
        raise LookupError(f"there are no results of {name}: check it out, and run make bench; or name a file")
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def kept_in(given: Path | None, kind: str) -> Path:
    """Where the results of this run go.

    :arg kind: the end of the name, so that one kind of run does not overwrite the results of another.
    """
    return given or FOLDER / f"{commit()}{kind}.json"
