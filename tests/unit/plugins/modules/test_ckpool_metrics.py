# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_metrics: the metrics of simulated pools, and the file for the textfile collector."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import METRICS, exposition, parse

from tests.support import DEADLINE, Simulated

from .conftest import Run

Start = t.Callable[..., Simulated]
Json = t.Dict[str, t.Any]
pytestmark = pytest.mark.usefixtures("alone", "memory")
#: metrics that some builds do not give
NOT_EVERYWHERE = {
    "ckpool_accepted_shares_total", "ckpool_rejected_shares_total", "ckpool_effort_ratio", "ckpool_network_difficulty",
    "ckpool_shares_per_second", "ckpool_idle_workers", "ckpool_disconnected_clients", "ckpool_best_share_difficulty",
    "ckpool_user_workers", "ckpool_user_last_share_timestamp_seconds", "ckpool_user_best_share_difficulty",
}  # fmt: skip


def of(result: Json, name: str, **labels: str) -> t.List[float]:
    """The values of a metric with these labels."""
    rows = [row for row in result["samples"] if row["name"] == name]
    return [row["value"] for row in rows if labels.items() <= row["labels"].items()]


@pytest.mark.parametrize("simulation", [{"layout": "2017"}, {"layout": "2025"}, {"layout": "2026"}, {"dialect": "api"}, {"dialect": "guide"}])  # fmt: skip
def test_every_metric_of_every_kind_of_build(run: Run, simulate: Start, simulation: Json) -> None:
    daemon = simulate(hashrate=6e15, accepted=1e6, rejected=2000, bestshare=7e5, uptime=90000, **simulation)
    daemon.wait_for_statistics()
    log = daemon.log_dir / "ckpool.log"
    stamp = time.strftime("[%Y-%m-%d %H:%M:%S.000]", time.localtime(time.time() - 3600))
    with log.open("a") as stream:
        stream.write(f"{stamp} BLOCK ACCEPTED!\n{stamp} Solved and confirmed block 850001 by alice.rig0\n")
    result = run(socket_dir=str(daemon.socket_dir), top_users=2, thresholds={"latency_warning": DEADLINE})
    given = {row["name"] for row in result["samples"]}
    missing = {metric.name for metric in METRICS} - given - {"ckpool_host_up"}
    assert missing <= NOT_EVERYWHERE
    assert (result["pool"], result["changed"], result["problems"]) == ("ckpool", False, {})
    assert exposition(parse(result["text"])) == result["text"]
    assert of(result, "ckpool_up") == [1] and of(result, "ckpool_state", state="ok") == [1]
    assert of(result, "ckpool_hashrate_hashes_per_second", window="1m")[0] == pytest.approx(6e15, rel=0.1)
    assert (of(result, "ckpool_users"), of(result, "ckpool_workers")) == ([3], [6])
    assert of(result, "ckpool_accepted_difficulty_total")[0] >= 1e6
    assert of(result, "ckpool_blocks_found") == [1]
    assert of(result, "ckpool_last_block_timestamp_seconds")[0] == pytest.approx(time.time() - 3600, abs=60)
    assert of(result, "ckpool_scrape_timestamp_seconds")[0] == pytest.approx(time.time(), abs=60)
    users = {row["labels"]["user"] for row in result["samples"] if "user" in row["labels"]}
    assert len(users) == 2 and users <= set(daemon.users)
    assert all(row["labels"]["pool"] == "ckpool" and "instance" not in row["labels"] for row in result["samples"])


def test_users_have_series_only_on_demand(run: Run, simulate: Start) -> None:
    daemon = simulate()
    daemon.wait_for_statistics()
    result = run(socket_dir=str(daemon.socket_dir), blocks_limit=0)
    assert not [row for row in result["samples"] if "user" in row["name"] and row["name"] != "ckpool_users"]
    assert of(result, "ckpool_blocks_found") == []


@pytest.mark.parametrize(
    ("fault", "state", "up"), [("hung", "hung", 0), ("refused", "down", 0), ("starting", "starting", 1)]
)
def test_silence_is_never_green(
    run: Run, simulate: Start, fault: str, state: str, up: int, given_up_soon: t.Callable[..., None]
) -> None:
    given_up_soon("stratifier", "generator", *(["listener", "connector"] if fault == "hung" else []))
    daemon = simulate(faults=[fault])
    result = run(socket_dir=str(daemon.socket_dir), timeout=DEADLINE)
    assert "failed" not in result and result["instance"]["state"] == state
    assert of(result, "ckpool_up") == [up] and of(result, "ckpool_state", state=state) == [1]
    assert of(result, "ckpool_status") == [2] or state == "starting"
    assert of(result, "ckpool_hashrate_hashes_per_second") == []
    asked = run(socket_dir=str(daemon.socket_dir), timeout=DEADLINE, fail_when_down=True)
    assert asked.get("failed", False) is (up == 0) and asked["samples"]


def test_every_pool_of_the_host(run: Run, simulate: Start, home: Path, given_up_soon: t.Callable[..., None]) -> None:
    simulate(user_names=["alice"], hashrate=1e12)
    one, two = simulate(faults=["hung"]), simulate()
    given_up_soon(one.socket_dir)
    assert one.name == two.name == "ckpool"
    result = run(all_instances=True, timeout=DEADLINE, instance_label="host", socket_dirs=[str(home / "nowhere")])
    nowhere = f"ckpool:{home}/nowhere"
    labels = [f"ckpool:{daemon.socket_dir}" for daemon in (one, two)]
    assert {row["pool"] for row in result["instances"]} >= {*labels, nowhere}
    assert sorted(of(result, "ckpool_up")) == [0, 0, 1, 1]
    assert of(result, "ckpool_up", pool=f"ckpool:{one.socket_dir}") == [0]
    assert of(result, "ckpool_up", pool=nowhere, instance="host") == [0]
    assert not [row for row in result["instances"] if "reading" in row or "samples" in row]
    assert all(row["labels"]["instance"] == "host" for row in result["samples"]) and result["gone"] == []


def test_a_host_without_a_pool(run: Run) -> None:
    result = run(all_instances=True)
    assert of(result, "ckpool_up") == [0] and result["instances"] == [] and "failed" not in result
    assert run(all_instances=True, fail_when_down=True)["failed"] is True


def test_one_that_fails_is_not_up(run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool

    odd, well = simulate(), simulate()
    measure = Pool.measure

    def fail(self: Pool, options: t.Any) -> t.Any:
        if self.instance.socket_dir == str(odd.socket_dir):
            raise RuntimeError("odd")
        return measure(self, options)

    monkeypatch.setattr(Pool, "measure", fail)
    path = home / "x.prom"
    result = run(all_instances=True, textfile=str(path))
    assert result["failed"] is True and "RuntimeError: odd" in result["msg"]
    assert of(result, "ckpool_up", pool=f"ckpool:{odd.socket_dir}") == [0]
    assert of(result, "ckpool_state", pool=f"ckpool:{odd.socket_dir}", state="failed") == [1]
    assert of(result, "ckpool_up", pool=f"ckpool:{well.socket_dir}") == [1]
    assert path.read_text() == result["text"]


# The file


@pytest.fixture
def daemon(simulate: Start) -> Simulated:
    started = simulate()
    started.wait_for_statistics()
    return started


def test_the_file_is_what_is_returned(run: Run, daemon: Simulated, home: Path) -> None:
    path = home / "x.prom"
    options = {"socket_dir": str(daemon.socket_dir), "textfile": str(path), "_ansible_diff": True}
    predicted = run(**options, _ansible_check_mode=True)
    assert (predicted["changed"], path.exists(), predicted["diff"]["before"]) == (True, False, "")
    assert predicted["msg"].endswith(f"; would be written to {path}")
    first = run(**options)
    assert (first["changed"], path.read_text(), path.stat().st_mode & 0o777) == (True, first["text"], 0o644)
    assert first["msg"].endswith(f"; written to {path}") and first["textfile"] == str(path)
    inode = path.stat().st_ino
    second = run(**options, textfile_mode="0640")
    assert second["diff"]["before"].endswith(first["text"]) and second["diff"]["after"].endswith(second["text"])
    assert "# mode 0644" in second["diff"]["before"] and "# mode 0640" in second["diff"]["after"]
    assert (path.stat().st_ino != inode, path.stat().st_mode & 0o777) == (True, 0o640)
    assert not [name for name in os.listdir(home) if name.startswith(".x")]


def test_a_pool_that_is_gone_is_remembered_until_it_is_forgotten(run: Run, simulate: Start, home: Path) -> None:
    stays, leaves = simulate(), simulate()
    path = home / "x.prom"
    options = {"all_instances": True, "textfile": str(path)}
    label = f"ckpool:{leaves.socket_dir}"
    before = run(**options)
    assert before["gone"] == [] and of(before, "ckpool_up") == [1, 1]
    looked = of(before, "ckpool_scrape_timestamp_seconds", pool=label)
    leaves.stop()
    for name in os.listdir(leaves.socket_dir):
        os.unlink(leaves.socket_dir / name)
    os.rmdir(leaves.socket_dir)
    for _time in range(2):
        gone = run(**options)
        assert label in gone["gone"] and of(gone, "ckpool_up", pool=label) == [0] and "; gone: " in gone["msg"]
        assert of(gone, "ckpool_state", pool=label, state="gone") == [1]
        assert of(gone, "ckpool_scrape_timestamp_seconds", pool=label) == looked
    after = run(**options, forget=[label, f"ckpool:{stays.socket_dir}"])
    assert after["gone"] == [] and of(after, "ckpool_up") == [1]
    assert run(**options)["gone"] == []


@pytest.mark.parametrize("content", ["hello\n", "node_up 1\n"])
def test_a_file_of_somebody_else_is_not_replaced(run: Run, daemon: Simulated, home: Path, content: str) -> None:
    path = home / "x.prom"
    path.write_text(content)
    result = run(socket_dir=str(daemon.socket_dir), textfile=str(path))
    assert (result["failed"], result["phase"], result["reason"]) == (True, "find", "not_trusted")
    assert "is not a file of this module" in result["msg"] and path.read_text() == content


def test_no_link_is_followed(run: Run, daemon: Simulated, home: Path) -> None:
    (home / "precious").write_text("x")
    (home / "x.prom").symlink_to("precious")
    result = run(socket_dir=str(daemon.socket_dir), textfile=str(home / "x.prom"))
    assert result["failed"] is True and "it is a link" in result["msg"] and (home / "precious").read_text() == "x"


def test_what_cannot_be_written_is_known_before_anything_is_asked(run: Run, daemon: Simulated, home: Path) -> None:
    before = len(daemon.asked())
    result = run(socket_dir=str(daemon.socket_dir), textfile=str(home / "nowhere" / "x.prom"))
    assert (result["failed"], result["phase"]) == (True, "write") and "make the folder" in result["hint"]
    assert len(daemon.asked()) == before


@pytest.mark.parametrize(
    "option",
    [{"textfile": "/tmp/x.txt"}, {"textfile": "x.prom"}, {"textfile_mode": "9"}, {"textfile_mode": "0999"}, {"top_users": 1001},
     {"blocks_limit": -1}, {"socket_dirs": ["/x"]}, {"skip_checks": ["nonsense"]}, {"thresholds": {"nonsense": 1}}],
    ids=str,
)  # fmt: skip
def test_bad_options_are_named(run: Run, home: Path, option: Json) -> None:
    result = run(socket_dir=str(home), **option)
    assert result["failed"] is True and next(iter(option)) in result["msg"]
