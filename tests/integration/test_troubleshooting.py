# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every message that docs/troubleshooting.md explains is provoked, and quoted there as it is printed."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import needs_namespaces
from tests.integration.harness import ROOT, Ansible, Json, Machine, Simulated, Task, simulated
from tests.integration.test_faults import without_privileges

PAGE = ROOT / "docs" / "troubleshooting.md"
QUICK = 0.5
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
    **{fault: {"faults": [{"fault": fault, "sockets": ["stratifier"]}]}
       for fault in ("half_reply", "oversized", "garbage", "no_reply")},
}  # fmt: skip
#: what fake pools say to anything
FAKES = {"unknown": "unknown", "pong": "pong", "Invalid": "Invalid"}
GUIDE = {"source": "guide"}
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
    "starting": ("starting", "ckpool_stats", {}),
    "wait": ("starting", "ckpool_wait", {"wait_timeout": 1}),
    "text": ("unknown", "ckpool_stats", GUIDE),
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
    "refused level": ("Invalid", "ckpool_loglevel", {"level": 5}),
    "no log dir": ("pong", "ckpool_stats", {"source": "files"}),
    "wrong log dir": ("well", "ckpool_stats", {"log_dir": "/nonexistent/logs"}),
    "no users dir": ("well", "ckpool_user_info", {"log_dir": "/nonexistent/logs"}),
    "bad status": ("bad status", "ckpool_stats", {}),
    "clients unknown": ("strict log", "ckpool_dropuser", {"users": [NOBODY], "watch": 0}),
    "work without bitcoind": ("no bitcoind", "ckpool_workbase_info", {}),
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
ANSWERS = {"starting"}


class Fake:
    """Four sockets that say the same to everybody, or nothing at all."""

    def __init__(self, folder: Path, reply: str) -> None:
        folder.mkdir(parents=True)
        self.socket_dir = folder
        self._reply = struct.pack("<I", len(reply)) + reply.encode()
        self._servers = [self._serve(str(folder / name)) for name in SOCKETS]

    def _serve(self, path: str) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen(8)
        threading.Thread(target=self._answer, args=(server,), daemon=True).start()
        return server

    def _answer(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = server.accept()[0]
                with connection, contextlib.suppress(OSError):
                    connection.recv(4096)
                    connection.sendall(self._reply)

    def close(self) -> None:
        for server in self._servers:
            server.shutdown(socket.SHUT_RDWR)
            server.close()


@pytest.fixture(scope="module")
def places(place: Callable[[], Path]) -> Iterator[dict[str, Json]]:
    """The options that lead to each pool, by its name in CASES."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Json] = {"nowhere": {"socket_dir": "/nonexistent/ckpool"}, "any": {}}
        for name, settings in POOLS.items():
            pool = stack.enter_context(simulated(place(), users=1, uptime=7200, **settings))
            found[name] = {"socket_dir": str(pool.socket_dir), "log_dir": str(pool.log_dir)}
            if name == "no config":
                pool.config.unlink()
            if name == "strict log":
                pool.ask("listener", "loglevel=3")
                (pool.log_dir / "ckpool.log").write_text("")
            if name == "well":
                broken = place()
                (broken / "pool").mkdir(parents=True)
                (broken / "pool" / "pool.status").write_text("")
                found["bad status"] = {**found[name], "log_dir": str(broken)}
        for name, reply in FAKES.items():
            fake = Fake(place(), reply)
            stack.callback(fake.close)
            found[name] = {"socket_dir": str(fake.socket_dir)}
        found |= {name: {"socket_dir": str(make(place(), stack))} for name, make in ODD.items()}
        yield found


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
    "files": files, "datagrams": datagrams, "queue": queue,
}  # fmt: skip


@pytest.fixture(scope="module")
def results(ansible: Ansible, places: dict[str, Json]) -> dict[str, Json]:
    """What each task said."""
    tasks = [(module, {**places[name], "timeout": QUICK, **options}) for name, module, options in CASES.values()]
    return dict(zip(CASES, run(ansible, tasks), strict=True))


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


_ONE = r"\S+ \(pid \d+\) in [^\s;)]+"
PATTERNS = (
    (rf"(no ckpool runs here|running here: {_ONE}(; {_ONE})*)(; ended ones left [^\s;).]+)?(?=$|\.|;|\))",
     "running here: solo (pid 4243) in /run/ckpool/solo"),
    (r" is [dsl-][rwxsStT-]{9} \S+:\S+; we are \S+ \(groups [^)]*\)",
     " is drwxr-x--- ckpool:ckpool; we are deploy (groups deploy)"),
    (r"become_user: \S+, or join the group \S+", "become_user: ckpool, or join the group ckpool"),
    (r"\bpid (?!4243)\d+", "pid 4242"),
    (r"/tmp/ckf-\S+?/([\w.]+\.conf)", r"/etc/ckpool/\1"),
    (r"pid 4242 \([^)]*simulated_ckpool[^)]*\)", "pid 4242 (/usr/local/bin/ckpool -c /etc/ckpool/ckpool.conf)"),
    (r"after \d+ of", "after 2 of"),
    (r"[\d.]+ [TP]H/s, 1 users, 2 workers \(files, \d+ s old\)", "1.03 PH/s, 1 users, 2 workers (files, 6 s old)"),
    (r"after 2 of \d+ bytes", "after 2 of 549 bytes"),
    (r"with \d+ bytes that", "with 549 bytes that"),
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_page_quotes_it(name: str, results: dict[str, Json], places: dict[str, Json]) -> None:
    result = results[name]
    assert result["failed"] == (name not in ANSWERS), result["msg"]
    assert quoted(result["msg"], places[CASES[name][0]]) in page()
    assert str(result.get("hint", "")) in result["msg"]


def test_the_end_of_the_log_is_shown(results: dict[str, Json]) -> None:
    """Also of a daemon that is gone, whose log directory was given."""
    assert all(results[name]["log_tail"] for name in ("refused", "down", "hung", "unanswered", "work without bitcoind"))


def test_permission(ansible: Ansible, places: dict[str, Json], place: Callable[[], Path]) -> None:
    with simulated(place(), faults=["no_permission"]) as pool:
        where = {"socket_dir": str(pool.socket_dir)}
        tasks: list[Task] = [("ckpool_loglevel", {**where, "level": 5}), ("ckpool_stats", {**where, "source": "guide"})]
        control, reading = run(ansible, tasks, prefix=without_privileges())
    assert control["reason"] == reading["reason"] == "not_permitted"
    assert quoted(control["msg"], where) in page()
    assert quoted(reading["msg"], where).replace("stratifier", "listener") in page()


@needs_namespaces
def test_several(ansible: Ansible, place: Callable[[], Path]) -> None:
    with Machine(place()) as machine:
        pools = [Simulated(machine.folder / name, machine=machine, name=name).start() for name in ("one", "two")]
        (result,) = run(ansible, [("ckpool_stats", {})], inventory={"this-machine": machine.host()})
    message = result["msg"]
    for pool in pools:
        message = message.replace(str(pool.socket_dir), f"/run/{pool.name}")
    assert result["reason"] == "several_instances"
    assert quoted(message, {}) in page()


def test_nothing_is_quoted_that_is_not_provoked(results: dict[str, Json], places: dict[str, Json]) -> None:
    """A message that was changed, or went away, does not stay on the page."""
    known = {quoted(result["msg"], places[CASES[name][0]]) for name, result in results.items()}
    blocks = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    others = [text for text in (" ".join(block.split()) for block in blocks) if text not in known]
    assert [text.partition(":")[0] for text in others] == ["connect", "find"], others
