# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that writes the metrics of a fleet: what is in the file, what stays in it, and what fails."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.ckpool.fleet.plugins.action import ckpool_metrics_report as action
from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import parse
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_metrics_report as stub
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_task import run_on_fleet

LOST = {"unreachable": True, "msg": "no route"}
BROKEN = {"failed": True, "msg": "no Python"}
Write = t.Callable[..., Json]
Up = t.Dict[t.Tuple[str, str], t.Tuple[float, str]]


def told(*pools: str, up: int = 1, looked: float = 100.0, host: str = "", **more: t.Any) -> Json:
    """What a host returns of its pools."""
    samples: t.List[Json] = []
    for pool in pools:
        labels = {"pool": pool, **({"instance": host} if host else {})}
        samples += [
            {"name": "ckpool_up", "labels": labels, "value": up},
            {"name": "ckpool_state", "labels": {**labels, "state": "ok" if up else "hung"}, "value": 1},
            {"name": "ckpool_workers", "labels": labels, "value": 7},
            {"name": "ckpool_scrape_timestamp_seconds", "labels": labels, "value": looked},
        ]
    return {"samples": samples, "changed": False, **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet.prom"


@pytest.fixture
def write(path: Path) -> Write:
    """Run the plugin on a fleet: what each host's task registered."""

    def run(
        fleet: t.Mapping[str, t.Any], magic: t.Optional[Json] = None, check_mode: bool = False, **more: t.Any
    ) -> Json:
        options = {"textfile": str(path), "hosts": "all", **more}
        return run_on_fleet(action, "metrics_result", fleet, check_mode, magic, **options)

    return run


def pools(path: Path) -> Up:
    """Each pool of the file: whether it is up, and its state."""
    samples = parse(path.read_text())
    states = {one.owner: dict(one.labels)["state"] for one in samples if one.name == "ckpool_state" and one.value}
    return {one.owner: (one.value, states.get(one.owner, "")) for one in samples if one.name == "ckpool_up"}


def values(path: Path, name: str) -> t.Dict[t.Tuple[str, str], float]:
    return {one.owner: one.value for one in parse(path.read_text()) if one.name == name}


LIMIT_A: Json = {"ansible_limit": "a", "ansible_play_hosts_all": ["a"]}


def test_every_pool_of_every_host(write: Write, path: Path) -> None:
    found = write({"a": told("x", "y"), "b": told("x", up=0)})
    assert pools(path) == {("a", "x"): (1, "ok"), ("a", "y"): (1, "ok"), ("b", "x"): (0, "hung")}
    assert values(path, "ckpool_host_up") == {("a", ""): 1, ("b", ""): 1}
    assert (found["failed"], found["changed"], found["pools"], found["down"]) == (False, True, 3, ["b:x"])
    assert found["msg"] == f"3 pools written to {path}; 1 not up: b:x"
    assert set(found) - {"changed", "failed"} == set(yaml.safe_load(stub.RETURN))


def test_a_host_that_gave_nothing_is_down(write: Write, path: Path) -> None:
    found = write({"a": told("x"), "lost": LOST, "broken": BROKEN, "silent": None})
    assert pools(path) == {
        ("a", "x"): (1, "ok"),
        ("lost", ""): (0, ""),
        ("broken", ""): (0, ""),
        ("silent", ""): (0, ""),
    }
    assert values(path, "ckpool_host_up") == {("a", ""): 1, ("lost", ""): 0, ("broken", ""): 0, ("silent", ""): 0}
    assert [entry["host"] for entry in found["missing"]] == ["lost", "broken", "silent"]
    assert found["failed"] is True and found["msg"].startswith("lost: unreachable: no route; broken: no Python; ")


def test_the_pools_of_a_host_that_is_lost_are_known(write: Write, path: Path) -> None:
    write({"a": told("x"), "b": told("x", "y")})
    found = write({"a": LOST, "b": BROKEN})
    expected = {("a", "x"): (0, "unreachable"), ("b", "x"): (0, "failed"), ("b", "y"): (0, "failed")}
    assert pools(path) == expected
    assert set(values(path, "ckpool_scrape_timestamp_seconds").values()) == {100}
    assert values(path, "ckpool_workers") == {}
    assert found["gone"] == [] and found["failed"] is True
    write({"a": LOST, "b": BROKEN})
    assert pools(path) == expected
    write({"a": told("x"), "b": told("x", "y")})
    assert {up for up, _state in pools(path).values()} == {1}


def test_a_pool_that_is_gone_stays_until_it_is_forgotten(write: Write, path: Path) -> None:
    write({"a": told("x", "y"), "b": told("x")})
    for _time in range(2):
        found = write({"a": told("x", looked=200.0), "b": told("x")})
        assert found["gone"] == ["a:y"] and found["failed"] is False and "gone: a:y" in found["msg"]
        assert pools(path)["a", "y"] == (0, "gone")
        assert values(path, "ckpool_scrape_timestamp_seconds")["a", "y"] == 100
    found = write({"a": told("x"), "b": told("x")}, forget=["a:y", "b:x"])
    assert (found["gone"], found["forgotten"]) == ([], ["a:y"])
    assert set(pools(path)) == {("a", "x"), ("b", "x")}


@pytest.mark.parametrize("forget", ["all", "b", "b:x"])
def test_a_host_that_left_the_inventory_is_gone(write: Write, path: Path, forget: str) -> None:
    write({"a": told("x"), "b": told("x")})
    assert write({"a": told("x")})["gone"] == ["b:x"]
    assert pools(path)["b", "x"] == (0, "gone") and set(values(path, "ckpool_host_up")) == {("a", "")}
    assert write({"a": told("x")}, forget=[forget])["forgotten"] == ["b:x"]
    assert set(pools(path)) == {("a", "x")}


def test_who_is_left_out_stays_as_it_was(write: Write, path: Path) -> None:
    write({"a": told("x"), "b": told("x"), "lost": LOST})
    before = [line for line in path.read_text().splitlines() if 'instance="a"' not in line]
    found = write({"a": told("x", looked=200.0), "b": None, "lost": None}, LIMIT_A)
    assert [line for line in path.read_text().splitlines() if 'instance="a"' not in line] == before
    assert values(path, "ckpool_scrape_timestamp_seconds") == {("a", "x"): 200, ("b", "x"): 100}
    assert (found["kept"], found["not_asked"], found["failed"]) == (["b", "lost"], ["b", "lost"], False)
    assert "not asked: 2 hosts by --limit" in found["msg"]


def test_one_that_was_skipped_stays_as_it_was(write: Write, path: Path) -> None:
    write({"a": told("x")})
    before = path.read_text()
    assert write({"a": {"skipped": True}})["kept"] == ["a"] and path.read_text() == before


def test_a_task_that_failed_with_metrics_counts(write: Write, path: Path) -> None:
    write({"a": told("x", failed=True, msg="1 of 2 instances failed")})
    assert pools(path) == {("a", "x"): (1, "ok")} and values(path, "ckpool_host_up") == {("a", ""): 1}


def test_a_loop(write: Write, path: Path) -> None:
    write({"a": {"results": [told("x"), told("y"), BROKEN]}})
    assert set(pools(path)) == {("a", "x"), ("a", "y")}


def test_a_host_cannot_speak_for_another(write: Write, path: Path) -> None:
    write({"a": told("x", host="b"), "b": told("x", up=0)})
    assert pools(path) == {("a", "x"): (1, "ok"), ("b", "x"): (0, "hung")}


@pytest.mark.parametrize(
    "odd",
    ["text", None, 1, {}, {"name": "node_up", "labels": {}, "value": 1}, {"name": "ckpool_up", "labels": {}, "value": "1"},
     {"name": "ckpool_up", "labels": {"pool": 7}, "value": 1}, {"name": "ckpool_up", "labels": {"evil": "x"}, "value": 1}],
    ids=str,
)  # fmt: skip
def test_odd_samples_are_named_and_cost_no_other(write: Write, path: Path, odd: t.Any) -> None:
    result = told("x")
    result["samples"].insert(0, odd)
    found = write({"a": result})
    assert found["failed"] is True and "a: odd result: 1 samples such as" in found["msg"]
    assert pools(path) == {("a", "x"): (1, "ok")} and "evil" not in path.read_text()


@pytest.mark.parametrize("odd", ["text", 7, [], {"samples": "x"}])
def test_odd_results_are_no_metrics(write: Write, path: Path, odd: t.Any) -> None:
    assert write({"a": odd})["failed"] is True and pools(path) == {("a", ""): (0, "")}


def test_nobody_was_asked(write: Write, path: Path) -> None:
    found = write({"a": None}, hosts=None)
    assert (found["failed"], found["msg"]) == (True, f"no host was asked; 0 pools written to {path}")
    found = write({"a": told("x")}, hosts="nosuch")
    assert found["failed"] is True and "no host of the inventory matches nosuch" in found["msg"]


def test_check_mode_writes_nothing(write: Write, path: Path) -> None:
    found = write({"a": told("x")}, check_mode=True)
    assert (found["changed"], path.exists()) == (True, False) and "1 pool would be written to" in found["msg"]


def test_the_file_of_somebody_else_stays(write: Write, path: Path) -> None:
    path.write_text("node_up 1\n")
    with pytest.raises(AnsibleActionFail, match="is not a file of this module: line 1"):
        write({"a": told("x")})
    assert path.read_text() == "node_up 1\n"


def test_what_cannot_be_written_is_an_error(write: Write, tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="cannot write"):
        write({"a": told("x")}, textfile=str(tmp_path / "nowhere" / "x.prom"))
    with pytest.raises(AnsibleActionFail, match=r"must end in \.prom"):
        write({"a": told("x")}, textfile=str(tmp_path / "x.txt"))
    with pytest.raises(AnsibleError, match="textfile"):
        run_on_fleet(action, "metrics_result", {})
    assert os.listdir(tmp_path) == []
