# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at the pools of a host by its HTTP service, as C(ckpool_info) returns it. It needs no Ansible.

Only pools that are up are asked for more than their health. What a service does not give is a problem of that area, never an
empty list: nobody is idle because an answer is missing.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
import urllib.parse

from ...module_utils._metrics import UP_STATES
from ...module_utils._units import is_number
from ...module_utils._wording import one_line, shortened
from .._pool_results import PASSING_MODES, mapping
from .._services.body import body_of
from .._services.http import Answer, Contexts, get
from .._services.service import NoAnswer, Service, failure
from .._types import Json
from .arguments import BadArgument, Host

_MOST_POOLS = 200  #: of a host
_MOST_ROWS = 20_001  #: of users, and of workers; one more than are watched
_TRIES = 3  #: to read a list while it does not change
_BLOCKS = 200
_TIMEOUTS = 3  #: that all answers about one area of a pool may take together
_LONGEST = 300  #: characters of a reason
_LONGEST_TEXT = 1000  #: characters of a text in an answer
_MOST_BYTES = 16 << 20  #: of an answer
_OLDEST = 300  #: seconds; a service looks more often than that
#: kinds of edges to what is asked for them, besides the health
_AREAS = {
    "version": ("summary",), "block": ("blocks",), "user": ("users", "workers"), "worker": ("users", "workers"),
}  # fmt: skip


class Refused(Exception):
    """The service answers, and not with what was asked for."""


class Looker:
    """Looks at hosts.

    :arg kinds: kinds of edges that are wanted, keys of C(EVENTS).
    :arg connections: how many there may be at a time.
    """

    def __init__(self, kinds: t.Collection[str], connections: int = 256) -> None:
        self._areas = list(dict.fromkeys(area for kind in kinds for area in _AREAS.get(kind, ())))
        self._contexts = Contexts()
        self._free = asyncio.Semaphore(connections)
        self._counted: t.Dict[str, float] = {}  #: host to when it was asked for the last answer that counted
        self._times: t.Dict[str, t.Any] = {}  #: host to of when that answer was, by its own clock

    async def look(self, host: Host) -> Json:
        """What a task on the host would have returned; a failed result if there is no answer.

        That of a skipped task if the service has not looked again at all pools since the last answer: one look counts once.
        """
        try:
            service = host.current()
            before, now = self._counted.get(host.name), time.monotonic()
            answer, body = await self._ask(service, "/health")
            age = _age(answer)
            if age is not None and age > _OLDEST:
                raise Refused(f"its answer is {age} s old: does something in between keep answers?")
            if before is not None and age is not None and age + 1 > time.monotonic() - before:
                return {"skipped": True}
            if body.get("now") is not None and body["now"] == self._times.get(host.name):
                raise Refused("it answers the same as before: does something in between keep answers?")
            self._counted[host.name], self._times[host.name] = now, body.get("now")
            return await self._result(service, answer.status, body)
        except NoAnswer as exc:
            return failure(exc)
        except (BadArgument, Refused) as exc:
            return {"failed": True, "msg": f"its service: {exc}"}

    async def _ask(self, service: Service, path: str) -> t.Tuple[Answer, Json]:
        """An answer, and the JSON object in it, with long texts cut."""
        async with self._free:
            answer = await get(service, path, self._contexts.of(service), _MOST_BYTES)
        # In a thread, as a large one takes a while.
        return answer, await asyncio.get_running_loop().run_in_executor(None, _body, service, answer)

    async def _result(self, service: Service, status: int, body: Json) -> Json:
        instances = body.get("instances")
        reason = mapping(body.get("error")).get("reason")
        if status not in (200, 503) or not isinstance(instances, list) or (not instances and reason != "not_found"):
            raise Refused(_refusal(status, body))
        if len(instances) > _MOST_POOLS:
            raise Refused(f"it lists more than {_MOST_POOLS} pools")
        entries = [_entry(found) for found in instances]
        wanting = [
            entry for entry in entries if not entry.get("failed") and entry["instance"].get("state") in UP_STATES
        ]
        if wanting and self._areas:
            await self._add_all(service, wanting, len(entries))
        return {"instances": entries, "msg": "no ckpool runs on this host"}

    async def _add_all(self, service: Service, entries: t.Sequence[Json], pools: int) -> None:
        """Ask for what pools that are up give besides their health."""
        try:
            paths = await self._paths(service, entries, pools)
        except (NoAnswer, Refused) as exc:
            for entry in entries:
                for area in self._areas:
                    _miss(entry, area, exc)
            return
        await asyncio.gather(*(self._add(service, entry, path) for entry, path in zip(entries, paths)))

    async def _paths(self, service: Service, entries: t.Sequence[Json], pools: int) -> t.List[t.Optional[str]]:
        """What the paths of each pool come after; None if the service no longer has it."""
        if pools == 1:
            return [""]
        body = await self._body(service, "/pools")
        listed = body.get("pools")
        rows = [mapping(row) for row in (listed if isinstance(listed, list) else [])]
        names = {_place(mapping(row.get("instance"))): row.get("name") for row in rows}
        found = [names.get(_place(entry["instance"])) for entry in entries]
        return [f"/pools/{urllib.parse.quote(name, safe='')}" if isinstance(name, str) else None for name in found]

    async def _add(self, service: Service, entry: Json, path: t.Optional[str]) -> None:
        instance = entry["instance"]
        passes = instance.get("mode") in PASSING_MODES
        for area in self._areas:
            if passes and area in ("users", "workers"):
                continue
            try:
                if path is None:
                    raise Refused("it does not list this pool")
                asking = self._area(service, f"{path}/{area}", area)
                found = await asyncio.wait_for(asking, _TIMEOUTS * service.timeout)
                if _place(mapping(found.get("instance"))) != _place(instance):
                    raise Refused("it answers about another pool")
            except asyncio.TimeoutError:
                _miss(entry, area, Refused(f"its {area} take more than {_TIMEOUTS * service.timeout:g} s"))
                continue
            except (NoAnswer, Refused) as exc:
                _miss(entry, area, exc)
                continue
            if area == "summary":
                entry["summary"].update(mapping(found.get("summary")))
                continue
            entry[area], entry["sources"][area] = found[area], found.get("source")
            entry["problems"].update(mapping(found.get("problems")))

    async def _area(self, service: Service, path: str, area: str) -> Json:
        if area == "summary":
            return await self._body(service, path)
        for _try in range(_TRIES):
            found = await self._rows(service, path, area, _BLOCKS if area == "blocks" else _MOST_ROWS)
            if found is not None:
                return found
        raise Refused(f"its {area} change while they are read")

    async def _rows(self, service: Service, path: str, area: str, most: int) -> t.Optional[Json]:
        """The first rows of a list, from as many pages as it takes; None if it changed between two of them."""
        rows: t.List[t.Any] = []
        version: t.Any = None
        while True:
            body = await self._body(service, f"{path}?offset={len(rows)}")
            more, total = body.get(area), body.get("total")
            if not isinstance(more, list) or not is_number(total):
                raise Refused(f"its answer has no {area} with their total")
            if rows and (total, body.get("as_of")) != version:
                return None  # a row may have moved to a page that was read already
            version = (total, body.get("as_of"))
            rows += more
            if len(rows) >= min(t.cast(float, total), most):
                return {**body, area: rows}
            if not more:
                raise Refused(f"it gives {len(rows)} of {total:g} {area}")

    async def _body(self, service: Service, path: str) -> Json:
        answer, body = await self._ask(service, path)
        if answer.status != 200:
            raise Refused(_refusal(answer.status, body))
        return body


def _body(service: Service, answer: Answer) -> Json:
    return t.cast(Json, _cut(body_of(service, answer)))


def _cut(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if isinstance(value, dict):
        return {key[:_LONGEST_TEXT]: _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list) else value


def _age(answer: Answer) -> t.Optional[int]:
    """Seconds since what is answered was found out; None if it does not say."""
    text = answer.headers.get("age", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _miss(entry: Json, area: str, why: Exception) -> None:
    entry["sources"][area], entry["problems"][area] = None, f"its service: {why}"


def _place(instance: Json) -> t.Tuple[t.Any, ...]:
    """What tells one pool of a host from the others; nothing of it is a list."""
    return tuple(str(instance.get(name)) for name in ("root", "socket_dir", "name"))


def _entry(found: t.Any) -> Json:
    """The result of a pool by its health."""
    health = mapping(found)
    stats = mapping(health.get("stats"))
    entry: Json = {
        "instance": mapping(health.get("instance")),
        "summary": {**stats, "work_age": health.get("work_age")},
        "as_of": health.get("as_of"),
        "sources": {"stats": health.get("source")},
        "problems": mapping(health.get("problems")),
    }
    if health.get("failed") or not entry["instance"]:
        entry.update(failed=True, msg=health.get("msg") or "its service does not say which pool this is")
    return entry


def _refusal(status: int, body: Json) -> str:
    """Why an answer is none, with what the service says about it."""
    error = mapping(body.get("error"))
    said = "; ".join(text for text in (error.get("message"), error.get("hint")) if isinstance(text, str) and text)
    means = {401: "the token is missing or wrong", 404: "is this the URL of the service?"}.get(status, "")
    why = one_line(said or means or "without what was asked for")
    return f"it answers with status {status}: {shortened(why, _LONGEST)}"
