# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures: Ansible, pools that are only read from and serve a whole session, and hosts that see only their own processes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Simulated, processes_with, wait_for, wait_until
from tests.support.ansible import Ansible, Direct
from tests.support.machine import Machine, namespaces
from tests.support.paths import remove
from tests.support.target import SIMULATIONS, Target, needs_real
from tests.system.daemon import BTC_ADDRESS, RealPool
from tests.system.miner import Miner
from tests.system.shares import Shares, cheapest

STATISTICS_SECONDS = 300.0
"""The daemon writes pool.status each minute."""


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
def direct() -> Direct:
    return Direct()


@pytest.fixture(scope="session")
def place(folder: Path) -> Callable[[], Path]:
    """A folder that is not used yet, each time."""
    count = iter(range(10**6))
    return lambda: folder / f"{next(count)}"


@pytest.fixture(scope="session", params=[*SIMULATIONS, pytest.param("real", marks=[needs_real, pytest.mark.real])])
def pool(request: pytest.FixtureRequest, place: Callable[[], Path]) -> Iterator[Target]:
    """Every kind of pool in turn."""
    source = _real_target() if request.param == "real" else _simulated_target(request.param, place())
    yield from source


def _simulated_target(kind: str, folder: Path) -> Iterator[Target]:
    options = {"users": 4, "uptime": 90000, "accepted": 1e6, "rejected": 2000, "bestshare": 7e5, **SIMULATIONS[kind]}
    with Simulated(folder, **options) as made:
        source = "files" if made.dialect == "public" else made.dialect
        yield Target(kind, source, made.socket_dir, made.log_dir, made.users, made.ask, made.asked)


def _real_target() -> Iterator[Target]:
    """A real daemon with three workers of two users, whose shares it has counted."""
    workers, way = ("alice.rig1", "alice.rig2", f"{BTC_ADDRESS}.rig1"), cheapest()
    with RealPool(settings={**way.settings, "update_interval": 2}) as made:
        shares, miners = Shares(way, made), [Miner(made.stratum_port, worker) for worker in workers]
        try:
            for miner in miners:
                miner.start()
                for _share in range(5):
                    shares.submit(miner)
            assert wait_until(lambda: _has_counted(made), STATISTICS_SECONDS), "no statistics"
            users = {"alice": ["alice.rig1", "alice.rig2"], BTC_ADDRESS: [f"{BTC_ADDRESS}.rig1"]}
            with shares.kept_coming(miners):
                yield Target("real", "files", made.socket_dir, made.log_dir, users, made.ask)
        finally:
            for miner in miners:
                miner.close()


def _has_counted(made: RealPool) -> bool:
    """Whether its statistics know of the miners, and of their shares."""
    try:
        users = [json.loads(path.read_text()) for path in (made.log_dir / "users").iterdir()]
    except ValueError:  # caught while it is written
        return False
    return made.status().get("Workers") == 3 and [user.get("hashrate1m", "0") != "0" for user in users] == [True, True]


@pytest.fixture
def machine(place: Callable[[], Path]) -> Iterator[Machine]:
    """A host that sees only processes of its own."""
    if not namespaces():
        pytest.skip("no namespaces: neither root nor allowed to unshare")
    with Machine(place()) as made:
        yield made
