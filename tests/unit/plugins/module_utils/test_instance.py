# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an instance lives, by real processes. Others may run on this machine too: no test takes itself to be alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _instance
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound, Unparsable, Unreadable
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance, Process

from ..support import DEADLINE, Simulated, is_alive, wait_for

#: Writes main.pid if that is wanted, says that it is there, and waits for its end: at most a minute.
PRETENDER = """\
import os, sys, time
folder = os.environ.get("PRETEND_IN")
if not os.environ.get("PRETEND_BADLY"):  # the daemon gives its process its own name
    with open("/proc/self/comm", "w") as stream:
        stream.write((sys.argv[sys.argv.index("-n") + 1] if "-n" in sys.argv else "ckpool")[:14])
if folder:
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "main.pid"), "w") as stream:
        stream.write(str(os.getpid()))
print("up", flush=True)
time.sleep(60)
"""

Pretend = t.Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def pretend(home: Path) -> t.Iterator[Pretend]:
    """Start a process with these words as its command line. The first is its argv[0], whatever really runs."""
    script = home / "pretender"
    script.write_text(PRETENDER)
    running: t.List[subprocess.Popen[str]] = []

    def start(*words: str, pid_in: t.Optional[Path] = None, cwd: t.Optional[Path] = None) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [words[0], str(script), *words[1:]],
            executable=sys.executable,
            cwd=cwd or home,
            env={"PYTHONHOME": sys.base_prefix, "PRETEND_IN": str(pid_in or "")},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(child)
        assert child.stdout is not None and child.stdout.readline() == "up\n"
        return child

    yield start
    for child in running:
        child.kill()
        child.wait(DEADLINE)
        if child.stdout:
            child.stdout.close()


def process_of(pid: int) -> Process:
    """What is seen of a process that looks like a ckpool."""
    return next(process for process in _instance.processes() if process.pid == pid)


def ended_pid() -> int:
    """The pid of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(DEADLINE)
    return child.pid


def folder_with_pid(path: Path, pid: object) -> Path:
    """A socket directory with a main.pid."""
    path.mkdir()
    (path / "main.pid").write_text(str(pid))
    return path


@pytest.mark.parametrize(
    ("words", "name", "mode", "folder"),
    [
        ([], "ckpool", "pool", "/tmp/ckpool"),
        (["-s", "/run/a"], "ckpool", "pool", "/run/a"),
        (["-s/run/a"], "ckpool", "pool", "/run/a"),
        (["--sockdir=/run/a"], "ckpool", "pool", "/run/a"),
        (["--sockdir", "/run/a"], "ckpool", "pool", "/run/a"),
        (["-s", "/run/a/"], "ckpool", "pool", "/run/a"),
        (["-s", "/run/../run/a"], "ckpool", "pool", "/run/a"),
        (["-n", "mine"], "mine", "pool", "/tmp/mine"),
        (["-nmine", "-l", "6"], "mine", "pool", "/tmp/mine"),
        (["--name=mine"], "mine", "pool", "/tmp/mine"),
        (["-B"], "ckpool", "solo", "/tmp/ckpool"),
        (["-Bn", "mine"], "mine", "solo", "/tmp/mine"),
        (["-BHkn", "mine", "-s/run/b"], "mine", "solo", "/run/b"),
        (["-p"], "ckproxy", "proxy", "/tmp/ckproxy"),
        (["--proxy"], "ckproxy", "proxy", "/tmp/ckproxy"),
        (["-u"], "ckproxy", "proxy", "/tmp/ckproxy"),
        (["-P"], "ckpassthrough", "passthrough", "/tmp/ckpassthrough"),
        (["-R"], "ckredirector", "redirector", "/tmp/ckredirector"),
        (["-N"], "cknode", "node", "/tmp/cknode"),
        (["--node", "--name", "x"], "x", "node", "/tmp/x"),
        (["-NP"], "cknode", "node", "/tmp/cknode"),
        (["-c", "-s", "-n", "x"], "x", "pool", "/tmp/x"),  # a value may look like an option
        (["-l", "P", "stray", "-k"], "ckpool", "pool", "/tmp/ckpool"),
        (["--unheard-of=PNs/run/a"], "ckpool", "pool", "/tmp/ckpool"),
        (["--killold", "--quiet", "-"], "ckpool", "pool", "/tmp/ckpool"),
        (["-s"], "ckpool", "pool", "/tmp/ckpool"),
    ],
)
def test_the_options_of_a_process(pretend: Pretend, words: t.List[str], name: str, mode: str, folder: str) -> None:
    child = pretend("/usr/bin/ckpool", *words)
    process = process_of(child.pid)
    assert (process.name, process.mode, process.socket_dir) == (name, mode, folder)
    assert process.start_time is not None and abs(time.time() - process.start_time) < 30


@pytest.mark.parametrize("option", [["-s", "run"], ["-srun"], ["--sockdir=./run/"]])
def test_a_relative_path_is_that_of_the_process(pretend: Pretend, home: Path, option: t.List[str]) -> None:
    (home / "there").mkdir()
    child = pretend("ckpool", *option, cwd=home / "there")
    assert process_of(child.pid).socket_dir == str(home / "there" / "run")


@pytest.mark.parametrize("name", ["nginx", "/usr/bin/less", "pool", "ckpo"])
def test_another_program_is_no_ckpool(pretend: Pretend, name: str) -> None:
    child = pretend(name, "-s", "/run/ckpool")
    assert child.pid not in [process.pid for process in _instance.processes()]


def test_what_has_ended_is_not_alive() -> None:
    assert _instance.is_alive(os.getpid())
    assert not _instance.is_alive(ended_pid())
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    wait_for(lambda: not is_alive(zombie.pid), "the child to end")
    assert os.path.exists(f"/proc/{zombie.pid}")
    assert not _instance.is_alive(zombie.pid)
    zombie.wait(DEADLINE)


def test_an_instance_in_a_given_folder(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate("-P")
    found = _instance.find(str(daemon.sockets))
    assert found.as_dict("ok") == {
        "name": "ckpool", "mode": "passthrough", "socket_dir": str(daemon.sockets), "log_dir": str(daemon.logs),
        "pid": daemon.pid, "state": "ok",
    }  # fmt: skip
    assert (found.pid_state, found.root, found.update_interval, found.problems) == ("alive", "", 0.2, {})
    assert found.socket("listener") == f"{daemon.sockets}/listener"
    assert found.log_file == f"{daemon.logs}/ckpool.log"
    assert found.log_path("pool", "pool.status") == f"{daemon.logs}/pool/pool.status"


def test_a_link_to_its_folder_and_a_relative_path_lead_to_it_too(
    simulate: t.Callable[..., Simulated], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = simulate()
    (home / "link").symlink_to(daemon.sockets)
    monkeypatch.chdir(home)
    for given in (str(home / "link"), "link", f"{daemon.sockets}/", f"{daemon.sockets}/../s"):
        found = _instance.find(given)
        assert (found.pid, found.pid_state, found.log_dir) == (daemon.pid, "alive", str(daemon.logs))


def test_an_option_overrides_the_log_directory(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    assert _instance.find(str(daemon.sockets), None, "/elsewhere").log_dir == "/elsewhere"


def test_all_that_run_are_discovered(simulate: t.Callable[..., Simulated]) -> None:
    daemons = [simulate() for _count in range(3)]
    found = {instance.socket_dir: instance for instance in _instance.discover()}
    for daemon in daemons:
        assert found[str(daemon.sockets)].pid == daemon.pid
    assert list(found) == sorted(found)


def test_a_process_that_lost_its_pid_file_is_discovered_by_its_command(pretend: Pretend, home: Path) -> None:
    child = pretend("ckpool", "-s", str(home / "run"))
    assert child.pid in [instance.pid for instance in _instance.discover() if instance.socket_dir == str(home / "run")]
    found = _instance.find(str(home / "run"))
    assert (found.pid, found.pid_state) == (child.pid, "alive")


def test_a_second_process_in_the_folder_of_a_living_one_is_not_taken_for_it(pretend: Pretend, home: Path) -> None:
    owner = pretend("ckpool", "-s", str(home / "run"), pid_in=home / "run")
    pretend("ckpool", "-s", str(home / "run"), "--handover")
    found = [instance for instance in _instance.discover() if instance.socket_dir == str(home / "run")]
    assert [instance.pid for instance in found] == [owner.pid]


def test_another_program_with_a_ckpool_in_its_command_is_not_believed(home: Path) -> None:
    """A monitor, or the task of ours that is just running, may have the pid of a daemon that ended."""
    script = home / "my_ckpool_tool"
    script.write_text(PRETENDER)
    children = []
    try:
        for badly in ("yes", ""):
            child = subprocess.Popen(
                [sys.executable, str(script), "-s", str(home / "run")],
                env={"PRETEND_IN": str(home / "run"), "PRETEND_BADLY": badly},
                stdout=subprocess.PIPE,
            )
            children.append(child)
            assert child.stdout is not None and child.stdout.readline() == b"up\n"
            found = [entry.pid for entry in _instance.discover() if entry.socket_dir == str(home / "run")]
            assert found == ([] if badly else [child.pid])
            assert _instance.find(str(home / "run")).pid_state == ("another" if badly else "alive")
    finally:
        for child in children:
            child.kill()
            child.communicate(timeout=DEADLINE)


def test_the_pid_of_an_ended_process(home: Path) -> None:
    found = _instance.find(str(folder_with_pid(home / "run", ended_pid())))
    assert (found.pid_state, found.name, found.mode, found.log_dir) == ("dead", "ckpool", "pool", None)
    assert found.log_file is None and found.update_interval is None


@pytest.mark.parametrize(
    "text", ["", " ", "x", "-1", "0", "4294967296", "1 2", "\u0661", "9" * 63, "9" * 100, "\0\0", "1.5"]
)
def test_a_main_pid_that_holds_none(home: Path, text: str) -> None:
    found = _instance.find(str(folder_with_pid(home / "run", text)))
    assert (found.pid, found.pid_state) == (None, "absent")
    assert "does not hold a process id" in found.problems["pid"]


@pytest.mark.parametrize(
    "words", [["sleep"], ["nginx", "-c", "nginx.conf"], ["daemon", "-n", "other"], ["d", "-s", "/run/x"]]
)
@pytest.mark.parametrize("default", [False, True])
def test_a_pid_that_another_program_has_now(
    pretend: Pretend, home: Path, monkeypatch: pytest.MonkeyPatch, words: t.List[str], default: bool
) -> None:
    """Also in the folder that a ckpool without options would have, where the other program has no options either."""
    if default:
        monkeypatch.setitem(_instance.MODE_NAMES, "pool", home.name)
    folder = home if default else home / "run"
    child = pretend(*words, pid_in=folder)
    found = _instance.find(str(folder))
    assert (found.pid, found.pid_state) == (child.pid, "another")
    assert found.start_time is None and found.log_dir is None


def test_a_daemon_under_another_name_is_known_by_its_folder(pretend: Pretend, home: Path) -> None:
    (home / "mine.conf").write_text('{"logdir": "/var/log/mine"}')
    child = pretend("elopool", "-n", "mine", "-s", str(home / "run"), pid_in=home / "run")
    found = _instance.find(str(home / "run"))
    assert (found.pid, found.pid_state, found.name, found.log_dir) == (child.pid, "alive", "mine", "/var/log/mine")


def privately(home: Path) -> t.List[str]:
    """The beginning of a command that sees a folder of its own at home/private, as a unit with PrivateTmp does."""
    return [
        "unshare", "--mount", "--propagation", "private", "sh", "-c",
        'mount -t tmpfs none "$0" && exec "$@"', str(home / "private"),
    ]  # fmt: skip


def test_a_daemon_in_a_pid_namespace_is_known_by_the_number_that_it_has_there(home: Path) -> None:
    inside = ["unshare", "--pid", "--fork", "--kill-child"]
    try:
        possible = subprocess.run([*inside, "true"], capture_output=True, timeout=DEADLINE, check=False).returncode == 0
    except OSError:
        possible = False
    if not possible:
        pytest.skip("no pid namespace can be made here (needs root and unshare)")
    script = home / "ckpool"
    script.write_text(PRETENDER)
    folder = home / "contained"
    child = subprocess.Popen(
        [*inside, sys.executable, str(script), "-s", str(folder)],
        cwd=home,
        env={"PATH": os.environ["PATH"], "PRETEND_IN": str(folder)},
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        assert (folder / "main.pid").read_text() == "1"
        found = next(instance for instance in _instance.discover() if instance.socket_dir == str(folder))
        assert found.pid_state == "alive" and found.pid not in (1, child.pid)
        assert _instance.find(str(folder)).pid == found.pid
    finally:
        child.kill()
        child.communicate(timeout=DEADLINE)


def test_a_folder_that_only_the_process_sees(home: Path) -> None:
    folder = home / "private" / "ckpool"
    folder.parent.mkdir()
    try:
        possible = subprocess.run([*privately(home), "true"], capture_output=True, timeout=DEADLINE, check=False)
        why = possible.stderr.decode() if possible.returncode else ""
    except OSError as error:
        why = str(error)
    if why:
        pytest.skip(f"no mount namespace can be made here (needs root and unshare): {why}")
    script = home / "ckpool"
    script.write_text(PRETENDER)
    (home / "ckpool.conf").write_text(json.dumps({"logdir": str(home / "private" / "logs")}))
    child = subprocess.Popen(
        [*privately(home), sys.executable, str(script), "-s", str(folder)],
        cwd=home,
        env={"PATH": os.environ["PATH"], "PRETEND_IN": str(folder)},
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        assert not folder.exists()  # to us
        found = _instance.find(str(folder))
        assert (found.pid, found.pid_state, found.root) == (child.pid, "alive", f"/proc/{child.pid}/root")
        assert found.socket("listener") == f"/proc/{child.pid}/root{folder}/listener"
        assert found.log_dir == str(home / "private" / "logs")
        assert found.log_path("pool") == f"/proc/{child.pid}/root{home}/private/logs/pool"
        assert found.as_dict()["socket_dir"] == str(folder)
        # What stands at that path for us is somebody else's.
        folder_with_pid(folder, ended_pid())
        assert _instance.find(str(folder)).pid == child.pid
    finally:
        child.kill()
        child.communicate(timeout=DEADLINE)


def only(monkeypatch: pytest.MonkeyPatch, home: Path, *pids: int) -> None:
    """Let only these processes run on the host, and let the default folders be in a place of our own."""
    real = list(_instance.processes())
    monkeypatch.setattr(_instance, "processes", lambda: (process for process in real if process.pid in pids))
    monkeypatch.setattr(_instance, "_PROGRAMS", (f"{home.name}/ckpool", f"{home.name}/ckproxy"))


def test_with_nothing_given_the_only_one_that_runs_is_meant(
    simulate: t.Callable[..., Simulated], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = simulate()
    only(monkeypatch, home, daemon.pid)
    assert _instance.find().pid == daemon.pid
    assert _instance.find(name="ckpool").pid == daemon.pid
    with pytest.raises(NotFound, match="no ckpool named other runs here"):
        _instance.find(name="other")


def test_with_nothing_given_several_are_an_error_that_names_them(
    simulate: t.Callable[..., Simulated], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = simulate(), simulate()
    only(monkeypatch, home, one.pid, two.pid)
    with pytest.raises(NotFound) as caught:
        _instance.find()
    assert caught.value.reason == "several_instances" and "socket_dir" in caught.value.hint
    for daemon in (one, two):
        assert f"ckpool (pid {daemon.pid}) in {daemon.sockets}" in str(caught.value)
    assert _instance.find(str(two.sockets)).pid == two.pid


def test_of_several_the_one_in_the_default_folder_is_meant(
    pretend: Pretend, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Process(pretend("ckpool").pid, ["ckpool"], {})
    there = Process(pretend("ckpool", "-s", str(home)).pid, ["ckpool"], {"s": str(home)})
    monkeypatch.setattr(_instance, "processes", lambda: iter((there, here)))
    monkeypatch.setattr(_instance, "_read_pid", lambda _path: None)  # there may be a /tmp/ckpool on this machine
    assert _instance.find().pid == here.pid


def test_with_nothing_given_and_nothing_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, home)
    with pytest.raises(NotFound) as caught:
        _instance.find()
    assert (caught.value.phase, caught.value.reason) == ("find", "no_instance")
    assert "no ckpool runs here, and /tmp/ckpool does not exist" in str(caught.value)
    assert "socket_dir" in caught.value.hint


def test_what_an_ended_one_left_in_a_default_folder_is_discovered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, home)
    assert _instance.discover() == []
    folder_with_pid(home / "ckpool", ended_pid())
    (home / "ckproxy").mkdir()
    assert [(entry.socket_dir, entry.pid_state) for entry in _instance.discover()] == [(str(home / "ckpool"), "dead")]
    (home / "ckproxy" / "listener").symlink_to("nowhere")
    found = _instance.discover()
    assert [(entry.name, entry.mode, entry.pid_state) for entry in found] == [
        ("ckpool", "pool", "dead"),
        ("ckproxy", "proxy", "absent"),
    ]


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ('{"logdir": "x"}', {"logdir": "x"}),
        ('\n  {"logdir": "x"}\nComments from here on down.\n"logdir" : where {it} goes', {"logdir": "x"}),
        ('{"a": {"b": [1]}}}}}', {"a": {"b": [1]}}),
        ('{"a": "\\u00e9"}\xff', {"a": "é"}),
    ],
)
def test_a_configuration_ends_with_its_brace(text: str, config: t.Dict[str, t.Any]) -> None:
    assert _instance.parse_config(text.encode("latin-1"), "ckpool.conf") == config


BROKEN = ["", "  ", "logdir", "[]", "5", '"text"', "{", '{"logdir": }', "// {}", "[" * 100_000, '{"a":' * 100_000, "\0"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_configuration_is_said_so(text: str) -> None:
    with pytest.raises(Unparsable, match=r"/etc/ckpool\.conf is not"):
        _instance.parse_config(text.encode(), "/etc/ckpool.conf")


@pytest.mark.parametrize("text", [*BROKEN[:3], None])
def test_without_its_configuration_the_rest_is_still_known(pretend: Pretend, home: Path, text: t.Optional[str]) -> None:
    if text is not None:
        (home / "ckpool.conf").write_text(text)
    child = pretend("ckpool", "-s", str(home / "run"), pid_in=home / "run")
    found = _instance.find(str(home / "run"))
    assert (found.pid, found.pid_state, found.config, found.log_dir) == (child.pid, "alive", None, None)
    assert str(home / "ckpool.conf") in found.problems["config"]


@pytest.mark.parametrize(
    ("words", "path", "config", "log_dir"),
    [
        ([], "ckpool.conf", {}, "{home}/logs"),
        ([], "ckpool.conf", {"logdir": "deep/logs/"}, "{home}/deep/logs"),
        ([], "ckpool.conf", {"logdir": "/var/log/ckpool"}, "/var/log/ckpool"),
        ([], "ckpool.conf", {"logdir": ""}, "{home}/logs"),
        ([], "ckpool.conf", {"logdir": 5}, "{home}/logs"),
        ([], "ckpool.conf", {"logdir": "a\0b"}, "{home}/logs"),
        ([], "ckpool.conf", {"logdir": "a\ud800b"}, "{home}/logs"),
        (["-n", "mine"], "mine.conf", {"logdir": "l"}, "{home}/l"),
        (["-N"], "cknode.conf", {"logdir": "l"}, "{home}/l"),
        (["-c", "sub/other.conf"], "sub/other.conf", {"logdir": "l"}, "{home}/l"),
        (["--config=sub/other.conf"], "sub/other.conf", {"logdir": "l"}, "{home}/l"),
    ],
)
def test_the_log_directory_is_that_of_the_configuration(
    pretend: Pretend, home: Path, words: t.List[str], path: str, config: t.Dict[str, t.Any], log_dir: str
) -> None:
    (home / "sub").mkdir()
    (home / path).write_text(json.dumps(config))
    pretend("ckpool", "-s", str(home / "run"), *words, pid_in=home / "run")
    assert _instance.find(str(home / "run")).log_dir == log_dir.format(home=home)


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        (None, None), ({}, 30), ({"update_interval": 5}, 5.0), ({"update_interval": 0.5}, 0.5), ({"update_interval": 0}, 30),
        ({"update_interval": -1}, 30), ({"update_interval": "5"}, 30), ({"update_interval": None}, 30),
        ({"update_interval": float("nan")}, 30), ({"update_interval": float("inf")}, 30), ({"update_interval": 10**400}, 30),
    ],
)  # fmt: skip
def test_the_interval_between_two_pieces_of_work(
    config: t.Optional[t.Dict[str, t.Any]], seconds: t.Optional[float]
) -> None:
    assert Instance("/tmp/ckpool", "ckpool", config=config).update_interval == seconds


@pytest.mark.parametrize("name", ["main.pid", "ckpool.conf"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "huge", "device"])
def test_no_kind_of_file_hangs_or_fills_the_memory(pretend: Pretend, home: Path, name: str, kind: str) -> None:
    pretend("ckpool", "-s", str(home / "run"), pid_in=home / "run")
    path = home / name if name == "ckpool.conf" else home / "run" / name
    if path.exists():
        path.unlink()
    if kind == "pipe":
        os.mkfifo(path)  # whoever opens it to read waits for a writer
    elif kind == "folder":
        path.mkdir()
    elif kind == "huge":
        path.touch()
        os.truncate(path, 10 * 1024**3)
    else:
        path.symlink_to("/dev/zero")
    start = time.monotonic()
    found = _instance.find(str(home / "run"))
    assert time.monotonic() - start < 3
    if name == "ckpool.conf":
        assert str(path) in found.problems["config"]
    else:
        assert found.pid_state == "alive"  # known by its command


def test_files_are_read_up_to_a_limit(home: Path) -> None:
    path = home / "file"
    path.write_bytes(b"x" * 1000)
    assert _instance.read_file(str(path)) == b"x" * 1000
    assert _instance.read_file(str(path), 1000) == b"x" * 1000
    with pytest.raises(Unreadable, match="has 1000 bytes, more than 999") as caught:
        _instance.read_file(str(path), 999)
    assert caught.value.reason == "too_large"
    assert b"Name:" in _instance.read_file("/proc/self/status")  # which says that it has no bytes


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere", "absent"),
        ("file/x", "absent"),
        ("loop", "unreadable"),
        ("x" * 300, "unreadable"),
        (".", "not_a_file"),
    ],
)
def test_why_a_file_could_not_be_read(home: Path, path: str, reason: str) -> None:
    """Absent is what may be passed over in silence: nothing else may look like it."""
    (home / "file").touch()
    (home / "loop").symlink_to("loop")
    with pytest.raises(Unreadable) as caught:
        _instance.read_file(str(home / path))
    assert caught.value.reason == reason


@pytest.mark.parametrize("path", ["a\0b", "/tmp/\0", "\ud800"])
@pytest.mark.parametrize("option", ["socket_dir", "name", "log_dir"])
def test_what_cannot_be_a_path_is_refused(path: str, option: str) -> None:
    with pytest.raises(BadInput, match="cannot be a path"):
        _instance.find(**{option: path})
    if option == "log_dir":
        with pytest.raises(BadInput):
            _instance.discover(path)


def test_the_open_files_of_a_process() -> None:
    count, limit = _instance.open_files(os.getpid())
    extra = [os.open("/dev/null", os.O_RDONLY) for _count in range(5)]
    more, _limit = _instance.open_files(os.getpid())
    for handle in extra:
        os.close(handle)
    assert more == count + 5
    assert limit is None or limit >= more
    with pytest.raises(Unreadable):
        _instance.open_files(ended_pid())


def test_a_daemon_that_was_killed_leaves_its_pid_behind(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    pid = daemon.pid
    daemon.stop(signal.SIGKILL)
    found = _instance.find(str(daemon.sockets))
    assert (found.pid, found.pid_state, found.log_dir) == (pid, "dead", None)
