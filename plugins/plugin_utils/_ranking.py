# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in the order of a number in them."""

from __future__ import annotations

import math
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..module_utils._units import is_number
from ._values import boolean, defined, items_of, rate_of, shown, text_of, whole_number

_MOST = 2**31  #: records
_LONGEST = 200  #: characters of the names of fields that a message shows


def top(records: t.Any, count: t.Any, by: str = "hashrate1m", ascending: t.Any = False) -> t.List[t.Any]:
    """The first records by a field. Those in which it is null come last.

    :arg by: the field; C(outer.inner) is a field of a dictionary in the record.
    :raises AnsibleFilterError: a record has no such field, or something else there than a number or a hashrate.
    """
    rows = items_of(records, "records")
    sign = 1 if boolean(ascending, "ascending") else -1
    name = text_of(by, "by")
    most = whole_number(count, "count", 0, _MOST)
    ranked = [(_rank(record, name, f"record {number}"), record) for number, record in enumerate(rows)]
    ranked.sort(key=lambda pair: math.inf if pair[0] is None else sign * pair[0])
    return [record for _rank_of_it, record in ranked[:most]]


def _rank(record: t.Any, name: str, where: str) -> t.Optional[float]:
    """The number to order by. None stays None."""
    value = _field(record, name, where)
    if value is None or is_number(value):
        return t.cast(t.Optional[float], value)
    try:
        return rate_of(value)
    except AnsibleFilterError:
        raise AnsibleFilterError(f"{name} of {where} is neither a number nor a hashrate: {shown(value)}") from None


def _field(record: t.Any, name: str, where: str) -> t.Any:
    """The value of a field, also of one in a dictionary of the record."""
    if not isinstance(record, Mapping):
        raise AnsibleFilterError(f"{where} is no dictionary: {shown(record)}")
    if name in record:
        return defined(record[name])
    outer, dot, inner = name.partition(".")
    if dot and outer in record:
        return None if record[outer] is None else _field(record[outer], inner, f"{outer} of {where}")
    there = ", ".join(map(str, record)) or "none"
    raise AnsibleFilterError(f"{where} has no field {name!r}; its fields: {there[:_LONGEST]}")
