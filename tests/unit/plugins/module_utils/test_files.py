# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status file, caught half written, corrupt, or not ours to read; and what files and log together say."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError, Unparsable, Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.files import FileSource

from tests.support import laid_out

NOW = 1795385500
COUNTS = json.dumps({"runtime": 60, "lastupdate": NOW, "Users": 1, "Workers": 2, "Idle": 0, "Disconnected": 0})
RATES = json.dumps({"hashrate1m": "38.5M", "hashrate5m": "1e+03T", "hashrate1hr": "0"})
SHARES = json.dumps({"diff": 0.1, "accepted": 10, "rejected": 1, "bestshare": 5, "SPS1m": 0.5})


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """An empty log directory."""
    for folder in ("pool", "users"):
        (tmp_path / folder).mkdir()
    return tmp_path


def source_of(logs: Path, **more: t.Any) -> FileSource:
    """The files of an instance that does not run."""
    instance = Instance("/nowhere", "ckpool", log_dir=str(logs), **more)
    return FileSource(instance, Sockets(instance, 1.0), dict)


def test_the_status_of_2017_which_has_no_shares_yet(tmp_path: Path) -> None:
    stats, as_of, raw = source_of(laid_out("ckpool-0.9.4-2017", tmp_path)).stats()
    assert as_of == 1795385425
    assert (stats.users, stats.workers, stats.idle, stats.disconnected, stats.uptime) == (3, 4, 4, 0, 60)
    assert (stats.hashrate1m, stats.hashrate7d, stats.sps1m) == (0.0, 0.0, 0.0)
    assert (stats.accepted, stats.rejected, stats.best_share, stats.network_difficulty) == (None, None, None, None)
    assert len(raw) == 3


def test_the_status_of_2025(tmp_path: Path) -> None:
    source = source_of(laid_out("elopool-0.9.9-2025", tmp_path))
    stats, as_of, _raw = source.stats()
    assert as_of == 1795385524
    rates = [stats.as_dict()[f"hashrate{window}"] for window in ("1m", "5m", "15m", "1hr", "6hr", "1d", "7d")]
    assert rates == pytest.approx([14.6e6, 17.8e6, 8.14e6, 2.29e6, 395e3, 99.3e3, 14.2e3])
    assert (stats.users, stats.workers, stats.idle, stats.disconnected, stats.uptime) == (1, 1, 1, 1, 300)
    assert (stats.accepted, stats.rejected, stats.best_share) == (1, 0, 0)
    assert (stats.sps1m, stats.sps5m, stats.sps15m, stats.sps1h) == (0.0034, 0.00415, 0.0019, 0.000534)
    assert source.problems == {}


def test_the_status_of_2026_with_fields_of_its_own(tmp_path: Path) -> None:
    stats, as_of, raw = source_of(laid_out("ckpool-lhr-1.0.0-2026", tmp_path)).stats()
    assert as_of == 1795385427
    assert (stats.hashrate1m, stats.hashrate1d, stats.hashrate7d) == (340e3, 357.0, 51.1)
    assert (stats.network_difficulty, stats.accepted, stats.best_share) == (8.63886e13, 0.00719, 0.0243463)
    assert raw[0]["UserAgents"][0]["ua"] == "sharer"


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (COUNTS, {"users": 1, "hashrate1m": None, "accepted": None}),
        (COUNTS + "\n", {"users": 1, "hashrate1m": None, "accepted": None}),
        (f"{COUNTS}\n{RATES}\n", {"users": 1, "hashrate1m": 38.5e6, "accepted": None}),
        (f"{COUNTS}\n{RATES[:30]}", {"users": 1, "hashrate1m": None, "accepted": None}),
        (f"{COUNTS}\n{RATES}\n{SHARES[:-1]}", {"users": 1, "hashrate1m": 38.5e6, "accepted": None}),
        (f"junk\n{RATES}\n{SHARES}\n", {"users": None, "hashrate1m": 38.5e6, "accepted": 10}),
        (f"[1]\n{RATES}\n\xff\n", {"users": None, "hashrate1m": 38.5e6, "accepted": None}),
    ],
)
def test_of_a_half_written_status_what_is_whole_is_kept(logs: Path, text: str, has: t.Dict[str, t.Any]) -> None:
    (logs / "pool" / "pool.status").write_bytes(text.encode("latin-1"))
    source = source_of(logs)
    stats = source.stats()[0].as_dict()
    assert {name: stats[name] for name in has} == has
    assert "pool.status" in source.problems["pool.status"]


@pytest.mark.parametrize("digits", [640, 641, 4301, 100_000])
def test_an_integer_of_the_status_that_is_too_long_costs_nothing_else(logs: Path, digits: int) -> None:
    """Python refuses to read one of more than 4300 digits."""
    counts = json.dumps({**json.loads(COUNTS), "Workers": 0}).replace('"Workers": 0', f'"Workers": {"9" * digits}')
    (logs / "pool" / "pool.status").write_text(f"{counts}\n{RATES}\n{SHARES}\n")
    source = source_of(logs)
    stats = source.stats()[0]
    assert (stats.users, stats.workers, stats.hashrate1m, stats.accepted) == (1, None, 38.5e6, 10)
    assert "Workers" in source.problems["pool.status"]


@pytest.mark.parametrize(
    "text", ["", "\n\n\n", "{", "junk", COUNTS[:-1], "[]", "\0" * 4096, "\n" * 10**6, "[" * 100_000, '{"a":' * 100_000]
)
def test_a_status_without_a_whole_line_is_an_error(logs: Path, text: str) -> None:
    (logs / "pool" / "pool.status").write_text(text)
    with pytest.raises(Unparsable) as caught:
        source_of(logs).stats()
    assert caught.value.path == str(logs / "pool" / "pool.status")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("first", ["", COUNTS, f"{COUNTS}\n{RATES}\n", f"{COUNTS}\n{RATES}\n{SHARES[:9]}"])
def test_a_status_that_is_just_being_written_is_read_once_more(
    logs: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    path = logs / "pool" / "pool.status"
    path.write_text(first)
    monkeypatch.setattr(time, "sleep", lambda _seconds: path.write_text(f"{COUNTS}\n{RATES}\n{SHARES}\n"))
    source = source_of(logs)
    stats = source.stats()[0]
    assert (stats.users, stats.hashrate1m, stats.accepted) == (1, 38.5e6, 10)
    assert source.problems == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"hashrate1m": "junk"}', ["hashrate1m"]),
        ('{"hashrate1m": {}}', ["hashrate1m"]),
        ('{"hashrate1m": -1}', ["hashrate1m"]),
        ('{"hashrate1m": NaN}', ["hashrate1m"]),
        ('{"hashrate1m": "1e400"}', ["hashrate1m"]),
        ('{"hashrate1m": 1e400}', ["hashrate1m"]),
        (f'{{"hashrate1m": {10**299}}}', ["hashrate1m"]),
        ('{"Users": "many"}', ["users"]),
        ('{"Users": 1e400}', ["users"]),
        ('{"Users": Infinity}', ["users"]),
        (f'{{"Users": {10**299}}}', ["users"]),
        ('{"Users": -1}', ["users"]),
        ('{"runtime": [1]}', ["uptime"]),
        ('{"accepted": true}', ["accepted"]),
        (f'{{"accepted": {2**63}}}', ["accepted"]),
        ('{"accepted": NaN, "rejected": -Infinity}', ["accepted", "rejected"]),
        ('{"accepted_count": {}}', ["accepted_count"]),
        ('{"SPS1h": "x"}', ["sps1h"]),
    ],
)
def test_a_field_of_the_status_that_makes_no_sense_is_null_and_named_and_the_rest_is_kept(
    logs: Path, text: str, names: t.List[str]
) -> None:
    whole = json.dumps({**json.loads(SHARES), "accepted_count": 9, "rejected_count": 1, "SPS1h": 0.1})
    path = logs / "pool" / "pool.status"
    path.write_text(f"{COUNTS}\n{RATES}\n{whole}\n")
    expected = source_of(logs).stats()[0].as_dict()
    assert all(expected[name] is not None for name in names)
    path.write_text(f"{COUNTS}\n{RATES}\n{whole}\n{text}\n")
    source = source_of(logs)
    assert source.stats()[0].as_dict() == {**expected, **dict.fromkeys(names)}
    problem = source.problems["pool.status"]
    assert all(field in problem for field in json.loads(text)) and len(problem) < 300


@pytest.mark.parametrize("value", ["now", 10**18, -5, 1e300])
def test_a_time_of_the_status_that_is_none_is_null_and_named(logs: Path, value: t.Any) -> None:
    (logs / "pool" / "pool.status").write_text(f"{COUNTS}\n{RATES}\n{SHARES}\n{json.dumps({'lastupdate': value})}\n")
    source = source_of(logs)
    stats, as_of, _raw = source.stats()
    assert (stats.users, as_of) == (1, None)
    assert "lastupdate is " in source.problems["pool.status"]


def test_a_status_from_the_future_keeps_its_time_and_is_said_so(logs: Path) -> None:
    ahead = int(time.time()) + 7200
    (logs / "pool" / "pool.status").write_text(f"{COUNTS}\n{RATES}\n{SHARES}\n{json.dumps({'lastupdate': ahead})}\n")
    source = source_of(logs)
    assert source.stats()[1] == ahead
    assert "lastupdate is from the future" in source.problems["pool.status"]


def test_counts_user_agents_and_effort_of_2026(tmp_path: Path) -> None:
    stats = source_of(laid_out("ckpool-lhr-1.0.0-2026", tmp_path)).stats()[0]
    assert (stats.accepted_count, stats.rejected_count, stats.effort) == (95, 0, 0.0)
    assert stats.as_dict()["user_agents"] == [
        {"user_agent": "sharer", "devices": 1, "hashrate5m": 93600.0, "best_share": 0.024346330891715791}
    ]
    other = source_of(laid_out("elopool-0.9.9-2025", tmp_path)).stats()[0]
    assert (other.accepted_count, other.effort, other.user_agents) == (None, 100.0, None)


def test_an_odd_user_agent_costs_no_other(logs: Path) -> None:
    agents = [5, {"ua": "good", "devices": 2}, {"ua": 7, "devices": "x", "hashrate5m": "1.5m"}, None]
    (logs / "pool" / "pool.status").write_text(f"{COUNTS}\n{RATES}\n{SHARES}\n{json.dumps({'UserAgents': agents})}\n")
    source = source_of(logs)
    found = source.stats()[0].user_agents or []
    assert [(agent.user_agent, agent.devices, agent.hashrate5m) for agent in found] == [
        ("good", 2, None), ("", None, 0.0015),
    ]  # fmt: skip
    assert "a user agent is not an object: 5" in source.problems["pool.status"]


@pytest.mark.parametrize(
    ("kind", "reason"), [("absent", "absent"), ("folder", "not_a_file"), ("pipe", "not_a_file"), ("huge", "too_large")]
)
def test_a_status_that_is_no_readable_file_is_said_so_at_once(logs: Path, kind: str, reason: str) -> None:
    path = logs / "pool" / "pool.status"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.touch()
        os.truncate(path, 10 * 1024**3)
    start = time.process_time()
    with pytest.raises(Unreadable) as caught:
        source_of(logs).stats()
    assert (caught.value.reason, caught.value.phase, caught.value.path) == (reason, "read", str(path))
    assert time.process_time() - start < 2


def test_a_status_that_is_no_utf_8_costs_nothing_else(logs: Path) -> None:
    agents = b'{"UserAgents": [{"ua": "a\xff", "devices": 1}, {"ua": "\\udfff"}]}'
    (logs / "pool" / "pool.status").write_bytes(f"{COUNTS}\n{RATES}\n{SHARES}\n".encode() + agents + b"\n")
    stats = source_of(logs).stats()[0]
    assert [agent.user_agent for agent in stats.user_agents or []] == ["a\\xff", "\\udfff"]
    assert stats.users == 1


def test_problems_are_errors_of_the_pool_and_nothing_else() -> None:
    with pytest.raises(PoolError):
        source_of(Path("/nonexistent")).stats()


@pytest.mark.parametrize("mode", ["passthrough", "redirector"])
def test_statistics_of_an_earlier_life_of_the_folder_are_not_those_of_a_mode_that_writes_none(
    tmp_path: Path, mode: str
) -> None:
    source = source_of(laid_out("elopool-0.9.9-2025", tmp_path), mode=mode)
    with pytest.raises(Unreadable, match=f"{mode} mode writes no statistics"):
        source.stats()
