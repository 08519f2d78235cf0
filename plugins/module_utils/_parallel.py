# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several calls that mostly wait, side by side."""

from __future__ import annotations

import threading
import typing as t

_THREADS = 8
_Result = t.TypeVar("_Result")


def in_parallel(calls: t.Sequence[t.Callable[[], _Result]]) -> t.List[_Result]:
    """The results of several calls that mostly wait, in their order; the first failure is raised again."""
    results: t.List[t.Any] = [None] * len(calls)
    failures: t.List[BaseException] = []
    todo = list(enumerate(calls))
    todo.reverse()

    def work() -> None:
        while todo and not failures:
            try:
                index, call = todo.pop()
            except IndexError:
                return
            try:
                results[index] = call()
            except BaseException as exc:  # pylint: disable=broad-except
                failures.append(exc)

    threads = [threading.Thread(target=work, daemon=True) for _unused in range(min(_THREADS, len(calls)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
