# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, times, lists and tables for a person."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._wording import (
    columns,
    counted,
    one_line,
    or_dash,
    sentence,
    shortened,
    utc_time,
)


@pytest.mark.parametrize(("number", "text"), [(0, "0 pools"), (1, "1 pool"), (2, "2 pools"), (None, "pools not known")])
def test_counted(number: t.Optional[int], text: str) -> None:
    assert counted(number, "pool") == text


def test_texts() -> None:
    assert one_line(" a\n\tb ") == "a b"
    assert (shortened("abc", 3), shortened("abcd", 3)) == ("abc", "abc...")
    assert (or_dash(None), or_dash(0), or_dash(1.6, ".0f")) == ("-", "0", "2")
    assert sentence(["a", "", "b"]) == "a; b"
    assert utc_time(1795404419.5) == "2026-11-23 03:26:59 UTC"


def test_columns() -> None:
    assert columns([("A", "B", "C"), ("long", "", "x y"), ("", "b", "")]) == ["A     B  C", "long     x y", "      b"]
