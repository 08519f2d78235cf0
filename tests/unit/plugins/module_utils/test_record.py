# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._record import field, record, replaced


def make(decorator: t.Any, field: t.Any = field) -> t.Any:
    """The same class as a record and as a data class, so that both can be compared."""

    @decorator
    class Thing:
        name: str
        size: int = 3
        parts: t.List[str] = field(default_factory=list)
        cache: t.Any = field(default=None, repr=False, compare=False)

        @property
        def is_large(self) -> bool:
            return self.size > 3

    return Thing


KINDS = pytest.mark.parametrize(
    "kind", [make(record), make(dataclasses.dataclass, dataclasses.field)], ids=["record", "dataclass"]
)


@KINDS
def test_values_are_given_by_place_or_by_name(kind: t.Any) -> None:
    assert vars(kind("a", 4, parts=["b"])) == {"name": "a", "size": 4, "parts": ["b"], "cache": None}
    assert list(vars(kind(size=4, name="a"))) == ["name", "size", "parts", "cache"]
    assert kind("a", 4).is_large
    assert kind.size == 3


@KINDS
def test_a_default_that_is_made_is_not_shared(kind: t.Any) -> None:
    one, other = kind("a"), kind("a")
    one.parts.append("b")
    assert other.parts == []


@KINDS
@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a",), {"name": "b"}), (("a",), {"sise": 1}), (("a", 1, [], None, 5), {})]
)
def test_wrong_values_are_refused(kind: t.Any, values: t.Tuple[t.Any, ...], named: t.Dict[str, t.Any]) -> None:
    with pytest.raises(TypeError):
        kind(*values, **named)


@KINDS
def test_comparison(kind: t.Any) -> None:
    assert kind("a", cache=1) == kind("a", cache=2)
    assert kind("a") != kind("a", 4)
    assert kind("a") != make(record)("a")
    assert kind("a") != "a"
    with pytest.raises(TypeError):
        hash(kind("a"))


@KINDS
def test_what_it_looks_like(kind: t.Any) -> None:
    assert repr(kind("a", cache=1)).endswith("Thing(name='a', size=3, parts=[])")


def test_a_copy_with_other_values() -> None:
    before = make(record)("a", 4)
    after = replaced(before, name="b")
    assert (after.name, after.size, before.name) == ("b", 4, "a")
    with pytest.raises(TypeError):
        replaced(before, sise=5)
