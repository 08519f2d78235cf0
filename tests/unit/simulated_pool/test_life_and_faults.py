# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Life, faults, files and dialects of the simulated instance."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.support import SAMPLES, SOCKETS, Outcome, Simulated, wait_for
from tests.support.processes import STARTER_LOCK

Simulate = Callable[..., Simulated]
BUILDS = {"2017": "ckpool-0.9.4-2017", "2025": "elopool-0.9.9-2025", "2026": "ckpool-lhr-1.0.0-2026"}
SHORT = 0.3


def status(pool: Simulated) -> list[dict[str, Any]]:
    """The objects of pool.status."""
    return [json.loads(line) for line in (pool.log_dir / "pool" / "pool.status").read_text().splitlines()]


def shape(value: Any) -> Any:
    """The keys, in order, down to the leaves; of a list, the first element's."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return None


# Life


def test_process_is_found_as_the_daemon_is(simulate: Simulate) -> None:
    pool = simulate("-P", name="a-rather-long-name")
    proc = Path("/proc") / str(pool.pid)
    assert (proc / "comm").read_text() == "a-rather-long-\n"
    words = (proc / "cmdline").read_bytes().split(b"\0")
    assert words[words.index(b"-s") + 1] == str(pool.socket_dir).encode()
    assert words[words.index(b"-c") + 1] == str(pool.config_path).encode()
    assert (pool.socket_dir / "main.pid").read_text() == str(pool.pid)
    assert stat.S_IMODE(pool.socket_dir.stat().st_mode) == 0o750
    assert {stat.S_IMODE((pool.socket_dir / name).stat().st_mode) for name in SOCKETS} == {0o770}


def test_shutdown(simulate: Simulate) -> None:
    pool = simulate()
    assert pool.ask("listener", "shutdownXYZ").text == "exiting"
    wait_for(lambda: not pool.pids, "the end")
    assert sorted(os.listdir(pool.socket_dir)) == sorted(SOCKETS)
    assert pool.ask("listener", "ping").outcome is Outcome.REFUSED


def test_sigterm_leaves_everything(simulate: Simulate) -> None:
    pool = simulate()
    pid = pool.pid
    os.kill(pid, 15)
    wait_for(lambda: not pool.pids, "the end")
    assert sorted(os.listdir(pool.socket_dir)) == sorted((*SOCKETS, "main.pid"))
    assert pool.pid == pid
    pool.start()
    assert pool.ask("stratifier", "ping").text == "pong"


def test_a_second_start_is_refused(simulate: Simulate) -> None:
    pool = simulate()
    pid = pool.pid
    done = pool.launch()
    assert done.returncode == 1
    assert str(pid) in done.stderr
    assert pool.ask("listener", "ping").text == "pong"


@pytest.mark.parametrize("what", ["serving", "lingering", "a copy"])
def test_it_ends_with_the_process_that_started_it(
    what: str, simulate: Simulate, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STARTER_LOCK, str(home / "lock"))
    with open(home / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pool = simulate(faults=["lingers", "restart_fails"])
        before = pool.pid
        if what == "lingering":
            pool.ask("listener", "shutdown")
        elif what == "a copy":
            pool.ask("listener", "restart")
            wait_for(lambda: before not in pool.pids, "the end of the first")
        assert len(pool.pids) == 1
    wait_for(lambda: not pool.pids, "its end")


def test_unusable_configuration_is_an_error(simulate: Simulate) -> None:
    pool = simulate(start=False, faults=["misspelt"])
    done = pool.launch()
    assert done.returncode == 1
    assert "misspelt" in done.stderr
    assert not pool.socket_dir.exists()


def test_numbers_may_be_texts_but_must_be_numbers(simulate: Simulate) -> None:
    pool = simulate(users="2", hashrate="2.5e15")
    assert status(pool)[0]["Users"] == 2
    assert status(pool)[1]["hashrate7d"] == "2.5P"
    pool.simulation["users"] = ["2"]
    pool.write()
    wait_for(lambda: "Configuration not taken over" in pool.log(), "the complaint")
    assert pool.ask("stratifier", "ping").text == "pong"


def test_configuration_with_a_comment_after_it(simulate: Simulate) -> None:
    pool = simulate(start=False)
    pool.folder.mkdir()
    pool.write()
    pool.config_path.write_text(pool.config_path.read_text() + "\nwhatever\n")
    assert subprocess.run(pool.command("-D"), cwd=pool.folder, check=False).returncode == 0


# Conversation


def test_listener_serves_one_at_a_time(simulate: Simulate) -> None:
    pool = simulate()
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(pool.socket_dir / "listener"))
        assert pool.ask("listener", "ping", SHORT).outcome is Outcome.SILENT
    assert pool.ask("listener", "ping").text == "pong"
    assert ("listener", None) in pool.record()


def test_commands_match_by_prefix_in_any_case(simulate: Simulate) -> None:
    pool = simulate()
    assert pool.ask("listener", "PINGabc").text == "pong"
    assert "workbases" in pool.ask("stratifier", "StatsOrSo").value


def test_asking_about_an_unknown_user_creates_it(simulate: Simulate) -> None:
    pool = simulate(users=3)
    assert pool.ask("stratifier", "stats").value["users"]["count"] == 3
    for query in ("getuser", "userclients", "ucinfo"):
        assert pool.ask("stratifier", query + '={"user":"nobody' + query + '"}').outcome is Outcome.CLOSED
    assert pool.ask("stratifier", "stats").value["users"]["count"] == 6


def test_loglevel_hides_notices(simulate: Simulate) -> None:
    pool = simulate()
    assert pool.ask("listener", "loglevel=4").text == "success"
    time.sleep(0.1)
    before = pool.log().count("Stored local workbase")
    time.sleep(0.5)
    assert pool.log().count("Stored local workbase") == before
    assert pool.ask("stratifier", "bogus").outcome is Outcome.CLOSED
    assert "Unhandled stratifier message: bogus" in pool.log()


# Dialects


def test_api_dialect(simulate: Simulate) -> None:
    pool = simulate(dialect="api", users=4, workers_per_user=2, hashrate=1e15, uptime=1000)
    users = pool.ask("stratifier", "users").value["users"]
    assert len(users) == 4
    total = sum(user["dsps1"] for user in users) * 2**32
    assert total == pytest.approx(1e15, rel=0.1)
    stats = pool.ask("stratifier", "poolstats").value
    assert stats["dsps1"] * 2**32 == pytest.approx(total, rel=0.01)
    assert (stats["workers"], stats["users"]) == (8, 4)
    assert len(pool.ask("stratifier", "workers").value["workers"]) == 8
    clients = pool.ask("stratifier", "clients").value["clients"]
    assert [client["id"] for client in clients] == list(range(1, 9))
    one = pool.ask("stratifier", "getuser=" + json.dumps({"user": users[0]["user"]})).value
    assert (one["user"], one["workers"]) == (users[0]["user"], 2)
    assert pool.ask("stratifier", "uptime").value["uptime"] >= 1000


def test_guide_dialect(simulate: Simulate) -> None:
    pool = simulate(dialect="guide", users=2, hashrate=5e12, reconnect_after=600)
    stats = pool.ask("stratifier", "stats").value
    assert stats["hashrate1m"] == pytest.approx(5000, rel=0.1)  # GH/s
    assert (stats["users"], stats["workers"]) == (2, 4)
    user = pool.ask("stratifier", "users").value["users"][0]["user"]
    assert pool.ask("stratifier", "user.info=" + user).value["user"] == user
    assert "error" in pool.ask("stratifier", "user.info=nobody").value
    assert pool.ask("stratifier", "current.workbase").value["height"] == 850001
    assert pool.ask("stratifier", '{"method":"stats","params":[]}').value["result"]["users"] == 2
    assert pool.ask("pool", "summary").value["workers"] == 4
    assert "dropped 2" in pool.ask("stratifier", "dropuser=" + user).text
    assert pool.ask("connector", "stats").value["clients"]["count"] == 2
    assert pool.ask("pool", "shutdown").text == "exiting"


# Files


@pytest.mark.parametrize("layout", sorted(BUILDS))
def test_status_files_have_the_layout_of_the_build(layout: str, simulate: Simulate) -> None:
    pool = simulate(layout=layout, uptime=86400)
    folder = SAMPLES / BUILDS[layout]
    sample = folder / ("pool.status" if layout == "2017" else "pool/pool.status")
    expected = [shape(json.loads(line)) for line in sample.read_text().splitlines()]
    if layout == "2017":  # the sample is from before the first share
        expected[2] = [(key, None) for key in ("diff", "accepted", "rejected", "bestshare")] + expected[2]
    assert [shape(line) for line in status(pool)] == expected
    kinds = ["users", "workers"] if layout == "2017" else ["users"]
    for kind in kinds:
        seen = sorted((pool.log_dir / kind).iterdir())
        example = sorted((folder / kind).iterdir())[0].read_text()
        assert {str(shape(json.loads(path.read_text()))) for path in seen} == {str(shape(json.loads(example)))}
        assert seen[0].read_text().count("\n") in (1, example.count("\n"), 27 + 12, 29 + 14)


@pytest.mark.parametrize("layout", sorted(BUILDS))
def test_log_lines_look_like_the_build_s(layout: str, simulate: Simulate) -> None:
    pool = simulate(layout=layout)
    pool.ask("stratifier", "stats")
    sample = (SAMPLES / BUILDS[layout] / "ckpool.log").read_text()
    for start in ("Authorised client", "Stored local", "Block hash changed", "Connected to bitcoind", "Pool:", "User "):
        if f"] {start}" not in sample:
            continue
        patterns = {line_pattern(line) for line in sample.splitlines() if f"] {start}" in line}
        seen = {line_pattern(line) for line in pool.log().splitlines() if f"] {start}" in line}
        assert seen
        if start != "Pool:":
            assert seen <= patterns


def line_pattern(line: str) -> str:
    """A log line without what differs from pool to pool."""
    line = re.sub(r"\b1[1-9A-HJ-NP-Za-km-z]{25,34}\b", "ADDRESS", line)
    return re.sub(r"[0-9]+(\.[0-9]+)*([eE][0-9]+)?[KMGTPE]?\b", "N", line)


def test_statistics_move_and_stay_plausible(simulate: Simulate) -> None:
    pool = simulate(status_interval=0.1, hashrate=1e14, users=3, idle=1)
    first: Any = wait_for(lambda: [found for found in [readable(pool)] if "Users" in found[0]], "a whole status")[0]
    assert (first[0]["Users"], first[0]["Workers"], first[0]["Idle"]) == (3, 6, 1)
    assert re.fullmatch(r"(9\d\.?\d?|10\d)T", first[1]["hashrate1m"])
    wait_for(lambda: readable(pool)[0]["lastupdate"] > first[0]["lastupdate"], "another status")


def readable(pool: Simulated) -> Any:
    """The status file is written in place, so a reader may find it empty."""
    try:
        return status(pool) or [{"lastupdate": 0}]
    except ValueError:
        return [{"lastupdate": 0}]


def test_dead_users_leave_only_files(simulate: Simulate) -> None:
    pool = simulate(users=2, dead_users=20)
    assert len(os.listdir(pool.log_dir / "users")) == 22
    assert status(pool)[0]["Users"] == 2


def test_passthrough_has_no_statistics(simulate: Simulate) -> None:
    pool = simulate("-P")
    assert not (pool.log_dir / "pool" / "pool.status").exists()
    assert "Stored local workbase" not in pool.log()
    assert pool.ask("stratifier", "ping").text == "pong"


# Faults


def test_bitcoind_down_silences_the_generator_only(simulate: Simulate) -> None:
    pool = simulate(faults=["bitcoind_down"])
    assert pool.ask("generator", "ping", SHORT).outcome is Outcome.SILENT
    assert pool.ask("stratifier", "ping").text == "pong"
    assert "CRITICAL: No bitcoinds active!" in pool.log()
    pool.change(faults=[])
    assert pool.ask("generator", "ping").text == "pong"


@pytest.mark.parametrize("fault", ["hung", "starting"])
def test_silence(fault: str, simulate: Simulate) -> None:
    pool = simulate(faults=[fault])
    assert pool.ask("stratifier", "ping", SHORT).outcome is Outcome.SILENT
    assert pool.ask("generator", "ping", SHORT).outcome is Outcome.SILENT
    if fault == "hung":
        assert pool.ask("listener", "ping", SHORT).outcome is Outcome.SILENT
    else:
        assert pool.ask("listener", "ping").text == "pong"
    assert ("CRITICAL: No bitcoinds active!" in pool.log()) == (fault != "hung")
    assert (pool.log_dir / "pool" / "pool.status").exists() == (fault != "starting")
    pool.change(faults=[])
    assert pool.ask("stratifier", "ping").text == "pong"
    wait_for(lambda: pool.ask("stratifier", "stats").value["workbases"]["count"], "work")


def test_stratifierstats_crashes_what_is_starting(simulate: Simulate) -> None:
    pool = simulate(faults=["starting"])
    assert pool.ask("listener", "stratifierstats").outcome is Outcome.CLOSED
    wait_for(lambda: not pool.pids, "the crash")
    assert (pool.socket_dir / "main.pid").exists()


@pytest.mark.parametrize(
    ("fault", "announced", "sent"),
    [
        ({"fault": "slow", "delay": 0.2}, 4, b"pong"),
        ({"fault": "half_reply"}, 4, b"po"),
        ({"fault": "oversized"}, 3221225472, b"pong"),
        ({"fault": "garbage"}, 4, b"\xff\xfe\x80\xc3"),
        ({"fault": "no_reply"}, 0, b""),
    ],
)
def test_bad_replies(fault: dict[str, Any], announced: int, sent: bytes, simulate: Simulate) -> None:
    pool = simulate(faults=[{**fault, "sockets": ["connector"]}])
    answer = pool.ask("connector", "ping")
    assert answer.outcome is (Outcome.REPLY if sent else Outcome.CLOSED)
    assert (answer.announced, answer.data) == (announced, sent)
    assert answer.seconds >= fault.get("delay", 0)
    assert pool.ask("stratifier", "ping").text == "pong"
    pool.change(faults=[])
    assert pool.ask("connector", "ping").text == "pong"


@pytest.mark.parametrize(("fault", "left"), [("down", set(SOCKETS)), ("refused", {*SOCKETS, "main.pid"})])
def test_not_running(fault: str, left: set[str], simulate: Simulate) -> None:
    pool = simulate(faults=[fault])
    wait_for(lambda: not pool.pids and set(os.listdir(pool.socket_dir)) == left, "the end")
    assert status(pool)[0]["Users"] == 3
    assert pool.ask("stratifier", "ping").outcome is Outcome.REFUSED


def test_no_permission(simulate: Simulate) -> None:
    pool = simulate()
    pool.change(faults=["no_permission"])
    assert stat.S_IMODE(pool.socket_dir.stat().st_mode) == 0
    pool.change(faults=[{"fault": "no_permission", "sockets": ["listener"]}])
    assert stat.S_IMODE(pool.socket_dir.stat().st_mode) == 0o750
    assert [stat.S_IMODE((pool.socket_dir / name).stat().st_mode) for name in SOCKETS] == [0, 0o770, 0o770, 0o770]


def test_listener_dead(simulate: Simulate) -> None:
    pool = simulate(faults=["listener_dead"])
    assert pool.ask("listener", "ping").outcome is Outcome.REFUSED
    assert pool.ask("connector", "ping").text == "pong"
    pool.change(faults=[])
    assert pool.ask("listener", "ping").text == "pong"


def test_stale_work(simulate: Simulate) -> None:
    pool = simulate(faults=[{"fault": "stale_work", "age": 1000}])
    before = pool.ask("stratifier", "stats").value["workbases"]["generated"]
    time.sleep(0.5)
    assert pool.ask("stratifier", "stats").value["workbases"]["generated"] == before > 0
    (line,) = (line for line in pool.log().splitlines() if "Stored local workbase" in line)
    then = time.mktime(time.strptime(line[1:20], "%Y-%m-%d %H:%M:%S"))
    assert time.time() - then == pytest.approx(1000, abs=60)
    assert status(pool)[0]["runtime"] > 1000


def test_dead_stats(simulate: Simulate) -> None:
    pool = simulate(status_interval=0.1, faults=[{"fault": "dead_stats", "age": 500}])
    path = pool.log_dir / "pool" / "pool.status"
    assert time.time() - status(pool)[0]["lastupdate"] == pytest.approx(500, abs=60)
    assert time.time() - path.stat().st_mtime == pytest.approx(500, abs=60)
    pool.change(faults=[])
    wait_for(lambda: time.time() - readable(pool)[0]["lastupdate"] < 5, "statistics")


def test_hashrate_drop_rejects_and_failover(simulate: Simulate) -> None:
    pool = simulate(dialect="api", uptime=1e5, hashrate=1e12)
    assert "Failed over" not in pool.log()
    ratio = {"fault": "rejects", "ratio": 0.25}
    pool.change(faults=[{"fault": "hashrate_drop", "factor": 0.5}, ratio, {"fault": "failover"}])
    stats = pool.ask("stratifier", "poolstats").value
    assert stats["dsps1"] / stats["dsps60"] == pytest.approx(0.5, rel=0.1)
    assert stats["rejected"] / (stats["accepted"] + stats["rejected"]) == pytest.approx(0.25, rel=0.01)
    pool.change(users=2)
    assert pool.log().count("Failed over to bitcoind: 127.0.0.1:8333") == 1


def test_bad_configuration_changes_nothing(simulate: Simulate) -> None:
    pool = simulate()
    pool.config_path.write_text("{")
    wait_for(lambda: "Configuration not taken over" in pool.log(), "the complaint")
    assert pool.ask("stratifier", "ping").text == "pong"
