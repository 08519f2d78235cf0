# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters and tests have in common: values as templates hand them over, and how to say what is wrong."""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError
from jinja2 import Undefined

from ..module_utils._errors import PoolError
from ..module_utils._units import hashrate_unit, parse_hashrate

_SHOWN = 80  #: characters of a value that a message shows
_HASHES = "h/s"


def shown(value: t.Any) -> str:
    """A value for a message, in quotes if it is a text; a long one is cut."""
    text = repr(plain(value) if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def defined(value: t.Any) -> t.Any:
    """The value. An undefined variable is Jinja's error, not ours: ansible-core 2.19 and newer see to it themselves."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    return value


def plain(value: t.Any) -> t.Any:
    """The same value in Python's own types, all the way down.

    Ansible hands over subclasses of them that know whether to trust them, and containers that are filled as they are
    read. Whoever looks at the very type of a value, as jmespath does, knows neither.

    :raises AnsibleFilterError: there is no end to it.
    """
    try:
        return _plain(defined(value))
    except RecursionError:
        raise AnsibleFilterError(f"nested too deeply, or in itself: a {type(value).__name__}") from None


def _plain(value: t.Any) -> t.Any:
    if defined(value) is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # what str() gives of a subclass is the subclass's affair
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(value[key]) for key in value}
    # A vaulted text of ansible-core 2.18 is a sequence that behaves as a str does, and is none.
    if isinstance(value, Iterable) and not isinstance(value, bytes) and not hasattr(value, "casefold"):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.date) else str.__str__(str(value))


def rate_of(value: t.Any, unit: str = "H/s") -> float:
    """H/s from a number, or from a text with or without a suffix or unit.

    :arg unit: what a bare number is in.
    :raises AnsibleFilterError: it is no hashrate, or there is no such unit.
    """
    value = plain(value) if isinstance(value, (str, int, float)) else defined(value)
    try:
        factor = hashrate_unit(text_of(unit, "unit"))
        if isinstance(value, str) and value.strip().lower().endswith(_HASHES):
            rate = parse_hashrate(value.strip()[: -len(_HASHES)])
        else:
            rate = parse_hashrate(value if isinstance(value, (str, int, float)) else "", factor)
    except PoolError as exc:
        if exc.reason != "bad_hashrate":
            raise AnsibleFilterError(str(exc)) from None
        example = "give a number, or a text such as 38.5M or 1.5 TH/s"
        raise AnsibleFilterError(f"not a hashrate: {shown(value)}; {example}") from None
    return t.cast(float, rate)  # only None gives None


def text_of(value: t.Any, name: str) -> str:
    """A text that was given as an option.

    :raises AnsibleFilterError: it is something else.
    """
    text = plain(value) if isinstance(value, str) else defined(value)
    if not isinstance(text, str):
        raise AnsibleFilterError(f"{name} is not a text: {shown(value)}")
    return text


def whole_number(value: t.Any, name: str, least: int, most: int) -> int:
    """A whole number that was given as an option, as templates give it: as a number or as a text.

    :raises AnsibleFilterError: it is something else, or out of range.
    """
    try:
        number = int(defined(value)) if isinstance(value, str) or not isinstance(value, (bool, float)) else None
    except (TypeError, ValueError):
        number = None
    if number is None or not least <= number <= most:
        raise AnsibleFilterError(f"{name} is not a whole number from {least} to {most}: {shown(value)}")
    return number
