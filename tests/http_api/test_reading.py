# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the paths give, for pools of each kind, and that it is what the modules give."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.http_api.conftest import PATIENT, Place
from tests.support import HARMLESS, ROOT
from tests.support.http_service import HttpService
from tests.support.target import SIMULATIONS

PATHS = ("stats", "users", "workers", "summary", "blocks", "workbase")
LISTS = {"users": "user", "workers": "worker"}


class Served(t.NamedTuple):
    host: Place
    service: HttpService


@pytest.fixture(scope="session", params=SIMULATIONS)
def served(request: pytest.FixtureRequest, shared: Callable[..., Place]) -> Iterator[Served]:
    """A service for a pool of each kind, with a block."""
    host = shared(request.param, users=4, **SIMULATIONS[request.param])
    pool = host.pools["ckpool"]
    if request.param not in request.config.stash.setdefault(SEEN, set()):
        request.config.stash[SEEN].add(request.param)
        pool.find_block(850000, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT.rig0")
    with HttpService(host.folder, host.prefix, **PATIENT) as service:
        yield Served(host, service)


SEEN: pytest.StashKey[t.Set[str]] = pytest.StashKey()


def test_every_path_answers(served: Served) -> None:
    for name in PATHS:
        reply = served.service.get(f"/{name}")
        assert reply.status == 200, reply
        assert name in reply.json
        assert reply.json["instance"]["name"] == "ckpool"
        assert int(reply.headers["age"]) < 60
        assert reply.json["source"] in ("guide", "api", "files")
        assert served.service.get(f"/pools/ckpool/{name}").status == 200


def test_figures_lie_where_users_of_the_guide_look(served: Served) -> None:
    stats = served.service.get("/stats").json
    assert stats["hashrate1m"] == stats["stats"]["hashrate1m"] > 0
    assert (stats["users"], stats["stats"]["users"]) == (4, 4)
    assert len(served.service.get("/users").json["users"]) == 4
    workers = served.service.get("/workers").json["workers"]
    assert workers[0]["worker"].startswith(workers[0]["user"])


def test_the_health_is_what_the_module_returns(served: Served) -> None:
    reply = served.service.get("/health")
    assert reply.status == 200, reply
    found = reply.json
    module = yaml.safe_load(
        re.search('RETURN = r"""(.*?)"""', (ROOT / "plugins/modules/ckpool_health_info.py").read_text(), re.S)[1]  # type: ignore[index]
    )
    only_of_failures = {"phase", "path", "reason", "hint", "log_tail"}
    assert set(found) == set(module) - only_of_failures | {"host", "now", "version", "judged_by"}
    (row,) = found["instances"]
    assert set(row) == set(module["instances"]["contains"]) - {"log_tail"}
    assert found["health"]["state"] == row["health"]["state"] == "ok"
    assert {check["name"] for check in row["health"]["checks"]} > {"work_age", "disk"}
    assert found["version"] in (ROOT / "galaxy.yml").read_text()


def test_pages(served: Served) -> None:
    for name, key in LISTS.items():
        whole = served.service.get(f"/{name}").json
        names: t.List[str] = []
        path: t.Optional[str] = f"/{name}?limit=3"
        while path:
            page = served.service.get(path).json
            assert len(page[name]) <= 3 and page["total"] == whole["total"]
            names += [row[key] for row in page[name]]
            path = page["next"]
        assert names == sorted(row[key] for row in whole[name])


def test_filters(served: Served) -> None:
    service = served.service
    user = service.get("/users").json["users"][1]["user"]
    assert [row["user"] for row in service.get(f"/users?user={user}").json["users"]] == [user]
    workers = service.get(f"/workers?user={user}").json["workers"]
    assert {row["user"] for row in workers} == {user}
    one = workers[0]["worker"]
    assert [row["worker"] for row in service.get(f"/workers?worker={one}").json["workers"]] == [one]
    assert service.get("/users?user=1nobody").json["total"] == 0
    top = service.get("/users?sort_by=hashrate1m&limit=2").json["users"]
    assert top[0]["hashrate1m"] >= top[1]["hashrate1m"]
    states = {state: service.get(f"/workers?state={state}").json["total"] for state in ("any", "active", "idle")}
    assert states["any"] == states["active"] + states["idle"]


def test_blocks(served: Served) -> None:
    found = served.service.get("/blocks?limit=1").json
    assert [block["height"] for block in found["blocks"]] == [850000]
    assert found["is_complete"]
    assert served.service.get("/summary").json["summary"]["last_block"]["height"] == 850000


def test_only_harmless_messages_are_sent(served: Served) -> None:
    for name in (*PATHS, "health", "metrics"):
        served.service.get(f"/{name}")
    assert set(served.host.pools["ckpool"].asked()) <= HARMLESS | {"clients", "getbase", "current.workbase"}


def test_names_of_miners_are_escaped(host: Place) -> None:
    pool = host.pool()
    pool.wait_for_statistics()
    evil = '<script>alert("1")</script>&\u202e'
    folder = pool.log_dir / "users"
    source = next(folder.iterdir()).read_text()
    (folder / "evil").write_text(source.replace('"worker": [', '"useragent": "x", "worker": [').replace(".rig0", evil))
    body = host.service().get("/users").body
    assert b"<" not in body and b">" not in body and body.isascii()
