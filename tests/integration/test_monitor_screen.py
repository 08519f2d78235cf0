# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook monitor on a terminal: a fleet on one screen, which keys end, and after which the terminal is as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Simulated, processes_with
from tests.support.ansible import Ansible, Json
from tests.support.machine import Machine, needs_namespaces, unreachable
from tests.support.watching import Watching

pytestmark = needs_namespaces

LONG = {"monitor_interval": 2, "monitor_count": 1000, "monitor_timeout": 5}
EVIL = "x\x1b[2J\n\u202ey"
"""A name of a pool, which its owner may choose."""


@pytest.fixture(scope="module")
def machines(place: Callable[[], Path]) -> Iterator[dict[str, Machine]]:
    """Hosts that see only processes of their own: with healthy pools, a passthrough, a pool that hangs, and none."""
    with Machine(place()) as public, Machine(place()) as edge, Machine(place()) as stuck, Machine(place()) as empty:

        def start(machine: Machine, name: str, *options: str, **simulation: Any) -> None:
            folder = machine.folder / name
            Simulated(folder, *options, name=name, prefix=machine.prefix, users=2, **simulation).start()

        start(public, "one")
        start(public, "two", dialect="guide")
        start(public, "evil", "-n", EVIL)
        start(edge, "front", "-P")
        start(stuck, "solo", faults=["hung"])
        yield {"public": public, "edge": edge, "stuck": stuck, "empty": empty}


@pytest.fixture(scope="module")
def fleet(machines: dict[str, Machine]) -> dict[str, Json]:
    return {**{name: machine.host() for name, machine in machines.items()}, "lost": unreachable()}


def test_a_fleet_on_one_screen(
    ansible: Ansible, fleet: dict[str, Json], machines: dict[str, Machine], place: Callable[[], Path]
) -> None:
    """The worst on top, also after somebody pulls at the window; a host that comes back is healthy; q ends it."""
    with Watching(ansible, place(), fleet, LONG, "--forks", "9") as run:
        run.until_shown("lost", "empty", "solo", "front", "one", "two", "\\x1b[2J")
        # A busy machine may be slow to answer for a pool once, and then not: all are as they are in one of the rounds.
        seen = run.until(lambda seen: seen.rows[1].startswith("3 critical, 4 healthy, "), "all hosts read")
        assert seen.rows[0].startswith("5 hosts, round ")
        assert seen.rows[0].endswith("q quits")
        assert [row.split()[:2] for row in seen.rows[3:10]] == [
            ["unreachable", "lost"], ["down", "empty"], ["hung", "stuck"], ["ok", "edge"], *[["ok", "public"]] * 3,
        ]  # fmt: skip
        assert "passthrough, 4 clients" in seen.rows[6]
        assert not seen.colours
        run.resize(40, 5)
        narrow = run.until(lambda seen: "6 more pools" in seen.rows[-1], "all pools again")
        assert narrow.rows[0].endswith("q quits")
        run.until(lambda seen: seen.rows[-1] == "6 more pools, 2 not healthy", "those that are not shown")
        run.resize(100, 30)
        with Simulated(machines["empty"].folder / "new", name="new", prefix=machines["empty"].prefix, users=2):
            back = run.until_shown(" new ")
            assert [row.split()[1:3] for row in back.rows if " new " in row] == [["empty", "new"]]
            run.until(lambda seen: any(row.split()[:3] == ["ok", "empty", "new"] for row in seen.rows), "its health")
            run.terminal.type(b"q")
            assert run.end() == 0
        assert "PLAY RECAP" in run.terminal.text
        assert run.terminal.text.count("\x1b[?1049h") == 1
        assert "\x1b" not in run.log.read_text()
        results = run.results()
    assert set(results) == set(fleet)
    assert all(result["msg"].endswith("; ended with q") and not result["changed"] for result in results.values())
    (front,) = results["edge"]["pools"]
    assert (front["health"]["status"], front["instance"]["mode"]) == ("ok", "passthrough")


@pytest.mark.parametrize("way", ["q", "ctrl-c", "terminate"])
def test_it_ends_while_a_host_hangs(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], way: str
) -> None:
    hanging = place()
    hanging.mkdir()
    interpreter = hanging / "python"
    interpreter.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import time; time.sleep(600)' {hanging}\n")
    interpreter.chmod(0o755)
    hosts = {"edge": fleet["edge"], "hanging": {**fleet["edge"], "ansible_python_interpreter": str(interpreter)}}
    with Watching(ansible, place(), hosts, LONG) as run:
        run.until_shown("front", "no answer for ")
        if way == "terminate":
            run.process.terminate()
        else:
            run.terminal.type(b"q" if way == "q" else b"\x03")
        assert run.end() == {"q": 0, "ctrl-c": 99, "terminate": -signal.SIGTERM}[way]
        assert "Traceback" not in run.terminal.text
        if way == "q":
            results = run.results()
            assert results["hanging"]["msg"] == "after 0 rounds, no pool was read; ended with q"
            assert results["edge"]["rounds"] > 0
    for pid in processes_with(str(hanging)):  # in ansible-core 2.18, a worker does not lead a group of processes
        subprocess.run(["kill", "-9", str(pid)], check=False)


def test_hosts_take_turns_where_there_are_few_forks(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]
) -> None:
    variables = {**LONG, "monitor_count": 1}
    with Watching(ansible, place(), {name: fleet[name] for name in ("edge", "lost")}, variables, "--forks", "1") as run:
        run.until_shown("give --forks 2 to see it")
        assert run.end() == 0
        assert set(run.results()) == {"edge", "lost"}


@pytest.mark.every_core
def test_one_host_in_detail(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> None:
    with Watching(ansible, place(), {"edge": fleet["edge"]}, {**LONG, "monitor_count": 2}) as run:
        seen = run.until_shown("front (", "a passthrough, 4 clients")
        assert seen.rows[0].startswith("edge, round ")
        assert not any("cannot read" in row for row in seen.rows)
        assert run.end() == 0
        (result,) = run.results().values()
        assert result["rounds"] == 2
        assert result["pools"][0]["clients"]["connected"] == 4


@pytest.mark.parametrize(("environment", "colours"), [({}, {"31", "32", "94"}), ({"NO_COLOR": "1"}, set())])
def test_colours(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], environment: dict[str, str], colours: set[str]
) -> None:
    hosts = {name: fleet[name] for name in ("edge", "lost")}
    with Watching(ansible, place(), hosts, LONG, **{"ANSIBLE_NOCOLOR": "0", **environment}) as run:
        assert run.until_shown("front", "unreachable").colours & {"31", "32", "33", "94"} == colours
        run.terminal.type(b"q")
        assert run.end() == 0


@pytest.mark.parametrize("way", [{"TERM": "dumb"}, {"monitor_redraw": "false"}])
def test_lines_instead_of_a_screen(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], way: dict[str, str]
) -> None:
    variables = {**LONG, "monitor_count": 2, **{name: value for name, value in way.items() if name != "TERM"}}
    hosts = {name: fleet[name] for name in ("edge", "lost")}
    term = {name: value for name, value in way.items() if name == "TERM"}
    with Watching(ansible, place(), hosts, variables, **term) as run:
        assert run.end() == 0
        assert "\x1b" not in run.terminal.text
        for number in (1, 2):
            assert f"edge, round {number} of 2, " in run.terminal.text
            assert f"lost, round {number} of 2, " in run.terminal.text
