# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from other machines can be carried, and moves no cursor."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._text import clean, printable, utf8
from hypothesis import given
from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(), max_size=20)  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ckpool", "ckpool"),
        ("x\x1b[31m", "x\\x1b[31m"),
        ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
        ("a\u202eb\u2028c\u200bd", "a\\u202eb\\u2028c\\u200bd"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("x\udcff", "x\\xff"),
        ("\ud800", "\\ud800"),
        ("größe 鉱山 ✓", "größe 鉱山 ✓"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY_TEXT)
def test_any_text_is_carried_and_shown(text: str) -> None:
    assert utf8(text).encode() is not None
    assert printable(text).isprintable() and printable(text).encode() is not None
    assert utf8(utf8(text)) == utf8(text)
    assert str(PoolError(text, hint=text)).isprintable() and PoolError(text, hint=text).hint.isprintable()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    )
)
def test_any_data_is_carried(value: t.Any) -> None:
    assert json.dumps(clean(value), allow_nan=False, ensure_ascii=False).encode() is not None
