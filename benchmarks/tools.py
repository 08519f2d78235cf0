# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools of the benchmarks: alternate measurements, processes with a deadline, a simulated pool, a table."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.support import Simulated

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
DEADLINE = 300.0  #: seconds for one process
ORPHANS_DEADLINE = 20.0
T = TypeVar("T")


class CannotMeasure(Exception):
    """A figure cannot be measured on this machine; the text is the reason."""


@dataclass
class Figure:
    """One line of the table. `most` or `least` is the bound of the ratio; a figure without either is informative.

    :ivar runs: what was measured in each round: ours, theirs.
    """

    what: str
    ours: str
    theirs: str
    ratio: float
    most: float | None = None
    least: float | None = None
    runs: list[list[float]] = field(default_factory=list)

    @property
    def met(self) -> bool:
        return (self.most is None or self.ratio <= self.most) and (self.least is None or self.ratio >= self.least)

    def cells(self) -> list[str]:
        bound = f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}" if self.least is not None else ""
        return [self.what, self.ours, self.theirs, f"{self.ratio:.2f}", bound, ("no", "yes")[self.met] if bound else ""]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def compared(
    what: str,
    ours: Sequence[float],
    theirs: Sequence[float] | float,
    shown: Callable[[float], str] | None = None,
    *,
    most: float | None = None,
    least: float | None = None,
) -> Figure:
    """A figure from what was measured in turns: the median of the ratios of each round, which a busy machine changes the least.

    :arg theirs: their side of each round, or a limit.
    :arg least: if it is given, the ratio is how many times more theirs is; otherwise it is ours / theirs.
    """
    shown = shown or seconds
    others = [float(theirs)] * len(ours) if isinstance(theirs, (int, float)) else theirs
    runs = [list(pair) for pair in zip(ours, others)]
    ratio = statistics.median(other / mine if least is not None else mine / other for mine, other in runs)
    return Figure(what, shown(statistics.median(ours)), shown(statistics.median(others)), ratio, most, least, runs)


def columns(lines: list[list[str]]) -> str:
    """Format lines of cells in columns."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def table(figures: list[Figure]) -> str:
    """Format all figures in columns."""
    return columns([["WHAT", "OURS", "THEIRS", "RATIO", "BOUND", "MET"], *(figure.cells() for figure in figures)])


def turns(rounds: int, *sides: Callable[[], T]) -> list[list[T]]:
    """What each side gave, in turns (A B A B ...), so that a busy machine slows all sides."""
    values = [[side() for side in sides] for _round in range(rounds)]
    return [list(column) for column in zip(*values)]


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def millions(value: float) -> str:
    return f"{value / 1e6:.0f} M"


def kilobytes(value: float) -> str:
    return f"{value / 1e3:.0f} kB"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def busy_until_now() -> float:
    """Processor seconds of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Ran:
    """A process that exited with 0. `busy` is its processor time with that of its own processes, `peak` its memory in bytes."""

    output: str
    seconds: float
    busy: float
    peak: int


def run(command: list[str], env: dict[str, str] | None = None) -> Ran:
    """Run a process to its end, within the deadline.

    A new process inherits the peak memory of its parent. That of this process stays small, so it does not matter.
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
    """Run one of the subjects in a separate process; the seconds that it measured, and the process."""
    ran = run([sys.executable, "-m", "benchmarks.subjects", name, *map(str, arguments)])
    return float(json.loads(ran.output)), ran


@dataclass
class Spent:
    """What a playbook cost.

    :ivar seconds: by the clock.
    :ivar controller: processor seconds of ansible-playbook and its workers, with the shells that it starts for a host.
    :ivar target: processor seconds of the Python of the hosts.
    :ivar instructions: of the Python of the hosts, if they were counted.
    :ivar peak: memory of ansible-playbook, or of its largest worker, in bytes.
    """

    seconds: float
    controller: float
    target: float
    instructions: int
    peak: int

    @property
    def busy(self) -> float:
        return self.controller + self.target


def playbook(path: Path | str, inventory: Path, **variables: object) -> Spent:
    """Run a playbook with the settings of the checkout, without those of the user."""
    return spend(path, inventory, {}, **variables)


def spend(path: Path | str, inventory: Path, settings: Mapping[str, str], **variables: object) -> Spent:
    """Run a playbook, with settings of Ansible besides those of the checkout. Hosts of L(local_hosts) are measured apart."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed collection is not compiled again each time
    env.update(ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="0", **settings)
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    with tempfile.TemporaryDirectory(prefix="fleet-meter-") as folder:
        meter = Path(folder, "meter")
        env["CKPOOL_FLEET_METER"] = str(meter)
        before, others = busy_until_now(), _children()
        ran = run([sys.executable, program, "--inventory", str(inventory), str(path), *extra], env)
        _end_of_orphans(others)
        busy = busy_until_now() - before
        target, own, instructions = metered(meter.read_text(encoding="ascii") if meter.exists() else "")
    return Spent(ran.seconds, busy - target - own, target, instructions, ran.peak)


def _children() -> set[int]:
    """The processes that this one started or inherited."""
    text = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text(encoding="ascii")
    return set(map(int, text.split()))


def _end_of_orphans(others: set[int]) -> None:
    """Wait for processes that outlive their run, as those of mitogen do. We inherit them where we are alone in a namespace."""
    deadline = time.monotonic() + ORPHANS_DEADLINE
    while (left := _children() - others) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)


def metered(text: str) -> tuple[float, float, int]:
    """The sums of what C(metered.py) wrote: processor seconds of the hosts, and its own, and instructions."""
    lines = [line.split() for line in text.splitlines()]
    return (
        sum(float(line[0]) for line in lines),
        sum(float(line[1]) for line in lines),
        sum(int(line[2]) for line in lines),
    )


def local_hosts(folder: Path, count: int) -> Path:
    """Write an inventory of that many hosts, all of them this machine. What their Python costs is measured apart."""
    meter, real = map(shlex.quote, (str(HERE / "metered.py"), sys.executable))
    hosts = {}
    for number in range(1, count + 1):
        # A path of its own for each: mitogen takes hosts that are reached in the same way for one.
        python = folder / f"python{number:02d}"
        python.write_text(f'#!/bin/sh\nexec {real} -IS {meter} {real} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        hosts[f"host{number:02d}"] = {"ansible_python_interpreter": str(python)}
    path = folder / f"hosts{count}.json"
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": {"ansible_connection": "local"}}}), encoding="utf-8")
    return path


def simulated_pool(folder: Path, **simulation: Any) -> Simulated:
    """Run one simulated pool for the duration of the block."""
    return Simulated(folder, update_interval=5, status_interval=60, **simulation)
