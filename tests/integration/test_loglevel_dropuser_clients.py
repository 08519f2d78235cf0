# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log levels, drops and the acceptance of miners, on hosts whose memory no other test uses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Simulated, wait_for
from tests.support.ansible import RUN_DEADLINE, Ansible, Direct, Json, Modules, Run, Task
from tests.support.machine import Machine, needs_namespaces

pytestmark = needs_namespaces

KINDS: dict[str, Json] = {
    "public": {"layout": "2017"},
    "api": {"layout": "2025", "dialect": "api"},
    "guide": {"layout": "2026", "dialect": "guide"},
}
BY_ANSIBLE = ("guide",)  # the kinds of pools on which Ansible itself runs the modules
NAMES = ["alice", "bob", "carol"]
POOL: Json = {"user_names": NAMES, "reconnect_after": 600}
ELSEWHERE = "spare.example.org:3334"


class Host(Machine):
    """A machine with its own /run, where root remembers what was set."""

    def __enter__(self) -> Host:
        super().__enter__()
        done = self.run("mount", "-t", "tmpfs", "none", "/run")
        assert done.returncode == 0, done.stderr
        return self

    def start(self, name: str = "ckpool", *options: str, **simulation: Any) -> Simulated:
        """A pool on it."""
        settings = {**POOL, **simulation}
        return Simulated(self.folder / name, *options, name=name, prefix=self.prefix, **settings).start()

    def remembered(self) -> list[Json]:
        """What is remembered of each process, the oldest first."""
        return list(json.loads(self.run("cat", "/run/ckpool.fleet/memory.json").stdout).values())


@pytest.fixture
def host(place: Callable[[], Path]) -> Iterator[Host]:
    with Host(place()) as made:
        yield made


@pytest.fixture
def hosts(place: Callable[[], Path]) -> Iterator[Callable[[], Host]]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Host(place()))


def at(pool: Simulated, **options: Any) -> Json:
    return {"socket_dir": str(pool.socket_dir), "timeout": 30, **options}


# Every module, predicted, done, and done again

CASES: dict[str, Task] = {
    "level": ("ckpool_loglevel", {"level": "debug"}),
    "level for a time": ("ckpool_loglevel", {"level": "info", "restore_after": "10m"}),
    "level back": ("ckpool_loglevel", {"restore": True}),
    "accepting": ("ckpool_clients", {"state": "accepting"}),
    "rejecting": ("ckpool_clients", {"state": "rejecting"}),
    "accepting again": ("ckpool_clients", {"state": "accepting"}),
    "users": ("ckpool_dropuser", {"users": ["alice"], "workers": ["bob.rig1"], "watch": 0}),
    "unknown": ("ckpool_dropuser", {"users": ["nobody"], "watch": 5}),
    "redirected": (
        "ckpool_clients",
        {"state": "redirected", "redirect_to": ELSEWHERE, "redirect_check": False, "wait": 60},
    ),
    "dropped": ("ckpool_clients", {"state": "dropped"}),
}
FEW = ("level", "users", "unknown", "redirected")
"""Of builds other than the public ones."""
PAIRS = [(kind, case) for kind in KINDS for case in CASES if kind == "public" or case in FEW]
UNCHANGED = ("accepting", "unknown", "dropped")
TWICE = ("level", "users", "redirected", "level back")


@pytest.fixture(scope="module")
def results(ansible: Ansible, direct: Direct, place: Callable[[], Path]) -> Iterator[dict[tuple[str, str, int], Json]]:
    """By kind of pool and case: the prediction (0), the result (1) and for some cases that of a second run (2)."""
    with Host(place()) as host:
        host.run("rm", "-rf", "/run/systemd")
        found: dict[tuple[str, str, int], Json] = {}
        pools = {kind: host.start(kind, **simulation) for kind, simulation in KINDS.items()}
        for kind, pool in pools.items():
            tasks: dict[tuple[str, str, int], Task] = {}
            for case in (case for one, case in PAIRS if one == kind):
                name, options = CASES[case]
                tasks[kind, case, 0] = (f"{name}?", at(pool, **options))
                tasks[kind, case, 1] = (name, at(pool, **options))
                if case in TWICE:
                    tasks[kind, case, 2] = (name, at(pool, **options))
            runner: Modules = ansible if kind in BY_ANSIBLE else direct
            found.update(zip(tasks, runner.control(tasks.values(), host=host.host()), strict=True))
            found[kind, "told", 0] = {"told": pool.told()}
        yield found


@pytest.mark.parametrize(("kind", "case"), PAIRS)
def test_predicted_done_and_done_again(kind: str, case: str, results: dict[tuple[str, str, int], Json]) -> None:
    predicted, done = results[kind, case, 0], results[kind, case, 1]
    assert not predicted["failed"] and not done["failed"], done["msg"]
    assert predicted["changed"] == done["changed"] == (case not in UNCHANGED), done["msg"]
    assert set(predicted) == set(done)
    assert predicted["diff"] == done["diff"]
    assert done["instance"]["name"] == kind and kind in done["msg"]
    if case in TWICE:
        again = results[kind, case, 2]
        assert not again["failed"] and not again["changed"], again["msg"]
        assert again["diff"]["before"] == again["diff"]["after"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_done_is_sent(kind: str, results: dict[tuple[str, str, int], Json]) -> None:
    """Predictions send only questions; nothing creates a user; only the connector gets orders to drop a client."""
    levels = "stratifier" if kind == "guide" else "listener"
    drops = [("connector", f"dropclient={number}") for number in (1, 2, 4)]
    if kind == "guide":
        drops = [("stratifier", "dropuser=alice"), ("connector", "dropclient=4")]
    assert results[kind, "told", 0]["told"] == [
        *[(levels, f"loglevel={level}") for level in ((7, 7, 6, 7) if kind == "public" else (7, 7))],
        *[("listener", word) for word in ("accept", "reject", "accept") if kind == "public"],
        *drops,
        ("listener", "reconnect:spare.example.org,3334"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_results_say(kind: str, results: dict[tuple[str, str, int], Json]) -> None:
    level, users, sent = (results[kind, case, 1] for case in ("level", "users", "redirected"))
    assert (level["previous"], level["previous_known"], level["level_name"]) == (5, False, "debug")
    assert level["diff"]["after"] == "log level: 7 (debug)\n"
    assert [client["client_id"] for client in users["dropped"]] == [1, 2, 4]
    assert users["source"] == ("api" if kind == "api" else "files")
    assert (sent["clients_before"], sent["clients_after"], sent["reply"]) == (3, 0, "reconnecting")


def test_a_level_for_a_time_and_back(results: dict[tuple[str, str, int], Json]) -> None:
    timed, back = (results["public", case, 1] for case in ("level for a time", "level back"))
    assert (timed["previous"], timed["previous_known"], timed["returns"]["to"]) == (7, True, 7)
    assert timed["returns"]["timer"].startswith("pid ") and timed["problems"] == {}
    assert (back["previous"], back["level"], back["returns"]) == (6, 7, None)


# Many instances, and a timer that is systemd's

#: In a session of its own: with the end of a task, Ansible may end what is left of its session. systemd is out of its reach.
SYSTEMD_RUN = """#!/bin/sh
if [ "$1" = later ]; then
  sleep "${{2%s}}"
  until [ -e {folder}/go ]; do sleep 0.1; done
  shift 2
  exec env -i "$@" >>{folder}/done 2>&1
fi
while [ "$1" != -- ]; do
  case "$1" in --on-active=*) seconds=${{1#--on-active=}} ;; esac
  shift
done
shift
setsid "$0" later "$seconds" "$@" >/dev/null 2>&1 </dev/null &
"""
#: what is left in the host's memory once the timers have removed their code, beside the locks of the pools that run
LEFT = ["lock", "memory.json"]
SYSTEMCTL = "#!/bin/sh\necho LoadState=not-found\n"


def test_every_instance_and_a_timer_that_outlives_the_task(ansible: Ansible, host: Host) -> None:
    one, two = host.start("one"), host.start("two", "-l", "4", dialect="guide")
    hung = host.start("hung", faults=["hung"])
    host.run("mkdir", "-p", "/run/systemd/system")
    for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", SYSTEMCTL)):
        (host.folder / name).write_text(text.format(folder=host.folder))
        (host.folder / name).chmod(0o755)
    options = {"level": "debug", "restore_after": 2, "all_instances": True, "timeout": 5}
    predicted, done = ansible.control(
        [("ckpool_loglevel?", options), ("ckpool_loglevel", options)],
        host=host.host(),
        environment={"PATH": f"{host.folder}:{os.environ['PATH']}"},
    )
    for result in (predicted, done):
        assert result["failed"] and result["changed"]
        found = {each["instance"]["name"]: each for each in result["instances"]}
        assert [found[name].get("failed", False) for name in ("one", "two", "hung")] == [False, False, True]
        assert found["hung"]["path"] == str(hung.socket_dir / "listener") and found["hung"]["reason"] == "unanswered"
        assert (found["one"]["previous"], found["two"]["previous"]) == (5, 4)
        assert len(result["diff"]) == 2
    timers = [found[name]["returns"]["timer"] for name in ("one", "two")]
    assert all(timer.startswith("ckpool-fleet-loglevel-") for timer in timers) and len(set(timers)) == 2
    assert [found[name]["problems"] for name in ("one", "two")] == [{}, {}]
    finished = host.folder / "done"
    (host.folder / "go").touch()  # not before the task has ended, however long it takes
    wait_for(lambda: finished.exists() and finished.read_text().count("\n") >= 2, "both timers", 90)
    assert sorted(finished.read_text().splitlines()) == ["log level 7 -> 4: success", "log level 7 -> 5: success"]
    assert one.told() == [("listener", "loglevel=7"), ("listener", "loglevel=5")]
    assert two.told() == [("stratifier", "loglevel=7"), ("stratifier", "loglevel=4")]
    assert hung.told() == []

    def left() -> list[str]:
        names = host.run("ls", "/run/ckpool.fleet").stdout.split()
        return sorted(name for name in names if not re.fullmatch(r"ckpool-fleet-order-\d+-\d+\.lock", name))

    wait_for(lambda: left() == LEFT, "the code to be removed")
    assert [facts["loglevel"] for facts in host.remembered()] in ([5, 4], [4, 5])


def test_a_process_that_was_replaced_is_not_known(ansible: Ansible, host: Host) -> None:
    pool = host.start("ckpool", "-l", "6")
    (before,) = ansible.control([("ckpool_loglevel", {"level": 2, "restore_after": "1h"})], host=host.host())
    assert (before["previous"], before["previous_known"]) == (6, False)
    pool.stop()
    pool.start()
    again, restored = ansible.control(
        [("ckpool_loglevel?", {"level": 2}), ("ckpool_loglevel", {"restore": True})], host=host.host()
    )
    assert (again["previous"], again["previous_known"], again["changed"]) == (6, False, True)
    assert not restored["changed"] and pool.told() == [("listener", "loglevel=2")]


# The role


@pytest.fixture
def role(ansible: Ansible, hosts: Callable[[], Host]) -> tuple[Run, dict[str, Simulated]]:
    """The role with other variables on each host."""
    (ansible.folder / "fails.yml").write_text('- ansible.builtin.fail: {msg: "the fault was not found"}\n')
    (ansible.folder / "works.yml").write_text('- ansible.builtin.debug: {msg: "meanwhile"}\n')
    fails, works = (str(ansible.folder / f"{word}.yml") for word in ("fails", "works"))
    variables: dict[str, Json] = {
        "for good": {},
        "waits": {"loglevel_for": "1s"},
        "works": {"loglevel_for": "10m", "loglevel_tasks": works},
        "fails": {"loglevel_for": "10m", "loglevel_tasks": fails},
        "fails for good": {"loglevel_tasks": fails},
        "bad level": {"loglevel_level": "loud"},
    }
    pools, inventory = {}, {}
    for word, settings in variables.items():
        host = hosts()
        pools[word] = host.start("one")
        host.start("two")
        inventory[word.replace(" ", "_")] = host.host(**{"loglevel_level": "debug", **settings})
    play = {"hosts": "all", "gather_facts": False, "strategy": "free", "roles": ["ckpool.fleet.loglevel"]}
    return ansible.playbook([play], "--forks", "6", inventory=inventory), pools


@pytest.mark.every_core
def test_the_role(role: tuple[Run, dict[str, Simulated]]) -> None:
    run, pools = role
    assert "Traceback" not in run.text and run.status != 0
    told = {word: [message for _socket, message in pool.told()] for word, pool in pools.items()}
    assert told == {
        "for good": ["loglevel=7"],
        "waits": ["loglevel=7", "loglevel=5"],
        "works": ["loglevel=7"],  # the host itself restores the level when the time is over
        "fails": ["loglevel=7", "loglevel=5"],
        "fails for good": ["loglevel=7", "loglevel=5"],
        "bad level": [],
    }
    last = {record.host: record for record in run.records if record.host in ("fails", "fails_for_good", "bad_level")}
    assert all(record.outcome == "failed" for record in last.values()), last
    for word in ("fails", "fails_for_good"):
        assert "the fault was not found" in last[word].result["msg"]
        assert "log level is as before" in last[word].result["msg"]
    assert "'loud' is not one of" in last["bad_level"].result["msg"]
    assert not [record for record in run.of("debug") if record.host == "waits"], "nobody has to wait for it"


# Playbooks


def test_the_playbook_for_levels(ansible: Ansible, hosts: Callable[[], Host]) -> None:
    machines = {name: hosts() for name in ("one", "two", "three")}
    pools = {name: machine.start() for name, machine in machines.items()}
    inventory = {name: machine.host() for name, machine in machines.items()}
    some = {"loglevel_hosts": "one:two", "loglevel_serial": 1}
    missing = ansible.playbook("ckpool.fleet.loglevel", inventory=inventory, variables=some)
    assert missing.status != 0 and "Traceback" not in missing.text
    assert "no log level is given; nothing was done. Set -e loglevel_level=LEVEL" in missing.text
    assert all(pool.told() == [] for pool in pools.values())
    run = ansible.playbook("ckpool.fleet.loglevel", inventory=inventory, variables={**some, "loglevel_level": "debug"})
    assert run.status == 0, run.text
    assert [record.host for record in run.of("ckpool_loglevel")] == ["one", "two"]
    for record in run.of("debug"):
        (line,) = record.result["msg"]
        assert line.endswith("log level 7 (debug), before 5 (notice) as far as is known")
    assert len(run.of("debug")) == 2
    assert run.output.count("PLAY [Set the log level") == 2, "one host at a time"
    for limit, pattern in (("three", "one:two"), ("all", "one,nosuch")):
        run = ansible.playbook(
            "ckpool.fleet.loglevel",
            "--limit",
            limit,
            inventory=inventory,
            variables={"loglevel_hosts": pattern, "loglevel_level": 1},
        )
        assert run.status == 2 and "nothing was done" in run.text
    assert [pools[name].told() for name in pools] == [[("listener", "loglevel=7")]] * 2 + [[]]


def test_the_playbook_for_drops_on_a_host_with_two_pools(ansible: Ansible, hosts: Callable[[], Host]) -> None:
    host = hosts()
    pools = [host.start(name) for name in ("first", "second")]
    drop = {"drop_user_watch": 0, "drop_user_users": "alice", "drop_user_name": "first"}
    run = ansible.playbook("ckpool.fleet.drop_user", inventory={"host": host.host()}, variables=drop)
    assert run.status == 0, run.text
    dropped = [("connector", "dropclient=1"), ("connector", "dropclient=2")]
    assert [pool.told() for pool in pools] == [dropped, []]
    del drop["drop_user_name"]
    run = ansible.playbook("ckpool.fleet.drop_user", inventory={"host": host.host()}, variables=drop)
    assert run.status == 0, run.text
    assert [pool.told() for pool in pools] == [dropped, dropped]


def test_the_playbook_for_drops_and_a_name_that_no_pool_knows(ansible: Ansible, hosts: Callable[[], Host]) -> None:
    """One host does not know the user of the other, and need not."""
    host, other = hosts(), hosts()
    pools = [host.start(user_names=["alice"]), other.start(user_names=["bob"])]
    for pool in pools:
        pool.wait_for_statistics()

    def run(users: str, *words: str, **variables: Any) -> Run:
        return ansible.playbook(
            "ckpool.fleet.drop_user", *words, inventory={"one": host.host(), "two": other.host()},
            variables={"drop_user_watch": 0, "drop_user_users": users, **variables},
        )  # fmt: skip

    mistyped = run("alice, bbo", "--check")
    assert mistyped.status == 2 and "No pool knows bbo. Check the spelling" in mistyped.text, mistyped.text
    assert [pool.told() for pool in pools] == [[], []]
    mistyped = run("alice, bbo", drop_user_workers="bob.rig9")
    assert mistyped.status == 2 and "No pool knows bbo, bob.rig9. Check" in mistyped.text, mistyped.text
    assert [len(pool.told()) for pool in pools] == [2, 0], "who is known is dropped"
    for done in (run("alice, bob"), run("bbo", drop_user_fail_when_missing=False)):
        assert done.status == 0, done.text


def test_the_playbook_for_drops_and_two_of_them_at_once(ansible: Ansible, hosts: Callable[[], Host]) -> None:
    host, other = hosts(), hosts()
    pool, second = host.start(reconnect_after=1), other.start()
    inventory = {"one": host.host(), "two": other.host()}
    runs: dict[str, Run] = {}
    variables: dict[str, Json] = {
        "nobody": {},
        "alice": {"drop_user_users": "alice, nobody", "drop_user_fail_when_missing": False},
        "bob": {"drop_user_users": ["bob"], "drop_user_watch": 60},
        "ids": {
            "drop_user_client_ids": "5, 6",
            "drop_user_workers": "carol.rig0 ,carol.rig1",
            "drop_user_hosts": "two",
        },
        "bad": {"drop_user_users": "a/b", "drop_user_hosts": "two"},
    }

    def work(word: str) -> None:
        runs[word] = Ansible(ansible.folder / word).playbook(
            "ckpool.fleet.drop_user",
            inventory=inventory,
            variables={"drop_user_hosts": "one", "drop_user_watch": 0, "drop_user_serial": 1, **variables[word]},
        )

    threads = [threading.Thread(target=work, args=(word,)) for word in variables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(RUN_DEADLINE)
    assert all("Traceback" not in run.text for run in runs.values())
    assert [runs[word].status == 0 for word in variables] == [False, True, True, True, False], [
        r.text for r in runs.values()
    ]
    assert "nobody is named; nothing was done. Set -e drop_user_users=NAME" in runs["nobody"].text
    assert "'a/b' holds '/'" in runs["bad"].text
    dropped = {word: run.results("ckpool_dropuser")[0] for word, run in runs.items() if run.status == 0}
    assert [user["user"] for user in dropped["alice"]["users"]] == ["alice", "nobody"]
    for word, ids in (("alice", [1, 2]), ("bob", [3, 4]), ("ids", [5, 6])):
        assert [client["client_id"] for client in dropped[word]["dropped"]] == ids
        assert dropped[word]["msg"] in runs[word].output
    assert [client["worker"] for client in dropped["bob"]["returned"]] == ["bob.rig0", "bob.rig1"]
    assert sorted(pool.told()) == [("connector", f"dropclient={number}") for number in (1, 2, 3, 4)]
    assert second.told() == [("connector", "dropclient=5"), ("connector", "dropclient=6")]
