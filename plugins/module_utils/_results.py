# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results and failures as dictionaries, of one instance and of all of a host: the same in modules and in the HTTP service."""

from __future__ import annotations

import functools
import os
import typing as t

from ._discovery import discover, find, neighbours
from ._errors import PoolError
from ._parallel import in_parallel
from ._text import clean, printable

if t.TYPE_CHECKING:
    from ._instance import Instance
    from ._types import Json

DOWN_STATES = ("down", "hung")  #: states in which a pool gives no answers
NOBODY_RUNS = "no ckpool runs here"
_NOBODY = ("absent", "refused", "unanswered")


class OfInstance(t.Protocol):
    """A Pool or a Control."""

    @property
    def instance(self) -> Instance:
        """The instance that it works on."""


_One = t.TypeVar("_One", bound=OfInstance)


def each_of(found: t.Sequence[_One], work: t.Callable[[_One], Json], seconds: float) -> t.List[Json]:
    """The results of several instances, which are worked on in parallel. A failure is the result of its instance only.

    :arg seconds: after which the result of an instance that is not done is a failure.
    """
    # Those of regular users come last, so that many that hang do not delay the others.
    ordered = sorted(enumerate(found), key=lambda item: item[1].instance.is_of_a_person)
    results = in_parallel(
        [functools.partial(result_of, one, work) for _place, one in ordered],
        seconds,
        lambda number: failed(ordered[number][1].instance, TooLate(seconds)),
    )
    return [
        result for _place, result in sorted(zip((place for place, _one in ordered), results), key=lambda item: item[0])
    ]


def together(rows: t.List[Json]) -> Json:
    """The result of a task, from the results of all instances. If one of them failed, it fails like the first of these."""
    failed = [row for row in rows if row.get("failed")]
    others = [row for row in rows if not row.get("failed")]
    result: Json = {
        "instances": rows,
        "changed": any(row.get("changed") for row in rows),
        "failed": bool(failed),
        "msg": "; ".join(row["msg"] for row in [*failed, *others]) or NOBODY_RUNS,
    }
    if failed and len(rows) > 1:
        result["msg"] = f"{len(failed)} of {len(rows)} instances failed: {result['msg']}"
    if failed:
        result.update({key: failed[0][key] for key in ("phase", "path", "reason", "hint") if key in failed[0]})
    diffs = [row.pop("diff") for row in rows if "diff" in row]
    return {**result, "diff": diffs} if diffs else result


class TooLate(PoolError):
    """The work on an instance was not done in time."""

    reason = "too_late"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not done within {seconds:g} s", hint="ask it alone: name it by pid")


def result_of(one: _One, work: t.Callable[[_One], Json]) -> Json:
    """The result of the work on one instance, or its failure."""
    try:
        found = work(one)
        if not found.get("failed"):
            found.pop("failed", None)  # it is there, and true, only if there is a failure
        return {**found, **sentences(found)}
    except PoolError as exc:
        error = exc
    except Exception as exc:  # pylint: disable=broad-except
        # A bug that one odd instance triggers must not lose the results of the others.
        error = PoolError(f"{type(exc).__name__}: {exc}", hint="this is a fault of the collection", reason="unexpected")
    return failed(one.instance, error)


def failed(instance: Instance, error: PoolError) -> Json:
    """A failure as the result of an instance."""
    common = {"instance": instance.as_dict(), "changed": False, "failed": True, "problems": dict(instance.problems)}
    result = {**common, **failure(error, instance.log_dir)}
    return {**result, **sentences(result), "msg": f"{describe(instance)}: {printable(result['msg'])}"}


def presentable(result: Json) -> Json:
    """A result that can be sent and shown: all text is UTF-8, and sentences have no control characters."""
    return {**clean(result), **sentences(result)}


def sentences(result: Json) -> Json:
    """The sentences of a result, without control characters."""
    found: Json = {name: printable(result[name]) for name in ("msg", "hint") if isinstance(result.get(name), str)}
    problems = result.get("problems")
    if isinstance(problems, dict):
        found["problems"] = {printable(str(area)): printable(str(why)) for area, why in problems.items()}
    return found


def describe(instance: Instance) -> str:
    """An instance by name and directory, which is below C(/proc/PID/root) if it is not the one that we see under its path."""
    return printable(f"{instance.name} ({instance.root}{instance.socket_dir})")


def failure(exc: PoolError, log_dir: t.Optional[str] = None) -> Json:
    """A failure as a result. If the instance does not answer, it lists the others on the host, and adds the end of the log.

    :arg log_dir: the log directory, if the process does not tell it.
    """
    hint, facts = exc.hint, dict(exc.facts)
    if exc.reason in _NOBODY and exc.phase in ("connect", "ask") and exc.path:
        if exc.reason != "unanswered":
            hint += (" " if hint.endswith("?") else "; ") + neighbours()
        lines = _end_of_log(os.path.dirname(exc.path), log_dir)
        if lines:
            facts.setdefault("log_tail", lines)
    message = f"{exc.phase}: {exc}" + (f". Hint: {hint}" if hint else "")
    return {"phase": exc.phase, "path": exc.path, "reason": exc.reason, "hint": hint, **facts, "msg": message}


def _end_of_log(folder: str, log_dir: t.Optional[str]) -> t.List[str]:
    """The last lines of the log of the instance with this socket directory; empty if the log is not found."""
    found = (instance for instance in discover() if instance.root + instance.socket_dir == folder)
    try:
        instance = next(found, None) or find(folder, log_dir=log_dir)
    except PoolError:
        return []  # there are several with this directory
    instance.log_dir = instance.log_dir or log_dir
    from ._sources.log.events import log_tail  # few failures need it

    return log_tail(instance)
