# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of an answer: a JSON object, whatever the question was. It needs no Ansible."""

from __future__ import annotations

import json
import math
import typing as t

from ...module_utils._text import clean
from ...module_utils._units import shown
from ...module_utils._wording import one_line, shortened
from .._types import Json
from .http import Answer
from .service import NoAnswer, Service

_LONGEST = 200  #: characters of a text of the other side


def body_of(service: Service, answer: Answer) -> Json:
    """The JSON object of an answer. All text in it is UTF-8.

    :raises NoAnswer: it has none.
    """
    at, whose = service.authority, f"is {service.settings}url that of the service?"
    try:
        text = answer.body.decode("utf-8")
        body = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as exc:
        raise NoAnswer(f"{at} answers with status {answer.status}, and not in JSON: {reason_of(exc)}", whose) from None
    if not isinstance(body, dict):
        raise NoAnswer(f"{at} answers with JSON that is no object: {shown(clean(body))}", whose)
    try:
        # Without escapes, nothing in it can be other than UTF-8; to look at every text takes a while in a large fleet.
        return t.cast(Json, clean(body)) if "\\u" in text else body
    except RecursionError:
        raise NoAnswer(f"{at} answers with JSON that is nested too deeply", whose) from None


def _finite(text: str) -> t.Optional[float]:
    number = float(text)
    return number if math.isfinite(number) else None


def _refuse_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def reason_of(exc: Exception) -> str:
    """Why JSON cannot be read."""
    return "it is nested too deeply" if isinstance(exc, RecursionError) else shortened(one_line(exc), _LONGEST)
