# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading modules on every kind of pool: the contract of their results, and their numbers against the pool's own."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import HARMLESS, wait_for
from tests.support.ansible import UNHURRIED, Ansible, Direct, Json, Modules, Task, failing
from tests.support.status_files import rate_of, status_of
from tests.support.target import Target

INSTANCE = {"name", "mode", "socket_dir", "log_dir", "pid", "started", "root", "user", "state"}
WINDOWS = ("1m", "5m", "15m", "1hr", "6hr", "1d", "7d")
USER_WINDOWS = ("1m", "5m", "1hr", "1d", "7d")
STATS = {
    *(f"hashrate{window}" for window in WINDOWS), "users", "workers", "idle", "disconnected", "accepted", "rejected",
    "accepted_count", "rejected_count", "effort", "best_share", "sps1m", "sps5m", "sps15m", "sps1h", "uptime",
    "network_difficulty", "user_workbases", "user_agents",
}  # fmt: skip
WORKER = {*(f"hashrate{window}" for window in USER_WINDOWS), "user", "worker", "shares", "best_share", "last_share"}
USER = {*(WORKER - {"worker"}), "authorised", "workers"}
CHECK = {"name", "status", "observed", "expected", "reason", "hint", "summary"}
NOBODY = "nobody.we.know"
BY_ANSIBLE = ("guide", "real")  # the kinds of pools on which Ansible itself runs the modules
WAVES = 0.1  # how far the simulation's hashrates are from one moment to the next, at most


class Readings:
    """The results of all questions to one pool, by a word for the question, and the statistics of the pool itself."""

    def __init__(self, runner: Modules, pool: Target) -> None:
        self.pool = pool
        where = {"socket_dir": str(pool.socket_dir)}
        self.counts_before = self.counts()
        with Written(pool.log_dir) as self.written:
            self._ask(runner, where)
        self.counts_after = self.counts()

    def _ask(self, runner: Modules, where: Json) -> None:
        tasks: dict[str, Task] = {word: (name, {**where, **options}) for word, (name, options) in QUESTIONS.items()}
        self.results = dict(zip(tasks, runner.modules(tasks.values()), strict=True))
        checked = {word: tasks[word] for word in ("stats", "users", "health")}
        self.checked = dict(zip(checked, runner.modules(checked.values(), check=True), strict=True))

    def __getitem__(self, word: str) -> Json:
        return self.results[word]

    def counts(self) -> Json:
        """The number of objects of each kind in the stratifier, by 'stats', which the guide's dialect replaces."""
        counts: Json = json.loads(self.pool.ask("stratifier", "stats").text)
        return counts

    def status(self, as_of: int) -> Json:
        """The pool.status of that time: a real pool writes it again each minute."""
        return next(status for status in self.written.status if status["lastupdate"] == as_of)

    def listing(self, what: str) -> list[Json]:
        """A listing of the query API or the guide."""
        rows: list[Json] = json.loads(self.pool.ask("stratifier", what).text)[what]
        return rows


class Written:
    """Every version of the status files that a pool writes meanwhile."""

    def __init__(self, log_dir: Path) -> None:
        self.status: list[Json] = []
        self.users: dict[str, list[Json]] = {}
        self._log_dir, self._over = log_dir, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watches files")

    def __enter__(self) -> Written:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._over.set()
        self._thread.join()
        wait_for(self._look, "whole files")

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> bool:
        """Whether all were whole; those that were caught while they are written are there the next time."""
        try:
            self._note(self.status, status_of(self._log_dir))
            for path in (self._log_dir / "users").iterdir():
                self._note(self.users.setdefault(path.name, []), json.loads(path.read_text()))
        except (OSError, ValueError):
            return False
        return True

    @staticmethod
    def _note(versions: list[Json], found: Json) -> None:
        if found not in versions:
            versions.append(found)


QUESTIONS: dict[str, Task] = {
    "stats": ("ckpool_stats", {}),
    "again": ("ckpool_stats", {}),
    "raw": ("ckpool_stats", {"raw": True}),
    "from files": ("ckpool_stats", {"source": "files"}),
    "users": ("ckpool_user_info", {}),
    "unknown": ("ckpool_user_info", {"users": [NOBODY]}),
    "strongest": ("ckpool_user_info", {"sort_by": "hashrate1m", "limit": 2}),
    "best": ("ckpool_user_info", {"sort_by": "best_share"}),
    "active": ("ckpool_user_info", {"active_within": "1h"}),
    "long ago": ("ckpool_user_info", {"active_within": "0.001s"}),
    "health": ("ckpool_health_info", {"thresholds": UNHURRIED}),
    "health again": ("ckpool_health_info", {"thresholds": UNHURRIED}),
}


@pytest.fixture(scope="session")
def readings(ansible: Ansible, direct: Direct, pool: Target) -> Readings:
    return Readings(ansible if pool.kind in BY_ANSIBLE else direct, pool)


def test_every_result_has_the_common_keys(readings: Readings) -> None:
    pool = readings.pool
    for word, result in readings.results.items():
        assert result["source"] == ("files" if word == "from files" else pool.source), word
        assert abs(result["as_of"] - time.time()) < 300
        instance = result["instance"]
        assert set(instance) == INSTANCE
        assert (instance["name"], instance["mode"], instance["state"]) == ("ckpool", "pool", "ok"), result["msg"]
        assert instance["socket_dir"] == str(pool.socket_dir)
        assert instance["log_dir"] == str(pool.log_dir)
        assert instance["pid"] == int((pool.socket_dir / "main.pid").read_text())
        assert result["problems"] == {}
        assert "log_tail" not in result


def test_numbers_of_the_pool_are_its_own(readings: Readings) -> None:
    if readings.pool.source != "files":
        pytest.skip("compared with its replies instead")
    compare_with_status(readings, readings["stats"])


def test_files_are_read_by_any_dialect(readings: Readings) -> None:
    compare_with_status(readings, readings["from files"])


def compare_with_status(readings: Readings, result: Json) -> None:
    status, stats = readings.status(result["as_of"]), result["stats"]
    assert set(stats) == STATS
    for window in WINDOWS:
        assert stats[f"hashrate{window}"] == pytest.approx(rate_of(status[f"hashrate{window}"]), rel=1e-12)
    for ours, theirs in (
        ("users", "Users"), ("workers", "Workers"), ("idle", "Idle"), ("disconnected", "Disconnected"),
        ("uptime", "runtime"), ("accepted", "accepted"), ("rejected", "rejected"), ("best_share", "bestshare"),
        ("sps1m", "SPS1m"), ("sps5m", "SPS5m"), ("sps15m", "SPS15m"), ("sps1h", "SPS1h"),
        ("accepted_count", "accepted_count"), ("rejected_count", "rejected_count"),
    ):  # fmt: skip
        assert stats[ours] == status.get(theirs), ours  # the oldest builds leave out what is zero
    assert stats["users"] == len(readings.pool.users)
    assert stats["workers"] == sum(map(len, readings.pool.users.values()))


def test_numbers_of_the_pool_are_those_of_its_reply(readings: Readings) -> None:
    """Rates may differ a little; counts are exact."""
    stats = readings["stats"]["stats"]
    if readings.pool.source == "api":
        reply = json.loads(readings.pool.ask("stratifier", "poolstats").text)
        assert stats["hashrate1hr"] == pytest.approx(reply["dsps60"] * 2**32, rel=WAVES)
        assert stats["hashrate1m"] == pytest.approx(reply["dsps1"] * 2**32, rel=WAVES)
    elif readings.pool.source == "guide":
        reply = json.loads(readings.pool.ask("stratifier", "stats").text)
        assert stats["hashrate1hr"] == pytest.approx(reply["hashrate1h"] * 1e9, rel=WAVES)
        assert stats["hashrate1m"] == pytest.approx(reply["hashrate1m"] * 1e9, rel=WAVES)
    else:
        pytest.skip("compared with its status file instead")
    assert set(stats) == STATS
    for name in ("users", "workers", "accepted", "rejected"):
        assert stats[name] == reply[name], name
    assert stats["uptime"] == pytest.approx(90000, abs=300)
    assert stats["hashrate1m"] == pytest.approx(1e15, rel=WAVES)


def test_raw_is_what_the_pool_said(readings: Readings) -> None:
    raw = readings["raw"]["raw"]
    assert "raw" not in readings["stats"]
    if readings.pool.source == "files":
        merged = {key: value for row in raw for key, value in row.items()}
        assert (len(raw), merged) == (3, readings.status(readings["raw"]["as_of"]))
    elif readings.pool.source == "api":
        assert raw["dsps1"] > 0
    else:
        assert raw["hashrate1m"] > 0


def test_users_and_their_workers(readings: Readings) -> None:
    users = readings["users"]["users"]
    assert {user["user"]: [worker["worker"] for worker in user["workers"]] for user in users} == {
        name: sorted(workers) for name, workers in readings.pool.users.items()
    }
    assert [user["user"] for user in users] == sorted(readings.pool.users)
    for user in users:
        assert set(user) >= USER
        assert all(set(worker) >= WORKER and worker["user"] == user["user"] for worker in user["workers"])


def test_numbers_of_users_are_the_pool_s_own(readings: Readings) -> None:
    users = {user["user"]: user for user in readings["users"]["users"]}
    if readings.pool.source == "files":
        for name, user in users.items():
            compare_with_files(user, readings.written.users[name])
        return
    api = readings.pool.source == "api"
    for row in readings.listing("users"):
        rate = row["dsps60"] * 2**32 if api else row["hashrate1h"] * 1e9
        assert users[row["user"]]["hashrate1hr"] == pytest.approx(rate, rel=WAVES)
        assert users[row["user"]]["best_share"] == pytest.approx(row["bestdiff" if api else "bestshare"])
        assert users[row["user"]]["last_share"] == pytest.approx(row["lastshare"], abs=300)


def compare_with_files(user: Json, versions: list[Json]) -> None:
    """A real pool writes its users again each minute."""
    shown = user["hashrate1m"], user["shares"], user["best_share"], user["last_share"]
    record = next(
        row
        for row in versions
        if (rate_of(row["hashrate1m"]), row["shares"], row["bestshare"], row.get("lastshare")) == shown
    )
    assert user["authorised"] == record.get("authorised")
    for window in USER_WINDOWS:
        assert user[f"hashrate{window}"] == pytest.approx(rate_of(record[f"hashrate{window}"]), rel=1e-12)
    workers = {worker["workername"]: worker for worker in record.get("worker", [])}
    for worker in user["workers"]:
        if workers:
            assert worker["shares"] == workers[worker["worker"]]["shares"]


def test_unknown_user_is_no_error_and_is_not_made(readings: Readings) -> None:
    result = readings["unknown"]
    assert (result["users"], result["missing"]) == ([], [NOBODY])
    assert NOBODY in result["msg"]
    assert readings["users"]["missing"] == []
    assert readings.counts_before["users"] == readings.counts_after["users"]
    if readings.pool.source == "api":
        assert NOBODY not in {row["user"] for row in readings.listing("users")}


def test_only_harmless_messages_are_sent(readings: Readings) -> None:
    if readings.pool.asked is None:
        pytest.skip("a real pool does not tell what it was asked")
    assert set(readings.pool.asked()) <= HARMLESS


def test_sorting_and_limiting(readings: Readings) -> None:
    users = readings["users"]["users"]
    strongest = [user["user"] for user in readings["strongest"]["users"]]
    assert len(strongest) == 2
    rates = [user["hashrate1m"] for user in readings["strongest"]["users"]]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] >= sorted((user["hashrate1m"] for user in users), reverse=True)[1] * (1 - WAVES)
    best = [user["best_share"] for user in readings["best"]["users"]]
    assert best == sorted(best, reverse=True)
    assert len(best) == len(users)


def test_active_users(readings: Readings) -> None:
    assert {user["user"] for user in readings["active"]["users"]} == set(readings.pool.users)
    late = readings["long ago"]  # those are left who sent a share in the second of the question, as some always do
    assert all((user["last_share"] or 0) >= late["as_of"] - 1 for user in late["users"])
    assert len(late["users"]) < len(readings.pool.users)
    assert late["missing"] == []


def test_a_well_pool_is_well(readings: Readings) -> None:
    result = readings["health"]
    health = result["health"]
    assert (health["state"], health["ok"], health["status"], health["wrong"]) == ("ok", True, "ok", []), result["msg"]
    assert all(set(check) == CHECK for check in health["checks"])
    statuses = {check["name"]: check["status"] for check in health["checks"]}
    must = {
        "process", "ready", "socket_listener", "socket_stratifier", "socket_connector", "socket_generator", "leftovers",
        "work_age", "bitcoind", "statistics", "open_files", "disk", "log_errors",
    }  # fmt: skip
    assert {name for name, status in statuses.items() if status == "ok"} >= must
    assert 0 <= result["work_age"] < 20
    assert result["clients"] == sum(map(len, readings.pool.users.values()))
    assert result["stats"]["workers"] == result["clients"]


def test_second_run_says_the_same(readings: Readings) -> None:
    assert steady(readings["again"]) == steady(readings["stats"])
    assert failing(readings["health again"]["health"]) == failing(readings["health"]["health"]) == {}


def test_check_mode_says_the_same(readings: Readings) -> None:
    for word in readings.checked:
        assert steady(readings.checked[word]) == steady(readings[word]), word


def steady(result: Json) -> Json:
    """The parts of a result that do not change with time."""
    kept = {key: result[key] for key in ("source", "instance", "problems")}
    counts = ("users", "workers", "idle", "disconnected")  # miners go on sending shares
    if "health" in result:
        kept["health"] = (result["health"]["state"], failing(result["health"]))
    if "stats" in result:
        kept["stats"] = {name: result["stats"][name] for name in counts}
    if "users" in result:
        kept["users"] = [(user["user"], [worker["worker"] for worker in user["workers"]]) for user in result["users"]]
    return kept


def test_forced_source_that_is_not_answered(direct: Direct, pool: Target) -> None:
    where: dict[str, Any] = {"socket_dir": str(pool.socket_dir)}
    sources = [source for source in ("guide", "api") if source != pool.source]
    asked = [(name, {**where, "source": source}) for source in sources for name in ("ckpool_stats", "ckpool_user_info")]
    for (name, options), result in zip(asked, direct.modules(asked), strict=True):
        # The guide's builds list users too, and so does the query API: there a source is as good as the other.
        if name == "ckpool_user_info" and pool.source != "files":
            continue
        assert result.get("failed"), (name, options)
        assert (result["phase"], result["reason"]) == ("ask", "source_not_answered")
        assert result["path"] == str(pool.socket_dir / "stratifier")
        assert "auto" in result["hint"]
        assert result["state"] == "ok"
    users = json.loads(pool.ask("stratifier", "stats").text)["users"]
    assert (users["count"] if isinstance(users, dict) else users) == len(pool.users)
