# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated text and JSON, as others can send or write it, and the properties of all results."""

from __future__ import annotations

import json
import math
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils._text import clean
from hypothesis import strategies as st

#: Text with all that hurts: control and format characters, surrogates (as \ud800 in JSON), and plain words.
TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    [
        "",
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "38.5M",
        "370m",
        "1e+03T",
        "\ud800",
        "\x1b[2J",
        "\u202eabc",
        "a\nb",
        "../x",
    ]
)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 10**300, -(10**400), 2**63, 2**64, 1e308, 1795385500, 1795385500.5, 4102444800])
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXT
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


def objects(names: t.Sequence[str], values: st.SearchStrategy[t.Any] = JSON) -> st.SearchStrategy[t.Dict[str, t.Any]]:
    """JSON objects that have some of these fields, with anything in them, and some others."""
    return st.dictionaries(st.sampled_from(list(names)) | TEXT, values, max_size=len(names))


def written(value: t.Any) -> bytes:
    """JSON as a daemon may write it, with what only Python's reader takes: NaN, and surrogates as escapes."""
    return json.dumps(value).encode()


def check_numbers(value: t.Any) -> None:
    """Every number is finite, and none is so large that arithmetic fails."""
    for number in leaves(value):
        if isinstance(number, (int, float)):
            assert math.isfinite(float(number)), value


def check_serializable(value: t.Any) -> None:
    """A result can be carried, once it has been cleaned as every result is at the exit."""
    json.dumps(clean(value), allow_nan=False, ensure_ascii=False).encode("utf-8")


def check_result(value: t.Any) -> None:
    """Raise unless data may be returned by a module."""
    check_numbers(value)
    check_serializable(value)


def leaves(value: t.Any) -> t.Iterator[t.Any]:
    """What is in it at any depth."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value
