# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pool can do to the service, which answers all the same."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import shutil
import signal
import socket
import sys
import threading
import time
import typing as t

import pytest

from tests.http_api.conftest import PATIENT, Place
from tests.support import wait_for
from tests.support.exchange import free_port
from tests.support.http_service import PATHS, HttpService, Reply

TIMEOUT = 3.0
PATIENCE = 120.0  #: seconds until the service has looked again, on a busy machine


def timed(service: HttpService, path: str) -> tuple[Reply, float]:
    began = time.monotonic()
    return service.get(path), time.monotonic() - began


def state_in(reply: Reply) -> str:
    """The state of the pool in an answer; on a busy host, the answer may be that there is no verdict yet."""
    body = reply.json
    if "too_late" in (body.get("reason"), body.get("error", {}).get("reason")):
        return "too late"
    return str((body.get("health") or body["error"]["health"])["state"])


def test_a_hung_pool_and_a_hundred_who_ask(host: Place) -> None:
    host.pool(faults=[{"fault": "hung"}])
    service = host.service(timeout=TIMEOUT, cache_seconds=60)
    paths = ["/stats", "/users", "/workers", "/summary", "/blocks", "/workbase", "/health"]
    with concurrent.futures.ThreadPoolExecutor(100) as askers:
        found = list(askers.map(lambda number: timed(service, paths[number % len(paths)]), range(100)))
    for reply, seconds in found:
        assert reply.status == 503
        assert seconds < 5 * TIMEOUT, "nobody waits for others"
        assert state_in(reply) in ("hung", "too late")
    for path in paths:
        wait_for(lambda path=path: state_in(service.get(path)) == "hung", "the verdict", PATIENCE)  # type: ignore[misc]
    assert len(host.pools["ckpool"].record()) <= 4, "all askers shared one look"


@pytest.mark.parametrize("path", ["/stats", "/users", "/workers", "/summary", "/blocks", "/workbase"])
def test_a_pool_that_died_has_a_verdict(host: Place, path: str) -> None:
    pool = host.pool()
    service = host.service(socket_dirs=[str(pool.socket_dir)])
    assert service.get("/health").status == 200
    pool.stop()
    reply = wait_for(lambda: refused(service, path), "the end to be noticed", PATIENCE)
    assert reply is not None and reply.error["reason"] == "down"
    assert reply.error["health"]["state"] == "down"
    health = service.get("/health")
    assert health.status == 503
    assert health.json["instances"][0]["health"]["status"] == "critical"
    assert health.json["instances"][0]["log_tail"]
    (process,) = (check for check in health.json["instances"][0]["health"]["checks"] if check["name"] == "process")
    assert "removed on purpose" not in process["hint"], "it is named in the configuration"


def refused(service: HttpService, path: str) -> Reply | None:
    reply = service.get(path)
    return reply if reply.status == 503 else None


def test_a_pool_that_is_gone_stays_down(host: Place) -> None:
    """It left nothing behind, and nobody has named its directory: that is no reason to be silent about it."""
    host.pool("one").wait_for_statistics()
    host.pool("two").wait_for_statistics()
    service = host.service(**PATIENT)
    assert service.get("/health").status == 200
    host.pools["two"].ask("listener", "shutdown")
    wait_for(lambda: not host.pools["two"].pids, "its end")
    shutil.rmtree(host.pools["two"].socket_dir)
    wait_for(lambda: service.get("/health").status == 503, "the end to be noticed", PATIENCE)
    rows = {row["instance"]["name"]: row["health"] for row in service.get("/health").json["instances"]}
    assert {name: health["state"] for name, health in rows.items()} == {"one": "ok", "two": "down"}
    (process,) = (check for check in rows["two"]["checks"] if check["name"] == "process")
    assert (
        process["hint"] == "start it; if it was removed on purpose, restart the service ckpool-http, which remembers it"
    )
    assert 'ckpool_up{pool="two"} 0.0' in service.get("/metrics").text
    assert service.get("/pools/two/stats").error["reason"] == "down"


def test_a_pool_that_is_gone_costs_the_others_nothing(host: Place) -> None:
    host.pool("one").wait_for_statistics()
    host.pool("two").wait_for_statistics()
    service = host.service()
    assert service.get("/health").status == 200
    host.pools["two"].stop()
    wait_for(lambda: service.get("/health").status == 503, "the end to be noticed", PATIENCE)
    began, worked = time.monotonic(), service.processor_seconds
    for _unused in range(50):
        assert service.get("/pools/one/stats").status == 200
    assert time.monotonic() - began < PATIENCE
    assert service.processor_seconds - worked < 5


def test_a_restart_is_survived(host: Place) -> None:
    pool = host.pool()
    pool.wait_for_statistics()
    service = host.service()
    assert service.get("/stats").status == 200
    pool.stop()
    reply = wait_for(lambda: refused(service, "/pools/ckpool/stats"), "the end to be noticed", PATIENCE)
    assert reply is not None and reply.error["reason"] == "down"
    pool.start().wait_for_statistics()
    wait_for(lambda: service.get("/stats").status == 200, "the new pool", PATIENCE)


def test_a_pool_that_hangs_and_recovers(host: Place) -> None:
    pool = host.pool()
    pool.wait_for_statistics()
    service = host.service(timeout=5)
    wait_for(lambda: service.get("/stats").status == 200, "an answer", PATIENCE)
    pool.stop(signal.SIGSTOP)
    wait_for(lambda: refused(service, "/stats"), "the hang to be noticed", PATIENCE)
    pool._signal(signal.SIGCONT, set())
    wait_for(lambda: service.get("/stats").status == 200, "the pool to be asked again", PATIENCE)


@pytest.mark.parametrize(("first", "second"), [("/health", "/stats"), ("/stats", "/health")])
def test_an_answer_is_as_old_as_the_look_that_it_rests_on(host: Place, first: str, second: str) -> None:
    """What is asked later in a look shares what the look began with."""
    host.pool().wait_for_statistics()
    service = host.service(cache_seconds=60)
    began = time.monotonic()
    assert int(service.get(first).headers["age"]) <= time.monotonic() - began
    time.sleep(2.1)  # the age is in whole seconds
    assert int(service.get(second).headers["age"]) >= 2


def is_hung_with_miners(service: HttpService) -> bool:
    health = service.get("/health").json.get("health", {"state": "too late"})
    return health["state"] == "hung" and any("read by nobody" in wrong for wrong in health["wrong"])


def test_miners_of_a_hung_pool_do_not_make_its_verdict_too_late(host: Place) -> None:
    port = free_port()
    pool = host.pool(ports=[port])
    pool.wait_for_statistics()
    service = host.service(timeout=1, cache_seconds=10)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as miner:
        pool.stop(signal.SIGSTOP)
        miner.sendall(b'{"id": 1, "method": "mining.submit", "params": []}\n')
        wait_for(lambda: is_hung_with_miners(service), "the verdict", PATIENCE)
        pool._signal(signal.SIGCONT, set())


def test_no_pool_is_not_green(host: Place) -> None:
    service = host.service()
    health = service.get("/health")
    assert health.status == 503
    assert health.error["reason"] == "not_found"
    assert health.json["instances"] == []
    assert service.get("/stats").error["reason"] == "not_found"
    assert "ckpool_up 0.0" in service.get("/metrics").text
    assert service.get("/pools").json["pools"] == []


def test_a_critical_check_is_503_with_the_same_body(host: Place) -> None:
    host.pool(faults=[{"fault": "stale_work"}])
    reply = host.service(thresholds={"work_age_critical": 1, "work_age_warning": 1}).get("/health")
    assert reply.status == 503
    assert reply.json["health"]["status"] == "critical"
    assert reply.json["instances"]


@pytest.mark.parametrize("text", ["", "{", '{"runtime": 1', "\x00" * 500, "[]\n[]\n[]\n", '{"hashrate1m": NaN}'])
def test_half_written_files(host: Place, text: str) -> None:
    pool = host.pool()
    pool.wait_for_statistics()
    (pool.log_dir / "pool" / "pool.status").write_text(text)
    for user in (pool.log_dir / "users").iterdir():
        user.write_text(text)
    service = host.service()
    assert service.get("/users").status == 200
    assert service.get("/health").json["instances"][0]["health"]["state"] in ("ok", "degraded")
    assert "ckpool_up{" in service.get("/metrics").text
    assert service.get("/stats").status in (200, 503)


def test_several_pools(host: Place) -> None:
    names = ["one", "two"]
    for name in names:
        host.pool(name).wait_for_statistics()
    service = host.service()
    reply = service.get("/stats")
    assert reply.status == 409
    assert reply.json["pools"] == names
    assert [pool["href"] for pool in service.get("/pools").json["pools"]] == ["/pools/one", "/pools/two"]
    assert service.get("/pools/two/stats").json["instance"]["name"] == "two"
    assert len(service.get("/health").json["instances"]) == 2
    assert len(service.get("/pools/two/health").json["instances"]) == 1
    assert service.get("/pools/three/stats").error["reason"] == "unknown_pool"
    text = service.get("/metrics").text
    assert 'ckpool_up{pool="one"} 1.0' in text and 'ckpool_up{pool="two"} 1.0' in text
    assert 'pool="one"' not in service.get("/pools/two/metrics").text


def test_a_hung_pool_does_not_delay_another(host: Place) -> None:
    host.pool("bad", faults=[{"fault": "hung"}])
    host.pool("good").wait_for_statistics()
    service = host.service(timeout=10)
    with concurrent.futures.ThreadPoolExecutor(20) as askers:
        stuck = [askers.submit(service.get, "/pools/bad/stats") for _unused in range(10)]
        wait_for(host.pools["bad"].record, "their question")
        assert service.get("/pools/good/stats").status == 200
        assert not any(one.done() for one in stuck)
        assert {one.result().status for one in stuck} == {503}


def test_a_fault_with_one_pool_is_not_one_of_the_others(host: Place) -> None:
    """The service stands for any that is not foreseen."""
    for name in ("good", "odd"):
        host.pool(name).wait_for_statistics()
    code = """
import sys
from ckpool_http import look, server
survey = look.QUESTIONS["survey"]
def fails(pool, settings):
    if pool.instance.name == "odd":
        raise RuntimeError("not foreseen")
    return survey(pool, settings)
look.QUESTIONS["survey"] = fails
sys.exit(server.main())
"""
    faulty = host.folder / "faulty.py"
    faulty.write_text(code)

    class Faulty(HttpService):
        def command(self, *more: str) -> list[str]:
            return [*host.prefix, sys.executable, str(faulty), "--config", str(self.config), *more]

    with Faulty(host.folder, **PATIENT) as service:
        health = service.get("/health")
        assert health.status == 503
        states = {row["instance"]["name"]: row["health"]["state"] for row in health.json["instances"]}
        assert states == {"good": "ok", "odd": "unknown"}
        text = service.get("/metrics").text
        assert 'ckpool_up{pool="good"} 1.0' in text and 'ckpool_up{pool="odd"} 0.0' in text
        assert "not foreseen" in service.log.read_text()


def test_pools_of_one_user_do_not_hold_up_those_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in PATHS:
        monkeypatch.syspath_prepend(str(folder))
    look, settings, watch = (importlib.import_module(f"ckpool_http.{name}") for name in ("look", "settings", "watch"))
    instance, process = (importlib.import_module(f"ckpool_fleet.{name}") for name in ("_instance", "_host.process"))
    hangs = threading.Event()

    def survey(pool: t.Any, _settings: t.Any) -> t.NoReturn:
        if pool.instance.name == "bad":
            hangs.wait(10 * PATIENCE)
        raise RuntimeError("the answer")

    monkeypatch.setitem(look.QUESTIONS, "survey", survey)

    def owner(user: int) -> t.Any:
        return process.Owner(user, user, frozenset([user]))

    async def ask() -> str:
        host = watch.Host(settings.Settings(timeout=PATIENCE))
        pools = [instance.Instance(f"/nowhere{number}", "bad", owner=owner(1000)) for number in range(40)]
        pools.append(instance.Instance("/nowhere", "good", owner=owner(999)))
        watched = [watch.Watched(pool, host._settings, host._threads_of(pool)) for pool in pools]
        asked = [asyncio.ensure_future(one.ask("survey")) for one in watched]
        _look, kept = await asked[-1]
        hangs.set()
        await asyncio.gather(*asked)
        return str(kept.error.reason)

    try:
        assert asyncio.run(ask()) == "unexpected"
    finally:
        hangs.set()
