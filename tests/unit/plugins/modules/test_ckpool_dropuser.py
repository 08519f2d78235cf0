# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_dropuser: its results, check mode, its diff, and its failures."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery

from tests.support import DEADLINE, HARMLESS, Simulated

from .conftest import Run

pytestmark = pytest.mark.usefixtures("memory")
KEYS = {
    "users", "dropped", "returned", "unknown", "replies", "source", "instance", "problems", "msg", "changed",
    "missing",
}  # fmt: skip
CLIENT = {"client_id", "user", "worker", "address", "since"}
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}
NAMES = ["alice", "bob"]
Start = t.Callable[..., Simulated]


@pytest.fixture
def pool(simulate: Start) -> Start:
    """Two users with two workers each, which do not return unless reconnect_after is set."""

    def start(*options: str, **simulation: t.Any) -> Simulated:
        return simulate(*options, **{"user_names": NAMES, "reconnect_after": 60, **simulation})

    return start


def sent(daemon: Simulated) -> t.List[t.Tuple[str, t.Optional[str]]]:
    return [entry for entry in daemon.record() if entry[1] not in HARMLESS | {"clients"}]


def of(user: str, connected: int, dropped: int, returned: int = 0) -> t.Dict[str, t.Any]:
    return {"user": user, "connected": connected, "dropped": dropped, "returned": returned}


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize("layout", ["2017", "2025", "2026"])
def test_twice_and_in_check_mode(run: Run, pool: Start, dialect: str, layout: str) -> None:
    daemon = pool(dialect=dialect, layout=layout)
    options = {"socket_dir": str(daemon.socket_dir), "users": ["alice"], "watch": 0}
    predicted = run(**options, _ansible_check_mode=True, _ansible_diff=True)
    assert sent(daemon) == []
    first = run(**options, _ansible_diff=True)
    told = sent(daemon)
    checked = run(**options, _ansible_check_mode=True, _ansible_diff=True)
    second = run(**options, _ansible_diff=True)
    assert [result["changed"] for result in (predicted, first, checked, second)] == [True, True, False, False]
    assert all(set(result) == KEYS | {"diff"} for result in (predicted, first, checked, second))
    assert predicted["users"] == first["users"] == [of("alice", 2, 2)]
    assert checked["users"] == second["users"] == [of("alice", 0, 0)]
    assert predicted["dropped"] == first["dropped"] and all(set(client) == CLIENT for client in first["dropped"])
    assert [client["worker"] for client in first["dropped"]] == ["alice.rig0", "alice.rig1"]
    addresses = [client["address"] for client in first["dropped"]]
    assert addresses == ([None] * 2 if layout == "2017" and dialect != "api" else ["127.0.0.1", "127.0.0.2"])
    assert first["diff"]["before"].count("alice.rig") == 2 and "bob" not in first["diff"]["before"]
    assert first["diff"]["after"] == second["diff"]["before"] == second["diff"]["after"] == "clients: \n"
    assert predicted["msg"].endswith("2 clients would be dropped, alice 2")
    assert first["msg"].endswith("2 of 2 clients dropped, alice 2")
    assert second["msg"].endswith("no such client is known to be connected")
    if dialect == "guide":
        assert told == [("stratifier", "dropuser=alice")]
        assert first["replies"] == {"alice": "dropped 2 clients of user alice"}
    else:
        assert told == [("connector", "dropclient=1"), ("connector", "dropclient=2")]
    assert sent(daemon) == told


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_nobody_is_made(run: Run, pool: Start, dialect: str) -> None:
    daemon = pool(dialect=dialect)
    for is_check in (True, False):
        result = run(
            socket_dir=str(daemon.socket_dir), users=["nobody"], workers=["none.rig0"], _ansible_check_mode=is_check
        )
        assert result["changed"] is False and result["users"] == [of("nobody", 0, 0)] and result["dropped"] == []
    assert sent(daemon) == []


@pytest.mark.parametrize("is_check", [True, False])
def test_a_name_that_nobody_knows_is_no_silent_success(run: Run, pool: Start, is_check: bool) -> None:
    daemon = pool()
    daemon.wait_for_statistics()
    options = {"socket_dir": str(daemon.socket_dir), "users": ["alice", "alcie"], "workers": ["bob.rig9"], "watch": 0}
    failed = run(**options, fail_when_missing=True, _ansible_check_mode=is_check)
    assert set(failed) == KEYS | FAILURE
    assert (failed["phase"], failed["reason"], failed["missing"]) == ("ask", "missing", ["alcie", "bob.rig9"])
    assert "not known: alcie, bob.rig9" in failed["msg"] and failed["hint"] in failed["msg"]
    assert failed["changed"] is True and failed["users"][0] == of("alice", 2, 2), "the others are dropped"
    result = run(**options, _ansible_check_mode=is_check)
    assert (result["missing"], "failed" in result) == (["alcie", "bob.rig9"], False)
    assert result["msg"].endswith("; not known here: alcie, bob.rig9")


def test_of_several_pools_one_has_to_know_a_name(run: Run, pool: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    daemons = [pool(user_names=[name]) for name in ("alice", "bob")]
    found = []
    for daemon in daemons:
        daemon.wait_for_statistics()
        found.append(_discovery.find(str(daemon.socket_dir)))
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: found)
    options = {"all_instances": True, "fail_when_missing": True, "watch": 0}
    result = run(users=["alice", "bob"], **options)
    assert ("failed" in result, result["missing"]) == (False, [])
    assert [row["missing"] for row in result["instances"]] == [["bob"], ["alice"]]
    result = run(users=["alice", "nobody"], **options)
    assert (result["failed"], result["reason"], result["missing"]) == (True, "missing", ["nobody"])


def test_one_client_is_no_plural(run: Run, pool: Start) -> None:
    result = run(socket_dir=str(pool().socket_dir), workers=["alice.rig0"], _ansible_check_mode=True)
    assert result["msg"].endswith("1 client would be dropped, alice 1")


def test_workers_and_ids_and_who_comes_back(run: Run, pool: Start) -> None:
    daemon = pool(reconnect_after=0.2)
    result = run(socket_dir=str(daemon.socket_dir), workers="bob.rig0,alice.rig0", client_ids=[4, 4], watch=8)
    assert result["users"] == [of("alice", 1, 1, 1), of("bob", 2, 2, 1)]
    assert {client["worker"] for client in result["returned"]} == {"bob.rig0", "alice.rig0"}, "an id does not come back"
    assert "2 came back within 8 s" in result["msg"]


def test_a_level_that_hides_who_connects(run: Run, pool: Start) -> None:
    """The clients of the other user are known, and are dropped."""
    daemon = pool()
    names = [*NAMES, "carol"]
    result = run(socket_dir=str(daemon.socket_dir), users=names, watch=0, _ansible_check_mode=True)
    assert "failed" not in result
    from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control

    control = Control.find(str(daemon.socket_dir))
    control.send_loglevel(4)
    control.remember(loglevel=4)
    for is_check in (True, False):
        result = run(socket_dir=str(daemon.socket_dir), users=names, watch=0, _ansible_check_mode=is_check)
        assert set(result) == KEYS | FAILURE
        assert (result["phase"], result["reason"], result["changed"]) == ("ask", "clients_unknown", True)
        assert result["path"] == str(daemon.log_dir / "ckpool.log")
        assert "level=notice" in result["hint"] and result["hint"] in result["msg"]
        assert list(result["unknown"]) == ["carol"] and "carol: the log level is 4" in result["msg"]
        assert result["users"] == [of("alice", 2, 2), of("bob", 2, 2), of("carol", 0, 0)]
    assert len(sent(daemon)) == 1 + 4


@pytest.mark.parametrize(
    ("options", "reason", "text"),
    [
        ({"users": ["alice", "a/b"]}, "bad_user_name", "'a/b' holds '/'"),
        ({"users": ["a\nb"]}, "bad_user_name", "holds a newline"),
        ({"users": [""]}, "bad_user_name", "'' is empty"),
        ({"users": ["x" * 128]}, "bad_user_name", "more than 127 bytes"),
        ({"workers": ["a\nb"]}, "bad_worker_name", "holds a newline"),
        ({"workers": ["x" * 511]}, "bad_worker_name", "more than 510 bytes"),
        ({"client_ids": [0]}, "bad_client_id", "client id 0"),
        ({"client_ids": [2**63]}, "bad_client_id", str(2**63)),
        ({}, "nobody_named", "users, workers and client_ids"),
        ({"users": []}, "nobody_named", "users, workers and client_ids"),
        ({"users": ["alice"], "watch": -1}, "out_of_range", "watch must be from 0 to 600"),
        ({"users": ["alice"], "watch": 601}, "out_of_range", "watch must be from 0 to 600"),
        ({"users": ["alice"], "watch": float("nan")}, "out_of_range", "watch must be from 0 to 600"),
    ],
)
def test_options_that_do_not_fit(run: Run, pool: Start, options: t.Dict[str, t.Any], reason: str, text: str) -> None:
    daemon = pool()
    result = run(socket_dir=str(daemon.socket_dir), **options)
    assert set(result) == FAILURE and (result["phase"], result["reason"]) == ("options", reason)
    assert text in result["msg"] and daemon.record() == []


@pytest.mark.parametrize("is_check", [False, True])
@pytest.mark.parametrize(
    ("fault", "phase", "reason"), [("hung", "ask", "unanswered"), ("refused", "connect", "refused")]
)
def test_how_failures_speak(run: Run, pool: Start, fault: str, phase: str, reason: str, is_check: bool) -> None:
    daemon = pool(faults=[fault])
    soon = 0.1 if fault == "hung" else DEADLINE
    result = run(socket_dir=str(daemon.socket_dir), timeout=soon, users=["alice"], _ansible_check_mode=is_check)
    assert set(result) - {"log_tail"} == FAILURE
    assert (result["phase"], result["reason"], result["path"]) == (phase, reason, str(daemon.socket_dir / "listener"))
    assert result["hint"] in result["msg"]
    assert sent(daemon) == []


def test_no_pool(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"), users=["alice"])
    assert (result["phase"], result["reason"]) == ("connect", "absent")


def test_no_log(run: Run, pool: Start) -> None:
    daemon = pool()
    result = run(socket_dir=str(daemon.socket_dir), users=["alice"], log_dir=str(daemon.folder / "nowhere"))
    assert (result["phase"], result["path"]) == ("read", str(daemon.folder / "nowhere" / "ckpool.log"))
    assert sent(daemon) == []
