# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source and the rulebooks, in a real ansible-rulebook."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

from tests.support import ROOT, Simulated
from tests.support.ansible import Json, local
from tests.support.machine import Machine, needs_namespaces
from tests.support.pool_service import StandIn, block, pool

from .conftest import Receiver, Rulebook

RULEBOOKS = ROOT / "extensions" / "eda" / "rulebooks"
Start = Callable[..., Rulebook]


def looks(served: StandIn) -> int:
    """How often a service was looked at."""
    return served.asked.count("/health")


def test_a_block_is_announced_once_also_over_a_restart(rulebook: Start, receiver: Receiver, folder: Path) -> None:
    """Its finder chose a name that Ansible would run as a template, had the source left it one."""
    victim = folder / "victim"
    evil = f"{{{{ lookup('ansible.builtin.pipe', 'touch {victim}') }}}}"
    with StandIn(pool(blocks=[block(849000)])) as served:
        variables = {
            "ckpool_services": [{"url": served.url, "host": "pool1"}], "ckpool_interval": 1,
            "ckpool_state_file": str(folder / "state.json"), "ckpool_webhook_url": f"{receiver.url}/hook",
        }  # fmt: skip
        inventory = {"pool1": local()}
        with rulebook("ckpool.fleet.block_found", variables, inventory) as running:
            running.wait_for(lambda: looks(served) > 2, "looks at the service")
            served.pools[0]["blocks"].insert(0, block(850000, evil))
            running.wait_for(lambda: receiver.got, "a message")
            seen = looks(served)
            running.wait_for(lambda: looks(served) > seen + 2, "more looks")
        served.pools[0]["blocks"].insert(0, block(850001))
        with rulebook("ckpool.fleet.block_found", variables, inventory) as running:
            running.wait_for(lambda: len(receiver.got) > 1, "a message about the block that was found meanwhile")
            seen = looks(served)
            running.wait_for(lambda: looks(served) > seen + 2, "more looks")
    assert [message["facts"]["height"] for message in receiver.got] == [850000, 850001]
    assert receiver.got[0]["facts"]["worker"] == evil.replace("{{", r"\x7b{")
    assert receiver.got[0]["text"].startswith("pool1: solo (/run/solo) found block 850000 at ")
    assert not victim.exists()
    assert "Traceback" not in running.text


@needs_namespaces
def test_a_pool_hangs(rulebook: Start, folder: Path) -> None:
    """Its service says so. Another pool of that host is left alone."""
    with Machine(folder / "m") as machine:
        pools = [
            Simulated(machine.folder / name, prefix=machine.prefix, name=name, users=2, status_interval=1).start()
            for name in ("solo", "two")
        ]
        for each in pools:
            each.wait_for_statistics()
        solo = pool("solo", socket_dir=str(pools[0].socket_dir))
        with StandIn(solo, pool("two")) as served:
            variables = {
                "ckpool_services": [{"url": served.url, "host": "pool1"}], "ckpool_interval": 1,
                "ckpool_collect_dir": str(folder / "collected"),
            }  # fmt: skip
            (folder / "collected").mkdir()
            with rulebook("ckpool.fleet.hung_pool", variables, {"pool1": machine.host(), "pool2": local()}) as running:
                running.wait_for(lambda: looks(served) > 1, "looks at the service")
                solo["instance"]["state"] = "hung"
                running.wait_for(lambda: list((folder / "collected").glob("pool_stats_pool1_*.json")), "a snapshot")
        assert [message for _socket, message in pools[0].told()] == ["loglevel=7"]
        assert pools[1].told() == []
        (health,) = (folder / "collected").glob("health_pool1_*.json")
        rows = json.loads(health.read_text())["fleet"]
        assert {(row["host"], row["instance"]) for row in rows} == {("pool1", "solo"), ("pool1", "two")}
        assert "Traceback" not in running.text


@needs_namespaces
def test_an_alert(rulebook: Start, folder: Path) -> None:
    """As the source ansible.eda.alertmanager makes it an event: that collection need not be installed for the test."""
    (ruleset,) = yaml.safe_load((RULEBOOKS / "alertmanager.yml").read_text(encoding="utf-8"))
    alert: Json = {
        "status": "firing",
        "labels": {"alertname": "CkpoolDown", "instance": "pool1:9333", "pool": "{{ 6 * 7 }}"},
    }
    others = [
        {**alert, "status": "resolved"},
        {**alert, "labels": {**alert["labels"], "alertname": "CkpoolBlockFound"}},
    ]
    payload = [{"alert": each, "meta": {"hosts": ["pool1"]}} for each in (*others, alert)]
    ruleset["sources"] = [{"eda.builtin.generic": {"payload": payload, "shutdown_after": 600}}]
    (folder / "alerts.yml").write_text(yaml.safe_dump([ruleset]))
    with Machine(folder / "m") as machine:
        Simulated(machine.folder / "solo", prefix=machine.prefix, name="solo", users=2).start()
        inventory = {"pool1": machine.host(), "pool2": local()}
        with rulebook(str(folder / "alerts.yml"), {"ckpool_collect_dir": str(folder)}, inventory) as running:
            running.wait_for(lambda: list(folder.glob("health_*.json")), "a report")
    (health,) = folder.glob("health_*.json")
    assert {row["host"] for row in json.loads(health.read_text())["fleet"]} == {"pool1"}


def test_the_rulebook_of_the_guide(rulebook: Start, folder: Path) -> None:
    guide = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(# watch\.yml\n.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    (ruleset,) = yaml.safe_load(text)
    (folder / "token").write_text("tk_secret\n")
    with StandIn(pool(), token="tk_secret") as served:
        (source,) = ruleset["sources"]
        given = {"services": [{"url": served.url, "host": "pool1"}], "token_file": str(folder / "token"), "interval": 1}
        source["ckpool.fleet.watch"].update(given, state_file=str(folder / "state.json"))
        del source["ckpool.fleet.watch"]["ca_file"]
        (folder / "watch.yml").write_text(yaml.safe_dump([ruleset]))
        with rulebook(str(folder / "watch.yml"), {}, {"pool1": local()}) as running:
            running.wait_for(lambda: looks(served) > 1, "looks at the service")
            served.pools[0]["instance"]["state"] = "hung"
            running.wait_for(lambda: "is down after 2 failed looks, last seen" in running.text, "the message")
    assert "tk_secret" not in running.text


def test_a_wrong_argument_ends_it_with_a_sentence(rulebook: Start) -> None:
    with rulebook("ckpool.fleet.block_found", {"ckpool_services": ["pool1:9333"]}, {"pool1": local()}) as running:
        assert running.end() != 0
    assert "services, entry 1: url 'pool1:9333' is not a URL of a service" in running.text
