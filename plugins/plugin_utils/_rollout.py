# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a fleet, host by host: rows, the outcome in one word, and texts for persons. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ..module_utils._health import CRITICAL, SKIPPED
from ..module_utils._text import printable
from ..module_utils._units import is_number
from ..module_utils._wording import columns, counted, listed, one_line, or_dash, shortened
from ._causes import causes
from ._junit import case_of, suites_as_xml
from ._outcome import PASSING, ROLLOUT_OUTCOMES, STOPPED, UNFINISHED
from ._pool_results import mapping
from ._rows import Row
from ._types import Json

_DONE, _NOT_STARTED, _FAILED, _PREDICTED, _NOTHING = "done", "not_started", "failed", "predicted", "nothing_to_do"
#: the words of hosts that decide on the fleet's, the gravest first
_GRAVE = ("rollback_failed", _FAILED, "rolled_back", UNFINISHED)
_HEADINGS = ("HOST", "BATCH", "TIER", "OUTCOME", "POOLS", "CLIENTS", "WHAT HAPPENED")
_NAMED = 10  #: hosts that a sentence names
_LONGEST = 500  #: characters of a message
_ODD = {"failed": True, "outcome": _FAILED, "msg": "odd result"}
#: what stands for the result of a host that left the run in the middle of its part
NO_END = {"failed": True, "outcome": _FAILED, "msg": "it was begun, and how it ended is not known: look at its window"}


def rollout_row(host: str, plan: t.Mapping[str, t.Any], result: t.Any, health: t.Sequence[Row], working: int) -> Row:
    """The row of a host.

    :arg plan: as C(ckpool_batches) returns it.
    :arg result: what the host registered at the end of its part; None if it has not come to that.
    :arg health: its rows of the health before.
    :arg working: the number of the batch that is being worked on, or 0.
    """
    batch = mapping(plan.get("number_of")).get(host)
    clients = [row["clients"] for row in health if row["clients"] is not None]
    row: Row = {
        "host": host,
        "batch": batch,
        "tier": mapping(plan.get("tiers")).get(host),
        "outcome": UNFINISHED if batch is not None and batch == working else _NOT_STARTED,
        "failed": False,
        "unreachable": False,
        "msg": "",
        "instances": [row["instance"] for row in health if row["instance"] is not None],
        "clients": sum(clients) if clients else None,
        "started": None,
        "ended": None,
        "pools": [],
    }
    return row if result is None else {**row, **_ended(mapping(result) or _ODD)}


def _ended(result: Json) -> Json:
    """What a host registered, checked: it may stem from another machine."""
    word = str(result.get("outcome"))
    is_odd = word not in ROLLOUT_OUTCOMES or (bool(result.get("failed")) and word in PASSING)
    pools = result.get("pools")
    return {
        "outcome": _FAILED if is_odd else word,
        "failed": is_odd or word not in PASSING,
        "unreachable": bool(result.get("unreachable")),
        "msg": shortened(one_line(result.get("msg") or ""), _LONGEST),
        "started": result["started"] if is_number(result.get("started")) else None,
        "ended": result["ended"] if is_number(result.get("ended")) else None,
        "pools": [mapping(pool) for pool in pools] if isinstance(pools, list) else [],
    }


def refused_rows(rows: t.Sequence[Row], health: t.Mapping[str, t.Sequence[Row]], bad: t.Container[str]) -> t.List[Row]:
    """The rows of a run that did not start because of the health of hosts.

    :arg health: host to its rows of the health.
    :arg bad: the hosts that are why.
    """
    found = []
    for row in rows:
        why = "; ".join(str(cause) for entry in health.get(row["host"], ()) for cause in causes(entry))
        is_bad = row["host"] in bad
        found.append({**row, "failed": is_bad, "msg": shortened(one_line(why), _LONGEST) if is_bad else row["msg"]})
    return found


def rollout_outcome(rows: t.Sequence[Row]) -> str:
    """The outcome of the fleet in one word, one of C(ROLLOUT_OUTCOMES)."""
    words = {row["outcome"] for row in rows}
    for word in _GRAVE:
        if word in words:
            return word
    if _NOT_STARTED in words or not rows:
        return STOPPED if _DONE in words else _NOT_STARTED
    return next((word for word in (_DONE, _PREDICTED) if word in words), _NOTHING)


def is_only_unreachable(rows: t.Sequence[Row]) -> bool:
    """Whether all that keeps the fleet from being done is hosts that could not be reached."""
    failed = [row for row in rows if row["failed"]]
    return bool(failed) and all(row["unreachable"] for row in failed)


def rollout_totals(rows: t.Sequence[Row]) -> Json:
    """The numbers of hosts by outcome, and of hosts, pools and clients."""
    clients = [row["clients"] for row in rows if row["clients"] is not None]
    words = {word: sum(row["outcome"] == word for row in rows) for word in ROLLOUT_OUTCOMES}
    return {
        "hosts": len(rows),
        "pools": sum(len(row["instances"]) for row in rows),
        "clients": sum(clients) if clients else None,
        "outcomes": {word: number for word, number in words.items() if number},
    }


def rollout_summary(rows: t.Sequence[Row]) -> str:
    """The fleet in one sentence, which names the hosts that are not done, and says why."""
    total = rollout_totals(rows)
    if not rows:
        return "no host was asked"
    parts = [_part(rows, word, total["hosts"]) for word in ROLLOUT_OUTCOMES if word in total["outcomes"]]
    parts += [f"{row['host']}: {row['msg']}" for row in rows if row["failed"] and row["msg"]][:_NAMED]
    return printable("; ".join(parts))


def _part(rows: t.Sequence[Row], word: str, total: int) -> str:
    of_it = [row for row in rows if row["outcome"] == word]
    head = f"{len(of_it)} of {counted(total, 'host')} {word.replace('_', ' ')}"
    if word == _PREDICTED:
        numbers = rollout_totals(of_it)
        batches = len({row["batch"] for row in of_it})
        text = f"{counted(numbers['pools'], 'pool')} with {counted(numbers['clients'], 'client')}"
        return f"would upgrade {text} on {len(of_it)} of {counted(total, 'host')} in {_times(batches)}"
    if word in (_DONE, _NOTHING):
        return head
    more = f" and {len(of_it) - _NAMED} more" if len(of_it) > _NAMED else ""
    return f"{head} ({listed(row['host'] for row in of_it[:_NAMED])}{more})"


def _times(number: int) -> str:
    return "1 batch" if number == 1 else f"{number} batches"


def rollout_table(rows: t.Sequence[Row]) -> t.List[str]:
    """The rows as lines of text in columns, below a heading."""
    return columns([_HEADINGS, *(_cells(row) for row in rows)])


def _cells(row: Row) -> t.Tuple[str, ...]:
    pools, what = listed(map(str, row["instances"])) or "-", row["msg"] or "-"
    cells = (
        row["host"],
        or_dash(row["batch"]),
        or_dash(row["tier"]),
        row["outcome"],
        pools,
        or_dash(row["clients"]),
        what,
    )
    return tuple(printable(one_line(cell)) for cell in cells)


def markdown(rows: t.Sequence[Row], word: str, summary: str) -> str:
    """The report as Markdown, for a page of a job or a merge request. Nothing in it is markup but its own."""
    lines = [f"## Rolling upgrade: {word}", "", _escaped(summary), ""]
    if rows:
        lines += [
            _line(_HEADINGS),
            _line(["---"] * len(_HEADINGS)),
            *(_line(map(_escaped, _cells(row))) for row in rows),
        ]
    return "\n".join(lines) + "\n"


def _line(cells: t.Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Text without meaning to Markdown or HTML: what pools and miners wrote makes no link, image or mention."""
    text = re.sub(r"([\\`*_{}\[\]()#+!|~^$])", r"\\\1", text)  # before there are entities, which have a #
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return re.sub(r"(?<=www)\.", "&#46;", text.replace("://", "&#58;//"), flags=re.IGNORECASE)


def rollout_junit(rows: t.Sequence[Row], word: str, summary: str) -> str:
    """The report as JUnit XML: a test suite for the run, and one for each host with its pools. A run that does not pass has a failure."""
    whole = case_of("outcome", word, summary, "ok" if word in PASSING else CRITICAL)
    return suites_as_xml(
        "ckpool.fleet rolling upgrade",
        [("ckpool.fleet.rolling_upgrade", [whole]), *((row["host"], _cases(row)) for row in rows)],
        CRITICAL,
    )


def _cases(row: Row) -> t.List[Json]:
    """A host as test cases: one for it, and one for each pool whose part is known."""
    return [
        _case("host", row, row["msg"]),
        *(_case(str(pool.get("name")), pool, pool.get("msg")) for pool in row["pools"]),
    ]


def _case(name: str, entry: t.Mapping[str, t.Any], message: t.Any) -> Json:
    word = str(entry.get("outcome"))
    is_failure = entry.get("failed", word not in PASSING)
    status = CRITICAL if is_failure else "ok" if word in PASSING else SKIPPED
    return case_of(name, word, str(message or word), status)
