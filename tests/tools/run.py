# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every check that this machine can run, two at a time, and say at the end what ran where and with which result.

The sessions are those that nox runs by default. With arguments, the tests on booted hosts are one session more, which takes them
as pytest does: C(python -m tests.tools.run tests/system -m hosts).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.tools import matrix

LOGS = matrix.CACHE / "logs"
LANES = 2
#: What says which packages the sessions install. After a run without failures with them, the index is not asked again.
INSTALLED = matrix.CACHE / "installed"
#: How many seconds each session took the last time.
SECONDS = matrix.CACHE / "seconds.json"
#: What is assumed of a session that was not run yet, by the first word of its name.
ASSUMED = {"tests": 1000.0, "hosts": 2000.0, "sanity": 200.0}
SHOWN = 200  #: lines at the end of the output of a session that failed
HOSTS = "hosts"
NOT_POSSIBLE = "Not possible here"


class Row(t.NamedTuple):
    session: str
    what: str
    result: str
    seconds: str = ""


class Result(t.NamedTuple):
    """The result of a session in a word of nox, the seconds that it took, and those of them that packages took."""

    word: str
    seconds: float
    packages: float


def plan(arguments: list[str]) -> dict[str, str]:
    """The sessions to run, each with what it is. Those that take longest are first, so that none is left alone at the end.

    :arg arguments: for the tests on booted hosts; without any, these are not run.
    """
    listing = [sys.executable, "-m", "nox", "--json", "--list-sessions"]
    done = subprocess.run(listing, cwd=matrix.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    sessions = {entry["session"]: entry["description"] for entry in json.loads(done.stdout)}
    if arguments:
        sessions[HOSTS] = "The tests on hosts with a systemd of their own."
    known = json.loads(SECONDS.read_text(encoding="utf-8")) if SECONDS.is_file() else {}
    numbers = {
        name: number for number, name in enumerate(sessions)
    }  # of sessions that take as long, the newest core first

    def seconds(name: str) -> tuple[float, int]:
        return known.get(name, ASSUMED.get(name.partition("-")[0], 100.0)), numbers[name]

    return {name: sessions[name] for name in sorted(sessions, key=seconds, reverse=True)}


def missing(versions: list[str]) -> list[Row]:
    """The part of the matrix that this machine has no program for."""
    rows = []
    for core, pythons in matrix.CORES.items():
        if not set(pythons).intersection(versions):
            needs = f"needs Python {', '.join(pythons)}"
            rows += [Row(f"{kind}-{core}", f"ansible-core {core}", needs) for kind in ("tests", "sanity")]
    for version in matrix.TARGETS:
        if version not in versions:
            rows.append(Row(f"target-{version}", f"module code, Python {version}", f"no working Python {version}"))
    if not matrix.chromium():
        rows.append(Row("browser", "the report in a browser", "needs Chromium: apt install chromium"))
    if not matrix.has_java():
        rows.append(Row("eda", "rulebooks in ansible-rulebook", "needs Java: apt install openjdk-17-jre-headless"))
    return rows


def run(session: str, arguments: list[str], hosts: list[str]) -> Result:
    """Run one session. What it prints goes to a file, of which the end is shown when it fails.

    :arg arguments: of nox.
    :arg hosts: of the tests on booted hosts.
    """
    report, log, packages = (LOGS / f"{session}.{kind}" for kind in ("json", "log", "packages"))
    command = [sys.executable, "-m", "nox", "--report", str(report), *arguments, "--session", session]
    if session == HOSTS:
        command = [sys.executable, "-m", "tests.tools.run_hosts", *hosts]
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            command,
            cwd=matrix.ROOT,
            env={**os.environ, matrix.PACKAGES: str(packages)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    word = "failed" if done.returncode else word_of(session, report, log)
    spent = sum(map(float, packages.read_text(encoding="utf-8").split())) if packages.is_file() else 0.0
    result = Result(word, time.monotonic() - began, spent)
    if word == "success":
        print(f"{session}: passed in {result.seconds:.0f} s", flush=True)
    else:
        print(f"{session}: {word} after {result.seconds:.0f} s. The end of {log}:", *end_of(log), sep="\n", flush=True)
    return result


def word_of(session: str, report: Path, log: Path) -> str:
    """The result of a session that has ended with status 0."""
    if session == HOSTS:
        output = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in output:
            if line.startswith(NOT_POSSIBLE):
                print(line, flush=True)
        return "success"
    ran = json.loads(report.read_text(encoding="utf-8"))["sessions"] if report.is_file() else []
    return str(ran[0]["result"]) if ran else "did not run"


def end_of(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN:]


def table(rows: list[Row]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def main() -> int:
    began = time.monotonic()
    matrix.stay_in_checkout()
    versions, hosts = matrix.link_interpreters(), sys.argv[1:]
    sessions, not_possible = plan(hosts), missing(versions)
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in LOGS.iterdir():
        old.unlink()
    wanted = "".join((matrix.ROOT / name).read_text(encoding="utf-8") for name in ("noxfile.py", "antsibull-nox.toml"))
    is_installed = INSTALLED.is_file() and INSTALLED.read_text(encoding="utf-8") == wanted
    arguments = ["--no-install"] if is_installed else []
    print(f"{len(sessions)} sessions, {LANES} at a time; what they print is in {LOGS}", flush=True)
    with ThreadPoolExecutor(LANES) as lanes:
        results = dict(zip(sessions, lanes.map(lambda name: run(name, arguments, hosts), sessions)))
    rows = [Row(name, sessions[name], found.word, f"{found.seconds:.0f} s") for name, found in results.items()]
    print("\nRan here:", table(rows), sep="\n")
    if not_possible:
        print(f"\n{NOT_POSSIBLE}:", table(not_possible), sep="\n")
    failed = sum(found.word != "success" for found in results.values())
    if not failed:
        INSTALLED.write_text(wanted, encoding="utf-8")
    SECONDS.write_text(json.dumps({name: round(found.seconds) for name, found in results.items()}), encoding="utf-8")
    spent = sum(found.packages for found in results.values())
    print(f"\n{len(rows) - failed} passed, {failed} failed, in {time.monotonic() - began:.0f} s.", end=" ")
    print(
        f"Of their {sum(found.seconds for found in results.values()):.0f} s, sessions spent {spent:.0f} s on packages."
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
