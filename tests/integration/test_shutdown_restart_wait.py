# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ckpool_shutdown, ckpool_restart and ckpool_wait, on healthy pools and on pools that misbehave meanwhile.

Every scene is a host of its own with a pool of its own, and all are played at once, as most of each is waiting.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support import DEADLINE, HARMLESS, ROOT, SOCKETS, Simulated, wait_for
from tests.support.ansible import RUN_DEADLINE, TERMINAL, Ansible, Json, Run, local

ELSEWHERE = "spare.example.org:3333"
SENT_THERE = "reconnect:spare.example.org,3333"
LEFT_BY_SHUTDOWN = list(SOCKETS)
LEFT_BY_CRASH = [*SOCKETS, "main.pid"]
LONG = RUN_DEADLINE / 2  # seconds, for what is waited for beside a run
SHORT = {"timeout": 5}  # for pools whose sockets are silent
LINE = re.compile(r"(\w+): (\w+): (.*), (\d+)(?: of [0-9.]+)? s")
"""A line of progress: host, phase, what there is, seconds."""


def do(what: str, **options: Any) -> Json:
    return {f"ckpool.fleet.ckpool_{what}": {"poll": 1, **options}, "ignore_errors": True}


shutdown = functools.partial(do, "shutdown")
restart = functools.partial(do, "restart")
wait = functools.partial(do, "wait")


def with_diff(task: Json) -> Json:
    return {**task, "diff": True}


def checked(task: Json) -> Json:
    return {**task, "diff": True, "check_mode": True}


@dataclasses.dataclass(frozen=True)
class Scene:
    """What is asked of a pool one after the other, and what happens to it before and meanwhile.

    `shares` names the scene whose pool this one is played on, too.
    """

    tasks: list[Json]
    simulation: Json = dataclasses.field(default_factory=dict)
    before: Callable[[Simulated], None] | None = None
    meanwhile: Callable[[Simulated], None] | None = None
    shares: str = ""


# What happens


def until_told(pool: Simulated, word: str) -> None:
    wait_for(lambda: word in pool.asked(), f"{word}, in {pool.folder}", LONG)


def crash_in_mid_drain(pool: Simulated) -> None:
    until_told(pool, SENT_THERE)
    wait_for(lambda: "reconnect" in pool.log(), "its line in the log", LONG)
    pool.stop(signal.SIGKILL)


def come_back(pool: Simulated) -> None:
    until_told(pool, "shutdown")
    wait_for(lambda: not pool.pids, "its end", LONG)
    pool.start()


def get_work(pool: Simulated) -> None:
    until_told(pool, "ping")
    pool.change(faults=[])


def vanish(pool: Simulated) -> None:
    pool.stop()
    for path in pool.socket_dir.iterdir():
        path.unlink()
    pool.socket_dir.rmdir()


def give_pid_away(pool: Simulated) -> None:
    """Have main.pid name a process that has nothing to do with the pool."""
    sleeper = subprocess.Popen(["sleep", "900"])
    SLEEPERS[pool.folder] = sleeper
    (pool.socket_dir / "main.pid").write_text(str(sleeper.pid))


def end_and_give_pid_away(pool: Simulated) -> None:
    pool.stop(signal.SIGTERM)
    give_pid_away(pool)


SLEEPERS: dict[Path, subprocess.Popen[bytes]] = {}

# What there is


def four(*faults: Any, **simulation: Any) -> Json:
    """A pool with four clients."""
    return {"users": 2, "reconnect_after": 0.2, "faults": list(faults), **simulation}


BY_FORCE = shutdown(force_after=0, kill_after=0, remove_leftovers=True)
SENT_ELSEWHERE = shutdown(redirect_to=ELSEWHERE, redirect_check=False)
SCENES: dict[str, Scene] = {
    "public": Scene(
        [
            checked(restart()),
            with_diff(restart(clients_percent=100)),
            checked(SENT_ELSEWHERE),
            with_diff(SENT_ELSEWHERE),
            with_diff(SENT_ELSEWHERE),
        ],
        four(layout="2017"),
    ),
    "guide": Scene(
        [wait(), shutdown(redirect_to=ELSEWHERE, redirect_check=False, drain_until=1)],
        four(dialect="guide", stubborn=1),
    ),
    "waits": Scene(
        [
            wait(clients_min=4, clients_max=4, users_min=2, workers_min=4, hashrate_min="0.9P", work_age_max=60),
            checked(wait(clients_min=5, hashrate_min="2P")),
            wait(clients_min=5, hashrate_min="2P", users_min=2, wait_timeout=0),
            wait(stable_for=2, wait_timeout=300),
            wait(state="down", wait_timeout=0),
            wait(state="drained", clients_max=3, wait_timeout=0),
        ],
        four(layout="2026", dialect="api"),
    ),
    "gets_work": Scene([wait(timeout=5)], four("starting"), meanwhile=get_work),
    "gone": Scene([wait(wait_timeout=0), wait(state="down"), shutdown(), checked(BY_FORCE), restart()], before=vanish),
    "some_stay": Scene(
        [
            shutdown(
                redirect_to=ELSEWHERE, redirect_check=False, drain_timeout=8
            ),  # after 10 s they would be sent there again
            shutdown(redirect_to=ELSEWHERE, redirect_check=False, drain_timeout=0, on_drain_timeout="continue"),
        ],
        four(stubborn=2),
    ),
    "crashes": Scene([SENT_ELSEWHERE, SENT_ELSEWHERE], four(stubborn=4), meanwhile=crash_in_mid_drain),
    "hung": Scene(
        [
            shutdown(**SHORT),
            restart(force=True, **SHORT),
            checked(shutdown(force_after=30, **SHORT)),
            shutdown(force_after=30, redirect_to=ELSEWHERE, redirect_check=False, **SHORT),
        ],
        four("hung"),
    ),
    "dies": Scene([with_diff(shutdown(remove_leftovers=True))], four("dies_on_shutdown")),
    "lingers": Scene([shutdown(shutdown_timeout=1, **SHORT)], four("lingers")),
    "deaf": Scene([shutdown(force_after=1, kill_after=1, **SHORT)], four("lingers", "ignores_term")),
    "goes_on": Scene([restart(restart_timeout=15)], four("restart_old", layout="2026")),
    "leaves_a_copy": Scene([restart(restart_timeout=2, **SHORT)], four("restart_fails")),
    "strands": Scene(
        [restart(clients_percent=75, clients_timeout=15)],
        four({"fault": "slow_restart", "seconds": 2}, {"fault": "strands_clients", "count": 2}, dialect="guide"),
    ),
    "lives_under_a_strange_pid": Scene([BY_FORCE, restart(force=True)], before=give_pid_away),
    "left_a_strange_pid": Scene([checked(BY_FORCE), BY_FORCE], before=end_and_give_pid_away),
    "one_of_two": Scene([shutdown()], four()),
    "other_of_two": Scene([shutdown()], shares="one_of_two"),
    # The first look still sees the old process, and the long poll gives the next one time to come before the second.
    "comes_back": Scene(
        [shutdown(poll=30, shutdown_timeout=600)], four({"fault": "lingers", "seconds": 20}), meanwhile=come_back
    ),
}
BAD: list[tuple[Json, str]] = [
    *((do(name, poll=0.5), "poll must be from 1 to 3600, not 0.5") for name in ("shutdown", "restart", "wait")),
    *((do(name, poll="often"), "poll") for name in ("shutdown", "restart", "wait")),
    *((do(name, socket_dirs="/x"), "socket_dirs") for name in ("shutdown", "restart", "wait")),
    *(
        (shutdown(redirect_to=to), f"redirect_to must be HOST:PORT with a port from 1 to 65535, not '{to}'")
        for to in ("spare", "spare:0", "spare:65536", "spare:x", ":3333", "a b:1", "2001:db8::1:3333", "http://a:1")
    ),
    (shutdown(drain_until=-1), "drain_until must be from 0"),
    (shutdown(drain_timeout=-1), "drain_timeout must be from 0"),
    (shutdown(shutdown_timeout=604801), "shutdown_timeout must be from 0"),
    (shutdown(kill_after=-1), "kill_after must be from 0"),
    (shutdown(force_after=61), "force_after (61) must not be more than shutdown_timeout (60)"),
    (shutdown(on_drain_timeout="hope"), "on_drain_timeout"),
    (shutdown(service="a b"), "service 'a b' cannot be the name of a unit"),
    (restart(clients_percent=101), "clients_percent must be from 0 to 100, not 101"),
    (restart(restart_timeout=-1), "restart_timeout must be from 0"),
    (restart(ready_timeout="soon"), "ready_timeout"),
    (wait(hashrate_min="much"), "hashrate_min is no hashrate: 'much'"),
    (wait(hashrate_min=["1P"]), "hashrate_min is no hashrate"),
    (wait(wait_timeout=-1), "wait_timeout must be from 0"),
    (wait(stable_for=301), "stable_for (301) must not be more than wait_timeout (300)"),
    (wait(clients_min=3, clients_max=2), "clients_min (3) must not be more than clients_max (2)"),
    (wait(clients_min=-1), "clients_min must be from 0"),
    (wait(state="down", users_min=1), "state: down goes without users_min"),
    (wait(state="tired"), "state"),
]
SCENES["bad_input"] = Scene([task for task, _text in BAD], four())


@dataclasses.dataclass(frozen=True)
class Played:
    """The results of a scene; `pid` is that of the pool at its start."""

    pool: Simulated
    pid: int
    results: list[Json]

    @property
    def told(self) -> list[str]:
        """The messages that the pool was sent, without questions."""
        return [message for message in self.pool.asked() if message not in HARMLESS]

    @property
    def only(self) -> Json:
        """The result, where there is only one."""
        (result,) = self.results
        return result

    @property
    def outcomes(self) -> list[str]:
        """Each result in a word: the reason of a failure, else changed or ok."""
        return [r["reason"] if r["failed"] else "changed" if r["changed"] else "ok" for r in self.results]


def phases_of(result: Json) -> list[str]:
    return [phase["name"] for phase in result["phases"]]


class Theatre:
    """All scenes, played in one run of Ansible."""

    def __init__(self, ansible: Ansible, place: Callable[[], Path], stack: contextlib.ExitStack) -> None:
        self.script = place()
        self.script.mkdir()
        own = {name: Simulated(place(), **scene.simulation) for name, scene in SCENES.items() if not scene.shares}
        for pool in own.values():
            stack.callback(pool.stop)
        with ThreadPoolExecutor(4) as together:
            list(together.map(Simulated.start, own.values()))
        self.pools = {name: own[scene.shares or name] for name, scene in SCENES.items()}
        pids = {name: int((pool.socket_dir / "main.pid").read_text()) for name, pool in self.pools.items()}
        with ThreadPoolExecutor(1) as beside:
            shown = beside.submit(self._show, ansible, stack.enter_context(Simulated(place(), **four(stubborn=3))))
            self.run = self._play(ansible)
        self.shown = shown.result()
        self.played = {name: Played(pool, pids[name], self._results(name)) for name, pool in self.pools.items()}

    def _play(self, ansible: Ansible) -> Run:
        for name, scene in SCENES.items():
            if scene.before:
                scene.before(self.pools[name])
            tasks = [placed(task, self.pools[name]) for task in scene.tasks]
            (self.script / f"{name}.json").write_text(json.dumps(tasks))
        events = [
            threading.Thread(target=scene.meanwhile, args=[self.pools[name]], daemon=True)
            for name, scene in SCENES.items()
            if scene.meanwhile
        ]
        for event in events:
            event.start()
        tasks = [{"include_tasks": f"{self.script}/{{{{ inventory_hostname }}}}.json"}]
        play = {"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": tasks}
        hosts = {name: local() for name in SCENES}
        run = ansible.playbook([play], "--forks", "16", inventory=hosts, environment=self._unhurried())
        for event in events:
            event.join(DEADLINE)
        assert "Traceback" not in run.text
        return run

    def _show(self, ansible: Ansible, pool: Simulated) -> Run:
        """A run on a terminal, with lines of progress from one host, and two that shall be silent."""
        tasks = {
            "quiet": placed(wait(clients_min=9, wait_timeout=1, progress=False), self.pools["waits"]),
            "secret": {**placed(wait(clients_min=9, wait_timeout=1), self.pools["waits"]), "no_log": True},
            "loud": placed(
                shutdown(redirect_to=ELSEWHERE, redirect_check=False, drain_timeout=5, on_drain_timeout="continue"),
                pool,
            ),
        }
        play = {
            "hosts": "all",
            "gather_facts": False,
            "strategy": "free",
            "tasks": [{**task, "when": f"inventory_hostname == '{host}'"} for host, task in tasks.items()],
        }
        return Ansible(ansible.folder / "shown").playbook(
            [play], inventory={host: local() for host in tasks}, prefix=TERMINAL, environment=self._unhurried()
        )

    def _unhurried(self) -> dict[str, str]:
        """The strategy "free" looks a thousand times a second whether a host has come further, which takes a core."""
        settings = self.script / "ansible.cfg"
        settings.write_text("[defaults]\ninternal_poll_interval = 0.05\n")
        return {"ANSIBLE_CONFIG": str(settings), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")}

    def _results(self, name: str) -> list[Json]:
        records = [record for record in self.run.records if record.host == name and ".ckpool_" in record.action]
        assert len(records) == len(SCENES[name].tasks), self.run.text
        return [{**record.result, "failed": record.outcome == "failed"} for record in records]


def placed(task: Json, pool: Simulated) -> Json:
    """The task, on a certain pool."""
    where = {"socket_dir": str(pool.socket_dir)}
    return {key: {**value, **where} if key.startswith("ckpool.") else value for key, value in task.items()}


@pytest.fixture(scope="module")
def theatre(ansible: Ansible, place: Callable[[], Path]) -> Iterator[Theatre]:
    with contextlib.ExitStack() as stack:
        try:
            yield Theatre(ansible, place, stack)
        finally:
            for sleeper in SLEEPERS.values():
                sleeper.kill()
                sleeper.wait()


@pytest.fixture(scope="module")
def played(theatre: Theatre) -> dict[str, Played]:
    return theatre.played


# Healthy pools


def test_a_life(played: dict[str, Played]) -> None:
    """Restarted, shut down, down; what check mode says comes true, and only reads are sent by it."""
    scene = played["public"]
    assert scene.outcomes == ["changed", "changed", "changed", "changed", "ok"]
    assert scene.told == ["restart", SENT_THERE, "shutdown"]
    would_restart, restarted, would_end, ended = scene.results[:4]
    assert (would_restart["pid_before"], would_restart["pid_after"]) == (scene.pid, scene.pid)
    assert f"would restart pid {scene.pid} with 4 clients" in would_restart["msg"]
    assert would_restart["phases"] == would_end["phases"] == []
    assert restarted["pid_before"] == scene.pid != restarted["pid_after"]
    assert (restarted["clients_before"], restarted["clients_after"], restarted["obstacles"]) == (4, 4, [])
    assert phases_of(restarted) == ["verify", "handover", "ready", "clients"]
    assert restarted["sever"] == would_restart["sever"] and restarted["sever"] in ("pidfd", "sock_destroy", "dropall")
    assert (restarted["stranded_before"], restarted["stranded_after"]) == (0, 0)
    assert f"would send 4 clients to {ELSEWHERE}, then shut it down" in would_end["msg"]
    assert would_end["diff"] == ended["diff"]
    assert (ended["pid_before"], ended["pid_after"]) == (restarted["pid_after"], None)
    assert (ended["instance"]["state"], ended["forced"], ended["sent_away"]) == ("down", None, 4)
    assert phases_of(ended) == ["verify", "drain", "shutdown"]
    assert [phase["clients"] for phase in ended["phases"]] == [4, 0, None]
    assert scene.pool.pids == []


def test_diffs(played: dict[str, Played]) -> None:
    scene = played["public"]
    would_restart, restarted, ended = (scene.results[number]["diff"] for number in (0, 1, 3))
    new = scene.results[1]["pid_after"]
    assert would_restart == {
        "before": f"state: accepting, 4 clients\npid: {scene.pid}\n",
        "after": "state: accepting, 4 clients\npid: a new one\n",
    }
    assert restarted["after"] == ended["before"] == f"state: accepting, 4 clients\npid: {new}\n"
    assert ended["after"] == "state: down\npid: none\n"
    assert ["diff" in result for result in played["crashes"].results] == [False, False]
    again = scene.results[4]["diff"]
    assert again["before"] == again["after"] == "state: down\npid: none\n"


def test_the_guides_dialect(played: dict[str, Played]) -> None:
    scene = played["guide"]
    ended = scene.results[1]
    assert scene.outcomes == ["ok", "changed"]
    assert scene.told == [SENT_THERE, "shutdown"]
    assert (ended["clients_before"], ended["sent_away"], ended["stats_before"]["source"]) == (4, 3, "guide")


def test_waits(played: dict[str, Played]) -> None:
    scene = played["waits"]
    assert scene.outcomes == ["ok", "ok", "not_reached", "ok", "not_reached", "not_reached"]
    assert scene.told == []
    every, looked, few, stable, alive, not_drained = scene.results
    assert [entry["name"] for entry in every["conditions"]] == [
        "clients", "clients", "users", "workers", "hashrate", "work_age",
    ]  # fmt: skip
    assert every["met"] and (every["clients"], every["stats"]["source"]) == (4, "api")
    assert not looked["met"] and looked["phases"] == [] and "does not hold yet" in looked["msg"]
    assert [entry["met"] for entry in few["conditions"]] == [False, True, False]
    assert re.search(r"clients is 4, not at least 5, hashrate is \d.* [TP]H/s, not at least 2\.00 PH/s", few["msg"])
    assert stable["waited"] >= 2 and looked.get("waited") is None
    assert "state is ok, not down" in alive["msg"]
    assert "clients is 4, not at most 3" in not_drained["msg"]
    assert {result["changed"] for result in scene.results} == {False}


def test_waits_for_work(played: dict[str, Played]) -> None:
    result = played["gets_work"].only
    assert not result["failed"], result["msg"]
    assert result["met"] and result["clients"] == 4


def test_nothing_is_there(played: dict[str, Played]) -> None:
    scene = played["gone"]
    assert scene.outcomes == ["not_reached", "ok", "ok", "ok", "down"]
    assert "state is down, not ready" in scene.results[0]["msg"]
    assert "is down already" in scene.results[2]["msg"]
    assert "systemctl start" in scene.results[4]["hint"]
    assert not scene.pool.socket_dir.exists()


# Pools that are not


def test_some_clients_stay(played: dict[str, Played]) -> None:
    """It fails and the pool runs on; with on_drain_timeout it continues."""
    scene = played["some_stay"]
    kept, ended = scene.results
    assert scene.outcomes == ["drain_timeout", "changed"]
    assert kept["changed"] and (kept["sent_away"], kept["pid_after"]) == (2, scene.pid)
    assert (kept["phase"], kept["state"]) == ("drain", "accepting, 2 clients")
    assert "2 of 4 clients are still there" in kept["msg"] and "on_drain_timeout" in kept["hint"]
    assert (ended["clients_before"], ended["sent_away"]) == (2, 0)
    assert scene.told == [SENT_THERE, "shutdown"]


def test_a_crash_in_mid_drain(played: dict[str, Played]) -> None:
    scene = played["crashes"]
    failed, again = scene.results
    assert scene.outcomes == ["ended", "ok"]
    assert (failed["phase"], failed["changed"], failed["state"]) == ("drain", True, "down")
    assert f"ended by itself: pid {scene.pid} is gone" in failed["msg"]
    ends = scene.pool.log().splitlines()[-len(failed["log_tail"]) :]
    assert failed["log_tail"] == [line[: len(shown)] for line, shown in zip(ends, failed["log_tail"])] != []
    assert "is down already" in again["msg"]


def test_a_hung_pool_is_only_ended_by_force(played: dict[str, Played]) -> None:
    scene = played["hung"]
    refused, restarted, would, ended = scene.results
    assert scene.outcomes == ["hung", "hung", "changed", "changed"]
    assert "its listener does not answer (unanswered)" in refused["msg"]
    assert "force_after" in refused["hint"] and refused["log_tail"]
    assert not refused["changed"] and refused["pid_after"] == scene.pid
    assert "takes no restart" in restarted["msg"] and not restarted["changed"]
    assert "would end its process by signals" in would["msg"]
    assert (ended["forced"], ended["sent_away"], phases_of(ended)) == ("terminate", None, ["verify", "terminate"])
    assert "by SIGTERM" in ended["msg"] and "its listener did not answer" in ended["msg"]
    assert scene.told == []


def test_sigkill_is_the_last_resort(played: dict[str, Played]) -> None:
    result = played["deaf"].only
    assert (result["failed"], result["forced"], result["removed"]) == (False, "kill", [])
    assert phases_of(result) == ["verify", "shutdown", "terminate", "kill"]
    assert "by SIGKILL" in result["msg"]
    assert {path.name for path in played["deaf"].pool.socket_dir.iterdir()} == set(LEFT_BY_CRASH)


def test_a_death_after_the_reply_counts_as_down(played: dict[str, Played]) -> None:
    result = played["dies"].only
    assert (result["failed"], result["instance"]["state"], result["forced"]) == (False, "down", None)
    assert result["removed"] == LEFT_BY_CRASH
    assert phases_of(result) == ["verify", "shutdown", "clean"]
    assert result["diff"]["before"].startswith("state: accepting, 4 clients\n")
    assert result["diff"]["after"] == "state: down\npid: none\nleftovers: none\n"
    assert list(played["dies"].pool.socket_dir.iterdir()) == []


def test_a_process_that_does_not_end(played: dict[str, Played]) -> None:
    left = played["lingers"]
    assert left.outcomes == ["still_running"]
    assert f"pid {left.pid} still runs after" in left.only["msg"] and "force_after" in left.only["hint"]
    assert (left.only["phase"], left.only["changed"], left.only["pid_after"]) == ("shutdown", True, left.pid)
    assert left.pool.pids == [left.pid]


def test_a_restart_that_comes_to_nothing(played: dict[str, Played]) -> None:
    """The process before goes on, and keeps its miners."""
    scene = played["goes_on"]
    failed = scene.only
    assert scene.outcomes == ["no_new_process"]
    assert scene.told == ["restart"]
    assert failed["log_tail"]
    assert (failed["phase"], failed["changed"], failed["pid_after"]) == ("handover", True, scene.pid)
    assert f"the old one, pid {scene.pid}, goes on; the sockets are held by pid {scene.pid} (" in failed["msg"]
    assert failed["state"] == "accepting, 4 clients"
    wait_for(lambda: json.loads(scene.pool.ask("connector", "stats").text)["clients"]["count"] == 4, "its miners")


def test_a_restart_that_leaves_a_copy(played: dict[str, Played]) -> None:
    scene = played["leaves_a_copy"]
    (copy,) = scene.pool.pids
    assert scene.outcomes == ["no_new_process"]
    assert f"pid {scene.pid}, is gone" in scene.only["msg"]
    assert f"the sockets are held by pid {copy} (" in scene.only["msg"]
    # The process that accepts there is not known to be the pool, so nothing is sent to it.
    assert "force_after: 0" in scene.only["hint"] and scene.only["state"] in ("hung", "unknown")
    assert scene.only["log_tail"]
    assert 2 <= scene.only["phases"][-1]["seconds"] < RUN_DEADLINE / 2


def test_clients_that_do_not_come_back(played: dict[str, Played]) -> None:
    result = played["strands"].only
    assert (result["reason"], result["phase"], result["clients_after"]) == ("clients_missing", "clients", 2)
    assert "2 of 4 clients are back" in result["msg"] and "fewer than 75 %" in result["msg"]
    assert result["pid_after"] not in (None, result["pid_before"])
    assert {phase["name"]: phase["seconds"] for phase in result["phases"]}["handover"] >= 2


def test_a_process_of_somebody_else_is_never_touched(played: dict[str, Played]) -> None:
    living, ended = played["lives_under_a_strange_pid"], played["left_a_strange_pid"]
    assert living.outcomes == ["changed", "down"], "the pool is known by its own process"
    assert (living.results[0]["pid_before"], living.results[0]["pid_after"]) == (living.pid, None)
    assert living.pool.pids == []
    assert ended.outcomes == ["changed", "changed"]
    assert [result["removed"] for result in ended.results] == [LEFT_BY_CRASH] * 2
    assert [SLEEPERS[scene.pool.folder].poll() for scene in (living, ended)] == [None, None]


def test_two_shutdowns_at_once(played: dict[str, Played]) -> None:
    one, other = played["one_of_two"].only, played["other_of_two"].only
    assert not one["failed"] and not other["failed"], (one["msg"], other["msg"])
    assert sorted((one["changed"], other["changed"])) == [False, True]
    assert one["instance"]["state"] == other["instance"]["state"] == "down"


def test_what_is_started_again(played: dict[str, Played]) -> None:
    scene = played["comes_back"]
    (new,) = scene.pool.pids
    assert scene.outcomes == ["resurrected"]
    assert f"pid {scene.pid} ended, and was started again as pid {new}" in scene.only["msg"]
    assert (scene.only["phase"], scene.only["changed"], scene.only["pid_after"]) == ("shutdown", True, new)


# Input


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_input(number: int, played: dict[str, Played]) -> None:
    result = played["bad_input"].results[number]
    assert result["failed"] and not result["changed"]
    assert BAD[number][1] in result["msg"]
    assert result.get("phase", "options") == "options"
    assert played["bad_input"].pool.asked() == []


# Progress


def lines_of(run: Run) -> list[tuple[str, str, str, int]]:
    """The lines of progress: host, phase, what there is, seconds."""
    found = (LINE.fullmatch(line) for line in run.output.splitlines())
    return [(match[1], match[2], match[3], int(match[4])) for match in found if match]


def test_no_progress_without_a_terminal(theatre: Theatre) -> None:
    assert lines_of(theatre.run) == []
    assert not re.search(r"^\w+: (drain|shutdown|handover|wait): ", theatre.run.text, re.MULTILINE)


def test_progress_on_a_terminal(theatre: Theatre) -> None:
    """A line when a phase begins to wait, and then one every three seconds."""
    lines = lines_of(theatre.shown)
    assert {line[0] for line in lines} == {"loud"}, theatre.shown.text
    drain = [line for line in lines if line[1] == "drain"]
    assert {line[2] for line in drain[1:]} <= {"3 clients left"}
    seconds = [line[3] for line in drain]
    assert drain and all(later - earlier >= 3 for earlier, later in pairwise(seconds)), drain
    ends = [line for line in lines if line[1] == "shutdown"]  # of which there are several where a look takes long
    assert ends and all(re.fullmatch(r"pid \d+ still runs", end[2]) for end in ends)
    assert all(later[3] - earlier[3] >= 3 for earlier, later in pairwise(ends)), ends
