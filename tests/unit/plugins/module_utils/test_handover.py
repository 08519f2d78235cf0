# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would make a handover fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process
from ansible_collections.ckpool.fleet.plugins.module_utils._host.program import fault_of, is_safe
from ansible_collections.ckpool.fleet.plugins.module_utils._host.systemd import Service
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import handover

from tests.support import Simulated, processes_with, wait_for

Start = t.Callable[..., Simulated]


@pytest.fixture
def program(home: Path) -> t.Iterator[t.Callable[..., Instance]]:
    """A running instance that was started by these words, in a folder of its own."""
    running: t.List[subprocess.Popen[bytes]] = []

    def start(*argv: str, config: t.Optional[t.Dict[str, t.Any]] = None, user: int = 0, **more: t.Any) -> Instance:
        command = ["sleep", "60"]
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        running.append(subprocess.Popen(command, cwd=home))
        if user:
            wait_for(lambda: process.owner_of(running[-1].pid) == process.Owner(user, user, frozenset((user,))), "him")
        known = {"config": {} if config is None else config, "owner": process.owner_of(running[-1].pid), **more}
        return Instance("/s", "ckpool", pid=running[-1].pid, pid_state="alive", argv=list(argv), **known)

    yield start
    for started in running:
        started.kill()
        started.wait(10)


def script(path: Path, text: str = "exit 0", mode: int = 0o755) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return str(path)


def reasons(instance: Instance, service: t.Optional[Service] = None) -> t.List[str]:
    return [obstacle.reason for obstacle in handover.obstacles(instance, service)]


def test_nothing_in_the_way(program: t.Any, home: Path) -> None:
    assert reasons(program(script(home / "ckpool"))) == []
    assert reasons(program(script(home / "ckpool", "exit 1"))) == [], "it does not have to know -h"


def test_programs_that_cannot_be_executed_anew(program: t.Any, home: Path) -> None:
    (home / "folder").mkdir()
    plain = script(home / "plain", mode=0o644)
    cases = [str(home / "gone"), str(home / "folder"), plain, "ckpool", "./gone", "", "sh"]
    for word in cases:
        (obstacle,) = handover.obstacles(program(word), None)
        assert obstacle.reason == "no_executable" and repr(word) in obstacle.message and "full path" in obstacle.hint
        assert set(obstacle.as_dict()) == {"reason", "message", "hint"}
    assert reasons(program()) == ["no_executable"]


def test_a_bare_name_is_looked_for_where_the_daemon_does(program: t.Any, home: Path) -> None:
    """It executes what its first word names in its working directory, and does not search PATH."""
    script(home / "ckpool")
    (home / "bin").mkdir()
    script(home / "bin" / "ckpool")
    assert reasons(program("ckpool")) == reasons(program("./ckpool")) == reasons(program("bin/ckpool")) == []


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose whom to be")
HIM = 12345  #: a user of whom nobody knows anything


def refusal(instance: Instance) -> PoolError:
    """Why the program is not tried in earnest."""
    assert reasons(instance) == []
    with pytest.raises(PoolError) as caught:
        handover.require_program(instance)
    assert caught.value.hint.startswith("put the program in that place")
    return caught.value


@pytest.mark.parametrize(
    ("text", "why"),
    [("echo no such library >&2; exit 127", "no such library"), ("exit 126", "126"), ("kill -11 $$", "-11")],
)
def test_programs_that_do_not_run(text: str, why: str, program: t.Any, home: Path) -> None:
    failure = refusal(program(script(home / "ckpool", text)))
    assert (failure.reason, failure.path) == ("executable_fails", str(home / "ckpool")) and why in str(failure)


def test_a_program_that_runs(program: t.Any, home: Path) -> None:
    handover.require_program(program(script(home / "ckpool")))
    handover.require_program(program(script(home / "ckpool", "exit 1")))  # it does not have to know -h


def test_a_look_runs_nothing(program: t.Any, home: Path) -> None:
    """The words of a command line are those of its user, and must not choose what we run."""
    assert reasons(program(script(home / "ckpool", f"touch {home}/was-run"))) == []
    assert not (home / "was-run").exists()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x7fELF nonsense", "cut off"),
        (b"\x7fELF\x01\x01" + bytes(12) + b"\x28\x00" + bytes(50), "another machine"),
        (b"just text, which is no program at all", "no program"),
        (b"", "no program"),
    ],
)
def test_a_program_that_is_none(data: bytes, why: str, program: t.Any, home: Path) -> None:
    (home / "ckpool").write_bytes(data)
    (home / "ckpool").chmod(0o755)
    (obstacle,) = handover.obstacles(program(str(home / "ckpool")), None)
    assert obstacle.reason == "executable_fails" and why in obstacle.message


def test_a_program_for_this_machine() -> None:
    with open("/proc/self/exe", "rb") as handle:
        head = handle.read(64)
    assert fault_of(head, head) == fault_of(b"#!/bin/sh", head) == ""
    assert fault_of(head[:10], head) == "it is cut off"
    for place, size in ((4, 1), (5, 1), (18, 2)):  # its class, the order of its bytes, its machine
        other = head[:place] + b"\xf3".ljust(size, b"\0") + head[place + size :]
        assert fault_of(other, head) == "it is made for another machine"


def test_a_program_that_does_not_end(program: t.Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what it has started: all of it is gone afterwards."""
    monkeypatch.setattr(handover, "_TRIAL_SECONDS", 5.0)
    (home / "sleeper").symlink_to(str(shutil.which("sleep")))
    instance = program(script(home / "ckpool", f"{home}/sleeper 60 & wait"))
    assert "has not ended in 5 s" in str(refusal(instance))
    # By its words, and not by a number that it says: on a busy machine, it may not have come so far.
    wait_for(lambda: not processes_with(f"{home}/sleeper"), "the end of what it started")


def test_a_program_that_says_too_much(program: t.Any, home: Path) -> None:
    instance = program(script(home / "ckpool", "exec cat /dev/zero >&2"))
    assert "says too much" in str(refusal(instance))


@needs_root
def test_a_program_is_tried_as_its_user_with_no_right_left(program: t.Any, home: Path) -> None:
    home.chmod(0o755)
    out = home / "out"
    out.mkdir()
    out.chmod(0o777)
    look = f"grep -E '^(Uid|Gid|Groups|NoNewPrivs)' /proc/self/status >{out}/who; ls -l /proc/$$/fd >{out}/files"
    instance = program(script(home / "ckpool", look), user=HIM)
    handover.require_program(instance)
    lines = dict(line.split(":", 1) for line in (out / "who").read_text().splitlines())
    assert {name: value.split() for name, value in lines.items()} == {
        "Uid": [str(HIM)] * 4, "Gid": [str(HIM)] * 4, "Groups": [str(HIM)], "NoNewPrivs": ["1"],
    }  # fmt: skip
    assert "socket:" not in (out / "files").read_text()


@needs_root
@pytest.mark.parametrize("where", ["file", "folder", "link"])
def test_what_somebody_else_may_have_put_there_is_not_tried(where: str, program: t.Any, home: Path) -> None:
    home.chmod(0o755)
    folder = home / "folder"
    folder.mkdir()
    path = folder / "ckpool"
    mark = home / "was-run"
    script(path, f"touch {mark}")
    if where == "file":
        os.chown(path, HIM, HIM)
    elif where == "folder":
        os.chown(folder, HIM, HIM)
    else:
        (home / "link").symlink_to(path)
        os.chown(home / "link", HIM, HIM, follow_symlinks=False)
        path = home / "link"
    handover.require_program(program(str(path)))
    assert not mark.exists()


@needs_root
def test_a_process_with_the_rights_of_two_users_is_refused(program: t.Any, home: Path) -> None:
    """As he started it: exec -a /tmp/evil/ckpool su -l root."""
    home.chmod(0o755)
    command = ["setpriv", f"--ruid={HIM}", "sleep", "60"]
    with subprocess.Popen(command) as started:
        try:
            wait_for(
                lambda: process.owner_of(started.pid) is None and process.argv_of(started.pid)[:1] == ["sleep"], "it"
            )
            words = [script(home / "ckpool", f"touch {home}/was-run")]
            instance = Instance("/s", "ckpool", pid=started.pid, pid_state="alive", argv=words, config={})
            (obstacle,) = handover.obstacles(instance, None)
            assert obstacle.reason == "mixed_rights"
            handover.require_program(instance)
            assert not (home / "was-run").exists()
        finally:
            started.kill()


def test_who_can_change_a_program(home: Path) -> None:
    path = Path(script(home / "ckpool"))
    us = (os.geteuid(),)
    assert is_safe(str(path), us) and is_safe("/bin/sh", us), "others cannot change a sticky folder such as /tmp"
    assert is_safe(f"{home}/../{home.name}/ckpool", us)
    for mode in (0o775, 0o757):
        path.chmod(mode)
        assert not is_safe(str(path), us)
    path.chmod(0o755)
    home.chmod(0o777)
    assert not is_safe(str(path), us)
    home.chmod(0o755)
    assert not is_safe(str(home), us) and not is_safe(str(home / "gone"), us)
    (home / "turn").symlink_to(home / "turn")
    assert not is_safe(str(home / "turn"), us)


def test_one_in_a_file_system_of_its_own_is_not_tried(program: t.Any, home: Path) -> None:
    script(home / "ckpool", "exit 127")
    instance = program("/ckpool", root=str(home))
    assert reasons(instance) == []
    handover.require_program(instance)
    assert reasons(program("/gone", root=str(home))) == ["no_executable"]


@needs_root
def test_the_first_process_of_a_namespace_cannot_be_followed(program: t.Any, home: Path) -> None:
    words = ["unshare", "--pid", "--fork", "--kill-child", "sleep", "60"]
    with subprocess.Popen(words) as started:
        try:
            first = wait_for(
                lambda: next((pid for pid in process.pids() if process.parent_of(pid) == started.pid), 0), "its child"
            )
            wait_for(lambda: process.inner_pid(first) == 1, "the namespace")
            instance = program(script(home / "ckpool"))
            instance.pid, instance.owner = first, process.owner_of(first)
            (obstacle,) = handover.obstacles(instance, None)
            assert obstacle.reason == "first_process" and "container" in obstacle.message
        finally:
            started.kill()


@needs_root
@pytest.mark.parametrize(
    ("name", "is_first", "found"),
    [
        ("tini", True, "what tini runs"),
        ("tini", False, ""),
        ("conmon", False, "main process"),
    ],
)
def test_a_container_that_ends_with_the_daemon(
    program: t.Any, home: Path, name: str, is_first: bool, found: str
) -> None:
    unshare = ["unshare", "--pid", "--fork", "--kill-child"] if is_first else []
    with subprocess.Popen([*unshare, script(home / name, "sleep 60\n:")], start_new_session=True) as started:
        try:

            def child() -> int:
                ours = (pid for pid in process.pids() if process.descends_from(pid, started.pid))
                return next((pid for pid in ours if process.comm_of(pid) == b"sleep"), 0)

            instance = program(script(home / "ckpool"))
            instance.pid = wait_for(child, "its child")
            instance.owner = process.owner_of(instance.pid)
            messages = [obstacle.message for obstacle in handover.obstacles(instance, None)]
            assert len(messages) == bool(found)
            assert found in "".join(messages)
        finally:
            os.killpg(started.pid, signal.SIGKILL)


@needs_root
@pytest.mark.parametrize(
    ("text", "options", "found"),
    [
        ("sleep 60\n:", (), "waits for"),  # an entrypoint without exec
        ("sh -c 'sleep 60; :'\n:", (), "waits for"),
        ("while :; do sleep 60; done", (), "waits for"),
        ("sleep 60 &\ntail -f /dev/null", (), ""),  # it goes on
        ("sleep 60\n:", ("-D",), ""),  # adopted, not waited for
        ("sleep 60\n:", ("-H",), ""),
        ('exec python3 -c \'import subprocess; subprocess.run(["sleep", "60"])\'', (), ""),  # a supervisor
    ],
)
def test_a_shell_that_waits_for_the_daemon_ends_with_it_and_so_does_its_container(
    program: t.Any, home: Path, text: str, options: t.Tuple[str, ...], found: str
) -> None:
    words = ["unshare", "--pid", "--fork", "--kill-child", script(home / "entrypoint", text)]
    with subprocess.Popen(words, start_new_session=True) as started:
        try:

            def child() -> int:
                ours = (pid for pid in process.pids() if process.descends_from(pid, started.pid))
                return next((pid for pid in ours if process.comm_of(pid) == b"sleep"), 0)

            def others() -> bool:
                return "tail" not in text or len(process.children_of(process.parent_of(child()))) > 1

            instance = program(script(home / "ckpool"), *options)
            instance.pid = wait_for(child, "its child")
            wait_for(others, "what else the shell waits for")
            instance.owner = process.owner_of(instance.pid)
            obstacles = handover.obstacles(instance, None)
            assert [obstacle.reason for obstacle in obstacles] == ["first_process"] * bool(found)
            assert found in "".join(obstacle.message for obstacle in obstacles)
        finally:
            os.killpg(started.pid, signal.SIGKILL)


def test_a_parent_that_does_not_reap(program: t.Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_REAPED_SECONDS", 0.1)
    source = "import subprocess, sys; kept = [subprocess.Popen(['sleep', '60']), subprocess.Popen(['true'])]; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE) as started:
        try:

            def children(state: str) -> t.List[int]:
                return [p for p in process.pids() if process.stat_fields(p)[:2] == [state, str(started.pid)]]

            wait_for(lambda: children("Z") and children("S"), "a child that has ended and one that lives")
            instance = program(script(home / "ckpool"))
            assert reasons(instance) == []
            instance.pid = wait_for(lambda: children("S"), "the child that lives")[0]
            (obstacle,) = handover.obstacles(instance, None)
            assert obstacle.reason == "not_reaped" and f"pid {started.pid}" in obstacle.message
            started.send_signal(signal.SIGSTOP)
            wait_for(lambda: process.stat_fields(started.pid)[0] == "T", "its stop")
            (obstacle,) = handover.obstacles(instance, None)
            assert "is stopped" in obstacle.message
        finally:
            for pid in children("S"):
                os.kill(pid, signal.SIGKILL)
            started.kill()


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
    (obstacle,) = handover.obstacles(
        instance, Service("ckpool.service", exit_type="main", kill_mode="process", main_pid=instance.pid)
    )
    assert obstacle.reason == "unit_would_kill" and "ckpool.service" in obstacle.message
    assert "ExitType=cgroup" in obstacle.hint and "systemctl restart ckpool.service" in obstacle.hint
    assert reasons(instance, Service("ckpool.service", main_pid=7)) == ["unit_would_kill"], "one too old to know of it"
    assert reasons(instance, Service("ckpool.service")) == [], (
        "without a main process, it lasts as long as anything in it"
    )


def test_a_forking_unit_survives_without_a_main_process_alone(program: t.Any, home: Path) -> None:
    instance = program(script(home / "ckpool"))
    assert reasons(instance, Service("ckpool.service", type="forking", main_pid=0)) == [], "GuessMainPID=no"
    followed = Service("ckpool.service", type="forking", main_pid=instance.pid)  # by PIDFile=, or by a guess
    (obstacle,) = handover.obstacles(instance, followed)
    assert obstacle.reason == "unit_would_kill" and "GuessMainPID=no" in obstacle.hint


def test_all_that_is_in_the_way_is_told_at_once(program: t.Any) -> None:
    instance = program("gone")
    instance.config, instance.problems = None, {"config": "x is not JSON"}
    assert reasons(instance, Service("u", main_pid=7)) == ["no_executable", "bad_config", "unit_would_kill"]


def test_of_a_simulated_daemon(simulate: Start) -> None:
    daemon = simulate()
    assert Control.find(str(daemon.socket_dir)).obstacles() == []
    daemon.config_path.write_text("{")
    (obstacle,) = Control.find(str(daemon.socket_dir)).obstacles()
    assert obstacle["reason"] == "bad_config"
    daemon.stop()
    assert Control.find(str(daemon.socket_dir)).obstacles() == []
