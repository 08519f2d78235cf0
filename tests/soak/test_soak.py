# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs for long does not grow, for some seconds here and for an hour by `make soak`; what does grow is found."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http_service import LIBRARIES
from tests.support.machine import needs_namespaces
from tests.tools.soak import ALLOWED, ROUNDS, Meter, growth, soak

for library in LIBRARIES:
    pytest.importorskip(library)
pytestmark = needs_namespaces

SECONDS = 24.0
LEAK = """
import os, sys, threading, time

if "ckpool_http" in sys.orig_argv:
    kept = []
    def leak():
        while True:
            kept.append(bytearray(200000))
            time.sleep(0.05)
    threading.Thread(target=leak, daemon=True).start()
"""
#: A program that does nothing wrong: it opens, starts, allocates and writes, and gives all of it back.
PROGRAM = """
import os, sys, threading, time
kept, number = [], 0
while True:
    number += 1
    handle = os.open("/dev/null", os.O_RDONLY)
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    block = bytearray(300000)
    path = os.path.join(sys.argv[1], str(number))
    open(path, "w").close()
    {leak}
    os.close(handle)
    thread.join()
    os.unlink(path)
    del block
    print(flush=True)
"""
LEAKS = {
    "memory (KiB)": "kept.append(bytearray(300000))",
    "descriptors": "kept.append(os.dup(handle))",
    "threads": "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "files": "open(path + '.left', 'w').close()",
    "bytes": "open(os.path.join(sys.argv[1], 'log'), 'a').write('x' * 20000)",
}


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[t.Callable[[str], t.Set[str]]]:
    """The figures that grow of a program with a line of its own, over 60 points, each after two more of its rounds."""
    running: t.List[subprocess.Popen[bytes]] = []

    def grows(leak: str) -> t.Set[str]:
        code = PROGRAM.format(leak=leak)
        running.append(subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE))
        meter, rounds = Meter({"program": running[-1].pid}, {"folder": tmp_path}), running[-1].stdout
        assert rounds
        for _point in range(60):
            assert rounds.readline() and rounds.readline()
            meter.measure()
        return {verdict.figure for verdict in meter.verdicts() if verdict.is_leak}

    yield grows
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def test_nothing_that_runs_for_long_grows(home: Path) -> None:
    verdicts, counts = soak(home, SECONDS)
    assert [str(verdict) for verdict in verdicts if verdict.is_leak] == []
    assert {verdict.program.partition(" ")[0] for verdict in verdicts} == {
        "service",
        "event",
        "monitor",
        "folder",
        "/run",
    }
    assert min(counts.values()) >= ROUNDS, counts


def test_a_leak_of_the_service_is_found(home: Path) -> None:
    """One that is planted there: the soak looks at the right process."""
    (home / "sitecustomize.py").write_text(LEAK)
    interpreter = home / "python"
    interpreter.write_text(f'#!/bin/sh\nPYTHONPATH="{home}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    verdicts, _counts = soak(home, SECONDS, str(interpreter))
    leaks = [(verdict.program.partition(" ")[0], verdict.figure) for verdict in verdicts if verdict.is_leak]
    assert leaks == [("service", "memory (KiB)")]


@pytest.mark.parametrize("figure", ALLOWED)
def test_a_planted_leak_is_found(figure: str, measured: t.Callable[[str], t.Set[str]]) -> None:
    assert figure in measured(LEAKS[figure])


def test_what_is_given_back_is_no_leak(measured: t.Callable[[str], t.Set[str]]) -> None:
    assert measured("pass") == set()


def test_a_single_jump_is_none() -> None:
    """A cache that is filled once, or a file that is written now and then."""
    points = [(float(second), 1000.0 + (50000.0 if second >= 70 else 0.0)) for second in range(100)]
    assert growth(points) == 0
    assert growth([(second, value + 3 * second) for second, value in points]) == pytest.approx(297, rel=0.2)


def test_what_settles_is_none() -> None:
    """As the memory of a program does that has not used all of its threads yet; what goes on after that is a leak."""
    points = [(float(second), 27000.0 + min(4000.0, 100.0 * second)) for second in range(100)]
    assert growth(points) == 0
    assert growth([(second, value + 50 * second) for second, value in points]) == pytest.approx(4950, rel=0.2)
    assert growth(points[:40]) == pytest.approx(3900)


def test_a_program_that_has_ended_is_not_judged(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    meter = Meter({"program": process.pid}, {"folder": tmp_path})
    meter.measure()
    process.communicate(b"\n")
    meter.measure()
    with pytest.raises(AssertionError, match="program has ended"):
        meter.verdicts()
