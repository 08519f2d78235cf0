# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run what runs for long, and fail if anything of it grows: memory, descriptors, threads, files.

These are the monitor on a terminal, the HTTP service with its readers, the event source of rulebooks, and the playbook watch,
again and again, all with simulated pools of which one does not reply now and then. `make soak` runs it for an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.ansible import RUN_DEADLINE, Ansible
from tests.support.http_service import HttpService
from tests.support.machine import Machine
from tests.support.paths import ROOT, remove
from tests.support.processes import STARTER_LOCK
from tests.support.simulated import Simulated
from tests.support.waiting import wait_until
from tests.support.watching import Watching

#: What may be gained while it is measured, however long that takes: what a program does once, or now and then.
ALLOWED = {"memory (KiB)": 4096, "descriptors": 3, "threads": 3, "files": 4, "bytes": 262144}
ROUNDS = 2  #: that each program does at least before it is measured, and at least while it is
WARM_UP = 0.25  #: of the time, which is not judged
_RESTART = 40  #: changes between two starts of a pool
_POINTS = 200  #: of half a series that are compared with each other
_ASKED = ("/pools", "/health", "/metrics", "/pools/one/stats", "/pools/three/users", "/nothing", "/openapi.json")
_EVENT_SOURCE = """
import asyncio, json, sys
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook import source

async def main():
    queue = asyncio.Queue(1)
    looking = asyncio.ensure_future(source.run(queue, json.loads(sys.argv[1])))
    while True:
        event = asyncio.ensure_future(queue.get())
        await asyncio.wait({event, looking}, return_when=asyncio.FIRST_COMPLETED)
        if looking.done():
            await looking
        print(event.result()["ckpool"]["event"], flush=True)

asyncio.run(main())
"""
Points = list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What one figure of one program did.

    :ivar growth: what it gained while it was measured, if it went on until the end.
    """

    program: str
    figure: str
    first: float
    last: float
    growth: float

    @property
    def is_leak(self) -> bool:
        return self.growth > ALLOWED[self.figure]

    def __str__(self) -> str:
        word = "GROWS" if self.is_leak else "ok"
        numbers = f"{self.first:10.0f} {self.last:10.0f} {self.growth:10.1f} {ALLOWED[self.figure]:10}"
        return f"{self.program:24} {self.figure:14} {numbers}  {word}"


HEADER = f"{'':24} {'':14} {'first':>10} {'last':>10} {'growth':>10} {'allowed':>10}"


def growth(points: Points) -> float:
    """What a series gained while it was measured, if it went on: by the lesser slope of its two halves.

    What a program takes once for each thread and each kind of answer, it takes sooner or later, on a busy machine much later.
    """
    middle = len(points) // 2
    slope = min(_slope(points[: middle + 1]), _slope(points[middle:]))
    return slope * (points[-1][0] - points[0][0])


def _slope(points: Points) -> float:
    """The median of the slopes between any two points: a single jump is none."""
    chosen = points[:: max(1, -(-len(points) // _POINTS))]
    slopes = [
        (right[1] - left[1]) / (right[0] - left[0])
        for number, left in enumerate(chosen)
        for right in chosen[number + 1 :]
    ]
    return statistics.median(slopes) if slopes else 0.0


class Meter:
    """Measures programs and folders.

    :arg programs: the first process of each, by name; its children are measured with it.
    :arg folders: what is written, by name.
    """

    def __init__(self, programs: dict[str, int], folders: dict[str, Path]) -> None:
        self._programs, self._folders = programs, folders
        self._series: dict[tuple[str, str], Points] = {}

    def measure(self) -> None:
        """Add a point to each series."""
        now = time.monotonic()
        for name, first in self._programs.items():
            for pid in family(first):
                with contextlib.suppress(OSError):  # it has ended
                    for figure, value in figures_of(pid).items():
                        self._series.setdefault((f"{name} {pid}", figure), []).append((now, value))
        for name, folder in self._folders.items():
            for figure, value in contents_of(folder).items():
                self._series.setdefault((name, figure), []).append((now, value))

    def verdicts(self) -> list[Verdict]:
        """Of each folder, and of each process that was there all the time: others were started and ended meanwhile."""
        most = max(map(len, self._series.values()), default=0)
        whole = {name: points for name, points in self._series.items() if len(points) == most}
        for name, first in self._programs.items():
            assert (f"{name} {first}", "threads") in whole, f"{name} has ended"
        return [
            Verdict(program, figure, points[0][1], points[-1][1], growth(points))
            for (program, figure), points in whole.items()
        ]


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def figures_of(pid: int) -> dict[str, float]:
    """Memory that is not that of a file, open descriptors and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    values = {line.partition(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
    memory = sum(int(values.get(name, 0)) for name in ("RssAnon", "VmSwap"))
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return {"memory (KiB)": memory, "descriptors": descriptors, "threads": int(values["Threads"])}


def contents_of(folder: Path) -> dict[str, float]:
    """How many files are below a folder, and their size."""
    count = size = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it is gone
                size += os.lstat(os.path.join(path, name)).st_size
                count += 1
    return {"files": count, "bytes": size}


class Repeated:
    """Something that is done again and again, in a thread, for as long as a C(with) block runs.

    :ivar count: how often it was done.
    """

    def __init__(self, work: Callable[[], None], pause: float) -> None:
        self.count = 0
        self._work, self._pause = work, pause
        self._problem: BaseException | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Repeated:
        self._thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._end.set()
        self._thread.join(RUN_DEADLINE)

    def done(self) -> int:
        """How often it was done, unless it has failed."""
        if self._problem:
            raise self._problem
        return self.count

    def _run(self) -> None:
        try:
            while not self._end.wait(self._pause):
                self._work()
                self.count += 1
        except BaseException as exc:
            self._problem = exc


class Soak:
    """All programs at once, for as long as a C(with) block runs.

    :arg folder: a short path.
    :arg pause: seconds between two runs of the watch, and between two changes of a pool.
    :arg interpreter: the Python that runs the service, by default our own.
    """

    def __init__(self, folder: Path, pause: float, interpreter: str = "") -> None:
        self._folder, self._pause, self._interpreter = folder, pause, interpreter
        self._stack = contextlib.ExitStack()
        self._changes = self._round = 0

    def __enter__(self) -> Soak:
        with self._stack:
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_args: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        enter = self._stack.enter_context
        self._machine = enter(Machine(self._folder / "host"))
        done = self._machine.run("mount", "-t", "tmpfs", "tmpfs", "/run")  # what is kept there is its own
        assert done.returncode == 0, done.stderr
        self._pools = [self._pool("one"), self._pool("two", dialect="api"), self._pool("three", dialect="guide")]
        self._kept = self._folder / "kept"
        self._kept.mkdir()
        service = enter(HttpService(self._folder, self._machine.prefix, self._interpreter))
        self._service = service
        source = enter(self._event_source())
        self._ansible = Ansible(self._folder / "ansible")
        self._watching = enter(self._monitor())
        self.meter = Meter(
            {"service": service.pid, "event source": source.pid, "monitor": self._watching.process.pid},
            {
                "folder of states": self._kept,
                "folder of Ansible": self._folder / "ansible",
                "/run of the host": Path("/proc", str(service.pid), "root", "run"),
            },
        )
        self._repeated = {
            "requests": enter(Repeated(self._ask, 0.2)),
            "changes": enter(Repeated(self._change, self._pause)),
            "runs of the watch": enter(Repeated(self._watch, self._pause)),
        }

    def _pool(self, name: str, **simulation: Any) -> Simulated:
        made = Simulated(
            self._machine.folder / name, name=name, prefix=self._machine.prefix, users=3, status_interval=1,
            update_interval=1, **simulation,
        )  # fmt: skip
        self._stack.enter_context(made.start()).wait_for_statistics()
        return made

    @contextlib.contextmanager
    def _event_source(self) -> Iterator[subprocess.Popen[bytes]]:
        given = {
            "services": [{"url": f"http://127.0.0.1:{self._service.port}", "host": "here"}],
            "interval": 1, "looks": 1, "state_file": str(self._kept / "rulebook.json"),
        }  # fmt: skip
        command = [sys.executable, "-c", _EVENT_SOURCE, json.dumps(given)]
        self._events = self._folder / "events"
        where = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
        with self._events.open("wb") as events, self._events.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=events, stderr=log, env=where)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()

    @contextlib.contextmanager
    def _monitor(self) -> Iterator[Watching]:
        hosts = {"here": self._machine.host(), "there": self._machine.host()}
        variables = {"monitor_interval": 2, "monitor_count": 17280}
        with Watching(self._ansible, self._folder / "monitor", hosts, variables) as watching:
            watching.until_shown("here", "there", "one", "two", "three")
            yield watching
            watching.terminal.type(b"q")
            assert watching.end() == 0, watching.terminal.text[-2000:]

    def _ask(self) -> None:
        for path in _ASKED:
            answer = self._service.get(path)
            assert (answer.status == 404) == (path == "/nothing"), (path, answer)
        broken = self._service.connection()
        broken.request("GET", "/metrics")
        broken.close()  # before there is an answer

    def _change(self) -> None:
        """One pool does not reply, or does again; another one is a new process now and then."""
        pool = self._pools[0]
        pool.change(faults=[] if pool.simulation.get("faults") else ["no_reply"])
        self._changes += 1
        if self._changes % _RESTART == 0:
            self._pools[1].stop()
            self._pools[1].start()

    def _watch(self) -> None:
        inventory, tasks, record = (self._folder / f"watch.{kind}" for kind in ("inventory.json", "yml", "record"))
        inventory.write_text(json.dumps({"all": {"hosts": {"here": self._machine.host()}}}))
        tasks.write_text(json.dumps([{"ansible.builtin.debug": {"msg": "{{ watch_message.text }}"}}]))
        variables = {"watch_state_file": str(self._kept / "watch.json"), "watch_looks": 1, "watch_tasks": str(tasks)}
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), "ckpool.fleet.watch"]
        done = subprocess.run(
            [*command, "-e", json.dumps(variables)], cwd=ROOT, env=self._ansible.environment(record, {}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_DEADLINE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        record.unlink()

    def counts(self) -> dict[str, int]:
        """How much was done so far, by what."""
        seen = self._watching.terminal.look().rows[0]
        found = re.search(r"round (\d+) of ", seen)  # which is not there while it is drawn
        self._round = int(found[1]) if found else self._round
        counts = {name: repeated.done() for name, repeated in self._repeated.items()}
        return {**counts, "rounds of the monitor": self._round, "events": len(self._events.read_text().splitlines())}


def soak(folder: Path, seconds: float, interpreter: str = "") -> tuple[list[Verdict], dict[str, int]]:
    """What each figure did, and how much each program did, in that time.

    :raises AssertionError: a program failed, or did nothing.
    """
    pause = min(30.0, max(3.0, seconds / 60))
    with Soak(folder, pause, interpreter) as running:
        _wait_for_rounds(running, {}, seconds * WARM_UP, lambda: None)
        before = running.counts()
        _wait_for_rounds(running, before, seconds * (1 - WARM_UP), running.meter.measure)
        after = running.counts()
        return running.meter.verdicts(), {name: after[name] - before[name] for name in after}


def _wait_for_rounds(running: Soak, before: dict[str, int], seconds: float, work: Callable[[], None]) -> None:
    """Work each second, for some time, and until everything was done some times."""
    began, counts = time.monotonic(), before

    def is_over() -> bool:
        nonlocal counts
        time.sleep(min(1.0, seconds / 50))
        work()
        counts = running.counts()
        is_enough = all(count >= before.get(name, 0) + ROUNDS for name, count in counts.items())
        return is_enough and time.monotonic() >= began + seconds

    assert wait_until(is_over, seconds + RUN_DEADLINE), f"not {ROUNDS} more of each: {before} -> {counts}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("seconds", type=float, nargs="?", default=3600.0)
    seconds = parser.parse_args().seconds
    folder = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    with tempfile.NamedTemporaryFile(prefix="ckf-", dir="/tmp") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ[STARTER_LOCK] = lock.name
        try:
            verdicts, counts = soak(folder, seconds)
        finally:
            remove(folder)
    print(HEADER, *verdicts, sep="\n")
    print(f"In {seconds * (1 - WARM_UP):.0f} s:", ", ".join(f"{count} {name}" for name, count in counts.items()))
    return int(any(verdict.is_leak for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
