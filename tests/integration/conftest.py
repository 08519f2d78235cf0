# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures: Ansible, pools that are only read from and serve a whole session, and hosts of one's own."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import (
    Ansible,
    Machine,
    Simulated,
    namespaces,
    processes_with,
    remove,
    simulated,
    wait_for,
)
from tests.system.daemon import BTC_ADDRESS, ENVIRONMENT, Answer, RealPool, wait_until
from tests.system.miner import Miner

SIMULATIONS: dict[str, dict[str, Any]] = {
    "2017": {"layout": "2017"},
    "2025": {"layout": "2025"},
    "2026": {"layout": "2026"},
    "api": {"dialect": "api"},
    "guide": {"dialect": "guide"},
}
NOT_SET = f"{ENVIRONMENT} is not set"
STATISTICS_SECONDS = 75.0
"""The daemon writes pool.status each minute."""

needs_real = pytest.mark.skipif(not os.environ.get(ENVIRONMENT), reason=NOT_SET)
needs_namespaces = pytest.mark.skipif(not namespaces(), reason="no namespaces: neither root nor allowed to unshare")


@dataclasses.dataclass(frozen=True)
class Target:
    """A pool that is well and that tests only read from.

    `source` is where its answers come from; `asked` gives the messages it was sent, None where nobody can tell.
    """

    kind: str
    source: str
    socket_dir: Path
    log_dir: Path
    users: dict[str, list[str]]
    ask: Callable[[str, str], Answer]
    asked: Callable[[], list[str]] | None = None

    @property
    def is_real(self) -> bool:
        return self.kind == "real"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests that share expensive fixtures stay in one process: all of a file here, all on the one real daemon."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if not nodeid.startswith("tests/integration/"):
                return nodeid
            return "real" if "[real" in nodeid else nodeid.partition("::")[0]

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder with a short path, as that of a unix socket is limited; at the end nothing may run in it."""
    path = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    wait_for(lambda: not processes_with(str(path)), f"no process with {path} in its command line")
    remove(path)


@pytest.fixture(scope="session")
def ansible(folder: Path) -> Ansible:
    return Ansible(folder / "ansible")


@pytest.fixture(scope="session")
def place(folder: Path) -> Callable[[], Path]:
    """A folder that is not used yet, each time."""
    count = iter(range(10**6))
    return lambda: folder / f"{next(count)}"


@pytest.fixture
def simulate(place: Callable[[], Path]) -> Iterator[Callable[..., Simulated]]:
    """Start simulated pools for one test."""
    started: list[Simulated] = []

    def start(**options: Any) -> Simulated:
        pool = Simulated(place(), **options)
        started.append(pool)
        return pool.start()

    yield start
    for pool in started:
        pool.stop()


@pytest.fixture(scope="session", params=[*SIMULATIONS, pytest.param("real", marks=[needs_real, pytest.mark.real])])
def pool(request: pytest.FixtureRequest, place: Callable[[], Path]) -> Iterator[Target]:
    """Every kind of pool in turn."""
    source = _real_target() if request.param == "real" else _simulated_target(request.param, place())
    yield from source


def _simulated_target(kind: str, folder: Path) -> Iterator[Target]:
    options = {"users": 4, "uptime": 90000, "accepted": 1e6, "rejected": 2000, "bestshare": 7e5, **SIMULATIONS[kind]}
    with simulated(folder, **options) as made:
        source = "files" if made.dialect == "public" else made.dialect
        yield Target(kind, source, made.socket_dir, made.log_dir, made.users, made.ask, made.asked)


def _real_target() -> Iterator[Target]:
    """A real daemon with three workers of two users, whose shares it has counted."""
    workers = ("alice.rig1", "alice.rig2", f"{BTC_ADDRESS}.rig1")
    # Builds that let mindiff go below 1 take any share, so that none has to be mined.
    with RealPool(settings={"mindiff": -1, "update_interval": 2}) as made:
        miners = [Miner(made.stratum_port, worker) for worker in workers]
        try:
            for miner in miners:
                miner.start()
                for _share in range(5):
                    miner.submit_garbage()
            assert wait_until(lambda: _has_counted(made), STATISTICS_SECONDS, 0.5), "no statistics"
            users = {"alice": ["alice.rig1", "alice.rig2"], BTC_ADDRESS: [f"{BTC_ADDRESS}.rig1"]}
            yield Target("real", "files", made.socket_dir, made.log_dir, users, made.ask)
        finally:
            for miner in miners:
                miner.close()


def _has_counted(made: RealPool) -> bool:
    """Whether its statistics know of the miners, and of their shares."""
    status = made.status()
    shares = status.get("accepted", 0) + status.get("rejected", 0)
    return status.get("Workers") == 3 and shares > 0 and len(list((made.log_dir / "users").iterdir())) == 2


@pytest.fixture
def machine(place: Callable[[], Path]) -> Iterator[Machine]:
    """A host that sees only processes of its own."""
    if not namespaces():
        pytest.skip("no namespaces: neither root nor allowed to unshare")
    with Machine(place()) as made:
        yield made
