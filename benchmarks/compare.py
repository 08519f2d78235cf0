# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two results of the benchmarks: benchmarks/compare.py A B, each a commit that was measured, or a file.

The ratio of a figure is that of its two sides, measured in turns in one run. B / A says how it changed; it means the least where
the machines differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import results
from benchmarks.results import Json
from benchmarks.tools import columns

Figures = dict[tuple[str, str], Json]


def figures_of(found: Json) -> Figures:
    """The figures of a run, by section and name."""
    rows = ((name, row) for name, part in found["sections"].items() for row in part.get("figures", ()))
    return {(name, row["what"]): row for name, row in rows}


def differences(first: Json, second: Json) -> list[str]:
    """What is not the same about the machines, and the rounds: one line each."""
    sides = [{**found["machine"], "rounds": found["rounds"]} for found in (first, second)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    return [
        f"{name} differs: {sides[0].get(name)} / {sides[1].get(name)}"
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def lines(first: Json, second: Json) -> Iterator[str]:
    """The comparison for a person."""
    for letter, found in (("A", first), ("B", second)):
        yield f"{letter}: {found['commit'][:20]} of {found['date']}, load {found['load']:.1f}"
    different = differences(first, second)
    yield from different
    if different:
        yield "So only the ratios can be compared, and with caution."
    sides = (figures_of(first), figures_of(second))
    rows = [["SECTION", "WHAT", "RATIO A", "RATIO B", "B / A"]]
    rows += [
        [*key, *cells(*(side[key]["ratio"] if key in side else None for side in sides))]
        for key in dict.fromkeys([*sides[0], *sides[1]])
    ]
    yield columns(rows)


def cells(before: float | None, after: float | None) -> list[str]:
    """Both ratios, and how the second one compares; a dash for what was not measured."""
    change = f"{after / before:.2f}" if before and after is not None else "-"
    return [*("-" if ratio is None else f"{ratio:.2f}" for ratio in (before, after)), change]


def main() -> int:
    if len(sys.argv) != 3 or not all(sys.argv[1:]):
        print("make bench-compare A=REV B=REV, each a commit that was measured, or a file of results", file=sys.stderr)
        return 2
    try:
        first, second = map(results.read, sys.argv[1:])
    except (LookupError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(*lines(first, second), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
