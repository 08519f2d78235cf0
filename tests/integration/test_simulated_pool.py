# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role simulated_pool: what it starts, what it predicts, and that it leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import SOCKETS, ask, processes_with
from tests.support.ansible import Ansible, Json, Run

COUNT = 4
SICK = {"name": "sick", "faults": [{"fault": "hung", "sockets": ["stratifier"]}]}


class Life:
    """Run after run of the role on one folder, in the order of an operator's day."""

    def __init__(self, ansible: Ansible, folder: Path) -> None:
        self._ansible, self.folder = ansible, folder
        self.runs: dict[str, Run] = {}
        self.pids: dict[str, list[int]] = {}
        self.listings: dict[str, list[str]] = {}
        self.answers: dict[str, str] = {}
        fleet: Json = {"simulated_pool_count": COUNT, "simulated_pool_instances": [SICK]}
        well: Json = {**fleet, "simulated_pool_instances": [{"name": "sick"}]}
        stop: Json = {"simulated_pool_state": "stopped"}
        for word, variables in (("start", fleet), ("change", well), ("stop", stop)):
            self.run(f"predict {word}", "--check", **variables)
            self.run(word, **variables)
            self.run(f"{word} again", **variables)
            if word == "change":
                self.run("fewer", simulated_pool_count=1)

    def run(self, word: str, *arguments: str, **variables: object) -> None:
        name = "ckpool.fleet.simulated_pool"
        show = {"ansible.builtin.debug": {"var": "simulated_pool_running"}}
        tasks = [{"include_role": {"name": name}, "vars": {**variables, "simulated_pool_dir": str(self.folder)}}, show]
        play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
        self.runs[word] = self._ansible.playbook([play], *arguments)
        self.pids[word] = processes_with(str(self.folder / "simulated_ckpool.py"))
        self.listings[word] = sorted(str(path) for path in self.folder.rglob("*"))
        if word in ("start", "change"):
            self.answers[word] = ask(str(self.folder / "sick" / "sockets" / "stratifier"), "ping").outcome.value

    def changed(self, word: str) -> bool:
        return any(record.result.get("changed") for record in self.runs[word].records)

    def running(self, word: str) -> list[str]:
        return [instance["name"] for instance in self.runs[word].results("debug")[0]["simulated_pool_running"]]


@pytest.fixture(scope="module")
def life(ansible: Ansible, place: Callable[[], Path]) -> Iterator[Life]:
    yield Life(ansible, place())


@pytest.mark.every_core
def test_every_run_succeeds(life: Life) -> None:
    for word, run in life.runs.items():
        assert run.status == 0, (word, run.text)


@pytest.mark.parametrize("word", ["start", "change", "stop"])
def test_predicted_done_and_then_left_alone(word: str, life: Life) -> None:
    assert [life.changed(f"predict {word}"), life.changed(word), life.changed(f"{word} again")] == [True, True, False]
    assert life.running(f"predict {word}") == life.running(word) == life.running(f"{word} again")
    assert life.pids[word] == life.pids[f"{word} again"]


def test_what_runs(life: Life) -> None:
    count = {word: len(life.pids[word]) for word in ("start", "change", "fewer", "stop")}
    assert count == {"start": COUNT + 1, "change": COUNT + 1, "fewer": 1, "stop": 0}
    assert set(life.running("start")) == {"pool01", "pool02", "pool03", "pool04", "sick"}
    assert life.running("stop") == []


def test_a_prediction_does_nothing(life: Life) -> None:
    words = list(life.runs)
    for word in words:
        if word.startswith("predict"):
            before = words.index(word) - 1
            assert life.pids[word] == (life.pids[words[before]] if before >= 0 else [])
    assert life.listings["predict start"] == []


def test_changes_are_taken_over_by_what_runs(life: Life) -> None:
    assert life.pids["change"] == life.pids["start"]
    assert life.answers["start"].startswith("no reply")
    assert life.answers["change"] == "reply"


def test_folders_are_as_documented(life: Life) -> None:
    for name in (*SOCKETS, "main.pid"):
        assert str(life.folder / "pool01" / "sockets" / name) in life.listings["start"]
    assert str(life.folder / "pool01" / "logs" / "pool" / "pool.status") in life.listings["start"]
    assert not [path for path in life.listings["fewer"] if "/sick" in path]


def test_nothing_is_left_behind(life: Life) -> None:
    assert life.listings["stop"] == []
    assert not life.folder.exists()


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"simulated_pool_instances": [{"name": "../x"}]}, "is no name for an instance"),
        ({"simulated_pool_instances": [{"name": "a"}, {"name": "a"}]}, "share the name"),
        ({"simulated_pool_instances": [{"name": "a", "faults": [{"fault": "bored"}]}]}, "bored"),
        ({"simulated_pool_count": "many"}, "simulated_pool_count"),
        ({"simulated_pool_dir": "/tmp/" + "x" * 100, "simulated_pool_count": 1}, "socket path"),
    ],
)
def test_what_cannot_be_is_refused(variables: Json, text: str, ansible: Ansible, place: Callable[[], Path]) -> None:
    folder = place()
    values = {"simulated_pool_dir": str(folder), **variables}
    play = {"hosts": "localhost", "gather_facts": False, "roles": [{"role": "ckpool.fleet.simulated_pool", **values}]}
    run = ansible.playbook([play])
    assert run.status != 0
    assert text in json.dumps([record.result for record in run.records if record.outcome == "failed"])
    assert "Traceback" not in run.text
    assert not folder.exists()
