# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several calls in parallel, which mostly wait."""

from __future__ import annotations

import threading
import time
import typing as t

_THREADS = 8
_Result = t.TypeVar("_Result")


def in_parallel(
    calls: t.Sequence[t.Callable[[], _Result]],
    seconds: t.Optional[float] = None,
    late: t.Optional[t.Callable[[int], _Result]] = None,
) -> t.List[_Result]:
    """The results of several calls that mostly wait, in their order. The first exception is raised again.

    :arg seconds: to wait for all of them. Calls that are not done by then are left running.
    :arg late: makes the result of such a call, from its index.
    """
    results: t.List[t.Any] = [late] * len(calls)
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
    deadline = None if seconds is None else time.monotonic() + seconds
    for thread in threads:
        thread.join(None if deadline is None else max(deadline - time.monotonic(), 0.0))
    todo.clear()
    if failures:
        raise failures[0]
    done = list(results)
    return [late(index) if late and result is late else result for index, result in enumerate(done)]
