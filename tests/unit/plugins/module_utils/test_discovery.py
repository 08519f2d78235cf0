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
from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery, _inspection
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound, Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process, systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._host.access import user_name
from ansible_collections.ckpool.fleet.plugins.module_utils._host.command_line import MODE_NAMES
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance

from tests.support import DEADLINE, Simulated

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
    """Start a process with these words as its command line. The first is its argv[0], not the program."""
    script = home / "pretender"
    script.write_text(PRETENDER)
    running: t.List[subprocess.Popen[str]] = []

    def start(
        *words: str, pid_in: t.Optional[Path] = None, cwd: t.Optional[Path] = None, badly: bool = False
    ) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [words[0], str(script), *words[1:]],
            executable=sys.executable,
            cwd=cwd or home,
            env={
                "PYTHONHOME": sys.base_prefix,
                "PRETEND_IN": str(pid_in or ""),
                "PRETEND_BADLY": "yes" if badly else "",
            },
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


def test_what_a_process_was_started_with(pretend: Pretend) -> None:
    child = pretend("/usr/bin/ckpool", "-NHkn", "mine", "--sockd=/run/../run/a/")
    found = _discovery.find(pid=child.pid)
    assert (found.name, found.mode, found.socket_dir) == ("mine", "node", "/run/a")
    assert found.start_time is not None and abs(time.time() - found.start_time) < 30
    assert found.start_ticks == process.start_ticks(child.pid)


@pytest.mark.parametrize("option", [["-s", "run"], ["-srun"], ["--sockdir=./run/"]])
def test_a_relative_path_is_that_of_the_process(pretend: Pretend, home: Path, option: t.List[str]) -> None:
    (home / "there").mkdir()
    child = pretend("ckpool", *option, cwd=home / "there")
    assert _discovery.find(pid=child.pid).socket_dir == str(home / "there" / "run")


@pytest.mark.parametrize("name", ["nginx", "/usr/bin/less", "pool", "ckpo"])
def test_another_program_is_no_ckpool(pretend: Pretend, name: str) -> None:
    child = pretend(name, "-s", "/run/ckpool", badly=True)
    assert child.pid not in [instance.pid for instance in _discovery.discover()]
    with pytest.raises(NotFound, match=f"pid {child.pid} is not a ckpool"):
        _discovery.find(pid=child.pid)


def test_an_instance_in_a_given_folder(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate("-P")
    found = _discovery.find(str(daemon.socket_dir))
    assert found.as_dict("ok") == {
        "name": "ckpool", "mode": "passthrough", "socket_dir": str(daemon.socket_dir), "log_dir": str(daemon.log_dir),
        "pid": daemon.pid, "started": int(found.start_time or 0), "root": "/", "user": user_name(os.geteuid()), "state": "ok",
    }  # fmt: skip
    assert (found.pid_state, found.root, found.update_interval, found.problems) == ("alive", "", 0.2, {})
    assert found.socket("listener") == f"{daemon.socket_dir}/listener"
    assert found.log_file == f"{daemon.log_dir}/ckpool.log"
    assert found.log_path("pool", "pool.status") == f"{daemon.log_dir}/pool/pool.status"


def test_a_link_to_its_folder_and_a_relative_path_lead_to_it_too(
    simulate: t.Callable[..., Simulated], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = simulate()
    (home / "link").symlink_to(daemon.socket_dir)
    monkeypatch.chdir(home)
    for given in (str(home / "link"), "link", f"{daemon.socket_dir}/", f"{daemon.socket_dir}/../s"):
        found = _discovery.find(given)
        assert (found.pid, found.pid_state, found.log_dir) == (daemon.pid, "alive", str(daemon.log_dir))


def test_an_option_overrides_the_log_directory(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    assert _discovery.find(str(daemon.socket_dir), None, "/elsewhere").log_dir == "/elsewhere"


def test_all_that_run_are_discovered(simulate: t.Callable[..., Simulated]) -> None:
    daemons = [simulate() for _count in range(3)]
    found = {instance.socket_dir: instance for instance in _discovery.discover()}
    for daemon in daemons:
        assert found[str(daemon.socket_dir)].pid == daemon.pid
    assert list(found) == sorted(found)


def test_a_process_that_lost_its_pid_file_is_discovered_by_its_command(pretend: Pretend, home: Path) -> None:
    child = pretend("ckpool", "-s", str(home / "run"))
    assert child.pid in [instance.pid for instance in _discovery.discover() if instance.socket_dir == str(home / "run")]
    found = _discovery.find(str(home / "run"))
    assert (found.pid, found.pid_state) == (child.pid, "alive")


def test_a_second_process_in_the_folder_of_a_living_one_is_not_taken_for_it(pretend: Pretend, home: Path) -> None:
    owner = pretend("ckpool", "-s", str(home / "run"), pid_in=home / "run")
    pretend("ckpool", "-s", str(home / "run"), "--handover")
    found = [instance for instance in _discovery.discover() if instance.socket_dir == str(home / "run")]
    assert [instance.pid for instance in found] == [owner.pid]


@pytest.mark.parametrize("option", ["-n", "-s"])
def test_a_process_with_words_that_no_daemon_can_serve_with_is_none(pretend: Pretend, option: str) -> None:
    """Anybody can start one: each sentence about it would have all of them."""
    child = pretend("ckpool", option, "x" * 100_000)
    assert child.pid not in [instance.pid for instance in _discovery.discover()]


def test_a_process_that_systemd_has_not_made_a_ckpool_yet_is_none() -> None:
    """Between its start and the program it is called (ckpool), runs as the unit's user, and has no arguments."""
    code = "import time; open('/proc/self/comm', 'w').write('(ckpool)'); print('up', flush=True); time.sleep(60)"
    environment = {"PYTHONHOME": sys.base_prefix}
    child = subprocess.Popen(
        ["(ckpool)", "-c", code], executable=sys.executable, env=environment, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        assert process.comm_of(child.pid) == b"(ckpool)"
        assert child.pid not in [instance.pid for instance in _discovery.discover()]
    finally:
        child.kill()
        child.communicate(timeout=DEADLINE)


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
            found = [entry.pid for entry in _discovery.discover() if entry.socket_dir == str(home / "run")]
            assert found == ([] if badly else [child.pid])
            assert _discovery.find(str(home / "run")).pid_state == ("another" if badly else "alive")
    finally:
        for child in children:
            child.kill()
            child.communicate(timeout=DEADLINE)


def test_the_pid_of_an_ended_process(home: Path) -> None:
    found = _discovery.find(str(folder_with_pid(home / "run", ended_pid())))
    assert (found.pid_state, found.name, found.mode, found.log_dir) == ("dead", "ckpool", "pool", None)
    assert found.log_file is None and found.update_interval is None


@pytest.mark.parametrize(
    "text", ["", " ", "x", "-1", "0", "4294967296", "1 2", "\u0661", "9" * 63, "9" * 100, "\0\0", "1.5"]
)
def test_a_main_pid_that_holds_none(home: Path, text: str) -> None:
    found = _discovery.find(str(folder_with_pid(home / "run", text)))
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
        monkeypatch.setitem(MODE_NAMES, "pool", home.name)
    folder = home if default else home / "run"
    child = pretend(*words, pid_in=folder)
    only(monkeypatch, home, child.pid)
    found = _discovery.find(str(folder))
    assert (found.pid, found.pid_state) == (child.pid, "another")
    assert found.start_time is None and found.log_dir is None


def test_a_daemon_under_another_name_is_known_by_its_folder(pretend: Pretend, home: Path) -> None:
    (home / "mine.conf").write_text('{"logdir": "/var/log/mine"}')
    child = pretend("elopool", "-n", "mine", "-s", str(home / "run"), pid_in=home / "run")
    found = _discovery.find(str(home / "run"))
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
        found = next(instance for instance in _discovery.discover() if instance.socket_dir == str(folder))
        assert found.pid_state == "alive" and found.pid not in (1, child.pid)
        assert _discovery.find(str(folder)).pid == found.pid
    finally:
        child.kill()
        child.communicate(timeout=DEADLINE)


def test_a_folder_that_only_the_process_sees(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        found = _discovery.find(str(folder))
        assert (found.pid, found.pid_state, found.root) == (child.pid, "alive", f"/proc/{child.pid}/root")
        assert found.socket("listener") == f"/proc/{child.pid}/root{folder}/listener"
        assert found.log_dir == str(home / "private" / "logs")
        assert found.log_path("pool") == f"/proc/{child.pid}/root{home}/private/logs/pool"
        assert found.as_dict()["socket_dir"] == str(folder)
        # One that has ended at that path here is another one, and so is one that a unit should run here.
        unit = systemd.Unit("mine.service", ("/opt/ckpool", "-s", str(folder)), "/", "failed", "enabled")
        monkeypatch.setattr(systemd, "service_commands", lambda: [unit])
        for found in (_discovery.find(str(folder)), _discovery.find(str(folder_with_pid(folder, ended_pid())))):
            assert (found.pid_state != "alive", found.root) == (True, "")
            assert f"(pid: {child.pid}) in /proc/{child.pid}/root{folder}" in found.problems["instances"]
        assert _discovery.find(pid=child.pid).pid == child.pid
        monkeypatch.setattr(systemd, "service_commands", list)
        os.chown(folder, 12345, 12345)  # a person may have made one of that name
        assert _discovery.find(str(folder)).pid == child.pid
    finally:
        child.kill()
        child.communicate(timeout=DEADLINE)


def only(monkeypatch: pytest.MonkeyPatch, home: Path, *pids: int) -> None:
    """Let only these processes run on the host, and let the default folders be in a place of our own."""
    monkeypatch.setattr(process, "pids", lambda: iter(pids))
    monkeypatch.setattr(_inspection, "TEMPORARY", str(home))


def test_with_nothing_given_the_only_one_that_runs_is_meant(
    simulate: t.Callable[..., Simulated], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = simulate()
    only(monkeypatch, home, daemon.pid)
    assert _discovery.find().pid == daemon.pid
    assert _discovery.find(name="ckpool").pid == daemon.pid
    with pytest.raises(NotFound, match="no ckpool named other runs here"):
        _discovery.find(name="other")


def test_with_nothing_given_several_are_an_error_that_names_them(
    simulate: t.Callable[..., Simulated], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = simulate(), simulate()
    only(monkeypatch, home, one.pid, two.pid)
    with pytest.raises(NotFound) as caught:
        _discovery.find()
    assert caught.value.reason == "several_instances" and "socket_dir" in caught.value.hint
    for daemon in (one, two):
        assert f"ckpool (pid: {daemon.pid}) in {daemon.socket_dir}" in str(caught.value)
    assert _discovery.find(str(two.socket_dir)).pid == two.pid


def test_of_several_the_one_in_the_default_folder_is_meant(
    pretend: Pretend, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = pretend("ckpool", "-s", str(home / "ckpool"))
    there = pretend("ckpool", "-s", str(home / "other"))
    only(monkeypatch, home, here.pid, there.pid)
    found = _discovery.find()
    assert found.pid == here.pid
    assert f"(pid: {there.pid})" in found.problems["instances"]


def test_with_nothing_given_and_nothing_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, home)
    with pytest.raises(NotFound) as caught:
        _discovery.find()
    assert (caught.value.phase, caught.value.reason) == ("find", "no_instance")
    assert f"no ckpool runs here, and {home}/ckpool does not exist" in str(caught.value)
    assert "socket_dir" in caught.value.hint


def test_what_an_ended_one_left_in_a_default_folder_is_discovered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, home)
    assert _discovery.discover() == []
    folder_with_pid(home / "ckpool", ended_pid())
    (home / "ckproxy").mkdir()
    assert [(entry.socket_dir, entry.pid_state) for entry in _discovery.discover()] == [(str(home / "ckpool"), "dead")]
    (home / "ckproxy" / "listener").symlink_to("nowhere")
    found = _discovery.discover()
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
    assert _inspection.parse_config(text.encode("latin-1"), "ckpool.conf") == config


BROKEN = ["", "  ", "logdir", "[]", "5", '"text"', "{", '{"logdir": }', "// {}", "[" * 100_000, '{"a":' * 100_000, "\0"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_configuration_is_said_so(text: str) -> None:
    with pytest.raises(Unparsable, match=r"/etc/ckpool\.conf is not"):
        _inspection.parse_config(text.encode(), "/etc/ckpool.conf")


@pytest.mark.parametrize("text", [*BROKEN[:3], None])
def test_without_its_configuration_the_rest_is_still_known(pretend: Pretend, home: Path, text: t.Optional[str]) -> None:
    if text is not None:
        (home / "ckpool.conf").write_text(text)
    child = pretend("ckpool", "-s", str(home / "run"), pid_in=home / "run")
    found = _discovery.find(str(home / "run"))
    assert (found.pid, found.pid_state, found.config, found.log_dir) == (child.pid, "alive", None, None)
    assert str(home / "ckpool.conf") in found.problems["config"]


def test_a_configuration_that_is_too_large_for_one_is_not_read(pretend: Pretend, home: Path) -> None:
    """One of 16 MiB can cost 400 MiB of memory, and every user can have many pools."""
    (home / "ckpool.conf").write_text('{"logdir": "/logs", "a": [' + "[]," * 100_000 + "[]]}")
    pretend("ckpool", "-s", str(home / "run"), pid_in=home / "run")
    found = _discovery.find(str(home / "run"))
    assert (found.pid_state, found.config, found.log_dir) == ("alive", None, None)
    assert "more than" in found.problems["config"]


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
    assert _discovery.find(str(home / "run")).log_dir == log_dir.format(home=home)


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


@pytest.mark.parametrize(
    ("nodes", "named"),
    [
        ([{"url": "10.0.0.1:8332"}, {"url": "http://node.lan:8332/x"}], ["10.0.0.1:8332", "node.lan:8332"]),
        ([{"url": "[fd00::1]:8332"}, {"url": "node"}, {"url": 7}, "x"], ["fd00::1:8332", "node:80"]),
        ([{"url": ""}, {"url": "http://[::1]"}], [":80", "::1:80"]),
        ([{"url": "10.0.0.1:8332"}], []),
        ({"url": "10.0.0.1:8332"}, []),
        (None, []),
    ],
)
def test_the_bitcoinds_as_the_log_names_them(nodes: t.Any, named: t.List[str]) -> None:
    assert Instance("/tmp/ckpool", "ckpool", config={"btcd": nodes}).bitcoinds == named
    assert Instance("/tmp/ckpool", "ckpool").bitcoinds == []


@pytest.mark.parametrize("name", ["main.pid", "ckpool.conf"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "huge", "device"])
def test_no_kind_of_file_hangs_or_fills_the_memory(pretend: Pretend, home: Path, name: str, kind: str) -> None:
    pretend("ckpool", "-s", str(home / "run"), pid_in=home / "run")
    path = home / name if name == "ckpool.conf" else home / "run" / name
    if path.exists():
        path.unlink()
    if kind == "pipe":
        os.mkfifo(path)  # a reader that opens it waits for a writer
    elif kind == "folder":
        path.mkdir()
    elif kind == "huge":
        path.touch()
        os.truncate(path, 10 * 1024**3)
    else:
        path.symlink_to("/dev/zero")
    start = time.monotonic()
    found = _discovery.find(str(home / "run"))
    assert time.monotonic() - start < 30
    if name == "ckpool.conf":
        assert str(path) in found.problems["config"]
    else:
        assert found.pid_state == "alive"  # known by its command


@pytest.mark.parametrize("path", ["a\0b", "/tmp/\0", "\ud800"])
@pytest.mark.parametrize("option", ["socket_dir", "name", "log_dir"])
def test_what_cannot_be_a_path_is_refused(path: str, option: str) -> None:
    with pytest.raises(BadInput, match="cannot be a path"):
        _discovery.find(**{option: path})  # type: ignore[arg-type]
    if option == "log_dir":
        with pytest.raises(BadInput):
            _discovery.discover(path)


def test_a_relative_path_without_a_working_directory_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(BadInput, match="working directory that is gone"):
        _discovery.find("run")
    with pytest.raises(BadInput):
        _discovery.find_all(["run"])


@pytest.mark.parametrize("pid", [2**31, 10**30])
def test_a_number_that_no_process_can_have(pid: int) -> None:
    with pytest.raises(NotFound, match="does not run"):
        _discovery.find(pid=pid)


def test_an_empty_text_selects_nothing(
    simulate: t.Callable[..., Simulated], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = simulate()
    only(monkeypatch, home, daemon.pid)
    assert _discovery.find("", "", "").pid == daemon.pid


def test_a_daemon_that_was_killed_leaves_its_pid_behind(simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate()
    pid = daemon.pid
    daemon.stop(signal.SIGKILL)
    found = _discovery.find(str(daemon.socket_dir))
    assert (found.pid, found.pid_state, found.log_dir) == (pid, "dead", None)


def test_two_with_one_directory_that_may_not_be_looked_into_are_two(pretend: Pretend, home: Path) -> None:
    """As two containers without root: only the path of each is known."""
    folder = str(home / "nowhere" / "s")
    children = {pretend("/usr/bin/ckpool", "-s", folder).pid for _number in range(2)}
    assert {i.pid for i in _discovery.discover() if i.socket_dir == folder} == children
    with pytest.raises(NotFound, match="several"):
        _discovery.find(folder)
