# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of the benchmarks: ratios, what each side costs, results, and their comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare, metered, results, tools

BUSY = "import time\nbegan = time.process_time()\nwhile time.process_time() - began < {0}: pass\n"


def test_sides_are_measured_in_turns() -> None:
    order: list[str] = []

    def side(name: str) -> int:
        order.append(name)
        return len(order)

    assert tools.turns(2, lambda: side("a"), lambda: side("b")) == [[1, 3], [2, 4]]
    assert order == ["a", "b", "a", "b"]


def test_the_ratio_is_the_median_of_those_of_the_rounds() -> None:
    """A round on a busy machine is slow on both sides: the ratio of the medians would be 10 / 4."""
    figure = tools.compared("x", [10.0, 100.0, 2.0], [4.0, 50.0, 1.0], most=2)
    assert (figure.ratio, figure.met) == (2.0, True)
    assert figure.runs == [[10.0, 4.0], [100.0, 50.0], [2.0, 1.0]]
    assert not tools.compared("x", [10.0], [4.0], most=2).met


def test_a_figure_that_must_be_large_is_theirs_by_ours() -> None:
    figure = tools.compared("x", [2.0], [9.0], least=4)
    assert (figure.ratio, figure.met) == (4.5, True)
    assert not tools.compared("x", [3.0], [9.0], least=4).met


def test_a_limit_is_the_other_side_of_each_round() -> None:
    assert tools.compared("x", [1.0, 3.0], 2.0, most=1).runs == [[1.0, 2.0], [3.0, 2.0]]


def test_what_the_meter_wrote_is_added_up() -> None:
    assert tools.metered("0.5 0.125 7\n0.25 0.25 8\n") == (0.75, 0.375, 15)
    assert tools.metered("") == (0, 0, 0)


def test_the_meter_measures_the_python_of_a_host_and_keeps_its_status(tmp_path: Path) -> None:
    meter = tmp_path / "meter"
    command = [sys.executable, "-IS", str(tools.HERE / "metered.py"), sys.executable, "-c"]
    for seconds in (0.2, 0.4):
        program = BUSY.format(seconds) + "raise SystemExit(int(input()))"
        ran = subprocess.run(
            [*command, program], input="3\n", text=True, env={"CKPOOL_FLEET_METER": str(meter)}, check=False, timeout=60
        )
        assert ran.returncode == 3
    first, second = (line.split() for line in meter.read_text().splitlines())
    assert float(first[0]) >= 0.2
    assert float(second[0]) >= 0.4
    assert 0 < float(first[1]) < float(first[0])


def test_instructions_are_read_from_what_valgrind_says() -> None:
    assert metered.instructions("==1== Cachegrind\n==1== \n==1== I   refs:      1,224,429,731\n") == 1224429731
    assert metered.instructions("==1== Cachegrind\n") == 0


def test_a_playbook_costs_the_controller_and_its_hosts(tmp_path: Path) -> None:
    """A task that computes on the host is not the controller's; one that the controller computes is not the host's."""
    spent = {}
    for name, task in {
        "host": {"ansible.builtin.command": {"argv": [sys.executable, "-c", BUSY.format(1)]}},
        "controller": {"ansible.builtin.set_fact": {"x": "{{ range(300000) | map('string') | list | length }}"}},
    }.items():
        book = tmp_path / f"{name}.yml"
        book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
        spent[name] = tools.playbook(book, tools.local_hosts(tmp_path, 1))
    assert spent["host"].target >= 1
    assert spent["controller"].target == 0
    assert spent["controller"].controller > 0.1
    assert spent["host"].busy == pytest.approx(spent["host"].controller + spent["host"].target)


def found(ratio: float, **machine: Any) -> results.Json:
    figure = tools.compared("a check / ping", [ratio], [1.0], most=1.1)
    made = results.document({"fleet": results.section([figure], 2.0, 1.5), "rolling": {"why_not": "no hosts"}}, 3)
    return {**made, "machine": {**made["machine"], **machine}}


def test_results_name_the_machine_and_hold_each_round(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "one.json"
    results.write(path, found(1.5))
    kept = results.read(str(path))
    assert all(kept["machine"][name] for name in ("processor", "cores", "kernel", "python", "ansible_core"))
    (figure,) = kept["sections"]["fleet"]["figures"]
    assert (figure["runs"], figure["ratio"], figure["met"]) == ([[1.5, 1.0]], 1.5, False)
    assert kept["sections"]["rolling"] == {"why_not": "no hosts"}


def test_two_results_are_compared_by_their_ratios() -> None:
    text = "\n".join(compare.lines(found(2.0), found(1.5)))
    assert [line.split() for line in text.splitlines()][-1] == [
        "fleet",
        "a",
        "check",
        "/",
        "ping",
        "2.00",
        "1.50",
        "0.75",
    ]
    assert "differs" not in text


def test_a_comparison_says_which_machines_differ_and_what_is_missing() -> None:
    other = found(1.5, cores=64)
    other["sections"]["fleet"]["figures"][0]["what"] = "another / ping"
    lines = list(compare.lines(found(2.0, cores=2), other))
    assert "cores differs: 2 / 64" in lines
    table = lines[-1].splitlines()
    assert [row.split()[-3:] for row in table[1:]] == [["2.00", "-", "-"], ["-", "1.50", "-"]]


def test_results_that_are_not_there_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare.py", "nowhere", "nowhere"])
    assert compare.main() == 1
    assert "there are no results of nowhere: check it out, and run make bench" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["compare.py", "", ""])
    assert compare.main() == 2
