# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_step: a look, or a step for exactly one process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process, systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import accepting

from tests.support import DEADLINE, HARMLESS, Simulated, is_alive, wait_for

from .conftest import Run

pytestmark = pytest.mark.usefixtures("memory")
KEYS = {
    "found", "instance", "process", "answers", "clients", "ready", "down", "leftovers", "stats", "service", "handover",
    "holders", "removed", "reply", "problems", "msg", "changed", "connections", "takeover", "severed", "left_rejecting",
    "redirect",
}  # fmt: skip
FAILURE = {"phase", "path", "reason", "hint", "msg", "failed"}
SOCKETS = ["listener", "stratifier", "connector", "generator"]
WORDS = {
    "reject": "reject", "accept": "accept", "reconnect": "reconnect", "shutdown": "shutdown", "restart": "restart",
}  # fmt: skip
STEPS = [*WORDS, "terminate", "kill", "stop_service"]
Start = t.Callable[..., Simulated]


def sent(daemon: Simulated) -> t.List[t.Tuple[str, t.Optional[str]]]:
    return [entry for entry in daemon.record() if entry[1] not in HARMLESS]


def process_of(daemon: Simulated) -> t.Dict[str, t.Any]:
    """The options that name its process."""
    ticks = process.start_ticks(daemon.pid)
    return {"socket_dir": str(daemon.socket_dir), "pid": daemon.pid, "started": ticks}


@pytest.fixture
def sleeper() -> t.Iterator[subprocess.Popen[bytes]]:
    """A process of our own, which no step may harm."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        assert process.poll() is None, "it was ended by somebody"
        process.kill()


# Looks


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize("layout", ["2017", "2025", "2026"])
def test_a_look(run: Run, simulate: Start, dialect: str, layout: str) -> None:
    daemon = simulate(dialect=dialect, layout=layout)
    for is_check in (False, True):
        result = run(socket_dir=str(daemon.socket_dir), _ansible_check_mode=is_check)
        assert set(result) == KEYS
        assert (result["found"], result["changed"], result["ready"], result["down"]) == (True, False, True, False)
        assert result["instance"]["state"] == "ok" and result["instance"]["pid"] == daemon.pid
        process = process_of(daemon)
        assert result["process"] == {"pid": daemon.pid, "started": process["started"], "state": "alive"}
        assert result["answers"] == dict.fromkeys(SOCKETS, "reply") and result["clients"] == 6
        assert (result["leftovers"], result["problems"], result["reply"], result["removed"]) == ([], {}, None, None)
        assert {result[name] for name in ("stats", "service", "handover", "holders")} == {None}
        assert result["msg"].endswith("is ok, 6 clients")
    assert sent(daemon) == []


def test_a_look_at_nothing(run: Run, home: Path) -> None:
    result = run(name="ckpool-of-nobody")
    assert (result["found"], result["down"], result["instance"], result["answers"]) == (False, True, None, {})
    assert result["process"] == {"pid": None, "started": None, "state": "absent"} and set(result) == KEYS
    empty = run(socket_dir=str(home))
    assert (empty["down"], empty["instance"]["state"], empty["leftovers"]) == (True, "down", [])
    assert set(empty["answers"].values()) == {"absent"} and empty["log_tail"] == []


def test_several_are_a_failure(run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Control.find(str(simulate().socket_dir)).instance for _number in range(2)]
    monkeypatch.setattr(_discovery, "discover", lambda *_how, **_more: found)
    assert run()["reason"] == "several_instances"


@pytest.mark.parametrize(
    ("fault", "state", "is_down"),
    [("hung", "hung", False), ("starting", "starting", False), ("refused", "down", True), ("down", "down", True)],
)
def test_a_look_at_the_sick(
    run: Run, simulate: Start, fault: str, state: str, is_down: bool, given_up_soon: t.Callable[..., None]
) -> None:
    given_up_soon(*{"hung": SOCKETS, "starting": ("stratifier", "generator")}.get(fault, ()))
    daemon = simulate(faults=[fault])
    if is_down:
        wait_for(lambda: Control.find(str(daemon.socket_dir)).look().is_down, "its end")
    result = run(
        socket_dir=str(daemon.socket_dir),
        log_dir=str(daemon.log_dir),
        timeout=DEADLINE,
        wants=["stats", "service", "handover", "holders"],
    )
    assert "failed" not in result and (result["instance"]["state"], result["down"]) == (state, is_down)
    assert result["ready"] is False
    assert ("log_tail" in result) == (state in ("down", "hung"))
    assert result.get("log_tail") != []
    assert (set(result["leftovers"]) == {*SOCKETS, *(["main.pid"] if fault == "refused" else [])}) == is_down
    assert sent(daemon) == []


def test_all_that_may_be_wanted(run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        systemd, "service_of", lambda _pid: systemd.Service("ckpool.service", exit_type="main", main_pid=1)
    )
    daemon = simulate(hashrate=6e15)
    daemon.wait_for_statistics()
    result = run(socket_dir=str(daemon.socket_dir), wants=["stats", "service", "handover", "holders"])
    assert set(result["stats"]) == {
        "users", "workers", "hashrate1m", "work_age", "source", "as_of", "accepted", "rejected", "shares", "shares_per_second",
    }  # fmt: skip
    assert (result["stats"]["users"], result["stats"]["workers"], result["stats"]["source"]) == (3, 6, "files")
    assert result["stats"]["hashrate1m"] == pytest.approx(6e15, rel=0.1) and 0 <= result["stats"]["work_age"] < 20
    assert result["service"]["unit"] == "ckpool.service"
    (obstacle,) = result["handover"]["obstacles"]
    assert obstacle["reason"] == "unit_would_kill" and set(obstacle) == {"reason", "message", "hint"}
    assert [holder["pid"] for holder in result["holders"]] == [daemon.pid]
    assert "simulated_ckpool.py" in result["holders"][0]["command"]


def test_what_is_wanted_and_cannot_be_had(run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> None:
        raise PoolError("systemctl: Access denied", hint="use become: true")

    monkeypatch.setattr(systemd, "service_of", refuse)
    result = run(socket_dir=str(simulate().socket_dir), wants=["service", "handover"])
    assert result["service"] is None and result["handover"] is None
    assert (
        result["problems"]["service"] == result["problems"]["handover"] == "systemctl: Access denied (use become: true)"
    )


# Steps


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("pid", "started"), [(1, 0), (0, 1), (None, 0)], ids=["pid", "started", "neither"])
def test_no_step_on_another_process(run: Run, simulate: Start, step: str, pid: t.Optional[int], started: int) -> None:
    daemon = simulate()
    options = process_of(daemon)
    options["pid"] += pid or 0
    options["started"] += started
    if pid is None:
        del options["pid"], options["started"]
    for is_check in (True, False):
        result = run(step=step, service="ckpool", **options, _ansible_check_mode=is_check)
        assert set(result) - {"log_tail"} == FAILURE
        if pid is None:
            assert result["phase"] == "options" and f"{step} needs pid and started" in result["msg"]
        else:
            assert (result["phase"], result["reason"]) == ("find", "another_process")
            assert result["path"] == str(daemon.socket_dir / "main.pid") and "look again" in result["hint"]
            assert f"pid {daemon.pid} (alive)" in result["msg"]
    assert daemon.record() == [] and is_alive(daemon.pid)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_in_check_mode_is_not_taken(run: Run, simulate: Start, step: str) -> None:
    daemon = simulate()
    result = run(step=step, service="ckpool", **process_of(daemon), _ansible_check_mode=True)
    assert result["changed"] is True and result["reply"] is None and result["instance"]["state"] == "ok"
    assert sent(daemon) == [] and is_alive(daemon.pid)


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize("step", WORDS)
def test_words(run: Run, simulate: Start, step: str, dialect: str) -> None:
    daemon = simulate(dialect=dialect)
    pid = daemon.pid
    result = run(step=step, **process_of(daemon))
    assert set(result) >= KEYS and result["changed"] is True
    reply = {"shutdown": "exiting", "reconnect": "reconnecting", "restart": "restarting"}.get(step, f"{step}ing")
    assert result["reply"] == reply
    socket_name = "pool" if (dialect, step) == ("guide", "shutdown") else "listener"
    assert sent(daemon) == [(socket_name, WORDS[step])]
    if step == "restart":
        wait_for(lambda: (daemon.socket_dir / "main.pid").exists() and daemon.pid != pid, "the next process")
        later = run(step="reject", socket_dir=str(daemon.socket_dir), pid=pid, started=1)
        assert later["reason"] == "another_process", "the old process's steps are not for the new one"
    if step in ("reject", "accept"):
        assert run(step=step, **process_of(daemon))["changed"] is True, "a step is taken whenever it is asked for"
        assert accepting.current(Control.find(str(daemon.socket_dir))) == (f"{step}ing", True)


def test_reconnecting_elsewhere(run: Run, simulate: Start) -> None:
    daemon = simulate()
    for text in ("host", "a,b:1", "host:70000", "a\nb:1"):
        result = run(step="reconnect", redirect_to=text, **process_of(daemon))
        assert (result["reason"], repr(text) in result["msg"]) == ("bad_address", True)
    assert daemon.record() == []
    options = {"redirect_to": "spare.invalid:3334", **process_of(daemon)}
    for is_check in (True, False):
        result = run(step="reconnect", **options, _ansible_check_mode=is_check)
        assert (result["reason"], sent(daemon)) == ("redirect_unreachable", [])
    assert run(step="reconnect", redirect_check=False, **options)["reply"] == "reconnecting"
    assert sent(daemon) == [("listener", "reconnect:spare.invalid,3334")]


def test_a_look_says_whether_the_other_pool_is_reachable(run: Run, simulate: Start) -> None:
    daemon = simulate()
    place = str(daemon.socket_dir)
    assert run(socket_dir=place)["redirect"] is None
    assert run(socket_dir=place, wants=["redirect"])["redirect"] is None, "nothing to redirect to"
    found = run(socket_dir=place, wants=["redirect"], redirect_to="spare.invalid:3334")
    assert found["redirect"]["reachable"] is False and "spare.invalid:3334" in found["redirect"]["problem"]
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        spare.listen()
        there = f"127.0.0.1:{spare.getsockname()[1]}"
        found = run(socket_dir=place, wants=["redirect"], redirect_to=there)
    assert found["redirect"] == {"reachable": True, "problem": None} and sent(daemon) == []


@pytest.mark.parametrize("step", ["terminate", "kill"])
def test_signals(run: Run, simulate: Start, step: str) -> None:
    daemon = simulate(faults=["ignores_term"] if step == "kill" else [])
    options = process_of(daemon)
    assert run(step=step, **options)["changed"] is True
    wait_for(lambda: not is_alive(daemon.pid), "its end")
    again = run(step=step, **options)
    assert again["reason"] == "another_process" and "(dead)" in again["msg"]
    look = run(socket_dir=str(daemon.socket_dir))
    assert look["down"] and set(look["leftovers"]) == {*SOCKETS, "main.pid"} and sent(daemon) == []


@pytest.mark.parametrize("step", ["terminate", "kill", "stop_service"])
def test_signals_never_hit_another_process(
    run: Run, simulate: Start, step: str, sleeper: subprocess.Popen[bytes]
) -> None:
    """Its pid is in main.pid, by mistake or because it came after the daemon."""
    daemon = simulate()
    ticks = process.start_ticks(sleeper.pid)
    daemon.stop(signal.SIGKILL)
    (daemon.socket_dir / "main.pid").write_text(str(sleeper.pid))
    result = run(step=step, service="ckpool", socket_dir=str(daemon.socket_dir), pid=sleeper.pid, started=ticks)
    assert (result["failed"], result["reason"]) == (True, "another_process") and "(another)" in result["msg"]
    look = run(socket_dir=str(daemon.socket_dir))
    assert look["process"] == {"pid": sleeper.pid, "started": None, "state": "another"} and look["down"]


def test_a_pid_that_passes_on_between_look_and_signal(
    run: Run, simulate: Start, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = simulate()
    options = process_of(daemon)
    real = Control.require_process

    def require_process(control: Control, pid: int, started: int) -> None:
        real(control, pid, started)
        control.instance.pid = sleeper.pid

    monkeypatch.setattr(Control, "require_process", require_process)
    for step in ("terminate", "kill"):
        result = run(step=step, **options)
        assert (result["failed"], result["reason"]) == (True, "another_process")
    assert is_alive(daemon.pid)


def test_stopping_its_unit(run: Run, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: t.List[str] = []
    monkeypatch.setattr(systemd, "service_of", lambda _pid: systemd.Service("ckpool.service"))
    monkeypatch.setattr(systemd, "stop_service", stopped.append)
    daemon = simulate()
    assert "service" in run(step="stop_service", **process_of(daemon))["msg"]
    result = run(step="stop_service", service="ssh", **process_of(daemon))
    assert (result["reason"], stopped) == ("another_unit", [])
    assert run(step="stop_service", service="ckpool", **process_of(daemon))["changed"] is True
    assert stopped == ["ckpool.service"]


# Cleaning


def test_cleaning(run: Run, simulate: Start) -> None:
    daemon = simulate()
    where = {"step": "clean", "socket_dir": str(daemon.socket_dir)}
    alive = run(**where)
    assert (alive["changed"], alive["removed"]) == (False, [])
    daemon.stop(signal.SIGKILL)
    left = {*SOCKETS, "main.pid"}
    for is_check in (True, False):
        result = run(**where, _ansible_check_mode=is_check)
        assert result["changed"] is True and set(result["removed"]) == left
        assert {path.name for path in daemon.socket_dir.iterdir()} == (left if is_check else set())
        assert set(result["leftovers"]) == (left if is_check else set())
    again = run(**where)
    assert (again["changed"], again["removed"], again["down"]) == (False, [], True)


def test_cleaning_leaves_a_daemon_that_is_hung(run: Run, simulate: Start) -> None:
    daemon = simulate()
    os.kill(daemon.pid, signal.SIGSTOP)
    result = run(step="clean", socket_dir=str(daemon.socket_dir), timeout=0.2)
    os.kill(daemon.pid, signal.SIGCONT)
    assert (result["changed"], result["removed"], result["down"]) == (False, [], False)


def test_cleaning_leaves_sockets_that_do_not_listen_yet(run: Run, home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "listener"))
        for is_check in (True, False):
            result = run(step="clean", socket_dir=str(home), _ansible_check_mode=is_check)
            assert (result["changed"], result["removed"]) == (False, [])
        assert (home / "listener").exists()


@pytest.mark.parametrize("step", list(WORDS))
def test_how_failures_speak(run: Run, simulate: Start, step: str) -> None:
    daemon = simulate(faults=["hung"])
    result = run(step=step, timeout=0.1, **process_of(daemon))
    assert set(result) - {"log_tail"} == FAILURE
    assert (result["phase"], result["reason"], result["path"]) == (
        "ask",
        "unanswered",
        str(daemon.socket_dir / "listener"),
    )


def test_an_unknown_step(run: Run, home: Path) -> None:
    assert "step" in run(step="jump", socket_dir=str(home))["msg"]
    assert "wants" in run(wants=["all"], socket_dir=str(home))["msg"]
