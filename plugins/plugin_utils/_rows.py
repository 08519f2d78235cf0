# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the hosts' health tasks as rows of a report. Pure functions.

A result comes from another machine. Where it is not what C(ckpool_health_info) returns, its row says so, and the other
rows stay as they are.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleError

from ..module_utils._health import CRITICAL, OK, SKIPPED, STATES, STATUSES
from ..module_utils._units import is_number
from ..module_utils._wording import one_line, shortened
from ._pool_results import why_of
from ._types import Json
from ._values import plain, shown

Row = Json  #: one instance, or a host without a verdict

UNREACHABLE, FAILED, GONE = "unreachable", "failed", "gone"
#: states of a row that leave unknown how the pool is
UNDETERMINED = (UNREACHABLE, FAILED, "unknown")
_CRITICAL_STATES = ("unknown", "hung", "down")
_CHECK_STATUSES = (*STATUSES, SKIPPED)
_CHECK_TEXTS = ("name", "reason", "summary", "hint")
_LONGEST = 300  #: characters of a reason that Ansible or a host gave
#: fields of a row that is about more than a host
_OF_INSTANCE = (
    "instance", "socket_dir", "pid", "root", "user", "hashrate", "users", "workers", "clients", "work_age", "log_line"
)  # fmt: skip


class Odd(Exception):
    """A part of a result is not what it should be."""


def rows_of(host: str, result: t.Any) -> t.List[Row]:
    """One row for each instance of a host, or one that says why there is none.

    :arg result: what C(ckpool_health_info) returned there, or the failure of its task.
    """
    try:
        found = _mapping(plain(result), "the result")
    except (Odd, AnsibleError) as exc:
        return [_odd(host, exc)]
    if found.get("unreachable"):
        return [row_without_verdict(host, UNREACHABLE, why_of(found))]
    if found.get("skipped"):
        return []
    if "health" not in found:
        return [row_without_verdict(host, FAILED, why_of(found))]
    try:
        _verdict(found)
        entries = _list(found.get("instances") or [], "instances") or [found]
    except Odd as exc:
        return [_odd(host, exc)]
    return [_row_or_odd(host, entry) for entry in entries]


def row_without_verdict(host: str, state: str, why: t.Any, **more: t.Any) -> Row:
    """A row of a host or an instance that has no verdict of its own."""
    text = shortened(one_line(why), _LONGEST)
    empty: Row = dict.fromkeys(_OF_INSTANCE)
    return {"host": host, **empty, "state": state, "status": CRITICAL, "wrong": [text], "checks": [], **more}


def _odd(host: str, why: Exception, **more: t.Any) -> Row:
    return row_without_verdict(host, FAILED, f"odd result: {why}", **more)


def _row_or_odd(host: str, entry: t.Any) -> Row:
    known: Row = {}
    try:
        entry = _mapping(entry, "an entry of instances")
        known = _identity(entry)
        return _row(host, entry, known)
    except Odd as exc:
        return _odd(host, exc, **known)


def _identity(entry: t.Mapping[str, t.Any]) -> Row:
    instance = _mapping(entry.get("instance") or {}, "instance")
    return {
        "instance": _text_or_none(instance.get("name"), "instance.name"),
        "socket_dir": _text_or_none(instance.get("socket_dir"), "instance.socket_dir"),
        "user": _text_or_none(instance.get("user"), "instance.user"),
        "root": _text_or_none(instance.get("root"), "instance.root"),
        "pid": _number(instance.get("pid"), "instance.pid"),
    }


def _row(host: str, entry: t.Mapping[str, t.Any], known: Row) -> Row:
    health = _verdict(entry)
    wrong = [_text(text, "an entry of health.wrong") for text in _list(health.get("wrong"), "health.wrong")]
    checks = [_check(check) for check in _list(health.get("checks"), "health.checks")]
    _refuse_contradiction(health, checks, bool(entry.get("failed")))
    stats = _mapping(entry.get("stats") or {}, "stats")
    return {
        "host": host,
        **known,
        "state": health["state"],
        "status": health["status"],
        "hashrate": _number(stats.get("hashrate1m"), "stats.hashrate1m"),
        "users": _number(stats.get("users"), "stats.users"),
        "workers": _number(stats.get("workers"), "stats.workers"),
        "clients": _number(entry.get("clients"), "clients"),
        "work_age": _number(entry.get("work_age"), "work_age"),
        "log_line": _last_line(entry.get("log_tail")),
        "wrong": wrong,
        "checks": checks,
    }


def _verdict(entry: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    health = _mapping(entry.get("health"), "health")
    for name, known in (("state", STATES), ("status", STATUSES)):
        if health.get(name) not in known:
            raise Odd(f"health.{name} is {_kind(health, name)}")
    return health


def _refuse_contradiction(health: t.Mapping[str, t.Any], checks: t.Sequence[Json], has_failed: bool) -> None:
    """Refuse a verdict that is better than what it rests on."""
    state, status = health["state"], health["status"]
    worst = max((check["status"] for check in checks if check["status"] != SKIPPED), key=STATUSES.index, default=OK)
    reasons = {
        "the check failed": has_failed and status != CRITICAL,
        f"health.state is {state}": state in _CRITICAL_STATES and status != CRITICAL,
        f"a check is {worst}": STATUSES.index(worst) > STATUSES.index(status),
        "health.wrong is not empty": status == OK and health.get("wrong"),
        f"health.ok is {shown(health.get('ok'))}": state == OK and not health.get("ok", True),
    }
    for reason, holds in reasons.items():
        if holds:
            raise Odd(f"health.status is {status}, and {reason}")


def _check(value: t.Any) -> Json:
    check = dict(_mapping(value, "an entry of health.checks"))
    if check.get("status") not in _CHECK_STATUSES:
        raise Odd(f"the status of a check is {_kind(check, 'status')}")
    for name in _CHECK_TEXTS:
        check[name] = _text(check.get(name), f"{name} of a check")
    return check


def _last_line(value: t.Any) -> t.Optional[str]:
    lines = [_text(line, "a line of log_tail") for line in _list(value or [], "log_tail")]
    return next((line.strip() for line in reversed(lines) if line.strip()), None)


def _mapping(value: t.Any, name: str) -> t.Mapping[str, t.Any]:
    if not isinstance(value, Mapping):
        raise Odd(f"{name} is {_kind({name: value}, name)}")
    return value


def _list(value: t.Any, name: str) -> t.List[t.Any]:
    if not isinstance(value, list):
        raise Odd(f"{name} is {_kind({name: value}, name)}")
    return value


def _text(value: t.Any, name: str) -> str:
    if not isinstance(value, str):
        raise Odd(f"{name} is {_kind({name: value}, name)}")
    return value


def _text_or_none(value: t.Any, name: str) -> t.Optional[str]:
    return None if value is None else _text(value, name)


def _number(value: t.Any, name: str) -> t.Union[int, float, None]:
    """A number from 0 up. None stays None."""
    if value is None or (is_number(value) and value >= 0):
        return t.cast(t.Union[int, float, None], value)
    raise Odd(f"{name} is {_kind({name: value}, name)}")


def _kind(values: t.Mapping[str, t.Any], name: str) -> str:
    """What stands where something else should, for a message."""
    if name not in values:
        return "missing"
    value = values[name]
    kinds = {dict: "a dictionary", list: "a list", type(None): "null"}
    return kinds.get(type(value)) or shown(value)
