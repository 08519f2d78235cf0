# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that queries a result with JMESPath."""

from __future__ import annotations

import datetime
import importlib
import itertools
import time
import typing as t
from collections.abc import Mapping, Sequence

import pytest

pytest.importorskip("ansible.errors")
pytest.importorskip("jmespath")

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.ckpool.fleet.plugins.filter.ckpool_query import FilterModule, ckpool_query
from jinja2 import StrictUndefined, UndefinedError

NOW = 1000.5
POOL: t.Dict[str, t.Any] = {
    "as_of": 990,
    "users": [
        {"user": "a", "hashrate1m": 1e6, "last_share": 900, "workers": [{"worker": "a.1", "hashrate1m": 0.0}]},
        {"user": "b", "hashrate1m": None, "last_share": None, "workers": []},
        {"user": "c", "hashrate1m": 2e9, "last_share": 1000, "workers": [{"worker": "c.1", "hashrate1m": 2e9}]},
    ],
    "raw": [{"runtime": 1}, {"hashrate1m": "38.5M"}],
}


class Text(str):
    """A text that knows more than its letters, as Ansible's do."""


class Number(int):
    """Likewise."""


class Real(float):
    """Likewise."""


class Map(Mapping[str, t.Any]):
    """A mapping that is no dict."""

    def __init__(self, **items: t.Any) -> None:
        self._items = items

    def __getitem__(self, key: str) -> t.Any:
        return self._items[key]

    def __iter__(self) -> t.Iterator[str]:
        return map(Text, self._items)

    def __len__(self) -> int:
        return len(self._items)


class LazyDict(t.Dict[str, t.Any]):
    """A dict with other values than its C code sees."""

    def __getitem__(self, key: str) -> t.Any:
        return f"read {key}"


class LazyList(t.List[t.Any]):
    """A list with other values than its C code sees."""

    def __iter__(self) -> t.Iterator[t.Any]:
        return iter(["read"])


class Vaulted(Sequence[str]):
    """A text that is not a str."""

    def __getitem__(self, index: t.Any) -> t.Any:
        return "secret"[index]

    def __len__(self) -> int:
        return 6

    def __str__(self) -> str:
        return "secret"

    def casefold(self) -> str:
        return "secret"


def test_it_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"ckpool_query": ckpool_query}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("users[?user == 'a'].hashrate1m | [0]", 1e6),
        ("users[?user == 'nobody'].hashrate1m | [0]", None),
        ("nothing.at.all", None),
        ("users[].workers[] | [?hashrate1m > `0`].worker", ["c.1"]),
        ("reverse(sort_by(users[?hashrate1m != `null`], &hashrate1m))[:5].user", ["c", "a"]),
        ("users[].human_hashrate(hashrate1m)", ["1.00 MH/s", "-", "2.00 GH/s"]),
        ("raw[].hashrate(hashrate1m)", [38.5e6]),
        ("hashrate('1.5 TH/s')", 1.5e12),
        ("hashrate(`5`)", 5.0),
        ("hashrate(`null`)", None),
        ("human_hashrate('1e+03T')", "1.00 PH/s"),
        ("users[].ago(last_share)", [100, 0]),
        ("ago(as_of)", 10),
        ("ago(`990.4`)", 10),
        ("ago(`1000.6`)", -1),
        ("ago(`2000`)", -1000),
        ("users[?ago(last_share) > `50`].user", ["a"]),
        ("sort_by(users[], &hashrate(hashrate1m || `0`))[].user", ["b", "a", "c"]),
        ("length(users)", 3),
        ("@.as_of", 990),
    ],
)
def test_what_an_expression_finds(expression: str, found: t.Any) -> None:
    assert ckpool_query(POOL, expression, now=NOW) == found


@pytest.mark.parametrize("now", [1000, 1000.9, "1000", " 1000.9 "])
def test_now_as_templates_give_it(now: t.Any) -> None:
    assert ckpool_query(POOL, "ago(as_of)", now) == 10


def test_the_times_are_whole_seconds() -> None:
    assert isinstance(ckpool_query(POOL, "ago(as_of)", NOW), int)


def test_the_present_is_one_for_the_whole_query(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(1000, 100)
    monkeypatch.setattr(time, "time", lambda: next(ticks))
    assert ckpool_query([900, 900], "[].ago(@)") == [100, 100]
    assert ckpool_query([900], "[].ago(@)") == [200]


def wrapped(value: t.Any) -> t.Any:
    """The same data in other types than Python's own."""
    if isinstance(value, dict):
        return Map(**{key: wrapped(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple(map(wrapped, value))
    kinds: t.Dict[type, type] = {str: Text, int: Number, float: Real}
    return kinds[type(value)](value) if type(value) in kinds else value


def types_in(value: t.Any) -> t.Set[type]:
    """Every type in a value."""
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*map(types_in, inner))


@pytest.mark.parametrize(
    "expression",
    [
        "join(',', users[].user)", "sum(users[].hashrate1m)", "max_by(users[?hashrate1m], &hashrate1m).user", "keys(@)",
        "length(users[0].user)", "starts_with(users[0].user, 'a')", "users[].human_hashrate(hashrate1m)",
        "sort(users[].user)", "type(as_of)", "merge(users[0], users[2])", "contains(users[].user, 'c')", "@",
    ],
)  # fmt: skip
def test_it_does_not_matter_what_ansible_wraps_values_in(expression: str) -> None:
    found = ckpool_query(wrapped(POOL), Text(expression), Number(1000))
    assert found == ckpool_query(POOL, expression, 1000)
    assert types_in(found) <= {dict, list, type(wrap_var("")), int, float, bool, type(None)}


def test_containers_that_are_filled_as_they_are_read() -> None:
    assert ckpool_query(LazyDict(a=1), "a") == "read a"
    assert ckpool_query(LazyList([1]), "@") == ["read"]
    assert ckpool_query({"a": (number for number in (1, 2))}, "sum(a)") == 3


def test_values_that_json_does_not_know() -> None:
    data = {"day": datetime.date(2026, 11, 23), "vault": Vaulted(), 5: "five", "set": {1}}
    assert ckpool_query(data, "[day, vault, set]") == ["2026-11-23", "secret", [1]]


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("users[", 7),
        ("users[?hashrate1m > 0]", 21),
        ("users..user", 7),
        ("users[?user = 'a']", 13),
        ("users[?user == 'a]", 16),
        ("#", 1),
        ("users[0] users", 10),
        ("length(users", 13),
        ("users]", 6),
    ],
)
def test_a_bad_expression_is_said_so_with_the_position(expression: str, position: int) -> None:
    with pytest.raises(AnsibleFilterError, match=f"at position {position}\\b") as caught:
        ckpool_query(POOL, expression)
    assert str(caught.value).endswith(f", in {expression}")
    assert "\n" not in str(caught.value)


def test_the_hint_about_numbers() -> None:
    with pytest.raises(AnsibleFilterError, match=r"position 21, 0 \(numbers are written in backticks"):
        ckpool_query(POOL, "users[?hashrate1m > 0]")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "cannot be empty"),
        ("nothing_like_it(@)", r"nothing_like_it\(\)"),
        ("ago(as_of, as_of)", r"1 argument for function ago\(\), received 2"),
        ("ago()", r"1 argument for function ago\(\), received 0"),
        ("ago('yesterday')", r"ago\(\) takes number or null, not string: 'yesterday'"),
        ("ago(`true`)", r"ago\(\) takes number or null, not boolean: True"),
        ("ago(`1e999`)", "cannot be evaluated"),
        ("hashrate(users)", r"hashrate\(\) takes number or string or null, not array: \[\{"),
        ("hashrate('fast')", "not a hashrate: 'fast'"),
        ("hashrate('')", "not a hashrate: ''"),
        ("human_hashrate(`-1`)", "not a hashrate: -1"),
        ("sort_by(users, &hashrate1m)", r"sort_by\(\) takes number, not null: None"),
        ("users[::0]", "cannot be evaluated"),
    ],
)
def test_what_cannot_be_worked_out_is_said_so(expression: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message) as caught:
        ckpool_query(POOL, expression, now=NOW)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("expression", [None, 5, ["users"], {}])
def test_an_expression_is_a_text(expression: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="expression is not a text"):
        ckpool_query(POOL, expression)


@pytest.mark.parametrize("now", ["yesterday", "", "nan", float("inf"), True, [], float, 10**400])
def test_now_is_a_time(now: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="now is not a time in epoch seconds"):
        ckpool_query(POOL, "users", now=now)


def test_nesting_without_end_is_said_so() -> None:
    endless: t.List[t.Any] = []
    endless.append(endless)
    with pytest.raises(AnsibleFilterError, match="nested too deeply, or in itself: a list"):
        ckpool_query(endless, "@")
    with pytest.raises(AnsibleFilterError, match=r"cannot be evaluated|position"):
        ckpool_query({}, "[" * 20000)


def test_without_jmespath_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> t.Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(AnsibleFilterError, match=r"jmespath is missing on the controller.*pip install jmespath"):
        ckpool_query(POOL, "users")


def test_an_undefined_variable_is_undefined() -> None:
    for data in (StrictUndefined(name="pool"), {"users": [StrictUndefined(name="pool")]}):
        with pytest.raises(UndefinedError, match="pool"):
            ckpool_query(data, "users")


def test_ansibles_own_wrapped_values() -> None:
    found = ckpool_query(wrap_var(POOL), "join('', users[].user)")
    assert found == "abc"


@pytest.mark.parametrize("data", [POOL, wrap_var(POOL)])
def test_texts_that_it_finds_never_become_templates(data: t.Any) -> None:
    """ansible-core 2.18 renders every text that is not marked, 2.19 and newer only text that is marked."""
    for text in (ckpool_query(data, "users[0].user"), ckpool_query(data, "users[].user")[0]):
        assert type(text) is type(wrap_var("a"))
