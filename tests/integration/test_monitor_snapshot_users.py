# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks monitor, snapshot, top_users and user: watch pools, save their statistics, list users."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, Simulated
from tests.support.ansible import RUN_DEADLINE, Ansible, Json, Run
from tests.support.machine import Machine, fleet_of, needs_namespaces

pytestmark = needs_namespaces

MONITOR, SNAPSHOT, TOP, USER = (f"ckpool.fleet.{name}" for name in ("monitor", "snapshot", "top_users", "user"))
EVIL = "{{ 6 * 7 }}"
"""A name that a miner may choose."""
HOSTS: dict[str, list[Json]] = {
    "public": [
        {"name": "one", "layout": "2026", "user_names": [EVIL, "bc1qsecond"]},
        {"name": "two", "layout": "2025"},
    ],
    "others": [{"name": "guide", "dialect": "guide"}, {"name": "api", "dialect": "api", "hashrate": 9e15}],
    "sick": [{"name": "ckpool", "faults": ["hung"]}],
}
STAMP = r"20\d{6}_\d{6}"


@pytest.fixture(scope="module")
def pools() -> dict[str, Simulated]:
    """The pools of the fleet, by their names."""
    return {}


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path], pools: dict[str, Simulated]) -> Iterator[dict[str, Json]]:
    """The inventory: hosts with healthy and hung pools of every dialect, one without, and one that nobody can reach."""
    with fleet_of({**HOSTS, "empty": []}, place) as (inventory, made):
        pools.update(made)
        made["one"].find_block(850001, "bc1qsecond.rig0", ago=3600)
        yield inventory


def some(fleet: dict[str, Json], *hosts: str) -> dict[str, Json]:
    return {host: fleet[host] for host in hosts}


# ckpool.fleet.monitor

QUICK = {"monitor_interval": 2, "monitor_count": 2, "monitor_timeout": 5}


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
    results = {record.host: record.result for record in watched.of("ckpool_monitor")}
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
    assert "no block in the part of the log that was read" in public
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
    assert json.loads(run.output)["results"][-1] == ["others", "ok"]
    (result,) = run.results("ckpool_monitor")
    assert [pool["instance"]["name"] for pool in result["pools"]] == ["api"]


# ckpool.fleet.snapshot


@pytest.fixture(scope="module")
def saved(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> tuple[Run, Path]:
    """One run over all hosts."""
    folder = place() / "made"
    old = ("pool_stats_public_20200101_000000.json", "pool_stats_lost_20200101_000000.json", "notes.txt")
    folder.mkdir(parents=True)
    for name in old:
        (folder / name).write_text("old")
    variables = {"snapshot_dir": str(folder), "snapshot_timeout": 5, "snapshot_keep": 1, "snapshot_keep_days": 30}
    return ansible.playbook(SNAPSHOT, inventory=fleet, variables=variables), folder


@pytest.mark.every_core
def test_a_file_for_each_host(saved: tuple[Run, Path]) -> None:
    run, folder = saved
    names = {re.sub(STAMP, "TIME", path.name) for path in folder.iterdir() if not path.name.endswith("_000000.json")}
    assert names == {"notes.txt", *(f"pool_stats_{host}_TIME.json" for host in HOSTS)}
    for host, pools in HOSTS.items():
        (path,) = folder.glob(f"pool_stats_{host}_*.json")
        read = json.loads(path.read_text())
        assert read["host"] == host
        assert abs(read["taken"] - path.stat().st_mtime) < RUN_DEADLINE
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
    variables = {"top_users_count": 5, "top_users_json_file": str(path), "top_users_timeout": 5}
    run = ansible.playbook(TOP, inventory=fleet, variables=variables)
    return run, json.loads(path.read_text())


@pytest.mark.every_core
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


# One user over all pools, and --limit


@pytest.mark.every_core
def test_one_user_over_all_pools(ansible: Ansible, place: Callable[[], Path]) -> None:
    written = place()
    with Machine(place()) as first, Machine(place()) as second:
        for machine, name, names in ((first, "a", [EVIL, "x"]), (first, "b", [EVIL]), (second, "c", [EVIL, "y"])):
            Simulated(
                machine.folder / name, name=name, prefix=machine.prefix, users=len(names), user_names=names
            ).start()
        hosts = {"h1": first.host(), "h2": second.host()}
        variables = {"user_json_file": str(written), "top_users_json_file": str(written), "top_users_merge": True}
        # A miner calls itself what it likes; Ansible takes what is unsafe from a file only.
        user = {"user_name": "x"}
        runs = {
            name: ansible.playbook(playbook, *limit, inventory=hosts, variables={**variables, **more})
            for name, playbook, limit, more in (
                ("limited", USER, ("--limit", "h1"), user),
                ("unknown", USER, (), {"user_name": "nobody"}),
                ("none", USER, (), {"user_name": ""}),
                ("unasked", USER, (), {}),  # without a terminal there is no prompt
                ("merged", TOP, (), {}),
            )
        }
    report = json.loads(written.read_text())
    assert [run.status for run in runs.values()] == [0, 2, 2, 2, 0], runs["merged"].text
    (merged,) = (user for user in report["users"] if user["user"] == EVIL)
    assert {(row["host"], row["pool"]) for row in merged["pools"]} == {("h1", "a"), ("h1", "b"), ("h2", "c")}
    assert merged["hashrate1m"] == pytest.approx(sum(row["hashrate1m"] for row in merged["pools"]))
    assert len(report["users"]) == 3
    lines = lines_of(runs["merged"])
    assert lines[1][:3] == ["SUM", "3", "pools"]
    assert [line[:2] for line in lines[2:5]] == [["-", "h1"], ["-", "h1"], ["-", "h2"]]
    (said,) = (line for line in lines_of(runs["limited"]) if "--limit" in line)
    assert "not asked: 1 host by --limit (h2)" in " ".join(said)
    assert lines_of(runs["limited"])[1][:2] == ["h1", "a"]
    assert "no pool that answered knows the user nobody" in runs["unknown"].text
    for name in ("none", "unasked"):
        assert "no user is given; nothing was asked" in runs[name].text


@pytest.mark.parametrize("limit", ["lost", "sick", "sick,lost", "others"])
@pytest.mark.parametrize("playbook", [SNAPSHOT, TOP])
def test_with_a_limit(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], playbook: str, limit: str
) -> None:
    """What is within it is done; who is not is said; a host that told nothing fails it."""
    written = place()
    variables = {
        "snapshot_dir": str(written), "snapshot_timeout": 5, "top_users_timeout": 5, "top_users_json_file": str(written),
    }  # fmt: skip
    run = ansible.playbook(playbook, "--limit", limit, inventory=fleet, variables=variables)
    assert run.status == (2 if "lost" in limit else 0), run.text
    assert f"not asked: {len(fleet) - len(limit.split(','))} hosts by --limit (" in run.text
    if playbook == SNAPSHOT:
        names = [path.name.split("_")[2] for path in written.iterdir()] if written.exists() else []
        assert sorted(names) == sorted(set(limit.split(",")) - {"lost"})
    else:
        report = json.loads(written.read_text())
        assert {user["host"] for user in report["users"]} == set(limit.split(",")) - {"lost"}
        assert [entry["host"] for entry in report["missing"]] == (["lost"] if "lost" in limit else [])


@pytest.mark.parametrize("playbook", [MONITOR, SNAPSHOT, TOP])
@pytest.mark.parametrize(("limit", "hosts"), [("others", "sick"), ("all", "nosuch"), ("others,nosuch", "all")])
def test_a_limit_or_pattern_without_hosts_fails(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], playbook: str, limit: str, hosts: str
) -> None:
    patterns = {"monitor_hosts": hosts, "snapshot_hosts": hosts, "top_users_hosts": hosts}
    variables = {**QUICK, **patterns, "snapshot_dir": str(place())}
    run = ansible.playbook(playbook, "--limit", limit, inventory=some(fleet, "others", "sick"), variables=variables)
    assert run.status == 2, run.text
    assert "no host of the inventory matches nosuch" in run.text or "--limit others leaves none of" in run.text


def test_names_forge_no_output(ansible: Ansible, place: Callable[[], Path]) -> None:
    name = "x\x1b[31m\n\u202ey"
    with Machine(place()) as machine:
        pool = Simulated(
            machine.folder / "e", "-n", name, name="e", prefix=machine.prefix, users=1, user_names=["u\u202e"]
        )
        pool.start()
        for playbook in (MONITOR, SNAPSHOT, TOP, USER):
            variables = {**QUICK, "monitor_count": 1, "snapshot_dir": str(place()), "user_name": "u\u202e"}
            run = ansible.playbook(playbook, inventory={"host": machine.host()}, variables=variables)
            assert "Traceback" not in run.text
            assert {character for character in run.text if not character.isprintable()} <= {"\n"}, playbook


class Contained(Simulated):
    """A pool with a file system of its own, in which its socket directory is what that of others is called too."""

    def command(self, *more: str) -> list[str]:
        whole = super().command(*more)
        own = whole[len(self._prefix) :]
        place = f'mkdir -p {self.socket_dir.parent} && mount -t tmpfs none {self.socket_dir.parent} && exec "$@"'
        return [*self._prefix, "unshare", "-m", "sh", "-c", place, "sh", *own]


def test_two_containers_with_the_same_directory(ansible: Ansible, place: Callable[[], Path]) -> None:
    """Each is read, told and shown once, and in the table by its pid."""
    saved = place()
    with Machine(place()) as machine:
        inside = machine.folder / "inside" / "s"
        pools = [
            Contained(machine.folder / name, prefix=machine.prefix, socket_dir=inside, users=2) for name in ("a", "b")
        ]
        for pool in pools:
            pool.start()
        hosts = {"host": machine.host()}
        runs = {
            playbook: ansible.playbook(f"ckpool.fleet.{playbook}", inventory=hosts, variables=variables)
            for playbook, variables in (
                ("health_check", {}),
                ("snapshot", {"snapshot_dir": str(saved)}),
                ("top_users", {}),
                ("loglevel", {"loglevel_level": 7}),
                ("graceful_shutdown", {"graceful_shutdown_confirm": "yes"}),
            )
        }
        told = [pool.told() for pool in pools]
        for pool in pools:
            pool.stop()
    assert [run.status for run in runs.values()] == [0] * 5, [run.text for run in runs.values()]
    shown = re.findall(r"(?m)^host +ckpool pid (\d+) +ok ", runs["health_check"].output)
    assert len(set(shown)) == 2
    (path,) = saved.iterdir()
    assert {pool["instance"]["pid"] for pool in json.loads(path.read_text())["pools"]} == set(map(int, shown))
    assert {line[3] for line in lines_of(runs["top_users"])[1:]} == set(shown)
    assert told == [[("listener", "loglevel=7"), ("listener", "shutdown")]] * 2
