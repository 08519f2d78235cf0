# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look, one state: all modules give the same state for any combination of sockets and process."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.gather import Options
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._health import judge
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import SOCKETS, Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._observation import Observation, Probe
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._state import GARBAGE, reached_state

from tests.support import DEADLINE, FakeSocket, answers, framed, silent
from tests.support.instances import instance_of_ours

COUNTS = {"workbases": {"count": 3, "generated": 3}, "clients": {"count": 1}}
OUTCOMES = ("reply", "garbage", "unanswered", "no_reply", "refused", "absent", "not_permitted", "another_peer")
PROCESSES = ("alive", "dead", "another", "hidden", "absent")
STATES = ("ok", "degraded", "starting", "hung", "down", "unknown")


def seen_as(outcomes: t.Sequence[str], process: str, **more: t.Any) -> Observation:
    probes = {name: Probe(name, outcome, 0.001) for name, outcome in zip(SOCKETS, outcomes)}
    return Observation(1e9, "pool", 7, process, 5000.0, probes=probes, counts=COUNTS, **more)


@pytest.mark.parametrize("process", PROCESSES)
def test_no_combination_is_ok_but_that_of_four_answers_and_a_known_process(process: str) -> None:
    for outcomes in itertools.product(OUTCOMES, repeat=4):
        seen = seen_as(outcomes, process)
        state = reached_state(seen)
        assert state in STATES
        is_whole = set(outcomes) == {"reply"} and process in ("alive", "hidden")
        assert (state == "ok") == is_whole, (outcomes, process)
        verdict = judge(seen)
        assert verdict.state == state or (verdict.state, state) == ("degraded", "ok")
        assert is_whole or verdict.status != "ok", (outcomes, process)


@pytest.mark.parametrize(
    ("outcomes", "process", "state"),
    [
        (("refused", "refused", "reply", "reply"), "alive", "degraded"),
        (("refused", "reply", "reply", "reply"), "alive", "degraded"),
        (("reply", "reply", "reply", "unanswered"), "alive", "degraded"),
        (("reply", "reply", "reply", "reply"), "absent", "degraded"),
        (("reply", "reply", "reply", "reply"), "another", "degraded"),
        (("reply", "unanswered", "reply", "reply"), "alive", "hung"),
        (("unanswered",) * 4, "alive", "hung"),
        (("refused",) * 4, "dead", "down"),
        (("absent",) * 4, "absent", "down"),
        (("absent",) * 4, "alive", "unknown"),
        (("garbage",) * 4, "alive", "unknown"),
        (("another_peer",) * 4, "dead", "unknown"),
        (("not_permitted",) * 4, "alive", "unknown"),
    ],
)
def test_states(outcomes: t.Sequence[str], process: str, state: str) -> None:
    assert reached_state(seen_as(outcomes, process, stats_written=1e9)) == state


def test_a_process_that_answers_its_counts_with_nonsense_is_degraded() -> None:
    seen = seen_as(["reply"] * 4, "alive")
    seen.garbage["stratifier"] = "'{}'"
    assert reached_state(seen) == "degraded"
    check = next(check for check in judge(seen).checks if check.name == "socket_stratifier")
    assert (check.status, check.reason) == ("critical", "garbage")


@contextlib.contextmanager
def sockets_as(home: Path, outcomes: t.Sequence[str]) -> t.Iterator[None]:
    """Real sockets that end in these outcomes."""
    with contextlib.ExitStack() as stack:
        for name, outcome in zip(SOCKETS, outcomes):
            path = home / name
            stack.callback(path.unlink, missing_ok=True)
            if outcome == "refused":
                with socket.socket(socket.AF_UNIX) as left:
                    left.bind(str(path))
            elif outcome != "absent":
                stack.enter_context(FakeSocket(str(path), SCRIPTS[outcome]))
        yield


SCRIPTS: t.Dict[str, t.Any] = {
    "reply": answers({"ping": "pong", "stats": COUNTS}),
    "garbage": framed(b"unknown"),
    "no_reply": b"",
    "unanswered": silent,
}


def states_of(instance: Instance) -> t.Dict[str, str]:
    """The state that each way of looking says."""
    how: t.Dict[str, t.Any] = {"source": "auto", "timeout": DEADLINE, "max_reply": 1000000}
    pool = Pool(instance, **how)

    def by(question: t.Callable[[], t.Any]) -> str:
        try:
            return str(question().state)
        except PoolError as exc:
            return str(exc.facts["state"])

    _verdict, seen = pool.health()
    return {
        "health": seen.state,
        "look": Control(instance, **how).look().state,
        "info": Pool(instance, **how).gather(Options(["stats"])).state,
        **{name: by(getattr(pool, name)) for name in ("stats", "users", "workers", "blocks", "workbase")},
    }


@pytest.mark.parametrize("stratifier", ["reply", "garbage", "no_reply", "refused", "absent"])
@pytest.mark.parametrize("process", ["alive", "dead"])
def test_every_way_of_looking_says_the_same_word(home: Path, stratifier: str, process: str) -> None:
    for others in itertools.product(("reply", "refused", "garbage"), repeat=3):
        outcomes = (others[0], stratifier, *others[1:])
        with sockets_as(home, outcomes):
            more = {} if process == "alive" else {"pid": 2**22 + 1, "pid_state": "dead", "start_ticks": None}
            states = states_of(instance_of_ours(home, log_dir=str(home), start_time=1.0, **more))
            assert len(set(states.values())) == 1, (outcomes, process, states)


@pytest.mark.parametrize(
    "outcomes", [("unanswered", "unanswered", "reply", "reply"), ("reply", "unanswered", "reply", "reply")]
)
def test_they_agree_on_what_hangs(home: Path, outcomes: t.Sequence[str], given_up_soon: t.Callable[..., None]) -> None:
    given_up_soon(*(name for name, outcome in zip(SOCKETS, outcomes) if outcome == "unanswered"))
    with sockets_as(home, outcomes):
        assert len(set(states_of(instance_of_ours(home, log_dir=str(home), start_time=1.0)).values())) == 1


def test_a_socket_that_links_to_another_pool_s_is_not_asked(home: Path) -> None:
    """The peer must be the process of the instance: here it is another."""
    with sockets_as(home, ["reply"] * 4):
        instance = Instance(str(home), "ckpool", pid=1, pid_state="alive", start_ticks=0)
        assert set(states_of(instance).values()) == {"unknown"}
        verdict, seen = Pool(instance).health()
        assert verdict.status == "critical"
        assert {probe.outcome for probe in seen.probes.values()} == {"another_peer"}


@pytest.mark.parametrize("reply", ["unknown", '{"error": 404}', "[]", '"pong"'])
def test_counts_that_are_none_are_named(home: Path, monkeypatch: pytest.MonkeyPatch, reply: str) -> None:
    """Every ckpool answers with counts on its stratifier: anything else is not a ckpool, even if it answers a ping."""
    monkeypatch.setitem(SCRIPTS, "odd", answers({"ping": "pong", "stats": reply}))
    (home / "pool").mkdir()
    status = ({"runtime": 60, "lastupdate": int(time.time()), "Workers": 1}, {"hashrate1m": "1T"}, {"accepted": 1})
    (home / "pool" / "pool.status").write_text("".join(f"{json.dumps(line)}\n" for line in status))
    with sockets_as(home, ["reply", "odd", "reply", "reply"]):
        instance = instance_of_ours(home, log_dir=str(home), start_time=1.0)
        assert set(states_of(instance).values()) == {"degraded"}
        answer = Pool(instance).stats()
        assert answer.source == "files" and "'stats'" in answer.problems["stratifier_stats"]
        with pytest.raises(PoolError) as caught:
            Pool(instance, source="guide").stats()
        assert caught.value.reason in GARBAGE and caught.value.phase in ("ask", "parse")
        verdict, _seen = Pool(instance).health()
        (check,) = (check for check in verdict.checks if check.name == "socket_stratifier")
        assert (check.status, check.reason) == ("critical", "garbage")
