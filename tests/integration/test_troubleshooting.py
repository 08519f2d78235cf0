# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every message that docs/troubleshooting.md explains is provoked, and the page quotes it as it is printed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, SIMULATOR, Simulated, wait_for
from tests.support.ansible import UNHURRIED, Ansible, Direct, Json, Run, Task
from tests.support.exchange import free_port
from tests.support.fake_service import FakeService, http
from tests.support.machine import Machine, namespaces, needs_namespaces
from tests.support.privileges import without_privileges

PAGE = ROOT / "docs" / "troubleshooting.md"
PATIENCE = 30.0
"""Seconds, for pools whose sockets all answer, however busy the machine is."""
SILENCE = {"hung": 0.5, "queue": 0.5, "hung listener": 5.0, "starting": 5.0, "no bitcoind": 5.0}
"""The same for pools of which a socket never answers: others, if there are any, have to answer within it."""
SOCKETS = ("listener", "stratifier", "connector", "generator")

#: pools by what is wrong with them
POOLS: dict[str, Json] = {
    "well": {},
    "well by the API": {"dialect": "api"},
    "down": {"faults": ["down"]},
    "killed": {"faults": ["refused"]},
    "hung": {"faults": ["hung"]},
    "hung listener": {"faults": [{"fault": "hung", "sockets": ["listener"]}]},
    "starting": {"faults": ["starting"]},
    "no bitcoind": {"faults": ["bitcoind_down"]},
    "restart fails": {"faults": ["restart_old"]},
    "no config": {},
    "strict log": {},
    "linked": {},
    "clock": {"status_interval": 1e6},  # it does not write its statistics again, once they are of the future
    **{fault: {"faults": [{"fault": fault, "sockets": ["stratifier"]}]}
       for fault in ("half_reply", "oversized", "garbage", "no_reply")},
}  # fmt: skip
COUNTS = '{"workbases": {"count": 1, "generated": 1}, "clients": {"count": 0}}'
#: builds of which no public one is like that: what they say to which message; all else they close on
BUILDS: dict[str, dict[str, str]] = {
    "says unknown": {"ping": "pong", "stats": "unknown"},
    "says invalid": {"ping": "pong", "loglevel=5": "Invalid"},
    "says nonsense": {"ping": "PONG but no"},
    "says error": {"ping": "pong", "stats": '{"error": 404}'},
    "strands": {"ping": "pong", "stats": COUNTS, "getbest": "0" * 64},
}
GUIDE = {"source": "guide"}
ACTIONS = ("ckpool_restart", "ckpool_shutdown", "ckpool_wait")
NOBODY = "1111111111111111111114oLvT2"

#: message of the page, by a short name: the pool, and the task that provokes it there
CASES: dict[str, tuple[str, str, Json]] = {
    "absent": ("nowhere", "ckpool_loglevel", {"level": 5}),
    "absent, reading": ("nowhere", "ckpool_stats", {"fail_when_down": True}),
    "no such name": ("any", "ckpool_stats", {"name": "no-such-pool"}),
    "refused": ("down", "ckpool_loglevel", {"level": 5}),
    "down": ("down", "ckpool_stats", {"fail_when_down": True}),
    "restart of none": ("down", "ckpool_restart", {}),
    "files for sockets": ("files", "ckpool_command", {"command": "ping"}),
    "datagrams": ("datagrams", "ckpool_command", {"command": "ping"}),
    "hung": ("hung", "ckpool_stats", {"fail_when_down": True}),
    "unanswered": ("hung", "ckpool_command", {"command": "ping"}),
    "queue": ("queue", "ckpool_command", {"command": "ping"}),
    "shutdown of a hung one": ("hung listener", "ckpool_shutdown", {}),
    "restart of a hung one": ("hung listener", "ckpool_restart", {}),
    "stranded": ("strands", "ckpool_health_info", {"thresholds": UNHURRIED}),
    "starting": ("starting", "ckpool_stats", {}),
    "wait": ("starting", "ckpool_wait", {"wait_timeout": 1}),
    "another peer": ("others", "ckpool_loglevel", {"level": 5}),
    "another peer of a pool": ("linked", "ckpool_loglevel", {"level": 5}),
    "unknown, reading": ("linked", "ckpool_stats", {}),
    "no such pid": ("any", "ckpool_stats", {"pid": 4194304}),
    "restart of no such pid": ("any", "ckpool_restart", {"pid": 4194304}),
    "nonsense, reading": ("says nonsense", "ckpool_stats", {"fail_when_down": True}),
    "error": ("says error", "ckpool_stats", GUIDE),
    "text": ("says unknown", "ckpool_stats", GUIDE),
    "half": ("half_reply", "ckpool_stats", GUIDE),
    "oversized": ("oversized", "ckpool_stats", GUIDE),
    "garbage": ("garbage", "ckpool_stats", GUIDE),
    "no reply": ("no_reply", "ckpool_stats", GUIDE),
    "no guide": ("well", "ckpool_stats", GUIDE),
    "no api": ("well", "ckpool_stats", {"source": "api"}),
    "blocks by socket": ("well", "ckpool_block_info", {"source": "api"}),
    "unknown command": ("well", "ckpool_command", {"command": "summary"}),
    "silent command": ("well", "ckpool_command", {"command": "uptime", "socket": "stratifier"}),
    "harmful": ("well", "ckpool_command", {"command": "stratifierstats"}),
    "harmful query": ("well", "ckpool_command", {"command": {"method": "stats"}}),
    "creating": ("well", "ckpool_command", {"command": "getuser=bob", "socket": "stratifier"}),
    "refused level": ("says invalid", "ckpool_loglevel", {"level": 5}),
    "no log dir": ("others", "ckpool_stats", {"source": "files"}),
    "wrong log dir": ("well", "ckpool_stats", {"log_dir": "/nonexistent/logs"}),
    "no users dir": ("well", "ckpool_user_info", {"log_dir": "/nonexistent/logs"}),
    "bad status": ("bad status", "ckpool_stats", {}),
    "clock": ("clock", "ckpool_health_info", {"thresholds": UNHURRIED}),
    "clients unknown": ("strict log", "ckpool_dropuser", {"users": [NOBODY], "watch": 0}),
    "work without bitcoind": ("no bitcoind", "ckpool_workbase_info", {}),
    "redirect": ("well", "ckpool_clients", {"state": "redirected", "redirect_to": "127.0.0.1:1"}),
    "obstacle": ("no config", "ckpool_restart", {}),
    "no new process": ("restart fails", "ckpool_restart", {"restart_timeout": 2}),
    "user name": ("well", "ckpool_user_info", {"users": ["../../etc/passwd"]}),
    "level": ("well", "ckpool_loglevel", {"level": "loud"}),
    "address": ("well", "ckpool_clients", {"state": "redirected", "redirect_to": "spare"}),
    "duration": ("well", "ckpool_user_info", {"active_within": "a while"}),
    "range": ("well", "ckpool_stats", {"timeout": 0}),
    "nobody named": ("well", "ckpool_dropuser", {}),
}
#: those that are no failures
ANSWERS = {"stranded", "starting", "clock", "unknown, reading"}


#: a ckpool of which each answer is given, as a program that is called like one; it reads no miner
BUILD = """
import json, os, select, socket, struct, sys, threading
folder, config = sys.argv[2], sys.argv[4]
says = json.load(open(config))["says"]
open("/proc/self/comm", "w").write("ckpool")
open(folder + "/main.pid", "w").write(str(os.getpid()))
stratum = socket.create_server(("127.0.0.1", 0))
waiting = select.epoll()
waiting.register(stratum)
def answer(server):
    while True:
        connection = server.accept()[0]
        with connection:
            (length,) = struct.unpack("<I", connection.recv(4))
            reply = says.get(connection.recv(length).decode(), "").encode()
            if reply:
                connection.sendall(struct.pack("<I", len(reply)) + reply)
for name in ("listener", "stratifier", "connector", "generator"):
    server = socket.socket(socket.AF_UNIX)
    server.bind(folder + "/" + name)
    server.listen(8)
    threading.Thread(target=answer, args=(server,), daemon=True).start()
print(stratum.getsockname()[1], flush=True)
miners = []
while True:
    miners.append(stratum.accept())
"""


@contextlib.contextmanager
def build(folder: Path, says: Mapping[str, str]) -> Iterator[tuple[Path, int]]:
    """A ckpool with given replies: its socket directory, and the port of its miners."""
    sockets = folder / "s"
    sockets.mkdir(parents=True)
    (folder / "ckpool").write_text(BUILD)
    (folder / "ckpool.conf").write_text(json.dumps({"logdir": str(folder), "says": says}))
    command = [sys.executable, str(folder / "ckpool"), "-s", str(sockets), "-c", str(folder / "ckpool.conf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield sockets, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def places(place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    """The options that lead to each pool, by its name in CASES."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Json] = {"nowhere": {"socket_dir": "/nonexistent/ckpool"}, "any": {}}
        for name, settings in POOLS.items():
            pool = stack.enter_context(Simulated(place(), users=1, uptime=7200, **settings))
            found[name] = {"socket_dir": str(pool.socket_dir), "log_dir": str(pool.log_dir)}
            if name == "no config":
                pool.config_path.unlink()
            if name == "strict log":
                pool.ask("listener", "loglevel=3")
                (pool.log_dir / "ckpool.log").write_text("")
            if name == "well":
                broken = place()
                (broken / "pool").mkdir(parents=True)
                (broken / "pool" / "pool.status").write_text("")
                found["bad status"] = {**found[name], "log_dir": str(broken)}
            if name == "linked":
                link_to(found["well"]["socket_dir"], pool.socket_dir)
            if name == "clock":
                set_ahead(pool.log_dir / "pool" / "pool.status", 7200)
        for name, says in BUILDS.items():
            sockets, port = stack.enter_context(build(place(), says))
            found[name] = {"socket_dir": str(sockets)}
            if name == "strands":
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        found |= {name: {"socket_dir": str(make(place(), stack))} for name, make in ODD.items()}
        yield found


def set_ahead(status: Path, seconds: int) -> None:
    """Give statistics a time in the future, as after a clock was set back."""
    then = int(time.time()) + seconds
    status.write_text(re.sub(r'("lastupdate": ?)\d+', rf"\g<1>{then}", status.read_text()))
    os.utime(status, (then, then))


def link_to(others: str, ours: Path) -> None:
    """Link the sockets of one pool to those of another."""
    for name in SOCKETS:
        (ours / name).unlink()
        (ours / name).symlink_to(Path(others) / name)


def others(folder: Path, stack: contextlib.ExitStack) -> Path:
    """Sockets of this very process, which is no ckpool."""
    folder.mkdir()
    for name in SOCKETS:
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(folder / name))
        server.listen(8)
    return folder


def files(folder: Path, _stack: contextlib.ExitStack) -> Path:
    """Files where sockets should be."""
    folder.mkdir()
    for name in SOCKETS:
        (folder / name).touch()
    return folder


def datagrams(folder: Path, stack: contextlib.ExitStack) -> Path:
    """Sockets of another kind."""
    folder.mkdir()
    for name in SOCKETS:
        stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(str(folder / name))
    return folder


def queue(folder: Path, stack: contextlib.ExitStack) -> Path:
    """Sockets with a full queue."""
    folder.mkdir()
    for name in SOCKETS:
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(folder / name))
        server.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(folder / name))
    return folder


ODD: dict[str, Callable[[Path, contextlib.ExitStack], Path]] = {
    "files": files, "datagrams": datagrams, "queue": queue, "others": others,
}  # fmt: skip


@pytest.fixture(scope="module")
def results(ansible: Ansible, direct: Direct, places: dict[str, Json]) -> dict[str, Json]:
    """The result of each task. Actions are run by Ansible, modules without it."""
    tasks = {
        word: (module, {**places[name], "timeout": SILENCE.get(name, PATIENCE), **options})
        for word, (name, module, options) in CASES.items()
    }
    actions = {word: task for word, task in tasks.items() if task[0] in ACTIONS}
    modules = {word: task for word, task in tasks.items() if task[0] not in ACTIONS}
    found = dict(zip(actions, run(ansible, list(actions.values())), strict=True))
    return {**found, **dict(zip(modules, direct.run(modules.values()), strict=True))}


def run(ansible: Ansible, tasks: Sequence[Task], **how: Any) -> list[Json]:
    """The results of tasks, with C(failed); none of them shows a traceback."""
    steps = [{f"ckpool.fleet.{name}": options, "ignore_errors": True} for name, options in tasks]
    done = ansible.playbook([{"hosts": "all", "gather_facts": False, "tasks": steps}], **how)
    assert len(done.records) == len(steps), done.text
    assert "Traceback" not in done.text
    return [{**record.result, "failed": record.outcome == "failed"} for record in done.records]


def page() -> str:
    """The page, in one line."""
    return " ".join(PAGE.read_text(encoding="utf-8").split())


def quoted(message: str, place: Json) -> str:
    """A message as the page has it: of a pool in /tmp/ckpool that logs to /var/log/ckpool, by its user of that name."""
    for option, path in (("socket_dir", "/tmp/ckpool"), ("log_dir", "/var/log/ckpool")):
        if place.get(option):
            message = message.replace(place[option], path)
    for pattern, text in PATTERNS:
        message = re.sub(pattern, text, message)
    return " ".join(message.split())


_ONE = r"\S+ \(pid: \d+\) in [^\s;)]+"
PATTERNS = (
    (rf"(no ckpool runs here|running here: {_ONE}(; {_ONE})*)(; ended ones left [^\s;).]+)?(?=$|\.|;|\))",
     "running here: solo (pid: 4243) in /run/ckpool/solo"),
    (r" is [dsl-][rwxsStT-]{9} \S+:\S+; we are \S+ \(groups [^)]*\)",
     " is drwxr-x--- ckpool:ckpool; we are deploy (groups deploy)"),
    (r"become_user: \S+, or join the group \S+", "become_user: ckpool, or join the group ckpool"),
    (r"(ckpool is|to|named) pid \d+", r"\1 pid 4243"),
    (r"\bpid (?!4243)\d+", "pid 4242"),
    (r"of \w+ answers", "of ckpool answers"),
    (r"\bpid: (?!4243)\d+", "pid: 4242"),
    (r"127\.0\.0\.1:1\b", "spare.example.org:3333"),
    (r"future, by \d+ s", "future, by 7200 s"),
    (r" at \d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d( UTC|Z)", " at 2026-11-13 18:40:00 UTC"),
    (r"/tmp/ckf-\S+?/([\w.]+\.conf)", r"/etc/ckpool/\1"),
    (r"pid 4242 \([^)]*simulated_ckpool[^)]*\)", "pid 4242 (/usr/local/bin/ckpool -c /etc/ckpool/ckpool.conf)"),
    (r"after \d+ of", "after 2 of"),
    (r"within \d+ s", "within 0.5 s"),
    (r"[\d.]+ [TP]H/s, 1 users, 2 workers \(files, \d+ s old\)", "1.03 PH/s, 1 users, 2 workers (files, 6 s old)"),
)  # fmt: skip


def said(name: str, results: dict[str, Json], places: dict[str, Json]) -> str:
    """The text of a case that the page should quote."""
    return quoted(results[name]["msg"], places[CASES[name][0]])


@pytest.mark.parametrize("name", CASES)
def test_the_page_quotes_it(name: str, results: dict[str, Json], places: dict[str, Json]) -> None:
    result = results[name]
    assert result["failed"] == (name not in ANSWERS), result["msg"]
    assert said(name, results, places) in page()
    assert str(result.get("hint", "")) in result["msg"]


@pytest.mark.parametrize("name", ["error", "oversized", "garbage", "nonsense, reading"])
def test_what_no_ckpool_says_has_one_reason(name: str, results: dict[str, Json]) -> None:
    assert results[name]["reason"] == "garbage"


def test_the_end_of_the_log_is_shown(results: dict[str, Json]) -> None:
    """Also of a daemon that is gone, whose log directory was given."""
    assert all(results[name]["log_tail"] for name in ("refused", "down", "hung", "unanswered", "work without bitcoind"))


def test_permission(ansible: Ansible, places: dict[str, Json], place: Callable[[], Path]) -> None:
    with Simulated(place(), faults=["no_permission"]) as pool:
        where = {"socket_dir": str(pool.socket_dir)}
        tasks: list[Task] = [("ckpool_loglevel", {**where, "level": 5}), ("ckpool_stats", {**where, "source": "guide"})]
        control, reading = run(ansible, tasks, prefix=without_privileges())
    assert control["reason"] == reading["reason"] == "not_permitted"
    assert quoted(control["msg"], where) in page()
    assert quoted(reading["msg"], where).replace("stratifier", "listener") in page()


@needs_namespaces
def test_several(ansible: Ansible, place: Callable[[], Path]) -> None:
    with Machine(place()) as machine:
        pools = [Simulated(machine.folder / name, prefix=machine.prefix, name=name).start() for name in ("one", "two")]
        (result,) = run(ansible, [("ckpool_stats", {})], inventory={"this-machine": machine.host()})
    message = result["msg"]
    for pool in pools:
        message = message.replace(str(pool.socket_dir), f"/run/{pool.name}")
    assert result["reason"] == "several_instances"
    assert quoted(message, {}) in page()


needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may give a file to somebody else, or be somebody else"
)
HIM = 12345  #: a user of whom nobody knows anything


def as_him() -> list[str]:
    """A command to run something as another user, who can run the simulation."""
    command = ["setpriv", f"--reuid={HIM}", f"--regid={HIM}", "--clear-groups"]
    trial = [*command, sys.executable, str(SIMULATOR), "--help"]
    if not shutil.which("setpriv") or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("no setpriv, or the tests are where other users cannot read them")
    return command


class SimulatedAsHim(Simulated):
    """One of another user."""

    def command(self, *more: str) -> list[str]:
        os.chown(self.folder, HIM, HIM)
        return [*as_him(), *super().command(*more)]


@needs_root
def test_a_file_of_others(ansible: Ansible, place: Callable[[], Path]) -> None:
    """In the log directory of a user, what only root may read is not shown."""
    pool = SimulatedAsHim(place())
    where = {"socket_dir": str(pool.socket_dir)}
    try:
        pool.start()
        (pool.log_dir / "pool" / "pool.status").unlink()
        (pool.log_dir / "pool" / "pool.status").write_text("{}")
        (pool.log_dir / "pool" / "pool.status").chmod(0o600)
        (result,) = run(ansible, [("ckpool_stats", {**where, "source": "files"})])
    finally:
        pool.stop()
    assert result["reason"] == "not_permitted"
    assert quoted(result["msg"], {**where, "log_dir": str(pool.log_dir)}).replace(str(HIM), "ckpool") in page()


def test_left_rejecting(ansible: Ansible, simulate: Callable[..., Simulated]) -> None:
    where = {"socket_dir": str(simulate().socket_dir)}
    tasks = [("ckpool_clients", {**where, "state": "rejecting", "accept_after": "0"}), ("ckpool_wait", where)]
    steps = [{f"ckpool.fleet.{name}": options} for name, options in tasks]
    done = ansible.playbook([{"hosts": "all", "gather_facts": False, "tasks": steps}])
    (line,) = (line for line in done.text.splitlines() if "left rejecting" in line)
    assert quoted(line.partition("]: ")[2], where) in page()


@needs_root
def test_rights_of_two_users(ansible: Ansible, place: Callable[[], Path]) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv")
    folder = place()
    folder.mkdir(parents=True)
    (folder / "ckpool").write_text(
        "import time\nopen('/proc/self/comm', 'w').write('ckpool')\nprint(flush=True)\ntime.sleep(900)"
    )
    command = ["setpriv", f"--ruid={HIM}", sys.executable, str(folder / "ckpool"), "-s", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline()
            (result,) = run(ansible, [("ckpool_restart", {"pid": process.pid})])
        finally:
            process.kill()
    assert result["reason"] == "mixed_rights"
    assert quoted(result["msg"], {}) in page()


@needs_namespaces
def test_the_first_process_of_a_container(ansible: Ansible, place: Callable[[], Path]) -> None:
    pool = Simulated(place())
    pool.folder.mkdir(parents=True)
    pool.write()
    command = ["unshare", *namespaces(), *pool.command()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for((pool.socket_dir / "listener").exists, "its listener")
            where = {"socket_dir": str(pool.socket_dir)}
            (result,) = run(ansible, [("ckpool_restart", where)])
        finally:
            process.kill()
    assert result["reason"] == "first_process"
    assert quoted(result["msg"], where) in page()


#: what a play over no host, or without an answer, says
PLAYS: dict[str, tuple[tuple[str, ...], Json]] = {
    "a limit that fits no host": (("--limit", "pool1,pool9"), {}),
    "a limit that leaves none": (("--limit", "pool2"), {"graceful_shutdown_hosts": "pool1"}),
    "a pattern": ((), {"graceful_shutdown_hosts": "pools"}),
    "nobody to ask": (("--limit", "pool1"), {}),
}


@pytest.fixture(scope="module")
def plays(ansible: Ansible, place: Callable[[], Path]) -> Iterator[dict[str, list[str]]]:
    """The messages of the failed tasks of each play."""
    with Machine(place()) as machine:
        Simulated(machine.folder / "s", prefix=machine.prefix, users=1).start()
        hosts = {name: machine.host() for name in ("pool1", "pool2")}
        runs = {
            name: ansible.playbook("ckpool.fleet.graceful_shutdown", *arguments, inventory=hosts, variables=variables)
            for name, (arguments, variables) in PLAYS.items()
        }
        yield {name: failures(run) for name, run in runs.items()}


def failures(run: Run) -> list[str]:
    return [record.result["msg"] for record in run.records if record.outcome == "failed"]


@needs_namespaces
@pytest.mark.parametrize("name", PLAYS)
def test_plays(name: str, plays: dict[str, list[str]]) -> None:
    (message,) = plays[name]
    assert quoted(message, {}) in page()


@needs_namespaces
def test_what_was_there_and_is_not(ansible: Ansible, place: Callable[[], Path]) -> None:
    report = place()
    known = {
        "host": "pool1",
        "instance": "solo",
        "socket_dir": "/run/ckpool/solo",
        "root": "/",
        "last_seen": 1794600000,
    }
    report.write_text(json.dumps({"generated": 1794600000, "fleet": [], "known": [known]}))
    with Machine(place()) as machine:
        Simulated(machine.folder / "s", prefix=machine.prefix, users=1).start()
        hosts = {"pool1": machine.host()}
        variables = {"health_check_json_file": str(report)}
        done = ansible.playbook("ckpool.fleet.health_check", inventory=hosts, variables=variables)
    (line,) = (line for line in done.output.splitlines() if "was here at" in line)
    assert quoted(line, {}) in page()


@pytest.mark.parametrize("kind", ["no connection to", "does not accept the token"])
def test_a_service_that_gives_no_verdict(kind: str, ansible: Ansible) -> None:
    with FakeService(lambda _path: [http(b"", "401 Unauthorized")]) as service:
        port = service.port if "token" in kind else free_port()
        host = {
            "health_check_http_url": f"http://127.0.0.1:{port}",
            "health_check_http_token": "0123456789abcdef-Token",
        }
        done = ansible.playbook(
            "ckpool.fleet.health_check", inventory={"pool1": host}, variables={"health_check_via": "http"}
        )
    (line,) = {line for line in done.output.splitlines() if line.startswith("pool1 ") and kind in line}
    assert quoted(line, {}).replace(f"127.0.0.1:{port}", "10.0.0.1:9333") in page()


def test_nothing_is_quoted_that_is_not_provoked(results: dict[str, Json], places: dict[str, Json]) -> None:
    """A message that was changed or removed does not stay on the page."""
    known = {said(name, results, places) for name in results}
    blocks = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    # Each of these has a test of its own, which some machines skip.
    elsewhere = ("connect: not permitted", "find: several", "verify: find: ", "read: not permitted", "pid 4242 was left",
                 "verify: ckpool (/tmp/ckpool): pid 4242 is the first", "pool1 solo gone", "no host of", "--limit pool2",
                 "no host of", "not confirmed", "pool1 - unreachable", "pool1 - failed")  # fmt: skip
    texts = [" ".join(block.split()) for block in blocks]
    others = [text for text in texts if text not in known]
    assert [text for text in others if not text.startswith(elsewhere)] == []
    assert len(others) == len(elsewhere)
    assert len(texts) == len(set(texts))
