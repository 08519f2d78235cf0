# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics are those of the collection, by prometheus_client, and a real Prometheus reads them."""

from __future__ import annotations

import importlib
import subprocess
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _metrics as ours

from tests.http_api.conftest import Place
from tests.http_api.test_gate import TOKEN, token_file
from tests.support import DEADLINE, wait_for
from tests.support.http_service import PATHS
from tests.support.prometheus import Prometheus, needs_prometheus
from tests.unit.plugins.module_utils.test_metrics import empty, full


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    for path in PATHS:
        monkeypatch.syspath_prepend(str(path))
    return importlib.import_module("ckpool_http.metrics")


def plain(text: str) -> t.List[t.Tuple[t.Any, ...]]:
    """The samples of a text, sorted."""
    return sorted((one.name, sorted(one.labels), one.value) for one in ours.parse(text))


def test_they_are_those_of_the_collection(rendered: t.Any) -> None:
    pools = [
        rendered.Measured("a", full(), 3),
        rendered.Measured('b"\\\n<', empty("down"), 0),
        rendered.Measured("c", None, 0),
    ]
    body, kind = rendered.Exposition().text(pools, rendered.Service(1, {200: 2}), 5.0, "")
    assert kind.startswith("text/plain; version=")
    lines = [line for line in body.decode().splitlines() if "ckpool_http" not in line]
    expected = [
        *ours.samples_of(full(), "a"), *ours.samples_of(empty("down"), 'b"\\\n<'), *ours.samples_without_answer("c", "failed", 5.0),
    ]  # fmt: skip
    assert plain("\n".join(lines)) == plain(ours.exposition(expected))
    heads = [line for line in ours.exposition(expected).splitlines() if line.startswith("#")]
    assert [line for line in lines if line.startswith("#")] == heads


def test_those_of_one_look_are_made_once(rendered: t.Any) -> None:
    made, reading, own = rendered.Exposition(), full(), rendered.Service(1, {})
    made.text([rendered.Measured("a", reading, 1)], own, 5.0, "")
    reading.seen.clients = 99
    again, _kind = made.text([rendered.Measured("a", reading, 2)], own, 6.0, "")
    assert b'ckpool_clients{pool="a"} 5.0' in again, "the same look"
    assert b'ckpool_http_messages_total{pool="a"} 2.0' in again, "but not the same messages"
    other, _kind = made.text([rendered.Measured("a", full(), 2)], own, 6.0, "")
    assert b'ckpool_clients{pool="a"} 5.0' in other
    for form in ("", "application/openmetrics-text"):
        text, _kind = made.text([rendered.Measured("a", reading, 1)], own, 7.0, form)
        assert text.count(b"# EOF") == int(bool(form))
        assert b'ckpool_clients{pool="a"} 99' in text


def test_open_metrics(host: Place) -> None:
    host.pool()
    reply = host.service().get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.endswith("# EOF\n")


@needs_prometheus
def test_promtool_finds_nothing(host: Place) -> None:
    host.pool().wait_for_statistics()
    text = host.service(top_users=3).get("/metrics").body
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=DEADLINE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@needs_prometheus
def test_a_real_prometheus(host: Place) -> None:
    host.pool().wait_for_statistics()
    service = host.service(token_file=str(token_file(host.folder)))
    rules = host.folder / "rules.yml"
    rules.write_text("groups: []\n")
    job = {
        "job_name": "ckpool", "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}],
        "authorization": {"credentials": TOKEN},
    }  # fmt: skip
    with Prometheus(host.folder / "prometheus", [job], rules) as prometheus:
        ((labels, value),) = wait_for(lambda: prometheus.query("ckpool_up"), "a scrape", 60)
        assert (labels["pool"], value) == ("ckpool", 1)
        # On a busy host, a scrape may take longer than it may, and has nothing then.
        wait_for(lambda: [value for _labels, value in prometheus.query("up")] == [1], "a scrape that is whole", 60)
        for name in ("ckpool_blocks_found", "ckpool_http_messages_total"):
            wait_for(lambda name=name: prometheus.query(name), name, 60)  # type: ignore[misc]


@pytest.mark.parametrize("version", ["x", "1.0.é", "1.x.0", "", "9" * 9000])
def test_an_accept_header_that_cannot_be_understood(host: Place, version: str) -> None:
    service = host.service()
    reply = service.get("/metrics", Accept=f"application/openmetrics-text; version={version}")
    assert reply.status == 200
    assert "Traceback" not in service.log.read_text()
