# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulated instance under control: drop, reconnect, reject, shutdown, restart, and the faults of these."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import pytest

from tests.support import DEADLINE, ROOT, SIMULATOR, SOCKETS, Outcome, Simulated, wait_for

Simulate = Callable[..., Simulated]
SHORT = 0.3
NEVER = 600  #: seconds, which no test takes
#: The program as a busy host runs it: its threads go on only after a while.
BUSY = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("simulated", sys.argv.pop(1))
simulated = sys.modules["simulated"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(simulated)

def late(owner, name, seconds):
    function = getattr(owner, name)
    def called(*arguments):
        time.sleep(seconds)
        return function(*arguments)
    setattr(owner, name, called)

late(simulated.Miners, "pass_time", 0.01)
late(simulated.Endpoint, "deliver", 0.5)
simulated.main(sys.argv[1:])
"""


def lines(pool: Simulated, start: str) -> list[str]:
    return [line[26:] for line in pool.log().splitlines() if line[26:].startswith(start)]


def connected(pool: Simulated) -> tuple[int, int]:
    """How many clients the connector counts, and how many the stratifier."""
    counts = [pool.ask(name, "stats").value["clients"]["count"] for name in ("connector", "stratifier")]
    return counts[0], counts[1]


def dropped(pool: Simulated) -> list[int]:
    """The ids in the log's lines about dropped clients."""
    return [int(line.split()[2]) for line in lines(pool, "Dropped client")]


def pid_in_file(pool: Simulated) -> int | None:
    try:
        return int((pool.socket_dir / "main.pid").read_text())
    except (OSError, ValueError):
        return None


def serves(pool: Simulated) -> bool:
    return pool.ask("stratifier", "ping", SHORT).text == "pong"


def refuses(pool: Simulated, name: str) -> bool:
    return pool.ask(name, "ping", SHORT).outcome is Outcome.REFUSED


def restarted(pool: Simulated, before: int) -> None:
    """Wait for the next process: once its stratifier answers, all its sockets do."""
    wait_for(lambda: pid_in_file(pool) not in (None, before), "another pid")
    wait_for(lambda: serves(pool), "an answer")


# Clients


def test_connector_closes_at_once(simulate: Simulate) -> None:
    pool = simulate(reconnect_after=NEVER)
    assert pool.ask("connector", "dropclient=2").outcome is Outcome.CLOSED
    assert connected(pool) == (5, 5)
    (line,) = lines(pool, "Dropped client")
    assert re.fullmatch(r"Dropped client 2 127\.0\.0\.2 user (\w+) worker \1\.rig1 ", line)
    assert pool.ask("connector", "dropclient=99").outcome is Outcome.CLOSED
    assert pool.ask("connector", "dropclient").outcome is Outcome.CLOSED
    assert connected(pool) == (5, 5)
    assert dropped(pool) == [2]


def test_stratifier_leaves_the_connection_until_the_miner_speaks(simulate: Simulate) -> None:
    pool = simulate(share_interval=NEVER)
    assert pool.ask("stratifier", "dropclient=2").outcome is Outcome.CLOSED
    assert connected(pool) == (6, 5)
    assert dropped(pool) == [2]


def test_the_miner_speaks_and_returns(simulate: Simulate) -> None:
    pool = simulate(share_interval=1, reconnect_after=NEVER)
    began = time.monotonic()
    pool.ask("stratifier", "dropclient=2")
    wait_for(lambda: connected(pool) == (5, 5), "the end of the connection")
    assert time.monotonic() - began >= 1
    pool.change(share_interval=0, reconnect_after=1)
    began = time.monotonic()
    pool.ask("stratifier", "dropclient=3")
    wait_for(lambda: connected(pool) == (5, 5) and lines(pool, "Authorised client 7 "), "the return")
    assert time.monotonic() - began >= 1
    assert len(lines(pool, "Authorised client 7 ")) == 1
    assert dropped(pool) == [2, 3]


def test_who_says_nothing_stays_connected(simulate: Simulate) -> None:
    pool = simulate(share_interval=0, idle=2, stubborn=1, reconnect_after=NEVER)
    for client in (4, 5, 6):
        pool.ask("stratifier", f"dropclient={client}")
    wait_for(lambda: connected(pool) == (5, 3), "the end of the one that speaks")
    time.sleep(0.3)
    assert connected(pool) == (5, 3)
    pool.ask("connector", "dropclient=6")
    assert connected(pool) == (4, 3)
    assert dropped(pool) == [4, 5, 6]


def test_one_client_is_told_to_reconnect(simulate: Simulate) -> None:
    pool = simulate(stubborn=1, reconnect_after=NEVER)
    pool.ask("stratifier", "reconnclient=6")
    pool.ask("stratifier", "reconnclient=2")
    pool.ask("stratifier", "reconnclient=77")
    wait_for(lambda: connected(pool) == (5, 5), "the leaving")
    assert dropped(pool) == [2]
    pool.change(reconnect_after=0.1)
    pool.ask("stratifier", "reconnclient=3")
    wait_for(lambda: lines(pool, "Authorised client 7 "), "the return")
    assert connected(pool) == (5, 5)
    assert dropped(pool) == [2, 3]


def test_dropall_drops_the_stubborn_too(simulate: Simulate) -> None:
    pool = simulate(stubborn=2, reconnect_after=NEVER)
    pool.ask("stratifier", "dropall")
    assert connected(pool) == (0, 0)
    pool.ask("stratifier", "dropall")
    assert lines(pool, "Dropped") == ["Dropped 6 instances for dropall request"]


def test_reconnect_and_back(simulate: Simulate) -> None:
    pool = simulate(reconnect_after=0.1, lazy_drop_after=NEVER)
    assert pool.ask("listener", "reconnect").text == "reconnecting"
    wait_for(lambda: connected(pool) == (6, 12), "the return, and those that are still counted")
    assert dropped(pool) == []
    pool.change(lazy_drop_after=1)
    assert pool.ask("listener", "reconnect").text == "reconnecting"
    wait_for(lambda: dropped(pool) == list(range(1, 13)), "the end of the old clients")
    wait_for(lambda: connected(pool) == (6, 6), "the return")
    assert all(line.endswith(" lazily") for line in lines(pool, "Dropped"))
    assert lines(pool, "Listener received") == 2 * ["Listener received request to send reconnect to clients"]


def test_those_who_left_are_still_counted(simulate: Simulate) -> None:
    pool = simulate(reconnect_after=NEVER, lazy_drop_after=NEVER)
    assert pool.ask("listener", "reconnect").text == "reconnecting"
    wait_for(lambda: connected(pool)[0] == 0, "the leaving")
    assert connected(pool) == (0, 6)
    assert dropped(pool) == []


def test_the_stubborn_stay_until_they_are_dropped(simulate: Simulate) -> None:
    pool = simulate(stubborn=2, reconnect_after=NEVER, lazy_drop_after=NEVER)
    pool.change(stubborn=1)
    pool.ask("listener", "reconnect:127.0.0.1,3333")
    wait_for(lambda: connected(pool) == (1, 6), "the leaving")
    pool.ask("connector", "dropclient=6")
    assert connected(pool) == (0, 6)
    assert dropped(pool) == []


def test_sent_elsewhere_for_good(simulate: Simulate) -> None:
    pool = simulate(reconnect_after=0, lazy_drop_after=0.5, stubborn=1)
    pool.ask("listener", "reconnect:127.0.0.1,3333")
    wait_for(lambda: connected(pool) == (1, 0), "the leaving")
    time.sleep(0.3)
    assert connected(pool) == (1, 0)
    pool.ask("connector", "dropclient=6")
    wait_for(lambda: connected(pool) == (1, 1), "the return of who has ignored it")


def test_reject_keeps_miners_from_coming_and_from_being_seen_to_go(simulate: Simulate) -> None:
    pool = simulate(reconnect_after=0.1, lazy_drop_after=NEVER)
    assert pool.ask("listener", "reject").text == "rejecting"
    pool.ask("connector", "dropclient=1")
    pool.ask("listener", "reconnect:127.0.0.1,3333")
    time.sleep(1)
    assert connected(pool) == (5, 5)
    assert pool.ask("listener", "accept").text == "accepting"
    wait_for(lambda: connected(pool) == (1, 6), "one who comes, five who have left")


def test_who_is_connected_is_what_the_stratifier_says(simulate: Simulate) -> None:
    pool = simulate(dialect="api", users=2, share_interval=NEVER)
    pool.ask("stratifier", "dropclient=2")
    clients = pool.ask("stratifier", "clients").value["clients"]
    assert [client["id"] for client in clients] == [1, 3, 4]
    user = clients[0]["workername"].partition(".")[0]
    assert pool.ask("stratifier", f'userclients={{"user": "{user}"}}').value["clients"] == [1]


def test_dropuser_closes_each_connection_once(simulate: Simulate) -> None:
    pool = simulate(dialect="guide", users=2, reconnect_after=0.1, lazy_drop_after=NEVER)
    user = pool.ask("stratifier", "users").value["users"][0]["user"]
    pool.ask("listener", "reconnect")
    wait_for(lambda: pool.ask("connector", "stats").value["clients"]["generated"] == 8, "the return")
    pool.ask("stratifier", "dropuser=" + user)  # whose old clients are still counted
    assert dropped(pool) == [5, 6]
    wait_for(lambda: pool.ask("connector", "stats").value["clients"]["generated"] == 10, "the return")
    time.sleep(0.3)
    assert pool.ask("connector", "stats").value["clients"]["count"] == 4


def test_no_authorised_lines_below_notice(simulate: Simulate) -> None:
    pool = simulate("-l", "4", reconnect_after=0.1)
    assert connected(pool) == (6, 6)
    assert lines(pool, "Authorised") == []
    pool.ask("listener", "loglevel=5")
    pool.ask("connector", "dropclient=3")
    wait_for(lambda: lines(pool, "Authorised client 7 "), "the return")
    assert (len(lines(pool, "Authorised")), dropped(pool)) == (1, [3])


# Shutdown


def test_lingers(simulate: Simulate) -> None:
    pool = simulate(faults=["lingers"])
    assert pool.ask("listener", "shutdown").text == "exiting"
    time.sleep(0.5)
    assert pool.pids
    assert pid_in_file(pool) in pool.pids
    assert pool.ask("stratifier", "ping", SHORT).outcome is Outcome.SILENT
    os.kill(pool.pid, signal.SIGTERM)
    wait_for(lambda: not pool.pids, "the end")
    assert (pool.socket_dir / "main.pid").exists()


def test_lingers_for_a_while(simulate: Simulate) -> None:
    pool = simulate()
    pool.change(faults=[{"fault": "lingers", "seconds": 1}])
    began = time.monotonic()
    assert pool.ask("listener", "shutdown").text == "exiting"
    wait_for(lambda: not pool.pids, "the end")
    assert time.monotonic() - began >= 1
    assert sorted(os.listdir(pool.socket_dir)) == sorted(SOCKETS)


def test_ignores_term(simulate: Simulate) -> None:
    pool = simulate(faults=["ignores_term", "lingers"])
    os.kill(pool.pid, signal.SIGTERM)
    time.sleep(SHORT)
    assert pool.ask("listener", "shutdown").text == "exiting"
    os.kill(pool.pid, signal.SIGTERM)
    time.sleep(SHORT)
    assert pool.pids
    os.kill(pool.pid, signal.SIGKILL)
    wait_for(lambda: not pool.pids, "the end")


def test_ignores_term_no_more(simulate: Simulate) -> None:
    pool = simulate(faults=["ignores_term"])
    pool.change(faults=[])
    os.kill(pool.pid, signal.SIGTERM)
    wait_for(lambda: not pool.pids, "the end")


def test_dies_on_shutdown(simulate: Simulate) -> None:
    pool = simulate(faults=["dies_on_shutdown"])
    assert pool.ask("listener", "shutdown").text == "exiting"
    wait_for(lambda: not pool.pids, "the end")
    assert sorted(os.listdir(pool.socket_dir)) == sorted((*SOCKETS, "main.pid"))
    wait_for(lambda: refuses(pool, "listener"), "nobody listening")  # the kernel goes on clearing away


# Restart


class PidFile:
    """main.pid as it is now. A link keeps it, so that no other file can be mistaken for it."""

    def __init__(self, pool: Simulated) -> None:
        self._path, self._kept = pool.socket_dir / "main.pid", pool.folder / "main.pid.kept"
        os.link(self._path, self._kept)

    def is_made_anew(self) -> bool:
        """Whether it was gone since then, for however short a time, and is there again."""
        return self._path.exists() and not self._kept.samefile(self._path)


def test_restart(simulate: Simulate) -> None:
    pool = simulate("-l", "6", uptime=86400, reconnect_after=0.5)
    before, command = pool.pid, Path(f"/proc/{pool.pid}/cmdline").read_bytes()
    file = PidFile(pool)
    pool.ask("listener", "loglevel=3")
    assert pool.ask("listener", "restart").text == "restarting"
    restarted(pool, before)
    assert file.is_made_anew()
    assert Path(f"/proc/{pool.pid}/cmdline").read_bytes() == command + b"-H\0"
    wait_for(lambda: pool.pids == [pool.pid], "the old process going")
    assert "Listener received restart message, attempting handover" not in pool.log()  # at level 3
    wait_for(lambda: connected(pool) == (6, 6), "the miners being back")
    assert [int(line.split()[2]) for line in lines(pool, "Authorised")] == 2 * [1, 2, 3, 4, 5, 6]
    stamps = [line[1:24] for line in pool.log().splitlines()]
    assert stamps == sorted(stamps)
    assert pool.ask("stratifier", "stats").value["workbases"]["generated"] < 1000


def test_restart_again(simulate: Simulate) -> None:
    pool = simulate(reconnect_after=0.1)
    for turn in (1, 2):
        before = pool.pid
        assert pool.ask("listener", "restart").text == "restarting"
        restarted(pool, before)
        assert len(lines(pool, "Listener received restart message, attempting handover")) == turn
        assert Path(f"/proc/{pool.pid}/cmdline").read_bytes().split(b"\0").count(b"-H") == 1
        wait_for(lambda: connected(pool) == (6, 6), "the miners being back")


def test_restart_fails(simulate: Simulate) -> None:
    pool = simulate(faults=["restart_fails"])
    before = pool.pid
    assert pool.ask("listener", "restart").text == "restarting"
    wait_for(lambda: before not in pool.pids, "the old process going")
    (copy,) = pool.pids
    assert pid_in_file(pool) is None
    assert [name for name in SOCKETS if refuses(pool, name)] == ["stratifier", "connector", "generator"]
    assert pool.ask("listener", "ping", SHORT).outcome is Outcome.SILENT
    os.kill(copy, signal.SIGTERM)
    wait_for(lambda: not pool.pids, "the end of the copy")
    wait_for(lambda: refuses(pool, "listener"), "nobody listening")  # the kernel goes on clearing away
    pool.start()
    assert pool.ask("stratifier", "ping").text == "pong"


def test_restart_old(simulate: Simulate) -> None:
    pool = simulate(faults=["restart_old"])
    before, file = pool.pid, PidFile(pool)
    assert pool.ask("listener", "restart").text == "restarting"
    wait_for(file.is_made_anew, "main.pid being gone and back")
    wait_for(lambda: pid_in_file(pool) == before, "the same process in it")
    wait_for(lambda: serves(pool), "an answer")
    assert pool.pids == [before]
    assert connected(pool) == (6, 6)
    pool.change(faults=[])
    pool.ask("listener", "restart")
    restarted(pool, before)


@pytest.mark.parametrize(("options", "back"), [({}, 0), ({"count": 2}, 4), ({"count": 99}, 0)])
def test_strands_clients(options: dict[str, int], back: int, simulate: Simulate) -> None:
    pool = simulate(faults=[{"fault": "strands_clients", **options}], reconnect_after=0.1)
    assert connected(pool) == (6, 6)
    before = pool.pid
    pool.ask("listener", "restart")
    restarted(pool, before)
    wait_for(lambda: connected(pool) == (back, back), "those who come back")
    time.sleep(0.5)
    assert connected(pool) == (back, back)


def test_slow_restart(simulate: Simulate) -> None:
    pool = simulate(faults=[{"fault": "slow_restart", "seconds": 4}])
    before = pool.pid
    began = time.monotonic()
    pool.ask("listener", "restart")
    wait_for(lambda: pid_in_file(pool) is None, "main.pid being gone")
    assert pool.pids == [before]
    assert pool.ask("listener", "ping", SHORT).outcome is Outcome.SILENT
    restarted(pool, before)
    assert time.monotonic() - began >= 4


def test_slow_restart_ends_with_sigterm(simulate: Simulate) -> None:
    pool = simulate(faults=[{"fault": "slow_restart", "seconds": NEVER}])
    before = pool.pid
    pool.ask("listener", "restart")
    wait_for(lambda: pid_in_file(pool) is None, "main.pid being gone")
    os.kill(before, signal.SIGTERM)
    wait_for(lambda: not pool.pids, "the end")
    assert sorted(os.listdir(pool.socket_dir)) == sorted(SOCKETS)


def test_on_a_busy_host(simulate: Simulate) -> None:
    """Its last reply arrives there too, and its log has its lines in order."""
    pool = simulate(start=False, reconnect_after=0, update_interval=0.1)
    pool.folder.mkdir()
    pool.write()
    command = [sys.executable, "-c", BUSY, str(SIMULATOR), *pool.command("-D")[2:]]
    subprocess.run(command, cwd=pool.folder, check=True, timeout=2 * DEADLINE)
    for client in range(1, 10):
        pool.ask("connector", f"dropclient={client}")
        back = f"Authorised client {client + 6} "
        wait_for(lambda back=back: lines(pool, back), "a miner being back")  # type: ignore[misc]
    stamps = [line[1:24] for line in pool.log().splitlines()]
    assert stamps == sorted(stamps)
    assert pool.ask("listener", "shutdown").text == "exiting"


def test_the_guide_s_pool_process_is_the_listener(simulate: Simulate) -> None:
    pool = simulate(dialect="guide")
    assert pool.ask("stratifier", "loglevel=9").text == "Invalid"
    assert pool.ask("stratifier", "loglevel=4").text == "success"
    assert pool.ask("pool", "summary").value["workers"] == 6
    before = pool.pid
    assert pool.ask("pool", "restart").text == "restarting"
    restarted(pool, before)
    assert pool.ask("pool", "shutdown").text == "exiting"
    wait_for(lambda: not pool.pids, "the end")


def test_every_fault_is_documented() -> None:
    yaml = pytest.importorskip("yaml")
    role = ROOT / "roles" / "simulated_pool"
    script = (role / "files" / "simulated_ckpool.py").read_text()
    (known,) = re.findall(r"^FAULTS = \((.*?)^\)", script, re.DOTALL | re.MULTILINE)
    faults = re.findall(r'"(\w+)"', known)
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    options = specs["simulated_pool_instances"]["options"]["faults"]["options"]
    assert options["fault"]["choices"] == faults
    assert re.findall(r"^\| `(\w+)` \|", (role / "README.md").read_text(), re.MULTILINE) == faults
