# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_info: each subset has the structure of its own module."""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import time
import types
import typing as t
from pathlib import Path

import pytest

basic = pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils import _answer_cache, _discovery
from ansible_collections.ckpool.fleet.plugins.module_utils._ask import gather

from tests.support import DEADLINE, HARMLESS, FakeSocket, Simulated, answers

from .conftest import Run

pytestmark = pytest.mark.usefixtures("fakes_are_ours", "alone", "memory")
SUBSETS = [
    "summary", "stats", "users", "workers", "clients", "workbase", "blocks", "config", "instances", "sockets",
]  # fmt: skip
COMMON = {"instance", "source", "as_of", "sources", "problems", "shared", "msg", "changed"}
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}
NAMES = ["alice", "bob", "carol"]
#: the module that a subset is from, with the options that make it answer as the subset does
OWN: t.Dict[str, t.Tuple[str, t.Dict[str, t.Any]]] = {
    "stats": ("ckpool_stats", {}),
    "users": ("ckpool_user_info", {"sort_by": "hashrate1m", "limit": 100}),
    "workers": ("ckpool_worker_info", {"sort_by": "hashrate1m", "limit": 100}),
    "workbase": ("ckpool_workbase_info", {}),
    "blocks": ("ckpool_block_info", {}),
}
#: what differs between two moments
MOVING = {"uptime", "age", "time", "last_share", "updated", "work_age"}


@pytest.fixture(scope="module", params=["public", "api", "guide", "2017", "2026"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Simulated]:
    """A daemon that the tests only read from, of each dialect and layout, that has found two blocks."""
    kind = {"layout": request.param} if request.param.isdigit() else {"dialect": request.param}
    simulation = {"user_names": NAMES, "workers_per_user": 2, "uptime": 90000, **kind}
    with Simulated(tmp_path_factory.mktemp("i"), **simulation) as simulated:
        simulated.wait_for_statistics()
        with open(simulated.log_dir / "ckpool.log", "a", encoding="utf-8") as stream:
            for age, height in ((9000, 3), (60, 4)):
                stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - age))
                stream.write(f"[{stamp}.250] BLOCK ACCEPTED!\n")
                stream.write(f"[{stamp}.250] Solved and confirmed block {height} by alice.rig1\n")
        yield simulated


def alike(one: t.Any, other: t.Any, name: str = "") -> bool:
    """Whether two values are the same, except for what changes from one moment to the next."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(alike(one[key], other[key], key) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(in_order(one), in_order(other))
        return len(one) == len(other) and all(alike(left, right) for left, right in pairs)
    if type(one) is not type(other) or isinstance(one, bool) or not isinstance(one, (int, float)):
        return bool(one == other)
    return name in MOVING or one == pytest.approx(other, rel=0.05)


def in_order(rows: t.List[t.Any]) -> t.List[t.Any]:
    """Rows by name: two hashrates that are close may change places."""
    return sorted(rows, key=lambda row: str(row.get("worker", row.get("user"))) if isinstance(row, dict) else "")


def of_module(name: str, capsys: pytest.CaptureFixture[str], **options: t.Any) -> t.Dict[str, t.Any]:
    """The result of another module."""
    module = importlib.import_module(f"ansible_collections.ckpool.fleet.plugins.modules.{name}")
    own = {"_ansible_remote_tmp": "/tmp", "_ansible_no_log": True}
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {**own, **options}}).encode()
    with pytest.raises(SystemExit):
        module.main()
    result: t.Dict[str, t.Any] = json.loads(capsys.readouterr().out)
    assert not result.get("failed"), result
    return result


def test_the_results_have_the_keys_of_the_contract(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir))
    assert set(result) == COMMON | set(SUBSETS)
    assert (result["changed"], result["shared"], result["problems"]) == (False, False, {})
    assert result["instance"]["state"] == "ok" and result["instance"]["pid"] == daemon.pid
    dialect = daemon.simulation.get("dialect", "public")
    assert result["source"] == result["sources"]["users"] == ("files" if dialect == "public" else dialect)
    assert abs(result["as_of"] - time.time()) < 100 + DEADLINE  # statistics are written every 100 s
    assert result["msg"].endswith(f"is ok: {', '.join(SUBSETS)}")
    assert {message for _name, message in daemon.record()} <= HARMLESS | {"getbase", "current.workbase"}


@pytest.mark.parametrize("subset", OWN)
def test_each_subset_is_what_its_own_module_returns(
    run: Run, daemon: Simulated, capsys: pytest.CaptureFixture[str], subset: str
) -> None:
    mine = run(socket_dir=str(daemon.socket_dir), gather_subset=[subset])
    assert set(mine) == COMMON | {subset} and mine[subset]
    name, options = OWN[subset]
    other = of_module(name, capsys, socket_dir=str(daemon.socket_dir), **options)
    assert alike(mine[subset], other[subset])
    assert mine["sources"][subset] == other["source"] and mine["problems"] == other["problems"]
    assert mine["instance"] == other["instance"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["min"], ["summary"]),
        (["!all"], ["summary"]),
        ("users,blocks", ["users", "blocks"]),
        (["!all", "!min"], []),
        (["all", "!users", "!instances"], [name for name in SUBSETS if name not in ("users", "instances")]),
    ],
    ids=str,
)
def test_only_what_was_asked_for(run: Run, daemon: Simulated, words: t.Any, expected: t.List[str]) -> None:
    result = run(socket_dir=str(daemon.socket_dir), gather_subset=words)
    assert set(result) == COMMON | set(expected)
    assert result["msg"].endswith(f"is ok: {', '.join(expected) or 'nothing'}")


@pytest.mark.usefixtures("alone")
def test_check_mode_reads_all_the_same(run: Run, daemon: Simulated) -> None:
    options = {"socket_dir": str(daemon.socket_dir), "share_within": 0}
    usual, checked = run(**options), run(**options, _ansible_check_mode=True)
    assert alike({**usual, "as_of": 0}, {**checked, "as_of": 0})


def test_how_much_of_it(run: Run, daemon: Simulated) -> None:
    """0 is all of them."""
    ask = functools.partial(run, socket_dir=str(daemon.socket_dir), gather_subset=["users", "workers", "blocks"])
    some = ask(limit=1, sort_by="user", active_within="1h", blocks_limit=1)
    assert [user["user"] for user in some["users"]] == ["alice"]
    assert len(some["workers"]) == 1 and some["workers"][0]["user"] == "alice"
    assert [block["height"] for block in some["blocks"]] == [4]
    every = ask(limit=0, blocks_since="7d")
    assert (len(every["users"]), len(every["workers"])) == (3, 6)
    assert [block["height"] for block in every["blocks"]] == [4, 3]
    assert [block["height"] for block in ask(blocks_since="1h")["blocks"]] == [4]
    assert ask(blocks_since=str(int(time.time())))["blocks"] == []


def test_the_summary_is_complete(run: Run, daemon: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "version_of", lambda pid: "0.9.9" if pid == daemon.pid else None)
    result = run(socket_dir=str(daemon.socket_dir), gather_subset="min")
    summary = result["summary"]
    assert (summary["name"], summary["mode"], summary["state"], summary["version"]) == ("ckpool", "pool", "ok", "0.9.9")
    assert summary["pid"] == daemon.pid and summary["work_age"] < 60
    assert (summary["users"], summary["workers"]) == (3, 6) and summary["hashrate1m"] > 0
    assert (summary["last_block"]["height"], summary["last_block"]["worker"]) == (4, "alice.rig1")


def test_the_configuration_has_no_secrets(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    config = json.loads(daemon.config_path.read_text())
    secret = [{"url": "127.0.0.1:8332", "auth": "SECRET-1", "pass": "SECRET-2", "notify": True}]
    more = {"btcd": secret, "proxy": secret, "nodes": {"a": [{"token": ["SECRET-3", {"x": "SECRET-4"}]}]}}
    daemon.config_path.write_text(json.dumps({**config, **more}) + "\na comment\n")
    result = run(socket_dir=str(daemon.socket_dir))
    assert "SECRET" not in json.dumps(result)
    assert result["config"]["btcd"][0]["url"] == "127.0.0.1:8332" and result["config"]["btcd"][0]["pass"] == "********"
    assert result["config"]["logdir"] == str(daemon.log_dir) and result["config"]["btcd"][0]["notify"] is True


def test_it_starts_no_other_process(run: Run, daemon: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    started: t.List[t.Any] = []
    for module, name in ((os, "fork"), (os, "posix_spawn"), (os, "system"), (subprocess, "Popen")):
        monkeypatch.setattr(module, name, lambda *args, **_more: started.append(args))
    assert run(socket_dir=str(daemon.socket_dir))["problems"] == {} and not started


# Sharing


def test_the_same_question_within_a_second_gets_the_same_answer(
    run: Run, daemon: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(
        _answer_cache, "time", types.SimpleNamespace(monotonic=lambda: now)
    )  # a busy machine takes longer
    ask = functools.partial(run, socket_dir=str(daemon.socket_dir))
    first, asked = ask(), len(daemon.record())
    second = ask()
    assert (first["shared"], second["shared"]) == (False, True)
    assert {**second, "shared": False} == first
    assert len(daemon.record()) == asked
    assert ask(fail_when_down=True)["shared"] is True, "which is no other question"
    assert len(daemon.record()) == asked


@pytest.mark.parametrize(
    "other",
    [
        {"gather_subset": ["stats"]}, {"limit": 1}, {"sort_by": "user"}, {"active_within": "1h"}, {"blocks_limit": 1},
        {"blocks_since": "1h"}, {"source": "files"}, {"timeout": 2}, {"share_within": 0}, {"max_reply": 1_000_000},
    ],
    ids=str,
)  # fmt: skip
def test_another_question_does_not(run: Run, simulate: t.Callable[..., Simulated], other: t.Dict[str, t.Any]) -> None:
    daemon = simulate()
    run(socket_dir=str(daemon.socket_dir))
    asked = len(daemon.record())
    assert run(socket_dir=str(daemon.socket_dir), **other)["shared"] is False
    assert len(daemon.record()) > asked


def test_a_pool_that_was_restarted_is_asked_again(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    first = run(socket_dir=str(daemon.socket_dir), gather_subset="min")
    daemon.stop()
    gone = run(socket_dir=str(daemon.socket_dir), gather_subset="min")
    assert (gone["shared"], gone["instance"]["state"]) == (False, "down")
    daemon.start()
    second = run(socket_dir=str(daemon.socket_dir), gather_subset="min")
    assert second["shared"] is False and second["summary"]["pid"] == daemon.pid != first["summary"]["pid"]


def test_an_answer_that_is_shared_fails_too_when_it_shall(run: Run, home: Path) -> None:
    where = {"socket_dir": str(home / "nowhere"), "gather_subset": ["stats"]}
    assert run(**where).get("failed", False) is False
    assert run(**where, fail_when_down=True)["failed"] is True
    assert run(**where).get("failed", False) is False


# Unhealthy pools and bad input


def test_a_pool_that_is_down_is_an_answer(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"))
    assert set(result) == COMMON | set(SUBSETS) | {"log_tail"}
    assert (result["instance"]["state"], result["source"], result["as_of"]) == ("down", None, None)
    for name in ("clients", "workbase", "config"):
        assert result[name] is None and result["problems"][name], name
    assert "is down: " in result["msg"] and result["msg"].endswith("; not determined: clients, workbase, config")
    failed = run(socket_dir=str(home / "nowhere"), fail_when_down=True)
    assert failed["failed"] is True
    same = set(result) - {"changed", "shared"}
    assert {name: failed[name] for name in same} == {name: result[name] for name in same}


def test_a_pool_that_hangs_costs_one_timeout(
    run: Run, simulate: t.Callable[..., Simulated], asked_at_once: t.Callable[[int], t.List[str]]
) -> None:
    daemon = simulate(user_names=NAMES)
    daemon.wait_for_statistics()
    daemon.change(faults=["hung"])
    together = asked_at_once(4)
    result = run(socket_dir=str(daemon.socket_dir), timeout=2)
    assert len(set(together)) == 4, "all is asked at once, and nothing after the timeout"
    assert result["instance"]["state"] == "hung" and result["log_tail"]
    assert len(result["users"]) == 3 and result["source"] == "files"
    assert {row["outcome"] for row in result["sockets"]} == {"unanswered"}
    assert [message for _name, message in daemon.record()] == ["ping"] * 4


def test_what_cannot_be_had_is_null_and_the_rest_is_there(run: Run, home: Path) -> None:
    counts = {"workbases": {"count": 1}, "clients": {"count": 7}}
    with FakeSocket(str(home / "stratifier"), answers({"ping": "pong", "stats": counts})):
        result = run(socket_dir=str(home), log_dir=str(home / "logs"), fail_when_down=True)
    assert result["instance"]["state"] == "degraded"
    empty = {"stats", "users", "workers", "workbase", "blocks", "config"}
    assert {name for name in SUBSETS if result[name] is None} == empty
    assert set(result["problems"]) >= empty
    assert result["clients"]["authorised_or_new"] == 7 and result["summary"]["state"] == "degraded"


def test_a_source_that_the_build_does_not_have(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    result = run(socket_dir=str(simulate().socket_dir), source="guide", gather_subset=["stats", "config"])
    assert result["stats"] is None and result["config"] and "guide's dialect" in result["problems"]["stats"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"gather_subset": ["hardware"]}, "gather_subset 'hardware' is not one of all, min, summary, stats"),
        ({"gather_subset": ["stats", "!hardware"]}, "gather_subset '!hardware'"),
        ({"gather_subset": {"a": 1}}, "gather_subset"),
        ({"limit": -1}, "limit must be from 0"),
        ({"limit": 10_000_001}, "limit must be from 0"),
        ({"limit": "few"}, "limit"),
        ({"sort_by": "worker"}, "sort_by"),
        ({"active_within": "soon"}, "not a duration: 'soon'"),
        ({"active_within": ""}, "not a duration: ''"),
        ({"blocks_limit": 0}, "blocks_limit must be from 1"),
        ({"blocks_limit": 10_001}, "blocks_limit must be from 1 to 10000"),
        ({"blocks_since": "the dawn of time"}, "not a duration"),
        ({"share_within": -0.1}, "share_within must be from 0 to 1"),
        ({"share_within": 1.5}, "share_within must be from 0 to 1"),
        ({"share_within": "nan"}, "share_within must be from 0 to 1"),
        ({"timeout": 0}, "timeout must be from 0.01"),
        ({"max_reply": 0}, "max_reply must be from 1"),
        ({"source": "hearsay"}, "source"),
        ({"fail_when_down": 7}, "fail_when_down"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_refused_by_name_before_anything_is_sent(
    run: Run, home: Path, option: t.Dict[str, t.Any], text: str
) -> None:
    with FakeSocket(str(home / "stratifier"), answers({})) as fake:
        result = run(socket_dir=str(home), **option)
        assert fake.messages == []
    assert result["failed"] is True and text in result["msg"]


def test_a_failure_to_find_says_what_was_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: [])
    result = run(name="unheard-of")
    assert set(result) >= FAILURE and (result["phase"], result["reason"]) == ("find", "no_instance")


def test_a_folder_for_answers_that_somebody_else_made_is_refused_and_said(
    run: Run, simulate: t.Callable[..., Simulated], memory: Path
) -> None:
    daemon = simulate()
    (memory.parent / "elsewhere").mkdir(mode=0o700)
    memory.symlink_to(memory.parent / "elsewhere")
    options = {"socket_dir": str(daemon.socket_dir), "gather_subset": ["sockets"]}
    result = run(**options)
    assert "is a link" in result["problems"]["sharing"] and str(memory) in result["problems"]["sharing"]
    assert result["shared"] is False and not list((memory.parent / "elsewhere").iterdir())
    assert "sharing" not in run(**options, share_within=0)["problems"]
