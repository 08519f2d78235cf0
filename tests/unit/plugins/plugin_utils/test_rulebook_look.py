# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a host by its service, and what the watch makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.arguments import arguments_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.look import Looker
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch import EVENTS

from tests.support import free_port
from tests.support.pool_service import TOKEN, Json, StandIn, block, pool


def look(served: t.Union[StandIn, str], kinds: t.Collection[str] = tuple(EVENTS), **given: t.Any) -> Json:
    """The result of one look."""
    url = served if isinstance(served, str) else served.url
    arguments = arguments_of({"services": [url], "timeout": 5, **given})

    async def looked() -> Json:
        return await Looker(kinds).look(arguments.hosts[0])

    return asyncio.run(looked())


def test_a_pool_is_as_ckpool_info_returns_it() -> None:
    workers = [{"worker": "ann.rig", "user": "ann", "last_share": 5.0}]
    made = pool(users=[{"user": "ann", "last_share": 5.0}], workers=workers, blocks=[block(850000)])
    with StandIn(made) as served:
        result = look(served)
    (entry,) = result["instances"]
    assert entry["instance"] == made["instance"]
    assert entry["summary"] == {**made["stats"], "work_age": 4.0, "version": "0.9.9"}
    assert (entry["users"], entry["workers"], entry["blocks"]) == (made["users"], workers, made["blocks"])
    assert entry["sources"] == {"stats": "files", "users": "files", "workers": "files", "blocks": "files"}
    assert entry["as_of"] == made["as_of"]
    assert not entry["problems"]


def test_only_what_is_wanted_is_asked() -> None:
    with StandIn(pool()) as served:
        look(served, ["pool", "work", "hashrate"])
        assert served.asked == ["/health"]
        look(served, ["block"])
        assert served.asked[1:] == ["/health", "/blocks?offset=0"]
    with StandIn(pool(), pool("two", "hung")) as served:
        look(served, ["version"])
        assert served.asked == ["/health", "/pools", "/pools/solo/summary"]
    proxy = pool()
    proxy["instance"]["mode"] = "passthrough"
    with StandIn(proxy) as served:
        look(served, ["user", "block"])
        assert served.asked == ["/health", "/blocks?offset=0"]


def test_pools_of_one_name_are_told_apart() -> None:
    pools = [pool("a/b?", socket_dir=f"/run/{n}", blocks=[block(850000 + n)]) for n in range(3)]
    with StandIn(*pools) as served:
        result = look(served, ["block"])
    assert [entry["blocks"][0]["height"] for entry in result["instances"]] == [850000, 850001, 850002]


def test_long_lists_come_in_pages() -> None:
    users = [{"user": f"u{n}", "last_share": 1.0} for n in range(250)]
    with StandIn(pool(users=users)) as served:
        served.page = 100
        (entry,) = look(served, ["user"])["instances"]
    assert entry["users"] == users
    assert [path for path in served.asked if path.startswith("/users")] == [
        "/users?offset=0", "/users?offset=100", "/users?offset=200"
    ]  # fmt: skip


def let_change(served: StandIn, made: Json, times: int) -> None:
    """Let a list change before its second page is read, so many times."""
    answer, left = served.answer, iter(range(times))

    def changing(path: str) -> t.Tuple[int, bytes]:
        if path.endswith("?offset=100") and next(left, None) is not None:
            made["as_of"] += 1
        return answer(path)

    served.answer = changing  # type: ignore[method-assign]


def test_a_list_that_changes_between_two_pages_is_read_again() -> None:
    """Or a user that moved to an earlier page would count as gone."""
    made = pool(users=[{"user": f"u{n}", "last_share": 1.0} for n in range(250)])
    for times, whole in ((1, True), (100, False)):
        with StandIn(made) as served:
            served.page = 100
            let_change(served, made, times)
            (entry,) = look(served, ["user"])["instances"]
        assert (len(entry.get("users") or []), entry["sources"]["users"]) == ((250, "files") if whole else (0, None))
        assert whole or entry["problems"]["users"] == "its service: its users change while they are read"


def test_one_look_of_the_service_counts_once() -> None:
    """Or the answer that it keeps for a while would be a second failed look."""
    with StandIn(pool(state="hung")) as served:
        host = arguments_of({"services": [served.url]}).hosts[0]

        async def looked() -> t.List[t.Tuple[str, ...]]:
            looker, found = Looker(tuple(EVENTS)), []
            for age in (5, 9, 0, None, 400):
                served.age = age
                found.append(tuple(await looker.look(host)))
                await asyncio.sleep(1.1 if age == 9 else 0.01)
            return found

        whole = ("instances", "msg")
        assert asyncio.run(looked()) == [whole, ("skipped",), whole, whole, ("failed", "msg")]


def test_an_answer_that_something_keeps_is_a_failed_look() -> None:
    with StandIn(pool()) as served:
        host = arguments_of({"services": [served.url]}).hosts[0]

        async def looked() -> t.List[t.Tuple[str, ...]]:
            looker = Looker(["pool"])
            served.odd["/health"] = served.answer("/health")
            found = [await looker.look(host), await looker.look(host)]
            del served.odd["/health"]
            return [tuple(result) for result in [*found, await looker.look(host)]]

        assert asyncio.run(looked()) == [("instances", "msg"), ("failed", "msg"), ("instances", "msg")]


def test_a_list_that_comes_row_by_row_does_not_hold_up_the_look() -> None:
    with StandIn(pool(users=[{"user": f"u{number}", "last_share": 5.0} for number in range(500)])) as served:
        served.page = 1
        answer = served.answer

        def slow(path: str) -> t.Tuple[int, bytes]:
            time.sleep(0.1)
            return answer(path)

        served.answer = slow  # type: ignore[method-assign]
        began = time.monotonic()
        (entry,) = look(served, ["user"], timeout=3)["instances"]
    assert time.monotonic() - began < 40, "instead of 50 s"
    assert entry["problems"]["users"] == "its service: its users take more than 9 s"
    assert entry["sources"]["users"] is None


def test_no_pool_runs() -> None:
    with StandIn() as served:
        assert look(served) == {"instances": [], "msg": "no ckpool runs on this host"}


def test_a_service_that_does_not_answer() -> None:
    port = free_port()
    result = look(f"http://127.0.0.1:{port}")
    assert result["unreachable"]
    assert result["msg"].startswith(f"no connection to 127.0.0.1:{port}: Connection refused")


def test_a_hint_names_the_argument() -> None:
    async def asked() -> Json:
        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await reader.read()

        served = await asyncio.start_server(late, "127.0.0.1", 0)
        async with served:
            given = {"services": [f"http://127.0.0.1:{served.sockets[0].getsockname()[1]}"], "timeout": 3}
            return await Looker(["pool"]).look(arguments_of(given).hosts[0])

    result = asyncio.run(asked())
    assert result["failed"]
    assert result["msg"].endswith("for a slow host, raise timeout)")


def test_texts_are_cleaned_and_cut() -> None:
    with StandIn(pool(name="x" * 5000 + "\ud800")) as served:
        (entry,) = look(served, ["pool"])["instances"]
    assert entry["instance"]["name"] == "x" * 1000


def test_the_token() -> None:
    with StandIn(pool(), token=TOKEN) as served:
        assert look(served) == {
            "failed": True, "msg": "its service: it answers with status 401: the token is missing or wrong"
        }  # fmt: skip
        assert len(look(served, token=TOKEN)["instances"]) == 1
        assert look(served, token_file="/nowhere/token") == {
            "failed": True, "msg": "its service: token_file /nowhere/token: there is no such file"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, {"error": {"message": "it\nbroke", "hint": "see\tits log"}}, "answers with status 500: it broke; see its log"),
        (404, {}, "answers with status 404: is this the URL of the service"),
        (200, {}, "answers with status 200: without what was asked for"),
        (200, {"instances": []}, "answers with status 200"),
        (200, {"instances": {"a": 1}}, "answers with status 200"),
        (503, {"instances": [], "error": {"reason": "too_late", "message": "m"}}, "answers with status 503: m"),
        (200, {"instances": [{}] * 201}, "lists more than 200 pools"),
        (500, {"error": {"message": ["a"], "hint": 7}}, "answers with status 500"),
        (500, {"error": {"message": "x" * 10_000}}, "x{300}\\.\\.\\.$"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_failed_look(status: int, body: Json, why: str) -> None:
    with StandIn(pool()) as served:
        served.odd["/health"] = (status, json.dumps(body).encode())
        result = look(served)
    assert set(result) == {"failed", "msg"}
    assert re.search(why, result["msg"]), result


@pytest.mark.parametrize(
    "odd",
    [
        None, 7, "x", [], {}, {"instance": None}, {"instance": {"state": "ok"}}, {"instance": {"state": ["ok"]}},
        {"instance": {"name": {"a": 1}, "state": "ok"}, "stats": 5, "problems": "x", "as_of": "x", "source": {}},
    ],
)  # fmt: skip
def test_an_odd_pool_hides_no_other(odd: t.Any) -> None:
    made = pool()
    rows = [odd, {key: made[key] for key in ("instance", "stats", "work_age", "as_of")}]
    with StandIn(made, pool("two")) as served:
        served.odd["/health"] = (200, json.dumps({"instances": rows}).encode())
        strange, good = look(served)["instances"]
    assert strange.get("failed") or None in strange["sources"].values()
    assert good["sources"]["blocks"] == "files"


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/users", {"users": []}, "no users with their total"),
        ("/users", {"users": {}, "total": 0}, "no users with their total"),
        ("/users", {"users": [], "total": float(5)}, "it gives 0 of 5 users"),
        ("/users", {"users": [], "total": True}, "no users with their total"),
        ("/users", {"users": [], "total": 0}, "it answers about another pool"),
        (
            "/users",
            {"users": [], "total": 0, "instance": {"socket_dir": "/elsewhere"}},
            "it answers about another pool",
        ),
        ("/users", [], "no object"),
    ],
)
def test_what_is_not_given_is_a_problem_of_its_area(path: str, body: t.Any, why: str) -> None:
    """An empty list would make every user idle."""
    with StandIn(pool()) as served:
        served.odd[path] = (200, json.dumps(body).encode())
        (entry,) = look(served)["instances"]
    assert entry.get("users") is None
    assert entry["sources"]["users"] is None
    assert why in entry["problems"]["users"]
    assert entry["sources"]["workers"] == "files"


def test_areas_that_cannot_be_read() -> None:
    with StandIn(pool(users=None)) as served:
        (entry,) = look(served)["instances"]
    assert entry["problems"]["users"] == "its service: it answers with status 503: the users cannot be read"
    with StandIn(pool(), pool("two")) as served:
        served.odd["/pools"] = (500, b"{}")
        for entry in look(served)["instances"]:
            assert [entry["sources"][area] for area in ("summary", "users", "workers", "blocks")] == [None] * 4
    with StandIn(pool(), pool("two")) as served:
        served.odd["/pools"] = (200, b'{"pools": [{"name": "solo"}, 7]}')
        for entry in look(served)["instances"]:
            assert entry["problems"]["blocks"] == "its service: it does not list this pool"


def test_many_hosts_are_asked_at_a_time() -> None:
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(StandIn(pool(f"p{n}"))) for n in range(20)]
        rows = [{"url": each.url, "host": f"h{n}"} for n, each in enumerate(served)]
        hosts = arguments_of({"services": rows}).hosts

        async def looked() -> t.List[Json]:
            looker = Looker(tuple(EVENTS), connections=4)
            return await asyncio.gather(*map(looker.look, hosts))

        names = [result["instances"][0]["instance"]["name"] for result in asyncio.run(looked())]
    assert names == [f"p{n}" for n in range(20)]
