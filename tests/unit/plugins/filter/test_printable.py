# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that makes text safe to show."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.errors")

from ansible_collections.ckpool.fleet.plugins.filter.printable import FilterModule
from jinja2 import Environment, StrictUndefined
from jinja2.exceptions import UndefinedError


def rendered(value: t.Any) -> str:
    environment = Environment(undefined=StrictUndefined)
    environment.filters.update(FilterModule().filters())
    return environment.from_string("{{ value | printable }}").render(value=value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ckpool", "ckpool"),
        ("é ☃", "é ☃"),
        ("x\x1b[31m\n\u202ey\u2028", "x\\x1b[31m\\x0a\\u202ey\\u2028"),
        ("\udcff", "\\xff"),
        (42, "42"),
        (None, "None"),
        ("", ""),
    ],
)
def test_what_forges_output_is_escaped(value: t.Any, text: str) -> None:
    assert rendered(value) == text


def test_an_undefined_variable_stays_an_error() -> None:
    environment = Environment(undefined=StrictUndefined)
    environment.filters.update(FilterModule().filters())
    with pytest.raises(UndefinedError):
        environment.from_string("{{ nowhere | printable }}").render()
