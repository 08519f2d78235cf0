# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source of rulebooks asks this service, and tells what has changed."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t
from collections.abc import AsyncIterator

from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook import source
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.arguments import arguments_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.look import Looker
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch import EVENTS

from tests.support.http_service import HttpService

from .conftest import Place

DEADLINE = 120.0
Json = t.Dict[str, t.Any]
Next = t.Callable[[str], t.Awaitable[Json]]


def url_of(served: HttpService) -> str:
    return f"http://127.0.0.1:{served.port}"


@contextlib.asynccontextmanager
async def events(url: str) -> AsyncIterator[Next]:
    """The next event of a name, of a source that runs meanwhile."""
    queue: asyncio.Queue[Json] = asyncio.Queue(1)
    given = {"services": [{"url": url, "host": "here"}], "interval": 1, "timeout": 60}
    task = asyncio.ensure_future(source.run(queue, given))

    async def following(name: str) -> Json:
        while True:
            event = (await asyncio.wait_for(queue.get(), DEADLINE))["ckpool"]
            if event["event"] == name:
                return t.cast(Json, event)

    yield following
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_everything_that_a_look_wants_is_given(host: Place) -> None:
    for name in ("one", "two"):
        host.pool(name, status_interval=1).wait_for_statistics()
    host.pools["two"].find_block(850000, "ann.rig")
    served = host.service()
    host_of = arguments_of({"services": [url_of(served)], "timeout": 60}).hosts[0]

    async def looked() -> Json:
        return await Looker(tuple(EVENTS)).look(host_of)

    entries = asyncio.run(looked())["instances"]
    assert sorted(entry["instance"]["name"] for entry in entries) == ["one", "two"]
    for entry in entries:
        assert set(entry["sources"]) == {"stats", "users", "workers", "blocks"}
        assert all(entry["sources"].values()), entry
        assert len(entry["users"]) == 3
        assert entry["workers"]
        assert {"version", "work_age", "hashrate5m", "hashrate1hr"} <= set(entry["summary"])
        assert [found["height"] for found in entry["blocks"]] == (
            [850000] if entry["instance"]["name"] == "two" else []
        )


def test_changes_become_events(host: Place) -> None:
    for name in ("one", "two"):
        host.pool(name, status_interval=1).wait_for_statistics()
    served = host.service(timeout=3)

    async def run() -> None:
        async with events(url_of(served)) as following:
            host.pools["one"].change(faults=["hung"])
            event = await following("pool_down")
            assert (event["host"], event["pool"]) == ("here", "one")
            state, why = event["facts"]["state"], event["facts"]["why"]
            # On a busy host, the verdict may come too late.
            assert state == "hung" or (state == "failed" and "did not answer within" in why), event
            host.pools["one"].change(faults=[])
            assert (await following("pool_recovered"))["pool"] == "one"
            host.pools["two"].find_block(850001, "ann.rig")
            event = await following("block_found")
            assert (event["pool"], event["facts"]["height"]) == ("two", 850001)
            host.pools["two"].stop()
            event = await following("pool_down")
            assert (event["pool"], event["facts"]["state"]) == ("two", "down")

    asyncio.run(run())


def test_the_token_and_the_certificate(host: Place) -> None:
    host.pool("one").wait_for_statistics()
    token = host.folder / "token"
    token.write_text("tk_secret_of_this_service_0123456789\n")
    token.chmod(0o600)
    served = host.service(token_file=str(token))

    def look(**given: t.Any) -> Json:
        asked = arguments_of({"services": [url_of(served)], "timeout": 60, **given}).hosts[0]

        async def looked() -> Json:
            return await Looker(["pool"]).look(asked)

        return asyncio.run(looked())

    assert "answers with status 401" in look()["msg"]
    assert len(look(token_file=str(token))["instances"]) == 1
    assert "tk_secret" not in served.log.read_text()
