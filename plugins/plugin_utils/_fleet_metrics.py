# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of a fleet: what its hosts returned, and what the earlier file knows of those that returned nothing. Pure functions.

A pool that was in the earlier file does not vanish: one that is not found, or whose host is not reached, has C(ckpool_up) 0, and
one whose host was left out stays as it was, with the time of the last look at it.
"""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ..module_utils._metrics import (
    FAILED,
    GONE,
    INSTANCE,
    UNREACHABLE,
    Sample,
    is_sample,
    label,
    last_looks,
    owners,
    samples_without_answer,
)
from ._pool_results import why_of
from ._types import Json
from ._values import shown

_MOST_SAMPLES = 1_000_000  #: of one host
_PARTS = ("name", "labels", "value")
Pool = t.Tuple[str, str]  #: host, and value of the label pool


@dataclasses.dataclass
class FleetMetrics:
    """The samples of a fleet.

    :arg before: the samples of the earlier file.
    :arg forget: what is gone on purpose: C(all), C(HOST) or C(HOST:POOL).
    :ivar missing: hosts that returned no metrics, or odd ones, and why.
    :ivar gone: the pools that are no longer found, as they can be forgotten.
    :ivar forgotten: the pools that were, and are gone on purpose.
    :ivar kept: hosts whose series are as old as the earlier file, as they were left out.
    """

    before: t.Sequence[Sample]
    forget: t.Sequence[str] = ()
    samples: t.List[Sample] = dataclasses.field(default_factory=list)
    missing: t.List[Json] = dataclasses.field(default_factory=list)
    gone: t.List[str] = dataclasses.field(default_factory=list)
    forgotten: t.List[str] = dataclasses.field(default_factory=list)
    kept: t.List[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self._pools: t.Dict[str, t.List[str]] = {}
        for host, pool in owners(self.before):
            self._pools.setdefault(host, []).append(pool)
        self._looks = last_looks(self.before)
        self._done: t.Set[str] = set()

    def add(self, host: str, result: t.Any) -> None:
        """Add what the task of a host returned, or that it returned nothing. One that was skipped counts as left out."""
        found = dict(result) if isinstance(result, Mapping) else {"failed": True, "msg": f"odd result: {shown(result)}"}
        if found.get("skipped"):
            return
        self._done.add(host)
        rows = _rows(found)
        if rows is None:
            self._add_silent(host, UNREACHABLE if found.get("unreachable") else FAILED)
            why = why_of(found)
            self.missing.append({"host": host, "why": f"unreachable: {why}" if found.get("unreachable") else why})
            return
        self._add_host(host, True)
        self.samples += self._samples(host, rows)
        now = {pool for _host, pool in owners(sample for sample in self.samples if sample.owner[0] == host)}
        for pool in self._pools.get(host, ()):
            if pool not in now:
                self._add_gone(host, pool)

    def finish(self, inventory: t.Container[str]) -> None:
        """Add the hosts of the earlier file that were not asked.

        :arg inventory: every host of the inventory; one that left it is gone with all its pools.
        """
        for host in dict.fromkeys(sample.owner[0] for sample in self.before):
            if host in self._done:
                continue
            if host in inventory:
                self.kept.append(host)
                self.samples += [sample for sample in self.before if sample.owner[0] == host]
                continue
            for pool in self._pools.get(host, ()):
                self._add_gone(host, pool)

    def _add_host(self, host: str, is_up: bool) -> None:
        self.samples.append(Sample("ckpool_host_up", int(is_up), label(INSTANCE, host)))

    def _add_silent(self, host: str, state: str) -> None:
        """A host that returned nothing: all its pools are down, as far as is known."""
        self._add_host(host, False)
        pools = self._pools.get(host, ())
        for pool in pools:
            self._add_pool(host, pool, state)
        if not pools:
            self.samples.append(Sample("ckpool_up", 0, label(INSTANCE, host)))

    def _add_gone(self, host: str, pool: str) -> None:
        typed = f"{host}:{pool}"
        if {"all", host, typed}.intersection(self.forget):
            self.forgotten.append(typed)
            return
        self.gone.append(typed)
        self._add_pool(host, pool, GONE)

    def _add_pool(self, host: str, pool: str, state: str) -> None:
        made = samples_without_answer(pool, state, self._looks.get((host, pool)))
        self.samples += [sample.of(host) for sample in made]

    def _samples(self, host: str, rows: t.Sequence[t.Any]) -> t.Iterator[Sample]:
        """The samples that a host returned. It cannot speak for another one."""
        odd: t.List[t.Any] = []
        for row in rows[:_MOST_SAMPLES]:
            name, labels, value = (row.get(key) if isinstance(row, Mapping) else None for key in _PARTS)
            if is_sample(name, labels, value):
                pairs = tuple(pair for key, text in t.cast(Json, labels).items() for pair in label(key, text))
                yield Sample(t.cast(str, name), t.cast(float, value), pairs).of(host)
            else:
                odd.append(row)
        odd += rows[_MOST_SAMPLES:]
        if odd:
            self.missing.append({"host": host, "why": f"odd result: {len(odd)} samples such as {shown(odd[0])}"})


def _rows(result: Json) -> t.Optional[t.List[t.Any]]:
    """The samples of a result, also of that of a loop; None if there are none."""
    looped = result.get("results")
    results = looped if isinstance(looped, list) else [result]
    found = [each["samples"] for each in results if isinstance(each, Mapping) and isinstance(each.get("samples"), list)]
    return [row for rows in found for row in rows] if found else None
