# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which hosts are changed, and their batches. Pure functions.

Pools that miners or other pools depend on are masters; what only passes on to one is a passthrough. The hosts of one tier
are all done before the first of the other, so that a batch never has both.
"""

from __future__ import annotations

import re
import typing as t

MASTER, PASSTHROUGH = TIERS = ("master", "passthrough")
MASTERS, PASSTHROUGHS = FIRST = ("masters", "passthroughs")
MOST_HOSTS = 999999
#: modes of an instance whose miners work for a pool elsewhere
_PASSES_ON = ("proxy", "passthrough", "redirector")


class BadBatches(Exception):
    """The sizes of the batches, or a tier, are not what they should be."""


def tier_of(modes: t.Collection[t.Optional[str]]) -> str:
    """The tier of a host: passthrough if every instance passes on to a pool elsewhere.

    :arg modes: of its instances; none if they are not known.
    """
    return PASSTHROUGH if modes and all(mode in _PASSES_ON for mode in modes) else MASTER


def batches(tiers: t.Mapping[str, str], sizes: t.Sequence[str], first: str) -> t.List[t.List[str]]:
    """The hosts of each batch. Each tier begins with the first size, so that each has a canary of its own.

    :arg tiers: host to one of C(TIERS), in the order of the inventory.
    :arg sizes: numbers of hosts, or percentages of the hosts of the tier. The last one repeats.
    :arg first: one of C(FIRST).
    :raises BadBatches: naming the size or the tier.
    """
    wrong = [f"{host}: {tier!r}" for host, tier in tiers.items() if tier not in TIERS]
    if wrong:
        raise BadBatches(f"the tier of a host is {' or '.join(TIERS)}, not {', '.join(wrong)}")
    if not sizes:
        raise BadBatches("the list of sizes of the batches is empty")
    order = TIERS if first == MASTERS else tuple(reversed(TIERS))
    return [
        batch for tier in order for batch in _cut([host for host, its in tiers.items() if its == tier], tuple(sizes))
    ]


def _cut(hosts: t.List[str], sizes: t.Tuple[str, ...]) -> t.Iterator[t.List[str]]:
    numbers = [_number(size, len(hosts)) for size in sizes]
    begin = 0
    while begin < len(hosts):
        size = numbers.pop(0) if len(numbers) > 1 else numbers[0]
        yield hosts[begin : begin + size]
        begin += size


def _number(size: str, total: int) -> int:
    """How many hosts a size means; at least one.

    :raises BadBatches: it is no size.
    """
    found = re.fullmatch(r"\s*([0-9]{1,6})(%?)\s*", str(size))
    number = int(found[1]) if found else 0
    if not found or number < 1 or (found[2] and number > 100):
        raise BadBatches(f"the size of a batch is a number from 1, or a percentage from 1% to 100%, not {size!r}")
    return max(1, total * number // 100) if found[2] else number
