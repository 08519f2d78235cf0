# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every check that this machine can run, and say at the end what ran, what came of it, and what could not run."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

from tests.tools import matrix

CHECKS = ("lint", "extra-checks", "license-check", "docs-check", "docs", "build-import-check", "ansible-lint")
REPORT = matrix.CACHE / "report.json"
#: What says which packages the sessions install. Once all went well with them, the index is not asked again.
INSTALLED = matrix.CACHE / "installed"


class Row(t.NamedTuple):
    session: str
    what: str
    result: str


def plan(versions: list[str]) -> tuple[list[str], dict[str, str], list[Row]]:
    """The sessions to run, what each is, and the part of the matrix that this machine has no Python for."""
    sessions = dict.fromkeys(CHECKS, "")
    missing: list[Row] = []
    possible = matrix.possible(versions)
    ends = dict.fromkeys([*list(possible)[:1], *list(possible)[-1:]])
    for kind in ("sanity", "tests"):
        also = " and module code" if kind == "tests" else ""
        sessions.update({f"{kind}-{core}": f"ansible-core {core}{also}, Python {possible[core]}" for core in ends})
        for core in dict.fromkeys([next(iter(matrix.CORES)), next(reversed(matrix.CORES))]):
            if core not in ends:
                needs = f"needs Python {', '.join(matrix.CORES[core])}"
                missing.append(Row(f"{kind}-{core}", f"ansible-core {core}", needs))
    for version in matrix.TARGETS:
        if version in {possible[core] for core in ends}:
            continue  # the same tests are among those of that ansible-core
        if version in versions:
            sessions[f"target-{version}"] = f"module code, Python {version}"
        else:
            missing.append(Row(f"target-{version}", f"module code, Python {version}", f"no working Python {version}"))
    return list(sessions), sessions, missing


def table(rows: list[Row]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def main() -> int:
    matrix.stay_in_checkout()
    names, what, missing = plan(matrix.link_interpreters())
    REPORT.unlink(missing_ok=True)
    wanted = "".join((matrix.ROOT / name).read_text(encoding="utf-8") for name in ("noxfile.py", "antsibull-nox.toml"))
    command = [sys.executable, "-m", "nox", "--report", str(REPORT), "--session", *names]
    if INSTALLED.is_file() and INSTALLED.read_text(encoding="utf-8") == wanted:
        command.append("--no-install")
    status = subprocess.run(command, cwd=matrix.ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    ran = json.loads(REPORT.read_text(encoding="utf-8"))["sessions"] if REPORT.is_file() else []
    results = {entry["name"]: entry["result"] for entry in ran}
    rows = [Row(name, what[name], results.get(name, "did not run")) for name in names]
    passed = sum(row.result == "success" for row in rows)
    print("\nRan here:", table(rows), sep="\n")
    if missing:
        print("\nNot possible here:", table(missing), sep="\n")
    if status == 0:
        INSTALLED.write_text(wanted, encoding="utf-8")
    print(f"\n{passed} passed, {len(rows) - passed} failed", flush=True)
    return status or int(passed != len(rows))


if __name__ == "__main__":
    sys.exit(main())
