# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of one instance, and of all of a host, as results: those of C(ckpool_health_info) and of the HTTP service."""

from __future__ import annotations

import typing as t

from .._health import Verdict, worst
from .._observation import work_age
from .._results import DOWN_STATES, describe
from .._units import human_hashrate

if t.TYPE_CHECKING:
    from .._instance import Instance
    from .._observation import Observation
    from .._types import Json
    from .survey import HealthOptions

    class Pool(t.Protocol):
        """What is asked: a Pool."""

        instance: Instance

        def health(self, options: t.Optional[HealthOptions]) -> t.Tuple[Verdict, Observation]:
            """The verdict, and what it rests on."""

        def log_tail(self) -> t.List[str]:
            """The last lines of the log."""


NOBODY_RUNS = "no ckpool runs on this host"


def judged(pool: Pool, options: HealthOptions) -> Json:
    """The result for one instance, with its L(Verdict) as C(verdict)."""
    verdict, seen = pool.health(options)
    return judgement(pool, verdict, seen)


def judgement(pool: Pool, verdict: Verdict, seen: Observation) -> Json:
    """The result for one instance, from its verdict and what that rests on."""
    result = {
        "instance": pool.instance.as_dict(seen.state),
        "health": verdict.as_dict(),
        "verdict": verdict,
        "stats": seen.stats.as_dict() if seen.stats else None,
        "work_age": work_age(seen.log, seen.now),
        "clients": seen.clients,
        "source": seen.stats_source or None,
        "as_of": seen.stats_as_of,
        "problems": seen.problems,
        "msg": _sentence(verdict, seen, describe(pool.instance)),
    }
    if verdict.state in DOWN_STATES:
        result["log_tail"] = pool.log_tail()
    return result


def together(rows: t.Sequence[Json]) -> Json:
    """The result of a host: that of the instance in the worst state, with those of all as C(instances).

    :arg rows: the results of L(judged), and failures. The verdicts are taken out of them.
    """
    found = [_determined(row) for row in rows]
    worst_of_all = _nothing() if not found else found[worst([row["verdict"] for row in found])]
    for row in found:
        del row["verdict"]
    unhealthy = [row["msg"] for row in found if not row["health"]["ok"]]
    count = f"{len(found) - len(unhealthy)} of {len(found)} instances are healthy"
    msg = worst_of_all["msg"] if len(found) < 2 else "; ".join([count, *unhealthy])
    return {**worst_of_all, "instances": found, "msg": msg}


def _nothing() -> Json:
    """The result of a host without a pool."""
    health = {**Verdict("down", []).as_dict(), "ok": False, "status": "critical", "wrong": ["no ckpool on this host"]}
    unknown = dict.fromkeys(("instance", "stats", "work_age", "clients", "source", "as_of"))
    return {"health": health, **unknown, "problems": {}, "msg": NOBODY_RUNS}


def _determined(row: Json) -> Json:
    """A row, with a verdict if the instance could not be checked and has none."""
    if "health" in row:
        return row
    verdict = Verdict("unknown", [])
    health = {**verdict.as_dict(), "wrong": [row["msg"]]}
    nothing = dict.fromkeys(("stats", "work_age", "clients", "source", "as_of"))
    return {**nothing, **row, "health": health, "verdict": verdict}


def _sentence(verdict: Verdict, seen: Observation, name: str) -> str:
    """The verdict as a sentence."""
    if verdict.wrong:
        return f"{name} is {verdict.state}: {'; '.join(verdict.wrong)}"
    facts = []
    if seen.stats:
        facts = [human_hashrate(seen.stats.hashrate1m)]
        counts = (("users", seen.stats.users), ("workers", seen.stats.workers))
        facts += [f"{count} {what}" for what, count in counts if count is not None]
    age = work_age(seen.log, seen.now)
    if age is not None:
        facts.append(f"work {age:.0f} s old")
    return f"{name} is {verdict.state}" + (f": {', '.join(facts)}" if facts else "")
