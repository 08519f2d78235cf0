# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources: which there are, and which one answers."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError, Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._options import COMMON_OPTIONS
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.registry import (
    CHOICES,
    LIVE,
    LOG_SOURCE,
    STORED,
    Sources,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.source import Source

from tests.support import FakeSocket, answers
from tests.support.instances import instance_of_ours

COUNTS = {"workbases": {"count": 3, "memory": 0, "generated": 3}}
GUIDE = {"hashrate1m": 1.5}


def sources_at(home: Path, wanted: str = "auto") -> Sources:
    """The sources of an instance of which the stratifier answers at most."""
    instance = instance_of_ours(home, log_dir=str(home))
    sockets = Sockets(instance, 1.0)
    return Sources(instance, sockets, functools.partial(sockets.counts, "stratifier"), wanted)


# Which there are


@pytest.mark.parametrize("name", [*LIVE, *STORED])
def test_a_source_is_registered_by_its_own_name(name: str) -> None:
    made = {**LIVE, **STORED}[name]()
    assert issubclass(made, Source) and made.name == name
    assert made.gives <= {"stats", "users", "workers", "blocks", "workbase"} and "stats" in made.gives


def test_the_best_source_comes_first_and_the_log_belongs_to_one() -> None:
    assert ("auto", *LIVE, *STORED) == CHOICES and list(LIVE)[:2] == ["guide", "api"]
    assert LOG_SOURCE in STORED


def test_a_daemon_that_answers_nonsense_is_asked_what_it_speaks_only_once(home: Path) -> None:
    with FakeSocket(str(home / "stratifier"), answers({"stats": COUNTS, "poolstats": "garbage"})) as fake:
        sources = sources_at(home)
        assert [sources.live() for _twice in range(2)] == [None, None]
    assert fake.messages == ["stats", "poolstats"]


@pytest.mark.parametrize("name", [*LIVE, *STORED])
def test_a_source_defines_what_it_says_it_gives(name: str) -> None:
    made = {**LIVE, **STORED}[name]()
    for question in made.gives:
        assert getattr(made, question) is not getattr(Source, question), question
    needed = {"clients": made.lists_clients, "drop_user": made.drops_users, "set_level": bool(made.level_socket)}
    for method, is_needed in needed.items():
        assert (getattr(made, method) is not getattr(Source, method)) == is_needed, method


# Which one the daemon speaks


@pytest.mark.parametrize(
    ("replies", "name"),
    [
        ({"stats": COUNTS}, None),
        ({"stats": COUNTS, "poolstats": {"dsps1": 1}}, "api"),
        ({"stats": GUIDE}, "guide"),
        ({"stats": {"hashrate5m": 1}}, "guide"),
        ({"stats": GUIDE, "poolstats": {"dsps1": 1}}, "guide"),
        ({}, None),
        ({"stats": COUNTS, "poolstats": "unknown"}, None),
    ],
    ids=range(7),
)
def test_the_source_that_a_build_speaks(home: Path, replies: t.Dict[str, t.Any], name: t.Optional[str]) -> None:
    with FakeSocket(str(home / "stratifier"), answers(replies)) as fake:
        sources = sources_at(home)
        found = [sources.live() for _twice in range(2)]
        assert [source and source.name for source in found] == [name, name]
        assert set(fake.messages) <= {"stats", "poolstats"}
        assert "stats" not in replies or fake.messages.count("stats") == 1, "it is asked once"


@pytest.mark.parametrize("reply", ["unknown", "", "[]", "5"])
def test_a_build_with_another_answer_to_poolstats_speaks_nothing_that_is_known(home: Path, reply: str) -> None:
    with FakeSocket(str(home / "stratifier"), answers({"stats": COUNTS, "poolstats": reply})):
        source, failures = sources_at(home).ask("stats", lambda source: None)
        assert source is not None and source.name == "files"
        assert list(failures) == ["api"] and isinstance(failures["api"], Unparsable)


def test_a_source_that_was_named_is_taken_for_granted(home: Path) -> None:
    for name in LIVE:
        source = sources_at(home, name).live()
        assert source is not None and source.name == name
    assert sources_at(home, "files").live() is None


# Which one answers


def asked(sources: Sources, question: str, failing: t.Container[str] = ()) -> t.List[t.Optional[str]]:
    """The sources that are asked, in order, where some fail; the last is the one that answered, if one did."""
    names: t.List[t.Optional[str]] = []

    def work(source: Source) -> None:
        names.append(source.name)
        if source.name in failing:
            raise PoolError("no")

    source, failures = sources.ask(question, work)
    assert (source.name if source else None) == next((name for name in names if name not in failing), None)
    assert [name for name in failures if name in names] == [name for name in names if name in failing]
    return names


@pytest.mark.parametrize(
    ("replies", "question", "failing", "names"),
    [
        ({"stats": GUIDE}, "users", (), ["guide"]),
        ({"stats": GUIDE, "poolstats": {"dsps1": 1}}, "users", ("guide",), ["guide", "files"]),
        ({"stats": COUNTS, "poolstats": {"dsps1": 1}}, "users", (), ["api"]),
        ({"stats": COUNTS}, "users", (), ["files"]),
        ({"stats": COUNTS}, "users", ("files",), ["files"]),
        ({}, "stats", (), ["files"]),
        ({"stats": GUIDE}, "blocks", (), ["files"]),
        ({"stats": GUIDE}, "workbase", (), ["guide"]),
        ({"stats": GUIDE}, "workbase", ("guide",), ["guide"]),
        ({"stats": COUNTS}, "workbase", (), ["api"]),  # every build with a bitcoind gives a template
    ],
    ids=range(10),
)
def test_the_best_source_answers_and_what_is_stored_stands_in_for_it(
    home: Path, replies: t.Dict[str, t.Any], question: str, failing: t.Sequence[str], names: t.List[str]
) -> None:
    with FakeSocket(str(home / "stratifier"), answers(replies)):
        assert asked(sources_at(home), question, failing) == names


@pytest.mark.parametrize("name", CHOICES[1:])
def test_only_the_source_that_was_named_is_asked(home: Path, name: str) -> None:
    with FakeSocket(str(home / "stratifier"), answers({"stats": GUIDE, "poolstats": {"dsps1": 1}})):
        assert asked(sources_at(home, name), "stats") == [name]
        assert asked(sources_at(home, name), "stats", (name,)) == [name]
        assert sources_at(home, name).asks_the_daemon == (name in LIVE)
    assert asked(sources_at(home, "guide"), "blocks") == asked(sources_at(home, "files"), "workbase") == []


def test_why_nobody_answers_is_told_by_each(home: Path) -> None:
    source, failures = sources_at(home).ask("stats", lambda source: source.stats() and None)
    assert source is None and list(failures) == ["guide", "api", "files"]
    assert "stratifier does not exist" in str(failures["guide"]) and "pool.status" in str(failures["files"])


# What the user can choose


def test_the_options_offer_every_source_that_is_registered() -> None:
    assert COMMON_OPTIONS["source"] == {"type": "str", "default": "auto", "choices": list(CHOICES)}
