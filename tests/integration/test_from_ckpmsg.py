# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that docs/from-ckpmsg.md shows, run as it stands there, on each kind of build.

The page's tasks name no pool: each runs on a host whose only pool is the one that they are to find.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT, Simulated
from tests.support.ansible import UNHURRIED, Ansible, Json, Record, Run
from tests.support.machine import Machine, needs_namespaces

pytestmark = needs_namespaces

PAGE = ROOT / "docs" / "from-ckpmsg.md"
USER = "bc1qexampleaddress"
NAMES = [USER, "alice", "bob", "carol", "dave", "erin"]
BUILDS: dict[str, Json] = {"guide": {"dialect": "guide"}, "public": {"layout": "2025"}, "api": {"dialect": "api"}}
RATE = 3e15


@dataclasses.dataclass(frozen=True)
class Section:
    """The contents of one section: its tasks, and its shell commands."""

    tasks: list[Json]
    commands: list[str]


def sections() -> dict[str, Section]:
    """The page by its headings."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        tasks = [task for block in blocks(text, "yaml") for task in yaml.safe_load(block)]
        found[heading] = Section(tasks, [line for block in blocks(text, "console") for line in block.splitlines()])
    return found


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


SECTIONS = sections()


class Outcome:
    """The results of the whole page on one pool, and the output of the commands for all pools."""

    def __init__(self, pool: Simulated, folder: Path, records: Iterable[Record], commands: dict[str, Run]) -> None:
        self.pool, self.folder, self.commands = pool, folder, commands
        results = iter(records)
        self.sections = {heading: [_next(results, task) for task in page.tasks] for heading, page in SECTIONS.items()}

    def first(self, heading: str) -> Json:
        """What the module of a section returned."""
        return self.sections[heading][0]

    def shown(self, heading: str) -> object:
        """What its last task showed."""
        return self.sections[heading][-1]["msg"]


def _next(records: Iterator[Record], task: Json) -> Json:
    record = next(records, None)
    assert record is not None and record.task == task["name"], f"{task['name']} did not run"
    assert record.outcome == "ok", record
    return record.result


@pytest.fixture(scope="module")
def outcomes(ansible: Ansible, place: Callable[[], Path]) -> Iterator[dict[str, Outcome]]:
    """The page on all builds at once, each on a host of its own, as the start of Ansible costs more than a task."""
    folder = place()
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        pools, inventory = {}, {}
        for build, settings in BUILDS.items():
            machine = stack.enter_context(Machine(place()))
            pools[build] = Simulated(
                machine.folder / "pool",
                prefix=machine.prefix,
                user_names=NAMES,
                hashrate=RATE,
                reconnect_after=0.5,
                **settings,
            ).start()
            add_block(pools[build])
            (folder / build).mkdir()
            inventory[build] = machine.host(web_root=str(folder / build))
        commands = {}
        for words in (line.split() for section in SECTIONS.values() for line in section.commands):
            assert words[:4] == ["ansible-playbook", "-i", "inventory.yml", "--become"], words
            commands[words[4]] = ansible.playbook(
                words[4], *words[5:], inventory=inventory, variables=bounds(words[4], folder)
            )
        tasks = [task for section in SECTIONS.values() for task in section.tasks]
        usual = {"ckpool.fleet.ckpool_health_info": {"thresholds": UNHURRIED}}
        play = {"hosts": "all", "gather_facts": False, "module_defaults": usual, "tasks": tasks}
        run = ansible.playbook([play], inventory=inventory)
        assert run.status == 0, run.text
        yield {
            build: Outcome(pool, folder, [record for record in run.records if record.host == build], commands)
            for build, pool in pools.items()
        }


@pytest.fixture(params=BUILDS)
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Outcome]) -> Outcome:
    return outcomes[request.param]


def bounds(playbook: str, folder: Path) -> Json:
    """Variables with which a playbook ends, and writes only to the folder of the test."""
    known: dict[str, Json] = {
        "ckpool.fleet.monitor": {"monitor_count": 1},
        "ckpool.fleet.snapshot": {"snapshot_dir": str(folder / "saved")},
    }
    return known.get(playbook, {})


def add_block(pool: Simulated) -> None:
    """The lines of a found block, as the public builds log them."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
    with (pool.log_dir / f"{pool.name}.log").open("a", encoding="utf-8") as log:
        log.write(f"[{stamp}] BLOCK ACCEPTED!\n[{stamp}] Solved and confirmed block 850001 by {USER}.rig0\n")


def test_every_line_of_the_guide_leads_to_tasks() -> None:
    """The table's links lead to headings that have something to run, and every heading but the last is linked."""
    text = PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    links = {link for row in rows for link in re.findall(r"\(#([a-z-]+)\)", row)}
    headings = {heading.lower().replace(" ", "-"): section for heading, section in SECTIONS.items()}
    assert len(rows) == 19
    assert all(re.search(r"\]\(", row) for row in rows)
    assert links <= set(headings)
    assert all(headings[link].tasks or headings[link].commands for link in links)
    assert set(headings) - links == {"what-changes-for-scripts"}
    for command in ("stats", "users", "workers", "user.info=", "current.workbase", "loglevel=", "dropuser="):
        assert any(f"stratifier {command}" in row for row in rows), command


@pytest.mark.every_core
def test_the_pool(outcome: Outcome) -> None:
    result = outcome.first("The pool")
    assert result["source"] == {"public": "files"}.get(outcome.pool.dialect, outcome.pool.dialect)
    assert result["stats"]["hashrate1m"] == pytest.approx(RATE, rel=0.2)
    assert re.fullmatch(r"\d\.\d\d PH/s, 6 users, 12 workers", str(outcome.shown("The pool")))


def test_users(outcome: Outcome) -> None:
    assert sorted(user["user"] for user in outcome.first("Users")["users"]) == sorted(NAMES)
    assert outcome.shown("Users") == "6 users"


def test_one_user(outcome: Outcome) -> None:
    (user,) = outcome.first("One user")["users"]
    assert user["user"] == USER
    assert len(user["workers"]) == 2
    assert re.fullmatch(r"[\d.]+ [TP]H/s", str(outcome.shown("One user")))
    assert not [message for message in outcome.pool.asked() if "user.info" in message or "getuser" in message]


def test_workers(outcome: Outcome) -> None:
    shown = outcome.shown("Workers")
    assert isinstance(shown, list)
    assert {row["worker"] for row in shown} == {worker for workers in outcome.pool.users.values() for worker in workers}
    assert all(row["hashrate"].endswith("H/s") for row in shown)


def test_the_top_users(outcome: Outcome) -> None:
    users = outcome.first("The top users")["users"]
    rates = [user["hashrate1m"] for user in users]
    assert len(users) == 5
    assert rates == sorted(rates, reverse=True)
    assert outcome.shown("The top users") == [user["user"] for user in users]
    table = outcome.commands["ckpool.fleet.top_users"]
    assert table.status == 0, table.text
    lines = table.output.splitlines()
    rows = [line for line in lines if re.search(r"\b[TP]H/s\b", line) and any(name in line for name in NAMES)]
    assert len(rows) == 5, table.output


def test_the_workbase(outcome: Outcome) -> None:
    assert outcome.first("The workbase")["workbase"]["height"] > 0
    assert re.fullmatch(r"block \d+ with \d+ transactions", str(outcome.shown("The workbase")))


def test_the_log_level(outcome: Outcome) -> None:
    debug, notice = outcome.sections["The log level"]
    assert (debug["level"], debug["reply"], debug["returns"]["to"]) == (7, "success", 5)
    assert (notice["level"], notice["previous"], notice["previous_known"]) == (5, 7, True)


def test_drop_a_user(outcome: Outcome) -> None:
    result = outcome.first("Drop a user")
    assert result["changed"]
    assert {client["user"] for client in result["dropped"]} == {USER}
    assert len(result["dropped"]) == 2
    assert "2 of 2 clients dropped" in str(outcome.shown("Drop a user"))


def test_the_summary(outcome: Outcome) -> None:
    summary = outcome.first("The summary")["summary"]
    # One of six users was dropped a few tasks before, and may not be back yet where sockets tell, and not the files.
    assert summary["state"] == "ok" and summary["users"] in (5, 6)
    assert re.fullmatch(r"ckpool is ok with \d\.\d\d PH/s", str(outcome.shown("The summary")))


def test_any_other_message(outcome: Outcome) -> None:
    answer = outcome.first("Any other message")
    expected = "json" if outcome.pool.dialect == "guide" else "none"
    assert (answer["reply_type"], outcome.shown("Any other message")) == (expected, expected)
    if expected == "json":
        assert answer["reply"]["result"]["users"] == 6


def test_blocks(outcome: Outcome) -> None:
    (block,) = outcome.first("Blocks")["blocks"]
    assert (block["height"], block["worker"], block["accepted"]) == (850001, f"{USER}.rig0", True)
    assert outcome.shown("Blocks") == [[str(block["time"]), block["worker"]]]


def test_watch(outcome: Outcome) -> None:
    (waited,) = outcome.sections["Watch"]
    assert waited["met"]
    shown = outcome.commands["ckpool.fleet.monitor"]
    assert shown.status == 0, shown.text
    assert "PH/s" in shown.output


def test_save(outcome: Outcome) -> None:
    saved = outcome.commands["ckpool.fleet.snapshot"]
    assert saved.status == 0, saved.text
    names = [path.name for path in (outcome.folder / "saved").iterdir()]
    assert sorted(name.split("_")[2] for name in names) == sorted(BUILDS)
    assert all(re.fullmatch(r"pool_stats_\w+_\d{8}_\d{6}\.json", name) for name in names)


def test_for_other_programs(outcome: Outcome) -> None:
    written = outcome.sections["For other programs"][1]
    stats, users, workers = (json.loads(Path(result["dest"]).read_text()) for result in written["results"])
    assert (stats["stats"]["users"], len(users["users"]), len(workers["workers"])) == (6, 6, 12)


def test_what_is_wrong(outcome: Outcome) -> None:
    result = outcome.first("What is wrong")
    assert (result["health"]["state"], result["health"]["wrong"]) == ("ok", [])
    assert outcome.shown("What is wrong") == [result["msg"]]


def test_shut_down(outcome: Outcome) -> None:
    result = outcome.first("Shut down")
    assert (result["changed"], result["pid_after"]) == (True, None)
    assert "is gone" in str(outcome.shown("Shut down"))
    assert not outcome.pool.pids


def test_no_harm_was_done(outcome: Outcome) -> None:
    """Nothing harmful to a public build was sent, and no user was created."""
    asked = outcome.pool.asked()
    assert not [message for message in asked if message.lower().startswith(("stratifierstats", "get", "user"))
                and message.lower() not in ("getbase", "getbest", "users")]  # fmt: skip
    assert set(outcome.pool.users) == set(NAMES)
