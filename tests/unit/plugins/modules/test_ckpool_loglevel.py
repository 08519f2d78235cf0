# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_loglevel: its results, check mode, its diff, and its failures."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._host import systemd

from tests.support import DEADLINE, HARMLESS, Simulated

from .conftest import Run

pytestmark = pytest.mark.usefixtures("memory")
KEYS = {
    "level", "level_name", "previous", "previous_known", "returns", "reply", "instance", "problems", "msg", "changed",
}  # fmt: skip
INSTANCE = {"name", "mode", "socket_dir", "log_dir", "pid", "started", "root", "user", "state"}
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}
Start = t.Callable[..., Simulated]


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "has_systemd", lambda: False)


def sent(daemon: Simulated) -> t.List[t.Tuple[str, t.Optional[str]]]:
    return [entry for entry in daemon.record() if entry[1] not in HARMLESS]


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_twice_and_in_check_mode(run: Run, simulate: Start, dialect: str) -> None:
    daemon = simulate(dialect=dialect)
    options = {"socket_dir": str(daemon.socket_dir), "level": "debug"}
    predicted = run(**options, _ansible_check_mode=True, _ansible_diff=True)
    assert sent(daemon) == []
    first = run(**options, _ansible_diff=True)
    checked = run(**options, _ansible_check_mode=True)
    second = run(**options)
    assert set(first) == KEYS | {"diff"} and set(second) == set(checked) == KEYS
    assert set(first["instance"]) == INSTANCE and first["instance"]["pid"] == daemon.pid
    assert [result["changed"] for result in (predicted, first, checked, second)] == [True, True, False, False]
    assert [result["reply"] for result in (predicted, first, checked, second)] == [None, "success", None, "success"]
    assert [result["previous"] for result in (predicted, first, checked, second)] == [5, 5, 7, 7]
    assert [result["previous_known"] for result in (predicted, first, checked, second)] == [False, False, True, True]
    assert all((result["level"], result["level_name"]) == (7, "debug") for result in (predicted, first, second))
    assert (first["diff"]["before"], first["diff"]["after"]) == ("log level: 5 (notice)\n", "log level: 7 (debug)\n")
    assert first["diff"] == predicted["diff"] and str(daemon.socket_dir) in first["diff"]["before_header"]
    assert first["msg"].endswith("log level 7 (debug), before 5 (notice) as far as is known")
    assert second["msg"].endswith("log level 7 (debug), before 7 (debug)")
    assert sent(daemon) == [("stratifier" if dialect == "guide" else "listener", "loglevel=7")] * 2


@pytest.mark.parametrize(("word", "level"), [("warn", 4), ("error", 3), ("EMERG", 0), (6, 6), ("5", 5)])
def test_words(run: Run, simulate: Start, word: t.Any, level: int) -> None:
    result = run(socket_dir=str(simulate().socket_dir), level=word)
    assert result["level"] == level and result["changed"] is (level != 5)


@pytest.mark.parametrize("word", ["loud", "8", -1, "", "5.0"])
def test_a_bad_level_is_named(run: Run, simulate: Start, word: t.Any) -> None:
    daemon = simulate()
    result = run(socket_dir=str(daemon.socket_dir), level=word)
    assert set(result) - {"log_tail"} == FAILURE
    assert (result["phase"], result["reason"]) == ("options", "bad_level")
    assert repr(str(word)) in result["msg"] and "Hint: 5 (notice)" in result["msg"]
    assert daemon.record() == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "level"),
        ({"restore": True, "level": "debug"}, "neither level nor restore_after"),
        ({"restore": True, "restore_after": "10m"}, "neither level nor restore_after"),
        ({"level": "debug", "restore_after": "soon"}, "not a duration: 'soon'"),
        ({"level": "debug", "restore_after": "0.5s"}, "restore_after must be from 1 to 2592000, not 0.5"),
        ({"level": "debug", "restore_after": "31d"}, "restore_after must be from 1 to 2592000"),
        ({"level": "debug", "all_instances": True}, "neither socket_dir nor name"),
        ({"level": "debug", "timeout": 0}, "timeout must be from 0.01"),
    ],
)
def test_options_that_do_not_fit(run: Run, simulate: Start, options: t.Dict[str, t.Any], text: str) -> None:
    daemon = simulate()
    result = run(socket_dir=str(daemon.socket_dir), **options)
    assert result["failed"] and text in result["msg"] and daemon.record() == []


def test_a_level_with_restore_false(run: Run, simulate: Start) -> None:
    assert run(socket_dir=str(simulate().socket_dir), level="debug", restore=False)["changed"] is True


def test_for_a_time_and_back(run: Run, simulate: Start) -> None:
    daemon = simulate("-l", "4")
    where = {"socket_dir": str(daemon.socket_dir)}
    predicted = run(**where, level="debug", restore_after="10m", _ansible_check_mode=True)
    assert predicted["returns"]["to"] == 4 and predicted["returns"]["timer"] is None and predicted["problems"] == {}
    assert "4 (warning) is restored in 10m" in predicted["msg"]
    first = run(**where, level="debug", restore_after="10m")
    assert first["returns"]["to"] == 4 and abs(first["returns"]["at"] - time.time() - 600) < DEADLINE
    assert first["returns"]["timer"].startswith("pid ") and first["problems"] == {}
    assert "4 (warning) is restored in 10m" in first["msg"]
    second = run(**where, level="info", restore_after=90)
    assert (second["previous"], second["returns"]["to"]) == (7, 4)

    checked = run(**where, restore=True, _ansible_check_mode=True, _ansible_diff=True)
    back = run(**where, restore=True, _ansible_diff=True)
    again = run(**where, restore=True, _ansible_diff=True)
    assert [result["changed"] for result in (checked, back, again)] == [True, True, False]
    assert [(result["previous"], result["level"]) for result in (checked, back, again)] == [(6, 4), (6, 4), (4, 4)]
    assert [result["reply"] for result in (checked, back, again)] == [None, "success", None]
    assert (back["returns"], again["returns"]) == (None, None)
    assert again["diff"]["before"] == again["diff"]["after"] == "log level: 4 (warning)\n"
    assert sent(daemon) == [("listener", f"loglevel={level}") for level in (7, 6, 4)]


def test_every_instance(
    run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch, given_up_soon: t.Callable[..., None]
) -> None:
    one, hung, two = simulate(), simulate(faults=["hung"]), simulate()
    given_up_soon(hung.socket_dir)
    found = [Control.find(str(daemon.socket_dir)).instance for daemon in (one, hung, two)]
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: found)
    for is_check in (True, False):
        options = {"level": 6, "all_instances": True, "timeout": DEADLINE}
        result = run(**options, _ansible_check_mode=is_check, _ansible_diff=True)
        first, failed, second = result["instances"]
        assert result["failed"] is True and result["changed"] is True
        assert [each["changed"] for each in result["instances"]] == [True, False, True]
        assert (first["level"], second["level"]) == (6, 6) and "failed" not in first
        assert failed["failed"] is True and (failed["phase"], failed["reason"]) == ("ask", "unanswered")
        assert failed["path"] == str(hung.socket_dir / "listener") and failed["hint"]
        assert failed["instance"]["socket_dir"] == str(hung.socket_dir)
        assert all(each["msg"] in result["msg"] for each in result["instances"])
        assert [diff["after"] for diff in result["diff"]] == ["log level: 6 (info)\n"] * 2
    assert [sent(daemon) for daemon in (one, two)] == [[("listener", "loglevel=6")]] * 2
    found.clear()
    nothing = run(level=6, all_instances=True)
    assert (nothing["instances"], nothing["changed"], nothing["msg"]) == ([], False, "no ckpool runs here")


@pytest.mark.parametrize("is_check", [False, True])
@pytest.mark.parametrize("options", [{"level": 7}, {"level": 7, "restore_after": "1m"}, {"restore": True}])
@pytest.mark.parametrize(
    ("fault", "phase", "reason"), [("hung", "ask", "unanswered"), ("refused", "connect", "refused")]
)
def test_how_failures_speak(
    run: Run, simulate: Start, fault: str, phase: str, reason: str, options: t.Dict[str, t.Any], is_check: bool
) -> None:
    daemon = simulate(faults=[fault])
    soon = 0.1 if fault == "hung" else DEADLINE
    result = run(socket_dir=str(daemon.socket_dir), timeout=soon, **options, _ansible_check_mode=is_check)
    assert set(result) - {"log_tail"} == FAILURE
    assert (result["phase"], result["reason"], result["path"]) == (phase, reason, str(daemon.socket_dir / "listener"))
    assert result["hint"] in result["msg"] and result["path"] in result["msg"]


def test_no_pool(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"), level=7)
    assert (result["phase"], result["reason"]) == ("connect", "absent")


def test_a_level_that_cannot_be_remembered(run: Run, simulate: Start, memory: Path) -> None:
    memory.write_text("")
    result = run(socket_dir=str(simulate().socket_dir), level=7)
    assert result["changed"] is True and "not ours alone" in result["problems"]["memory"]


def test_nothing_to_restore_as_the_memory_is_refused_is_said(run: Run, simulate: Start, memory: Path) -> None:
    daemon = simulate()
    memory.mkdir()
    memory.chmod(0o777)
    result = run(socket_dir=str(daemon.socket_dir), restore=True)
    assert result["changed"] is False and "others may write" in result["problems"]["memory"]
