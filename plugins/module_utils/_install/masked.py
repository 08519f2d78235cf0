# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two configurations for a person: of a secret one sees that it changes, and not what it is. Pure functions."""

from __future__ import annotations

import json
import typing as t

from .._ask.config import HIDDEN, shown
from .._text import printable
from .._types import Json

SHORTEST_SECRET = 6  #: characters; to hide shorter ones wherever they stand would make a result unreadable
CHANGED = f"{HIDDEN} (another one)"


def before_and_after(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> t.Tuple[str, str]:
    """Both as text, with what is, or could be, a secret hidden; empty where there is none."""
    old, new = shown(before), shown(after)
    marked = {shown_key: _marked(new[shown_key], after[key], old, before, key) for key, shown_key in zip(after, new)}
    return _text(old), _text(marked)


def changes(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> t.List[str]:
    """What differs, one line for each key: C(KEY: OLD -> NEW), with secrets hidden."""
    old = shown(before)
    new = {key: _marked(view, after[key], old, before, key) for key, view in zip(after, shown(after).values())}
    lines = []
    for key in sorted({*before, *after}):
        if key in before and key in after and before[key] == after[key]:
            continue
        views = (old.get(printable(key)) if key in before else None, new.get(key))
        there = (key in before, key in after)
        texts = [json.dumps(view, sort_keys=True) if is_there else "none" for view, is_there in zip(views, there)]
        lines.append(f"{printable(key)}: {' -> '.join(texts)}")
    return lines


def _text(view: Json) -> str:
    return json.dumps(view, indent=2, sort_keys=True) + "\n" if view else ""


def _marked(view: t.Any, value: t.Any, old_view: t.Any, old: t.Any, key: t.Any) -> t.Any:
    """One value as it is shown, marked where it is hidden and is another one than before.

    :arg old_view: what holds the earlier one, as it is shown, under C(key); C(old) is the same with its values.
    """
    try:
        earlier_view, earlier = old_view[printable(key) if isinstance(key, str) else key], old[key]
    except (KeyError, IndexError, TypeError):
        return view
    if isinstance(view, dict) and isinstance(value, dict):
        return {
            inner_view: _marked(view[inner_view], value[inner], earlier_view, earlier, inner)
            for inner, inner_view in zip(value, view)
        }
    if isinstance(view, list) and isinstance(value, list):
        return [_marked(item, value[number], earlier_view, earlier, number) for number, item in enumerate(view)]
    return CHANGED if view == earlier_view == HIDDEN and value != earlier else view


def secrets(config: t.Mapping[str, t.Any]) -> t.Set[str]:
    """The texts of a configuration that are hidden when it is shown, but for the shortest."""
    return set(_secrets(config, shown(config)))


def _secrets(value: t.Any, view: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict) and isinstance(view, dict):
        for item, seen in zip(value.values(), view.values()):
            yield from _secrets(item, seen)
    elif isinstance(value, list) and isinstance(view, list):
        for item, seen in zip(value, view):
            yield from _secrets(item, seen)
    elif view == HIDDEN and isinstance(value, str) and len(value) >= SHORTEST_SECRET:
        yield value
