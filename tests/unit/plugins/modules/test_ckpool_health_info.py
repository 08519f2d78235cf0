# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_health_info: one pool or all of them."""

from __future__ import annotations

import signal
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils import _inspection
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.survey import HealthOptions
from ansible_collections.ckpool.fleet.plugins.module_utils._health import CHECKS, Thresholds
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool

from tests.support import DEADLINE, HARMLESS, Simulated

from .conftest import Run

ROW = {"instance", "health", "stats", "work_age", "clients", "source", "as_of", "problems", "msg"}
KEYS = ROW | {"changed"}
PATIENT = {"latency_warning": DEADLINE}  #: thresholds by which a pool on a busy machine is healthy
CHECK = {"name", "status", "observed", "expected", "reason", "hint", "summary"}


@pytest.fixture
def daemon(simulate: t.Callable[..., Simulated]) -> Simulated:
    """A healthy daemon."""
    simulated = simulate(uptime=3000, hashrate=6e15)
    simulated.wait_for_statistics()
    return simulated


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    """Make these daemons the only ones on the host."""

    def choose(*daemons: Simulated) -> None:
        pids = {daemon.pid for daemon in daemons}
        monkeypatch.setattr(process, "pids", lambda: iter(pids))
        monkeypatch.setattr(_inspection, "TEMPORARY", "/tmp/nowhere")

    return choose


def test_the_results_have_the_keys_of_the_contract(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir), thresholds=PATIENT)
    assert set(result) == KEYS and result["changed"] is False
    health = result["health"]
    assert set(health) == {"state", "ok", "status", "wrong", "checks"}
    assert (health["state"], health["ok"], health["status"], health["wrong"]) == ("ok", True, "ok", [])
    assert [check["name"] for check in health["checks"]] == list(CHECKS)
    assert all(set(check) == CHECK for check in health["checks"])
    assert result["instance"]["state"] == "ok"
    assert result["clients"] == 6 and result["work_age"] < 10
    assert "is ok: " in result["msg"] and "3 users, 6 workers, work " in result["msg"]
    assert {message for _name, message in daemon.record()} <= HARMLESS


def test_a_pool_that_is_not_well_says_why_and_fails_nothing(run: Run, daemon: Simulated) -> None:
    result = run(
        socket_dir=str(daemon.socket_dir),
        thresholds={**PATIENT, "workers_min": 7, "hashrate_min": "10P"},
        warn_on="critical",
    )
    assert result["health"]["state"] == "degraded" and result["health"]["status"] == "critical"
    wrong = {check["name"] for check in result["health"]["checks"] if check["status"] == "critical"}
    assert wrong == {"hashrate", "workers"} and len(result["health"]["wrong"]) == 2
    assert result["warnings"] == [result["msg"]]
    assert "warnings" not in run(socket_dir=str(daemon.socket_dir), thresholds={"workers_min": 7})


def test_checks_are_left_out_on_request(run: Run, daemon: Simulated) -> None:
    left_out = ["workers", "disk", "log_errors"]
    result = run(socket_dir=str(daemon.socket_dir), thresholds={**PATIENT, "workers_min": 7}, skip_checks=left_out)
    assert result["health"]["ok"] is True
    assert [check["name"] for check in result["health"]["checks"]] == [name for name in CHECKS if name not in left_out]


def test_a_pool_that_is_down_is_an_answer_or_a_failure_as_wanted(run: Run, daemon: Simulated) -> None:
    daemon.stop(signal.SIGKILL)
    options = {"socket_dir": str(daemon.socket_dir), "log_dir": str(daemon.log_dir)}
    result = run(**options)
    assert set(result) == KEYS | {"log_tail"}
    assert result["health"]["state"] == result["instance"]["state"] == "down"
    assert result["log_tail"] and result["stats"]["users"] == 3
    failed = run(fail_when_down=True, **options)
    assert failed["failed"] is True and failed["health"]["state"] == "down" and "is down" in failed["msg"]


def test_all_instances_and_the_sickest_of_them(
    run: Run, simulate: t.Callable[..., Simulated], home: Path, alone: t.Callable[..., None]
) -> None:
    one, two = simulate(), simulate(faults=["listener_dead"])
    for daemon in (one, two):
        daemon.wait_for_statistics()
    alone(one, two)
    result = run(all_instances=True, timeout=DEADLINE, thresholds=PATIENT)
    assert set(result) == KEYS | {"instances"}
    assert all(set(row) == ROW for row in result["instances"])
    assert [row["health"]["state"] for row in result["instances"]] == ["ok", "degraded"]
    assert result["instance"]["socket_dir"] == str(two.socket_dir) and result["health"]["state"] == "degraded"
    assert result["msg"].startswith("1 of 2 instances are healthy; ")
    gone = str(home / "gone")
    everybody = {"socket_dirs": [gone, str(one.socket_dir)], "timeout": DEADLINE, "thresholds": PATIENT}
    result = run(all_instances=True, **everybody, warn_on="critical")
    assert [row["health"]["state"] for row in result["instances"]] == ["ok", "degraded", "down"]
    assert (result["instance"]["socket_dir"], result["health"]["state"]) == (gone, "down")
    assert len(result["warnings"]) == 2
    assert run(all_instances=True, socket_dirs=[gone], timeout=5, fail_when_down=True)["failed"] is True


def test_a_host_without_any_pool_is_down(run: Run, alone: t.Callable[..., None]) -> None:
    alone()
    result = run(all_instances=True)
    assert set(result) == KEYS | {"instances"}
    assert (result["health"]["state"], result["instance"], result["instances"]) == ("down", None, [])
    assert set(result["health"]) == {"state", "ok", "status", "wrong", "checks"}
    assert run(all_instances=True, fail_when_down=True)["failed"] is True


def test_one_instance_of_a_host_is_well(run: Run, daemon: Simulated, alone: t.Callable[..., None]) -> None:
    alone(daemon)
    result = run(all_instances=True, thresholds=PATIENT)
    assert len(result["instances"]) == 1 and "is ok" in result["msg"]


def test_the_thresholds_are_those_of_the_verdict_unless_set(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: t.List[Thresholds] = []
    real = Pool.health

    def recording(self: Pool, options: HealthOptions) -> t.Any:
        used.append(options.thresholds or Thresholds())
        return real(self, options)

    monkeypatch.setattr(Pool, "health", recording)
    run(socket_dir=str(home / "nowhere"))
    run(socket_dir=str(home / "nowhere"), thresholds={"users_min": 5, "hashrate_min": "1.5P", "disk_free_warning": 20})
    assert used == [Thresholds(), Thresholds(users_min=5, hashrate_min=1.5e15, disk_free_warning=20)]


LOW: t.List[t.Tuple[str, t.Any]] = [(name, -1) for name in Thresholds.__annotations__ if name != "hashrate_min"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *LOW,
        *[(name, 101) for name in ("reject_ratio_warning", "hashrate_drop_critical", "disk_free_warning", "open_files_critical")],
        ("sample_seconds", -1), ("sample_seconds", 601), ("sample_seconds", "nan"), ("log_window", -1),
        ("log_limit", -1), ("log_limit", 2**50), ("work_age_warning", "old"), ("users_min", 1.5),
        ("skip_checks", ["weather"]), ("warn_on", "fire"), ("socket_dirs", ["/tmp/x"]), ("all_instances", "some"),
        ("statistics_age_warning", "inf"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_type_or_range_is_refused_by_name(run: Run, home: Path, option: str, value: t.Any) -> None:
    options = {option: value}
    if option == "log_window" or option in Thresholds.__annotations__:
        options = {"thresholds": options}
    result = run(socket_dir=str(home / "nowhere"), **options)
    assert result["failed"] is True and "health" not in result
    assert option in result["msg"]


@pytest.mark.parametrize("value", ["fast", "-1P", "nan", "", "500m", "1.5p"])
def test_a_minimum_that_is_no_hashrate_is_refused(run: Run, home: Path, value: str) -> None:
    result = run(socket_dir=str(home / "nowhere"), thresholds={"hashrate_min": value})
    assert result["failed"] is True and "not a hashrate" in result["msg"]


def test_a_folder_that_cannot_be_a_path_is_refused(run: Run) -> None:
    assert run(all_instances=True, socket_dirs=["a\0b"])["reason"] == "bad_path"


def test_a_counter_that_is_watched(
    run: Run, daemon: Simulated, work_while_sampled: t.Callable[[Simulated], None]
) -> None:
    work_while_sampled(daemon)
    result = run(socket_dir=str(daemon.socket_dir), sample_seconds=0.5)
    (check,) = [check for check in result["health"]["checks"] if check["name"] == "work_moves"]
    assert check["status"] == "ok" and check["observed"] >= 1


@pytest.mark.parametrize("option", [{"socket_dir": "/tmp/x"}, {"name": "x"}])
def test_all_instances_and_one_of_them_exclude_each_other(run: Run, option: t.Dict[str, t.Any]) -> None:
    result = run(all_instances=True, **option)
    assert result["failed"] is True and result["reason"] == "bad_option" and result["msg"].startswith("options: ")
