# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the HTTP service of a host, with pools that a test changes."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
import urllib.parse

from .http_server import Handler, HttpServer

Json = t.Dict[str, t.Any]
TOKEN = "tk_secret"


def pool(name: str = "solo", state: str = "ok", **changes: t.Any) -> Json:
    """A pool: its health, and what is answered about it by area."""
    now = time.time()
    instance = {
        "name": name, "socket_dir": changes.pop("socket_dir", f"/run/{name}"), "state": state, "mode": "pool", "root": "/",
        "started": int(now - 1e6), "pid": 4242,
    }  # fmt: skip
    stats = {"hashrate5m": 100.0, "hashrate1hr": 100.0, "users": 0, "workers": 0}
    made: Json = {
        "instance": instance, "work_age": 4.0, "stats": stats, "version": "0.9.9", "users": [], "workers": [], "blocks": [],
        "as_of": int(now), "problems": {},
    }  # fmt: skip
    return {**made, **changes}


def block(height: int, worker: str = "bc1q.rig", **more: t.Any) -> Json:
    """A block that was found a minute ago."""
    usual = {"hash": None, "accepted": True, "reason": None, "effort": 85.5, "difficulty": 1.0}
    return {"time": time.time() - 100, "height": height, "worker": worker, **usual, **more}


class StandIn(HttpServer):
    """Answers as the service does.

    :ivar pools: those of the host.
    :ivar odd: path to a status and a body that are answered instead.
    :ivar asked: the paths of all requests, with their queries.
    :ivar page: rows of one answer at most.
    :ivar age: seconds since it looked at its pools; not said if None.
    """

    def __init__(self, *pools: Json, token: str = "") -> None:
        self.pools = list(pools)
        self.odd: t.Dict[str, t.Tuple[int, bytes]] = {}
        self.asked: t.List[str] = []
        self.page = 1000
        self.age: t.Optional[int] = None
        stand_in = self

        class Requests(Handler):
            def do_GET(self) -> None:
                stand_in.asked.append(self.path)
                if token and self.headers.get("Authorization") != f"Bearer {token}":
                    status, body = 401, _error(401, "unauthorized", "the token is missing or wrong")
                else:
                    status, body = stand_in.answer(self.path)
                with contextlib.suppress(OSError):  # who asked may have gone
                    self.reply(status, body)

            def end_headers(self) -> None:
                if stand_in.age is not None:
                    self.send_header("Age", str(stand_in.age))
                super().end_headers()

        super().__init__(Requests)

    def answer(self, path: str) -> t.Tuple[int, bytes]:
        """The status and the body of an answer."""
        where, _mark, query = path.partition("?")
        if where in self.odd:
            return self.odd[where]
        if where == "/health":
            return self._health()
        if where == "/pools":
            rows = [{"name": label, "instance": each["instance"]} for label, each in self._labels().items()]
            return 200, json.dumps({"pools": rows}).encode()
        *start, area = where.split("/")[1:]
        if not start and len(self.pools) > 1:
            return 409, _error(409, "several_pools", "several pools run here")
        label = urllib.parse.unquote(start[1]) if start else next(iter(self._labels()))
        return self._area(self._labels()[label], area, dict(urllib.parse.parse_qsl(query)))

    def _labels(self) -> t.Dict[str, Json]:
        names = [each["instance"]["name"] for each in self.pools]
        return {
            name if names.count(name) == 1 else f"{name}:{each['instance']['socket_dir']}": each
            for name, each in zip(names, self.pools)
        }

    def _health(self) -> t.Tuple[int, bytes]:
        if not self.pools:
            return 503, _error(503, "not_found", "no ckpool runs on this host", instances=[])
        keys = ("instance", "work_age", "stats", "as_of", "problems", "failed", "msg")
        rows = [{**{key: each[key] for key in keys if key in each}, "source": "files"} for each in self.pools]
        is_ok = all(each["instance"]["state"] == "ok" for each in self.pools)
        body = {**rows[0], "instances": rows, "host": "here", "now": time.time(), "version": "0.4.0"}
        return 200 if is_ok else 503, json.dumps(body).encode()

    def _area(self, found: Json, area: str, query: t.Mapping[str, str]) -> t.Tuple[int, bytes]:
        common = {"instance": found["instance"], "source": "files", "as_of": found["as_of"], "problems": {}}
        if area == "summary":
            summary = {**found["stats"], "version": found["version"], "work_age": found["work_age"]}
            return 200, json.dumps({"summary": summary, **common}).encode()
        rows = found[area]
        if rows is None:
            return 503, _error(503, "unreadable", f"the {area} cannot be read")
        offset, limit = int(query.get("offset", 0)), self.page
        return 200, json.dumps({area: rows[offset : offset + limit], "total": len(rows), **common}).encode()


def _error(status: int, reason: str, message: str, **more: t.Any) -> bytes:
    return json.dumps({"error": {"status": status, "reason": reason, "message": message, "hint": ""}, **more}).encode()
