# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instance is meant among those of several users and several roots, and who answers for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _discovery, _inspection, _instance, _pool
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import NotFound, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import process, systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.events import log_tail

from tests.support import DEADLINE, SIMULATOR, accepts, is_alive, wait_for

OTHER = 12345  #: a person of no account
_PYTHON = "/usr/bin/python3"


def _why_not() -> str:
    if os.geteuid() != 0:
        return "only root can run processes of other users and in other roots"
    missing = [tool for tool in ("unshare", "setpriv") if not shutil.which(tool)]
    if missing or not os.access(_PYTHON, os.X_OK):
        return f"there is no {' and no '.join(missing or [_PYTHON])} here"
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "no mount namespace can be made here"


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "never")


class Daemon(t.NamedTuple):
    """A simulated daemon: what was started, and which process serves."""

    child: subprocess.Popen[bytes]
    pid: int


Start = t.Callable[..., Daemon]


@pytest.fixture
def start(home: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Start]:
    """Start simulated daemons of any user, in any root. The host has none but these, and its /tmp is the test's folder."""
    home.chmod(0o1777)
    program = home / "simulated_ckpool.py"
    shutil.copy(SIMULATOR, program)
    daemons: t.List[Daemon] = []
    monkeypatch.setattr(_inspection, "TEMPORARY", str(home))
    every = process.pids
    monkeypatch.setattr(process, "pids", lambda: (pid for pid in every() if process.descends_from(pid, os.getpid())))

    def run(*words: str, folder: Path, root: str = "", before: t.Sequence[str] = (), user: int = 0) -> Daemon:
        config = home / f"{len(daemons)}.conf"
        logs = home / f"logs{len(daemons)}"
        config.write_text(json.dumps({"logdir": str(logs), "simulation": {"status_interval": 0.5}}))
        known = set(process.pids())
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        command = [*before, *drop, _PYTHON, str(program), "-s", str(folder), "-c", str(config), *words]
        child = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, start_new_session=True)

        def found() -> int:
            mine = (pid for pid in process.pids() if pid not in known and process.descends_from(pid, child.pid))
            serving = [pid for pid in mine if str(program) in process.argv_of(pid)[:2]]
            # Its last step: one whose files are taken away before would fail.
            done = Path(f"/proc/{serving[0]}/root{logs}/simulation.applied") if serving else None
            return serving[0] if done and done.exists() else 0

        daemons.append(Daemon(child, wait_for(found, "a daemon that serves")))
        return daemons[-1]

    yield run
    for daemon in daemons:
        for pid in (daemon.pid, daemon.child.pid):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        daemon.child.wait(DEADLINE)


def container(at: Path) -> t.List[str]:
    """What makes a root of its own of a command: a directory that nobody else sees."""
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        'mount -t tmpfs none "$0" && exec "$@"',
        str(at),
    ]


def answers(instance: Instance) -> t.Set[str]:
    return set(Control(instance, timeout=DEADLINE).look().outcomes.values())


# Users


def test_root_s_is_found_though_somebody_sits_in_the_default_place(start: Start, home: Path) -> None:
    own = start(folder=home / "run")
    theirs = start(folder=home / "ckpool", user=OTHER)
    found = _discovery.find()
    assert (found.pid, found.user) == (own.pid, "root")
    assert f"of {OTHER} (pid: {theirs.pid})" in found.problems["instances"]
    assert answers(found) == {"reply"}


def test_alone_a_person_s_is_found_and_shown_as_such(start: Start, home: Path) -> None:
    theirs = start(folder=home / "ckpool", user=OTHER)
    found = _discovery.find()
    assert (found.pid, found.as_dict()["user"], found.is_of_a_person) == (theirs.pid, str(OTHER), True)
    assert answers(found) == {"reply"}


@pytest.mark.parametrize("user", [0, OTHER + 1])
def test_what_a_person_runs_is_no_answer_to_what_became_of_that_of_another(start: Start, home: Path, user: int) -> None:
    own = start(folder=home / "ckpool", user=user)
    os.kill(own.pid, signal.SIGKILL)
    own.child.wait(DEADLINE)
    theirs = start(folder=home / "theirs", user=OTHER)
    with pytest.raises(NotFound) as caught:
        _discovery.find()
    assert caught.value.reason == "several_instances"
    assert f"(pid: {theirs.pid})" in str(caught.value) and "ended" in str(caught.value)


def test_what_a_person_runs_is_no_answer_to_what_became_of_a_unit(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which has ended orderly, and left nothing."""
    theirs = start(folder=home / "ckpool", user=OTHER)
    unit = systemd.Unit("pool.service", ("/usr/bin/ckpool", "-s", f"{home}/run"), "", "inactive", "enabled")
    monkeypatch.setattr(systemd, "service_commands", lambda: [unit])
    with pytest.raises(NotFound) as caught:
        _discovery.find()
    assert f"(pid: {theirs.pid})" in str(caught.value) and f"ended, in {home}/run" in str(caught.value)


def test_those_for_whom_there_is_no_room_are_said(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can start so many that one that is down is not among those that are asked."""
    monkeypatch.setattr(_discovery, "_MOST_OF_PEOPLE", 1)
    for name in ("a", "b"):
        start(folder=home / name, user=OTHER)
    (listed,) = _discovery.find_all()
    assert listed.problems["unlisted"] == "1 more of regular users are not listed"


def test_folders_that_anybody_can_make_are_bounded(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand of them would take minutes to look into, and fill each sentence."""
    monkeypatch.setattr(_discovery, "_MOST_LEFT", 5)
    monkeypatch.setattr(_discovery, "_MOST_OF_PEOPLE", 2)
    for user, name in [*((OTHER, f"left{count}") for count in range(9)), (0, "right")]:
        (home / name).mkdir()
        for file in ("main.pid", "listener"):
            (home / name / file).touch()
        os.chown(home / name, user, user)
    found = _discovery.discover()
    assert [i.is_of_a_person for i in found] == [True] * 5 + [False]
    with pytest.raises(NotFound) as several:
        _discovery.find()
    assert str(several.value).count("/left") == 2 and "and 3 more of regular users" in str(several.value)
    own = start(folder=home / "run")
    note = _discovery.find().problems["instances"]
    assert _discovery.find().pid == own.pid and "and 3 more of regular users" in note and f"{home}/right" in note


def test_places_that_anybody_can_name_are_bounded(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process can name any place, and a folder with a million files has any number of names."""
    monkeypatch.setattr(_discovery, "_MOST_NAMES", 3)
    monkeypatch.setattr(_discovery, "_MOST_OF_PEOPLE", 1)
    for user, place in ((0, "own"), (OTHER, "one"), (OTHER, "two")):
        (home / place).mkdir()
        for name in ("a", "b", "c", "z"):
            (home / place / name).mkdir()
            for file in ("main.pid", "listener"):
                (home / place / name / file).touch()
        shutil.chown(home / place, user, user)
        start(folder=home / place / "run", user=user)
    ended = [i.socket_dir for i in _discovery.discover() if i.pid_state != "alive"]
    assert ended == [f"{home}/{left}" for left in ("one/a", "one/b", "one/c", "own/a", "own/b", "own/c", "own/z")]


def test_a_reply_of_a_person_s_that_nobody_named_is_bounded(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody can start many that all reply with as much as a pool of a million workers."""
    monkeypatch.setattr(_pool, "_MOST_OF_A_PERSON", 10)
    start(folder=home / "own")
    theirs = start(folder=home / "theirs", user=OTHER)
    found = {pool.instance.user: set(pool.health()[1].garbage) for pool in _pool.Pool.find_all()}
    assert found == {"root": set(), str(OTHER): {"stratifier", "connector"}}
    assert not _pool.Pool.find(pid=theirs.pid).health()[1].garbage


def test_an_ended_one_beside_the_one_that_is_meant_is_said(start: Start, home: Path) -> None:
    ended, own = (start(folder=home / name) for name in ("one", "two"))
    os.kill(ended.pid, signal.SIGKILL)
    ended.child.wait(DEADLINE)
    found = _discovery.find()
    assert found.pid == own.pid
    assert f"ended, in {home}/one" in found.problems["instances"]


def test_sockets_that_link_to_another_pool_s_are_told_nothing(start: Start, home: Path) -> None:
    own = start(folder=home / "run")
    (home / "ckpool").mkdir()
    for name in (*_instance.SOCKETS, "main.pid"):
        (home / "ckpool" / name).symlink_to(home / "run" / name)
    os.chown(home / "ckpool", OTHER, OTHER)
    found = _discovery.find(str(home / "ckpool"))
    assert found.pid != own.pid
    assert answers(found) == {"another_peer"}
    with pytest.raises(PoolError) as caught:
        Control(found).reject(None, "a test")
    assert caught.value.reason == "another_peer" and str(own.pid) in str(caught.value)
    told = home / "logs0" / "simulation.jsonl"  # which the first message makes
    assert not told.exists() or "reject" not in told.read_text()


def test_nobody_takes_a_directory_by_naming_it(start: Start, home: Path) -> None:
    """Neither beside the daemon, nor while main.pid is missing, as it is during a handover."""
    own = start(folder=home / "run")
    words = [_PYTHON, "-c", _CALLED.format(name="ckpool"), "-s", str(home / "run")]
    with subprocess.Popen(words, executable=_PYTHON, preexec_fn=_as_other, stdout=subprocess.PIPE) as liar:
        try:
            assert liar.stdout is not None and liar.stdout.readline() == b"up\n"
            for _moment in ("with main.pid", "without"):
                found = [i for i in _discovery.discover() if i.socket_dir == str(home / "run")]
                assert {i.pid: i.is_displaced for i in found} == {own.pid: False, liar.pid: True}
                assert _discovery.find(str(home / "run")).pid == _discovery.find().pid == own.pid
                (home / "run" / "main.pid").unlink(missing_ok=True)
        finally:
            liar.kill()


_CALLED = """\
with open("/proc/self/comm", "w") as stream: stream.write("{name}")
print("up", flush=True)
import time; time.sleep(60)
"""


def _as_other() -> None:
    os.setgroups([])
    os.setgid(OTHER)
    os.setuid(OTHER)


@pytest.mark.parametrize("tool", ["su", "sudo", "passwd", "newgrp", "chsh", "mount", "gpasswd"])
def test_no_set_user_id_program_is_a_daemon(start: Start, home: Path, tool: str) -> None:
    """Its user chooses its words, and by a link its name; it has root's rights all the same."""
    path = shutil.which(tool)
    if not path or not os.stat(path).st_mode & 0o4000:
        pytest.skip(f"there is no {tool} here that takes other rights")
    (home / "evil").mkdir(0o777)
    (home / "evil" / "ckpool").symlink_to(path)
    argv = [str(home / "evil" / "ckpool"), *(["-l", "root"] if tool == "su" else ["-s", str(home / "x")])]
    executable = path if tool == "su" else argv[0]
    read, write = os.pipe()
    with subprocess.Popen(
        argv,
        executable=executable,
        preexec_fn=_as_other,
        stdin=read,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as child:
        try:
            end = time.monotonic() + 0.5
            while time.monotonic() < end and child.poll() is None:
                assert child.pid not in [i.pid for i in _discovery.discover()]
                with pytest.raises(NotFound):
                    _discovery.find(pid=child.pid)
        finally:
            child.kill()
            os.close(read)
            os.close(write)


def test_a_program_that_may_not_be_seen_is_no_ckpool_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pid 1 of a sandbox shows nobody its program. It is another program all the same, and none to start otherwise."""
    monkeypatch.setattr(process, "is_set_id", lambda pid: True)
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            with pytest.raises(NotFound) as caught:
                _discovery.find(pid=child.pid)
        finally:
            child.kill()
    assert (caught.value.reason, caught.value.hint) == ("no_instance", "")


def test_a_daemon_s_files_are_read_with_its_rights(start: Start, home: Path) -> None:
    """Its log, its status, its configuration, its main.pid: none of them leads to what only root may read."""
    theirs = start(folder=home / "ckpool", user=OTHER)
    secret = home / "secret"
    secret.write_text(json.dumps({"logdir": "/secret", "of root": 1}) + "\n4242")
    secret.chmod(0o600)
    logs = home / "logs0"
    wait_for((logs / "pool" / "pool.status").exists, "its statistics")
    os.kill(theirs.pid, signal.SIGSTOP)
    wait_for(lambda: process.stat_fields(theirs.pid)[0] == "T", "its stop, after which it writes nothing")
    for path in (logs / "ckpool.log", logs / "pool" / "pool.status", home / "0.conf", home / "ckpool" / "main.pid"):
        path.unlink()
        path.symlink_to(secret)
        os.chown(path, OTHER, OTHER, follow_symlinks=False)
    found = _discovery.find(str(home / "ckpool"))
    assert (found.pid, found.user) == (theirs.pid, str(OTHER))
    assert found.config is None and "not permitted" in found.problems["config"]
    assert log_tail(found) == []
    with pytest.raises(PoolError):
        found.files.read(f"{logs}/pool/pool.status")


# Roots


def test_two_containers_with_the_same_directory(start: Start, home: Path) -> None:
    (home / "in").mkdir()
    folder = home / "in" / "x"
    one, two = (start(folder=folder, before=container(home / "in")) for _number in range(2))
    with pytest.raises(NotFound) as caught:
        _discovery.find(str(folder))
    assert caught.value.reason == "several_instances"
    for daemon in (one, two):
        place = f"/proc/{daemon.pid}/root{folder}"
        assert place in str(caught.value) and f"(pid: {daemon.pid})" in str(caught.value)
        for how in ({"pid": daemon.pid}, {"socket_dir": place}, {"pid": daemon.pid, "socket_dir": str(folder)}):
            found = _discovery.find(**t.cast(t.Any, how))
            assert (found.pid, found.root, found.socket_dir) == (daemon.pid, f"/proc/{daemon.pid}/root", str(folder))
            assert answers(found) == {"reply"}
    assert sorted(i.pid or 0 for i in _discovery.discover()) == sorted((one.pid, two.pid))
    control = Control.find(pid=one.pid)
    control.send_loglevel(7)
    record = [(home / f"logs{number}" / "simulation.jsonl").read_text() for number in range(2)]
    assert ["loglevel=7" in text for text in record] == [True, False]


def test_a_directory_by_the_path_of_the_host_is_that_of_the_container(start: Start, home: Path) -> None:
    """As by a bind mount. Its main.pid says 1, since its pid namespace is its own."""
    (home / "shared").mkdir()
    (home / "in").mkdir()
    inside = 'mount --bind "$0" "$1"; shift; exec "$@"'
    before = [
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
        "sh", "-c", inside, str(home / "shared"), str(home / "in"),
    ]  # fmt: skip
    daemon = start(folder=home / "in" / "s", before=before)
    assert (home / "shared" / "s" / "main.pid").read_text() == "1"
    assert [i.pid for i in _discovery.discover()] == [daemon.pid]
    for named in (home / "shared" / "s", Path(f"/proc/{daemon.pid}/root{home}/in/s"), home / "in" / "s"):
        found = _discovery.find(str(named))
        assert (found.pid, found.pid_state) == (daemon.pid, "alive")
        assert answers(found) == {"reply"}


def test_an_absolute_link_of_a_container_is_not_followed_on_the_host(start: Start, home: Path) -> None:
    """As /var/run is one to /run nearly everywhere: what stands there on the host is another pool's."""
    (home / "in").mkdir()
    link = home / "in" / "var"
    inside = 'mount -t tmpfs none "$0"; mkdir "$0/run"; ln -s "$0/run" "$0/var"; exec "$@"'
    before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside, str(home / "in")]
    (home / "in" / "run").mkdir()
    own = start(folder=home / "in" / "run" / "s")
    theirs = start(folder=link / "s", before=before)
    wait_for(lambda: {i.pid for i in _discovery.discover()} == {own.pid, theirs.pid}, "both")
    for daemon in (own, theirs):
        wait_for(lambda pid=daemon.pid: answers(_discovery.find(pid=pid)) == {"reply"}, "its answers")  # type: ignore[misc]
    assert _discovery.find(f"/proc/{theirs.pid}/root{link}/s").pid == theirs.pid


def test_one_whose_directory_was_removed_is_not_taken_for_one_with_ours(start: Start, home: Path) -> None:
    """As by what tidies the /tmp of a unit: it serves its miners, and nobody can ask it."""
    (home / "in").mkdir()
    folder = home / "in" / "s"
    theirs = start(folder=folder, before=container(home / "in"))
    own = start(folder=folder)
    assert {i.pid for i in _discovery.discover()} == {own.pid, theirs.pid}
    shutil.rmtree(f"/proc/{theirs.pid}/root{folder}")
    assert {(i.pid, i.root) for i in _discovery.discover()} == {(own.pid, ""), (theirs.pid, f"/proc/{theirs.pid}/root")}
    lost = _discovery.find(pid=theirs.pid)
    assert Control(lost).look().state != "ok" and answers(lost) != {"reply"}
    assert answers(_discovery.find(str(folder))) == {"reply"}


def test_one_of_a_container_is_not_chosen_for_ours_that_has_ended_in_that_directory(start: Start, home: Path) -> None:
    """A shutdown without options would end the one of the host, and done once more that of the container."""
    (home / "in").mkdir()
    folder = home / "in" / "s"
    theirs = start(folder=folder, before=container(home / "in"))
    own = start(folder=folder)
    beside = start(folder=home / "in" / "t")  # so that what has ended beside it is found
    for daemon in (own, beside):
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.child.wait(DEADLINE)
    found = [_discovery.find(pid=theirs.pid), _inspection.from_folder(str(folder), None, None)]
    with pytest.raises(_discovery.Several) as refused:
        _discovery._choose(found, str(folder))
    assert [i.pid for i in refused.value.instances] == [own.pid, theirs.pid]
    other = _inspection.from_folder(str(home / "in" / "t"), None, None)
    chosen = _discovery._choose([found[0], other], str(folder))
    assert chosen and chosen.pid == theirs.pid, "it has another directory"


def test_relative_paths_in_a_root_of_its_own(start: Start, home: Path) -> None:
    """The kernel tells the working directory of one in a chroot with that root in front."""
    root = home / "root"
    root.mkdir()
    inside = 'mount --rbind / "$0" && exec chroot "$0" env --chdir "$@"'
    before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside, str(root), str(home)]
    daemon = start("-c", "0.conf", folder=Path("s"), before=before)
    found = _discovery.find(pid=daemon.pid)
    assert (found.socket_dir, found.config_file) == (str(home / "s"), str(home / "0.conf"))
    assert (found.problems, found.log_dir, answers(found)) == ({}, str(home / "logs0"), {"reply"})


# What ended


def test_a_killed_one_is_found_by_what_it_left(start: Start, home: Path) -> None:
    daemon = start("-n", "px", folder=home / "px")
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.child.wait(DEADLINE)
    (found,) = _discovery.discover()
    assert (found.name, found.socket_dir, found.pid_state) == ("px", str(home / "px"), "dead")
    assert _discovery.find(name="px").socket_dir == str(home / "px")
    assert Control(found).look().state == "down"


def test_siblings_of_a_known_directory_are_looked_at(start: Start, home: Path) -> None:
    (home / "run").mkdir()
    _one, two = (start(folder=home / "run" / name) for name in "ab")
    os.kill(two.pid, signal.SIGKILL)
    two.child.wait(DEADLINE)
    found = {i.socket_dir: i.pid_state for i in _discovery.discover()}
    assert found == {str(home / "run" / "a"): "alive", str(home / "run" / "b"): "dead"}


@pytest.mark.parametrize(
    ("active", "file_state", "is_found"),
    [
        ("failed", "disabled", True),
        ("inactive", "enabled", True),
        ("inactive", "disabled", False),
        ("active", "enabled", False),
    ],
)
def test_a_unit_that_should_run_and_does_not(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch, active: str, file_state: str, is_found: bool
) -> None:
    shown = (
        f"Id=solo.service\nExecStart={{ path=/opt/ckpool ; argv[]=/opt/ckpool -B -n solo -s {home}/solo ; ignore_errors=no }}\n"
        f"WorkingDirectory=/srv\nActiveState={active}\nUnitFileState={file_state}\n\n"
        "Id=other.service\nExecStart={ path=/bin/true ; argv[]=/bin/true -n ckpool ; }\nActiveState=failed\n"
    )
    monkeypatch.setattr(systemd, "has_systemd", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", lambda *_words: shown)
    found = _discovery.discover(with_units=True)
    assert [(i.name, i.mode, i.socket_dir, i.unit) for i in found] == (
        [("solo", "solo", f"{home}/solo", "solo.service")] if is_found else []
    )
    assert all("solo.service is" in i.problems["unit"] for i in found)


# Logs and configurations


@pytest.mark.parametrize("change", ["edited", "broken", "removed", "rotated"])
def test_the_log_directory_is_the_one_that_is_open(start: Start, home: Path, change: str) -> None:
    log, config = home / "logs" / "ckpool.log", home / "ckpool.conf"
    log.parent.mkdir()
    config.write_text('{"logdir": "logs"}')
    source = f"log = open({str(log)!r}, 'a')\n" + _CALLED.format(name="ckpool")
    words = ["ckpool", "-c", source, "-s", str(home / "run")]
    with subprocess.Popen(words, executable=_PYTHON, stdout=subprocess.PIPE, cwd=home) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == b"up\n"
            assert _discovery.find(pid=child.pid).log_dir == str(log.parent)
            config.write_text('{"logdir": "/elsewhere"}' if change == "edited" else "{")
            if change == "removed":
                config.unlink()
            if change == "rotated":
                log.rename(log.with_name("ckpool-20261101.log"))
            assert _discovery.find(pid=child.pid).log_dir == str(log.parent)
        finally:
            child.kill()


# What can be carried


@pytest.mark.parametrize("name", [b"x\xff", b"a\x1b[2Jb", b"a\nb", "a\u202eb".encode()])
def test_an_odd_name_is_carried_and_moves_nothing(start: Start, home: Path, name: bytes) -> None:
    words = [b"ckpool", b"-c", _CALLED.format(name="ckpool").encode(), b"-n", name, b"-s", bytes(home / "run")]
    with subprocess.Popen(words, executable=_PYTHON, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == b"up\n"
            instances = _discovery.discover()
            for instance in instances:
                text = json.dumps(instance.as_dict(), ensure_ascii=False)
                text.encode()
                assert instance.as_dict()["name"].isprintable() and "\x1b" not in text
            with pytest.raises(NotFound) as caught:
                _discovery.find(name="another")
            str(caught.value).encode()
            assert str(caught.value).isprintable()
        finally:
            child.kill()


# Names, options and leftovers


def test_a_renamed_program_with_abbreviated_options_is_found(start: Start, home: Path) -> None:
    """The name of the file is the operator's; the daemon names its process by itself, and getopt cuts options."""
    program, folder, logs = home / "cashpool", home / "run", home / "logs"
    shutil.copy(SIMULATOR, program)
    config = home / "cash.conf"
    config.write_text(json.dumps({"logdir": str(logs), "update_interval": 7}))
    command = [_PYTHON, str(program), "--conf", str(config), f"--sockd={folder}"]
    child = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(lambda: accepts(folder / "stratifier"), "a daemon that serves")
        (found,) = (one for one in _discovery.discover() if one.pid_state == "alive")
        assert (found.pid, found.socket_dir, found.name) == (child.pid, str(folder), "ckpool")
        assert (found.log_dir, found.update_interval) == (str(logs), 7)
    finally:
        child.kill()
        child.wait(DEADLINE)


def test_a_name_leads_to_what_is_in_its_default_place(start: Start, home: Path) -> None:
    """A daemon that was told to end leaves its sockets, and no main.pid."""
    daemon = start("-n", "pt", folder=home / "pt")
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.child.wait(DEADLINE)
    (home / "pt" / "main.pid").unlink()
    found = _discovery.find(name="pt")
    assert (found.socket_dir, found.pid_state) == (str(home / "pt"), "absent")


def test_nothing_is_removed_through_a_link_of_another_user(home: Path, start: Start) -> None:
    (home / "precious").mkdir()
    (home / "precious" / "main.pid").write_text(str(2**22 + 1))
    link = home / "link"
    link.symlink_to(home / "precious")
    os.lchown(link, OTHER, OTHER)
    control = Control(_discovery.find(str(link)))
    with pytest.raises(PoolError, match="link that another user made"):
        control.clean()
    assert (home / "precious" / "main.pid").exists()
    os.lchown(link, 0, 0)
    assert Control(_discovery.find(str(link))).clean() == ["main.pid"]
    assert not (home / "precious" / "main.pid").exists()


def test_a_socket_of_anybody_s_elsewhere_keeps_nothing_from_being_removed(home: Path, start: Start) -> None:
    daemon = start(folder=home / "s")
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.child.wait(DEADLINE)
    (home / "elsewhere").mkdir(mode=0o777)
    os.chown(home / "elsewhere", OTHER, OTHER)
    code = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('listener'); s.listen(1); print(flush=True); time.sleep(60)"
    other = subprocess.Popen(
        [_PYTHON, "-c", code], cwd=home / "elsewhere", preexec_fn=_as_other, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == b"\n"
        control = Control(_discovery.find(str(home / "s")))
        wait_for(lambda: control.look().is_down, "the end of its sockets")
        assert {"listener", "main.pid"} <= set(control.clean())
        assert list((home / "s").iterdir()) == []
    finally:
        other.kill()
        other.wait(DEADLINE)


@pytest.mark.parametrize("text", [None, "1", "junk"])
def test_a_pid_file_that_does_not_name_a_running_daemon_is_said(
    start: Start, home: Path, text: t.Optional[str]
) -> None:
    daemon = start(folder=home / "s")
    (home / "s" / "main.pid").unlink()
    if text is not None:
        (home / "s" / "main.pid").write_text(text)
    found = _discovery.find(str(home / "s"))
    assert (found.pid, found.pid_state) == (daemon.pid, "alive")
    assert "main.pid" in found.problems["pid"]


def test_a_pid_file_that_may_not_be_read_is_not_said_to_name_another(start: Start, home: Path) -> None:
    daemon = start(folder=home / "s")
    (home / "s").chmod(0o700)
    os.seteuid(OTHER)
    try:
        found = _discovery.find(str(home / "s"))
    finally:
        os.seteuid(0)
    assert (found.pid, found.pid_state) == (daemon.pid, "alive")
    assert "not permitted to read" in found.problems["pid_file"] and "pid" not in found.problems


# What a person does to be taken for the system's pool


def test_a_person_s_private_directory_is_no_answer_for_a_dead_pool(start: Start, home: Path) -> None:
    folder = home / "inside" / "run"
    folder.parent.mkdir()
    own = start(folder=folder)
    os.kill(own.pid, signal.SIGKILL)
    own.child.wait(DEADLINE)
    start(folder=folder, before=container(folder.parent), user=OTHER)
    assert _discovery.find(str(folder)).pid_state == "dead"
    rows = _discovery.find_all([str(folder)])
    assert [(i.pid_state, i.is_closed) for i in rows if i.socket_dir == str(folder)].count(("dead", False)) == 1
    shutil.rmtree(folder)
    assert _discovery.find(str(folder)).pid_state == "absent"


def test_the_pid_that_a_person_s_process_has_elsewhere_makes_no_pool_its_own(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pid namespace of one's own, any process can have any number."""
    own = start(folder=home / "run")
    (home / "run").chmod(0o755)
    words = [_PYTHON, "-c", _CALLED.format(name="ckpool"), "-s", str(home / "run")]
    with subprocess.Popen(words, executable=_PYTHON, preexec_fn=_as_other, stdout=subprocess.PIPE) as liar:
        try:
            assert liar.stdout is not None and liar.stdout.readline() == b"up\n"
            monkeypatch.setattr(process, "inner_pid", lambda pid: own.pid)
            assert {i.pid: i.is_displaced for i in _discovery.discover()} == {own.pid: False, liar.pid: True}
            os.kill(own.pid, signal.SIGKILL)
            own.child.wait(DEADLINE)
            assert _discovery.find(str(home / "run")).pid_state == "dead"
        finally:
            liar.kill()


def test_a_pool_whose_directory_somebody_took_over_is_not_hidden(start: Start, home: Path) -> None:
    folder = home / "ckpool"
    folder.mkdir()
    os.chown(folder, OTHER, OTHER)
    folder.chmod(0o777)
    own = start(folder=folder)
    for path in folder.iterdir():
        path.unlink()
    other = start(folder=folder, user=OTHER)
    assert {i.pid: i.is_displaced for i in _discovery.find_all()} == {own.pid: True, other.pid: False}
    found = _discovery.find()
    assert (found.pid, found.is_displaced) == (own.pid, True)
    assert "another user" in found.problems["socket_dir"]
    assert Control(found).look().state == "unknown", "another process answers there"
    with pytest.raises(NotFound, match="several"):
        _discovery.find(str(folder))


@pytest.mark.parametrize(
    ("user", "is_person"),
    [
        (0, False),
        (999, False),
        (1000, True),
        (12345, True),
        (61184, False),
        (65534, False),
        (65536, True),
        (100001, True),
    ],
)
def test_whose_uid_it_is(user: int, is_person: bool) -> None:
    assert process.Owner(user, user, frozenset()).is_person is is_person
