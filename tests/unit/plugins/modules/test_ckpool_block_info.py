# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_block_info."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from tests.support import HARMLESS, FakeSocket, Simulated, answers

from .conftest import Run

pytestmark = pytest.mark.usefixtures("fakes_are_ours")

KEYS = {"blocks", "complete", "reached", "instance", "source", "as_of", "problems", "msg", "changed"}
BLOCK = {
    "time", "height", "hash", "worker", "user", "difficulty", "network_difficulty", "accepted", "reason", "stale",
    "shares", "effort",
}  # fmt: skip


def find(age: float, height: int, result: str = "BLOCK ACCEPTED!") -> str:
    """The log lines of a block that was found this number of seconds ago."""
    last = f"Solved and confirmed block {height} by alice.rig0"
    if "ACCEPTED" not in result:
        last = f"Submitted, but had block {height} rejected"
    stamp = time.strftime("[%Y-%m-%d %H:%M:%S.250] ", time.localtime(time.time() - age))
    return "".join(f"{stamp}{text}\n" for text in ("Possible block solve diff 27.5 !", result, last))


@pytest.fixture(params=["public", "api", "guide"])
def daemon(request: pytest.FixtureRequest, simulate: t.Callable[..., Simulated]) -> Simulated:
    """A daemon that found blocks, in each of the dialects."""
    simulated = simulate(dialect=request.param)
    with open(simulated.log_dir / "ckpool.log", "a", encoding="utf-8") as log:
        log.write(find(7200, 1) + find(600, 2, "SUBMIT BLOCK RETURNED: high-hash") + find(60, 3))
    (simulated.log_dir / "ckpool.log.1").write_text(find(90000, 0))
    return simulated


def test_the_results_have_the_keys_of_the_contract(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir))
    assert set(result) == KEYS and result["changed"] is False
    assert all(set(block) == BLOCK for block in result["blocks"])
    assert [block["height"] for block in result["blocks"]] == [3, 2, 1, 0]
    assert [block["accepted"] for block in result["blocks"]] == [True, False, True, True]
    assert [block["reason"] for block in result["blocks"]] == [None, "high-hash", None, None]
    assert result["blocks"][0]["time"] == pytest.approx(time.time() - 60, abs=30)
    assert (result["blocks"][0]["worker"], result["blocks"][0]["user"]) == ("alice.rig0", "alice")
    assert (result["source"], result["complete"], result["instance"]["state"]) == ("files", True, "ok")
    assert "4 blocks, 3 accepted, 1 rejected, the last 1 m ago by alice.rig0 (files)" in result["msg"]
    assert {message for _name, message in daemon.record()} <= HARMLESS


@pytest.mark.parametrize(
    ("options", "heights"),
    [
        ({"since": "1h"}, [3, 2]),
        ({"since": "3h"}, [3, 2, 1]),
        ({"since": "100"}, [3]),
        ({"since": "10s"}, []),
        ({"limit": 1}, [3]),
        ({"limit": 3, "since": "7d"}, [3, 2, 1]),
        ({"source": "files"}, [3, 2, 1, 0]),
    ],
)
def test_since_and_limit(run: Run, daemon: Simulated, options: t.Dict[str, t.Any], heights: t.List[int]) -> None:
    result = run(socket_dir=str(daemon.socket_dir), **options)
    assert [block["height"] for block in result["blocks"]] == heights
    assert result["complete"] is ("limit" not in options)
    assert heights or "no block found" in result["msg"]


def test_since_a_time(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir), since=str(int(time.time()) - 3600))
    assert [block["height"] for block in result["blocks"]] == [3, 2]


def test_the_limit_of_what_is_read_is_told(run: Run, daemon: Simulated) -> None:
    result = run(socket_dir=str(daemon.socket_dir), log_limit=400)
    assert result["complete"] is False and "log_limit" in result["problems"]["ckpool.log"]


@pytest.mark.parametrize("source", ["guide", "api"])
def test_no_socket_tells_blocks(run: Run, daemon: Simulated, source: str) -> None:
    result = run(socket_dir=str(daemon.socket_dir), source=source)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "ask", "source_not_answered")
    assert "auto" in result["hint"]


def test_of_a_pool_that_is_down_the_log_is_read(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    daemon.stop()
    (daemon.log_dir / "ckpool.log").write_text(find(60, 3))
    options = {"socket_dir": str(daemon.socket_dir), "log_dir": str(daemon.log_dir)}
    result = run(**options)
    assert set(result) == KEYS | {"log_tail"}
    assert (result["instance"]["state"], len(result["blocks"])) == ("down", 1)
    assert run(**options, fail_when_down=True)["failed"] is True
    assert len(run(**options, fail_when_down=True)["blocks"]) == 1


def test_of_a_pool_that_is_nowhere_there_is_no_block(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"))
    assert (result["blocks"], result["source"], result["complete"], result["reached"]) == ([], None, False, None)
    assert "no log" in result["msg"] and "log directory" in result["problems"]["files"]


def test_a_log_that_is_gone_is_a_failure_with_its_path(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    os.mkdir(daemon.folder / "empty")
    result = run(socket_dir=str(daemon.socket_dir), log_dir=str(daemon.folder / "empty"))
    assert (result["failed"], result["phase"], result["reason"]) == (True, "read", "absent")
    assert result["path"].endswith("empty/ckpool.log") and result["hint"] and result["state"] == "ok"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"limit": 0}, "limit must be from 1 to 10000"),
        ({"limit": 10001}, "limit must be from 1 to 10000"),
        ({"limit": "all"}, "limit"),
        ({"log_limit": 0}, "log_limit must be from 1"),
        ({"log_limit": 10**400}, "log_limit must be from 1"),
        ({"since": "yesterday"}, "not a duration: 'yesterday'"),
        ({"since": "-1h"}, "not a duration"),
        ({"since": "2026-11-22"}, "not a duration"),
        ({"timeout": 0}, "timeout must be from 0.01 to 600"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_is_refused_before_anything_is_sent(
    run: Run, home: Path, option: t.Dict[str, t.Any], text: str
) -> None:
    with FakeSocket(str(home / "stratifier"), answers({})) as fake:
        result = run(socket_dir=str(home), **option)
        assert fake.messages == []
    assert result["failed"] is True and text in result["msg"]
