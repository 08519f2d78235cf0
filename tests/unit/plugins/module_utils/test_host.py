# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host says of a process: its unit, who holds its sockets, and whether it could start again."""

from __future__ import annotations

import os
import socket
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _host, _instance
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import Service
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance

from ..support import Simulated, wait_for

Start = t.Callable[..., Simulated]
WE = os.getpid()
UNIT = {
    "LoadState": "loaded", "Restart": "always", "ExitType": "cgroup", "KillMode": "control-group", "MainPID": str(WE),
    "Type": "simple",
}  # fmt: skip
IN_UNIT = "0::/system.slice/ckpool.service\n"


def shown(**other: str) -> str:
    """What systemctl shows of a unit."""
    return "".join(f"{name}={value}\n" for name, value in {**UNIT, **other}.items())


@pytest.fixture
def systemd(home: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., t.Callable[[], t.List[str]]]:
    """Have a systemctl and a systemd-run that print and end as told; it gives what each was called with."""
    monkeypatch.setattr(_host, "has_systemd", lambda: True)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    calls = home / "calls"

    def make(output: str = "", error: str = "", status: int = 0) -> t.Callable[[], t.List[str]]:
        for name in ("systemctl", "systemd-run"):
            (home / "output").write_text(output)
            (home / "error").write_text(error)
            script = f'#!/bin/sh\necho {name} "$@" >>{calls}\ncat {home}/output\ncat {home}/error >&2\nexit {status}\n'
            (home / name).write_text(script)
            (home / name).chmod(0o755)
        return lambda: calls.read_text().splitlines() if calls.exists() else []

    return make


def in_cgroup(text: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Have /proc/PID/cgroup hold this."""
    (home / "cgroup").write_text(text)
    real = open

    def fake(path: t.Any, *words: t.Any, **named: t.Any) -> t.Any:
        return real(str(home / "cgroup") if str(path).endswith("/cgroup") else path, *words, **named)

    monkeypatch.setattr("builtins.open", fake)


# Units


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/ckpool.service\n", "ckpool.service"),
        ("0::/system.slice/system-ckpool.slice/ckpool@two.service\n", "ckpool@two.service"),
        ("12:pids:/x.service\n1:name=systemd:/system.slice/ckpool.service\n0::/\n", "ckpool.service"),
        ("0::/system.slice/ckpool.service/payload\n", "ckpool.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/ckpool.service\n", None),
        ("0::/user.slice/user-0.slice/session-3.scope\n", None),
        ("0::/\n", None),
        ("", None),
        ("garbage\n", None),
    ],
)
def test_the_unit_of_a_process(
    text: str, unit: t.Optional[str], systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    calls = systemd(shown())
    in_cgroup(text, monkeypatch, home)
    found = _host.service_of(WE)
    if unit is None:
        assert found is None and calls() == []
        return
    assert found == Service(unit, "always", "cgroup", "control-group", "simple", WE)
    assert found.as_dict() == {
        "unit": unit, "restart": "always", "exit_type": "cgroup", "kill_mode": "control-group", "type": "simple",
        "main_pid": WE,
    }  # fmt: skip
    assert calls() == [
        f"systemctl --no-ask-password show --property LoadState,Restart,ExitType,KillMode,MainPID,Type -- {unit}"
    ]


def test_an_old_systemd_tells_less(systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    systemd("LoadState=loaded\nRestart=no\nMainPID=\n\nnonsense\n")
    in_cgroup("0::/system.slice/ckpool.service\n", monkeypatch, home)
    assert _host.service_of(1) == Service("ckpool.service", "no")


@pytest.mark.parametrize(
    ("main_pid", "load_state", "is_own"),
    [
        (None, "loaded", True),
        (0, "loaded", True),
        (None, "not-found", False),
        (1, "loaded", False),
        (2**22 + 1, "loaded", False),
    ],
)
def test_a_unit_of_something_else_is_not_the_pool_s(
    main_pid: t.Optional[int],
    load_state: str,
    is_own: bool,
    systemd: t.Any,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
) -> None:
    """As where cron or a supervisor has started the daemon."""
    systemd(shown(MainPID=str(WE if main_pid is None else main_pid), LoadState=load_state))
    in_cgroup(IN_UNIT, monkeypatch, home)
    assert (_host.service_of(WE) is not None) == is_own


def test_a_wrapper_s_unit_is_the_pool_s(systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    in_cgroup(IN_UNIT, monkeypatch, home)
    for wrapper, is_own in (("sh", True), ("cron", False)):
        program = home / wrapper
        program.symlink_to("/bin/sh")
        command = [str(program), "-c", "sleep 60 & echo $!; read line; kill $!"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
            assert parent.stdout
            systemd(shown(MainPID=str(parent.pid)))
            assert (_host.service_of(int(parent.stdout.readline())) is not None) == is_own
            parent.communicate(b"\n")


def test_without_systemd_there_is_no_unit(systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    calls = systemd()
    in_cgroup("0::/system.slice/ckpool.service\n", monkeypatch, home)
    monkeypatch.setattr(_host, "has_systemd", lambda: False)
    assert _host.service_of(1) is None and calls() == []


def test_a_process_that_is_gone_has_none() -> None:
    assert _host.service_of(2**22 + 1) is None


def test_a_systemd_that_refuses(systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    systemd(error="Access denied", status=1)
    in_cgroup("0::/system.slice/ckpool.service\n", monkeypatch, home)
    calls: t.List[t.Callable[[], t.Any]] = [
        lambda: _host.service_of(1), lambda: _host.stop_service("ckpool.service"), lambda: _host.stop_timer("it"),
        lambda: _host.start_timer("it", 1, "It", ["true"]),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(PoolError) as caught:
            call()
        assert "Access denied" in str(caught.value) and "become" in caught.value.hint
        assert caught.value.reason in ("systemctl", "systemd-run")


def test_a_systemd_that_fails_without_a_word(systemd: t.Any) -> None:
    systemd(status=3)
    with pytest.raises(PoolError, match="status 3"):
        _host.stop_service("ckpool.service")


def test_a_systemd_that_is_not_there_or_hangs(systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    systemd()
    (home / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(_host, "_SYSTEMCTL_SECONDS", 0.2)
    with pytest.raises(PoolError, match="timed out"):
        _host.stop_service("ckpool.service")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PoolError, match="cannot run systemctl"):
        _host.stop_service("ckpool.service")


def test_stopping_a_unit_does_not_wait(systemd: t.Any) -> None:
    calls = systemd()
    _host.stop_service("ckpool.service")
    assert calls() == ["systemctl --no-ask-password stop --no-block -- ckpool.service"]


def test_timers(systemd: t.Any) -> None:
    calls = systemd("LoadState=loaded\n")
    _host.start_timer("it", 90.5, "What it does", ["/bin/echo", "a b", "--c"])
    assert calls()[0].split(" --") == [
        "systemd-run", "no-ask-password", "quiet", "collect", "unit=it", "description=What it does",
        "on-active=90.500s", "timer-property=AccuracySec=100ms", " /bin/echo a b", "c",
    ]  # fmt: skip
    _host.stop_timer("it")
    assert calls()[1:] == [
        "systemctl --no-ask-password show --property LoadState -- it.timer",
        "systemctl --no-ask-password stop -- it.timer",
    ]


def test_a_timer_that_is_gone_need_not_be_stopped(systemd: t.Any) -> None:
    calls = systemd("LoadState=not-found\n")
    _host.stop_timer("it")
    assert calls() == ["systemctl --no-ask-password show --property LoadState -- it.timer"]


# Sockets


def test_who_holds_the_sockets(simulate: Start) -> None:
    daemon, other = simulate(), simulate()
    for each in (daemon, other):
        control = Control.find(str(each.sockets))
        assert [holder["pid"] for holder in control.holders()] == [each.pid]
        assert str(each.config_path) in control.holders()[0]["command"]
        assert set(_host.bound_sockets(control.instance)) == set(_instance.SOCKETS)


def test_nobody_holds_what_is_left(simulate: Start, home: Path) -> None:
    daemon = simulate()
    daemon.stop()
    control = Control.find(str(daemon.sockets))
    # The kernel goes on clearing away after an end that was seen.
    wait_for(lambda: not _host.bound_sockets(control.instance), "its sockets being gone")
    assert control.holders() == []
    assert Control.find(str(home / "nowhere")).holders() == []


def test_a_socket_that_is_bound_only_has_a_holder(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "connector"))
        instance = Instance(str(home), "ckpool")
        assert set(_host.bound_sockets(instance)) == {"connector"}
        assert [holder["pid"] for holder in _host.holders(instance)] == [os.getpid()]
        bound.listen(1)
        assert set(_host.bound_sockets(instance)) == {"connector"}


def test_a_link_to_the_folder_is_the_same_folder(home: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "real" / "listener"))
        assert set(_host.bound_sockets(Instance(str(home / "link"), "ckpool"))) == {"listener"}


def test_other_names_and_connections_do_not_count(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as caller:
        bound.bind(str(home / "control"))
        bound.listen(1)
        caller.connect(str(home / "control"))
        assert _host.bound_sockets(Instance(str(home), "ckpool")) == {}


def test_a_connection_that_outlives_its_socket_does_not_count(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as caller:
        bound.bind(str(home / "listener"))
        bound.listen(1)
        caller.connect(str(home / "listener"))
        with bound.accept()[0]:
            bound.close()
            assert _host.bound_sockets(Instance(str(home), "ckpool")) == {}


# Handover


@pytest.fixture
def program(home: Path) -> t.Iterator[t.Callable[..., Instance]]:
    """A running instance that was started by these words, in a folder of its own."""
    running: t.List[subprocess.Popen[bytes]] = []

    def start(*argv: str, config: t.Optional[t.Dict[str, t.Any]] = None, **more: t.Any) -> Instance:
        running.append(subprocess.Popen(["sleep", "60"], cwd=home))
        known = {"config": {} if config is None else config, **more}
        return Instance("/s", "ckpool", pid=running[-1].pid, pid_state="alive", argv=list(argv), **known)

    yield start
    for process in running:
        process.kill()
        process.wait(10)


def script(path: Path, text: str = "exit 0", mode: int = 0o755) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return str(path)


def reasons(instance: Instance, service: t.Optional[Service] = None) -> t.List[str]:
    return [obstacle.reason for obstacle in _host.obstacles(instance, service)]


def test_nothing_in_the_way(program: t.Any, home: Path) -> None:
    assert reasons(program(script(home / "ckpool"))) == []
    assert reasons(program(script(home / "ckpool", "exit 1"))) == [], "it does not have to know -h"


def test_programs_that_cannot_be_executed_anew(program: t.Any, home: Path) -> None:
    (home / "folder").mkdir()
    plain = script(home / "plain", mode=0o644)
    cases = [str(home / "gone"), str(home / "folder"), plain, "ckpool", "./gone", "", "sh"]
    for word in cases:
        (obstacle,) = _host.obstacles(program(word), None)
        assert obstacle.reason == "no_executable" and repr(word) in obstacle.message and "full path" in obstacle.hint
        assert set(obstacle.as_dict()) == {"reason", "message", "hint"}
    assert reasons(program()) == ["no_executable"]


def test_a_bare_name_is_looked_for_where_the_daemon_does(program: t.Any, home: Path) -> None:
    """It executes what its first word names in its working directory, and does not search PATH."""
    script(home / "ckpool")
    (home / "bin").mkdir()
    script(home / "bin" / "ckpool")
    assert reasons(program("ckpool")) == reasons(program("./ckpool")) == reasons(program("bin/ckpool")) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [("echo no such library >&2; exit 127", "no such library"), ("exit 126", ""), ("kill -11 $$", "-11")],
)
def test_programs_that_do_not_run(text: str, why: str, program: t.Any, home: Path) -> None:
    (obstacle,) = _host.obstacles(program(script(home / "ckpool", text)), None)
    assert obstacle.reason == "executable_fails" and why in obstacle.message


def test_a_program_that_is_none(program: t.Any, home: Path) -> None:
    (home / "ckpool").write_bytes(b"\x7fELF nonsense")
    (home / "ckpool").chmod(0o755)
    assert reasons(program(str(home / "ckpool"))) == ["executable_fails"]


def test_a_program_that_does_not_end(program: t.Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_host, "_TRIAL_SECONDS", 0.2)
    (obstacle,) = _host.obstacles(program(script(home / "ckpool", "exec sleep 60")), None)
    assert obstacle.reason == "executable_fails" and "timed out" in obstacle.message


def test_a_program_is_tried_as_its_owner(program: t.Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may choose whom to be")
    home.chmod(0o777)
    instance = program(script(home / "ckpool", f"id -u >{home}/who"))
    real = os.stat

    def owned(path: t.Any, *words: t.Any, **named: t.Any) -> t.Any:
        info = real(path, *words, **named)
        if str(path) != f"/proc/{instance.pid}":
            return info
        return os.stat_result((*info[:4], 65534, 65534, *info[6:]))

    monkeypatch.setattr(os, "stat", owned)
    assert reasons(instance) == []
    assert (home / "who").read_text().strip() == "65534"


def test_one_in_a_file_system_of_its_own_is_not_tried(program: t.Any, home: Path) -> None:
    script(home / "ckpool", "exit 127")
    assert reasons(program("/ckpool", root=str(home))) == []
    assert reasons(program("/gone", root=str(home))) == ["no_executable"]


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("/etc/ckpool.conf is not JSON: Expecting value", ["bad_config"]),
        ("cannot read /etc/ckpool.conf: No such file", ["bad_config"]),
        ("not permitted to read /etc/ckpool.conf", []),
        ("may not read /proc/1/cwd", []),
    ],
)
def test_configurations(problem: str, expected: t.List[str], program: t.Any, home: Path) -> None:
    instance = program(script(home / "ckpool"))
    instance.config, instance.problems = None, {"config": problem}
    assert reasons(instance) == expected


def test_units_that_would_kill_the_new_process(program: t.Any, home: Path) -> None:
    instance = program(script(home / "ckpool"))
    assert reasons(instance, Service("ckpool.service", exit_type="cgroup")) == []
    (obstacle,) = _host.obstacles(
        instance, Service("ckpool.service", exit_type="main", kill_mode="process", main_pid=instance.pid)
    )
    assert obstacle.reason == "unit_would_kill" and "ckpool.service" in obstacle.message
    assert "ExitType=cgroup" in obstacle.hint and "systemctl restart ckpool.service" in obstacle.hint
    assert reasons(instance, Service("ckpool.service", main_pid=7)) == ["unit_would_kill"], "one too old to know of it"
    assert reasons(instance, Service("ckpool.service")) == [], (
        "without a main process, it lasts as long as anything in it"
    )


def test_all_that_is_in_the_way_is_told_at_once(program: t.Any) -> None:
    instance = program("gone")
    instance.config, instance.problems = None, {"config": "x is not JSON"}
    assert reasons(instance, Service("u", main_pid=7)) == ["no_executable", "bad_config", "unit_would_kill"]


def test_of_a_simulated_daemon(simulate: Start) -> None:
    daemon = simulate()
    assert Control.find(str(daemon.sockets)).handover() == {"obstacles": []}
    daemon.config_path.write_text("{")
    (obstacle,) = Control.find(str(daemon.sockets)).handover()["obstacles"]
    assert obstacle["reason"] == "bad_config"
    daemon.stop()
    assert Control.find(str(daemon.sockets)).handover() == {"obstacles": []}
