# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real ckpool, started by us on loopback: does the harness work, and do the recordings still hold?

Set CKPOOL_BIN to the path of a ckpool to run these; without it they are skipped. `-m "not slow"` leaves out those that
really mine, which take minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import DEADLINE, SOCKETS, Outcome, wait_until
from tests.system.bitcoind import State
from tests.system.daemon import BTC_ADDRESS, ENVIRONMENT, Mode, PoolError, RealPool, Wait
from tests.system.miner import CONNECTED, DISCONNECTED, Miner, StratumError, mine, usable_cpus
from tests.system.scanner import Scanner
from tests.system.shares import Shares, Way, cheapest

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not os.environ.get(ENVIRONMENT),
        reason=f"{ENVIRONMENT} is not set: give it the path of a real ckpool to run the tests against it",
    ),
]

RECORDINGS = pathlib.Path(__file__).parents[1] / "unit" / "fixtures" / "recordings"
STATISTICS_SECONDS = 60
"""How often the daemon writes pool.status."""
MINING_SECONDS = 1200.0
"""How long to look for one share."""

# What the recordings hold and must not be sent to a daemon that is in use: it hangs the listener's descriptor, may
# crash the daemon, or create the user that they ask about.
HARMFUL = {
    "listener": re.compile(r"\{|stratifierstats"),
    "stratifier": re.compile(r"(getuser|userclients|ucinfo|getworker)="),
}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    """The fastest search there is here; skips where real work would take too long."""
    fastest = Scanner()
    expected = fastest.seconds_for(1, threads=usable_cpus())
    if expected > MINING_SECONDS / 4:
        pytest.skip(f"a share would take {expected:.0f} s here ({fastest.kind}, {fastest.measure():.0f} H/s)")
    return fastest


@pytest.fixture
def own_pool() -> Iterator[RealPool]:
    """A daemon for one test alone."""
    with RealPool() as running:
        yield running


@pytest.fixture(scope="module")
def pool() -> Iterator[RealPool]:
    """One daemon for all the tests that leave it as it was."""
    with RealPool() as running:
        yield running


def recorded() -> list[dict[str, Any]]:
    """Every recorded exchange with the build that CKPOOL_BIN is taken for (CKPOOL_RECORDING, a file's prefix)."""
    prefix = os.environ.get("CKPOOL_RECORDING", "elopool")
    lines = [line for path in sorted(RECORDINGS.glob(f"{prefix}*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def shape(value: object) -> object:
    """What stays the same of a reply from one daemon to the next: the keys and types of JSON, not the numbers."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    return "number" if isinstance(value, int | float) else type(value).__name__


def form(reply: str) -> object:
    """A reply without what differs between two daemons: numbers in JSON, the digits of a block hash."""
    if reply.startswith("{"):
        return shape(json.loads(reply))
    return "a hash" if re.fullmatch("[0-9a-f]{64}", reply) else reply


class TestDaemon:
    """It starts, answers, and stops."""

    def test_all_sockets_pong(self, pool: RealPool) -> None:
        assert {name: pool.ask(name, "ping").text for name in SOCKETS} == dict.fromkeys(SOCKETS, "pong")

    def test_pid_file_names_the_process(self, pool: RealPool) -> None:
        assert pool.processes() == [pool.pid]

    def test_there_is_work(self, pool: RealPool) -> None:
        assert pool.counts()["workbases"]["count"] > 0
        assert "Stored local workbase" in pool.log()

    def test_stop_leaves_nothing_behind(self) -> None:
        before = own_threads()
        with RealPool() as pool, Miner(pool.stratum_port, "alice.rig1"):
            folder, pid, port, node_port = pool.folder, pool.pid, pool.stratum_port, pool.bitcoind.port
        assert not folder.exists()
        assert not pathlib.Path(f"/proc/{pid}").exists()
        for closed in (port, node_port):
            with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", closed), timeout=2):
                pass
        assert wait_until(lambda: not own_threads() - before)

    def test_killed_daemon_leaves_stale_sockets(self) -> None:
        with RealPool() as pool:
            pool.kill()
            assert wait_until(pool.gone)
            assert {pool.ask(name, "ping").outcome for name in SOCKETS} == {Outcome.REFUSED}
            assert pool.pid is not None

    def test_restart_changes_the_pid(self) -> None:
        with RealPool() as pool:
            before = pool.pid
            assert pool.ask("listener", "restart").text == "restarting"
            assert wait_until(lambda: pool.pid not in (None, before) and pool.is_ready())
            assert wait_until(lambda: pool.processes() == [pool.pid])

    def test_a_daemon_that_cannot_start_is_explained(self) -> None:
        with pytest.raises(PoolError, match=r"exit status .*nonce1length"), RealPool(settings={"nonce1length": 1}):
            pass


class TestMiners:
    """They come, they are counted, and what they see is written down."""

    def test_several_users_and_workers(self, pool: RealPool) -> None:
        before = pool.counts()
        workers = ("alice.rig1", "alice.rig2", f"{BTC_ADDRESS}.rig1")
        with contextlib.ExitStack() as miners:
            for worker in workers:
                assert miners.enter_context(Miner(pool.stratum_port, worker)).authorised
            after = pool.counts()
        assert after["clients"]["count"] - before["clients"]["count"] == 3
        assert after["users"]["count"] - before["users"]["count"] == 2
        for worker in workers:
            assert pool.wait_for_log(f" worker {worker} as user {worker.partition('.')[0]}", DEADLINE)
        assert wait_until(lambda: pool.counts()["clients"]["count"] == before["clients"]["count"])

    def test_invalid_share_is_rejected(self, pool: RealPool) -> None:
        with Miner(pool.stratum_port, "bob.rig1") as miner:
            assert re.search("difficulty|target", miner.submit_garbage().lower())
            assert (miner.accepted, miner.rejected) == (0, 1)

    def test_a_share_that_costs_no_work(self) -> None:
        """Some builds accept one of nearly no difficulty; all of them count one that comes too late."""
        way = cheapest()
        print(f"shares of this build: {way.value}")
        for tried in dict.fromkeys((way, Way.STALE)):
            with RealPool(settings=tried.settings) as pool, Miner(pool.stratum_port, "bob.rig1") as miner:
                reason = Shares(tried, pool).submit(miner)
                assert (miner.accepted, miner.rejected) == ((1, 0) if tried.is_accepted else (0, 1)), reason
                assert tried.is_accepted or "stale" in reason.lower()
                assert pool.counts()["shares"]["count"] == int(tried.is_accepted)

    def test_new_block_is_seen(self, pool: RealPool) -> None:
        with Miner(pool.stratum_port, "carol.rig1") as miner:
            seen = len(miner.seen("mining.notify"))
            best = pool.bitcoind.new_block()
            jobs = miner.wait_for("mining.notify", count=seen + 1)
            assert any(event.data[8] for event in jobs[seen:]), "a new block must come with clean_jobs"
            assert pool.wait_for_log(f"Block hash changed to {best}", DEADLINE)

    def test_reconnect_is_seen(self, own_pool: RealPool) -> None:
        port = own_pool.stratum_port
        with Miner(port, "carol.rig1") as leaver, Miner(port, "carol.rig2", follow_reconnect=True) as follower:
            assert own_pool.ask("listener", "reconnect").text == "reconnecting"
            assert leaver.wait_for("client.reconnect")[0].data == []
            leaver.wait_for(DISCONNECTED)
            follower.wait_for(CONNECTED, count=2)
            assert wait_until(lambda: follower.authorised and follower.connected)
            # The stratifier goes on counting those it has sent away: three. Only the connector knows who is there.
            assert wait_until(lambda: own_pool.counts("connector")["clients"]["count"] == 1)

    def test_node_down_at_start(self) -> None:
        with RealPool(node_state=State.REFUSE, wait=Wait.LISTENING) as pool:
            assert pool.wait_for_log("CRITICAL: No bitcoinds active!", DEADLINE)
            patience = {"stratifier": 1.0, "generator": 1.0}
            outcomes = {name: pool.ask(name, "ping", patience.get(name, DEADLINE)).outcome for name in SOCKETS}
            assert [name for name in SOCKETS if outcomes[name] is Outcome.SILENT] == ["stratifier", "generator"]
            with pytest.raises(StratumError), Miner(pool.stratum_port, "dave.rig1", timeout=1):
                pass
            pool.bitcoind.state = State.UP
            assert wait_until(pool.is_ready)

    @pytest.mark.parametrize("state", [State.REFUSE, State.WARMUP])
    def test_node_down_at_run_time(self, state: State) -> None:
        with RealPool() as pool:
            pool.bitcoind.state = state
            assert pool.wait_for_log("CRITICAL: No bitcoinds active!", DEADLINE)
            assert pool.ask("listener", "ping").text == "pong"
            # The first to ask may be hung up on, while the generator gives up on its node; the next are left to wait.
            assert wait_until(lambda: pool.ask("generator", "ping", 1.0).outcome is Outcome.SILENT)
            assert pool.ask("stratifier", "ping").text == "pong"
            pool.bitcoind.state = State.UP
            assert wait_until(lambda: pool.ask("generator", "ping", 1.0).text == "pong")

    @pytest.mark.parametrize("mode", [Mode.PASSTHROUGH, Mode.PROXY, Mode.REDIRECTOR])
    def test_in_front_of_another_pool(self, pool: RealPool, mode: Mode) -> None:
        with RealPool(mode, upstream=pool) as front, Miner(front.stratum_port, f"{BTC_ADDRESS}.front") as miner:
            assert miner.wait_for_job().job_id
            # On a busy machine the stratifier may still wait for its generator to hear from the upstream pool.
            assert wait_until(lambda: all(front.ask(name, "ping").text == "pong" for name in SOCKETS))


class TestRecordings:
    """What was once recorded is what this daemon says today, as far as it can be asked without doing harm."""

    def test_replay(self, pool: RealPool) -> None:
        exchanges = [line for line in recorded() if not is_harmful(line)]
        if not exchanges:
            pytest.skip(f"no recordings in {RECORDINGS}")
        differ = []
        for line in exchanges:
            answer = pool.ask(line["socket"], line["send"])
            got = (answer.outcome.value, form(answer.text))
            if got != (line["outcome"], form(line.get("reply", ""))):
                differ.append((line["socket"], line["send"], got))
        assert not differ
        assert pool.ask("listener", "loglevel=5").text == "success"

    def test_asking_about_a_user_makes_one(self) -> None:
        with RealPool() as pool:
            assert pool.ask("stratifier", 'getuser={"user":"nobody"}').outcome is Outcome.CLOSED
            assert wait_until(lambda: pool.counts()["users"]["count"] == 1)


@pytest.mark.slow
class TestRealWork:
    """Shares of difficulty 1: 2^32 hashes on average, and three times that is no rarity."""

    def test_mined_share_is_accepted_and_counted(self, scanner: Scanner) -> None:
        with RealPool() as pool, Miner(pool.stratum_port, f"{BTC_ADDRESS}.rig1") as miner:
            mined = mine(miner, scanner, seconds=MINING_SECONDS)
            print(f"{mined.seconds:.0f} s at {mined.rate / 1e6:.1f} MH/s ({scanner.kind})")
            assert mined.accepted, mined.reason
            assert miner.submit_garbage()
            assert wait_until(lambda: pool.status().get("accepted", 0) >= 1, STATISTICS_SECONDS + 10)
            status = pool.status()
            assert (status["Users"], status["Workers"], status["rejected"]) == (1, 1, 1)
            user = json.loads((pool.log_dir / "users" / BTC_ADDRESS).read_text())
            assert user["shares"] == 1

    def test_mined_block_is_submitted(self, scanner: Scanner) -> None:
        with RealPool() as pool, Miner(pool.stratum_port, f"{BTC_ADDRESS}.rig1") as miner:
            pool.bitcoind.difficulty = 1
            pool.bitcoind.new_block()
            assert pool.wait_for_log("Network diff set to 1.0", DEADLINE)
            mined = mine(miner, scanner, seconds=MINING_SECONDS)
            assert mined.accepted, mined.reason
            assert pool.wait_for_log("BLOCK ACCEPTED!", DEADLINE)
            assert len(pool.bitcoind.blocks) == 1


def is_harmful(line: dict[str, Any]) -> bool:
    """Whether a recorded message must not be sent to a daemon that is in use."""
    pattern = HARMFUL.get(line["socket"])
    return bool(pattern and pattern.match(line["send"]))


def own_threads() -> set[threading.Thread]:
    """The threads of the harness that are alive now."""
    return {thread for thread in threading.enumerate() if thread.name.startswith(("fake-bitcoind", "miner", "reaper"))}
