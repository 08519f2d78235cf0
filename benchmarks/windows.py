# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost of maintenance windows, on hosts that boot: what miners miss, what a rolling upgrade takes, how fast it goes back."""

from __future__ import annotations

import functools
import itertools
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.crowd import Crowd
from benchmarks.tools import CannotMeasure, Figure, seconds
from tests.support.ansible import Ansible, Json
from tests.support.exchange import ask
from tests.support.waiting import wait_for, wait_until
from tests.system import hosts
from tests.system.daemon import ENVIRONMENT
from tests.system.windows import LONGEST, Releases, Site, install, outcome, run_on
from tests.tools import matrix

CLIENTS = 50
PORT, NODE_PORT = 3333, 8332
HOSTS, POOLS_OF_A_HOST = 4, 5
UPGRADE_HOSTS, UPGRADES = 5, 20  #: after each of these, clients are looked for that are stranded
_UNIT = "ckpool-main"
_ROLLBACK_SECONDS = 10.0
_DAEMON = os.environ.get(ENVIRONMENT, "")
#: a real daemon writes statistics once a minute; its clients are counted at once
_WITHOUT_STATISTICS = {"upgrade_users_percent": 0, "upgrade_hashrate_percent": 0, "upgrade_shares": False}


class RealReleases(Releases):
    """Releases of the daemon that CKPOOL_BIN names."""

    def good(self) -> Json:
        return self.real(_DAEMON)


class Pools(Site):
    """A host with pools whose health the benchmarks judge by what their listeners answer."""

    def wait_for_miners(self) -> None:
        for name in self.names:
            wait_for(functools.partial(self.answers, name), f"an answer of {name}", 60)

    def answers(self, name: str = "main") -> bool:
        return ask(str(self.path(f"run/ckpool/{name}/listener")), "ping", 1.0).text == "pong"

    def serving(self, name: str = "main") -> int:
        """The process that answers; 0 while there is none."""
        try:
            return self.pid(name) if self.answers(name) else 0
        except (OSError, ValueError):
            return 0

    def restart(self) -> None:
        self.host.run(f"sudo systemctl restart {_UNIT}")

    def restart_by_systemd(self) -> float:
        """Seconds from the start of the unit, which is stopped before, to an answer."""
        self.host.run(f"sudo systemctl stop {_UNIT}")
        began = time.monotonic()
        self.host.run(f"sudo systemctl start {_UNIT}")
        wait_for(self.answers, "an answer", 60)
        return time.monotonic() - began

    def hand_over(self, name: str) -> float:
        """Seconds that the daemon's own handover takes, from the order to an answer of the new process."""
        before, began = self.pid(name), time.monotonic()
        assert ask(str(self.path(f"run/ckpool/{name}/listener")), "restart").text == "restarting"
        wait_for(lambda: self.serving(name) not in (0, before), f"the next process of {name}", 60)
        return time.monotonic() - began


@contextmanager
def pools(folder: Path, count: int, names: list[str], is_real: bool = False) -> Iterator[list[Pools]]:
    """Booted hosts with installed pools.

    :raises CannotMeasure: this machine cannot boot hosts, or the pools do not start.
    """
    if why := hosts.why_not():
        raise CannotMeasure(why)
    trees = Path(os.environ.get("CKPOOL_FLEET_TREES") or matrix.CACHE / "trees")
    releases = RealReleases(folder) if is_real else Releases(folder)
    ansible = Ansible(folder / "ansible")
    try:
        with hosts.booted({f"bench{number}": hosts.ANY for number in range(count)}, trees) as fleet:
            made = [Pools(host, ansible, releases, folder) for host in fleet.values()]
            for pool in made:
                pool.names = names
                prepare(pool, is_real)
            install(made)
            for pool in made:
                pool.wanted.update(_WITHOUT_STATISTICS if is_real else {})
            yield made
    except (OSError, RuntimeError, subprocess.SubprocessError, AssertionError) as error:
        raise CannotMeasure(str(error)[-1500:]) from error


def prepare(pool: Pools, is_real: bool) -> None:
    """The configuration of its pools, and the libraries of a real daemon."""
    if is_real:
        del pool.config["simulation"]
        pool.config.update({"mindiff": 1, "startdiff": 1})
        pool.host.take_libraries_of(_DAEMON)
    elif pool.names == ["main"]:
        pool.config["simulation"]["ports"] = [PORT]


def what_miners_miss(folder: Path, rounds: int) -> Iterator[Figure]:
    """Client-seconds without service of each strategy, in turns with a restart of the unit by systemd.

    Several hosts have their turn at the same time: an upgrade of all takes hardly longer than that of one. However few
    rounds are asked for, there are as many upgrades.
    """
    missed: dict[str, list[float]] = {"handover": [], "stop_start": [], "restart": []}
    longest: dict[str, float] = dict.fromkeys(missed, 0.0)
    stranded, upgrades = 0, 0
    with ExitStack() as until_done:
        made = until_done.enter_context(pools(folder, UPGRADE_HOSTS, ["main"], bool(_DAEMON)))
        crowds = {pool: until_done.enter_context(crowd_of(pool)) for pool in made}
        for strategy in list(missed) * (UPGRADES // UPGRADE_HOSTS // 2):
            for pool, crowd in crowds.items():
                bring_back(pool, crowd)
                crowd.ask("mark")
            if strategy == "restart":
                for pool in made:
                    pool.restart()
            else:
                upgrade(made, strategy)
                upgrades += len(made)
                stranded += sum(crowd.stranded() for crowd in crowds.values())
            for crowd in crowds.values():
                crowd.stranded()
                seen = crowd.ask()
                missed[strategy].append(seen["without"])
                longest[strategy] = max(longest[strategy], seen["longest"])
    bare = statistics.median(missed.pop("restart"))
    for strategy, each in missed.items():
        ours = statistics.median(each)
        what = f"client-seconds without service, {CLIENTS} clients, {strategy} / systemctl restart"
        yield Figure(what, seconds(ours), seconds(bare), ours / bare, most=0.3 if strategy == "handover" else None)
        what = f"- the longest of one client, {strategy} / the same"
        yield Figure(
            what, seconds(longest[strategy]), seconds(longest["restart"]), longest[strategy] / longest["restart"]
        )
    what = f"- clients stranded in {upgrades} upgrades / all of them"
    yield Figure(what, f"{stranded}", f"{CLIENTS * upgrades}", stranded / CLIENTS / upgrades, most=0)


@contextmanager
def crowd_of(pool: Pools) -> Iterator[Crowd]:
    """The clients of a host, once all of them are served."""
    with Crowd(pool.host, PORT, CLIENTS, NODE_PORT if _DAEMON else 0) as crowd:
        if crowd.stranded(60):
            raise CannotMeasure(f"the clients are not served: {crowd.ask()}")
        yield crowd


def bring_back(pool: Pools, crowd: Crowd) -> None:
    """Have all clients of a pool served, also those that what was before has stranded.

    :raises CannotMeasure: they do not come back.
    """
    if crowd.stranded():
        pool.restart()
        if crowd.stranded():
            raise CannotMeasure("the clients do not come back")


def upgrade(made: Sequence[Pools], strategy: str) -> None:
    """Upgrade hosts by a strategy, all at the same time, to another release.

    :raises CannotMeasure: that is not the outcome on each.
    """
    for pool in made:
        pool.wanted = {**pool.wanted, **pool.releases.good()}
    run = run_on({pool: {"upgrade_strategy": strategy} for pool in made}, "upgrade")
    used = [one["strategy"] for pool in made for one in pool.window().get("instances", [])]
    if run.status != 0 or used != [strategy] * len(made) or {outcome(run, pool) for pool in made} != {"done"}:
        raise CannotMeasure(f"an upgrade by {strategy} did not succeed ({used}): {run.text[-1500:]}")


def a_rolling_upgrade(folder: Path, rounds: int) -> Iterator[Figure]:
    """The controller's time for each pool of a fleet, against the handovers that the daemons would do by themselves."""
    names = ["main", *(f"pool{number}" for number in range(2, POOLS_OF_A_HOST + 1))]
    with pools(folder, HOSTS, names) as made:
        bare = statistics.median(pool.hand_over(name) for pool, name in itertools.product(made, names))
        wanted: dict[Site, Json] = {pool: pool.releases.good() for pool in made}
        began = time.monotonic()
        run = run_on(wanted, "rolling_upgrade", "-e", json.dumps({"rolling_upgrade_serial": [1, "100%"]}))
        passed = time.monotonic() - began
        if run.status != 0:
            raise CannotMeasure(f"the rolling upgrade did not succeed: {run.text[-1500:]}")
        switched = [one["switch"]["seconds"] for pool in made for one in pool.window()["instances"]]
    count = HOSTS * POOLS_OF_A_HOST
    each, switch = passed / count, statistics.median(switched)
    yield Figure(f"rolling upgrade of {count} pools, each / its handover", seconds(each), seconds(bare), each / bare)
    yield Figure("- the switch on the host alone / the same", seconds(switch), seconds(bare), switch / bare)


def a_rollback(folder: Path, rounds: int) -> Iterator[Figure]:
    """From the moment that a failure is seen until the old release serves, beyond the daemon's own start."""
    with pools(folder, 1, ["main"]) as (pool,):
        start = statistics.median(pool.restart_by_systemd() for _round in range(rounds))
        bad: dict[str, Callable[[], Json]] = {
            "hangs": lambda: pool.releases.faulty("hung"),
            "exits": lambda: pool.releases.unrunnable("exits"),
            "gets no work": lambda: pool.releases.faulty("starting"),
        }
        for kind, release in bad.items():
            took, allowed = seconds_back(pool, release()), _ROLLBACK_SECONDS + start
            what = f"rollback from a release that {kind} / 10 s and the daemon's start"
            yield Figure(what, seconds(took), seconds(allowed), took / allowed, most=1)


def is_failed(pool: Pools, earlier: str | None) -> bool:
    """Whether the host goes back, or has gone, from a run after an earlier one."""
    window = pool.window()
    return window.get("run") != earlier and window.get("state") in ("reverting", "reverted")


def seconds_back(pool: Pools, release: Json) -> float:
    """Seconds from the record of the failure on the host until a new process of the old release answers.

    :raises CannotMeasure: it did not go back.
    """
    before, old, earlier = pool.runs(), pool.pid(), pool.window().get("run")
    process, _record = pool.start("upgrade", **release)
    try:
        wait_until(lambda: process.poll() is not None or is_failed(pool, earlier), LONGEST)
        began = time.monotonic()
        is_back = is_failed(pool, earlier) and wait_until(
            lambda: pool.current == before == pool.runs() and pool.serving() not in (0, old), LONGEST
        )
        passed = time.monotonic() - began
        output, _none = process.communicate(timeout=LONGEST)
    finally:
        process.kill()
    if not is_back or "outcome: rolled_back" not in output:
        raise CannotMeasure(f"it did not go back to {before}: {pool.current}, {pool.window()}: {output[-1500:]}")
    return passed
