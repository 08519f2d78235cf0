# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a fleet's hosts, and their batches."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._batches import BadBatches, batches, tier_of

GROWING = ("1", "10%", "25%", "100%")


def masters(number: int) -> t.Dict[str, str]:
    return {f"m{host}": "master" for host in range(number)}


@pytest.mark.parametrize(
    ("number", "sizes", "expected"),
    [
        (0, GROWING, []),
        (1, GROWING, [1]),
        (2, GROWING, [1, 1]),
        (3, GROWING, [1, 1, 1]),
        (10, GROWING, [1, 1, 2, 6]),
        (100, GROWING, [1, 10, 25, 64]),
        (100, ("1", "10%"), [1, *[10] * 9, 9]),
        (5, ("2",), [2, 2, 1]),
        (5, ("50%",), [2, 2, 1]),
        (5, (" 3 ", "1"), [3, 1, 1]),
    ],
)
def test_sizes(number: int, sizes: t.Sequence[str], expected: t.List[int]) -> None:
    found = batches(masters(number), sizes, "masters")
    assert [len(batch) for batch in found] == expected
    assert [host for batch in found for host in batch] == list(masters(number)), (
        "each once, in the order of the inventory"
    )


@pytest.mark.parametrize(
    ("first", "expected"),
    [("masters", [["a"], ["c"], ["b"], ["d", "e"]]), ("passthroughs", [["b"], ["d", "e"], ["a"], ["c"]])],
)
def test_no_batch_has_both_tiers(first: str, expected: t.List[t.List[str]]) -> None:
    tiers = {"a": "master", "b": "passthrough", "c": "master", "d": "passthrough", "e": "passthrough"}
    assert batches(tiers, ("1", "100%"), first) == expected


@pytest.mark.parametrize("size", ["0", "0%", "101%", "-1", "1.5", "all", "", "10 %x", "1e9", "٣"])
def test_what_is_no_size(size: str) -> None:
    with pytest.raises(
        BadBatches, match="the size of a batch is a number from 1, or a percentage from 1% to 100%, not"
    ):
        batches(masters(2), ["1", size], "masters")


def test_what_is_no_tier() -> None:
    with pytest.raises(BadBatches, match="the tier of a host is master or passthrough, not a: 'slave', c: 'x'"):
        batches({"a": "slave", "b": "master", "c": "x"}, ["1"], "masters")
    with pytest.raises(BadBatches, match="the list of sizes of the batches is empty"):
        batches(masters(1), [], "masters")


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ([], "master"),
        ([None], "master"),
        (["pool"], "master"),
        (["solo"], "master"),
        (["node"], "master"),
        (["passthrough"], "passthrough"),
        (["proxy", "redirector"], "passthrough"),
        (["pool", "passthrough"], "master"),
    ],
)
def test_the_tier_of_a_host(modes: t.List[t.Optional[str]], expected: str) -> None:
    assert tier_of(modes) == expected
