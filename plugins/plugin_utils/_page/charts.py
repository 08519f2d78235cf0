# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts of a report, as SVG that has neither style nor script of its own.

They are drawn by pygal, which the controller needs for them alone. It is a library of pure Python without further
requirements, is maintained, draws a chart in milliseconds, and marks what it draws with classes. So the style of the page,
with its light and its dark theme, applies to the charts; libraries that draw colours into the picture cannot do that.
"""

from __future__ import annotations

import re
import typing as t

from ...module_utils._text import printable
from ...module_utils._wording import counted
from . import units
from .history import Number

NEEDED = "pygal"  #: the package
_DECIMALS = re.compile(r"-?[0-9]+\.[0-9]+")
_LABELS = 4  #: labels of an axis of time
_LABEL_SIZE = 17  #: pixels
_UNWANTED = ("defs", "title", "desc", "script", "style")
_KEPT = {
    "class",
    "d",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "width",
    "height",
    "transform",
    "viewBox",
    "preserveAspectRatio",
}


class Missing(Exception):
    """The library is not installed."""


def library() -> t.Any:
    """The library.

    :raises Missing: it is not installed on the controller.
    """
    try:
        import pygal
        import pygal.style
    except ImportError as exc:
        raise Missing(f"the Python package {NEEDED} is missing on the controller ({exc})") from None
    return pygal


def chart(
    name: str,
    title: str,
    times: t.Sequence[int],
    values: t.Sequence[Number],
    form: t.Callable[[Number], str],
) -> str:
    """A chart over time, with axes.

    :arg name: unique in the page, for the references of the text alternative.
    :arg title: what it shows. Together with the least, the greatest and the last value it is its text alternative.
    :arg form: how a value is written.
    :raises Missing: no library.
    """
    pygal = library()
    # The size only makes room: what counts is the style of the page, which is larger on a phone.
    style = pygal.style.Style(label_font_size=_LABEL_SIZE, major_label_font_size=_LABEL_SIZE)
    drawing = pygal.Line(
        width=560, height=240, margin_right=50, truncate_label=-1, x_labels_major_count=_LABELS, show_minor_x_labels=False, value_formatter=form,
        range=(0, _top(values)), style=style, **_common(),
    )  # fmt: skip
    drawing.x_labels = [units.utc(moment)[5:-4] for moment in times]
    drawing.add("", list(values), allow_interruptions=True)
    return _drawn(drawing, _Finish("plot", title, _in_words(values, form), name))


def sparkline(title: str, values: t.Sequence[Number], form: t.Callable[[Number], str]) -> str:
    """A small chart without axes. Arguments are those of C(chart)."""
    drawing = library().Line(
        width=150, height=34, margin=2, spacing=0, show_x_labels=False, show_y_labels=False, no_data_text="",
        range=(0, _top(values)), **_common(),
    )  # fmt: skip
    drawing.add("", list(values), allow_interruptions=True)
    return _drawn(drawing, _Finish("spark", title, _in_words(values, form)))


def _common() -> t.Dict[str, t.Any]:
    return {
        "css": [], "js": [], "show_legend": False, "show_dots": False, "disable_xml_declaration": True, "no_prefix": True,
        "explicit_size": False, "pretty_print": False,
    }  # fmt: skip


def _top(values: t.Sequence[Number]) -> float:
    return max([value for value in values if value is not None], default=0.0) or 1.0


def _in_words(values: t.Sequence[Number], form: t.Callable[[Number], str]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "no values"
    gaps = sum(value is None for value in values)
    return f"from {form(min(known))} to {form(max(known))}, last {form(known[-1])}" + (
        f", {counted(gaps, 'gap')}" if gaps else ""
    )


def _drawn(drawing: t.Any, finish: _Finish) -> str:
    drawing.add_xml_filter(finish)
    return str(drawing.render(is_unicode=True))


class _Finish:
    """Makes a picture small, and readable for everybody: what pygal adds for its own style and script is taken out."""

    def __init__(self, kind: str, title: str, words: str, name: str = "") -> None:
        self._kind, self._label, self._name = kind, printable(f"{title}: {words}"), name

    def __call__(self, root: t.Any) -> t.Any:
        for parent in list(root.iter()):
            for child in list(parent):
                if not isinstance(child.tag, str) or _local(child) in _UNWANTED or self._is_ballast(child):
                    parent.remove(child)
            if isinstance(parent.tag, str):
                self._slim(parent)
        root.attrib.update({"class": self._kind, "role": "img", "aria-label": self._label})
        return root

    def _is_ballast(self, node: t.Any) -> bool:
        classes = set(str(node.get("class") or "").split())
        if _local(node) == "rect" and "background" in classes:
            return True
        if classes & {"overlay", "tooltip-overlay", "text-overlay", "titles", "legends", "tooltip", "no_data"}:
            return True
        return self._kind == "spark" and "axis" in classes

    def _slim(self, node: t.Any) -> None:
        for name in list(node.attrib):
            if name not in _KEPT:
                del node.attrib[name]
            elif name != "class":
                node.set(
                    name, _DECIMALS.sub(lambda match: f"{float(match.group()):.1f}".replace(".0", ""), node.get(name))
                )
        node.tail = None


def _local(node: t.Any) -> str:
    return str(node.tag).rpartition("}")[2]
