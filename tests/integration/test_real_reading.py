# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real daemon in every state: the results of the reading modules, and that questions do it no harm."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.support import wait_until
from tests.support.ansible import UNHURRIED, Ansible, Json, Task, check_of, failing
from tests.support.machine import Machine
from tests.support.privileges import without_privileges
from tests.support.target import needs_real
from tests.system.bitcoind import FakeBitcoind, State
from tests.system.daemon import Mode, RealPool, Wait
from tests.system.miner import Miner, StratumError

pytestmark = [pytest.mark.real, needs_real]

EVERY = ("ckpool_health_info", "ckpool_stats", "ckpool_user_info")


@pytest.fixture
def own() -> Iterator[RealPool]:
    """A daemon for one test alone."""
    with RealPool() as running:
        yield running


def look(ansible: Ansible, pool: RealPool, **options: object) -> Json:
    """The verdict on it."""
    return ansible.module(
        "ckpool_health_info", socket_dir=str(pool.socket_dir), **{"timeout": 10.0, "thresholds": UNHURRIED, **options}
    )


def states(ansible: Ansible, pool: RealPool) -> list[str]:
    """Its state as each of the modules has it."""
    where = {"socket_dir": str(pool.socket_dir), "timeout": 10.0}
    tasks: list[Task] = [(name, where) for name in EVERY]
    return [result["instance"]["state"] for result in ansible.modules(tasks)]


def test_a_well_pool(own: RealPool, ansible: Ansible) -> None:
    assert wait_until(lambda: bool(own.status()))
    result = look(ansible, own)
    assert (result["health"]["state"], failing(result["health"])) == ("ok", {}), result["msg"]
    assert states(ansible, own) == ["ok", "ok", "ok"]


def test_without_bitcoind_from_the_start(ansible: Ansible) -> None:
    with RealPool(node_state=State.REFUSE, wait=Wait.LISTENING) as pool:
        assert pool.wait_for_log("CRITICAL: No bitcoinds active!", 60)
        young, late = look(ansible, pool), look(ansible, pool, thresholds={**UNHURRIED, "start_grace": 0.01})
        assert states(ansible, pool) == ["starting", "starting", "starting"]
        assert pool.pid in pool.processes(), "it must survive being asked"
        pool.bitcoind.state = State.UP
        assert wait_until(pool.is_ready, 60)
        assert wait_until(lambda: bool(pool.status()))
        recovered = look(ansible, pool, skip_checks=["log_errors"])
    assert young["health"]["state"] == late["health"]["state"] == "starting"
    found = failing(young["health"])
    assert found["ready"] == ("warning", "starting")
    assert found["bitcoind"] == ("critical", "bitcoind_down")
    assert failing(late["health"])["ready"] == ("critical", "starting_too_long")
    assert (recovered["health"]["state"], recovered["health"]["wrong"]) == ("ok", [])


@pytest.mark.parametrize("state", [State.REFUSE, State.WARMUP])
def test_bitcoind_goes_away(state: State, own: RealPool, ansible: Ansible) -> None:
    assert wait_until(lambda: bool(own.status()))
    own.bitcoind.state = state
    assert own.wait_for_log("CRITICAL: No bitcoinds active!", 60)
    wait_until(lambda: look(ansible, own)["health"]["state"] == "degraded", 120)
    health = look(ansible, own)["health"]
    assert health["state"] == "degraded", health["wrong"]
    assert failing(health)["bitcoind"][0] == "critical"
    assert failing(health)["log_errors"] == ("warning", "no_bitcoind")
    own.bitcoind.state = State.UP
    assert wait_until(lambda: own.ask("generator", "ping", 1.0).text == "pong", 60)
    wait_until(own.is_ready, 60)
    assert look(ansible, own, skip_checks=["log_errors"])["health"]["wrong"] == []


def test_rejecting_by_hand_with_miners_at_the_door(own: RealPool, ansible: Ansible) -> None:
    """Nobody remembers that it was told to, and it has no client that would miss anything."""
    assert wait_until(lambda: bool(own.status()))
    assert own.ask("listener", "reject").text == "rejecting"
    with contextlib.ExitStack() as stack:
        for _miner in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", own.stratum_port)))
        health = look(ansible, own)["health"]
        assert failing(health) == {"stranded": ("warning", "stranded_miners")}, health["wrong"]
        assert check_of(health, "stranded")["observed"] >= 2, "one may have been accepted while it stopped"
        assert own.ask("listener", "accept").text == "accepting"
        assert wait_until(lambda: failing(look(ansible, own)["health"]) == {}, 120)


def test_failed_over(ansible: Ansible) -> None:
    with FakeBitcoind() as first, FakeBitcoind() as second:
        nodes = [
            {"url": f"127.0.0.1:{node.port}", "auth": "u", "pass": "p", "notify": False} for node in (first, second)
        ]
        with RealPool(settings={"btcd": nodes}) as pool:
            assert wait_until(lambda: bool(pool.status()))
            first.state = State.REFUSE
            assert pool.wait_for_log("Failed over to bitcoind", 60)
            assert wait_until(pool.is_ready, 60)
            health = look(ansible, pool, skip_checks=["log_errors"])["health"]
            assert failing(health) == {"bitcoind": ("warning", "failed_over")}, health["wrong"]
            assert check_of(health, "bitcoind")["observed"].endswith(f"127.0.0.1:{second.port}")
            first.state, second.state = State.UP, State.REFUSE
            assert pool.wait_for_log(f"Failed over to bitcoind: 127.0.0.1:{first.port}", 60)
            assert wait_until(pool.is_ready, 60)
            health = look(ansible, pool, skip_checks=["log_errors"])["health"]
            assert failing(health) == {}, "it is back"


def test_the_first_bitcoind_is_not_there_at_the_start(ansible: Ansible) -> None:
    with FakeBitcoind() as first, FakeBitcoind() as second:
        first.state = State.REFUSE
        nodes = [
            {"url": f"127.0.0.1:{node.port}", "auth": "u", "pass": "p", "notify": False} for node in (first, second)
        ]
        with RealPool(settings={"btcd": nodes}) as pool:
            assert wait_until(lambda: bool(pool.status()))
            health = look(ansible, pool, skip_checks=["log_errors"])["health"]
            assert failing(health) == {"bitcoind": ("warning", "failed_over")}, health["wrong"]
            assert check_of(health, "bitcoind")["observed"] == f"127.0.0.1:{second.port}"


def test_shut_down(own: RealPool, ansible: Ansible) -> None:
    assert own.ask("listener", "shutdown").text == "exiting"
    assert wait_until(own.gone)
    health = look(ansible, own)["health"]
    assert health["state"] == "down"
    assert failing(health)["process"] == ("critical", "no_process")
    assert set(check_of(health, "leftovers")["observed"]) == {"listener", "stratifier", "connector", "generator"}


def test_killed(own: RealPool, ansible: Ansible) -> None:
    assert wait_until(lambda: bool(own.status()))
    own.kill()
    assert wait_until(own.gone)
    health = look(ansible, own, log_dir=str(own.log_dir))
    assert health["health"]["state"] == "down"
    assert failing(health["health"])["process"] == ("critical", "pid_dead")
    assert "main.pid" in check_of(health["health"], "leftovers")["observed"]
    assert health["log_tail"]
    stats = ansible.module("ckpool_stats", socket_dir=str(own.socket_dir), log_dir=str(own.log_dir))
    assert (stats["instance"]["state"], stats["source"], stats["stats"]["users"]) == ("down", "files", 0)
    failed = ansible.module("ckpool_stats", socket_dir=str(own.socket_dir), fail_when_down=True)
    assert failed["failed"]


def test_stopped(own: RealPool, ansible: Ansible) -> None:
    assert wait_until(lambda: bool(own.status()))
    own.kill(signal.SIGSTOP)
    result = look(ansible, own)
    assert states(ansible, own) == ["hung", "hung", "hung"]
    own.kill(signal.SIGCONT)
    assert result["health"]["state"] == "hung", result["msg"]
    assert {name for name, found in failing(result["health"]).items() if found == ("critical", "unanswered")} == {
        "socket_listener", "socket_stratifier", "socket_connector", "socket_generator",
    }  # fmt: skip
    assert wait_until(own.is_ready, 60)
    after = look(ansible, own)
    assert set(failing(after["health"])) <= {"log_errors", "threads"}
    # Some builds give up on their miners when a stop interrupts them, and go on ponging: then it must not be called healthy.
    assert serves(own) or failing(after["health"])["threads"] == ("critical", "thread_ended"), after["msg"]


def serves(pool: RealPool) -> bool:
    """Whether a miner is served."""
    with contextlib.suppress(StratumError), Miner(pool.stratum_port, "late.rig1", timeout=20):
        return True
    return False


def test_without_permission(own: RealPool, ansible: Ansible) -> None:
    where: Json = {"socket_dir": str(own.socket_dir)}
    own.socket_dir.chmod(0)
    health, forced = ansible.modules(
        [("ckpool_health_info", where), ("ckpool_stats", {**where, "source": "guide"})], prefix=without_privileges()
    )
    own.socket_dir.chmod(0o750)
    assert health["health"]["state"] == "unknown", health["msg"]
    assert check_of(health["health"], "socket_listener")["reason"] == "not_permitted"
    assert (forced["failed"], forced["phase"], forced["reason"]) == (True, "connect", "not_permitted")


def test_being_asked_does_no_harm(own: RealPool, ansible: Ansible) -> None:
    """It creates no user, open file or process."""
    with Miner(own.stratum_port, "alice.rig1"):
        assert wait_until(lambda: bool(own.status()))
        before, pid = own.counts()["users"], own.pid
        files = len(os.listdir(f"/proc/{pid}/fd"))
        where: Json = {"socket_dir": str(own.socket_dir)}
        tasks: list[Task] = [
            ("ckpool_user_info", {**where, "users": ["nobody", "alice"], "source": source}) for source in SOURCES
        ]
        tasks += [("ckpool_stats", {**where, "source": source}) for source in SOURCES]
        tasks += [("ckpool_health_info", where)] * 2
        ansible.modules(tasks)
        assert own.counts()["users"] == before
        assert (own.pid, own.processes()) == (pid, [pid])
        assert wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= files)


SOURCES = ("auto", "guide", "api", "files")


@pytest.mark.parametrize("mode", [Mode.PROXY, Mode.PASSTHROUGH, Mode.REDIRECTOR])
def test_other_modes(mode: Mode, own: RealPool, ansible: Ansible) -> None:
    with RealPool(mode, upstream=own, timeout=120) as front:
        result = look(ansible, front)
        assert (result["instance"]["mode"], result["instance"]["name"]) == (mode.name.lower(), front.name)
        assert (result["health"]["state"], result["health"]["wrong"]) == ("ok", []), result["msg"]
        # What it read at its start counts, whatever has become of its configuration.
        front.config.unlink()
        assert check_of(look(ansible, front)["health"], "upstream")["status"] == "ok"
        own.kill()
        assert wait_until(lambda: check_of(look(ansible, front)["health"], "upstream")["status"] == "warning", 120)


def test_the_playbook(ansible: Ansible, machine: Machine) -> None:
    """It asks every pool of a host, which is one of its own, lest it asks those of other tests."""
    with RealPool(name="fleet-test-pool", prefix=machine.prefix) as pool:
        assert wait_until(lambda: bool(pool.status()))
        run = ansible.playbook("ckpool.fleet.health_check", inventory={"localhost": machine.host()})
        (result,) = run.results("ckpool_health_info")
        (found,) = result["instances"]
    assert (found["health"]["state"], found["health"]["wrong"]) == ("ok", [])
    assert run.status == 0
    assert run.output.count("TASK [") == 3
    (line,) = (line.split() for line in run.output.splitlines() if f" {pool.name} " in line)
    assert line[:3] == ["localhost", pool.name, "ok"]
