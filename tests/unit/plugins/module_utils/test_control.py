# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator can do to a pool: words to the listener, miners sent away, steps meant for one process only."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery
from ansible_collections.ckpool.fleet.plugins.module_utils._control import AnotherProcess, Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process, sockets, systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import accepting
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets

from tests.support import DEADLINE, HARMLESS, Simulated, is_alive, wait_for

pytestmark = pytest.mark.usefixtures("memory")
SOCKETS = ("listener", "stratifier", "connector", "generator")
SOON = 1.0  #: a timeout of pools of which all hangs
Start = t.Callable[..., Simulated]


def control_of(daemon: Simulated, **options: t.Any) -> Control:
    return Control.find(str(daemon.socket_dir), **options)


def told(daemon: Simulated) -> t.List[t.Tuple[str, t.Optional[str]]]:
    """What it was told, besides questions."""
    return [entry for entry in daemon.record() if entry[1] not in HARMLESS]


@pytest.fixture
def sleeper() -> t.Iterator[subprocess.Popen[bytes]]:
    """A process of our own that nothing may happen to."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        assert process.poll() is None, "it was ended by somebody"
        process.kill()


def test_a_copy_that_shares_the_listener_is_passed_by(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = simulate()
    control = control_of(daemon)
    monkeypatch.setattr(sockets, "holders", lambda *_where: [{"pid": daemon.pid}, {"pid": 1}])
    assert control.accept().reply == "accepting"
    assert told(daemon) == [("listener", "accept"), ("connector", "accept")]


BAD_ADDRESSES = [
    "", ":", "host", "host:", ":3333", "host:0", "host:65536", "host:70000", "host:-1", "host:+1", "host:1.0", "host:٣",
    "host:333333", "a,b:1", "host:1,2", "a b:1", "host: 1", "a\nb:1", "host:1\n2", "{:1", '{"a":1', "::1:3333",
    "[::1]",
    "[]:1", "a/b:1", "müll.example:1", "host:0x10", "http://host:3333", "x" * 300,
]  # fmt: skip


# Looking


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_a_look_only_reads(dialect: str, simulate: Start) -> None:
    daemon = simulate(dialect=dialect, users=2)
    seen = control_of(daemon).look()
    assert seen.outcomes == dict.fromkeys(SOCKETS, "reply")
    assert (seen.state, seen.clients, seen.is_ready, seen.is_down, seen.leftovers) == ("ok", 4, True, False, [])
    assert seen.problems == {} and told(daemon) == []


FAULTS: t.Dict[str, t.Tuple[t.Dict[str, t.Any], str, bool, bool]] = {
    "hung": ({"fault": "hung"}, "hung", False, False),
    "starting": ({"fault": "starting"}, "starting", False, False),
    "no node": ({"fault": "hung", "sockets": ["generator"]}, "degraded", False, False),
    "listener_dead": ({"fault": "listener_dead"}, "degraded", True, False),
    "hung connector": ({"fault": "hung", "sockets": ["connector"]}, "degraded", False, False),
    "refused": ({"fault": "refused"}, "down", False, True),
    "down": ({"fault": "down"}, "down", False, True),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_look_at_the_sick(name: str, simulate: Start, given_up_soon: t.Callable[..., None]) -> None:
    fault, state, is_ready, is_down = FAULTS[name]
    silent = {"hung": SOCKETS, "starting": ("stratifier", "generator")}.get(fault["fault"], ())
    given_up_soon(*fault.get("sockets", silent))
    daemon = simulate(faults=[fault])
    if is_down:
        wait_for(lambda: control_of(daemon, timeout=DEADLINE).look().is_down, "its end")
    seen = control_of(daemon, timeout=DEADLINE).look()
    assert (seen.state, seen.is_ready, seen.is_down) == (state, is_ready, is_down)
    assert (seen.clients is None) == (name not in ("no node", "listener_dead", "starting"))
    left = {*SOCKETS, *(["main.pid"] if name == "refused" else [])} if is_down else set()
    assert set(seen.leftovers) == left
    assert told(daemon) == []


def test_a_look_at_what_does_not_tell(simulate: Start) -> None:
    counts = {"stratifier": [{"workbases": {"count": 0}}]}
    daemon = simulate(counters=counts)
    assert (control_of(daemon).look().state, control_of(daemon).look().is_ready) == ("starting", False)
    garbled = simulate(faults=[{"fault": "garbage", "sockets": ["connector"]}])
    seen = control_of(garbled).look()
    assert seen.clients is None and seen.outcomes["connector"] == "garbage"


# Words to the listener


def test_accepting_and_rejecting(simulate: Start) -> None:
    daemon = simulate()
    control = control_of(daemon)
    assert accepting.current(control) == ("accepting", False)
    assert control.reject(None, "a test").reply == "rejecting"
    assert accepting.current(control_of(daemon)) == ("rejecting", True)
    assert control.accept().reply == "accepting"
    assert told(daemon) == [("listener", "reject"), ("listener", "accept")]


def test_reconnecting_here_and_elsewhere(simulate: Start) -> None:
    daemon = simulate()
    assert control_of(daemon).reconnect() == "reconnecting"
    assert control_of(daemon).reconnect("spare.example.org:3334") == "reconnecting"
    assert control_of(daemon).reconnect("[::1]:3334") == "reconnecting"
    assert told(daemon) == [
        ("listener", "reconnect"), ("listener", "reconnect:spare.example.org,3334"), ("listener", "reconnect:::1,3334"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", BAD_ADDRESSES, ids=ascii)
def test_a_bad_address_is_never_sent(text: str) -> None:
    control = Control(Instance("/nowhere", "ckpool"))
    with pytest.raises(BadInput):
        control.reconnect(text)


def test_shutdown_by_listener_or_pool(simulate: Start) -> None:
    for dialect, socket_name in (("public", "listener"), ("guide", "pool")):
        daemon = simulate(dialect=dialect)
        assert control_of(daemon).shutdown() == "exiting"
        assert told(daemon) == [(socket_name, "shutdown")]
        wait_for(lambda it=daemon: control_of(it, timeout=SOON).look().is_down, "its end")  # type: ignore[misc]


def test_restart(simulate: Start) -> None:
    daemon = simulate()
    pid = daemon.pid
    assert control_of(daemon).send_restart() == "restarting"
    wait_for(lambda: (daemon.socket_dir / "main.pid").exists() and daemon.pid != pid, "the next process")
    assert told(daemon) == [("listener", "restart")]


def test_no_listener_no_word(simulate: Start) -> None:
    daemon = simulate(faults=["hung"])
    control = control_of(daemon, timeout=SOON)
    calls: t.List[t.Callable[[], t.Any]] = [
        control.require_listener, control.shutdown, control.send_restart, control.reconnect,
        control.accept, lambda: control.reject(None, "a test"), lambda: control.set_log_level(7),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(PoolError) as caught:
            call()
        assert caught.value.reason == "unanswered" and caught.value.path == str(daemon.socket_dir / "listener")
        assert caught.value.hint
    assert control.clients() is None


@pytest.mark.parametrize("word", ["shutdown", "send_restart", "reconnect", "accept"])
def test_words_that_a_build_does_not_know(word: str, simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    control = control_of(simulate())
    monkeypatch.setattr(Sockets, "text", lambda *_words, **_more: "unknown")
    with pytest.raises(PoolError) as caught:
        getattr(control, word)()
    assert caught.value.reason == "refused_command" and "'unknown'" in str(caught.value)


# Miners


def test_dropping_goes_to_the_right_socket(simulate: Start) -> None:
    daemon = simulate(users=1, workers_per_user=3, reconnect_after=60)
    control = control_of(daemon)
    control.drop_client(2)
    assert control.clients() == 2
    control.drop_client(99)
    assert control.clients() == 2
    control.drop_all()
    assert control.wait_for_clients(0, DEADLINE) == 0
    assert told(daemon) == [("connector", "dropclient=2"), ("connector", "dropclient=99"), ("stratifier", "dropall")]


def test_waiting_for_clients_has_an_end(simulate: Start) -> None:
    control = control_of(simulate(users=1, workers_per_user=2))
    begin = time.monotonic()
    assert control.wait_for_clients(2, 30) == 2
    assert control.wait_for_clients(0, 0.2) == 2
    assert 0.2 <= time.monotonic() - begin < 15


# The process


def test_the_process_that_a_step_is_meant_for(simulate: Start) -> None:
    daemon = simulate()
    control = control_of(daemon)
    ticks = control.instance.start_ticks
    assert ticks == process.start_ticks(daemon.pid)
    control.require_process(daemon.pid, ticks or 0)
    for pid, started in ((daemon.pid + 1, ticks), (daemon.pid, (ticks or 0) + 1), (1, 1), (0, 0)):
        with pytest.raises(AnotherProcess) as caught:
            control.require_process(pid, started or 0)
        assert (caught.value.phase, caught.value.reason) == ("find", "another_process")
        assert (
            f"no longer pid {pid}, but pid {daemon.pid} (alive)" in str(caught.value) and "nothing" in caught.value.hint
        )


@pytest.mark.parametrize(("how", "number"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)])
@pytest.mark.parametrize("has_handles", [True, False])
def test_signals(how: str, number: int, has_handles: bool, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the kernel's handles on processes."""
    if not has_handles:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    with stand_in(home) as process:
        Control.find(str(home / "s")).signal(how)
        assert process.wait(DEADLINE) == -number


@contextlib.contextmanager
def running(*words: str, **more: t.Any) -> t.Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the test, however that ends."""
    process = subprocess.Popen(words, **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait(DEADLINE)


@contextlib.contextmanager
def stand_in(home: Path) -> t.Iterator[subprocess.Popen[bytes]]:
    """A harmless process that looks like a daemon of this folder; with main.pid."""
    folder = home / "s"
    folder.mkdir()
    program = home / "ckpool"
    program.symlink_to("/bin/sleep")
    with running(str(program), "60", cwd=folder) as process:
        # What a daemon is started with, sleep does not take: the file with its name has to do.
        (folder / "main.pid").write_text(str(process.pid))
        wait_for(lambda: b"ckpool" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "its command")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Instance, "is_served_by", lambda _instance, pid: pid == process.pid)
            yield process


@pytest.mark.parametrize("error", [OSError(38, "not implemented"), PermissionError(1, "filtered")])
def test_a_kernel_without_handles(error: OSError, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Python knows them, and the kernel or the container does not."""

    def fails(_pid: int) -> int:
        raise error

    monkeypatch.setattr(os, "pidfd_open", fails, raising=False)
    with stand_in(home) as process:
        Control.find(str(home / "s")).signal("kill")
        assert process.wait(DEADLINE) == -signal.SIGKILL


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_pid_that_is_another_s_by_now_is_not_hit(how: str, simulate: Start, sleeper: subprocess.Popen[bytes]) -> None:
    """The start ticks are those of the daemon, and the pid that of a process that came later."""
    control = control_of(simulate())
    control.instance.pid = sleeper.pid
    with pytest.raises(AnotherProcess) as caught:
        control.signal(how)
    assert f"pid {sleeper.pid} is another process" in str(caught.value) and "nothing was done" in caught.value.hint


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_pid_file_that_names_another_process_is_not_followed(
    how: str, home: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    (home / "main.pid").write_text(str(sleeper.pid))
    control = Control.find(str(home))
    assert control.instance.pid_state == "another"
    with pytest.raises(AnotherProcess):
        control.signal(how)
    ticks = process.start_ticks(sleeper.pid)
    with pytest.raises(AnotherProcess, match=r"\(another\)"):
        control.require_process(sleeper.pid, ticks or 0)


def test_a_process_that_has_just_ended_is_as_wanted(home: Path) -> None:
    with stand_in(home) as process:
        control = Control.find(str(home / "s"))
        process.kill()
        process.wait(DEADLINE)
        with contextlib.suppress(AnotherProcess):  # where the look at its start comes first
            control.signal("kill")


def test_no_permission_to_end_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: t.Any) -> None:
        raise PermissionError

    with stand_in(home):
        control = Control.find(str(home / "s"))
        with monkeypatch.context() as patch, pytest.raises(PoolError) as caught:
            patch.setattr(signal, "pidfd_send_signal", refuse, raising=False)
            patch.setattr(os, "kill", refuse)
            control.signal("terminate")
    assert caught.value.reason == "not_permitted" and "become" in caught.value.hint


# Its unit


def test_only_its_own_unit_is_stopped(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: t.List[str] = []
    monkeypatch.setattr(systemd, "stop_service", stopped.append)
    monkeypatch.setattr(systemd, "service_of", lambda _pid: systemd.Service("ckpool.service"))
    control = control_of(simulate())
    for unit in ("ssh.service", "ssh", "", "None", "ckpool.timer"):
        with pytest.raises(PoolError) as caught:
            control.stop_service(unit)
        assert caught.value.reason == "another_unit" and "which is ckpool.service" in str(caught.value)
    assert stopped == []
    control.stop_service("ckpool")
    control.stop_service("ckpool.service")
    assert stopped == ["ckpool.service"] * 2


def test_a_process_without_a_unit_has_none_to_stop(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "stop_service", lambda _unit: pytest.fail("it was stopped"))
    monkeypatch.setattr(systemd, "service_of", lambda _pid: None)
    for unit in ("ckpool.service", "None", ""):
        with pytest.raises(PoolError):
            control_of(simulate()).stop_service(unit)


# Cleaning


def test_cleaning_only_what_is_down(simulate: Start) -> None:
    daemon = simulate()
    assert control_of(daemon).clean() == []
    assert (daemon.socket_dir / "main.pid").exists()
    os.kill(daemon.pid, signal.SIGSTOP)
    assert control_of(daemon, timeout=SOON).clean() == []
    os.kill(daemon.pid, signal.SIGCONT)
    daemon.stop(signal.SIGKILL)
    (daemon.socket_dir / "other").write_text("")
    left = {*SOCKETS, "main.pid"}
    assert set(control_of(daemon).clean(only_look=True)) == left
    assert {path.name for path in daemon.socket_dir.iterdir()} == left | {"other"}
    assert set(control_of(daemon).clean()) == left
    assert {path.name for path in daemon.socket_dir.iterdir()} == {"other"}
    assert control_of(daemon).clean() == []


def test_sockets_that_do_not_listen_yet_are_not_leftovers(home: Path) -> None:
    """They refuse connections as stale ones do, while their daemon is just starting."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "listener"))
        control = Control.find(str(home))
        assert control.look().is_down
        assert control.clean(only_look=True) == control.clean() == []
        assert (home / "listener").exists()
    assert Control.find(str(home)).clean() == ["listener"]
    assert not (home / "listener").exists()


def test_what_may_not_be_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "listener"))

    def refuse(_path: str, **_more: t.Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(PoolError) as caught:
            Control.find(str(home)).clean()
    assert caught.value.path == str(home / "listener") and "become" in caught.value.hint


# Sources and finding


def spoken(control: Control) -> t.Optional[str]:
    """The live source that orders go by."""
    source = control.sources.live()
    return source.name if source else None


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_what_the_daemon_speaks_is_detected_unless_it_is_said(dialect: str, simulate: Start) -> None:
    daemon = simulate(dialect=dialect)
    assert spoken(control_of(daemon)) == (None if dialect == "public" else dialect)
    assert spoken(control_of(daemon, source="files")) is None
    assert spoken(control_of(daemon, source="guide")) == "guide"
    assert told(daemon) == []


def test_one_that_does_not_answer_gets_no_benefit_of_the_doubt(simulate: Start) -> None:
    daemon = simulate(dialect="guide", faults=["hung"])
    assert spoken(control_of(daemon, timeout=SOON)) is None


def test_every_running_one(simulate: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = simulate(), simulate(faults=["refused"])
    wait_for(lambda: not is_alive(two.pid), "its end")
    instances = [control_of(daemon).instance for daemon in (one, two)]
    instances[0].log_dir = None
    monkeypatch.setattr(_discovery, "discover", lambda **_how: instances)
    found = Control.find_all("/logs", timeout=DEADLINE)
    assert [control.instance.socket_dir for control in found] == [str(one.socket_dir)]
    assert found[0].instance.log_dir == "/logs"


def test_none_and_nowhere(home: Path) -> None:
    with pytest.raises(NotFound):
        Control.find(name="ckpool-of-nobody")
    with pytest.raises(BadInput):
        Control.find("a\0b")
    assert Control.find(str(home / "nowhere")).look().is_down
