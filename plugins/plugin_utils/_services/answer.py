# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answer of a service to C(GET /health) says of its host, as a task there would have returned it. Pure functions.

An answer comes from another machine, and over a network. What is not an answer of the service, of now, is none at all.
"""

from __future__ import annotations

import json
import typing as t

from ...module_utils._health import CRITICAL
from ...module_utils._text import printable
from ...module_utils._units import is_number
from ...module_utils._wording import one_line, shortened, utc_time
from .._types import Json
from .._values import shown
from .body import body_of
from .http import Answer
from .service import PREFIX, NoAnswer, Service

PATH = "/health"
MOST_OFF = 60.0  #: seconds that the clocks of the host and of the controller may differ
_HEALTHY, _UNHEALTHY = 200, 503
_WHOSE = f"is {PREFIX}url that of the service?"
_MOST_DIGITS = 12  #: of an age in seconds
_LONGEST = 200  #: characters of a text of the other side


def result_of(service: Service, answer: Answer, asked: float, answered: float) -> Json:
    """What a task on the host would have returned, as far as a row needs it, and C(host), as the service calls its host.

    :arg asked: when it was asked, and C(answered) when the answer was there, in epoch seconds of the controller.
    :raises NoAnswer: it is not an answer to the question.
    """
    if answer.status not in (_HEALTHY, _UNHEALTHY):
        raise _refusal(service, answer)
    body = body_of(service, answer)
    if "health" not in body:
        return _nothing(service, answer, body)
    _check_time(service, answer, body, asked, answered)
    _check_limits(service, body)
    return _checked(service, answer.status, body)


def _refusal(service: Service, answer: Answer) -> NoAnswer:
    """What an answer means that has neither of the statuses of a verdict."""
    at, status = service.authority, answer.status
    if status == 401:
        fault = "does not accept the token" if service.token else "wants a token"
        return NoAnswer(f"{at} {fault} (status 401)", f"{PREFIX}token of this host must be the token of its service")
    if 300 <= status < 400:
        target = shown(answer.headers.get("location", "nowhere"))
        return NoAnswer(f"{at} redirects to {target} (status {status}), which is not followed", _WHOSE)
    if status == 404:
        return NoAnswer(f"{at} has no {service.path}{PATH} (status 404)", _WHOSE)
    return NoAnswer(f"{at} answers with status {status}{_message(answer)}", "look at the log of the service")


def _message(answer: Answer) -> str:
    """The message of an error of the service, with a colon; empty if there is none."""
    try:
        error = json.loads(answer.body.decode("utf-8"))["error"]
        return f": {shortened(one_line(printable(error['message'])), _LONGEST)}"
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""


def _nothing(service: Service, answer: Answer, body: Json) -> Json:
    """The result of a host without any pool, as its service has said.

    :raises NoAnswer: it has said something else.
    """
    error = body.get("error")
    if isinstance(error, dict) and error.get("reason") == "not_found" and body.get("instances") == []:
        text = "no ckpool on this host"
        health = {"state": "down", "ok": False, "status": CRITICAL, "wrong": [text], "checks": []}
        return {"health": health, "instance": None, "instances": [], "msg": text}
    if isinstance(error, dict):
        raise NoAnswer(f"{service.authority} answers with an error{_message(answer)}", "look at the log of the service")
    raise NoAnswer(f"{service.authority} answers with status {answer.status} and without a verdict", _WHOSE)


def _check_time(service: Service, answer: Answer, body: Json, asked: float, answered: float) -> None:
    """Refuse what is not of now: the host's clock is in the body, and the age of what the service or a proxy has kept in a header."""
    at, now = service.authority, body.get("now")
    if not is_number(now):
        raise NoAnswer(f"{at} does not say of when its answer is", _WHOSE)
    of = t.cast(float, now) - _age(at, answer.headers)
    if not asked - MOST_OFF <= of <= answered + MOST_OFF:
        raise NoAnswer(
            f"the answer of {at} is of {_time(of)}, and now is {_time(answered)}",
            "does a cache in between answer? are the clocks of both machines right?",
        )


def _age(at: str, headers: t.Mapping[str, str]) -> float:
    text = headers.get("age", "0")
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise NoAnswer(f"{at} gives its answer the age {shown(text)}", "does a cache in between answer?")
    return float(text)


def _check_limits(service: Service, body: Json) -> None:
    """Refuse a verdict by other limits than those of the host's variables, which the ssh way would apply."""
    told = body.get("judged_by")
    for name, wanted in service.judged_by.items():
        if not isinstance(told, dict) or name not in told:
            fault = f"{service.authority} does not say whether it judges by health_check_{name}"
        elif _comparable(told[name]) != _comparable(wanted):
            fault = f"{service.authority} does not judge by health_check_{name} of this host"
        else:
            continue
        raise NoAnswer(fault, "let the role http_api configure its service again, or use health_check_via=ssh")


def _comparable(value: t.Any) -> t.Any:
    """A value of a configuration: numbers may be texts, and lists have no order."""
    if isinstance(value, dict):
        return {name: _comparable(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return sorted(str(item) for item in value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)


def _checked(service: Service, status: int, body: Json) -> Json:
    at, host = service.authority, body.get("host")
    if not isinstance(host, str) or not host:
        raise NoAnswer(f"{at} does not say of which host its answer is", _WHOSE)
    instances = body.get("instances")
    if not isinstance(instances, list):
        raise NoAnswer(f"{at} answers with instances that are no list: {shown(instances)}", _WHOSE)
    statuses = [_status(entry) for entry in (*instances, body)]
    if instances and statuses[-1] == CRITICAL and CRITICAL not in statuses[:-1]:
        raise NoAnswer(f"{at} calls a host critical, and none of its pools", "look at the log of the service")
    if not instances and statuses[-1] != CRITICAL:
        raise NoAnswer(f"{at} calls a host healthy that has no pool", "look at the log of the service")
    if status == _UNHEALTHY and CRITICAL not in statuses:
        raise NoAnswer(
            f"{at} answers with status {status}, and nothing in it is critical", "does a proxy in between answer?"
        )
    health = body["health"]
    if instances and isinstance(health, dict):
        health = {**health, "checks": []}  # which are those of an instance too
    return {"host": host, "health": health, "instances": instances}


def _status(entry: t.Any) -> t.Any:
    health = entry.get("health") if isinstance(entry, dict) else None
    return health.get("status") if isinstance(health, dict) else None


def _time(seconds: float) -> str:
    try:
        return utc_time(seconds)
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"
