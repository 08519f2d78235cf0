# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgrades and rollbacks in maintenance windows, of installed pools on hosts that boot, whatever goes wrong meanwhile."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ansible import Ansible, Json
from tests.support.explained import explained
from tests.support.paths import ROOT
from tests.support.waiting import wait_for
from tests.system import hosts
from tests.system.hosts import Host, booted
from tests.system.shares import Way, cheapest_of
from tests.system.windows import (
    LONGEST,
    UNIT,
    Releases,
    Site,
    install,
    kill,
    outcome,
    partitioned,
    run_on,
    start_on,
)

pytestmark = [pytest.mark.hosts, pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not() or "never")]


@pytest.fixture(scope="module")
def sites(trees: Path, ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """Three hosts with an installed pool, of as many releases of Debian as there are."""
    folder = tmp_path_factory.mktemp("windows")
    releases = Releases(folder)
    suites = itertools.islice(itertools.cycle(hosts.SUITES), 3)
    with booted({f"up{number}": suite for number, suite in enumerate(suites)}, trees) as fleet:
        made = {name: Site(host, ansible, releases, folder) for name, host in fleet.items()}
        install(made.values())
        yield made


@pytest.fixture
def all_sites(sites: dict[str, Site]) -> list[Site]:
    """All hosts, whose pools serve when the test begins."""
    made = list(sites.values())
    for site in made:
        site.heal()
    return made


@pytest.fixture
def site(sites: dict[str, Site]) -> Site:
    """One of the hosts, whose pool serves when the test begins."""
    made = next(site for site in sites.values() if site.host.suite == hosts.ANY)
    made.heal()
    return made


ELSEWHERE: Json = {"upgrade_redirect_to": "spare.example.org:3333", "upgrade_redirect_check": False}


def test_a_handover_to_a_new_release(all_sites: list[Site]) -> None:
    before = {site: site.pid() for site in all_sites}
    releases = {site: site.releases.good() for site in all_sites}
    predicted = run_on(releases, "upgrade", "--check")
    assert predicted.status == 0, predicted.text
    assert predicted.text.count("would upgrade main (6 clients): release ") == len(all_sites), predicted.text
    assert {site: site.pid() for site in all_sites} == before and not any(site.window() for site in all_sites)

    run = run_on(releases, "upgrade")
    assert run.status == 0, run.text
    for site, release in releases.items():
        site.wanted, version = release, release["install_version"]
        assert outcome(run, site) == "done"
        assert (site.current, site.runs()) == (version, version)
        assert site.pid() != before[site] and site.state() == "ok" and not site.is_guarded()
        assert site.host.run("systemctl is-active ckpool-main").stdout.strip() == "active"
        record = site.window()
        told = record["outcome"], record["state"], record["instances"][0]["strategy"]
        assert told == ("done", "confirmed", "handover")
        (pool,) = record["report"]["pools"]
        assert [phase["name"] for phase in pool["phases"]] == ["preflight", "switch", "ready", "verify"]
        assert (pool["clients_before"], pool["clients_after"], pool["stranded_after"]) == (6, 6, 0)
        kept = json.loads((site.records / f"{site.host.name}_{record['run']}.json").read_text())
        assert (kept["outcome"], kept["report"]) == ("done", record["report"])
        assert "secret-of-bitcoind" not in run.text + json.dumps(record)

    again = run_on({site: {} for site in all_sites}, "upgrade")
    assert again.status == 0, again.text
    assert {outcome(again, site) for site in all_sites} == {"nothing_to_do"}
    assert not [one for one in again.records if one.result.get("changed")], "a second run changes nothing"


def test_stops_and_starts(all_sites: list[Site]) -> None:
    """Wanted, with miners that are sent elsewhere before, of which one ignores that, and because the unit changes."""
    wanted: list[Json] = [
        {"upgrade_strategy": "stop_start"},
        {"upgrade_strategy": "stop_start", "upgrade_drain_until": 1, **ELSEWHERE},
        {"install_open_files": 12000},
    ]
    releases = [site.releases.good() for site in all_sites]
    run = run_on({site: {**release, **more} for site, release, more in zip(all_sites, releases, wanted)}, "upgrade")
    assert run.status == 0, run.text
    pools = []
    for site, release in zip(all_sites, releases):
        site.wanted = release
        assert outcome(run, site) == "done"
        assert site.runs() == release["install_version"] and not site.is_guarded()
        pools += site.window()["report"]["pools"]
    assert [pool["strategy"] for pool in pools] == ["stop_start"] * 3
    drained = ["preflight", "drain", "switch", "ready", "verify"]
    assert [phase["name"] for phase in pools[1]["phases"]] == drained
    assert (pools[1]["sent_away"], pools[1]["before"]["sent_to"]) == (5, "spare.example.org:3333")
    (instance,) = all_sites[2].window()["instances"]
    assert "changes how it is started" in instance["why"]
    limits = all_sites[2].host.run("sudo grep 'open files' /proc/$(sudo cat /run/ckpool/main/main.pid)/limits").stdout
    assert limits.split()[3] == "12000"


@pytest.mark.wide
def test_only_a_configuration(all_sites: list[Site]) -> None:
    good, changed, bad = all_sites
    before = {site: (site.pid(), site.path("etc/ckpool/main.conf").read_bytes()) for site in all_sites}
    simulation = changed.config["simulation"]
    for site, more in ((changed, {"mindiff": 7}), (bad, {"simulation": {**simulation, "faults": ["starting"]}})):
        site.config = {**site.config, **more}
    try:
        run = run_on({site: {} for site in all_sites}, "upgrade")
    finally:
        bad.config = {**bad.config, "simulation": simulation}
    assert [outcome(run, site) for site in all_sites] == ["nothing_to_do", "done", "rolled_back"], run.text
    assert good.pid() == before[good][0]
    (instance,) = changed.window()["instances"]
    assert (instance["changes"], instance["strategy"]) == (["/etc/ckpool/main.conf: mindiff"], "handover")
    assert changed.pid() != before[changed][0]
    assert b'"mindiff": 7' in changed.path("etc/ckpool/main.conf").read_bytes()
    assert bad.path("etc/ckpool/main.conf").read_bytes() == before[bad][1]
    bad.wait_for_miners()


BAD: dict[str, Any] = {
    "hangs": lambda releases: releases.faulty("hung"),
    "loses clients": lambda releases: releases.faulty("strands_clients", count=4),
    "stopped, exits at once": lambda releases: {**releases.unrunnable("exits"), "upgrade_strategy": "stop_start"},
    "exits at once": lambda releases: releases.unrunnable("exits"),
    "never gets work": lambda releases: releases.faulty("starting"),
    "wrong checksum": lambda releases: {**releases.good(), "install_checksum": "sha256:" + "0" * 64},
    "never answers": lambda releases: releases.unrunnable("silent"),
    "stopped, hangs": lambda releases: {**releases.faulty("hung"), "upgrade_strategy": "stop_start"},
    "other architecture": lambda releases: releases.foreign(),
}


# CI tries the first three.
@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.wide) for first in (3, 6))])
def test_a_bad_release_ends_on_the_old_one(all_sites: list[Site], first: int) -> None:
    kinds = dict(zip(all_sites, list(BAD)[first : first + 3]))
    before = {site: (site.runs(), site.pid()) for site in all_sites}
    run = run_on({site: BAD[kind](site.releases) for site, kind in kinds.items()}, "upgrade")
    assert run.status == 2, run.text
    for site, kind in kinds.items():
        is_refused = kind in ("other architecture", "wrong checksum")
        assert outcome(run, site) == ("not_started" if is_refused else "rolled_back"), (kind, run.text)
        assert site.current == site.runs() == before[site][0], kind
        site.wait_for_miners()
        assert not site.is_guarded()
        if is_refused:
            assert site.pid() == before[site][1], "nothing was done to it"
            assert "The artifact is bad" in explained(run.text)
    assert "Traceback" not in run.text


def test_a_rollback_by_hand(site: Site) -> None:
    before, wanted, release = site.runs(), site.wanted, site.releases.good()
    assert outcome(site.upgrade(release)) == "done"
    predicted = site.run("rollback", "--check")
    assert predicted.status == 0 and f"release: {before} -> {release['install_version']}" in predicted.text
    assert site.runs() == release["install_version"]
    run = site.run("rollback")
    assert outcome(run) == "done", run.text
    assert site.current == site.runs() == before
    site.wanted = wanted


@pytest.mark.wide
def test_a_rollback_that_fails_says_what_to_type(site: Site, tmp_path: Path) -> None:
    spoil = tmp_path / "spoil.yml"
    spoil.write_text(
        json.dumps([{"name": "Spoil", "ansible.builtin.command": "chmod 0644 /opt/ckpool/current/ckpool"}])
    )
    before = site.current
    run = site.upgrade(site.releases.faulty("hung"), upgrade_before=[str(spoil)])
    site.host.run(f"sudo chmod 0755 /opt/ckpool/releases/{before}/ckpool")
    assert (run.status, outcome(run)) == (2, "rollback_failed"), run.text
    assert "AND THE ROLLBACK FAILED" in run.text and "systemctl restart ckpool-main.service" in run.text
    assert "It could not be switched" in explained(run.text)
    assert (site.window()["state"], site.current) == ("stuck", before)


# Interrupted, and run again


def slow(**more: Any) -> Json:
    """A run that verifies until it is cut off."""
    return {"upgrade_stable_for": 1800, "upgrade_verify_timeout": 3600, **more}


def drained(**more: Any) -> Json:
    """A run that drains until it is cut off, as one miner never leaves."""
    return slow(upgrade_strategy="stop_start", upgrade_drain_timeout=3600, **ELSEWHERE, **more)


@pytest.mark.wide
def test_a_second_run_beside_the_first(site: Site) -> None:
    release = site.releases.good()
    first, _record = site.start("upgrade", **release, **slow(), upgrade_reason="a first run")
    site.wait_for_window("switched")
    second = site.upgrade(release)
    assert (second.status, outcome(second)) == (2, "not_started"), second.text
    assert "ckpool_window -a state=broken" in second.text
    assert explained(second.text) == {"Another run holds the window"}
    assert site.window()["state"] == "switched", "the first goes on"
    kill(first)
    third = site.upgrade(release)
    assert outcome(third) == "done", third.text
    assert "goes on with what an earlier run has switched" in third.text


@pytest.mark.wide
def test_a_controller_that_is_killed_in_each_phase(all_sites: list[Site]) -> None:
    """In a drain, in a switch and on the way back. Run again, all end as they should have."""
    draining, switching, reverting = all_sites
    before = reverting.runs()
    releases = {
        draining: draining.releases.good(),
        switching: switching.releases.slow(10),
        reverting: reverting.releases.faulty("hung"),
    }
    more: dict[Site, Json] = {
        draining: drained(),
        switching: slow(),
        reverting: slow(upgrade_handover_timeout=5),
    }
    process, _record = start_on({site: {**releases[site], **more[site]} for site in all_sites}, "upgrade")
    draining.wait_for_drain()
    switching.wait_for_window("switching", "switched")
    reverting.wait_for_window("reverting")
    kill(process)

    again: dict[Site, Json] = {
        draining: {"upgrade_strategy": "stop_start", "upgrade_drain_until": 1, **ELSEWHERE},
        reverting: {"upgrade_handover_timeout": 5},
    }
    run = run_on({site: {**releases[site], **again.get(site, {})} for site in all_sites}, "upgrade")
    assert [outcome(run, site) for site in all_sites] == ["done", "done", "rolled_back"], run.text
    for site in (draining, switching):
        site.wanted = releases[site]
        assert site.runs() == site.current == releases[site]["install_version"]
    assert reverting.runs() == reverting.current == before
    (pool,) = draining.window()["report"]["pools"]
    assert pool["before"]["clients"] == 6, "before the first run has drained it"
    assert not any(site.is_guarded() for site in all_sites)


@pytest.mark.wide
def test_what_nobody_confirms_the_host_takes_back(all_sites: list[Site]) -> None:
    """By itself, and after a reboot."""
    before = {site: site.runs() for site in all_sites}
    releases = {site: site.releases.good() for site in all_sites}
    *_others, rebooted = all_sites
    limits = {site: 75 if site is rebooted else 30 for site in all_sites}
    process, _record = start_on(
        {site: {**releases[site], **slow(upgrade_confirm_within=limits[site])} for site in all_sites}, "upgrade"
    )
    for site in all_sites:
        site.wait_for_window("switched")
    kill(process)
    assert [site.runs() for site in all_sites] == [releases[site]["install_version"] for site in all_sites]
    rebooted.host.reboot()
    rebooted.wait_for_miners()
    for site in all_sites:
        record = site.wait_for_window("reverted")
        assert record["revert"] == f"nobody confirmed it in {limits[site]} s"
        assert explained(record["msg"]) == {"Nobody confirmed it"}
        assert site.runs() == site.current == before[site]
        site.wait_for_miners()
        wait_for(functools.partial(lambda one: not one.is_guarded(), site), "the end of the guard")
    run = run_on(releases, "upgrade")
    for site in all_sites:
        assert outcome(run, site) == "done", "the next run begins from there"
        site.wanted = releases[site]


@pytest.mark.wide
def test_a_link_that_is_lost_for_minutes(all_sites: list[Site]) -> None:
    """In a drain, and after a switch. A third host has its link, and its upgrade."""
    draining, switched, other = all_sites
    releases = {site: site.releases.good() for site in all_sites}
    process, _record = start_on(
        {
            draining: {**releases[draining], **drained()},
            switched: {**releases[switched], **slow()},
            other: releases[other],
        },
        "upgrade",
    )
    draining.wait_for_drain()
    switched.wait_for_window("switched")
    with partitioned(draining.host), partitioned(switched.host):
        output, _none = process.communicate(timeout=LONGEST)
    assert process.returncode != 0
    assert "The host was lost" in explained(output) and "outcome: failed" in output, output
    assert [site.window()["state"] for site in all_sites] == ["staged", "switched", "confirmed"]
    assert draining.state() != "down", "a pool that is drained goes on"
    again = {draining: {"upgrade_strategy": "stop_start", "upgrade_drain_until": 1, **ELSEWHERE}}
    run = run_on({site: {**releases[site], **again.get(site, {})} for site in all_sites}, "upgrade")
    assert [outcome(run, site) for site in all_sites] == ["done", "done", "nothing_to_do"], run.text
    for site in all_sites:
        site.wanted = releases[site]


@pytest.mark.wide
def test_hosts_that_are_not_as_they_should_be(all_sites: list[Site]) -> None:
    """A full disk, a pool that hangs, and a unit that a person has edited: a rollback brings back what that person wrote."""
    full, hung, edited = all_sites
    before = {site: site.pid() for site in all_sites}
    unit = edited.path(UNIT).read_text().replace("RestartSec=5", "RestartSec=7")
    edited.path(UNIT).write_text(unit)
    edited.host.run("sudo systemctl daemon-reload")
    full.host.run(
        "sudo cp -a /opt/ckpool /opt/kept; sudo mount -t tmpfs -o size=8m,mode=755 tmpfs /opt/ckpool;"
        " sudo cp -a /opt/kept/. /opt/ckpool/; sudo dd if=/dev/zero of=/opt/ckpool/filler bs=1k status=none || true"
    )
    hung.host.run("sudo kill -STOP $(sudo cat /run/ckpool/main/main.pid)")
    releases = {full: full.releases.good(), hung: hung.releases.good(), edited: edited.releases.faulty("hung")}
    try:
        run = run_on(releases, "upgrade")
    finally:
        full.host.run("sudo umount -l /opt/ckpool; sudo rm -rf /opt/kept")
        hung.host.run("sudo kill -CONT $(sudo cat /run/ckpool/main/main.pid)")
    assert [outcome(run, site) for site in all_sites] == ["not_started", "not_started", "rolled_back"], run.text
    assert "No space left on device" in run.text or "No room on the disk" in explained(run.text)
    assert all(site.pid() == before[site] and site.state() == "ok" for site in (full, hung))
    assert edited.path(UNIT).read_text() == unit
    assert "RestartUSec=7s" in edited.host.run("systemctl show ckpool-main").stdout
    edited.wait_for_miners()
    assert outcome(edited.upgrade()) == "done", "to what the role writes"
    assert "RestartSec=5" in edited.path(UNIT).read_text()


# A real daemon


@contextlib.contextmanager
def beside(host: Host, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A program of these tests in the network of a host."""
    command = host.enter_network(sys.executable, "-m", *words)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(load: subprocess.Popen[str]) -> list[Json]:
    """What the miners have seen since they were last asked."""
    assert load.stdin and load.stdout
    load.stdin.write("\n")
    load.stdin.flush()
    found: list[Json] = json.loads(load.stdout.readline())
    return found


def any_share_counts(program: str) -> Json:
    """The configuration with which a build accepts shares that are no work."""
    if cheapest_of(program) is Way.ANY:
        return {"mindiff": -1, "startdiff": 1, "highdiff": 1, "maxdiff": 0}
    return dict.fromkeys(("mindiff", "startdiff", "highdiff", "maxdiff"), 1e-10)


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("CKPOOL_BIN"), reason="CKPOOL_BIN is not set")
def test_a_real_daemon_under_load(trees: Path, ansible: Ansible, tmp_path: Path) -> None:
    """Of 12 miners 3 ignore client.reconnect. None is lost by a handover, nor by a stop and a start.

    With CKPOOL_OTHER_BIN, these go to another build, and back from it.
    """
    program = os.environ["CKPOOL_BIN"]
    other = os.environ.get("CKPOOL_OTHER_BIN", program)
    with booted({"real": hosts.ANY}, trees) as fleet:
        host = fleet["real"]
        for one in (program, other):
            host.take_libraries_of(one)
        site = Site(host, ansible, Releases(tmp_path), tmp_path)
        site.config = {key: value for key, value in site.config.items() if key != "simulation"}
        site.config.update({**any_share_counts(program), "update_interval": 5})
        site.wanted = site.releases.real(program)
        patient = {"upgrade_verify_timeout": 200, "upgrade_ready_timeout": 60, "upgrade_stable_for": 5}
        if other != program:
            patient["upgrade_hashrate_percent"] = 0  # shares that are no work have another difficulty there
        with beside(host, "tests.system.bitcoind", "--port", "8332"):
            run = site.run("install")
            assert run.status == 0, run.text
            with beside(host, "tests.system.load", "3333", "12", "3") as load:
                assert load.stdout and load.stdout.readline() == "ready\n"
                wait_for(lambda: all(one["accepted"] for one in told(load)), "shares")
                time.sleep(65)  # until its statistics know all of them
                for strategy, new in (("handover", other), ("stop_start", program)):
                    told(load)
                    site.config.update(any_share_counts(new))
                    run = site.upgrade(site.releases.real(new), upgrade_strategy=strategy, **patient)
                    assert outcome(run) == "done", run.text
                    (pool,) = site.window()["report"]["pools"]
                    assert (pool["clients_before"], pool["clients_after"], pool["stranded_after"]) == (12, 12, 0), pool
                    exe = os.readlink(Path("/proc", str(host.leader), "root", "proc", str(site.pid()), "exe"))
                    assert exe == f"/opt/ckpool/releases/{site.wanted['install_version']}/ckpool"
                    miners = told(load)
                    print(strategy, json.dumps(pool), json.dumps(miners))
                    assert all(one["connected"] and one["accepted"] > 10 for one in miners), miners
                    assert max(one["longest_gap"] for one in miners) < 15, miners
