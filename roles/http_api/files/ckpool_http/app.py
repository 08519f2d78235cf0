# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of the service."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import socket
import time
import typing as t
import urllib.parse

from ckpool_fleet._ask.checkup import together
from ckpool_fleet._state import COUNTING_MODES
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from . import VERSION, answers, metrics, queries
from .errors import HEADERS, JSON, ApiError, encoded
from .limits import Counting, Gate, Places
from .openapi import description
from .watch import Host, Watched

if t.TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from .protocol import Connections
    from .settings import Settings

QUESTIONS = ("stats", "users", "workers", "summary", "blocks", "workbase")
_Answer = t.Callable[["Request"], t.Coroutine[t.Any, t.Any, Response]]
_PIECE = 65536  #: bytes of an answer that are sent at once, so that a slow reader holds no more
_LARGE = 8  #: answers with many rows that are made and sent at once
_LEAST_SECONDS = 0.1  #: to wait for blocks
_FOUND_NOTHING = "no ckpool runs on this host"


class Whole(Response):
    """An answer of any length, of which all readers share the text.

    :ivar after: called when it is sent, or nobody reads it.
    """

    after: t.Optional[t.Callable[[], t.Awaitable[None]]] = None

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        view = memoryview(t.cast(bytes, self.body))
        try:
            for start in range(0, len(view), _PIECE):
                await send(
                    {"type": "http.response.body", "body": bytes(view[start : start + _PIECE]), "more_body": True}
                )
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if self.after:
                await self.after()


class Service:
    """Answers requests.

    :arg connections: what counts the open connections.
    :arg expires: gives the time at which the certificate does, in epoch seconds.
    """

    def __init__(
        self, settings: Settings, connections: Connections, expires: t.Callable[[], t.Optional[float]]
    ) -> None:
        self._settings, self._connections, self._expires = settings, connections, expires
        self._requests: t.Dict[int, int] = collections.Counter()
        self._host: t.Optional[Host] = None
        self._exposition = metrics.Exposition()
        self._places: t.Optional[Places] = None
        self._large: t.Optional[Places] = None

    def app(self) -> ASGIApp:
        """The application, behind its gate."""
        handlers: t.Any = {ApiError: self._failed, HTTPException: self._not_found, Exception: self._unexpected}
        app = Starlette(routes=self._routes(), exception_handlers=handlers)
        app.router.redirect_slashes = False
        return Counting(Gate(app, self._settings), self._requests)

    def _routes(self) -> t.List[Route]:
        whole = {
            "/health": self._health,
            "/metrics": self._metrics,
            "/pools": self._pools,
            "/openapi.json": self._openapi,
        }
        of_one: t.Dict[str, _Answer] = {f"/{name}": self._question(name) for name in QUESTIONS}
        of_named: t.Dict[str, _Answer] = {
            f"/pools/{{pool:path}}{path}": whole[path] for path in ("/health", "/metrics")
        }
        of_named.update({f"/pools/{{pool:path}}{path}": answer for path, answer in of_one.items()})
        answers_by_path: t.Dict[str, _Answer] = {**whole, **of_one, **of_named}
        return [Route(path, self._placed(answer), methods=["GET"]) for path, answer in answers_by_path.items()]

    def _placed(self, answer: _Answer) -> t.Any:
        async def placed(request: Request) -> Response:
            if self._places is None:  # in the loop of the server, to which they belong
                self._places = Places(self._settings.max_requests, self._settings.deadline)
                self._large = Places(_LARGE, self._settings.deadline)
                self._host = Host(self._settings)
            async with self._places:
                return await answer(request)

        return placed

    @property
    def host(self) -> Host:
        """The pools of this host."""
        assert self._host is not None
        return self._host

    async def _wanted(self, request: Request) -> t.Dict[str, Watched]:
        """The pools that a request is about.

        :raises ApiError: it names one that is not there.
        """
        pools = await self.host.pools()
        name = request.path_params.get("pool")
        if name is None:
            return pools
        if name not in pools:
            known = f"the pools are {', '.join(pools)}" if pools else _FOUND_NOTHING
            raise ApiError(404, "unknown_pool", f"no pool of this host is called {name[:200]!r}", known)
        return {name: pools[name]}

    def _question(self, name: str) -> _Answer:
        async def answer(request: Request) -> Response:
            query = queries.parsed(request.scope["query_string"], name)
            pools = await self._wanted(request)
            if len(pools) != 1:
                raise _not_one(list(pools), name)
            (pool,) = pools.values()
            path = (request.scope.get("raw_path") or f"/{name}".encode()).decode("ascii")
            async with contextlib.AsyncExitStack() as stack:
                look, kept = await answers.require_answer(pool, name)
                if name in queries.PARAMETERS:
                    await stack.enter_async_context(t.cast(Places, self._large))
                body = await self.host.in_thread(answers.rendered, look, name, kept, query, path)
                response = _json(body, headers={"Age": str(int(kept.age))})
                if len(body) > _PIECE:
                    response.after = stack.pop_all().aclose  # it keeps its place until it is sent
            return response

        return answer

    async def _health(self, request: Request) -> Response:
        queries.parsed(request.scope["query_string"], "health")
        pools = await self._wanted(request)
        if not pools:
            hint = "is it running? if it keeps its sockets elsewhere, or should run, name its directory in socket_dirs"
            raise ApiError(503, "not_found", _FOUND_NOTHING, hint, more={"instances": []})
        rows = await asyncio.gather(*map(_checked, pools.values()))
        result = together([row for row, _age in rows])
        is_critical = any(row["health"]["status"] == "critical" for row in result["instances"])
        own = {"host": socket.gethostname(), "now": round(time.time(), 3), "version": VERSION}
        body = {**result, **own, "judged_by": self._settings.judged_by}
        age = {"Age": str(int(max(age for _row, age in rows)))}
        return _json(encoded(body), 503 if is_critical else 200, age)

    async def _metrics(self, request: Request) -> Response:
        queries.parsed(request.scope["query_string"], "metrics")
        pools = await self._wanted(request)
        found = await asyncio.gather(*(self._measured(label, pool) for label, pool in pools.items()))
        service = metrics.Service(len(self._connections), self._requests, self._expires())
        body, kind = self._exposition.text(found, service, round(time.time(), 3), request.headers.get("accept", ""))
        return Whole(body, headers={**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))})

    async def _measured(self, label: str, pool: Watched) -> metrics.Measured:
        began = time.monotonic()
        try:
            _look, survey = await pool.survey()
        except ApiError:
            return metrics.Measured(label, None, pool.ledger.total)
        blocks = None
        if survey.reading.seen.mode in COUNTING_MODES:
            left = began + self._settings.deadline - time.monotonic()
            blocks = await pool.blocks(max(left, _LEAST_SECONDS))
        return metrics.Measured(label, survey.reading, pool.ledger.total, blocks)

    async def _pools(self, request: Request) -> Response:
        queries.parsed(request.scope["query_string"], "pools")
        rows = [
            {
                "name": name,
                "instance": pool.instance.as_dict((pool.health or {}).get("state")),
                "href": f"/pools/{urllib.parse.quote(name, safe='')}",
            }
            for name, pool in (await self.host.pools()).items()
        ]
        return _json(encoded({"pools": rows, "host": socket.gethostname(), "version": VERSION}))

    async def _openapi(self, request: Request) -> Response:
        queries.parsed(request.scope["query_string"], "openapi.json")
        return _json(encoded(description(self._settings)))

    async def _failed(self, _request: Request, error: ApiError) -> Response:
        return _json(error.body(), error.status, error.headers)

    async def _not_found(self, request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            message = f"{request.method[:20]} is not allowed: this service only reads"
            return _json(ApiError(405, "method_not_allowed", message).body(), 405, {"Allow": "GET, HEAD"})
        known = ", ".join(["/health", "/metrics", "/pools", *(f"/{name}" for name in QUESTIONS), "/openapi.json"])
        nothing = ApiError(404, "unknown_path", "there is nothing at this path", f"the paths are {known}")
        return _json(nothing.body(), 404)

    async def _unexpected(self, _request: Request, _error: Exception) -> Response:
        error = ApiError(500, "unexpected", "this is a fault of the service", "its journal has the details")
        return _json(error.body(), 500)


async def _checked(pool: Watched) -> t.Tuple[t.Dict[str, t.Any], float]:
    """The row of a pool in the result of the health check, and its age in seconds."""
    try:
        look, survey = await pool.survey()
    except ApiError as exc:
        instance = pool.instance.as_dict()
        failure = {"phase": "ask", "path": None, "reason": exc.reason, "hint": exc.hint, "msg": str(exc)}
        return {"instance": instance, "failed": True, "problems": dict(pool.instance.problems), **failure}, 0.0
    return dict(survey.health), time.monotonic() - look.began


def _not_one(names: t.Sequence[str], question: str) -> ApiError:
    if not names:
        return ApiError(503, "not_found", _FOUND_NOTHING, "is it running? see /health", more={"pools": []})
    hint = f"ask for one: /pools/NAME/{question}"
    return ApiError(
        409, "several_pools", f"several pools run here: {', '.join(names)}", hint, more={"pools": list(names)}
    )


def _json(body: bytes, status: int = 200, headers: t.Optional[t.Mapping[str, str]] = None) -> Whole:
    common = {**HEADERS, "Content-Type": JSON, "Content-Length": str(len(body))}
    return Whole(body, status, {**common, **(headers or {})})
