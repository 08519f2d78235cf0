# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as templates hand them over: in Python's own types, checked, and as messages show them."""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError
from jinja2 import Undefined

from ..module_utils._errors import PoolError
from ..module_utils._units import hashrate_unit, read_hashrate
from ..module_utils._wording import shortened

_OWN = frozenset({str, int, float, bool, type(None)})  #: Python's own types of single values
_SHOWN = 80  #: characters of a value that a message shows


def shown(value: t.Any) -> str:
    """A value for a message: in quotes if it is text, shortened if it is long."""
    return shortened(repr(plain(value) if isinstance(value, str) else value), _SHOWN)


def defined(value: t.Any) -> t.Any:
    """The value itself. An undefined variable raises Jinja's error; ansible-core 2.19 and newer raise it on their own."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    return value


def plain(value: t.Any) -> t.Any:
    """The same value in Python's own types, at any depth.

    Ansible hands over subclasses that record whether a value may be trusted, and containers that are filled when they
    are read. Libraries that look at the exact type of a value, as jmespath does, know neither.

    :raises AnsibleFilterError: it is nested without end.
    """
    try:
        return _plain(defined(value))
    except RecursionError:
        raise AnsibleFilterError(f"nested too deeply, or in itself: a {type(value).__name__}") from None


def _plain(value: t.Any) -> t.Any:
    if type(value) in _OWN:  # nearly all of what a large fleet returns
        return value
    if isinstance(defined(value), str):
        return str.__str__(value)  # str() would call the subclass's own method
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(value[key]) for key in value}
    # A vaulted text of ansible-core 2.18 is a sequence that behaves like a str without being one.
    if isinstance(value, Iterable) and not isinstance(value, bytes) and not hasattr(value, "casefold"):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.date) else str.__str__(str(value))


def rate_of(value: t.Any, unit: str = "H/s") -> float:
    """H/s from a number, or from a text with or without a suffix or unit.

    :arg unit: the unit of a bare number.
    :raises AnsibleFilterError: it is not a hashrate, or there is no such unit.
    """
    value = plain(value) if isinstance(value, (str, int, float)) else defined(value)
    try:
        factor = hashrate_unit(text_of(unit, "unit"))
        return read_hashrate(value if isinstance(value, (str, int, float)) else "", factor)
    except PoolError as exc:
        if exc.reason != "bad_hashrate":
            raise AnsibleFilterError(str(exc)) from None
        example = "give a number, or a text such as 38.5M or 1.5 TH/s; M is mega and m is milli"
        raise AnsibleFilterError(f"not a hashrate: {shown(value)}; {example}") from None


def text_of(value: t.Any, name: str) -> str:
    """A text, given as the option of that name.

    :raises AnsibleFilterError: it is something else.
    """
    text = plain(value) if isinstance(value, str) else defined(value)
    if not isinstance(text, str):
        raise AnsibleFilterError(f"{name} is not a text: {shown(value)}")
    return text


def boolean(value: t.Any, name: str) -> bool:
    """True or false, given as the option of that name.

    :raises AnsibleFilterError: it is something else.
    """
    if not isinstance(defined(value), bool):
        raise AnsibleFilterError(f"{name} is neither true nor false: {shown(value)}")
    return bool(value)


def whole_number(value: t.Any, name: str, least: int, most: int) -> int:
    """A whole number, given as the option of that name: as a number or as a text, as templates do.

    :raises AnsibleFilterError: it is something else, or out of range.
    """
    try:
        number = int(defined(value)) if isinstance(value, str) or not isinstance(value, (bool, float)) else None
    except (TypeError, ValueError):
        number = None
    if number is None or not least <= number <= most:
        raise AnsibleFilterError(f"{name} is not a whole number from {least} to {most}: {shown(value)}")
    return number


def items_of(value: t.Any, of_what: str) -> t.Iterable[t.Any]:
    """The items of a list.

    :arg of_what: what they should be, for the message.
    :raises AnsibleFilterError: it is not a list.
    """
    if isinstance(defined(value), (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise AnsibleFilterError(f"not a list of {of_what}: {shown(value)}")
    return value
