# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host says of a process: its unit, who holds its sockets, and whether it could start again."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import systemd as _host
from ansible_collections.ckpool.fleet.plugins.module_utils._host.systemd import Service

from tests.support import Simulated

Start = t.Callable[..., Simulated]
WE = os.getpid()
UNIT = {
    "LoadState": "loaded", "Restart": "always", "ExitType": "cgroup", "KillMode": "control-group", "MainPID": str(WE),
    "Type": "simple", "ActiveState": "active", "ControlGroup": "/system.slice/ckpool.service",
}  # fmt: skip
PROPERTIES = "LoadState,ActiveState,ControlGroup,Restart,ExitType,KillMode,MainPID,Type"
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
        ("0::/system.slice/ckpool.service/networking.service\n", "ckpool.service"),
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
    assert calls() == [f"systemctl --no-ask-password show --property {PROPERTIES} -- {unit}"]


def test_an_old_systemd_tells_less(systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    own = "ActiveState=active\nControlGroup=/system.slice/ckpool.service\n"
    systemd(f"LoadState=loaded\nRestart=no\nMainPID=\n{own}\nnonsense\n")
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


@pytest.mark.parametrize(
    ("group", "state", "is_own"),
    [
        ("/system.slice/ckpool.service", "active", True),
        ("/system.slice/ckpool.service", "inactive", False),
        ("/system.slice/networking.service", "active", False),
        ("", "active", False),
    ],
)
def test_a_unit_without_a_main_process_must_have_the_control_group(
    group: str, state: str, is_own: bool, systemd: t.Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """A user with a delegated group can give it that name."""
    systemd(shown(MainPID="0", ActiveState=state, ControlGroup=group))
    in_cgroup(IN_UNIT, monkeypatch, home)
    assert (_host.service_of(WE) is not None) == is_own
