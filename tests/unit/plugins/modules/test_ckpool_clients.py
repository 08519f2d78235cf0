# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_clients: every state twice, in check mode, with its diff, and its failures."""

from __future__ import annotations

import socket
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control

from tests.support import DEADLINE, HARMLESS, Simulated, free_port

from .conftest import Run

pytestmark = pytest.mark.usefixtures("memory")
KEYS = {
    "state", "previous", "previous_known", "clients_before", "clients_after", "reply", "instance", "problems", "msg",
    "changed", "accepts_at", "timer",
}  # fmt: skip
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}
ELSEWHERE = "spare.example.org:3334"
Start = t.Callable[..., Simulated]


@pytest.fixture
def pool(simulate: Start) -> Start:
    """Four miners, which do not return unless reconnect_after is set."""

    def start(*options: str, **simulation: t.Any) -> Simulated:
        return simulate(*options, **{"users": 2, "reconnect_after": 60, **simulation})

    return start


def sent(daemon: Simulated) -> t.List[t.Tuple[str, t.Optional[str]]]:
    return [entry for entry in daemon.record() if entry[1] not in HARMLESS]


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_the_gate_twice_and_in_check_mode(run: Run, pool: Start, dialect: str) -> None:
    daemon = pool(dialect=dialect)
    results = []
    for state in ("accepting", "rejecting", "accepting"):
        for is_check in (True, False, True, False):
            before = sent(daemon)
            options = {"socket_dir": str(daemon.socket_dir), "state": state}
            results.append(run(**options, _ansible_check_mode=is_check, _ansible_diff=True))
            assert set(results[-1]) == KEYS | {"diff"}
            assert sent(daemon) == before + ([] if is_check else [("listener", state[:6])])
            assert results[-1]["reply"] == (None if is_check else state)
            assert results[-1]["clients_before"] == results[-1]["clients_after"] == 4
    assert [result["changed"] for result in results] == [False] * 4 + [True, True, False, False] * 2
    assert [result["previous"] for result in results] == ["accepting"] * 6 + ["rejecting"] * 4 + ["accepting"] * 2
    assert [result["previous_known"] for result in results] == [False] * 2 + [True] * 10
    assert results[0]["msg"].endswith("accepting miners, before accepting as far as is known")
    assert (
        results[5]["diff"]["before"] == "miners: accepting\n" and results[5]["diff"]["after"] == "miners: rejecting\n"
    )
    assert results[7]["diff"]["before"] == results[7]["diff"]["after"] == "miners: rejecting\n"


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize(
    ("options", "told", "reply"),
    [
        (
            {"state": "redirected", "redirect_to": ELSEWHERE, "redirect_check": False},
            ("listener", "reconnect:spare.example.org,3334"),
            "reconnecting",
        ),
        ({"state": "dropped"}, ("stratifier", "dropall"), None),
    ],
)
def test_sending_all_away_twice_and_in_check_mode(
    run: Run, pool: Start, dialect: str, options: t.Dict[str, t.Any], told: t.Tuple[str, str], reply: t.Optional[str]
) -> None:
    daemon = pool(dialect=dialect)
    everything = {"socket_dir": str(daemon.socket_dir), "_ansible_diff": True, **options}
    predicted = run(**everything, _ansible_check_mode=True)
    assert sent(daemon) == []
    first = run(**everything)
    checked = run(**everything, _ansible_check_mode=True)
    second = run(**everything)
    assert sent(daemon) == [told], "nothing is sent when nobody is connected"
    assert [result["changed"] for result in (predicted, first, checked, second)] == [True, True, False, False]
    assert all(set(result) == KEYS | {"diff"} for result in (predicted, first, checked, second))
    assert (predicted["clients_before"], predicted["clients_after"], predicted["reply"]) == (4, 4, None)
    assert (first["clients_before"], first["clients_after"], first["reply"]) == (4, 0, reply)
    assert (second["clients_before"], second["clients_after"], second["reply"]) == (0, 0, None)
    assert first["previous"] is None and first["previous_known"] is False and first["state"] == options["state"]
    assert first["diff"] == predicted["diff"]
    assert first["diff"]["before"] == "clients: 4 connected\n" and options["state"] in first["diff"]["after"]
    assert second["diff"]["before"] == second["diff"]["after"] == "clients: 0 connected\n"
    assert first["msg"].endswith("0 of 4 clients are left") and predicted["msg"] == first["msg"]


def test_a_stubborn_one_stays_and_is_told_of(run: Run, pool: Start) -> None:
    daemon = pool(stubborn=1)
    options = {"socket_dir": str(daemon.socket_dir), "state": "redirected", "redirect_to": ELSEWHERE, "redirect_check": False,
               "wait": 5}  # fmt: skip
    result = run(**options)
    assert (result["clients_before"], result["clients_after"], result["changed"]) == (4, 1, True)
    assert result["msg"].endswith("1 of 4 clients are left")
    dropped = run(socket_dir=str(daemon.socket_dir), state="dropped")
    assert (dropped["clients_before"], dropped["clients_after"]) == (1, 0)


@pytest.mark.parametrize("is_check", [False, True])
def test_nobody_is_sent_where_nothing_listens(run: Run, pool: Start, is_check: bool) -> None:
    """Without the check, the miners would be lost, and the task would pass."""
    daemon = pool()
    nowhere = f"127.0.0.1:{free_port()}"
    options = {"socket_dir": str(daemon.socket_dir), "state": "redirected", "redirect_to": nowhere}
    result = run(**options, _ansible_check_mode=is_check)
    assert set(result) == FAILURE and (result["phase"], result["reason"]) == ("connect", "redirect_unreachable")
    assert nowhere in result["msg"] and "redirect_check: false" in result["hint"]
    assert sent(daemon) == []
    all_the_same = run(**options, redirect_check=False, _ansible_check_mode=is_check)
    assert (all_the_same["changed"], len(sent(daemon))) == (True, 0 if is_check else 1)


def test_where_something_listens_they_are_sent(run: Run, pool: Start) -> None:
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        spare.listen()
        daemon = pool()
        there = f"127.0.0.1:{spare.getsockname()[1]}"
        result = run(socket_dir=str(daemon.socket_dir), state="redirected", redirect_to=there)
    assert (result["changed"], result["clients_after"]) == (True, 0)


def test_nobody_waits_for_them(run: Run, pool: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = pool(stubborn=1)  # so that some are left however long a busy machine takes
    waited: t.List[float] = []
    real = Control.wait_for_clients

    def wait_for_clients(control: Control, most: int, seconds: float) -> t.Optional[int]:
        waited.append(seconds)
        return real(control, most, seconds)

    monkeypatch.setattr(Control, "wait_for_clients", wait_for_clients)
    result = run(
        socket_dir=str(daemon.socket_dir), state="redirected", redirect_to="[::1]:3334", redirect_check=False, wait=0
    )
    assert (result["clients_after"] > 0, waited) == (True, [0])
    assert result["reply"] == "reconnecting"
    assert sent(daemon) == [("listener", "reconnect:::1,3334")]


@pytest.mark.parametrize(
    "text",
    [
        "host",
        "host:",
        "host:0",
        "host:70000",
        "a,b:1",
        "a b:1",
        "a\nb:1",
        "host:1\n2",
        "{:1",
        "",
        "::1:3333",
        "host:1,2",
    ],
    ids=ascii,
)
def test_bad_addresses_are_named(run: Run, pool: Start, text: str) -> None:
    daemon = pool()
    result = run(socket_dir=str(daemon.socket_dir), state="redirected", redirect_to=text)
    assert set(result) == FAILURE and (result["phase"], result["reason"]) == ("options", "bad_address")
    assert repr(text) in result["msg"] and "spare.example.org:3333" in result["hint"]
    assert daemon.record() == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"state": "redirected"}, "redirect_to"),
        ({"state": "gone"}, "state"),
        ({}, "state"),
        ({"state": "dropped", "wait": 61}, "wait must be from 0 to 60"),
        ({"state": "dropped", "wait": -1}, "wait must be from 0 to 60"),
    ],
)
def test_options_that_do_not_fit(run: Run, pool: Start, options: t.Dict[str, t.Any], text: str) -> None:
    daemon = pool()
    result = run(socket_dir=str(daemon.socket_dir), **options)
    assert result["failed"] and text in result["msg"] and daemon.record() == []


STATES: t.List[t.Dict[str, t.Any]] = [
    {"state": "accepting"}, {"state": "rejecting"}, {"state": "dropped"},
    {"state": "redirected", "redirect_to": ELSEWHERE, "redirect_check": False},
]  # fmt: skip


@pytest.mark.parametrize("is_check", [False, True])
@pytest.mark.parametrize(
    ("fault", "phase", "reason"), [("hung", "ask", "unanswered"), ("refused", "connect", "refused")]
)
def test_how_failures_speak(run: Run, pool: Start, fault: str, phase: str, reason: str, is_check: bool) -> None:
    daemon = pool(faults=[fault])
    for options in STATES:
        soon = 0.1 if fault == "hung" else DEADLINE
        result = run(socket_dir=str(daemon.socket_dir), timeout=soon, _ansible_check_mode=is_check, **options)
        assert set(result) - {"log_tail"} == FAILURE
        assert (result["phase"], result["reason"], result["path"]) == (
            phase,
            reason,
            str(daemon.socket_dir / "listener"),
        )
        assert result["hint"] in result["msg"]
    assert sent(daemon) == []


@pytest.mark.parametrize("is_check", [False, True])
def test_a_connector_that_does_not_tell(run: Run, pool: Start, is_check: bool) -> None:
    daemon = pool(faults=[{"fault": "garbage", "sockets": ["connector"]}])
    for options in STATES[2:]:
        result = run(socket_dir=str(daemon.socket_dir), _ansible_check_mode=is_check, **options)
        assert (result["failed"], result["reason"]) == (True, "clients_unknown")
        assert result["path"] == str(daemon.socket_dir / "connector") and "nothing was done" in result["msg"]
    assert sent(daemon) == []
    assert (
        run(socket_dir=str(daemon.socket_dir), state="rejecting", _ansible_check_mode=is_check)["clients_before"]
        is None
    )


def test_no_pool(run: Run, home: Path) -> None:
    for options in STATES:
        result = run(socket_dir=str(home / "nowhere"), **options)
        assert (result["phase"], result["reason"]) == ("connect", "absent")


def test_a_gate_that_cannot_be_remembered(run: Run, pool: Start, memory: Path) -> None:
    memory.write_text("")
    result = run(socket_dir=str(pool().socket_dir), state="rejecting")
    assert result["changed"] is True and "not ours alone" in result["problems"]["memory"]
