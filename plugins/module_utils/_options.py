# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that modules share, and the check of a range. Action plugins use them too, so this room imports little."""

from __future__ import annotations

import typing as t

from ._errors import BadInput
from ._messages import MAX_REPLY
from ._sources.registry import AUTO, CHOICES

#: options of every module that works on an instance
COMMON_OPTIONS: t.Dict[str, t.Any] = {
    "socket_dir": {"type": "path"},
    "name": {"type": "str"},
    "pid": {"type": "int"},
    "log_dir": {"type": "path"},
    "source": {"type": "str", "default": AUTO, "choices": list(CHOICES)},
    "timeout": {"type": "float", "default": 5.0},
    "max_reply": {"type": "int", "default": MAX_REPLY},
}
#: options of every module that reads one or all instances
READING_OPTIONS: t.Dict[str, t.Any] = {
    "all_instances": {"type": "bool", "default": False},
    "fail_when_down": {"type": "bool", "default": False},
}
#: options of every module that lists users or workers
LISTING_OPTIONS: t.Dict[str, t.Any] = {
    "active_within": {"type": "str"},
    "include_stale": {"type": "bool", "default": False},
    "limit": {"type": "int"},
}


def check_range(name: str, value: t.Any, least: float, most: float) -> None:
    """Raise unless an option is within a range, both ends included. What is not a number is accepted.

    :raises BadInput: naming the option, with the reason C(out_of_range).
    """
    if isinstance(value, (int, float)) and not least <= value <= most:
        ends = f"from {_plain(least)} to {_plain(most)}"
        raise BadInput(f"{name} must be {ends}, not {_plain(value)}", reason="out_of_range")


def check_ranges(options: t.Mapping[str, t.Any], ranges: t.Mapping[str, t.Tuple[float, float]]) -> None:
    """Raise unless options are within their ranges, given by name.

    :raises BadInput: naming the option.
    """
    for name, (least, most) in ranges.items():
        check_range(name, options[name], least, most)


def _plain(number: float) -> str:
    """A number without an exponent, as it can be typed."""
    return str(number) if isinstance(number, int) else f"{number:.15g}"
