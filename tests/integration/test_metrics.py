# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook metrics, the file that it writes, and a real Prometheus that reads it: rules, dashboards, and the guide."""

from __future__ import annotations

import datetime
import json
import math
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import parse

from tests.support import ROOT, Simulated, wait_for
from tests.support.ansible import Ansible, Direct, Json, Run, Task
from tests.support.dashboards import BOARDS, FOLDER, board, queries
from tests.support.machine import fleet_of, namespaces
from tests.support.prometheus import Alertmanager, Prometheus, Texts, needs_alertmanager, needs_prometheus
from tests.support.target import Target

METRICS = "ckpool.fleet.metrics"
EVIL = '{{ 6 * 7 }}"'
"""A name that a miner may choose."""
HOSTS: dict[str, list[Json]] = {
    "public": [
        {"name": "one", "layout": "2026", "user_names": [EVIL, "bc1qsecond"], "status_interval": 1},
        {
            "name": "two",
            "layout": "2025",
            "faults": [{"fault": "rejects", "ratio": 0.3}],
            "uptime": 90000,
            "status_interval": 1,
        },
    ],
    "sick": [{"name": "ckpool", "faults": ["hung"]}],
}
VARIABLES = {"metrics_timeout": 5, "metrics_top_users": 3}


@pytest.fixture(scope="module")
def pools() -> dict[str, Simulated]:
    """The pools of the fleet, by their names."""
    return {}


@pytest.fixture(scope="module")
def fleet(place: Callable[[], Path], pools: dict[str, Simulated]) -> Iterator[dict[str, Json]]:
    """The inventory: hosts with healthy and hung pools, one without, and one that nobody can reach."""
    if not namespaces():
        pytest.skip("no namespaces: neither root nor allowed to unshare")
    with fleet_of({**HOSTS, "empty": []}, place) as (inventory, made):
        pools.update(made)
        made["one"].find_block(850001, "bc1qsecond.rig0", ago=60)
        yield inventory


@pytest.fixture(scope="module")
def written(ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path]) -> tuple[Run, Path]:
    """One run over all hosts."""
    path = place() / "fleet.prom"
    path.parent.mkdir()
    return measure(ansible, fleet, path), path


def measure(ansible: Ansible, fleet: dict[str, Json], path: Path, *arguments: str, **variables: object) -> Run:
    return ansible.playbook(
        METRICS, *arguments, inventory=fleet, variables={**VARIABLES, "metrics_file": str(path), **variables}
    )


def pools_in(path: Path) -> dict[tuple[str, str], tuple[float, str]]:
    """Each pool of the file: whether it is up, and its state."""
    samples = parse(path.read_text())
    states = {one.owner: dict(one.labels)["state"] for one in samples if one.name == "ckpool_state" and one.value}
    return {one.owner: (one.value, states.get(one.owner, "")) for one in samples if one.name == "ckpool_up"}


ALL = {
    ("public", "one"): (1, "ok"),
    ("public", "two"): (1, "degraded"),
    ("sick", "ckpool"): (0, "hung"),
    ("empty", ""): (0, ""),
    ("lost", ""): (0, ""),
}


@pytest.mark.every_core
def test_silence_is_never_green(written: tuple[Run, Path]) -> None:
    run, path = written
    assert run.status == 2, run.text
    assert "Traceback" not in run.text
    assert pools_in(path) == ALL
    assert "lost: unreachable: " in run.output
    (result,) = run.results("ckpool_metrics_report")
    assert sorted(result["down"]) == ["empty", "lost", "sick:ckpool"]
    assert [entry["host"] for entry in result["missing"]] == ["lost"]
    hosts = {one.owner[0]: one.value for one in parse(path.read_text()) if one.name == "ckpool_host_up"}
    assert hosts == {"public": 1, "sick": 1, "empty": 1, "lost": 0}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_wrong_with_the_file(written: tuple[Run, Path]) -> None:
    text = written[1].read_text()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_name_is_a_label_and_nothing_else(written: tuple[Run, Path]) -> None:
    users = {dict(one.labels)["user"] for one in parse(written[1].read_text()) if one.name == "ckpool_user_workers"}
    assert EVIL in users


def test_limit_keeps_the_others(ansible: Ansible, fleet: dict[str, Json], written: tuple[Run, Path]) -> None:
    path = written[1].with_name("limited.prom")
    path.write_text(written[1].read_text())
    others = [line for line in path.read_text().splitlines() if 'instance="sick"' not in line]
    run = measure(ansible, fleet, path, "--limit", "sick")
    assert run.status == 0, run.text
    assert [line for line in path.read_text().splitlines() if 'instance="sick"' not in line] == others
    assert "not asked: 3 hosts by --limit" in run.output
    assert pools_in(path) == ALL
    assert path.read_text() != written[1].read_text()


def test_check_mode_writes_nothing(ansible: Ansible, fleet: dict[str, Json], written: tuple[Run, Path]) -> None:
    path = written[1].with_name("never.prom")
    run = measure(ansible, fleet, path, "--check", "--limit", "sick")
    assert run.status == 0, run.text
    assert not path.exists()
    assert "would be written" in run.output


def test_a_pool_that_is_gone_is_seen_until_it_is_forgotten(
    ansible: Ansible, fleet: dict[str, Json], written: tuple[Run, Path]
) -> None:
    path = written[1].with_name("gone.prom")
    path.write_text(written[1].read_text().replace('pool="ckpool"', 'pool="moved"'))
    hosts = {"sick": fleet["sick"], "empty": fleet["empty"], "public": fleet["lost"]}
    run = measure(ansible, hosts, path, "--limit", "sick,public")
    assert "gone: sick:moved" in run.output
    expected = {
        ("sick", "ckpool"): (0, "hung"),
        ("sick", "moved"): (0, "gone"),
        ("public", "one"): (0, "unreachable"),
        ("public", "two"): (0, "unreachable"),
        ("empty", ""): (0, ""),
    }
    assert pools_in(path) == expected
    run = measure(ansible, hosts, path, "--limit", "sick", metrics_forget="sick:moved")
    assert run.status == 0, run.text
    del expected["sick", "moved"]
    assert pools_in(path) == expected


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"metrics_file": "/tmp/x.txt"}, "textfile must end in .prom"),
        ({"metrics_file": "/nowhere/at/all.prom"}, "cannot write /nowhere/at/all.prom: No such file or directory"),
        ({"metrics_hosts": "nosuch"}, "no host of the inventory matches nosuch"),
    ],
)
def test_a_wrong_variable_is_an_error(
    ansible: Ansible, fleet: dict[str, Json], place: Callable[[], Path], variables: Json, text: str
) -> None:
    path = place() / "x.prom"
    path.parent.mkdir()
    run = measure(ansible, {"sick": fleet["sick"]}, path, **variables)
    assert run.status == 2
    assert text in run.text
    assert "Traceback" not in run.text


# A real Prometheus


@pytest.fixture(scope="module")
def prometheus(
    ansible: Ansible, fleet: dict[str, Json], written: tuple[Run, Path], place: Callable[[], Path]
) -> Iterator[Prometheus]:
    """One that scrapes the file of the fleet, and that of a host as its node_exporter would serve it."""
    folder = place()
    path = folder / "fleet.prom"
    folder.mkdir()
    path.write_text(written[1].read_text())
    with Texts() as server:
        server.texts["/metrics"] = path.read_text()
        own = [line for line in path.read_text().splitlines() if line.startswith("#") or 'instance="public",' in line]
        server.texts["/host"] = "".join(f"{line}\n" for line in own).replace('instance="public",', "")
        targets = [{"targets": [server.address]}]
        jobs: list[Json] = [
            {"job_name": "fleet", "honor_labels": True, "static_configs": targets},
            {"job_name": "host", "metrics_path": "/host", "static_configs": targets},
        ]
        with Prometheus(folder / "prometheus", jobs, FOLDER / "ckpool-alerts.yml") as made:
            wait_for(lambda: made.query("ckpool_up == 1"), "the first scrape")
            measure(ansible, fleet, path)
            server.texts["/metrics"] = path.read_text()
            wait_for(
                lambda: made.query('changes(ckpool_scrape_timestamp_seconds{job="fleet"}[5m]) > 0'), "the second file"
            )
            yield made


@needs_prometheus
def test_the_instance_is_the_host(prometheus: Prometheus) -> None:
    # Where this process sleeps for a second, a scrape fails, and there is nothing until the next one.
    wait_for(lambda: [value for _labels, value in prometheus.query("up")] == [1, 1], "both scrapes")

    def names(job: str) -> set[str]:
        found = wait_for(lambda: prometheus.query(f'ckpool_up{{job="{job}"}}'), f"pools of {job}")
        return {labels["instance"] for labels, _value in found}

    assert names("fleet") == {"public", "sick", "empty", "lost"}
    (target,) = names("host")
    assert target.startswith("127.0.0.1:")
    assert not prometheus.query('{__name__=~"ckpool.*",exported_instance!=""}')


@needs_prometheus
def test_a_pool_that_is_down_is_an_alert(prometheus: Prometheus) -> None:
    def alerts() -> set[tuple[str, str, str]]:
        rows = prometheus.query('ALERTS{job="fleet"}')
        return {(labels["alertname"], labels["instance"], labels.get("pool", "")) for labels, _value in rows}

    expected = {
        ("CkpoolDown", "sick", "ckpool"),
        ("CkpoolDown", "lost", ""),
        ("CkpoolDown", "empty", ""),
        ("CkpoolHostUnreachable", "lost", ""),
        ("CkpoolBlockFound", "public", "one"),
        ("CkpoolRejects", "public", "two"),
    }
    wait_for(lambda: expected <= alerts(), "the alerts")
    assert not [alert for alert in alerts() if alert[0] == "CkpoolDown" and alert[1] == "public"]


def filled(query: str, pool: Json) -> str:
    """A query as Grafana sends it."""
    values = {"instance": "public", "window": "5m", "__rate_interval": "5m", **pool}
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values[match[1]], query)


QUERIES = [(name, title, query) for name in BOARDS for title, query in queries(name)]


@needs_prometheus
@pytest.mark.parametrize(
    ("name", "title", "query"), QUERIES, ids=[f"{name}-{number}" for number, (name, *_rest) in enumerate(QUERIES)]
)
def test_every_query_of_every_panel_returns_data(prometheus: Prometheus, name: str, title: str, query: str) -> None:
    chosen = {"instance": ".*"} if name == "fleet" else {"instance": "public", "pool": "one"}
    expression = filled(query, chosen)
    rows = wait_for(lambda: prometheus.query(expression), f"data of {title}: {expression}")
    assert any(math.isfinite(value) for _labels, value in rows), rows
    assert all(labels.get("instance") != "" for labels, _value in rows)


@needs_prometheus
@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_has_values(prometheus: Prometheus, name: str) -> None:
    for variable in board(name)["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert match
        assert prometheus.ask(f"label/{match[2]}/values", _match=filled(match[1], {}))


@needs_prometheus
def test_a_panel_without_data_is_found(prometheus: Prometheus) -> None:
    """Or the tests before this one would say nothing."""
    assert prometheus.query('ckpool_up{instance="nobody"}') == []
    with pytest.raises(AssertionError, match="parse error"):
        prometheus.query("ckpool_up{")


# The guide

GUIDE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def block_of(beginning: str) -> str:
    """The block of the guide that begins so."""
    (block,) = re.findall(rf"^```yaml\n({beginning}.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert isinstance(block, str)
    return block


def silence_of_the_guide(address: str) -> list[Json]:
    """The tasks that silence an Alertmanager, and end the silence."""
    tasks: list[Json] = yaml.safe_load(block_of("- name: Silence ").replace("alertmanager.example.org:9093", address))
    return tasks


def test_the_silence_of_the_guide(ansible: Ansible) -> None:
    """The tasks as they stand there, on an Alertmanager that notes what it is sent."""
    with Texts({"silenceID": "7"}) as alertmanager:
        run = ansible.playbook(
            [{"hosts": "all", "gather_facts": False, "tasks": silence_of_the_guide(alertmanager.address)}]
        )
    assert run.status == 0, run.text
    (method, path, body), (undone, target, _body) = alertmanager.posted
    assert (method, path, undone, target) == ("POST", "/api/v2/silences", "DELETE", "/api/v2/silence/7")
    silence = json.loads(body)
    begin, end = (
        datetime.datetime.strptime(silence[key], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        for key in ("startsAt", "endsAt")
    )
    assert abs(begin - time.time()) < 120
    assert end - begin == pytest.approx(1800, abs=30)
    assert {matcher["name"]: matcher["value"] for matcher in silence["matchers"]} == {
        "alertname": "Ckpool.*",
        "instance": "localhost(:[0-9]+)?",
    }


@needs_alertmanager
def test_a_real_alertmanager_is_silent_about_one_host(ansible: Ansible, place: Callable[[], Path]) -> None:
    """The silence and the inhibitions as they stand in the guide."""
    config = {"route": {"receiver": "x"}, "receivers": [{"name": "x"}], **yaml.safe_load(block_of("inhibit_rules:"))}
    alerts = [
        ("CkpoolDown", "localhost", "solo"), ("CkpoolNotReady", "localhost:9100", "solo"), ("CkpoolDown", "pool2", "solo"),
        ("CkpoolWorkStale", "pool2", "solo"),
        ("CkpoolWorkStale", "pool2", "other"), ("CkpoolHostUnreachable", "pool3", ""), ("CkpoolDown", "pool3", "solo"),
        ("OfSomebodyElse", "localhost", ""), ("OfSomebodyElse", "pool3", ""),
    ]  # fmt: skip
    labels = [
        {name: text for name, text in zip(("alertname", "instance", "pool"), alert, strict=True) if text}
        for alert in alerts
    ]
    inhibited = {alerts[3]: "inhibited", alerts[6]: "inhibited"}
    silenced = dict.fromkeys(alerts[:2], "silenced")
    with Alertmanager(place(), config) as alertmanager:
        check = subprocess.run(
            ["amtool", "check-config", str(alertmanager.config)], capture_output=True, text=True, check=False
        )
        assert check.returncode == 0, check.stdout + check.stderr
        alertmanager.fire(labels)
        everything = {alert: inhibited.get(alert, "") for alert in alerts}
        wait_for(lambda: alertmanager.quiet() == everything, "what is inhibited")
        silence, undo = silence_of_the_guide(alertmanager.address)
        run = ansible.playbook([{"hosts": "all", "gather_facts": False, "tasks": [silence]}])
        assert run.status == 0, run.text
        wait_for(lambda: alertmanager.quiet() == {**everything, **silenced}, "what is silenced")
        (result,) = run.results("uri")
        undo["vars"] = {"silence": {"json": result["json"]}}
        run = ansible.playbook([{"hosts": "all", "gather_facts": False, "tasks": [undo]}])
        assert run.status == 0, run.text
        wait_for(lambda: alertmanager.quiet() == everything, "the end of the silence")


# Each kind of pool, also a real one


def test_the_metrics_are_those_of_the_other_modules(ansible: Ansible, direct: Direct, pool: Target) -> None:
    runner = ansible if pool.kind in ("guide", "real") else direct
    where = {"socket_dir": str(pool.socket_dir)}
    tasks: list[Task] = [
        ("ckpool_stats", where),
        ("ckpool_metrics", {**where, "top_users": 1}),
        ("ckpool_health_info", where),
    ]
    stats, metrics, health = runner.modules(tasks)
    values = {(row["name"], row["labels"].get("window", "")): row["value"] for row in metrics["samples"]}
    assert values["ckpool_up", ""] == 1
    for name, field in {"users": "users", "workers": "workers", "best_share_difficulty": "best_share"}.items():
        if metrics["as_of"] == stats["as_of"]:
            assert values.get((f"ckpool_{name}", "")) == stats["stats"][field]
    if pool.source == "files" and metrics["as_of"] == stats["as_of"]:
        for window in ("1m", "1hr", "7d"):
            assert values["ckpool_hashrate_hashes_per_second", window] == stats["stats"][f"hashrate{window}"]
    checks = {row["labels"]["check"]: row["value"] for row in metrics["samples"] if "check" in row["labels"]}
    assert set(checks) == {check["name"] for check in health["health"]["checks"]}
    assert metrics["problems"] == {}
    users = {row["labels"]["user"] for row in metrics["samples"] if "user" in row["labels"]}
    assert len(users) == 1
    assert users <= set(pool.users)
