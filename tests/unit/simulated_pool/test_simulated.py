# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the simulated instance does besides answering as recorded: life, faults, files, dialects."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import time
from pathlib import Path
from typing import Any, Callable

import pytest

Simulate = Callable[..., Any]
SAMPLES = Path(__file__).parents[1] / "fixtures" / "samples"
BUILDS = {"2017": "ckpool-0.9.4-2017", "2025": "elopool-0.9.9-2025", "2026": "ckpool-lhr-1.0.0-2026"}
SOCKETS = ("listener", "stratifier", "connector", "generator")
LEFT_OPEN = "no reply, connection left open"
CLOSED = "closed without a reply"
SHORT = 0.3


def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"in vain: {what}")


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
    assert words[words.index(b"-s") + 1] == str(pool.sockets).encode()
    assert words[words.index(b"-c") + 1] == str(pool.config_path).encode()
    assert (pool.sockets / "main.pid").read_text() == str(pool.pid)
    assert stat.S_IMODE(pool.sockets.stat().st_mode) == 0o750
    assert {stat.S_IMODE((pool.sockets / name).stat().st_mode) for name in SOCKETS} == {0o770}


def test_shutdown(simulate: Simulate) -> None:
    pool = simulate()
    began = time.monotonic()
    assert pool.ask("listener", "shutdownXYZ") == b"exiting"
    eventually(lambda: not pool.alive(), "the end")
    assert time.monotonic() - began < 1
    assert sorted(os.listdir(pool.sockets)) == sorted(SOCKETS)
    with pytest.raises(ConnectionRefusedError):
        pool.ask("listener", "ping")


def test_sigterm_leaves_everything(simulate: Simulate) -> None:
    pool = simulate()
    pid = pool.pid
    os.kill(pid, 15)
    eventually(lambda: not pool.alive(), "the end")
    assert sorted(os.listdir(pool.sockets)) == sorted((*SOCKETS, "main.pid"))
    assert pool.pid == pid
    assert pool.start().returncode == 0
    assert pool.ask("stratifier", "ping") == b"pong"


def test_a_second_start_is_refused(simulate: Simulate) -> None:
    pool = simulate()
    pid = pool.pid
    done = pool.start()
    assert done.returncode == 1
    assert str(pid) in done.stderr
    assert pool.ask("listener", "ping") == b"pong"


def test_unusable_configuration_is_an_error(simulate: Simulate) -> None:
    pool = simulate(start=False, faults=["misspelt"])
    done = pool.start()
    assert done.returncode == 1
    assert "misspelt" in done.stderr
    assert not pool.sockets.exists()


def test_numbers_may_be_texts_but_must_be_numbers(simulate: Simulate) -> None:
    pool = simulate(users="2", hashrate="2.5e15")
    assert pool.status()[0]["Users"] == 2
    assert pool.status()[1]["hashrate7d"] == "2.5P"
    pool.write(users=["2"])
    eventually(lambda: "Configuration not taken over" in pool.log(), "the complaint")
    assert pool.ask("stratifier", "ping") == b"pong"


def test_configuration_with_a_comment_after_it(simulate: Simulate) -> None:
    pool = simulate(start=False)
    pool.write()
    pool.config_path.write_text(pool.config_path.read_text() + "\nwhatever\n")
    pool.write = lambda: None
    assert pool.start().returncode == 0


# Conversation


def test_listener_serves_one_at_a_time(simulate: Simulate) -> None:
    pool = simulate()
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(pool.sockets / "listener"))
        assert pool.ask("listener", "ping", SHORT) == LEFT_OPEN
    assert pool.ask("listener", "ping") == b"pong"
    assert ("listener", None) in pool.record()


def test_commands_match_by_prefix_in_any_case(simulate: Simulate) -> None:
    pool = simulate()
    assert pool.ask("listener", "PINGabc") == b"pong"
    assert isinstance(pool.ask("stratifier", "StatsOrSo"), bytes)


def test_asking_about_an_unknown_user_creates_it(simulate: Simulate) -> None:
    pool = simulate(users=3)
    assert pool.ask_json("stratifier", "stats")["users"]["count"] == 3
    for query in ("getuser", "userclients", "ucinfo"):
        assert pool.ask("stratifier", query + '={"user":"nobody' + query + '"}') == CLOSED
    assert pool.ask_json("stratifier", "stats")["users"]["count"] == 6


def test_loglevel_hides_notices(simulate: Simulate) -> None:
    pool = simulate()
    assert pool.ask("listener", "loglevel=4") == b"success"
    time.sleep(0.1)
    before = pool.log().count("Stored local workbase")
    time.sleep(0.5)
    assert pool.log().count("Stored local workbase") == before
    assert pool.ask("stratifier", "bogus") == CLOSED
    assert "Unhandled stratifier message: bogus" in pool.log()


# Dialects


def test_api_dialect(simulate: Simulate) -> None:
    pool = simulate(dialect="api", users=4, workers_per_user=2, hashrate=1e15, uptime=1000)
    users = pool.ask_json("stratifier", "users")["users"]
    assert len(users) == 4
    total = sum(user["dsps1"] for user in users) * 2**32
    assert total == pytest.approx(1e15, rel=0.1)
    stats = pool.ask_json("stratifier", "poolstats")
    assert stats["dsps1"] * 2**32 == pytest.approx(total, rel=0.01)
    assert (stats["workers"], stats["users"]) == (8, 4)
    assert len(pool.ask_json("stratifier", "workers")["workers"]) == 8
    clients = pool.ask_json("stratifier", "clients")["clients"]
    assert [client["id"] for client in clients] == list(range(1, 9))
    one = pool.ask_json("stratifier", "getuser=" + json.dumps({"user": users[0]["user"]}))
    assert (one["user"], one["workers"]) == (users[0]["user"], 2)
    assert pool.ask_json("stratifier", "uptime")["uptime"] >= 1000


def test_guide_dialect(simulate: Simulate) -> None:
    pool = simulate(dialect="guide", users=2, hashrate=5e12)
    stats = pool.ask_json("stratifier", "stats")
    assert stats["hashrate1m"] == pytest.approx(5000, rel=0.1)  # GH/s
    assert (stats["users"], stats["workers"]) == (2, 4)
    user = pool.ask_json("stratifier", "users")["users"][0]["user"]
    assert pool.ask_json("stratifier", "user.info=" + user)["user"] == user
    assert "error" in pool.ask_json("stratifier", "user.info=nobody")
    assert pool.ask_json("stratifier", "current.workbase")["height"] == 850001
    assert pool.ask_json("stratifier", '{"method":"stats","params":[]}')["result"]["users"] == 2
    assert pool.ask_json("pool", "summary")["workers"] == 4
    assert b"dropped 2" in pool.ask("stratifier", "dropuser=" + user)
    assert pool.ask_json("connector", "stats")["clients"]["count"] == 2
    assert pool.ask("pool", "shutdown") == b"exiting"


# Files


@pytest.mark.parametrize("layout", sorted(BUILDS))
def test_status_files_have_the_layout_of_the_build(layout: str, simulate: Simulate) -> None:
    pool = simulate(layout=layout, uptime=86400)
    folder = SAMPLES / BUILDS[layout]
    sample = folder / ("pool.status" if layout == "2017" else "pool/pool.status")
    expected = [shape(json.loads(line)) for line in sample.read_text().splitlines()]
    if layout == "2017":  # the sample is from before the first share
        expected[2] = [(key, None) for key in ("diff", "accepted", "rejected", "bestshare")] + expected[2]
    assert [shape(line) for line in pool.status()] == expected
    kinds = ["users", "workers"] if layout == "2017" else ["users"]
    for kind in kinds:
        seen = sorted((pool.logs / kind).iterdir())
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
    first = pool.status()
    assert (first[0]["Users"], first[0]["Workers"], first[0]["Idle"]) == (3, 6, 1)
    assert re.fullmatch(r"(9\d\.?\d?|10\d)T", first[1]["hashrate1m"])
    eventually(lambda: readable(pool)[0]["lastupdate"] > first[0]["lastupdate"], "another status")


def readable(pool: Any) -> Any:
    """The status file is written in place: what is caught half-way is empty."""
    try:
        return pool.status() or [{"lastupdate": 0}]
    except ValueError:
        return [{"lastupdate": 0}]


def test_dead_users_leave_only_files(simulate: Simulate) -> None:
    pool = simulate(users=2, dead_users=20)
    assert len(os.listdir(pool.logs / "users")) == 22
    assert pool.status()[0]["Users"] == 2


def test_passthrough_has_no_statistics(simulate: Simulate) -> None:
    pool = simulate("-P")
    assert not (pool.logs / "pool" / "pool.status").exists()
    assert "Stored local workbase" not in pool.log()
    assert pool.ask("stratifier", "ping") == b"pong"


# Faults


def test_bitcoind_down_silences_the_generator_only(simulate: Simulate) -> None:
    pool = simulate(faults=["bitcoind_down"])
    assert pool.ask("generator", "ping", SHORT) == LEFT_OPEN
    assert pool.ask("stratifier", "ping", SHORT) == b"pong"
    assert "CRITICAL: No bitcoinds active!" in pool.log()
    pool.change(faults=[])
    assert pool.ask("generator", "ping") == b"pong"


@pytest.mark.parametrize("fault", ["hung", "starting"])
def test_silence(fault: str, simulate: Simulate) -> None:
    pool = simulate(faults=[fault])
    assert pool.ask("stratifier", "ping", SHORT) == LEFT_OPEN
    assert pool.ask("generator", "ping", SHORT) == LEFT_OPEN
    assert pool.ask("listener", "ping", SHORT) == (LEFT_OPEN if fault == "hung" else b"pong")
    assert ("CRITICAL: No bitcoinds active!" in pool.log()) == (fault != "hung")
    assert (pool.logs / "pool" / "pool.status").exists() == (fault != "starting")
    pool.change(faults=[])
    assert pool.ask("stratifier", "ping") == b"pong"
    eventually(lambda: pool.ask_json("stratifier", "stats")["workbases"]["count"], "work")


def test_stratifierstats_crashes_what_is_starting(simulate: Simulate) -> None:
    pool = simulate(faults=["starting"])
    assert pool.ask("listener", "stratifierstats", 2) == CLOSED
    eventually(lambda: not pool.alive(), "the crash")
    assert (pool.sockets / "main.pid").exists()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"fault": "slow", "delay": 0.2}, b"pong"),
        ({"fault": "half_reply"}, "4 bytes promised, 2 sent"),
        ({"fault": "oversized"}, "3221225472 bytes promised, 4 sent"),
        ({"fault": "garbage"}, b"\xff\xfe\x80\xc3"),
        ({"fault": "no_reply"}, CLOSED),
    ],
)
def test_bad_replies(fault: dict[str, Any], outcome: Any, simulate: Simulate) -> None:
    pool = simulate(faults=[{**fault, "sockets": ["connector"]}])
    began = time.monotonic()
    assert pool.ask("connector", "ping") == outcome
    assert time.monotonic() - began >= fault.get("delay", 0)
    assert pool.ask("stratifier", "ping") == b"pong"
    pool.change(faults=[])
    assert pool.ask("connector", "ping") == b"pong"


@pytest.mark.parametrize(("fault", "left"), [("down", set(SOCKETS)), ("refused", {*SOCKETS, "main.pid"})])
def test_not_running(fault: str, left: set[str], simulate: Simulate) -> None:
    pool = simulate(faults=[fault])
    eventually(lambda: not pool.alive() and set(os.listdir(pool.sockets)) == left, "the end")
    assert pool.status()[0]["Users"] == 3
    with pytest.raises(ConnectionRefusedError):
        pool.ask("stratifier", "ping")


def test_no_permission(simulate: Simulate) -> None:
    pool = simulate()
    pool.change(faults=["no_permission"])
    assert stat.S_IMODE(pool.sockets.stat().st_mode) == 0
    pool.change(faults=[{"fault": "no_permission", "sockets": ["listener"]}])
    assert stat.S_IMODE(pool.sockets.stat().st_mode) == 0o750
    assert [stat.S_IMODE((pool.sockets / name).stat().st_mode) for name in SOCKETS] == [0, 0o770, 0o770, 0o770]


def test_listener_dead(simulate: Simulate) -> None:
    pool = simulate(faults=["listener_dead"])
    with pytest.raises(ConnectionRefusedError):
        pool.ask("listener", "ping")
    assert pool.ask("connector", "ping") == b"pong"
    pool.change(faults=[])
    assert pool.ask("listener", "ping") == b"pong"


def test_stale_work(simulate: Simulate) -> None:
    pool = simulate(faults=[{"fault": "stale_work", "age": 1000}])
    before = pool.ask_json("stratifier", "stats")["workbases"]["generated"]
    time.sleep(0.5)
    assert pool.ask_json("stratifier", "stats")["workbases"]["generated"] == before > 0
    (line,) = (line for line in pool.log().splitlines() if "Stored local workbase" in line)
    then = time.mktime(time.strptime(line[1:20], "%Y-%m-%d %H:%M:%S"))
    assert time.time() - then == pytest.approx(1000, abs=10)
    assert pool.status()[0]["runtime"] > 1000


def test_dead_stats(simulate: Simulate) -> None:
    pool = simulate(status_interval=0.1, faults=[{"fault": "dead_stats", "age": 500}])
    status = pool.logs / "pool" / "pool.status"
    assert time.time() - pool.status()[0]["lastupdate"] == pytest.approx(500, abs=10)
    assert time.time() - status.stat().st_mtime == pytest.approx(500, abs=10)
    pool.change(faults=[])
    eventually(lambda: time.time() - readable(pool)[0]["lastupdate"] < 5, "statistics")


def test_hashrate_drop_rejects_and_failover(simulate: Simulate) -> None:
    pool = simulate(dialect="api", uptime=1e5, hashrate=1e12)
    assert "Failed over" not in pool.log()
    ratio = {"fault": "rejects", "ratio": 0.25}
    pool.change(faults=[{"fault": "hashrate_drop", "factor": 0.5}, ratio, {"fault": "failover"}])
    stats = pool.ask_json("stratifier", "poolstats")
    assert stats["dsps1"] / stats["dsps60"] == pytest.approx(0.5, rel=0.1)
    assert stats["rejected"] / (stats["accepted"] + stats["rejected"]) == pytest.approx(0.25, rel=0.01)
    pool.change(users=2)
    assert pool.log().count("Failed over to bitcoind: 127.0.0.1:8333") == 1


def test_bad_configuration_changes_nothing(simulate: Simulate) -> None:
    pool = simulate()
    pool.config_path.write_text("{")
    eventually(lambda: "Configuration not taken over" in pool.log(), "the complaint")
    assert pool.ask("stratifier", "ping") == b"pong"
