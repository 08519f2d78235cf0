# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source: every change is handed over once, also over restarts, and nothing holds up the loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import runpy
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _disk
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook import source
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.arguments import BadArgument, arguments_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.memory import Memory
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch_state import Message, State

from tests.support import free_port, wait_until
from tests.support.pool_service import Json, StandIn, block, pool

PLUGIN = Path(__file__).parents[4] / "extensions" / "eda" / "plugins" / "event_source" / "watch.py"
DEADLINE = 30.0
Events = t.Callable[[int], t.Awaitable[t.List[Json]]]
Run = t.Callable[..., t.Awaitable[t.Any]]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look ten times a second."""
    monkeypatch.setattr(source, "_LEAST_PAUSE", 0.1)

    def often(arguments: t.Mapping[str, t.Any]) -> t.Any:
        import dataclasses

        return dataclasses.replace(arguments_of(arguments), interval=0.1)

    monkeypatch.setattr(source, "arguments_of", often)


class Rules:
    """Takes events from the queue, as a rule engine does, while the source runs in a C(with) block."""

    def __init__(self, given: Json, run: Run = source.run, queue: t.Optional[asyncio.Queue[Json]] = None) -> None:
        self.queue: asyncio.Queue[Json] = asyncio.Queue(1) if queue is None else queue
        self._run, self._given = run, given

    async def __aenter__(self) -> Rules:
        self.task = asyncio.ensure_future(self._run(self.queue, self._given))
        return self

    async def __aexit__(self, *_args: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(self.task, DEADLINE)

    async def next(self) -> Json:
        """The next event."""
        getting = asyncio.ensure_future(self.queue.get())
        await asyncio.wait([getting, self.task], timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done():
            await self.task  # raises what ended it
        return t.cast(Json, getting.result()["ckpool"])

    async def names(self, count: int) -> t.List[str]:
        """The names of the next events."""
        return [(await self.next())["event"] for _each in range(count)]


async def looks(served: StandIn, count: int = 2) -> None:
    """Wait for that many whole looks."""
    until = served.asked.count("/health") + count + 1
    deadline = time.monotonic() + DEADLINE
    while served.asked.count("/health") < until:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_changes_become_events() -> None:
    async def run() -> None:
        with StandIn(pool(blocks=[block(849000)])) as served:
            async with Rules({"services": [{"url": served.url, "host": "pool1"}]}) as rules:
                await looks(served)
                assert rules.queue.empty()
                served.pools[0]["blocks"].insert(0, block(850000, "bc1q.rig"))
                event = await rules.next()
                assert (event["event"], event["severity"], event["host"]) == ("block_found", "info", "pool1")
                assert (event["pool"], event["socket_dir"]) == ("solo", "/run/solo")
                assert event["facts"]["height"] == 850000
                assert set(event) == {"id", "event", "severity", "host", "pool", "socket_dir", "time", "text", "facts"}
                served.pools[0]["instance"]["state"] = "hung"
                event = await rules.next()
                assert (event["event"], event["facts"]) == ("pool_down", {"why": "it is hung", "state": "hung"})
                served.pools[0] = pool(blocks=served.pools[0]["blocks"], version="1.0")
                assert await rules.names(2) == ["pool_recovered", "version_changed"]
                await looks(served)
                assert rules.queue.empty()

    asyncio.run(run())


def test_people_work_and_hashrate() -> None:
    now = time.time()

    async def run() -> None:
        made = pool(
            users=[{"user": "ann", "last_share": now}],
            workers=[{"worker": "ann.rig", "user": "ann", "last_share": now}],
        )
        with StandIn(made) as served:
            async with Rules({"services": served.url}) as rules:
                await looks(served)
                served.pools[0]["users"][0]["last_share"] = now - 1000
                event = await rules.next()
                assert (event["event"], event["facts"]["names"]) == ("user_idle", ["ann"])
                served.pools[0].update(work_age=400.0, stats={"hashrate5m": 10.0, "hashrate1hr": 100.0})
                assert await rules.names(2) == ["work_stale", "hashrate_drop"]
                served.pools[0]["users"] = None
                assert await rules.names(1) == ["data_missing"]

    asyncio.run(run())


def test_only_the_events_that_are_wanted() -> None:
    async def run() -> None:
        with StandIn(pool(blocks=[])) as served:
            async with Rules({"services": served.url, "events": ["pool"]}) as rules:
                await looks(served)
                served.pools[0].update(blocks=[block(850000)], work_age=400.0)
                await looks(served)
                served.pools[0]["instance"]["state"] = "down"
                assert await rules.names(1) == ["pool_down"]

    asyncio.run(run())


def test_names_of_miners_are_no_templates() -> None:
    evil = "{{ lookup('pipe', 'id') }}{% raw %}{# x #}\x1b[31m{{{ {"

    async def run() -> Json:
        with StandIn(pool(blocks=[])) as served:
            async with Rules({"services": served.url}) as rules:
                await looks(served)
                served.pools[0]["blocks"] = [block(850000, evil)]
                return await rules.next()

    event = asyncio.run(run())
    text = json.dumps(event)
    assert not any(sign in text for sign in ("{{", "{%", "{#", "\x1b"))
    assert event["facts"]["worker"] == r"\x7b{ lookup('pipe', 'id') }}\x7b% raw %}\x7b# x #}\x1b[31m\x7b\x7b{ {"
    assert r"by \x7b{ lookup" in event["text"]


def test_a_restart_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    async def run() -> None:
        with StandIn(pool(blocks=[])) as served:
            given = {"services": served.url, "state_file": str(path)}
            async with Rules(given) as rules:
                await looks(served)
                served.pools[0]["instance"]["state"] = "hung"
                assert await rules.names(1) == ["pool_down"]
                await looks(served)
            # While it is away, a block is found; the pool still hangs.
            served.pools[0]["instance"]["state"] = "ok"
            served.pools[0]["blocks"] = [block(850000)]
            async with Rules(given) as rules:
                assert await rules.names(2) == ["pool_recovered", "block_found"]
                await looks(served)
            async with Rules(given) as rules:
                await looks(served, 3)
                assert rules.queue.empty()
        assert json.loads(path.read_text())["outbox"] == []
        assert path.stat().st_mode & 0o777 == 0o600

    asyncio.run(run())


def test_what_nobody_took_is_told_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    async def run() -> None:
        with StandIn(pool(blocks=[])) as served:
            given = {"services": served.url, "state_file": str(path)}
            async with Rules(given) as rules:
                await looks(served)
                served.pools[0]["blocks"] = [block(850000 + n) for n in range(3)]
                while not rules.queue.full():
                    await asyncio.sleep(0.02)
                # The engine stands still: one event is in the queue, and nobody has it.
            ids = [message["id"] for message in json.loads(path.read_text())["outbox"]]
            assert len(ids) == 3
            async with Rules(given) as rules:
                assert [(await rules.next())["id"] for _each in range(3)] == ids
                await looks(served)
                assert rules.queue.empty()

    asyncio.run(run())


def test_with_feedback_an_event_counts_when_it_is_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    monkeypatch.setattr(source, "_CONFIRMED", 0.3)

    async def run() -> None:
        feedback: asyncio.Queue[t.Any] = asyncio.Queue(1)
        with StandIn(pool(blocks=[])) as served:
            given = {"services": served.url, "state_file": str(path), "feedback": True, "eda_feedback_queue": feedback}
            async with Rules(given) as rules:
                await looks(served)
                served.pools[0]["blocks"] = [block(850000)]
                first = await rules.next()
                monkeypatch.setattr(source, "_CONFIRMED", DEADLINE)  # of the next time, in which it is
                again = await rules.next()  # the first was not confirmed
                assert first["id"] == again["id"]
                await feedback.put({"ckpool": {"id": "another"}})
                await feedback.put({"ckpool": again})
                await looks(served)
                assert rules.queue.empty()
        assert json.loads(path.read_text())["outbox"] == []

    asyncio.run(run())


def test_a_source_without_a_state_file_begins_again() -> None:
    async def run() -> None:
        given = {"services": f"http://127.0.0.1:{free_port()}"}
        for _restart in range(2):
            async with Rules(given) as rules:
                event = await rules.next()
                assert (event["event"], event["facts"]["state"]) == ("pool_down", "unreachable")

    asyncio.run(run())


def test_one_source_at_a_time_uses_a_state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook import memory

    monkeypatch.setattr(memory, "_PATIENCE", 0.2)

    async def run() -> None:
        with StandIn(pool()) as served:
            given = {"services": served.url, "state_file": str(tmp_path / "state.json")}
            async with Rules(given):
                await looks(served)
                with pytest.raises(BadArgument, match=r"state_file .*/state\.json: another source or run uses it"):
                    await source.run(asyncio.Queue(1), given)
            async with Rules(given):
                await looks(served)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is not the state of an earlier run: it is empty"),
        ('{"format": 1, "id": ', "it is not JSON"),
        ("\xff", "is not the state of an earlier run"),
        (State("abc").text(), "is that of the playbook watch"),
    ],
)
def test_a_state_that_cannot_be_used_is_named_and_kept(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content, encoding="latin-1")
    for _again in range(2):
        with pytest.raises(BadArgument, match=rf"^state_file {path} .*{text}"):
            asyncio.run(source.run(asyncio.Queue(1), {"services": "http://127.0.0.1", "state_file": str(path)}))
    assert path.read_text(encoding="latin-1") == content


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_state_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(State("rulebook-abc").text())
    os.chown(path, 12345, 12345)
    with pytest.raises(BadArgument, match=rf"^state_file {path} .*it belongs to another user"):
        Memory(str(path)).open()
    os.chown(path, 0, 0)
    memory = Memory(str(path))
    memory.open()
    memory.close()


@pytest.mark.parametrize("where", ["/nowhere/state.json", "/proc/state.json"])
def test_a_state_file_that_cannot_be_written_is_named_at_once(where: str) -> None:
    with pytest.raises(BadArgument, match=rf"^state_file {where}"):
        asyncio.run(source.run(asyncio.Queue(1), {"services": "http://127.0.0.1", "state_file": where}))


def test_links_are_not_followed_for_the_lock(tmp_path: Path) -> None:
    (tmp_path / "state.json.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(BadArgument, match=r"state_file .*/state\.json: "):
        Memory(str(tmp_path / "state.json")).open()
    assert not (tmp_path / "victim").exists()


def test_a_full_disk_is_said_and_holds_up_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replace, is_full = _disk.replace, False

    def full(path: str, text: str, is_private: bool) -> None:
        if is_full:
            raise OSError(28, "No space left on device")
        replace(path, text, is_private)

    monkeypatch.setattr(_disk, "replace", full)

    async def run() -> None:
        nonlocal is_full
        with StandIn(pool(blocks=[])) as served:
            async with Rules({"services": served.url, "state_file": str(tmp_path / "state.json")}) as rules:
                await looks(served)
                is_full = True
                served.pools[0]["blocks"] = [block(850000)]
                assert await rules.names(1) == ["block_found"]
                await looks(served)
                assert rules.queue.empty()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert "state.json cannot be written: [Errno 28] No space left on device; after a restart" in caplog.text


def test_the_loop_is_never_held_up(tmp_path: Path) -> None:
    """While a large pool is read and compared, other sources go on."""
    now = time.time()
    workers = [{"worker": f"bc1q.rig{n}", "user": "bc1q", "last_share": now, "hashrate1m": 1.5} for n in range(15_000)]
    pauses = [0.0]

    async def beat() -> None:
        while True:
            before = time.thread_time()  # of the loop's own thread: a busy machine is no fault of ours
            await asyncio.sleep(0.01)
            pauses.append(time.thread_time() - before)

    async def run() -> None:
        with StandIn(pool(workers=workers)) as served:
            async with Rules({"services": served.url, "state_file": str(tmp_path / "state.json")}):
                beating = asyncio.ensure_future(beat())
                await looks(served)
                beating.cancel()

    asyncio.run(run())
    assert max(pauses) < 0.5, "seconds of computing; it takes a few thousandths"


def test_a_service_that_hangs_costs_its_timeout_and_ends_with_the_source() -> None:
    async def run() -> None:
        async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}"
        with StandIn(pool(blocks=[])) as served:
            rows = [{"url": url, "host": "slow"}, {"url": served.url, "host": "good"}]
            async with Rules({"services": rows, "timeout": 5}) as rules:
                event = await rules.next()
                assert (event["event"], event["host"]) == ("pool_down", "slow")
                assert "answers nothing within 5 s" in event["text"]
                served.pools[0]["blocks"] = [block(850000)]
                assert await rules.names(1) == ["block_found"]
            began = time.monotonic()
        hanging.close()
        assert time.monotonic() - began < DEADLINE

    before = threading.active_count()
    asyncio.run(run())
    # Threads of the stand-in may still be about to end.
    assert wait_until(lambda: threading.active_count() <= before + 1)


def test_it_is_cancelled_at_any_moment(tmp_path: Path) -> None:
    """What is half done is done, the file is whole, and the next source gets it."""
    path = tmp_path / "state.json"

    async def run() -> None:
        with StandIn(pool(blocks=[block(850000)])) as served:
            for step in range(12):
                task = asyncio.ensure_future(
                    source.run(asyncio.Queue(1), {"services": served.url, "state_file": str(path)})
                )
                await asyncio.sleep(step * 0.005)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(task, DEADLINE)
                if path.exists():
                    json.loads(path.read_text())
            async with Rules({"services": served.url, "state_file": str(path)}):
                await looks(served)

    asyncio.run(run())


def test_pools_that_are_gone_on_purpose() -> None:
    async def run() -> None:
        with StandIn(pool(), pool("two"), pool("three")) as served:
            given = {"services": [{"url": served.url, "host": "pool1"}], "forget": "pool1:two"}
            async with Rules(given) as rules:
                await looks(served)
                del served.pools[1:]
                event = await rules.next()
                assert (event["event"], event["pool"], event["facts"]["state"]) == ("pool_down", "three", "gone")
                assert event["text"].endswith("if it was removed on purpose: add pool1:/run/three to forget")
                await looks(served)
                assert rules.queue.empty()

    asyncio.run(run())


def test_an_argument_that_is_wrong_ends_it() -> None:
    with pytest.raises(BadArgument, match=r"^there is no argument urls"):
        asyncio.run(source.run(asyncio.Queue(1), {"urls": ["http://127.0.0.1"]}))


def test_the_plugin_is_found_by_its_path_alone(tmp_path: Path) -> None:
    """As a rule engine runs it, which knows no collections."""
    main = runpy.run_path(str(PLUGIN))["main"]
    assert asyncio.iscoroutinefunction(main)

    async def run() -> None:
        async with Rules({"services": f"http://127.0.0.1:{free_port()}", "interval": 1}, main) as rules:
            assert await rules.names(1) == ["pool_down"]

    asyncio.run(run())
    with pytest.raises(ValueError, match=r"^services is not a list of URLs"):
        asyncio.run(main(asyncio.Queue(1), {}))


def test_an_event_is_that_of_the_watch() -> None:
    message = Message("x-1", "pool_down", "critical", "a", "solo", "/run/solo", 1.0, "text", {"why": "w"}, ["rulebook"])
    assert source.event_of(message) == {"ckpool": message.payload()}
