# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of services say of their hosts: rows with a cause and a hint, of which a wrong answer is never healthy."""

from __future__ import annotations

import itertools
import json
import time
import typing as t

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services.answer import result_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services.fleet import ask
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services.http import Answer
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services.service import NoAnswer, Service, failure
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from tests.support.exchange import free_port
from tests.support.fake_service import FakeService, entry, health, http
from tests.support.waiting import DEADLINE

NOW = 1795385500.0
SERVICE = Service(True, "pool1", 9333)
NOTHING: Json = {
    "error": {"status": 503, "reason": "not_found", "message": "no pool", "hint": "start one"},
    "instances": [],
}
ERROR: Json = {"error": {"status": 503, "reason": "busy", "message": "too many requests", "hint": "wait"}}


def result(body: t.Any, status: int = 200, token: t.Optional[str] = None, **headers: str) -> Json:
    """The result of a host, of an answer or of its failure."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    service = Service(True, "pool1", 9333, token=token)
    try:
        return result_of(service, Answer(status, headers, content), NOW, NOW + 1)
    except NoAnswer as exc:
        assert exc.hint
        return failure(exc)


def states(body: t.Any, status: int = 200) -> t.List[t.Tuple[t.Any, str, str]]:
    return [(row["instance"], row["state"], row["status"]) for row in rows_of("pool1", result(body, status))]


def test_a_healthy_host() -> None:
    (row,) = rows_of("pool1", result(health(now=NOW)))
    assert (row["host"], row["instance"], row["state"], row["status"]) == ("pool1", "ckpool", "ok", "ok")
    assert (row["hashrate"], row["users"], row["workers"], row["clients"], row["work_age"]) == (1e15, 2, 4, 4, 4.2)
    assert [check["name"] for check in row["checks"]] == ["process"]


def test_each_instance_has_its_row() -> None:
    hung = entry("two", "hung", "critical", log_tail=["first", "last", ""])
    body = health(entry("one"), hung, entry("three", "degraded", "warning"), now=NOW)
    assert states(body, 503) == [
        ("one", "ok", "ok"), ("two", "hung", "critical"), ("three", "degraded", "warning")
    ]  # fmt: skip
    assert rows_of("pool1", result(body, 503))[1]["log_line"] == "last"


def test_a_host_without_a_pool_is_down() -> None:
    assert states(NOTHING, 503) == [(None, "down", "critical")]
    assert rows_of("pool1", result(NOTHING, 503))[0]["wrong"] == ["no ckpool on this host"]


def test_one_bad_entry_leaves_the_others() -> None:
    body = health(now=NOW)
    body["instances"] += ["junk", {}, {"health": {"state": "ok", "status": "perfect"}}]
    assert [state for _name, state, _status in states(body)] == ["ok", "failed", "failed", "failed"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 200, "not in JSON"),
        (b"<html>", 200, "not in JSON"),
        (b"\xff", 200, "not in JSON"),
        (b'{"now": NaN}', 200, "not in JSON: NaN is no number"),
        (b"9" * 5000, 200, "JSON"),
        (b"[" * 100_000, 200, "nested too deeply"),
        ([], 200, "no object"),
        ("ok", 200, "no object"),
        ({}, 200, "without a verdict"),
        ({"status": "ok"}, 503, "without a verdict"),
        (ERROR, 503, "an error: too many requests"),
        ({**NOTHING, "instances": None}, 503, "an error: no pool"),
        ({"error": {"reason": "not_found"}}, 503, "an error"),
        ({"error": "not_found", "instances": []}, 503, "without a verdict"),
        (health(now=NOW - 3600), 200, "is of 2026-11-22 21:11:40 UTC, and now is 2026-11-22 22:11:41 UTC"),
        (health(now=NOW + 3600), 200, "the answer of pool1:9333 is of"),
        (health(now=10**300), 200, "the answer of pool1:9333 is of"),
        (health(now=t.cast(float, "soon")), 200, "does not say of when"),
        (health(now=t.cast(float, True)), 200, "does not say of when"),
        (health(now=NOW, host=""), 200, "does not say of which host"),
        ({name: value for name, value in health(now=NOW).items() if name != "now"}, 200, "of when"),
        (health(now=NOW, instances=None), 200, "instances that are no list"),
        (health(now=NOW, instances={}), 200, "instances that are no list"),
        (health(now=NOW, instances=[]), 200, "calls a host healthy that has no pool"),
        (health(now=NOW), 503, "nothing in it is critical"),
        (health(now=NOW, health="ok"), 200, "odd result: health is 'ok'"),
        (health(now=NOW, health={}), 200, "odd result: health.state is missing"),
        (b"", 401, "wants a token (status 401)"),
        (b"{}", 403, "answers with status 403"),
        (b"", 301, "redirects to 'https://elsewhere"),
        (health(now=NOW), 302, "which is not followed"),
        (b"not here", 404, "has no /health"),
        (health(now=NOW), 404, "has no /health"),
        (ERROR, 500, "answers with status 500: too many requests"),
        ({"error": {"message": "\x1b[31mred\n"}}, 500, r"answers with status 500: \x1b[31mred\x0a"),
        ({"error": {"message": 7}}, 500, "answers with status 500"),
        (health(now=NOW), 429, "answers with status 429"),
        (health(now=NOW), 204, "answers with status 204"),
    ],
)
def test_what_is_no_verdict_has_a_cause_and_is_not_healthy(body: t.Any, status: int, message: str) -> None:
    rows = rows_of("pool1", result(body, status, location="https://elsewhere/" + "x" * 1000))
    assert [(row["state"], row["status"]) for row in rows] == [("failed", "critical")]
    assert message in rows[0]["wrong"][0]
    assert rows[0]["wrong"][0].isprintable()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "down"}, {"state": "hung"}, {"state": "unknown"}, {"ok": False}, {"wrong": ["it is dead"]},
        {"checks": [{**entry()["health"]["checks"][0], "status": "critical"}]},
        {"checks": [{**entry()["health"]["checks"][0], "status": "warning"}]},
    ],
)  # fmt: skip
def test_a_verdict_is_not_better_than_what_it_rests_on(changes: Json) -> None:
    bad = entry()
    bad["health"].update(changes)
    body = health(entry("good"), bad, now=NOW)
    assert [status for _name, _state, status in states(body)] == ["ok", "critical"]


def test_an_entry_that_failed_is_not_healthy() -> None:
    assert [state for _name, state, _status in states(health(entry(failed=True), now=NOW))] == ["failed"]


def test_a_critical_host_has_a_critical_pool() -> None:
    body = {**health(entry(), now=NOW), "health": entry(state="down", status="critical")["health"]}
    assert [state for _name, state, _status in states(body)] == ["failed"]


def test_a_token_that_is_not_accepted() -> None:
    found = result(b"", 401, token="s3cret")
    assert "does not accept the token (status 401)" in found["msg"]
    assert "health_check_http_token" in found["msg"]
    assert "s3cret" not in str(found)


def test_the_clocks_may_differ_a_little() -> None:
    for off in (-50, 0, 50):
        assert [state for _name, state, _status in states(health(now=NOW + off))] == ["ok"]


@pytest.mark.parametrize(
    ("age", "state"),
    [("0", "ok"), ("50", "ok"), ("90", "failed"), ("odd", "failed"), ("5, 90", "failed"), ("9" * 5000, "failed")],
)
def test_what_was_kept_for_long_is_refused(age: str, state: str) -> None:
    found = result(health(now=NOW), age=age)
    assert [row["state"] for row in rows_of("pool1", found)] == [state]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"thresholds": {"workers_min": "10", "users_min": None}, "skip_checks": ["b", "a"], "socket_dirs": []}, None),
        (None, "does not say whether it judges by health_check_thresholds"),
        ("junk", "does not say whether it judges by health_check_thresholds"),
        ({"thresholds": {"workers_min": 10}}, "does not say whether it judges by health_check_skip_checks"),
        ({"thresholds": {"workers_min": 9}}, "does not judge by health_check_thresholds of this host"),
        ({"thresholds": "junk"}, "does not judge by health_check_thresholds of this host"),
        ({"thresholds": {"workers_min": 10}, "skip_checks": ["a"]}, "does not judge by health_check_skip_checks"),
    ],
)
def test_a_verdict_is_by_the_limits_of_the_inventory(told: t.Any, message: t.Optional[str]) -> None:
    service = Service(True, "pool1", 1, judged_by={"thresholds": {"workers_min": 10}, "skip_checks": ["a", "b"]})
    body = health(now=NOW) if told is None else health(now=NOW, judged_by=told)
    answer = Answer(200, {}, json.dumps(body).encode())
    if message is None:
        assert result_of(service, answer, NOW, NOW)["health"]["state"] == "ok"
        return
    with pytest.raises(NoAnswer, match=message) as caught:
        result_of(service, answer, NOW, NOW)
    assert "http_api" in caught.value.hint


@pytest.mark.parametrize("name", ["unreachable", "skipped", "failed", "ansible_facts", "_ansible_no_log", "invocation"])
def test_an_answer_does_not_pretend_to_be_a_result_of_ansible(name: str) -> None:
    found = result({**health(now=NOW), name: True})
    assert name not in found
    assert [row["state"] for row in rows_of("pool1", found)] == ["ok"]


def test_text_of_a_pool_is_made_safe() -> None:
    body = health(entry("{{ 7 * 7 }}\ud800"), now=NOW)
    (row,) = rows_of("pool1", result(body))
    assert row["instance"] == "{{ 7 * 7 }}\\ud800"


# Many at a time


def url_of(service: FakeService, **more: t.Any) -> Json:
    return {"health_check_http_url": service.url, **more}


def test_each_host_has_its_own_result() -> None:
    replies: t.Dict[str, t.Any] = {
        "/well": [http(health(host="a"))],
        "/junk": [http(b"<html>")],
        "/hangs": [None],
        "/empty": [http(NOTHING, "503 Service Unavailable")],
    }
    with FakeService(lambda path: replies[path[: -len("/health")]]) as service:
        hosts = {path[1:]: {"health_check_http_url": service.url + path} for path in replies}
        hosts["hangs"]["health_check_http_timeout"] = t.cast(t.Any, 2.0)
        hosts["refused"] = {"health_check_http_url": f"http://127.0.0.1:{free_port()}"}
        hosts["wrong"] = {"health_check_http_url": "pool1"}
        hosts["unknown"] = t.cast(t.Any, None)
        found = ask([*hosts], hosts)
    assert set(found) == set(hosts)
    rows = {host: rows_of(host, result)[0]["state"] for host, result in found.items()}
    assert rows == {
        "well": "ok", "junk": "failed", "hangs": "failed", "empty": "down", "refused": "unreachable", "wrong": "failed",
        "unknown": "unreachable",
    }  # fmt: skip


def test_only_hosts_that_want_http_are_asked() -> None:
    with FakeService(lambda _path: [http(health())]) as service:
        hosts = {
            "web": url_of(service, health_check_via="http"),
            "usual": url_of(service, health_check_via="ssh"),
            "unset": url_of(service),
            "odd": url_of(service, health_check_via="smoke"),
        }
        found = ask([*hosts], hosts, "by_host")
    assert set(found) == {"web", "odd"}
    assert found["web"]["health"]["state"] == "ok"
    assert found["odd"]["msg"] == "health_check_via is neither ssh nor http: 'smoke'"


def test_hundreds_of_hosts_wait_for_their_turn() -> None:
    """More than are asked at a time, of which the first ones hang for a while."""
    numbers = itertools.count()

    def slow(path: str) -> t.Iterator[bytes]:
        if next(numbers, 0) < 100:
            time.sleep(0.2)
        yield http(health(host=path))

    with FakeService(slow) as service:
        hosts = {
            f"p{number}": {"health_check_http_url": f"{service.url}/p{number}", "health_check_http_timeout": DEADLINE}
            for number in range(300)
        }
        found = ask([*hosts], hosts)
    assert [host for host, result in found.items() if "health" not in result] == []
    assert {host: result["host"] for host, result in found.items()} == {host: f"/{host}/health" for host in hosts}


def test_one_service_does_not_speak_for_two_hosts() -> None:
    """A wrong URL, or a proxy that sends all to one: the other host was not looked at."""
    with FakeService(lambda path: [http(health(host="own" if "own" in path else "same"))]) as service:
        hosts = {name: {"health_check_http_url": f"{service.url}/{name}"} for name in ("own", "a", "b")}
        found = ask([*hosts], hosts)
    assert found["own"]["health"]["state"] == "ok"
    for host, other in (("a", "b"), ("b", "a")):
        assert set(found[host]) == {"failed", "msg"}
        assert f"the service that answers is that of {other} too; it calls its host same" in found[host]["msg"]


def test_hosts_of_one_name_with_pools_of_their_own() -> None:
    """Names of hosts are often not unique: localhost."""
    bodies = {str(pid): health(entry(), host="localhost") for pid in (1, 2)}
    for pid, body in bodies.items():
        body["instances"][0]["instance"]["pid"] = int(pid)
    with FakeService(lambda path: [http(bodies[path[1]])]) as service:
        hosts = {pid: {"health_check_http_url": f"{service.url}/{pid}"} for pid in bodies}
        found = ask([*hosts], hosts)
    assert [result["health"]["state"] for result in found.values()] == ["ok", "ok"]
