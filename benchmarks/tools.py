# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks stand on: measuring in turns, processes that end, a simulated pool, a table."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
SIMULATOR = ROOT / "roles" / "simulated_pool" / "files" / "simulated_ckpool.py"
DEADLINE = 300.0  #: seconds, of any one process


class CannotMeasure(Exception):
    """This machine does not let one measure that; the text says why."""


@dataclass
class Figure:
    """One line of the table. `most` or `least` is the bound of the ratio; neither, for a figure that only informs."""

    what: str
    ours: str
    theirs: str
    ratio: float
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool:
        return (self.most is None or self.ratio <= self.most) and (self.least is None or self.ratio >= self.least)

    def cells(self) -> list[str]:
        bound = f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}" if self.least is not None else ""
        return [self.what, self.ours, self.theirs, f"{self.ratio:.2f}", bound, ("no", "yes")[self.met] if bound else ""]


def table(figures: list[Figure]) -> str:
    """All figures in columns."""
    lines = [["WHAT", "OURS", "THEIRS", "RATIO", "BOUND", "MET"], *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def in_turns(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """The median of what each side returns, in turns (A B A B ...), so that a busy machine slows all of them."""
    values = [[side() for side in sides] for _round in range(rounds)]
    return [statistics.median(column) for column in zip(*values)]


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


@dataclass
class Ran:
    """A process that ended well. `busy` is its processor time with that of its own processes, `peak` its memory in bytes."""

    output: str
    seconds: float
    busy: float
    peak: int


def run(command: list[str], env: dict[str, str] | None = None) -> Ran:
    """Run a process to its end, within the deadline.

    A new process inherits its maker's peak of memory; ours stays small, so that this does not show.
    """
    start = time.monotonic()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT
    ) as process:
        watchdog = threading.Timer(DEADLINE, process.kill)
        watchdog.start()
        try:
            output = process.stdout.read() if process.stdout else ""
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            raise
        finally:
            watchdog.cancel()
    if process.returncode:
        raise CannotMeasure(f"{' '.join(command[:3])} ended with {process.returncode}: {output[-2000:]}")
    return Ran(output, time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def subject(name: str, *arguments: object) -> tuple[float, Ran]:
    """Run one of the subjects in a process of its own: the seconds that it measured itself, and the process."""
    ran = run([sys.executable, "-m", "benchmarks.subjects", name, *map(str, arguments)])
    return float(json.loads(ran.output)), ran


def playbook(path: Path | str, inventory: Path, **variables: object) -> Ran:
    """Run a playbook over an inventory, with the checkout's settings and nobody's own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env.update(ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="0")
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    return run([sys.executable, program, "--inventory", str(inventory), str(path), *extra], env)


def local_hosts(folder: Path, count: int) -> Path:
    """An inventory of so many hosts, all of them this machine."""
    hosts = {f"host{number:02d}": None for number in range(1, count + 1)}
    settings = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    path = folder / f"hosts{count}.json"
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": settings}}), encoding="utf-8")
    return path


@dataclass
class SimulatedPool:
    sockets: Path
    logs: Path


@contextmanager
def simulated_pool(folder: Path, **simulation: object) -> Iterator[SimulatedPool]:
    """One simulated pool for as long as the block runs."""
    pool = SimulatedPool(folder / "sockets", folder / "logs")
    folder.mkdir()
    config = {"logdir": str(pool.logs), "update_interval": 5, "simulation": simulation}
    (folder / "ckpool.conf").write_text(json.dumps(config), encoding="utf-8")
    for place in (pool.sockets, pool.logs):
        place.mkdir()
    run([sys.executable, str(SIMULATOR), "-s", str(pool.sockets), "-c", str(folder / "ckpool.conf"), "-l", "5", "-D"])
    pid = int((pool.sockets / "main.pid").read_text(encoding="ascii"))
    try:
        yield pool
    finally:
        end(pid)


def end(pid: int) -> None:
    """End a process by its id, kindly first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 5
        try:
            os.kill(pid, number)
            while time.monotonic() < deadline:
                with suppress(ChildProcessError):  # where it is a child of ours, it is there until we look
                    os.waitpid(pid, os.WNOHANG)
                os.kill(pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            return
