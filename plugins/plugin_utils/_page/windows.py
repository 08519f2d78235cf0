# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows, from the records that upgrades leave on the controller. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ...module_utils._wording import one_line, shortened
from .._pool_results import mapping
from .._types import Json
from .history import Number, amount

_LONGEST = 300  #: characters of a text
_MOST = 20  #: windows of a report


@dataclasses.dataclass(frozen=True)
class Window:
    """One maintenance window. Times are epoch seconds.

    :ivar closed: None while it is open.
    :ivar gap: seconds that miners were away at most; None if not known.
    """

    host: str
    opened: float
    closed: Number
    owner: str
    reason: str
    state: str
    outcome: t.Optional[str]
    msg: str
    instances: t.Tuple[str, ...]
    gap: Number

    def as_dict(self) -> Json:
        """The window as JSON data."""
        return {**dataclasses.asdict(self), "instances": list(self.instances)}


def window_of(record: t.Any) -> t.Optional[Window]:
    """The window of a record; None if it is not a record.

    :arg record: as read from JSON.
    """
    if not isinstance(record, Mapping):
        return None
    opened, host = amount(record.get("opened")), record.get("host")
    if opened is None or not isinstance(record.get("run"), str):
        return None
    pools = _entries(mapping(record.get("report")).get("pools"))
    gaps = [gap for pool in pools if (gap := amount(pool.get("longest_gap"))) is not None]
    return Window(
        host=_text(host) or "-",
        opened=opened,
        closed=amount(record.get("closed")),
        owner=_text(record.get("owner")),
        reason=_text(record.get("reason")),
        state=_text(record.get("state")),
        outcome=_text(record.get("outcome")) or None,
        msg=_text(record.get("msg")),
        instances=tuple(_text(entry.get("name")) for entry in _entries(record.get("instances"))),
        gap=max(gaps, default=None),
    )


def recent(windows: t.Iterable[Window]) -> t.List[Window]:
    """The last windows, open ones first, then the newest."""
    return sorted(windows, key=lambda window: (window.closed is not None, -window.opened))[:_MOST]


def _entries(value: t.Any) -> t.List[Json]:
    return [mapping(entry) for entry in value if mapping(entry)] if isinstance(value, list) else []


def _text(value: t.Any) -> str:
    return shortened(one_line(value), _LONGEST) if isinstance(value, str) else ""
