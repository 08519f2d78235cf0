# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide's recipes as playbooks: watch the pools, save what they tell, name the strongest users."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import needs_namespaces
from tests.integration.harness import ROOT, RUN_DEADLINE, Ansible, Json, Machine, Run, Simulated, wait_for
from tests.system.daemon import free_port

pytestmark = needs_namespaces

MONITOR, SNAPSHOT, TOP = (f"ckpool.fleet.{name}" for name in ("monitor", "snapshot", "top_users"))
EVIL = "{{ 6 * 7 }}"
"""What a miner may call itself."""
HOSTS: dict[str, list[Json]] = {
    "public": [
        {"name": "one", "layout": "2026", "user_names": [EVIL, "bc1qsecond"]},
        {"name": "two", "layout": "2025"},
    ],
    "others": [{"name": "guide", "dialect": "guide"}, {"name": "api", "dialect": "api", "hashrate": 9e15}],
    "sick": [{"name": "ckpool", "faults": ["hung"]}],
}
BLOCK = ("Possible block solve diff 5.5 !", "BLOCK ACCEPTED!", "Solved and confirmed block 850001 by bc1qsecond.rig0")
STAMP = r"20\d{6}_\d{6}"


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    """The inventory: hosts with well and hung pools of every dialect, one without, and one that nobody can reach."""
    with contextlib.ExitStack() as stack:
        inventory: dict[str, Json] = {}
        for host, pools in {**HOSTS, "empty": []}.items():
            machine = stack.enter_context(Machine(place()))
            for pool in pools:
                made = Simulated(machine.folder / pool["name"], machine=machine, **{"users": 2, **pool}).start()
                if pool["name"] == "one":
                    with (made.log_dir / "one.log").open("a") as log:
                        stamp = time.strftime("[%Y-%m-%d %H:%M:%S.000]", time.localtime(time.time() - 3600))
                        log.writelines(f"{stamp} {line}\n" for line in BLOCK)
            inventory[host] = machine.host()
        lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": free_port()}
        yield {**inventory, "lost": {**lost, "ansible_ssh_retries": 0}}


def some(fleet: dict[str, Json], *hosts: str) -> dict[str, Json]:
    return {host: fleet[host] for host in hosts}


# ckpool.fleet.monitor

QUICK = {"monitor_interval": 2, "monitor_count": 2, "monitor_timeout": 0.7}


@pytest.fixture(scope="module")
def watched(ansible: Ansible, fleet: dict[str, Json]) -> Run:
    """All hosts, for two rounds."""
    return ansible.playbook(MONITOR, "--forks", "9", inventory=fleet, variables=QUICK)


def block_of(run: Run, host: str, number: int) -> str:
    """What was shown of a host in one round."""
    (_before, text) = run.output.split(f"\n{host}, round {number} of 2, ")
    return re.split(r"\n\w+, round \d of \d|\nok: |\nTASK |\nPLAY ", text)[0]


def test_it_ends_by_its_count_and_whatever_was_found_is_no_failure(watched: Run) -> None:
    assert watched.status == 0, watched.text
    assert "Traceback" not in watched.text
    assert "\x1b[H" not in watched.output
    results = {record.host: record.result for record in watched.records}
    assert set(results) == {*HOSTS, "empty", "lost"}
    assert not any(result["changed"] for result in results.values())
    states = {host: [(pool.get("instance") or {}).get("state") for pool in results[host]["pools"]] for host in results}
    assert states == {"public": ["ok"] * 2, "others": ["ok"] * 2, "sick": ["hung"], "empty": [None], "lost": [None]}


@pytest.mark.parametrize("number", [1, 2])
def test_each_round_shows_every_pool(watched: Run, number: int) -> None:
    public = block_of(watched, "public", number)
    assert re.search(r"\none \(/\S+\) is ok: .*[TP]H/s \(1m\).*users 2, workers 4", public)
    assert re.search(r"\ntwo \(/\S+\) is ok: ", public)
    assert EVIL in public
    assert re.search(r"1 h ago +850001 +accepted +bc1qsecond\.rig0", public)
    assert "no block in reach of the log" in public
    others = block_of(watched, "others", number)
    assert "statistics by guide" in others
    assert "statistics by api" in others
    assert others.count("TOP USERS") == 2
    assert re.search(r"\nckpool \(/\S+\) is hung: ", block_of(watched, "sick", number))
    assert "pool is failed: " in block_of(watched, "empty", number)
    assert "no ckpool runs here" in block_of(watched, "empty", number)
    assert "pool is unreachable: " in block_of(watched, "lost", number)


def test_too_few_forks_are_said(ansible: Ansible, fleet: dict[str, Json]) -> None:
    hosts = {f"lost{number}": fleet["lost"] for number in range(3)}
    run = ansible.playbook(MONITOR, "--forks", "2", inventory=hosts, variables={**QUICK, "monitor_count": 1})
    assert run.status == 0
    assert " ".join(run.text.split()).count("only 2 of 3 hosts are watched at a time; give --forks 3") == 1


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"monitor_interval": 1}, "interval must be from 2 to 3600, not 1"),
        ({"monitor_count": 0}, "count must be from 1 to 17280, not 0"),
        ({"monitor_timeout": 0}, "timeout must be from 0.01 to 600"),
    ],
)
def test_a_wrong_variable_is_an_error(ansible: Ansible, fleet: dict[str, Json], variables: Json, text: str) -> None:
    run = ansible.playbook(MONITOR, "--check", inventory=some(fleet, "sick"), variables={**QUICK, **variables})
    assert run.status == 2
    assert text in run.text
    assert "Traceback" not in run.text


def test_a_program_gets_no_screen(ansible: Ansible, fleet: dict[str, Json]) -> None:
    environment = {"ANSIBLE_STDOUT_CALLBACK": "json"}
    variables = {**QUICK, "monitor_count": 1, "monitor_name": "api"}
    run = ansible.playbook(MONITOR, inventory=some(fleet, "others"), variables=variables, environment=environment)
    assert json.loads(run.output) == {"results": [["others", "ok"]]}
    (result,) = run.results("ckpool_monitor")
    assert [pool["instance"]["name"] for pool in result["pools"]] == ["api"]


class Screen:
    """A playbook on a terminal of its own."""

    def __init__(self, ansible: Ansible, folder: Path, inventory: dict[str, Json], variables: Json) -> None:
        folder.mkdir()
        hosts = folder / "inventory.json"
        hosts.write_text(json.dumps({"all": {"hosts": inventory}}))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(hosts), MONITOR, "-e", json.dumps(variables)]
        self._terminal, inner = pty.openpty()
        os.set_blocking(self._terminal, False)
        log = {"ANSIBLE_LOG_PATH": str(folder / "log"), "TERM": "xterm"}
        self.log = folder / "log"
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=ansible.environment(folder / "record", log), stdin=inner, stdout=inner, stderr=inner,
            start_new_session=True,
        )  # fmt: skip
        os.close(inner)
        self._shown = b""

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_args: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._terminal)

    def shown(self) -> str:
        """All that was written to it so far."""
        with contextlib.suppress(BlockingIOError, OSError):  # nothing more now, nothing more ever
            while more := os.read(self._terminal, 65536):
                self._shown += more
        return self._shown.decode(errors="replace")

    def end(self) -> int:
        """Wait for its end, reading on; the exit status."""
        wait_for(lambda: (self.shown(), self.process.poll())[1] is not None, "the end", RUN_DEADLINE)
        self.shown()
        return self.process.returncode


def test_a_terminal_is_redrawn(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    with Screen(ansible, place(), some(fleet, "public"), QUICK) as screen:
        assert screen.end() == 0
        text = screen.shown()
        assert text.count("\x1b[H\x1b[J") == 2
        assert [number for number in (1, 2) if f"\x1b[H\x1b[Jpublic, round {number} of 2, " in text] == [1, 2]
        assert text.rstrip().rpartition("\x1b[H\x1b[J")[2].count("PLAY RECAP") == 1
        assert "round 1 of 2" not in screen.log.read_text()


@pytest.mark.parametrize("host", ["public", "sick"])
def test_ctrl_c_ends_it_at_once(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], host: str) -> None:
    """In a pause, and in a call that takes as long as a pool that does not answer."""
    variables = {"monitor_interval": 60, "monitor_count": 100, "monitor_timeout": 0.7 if host == "public" else 30}
    with Screen(ansible, place(), some(fleet, host), variables) as screen:
        if host == "public":
            wait_for(lambda: "round 1 of 100" in screen.shown(), "the first round")
        else:
            wait_for(lambda: "PLAY [" in screen.shown(), "the play")
            time.sleep(2)  # and the call
        began = time.monotonic()
        os.killpg(screen.process.pid, signal.SIGINT)  # as a terminal does it
        assert screen.end() == 99
        assert time.monotonic() - began < 3
        assert "Traceback" not in screen.shown()


# ckpool.fleet.snapshot


@pytest.fixture(scope="module")
def saved(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> tuple[Run, Path]:
    """One run over all hosts."""
    folder = place() / "made"
    old = ("pool_stats_public_20200101_000000.json", "pool_stats_lost_20200101_000000.json", "notes.txt")
    folder.mkdir(parents=True)
    for name in old:
        (folder / name).write_text("old")
    variables = {"snapshot_dir": str(folder), "snapshot_timeout": 0.7, "snapshot_keep": 1, "snapshot_keep_days": 30}
    return ansible.playbook(SNAPSHOT, inventory=fleet, variables=variables), folder


def test_a_file_for_each_host(saved: tuple[Run, Path]) -> None:
    run, folder = saved
    names = {re.sub(STAMP, "TIME", path.name) for path in folder.iterdir() if not path.name.endswith("_000000.json")}
    assert names == {"notes.txt", *(f"pool_stats_{host}_TIME.json" for host in HOSTS)}
    for host, pools in HOSTS.items():
        (path,) = folder.glob(f"pool_stats_{host}_*.json")
        read = json.loads(path.read_text())
        assert read["host"] == host
        assert abs(read["taken"] - path.stat().st_mtime) < 5
        assert {pool["instance"]["name"] for pool in read["pools"]} == {pool["name"] for pool in pools}
        for pool in read["pools"]:
            assert pool["stats"]["hashrate1m"] == pool["summary"]["hashrate1m"] > 1e14
            assert pool["instance"]["state"] == ("hung" if host == "sick" else "ok")
            assert not {"invocation", "pools_at", "changed", "failed"} & set(pool)
    assert "Traceback" not in run.text


def test_those_that_told_nothing_are_named(saved: tuple[Run, Path]) -> None:
    run, folder = saved
    assert run.status == 2
    (result,) = run.results("ckpool_snapshot")
    assert sorted(entry["host"] for entry in result["missing"]) == ["empty", "lost"]
    assert result["msg"].startswith(f"3 files written to {folder}, 1 file removed; ")
    assert "lost: unreachable: " in run.output
    assert "no ckpool runs here" in run.output


def test_only_who_told_loses_old_files(saved: tuple[Run, Path]) -> None:
    run, folder = saved
    (result,) = run.results("ckpool_snapshot")
    assert result["removed"] == [str(folder / "pool_stats_public_20200101_000000.json")]
    assert (folder / "pool_stats_lost_20200101_000000.json").exists()
    assert not (folder / "pool_stats_public_20200101_000000.json").exists()


def test_well_hosts_in_check_mode_and_for_good(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]
) -> None:
    hosts = {"../a b": fleet["others"], "public": fleet["public"]}
    folder = place()
    folder.mkdir()
    # A relative folder is one of the directory that the playbook is run from.
    variables = {"snapshot_dir": os.path.relpath(folder / "deep" / "s", ROOT)}
    predicted = ansible.playbook(SNAPSHOT, "--check", inventory=hosts, variables=variables)
    assert predicted.status == 0, predicted.text
    assert len(re.findall(f"/s/pool_stats_.*_{STAMP}.json would be written", predicted.output)) == 2
    assert list(folder.iterdir()) == []
    done = ansible.playbook(SNAPSHOT, inventory=hosts, variables=variables)
    assert done.status == 0, done.text
    names = sorted(re.sub(STAMP, "TIME", path.name) for path in (folder / "deep" / "s").iterdir())
    assert names == ["pool_stats_..%2Fa%20b_TIME.json", "pool_stats_public_TIME.json"]


@pytest.mark.parametrize("variables", [{"snapshot_keep": 0}, {"snapshot_keep_days": -1}])
def test_a_wrong_retention_is_an_error(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], variables: Json
) -> None:
    folder = place()
    run = ansible.playbook(
        SNAPSHOT, inventory=some(fleet, "public"), variables={"snapshot_dir": str(folder), **variables}
    )
    assert run.status == 2
    assert f"{next(iter(variables)).removeprefix('snapshot_')} must be" in run.text
    assert not folder.exists()


# ckpool.fleet.top_users


def lines_of(run: Run) -> list[list[str]]:
    """The table, in words."""
    message = next(record.result["msg"] for record in run.of("debug"))
    assert isinstance(message, list)
    return [line.split() for line in message]


@pytest.fixture(scope="module")
def ranked(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> tuple[Run, Json]:
    """One run over all hosts, with its JSON."""
    path = place()
    variables = {"top_users_count": 5, "top_users_json_file": str(path), "top_users_timeout": 0.7}
    run = ansible.playbook(TOP, inventory=fleet, variables=variables)
    return run, json.loads(path.read_text())


def test_the_strongest_of_the_fleet(ranked: tuple[Run, Json]) -> None:
    run, report = ranked
    users = report["users"]
    assert len(users) == 5
    assert [user["hashrate1m"] for user in users] == sorted((user["hashrate1m"] for user in users), reverse=True)
    assert {(user["host"], user["pool"], user["state"]) for user in users[:2]} == {("others", "api", "ok")}
    assert report["by"] == "hashrate1m"
    assert abs(report["generated"] - time.time()) < RUN_DEADLINE
    table = lines_of(run)
    assert table[0] == ["HOST", "POOL", "STATE", "1M", "5M", "1HR", "1D", "SHARES", "BEST", "SHARE", "USER"]
    assert [line[:3] for line in table[1:]] == [[user["host"], user["pool"], user["state"]] for user in users]
    assert "Traceback" not in run.text


def test_what_told_no_users_is_named(ranked: tuple[Run, Json]) -> None:
    run, report = ranked
    assert run.status == 2
    assert sorted(entry["host"] for entry in report["missing"]) == ["empty", "lost"]
    (failure,) = run.results("fail")
    assert "pool on lost: " in failure["msg"]
    assert "pool on empty: " in failure["msg"]


def test_a_name_is_no_template(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    path = place()
    variables = {"top_users_by": "shares", "top_users_json_file": str(path)}
    run = ansible.playbook(TOP, inventory=some(fleet, "public"), variables=variables)
    assert run.status == 0, run.text
    assert EVIL in {user["user"] for user in json.loads(path.read_text())["users"]}
    assert any(" ".join(line).endswith(EVIL) for line in lines_of(run))
    assert len(lines_of(run)) == 1 + 4
    assert not any(line[-1] == "42" for line in lines_of(run))


def test_check_mode_shows_the_table(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    path = place()
    run = ansible.playbook(
        TOP,
        "--check",
        inventory=some(fleet, "others"),
        variables={"top_users_count": 1, "top_users_json_file": str(path)},
    )
    assert run.status == 0, run.text
    assert len(lines_of(run)) == 2
    assert not path.exists()


@pytest.mark.parametrize("variables", [{"top_users_count": 0}, {"top_users_count": "all"}, {"top_users_by": "user"}])
def test_a_wrong_choice_is_an_error(ansible: Ansible, fleet: dict[str, Json], variables: Json) -> None:
    run = ansible.playbook(TOP, inventory=some(fleet, "public"), variables=variables)
    assert run.status == 2
    assert f"{next(iter(variables))} must be" in run.text
    assert not run.of("ckpool_info")
