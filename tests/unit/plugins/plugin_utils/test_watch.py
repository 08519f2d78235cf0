# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a watch remembers and what its hosts returned to edges: each once, none lost, and none at the first look."""

from __future__ import annotations

import json
import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch import EVENTS, Limits, Watch
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch_state import BadState, State, read_state

NOW = 1795385464.0
LOST = {"unreachable": True, "msg": "no route to host"}
EMPTY: Json = {"instances": [], "changed": False, "msg": "no ckpool runs on this host"}


def pool(state: str = "ok", name: str = "solo", **changes: t.Any) -> Json:
    """What C(ckpool_info) returns of one pool."""
    place = changes.pop("socket_dir", f"/run/{name}")
    instance = {"name": name, "socket_dir": place, "state": state, "mode": "pool", "root": "/", "started": NOW - 1e6}
    summary = {
        "version": "0.9.9",
        "work_age": 4.0,
        "hashrate5m": 100.0,
        "hashrate1hr": 100.0,
        **changes.pop("summary", {}),
    }
    instance.update(changes.pop("instance", {}))
    return {"instance": instance, "summary": summary, "blocks": [], "users": [], "workers": [], "as_of": NOW,
            "sources": {"summary": "files", "users": "files", "workers": "files", "blocks": "log"}, "problems": {}, **changes}  # fmt: skip


def host(*pools: Json) -> Json:
    return {"instances": list(pools), "changed": False}


def people(**ages: float) -> Json:
    """Users with one worker each, by the age of their last share."""
    users = [{"user": name, "last_share": NOW - age} for name, age in ages.items()]
    return {"users": users, "workers": [{"worker": f"{row['user']}.a", **row} for row in users]}


def block(height: t.Optional[int] = 850001, time: float = NOW - 100, **more: t.Any) -> Json:
    usual = {"hash": None, "worker": "bc1q.rig", "accepted": True, "reason": None, "effort": 85.5, "difficulty": 1.0}
    return {"time": time, "height": height, **usual, **more}


class Runs:
    """Runs of a watch, one after the other, each with the state that the one before wrote."""

    def __init__(self, **limits: t.Any) -> None:
        self.limits = Limits(**limits)
        self.text = State("x").text()
        self.now = NOW
        self.texts: t.List[str] = []

    def look(self, fleet: t.Mapping[str, t.Any], after: float = 60, **more: t.Any) -> t.List[str]:
        """The events of one run."""
        self.now += after
        watch = Watch(read_state(self.text), self.limits, ["webhook"], self.now)
        forget = more.get("forget", ())
        for name, result in fleet.items():
            watch.add(name, result, forget)
        watch.finish(more.get("inventory", {"a", "b"}), forget)
        self.text, self.last = watch.state.text(), watch
        self.texts = [edge.text for edge in watch.edges]
        return [edge.event for edge in watch.edges]

    def each(self, *looks: Json, after: float = 60) -> t.List[t.List[str]]:
        """The events of several runs on one pool."""
        return [self.look({"a": host(found)}, after) for found in looks]


@pytest.mark.parametrize(
    "failure", [host(pool("hung")), host(pool("down")), LOST, EMPTY, {"failed": True, "msg": "no Python"}, "odd"]
)
def test_a_pool_is_down_after_two_failed_looks_and_recovers_once(failure: t.Any) -> None:
    runs = Runs()
    fleet = [host(pool()), failure, host(pool()), failure, failure, failure, host(pool()), host(pool())]
    events = [runs.look({"a": each}) for each in fleet]
    assert events == [[], [], [], [], ["pool_down"], [], ["pool_recovered"], []]


@pytest.mark.parametrize("failure", [LOST, EMPTY, host(pool("hung"))])
def test_what_is_down_at_the_first_look_is_told(failure: t.Any) -> None:
    runs = Runs()
    assert [runs.look({"a": each}) for each in (failure, failure, failure)] == [[], ["pool_down"], []]
    assert runs.look({"a": host(pool())}) == ["pool_recovered"]
    assert runs.look({"a": host(pool())}) == []


@pytest.mark.parametrize(("after", "told"), [(11, "11 s"), (59, "59 s"), (90, "2 min")])
def test_how_long_it_was_down(after: float, told: str) -> None:
    runs = Runs()
    for _look in range(2):
        runs.look({"a": host(pool("down"))})
    runs.look({"a": host(pool())}, after)
    assert f"answers again, {told} after it was told to be down" in runs.texts[0]


def test_the_reason_and_what_fails_already() -> None:
    runs = Runs()
    runs.look({"a": host(pool())})
    runs.look({"a": LOST})
    assert runs.last.failing == ["a: solo (/run/solo): unreachable: no route to host"]
    runs.look({"a": LOST})
    (text,) = runs.texts
    assert text.startswith("a: solo (/run/solo) is down after 2 failed looks, last seen 2026-")
    assert text.endswith(": unreachable: no route to host")


def test_hosts_that_were_left_out_stay_as_they_are() -> None:
    runs = Runs()
    runs.look({"a": host(pool()), "b": host(pool())})
    runs.look({"a": host(pool()), "b": LOST})
    before = [row for row in json.loads(runs.text)["pools"] if row["host"] == "b"]
    assert runs.look({"a": host(pool())}) == []
    assert runs.look({"a": host(pool()), "b": {"skipped": True}}) == []
    assert runs.last.kept == ["b"]
    assert [row for row in json.loads(runs.text)["pools"] if row["host"] == "b"] == before
    assert runs.look({"a": host(pool()), "b": LOST}) == ["pool_down"]


def test_a_pool_that_is_gone_is_down_until_it_is_forgotten() -> None:
    runs = Runs()
    both, one = host(pool(), pool(name="two")), host(pool())
    assert [runs.look({"a": each}) for each in (both, one, one, one)] == [[], [], ["pool_down"], []]
    assert runs.look({"a": one}, forget=["a:solo", "b"]) == []
    assert not runs.last.forgotten
    assert runs.look({"a": one}, forget=["a:two"]) == []
    assert runs.last.forgotten == ["a: two (/run/two)"]
    assert runs.look({"a": both}) == []


def test_a_host_that_left_the_inventory() -> None:
    runs = Runs()
    runs.look({"a": host(pool()), "b": host(pool())})
    assert [runs.look({"a": host(pool())}, inventory={"a"}) for _run in range(3)] == [[], ["pool_down"], []]
    assert "no longer in the inventory" in runs.last.failing[0]


def test_an_ended_pool_keeps_its_name() -> None:
    """Its directory may be all that is left, which has another name."""
    runs = Runs()
    events = runs.each(pool(), *[pool("down", name="dir", socket_dir="/run/solo")] * 2)
    assert events == [[], [], ["pool_down"]]
    assert "a: solo (/run/solo)" in runs.texts[0]


def test_pools_in_containers_are_told_apart() -> None:
    inside = [
        pool(name=name, socket_dir="/tmp/x", instance={"root": f"/proc/{number}/root"})
        for number, name in enumerate("pq")
    ]
    runs = Runs()
    runs.look({"a": host(*inside)})
    inside[1]["instance"]["state"] = "hung"
    runs.look({"a": host(*inside)})
    assert runs.look({"a": host(*inside)}) == ["pool_down"]
    assert "a: q (" in runs.texts[0]


def test_blocks() -> None:
    runs = Runs()
    first, second = block(), block(850002, NOW + 100, worker="x\n\x1b[2Jy", accepted=False, reason="high-hash")
    pending = block(850003, NOW + 300, accepted=None)
    events = runs.each(
        pool(blocks=[first]), pool(blocks=[first]), pool(blocks=[second, first]), pool(blocks=[second, first]),
        pool(blocks=[pending, second]), pool(blocks=[{**pending, "accepted": True}, second]), pool(blocks=[pending, second]),
    )  # fmt: skip
    assert events == [[], [], ["block_found"], [], [], ["block_found"], []]


def test_a_block_in_words() -> None:
    runs = Runs()
    runs.each(pool(), pool(blocks=[block(worker="x\n\x1b[2J{{ 7 }}")]))
    text = runs.texts[0]
    assert "found block 850001 at 2026-" in text
    assert "by x\\x0a\\x1b[2J{{ 7 }}: accepted, effort 85.5 %" in text
    runs.each(pool(blocks=[block(850002, NOW, accepted=False, reason="high-hash")]))
    assert ": REJECTED (high-hash)" in runs.texts[0]
    assert runs.last.edges[0].severity == "warning"


def test_a_block_is_told_late_rather_than_never() -> None:
    """The pool was away for three days, and found one on the first."""
    runs = Runs()
    runs.look({"a": host(pool())})
    day = 86400.0
    runs.look({"a": LOST}, after=3 * day)
    assert runs.look({"a": host(pool(blocks=[block(time=NOW + 5000)]))}) == ["block_found"]


def test_an_old_block_that_appears_is_not_news() -> None:
    runs = Runs()
    assert runs.each(pool(blocks=[block()]), pool(blocks=[block(), block(700000, NOW - 1e7)])) == [[], []]


def test_a_block_whose_time_shifts_is_the_same() -> None:
    runs = Runs()
    assert runs.each(pool(), pool(blocks=[block()]), pool(blocks=[block(time=NOW - 3700)])) == [[], ["block_found"], []]


def test_hashrate() -> None:
    runs = Runs()
    rates = [(100, 100), (49, 100), (49, 60), (60, 55), (74, 60), (75, 60), (76, 60)]
    events = runs.each(*(pool(summary={"hashrate5m": rate, "hashrate1hr": usual}) for rate, usual in rates))
    assert events == [[], ["hashrate_drop"], [], [], [], ["hashrate_recovered"], []]


def test_a_hashrate_that_stays_low_becomes_usual() -> None:
    runs = Runs()
    low = pool(summary={"hashrate5m": 10, "hashrate1hr": 10})
    events = runs.each(pool(summary={"hashrate5m": 10, "hashrate1hr": 100}), low, low, low, after=43000)
    assert events == [["hashrate_drop"], [], [], ["hashrate_recovered"]]
    assert "usual now" in runs.texts[0]


def test_a_hashrate_after_a_restart_says_nothing_yet() -> None:
    runs = Runs()
    low = pool(summary={"hashrate5m": 1, "hashrate1hr": 100})
    assert runs.each(pool(), pool("hung"), low, low) == [[]] * 4
    assert runs.each(low, after=1000) == [["hashrate_drop"]]


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    """What was remembered by a clock that was a year ahead would otherwise be waited for all that time."""
    runs = Runs()
    year = 365 * 86400.0
    low = pool(summary={"hashrate5m": 1, "hashrate1hr": 100}, **people(ann=5000))
    assert runs.each(pool(**people(ann=3)), pool("hung")) == [[], []]
    assert runs.each(pool(**people(ann=3)), after=year) == [[]]
    assert runs.each(low, after=-year) == [[]]
    assert runs.each(low, after=1000) == [["hashrate_drop", "user_idle"]]
    assert runs.each(low, low) == [[], []]


def test_a_hashrate_that_dropped_by_a_clock_that_was_set_back_becomes_usual() -> None:
    runs = Runs()
    year = 365 * 86400.0
    low = pool(summary={"hashrate5m": 1, "hashrate1hr": 100})
    assert runs.each(pool()) == [[]]
    assert runs.each(low, after=year) == [["hashrate_drop"]]
    assert runs.each(low, after=-year) == [[]]
    assert runs.each(low, after=86460) == [["hashrate_recovered"]]


def test_work_and_version() -> None:
    runs = Runs()
    new = pool(summary={"version": "1.0"})
    old = pool(summary={"work_age": 301})
    unknown = pool(summary={"work_age": None, "version": None})
    events = runs.each(pool(), old, unknown, old, pool(), new, unknown, new)
    assert events == [[], ["work_stale"], [], [], ["work_recovered"], ["version_changed"], [], []]


def test_users_and_workers() -> None:
    runs = Runs()
    events = runs.each(
        pool(**people(ann=10, bob=5000)), pool(**people(ann=10, bob=5000)), pool(**people(ann=901, bob=5000)),
        pool(**people(ann=950, bob=5000)), pool(**people(ann=3, bob=3)), pool(**people(ann=3)), pool(**people(ann=3)),
        pool(**people(ann=3, bob=3)),
    )  # fmt: skip
    assert events == [[], [], ["user_idle"], [], ["user_back"], ["user_idle"], [], ["user_back"]]


def test_a_worker_alone() -> None:
    runs = Runs()
    both = people(ann=10)
    both["workers"].append({"worker": "ann.b", "user": "ann", "last_share": NOW - 5})
    one = {**both, "workers": [both["workers"][1]]}
    assert runs.each(pool(**both), pool(**one), pool(**one), pool(**both)) == [[], ["worker_idle"], [], ["worker_back"]]


def test_many_are_one_message() -> None:
    runs = Runs()
    names = [f"u{number}" for number in range(200)]
    assert runs.each(pool(**people(**dict.fromkeys(names, 1))), pool(**people(**dict.fromkeys(names, 9e4)))) == [
        [],
        ["user_idle"],
    ]
    assert "200 users sent no share for 15 min, or left: u0, u1, u10, u100, u101 and 195 more" in runs.texts[0]


def test_nobody_is_idle_because_the_pool_was_away() -> None:
    runs = Runs()
    idle = pool(**people(ann=2000))
    assert runs.each(pool(**people(ann=1)), pool("hung"), idle, pool(**people(ann=1))) == [[]] * 4
    fresh = pool(**people(ann=2000), instance={"started": NOW - 100})
    assert runs.each(fresh, pool(**people(ann=1))) == [[], []]
    assert runs.each(idle, after=2000) == [["user_idle"]]


def test_chosen_users_and_kinds() -> None:
    runs = Runs(users=["bob"], kinds=["user"])
    events = runs.each(pool(**people(ann=1, bob=1)), pool(**people(ann=999), summary={"version": "2"}))
    assert events == [[], ["user_idle"]]
    assert "user bob" in runs.texts[0]


def test_data_that_is_missing_is_told() -> None:
    runs = Runs()
    blind = pool(blocks=None, sources={"summary": "files", "blocks": None}, problems={"blocks": "not permitted"})
    assert runs.each(pool(), blind, blind, blind, pool(), pool()) == [[], [], ["data_missing"], [], ["data_back"], []]
    assert runs.each(*[pool(users=None, sources={"users": None}, instance={"mode": "passthrough"})] * 3) == [[]] * 3


def test_unknown_people_stay_as_they_are() -> None:
    runs = Runs()
    unknown = pool(users=None, workers=None)
    assert runs.each(pool(**people(ann=1)), unknown, unknown, pool(**people(ann=1)), pool(**people(ann=950))) == [
        []
    ] * 4 + [["user_idle"]]


def test_ids_are_never_used_twice() -> None:
    runs, ids = Runs(), []
    for number in range(6):
        runs.look({"a": host(pool(summary={"version": str(number)}))})
        ids += [edge.id for edge in runs.last.edges]
    assert len(ids) == len(set(ids)) == 5
    assert [message.id for message in read_state(runs.text).outbox] == ids


def test_every_event_has_a_kind() -> None:
    events = [event for of_kind in EVENTS.values() for event in of_kind]
    assert len(events) == len(set(events))


# The file


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[]", "not the state of a watch"),
        ('{"fleet": []}', "not the state of a watch"),
        ('{"outbox": [], "format": 2}', "another version"),
        ('{"outbox": [], "format": 1}', "has not the fields"),
        (State("x").text().replace('"next": 1', '"next": -1'), "next of it is wrong"),
        (State("x").text().replace('"next": 1', '"next": NaN'), "not JSON"),
        (State("x").text().replace('"pools": []', '"pools": [7]'), "a pool has not the fields"),
    ],
)
def test_a_broken_file_is_named(text: str, why: str) -> None:
    with pytest.raises(BadState, match=why):
        read_state(text)


def test_every_part_of_a_file_that_was_cut_off_is_refused() -> None:
    runs = Runs()
    runs.each(pool(**people(ann=1), blocks=[block()]), *[pool("hung")] * 2)
    for end in range(len(runs.text) - 1):
        with pytest.raises(BadState):
            read_state(runs.text[:end])
    assert read_state(runs.text).text() == runs.text


def test_names_that_change_all_day_are_forgotten_in_time() -> None:
    """Miners choose them, and a state without bounds is too large to be read one day."""
    runs = Runs(kinds=["worker"])
    for day in range(6):
        workers = [{"worker": f"bc1q.{day}-{n}", "user": "bc1q", "last_share": NOW + day * 1000} for n in range(15_000)]
        runs.look({"a": host(pool(workers=workers, as_of=NOW + day * 1000))}, 1000)
    known = json.loads(runs.text)["pools"][0]["workers"]
    assert len(known) == 40_000
    assert [sum(name.startswith(f"bc1q.{day}-") for name in known) for day in (0, 3, 4, 5)] == [
        0,
        10_000,
        15_000,
        15_000,
    ]


@pytest.mark.parametrize(
    ("failure", "state"),
    [(host(pool("hung")), "hung"), (LOST, "unreachable"), ({"failed": True, "msg": "no"}, "failed"), (EMPTY, "gone"),
     (host(pool(failed=True, msg="no")), "failed"), (host(pool(name="two")), "gone")],
)  # fmt: skip
def test_what_a_pool_that_is_down_is_instead(failure: Json, state: str) -> None:
    runs = Runs()
    runs.look({"a": host(pool())})
    runs.look({"a": failure})
    runs.look({"a": failure})
    assert [edge.facts["state"] for edge in runs.last.edges if edge.event == "pool_down"] == [state]
