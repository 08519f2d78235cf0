# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_stats, with the options and failures that all modules have."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from tests.support import FakeSocket, Simulated, answers, framed

from .conftest import Run

pytestmark = pytest.mark.usefixtures("fakes_are_ours")

COMMON = {"instance", "source", "as_of", "problems", "msg", "changed"}
INSTANCE = {"name", "mode", "socket_dir", "log_dir", "pid", "started", "root", "user", "state"}
STATS = {
    "hashrate1m", "hashrate5m", "hashrate15m", "hashrate1hr", "hashrate6hr", "hashrate1d", "hashrate7d", "users",
    "workers", "idle", "disconnected", "accepted", "rejected", "accepted_count", "rejected_count", "effort", "best_share",
    "sps1m", "sps5m", "sps15m", "sps1h", "uptime", "network_difficulty", "user_workbases", "user_agents",
}  # fmt: skip
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_the_results_have_the_keys_of_the_contract(
    run: Run, simulate: t.Callable[..., Simulated], dialect: str
) -> None:
    daemon = simulate(dialect=dialect, hashrate=6e15)
    daemon.wait_for_statistics()
    result = run(socket_dir=str(daemon.socket_dir))
    assert set(result) == COMMON | {"stats"}
    assert set(result["instance"]) == INSTANCE
    assert set(result["stats"]) == STATS
    assert result["changed"] is False
    assert result["instance"]["state"] == "ok" and result["instance"]["pid"] == daemon.pid
    assert result["source"] == ("files" if dialect == "public" else dialect)
    assert isinstance(result["as_of"], int)
    assert result["stats"]["hashrate1m"] == pytest.approx(6e15, rel=0.1)
    assert "H/s, 3 users, 6 workers" in result["msg"] and str(daemon.socket_dir) in result["msg"]


@pytest.mark.parametrize(("source", "kind"), [("files", list), ("api", dict)])
def test_the_reply_as_it_came_on_request(
    run: Run, simulate: t.Callable[..., Simulated], source: str, kind: t.Type[t.Any]
) -> None:
    daemon = simulate(dialect="api")
    daemon.wait_for_statistics()
    result = run(socket_dir=str(daemon.socket_dir), raw=True, source=source)
    assert set(result) == COMMON | {"stats", "raw"}
    assert isinstance(result["raw"], kind) and result["raw"]


def test_check_mode_reads_all_the_same(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    daemon.wait_for_statistics()
    usual = run(socket_dir=str(daemon.socket_dir))
    checked = run(socket_dir=str(daemon.socket_dir), _ansible_check_mode=True)
    assert set(checked) == set(usual) and checked["instance"] == usual["instance"] and checked["changed"] is False


def test_a_pool_that_is_down_is_an_answer(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"))
    assert set(result) == COMMON | {"stats", "log_tail"}
    assert result["instance"]["state"] == "down"
    assert set(result["stats"].values()) == {None}
    assert result["source"] is None and result["as_of"] is None
    assert "is down" in result["msg"] and "does not exist" in result["problems"]["stats"]


def test_a_pool_that_is_down_is_a_failure_on_request_with_the_same_facts(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"), fail_when_down=True)
    assert set(result) >= {"instance", "stats", "problems", "log_tail"}
    assert result["failed"] is True and result["instance"]["state"] == "down" and "is down" in result["msg"]


def test_a_failure_names_its_phase_place_cause_and_what_to_look_at(run: Run, home: Path) -> None:
    with FakeSocket(str(home / "stratifier"), answers({"ping": "pong", "stats": {"workbases": {"count": 1}}})):
        result = run(socket_dir=str(home), log_dir=str(home / "logs"))
    assert set(result) >= FAILURE
    assert (result["phase"], result["path"]) == ("read", f"{home}/logs/pool/pool.status")
    assert result["msg"].startswith("read: cannot read")
    assert result["problems"]["files"] and result["state"] == "degraded"


def test_a_source_that_the_build_does_not_have_is_a_failure(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    result = run(socket_dir=str(simulate().socket_dir), source="guide")
    assert (result["reason"], result["phase"], result["hint"]) == ("source_not_answered", "ask", "leave source at auto")
    assert "Hint: leave source at auto" in result["msg"]


@pytest.mark.parametrize(
    "option",
    [
        {"timeout": 0}, {"timeout": 0.009}, {"timeout": -1}, {"timeout": 601}, {"timeout": "nan"}, {"timeout": "inf"},
        {"timeout": "soon"}, {"timeout": [1]}, {"max_reply": 0}, {"max_reply": 2**31}, {"max_reply": 10**400},
        {"max_reply": "much"}, {"max_reply": 1.5}, {"source": "rumour"}, {"source": ""}, {"raw": "perhaps"},
        {"fail_when_down": 7}, {"unheard_of": 1},
    ],
    ids=lambda option: "-".join(f"{key}={value!s:.9}" for key, value in option.items()),
)  # fmt: skip
def test_a_wrong_type_or_range_is_refused_by_name(run: Run, home: Path, option: t.Dict[str, t.Any]) -> None:
    result = run(socket_dir=str(home), **option)
    assert result["failed"] is True
    assert next(iter(option)) in result["msg"]


def test_a_range_is_told_in_plain_numbers(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home), max_reply=0)
    assert "max_reply must be from 1 to 2147483647, not 0" in result["msg"] and result["reason"] == "out_of_range"


@pytest.mark.parametrize("option", [{"timeout": 0.01}, {"timeout": 600}, {"max_reply": 1}, {"max_reply": 2**31 - 1}])
def test_the_ends_of_a_range_belong_to_it(run: Run, home: Path, option: t.Dict[str, t.Any]) -> None:
    assert run(socket_dir=str(home / "nowhere"), **option).get("failed", False) is False


@pytest.mark.parametrize("option", ["socket_dir", "name", "log_dir"])
def test_what_cannot_be_a_path_is_refused(run: Run, option: str) -> None:
    result = run(**{option: "a\0b"})
    assert (result["failed"], result["reason"]) == (True, "bad_path")


@pytest.mark.parametrize(
    "reply",
    [
        {"hashrate1m": 1, "deep": json.loads("[" * 900 + "]" * 900)},
        {"hashrate1m": 1, "deep": json.loads("[" * 200 + "]" * 200)},
        {"hashrate1m": 1, "accepted": float("nan")},
        {"hashrate1m": 1, "name": "\ud800\udfff \udce9 \0"},
        {"hashrate1m": 1, "many": 10**300},
    ],
    ids=["deep", "less deep", "nan", "no text", "big"],
)
def test_nothing_that_a_pool_replies_breaks_the_result(run: Run, home: Path, reply: t.Dict[str, t.Any]) -> None:
    """The raw reply is printed unmodified."""
    with FakeSocket(str(home / "stratifier"), framed(json.dumps(reply).encode())):
        result = run(socket_dir=str(home), raw=True, source="guide")
    assert "raw" in result or set(result) >= FAILURE


def test_without_anything_a_failure_to_find_says_what_was_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery

    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: [])
    result = run()
    assert set(result) >= FAILURE
    assert (result["phase"], result["reason"], result["path"]) == ("find", "no_instance", "/tmp/ckpool")
    assert "no ckpool runs here" in result["msg"]
