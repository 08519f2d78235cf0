# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch, with anything that a host may return and a file may hold: no run fails, none says the same twice, and none loses a message."""

from __future__ import annotations

import json
import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch import EVENTS, Limits, Watch
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch_state import BadState, State, read_state
from hypothesis import given
from hypothesis import strategies as st

from ..made import JSON, LEAVES, TEXT, check_numbers, objects

NOW = 1795385464.0
STATES = st.sampled_from(["ok", "hung", "down", "degraded"])
TIMES = st.sampled_from([NOW, NOW - 10, NOW - 1000, NOW - 1e6]) | LEAVES
USERS = st.lists(st.fixed_dictionaries({"user": st.sampled_from("ab") | TEXT, "last_share": TIMES}) | JSON, max_size=3)
WORKERS = st.lists(
    st.fixed_dictionaries({"worker": st.sampled_from(["a.x", "b_y"]) | TEXT, "user": TEXT, "last_share": TIMES}) | JSON,
    max_size=3,
)
BLOCKS = st.lists(
    st.fixed_dictionaries(
        {"time": TIMES, "height": st.integers(1, 3) | LEAVES, "accepted": LEAVES, "worker": TEXT, "reason": LEAVES}
    )
    | JSON,
    max_size=3,
)
POOLS = st.fixed_dictionaries(
    {
        "instance": st.fixed_dictionaries({"name": st.sampled_from("pq") | TEXT, "socket_dir": st.sampled_from("xy") | LEAVES,
                                           "state": STATES | LEAVES, "root": LEAVES, "started": TIMES}) | JSON,
        "summary": objects(["version", "work_age", "hashrate5m", "hashrate1hr"], LEAVES) | JSON,
        "users": USERS | JSON, "workers": WORKERS | JSON, "blocks": BLOCKS | JSON, "as_of": TIMES,
        "sources": objects(["users", "workers", "blocks"], LEAVES) | JSON, "problems": JSON, "failed": LEAVES,
    }
)  # fmt: skip
RESULTS = (
    st.fixed_dictionaries({"instances": st.lists(POOLS, max_size=2)})
    | st.sampled_from([{"unreachable": True, "msg": "x"}])
    | JSON
)
ENDS = {end: begin for begin, end in (events for events in EVENTS.values() if len(events) == 2)}


def looked(text: str, host: str, result: t.Any, now: float, **limits: t.Any) -> Watch:
    """One run, with the state that the one before wrote."""
    watch = Watch(read_state(text), Limits(**limits), ["webhook"], now)
    watch.add(host, result)
    watch.finish({"a", "b"})
    return watch


@given(st.lists(st.tuples(st.sampled_from("ab"), RESULTS), max_size=6))
def test_whatever_hosts_return(looks: t.Sequence[t.Tuple[str, t.Any]]) -> None:
    text, told, begun = State("x").text(), [], set()
    for number, (host, result) in enumerate(looks):
        watch = looked(text, host, result, NOW + 60 * number)
        text = watch.state.text()
        told += [edge.id for edge in watch.edges]
        for edge in watch.edges:
            assert edge.text.isprintable()
            check_numbers(json.loads(json.dumps(edge.payload())))
            key = (edge.host, edge.socket_dir, edge.pool, *map(str, edge.facts.get("names", ())))
            if edge.event in ENDS.values():
                begun.add((edge.event, edge.host))
            elif edge.event in ENDS:
                assert (ENDS[edge.event], edge.host) in begun, key
    assert len(told) == len(set(told))
    assert [message.id for message in read_state(text).outbox] == told
    assert read_state(text).text() == text


@given(RESULTS, RESULTS)
def test_the_same_look_twice_is_no_change(first: t.Any, second: t.Any) -> None:
    """Once a look has told everything, which takes as many of them as a pool may fail, looks that find the same tell nothing."""
    text = looked(State("x").text(), "a", first, NOW).state.text()
    for _look in range(2):
        text = looked(text, "a", second, NOW + 1000).state.text()
    watch = looked(text, "a", second, NOW + 1000)
    assert [edge.text for edge in watch.edges] == []


@given(JSON | objects(["format", "id", "next", "pools", "outbox"]))
def test_whatever_a_file_holds(value: t.Any) -> None:
    try:
        state = read_state(json.dumps(value))
    except BadState as exc:
        assert str(exc)
    else:
        assert read_state(state.text()) == state


PARTS: t.List[Json] = []
for _number in range(2):
    _watch = looked(
        State("x").text() if not _number else json.dumps(PARTS[-1]), "a", {"unreachable": True, "msg": "x"}, NOW
    )
    PARTS.append(json.loads(_watch.state.text()))


@given(st.data(), JSON)
def test_one_value_of_a_file_is_wrong(data: st.DataObject, value: t.Any) -> None:
    """It is refused, or it does no harm in the next run."""
    state = json.loads(json.dumps(PARTS[-1]))
    record = data.draw(st.sampled_from([state, state["pools"][0], state["outbox"][0]]))
    record[data.draw(st.sampled_from(sorted(record)))] = value
    try:
        text = read_state(json.dumps(state)).text()
    except BadState:
        return
    watch = looked(text, "a", {"instances": []}, NOW + 60)
    assert read_state(watch.state.text())
