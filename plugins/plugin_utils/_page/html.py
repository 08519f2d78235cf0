# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one HTML page that needs nothing but itself.

Every text in it may come from a miner. Three things keep it text: the template escapes all that is not explicitly marked as
markup, what is marked so are only the charts and our own files, and the page forbids the browser by its policy to run any
script but ours, or to load anything.
"""

from __future__ import annotations

import base64
import hashlib
import typing as t

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ...module_utils._text import printable
from .._types import Json
from . import charts, units
from .sections import CHART, NUMBER, TIME, Cell, Table, state_tone, tables_of, totals_of


class Parts(t.NamedTuple):
    """The files that a page is made from: a Jinja template, a style sheet and a script."""

    template: str
    style: str
    script: str


def page(model: Json, parts: Parts, with_charts: bool = True) -> str:
    """The report as HTML.

    :raises charts.Missing: there are charts to draw, and no library.
    """
    past = model["history"] if with_charts else None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        chart=_sparkline, tone=state_tone, utc=units.utc, iso=units.iso, CHART=CHART, NUMBER=NUMBER, TIME=TIME
    )
    tables = tables_of(model if with_charts else {**model, "history": None})
    return (
        environment.from_string(parts.template).render(
            model=model,
            policy=_policy(parts),
            style=Markup(parts.style),
            script=Markup(parts.script),
            totals=totals_of(model),
            bad=[pool for pool in model["pools"] if pool["state"] != "ok"],
            tables=tables,
            long=_LONG,
            figures=_figures(past) if past else [],
        )
        + "\n"
    )


def _shown(value: t.Any) -> t.Any:
    """What is written in place of a value: text without characters that control its direction, or the browser."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_LONG = 8  #: rows from which on a table can be filtered


def _policy(parts: Parts) -> str:
    """What the browser may do: apply our style, run our script, and nothing else."""
    return f"default-src 'none'; style-src {_digest(parts.style)}; script-src {_digest(parts.script)}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _figures(past: Json) -> t.List[t.Tuple[str, Markup]]:
    """The charts of the fleet, each with its caption."""
    fleet, times = past["fleet"], past["times"]
    step = units.duration(past["step"])
    rate = f"Hashrate of the fleet (H/s), the sum of its pools every {step}"
    rejects = f"Rejected shares (% of difficulty) within each {step}"
    return [
        (rate, _markup(charts.chart("rate", rate, times, fleet["hashrate"], units.hashrate))),
        (rejects, _markup(charts.chart("rejects", rejects, times, fleet["rejects"], units.percent))),
    ]


def _sparkline(table: Table, row: t.Sequence[Cell], place: int) -> Markup:
    """A small chart in a cell. It is named by what names its row."""
    cell = row[place]
    if cell.series is None or all(value is None for value in cell.series):
        return Markup("-")
    form = units.hashrate if table.columns[place].title.startswith("Hashrate") else units.percent
    title = f"{table.columns[place].title} of {row[0].text} on {row[1].text}"
    return _markup(charts.sparkline(title, cell.series, form))


def _markup(svg: str) -> Markup:
    """SVG that pygal made. All text in it went through its XML writer."""
    return Markup(svg)
