# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook watch: with simulated pools, and a receiver that may fail."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

from tests.support import ROOT, Simulated, free_port, wait_for
from tests.support.ansible import RUN_DEADLINE, Ansible, Json, Run
from tests.support.http_server import Handler, HttpServer
from tests.support.machine import Machine, namespaces, unreachable

WATCH = "ckpool.fleet.watch"
EVIL = '{{ 6 * 7 }}"'
"""A name that a miner may choose."""


class Receiver(HttpServer):
    """Takes messages, unless it is told to fail.

    :ivar got: path, headers and body of each request that was answered with 200.
    :ivar failures: how many of the next requests fail, by path.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.failures: dict[str, int] = {}
        receiver = self

        class Requests(Handler):
            def do_POST(self) -> None:
                body = self.body()
                left = receiver.failures.get(self.path, 0)
                receiver.failures[self.path] = max(left - 1, 0)
                if not left:
                    receiver.got.append((self.path, dict(self.headers), json.loads(body) if body else None))
                self.reply(500 if left else 200)

            do_GET = do_POST

        super().__init__(Requests)

    def take(self, path: str = "/hook") -> list[Any]:
        """The bodies that came to a path since the last call."""
        taken = [body for where, _headers, body in self.got if where == path]
        self.got = [entry for entry in self.got if entry[0] != path]
        return taken


class Watched:
    """A fleet of one host with two pools and one that nobody can reach, and the runs of a watch on it."""

    def __init__(self, ansible: Ansible, inventory: dict[str, Json], pools: dict[str, Simulated], folder: Path) -> None:
        self.ansible, self.inventory, self.pools, self.folder = ansible, inventory, pools, folder
        self.state = folder / "watch.json"
        folder.mkdir()

    def run(self, *arguments: str, **variables: Any) -> Run:
        usual = {"watch_state_file": str(self.state), "watch_timeout": 5}
        return self.ansible.playbook(WATCH, *arguments, inventory=self.inventory, variables={**usual, **variables})

    def outbox(self) -> list[Json]:
        found: list[Json] = json.loads(self.state.read_text())["outbox"]
        return found


@pytest.fixture(scope="module")
def pools(place: Callable[[], Path]) -> Iterator[tuple[dict[str, Json], dict[str, Simulated]]]:
    if not namespaces():
        pytest.skip("no namespaces: neither root nor allowed to unshare")
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(Machine(place()))
        made = {}
        for name in ("one", "two"):
            names = [EVIL, "bc1qsecond"] if name == "one" else ["ann", "bob"]
            made[name] = Simulated(
                machine.folder / name, prefix=machine.prefix, name=name, users=2, user_names=names, uptime=90000,
                status_interval=1,
            ).start()  # fmt: skip
            made[name].wait_for_statistics()
        yield {"here": machine.host()}, made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def watched(
    ansible: Ansible, pools: tuple[dict[str, Json], dict[str, Simulated]], place: Callable[[], Path]
) -> Iterator[Watched]:
    yield Watched(ansible, pools[0], pools[1], place())
    for pool in pools[1].values():
        pool.change(faults=[])


def test_edges_are_sent_once_and_none_is_lost(watched: Watched, receiver: Receiver) -> None:
    hook, ping = f"{receiver.url}/hook", f"{receiver.url}/ping"
    variables = {
        "watch_webhook_url": hook, "watch_ping_url": ping, "watch_ntfy_url": receiver.url, "watch_ntfy_topic": "pools",
        "watch_ntfy_token": "tk_secret",
    }  # fmt: skip
    watched.pools["one"].find_block(850000, "old.rig")
    run = watched.run(**variables)
    assert run.status == 0, run.text
    assert "Traceback" not in run.text
    assert receiver.take() == []
    assert receiver.take("/ping") == [None]
    # It hangs, another finds a block, and the receiver fails for a while.
    watched.pools["two"].change(faults=["hung"])
    watched.pools["one"].find_block(850001, f"{EVIL}.rig")
    receiver.failures["/hook"] = 1
    run = watched.run(**variables)
    assert run.status == 2, run.text
    assert "1 message not sent, the next run tries again: webhook: " in run.output
    assert "500" in run.output
    assert hook not in run.text
    assert "tk_secret" not in run.text
    assert receiver.take() == []
    assert receiver.take("/ping") == []
    assert [(message["event"], message["to"], message["tries"]) for message in watched.outbox()] == [
        ("block_found", ["webhook"], 1)
    ]
    ((path, headers, body),) = receiver.got
    assert path == "/"
    assert headers["Authorization"] == "Bearer tk_secret"
    assert (body["topic"], body["priority"]) == ("pools", 3)
    assert f"by {EVIL}.rig: accepted" in body["message"]
    # The second failed look, and what was not sent.
    run = watched.run(**variables)
    assert run.status == 0, run.text
    block, down = receiver.take()
    assert (block["event"], block["host"], block["pool"]) == ("block_found", "here", "one")
    assert block["facts"]["height"] == 850001
    assert block["facts"]["worker"] == f"{EVIL}.rig"
    assert (down["event"], down["severity"], down["pool"]) == ("pool_down", "critical", "two")
    assert [body["title"] for body in receiver.take("/")] == ["ckpool: block found", "ckpool: pool down"]
    assert receiver.take("/ping") == [None]
    assert watched.outbox() == []
    # Nothing new, then it is back.
    assert watched.run(**variables).status == 0
    assert receiver.take() == []
    watched.pools["two"].change(faults=[])
    run = watched.run(**variables)
    assert [message["event"] for message in receiver.take()] == ["pool_recovered"]
    assert run.status == 0, run.text


def test_a_receiver_that_is_gone_pauses_its_channel_only(watched: Watched, receiver: Receiver) -> None:
    gone = f"http://127.0.0.1:{free_port()}/hook"
    assert watched.run(watch_webhook_url=gone).status == 0
    for height in range(5):
        watched.pools["two"].find_block(860000 + height, "ann.rig")
    run = watched.run(watch_webhook_url=gone, watch_ntfy_url=receiver.url, watch_ntfy_topic="pools")
    assert run.status == 2, run.text
    assert len(receiver.take("/")) == 5
    assert [message["tries"] for message in watched.outbox()] == [1, 1, 1, 0, 0]
    assert gone not in run.text
    run = watched.run(watch_webhook_url=f"{receiver.url}/hook")
    assert run.status == 0, run.text
    heights = [message["facts"]["height"] for message in receiver.take()]
    assert sorted(heights) == list(range(860000, 860005))


@pytest.mark.every_core
def test_limit_and_unreachable_hosts(watched: Watched, receiver: Receiver) -> None:
    variables = {"watch_webhook_url": f"{receiver.url}/hook", "watch_ping_url": f"{receiver.url}/ping"}
    watched.inventory = {**watched.inventory, "lost": unreachable()}
    run = watched.run(**variables)
    assert "without an answer: lost: unreachable: " in run.output
    assert run.status == 0, run.text
    assert receiver.take("/ping") == [None]
    before = [pool for pool in json.loads(watched.state.read_text())["pools"] if pool["host"] == "here"]
    run = watched.run("--limit", "lost", **variables)
    assert run.status == 0, run.text
    assert "not asked: 1 host by --limit" in run.output
    assert [(message["event"], message["host"]) for message in receiver.take()] == [("pool_down", "lost")]
    assert receiver.take("/ping") == []
    assert [pool for pool in json.loads(watched.state.read_text())["pools"] if pool["host"] == "here"] == before


def test_check_mode_says_what_would_be_sent(watched: Watched, receiver: Receiver) -> None:
    hook = f"{receiver.url}/hook"
    run = watched.run("--check", watch_webhook_url=hook, watch_ping_url=f"{receiver.url}/ping")
    assert run.status == 0, run.text
    assert list(watched.folder.iterdir()) == []
    assert watched.run(watch_webhook_url=hook).status == 0
    before = watched.state.read_text()
    watched.pools["two"].find_block(870000, "ann.rig")
    run = watched.run("--check", watch_webhook_url=hook, watch_ping_url=f"{receiver.url}/ping")
    assert run.status == 0, run.text
    assert "found block 870000" in run.output
    assert "check mode: nothing was sent" in run.output
    assert (receiver.got, watched.state.read_text()) == ([], before)


def test_tasks_of_ones_own(watched: Watched) -> None:
    """The recipe for mail of the guide, with a program that notes what it is sent, and fails at first."""
    guide = (ROOT / "docs" / "watch.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```yaml\n(- name: Send a mail.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    program, mails = watched.folder / "sendmail", watched.folder / "mails"
    program.write_text(f"#!/bin/sh\ntest -e {mails} || {{ echo no relay >&2; exit 75; }}\ncat >> {mails}\n")
    program.chmod(0o755)
    tasks = watched.folder / "mail.yml"
    tasks.write_text(f"---\n{recipe.replace('/usr/sbin/sendmail', str(program))}")
    assert watched.run(watch_tasks=str(tasks)).status == 0
    watched.pools["one"].find_block(880000, f"{EVIL}.rig")
    run = watched.run(watch_tasks=str(tasks))
    assert run.status == 2, run.text
    (message,) = watched.outbox()
    assert message["to"] == ["tasks"]
    mails.touch()
    run = watched.run(watch_tasks=str(tasks))
    assert run.status == 0, run.text
    text = mails.read_text()
    assert "Subject: ckpool: block found" in text
    assert "found block 880000 at " in text
    assert f"by {EVIL}.rig" in text
    assert f"Message-ID: <{message['id']}@" in text


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({}, "set watch_webhook_url, watch_ntfy_topic or watch_tasks"),
        ({"watch_tasks": "mail.yml"}, "tasks_file must be the absolute path of a file with tasks: mail.yml"),
        ({"watch_webhook_url": "http://127.0.0.1:9/", "watch_looks": 0}, "looks must be from 1 to 100, not 0"),
        ({"watch_webhook_url": "http://127.0.0.1:9/", "watch_events": "pool,nosuch"}, "nosuch"),
        (
            {"watch_webhook_url": "http://127.0.0.1:9/", "watch_state_file": "/nowhere/at/all.json"},
            "/nowhere/at/all.json.lock",
        ),
    ],
)
def test_a_wrong_variable_is_an_error_before_anything_is_asked(watched: Watched, variables: Json, text: str) -> None:
    run = watched.run(**variables)
    assert run.status == 2, run.text
    assert text in run.text
    assert not run.of("ckpool_info")


def test_a_broken_state_is_named_and_kept(watched: Watched) -> None:
    watched.state.write_text('{"format": 1, "id": ')
    run = watched.run(watch_webhook_url="http://127.0.0.1:9/")
    assert run.status == 2, run.text
    assert f"{watched.state} is not the state of an earlier watch: it is not JSON" in run.text
    assert not run.of("ckpool_info")
    assert watched.state.read_text() == '{"format": 1, "id": '


def test_two_runs_do_not_both_send(watched: Watched, receiver: Receiver) -> None:
    """A run that is stopped in the middle of a message holds the file until its process is gone; the message is sent again."""
    hook = f"{receiver.url}/hook"
    assert watched.run(watch_webhook_url=hook).status == 0
    watched.pools["two"].find_block(890000, "ann.rig")
    started, go = watched.folder / "started", watched.folder / "go"
    tasks = watched.folder / "slow.yml"
    shell = f"touch {started}; until test -e {go}; do sleep 0.1; done"
    tasks.write_text(json.dumps([{"name": "Wait", "ansible.builtin.command": {"argv": ["sh", "-c", shell]}}]))
    first: list[Run] = []
    thread = threading.Thread(target=lambda: first.append(watched.run(watch_tasks=str(tasks))))
    thread.start()
    try:
        wait_for(started.exists, "the message of the first run", RUN_DEADLINE)
        second = Ansible(watched.folder / "second").playbook(
            WATCH, inventory=watched.inventory,
            variables={"watch_state_file": str(watched.state), "watch_webhook_url": hook},
        )  # fmt: skip
        assert second.status == 2, second.text
        assert "another run of " in second.text
        assert not second.of("ckpool_info")
        pid = json.loads(Path(f"{watched.state}.lock").read_text())["controller"]["pid"]
        os.kill(pid, signal.SIGKILL)
    finally:
        go.touch()
        thread.join()
    (message,) = watched.outbox()
    assert message["to"] == ["tasks"]
    run = watched.run(watch_tasks=str(tasks))
    assert run.status == 0, run.text
    assert watched.outbox() == []
