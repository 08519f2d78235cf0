# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all tests."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
import typing as t
from pathlib import Path
from types import FrameType

import pytest

from tests.support import Simulated
from tests.support.paths import remove
from tests.support.processes import STARTER_LOCK


class Failures:
    """Says at once what has failed: a whole run takes long."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if report.failed and reporter:
            why = str(getattr(getattr(report.longrepr, "reprcrash", None), "message", "")).partition("\n")[0]
            reporter.write_line(f"\n{report.nodeid} failed in its {report.when}: {why}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, as do the children then: where a script starts tests by `&`, SIGINT is ignored."""
    config.pluginmanager.register(Failures(config))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    where = "of the tests below this folder, run only the first case of each"
    parser.addoption("--one-case", metavar="FOLDER", action="append", default=[], help=where)
    where = "of the tests below this folder, run only those that start Ansible"
    parser.addoption("--by-ansible", metavar="FOLDER", action="append", default=[], help=where)


def pytest_collection_modifyitems(config: pytest.Config, items: t.List[pytest.Item]) -> None:
    """Leave only the first case of each test, and only tests that start Ansible, where that is wanted."""
    first = set({item.nodeid.partition("[")[0]: item for item in reversed(items)}.values())
    by_ansible = {item for item in items if "ansible" in getattr(item, "fixturenames", ())}
    kept = set(items)
    for option, chosen in (("--one-case", first), ("--by-ansible", by_ansible)):
        folders = tuple(config.getoption(option))
        kept &= chosen | {item for item in items if not folders or not item.nodeid.startswith(folders)}
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]


@pytest.fixture(scope="session", autouse=True)
def simulated_daemons_end_with_us() -> t.Iterator[None]:
    """Simulated daemons end when this process does, however it does."""
    with tempfile.NamedTemporaryFile(prefix="ckf-", dir="/tmp") as lock:
        os.chmod(lock.name, 0o644)  # for daemons of other users
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ[STARTER_LOCK] = lock.name
        yield


def interrupt(_number: int, _frame: t.Optional[FrameType]) -> None:
    """End the run like Ctrl-C, once: `timeout` sends its signal twice, and the second would cut the tidying short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.fixture(scope="session", autouse=True)
def tidy_when_terminated() -> t.Iterator[None]:
    """A run that is told to end (SIGTERM, as `timeout` and CI send it) stops its daemons like one by Ctrl-C."""
    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def home() -> t.Iterator[Path]:
    """An empty folder with a short name: a socket's path is limited to 107 bytes, which pytest's own come close to."""
    folder = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    yield folder
    remove(folder)


@pytest.fixture
def simulate(home: Path) -> t.Iterator[t.Callable[..., Simulated]]:
    """Start simulated daemons, which end with the test; `start=False` leaves the start to the test."""
    made: t.List[Simulated] = []

    def start(*options: str, start: bool = True, **simulation: t.Any) -> Simulated:
        made.append(Simulated(home / str(len(made)), *options, **simulation))
        return made[-1].start() if start else made[-1]

    yield start
    for daemon in made:
        daemon.__exit__()
