# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every control module on a real daemon with real miners, judged by what the miners see."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import DEADLINE, SOCKETS, free_port, is_alive, wait_for, wait_until
from tests.support.ansible import RUN_DEADLINE, Ansible, Json, local
from tests.support.target import needs_real
from tests.system.daemon import ENVIRONMENT, RealPool
from tests.system.miner import CONNECTED, DISCONNECTED, Miner
from tests.system.shares import Shares, cheapest

pytestmark = [pytest.mark.real, needs_real]

MANY = 20
JOB = "mining.notify"
SENT_AWAY = "client.reconnect"
STATS_LINE = "Stratifier stats: {"
STATS_DEBUG = "Stratifier received stats request"
UNREAD = 4.0  # seconds; of the wait that the daemon is in, up to one second, one message still comes through
NO_CONNECTOR = "the connector of the new process never answers, by a race of the daemon's own"


def told(name: str, pool: RealPool, *, is_check: bool = False, **options: Any) -> Json:
    """A task for one pool, whose failure is a result too."""
    waits = {"poll": 1.0, "progress": False} if name in ("shutdown", "restart", "wait") else {}
    where = {"socket_dir": str(pool.socket_dir), "timeout": 10.0}
    task = {f"ckpool.fleet.ckpool_{name}": {**where, **waits, **options}, "ignore_errors": True}
    return {**task, "check_mode": True} if is_check else task


def play(ansible: Ansible, *tasks: Json, hosts: Mapping[str, Json] | None = None) -> list[Json]:
    """The results of all tasks, in their order."""
    plays = [{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]
    run = ansible.playbook(plays, "-f", "10", inventory=hosts)
    assert len(run.records) == len(tasks) * len(hosts or "1"), run.text
    assert "Traceback" not in run.text
    for record in run.records:
        assert "exception" not in record.result, record
        if record.action.startswith("ckpool.fleet."):
            print(f"{record.action} {record.outcome}: {record.result['msg']} {record.result.get('phases', '')}")
    return [{**record.result, "failed": record.outcome == "failed"} for record in run.records]


@contextlib.contextmanager
def crowd(pool: RealPool, workers: Sequence[str], **options: Any) -> Iterator[list[Miner]]:
    """Miners with these names, all authorised and with a job."""
    with contextlib.ExitStack() as stack:
        miners = [stack.enter_context(Miner(pool.stratum_port, worker, **options)) for worker in workers]
        for miner in miners:
            miner.wait_for_job()
        yield miners


def many(prefix: str = "alice") -> list[str]:
    return [f"{prefix}.rig{number}" for number in range(MANY)]


def get_work(pool: RealPool, miners: Sequence[Miner], seconds: float = DEADLINE) -> None:
    """Raise unless each of them is served: it gets the work of a new block."""
    before = [len(miner.seen(JOB)) for miner in miners]
    pool.bitcoind.new_block()
    for miner, count in zip(miners, before, strict=True):
        miner.wait_for(JOB, count=count + 1, seconds=seconds)


def counts_of(miners: Sequence[Miner], kind: str) -> set[int]:
    """How often they saw something."""
    return {len(miner.seen(kind)) for miner in miners}


def clients_of(pool: RealPool) -> int:
    return int(pool.counts("connector")["clients"]["count"])


def pongs(pool: RealPool) -> list[str]:
    return [name for name in SOCKETS if pool.ask(name, "ping").text == "pong"]


def ids_of(pool: RealPool, worker: str) -> list[int]:
    """The ids under which a worker was authorised, from the log."""
    lines = [line for line in pool.log().splitlines() if f" worker {worker} as user " in line]
    return [int(line.partition("Authorised client ")[2].split()[0]) for line in lines]


def phases(result: Json) -> list[str]:
    return [phase["name"] for phase in result["phases"]]


@pytest.fixture
def own() -> Iterator[RealPool]:
    """A daemon for one test alone."""
    with RealPool() as running:
        yield running


@pytest.fixture
def spare() -> Iterator[RealPool]:
    """Another, for miners to go to."""
    with RealPool(name="spare") as running:
        yield running


class Cues:
    """A play that runs beside the test, and at some places says so or waits for a word."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def say(self, word: str) -> Json:
        """A task that says so."""
        return {"ansible.builtin.file": {"path": str(self._folder / word), "state": "touch"}}

    def hear(self, word: str) -> None:
        """Wait until the play has said so."""
        wait_for((self._folder / word).exists, f"the play saying {word}", RUN_DEADLINE)


class Lateness:
    """By how many seconds this process was late at most, as it had no processor. Its miners note no event meanwhile."""

    def __init__(self) -> None:
        self.most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(0.05):
            now = time.monotonic()
            self.most, before = max(self.most, now - before - 0.05), now


def later(work: Callable[[], Any]) -> concurrent.futures.Future[Any]:
    """Do something in a thread; the future that is returned has its result or its exception."""
    executor = concurrent.futures.ThreadPoolExecutor(1)
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future


def test_log_level(own: RealPool, ansible: Ansible) -> None:
    """Proven by what the daemon writes, since it cannot be asked."""
    size: Json = {"ansible.builtin.stat": {"path": str(own.log_file), "get_checksum": False}}
    look = told("step", own)  # which asks the stratifier for its stats: a line of level 5
    levels = [("7", True), ("err", False), ("3", False), ("notice", False), ("debug", False)]
    tasks = [
        t for level, check in levels for t in (told("loglevel", own, level=level, is_check=check), size, look, size)
    ]
    results = play(ansible, *tasks, told("loglevel", own, level=5))
    checked, err, again, notice, debug = results[:-1:4]
    assert [found["changed"] for found in (checked, err, again, notice, debug)] == [True, True, False, True, True]
    assert (checked["reply"], checked["level"], checked["previous"], checked["previous_known"]) == (None, 7, 5, False)
    assert [found["reply"] for found in (err, again, notice, debug)] == ["success"] * 4
    assert (err["previous"], err["previous_known"], again["previous"], again["previous_known"]) == (5, False, 3, True)
    sizes = [found["stat"]["size"] for found in results[1::2][: 2 * len(levels)]]
    log = own.log_file.read_bytes().decode()
    written = [log[start:end] for start, end in zip(sizes[::2], sizes[1::2], strict=True)]
    assert [STATS_LINE in text for text in written] == [True, False, False, True, True]
    assert [STATS_DEBUG in text for text in written] == [False, False, False, False, True]


def test_drop(own: RealPool, ansible: Ansible) -> None:
    """The wanted ones, at once, and nobody else."""
    cut_off = ("alice.rig1", "alice.rig2", "carol.rig1", "dave.rig2")
    untouched = ("carol.rig2", "dave.rig1", *many("erin"))
    returns = ("bob.rig1", "bob.rig2")
    with crowd(own, cut_off) as gone, crowd(own, untouched) as kept, crowd(own, returns, follow_reconnect=True) as bob:
        users, known = own.counts()["users"]["count"], ids_of(own, "dave.rig2")
        assert clients_of(own) == 8 + MANY
        results = play(
            ansible,
            told("dropuser", own, users=["alice"], is_check=True),
            told("dropuser", own, users=["alice"], watch=15),
            told("dropuser", own, users=["alice"], watch=1),
            told("dropuser", own, users=["bob"]),
            told("dropuser", own, users=["nobody", "erin.rig1", "eri"], watch=0),
            told("dropuser", own, workers=["carol.rig1"], watch=0),
            told("dropuser", own, client_ids=known, watch=0),
        )
        checked, first, second, returning, unknown, by_worker, by_id = results
        assert [found["failed"] for found in results] == [False] * 7
        assert [found["changed"] for found in results] == [True, True, False, True, False, True, True]
        assert own.counts()["users"]["count"] == users == 5
        for miner in gone:
            miner.wait_for(DISCONNECTED)
        assert counts_of([*gone, *kept, *bob], SENT_AWAY) == {0}
        assert (counts_of(gone, CONNECTED), counts_of(kept, DISCONNECTED)) == ({1}, {0})
        assert (counts_of(bob, CONNECTED), counts_of(bob, DISCONNECTED)) == ({2}, {1})
        get_work(own, [*kept, *bob])
        assert clients_of(own) == len(kept) + len(bob)
        seconds = [miner.seen(DISCONNECTED)[0].when for miner in gone[:2]]
        assert max(seconds) - min(seconds) < 15, "both, and then it watches"
    assert checked["users"] == first["users"] == [{"user": "alice", "connected": 2, "dropped": 2, "returned": 0}]
    assert sorted(found["worker"] for found in first["dropped"]) == ["alice.rig1", "alice.rig2"]
    assert second["users"] == [{"user": "alice", "connected": 0, "dropped": 0, "returned": 0}]
    assert returning["users"] == [{"user": "bob", "connected": 2, "dropped": 2, "returned": 2}]
    old, new = ([found["client_id"] for found in returning[key]] for key in ("dropped", "returned"))
    assert sorted(old) + sorted(new) == sorted([*ids_of(own, "bob.rig1"), *ids_of(own, "bob.rig2")])
    assert unknown["dropped"] == []
    assert [found["worker"] for found in by_worker["dropped"]] == ["carol.rig1"]
    assert [(found["worker"], found["client_id"]) for found in by_id["dropped"]] == [("dave.rig2", *known)]


def test_drop_with_a_log_that_hides_or_moves(own: RealPool, ansible: Ansible) -> None:
    """Who connects is in the log alone: not at level 4, and in the old file once that is renamed."""
    with crowd(own, ["alice.rig1", "zoe.rig1"]) as (alice, zoe):
        play(ansible, told("loglevel", own, level=4))
        with crowd(own, ["bob.rig1"]) as (bob,):
            assert ids_of(own, "bob.rig1") == []
            next_id = ids_of(own, "zoe.rig1")[0] + 1  # which must be his
            own.log_file.rename(own.log_file.with_name(own.log_file.name + ".1"))
            hidden, renamed = play(
                ansible,
                told("dropuser", own, users=["bob"], watch=0),
                told("dropuser", own, users=["alice"], watch=0),
            )
            assert (hidden["failed"], hidden["reason"], hidden["phase"]) == (True, "clients_unknown", "ask")
            assert (list(hidden["unknown"]), hidden["changed"], hidden["dropped"]) == (["bob"], False, [])
            assert (renamed["failed"], renamed["changed"], len(renamed["dropped"])) == (False, True, 1)
            alice.wait_for(DISCONNECTED)
            get_work(own, [bob, zoe])
            (by_id,) = play(ansible, told("dropuser", own, client_ids=[next_id], watch=0))
            bob.wait_for(DISCONNECTED)
            assert (by_id["failed"], by_id["changed"]) == (False, True)
        get_work(own, [zoe])


def test_ten_drops_at_once(own: RealPool, ansible: Ansible) -> None:
    """They neither hurt the daemon nor hinder each other."""
    users = [f"user{number}" for number in range(10)]
    hosts = {user: local(who=user) for user in users}
    with crowd(own, [f"{user}.rig{number}" for user in users for number in (1, 2)]) as miners, crowd(
        own, ["z"]
    ) as rest:
        files, pid = len(os.listdir(f"/proc/{own.pid}/fd")) - len(miners), own.pid
        results = play(ansible, told("dropuser", own, users=["{{ who }}"], watch=0), hosts=hosts)
        assert [(found["failed"], len(found["dropped"])) for found in results] == [(False, 2)] * 10
        for miner in miners:
            miner.wait_for(DISCONNECTED)
        get_work(own, rest)
        assert (own.pid, own.processes(), pongs(own)) == (pid, [pid], list(SOCKETS))
        assert wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= files)


def test_clients(spare: RealPool, ansible: Ansible) -> None:
    """Sent elsewhere, cut off, kept waiting."""
    there, way = f"127.0.0.1:{spare.stratum_port}", cheapest()
    with RealPool(settings=way.settings) as pool:
        shares = Shares(way, pool)
        with crowd(pool, many(), follow_reconnect=True) as miners:
            redirected, again = play(
                ansible,
                told("clients", pool, state="redirected", redirect_to=there, wait=60),
                told("clients", pool, state="redirected", redirect_to=there, wait=60),
            )
            for miner in miners:
                assert [event.data[:2] for event in miner.seen(SENT_AWAY)] == [there.split(":")]
                miner.wait_for(CONNECTED, count=2)
            get_work(spare, miners)
            assert (clients_of(pool), clients_of(spare)) == (0, MANY)
            assert (redirected["changed"], redirected["clients_before"], redirected["clients_after"]) == (True, MANY, 0)
            assert (again["changed"], again["reply"]) == (False, None)
        with crowd(pool, ["bob.rig1", "bob.rig2", "carol.rig1"]) as miners:
            play(ansible, told("clients", pool, state="rejecting"))
            time.sleep(UNREAD)
            share = later(lambda: (shares.submit(miners[0]), time.time()))
            time.sleep(1.5)
            assert (share.done(), miners[0].accepted, miners[0].rejected) == (False, 0, 0)
            told_to_accept = time.time()
            accepting, dropped, second = play(
                ansible,
                told("clients", pool, state="accepting"),
                told("clients", pool, state="dropped", wait=60),
                told("clients", pool, state="dropped", wait=60),
            )
            reason, answered = share.result(DEADLINE)
            assert answered > told_to_accept
            assert (reason == "", miners[0].accepted) == (way.is_accepted, int(way.is_accepted))
            assert (accepting["changed"], accepting["previous"], accepting["previous_known"]) == (
                True,
                "rejecting",
                True,
            )
            assert (dropped["changed"], dropped["clients_before"], dropped["clients_after"]) == (True, 3, 0)
            assert second["changed"] is False
            for miner in miners:
                miner.wait_for(DISCONNECTED)
            assert counts_of(miners, SENT_AWAY) == {0}


def test_shutdown(own: RealPool, spare: RealPool, ansible: Ansible) -> None:
    """With a drain nobody is lost; without one all are cut off."""
    pid, there = own.pid, f"127.0.0.1:{spare.stratum_port}"
    with crowd(own, many(), follow_reconnect=True) as miners:
        options: Json = {"redirect_to": there, "remove_leftovers": True}
        checked, drained, again, arrived, down, second = play(
            ansible,
            told("shutdown", own, **options, is_check=True),
            told("shutdown", own, **options),
            told("shutdown", own, **options),
            told("wait", spare, clients_min=MANY, stable_for=1, wait_timeout=120),
            told("shutdown", spare),
            told("shutdown", spare),
        )
        for miner in miners:
            miner.wait_for(DISCONNECTED, count=2)
            assert [event.data[:2] for event in miner.seen(SENT_AWAY)] == [there.split(":")]
            assert [e.kind for e in miner.events if e.kind in (CONNECTED, DISCONNECTED)] == [
                CONNECTED,
                DISCONNECTED,
            ] * 2
            assert len(miner.seen(JOB)) >= 2
            assert miner.seen(JOB)[-1].when > miner.seen(CONNECTED)[1].when
    found = (checked, drained, again, arrived, down, second)
    assert [result["failed"] for result in found] == [False] * 6
    assert [result["changed"] for result in found] == [True, True, False, False, True, False]
    assert (drained["sent_away"], sorted(drained["removed"])) == (MANY, sorted(SOCKETS))
    assert phases(drained) == ["verify", "drain", "shutdown", "clean"]
    assert (drained["pid_before"], drained["pid_after"], is_alive(pid or 0)) == (pid, None, False)
    assert list(own.socket_dir.iterdir()) == []
    assert arrived["clients"] == MANY
    assert (down["removed"], spare.pid, spare.gone()) == ([], None, True)
    assert sorted(path.name for path in spare.socket_dir.iterdir()) == sorted(SOCKETS)


def test_shutdown_of_a_hung_pool(own: RealPool, ansible: Ansible) -> None:
    with crowd(own, ["alice.rig1"]) as miners:
        own.kill(signal.SIGSTOP)
        refused, forced = play(
            ansible,
            told("shutdown", own, timeout=1),
            told("shutdown", own, timeout=1, force_after=1, kill_after=1),
        )
        miners[0].wait_for(DISCONNECTED)
    assert (refused["failed"], refused["phase"], refused["reason"], refused["changed"]) == (
        True,
        "verify",
        "hung",
        False,
    )
    assert "force_after" in refused["msg"]
    assert (forced["failed"], forced["changed"], forced["forced"]) == (False, True, "kill")
    assert phases(forced) == ["verify", "terminate", "kill"]
    assert own.gone()


def test_shutdown_of_a_pool_that_dies_while_it_drains(own: RealPool, ansible: Ansible) -> None:
    with crowd(own, ["alice.rig1", "bob.rig1"], heed_reconnect=False) as miners:

        def murder() -> None:
            miners[0].wait_for(SENT_AWAY, seconds=RUN_DEADLINE)
            time.sleep(0.5)
            own.kill()

        murderer = later(murder)
        (result,) = play(
            ansible,
            told("shutdown", own, redirect_to=f"127.0.0.1:{free_port()}", redirect_check=False, drain_timeout=120),
        )
        murderer.result(DEADLINE)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "drain", "ended")
    assert result["state"] == "down"
    assert phases(result) == ["verify", "drain"]


@pytest.mark.parametrize("way", ["auto", "dropall"])
def test_restart(own: RealPool, ansible: Ansible, way: str) -> None:
    """A new process, and all the miners, those who ignore that they shall reconnect among them; twice in a row."""
    with contextlib.ExitStack() as stack:
        late = stack.enter_context(Lateness())
        heedless = stack.enter_context(crowd(own, many("bob")[:4], follow_reconnect=True, heed_reconnect=False))
        miners = heedless + stack.enter_context(crowd(own, many()[4:], follow_reconnect=True))
        for turn in (1, 2):
            pid = own.pid
            checked, result, after, look = play(
                ansible,
                told("restart", own, sever=way, is_check=True),
                told("restart", own, sever=way, clients_percent=100, clients_timeout=60, restart_timeout=60),
                told("wait", own, clients_min=MANY, clients_max=MANY, stable_for=1, wait_timeout=60),
                told("step", own, wants=["connections"]),
            )
            if result.get("reason") == "not_answering" and not own.has_connector():
                pytest.skip(NO_CONNECTOR)
            assert (checked["failed"], checked["changed"], checked["pid_after"]) == (False, True, pid)
            assert (result["failed"], result["changed"], result["clients_before"], result["clients_after"]) == (
                False, True, MANY, MANY,
            )  # fmt: skip
            assert phases(result) == ["verify", "handover", "ready", "clients"]
            assert (result["pid_before"], result["pid_after"]) == (pid, own.pid)
            assert own.pid != pid
            assert own.processes() == [own.pid]
            assert not after["failed"]
            assert (
                result["sever"] == checked["sever"] == ("dropall" if way == "dropall" else look["connections"]["sever"])
            )
            assert (result["stranded_before"], result["stranded_after"]) == (0, 0)
            assert result["severed"] >= (len(heedless) if way == "auto" else 0)
            assert (look["connections"]["held"], look["connections"]["stranded"]) == (MANY, 0)
            get_work(own, miners)
            gaps = [max(gap_of(miner, turn), 0.0) for miner in miners]
            # None of them was away for longer than was said; the two clocks are looked at every 50 ms, or when we are awake.
            assert result["longest_gap"] is not None and max(gaps) <= result["longest_gap"] + 0.5 + late.most, gaps
            assert clients_of(own) == MANY


def gap_of(miner: Miner, turn: int) -> float:
    """Seconds for which a miner was without a connection, when that was cut for the last time in a turn."""
    ends, begins = miner.seen(DISCONNECTED), miner.seen(CONNECTED)
    assert len(begins) == len(ends) + 1 and len(ends) >= turn
    return begins[-1].when - ends[-1].when


def test_those_whom_a_restart_by_hand_strands_are_seen_and_freed(own: RealPool, ansible: Ansible) -> None:
    with crowd(own, many()[:6], follow_reconnect=True, heed_reconnect=False) as miners:
        own.ask("listener", "restart")
        pid = own.pid
        assert wait_until(lambda: own.pid not in (None, pid) and own.is_ready(), 60)
        if not wait_until(own.has_connector, 15):
            pytest.skip(NO_CONNECTOR)
        health, seen = play(ansible, told("health_info", own), told("step", own, wants=["connections"]))
        assert seen["connections"]["stranded"] == 6
        checks = {check["name"]: check for check in health["health"]["checks"]}
        assert (checks["stranded"]["status"], checks["stranded"]["observed"]) == ("warning", 6)
        (severed,) = play(
            ansible,
            told("step", own, step="sever", **{key: seen["process"][key] for key in ("pid", "started")}),
        )
        assert severed["severed"] == 6
        assert wait_until(lambda: clients_of(own) == 6)
        get_work(own, miners)


def test_a_pool_that_is_stopped_while_it_drains_is_forced(own: RealPool, ansible: Ansible) -> None:
    with crowd(own, ["alice.rig1", "bob.rig1"], heed_reconnect=False) as miners:

        def stop() -> None:
            miners[0].wait_for(SENT_AWAY, seconds=RUN_DEADLINE)
            own.kill(signal.SIGSTOP)

        stopper = later(stop)
        options: Json = {
            "redirect_to": f"127.0.0.1:{free_port()}",
            "redirect_check": False,
            "drain_timeout": 120,
            "force_after": 1,
            "kill_after": 1,
        }
        (result,) = play(ansible, told("shutdown", own, **options))
        stopper.result(DEADLINE)
    assert (result["failed"], result["forced"]) == (False, "kill")
    assert phases(result) == ["verify", "drain", "terminate", "kill"]
    assert own.gone()


def test_rejecting_ends_by_itself(own: RealPool, ansible: Ansible) -> None:
    with crowd(own, ["alice.rig1"], timeout=120.0) as (alice,):
        rejecting, look = play(ansible, told("clients", own, state="rejecting", accept_after="40s"), told("step", own))
        assert look["left_rejecting"]["by"] == "ckpool_clients"
        assert look["left_rejecting"]["accepts_at"] == rejecting["accepts_at"]
        time.sleep(UNREAD)
        share = later(alice.submit_garbage)
        share.result(120)
        assert time.time() >= rejecting["accepts_at"]
        (look,) = play(ansible, told("step", own))
        assert look["left_rejecting"] is None


def test_restart_that_cannot_be(ansible: Ansible, place: Callable[[], Path]) -> None:
    """Without a program or a configuration nothing is sent; with force, the old process goes on."""
    program = place()
    shutil.copy(os.environ[ENVIRONMENT], program)
    with RealPool(binary=str(program)) as pool, crowd(pool, many(), follow_reconnect=True) as miners:
        pid, config = pool.pid, pool.config.read_text()
        pool.config.write_text("{ this is no JSON")
        (bad_config,) = play(ansible, told("restart", pool))
        pool.config.write_text(config)
        program.unlink()
        (no_program,) = play(ansible, told("restart", pool))
        for result, reason in ((bad_config, "bad_config"), (no_program, "no_executable")):
            assert (result["failed"], result["changed"], result["phase"], result["reason"]) == (
                True, False, "verify", reason,
            )  # fmt: skip
        assert (counts_of(miners, SENT_AWAY), counts_of(miners, DISCONNECTED)) == ({0}, {0})
        assert (pool.pid, pool.processes()) == (pid, [pid])
        (forced,) = play(ansible, told("restart", pool, force=True, restart_timeout=3))
        assert 3 <= forced["phases"][-1]["seconds"] < 120
        assert (forced["failed"], forced["phase"], forced["reason"]) == (True, "handover", "no_new_process")
        assert pool.pid == forced["pid_after"] == pid
        assert pongs(pool) == list(SOCKETS)
        assert wait_until(lambda: clients_of(pool) == MANY)
        get_work(pool, miners)
        # A copy stays beside it, which shares its listener and takes orders in its place.
        (copy,) = set(pool.processes()) - {pid}
        assert f"End pid {copy}" in forced["hint"]


def test_wait(own: RealPool, spare: RealPool, ansible: Ansible, place: Callable[[], Path]) -> None:
    """Each condition comes true while it is waited for."""
    cues = Cues(place())
    own.kill()
    assert wait_until(own.gone)
    run = later(
        lambda: play(
            ansible,
            told("wait", own, is_check=True),
            cues.say("launch"),
            told("wait", own, wait_timeout=300),
            told("wait", own, clients_min=1, wait_timeout=1),
            cues.say("connect"),
            told("wait", own, clients_min=MANY, stable_for=2, wait_timeout=300),
            cues.say("send away"),
            told("wait", own, state="drained", wait_timeout=300),
            cues.say("kill"),
            told("wait", own, state="down", wait_timeout=300),
        )
    )
    cues.hear("launch")
    own.launch()
    while not own.has_connector():  # and the wait goes on
        own.kill()
        assert wait_until(own.gone)
        own.launch()
    cues.hear("connect")
    with crowd(own, many(), follow_reconnect=True) as miners:
        cues.hear("send away")
        time.sleep(0.5)
        own.ask("listener", f"reconnect:127.0.0.1,{spare.stratum_port}")
        cues.hear("kill")
        get_work(spare, miners)
    own.kill()
    results = [result for result in run.result(RUN_DEADLINE) if "met" in result]
    early, ready, too_few, enough, drained, down = results
    assert [result["changed"] for result in results] == [False] * 6
    assert [result["failed"] for result in results] == [False, False, True, False, False, False]
    assert [result["met"] for result in results] == [False, True, False, True, True, True]
    assert (early["conditions"][0]["observed"], ready["conditions"][0]["observed"]) == ("down", "ready")
    assert ready["pid_after"] is not None
    assert ready["pid_after"] == drained["pid_after"]
    assert down["pid_after"] is None
    assert (too_few["reason"], too_few["phase"], too_few["clients"]) == ("not_reached", "wait", 0)
    assert (enough["clients"], drained["clients"], down["clients"]) == (MANY, 0, None)
    assert enough["waited"] >= 2
